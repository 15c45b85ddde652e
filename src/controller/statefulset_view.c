/* controller/statefulset_view.c: from objects to the planner's view. */
#include <string.h>

#include "base/check.h"
#include "codec/time.h"
#include "controller/statefulset_priv.h"
#include "schema/status.h"

enum { ALL_OWNERS_FIT = 7 };

struct span statefulset_claim_name(struct set_sync *x, const yyjson_val *claim_template,
                                   int32_t ordinal)
{
    assert(ordinal >= 0);
    struct span template = json_str(json_path(claim_template, "metadata", "name", NULL));
    char digits[SPAN_NUMBER_BYTES];
    return ARENA_JOIN(x->own.a, template, SPAN("-"), x->own.name, SPAN("-"),
                      span_i64(digits, ordinal));
}

struct span statefulset_pod_name(struct set_sync *x, int32_t ordinal)
{
    char digits[SPAN_NUMBER_BYTES];
    return ARENA_JOIN(x->own.a, x->own.name, SPAN("-"), span_i64(digits, ordinal));
}

/* ---- claims ---- */

static bool is_ref_to(const yyjson_val *ref, const char *kind, struct span name)
{
    return span_eq_cstr(json_get_str(ref, "kind"), kind) &&
           span_eq(json_get_str(ref, "name"), name);
}

bool statefulset_claim_is_foreign(struct set_sync *x, struct object *claim, struct span pod_name,
                                  struct span pod_uid)
{
    assert(claim);
    assert(pod_name.n > 0);
    JSON_EACH(it, client_owners(claim))
    {
        struct span uid = json_get_str(it.val, "uid");
        bool ours = span_eq(uid, x->own.uid) || (pod_uid.n && span_eq(uid, pod_uid));
        bool twin =
            is_ref_to(it.val, "StatefulSet", x->own.name) || is_ref_to(it.val, "Pod", pod_name);
        if (!ours && (twin || json_get_bool(it.val, "controller", false))) {
            return true;
        }
    }
    return false;
}

static uint8_t owner_fits(struct set_sync *x, struct object *claim, struct span pod_name,
                          struct span pod_uid)
{
    assert(claim);
    bool set_ref = false, pod_ref = false, weak = false;
    JSON_EACH(it, client_owners(claim))
    {
        struct span uid = json_get_str(it.val, "uid");
        bool to_set = span_eq(uid, x->own.uid), to_pod = pod_uid.n && span_eq(uid, pod_uid);
        set_ref |= to_set;
        pod_ref |= to_pod;
        weak |= (to_set || to_pod) && !json_get_bool(it.val, "controller", false);
    }
    if (statefulset_claim_is_foreign(x, claim, pod_name, pod_uid)) {
        return set_ref || pod_ref ? 0 : ALL_OWNERS_FIT;
    }
    if (weak || (set_ref && pod_ref)) {
        return 0;
    }
    return (uint8_t)(1u << (set_ref   ? STATEFULSET_OWNER_SET
                            : pod_ref ? STATEFULSET_OWNER_POD
                                      : STATEFULSET_OWNER_NONE));
}

static bool has_stale_owner(struct object *claim, struct span pod_name)
{
    JSON_EACH(it, client_owners(claim))
    {
        if (is_ref_to(it.val, "Pod", pod_name)) {
            return true;
        }
    }
    return false;
}

/* pod_uid is empty for a hole. */
static struct statefulset_claims claims_of(struct set_sync *x, int32_t ordinal, struct span pod_uid)
{
    assert(ordinal >= 0);
    struct statefulset_claims r = {.owner_fits = ALL_OWNERS_FIT};
    struct span pod_name = statefulset_pod_name(x, ordinal);
    JSON_EACH(it, json_get(x->own.spec, "volumeClaimTemplates"))
    {
        struct object *claim =
            informer_get(x->c->claims, x->own.ns, statefulset_claim_name(x, it.val, ordinal));
        if (!claim) {
            r.missing = true;
            continue;
        }
        r.terminating |= object_is_deleting(claim);
        r.stale |= pod_uid.n == 0 && has_stale_owner(claim, pod_name);
        r.owner_fits &= owner_fits(x, claim, pod_name, pod_uid);
    }
    return r;
}

/* ---- pods ---- */

static uint8_t phase_of(const yyjson_val *status)
{
    static const struct {
        const char *text;
        enum statefulset_phase phase;
    } phases[] = {{"Pending", STATEFULSET_PENDING},
                  {"Running", STATEFULSET_RUNNING},
                  {"Succeeded", STATEFULSET_SUCCEEDED},
                  {"Failed", STATEFULSET_FAILED}};
    struct span phase = json_get_str(status, "phase");
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        if (span_eq_cstr(phase, phases[i].text)) {
            return (uint8_t)phases[i].phase;
        }
    }
    return STATEFULSET_UNKNOWN;
}

static bool identity_fits(struct object *pod, const yyjson_val *labels, int32_t ordinal)
{
    char digits[SPAN_NUMBER_BYTES];
    return span_eq(json_get_str(labels, "statefulset.kubernetes.io/pod-name"), object_name(pod)) &&
           span_eq(json_get_str(labels, "apps.kubernetes.io/pod-index"), span_i64(digits, ordinal));
}

static uint64_t hash_of(struct span uid)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < uid.n; i++) {
        h = (h ^ (unsigned char)uid.p[i]) * UINT64_C(1099511628211);
    }
    return h;
}

/* Whether the pod may have been Ready at any time. A node agent writes the start time and the first
 * Ready condition together; the condition's own time moves with its status. So a pod was never
 * Ready for certain only if no node has it, or its node has not reported yet, or the condition is
 * False since the start. */
static bool may_have_been_ready(struct object *pod, const yyjson_val *status, bool is_ready,
                                int64_t since_ms)
{
    if (is_ready) {
        return true;
    }
    if (json_get_str(client_spec(pod), "nodeName").n == 0) {
        return false;
    }
    struct span start = json_get_str(status, "startTime");
    if (start.n == 0) {
        return phase_of(status) != STATEFULSET_PENDING;
    }
    return since_ms > time_or(start, 0);
}

static struct statefulset_pod pod_of(struct set_sync *x, struct object *pod, int32_t ordinal)
{
    assert(ordinal >= 0);
    const yyjson_val *labels = client_labels(pod), *status = client_status(pod);
    struct span label = json_get_str(labels, "controller-revision-hash");
    yyjson_val *ready = client_condition(pod, "Ready");
    bool is_ready = span_eq_cstr(json_get_str(ready, "status"), "True");
    int64_t since_ms = time_or(json_get_str(ready, "lastTransitionTime"), INT64_MAX);
    return (struct statefulset_pod){
        .ordinal = ordinal,
        .phase = phase_of(status),
        .ready = is_ready,
        .was_ready = may_have_been_ready(pod, status, is_ready, since_ms),
        .incarnation = hash_of(object_uid(pod)),
        .terminating = object_is_deleting(pod),
        .last = x->notes.has_last && selector_matches(&x->notes.last, labels),
        .at_current = span_eq(label, x->current_name),
        .at_update = span_eq(label, x->update_name),
        .identity_fits = identity_fits(pod, labels, ordinal),
        .ready_since_ms = since_ms == INT64_MAX ? 0 : since_ms,
        .claims = claims_of(x, ordinal, object_uid(pod))};
}

/* ---- rules ---- */

static int32_t max_unavailable_of(const yyjson_val *rolling, int32_t replicas)
{
    yyjson_val *v = json_get(rolling, "maxUnavailable");
    struct plan_amount amount = owned_amount(v);
    return v ? statefulset_max_unavailable(amount.value, amount.percent, replicas) : 0;
}

static const struct statefulset_rules *observe_rules(struct set_sync *x)
{
    struct statefulset_rules *r = ARENA_NEW(x->own.a, struct statefulset_rules);
    yyjson_val *strategy = json_get(x->own.spec, "updateStrategy");
    yyjson_val *rolling = json_get(strategy, "rollingUpdate");
    yyjson_val *retention = json_get(x->own.spec, "persistentVolumeClaimRetentionPolicy");
    r->deleting = object_is_deleting(x->own.owner);
    r->parallel = span_eq_cstr(json_get_str(x->own.spec, "podManagementPolicy"), "Parallel");
    struct span type = json_get_str(strategy, "type");
    r->recreate = span_eq_cstr(type, "Recreate");
    /* Anything else but RollingUpdate replaces no pod: validation refuses what we do not know. */
    r->on_delete = type.n && !r->recreate && !span_eq_cstr(type, "RollingUpdate");
    r->has_rolling = rolling != NULL;
    r->delete_when_scaled = span_eq_cstr(json_get_str(retention, "whenScaled"), "Delete");
    r->delete_when_deleted = span_eq_cstr(json_get_str(retention, "whenDeleted"), "Delete");
    r->replicas = owned_int32(x->own.spec, "replicas", 1);
    r->start = owned_int32(json_get(x->own.spec, "ordinals"), "start", 0);
    r->partition = owned_int32(rolling, "partition", 0);
    r->max_unavailable = max_unavailable_of(rolling, r->replicas);
    r->min_ready_s = owned_int32(x->own.spec, "minReadySeconds", 0);
    const struct statefulset_notes *notes = &x->notes;
    r->window = notes->window;
    r->reserved_count = notes->reserved_count;
    _Static_assert((int)STATEFULSET_NOTES_RESERVED_MAX == (int)STATEFULSET_RESERVED_MAX, "fits");
    memcpy(r->reserved, notes->reserved, sizeof r->reserved);
    if (notes->paused && !r->on_delete) {
        r->recreate = false; /* nor are all replaced at once */
        r->has_rolling = true;
        r->partition = INT32_MAX;
    }
    return r;
}

/* ---- what has changed ---- */

static bool is_claimed(struct set_sync *x, struct object *pod)
{
    return span_eq(client_controller_uid(pod), x->own.uid) &&
           selector_matches(&x->own.selector, client_labels(pod));
}

struct object *statefulset_pod_at(struct set_sync *x, int32_t ordinal)
{
    assert(ordinal >= 0);
    struct span name = statefulset_pod_name(x, ordinal);
    struct object *pod = informer_get(x->c->pods.informer, x->own.ns, name);
    if (!pod || !is_claimed(x, pod)) {
        return NULL;
    }
    return object_hold(x->own.a, pod);
}

static void look_at(struct set_sync *x, int32_t ordinal)
{
    struct span name = statefulset_pod_name(x, ordinal);
    struct object *pod = informer_get(x->c->pods.informer, x->own.ns, name);
    if (pod && is_claimed(x, pod)) {
        struct statefulset_pod facts = pod_of(x, pod, ordinal);
        statefulset_index_put(&x->state->index, &facts);
    } else {
        statefulset_index_remove(&x->state->index, ordinal);
    }
}

static bool see_pod(void *data, struct object *pod)
{
    struct set_sync *x = data;
    int32_t ordinal = statefulset_ordinal(object_name(pod), x->own.name);
    if (ordinal >= 0) {
        look_at(x, ordinal);
    }
    return true;
}

/* Brings the index up to what has changed since the last sync. Pods that went away are named among
 * the dirty ones. */
static void catch_up(struct set_sync *x)
{
    assert(x->rules);
    struct set_state *state = x->state;
    for (size_t i = 0; i < state->dirty.n; i++) {
        look_at(x, state->dirty.at[i]);
    }
    state->dirty.n = 0;
    if (state->look_at_all) {
        informer_index_each(x->c->pods.informer, x->c->pods.by_controller, x->own.uid, see_pod, x);
        state->look_at_all = false;
    }
}

void statefulset_observe(struct set_sync *x)
{
    struct set_state *state = x->state;
    assert(x->state);
    assert(x->own.owner);
    statefulset_notes(x->own.a, json_get(client_meta(x->own.owner), "annotations"), &x->notes);
    statefulset_state_order(state, x->notes.has_last ? selector_text(x->own.a, &x->notes.last)
                                                     : SPAN_NULL);
    x->rules = observe_rules(x);
    statefulset_index_rules(&state->index, x->rules);
    statefulset_state_revisions(state, x->current_name, x->update_name);
    catch_up(x);
    statefulset_index_advance(&state->index, x->own.s->now_ms);
    int32_t ordinals[STATEFULSET_HOLES_MAX];
    size_t n = statefulset_holes(&state->index, ordinals);
    assert(n <= STATEFULSET_HOLES_MAX);
    struct statefulset_hole *holes = ARENA_ARRAY(x->own.a, struct statefulset_hole, n + 1);
    for (size_t i = 0; i < n; i++) {
        holes[i] = (struct statefulset_hole){ordinals[i], claims_of(x, ordinals[i], SPAN_NULL)};
    }
    x->view = (struct statefulset_view){&state->index, holes, n};
}
