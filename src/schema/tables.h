/* schema/tables.h: what src/kinds supplies: the tables that schemac makes of its rows, and cells.
 * For the engine only; everybody else asks schema/schema.h. */
#ifndef SCHEMA_TABLES_H
#define SCHEMA_TABLES_H

#include "schema/schema.h"

/* Served kinds in discovery order; kinds that are only bodies; all types. */
extern const struct schema_kind *const schema_tables_kinds[];
extern const size_t schema_tables_kinds_count;
extern const struct schema_kind *const schema_tables_bodies[];
extern const size_t schema_tables_bodies_count;
extern const struct schema_type *const schema_tables_types[];
extern const size_t schema_tables_types_count;

/* The functions that make cells called `fn:name`; a NULL name ends them. Beside the kinds' hooks
 * they are all that src/kinds supplies in C. */
struct row;
typedef void cell_fn(struct row *r);
struct schema_cell_fn {
    const char *name;
    cell_fn *make;
};
extern const struct schema_cell_fn schema_tables_cell_fns[];

#endif
