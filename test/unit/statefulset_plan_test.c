/* test/unit/statefulset_plan_test.c: every small world, its invariants, and random walks to
 * convergence. */
#include "plan/statefulset_plan.h"

#include <string.h>

#include "kit/kit.h"
#include "kit/statefulset_reference.h"

enum { N = 3 };
enum { ALL_FIT = 7 };

/* ---- worlds ---- */

enum state {
    ABSENT,
    PENDING,  /* never ready */
    STARTING, /* was ready once */
    UNAVAILABLE,
    READY,
    STOPPING,
    FAILED,
    FAILED_STOPPING,
    STATES
};

static struct statefulset_pod pod_of(int32_t ordinal, enum state state, bool updated)
{
    struct statefulset_pod p = {.ordinal = ordinal,
                                .at_current = !updated,
                                .at_update = updated,
                                .identity_fits = true,
                                .claims.owner_fits = ALL_FIT};
    p.phase = state == PENDING                              ? STATEFULSET_PENDING
              : state == FAILED || state == FAILED_STOPPING ? STATEFULSET_FAILED
                                                            : STATEFULSET_RUNNING;
    p.ready = state == READY || state == UNAVAILABLE || state == STOPPING;
    p.was_ready = state != PENDING;
    p.terminating = state == STOPPING || state == FAILED_STOPPING;
    p.ready_since_ms = state == UNAVAILABLE ? 95000 : p.ready ? 1000 : 0;
    return p;
}

struct world {
    struct ref_view view;
    enum state state[N];
    bool updated[N];
    struct statefulset_pod pods[N];
    struct statefulset_hole holes[STATEFULSET_HOLES_MAX];
};

static void world_fill(struct world *w)
{
    struct ref_view *v = &w->view;
    v->pods = w->pods;
    v->pod_count = 0;
    for (int i = 0; i < N; i++) {
        if (w->state[i] != ABSENT) {
            w->pods[v->pod_count++] = pod_of(i, w->state[i], w->updated[i]);
        }
    }
    ref_show_holes(v, w->holes, ALL_FIT);
}

static bool well(const struct world *w, int i)
{
    return w->state[i] == READY || (w->state[i] == UNAVAILABLE && w->view.r.min_ready_s == 0);
}

static bool in_range(const struct world *w, int i)
{
    return i >= w->view.r.start && i < w->view.r.start + w->view.r.replicas;
}

static int deletes(const struct statefulset_plan *plan, enum statefulset_why why)
{
    int n = 0;
    for (size_t i = 0; i < plan->action_count; i++) {
        n += plan->actions[i].kind == STATEFULSET_DELETE_POD && plan->actions[i].why == why;
    }
    return n;
}

static int creates(const struct statefulset_plan *plan)
{
    int n = 0;
    for (size_t i = 0; i < plan->action_count; i++) {
        n += plan->actions[i].kind == STATEFULSET_CREATE_POD;
    }
    return n;
}

/* ---- invariants of one plan ---- */

static void check_action(const struct world *w, const struct statefulset_action *a)
{
    const struct statefulset_rules *v = &w->view.r;
    int at = a->ordinal;
    CHECK(at >= 0 && at < N);
    if (a->kind == STATEFULSET_CREATE_POD) {
        CHECK(in_range(w, at) && w->state[at] == ABSENT);
        for (int i = v->start; i < at && !v->parallel; i++) {
            CHECK(well(w, i)); /* never before a predecessor is well */
        }
        for (int i = 0; i < N && v->recreate; i++) {
            CHECK(w->state[i] == ABSENT || w->updated[i]); /* the old ones go first */
        }
        CHECK(a->at_update || (!v->on_delete && !v->recreate));
        if (!v->on_delete && !v->recreate && v->has_rolling) {
            CHECK_EQ(a->at_update, at >= v->start + v->partition);
        }
        return;
    }
    CHECK(w->state[at] != ABSENT);
    if (a->kind != STATEFULSET_DELETE_POD) {
        return;
    }
    CHECK(w->state[at] != STOPPING && w->state[at] != FAILED_STOPPING);
    if (a->why == STATEFULSET_WHY_UPDATE) {
        CHECK(in_range(w, at) && !w->updated[at] && !v->on_delete && !v->recreate);
        CHECK(at - v->start >= v->partition);
        for (int i = at + 1; i < v->start + v->replicas && v->max_unavailable == 0; i++) {
            CHECK(well(w, i) && w->updated[i]); /* from the top, one after another */
        }
    } else if (a->why == STATEFULSET_WHY_STUCK) {
        CHECK(in_range(w, at) && !w->updated[at] && !v->on_delete && !v->recreate);
        CHECK(at - v->start >= v->partition);
        CHECK_EQ(w->state[at], PENDING); /* never one that was ready */
    } else if (a->why == STATEFULSET_WHY_RECREATE) {
        CHECK(v->recreate && !w->updated[at]);
    } else if (a->why == STATEFULSET_WHY_SCALE_DOWN) {
        CHECK(!in_range(w, at));
        for (int i = 0; i < N && !v->parallel; i++) {
            CHECK(!in_range(w, i) || well(w, i)); /* scale-down waits for health */
            CHECK(in_range(w, i) || i <= at || w->state[i] == ABSENT); /* highest first */
        }
    } else {
        CHECK_EQ(a->why, STATEFULSET_WHY_TERMINAL);
        CHECK(in_range(w, at) && w->state[at] == FAILED);
    }
}

static void check_budget(const struct world *w, const struct statefulset_plan *plan)
{
    const struct statefulset_rules *v = &w->view.r;
    int updates = deletes(plan, STATEFULSET_WHY_UPDATE);
    if (v->max_unavailable == 0) {
        CHECK(updates <= 1);
        return;
    }
    int unwell = 0, healthy_updates = 0;
    for (int i = v->start; i < v->start + v->replicas; i++) {
        unwell += !well(w, i);
    }
    for (size_t i = 0; i < plan->action_count; i++) {
        const struct statefulset_action *a = &plan->actions[i];
        healthy_updates += a->why == STATEFULSET_WHY_UPDATE && well(w, a->ordinal);
    }
    CHECK(healthy_updates == 0 || unwell + healthy_updates <= v->max_unavailable);
    CHECK(v->parallel || healthy_updates == updates);
}

static void check_status(const struct world *w, const struct statefulset_plan *plan)
{
    const struct statefulset_status *st = &plan->status;
    int replicas = 0, ready = 0, updated = 0;
    for (int i = 0; i < N; i++) {
        replicas += w->state[i] != ABSENT;
        ready += w->state[i] == READY || w->state[i] == UNAVAILABLE || w->state[i] == STOPPING;
        updated += w->state[i] != ABSENT && w->updated[i] && w->state[i] != STOPPING &&
                   w->state[i] != FAILED_STOPPING;
    }
    CHECK_EQ(st->replicas, replicas);
    CHECK_EQ(st->ready, ready);
    CHECK_EQ(st->updated, updated);
    CHECK(st->available <= st->ready && st->current >= 0);
    CHECK_EQ(st->complete, updated == ready && ready == replicas && replicas == w->view.r.replicas);
}

static void check_plan(const struct world *w, const struct statefulset_plan *plan)
{
    const struct statefulset_rules *v = &w->view.r;
    check_status(w, plan);
    if (v->deleting) {
        CHECK_EQ(plan->action_count, 0);
        return;
    }
    for (size_t i = 0; i < plan->action_count; i++) {
        check_action(w, &plan->actions[i]);
        for (size_t k = 0; k < i; k++) { /* no pod twice */
            CHECK(plan->actions[k].ordinal != plan->actions[i].ordinal);
        }
    }
    check_budget(w, plan);
    if (!v->parallel) {
        bool budgeted = v->max_unavailable > 1 || v->recreate;
        int stuck = deletes(plan, STATEFULSET_WHY_STUCK);
        CHECK((int)plan->action_count <= 1 + stuck || budgeted);
    }
    /* Nothing to do and nothing to wait for means done. */
    if (plan->action_count == 0 && plan->waiting == STATEFULSET_WHY_NONE && !plan->again) {
        for (int i = 0; i < N; i++) {
            CHECK_EQ(w->state[i] != ABSENT, in_range(w, i));
            bool reached = v->on_delete || i - v->start < v->partition;
            CHECK(!in_range(w, i) || well(w, i));
            CHECK(!in_range(w, i) || reached || w->updated[i]);
        }
    }
}

static void each_rule(struct world *w, void (*fn)(struct world *))
{
    struct statefulset_rules *v = &w->view.r;
    for (int rule = 0; rule < 2 * 6 * (N + 1) * 2; rule++) {
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
    check_plan(w, &plan);
    plans++;
}

TEST_T(plan_every_small_world_keeps_the_invariants, 60)
{
    struct world w = {.view = {.now_ms = 100000, .r = {.min_ready_s = 10}}};
    int variants = 1 + (STATES - 1) * 2;
    for (int code = 0; code < variants * variants * variants; code++) {
        int c = code;
        for (int i = 0; i < N; i++, c /= variants) {
            int one = c % variants;
            w.state[i] = one == 0 ? ABSENT : (enum state)(1 + (one - 1) / 2);
            w.updated[i] = one != 0 && (one - 1) % 2;
        }
        for (int range = 0; range < (N + 1) + 2; range++) {
            w.view.r.start = range > N ? 1 : 0;
            w.view.r.replicas = range > N ? range - N : range;
            world_fill(&w);
            each_rule(&w, check_world);
        }
    }
    kit_note("%llu plans", (unsigned long long)plans);
    CHECK(plans > 500000);
}

/* ---- random walks ---- */

static bool chance(int percent)
{
    return (int)(kit_random() % 100) < percent;
}

static void pod_step(struct world *w, int i, bool calm)
{
    switch (w->state[i]) {
    case PENDING:
        w->state[i] = STARTING;
        break;
    case STARTING:
        w->state[i] = UNAVAILABLE;
        break;
    case UNAVAILABLE:
        w->state[i] = READY;
        break;
    case STOPPING:
    case FAILED_STOPPING:
        w->state[i] = ABSENT;
        break;
    default:
        break;
    }
    if (!calm && w->state[i] != ABSENT && w->state[i] < STOPPING && chance(5)) {
        w->state[i] = chance(50) ? FAILED : STOPPING;
    }
}

static void apply(struct world *w, const struct statefulset_plan *plan)
{
    for (size_t i = 0; i < plan->action_count; i++) {
        const struct statefulset_action *a = &plan->actions[i];
        if (a->kind == STATEFULSET_CREATE_POD) {
            w->state[a->ordinal] = PENDING;
            w->updated[a->ordinal] = a->at_update;
        } else if (a->kind == STATEFULSET_DELETE_POD) {
            w->state[a->ordinal] = w->state[a->ordinal] == FAILED ? FAILED_STOPPING : STOPPING;
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
        check_plan(w, &plan);
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
                 w->updated[0], w->state[1], w->updated[1], w->state[2], w->updated[2],
                 statefulset_why_text(plan.waiting));
    }
    CHECK(left > 0);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(w->state[i] != ABSENT, in_range(w, i));
        if (in_range(w, i)) {
            CHECK(well(w, i));
            CHECK(w->view.r.on_delete || i - w->view.r.start < w->view.r.partition ||
                  w->updated[i]);
        }
    }
    if (w->view.r.partition == 0 && !w->view.r.on_delete) {
        CHECK(plan.status.complete);
        CHECK_EQ(plan.status.current, w->view.r.replicas);
    }
}

static void walk_rule(struct world *w)
{
    if (w->view.r.deleting) {
        return;
    }
    for (int i = 0; i < N; i++) {
        w->state[i] = (enum state)(kit_random() % STATES);
        w->updated[i] = chance(50);
    }
    walk(w);
}

TEST_T(plan_random_walks_converge, 60)
{
    struct world w = {.view = {.now_ms = 100000, .r = {.min_ready_s = 10}}};
    for (int round = 0; round < 40; round++) {
        for (int range = 0; range <= N; range++) {
            w.view.r.replicas = range;
            each_rule(&w, walk_rule);
        }
    }
}

/* ---- single facts ---- */

static struct statefulset_plan plan;

static void plan_of(struct world *w)
{
    world_fill(w);
    plan_both(&w->view, &plan);
}

TEST(plan_orders_creation_and_waits_for_ready)
{
    struct world w = {.view = {.r = {.replicas = 3, .has_rolling = true}}};
    plan_of(&w);
    CHECK_EQ(plan.action_count, 1);
    CHECK_EQ(plan.actions[0].kind, STATEFULSET_CREATE_POD);
    CHECK_EQ(plan.actions[0].ordinal, 0);
    w.state[0] = STARTING;
    plan_of(&w);
    CHECK_EQ(plan.action_count, 0);
    CHECK_EQ(plan.waiting, STATEFULSET_WHY_POD_NOT_READY);
    w.state[0] = READY;
    plan_of(&w);
    CHECK_EQ(plan.actions[0].ordinal, 1);
    w.view.r.parallel = true;
    w.state[0] = ABSENT;
    plan_of(&w);
    CHECK_EQ(creates(&plan), 3);
}

TEST(plan_min_ready_seconds_delays_and_tells_when_to_look_again)
{
    struct world w = {.view = {.r = {.replicas = 2, .has_rolling = true, .min_ready_s = 10}}};
    w.view.now_ms = 100000;
    w.state[0] = UNAVAILABLE;
    plan_of(&w);
    CHECK_EQ(plan.action_count, 0);
    CHECK_EQ(plan.requeue_at_ms, 105000);
    CHECK_EQ(plan.waiting, STATEFULSET_WHY_POD_NOT_AVAILABLE);
    w.view.now_ms = 105000;
    plan_of(&w);
    CHECK_EQ(creates(&plan), 1);
}

TEST(plan_lowest_unhealthy_condemned_pod_may_go)
{
    struct world w = {.view = {.r = {.replicas = 1, .has_rolling = true}}};
    w.state[0] = READY;
    w.state[1] = READY;
    w.state[2] = STARTING;
    plan_of(&w);
    CHECK_EQ(deletes(&plan, STATEFULSET_WHY_SCALE_DOWN), 1);
    CHECK_EQ(plan.actions[0].ordinal, 2);
    w.state[1] = STARTING; /* now 1 is the lowest unhealthy one, and 2 must wait */
    plan_of(&w);
    CHECK_EQ(plan.action_count, 0);
    CHECK_EQ(plan.waiting_ordinal, 2);
}

/* Two pods that wait for claims that are gone would wait for each other. */
TEST(plan_condemned_pod_that_was_never_ready_may_go)
{
    struct world w = {.view = {.r = {.replicas = 0, .has_rolling = true}}};
    w.state[0] = PENDING;
    w.state[1] = PENDING;
    plan_of(&w);
    CHECK_EQ(deletes(&plan, STATEFULSET_WHY_SCALE_DOWN), 1);
    CHECK_EQ(plan.actions[0].ordinal, 1);
}

TEST(plan_condemned_claims_are_owned_by_the_pod_before_it_goes)
{
    struct world w = {
        .view = {.r = {.replicas = 0, .has_rolling = true, .delete_when_scaled = true}}};
    w.state[0] = READY;
    world_fill(&w);
    w.pods[0].claims.owner_fits = 1u << STATEFULSET_OWNER_NONE;
    plan_both(&w.view, &plan);
    CHECK_EQ(plan.action_count, 1);
    CHECK_EQ(plan.actions[0].kind, STATEFULSET_FIX_CLAIMS);
    CHECK_EQ(plan.actions[0].owner, STATEFULSET_OWNER_POD);
    CHECK(plan.again);
    w.pods[0].claims.owner_fits = 1u << STATEFULSET_OWNER_POD;
    plan_both(&w.view, &plan);
    CHECK_EQ(plan.actions[0].kind, STATEFULSET_DELETE_POD);
}

/* Scaled down with whenScaled Delete, and up again before the pod had gone. */
TEST(plan_pod_on_its_way_out_does_not_take_claims_along_that_are_wanted_again)
{
    struct world w = {.view = {.r = {.replicas = 1, .has_rolling = true}}};
    w.state[0] = STOPPING;
    world_fill(&w);
    w.pods[0].claims.owner_fits = 1u << STATEFULSET_OWNER_POD;
    plan_both(&w.view, &plan);
    CHECK_EQ(plan.action_count, 1);
    CHECK_EQ(plan.actions[0].kind, STATEFULSET_FIX_CLAIMS);
    CHECK_EQ(plan.actions[0].owner, STATEFULSET_OWNER_NONE);
}

TEST(plan_claim_owner_follows_the_retention_table)
{
    struct statefulset_rules v = {0};
    CHECK_EQ(statefulset_claim_owner(&v, false), STATEFULSET_OWNER_NONE);
    CHECK_EQ(statefulset_claim_owner(&v, true), STATEFULSET_OWNER_NONE);
    v.delete_when_deleted = true;
    CHECK_EQ(statefulset_claim_owner(&v, false), STATEFULSET_OWNER_SET);
    CHECK_EQ(statefulset_claim_owner(&v, true), STATEFULSET_OWNER_SET);
    v.delete_when_scaled = true;
    CHECK_EQ(statefulset_claim_owner(&v, false), STATEFULSET_OWNER_SET);
    CHECK_EQ(statefulset_claim_owner(&v, true), STATEFULSET_OWNER_POD);
    v.delete_when_deleted = false;
    CHECK_EQ(statefulset_claim_owner(&v, false), STATEFULSET_OWNER_NONE);
    CHECK_EQ(statefulset_claim_owner(&v, true), STATEFULSET_OWNER_POD);
}

TEST(plan_terminating_claim_refuses_and_stale_claim_waits)
{
    struct world w = {
        .view = {.r = {.replicas = 1, .has_rolling = true, .delete_when_scaled = true}}};
    world_fill(&w);
    w.holes[0].claims.terminating = true;
    plan_both(&w.view, &plan);
    CHECK_EQ(plan.actions[0].kind, STATEFULSET_REFUSE_CREATE);
    CHECK_EQ(plan.waiting, STATEFULSET_WHY_CLAIM_TERMINATING);
    w.holes[0].claims.stale = true;
    plan_both(&w.view, &plan);
    CHECK_EQ(plan.action_count, 0);
    CHECK_EQ(plan.waiting, STATEFULSET_WHY_CLAIM_STALE);
}

TEST(plan_pending_pod_gets_its_missing_claims_and_a_wrong_identity_is_fixed)
{
    struct world w = {.view = {.r = {.replicas = 2, .has_rolling = true}}};
    w.state[0] = READY;
    w.state[1] = PENDING;
    w.updated[0] = w.updated[1] = true;
    world_fill(&w);
    w.pods[0].identity_fits = false;
    w.pods[1].claims.missing = true;
    plan_both(&w.view, &plan);
    CHECK_EQ(plan.action_count, 2);
    CHECK_EQ(plan.actions[0].kind, STATEFULSET_FIX_POD);
    CHECK_EQ(plan.actions[1].kind, STATEFULSET_FIX_CLAIMS);
}

TEST(plan_pods_of_a_third_revision_are_updated_too)
{
    struct world w = {.view = {.r = {.replicas = 1, .has_rolling = true}}};
    w.state[0] = READY;
    world_fill(&w);
    w.pods[0].at_current = w.pods[0].at_update = false;
    plan_both(&w.view, &plan);
    CHECK_EQ(deletes(&plan, STATEFULSET_WHY_UPDATE), 1);
    CHECK_EQ(plan.status.current, 0);
}

/* Plans over an index alone: the reference walks every ordinal. */
static void plan_index(struct statefulset_index *ix, const struct statefulset_rules *rules,
                       struct statefulset_claims claims)
{
    static struct statefulset_rules copy;
    static struct statefulset_hole holes[STATEFULSET_HOLES_MAX];
    int32_t ordinals[STATEFULSET_HOLES_MAX];
    memcpy(&copy, rules, sizeof copy);
    statefulset_index_rules(ix, &copy);
    struct statefulset_view v = {ix, holes, statefulset_holes(ix, ordinals)};
    for (size_t i = 0; i < v.hole_count; i++) {
        holes[i] = (struct statefulset_hole){ordinals[i], claims};
    }
    statefulset_plan(&v, &plan);
}

TEST(plan_is_bounded_for_two_billion_replicas)
{
    struct statefulset_pod far = pod_of(INT32_MAX - 1, READY, true);
    struct statefulset_rules r = {.replicas = INT32_MAX, .parallel = true, .has_rolling = true};
    struct statefulset_index ix = {0};
    statefulset_index_put(&ix, &far);
    plan_index(&ix, &r, (struct statefulset_claims){.owner_fits = ALL_FIT});
    CHECK_EQ(creates(&plan), STATEFULSET_HOLES_MAX);
    CHECK(plan.again);
    r.start = INT32_MAX;
    statefulset_index_remove(&ix, INT32_MAX - 1);
    r.parallel = false;
    plan_index(&ix, &r, (struct statefulset_claims){.owner_fits = ALL_FIT});
    CHECK_EQ(creates(&plan), 1);
    statefulset_index_done(&ix);
}

TEST(plan_refused_holes_do_not_ask_to_plan_again_at_once)
{
    struct statefulset_rules r = {.replicas = 1000, .parallel = true, .has_rolling = true};
    struct statefulset_index ix = {0};
    plan_index(&ix, &r, (struct statefulset_claims){.terminating = true});
    CHECK_EQ(plan.action_count, STATEFULSET_HOLES_MAX);
    CHECK(!plan.again);
    statefulset_index_done(&ix);
}

TEST(plan_actions_are_bounded_and_go_on_in_the_next_pass)
{
    struct statefulset_rules r = {.parallel = true, .has_rolling = true};
    struct statefulset_index ix = {0};
    static const enum state states[] = {READY, FAILED, PENDING};
    for (size_t k = 0; k < 3; k++) {
        for (int32_t i = 0; i < STATEFULSET_ACTIONS_MAX + 10; i++) {
            struct statefulset_pod p = pod_of(i, states[k], false);
            p.claims.missing = true;
            p.incarnation = k;
            statefulset_index_put(&ix, &p);
        }
        r.replicas = k == 0 ? 0 : STATEFULSET_ACTIONS_MAX + 10;
        r.partition = k == 1 ? 0 : INT32_MAX;
        for (int stuck = 0; stuck < 2; stuck++, r.partition = 0) {
            plan_index(&ix, &r, (struct statefulset_claims){.owner_fits = ALL_FIT});
            CHECK_EQ(plan.action_count, STATEFULSET_ACTIONS_MAX);
            CHECK(plan.again);
        }
    }
    for (int32_t i = 0; i < STATEFULSET_ACTIONS_MAX + 10; i++) {
        struct statefulset_pod p = pod_of(i, READY, false);
        statefulset_index_put(&ix, &p);
    }
    r.max_unavailable = INT32_MAX;
    plan_index(&ix, &r, (struct statefulset_claims){.owner_fits = ALL_FIT});
    CHECK_EQ(deletes(&plan, STATEFULSET_WHY_UPDATE), STATEFULSET_ACTIONS_MAX);
    CHECK(plan.again);
    r = (struct statefulset_rules){.window = INT32_MAX, .start = 1000, .replicas = 1000};
    plan_index(&ix, &r, (struct statefulset_claims){.owner_fits = ALL_FIT});
    CHECK_EQ(creates(&plan), STATEFULSET_HOLES_MAX);
    r = (struct statefulset_rules){.recreate = true, .replicas = 5};
    plan_index(&ix, &r, (struct statefulset_claims){.owner_fits = ALL_FIT});
    CHECK_EQ(plan.action_count, STATEFULSET_ACTIONS_MAX);
    statefulset_index_done(&ix);
}

/* ---- an index kept up to date, with all rules there are ---- */

enum { WIDE = 70 };

static void random_rules(struct statefulset_rules *r)
{
    *r = (struct statefulset_rules){.parallel = chance(50), .has_rolling = chance(80)};
    r->on_delete = chance(10);
    r->recreate = !r->on_delete && chance(15);
    r->deleting = chance(2);
    r->delete_when_scaled = chance(30);
    r->delete_when_deleted = chance(30);
    r->start = chance(70) ? 0 : (int32_t)(kit_random() % 5);
    r->replicas = (int32_t)(kit_random() % (chance(50) ? 6 : WIDE));
    r->partition = chance(60) ? 0 : (int32_t)(kit_random() % 8);
    r->max_unavailable = chance(50) ? 0 : (int32_t)(kit_random() % 5);
    r->min_ready_s = chance(50) ? 0 : 10;
    r->window = chance(60) ? 0 : (int32_t)(kit_random() % 4);
    for (int32_t i = 0; i < WIDE && chance(98) && r->reserved_count < 4; i++) {
        if (chance(10)) {
            r->reserved[r->reserved_count++] = i;
        }
    }
}

static struct statefulset_pod random_pod(int32_t ordinal, int64_t now_ms)
{
    struct statefulset_pod p =
        pod_of(ordinal, (enum state)(1 + kit_random() % (STATES - 1)), chance(60));
    p.was_ready |= chance(30);
    p.last = chance(20);
    p.identity_fits = chance(90);
    p.claims.missing = chance(10);
    p.claims.owner_fits = chance(80) ? ALL_FIT : 1;
    p.incarnation = kit_random() % 3;
    if (p.ready) {
        p.ready_since_ms = chance(5) ? 0 : now_ms - (int64_t)(kit_random() % 12000);
    }
    return p;
}

struct wide {
    struct ref_view v;
    struct statefulset_pod pods[WIDE];
    bool there[WIDE];
    struct statefulset_pod list[WIDE];
    struct statefulset_hole holes[STATEFULSET_HOLES_MAX];
};

static void wide_show(struct wide *w)
{
    w->v.pod_count = 0;
    for (int i = 0; i < WIDE; i++) {
        if (w->there[i]) {
            w->list[w->v.pod_count++] = w->pods[i];
        }
    }
    int32_t at[STATEFULSET_HOLES_MAX];
    w->v.pods = w->list;
    w->v.holes = w->holes;
    w->v.hole_count = ref_holes(&w->v, at);
    for (size_t i = 0; i < w->v.hole_count; i++) {
        w->holes[i] = (struct statefulset_hole){
            at[i], {.terminating = chance(5), .stale = chance(5), .owner_fits = ALL_FIT}};
    }
}

static void wide_change(struct wide *w, struct statefulset_index *ix)
{
    int32_t i = (int32_t)(kit_random() % (chance(50) ? 6 : WIDE));
    if (w->there[i] && chance(30)) {
        w->there[i] = false;
        statefulset_index_remove(ix, i);
        return;
    }
    bool same = w->there[i];
    struct statefulset_pod was = w->pods[i];
    w->pods[i] = random_pod(i, w->v.now_ms);
    w->there[i] = true;
    statefulset_index_put(ix, &w->pods[i]);
    /* The index remembers that this very pod was ready once. */
    w->pods[i].was_ready |= w->pods[i].phase == STATEFULSET_RUNNING && w->pods[i].ready;
    w->pods[i].was_ready |= same && was.incarnation == w->pods[i].incarnation && was.was_ready;
}

TEST_T(plan_of_an_index_changed_pod_by_pod_is_the_reference_s, 60)
{
    static struct wide w;
    struct statefulset_index ix = {0};
    w.v.now_ms = 100000;
    for (int step = 0; step < 60000; step++) {
        if (step % 50 == 0) {
            random_rules(&w.v.r);
            statefulset_index_rules(&ix, &w.v.r);
        }
        wide_change(&w, &ix);
        w.v.now_ms += (int64_t)(kit_random() % 300);
        wide_show(&w);
        plan_indexed(&ix, &w.v, &plan);
        CHECK_EQ(statefulset_index_count(&ix), w.v.pod_count);
    }
    statefulset_index_done(&ix);
}

TEST(plan_max_unavailable_rounds_down_and_is_at_least_one)
{
    CHECK_EQ(statefulset_max_unavailable(2, false, 10), 2);
    CHECK_EQ(statefulset_max_unavailable(0, false, 10), 1);
    CHECK_EQ(statefulset_max_unavailable(25, true, 10), 2);
    CHECK_EQ(statefulset_max_unavailable(5, true, 10), 1);
    CHECK_EQ(statefulset_max_unavailable(INT64_C(1) << 40, false, 10), INT32_MAX);
}

TEST(plan_ordinal_of_a_pod_name)
{
    CHECK_EQ(statefulset_ordinal(SPAN("web-3"), SPAN("web")), 3);
    CHECK_EQ(statefulset_ordinal(SPAN("web-0"), SPAN("web")), 0);
    CHECK_EQ(statefulset_ordinal(SPAN("web-1-3"), SPAN("web-1")), 3);
    CHECK_EQ(statefulset_ordinal(SPAN("web-1-3"), SPAN("web")), -1);
    CHECK_EQ(statefulset_ordinal(SPAN("web-"), SPAN("web")), -1);
    CHECK_EQ(statefulset_ordinal(SPAN("web"), SPAN("web")), -1);
    CHECK_EQ(statefulset_ordinal(SPAN("web-03"), SPAN("web")), -1);
    CHECK_EQ(statefulset_ordinal(SPAN("web-+3"), SPAN("web")), -1);
    CHECK_EQ(statefulset_ordinal(SPAN("web-3x"), SPAN("web")), -1);
    CHECK_EQ(statefulset_ordinal(SPAN("web-x"), SPAN("web")), -1);
    CHECK_EQ(statefulset_ordinal(SPAN("xyz-3"), SPAN("web")), -1);
    CHECK_EQ(statefulset_ordinal(SPAN("web.3"), SPAN("web")), -1);
    CHECK_EQ(statefulset_ordinal(SPAN("web-2147483647"), SPAN("web")), INT32_MAX);
    CHECK_EQ(statefulset_ordinal(SPAN("web-2147483648"), SPAN("web")), -1);
    CHECK_EQ(statefulset_ordinal(SPAN("web-99999999999999999999"), SPAN("web")), -1);
}

TEST(plan_every_reason_has_words)
{
    for (int i = 0; i <= STATEFULSET_WHY_CLAIM_TERMINATING; i++) {
        CHECK(statefulset_why_text((enum statefulset_why)i)[0] != '\0');
    }
}
