/* plan/pod_rank.c: see pod_rank.h. */
#include "plan/pod_rank.h"

#include "base/check.h"

bool pod_rank_active(const struct pod_rank *p)
{
    assert(p->phase <= POD_RANK_ENDED);
    return p->phase != POD_RANK_ENDED && !p->terminating;
}

bool pod_rank_available(const struct pod_rank *p, int32_t min_ready_s, int64_t now_ms,
                        int64_t *at_ms)
{
    assert(min_ready_s >= 0);
    if (!p->ready || min_ready_s == 0) {
        return p->ready;
    }
    if (p->ready_since_ms == 0) {
        return false;
    }
    assert(p->ready_since_ms > 0);
    int64_t at = p->ready_since_ms + (int64_t)min_ready_s * 1000;
    if (at > now_ms && at_ms && (*at_ms == 0 || at < *at_ms)) {
        *at_ms = at;
    }
    return at <= now_ms;
}

static int smaller_first(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* The younger goes first; unknown is the youngest of all. */
static int later_first(int64_t a, int64_t b)
{
    if (a == 0 || b == 0) {
        return smaller_first(a != 0, b != 0);
    }
    return smaller_first(b, a);
}

int pod_rank_cmp(const struct pod_rank *a, const struct pod_rank *b)
{
    assert(a);
    assert(b);
    int keys[] = {smaller_first(a->assigned, b->assigned),
                  smaller_first(a->phase, b->phase),
                  smaller_first(a->ready, b->ready),
                  smaller_first(a->deletion_cost, b->deletion_cost),
                  smaller_first(b->neighbours, a->neighbours),
                  a->ready && b->ready ? later_first(a->ready_since_ms, b->ready_since_ms) : 0,
                  smaller_first(b->restarts, a->restarts),
                  later_first(a->created_ms, b->created_ms)};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (keys[i]) {
            return keys[i];
        }
    }
    return span_cmp(a->name, b->name);
}

int32_t plan_amount_of(struct plan_amount amount, int32_t total, bool round_up)
{
    assert(total >= 0);
    if (amount.value <= 0) {
        return 0;
    }
    int64_t value = amount.value > INT32_MAX ? INT32_MAX : amount.value;
    assert(value > 0);
    if (amount.percent) {
        value = (value * total + (round_up ? 99 : 0)) / 100;
    }
    assert(value >= 0);
    return value > INT32_MAX ? INT32_MAX : (int32_t)value;
}

int32_t plan_next_batch(int32_t last, int32_t left)
{
    assert(last >= 0);
    assert(left >= 0);
    int64_t next = last ? (int64_t)last * 2 : 1;
    assert(next > 0);
    return next < left ? (int32_t)next : left;
}
