/* client/informer_set.h: one informer a kind, shared by everything in a process that watches it
 * whole. */
#ifndef CLIENT_INFORMER_SET_H
#define CLIENT_INFORMER_SET_H

#include "client/informer.h"

struct informer_set;

struct informer_set *informer_set_new(struct client *c);
void informer_set_free(struct informer_set *s);
/* The informer over all namespaces of a kind, made at the first call. */
struct informer *informer_set_get(struct informer_set *s, const struct schema_kind *kind);
/* By group ("" for core) and kind; the kind must exist. */
struct informer *informer_set_find(struct informer_set *s, const char *group, const char *kind);
/* fn(data) once when every informer made so far has its first list. */
void informer_set_on_synced(struct informer_set *s, void (*fn)(void *data), void *data);
bool informer_set_synced(const struct informer_set *s);

/* Index functions of common use, for informer_add_index. */
informer_key_fn informer_by_owner; /* uid of each owner reference */

#endif
