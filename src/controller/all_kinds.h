/* controller/all_kinds.h: every kind whose objects can be listed, watched and deleted, each with an
 * informer: for controllers that look at objects of every kind. Events are not among them: they are
 * many, and nobody's.
 *
 * Custom kinds come when their definitions do. Such a kind here knows its names, verbs and scope,
 * not its schema: the API server has that. It stays as long as the controller, also when its
 * definition is deleted (its informer is empty then): one for each name that a definition ever had.
 */
#ifndef CONTROLLER_ALL_KINDS_H
#define CONTROLLER_ALL_KINDS_H

#include "client/informer_set.h"
#include "schema/schema.h"

struct all_kinds;

struct all_kinds_handler {
    /* Handlers and indexes may be added to the informer, which has no objects yet. */
    void (*on_added)(void *data, const struct schema_kind *kind, struct informer *informer,
                     bool custom);
};

/* Calls on_added for the kinds that are there. */
struct all_kinds *all_kinds_new(struct client *client, struct informer_set *informers,
                                const struct all_kinds_handler *handler, void *data);
/* Have the informers of the custom kinds their first list? */
bool all_kinds_synced(const struct all_kinds *c);
/* After what uses the informers. */
void all_kinds_free(struct all_kinds *c);

#endif
