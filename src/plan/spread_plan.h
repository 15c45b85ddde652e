/* plan/spread_plan.h: what topologySpreadConstraints say about each node, as Kubernetes' plugin
 * PodTopologySpread. Pure.
 *
 * DoNotSchedule refuses nodes, ScheduleAnyway gives them scores. Nodes that lack the label of one
 * of the constraints count for none of them. */
#ifndef PLAN_SPREAD_PLAN_H
#define PLAN_SPREAD_PLAN_H

#include "plan/near_plan.h"

enum spread_refusal {
    SPREAD_FITS,
    SPREAD_UNEVEN,   /* the pod would make the skew too large */
    SPREAD_NO_LABEL, /* the node is nowhere by a topology key */
};

/* By node; NULL: the pod has no constraint that refuses nodes. */
const enum spread_refusal *spread_filter(struct arena *a, const struct near_view *view);
/* By node, 0 to 100, more is better; fits: the nodes that are left. NULL: no constraint counts. */
const int64_t *spread_scores(struct arena *a, const struct near_view *view, const bool *fits);
/* For a newcomer, of the first constraint that refuses a node: what is spread over what, and how
 * it stands; empty when none does. */
struct span spread_note(struct arena *a, const struct near_view *view);

#endif
