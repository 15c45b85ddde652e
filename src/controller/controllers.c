/* controller/controllers.c: see controllers.h. */
#include "controller/controllers.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "controller/claim_controller.h"
#include "controller/daemonset_controller.h"
#include "controller/deployment_controller.h"
#include "controller/disruption_controller.h"
#include "controller/endpoint_controller.h"
#include "controller/gc_controller.h"
#include "controller/namespace_controller.h"
#include "controller/node_controller.h"
#include "controller/replicaset_controller.h"
#include "controller/scheduler.h"
#include "controller/statefulset_controller.h"

struct controllers {
    struct informer_set *informers;
    struct statefulset_controller *sets;
    struct replicaset_controller *replicasets;
    struct deployment_controller *deployments;
    struct daemonset_controller *daemonsets;
    struct disruption_controller *disruptions;
    struct endpoint_controller *endpoints;
    struct claim_controller *claims;
    struct gc_controller *gc;
    struct namespace_controller *namespaces;
    struct node_controller *nodes;
    struct scheduler *scheduler;
    bool running;
};

static void start(void *data)
{
    struct controllers *c = data;
    c->running = true;
    statefulset_controller_start(c->sets);
    replicaset_controller_start(c->replicasets);
    deployment_controller_start(c->deployments);
    daemonset_controller_start(c->daemonsets);
    disruption_controller_start(c->disruptions);
    endpoint_controller_start(c->endpoints);
    claim_controller_start(c->claims);
    gc_controller_start(c->gc);
    namespace_controller_start(c->namespaces);
    if (c->nodes) {
        node_controller_start(c->nodes);
    }
    if (c->scheduler) {
        scheduler_start(c->scheduler);
    }
    log_event(LOG_INFO, "controllers_running");
}

struct controllers *controllers_new(struct env *env, struct client *client,
                                    const struct controllers_options *options)
{
    struct controllers *c = MEM_NEW(struct controllers);
    c->informers = informer_set_new(client);
    struct informer_set *views = c->informers;
    struct claim_controller_options claims = {.node_name = options->node_name,
                                              .volume_dir = options->volume_dir,
                                              .ops = options->volumes};
    c->sets = statefulset_controller_new(env, client, views);
    c->replicasets = replicaset_controller_new(client, views);
    c->deployments = deployment_controller_new(client, views);
    c->daemonsets = daemonset_controller_new(client, views);
    c->disruptions = disruption_controller_new(client, views);
    c->endpoints = endpoint_controller_new(env, client, views);
    c->claims = claim_controller_new(env, client, views, &claims);
    c->gc = gc_controller_new(env, client, views);
    c->namespaces = namespace_controller_new(env, client, views, options->root_ca);
    c->nodes = options->no_node_controller ? NULL : node_controller_new(env, client, views);
    c->scheduler = options->no_scheduler ? NULL : scheduler_new(env, client, views);
    informer_set_on_synced(views, start, c);
    return c;
}

void controllers_free(struct controllers *c)
{
    if (!c) {
        return;
    }
    scheduler_free(c->scheduler);
    node_controller_free(c->nodes);
    namespace_controller_free(c->namespaces);
    gc_controller_free(c->gc);
    claim_controller_free(c->claims);
    endpoint_controller_free(c->endpoints);
    disruption_controller_free(c->disruptions);
    daemonset_controller_free(c->daemonsets);
    deployment_controller_free(c->deployments);
    replicaset_controller_free(c->replicasets);
    statefulset_controller_free(c->sets);
    informer_set_free(c->informers);
    free(c);
}

struct informer_set *controllers_informers(struct controllers *c)
{
    return c->informers;
}

bool controllers_running(const struct controllers *c)
{
    return c->running;
}
