/* schema/protobuf.h: request bodies in Kubernetes' protobuf form
 * (application/vnd.kubernetes.protobuf), which typed clients send since kubectl 1.32. They become
 * the JSON document that the same client could have sent; everything after that is one path.
 * Answers are always JSON. */
#ifndef SCHEMA_PROTOBUF_H
#define SCHEMA_PROTOBUF_H

#include "schema/schema.h"

/* True when the body begins with the envelope's magic bytes. */
bool protobuf_is(struct span body);
/* Decodes envelope and object by the rows of the kind that the envelope names; fields without a row
 * are skipped. The document is in the arena, with kind and apiVersion first. Empty values that Go's
 * omitempty would not write are left out, since the encoder writes them all. Returns 0, or -1 with
 * ERR_BAD_REQUEST (malformed, a kind without rows) or ERR_TOO_LARGE. */
int protobuf_decode(struct arena *a, struct span body, yyjson_doc **ret, struct err *reterr);

#endif
