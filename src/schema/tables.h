/* schema/tables.h: what the generated file defines. For the engine only; everybody else asks
 * schema/schema.h. */
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

#endif
