/* Watchers. One is in one of three states:
 *
 *     READING  the owner takes events from pos on        -- watcher_next finds none -->  ASLEEP
 *     ASLEEP   in its bucket; everything so far is seen  -- an event concerns it --->    WOKEN
 *     WOKEN    to be told in this turn; pos is that event  -- told, or watcher_next -->  READING
 *
 * A sleeper's pos is not kept: on waking it starts at the event that woke it, whatever went by
 * meanwhile. */
#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "watch/watch_priv.h"

enum watcher_state { READING, ASLEEP, WOKEN };

struct watcher {
    struct watch_hub *hub;
    struct resource *resource;
    struct bucket *bucket;
    struct watch_filter filter; /* ns and name point into bucket->key */
    int64_t from;               /* not told: events up to it */
    int64_t seen;               /* everything up to it is told or skipped */
    uint64_t pos;               /* sequence number of the next event to look at */
    enum watcher_state state;
    bool is_lost;               /* the window moved past pos */
    enum watch_type woken_type; /* what the event that woke it is for it, until it has looked */
    uint64_t woken_seq;         /* that event, plus one; 0: none */
    struct list link;           /* ASLEEP: bucket->sleepers; WOKEN: hub->woken */
    void (*on_more)(void *data);
    void *data;
};

/* ---- buckets ---- */

static struct bucket *bucket_get(struct resource *r, struct span ns, struct span name)
{
    size_t n = ns.n + 1 + name.n;
    if (n == 1) {
        return &r->any;
    }
    assert(ns.n == 0 || ns.p);
    struct bucket *b = mem_new(sizeof *b + n);
    char *text = (char *)(b + 1);
    memcpy(text, ns.n ? ns.p : "", ns.n);
    text[ns.n] = '/';
    memcpy(text + ns.n + 1, name.n ? name.p : "", name.n);
    b->key = span_of(text, n);
    list_init(&b->sleepers);
    struct bucket *known = map_get(&r->buckets, b->key);
    if (known) {
        free(b);
        return known;
    }
    (void)map_put(&r->buckets, b->key, b);
    return b;
}

static struct bucket *bucket_join(struct resource *r, struct span ns, struct span name)
{
    assert(name.n == 0 || name.p);
    struct bucket *b = bucket_get(r, ns, name);
    b->watchers++;
    assert(b->key.n == ns.n + 1 + name.n);
    assert(b == &r->any || map_get(&r->buckets, b->key) == b);
    return b;
}

static void bucket_leave(struct resource *r, struct bucket *b)
{
    assert(b->watchers > 0);
    if (--b->watchers == 0) {
        assert(list_is_empty(&b->sleepers));
        if (b != &r->any) {
            struct bucket *known = map_remove(&r->buckets, b->key);
            assert(known == b);
            free(b);
        }
    }
}

/* ---- what an event is for a watcher ---- */

static bool in_place(const struct watcher *w, struct object *o)
{
    return (!w->filter.ns.n || span_eq(w->filter.ns, object_namespace(o))) &&
           (!w->filter.name.n || span_eq(w->filter.name, object_name(o)));
}

/* False: nothing. The place (namespace, name) is known to fit. */
static bool classify(const struct watcher *w, const struct past_event *e, enum watch_type *ret)
{
    assert(e->object);
    assert(ret);
    if (e->rev <= w->from) {
        return false;
    }
    bool before = e->previous && filter_matches(&w->filter, e->previous);
    if (e->is_delete) {
        *ret = WATCH_DELETED;
        return e->previous ? before : filter_matches(&w->filter, e->object);
    }
    bool now = filter_matches(&w->filter, e->object);
    *ret = !now ? WATCH_DELETED : before ? WATCH_MODIFIED : WATCH_ADDED;
    return now || before;
}

/* ---- waking ---- */

static void watchers_tell(struct env_task *task);

/* b NULL: there is none. That of "/" is also there when nobody is in it. */
static void wake_bucket(struct watch_hub *hub, struct resource *r, struct bucket *b)
{
    if (!b) {
        return;
    }
    const struct past_event *e = window_at(&r->window, r->window.end - 1);
    assert(b->watchers > 0 || b == &r->any);
    assert(e->rev == hub->rev);
    LIST_EACH(link, &b->sleepers)
    {
        struct watcher *w = CONTAINER_OF(link, struct watcher, link);
        enum watch_type type;
        assert(w->state == ASLEEP);
        assert(w->bucket == b);
        assert(w->hub == hub);
        if (classify(w, e, &type)) {
            list_remove(link);
            list_push_back(&hub->woken, link);
            w->state = WOKEN;
            w->pos = r->window.end - 1;
            w->seen = e->rev - 1;
            w->woken_type = type;
            w->woken_seq = r->window.end;
        }
    }
}

/* The four buckets that a key falls into are all parts of its text: "/", "NS/", "/NAME", "NS/NAME".
 */
void watchers_wake(struct watch_hub *hub, struct resource *r, struct span key)
{
    assert(key.n > r->name_n);
    assert(key.p[r->name_n] == '/');
    wake_bucket(hub, r, &r->any);
    if (r->buckets.n > 0) {
        struct span place = span_from(key, r->name_n + 1);
        size_t slash = span_rfind(place, '/');
        assert(slash < place.n);
        wake_bucket(hub, r, map_get(&r->buckets, place));
        if (slash > 0) {
            wake_bucket(hub, r, map_get(&r->buckets, span_first(place, slash + 1)));
            wake_bucket(hub, r, map_get(&r->buckets, span_from(place, slash)));
        }
    }
    if (!list_is_empty(&hub->woken)) {
        env_post(hub->env, &hub->tell, watchers_tell);
    }
}

static void watchers_tell(struct env_task *task)
{
    struct watch_hub *hub = CONTAINER_OF(task, struct watch_hub, tell);
    struct list *link;
    watch_hub_verify(hub);
    while ((link = list_pop_front(&hub->woken)) != NULL) {
        struct watcher *w = CONTAINER_OF(link, struct watcher, link);
        assert(w->hub == hub);
        assert(w->state == WOKEN);
        w->state = READING;
        w->on_more(w->data); /* w may be gone now */
    }
}

/* ---- the owner's side ---- */

struct watcher *watcher_new(struct watch_hub *hub, const struct watch_filter *filter, int64_t from,
                            void (*on_more)(void *), void *data)
{
    assert(filter->resource.n);
    assert(on_more);
    assert(from >= 0);
    assert(!hub->is_loading);
    struct resource *r = hub_resource(hub, filter->resource);
    if (from < r->window.floor) {
        return NULL;
    }
    struct watcher *w = MEM_NEW(struct watcher);
    w->hub = hub;
    w->resource = r;
    w->bucket = bucket_join(r, filter->ns, filter->name);
    w->filter = *filter;
    w->filter.resource = span_of(r->name, r->name_n);
    w->filter.ns = span_first(w->bucket->key, filter->ns.n);
    w->filter.name = span_from(w->bucket->key, filter->ns.n + 1);
    w->from = w->seen = from;
    w->pos = window_seek(&r->window, from);
    assert(w->pos >= r->window.first);
    assert(w->pos <= r->window.end);
    w->on_more = on_more;
    w->data = data;
    list_init(&w->link);
    hub->watchers++;
    assert(w->state == READING);
    assert(span_eq(w->filter.ns, filter->ns));
    assert(span_eq(w->filter.name, filter->name));
    return w;
}

static void fill(const struct past_event *e, enum watch_type type, struct watch_event *ret)
{
    assert(e->object);
    assert(ret);
    assert(type == WATCH_DELETED || !e->is_delete);
    *ret = (struct watch_event){
        .type = type, .object = e->object, .previous = e->previous, .rev = e->rev};
}

static __attribute__((noinline)) int next_event(struct watcher *w, struct watch_event *ret)
{
    struct window *window = &w->resource->window;
    assert(w->state != ASLEEP);
    assert(w->woken_seq <= window->end);
    if (w->state == WOKEN) { /* before it was told: it need not be any more */
        list_remove(&w->link);
        w->state = READING;
    }
    if (w->is_lost || (w->pos < window->first && w->seen < window->floor)) {
        w->is_lost = true;
        return E_LIMIT;
    }
    if (w->pos < window->first) {
        w->pos = window->first;
    }
    while (w->pos < window->end) {
        struct past_event *e = window_at(window, w->pos++);
        enum watch_type type = w->woken_type;
        w->seen = e->rev > w->seen ? e->rev : w->seen;
        if (w->woken_seq == w->pos || (in_place(w, e->object) && classify(w, e, &type))) {
            fill(e, type, ret);
            assert(ret->rev > w->from);
            assert(ret->rev <= w->hub->rev);
            if (type == WATCH_DELETED && !e->is_delete) {
                ret->object = past_event_gone(e);
            }
            return 1;
        }
    }
    assert(w->pos == window->end); /* everything so far is seen */
    w->state = ASLEEP;
    list_push_back(&w->bucket->sleepers, &w->link);
    return 0;
}

/* Whoever asks many watchers finds most of them asleep. */
int watcher_next(struct watcher *w, struct watch_event *ret)
{
    assert(ret);
    assert(w->pos <= w->resource->window.end);
    assert(w->seen <= w->hub->rev || w->seen == w->from);
    return w->state == ASLEEP ? 0 : next_event(w, ret);
}

int64_t watcher_rev(const struct watcher *w)
{
    int64_t rev = w->state == ASLEEP ? w->hub->rev : w->seen;
    return rev > w->from ? rev : w->from;
}

void watcher_free(struct watcher *w)
{
    if (w) {
        assert((w->state == READING) == list_is_empty(&w->link));
        list_remove(&w->link);
        bucket_leave(w->resource, w->bucket);
        assert(w->hub->watchers > 0);
        w->hub->watchers--;
        free(w);
    }
}
