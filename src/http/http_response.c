/* http/http_response.c: see http_response.h. */
#include "http/http_response.h"

#include <llhttp.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/strbuf.h"

struct response_field {
    size_t name_at, name_n, value_at, value_n;
};

struct http_response {
    llhttp_t parser;
    llhttp_settings_t settings;
    const struct http_response_handler *handler;
    void *data;
    struct strbuf head; /* names and values */
    struct response_field fields[LIMIT_HTTP_HEADERS];
    size_t field_count;
    int status;
    bool to_head, head_over, is_interim, done;
    const char *why;
};

static struct http_response *of(llhttp_t *p)
{
    return CONTAINER_OF(p, struct http_response, parser);
}

static int reject(struct http_response *r, const char *why)
{
    r->why = why;
    return HPE_USER;
}

static int keep(struct http_response *r, const char *p, size_t n)
{
    if (r->head.n + n > LIMIT_HTTP_HEAD_BYTES) {
        return reject(r, "its head is too large");
    }
    strbuf_put(&r->head, span_of(p, n));
    return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
    struct http_response *r = of(p);
    if (r->head_over) {
        return 0; /* a trailer */
    }
    if (r->field_count == LIMIT_HTTP_HEADERS) {
        return reject(r, "it has too many headers");
    }
    struct response_field *f = &r->fields[r->field_count];
    if (f->name_n == 0) {
        f->name_at = r->head.n;
    }
    if (keep(r, at, n) != 0) {
        return HPE_USER;
    }
    for (size_t i = r->head.n - n; i < r->head.n; i++) {
        char ch = r->head.p[i];
        r->head.p[i] = ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch;
    }
    f->name_n += n;
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
    struct http_response *r = of(p);
    if (r->head_over) {
        return 0;
    }
    assert(r->field_count < LIMIT_HTTP_HEADERS);
    struct response_field *f = &r->fields[r->field_count];
    if (f->value_n == 0) {
        f->value_at = r->head.n;
    }
    f->value_n += n;
    return keep(r, at, n);
}

static int on_value_complete(llhttp_t *p)
{
    struct http_response *r = of(p);
    if (!r->head_over) {
        assert(r->field_count < LIMIT_HTTP_HEADERS);
        r->field_count++;
        if (r->field_count < LIMIT_HTTP_HEADERS) {
            r->fields[r->field_count] = (struct response_field){0};
        }
    }
    return 0;
}

static int on_headers(llhttp_t *p)
{
    struct http_response *r = of(p);
    r->status = p->status_code;
    if (p->http_major != 1) {
        return reject(r, "it is not HTTP/1");
    }
    if (r->status == 101 || p->upgrade) {
        return reject(r, "it wants to change the protocol");
    }
    r->is_interim = r->status < 200;
    if (!r->is_interim) {
        r->head_over = true;
        r->handler->on_head(r->data);
    }
    return r->to_head || r->is_interim ? 1 : 0; /* 1: there is no body */
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
    struct http_response *r = of(p);
    r->handler->on_body(r->data, span_of(at, n));
    return 0;
}

static int on_complete(llhttp_t *p)
{
    struct http_response *r = of(p);
    if (r->is_interim) {
        strbuf_clear(&r->head);
        r->field_count = 0;
        r->fields[0] = (struct response_field){0};
        return 0;
    }
    r->done = true;
    return HPE_PAUSED;
}

struct http_response *http_response_new(bool to_head, const struct http_response_handler *handler,
                                        void *data)
{
    assert(handler);
    assert(handler->on_head);
    assert(handler->on_body);
    struct http_response *r = MEM_NEW(struct http_response);
    llhttp_settings_init(&r->settings);
    r->settings.on_header_field = on_field;
    r->settings.on_header_value = on_value;
    r->settings.on_header_value_complete = on_value_complete;
    r->settings.on_headers_complete = on_headers;
    r->settings.on_body = on_body;
    r->settings.on_message_complete = on_complete;
    llhttp_init(&r->parser, HTTP_RESPONSE, &r->settings);
    r->to_head = to_head;
    r->handler = handler;
    r->data = data;
    r->why = "it is not HTTP";
    return r;
}

void http_response_free(struct http_response *r)
{
    if (r) {
        strbuf_done(&r->head);
        free(r);
    }
}

static enum http_response_state state_after(const struct http_response *r, enum llhttp_errno e)
{
    return r->done ? HTTP_RESPONSE_DONE : e == HPE_OK ? HTTP_RESPONSE_MORE : HTTP_RESPONSE_BAD;
}

enum http_response_state http_response_feed(struct http_response *r, struct span bytes)
{
    assert(!r->done);
    return state_after(r, llhttp_execute(&r->parser, bytes.p, bytes.n));
}

enum http_response_state http_response_end(struct http_response *r)
{
    assert(!r->done);
    (void)llhttp_finish(&r->parser);
    if (!r->done) {
        r->why =
            r->head_over ? "it ended in the middle" : "it closed the connection without a reply";
    }
    return r->done ? HTTP_RESPONSE_DONE : HTTP_RESPONSE_BAD;
}

int http_response_status(const struct http_response *r)
{
    assert(r->head_over);
    return r->status;
}

bool http_response_header(const struct http_response *r, size_t *at, struct span *ret_name,
                          struct span *ret_value)
{
    assert(ret_name);
    assert(ret_value);
    if (*at >= r->field_count) {
        return false;
    }
    const struct response_field *f = &r->fields[(*at)++];
    *ret_name = span_of(r->head.p + f->name_at, f->name_n);
    *ret_value = span_trim(span_of(r->head.p + f->value_at, f->value_n));
    return true;
}

const char *http_response_why(const struct http_response *r)
{
    assert(r);
    return r->why;
}
