#include "net/proxy.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "base/vec.h"
#include "client/informer.h"
#include "codec/json.h"
#include "net/net_slice.h"
#include "net/proxy_table.h"
#include "plan/host_port.h"
#include "plan/proxy_plan.h"
#include "schema/kinds.h"

enum { RETRY_MS = 1000 };

/* A service or pod that has something in the table or is about to be looked at. */
struct entry {
    char *key;           /* "NS/NAME"; of a pod "pod/NS/NAME" */
    struct arena *arena; /* of plan; NULL: never looked at */
    struct proxy_plan plan;
    bool dirty;
};

typedef VEC(struct entry *) entry_list;

struct proxy {
    struct env *env;
    char *node;
    struct informer *services, *slices, *pods;
    int slices_by_service; /* index: "NS/SERVICE" */
    int waiting;           /* informers not synced yet */
    struct map entries;    /* key -> struct entry */
    entry_list dirty;
    struct proxy_table *table;
    bool known; /* what the kernel's table holds is in `table` */
    bool busy, stopped;
    bool doubted; /* what the work under way finds may not be so any more */
    struct env_task task;
    struct env_timer retry;
    struct env_work work;
    int code; /* of the work */
};

static void on_task(struct env_task *task);

/* ---- what is to be looked at ---- */

static void mark(struct proxy *p, struct entry *e)
{
    if (!e->dirty) {
        e->dirty = true;
        VEC_PUSH(&p->dirty, e);
    }
}

static void mark_all(struct proxy *p)
{
    size_t it = 0;
    struct entry *e;
    while ((e = map_next(&p->entries, &it, NULL))) {
        mark(p, e);
    }
}

#define POD_PREFIX SPAN("pod/")

static void touch(struct proxy *p, struct span prefix, struct span ns, struct span name)
{
    struct arena *a cleanup_arena = arena_new();
    struct span key =
        arena_printf(a, "%.*s%.*s/%.*s", SPAN_ARG(prefix), SPAN_ARG(ns), SPAN_ARG(name));
    struct entry *e = map_get(&p->entries, key);
    if (!e) {
        e = MEM_NEW(struct entry);
        e->key = mem_strdup(key.p);
        (void)map_put(&p->entries, span_cstr(e->key), e);
    }
    assert(e->key);
    mark(p, e);
    env_post(p->env, &p->task, on_task);
}

static void on_service(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct object *o = now ? now : old;
    touch(data, SPAN_NULL, object_namespace(o), object_name(o));
}

static void on_pod(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct object *o = now ? now : old;
    if (host_port_wanted(json_get(object_root(o), "spec"))) { /* which stay as they are */
        touch(data, POD_PREFIX, object_namespace(o), object_name(o));
    }
}

static void on_slice(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    if (old && net_slice_service(old).n) {
        touch(data, SPAN_NULL, object_namespace(old), net_slice_service(old));
    }
    if (now && net_slice_service(now).n) {
        touch(data, SPAN_NULL, object_namespace(now), net_slice_service(now));
    }
}

/* ---- one transaction ---- */

static void plan_pod(const struct proxy *p, struct entry *e)
{
    assert(span_starts(span_cstr(e->key), POD_PREFIX));
    struct span name = span_from(span_cstr(e->key), POD_PREFIX.n), ns = span_cut(&name, '/');
    struct object *pod = informer_get(p->pods, ns, name);
    proxy_plan_pod(e->arena, pod ? object_root(pod) : NULL, &e->plan);
}

static void plan_service(const struct proxy *p, struct entry *e)
{
    struct span name = span_cstr(e->key), ns = span_cut(&name, '/');
    struct object *service = informer_get(p->services, ns, name);
    net_slice_list slices = {0};
    informer_index_each(p->slices, p->slices_by_service, span_cstr(e->key), net_slice_collect,
                        &slices);
    const struct proxy_view view = {.service = service ? object_root(service) : NULL,
                                    .slices = slices.at,
                                    .slice_count = slices.n,
                                    .node = span_cstr(p->node)};
    proxy_plan(e->arena, &view, &e->plan);
    VEC_DONE(&slices);
}

/* A key of three parts is a pod's. */
static bool is_pod(const struct entry *e)
{
    struct span rest = span_cstr(e->key);
    (void)span_cut(&rest, '/');
    return span_find(rest, '/') < rest.n;
}

static void decide(struct proxy *p, struct entry *e)
{
    assert(!e->dirty);
    struct proxy_plan was = e->plan;
    struct arena *old = e->arena;
    e->arena = arena_new();
    if (is_pod(e)) {
        plan_pod(p, e);
    } else {
        plan_service(p, e);
    }
    if (proxy_table_release(p->table, e, &was, &e->plan)) {
        mark_all(p); /* somebody waits for an address that is free now */
    }
    arena_free(old);
}

static void drop_if_empty(struct proxy *p, struct entry *e)
{
    if (e->plan.count == 0 && !e->dirty) {
        struct entry *known = map_remove(&p->entries, span_cstr(e->key));
        assert(known == e);
        arena_free(e->arena);
        free(e->key);
        free(e);
    }
}

/* Releases come first: an address may pass from one service to another. */
static bool put_changes(struct proxy *p)
{
    assert(p->known);
    assert(!p->busy);
    entry_list now = p->dirty;
    p->dirty = (entry_list){0};
    for (size_t i = 0; i < now.n; i++) {
        assert(now.at[i]->dirty);
        now.at[i]->dirty = false;
        decide(p, now.at[i]);
    }
    for (size_t i = 0; i < now.n; i++) {
        proxy_table_claim(p->table, now.at[i], &now.at[i]->plan);
    }
    bool any = proxy_table_put(p->table);
    for (size_t i = 0; i < now.n; i++) {
        drop_if_empty(p, now.at[i]);
    }
    VEC_DONE(&now);
    return any;
}

static void on_retry(struct env_timer *timer)
{
    struct proxy *p = CONTAINER_OF(timer, struct proxy, retry);
    env_post(p->env, &p->task, on_task);
}

static void work_read(struct env_work *work)
{
    struct proxy *p = CONTAINER_OF(work, struct proxy, work);
    p->code = proxy_table_read(p->table);
}

static void work_commit(struct env_work *work)
{
    struct proxy *p = CONTAINER_OF(work, struct proxy, work);
    p->code = proxy_table_commit(p->table);
}

/* The work has come back: true when it has succeeded and there is more to do. */
static bool succeeded(struct proxy *p)
{
    assert(p->busy);
    p->busy = false;
    if (p->stopped) {
        return false;
    }
    if (p->doubted) {
        proxy_read_again(p);
        return false;
    }
    if (p->code >= 0) {
        return true;
    }
    log_event(LOG_WARN, "service_proxy_failed", LOG_C("table", proxy_table_name(p->table)),
              LOG_C("why", code_text(p->code)));
    p->known = false;
    env_timer_start(p->env, &p->retry, RETRY_MS, on_retry);
    return false;
}

void proxy_read_again(struct proxy *p)
{
    p->doubted = p->busy;
    p->known = p->known && p->busy;
    env_post(p->env, &p->task, on_task);
}

static void on_read(struct env_work *work)
{
    struct proxy *p = CONTAINER_OF(work, struct proxy, work);
    if (!succeeded(p)) {
        return;
    }
    assert(!p->known);
    p->known = true;
    mark_all(p);
    env_post(p->env, &p->task, on_task);
}

static void on_committed(struct env_work *work)
{
    struct proxy *p = CONTAINER_OF(work, struct proxy, work);
    if (!succeeded(p)) {
        return;
    }
    if (proxy_table_stale_code(p->table) < 0) {
        log_event(LOG_WARN, "service_proxy_stale",
                  LOG_C("why", code_text(proxy_table_stale_code(p->table))),
                  LOG_C("effect", "UDP clients may keep to an endpoint that has gone"));
    }
    env_post(p->env, &p->task, on_task);
}

static void on_task(struct env_task *task)
{
    struct proxy *p = CONTAINER_OF(task, struct proxy, task);
    if (p->waiting || p->busy || p->stopped || env_timer_armed(&p->retry)) {
        return; /* what ends it comes back here */
    }
    if (!p->known) {
        p->busy = true;
        env_work_start(p->env, &p->work, work_read, on_read);
    } else if (put_changes(p)) {
        p->busy = true;
        env_work_start(p->env, &p->work, work_commit, on_committed);
    } else if (p->dirty.n) {
        env_post(p->env, &p->task, on_task);
    }
}

static void on_synced(void *data)
{
    struct proxy *p = data;
    assert(p->waiting > 0);
    p->waiting--;
    env_post(p->env, &p->task, on_task);
}

static struct informer *watch(struct proxy *p, struct client *client,
                              const struct schema_kind *kind, struct span field_selector,
                              void (*on_change)(void *, struct object *, struct object *))
{
    const struct client_request all = {CLIENT_REQUEST_INIT, .kind = kind,
                                       .field_selector = field_selector};
    const struct informer_handler handler = {on_change};
    struct informer *i = informer_new(client, &all);
    if (kind == SCHEMA_KIND(EndpointSlice)) {
        p->slices_by_service = informer_add_index(i, net_slice_key);
    }
    informer_add_handler(i, &handler, p);
    informer_on_synced(i, on_synced, p);
    p->waiting++;
    return i;
}

struct proxy *proxy_new(struct env *env, struct client *client,
                        const struct os_nft_service_table *table, struct span node)
{
    assert(env);
    assert(client);
    assert(table);
    struct proxy *p = MEM_NEW(struct proxy);
    p->env = env;
    p->node = strndup(node.p, node.n);
    p->table = proxy_table_new(table);
    p->services = watch(p, client, SCHEMA_KIND(Service), SPAN_NULL, on_service);
    p->slices = watch(p, client, SCHEMA_KIND(EndpointSlice), SPAN_NULL, on_slice);
    struct arena *a cleanup_arena = arena_new();
    p->pods = watch(p, client, SCHEMA_KIND(Pod),
                    arena_printf(a, "spec.nodeName=%.*s", SPAN_ARG(node)), on_pod);
    return p;
}

void proxy_stop(struct proxy *p)
{
    assert(p);
    p->stopped = true;
    env_timer_stop(p->env, &p->retry);
    env_post_cancel(p->env, &p->task);
}
