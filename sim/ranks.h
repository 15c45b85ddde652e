/* sim/ranks.h: priority: users make PriorityClasses and big pods that leave no room on a node for
 * others, so that some must give way. Nothing is kept, and nothing looked at, before the first big
 * pod. Checkers: preempted (a pod is sent away for nobody: none of higher priority that may do so
 * waits for its room, fits then, and has nowhere else to go), needless (there would be room without
 * that), guarded (a budget
 * protects it, and there was another way), graceful (it is not given its time), overcommitted (a
 * node gets more than it has room for), kept-room (room is given to another than the one for whom
 * it is kept); at rest a pod waits only where it neither fits nor has anybody to send away. */
#ifndef SIM_RANKS_H
#define SIM_RANKS_H

#include "client/client.h"

struct platform;
struct ranks;

void ranks_free(struct ranks *r); /* NULL is fine */
void ranks_act(struct platform *w);
/* The next of several steps; false: none was begun, or it comes later. */
bool ranks_go_on(struct platform *w);
/* Members of a pod's spec, each after a comma: a class of its own, if users have made it. */
const char *ranks_class(struct platform *w);
/* Members of its only container: what some pods ask for that are not big. */
const char *ranks_size(struct platform *w);
/* One that waits for ever is no fault. */
bool ranks_is_big(struct object *pod);
/* One of those has most of that node: a resize may have to wait. */
bool ranks_has_big(const struct platform *w, struct span node);
void ranks_on_change(struct platform *w, struct object *old, struct object *now);
/* At every step: what was to come to light by now. */
void ranks_look(struct platform *w);
/* A role's request is about to be done; the server refused it. */
void ranks_on_request(struct platform *w, const struct client_request *rq);
void ranks_on_refused(struct platform *w, const struct client_request *rq);
/* Whom users have made so important that others find no room goes, from the second time on; the
 * classes that templates name are there. */
void ranks_tidy_up(struct platform *w);
/* NULL: at rest; else what is not. */
const char *ranks_at_rest(struct platform *w);

#endif
