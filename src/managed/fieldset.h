/* managed/fieldset.h: sets of fields of an object, as metadata.managedFields keeps them (FieldsV1).
 *
 * A set is a tree. A node is one path element below its parent: a field (or map key), an element of
 * a list of objects named by its keys, an element of a list of plain values, or an index. A node is
 * a member (the path itself is in the set), has nodes below it, or both; the empty set is NULL or
 * has no nodes.
 *
 * Invariants: nodes are in the order of fieldset_elem_cmp() (the order of structured-merge-diff,
 * which is also the order of serialisation) without repetition, and no node is neither a member nor
 * has members below. Sets are immutable once made, live in an arena and share what they can. */
#ifndef MANAGED_FIELDSET_H
#define MANAGED_FIELDSET_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

enum fieldset_what { FIELDSET_FIELD, FIELDSET_KEY, FIELDSET_VALUE, FIELDSET_INDEX };

/* One key of a list element: containerPort = 80. */
struct fieldset_part {
    struct span name;
    const yyjson_val *value; /* a plain value */
};

struct fieldset_elem {
    enum fieldset_what what;
    uint32_t part_n; /* KEY */
    union {
        struct span name;                  /* FIELD */
        const struct fieldset_part *parts; /* KEY: ordered by name */
        const yyjson_val *value;           /* VALUE */
        int64_t index;                     /* INDEX */
    };
};

struct fieldset;

struct fieldset_node {
    struct fieldset_elem elem;
    const struct fieldset *below; /* NULL: nothing */
    bool member;
};

/* Zero-initialised it is empty, and can be added to until it is sealed. */
struct fieldset {
    struct fieldset_node *at;
    uint32_t n, cap;
};

static inline struct fieldset_elem fieldset_field(struct span name)
{
    return (struct fieldset_elem){.what = FIELDSET_FIELD, .name = name};
}

int fieldset_elem_cmp(const struct fieldset_elem *a, const struct fieldset_elem *b);
/* `.spec`, `[name="x"]`, `[="x"]`, `[3]`: how messages show paths. */
struct span fieldset_elem_text(struct arena *a, const struct fieldset_elem *e);

/* ---- making ---- */

/* Adds a node in any order; nothing when it is neither member nor has anything below. */
void fieldset_add(struct arena *a, struct fieldset *s, struct fieldset_elem e, bool member,
                  const struct fieldset *below);
/* Orders and joins what was added. Returns s, or NULL when it is empty. */
const struct fieldset *fieldset_seal(struct arena *a, struct fieldset *s);
/* From a FieldsV1 object, which must outlive the set. Unknown kinds of elements are passed over, as
 * Kubernetes does. Returns 0 (the empty set is NULL) or -1 with ERR_BAD_REQUEST or ERR_TOO_LARGE
 * (LIMIT_FIELDSET_NODES). */
int fieldset_parse(struct arena *a, const yyjson_val *fields, const struct fieldset **ret,
                   struct err *reterr);

/* ---- asking ---- */

bool fieldset_is_empty(const struct fieldset *s);
bool fieldset_equal(const struct fieldset *a, const struct fieldset *b);
const struct fieldset_node *fieldset_find(const struct fieldset *s, const struct fieldset_elem *e);
/* Calls fn with the text of the path of each member: members of a level first, then what is below.
 */
void fieldset_paths(struct arena *a, const struct fieldset *s,
                    void (*fn)(void *data, struct span path), void *data);

/* ---- combining ---- */

const struct fieldset *fieldset_union(struct arena *a, const struct fieldset *x,
                                      const struct fieldset *y);
const struct fieldset *fieldset_intersection(struct arena *a, const struct fieldset *x,
                                             const struct fieldset *y);
/* Members of x that are not members of y. What is below a member of y stays. */
const struct fieldset *fieldset_difference(struct arena *a, const struct fieldset *x,
                                           const struct fieldset *y);
/* Without the node for a field of the first level and all below. */
const struct fieldset *fieldset_without(struct arena *a, const struct fieldset *s,
                                        struct span field);

#endif
