/* controller/namespace_controller.h: empties namespaces that are being deleted, then lets them go.
 */
#ifndef CONTROLLER_NAMESPACE_CONTROLLER_H
#define CONTROLLER_NAMESPACE_CONTROLLER_H

#include "client/informer_set.h"

struct namespace_controller;

struct namespace_controller *namespace_controller_new(struct env *env, struct client *client,
                                                      struct informer_set *informers);
void namespace_controller_start(struct namespace_controller *c);
void namespace_controller_free(struct namespace_controller *c);

#endif
