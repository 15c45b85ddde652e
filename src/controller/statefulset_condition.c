/* controller/statefulset_condition.c: what a set says about itself. */
#include <string.h>

#include "base/check.h"
#include "codec/time.h"
#include "controller/statefulset_priv.h"
#include "schema/status.h"

static size_t claims_of(struct set_sync *x, int32_t ordinal, struct why_claim **ret)
{
    assert(ordinal >= 0);
    assert(ret);
    yyjson_val *templates = json_get(x->own.spec, "volumeClaimTemplates");
    struct why_claim *claims = ARENA_ARRAY(x->own.a, struct why_claim, json_len(templates) + 1);
    size_t n = 0;
    JSON_EACH(it, templates)
    {
        struct span name = statefulset_claim_name(x, it.val, ordinal);
        struct object *claim = informer_get(x->c->claims, x->own.ns, name);
        claims[n++] = (struct why_claim){name, claim ? object_root(claim) : NULL};
    }
    *ret = claims;
    return n;
}

/* Those that the pod uses, of the set's templates or not. */
static size_t claims_used(struct set_sync *x, struct object *pod, struct why_claim **ret)
{
    yyjson_val *volumes = json_get(client_spec(pod), "volumes");
    struct why_claim *claims = ARENA_ARRAY(x->own.a, struct why_claim, json_len(volumes) + 1);
    size_t n = 0;
    JSON_EACH(it, volumes)
    {
        struct span name = json_str(json_path(it.val, "persistentVolumeClaim", "claimName", NULL));
        struct object *claim = name.n ? informer_get(x->c->claims, x->own.ns, name) : NULL;
        if (name.n) {
            claims[n++] = (struct why_claim){name, claim ? object_root(claim) : NULL};
        }
    }
    *ret = claims;
    return n;
}

static struct why why_stale(struct set_sync *x, struct span pod, int32_t ordinal)
{
    struct why_claim *claims;
    size_t n = claims_of(x, ordinal, &claims);
    for (size_t i = 0; i < n; i++) {
        if (claims[i].claim && json_path(claims[i].claim, "metadata", "deletionTimestamp", NULL)) {
            return why_claims(x->own.a, pod, &claims[i], 1);
        }
    }
    return (struct why){"ClaimStale",
                        arena_printf(x->own.a,
                                     "%.*s waits until the claim of its predecessor is gone",
                                     SPAN_ARG(pod))};
}

/* Somebody else's pod has the name. */
static struct why why_foreign(struct set_sync *x, struct object *pod)
{
    yyjson_val *owner = client_controller_of(pod);
    struct span whose = owner ? arena_printf(x->own.a, "it belongs to %.*s %.*s",
                                             SPAN_ARG(json_get_str(owner, "kind")),
                                             SPAN_ARG(json_get_str(owner, "name")))
                              : SPAN("its labels do not match the selector");
    struct span text = arena_printf(x->own.a,
                                    "%.*s cannot be made: there is a pod of this name that is not "
                                    "the set's (%.*s); it has to go first",
                                    SPAN_ARG(object_name(pod)), SPAN_ARG(whose));
    return (struct why){"CreationRefused", why_line(x->own.a, text, WHY_TEXT_MAX)};
}

/* A pod that is not there: the server refuses it, its claims hold it back, or it comes right now.
 */
static struct why why_missing(struct set_sync *x, int32_t ordinal)
{
    assert(ordinal >= 0);
    struct span pod = statefulset_pod_name(x, ordinal);
    const struct set_state *state = x->state;
    if (x->plan->waiting == STATEFULSET_WHY_CLAIM_TERMINATING ||
        x->plan->waiting == STATEFULSET_WHY_CLAIM_STALE) {
        return why_stale(x, pod, ordinal);
    }
    struct object *foreign = informer_get(x->c->pods.informer, x->own.ns, pod);
    if (foreign) { /* and statefulset_pod_at() did not find it */
        return why_foreign(x, foreign);
    }
    struct span refused = statefulset_pod_name(x, state->refused_ordinal);
    bool is_missing = statefulset_is_wanted(x->rules, state->refused_ordinal) &&
                      !informer_get(x->c->pods.informer, x->own.ns, refused);
    if (state->refused.n && is_missing) { /* of several that are made at once, the last */
        return (struct why){"CreationRefused", why_refused(x->own.a, refused, state->refused)};
    }
    return (struct why){"PodMissing", arena_printf(x->own.a, "%.*s is being made", SPAN_ARG(pod))};
}

static struct why blocking(struct set_sync *x)
{
    int32_t ordinal = x->plan->blocking;
    if (ordinal < 0) {
        return (struct why){0};
    }
    struct object *pod = statefulset_pod_at(x, ordinal);
    if (!pod) {
        return why_missing(x, ordinal);
    }
    if (!statefulset_is_wanted(x->rules, ordinal) && !object_is_deleting(pod) &&
        client_condition_true(pod, "Ready")) {
        return (struct why){"ScalingDown", arena_printf(x->own.a, "%.*s is next to go",
                                                        SPAN_ARG(object_name(pod)))};
    }
    struct span on = json_get_str(client_spec(pod), "nodeName");
    struct object *node = on.n ? informer_get(x->c->nodes, SPAN_NULL, on) : NULL;
    struct why why = {0};
    if (informer_count(x->c->nodes) > 0) { /* else they are not known yet */
        why = why_on_node(x->own.a, object_root(pod), node ? object_root(node) : NULL);
    }
    if (!why.reason) {
        struct why_claim *claims;
        size_t n = claims_used(x, pod, &claims);
        why = why_pod(x->own.a, object_root(pod), claims, n, x->rules->min_ready_s);
    }
    return why;
}

void statefulset_standing(struct set_sync *x)
{
    static const struct span types[ROLLOUT_CONDITIONS] = {
        [ROLLOUT_AVAILABLE] = SPAN("Available"), [ROLLOUT_PROGRESSING] = SPAN("Progressing")};
    JSON_EACH(it, json_get(x->own.status, "conditions"))
    {
        struct span type = json_get_str(it.val, "type");
        yyjson_val **to = span_eq(type, SPAN(DEADLINE_CONDITION)) ? &x->clock : NULL;
        for (size_t i = 0; i < ROLLOUT_CONDITIONS; i++) {
            to = span_eq(type, types[i]) ? &x->standing[i] : to;
        }
        if (to && !*to) {
            *to = it.val;
        }
    }
}

static bool is_ours(struct span type, const struct rollout_condition *ours)
{
    for (size_t i = 0; i < ROLLOUT_CONDITIONS; i++) {
        if (span_eq_cstr(type, ours[i].type)) {
            return true;
        }
    }
    return span_eq_cstr(type, DEADLINE_CONDITION);
}

static bool differs(const yyjson_val *was, const struct rollout_condition *c)
{
    assert(c->type);
    return !span_eq_cstr(json_get_str(was, "status"), c->status) ||
           !span_eq_cstr(json_get_str(was, "reason"), c->reason) ||
           !span_eq(json_get_str(was, "message"), c->message);
}

static void put_condition(struct set_sync *x, yyjson_mut_doc *doc, yyjson_mut_val *list,
                          const yyjson_val *was, const struct rollout_condition *c)
{
    assert(c->status);
    assert(c->reason);
    bool same_status = span_eq_cstr(json_get_str(was, "status"), c->status);
    struct span since = json_get_str(was, "lastTransitionTime");
    struct status_condition said = {
        c->type, span_cstr(c->status),
        same_status && since.n ? since : time_format(x->own.a, x->own.s->now_ms),
        span_cstr(c->reason), c->message};
    yyjson_mut_arr_append(list, status_condition_new(doc, &said));
}

static bool clock_differs(struct set_sync *x, const struct deadline_plan *deadline)
{
    return deadline->stands.n == 0 ? x->clock != NULL
                                   : !span_eq(json_get_str(x->clock, "message"), deadline->stands);
}

/* The clock of the deadline, kept where the next server finds it. */
static void put_clock(struct set_sync *x, yyjson_mut_doc *doc, yyjson_mut_val *list,
                      const struct deadline_plan *deadline)
{
    assert(deadline);
    if (deadline->stands.n == 0) {
        return;
    }
    struct status_condition said = {DEADLINE_CONDITION, SPAN("True"),
                                    time_format(x->own.a, deadline->since_ms),
                                    SPAN("RolloutAdvanced"), deadline->stands};
    yyjson_mut_arr_append(list, status_condition_new(doc, &said));
}

/* The number of restarts: the same trouble makes the same event, which is counted. */
static struct span without_count(struct span text)
{
    size_t open = span_rfind(text, '(');
    return open < text.n && span_starts(span_from(text, open), SPAN("(restarted "))
               ? span_trim(span_first(text, open))
               : text;
}

/* What kubectl describe shows of a set is its events, not its conditions: a cause that will not
 * pass by itself is told as one, once for each pod that is in the way. */
static void tell_trouble(struct set_sync *x, const struct rollout_condition *c,
                         const struct why *blocking)
{
    assert(c->reason);
    static const char *const trouble[] = {
        "ClaimNotBound", "ContainerCrashed", "ContainerNotStarted", "ImageNotAvailable", "NodeLost",
        "NodeMissing",   "PodNotReady",      "Unschedulable",       "VolumeNotMounted"};
    struct set_state *state = x->state;
    const yyjson_val *was = x->standing[ROLLOUT_AVAILABLE];
    bool is_well = strcmp(c->status, "True") == 0;
    if (is_well || state->trouble_ordinal != x->plan->blocking) {
        state->trouble_told = 0;
        state->trouble_ordinal = x->plan->blocking;
    }
    for (size_t i = 0; i < sizeof trouble / sizeof *trouble && !is_well; i++) {
        if (strcmp(c->reason, trouble[i]) != 0 || (state->trouble_told >> i & 1)) {
            continue;
        }
        state->trouble_told |= 1u << i;
        if (!span_eq(json_get_str(was, "message"), c->message)) { /* by the server before this */
            event_record(x->own.events, x->own.kind, x->own.owner, EVENT_WARNING, c->reason, "%.*s",
                         SPAN_ARG(without_count(blocking->text)));
        }
    }
}

/* The pods that an update would reach if it were not paused. */
static int32_t paused_behind(struct set_sync *x)
{
    yyjson_val *rolling = json_path(x->own.spec, "updateStrategy", "rollingUpdate", NULL);
    int64_t from = x->rules->start + json_get_int(rolling, "partition", 0);
    return ordinal_tree_count_from(&x->view.index->wanted, MARK_OLD, from);
}

/* The revision that missed its deadline, as long as nothing else has been rolled out since. */
static struct span revision_left(struct set_sync *x)
{
    const struct owned_history *h = &x->history;
    struct span left = json_get_str(json_get(client_meta(x->own.owner), "annotations"),
                                    STATEFULSET_NOTE_ROLLED_BACK);
    return left.n && h->n >= 2 && span_eq(h->entries[h->n - 2].name, left) ? left : SPAN_NULL;
}

/* Whoever put it there has to take it away; the garbage collector does so with its own. */
static struct span own_finalizer(struct set_sync *x)
{
    JSON_EACH(it, json_get(client_meta(x->own.owner), "finalizers"))
    {
        if (span_find(json_str(it.val), '/') < json_str(it.val).n) {
            return json_str(it.val);
        }
    }
    return SPAN_NULL;
}

bool statefulset_conditions(struct set_sync *x, const struct deadline_plan *deadline,
                            struct rollout_condition ret[ROLLOUT_CONDITIONS])
{
    const struct statefulset_rules *v = x->rules;
    const struct statefulset_status *st = &x->plan->status;
    bool paused = x->notes.paused && v->partition == INT32_MAX;
    struct span left = revision_left(x);
    struct rollout_view view = {.deleting = v->deleting,
                                .on_delete = v->on_delete,
                                .paused = paused,
                                .recreate = v->recreate,
                                .recreating = x->plan->recreating,
                                .moving =
                                    !st->complete && !span_eq(x->current_name, x->update_name),
                                .overdue = deadline->overdue,
                                .left = left,
                                .kept_by = own_finalizer(x),
                                .wrong = x->notes.wrong_count ? x->notes.wrong[0] : SPAN_NULL,
                                .replicas = v->replicas,
                                .available = st->well,
                                .behind = paused ? paused_behind(x) : st->behind,
                                .partition = v->on_delete || paused ? 0 : v->partition,
                                .surplus = st->surplus,
                                .terminating = st->stopping > 0,
                                .revision = x->update_name,
                                .blocking = blocking(x)};
    rollout_plan(x->own.a, &view, ret);
    bool changed = clock_differs(x, deadline);
    for (size_t i = 0; i < ROLLOUT_CONDITIONS; i++) {
        changed |= differs(x->standing[i], &ret[i]);
    }
    tell_trouble(x, &ret[ROLLOUT_AVAILABLE], &view.blocking);
    return changed;
}

/* Ours first, always in this order; what others have set stays behind them. */
void statefulset_put_conditions(struct set_sync *x, struct client_body *b, yyjson_mut_val *status,
                                const struct deadline_plan *deadline,
                                const struct rollout_condition *ours)
{
    yyjson_mut_val *list = yyjson_mut_arr(b->doc);
    for (size_t i = 0; i < ROLLOUT_CONDITIONS; i++) {
        put_condition(x, b->doc, list, x->standing[i], &ours[i]);
    }
    put_clock(x, b->doc, list, deadline);
    JSON_EACH(it, json_get(x->own.status, "conditions"))
    {
        if (!is_ours(json_get_str(it.val, "type"), ours)) {
            yyjson_mut_arr_append(list, json_mut_copy(b->doc, it.val));
        }
    }
    assert(yyjson_mut_arr_size(list) >= ROLLOUT_CONDITIONS);
    json_put(b->doc, status, "conditions", list);
}
