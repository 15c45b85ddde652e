/* test/unit/job_controller_test.c: Jobs and CronJobs against a small API server in memory. */
#include <stdlib.h>

#include "codec/time.h"
#include "kit/controller_kit.h"
#include "kit/kit.h"
#include "schema/kinds.h"

#define FINALIZER "batch.kubernetes.io/job-tracking"
#define TEMPLATE                                                                                   \
    "\"template\":{\"metadata\":{\"labels\":{\"app\":\"j\"}},\"spec\":{\"restartPolicy\":"         \
    "\"Never\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}"
#define JOB(more)                                                                                  \
    "{\"kind\":\"Job\",\"apiVersion\":\"batch/v1\",\"metadata\":{\"name\":\"j\"},\"spec\":{" more  \
    "\"selector\":{\"matchLabels\":{\"app\":\"j\"}}," TEMPLATE "}}"

struct bed {
    struct controller_kit k;
    int refuse; /* status writes and patches that still fail */
};

static enum err_reason fault(void *data, const struct client_request *rq)
{
    struct bed *b = data;
    bool counted =
        rq->verb == CLIENT_PATCH_STRATEGIC || (rq->kind == SCHEMA_KIND(Job) && rq->subresource.n);
    return counted && b->refuse > 0 && b->refuse-- ? ERR_CONFLICT : ERR_NONE;
}

static const struct controller_type *const all[] = {&controller_job, &controller_cronjob, NULL};

static struct bed *bed_new(void)
{
    struct bed *b = calloc(1, sizeof *b);
    controller_kit_begin(&b->k, &controller_kit_node);
    fake_client_fault(b->k.api, fault, b);
    controller_kit_run(&b->k, all);
    return b;
}

static void bed_free(struct bed *b)
{
    controller_kit_end(&b->k);
    free(b);
}

static struct object *job(struct bed *b)
{
    return fake_client_get(b->k.api, "batch", "Job", "default", "j");
}

static int64_t count(struct bed *b, const char *key)
{
    return json_get_int(json_get(object_root(job(b)), "status"), key, 0);
}

struct found {
    struct object *running[8];
    size_t n, tracked, all;
};

static void find(void *data, struct object *pod)
{
    struct found *f = data;
    struct span phase = json_str(json_path(object_root(pod), "status", "phase", NULL));
    f->all++;
    f->tracked += client_has_finalizer(pod, FINALIZER);
    if (span_eq(phase, SPAN("Running")) && !object_is_deleting(pod)) {
        f->running[f->n++] = pod;
    }
}

static struct found pods(struct bed *b)
{
    struct found f = {0};
    fake_client_each(b->k.api, "", "Pod", find, &f);
    return f;
}

static void end_pod(struct bed *b, struct object *pod, const char *phase)
{
    cleanup_arena struct arena *a = arena_new();
    const char *name = arena_cstr(a, object_name(pod));
    fake_client_patch(b->k.api, "", "Pod", "default", name, "status",
                      arena_printf(a, "{\"status\":{\"phase\":\"%s\"}}", phase).p);
}

TEST(a_job_makes_its_pods_counts_them_and_is_complete)
{
    struct bed *b = bed_new();
    fake_client_create(b->k.api, JOB("\"completions\":3,\"parallelism\":2,"));
    env_sim_run_for(b->k.env, 1000);
    struct found f = pods(b);
    CHECK(f.all == 2 && f.n == 2 && f.tracked == 2);
    CHECK_EQ(count(b, "active"), 2);
    CHECK_EQ(count(b, "ready"), 2);
    end_pod(b, f.running[0], "Failed");
    env_sim_run_for(b->k.env, 1000);
    CHECK_EQ(count(b, "failed"), 1);
    CHECK_EQ(pods(b).n, 1); /* the next one ten seconds after the failure */
    env_sim_run_for(b->k.env, 15000);
    f = pods(b);
    CHECK(f.all == 3 && f.n == 2 && f.tracked == 2);
    end_pod(b, f.running[0], "Succeeded");
    end_pod(b, f.running[1], "Succeeded");
    env_sim_run_for(b->k.env, 1000);
    CHECK_EQ(count(b, "succeeded"), 2);
    f = pods(b);
    CHECK_EQ(f.n, 1);
    end_pod(b, f.running[0], "Succeeded");
    env_sim_run_for(b->k.env, 1000);
    CHECK(client_condition_true(job(b), "Complete"));
    CHECK_EQ(count(b, "succeeded"), 3);
    CHECK_EQ(pods(b).tracked, 0);
    uint64_t writes = fake_client_writes(b->k.api);
    env_sim_run_for(b->k.env, 60000);
    CHECK_EQ(fake_client_writes(b->k.api), writes); /* at rest nothing is written */
    bed_free(b);
}

TEST(each_pod_is_counted_once_although_writes_fail_and_controllers_die)
{
    struct bed *b = bed_new();
    fake_client_create(b->k.api, JOB("\"completions\":6,\"parallelism\":3,\"backoffLimit\":9,"));
    int64_t good = 0, bad = 0;
    for (int round = 0; round < 60 && !client_condition_true(job(b), "Complete"); round++) {
        env_sim_run_for(b->k.env, 700 * 1000);
        struct found f = pods(b);
        for (size_t i = 0; i < f.n; i++) {
            bool fails = (round + (int)i) % 3 == 0 && bad < 6;
            end_pod(b, f.running[i], fails ? "Failed" : "Succeeded");
            good += !fails;
            bad += fails;
        }
        b->refuse = round % 3;
        env_sim_run_for(b->k.env, round % 7); /* somewhere between two writes */
        controller_kit_run(&b->k, all);
    }
    CHECK(client_condition_true(job(b), "Complete"));
    CHECK_EQ(count(b, "succeeded"), good);
    CHECK_EQ(count(b, "failed"), bad);
    CHECK_EQ(pods(b).tracked, 0);
    CHECK_EQ(good, 6);
    bed_free(b);
}

TEST(pods_of_a_suspended_job_go_and_are_no_failures)
{
    struct bed *b = bed_new();
    fake_client_create(b->k.api, JOB("\"completions\":3,\"parallelism\":3,"));
    env_sim_run_for(b->k.env, 1000);
    fake_client_patch(b->k.api, "batch", "Job", "default", "j", "",
                      "{\"spec\":{\"suspend\":true}}");
    env_sim_run_for(b->k.env, 5000);
    CHECK_EQ(pods(b).all, 0);
    CHECK(client_condition_true(job(b), "Suspended"));
    CHECK_EQ(count(b, "active") + count(b, "failed") + count(b, "terminating"), 0);
    fake_client_patch(b->k.api, "batch", "Job", "default", "j", "",
                      "{\"spec\":{\"suspend\":false}}");
    env_sim_run_for(b->k.env, 5000);
    CHECK_EQ(pods(b).n, 3);
    CHECK(!client_condition_true(job(b), "Suspended"));
    bed_free(b);
}

TEST(a_pod_that_is_taken_in_is_tracked_and_one_that_is_let_go_is_not)
{
    struct bed *b = bed_new();
    fake_client_create(b->k.api,
                       "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"lone\","
                       "\"labels\":{\"app\":\"j\"}},\"spec\":{\"containers\":[{\"name\":\"c\"}]}}");
    fake_client_create(b->k.api, JOB("\"completions\":2,\"parallelism\":2,"));
    env_sim_run_for(b->k.env, 5000);
    CHECK(pods(b).all == 2 && pods(b).tracked == 2);
    fake_client_patch(b->k.api, "", "Pod", "default", "lone", "",
                      "{\"metadata\":{\"labels\":{\"app\":\"x\"}}}");
    env_sim_run_for(b->k.env, 5000);
    CHECK(pods(b).all == 3 && pods(b).tracked == 2);
    /* The job goes and leaves its pods: nobody counts them any more. */
    fake_client_delete(b->k.api, "batch", "Job", "default", "j", 0, CLIENT_PROPAGATION_BACKGROUND);
    env_sim_run_for(b->k.env, 5000);
    CHECK_EQ(pods(b).tracked, 0);
    bed_free(b);
}

TEST(a_pod_whose_node_is_gone_has_failed_and_is_replaced_also_when_only_failed_ones_are)
{
    struct bed *b = bed_new();
    controller_kit_run(&b->k, CONTROLLERS(&controller_job, &controller_node));
    fake_client_create(
        b->k.api, JOB("\"completions\":1,\"parallelism\":1,\"podReplacementPolicy\":\"Failed\","));
    env_sim_run_for(b->k.env, 5000);
    CHECK_EQ(pods(b).n, 1); /* on node-1, which nobody knows */
    env_sim_run_for(b->k.env, 5 * 60 * 1000);
    CHECK(count(b, "failed") >= 1);
    CHECK(pods(b).all <= 1); /* those that failed are let go */
    bed_free(b);
}

TEST(somebody_elses_job_is_left_alone)
{
    struct bed *b = bed_new();
    fake_client_create(b->k.api, JOB("\"managedBy\":\"acme.io/x\","));
    env_sim_run_for(b->k.env, 5000);
    CHECK_EQ(pods(b).all, 0);
    bed_free(b);
}

TEST(a_cron_job_starts_one_job_for_each_time_and_keeps_the_newest)
{
    struct bed *b = bed_new();
    fake_client_create(b->k.api,
                       "{\"kind\":\"CronJob\",\"apiVersion\":\"batch/v1\",\"metadata\":{\"name\":"
                       "\"c\"},\"spec\":{\"schedule\":\"*/5 * * * *\",\"concurrencyPolicy\":"
                       "\"Allow\",\"successfulJobsHistoryLimit\":3,\"jobTemplate\":{\"spec\":{"
                       "\"completions\":0,\"parallelism\":1,\"selector\":{\"matchLabels\":{\"app\":"
                       "\"j\"}}," TEMPLATE "}}}}");
    for (int i = 0; i < 12; i++) {
        env_sim_run_for(b->k.env, 5 * 60 * 1000);
        controller_kit_run(&b->k, all);
    }
    env_sim_run_for(b->k.env, 5000);
    CHECK_EQ(fake_client_each(b->k.api, "batch", "Job", NULL, NULL), 3);
    struct object *cron = fake_client_get(b->k.api, "batch", "CronJob", "default", "c");
    yyjson_val *status = json_get(object_root(cron), "status");
    int64_t last = time_or(json_get_str(status, "lastScheduleTime"), 0);
    CHECK(last > 0 && last % (5 * 60 * 1000) == 0);
    CHECK(env_now_ms(b->k.env) - last < 5 * 60 * 1000);
    CHECK(json_get(status, "lastSuccessfulTime"));
    CHECK_EQ(json_len(json_get(status, "active")), 0);
    bed_free(b);
}
