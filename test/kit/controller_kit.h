/* test/kit/controller_kit.h: what a controller under test stands on: virtual time, a small API
 * server in memory, informers, and a node without containers. The test's own struct begins with a
 * struct controller_kit. */
#ifndef TEST_KIT_CONTROLLER_KIT_H
#define TEST_KIT_CONTROLLER_KIT_H

#include "client/client_body.h"
#include "client/informer_set.h"
#include "controller/controller.h"
#include "sim/env_sim.h"
#include "sim/fake_client.h"
#include "sim/fake_node.h"

struct controller_kit {
    struct env *env;
    struct fake_client *api;
    struct client *client; /* of api */
    struct informer_set *informers;
    struct fake_node *node; /* NULL: none */
    struct controllers *controllers;
};

/* A node that binds pods, starts them in 10 ms and stops them in 10. */
extern const struct fake_node_options controller_kit_node;

/* Everything but the controllers; the caller may set faults next. node NULL: none. */
void controller_kit_begin(struct controller_kit *k, const struct fake_node_options *node);
/* Makes these controllers, or, at a later call, others in their place that know only what the
 * objects say; runs until nothing is to be done now. */
void controller_kit_run(struct controller_kit *k, const struct controller_type *const *only);
#define CONTROLLERS(...) ((const struct controller_type *const[]){__VA_ARGS__, NULL})
void controller_kit_end(struct controller_kit *k);

/* How often an event was told. message NULL: any. */
int64_t controller_kit_events(struct fake_client *api, const char *reason, const char *message);

#endif
