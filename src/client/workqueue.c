/* client/workqueue.c: see workqueue.h.
 *
 * An item exists while it is queued, worked on, waiting for its timer, or has failures to remember.
 * States are independent flags: an item may be worked on and dirty (asked for again) or delayed at
 * the same time. */
#include "client/workqueue.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"

enum { BACKOFF_FIRST_MS = 5, BACKOFF_MAX_MS = 1000 * 1000, BACKOFF_DIRTY_MAX_MS = 1000 };

struct item {
    struct list link; /* in queue->ready; self-linked otherwise */
    struct workqueue *queue;
    struct env_timer timer;
    int64_t due_ns;   /* of the timer, when armed */
    int64_t since_ns; /* queued, then worked on */
    uint32_t failures;
    bool queued, working, dirty;
    bool overtaken; /* runs, or will, before its back-off is over */
    size_t key_n;
    char key[];
};

struct workqueue {
    struct env *env;
    size_t parallel, active;
    void (*work)(void *data, struct span key);
    void *data;
    struct map items;
    struct list ready;
    size_t ready_count;
    struct env_task task;
    struct workqueue_stats stats;
    const char *name; /* and its place among the announced ones */
    struct workqueue **head, *next;
};

const struct histogram_bounds workqueue_bounds = {.n = 12,
                                                  .unit = 1e-9,
                                                  .at = {10, 100, 1000, 10000, 100000, 1000000,
                                                         10000000, 100000000, 1000000000,
                                                         10000000000, 100000000000, 1000000000000}};

static struct span item_key(const struct item *it)
{
    return span_of(it->key, it->key_n);
}

struct workqueue *workqueue_new(struct env *env, size_t parallel,
                                void (*work)(void *data, struct span key), void *data)
{
    assert(parallel > 0);
    assert(work);
    struct workqueue *q = MEM_NEW(struct workqueue);
    q->env = env;
    q->parallel = parallel;
    q->work = work;
    q->data = data;
    list_init(&q->ready);
    return q;
}

void workqueue_free(struct workqueue *q)
{
    if (!q) {
        return;
    }
    env_post_cancel(q->env, &q->task);
    size_t pos = 0;
    struct item *it;
    while ((it = map_next(&q->items, &pos, NULL))) {
        env_timer_stop(q->env, &it->timer);
        free(it);
    }
    map_done(&q->items);
    for (struct workqueue **at = q->head; at && *at; at = &(*at)->next) {
        if (*at == q) {
            *at = q->next;
            break;
        }
    }
    free(q);
}

static struct item *item_get(struct workqueue *q, struct span key)
{
    struct map_slot *slot = map_seek(&q->items, key);
    struct item *it = slot->value;
    if (!it) {
        it = mem_new(sizeof *it + key.n + 1);
        list_init(&it->link);
        it->queue = q;
        it->key_n = key.n;
        if (key.n) {
            memcpy(it->key, key.p, key.n);
        }
        map_fill(&q->items, slot, item_key(it), it);
    }
    assert(it->queue == q);
    assert(span_eq(item_key(it), key));
    return it;
}

/* What is counted is there, and each item is in one state at a time. */
static void workqueue_verify(const struct workqueue *q)
{
    if (!verify_due(q->stats.adds, q->items.n)) {
        return;
    }
    size_t ready = 0, active = 0, it_pos = 0;
    for (const struct item *it; (it = map_next(&q->items, &it_pos, NULL));) {
        assert(it->queue == q);
        assert(!(it->queued && it->working));
        assert(!it->dirty || it->working);
        assert(it->queued == !list_is_empty(&it->link));
        ready += it->queued;
        active += it->working;
    }
    assert(ready == q->ready_count);
    assert(active == q->active);
    assert(active <= q->parallel);
}

static void item_drop_if_idle(struct workqueue *q, struct item *it)
{
    if (!it->queued && !it->working && !env_timer_armed(&it->timer) && it->failures == 0) {
        assert(!it->dirty);
        assert(list_is_empty(&it->link));
        struct item *known = map_remove(&q->items, item_key(it));
        assert(known == it);
        free(it);
    }
}

/* What it has spent in the state that it leaves. */
static void count_time(struct workqueue *q, struct item *it, struct histogram *h)
{
    int64_t now = env_mono_ns(q->env);
    assert(now >= it->since_ns);
    histogram_add(h, &workqueue_bounds, (uint64_t)(now - it->since_ns));
    it->since_ns = now;
}

static void run_ready(struct env_task *task)
{
    struct workqueue *q = CONTAINER_OF(task, struct workqueue, task);
    workqueue_verify(q);
    /* Only what is queued now: keys that re-add themselves go behind the other tasks of the turn.
     */
    size_t budget = q->ready_count;
    while (budget-- > 0 && q->active < q->parallel && q->ready_count > 0) {
        struct item *it = CONTAINER_OF(list_pop_front(&q->ready), struct item, link);
        assert(it->queued);
        assert(!it->working);
        q->ready_count--;
        it->queued = false;
        it->working = true;
        count_time(q, it, &q->stats.waits);
        q->active++;
        assert(q->active <= q->parallel);
        q->work(q->data, item_key(it));
    }
    if (q->ready_count > 0 && q->active < q->parallel) {
        env_post(q->env, &q->task, run_ready);
    }
}

static void enqueue(struct workqueue *q, struct item *it)
{
    assert(!(it->queued && it->working));
    bool waited = env_timer_armed(&it->timer);
    env_timer_stop(q->env, &it->timer);
    if (it->working) {
        it->dirty = true;
    } else if (!it->queued) {
        assert(!it->dirty);
        it->overtaken |= waited && it->failures > 0;
        it->queued = true;
        it->since_ns = env_mono_ns(q->env);
        q->stats.adds++;
        list_push_back(&q->ready, &it->link);
        q->ready_count++;
        env_post(q->env, &q->task, run_ready);
    }
}

void workqueue_add(struct workqueue *q, struct span key)
{
    assert(q);
    assert(key.n > 0);
    enqueue(q, item_get(q, key));
}

static void timer_due(struct env_timer *timer)
{
    struct item *it = CONTAINER_OF(timer, struct item, timer);
    enqueue(it->queue, it);
}

void workqueue_add_after(struct workqueue *q, struct span key, int64_t delay_ms)
{
    struct item *it = item_get(q, key);
    if (delay_ms <= 0) {
        enqueue(q, it);
        return;
    }
    if (it->queued || it->dirty) {
        return;
    }
    int64_t due_ns = env_mono_ns(q->env) + delay_ms * 1000000;
    if (env_timer_armed(&it->timer) && it->due_ns <= due_ns) {
        return;
    }
    assert(!it->queued);
    it->due_ns = due_ns;
    env_timer_start(q->env, &it->timer, delay_ms, timer_due);
}

static int64_t backoff_ms(struct workqueue *q, uint32_t failures)
{
    int64_t base = BACKOFF_FIRST_MS;
    for (uint32_t i = 1; i < failures && base < BACKOFF_MAX_MS; i++) {
        base *= 2;
    }
    base = base < BACKOFF_MAX_MS ? base : BACKOFF_MAX_MS;
    assert(failures > 0);
    assert(base >= BACKOFF_FIRST_MS);
    /* Up to a fifth more, so that keys which failed together do not retry together. */
    return base + (int64_t)(env_random_u64(q->env) % (uint64_t)(base / 5 + 1));
}

void workqueue_done(struct workqueue *q, struct span key, bool ok)
{
    struct item *it = map_get(&q->items, key);
    assert(it);
    assert(it->working);
    assert(q->active > 0);
    assert(!it->queued);
    workqueue_verify(q);
    it->working = false;
    q->active--;
    count_time(q, it, &q->stats.works);
    it->failures = ok ? 0 : it->failures + !it->overtaken;
    it->overtaken = false;
    if (it->dirty && ok) {
        it->dirty = false;
        enqueue(q, it);
    } else if (!ok) {
        /* What was asked for meanwhile waits for the back-off too, since a failing key must not
         * spin on its own events; but not for long, since the run may not have seen it. */
        int64_t wait_ms = backoff_ms(q, it->failures);
        bool soon = it->dirty && wait_ms > BACKOFF_DIRTY_MAX_MS;
        it->dirty = false;
        it->overtaken = soon;
        q->stats.retries++;
        workqueue_add_after(q, key, soon ? BACKOFF_DIRTY_MAX_MS : wait_ms);
    }
    if (q->ready_count > 0) {
        env_post(q->env, &q->task, run_ready);
    }
    item_drop_if_idle(q, it);
}

void workqueue_stats(const struct workqueue *q, struct workqueue_stats *ret)
{
    assert(ret);
    assert(q->ready_count <= q->items.n);
    assert(q->active <= q->items.n);
    *ret = q->stats;
    ret->depth = q->ready_count;
    ret->working = q->active;
    int64_t now = env_mono_ns(q->env);
    size_t pos = 0;
    for (const struct item *it; (it = map_next(&q->items, &pos, NULL));) {
        int64_t took = it->working ? now - it->since_ns : 0;
        ret->working_ns += took;
        ret->longest_ns = took > ret->longest_ns ? took : ret->longest_ns;
    }
}

void workqueue_announce(struct workqueue *q, struct workqueue **head, const char *name)
{
    assert(!q->head);
    assert(head);
    assert(name);
    q->name = name;
    q->head = head;
    q->next = *head;
    *head = q;
}

const char *workqueue_name(const struct workqueue *q)
{
    assert(q);
    return q->name ? q->name : "";
}

struct workqueue *workqueue_next(const struct workqueue *q)
{
    assert(q);
    return q->next;
}
