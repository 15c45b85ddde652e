/* plan/why_near.h: what the scheduler says of a pod that neighbours keep from every node, for a
 * newcomer. Pure. */
#ifndef PLAN_WHY_NEAR_H
#define PLAN_WHY_NEAR_H

#include "base/arena.h"

/* message: schedule_plan.message. Empty when other things keep it from some of the nodes. */
struct span why_near(struct arena *a, struct span message);

#endif
