/* controller/job_view.c: what the Job planner has to know of a job and its pods. */
#include "base/check.h"
#include "codec/time.h"
#include "controller/job_priv.h"

/* ---- jobs ---- */

int64_t job_finished_ms(struct object *job)
{
    static const char *const ends[] = {"Complete", "Failed"};
    for (size_t i = 0; i < 2; i++) {
        if (client_condition_true(job, ends[i])) {
            yyjson_val *c = client_condition(job, ends[i]);
            int64_t at = time_or(json_get_str(c, "lastTransitionTime"), 1);
            return at > 0 ? at : 1;
        }
    }
    return 0;
}

bool job_is_foreign(struct object *job)
{
    struct span by = json_get_str(client_spec(job), "managedBy");
    return by.n && !span_eq(by, SPAN("kubernetes.io/job-controller"));
}

static struct job_condition true_condition(struct object *job, const char *type)
{
    yyjson_val *c = client_condition(job, type);
    if (!c || !client_condition_true(job, type)) {
        return (struct job_condition){.type = NULL};
    }
    return (struct job_condition){type, true, json_get_str(c, "reason"),
                                  json_get_str(c, "message")};
}

static struct job_uids uids_of(struct arena *a, const yyjson_val *list)
{
    struct span *at = ARENA_ARRAY(a, struct span, json_len(list) + 1);
    size_t n = 0;
    JSON_EACH(it, list)
    {
        at[n++] = json_str(it.val);
    }
    assert(n == json_len(list));
    return (struct job_uids){at, n};
}

static struct job_status status_of(struct owned_sync *own)
{
    yyjson_val *st = own->status, *uncounted = json_get(st, "uncountedTerminatedPods");
    return (struct job_status){.start_ms = time_or(json_get_str(st, "startTime"), 0),
                               .completion_ms = time_or(json_get_str(st, "completionTime"), 0),
                               .active = owned_int32(st, "active", 0),
                               .ready = owned_int32(st, "ready", 0),
                               .terminating = owned_int32(st, "terminating", 0),
                               .succeeded = owned_int32(st, "succeeded", 0),
                               .failed = owned_int32(st, "failed", 0),
                               .completed_indexes = json_get_str(st, "completedIndexes"),
                               .failed_indexes = json_get_str(st, "failedIndexes"),
                               .has_failed_indexes = json_get(st, "failedIndexes"),
                               .uncounted_succeeded =
                                   uids_of(own->a, json_get(uncounted, "succeeded")),
                               .uncounted_failed = uids_of(own->a, json_get(uncounted, "failed"))};
}

/* ---- pods ---- */

static int32_t number_in(yyjson_val *annotations, const char *key, int32_t otherwise)
{
    uint64_t n;
    bool is = span_to_u64(json_get_str(annotations, key), &n) && n <= INT32_MAX;
    return is ? (int32_t)n : otherwise;
}

/* When its last container ended; 0 unless all have. */
static int64_t containers_end(yyjson_val *status)
{
    int64_t last = 0;
    JSON_EACH(it, json_get(status, "containerStatuses"))
    {
        yyjson_val *ended = json_path(it.val, "state", "terminated", NULL);
        int64_t at = time_or(json_get_str(ended, "finishedAt"), 0);
        if (!ended) {
            return 0;
        }
        last = at > last ? at : last;
    }
    return last;
}

static int64_t pod_end(struct object *pod)
{
    yyjson_val *meta = client_meta(pod);
    int64_t at = containers_end(client_status(pod));
    yyjson_val *ready = client_condition(pod, "Ready");
    if (at == 0 && span_eq(json_get_str(ready, "status"), SPAN("False"))) {
        at = time_or(json_get_str(ready, "lastTransitionTime"), 0);
    }
    if (at == 0 && object_is_deleting(pod)) {
        at = time_or(json_get_str(meta, "deletionTimestamp"), 0) -
             json_get_int(meta, "deletionGracePeriodSeconds", 0) * 1000;
    }
    return at > 0 ? at : time_or(json_get_str(meta, "creationTimestamp"), 0);
}

static int32_t restarts_in(yyjson_val *list)
{
    int64_t n = 0;
    JSON_EACH(it, list)
    {
        n += owned_int32(it.val, "restartCount", 0);
        n = n > INT32_MAX / 2 ? INT32_MAX / 2 : n;
    }
    return (int32_t)n;
}

static struct job_pod pod_of(struct job_sync *x, struct object *pod)
{
    yyjson_val *root = object_root(pod), *status = json_get(root, "status");
    yyjson_val *annotations = json_path(root, "metadata", "annotations", NULL);
    yyjson_val *policy = json_get(x->own.spec, "podFailurePolicy");
    struct span phase = json_get_str(status, "phase");
    struct job_pod p = {.rank = owned_pod_rank(pod),
                        .uid = object_uid(pod),
                        .succeeded = span_eq(phase, SPAN("Succeeded")),
                        .tracked = client_has_finalizer(pod, JOB_FINALIZER),
                        .index = number_in(annotations, JOB_INDEX, JOB_NO_INDEX),
                        .finished_ms = pod_end(pod),
                        .failures = number_in(annotations, JOB_INDEX_FAILURES, 0),
                        .ignored = number_in(annotations, JOB_INDEX_IGNORED, 0)};
    p.rank.deletion_cost = 0; /* jobs do not look at it */
    p.failed = p.rank.phase == POD_RANK_ENDED && !p.succeeded;
    p.restarts = restarts_in(json_get(status, "containerStatuses")) +
                 restarts_in(json_get(status, "initContainerStatuses"));
    if (policy && !p.succeeded) {
        p.failure = job_policy_failure(x->own.a, policy, root, &p.failure_text);
    }
    return p;
}

/* ---- all of it ---- */

static int64_t int_or_none(const yyjson_val *spec, const char *key)
{
    int64_t n = json_get_int(spec, key, -1);
    return n < 0 ? -1 : n;
}

static int32_t int32_or_none(const yyjson_val *spec, const char *key)
{
    return json_get(spec, key) ? owned_int32(spec, key, 0) : -1;
}

void job_observe(struct job_sync *x)
{
    struct owned_sync *own = &x->own;
    const yyjson_val *spec = own->spec;
    struct job_pod *pods = ARENA_ARRAY(own->a, struct job_pod, x->pods.n + 1);
    const struct job_backoff *known = job_remembered(x->c, own->uid);
    for (size_t i = 0; i < x->pods.n; i++) {
        pods[i] = pod_of(x, x->pods.at[i]);
    }
    x->view = (struct job_view){
        .now_ms = own->s->now_ms,
        .deleting = object_is_deleting(own->owner),
        .completions = int32_or_none(spec, "completions"),
        .parallelism = owned_int32(spec, "parallelism", 1),
        .backoff_limit = owned_int32(spec, "backoffLimit", 6),
        .index_limit = int32_or_none(spec, "backoffLimitPerIndex"),
        .failed_indexes_max = int32_or_none(spec, "maxFailedIndexes"),
        .deadline_s = int_or_none(spec, "activeDeadlineSeconds"),
        .ttl_s = int32_or_none(spec, "ttlSecondsAfterFinished"),
        .indexed = span_eq(json_get_str(spec, "completionMode"), SPAN("Indexed")),
        .suspend = json_get_bool(spec, "suspend", false),
        .on_failure = span_eq(json_str(json_path(spec, "template", "spec", "restartPolicy", NULL)),
                              SPAN("OnFailure")),
        .only_failed = span_eq(json_get_str(spec, "podReplacementPolicy"), SPAN("Failed")) ||
                       json_get(spec, "podFailurePolicy"),
        .success_policy = json_get(spec, "successPolicy"),
        .pods = pods,
        .pod_count = x->pods.n,
        .was = status_of(own),
        .was_suspended = client_condition_true(own->owner, "Suspended"),
        .success = true_condition(own->owner, "SuccessCriteriaMet"),
        .failure = true_condition(own->owner, "FailureTarget"),
        .finished_ms = job_finished_ms(own->owner),
        .knows_backoff = known != NULL};
    x->view.indexed &= x->view.completions >= 0; /* validation wants both */
    if (known) {
        x->view.backoff = *known;
    }
}
