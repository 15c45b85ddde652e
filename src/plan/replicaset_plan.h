/* plan/replicaset_plan.h: how many pods a ReplicaSet makes, which it deletes, and its status. Pure.
 *
 * Invariants (checked over all small worlds by replicaset_plan_test):
 * - After the plan the active pods are as many as wanted, within one plan's bound; it never makes
 *   and deletes at once, and a set that is being deleted does neither.
 * - No pod is deleted while one that ranks before it stays. */
#ifndef PLAN_REPLICASET_PLAN_H
#define PLAN_REPLICASET_PLAN_H

#include "base/arena.h"
#include "plan/pod_rank.h"

/* Pods made or deleted by one plan; the rest in the next, when these are seen. */
enum { REPLICASET_BURST_MAX = 500 };

struct replicaset_pod {
    struct pod_rank rank;
    bool fully_labeled; /* has all labels of the template */
};

struct replicaset_view {
    int64_t now_ms;
    bool deleting;
    int32_t replicas, min_ready_s;
    const struct replicaset_pod *pods; /* all that it owns, ended and terminating ones too */
    size_t pod_count;
};

/* Of the pods as they are, before the plan's actions. */
struct replicaset_status {
    int32_t replicas, fully_labeled, ready, available, terminating;
};

struct replicaset_plan {
    int32_t create;
    size_t *deletes; /* indexes in view.pods, in order */
    size_t delete_count;
    struct replicaset_status status;
    bool again;            /* more to do than one plan may */
    int64_t requeue_at_ms; /* when a pod becomes available; 0: never */
};

/* Memory of the plan is the arena's. */
void replicaset_plan(struct arena *a, const struct replicaset_view *view,
                     struct replicaset_plan *ret);

#endif
