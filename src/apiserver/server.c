/* The server's life: made, ready, freed. */
#include "apiserver/server.h"

#include "apiserver/admission.h"
#include "apiserver/authorize.h"
#include "apiserver/definitions.h"
#include "apiserver/event_ttl.h"
#include "apiserver/quota.h"
#include "apiserver/snapshot.h"
#include "base/check.h"
#include "base/mem.h"
#include "managed/managed_shape.h"
#include "token/token.h"

struct ready_waiter {
    struct list link;
    void (*fn)(void *data);
    void *data;
};

static struct apiserver_options copy_options(struct arena *a, const struct apiserver_options *o)
{
    struct apiserver_options c = *o;
    c.service_cidr = arena_dup(a, o->service_cidr);
    c.cluster_dns = arena_dup(a, o->cluster_dns);
    c.server_address = arena_dup(a, o->server_address);
    c.git_version = arena_dup(a, o->git_version);
    c.platform = arena_dup(a, o->platform);
    c.public_url = arena_dup(a, o->public_url);
    c.token_issuer = arena_dup(a, o->token_issuer);
    c.root_ca = arena_dup(a, o->root_ca);
    c.token_key = SPAN_NULL; /* as PEM it is needed once */
    return c;
}

static void on_ready_task(struct env_task *task)
{
    struct apiserver *s = CONTAINER_OF(task, struct apiserver, ready_task);
    struct list *link;
    while (s->is_ready && (link = list_pop_front(&s->ready_waiters))) {
        struct ready_waiter *w = CONTAINER_OF(link, struct ready_waiter, link);
        void (*fn)(void *) = w->fn;
        void *data = w->data;
        free(w);
        fn(data);
    }
}

struct apiserver *apiserver_new(struct env *env, struct store *store, struct watch_hub *hub,
                                const struct apiserver_options *options)
{
    assert(env);
    assert(store);
    assert(hub);
    assert(options);
    struct apiserver *s = MEM_NEW(struct apiserver);
    s->env = env;
    s->store = store;
    s->hub = hub;
    s->arena = arena_new();
    s->options = copy_options(s->arena, options);
    s->snapshots = snapshots_new(env);
    s->shapes = managed_shapes_new();
    list_init(&s->ready_waiters);
    uint32_t dns = 0;
    if (ip_alloc_init(&s->services.ips, s->options.service_cidr) &&
        ip_parse(s->options.cluster_dns, &dns)) {
        (void)ip_alloc_claim(&s->services.ips, dns);
    }
    admission_claim_existing(s);
    if (options->token_key.n) {
        s->token_key = token_key_load(options->token_key);
        assert(s->token_key && options->token_issuer.n); /* looked at by whoever read the file */
        s->token_cache = token_cache_new();
        admission_token_init(s);
    }
    (void)definitions_new(s);
    s->quotas = quotas_new(s);
    s->event_ttl = event_ttl_new(s);
    bootstrap_start(s);
    return s;
}

static void destroy(struct apiserver *s)
{
    ip_alloc_done(&s->services.ips);
    token_cache_free(s->token_cache);
    token_key_free(s->token_key);
    managed_shapes_free(s->shapes);
    arena_free(s->arena);
    free(s);
}

void apiserver_write_done(struct apiserver *s)
{
    assert(s->writes_open > 0);
    if (--s->writes_open == 0 && s->is_freed) {
        destroy(s);
    }
}

void apiserver_free(struct apiserver *s)
{
    if (!s) {
        return;
    }
    assert(!s->is_freed);
    event_ttl_free(TAKE_PTR(s->event_ttl));
    quotas_free(TAKE_PTR(s->quotas));
    definitions_free(TAKE_PTR(s->definitions));
    bootstrap_free(s->bootstrap);
    snapshots_free(s->snapshots);
    roles_free(TAKE_PTR(s->roles));
    s->bootstrap = NULL;
    s->snapshots = NULL;
    env_post_cancel(s->env, &s->ready_task);
    struct list *link;
    while ((link = list_pop_front(&s->ready_waiters))) {
        free(CONTAINER_OF(link, struct ready_waiter, link));
    }
    s->is_freed = true;
    if (s->writes_open == 0) {
        destroy(s);
    }
}

bool apiserver_is_ready(const struct apiserver *s)
{
    assert(s);
    return s->is_ready;
}

void apiserver_became_ready(struct apiserver *s)
{
    assert(!s->is_ready);
    s->is_ready = true;
    env_post(s->env, &s->ready_task, on_ready_task);
}

void apiserver_on_ready(struct apiserver *s, void (*fn)(void *data), void *data)
{
    assert(fn);
    struct ready_waiter *w = MEM_NEW(struct ready_waiter);
    w->fn = fn;
    w->data = data;
    list_init(&w->link);
    list_push_back(&s->ready_waiters, &w->link);
    if (s->is_ready) {
        env_post(s->env, &s->ready_task, on_ready_task);
    }
}

void apiserver_on_kind_changed(struct apiserver *s, void (*fn)(void *data, struct span resource),
                               void *data)
{
    assert(!fn || !s->kind_changed);
    s->kind_changed = fn;
    s->kind_changed_data = data;
}
