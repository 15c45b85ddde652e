/* schema/schema.h: the API as data. One schema text (files *.schema in this folder) is compiled at
 * build time into the const tables declared here; the engine (decode, defaults, validation,
 * patches, OpenAPI) walks them. Adding a kind is adding rows; behaviour beyond rows is a hook named
 * in the row. CustomResourceDefinitions become the same structs at run time (schema/custom.h), with
 * a schema of their own that the engine walks instead of the rows: nothing may assume that a kind
 * is built in. */
#ifndef SCHEMA_SCHEMA_H
#define SCHEMA_SCHEMA_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

/* JSON shape of a value. */
enum schema_shape {
    SCHEMA_OBJECT, /* named type: fields */
    SCHEMA_MAP,    /* string keys to elem */
    SCHEMA_LIST,   /* of elem */
    SCHEMA_STRING,
    SCHEMA_BYTES, /* base64 in JSON */
    SCHEMA_INT32,
    SCHEMA_INT64,
    SCHEMA_BOOL,
    SCHEMA_DOUBLE,
    SCHEMA_QUANTITY,
    SCHEMA_TIME,      /* RFC 3339, seconds */
    SCHEMA_MICROTIME, /* RFC 3339, microseconds */
    SCHEMA_DURATION,
    SCHEMA_INT_OR_STRING,
    SCHEMA_ANY /* any JSON value (RawExtension, FieldsV1, x-preserve) */
};

enum schema_list_kind { SCHEMA_LIST_ATOMIC, SCHEMA_LIST_SET, SCHEMA_LIST_MAP };

enum schema_flag {
    SCHEMA_REQUIRED = 1 << 0,    /* validation demands it */
    SCHEMA_OMITEMPTY = 1 << 1,   /* Go's omitempty: empty values are not written */
    SCHEMA_MERGE = 1 << 2,       /* patchStrategy merge (lists) */
    SCHEMA_RETAIN_KEYS = 1 << 3, /* patchStrategy retainKeys */
    SCHEMA_IMMUTABLE = 1 << 4,   /* may not change on update */
    SCHEMA_STRUCT_ATOMIC = 1 << 5,
    SCHEMA_ENUM_CLOSED = 1 << 6, /* values outside `values` are NotSupported */
    SCHEMA_POINTER = 1 << 7,     /* Go pointer: unset and zero differ */
    SCHEMA_OPTIONAL = 1 << 8,    /* always written, yet clients may leave it out (OpenAPI) */
    SCHEMA_LOOSE = 1 << 9 /* of a custom kind: to server-side apply an object here is a map */
};

enum { SCHEMA_FIELDS_MAX = 64, SCHEMA_NO_FIELD = 0xff };

struct schema_type;
struct check; /* schema/engine.h */
struct schema_warnings;
struct custom; /* schema/custom.h */
struct row;    /* schema/hooks.h */

struct schema_field {
    const char *name; /* JSON name */
    uint8_t name_n;   /* its length; 0 in the tables of custom kinds, whose names may be long */
    uint8_t shape;    /* enum schema_shape */
    uint8_t list_kind;
    uint8_t elem_shape; /* of a list's or map's element; SCHEMA_LIST: strings */
    uint16_t flags;
    uint32_t pb; /* protobuf field number, 0: none; of a field that JSON inlines but protobuf
                  * nests in a message: number of that message << 8 | number in it, and so on */
    const struct schema_type *type;     /* of the object, or of the list's or map's element */
    const struct schema_field *element; /* custom kinds: of a list or map; else NULL */
    const char *default_json;           /* static default as JSON text, NULL: none */
    const char *merge_key;              /* strategic merge key of a list, NULL: none */
    const char *map_keys;               /* comma separated list-map keys for server-side apply */
    const char *values;                 /* enumeration, '|' separated, NULL: none */
    int64_t min, max;                   /* bounds of numbers; INT64_MIN / INT64_MAX: none */
    const char
        *format; /* named check: "dns-label", "dns-subdomain", "label-map", "port", ... or NULL */
    const char *doc; /* one sentence in our own words */
};

struct schema_type {
    const char *name;                  /* "PodSpec" */
    const char *group;                 /* "" for core, "meta" for metav1 */
    const char *version;               /* "v1" */
    const struct schema_field *fields; /* in declaration order */
    uint16_t field_count;
    const uint16_t *sorted; /* custom kinds: indexes of fields by name, for bsearch */
    /* Built-in types, which have at most SCHEMA_FIELDS_MAX fields: indexes of fields by
     * schema/name_hash.h, open addressing, SCHEMA_NO_FIELD where none is; and of the fields that
     * have rules, or defaults, or such inside, in declaration order. */
    const uint8_t *slots, *checked, *defaulted;
    uint32_t slot_seed;
    uint8_t slot_bits, checked_n, defaulted_n;
    const char *doc;
    bool atomic;                 /* one value for server-side apply wherever it stands */
    bool open;                   /* custom kinds: members without a field are kept */
    const struct custom *custom; /* of the root of a custom kind: OpenAPI shows its schema */
};

/* Stands for every value that the schema of a custom kind allows without saying more. */
extern const struct schema_field schema_anything;

enum schema_verb_flag {
    SCHEMA_VERB_CREATE = 1 << 0,
    SCHEMA_VERB_DELETE = 1 << 1,
    SCHEMA_VERB_DELETECOLLECTION = 1 << 2,
    SCHEMA_VERB_GET = 1 << 3,
    SCHEMA_VERB_LIST = 1 << 4,
    SCHEMA_VERB_PATCH = 1 << 5,
    SCHEMA_VERB_UPDATE = 1 << 6,
    SCHEMA_VERB_WATCH = 1 << 7
};
#define SCHEMA_VERBS_ALL 0xff

struct schema_subresource {
    const char *name;                   /* "status", "scale", "log", ... */
    const char *group, *version, *kind; /* what it speaks: autoscaling/v1 Scale, ... */
    uint16_t verbs;
};

struct schema_column {
    const char *name, *type, *format, *doc;
    int32_t priority;
    const char *cell; /* how the cell is made of the object (hooks.h); NULL: by hooks->row */
};

struct schema_kind;

/* Behaviour beyond rows. Every pointer may be NULL. `obj` is the whole object. */
struct schema_hooks {
    /* Conditional defaults, after the static ones. */
    void (*defaults)(yyjson_mut_doc *doc, yyjson_mut_val *obj);
    /* Of a kind whose defaults() touches the status: would it leave this one alone? */
    bool (*status_settled)(const yyjson_val *status);
    /* Cross-field rules; appends causes. Texts: exactly Kubernetes'. */
    void (*validate)(struct check *c, const yyjson_val *obj);
    bool validates_metadata; /* do these rules look at what may change in metadata? */
    /* Of a sub-resource that changes its own part of the object alone. */
    void (*validate_sub)(struct check *c, const char *sub, const yyjson_val *obj);
    /* Rules of a write to /status. */
    void (*validate_status)(struct check *c, const yyjson_val *obj);
    /* What is valid and hardly meant: for who writes it. May be NULL. */
    void (*warn)(struct arena *a, const yyjson_val *obj, struct schema_warnings *w);
    /* Cells of a table row, one per column. */
    void (*row)(struct row *r);
    /* Of a kind that is a view (schema_kind.view_of), a tree of the stored kind becomes one of this
     * kind, and back; only what differs is touched, kind and apiVersion apart. old: what is stored,
     * NULL on create; what this kind cannot say is kept from it. */
    void (*from_stored)(yyjson_mut_doc *doc, yyjson_mut_val *obj);
    void (*to_stored)(yyjson_mut_doc *doc, yyjson_mut_val *obj, const yyjson_val *old);
    /* Value of a field selector key ("spec.nodeName"); false: the key is not supported. */
    bool (*field)(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret);
};

struct schema_kind {
    const char *group, *version, *kind, *list_kind;
    const char *plural, *singular;
    const char *resource;           /* "pods", "statefulsets.apps": the store's and hub's name */
    const char *const *short_names; /* NULL terminated */
    const char *const *categories;
    bool namespaced;
    uint16_t verbs;
    const struct schema_type *type;
    const struct schema_subresource *subresources;
    size_t subresource_count;
    const struct schema_column *columns; /* count 0: Name and Age only */
    size_t column_count;
    const struct schema_hooks *hooks; /* never NULL for built-in kinds */
    const char *api_version;          /* "v1", "apps/v1" */
    const char *name_format; /* named check of metadata.name: "dns-subdomain", "dns-label", ... */
    const struct schema_kind *view_of; /* the kind whose objects these are in another group or
                                        * version, or NULL */
    const char *stored_only; /* sentence for a Warning when nothing acts on the kind yet, or NULL */
    const struct custom *custom; /* of a custom kind; NULL: built in */
};

/* All served kinds, in discovery order. */
size_t schema_kind_count(void);
const struct schema_kind *schema_kind_at(size_t i);
/* NULL when unknown. group "" is core. Also finds kinds that are only bodies of requests and
 * replies and not served as resources of their own (Scale, Eviction, Binding, DeleteOptions, ...);
 * controllers name kinds without a look-up by SCHEMA_KIND(Pod) of schema/kinds.h. */
const struct schema_kind *schema_kind_find(const char *group, const char *kind);
const struct schema_kind *schema_resource_find(struct span group, struct span version,
                                               struct span plural);
/* By the store's resource name ("statefulsets.apps"). NULL when unknown. */
const struct schema_kind *schema_resource_by_name(struct span resource);
/* All types, for documents made from the tables. */
size_t schema_type_count(void);
const struct schema_type *schema_type_at(size_t i);
const struct schema_type *schema_type_find(const char *group, const char *version,
                                           const char *name);
const struct schema_field *schema_field_find(const struct schema_type *type, struct span name);
/* "v1", "apps/v1"; lives for ever. */
const char *schema_api_version(const struct schema_kind *kind);

/* ---- views (schema/engine_view.c) ---- */

/* A stored object as the view shows it, in arena memory. */
const yyjson_val *schema_view(struct arena *a, const struct schema_kind *view,
                              const yyjson_val *stored);
/* An object of the view as it is stored: decoded by the rows of view->view_of. old: what is stored
 * now, or NULL. */
yyjson_mut_val *schema_unview(struct arena *a, const struct schema_kind *view, yyjson_mut_doc *doc,
                              yyjson_mut_val *obj, const yyjson_val *old, struct err *reterr);

/* ---- engine (schema/engine) ---- */

enum schema_strictness { SCHEMA_IGNORE, SCHEMA_WARN, SCHEMA_STRICT };

struct schema_warnings {
    struct span text[32];
    size_t n;
};

/* Turns a client's JSON into our canonical tree in `doc`: right shapes (a wrong type is
 * ERR_BAD_REQUEST with the field and what was expected, worded as Kubernetes does), unknown and
 * duplicate fields by strictness (STRICT: ERR_BAD_REQUEST `strict decoding error: unknown field
 * "spec.foo"`; WARN: warnings; always dropped), null members dropped, kind/apiVersion/metadata
 * first. Returns the object or NULL with *reterr, whose message is bare: creates and updates put
 * `KIND in version "V" cannot be handled as a KIND: ` in front. A served kind is named rightly in
 * the body or not at all; bodies such as DeleteOptions and Eviction come under any apiVersion. */
yyjson_mut_val *schema_decode(struct arena *a, const struct schema_kind *kind, const yyjson_val *in,
                              yyjson_mut_doc *doc, enum schema_strictness strictness,
                              struct schema_warnings *warnings, struct err *reterr);
/* The same, with the static defaults of what the members (other than status) hold, as
 * schema_defaults() gives them; schema_defaults_rest() does what is missing. known: a version of
 * the object that is stored, or NULL: what is as it is there is taken over as it is. */
enum schema_defaults_of { SCHEMA_DEFAULTS_NONE, SCHEMA_DEFAULTS_SPEC, SCHEMA_DEFAULTS_STATUS };
yyjson_mut_val *schema_decode_defaults(struct arena *a, const struct schema_kind *kind,
                                       const yyjson_val *in, const yyjson_val *known,
                                       yyjson_mut_doc *doc, enum schema_strictness strictness,
                                       enum schema_defaults_of of, struct schema_warnings *warnings,
                                       struct err *reterr);
/* The same of a built-in kind as an immutable tree in arena memory, which shares the strings of
 * `in`. */
const yyjson_val *schema_decode_tree(struct arena *a, const struct schema_kind *kind,
                                     const yyjson_val *in, const yyjson_val *known,
                                     enum schema_strictness strictness, enum schema_defaults_of of,
                                     struct schema_warnings *warnings, struct err *reterr);
void schema_defaults_rest(yyjson_mut_doc *doc, const struct schema_kind *kind, yyjson_mut_val *obj);
/* Static defaults of the rows and the zero values that Go would write (a status without omitempty
 * counts, "resources": {}), then hooks->defaults. Idempotent. */
void schema_defaults(yyjson_mut_doc *doc, const struct schema_kind *kind, yyjson_mut_val *obj);
/* Would schema_defaults() do nothing to an object with this status that schema_defaults_head() does
 * not do, when the rest has had its defaults? */
bool schema_status_stands_alone(const struct schema_kind *kind, const yyjson_val *status);
/* The same for metadata and status (decoded with SCHEMA_DEFAULTS_STATUS: it has them) alone. */
void schema_defaults_head(yyjson_mut_doc *doc, const struct schema_kind *kind, yyjson_mut_val *obj,
                          bool status);
/* Two objects of a built-in type as Go's Semantic.DeepEqual compares them: quantities by their
 * amount, nothing and empty alike. The members named in except (NULL ends them, may be NULL) do not
 * count. Absent objects are empty ones. */
bool schema_same(const struct schema_type *type, const yyjson_val *a, const yyjson_val *b,
                 const char *const *except);
/* Rows (required, bounds, enumerations, formats, immutability when old is given), metadata rules,
 * then hooks. Returns 0, or -1 with reason ERR_INVALID, causes and the combined message of
 * SPEC 1.5. */
int schema_validate(struct arena *a, const struct schema_kind *kind, const yyjson_val *obj,
                    const yyjson_val *old, struct err *reterr);
/* The same of what the server's own parts write: a machine without a network has the loopback's
 * address alone, and that may then be an endpoint. */
int schema_validate_own(struct arena *a, const struct schema_kind *kind, const yyjson_val *obj,
                        const yyjson_val *old, struct err *reterr);
/* The same of a change that only the server makes, to which the rules about changes do not apply:
 * what is as it is stored has passed. */
int schema_validate_server(struct arena *a, const struct schema_kind *kind, const yyjson_val *obj,
                           const yyjson_val *stored, struct err *reterr);
/* The same of an update that leaves all but metadata and status as it is stored: that has passed.
 */
int schema_validate_metadata(struct arena *a, const struct schema_kind *kind, const yyjson_val *obj,
                             const yyjson_val *old, struct err *reterr);
/* The cells of a kind's columns for one object, by the `cell` of each column or hooks->row. Kinds
 * without columns have Name and Age. */
void schema_row(struct arena *a, const struct schema_kind *kind, yyjson_mut_doc *doc,
                yyjson_mut_val *cells, const yyjson_val *obj, int64_t now_ms);
/* The same for a write to a sub-resource that changes a part of the object and has rules of its
 * own for it (hooks->validate_sub); the rules for changes of the whole do not count. */
int schema_validate_sub(struct arena *a, const struct schema_kind *kind, const char *sub,
                        const yyjson_val *obj, const yyjson_val *old, struct err *reterr);
int schema_validate_status(struct arena *a, const struct schema_kind *kind, const yyjson_val *obj,
                           const yyjson_val *old, struct err *reterr);
/* Collecting causes in hooks: type is FieldValueInvalid, FieldValueRequired, ...; message without
 * the path. */
void schema_invalid(struct arena *a, struct err *err, struct span field, struct span shown_value,
                    const char *detail);
/* ERR_INVALID with `KIND.GROUP "NAME" is invalid: ...` from the collected causes. */
int schema_invalid_finish(struct arena *a, const struct schema_kind *kind, struct span name,
                          struct err *err);

#endif
