/* http/http2_priv.h: one stream of HTTP/2, shared by http2.c (session and replies) and
 * http2_request.c (requests as they come in). */
#ifndef HTTP_HTTP2_PRIV_H
#define HTTP_HTTP2_PRIV_H

#include <nghttp2/nghttp2.h>

#include "http/http_priv.h"

enum stream_state { S_READ, S_WAIT, S_STREAM, S_SENT };

struct http2_stream {
    struct http_exchange x; /* first */
    struct list link;
    struct http2 *h;
    int32_t id;
    enum stream_state state;
    bool is_gone, is_aborting;                       /* see above; its abort callback is running */
    bool abort_due, drain_due, was_blocked, is_late; /* is_late: data is deferred */
    bool is_cut;    /* SENT: ends in a reset, not in the end of the stream */
    int64_t due_ns; /* READ: of the request; SENT: of the client's taking it; else INT64_MAX */
    size_t held;    /* bytes of the connection's window that the body holds */
    struct strbuf out;
    size_t out_at;
};

struct http2 {
    struct http_conn *conn;
    nghttp2_session *session;
    struct list streams, spare;
    size_t spare_count;
    int64_t idle_due_ns;
    struct env_task task; /* pump, drains and aborts at the end of the turn */
    bool is_receiving;
    bool any_abort, any_drain; /* some stream may have abort_due, drain_due: else nobody looks */
};

/* ---- http2.c ---- */

static inline nghttp2_nv http2_nv(struct span name, struct span value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.p,
                        .value = (uint8_t *)(uintptr_t)value.p,
                        .namelen = name.n,
                        .valuelen = value.n};
}

struct http2_stream *http2_stream_new(struct http2 *h, int32_t id);
/* The stream is reset unless it gets on in time. */
void http2_due_in(struct http2_stream *s, int64_t ms);
void http2_reply(struct http_exchange *x, int status, const char *content_type, struct span body);

/* ---- http2_request.c ---- */

void http2_request_callbacks(nghttp2_session_callbacks *callbacks);

#endif
