/* controller/namespace_controller.h: gives every namespace what all have (the account "default",
 * the map kube-root-ca.crt); empties those that are being deleted, then lets them go. */
#ifndef CONTROLLER_NAMESPACE_CONTROLLER_H
#define CONTROLLER_NAMESPACE_CONTROLLER_H

#include "client/informer_set.h"

struct namespace_controller;

/* root_ca: PEM; empty: no map of it. */
struct namespace_controller *namespace_controller_new(struct env *env, struct client *client,
                                                      struct informer_set *informers,
                                                      struct span root_ca);
void namespace_controller_start(struct namespace_controller *c);
void namespace_controller_free(struct namespace_controller *c);

#endif
