/* test/unit/replicaset_plan_test.c: every small world, and the order in which pods go. */
#include "plan/replicaset_plan.h"

#include "kit/kit.h"

enum { N = 4, NOW_MS = 100000 };

enum state { ABSENT, UNBOUND, PENDING, STARTING, UNAVAILABLE, READY, STOPPING, FAILED, STATES };

static struct replicaset_pod pod_of(int i, enum state state)
{
    static const char *const names[N] = {"a", "b", "c", "d"};
    struct replicaset_pod p = {.rank = {.name = span_cstr(names[i]), .created_ms = 1000 + i}};
    p.rank.assigned = state != UNBOUND;
    p.rank.phase = state == UNBOUND || state == PENDING ? POD_RANK_PENDING
                   : state == FAILED                    ? POD_RANK_ENDED
                                                        : POD_RANK_RUNNING;
    p.rank.ready = state == READY || state == UNAVAILABLE || state == STOPPING;
    p.rank.terminating = state == STOPPING;
    p.rank.ready_since_ms = state == UNAVAILABLE ? NOW_MS - 1000 : 2000;
    p.fully_labeled = i != 0;
    return p;
}

static void check_world(struct arena *a, const struct replicaset_view *v, const enum state *states)
{
    struct replicaset_plan plan;
    replicaset_plan(a, v, &plan);
    int32_t active = 0, ready = 0, available = 0;
    for (int i = 0; i < N; i++) {
        active += states[i] != ABSENT && states[i] != STOPPING && states[i] != FAILED;
        ready += states[i] == READY || states[i] == UNAVAILABLE;
        available += states[i] == READY || (states[i] == UNAVAILABLE && v->min_ready_s == 0);
    }
    CHECK_EQ(plan.status.replicas, active);
    CHECK_EQ(plan.status.ready, ready);
    CHECK_EQ(plan.status.available, available);
    CHECK(!plan.again);
    CHECK_EQ(plan.requeue_at_ms, available < ready ? NOW_MS + 4000 : 0);
    if (v->deleting) {
        CHECK(plan.create == 0 && plan.delete_count == 0);
        return;
    }
    CHECK_EQ(active + plan.create - (int32_t)plan.delete_count, v->replicas);
    CHECK(plan.create == 0 || plan.delete_count == 0);
    bool goes[N] = {false};
    for (size_t i = 0; i < plan.delete_count; i++) {
        CHECK(!goes[plan.deletes[i]] && pod_rank_active(&v->pods[plan.deletes[i]].rank));
        goes[plan.deletes[i]] = true;
    }
    for (size_t d = 0; d < v->pod_count; d++) {
        for (size_t s = 0; s < v->pod_count && goes[d]; s++) {
            CHECK(goes[s] || !pod_rank_active(&v->pods[s].rank) ||
                  pod_rank_cmp(&v->pods[d].rank, &v->pods[s].rank) < 0);
        }
    }
}

TEST(every_small_world_comes_to_its_number_and_the_lesser_pods_go)
{
    cleanup_arena struct arena *a = arena_new();
    int worlds = 1;
    for (int i = 0; i < N; i++) {
        worlds *= STATES;
    }
    for (int w = 0; w < worlds; w++) {
        enum state states[N];
        struct replicaset_pod pods[N];
        struct replicaset_view v = {.now_ms = NOW_MS, .pods = pods};
        for (int i = 0, left = w; i < N; i++, left /= STATES) {
            states[i] = (enum state)(left % STATES);
            if (states[i] != ABSENT) {
                pods[v.pod_count++] = pod_of(i, states[i]);
            }
        }
        for (int rules = 0; rules < 6 * 4; rules++) {
            v.replicas = rules % 6;
            v.min_ready_s = rules / 6 % 2 ? 5 : 0;
            v.deleting = rules / 12;
            check_world(a, &v, states);
        }
        arena_clear(a);
    }
}

TEST(pods_go_in_the_order_of_kubernetes)
{
    const struct pod_rank base = {.name = SPAN("m"),
                                  .phase = POD_RANK_RUNNING,
                                  .assigned = true,
                                  .ready = true,
                                  .ready_since_ms = 5000,
                                  .created_ms = 3000};
    struct pod_rank first[8];
    for (size_t i = 0; i < 8; i++) {
        first[i] = base;
    }
    first[0].assigned = false;
    first[1].phase = POD_RANK_PENDING;
    first[2].ready = false;
    first[3].deletion_cost = -1;
    first[4].neighbours = 2;
    first[5].ready_since_ms = 6000;
    first[6].restarts = 1;
    first[7].created_ms = 4000;
    for (size_t i = 0; i < 8; i++) {
        CHECK(pod_rank_cmp(&first[i], &base) < 0);
        CHECK(pod_rank_cmp(&base, &first[i]) > 0);
        for (size_t k = i + 1; k < 8; k++) { /* an earlier rule outweighs all later ones */
            CHECK(pod_rank_cmp(&first[i], &first[k]) < 0);
        }
    }
    struct pod_rank unknown = base;
    unknown.ready_since_ms = 0;
    CHECK(pod_rank_cmp(&unknown, &base) < 0);
    struct pod_rank other = base;
    other.name = SPAN("n");
    CHECK(pod_rank_cmp(&base, &other) < 0);
}

TEST(one_plan_is_bounded)
{
    cleanup_arena struct arena *a = arena_new();
    struct replicaset_view v = {.replicas = INT32_MAX};
    struct replicaset_plan plan;
    replicaset_plan(a, &v, &plan);
    CHECK_EQ(plan.create, REPLICASET_BURST_MAX);
    CHECK(plan.again);
}

TEST(batches_double_and_amounts_round)
{
    CHECK_EQ(plan_next_batch(0, 10), 1);
    CHECK_EQ(plan_next_batch(1, 9), 2);
    CHECK_EQ(plan_next_batch(4, 3), 3);
    CHECK_EQ(plan_next_batch(0, 0), 0);
    CHECK_EQ(plan_amount_of((struct plan_amount){25, true}, 10, true), 3);
    CHECK_EQ(plan_amount_of((struct plan_amount){25, true}, 10, false), 2);
    CHECK_EQ(plan_amount_of((struct plan_amount){-3, false}, 10, false), 0);
    CHECK_EQ(plan_amount_of((struct plan_amount){INT64_MAX, true}, INT32_MAX, true), INT32_MAX);
}
