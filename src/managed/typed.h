/* managed/typed.h: objects as structured-merge-diff sees them: which values are leaves, how
 * elements of lists are named, what differs, how an applied configuration is merged.
 *
 * Everything is driven by the rows (list=..., listmap=, set, structatomic). A value that Go would
 * write although nobody set it ("replicas": 0 without omitempty, an object that is not a pointer)
 * counts as present on both sides of a comparison, as it does in Kubernetes, where objects are Go
 * structs. Trees are not changed; results live in the arena or doc and share what they can. */
#ifndef MANAGED_TYPED_H
#define MANAGED_TYPED_H

#include "managed/fieldset.h"
#include "schema/schema.h"

/* What a value at some path is. */
struct typed_ref {
    const struct schema_field *field; /* NULL: the object itself, or a value of no known type */
    const struct schema_type *type;   /* of an object; NULL otherwise */
    bool elem;                        /* an element of the field's list or map */
};

static inline struct typed_ref typed_root(const struct schema_kind *kind)
{
    return (struct typed_ref){NULL, kind->type, false};
}

enum typed_class {
    TYPED_LEAF,   /* plain values, and atomic lists, maps and objects */
    TYPED_OBJECT, /* granular */
    TYPED_MAP,
    TYPED_LIST, /* associative: a set, or by keys */
    TYPED_LOOSE /* as its value is: an object is granular, all else a leaf */
};
enum typed_class typed_class(struct typed_ref r);
/* The same of a value, which is an object (or null, which is an empty one) or not: never LOOSE. */
enum typed_class typed_class_of(struct typed_ref r, bool is_object);
static inline bool typed_is_named(struct typed_ref member)
{
    return member.field && member.field != &schema_anything;
}
/* The member of an object or map. */
struct typed_ref typed_member(struct typed_ref r, struct span name);
struct typed_ref typed_element(struct typed_ref r);
/* The name of an element of an associative list. Returns NULL, or what is wrong with the element.
 * A key that is absent takes its default; `zero` gives other absent keys their zero value (stored
 * objects), else they are an error. */
const char *typed_elem(struct arena *a, struct typed_ref list, const yyjson_val *item, bool zero,
                       struct fieldset_elem *ret);

/* What Go would have in this field of an object in which nothing is set; NULL: nothing. */
const yyjson_val *typed_zero(const struct schema_field *f);

struct typed_diff {
    const struct fieldset *taken, *removed; /* taken: added or modified */
};
/* What a comparison passes over, beside managedFields. */
struct typed_skip {
    const char *root; /* a member of the object; NULL: none */
    bool revision;    /* metadata.resourceVersion */
};
/* What differs from old to next. old NULL: an object of which nothing is set. */
struct typed_diff typed_compare(struct arena *a, const struct schema_kind *kind,
                                const yyjson_val *old, const yyjson_val *next,
                                struct typed_skip skip);
/* Has an apply changed nothing? What old lacks, Go has as a zero; what next lacks has been removed.
 * The order of lists counts. */
bool typed_same(struct typed_ref r, const yyjson_val *old, const yyjson_val *next);
/* Is given what is stored, with all that Go writes, and no more? */
bool typed_is_written(struct typed_ref r, const yyjson_val *stored, const yyjson_val *given);
/* The values of a configuration that are one (atomic) and differ from those of live as Go writes
 * them: with zeros where nothing is set. Applying such a value changes it, every time. */
const struct fieldset *typed_restated(struct arena *a, const struct schema_kind *kind,
                                      const yyjson_val *live, const yyjson_val *config);
/* The leaves of a configuration: what its applier owns. */
const struct fieldset *typed_set(struct arena *a, struct typed_ref r, const yyjson_val *v);
/* set with every object field that has members below it as a member itself. */
const struct fieldset *typed_named(struct arena *a, struct typed_ref r, const struct fieldset *set);
/* live with the configuration laid over it. Never NULL. */
yyjson_mut_val *typed_merge(struct arena *a, yyjson_mut_doc *doc, struct typed_ref r,
                            const yyjson_val *live, const yyjson_val *config);
/* v without the members of set. */
yyjson_mut_val *typed_remove(struct arena *a, yyjson_mut_doc *doc, struct typed_ref r,
                             const yyjson_val *v, const struct fieldset *set);
/* Is config of the kind's type, every field known, every element of an associative list named, and
 * named once (unless with_repeats)? Returns an empty span, or the first mistakes in Kubernetes'
 * words. */
struct span typed_check(struct arena *a, const struct schema_kind *kind, const yyjson_val *config,
                        bool with_repeats);

#endif
