/* plan/statefulset_index.h: the pods of one set, kept for the planner and changed pod by pod.
 *
 * Wanted pods (ordinals in range and not reserved) and surplus ones are in a tree each, marked with
 * what the planner asks for; a pod that only time makes available is in a heap by that time. A
 * change of one pod costs the height of a tree; a change of the rules costs the pods. Pure data: no
 * clock, the time is given.
 *
 * Invariant: marks are those that statefulset_index_put would give at the time of the last advance.
 */
#ifndef PLAN_STATEFULSET_INDEX_H
#define PLAN_STATEFULSET_INDEX_H

#include "base/heap.h"
#include "plan/ordinal_tree.h"
#include "plan/statefulset_plan.h"

enum statefulset_mark {
    MARK_POD,
    MARK_READY,
    MARK_AVAILABLE,  /* ready for minReadySeconds */
    MARK_WELL,       /* available and not on its way out */
    MARK_WAITED,     /* neither well nor dead: somebody has to wait for it */
    MARK_DEAD,       /* Failed or Succeeded, and not yet on its way out */
    MARK_CURRENT,    /* counts as a replica of the current revision */
    MARK_UPDATE,     /* ... of the update revision */
    MARK_STOPPING,   /* has a deletionTimestamp */
    MARK_LIVE,       /* has none */
    MARK_FIX,        /* its claims or its labels want a write */
    MARK_OLD,        /* not at the update revision */
    MARK_OLD_LIVE,   /* ... and not stopping */
    MARK_OLD_BROKEN, /* ... not dead, not well, not stuck */
    MARK_OLD_WELL,   /* ... well, and not one of the last to be updated */
    MARK_OLD_LAST,   /* ... well, and one of these */
    MARK_STUCK,      /* ... never ready, and the roll-out may replace it */
    MARKS,
};
_Static_assert((int)MARKS <= (int)ORDINAL_MARKS_MAX, "the tree has room for every mark");

struct statefulset_index {
    struct statefulset_rules rules;
    struct ordinal_tree wanted, surplus;
    struct heap due; /* pods by the time at which they become available */
    int64_t now_ms;
};

/* Zeroed memory is an empty index with rules of zeroes. */
void statefulset_index_done(struct statefulset_index *ix);
/* Takes the rules over; rules.reserved is copied. */
void statefulset_index_rules(struct statefulset_index *ix, const struct statefulset_rules *rules);
/* Adds the pod or replaces what was known of this ordinal. A pod that was once known to have been
 * ready (same `incarnation`) stays so. */
void statefulset_index_put(struct statefulset_index *ix, const struct statefulset_pod *pod);
/* No-op when absent. */
void statefulset_index_remove(struct statefulset_index *ix, int32_t ordinal);
/* To be called before planning: time passes, pods become available. */
void statefulset_index_advance(struct statefulset_index *ix, int64_t now_ms);
/* NULL when absent. */
const struct statefulset_pod *statefulset_index_get(const struct statefulset_index *ix,
                                                    int32_t ordinal);
/* The pods, in no particular order. */
size_t statefulset_index_count(const struct statefulset_index *ix); /* of pods; for tests */

/* The first ordinal after the range: reserved ones make it longer. */
int64_t statefulset_end(const struct statefulset_rules *rules);
bool statefulset_is_reserved(const struct statefulset_rules *rules, int64_t ordinal);
bool statefulset_is_wanted(const struct statefulset_rules *rules, int64_t ordinal);

#endif
