/* controller/endpoint_controller.h: keeps EndpointSlices and core Endpoints of every Service with a
 * selector. */
#ifndef CONTROLLER_ENDPOINT_CONTROLLER_H
#define CONTROLLER_ENDPOINT_CONTROLLER_H

#include "client/informer_set.h"

struct endpoint_controller;

struct endpoint_controller *endpoint_controller_new(struct env *env, struct client *client,
                                                    struct informer_set *informers);
void endpoint_controller_start(struct endpoint_controller *c);
void endpoint_controller_free(struct endpoint_controller *c);

#endif
