/* codec/websocket.h: RFC 6455 framing, bytes in -> events out and events in -> bytes out. No I/O.
 *
 * Nothing is stored but a frame head and a control payload (125 bytes): data comes out in pieces as
 * it arrives, so a message needs no limit here. Unmasking goes through a scratch buffer of the size
 * of one input. */
#ifndef CODEC_WEBSOCKET_H
#define CODEC_WEBSOCKET_H

#include "base/span.h"
#include "base/strbuf.h"

enum ws_op {
    WS_OP_CONT = 0,
    WS_OP_TEXT = 1,
    WS_OP_BINARY = 2,
    WS_OP_CLOSE = 8,
    WS_OP_PING = 9,
    WS_OP_PONG = 10
};
enum { WS_CONTROL_BYTES = 125, WS_HEAD_BYTES = 14, WS_ACCEPT_BYTES = 28 };
/* Codes of a close frame. */
enum {
    WS_NORMAL = 1000,
    WS_GOING_AWAY = 1001,
    WS_PROTOCOL_ERROR = 1002,
    WS_NO_CODE = 1005,
    WS_INTERNAL = 1011
};

struct ws_decoder {
    bool expect_mask; /* true for a server; set before the first byte */
    /* private */
    bool has_head, in_message, is_closed, failed;
    uint8_t op, fin, message_op;
    uint8_t head[WS_HEAD_BYTES], head_n, control_n, mask_at;
    uint8_t mask[4];
    uint64_t left;
    bool is_start;
    uint8_t control[WS_CONTROL_BYTES];
    struct strbuf plain;
};

enum ws_type {
    WS_DATA, /* a piece of a message */
    WS_PING, /* bytes: to be sent back in a pong */
    WS_PONG,
    WS_CLOSE, /* code, bytes: reason. Nothing follows. */
    WS_ERROR  /* code to close with, bytes: what is wrong. Sticky: nothing follows. */
};
struct ws_event {
    enum ws_type type;
    bool is_text, is_start, is_end; /* of a message; a whole message has both */
    uint16_t code;
    struct span bytes; /* valid until the next call */
};

/* Takes bytes off *in; true with an event, false when more input is needed (then *in is empty). */
bool ws_next(struct ws_decoder *d, struct span *in, struct ws_event *ret);
void ws_decoder_done(struct ws_decoder *d);

/* Appends a whole unmasked message (a server's) made of two parts. */
void ws_put(struct strbuf *out, enum ws_op op, struct span first, struct span second);
/* Appends one frame, masked unless mask is NULL. (A client's half: for tests.) */
void ws_put_frame(struct strbuf *out, enum ws_op op, bool fin, const uint8_t mask[4],
                  struct span bytes);
void ws_put_close(struct strbuf *out, uint16_t code, struct span reason);

/* Sec-WebSocket-Accept for the client's key. False when the key is not 16 bytes in base64. */
bool ws_accept_key(struct span key, char ret[WS_ACCEPT_BYTES + 1]);

#endif
