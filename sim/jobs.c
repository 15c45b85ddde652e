/* sim/jobs.c: a Job among the neighbours, whose pods end by themselves: users make, suspend and
 * delete it. Checkers: counts (each pod is counted once, and no count goes back); at rest it has
 * finished or waits, and no pod is held by a finalizer for nothing. */
#include <stdio.h>

#include "client/client_body.h"
#include "schema/kinds.h"
#include "sim/neighbours.h"
#include "sim/platform_priv.h"

#define JOB_KEY SPAN("jobs.batch/default/batch")
#define FINALIZER "batch.kubernetes.io/job-tracking"

/* ---- users ---- */

static void ask(struct platform *w, enum client_verb verb, enum client_propagation propagation,
                struct span body)
{
    struct client_request rq = sim_user_request(verb, SCHEMA_KIND(Job), SPAN("batch"), body);
    rq.propagation = propagation;
    neighbours_ask(w, &rq, "the job");
}

void jobs_act(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *job = record_get(w->record, JOB_KEY);
    if (!job) {
        ask(w, CLIENT_CREATE, CLIENT_PROPAGATION_DEFAULT,
            arena_printf(
                a,
                "{\"kind\":\"Job\",\"apiVersion\":\"batch/v1\",\"metadata\":{\"name\":\"batch\"},"
                "\"spec\":{\"completions\":%d,\"parallelism\":%d,\"backoffLimit\":2,"
                "\"completionMode\":\"%s\",\"podReplacementPolicy\":\"%s\",%s\"template\":{"
                "\"metadata\":{\"labels\":{\"app\":\"batch\"},\"annotations\":{"
                "\"berth.dev/fake-exit-after-ms\":\"%d\",\"berth.dev/fake-exit-code\":\"%d\"}},"
                "\"spec\":{\"restartPolicy\":\"%s\",\"terminationGracePeriodSeconds\":3,"
                "\"containers\":[{\"name\":\"one\",\"image\":\"one:1\"}]}}}}",
                (int)sim_roll(w, 4), 1 + (int)sim_roll(w, 3),
                sim_roll(w, 2) ? "Indexed" : "NonIndexed",
                sim_roll(w, 2) ? "Failed" : "TerminatingOrFailed",
                sim_roll(w, 4) ? "" : "\"ttlSecondsAfterFinished\":5,", (int)sim_roll(w, 4000),
                sim_roll(w, 5) == 0, sim_roll(w, 5) ? "Never" : "OnFailure"));
        return;
    }
    switch (sim_roll(w, 4)) {
    case 0:
    case 1:
        ask(w, CLIENT_DELETE,
            (enum client_propagation)(CLIENT_PROPAGATION_BACKGROUND + (int)sim_roll(w, 2)),
            SPAN_NULL);
        break;
    case 2:
        ask(w, CLIENT_PATCH_MERGE, CLIENT_PROPAGATION_DEFAULT,
            sim_roll(w, 2) ? SPAN("{\"spec\":{\"suspend\":true}}")
                           : SPAN("{\"spec\":{\"suspend\":false}}"));
        break;
    default:
        ask(w, CLIENT_PATCH_MERGE, CLIENT_PROPAGATION_DEFAULT,
            arena_printf(a, "{\"spec\":{\"parallelism\":%d}}", (int)sim_roll(w, 4)));
        break;
    }
}

/* ---- counts ---- */

static int64_t count_of(struct object *job, const char *key)
{
    return json_get_int(json_get(object_root(job), "status"), key, 0);
}

static bool is_finished(struct object *job)
{
    return client_condition_true(job, "Complete") || client_condition_true(job, "Failed");
}

static void check_counts(struct platform *w, struct object *old, struct object *now)
{
    static const char *const keys[] = {"succeeded", "failed"};
    bool same = old && span_eq(object_uid(old), object_uid(now));
    struct sim_job *j = &w->job;
    if (!span_eq_cstr(object_uid(now), j->uid)) {
        *j = (struct sim_job){0};
        (void)snprintf(j->uid, sizeof j->uid, "%.*s", SPAN_ARG(object_uid(now)));
    }
    for (size_t i = 0; i < 2 && same; i++) {
        if (count_of(now, keys[i]) < count_of(old, keys[i])) {
            sim_fail(w, "job", "the count %s goes back", keys[i]);
        }
    }
    if (same && is_finished(old) && !is_finished(now)) {
        sim_fail(w, "job", "a finished job is no longer finished");
    }
    if (count_of(now, "succeeded") + count_of(now, "failed") > j->pods) {
        sim_fail(w, "job", "%lld pods succeeded and %lld failed, and there were %lld",
                 (long long)count_of(now, "succeeded"), (long long)count_of(now, "failed"),
                 (long long)j->pods);
    }
    if (client_condition_true(now, "Complete") &&
        count_of(now, "succeeded") <
            json_get_int(json_get(object_root(now), "spec"), "completions", 0)) {
        sim_fail(w, "job", "complete with too few successes");
    }
}

void jobs_on_change(struct platform *w, struct object *old, struct object *now)
{
    struct span key = object_store_key(now ? now : old);
    if (span_eq(key, JOB_KEY) && now) {
        check_counts(w, old, now);
    } else if (!old && now && span_starts(key, SPAN("pods/")) &&
               span_eq_cstr(client_controller_uid(now), w->job.uid)) {
        w->job.pods++;
    }
}

/* ---- at rest ---- */

struct resting {
    struct object *job;
    bool ends;
    const char *why;
};

static void see_pod(void *data, struct object *pod)
{
    struct resting *r = data;
    bool its = r->job && span_eq(client_controller_uid(pod), object_uid(r->job));
    if (client_has_finalizer(pod, FINALIZER) && (!its || r->ends)) {
        r->why = "a pod is held for a job that does not count it";
    }
}

const char *jobs_at_rest(struct platform *w)
{
    struct object *job = record_get(w->record, JOB_KEY);
    struct resting r = {.job = job, .ends = job && is_finished(job)};
    record_each(w->record, SPAN("pods"), see_pod, &r);
    if (r.why || !job) {
        return r.why;
    }
    yyjson_val *spec = json_get(object_root(job), "spec");
    bool waits = json_get_bool(spec, "suspend", false) || json_get_int(spec, "parallelism", 1) == 0;
    return object_is_deleting(job) ? "the job is being deleted"
           : !r.ends && !waits     ? "the job has not ended"
           : waits && !r.ends && count_of(job, "active") + count_of(job, "terminating") > 0
               ? "the job waits, and pods of it run"
               : NULL;
}
