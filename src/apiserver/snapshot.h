/* apiserver/snapshot.h: what is left of a list that stopped at its limit, kept so that its next
 * pages show the same moment. A snapshot is an array of references: objects are immutable, so it
 * costs one pointer an object. At most SNAPSHOT_MAX are kept, the oldest goes first, and each at
 * most SNAPSHOT_MS after its last page; a client that comes later is told 410 Expired and starts
 * afresh, as with Kubernetes. */
#ifndef APISERVER_SNAPSHOT_H
#define APISERVER_SNAPSHOT_H

#include "codec/object.h"
#include "env/env.h"

enum { SNAPSHOT_MAX = 64, SNAPSHOT_MS = 5 * 60 * 1000 };

struct snapshots;

struct snapshots *snapshots_new(struct env *env);
void snapshots_free(struct snapshots *s);

/* Takes over the references. resource and query identify the list, so that a token is of use there
 * only. */
uint64_t snapshot_add(struct snapshots *s, int64_t rev, uint64_t query_hash, struct object **items,
                      size_t n);
/* The next items, at most limit (0: all), appended to *ret with a reference each (grown with
 * mem_grow). When nothing is left the snapshot is gone. False: unknown, expired, or of another
 * query. */
bool snapshot_take(struct snapshots *s, uint64_t id, uint64_t query_hash, size_t at, size_t limit,
                   struct object ***ret, size_t *ret_n, size_t *ret_left, int64_t *ret_rev);

#endif
