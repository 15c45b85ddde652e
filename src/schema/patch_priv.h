/* schema/patch_priv.h: what the patch forms share. A context carries the memory, the first error
 * and a budget of steps, so that no patch, however crafted, costs more than a bounded time.
 * Originals are copied once into the mutable document; merging takes that copy apart and builds the
 * result from its nodes. */
#ifndef SCHEMA_PATCH_PRIV_H
#define SCHEMA_PATCH_PRIV_H

#include "schema/patch.h"

struct patch_ctx {
    struct arena *a;
    yyjson_mut_doc *doc;
    struct err *err;
    size_t steps; /* left to spend */
    bool spent;   /* more was asked for; the error is set */
};

/* Members of a JSON object, sorted by key, the last of equal names winning as in Go. */
struct patch_member {
    struct span key;
    yyjson_val *val;
    size_t place; /* position in the object */
    bool used;    /* the merge has dealt with it */
};

struct patch_members {
    struct patch_member *sorted;
    struct patch_member **in_order; /* without the overridden duplicates */
    size_t n, in_order_n;
    bool has_directives; /* a key starts with a dollar sign */
};

/* Nodes of a container taken apart: they may then be put into other containers. key is NULL for
 * arrays. */
struct patch_node {
    yyjson_mut_val *key, *val;
};

struct patch_nodes {
    struct patch_node *at;
    size_t n;
};

/* False, with the error set, when the budget is gone. */
bool patch_spend(struct patch_ctx *c, size_t steps);
/* Sets ERR_BAD_REQUEST; returns NULL. */
void *patch_bad(struct patch_ctx *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sets the 422 that kube-apiserver answers when a patch cannot be applied; returns NULL. */
void *patch_unprocessable(struct patch_ctx *c);

struct patch_members patch_members(struct patch_ctx *c, const yyjson_val *obj);
struct patch_member *patch_member_find(const struct patch_members *m, struct span key);
struct patch_nodes patch_take_apart(struct patch_ctx *c, yyjson_mut_val *container);
struct span patch_node_key(const struct patch_node *node);

static inline struct span patch_str(const yyjson_val *v)
{
    return yyjson_is_str((yyjson_val *)v) ? span_of(unsafe_yyjson_get_str((yyjson_val *)v),
                                                    unsafe_yyjson_get_len((yyjson_val *)v))
                                          : SPAN_NULL;
}

/* ---- schema/patch_list.c: identities and order of list elements ---- */

/* What makes a list element the same: the scalar itself, or the value of its merge key. */
struct patch_ident {
    char tag; /* 's'tring, 'n'umber, 'b'oolean, '0' null, 0: none (a container, or the key is
                 missing) */
    struct span text;
};

struct patch_item {
    struct patch_ident id;
    yyjson_mut_val *val;
};

struct patch_items {
    struct patch_item *at;
    size_t n;
};

bool patch_ident_eq(const struct patch_ident *x, const struct patch_ident *y);
/* key: the merge key, or NULL for lists of scalars. */
struct patch_ident patch_ident_of(struct patch_ctx *c, const yyjson_val *v, const char *key);
struct patch_items patch_items_of(struct patch_ctx *c, yyjson_mut_val *list, const char *key,
                                  size_t room);
/* Index in the list or -1. */
int64_t patch_items_find(struct patch_ctx *c, const struct patch_items *list,
                         const struct patch_ident *id);
/* Orders the merged list as strategicpatch does: elements named in `order` in that order, the
 * others in the order of `server`, interleaved so that an element of the server stays in front of
 * what it stood in front of. */
void patch_items_order(struct patch_ctx *c, struct patch_items *merged,
                       const struct patch_items *order, const struct patch_items *server);

#endif
