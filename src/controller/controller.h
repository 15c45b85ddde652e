/* controller/controller.h: what every controller is to those who run it: how to make and to end it.
 * What each is for stands at the head of its file. */
#ifndef CONTROLLER_CONTROLLER_H
#define CONTROLLER_CONTROLLER_H

#include "client/informer_set.h"
#include "controller/controllers.h"

/* All of it outlives the controller; of the options it copies what it keeps. */
struct controller_place {
    struct env *env;
    struct client *client;
    struct informer_set *informers;
    const struct controllers_options *options;
    struct list *reconcilers; /* all that are made: they start when the informers are complete */
};

struct controller_type {
    /* Takes the views it needs from the informers. */
    void *(*make)(const struct controller_place *place);
    /* Before the informers are freed. */
    void (*end)(void *controller);
};

extern const struct controller_type controller_statefulset, controller_replicaset,
    controller_replication, controller_deployment, controller_daemonset, controller_job,
    controller_cronjob, controller_disruption, controller_endpoint, controller_claim, controller_gc,
    controller_namespace, controller_node, controller_taint, controller_scheduler, controller_role,
    controller_account;

#endif
