/* controller/scheduler.h: binds pods that have no node (schedulerName default-scheduler) and says
 * why it cannot.
 *
 * Event driven: a pod that fits nowhere is looked at again when a node, a claim or a volume changes
 * or a pod goes. Pod affinity, pod anti-affinity, topology spread and host port conflicts are not
 * looked at; the first three are reported by a Warning event on the pod. */
#ifndef CONTROLLER_SCHEDULER_H
#define CONTROLLER_SCHEDULER_H

#include "client/informer_set.h"

struct scheduler;

struct scheduler *scheduler_new(struct env *env, struct client *client,
                                struct informer_set *informers);
void scheduler_start(struct scheduler *s);
void scheduler_free(struct scheduler *s);

#endif
