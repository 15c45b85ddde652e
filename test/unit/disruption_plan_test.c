/* test/unit/disruption_plan_test.c: every small world of a budget, against a count made another
 * way. */
#include "plan/disruption_plan.h"

#include "kit/kit.h"

enum { N = 4, NOW_MS = 1000000, AGO_MS = 5000 };

/* AHEAD: evicted before the clock was set back: an eviction that held for as long as that. */
enum state { ABSENT, UNREADY, READY, LEAVING, EVICTED, LATE, RENEWED, AHEAD, STATES };

static struct disruption_pod pod_of(int i, enum state state)
{
    static const char *const names[N] = {"a", "b", "c", "d"};
    struct disruption_pod p = {.name = span_cstr(names[i]), .ready = state != UNREADY};
    p.created_ms = state == RENEWED ? NOW_MS - AGO_MS + 1 : 1000;
    p.terminating = state == LEAVING;
    p.disrupted_ms = state == EVICTED || state == LEAVING || state == RENEWED ? NOW_MS - AGO_MS
                     : state == LATE  ? NOW_MS - DISRUPTION_PATIENCE_MS
                     : state == AHEAD ? NOW_MS + DISRUPTION_PATIENCE_MS + 1
                                      : 0;
    return p;
}

static void check_world(struct arena *a, struct disruption_view *v, const enum state *states)
{
    struct disruption_plan plan;
    disruption_plan(a, v, &plan);
    const struct disruption_status *st = &plan.status;
    int healthy = 0, evicted = 0, late = 0;
    for (int i = 0; i < N; i++) {
        healthy +=
            states[i] == READY || states[i] == LATE || states[i] == RENEWED || states[i] == AHEAD;
        evicted += states[i] == EVICTED;
        late += states[i] == LATE;
    }
    int expected = v->has_max || (v->has_min && v->min_available.percent) ? (int)v->scale
                   : v->has_min                                           ? (int)v->pod_count
                                                                          : 0;
    struct plan_amount amount = v->has_max ? v->max_unavailable : v->min_available;
    int part = (int)amount.value;
    if (amount.percent) { /* the smallest whole number that is not below */
        for (part = 0; part * 100 < amount.value * expected; part++) {
        }
    }
    int desired = v->has_max ? expected - part : v->has_min ? part : 0;
    desired = desired < 0 ? 0 : desired;
    int allowed = expected > 0 && healthy > desired ? healthy - desired : 0;
    CHECK_EQ(st->expected, expected);
    CHECK_EQ(st->desired, desired);
    CHECK_EQ(st->healthy, healthy);
    CHECK_EQ(st->allowed, allowed);
    CHECK_EQ(st->observed_generation, v->generation);
    CHECK_EQ(st->condition, allowed ? 'T' : 'F');
    CHECK_SPAN(st->reason, allowed ? "SufficientPods" : "InsufficientPods");
    CHECK_EQ(plan.late_count, late);
    CHECK_EQ(plan.requeue_at_ms, evicted ? NOW_MS - AGO_MS + DISRUPTION_PATIENCE_MS : 0);
    CHECK(plan.changed && !plan.failed);
    /* Once written, and the forgotten evictions taken away, nothing is left to write. */
    struct disruption_view after = *v;
    after.was = plan.status;
    after.was_disrupted = (size_t)evicted;
    struct disruption_pod pods[N];
    for (size_t i = 0; i < v->pod_count; i++) {
        pods[i] = v->pods[i];
        pods[i].disrupted_ms = plan.disrupted[i] ? pods[i].disrupted_ms : 0;
    }
    after.pods = pods;
    disruption_plan(a, &after, &plan);
    CHECK(!plan.changed && plan.late_count == 0);
}

static const struct {
    bool min, max;
    struct plan_amount amount;
} rules[] = {{0},
             {.min = true, .amount = {0, false}},
             {.min = true, .amount = {2, false}},
             {.min = true, .amount = {9, false}},
             {.min = true, .amount = {34, true}},
             {.min = true, .amount = {100, true}},
             {.max = true, .amount = {0, false}},
             {.max = true, .amount = {1, false}},
             {.max = true, .amount = {9, false}},
             {.max = true, .amount = {34, true}},
             {.max = true, .amount = {100, true}}};

TEST(every_small_world_allows_what_is_healthy_beyond_what_is_desired)
{
    cleanup_arena struct arena *a = arena_new();
    int worlds = 1;
    for (int i = 0; i < N; i++) {
        worlds *= STATES;
    }
    for (int w = 0; w < worlds; w++) {
        enum state states[N];
        struct disruption_pod pods[N];
        struct disruption_view v = {.now_ms = NOW_MS, .generation = 3, .pods = pods};
        for (int i = 0, left = w; i < N; i++, left /= STATES) {
            states[i] = (enum state)(left % STATES);
            if (states[i] != ABSENT) {
                pods[v.pod_count++] = pod_of(i, states[i]);
                v.was_disrupted += pods[v.pod_count - 1].disrupted_ms != 0;
            }
        }
        for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
            for (v.scale = 0; v.scale <= 5; v.scale++) {
                v.has_min = rules[r].min;
                v.has_max = rules[r].max;
                v.min_available = v.max_unavailable = rules[r].amount;
                check_world(a, &v, states);
            }
            arena_clear(a);
        }
    }
}

TEST(a_scale_that_cannot_be_told_allows_nothing_and_says_why)
{
    cleanup_arena struct arena *a = arena_new();
    struct disruption_pod pod = pod_of(0, READY);
    pod.unmanaged = true;
    struct disruption_view v = {.now_ms = NOW_MS,
                                .generation = 2,
                                .has_max = true,
                                .max_unavailable = {1, false},
                                .pods = &pod,
                                .pod_count = 1,
                                .scale = 1,
                                .error = SPAN("found no controllers"),
                                .was = {.observed_generation = 1,
                                        .expected = 1,
                                        .healthy = 1,
                                        .allowed = 1,
                                        .condition = 'T',
                                        .transition_ms = 7}};
    struct disruption_plan plan;
    disruption_plan(a, &v, &plan);
    CHECK(plan.failed && plan.changed);
    CHECK_EQ(plan.status.allowed, 0);
    CHECK_EQ(plan.status.observed_generation, 1); /* evictions wait until it is looked at well */
    CHECK_EQ(plan.status.transition_ms, NOW_MS);
    CHECK_SPAN(plan.status.reason, "SyncFailed");
    CHECK_SPAN(plan.status.message, "found no controllers");
    v.was = plan.status;
    disruption_plan(a, &v, &plan);
    CHECK(!plan.changed);
    v.has_max = false; /* a fixed minimum needs no scale */
    v.has_min = true;
    v.min_available = (struct plan_amount){0, false};
    disruption_plan(a, &v, &plan);
    CHECK(!plan.failed && plan.changed && plan.unmanaged == 0);
    CHECK_EQ(plan.status.allowed, 1);
    v.error = SPAN_NULL;
    v.min_available = (struct plan_amount){50, true};
    disruption_plan(a, &v, &plan);
    CHECK_EQ(plan.unmanaged, 1);
}

TEST(the_condition_keeps_its_time_while_its_status_stays)
{
    cleanup_arena struct arena *a = arena_new();
    struct disruption_pod pods[] = {pod_of(0, READY), pod_of(1, READY)};
    struct disruption_view v = {.now_ms = NOW_MS,
                                .generation = 1,
                                .has_min = true,
                                .min_available = {1, false},
                                .pods = pods,
                                .pod_count = 2};
    struct disruption_plan plan;
    disruption_plan(a, &v, &plan);
    CHECK_EQ(plan.status.transition_ms, NOW_MS);
    v.was = plan.status;
    v.now_ms += 5000;
    v.generation = 2;
    disruption_plan(a, &v, &plan);
    CHECK(plan.changed);
    CHECK_EQ(plan.status.transition_ms, NOW_MS);
    CHECK_EQ(plan.status.condition_generation, 2);
    v.was = plan.status;
    pods[1].ready = false;
    disruption_plan(a, &v, &plan);
    CHECK_EQ(plan.status.condition, 'F');
    CHECK_EQ(plan.status.transition_ms, NOW_MS + 5000);
}
