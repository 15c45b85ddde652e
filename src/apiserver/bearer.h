/* apiserver/bearer.h: whom a bearer token speaks for. The signature is looked at once (the cache of
 * token/token.h), all else each time: a token is worth as much as the account and the object that
 * it is bound to still are. */
#ifndef APISERVER_BEARER_H
#define APISERVER_BEARER_H

#include "codec/json.h"
#include "token/token.h"

struct apiserver;

struct bearer {
    bool is_known;
    struct span why;               /* not known: in the words of kube-apiserver */
    struct span name, uid, groups; /* groups end in a newline each but the last */
    const yyjson_val *extra;
    const struct span *audiences; /* of those asked for, the ones the token is for */
    size_t audience_count;
};

/* In arena a. audiences: whom the token should be for; none: this server. */
struct bearer bearer_find(struct apiserver *s, struct arena *a, struct span token,
                          const struct span *audiences, size_t audience_count);
/* ["a" "b"], as Go writes a list. */
struct span bearer_list_text(struct arena *a, const struct span *list, size_t n);

#endif
