/* The cache: live objects by key and in order, windows of past events, fed by the store's commits.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "watch/watch_priv.h"

/* Changes of one kind come in a row, above all while the store is loaded; a watch begins with a
 * list of the same. */
static bool is_last(const struct watch_hub *hub, struct span name)
{
    assert(name.n > 0);
    return hub->last && span_eq(span_of(hub->last->name, hub->last->name_n), name);
}

/* NULL: nobody has asked for it, and nothing of it was ever there. */
static struct resource *known_resource(const struct watch_hub *hub, struct span name)
{
    struct resource *r = is_last(hub, name) ? hub->last : map_get(&hub->resources, name);
    assert(!r || r->name_n == name.n);
    return r;
}

struct resource *hub_resource(struct watch_hub *hub, struct span name)
{
    assert(name.n > 0);
    if (is_last(hub, name)) {
        return hub->last;
    }
    struct map_slot *slot = map_seek(&hub->resources, name);
    struct resource *r = slot->value;
    if (!r) {
        r = mem_new(sizeof *r + name.n);
        r->name_n = name.n;
        memcpy(r->name, name.p, name.n);
        r->window.floor = hub->start_floor;
        r->any.key = SPAN("/");
        list_init(&r->any.sleepers);
        map_fill(&hub->resources, slot, span_of(r->name, name.n), r);
    }
    assert(r->name_n == name.n);
    assert(r->any.key.n == 1);
    hub->last = r;
    return r;
}

/* ---- events ---- */

static void recent_push(struct watch_hub *hub, struct resource *r)
{
    assert(r->window.end > r->window.first);
    assert(hub->recent_n <= hub->recent_cap);
    if (hub->recent_n == hub->recent_cap) {
        size_t cap = hub->recent_cap ? hub->recent_cap * 2 : 64;
        struct resource **ring = mem_new_array(cap, sizeof *ring);
        for (size_t i = 0; i < hub->recent_n; i++) {
            ring[i] = hub->recent[(hub->recent_head + i) & (hub->recent_cap - 1)];
        }
        free(hub->recent);
        hub->recent = ring;
        hub->recent_cap = cap;
        hub->recent_head = 0;
    }
    hub->recent[(hub->recent_head + hub->recent_n++) & (hub->recent_cap - 1)] = r;
}

/* Forgets what the store has compacted, and what is over the limit. */
static void trim(struct watch_hub *hub)
{
    int64_t compact_rev = store_compact_rev(hub->store);
    while (hub->recent_n) {
        struct window *w = &hub->recent[hub->recent_head]->window;
        if (window_at(w, w->first)->rev > compact_rev && hub->recent_n <= LIMIT_WINDOW_EVENTS) {
            break;
        }
        assert(window_at(w, w->first)->rev <= hub->rev || hub->is_loading);
        window_drop_oldest(w);
        hub->recent_head = (hub->recent_head + 1) & (hub->recent_cap - 1);
        hub->recent_n--;
    }
}

static void update_cache(struct watch_hub *hub, struct resource *r, const struct store_event *e)
{
    struct span key = object_store_key(e->object);
    if (e->is_delete) {
        struct order_node *gone = map_remove(&hub->nodes, key);
        if (gone) { /* absent only for a tombstone whose past is compacted */
            order_remove(&r->order, gone);
        }
        return;
    }
    struct map_slot *slot = map_seek(&hub->nodes, key);
    struct order_node *node = slot->value;
    if (node) {
        struct object *old = node->object;
        assert(object_rev(old) < object_rev(e->object));
        node->object = object_ref(e->object);
        slot->key = key; /* its bytes are the new version's now */
        object_unref(old);
    } else {
        node = order_insert(&r->order, e->object, slot->hash);
        map_fill(&hub->nodes, slot, object_store_key(node->object), node);
    }
    verify(hub->nodes.n >= r->order.n);
}

static void on_event(void *data, const struct store_event *e)
{
    struct watch_hub *hub = data;
    struct span key = object_store_key(e->object);
    struct span resource = object_resource(e->object);
    int64_t rev = object_rev(e->object);
    assert(resource.n > 0);
    assert(hub->is_loading || rev > hub->rev);
    assert(!e->previous ||
           (object_rev(e->previous) < rev && span_eq(object_store_key(e->previous), key)));
    struct resource *r = hub_resource(hub, resource);
    update_cache(hub, r, e);
    if (rev <= hub->start_floor) {
        return; /* loaded, and the events beside it are incomplete */
    }
    window_push(&r->window, e);
    recent_push(hub, r);
    if (!hub->is_loading) {
        hub->rev = rev;
        watchers_wake(hub, r, key);
    }
    trim(hub);
}

/* ---- the whole ---- */

static void verify_window(const struct watch_hub *hub, const struct window *w)
{
    int64_t last = w->floor;
    for (uint64_t seq = w->first; seq < w->end; seq++) {
        const struct past_event *e = window_at(w, seq);
        assert(e->rev > last);
        assert(e->rev == object_rev(e->object));
        last = e->rev;
    }
    assert(last <= hub->rev);
}

static void verify_order(struct watch_hub *hub, const struct resource *r)
{
    size_t n = 0;
    const struct order_node *before = NULL;
    for (const struct order_node *node = r->order.head[0]; node; node = node->next[0], n++) {
        struct span key = object_store_key(node->object);
        assert(!before || span_cmp(object_store_key(before->object), key) < 0);
        assert(map_get(&hub->nodes, key) == node);
        before = node;
    }
    assert(n == r->order.n);
}

void watch_hub_verify(struct watch_hub *hub)
{
    if (!verify_due((uint64_t)hub->rev, hub->nodes.n + hub->recent_n)) {
        return;
    }
    size_t objects = 0, events = 0, watchers = 0, it = 0;
    for (const struct resource *r; (r = map_next(&hub->resources, &it, NULL)) != NULL;) {
        verify_order(hub, r);
        verify_window(hub, &r->window);
        objects += r->order.n;
        events += (size_t)(r->window.end - r->window.first);
        size_t at = 0;
        watchers += r->any.watchers;
        for (const struct bucket *b; (b = map_next(&r->buckets, &at, NULL)) != NULL;) {
            assert(b->watchers > 0);
            watchers += b->watchers;
        }
    }
    assert(objects == hub->nodes.n);
    assert(events == hub->recent_n);
    assert(watchers == hub->watchers);
    struct store_stats stats;
    store_stats(hub->store, &stats);
    assert(stats.live_keys == objects);
    assert(store_durable_rev(hub->store) == hub->rev);
}

/* ---- life ---- */

struct watch_hub *watch_hub_new(struct env *env, struct store *store)
{
    assert(env);
    assert(store);
    struct watch_hub *hub = MEM_NEW(struct watch_hub);
    hub->env = env;
    hub->store = store;
    hub->rev = store_durable_rev(store);
    hub->start_floor = store_compact_rev(store);
    list_init(&hub->woken);
    struct store_stats stats;
    store_stats(store, &stats);
    map_reserve(&hub->nodes, stats.live_keys);
    hub->is_loading = true;
    store_load(store, on_event, hub);
    hub->is_loading = false;
    watch_hub_verify(hub);
    store_subscribe(store, on_event, hub);
    return hub;
}

static void resource_free(void *value)
{
    struct resource *r = value;
    assert(r->any.watchers == 0);
    assert(r->buckets.n == 0);
    order_done(&r->order);
    window_done(&r->window);
    map_done(&r->buckets);
    free(r);
}

void watch_hub_free(struct watch_hub *hub)
{
    if (!hub) {
        return;
    }
    assert(hub->watchers == 0);
    assert(list_is_empty(&hub->woken));
    env_post_cancel(hub->env, &hub->tell);
    store_subscribe(hub->store, NULL, NULL);
    map_done(&hub->nodes);
    map_done_values(&hub->resources, resource_free);
    free(hub->recent);
    free(hub);
}

/* ---- reading ---- */

int64_t watch_hub_rev(const struct watch_hub *hub)
{
    assert(hub->rev >= 1);
    return hub->rev;
}

struct object *watch_hub_get(struct watch_hub *hub, struct span key)
{
    assert(key.n > 0);
    const struct order_node *node = map_get(&hub->nodes, key);
    assert(!node || span_eq(object_store_key(node->object), key));
    return node ? node->object : NULL;
}

size_t watch_hub_count(struct watch_hub *hub, struct span resource)
{
    const struct resource *r = known_resource(hub, resource);
    return r ? r->order.n : 0;
}

/* One name in a known place, when the place is known: a namespace is given or the resource has
 * none. */
static bool is_single(const struct resource *r, const struct watch_filter *f)
{
    assert(r);
    assert(f);
    return f->name.n &&
           (f->ns.n || !r->order.head[0] || object_namespace(r->order.head[0]->object).n == 0);
}

size_t watch_hub_list(struct watch_hub *hub, const struct watch_filter *f, struct span after,
                      bool (*fn)(void *data, struct object *o), void *data)
{
    assert(f->resource.n > 0);
    assert(fn);
    const struct resource *r = known_resource(hub, f->resource);
    if (!r || r->order.n == 0) {
        return 0;
    }
    cleanup_strbuf struct strbuf prefix = STRBUF_INIT;
    if (is_single(r, f)) {
        strbuf_printf(&prefix, "%.*s/%.*s/%.*s", SPAN_ARG(f->resource), SPAN_ARG(f->ns),
                      SPAN_ARG(f->name));
        struct object *o = watch_hub_get(hub, strbuf_span(&prefix));
        if (!o || span_cmp(strbuf_span(&prefix), after) <= 0 || !filter_matches(f, o)) {
            return 0;
        }
        (void)fn(data, o);
        return 1;
    }
    if (f->ns.n) { /* else everything in the order */
        strbuf_printf(&prefix, "%.*s/%.*s/", SPAN_ARG(f->resource), SPAN_ARG(f->ns));
    }
    size_t visited = 0;
    struct span start = strbuf_span(&prefix);
    const struct order_node *node = span_cmp(after, start) < 0 ? order_seek(&r->order, start, true)
                                    : after.n                  ? order_seek(&r->order, after, false)
                                                               : r->order.head[0];
    for (; node && span_starts(object_store_key(node->object), start); node = node->next[0]) {
        struct object *o = node->object;
        if ((f->name.n && !span_eq(object_name(o), f->name)) || !filter_matches(f, o)) {
            continue;
        }
        visited++;
        if (!fn(data, o)) {
            break;
        }
    }
    return visited;
}
