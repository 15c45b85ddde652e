/* test/kit/http2_kit.h: a client of HTTP/2 on the loop: many requests at a time on one connection.
 */
#ifndef TEST_KIT_HTTP2_KIT_H
#define TEST_KIT_HTTP2_KIT_H

#include "base/span.h"
#include "test/kit/https_kit.h"

struct http2_conn;
struct http2_handler {
    void (*on_ready)(void *data); /* connected; requests may follow */
    /* The reply of a request (its `tag`) is complete; status 0: the stream was reset with `error`.
     */
    void (*on_reply)(void *data, void *tag, int status, struct span body, uint32_t error);
    /* Part of a reply's body, as it comes; NULL: bodies are collected. */
    void (*on_part)(void *data, void *tag, struct span part);
    /* As in https_kit.h; code 0: ended by the peer. */
    void (*on_fail)(void *data, int code);
};

/* The kit's TLS client must offer HTTP/2 (tls_client_offer_http2). */
struct http2_conn *http2_conn_new(const struct https_kit *k, const struct http2_handler *handler,
                                  void *data);
/* Outside callbacks of the connection only. */
void http2_conn_free(struct http2_conn *c);
/* content_type NULL: no body is sent. headers: "name: value\r\n" lines in lower case, may be empty;
 * spaces of a value, but the one after the colon, are sent.
 * Returns the stream. */
int32_t http2_conn_send(struct http2_conn *c, const char *method, const char *path,
                        const char *headers, const char *content_type, struct span body, void *tag);
/* Resets a stream (CANCEL). */
void http2_conn_cancel(struct http2_conn *c, int32_t stream);
/* Writes raw bytes behind the session's back. */
void http2_conn_raw(struct http2_conn *c, struct span bytes);
/* Stops taking input, as a client does that is stuck. */
void http2_conn_pause(struct http2_conn *c, bool paused);

#endif
