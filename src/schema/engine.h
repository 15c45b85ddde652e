/* schema/engine.h: what the engine's files and the hooks share. Internal to schema/.
 *
 * Paths are chains on the stack that cost nothing until an error needs their text. */
#ifndef SCHEMA_ENGINE_H
#define SCHEMA_ENGINE_H

#include "codec/json.h"
#include "codec/names.h"
#include "schema/schema.h"

struct path {
    const struct path *up; /* NULL: the root */
    enum { PATH_FIELD, PATH_INDEX, PATH_KEY } what;
    struct span name; /* of a field or map key */
    size_t index;
};

/* Live until the end of the enclosing block. AT_FIELD takes a string literal or const char *. */
#define AT_SPAN(parent, text)                                                                      \
    (&(const struct path){.up = (parent), .what = PATH_FIELD, .name = (text)})
#define AT_FIELD(parent, text) AT_SPAN(parent, span_cstr(text))
#define AT_INDEX(parent, i) (&(const struct path){.up = (parent), .what = PATH_INDEX, .index = (i)})
#define AT_KEY(parent, text)                                                                       \
    (&(const struct path){.up = (parent), .what = PATH_KEY, .name = (text)})

/* "spec.containers[0].resources.limits[memory]". */
struct span path_text(struct arena *a, const struct path *p);

/* Where causes go. At most CAUSES_MAX are kept: a body can hold a million mistakes. */
struct check {
    struct arena *a;
    struct err *err;
    const yyjson_val *old;    /* the object as it is stored; NULL on create */
    const yyjson_val *stored; /* the same in a change to which rules about changes do not apply */
    bool own;                 /* the server's own parts wrote it */
    bool too_many;  /* a list is over LIST_MAX: rules that compare elements must not run */
    bool is_status; /* of a status, Kubernetes demands nothing but what standard conditions need */
};

/* What a decoder has complained about becomes warnings, or the error. */
int decode_report(struct arena *a, const struct span *complaints, size_t n,
                  enum schema_strictness strictness, struct schema_warnings *warnings,
                  struct err *reterr);

/* Elements of a list of objects: far above any real use, low enough for rules that compare each
 * with each. */
enum { CAUSES_MAX = 100, LIST_MAX = 8192 };

/* A value as error texts show it: strings quoted, the rest as JSON; absent is null. */
struct span shown(struct arena *a, const yyjson_val *v);
struct span shown_text(struct arena *a, struct span text);
/* One cause each, worded as Kubernetes does. detail may be NULL where Kubernetes gives none. */
void cause_required(struct check *c, const struct path *p, const char *detail);
void cause_invalid(struct check *c, const struct path *p, struct span value, const char *detail);
void cause_forbidden(struct check *c, const struct path *p, const char *detail);
void cause_duplicate(struct check *c, const struct path *p, struct span value);
void cause_duplicate_of(struct check *c, const struct path *p, struct span value,
                        const char *detail);
void cause_not_found(struct check *c, const struct path *p, struct span value);
/* values: '|' separated. */
void cause_not_supported(struct check *c, const struct path *p, struct span value,
                         const char *values);
void cause_too_many(struct check *c, const struct path *p, size_t count, size_t max);
void cause_too_long(struct check *c, const struct path *p, size_t max_bytes);

/* Sorts what is told so far as Kubernetes tells it: by the first of these paths, the longest that a
 * cause's path begins with. Causes of one path stay as they were told; NULL ends the paths. */
void causes_in_order(struct check *c, const char *const *paths);

/* ---- checks by name (engine_format.c) ---- */

/* The check called `format` on a string or number; unknown formats are a hole in the tables. */
void format_check(struct check *c, const struct path *p, const char *format, const yyjson_val *v);
/* What is wrong with a name by a format of names; nothing for other formats. */
struct names_fault format_name_fault(const char *format, struct span s);
/* Is there such a check? (For the walk over the tables.) */
bool format_known(const char *format);
void check_port_number(struct check *c, const struct path *p, int64_t port);
/* A port as number or name. */
void check_port(struct check *c, const struct path *p, const yyjson_val *v);
void check_labels(struct check *c, const struct path *p, const yyjson_val *labels);
void check_annotations(struct check *c, const struct path *p, const yyjson_val *annotations);
/* A LabelSelector object. */
void check_label_selector(struct check *c, const struct path *p, const yyjson_val *selector);
void check_not_negative(struct check *c, const struct path *p, const yyjson_val *number);
/* Values of a map of quantities. */
void check_quantities(struct check *c, const struct path *p, const yyjson_val *map);

/* ---- walks ---- */

/* metadata of an object of this kind; old NULL on create. */
void check_metadata(struct check *c, const struct schema_kind *kind, const yyjson_val *meta,
                    const yyjson_val *old);
/* metadata of a resource within a value of a custom kind. */
void check_embedded_metadata(struct check *c, const struct path *p, const yyjson_val *meta);
/* Static defaults and zero values of an object, by its type. */
void default_rows(yyjson_mut_doc *doc, const struct schema_type *type, yyjson_mut_val *obj);
/* Equal, with absent, null and empty taken as the same at the top and inside. */
bool semantic_equal(const yyjson_val *a, const yyjson_val *b);

#endif
