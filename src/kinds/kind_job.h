/* kinds/kind_job.h: rules of jobs that their files share. Internal to kinds/. */
#ifndef KINDS_KIND_JOB_H
#define KINDS_KIND_JOB_H

#include "kinds/kind.h"

/* spec of a job or of a cron job's template; p: its path. */
void check_job_spec(struct check *c, const struct path *p, const yyjson_val *spec);

/* ---- kind_job_policy.c ---- */

/* The rules for failures and success, of spec. */
void check_job_policies(struct check *c, const struct path *p, const yyjson_val *spec);
/* What is wrong with numbers of pods as text ("1,3-5"), which lie below completions; empty when
 * nothing is, and then *ret_count tells how many there are. */
struct span job_numbers_fault(struct arena *a, struct span text, int64_t completions,
                              int64_t *ret_count);

/* ---- kind_job_status.c ---- */

void check_job_status(struct check *c, const yyjson_val *obj);

#endif
