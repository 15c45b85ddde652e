/* plan/deadline_plan.c: see deadline_plan.h. */
#include "plan/deadline_plan.h"

#include "base/check.h"

#define FORM_1 "revision "
#define FORM_2 ": "
#define FORM_3 " updated, "
#define FORM_4 " available"

/* Takes `text` off the front; false when it does not stand there. */
static bool skip(struct span *s, struct span text)
{
    assert(text.n > 0);
    if (!span_starts(*s, text)) {
        return false;
    }
    *s = span_from(*s, text.n);
    return true;
}

static bool take_count(struct span *s, int32_t *ret)
{
    assert(ret);
    struct span digits = span_first(*s, span_find(*s, ' '));
    int64_t n = 0;
    if (!span_to_i64(digits, &n) || n < 0 || n > INT32_MAX) {
        return false;
    }
    assert(digits.n > 0);
    *ret = (int32_t)n;
    *s = span_from(*s, digits.n);
    return true;
}

/* How far this very roll-out had come; false: nothing is known of it. */
static bool read_stood(const struct deadline_view *v, int32_t *updated, int32_t *well)
{
    assert(v->revision.n > 0);
    struct span s = v->stood;
    return v->stood_ms > 0 && skip(&s, SPAN(FORM_1)) && skip(&s, v->revision) &&
           skip(&s, SPAN(FORM_2)) && take_count(&s, updated) && skip(&s, SPAN(FORM_3)) &&
           take_count(&s, well) && span_eq(s, SPAN(FORM_4));
}

void deadline_plan(struct arena *a, const struct deadline_view *v, struct deadline_plan *ret)
{
    assert(a);
    assert(ret);
    assert(v->updated >= 0);
    assert(v->well >= 0);
    assert(v->deadline_ms >= 0);
    *ret = (struct deadline_plan){0};
    if (v->deadline_ms == 0 || !v->moving || v->held) {
        return;
    }
    int32_t updated = 0, well = 0;
    bool known = read_stood(v, &updated, &well);
    int64_t second_ms = (v->now_ms + 999) / 1000 * 1000;
    ret->stands = v->stood;
    /* A clock that was set back is not waited for: the time begins anew. */
    ret->since_ms = v->stood_ms < second_ms ? v->stood_ms : second_ms;
    if (!known || v->updated > updated || v->well > well) {
        ret->since_ms = second_ms;
        ret->stands = arena_printf(a, FORM_1 "%.*s" FORM_2 "%d" FORM_3 "%d" FORM_4,
                                   SPAN_ARG(v->revision), (int)v->updated, (int)v->well);
    }
    int64_t until_ms = ret->since_ms + v->deadline_ms;
    ret->overdue = until_ms <= v->now_ms;
    ret->requeue_at_ms = ret->overdue ? 0 : until_ms;
    assert(ret->overdue || ret->requeue_at_ms > v->now_ms);
    assert(ret->requeue_at_ms <= v->now_ms + v->deadline_ms + 999);
    ret->roll_back = ret->overdue && v->auto_rollback && v->has_previous;
}
