#include "plan/image_plan.h"

#include "base/check.h"

uint64_t image_plan_wanted(const struct image_thresholds *t, uint64_t available, uint64_t capacity)
{
    assert(t->low_percent <= t->high_percent);
    assert(t->high_percent <= 100);
    if (t->high_percent == 100 || capacity == 0 || available >= capacity) {
        return 0;
    }
    /* The kubelet's rounding: what is available counts in whole per cent, rounded down. */
    unsigned used_percent = 100 - (unsigned)((long double)available / (long double)capacity * 100);
    uint64_t aim = capacity / 100 * (100 - t->low_percent);
    return used_percent >= t->high_percent && aim > available ? aim - available : 0;
}

static bool may_go(const struct image_plan_view *view, const struct image_plan_image *im)
{
    return !im->is_used && !im->is_imported && view->now_ms - im->last_used_ms >= view->min_age_ms;
}

/* Large ones first among equals: fewer have to come again. */
static bool goes_before(const struct image_plan_image *a, const struct image_plan_image *b)
{
    return a->last_used_ms != b->last_used_ms ? a->last_used_ms < b->last_used_ms
                                              : a->bytes > b->bytes;
}

size_t image_plan_order(const struct image_plan_view *view, size_t *order)
{
    assert(view);
    assert(order || view->n == 0);
    size_t n = 0;
    for (size_t i = 0; i < view->n; i++) {
        if (!may_go(view, &view->images[i])) {
            continue;
        }
        size_t at = n++;
        for (; at > 0 && goes_before(&view->images[i], &view->images[order[at - 1]]); at--) {
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    return n;
}
