/* plan/rollout_plan.h: the conditions Available and Progressing of a set: where it stands and what
 * the first pod in the way waits for. Pure.
 *
 * Available is True when every wanted replica is available. Progressing follows the conventions of
 * Deployments: True while a roll-out advances or has ended well, False when it missed its deadline,
 * Unknown while it is paused. Reasons are fixed words. */
#ifndef PLAN_ROLLOUT_PLAN_H
#define PLAN_ROLLOUT_PLAN_H

#include "plan/why_plan.h"

struct rollout_view {
    bool deleting, on_delete, paused;
    bool recreate, recreating; /* strategy Recreate; old pods are still there */
    bool moving;               /* current and update revision differ */
    bool overdue;              /* missed its deadline */
    int32_t replicas;          /* wanted */
    int32_t available;         /* of the wanted ones */
    int32_t
        behind; /* wanted pods that have to come to the update revision, by the set or by hand */
    int32_t partition;    /* first ordinal that is updated, less the first ordinal */
    int32_t surplus;      /* pods beyond the wanted ones */
    bool terminating;     /* a wanted pod is on its way out */
    struct span revision; /* the update revision's name */
    struct span left;     /* the revision that an automatic rollback has left; empty: none */
    struct span kept_by;  /* the finalizer that keeps a deleted set; empty: none */
    struct span wrong;    /* what is wrong with an annotation; empty: nothing */
    struct why blocking;  /* the first pod in the way; reason NULL: none */
};

struct rollout_condition {
    const char *type, *status, *reason;
    struct span message;
};

enum { ROLLOUT_AVAILABLE, ROLLOUT_PROGRESSING, ROLLOUT_CONDITIONS };

void rollout_plan(struct arena *a, const struct rollout_view *view,
                  struct rollout_condition ret[ROLLOUT_CONDITIONS]);

#endif
