/* schema/protobuf.h: Kubernetes' protobuf form (application/vnd.kubernetes.protobuf).
 *
 * Bodies, which typed clients send since kubectl 1.32, become the JSON document that the same
 * client could have sent; everything after that is one path. Answers are made from the same rows,
 * for clients that prefer them to JSON. */
#ifndef SCHEMA_PROTOBUF_H
#define SCHEMA_PROTOBUF_H

#include "base/strbuf.h"
#include "schema/schema.h"

/* True when the body begins with the envelope's magic bytes. */
bool protobuf_is(struct span body);
/* Decodes envelope and object by the rows of the kind that the envelope names; fields without a row
 * are skipped. The document is in the arena, with kind and apiVersion first. Empty values that Go's
 * omitempty would not write are left out, since the encoder writes them all. Returns 0, or -1 with
 * ERR_BAD_REQUEST (malformed, a kind without rows) or ERR_TOO_LARGE. */
int protobuf_decode(struct arena *a, struct span body, yyjson_doc **ret, struct err *reterr);

/* Appends the message of an object that obeys the rows of `type` (what the server stores does);
 * members without a row are left out, and so are empty lists and maps, as protobuf cannot tell them
 * from absent ones. */
void protobuf_put(struct strbuf *out, const struct schema_type *type, const yyjson_val *obj);
/* The envelope in two halves: what is appended between them is the object's message. */
size_t protobuf_open(struct strbuf *out, struct span api_version, struct span kind);
void protobuf_close(struct strbuf *out, size_t mark);
/* The same when the message's length is known and the rest is to follow later. */
void protobuf_begin(struct strbuf *out, struct span api_version, struct span kind, size_t n);
void protobuf_end(struct strbuf *out);
/* Envelope and message of an object that names its kind. False: a kind without rows; nothing is
 * appended. */
bool protobuf_put_object(struct strbuf *out, const yyjson_val *obj);

#endif
