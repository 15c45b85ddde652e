/* sim/allowance.h: a ResourceQuota, which users make, change and delete while sets of "default"
 * grow. Counted anew from what is stored, by sums of our own. Checkers: overrun (something is made
 * that takes more than is allowed), quota-wait (a set that was refused for lack of room has not
 * tried again soon after there was room); at rest the quota says what is used. */
#ifndef SIM_ALLOWANCE_H
#define SIM_ALLOWANCE_H

#include "base/err.h"
#include "client/client.h"

struct platform;

/* What is known of it; all zero: nothing yet. */
struct sim_allowance {
    int64_t asked_ms;   /* a user made, changed or deleted it last */
    int64_t room_ms;    /* it was deleted last, or raised so that there is room for all */
    int64_t refused_ms; /* the set was refused for it last; 0: it has gone on since then */
};

void allowance_act(struct platform *w);
/* A request of a user, about to be done, and when it was. */
void allowance_asked(struct platform *w, const struct client_request *rq, bool done);
void allowance_on_change(struct platform *w, struct object *old, struct object *now);
/* A role's request is about to be done; the server refused it. */
void allowance_on_request(struct platform *w, const struct client_request *rq);
void allowance_on_refused(struct platform *w, const struct client_request *rq,
                          const struct err *err);
/* At every step. */
void allowance_look(struct platform *w);
/* All that was asked for finds room. */
void allowance_tidy_up(struct platform *w);
/* NULL: at rest; else what is not. */
const char *allowance_at_rest(struct platform *w);

#endif
