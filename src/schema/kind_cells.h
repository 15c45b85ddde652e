/* schema/kind_cells.h: cells of table columns that rows describe. `cell=` of a column row is one of
 *
 *     metadata.name         a path: the string, or a number as text; "" when absent
 *     spec.replicas:number  a path and a form, see the table in kind_cells.c
 *     age, created          of the object
 *     fn:job-status         a function of kind_cell_fn.c
 */
#ifndef SCHEMA_KIND_CELLS_H
#define SCHEMA_KIND_CELLS_H

#include "schema/kind.h"

/* Is this text a cell that can be made? (For the walk over the tables.) */
bool cell_known(const char *cell);
/* The function called `name`, or NULL. */
typedef void cell_fn(struct row *r);
cell_fn *cell_fn_find(const char *name);

#endif
