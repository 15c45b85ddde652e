/* sim/link.c: see link.h. */
#include "sim/link.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "codec/json_share.h"
#include "sim/chance.h"

enum { DOWN_MS = 50, CUT_MS = 5000, RELIST_MS = 20 };

struct link {
    struct client base;
    struct client *server; /* NULL: down */
    uint64_t random;
    struct link_weather weather;
    struct link_taps taps;
    struct list calls, watches;
    bool cut;
};

static bool chance(struct link *l, uint32_t per_mille)
{
    return per_mille > 0 && chance_below(&l->random, 1000) < per_mille;
}

static void count(struct link *l, enum sim_deed deed, uint64_t n)
{
    l->taps.deeds[deed].asked += n;
    l->taps.deeds[deed].done += n;
}

static int64_t delay(struct link *l)
{
    if (!chance(l, l->weather.late)) {
        return 0;
    }
    count(l, SIM_DEED_LATE, 1);
    return (int64_t)chance_below(&l->random, (uint64_t)l->weather.late_ms + 1);
}

/* ---- requests ---- */

struct call {
    struct list link;
    struct link *l;
    struct arena *arena;
    struct client_request rq;
    client_reply_fn *fn; /* NULL: nobody waits */
    void *data;
    struct env_timer timer;
    bool sent;  /* or failed before */
    bool asked; /* the server has it */
    int64_t from_rev;
    struct client_reply reply;
};

static void call_free(struct call *c)
{
    if (c->asked) {
        client_cancel(c->l->server, c);
    }
    env_timer_stop(c->l->base.env, &c->timer);
    list_remove(&c->link);
    object_unref(c->reply.object);
    for (size_t i = 0; i < c->reply.item_count; i++) {
        object_unref(c->reply.items[i]);
    }
    arena_free(c->arena); /* c is in it */
}

static void on_deliver(struct env_timer *timer)
{
    struct call *c = CONTAINER_OF(timer, struct call, timer);
    client_reply_fn *fn = c->fn;
    if (fn) {
        c->fn = NULL;
        fn(c->data, &c->reply);
    }
    call_free(c);
}

static void deliver(struct call *c, int64_t after_ms)
{
    env_timer_start(c->l->base.env, &c->timer, after_ms, on_deliver);
}

static void refuse(struct call *c, enum err_reason reason, int64_t after_ms)
{
    (void)err_set(c->arena, &c->reply.err, reason, "simulated: the link to the server fails");
    deliver(c, after_ms);
}

static void on_answer(void *data, const struct client_reply *r)
{
    struct call *c = data;
    c->asked = false;
    if (c->l->taps.on_reply) {
        c->l->taps.on_reply(c->l->taps.data, &c->rq, r, c->from_rev);
    }
    bool lost = chance(c->l, c->l->weather.lose_reply);
    count(c->l, SIM_DEED_LOST_REPLY, lost);
    if (lost || c->l->cut) {
        refuse(c, ERR_TIMEOUT, c->l->weather.late_ms);
        return;
    }
    c->reply = *r;
    c->reply.err = err_dup(c->arena, &r->err);
    c->reply.object = r->object ? object_ref(r->object) : NULL;
    c->reply.items = ARENA_ARRAY(c->arena, struct object *, r->item_count + 1);
    for (size_t i = 0; i < r->item_count; i++) {
        c->reply.items[i] = object_ref(r->items[i]);
    }
    deliver(c, c->l->weather.replies_ms + delay(c->l));
}

static void on_send(struct env_timer *timer)
{
    static const enum err_reason reasons[] = {ERR_TOO_MANY_REQUESTS, ERR_INTERNAL, ERR_UNAVAILABLE,
                                              ERR_CONFLICT};
    struct call *c = CONTAINER_OF(timer, struct call, timer);
    struct link *l = c->l;
    c->sent = true;
    if (!l->server || l->cut) {
        refuse(c, ERR_UNAVAILABLE, l->cut ? CUT_MS : DOWN_MS);
        return;
    }
    if (chance(l, l->weather.refuse)) {
        count(l, SIM_DEED_REFUSED, 1);
        bool may_conflict = c->rq.verb != CLIENT_GET && c->rq.verb != CLIENT_LIST &&
                            c->rq.verb != CLIENT_CREATE && c->rq.verb != CLIENT_DELETE;
        refuse(c, reasons[chance_below(&l->random, may_conflict ? 4 : 3)], delay(l));
        return;
    }
    if (l->taps.on_request && !l->taps.on_request(l->taps.data, c->arena, &c->rq)) {
        deliver(c, 0);
        return;
    }
    c->asked = true;
    client_do(l->server, &c->rq, on_answer, c);
}

yyjson_val *link_body(struct arena *a, const struct client_request *rq)
{
    yyjson_doc *doc = NULL;
    if (rq->body.n == 0) {
        return rq->tree ? rq->tree->root : NULL;
    }
    return json_parse(a, rq->body, &doc, NULL) ? NULL : yyjson_doc_get_root(doc);
}

const char *link_body_text(struct arena *a, const struct client_request *rq)
{
    return arena_cstr(a, rq->body.n || !rq->tree ? rq->body : json_write(a, rq->tree->root));
}

int64_t link_from_rev(struct arena *a, const struct client_request *rq)
{
    int64_t rev = 0;
    bool may = rq->verb == CLIENT_UPDATE || rq->verb == CLIENT_PATCH_MERGE;
    const yyjson_val *meta = may ? json_get(link_body(a, rq), "metadata") : NULL;
    return span_to_i64(json_get_str(meta, "resourceVersion"), &rev) ? rev : 0;
}

struct client_request link_request_dup(struct arena *a, const struct client_request *q)
{
    struct client_request rq = *q;
    struct span *const spans[] = {&rq.ns,
                                  &rq.name,
                                  &rq.subresource,
                                  &rq.body,
                                  &rq.label_selector,
                                  &rq.field_selector,
                                  &rq.precondition_uid,
                                  &rq.precondition_rev,
                                  &rq.field_manager};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        *spans[i] = spans[i]->n ? arena_dup(a, *spans[i]) : SPAN_NULL; /* most are */
    }
    rq.tree = rq.tree ? json_share_hold(a, rq.tree) : NULL;
    return rq;
}

static void link_request(struct client *base, const struct client_request *q, client_reply_fn *fn,
                         void *data)
{
    struct link *l = CONTAINER_OF(base, struct link, base);
    struct arena *a = arena_new();
    struct call *c = ARENA_NEW(a, struct call);
    c->l = l;
    c->arena = a;
    c->rq = link_request_dup(a, q);
    c->from_rev = link_from_rev(a, &c->rq);
    c->fn = fn;
    c->data = data;
    list_push_back(&l->calls, &c->link);
    env_timer_start(l->base.env, &c->timer, delay(l), on_send);
}

static void link_cancel(struct client *base, void *data)
{
    struct link *l = CONTAINER_OF(base, struct link, base);
    LIST_EACH(it, &l->calls)
    {
        struct call *c = CONTAINER_OF(it, struct call, link);
        if (c->data == data) {
            c->fn = NULL;
        }
    }
}

/* ---- watches ---- */

struct queued {
    enum client_event_type type;
    struct object *object; /* NULL: a list begins or is complete */
    int64_t rev;           /* of that list */
    int64_t due_ns;        /* not told before */
};

struct link_watch {
    struct client_watch base; /* first */
    struct list link;
    struct link *l;
    struct arena *arena;
    struct client_request selection;
    struct client_watch_handler handler;
    void *data;
    struct client_watch *inner; /* NULL: not connected */
    struct map known; /* store key -> what was told last: a reference, which the key is part of */
    struct map seen;  /* those of them that a list has which is not the first one */
    VEC(struct queued) queue;
    size_t queue_at;
    struct env_timer deliver, relist;
    bool lists_again; /* and the list is not complete */
    bool is_synced, is_freed, in_callback;
};

/* What is on its way is warm: each role looks at it, and the server has just done so. */
static void queued_done(struct queued *q)
{
    if (q->object) {
        object_cool(q->object);
        object_unref(TAKE_PTR(q->object));
    }
}

static void queue_clear(struct link_watch *w)
{
    for (size_t i = w->queue_at; i < w->queue.n; i++) {
        queued_done(&w->queue.at[i]);
    }
    w->queue.n = w->queue_at = 0;
}

static void known_free(void *value)
{
    object_unref(value);
}

static void watch_destroy(struct link_watch *w)
{
    map_done(&w->seen);
    map_done_values(&w->known, known_free);
    queue_clear(w);
    VEC_DONE(&w->queue);
    arena_free(w->arena); /* w is in it */
}

static void watch_stop(struct link_watch *w)
{
    client_watch_free(TAKE_PTR(w->inner));
    queue_clear(w);
    env_timer_stop(w->l->base.env, &w->deliver);
}

/* False: the callback freed the watch. */
static bool tell(struct link_watch *w, enum client_event_type type, struct object *o)
{
    w->in_callback = true;
    w->handler.on_event(w->data, type, o);
    w->in_callback = false;
    return !w->is_freed;
}

static bool forget(struct link_watch *w, struct span key)
{
    struct object *known = map_remove(&w->known, key);
    object_unref(known);
    return known;
}

/* What the role is to be told of this version: an event's type, or -1: it has it. slot: its own,
 * which is empty when no version before is known. */
static int remember(struct link_watch *w, struct map_slot *slot, struct object *o)
{
    struct object *old = slot->value;
    if (!old) {
        map_fill(&w->known, slot, object_store_key(o), object_ref(o));
    } else if (object_rev(old) < object_rev(o)) {
        slot->key = object_store_key(o);
        slot->value = object_ref(o);
    }
    struct object *now = slot->value;
    if (w->lists_again) {
        (void)map_put(&w->seen, object_store_key(now), now);
    }
    if (now == old) {
        return -1;
    }
    object_unref(old);
    return old ? CLIENT_MODIFIED : CLIENT_ADDED;
}

/* False: the callback freed the watch. */
static bool tell_list(struct link_watch *w, int64_t rev)
{
    if (w->handler.on_list) {
        w->in_callback = true;
        w->handler.on_list(w->data, rev);
        w->in_callback = false;
    }
    return !w->is_freed;
}

/* The list is complete: what it did not have is gone. */
static bool report_vanished(struct link_watch *w, int64_t rev)
{
    VEC(struct object *) gone = {0};
    size_t it = 0;
    struct object *known;
    while (w->lists_again && (known = map_next(&w->known, &it, NULL))) {
        if (map_get(&w->seen, object_store_key(known)) != known) {
            VEC_PUSH(&gone, object_ref(known));
        }
    }
    w->lists_again = false;
    map_done(&w->seen);
    bool alive = true;
    for (size_t i = 0; i < gone.n; i++) {
        if (alive) {
            (void)forget(w, object_store_key(gone.at[i]));
            alive = tell(w, CLIENT_DELETED, gone.at[i]);
        }
        object_unref(gone.at[i]);
    }
    VEC_DONE(&gone);
    alive = alive && tell_list(w, rev);
    if (alive && !w->is_synced) {
        w->is_synced = true;
        w->in_callback = true;
        if (w->handler.on_synced) {
            w->handler.on_synced(w->data);
        }
        w->in_callback = false;
    }
    return !w->is_freed;
}

/* Of the name that a version is known by? */
static bool is_another(struct object *known, struct object *o)
{
    return object_rev(known) != object_rev(o) && !span_eq(object_uid(known), object_uid(o));
}

static bool tell_one(struct link_watch *w, struct queued q)
{
    if (!q.object) {
        return q.rev == 0 ? tell_list(w, 0) : report_vanished(w, q.rev);
    }
    if (q.type == CLIENT_DELETED) {
        return !forget(w, object_store_key(q.object)) || tell(w, CLIENT_DELETED, q.object);
    }
    struct map_slot *slot = map_seek(&w->known, object_store_key(q.object));
    if (slot->value && is_another(slot->value, q.object)) {
        /* A list, and the end of the one before was not told. */
        struct object *old cleanup_object = object_ref(slot->value);
        (void)forget(w, object_store_key(old));
        if (!tell(w, CLIENT_DELETED, old)) {
            return false;
        }
        slot = map_seek(&w->known, object_store_key(q.object));
    }
    int type = remember(w, slot, q.object);
    if (type < 0) {
        return true;
    }
    struct link *l = w->l;
    struct object *other = l->taps.on_event ? l->taps.on_event(l->taps.data, q.object) : NULL;
    bool alive = tell(w, (enum client_event_type)type, other ? other : q.object);
    if (alive && chance(l, l->weather.twice)) {
        count(l, SIM_DEED_TWICE, 1);
        alive = tell(w, CLIENT_MODIFIED, other ? other : q.object);
    }
    object_unref(other);
    return alive;
}

/* Until the next event may be told. */
static int64_t left_ms(const struct link_watch *w)
{
    int64_t ns = w->queue.at[w->queue_at].due_ns - env_mono_ns(w->l->base.env);
    return ns > 0 ? (ns + 999999) / 1000000 : 0;
}

static void on_events(struct env_timer *timer)
{
    struct link_watch *w = CONTAINER_OF(timer, struct link_watch, deliver);
    if (w->l->cut) {
        return; /* link_cut(false) goes on */
    }
    size_t take = 1 + (size_t)chance_below(&w->l->random, w->queue.n - w->queue_at + 4);
    while (take-- > 0 && w->queue_at < w->queue.n && left_ms(w) == 0) {
        struct queued q = w->queue.at[w->queue_at++];
        bool alive = tell_one(w, q);
        queued_done(&q);
        if (!alive) {
            watch_destroy(w);
            return;
        }
    }
    if (w->queue_at == w->queue.n) {
        w->queue.n = w->queue_at = 0;
    } else if (!env_timer_armed(&w->deliver)) {
        env_timer_start(w->l->base.env, &w->deliver, left_ms(w) + delay(w->l), on_events);
    }
}

static void watch_start(struct link_watch *w);

static void on_relist(struct env_timer *timer)
{
    struct link_watch *w = CONTAINER_OF(timer, struct link_watch, relist);
    count(w->l, SIM_DEED_BROKEN_OFF, 1);
    count(w->l, SIM_DEED_LOST_EVENT, w->queue.n - w->queue_at);
    watch_stop(w);
    if (w->l->server) {
        watch_start(w);
    }
}

static void enqueue(struct link_watch *w, enum client_event_type type, struct object *o,
                    int64_t rev)
{
    int64_t due_ns = env_mono_ns(w->l->base.env) + w->l->weather.events_ms * 1000000;
    if (o) {
        object_warm(object_ref(o));
    }
    VEC_PUSH(&w->queue, ((struct queued){type, o, rev, due_ns}));
    if (!env_timer_armed(&w->deliver) && !w->l->cut) {
        env_timer_start(w->l->base.env, &w->deliver, left_ms(w) + delay(w->l), on_events);
    }
    if (chance(w->l, w->l->weather.break_off) && !env_timer_armed(&w->relist)) {
        env_timer_start(w->l->base.env, &w->relist, RELIST_MS, on_relist);
    }
}

static void inner_event(void *data, enum client_event_type type, struct object *o)
{
    enqueue(data, type, o, 0);
}

static void inner_list(void *data, int64_t rev)
{
    enqueue(data, CLIENT_ADDED, NULL, rev);
}

static void watch_start(struct link_watch *w)
{
    static const struct client_watch_handler handler = {.on_event = inner_event,
                                                        .on_list = inner_list};
    assert(!w->inner && w->l->server);
    map_done(&w->seen);
    w->lists_again = w->known.n > 0;
    if (w->is_synced) {
        bool alive = tell_list(w, 0);
        assert(alive);
    }
    w->inner = client_watch_new(w->l->server, &w->selection, &handler, w);
}

static struct client_watch *link_watch_new(struct client *base,
                                           const struct client_request *selection,
                                           const struct client_watch_handler *handler, void *data)
{
    struct link *l = CONTAINER_OF(base, struct link, base);
    struct arena *a = arena_new_small();
    struct link_watch *w = ARENA_NEW(a, struct link_watch);
    w->base.client = base;
    w->l = l;
    w->arena = a;
    w->selection = link_request_dup(w->arena, selection);
    w->handler = *handler;
    w->data = data;
    list_push_back(&l->watches, &w->link);
    if (l->server) {
        watch_start(w);
    }
    return &w->base;
}

static void link_watch_free(struct client_watch *cw)
{
    struct link_watch *w = (struct link_watch *)cw;
    if (!w) {
        return;
    }
    watch_stop(w);
    env_timer_stop(w->l->base.env, &w->relist);
    list_remove(&w->link);
    w->is_freed = true;
    if (!w->in_callback) {
        watch_destroy(w);
    }
}

/* ---- life ---- */

void link_connect(struct link *l, struct client *server)
{
    if (l->server) {
        LIST_EACH(it, &l->calls)
        {
            struct call *c = CONTAINER_OF(it, struct call, link);
            if (c->asked) {
                client_cancel(l->server, c);
                c->asked = false;
                refuse(c, ERR_UNAVAILABLE, DOWN_MS);
            }
        }
    }
    LIST_EACH(it, &l->watches)
    {
        watch_stop(CONTAINER_OF(it, struct link_watch, link));
    }
    l->server = server;
    for (struct list *it = l->watches.next; server && it != &l->watches; it = it->next) {
        watch_start(CONTAINER_OF(it, struct link_watch, link));
    }
}

void link_cut(struct link *l, bool cut)
{
    l->cut = cut;
    LIST_EACH(it, &l->watches)
    {
        struct link_watch *w = CONTAINER_OF(it, struct link_watch, link);
        if (!cut && w->queue.n > w->queue_at && !env_timer_armed(&w->deliver)) {
            env_timer_start(l->base.env, &w->deliver, 0, on_events);
        }
    }
}

void link_set_weather(struct link *l, const struct link_weather *weather)
{
    l->weather = *weather;
}

struct client *link_client(struct link *l)
{
    return &l->base;
}

void link_free(struct link *l)
{
    if (!l) {
        return;
    }
    assert(list_is_empty(&l->watches));
    LIST_EACH(it, &l->calls)
    {
        struct call *c = CONTAINER_OF(it, struct call, link);
        if (!c->sent && l->server && !l->cut && l->taps.on_orphan) {
            l->taps.on_orphan(l->taps.data, &c->rq);
        }
        call_free(c);
    }
    free(l);
}

struct link *link_new(struct env *env, uint64_t seed, const struct link_taps *taps)
{
    static const struct client_ops ops = {.request = link_request,
                                          .cancel = link_cancel,
                                          .watch_new = link_watch_new,
                                          .watch_free = link_watch_free};
    struct link *l = MEM_NEW(struct link);
    l->base = (struct client){.ops = &ops, .env = env};
    l->random = seed;
    assert(taps->deeds);
    l->taps = *taps;
    list_init(&l->calls);
    list_init(&l->watches);
    return l;
}
