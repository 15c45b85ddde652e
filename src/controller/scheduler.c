/* controller/scheduler.c: binds pods that have no node (schedulerName default-scheduler) and says
 * why it cannot.
 *
 * Event driven: a pod that fits nowhere is looked at again when a node, a claim or a volume changes
 * or a pod goes; one whom neighbours keep out, also when a pod that its rules are about comes,
 * changes its labels or begins to stop.
 *
 * What each node's pods use is kept up to date by pod events. A pod that is being bound is counted
 * from the decision on (assumed), until its own event shows it on the node or the binding has
 * failed; so is one whose claim needs a node named, until it is looked at again. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "client/client_body.h"
#include "codec/time.h"
#include "controller/pod_end.h"
#include "controller/scheduler_priv.h"
#include "plan/host_port.h"
#include "plan/schedule_request.h"
#include "plan/why_plan.h"
#include "schema/schema.h"
#include "schema/status.h"

enum {
    PARALLEL = 64,
    /* A fresh claim is bound within milliseconds: nobody needs to be told before this. */
    UNBOUND_QUIET_MS = 1000,
};

/* ---- where pods are ---- */

static void unplace(struct scheduler *c, struct span uid)
{
    if (usage_remove(c->book, uid) && c->near) {
        near_index_remove(c->near, uid);
    }
}

static bool put_near(void *data, struct object *pod)
{
    struct scheduler *c = data;
    const struct placed *p = usage_find(c->book, object_uid(pod));
    if (p) {
        near_index_put(c->near, pod, p->on->name);
    }
    return true;
}

/* From the first pod on that has such rules. */
static void follow_neighbours(struct scheduler *c, struct object *pod)
{
    const yyjson_val *spec = client_spec(pod);
    if (!c->near && (near_pod_has_terms(spec) || near_pod_has_spread(spec))) {
        c->near = near_index_new(c->pods, c->namespaces);
        informer_each(c->pods, put_near, c);
    }
}

static void place(struct scheduler *c, struct object *pod, struct span node)
{
    unplace(c, object_uid(pod));
    usage_put(c->book, pod, node);
    int32_t priority = scheduler_priority(pod);
    c->lowest = priority < c->lowest ? priority : c->lowest;
    follow_neighbours(c, pod);
    if (c->near) {
        near_index_put(c->near, pod, node);
    }
}

/* ---- pods that wait ---- */

static struct waiting *wait_add(struct scheduler *c, struct object *pod, int64_t now_ms)
{
    struct span ns = object_namespace(pod), name = object_name(pod), key = object_place(pod);
    assert(name.n > 0);
    struct waiting *w = map_get(&c->waiting, key);
    if (w) {
        w->priority = scheduler_priority(pod);
        return w;
    }
    w = mem_new(sizeof *w + key.n + 1);
    w->key_n = key.n;
    memcpy(w->key, key.p, key.n);
    w->ns = span_of(w->key, ns.n);
    w->name = span_of(w->key + ns.n + 1, name.n);
    w->since_ms = now_ms;
    w->priority = scheduler_priority(pod);
    c->ranked |= w->priority != 0;
    map_put(&c->waiting, span_of(w->key, w->key_n), w);
    return w;
}

static struct waiting *wait_get(struct scheduler *c, struct span ns, struct span name)
{
    if (c->waiting.n == 0) {
        return NULL;
    }
    cleanup_arena struct arena *a = arena_new();
    return map_get(&c->waiting, ARENA_JOIN(a, ns, SPAN("/"), name));
}

static void wait_near(struct scheduler *c, struct waiting *w, bool near)
{
    c->near_waiting += (size_t)near - (size_t)w->near;
    w->near = near;
    assert(c->near_waiting <= c->waiting.n);
}

static int by_priority(const void *a, const void *b)
{
    int32_t x = (*(struct waiting *const *)a)->priority,
            y = (*(struct waiting *const *)b)->priority;
    return x > y ? -1 : x < y;
}

/* Those of that namespace (empty: all) and above that priority; the most important first. */
static void wake_some(struct scheduler *c, struct span ns, int64_t above)
{
    if (c->waiting.n == 0) {
        return;
    }
    cleanup_arena struct arena *a = arena_new();
    struct waiting **list = ARENA_ARRAY(a, struct waiting *, c->waiting.n);
    size_t pos = 0, n = 0;
    for (struct waiting *w; (w = map_next(&c->waiting, &pos, NULL));) {
        if (w->priority > above && (ns.n == 0 || span_eq(ns, w->ns))) {
            list[n++] = w;
        }
    }
    if (c->ranked) {
        qsort(list, n, sizeof(struct waiting *), by_priority);
    }
    for (size_t i = 0; i < n; i++) {
        reconciler_add(c->reconciler, list[i]->ns, list[i]->name);
    }
}

static void wake(struct scheduler *c, struct span ns)
{
    wake_some(c, ns, INT64_MIN);
}

/* It may have been in somebody's way. */
static void give_room_back(struct scheduler *c, struct span uid)
{
    if (usage_find(c->book, uid)) {
        unplace(c, uid);
        wake(c, SPAN_NULL);
    }
}

/* Only now may it be sent away: who needed its room while it was being bound had to let it be. */
static void wake_above(struct scheduler *c, int32_t priority)
{
    if (c->ranked || priority < 0) { /* else nobody who waits is above it */
        wake_some(c, SPAN_NULL, priority);
    }
}

/* Others may have the room that is not kept any more. */
static void nominate(struct scheduler *c, struct waiting *w, struct span node)
{
    bool kept = w->nominated && !span_eq_cstr(node, w->nominated);
    scheduler_nominate(c, w, node);
    if (kept) {
        wake(c, SPAN_NULL);
    }
}

static void wait_remove(struct scheduler *c, struct span ns, struct span name)
{
    struct waiting *w = wait_get(c, ns, name);
    if (w) {
        struct waiting *known = map_remove(&c->waiting, span_of(w->key, w->key_n));
        assert(known == w);
        c->near_waiting -= w->near;
        nominate(c, w, SPAN_NULL);
        free(w);
    }
}

/* Of those whom neighbours keep out, the ones that have a rule about this pod, or that it has one
 * about. pod NULL: all. */
static void wake_near(struct scheduler *c, struct object *pod)
{
    if (c->near_waiting == 0) {
        return;
    }
    assert(c->near);
    cleanup_arena struct arena *a = arena_new();
    struct near_pod other = {0};
    if (pod) {
        other = near_index_pod(c->near, pod);
    }
    size_t pos = 0;
    for (struct waiting *w; (w = map_next(&c->waiting, &pos, NULL));) {
        struct object *o = w->near ? informer_get(c->pods, w->ns, w->name) : NULL;
        if (!o) {
            continue;
        }
        struct near_pod waiting = near_index_pod(c->near, o);
        if (!pod || near_concerns(a, &waiting, &other)) {
            reconciler_add(c->reconciler, w->ns, w->name);
        }
    }
}

/* ---- events ---- */

static struct span node_of(struct object *pod)
{
    return json_get_str(client_spec(pod), "nodeName");
}

static struct span nominated_of(struct object *pod)
{
    return json_get_str(client_status(pod), "nominatedNodeName");
}

static bool has_ended(struct object *pod)
{
    return status_pod_ended(object_root(pod));
}

static bool is_ours(struct object *pod)
{
    struct span name = json_get_str(client_spec(pod), "schedulerName");
    return name.n == 0 || span_eq_cstr(name, "default-scheduler");
}

static bool is_gated(struct object *pod)
{
    return json_len(json_get(client_spec(pod), "schedulingGates")) > 0;
}

static int64_t generation_of(struct object *pod)
{
    return json_get_int(client_meta(pod), "generation", 0);
}

/* Does what it takes follow from the spec alone, which is the same? */
static bool takes_as_much(struct object *old, struct object *now)
{
    return generation_of(old) == generation_of(now) &&
           !client_condition_true(old, "PodResizePending") &&
           !client_condition_true(now, "PodResizePending");
}

static bool is_counted(const struct placed *as, struct object *pod)
{
    struct schedule_needs holds = schedule_holds(object_root(pod));
    return as->cpu_milli == holds.cpu_milli && as->memory_bytes == holds.memory_bytes &&
           span_eq(as->on->name, node_of(pod));
}

/* A pod on a node whose spec has changed, which may have been a resize: what it takes is counted
 * anew, and what became free may be enough for others. */
static void recount(struct scheduler *c, struct object *old, struct object *pod)
{
    const struct placed *was = usage_find(c->book, object_uid(pod));
    assert(was);
    if (generation_of(pod) < 2 || takes_as_much(old, pod)) {
        verify(generation_of(pod) < 2 || is_counted(was, pod));
        return;
    }
    int64_t cpu = was->cpu_milli, memory = was->memory_bytes;
    place(c, pod, node_of(pod));
    was = usage_find(c->book, object_uid(pod));
    if (was->cpu_milli < cpu || was->memory_bytes < memory) {
        wake(c, SPAN_NULL);
    }
}

static bool same_labels(struct object *a, struct object *b)
{
    return json_equal(near_labels(object_root(a)), near_labels(object_root(b)));
}

/* What its neighbours may care about: it has come, goes by another name or begins to stop. */
static void tell_neighbours(struct scheduler *c, struct object *old, struct object *now)
{
    if (!c->near || !now) {
        return;
    }
    const struct placed *p = usage_find(c->book, object_uid(now));
    bool relabelled = old && !same_labels(old, now);
    if (relabelled && !p && wait_get(c, object_namespace(now), object_name(now))) {
        reconciler_add_object(c->reconciler, now);
    }
    if (!p) {
        return;
    }
    if (relabelled) {
        near_index_put(c->near, now, p->on->name);
        wake_near(c, old);
    }
    if (relabelled || !old || !node_of(old).n ||
        object_is_deleting(old) != object_is_deleting(now)) {
        wake_near(c, now);
    }
}

static void account(struct scheduler *c, struct object *old, struct object *now)
{
    assert(old || now);
    struct object *pod = now ? now : old;
    if (!now || has_ended(now)) {
        wait_remove(c, object_namespace(pod), object_name(pod));
        give_room_back(c, object_uid(pod));
        return;
    }
    if (node_of(now).n) {
        if (!old || !node_of(old).n || !usage_find(c->book, object_uid(now))) {
            place(c, now, node_of(now));
            wake_above(c, scheduler_priority(now));
        } else {
            recount(c, old, now);
        }
        wait_remove(c, object_namespace(now), object_name(now));
    } else if (is_ours(now) && !object_is_deleting(now) && !is_gated(now) &&
               (!old || is_gated(old))) {
        struct span node = nominated_of(now);
        if (node.n && !wait_get(c, object_namespace(now), object_name(now))) {
            scheduler_nominate(c, wait_add(c, now, 0), node); /* by the one before us */
            follow_neighbours(c, now);
        }
        reconciler_add_object(c->reconciler, now);
    }
}

static void on_pod(void *data, struct object *old, struct object *now)
{
    account(data, old, now);
    tell_neighbours(data, old, now);
}

static void on_namespace(void *data, struct object *old, struct object *now)
{
    if (old && now && !same_labels(old, now)) {
        wake_near(data, NULL);
    }
}

/* One less may be what makes the others even (spread). */
static void on_node(void *data, struct object *old, struct object *now)
{
    struct scheduler *c = data;
    if (c->waiting.n > 0 &&
        (!old || !now || schedule_node_differs(object_root(old), object_root(now)))) {
        wake(c, SPAN_NULL);
    }
}

static void on_claim(void *data, struct object *old, struct object *now)
{
    struct object *o = now ? now : old;
    wake(data, object_namespace(o));
}

static void on_volume(void *data, struct object *old, struct object *now)
{
    (void)old;
    if (now) {
        wake(data, SPAN_NULL);
    }
}

/* ---- observing ---- */

static bool waits_for_consumer(struct pod_sync *x, struct object *claim)
{
    struct span name = json_get_str(client_spec(claim), "storageClassName");
    struct object *class = name.n ? informer_get(x->c->classes, SPAN_NULL, name) : NULL;
    return class && span_eq_cstr(json_get_str(object_root(class), "volumeBindingMode"),
                                 "WaitForFirstConsumer");
}

static void observe_claim(struct pod_sync *x, struct span name)
{
    struct object *claim = informer_get(x->c->claims, x->s->ns, name);
    if (!claim) {
        x->view.obstacle =
            arena_printf(x->a, "persistentvolumeclaim \"%.*s\" not found", SPAN_ARG(name));
        return;
    }
    if (object_is_deleting(claim)) {
        x->view.obstacle =
            arena_printf(x->a, "persistentvolumeclaim \"%.*s\" is being deleted", SPAN_ARG(name));
        return;
    }
    yyjson_val *root = object_root(claim);
    struct span volume = json_str(json_path(root, "spec", "volumeName", NULL));
    bool bound = span_eq_cstr(status_phase(root), "Bound");
    if (volume.n == 0 || !bound) {
        if (waits_for_consumer(x, claim)) {
            x->wait_claim = claim;
        } else {
            struct span why = why_claim(x->a, root);
            x->view.obstacle =
                arena_printf(x->a, "pod has unbound immediate PersistentVolumeClaims: %.*s%s%.*s",
                             SPAN_ARG(name), why.n ? ": " : "", SPAN_ARG(why));
            x->unbound_only = true;
        }
        return;
    }
    struct object *pv = informer_get(x->c->volumes, SPAN_NULL, volume);
    if (!pv) {
        x->view.obstacle =
            arena_printf(x->a, "persistentvolume \"%.*s\" not found", SPAN_ARG(volume));
        x->unbound_only = true; /* its event is on the way */
        return;
    }
    yyjson_val *terms =
        json_path(client_spec(pv), "nodeAffinity", "required", "nodeSelectorTerms", NULL);
    if (terms) {
        x->volume_terms[x->volume_count++] = terms;
    }
}

static void observe_volumes(struct pod_sync *x)
{
    yyjson_val *volumes = json_get(x->spec, "volumes");
    x->volume_terms = ARENA_ARRAY(x->a, yyjson_val *, json_len(volumes) + 1);
    JSON_EACH(it, volumes)
    {
        struct span name = json_str(json_path(it.val, "persistentVolumeClaim", "claimName", NULL));
        if (name.n && (x->view.obstacle.n == 0 || x->unbound_only)) {
            observe_claim(x, name);
        }
    }
}

static bool node_fits_selector(struct pod_sync *x, const yyjson_val *labels, struct span name)
{
    return schedule_selector_matches(x->selector, labels) &&
           (!x->required || schedule_terms_match(x->required, labels, name));
}

static struct span taint_of(struct pod_sync *x, struct object *node, const yyjson_val *taints)
{
    struct span taint = schedule_untolerated(x->a, taints, x->tolerations);
    if (taint.n == 0 && !client_condition_true(node, "Ready")) {
        taint = SPAN("node.kubernetes.io/not-ready: ");
    }
    return taint;
}

static void observe_more(const struct pod_sync *x, const yyjson_val *can, const struct usage *u,
                         struct schedule_node *n)
{
    n->more_free = ARENA_ARRAY(x->a, int64_t, x->view.more_count);
    for (size_t i = 0; i < x->view.more_count; i++) {
        struct span name = x->view.more[i].name;
        int64_t all = schedule_quantity(json_get_span(can, name), false);
        n->too_small |= x->view.more[i].units > all;
        n->more_free[i] = all - (u ? usage_units(u, name) : 0);
    }
}

static bool observe_node(void *data, struct object *node)
{
    struct pod_sync *x = data;
    assert(x->nodes);
    struct schedule_node *n = &x->nodes[x->view.node_count++];
    const yyjson_val *spec = client_spec(node), *labels = client_labels(node);
    const yyjson_val *can = json_get(client_status(node), "allocatable");
    const yyjson_val *taints = json_get(spec, "taints");
    n->name = object_name(node);
    n->labels = labels;
    n->unschedulable = json_get_bool(spec, "unschedulable", false) &&
                       !schedule_tolerates(x->tolerations, SPAN("node.kubernetes.io/unschedulable"),
                                           SPAN(""), SPAN("NoSchedule"));
    n->taint = taint_of(x, node, taints);
    n->shunned = schedule_shunned(taints, x->tolerations);
    n->selector_fits = node_fits_selector(x, labels, n->name);
    n->preference = schedule_preference(x->preferred, labels, n->name);
    n->volumes_reachable = true;
    for (size_t i = 0; i < x->volume_count; i++) {
        n->volumes_reachable &= schedule_terms_match(x->volume_terms[i], labels, n->name);
    }
    n->cpu_milli = schedule_quantity(json_get(can, "cpu"), true);
    n->memory_bytes = schedule_quantity(json_get(can, "memory"), false);
    n->too_small = x->view.cpu_milli > n->cpu_milli || x->view.memory_bytes > n->memory_bytes;
    const yyjson_val *pods = json_get(can, "pods");
    n->pods = pods ? schedule_quantity(pods, false) : 110;
    const struct usage *u = usage_of(x->c->book, n->name);
    if (u) {
        n->used_cpu_milli = u->cpu_milli;
        n->used_memory_bytes = u->memory_bytes;
        n->used_pods = u->pods;
        struct span taken = usage_ports_taken(x->a, u, x->ports, x->port_count);
        n->ports_taken = taken.n > 0;
        x->port_note = x->port_note.n ? x->port_note : taken;
    }
    if (x->view.more_count) {
        observe_more(x, can, u, n);
    }
    scheduler_count_nominees(x, n);
    return true;
}

static int by_node_name(const void *a, const void *b)
{
    return span_cmp(((const struct schedule_node *)a)->name,
                    ((const struct schedule_node *)b)->name);
}

static void observe_rules(struct pod_sync *x)
{
    const yyjson_val *affinity = json_path(x->spec, "affinity", "nodeAffinity", NULL);
    x->tolerations = json_get(x->spec, "tolerations");
    x->selector = json_get(x->spec, "nodeSelector");
    x->required = json_path(affinity, "requiredDuringSchedulingIgnoredDuringExecution",
                            "nodeSelectorTerms", NULL);
    x->preferred = json_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution");
}

static void observe(struct pod_sync *x)
{
    struct schedule_needs needs = schedule_needs(x->spec);
    x->view.cpu_milli = needs.cpu_milli;
    x->view.memory_bytes = needs.memory_bytes;
    x->view.more_count = needs.more ? schedule_more(x->a, x->spec, &x->view.more) : 0;
    x->port_count = host_ports(x->a, x->spec, &x->ports);
    observe_volumes(x);
    observe_rules(x);
    x->nodes = ARENA_ARRAY(x->a, struct schedule_node, informer_count(x->c->nodes) + 1);
    informer_each(x->c->nodes, observe_node, x);
    qsort(x->nodes, x->view.node_count, sizeof *x->nodes, by_node_name);
    assert(x->view.node_count <= informer_count(x->c->nodes));
    x->view.nodes = x->nodes;
    follow_neighbours(x->c, x->pod);
    if (x->c->near) {
        x->view.near = scheduler_near_nominees(
            x, near_index_view(x->c->near, x->a, x->pod, x->nodes, x->view.node_count));
    }
}

/* ---- acting ---- */

/* An error that does not tell whether it has been done: of the server, or that somebody was first,
 * which may have been this very binding under a reply that was lost. */
static bool may_be_done(enum err_reason reason)
{
    return reason == ERR_CONFLICT || err_http_code(reason) >= 500;
}

static bool on_bound(struct sync *s, void *data, const struct client_reply *reply)
{
    struct pod_sync *x = data;
    enum err_reason reason = reply->err.reason;
    assert(x->pod);
    if (reason != ERR_NONE) {
        struct object *now = informer_get(x->c->pods, s->ns, s->name);
        bool same = now && span_eq(object_uid(now), object_uid(x->pod));
        /* Until the next try or the pod itself tells, its room is its own; and after it, if that
         * was made for it. */
        if (!same || (node_of(now).n == 0 && !may_be_done(reason))) {
            if (same && nominated_of(now).n > 0) {
                scheduler_nominate(x->c, wait_add(x->c, now, s->now_ms), nominated_of(now));
            }
            give_room_back(x->c, object_uid(x->pod));
        }
        return reason == ERR_NOT_FOUND;
    }
    event_record(x->c->events, x->c->pod_kind, x->pod, EVENT_NORMAL, "Scheduled",
                 "Successfully assigned %.*s/%.*s to %.*s", SPAN_ARG(x->s->ns),
                 SPAN_ARG(x->s->name), SPAN_ARG(x->target));
    return true;
}

static void bind_pod(struct pod_sync *x, struct span node)
{
    assert(node.n > 0);
    assert(x->s->name.n > 0);
    struct client_body b = {.arena = x->a, .doc = json_mut_new(x->a)};
    b.root = yyjson_mut_obj(b.doc);
    json_put_str(b.doc, b.root, "kind", SPAN("Binding"));
    json_put_str(b.doc, b.root, "apiVersion", SPAN("v1"));
    b.meta = json_mut_obj(b.doc, b.root, "metadata");
    json_put_str(b.doc, b.meta, "name", x->s->name);
    json_put_str(b.doc, b.meta, "namespace", x->s->ns);
    json_put_str(b.doc, b.meta, "uid", object_uid(x->pod));
    yyjson_mut_val *target = client_body_obj(&b, "target");
    json_put_str(b.doc, target, "kind", SPAN("Node"));
    json_put_str(b.doc, target, "apiVersion", SPAN("v1"));
    json_put_str(b.doc, target, "name", node);
    struct client_request rq = client_request_for(CLIENT_CREATE, x->c->pod_kind, x->pod);
    rq.subresource = SPAN("binding");
    rq.tree = client_body_tree(&b);
    place(x->c, x->pod, node);
    wait_remove(x->c, x->s->ns, x->s->name);
    wake_near(x->c, x->pod);
    sync_do(x->s, &rq, NULL, on_bound, x);
}

/* The node for a claim that waits for its first consumer; its binding wakes the pod. */
static void select_node(struct pod_sync *x, struct span node)
{
    assert(node.n > 0);
    assert(!object_is_deleting(x->wait_claim));
    struct client_body b = client_patch_new(x->a, x->wait_claim);
    json_put_str(b.doc, json_mut_obj(b.doc, b.meta, "annotations"),
                 "volume.kubernetes.io/selected-node", node);
    nominate(x->c, wait_add(x->c, x->pod, x->s->now_ms), SPAN_NULL);
    place(x->c, x->pod, node); /* others must not choose as if it were not to come */
    struct span is = json_get_str(json_get(client_meta(x->wait_claim), "annotations"),
                                  "volume.kubernetes.io/selected-node");
    if (!span_eq(is, node)) {
        sync_patch(x->s, x->c->claims, x->wait_claim, &b, NULL, NULL);
    }
}

/* nominated: where room is being made for it; empty: nowhere. */
static void write_condition(struct pod_sync *x, struct span message, struct span nominated)
{
    assert(message.n > 0);
    yyjson_val *was = client_condition(x->pod, "PodScheduled");
    bool same_node = span_eq(nominated_of(x->pod), nominated);
    bool told = span_eq_cstr(json_get_str(was, "status"), "False") &&
                span_eq(json_get_str(was, "message"), message);
    if (told && same_node) {
        return;
    }
    struct client_body b = client_patch_new(x->a, x->pod);
    struct status_condition c = {"PodScheduled", SPAN("False"), time_format(x->a, x->s->now_ms),
                                 SPAN("Unschedulable"), message};
    (void)status_condition_put(b.doc, object_root(x->pod), client_body_obj(&b, "status"), &c);
    if (!same_node) {
        yyjson_mut_val *node =
            nominated.n ? json_new_str(b.doc, nominated) : yyjson_mut_null(b.doc);
        json_put(b.doc, client_body_obj(&b, "status"), "nominatedNodeName", node);
    }
    sync_patch_status(x->s, x->c->pods, x->pod, &b, NULL, NULL);
    if (told) {
        return;
    }
    event_record(x->c->events, x->c->pod_kind, x->pod, EVENT_WARNING, "FailedScheduling", "%.*s",
                 SPAN_ARG(message));
}

static void refuse(struct pod_sync *x, const struct schedule_plan *plan)
{
    struct waiting *w = wait_add(x->c, x->pod, x->s->now_ms);
    struct span message = plan->message;
    assert(message.n > 0);
    wait_near(x->c, w, plan->near);
    int64_t waited = x->s->now_ms - w->since_ms;
    if (x->unbound_only && waited >= 0 && waited < UNBOUND_QUIET_MS) {
        sync_after(x->s, UNBOUND_QUIET_MS - waited);
        return;
    }
    if (x->port_note.n) {
        message = arena_printf(x->a, "%.*s %.*s", SPAN_ARG(message), SPAN_ARG(x->port_note));
    }
    struct span why, node = scheduler_preempt(x, w, plan->only_pods, &why);
    if (why.n) {
        message = arena_printf(x->a, "%.*s preemption: %.*s", SPAN_ARG(message), SPAN_ARG(why));
    }
    nominate(x->c, w, node);
    write_condition(x, message, node);
}

static void run(struct sync *s)
{
    struct scheduler *c = s->controller;
    struct object *pod = informer_get(c->pods, s->ns, s->name);
    if (!pod || node_of(pod).n || object_is_deleting(pod) || has_ended(pod)) {
        if (pod && node_of(pod).n == 0) {
            give_room_back(c, object_uid(pod)); /* its binding had failed, perhaps */
        }
        wait_remove(c, s->ns, s->name);
        return;
    }
    object_hold(s->arena, pod);
    struct pod_sync *x = ARENA_NEW(s->arena, struct pod_sync);
    *x = (struct pod_sync){.c = c, .s = s, .a = s->arena, .pod = pod};
    x->spec = client_spec(pod);
    bool reserved = usage_find(c->book, object_uid(pod)) != NULL;
    unplace(c, object_uid(pod));
    observe(x);
    struct schedule_plan plan = schedule_plan(x->a, &x->view);
    if (!plan.fits) {
        if (reserved) {
            wake(c, SPAN_NULL);
        }
        refuse(x, &plan);
    } else if (x->wait_claim) {
        select_node(x, x->nodes[plan.node].name);
    } else {
        x->target = arena_dup(x->a, x->nodes[plan.node].name);
        bind_pod(x, x->target);
    }
}

/* ---- life ---- */

static void *make(const struct controller_place *place)
{
    struct scheduler *c = MEM_NEW(struct scheduler);
    c->client = place->client;
    c->pod_kind = schema_kind_find("", "Pod");
    c->claim_kind = schema_kind_find("", "PersistentVolumeClaim");
    assert(c->pod_kind);
    assert(c->claim_kind);
    c->pods = informer_set_get(place->informers, c->pod_kind);
    c->claims = informer_set_get(place->informers, c->claim_kind);
    c->nodes = informer_set_find(place->informers, "", "Node");
    c->volumes = informer_set_find(place->informers, "", "PersistentVolume");
    c->classes = informer_set_find(place->informers, "storage.k8s.io", "StorageClass");
    c->namespaces = informer_set_find(place->informers, "", "Namespace");
    c->budgets = informer_set_find(place->informers, "policy", "PodDisruptionBudget");
    c->pods_by_node = informer_add_index(c->pods, pod_end_by_node);
    c->book = usage_book_new();
    c->lowest = INT32_MAX;
    list_init(&c->nominees);
    c->reconciler = reconciler_new(place, "default-scheduler", PARALLEL, run, c);
    c->events = event_recorder_new(place->client, "default-scheduler", SPAN_NULL);
    static const struct informer_handler pods = {on_pod}, nodes = {on_node}, claims = {on_claim},
                                         volumes = {on_volume}, namespaces = {on_namespace};
    reconciler_follow(c->reconciler, c->pods, &pods, c);
    reconciler_follow(c->reconciler, c->nodes, &nodes, c);
    reconciler_follow(c->reconciler, c->claims, &claims, c);
    reconciler_follow(c->reconciler, c->volumes, &volumes, c);
    reconciler_follow(c->reconciler, c->namespaces, &namespaces, c);
    return c;
}

static void end(void *controller)
{
    struct scheduler *c = controller;
    reconciler_free(c->reconciler);
    event_recorder_free(c->events);
    usage_book_free(c->book);
    size_t it = 0;
    for (struct waiting *w; (w = map_next(&c->waiting, &it, NULL));) {
        scheduler_nominate(c, w, SPAN_NULL);
        free(w);
    }
    map_done(&c->waiting);
    near_index_free(c->near);
    free(c);
}

const struct controller_type controller_scheduler = {make, end};
