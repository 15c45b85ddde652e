/* The memory backend: a commit is a timer. With a disk, the rows are kept in it half-way through
 * that time, so that a simulated crash falls before, between or after "durable" and "acknowledged".
 */
#include "base/check.h"
#include "store/store_priv.h"

struct disk_row {
    int64_t rev;
    struct object *object; /* NULL: evicted */
    bool is_delete;
};

/* Rows in revision order; evicted ones are squeezed out when they are the majority. */
struct store_memory_disk {
    VEC(struct disk_row) rows;
    size_t dead;
    int64_t compact_rev;
};

struct store_memory {
    struct store s;
    struct store_memory_options options;
    struct store_memory_disk *disk; /* NULL: nothing survives */
    struct env_timer timer;
    bool is_applied;
    int code;
};

struct store_memory_disk *store_memory_disk_new(void)
{
    return MEM_NEW(struct store_memory_disk);
}

void store_memory_disk_free(struct store_memory_disk *disk)
{
    assert(!disk || disk->dead <= disk->rows.n);
    if (disk) {
        for (size_t i = 0; i < disk->rows.n; i++) {
            object_unref(disk->rows.at[i].object);
        }
        VEC_DONE(&disk->rows);
        free(disk);
    }
}

struct store_memory_disk *store_memory_disk_copy(const struct store_memory_disk *disk)
{
    struct store_memory_disk *d = store_memory_disk_new();
    assert(disk->dead <= disk->rows.n);
    d->dead = disk->dead;
    d->compact_rev = disk->compact_rev;
    for (size_t i = 0; i < disk->rows.n; i++) {
        struct disk_row row = disk->rows.at[i];
        row.object = row.object ? object_ref(row.object) : NULL;
        VEC_PUSH(&d->rows, row);
    }
    return d;
}

static void disk_evict(struct store_memory_disk *d, int64_t rev)
{
    assert(rev > 0);
    assert(d->dead < d->rows.n);
    size_t lo = 0, hi = d->rows.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (d->rows.at[mid].rev < rev) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    assert(lo < d->rows.n);
    assert(d->rows.at[lo].rev == rev);
    assert(d->rows.at[lo].object);
    object_unref(TAKE_PTR(d->rows.at[lo].object));
    d->dead++;
}

static void disk_squeeze(struct store_memory_disk *d)
{
    assert(d->dead <= d->rows.n);
    if (d->dead * 2 <= d->rows.n) {
        return;
    }
    size_t n = 0;
    for (size_t i = 0; i < d->rows.n; i++) {
        if (d->rows.at[i].object) {
            d->rows.at[n++] = d->rows.at[i];
        }
    }
    assert(n + d->dead == d->rows.n);
    d->rows.n = n;
    d->dead = 0;
}

static void apply(struct store_memory *m)
{
    assert(!m->is_applied);
    assert(m->s.in_flight);
    m->is_applied = true;
    struct store_memory_disk *d = m->disk;
    if (!d || m->code < 0) {
        return;
    }
    const struct store_batch *b = &m->s.batch;
    for (size_t i = 0; i < b->rows.n; i++) {
        struct store_row *row = &b->rows.at[i];
        assert(d->rows.n == 0 || row->rev > d->rows.at[d->rows.n - 1].rev);
        VEC_PUSH(&d->rows, ((struct disk_row){row->rev, object_ref(row->object), row->is_delete}));
    }
    for (size_t i = 0; i < b->evict.n; i++) {
        disk_evict(d, b->evict.at[i]);
    }
    disk_squeeze(d);
    assert(b->compact_rev >= d->compact_rev);
    assert(d->dead <= d->rows.n);
    d->compact_rev = b->compact_rev;
}

static void on_acknowledge(struct env_timer *timer)
{
    struct store_memory *m = CONTAINER_OF(timer, struct store_memory, timer);
    assert(m->is_applied);
    store_commit_done(&m->s, m->code);
}

static void on_apply(struct env_timer *timer)
{
    struct store_memory *m = CONTAINER_OF(timer, struct store_memory, timer);
    assert(m->s.in_flight);
    assert(!m->is_applied);
    apply(m);
    int64_t rest_ms = m->options.latency_ms - m->options.latency_ms / 2;
    if (rest_ms > 0) {
        env_timer_start(m->s.env, timer, rest_ms, on_acknowledge);
    } else {
        store_commit_done(&m->s, m->code);
    }
}

static void memory_commit(struct store *s)
{
    struct store_memory *m = CONTAINER_OF(s, struct store_memory, s);
    assert(s->in_flight);
    assert(s->batch.rows.n > 0);
    assert(!env_timer_armed(&m->timer));
    m->is_applied = false;
    m->code = m->options.fail ? m->options.fail(m->options.data, s->batch.number) : 0;
    assert(m->code <= 0);
    env_timer_start(s->env, &m->timer, m->options.latency_ms / 2, on_apply);
}

static void memory_wait(struct store *s)
{
    struct store_memory *m = CONTAINER_OF(s, struct store_memory, s);
    assert(env_timer_armed(&m->timer));
    env_timer_stop(s->env, &m->timer);
    if (!m->is_applied) {
        apply(m);
    }
    store_commit_done(s, m->code);
}

static void memory_free(struct store *s)
{
    struct store_memory *m = CONTAINER_OF(s, struct store_memory, s);
    assert(!env_timer_armed(&m->timer) || s->in_flight);
    env_timer_stop(s->env, &m->timer);
    store_done(s);
    free(m);
}

static const struct store_ops memory_ops = {
    .commit = memory_commit, .wait = memory_wait, .free = memory_free};

struct store *store_memory_open(struct env *env, struct store_memory_disk *disk,
                                const struct store_memory_options *options)
{
    assert(env);
    assert(!disk || disk->compact_rev >= 0);
    struct store_memory *m = MEM_NEW(struct store_memory);
    store_init(&m->s, &memory_ops, env);
    if (options) {
        assert(options->latency_ms >= 0);
        m->options = *options;
    }
    m->disk = disk;
    store_replay_begin(&m->s, disk ? disk->rows.n : 0);
    for (size_t i = 0; disk && i < disk->rows.n; i++) {
        const struct disk_row *row = &disk->rows.at[i];
        assert(i == 0 || disk->rows.at[i - 1].rev < row->rev);
        if (row->object) {
            store_replay(&m->s, object_ref(row->object), row->is_delete);
        }
    }
    store_replay_end(&m->s, disk ? disk->compact_rev : 0);
    return &m->s;
}

struct store *store_memory_new(struct env *env, const struct store_memory_options *options)
{
    assert(env);
    return store_memory_open(env, NULL, options);
}
