/* test/kit/statefulset_reference.c: see statefulset_reference.h. */
#include "kit/statefulset_reference.h"

#include <string.h>

#include "kit/kit.h"

struct ref {
    const struct ref_view *v;
    struct statefulset_plan *plan;
};

static bool ref_ended(const struct statefulset_pod *p)
{
    return p->phase == STATEFULSET_FAILED || p->phase == STATEFULSET_SUCCEEDED;
}

static bool ref_ready(const struct statefulset_pod *p)
{
    return p->phase == STATEFULSET_RUNNING && p->ready;
}

static bool ref_available(const struct ref_view *v, const struct statefulset_pod *p)
{
    return ref_ready(p) && (v->r.min_ready_s == 0 ||
                            (p->ready_since_ms > 0 &&
                             v->now_ms >= p->ready_since_ms + (int64_t)v->r.min_ready_s * 1000));
}

static bool ref_well(const struct ref_view *v, const struct statefulset_pod *p)
{
    return ref_available(v, p) && !p->terminating;
}

static const struct statefulset_pod *ref_pod(const struct ref_view *v, int64_t ordinal)
{
    for (size_t i = 0; i < v->pod_count; i++) {
        if (v->pods[i].ordinal == ordinal) {
            return &v->pods[i];
        }
    }
    return NULL;
}

static const struct statefulset_hole *ref_hole(const struct ref_view *v, int64_t ordinal)
{
    for (size_t i = 0; i < v->hole_count; i++) {
        if (v->holes[i].ordinal == ordinal) {
            return &v->holes[i];
        }
    }
    return NULL;
}

static void ref_add(struct ref *s, struct statefulset_action a)
{
    if (s->plan->action_count == STATEFULSET_ACTIONS_MAX) {
        s->plan->again = true;
        return;
    }
    s->plan->actions[s->plan->action_count++] = a;
}

static void ref_delete(struct ref *s, int64_t ordinal, enum statefulset_why why)
{
    ref_add(s, (struct statefulset_action){
                   .kind = STATEFULSET_DELETE_POD, .why = why, .ordinal = (int32_t)ordinal});
}

static void ref_wait(struct ref *s, enum statefulset_why why, int64_t ordinal)
{
    if (s->plan->waiting == STATEFULSET_WHY_NONE) {
        s->plan->waiting = why;
        s->plan->waiting_ordinal = (int32_t)ordinal;
    }
}

static enum statefulset_why ref_unwell_why(const struct statefulset_pod *p)
{
    return p->terminating ? STATEFULSET_WHY_POD_TERMINATING
           : ref_ready(p) ? STATEFULSET_WHY_POD_NOT_AVAILABLE
                          : STATEFULSET_WHY_POD_NOT_READY;
}

static bool ref_fix_claims(struct ref *s, const struct statefulset_pod *p, bool condemned)
{
    enum statefulset_owner owner = statefulset_claim_owner(&s->v->r, condemned);
    bool missing =
        p->claims.missing && !condemned && !p->terminating && p->phase == STATEFULSET_PENDING;
    if (!missing && (p->claims.owner_fits & (1u << owner))) {
        return false;
    }
    ref_add(s, (struct statefulset_action){.kind = STATEFULSET_FIX_CLAIMS,
                                           .ordinal = p->ordinal,
                                           .missing = p->claims.missing,
                                           .owner = owner});
    return true;
}

static bool ref_updates(const struct ref_view *v, const struct statefulset_pod *p)
{
    return !v->r.on_delete && !v->r.recreate && !p->at_update &&
           statefulset_is_wanted(&v->r, p->ordinal) &&
           p->ordinal >= (int64_t)v->r.start + v->r.partition;
}

static bool ref_stuck(const struct ref_view *v, const struct statefulset_pod *p)
{
    return ref_updates(v, p) && !p->terminating && !ref_ended(p) && !ref_ready(p) && !p->was_ready;
}

static void ref_fill(struct ref *s, int64_t ordinal)
{
    const struct statefulset_rules *r = &s->v->r;
    const struct statefulset_hole *hole = ref_hole(s->v, ordinal);
    if (!hole) {
        s->plan->again = true;
        return;
    }
    if (r->delete_when_scaled && hole->claims.stale) {
        ref_wait(s, STATEFULSET_WHY_CLAIM_STALE, ordinal);
        return;
    }
    int64_t old = r->on_delete || r->recreate ? INT64_MIN / 2
                  : r->has_rolling            ? r->partition
                                              : s->plan->status.current;
    struct statefulset_action a = {.kind = STATEFULSET_CREATE_POD,
                                   .why = STATEFULSET_WHY_SCALE_UP,
                                   .ordinal = (int32_t)ordinal,
                                   .at_update = ordinal >= r->start + old,
                                   .owner = statefulset_claim_owner(r, false)};
    if (hole->claims.terminating) {
        a.kind = STATEFULSET_REFUSE_CREATE;
        ref_wait(s, STATEFULSET_WHY_CLAIM_TERMINATING, ordinal);
    }
    ref_add(s, a);
}

static bool ref_replica(struct ref *s, const struct statefulset_pod *p)
{
    const struct ref_view *v = s->v;
    if (ref_ended(p)) {
        if (!p->terminating) {
            ref_delete(s, p->ordinal, STATEFULSET_WHY_TERMINAL);
        } else {
            ref_wait(s, STATEFULSET_WHY_POD_TERMINATING, p->ordinal);
        }
        return false;
    }
    bool well = ref_well(v, p);
    if (!well) {
        ref_wait(s, ref_unwell_why(p), p->ordinal);
    }
    if (ref_stuck(v, p)) {
        return false; /* it goes: nothing else is done to it */
    }
    if (well || v->r.parallel || p->phase == STATEFULSET_PENDING || p->terminating) {
        ref_fix_claims(s, p, false);
    }
    if ((well || v->r.parallel) && !p->identity_fits && !p->terminating) {
        ref_add(s, (struct statefulset_action){.kind = STATEFULSET_FIX_POD, .ordinal = p->ordinal});
    }
    return well;
}

static bool ref_replicas(struct ref *s)
{
    const struct ref_view *v = s->v;
    int unwell = 0, window = v->r.window > 1 ? v->r.window : 1;
    for (int64_t at = v->r.start; at < statefulset_end(&v->r); at++) {
        const struct statefulset_pod *p = ref_pod(v, at);
        if (statefulset_is_reserved(&v->r, at)) {
            continue;
        }
        bool well = false;
        if (p) {
            well = ref_replica(s, p);
        } else {
            ref_fill(s, at);
        }
        unwell += !well;
        if (!v->r.parallel && unwell >= window) {
            return false;
        }
    }
    return v->r.parallel || unwell == 0;
}

static bool ref_condemned(struct ref *s)
{
    const struct ref_view *v = s->v;
    int64_t unwell = -1;
    for (size_t i = v->pod_count; i-- > 0;) {
        const struct statefulset_pod *p = &v->pods[i];
        if (!statefulset_is_wanted(&v->r, p->ordinal) && !ref_well(v, p)) {
            unwell = p->ordinal;
        }
    }
    for (size_t i = v->pod_count; i-- > 0;) {
        const struct statefulset_pod *p = &v->pods[i];
        if (statefulset_is_wanted(&v->r, p->ordinal)) {
            continue;
        }
        bool fixing = ref_fix_claims(s, p, true);
        if (p->terminating) {
            ref_wait(s, STATEFULSET_WHY_POD_TERMINATING, p->ordinal);
        } else if (fixing) {
            s->plan->again = true;
        } else if (!v->r.parallel && !ref_available(v, p) && p->ordinal != unwell &&
                   !ref_ended(p) && p->was_ready) {
            ref_wait(s, ref_unwell_why(p), p->ordinal);
        } else {
            ref_delete(s, p->ordinal, STATEFULSET_WHY_SCALE_DOWN);
        }
        if (!v->r.parallel) {
            return false;
        }
    }
    return true;
}

static void ref_one_by_one(struct ref *s)
{
    const struct ref_view *v = s->v;
    int64_t from = (int64_t)v->r.start + v->r.partition, last = -1;
    for (int64_t at = statefulset_end(&v->r) - 1; at >= from; at--) {
        const struct statefulset_pod *p = ref_pod(v, at);
        if (statefulset_is_reserved(&v->r, at)) {
            continue;
        }
        if (!p) {
            return; /* a hole: wait for it to be filled */
        }
        bool well = ref_well(v, p);
        if (!p->at_update && well && p->last) {
            last = last < 0 ? at : last; /* after all others */
        } else if (!p->at_update && !p->terminating && !ref_ended(p) && !ref_stuck(v, p)) {
            ref_delete(s, at, STATEFULSET_WHY_UPDATE);
            return;
        } else if (!well) {
            ref_wait(s, STATEFULSET_WHY_POD_NOT_READY, at);
            return;
        }
    }
    int32_t unwell = v->r.replicas;
    for (size_t i = 0; i < v->pod_count; i++) {
        unwell -= statefulset_is_wanted(&v->r, v->pods[i].ordinal) && ref_well(v, &v->pods[i]);
    }
    if (last >= 0 && unwell == 0) {
        ref_delete(s, last, STATEFULSET_WHY_UPDATE);
    }
}

static void ref_budget(struct ref *s)
{
    const struct ref_view *v = s->v;
    int64_t unavailable = v->r.replicas;
    bool others = false;
    for (size_t i = 0; i < v->pod_count; i++) {
        const struct statefulset_pod *p = &v->pods[i];
        unavailable -= statefulset_is_wanted(&v->r, p->ordinal) && ref_well(v, p);
        others |= ref_updates(v, p) && ref_well(v, p) && !p->last;
    }
    int64_t budget = v->r.max_unavailable - unavailable;
    for (size_t i = v->pod_count; v->r.parallel && i-- > 0;) {
        const struct statefulset_pod *p = &v->pods[i];
        if (ref_updates(v, p) && !p->terminating && !ref_ended(p) && !ref_well(v, p) &&
            !ref_stuck(v, p)) {
            ref_delete(s, p->ordinal, STATEFULSET_WHY_UPDATE);
        }
    }
    for (int last = 0; last < 2; last++) {
        for (size_t i = v->pod_count; i-- > 0 && budget > 0;) {
            const struct statefulset_pod *p = &v->pods[i];
            if (ref_updates(v, p) && ref_well(v, p) && p->last == (last == 1)) {
                ref_delete(s, p->ordinal, STATEFULSET_WHY_UPDATE);
                budget--;
            }
        }
        if (others || unavailable > 0) {
            return;
        }
    }
}

static bool ref_recreate(struct ref *s)
{
    const struct ref_view *v = s->v;
    int64_t old = -1;
    for (int surplus = 1; surplus >= 0; surplus--) { /* what it waits for: wanted ones first */
        for (size_t i = v->pod_count; i-- > 0;) {
            const struct statefulset_pod *p = &v->pods[i];
            if (!p->at_update && statefulset_is_wanted(&v->r, p->ordinal) == !surplus) {
                old = p->ordinal;
                if (!p->terminating) {
                    ref_delete(s, p->ordinal, STATEFULSET_WHY_RECREATE);
                }
            }
        }
    }
    if (old >= 0) {
        ref_wait(s, STATEFULSET_WHY_POD_TERMINATING, old);
        s->plan->recreating = true;
    }
    return old < 0;
}

static void ref_count(struct ref *s)
{
    const struct ref_view *v = s->v;
    struct statefulset_status *st = &s->plan->status;
    for (size_t i = 0; i < v->pod_count; i++) {
        const struct statefulset_pod *p = &v->pods[i];
        bool wanted = statefulset_is_wanted(&v->r, p->ordinal);
        st->replicas++;
        st->ready += ref_ready(p);
        st->available += ref_available(v, p);
        if (ref_ready(p) && !ref_available(v, p) && p->ready_since_ms > 0) {
            int64_t at = p->ready_since_ms + (int64_t)v->r.min_ready_s * 1000;
            if (s->plan->requeue_at_ms == 0 || at < s->plan->requeue_at_ms) {
                s->plan->requeue_at_ms = at;
            }
        }
        st->current += p->at_current && !p->terminating;
        st->updated += p->at_update && !p->terminating;
        st->well += wanted && ref_well(v, p);
        st->stopping += wanted && p->terminating;
        st->behind += wanted && !p->at_update && p->ordinal >= (int64_t)v->r.start + v->r.partition;
        st->surplus += !wanted;
    }
}

static void ref_blocking(struct ref *s)
{
    const struct ref_view *v = s->v;
    s->plan->blocking = -1;
    if (s->plan->waiting != STATEFULSET_WHY_NONE && !v->r.deleting) {
        s->plan->blocking = s->plan->waiting_ordinal;
        return;
    }
    for (int64_t at = v->r.start; at < statefulset_end(&v->r); at++) {
        const struct statefulset_pod *p = ref_pod(v, at);
        if (!statefulset_is_reserved(&v->r, at) && (!p || !ref_well(v, p))) {
            s->plan->blocking = (int32_t)at;
            return;
        }
    }
    for (size_t i = v->pod_count; i-- > 0;) {
        if (!statefulset_is_wanted(&v->r, v->pods[i].ordinal)) {
            s->plan->blocking = v->pods[i].ordinal;
            return;
        }
    }
}

static void ref_run(struct ref *s)
{
    const struct ref_view *v = s->v;
    if (v->r.deleting) {
        ref_wait(s, STATEFULSET_WHY_SET_DELETING, v->r.start);
        return;
    }
    if (v->r.recreate && !ref_recreate(s)) {
        return;
    }
    for (size_t i = v->pod_count; i-- > 0;) {
        if (ref_stuck(v, &v->pods[i])) {
            ref_delete(s, v->pods[i].ordinal, STATEFULSET_WHY_STUCK);
        }
    }
    if (!ref_replicas(s) || !ref_condemned(s) || v->r.on_delete || v->r.recreate) {
        return;
    }
    if (v->r.max_unavailable > 0) {
        ref_budget(s);
    } else {
        ref_one_by_one(s);
    }
}

static void ref_plan(const struct ref_view *v, struct statefulset_plan *plan)
{
    struct ref s = {v, plan};
    plan->action_count = 0;
    plan->status = (struct statefulset_status){0};
    plan->again = plan->recreating = false;
    plan->requeue_at_ms = 0;
    plan->waiting = STATEFULSET_WHY_NONE;
    plan->waiting_ordinal = 0;
    ref_count(&s);
    ref_run(&s);
    ref_blocking(&s);
    struct statefulset_status *st = &plan->status;
    bool moves = false;
    for (size_t i = 0; i < plan->action_count; i++) {
        const struct statefulset_action *a = &plan->actions[i];
        moves |= a->kind != STATEFULSET_REFUSE_CREATE;
        if (a->why == STATEFULSET_WHY_UPDATE || a->why == STATEFULSET_WHY_STUCK) {
            st->current -= ref_pod(v, a->ordinal)->at_current;
        }
    }
    if (st->updated == st->ready && st->updated == st->replicas && st->updated == v->r.replicas) {
        st->complete = true;
        st->current = st->updated;
    }
    plan->again = plan->again && moves;
}

/* ---- comparing ---- */

static bool same_action(const struct statefulset_action *a, const struct statefulset_action *b)
{
    return a->kind == b->kind && a->why == b->why && a->ordinal == b->ordinal &&
           a->at_update == b->at_update && a->missing == b->missing && a->owner == b->owner;
}

/* The same actions in whatever order, and all else alike. */
static bool same_plan(const struct statefulset_plan *a, const struct statefulset_plan *b)
{
    bool same = a->action_count == b->action_count &&
                memcmp(&a->status, &b->status, sizeof a->status) == 0 && a->again == b->again &&
                a->recreating == b->recreating && a->requeue_at_ms == b->requeue_at_ms &&
                a->waiting == b->waiting && a->blocking == b->blocking &&
                (a->waiting == STATEFULSET_WHY_NONE || a->waiting_ordinal == b->waiting_ordinal);
    for (size_t i = 0; i < a->action_count && same; i++) {
        bool found = false;
        for (size_t k = 0; k < b->action_count && !found; k++) {
            found = same_action(&a->actions[i], &b->actions[k]);
        }
        same = found;
    }
    return same;
}

static void show_plan(const char *name, const struct statefulset_plan *p)
{
    kit_note("%s: again %d recreating %d requeue %lld waits %s at %d blocking %d well %d behind %d "
             "surplus %d current %d",
             name, p->again, p->recreating, (long long)p->requeue_at_ms,
             statefulset_why_text(p->waiting), p->waiting_ordinal, p->blocking, p->status.well,
             p->status.behind, p->status.surplus, p->status.current);
    for (size_t i = 0; i < p->action_count && i < 10; i++) {
        const struct statefulset_action *a = &p->actions[i];
        kit_note("  kind %d ordinal %d: %s, update %d missing %d owner %d", a->kind, a->ordinal,
                 statefulset_why_text(a->why), a->at_update, a->missing, a->owner);
    }
}

/* Brings the index to the view pod by pod, as events do. */
static void index_follow(struct statefulset_index *ix, const struct ref_view *v)
{
    static struct statefulset_rules rules;
    memcpy(&rules, &v->r, sizeof rules);
    statefulset_index_rules(ix, &rules);
    for (size_t i = 0; i < v->pod_count; i++) {
        statefulset_index_put(ix, &v->pods[i]);
    }
}

size_t ref_holes(const struct ref_view *v, int32_t holes[STATEFULSET_HOLES_MAX])
{
    size_t max = v->r.parallel ? STATEFULSET_HOLES_MAX : v->r.window > 1 ? (size_t)v->r.window : 1;
    size_t n = 0;
    for (int64_t at = v->r.start; at < statefulset_end(&v->r) && n < max; at++) {
        if (!statefulset_is_reserved(&v->r, at) && !ref_pod(v, at)) {
            holes[n++] = (int32_t)at;
        }
    }
    return n;
}

void ref_show_holes(struct ref_view *v, struct statefulset_hole holes[STATEFULSET_HOLES_MAX],
                    uint8_t owner_fits)
{
    int32_t at[STATEFULSET_HOLES_MAX];
    v->holes = holes;
    v->hole_count = ref_holes(v, at);
    for (size_t i = 0; i < v->hole_count; i++) {
        holes[i] = (struct statefulset_hole){at[i], {.owner_fits = owner_fits}};
    }
}

void plan_indexed(struct statefulset_index *ix, const struct ref_view *v,
                  struct statefulset_plan *plan)
{
    static struct statefulset_plan wanted;
    statefulset_index_advance(ix, v->now_ms);
    struct statefulset_view view = {ix, v->holes, v->hole_count};
    statefulset_plan(&view, plan);
    ref_plan(v, &wanted);
    if (!same_plan(plan, &wanted)) {
        show_plan("got", plan);
        show_plan("wanted", &wanted);
        for (size_t i = 0; i < v->pod_count; i++) {
            const struct statefulset_pod *p = &v->pods[i];
            kit_note("  pod %d: phase %d ready %d was %d ending %d update %d last %d", p->ordinal,
                     p->phase, p->ready, p->was_ready, p->terminating, p->at_update, p->last);
        }
        kit_note("  replicas %d start %d partition %d max %d parallel %d window %d rolling %d",
                 v->r.replicas, v->r.start, v->r.partition, v->r.max_unavailable, v->r.parallel,
                 v->r.window, v->r.has_rolling);
        CHECK(!"the plan is the reference's");
    }
}

void plan_both(const struct ref_view *v, struct statefulset_plan *plan)
{
    struct statefulset_index ix = {0};
    index_follow(&ix, v);
    plan_indexed(&ix, v, plan);
    statefulset_index_done(&ix);
}
