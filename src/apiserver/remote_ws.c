/* Remote commands over WebSocket: binary messages, the first byte is the channel. v5 adds 255: the
 * channel named by the next byte is closed. */
#include <stdlib.h>

#include "apiserver/remote_priv.h"
#include "base/check.h"
#include "base/mem.h"
#include "codec/websocket.h"

enum { CHANNEL_CLOSE = 255 };

struct remote_ws {
    struct ws_decoder decoder;
    bool is_v5, close_sent;
    int channel; /* of the message in progress */
};

bool remote_ws_next(struct ws_decoder *d, struct span *bytes, struct strbuf *out,
                    struct ws_event *ret)
{
    while (ws_next(d, bytes, ret)) {
        if (ret->type == WS_PING) {
            ws_put(out, WS_OP_PONG, ret->bytes, SPAN_NULL);
        } else if (ret->type != WS_PONG) {
            return true;
        }
    }
    assert(bytes->n == 0);
    return false;
}

bool remote_ws_channel(int *channel, const struct ws_event *e, struct span *ret)
{
    assert(e->type == WS_DATA);
    *ret = e->bytes;
    if (e->is_start) {
        *channel = REMOTE_CHANNEL_NONE;
    }
    if (*channel == REMOTE_CHANNEL_NONE && ret->n) {
        *channel = (uint8_t)ret->p[0];
        *ret = span_from(*ret, 1);
    }
    return ret->n > 0;
}

static void put_close(struct remote *r, uint16_t code, struct span reason)
{
    struct remote_ws *w = r->proto_data;
    if (!w->close_sent) {
        w->close_sent = true;
        ws_put_close(&r->out, code, reason);
    }
}

static void refuse(struct remote *r, uint16_t code, struct span reason)
{
    put_close(r, code, reason);
    remote_drop(r);
}

static void on_message(struct remote *r, const struct ws_event *e)
{
    struct remote_ws *w = r->proto_data;
    struct span bytes;
    if (!remote_ws_channel(&w->channel, e, &bytes)) {
        return; /* an empty message only says that the client is there */
    }
    if (w->channel == REMOTE_STDIN) {
        remote_stdin(r, bytes);
    } else if (w->channel == REMOTE_RESIZE) {
        remote_resize(r, bytes);
    } else if (w->channel == CHANNEL_CLOSE && w->is_v5) {
        if (bytes.p[0] == REMOTE_STDIN) {
            remote_stdin_end(r);
        }
    } else {
        refuse(r, WS_PROTOCOL_ERROR, SPAN("not a channel that clients write"));
    }
}

static void ws_input(struct remote *r, struct span bytes)
{
    struct remote_ws *w = r->proto_data;
    struct ws_event e;
    while (r->state != REMOTE_DEAD && remote_ws_next(&w->decoder, &bytes, &r->out, &e)) {
        if (e.type == WS_DATA) {
            on_message(r, &e);
        } else if (e.type == WS_CLOSE) {
            refuse(r, e.code == WS_NO_CODE ? WS_NORMAL : e.code, SPAN_NULL);
        } else {
            refuse(r, e.code, e.bytes);
        }
    }
}

static void ws_output(struct remote *r, enum remote_channel channel, struct span bytes)
{
    const char first = (char)channel;
    ws_put(&r->out, WS_OP_BINARY, span_of(&first, 1), bytes);
}

static void ws_finish(struct remote *r, const struct remote_result *result)
{
    ws_output(r, REMOTE_ERROR, result->status);
    put_close(r, WS_NORMAL, SPAN_NULL);
}

static void ws_free(struct remote *r)
{
    struct remote_ws *w = r->proto_data;
    ws_decoder_done(&w->decoder);
    free(w);
}

/* A pong that nobody asked for is allowed, and counts as a sign of life. */
static void ws_keep_alive(struct remote *r)
{
    ws_put(&r->out, WS_OP_PONG, SPAN_NULL, SPAN_NULL);
}

static const struct remote_proto ws_proto = {
    .input = ws_input,
    .output = ws_output,
    .finish = ws_finish,
    .keep_alive = ws_keep_alive,
    .free = ws_free,
};

bool remote_ws_wanted(struct http_exchange *x)
{
    return remote_has_token(http_header_all(x, "upgrade"), "websocket") &&
           remote_has_token(http_header_all(x, "connection"), "upgrade");
}

int remote_ws_accept(struct http_exchange *x, const char *protocol, struct err *reterr)
{
    char accept[WS_ACCEPT_BYTES + 1];
    if (!span_eq_cstr(http_method(x), "GET") ||
        !span_eq_cstr(http_header(x, "sec-websocket-version"), "13") ||
        !ws_accept_key(http_header(x, "sec-websocket-key"), accept)) {
        return err_set(http_arena(x), reterr, ERR_BAD_REQUEST,
                       "malformed WebSocket request: GET, Sec-WebSocket-Version 13 and "
                       "Sec-WebSocket-Key are needed");
    }
    if (!protocol) {
        return 0;
    }
    http_add_header(x, "Upgrade", SPAN("websocket"));
    http_add_header(x, "Connection", SPAN("Upgrade"));
    http_add_header(x, "Sec-WebSocket-Accept", span_of(accept, WS_ACCEPT_BYTES));
    if (*protocol) {
        http_add_header(x, "Sec-WebSocket-Protocol", span_cstr(protocol));
    }
    return 0;
}

int remote_ws_begin(struct remote *r, struct http_exchange *x, struct err *reterr)
{
    struct span offered = http_header_all(x, "sec-websocket-protocol");
    bool is_v5 = remote_has_token(offered, "v5.channel.k8s.io");
    const char *chosen = is_v5                                            ? "v5.channel.k8s.io"
                         : remote_has_token(offered, "v4.channel.k8s.io") ? "v4.channel.k8s.io"
                                                                          : NULL;
    if (remote_ws_accept(x, chosen, reterr)) {
        return -1;
    }
    if (!chosen) {
        return err_set(http_arena(x), reterr, ERR_BAD_REQUEST,
                       "no common WebSocket protocol: client offers \"%.*s\", server has "
                       "v5.channel.k8s.io and v4.channel.k8s.io",
                       SPAN_ARG(offered));
    }
    struct remote_ws *w = MEM_NEW(struct remote_ws);
    w->decoder.expect_mask = true;
    w->is_v5 = is_v5;
    w->channel = REMOTE_CHANNEL_NONE;
    r->proto = &ws_proto;
    r->proto_data = w;
    return 0;
}
