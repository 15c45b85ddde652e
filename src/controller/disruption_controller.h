/* controller/disruption_controller.h: keeps the status of PodDisruptionBudgets true: observes, lets
 * plan/disruption_plan decide, writes. The API server's eviction counts it down. */
#ifndef CONTROLLER_DISRUPTION_CONTROLLER_H
#define CONTROLLER_DISRUPTION_CONTROLLER_H

#include "client/informer_set.h"

struct disruption_controller;

/* Informers of budgets, pods and the kinds that own pods are taken from the set. */
struct disruption_controller *disruption_controller_new(struct client *client,
                                                        struct informer_set *informers);
/* Once the informers are complete. */
void disruption_controller_start(struct disruption_controller *c);
void disruption_controller_free(struct disruption_controller *c); /* NULL is fine */

#endif
