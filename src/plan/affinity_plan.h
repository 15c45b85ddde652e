/* plan/affinity_plan.h: what podAffinity and podAntiAffinity say about each node, as Kubernetes'
 * plugin InterPodAffinity. Pure.
 *
 * Required terms of the pod, required anti-affinity of the pods that are there already, and weights
 * of the preferred terms of both sides; an existing pod's required affinity is a wish of weight 1
 * for the pod that it matches. The first pod of a group whose required affinity only pods like
 * itself could fulfil goes anywhere where the label is. */
#ifndef PLAN_AFFINITY_PLAN_H
#define PLAN_AFFINITY_PLAN_H

#include "plan/near_plan.h"

enum affinity_refusal {
    AFFINITY_FITS,
    AFFINITY_MISSES,  /* a required affinity of the pod is not fulfilled */
    AFFINITY_AVOIDS,  /* a pod that it must not be near is there */
    AFFINITY_AVOIDED, /* a pod that must not be near it is there */
};

struct affinity_plan {
    const enum affinity_refusal *refusals; /* by node */
    const int64_t *scores;                 /* by node; NULL: nothing is preferred */
};

struct affinity_plan affinity_plan(struct arena *a, const struct near_view *view);
/* Scores of the nodes that `fits` names, brought to 0 to 100; others become 0. */
void affinity_normalize(int64_t *scores, const bool *fits, size_t n);
/* For a newcomer: who or what keeps the pod from the nodes that `asked` names, as
 * sentences ("It must not share a node with ..."); empty when none of them is refused. */
struct span affinity_note(struct arena *a, const struct near_view *view,
                          const struct affinity_plan *plan, const bool *asked);

#endif
