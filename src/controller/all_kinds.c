/* controller/all_kinds.c: see all_kinds.h. */
#include "controller/all_kinds.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "client/client_body.h"
#include "codec/json.h"
#include "schema/custom.h"
#include "schema/kinds.h"
#include "schema/status.h"

struct entry {
    struct entry *next;  /* of all */
    struct arena *arena; /* of the kind */
    struct schema_kind kind;
    struct informer *informer;
};

struct all_kinds {
    struct client *client;
    struct informer *definitions;
    struct map entries; /* name of the definition -> its latest struct entry */
    struct entry *all;
    struct all_kinds_handler handler;
    void *data;
};

static bool is_established(struct object *o)
{
    return status_condition_true(object_root(o), "Established");
}

static struct span stored_version(const yyjson_val *spec)
{
    JSON_EACH(it, json_get(spec, "versions"))
    {
        if (json_get_bool(it.val, "storage", false)) {
            return json_get_str(it.val, "name");
        }
    }
    return SPAN_NULL;
}

static void add(struct all_kinds *c, struct object *o)
{
    assert(!map_get(&c->entries, object_name(o)));
    const yyjson_val *spec = client_spec(o), *names = json_get(spec, "names");
    struct arena *a = arena_new();
    struct entry *e = MEM_NEW(struct entry);
    struct span name = arena_dup(a, object_name(o));
    custom_sketch(a, &e->kind, name, json_get_str(spec, "group"), stored_version(spec),
                  json_get_str(names, "kind"), json_get_str(names, "plural"),
                  span_eq(json_get_str(spec, "scope"), SPAN("Namespaced")));
    e->arena = a;
    struct client_request all = {CLIENT_REQUEST_INIT, .verb = CLIENT_LIST, .kind = &e->kind};
    e->informer = informer_new(c->client, &all);
    e->next = c->all;
    c->all = e;
    (void)map_put(&c->entries, name, e);
    c->handler.on_added(c->data, &e->kind, e->informer, true);
}

/* Another kind or scope under the name of a definition that was deleted. */
static bool has_changed(const struct entry *e, struct object *o)
{
    const yyjson_val *spec = client_spec(o);
    return !span_eq_cstr(json_str(json_path(spec, "names", "kind", NULL)), e->kind.kind) ||
           span_eq(json_get_str(spec, "scope"), SPAN("Namespaced")) != e->kind.namespaced;
}

static void on_definition(void *data, struct object *old, struct object *now)
{
    struct all_kinds *c = data;
    (void)old;
    struct entry *e = now ? map_get(&c->entries, object_name(now)) : NULL;
    if (now && is_established(now) && (!e || has_changed(e, now))) {
        add(c, now);
    }
}

static bool is_among(const struct schema_kind *kind)
{
    uint16_t need = SCHEMA_VERB_LIST | SCHEMA_VERB_WATCH | SCHEMA_VERB_DELETE;
    return (kind->verbs & need) == need && strcmp(kind->kind, "Event") != 0 && !kind->view_of;
}

struct all_kinds *all_kinds_new(struct client *client, struct informer_set *informers,
                                const struct all_kinds_handler *handler, void *data)
{
    assert(client);
    assert(informers);
    assert(handler->on_added);
    static const struct informer_handler definitions = {on_definition};
    struct all_kinds *c = MEM_NEW(struct all_kinds);
    c->client = client;
    c->handler = *handler;
    c->data = data;
    c->definitions = informer_set_get(informers, SCHEMA_KIND(CustomResourceDefinition));
    for (size_t i = 0; i < schema_kind_count(); i++) {
        const struct schema_kind *kind = schema_kind_at(i);
        if (is_among(kind)) {
            handler->on_added(data, kind, informer_set_get(informers, kind), false);
        }
    }
    informer_add_handler(c->definitions, &definitions, c);
    return c;
}

bool all_kinds_synced(const struct all_kinds *c)
{
    assert(c);
    for (const struct entry *e = c->all; e; e = e->next) {
        if (!informer_synced(e->informer)) {
            return false;
        }
    }
    return true;
}

void all_kinds_free(struct all_kinds *c)
{
    if (!c) {
        return;
    }
    informer_remove_handler(c->definitions, c);
    map_done(&c->entries);
    while (c->all) {
        struct entry *e = c->all;
        assert(e->informer);
        c->all = e->next;
        informer_free(e->informer);
        arena_free(e->arena);
        free(e);
    }
    free(c);
}
