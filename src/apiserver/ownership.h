/* apiserver/ownership.h: metadata.managedFields at each write (the rules are managed/managed.h's).
 *
 * In what is stored, managedFields stand first in metadata. A write that changes nothing leaves
 * them alone, times included. */
#ifndef APISERVER_OWNERSHIP_H
#define APISERVER_OWNERSHIP_H

#include "apiserver/op.h"
#include "managed/managed.h"

/* The write as managed_update() wants it. */
struct managed_write ownership_write(struct api_op *op);
/* Makes the creator the owner of what it gave: before admission adds its own. given: managedFields
 * that it sent. */
void ownership_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                      const yyjson_val *given);
/* The managedFields that the client sent; NULL: none. */
const yyjson_val *ownership_given(struct api_op *op, const yyjson_mut_val *obj);
/* Puts what follows from the change from old to next (which obj holds) into obj. *same, if true,
 * becomes false when the owners are others than before, times aside. */
void ownership_update(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                      const yyjson_val *next, const yyjson_val *old, const yyjson_val *given,
                      bool *same);
/* Are the names in obj's entries, some of which a client gave, within bounds? -1 with op->err. */
int ownership_check(struct api_op *op, const yyjson_mut_val *obj);
/* Puts old's into obj. */
void ownership_keep(yyjson_mut_doc *doc, yyjson_mut_val *obj, const yyjson_val *old);
/* obj once more as an immutable tree, which frozen is but for the managedFields that obj has got
 * since. */
const yyjson_val *ownership_frozen(struct arena *a, const yyjson_val *frozen,
                                   const yyjson_mut_val *obj);

#endif
