/* test/kit/statefulset_world.h: small worlds for the planner of StatefulSets: three ordinals, each
 * with a pod in one of the states that there are or with none, and what must be true of every plan
 * for them. */
#ifndef TEST_KIT_STATEFULSET_WORLD_H
#define TEST_KIT_STATEFULSET_WORLD_H

#include "kit/statefulset_reference.h"

enum { WORLD_N = 3, WORLD_FIT = 7 };

enum state {
    ABSENT,
    PENDING,     /* never ready */
    STARTING,    /* was ready once */
    UNAVAILABLE, /* ready, but not yet for minReadySeconds */
    READY,
    LOST, /* its phase is unknown */
    FAILED,
    SUCCEEDED,
    STOPPING, /* still ready */
    PENDING_STOPPING,
    STARTING_STOPPING,
    FAILED_STOPPING,
    WORLD_STATES
};

enum revision { OLD, NEW, OTHER, REVISIONS }; /* current, update, neither */

struct world {
    struct ref_view view;
    enum state state[WORLD_N];
    enum revision revision[WORLD_N];
    bool one_revision; /* current and update are the same: OLD is not among the pods' */
    uint8_t fits;      /* claims' owner_fits; 0: WORLD_FIT */
    bool stale;        /* the claims of missing pods are a former pod's */
    struct statefulset_pod pods[WORLD_N];
    struct statefulset_hole holes[STATEFULSET_HOLES_MAX];
};

struct statefulset_pod world_pod(int32_t ordinal, enum state state, enum revision revision);
/* Makes the view of the states. */
void world_fill(struct world *w);
bool world_wants(const struct world *w, int ordinal);
bool world_well(const struct world *w, int ordinal);
bool world_ended(enum state state);
bool world_stopping(enum state state);
int world_deletes(const struct statefulset_plan *plan, enum statefulset_why why);
int world_creates(const struct statefulset_plan *plan);
/* Fails the test when the plan breaks an invariant. */
void world_check(const struct world *w, const struct statefulset_plan *plan);

#endif
