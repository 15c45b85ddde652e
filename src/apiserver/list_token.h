/* apiserver/list_token.h: what a continue token says. Opaque to clients.
 *
 * The rest of the list is kept for a while (snapshot.h): that is what the next page comes from.
 * When it is gone, after minutes or a restart of the server, the page comes from the list as it was
 * at this revision, behind this key, as long as the history reaches back. A client that comes later
 * still is told so, with a token to go on from the latest state if it wants that. */
#ifndef APISERVER_LIST_TOKEN_H
#define APISERVER_LIST_TOKEN_H

#include "base/arena.h"
#include "base/span.h"

struct list_token {
    int64_t rev;       /* of the list; 0: the latest, whatever that is */
    uint64_t snapshot; /* and the next item's place in it */
    uint64_t at;
    uint64_t query;  /* list_token_query: of use for the same question only */
    struct span key; /* of the last item of the page: the store's */
};

struct span list_token_make(struct arena *a, const struct list_token *t);
/* False: not made by list_token_make. key points into text. */
bool list_token_parse(struct span text, struct list_token *ret);
/* A number for what a list asks for. The same after a restart. */
uint64_t list_token_query(struct span resource, struct span ns, struct span labels,
                          struct span fields);

#endif
