/* schema/custom.h: custom kinds: a CustomResourceDefinition compiled to kinds and tables at run
 * time.
 *
 * A definition owns an arena with everything that its kinds point to, and is reference counted:
 * who uses one of its kinds holds it. It never changes: a changed CustomResourceDefinition makes a
 * new one, and the old one goes with its last user.
 *
 * A kind of a definition is like a built-in one (paths, verbs, columns, and tables that server-side
 * apply walks), but its values follow a structural schema, a tree of nodes: schema_decode,
 * schema_defaults and schema_validate walk that (custom_value.c, custom_check.c). */
#ifndef SCHEMA_CUSTOM_H
#define SCHEMA_CUSTOM_H

#include "schema/schema.h"

struct custom_definition {
    size_t refs;
    struct arena *arena;
    const char *resource;      /* "widgets.example.com", the name of the CustomResourceDefinition */
    struct schema_kind *kinds; /* by version, the preferred one first */
    bool *served;              /* by kind */
    size_t kind_count;
    const struct schema_kind *storage; /* the version in which objects are stored */
    /* Objects written at this revision or later have been through this definition. */
    int64_t since_rev;
    bool is_terminating; /* its objects are being deleted: no new ones */
};

/* A valid CustomResourceDefinition (schema_validate has passed) as kinds; one reference. NULL with
 * ERR_INVALID when it cannot be served. */
struct custom_definition *custom_compile(const yyjson_val *definition, struct err *reterr,
                                         struct arena *a);
void custom_unref(struct custom_definition *d); /* NULL is fine */
/* Holds the definition of a kind (NULL and built-in kinds are fine) until the arena is cleared. */
void custom_hold(struct arena *a, const struct schema_kind *kind);

/* A custom kind without its schema, for clients of the API: enough to name, list, watch, patch and
 * delete its objects. resource: the name of the definition. All strings are copied. */
void custom_sketch(struct arena *a, struct schema_kind *ret, struct span resource,
                   struct span group, struct span version, struct span kind, struct span plural,
                   bool namespaced);

/* The definition that a custom kind belongs to. */
struct custom_definition *custom_definition_of(const struct schema_kind *kind);
bool custom_has_status(const struct schema_kind *kind);
/* Text of the warning that goes with every request for a deprecated version; NULL: none. */
const char *custom_deprecation(const struct schema_kind *kind);
/* List of the kind, for OpenAPI. */
const struct schema_type *custom_list_type(const struct schema_kind *kind);
/* openAPIV3Schema as it was given. */
const yyjson_val *custom_document(const struct custom *c);
const struct schema_kind *custom_kind(const struct custom *c);

/* Where the numbers of a scalable object are: a path of names ("spec", "replicas", NULL). */
enum custom_scale { CUSTOM_SPEC_REPLICAS, CUSTOM_STATUS_REPLICAS, CUSTOM_SELECTOR };
/* NULL: the kind has none. */
const char *const *custom_scale_path(const struct schema_kind *kind, enum custom_scale which);

/* The value that a field selector names; false: the kind has no such selectable field. */
bool custom_field(const struct schema_kind *kind, struct arena *a, const yyjson_val *obj,
                  struct span key, struct span *ret);

/* What a valid definition has that is kept but not acted upon, as sentences. */
void custom_warnings(struct arena *a, const yyjson_val *definition, struct schema_warnings *w);
/* A version of Kubernetes' form sorts before others: v2 before v1, v1 before v1beta1, all others
 * last and by name. */
int custom_version_cmp(struct span a, struct span b);

#endif
