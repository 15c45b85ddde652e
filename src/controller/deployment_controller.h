/* controller/deployment_controller.h: rolls Deployments out through ReplicaSets: observes, lets
 * plan/deployment_plan decide, acts. */
#ifndef CONTROLLER_DEPLOYMENT_CONTROLLER_H
#define CONTROLLER_DEPLOYMENT_CONTROLLER_H

#include "client/informer_set.h"

struct deployment_controller;

/* Informers of pods, ReplicaSets and Deployments are taken from the set. */
struct deployment_controller *deployment_controller_new(struct client *client,
                                                        struct informer_set *informers);
/* Once the informers are complete. */
void deployment_controller_start(struct deployment_controller *c);
void deployment_controller_free(struct deployment_controller *c); /* NULL is fine */

#endif
