/* controller/replicaset_controller.h: keeps the pods of ReplicaSets at their number: observes, lets
 * plan/replicaset_plan decide, acts. */
#ifndef CONTROLLER_REPLICASET_CONTROLLER_H
#define CONTROLLER_REPLICASET_CONTROLLER_H

#include "client/informer_set.h"

struct replicaset_controller;

/* Informers of pods and ReplicaSets are taken from the set. */
struct replicaset_controller *replicaset_controller_new(struct client *client,
                                                        struct informer_set *informers);
/* Once the informers are complete. */
void replicaset_controller_start(struct replicaset_controller *c);
void replicaset_controller_free(struct replicaset_controller *c); /* NULL is fine */

#endif
