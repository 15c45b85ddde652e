/* An APIService for each version of a group that definitions make: they come with the first kind of
 * it, go with the last, and come back when somebody deletes them. Those that carry another label
 * than ours belong to somebody else and are left alone. */
#include "apiserver/definitions.h"

#include <stdlib.h>

#include "apiserver/op.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "schema/kinds.h"
#include "watch/watch.h"

#define LABEL "kube-aggregator.kubernetes.io/automanaged"

struct definition_services {
    struct apiserver *server;
    struct watcher *watcher;
    struct env_timer retry;
    int64_t retry_ms; /* from the next failure on */
};

enum { RETRY_MS = 1000, RETRY_MAX_MS = 60 * 1000 };

struct job {
    struct arena *arena;
    struct api_op op;
};

/* No event tells that a write may succeed now: a disk has room again. */
static void on_retry(struct env_timer *timer)
{
    struct definition_services *ds = CONTAINER_OF(timer, struct definition_services, retry);
    ds->retry_ms = ds->retry_ms * 2 < RETRY_MAX_MS ? ds->retry_ms * 2 : RETRY_MAX_MS;
    definition_services_review(ds);
}

static void note_outcome(struct definition_services *ds, bool failed)
{
    if (!failed) {
        ds->retry_ms = RETRY_MS;
    } else if (!env_timer_armed(&ds->retry)) {
        env_timer_start(ds->server->env, &ds->retry, ds->retry_ms, on_retry);
    }
}

static void on_job_done(struct api_op *op)
{
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct definition_services *ds =
        op->server->definitions ? definitions_services(op->server->definitions) : NULL;
    bool failed = op->err.reason != ERR_NONE && op->err.reason != ERR_ALREADY_EXISTS &&
                  op->err.reason != ERR_NOT_FOUND;
    if (failed) {
        log_event(LOG_WARN, "api_service_not_kept", LOG_S("name", op->name),
                  LOG_S("reason", op->err.message));
    }
    api_op_release(op);
    arena_free(job->arena); /* job lives in it */
    if (ds) {
        note_outcome(ds, failed);
    }
}

/* body NULL: a delete. */
static void run(struct apiserver *s, struct span name, struct span body)
{
    struct arena *a = arena_new();
    struct job *job = ARENA_NEW(a, struct job);
    yyjson_doc *doc = NULL;
    int rc = body.n ? json_parse(a, body, &doc, NULL) : 0;
    assert(rc == 0); /* our own text */
    job->arena = a;
    job->op = (struct api_op){.server = s,
                              .arena = a,
                              .verb = body.n ? API_CREATE : API_DELETE,
                              .kind = SCHEMA_KIND(APIService),
                              .name = body.n ? SPAN_NULL : arena_dup(a, name),
                              .options.grace_s = -1,
                              .options.field_manager = SPAN("berth"),
                              .body = body.n ? yyjson_doc_get_root(doc) : NULL,
                              .done = on_job_done};
    api_op_run(&job->op);
}

/* As the names of Kubernetes' own say: lower than those of the server itself. */
static void make(struct apiserver *s, struct arena *a, struct span name,
                 const struct schema_kind *k)
{
    run(s, name,
        arena_printf(a,
                     "{\"metadata\":{\"name\":\"%.*s\",\"labels\":{\"" LABEL "\":\"true\"}},"
                     "\"spec\":{\"group\":\"%s\",\"version\":\"%s\",\"groupPriorityMinimum\":1000,"
                     "\"versionPriority\":100}}",
                     SPAN_ARG(name), k->group, k->version));
}

struct review {
    struct apiserver *server;
    struct arena *arena;
    struct map wanted; /* name -> a kind of it */
    struct map there;  /* name -> the object */
    uint64_t bits;     /* of our label: object_labels_sketch */
};

static bool on_service(void *data, struct object *o)
{
    static const struct span sign = SPAN("\"" LABEL "\":\"true\"");
    struct review *r = data;
    struct span text = object_json(o);
    if ((r->bits & ~object_labels_sketch(o)) || !memmem(text.p, text.n, sign.p, sign.n)) {
        return true; /* most are the server's own, and need not be taken apart */
    }
    struct object_glance glance = object_glance_begin(o);
    struct span label = json_str(json_path(object_root(o), "metadata", "labels", LABEL, NULL));
    struct span name = object_name(o);
    bool ours = span_eq(label, SPAN("true")) && !object_is_deleting(o);
    object_glance_end(&glance);
    if (ours && !map_get(&r->wanted, name)) {
        (void)map_put(&r->there, arena_dup(r->arena, name), o); /* written to after the list */
    }
    return true;
}

void definition_services_review(struct definition_services *ds)
{
    assert(ds->server->definitions);
    struct apiserver *s = ds->server;
    struct arena *a cleanup_arena = arena_new();
    const struct span value = SPAN("true");
    struct review r = {.server = s, .arena = a, .bits = object_label_bits(SPAN(LABEL), &value)};
    const struct openapi_kinds served = definitions_served(s->definitions);
    const struct watch_filter filter = {.resource = span_cstr(SCHEMA_KIND(APIService)->resource)};
    struct span name;
    size_t it = 0;
    for (size_t i = 0; i < served.n; i++) {
        const struct schema_kind *k = served.at[i];
        (void)map_put(&r.wanted, arena_printf(a, "%s.%s", k->version, k->group),
                      (void *)(uintptr_t)k);
    }
    (void)watch_hub_list(s->hub, &filter, SPAN_NULL, on_service, &r);
    while (map_next(&r.there, &it, &name)) {
        run(s, name, SPAN_NULL);
    }
    it = 0;
    for (const struct schema_kind *k; (k = map_next(&r.wanted, &it, &name));) {
        if (!api_peek(s, a, SCHEMA_KIND(APIService)->resource, SPAN_NULL, name)) {
            make(s, a, name, k);
        }
    }
    map_done(&r.wanted);
    map_done(&r.there);
}

static void start(struct definition_services *ds);

static void on_more(void *data)
{
    struct definition_services *ds = data;
    struct watch_event event;
    int rc;
    while ((rc = watcher_next(ds->watcher, &event)) == 1) {
    }
    if (rc == E_LIMIT) {
        watcher_free(TAKE_PTR(ds->watcher));
        start(ds);
    }
    definition_services_review(ds);
}

static void start(struct definition_services *ds)
{
    struct watch_hub *hub = ds->server->hub;
    const struct watch_filter filter = {.resource = span_cstr(SCHEMA_KIND(APIService)->resource)};
    struct watch_event event;
    ds->watcher = watcher_new(hub, &filter, watch_hub_rev(hub), on_more, ds);
    assert(ds->watcher);
    while (watcher_next(ds->watcher, &event) == 1) {
    }
}

struct definition_services *definition_services_new(struct apiserver *s)
{
    assert(s->hub);
    struct definition_services *ds = MEM_NEW(struct definition_services);
    ds->server = s;
    ds->retry_ms = RETRY_MS;
    start(ds);
    return ds;
}

void definition_services_free(struct definition_services *ds)
{
    if (ds) {
        env_timer_stop(ds->server->env, &ds->retry);
        watcher_free(ds->watcher);
        free(ds);
    }
}
