/* http/http_priv.h: connections and exchanges, shared by the files of http/.
 *
 * A connection's life (one request at a time, so one exchange embedded in it):
 *
 *   HANDSHAKE -> READ -> BUSY -> READ            whole reply
 *                  |       +---> STREAM -> READ  chunked reply
 *                  |       +---> (handed over)   upgrade
 *                  |       +---> DRAIN -> READ   the client has not taken the reply yet
 *                  +-> LINGER                    error reply sent; input is thrown away until the
 * peer ends BUSY -> ORPHAN: the peer is gone, the handler has yet to answer into the void.
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
    CONN_CLOSED
};

/* Offsets into http_conn.head. */
struct http_field {
    uint32_t name_at, name_n, value_at, value_n;
};

struct http_exchange {
    uint8_t method; /* llhttp_method_t */
    uint8_t minor;  /* HTTP/1.minor */
    bool keep_alive, is_chunked, is_head;
    uint32_t url_n; /* the URL is the start of head */
    struct http_field fields[LIMIT_HTTP_HEADERS];
    size_t field_count;
    struct strbuf reply_head; /* header lines added so far; kept for the next exchange */
    bool has_encoding;        /* Content-Encoding was added by the handler */
    struct http_stream_handler stream;
    void *stream_data;
};

struct http_conn {
    struct list link;
    struct http_server *server;
    struct env_stream *stream; /* NULL once gone or handed over */
    enum conn_state state;
    bool is_root, peer_ended, is_reading, in_head, head_done, headers_over;
    bool is_feeding, abort_due;
    int depth;
    int64_t deadline_ns; /* of the state; the timer looks at it when it fires */
    int64_t armed_ns;    /* when it fires */
    struct env_timer timer;
    struct env_task task; /* goes on with pipelined input */
    llhttp_t parser;
    struct strbuf in; /* input that waits, from in_at on */
    size_t in_at;
    struct span rest; /* while feeding: what follows the request being dispatched */
    struct strbuf head, body;
    int error_status; /* set by parser callbacks */
    struct arena *arena;
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

static inline struct http_conn *conn_of(const struct http_exchange *x)
{
    return CONTAINER_OF((struct http_exchange *)(uintptr_t)x, struct http_conn, x);
}

/* ---- http_parse.c ---- */

void http_parse_settings(llhttp_settings_t *settings);
void http_parse_begin(struct http_conn *c);
/* Parses until a request is complete or the bytes are used. Returns the bytes used; sets *ret_done
 * at the end of a request, error_status on failure (an HTTP status). */
size_t http_parse(struct http_conn *c, struct span bytes, bool *ret_done);

/* ---- http_server.c ---- */

void conn_enter(struct http_conn *c);
void conn_leave(struct http_conn *c);
void conn_deadline(struct http_conn *c, int64_t delay_ms);
/* Ends the connection; flush lets queued bytes leave. */
void conn_close(struct http_conn *c, bool flush);
/* The exchange's reply is complete: next request, or the end. */
void conn_exchange_done(struct http_conn *c);
/* Tells the stream's handler in a later callback that the peer is gone. */
void conn_abort_later(struct http_conn *c);
/* Input that came behind the request in progress. */
struct span conn_rest(const struct http_conn *c);
/* Releases what belongs to the request. */
void conn_reset(struct http_conn *c);

/* ---- http_gzip.c ---- */

/* Appends the gzip form of body to out; false when it does not become smaller. */
bool http_gzip(struct span body, struct strbuf *out);

#endif
