/* controller/custom_kinds.h: the custom kinds that exist, each with an informer, for controllers
 * that look at objects of every kind.
 *
 * A kind here knows its names, verbs and scope, not its schema: the API server has that. It stays
 * as long as the controller, also when its definition is deleted (its informer is empty then): one
 * for each name that a definition ever had. */
#ifndef CONTROLLER_CUSTOM_KINDS_H
#define CONTROLLER_CUSTOM_KINDS_H

#include "client/informer_set.h"
#include "schema/schema.h"

struct custom_kinds;

struct custom_kinds_handler {
    /* Handlers and indexes may be added to the informer, which has no objects yet. */
    void (*on_added)(void *data, const struct schema_kind *kind, struct informer *informer);
};

struct custom_kinds *custom_kinds_new(struct client *client, struct informer_set *informers,
                                      const struct custom_kinds_handler *handler, void *data);
/* Have the informers of all kinds their first list? */
bool custom_kinds_synced(const struct custom_kinds *c);
/* After what uses the informers. */
void custom_kinds_free(struct custom_kinds *c);

#endif
