/* What one pod event costs the planner of StatefulSets, in sets of 1,000 and of 100,000 pods. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "plan/statefulset_index.h"

enum { EVENTS = 200000 };

static struct statefulset_plan plan;

static double now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct statefulset_pod pod(int32_t ordinal, bool ready)
{
    return (struct statefulset_pod){.ordinal = ordinal,
                                    .phase = STATEFULSET_RUNNING,
                                    .ready = ready,
                                    .was_ready = true,
                                    .at_current = true,
                                    .at_update = true,
                                    .identity_fits = true,
                                    .ready_since_ms = 1,
                                    .claims.owner_fits = 7};
}

static void plan_once(struct statefulset_index *ix)
{
    int32_t ordinals[STATEFULSET_HOLES_MAX];
    struct statefulset_hole holes[STATEFULSET_HOLES_MAX];
    struct statefulset_view v = {ix, holes, 0};
    statefulset_index_advance(ix, 1000000);
    v.hole_count = statefulset_holes(ix, ordinals);
    for (size_t i = 0; i < v.hole_count; i++) {
        holes[i] = (struct statefulset_hole){ordinals[i], {.owner_fits = 7}};
    }
    statefulset_plan(&v, &plan);
}

static void give_rules(struct statefulset_index *ix, int32_t replicas, bool parallel)
{
    static struct statefulset_rules r; /* large */
    memset(&r, 0, sizeof r);
    r.replicas = replicas;
    r.has_rolling = true;
    r.parallel = parallel;
    statefulset_index_rules(ix, &r);
}

/* A pod changes, the set is planned: microseconds each. */
static double event_us(int32_t replicas, bool parallel)
{
    struct statefulset_index ix = {0};
    give_rules(&ix, replicas, parallel);
    for (int32_t i = 0; i < replicas; i++) {
        struct statefulset_pod p = pod(i, true);
        statefulset_index_put(&ix, &p);
    }
    uint64_t x = 1;
    double start = now_s();
    for (int i = 0; i < EVENTS; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        struct statefulset_pod p = pod((int32_t)((x >> 33) % (uint64_t)replicas), i % 2 == 0);
        statefulset_index_put(&ix, &p);
        plan_once(&ix);
    }
    double us = (now_s() - start) / EVENTS * 1e6;
    assert(plan.status.replicas == replicas);
    statefulset_index_done(&ix);
    return us;
}

/* A set from nothing to all Ready: every pod made, and Ready in its turn; microseconds a pod. */
static double rise_us(int32_t replicas, bool parallel)
{
    struct statefulset_index ix = {0};
    give_rules(&ix, replicas, parallel);
    double start = now_s();
    do {
        plan_once(&ix);
        for (size_t i = 0; i < plan.action_count; i++) {
            struct statefulset_pod p = pod(plan.actions[i].ordinal, true);
            statefulset_index_put(&ix, &p);
        }
    } while (plan.action_count > 0);
    double us = (now_s() - start) / replicas * 1e6;
    assert(plan.status.ready == replicas);
    statefulset_index_done(&ix);
    return us;
}

int main(void)
{
    static const int32_t sizes[] = {1000, 10000, 100000};
    for (int parallel = 0; parallel < 2; parallel++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            printf(
                "%-12s %6d pods: %6.3f us a pod event, %6.3f us a pod from nothing to all Ready\n",
                parallel ? "Parallel" : "OrderedReady", (int)sizes[i], event_us(sizes[i], parallel),
                rise_us(sizes[i], parallel));
        }
    }
    return 0;
}
