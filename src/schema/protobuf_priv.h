/* schema/protobuf_priv.h: shared by protobuf.c (messages with rows) and protobuf_value.c (values
 * without). */
#ifndef SCHEMA_PROTOBUF_PRIV_H
#define SCHEMA_PROTOBUF_PRIV_H

#include "codec/pb.h"
#include "schema/schema.h"

struct protobuf {
    struct arena *a;
    yyjson_mut_doc *doc;
    struct err *err;
};

/* Sets ERR_BAD_REQUEST; returns -1. */
int protobuf_bad(struct protobuf *d, const char *what);
/* Reads a message's fields into obj. outer: 0, or the path (as in schema_field.pb) of the message
 * that JSON inlines into obj. */
int protobuf_fields(struct protobuf *d, const struct schema_type *type, uint32_t outer,
                    struct span message, yyjson_mut_val *obj, int depth);
/* One value of a shape that has no rows. *ret is NULL when there is nothing to write. */
int protobuf_value(struct protobuf *d, enum schema_shape shape, const struct pb_field *f,
                   yyjson_mut_val **ret);
bool protobuf_utf8_ok(struct span s);
/* The kind that an envelope names, or NULL. */
const struct schema_kind *protobuf_kind(struct span api_version, struct span kind);
extern const struct span protobuf_magic;

#endif
