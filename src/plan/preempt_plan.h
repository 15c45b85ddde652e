/* plan/preempt_plan.h: which pods of lower priority make room for one that fits nowhere, and on
 * which node. Pure.
 *
 * Invariants (checked over all small worlds by preempt_plan_test):
 * - Every victim's priority is lower than the pod's, and without the victims, and those of lower
 *   priority that are stopping already, the pod fits.
 * - No victim is needless: with any one of them left in place the pod would not fit. Nor is one
 *   taken where those that are stopping already leave room enough.
 * - So it is with rules about neighbours: without the victims they let the pod there. One that
 *   needs a neighbour of lower priority is no reason to send anybody away, as in Kubernetes.
 * - The node is the best by Kubernetes' order: fewest victims whom a budget protects, lowest
 *   highest priority of a victim, smallest sum of their priorities, fewest victims, the one whose
 *   most important victims started last, the first. */
#ifndef PLAN_PREEMPT_PLAN_H
#define PLAN_PREEMPT_PLAN_H

#include "plan/schedule_plan.h"

struct preempt_pod {
    struct span uid; /* read when there are rules about neighbours */
    int32_t priority;
    int64_t start_ms;
    int64_t cpu_milli, memory_bytes;
    const int64_t *more;   /* what it has of view.more, by index */
    bool stopping;         /* it leaves its room to whoever waits: never a victim */
    bool in_the_way;       /* has a host port that the pod asks for */
    const size_t *budgets; /* indices of those that protect it */
    size_t budget_count;
};

/* One that has nothing against the pod but what others have there. */
struct preempt_node {
    size_t at;                             /* its index in view.placing */
    int64_t cpu_milli, memory_bytes, pods; /* free now; negative: more than all is given away */
    const int64_t *more;                   /* the same of view.more */
    bool ports_taken;                      /* somebody has one of the pod's host ports */
    const struct preempt_pod *pods_there;  /* those that may be victims: of any priority */
    size_t pod_count;
};

struct preempt_view {
    int32_t priority;                    /* the pod's */
    const struct schedule_view *placing; /* what it asks for; the nodes; rules about neighbours */
    const struct preempt_node *nodes;    /* in the order of `at` */
    size_t node_count;
    const int64_t *allowed; /* disruptions that each budget allows now */
    size_t budget_count;
};

struct preempt_plan {
    bool found;            /* without victims: those that are stopping will do */
    size_t node;           /* index */
    const size_t *victims; /* indices of its pods, the most important first */
    size_t victim_count;
    size_t violations; /* victims whom a budget protects */
};

struct preempt_plan preempt_plan(struct arena *a, const struct preempt_view *view);
/* Why nobody gives way, as Kubernetes says it of each node: "0/2 nodes are available: 1 No
 * preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
 * only_pods: of the plan for view.placing; view.nodes may leave out those where nobody has
 * a lower priority. */
struct span preempt_why(struct arena *a, const struct preempt_view *view, const bool *only_pods);

#endif
