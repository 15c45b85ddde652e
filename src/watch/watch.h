/* watch/watch.h: the cache that all reads are served from, and the fan-out of changes.
 *
 * The hub subscribes to the store. Per resource it keeps every live object (hash by key, order by
 * key) and a window of past events. A watcher is a cursor into that window plus a filter: it holds
 * no queue, so a slow one costs nothing; when the window has moved past its cursor it is told so
 * (410). Events are pulled: the hub says "there is more" once, the watcher then takes events while
 * its transport has room (h2o's proceed). A watcher that has taken everything sleeps and costs
 * nothing: an event touches only the sleepers that ask for its resource and namespace (or name).
 * Everything is committed state, in revision order, without gaps.
 *
 * Order of objects: bytewise by store key, "RESOURCE/NAMESPACE/NAME", as etcd has it.
 * Loop thread only. */
#ifndef WATCH_WATCH_H
#define WATCH_WATCH_H

#include "store/store.h"

struct watch_hub;

/* Loads the store and subscribes to it: one hub a store. */
struct watch_hub *watch_hub_new(struct env *env, struct store *store);
/* All watchers are freed before, the store after. */
void watch_hub_free(struct watch_hub *hub);

/* Revision up to which the cache is complete (what a list returns as its resourceVersion). At
 * least 1. */
int64_t watch_hub_rev(const struct watch_hub *hub);
/* One committed object, borrowed for this turn; NULL when absent. */
struct object *watch_hub_get(struct watch_hub *hub, struct span key);
/* Number of live objects of a resource ("pods", "statefulsets.apps"). */
size_t watch_hub_count(struct watch_hub *hub, struct span resource);

/* What a list or watch wants. The filter gets parsed objects and is called on the loop thread. */
struct watch_filter {
    struct span resource; /* "pods", "statefulsets.apps" */
    struct span ns;       /* empty: all namespaces */
    struct span
        name; /* empty: any; set (metadata.name field selector): O(1) with ns or cluster scope */
    /* NULL: all match. A pure function of the object: it may be asked about old versions, at any
     * time. */
    bool (*match)(void *data, struct object *o);
    void *data;
};

/* Calls fn for matching objects in key order, starting after the key `after` (empty: from the
 * start). fn returns false to stop; it does not write or free the hub. Returns the number of fn
 * calls. Cost: O(log n) and what is visited, not what exists in other namespaces. */
size_t watch_hub_list(struct watch_hub *hub, const struct watch_filter *filter, struct span after,
                      bool (*fn)(void *data, struct object *o), void *data);

/* The same of the moment of revision rev, which is in 1..watch_hub_rev(): what has changed since is
 * shown as it was. False when the history does not reach back so far (nothing is called). Cost: as
 * above, and the events of the resource since then. */
bool watch_hub_list_at(struct watch_hub *hub, const struct watch_filter *filter, int64_t rev,
                       struct span after, bool (*fn)(void *data, struct object *o), void *data);

enum watch_type { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED, WATCH_BOOKMARK };

struct watch_event {
    enum watch_type type;    /* WATCH_BOOKMARK is never returned here: the API server makes those */
    struct object *object;   /* borrowed until control returns to the loop */
    struct object *previous; /* version before, may be NULL */
    int64_t rev;
};

struct watcher;

/* Starts after revision `from`. The caller first takes what is there with watcher_next(); after
 * that returned 0, on_more(data) is called once (never inside watcher calls) when watcher_next
 * would return an event again, and so on. Returns NULL when events after `from` are gone (410 Gone:
 * list again); a `from` above the current revision waits for it. The filter's spans are copied; its
 * data must outlive the watcher. */
struct watcher *watcher_new(struct watch_hub *hub, const struct watch_filter *filter, int64_t from,
                            void (*on_more)(void *data), void *data);
/* The next matching event: 1 and *ret, 0 when there is none now, E_LIMIT (from then on) when the
 * window moved past the cursor. An object that stops matching arrives as DELETED (its last matching
 * state at the new revision), one that starts matching as ADDED. */
int watcher_next(struct watcher *w, struct watch_event *ret);
/* Revision up to which this watcher has seen everything (for bookmarks). */
int64_t watcher_rev(const struct watcher *w);
void watcher_free(struct watcher *w);

#endif
