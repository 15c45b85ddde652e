/* controller/reconciler.c: see reconciler.h. */
#include "controller/reconciler.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "client/workqueue.h"
#include "controller/quota_wait.h"
#include "schema/schema.h"

/* A view that does not show a write by then (it was reset, and the object gone again) is taken as
 * it is. */
enum { SEEN_MAX_MS = 10 * 1000 };

struct op {
    struct list link;
    struct running *running;
    struct informer *seen_in;
    sync_reply_fn *fn;
    void *data;
    struct span ns, name, uid; /* of a deleted object */
    bool is_delete, answered;
    int64_t rev; /* of what it wrote; 0: not known */
};

/* A sync and what it waits for. */
struct running {
    struct sync sync;
    struct list link, ops;
    struct env_timer patience;
    struct span key;
    bool failed, again, in_run;
    bool
        raced; /* a request was refused: what it ran into may not be durable, so not visible, yet */
    int64_t after_ms; /* -1: none */
};

/* A run that raced looks again this much later, in another turn: the write that it ran into is
 * committed at the end of this one, and running again within it would never let it end. */
enum { RACE_MS = 1 };

/* "Not found" and "exists" may rest on a write whose commit then fails: what is expected of them
 * never comes, so that the key is looked at once more. */
enum { DOUBT_MS = 1000 };

/* A handler to take away in the end. */
struct followed {
    struct informer *informer;
    void *data;
};

struct reconciler {
    struct list link; /* in the place's reconcilers */
    struct client *client;
    const char *name;
    void (*run)(struct sync *s);
    void *controller;
    struct workqueue *queue;
    struct list running;
    bool started;
    struct list early;     /* struct early_key */
    struct strbuf scratch; /* for a key that is added */
    VEC(struct followed) followed;
    struct quota_wait *quotas;
};

struct early_key {
    struct list link;
    size_t key_n;
    char key[];
};

static struct running *running_of(struct sync *s)
{
    return CONTAINER_OF(s, struct running, sync);
}

static void op_free(struct op *op)
{
    assert(op->running);
    list_remove(&op->link);
    if (!op->answered) { /* else nobody has it any more */
        client_cancel(op->running->sync.client, op);
    }
    if (op->seen_in) {
        informer_remove_handler(op->seen_in, op);
    }
    free(op);
}

static void running_free(struct running *r)
{
    assert(!r->in_run);
    env_timer_stop(r->sync.client->env, &r->patience);
    LIST_EACH(it, &r->ops)
    {
        op_free(CONTAINER_OF(it, struct op, link));
    }
    list_remove(&r->link);
    arena_free(r->sync.arena); /* r is in it */
}

static void finish(struct running *r)
{
    struct workqueue *q = r->sync.reconciler->queue;
    assert(list_is_empty(&r->ops));
    assert(!r->in_run);
    if (r->again && !r->failed) { /* what failed holds back first */
        workqueue_add_after(q, r->key, r->raced ? RACE_MS : 0);
    }
    if (r->after_ms >= 0) {
        workqueue_add_after(q, r->key, r->after_ms);
    }
    struct arena *a = TAKE_PTR(r->sync.arena);
    struct span key = r->key;
    assert(a);
    assert(key.n > 0);
    bool ok = !r->failed;
    running_free(r);
    workqueue_done(q, key, ok);
    arena_free(a);
}

static void finish_if_idle(struct running *r)
{
    if (!r->in_run && list_is_empty(&r->ops)) {
        finish(r);
    }
}

static void on_patience(struct env_timer *timer)
{
    struct running *r = CONTAINER_OF(timer, struct running, patience);
    assert(!r->in_run && !list_is_empty(&r->ops)); /* else it would have ended */
    log_event(LOG_WARN, "sync_view_late", LOG_C("controller", r->sync.reconciler->name),
              LOG_S("key", r->key));
    LIST_EACH(it, &r->ops)
    {
        op_free(CONTAINER_OF(it, struct op, link));
    }
    r->again = true;
    finish(r);
}

static void op_seen(void *data)
{
    struct op *op = data;
    struct running *r = op->running;
    assert(op->answered);
    assert(op->seen_in);
    /* What it made may have been gone by the time of that list: nothing else would tell. */
    r->again = r->again || (op->rev > 0 && op->rev <= informer_list_rev(op->seen_in));
    op->seen_in = NULL; /* the wait is over and freed by the informer */
    op_free(op);
    finish_if_idle(r);
}

static void on_reply(void *data, const struct client_reply *reply)
{
    struct op *op = data;
    struct running *r = op->running;
    assert(!op->answered);
    op->answered = true;
    bool handled = op->fn && op->fn(&r->sync, op->data, reply);
    if (reply->err.reason != ERR_NONE) {
        r->raced = true;
        quota_wait_note(r->sync.reconciler->quotas, &reply->err, r->key);
        if (!handled) {
            bool race = reply->err.reason == ERR_CONFLICT || reply->err.reason == ERR_NOT_FOUND ||
                        reply->err.reason == ERR_ALREADY_EXISTS;
            log_event(race ? LOG_DEBUG : LOG_WARN, "sync_write_failed",
                      LOG_C("controller", r->sync.reconciler->name), LOG_S("key", r->key),
                      LOG_S("error", reply->err.message));
            r->failed = true;
        } else if (reply->err.reason == ERR_NOT_FOUND || reply->err.reason == ERR_ALREADY_EXISTS) {
            sync_after(&r->sync, DOUBT_MS);
        }
        op->seen_in = NULL;
    }
    if (!op->seen_in) {
        op_free(op);
        finish_if_idle(r);
        return;
    }
    op->rev = reply->object ? object_rev(reply->object) : op->is_delete ? 0 : reply->rev;
    if (!env_timer_armed(&r->patience)) {
        env_timer_start(r->sync.client->env, &r->patience, SEEN_MAX_MS, on_patience);
    }
    informer_wait(op->seen_in, op->rev, op->ns, op->name, op->uid, op_seen, op);
}

void sync_do(struct sync *s, const struct client_request *request, struct informer *seen_in,
             sync_reply_fn *fn, void *data)
{
    struct running *r = running_of(s);
    assert(s->arena && request->kind); /* the sync has not ended */
    assert(!seen_in || request->verb != CLIENT_LIST);
    struct op *op = MEM_NEW(struct op);
    list_init(&op->link);
    op->running = r;
    op->seen_in = seen_in;
    op->fn = fn;
    op->data = data;
    if (request->verb == CLIENT_DELETE) {
        op->is_delete = true;
        op->ns = arena_dup(s->arena, request->ns);
        op->name = arena_dup(s->arena, request->name);
        op->uid = arena_dup(s->arena, request->precondition_uid);
    }
    list_push_back(&r->ops, &op->link);
    struct client_request rq = *request;
    if (rq.field_manager.n == 0) {
        rq.field_manager = span_cstr(s->reconciler->name);
    }
    client_do(s->client, &rq, on_reply, op);
}

static void patch(struct sync *s, struct informer *seen_in, struct object *o, struct span sub,
                  const struct client_body *b, sync_reply_fn *fn, void *data)
{
    struct client_request rq = client_request_for(CLIENT_PATCH_MERGE, informer_kind(seen_in), o);
    rq.subresource = sub;
    rq.tree = client_body_tree(b);
    sync_do(s, &rq, seen_in, fn, data);
}

void sync_patch(struct sync *s, struct informer *seen_in, struct object *o,
                const struct client_body *b, sync_reply_fn *fn, void *data)
{
    patch(s, seen_in, o, SPAN_NULL, b, fn, data);
}

void sync_patch_status(struct sync *s, struct informer *seen_in, struct object *o,
                       const struct client_body *b, sync_reply_fn *fn, void *data)
{
    patch(s, seen_in, o, SPAN("status"), b, fn, data);
}

void sync_delete(struct sync *s, struct informer *seen_in, struct object *o, sync_reply_fn *fn,
                 void *data)
{
    struct client_request rq = client_request_for(CLIENT_DELETE, informer_kind(seen_in), o);
    rq.precondition_uid = object_uid(o);
    assert(rq.precondition_uid.n > 0);
    sync_do(s, &rq, seen_in, fn, data);
}

bool sync_or_gone(struct sync *s, void *data, const struct client_reply *reply)
{
    (void)s;
    (void)data;
    return reply->err.reason == ERR_NOT_FOUND;
}

bool sync_or_changed(struct sync *s, void *data, const struct client_reply *reply)
{
    return sync_or_gone(s, data, reply) || reply->err.reason == ERR_CONFLICT;
}

void sync_again(struct sync *s)
{
    assert(s);
    running_of(s)->again = true;
}

void sync_after(struct sync *s, int64_t delay_ms)
{
    struct running *r = running_of(s);
    assert(s->arena);
    delay_ms = delay_ms < 1 ? 1 : delay_ms;
    if (r->after_ms < 0 || delay_ms < r->after_ms) {
        r->after_ms = delay_ms;
    }
}

void sync_at(struct sync *s, int64_t at_ms)
{
    if (at_ms > 0) {
        sync_after(s, at_ms - s->now_ms);
    }
}

void sync_fail(struct sync *s)
{
    assert(s);
    running_of(s)->failed = true;
}

static void work(void *data, struct span key)
{
    struct reconciler *rec = data;
    struct arena *a = arena_new();
    struct running *r = ARENA_NEW(a, struct running);
    list_init(&r->ops);
    list_push_back(&rec->running, &r->link);
    r->after_ms = -1;
    r->sync = (struct sync){.reconciler = rec,
                            .client = rec->client,
                            .arena = a,
                            .now_ms = env_now_ms(rec->client->env),
                            .controller = rec->controller};
    r->key = arena_dup(a, key);
    size_t slash = span_rfind(r->key, '/');
    assert(rec->started && slash < r->key.n); /* NAMESPACE/NAME, as it was added */
    r->sync.ns = span_first(r->key, slash);
    r->sync.name = span_from(r->key, slash + 1);
    r->in_run = true;
    rec->run(&r->sync);
    assert(r->in_run);
    r->in_run = false;
    finish_if_idle(r);
}

static void wake(void *data, struct span key)
{
    struct reconciler *r = data;
    workqueue_add(r->queue, key);
}

struct reconciler *reconciler_new(const struct controller_place *place, const char *name,
                                  size_t parallel, void (*run)(struct sync *s), void *controller)
{
    struct client *client = place->client;
    assert(client);
    assert(name);
    assert(run);
    assert(parallel > 0);
    struct reconciler *r = MEM_NEW(struct reconciler);
    r->client = client;
    r->name = name;
    r->run = run;
    r->controller = controller;
    r->queue = workqueue_new(client->env, parallel, work, r);
    workqueue_announce(r->queue, &client->queues, name);
    list_init(&r->running);
    list_init(&r->early);
    list_push_back(place->reconcilers, &r->link);
    r->quotas = quota_wait_new(place->informers, wake, r);
    return r;
}

void reconciler_free(struct reconciler *r)
{
    if (!r) {
        return;
    }
    for (size_t i = 0; i < r->followed.n; i++) {
        informer_remove_handler(r->followed.at[i].informer, r->followed.at[i].data);
    }
    VEC_DONE(&r->followed);
    quota_wait_free(r->quotas);
    LIST_EACH(it, &r->running)
    {
        running_free(CONTAINER_OF(it, struct running, link));
    }
    LIST_EACH(it, &r->early)
    {
        free(CONTAINER_OF(it, struct early_key, link));
    }
    workqueue_free(r->queue);
    strbuf_done(&r->scratch);
    list_remove(&r->link);
    free(r);
}

void reconciler_follow(struct reconciler *r, struct informer *informer,
                       const struct informer_handler *handler, void *data)
{
    assert(informer);
    assert(handler);
    struct followed f = {informer, data};
    informer_add_handler(informer, handler, data);
    VEC_PUSH(&r->followed, f);
}

static void reconciler_add_after(struct reconciler *r, struct span ns, struct span name,
                                 int64_t delay_ms)
{
    struct span key = object_place_of(&r->scratch, ns, name);
    if (r->started) {
        workqueue_add_after(r->queue, key, delay_ms);
        return;
    }
    struct early_key *k = mem_new(sizeof *k + key.n);
    memcpy(k->key, key.p, key.n);
    k->key_n = key.n;
    list_push_back(&r->early, &k->link);
}

void reconciler_add(struct reconciler *r, struct span ns, struct span name)
{
    reconciler_add_after(r, ns, name, 0);
}

void reconciler_add_object(struct reconciler *r, struct object *o)
{
    assert(o);
    reconciler_add(r, object_namespace(o), object_name(o));
}

static void start(struct reconciler *r)
{
    assert(!r->started);
    r->started = true;
    assert(list_is_empty(&r->running));
    LIST_EACH(it, &r->early)
    {
        struct early_key *k = CONTAINER_OF(it, struct early_key, link);
        workqueue_add(r->queue, span_of(k->key, k->key_n));
        list_remove(&k->link);
        free(k);
    }
}

void reconcilers_start(struct list *reconcilers)
{
    assert(reconcilers);
    LIST_EACH(it, reconcilers)
    {
        start(CONTAINER_OF(it, struct reconciler, link));
    }
}

void reconcilers_let_go(struct list *reconcilers)
{
    assert(reconcilers);
    LIST_EACH(it, reconcilers)
    {
        CONTAINER_OF(it, struct reconciler, link)->followed.n = 0;
    }
}
