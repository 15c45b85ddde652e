/* controller/owned_watch.c: the owners of one kind and what they own: made, followed, let go. */
#include "base/check.h"
#include "client/informer_set.h"
#include "controller/owned.h"

enum { PARALLEL_OWNERS = 16 };

static void on_owner(void *data, struct object *old, struct object *now)
{
    struct owners *w = data;
    reconciler_add_object(w->reconciler, now ? now : old);
}

static void on_owned(void *data, struct object *old, struct object *now)
{
    owned_changed(data, old, now);
}

void owners_init(struct owners *w, const struct controller_place *place,
                 const struct schema_kind *kind, const char *name, void (*run)(struct sync *s),
                 void *controller)
{
    static const struct informer_handler handler = {on_owner};
    assert(kind);
    assert(run);
    w->kind = kind;
    w->informer = informer_set_get(place->informers, kind);
    w->by_ns = informer_add_index(w->informer, informer_by_namespace);
    w->reconciler = reconciler_new(place, name, PARALLEL_OWNERS, run, controller);
    w->events = event_recorder_new(place->client, name, SPAN_NULL);
    reconciler_follow(w->reconciler, w->informer, &handler, w);
}

void owners_done(struct owners *w)
{
    assert(w->reconciler);
    reconciler_free(w->reconciler);
    event_recorder_free(w->events);
}

void owned_kind_init(struct owned_kind *k, struct informer_set *informers,
                     const struct schema_kind *kind)
{
    assert(informers);
    assert(kind);
    k->kind = kind;
    k->informer = informer_set_get(informers, kind);
    k->by_controller = informer_add_index(k->informer, owned_by_controller);
}

void owners_follow(struct owners *w, const struct owned_kind *k)
{
    static const struct informer_handler handler = {on_owned};
    assert(k->informer != w->informer);
    reconciler_follow(w->reconciler, k->informer, &handler, w);
}
