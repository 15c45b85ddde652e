/* http/http_response.h: the reply of somebody else's HTTP/1.x server, read by llhttp under limits.
 * Bytes in, head and body out; no stream, no clock. Informational replies (1xx) are left out, 101
 * is an error: nobody here asked for an upgrade. */
#ifndef HTTP_HTTP_RESPONSE_H
#define HTTP_HTTP_RESPONSE_H

#include "base/span.h"

struct http_response;
struct http_response_handler {
    /* Status and all headers are there: http_response_status(), http_response_header(). */
    void (*on_head)(void *data);
    void (*on_body)(void *data, struct span bytes);
};
enum http_response_state {
    HTTP_RESPONSE_MORE, /* not complete yet */
    HTTP_RESPONSE_DONE,
    HTTP_RESPONSE_BAD /* not HTTP, or beyond a limit: http_response_why() */
};

/* to_head: the request was a HEAD, so no body follows. */
struct http_response *http_response_new(bool to_head, const struct http_response_handler *handler,
                                        void *data);
void http_response_free(struct http_response *r); /* NULL is fine; not inside its callbacks */
/* Not after DONE or BAD. */
enum http_response_state http_response_feed(struct http_response *r, struct span bytes);
/* The server has ended its side: DONE when that is how the reply ends. */
enum http_response_state http_response_end(struct http_response *r);

/* From on_head on. */
int http_response_status(const struct http_response *r);
/* Iterates over the headers: size_t at = 0; while (http_response_header(r, &at, &name, &value)).
 * Names in lower case. */
bool http_response_header(const struct http_response *r, size_t *at, struct span *ret_name,
                          struct span *ret_value);
const char *http_response_why(const struct http_response *r);

#endif
