/* controller/node_controller.c: notices nodes that have fallen silent and removes pods that no node
 * will confirm.
 *
 * A node whose lease is older than the grace period gets Ready=Unknown and the taint
 * node.kubernetes.io/unreachable; one that says Ready=False gets node.kubernetes.io/not-ready; a
 * healthy one loses both. Pods of a silent node become not Ready; those that do not tolerate the
 * taint (for longer) are deleted through the API, which leaves them Terminating: only the node can
 * confirm the stop, so no second pod of an identity can appear. Pods of a Node object that does not
 * exist any more are removed by force after a quarantine.
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
#include "controller/reconciler.h"
#include "plan/schedule_plan.h"
#include "schema/schema.h"

enum { GRACE_MS = 50 * 1000, QUARANTINE_MS = 40 * 1000, PARALLEL = 8 };

#define LEASE_NAMESPACE SPAN("kube-node-lease")
#define UNREACHABLE "node.kubernetes.io/unreachable"
#define NOT_READY "node.kubernetes.io/not-ready"
#define OUT_OF_SERVICE "node.kubernetes.io/out-of-service"

/* When a node last showed a sign of life, on the monotonic clock; also kept while its Node object
 * is missing. */
struct seen {
    int64_t alive_ms, missing_ms;
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
    struct map seen;
};

static int64_t mono_ms(struct node_controller *c)
{
    return env_mono_ns(c->env) / 1000000;
}

static void by_node(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx)
{
    struct span node = json_str(json_path(object_root(o), "spec", "nodeName", NULL));
    if (node.n) {
        emit(ctx, node);
    }
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
    reconciler_add(c->reconciler, SPAN_NULL, object_name(node));
}

static void on_lease(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct node_controller *c = data;
    if (!now || !span_eq(object_namespace(now), LEASE_NAMESPACE)) {
        return;
    }
    if (old && json_equal(json_path(object_root(old), "spec", "renewTime", NULL),
                          json_path(object_root(now), "spec", "renewTime", NULL))) {
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
    struct span node =
        now ? json_str(json_path(object_root(now), "spec", "nodeName", NULL)) : SPAN_NULL;
    bool fresh =
        node.n && (!old || json_str(json_path(object_root(old), "spec", "nodeName", NULL)).n == 0);
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
    const char *taint; /* the one that the node should bear; NULL: none */
    int64_t since_ms;  /* wall clock: since when */
    VEC(struct object *) pods;
};

static bool on_raced(struct sync *s, void *data, const struct client_reply *reply)
{
    (void)s;
    (void)data;
    return reply->err.reason == ERR_NOT_FOUND;
}

static void say_unknown(struct node_sync *x)
{
    assert(x->node);
    struct client_body b = client_patch_new(x->a, x->node);
    yyjson_mut_val *list = yyjson_mut_arr(b.doc);
    struct span now = time_format(x->a, x->s->now_ms);
    JSON_EACH(it, json_path(object_root(x->node), "status", "conditions", NULL))
    {
        yyjson_mut_val *c = json_mut_copy(b.doc, it.val);
        yyjson_mut_arr_append(list, c);
        json_put_str(b.doc, c, "status", SPAN("Unknown"));
        json_put_str(b.doc, c, "reason", SPAN("NodeStatusUnknown"));
        json_put_str(b.doc, c, "message", SPAN("Kubelet stopped posting node status."));
        json_put_str(b.doc, c, "lastTransitionTime", now);
    }
    json_put(b.doc, client_body_obj(&b, "status"), "conditions", list);
    struct client_request rq = client_request_for(CLIENT_PATCH_MERGE, x->c->node_kind, x->node);
    rq.subresource = SPAN("status");
    rq.body = client_body_text(&b);
    sync_do(x->s, &rq, x->c->nodes, on_raced, NULL);
    event_record(x->c->events, x->c->node_kind, x->node, EVENT_NORMAL, "NodeNotReady",
                 "Node %.*s status is now: NodeNotReady", SPAN_ARG(x->s->name));
    sync_again(x->s);
}

static bool is_ours(const yyjson_val *taint)
{
    struct span key = json_get_str(taint, "key");
    return span_eq_cstr(key, UNREACHABLE) || span_eq_cstr(key, NOT_READY);
}

/* True when the taints were right already. */
static bool fix_taints(struct node_sync *x)
{
    static const char *const effects[] = {"NoSchedule", "NoExecute"};
    yyjson_val *taints = json_path(object_root(x->node), "spec", "taints", NULL);
    size_t right = 0, wrong = 0;
    JSON_EACH(it, taints)
    {
        bool ours = is_ours(it.val);
        bool wanted = x->taint && span_eq_cstr(json_get_str(it.val, "key"), x->taint);
        right += ours && wanted;
        wrong += ours && !wanted;
    }
    if (wrong == 0 && right == (x->taint ? 2 : 0)) {
        return true;
    }
    struct client_body b = client_patch_new(x->a, x->node);
    yyjson_mut_val *list = yyjson_mut_arr(b.doc);
    JSON_EACH(it, taints)
    {
        if (!is_ours(it.val)) {
            yyjson_mut_arr_append(list, json_mut_copy(b.doc, it.val));
        }
    }
    for (size_t i = 0; x->taint && i < 2; i++) {
        yyjson_mut_val *t = yyjson_mut_obj(b.doc);
        json_put_str(b.doc, t, "key", span_cstr(x->taint));
        json_put_str(b.doc, t, "effect", span_cstr(effects[i]));
        json_put_str(b.doc, t, "timeAdded", time_format(x->a, x->s->now_ms));
        yyjson_mut_arr_append(list, t);
    }
    json_put(b.doc, client_body_obj(&b, "spec"), "taints", list);
    struct client_request rq = client_request_for(CLIENT_PATCH_MERGE, x->c->node_kind, x->node);
    rq.body = client_body_text(&b);
    sync_do(x->s, &rq, x->c->nodes, on_raced, NULL);
    sync_again(x->s);
    return false;
}

static void mark_not_ready(struct node_sync *x, struct object *pod)
{
    assert(pod);
    if (!client_condition_true(pod, "Ready")) {
        return;
    }
    struct client_body b = client_patch_new(x->a, pod);
    yyjson_mut_val *list = yyjson_mut_arr(b.doc);
    JSON_EACH(it, json_path(object_root(pod), "status", "conditions", NULL))
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
    struct client_request rq = client_request_for(CLIENT_PATCH_MERGE, x->c->pod_kind, pod);
    rq.subresource = SPAN("status");
    rq.body = client_body_text(&b);
    sync_do(x->s, &rq, x->c->pods, on_raced, NULL);
}

static void delete_pod(struct node_sync *x, struct object *pod, int64_t grace_s)
{
    struct client_request rq = client_request_for(CLIENT_DELETE, x->c->pod_kind, pod);
    rq.precondition_uid = object_uid(pod);
    rq.grace_s = grace_s;
    sync_do(x->s, &rq, x->c->pods, on_raced, NULL);
}

/* How long the pod bears the taint: -1 for ever, 0 not at all. */
static int64_t tolerated_s(struct node_sync *x, struct object *pod)
{
    assert(x->taint);
    yyjson_val *tolerations = json_path(object_root(pod), "spec", "tolerations", NULL);
    if (!schedule_tolerates(tolerations, span_cstr(x->taint), SPAN(""), SPAN("NoExecute"))) {
        return 0;
    }
    int64_t shortest = -1;
    JSON_EACH(it, tolerations)
    {
        struct span key = json_get_str(it.val, "key"), effect = json_get_str(it.val, "effect");
        int64_t s = json_get_int(it.val, "tolerationSeconds", -1);
        if ((key.n == 0 || span_eq_cstr(key, x->taint)) &&
            (effect.n == 0 || span_eq_cstr(effect, "NoExecute")) && s >= 0 &&
            (shortest < 0 || s < shortest)) {
            shortest = s;
        }
    }
    return shortest < LIMIT_GRACE_S ? shortest : LIMIT_GRACE_S;
}

struct disruption {
    const char *reason, *message;
    bool failed; /* nobody else will say how it ended */
};

/* Why the pod goes, for those who made it. */
static void say_disruption(struct node_sync *x, struct object *pod, struct disruption why)
{
    assert(pod);
    struct client_body b = client_patch_new(x->a, pod);
    yyjson_mut_val *list = yyjson_mut_arr(b.doc), *c = yyjson_mut_obj(b.doc);
    JSON_EACH(it, json_path(object_root(pod), "status", "conditions", NULL))
    {
        if (!span_eq_cstr(json_get_str(it.val, "type"), "DisruptionTarget")) {
            yyjson_mut_arr_append(list, json_mut_copy(b.doc, it.val));
        }
    }
    json_put_str(b.doc, c, "type", SPAN("DisruptionTarget"));
    json_put_str(b.doc, c, "status", SPAN("True"));
    json_put_str(b.doc, c, "lastTransitionTime", time_format(x->a, x->s->now_ms));
    json_put_str(b.doc, c, "reason", span_cstr(why.reason));
    json_put_str(b.doc, c, "message", span_cstr(why.message));
    yyjson_mut_arr_append(list, c);
    json_put(b.doc, client_body_obj(&b, "status"), "conditions", list);
    if (why.failed) {
        json_put_str(b.doc, client_body_obj(&b, "status"), "phase", SPAN("Failed"));
    }
    struct client_request rq = client_request_for(CLIENT_PATCH_MERGE, x->c->pod_kind, pod);
    rq.subresource = SPAN("status");
    rq.body = client_body_text(&b);
    sync_do(x->s, &rq, x->c->pods, on_raced, NULL);
}

/* Its node is no more. One that a finalizer keeps says that it has failed: a job may wait for that.
 */
static void end_pod(struct node_sync *x, struct object *pod, const char *message)
{
    yyjson_val *root = object_root(pod);
    struct span phase = json_get_str(json_get(root, "status"), "phase");
    bool ended = span_eq(phase, SPAN("Failed")) || span_eq(phase, SPAN("Succeeded"));
    if (!ended && json_len(json_path(root, "metadata", "finalizers", NULL))) {
        say_disruption(x, pod, (struct disruption){"DeletionByPodGC", message, true});
    }
    delete_pod(x, pod, 0);
}

/* Somebody asserts that the node is off, and that whatever ran there has ended. */
static bool is_out_of_service(struct node_sync *x, struct object *pod)
{
    assert(x->node);
    yyjson_val *tolerations = json_path(object_root(pod), "spec", "tolerations", NULL);
    JSON_EACH(it, json_path(object_root(x->node), "spec", "taints", NULL))
    {
        struct span key = json_get_str(it.val, "key"), effect = json_get_str(it.val, "effect");
        if (span_eq_cstr(key, OUT_OF_SERVICE) && span_eq_cstr(effect, "NoExecute")) {
            return !schedule_tolerates(tolerations, key, json_get_str(it.val, "value"), effect);
        }
    }
    return false;
}

static void evict(struct node_sync *x, struct object *pod)
{
    if (is_out_of_service(x, pod)) {
        end_pod(x, pod, "PodGC: node is out-of-service");
        return;
    }
    int64_t bears_s = tolerated_s(x, pod);
    if (bears_s < 0 || object_is_deleting(pod)) {
        return;
    }
    int64_t left_ms = x->since_ms + bears_s * 1000 - x->s->now_ms;
    if (left_ms > 0) {
        sync_after(x->s, left_ms);
        return;
    }
    event_record(x->c->events, x->c->pod_kind, pod, EVENT_NORMAL, "TaintManagerEviction",
                 "Marking for deletion Pod %.*s/%.*s", SPAN_ARG(object_namespace(pod)),
                 SPAN_ARG(object_name(pod)));
    say_disruption(x, pod,
                   (struct disruption){"DeletionByTaintManager",
                                       "Taint manager: deleting due to NoExecute taint", false});
    delete_pod(x, pod, -1);
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
        end_pod(x, x->pods.at[i], "PodGC: node no longer exists");
    }
}

static void run_present(struct node_sync *x)
{
    assert(x->node);
    assert(x->seen);
    int64_t left_ms = x->seen->alive_ms + GRACE_MS - mono_ms(x->c);
    yyjson_val *ready = client_condition(x->node, "Ready");
    struct span status = json_get_str(ready, "status");
    if (left_ms <= 0 && ready && !span_eq_cstr(status, "Unknown")) {
        say_unknown(x);
        return;
    }
    if (left_ms > 0) {
        sync_after(x->s, left_ms + 1);
    }
    x->taint = span_eq_cstr(status, "Unknown") ? UNREACHABLE
               : !span_eq_cstr(status, "True") ? NOT_READY
                                               : NULL;
    x->since_ms = time_or(json_get_str(ready, "lastTransitionTime"), x->s->now_ms);
    if (!fix_taints(x) || !x->taint) {
        return;
    }
    for (size_t i = 0; i < x->pods.n; i++) {
        if (span_eq_cstr(status, "Unknown")) {
            mark_not_ready(x, x->pods.at[i]);
        }
        evict(x, x->pods.at[i]);
    }
}

static void unref_object(void *data)
{
    object_unref(data);
}

static void run(struct sync *s)
{
    struct node_controller *c = s->controller;
    struct node_sync x = {.c = c, .s = s, .a = s->arena};
    x.node = informer_get(c->nodes, SPAN_NULL, s->name);
    x.seen = seen_of(c, s->name);
    if (x.node) {
        arena_on_clear(s->arena, unref_object, object_ref(x.node));
    }
    informer_index_each(c->pods, c->pods_by_node, s->name, see_pod, &x);
    if (x.node) {
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
    c->pods_by_node = informer_add_index(c->pods, by_node);
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
    free(c);
}

const struct controller_type controller_node = {make, end};
