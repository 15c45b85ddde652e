#include "apiserver/definitions.h"

#include <stdlib.h>

#include "apiserver/discovery.h"
#include "apiserver/op.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "schema/custom.h"
#include "schema/kinds.h"

struct entry {
    struct definitions *definitions;
    struct object *object;              /* the CustomResourceDefinition, latest */
    struct custom_definition *compiled; /* NULL: not served */
    struct watcher *objects;            /* while it is being deleted */
    bool is_busy;                       /* a delete of its objects is under way */
    bool is_new;                        /* has changed since its status was looked at */
    bool is_waiting;                    /* its names belong to another */
    bool has_failed;                    /* a write of ours: it is tried again */
    size_t name_n;
    char name[];
};

struct definitions {
    struct apiserver *server;
    struct map entries; /* name -> struct entry */
    struct watcher *watcher;
    struct definition_services *services;
    struct arena *served_arena; /* of what follows and of the discovery documents */
    struct openapi_kinds served;
    struct discovery *discovery; /* NULL: not asked for yet */
    const struct schema_kind **kinds;
    struct env_timer retry;
    int64_t retry_ms; /* from the next failure on */
};

enum { RETRY_MS = 1000, RETRY_MAX_MS = 60 * 1000 };

/* ---- what is served ---- */

static int cmp_kind(const void *x, const void *y)
{
    const struct schema_kind *a = *(const struct schema_kind *const *)x;
    const struct schema_kind *b = *(const struct schema_kind *const *)y;
    int c = strcmp(a->group, b->group);
    c = c ? c : custom_version_cmp(span_cstr(a->version), span_cstr(b->version));
    return c ? c : strcmp(a->plural, b->plural);
}

/* Discovery is made anew when it is asked for: documents of the old one have been copied into
 * replies. */
static void publish(struct definitions *d)
{
    VEC(const struct schema_kind *) all = {0};
    size_t it = 0;
    struct entry *e;
    arena_free(d->served_arena);
    d->served_arena = arena_new();
    while ((e = map_next(&d->entries, &it, NULL))) {
        for (size_t i = 0; e->compiled && i < e->compiled->kind_count; i++) {
            if (e->compiled->served[i]) {
                VEC_PUSH(&all, &e->compiled->kinds[i]);
            }
        }
    }
    d->kinds = ARENA_ARRAY(d->served_arena, const struct schema_kind *, all.n + 1);
    if (all.n) {
        qsort(all.at, all.n, sizeof *all.at, cmp_kind);
        memcpy(d->kinds, all.at, all.n * sizeof *all.at);
    }
    d->served = (struct openapi_kinds){d->kinds, all.n};
    VEC_DONE(&all);
    d->discovery = NULL;
    definition_services_review(d->services);
}

struct discovery *definitions_discovery(struct definitions *d)
{
    struct span address = d->server->options.public_url;
    if (!d->discovery) {
        if (span_starts(address, SPAN("https://"))) {
            address = span_from(address, 8);
        }
        d->discovery = discovery_new(d->served_arena, address, &d->served);
    }
    return d->discovery;
}

struct openapi_kinds definitions_served(const struct definitions *d)
{
    assert(d);
    return d->served;
}

const struct schema_kind *definitions_find(const struct definitions *d, struct span group,
                                           struct span version, struct span plural)
{
    assert(d);
    for (size_t i = 0; i < d->served.n; i++) {
        const struct schema_kind *k = d->served.at[i];
        if (span_eq_cstr(plural, k->plural) && span_eq_cstr(group, k->group) &&
            span_eq_cstr(version, k->version)) {
            return k;
        }
    }
    return NULL;
}

const struct schema_kind *definitions_by_name(const struct definitions *d, struct span resource)
{
    assert(resource.n > 0);
    const struct entry *e = map_get(&d->entries, resource);
    return e && e->compiled ? e->compiled->storage : NULL;
}

/* Is it stored in this version, and has been through this definition? Told by the first bytes. */
static bool is_current(struct arena *a, const struct schema_kind *kind, struct object *o)
{
    struct span head =
        arena_printf(a, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",", kind->kind, kind->api_version);
    return object_rev(o) >= custom_definition_of(kind)->since_rev &&
           span_starts(object_json(o), head);
}

static yyjson_mut_val *converted(struct arena *a, const struct schema_kind *kind,
                                 const yyjson_val *root, yyjson_mut_doc *doc)
{
    yyjson_mut_val *plain = json_mut_copy(doc, root), *was = json_mut_get(plain, "metadata");
    yyjson_mut_val *managed = json_mut_get(was, "managedFields");
    struct err ignored = {0};
    json_remove(was, "managedFields");
    yyjson_mut_val *obj =
        schema_decode(a, kind, json_freeze(a, plain), doc, SCHEMA_IGNORE, NULL, &ignored);
    if (!obj) {
        return NULL;
    }
    schema_defaults(doc, kind, obj);
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    json_remove(meta, "resourceVersion");
    if (managed) { /* first, where objects have them */
        yyjson_mut_obj_insert(meta, yyjson_mut_str(doc, "managedFields"),
                              yyjson_mut_val_mut_copy(doc, managed), 0);
    }
    return obj;
}

struct object *definitions_in_version(struct arena *a, const struct schema_kind *kind,
                                      struct object *o)
{
    assert(a);
    assert(kind);
    if (!kind->custom || !o || is_current(a, kind, o)) {
        return o;
    }
    yyjson_mut_doc *doc = json_mut_new(a);
    struct object_glance glance = object_glance_begin(o);
    yyjson_mut_val *obj = converted(a, kind, object_root(o), doc);
    struct span body = obj ? json_write_mut(a, obj) : SPAN("");
    object_glance_end(&glance);
    if (!object_body_ok(body)) {
        return o; /* stored bytes that no schema fits are shown as they are */
    }
    cleanup_object struct object *made = object_new(object_store_key(o), object_rev(o), body);
    return object_hold(a, made);
}

/* ---- our own operations ---- */

struct job {
    struct arena *arena;
    struct span name; /* of the definition */
    struct api_op op;
};

static void step(struct entry *e, bool again);
static void write_status(struct entry *e);

/* No event tells that a write may succeed now: a disk has room again. */
static void on_retry(struct env_timer *timer)
{
    struct definitions *d = CONTAINER_OF(timer, struct definitions, retry);
    size_t it = 0;
    struct entry *e;
    d->retry_ms = d->retry_ms * 2 < RETRY_MAX_MS ? d->retry_ms * 2 : RETRY_MAX_MS;
    while ((e = map_next(&d->entries, &it, NULL))) { /* entries go away in on_more() only */
        if (e->has_failed) {
            e->has_failed = false;
            write_status(e);
            step(e, true);
        }
    }
}

static void note_outcome(struct definitions *d, struct entry *e, bool failed)
{
    if (!failed) {
        d->retry_ms = RETRY_MS;
        return;
    }
    if (e) {
        e->has_failed = true;
        if (!env_timer_armed(&d->retry)) {
            env_timer_start(d->server->env, &d->retry, d->retry_ms, on_retry);
        }
    }
}

static void on_job_done(struct api_op *op)
{
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct definitions *d = op->server->definitions;
    struct entry *e = d ? map_get(&d->entries, job->name) : NULL;
    bool collection = op->verb == API_DELETECOLLECTION;
    bool failed = op->err.reason != ERR_NONE && op->err.reason != ERR_CONFLICT &&
                  op->err.reason != ERR_NOT_FOUND;
    if (failed) {
        log_event(LOG_WARN, "definition_write_failed", LOG_S("definition", job->name),
                  LOG_S("reason", op->err.message));
    }
    api_op_release(op);
    arena_free(job->arena); /* job lives in it */
    if (d) {
        note_outcome(d, e, failed);
    }
    if (e && collection) {
        e->is_busy = false;
        if (!failed) {
            step(e, false);
        }
    }
}

static struct span name_of(const struct entry *e)
{
    return span_of(e->name, e->name_n);
}

static struct job *job_new(struct entry *e)
{
    struct arena *a = arena_new();
    struct job *job = ARENA_NEW(a, struct job);
    job->arena = a;
    job->name = arena_dup(a, name_of(e));
    job->op = (struct api_op){.server = e->definitions->server,
                              .arena = a,
                              .kind = SCHEMA_KIND(CustomResourceDefinition),
                              .name = job->name,
                              .options.grace_s = -1,
                              .options.field_manager = SPAN("berth"),
                              .done = on_job_done};
    return job;
}

static const struct schema_subresource *status_of(const struct schema_kind *kind)
{
    assert(kind->subresource_count == 1);
    return &kind->subresources[0];
}

static void write_status(struct entry *e)
{
    struct definitions *d = e->definitions;
    struct job *job = job_new(e);
    VEC(const yyjson_val *) others = {0};
    size_t it = 0;
    struct entry *other;
    while ((other = map_next(&d->entries, &it, NULL))) {
        VEC_PUSH(&others, object_root(other->object));
    }
    job->op.verb = API_UPDATE;
    job->op.sub = status_of(job->op.kind);
    job->op.body = definitions_status(job->arena, object_root(e->object), others.at, others.n,
                                      env_now_ms(d->server->env));
    VEC_DONE(&others);
    e->is_waiting = !definitions_established(object_root(e->object));
    if (job->op.body) {
        api_op_run(&job->op);
    } else {
        arena_free(job->arena);
    }
}

/* ---- deletion ---- */

static bool has_finalizer(struct object *o)
{
    JSON_EACH(it, json_path(object_root(o), "metadata", "finalizers", NULL))
    {
        if (span_eq(json_str(it.val), SPAN(DEFINITIONS_FINALIZER))) {
            return true;
        }
    }
    return false;
}

static void finish_deletion(struct entry *e)
{
    struct job *job = job_new(e);
    yyjson_mut_doc *doc = json_mut_new(job->arena);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *meta = yyjson_mut_obj(doc);
    yyjson_mut_val *keep = yyjson_mut_arr(doc);
    JSON_EACH(it, json_path(object_root(e->object), "metadata", "finalizers", NULL))
    {
        if (!span_eq(json_str(it.val), SPAN(DEFINITIONS_FINALIZER))) {
            yyjson_mut_arr_append(keep, json_mut_copy(doc, it.val));
        }
    }
    json_put_str(doc, meta, "uid", object_uid(e->object));
    json_put(doc, meta, "finalizers", keep);
    json_put(doc, root, "metadata", meta);
    job->op.verb = API_PATCH;
    job->op.patch_type = API_PATCH_MERGE;
    job->op.body = json_freeze(job->arena, root);
    api_op_run(&job->op);
}

static void delete_objects(struct entry *e)
{
    struct job *job = job_new(e);
    job->op.verb = API_DELETECOLLECTION;
    job->op.kind = e->compiled->storage;
    job->op.name = SPAN_NULL;
    custom_hold(job->arena, job->op.kind);
    e->is_busy = true;
    api_op_run(&job->op);
}

static void on_objects(void *data)
{
    struct entry *e = data;
    struct watch_event event;
    bool added = false;
    int rc;
    while ((rc = watcher_next(e->objects, &event)) == 1) {
        added |= event.type == WATCH_ADDED;
    }
    if (rc == E_LIMIT) {
        watcher_free(TAKE_PTR(e->objects));
        added = true;
    }
    size_t left = watch_hub_count(e->definitions->server->hub, name_of(e));
    if (!e->is_busy && (left == 0 || added)) {
        step(e, added);
    }
}

/* A definition that is being deleted: its objects, then its finalizer. `again`: objects have come
 * after the first delete. */
static void step(struct entry *e, bool again)
{
    struct watch_hub *hub = e->definitions->server->hub;
    struct span name = name_of(e);
    if (!object_is_deleting(e->object) || !has_finalizer(e->object) || e->is_busy) {
        return;
    }
    if (e->compiled) {
        e->compiled->is_terminating = true; /* before it is gone, which may take a while */
    }
    if (!e->compiled || watch_hub_count(hub, name) == 0) {
        finish_deletion(e);
        return;
    }
    if (!e->objects) {
        struct watch_filter filter = {.resource = name};
        struct watch_event event;
        e->objects = watcher_new(hub, &filter, watch_hub_rev(hub), on_objects, e);
        assert(e->objects);
        while (watcher_next(e->objects, &event) == 1) {
        }
        again = true;
    }
    if (again) {
        delete_objects(e);
    }
}

/* ---- changes ---- */

static bool same_spec(struct object *x, struct object *y)
{
    return json_equal(json_get(object_root(x), "spec"), json_get(object_root(y), "spec"));
}

/* Compiles when the definition is established and has changed. True when what is served did. */
static bool compile(struct entry *e, struct object *old)
{
    struct arena *a cleanup_arena = arena_new();
    struct err err = {0};
    bool established = definitions_established(object_root(e->object));
    if (!established || (e->compiled && old && same_spec(old, e->object))) {
        return false;
    }
    struct custom_definition *made = custom_compile(object_root(e->object), &err, a);
    if (!made) {
        log_event(LOG_WARN, "definition_not_served", LOG_S("definition", name_of(e)),
                  LOG_S("reason", err.message));
        return false;
    }
    made->since_rev = object_rev(e->object);
    custom_unref(e->compiled);
    e->compiled = made;
    return true;
}

static void forget(struct definitions *d, struct span name)
{
    struct entry *e = map_remove(&d->entries, name);
    if (e) {
        watcher_free(e->objects);
        custom_unref(e->compiled);
        object_unref(e->object);
        free(e);
    }
}

static struct entry *remember(struct definitions *d, struct object *o)
{
    struct span name = object_name(o);
    struct entry *e = map_get(&d->entries, name);
    if (!e) {
        e = mem_new(sizeof *e + name.n);
        e->definitions = d;
        e->name_n = name.n;
        memcpy(e->name, name.p, name.n);
        (void)map_put(&d->entries, name_of(e), e);
    }
    e->object = object_ref(o);
    e->is_new = true;
    return e;
}

/* True when what is served has changed. */
static bool update(struct definitions *d, struct object *o)
{
    struct entry *e = map_get(&d->entries, object_name(o));
    struct object *old = e ? e->object : NULL;
    e = remember(d, o);
    bool changed = compile(e, old);
    object_unref(old);
    return changed;
}

/* Looks at what has changed, and at what waits for names that may be free now. */
static void review(struct definitions *d)
{
    VEC(struct entry *) due = {0};
    size_t it = 0;
    struct entry *e;
    while ((e = map_next(&d->entries, &it, NULL))) {
        if (e->is_new || e->is_waiting) {
            VEC_PUSH(&due, e);
        }
    }
    for (size_t i = 0; i < due.n; i++) { /* entries go away in on_more() only */
        e = due.at[i];
        e->is_new = false;
        write_status(e);
        step(e, false);
    }
    VEC_DONE(&due);
}

static void start(struct definitions *d);

static void on_more(void *data)
{
    struct definitions *d = data;
    struct watch_event event;
    bool changed = false;
    int rc;
    while ((rc = watcher_next(d->watcher, &event)) == 1) {
        struct span name = event.object ? object_name(event.object) : SPAN_NULL;
        bool served = false;
        if (event.type == WATCH_DELETED) {
            forget(d, name);
            served = true;
        } else if (event.object) {
            served = update(d, event.object);
        }
        if (served) {
            if (d->server->kind_changed) {
                d->server->kind_changed(d->server->kind_changed_data, name);
            }
        }
        changed |= served;
    }
    if (rc == E_LIMIT) {
        watcher_free(TAKE_PTR(d->watcher));
        start(d);
        return;
    }
    if (changed) {
        publish(d);
    }
    review(d);
}

static bool on_existing(void *data, struct object *o)
{
    (void)update(data, o);
    return true;
}

static void start(struct definitions *d)
{
    struct watch_hub *hub = d->server->hub;
    struct watch_filter filter = {.resource =
                                      span_cstr(SCHEMA_KIND(CustomResourceDefinition)->resource)};
    struct watch_event event;
    d->watcher = watcher_new(hub, &filter, watch_hub_rev(hub), on_more, d);
    assert(d->watcher);
    (void)watch_hub_list(hub, &filter, SPAN_NULL, on_existing, d);
    while (watcher_next(d->watcher, &event) == 1) {
    }
    publish(d);
    review(d);
}

struct definitions *definitions_new(struct apiserver *s)
{
    assert(s->hub);
    assert(!s->definitions);
    struct definitions *d = MEM_NEW(struct definitions);
    d->server = s;
    d->retry_ms = RETRY_MS;
    s->definitions = d;
    d->services = definition_services_new(s);
    start(d);
    return d;
}

struct definition_services *definitions_services(const struct definitions *d)
{
    return d->services;
}

void definitions_free(struct definitions *d)
{
    if (!d) {
        return;
    }
    size_t it = 0;
    struct entry *e;
    env_timer_stop(d->server->env, &d->retry);
    watcher_free(d->watcher);
    definition_services_free(d->services);
    while ((e = map_next(&d->entries, &it, NULL))) {
        watcher_free(e->objects);
        custom_unref(e->compiled);
        object_unref(e->object);
        free(e);
    }
    map_done(&d->entries);
    arena_free(d->served_arena);
    free(d);
}
