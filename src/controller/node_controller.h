/* controller/node_controller.h: notices nodes that have fallen silent and removes pods that no node
 * will confirm.
 *
 * A node whose lease is older than the grace period gets Ready=Unknown and the taint
 * node.kubernetes.io/unreachable; one that says Ready=False gets node.kubernetes.io/not-ready; a
 * healthy one loses both. Pods of a silent node become not Ready; those that do not tolerate the
 * taint (for longer) are deleted through the API, which leaves them Terminating: only the node can
 * confirm the stop, so no second pod of an identity can appear. Pods of a Node object that does not
 * exist any more are removed by force after a quarantine. */
#ifndef CONTROLLER_NODE_CONTROLLER_H
#define CONTROLLER_NODE_CONTROLLER_H

#include "client/informer_set.h"

struct node_controller;

struct node_controller *node_controller_new(struct env *env, struct client *client,
                                            struct informer_set *informers);
void node_controller_start(struct node_controller *c);
void node_controller_free(struct node_controller *c);

#endif
