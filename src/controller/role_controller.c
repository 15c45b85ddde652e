/* controller/role_controller.c: keeps the rules of ClusterRoles with an aggregationRule those of
 * the roles that they select: observes, lets plan/aggregate_plan decide, writes.
 *
 * A collecting role is looked at when it changes, and when a role that it selects or has selected
 * comes, goes or changes. A chain (view is part of edit, edit of admin) settles link by link; a
 * circle settles, too, since each rule is collected once. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "client/client_body.h"
#include "controller/reconciler.h"
#include "plan/aggregate_plan.h"
#include "schema/kinds.h"

enum { PARALLEL_ROLES = 4 };

struct role_controller {
    struct reconciler *reconciler;
    struct informer *roles;
    int collecting; /* index: those with an aggregationRule */
};

#define COLLECTING SPAN("collecting")

static yyjson_val *selectors_of(struct object *o)
{
    return json_path(object_root(o), "aggregationRule", "clusterRoleSelectors", NULL);
}

static void collecting_key(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx)
{
    if (json_get(object_root(o), "aggregationRule")) {
        emit(ctx, COLLECTING);
    }
}

/* ---- one sync ---- */

struct look {
    struct sync *s;
    VEC(struct aggregate_role) roles;
};

static struct aggregate_role role_of(struct sync *s, struct object *o)
{
    assert(s->arena);
    object_hold(s->arena, o);
    return (struct aggregate_role){.name = object_name(o),
                                   .labels = client_labels(o),
                                   .rules = json_get(object_root(o), "rules")};
}

static bool see_role(void *data, struct object *o)
{
    struct look *l = data;
    VEC_PUSH(&l->roles, role_of(l->s, o));
    return true;
}

static void run(struct sync *s)
{
    struct role_controller *c = s->controller;
    assert(s->ns.n == 0); /* ClusterRoles */
    struct object *o = informer_get(c->roles, SPAN_NULL, s->name);
    if (!o || object_is_deleting(o) || !json_get(object_root(o), "aggregationRule")) {
        return;
    }
    struct look l = {.s = s};
    informer_each(c->roles, see_role, &l);
    struct aggregate_view view = {.selectors = selectors_of(o),
                                  .self = role_of(s, o),
                                  .roles = l.roles.at,
                                  .role_count = l.roles.n};
    struct client_body b = client_patch_new(s->arena, o);
    yyjson_mut_val *rules = aggregate_plan(s->arena, b.doc, &view);
    if (rules) {
        json_put(b.doc, b.root, "rules", rules);
        sync_patch(s, c->roles, o, &b, NULL, NULL);
    }
    VEC_DONE(&l.roles);
}

/* ---- events and life ---- */

struct change {
    struct role_controller *c;
    struct object *old, *now;
};

static bool selects(struct arena *a, struct object *collecting, struct object *o)
{
    return o && aggregate_selects(a, selectors_of(collecting), client_labels(o));
}

static bool add_if_selects(void *data, struct object *collecting)
{
    struct change *x = data;
    cleanup_arena struct arena *a = arena_new();
    if (collecting == x->now || selects(a, collecting, x->old) || selects(a, collecting, x->now)) {
        reconciler_add_object(x->c->reconciler, collecting);
    }
    return true;
}

static void on_role(void *data, struct object *old, struct object *now)
{
    struct role_controller *c = data;
    struct change x = {c, old, now};
    assert(old || now);
    informer_index_each(c->roles, c->collecting, COLLECTING, add_if_selects, &x);
}

static void *make(const struct controller_place *place)
{
    struct role_controller *c = MEM_NEW(struct role_controller);
    static const struct informer_handler roles = {on_role};
    c->reconciler = reconciler_new(place, "role-controller", PARALLEL_ROLES, run, c);
    c->roles = informer_set_get(place->informers, SCHEMA_KIND(ClusterRole));
    c->collecting = informer_add_index(c->roles, collecting_key);
    reconciler_follow(c->reconciler, c->roles, &roles, c);
    return c;
}

static void end(void *controller)
{
    struct role_controller *c = controller;
    reconciler_free(c->reconciler);
    free(c);
}

const struct controller_type controller_role = {make, end};
