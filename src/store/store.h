/* store/store.h: the revisioned store. One contract, three backends (memory, SQLite, later etcd),
 * one test suite.
 *
 * - A revision is a 64-bit number that grows with every successful write of the whole store; an
 *   object's metadata.resourceVersion is the revision of its last write. Revisions of failed writes
 *   may be missing. The first write of a new store gets 2: 0 and 1 are never an object's revision.
 * - A write is a compare-and-swap on one key. It is decided at once against the latest state
 * (writes of this turn included) and completes, in order, when it is durable: group commit, one
 *   transaction carries all writes of a turn; nothing is acknowledged before it is on disk. A
 *   refused write (conflict, ...) completes in its place too, because it may have been decided upon
 *   a write that is not durable yet.
 * - After a failed commit (-ENOSPC, -EIO) all writes of that batch and those decided upon them fail
 *   with the code, the latest state falls back to what is durable, and the store goes on: later
 *   writes are tried afresh. A refusal that was decided upon durable state keeps its own code.
 * - History: the last LIMIT_HISTORY_VERSIONS superseded versions and deletions, of at most
 *   LIMIT_HISTORY_BYTES together, are kept, across restarts too, so that a watch resumes; older
 *   ones are compacted away. store_compact_rev() is
 * the revision of the newest write whose predecessor is gone: every event after it is there, with
 * its `previous`.
 *
 * Loop thread only. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/histogram.h"
#include "codec/object.h"
#include "env/env.h"

struct store;
struct store_key; /* private */

enum { STORE_ABSENT = 0, STORE_ANY = -1 };

/* One write, embedded in the caller's request; must stay in place until done. */
struct store_write {
    struct span key;    /* copied by store_submit */
    int64_t expect_rev; /* STORE_ABSENT: must not exist; STORE_ANY; or the exact revision */
    bool is_delete;     /* remove the key; body is then the object's last state, for watchers */
    struct span body; /* as object_new() takes it; copied by store_submit. A delete needs it too */
    const struct object_body *parsed; /* body with its tree, until store_submit returns; NULL:
                                       * whoever looks at the version parses it */
    /* Called once, on the loop, never inside store_submit.
     * code 0: object is the new version (of a delete: the last state, at the delete's revision).
     * E_CONFLICT: the revision differs; -EEXIST: expected to be absent; object is the current
     * version. -ENOENT: no such key, whatever revision was expected; E_LIMIT: body over
     * LIMIT_OBJECT_BYTES; -ENOSPC, -EIO, ...: the commit failed; object is NULL. object is borrowed
     * for the call. */
    void (*done)(struct store_write *write, int code, struct object *object);
    /* private */
    struct list link;
    struct store_key *entry;
    struct object *object, *previous;
    int code;
    bool is_warm;
};

/* A committed change, in revision order, told to the one subscriber (the watch hub). All events of
 * a commit come before the first write->done of it. */
struct store_event {
    bool is_delete;
    /* The new version; of a delete, the last state at the delete's revision. */
    struct object *object;
    /* The version before; NULL for a creation. While loading also when history has lost it, which
     * happens at revisions up to store_compact_rev() only. */
    struct object *previous;
};
typedef void store_event_fn(void *data, const struct store_event *event);

/* Calls fn (NULL: nobody) for everything kept, in revision order: history and live versions, so
 * that the hub can rebuild its caches and its window. Up to store_compact_rev() events may be
 * missing: those are for the cache only. Once, before the first store_submit. Cannot fail: the
 * constructor has read and checked everything. */
void store_load(struct store *s, store_event_fn *fn, void *data);
/* Subscribes to commits; one subscriber. */
void store_subscribe(struct store *s, store_event_fn *fn, void *data);

void store_submit(struct store *s, struct store_write *write);
/* Is everything that was submitted durable or refused? Then store_peek shows durable state. */
bool store_is_settled(const struct store *s);
/* Waits for what was submitted before: write->done (the rest of *write is not looked at) is called
 * in its place among the writes, with 0 when they are durable, or with the code of a commit that
 * failed meanwhile, so that an answer decided upon store_peek is to be decided again. */
void store_await(struct store *s, struct store_write *write);
/* Latest version of a key, uncommitted writes of this turn included; borrowed until the next turn.
 * NULL when absent. For read-modify-write inside the server only; clients are served from the watch
 * cache (committed state). */
struct object *store_peek(struct store *s, struct span key);
/* Highest revision handed out (for tests); durable; compacted. */
int64_t store_latest_rev(const struct store *s);
int64_t store_durable_rev(const struct store *s);
int64_t store_compact_rev(const struct store *s);
/* Of durable state: live keys and bytes of their JSON. Commits tried, writes committed,
 * microseconds from handing a commit over until it was done. For metrics. */
struct store_stats {
    uint64_t live_keys, live_bytes, commits, writes, commit_us_total, commit_us_max;
    struct histogram commit_us;
};
/* Of commit_us, told in seconds. */
extern const struct histogram_bounds store_commit_bounds;
void store_stats(const struct store *s, struct store_stats *ret);
/* Waits until everything submitted is durable or failed (its done callbacks run), then releases.
 * NULL is fine. */
void store_free(struct store *s);
/* The crash of a role in a simulation: releases without calling anyone; what is not durable yet is
 * lost or not, as on a real machine. The writes under way must still be valid memory; they are not
 * touched afterwards. */
void store_crash(struct store *s);
/* The same where the writers go on, to give back what they hold: when the store is gone, each of
 * the writes under way is done with -ECANCELED. */
void store_die(struct store *s);

/* For the simulator: limits that a short history reaches: so many superseded versions (0: as many
 * as ever), and a write-ahead log that is copied into the database at so many bytes, a fourth of
 * them when idle. */
void store_shrink(struct store *s, size_t history_versions, size_t log_bytes);

/* Volatile; for tests, the simulator and --container-runtime fake benchmarks. latency_ms delays
 * each commit; the log has it after half of that time, so that a crash may hit between durable and
 * acknowledged. fail, when not NULL, is asked before each commit: a negative code makes it fail. */
struct store_memory_options {
    int64_t latency_ms;
    int (*fail)(void *data, uint64_t commit_number);
    void *data;
};
struct store *store_memory_new(struct env *env, const struct store_memory_options *options);
/* For the simulator: the durable log survives a crash of the role; a new store opens on it. One
 * store at a time. options may be NULL. */
struct store_memory_disk;
struct store_memory_disk *store_memory_disk_new(void);
void store_memory_disk_free(struct store_memory_disk *disk);
/* With the same rows, which are shared. */
struct store_memory_disk *store_memory_disk_copy(const struct store_memory_disk *disk);
struct store *store_memory_open(struct env *env, struct store_memory_disk *disk,
                                const struct store_memory_options *options);

/* SQLite in WAL mode, synchronous=FULL. path is the database file, made (mode 0600) when absent.
 * Errors: -EWOULDBLOCK (another process has it), E_VERSION (made by a newer Berth), E_CORRUPT
 * (integrity: the file is left as it is), -EIO, -ENOSPC, what open(2) says. *ret_detail is then a
 * sentence for people, in the arena. Reads everything: about 2 s for a million small objects. */
struct arena;
int store_sqlite_open(struct env *env, const char *path, struct store **ret, struct arena *a,
                      struct span *ret_detail);
/* How SQLite is to work, for the whole process: to be said before anything else of it is called.
 * Opening a store does so. */
void store_sqlite_setup(void);
/* For the simulator: on a disk of its own, a VFS that is registered with SQLite; path is there. Its
 * xFileControl knows STORE_SQLITE_FORGET: readers see what the medium has. */
enum { STORE_SQLITE_FORGET = 0x62657274 };
int store_sqlite_open_on(struct env *env, const char *vfs, const char *path, struct store **ret,
                         struct arena *a, struct span *ret_detail);

#endif
