/* watch/watch_priv.h: what the parts of the hub share. Inside watch/ only. */
#ifndef WATCH_WATCH_PRIV_H
#define WATCH_WATCH_PRIV_H

#include "base/list.h"
#include "base/map.h"
#include "watch/watch.h"

/* ---- watch_order.c: live objects of a resource in key order (a skip list) ---- */

enum { ORDER_LEVELS = 16 }; /* a quarter of a level goes up: room for 4^16 objects */

struct order_node {
    struct object *object; /* owned reference */
    unsigned levels;
    struct order_node *next[];
};

struct order {
    struct order_node *head[ORDER_LEVELS];
    unsigned levels; /* of the highest node that there was: above them is nothing */
    size_t n;
};

/* key is absent; hash: map_hash() of it. Takes a reference. */
struct order_node *order_insert(struct order *o, struct object *object, uint64_t hash);
/* node is inside; releases it. */
void order_remove(struct order *o, struct order_node *node);
/* First node with a key > key (or >= key); NULL at the end. */
struct order_node *order_seek(const struct order *o, struct span key, bool or_equal);
void order_done(struct order *o);

/* ---- watch_window.c: past events of a resource ---- */

struct past_event {
    int64_t rev;
    struct object *object;   /* owned reference */
    struct object *previous; /* owned reference, or NULL */
    struct object *gone;     /* previous at the revision rev, made on demand; owned */
    bool is_delete;
};

/* A ring; an event keeps its sequence number for life. */
struct window {
    struct past_event *ring;
    size_t cap;
    uint64_t first, end; /* sequence numbers: the oldest one kept, the next one */
    int64_t floor;       /* every event after this revision is there */
};

void window_push(struct window *w, const struct store_event *e);
void window_drop_oldest(struct window *w);
struct past_event *window_at(const struct window *w, uint64_t seq);
/* Sequence number of the first event after rev; w->end when there is none. */
uint64_t window_seek(const struct window *w, int64_t rev);
/* The version before the event, at the event's revision: what a watcher is told of an object that
 * left its filter. */
struct object *past_event_gone(struct past_event *e);
void window_done(struct window *w);

/* ---- watch_hub.c, watcher.c ---- */

/* Watchers that ask for the same part of a resource. Its key is "NS/NAME", either part may be
 * empty: any. */
struct bucket {
    struct list sleepers;
    size_t watchers;
    struct span key; /* its text is behind the bucket, but for that of "/" */
};

struct resource {
    struct order order;
    struct window window;
    struct bucket any;  /* "/": mostly the only one with watchers */
    struct map buckets; /* the others */
    size_t name_n;
    char name[];
};

struct watch_hub {
    struct env *env;
    struct store *store;
    int64_t rev;
    int64_t start_floor;
    bool is_loading;
    struct map resources;  /* struct resource by name; none ever goes */
    struct resource *last; /* that was asked for; NULL: none yet */
    struct map nodes;      /* store key -> order_node */
    struct list woken;     /* watchers to be told */
    struct env_task tell;
    size_t watchers;
    /* Resources of the events in all windows, in revision order: a ring. */
    struct resource **recent;
    size_t recent_cap, recent_head, recent_n;
};

/* Does the object pass f->match? Its place (namespace, name) is the caller's to look at. The
 * document that the look may need is given back. */
static inline bool filter_matches(const struct watch_filter *f, struct object *o)
{
    if (!f->match) {
        return true;
    }
    struct object_glance glance = object_glance_begin(o);
    bool matches = f->match(f->data, o);
    object_glance_end(&glance);
    return matches;
}

struct resource *hub_resource(struct watch_hub *hub, struct span name);
/* Looks at the whole, in builds that verify: after the store has told all of a commit. */
void watch_hub_verify(struct watch_hub *hub);
/* Wakes the sleepers that the newest event of r concerns. */
void watchers_wake(struct watch_hub *hub, struct resource *r, struct span key);

#endif
