#include "kit/store_kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "env/env_uv.h"
#include "kit/kit.h"
#include "sim/disk.h"
#include "sim/env_sim.h"

static void stop(struct world *w)
{
    w->stop = true;
    if (!w->is_sim) {
        env_uv_stop(w->env);
    }
}

static void run(struct world *w)
{
    w->stop = false;
    if (w->is_sim) {
        CHECK(env_sim_run_while(w->env, &w->stop));
    } else {
        env_uv_run(w->env);
    }
}

struct span store_kit_key(char buf[64], int key)
{
    return span_of(buf, (size_t)snprintf(buf, 64, "configmaps/default/k%d", key));
}

int store_kit_number(struct span s, const char *mark)
{
    const char *at = memmem(s.p, s.n, mark, strlen(mark));
    return at ? (int)strtol(at + strlen(mark), NULL, 10) : -1;
}

static struct told told_of(const struct store_event *e)
{
    return (struct told){object_rev(e->object), e->previous ? object_rev(e->previous) : 0,
                         store_kit_number(object_store_key(e->object), "/k"),
                         store_kit_number(object_json(e->object), "\"n\":\""), e->is_delete};
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

void world_open(struct world *w)
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
        int code = w->power_disk ? store_sqlite_open_on(w->env, sim_disk_vfs(w->power_disk),
                                                        "store.db", &w->store, a, &detail)
                                 : store_sqlite_open(w->env, w->path, &w->store, a, &detail);
        if (code < 0) {
            kit_note("%.*s", SPAN_ARG(detail));
        }
        CHECK_EQ(code, 0);
    }
    if (w->history_limit) {
        w->store->history_limit = w->history_limit;
    }
    if (w->history_bytes_limit) {
        w->store->history_bytes_limit = w->history_bytes_limit;
    }
    store_load(w->store, on_loaded, w);
    store_subscribe(w->store, on_event, w);
}

struct world *world_new(enum backend backend, bool is_sim)
{
    struct world *w = MEM_NEW(struct world);
    w->backend = backend;
    w->is_sim = is_sim;
    w->env = is_sim ? env_sim_new(kit_random()) : env_uv_new();
    snprintf(w->path, sizeof w->path, "%s/store.db", kit_tmpdir());
    return w;
}

void world_reopen(struct world *w)
{
    store_free(w->store);
    world_open(w);
}

void world_free(struct world *w)
{
    store_free(w->store);
    store_memory_disk_free(w->disk);
    sim_disk_free(w->power_disk);
    if (w->is_sim) {
        env_sim_free(w->env);
    } else {
        env_uv_free(w->env);
    }
    VEC_DONE(&w->events);
    VEC_DONE(&w->loaded);
    free(w);
}

void world_on_done(struct store_write *sw, int code, struct object *object)
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
        stop(w);
    }
    if (p->then) {
        p->then(p);
    }
}

void world_submit(struct world *w, struct put *p, int key, int64_t expect, bool is_delete,
                  int value)
{
    *p = (struct put){.world = w, .key_number = key, .value = value, .then = p->then, .code = 1};
    p->w.key = store_kit_key(p->key, key);
    int n =
        snprintf(p->body, sizeof p->body,
                 "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"k%d\"},"
                 "\"data\":{\"n\":\"%d\"}}",
                 key, value);
    p->w.body = span_of(p->body, (size_t)n);
    p->w.expect_rev = expect;
    p->w.is_delete = is_delete;
    p->w.done = world_on_done;
    w->outstanding++;
    w->in_submit = true;
    store_submit(w->store, &p->w);
    w->in_submit = false;
    CHECK_EQ(p->order, 0);
    memset(p->key, 'x', sizeof p->key); /* both were copied */
    memset(p->body, 'x', sizeof p->body);
}

void world_settle(struct world *w)
{
    if (w->outstanding) {
        run(w);
    }
    CHECK_EQ(w->outstanding, 0);
}

/* Submits one write and waits; returns its code. */
int world_write(struct world *w, int key, int64_t expect, bool is_delete, int value,
                int64_t *ret_rev)
{
    struct put p = {0};
    world_submit(w, &p, key, expect, is_delete, value);
    world_settle(w);
    if (ret_rev) {
        *ret_rev = p.rev;
    }
    return p.code;
}

int64_t world_rev(struct world *w, int key)
{
    char buf[64];
    struct object *o = store_peek(w->store, store_kit_key(buf, key));
    return o ? object_rev(o) : 0;
}

void model_apply(struct model *m, const struct told *t)
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
void world_check_loaded(struct world *w, const struct model *m)
{
    int64_t compact = store_compact_rev(w->store);
    for (int k = 0; k < KEYS; k++) {
        CHECK_EQ(world_rev(w, k), m->rev[k]);
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

void world_random_work(struct world *w, struct model *m, int rounds)
{
    static struct put p[40];
    for (int r = 0; r < rounds; r++) {
        size_t before = w->events.n;
        int n = 1 + (int)(kit_random() % 40);
        for (int i = 0; i < n; i++) {
            int key = (int)(kit_random() % KEYS);
            int64_t at = world_rev(w, key);
            int64_t expect = kit_random() % 4 == 0 ? STORE_ANY : at;
            bool is_delete = at && kit_random() % 4 == 0;
            p[i] = (struct put){0};
            world_submit(w, &p[i], key, expect, is_delete, (int)(kit_random() % 1000000));
        }
        world_settle(w);
        for (int i = 0; i < n; i++) {
            CHECK_EQ(p[i].code, 0);
        }
        CHECK_EQ(w->events.n - before, n);
        for (size_t i = before; i < w->events.n; i++) {
            model_apply(m, &w->events.at[i]);
        }
    }
}

struct stopper {
    struct env_timer timer;
    struct world *world;
};

static void on_stop(struct env_timer *timer)
{
    stop(CONTAINER_OF(timer, struct stopper, timer)->world);
}

void world_run_for(struct world *w, int64_t ms)
{
    struct stopper s = {.world = w};
    env_timer_start(w->env, &s.timer, ms, on_stop);
    while (env_timer_armed(&s.timer)) {
        run(w);
    }
}
