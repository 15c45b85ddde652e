/* schema/openapi_priv.h: the parts of the OpenAPI documents. A document is first a JSON tree in a
 * throw-away arena; the protobuf form of v2 is made from the same tree, so the two cannot differ.
 */
#ifndef SCHEMA_OPENAPI_PRIV_H
#define SCHEMA_OPENAPI_PRIV_H

#include "schema/openapi.h"

struct openapi {
    struct arena *a;
    yyjson_mut_doc *doc;
    bool v3;
    bool untyped; /* any value may stand where the rows say `any`, not just an object */
    const struct schema_type **needed; /* types that have been referred to, each once */
    size_t needed_n, needed_cap;
    const struct openapi_kinds *custom;
};

/* ---- openapi_types.c ---- */

/* "io.k8s.api.core.v1.Pod". */
struct span openapi_name(struct arena *a, const char *group, const char *version, const char *name);
/* {"$ref": ...} to a type, noting that it is needed. */
yyjson_mut_val *openapi_ref(struct openapi *o, const struct schema_type *type);
/* The same to a definition that has no row (Quantity, Patch, ...). */
yyjson_mut_val *openapi_ref_name(struct openapi *o, struct span name);
yyjson_mut_val *openapi_type(struct openapi *o, const struct schema_type *type);
/* Definitions without rows, added to the object of definitions. */
void openapi_fixed_types(struct openapi *o, yyjson_mut_val *definitions);
/* {"group": ..., "version": ..., "kind": ...} */
yyjson_mut_val *openapi_gvk(struct openapi *o, struct span group, struct span version,
                            struct span kind);
void openapi_put(struct openapi *o, yyjson_mut_val *obj, const char *key, const char *value);

#define OPENAPI_META "io.k8s.apimachinery.pkg.apis.meta.v1."

/* ---- openapi_custom.c ---- */

/* The schema of a custom kind as it was given, with what every object has. */
yyjson_mut_val *openapi_custom_type(struct openapi *o, const struct schema_type *type);

/* ---- openapi_paths.c ---- */

/* Every path of one kind, added to `paths`. */
void openapi_paths_of(struct openapi *o, yyjson_mut_val *paths, const struct schema_kind *kind);

/* ---- openapi_pb.c ---- */

/* gnostic's message of a v2 document. */
void openapi_pb_document(struct strbuf *out, yyjson_mut_val *document);

#endif
