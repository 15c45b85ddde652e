/* controller/statefulset_controller.h: runs StatefulSets: observes a set with its pods, claims and
 * revisions, asks plan/statefulset_plan what to do, and does it.
 *
 * A sync has stages, each of which ends the sync when it wrote something and starts afresh on the
 * new view: adopt and release, revisions, then the pass with its actions, its status and the
 * truncation of history. */
#ifndef CONTROLLER_STATEFULSET_CONTROLLER_H
#define CONTROLLER_STATEFULSET_CONTROLLER_H

#include "client/informer_set.h"

struct statefulset_controller;

/* Informers are the set's own: statefulsets, pods, claims, controllerrevisions. */
struct statefulset_controller *statefulset_controller_new(struct env *env, struct client *client,
                                                          struct informer_set *informers);
void statefulset_controller_start(struct statefulset_controller *c);
void statefulset_controller_free(struct statefulset_controller *c);

#endif
