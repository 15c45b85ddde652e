/* What a client wants its connection to become, and what all WebSockets of ours have in common. */
#include "base/check.h"
#include "codec/websocket.h"
#include "remote/remote_priv.h"

bool remote_has_token(struct span list, const char *token)
{
    assert(token);
    while (list.n) {
        if (span_eq_nocase(span_trim(span_cut(&list, ',')), span_cstr(token))) {
            return true;
        }
    }
    return false;
}

bool remote_ws_wanted(struct http_exchange *x)
{
    return remote_has_token(http_header_all(x, "upgrade"), "websocket") &&
           remote_has_token(http_header_all(x, "connection"), "upgrade");
}

bool remote_spdy_wanted(struct http_exchange *x)
{
    return remote_has_token(http_header_all(x, "upgrade"), "SPDY/3.1") &&
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

/* ---- messages ---- */

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
