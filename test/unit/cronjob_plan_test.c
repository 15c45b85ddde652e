/* test/unit/cronjob_plan_test.c: a year of virtual time with crashes, and one rule each. */
#include <stdlib.h>

#include "kit/kit.h"
#include "plan/cronjob_plan.h"

enum { JOBS = 64, MINUTE = 60 * 1000 };
static const int64_t start_ms = 1767225600000; /* 2026-01-01 */

struct world {
    struct cronjob_view v;
    struct cronjob_job jobs[JOBS];
    struct cronjob_active active[JOBS];
    char names[JOBS][24];
};

static void one_world(struct arena *a, struct world *w, const char *schedule)
{
    struct span fault;
    *w = (struct world){.v = {.now_ms = start_ms,
                              .created_ms = start_ms - 1000,
                              .name = SPAN("c"),
                              .deadline_s = -1,
                              .keep_complete = 3,
                              .keep_failed = 1,
                              .schedule_ok = true}};
    w->v.jobs = w->jobs;
    w->v.active = w->active;
    CHECK(cron_parse(a, span_cstr(schedule), &w->v.cron, &fault));
}

static struct cronjob_job *add_job(struct world *w, struct span name, bool active)
{
    struct cronjob_job *j = &w->jobs[w->v.job_count];
    char *text = w->names[w->v.job_count++];
    CHECK(w->v.job_count <= JOBS && name.n < sizeof w->names[0]);
    memcpy(text, name.p, name.n);
    *j = (struct cronjob_job){
        .name = span_of(text, name.n), .uid = span_of(text, name.n), .start_ms = w->v.now_ms};
    if (active) {
        w->active[w->v.active_count++] = (struct cronjob_active){j->name, j->uid};
    }
    return j;
}

static struct cronjob_plan plan_of(struct arena *a, const struct world *w)
{
    struct cronjob_plan p;
    cronjob_plan(a, &w->v, &p);
    return p;
}

static bool tells(const struct cronjob_plan *p, enum cronjob_news what)
{
    for (size_t i = 0; i < p->event_count; i++) {
        if (p->events[i].what == what) {
            return true;
        }
    }
    return false;
}

TEST(a_time_that_comes_is_started_and_the_next_waited_for)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(a, &w, "*/5 * * * *");
    struct cronjob_plan p = plan_of(a, &w);
    CHECK_EQ(p.start_ms, start_ms);
    CHECK_SPAN(p.job, "c-29453760");
    CHECK_EQ(p.requeue_at_ms, start_ms + 5 * MINUTE);
    w.v.last_schedule_ms = start_ms;
    w.v.now_ms += 4 * MINUTE;
    p = plan_of(a, &w);
    CHECK(p.start_ms == 0 && !p.changed);
    CHECK_EQ(p.requeue_at_ms, start_ms + 5 * MINUTE);
    w.v.suspend = true;
    w.v.now_ms += MINUTE;
    p = plan_of(a, &w);
    CHECK(p.start_ms == 0 && p.requeue_at_ms == 0);
    w.v.suspend = false;
    CHECK_EQ(plan_of(a, &w).start_ms, start_ms + 5 * MINUTE);
    w.v.deleting = true;
    CHECK_EQ(plan_of(a, &w).start_ms, 0);
    w.v.deleting = false;
    w.v.schedule_ok = false;
    CHECK_EQ(plan_of(a, &w).start_ms, 0);
}

TEST(of_the_times_that_were_missed_the_last_is_started_unless_it_is_too_late)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(a, &w, "0 * * * *");
    w.v.last_schedule_ms = start_ms - 100 * 60 * MINUTE;
    w.v.now_ms = start_ms + 20 * MINUTE;
    struct cronjob_plan p = plan_of(a, &w);
    CHECK_EQ(p.start_ms, start_ms);
    CHECK(!tells(&p, CRONJOB_MISSED_MANY));
    w.v.last_schedule_ms -= 60 * MINUTE;
    p = plan_of(a, &w);
    CHECK_EQ(p.start_ms, start_ms);
    CHECK(tells(&p, CRONJOB_MISSED_MANY));
    w.v.deadline_s = 20 * 60 + 1;
    p = plan_of(a, &w);
    CHECK_EQ(p.start_ms, start_ms);
    CHECK(!tells(&p, CRONJOB_MISSED_MANY)); /* those before do not count any more */
    w.v.deadline_s = 20 * 60;
    p = plan_of(a, &w);
    CHECK_EQ(p.start_ms, 0);
    CHECK_EQ(p.requeue_at_ms, start_ms + 60 * MINUTE);
}

TEST(forbid_waits_and_replace_ends_what_runs)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(a, &w, "* * * * *");
    struct cronjob_job *j = add_job(&w, SPAN("c-1"), true);
    CHECK(plan_of(a, &w).start_ms);
    w.v.policy = CRONJOB_FORBID;
    struct cronjob_plan p = plan_of(a, &w);
    CHECK(p.start_ms == 0 && tells(&p, CRONJOB_ALREADY_ACTIVE) && p.keep_count == 1);
    j->failed = true;
    p = plan_of(a, &w);
    CHECK(p.start_ms && p.changed && p.keep_count == 0 && tells(&p, CRONJOB_SAW_COMPLETED));
    j->failed = false;
    w.v.policy = CRONJOB_REPLACE;
    p = plan_of(a, &w);
    CHECK(p.start_ms && p.delete_count == 1 && p.deletes[0] == 0 && p.keep_count == 0);
    j->deleting = true;
    CHECK_EQ(plan_of(a, &w).delete_count, 0);
}

TEST(a_job_of_a_lost_status_is_found_again_and_a_strangers_is_told)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(a, &w, "* * * * *");
    struct cronjob_job *j = add_job(&w, cronjob_job_name(a, SPAN("c"), start_ms), false);
    (void)add_job(&w, SPAN("other"), false);
    struct cronjob_plan p = plan_of(a, &w);
    CHECK(p.start_ms == 0 && p.adopt_count == 1 && p.adopt[0] == 0);
    CHECK_EQ(p.last_schedule_ms, start_ms);
    CHECK(p.changed && p.event_count == 1 && tells(&p, CRONJOB_UNEXPECTED));
    CHECK_EQ(p.events[0].at, 1);
    j->complete = true;
    j->completion_ms = start_ms + 7;
    p = plan_of(a, &w);
    CHECK(p.start_ms == 0 && p.adopt_count == 0);
    CHECK_EQ(p.last_success_ms, start_ms + 7);
    w.v.job_count = 0;
    w.active[w.v.active_count++] = (struct cronjob_active){SPAN("gone"), SPAN("gone")};
    p = plan_of(a, &w);
    CHECK(tells(&p, CRONJOB_MISSING) && p.keep_count == 0);
}

TEST(the_newest_of_the_finished_stay)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(a, &w, "@yearly");
    w.v.last_schedule_ms = start_ms;
    for (int i = 0; i < 8; i++) {
        struct cronjob_job *j = add_job(&w, arena_printf(a, "c-%d", 9 - i), false);
        j->complete = i < 5;
        j->failed = i >= 5 && i < 7;
        j->start_ms = start_ms + i;
    }
    struct cronjob_plan p = plan_of(a, &w);
    CHECK_EQ(p.delete_count, 3);
    CHECK(p.deletes[0] == 0 && p.deletes[1] == 1 && p.deletes[2] == 5);
    w.v.keep_complete = w.v.keep_failed = -1;
    CHECK_EQ(plan_of(a, &w).delete_count, 0);
    w.v.keep_complete = 0;
    CHECK_EQ(plan_of(a, &w).delete_count, 5);
}

/* The shell, which dies here and there, over many days. */
TEST(no_time_is_started_twice_and_none_is_left_out_whenever_the_controller_dies)
{
    struct arena *a cleanup_arena = arena_new();
    struct world *w = calloc(1, sizeof *w);
    uint64_t seed = 7;
    int64_t before = 0, runs = 0;
    one_world(a, w, "*/10 */3 * * *");
    w->v.keep_complete = -1; /* jobs go when the world forgets them */
    while (runs < 2000) {
        struct cronjob_plan p = plan_of(a, w);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        CHECK(p.requeue_at_ms > w->v.now_ms);
        if (p.start_ms) {
            CHECK(p.start_ms > before && p.start_ms <= w->v.now_ms);
            before = p.start_ms;
            runs++;
            if (w->v.job_count == JOBS) {
                w->v.job_count = w->v.active_count = 0;
            }
            (void)add_job(w, p.job, false);
            CHECK(cron_next(&w->v.cron, w->v.now_ms) == p.requeue_at_ms);
        }
        if (seed >> 60 == 0) {
            continue; /* dies before the status is written */
        }
        w->v.last_schedule_ms = p.start_ms ? p.start_ms : p.last_schedule_ms;
        if (p.start_ms == 0 && p.adopt_count == 0) {
            w->v.now_ms = p.requeue_at_ms;
        }
        for (size_t i = 0; i < w->v.job_count; i++) {
            w->jobs[i].complete = true;
        }
        w->v.active_count = 0;
        arena_clear(a);
    }
    free(w);
}
