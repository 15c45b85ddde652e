/* schema/patch.h: the three patch forms. Input and result are trees; `original` is not changed.
 * Errors: ERR_BAD_REQUEST for a malformed patch, ERR_INVALID (422) where Kubernetes answers so (a
 * failed JSON Patch test or a path that does not exist). All memory is in doc and the arena. */
#ifndef SCHEMA_PATCH_H
#define SCHEMA_PATCH_H

#include "schema/schema.h"

/* RFC 6902; at most LIMIT_JSON_PATCH_OPS operations. */
yyjson_mut_val *patch_json(struct arena *a, yyjson_mut_doc *doc, const yyjson_val *original,
                           const yyjson_val *patch, struct err *reterr);
/* RFC 7386. */
yyjson_mut_val *patch_merge(struct arena *a, yyjson_mut_doc *doc, const yyjson_val *original,
                            const yyjson_val *patch, struct err *reterr);
/* What schema_decode() is to see of patch_merge()'s result, in one pass and without a copy of
 * texts: original's metadata.managedFields, raw, are left out; with metadata false, all of it is.
 * NULL: the patch is no object, names a member twice or has too many. */
const yyjson_val *patch_merge_quick(struct arena *a, const yyjson_val *original,
                                    const yyjson_val *patch, bool metadata);
/* Strategic merge by the kind's rows: merge keys, primitive sets, $patch (replace, delete, merge),
 * $setElementOrder/LIST, $deleteFromPrimitiveList/LIST, $retainKeys; null deletes. Order of merged
 * lists as apimachinery's strategicpatch gives it. */
yyjson_mut_val *patch_strategic(struct arena *a, yyjson_mut_doc *doc,
                                const struct schema_type *type, const yyjson_val *original,
                                const yyjson_val *patch, struct err *reterr);

#endif
