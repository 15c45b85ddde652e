/* client/workqueue.h: de-duplicated keys, never one key twice at once, back-off with seeded jitter.
 *
 * Level-triggered: a key says "look again", never what happened. A key added while it is being
 * worked on runs once more afterwards. */
#ifndef CLIENT_WORKQUEUE_H
#define CLIENT_WORKQUEUE_H

#include "base/histogram.h"
#include "env/env.h"

struct workqueue;

/* work(data, key) starts the sync of a key; the owner calls workqueue_done exactly once for it, now
 * or later. At most `parallel` keys are worked on at a time. */
struct workqueue *workqueue_new(struct env *env, size_t parallel,
                                void (*work)(void *data, struct span key), void *data);
void workqueue_free(struct workqueue *q);
void workqueue_add(struct workqueue *q, struct span key); /* copied */
/* The earlier of two delays wins; a plain add overtakes. */
void workqueue_add_after(struct workqueue *q, struct span key, int64_t delay_ms);
/* ok resets the key's back-off; otherwise it is queued again after 5 ms doubling to 1000 s
 * (client-go's rates), after 1 s at the latest when it was added while it was worked on. A run that
 * an add brought before the back-off was over does not double it: it lasts about as long as the
 * trouble did, however much happened meanwhile. */
void workqueue_done(struct workqueue *q, struct span key, bool ok);
struct workqueue_stats {
    uint64_t adds, retries; /* keys that were queued; of these after a failure */
    size_t depth, working;
    struct histogram waits, works;  /* ns from queued to worked on, and from there to done */
    int64_t working_ns, longest_ns; /* so far, of what is worked on: together, and the longest */
};
/* Of waits and works: client-go's, told in seconds. */
extern const struct histogram_bounds workqueue_bounds;
/* Costs what is queued and worked on. */
void workqueue_stats(const struct workqueue *q, struct workqueue_stats *ret);
/* Makes the queue known by its name (static) in a list of queues, for figures; it leaves the list
 * when it is freed, which is before the list's head is. */
void workqueue_announce(struct workqueue *q, struct workqueue **head, const char *name);
const char *workqueue_name(const struct workqueue *q);
struct workqueue *workqueue_next(const struct workqueue *q);

#endif
