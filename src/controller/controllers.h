/* controller/controllers.h: all controllers and their shared views in one call, for main/. */
#ifndef CONTROLLER_CONTROLLERS_H
#define CONTROLLER_CONTROLLERS_H

#include "client/client.h"
#include "controller/volume_ops.h"

struct controller_type;
struct controllers;
struct informer_set;

struct controllers_options {
    struct span node_name;  /* of this machine: where local volumes are */
    struct span volume_dir; /* absolute: DATA/volumes; told in volumes when none are made */
    const struct volume_ops
        *volumes; /* NULL: volumes are only said to exist (fake runtime); the caller's otherwise */
    struct span root_ca; /* PEM, for the map that every namespace has of it; empty: none */
    bool no_scheduler;   /* somebody else binds pods */
    bool no_node_controller;
    /* For tests; NULL ends the first. NULL: all of them, and views of their own. */
    const struct controller_type *const *only;
    struct informer_set *informers; /* outlive them, and tell nobody else when they are complete */
};

/* Starts watching at once and working as soon as every view has its first list. The client outlives
 * it. */
struct controllers *controllers_new(struct env *env, struct client *client,
                                    const struct controllers_options *options);
/* NULL is fine. Writes on their way are forgotten; what they did is seen again at the next start.
 */
void controllers_free(struct controllers *c);
/* The shared views (for tests). */
struct informer_set *controllers_informers(struct controllers *c);
/* True when every view has its first list and the controllers are at work (for tests). */
bool controllers_running(const struct controllers *c);

#endif
