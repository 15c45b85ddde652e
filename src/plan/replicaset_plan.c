/* plan/replicaset_plan.c: see replicaset_plan.h. */
#include "plan/replicaset_plan.h"

#include <stdlib.h>

#include "base/check.h"

struct ranked {
    const struct pod_rank *rank;
    size_t at;
};

static int by_rank(const void *a, const void *b)
{
    return pod_rank_cmp(((const struct ranked *)a)->rank, ((const struct ranked *)b)->rank);
}

static void choose_deletes(struct arena *a, const struct replicaset_view *v, int32_t excess,
                           struct replicaset_plan *ret)
{
    assert(!v->deleting);
    struct ranked *active = ARENA_ARRAY(a, struct ranked, v->pod_count + 1);
    size_t n = 0;
    for (size_t i = 0; i < v->pod_count; i++) {
        if (pod_rank_active(&v->pods[i].rank)) {
            active[n++] = (struct ranked){&v->pods[i].rank, i};
        }
    }
    assert(excess > 0);
    assert((size_t)excess <= n);
    qsort(active, n, sizeof *active, by_rank);
    ret->again = excess > REPLICASET_BURST_MAX;
    ret->delete_count = (size_t)(ret->again ? REPLICASET_BURST_MAX : excess);
    ret->deletes = ARENA_ARRAY(a, size_t, ret->delete_count);
    for (size_t i = 0; i < ret->delete_count; i++) {
        assert(i == 0 || pod_rank_cmp(active[i - 1].rank, active[i].rank) <= 0);
        ret->deletes[i] = active[i].at;
    }
}

static void count(const struct replicaset_view *v, struct replicaset_plan *ret)
{
    struct replicaset_status *st = &ret->status;
    for (size_t i = 0; i < v->pod_count; i++) {
        const struct pod_rank *p = &v->pods[i].rank;
        st->terminating += p->terminating && p->phase != POD_RANK_ENDED;
        if (!pod_rank_active(p)) {
            continue;
        }
        st->replicas++;
        st->fully_labeled += v->pods[i].fully_labeled;
        st->ready += p->ready;
        st->available += pod_rank_available(p, v->min_ready_s, v->now_ms, &ret->requeue_at_ms);
    }
    assert(st->available <= st->ready);
    assert(st->ready <= st->replicas);
    assert(st->fully_labeled <= st->replicas);
    assert((size_t)st->replicas <= v->pod_count);
}

void replicaset_plan(struct arena *a, const struct replicaset_view *view,
                     struct replicaset_plan *ret)
{
    assert(a);
    assert(ret);
    assert(view->min_ready_s >= 0);
    assert(view->replicas >= 0);
    assert(view->pods || view->pod_count == 0);
    *ret = (struct replicaset_plan){.create = 0};
    count(view, ret);
    int32_t missing = view->replicas - ret->status.replicas;
    if (view->deleting || missing == 0) {
        return;
    }
    if (missing > 0) {
        ret->again = missing > REPLICASET_BURST_MAX;
        ret->create = ret->again ? REPLICASET_BURST_MAX : missing;
    } else {
        choose_deletes(a, view, -missing, ret);
    }
    assert((ret->create > 0) != (ret->delete_count > 0));
    assert(ret->create <= REPLICASET_BURST_MAX);
    assert(ret->delete_count <= REPLICASET_BURST_MAX);
}
