/* codec/pb.h: the protobuf wire format, without knowledge of any message. Writing appends to a
 * strbuf; reading is a bounded cursor over a span with a sticky error. Groups (wire types 3 and 4)
 * are not read: nothing we speak uses them. */
#ifndef CODEC_PB_H
#define CODEC_PB_H

#include "base/span.h"
#include "base/strbuf.h"

enum pb_wire { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

/* ---- writing ---- */

void pb_put_varint(struct strbuf *b, uint32_t number, uint64_t v);
void pb_put_bytes(struct strbuf *b, uint32_t number, struct span bytes);
void pb_put_fixed64(struct strbuf *b, uint32_t number, uint64_t v);
/* A nested message: what is appended between the two calls becomes its content. */
size_t pb_open(struct strbuf *b, uint32_t number);
void pb_close(struct strbuf *b, size_t mark);
/* The same when its length is known: so many bytes of content follow. */
void pb_put_length(struct strbuf *b, uint32_t number, size_t n);

/* ---- reading ---- */

struct pb_reader {
    struct span rest;
    bool bad; /* the bytes are no message; set once, never cleared */
};

struct pb_field {
    uint32_t number; /* 1 and up */
    enum pb_wire wire;
    uint64_t value;    /* of PB_VARINT, PB_FIXED64, PB_FIXED32 */
    struct span bytes; /* of PB_BYTES, inside the reader's span */
};

static inline struct pb_reader pb_read(struct span message)
{
    return (struct pb_reader){.rest = message};
}

/* The next field; false at the end and when the bytes are bad. */
bool pb_next(struct pb_reader *r, struct pb_field *ret);
/* A bare varint, as in packed lists; false at the end and when the bytes are bad. */
bool pb_next_raw(struct pb_reader *r, uint64_t *ret);

#endif
