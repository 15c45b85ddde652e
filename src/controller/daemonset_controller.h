/* controller/daemonset_controller.h: keeps a pod of each DaemonSet on every node that may have one:
 * observes, lets
 * plan/daemonset_plan decide, acts. */
#ifndef CONTROLLER_DAEMONSET_CONTROLLER_H
#define CONTROLLER_DAEMONSET_CONTROLLER_H

#include "client/informer_set.h"

struct daemonset_controller;

/* Informers of pods, nodes, ControllerRevisions and DaemonSets are taken from the set. */
struct daemonset_controller *daemonset_controller_new(struct client *client,
                                                      struct informer_set *informers);
/* Once the informers are complete. */
void daemonset_controller_start(struct daemonset_controller *c);
void daemonset_controller_free(struct daemonset_controller *c); /* NULL is fine */

#endif
