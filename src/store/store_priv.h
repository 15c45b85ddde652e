/* store/store_priv.h: what the shared front (store_core.c) and the backends tell each other. Inside
 * store/ and for its tests only.
 *
 * The front owns the latest state, revisions, decisions, history and completion; a backend only
 * makes one batch at a time durable. A batch is plain data, so that a backend may read it on
 * another thread. */
#ifndef STORE_STORE_PRIV_H
#define STORE_STORE_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "store/store.h"

/* One line of the durable log. The bytes belong to an object version that lives until the batch is
 * done. */
struct store_row {
    int64_t rev;
    bool is_delete;
    struct object *object; /* loop thread only; key and body are its parts */
    struct span key, body[2];
};

struct store_batch {
    VEC(struct store_row) rows;
    VEC(int64_t) evict;  /* revisions of rows that leave the history */
    int64_t compact_rev; /* to be durable together with the evictions */
    uint64_t number;     /* counts commits from 1 */
};

struct store_ops {
    /* Makes s->batch durable as one whole, then calls store_commit_done() on the loop, never
     * inside. */
    void (*commit)(struct store *s);
    /* Returns when the commit under way is done: store_commit_done() has run. */
    void (*wait)(struct store *s);
    /* Releases the backend and s. A commit may be under way after store_crash() only. */
    void (*free)(struct store *s);
};

/* A superseded version or a deletion that is still kept. */
struct store_past {
    int64_t at;        /* revision of the write that superseded or deleted */
    int64_t prev;      /* revision of the version before; 0: none */
    bool is_tombstone; /* the row at `at` goes too */
    uint32_t bytes;    /* JSON of the versions that are kept for it */
};

/* A growing ring of store_past. */
struct store_history {
    struct store_past *ring;
    size_t head, n, cap;
    uint64_t bytes;
};

struct store_loaded {
    struct object *object, *previous;
    bool is_delete;
};

struct store {
    const struct store_ops *ops;
    struct env *env;
    struct map keys; /* struct store_key: present, or with writes under way */
    int64_t latest_rev, durable_rev, compact_rev;
    struct list gathering; /* store_write: the next batch */
    struct list flight;    /* store_write: those of the commit under way */
    bool in_flight;
    struct store_batch batch;
    size_t batch_past; /* entries that the batch added to the history */
    int64_t commit_start_ns;
    struct store_history history;
    size_t history_limit, history_bytes_limit;
    size_t log_limit, log_idle_limit; /* bytes of a write-ahead log: see base/limits.h */
    struct env_hook hook;
    struct env_task refusals; /* completes a batch that has nothing to commit */
    VEC(struct store_loaded) loaded;
    VEC(struct object *)
    limbo; /* versions of failed writes: peeked ones live until the turn's end */
    VEC(struct object *) told; /* versions of writes that are done; warm until the turn's end */
    store_event_fn *event;
    void *event_data;
    struct store_stats stats;
};

void store_init(struct store *s, const struct store_ops *ops, struct env *env);
void store_done(struct store *s);
/* Before the first of so many rows; a guess. */
void store_replay_begin(struct store *s, size_t rows);
/* Before store_load: one kept row, in revision order. Takes over the reference. */
void store_replay(struct store *s, struct object *object, bool is_delete);
void store_replay_end(struct store *s, int64_t compact_rev);
void store_commit_done(struct store *s, int code);
/* CRC-32 (as zlib's crc32): goes on from sum, 0 at the start. */
uint32_t store_sum(uint32_t sum, struct span bytes);
/* Hands the gathered writes to the backend when none are under way. */
void store_start_commit(struct store *s);

#endif
