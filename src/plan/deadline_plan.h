/* plan/deadline_plan.h: when a roll-out of a set has missed its deadline, and whether it goes back.
 * Pure.
 *
 * The clock is what stands in the set's condition DEADLINE_CONDITION: since when the roll-out
 * stands where it stands, and how far it had come. So it goes on when the server starts anew, and
 * nothing has to be remembered. Only to come further than ever before in this roll-out counts: a
 * pod that comes and goes does not stop the clock. */
#ifndef PLAN_DEADLINE_PLAN_H
#define PLAN_DEADLINE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

#define DEADLINE_CONDITION "berth.dev/Advanced"

struct deadline_view {
    int64_t now_ms, deadline_ms; /* deadline_ms 0: none */
    bool moving;                 /* the update revision differs from the current one */
    bool held;                   /* nobody is to come further: paused, OnDelete, being deleted */
    bool auto_rollback;          /* go back when it is missed */
    bool has_previous;           /* the last complete revision is known */
    struct span revision;        /* the update revision */
    int32_t updated, well;       /* pods at it; wanted pods that are available */
    struct span stood;           /* message of the condition; empty: there is none */
    int64_t stood_ms;            /* its lastTransitionTime */
};

struct deadline_plan {
    struct span stands; /* message of the condition; empty: it is taken away */
    int64_t since_ms;   /* a whole second, so that the condition holds all of it */
    bool overdue, roll_back;
    int64_t requeue_at_ms; /* when it will be overdue; 0: never */
};

/* Memory of the plan is the arena's. */
void deadline_plan(struct arena *a, const struct deadline_view *view, struct deadline_plan *ret);

#endif
