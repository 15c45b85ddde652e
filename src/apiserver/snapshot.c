#include "apiserver/snapshot.h"

#include "base/check.h"
#include "base/mem.h"

struct snapshot {
    uint64_t id; /* 0: free */
    uint64_t query_hash;
    int64_t rev, used_ns;
    struct object **items;
    size_t n;
};

struct snapshots {
    struct env *env;
    uint64_t last_id;
    struct snapshot at[SNAPSHOT_MAX];
    struct env_timer timer; /* armed to the earliest end while any is kept */
};

static void drop(struct snapshot *s)
{
    for (size_t i = 0; i < s->n; i++) {
        object_unref(s->items[i]);
    }
    free(s->items);
    *s = (struct snapshot){0};
}

static void on_timer(struct env_timer *timer);

static void arm(struct snapshots *s)
{
    int64_t oldest = INT64_MAX;
    for (size_t i = 0; i < SNAPSHOT_MAX; i++) {
        if (s->at[i].id && s->at[i].used_ns < oldest) {
            oldest = s->at[i].used_ns;
        }
    }
    if (oldest == INT64_MAX) {
        env_timer_stop(s->env, &s->timer);
        return;
    }
    int64_t age_ms = (env_mono_ns(s->env) - oldest) / 1000000;
    env_timer_start(s->env, &s->timer, age_ms < SNAPSHOT_MS ? SNAPSHOT_MS - age_ms : 0, on_timer);
}

static void on_timer(struct env_timer *timer)
{
    struct snapshots *s = CONTAINER_OF(timer, struct snapshots, timer);
    int64_t now = env_mono_ns(s->env);
    for (size_t i = 0; i < SNAPSHOT_MAX; i++) {
        if (s->at[i].id && now - s->at[i].used_ns >= (int64_t)SNAPSHOT_MS * 1000000) {
            drop(&s->at[i]);
        }
    }
    arm(s);
}

struct snapshots *snapshots_new(struct env *env)
{
    assert(env);
    struct snapshots *s = MEM_NEW(struct snapshots);
    s->env = env;
    /* A token of an earlier life of the server names no snapshot of this one. */
    s->last_id = env_random_u64(env) >> 16;
    return s;
}

void snapshots_free(struct snapshots *s)
{
    if (!s) {
        return;
    }
    env_timer_stop(s->env, &s->timer);
    for (size_t i = 0; i < SNAPSHOT_MAX; i++) {
        drop(&s->at[i]);
    }
    free(s);
}

uint64_t snapshot_add(struct snapshots *s, int64_t rev, uint64_t query_hash, struct object **items,
                      size_t n)
{
    assert(rev > 0);
    assert(items || n == 0);
    struct snapshot *to = &s->at[0];
    for (size_t i = 0; i < SNAPSHOT_MAX && to->id; i++) {
        if (!s->at[i].id || s->at[i].used_ns < to->used_ns) {
            to = &s->at[i];
        }
    }
    drop(to);
    *to = (struct snapshot){.id = ++s->last_id,
                            .query_hash = query_hash,
                            .rev = rev,
                            .used_ns = env_mono_ns(s->env),
                            .items = items,
                            .n = n};
    arm(s);
    return to->id;
}

static struct snapshot *find(struct snapshots *s, uint64_t id, uint64_t query_hash)
{
    for (size_t i = 0; id && i < SNAPSHOT_MAX; i++) {
        if (s->at[i].id == id) {
            return s->at[i].query_hash == query_hash ? &s->at[i] : NULL;
        }
    }
    return NULL;
}

bool snapshot_take(struct snapshots *s, uint64_t id, uint64_t query_hash, size_t at, size_t limit,
                   struct object ***ret, size_t *ret_n, size_t *ret_left, int64_t *ret_rev)
{
    assert(ret);
    assert(ret_n);
    assert(ret_left);
    assert(ret_rev);
    struct snapshot *from = find(s, id, query_hash);
    if (!from || at > from->n) {
        return false;
    }
    size_t n = from->n - at;
    if (limit && n > limit) {
        n = limit;
    }
    *ret = mem_grow(NULL, n ? n : 1, sizeof **ret);
    for (size_t i = 0; i < n; i++) {
        (*ret)[i] = object_ref(from->items[at + i]);
    }
    *ret_n = n;
    *ret_left = from->n - at - n;
    *ret_rev = from->rev;
    from->used_ns = env_mono_ns(s->env);
    if (*ret_left == 0) {
        drop(from);
    }
    arm(s);
    return true;
}
