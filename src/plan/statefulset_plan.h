/* plan/statefulset_plan.h: the StatefulSet algorithm as a pure function: one pass from a view to a
 * plan.
 *
 * The view is one set: its rules and its pods (statefulset_index.h, kept up to date pod by pod) and
 * what is known of the claims of missing ones. The plan is a bounded list of actions, the complete
 * status and the time to look again. The shell carries all actions out, waits until its view shows
 * them, and plans again; a plan is therefore safe on its own and never counts on an earlier one.
 * Cost: the actions, not the pods.
 *
 * Invariants (checked over all small worlds by statefulset_plan_test):
 * - OrderedReady: a pod is made only when every lower ordinal is available (all but `window` - 1 of
 * them); at most one pod is deleted at a time and none while a lower one is not well, save terminal
 * pods and pods that never were Ready and are superseded, which stand in for their successors.
 * - No pod below the partition is deleted for an update; updates go from the highest ordinal down
 * (those that come last after the others) and keep within maxUnavailable, pods that are already
 * broken and old excepted.
 * - A pod that was ever Ready is never deleted as stuck.
 * - A set that is being deleted makes and deletes nothing. */
#ifndef PLAN_STATEFULSET_PLAN_H
#define PLAN_STATEFULSET_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
    /* Bound of one plan; a Parallel set with more to do goes on in the next pass. */
    STATEFULSET_ACTIONS_MAX = 256,
    STATEFULSET_HOLES_MAX = 128,
    /* Reserved ordinals: an annotation that people write by hand. */
    STATEFULSET_RESERVED_MAX = 64,
};

enum statefulset_phase {
    STATEFULSET_PENDING,
    STATEFULSET_RUNNING,
    STATEFULSET_SUCCEEDED,
    STATEFULSET_FAILED,
    STATEFULSET_UNKNOWN
};

/* Who should own a pod's claims, by the retention policy. */
enum statefulset_owner { STATEFULSET_OWNER_NONE, STATEFULSET_OWNER_SET, STATEFULSET_OWNER_POD };

struct statefulset_claims {
    bool missing;     /* at least one claim does not exist */
    bool terminating; /* at least one is being deleted */
    bool stale; /* at least one is owned by a former pod of this name: the garbage collector is
                   about to take it */
    uint8_t owner_fits; /* bit 1 << enum statefulset_owner: every existing claim's references are
                           right for it */
};

struct statefulset_pod {
    int32_t ordinal;
    uint8_t phase;          /* enum statefulset_phase */
    bool ready;             /* condition Ready is True */
    bool was_ready;         /* may have been Ready at any time: false only when it is certain */
    bool terminating;       /* deletionTimestamp set */
    bool at_current;        /* revision label names the current revision */
    bool at_update;         /* ... the update revision; both when they are one */
    bool identity_fits;     /* labels, hostname and claim volumes are as the set says */
    bool last;              /* to be updated after the others */
    uint64_t incarnation;   /* tells pods of one name apart: a hash of the uid */
    int64_t ready_since_ms; /* lastTransitionTime of Ready; 0: unknown */
    struct statefulset_claims claims;
};

struct statefulset_hole {
    int32_t ordinal;
    struct statefulset_claims claims;
};

struct statefulset_rules {
    bool deleting; /* the set has a deletionTimestamp */
    bool parallel;
    bool on_delete;   /* neither this nor recreate: RollingUpdate */
    bool recreate;    /* all old pods go before the first new one comes */
    bool has_rolling; /* spec.updateStrategy.rollingUpdate is present */
    bool delete_when_scaled, delete_when_deleted;
    int32_t replicas, start, partition;
    int32_t max_unavailable; /* resolved (statefulset_max_unavailable); 0: unset, one by one */
    int32_t min_ready_s;
    int32_t window; /* OrderedReady: pods that may be on their way up at a time, at most
                       STATEFULSET_HOLES_MAX; 0 is 1 */
    size_t reserved_count;
    int32_t
        reserved[STATEFULSET_RESERVED_MAX]; /* ordinals that have no pod; ascending, no two alike */
};

struct statefulset_index;
struct statefulset_view {
    const struct statefulset_index *index; /* advanced to the time of planning */
    const struct statefulset_hole *holes; /* as statefulset_holes() named them, with their claims */
    size_t hole_count;
};

enum statefulset_action_kind {
    STATEFULSET_CREATE_POD,    /* missing claims first, then the pod, at `at_update`'s revision */
    STATEFULSET_REFUSE_CREATE, /* a claim is being deleted: report it */
    STATEFULSET_DELETE_POD,
    STATEFULSET_FIX_POD,    /* write identity and claim volumes again */
    STATEFULSET_FIX_CLAIMS, /* create missing claims; set the owner references to `owner` */
};

enum statefulset_why {
    STATEFULSET_WHY_NONE,
    STATEFULSET_WHY_SCALE_UP,
    STATEFULSET_WHY_SCALE_DOWN,
    STATEFULSET_WHY_TERMINAL, /* Failed or Succeeded: replaced */
    STATEFULSET_WHY_UPDATE,
    STATEFULSET_WHY_STUCK, /* superseded before it was ever Ready: replaced. The delete must apply
                              to the very version that the view shows */
    STATEFULSET_WHY_RECREATE, /* old, and the strategy is Recreate */
    /* What a pass that stops early waits for. */
    STATEFULSET_WHY_SET_DELETING,
    STATEFULSET_WHY_POD_TERMINATING,
    STATEFULSET_WHY_POD_NOT_READY,
    STATEFULSET_WHY_POD_NOT_AVAILABLE, /* Ready, but not yet for minReadySeconds */
    STATEFULSET_WHY_CLAIM_STALE,
    STATEFULSET_WHY_CLAIM_TERMINATING,
};

struct statefulset_action {
    enum statefulset_action_kind kind;
    enum statefulset_why why;
    int32_t ordinal;
    bool at_update;
    bool missing;                 /* FIX_CLAIMS: some do not exist */
    enum statefulset_owner owner; /* of the claims */
};

struct statefulset_status {
    int32_t replicas, ready, available, current, updated;
    bool complete; /* currentRevision becomes updateRevision, current becomes updated */
    /* Of the wanted pods alone: well ones; those at another revision that the update is to reach;
     * on their way out. And the pods that are not wanted. */
    int32_t well, behind, stopping, surplus;
};

struct statefulset_plan {
    struct statefulset_action actions[STATEFULSET_ACTIONS_MAX];
    size_t action_count;
    struct statefulset_status status;
    bool again;            /* plan once more as soon as the actions are seen: there is more to do */
    bool recreating;       /* Recreate: old pods are still there */
    int64_t requeue_at_ms; /* when a pod becomes available by the passing of time; 0: never */
    /* Why the pass stopped and at which ordinal; NONE when it ran through. */
    enum statefulset_why waiting;
    int32_t waiting_ordinal;
    /* The pod to name when somebody asks why the set is not done: the one waited for, else the
     * lowest wanted one that is not well or missing, else the highest unwanted one. -1: none. */
    int32_t blocking;
};

/* The lowest wanted ordinals without a pod that the next pass may fill: as many as the window for
 * OrderedReady, up to STATEFULSET_HOLES_MAX for Parallel. Returns their number. */
size_t statefulset_holes(const struct statefulset_index *index, int32_t ret[STATEFULSET_HOLES_MAX]);
void statefulset_plan(const struct statefulset_view *view, struct statefulset_plan *ret);

/* maxUnavailable as a number or "N%": percentages of replicas round down; at least 1. */
int32_t statefulset_max_unavailable(int64_t value, bool percent, int32_t replicas);
/* Who owns the claims of a pod in range or condemned. */
enum statefulset_owner statefulset_claim_owner(const struct statefulset_rules *rules,
                                               bool condemned);
/* "web-3" of set "web" gives 3; -1 when the name is not of the set or the ordinal not an int32 in
 * decimal. */
int32_t statefulset_ordinal(struct span pod_name, struct span set_name);
const char *statefulset_why_text(enum statefulset_why why);

#endif
