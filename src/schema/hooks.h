/* schema/hooks.h: what the engine lends to the hooks of kinds, beside engine.h: field selectors and
 * the cells of tables. */
#ifndef SCHEMA_HOOKS_H
#define SCHEMA_HOOKS_H

#include "codec/json.h"
#include "schema/schema.h"

/* Of a kind that needs no behaviour beyond its rows. */
extern const struct schema_hooks schema_hooks_plain;

/* Equal but for members in `except` (NULL terminated). */
bool equal_except(const yyjson_val *a, const yyjson_val *b, const char *const *except);

/* ---- field selectors ---- */

/* metadata.name and metadata.namespace, which every kind has. */
bool kind_field_metadata(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret);
/* Also the paths in `keys` (NULL terminated, "spec.nodeName"); numbers and booleans as text. */
bool kind_field(struct arena *a, const yyjson_val *obj, struct span key, const char *const *keys,
                struct span *ret);

/* ---- table cells ---- */

struct row {
    struct arena *a;
    yyjson_mut_doc *doc;
    yyjson_mut_val *cells;
    const yyjson_val *obj;
    int64_t now_ms;
};

void cell(struct row *r, struct span text);
/* <none> when empty. */
void cell_or_none(struct row *r, struct span text);
void cell_int(struct row *r, int64_t n);
void cell_name(struct row *r);
void cell_age(struct row *r);
/* Member `key` of each element, joined by commas. */
struct span joined(struct arena *a, const yyjson_val *list, const char *key);

/* `cell=` of a column row is one of
 *
 *     metadata.name         a path: the string, or a number as text; "" when absent
 *     spec.replicas:number  a path and a form, see the table in hooks_cells.c
 *     age, created          of the object
 *     fn:job-status         a function by name
 */
/* Is this text a cell that can be made? (For the walk over the tables.) */
bool cell_known(const char *cell);
/* A LabelSelector as the last column of a table shows it. */
void cell_selector(struct row *r, const yyjson_val *selector);

#endif
