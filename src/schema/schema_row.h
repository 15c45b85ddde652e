/* schema/schema_row.h: the row of a type's member, where members are walked one after the other. */
#ifndef SCHEMA_SCHEMA_ROW_H
#define SCHEMA_SCHEMA_ROW_H

#include "base/check.h"
#include "schema/schema.h"

/* Names of custom kinds have no length here. */
static inline bool schema_field_is(const struct schema_field *f, struct span name)
{
    /* A decoded tree's keys are the tables' own. */
    return f->name_n == name.n && name.n &&
           (f->name == name.p || span_same_short(f->name, name.p, name.n));
}

/* schema_field_find() for the members of an object in a row: mostly they come in the order of their
 * rows. *at: which row is looked at first; 0 at the beginning. */
static inline const struct schema_field *schema_field_next(const struct schema_type *type,
                                                           struct span name, size_t *at)
{
    const struct schema_field *f = &type->fields[*at];
    assert(*at <= type->field_count);
    if (*at < type->field_count && schema_field_is(f, name)) {
        (*at)++;
        return f;
    }
    f = schema_field_find(type, name);
    *at = f ? (size_t)(f - type->fields) + 1 : *at;
    return f;
}

#endif
