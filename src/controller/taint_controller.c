/* controller/taint_controller.c: deletes pods that do not tolerate, or not any longer, the taints
 * of effect NoExecute that their nodes bear: plan/taint_plan decides.
 *
 * The key is a pod. It runs when the pod is bound or its tolerations change, if its node is
 * tainted; when a node's taints change, every pod there; and when a toleration runs out. So a pod's
 * event costs one look into a map, and nodes without such taints cost nothing.
 *
 * A deleted pod of a node that does not answer stays Terminating: only the node can confirm that it
 * has stopped, so no second pod of an identity can appear. Unless somebody asserts that the node is
 * off, by the taint node.kubernetes.io/out-of-service: then such pods are removed by force. And one
 * that never had a node, which a finalizer keeps, has failed: nobody else will say so.
 *
 * Since when a taint is there says its timeAdded, else when it was first seen here: a restart
 * begins to count anew for those. */
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "client/client_body.h"
#include "client/client_event.h"
#include "codec/time.h"
#include "controller/controller.h"
#include "controller/pod_end.h"
#include "plan/taint_plan.h"
#include "schema/kinds.h"

enum {
    PARALLEL = 8,
    LAST_MS = 999, /* of a second: times in objects are whole seconds, and nobody goes early */
};

#define OUT_OF_SERVICE "node.kubernetes.io/out-of-service"

/* A node with taints that end pods; key: its name. */
struct tainted {
    struct object *node; /* which the spans of the taints point into */
    struct taint *taints;
    size_t count, name_n;
    bool is_off; /* not Ready, and somebody says that it is out of service */
    char name[];
};

/* A pod that is going to be deleted when a toleration runs out; key: its uid. */
struct due {
    int64_t at_ms;
    size_t uid_n;
    char uid[];
};

struct taint_controller {
    struct env *env;
    struct informer *pods;
    int pods_by_node;
    struct reconciler *reconciler;
    struct event_recorder *events;
    struct map tainted, due;
};

/* ---- nodes ---- */

static yyjson_val *taints_of(struct object *node)
{
    return json_get(client_spec(node), "taints");
}

static void tainted_free(void *value)
{
    struct tainted *t = value;
    if (t) {
        object_unref(t->node);
        free(t->taints);
        free(t);
    }
}

static const struct taint *taint_find(const struct tainted *t, const struct taint *like)
{
    for (size_t i = 0; t && i < t->count; i++) {
        if (span_eq(t->taints[i].key, like->key) && span_eq(t->taints[i].value, like->value)) {
            return &t->taints[i];
        }
    }
    return NULL;
}

/* NULL: it bears nothing that ends pods. */
static struct tainted *tainted_new(struct object *node, const struct tainted *was, int64_t now_ms)
{
    struct span name = object_name(node);
    yyjson_val *all = taints_of(node);
    if (json_len(all) == 0) {
        return NULL;
    }
    struct tainted *t = mem_new(sizeof *t + name.n + 1);
    *t = (struct tainted){.node = object_ref(node),
                          .taints = mem_new_array(json_len(all), sizeof(struct taint)),
                          .name_n = name.n};
    memcpy(t->name, name.p, name.n);
    JSON_EACH(it, all)
    {
        struct taint one = {json_get_str(it.val, "key"), json_get_str(it.val, "value"), now_ms};
        t->is_off |= span_eq_cstr(one.key, OUT_OF_SERVICE) && !client_condition_true(node, "Ready");
        if (!span_eq_cstr(json_get_str(it.val, "effect"), "NoExecute")) {
            continue;
        }
        const struct taint *before = taint_find(was, &one);
        int64_t added_ms = time_or(json_get_str(it.val, "timeAdded"), now_ms) + LAST_MS;
        if (before) {
            one.since_ms = before->since_ms;
        } else if (added_ms < now_ms) {
            one.since_ms = added_ms;
        }
        t->taints[t->count++] = one;
    }
    assert(t->count <= json_len(all));
    if (t->count == 0 && !t->is_off) {
        tainted_free(t);
        return NULL;
    }
    return t;
}

static bool is_same(const struct tainted *a, const struct tainted *b)
{
    if (!a || !b) {
        return a == b;
    }
    bool same = a->count == b->count && a->is_off == b->is_off;
    for (size_t i = 0; same && i < a->count; i++) {
        same = taint_find(b, &a->taints[i]) != NULL;
    }
    return same;
}

static bool add_pod(void *data, struct object *pod)
{
    struct taint_controller *c = data;
    reconciler_add_object(c->reconciler, pod);
    return true;
}

static void on_node(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct taint_controller *c = data;
    struct span name = object_name(now ? now : old);
    bool had = old && json_len(taints_of(old)) > 0, has = now && json_len(taints_of(now)) > 0;
    if (!had && !has) {
        return;
    }
    struct tainted *was = map_remove(&c->tainted, name);
    struct tainted *is = now ? tainted_new(now, was, env_now_ms(c->env)) : NULL;
    if (is) {
        assert(is->count > 0 || is->is_off);
        map_put(&c->tainted, span_of(is->name, is->name_n), is);
    }
    if (!is_same(was, is)) {
        informer_index_each(c->pods, c->pods_by_node, name, add_pod, c);
    }
    tainted_free(was);
}

/* ---- pods ---- */

static struct due *due_of(struct taint_controller *c, struct object *pod)
{
    return map_get(&c->due, object_uid(pod));
}

static void due_set(struct taint_controller *c, struct object *pod, int64_t at_ms)
{
    struct span uid = object_uid(pod);
    struct due *d = due_of(c, pod);
    if (!d) {
        d = mem_new(sizeof *d + uid.n + 1);
        d->uid_n = uid.n;
        memcpy(d->uid, uid.n ? uid.p : "", uid.n);
        map_put(&c->due, span_of(d->uid, d->uid_n), d);
    }
    assert(due_of(c, pod) == d);
    d->at_ms = at_ms;
}

static void due_forget(struct taint_controller *c, struct object *pod)
{
    free(map_remove(&c->due, object_uid(pod)));
}

static bool same_tolerations(struct object *old, struct object *now)
{
    yyjson_val *was = json_get(client_spec(old), "tolerations");
    yyjson_val *is = json_get(client_spec(now), "tolerations");
    return json_len(was) == json_len(is) && (json_len(is) == 0 || json_equal(was, is));
}

static void on_pod(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct taint_controller *c = data;
    assert(c->reconciler);
    if (old && (!now || !span_eq(object_uid(old), object_uid(now)))) {
        due_forget(c, old);
        old = NULL;
    }
    if (now && object_is_deleting(now) && pod_end_node(now).n == 0) {
        reconciler_add_object(c->reconciler, now);
    }
    if (!now || c->tainted.n == 0 || !map_get(&c->tainted, pod_end_node(now))) {
        return;
    }
    if (!old || pod_end_node(old).n == 0 || object_is_deleting(old) != object_is_deleting(now) ||
        !same_tolerations(old, now)) {
        reconciler_add_object(c->reconciler, now);
    }
}

/* ---- a sync ---- */

/* Since when it is on its node: when it was bound, to the end of that second. */
static int64_t placed_ms(struct object *pod)
{
    int64_t made = time_or(json_get_str(client_meta(pod), "creationTimestamp"), 0);
    yyjson_val *bound = client_condition(pod, "PodScheduled");
    bool is_told = span_eq_cstr(json_get_str(bound, "status"), "True");
    return LAST_MS + (is_told ? time_or(json_get_str(bound, "lastTransitionTime"), made) : made);
}

static void cancel(struct taint_controller *c, struct object *pod)
{
    if (due_of(c, pod)) {
        due_forget(c, pod);
        event_record(c->events, SCHEMA_KIND(Pod), pod, EVENT_NORMAL, "TaintManagerEviction",
                     "Cancelling deletion of Pod %.*s/%.*s", SPAN_ARG(object_namespace(pod)),
                     SPAN_ARG(object_name(pod)));
    }
}

static void evict(struct taint_controller *c, struct sync *s, struct object *pod)
{
    static const struct pod_end how = {.reason = "DeletionByTaintManager",
                                       .message = "Taint manager: deleting due to NoExecute taint",
                                       .grace_s = -1};
    struct due *d = due_of(c, pod);
    if (d && d->at_ms > s->now_ms) {
        cancel(c, pod); /* it goes earlier than that */
    }
    due_forget(c, pod);
    event_record(c->events, SCHEMA_KIND(Pod), pod, EVENT_NORMAL, "TaintManagerEviction",
                 "Marking for deletion Pod %.*s/%.*s", SPAN_ARG(s->ns), SPAN_ARG(s->name));
    pod_end(s, c->pods, pod, &how);
}

static void run(struct sync *s)
{
    struct taint_controller *c = s->controller;
    struct object *pod = informer_get(c->pods, s->ns, s->name);
    if (!pod) {
        return;
    }
    const struct tainted *t = map_get(&c->tainted, pod_end_node(pod));
    if (object_is_deleting(pod)) {
        due_forget(c, pod);
        if (pod_end_node(pod).n == 0) {
            pod_end_unplaced(s, c->pods, pod);
        } else if (t && t->is_off) { /* somebody asserts that the node does not run */
            pod_end_by_force(s, c->pods, pod, "PodGC: node is out-of-service");
        }
        return;
    }
    struct taint_view view = {.placed_ms = placed_ms(pod), .now_ms = s->now_ms};
    view.taints = t ? t->taints : NULL;
    view.taint_count = t ? t->count : 0;
    view.tolerations = json_get(client_spec(pod), "tolerations");
    const struct due *d = due_of(c, pod);
    struct taint_plan plan = taint_plan(&view);
    switch (plan.verdict) {
    case TAINT_STAY:
        cancel(c, pod);
        return;
    case TAINT_WAIT:
        if (d && d->at_ms != plan.at_ms) {
            cancel(c, pod);
        }
        due_set(c, pod, plan.at_ms);
        sync_at(s, plan.at_ms);
        return;
    case TAINT_EVICT:
        evict(c, s, pod);
        return;
    }
}

/* ---- life ---- */

static void *make(const struct controller_place *place)
{
    struct taint_controller *c = MEM_NEW(struct taint_controller);
    c->env = place->env;
    c->pods = informer_set_get(place->informers, SCHEMA_KIND(Pod));
    c->pods_by_node = informer_add_index(c->pods, pod_end_by_node);
    c->reconciler = reconciler_new(place, "taint-eviction-controller", PARALLEL, run, c);
    c->events = event_recorder_new(place->client, "taint-eviction-controller", SPAN_NULL);
    static const struct informer_handler nodes = {on_node}, pods = {on_pod};
    reconciler_follow(c->reconciler, informer_set_get(place->informers, SCHEMA_KIND(Node)), &nodes,
                      c);
    reconciler_follow(c->reconciler, c->pods, &pods, c);
    return c;
}

static void end(void *controller)
{
    struct taint_controller *c = controller;
    reconciler_free(c->reconciler);
    event_recorder_free(c->events);
    map_done_values(&c->tainted, tainted_free);
    map_done_values(&c->due, free);
    free(c);
}

const struct controller_type controller_taint = {make, end};
