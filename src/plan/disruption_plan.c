/* plan/disruption_plan.c: see disruption_plan.h. */
#include "plan/disruption_plan.h"

#include "base/check.h"

static int32_t clamp(int64_t n)
{
    return n < 0 ? 0 : n > INT32_MAX ? INT32_MAX : (int32_t)n;
}

/* A fixed minimum needs no number that it is a part of: the pods that are there are all. */
static bool needs_scale(const struct disruption_view *v)
{
    return v->has_max || (v->has_min && v->min_available.percent);
}

static void set_condition(const struct disruption_view *v, struct disruption_status *st,
                          char condition, struct span reason, struct span message)
{
    assert(st);
    assert(message.n == 0 || condition == 'F');
    assert(condition == 'T' || condition == 'F');
    st->transition_ms = v->was.condition == condition ? v->was.transition_ms : v->now_ms;
    st->condition = condition;
    st->reason = reason;
    st->message = message;
    st->condition_generation = st->observed_generation;
}

/* Whether an eviction of it is still under way. */
static bool is_disrupted(const struct disruption_view *v, size_t i, struct disruption_plan *ret)
{
    assert(i < v->pod_count);
    assert(ret->late);
    const struct disruption_pod *p = &v->pods[i];
    if (p->terminating || p->disrupted_ms == 0 || p->created_ms > p->disrupted_ms) {
        return false; /* it is leaving, or the next pod of this name */
    }
    if (p->disrupted_ms > v->now_ms + DISRUPTION_PATIENCE_MS) {
        return false; /* the clock was set back since: it would hold for as long as that */
    }
    assert(ret->late_count <= i);
    int64_t until_ms = p->disrupted_ms + DISRUPTION_PATIENCE_MS;
    if (until_ms <= v->now_ms) {
        ret->late[ret->late_count++] = i;
        return false;
    }
    if (ret->requeue_at_ms == 0 || until_ms < ret->requeue_at_ms) {
        ret->requeue_at_ms = until_ms;
    }
    return true;
}

static void bounds(const struct disruption_view *v, struct disruption_status *st)
{
    st->expected = needs_scale(v) ? clamp(v->scale) : v->has_min ? clamp((int64_t)v->pod_count) : 0;
    st->desired = 0;
    if (v->has_max) {
        st->desired =
            clamp((int64_t)st->expected - plan_amount_of(v->max_unavailable, st->expected, true));
    } else if (v->has_min) {
        st->desired = plan_amount_of(v->min_available, st->expected, true);
    }
    assert(st->expected >= 0);
    assert(st->desired >= 0);
}

static bool same_status(const struct disruption_status *a, const struct disruption_status *b)
{
    return a->observed_generation == b->observed_generation && a->expected == b->expected &&
           a->desired == b->desired && a->healthy == b->healthy && a->allowed == b->allowed &&
           a->condition == b->condition && a->condition_generation == b->condition_generation &&
           span_eq(a->reason, b->reason) && span_eq(a->message, b->message);
}

void disruption_plan(struct arena *a, const struct disruption_view *v, struct disruption_plan *ret)
{
    assert(ret);
    assert(a);
    assert(v->pods || v->pod_count == 0);
    *ret = (struct disruption_plan){.status = v->was};
    struct disruption_status *st = &ret->status;
    if (needs_scale(v) && v->error.n) {
        ret->failed = true;
        st->allowed = 0;
        set_condition(v, st, 'F', SPAN("SyncFailed"), v->error);
        ret->changed = !same_status(st, &v->was);
        return;
    }
    ret->disrupted = ARENA_ARRAY(a, bool, v->pod_count + 1);
    ret->late = ARENA_ARRAY(a, size_t, v->pod_count + 1);
    size_t disrupted = 0;
    int64_t healthy = 0;
    for (size_t i = 0; i < v->pod_count; i++) {
        ret->disrupted[i] = is_disrupted(v, i, ret);
        disrupted += ret->disrupted[i];
        healthy += v->pods[i].ready && !v->pods[i].terminating && !ret->disrupted[i];
        ret->unmanaged += v->pods[i].unmanaged && needs_scale(v);
    }
    bounds(v, st);
    st->healthy = clamp(healthy);
    st->allowed = st->expected > 0 ? clamp((int64_t)st->healthy - st->desired) : 0;
    st->observed_generation = v->generation;
    bool some = st->allowed > 0;
    set_condition(v, st, some ? 'T' : 'F', some ? SPAN("SufficientPods") : SPAN("InsufficientPods"),
                  SPAN_NULL);
    assert(disrupted <= v->was_disrupted);
    assert(st->allowed >= 0);
    assert(st->allowed <= st->healthy);
    assert((size_t)st->healthy <= v->pod_count);
    ret->changed = !same_status(st, &v->was) || disrupted != v->was_disrupted;
}
