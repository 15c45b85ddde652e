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
/* One value of a shape that has no rows. *ret is NULL when there is nothing to write. */
int protobuf_value(struct protobuf *d, enum schema_shape shape, const struct pb_field *f,
                   yyjson_mut_val **ret);
bool protobuf_utf8_ok(struct span s);
/* The kind that an envelope names, or NULL. */
const struct schema_kind *protobuf_kind(struct span api_version, struct span kind);
extern const struct span protobuf_magic;

#endif
