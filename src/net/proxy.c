#include "net/proxy.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "base/vec.h"
#include "client/informer.h"
#include "codec/json.h"
#include "net/net_slice.h"
#include "plan/proxy_plan.h"
#include "schema/kinds.h"

enum { RETRY_MS = 1000 };

/* A service that has something in the table or is about to be looked at. */
struct entry {
    char *key;                /* "NS/NAME" */
    struct arena *arena;      /* of done; NULL: nothing in the table */
    struct proxy_plan in;     /* what the table has; ports without endpoints are not in it */
    struct arena *next_arena; /* only within one flush */
    struct proxy_plan next;
    bool dirty;
};

struct proxy {
    struct env *env;
    struct os_nft_service_table table;
    struct informer *services, *slices;
    int slices_by_service; /* index: "NS/SERVICE" */
    int waiting;           /* informers not synced yet */
    struct map entries;    /* key -> struct entry */
    VEC(struct entry *) dirty;
    bool fresh; /* the next transaction makes the table anew */
    bool busy, stopped;
    struct env_task task;
    struct env_timer retry;
    struct env_work work;
    struct os_nft_batch *batch; /* the work thread's while busy */
    int code;
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

static void touch(struct proxy *p, struct span ns, struct span name)
{
    struct arena *a cleanup_arena = arena_new();
    struct span key = arena_printf(a, "%.*s/%.*s", SPAN_ARG(ns), SPAN_ARG(name));
    struct entry *e = map_get(&p->entries, key);
    if (!e) {
        e = MEM_NEW(struct entry);
        e->key = mem_strdup(key.p);
        (void)map_put(&p->entries, span_cstr(e->key), e);
    }
    mark(p, e);
    env_post(p->env, &p->task, on_task);
}

static void on_service(void *data, struct object *old, struct object *now)
{
    struct object *o = now ? now : old;
    touch(data, object_namespace(o), object_name(o));
}

static void on_slice(void *data, struct object *old, struct object *now)
{
    if (old && net_slice_service(old).n) {
        touch(data, object_namespace(old), net_slice_service(old));
    }
    if (now && net_slice_service(now).n) {
        touch(data, object_namespace(now), net_slice_service(now));
    }
}

/* ---- one transaction ---- */

static void decide(struct proxy *p, struct entry *e)
{
    struct span name = span_cstr(e->key), ns = span_cut(&name, '/');
    struct object *service = informer_get(p->services, ns, name);
    net_slice_list slices = {0};
    informer_index_each(p->slices, p->slices_by_service, span_cstr(e->key), net_slice_collect,
                        &slices);
    const struct proxy_view view = {.service = service ? object_root(service) : NULL,
                                    .slices = slices.at,
                                    .slice_count = slices.n};
    e->next_arena = arena_new();
    proxy_plan(e->next_arena, &view, &e->next);
    VEC_DONE(&slices);
}

/* The port of the plan that leads somewhere, or NULL. */
static const struct proxy_port *find(const struct proxy_plan *plan, const struct proxy_port *port)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (proxy_port_same(&plan->ports[i], port) && plan->ports[i].endpoint_count) {
            return &plan->ports[i];
        }
    }
    return NULL;
}

static struct os_nft_service_key key_of(const struct proxy_port *port)
{
    return (struct os_nft_service_key){port->addr, port->port, port->protocol};
}

static size_t put_removed(struct proxy *p, const struct entry *e)
{
    size_t n = 0;
    for (size_t i = 0; i < e->in.count; i++) {
        const struct proxy_port *port = &e->in.ports[i];
        if (port->endpoint_count && !find(&e->next, port)) {
            os_nft_service_remove(p->batch, p->table.table, key_of(port));
            n++;
        }
    }
    return n;
}

static size_t put_set(struct proxy *p, const struct entry *e)
{
    size_t n = 0;
    struct os_nft_endpoint to[PROXY_ENDPOINTS_MAX];
    _Static_assert((int)PROXY_ENDPOINTS_MAX <= (int)OS_NFT_ENDPOINTS_MAX, "the table takes them");
    for (size_t i = 0; i < e->next.count; i++) {
        const struct proxy_port *port = &e->next.ports[i], *was = find(&e->in, port);
        if (port->endpoint_count == 0 || (was && proxy_endpoints_same(port, was))) {
            continue;
        }
        assert(port->endpoint_count <= PROXY_ENDPOINTS_MAX);
        for (size_t k = 0; k < port->endpoint_count; k++) {
            to[k] = (struct os_nft_endpoint){port->endpoints[k].addr, port->endpoints[k].port};
        }
        os_nft_service_set(p->batch, p->table.table, key_of(port), was != NULL, to,
                           port->endpoint_count);
        n++;
    }
    return n;
}

/* What was decided is what the table will have. */
static void settle(struct proxy *p, struct entry *e)
{
    arena_free(e->arena);
    e->arena = e->next_arena;
    e->in = e->next;
    e->next_arena = NULL;
    e->next = (struct proxy_plan){0};
    e->dirty = false;
    if (e->in.count == 0) {
        (void)map_remove(&p->entries, span_cstr(e->key));
        arena_free(e->arena);
        free(e->key);
        free(e);
    }
}

/* Removals first: an address may pass from one service to another. */
static size_t put_changes(struct proxy *p)
{
    size_t n = 0;
    if (p->fresh) {
        os_nft_service_reset(p->batch, &p->table);
        p->fresh = false;
        n++;
    }
    for (size_t i = 0; i < p->dirty.n; i++) {
        decide(p, p->dirty.at[i]);
        n += put_removed(p, p->dirty.at[i]);
    }
    for (size_t i = 0; i < p->dirty.n; i++) {
        n += put_set(p, p->dirty.at[i]);
    }
    for (size_t i = 0; i < p->dirty.n; i++) {
        settle(p, p->dirty.at[i]);
    }
    p->dirty.n = 0;
    return n;
}

static void forget_table(struct proxy *p)
{
    size_t it = 0;
    struct entry *e;
    struct span key;
    while ((e = map_next(&p->entries, &it, &key))) {
        arena_free(e->arena);
        e->arena = NULL;
        e->in = (struct proxy_plan){0};
        mark(p, e);
    }
    p->fresh = true;
}

static void on_retry(struct env_timer *timer)
{
    struct proxy *p = CONTAINER_OF(timer, struct proxy, retry);
    env_post(p->env, &p->task, on_task);
}

static void commit(struct env_work *work)
{
    struct proxy *p = CONTAINER_OF(work, struct proxy, work);
    p->code = os_nft_commit(p->batch);
}

static void on_committed(struct env_work *work)
{
    struct proxy *p = CONTAINER_OF(work, struct proxy, work);
    assert(p->busy);
    p->busy = false;
    if (p->stopped) {
        return;
    }
    if (p->code < 0) {
        log_event(LOG_WARN, "service_proxy_failed", LOG_C("table", p->table.table),
                  LOG_C("why", code_text(p->code)));
        forget_table(p);
        env_timer_start(p->env, &p->retry, RETRY_MS, on_retry);
        return;
    }
    env_post(p->env, &p->task, on_task);
}

static void on_task(struct env_task *task)
{
    struct proxy *p = CONTAINER_OF(task, struct proxy, task);
    if (p->waiting || p->busy || p->stopped || env_timer_armed(&p->retry)) {
        return; /* what ends it comes back here */
    }
    if (put_changes(p)) {
        p->busy = true;
        env_work_start(p->env, &p->work, commit, on_committed);
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
                              const struct schema_kind *kind,
                              void (*on_change)(void *, struct object *, struct object *))
{
    const struct client_request all = {.kind = kind, CLIENT_REQUEST_INIT};
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
                        const struct os_nft_service_table *table)
{
    struct proxy *p = MEM_NEW(struct proxy);
    p->env = env;
    p->table = *table;
    p->fresh = true;
    p->batch = os_nft_batch_new();
    p->services = watch(p, client, SCHEMA_KIND(Service), on_service);
    p->slices = watch(p, client, SCHEMA_KIND(EndpointSlice), on_slice);
    return p;
}

void proxy_stop(struct proxy *p)
{
    p->stopped = true;
    env_timer_stop(p->env, &p->retry);
    env_post_cancel(p->env, &p->task);
}
