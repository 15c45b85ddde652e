/* test/kit/controller_kit.h: what a controller under test stands on: virtual time, a small API
 * server in memory, informers, and a node without containers. The test's own struct begins with a
 * struct controller_kit. */
#ifndef TEST_KIT_CONTROLLER_KIT_H
#define TEST_KIT_CONTROLLER_KIT_H

#include "client/client_body.h"
#include "client/informer_set.h"
#include "sim/env_sim.h"
#include "sim/fake_client.h"
#include "sim/fake_node.h"

struct controller_kit {
    struct env *env;
    struct fake_client *api;
    struct client *client; /* of api */
    struct informer_set *informers;
    struct fake_node *node; /* NULL: none */
};

/* A node that binds pods, starts them in 10 ms and stops them in 10. */
extern const struct fake_node_options controller_kit_node;

/* Everything but the controllers, which the caller makes next; it may also set faults. node NULL:
 * none. */
void controller_kit_begin(struct controller_kit *k, const struct fake_node_options *node);
/* start(data) when the views are complete; runs until nothing is to be done now. */
void controller_kit_go(struct controller_kit *k, void (*start)(void *data), void *data);
/* After the controllers are freed. */
void controller_kit_end(struct controller_kit *k);

#endif
