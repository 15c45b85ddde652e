/* client/informer.h: a live, indexed view of one selection of objects, kept by a client watch.
 *
 * Controllers read views from informers (never from the network) and are told what changed by key.
 */
#ifndef CLIENT_INFORMER_H
#define CLIENT_INFORMER_H

#include "client/client.h"

struct informer;

struct informer_handler {
    /* old is NULL on add, now is NULL on delete. Both borrowed. Called after the view has changed.
     */
    void (*on_change)(void *data, struct object *old, struct object *now);
};

/* One informer may serve several handlers (informer_add_handler). */
struct informer *informer_new(struct client *c, const struct client_request *selection);
void informer_free(struct informer *i);
/* Existing objects are reported to a late handler as adds, in the next turn. */
void informer_add_handler(struct informer *i, const struct informer_handler *handler, void *data);
/* Forgets every handler and on_synced function of this data pointer (the owner is about to be
 * freed). */
void informer_remove_handler(struct informer *i, void *data);
const struct schema_kind *informer_kind(const struct informer *i);
bool informer_synced(const struct informer *i);
size_t informer_count(const struct informer *i);
/* fn(data) once, as soon as the view shows a write of ours: with rev > 0 when it has come to that
 * revision; of a delete (name is not empty) also when the object of that name is gone, being
 * deleted, or not of this uid any more: a list after a break shows that it is gone, and not since
 * which revision. May run inside the call. Forgotten by informer_remove_handler(data). */
void informer_wait(struct informer *i, int64_t rev, struct span ns, struct span name,
                   struct span uid, void (*fn)(void *data), void *data);
/* The revision of the newest list that the view comes from; 0: none is complete. What a write made
 * may be gone again in it: then no event ever tells of it. */
int64_t informer_list_rev(const struct informer *i);
/* fn(data) once when the first list is complete (in the next turn if it already is). */
void informer_on_synced(struct informer *i, void (*fn)(void *data), void *data);

/* NULL when absent; borrowed until the next turn. */
struct object *informer_get(struct informer *i, struct span ns, struct span name);
/* All objects in no particular order; fn returns false to stop. */
void informer_each(struct informer *i, bool (*fn)(void *data, struct object *o), void *data);

/* An index: key_fn appends the index keys of an object through emit (an owner uid, a node name, a
 * service...; at most 16, further ones are dropped). The same function added again returns the same
 * index. informer_index_each visits the objects under one key: cost follows their number. */
typedef void informer_key_fn(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx);
int informer_add_index(struct informer *i,
                       informer_key_fn *key_fn); /* returns the index's number */
void informer_index_each(struct informer *i, int index, struct span key,
                         bool (*fn)(void *data, struct object *o), void *data);
/* The namespace: the one key that no change of an object changes. */
informer_key_fn informer_by_namespace;

#endif
