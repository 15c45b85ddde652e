/* controller/deployment_priv.h: what the files of the Deployment controller share. Not for others.
 */
#ifndef CONTROLLER_DEPLOYMENT_PRIV_H
#define CONTROLLER_DEPLOYMENT_PRIV_H

#include "controller/owned.h"
#include "plan/deployment_plan.h"

struct deployment_controller {
    struct owners deployments;
    struct owned_kind sets, pods;
};

/* One sync; arena memory. */
struct deployment_sync {
    struct owned_sync own;
    struct deployment_controller *c;
    struct owned_list sets;
    struct deployment_view view;
    struct deployment_plan plan;
    int64_t collisions;
    struct span hash; /* of the template, for the set that would be made */
};

/* deployment_view.c */
void deployment_observe(struct deployment_sync *x);
bool deployment_recreates(struct object *deployment);
/* The set's template is the Deployment's, but for the hash label. */
bool deployment_same_template(struct object *set, const yyjson_val *pod_template);

/* deployment_act.c */
void deployment_act(struct deployment_sync *x);

#endif
