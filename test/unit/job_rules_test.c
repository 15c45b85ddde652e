/* test/unit/job_rules_test.c: one rule of the Job planner each; job_plan_test has the worlds. */
#include <stdlib.h>

#include "kit/kit.h"
#include "plan/job_plan.h"

enum { N = 3, NOW_MS = 1000000000, LONG_AGO_MS = NOW_MS - 3600 * 1000 };

enum state { WAITING, READY, GOING, FAILED, SUCCEEDED };

static struct job_pod pod_of(int i, enum state state)
{
    static const struct span uids[N] = {{"u0", 2}, {"u1", 2}, {"u2", 2}};
    struct job_pod p = {.rank = {.name = uids[i], .created_ms = 1000 + i, .assigned = true},
                        .uid = uids[i],
                        .tracked = true,
                        .failed = state == FAILED,
                        .succeeded = state == SUCCEEDED,
                        .index = i % 2,
                        .finished_ms = LONG_AGO_MS};
    p.rank.phase = p.failed || p.succeeded ? POD_RANK_ENDED
                   : state == WAITING      ? POD_RANK_PENDING
                                           : POD_RANK_RUNNING;
    p.rank.ready = state == READY;
    p.rank.terminating = state == GOING;
    return p;
}

struct world {
    struct job_view v;
    struct job_pod pods[N];
};

static struct job_plan plan_of(struct arena *a, const struct world *w)
{
    struct job_plan p;
    job_plan(a, &w->v, &p);
    return p;
}

static void one_world(struct world *w)
{
    *w = (struct world){.v = {.now_ms = NOW_MS,
                              .completions = 2,
                              .parallelism = 2,
                              .backoff_limit = 6,
                              .index_limit = -1,
                              .failed_indexes_max = -1,
                              .deadline_s = -1,
                              .ttl_s = -1,
                              .pods = w->pods,
                              .knows_backoff = true,
                              .was.start_ms = LONG_AGO_MS}};
}

static struct job_pod *add(struct world *w, enum state state)
{
    struct job_pod *p = &w->pods[w->v.pod_count];
    *p = pod_of((int)w->v.pod_count, state);
    w->v.pod_count++;
    return p;
}

TEST(failures_in_a_row_are_waited_for_longer_and_longer)
{
    struct arena *a cleanup_arena = arena_new();
    static const int64_t wait_s[] = {0, 10, 20, 40, 80, 160, 320, 600, 600};
    for (int32_t n = 0; n < 9; n++) {
        struct world w;
        one_world(&w);
        w.v.backoff = (struct job_backoff){n, NOW_MS - 5000};
        struct job_plan p = plan_of(a, &w);
        CHECK_EQ(p.create_count, n ? 0 : 2);
        CHECK_EQ(p.requeue_at_ms, n ? NOW_MS - 5000 + wait_s[n] * 1000 : 0);
        w.v.now_ms += 600 * 1000;
        CHECK_EQ(plan_of(a, &w).create_count, 2);
    }
}

TEST(a_failure_in_the_future_is_one_of_now)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(&w);
    add(&w, FAILED)->finished_ms = NOW_MS + 3600 * 1000;
    struct job_plan p = plan_of(a, &w);
    CHECK_EQ(p.requeue_at_ms, NOW_MS + JOB_BACKOFF_MS);
    CHECK_EQ(p.backoff.last_ms, NOW_MS);
}

TEST(only_failures_after_the_last_success_are_in_a_row)
{
    struct arena *a cleanup_arena = arena_new();
    for (int fresh = 0; fresh < 2; fresh++) {
        struct world w;
        one_world(&w);
        w.v.completions = 5;
        w.v.knows_backoff = !fresh;
        w.v.backoff.failures = 3;
        w.v.backoff.last_ms = 5;
        add(&w, FAILED)->finished_ms = NOW_MS - 3000;
        add(&w, SUCCEEDED)->finished_ms = NOW_MS - 2000;
        add(&w, FAILED)->finished_ms = NOW_MS - 1000;
        struct job_plan p = plan_of(a, &w);
        CHECK_EQ(p.backoff.failures, 1);
        CHECK_EQ(p.backoff.last_ms, NOW_MS - 1000);
        CHECK_EQ(p.requeue_at_ms, NOW_MS + 9000);
        /* Counted ones say something only to who knows nothing. */
        w.pods[0].tracked = w.pods[1].tracked = w.pods[2].tracked = false;
        p = plan_of(a, &w);
        CHECK_EQ(p.backoff.failures, fresh ? 1 : 3);
    }
}

static void check_end(const struct job_plan *p, const char *type, const char *reason,
                      const char *message)
{
    CHECK(p->condition_count > 0);
    CHECK_SPAN(span_cstr(p->conditions[0].type), type);
    CHECK_SPAN(p->conditions[0].reason, reason);
    CHECK_SPAN(p->conditions[0].message, message);
}

TEST(a_job_that_is_given_up_ends_its_pods_counts_them_and_only_then_has_failed)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(&w);
    w.v.backoff_limit = 0;
    add(&w, FAILED);
    add(&w, READY);
    struct job_plan p = plan_of(a, &w);
    check_end(&p, "FailureTarget", "BackoffLimitExceeded",
              "Job has reached the specified backoff limit");
    CHECK_EQ(p.delete_count, 1);
    CHECK(!p.deletes_untracked && !p.end.type);
    CHECK_EQ(p.untrack_count, 2);
    CHECK_EQ(p.status.uncounted_failed.n, 2);
    CHECK_EQ(p.status.terminating, 1);
    CHECK_EQ(p.status.ready, 0);
    CHECK_EQ(p.before_ready, 1);
    w.v.was = p.status;
    w.v.failure = p.conditions[0];
    w.pods[0].tracked = w.pods[1].tracked = false;
    w.pods[1].rank.terminating = true;
    p = plan_of(a, &w);
    CHECK_EQ(p.status.failed, 2);
    CHECK_EQ(p.condition_count, 0);
    w.v.was = p.status;
    w.v.pod_count = 1;
    p = plan_of(a, &w);
    CHECK_EQ(p.condition_count, 1);
    check_end(&p, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
}

TEST(restarts_in_a_pod_count_when_containers_are_started_again)
{
    struct arena *a cleanup_arena = arena_new();
    for (int32_t limit = 0; limit < 3; limit++) {
        for (int32_t restarts = 0; restarts < 4; restarts++) {
            struct world w;
            one_world(&w);
            w.v.backoff_limit = limit;
            add(&w, READY)->restarts = restarts;
            CHECK_EQ(plan_of(a, &w).condition_count, 0);
            w.v.on_failure = true;
            CHECK_EQ(plan_of(a, &w).condition_count, limit ? restarts >= limit : restarts > 0);
        }
    }
}

TEST(a_deadline_counts_from_the_start_and_not_while_the_job_waits)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(&w);
    w.v.deadline_s = 60;
    w.v.was.start_ms = NOW_MS - 59 * 1000;
    add(&w, READY);
    struct job_plan p = plan_of(a, &w);
    CHECK_EQ(p.requeue_at_ms, NOW_MS + 1000);
    CHECK_EQ(p.condition_count, 0);
    w.v.now_ms += 1000;
    p = plan_of(a, &w);
    check_end(&p, "FailureTarget", "DeadlineExceeded",
              "Job was active longer than specified deadline");
    w.v.suspend = true;
    p = plan_of(a, &w);
    check_end(&p, "Suspended", "JobSuspended", "Job suspended");
    CHECK_EQ(p.delete_count, 1);
    CHECK(p.deletes_untracked);
    CHECK_EQ(p.requeue_at_ms, 0);
    w.v.was = p.status;
    w.v.was_suspended = true;
    w.v.pod_count = 0;
    CHECK_EQ(plan_of(a, &w).condition_count, 0);
    w.v.suspend = false;
    w.v.now_ms += 3600 * 1000;
    p = plan_of(a, &w);
    check_end(&p, "Suspended", "JobResumed", "Job resumed");
    CHECK(!p.conditions[0].is_true);
    CHECK_EQ(p.status.start_ms, w.v.now_ms);
    CHECK_EQ(p.create_count, 2);
    w.v.deadline_s = INT64_MAX; /* never comes */
    CHECK_EQ(plan_of(a, &w).requeue_at_ms, 0);
}

TEST(a_job_that_has_not_begun_begins_unless_it_waits)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(&w);
    w.v.was.start_ms = 0;
    CHECK_EQ(plan_of(a, &w).status.start_ms, NOW_MS);
    w.v.suspend = true;
    CHECK_EQ(plan_of(a, &w).status.start_ms, 0);
}

TEST(a_finished_job_is_deleted_when_its_time_is_over)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(&w);
    w.v.finished_ms = NOW_MS - 5000;
    CHECK(!plan_of(a, &w).delete_job);
    CHECK_EQ(plan_of(a, &w).requeue_at_ms, 0);
    w.v.ttl_s = 6;
    CHECK(!plan_of(a, &w).delete_job);
    CHECK_EQ(plan_of(a, &w).requeue_at_ms, NOW_MS + 1000);
    w.v.ttl_s = 5;
    CHECK(plan_of(a, &w).delete_job);
    w.v.deleting = true;
    CHECK(!plan_of(a, &w).delete_job);
}

TEST(more_successes_than_wanted_are_told)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(&w);
    w.v.was.succeeded = 2;
    struct job_plan p = plan_of(a, &w);
    CHECK(!p.too_many && p.end.type);
    CHECK_EQ(p.condition_count, 2); /* nothing to wait for between the two */
    check_end(&p, "SuccessCriteriaMet", "CompletionsReached",
              "Reached expected number of succeeded pods");
    CHECK_EQ(p.status.completion_ms, NOW_MS);
    w.v.was.succeeded = 3;
    CHECK(plan_of(a, &w).too_many);
}

/* Found by the simulator: the API refuses a status whose end is before its beginning, for ever. */
TEST(job_whose_clock_was_set_back_ends_when_it_began)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(&w);
    w.v.was.succeeded = 2;
    w.v.was.start_ms = NOW_MS + 1733 * 1000;
    struct job_plan p = plan_of(a, &w);
    CHECK(p.end.type);
    CHECK_EQ(p.status.completion_ms, w.v.was.start_ms);
}

TEST(clock_that_is_set_back_does_not_stretch_the_back_off_of_a_job)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(&w);
    w.v.knows_backoff = true;
    w.v.backoff = (struct job_backoff){.failures = 1, .last_ms = NOW_MS + 2869 * 1000};
    struct job_plan p = plan_of(a, &w);
    CHECK_EQ(p.create_count, 0);
    CHECK_EQ(p.requeue_at_ms, NOW_MS + 10 * 1000);
    w.v.backoff = p.backoff; /* as it is remembered */
    w.v.now_ms = p.requeue_at_ms;
    CHECK(plan_of(a, &w).create_count > 0);
}

TEST(so_many_pods_are_counted_and_made_at_once_and_no_more)
{
    struct arena *a cleanup_arena = arena_new();
    enum { MANY = JOB_UNCOUNTED_MAX + 100 };
    struct job_pod *pods = calloc(MANY, sizeof *pods);
    struct world w;
    one_world(&w);
    w.v.completions = w.v.parallelism = 5000;
    CHECK_EQ(plan_of(a, &w).create_count, JOB_BURST_MAX);
    for (int i = 0; i < MANY; i++) {
        pods[i] = pod_of(0, SUCCEEDED);
        pods[i].uid = arena_printf(a, "uid%d", i);
        pods[i].index = i;
    }
    w.v.pods = pods;
    w.v.pod_count = MANY;
    w.v.completions = MANY;
    struct job_plan p = plan_of(a, &w);
    CHECK_EQ(p.untrack_count, JOB_UNCOUNTED_MAX);
    CHECK_EQ(p.status.uncounted_succeeded.n, JOB_UNCOUNTED_MAX);
    check_end(&p, "SuccessCriteriaMet", "CompletionsReached",
              "Reached expected number of succeeded pods");
    CHECK(!p.end.type);
    w.v.indexed = true;
    p = plan_of(a, &w);
    CHECK_EQ(p.untrack_count, JOB_UNCOUNTED_MAX);
    CHECK_SPAN(p.status.completed_indexes, "0-599");
    CHECK(!p.end.type);
    for (int i = 0; i < MANY; i++) {
        pods[i] = pod_of(0, READY);
        pods[i].index = i;
    }
    w.v.parallelism = 0;
    CHECK_EQ(plan_of(a, &w).delete_count, JOB_BURST_MAX);
    free(pods);
}

/* ---- numbers ---- */

static void indexed_world(struct world *w)
{
    one_world(w);
    w->v.completions = w->v.parallelism = 3;
    w->v.indexed = true;
    w->v.index_limit = 1;
    w->v.backoff_limit = INT32_MAX;
}

TEST(of_each_number_the_best_pod_stays_and_those_without_one_go)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    indexed_world(&w);
    add(&w, WAITING)->index = 1;
    add(&w, READY)->index = 1;
    add(&w, READY)->index = 7;
    struct job_plan p = plan_of(a, &w);
    CHECK_EQ(p.delete_count, 2);
    CHECK_EQ(p.deletes[0], 0);
    CHECK_EQ(p.deletes[1], 2);
    w.pods[0].index = 0;
    w.pods[2].index = JOB_NO_INDEX;
    w.v.parallelism = 1;
    p = plan_of(a, &w);
    CHECK_EQ(p.delete_count, 2);
    CHECK_EQ(p.deletes[0], 2);
    CHECK_EQ(p.deletes[1], 0); /* the lesser of the two that are left */
}

TEST(a_number_is_tried_again_with_its_failures_and_then_given_up)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    indexed_world(&w);
    struct job_pod *bad = add(&w, FAILED);
    bad->index = 1;
    bad->finished_ms = NOW_MS - 4000;
    struct job_plan p = plan_of(a, &w);
    CHECK_EQ(p.create_count, 2); /* the others do not wait for it */
    CHECK_EQ(p.creates[1].index, 2);
    CHECK_EQ(p.requeue_at_ms, NOW_MS + 6000);
    CHECK_EQ(p.untrack_count, 0); /* its count is still needed */
    w.v.now_ms += 6000;
    p = plan_of(a, &w);
    CHECK_EQ(p.create_count, 3);
    CHECK_EQ(p.creates[1].failures, 1);
    CHECK_EQ(p.creates[1].ignored, 0);
    bad->failure = JOB_FAILURE_IGNORED;
    p = plan_of(a, &w);
    CHECK_EQ(p.creates[1].failures, 0);
    CHECK_EQ(p.creates[1].ignored, 1);
    bad->failure = JOB_FAILURE_COUNTS;
    bad->failures = 1;
    p = plan_of(a, &w);
    CHECK_EQ(p.create_count, 2); /* one is enough for the number, not for the job */
    CHECK_SPAN(p.status.failed_indexes, "1");
    CHECK_EQ(p.untrack_count, 1);
    bad->failures = 0;
    bad->failure = JOB_FAILURE_OF_INDEX;
    CHECK_SPAN(plan_of(a, &w).status.failed_indexes, "1");
    w.v.failed_indexes_max = 0;
    p = plan_of(a, &w);
    check_end(&p, "FailureTarget", "MaxFailedIndexesExceeded",
              "Job has exceeded the specified maximal number of failed indexes");
    w.v.failed_indexes_max = -1;
    w.v.was.completed_indexes = SPAN("0,2");
    p = plan_of(a, &w);
    check_end(&p, "FailureTarget", "FailedIndexes", "Job has failed indexes");
}

TEST(of_several_failures_of_a_number_the_latest_is_the_one_to_go_on_from)
{
    struct arena *a cleanup_arena = arena_new();
    for (int order = 0; order < 2; order++) {
        struct world w;
        indexed_world(&w);
        w.v.index_limit = 9;
        for (int i = 0; i < 2; i++) {
            struct job_pod *p = add(&w, FAILED);
            p->index = 1;
            p->failures = i == order ? 4 : 3;
            p->finished_ms = LONG_AGO_MS + p->failures;
        }
        struct job_plan p = plan_of(a, &w);
        CHECK_EQ(p.create_count, 3);
        CHECK_EQ(p.creates[1].failures, 5);
        CHECK_EQ(p.untrack_count, 1);
        CHECK_EQ(p.untracks[0], 1 - order);
        add(&w, WAITING)->index = 1; /* which carries them */
        p = plan_of(a, &w);
        CHECK_EQ(p.untrack_count, 2);
        CHECK_EQ(p.status.uncounted_failed.n, 2);
    }
}

TEST(a_pod_that_fails_the_job_ends_it_with_its_text)
{
    struct arena *a cleanup_arena = arena_new();
    struct world w;
    one_world(&w);
    struct job_pod *p = add(&w, GOING);
    p->failure = JOB_FAILURE_OF_JOB;
    p->failure_text = SPAN("why");
    w.v.only_failed = true;
    CHECK_EQ(plan_of(a, &w).condition_count, 0); /* not yet */
    w.v.only_failed = false;
    struct job_plan plan = plan_of(a, &w);
    check_end(&plan, "FailureTarget", "PodFailurePolicy", "why");
}

TEST(success_by_rules_ends_the_job_and_what_runs_is_no_failure)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *doc;
    struct err err;
    CHECK(json_parse(a,
                     SPAN("{\"rules\":[{\"succeededCount\":3},{\"succeededIndexes\":\"1-2\","
                          "\"succeededCount\":1}]}"),
                     &doc, &err) == 0);
    struct world w;
    indexed_world(&w);
    w.v.index_limit = -1;
    w.v.success_policy = yyjson_doc_get_root(doc);
    add(&w, READY)->index = 1;
    add(&w, SUCCEEDED)->index = 0;
    CHECK_EQ(plan_of(a, &w).condition_count, 0);
    w.pods[1].index = 2;
    struct job_plan p = plan_of(a, &w);
    check_end(&p, "SuccessCriteriaMet", "SuccessPolicy", "Matched rules at index 1");
    CHECK_EQ(p.delete_count, 1);
    CHECK_EQ(p.untrack_count, 2);
    CHECK_EQ(p.status.uncounted_failed.n, 0);
    CHECK_EQ(p.status.succeeded, 1);
}
