/* The contract of store/store.h, run for every backend. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "env/env_uv.h"
#include "kit/kit.h"
#include "store/store_priv.h"

enum backend { MEMORY, SQLITE };

enum { KEYS = 12, LOG_MAX = 100000 };

/* One told event, as plain numbers. */
struct told {
    int64_t rev, prev;
    int key, value;
    bool is_delete;
};

struct world {
    enum backend backend;
    struct env *env;
    struct store *store;
    struct store_memory_disk *disk;
    struct store_memory_options options;
    char path[128];
    size_t history_limit;
    int outstanding;
    bool in_submit;
    VEC(struct told) events; /* as subscribed, and as loaded */
    VEC(struct told) loaded;
    uint64_t fail_commit; /* number of the commit that fails; 0: none */
    int done_count;
};

/* A write with its memory and result. */
struct put {
    struct store_write w;
    struct world *world;
    char key[64], body[256];
    int key_number, value;
    int code;
    int64_t rev; /* of the object given to done; 0: none */
    int order;   /* place among all done calls; 0: not done */
    void (*then)(struct put *p);
};

static struct span key_of(char buf[64], int key)
{
    return span_of(buf, (size_t)snprintf(buf, 64, "configmaps/default/k%d", key));
}

static int number_after(struct span s, const char *mark)
{
    const char *at = memmem(s.p, s.n, mark, strlen(mark));
    return at ? (int)strtol(at + strlen(mark), NULL, 10) : -1;
}

static struct told told_of(const struct store_event *e)
{
    return (struct told){object_rev(e->object), e->previous ? object_rev(e->previous) : 0,
                         number_after(object_store_key(e->object), "/k"),
                         number_after(object_json(e->object), "\"n\":\""), e->is_delete};
}

static void on_event(void *data, const struct store_event *e)
{
    struct world *w = data;
    CHECK(!w->in_submit);
    VEC_PUSH(&w->events, told_of(e));
}

static void on_loaded(void *data, const struct store_event *e)
{
    struct world *w = data;
    VEC_PUSH(&w->loaded, told_of(e));
}

static int fail_hook(void *data, uint64_t number)
{
    struct world *w = data;
    return number == w->fail_commit ? -EIO : 0;
}

static void world_open(struct world *w)
{
    w->loaded.n = w->events.n = 0;
    if (w->backend == MEMORY) {
        if (!w->disk) {
            w->disk = store_memory_disk_new();
        }
        w->options.fail = fail_hook;
        w->options.data = w;
        w->store = store_memory_open(w->env, w->disk, &w->options);
    } else {
        cleanup_arena struct arena *a = arena_new();
        struct span detail = {0};
        int code = store_sqlite_open(w->env, w->path, &w->store, a, &detail);
        if (code < 0) {
            kit_note("%.*s", SPAN_ARG(detail));
        }
        CHECK_EQ(code, 0);
    }
    if (w->history_limit) {
        w->store->history_limit = w->history_limit;
    }
    store_load(w->store, on_loaded, w);
    store_subscribe(w->store, on_event, w);
}

static struct world *world_new(enum backend backend)
{
    struct world *w = MEM_NEW(struct world);
    w->backend = backend;
    w->env = env_uv_new();
    snprintf(w->path, sizeof w->path, "%s/store.db", kit_tmpdir());
    return w;
}

static void world_reopen(struct world *w)
{
    store_free(w->store);
    world_open(w);
}

static void world_free(struct world *w)
{
    store_free(w->store);
    store_memory_disk_free(w->disk);
    env_uv_free(w->env);
    VEC_DONE(&w->events);
    VEC_DONE(&w->loaded);
    free(w);
}

static void on_done(struct store_write *sw, int code, struct object *object)
{
    struct put *p = CONTAINER_OF(sw, struct put, w);
    struct world *w = p->world;
    CHECK(!w->in_submit);
    CHECK_EQ(p->order, 0);
    p->code = code;
    p->rev = object ? object_rev(object) : 0;
    p->order = ++w->done_count;
    if (code == 0) {
        /* The subscriber has heard of it. */
        CHECK(w->events.n > 0 && w->events.at[w->events.n - 1].rev >= p->rev);
        CHECK(store_durable_rev(w->store) >= p->rev);
    }
    if (--w->outstanding == 0) {
        env_uv_stop(w->env);
    }
    if (p->then) {
        p->then(p);
    }
}

static void submit(struct world *w, struct put *p, int key, int64_t expect, bool is_delete,
                   int value)
{
    *p = (struct put){.world = w, .key_number = key, .value = value, .then = p->then, .code = 1};
    p->w.key = key_of(p->key, key);
    int n =
        snprintf(p->body, sizeof p->body,
                 "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"k%d\"},"
                 "\"data\":{\"n\":\"%d\"}}",
                 key, value);
    p->w.body = span_of(p->body, (size_t)n);
    p->w.expect_rev = expect;
    p->w.is_delete = is_delete;
    p->w.done = on_done;
    w->outstanding++;
    w->in_submit = true;
    store_submit(w->store, &p->w);
    w->in_submit = false;
    CHECK_EQ(p->order, 0);
    memset(p->key, 'x', sizeof p->key); /* both were copied */
    memset(p->body, 'x', sizeof p->body);
}

static void settle(struct world *w)
{
    if (w->outstanding) {
        env_uv_run(w->env);
    }
    CHECK_EQ(w->outstanding, 0);
}

/* Submits one write and waits; returns its code. */
static int one(struct world *w, int key, int64_t expect, bool is_delete, int value,
               int64_t *ret_rev)
{
    struct put p = {0};
    submit(w, &p, key, expect, is_delete, value);
    settle(w);
    if (ret_rev) {
        *ret_rev = p.rev;
    }
    return p.code;
}

static int64_t live_rev(struct world *w, int key)
{
    char buf[64];
    struct object *o = store_peek(w->store, key_of(buf, key));
    return o ? object_rev(o) : 0;
}

#define BOTH(name)                                                                                 \
    static void name(struct world *w);                                                             \
    TEST_T(name##_memory, 60)                                                                      \
    {                                                                                              \
        struct world *w = world_new(MEMORY);                                                       \
        world_open(w);                                                                             \
        name(w);                                                                                   \
        world_free(w);                                                                             \
    }                                                                                              \
    TEST_T(name##_sqlite, 60)                                                                      \
    {                                                                                              \
        struct world *w = world_new(SQLITE);                                                       \
        world_open(w);                                                                             \
        name(w);                                                                                   \
        world_free(w);                                                                             \
    }                                                                                              \
    static void name(struct world *w)

BOTH(compare_and_swap_decides_by_the_expected_revision)
{
    int64_t rev = 0, now = 0;
    CHECK_EQ(store_latest_rev(w->store), 1);
    CHECK_EQ(one(w, 1, 7, false, 0, &rev), -ENOENT);
    CHECK_EQ(rev, 0);
    CHECK_EQ(one(w, 1, STORE_ANY, true, 0, NULL), -ENOENT);
    CHECK_EQ(one(w, 1, 7, true, 0, NULL), -ENOENT);
    CHECK_EQ(one(w, 1, STORE_ABSENT, false, 1, &rev), 0);
    CHECK_EQ(rev, 2);
    CHECK_EQ(one(w, 1, STORE_ABSENT, false, 2, &now), -EEXIST);
    CHECK_EQ(now, rev); /* the current version comes along */
    CHECK_EQ(one(w, 1, rev + 1, false, 2, &now), E_CONFLICT);
    CHECK_EQ(now, rev);
    CHECK_EQ(one(w, 1, rev + 1, true, 2, &now), E_CONFLICT);
    CHECK_EQ(one(w, 1, rev, false, 3, &now), 0);
    CHECK(now > rev);
    CHECK_EQ(one(w, 1, rev, false, 4, &rev), E_CONFLICT);
    CHECK_EQ(rev, now);
    CHECK_EQ(one(w, 1, STORE_ANY, false, 5, &now), 0);
    CHECK_EQ(live_rev(w, 1), now);
    CHECK_EQ(one(w, 1, now, true, 5, &rev), 0);
    CHECK(rev > now); /* a deletion has its own revision */
    CHECK_EQ(live_rev(w, 1), 0);
    CHECK_EQ(one(w, 1, STORE_ANY, false, 6, &now), 0); /* upsert */
    CHECK_EQ(one(w, 1, STORE_ANY, true, 6, &now), 0);
    CHECK_EQ(w->events.n, 6);
    CHECK_EQ(store_durable_rev(w->store), store_latest_rev(w->store));
    struct store_stats stats;
    store_stats(w->store, &stats);
    CHECK_EQ(stats.live_keys, 0);
    CHECK_EQ(stats.live_bytes, 0);
    CHECK_EQ(stats.writes, 6);
}

BOTH(a_body_over_the_limit_is_refused)
{
    for (int more = 0; more < 2; more++) {
        struct put p = {.world = w, .code = 1};
        struct strbuf b = STRBUF_INIT;
        strbuf_puts(&b, "{\"kind\":\"C\",\"apiVersion\":\"v1\",\"metadata\":{},\"data\":\"");
        while (b.n < (size_t)LIMIT_OBJECT_BYTES - 2 + (size_t)more) {
            strbuf_putc(&b, 'x');
        }
        strbuf_puts(&b, "\"}");
        char key[64];
        p.w = (struct store_write){
            .key = key_of(key, more), .body = strbuf_span(&b), .done = on_done};
        w->outstanding++;
        store_submit(w->store, &p.w);
        strbuf_done(&b);
        settle(w);
        CHECK_EQ(p.code, more ? E_LIMIT : 0);
    }
    world_reopen(w);
    CHECK_EQ(w->loaded.n, 1);
}

BOTH(writes_of_one_turn_see_each_other_and_complete_in_order)
{
    struct put p[8] = {0};
    submit(w, &p[0], 1, STORE_ABSENT, false, 10);
    int64_t r0 = live_rev(w, 1);
    CHECK_EQ(r0, 2);
    CHECK_EQ(store_durable_rev(w->store), 1);
    submit(w, &p[1], 1, STORE_ABSENT, false, 11); /* exists by now */
    submit(w, &p[2], 1, r0, false, 12);
    submit(w, &p[3], 1, r0, false, 13); /* conflict */
    submit(w, &p[4], 2, STORE_ABSENT, false, 14);
    submit(w, &p[5], 1, live_rev(w, 1), true, 15);
    submit(w, &p[6], 1, STORE_ANY, true, 16); /* gone */
    submit(w, &p[7], 1, STORE_ABSENT, false, 17);
    CHECK_EQ(w->events.n, 0);
    settle(w);
    const int codes[8] = {0, -EEXIST, 0, E_CONFLICT, 0, 0, -ENOENT, 0};
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(p[i].code, codes[i]);
        CHECK_EQ(p[i].order, i + 1);
    }
    CHECK_EQ(p[1].rev, p[0].rev);
    CHECK_EQ(p[3].rev, p[2].rev);
    CHECK_EQ(w->events.n, 5);
    const int64_t prevs[5] = {0, p[0].rev, 0, p[2].rev, 0};
    const int values[5] = {10, 12, 14, 15, 17};
    for (size_t i = 0; i < 5; i++) {
        CHECK_EQ(w->events.at[i].prev, prevs[i]);
        CHECK_EQ(w->events.at[i].value, values[i]);
        CHECK_EQ(w->events.at[i].is_delete, i == 3);
        CHECK(i == 0 || w->events.at[i].rev > w->events.at[i - 1].rev);
    }
    struct store_stats stats;
    store_stats(w->store, &stats);
    CHECK_EQ(stats.commits, 1); /* one transaction carried them all */
    CHECK_EQ(stats.live_keys, 2);
}

static void write_again(struct put *p)
{
    static int left = 50;
    if (left-- > 0) {
        struct put *next = MEM_NEW(struct put);
        next->then = write_again;
        submit(p->world, next, left % 3, STORE_ANY, false, left);
    }
    free(p);
}

BOTH(a_done_callback_may_submit_and_free_itself)
{
    for (int i = 0; i < 3; i++) {
        struct put *p = MEM_NEW(struct put);
        p->then = write_again;
        submit(w, p, i, STORE_ANY, false, i);
    }
    for (int i = 0; i < 1000 && w->outstanding; i++) {
        env_uv_run(w->env);
    }
    CHECK_EQ(w->done_count, 53);
    CHECK_EQ(w->events.n, 53);
}

BOTH(free_waits_for_everything_submitted)
{
    struct put p[20] = {0};
    for (int i = 0; i < 20; i++) {
        submit(w, &p[i], i % 5, i < 5 ? STORE_ABSENT : i == 19 ? 1 : STORE_ANY, false, i);
    }
    world_reopen(w);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(p[i].order, i + 1);
        CHECK_EQ(p[i].code, i == 19 ? E_CONFLICT : 0);
    }
    CHECK_EQ(w->loaded.n, 19);
    CHECK_EQ(store_durable_rev(w->store), 20);
}

/* ---- random work against a model ---- */

struct model {
    int64_t rev[KEYS]; /* 0: absent */
    int value[KEYS];
    VEC(struct told) log;
};

static void model_apply(struct model *m, const struct told *t)
{
    m->rev[t->key] = t->is_delete ? 0 : t->rev;
    m->value[t->key] = t->value;
    VEC_PUSH(&m->log, *t);
}

static void check_told(const struct told *a, const struct told *b)
{
    CHECK_EQ(a->rev, b->rev);
    CHECK_EQ(a->prev, b->prev);
    CHECK_EQ(a->key, b->key);
    CHECK_EQ(a->value, b->value);
    CHECK_EQ(a->is_delete, b->is_delete);
}

/* What was loaded is the model: live state, and every event after the compaction with its previous.
 */
static void check_loaded(struct world *w, const struct model *m)
{
    int64_t compact = store_compact_rev(w->store);
    for (int k = 0; k < KEYS; k++) {
        CHECK_EQ(live_rev(w, k), m->rev[k]);
    }
    size_t i = 0, j = 0;
    while (i < w->loaded.n && w->loaded.at[i].rev <= compact) {
        i++;
    }
    while (j < m->log.n && m->log.at[j].rev <= compact) {
        j++;
    }
    CHECK_EQ(w->loaded.n - i, m->log.n - j);
    for (; i < w->loaded.n; i++, j++) {
        check_told(&w->loaded.at[i], &m->log.at[j]);
    }
}

static void random_work(struct world *w, struct model *m, int rounds)
{
    static struct put p[40];
    for (int r = 0; r < rounds; r++) {
        size_t before = w->events.n;
        int n = 1 + (int)(kit_random() % 40);
        for (int i = 0; i < n; i++) {
            int key = (int)(kit_random() % KEYS);
            int64_t at = live_rev(w, key);
            int64_t expect = kit_random() % 4 == 0 ? STORE_ANY : at;
            bool is_delete = at && kit_random() % 4 == 0;
            p[i] = (struct put){0};
            submit(w, &p[i], key, expect, is_delete, (int)(kit_random() % 1000000));
        }
        settle(w);
        for (int i = 0; i < n; i++) {
            CHECK_EQ(p[i].code, 0);
        }
        CHECK_EQ(w->events.n - before, n);
        for (size_t i = before; i < w->events.n; i++) {
            model_apply(m, &w->events.at[i]);
        }
    }
}

BOTH(a_restart_keeps_exactly_what_was_acknowledged)
{
    struct model m = {0};
    for (int restart = 0; restart < 8; restart++) {
        random_work(w, &m, 12);
        int64_t rev = store_durable_rev(w->store);
        world_reopen(w);
        CHECK_EQ(store_durable_rev(w->store), rev);
        CHECK_EQ(store_latest_rev(w->store), rev);
        CHECK_EQ(store_compact_rev(w->store), 0);
        check_loaded(w, &m);
    }
    VEC_DONE(&m.log);
}

BOTH(history_is_compacted_and_survives_restarts)
{
    struct model m = {0};
    for (int restart = 0; restart < 8; restart++) {
        w->history_limit = 30 + (size_t)restart % 3 * 20;
        world_reopen(w);
        random_work(w, &m, 12);
        int64_t compact = store_compact_rev(w->store);
        CHECK(compact > 0);
        world_reopen(w);
        CHECK_EQ(store_compact_rev(w->store), compact);
        check_loaded(w, &m);
        /* Exactly the limit of superseded versions and deletions is left. */
        size_t past = 0;
        for (size_t i = 0; i < w->loaded.n; i++) {
            past += w->loaded.at[i].rev > compact &&
                    (w->loaded.at[i].prev != 0 || w->loaded.at[i].is_delete);
        }
        CHECK_EQ(past, w->history_limit);
        /* And no row is kept that nobody can see: live ones, those superseded after the compaction,
         * and tombstones. */
        CHECK(w->loaded.n <= KEYS + w->history_limit * 2);
    }
    VEC_DONE(&m.log);
}

BOTH(creations_are_no_history)
{
    w->history_limit = 4;
    world_reopen(w);
    struct put p[KEYS] = {0};
    for (int i = 0; i < KEYS; i++) {
        submit(w, &p[i], i, STORE_ABSENT, false, i);
    }
    settle(w);
    CHECK_EQ(store_compact_rev(w->store), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(one(w, i, STORE_ANY, false, i, NULL), 0);
    }
    CHECK_EQ(store_compact_rev(w->store), 2 + KEYS); /* the first superseding write */
}

/* ---- failed commits (memory) ---- */

TEST(a_failed_commit_falls_back_and_takes_what_was_decided_upon_it)
{
    struct world *w = world_new(MEMORY);
    w->options.latency_ms = 5;
    world_open(w);
    CHECK_EQ(one(w, 1, STORE_ABSENT, false, 1, NULL), 0);
    int64_t r1 = live_rev(w, 1);
    w->fail_commit = 2;
    struct put a[4] = {0}, b[7] = {0};
    submit(w, &a[0], 1, r1, false, 2);
    submit(w, &a[1], 2, STORE_ABSENT, false, 3);
    submit(w, &a[2], 2, STORE_ABSENT, false, 4);   /* refused because of a[1], which fails */
    submit(w, &a[3], 1, 99, false, 4);             /* refused because of a[0], which fails */
    store_start_commit(w->store);                  /* under way; what follows is the next batch */
    submit(w, &b[0], 1, live_rev(w, 1), false, 5); /* upon a[0] */
    submit(w, &b[1], 3, STORE_ABSENT, false, 6);   /* independent */
    submit(w, &b[2], 2, live_rev(w, 2), true, 7);  /* upon a[1] */
    submit(w, &b[3], 2, STORE_ABSENT, false, 8);   /* upon b[2] */
    submit(w, &b[4], 3, live_rev(w, 3), false, 9); /* upon b[1] */
    submit(w, &b[5], 3, STORE_ABSENT, false, 9);   /* refused because of b[1], which succeeds */
    submit(w, &b[6], 4, 7, false, 9);              /* refused, independent */
    settle(w);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(a[i].code, -EIO);
        CHECK_EQ(a[i].rev, 0);
    }
    const int codes[7] = {-EIO, 0, -EIO, -EIO, 0, -EEXIST, -ENOENT};
    for (int i = 0; i < 7; i++) {
        CHECK_EQ(b[i].code, codes[i]);
    }
    CHECK_EQ(live_rev(w, 1), r1);
    CHECK_EQ(live_rev(w, 2), 0);
    CHECK_EQ(live_rev(w, 3), b[4].rev);
    CHECK_EQ(w->events.n, 3);
    CHECK_EQ(one(w, 1, r1, false, 10, NULL), 0); /* tried afresh */
    CHECK_EQ(one(w, 2, STORE_ABSENT, false, 11, NULL), 0);
    CHECK_EQ(w->events.at[3].prev, r1);
    int64_t rev = store_durable_rev(w->store);
    world_reopen(w);
    CHECK_EQ(w->loaded.n, 5);
    CHECK_EQ(store_durable_rev(w->store), rev);
    world_free(w);
}

TEST_T(every_commit_may_fail_and_the_model_still_holds, 60)
{
    for (uint64_t nth = 1; nth < 12; nth++) {
        struct world *w = world_new(MEMORY);
        struct model m = {0};
        w->history_limit = 10;
        world_open(w);
        w->fail_commit = nth;
        for (int round = 0; round < 12; round++) {
            struct put p[6] = {0};
            for (int i = 0; i < 6; i++) {
                int key = (int)(kit_random() % 4);
                submit(w, &p[i], key, STORE_ANY, live_rev(w, key) && kit_random() % 3 == 0, i);
            }
            size_t before = w->events.n;
            settle(w);
            for (int i = 0; i < 6; i++) {
                CHECK_EQ(p[i].code, (uint64_t)round + 1 == nth ? -EIO : 0);
            }
            for (size_t i = before; i < w->events.n; i++) {
                model_apply(&m, &w->events.at[i]);
            }
        }
        world_reopen(w);
        check_loaded(w, &m);
        world_free(w);
        VEC_DONE(&m.log);
    }
}

static void on_stop(struct env_timer *timer);
struct stopper {
    struct env_timer timer;
    struct env *env;
};
static void on_stop(struct env_timer *timer)
{
    env_uv_stop(CONTAINER_OF(timer, struct stopper, timer)->env);
}

static void run_for(struct world *w, int64_t ms)
{
    struct stopper s = {.env = w->env};
    env_timer_start(w->env, &s.timer, ms, on_stop);
    env_uv_run(w->env);
    env_timer_stop(w->env, &s.timer);
}

TEST(a_crash_falls_before_between_or_after_durable_and_acknowledged)
{
    for (int at = 0; at < 3; at++) {
        struct world *w = world_new(MEMORY);
        w->options.latency_ms = 200;
        world_open(w);
        struct put p[2] = {0};
        submit(w, &p[0], 1, STORE_ABSENT, false, 1);
        run_for(w, at == 0 ? 20 : at == 1 ? 150 : 400);
        CHECK_EQ(p[0].code, at == 2 ? 0 : 1);
        submit(w, &p[1], 2, STORE_ABSENT, false, 1);
        store_crash(w->store);
        world_open(w);
        CHECK_EQ(live_rev(w, 1), at == 0 ? 0 : 2);
        CHECK_EQ(live_rev(w, 2), 0);
        CHECK_EQ(p[1].code, 1); /* nobody was told */
        world_free(w);
    }
}

/* ---- SQLite ---- */

TEST(sqlite_crash_leaves_a_whole_batch_or_none)
{
    struct world *w = world_new(SQLITE);
    world_open(w);
    struct put p[30] = {0};
    for (int i = 0; i < 30; i++) {
        submit(w, &p[i], i % KEYS, STORE_ANY, false, i);
    }
    store_start_commit(w->store);
    store_crash(w->store);
    CHECK_EQ(w->done_count, 0);
    world_open(w);
    CHECK(w->loaded.n == 0 || w->loaded.n == 30);
    world_free(w);
}

static int open_code(struct world *w, char detail[512])
{
    cleanup_arena struct arena *a = arena_new();
    struct span text = {0};
    struct store *s = NULL;
    int code = store_sqlite_open(w->env, w->path, &s, a, &text);
    snprintf(detail, 512, "%.*s", SPAN_ARG(text));
    store_free(s);
    return code;
}

TEST(sqlite_second_opener_is_refused)
{
    struct world *w = world_new(SQLITE);
    world_open(w);
    char detail[512];
    CHECK_EQ(open_code(w, detail), -EWOULDBLOCK); /* before the first write too */
    CHECK_EQ(one(w, 1, STORE_ABSENT, false, 1, NULL), 0);
    CHECK_EQ(open_code(w, detail), -EWOULDBLOCK);
    CHECK(strstr(detail, "in use by another process"));
    store_free(w->store);
    int ready[2], end[2];
    CHECK(pipe(ready) == 0 && pipe(end) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct world *child = world_new(SQLITE);
        world_open(child);
        CHECK_EQ(write(ready[1], "x", 1), 1);
        char c;
        _exit(read(end[0], &c, 1) == 1 ? 0 : 1);
    }
    char c;
    CHECK_EQ(read(ready[0], &c, 1), 1);
    CHECK_EQ(open_code(w, detail), -EWOULDBLOCK);
    CHECK_EQ(write(end[1], "x", 1), 1);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    world_open(w); /* free again: the other one was killed, so to speak */
    CHECK_EQ(live_rev(w, 1), 2);
    CHECK_EQ(one(w, 1, 2, false, 2, NULL), 0);
    struct stat st;
    CHECK(stat(w->path, &st) == 0);
    CHECK_EQ(st.st_mode & 0777, 0600); /* objects hold secrets */
    world_free(w);
}

static struct strbuf slurp(const char *path)
{
    struct strbuf b = STRBUF_INIT;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;
    while (fd >= 0 && (n = read(fd, strbuf_room(&b, 65536), 65536)) > 0) {
        strbuf_added(&b, (size_t)n);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return b;
}

static void spill(const char *path, struct span bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, bytes.p, bytes.n), bytes.n);
    (void)close(fd);
}

static void check_file_is(const char *path, struct span bytes)
{
    struct strbuf now = slurp(path);
    CHECK(span_eq(strbuf_span(&now), bytes));
    strbuf_done(&now);
}

static void raw_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_EQ(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    CHECK_EQ(sqlite3_close(db), SQLITE_OK);
}

TEST(sqlite_newer_version_and_foreign_files_are_refused_untouched)
{
    struct world *w = world_new(SQLITE);
    char detail[512];
    world_open(w);
    CHECK_EQ(one(w, 1, STORE_ABSENT, false, 1, NULL), 0);
    store_free(w->store);
    w->store = NULL;
    raw_sql(w->path, "UPDATE meta SET value=2 WHERE name='format'");
    struct strbuf before = slurp(w->path);
    CHECK_EQ(open_code(w, detail), E_VERSION);
    CHECK(strstr(detail, "newer version") && strstr(detail, w->path));
    check_file_is(w->path, strbuf_span(&before));
    strbuf_done(&before);

    const char *const sql[] = {"UPDATE meta SET value='x' WHERE name='format'", "DELETE FROM meta",
                               "DROP TABLE meta"};
    for (size_t i = 0; i < 3; i++) {
        raw_sql(w->path, sql[i]);
        before = slurp(w->path);
        CHECK_EQ(open_code(w, detail), E_CORRUPT);
        CHECK(strstr(detail, "not a Berth database") && strstr(detail, "left as it is"));
        check_file_is(w->path, strbuf_span(&before));
        strbuf_done(&before);
    }
    struct span text =
        SPAN("Dear diary, this file is no database at all, but a long text about one.");
    spill(w->path, text);
    CHECK_EQ(open_code(w, detail), E_CORRUPT);
    check_file_is(w->path, text);
    world_free(w);
}

/* Any flipped byte is either reported, the file untouched, or makes no difference. */
TEST_T(sqlite_damage_is_reported_and_the_file_left_as_it_is, 60)
{
    struct world *w = world_new(SQLITE);
    struct model m = {0};
    w->history_limit = 50;
    world_open(w);
    random_work(w, &m, 10);
    store_free(w->store);
    w->store = NULL;
    struct strbuf good = slurp(w->path);
    int reported = 0;
    char detail[512];
    for (int i = 0; i < 150; i++) {
        struct strbuf bad = STRBUF_INIT;
        strbuf_put(&bad, strbuf_span(&good));
        size_t at = kit_random() % bad.n;
        bad.p[at] = (char)(bad.p[at] ^ (1 << kit_random() % 8));
        spill(w->path, strbuf_span(&bad));
        int code = open_code(w, detail);
        if (code < 0) {
            reported++;
            CHECK(code == E_CORRUPT || code == E_VERSION || code == -EIO || code == -EROFS);
            check_file_is(w->path, strbuf_span(&bad));
        } else {
            world_open(w);
            check_loaded(w, &m);
            store_free(w->store);
            w->store = NULL;
        }
        strbuf_done(&bad);
    }
    kit_note("%d of 150 flips reported", reported);
    CHECK(reported > 15);
    spill(w->path, span_first(strbuf_span(&good), good.n - 4096));
    CHECK_EQ(open_code(w, detail), E_CORRUPT);
    CHECK(strstr(detail, "is damaged") && strstr(detail, "left as it is"));
    strbuf_done(&good);
    VEC_DONE(&m.log);
    world_free(w);
}

TEST(sqlite_missing_directory_is_explained)
{
    struct world *w = world_new(SQLITE);
    char detail[512];
    snprintf(w->path, sizeof w->path, "%s/no/store.db", kit_tmpdir());
    CHECK_EQ(open_code(w, detail), -ENOENT);
    CHECK(strstr(detail, "/no/store.db cannot be opened: No such file"));
    world_free(w);
}

TEST_T(sqlite_full_disk_fails_writes_whole_and_recovers, 60)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", kit_tmpdir(), "tmpfs", 0, "size=1m") < 0) {
        SKIP("needs to mount a tmpfs");
    }
    struct world *w = world_new(SQLITE);
    struct model m = {0};
    char filler[128];
    world_open(w);
    random_work(w, &m, 3);
    snprintf(filler, sizeof filler, "%s/filler", kit_tmpdir());
    int failed = 0;
    for (int round = 0; round < 6; round++) {
        int fd = open(filler, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        char block[4096] = {0};
        while (write(fd, block, sizeof block) > 0) {
        }
        (void)close(fd);
        for (int i = 0; i < 40; i++) {
            struct put p[8] = {0};
            size_t before = w->events.n;
            for (int k = 0; k < 8; k++) {
                submit(w, &p[k], k, STORE_ANY, false, i);
            }
            settle(w);
            for (int k = 0; k < 8; k++) {
                CHECK(p[k].code == 0 || p[k].code == -ENOSPC);
                CHECK_EQ(p[k].code, p[0].code); /* whole or not at all */
            }
            failed += p[0].code != 0;
            CHECK_EQ(w->events.n - before, p[0].code ? 0 : 8);
            for (size_t e = before; e < w->events.n; e++) {
                model_apply(&m, &w->events.at[e]);
            }
        }
        if (round == 2) {
            world_reopen(w); /* on the full disk: everything acknowledged is there */
            check_loaded(w, &m);
        }
        CHECK(unlink(filler) == 0);
        random_work(w, &m, 1); /* and goes on once there is room */
    }
    CHECK(failed > 0);
    world_reopen(w);
    check_loaded(w, &m);
    VEC_DONE(&m.log);
    world_free(w);
}

/* ---- kill -9 ---- */

static int ack_fd = -1;

static void ack_and_go_on(struct put *p)
{
    CHECK_EQ(p->code, 0);
    const struct told ack = {.rev = p->rev, .key = p->key_number, .value = p->value};
    CHECK_EQ(write(ack_fd, &ack, sizeof ack), sizeof ack);
    submit(p->world, p, (int)(kit_random() % KEYS), STORE_ANY, false,
           (int)(kit_random() % 1000000));
}

static _Noreturn void writing_child(const char *path)
{
    static struct put p[16];
    struct world *w = world_new(SQLITE);
    snprintf(w->path, sizeof w->path, "%s", path);
    w->history_limit = 40;
    world_open(w);
    for (int i = 0; i < 16; i++) {
        p[i].then = ack_and_go_on;
        submit(w, &p[i], i % KEYS, STORE_ANY, false, i);
    }
    for (;;) {
        env_uv_run(w->env);
    }
}

static int64_t count_rows(const char *path, const char *sql, char text[64])
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_EQ(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    CHECK_EQ(sqlite3_step(st), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(st, 0);
    snprintf(text, 64, "%s", (const char *)sqlite3_column_text(st, 0));
    (void)sqlite3_finalize(st);
    CHECK_EQ(sqlite3_close(db), SQLITE_OK);
    return n;
}

TEST_T(sqlite_kill_9_at_any_moment_loses_nothing_acknowledged, 100)
{
    struct world *w = world_new(SQLITE);
    struct told last[KEYS] = {0};
    uint64_t acks = 0;
    for (int round = 0; round < 25; round++) {
        int fds[2];
        CHECK(pipe(fds) == 0);
        pid_t pid = fork();
        if (pid == 0) {
            for (uint64_t i = 0; i < (uint64_t)round; i++) {
                (void)kit_random();
            }
            ack_fd = fds[1];
            writing_child(w->path);
        }
        (void)close(fds[1]);
        (void)usleep((useconds_t)(kit_random() % (round % 2 ? 8000 : 60000)));
        (void)kill(pid, SIGKILL);
        CHECK_EQ(waitpid(pid, NULL, 0), pid);
        struct told ack;
        while (read(fds[0], &ack, sizeof ack) == (ssize_t)sizeof ack) {
            CHECK(ack.rev > last[ack.key].rev);
            last[ack.key] = ack;
            acks++;
        }
        (void)close(fds[0]);
        world_open(w);
        for (int k = 0; k < KEYS; k++) {
            char buf[64];
            struct object *o = store_peek(w->store, key_of(buf, k));
            CHECK(!last[k].rev || (o && object_rev(o) >= last[k].rev));
            if (o && object_rev(o) == last[k].rev) {
                CHECK_EQ(number_after(object_json(o), "\"n\":\""), last[k].value);
            }
        }
        store_free(w->store);
        w->store = NULL;
        char text[64];
        (void)count_rows(w->path, "PRAGMA integrity_check", text);
        CHECK(strcmp(text, "ok") == 0);
    }
    kit_note("%llu writes acknowledged", (unsigned long long)acks);
    CHECK(acks > 0);
    world_free(w);
}

TEST(sqlite_write_ahead_log_stays_bounded)
{
    struct world *w = world_new(SQLITE);
    world_open(w);
    static char big[60000];
    memset(big, 'x', sizeof big);
    char wal[160];
    snprintf(wal, sizeof wal, "%s-wal", w->path);
    off_t max = 0;
    for (int i = 0; i < 400; i++) {
        struct put p = {.world = w, .code = 1};
        struct strbuf b = STRBUF_INIT;
        char key[64];
        strbuf_puts(&b, "{\"kind\":\"C\",\"apiVersion\":\"v1\",\"metadata\":{},\"data\":\"");
        strbuf_put(&b, span_of(big, sizeof big));
        strbuf_puts(&b, "\"}");
        p.w = (struct store_write){.key = key_of(key, i % KEYS),
                                   .expect_rev = STORE_ANY,
                                   .body = strbuf_span(&b),
                                   .done = on_done};
        w->outstanding++;
        store_submit(w->store, &p.w);
        strbuf_done(&b);
        settle(w);
        CHECK_EQ(p.code, 0);
        struct stat st;
        if (stat(wal, &st) == 0 && st.st_size > max) {
            max = st.st_size;
        }
    }
    kit_note("write-ahead log at most %lld bytes of 24 MB written", (long long)max);
    CHECK(max < LIMIT_WAL_IDLE_BYTES + 200000);
    world_free(w);
}
