/* plan/job_plan_priv.h: what the files of the job planner share. Not for others. */
#ifndef PLAN_JOB_PLAN_PRIV_H
#define PLAN_JOB_PLAN_PRIV_H

#include "plan/job_plan.h"

enum job_known { JOB_UNKNOWN, JOB_KNOWN_SUCCEEDED, JOB_KNOWN_FAILED };

/* The newest failure of a number that is to be tried again: its pod stays tracked until the next
 * one carries its counts. */
struct job_delayed {
    int32_t index;
    size_t pod;
};

struct job_work {
    struct arena *a;
    const struct job_view *v;
    struct job_plan *ret;
    enum job_known *known;              /* by pod: its uid stands in the status */
    int64_t active, ready, terminating; /* now, then after the plan */
    int64_t succeeded, failed;          /* with those that are not counted yet */
    struct job_indexes succeeded_set, failed_set;
    struct job_delayed *delayed; /* ascending by index */
    size_t delayed_count;
    struct job_condition end; /* SuccessCriteriaMet or FailureTarget: the job is to end */
};

bool job_pod_failed(const struct job_view *v, const struct job_pod *p);
/* Has a number below completions, or needs none. */
bool job_pod_valid(const struct job_view *v, const struct job_pod *p);
/* Of those that the job is to have now, all or what is too many; pods to make: job_plan_pods.c. */
void job_manage(struct job_work *w);
/* The failures that each number's next pod inherits. */
void job_find_delayed(struct job_work *w);
const struct job_delayed *job_delayed_find(const struct job_work *w, int32_t index);
/* Lowers ret->requeue_at_ms. */
void job_requeue(struct job_plan *ret, int64_t at_ms);
/* Deletes the first n of these pods. */
void job_delete(struct job_work *w, const size_t *pods, size_t n);

#endif
