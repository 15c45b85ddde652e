#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "watch/watch_priv.h"

struct past_event *window_at(const struct window *w, uint64_t seq)
{
    assert(seq >= w->first);
    assert(seq < w->end);
    assert(w->end - w->first <= w->cap);
    return &w->ring[seq & (w->cap - 1)];
}

void window_push(struct window *w, const struct store_event *e)
{
    size_t n = (size_t)(w->end - w->first);
    int64_t rev = object_rev(e->object);
    assert(rev > w->floor);
    assert(n == 0 || window_at(w, w->end - 1)->rev < rev);
    if (n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 16;
        struct past_event *ring = mem_new_array(cap, sizeof *ring);
        for (uint64_t seq = w->first; seq < w->end; seq++) {
            ring[seq & (cap - 1)] = *window_at(w, seq);
        }
        free(w->ring);
        w->ring = ring;
        w->cap = cap;
    }
    w->end++;
    *window_at(w, w->end - 1) =
        (struct past_event){.rev = rev,
                            .object = object_ref(e->object),
                            .previous = e->previous ? object_ref(e->previous) : NULL,
                            .is_delete = e->is_delete};
}

void window_drop_oldest(struct window *w)
{
    struct past_event *e = window_at(w, w->first);
    assert(e->rev > w->floor);
    w->floor = e->rev;
    object_unref(e->object);
    object_unref(e->previous);
    object_unref(e->gone);
    w->first++;
    assert(w->first <= w->end);
}

uint64_t window_seek(const struct window *w, int64_t rev)
{
    assert(w->first <= w->end);
    uint64_t lo = w->first, hi = w->end;
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (window_at(w, mid)->rev <= rev) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    assert(lo == w->end || window_at(w, lo)->rev > rev);
    return lo;
}

struct object *past_event_gone(struct past_event *e)
{
    assert(e);
    assert(e->previous);
    assert(!e->is_delete);
    if (!e->gone) {
        struct span parts[2];
        cleanup_strbuf struct strbuf body = STRBUF_INIT;
        object_body_parts(e->previous, parts);
        strbuf_put(&body, parts[0]);
        strbuf_put(&body, parts[1]);
        e->gone = object_new(object_store_key(e->previous), e->rev, strbuf_span(&body));
    }
    assert(object_rev(e->gone) == e->rev);
    return e->gone;
}

void window_done(struct window *w)
{
    assert(w->first <= w->end);
    while (w->first < w->end) {
        window_drop_oldest(w);
    }
    free(w->ring);
    *w = (struct window){0};
}
