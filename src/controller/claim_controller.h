/* controller/claim_controller.h: binds claims to volumes, makes and removes the volumes of the
 * local provisioner (berth.dev/local), and keeps claims and volumes that are in use from going
 * (pvc-protection, pv-protection).
 *
 * Data is removed only after a live read has said that the claim is gone, and only for reclaim
 * policy Delete. */
#ifndef CONTROLLER_CLAIM_CONTROLLER_H
#define CONTROLLER_CLAIM_CONTROLLER_H

#include "client/informer_set.h"
#include "controller/volume_ops.h"

struct claim_controller;

struct claim_controller_options {
    struct span
        node_name; /* whose disk local volumes are on, unless the scheduler selected a node */
    struct span volume_dir;       /* absolute; the path told in volumes when there are no ops */
    const struct volume_ops *ops; /* NULL: volumes are only said to exist (fake runtime) */
};

/* Options' spans are copied; ops stay the caller's. */
struct claim_controller *claim_controller_new(struct env *env, struct client *client,
                                              struct informer_set *informers,
                                              const struct claim_controller_options *options);
void claim_controller_start(struct claim_controller *c);
void claim_controller_free(struct claim_controller *c);

#endif
