/* codec/selector.h: label selectors and field selectors.
 *
 * A label selector comes as text ("a=b,c!=d,e in (x,y),!f") or as the API's LabelSelector object;
 * both become one list of requirements that all must hold. An empty selector matches everything; an
 * absent LabelSelector object (NULL or null) matches nothing. Spans in the result point into the
 * text or object given, which must outlive it; the arrays are in the arena. At most
 * LIMIT_SELECTOR_TERMS requirements and values together. */
#ifndef CODEC_SELECTOR_H
#define CODEC_SELECTOR_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

enum selector_op {
    SELECTOR_EQUALS,     /* key=v, key==v; one value */
    SELECTOR_NOT_EQUALS, /* key!=v; holds when the key is absent */
    SELECTOR_IN,
    SELECTOR_NOT_IN, /* holds when the key is absent */
    SELECTOR_EXISTS,
    SELECTOR_NOT_EXISTS,
    SELECTOR_GREATER, /* key>N; both must be integers */
    SELECTOR_LESS
};

struct selector_term {
    struct span key;
    enum selector_op op;
    const struct span *values; /* n of them: 1 for the comparisons, 0 for the existence tests */
    size_t n;
};

struct selector {
    const struct selector_term *terms;
    size_t n;
    bool nothing; /* matches no object at all */
};

/* Text as kubectl sends it in labelSelector=. Returns 0, or -1 with ERR_BAD_REQUEST. */
int selector_parse(struct arena *a, struct span text, struct selector *ret, struct err *reterr);
/* The object {matchLabels, matchExpressions}. Returns 0, or -1 with ERR_INVALID. */
int selector_from_object(struct arena *a, const yyjson_val *obj, struct selector *ret,
                         struct err *reterr);
/* A plain map of labels, as in spec.selector of a Service: every pair must match. NULL or empty:
 * nothing. */
int selector_from_map(struct arena *a, const yyjson_val *map, struct selector *ret,
                      struct err *reterr);
/* labels: an object of strings, or NULL for none. */
bool selector_matches(const struct selector *s, const yyjson_val *labels);
/* Canonical text, sorted by key: "a=b,c in (d,e),!f". Empty when it matches everything or nothing.
 */
struct span selector_text(struct arena *a, const struct selector *s);

/* ---- field selectors ---- */

struct field_term {
    struct span key;
    bool equal;        /* false: != */
    struct span value; /* unescaped */
};

struct field_selector {
    const struct field_term *terms;
    size_t n;
};

/* "metadata.name=x,spec.nodeName!=y"; backslash escapes comma, equals and backslash in values.
 * Which keys a kind knows is the kind's matter (schema_hooks.field). Returns 0, or -1 with
 * ERR_BAD_REQUEST. */
int field_selector_parse(struct arena *a, struct span text, struct field_selector *ret,
                         struct err *reterr);
/* The value that key must equal, if there is such a term. */
bool field_selector_exact(const struct field_selector *s, struct span key, struct span *ret);

#endif
