/* schema/openapi.h: OpenAPI documents made from the tables. */
#ifndef SCHEMA_OPENAPI_H
#define SCHEMA_OPENAPI_H

#include "base/strbuf.h"
#include "schema/schema.h"

/* Custom kinds that are served; NULL everywhere below: none. */
struct openapi_kinds {
    const struct schema_kind *const *at;
    size_t n;
};

/* Complete v2 document (definitions, and paths with x-kubernetes-group-version-kind on operations).
 */
void openapi_v2_json(const struct openapi_kinds *custom, struct strbuf *out);
/* The same in gnostic's protobuf form (application/com.github.proto-openapi.spec.v2@v1.0+protobuf),
 * which kubectl 1.20 insists on. */
void openapi_v2_protobuf(const struct openapi_kinds *custom, struct strbuf *out);
/* {"paths":{"api/v1":{"serverRelativeURL":"/openapi/v3/api/v1?hash=HEX"}, ...}}; the hash is of the
 * content. */
void openapi_v3_index(const struct openapi_kinds *custom, struct strbuf *out);
/* Document of one group version; false when there is none. */
bool openapi_v3_group(const struct openapi_kinds *custom, struct span group, struct span version,
                      struct strbuf *out);

#endif
