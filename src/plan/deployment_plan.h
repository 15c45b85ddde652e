/* plan/deployment_plan.h: how a Deployment moves its ReplicaSets: one pass from a view to a plan.
 * Pure.
 *
 * The steps are those of Kubernetes' controller: pause, scaling in proportion, rolling update
 * within maxSurge and maxUnavailable, Recreate, revisions, clean-up of history, and the conditions
 * with their reasons and texts. The shell carries everything out, waits until its view shows it,
 * and plans again.
 *
 * Names: a ReplicaSet is DEPLOYMENT-HASH. Kubernetes' hash is taken over a dump of its Go structs
 * and no client relies on its value; ours (revision_plan.h) is taken over the template's sorted
 * JSON and status.collisionCount, so it is stable as well, and a name that is taken leads to the
 * next count.
 *
 * Invariants (checked over all small worlds and by walks to convergence in deployment_plan_test):
 * - A rollout never asks for more than replicas + maxSurge pods in all, nor for fewer available
 * ones than replicas - maxUnavailable as long as that many are there.
 * - Recreate makes nothing while an old pod lives. A paused or deleted Deployment makes no set.
 * - From every state the new set ends at `replicas` and every old one at 0. */
#ifndef PLAN_DEPLOYMENT_PLAN_H
#define PLAN_DEPLOYMENT_PLAN_H

#include "base/arena.h"
#include "plan/pod_rank.h"

enum { DEPLOYMENT_NO_SET = -1 };

struct deployment_set {
    struct span name;
    int32_t spec, replicas, ready, available, terminating; /* spec.replicas; the rest: status */
    int32_t desired, max; /* annotations desired-replicas and max-replicas; -1: absent */
    int64_t revision;     /* annotation; 0: absent */
    int64_t created_ms;
    bool deleting;
    bool observed;                               /* its status is of its newest generation */
    struct span failure_reason, failure_message; /* condition ReplicaFailure; empty: none */
};

enum deployment_type { DEPLOYMENT_PROGRESSING, DEPLOYMENT_AVAILABLE, DEPLOYMENT_FAILURE };

struct deployment_condition {
    uint8_t type; /* enum deployment_type */
    char status;  /* 'T'rue, 'F'alse, 'U'nknown */
    struct span reason, message;
    int64_t updated_ms, transition_ms;
};

struct deployment_status {
    int64_t observed_generation;
    int32_t replicas, updated, ready, available, unavailable, terminating;
    struct deployment_condition conditions[3]; /* in the order in which they were set */
    size_t condition_count;
};

struct deployment_view {
    struct span name;
    int64_t now_ms, generation;
    bool deleting, paused, recreate;
    bool old_pods_live; /* Recreate: a pod of an old set is there and not ended */
    int32_t replicas;
    struct plan_amount surge, unavailable; /* of RollingUpdate */
    int64_t deadline_s;                    /* progressDeadlineSeconds; INT32_MAX and -1: none */
    int64_t history_limit;                 /* negative: keep all */
    const struct deployment_set *sets;
    size_t set_count;
    int32_t new_set; /* index of the one whose template is the Deployment's; DEPLOYMENT_NO_SET */
    struct span new_name;            /* of the set that would be made */
    struct deployment_status status; /* as stored */
};

struct deployment_scale {
    size_t set;
    int32_t replicas;
    bool resize; /* false: only the annotations are out of date */
};

struct deployment_plan {
    int32_t max_replicas; /* replicas + surge: annotation max-replicas of sets made or scaled */
    bool create;          /* the new set, with create_replicas; the status then waits for it */
    int32_t create_replicas;
    int64_t revision; /* of the new set, and of the Deployment; 0: there is none */
    struct deployment_scale *scales;
    size_t scale_count;
    size_t *deletes; /* old sets */
    size_t delete_count;
    struct deployment_status status;
    int64_t requeue_at_ms; /* when the deadline passes; 0: never */
};

/* Memory of the plan is the arena's; spans may point into the view. */
void deployment_plan(struct arena *a, const struct deployment_view *view,
                     struct deployment_plan *ret);

/* maxSurge rounds up, maxUnavailable down; when both come to nothing, one may be unavailable. */
void deployment_bounds(const struct deployment_view *view, int32_t *ret_surge,
                       int32_t *ret_unavailable);
const char *deployment_condition_type(enum deployment_type type);

#endif
