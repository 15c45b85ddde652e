/* The contract of store/store.h, run for every backend, and for the memory backend on both
 * environments. */
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "kit/kit.h"
#include "kit/store_kit.h"

#define EVERY(name, suffix, backend, is_sim)                                                       \
    TEST_T(name##_##suffix, 60)                                                                    \
    {                                                                                              \
        struct world *w = world_new(backend, is_sim);                                              \
        world_open(w);                                                                             \
        name(w);                                                                                   \
        world_free(w);                                                                             \
    }
#define CONTRACT(name)                                                                             \
    static void name(struct world *w);                                                             \
    EVERY(name, memory, MEMORY, false)                                                             \
    EVERY(name, memory_sim, MEMORY, true)                                                          \
    EVERY(name, sqlite, SQLITE, false)                                                             \
    EVERY(name, sqlite_sim, SQLITE, true)                                                          \
    static void name(struct world *w)

CONTRACT(compare_and_swap_decides_by_the_expected_revision)
{
    int64_t rev = 0, now = 0;
    CHECK_EQ(store_latest_rev(w->store), 1);
    CHECK_EQ(world_write(w, 1, 7, false, 0, &rev), -ENOENT);
    CHECK_EQ(rev, 0);
    CHECK_EQ(world_write(w, 1, STORE_ANY, true, 0, NULL), -ENOENT);
    CHECK_EQ(world_write(w, 1, 7, true, 0, NULL), -ENOENT);
    CHECK_EQ(world_write(w, 1, STORE_ABSENT, false, 1, &rev), 0);
    CHECK_EQ(rev, 2);
    CHECK_EQ(world_write(w, 1, STORE_ABSENT, false, 2, &now), -EEXIST);
    CHECK_EQ(now, rev); /* the current version comes along */
    CHECK_EQ(world_write(w, 1, rev + 1, false, 2, &now), E_CONFLICT);
    CHECK_EQ(now, rev);
    CHECK_EQ(world_write(w, 1, rev + 1, true, 2, &now), E_CONFLICT);
    CHECK_EQ(world_write(w, 1, rev, false, 3, &now), 0);
    CHECK(now > rev);
    CHECK_EQ(world_write(w, 1, rev, false, 4, &rev), E_CONFLICT);
    CHECK_EQ(rev, now);
    CHECK_EQ(world_write(w, 1, STORE_ANY, false, 5, &now), 0);
    CHECK_EQ(world_rev(w, 1), now);
    CHECK_EQ(world_write(w, 1, now, true, 5, &rev), 0);
    CHECK(rev > now); /* a deletion has its own revision */
    CHECK_EQ(world_rev(w, 1), 0);
    CHECK_EQ(world_write(w, 1, STORE_ANY, false, 6, &now), 0); /* upsert */
    CHECK_EQ(world_write(w, 1, STORE_ANY, true, 6, &now), 0);
    CHECK_EQ(w->events.n, 6);
    CHECK_EQ(store_durable_rev(w->store), store_latest_rev(w->store));
    struct store_stats stats;
    store_stats(w->store, &stats);
    CHECK_EQ(stats.live_keys, 0);
    CHECK_EQ(stats.live_bytes, 0);
    CHECK_EQ(stats.writes, 6);
}

CONTRACT(a_body_over_the_limit_is_refused)
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
            .key = store_kit_key(key, more), .body = strbuf_span(&b), .done = world_on_done};
        w->outstanding++;
        store_submit(w->store, &p.w);
        strbuf_done(&b);
        world_settle(w);
        CHECK_EQ(p.code, more ? E_LIMIT : 0);
    }
    world_reopen(w);
    CHECK_EQ(w->loaded.n, 1);
}

CONTRACT(writes_of_one_turn_see_each_other_and_complete_in_order)
{
    struct put p[8] = {0};
    world_submit(w, &p[0], 1, STORE_ABSENT, false, 10);
    int64_t r0 = world_rev(w, 1);
    CHECK_EQ(r0, 2);
    CHECK_EQ(store_durable_rev(w->store), 1);
    world_submit(w, &p[1], 1, STORE_ABSENT, false, 11); /* exists by now */
    world_submit(w, &p[2], 1, r0, false, 12);
    world_submit(w, &p[3], 1, r0, false, 13); /* conflict */
    world_submit(w, &p[4], 2, STORE_ABSENT, false, 14);
    world_submit(w, &p[5], 1, world_rev(w, 1), true, 15);
    world_submit(w, &p[6], 1, STORE_ANY, true, 16); /* gone */
    world_submit(w, &p[7], 1, STORE_ABSENT, false, 17);
    CHECK_EQ(w->events.n, 0);
    world_settle(w);
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

CONTRACT(who_waits_is_told_in_order_when_all_before_is_durable)
{
    struct put p[3] = {0};
    struct put wait[2] = {{.world = w, .code = 1}, {.world = w, .code = 1}};
    CHECK(store_is_settled(w->store));
    world_submit(w, &p[0], 1, STORE_ABSENT, false, 1);
    CHECK(!store_is_settled(w->store));
    for (int i = 0; i < 2; i++) {
        wait[i].w.done = world_on_done;
        w->outstanding++;
        store_await(w->store, &wait[i].w);
        world_submit(w, &p[1 + i], 1, STORE_ABSENT, false, 2);
    }
    CHECK_EQ(w->events.n, 0);
    world_settle(w);
    CHECK(store_is_settled(w->store));
    CHECK_EQ(w->events.n, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(wait[i].code, 0);
        CHECK_EQ(wait[i].rev, 0);
        CHECK_EQ(wait[i].order, 2 + 2 * i);
        CHECK_EQ(p[1 + i].code, -EEXIST);
    }
    wait[0].order = 0;
    w->outstanding++; /* alone: told in a later turn all the same */
    store_await(w->store, &wait[0].w);
    CHECK_EQ(wait[0].order, 0);
    world_settle(w);
    CHECK_EQ(wait[0].order, 6);
    CHECK_EQ(wait[0].code, 0);
}

static void write_again(struct put *p)
{
    if (p->world->done_count <= 50) {
        struct put *next = MEM_NEW(struct put);
        next->then = write_again;
        world_submit(p->world, next, p->world->done_count % 3, STORE_ANY, false, 0);
    }
    free(p);
}

CONTRACT(a_done_callback_may_submit_and_free_itself)
{
    for (int i = 0; i < 3; i++) {
        struct put *p = MEM_NEW(struct put);
        p->then = write_again;
        world_submit(w, p, i, STORE_ANY, false, i);
    }
    while (w->done_count < 53) {
        world_settle(w);
    }
    CHECK_EQ(w->done_count, 53);
    CHECK_EQ(w->events.n, 53);
}

CONTRACT(free_waits_for_everything_submitted)
{
    struct put p[20] = {0};
    for (int i = 0; i < 20; i++) {
        world_submit(w, &p[i], i % 5, i < 5 ? STORE_ABSENT : i == 19 ? 1 : STORE_ANY, false, i);
    }
    world_reopen(w);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(p[i].order, i + 1);
        CHECK_EQ(p[i].code, i == 19 ? E_CONFLICT : 0);
    }
    CHECK_EQ(w->loaded.n, 19);
    CHECK_EQ(store_durable_rev(w->store), 20);
}

CONTRACT(a_restart_keeps_exactly_what_was_acknowledged)
{
    struct model m = {0};
    for (int restart = 0; restart < 8; restart++) {
        world_random_work(w, &m, 12);
        int64_t rev = store_durable_rev(w->store);
        world_reopen(w);
        CHECK_EQ(store_durable_rev(w->store), rev);
        CHECK_EQ(store_latest_rev(w->store), rev);
        CHECK_EQ(store_compact_rev(w->store), 0);
        world_check_loaded(w, &m);
    }
    VEC_DONE(&m.log);
}

CONTRACT(history_is_compacted_and_survives_restarts)
{
    struct model m = {0};
    for (int restart = 0; restart < 8; restart++) {
        w->history_limit = 30 + (size_t)restart % 3 * 20;
        world_reopen(w);
        world_random_work(w, &m, 12);
        int64_t compact = store_compact_rev(w->store);
        CHECK(compact > 0);
        world_reopen(w);
        CHECK_EQ(store_compact_rev(w->store), compact);
        world_check_loaded(w, &m);
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

CONTRACT(creations_are_no_history)
{
    w->history_limit = 4;
    world_reopen(w);
    struct put p[KEYS] = {0};
    for (int i = 0; i < KEYS; i++) {
        world_submit(w, &p[i], i, STORE_ABSENT, false, i);
    }
    world_settle(w);
    CHECK_EQ(store_compact_rev(w->store), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(world_write(w, i, STORE_ANY, false, i, NULL), 0);
    }
    CHECK_EQ(store_compact_rev(w->store), 2 + KEYS); /* the first superseding write */
}

CONTRACT(history_is_bounded_by_bytes_too_across_restarts)
{
    w->history_bytes_limit = 5000;
    for (int restart = 0; restart < 3; restart++) {
        world_reopen(w);
        for (int i = 0; i < 300; i++) {
            bool is_delete = i % 7 == 6;
            (void)world_write(w, i % 5, is_delete ? world_rev(w, i % 5) : STORE_ANY, is_delete, i,
                              NULL);
            CHECK(w->store->history.bytes <= w->history_bytes_limit);
        }
        CHECK(w->store->history.n > 1 && w->store->history.bytes > w->history_bytes_limit / 2);
        CHECK(store_compact_rev(w->store) > 0);
    }
    size_t kept = w->store->history.n, bytes = w->store->history.bytes;
    world_reopen(w);
    CHECK_EQ(w->store->history.n, kept);
    CHECK(w->store->history.bytes <= bytes);
}

/* ---- failed commits (memory) ---- */

TEST(a_failed_commit_falls_back_and_takes_what_was_decided_upon_it)
{
    struct world *w = world_new(MEMORY, false);
    w->options.latency_ms = 5;
    world_open(w);
    CHECK_EQ(world_write(w, 1, STORE_ABSENT, false, 1, NULL), 0);
    int64_t r1 = world_rev(w, 1);
    w->fail_commit = 2;
    struct put a[4] = {0}, b[7] = {0};
    world_submit(w, &a[0], 1, r1, false, 2);
    world_submit(w, &a[1], 2, STORE_ABSENT, false, 3);
    world_submit(w, &a[2], 2, STORE_ABSENT, false, 4); /* refused because of a[1], which fails */
    world_submit(w, &a[3], 1, 99, false, 4);           /* refused because of a[0], which fails */
    struct put wait_a = {.world = w, .code = 1};
    wait_a.w.done = world_on_done;
    w->outstanding++;
    store_await(w->store, &wait_a.w);
    store_start_commit(w->store); /* under way; what follows is the next batch */
    world_submit(w, &b[0], 1, world_rev(w, 1), false, 5); /* upon a[0] */
    world_submit(w, &b[1], 3, STORE_ABSENT, false, 6);    /* independent */
    world_submit(w, &b[2], 2, world_rev(w, 2), true, 7);  /* upon a[1] */
    world_submit(w, &b[3], 2, STORE_ABSENT, false, 8);    /* upon b[2] */
    world_submit(w, &b[4], 3, world_rev(w, 3), false, 9); /* upon b[1] */
    world_submit(w, &b[5], 3, STORE_ABSENT, false, 9); /* refused because of b[1], which succeeds */
    world_submit(w, &b[6], 4, 7, false, 9);            /* refused, independent */
    struct put waits = {.world = w, .code = 1};        /* has seen all of it */
    waits.w.done = world_on_done;
    w->outstanding++;
    store_await(w->store, &waits.w);
    world_settle(w);
    CHECK_EQ(waits.code, -EIO);
    CHECK_EQ(wait_a.code, -EIO);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(a[i].code, -EIO);
        CHECK_EQ(a[i].rev, 0);
    }
    const int codes[7] = {-EIO, 0, -EIO, -EIO, 0, -EEXIST, -ENOENT};
    for (int i = 0; i < 7; i++) {
        CHECK_EQ(b[i].code, codes[i]);
    }
    CHECK_EQ(world_rev(w, 1), r1);
    CHECK_EQ(world_rev(w, 2), 0);
    CHECK_EQ(world_rev(w, 3), b[4].rev);
    CHECK_EQ(w->events.n, 3);
    CHECK_EQ(world_write(w, 1, r1, false, 10, NULL), 0); /* tried afresh */
    CHECK_EQ(world_write(w, 2, STORE_ABSENT, false, 11, NULL), 0);
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
        struct world *w = world_new(MEMORY, false);
        struct model m = {0};
        w->history_limit = 10;
        world_open(w);
        w->fail_commit = nth;
        for (int round = 0; round < 12; round++) {
            struct put p[6] = {0};
            for (int i = 0; i < 6; i++) {
                int key = (int)(kit_random() % 4);
                world_submit(w, &p[i], key, STORE_ANY, world_rev(w, key) && kit_random() % 3 == 0,
                             i);
            }
            size_t before = w->events.n;
            world_settle(w);
            for (int i = 0; i < 6; i++) {
                CHECK_EQ(p[i].code, (uint64_t)round + 1 == nth ? -EIO : 0);
            }
            for (size_t i = before; i < w->events.n; i++) {
                model_apply(&m, &w->events.at[i]);
            }
        }
        world_reopen(w);
        world_check_loaded(w, &m);
        world_free(w);
        VEC_DONE(&m.log);
    }
}

TEST(writers_of_a_store_that_dies_hear_of_it)
{
    struct world *w = world_new(MEMORY, false);
    w->options.latency_ms = 200;
    world_open(w);
    struct put p[3] = {0};
    world_submit(w, &p[0], 1, STORE_ABSENT, false, 1);
    world_run_for(w, 20); /* under way */
    world_submit(w, &p[1], 2, STORE_ABSENT, false, 1);
    world_submit(w, &p[2], 1, STORE_ABSENT, false, 1); /* refused: it is there already */
    store_die(w->store);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(p[i].code, -ECANCELED);
    }
    world_open(w);
    CHECK_EQ(w->loaded.n, 0);
    world_free(w);
}

TEST(a_crash_falls_before_between_or_after_durable_and_acknowledged)
{
    for (int at = 0; at < 3; at++) {
        struct world *w = world_new(MEMORY, false);
        w->options.latency_ms = 200;
        world_open(w);
        struct put p[2] = {0};
        world_submit(w, &p[0], 1, STORE_ABSENT, false, 1);
        world_run_for(w, at == 0 ? 20 : at == 1 ? 150 : 400);
        CHECK_EQ(p[0].code, at == 2 ? 0 : 1);
        world_submit(w, &p[1], 2, STORE_ABSENT, false, 1);
        store_crash(w->store);
        world_open(w);
        CHECK_EQ(world_rev(w, 1), at == 0 ? 0 : 2);
        CHECK_EQ(world_rev(w, 2), 0);
        CHECK_EQ(p[1].code, 1); /* nobody was told */
        world_free(w);
    }
}
