/* controller/namespace_controller.c: gives every namespace what all have (the account "default",
 * the map kube-root-ca.crt); empties those that are being deleted, then lets them go.
 *
 * A terminating namespace accepts no new objects (admission), so what a list after its deletion
 * does not have will not come. The views alone do not tell: each learns in its own time, and one
 * may not know yet of an object that was there before. So, when they show nothing more, all is
 * listed once more, and with it the events, which no view is kept of. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "client/client_body.h"
#include "controller/all_kinds.h"
#include "controller/reconciler.h"
#include "schema/kinds.h"

enum { AGAIN_MS = 20 };

struct ns_kind {
    struct namespace_controller *controller;
    const struct schema_kind *kind;
    struct informer *informer;
    int by_ns;
};

struct namespace_controller {
    const struct schema_kind *kind, *event_kind;
    struct informer *namespaces;
    struct reconciler *reconciler;
    struct arena *arena; /* of the kinds: */
    VEC(struct ns_kind *) kinds;
    struct ns_kind *accounts, *maps; /* of `kinds`: where what every namespace has is */
    struct span root_ca;             /* owned; empty: no map of it */
    struct all_kinds *all;
};

#define ACCOUNT SPAN("default")
#define ROOT_CA SPAN("kube-root-ca.crt")

static void on_namespace(void *data, struct object *old, struct object *now)
{
    struct namespace_controller *c = data;
    (void)old;
    if (now && (object_is_deleting(now) || !old)) {
        reconciler_add(c->reconciler, SPAN_NULL, object_name(now));
    }
}

static void on_content(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct ns_kind *k = data;
    struct namespace_controller *c = k->controller;
    struct object *o = now ? now : old;
    if (old && now) {
        return; /* what exists already has been told to go */
    }
    struct object *ns = informer_get(c->namespaces, SPAN_NULL, object_namespace(o));
    bool missed = !now && ((k == c->accounts && span_eq(object_name(o), ACCOUNT)) ||
                           (k == c->maps && span_eq(object_name(o), ROOT_CA)));
    if (ns && (object_is_deleting(ns) || missed)) {
        reconciler_add(c->reconciler, SPAN_NULL, object_name(ns));
    }
}

struct emptying {
    struct namespace_controller *c;
    struct sync *s;
    struct object *ns; /* held */
    const struct ns_kind *kind;
    size_t left;
    size_t lists; /* that are under way */
    struct doubtful *doubtful;
};

/* An object that may be of a later namespace of this name: what the view has of the namespace is
 * older than it. Nobody but the server knows. */
struct doubtful {
    struct doubtful *next;
    const struct schema_kind *kind;
    struct informer *informer; /* NULL: of an event */
    struct object *object;     /* held */
};

static void doubt(struct emptying *x, const struct schema_kind *kind, struct informer *informer,
                  struct object *o)
{
    struct doubtful *d = ARENA_NEW(x->s->arena, struct doubtful);
    *d = (struct doubtful){x->doubtful, kind, informer, object_hold(x->s->arena, o)};
    x->doubtful = d;
}

static void delete_object(struct emptying *x, const struct schema_kind *kind,
                          struct informer *informer, struct object *o)
{
    struct client_request rq = client_request_for(CLIENT_DELETE, kind, o);
    rq.precondition_uid = object_uid(o);
    rq.propagation = CLIENT_PROPAGATION_BACKGROUND;
    sync_do(x->s, &rq, informer, sync_or_changed, NULL);
}

/* What was there before the version of the namespace that we see is of this namespace: an earlier
 * one went when it was empty. */
static bool delete_one(void *data, struct object *o)
{
    struct emptying *x = data;
    x->left++;
    if (object_is_deleting(o)) {
        return true;
    }
    if (object_rev(o) > object_rev(x->ns)) {
        doubt(x, x->kind->kind, x->kind->informer, o);
    } else {
        delete_object(x, x->kind->kind, x->kind->informer, o);
    }
    return true;
}

/* Another version than ours, or one whose commit failed in the end, of which nobody tells. */
static bool on_finalized(struct sync *s, void *data, const struct client_reply *reply)
{
    (void)data;
    if (reply->err.reason == ERR_CONFLICT) {
        sync_after(s, AGAIN_MS);
        return true;
    }
    return reply->err.reason == ERR_NOT_FOUND;
}

static void finalize(struct emptying *x)
{
    assert(object_is_deleting(x->ns));
    struct client_body b = client_body_new(x->s->arena, x->c->kind, object_name(x->ns));
    json_put_str(b.doc, b.meta, "uid", object_uid(x->ns));
    json_put_str(b.doc, b.meta, "resourceVersion",
                 arena_printf(x->s->arena, "%lld", (long long)object_rev(x->ns)));
    yyjson_val *list = json_get(client_spec(x->ns), "finalizers");
    json_put(b.doc, client_body_obj(&b, "spec"), "finalizers",
             client_without(b.doc, list, "kubernetes"));
    struct client_request rq = client_request_for(CLIENT_UPDATE, x->c->kind, x->ns);
    rq.subresource = SPAN("finalize");
    rq.tree = client_body_tree(&b);
    sync_do(x->s, &rq, NULL, on_finalized, NULL);
}

/* The namespace still was the one that is to go when all that is in doubt had been seen. */
static bool on_asked(struct sync *s, void *data, const struct client_reply *reply)
{
    struct emptying *x = data;
    if (!reply->object || !span_eq(object_uid(reply->object), object_uid(x->ns))) {
        return reply->err.reason == ERR_NOT_FOUND;
    }
    for (struct doubtful *d = x->doubtful; d; d = d->next) {
        delete_object(x, d->kind, d->informer, d->object);
    }
    if (x->left == 0) {
        sync_after(s, AGAIN_MS); /* it is empty when its events have gone: a deletion may fail */
    }
    return true;
}

static void ask(struct emptying *x)
{
    struct client_request rq = client_request_for(CLIENT_GET, x->c->kind, x->ns);
    sync_do(x->s, &rq, NULL, on_asked, x);
}

struct listing {
    struct emptying *x;
    const struct schema_kind *kind;
};

static void on_item(struct emptying *x, const struct schema_kind *kind, struct object *o)
{
    if (kind == x->c->event_kind && !object_is_deleting(o)) {
        doubt(x, kind, NULL, o);
    } else {
        x->left++;
        sync_fail(x->s); /* a view will tell of it; of an event that somebody holds nobody does */
    }
}

static bool on_listed(struct sync *s, void *data, const struct client_reply *reply)
{
    const struct listing *l = data;
    struct emptying *x = l->x;
    bool failed = reply->err.reason != ERR_NONE &&
                  reply->err.reason != ERR_NOT_FOUND; /* of a custom kind that has gone */
    assert(x->lists > 0);
    (void)s;
    x->left += failed;
    for (size_t i = 0; i < reply->item_count; i++) {
        on_item(x, l->kind, reply->items[i]);
    }
    if (--x->lists == 0 && x->doubtful) {
        ask(x);
    } else if (x->lists == 0 && x->left == 0) {
        finalize(x);
    }
    return !failed;
}

static void list(struct emptying *x, const struct schema_kind *kind)
{
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_LIST, .kind = kind,
                                .ns = x->s->name};
    struct listing *l = ARENA_NEW(x->s->arena, struct listing);
    *l = (struct listing){x, kind};
    x->lists++;
    sync_do(x->s, &rq, NULL, on_listed, l);
}

/* ---- what every namespace has ---- */

static bool on_made(struct sync *s, void *data, const struct client_reply *reply)
{
    (void)s;
    (void)data; /* it goes just now, or somebody else was faster */
    return reply->err.reason == ERR_NOT_FOUND || reply->err.reason == ERR_FORBIDDEN ||
           reply->err.reason == ERR_ALREADY_EXISTS;
}

static void create(struct sync *s, const struct ns_kind *k, const struct client_body *b)
{
    struct client_request rq = {CLIENT_REQUEST_INIT,
                                .verb = CLIENT_CREATE,
                                .kind = k->kind,
                                .ns = s->name,
                                .tree = client_body_tree(b),
                                .field_manager = SPAN("namespace-controller")};
    sync_do(s, &rq, k->informer, on_made, NULL);
}

/* The account that pods run as by default, and whom pods may trust. */
static void furnish(struct namespace_controller *c, struct sync *s)
{
    assert(s->name.n > 0);
    struct arena *a = s->arena;
    if (!informer_get(c->accounts->informer, s->name, ACCOUNT)) {
        struct client_body b = client_body_new(a, c->accounts->kind, ACCOUNT);
        create(s, c->accounts, &b);
    }
    struct object *map = c->root_ca.n ? informer_get(c->maps->informer, s->name, ROOT_CA) : NULL;
    if (c->root_ca.n && !map) {
        struct client_body b = client_body_new(a, c->maps->kind, ROOT_CA);
        json_put_str(b.doc, client_body_obj(&b, "data"), "ca.crt", c->root_ca);
        create(s, c->maps, &b);
    } else if (map && !span_eq(json_str(json_path(object_root(map), "data", "ca.crt", NULL)),
                               c->root_ca)) {
        struct client_body b = client_patch_any(a, map);
        json_put_str(b.doc, client_body_obj(&b, "data"), "ca.crt", c->root_ca);
        sync_patch(s, c->maps->informer, map, &b, on_made, NULL);
    }
}

static void run(struct sync *s)
{
    assert(s->name.n > 0);
    struct namespace_controller *c = s->controller;
    struct object *ns = informer_get(c->namespaces, SPAN_NULL, s->name);
    if (!ns) {
        return;
    }
    if (!object_is_deleting(ns)) {
        furnish(c, s);
        return;
    }
    if (!all_kinds_synced(c->all)) { /* its objects are not all seen yet */
        sync_after(s, AGAIN_MS);
        return;
    }
    object_hold(s->arena, ns);
    struct emptying *x = ARENA_NEW(s->arena, struct emptying);
    *x = (struct emptying){.c = c, .s = s, .ns = ns};
    for (size_t i = 0; i < c->kinds.n; i++) {
        x->kind = c->kinds.at[i];
        informer_index_each(x->kind->informer, x->kind->by_ns, s->name, delete_one, x);
    }
    if (x->doubtful) {
        ask(x);
    }
    if (x->left == 0 && json_len(json_get(client_spec(ns), "finalizers")) > 0) {
        for (size_t i = 0; i < c->kinds.n; i++) {
            list(x, c->kinds.at[i]->kind);
        }
        list(x, c->event_kind);
    }
}

static void on_kind(void *data, const struct schema_kind *kind, struct informer *informer,
                    bool custom)
{
    assert(kind);
    assert(informer);
    struct namespace_controller *c = data;
    (void)custom;
    if (!kind->namespaced) {
        return;
    }
    static const struct informer_handler content = {on_content};
    struct ns_kind *k = ARENA_NEW(c->arena, struct ns_kind);
    *k = (struct ns_kind){c, kind, informer, 0};
    k->by_ns = informer_add_index(informer, informer_by_namespace);
    reconciler_follow(c->reconciler, informer, &content, k);
    VEC_PUSH(&c->kinds, k);
    if (kind == SCHEMA_KIND(ServiceAccount)) {
        c->accounts = k;
    } else if (kind == SCHEMA_KIND(ConfigMap)) {
        c->maps = k;
    }
}

static void *make(const struct controller_place *place)
{
    struct namespace_controller *c = MEM_NEW(struct namespace_controller);
    c->arena = arena_new();
    if (place->options->root_ca.n) {
        char *copy = mem_new(place->options->root_ca.n);
        memcpy(copy, place->options->root_ca.p, place->options->root_ca.n);
        c->root_ca = span_of(copy, place->options->root_ca.n);
    }
    c->kind = schema_kind_find("", "Namespace");
    c->event_kind = schema_kind_find("", "Event");
    assert(c->kind);
    assert(c->event_kind);
    c->namespaces = informer_set_get(place->informers, c->kind);
    c->reconciler = reconciler_new(place, "namespace-controller", 4, run, c);
    static const struct informer_handler namespaces = {on_namespace};
    static const struct all_kinds_handler kinds = {on_kind};
    reconciler_follow(c->reconciler, c->namespaces, &namespaces, c);
    c->all = all_kinds_new(place->client, place->informers, &kinds, c);
    return c;
}

static void end(void *controller)
{
    struct namespace_controller *c = controller;
    reconciler_free(c->reconciler);
    all_kinds_free(c->all);
    VEC_DONE(&c->kinds);
    arena_free(c->arena);
    free((char *)(uintptr_t)c->root_ca.p);
    free(c);
}

const struct controller_type controller_namespace = {make, end};
