/* schema/compiler/schemac.h: the build-time program that turns *.schema files into C tables.
 *
 * Runs on the build machine only, uses nothing but the C library and base/span. Reads every file
 * into one model (schemac_parse.c), resolves type names and writes one C file (schemac_emit.c). Any
 * doubt about the text ends the build with FILE:LINE: message. Memory is never given back: the
 * program lives for milliseconds. */
#ifndef SCHEMA_COMPILER_SCHEMAC_H
#define SCHEMA_COMPILER_SCHEMAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sc_place {
    const char *file;
    int line;
};

struct sc_field {
    struct sc_place at;
    const char *name;
    const char *shape;      /* enum constant without SCHEMA_: "STRING", "LIST", ... */
    const char *elem_shape; /* of a list or map, else NULL */
    const char
        *type_name; /* of an object or element object: "Volume", "meta.Condition"; else NULL */
    const struct sc_type *type;
    const char *flags; /* C expression */
    const char *list_kind;
    const char *default_json, *merge_key, *map_keys, *values, *format, *min, *max, *doc;
    unsigned pb;
};

struct sc_type {
    struct sc_place at;
    const char *group, *version, *name, *doc;
    struct sc_field *fields;
    size_t n;
    bool atomic;
    bool checked, defaulted; /* has a field with a rule, or a default, itself or inside */
};

struct sc_column {
    const char *name, *type, *format, *priority, *cell, *doc;
};

struct sc_sub {
    const char *name, *verbs, *group, *version, *kind;
};

struct sc_kind {
    struct sc_place at;
    const char *group, *version, *name, *list, *plural, *singular, *id, *hooks, *verbs,
        *name_format, *api_version;
    const char *short_names, *categories, *stored_only, *view; /* comma separated, or NULL */
    bool namespaced, unlisted;
    int rank;
    struct sc_sub *subs;
    size_t sub_n;
    struct sc_column *columns;
    size_t column_n;
    const struct sc_type *type;
};

struct sc_model {
    struct sc_type *types;
    size_t type_n;
    struct sc_kind *kinds;
    size_t kind_n;
};

_Noreturn void sc_fail(struct sc_place at, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void *sc_alloc(size_t size);
void *sc_push(void *array, size_t *n, size_t size);
char *sc_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Adds the rows of one file to the model. */
void sc_parse_file(struct sc_model *m, const char *file);
/* Resolves names, checks the model as a whole and makes the list types. */
void sc_resolve(struct sc_model *m);
/* Writes the C file. */
void sc_emit(const struct sc_model *m, const char *out_file);

#endif
