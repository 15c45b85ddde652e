/* plan/statefulset_plan.c: see statefulset_plan.h. The order of the steps is Kubernetes' own and is
 * what users see. */
#include "plan/statefulset_plan.h"

#include "base/check.h"

struct pass {
    const struct statefulset_view *v;
    struct statefulset_plan *plan;
    size_t in_first,
        in_end;         /* view.pods[in_first, in_end) are in range; the others are condemned */
    int64_t first, end; /* ordinals in range: [first, end) */
};

/* ---- predicates ---- */

static bool is_terminal(const struct statefulset_pod *p)
{
    return p->phase == STATEFULSET_FAILED || p->phase == STATEFULSET_SUCCEEDED;
}

static bool is_ready(const struct statefulset_pod *p)
{
    return p->phase == STATEFULSET_RUNNING && p->ready;
}

static int64_t available_at_ms(const struct statefulset_view *v, const struct statefulset_pod *p)
{
    return p->ready_since_ms + (int64_t)v->min_ready_s * 1000;
}

static bool is_available(const struct statefulset_view *v, const struct statefulset_pod *p)
{
    return is_ready(p) &&
           (v->min_ready_s == 0 || (p->ready_since_ms > 0 && v->now_ms >= available_at_ms(v, p)));
}

/* Well: counts as a healthy replica. */
static bool is_well(const struct statefulset_view *v, const struct statefulset_pod *p)
{
    return is_available(v, p) && !p->terminating;
}

/* On its way out: terminal pods are deleted earlier in the same pass. */
static bool is_going(const struct statefulset_pod *p)
{
    return p->terminating || is_terminal(p);
}

/* ---- the plan under construction ---- */

static bool add(struct pass *s, struct statefulset_action action)
{
    struct statefulset_plan *plan = s->plan;
    if (plan->action_count == STATEFULSET_ACTIONS_MAX) {
        plan->again = true;
        return false;
    }
    plan->actions[plan->action_count++] = action;
    return true;
}

static bool delete_pod(struct pass *s, size_t pod, enum statefulset_why why)
{
    assert(pod < s->v->pod_count && !s->v->pods[pod].terminating);
    return add(s, (struct statefulset_action){.kind = STATEFULSET_DELETE_POD,
                                              .why = why,
                                              .ordinal = s->v->pods[pod].ordinal,
                                              .pod = pod});
}

static void wait_for(struct pass *s, enum statefulset_why why, int64_t ordinal)
{
    if (s->plan->waiting == STATEFULSET_WHY_NONE) {
        s->plan->waiting = why;
        s->plan->waiting_ordinal = (int32_t)ordinal;
    }
}

enum statefulset_owner statefulset_claim_owner(const struct statefulset_view *view, bool condemned)
{
    if (condemned && view->delete_when_scaled) {
        return STATEFULSET_OWNER_POD;
    }
    return view->delete_when_deleted ? STATEFULSET_OWNER_SET : STATEFULSET_OWNER_NONE;
}

/* Adds what the claims of an existing pod need. Returns true when something was added. */
static bool fix_claims(struct pass *s, size_t pod, bool condemned)
{
    const struct statefulset_pod *p = &s->v->pods[pod];
    enum statefulset_owner owner = statefulset_claim_owner(s->v, condemned);
    bool missing =
        p->claims.missing && !condemned && !p->terminating && p->phase == STATEFULSET_PENDING;
    if (!missing && (p->claims.owner_fits & (1u << owner))) {
        return false;
    }
    add(s, (struct statefulset_action){
               .kind = STATEFULSET_FIX_CLAIMS, .ordinal = p->ordinal, .pod = pod, .owner = owner});
    return true;
}

/* ---- status ---- */

static void count(struct pass *s)
{
    struct statefulset_status *st = &s->plan->status;
    for (size_t i = 0; i < s->v->pod_count; i++) {
        const struct statefulset_pod *p = &s->v->pods[i];
        st->replicas++;
        if (is_ready(p)) {
            st->ready++;
            if (is_available(s->v, p)) {
                st->available++;
            } else if (p->ready_since_ms > 0) {
                int64_t at = available_at_ms(s->v, p);
                if (s->plan->requeue_at_ms == 0 || at < s->plan->requeue_at_ms) {
                    s->plan->requeue_at_ms = at;
                }
            }
        }
        st->current += p->at_current && !p->terminating;
        st->updated += p->at_update && !p->terminating;
    }
    assert(st->available <= st->ready && st->ready <= st->replicas);
}

static void count_wanted(struct pass *s)
{
    struct statefulset_status *st = &s->plan->status;
    int64_t next = s->first;
    int64_t lowest = -1;
    for (size_t i = s->in_first; i < s->in_end; i++) {
        const struct statefulset_pod *p = &s->v->pods[i];
        bool well = is_well(s->v, p);
        st->well += well;
        st->stopping += p->terminating;
        st->behind += !p->at_update && p->ordinal >= s->first + s->v->partition;
        if (lowest < 0 && (p->ordinal != next || !well)) {
            lowest = p->ordinal != next ? next : p->ordinal;
        }
        next = (int64_t)p->ordinal + 1;
    }
    lowest = lowest < 0 && next < s->end ? next : lowest;
    st->surplus = (int32_t)(s->v->pod_count - (s->in_end - s->in_first));
    if (lowest < 0 && st->surplus > 0) {
        lowest =
            s->v->pods[s->in_end < s->v->pod_count ? s->v->pod_count - 1 : s->in_first - 1].ordinal;
    }
    s->plan->blocking = (int32_t)lowest;
}

static void finish_status(struct pass *s)
{
    struct statefulset_status *st = &s->plan->status;
    for (size_t i = 0; i < s->plan->action_count; i++) {
        const struct statefulset_action *a = &s->plan->actions[i];
        if (a->why == STATEFULSET_WHY_UPDATE && s->v->pods[a->pod].at_current) {
            st->current--;
        }
    }
    assert(st->current >= 0);
    if (st->updated == st->ready && st->updated == st->replicas && st->updated == s->v->replicas) {
        st->complete = true;
        st->current = st->updated;
    }
}

/* ---- step 1: replicas in range, ascending ---- */

/* Which revision a new pod gets: pods that the roll-out has not reached come back as they were. */
static bool new_pod_is_update(const struct pass *s, int64_t ordinal)
{
    const struct statefulset_view *v = s->v;
    if (v->on_delete) {
        return true;
    }
    int64_t old = v->has_rolling ? v->partition : s->plan->status.current;
    return ordinal >= s->first + old;
}

static void fill_hole(struct pass *s, int64_t ordinal)
{
    const struct statefulset_hole *hole = NULL;
    for (size_t i = 0; i < s->v->hole_count && !hole; i++) {
        hole = s->v->holes[i].ordinal == ordinal ? &s->v->holes[i] : NULL;
    }
    if (!hole) {
        s->plan->again = true; /* beyond this pass' share of holes */
        return;
    }
    if (s->v->delete_when_scaled && hole->claims.stale) {
        wait_for(s, STATEFULSET_WHY_CLAIM_STALE, ordinal);
        return;
    }
    struct statefulset_action a = {.kind = STATEFULSET_CREATE_POD,
                                   .why = STATEFULSET_WHY_SCALE_UP,
                                   .ordinal = (int32_t)ordinal,
                                   .at_update = new_pod_is_update(s, ordinal),
                                   .owner = statefulset_claim_owner(s->v, false)};
    if (hole->claims.terminating) {
        a.kind = STATEFULSET_REFUSE_CREATE;
        wait_for(s, STATEFULSET_WHY_CLAIM_TERMINATING, ordinal);
    }
    add(s, a);
}

/* Returns false when an OrderedReady pass must stop at this pod. */
static bool process_replica(struct pass *s, size_t pod)
{
    const struct statefulset_view *v = s->v;
    const struct statefulset_pod *p = &v->pods[pod];
    if (is_terminal(p)) {
        if (!p->terminating) {
            delete_pod(s, pod, STATEFULSET_WHY_TERMINAL);
        } else {
            wait_for(s, STATEFULSET_WHY_POD_TERMINATING, p->ordinal);
        }
        return false;
    }
    bool well = is_well(v, p);
    if (!well) {
        wait_for(s,
                 p->terminating ? STATEFULSET_WHY_POD_TERMINATING
                 : is_ready(p)  ? STATEFULSET_WHY_POD_NOT_AVAILABLE
                                : STATEFULSET_WHY_POD_NOT_READY,
                 p->ordinal);
    }
    if (well || v->parallel || p->phase == STATEFULSET_PENDING) {
        fix_claims(s, pod, false);
    }
    if ((well || v->parallel) && !p->identity_fits && !p->terminating) {
        add(s, (struct statefulset_action){
                   .kind = STATEFULSET_FIX_POD, .ordinal = p->ordinal, .pod = pod});
    }
    return well;
}

/* Returns false when the pass stops. */
static bool process_replicas(struct pass *s)
{
    bool parallel = s->v->parallel;
    int64_t next = s->first;
    for (size_t i = s->in_first; i < s->in_end; i++) {
        for (; next < s->v->pods[i].ordinal; next++) {
            fill_hole(s, next);
            if (!parallel) {
                return false;
            }
            if (s->plan->again) {
                next = s->v->pods[i].ordinal - 1; /* the rest of the gap is for the next pass */
            }
        }
        if (!process_replica(s, i) && !parallel) {
            return false;
        }
        next = (int64_t)s->v->pods[i].ordinal + 1;
    }
    for (; next < s->end && !s->plan->again; next++) {
        fill_hole(s, next);
        if (!parallel) {
            return false;
        }
    }
    return true;
}

/* ---- step 2: condemned pods, descending ---- */

/* The pod at position k of the condemned ones, counted from the highest ordinal. */
static size_t condemned_at(const struct pass *s, size_t k)
{
    size_t above = s->v->pod_count - s->in_end;
    return k < above ? s->v->pod_count - 1 - k : s->in_first - 1 - (k - above);
}

static size_t condemned_count(const struct pass *s)
{
    return s->in_first + (s->v->pod_count - s->in_end);
}

/* The unhealthy pod that may go although it is not well: the lowest one. An OrderedReady pass gets
 * here only when every replica in range is well, and a Parallel pass does not ask. pod_count: none.
 */
static size_t first_unwell_condemned(const struct pass *s)
{
    for (size_t k = condemned_count(s); k-- > 0;) {
        size_t pod = condemned_at(s, k);
        if (!is_well(s->v, &s->v->pods[pod])) {
            return pod;
        }
    }
    return s->v->pod_count;
}

/* Returns false when the pass stops. */
static bool process_condemned(struct pass *s)
{
    const struct statefulset_view *v = s->v;
    size_t n = condemned_count(s);
    size_t unwell = first_unwell_condemned(s);
    for (size_t k = 0; k < n; k++) {
        size_t pod = condemned_at(s, k);
        const struct statefulset_pod *p = &v->pods[pod];
        /* The claims' owners first: a pod gone before its claims name it would leave them behind.
         */
        bool fixing = fix_claims(s, pod, true);
        if (p->terminating) {
            wait_for(s, STATEFULSET_WHY_POD_TERMINATING, p->ordinal);
        } else if (fixing) {
            s->plan->again = true;
        } else if (!v->parallel && !is_available(v, p) && pod != unwell && !is_terminal(p)) {
            /* A terminal pod never gets well: to wait for it would be to wait for ever. */
            wait_for(
                s, is_ready(p) ? STATEFULSET_WHY_POD_NOT_AVAILABLE : STATEFULSET_WHY_POD_NOT_READY,
                p->ordinal);
        } else {
            delete_pod(s, pod, STATEFULSET_WHY_SCALE_DOWN);
        }
        if (!v->parallel) {
            return false;
        }
    }
    return true;
}

/* ---- step 3: rolling update, descending ---- */

static int64_t index_of(const struct pass *s, size_t pod)
{
    return s->v->pods[pod].ordinal - s->first;
}

/* Without maxUnavailable: at most one pod down, wait at the first that is not well. */
static void update_one_by_one(struct pass *s)
{
    const struct statefulset_view *v = s->v;
    int64_t expected = s->end - 1;
    for (size_t i = s->in_end; i-- > s->in_first; expected--) {
        const struct statefulset_pod *p = &v->pods[i];
        if (expected >= s->first + v->partition && p->ordinal != expected) {
            return; /* a hole: wait for it to be filled */
        }
        if (index_of(s, i) < v->partition) {
            return;
        }
        if (!p->at_update && !is_going(p)) {
            delete_pod(s, i, STATEFULSET_WHY_UPDATE);
            return;
        }
        if (!is_well(v, p)) {
            wait_for(s, STATEFULSET_WHY_POD_NOT_READY, p->ordinal);
            return;
        }
    }
}

static void update_within_budget(struct pass *s)
{
    const struct statefulset_view *v = s->v;
    int64_t unavailable = (s->end - s->first) - (int64_t)(s->in_end - s->in_first);
    for (size_t i = s->in_first; i < s->in_end; i++) {
        unavailable += !is_well(v, &v->pods[i]);
    }
    int64_t budget = v->max_unavailable - unavailable;
    /* Parallel: old pods that are broken anyway cost no budget. */
    for (size_t i = s->in_end; v->parallel && i-- > s->in_first;) {
        const struct statefulset_pod *p = &v->pods[i];
        if (index_of(s, i) >= v->partition && !p->at_update && !is_going(p) && !is_well(v, p)) {
            delete_pod(s, i, STATEFULSET_WHY_UPDATE);
        }
    }
    for (size_t i = s->in_end; budget > 0 && i-- > s->in_first;) {
        const struct statefulset_pod *p = &v->pods[i];
        if (index_of(s, i) >= v->partition && !p->at_update && !is_going(p) && is_well(v, p)) {
            delete_pod(s, i, STATEFULSET_WHY_UPDATE);
            budget--;
        }
    }
}

/* ---- the pass ---- */

static void run(struct pass *s)
{
    const struct statefulset_view *v = s->v;
    if (v->deleting) {
        wait_for(s, STATEFULSET_WHY_SET_DELETING, v->start);
        return;
    }
    if (!process_replicas(s) || !process_condemned(s) || v->on_delete) {
        return;
    }
    if (v->max_unavailable > 0) {
        update_within_budget(s);
    } else {
        update_one_by_one(s);
    }
}

static struct pass pass_of(const struct statefulset_view *v, struct statefulset_plan *plan)
{
    assert(v->replicas >= 0 && v->start >= 0 && v->partition >= 0 && v->max_unavailable >= 0);
    struct pass s = {.v = v, .plan = plan, .first = v->start};
    s.end = s.first + v->replicas;
    for (size_t i = 0; i < v->pod_count; i++) {
        assert(v->pods[i].ordinal >= 0);
        assert(i == 0 || v->pods[i - 1].ordinal < v->pods[i].ordinal);
        s.in_first += v->pods[i].ordinal < s.first;
        s.in_end += v->pods[i].ordinal < s.end;
    }
    return s;
}

/* To plan again at once makes sense only after something has changed. */
static bool makes_progress(const struct statefulset_plan *plan)
{
    for (size_t i = 0; i < plan->action_count; i++) {
        if (plan->actions[i].kind != STATEFULSET_REFUSE_CREATE) {
            return true;
        }
    }
    return false;
}

void statefulset_plan(const struct statefulset_view *view, struct statefulset_plan *ret)
{
    ret->action_count = 0;
    ret->status = (struct statefulset_status){0};
    ret->again = false;
    ret->requeue_at_ms = 0;
    ret->waiting = STATEFULSET_WHY_NONE;
    ret->waiting_ordinal = 0;
    struct pass s = pass_of(view, ret);
    count(&s);
    count_wanted(&s);
    run(&s);
    if (ret->waiting != STATEFULSET_WHY_NONE && !view->deleting) {
        ret->blocking = ret->waiting_ordinal;
    }
    finish_status(&s);
    ret->again = ret->again && makes_progress(ret);
}

size_t statefulset_holes(const struct statefulset_view *view, int32_t ret[STATEFULSET_HOLES_MAX])
{
    struct pass s = pass_of(view, NULL);
    size_t max = view->parallel ? STATEFULSET_HOLES_MAX : 1, n = 0;
    int64_t next = s.first;
    for (size_t i = s.in_first; i <= s.in_end && n < max; i++) {
        int64_t stop = i < s.in_end ? view->pods[i].ordinal : s.end;
        for (; next < stop && n < max; next++) {
            ret[n++] = (int32_t)next;
        }
        next = stop + 1;
    }
    return n;
}

int32_t statefulset_max_unavailable(int64_t value, bool percent, int32_t replicas)
{
    if (percent) {
        value = value * replicas / 100;
    }
    return value < 1 ? 1 : value > INT32_MAX ? INT32_MAX : (int32_t)value;
}

int32_t statefulset_ordinal(struct span pod_name, struct span set_name)
{
    if (pod_name.n <= set_name.n + 1 || !span_starts(pod_name, set_name) ||
        pod_name.p[set_name.n] != '-') {
        return -1;
    }
    struct span digits = span_from(pod_name, set_name.n + 1);
    if (digits.p[0] < '0' || digits.p[0] > '9' || (digits.p[0] == '0' && digits.n > 1)) {
        return -1; /* a sign; or "web-03", which is not the name of ordinal 3 */
    }
    uint64_t ordinal = 0;
    return span_to_u64(digits, &ordinal) && ordinal <= INT32_MAX ? (int32_t)ordinal : -1;
}

const char *statefulset_why_text(enum statefulset_why why)
{
    static const char *const text[] = {
        [STATEFULSET_WHY_NONE] = "nothing",
        [STATEFULSET_WHY_SCALE_UP] = "scaling up",
        [STATEFULSET_WHY_SCALE_DOWN] = "scaling down",
        [STATEFULSET_WHY_TERMINAL] = "replacing a pod that has ended",
        [STATEFULSET_WHY_UPDATE] = "updating",
        [STATEFULSET_WHY_SET_DELETING] = "the set is being deleted",
        [STATEFULSET_WHY_POD_TERMINATING] = "the pod is terminating",
        [STATEFULSET_WHY_POD_NOT_READY] = "the pod is not ready",
        [STATEFULSET_WHY_POD_NOT_AVAILABLE] = "the pod is ready, but not yet for minReadySeconds",
        [STATEFULSET_WHY_CLAIM_STALE] = "a former pod's claim is about to be removed",
        [STATEFULSET_WHY_CLAIM_TERMINATING] = "a claim of the pod is being deleted",
    };
    assert((size_t)why < sizeof text / sizeof text[0]);
    return text[why];
}
