/* What the SQLite backend promises beyond the contract: crashes, full disks, damage, other
 * processes. */
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
#include "base/err.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "kit/kit.h"
#include "kit/store_kit.h"
#include "sim/disk.h"

TEST(crash_leaves_a_whole_batch_or_none)
{
    struct world *w = world_new(SQLITE, false);
    world_open(w);
    struct put p[30] = {0};
    for (int i = 0; i < 30; i++) {
        world_submit(w, &p[i], i % KEYS, STORE_ANY, false, i);
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

TEST(second_opener_is_refused)
{
    struct world *w = world_new(SQLITE, false);
    world_open(w);
    char detail[512];
    CHECK_EQ(open_code(w, detail), -EWOULDBLOCK); /* before the first write too */
    CHECK_EQ(world_write(w, 1, STORE_ABSENT, false, 1, NULL), 0);
    CHECK_EQ(open_code(w, detail), -EWOULDBLOCK);
    CHECK(strstr(detail, "in use by another process"));
    store_free(w->store);
    int ready[2], end[2];
    CHECK(pipe(ready) == 0 && pipe(end) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct world *child = world_new(SQLITE, false);
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
    CHECK_EQ(world_rev(w, 1), 2);
    CHECK_EQ(world_write(w, 1, 2, false, 2, NULL), 0);
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

static void close_store(struct world *w)
{
    store_free(w->store);
    w->store = NULL;
}

/* A database with one write in it, closed. */
static struct world *written_world(void)
{
    struct world *w = world_new(SQLITE, false);
    world_open(w);
    CHECK_EQ(world_write(w, 1, STORE_ABSENT, false, 1, NULL), 0);
    close_store(w);
    return w;
}

TEST(newer_version_and_foreign_files_are_refused_untouched)
{
    struct world *w = written_world();
    char detail[512];
    raw_sql(w->path, "UPDATE meta SET format=2");
    struct strbuf before = slurp(w->path);
    CHECK_EQ(open_code(w, detail), E_VERSION);
    CHECK(strstr(detail, "newer version") && strstr(detail, w->path));
    check_file_is(w->path, strbuf_span(&before));
    strbuf_done(&before);

    const char *const sql[] = {"UPDATE meta SET format='x'", "DELETE FROM meta", "DROP TABLE meta"};
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

TEST(meta_that_is_not_the_first_row_is_not_ours)
{
    struct world *w = written_world();
    char detail[512];
    raw_sql(w->path, "UPDATE meta SET rowid=2");
    CHECK_EQ(open_code(w, detail), E_CORRUPT);
    raw_sql(w->path, "UPDATE meta SET rowid=1; VACUUM");
    world_open(w);
    CHECK_EQ(world_write(w, 2, STORE_ABSENT, false, 1, NULL), 0);
    world_free(w);
}

/* Any flipped byte is either reported, the file untouched, or makes no difference. */
TEST_T(damage_is_reported_and_the_file_left_as_it_is, 60)
{
    struct world *w = world_new(SQLITE, false);
    struct model m = {0};
    w->history_limit = 50;
    world_open(w);
    world_random_work(w, &m, 10);
    close_store(w);
    struct strbuf good = slurp(w->path);
    int reported = 0;
    char detail[512];
    for (int i = 0; i < 300; i++) {
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
            world_check_loaded(w, &m);
            close_store(w);
        }
        strbuf_done(&bad);
    }
    kit_note("%d of 300 flips reported", reported);
    CHECK(reported > 15);
    /* A page is missing at the end. */
    spill(w->path, span_first(strbuf_span(&good), good.n - 8192));
    CHECK_EQ(open_code(w, detail), E_CORRUPT);
    CHECK(strstr(detail, "is damaged") && strstr(detail, "left as it is"));
    strbuf_done(&good);
    VEC_DONE(&m.log);
    world_free(w);
}

TEST(missing_directory_is_explained)
{
    struct world *w = world_new(SQLITE, false);
    char detail[512];
    snprintf(w->path, sizeof w->path, "%s/no/store.db", kit_tmpdir());
    CHECK_EQ(open_code(w, detail), -ENOENT);
    CHECK(strstr(detail, "/no/store.db cannot be opened: No such file"));
    world_free(w);
}

TEST_T(full_disk_fails_writes_whole_and_recovers, 60)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", kit_tmpdir(), "tmpfs", 0, "size=1m") < 0) {
        SKIP("needs to mount a tmpfs");
    }
    struct world *w = world_new(SQLITE, false);
    struct model m = {0};
    char filler[128];
    world_open(w);
    world_random_work(w, &m, 3);
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
                world_submit(w, &p[k], k, STORE_ANY, false, i);
            }
            world_settle(w);
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
            world_check_loaded(w, &m);
        }
        CHECK(unlink(filler) == 0);
        world_random_work(w, &m, 1); /* and goes on once there is room */
    }
    CHECK(failed > 0);
    world_reopen(w);
    world_check_loaded(w, &m);
    VEC_DONE(&m.log);
    world_free(w);
}

/* ---- the power goes ---- */

/* Opens what a machine finds that lost its power: the database, and of its log the first `cut`
 * bytes; where the rest is not missing it is garbage. */
static void open_torn(struct world *w, struct span db, struct span log, size_t cut, bool garbage)
{
    char log_path[160], shm_path[160];
    snprintf(log_path, sizeof log_path, "%s-wal", w->path);
    snprintf(shm_path, sizeof shm_path, "%s-shm", w->path);
    struct strbuf torn = STRBUF_INIT;
    strbuf_put(&torn, span_first(log, cut));
    while (garbage && torn.n < log.n) {
        strbuf_putc(&torn, (char)kit_random());
    }
    (void)unlink(shm_path);
    spill(w->path, db);
    spill(log_path, strbuf_span(&torn));
    strbuf_done(&torn);
    world_open(w);
}

TEST_T(torn_tail_of_the_log_leaves_a_whole_batch_or_none, 60)
{
    enum { BATCH = 8, CUTS = 60 };
    struct world *w = world_new(SQLITE, false);
    struct model m = {0};
    char log_path[160];
    snprintf(log_path, sizeof log_path, "%s-wal", w->path);
    world_open(w);
    world_random_work(w, &m, 2);
    struct strbuf before = slurp(log_path); /* acknowledged: this is on the disk */
    struct model was = m;
    struct put p[BATCH] = {0};
    size_t told = w->events.n;
    for (int i = 0; i < BATCH; i++) {
        world_submit(w, &p[i], i, STORE_ANY, false, 1000 + i);
    }
    world_settle(w);
    for (size_t e = told; e < w->events.n; e++) {
        model_apply(&m, &w->events.at[e]);
    }
    was.log.at = m.log.at; /* the same beginning */
    struct strbuf db = slurp(w->path), log = slurp(log_path);
    CHECK(log.n > before.n && before.n > 0);
    store_crash(w->store);
    int whole = 0;
    for (size_t i = 0; i <= 2 * CUTS; i++) {
        size_t cut = i == 2 * CUTS ? log.n : before.n + (log.n - before.n) * (i / 2) / CUTS;
        open_torn(w, strbuf_span(&db), strbuf_span(&log), cut, i % 2);
        bool has_batch = world_rev(w, 0) == m.rev[0];
        world_check_loaded(w, has_batch ? &m : &was);
        CHECK(cut < log.n || has_batch);
        whole += has_batch;
        CHECK_EQ(world_write(w, 1, STORE_ANY, false, 1, NULL), 0); /* and it goes on */
        store_crash(w->store);
    }
    kit_note("%d of %d with the batch", whole, 2 * CUTS + 1);
    CHECK(whole < CUTS);
    w->store = NULL;
    strbuf_done(&before);
    strbuf_done(&db);
    strbuf_done(&log);
    VEC_DONE(&m.log);
    world_free(w);
}

/* ---- kill -9 ---- */

/* A commit that died before its sync is in the page cache: the next process reads it, and tells it.
 */
TEST(what_a_restarted_server_has_read_outlives_the_power)
{
    int unsynced = 0;
    for (uint64_t after = 0; after < 24; after++) {
        struct world *w = world_new(SQLITE, false);
        w->power_disk = sim_disk_new(after, NULL, NULL);
        world_open(w);
        int64_t first;
        CHECK_EQ(world_write(w, 1, STORE_ABSENT, false, 1, &first), 0);
        sim_disk_stop(w->power_disk, after);
        int code = world_write(w, 2, STORE_ABSENT, false, 2, NULL);
        store_free(w->store);
        (void)sim_disk_restart(w->power_disk, false);
        world_open(w);
        int64_t told = store_durable_rev(w->store);
        unsynced += code < 0 && told > first;
        sim_disk_stop(w->power_disk, 0);
        store_free(w->store);
        (void)sim_disk_restart(w->power_disk, true);
        world_open(w);
        CHECK_EQ(store_durable_rev(w->store), told);
        world_free(w);
    }
    CHECK(unsynced > 0);
}

/* The nth operation of the disk from now on fails; below 0: none. */
static int fail_nth(void *data)
{
    int *left = data;
    return (*left)-- == 0 ? -EIO : 0;
}

/* A sync that failed has dropped pages for good: the page cache shows them to the next process, and
 * no later sync writes them. */
TEST(what_a_failed_sync_dropped_is_not_what_later_commits_stand_on)
{
    int dropped = 0;
    for (int n = 0; n < 256; n++) {
        struct world *w = world_new(SQLITE, false);
        int left = -1;
        int64_t first, last;
        w->power_disk = sim_disk_new((uint64_t)n, fail_nth, &left);
        world_open(w);
        CHECK_EQ(world_write(w, 1, STORE_ABSENT, false, 1, &first), 0);
        left = n % 16;
        (void)world_write(w, 2, STORE_ABSENT, false, 2, NULL);
        left = -1;
        sim_disk_stop(w->power_disk, 0);
        store_free(w->store);
        dropped += sim_disk_restart(w->power_disk, false).dropped > 0;
        world_open(w);
        CHECK_EQ(world_write(w, 3, STORE_ABSENT, false, 3, &last), 0);
        sim_disk_stop(w->power_disk, 0);
        store_free(w->store);
        (void)sim_disk_restart(w->power_disk, true);
        world_open(w);
        CHECK_EQ(world_rev(w, 1), first);
        CHECK_EQ(world_rev(w, 3), last);
        world_free(w);
    }
    kit_note("%d of 256 dropped something", dropped);
    CHECK(dropped > 8);
}

static int ack_fd = -1;

static void ack_and_go_on(struct put *p)
{
    CHECK_EQ(p->code, 0);
    const struct told ack = {.rev = p->rev, .key = p->key_number, .value = p->value};
    CHECK_EQ(write(ack_fd, &ack, sizeof ack), sizeof ack);
    world_submit(p->world, p, (int)(kit_random() % KEYS), STORE_ANY, false,
                 (int)(kit_random() % 1000000));
}

static _Noreturn void writing_child(const char *path)
{
    static struct put p[16];
    struct world *w = world_new(SQLITE, false);
    snprintf(w->path, sizeof w->path, "%s", path);
    w->history_limit = 40;
    world_open(w);
    for (int i = 0; i < 16; i++) {
        p[i].then = ack_and_go_on;
        world_submit(w, &p[i], i % KEYS, STORE_ANY, false, i);
    }
    for (;;) {
        world_run_for(w, 1000);
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

TEST_T(kill_9_at_any_moment_loses_nothing_acknowledged, 100)
{
    struct world *w = world_new(SQLITE, false);
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
            struct object *o = store_peek(w->store, store_kit_key(buf, k));
            CHECK(!last[k].rev || (o && object_rev(o) >= last[k].rev));
            if (o && object_rev(o) == last[k].rev) {
                CHECK_EQ(store_kit_number(object_json(o), "\"n\":\""), last[k].value);
            }
        }
        close_store(w);
        char text[64];
        (void)count_rows(w->path, "PRAGMA integrity_check", text);
        CHECK(strcmp(text, "ok") == 0);
    }
    kit_note("%llu writes acknowledged", (unsigned long long)acks);
    CHECK(acks > 0);
    world_free(w);
}

TEST(write_ahead_log_stays_bounded)
{
    struct world *w = world_new(SQLITE, false);
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
        p.w = (struct store_write){.key = store_kit_key(key, i % KEYS),
                                   .expect_rev = STORE_ANY,
                                   .body = strbuf_span(&b),
                                   .done = world_on_done};
        w->outstanding++;
        store_submit(w->store, &p.w);
        strbuf_done(&b);
        world_settle(w);
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
