/* plan/job_policy.h: what a job's rules say of a failed pod, and of the numbers that have
 * succeeded. Pure: values of JSON in, a decision out. */
#ifndef PLAN_JOB_POLICY_H
#define PLAN_JOB_POLICY_H

#include "codec/json.h"
#include "plan/job_index.h"

enum job_failure {
    JOB_FAILURE_COUNTS, /* also when no rule fits */
    JOB_FAILURE_IGNORED,
    JOB_FAILURE_OF_INDEX,
    JOB_FAILURE_OF_JOB,
};

/* By spec.podFailurePolicy (NULL: there is none), of which the first rule that fits counts.
 * ret_message: for JOB_FAILURE_OF_JOB. */
enum job_failure job_policy_failure(struct arena *a, const yyjson_val *policy,
                                    const yyjson_val *pod, struct span *ret_message);
/* By spec.successPolicy (NULL: there is none): is that enough? ret_message then says why. */
bool job_policy_success(struct arena *a, const yyjson_val *policy, int32_t completions,
                        struct job_indexes succeeded, struct span *ret_message);

#endif
