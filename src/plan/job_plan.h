/* plan/job_plan.h: which pods a Job makes and deletes, which it counts, and its status. Pure.
 *
 * Each pod is counted once, whatever dies when: it carries a finalizer until its uid stands in
 * status.uncountedTerminatedPods (or its number in completedIndexes), and only when the finalizer
 * is seen to be gone does its uid become one more in the count. So the shell first writes the
 * status and then takes the finalizers away; the next plan sees both.
 *
 * Invariants (checked over all small worlds and by walks to the end in job_plan_test):
 * - Never more active pods than parallelism, nor than successes are missing; with Indexed at most
 *   one a number. A plan never makes and deletes pods at once.
 * - A pod is counted once, and is untracked only together with or after its count; none is made
 *   once the job is to end, waits, or is being deleted.
 * - A job that has finished stays as it is. It finishes only when no pod of it runs or ends and
 *   none is uncounted. */
#ifndef PLAN_JOB_PLAN_H
#define PLAN_JOB_PLAN_H

#include "plan/job_index.h"
#include "plan/job_policy.h"
#include "plan/pod_rank.h"

enum {
    JOB_NO_INDEX = -1,
    JOB_BURST_MAX = 500,     /* pods made or deleted by one plan */
    JOB_UNCOUNTED_MAX = 500, /* uids in the status: they are 36 bytes each */
    JOB_BACKOFF_MS = 10 * 1000,
    JOB_BACKOFF_MAX_MS = 10 * 60 * 1000,
};

struct job_pod {
    struct pod_rank rank;
    struct span uid;
    bool succeeded, failed;    /* how it ended, when rank.phase says it has */
    bool tracked;              /* has the finalizer */
    int32_t index;             /* JOB_NO_INDEX: none, or none that makes sense */
    int64_t finished_ms;       /* of one that has ended or is going */
    int32_t restarts;          /* of its containers together */
    enum job_failure failure;  /* what its failure means or would mean */
    struct span failure_text;  /* of JOB_FAILURE_OF_JOB */
    int32_t failures, ignored; /* of its number before it: with a limit for each number */
};

/* The failures in a row that pods are waited for. */
struct job_backoff {
    int32_t failures;
    int64_t last_ms; /* when failures > 0 */
};

struct job_uids {
    const struct span *at;
    size_t n;
};

struct job_status {
    int64_t start_ms, completion_ms; /* 0: not there */
    int64_t active, ready, terminating;
    int64_t succeeded, failed;
    struct span completed_indexes, failed_indexes;
    bool has_failed_indexes;
    struct job_uids uncounted_succeeded, uncounted_failed;
};

struct job_condition {
    const char *type; /* NULL: none */
    bool is_true;
    struct span reason, message;
};

struct job_view {
    int64_t now_ms;
    bool deleting;
    int32_t completions; /* -1: one success is enough */
    int32_t parallelism, backoff_limit;
    int32_t index_limit, failed_indexes_max; /* -1: not set */
    int64_t deadline_s, ttl_s;               /* -1: not set */
    bool indexed, suspend;
    bool on_failure;  /* containers are started again within their pods */
    bool only_failed; /* a pod that ends is not replaced before it has failed */
    const yyjson_val *success_policy;
    const struct job_pod *pods; /* all that it owns */
    size_t pod_count;
    struct job_status was;
    bool was_suspended;                    /* condition Suspended is True */
    struct job_condition success, failure; /* SuccessCriteriaMet and FailureTarget, when True */
    int64_t finished_ms;                   /* 0: neither Complete nor Failed is True */
    bool knows_backoff; /* false: from all pods there are, instead of `backoff` and the new ones */
    struct job_backoff backoff;
};

struct job_create {
    int32_t index;             /* JOB_NO_INDEX */
    int32_t failures, ignored; /* of that number so far */
};

enum { JOB_CONDITIONS_MAX = 3 };

struct job_plan {
    struct job_create *creates;
    size_t create_count;
    size_t *deletes; /* indexes in view.pods, in order */
    size_t delete_count;
    bool deletes_untracked;   /* they end without having failed: finalizers go first */
    struct job_status status; /* as it is when all of that is done */
    int64_t before_active, before_ready, before_terminating; /* and when not */
    struct job_condition conditions[JOB_CONDITIONS_MAX];     /* to put */
    size_t condition_count;
    bool changed;     /* the status or a condition */
    size_t *untracks; /* indexes of pods: finalizers to take away after the status is written */
    size_t untrack_count;
    struct job_condition end;   /* Complete or Failed, when the job ends with this plan */
    bool too_many;              /* and more than wanted have succeeded */
    struct job_backoff backoff; /* once the status is written */
    bool delete_job;            /* its time after the end is over */
    int64_t requeue_at_ms;      /* when time alone changes the plan; 0: never */
};

/* Memory of the plan is the arena's. */
void job_plan(struct arena *a, const struct job_view *view, struct job_plan *ret);
/* Neither ended nor going. */
bool job_pod_active(const struct job_pod *p);
bool job_pod_terminating(const struct job_pod *p);

#endif
