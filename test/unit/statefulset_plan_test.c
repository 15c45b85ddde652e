/* test/unit/statefulset_plan_test.c: what the planner decides, one fact a test, and an index that
 * changes pod by pod. All small worlds: statefulset_worlds_test.c. */
#include "plan/statefulset_plan.h"

#include <string.h>

#include "kit/kit.h"
#include "kit/statefulset_world.h"

static bool chance(int percent)
{
    return (int)(kit_random() % 100) < percent;
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
    CHECK_EQ(world_creates(&plan), 3);
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
    CHECK_EQ(world_creates(&plan), 1);
}

TEST(plan_lowest_unhealthy_condemned_pod_may_go)
{
    struct world w = {.view = {.r = {.replicas = 1, .has_rolling = true}}};
    w.state[0] = READY;
    w.state[1] = READY;
    w.state[2] = STARTING;
    plan_of(&w);
    CHECK_EQ(world_deletes(&plan, STATEFULSET_WHY_SCALE_DOWN), 1);
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
    CHECK_EQ(world_deletes(&plan, STATEFULSET_WHY_SCALE_DOWN), 1);
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
    w.revision[0] = w.revision[1] = NEW;
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
    CHECK_EQ(world_deletes(&plan, STATEFULSET_WHY_UPDATE), 1);
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
    struct statefulset_pod far = world_pod(INT32_MAX - 1, READY, NEW);
    struct statefulset_rules r = {.replicas = INT32_MAX, .parallel = true, .has_rolling = true};
    struct statefulset_index ix = {0};
    statefulset_index_put(&ix, &far);
    plan_index(&ix, &r, (struct statefulset_claims){.owner_fits = WORLD_FIT});
    CHECK_EQ(world_creates(&plan), STATEFULSET_HOLES_MAX);
    CHECK(plan.again);
    r.start = INT32_MAX;
    statefulset_index_remove(&ix, INT32_MAX - 1);
    r.parallel = false;
    plan_index(&ix, &r, (struct statefulset_claims){.owner_fits = WORLD_FIT});
    CHECK_EQ(world_creates(&plan), 1);
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
            struct statefulset_pod p = world_pod(i, states[k], OLD);
            p.claims.missing = true;
            p.incarnation = k;
            statefulset_index_put(&ix, &p);
        }
        r.replicas = k == 0 ? 0 : STATEFULSET_ACTIONS_MAX + 10;
        r.partition = k == 1 ? 0 : INT32_MAX;
        for (int stuck = 0; stuck < 2; stuck++, r.partition = 0) {
            plan_index(&ix, &r, (struct statefulset_claims){.owner_fits = WORLD_FIT});
            CHECK_EQ(plan.action_count, STATEFULSET_ACTIONS_MAX);
            CHECK(plan.again);
        }
    }
    for (int32_t i = 0; i < STATEFULSET_ACTIONS_MAX + 10; i++) {
        struct statefulset_pod p = world_pod(i, READY, OLD);
        statefulset_index_put(&ix, &p);
    }
    r.max_unavailable = INT32_MAX;
    plan_index(&ix, &r, (struct statefulset_claims){.owner_fits = WORLD_FIT});
    CHECK_EQ(world_deletes(&plan, STATEFULSET_WHY_UPDATE), STATEFULSET_ACTIONS_MAX);
    CHECK(plan.again);
    r = (struct statefulset_rules){.window = INT32_MAX, .start = 1000, .replicas = 1000};
    plan_index(&ix, &r, (struct statefulset_claims){.owner_fits = WORLD_FIT});
    CHECK_EQ(world_creates(&plan), STATEFULSET_HOLES_MAX);
    r = (struct statefulset_rules){.recreate = true, .replicas = 5};
    plan_index(&ix, &r, (struct statefulset_claims){.owner_fits = WORLD_FIT});
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
    struct statefulset_pod p = world_pod(
        ordinal, (enum state)(1 + kit_random() % (WORLD_STATES - 1)), chance(60) ? NEW : OLD);
    p.was_ready |= chance(30);
    p.last = chance(20);
    p.identity_fits = chance(90);
    p.claims.missing = chance(10);
    p.claims.owner_fits = chance(80) ? WORLD_FIT : 1;
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
            at[i], {.terminating = chance(5), .stale = chance(5), .owner_fits = WORLD_FIT}};
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
