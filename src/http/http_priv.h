/* http/http_priv.h: connections and exchanges, shared by the files of http/.
 *
 * An exchange is one request and its reply; the protocol it came by answers through `ops`. HTTP/1.1
 * (http1.c) embeds one exchange in the connection, HTTP/2 (http2.c) makes one for each stream.
 *
 * A connection's life (HTTP/1.1: one request at a time):
 *
 *   HANDSHAKE -> READ -> BUSY -> READ            whole reply
 *                  |       +---> STREAM -> READ  chunked reply
 *                  |       +---> (handed over)   upgrade
 *                  |       +---> DRAIN -> READ   the client has not taken the reply yet
 *                  +-> LINGER                    error reply sent; input is thrown away until the
 * peer ends BUSY -> ORPHAN: the peer is gone, the handler has yet to answer into the void.
 *   HANDSHAKE -> HTTP2                           ALPN chose h2: the session owns all that follows
 *
 * Any callback may end the connection; `depth` counts our frames on the stack, the last one frees.
 */
#ifndef HTTP_HTTP_PRIV_H
#define HTTP_HTTP_PRIV_H

#include <llhttp.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "http/http.h"

enum conn_state {
    CONN_HANDSHAKE,
    CONN_READ,
    CONN_BUSY,
    CONN_STREAM,
    CONN_DRAIN,
    CONN_LINGER,
    CONN_ORPHAN,
    CONN_HTTP2,
    CONN_CLOSED
};

/* Offsets into the exchange's head. */
struct http_field {
    uint32_t name_at, name_n, value_at, value_n;
};

/* What a protocol does with a reply. None is called for an exchange whose peer is gone, but for
 * `done`. */
struct http_reply_ops {
    /* True while the exchange waits for its reply (nothing has begun). */
    bool (*is_waiting)(const struct http_exchange *x);
    bool (*is_gone)(const struct http_exchange *x);
    void (*reply)(struct http_exchange *x, int status, const char *content_type, struct span body);
    void (*begin)(struct http_exchange *x, int status, const char *content_type);
    void (*write)(struct http_exchange *x, struct span bytes);
    size_t (*queued)(const struct http_exchange *x);
    void (*end)(struct http_exchange *x);
    void (*abort)(struct http_exchange *x); /* ends it so that the client sees a cut reply */
    /* A part of a streamed reply without a copy: put into the buffer, then done. */
    struct strbuf *(*part)(struct http_exchange *x);
    void (*part_done)(struct http_exchange *x);
    void (*due)(struct http_exchange *x); /* the client is to take the stream in time */
    /* Tells the stream's handler in a later callback that the peer is gone. */
    void (*abort_later)(struct http_exchange *x);
    void (*done)(struct http_exchange *x); /* nobody is there to be answered: releases it */
};

struct http_exchange {
    const struct http_reply_ops *ops;
    struct http_conn *conn;
    struct arena *arena;
    struct strbuf head, body; /* the URL, then names and values; the request's body */
    const char *method;       /* static */
    uint8_t minor;            /* HTTP/1.minor */
    bool keep_alive, is_chunked, is_head;
    uint32_t url_n; /* the URL is the start of head */
    struct http_field fields[LIMIT_HTTP_HEADERS];
    size_t field_count;
    struct strbuf reply_head; /* header lines added so far; kept for the next exchange */
    bool has_encoding;        /* Content-Encoding was added by the handler */
    bool is_pulled;           /* a whole reply in parts: unlike other streams it outlives the peer's
                                 half-close           and the server's close */
    struct http_stream_handler stream;
    void *stream_data;
};

struct http2;

struct http_conn {
    struct list link;
    struct http_server *server;
    struct env_stream *stream; /* NULL once gone or handed over */
    enum conn_state state;
    bool is_root, peer_ended, is_reading, in_head, head_done, headers_over;
    bool is_feeding, abort_due;
    bool is_tls, is_http2; /* its input began with the preface of HTTP/2 (RFC 9113, 3.4) */
    int depth;
    int64_t deadline_ns; /* of the state; the timer looks at it when it fires */
    int64_t armed_ns;    /* when it fires */
    struct env_timer timer;
    struct env_task task; /* goes on with pipelined input */
    llhttp_t parser;
    struct strbuf in; /* input that waits, from in_at on */
    size_t in_at;
    struct span rest; /* while feeding: what follows the request being dispatched */
    int error_status; /* set by parser callbacks */
    struct http2 *http2;
    struct http_exchange x;
};

struct http_listener {
    struct http_server *server;
    struct env_listener *listener;
    struct tls_server *tls;
    bool is_root;
};

struct http_server {
    struct env *env;
    struct http_handler handler;
    void *data;
    VEC(struct http_listener *) listeners;
    struct list conns;
    struct http_server_stats stats;
    struct strbuf scratch; /* a reply is put together here */
    llhttp_settings_t settings;
    bool is_closing, is_freed;
};

/* ---- http_exchange.c ---- */

/* Releases what belongs to the request; buffers of common size are kept for the next one. */
void http_exchange_reset(struct http_exchange *x);
void http_exchange_done(struct http_exchange *x);
const char *http_status_text(int status);
bool http_wants_gzip(struct http_exchange *x);

/* ---- http1.c ---- */

extern const struct http_reply_ops http1_ops;

/* ---- http2.c: one session of HTTP/2 (RFC 9113) on a connection ---- */

/* The connection is in state CONN_HTTP2 from now on. preface: what has been read of the input. */
struct http2 *http2_new(struct http_conn *c, struct span preface);
void http2_free(struct http2 *h);
/* conn_enter is the caller's. */
void http2_read(struct http2 *h, struct span bytes);
void http2_drain(struct http2 *h);
/* The peer is gone and the connection has no stream any more: streamed replies are aborted,
 * handlers that have yet to answer do so into the void, and the last one closes the connection. */
void http2_end(struct http2 *h);
/* The connection's timer: resets streams that are too slow; closes a session without streams. */
void http2_timer(struct http2 *h);
/* The server stops: streamed replies are aborted; closes the connection after the last reply. */
void http2_stop(struct http2 *h);

/* ---- http_parse.c ---- */

void http_parse_settings(llhttp_settings_t *settings);
void http_parse_begin(struct http_conn *c);
/* Parses until a request is complete or the bytes are used. Returns the bytes used; sets *ret_done
 * at the end of a request, error_status on failure (an HTTP status), is_http2 after the preface of
 * HTTP/2 where no ALPN could have chosen it. */
size_t http_parse(struct http_conn *c, struct span bytes, bool *ret_done);

/* ---- http_server.c ---- */

void conn_enter(struct http_conn *c);
void conn_leave(struct http_conn *c);
void conn_deadline(struct http_conn *c, int64_t delay_ms);
/* Ends the connection; flush lets queued bytes leave. */
void conn_close(struct http_conn *c, bool flush);
/* The exchange's reply is complete: next request, or the end. */
void conn_exchange_done(struct http_conn *c);
/* Tells the stream's handler in a later callback that the peer is gone (HTTP/1.1). */
void conn_abort_later(struct http_conn *c);
/* Input that came behind the request in progress. */
struct span conn_rest(const struct http_conn *c);
void conn_no_deadline(struct http_conn *c);

/* ---- http_gzip.c ---- */

/* Appends the gzip form of body to out; false when it does not become smaller. */
bool http_gzip(struct span body, struct strbuf *out);

#endif
