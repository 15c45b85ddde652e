/* controller/disruption_controller.c: keeps the status of PodDisruptionBudgets true: observes, lets
 * plan/disruption_plan decide, writes. The API server's eviction counts it down.
 *
 * A budget is looked at again when it changes, when one of its pods comes, goes or changes its
 * readiness, and when the number of replicas changes of anything in its namespace that owns pods.
 * Its status is written to the very version that was looked at: an eviction that counted it down
 * meanwhile is never undone. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "client/client_body.h"
#include "client/client_event.h"
#include "codec/selector.h"
#include "codec/time.h"
#include "controller/owned.h"
#include "plan/disruption_plan.h"
#include "schema/kinds.h"
#include "schema/schema.h"
#include "schema/status.h"

enum { PARALLEL_BUDGETS = 8 };

enum scaled { STATEFULSETS, REPLICASETS, DEPLOYMENTS, REPLICATION_CONTROLLERS, SCALED_KINDS };

struct disruption_controller {
    struct reconciler *reconciler;
    struct event_recorder *events;
    struct informer *budgets, *pods;
    int budgets_by_ns, pods_by_ns;
    const struct schema_kind *scaled_kind[SCALED_KINDS];
    struct informer *scaled[SCALED_KINDS];
};

/* One sync; arena memory. */
struct budget_sync {
    struct sync *s;
    struct disruption_controller *c;
    struct object *budget; /* held by the arena */
    yyjson_val *spec, *status, *disrupted;
    struct selector selector;
    VEC(struct object *) found; /* borrowed */
    struct object **pods;       /* held by the arena */
    size_t pod_count;
    struct map counted; /* by uid: controllers whose scale is counted */
    struct disruption_view view;
    struct disruption_plan plan;
};

static yyjson_val *labels_of(struct object *o)
{
    return client_labels(o);
}

static bool select_pod(void *data, struct object *pod)
{
    struct budget_sync *x = data;
    if (selector_matches(&x->selector, labels_of(pod))) {
        VEC_PUSH(&x->found, pod);
    }
    return true;
}

/* ---- observing: the scale ---- */

/* What an owner reference names, when it is still that very object. */
static struct object *owner_at(struct budget_sync *x, enum scaled kind, yyjson_val *ref)
{
    struct object *o = informer_get(x->c->scaled[kind], x->s->ns, json_get_str(ref, "name"));
    return o && span_eq(object_uid(o), json_get_str(ref, "uid")) ? o : NULL;
}

static int scaled_kind_of(const struct disruption_controller *c, yyjson_val *ref)
{
    struct span version = json_get_str(ref, "apiVersion");
    size_t slash = span_find(version, '/');
    struct span group = slash < version.n ? span_first(version, slash) : SPAN_NULL;
    for (int i = 0; i < SCALED_KINDS; i++) {
        assert(c->scaled_kind[i]);
        if (span_eq_cstr(json_get_str(ref, "kind"), c->scaled_kind[i]->kind) &&
            span_eq_cstr(group, c->scaled_kind[i]->group)) {
            return i;
        }
    }
    return -1;
}

/* What says how many pods there should be: the Deployment above a ReplicaSet when there is one. */
static struct object *scaling_owner(struct budget_sync *x, struct object *pod, yyjson_val *ref)
{
    int kind = scaled_kind_of(x->c, ref);
    if (kind < 0) {
        x->view.error =
            arena_printf(x->s->arena, "%.*s \"%.*s\" of pod \"%.*s\" has no scale",
                         SPAN_ARG(json_get_str(ref, "kind")), SPAN_ARG(json_get_str(ref, "name")),
                         SPAN_ARG(object_name(pod)));
        return NULL;
    }
    struct object *owner = owner_at(x, (enum scaled)kind, ref);
    yyjson_val *above = owner && kind == REPLICASETS ? client_controller_of(owner) : NULL;
    if (above && scaled_kind_of(x->c, above) == DEPLOYMENTS) {
        owner = owner_at(x, DEPLOYMENTS, above);
    }
    if (!owner) {
        x->view.error = arena_printf(x->s->arena, "found no controllers for pod \"%.*s\"",
                                     SPAN_ARG(object_name(pod)));
    }
    return owner;
}

static void count_scale(struct budget_sync *x, struct object *pod, yyjson_val *ref)
{
    struct span uid = json_get_str(ref, "uid");
    if (x->view.error.n || map_get(&x->counted, uid)) {
        return;
    }
    map_put(&x->counted, uid, x);
    struct object *owner = scaling_owner(x, pod, ref);
    if (!owner || (!span_eq(uid, object_uid(owner)) && map_get(&x->counted, object_uid(owner)))) {
        return; /* old and new ReplicaSets of a Deployment share its scale */
    }
    map_put(&x->counted, arena_dup(x->s->arena, object_uid(owner)), x);
    x->view.scale += owned_int32(client_spec(owner), "replicas", 1);
}

/* ---- observing: the budget and its pods ---- */

static struct disruption_pod pod_of(struct budget_sync *x, struct object *pod)
{
    struct pod_rank rank = owned_pod_rank(pod);
    yyjson_val *ref = client_controller_of(pod);
    if (ref) {
        count_scale(x, pod, ref);
    }
    yyjson_val *since = yyjson_obj_getn(x->disrupted, rank.name.p, rank.name.n);
    return (struct disruption_pod){.name = rank.name,
                                   .ready = rank.ready,
                                   .terminating = rank.terminating,
                                   .unmanaged = !ref,
                                   .created_ms = rank.created_ms,
                                   .disrupted_ms = time_or(json_str(since), 0)};
}

static struct disruption_status status_of(const struct budget_sync *x)
{
    yyjson_val *c = client_condition(x->budget, "DisruptionAllowed");
    struct span status = json_get_str(c, "status");
    return (struct disruption_status){
        .observed_generation = json_get_int(x->status, "observedGeneration", 0),
        .expected = owned_int32(x->status, "expectedPods", 0),
        .desired = owned_int32(x->status, "desiredHealthy", 0),
        .healthy = owned_int32(x->status, "currentHealthy", 0),
        .allowed = owned_int32(x->status, "disruptionsAllowed", 0),
        .condition = (char)(status.n ? status.p[0] : 0),
        .reason = json_get_str(c, "reason"),
        .message = json_get_str(c, "message"),
        .condition_generation = json_get_int(c, "observedGeneration", 0),
        .transition_ms = time_or(json_get_str(c, "lastTransitionTime"), 0)};
}

static void observe(struct budget_sync *x)
{
    struct disruption_controller *c = x->c;
    informer_index_each(c->pods, c->pods_by_ns, x->s->ns, select_pod, x);
    x->pod_count = x->found.n;
    x->pods = ARENA_ARRAY(x->s->arena, struct object *, x->pod_count + 1);
    struct disruption_pod *pods = ARENA_ARRAY(x->s->arena, struct disruption_pod, x->pod_count + 1);
    x->view = (struct disruption_view){.now_ms = x->s->now_ms, .was = status_of(x), .pods = pods};
    for (size_t i = 0; i < x->pod_count; i++) {
        x->pods[i] = object_hold(x->s->arena, x->found.at[i]);
        pods[i] = pod_of(x, x->pods[i]);
    }
    VEC_DONE(&x->found);
    map_done(&x->counted);
    struct disruption_view *v = &x->view;
    yyjson_val *min = json_get(x->spec, "minAvailable"), *max = json_get(x->spec, "maxUnavailable");
    v->pod_count = x->pod_count;
    v->generation = json_int(json_get(client_meta(x->budget), "generation"), 0);
    v->has_min = min != NULL;
    v->has_max = max != NULL;
    v->min_available = owned_amount(min);
    v->max_unavailable = owned_amount(max);
    v->was_disrupted = json_len(x->disrupted);
}

/* ---- acting ---- */

static void put_condition(struct budget_sync *x, yyjson_mut_doc *doc, yyjson_mut_val *to)
{
    const struct disruption_status *st = &x->plan.status;
    assert(st->condition == 'T' || st->condition == 'F');
    struct status_condition c = {
        "DisruptionAllowed", st->condition == 'T' ? SPAN("True") : SPAN("False"),
        time_format(x->s->arena, st->transition_ms), st->reason, st->message};
    yyjson_mut_val *made = status_condition_put(doc, object_root(x->budget), to, &c);
    if (st->condition_generation > 0) {
        json_put_int(doc, made, "observedGeneration", st->condition_generation);
    }
}

/* Takes those away from disruptedPods that are gone, leaving, or late. */
static void put_disrupted(struct budget_sync *x, yyjson_mut_doc *doc, yyjson_mut_val *to)
{
    struct map stay = {0};
    for (size_t i = 0; i < x->pod_count; i++) {
        if (x->plan.disrupted[i]) {
            map_put(&stay, x->view.pods[i].name, x);
        }
    }
    JSON_EACH(it, x->disrupted)
    {
        if (!map_get(&stay, json_str(it.key))) {
            json_put_span(doc, json_mut_obj(doc, to, "disruptedPods"), json_str(it.key),
                          yyjson_mut_null(doc));
        }
    }
    map_done(&stay);
}

static void write_status(struct budget_sync *x)
{
    const struct disruption_status *st = &x->plan.status;
    assert(st->allowed >= 0);
    assert(st->healthy >= 0);
    struct client_body b = client_patch_new(x->s->arena, x->budget);
    yyjson_mut_val *to = client_body_obj(&b, "status");
    if (st->observed_generation > 0) {
        json_put_int(b.doc, to, "observedGeneration", st->observed_generation);
    }
    json_put_int(b.doc, to, "expectedPods", st->expected);
    json_put_int(b.doc, to, "desiredHealthy", st->desired);
    json_put_int(b.doc, to, "currentHealthy", st->healthy);
    json_put_int(b.doc, to, "disruptionsAllowed", st->allowed);
    put_condition(x, b.doc, to);
    if (!x->plan.failed) {
        put_disrupted(x, b.doc, to);
    }
    sync_patch_status(x->s, x->c->budgets, x->budget, &b, NULL, NULL);
}

/* Told with each change of the status, not with each look. */
static void tell(struct budget_sync *x)
{
    struct event_recorder *events = x->c->events;
    const struct schema_kind *kind = SCHEMA_KIND(PodDisruptionBudget);
    if (x->pod_count == 0) {
        event_record(events, kind, x->budget, EVENT_NORMAL, "NoPods", "No matching pods found");
    }
    if (x->plan.failed) {
        event_record(events, kind, x->budget, EVENT_WARNING, "CalculateExpectedPodCountFailed",
                     "Failed to calculate the number of expected pods: %.*s",
                     SPAN_ARG(x->view.error));
    }
    if (x->plan.unmanaged) {
        event_record(events, kind, x->budget, EVENT_WARNING, "UnmanagedPods",
                     "%zu of the pods selected by this budget have no controller. They are not "
                     "counted as expected; to count them, set \".spec.minAvailable\" to an integer "
                     "value",
                     x->plan.unmanaged);
    }
    assert(x->plan.late_count <= x->pod_count);
    for (size_t i = 0; i < x->plan.late_count; i++) {
        event_record(events, SCHEMA_KIND(Pod), x->pods[x->plan.late[i]], EVENT_WARNING,
                     "NotDeleted", "Pod was expected by PDB %.*s/%.*s to be deleted but it wasn't",
                     SPAN_ARG(x->s->ns), SPAN_ARG(x->s->name));
    }
}

static void run(struct sync *s)
{
    struct disruption_controller *c = s->controller;
    struct object *budget = informer_get(c->budgets, s->ns, s->name);
    if (!budget || object_is_deleting(budget)) {
        return;
    }
    struct budget_sync *x = ARENA_NEW(s->arena, struct budget_sync);
    *x = (struct budget_sync){.s = s, .c = c, .budget = object_hold(s->arena, budget)};
    x->spec = client_spec(budget);
    x->status = client_status(budget);
    x->disrupted = json_get(x->status, "disruptedPods");
    struct err err;
    if (selector_from_object(s->arena, json_get(x->spec, "selector"), &x->selector, &err) < 0) {
        log_event(LOG_WARN, "budget_bad_selector", LOG_S("ns", s->ns), LOG_S("name", s->name),
                  LOG_S("error", err.message));
        return;
    }
    observe(x);
    disruption_plan(s->arena, &x->view, &x->plan);
    if (x->plan.changed) {
        write_status(x);
        tell(x);
    }
    sync_at(s, x->plan.requeue_at_ms);
}

/* ---- events and life ---- */

static void on_budget(void *data, struct object *old, struct object *now)
{
    struct disruption_controller *c = data;
    if (now) {
        reconciler_add_object(c->reconciler, now);
    }
    (void)old;
}

struct pod_change {
    struct disruption_controller *c;
    struct object *old, *now;
};

static bool add_if_selects(void *data, struct object *budget)
{
    struct pod_change *x = data;
    assert(x->old || x->now);
    cleanup_arena struct arena *a = arena_new();
    struct selector sel;
    struct err err;
    yyjson_val *selector = json_get(client_spec(budget), "selector");
    if (selector_from_object(a, selector, &sel, &err) == 0 &&
        ((x->old && selector_matches(&sel, labels_of(x->old))) ||
         (x->now && selector_matches(&sel, labels_of(x->now))))) {
        reconciler_add_object(x->c->reconciler, budget);
    }
    return true;
}

/* Nothing changed that a budget counts. */
static bool is_same_pod(struct object *old, struct object *now)
{
    yyjson_val *was = labels_of(old), *is = labels_of(now);
    return span_eq(object_uid(old), object_uid(now)) &&
           object_is_deleting(old) == object_is_deleting(now) &&
           client_condition_true(old, "Ready") == client_condition_true(now, "Ready") &&
           span_eq(client_controller_uid(old), client_controller_uid(now)) &&
           json_len(was) == json_len(is) && (json_len(is) == 0 || json_equal(was, is));
}

static void on_pod(void *data, struct object *old, struct object *now)
{
    struct disruption_controller *c = data;
    if (informer_count(c->budgets) == 0 || (old && now && is_same_pod(old, now))) {
        return;
    }
    struct pod_change x = {c, old, now};
    informer_index_each(c->budgets, c->budgets_by_ns, object_namespace(now ? now : old),
                        add_if_selects, &x);
}

static bool add_budget(void *data, struct object *budget)
{
    struct disruption_controller *c = data;
    reconciler_add_object(c->reconciler, budget);
    return true;
}

static int64_t replicas_of(struct object *o)
{
    return o ? json_int(json_get(client_spec(o), "replicas"), 1) : -1;
}

static void on_scaled(void *data, struct object *old, struct object *now)
{
    struct disruption_controller *c = data;
    if (replicas_of(old) != replicas_of(now)) {
        informer_index_each(c->budgets, c->budgets_by_ns, object_namespace(now ? now : old),
                            add_budget, c);
    }
}

static void *make(const struct controller_place *place)
{
    struct disruption_controller *c = MEM_NEW(struct disruption_controller);
    const struct schema_kind *scaled[SCALED_KINDS] = {[STATEFULSETS] = SCHEMA_KIND(StatefulSet),
                                                      [REPLICASETS] = SCHEMA_KIND(ReplicaSet),
                                                      [DEPLOYMENTS] = SCHEMA_KIND(Deployment),
                                                      [REPLICATION_CONTROLLERS] =
                                                          SCHEMA_KIND(ReplicationController)};
    static const struct informer_handler budgets = {on_budget}, pods = {on_pod},
                                         owners = {on_scaled};
    c->reconciler = reconciler_new(place, "disruption-controller", PARALLEL_BUDGETS, run, c);
    c->events = event_recorder_new(place->client, "controllermanager", SPAN_NULL);
    c->budgets = informer_set_get(place->informers, SCHEMA_KIND(PodDisruptionBudget));
    c->budgets_by_ns = informer_add_index(c->budgets, informer_by_namespace);
    c->pods = informer_set_get(place->informers, SCHEMA_KIND(Pod));
    c->pods_by_ns = informer_add_index(c->pods, informer_by_namespace);
    reconciler_follow(c->reconciler, c->budgets, &budgets, c);
    reconciler_follow(c->reconciler, c->pods, &pods, c);
    for (int i = 0; i < SCALED_KINDS; i++) {
        c->scaled_kind[i] = scaled[i];
        c->scaled[i] = informer_set_get(place->informers, scaled[i]);
        reconciler_follow(c->reconciler, c->scaled[i], &owners, c);
    }
    return c;
}

static void end(void *controller)
{
    struct disruption_controller *c = controller;
    for (int i = 0; i < SCALED_KINDS; i++) {
    }
    reconciler_free(c->reconciler);
    event_recorder_free(c->events);
    free(c);
}

const struct controller_type controller_disruption = {make, end};
