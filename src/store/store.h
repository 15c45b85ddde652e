/* store/store.h: the revisioned store. One contract, three backends (memory, SQLite, later etcd),
 * one test suite.
 *
 * - A revision is a 64-bit number that grows with every successful write of the whole store; an
 * object's metadata.resourceVersion is the revision of its last write. Revisions of failed writes
 * may be missing.
 * - A write is a compare-and-swap on one key. It is decided at once against the latest state
 * (writes of this turn included) and completes, in order, when it is durable: group commit, one
 * transaction carries all writes of a turn; nothing is acknowledged before it is on disk.
 * - After a failed commit (-ENOSPC, -EIO) all writes of that batch and those decided upon them fail
 * with the code, the latest state falls back to what is durable, and the store goes on: later
 * writes are tried afresh.
 * - History: the last LIMIT_HISTORY_VERSIONS superseded versions and deletions are kept, across
 * restarts too, so that a watch resumes; older ones are compacted away (store_compact_rev). Loop
 * thread only. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "codec/object.h"
#include "env/env.h"

struct store;

enum { STORE_ABSENT = 0, STORE_ANY = -1 };

/* One write, embedded in the caller's request; must stay in place until done. */
struct store_write {
    struct span key;    /* copied by store_submit */
    int64_t expect_rev; /* STORE_ABSENT: must not exist; STORE_ANY; or the exact revision */
    bool is_delete;   /* remove the key; body is then the last state of the object, for watchers */
    struct span body; /* as object_new() takes it; copied by store_submit. A delete needs it too */
    /* Called once, on the loop, never inside store_submit. code: 0; E_CONFLICT (revision differs);
     * -EEXIST; -ENOENT; -ENOSPC, -EIO ... When 0, object is the new version (for a delete: the last
     * state, its revision the delete's), borrowed for the call. On conflict it is the current
     * version, or NULL. */
    void (*done)(struct store_write *write, int code, struct object *object);
    /* private to the backend */
    struct list link;
    struct object *object, *previous;
    int code;
};

/* A committed change, in revision order, told to the one subscriber (the watch hub) before
 * write->done runs. */
struct store_event {
    bool is_delete;
    struct object
        *object; /* the new version; of a delete, the last state at the delete's revision */
    struct object
        *previous; /* the version before; NULL for a creation, or when history no longer has it */
};
typedef void store_event_fn(void *data, const struct store_event *event);

/* Opens and calls fn for everything kept, in revision order: history and live versions, so that the
 * hub can rebuild its caches and its window. Backend constructors are below. After the call
 * store_submit may be used. */
int store_load(struct store *s, store_event_fn *fn, void *data);
/* Subscribes to commits; one subscriber. */
void store_subscribe(struct store *s, store_event_fn *fn, void *data);

void store_submit(struct store *s, struct store_write *write);
/* Latest version of a key, uncommitted writes of this turn included; borrowed until the next turn.
 * NULL when absent. For read-modify-write inside the server only; clients are served from the watch
 * cache (committed state). */
struct object *store_peek(struct store *s, struct span key);
/* Highest revision handed out / durable / compacted (events up to and including it may be missing).
 */
int64_t store_latest_rev(const struct store *s);
int64_t store_durable_rev(const struct store *s);
int64_t store_compact_rev(const struct store *s);
/* Live keys, bytes of live bodies, commits, microseconds of the last commits (for metrics). */
struct store_stats {
    uint64_t live_keys, live_bytes, commits, writes, commit_us_total, commit_us_max;
};
void store_stats(const struct store *s, struct store_stats *ret);
/* Waits until everything submitted is durable or failed (its done callbacks run), then releases.
 * NULL is fine. */
void store_free(struct store *s);

/* Volatile; for tests, the simulator and --container-runtime fake benchmarks. latency_ms delays
 * each commit. fail, when not NULL, is asked before each commit: a negative code makes it fail
 * (fault injection). */
struct store_memory_options {
    int64_t latency_ms;
    int (*fail)(void *data, uint64_t commit_number);
    void *data;
};
struct store *store_memory_new(struct env *env, const struct store_memory_options *options);
/* For the simulator: the durable log survives a crash of the role; a new store opens on it. */
struct store_memory_disk;
struct store_memory_disk *store_memory_disk_new(void);
void store_memory_disk_free(struct store_memory_disk *disk);
struct store *store_memory_open(struct env *env, struct store_memory_disk *disk,
                                const struct store_memory_options *options);

/* SQLite in WAL mode, synchronous=FULL. path is the database file. Errors: -EWOULDBLOCK (another
 * process has it), E_VERSION (made by a newer Berth), E_CORRUPT (integrity: the file is left as it
 * is), -EIO, -ENOSPC. *ret_detail is a sentence for people, in the arena. */
struct arena;
int store_sqlite_open(struct env *env, const char *path, struct store **ret, struct arena *a,
                      struct span *ret_detail);

#endif
