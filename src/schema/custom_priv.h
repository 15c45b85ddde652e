/* schema/custom_priv.h: custom kinds: what the files custom_*.c share. */
#ifndef SCHEMA_CUSTOM_PRIV_H
#define SCHEMA_CUSTOM_PRIV_H

#include "codec/regex.h"
#include "schema/custom.h"
#include "schema/engine.h"

enum custom_type {
    CUSTOM_ANY,
    CUSTOM_OBJECT,
    CUSTOM_ARRAY,
    CUSTOM_STRING,
    CUSTOM_INTEGER,
    CUSTOM_NUMBER,
    CUSTOM_BOOLEAN
};

struct custom_node;

struct custom_property {
    struct span name;
    struct custom_node *node;
};

struct custom_nodes {
    struct custom_node **at;
    size_t n;
};

/* A schema of a value. Values are checked by `raw`, the JSON it was made of. */
struct custom_node {
    enum custom_type type;
    bool nullable, int_or_string, preserve, embedded;
    bool any_members; /* additionalProperties: true */
    bool map_atomic;
    bool has_rules; /* anything to check but the type */
    uint8_t list_kind;
    const char *map_keys;
    const yyjson_val *raw, *initial;    /* default; NULL: none */
    struct custom_property *properties; /* by name */
    size_t property_count;
    struct custom_node *additional, *items, *not ;
    struct custom_nodes all_of, any_of, one_of;
    const struct regex *pattern;
};

/* A step of a JSONPath. */
struct custom_step {
    enum { STEP_NAME, STEP_INDEX, STEP_ALL, STEP_FILTER } what;
    struct span name, value; /* of a filter: the member that has that value */
    int64_t index;
};

struct custom_path {
    struct custom_step *at;
    size_t n;
};

struct custom_column {
    const char *type;
    struct custom_path path;
};

struct custom {
    struct custom_definition *definition;
    const struct schema_kind *kind;
    const struct custom_node *root;
    const yyjson_val *document;
    bool has_status;
    const char *deprecation;
    struct custom_column *columns; /* after the name */
    size_t column_count;
    const char *const *scale[3];
    const char *const *selectable; /* what field selectors may name: "spec.size", NULL at the end */
    const struct schema_type *list_type;
};

/* ---- custom_compile.c ---- */

/* The schema of a version. Mistakes become causes at p; the result is then of no use. */
struct custom_node *custom_compile_schema(struct check *c, const struct path *p,
                                          const yyjson_val *schema);
struct custom_node *custom_property(const struct custom_node *n, struct span name);

/* ---- custom_value.c ---- */

yyjson_mut_val *custom_decode(struct arena *a, const struct schema_kind *kind, const yyjson_val *in,
                              yyjson_mut_doc *doc, enum schema_strictness strictness,
                              struct schema_warnings *warnings, struct err *reterr);
void custom_defaults(yyjson_mut_doc *doc, const struct schema_kind *kind, yyjson_mut_val *obj);
bool custom_is_head(struct span name); /* apiVersion, kind, metadata */

/* ---- custom_check.c ---- */

/* A value against a node. */
void custom_check_value(struct check *c, const struct path *p, const struct custom_node *n,
                        const yyjson_val *v);
void custom_check(struct check *c, const struct schema_kind *kind, const yyjson_val *obj);

/* ---- custom_path.c ---- */

/* NULL, or what is wrong with the path. */
const char *custom_path_parse(struct arena *a, struct span text, struct custom_path *ret);
void custom_row(struct arena *a, const struct schema_kind *kind, yyjson_mut_doc *doc,
                yyjson_mut_val *cells, const yyjson_val *obj, int64_t now_ms);

/* ---- custom_table.c ---- */

/* The tables of a version: what server-side apply and OpenAPI walk. */
const struct schema_type *custom_tables(struct arena *a, const struct custom *custom);

#endif
