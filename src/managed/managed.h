/* managed/managed.h: metadata.managedFields: who set which field, and server-side apply.
 *
 * An entry belongs to a manager, an operation (Apply or Update), the subresource written and, for
 * updates, the version of the API; it holds the set of fields that the manager set last. Nobody
 * owns what the server alone decides (name, uid, resourceVersion and their like). A field that
 * changes leaves every other entry; a field that goes away leaves all. At most ten entries of
 * updates are kept: the oldest are joined under "ancient-changes". Entries are ordered by
 * operation, time, manager.
 *
 * An object whose managedFields are empty is not tracked until somebody applies: what it then has
 * belongs to "before-first-apply". */
#ifndef MANAGED_MANAGED_H
#define MANAGED_MANAGED_H

#include "schema/schema.h"

struct managed_write {
    const struct schema_kind *kind;
    struct span manager;     /* of the request, or the client's name; empty is "unknown" */
    struct span subresource; /* "status", "scale"; empty: the object itself */
    int64_t now_ms;
    const yyjson_val *stored;      /* of a view: live as it is stored, NULL: nothing */
    struct managed_shapes *shapes; /* of what was created before; may be NULL */
};

/* The name under which a client is known that gives none: its User-Agent up to the first slash,
 * printable characters only, LIMIT_FIELD_MANAGER_BYTES at most. */
struct span managed_agent(struct arena *a, struct span user_agent);

/* The list after a create (live NULL) or update from live to next. `given` is what the client sent
 * as managedFields (NULL: nothing): it replaces live's when it is valid; [] and [{}] take all away.
 * NULL: the object has none from now on. The result is one raw value. */
yyjson_mut_val *managed_update(struct arena *a, yyjson_mut_doc *doc, const struct managed_write *w,
                               const yyjson_val *live, const yyjson_val *next,
                               const yyjson_val *given);

/* The list of an object that its writer creates: managed_update() from nothing, without a copy of
 * the object. */
yyjson_mut_val *managed_create(struct arena *a, yyjson_mut_doc *doc, const struct managed_write *w,
                               const yyjson_mut_val *next);

struct managed_applied {
    yyjson_mut_val *object;  /* in which managedFields are as they were */
    yyjson_mut_val *managed; /* one raw value; NULL: none */
};
/* Applies config to live (NULL: to nothing). Returns 0 or -1: ERR_BAD_REQUEST for a malformed
 * configuration; ERR_CONFLICT with a cause for each field that another manager holds, unless force.
 * The manager "kubectl" may take over what client-side apply left (the last-applied annotation
 * proves that the fields are its own) and keeps that annotation true. */
int managed_apply(struct arena *a, yyjson_mut_doc *doc, const struct managed_write *w, bool force,
                  const yyjson_val *live, const yyjson_val *config, struct managed_applied *ret,
                  struct err *reterr);

/* managedFields of the Scale of an object with this list, and those of the object after a write to
 * it that left scale_list. NULL: none. The lists are as stored, the results raw values. */
yyjson_mut_val *managed_to_scale(struct arena *a, yyjson_mut_doc *doc,
                                 const struct schema_kind *kind, const yyjson_val *list);
yyjson_mut_val *managed_from_scale(struct arena *a, yyjson_mut_doc *doc,
                                   const struct schema_kind *kind, const yyjson_val *list,
                                   const yyjson_val *scale_list);

#endif
