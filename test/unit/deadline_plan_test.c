/* test/unit/deadline_plan_test.c: every small world of a deadline, and that the clock outlives what
 * reads it. */
#include "plan/deadline_plan.h"

#include "kit/kit.h"

enum { NOW_MS = 500000, DEADLINE_MS = 10000 };

static const char *const stood[] = {"",
                                    "revision r: 1 updated, 1 available",
                                    "revision r of another",
                                    "revision q: 1 updated, 1 available",
                                    "revision r: x updated, 1 available",
                                    "revision r: 1 updated, -1 available",
                                    "revision r: 1 updated, 1 available, indeed",
                                    "revision r: 1",
                                    "revision r: 99999999999999999999 updated, 1 available",
                                    "revision r: 2147483648 updated, 1 available",
                                    "by another hand"};

TEST(every_small_world_counts_from_the_last_advance_and_goes_back_only_when_told_to)
{
    cleanup_arena struct arena *a = arena_new();
    static const int64_t ages[] = {0, DEADLINE_MS - 1000, DEADLINE_MS, DEADLINE_MS + 1000};
    int late = 0;
    for (int w = 0; w < 32 * 9 * 11 * 4; w++) {
        int bits = w % 32, counts = w / 32 % 9, text = w / 288 % 11, age = w / 3168;
        struct deadline_view v = {.now_ms = NOW_MS,
                                  .deadline_ms = bits & 1 ? DEADLINE_MS : 0,
                                  .moving = bits & 2,
                                  .held = bits & 4,
                                  .auto_rollback = bits & 8,
                                  .has_previous = bits & 16,
                                  .revision = SPAN("r"),
                                  .updated = counts % 3,
                                  .well = counts / 3,
                                  .stood = span_cstr(stood[text]),
                                  .stood_ms = text ? NOW_MS - ages[age] : 0};
        struct deadline_plan plan;
        deadline_plan(a, &v, &plan);
        bool runs = v.deadline_ms && v.moving && !v.held;
        bool goes_on = text == 1 && v.updated <= 1 && v.well <= 1;
        bool overdue = runs && goes_on && ages[age] >= DEADLINE_MS;
        CHECK_EQ(plan.stands.n > 0, runs);
        CHECK_EQ(plan.overdue, overdue);
        CHECK_EQ(plan.roll_back, overdue && v.auto_rollback && v.has_previous);
        if (runs) {
            CHECK_EQ(plan.since_ms, goes_on ? NOW_MS - ages[age] : NOW_MS);
            CHECK_EQ(plan.requeue_at_ms, overdue ? 0 : plan.since_ms + DEADLINE_MS);
            CHECK_EQ(span_eq(plan.stands, v.stood), goes_on);
        } else {
            CHECK_EQ(plan.requeue_at_ms, 0);
        }
        late += overdue;
        arena_clear(a);
    }
    CHECK(late > 0);
}

TEST(the_clock_is_read_back_as_it_was_written_and_a_flapping_pod_does_not_stop_it)
{
    cleanup_arena struct arena *a = arena_new();
    struct deadline_view v = {.now_ms = NOW_MS + 1, /* not a whole second */
                              .deadline_ms = DEADLINE_MS,
                              .moving = true,
                              .revision = SPAN("web-5d8f9"),
                              .updated = 2,
                              .well = 7};
    struct deadline_plan plan;
    deadline_plan(a, &v, &plan);
    CHECK_SPAN(plan.stands, "revision web-5d8f9: 2 updated, 7 available");
    CHECK_EQ(plan.since_ms, NOW_MS + 1000); /* never early */
    v.stood = plan.stands;
    v.stood_ms = plan.since_ms;
    for (int i = 0; i < 10; i++) {
        v.now_ms += 1000;
        v.well = i % 2 ? 7 : 6;
        deadline_plan(a, &v, &plan);
        CHECK(!plan.overdue && span_eq(plan.stands, v.stood));
    }
    v.now_ms += 1000;
    deadline_plan(a, &v, &plan);
    CHECK(plan.overdue && !plan.roll_back);
    v.updated = 3;
    deadline_plan(a, &v, &plan);
    CHECK(!plan.overdue);
}

/* Found by the simulator (seed 18203188): it would have waited for as long as the clock was set
 * back, and the deadline. */
TEST(a_clock_that_was_set_back_is_not_waited_for)
{
    cleanup_arena struct arena *a = arena_new();
    struct deadline_view v = {.now_ms = NOW_MS,
                              .deadline_ms = DEADLINE_MS,
                              .moving = true,
                              .revision = SPAN("r"),
                              .stood = SPAN("revision r: 2 updated, 1 available"),
                              .stood_ms = NOW_MS + 3600 * 1000};
    struct deadline_plan plan;
    deadline_plan(a, &v, &plan);
    CHECK_EQ(plan.since_ms, NOW_MS);
    CHECK_EQ(plan.requeue_at_ms, NOW_MS + DEADLINE_MS);
    CHECK_SPAN(plan.stands, "revision r: 2 updated, 1 available"); /* how far it had come stays */
}
