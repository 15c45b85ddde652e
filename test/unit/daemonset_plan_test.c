/* test/unit/daemonset_plan_test.c: every small world, and walks to convergence. */
#include "plan/daemonset_plan.h"

#include "kit/kit.h"

enum { NODES = 3, ON_NODE = 2, NOW_MS = 1000000 };

enum state { ABSENT, PENDING, STARTING, READY, STOPPING, FAILED, STATES };

struct slot {
    enum state state;
    bool updated;
    int64_t created_ms;
};

struct world {
    struct slot slots[NODES][ON_NODE];
    struct daemonset_node nodes[NODES];
    struct daemonset_pod pods[NODES * ON_NODE];
    struct slot *slot_of[NODES * ON_NODE];
    struct daemonset_view view;
};

static void fill(struct world *w)
{
    static const char *const names[NODES][ON_NODE] = {{"a", "b"}, {"c", "d"}, {"e", "f"}};
    struct daemonset_view *v = &w->view;
    v->nodes = w->nodes;
    v->node_count = NODES;
    v->pods = w->pods;
    v->pod_count = 0;
    for (int n = 0; n < NODES; n++) {
        for (int k = 0; k < ON_NODE; k++) {
            struct slot *s = &w->slots[n][k];
            if (s->state == ABSENT) {
                continue;
            }
            struct pod_rank rank = {.name = span_cstr(names[n][k]),
                                    .phase = s->state == PENDING  ? POD_RANK_PENDING
                                             : s->state == FAILED ? POD_RANK_ENDED
                                                                  : POD_RANK_RUNNING,
                                    .assigned = s->state != PENDING,
                                    .ready = s->state == READY,
                                    .terminating = s->state == STOPPING,
                                    .created_ms = s->created_ms,
                                    .ready_since_ms = 1};
            w->slot_of[v->pod_count] = s;
            w->pods[v->pod_count++] = (struct daemonset_pod){
                .rank = rank, .node = n, .updated = s->updated, .failed = s->state == FAILED};
        }
    }
}

static bool is_active(const struct slot *s)
{
    return s->state == PENDING || s->state == STARTING || s->state == READY;
}

struct tally {
    int lacking, doubled; /* wanted nodes without an available pod; nodes with two pods */
};

static struct tally tally_of(const struct world *w)
{
    struct tally t = {0, 0};
    for (int n = 0; n < NODES; n++) {
        const struct slot *a = &w->slots[n][0], *b = &w->slots[n][1];
        t.lacking += w->nodes[n].should_run && a->state != READY && b->state != READY;
        t.doubled += a->state != ABSENT && b->state != ABSENT;
    }
    return t;
}

static void carry_out(struct world *w, const struct daemonset_plan *plan, int64_t now_ms)
{
    for (size_t i = 0; i < plan->delete_count; i++) {
        struct slot *s = w->slot_of[plan->deletes[i].pod];
        CHECK(s->state != STOPPING);
        s->state = s->state == FAILED || s->state == PENDING ? ABSENT : STOPPING;
    }
    for (size_t i = 0; i < plan->create_count; i++) {
        struct slot *s = w->slots[plan->creates[i]];
        s += s->state != ABSENT;
        CHECK(s->state == ABSENT);
        *s = (struct slot){PENDING, true, now_ms};
    }
}

static void check_world(struct arena *a, const struct world *given)
{
    struct world w = *given;
    fill(&w);
    struct daemonset_plan plan;
    daemonset_plan(a, &w.view, &plan);
    int32_t surge, unavailable;
    daemonset_bounds(&w.view, plan.status.desired, &surge, &unavailable);
    struct tally before = tally_of(&w);
    int broken = 0;
    for (int n = 0; n < NODES; n++) {
        broken += w.slots[n][0].state != READY && w.slots[n][1].state != READY;
    }
    struct world after = w;
    for (size_t i = 0; i < after.view.pod_count; i++) {
        after.slot_of[i] = &after.slots[0][0] + (w.slot_of[i] - &w.slots[0][0]);
    }
    carry_out(&after, &plan, NOW_MS);
    struct tally then = tally_of(&after);
    CHECK(then.lacking <= (before.lacking > unavailable ? before.lacking : unavailable) ||
          w.view.on_delete);
    CHECK(then.doubled <= (before.doubled > surge ? before.doubled : surge) + (surge ? broken : 0));
    for (int n = 0; n < NODES; n++) {
        int active = is_active(&after.slots[n][0]) + is_active(&after.slots[n][1]);
        CHECK(active <= (surge > 0 ? 2 : 1));
        CHECK(active == 0 || w.nodes[n].should_continue);
    }
    for (size_t i = 0; i < plan.delete_count && w.view.on_delete; i++) {
        CHECK(plan.deletes[i].why != DAEMONSET_WHY_UPDATE);
    }
    w.view.deleting = true;
    daemonset_plan(a, &w.view, &plan);
    CHECK(plan.create_count == 0 && plan.delete_count == 0);
    arena_clear(a);
}

TEST(every_small_world_keeps_within_the_bounds)
{
    cleanup_arena struct arena *a = arena_new();
    /* A node: two slots of a state each, old or new; the pods of node 0 in all, of 1 in some. */
    const int slots = STATES * 2, nodes = slots * slots;
    for (int i = 0; i < nodes * nodes * 3 * 5; i++) {
        struct world w = {.view = {.now_ms = NOW_MS}};
        int left = i;
        for (int n = 0; n < 2; n++) {
            for (int k = 0; k < ON_NODE; k++, left /= slots) {
                w.slots[n][k] = (struct slot){(enum state)(left % slots / 2), left % 2, n + k + 1};
            }
        }
        w.slots[2][0] = (struct slot){READY, false, 9};
        int taint = left % 3, rule = left / 3;
        for (int n = 0; n < NODES; n++) {
            w.nodes[n] = (struct daemonset_node){true, true};
        }
        w.nodes[0] = (struct daemonset_node){taint == 0, taint <= 1};
        w.view.on_delete = rule == 0;
        w.view.unavailable.value = rule == 1 ? 1 : rule == 2 ? 2 : 0;
        w.view.surge.value = rule == 3 ? 1 : rule == 4 ? 2 : 0;
        check_world(a, &w);
    }
}

static bool at_rest(const struct world *w)
{
    for (int n = 0; n < NODES; n++) {
        const struct slot *a = &w->slots[n][0], *b = &w->slots[n][1];
        const struct slot *p = a->state == ABSENT ? b : a, *other = p == a ? b : a;
        bool right = w->nodes[n].should_run ? p->state == READY && p->updated : p->state == ABSENT;
        if (!right || other->state != ABSENT) {
            return false;
        }
    }
    return true;
}

static void move(struct slot *s)
{
    switch (s->state) {
    case PENDING:
        s->state = STARTING;
        break;
    case STARTING:
        s->state = kit_random() % 10 == 0 ? FAILED : READY;
        break;
    case STOPPING:
        s->state = ABSENT;
        break;
    default:
        break;
    }
}

TEST(from_everywhere_each_node_comes_to_one_new_pod)
{
    cleanup_arena struct arena *a = arena_new();
    for (int round = 0; round < 3000; round++) {
        struct world w = {.view = {.now_ms = NOW_MS}};
        for (int n = 0; n < NODES; n++) {
            bool run = kit_random() % 4 != 0;
            w.nodes[n] = (struct daemonset_node){run, run};
            for (int k = 0; k < ON_NODE; k++) {
                w.slots[n][k] = (struct slot){(enum state)(kit_random() % STATES),
                                              kit_random() % 3 == 0, 1 + n + k};
            }
        }
        (round % 2 ? &w.view.surge : &w.view.unavailable)->value = 1 + round % 3;
        int steps = 0;
        for (; steps < 1000 && !at_rest(&w); steps++) {
            w.view.now_ms += 1000;
            fill(&w);
            struct daemonset_plan plan;
            daemonset_plan(a, &w.view, &plan);
            carry_out(&w, &plan, w.view.now_ms);
            move(&w.slots[kit_random() % NODES][kit_random() % ON_NODE]);
            arena_clear(a);
        }
        CHECK(steps < 1000);
    }
}

TEST(status_counts_nodes)
{
    cleanup_arena struct arena *a = arena_new();
    struct world w = {.view = {.now_ms = NOW_MS, .min_ready_s = 10, .on_delete = true}};
    for (int n = 0; n < NODES; n++) {
        w.nodes[n] = (struct daemonset_node){n < 2, n < 2};
        w.slots[n][0] = (struct slot){READY, n == 0, 1};
    }
    fill(&w);
    w.pods[1].rank.ready_since_ms = NOW_MS - 4000;
    struct daemonset_plan plan;
    daemonset_plan(a, &w.view, &plan);
    const struct daemonset_status *st = &plan.status;
    CHECK(st->desired == 2 && st->current == 2 && st->misscheduled == 1 && st->ready == 2);
    CHECK(st->updated == 1 && st->available == 1 && st->unavailable == 1);
    CHECK_EQ(plan.requeue_at_ms, NOW_MS + 6000);
}

TEST(a_failed_pod_is_not_replaced_too_fast)
{
    cleanup_arena struct arena *a = arena_new();
    struct world w = {.view = {.now_ms = NOW_MS}};
    w.nodes[0] = (struct daemonset_node){true, true};
    w.slots[0][0] = (struct slot){FAILED, true, NOW_MS - 3000};
    fill(&w);
    struct daemonset_plan plan;
    daemonset_plan(a, &w.view, &plan);
    CHECK(plan.delete_count == 0 && plan.create_count == 0);
    CHECK_EQ(plan.requeue_at_ms, NOW_MS - 3000 + DAEMONSET_RETRY_MS);
    w.view.now_ms = plan.requeue_at_ms;
    daemonset_plan(a, &w.view, &plan);
    CHECK_EQ(plan.delete_count, 1);
    CHECK_EQ(plan.deletes[0].why, DAEMONSET_WHY_FAILED);
}
