/* managed/managed_shape.h: what the creators of new objects were found to own, remembered by the
 * shape of the objects.
 *
 * Which fields an object sets follows from the names of its members, from which values are empty or
 * zero, and from the texts that name elements of lists; all else in it does not matter. Most
 * objects are like one made before: another replica, another event. */
#ifndef MANAGED_MANAGED_SHAPE_H
#define MANAGED_MANAGED_SHAPE_H

#include "schema/schema.h"

/* The shapes that were seen last: a bounded number, of bounded size. */
struct managed_shapes;
struct managed_shapes *managed_shapes_new(void);
void managed_shapes_free(struct managed_shapes *s); /* NULL is fine */

/* Has an object of this built-in kind and of the same shape been kept? Its set as text: empty, or
 * valid until the next call. */
bool managed_shape_find(struct managed_shapes *s, const struct schema_kind *kind,
                        const yyjson_mut_val *obj, struct span *ret);
/* Keeps the set of an object, which passes over the member `skip` of it. Every element of its
 * associative lists has a name of its own. */
void managed_shape_keep(struct managed_shapes *s, const struct schema_kind *kind, const char *skip,
                        const yyjson_mut_val *obj, struct span fields);

#endif
