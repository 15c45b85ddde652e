/* plan/daemonset_plan.h: on which nodes a DaemonSet makes a pod, which pods it deletes, and its
 * status. Pure.
 *
 * As in Kubernetes, first every node comes to the right number of pods; only a pass that finds
 * nothing to do there goes on with the rolling update. Pods of one node are judged together, so the
 * view has them sorted by node.
 *
 * Invariants (checked over all small worlds and by walks to convergence in daemonset_plan_test):
 * - A node that must not have a pod keeps none; without surge no node gets a second one.
 * - An update takes an available pod away only while fewer than maxUnavailable nodes lack one (with
 *   surge: only from where its successor is available), and makes a second pod on at most maxSurge
 *   nodes, nodes whose old pod is broken excepted.
 * - OnDelete replaces nothing by itself; a set that is being deleted does nothing at all. */
#ifndef PLAN_DAEMONSET_PLAN_H
#define PLAN_DAEMONSET_PLAN_H

#include "base/arena.h"
#include "plan/pod_rank.h"

enum {
    DAEMONSET_BURST_MAX = 250, /* pods made or deleted by one plan */
    DAEMONSET_NO_NODE = -1,
    /* A failed pod is replaced no sooner than this after it was made. */
    DAEMONSET_RETRY_MS = 10 * 1000,
};

struct daemonset_node {
    bool should_run;      /* selector, affinity and taints let a pod come here */
    bool should_continue; /* a pod that is here may stay */
};

struct daemonset_pod {
    struct pod_rank rank;
    int32_t node;           /* index in view.nodes; DAEMONSET_NO_NODE: waits for one that is gone */
    bool updated;           /* made from the newest template */
    bool failed, succeeded; /* how it ended, when rank.phase says it has */
};

struct daemonset_view {
    int64_t now_ms;
    bool deleting, on_delete;
    struct plan_amount surge, unavailable; /* of RollingUpdate */
    int32_t min_ready_s;
    const struct daemonset_node *nodes;
    size_t node_count;
    const struct daemonset_pod *pods; /* ascending by node */
    size_t pod_count;
};

enum daemonset_why {
    DAEMONSET_WHY_EXTRA, /* the node has another, or should have none, or is gone */
    DAEMONSET_WHY_FAILED,
    DAEMONSET_WHY_SUCCEEDED,
    DAEMONSET_WHY_UPDATE,
};

struct daemonset_delete {
    size_t pod;
    enum daemonset_why why;
};

/* Counts of nodes, before the plan's actions. */
struct daemonset_status {
    int32_t desired, current, misscheduled, ready, updated, available, unavailable;
};

struct daemonset_plan {
    size_t *creates; /* indexes of nodes */
    size_t create_count;
    struct daemonset_delete *deletes;
    size_t delete_count;
    struct daemonset_status status;
    bool again;            /* more to do than one plan may */
    int64_t requeue_at_ms; /* when time alone changes the plan; 0: never */
};

/* Memory of the plan is the arena's. */
void daemonset_plan(struct arena *a, const struct daemonset_view *view, struct daemonset_plan *ret);
/* Percentages of the wanted nodes round up; when both come to nothing, one may be unavailable. */
void daemonset_bounds(const struct daemonset_view *view, int32_t desired, int32_t *ret_surge,
                      int32_t *ret_unavailable);

#endif
