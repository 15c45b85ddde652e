/* controller/deployment_controller.c: rolls Deployments out through ReplicaSets: observes, lets
 * plan/deployment_plan decide, acts. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "controller/deployment_priv.h"
#include "schema/kinds.h"

static void run(struct sync *s)
{
    struct deployment_controller *c = s->controller;
    struct deployment_sync *x = ARENA_NEW(s->arena, struct deployment_sync);
    x->c = c;
    if (!owned_begin(&x->own, s, &c->deployments) || owned_claim(&x->own, &c->sets, &x->sets)) {
        return;
    }
    deployment_observe(x);
    deployment_plan(s->arena, &x->view, &x->plan);
    deployment_act(x);
}

/* ---- events ---- */

static bool has_ended(struct object *pod)
{
    struct pod_rank rank = owned_pod_rank(pod);
    return rank.phase == POD_RANK_ENDED;
}

/* Recreate waits for old pods to be gone; other changes of pods come through their set. */
static void on_pod(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct deployment_controller *c = data;
    struct span set_name = old ? owned_controller_name(c->sets.kind, old) : SPAN_NULL;
    if (set_name.n == 0 || (now && has_ended(now) == has_ended(old))) {
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

static void *make(const struct controller_place *place)
{
    struct deployment_controller *c = MEM_NEW(struct deployment_controller);
    static const struct informer_handler pods = {on_pod};
    owners_init(&c->deployments, place, SCHEMA_KIND(Deployment), "deployment-controller", run, c);
    owned_kind_init(&c->sets, place->informers, SCHEMA_KIND(ReplicaSet));
    owned_kind_init(&c->pods, place->informers, SCHEMA_KIND(Pod));
    owners_follow(&c->deployments, &c->sets);
    reconciler_follow(c->deployments.reconciler, c->pods.informer, &pods, c);
    return c;
}

static void end(void *controller)
{
    struct deployment_controller *c = controller;
    owners_done(&c->deployments);
    free(c);
}

const struct controller_type controller_deployment = {make, end};
