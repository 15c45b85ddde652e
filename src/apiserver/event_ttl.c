#include "apiserver/event_ttl.h"

#include "apiserver/op.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/time.h"
#include "schema/kinds.h"
#include "watch/watch.h"

/* Deletes of one turn of the timer; the rest follows in the next. */
enum { DELETES_A_TURN = 128, RETRY_MS = 30 * 1000 };

struct entry {
    struct heap_node node; /* by the time it ends, milliseconds since 1970 */
    size_t key_n;
    char key[];
};

struct event_ttl {
    struct apiserver *server;
    struct map entries; /* store key -> struct entry */
    struct heap by_end;
    struct watcher *watcher;
    struct env_timer timer;
};

static void on_timer(struct env_timer *timer);

static void arm(struct event_ttl *t)
{
    struct heap_node *first = heap_min(&t->by_end);
    if (!first) {
        env_timer_stop(t->server->env, &t->timer);
        return;
    }
    int64_t wait = first->key - env_now_ms(t->server->env);
    env_timer_start(t->server->env, &t->timer, wait > 0 ? wait : 0, on_timer);
}

static void forget(struct event_ttl *t, struct span key)
{
    struct entry *e = map_remove(&t->entries, key);
    if (e) {
        assert(heap_has(&e->node));
        heap_remove(&t->by_end, &e->node);
        free(e);
    }
    assert(t->entries.n == t->by_end.n);
}

static void remember(struct event_ttl *t, struct span key, int64_t end_ms)
{
    struct map_slot *slot = map_seek(&t->entries, key);
    struct entry *e = slot->value;
    if (e) {
        heap_remove(&t->by_end, &e->node);
    } else {
        e = mem_new(sizeof *e + key.n);
        e->key_n = key.n;
        memcpy(e->key, key.p, key.n);
        map_fill(&t->entries, slot, span_of(e->key, e->key_n), e);
    }
    heap_insert(&t->by_end, &e->node, end_ms);
    assert(t->entries.n == t->by_end.n);
    assert(end_ms > 0);
}

/* ---- ending ---- */

struct ending {
    struct arena *arena;
    struct span key;
    struct api_op op;
};

/* One that a bad disk kept is tried again: nobody else would. */
static void on_ended(struct api_op *op)
{
    assert(op->verb == API_DELETE);
    assert(op->is_finished);
    struct ending *d = CONTAINER_OF(op, struct ending, op);
    struct event_ttl *t = op->server->event_ttl;
    bool stays = op->err.reason != ERR_NONE && op->err.reason != ERR_NOT_FOUND;
    if (stays && t) {
        remember(t, d->key, env_now_ms(op->server->env) + RETRY_MS);
        arm(t);
    }
    api_op_release(op);
    arena_free(d->arena); /* d lives in it */
}

static void end_event(struct event_ttl *t, struct span key)
{
    struct arena *a = arena_new();
    struct ending *d = ARENA_NEW(a, struct ending);
    struct span resource, ns, name;
    d->arena = a;
    d->key = arena_dup(a, key);
    bool ok = object_key_split(d->key, &resource, &ns, &name);
    assert(ok);
    d->op = (struct api_op){.server = t->server,
                            .arena = a,
                            .verb = API_DELETE,
                            .kind = SCHEMA_KIND(Event),
                            .ns = ns,
                            .name = name,
                            .options.grace_s = -1,
                            .done = on_ended};
    api_op_run(&d->op);
}

static void on_timer(struct env_timer *timer)
{
    struct event_ttl *t = CONTAINER_OF(timer, struct event_ttl, timer);
    int64_t now = env_now_ms(t->server->env);
    for (int i = 0; i < DELETES_A_TURN; i++) {
        struct heap_node *first = heap_min(&t->by_end);
        if (!first || first->key > now) {
            break;
        }
        struct entry *e = CONTAINER_OF(first, struct entry, node);
        struct arena *a cleanup_arena = arena_new();
        struct span key = arena_dup(a, span_of(e->key, e->key_n));
        forget(t, key);
        end_event(t, key);
    }
    arm(t);
}

/* ---- what there is ---- */

/* The latest of all its times: lastTimestamp, eventTime, series.lastObservedTime,
 * metadata.creationTimestamp. Found in the text, since a start would else take every event apart;
 * within a string the quotes would be escaped. */
static int64_t last_ms(struct object *o)
{
    const struct span marks[] = {SPAN("Timestamp\":\""), SPAN("Time\":\"")};
    int64_t last = 0;
    struct span rest = object_json(o), seen = SPAN_NULL;
    for (size_t at; (at = span_find(rest, 'T')) < rest.n;) {
        rest = span_from(rest, at);
        size_t n = 1;
        for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
            n = span_starts(rest, marks[i]) ? marks[i].n : n;
        }
        rest = span_from(rest, n);
        struct span text = n > 1 ? span_cut(&rest, '"') : seen;
        if (!span_eq(text, seen)) { /* mostly they are all the same */
            int64_t ms = time_or(text, 0);
            last = ms > last ? ms : last;
            seen = text;
        }
    }
    return last;
}

static bool on_existing(void *data, struct object *o)
{
    struct event_ttl *t = data;
    remember(t, object_store_key(o), last_ms(o) + LIMIT_EVENT_TTL_S * 1000);
    return true;
}

static void on_more(void *data);

static void start(struct event_ttl *t)
{
    struct watch_filter events = {.resource = SPAN("events")};
    struct watch_hub *hub = t->server->hub;
    t->watcher = watcher_new(hub, &events, watch_hub_rev(hub), on_more, t);
    assert(t->watcher);
    (void)watch_hub_list(hub, &events, SPAN_NULL, on_existing, t);
    /* The watcher says "more" only after it has once had nothing. */
    struct watch_event e;
    while (watcher_next(t->watcher, &e) == 1) {
    }
    arm(t);
}

static void on_more(void *data)
{
    struct event_ttl *t = data;
    struct watch_event e;
    int rc;
    int64_t end = env_now_ms(t->server->env) + LIMIT_EVENT_TTL_S * 1000;
    while ((rc = watcher_next(t->watcher, &e)) == 1) {
        if (e.type == WATCH_DELETED) {
            forget(t, object_store_key(e.object));
        } else if (e.object) {
            remember(t, object_store_key(e.object), end);
        }
    }
    if (rc == E_LIMIT) { /* overrun by a burst: look at what there is */
        watcher_free(TAKE_PTR(t->watcher));
        start(t);
        return;
    }
    arm(t);
}

struct event_ttl *event_ttl_new(struct apiserver *s)
{
    assert(s->hub);
    struct event_ttl *t = MEM_NEW(struct event_ttl);
    t->server = s;
    start(t);
    return t;
}

void event_ttl_free(struct event_ttl *t)
{
    if (!t) {
        return;
    }
    env_timer_stop(t->server->env, &t->timer);
    watcher_free(t->watcher);
    assert(t->entries.n == t->by_end.n);
    map_done_values(&t->entries, free);
    heap_done(&t->by_end);
    free(t);
}
