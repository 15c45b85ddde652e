/* Lists of an earlier moment: the cache with the events since then undone. */
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "watch/watch_priv.h"

/* What differs between that moment and now, of the keys that are asked for. */
struct undo {
    struct map keys; /* every key with an event since: its first past_event */
    VEC(struct object *)
    objects; /* what they were then, in key order; those that were absent: none */
};

static bool is_asked(struct span key, struct span start, struct span after)
{
    return span_starts(key, start) && span_cmp(key, after) > 0;
}

static int by_key(const void *a, const void *b)
{
    struct object *const *x = a, *const *y = b;
    return span_cmp(object_store_key(*x), object_store_key(*y));
}

static void undo_init(struct undo *u, const struct window *w, int64_t rev, struct span start,
                      struct span after)
{
    assert(rev >= w->floor);
    *u = (struct undo){.keys = MAP_INIT};
    for (uint64_t seq = window_seek(w, rev); seq < w->end; seq++) {
        struct past_event *e = window_at(w, seq);
        struct span key = object_store_key(e->object);
        if (!is_asked(key, start, after) || map_get(&u->keys, key)) {
            continue;
        }
        (void)map_put(&u->keys, key, e);
        if (e->previous) {
            assert(object_rev(e->previous) <= rev);
            VEC_PUSH(&u->objects, e->previous);
        }
    }
    if (u->objects.n) {
        qsort(u->objects.at, u->objects.n, sizeof *u->objects.at, by_key);
    }
}

static bool is_match(const struct watch_filter *f, struct object *o)
{
    return (!f->name.n || span_eq(object_name(o), f->name)) && filter_matches(f, o);
}

/* Those that have not changed since, and those that have, in one order. */
static void walk(const struct resource *r, const struct watch_filter *f, const struct undo *u,
                 struct span start, struct span after, bool (*fn)(void *data, struct object *o),
                 void *data)
{
    assert(r);
    assert(fn);
    const struct order_node *node = span_cmp(after, start) < 0
                                        ? order_seek(&r->order, start, true)
                                        : order_seek(&r->order, after, false);
    for (size_t i = 0;;) {
        while (node && map_get(&u->keys, object_store_key(node->object))) {
            node = node->next[0];
        }
        struct object *now =
            node && span_starts(object_store_key(node->object), start) ? node->object : NULL;
        struct object *then = i < u->objects.n ? u->objects.at[i] : NULL;
        if (!now && !then) {
            return;
        }
        bool is_then =
            then && (!now || span_cmp(object_store_key(then), object_store_key(now)) < 0);
        struct object *o = is_then ? then : now;
        assert(o);
        assert(span_cmp(object_store_key(o), after) > 0);
        i += is_then;
        node = is_then ? node : node->next[0];
        if (is_match(f, o) && !fn(data, o)) {
            return;
        }
    }
}

bool watch_hub_list_at(struct watch_hub *hub, const struct watch_filter *f, int64_t rev,
                       struct span after, bool (*fn)(void *data, struct object *o), void *data)
{
    assert(f->resource.n > 0);
    assert(fn);
    assert(rev > 0);
    assert(rev <= hub->rev);
    const struct resource *r = map_get(&hub->resources, f->resource);
    if (rev < (r ? r->window.floor : hub->start_floor)) {
        return false;
    }
    if (!r) {
        return true;
    }
    cleanup_strbuf struct strbuf prefix = STRBUF_INIT;
    strbuf_printf(&prefix, "%.*s/", SPAN_ARG(f->resource));
    if (f->ns.n) {
        strbuf_printf(&prefix, "%.*s/", SPAN_ARG(f->ns));
    }
    struct undo undo;
    undo_init(&undo, &r->window, rev, strbuf_span(&prefix), after);
    walk(r, f, &undo, strbuf_span(&prefix), after, fn, data);
    map_done(&undo.keys);
    VEC_DONE(&undo.objects);
    return true;
}
