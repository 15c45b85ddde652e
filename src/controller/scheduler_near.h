/* controller/scheduler_near.h: which pods stand where, by label and by the terms that they have of
 * others, so that a pod with rules about its neighbours finds those in question and no others.
 *
 * There is none until the first pod with such rules is seen: who uses none pays nothing. */
#ifndef CONTROLLER_SCHEDULER_NEAR_H
#define CONTROLLER_SCHEDULER_NEAR_H

#include "client/informer.h"
#include "plan/schedule_plan.h"

struct near_index;

struct near_index *near_index_new(struct informer *pods, struct informer *namespaces);
void near_index_free(struct near_index *x);
/* The pod is on that node, or as good as; replaces what is known of it. Its labels and terms are
 * those of this version. */
void near_index_put(struct near_index *x, struct object *pod, struct span node);
void near_index_remove(struct near_index *x, struct span uid);
/* What the planner is to be told of the pod's neighbours; nodes in order of their names. NULL: no
 * rule, of its own or of others, concerns it. Lives as long as the arena and until the next turn.
 */
const struct near_view *near_index_view(struct near_index *x, struct arena *a, struct object *pod,
                                        const struct schedule_node *nodes, size_t node_count);
/* A pod as the planner knows it, with its namespace's labels; its node is not set. */
struct near_pod near_index_pod(struct near_index *x, struct object *pod);

#endif
