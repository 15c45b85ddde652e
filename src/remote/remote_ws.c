/* Remote commands over WebSocket: binary messages, the first byte is the channel. v5 adds 255: the
 * channel named by the next byte is closed. Before v4 the channel of errors has plain text, and
 * nothing of a success. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "codec/websocket.h"
#include "remote/remote_priv.h"

enum { CHANNEL_CLOSE = 255 };

struct remote_ws {
    struct ws_decoder decoder;
    int version; /* 1, 4 or 5 */
    bool close_sent;
    int channel; /* of the message in progress */
};

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
    } else if (w->channel == CHANNEL_CLOSE && w->version == 5) {
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
    struct remote_ws *w = r->proto_data;
    struct span told = w->version >= 4 ? result->status : result->text;
    if (told.n) {
        ws_output(r, REMOTE_ERROR, told);
    }
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

int remote_ws_begin(struct remote *r, struct http_exchange *x, struct err *reterr)
{
    assert(!r->proto);
    struct span offered = http_header_all(x, "sec-websocket-protocol");
    static const struct {
        const char *name;
        int version;
    } known[] = {
        {"v5.channel.k8s.io", 5}, {"v4.channel.k8s.io", 4}, {"channel.k8s.io", 1}, {"", 1}};
    size_t i = 0;
    while (i < 3 && !remote_has_token(offered, known[i].name)) {
        i++;
    }
    const char *chosen =
        i == 3 && offered.n ? NULL : known[i].name; /* the first clients name none */
    if (remote_ws_accept(x, chosen, reterr)) {
        return -1;
    }
    if (!chosen) {
        return err_set(http_arena(x), reterr, ERR_BAD_REQUEST,
                       "no common WebSocket protocol: client offers \"%.*s\", server has "
                       "v5.channel.k8s.io, v4.channel.k8s.io and channel.k8s.io",
                       SPAN_ARG(offered));
    }
    struct remote_ws *w = MEM_NEW(struct remote_ws);
    w->decoder.expect_mask = true;
    w->version = known[i].version;
    w->channel = REMOTE_CHANNEL_NONE;
    r->proto = &ws_proto;
    r->proto_data = w;
    return 0;
}
