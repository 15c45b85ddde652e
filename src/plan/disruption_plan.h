/* plan/disruption_plan.h: how many of a budget's pods may be evicted now. Pure.
 *
 * Invariants (checked over all small worlds by disruption_plan_test):
 * - allowed is healthy - desired, never negative, and 0 while nothing is expected or the expected
 *   number cannot be told.
 * - A pod that is leaving, or is about to because an eviction was allowed, is not healthy. An
 *   eviction that has not led to a deletion within DISRUPTION_PATIENCE_MS is forgotten. */
#ifndef PLAN_DISRUPTION_PLAN_H
#define PLAN_DISRUPTION_PLAN_H

#include "base/arena.h"
#include "plan/pod_rank.h"

enum { DISRUPTION_PATIENCE_MS = 2 * 60 * 1000 };

struct disruption_pod {
    struct span name;
    bool ready, terminating;
    bool unmanaged;       /* has no controller that could say how many there should be */
    int64_t created_ms;   /* 0: unknown */
    int64_t disrupted_ms; /* when its eviction was allowed (status.disruptedPods); 0: it was not */
};

struct disruption_status {
    int64_t observed_generation;
    int32_t expected, desired, healthy, allowed;
    char condition; /* DisruptionAllowed: 'T'rue, 'F'alse; 0: absent */
    struct span reason, message;
    int64_t condition_generation, transition_ms;
};

struct disruption_view {
    int64_t now_ms, generation;
    bool has_min, has_max;
    struct plan_amount min_available, max_unavailable;
    const struct disruption_pod *pods; /* all that the budget selects */
    size_t pod_count;
    int64_t scale;     /* replicas that the pods' controllers want, together */
    struct span error; /* why that cannot be told; empty: it can */
    struct disruption_status was;
    size_t was_disrupted; /* entries of status.disruptedPods, also of pods that are gone */
};

struct disruption_plan {
    struct disruption_status status;
    bool changed;    /* the status, or disruptedPods, must be written */
    bool failed;     /* the error counts: disruptedPods stay as they are */
    bool *disrupted; /* by pod: stays in disruptedPods */
    size_t *late;    /* pods whose eviction is forgotten */
    size_t late_count;
    size_t unmanaged;      /* pods that the expected number does not count, though it should */
    int64_t requeue_at_ms; /* when the next eviction will be forgotten; 0: never */
};

/* Memory of the plan is the arena's; spans may point into the view. */
void disruption_plan(struct arena *a, const struct disruption_view *view,
                     struct disruption_plan *ret);

#endif
