/* sim/fake_client.c: see fake_client.h. */
#include "sim/fake_client.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "codec/json.h"
#include "codec/selector.h"
#include "codec/time.h"
#include "schema/patch.h"
#include "schema/schema.h"
#include "sim/link.h"

struct fake_client {
    struct client base;
    struct map objects; /* store key to object */
    struct list watches, replies;
    int64_t rev, event_delay_ms;
    uint64_t writes, names;
    enum err_reason (*fault)(void *data, const struct client_request *request);
    void *fault_data;
};

struct reply {
    struct list link;
    struct fake_client *f;
    struct env_task task;
    client_reply_fn *fn;
    void *data;
    enum err_reason reason;
    struct object *object;
    VEC(struct object *) items;
    int64_t rev;
};

struct watch {
    struct client_watch base;
    struct list link, events;
    const struct schema_kind *kind;
    struct span ns, labels;
    char *text; /* holds both */
    struct client_watch_handler handler;
    void *data;
    bool synced;
    struct env_task start;
};

struct event {
    struct list link;
    struct watch *watch;
    struct env_timer timer;
    struct env_task task;
    enum client_event_type type;
    struct object *object;
};

/* One request being decided. */
struct call {
    struct fake_client *f;
    struct arena *a;
    const struct client_request *rq;
    struct span key;
    struct object *old;
    enum err_reason reason;
    struct object *result; /* owned */
};

static struct fake_client *of(struct client *c)
{
    return CONTAINER_OF(c, struct fake_client, base);
}

/* ---- watches ---- */

static bool watch_matches(const struct watch *w, struct object *o)
{
    struct span resource, ns, name;
    object_key_split(object_store_key(o), &resource, &ns, &name);
    if (!span_eq_cstr(resource, w->kind->resource) || (w->ns.n && !span_eq(ns, w->ns))) {
        return false;
    }
    if (w->labels.n == 0) {
        return true;
    }
    struct arena *a = arena_new();
    struct selector s;
    struct err err;
    bool ok = selector_parse(a, w->labels, &s, &err) == 0 &&
              selector_matches(&s, json_path(object_root(o), "metadata", "labels", NULL));
    arena_free(a);
    return ok;
}

static void event_free(struct event *e)
{
    env_timer_stop(e->watch->base.client->env, &e->timer);
    env_post_cancel(e->watch->base.client->env, &e->task);
    list_remove(&e->link);
    object_unref(e->object);
    free(e);
}

static void event_deliver(struct event *e)
{
    struct watch *w = e->watch;
    enum client_event_type type = e->type;
    struct object *o = object_ref(e->object);
    event_free(e);
    w->handler.on_event(w->data, type, o);
    object_unref(o);
}

static void event_task(struct env_task *task)
{
    event_deliver(CONTAINER_OF(task, struct event, task));
}

static void event_timer(struct env_timer *timer)
{
    event_deliver(CONTAINER_OF(timer, struct event, timer));
}

static void publish(struct fake_client *f, enum client_event_type type, struct object *o)
{
    LIST_EACH(it, &f->watches)
    {
        struct watch *w = CONTAINER_OF(it, struct watch, link);
        if (!w->synced || !watch_matches(w, o)) {
            continue;
        }
        struct event *e = MEM_NEW(struct event);
        *e = (struct event){.watch = w, .type = type, .object = object_ref(o)};
        list_push_back(&w->events, &e->link);
        if (f->event_delay_ms > 0) {
            env_timer_start(f->base.env, &e->timer, f->event_delay_ms, event_timer);
        } else {
            env_post(f->base.env, &e->task, event_task);
        }
    }
}

static void watch_start(struct env_task *task)
{
    struct watch *w = CONTAINER_OF(task, struct watch, start);
    struct fake_client *f = of(w->base.client);
    size_t pos = 0;
    struct object *o;
    w->synced = true;
    while ((o = map_next(&f->objects, &pos, NULL))) {
        if (watch_matches(w, o)) {
            w->handler.on_event(w->data, CLIENT_ADDED, o);
        }
    }
    if (w->handler.on_list) {
        w->handler.on_list(w->data, f->rev);
    }
    if (w->handler.on_synced) {
        w->handler.on_synced(w->data);
    }
}

static struct client_watch *watch_new(struct client *c, const struct client_request *selection,
                                      const struct client_watch_handler *handler, void *data)
{
    struct fake_client *f = of(c);
    struct watch *w = MEM_NEW(struct watch);
    w->base.client = c;
    w->kind = selection->kind;
    size_t ns = selection->ns.n, labels = selection->label_selector.n;
    w->text = mem_new(ns + labels + 1);
    memcpy(w->text, ns ? selection->ns.p : "", ns);
    memcpy(w->text + ns, labels ? selection->label_selector.p : "", labels);
    w->ns = span_of(w->text, ns);
    w->labels = span_of(w->text + ns, labels);
    w->handler = *handler;
    w->data = data;
    list_init(&w->events);
    list_push_back(&f->watches, &w->link);
    env_post(c->env, &w->start, watch_start);
    return &w->base;
}

static void watch_free(struct client_watch *cw)
{
    struct watch *w = CONTAINER_OF(cw, struct watch, base);
    LIST_EACH(it, &w->events)
    {
        event_free(CONTAINER_OF(it, struct event, link));
    }
    env_post_cancel(cw->client->env, &w->start);
    list_remove(&w->link);
    free(w->text);
    free(w);
}

/* ---- deciding a request ---- */

static void commit(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    (void)doc;
    json_remove(json_mut_get(obj, "metadata"), "resourceVersion");
    struct object *now = object_new(c->key, ++c->f->rev, json_write_mut(c->a, obj));
    struct object *old = map_put(&c->f->objects, object_store_key(now), now);
    publish(c->f, old ? CLIENT_MODIFIED : CLIENT_ADDED, now);
    c->result = object_ref(now);
    c->f->writes++;
    object_unref(old);
}

static void vanish(struct call *c, yyjson_mut_val *obj)
{
    json_remove(json_mut_get(obj, "metadata"), "resourceVersion");
    struct object *last = object_new(c->key, ++c->f->rev, json_write_mut(c->a, obj));
    struct object *old = map_remove(&c->f->objects, c->key);
    publish(c->f, CLIENT_DELETED, last);
    c->result = last;
    c->f->writes++;
    object_unref(old);
}

static yyjson_mut_val *ordered(yyjson_mut_doc *doc, const struct schema_kind *kind,
                               yyjson_mut_val *in)
{
    yyjson_mut_val *out = yyjson_mut_obj(doc), *key, *val;
    json_put_str(doc, out, "kind", span_cstr(kind->kind));
    json_put_str(doc, out, "apiVersion", span_cstr(schema_api_version(kind)));
    json_put(doc, out, "metadata", yyjson_mut_val_mut_copy(doc, json_mut_obj(doc, in, "metadata")));
    yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(in);
    while ((key = yyjson_mut_obj_iter_next(&it))) {
        const char *k = yyjson_mut_get_str(key);
        val = yyjson_mut_obj_iter_get_val(key);
        if (strcmp(k, "kind") != 0 && strcmp(k, "apiVersion") != 0 && strcmp(k, "metadata") != 0) {
            json_put(doc, out, k, yyjson_mut_val_mut_copy(doc, val));
        }
    }
    return out;
}

static bool has_finalizers(yyjson_mut_val *obj)
{
    return yyjson_mut_arr_size(json_mut_get(json_mut_get(obj, "metadata"), "finalizers")) > 0 ||
           (span_eq(json_mut_str(json_mut_get(obj, "kind")), SPAN("Namespace")) &&
            yyjson_mut_arr_size(json_mut_get(json_mut_get(obj, "spec"), "finalizers")) > 0);
}

static void decide_create(struct call *c)
{
    const struct schema_kind *kind = c->rq->kind;
    yyjson_mut_doc *doc = json_mut_new(c->a);
    yyjson_val *in = link_body(c->a, c->rq);
    if (!in) {
        c->reason = ERR_BAD_REQUEST;
        return;
    }
    yyjson_mut_val *obj = ordered(doc, kind, json_mut_copy(doc, in));
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    struct span name = json_mut_str(json_mut_get(meta, "name"));
    if (name.n == 0) {
        name = arena_printf(c->a, "%.*s%05llu",
                            SPAN_ARG(json_mut_str(json_mut_get(meta, "generateName"))),
                            (unsigned long long)++c->f->names);
        json_put_str(doc, meta, "name", name);
    }
    c->key = object_key(c->a, span_cstr(kind->resource), c->rq->ns, name);
    if (map_get(&c->f->objects, c->key)) {
        c->reason = ERR_ALREADY_EXISTS;
        return;
    }
    if (kind->namespaced) {
        json_put_str(doc, meta, "namespace", c->rq->ns);
    }
    json_put_str(doc, meta, "uid",
                 arena_printf(c->a, "uid-%llu", (unsigned long long)++c->f->names));
    json_put_str(doc, meta, "creationTimestamp", time_format(c->a, env_now_ms(c->f->base.env)));
    json_put_int(doc, meta, "generation", 1);
    if (!strcmp(kind->kind, "Pod") || !strcmp(kind->kind, "PersistentVolumeClaim")) {
        json_put_str(doc, json_mut_obj(doc, obj, "status"), "phase", SPAN("Pending"));
    }
    if (!strcmp(kind->kind, "PersistentVolumeClaim")) {
        yyjson_mut_val *fin = yyjson_mut_arr(doc);
        yyjson_mut_arr_append(fin, json_new_str(doc, SPAN("kubernetes.io/pvc-protection")));
        json_put(doc, meta, "finalizers", fin);
    }
    commit(c, doc, obj);
}

/* Takes `now` (main resource), or its part named by the subresource, into the old object. */
static void decide_write(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *now)
{
    yyjson_val *old = object_root(c->old);
    yyjson_mut_val *meta = json_mut_obj(doc, now, "metadata");
    int64_t rev = 0;
    struct span given = json_mut_str(json_mut_get(meta, "resourceVersion"));
    if (given.n && (!span_to_i64(given, &rev) || rev != object_rev(c->old))) {
        c->reason = ERR_CONFLICT;
        return;
    }
    struct span uid = json_mut_str(json_mut_get(meta, "uid"));
    if (uid.n && !span_eq(uid, object_uid(c->old))) {
        c->reason = ERR_CONFLICT;
        return;
    }
    yyjson_mut_val *obj = json_mut_copy(doc, old);
    const char *part = c->rq->subresource.n ? arena_cstr(c->a, c->rq->subresource) : "";
    if (!strcmp(part, "status")) {
        json_put(doc, obj, "status", yyjson_mut_val_mut_copy(doc, json_mut_get(now, "status")));
        yyjson_mut_val *notes =
            json_mut_get(meta, "annotations"); /* come along, as in Kubernetes */
        if (notes) {
            json_put(doc, json_mut_get(obj, "metadata"), "annotations",
                     yyjson_mut_val_mut_copy(doc, notes));
        }
    } else if (!strcmp(part, "finalize")) {
        json_put(doc, obj, "spec", yyjson_mut_val_mut_copy(doc, json_mut_get(now, "spec")));
    } else {
        assert(part[0] == '\0');
        obj = ordered(doc, c->rq->kind, now);
        if (json_get(old, "status") && c->rq->kind->subresource_count) {
            json_put(doc, obj, "status", json_mut_copy(doc, json_get(old, "status")));
        }
        yyjson_mut_val *was = json_mut_copy(doc, json_get(old, "spec")),
                       *is = json_mut_get(obj, "spec");
        if (was && is && !json_mut_equal(was, is)) {
            json_put_int(doc, json_mut_get(obj, "metadata"), "generation",
                         json_int(json_path(old, "metadata", "generation", NULL), 0) + 1);
        }
    }
    bool pod_waits = !strcmp(c->rq->kind->kind, "Pod");
    if (object_is_deleting(c->old) && !has_finalizers(obj) && !pod_waits) {
        vanish(c, obj);
    } else {
        commit(c, doc, obj);
    }
}

static yyjson_mut_val *merge(yyjson_mut_doc *doc, yyjson_mut_val *target, yyjson_val *patch)
{
    if (!yyjson_is_obj(patch)) {
        return json_mut_copy(doc, patch);
    }
    if (!yyjson_mut_is_obj(target)) {
        target = yyjson_mut_obj(doc);
    }
    JSON_EACH(it, patch)
    {
        const char *key = yyjson_get_str(it.key);
        if (yyjson_is_null(it.val)) {
            json_remove(target, key);
        } else {
            yyjson_mut_val *was = json_mut_get(target, key);
            yyjson_mut_val *now = merge(doc, was, it.val);
            if (now != was) { /* a value lives in one container only */
                json_put(doc, target, key, now);
            }
        }
    }
    return target;
}

static void decide_update(struct call *c)
{
    yyjson_val *in = link_body(c->a, c->rq);
    struct err err = {0};
    yyjson_mut_doc *doc = json_mut_new(c->a);
    if (!in) {
        c->reason = ERR_BAD_REQUEST;
        return;
    }
    if (c->rq->verb == CLIENT_UPDATE) {
        decide_write(c, doc, json_mut_copy(doc, in));
        return;
    }
    if (c->rq->verb == CLIENT_PATCH_STRATEGIC) {
        yyjson_mut_val *made =
            patch_strategic(c->a, doc, c->rq->kind->type, object_root(c->old), in, &err);
        assert(made);
        decide_write(c, doc, made);
        return;
    }
    assert(c->rq->verb == CLIENT_PATCH_MERGE);
    yyjson_mut_val *now = json_mut_copy(doc, object_root(c->old));
    decide_write(c, doc, merge(doc, now, in));
}

static void decide_binding(struct call *c)
{
    yyjson_val *in = link_body(c->a, c->rq);
    yyjson_mut_doc *doc = json_mut_new(c->a);
    yyjson_mut_val *obj = json_mut_copy(doc, object_root(c->old));
    assert(in);
    if (json_get_str(json_get(object_root(c->old), "spec"), "nodeName").n) {
        c->reason = ERR_CONFLICT;
        return;
    }
    json_put_str(doc, json_mut_obj(doc, obj, "spec"), "nodeName",
                 json_str(json_path(in, "target", "name", NULL)));
    commit(c, doc, obj);
}

static void add_finalizer(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *meta)
{
    const char *name = c->rq->propagation == CLIENT_PROPAGATION_FOREGROUND ? "foregroundDeletion"
                       : c->rq->propagation == CLIENT_PROPAGATION_ORPHAN   ? "orphan"
                                                                           : NULL;
    if (name) {
        yyjson_mut_val *fin = json_mut_get(meta, "finalizers");
        if (!fin) {
            fin = yyjson_mut_arr(doc);
            json_put(doc, meta, "finalizers", fin);
        }
        yyjson_mut_arr_append(fin, json_new_str(doc, span_cstr(name)));
    }
}

static void decide_delete(struct call *c)
{
    const struct client_request *rq = c->rq;
    int64_t rev = 0;
    if ((rq->precondition_uid.n && !span_eq(rq->precondition_uid, object_uid(c->old))) ||
        (rq->precondition_rev.n &&
         (!span_to_i64(rq->precondition_rev, &rev) || rev != object_rev(c->old)))) {
        c->reason = ERR_CONFLICT;
        return;
    }
    yyjson_mut_doc *doc = json_mut_new(c->a);
    yyjson_mut_val *obj = json_mut_copy(doc, object_root(c->old)),
                   *meta = json_mut_get(obj, "metadata");
    bool was_deleting = object_is_deleting(c->old);
    if (!was_deleting) {
        add_finalizer(c, doc, meta);
    }
    bool graceful = !strcmp(rq->kind->kind, "Pod") && rq->grace_s != 0 &&
                    json_get_str(json_get(object_root(c->old), "spec"), "nodeName").n;
    if (!has_finalizers(obj) && !graceful) {
        vanish(c, obj);
        return;
    }
    if (was_deleting) {
        c->result = object_ref(c->old);
        return;
    }
    json_put_str(doc, meta, "deletionTimestamp", time_format(c->a, env_now_ms(c->f->base.env)));
    json_put_int(doc, meta, "deletionGracePeriodSeconds", rq->grace_s < 0 ? 30 : rq->grace_s);
    commit(c, doc, obj);
}

static void decide(struct call *c)
{
    const struct client_request *rq = c->rq;
    if (c->f->fault && (c->reason = c->f->fault(c->f->fault_data, rq)) != ERR_NONE) {
        return;
    }
    c->key = object_key(c->a, span_cstr(rq->kind->resource), rq->ns, rq->name);
    if (rq->verb == CLIENT_CREATE && rq->subresource.n == 0) {
        decide_create(c);
        return;
    }
    if (rq->verb == CLIENT_LIST) {
        return;
    }
    c->old = map_get(&c->f->objects, c->key);
    if (!c->old) {
        c->reason = ERR_NOT_FOUND;
    } else if (rq->verb == CLIENT_GET) {
        c->result = object_ref(c->old);
    } else if (rq->verb == CLIENT_DELETE) {
        decide_delete(c);
    } else if (rq->verb == CLIENT_CREATE) {
        assert(span_eq_cstr(rq->subresource, "binding"));
        decide_binding(c);
    } else {
        decide_update(c);
    }
}

static struct call call_now(struct fake_client *f, const struct client_request *rq, struct arena *a)
{
    struct call c = {.f = f, .a = a, .rq = rq};
    decide(&c);
    return c;
}

/* ---- replies ---- */

static void reply_free(struct reply *r)
{
    env_post_cancel(r->f->base.env, &r->task);
    list_remove(&r->link);
    object_unref(r->object);
    for (size_t i = 0; i < r->items.n; i++) {
        object_unref(r->items.at[i]);
    }
    VEC_DONE(&r->items);
    free(r);
}

static void reply_task(struct env_task *task)
{
    struct reply *r = CONTAINER_OF(task, struct reply, task);
    struct client_reply reply = {.err = {.reason = r->reason},
                                 .object = r->object,
                                 .items = r->items.at,
                                 .item_count = r->items.n,
                                 .rev = r->rev};
    reply.err.message = span_cstr(r->reason ? err_reason_text(r->reason) : "");
    list_remove(&r->link);
    r->fn(r->data, &reply);
    reply_free(r);
}

static void request(struct client *c, const struct client_request *rq, client_reply_fn *fn,
                    void *data)
{
    struct fake_client *f = of(c);
    struct arena *a = arena_new();
    struct call call = call_now(f, rq, a);
    if (!fn) {
        object_unref(call.result);
        arena_free(a);
        return;
    }
    struct reply *r = MEM_NEW(struct reply);
    *r = (struct reply){
        .f = f, .fn = fn, .data = data, .reason = call.reason, .object = call.result};
    r->rev = call.result ? object_rev(call.result) : f->rev;
    if (rq->verb == CLIENT_LIST && !call.reason) {
        struct watch w = {.kind = rq->kind, .ns = rq->ns, .labels = rq->label_selector};
        size_t pos = 0;
        struct object *o;
        while ((o = map_next(&f->objects, &pos, NULL))) {
            if (watch_matches(&w, o)) {
                VEC_PUSH(&r->items, object_ref(o));
            }
        }
    }
    list_push_back(&f->replies, &r->link);
    env_post(c->env, &r->task, reply_task);
    arena_free(a);
}

static void cancel(struct client *c, void *data)
{
    LIST_EACH(it, &of(c)->replies)
    {
        struct reply *r = CONTAINER_OF(it, struct reply, link);
        if (r->data == data) {
            reply_free(r);
        }
    }
}

static void free_op(struct client *c)
{
    fake_client_free(of(c));
}

static const struct client_ops ops = {request, cancel, watch_new, watch_free, free_op};

struct fake_client *fake_client_new(struct env *env)
{
    struct fake_client *f = MEM_NEW(struct fake_client);
    f->base = (struct client){&ops, env};
    f->rev = 100;
    list_init(&f->watches);
    list_init(&f->replies);
    return f;
}

static void unref(void *object)
{
    object_unref(object);
}

void fake_client_free(struct fake_client *f)
{
    if (!f) {
        return;
    }
    assert(list_is_empty(&f->watches));
    LIST_EACH(it, &f->replies)
    {
        reply_free(CONTAINER_OF(it, struct reply, link));
    }
    map_done_values(&f->objects, unref);
    free(f);
}

struct client *fake_client_base(struct fake_client *f)
{
    return &f->base;
}

void fake_client_event_delay(struct fake_client *f, int64_t ms)
{
    f->event_delay_ms = ms;
}

void fake_client_fault(struct fake_client *f,
                       enum err_reason (*fn)(void *data, const struct client_request *request),
                       void *data)
{
    f->fault = fn;
    f->fault_data = data;
}

/* ---- for tests ---- */

static struct object *must(struct fake_client *f, const struct client_request *rq)
{
    struct arena *a = arena_new();
    struct call c = call_now(f, rq, a);
    assert(c.reason == ERR_NONE);
    object_unref(c.result);
    struct object *now = map_get(&f->objects, c.key);
    arena_free(a);
    return now;
}

struct object *fake_client_create(struct fake_client *f, const char *json)
{
    struct arena *a = arena_new();
    yyjson_doc *doc;
    struct err err = {0};
    int code = json_parse(a, span_cstr(json), &doc, &err);
    assert(code == 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    struct span group = json_get_str(root, "apiVersion"), ns;
    size_t slash = span_find(group, '/');
    const char *g = slash < group.n ? arena_cstr(a, span_first(group, slash)) : "";
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE,
                                .body = span_cstr(json)};
    rq.kind = schema_kind_find(g, arena_cstr(a, json_get_str(root, "kind")));
    assert(rq.kind);
    ns = json_get_str(json_get(root, "metadata"), "namespace");
    rq.ns = !rq.kind->namespaced ? SPAN_NULL : ns.n ? ns : SPAN("default");
    struct object *o = must(f, &rq);
    arena_free(a);
    return o;
}

static struct client_request named(enum client_verb verb, const char *group, const char *kind,
                                   const char *ns, const char *name)
{
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = verb};
    rq.kind = schema_kind_find(group, kind);
    assert(rq.kind);
    rq.ns = span_cstr(ns);
    rq.name = span_cstr(name);
    return rq;
}

void fake_client_patch(struct fake_client *f, const char *group, const char *kind, const char *ns,
                       const char *name, const char *subresource, const char *json)
{
    struct client_request rq = named(CLIENT_PATCH_MERGE, group, kind, ns, name);
    rq.subresource = span_cstr(subresource);
    rq.body = span_cstr(json);
    must(f, &rq);
}

void fake_client_delete(struct fake_client *f, const char *group, const char *kind, const char *ns,
                        const char *name, int64_t grace_s, enum client_propagation propagation)
{
    struct client_request rq = named(CLIENT_DELETE, group, kind, ns, name);
    rq.grace_s = grace_s;
    rq.propagation = propagation;
    must(f, &rq);
}

struct object *fake_client_get(struct fake_client *f, const char *group, const char *kind,
                               const char *ns, const char *name)
{
    struct client_request rq = named(CLIENT_GET, group, kind, ns, name);
    struct arena *a = arena_new();
    struct object *o =
        map_get(&f->objects, object_key(a, span_cstr(rq.kind->resource), rq.ns, rq.name));
    arena_free(a);
    return o;
}

static int by_key(const void *a, const void *b)
{
    return span_cmp(object_store_key(*(struct object *const *)a),
                    object_store_key(*(struct object *const *)b));
}

size_t fake_client_each(struct fake_client *f, const char *group, const char *kind,
                        void (*fn)(void *data, struct object *o), void *data)
{
    VEC(struct object *) all = {0};
    struct watch w = {.kind = schema_kind_find(group, kind)};
    size_t pos = 0;
    struct object *o;
    while ((o = map_next(&f->objects, &pos, NULL))) {
        if (watch_matches(&w, o)) {
            VEC_PUSH(&all, o);
        }
    }
    size_t n = all.n;
    if (n) {
        qsort(all.at, n, sizeof(struct object *), by_key);
    }
    for (size_t i = 0; fn && i < n; i++) {
        fn(data, all.at[i]);
    }
    VEC_DONE(&all);
    return n;
}

uint64_t fake_client_writes(const struct fake_client *f)
{
    return f->writes;
}
