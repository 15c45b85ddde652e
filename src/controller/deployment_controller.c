/* controller/deployment_controller.c: see deployment_controller.h. */
#include "controller/deployment_controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "controller/deployment_priv.h"
#include "schema/kinds.h"

enum { PARALLEL_DEPLOYMENTS = 16 };

static void run(struct sync *s)
{
    struct deployment_controller *c = s->controller;
    struct deployment_sync *x = ARENA_NEW(s->arena, struct deployment_sync);
    x->c = c;
    if (!owned_begin(&x->own, s, &c->deployments, c->events) ||
        owned_claim(&x->own, &c->sets, &x->sets)) {
        return;
    }
    deployment_observe(x);
    deployment_plan(s->arena, &x->view, &x->plan);
    deployment_act(x);
}

/* ---- events ---- */

static void on_deployment(void *data, struct object *old, struct object *now)
{
    struct deployment_controller *c = data;
    reconciler_add_object(c->deployments.reconciler, now ? now : old);
}

static void on_set(void *data, struct object *old, struct object *now)
{
    struct deployment_controller *c = data;
    owned_changed(&c->deployments, old, now);
}

static bool has_ended(struct object *pod)
{
    struct pod_rank rank = owned_pod_rank(pod);
    return rank.phase == POD_RANK_ENDED;
}

/* Recreate waits for old pods to be gone; other changes of pods come through their set. */
static void on_pod(void *data, struct object *old, struct object *now)
{
    struct deployment_controller *c = data;
    if (!old || (now && has_ended(now) == has_ended(old))) {
        return;
    }
    struct span set_name = owned_controller_name(c->sets.kind, old);
    if (set_name.n == 0) {
        return;
    }
    struct object *set = informer_get(c->sets.informer, object_namespace(old), set_name);
    struct span name = set ? owned_controller_name(c->deployments.kind, set) : SPAN_NULL;
    struct object *deployment =
        name.n ? informer_get(c->deployments.informer, object_namespace(old), name) : NULL;
    if (deployment && deployment_recreates(deployment)) {
        reconciler_add_object(c->deployments.reconciler, deployment);
    }
}

/* ---- life ---- */

struct deployment_controller *deployment_controller_new(struct client *client,
                                                        struct informer_set *informers)
{
    struct deployment_controller *c = MEM_NEW(struct deployment_controller);
    c->deployments.kind = SCHEMA_KIND(Deployment);
    c->deployments.informer = informer_set_get(informers, c->deployments.kind);
    c->deployments.by_ns = informer_add_index(c->deployments.informer, informer_by_namespace);
    c->deployments.reconciler =
        reconciler_new(client, "deployment-controller", PARALLEL_DEPLOYMENTS, run, c);
    c->sets.kind = SCHEMA_KIND(ReplicaSet);
    c->sets.informer = informer_set_get(informers, c->sets.kind);
    c->sets.by_controller = informer_add_index(c->sets.informer, owned_by_controller);
    c->pods.kind = SCHEMA_KIND(Pod);
    c->pods.informer = informer_set_get(informers, c->pods.kind);
    c->pods.by_controller = informer_add_index(c->pods.informer, owned_by_controller);
    c->events = event_recorder_new(client, "deployment-controller", SPAN_NULL);
    static const struct informer_handler deployments = {on_deployment}, sets = {on_set},
                                         pods = {on_pod};
    informer_add_handler(c->deployments.informer, &deployments, c);
    informer_add_handler(c->sets.informer, &sets, c);
    informer_add_handler(c->pods.informer, &pods, c);
    return c;
}

void deployment_controller_start(struct deployment_controller *c)
{
    reconciler_start(c->deployments.reconciler);
}

void deployment_controller_free(struct deployment_controller *c)
{
    if (!c) {
        return;
    }
    informer_remove_handler(c->deployments.informer, c);
    informer_remove_handler(c->sets.informer, c);
    informer_remove_handler(c->pods.informer, c);
    reconciler_free(c->deployments.reconciler);
    event_recorder_free(c->events);
    free(c);
}
