/* controller/node_controller.c: notices nodes that have fallen silent, gives nodes the taints of
 * their conditions, and removes pods of nodes that do not exist any more.
 *
 * A node whose lease is older than the grace period gets Ready=Unknown, and its pods become not
 * Ready. plan/node_plan says which taints follow, among them those that end pods, which is up to
 * controller/taint_controller. Pods of a Node object that does not exist any more are removed by
 * force after a quarantine.
 *
 * No polling: each sync of a node asks to be run again when its lease will have run out, and lease
 * events only move that time. A lease's age is measured on our own clock from when its renewal was
 * seen, as clocks may differ. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "client/client_body.h"
#include "client/client_event.h"
#include "codec/time.h"
#include "controller/pod_end.h"
#include "controller/reconciler.h"
#include "plan/node_plan.h"
#include "schema/schema.h"

enum {
    GRACE_MS = 50 * 1000,
    STARTUP_GRACE_MS = 60 * 1000, /* of a node whose agent has not said anything yet */
    QUARANTINE_MS = 40 * 1000,
    PARALLEL = 8,
};

#define LEASE_NAMESPACE SPAN("kube-node-lease")

/* Nodes that are likely to be lost together, by their labels; key: REGION/ZONE. */
struct zone {
    size_t nodes, ready;
    int64_t next_ms; /* monotonic: when one more may get a taint that ends pods */
    size_t key_n;
    char key[];
};

/* When a node last showed a sign of life, on the monotonic clock; also kept while its Node object
 * is missing. */
struct seen {
    int64_t alive_ms, missing_ms;
    struct zone *zone; /* where its Node counts; NULL: there is none */
    bool is_ready;
    size_t name_n;
    char name[];
};

struct node_controller {
    struct env *env;
    struct client *client;
    const struct schema_kind *node_kind, *pod_kind;
    struct informer *nodes, *leases, *pods;
    int pods_by_node;
    struct reconciler *reconciler;
    struct event_recorder *events;
    struct map seen, zones;
    size_t node_count, ready_count;
};

static int64_t mono_ms(struct node_controller *c)
{
    return env_mono_ns(c->env) / 1000000;
}

static struct seen *seen_of(struct node_controller *c, struct span name)
{
    struct seen *s = map_get(&c->seen, name);
    assert(!s || span_eq(span_of(s->name, s->name_n), name));
    if (!s) {
        s = mem_new(sizeof *s + name.n + 1);
        s->name_n = name.n;
        memcpy(s->name, name.n ? name.p : "", name.n);
        s->alive_ms = s->missing_ms = mono_ms(c);
        map_put(&c->seen, span_of(s->name, s->name_n), s);
    }
    return s;
}

/* ---- zones ---- */

static struct zone *zone_of(struct node_controller *c, struct object *node)
{
    cleanup_arena struct arena *a = arena_new();
    yyjson_val *labels = client_labels(node);
    struct span key = ARENA_JOIN(a, json_get_str(labels, "topology.kubernetes.io/region"),
                                 SPAN("/"), json_get_str(labels, "topology.kubernetes.io/zone"));
    struct zone *z = map_get(&c->zones, key);
    if (!z) {
        z = mem_new(sizeof *z + key.n + 1);
        z->key_n = key.n;
        memcpy(z->key, key.p, key.n);
        map_put(&c->zones, span_of(z->key, z->key_n), z);
    }
    return z;
}

static bool add_node(void *data, struct object *node)
{
    struct node_controller *c = data;
    reconciler_add(c->reconciler, SPAN_NULL, object_name(node));
    return true;
}

static void leave_zone(struct node_controller *c, struct seen *s)
{
    struct zone *z = s->zone;
    if (!z) {
        return;
    }
    assert(z->nodes > 0);
    assert(z->ready >= s->is_ready);
    z->nodes--;
    c->node_count--;
    z->ready -= s->is_ready;
    c->ready_count -= s->is_ready;
    s->zone = NULL;
    s->is_ready = false;
}

/* Counts the node where it is now. What all nodes may bear depends on how many are lost. */
static void count_node(struct node_controller *c, struct seen *s, struct object *node)
{
    struct zone *from = s->zone, *to = node ? zone_of(c, node) : NULL;
    bool ready = node && client_condition_true(node, "Ready");
    if (from == to && ready == s->is_ready) {
        return;
    }
    bool all_lost = c->ready_count == 0;
    enum node_zone was = from ? node_zone(from->ready, from->nodes) : NODE_ZONE_NORMAL;
    enum node_zone to_was = to ? node_zone(to->ready, to->nodes) : NODE_ZONE_NORMAL;
    leave_zone(c, s);
    if (to) {
        s->zone = to;
        s->is_ready = ready;
        to->nodes++;
        c->node_count++;
        to->ready += ready;
        c->ready_count += ready;
    }
    bool same = (c->ready_count == 0) == all_lost &&
                (!from || node_zone(from->ready, from->nodes) == was) &&
                (!to || node_zone(to->ready, to->nodes) == to_was);
    if (from && from->nodes == 0) {
        free(map_remove(&c->zones, span_of(from->key, from->key_n)));
    }
    assert(c->ready_count <= c->node_count);
    if (!same) {
        informer_each(c->nodes, add_node, c);
    }
}

/* ---- events ---- */

static bool is_silent(struct object *node)
{
    return span_eq_cstr(json_get_str(client_condition(node, "Ready"), "status"), "Unknown");
}

/* A status that the agent has written is a sign of life as well as its lease: else an agent that is
 * back, with its next renewal still to come, and we would contradict each other without a pause. */
static bool agent_spoke(struct object *old, struct object *now)
{
    yyjson_val *was = client_condition(old, "Ready"), *is = client_condition(now, "Ready");
    return !is_silent(now) && (is_silent(old) || !json_equal(json_get(was, "lastHeartbeatTime"),
                                                             json_get(is, "lastHeartbeatTime")));
}

static void on_node(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct node_controller *c = data;
    struct object *node = now ? now : old;
    struct seen *s = seen_of(c, object_name(node));
    if (!old || (now && agent_spoke(old, now))) {
        s->alive_ms = mono_ms(c);
    } else if (!now) {
        s->missing_ms = mono_ms(c);
    }
    count_node(c, s, now);
    reconciler_add(c->reconciler, SPAN_NULL, object_name(node));
}

static void on_lease(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct node_controller *c = data;
    if (!now || !span_eq(object_namespace(now), LEASE_NAMESPACE)) {
        return;
    }
    if (old && json_equal(json_get(client_spec(old), "renewTime"),
                          json_get(client_spec(now), "renewTime"))) {
        return;
    }
    seen_of(c, object_name(now))->alive_ms = mono_ms(c);
    struct object *node = informer_get(c->nodes, SPAN_NULL, object_name(now));
    if (node && is_silent(node)) {
        reconciler_add(c->reconciler, SPAN_NULL, object_name(now));
    }
}

static void on_pod(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct node_controller *c = data;
    struct span node = now ? json_get_str(client_spec(now), "nodeName") : SPAN_NULL;
    bool fresh = node.n && (!old || json_get_str(client_spec(old), "nodeName").n == 0);
    struct object *o = fresh ? informer_get(c->nodes, SPAN_NULL, node) : NULL;
    if (fresh && (!o || !client_condition_true(o, "Ready"))) {
        reconciler_add(c->reconciler, SPAN_NULL, node);
    }
}

/* ---- a sync ---- */

struct node_sync {
    struct node_controller *c;
    struct sync *s;
    struct arena *a;
    struct object *node; /* NULL: there is no such Node */
    struct seen *seen;
    VEC(struct object *) pods;
};

static void put_unknown(struct node_sync *x, yyjson_mut_doc *doc, yyjson_mut_val *c, bool never)
{
    json_put_str(doc, c, "status", SPAN("Unknown"));
    json_put_str(doc, c, "reason",
                 never ? SPAN("NodeStatusNeverUpdated") : SPAN("NodeStatusUnknown"));
    json_put_str(doc, c, "message",
                 never ? SPAN("Kubelet never posted node status.")
                       : SPAN("Kubelet stopped posting node status."));
    json_put_str(doc, c, "lastTransitionTime", time_format(x->a, x->s->now_ms));
}

/* The conditions that its agent keeps. */
static void say_unknown(struct node_sync *x)
{
    static const char *const types[] = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};
    assert(x->node);
    struct client_body b = client_patch_new(x->a, x->node);
    yyjson_mut_val *list = yyjson_mut_arr(b.doc);
    JSON_EACH(it, json_get(client_status(x->node), "conditions"))
    {
        yyjson_mut_val *c = json_mut_copy(b.doc, it.val);
        yyjson_mut_arr_append(list, c);
        bool known = span_eq_cstr(json_get_str(it.val, "status"), "Unknown");
        for (size_t i = 0; !known && i < sizeof types / sizeof *types; i++) {
            if (span_eq_cstr(json_get_str(it.val, "type"), types[i])) {
                put_unknown(x, b.doc, c, false);
            }
        }
    }
    struct span born = json_get_str(client_meta(x->node), "creationTimestamp");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!client_condition(x->node, types[i])) {
            yyjson_mut_val *c = yyjson_mut_obj(b.doc);
            json_put_str(b.doc, c, "type", span_cstr(types[i]));
            json_put_str(b.doc, c, "lastHeartbeatTime", born);
            put_unknown(x, b.doc, c, true);
            yyjson_mut_arr_append(list, c);
        }
    }
    json_put(b.doc, client_body_obj(&b, "status"), "conditions", list);
    sync_patch_status(x->s, x->c->nodes, x->node, &b, sync_or_gone, NULL);
    if (client_condition_true(x->node, "Ready")) {
        event_record(x->c->events, x->c->node_kind, x->node, EVENT_NORMAL, "NodeNotReady",
                     "Node %.*s status is now: NodeNotReady", SPAN_ARG(x->s->name));
    }
    sync_again(x->s);
}

static uint32_t borne(const yyjson_val *taint)
{
    for (int t = 0; t < NODE_TAINTS; t++) {
        if (span_eq_cstr(json_get_str(taint, "key"), node_taint_key((enum node_taint)t)) &&
            span_eq_cstr(json_get_str(taint, "effect"), node_taint_effect((enum node_taint)t))) {
            return 1u << t;
        }
    }
    return 0;
}

static void write_taints(struct node_sync *x, uint32_t want, uint32_t has)
{
    assert(want != has);
    struct client_body b = client_patch_new(x->a, x->node);
    yyjson_mut_val *list = yyjson_mut_arr(b.doc);
    JSON_EACH(it, json_get(client_spec(x->node), "taints"))
    {
        if ((borne(it.val) & ~want) == 0) {
            yyjson_mut_arr_append(list, json_mut_copy(b.doc, it.val));
        }
    }
    for (int i = 0; i < NODE_TAINTS; i++) {
        if ((want & ~has) & 1u << i) {
            yyjson_mut_val *t = yyjson_mut_obj(b.doc);
            json_put_str(b.doc, t, "key", span_cstr(node_taint_key((enum node_taint)i)));
            json_put_str(b.doc, t, "effect", span_cstr(node_taint_effect((enum node_taint)i)));
            json_put_str(b.doc, t, "timeAdded", time_format(x->a, x->s->now_ms));
            yyjson_mut_arr_append(list, t);
        }
    }
    bool none = yyjson_mut_arr_size(list) == 0;
    json_put(b.doc, client_body_obj(&b, "spec"), "taints", none ? yyjson_mut_null(b.doc) : list);
    sync_patch(x->s, x->c->nodes, x->node, &b, sync_or_gone, NULL);
}

static char status_letter(struct object *node, const char *type)
{
    struct span status = json_get_str(client_condition(node, type), "status");
    return span_eq_cstr(status, "True")    ? 'T'
           : span_eq_cstr(status, "False") ? 'F'
           : status.n > 0                  ? 'U'
                                           : 0;
}

static void fix_taints(struct node_sync *x)
{
    struct node_controller *c = x->c;
    struct zone *z = x->seen->zone;
    assert(z);
    assert(z->nodes > 0);
    int64_t now_ms = mono_ms(c);
    bool slow = node_zone(z->ready, z->nodes) == NODE_ZONE_PARTIAL;
    bool stopped = slow && c->node_count <= NODE_MANY;
    struct node_view view = {.ready = status_letter(x->node, "Ready"),
                             .memory = status_letter(x->node, "MemoryPressure") == 'T',
                             .disk = status_letter(x->node, "DiskPressure") == 'T',
                             .pid = status_letter(x->node, "PIDPressure") == 'T',
                             .network = status_letter(x->node, "NetworkUnavailable") == 'T',
                             .unschedulable =
                                 json_get_bool(client_spec(x->node), "unschedulable", false),
                             .all_lost = c->ready_count == 0,
                             .turn = !stopped && now_ms >= z->next_ms};
    JSON_EACH(it, json_get(client_spec(x->node), "taints"))
    {
        view.has |= borne(it.val);
    }
    struct node_plan plan = node_plan(&view);
    if (plan.took_turn) {
        z->next_ms = now_ms + (slow ? NODE_SLOW_PACE_MS : NODE_PACE_MS);
    } else if (plan.waits && !stopped) {
        sync_after(x->s, z->next_ms - now_ms);
    }
    if (plan.want != view.has) {
        write_taints(x, plan.want, view.has);
    }
}

static void mark_not_ready(struct node_sync *x, struct object *pod)
{
    assert(pod);
    if (!client_condition_true(pod, "Ready")) {
        return;
    }
    struct client_body b = client_patch_new(x->a, pod);
    yyjson_mut_val *list = yyjson_mut_arr(b.doc);
    JSON_EACH(it, json_get(client_status(pod), "conditions"))
    {
        yyjson_mut_val *c = json_mut_copy(b.doc, it.val);
        yyjson_mut_arr_append(list, c);
        if (span_eq_cstr(json_get_str(it.val, "type"), "Ready")) {
            json_put_str(b.doc, c, "status", SPAN("False"));
            json_put_str(b.doc, c, "lastTransitionTime", time_format(x->a, x->s->now_ms));
            json_put_str(b.doc, c, "reason", SPAN("NodeStatusUnknown"));
            json_put_str(b.doc, c, "message",
                         arena_printf(x->a, "node %.*s does not answer", SPAN_ARG(x->s->name)));
        }
    }
    json_put(b.doc, client_body_obj(&b, "status"), "conditions", list);
    sync_patch_status(x->s, x->c->pods, pod, &b, sync_or_gone, NULL);
    event_record(x->c->events, x->c->pod_kind, pod, EVENT_WARNING, "NodeNotReady",
                 "Node is not ready");
}

static bool see_pod(void *data, struct object *pod)
{
    struct node_sync *x = data;
    VEC_PUSH(&x->pods, pod);
    return true;
}

static void run_missing(struct node_sync *x)
{
    int64_t left_ms = x->seen->missing_ms + QUARANTINE_MS - mono_ms(x->c);
    if (left_ms > 0) {
        sync_after(x->s, left_ms);
        return;
    }
    for (size_t i = 0; i < x->pods.n; i++) {
        pod_end_by_force(x->s, x->c->pods, x->pods.at[i], "PodGC: node no longer exists");
    }
}

static void run_present(struct node_sync *x)
{
    assert(x->node);
    assert(x->seen);
    char ready = status_letter(x->node, "Ready");
    int64_t left_ms = x->seen->alive_ms + (ready ? GRACE_MS : STARTUP_GRACE_MS) - mono_ms(x->c);
    if (left_ms <= 0 && ready != 'U') {
        say_unknown(x);
        return;
    }
    if (left_ms > 0) {
        sync_after(x->s, left_ms + 1);
    }
    fix_taints(x);
    for (size_t i = 0; ready == 'U' && i < x->pods.n; i++) {
        mark_not_ready(x, x->pods.at[i]);
    }
}

static void run(struct sync *s)
{
    struct node_controller *c = s->controller;
    struct node_sync x = {.c = c, .s = s, .a = s->arena};
    x.node = informer_get(c->nodes, SPAN_NULL, s->name);
    x.seen = seen_of(c, s->name);
    if (x.node) {
        object_hold(s->arena, x.node);
    }
    if (!x.node || status_letter(x.node, "Ready") == 'U') {
        informer_index_each(c->pods, c->pods_by_node, s->name, see_pod, &x);
    }
    if (x.node) {
        if (!x.seen->zone) {
            count_node(c, x.seen, x.node); /* its event is still to come */
        }
        run_present(&x);
    } else if (x.pods.n > 0) {
        run_missing(&x);
    } else {
        map_remove(&c->seen, s->name);
        free(x.seen);
    }
    VEC_DONE(&x.pods);
}

/* ---- life ---- */

static void *make(const struct controller_place *place)
{
    struct node_controller *c = MEM_NEW(struct node_controller);
    c->env = place->env;
    c->client = place->client;
    c->node_kind = schema_kind_find("", "Node");
    c->pod_kind = schema_kind_find("", "Pod");
    assert(c->node_kind);
    assert(c->pod_kind);
    c->nodes = informer_set_get(place->informers, c->node_kind);
    c->pods = informer_set_get(place->informers, c->pod_kind);
    c->leases = informer_set_find(place->informers, "coordination.k8s.io", "Lease");
    c->pods_by_node = informer_add_index(c->pods, pod_end_by_node);
    c->reconciler = reconciler_new(place, "node-controller", PARALLEL, run, c);
    c->events = event_recorder_new(place->client, "node-controller", SPAN_NULL);
    static const struct informer_handler nodes = {on_node}, leases = {on_lease}, pods = {on_pod};
    reconciler_follow(c->reconciler, c->nodes, &nodes, c);
    reconciler_follow(c->reconciler, c->leases, &leases, c);
    reconciler_follow(c->reconciler, c->pods, &pods, c);
    return c;
}

static void end(void *controller)
{
    struct node_controller *c = controller;
    reconciler_free(c->reconciler);
    event_recorder_free(c->events);
    map_done_values(&c->seen, free);
    map_done_values(&c->zones, free);
    free(c);
}

const struct controller_type controller_node = {make, end};
