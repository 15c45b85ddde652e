/* plan/gc_plan.h: what the garbage collector does with one object. Pure.
 *
 * An object lives as long as one of its owners does. An owner with the finalizer foregroundDeletion
 * waits for its blocking dependents; one with the finalizer orphan first lets go of all of them.
 * Where owners wait for each other in a circle, one of them stops blocking.
 * Nothing is decided on doubt: an owner counts as absent only when a live read, or its deletion
 * seen, has said so. */
#ifndef PLAN_GC_PLAN_H
#define PLAN_GC_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gc_owner {
    GC_OWNER_PRESENT,
    GC_OWNER_WAITING, /* present, but only until its dependents are gone (foreground) */
    GC_OWNER_ABSENT,
    GC_OWNER_UNSEEN,  /* not in the view: must be asked for */
    GC_OWNER_FOREIGN, /* of a kind that is not served here: left alone */
};

struct gc_view {
    bool deleting;
    bool foreground, orphan; /* finalizers of the object itself */
    const enum gc_owner *owners;
    size_t owner_count;
    size_t dependents; /* objects that name this one as owner */
    size_t blocking;   /* of those, with blockOwnerDeletion */
    /* A dependent waits for its own dependents (foreground), of which this object may be one in the
     * end, and a reference of this object to an owner blocks. */
    bool circle;
};

enum gc_action {
    GC_NOTHING,
    GC_ASK_OWNERS,     /* read the unseen owners, then plan again */
    GC_DROP_OWNERS,    /* remove the references that are absent or waiting: others keep it alive */
    GC_DELETE,         /* with the propagation its finalizers ask for, background otherwise */
    GC_UNBLOCK_OWNERS, /* take blockOwnerDeletion from its references, then plan again */
    GC_DELETE_FOREGROUND,  /* its owner waits, and it has dependents itself */
    GC_RELEASE_DEPENDENTS, /* orphan: remove our reference from each dependent */
    GC_FINISH_ORPHAN,      /* remove the finalizer */
    GC_DELETE_DEPENDENTS,  /* foreground: look at each dependent */
    GC_FINISH_FOREGROUND,  /* remove the finalizer */
};

/* Whether dependents, blocking and circle matter to the plan: if not, they need not be filled in.
 */
bool gc_asks_dependents(const struct gc_view *view);
enum gc_action gc_plan(const struct gc_view *view);

#endif
