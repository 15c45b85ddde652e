/* test/unit/statefulset_worlds_test.c: every small world, its invariants, and random walks to
 * convergence. Each plan is compared with the reference as well. */
#include <stdlib.h>

#include "kit/kit.h"
#include "kit/statefulset_world.h"

enum { N = WORLD_N };

/* Both policies, six strategies (RollingUpdate with its maxUnavailable unset, 1 and 2 and without
 * parameters, OnDelete, Recreate), each partition, deletion. */
static void each_rule(struct world *w, bool deletion, void (*fn)(struct world *))
{
    struct statefulset_rules *v = &w->view.r;
    for (int rule = 0; rule < 2 * 6 * (N + 1) * (deletion ? 2 : 1); rule++) {
        int r = rule;
        v->parallel = r % 2;
        int strategy = (r /= 2) % 6;
        v->partition = (r /= 6) % (N + 1);
        v->deleting = r / (N + 1);
        v->on_delete = strategy == 1;
        v->recreate = strategy == 5;
        v->has_rolling = strategy != 1 && strategy != 4 && strategy != 5;
        v->max_unavailable = strategy == 2 ? 1 : strategy == 3 ? 2 : 0;
        if (!v->has_rolling && v->partition > 0) {
            continue;
        }
        fn(w);
    }
}

static uint64_t plans;

static void check_world(struct world *w)
{
    static struct statefulset_plan plan;
    plan_both(&w->view, &plan);
    world_check(w, &plan);
    plans++;
}

/* The worlds with pods of the first revisions from `from` on, in each range: 0 to 3 replicas, and
 * one or two from ordinal 1 on. */
static void each_world(struct world *w, enum revision from, int revisions, bool deletion)
{
    int variants = 1 + (WORLD_STATES - 1) * revisions;
    for (int code = 0; code < variants * variants * variants; code++) {
        int c = code;
        for (int i = 0; i < N; i++, c /= variants) {
            int one = c % variants;
            w->state[i] = one == 0 ? ABSENT : (enum state)(1 + (one - 1) / revisions);
            w->revision[i] = one == 0 ? NEW : (enum revision)((int)from + (one - 1) % revisions);
        }
        for (int range = 0; range < (N + 1) + 2; range++) {
            w->view.r.start = range > N ? 1 : 0;
            w->view.r.replicas = range > N ? range - N : range;
            world_fill(w);
            each_rule(w, deletion, check_world);
        }
    }
}

static struct world world_new(void)
{
    return (struct world){.view = {.now_ms = 100000, .r = {.min_ready_s = 10}}};
}

TEST_T(plan_every_small_world_keeps_the_invariants, 60)
{
    struct world w = world_new();
    each_world(&w, OLD, 2, true);
    kit_note("%llu plans", (unsigned long long)plans);
    CHECK(plans > 4000000);
}

TEST_T(plan_every_retention_policy_keeps_the_invariants, 60)
{
    struct world w = world_new();
    for (int policy = 0; policy < 4; policy++) {
        w.view.r.delete_when_scaled = policy % 2;
        w.view.r.delete_when_deleted = policy / 2;
        for (int claims = 0; claims < 4; claims++) { /* whose they are; a former pod's */
            w.fits = claims < 3 ? (uint8_t)(1 << claims) : 0;
            w.stale = claims == 3;
            each_world(&w, OLD, 1, false);
        }
    }
    kit_note("%llu plans", (unsigned long long)plans);
}

TEST_T(plan_a_set_of_one_revision_keeps_the_invariants, 60)
{
    struct world w = world_new();
    w.one_revision = true;
    each_world(&w, NEW, 2, false); /* and pods of others */
}

/* Everything with everything: minutes, so only in the longer runs, and not under a sanitizer. */
TEST_T(plan_every_view_of_three_revisions_and_each_retention_policy, 120)
{
#ifndef __SANITIZE_ADDRESS__
    struct world w = world_new();
    for (int policy = 0; policy < 4 && getenv("KIT_SLOW"); policy++) {
        w.view.r.delete_when_scaled = policy % 2;
        w.view.r.delete_when_deleted = policy / 2;
        each_world(&w, OLD, REVISIONS, true);
    }
    kit_note("%llu plans", (unsigned long long)plans);
#endif
}

/* ---- random walks ---- */

static bool chance(int percent)
{
    return (int)(kit_random() % 100) < percent;
}

static void pod_step(struct world *w, int i, bool calm)
{
    static const enum state next[WORLD_STATES] = {
        [PENDING] = STARTING,        [STARTING] = UNAVAILABLE,
        [UNAVAILABLE] = READY,       [READY] = READY,
        [LOST] = STARTING,           [FAILED] = FAILED,
        [SUCCEEDED] = SUCCEEDED,     [STOPPING] = ABSENT,
        [PENDING_STOPPING] = ABSENT, [STARTING_STOPPING] = ABSENT};
    w->state[i] = next[w->state[i]];
    bool lives = w->state[i] != ABSENT && !world_ended(w->state[i]) && !world_stopping(w->state[i]);
    if (!calm && lives && chance(6)) {
        static const enum state fates[] = {FAILED, SUCCEEDED, LOST, STOPPING, STARTING_STOPPING};
        w->state[i] = fates[kit_random() % (sizeof fates / sizeof *fates)];
    }
}

static void apply(struct world *w, const struct statefulset_plan *plan)
{
    for (size_t i = 0; i < plan->action_count; i++) {
        const struct statefulset_action *a = &plan->actions[i];
        enum state *state = &w->state[a->ordinal];
        if (a->kind == STATEFULSET_CREATE_POD) {
            *state = PENDING;
            w->revision[a->ordinal] = a->at_update ? NEW : OLD;
        } else if (a->kind == STATEFULSET_DELETE_POD) {
            *state = world_ended(*state) ? FAILED_STOPPING
                     : *state == PENDING ? PENDING_STOPPING
                                         : STOPPING;
        }
    }
}

static void walk(struct world *w)
{
    static struct statefulset_plan plan;
    int left = 600;
    for (; left > 0; left--) {
        bool calm = left < 500;
        world_fill(w);
        plan_both(&w->view, &plan);
        world_check(w, &plan);
        if (calm && plan.action_count == 0 && plan.waiting == STATEFULSET_WHY_NONE) {
            break;
        }
        apply(w, &plan);
        pod_step(w, (int)(kit_random() % N), calm);
    }
    if (left == 0) {
        kit_note("stuck: parallel %d on_delete %d rolling %d partition %d max %d replicas %d: "
                 "%d/%d %d/%d %d/%d waits for %s",
                 w->view.r.parallel, w->view.r.on_delete, w->view.r.has_rolling,
                 w->view.r.partition, w->view.r.max_unavailable, w->view.r.replicas, w->state[0],
                 w->revision[0], w->state[1], w->revision[1], w->state[2], w->revision[2],
                 statefulset_why_text(plan.waiting));
    }
    CHECK(left > 0);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(w->state[i] != ABSENT, world_wants(w, i));
        if (world_wants(w, i)) {
            CHECK(world_well(w, i));
            CHECK(w->view.r.on_delete || i - w->view.r.start < w->view.r.partition ||
                  w->revision[i] == NEW);
        }
    }
    if (w->view.r.partition == 0 && !w->view.r.on_delete) {
        CHECK(plan.status.complete);
        CHECK_EQ(plan.status.current, w->view.r.replicas);
    }
}

static void walk_rule(struct world *w)
{
    for (int i = 0; i < N; i++) {
        w->state[i] = (enum state)(kit_random() % WORLD_STATES);
        w->revision[i] = (enum revision)(kit_random() % REVISIONS);
    }
    walk(w);
}

TEST_T(plan_random_walks_converge, 60)
{
    struct world w = world_new();
    for (int round = 0; round < 40; round++) {
        for (int range = 0; range <= N; range++) {
            w.view.r.replicas = range;
            each_rule(&w, false, walk_rule);
        }
    }
}
