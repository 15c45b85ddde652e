/* The SQLite backend. The database is the durable log of the state that lives in memory:
 *
 *     log(rev INTEGER PRIMARY KEY, key TEXT, flags INTEGER, sum INTEGER, body BLOB)
 *                                             one row a write, append only
 *     meta(format, compact_rev, rows, digest, sum)    one row, rewritten by each commit; as that of
 *                                             rowid 1 it need not be sought, nor kept for an undo
 *
 * No secondary index: opening scans in revision order and replays.
 * SQLite has no checksums on its pages, and a flipped bit may even hide rows from a scan. A row's
 * `sum` is the CRC-32 of the rest of it; `rows` and `digest` are the number of rows and the sum of
 * a hash of their revisions. So damage is reported, not served. One lane thread commits: one
 * transaction a batch, which also drops the rows that leave the history. It copies the write-ahead
 * log into the database when the store is idle, or when the log has grown over its limit. The
 * connection is used by the loop thread until the first commit, then by the lane only, then (lane
 * ended) by the loop thread again. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "store/store_priv.h"

enum { FORMAT = 1, PAGE_BYTES = 8192, FLAG_DELETE = 1 };

struct meta {
    int64_t compact_rev, rows;
    uint64_t digest;
};

struct store_sqlite {
    struct store s;
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *rollback, *insert, *evict, *set_meta;
    struct meta meta;      /* as committed; lane once there is one */
    struct env_lane *lane; /* made on demand */
    bool is_ending;        /* no checkpoint is started any more */
    bool is_crashed;       /* nobody is told */
    struct env_work commit_work;
    int code;           /* of the last commit */
    struct strbuf body; /* lane */
    int wal_pages;      /* written on the lane, read when a commit is done */
    struct env_work checkpoint_work;
    bool is_checkpointing;
};

/* ---- errors ---- */

static int code_of(sqlite3 *db, int rc)
{
    int sys = db ? sqlite3_system_errno(db) : 0;
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EWOULDBLOCK;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return E_CORRUPT;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        if (sys == EDQUOT || sys == EFBIG) {
            return -ENOSPC; /* a quota or a file size limit: for the user the disk is full */
        }
        return sys > 0 ? -sys : -EIO;
    default:
        return -EIO;
    }
}

static int explain(struct arena *a, struct span *ret_detail, const char *path, sqlite3 *db,
                   int code)
{
    assert(code < 0);
    assert(path);
    assert(ret_detail);
    const char *reason = db ? sqlite3_errmsg(db) : "out of memory";
    if (code == -EWOULDBLOCK) {
        *ret_detail = arena_printf(a, "The database %s is in use by another process.", path);
    } else if (code == E_CORRUPT) {
        *ret_detail =
            arena_printf(a,
                         "The database %s is damaged (%s); it was left as it is. Put back a "
                         "copy of it, or use another data directory.",
                         path, reason);
    } else {
        *ret_detail = arena_printf(a, "The database %s cannot be opened: %s.", path,
                                   code == -EIO ? reason : code_text(code));
    }
    return code;
}

/* E_CORRUPT with our own words. */
static int damaged(struct arena *a, struct span *ret_detail, const char *path, const char *what,
                   int64_t rev)
{
    assert(path);
    assert(what);
    assert(ret_detail);
    *ret_detail =
        arena_printf(a,
                     "The database %s is damaged (%s, revision %lld); it was left as it is. "
                     "Put back a copy of it, or use another data directory.",
                     path, what, (long long)rev);
    return E_CORRUPT;
}

/* ---- the lane ---- */

static uint32_t row_sum(int64_t rev, int64_t flags, struct span key, struct span body)
{
    int64_t numbers[2] = {rev, flags};
    uint32_t sum = store_sum(0, span_of((const char *)numbers, sizeof numbers));
    return store_sum(store_sum(sum, key), body);
}

static uint32_t meta_sum(const struct meta *m)
{
    int64_t numbers[4] = {FORMAT, m->compact_rev, m->rows, (int64_t)m->digest};
    return store_sum(0, span_of((const char *)numbers, sizeof numbers));
}

/* A fixed hash: it is part of the format (splitmix64). */
static uint64_t rev_hash(int64_t rev)
{
    uint64_t z = (uint64_t)rev * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Runs a statement that gives no rows. */
static int run(sqlite3_stmt *st)
{
    assert(st);
    int rc = sqlite3_step(st);
    (void)sqlite3_reset(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int insert_row(struct store_sqlite *q, const struct store_row *row)
{
    assert(row->rev > 0);
    assert(row->key.n > 0);
    assert(row->key.n <= INT32_MAX);
    int64_t flags = row->is_delete ? FLAG_DELETE : 0;
    strbuf_clear(&q->body);
    strbuf_put(&q->body, row->body[0]);
    strbuf_put(&q->body, row->body[1]);
    struct span body = strbuf_span(&q->body);
    assert(body.n <= INT32_MAX);
    sqlite3_bind_int64(q->insert, 1, row->rev);
    sqlite3_bind_text(q->insert, 2, row->key.p, (int)row->key.n, SQLITE_STATIC);
    sqlite3_bind_int64(q->insert, 3, flags);
    sqlite3_bind_int64(q->insert, 4, row_sum(row->rev, flags, row->key, body));
    sqlite3_bind_blob(q->insert, 5, body.p, (int)body.n, SQLITE_STATIC);
    return run(q->insert);
}

static int write_meta(struct store_sqlite *q, const struct meta *m)
{
    assert(m->rows >= 0);
    assert(m->compact_rev >= 0);
    sqlite3_bind_int64(q->set_meta, 1, m->compact_rev);
    sqlite3_bind_int64(q->set_meta, 2, m->rows);
    sqlite3_bind_int64(q->set_meta, 3, (int64_t)m->digest);
    sqlite3_bind_int64(q->set_meta, 4, meta_sum(m));
    return run(q->set_meta);
}

static int write_batch(struct store_sqlite *q, const struct store_batch *b)
{
    struct meta meta = q->meta;
    assert(b->rows.n > 0);
    assert(b->compact_rev >= meta.compact_rev);
    int rc = run(q->begin);
    for (size_t i = 0; rc == SQLITE_OK && i < b->rows.n; i++) {
        meta.rows++;
        meta.digest += rev_hash(b->rows.at[i].rev);
        rc = insert_row(q, &b->rows.at[i]);
    }
    for (size_t i = 0; rc == SQLITE_OK && i < b->evict.n; i++) {
        meta.rows--;
        meta.digest -= rev_hash(b->evict.at[i]);
        sqlite3_bind_int64(q->evict, 1, b->evict.at[i]);
        rc = run(q->evict);
    }
    meta.compact_rev = b->compact_rev;
    assert(meta.rows >= 0);
    if (rc == SQLITE_OK) {
        rc = write_meta(q, &meta);
    }
    if (rc == SQLITE_OK) {
        rc = run(q->commit);
    }
    if (rc == SQLITE_OK) {
        q->meta = meta;
    }
    return rc;
}

static void run_commit(struct env_work *work)
{
    struct store_sqlite *q = CONTAINER_OF(work, struct store_sqlite, commit_work);
    int rc = write_batch(q, &q->s.batch);
    q->code = code_of(q->db, rc);
    assert((q->code == 0) == (rc == SQLITE_OK));
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(q->db)) {
        (void)run(q->rollback);
    }
}

static int on_wal(void *data, sqlite3 *db, const char *name, int pages)
{
    assert(data);
    assert(pages >= 0);
    (void)db;
    (void)name;
    ((struct store_sqlite *)data)->wal_pages = pages;
    return SQLITE_OK;
}

static void run_checkpoint(struct env_work *work)
{
    struct store_sqlite *q = CONTAINER_OF(work, struct store_sqlite, checkpoint_work);
    assert(q->is_checkpointing);
    /* A failure (disk full) leaves everything in the write-ahead log, where it is safe; the next
     * one tries again. */
    (void)sqlite3_wal_checkpoint_v2(q->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* ---- the loop ---- */

static void done_checkpoint(struct env_work *work)
{
    struct store_sqlite *q = CONTAINER_OF(work, struct store_sqlite, checkpoint_work);
    assert(q->is_checkpointing);
    q->is_checkpointing = false;
}

static void maybe_checkpoint(struct store_sqlite *q, int wal_pages)
{
    assert(wal_pages >= 0);
    size_t bytes = (size_t)wal_pages * PAGE_BYTES;
    bool is_idle = list_is_empty(&q->s.gathering);
    if (!q->is_ending && !q->is_checkpointing &&
        (bytes >= q->s.log_limit || (is_idle && bytes >= q->s.log_idle_limit))) {
        q->is_checkpointing = true;
        env_lane_start(q->lane, &q->checkpoint_work, run_checkpoint, done_checkpoint);
    }
}

static void done_commit(struct env_work *work)
{
    struct store_sqlite *q = CONTAINER_OF(work, struct store_sqlite, commit_work);
    assert(q->is_crashed || q->s.in_flight);
    if (q->is_crashed) {
        return;
    }
    int wal_pages = q->wal_pages;
    store_commit_done(&q->s, q->code);
    maybe_checkpoint(q, wal_pages);
}

static void sqlite_commit(struct store *s)
{
    assert(s->batch.rows.n > 0);
    struct store_sqlite *q = CONTAINER_OF(s, struct store_sqlite, s);
    assert(s->in_flight);
    assert(!q->is_crashed);
    if (!q->lane) {
        q->lane = env_lane_new(s->env, "store");
    }
    env_lane_start(q->lane, &q->commit_work, run_commit, done_commit);
}

static void sqlite_wait(struct store *s)
{
    struct store_sqlite *q = CONTAINER_OF(s, struct store_sqlite, s);
    q->is_ending = true;
    env_lane_free(TAKE_PTR(q->lane));
    assert(!q->is_checkpointing);
    assert(!q->lane);
}

static void close_db(struct store_sqlite *q)
{
    sqlite3_stmt *const all[] = {q->begin,  q->commit, q->rollback,
                                 q->insert, q->evict,  q->set_meta};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        (void)sqlite3_finalize(all[i]);
    }
    (void)sqlite3_close(q->db);
}

static void sqlite_free(struct store *s)
{
    struct store_sqlite *q = CONTAINER_OF(s, struct store_sqlite, s);
    q->is_crashed = s->in_flight;
    sqlite_wait(s);
    close_db(q);
    strbuf_done(&q->body);
    store_done(s);
    free(q);
}

static const struct store_ops sqlite_ops = {
    .commit = sqlite_commit, .wait = sqlite_wait, .free = sqlite_free};

/* ---- opening ---- */

static int exec(struct store_sqlite *q, const char *sql)
{
    assert(q->db);
    assert(sql);
    return sqlite3_exec(q->db, sql, NULL, NULL, NULL);
}

/* The first row's integers; *ret is false when there is no row, or another type in it. */
static int query_ints(struct store_sqlite *q, const char *sql, int64_t *values, int n, bool *ret)
{
    assert(values);
    assert(ret);
    assert(n > 0);
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(q->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        *ret = rc == SQLITE_ROW;
        for (int i = 0; rc == SQLITE_ROW && i < n; i++) {
            *ret = *ret && sqlite3_column_type(st, i) == SQLITE_INTEGER;
            values[i] = sqlite3_column_int64(st, i);
        }
    }
    (void)sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The tables are made in one rollback-journal transaction, so that a crash leaves an empty database
 * or a whole one and the schema never depends on the write-ahead log file. */
static int create_tables(struct store_sqlite *q)
{
    const struct meta empty = {0};
    char sql[600];
    int n = snprintf(
        sql, sizeof sql,
        "PRAGMA page_size=%d; PRAGMA synchronous=FULL; BEGIN EXCLUSIVE;"
        "CREATE TABLE meta(format INTEGER NOT NULL, compact_rev INTEGER NOT NULL,"
        " rows INTEGER NOT NULL, digest INTEGER NOT NULL, sum INTEGER NOT NULL);"
        "CREATE TABLE log(rev INTEGER PRIMARY KEY, key TEXT NOT NULL, flags INTEGER NOT NULL,"
        " sum INTEGER NOT NULL, body BLOB NOT NULL);"
        "INSERT INTO meta VALUES(%d,0,0,0,%lld);"
        "COMMIT",
        PAGE_BYTES, FORMAT, (long long)meta_sum(&empty));
    assert(n > 0);
    assert((size_t)n < sizeof sql);
    return exec(q, sql);
}

/* Takes the file for us alone, and says what it is. */
static int check_format(struct store_sqlite *q, const char *path, struct arena *a,
                        struct span *ret_detail)
{
    int64_t tables = -1, format = -1;
    bool is_there = false;
    int rc = exec(q, "PRAGMA locking_mode=EXCLUSIVE");
    if (rc == SQLITE_OK) {
        rc = query_ints(q, "SELECT count(*) FROM sqlite_schema", &tables, 1, &is_there);
    }
    if (rc == SQLITE_OK && tables == 0) {
        rc = create_tables(q);
    }
    if (rc != SQLITE_OK) {
        return explain(a, ret_detail, path, q->db, code_of(q->db, rc));
    }
    rc = query_ints(q, "SELECT format FROM meta", &format, 1, &is_there);
    if (rc == SQLITE_ERROR || (rc == SQLITE_OK && (!is_there || format < 1))) {
        *ret_detail =
            arena_printf(a, "The file %s is not a Berth database; it was left as it is.", path);
        return E_CORRUPT;
    }
    if (rc == SQLITE_OK && format > FORMAT) {
        *ret_detail =
            arena_printf(a,
                         "The database %s was made by a newer version of Berth (format %lld, "
                         "this one knows %d); it was left as it is.",
                         path, (long long)format, FORMAT);
        return E_VERSION;
    }
    return rc == SQLITE_OK ? 0 : explain(a, ret_detail, path, q->db, code_of(q->db, rc));
}

/* What is wrong with a row, or NULL. */
static const char *row_fault(sqlite3_stmt *st, struct span key, struct span body)
{
    struct span resource, ns, name;
    int64_t rev = sqlite3_column_int64(st, 0), flags = sqlite3_column_int64(st, 2);
    if (sqlite3_column_int64(st, 3) != (int64_t)row_sum(rev, flags, key, body)) {
        return "wrong checksum";
    }
    if (flags != 0 && flags != FLAG_DELETE) {
        return "unknown flags";
    }
    if (!object_key_split(key, &resource, &ns, &name) || !object_body_ok(body)) {
        return "malformed row";
    }
    return NULL;
}

static int load_meta(struct store_sqlite *q, const char *path, struct arena *a,
                     struct span *ret_detail)
{
    int64_t v[4] = {0};
    bool is_there = false;
    int rc = query_ints(q, "SELECT compact_rev,rows,digest,sum FROM meta WHERE rowid=1", v, 4,
                        &is_there);
    if (rc != SQLITE_OK) {
        return explain(a, ret_detail, path, q->db, code_of(q->db, rc));
    }
    q->meta = (struct meta){.compact_rev = v[0], .rows = v[1], .digest = (uint64_t)v[2]};
    if (!is_there || v[0] < 0 || v[3] != (int64_t)meta_sum(&q->meta)) {
        return damaged(a, ret_detail, path, "wrong checksum in meta", 0);
    }
    return 0;
}

static int load_rows(struct store_sqlite *q, const char *path, struct arena *a,
                     struct span *ret_detail)
{
    struct meta seen = {.compact_rev = q->meta.compact_rev};
    int64_t last = 0;
    const char *fault = NULL;
    sqlite3_stmt *st = NULL;
    store_replay_begin(&q->s, q->meta.rows > 0 ? (size_t)q->meta.rows : 0);
    int rc = sqlite3_prepare_v2(q->db, "SELECT rev,key,flags,sum,body FROM log ORDER BY rev", -1,
                                &st, NULL);
    while (rc == SQLITE_OK && !fault && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t rev = sqlite3_column_int64(st, 0);
        struct span key = {(const char *)sqlite3_column_text(st, 1),
                           (size_t)sqlite3_column_bytes(st, 1)};
        struct span body = {sqlite3_column_blob(st, 4), (size_t)sqlite3_column_bytes(st, 4)};
        fault = rev <= last ? "revisions out of order" : row_fault(st, key, body);
        last = rev;
        seen.rows++;
        seen.digest += rev_hash(rev);
        if (!fault) {
            store_replay(&q->s, object_new(key, rev, body),
                         sqlite3_column_int64(st, 2) == FLAG_DELETE);
        }
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(st);
    if (!fault && rc == SQLITE_DONE &&
        (seen.rows != q->meta.rows || seen.digest != q->meta.digest)) {
        fault = "rows are missing";
    }
    if (fault) {
        return damaged(a, ret_detail, path, fault, last);
    }
    if (rc != SQLITE_DONE) {
        return explain(a, ret_detail, path, q->db, code_of(q->db, rc));
    }
    assert(seen.rows >= 0);
    assert(q->s.latest_rev >= last);
    store_replay_end(&q->s, q->meta.compact_rev);
    return 0;
}

static int prepare(struct store_sqlite *q)
{
    assert(q->db);
    const struct {
        sqlite3_stmt **ret;
        const char *sql;
    } all[] = {
        {&q->begin, "BEGIN IMMEDIATE"},
        {&q->commit, "COMMIT"},
        {&q->rollback, "ROLLBACK"},
        {&q->insert, "INSERT INTO log(rev,key,flags,sum,body) VALUES(?1,?2,?3,?4,?5)"},
        {&q->evict, "DELETE FROM log WHERE rev=?1"},
        {&q->set_meta, "UPDATE meta SET compact_rev=?1, rows=?2, digest=?3, sum=?4 WHERE rowid=1"},
    };
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof all / sizeof *all; i++) {
        rc = sqlite3_prepare_v3(q->db, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT, all[i].ret, NULL);
    }
    return rc;
}

/* From here on the file is ours to write. */
static int make_ready(struct store_sqlite *q)
{
    int rc = exec(q, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-1024;");
    if (rc == SQLITE_OK) {
        rc = sqlite3_db_config(q->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    }
    (void)sqlite3_wal_hook(q->db, on_wal, q); /* replaces the automatic checkpoint */
    return rc == SQLITE_OK ? prepare(q) : rc;
}

/* Objects hold secrets: SQLite would create the file for everybody to read. */
static int make_file(const char *path, struct arena *a, struct span *ret_detail)
{
    assert(path);
    assert(ret_detail);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) {
        int code = -errno;
        *ret_detail =
            arena_printf(a, "The database %s cannot be opened: %s.", path, code_text(code));
        return code;
    }
    (void)close(fd); /* before SQLite has a lock: closing any descriptor would drop it */
    return 0;
}

/* ---- what a process that died has left ---- */

/* A process that died in a commit leaves a log that is whole and not synced, and when a sync had
 * failed, one that the medium will never get: the kernel took its pages for clean, and shows them
 * to whoever reads. What we read, tell and go on behind must outlive a power cut; so the log is
 * synced, and then forgotten by the page cache: SQLite reads what the medium has. */
static int settle_log(const char *path)
{
    struct arena *a cleanup_arena = arena_new();
    const char *log = arena_printf(a, "%s-wal", path).p;
    cleanup_close int fd = open(log, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    int code = fsync(fd) < 0 ? -errno : 0;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return code;
}

static int settle_log_on(const char *vfs_name, const char *path)
{
    struct arena *a cleanup_arena = arena_new();
    const char *log = arena_printf(a, "%s-wal", path).p;
    sqlite3_vfs *vfs = sqlite3_vfs_find(vfs_name);
    assert(vfs);
    sqlite3_file *f = arena_alloc(a, (size_t)vfs->szOsFile);
    if (vfs->xOpen(vfs, log, f, SQLITE_OPEN_READWRITE | SQLITE_OPEN_WAL, NULL) != SQLITE_OK) {
        return 0; /* there is none */
    }
    int rc = f->pMethods->xSync(f, SQLITE_SYNC_FULL);
    (void)f->pMethods->xFileControl(f, STORE_SQLITE_FORGET, NULL);
    (void)f->pMethods->xClose(f);
    return rc == SQLITE_OK ? 0 : -EIO;
}

void store_sqlite_setup(void)
{
    /* Nobody asks how much memory SQLite has, and to count it takes a lock for each block. */
    int rc = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    assert(rc == SQLITE_OK || rc == SQLITE_MISUSE); /* it runs already: as well */
    (void)rc;
}

/* vfs NULL: the system's own. */
static int open_db(struct store_sqlite *q, const char *vfs, const char *path, struct arena *a,
                   struct span *ret_detail)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (vfs ? SQLITE_OPEN_CREATE : 0);
    int code = vfs ? settle_log_on(vfs, path) : settle_log(path);
    if (code < 0 && code != -ENOSPC &&
        code != -EDQUOT) { /* a full disk is no reason not to start */
        *ret_detail = arena_printf(a, "The log of the database %s cannot be synced: %s.", path,
                                   code_text(code));
        return code;
    }
    int rc = sqlite3_open_v2(path, &q->db, flags, vfs);
    if (rc == SQLITE_OK) {
        (void)sqlite3_extended_result_codes(q->db, 1);
        rc = sqlite3_db_config(q->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    if (rc != SQLITE_OK) {
        return explain(a, ret_detail, path, q->db, code_of(q->db, rc));
    }
    code = check_format(q, path, a, ret_detail);
    if (code == 0) {
        code = load_meta(q, path, a, ret_detail);
    }
    if (code == 0) {
        code = load_rows(q, path, a, ret_detail);
    }
    if (code == 0 && (rc = make_ready(q)) != SQLITE_OK) {
        code = explain(a, ret_detail, path, q->db, code_of(q->db, rc));
    }
    assert(code == 0 || ret_detail->n > 0); /* nobody fails without a reason */
    return code;
}

int store_sqlite_open(struct env *env, const char *path, struct store **ret, struct arena *a,
                      struct span *ret_detail)
{
    assert(env);
    assert(ret);
    int code = make_file(path, a, ret_detail);
    return code < 0 ? code : store_sqlite_open_on(env, NULL, path, ret, a, ret_detail);
}

int store_sqlite_open_on(struct env *env, const char *vfs, const char *path, struct store **ret,
                         struct arena *a, struct span *ret_detail)
{
    assert(path);
    assert(ret);
    assert(ret_detail);
    store_sqlite_setup();
    struct store_sqlite *q = MEM_NEW(struct store_sqlite);
    store_init(&q->s, &sqlite_ops, env);
    int code = open_db(q, vfs, path, a, ret_detail);
    if (code < 0) {
        sqlite_free(&q->s);
        return code;
    }
    *ret = &q->s;
    return 0;
}
