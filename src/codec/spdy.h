/* codec/spdy.h: SPDY/3.1 framing as Kubernetes' remote commands use it. Bytes in -> events out,
 * events in -> bytes out; no I/O, no stream states, no windows (the user keeps those).
 *
 * A control frame is collected (bounded), data comes out in pieces as it arrives. Header blocks are
 * zlib streams with the protocol's dictionary, one for each direction and for the whole connection;
 * what they unpack to is bounded. */
#ifndef CODEC_SPDY_H
#define CODEC_SPDY_H

#include "base/span.h"
#include "base/strbuf.h"

enum spdy_type {
    SPDY_DATA = 0,
    SPDY_SYN_STREAM = 1,
    SPDY_SYN_REPLY = 2,
    SPDY_RST_STREAM = 3,
    SPDY_SETTINGS = 4, /* only that one came: its content is of no use here */
    SPDY_PING = 6,
    SPDY_GOAWAY = 7,
    SPDY_HEADERS = 8,
    SPDY_WINDOW_UPDATE = 9,
    SPDY_ERROR = 100 /* sticky; bytes: what is wrong */
};
/* Status of RST_STREAM. */
enum {
    SPDY_RST_PROTOCOL_ERROR = 1,
    SPDY_RST_INVALID_STREAM = 2,
    SPDY_RST_REFUSED = 3,
    SPDY_RST_CANCEL = 5
};
enum { SPDY_WINDOW_BYTES = 65536, SPDY_DATA_BYTES_MAX = 0xffffff };

struct spdy_header {
    struct span name, value;
};
struct spdy_event {
    enum spdy_type type;
    uint32_t stream;
    bool fin;          /* the peer's last frame on this stream */
    uint32_t value;    /* RST_STREAM and GOAWAY status, PING id, WINDOW_UPDATE delta */
    struct span bytes; /* DATA */
    const struct spdy_header
        *headers; /* SYN_STREAM, SYN_REPLY, HEADERS; valid until the next call */
    size_t header_count;
};

struct spdy_decoder;
struct spdy_decoder *spdy_decoder_new(void);
void spdy_decoder_free(struct spdy_decoder *d);
/* Takes bytes off *in; true with an event, false when more input is needed (then *in is empty). */
bool spdy_next(struct spdy_decoder *d, struct span *in, struct spdy_event *ret);
/* Value of a header of an event, empty when absent; name in lower case. */
struct span spdy_header_get(const struct spdy_event *e, const char *name);

struct spdy_encoder;
struct spdy_encoder *spdy_encoder_new(void);
void spdy_encoder_free(struct spdy_encoder *e);
/* type: SPDY_SYN_STREAM, SPDY_SYN_REPLY or SPDY_HEADERS. Blocks must go out in the order they were
 * made. */
void spdy_put_headers(struct spdy_encoder *e, struct strbuf *out, enum spdy_type type,
                      uint32_t stream, bool fin, const struct spdy_header *headers, size_t count);
void spdy_put_data(struct strbuf *out, uint32_t stream, bool fin, struct span bytes);
void spdy_put_rst(struct strbuf *out, uint32_t stream, uint32_t status);
void spdy_put_ping(struct strbuf *out, uint32_t id);
void spdy_put_goaway(struct strbuf *out, uint32_t last_stream, uint32_t status);
void spdy_put_window(struct strbuf *out, uint32_t stream, uint32_t delta);

/* The protocol's dictionary. */
struct span spdy_dictionary(void);

#endif
