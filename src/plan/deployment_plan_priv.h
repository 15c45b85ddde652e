/* plan/deployment_plan_priv.h: what the two halves of the Deployment planner share. Not for others.
 */
#ifndef PLAN_DEPLOYMENT_PLAN_PRIV_H
#define PLAN_DEPLOYMENT_PLAN_PRIV_H

#include "plan/deployment_plan.h"

struct deploying {
    struct arena *a;
    const struct deployment_view *v;
    struct deployment_plan *ret;
    int32_t surge, unavailable; /* resolved */
    int32_t *size;              /* of each set, as the plan has it so far */
    bool *touched;              /* annotations are to be brought up to date */
    size_t *by_age;             /* indexes of sets, oldest first */
};

/* deployment_status.c: fills ret->status and ret->requeue_at_ms. rollout: progress is judged. */
void deployment_judge(struct deploying *d, bool rollout);

#endif
