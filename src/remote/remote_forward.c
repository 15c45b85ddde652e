/* Port forwarding: one client connection, many connections to ports of one pod. Each is a pair of
 * SPDY streams with the same requestID: `error` (we write what went wrong) and `data` (both ways).
 *
 * The client may reset a stream or go at any time. The SPDY bytes travel bare or as the binary
 * messages of a WebSocket. A pod that does not take its bytes stops the reading of the whole client
 * connection, since kubectl keeps no windows. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "remote/remote_forward_priv.h"

#define PROTOCOL "portforward.k8s.io"
#define TUNNEL "SPDY/3.1+" PROTOCOL

static struct forward *forward_of(struct remote_link *l)
{
    return CONTAINER_OF(l, struct forward, l);
}

static void break_off(struct forward *f, uint16_t code, struct span reason)
{
    assert(f->l.stream);
    if (f->is_ws) {
        remote_link_flush(&f->l);
        ws_put_close(&f->l.out, code, reason);
    } else if (code != WS_NORMAL) {
        spdy_put_goaway(f->out, f->last_stream, SPDY_RST_PROTOCOL_ERROR);
    }
    remote_link_drop(&f->l);
}

/* ---- what the link asks ---- */

static void wrap(struct remote_link *l)
{
    struct forward *f = forward_of(l);
    if (f->inner.n) {
        ws_put(&l->out, WS_OP_BINARY, strbuf_span(&f->inner), SPAN_NULL);
        strbuf_clear(&f->inner);
    }
}

static bool is_stuck(const struct remote_link *l)
{
    struct forward *f = forward_of((struct remote_link *)(uintptr_t)l);
    LIST_EACH(link, &f->conns)
    {
        if (forward_conn_is_stuck(CONTAINER_OF(link, struct forward_conn, link))) {
            return true;
        }
    }
    return false;
}

static void room(struct remote_link *l)
{
    struct forward *f = forward_of(l);
    LIST_EACH(link, &f->conns)
    {
        forward_conn_room(CONTAINER_OF(link, struct forward_conn, link));
    }
}

static void end(struct remote_link *l)
{
    struct forward *f = forward_of(l);
    LIST_EACH(link, &f->conns)
    {
        forward_conn_free(CONTAINER_OF(link, struct forward_conn, link));
    }
    assert(f->conn_count == 0);
}

static void forward_free(struct remote_link *l)
{
    struct forward *f = forward_of(l);
    assert(list_is_empty(&f->conns));
    spdy_decoder_free(f->decoder);
    spdy_encoder_free(f->encoder);
    ws_decoder_done(&f->ws);
    strbuf_done(&f->inner);
    free(f);
}

/* ---- streams of the client ---- */

/* True when the stream makes sense. */
static bool syn_parse(const struct spdy_event *e, enum forward_kind *kind, uint16_t *port,
                      char id[LIMIT_FORWARD_ID_BYTES], struct span *request_id)
{
    struct span type = spdy_header_get(e, "streamtype");
    uint64_t n;
    if (!span_to_u64(spdy_header_get(e, "port"), &n) || n == 0 || n > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)n;
    *kind = span_eq_cstr(type, "error") ? FORWARD_ERROR : FORWARD_DATA;
    if (*kind == FORWARD_DATA && !span_eq_cstr(type, "data")) {
        return false;
    }
    *request_id = spdy_header_get(e, "requestid");
    if (request_id->n == 0) { /* old clients: the error stream's number, data comes right after */
        uint32_t first = *kind == FORWARD_ERROR ? e->stream : e->stream - 2;
        int len = snprintf(id, LIMIT_FORWARD_ID_BYTES, "#%u", first);
        *request_id = span_of(id, (size_t)len);
    }
    return request_id->n <= LIMIT_FORWARD_ID_BYTES;
}

static void on_syn(struct forward *f, const struct spdy_event *e)
{
    enum forward_kind kind;
    uint16_t port;
    char id[LIMIT_FORWARD_ID_BYTES];
    struct span request_id;
    if (e->stream <= f->last_stream || e->stream % 2 == 0) {
        break_off(f, WS_PROTOCOL_ERROR, SPAN("stream numbers must be odd and grow"));
        return;
    }
    f->last_stream = e->stream;
    bool ok = syn_parse(e, &kind, &port, id, &request_id);
    struct forward_conn *c = ok ? forward_conn_get(f, request_id) : NULL;
    if (!c || c->s[kind].id || (c->port && c->port != port)) {
        spdy_put_rst(f->out, e->stream, SPDY_RST_REFUSED);
        return;
    }
    c->port = port;
    c->s[kind].id = e->stream;
    spdy_put_headers(f->encoder, f->out, SPDY_SYN_REPLY, e->stream, false, NULL, 0);
    if (e->fin && kind == FORWARD_DATA) {
        forward_conn_in_end(c);
    }
    if (c->s[FORWARD_ERROR].id && c->s[FORWARD_DATA].id) {
        forward_conn_dial(c);
    }
}

static void open_window(struct forward *f, uint32_t id, uint32_t *taken, size_t n)
{
    *taken += (uint32_t)n;
    if (*taken >= SPDY_WINDOW_BYTES / 2) {
        spdy_put_window(f->out, id, *taken);
        *taken = 0;
    }
}

static void on_data(struct forward *f, const struct spdy_event *e)
{
    enum forward_kind kind;
    struct forward_conn *c = forward_conn_of(f, e->stream, &kind);
    open_window(f, 0, &f->taken_all, e->bytes.n);
    if (!c) { /* it has ended here: what the client still sends or ends is too late */
        if (e->bytes.n || e->stream > f->last_stream) {
            spdy_put_rst(f->out, e->stream, SPDY_RST_INVALID_STREAM);
        }
        return;
    }
    open_window(f, e->stream, &c->s[kind].taken, e->bytes.n);
    if (kind == FORWARD_DATA) { /* on the other the client only says that it will not write */
        if (e->fin) {
            bool had_room = c->session || c->early.n + e->bytes.n <= LIMIT_REMOTE_QUEUE_BYTES;
            forward_conn_take(c, e->bytes);
            if (had_room) {
                forward_conn_in_end(c);
            }
        } else {
            forward_conn_take(c, e->bytes);
        }
    }
}

static void on_reset(struct forward *f, const struct spdy_event *e)
{
    enum forward_kind kind;
    struct forward_conn *c = forward_conn_of(f, e->stream, &kind);
    if (c) {
        forward_conn_reset(c, kind);
    }
}

static void on_window(struct forward *f, const struct spdy_event *e)
{
    enum forward_kind kind;
    struct forward_conn *c = forward_conn_of(f, e->stream, &kind);
    int64_t delta = e->value & 0x7fffffff;
    f->has_windows = true;
    if (e->stream == 0) {
        f->window_all += delta;
    } else if (c) {
        c->s[kind].window += delta;
    }
    room(&f->l);
}

static void spdy_input(struct forward *f, struct span bytes)
{
    struct spdy_event e;
    while (f->l.stream && spdy_next(f->decoder, &bytes, &e)) {
        switch (e.type) {
        case SPDY_SYN_STREAM:
            on_syn(f, &e);
            break;
        case SPDY_DATA:
            on_data(f, &e);
            break;
        case SPDY_RST_STREAM:
            on_reset(f, &e);
            break;
        case SPDY_WINDOW_UPDATE:
            on_window(f, &e);
            break;
        case SPDY_PING:
            if (e.value % 2 == 1) { /* we send none, so even ones answer nothing */
                spdy_put_ping(f->out, e.value);
            }
            break;
        case SPDY_ERROR:
            break_off(f, WS_PROTOCOL_ERROR, e.bytes);
            break;
        default: /* settings, late headers, a goaway that the end follows: nothing to do */
            break;
        }
    }
}

static void input(struct remote_link *l, struct span bytes)
{
    struct forward *f = forward_of(l);
    struct ws_event e;
    if (!f->is_ws) {
        spdy_input(f, bytes);
        return;
    }
    while (l->stream && remote_ws_next(&f->ws, &bytes, &l->out, &e)) {
        if (e.type == WS_DATA) {
            spdy_input(f, e.bytes);
        } else {
            bool is_close = e.type == WS_CLOSE;
            break_off(f, is_close ? WS_NORMAL : e.code, is_close ? SPAN_NULL : e.bytes);
        }
    }
}

static const struct remote_link_ops link_ops = {.input = input,
                                                .wrap = wrap,
                                                .is_stuck = is_stuck,
                                                .room = room,
                                                .end = end,
                                                .free = forward_free};

/* ---- begin ---- */

static int begin_ws(struct http_exchange *x, struct err *reterr)
{
    struct span offered = http_header_all(x, "sec-websocket-protocol");
    bool known = remote_has_token(offered, TUNNEL);
    if (remote_ws_accept(x, known ? TUNNEL : NULL, reterr)) {
        return -1;
    }
    return known
               ? 0
               : err_set(http_arena(x), reterr, ERR_BAD_REQUEST,
                         "no common WebSocket protocol: client offers \"%.*s\", server has " TUNNEL
                         " and " REMOTE_CHANNELS_PROTOCOL,
                         SPAN_ARG(offered));
}

static int begin_spdy(struct http_exchange *x, struct err *reterr)
{
    struct span offered = http_header_all(x, "x-stream-protocol-version");
    if (!remote_has_token(offered, PROTOCOL)) {
        return err_set(http_arena(x), reterr, ERR_FORBIDDEN,
                       "unable to upgrade: unable to negotiate protocol: client supports \"%.*s\", "
                       "server accepts " PROTOCOL,
                       SPAN_ARG(offered));
    }
    http_add_header(x, "Connection", SPAN("Upgrade"));
    http_add_header(x, "Upgrade", SPAN("SPDY/3.1"));
    http_add_header(x, "X-Stream-Protocol-Version", SPAN(PROTOCOL));
    return 0;
}

void remote_forward(struct remote_hub *h, struct http_exchange *x, struct span ns, struct span pod)
{
    assert(x);
    assert(pod.n > 0);
    struct err err = {0};
    struct arena *a = http_arena(x);
    bool ws = remote_ws_wanted(x);
    int code;
    struct span offered = http_header_all(x, "sec-websocket-protocol");
    if (h->node && ws && !remote_has_token(offered, TUNNEL) &&
        remote_has_token(offered, REMOTE_CHANNELS_PROTOCOL)) {
        remote_channels(h, x, ns, pod);
        return;
    }
    if (!h->node) {
        code = err_set(a, &err, ERR_UNAVAILABLE, "this server has no node agent");
    } else if (!ws && !remote_spdy_wanted(x)) {
        code = err_set(a, &err, ERR_BAD_REQUEST, "Upgrade request required: WebSocket or SPDY/3.1");
    } else {
        code = (ws ? begin_ws : begin_spdy)(x, &err);
    }
    if (code < 0) {
        h->refuse(x, &err);
        return;
    }
    struct forward *f = MEM_NEW(struct forward);
    list_init(&f->conns);
    f->decoder = spdy_decoder_new();
    f->encoder = spdy_encoder_new();
    f->is_ws = ws;
    f->out = ws ? &f->inner : &f->l.out;
    f->ws.expect_mask = true;
    f->window_all = SPDY_WINDOW_BYTES;
    remote_link_init(&f->l, &link_ops, h, x, ns, pod);
    remote_link_start(&f->l);
}
