/* http/http.h: a bounded HTTP/1.1 and HTTP/2 server on env streams, with or without TLS. Knows
 * nothing of Kubernetes. HTTP/2 is chosen by ALPN, and without TLS by its preface.
 *
 * A request is handed up whole (head and body, both limited); its memory is the exchange's arena.
 * The reply is one of: http_reply (whole), http_reply_source (made while it is sent),
 * http_stream_begin .. _write .. _end or _abort (chunked; pull with on_drain), or http_upgrade (the
 * connection becomes a byte stream). Exactly one of them, at once or later. Keep-alive, pipelining
 * and streams are handled here. Slow or oversized clients are dropped by the limits of
 * base/limits.h. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/arena.h"
#include "base/span.h"
#include "base/strbuf.h"
#include "env/env.h"
#include "http/tls.h"

struct http_server;
struct http_exchange;

struct http_handler {
    /* A complete request. The exchange lives until its reply is complete (or on_abort has
     * returned). */
    void (*on_request)(void *data, struct http_exchange *x);
    /* JSON that a 413 carries, for clients that show nothing but their own form of errors; NULL: a
     * plain sentence. Static. */
    const char *too_large;
};

struct http_server *http_server_new(struct env *env, const struct http_handler *handler,
                                    void *data);
/* tls NULL: plain text (the root-only control socket). Errors as env_listen_*. Several listeners
 * may be added. */
int http_server_listen_tcp(struct http_server *s, const char *addr, uint16_t port,
                           struct tls_server *tls, uint16_t *ret_port);
int http_server_listen_unix(struct http_server *s, const char *path, mode_t mode);
/* Stops accepting; ends idle connections now, busy ones when their reply is complete, streams at
 * once. */
void http_server_close(struct http_server *s);
void http_server_free(struct http_server *s);
struct http_server_stats {
    uint64_t connections, connections_open, requests, rejected;
};
void http_server_stats(const struct http_server *s, struct http_server_stats *ret);

/* ---- the request ---- */

struct arena *http_arena(struct http_exchange *x);
/* The same, now the caller's: for what outlives an http_upgrade. Nothing of it may be freed before
 * the exchange is over. */
struct arena *http_take_arena(struct http_exchange *x);
struct span http_method(const struct http_exchange *x); /* "GET" */
struct span http_path(const struct http_exchange *x);   /* before '?', still percent-encoded */
struct span http_query(const struct http_exchange *x);  /* after '?', still encoded */
/* First value, or empty; name in lower case. */
struct span http_header(const struct http_exchange *x, const char *name);
/* Iterates over all, names in lower case: size_t at = 0; while (http_header_next(...)). */
bool http_header_next(const struct http_exchange *x, size_t *at, struct span *ret_name,
                      struct span *ret_value);
/* All values of a header joined with ", " (X-Stream-Protocol-Version comes several times). */
struct span http_header_all(struct http_exchange *x, const char *name);
struct span http_body(const struct http_exchange *x);
/* Identity of a verified client certificate: common name, and organisations joined by '\n'. Empty
 * without one. On the control socket: common name "root-socket". */
struct span http_client_name(const struct http_exchange *x);
struct span http_client_orgs(const struct http_exchange *x);
/* SHA-256 of that certificate, 32 bytes; empty without one. */
struct span http_client_fingerprint(const struct http_exchange *x);
const char *http_peer(const struct http_exchange *x);

/* ---- the reply ---- */

/* Before the reply begins; spans are copied. */
void http_add_header(struct http_exchange *x, const char *name, struct span value);
/* Whole reply with Content-Length. The body is copied or sent before the call returns. HEAD sends
 * no body. */
void http_reply(struct http_exchange *x, int status, const char *content_type, struct span body);

/* A reply of any length, made in parts as the client takes them. A short one leaves whole. */
struct http_source {
    /* Appends some more, a few KB at least, and says whether anything is left. Nothing appended:
     * it is asked again in the next turn of the loop. */
    bool (*next)(void *data, struct strbuf *out);
    /* Nothing more is asked for: all is made, or the peer is gone. Once; the exchange's arena is
     * there still. */
    void (*done)(void *data);
};
/* The client has LIMIT_HTTP_WRITE_MS to take it all. done may run before this returns. */
void http_reply_source(struct http_exchange *x, int status, const char *content_type,
                       const struct http_source *source, void *data);

struct http_stream_handler {
    void (*on_drain)(void *data); /* room again: go on writing */
    void (*on_abort)(void *data); /* the peer is gone; the exchange is released after this call */
};
void http_stream_begin(struct http_exchange *x, int status, const char *content_type,
                       const struct http_stream_handler *handler, void *data);
void http_stream_write(struct http_exchange *x, struct span bytes);
/* Bytes not yet taken by the kernel; producers stop above 64 KiB and continue in on_drain. */
size_t http_stream_queued(const struct http_exchange *x);
void http_stream_end(struct http_exchange *x); /* x is gone afterwards */
/* The reply will not be complete, and the client is to see that: what is written still leaves, then
 * HTTP/1.1 ends the connection without the last chunk, HTTP/2 resets the stream. x is gone
 * afterwards. */
void http_stream_abort(struct http_exchange *x);

/* Sends 101 with the headers added so far (Upgrade, Connection are the caller's) and hands the
 * connection over as a stream (TLS already undone); HTTP/1.1 only, where such requests come from;
 * bytes that followed the head arrive at its first on_read. x is gone afterwards, its arena too. */
struct env_stream *http_upgrade(struct http_exchange *x);

/* ---- helpers ---- */

/* Percent-decodes into the arena; '+' becomes a space when in_query. False when malformed. */
bool http_unescape(struct arena *a, struct span in, bool in_query, struct span *ret);
/* Decoded value of the first query parameter of that name; false when absent or malformed. */
bool http_query_get(struct http_exchange *x, const char *name, struct span *ret);
/* A parameter's value as Kubernetes reads a yes or no: all but "0" and "false", in any case. */
bool http_query_true(struct span value);
/* Iterates: size_t at = 0; while (http_query_next(x, &at, &key, &value)) ... (decoded) */
bool http_query_next(struct http_exchange *x, size_t *at, struct span *ret_key,
                     struct span *ret_value);

#endif
