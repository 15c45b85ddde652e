/* The front that all backends share. Invariants:
 * - an entry of `keys` exists while the key is present or has writes under way;
 * - entry->latest is the state after all submitted writes, entry->durable after all committed ones;
 * - revisions of rows grow within a batch and from batch to batch. */
#include <errno.h>

#include "base/check.h"
#include "base/err.h"
#include "base/limits.h"
#include "store/store_priv.h"

/* The code of a write that only waits, while it does: neither a success nor a refusal. */
enum { AWAITS = 1 };

/* Rows that a store which opens makes room for at once. */
enum { REPLAY_ROOM = 1 << 20 };

struct store_key {
    struct object *latest, *durable; /* NULL: absent */
    uint32_t pending;                /* writes under way, refusals included */
    uint64_t failed_in; /* number of the last commit in which a write of this key failed */
    size_t key_n;
    char key[];
};

/* etcd's, of its commits. */
const struct histogram_bounds store_commit_bounds = {.n = 14,
                                                     .unit = 1e-6,
                                                     .at = {1000, 2000, 4000, 8000, 16000, 32000,
                                                            64000, 128000, 256000, 512000, 1024000,
                                                            2048000, 4096000, 8192000}};

/* ---- history ---- */

static struct store_past *past_at(struct store_history *h, size_t i)
{
    assert(i < h->n);
    assert(h->ring);
    assert(h->head < h->cap);
    return &h->ring[(h->head + i) & (h->cap - 1)];
}

static void past_push(struct store_history *h, struct store_past past)
{
    assert(past.at > past.prev && past.prev >= 0);
    assert(past.prev > 0 || past.is_tombstone); /* else there is nothing to keep */
    assert(h->n == 0 || past_at(h, h->n - 1)->at < past.at);
    if (h->n == h->cap) {
        size_t cap = h->cap ? h->cap * 2 : 256;
        struct store_past *ring = mem_new_array(cap, sizeof *ring);
        for (size_t i = 0; i < h->n; i++) {
            ring[i] = *past_at(h, i);
        }
        free(h->ring);
        h->ring = ring;
        h->cap = cap;
        h->head = 0;
    }
    h->n++;
    h->bytes += past.bytes;
    assert(h->n <= h->cap);
    assert((h->cap & (h->cap - 1)) == 0);
    *past_at(h, h->n - 1) = past;
}

static uint32_t past_bytes(const struct object *previous, const struct object *tombstone)
{
    assert(previous || tombstone);
    size_t n =
        (previous ? object_json(previous).n : 0) + (tombstone ? object_json(tombstone).n : 0);
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static void past_drop_newest(struct store_history *h, size_t n)
{
    assert(n <= h->n);
    for (; n > 0; n--) {
        assert(h->bytes >= past_at(h, h->n - 1)->bytes);
        h->bytes -= past_at(h, h->n - 1)->bytes;
        h->n--;
    }
    assert(h->n > 0 || h->bytes == 0);
}

static void past_drop_oldest(struct store_history *h, size_t n)
{
    assert(n <= h->n);
    for (size_t i = 0; i < n; i++) {
        assert(h->bytes >= past_at(h, i)->bytes);
        h->bytes -= past_at(h, i)->bytes;
    }
    h->head = h->cap ? (h->head + n) & (h->cap - 1) : 0;
    h->n -= n;
    assert(h->n > 0 || h->bytes == 0);
}

/* ---- keys ---- */

static struct store_key *entry_get(struct store *s, struct span key)
{
    assert(key.n > 0);
    struct map_slot *slot = map_seek(&s->keys, key);
    struct store_key *e = slot->value;
    if (!e) {
        e = mem_new(sizeof *e + key.n);
        e->key_n = key.n;
        memcpy(e->key, key.p, key.n);
        map_fill(&s->keys, slot, span_of(e->key, key.n), e);
    }
    assert(span_eq(span_of(e->key, e->key_n), key));
    return e;
}

static void entry_settle(struct store *s, struct store_key *e)
{
    assert(e->pending > 0 || e->latest == e->durable);
    if (e->pending == 0 && !e->latest) {
        assert(!e->durable);
        struct store_key *known = map_remove(&s->keys, span_of(e->key, e->key_n));
        assert(known == e);
        free(e);
    }
}

static void set_object(struct object **slot, struct object *o)
{
    struct object *old = *slot;
    assert(!old || !o || span_eq(object_store_key(old), object_store_key(o)));
    *slot = o ? object_ref(o) : NULL;
    object_unref(old);
}

/* ---- the whole ---- */

static void verify_history(const struct store *s)
{
    struct store_history *h = (struct store_history *)&s->history;
    uint64_t bytes = 0;
    int64_t last = s->compact_rev;
    for (size_t i = 0; i < h->n; i++) {
        const struct store_past *past = past_at(h, i);
        assert(past->at > last && past->prev < past->at);
        last = past->at;
        bytes += past->bytes;
    }
    assert(bytes == h->bytes);
    assert(last <= s->latest_rev);
}

/* Between commits: what is counted is there, and only keys with writes under way differ from what
 * is durable. */
static void store_verify(const struct store *s)
{
    if (!verify_due((uint64_t)s->latest_rev, s->keys.n + s->history.n)) {
        return;
    }
    assert(s->compact_rev <= s->durable_rev && s->durable_rev <= s->latest_rev);
    assert(s->in_flight || list_is_empty(&s->flight));
    verify_history(s);
    uint64_t keys = 0, bytes = 0;
    size_t it = 0;
    for (const struct store_key *e; (e = map_next(&s->keys, &it, NULL)) != NULL;) {
        assert(e->latest || e->durable || e->pending > 0);
        assert(e->pending > 0 || e->latest == e->durable);
        assert(!e->latest || object_rev(e->latest) <= s->latest_rev);
        assert(!e->durable || object_rev(e->durable) <= s->durable_rev);
        keys += e->durable != NULL;
        bytes += e->durable ? object_json(e->durable).n : 0;
    }
    assert(keys == s->stats.live_keys);
    assert(bytes == s->stats.live_bytes);
}

/* ---- life ---- */

static void on_turn_end(struct env_hook *hook);
static void on_refusals(struct env_task *task);

void store_init(struct store *s, const struct store_ops *ops, struct env *env)
{
    assert(ops);
    assert(env);
    assert(ops->commit);
    assert(ops->wait);
    assert(ops->free);
    assert(s->latest_rev == 0);
    assert(s->keys.n == 0);
    s->ops = ops;
    s->env = env;
    s->latest_rev = s->durable_rev = 1;
    s->history_limit = LIMIT_HISTORY_VERSIONS;
    s->history_bytes_limit = LIMIT_HISTORY_BYTES;
    s->log_limit = LIMIT_WAL_BYTES;
    s->log_idle_limit = LIMIT_WAL_IDLE_BYTES;
    list_init(&s->gathering);
    list_init(&s->flight);
    env_turn_end_add(env, &s->hook, on_turn_end);
}

/* Both versions of a write under way are warm: who decides upon them, and in the turn of its commit
 * everybody who is told, parses each once. */
static void warm(struct store_write *w)
{
    assert(w->object);
    assert(!w->is_warm);
    w->is_warm = true;
    object_warm(w->object);
    if (w->previous) {
        object_warm(w->previous);
    }
}

static void cool(struct store_write *w)
{
    assert(!w->is_warm || w->object);
    if (w->is_warm) {
        w->is_warm = false;
        object_cool(w->object);
        if (w->previous) {
            object_cool(w->previous);
        }
    }
}

static void drop_told(struct store *s)
{
    for (size_t i = 0; i < s->told.n; i++) {
        object_cool(s->told.at[i]);
        object_unref(s->told.at[i]);
    }
    s->told.n = 0;
}

static void drop_limbo(struct store *s)
{
    for (size_t i = 0; i < s->limbo.n; i++) {
        object_unref(s->limbo.at[i]);
    }
    s->limbo.n = 0;
}

static void drop_loaded(struct store *s)
{
    for (size_t i = 0; i < s->loaded.n; i++) {
        object_unref(s->loaded.at[i].object);
        object_unref(s->loaded.at[i].previous);
    }
    VEC_DONE(&s->loaded);
}

void store_done(struct store *s)
{
    assert(list_is_empty(&s->gathering));
    assert(list_is_empty(&s->flight));
    env_turn_end_remove(s->env, &s->hook);
    env_post_cancel(s->env, &s->refusals);
    drop_loaded(s);
    drop_limbo(s);
    VEC_DONE(&s->limbo);
    drop_told(s);
    VEC_DONE(&s->told);
    VEC_DONE(&s->batch.rows);
    VEC_DONE(&s->batch.evict);
    free(s->history.ring);
    size_t it = 0;
    struct store_key *e;
    while ((e = map_next(&s->keys, &it, NULL)) != NULL) {
        object_unref(e->latest);
        object_unref(e->durable);
        free(e);
    }
    map_done(&s->keys);
}

void store_free(struct store *s)
{
    if (!s) {
        return;
    }
    while (s->in_flight || !list_is_empty(&s->gathering)) {
        store_start_commit(s);
        if (s->batch.rows.n == 0) {
            env_post_cancel(s->env, &s->refusals);
            store_commit_done(s, 0);
        } else {
            s->ops->wait(s);
        }
    }
    s->ops->free(s);
}

/* told: their writers hear of it, and may be gone then. */
static void abandon(struct list *writes, bool told)
{
    struct list *link;
    while ((link = list_pop_front(writes)) != NULL) {
        struct store_write *w = CONTAINER_OF(link, struct store_write, link);
        cool(w);
        object_unref(TAKE_PTR(w->object));
        object_unref(TAKE_PTR(w->previous));
        assert(!w->is_warm);
        assert(w->done);
        if (told) {
            w->entry = NULL;
            w->done(w, -ECANCELED, NULL);
        }
    }
}

void store_shrink(struct store *s, size_t history_versions, size_t log_bytes)
{
    assert(s && log_bytes > 0);
    s->history_limit = history_versions ? history_versions : s->history_limit;
    s->log_limit = log_bytes;
    s->log_idle_limit = log_bytes / 4;
}

static void take_all(struct list *to, struct list *from)
{
    struct list *link;
    assert(to != from);
    while ((link = list_pop_front(from)) != NULL) {
        list_push_back(to, link);
    }
}

static void crash(struct store *s, bool told)
{
    assert(s->in_flight || list_is_empty(&s->flight));
    struct list writes;
    list_init(&writes);
    take_all(&writes, &s->flight);
    take_all(&writes, &s->gathering);
    assert(list_is_empty(&s->flight));
    assert(list_is_empty(&s->gathering));
    s->ops->free(s); /* it still reads the versions of the batch: their references go last */
    abandon(&writes, told);
    assert(list_is_empty(&writes));
}

void store_crash(struct store *s)
{
    assert(s);
    crash(s, false);
}

void store_die(struct store *s)
{
    assert(s);
    crash(s, true);
}

/* ---- loading ---- */

void store_replay_begin(struct store *s, size_t rows)
{
    assert(s->loaded.n == 0);
    rows = rows < REPLAY_ROOM ? rows : REPLAY_ROOM;
    if (rows > 0) {
        map_reserve(&s->keys, rows);
        VEC_RESERVE(&s->loaded, rows);
    }
}

void store_replay(struct store *s, struct object *object, bool is_delete)
{
    int64_t rev = object_rev(object);
    assert(rev > 0);
    assert(s->stats.commits == 0);
    assert(s->loaded.n == 0 || object_rev(s->loaded.at[s->loaded.n - 1].object) < rev);
    struct store_key *e = entry_get(s, object_store_key(object));
    struct object *previous = e->latest ? object_ref(e->latest) : NULL;
    if (previous || is_delete) {
        past_push(&s->history,
                  (struct store_past){.at = rev,
                                      .prev = previous ? object_rev(previous) : 0,
                                      .is_tombstone = is_delete,
                                      .bytes = past_bytes(previous, is_delete ? object : NULL)});
    }
    if (previous) {
        assert(s->stats.live_keys > 0);
        assert(s->stats.live_bytes >= object_json(previous).n);
        s->stats.live_bytes -= object_json(previous).n;
        s->stats.live_keys--;
    }
    if (!is_delete) {
        s->stats.live_bytes += object_json(object).n;
        s->stats.live_keys++;
    }
    set_object(&e->latest, is_delete ? NULL : object);
    set_object(&e->durable, is_delete ? NULL : object);
    entry_settle(s, e);
    VEC_PUSH(&s->loaded, ((struct store_loaded){object, previous, is_delete}));
    s->latest_rev = s->durable_rev = rev > s->latest_rev ? rev : s->latest_rev;
}

void store_replay_end(struct store *s, int64_t compact_rev)
{
    assert(compact_rev >= 0);
    s->compact_rev = compact_rev;
    if (compact_rev > s->latest_rev) {
        s->latest_rev = s->durable_rev = compact_rev;
    }
    assert(s->history.n == 0 || past_at(&s->history, 0)->at > compact_rev);
    store_verify(s);
}

void store_load(struct store *s, store_event_fn *fn, void *data)
{
    assert(s->stats.commits == 0);
    assert(!s->event);
    for (size_t i = 0; fn && i < s->loaded.n; i++) {
        const struct store_loaded *l = &s->loaded.at[i];
        fn(data, &(struct store_event){l->is_delete, l->object, l->previous});
    }
    drop_loaded(s);
}

void store_subscribe(struct store *s, store_event_fn *fn, void *data)
{
    assert(!fn || !s->event);
    s->event = fn;
    s->event_data = data;
}

/* ---- decisions ---- */

static int decide(const struct store_key *e, const struct store_write *w)
{
    assert(e->pending > 0);
    if (w->body.n > LIMIT_OBJECT_BYTES) {
        return E_LIMIT;
    }
    if (w->expect_rev == STORE_ABSENT) {
        return e->latest ? -EEXIST : 0;
    }
    if (!e->latest) {
        return w->expect_rev == STORE_ANY && !w->is_delete ? 0 : -ENOENT;
    }
    if (w->expect_rev != STORE_ANY && w->expect_rev != object_rev(e->latest)) {
        return E_CONFLICT;
    }
    return 0;
}

void store_submit(struct store *s, struct store_write *w)
{
    assert(w->done);
    assert(w->expect_rev >= STORE_ANY);
    assert(w->key.n > 0);
    assert(!(w->is_delete && w->expect_rev == STORE_ABSENT));
    struct store_key *e = entry_get(s, w->key);
    e->pending++;
    w->entry = e;
    w->object = w->previous = NULL;
    w->is_warm = false;
    w->code = decide(e, w);
    if (w->code == 0) {
        w->object = object_new(w->key, ++s->latest_rev, w->body);
        w->previous = TAKE_PTR(e->latest);
        assert(!w->previous || object_rev(w->previous) < object_rev(w->object));
        e->latest = w->is_delete ? NULL : object_ref(w->object);
        warm(w);
        if (w->parsed) {
            object_adopt_tree(w->object, TAKE_PTR(w->parsed)); /* the caller's: gone soon */
        }
    } else if (e->latest && w->code != E_LIMIT) {
        w->object = object_ref(e->latest);
    }
    list_init(&w->link);
    list_push_back(&s->gathering, &w->link);
}

bool store_is_settled(const struct store *s)
{
    assert(s->in_flight || list_is_empty(&s->flight));
    return !s->in_flight && list_is_empty(&s->gathering);
}

void store_await(struct store *s, struct store_write *w)
{
    assert(w->done);
    w->entry = NULL;
    w->object = w->previous = NULL;
    w->is_warm = false;
    w->code = AWAITS;
    list_init(&w->link);
    list_push_back(&s->gathering, &w->link);
}

struct object *store_peek(struct store *s, struct span key)
{
    assert(key.n > 0);
    struct store_key *e = map_get(&s->keys, key);
    return e ? e->latest : NULL;
}

/* ---- commits ---- */

static void add_row(struct store *s, const struct store_write *w)
{
    struct store_row row = {.rev = object_rev(w->object),
                            .is_delete = w->is_delete,
                            .object = w->object,
                            .key = object_store_key(w->object)};
    object_body_parts(w->object, row.body);
    assert(row.rev > s->durable_rev && row.rev <= s->latest_rev);
    assert(w->entry);
    assert(w->entry->pending > 0);
    assert(s->batch.rows.n == 0 || s->batch.rows.at[s->batch.rows.n - 1].rev < row.rev);
    VEC_PUSH(&s->batch.rows, row);
    if (w->previous) {
        past_push(
            &s->history,
            (struct store_past){.at = row.rev,
                                .prev = object_rev(w->previous),
                                .is_tombstone = w->is_delete,
                                .bytes = past_bytes(w->previous, w->is_delete ? w->object : NULL)});
        s->batch_past++;
    }
}

static void choose_evictions(struct store *s)
{
    struct store_batch *b = &s->batch;
    b->compact_rev = s->compact_rev;
    uint64_t bytes = s->history.bytes;
    for (size_t i = 0; s->history.n - i > s->history_limit || bytes > s->history_bytes_limit; i++) {
        const struct store_past *past = past_at(&s->history, i);
        bytes -= past->bytes;
        if (past->prev) {
            VEC_PUSH(&b->evict, past->prev);
        }
        if (past->is_tombstone) {
            VEC_PUSH(&b->evict, past->at);
        }
        assert(past->at > b->compact_rev);
        b->compact_rev = past->at;
    }
    assert(b->compact_rev <= s->latest_rev);
    assert(b->evict.n <= 2 * s->history.n);
}

void store_start_commit(struct store *s)
{
    if (s->in_flight || list_is_empty(&s->gathering)) {
        return;
    }
    assert(list_is_empty(&s->flight));
    s->in_flight = true;
    s->batch.rows.n = s->batch.evict.n = 0;
    s->batch_past = 0;
    LIST_EACH(link, &s->gathering)
    {
        struct store_write *w = CONTAINER_OF(link, struct store_write, link);
        list_remove(link);
        list_push_back(&s->flight, link);
        if (w->code == 0) {
            add_row(s, w);
        }
    }
    if (s->batch.rows.n == 0) {
        env_post(s->env, &s->refusals, on_refusals);
        return;
    }
    assert(s->batch_past <= s->history.n && s->batch_past <= s->batch.rows.n);
    choose_evictions(s);
    s->batch.number = ++s->stats.commits;
    s->commit_start_ns = env_mono_ns(s->env);
    s->ops->commit(s);
}

static void on_turn_end(struct env_hook *hook)
{
    struct store *s = CONTAINER_OF(hook, struct store, hook);
    drop_limbo(s);
    drop_told(s);
    store_start_commit(s);
}

static void on_refusals(struct env_task *task)
{
    struct store *s = CONTAINER_OF(task, struct store, refusals);
    assert(s->in_flight);
    assert(s->batch.rows.n == 0);
    store_commit_done(s, 0);
}

static void finish(struct store *s, struct store_write *w)
{
    assert(w->code != 0 || w->object);
    assert(!w->is_warm || w->object);
    struct store_key *e = w->entry;
    struct object *object = TAKE_PTR(w->object), *previous = TAKE_PTR(w->previous);
    if (w->is_warm) {
        w->is_warm = false;
        VEC_PUSH(&s->told, object_ref(object));
        if (previous) {
            VEC_PUSH(&s->told, object_ref(previous));
        }
    }
    object_unref(previous);
    if (e) {
        assert(e->pending > 0);
        e->pending--;
        entry_settle(s, e);
    }
    w->entry = NULL;
    w->code = w->code == AWAITS ? 0 : w->code;
    assert(w->code <= 0);
    assert(list_is_empty(&w->link));
    w->done(w, w->code, object); /* w may be gone now */
    object_unref(object);
}

/* The writes of the batch become the durable state, and the subscriber hears of them. */
static void settle_success(struct store *s, struct list *writes)
{
    size_t evicted = 0;
    while (evicted < s->history.n && past_at(&s->history, evicted)->at <= s->batch.compact_rev) {
        evicted++;
    }
    past_drop_oldest(&s->history, evicted);
    assert(s->batch.compact_rev >= s->compact_rev);
    s->compact_rev = s->batch.compact_rev;
    LIST_EACH(link, writes)
    {
        struct store_write *w = CONTAINER_OF(link, struct store_write, link);
        if (w->code != 0) {
            continue;
        }
        struct store_key *e = w->entry;
        assert(e && e->pending > 0 &&
               !!w->previous == !!e->durable); /* in the order of decisions */
        s->stats.live_keys += (uint64_t)!w->is_delete - (uint64_t)(w->previous != NULL);
        s->stats.live_bytes += w->is_delete ? 0 : object_json(w->object).n;
        s->stats.live_bytes -= w->previous ? object_json(w->previous).n : 0;
        s->stats.writes++;
        set_object(&e->durable, w->is_delete ? NULL : w->object);
        assert(object_rev(w->object) > s->durable_rev);
        s->durable_rev = object_rev(w->object);
    }
    assert(s->compact_rev <= s->durable_rev && s->durable_rev <= s->latest_rev);
    LIST_EACH(link, writes)
    {
        struct store_write *w = CONTAINER_OF(link, struct store_write, link);
        if (w->code == 0 && s->event) {
            s->event(s->event_data, &(struct store_event){w->is_delete, w->object, w->previous});
        }
    }
}

static void fail_write(struct store *s, struct store_write *w, int code)
{
    assert(code < 0);
    w->code = code;
    cool(w);
    if (w->object) {
        VEC_PUSH(&s->limbo, w->object);
        w->object = NULL;
    }
}

/* Was it decided upon a write of the batch that failed? Who waits has seen all of them. */
static bool leans_on_failed(const struct store *s, const struct store_write *w)
{
    return w->entry ? w->entry->failed_in == s->batch.number : w->code == AWAITS;
}

/* The keys of the batch fall back; what was gathered meanwhile upon them falls with it. */
static void settle_failure(struct store *s, struct list *writes, int code)
{
    assert(code < 0);
    past_drop_newest(&s->history, s->batch_past);
    LIST_EACH(link, writes)
    {
        struct store_write *w = CONTAINER_OF(link, struct store_write, link);
        if (w->code == 0) {
            assert(w->entry->pending > 0);
            w->entry->failed_in = s->batch.number;
            set_object(&w->entry->latest, w->entry->durable);
            fail_write(s, w, code);
        }
    }
    LIST_EACH(link, writes)
    {
        struct store_write *w = CONTAINER_OF(link, struct store_write, link);
        if (w->code != code && leans_on_failed(s, w)) {
            fail_write(s, w, code); /* refused because of a write that failed */
        }
    }
    LIST_EACH(link, &s->gathering)
    {
        struct store_write *w = CONTAINER_OF(link, struct store_write, link);
        if (leans_on_failed(s, w)) {
            fail_write(s, w, code);
            list_remove(link);
            list_push_back(writes, link);
        }
    }
}

void store_commit_done(struct store *s, int code)
{
    assert(s->in_flight);
    assert(code <= 0);
    struct list writes;
    list_init(&writes);
    LIST_EACH(link, &s->flight)
    {
        list_remove(link);
        list_push_back(&writes, link);
    }
    s->in_flight = false;
    if (s->batch.rows.n) {
        uint64_t us = (uint64_t)(env_mono_ns(s->env) - s->commit_start_ns) / 1000;
        histogram_add(&s->stats.commit_us, &store_commit_bounds, us);
        s->stats.commit_us_total += us;
        s->stats.commit_us_max = us > s->stats.commit_us_max ? us : s->stats.commit_us_max;
        if (code == 0) {
            settle_success(s, &writes);
        } else {
            settle_failure(s, &writes, code);
        }
    }
    struct list *link;
    assert(list_is_empty(&s->flight));
    store_verify(s);
    while ((link = list_pop_front(&writes)) != NULL) {
        finish(s, CONTAINER_OF(link, struct store_write, link));
    }
}

/* ---- facts ---- */

int64_t store_latest_rev(const struct store *s)
{
    assert(s->latest_rev >= s->durable_rev);
    return s->latest_rev;
}

int64_t store_durable_rev(const struct store *s)
{
    assert(s->durable_rev >= s->compact_rev);
    return s->durable_rev;
}

int64_t store_compact_rev(const struct store *s)
{
    assert(s->compact_rev >= 0);
    return s->compact_rev;
}

void store_stats(const struct store *s, struct store_stats *ret)
{
    assert(ret);
    assert(s->stats.live_keys <= s->keys.n);
    *ret = s->stats;
}
