/* Bytes to requests: llhttp with every limit applied before a byte is kept. */
#include <llhttp.h>

#include "base/check.h"
#include "http/http_priv.h"

static struct http_conn *of(llhttp_t *p)
{
    return CONTAINER_OF(p, struct http_conn, parser);
}

static int reject(struct http_conn *c, int status)
{
    assert(status >= 400);
    c->error_status = status;
    return HPE_USER;
}

static int keep(struct http_conn *c, const char *p, size_t n)
{
    if (c->x.head.n + n > LIMIT_HTTP_HEAD_BYTES) {
        return reject(c, 431);
    }
    strbuf_put(&c->x.head, span_of(p, n));
    return 0;
}

static int on_url(llhttp_t *p, const char *at, size_t n)
{
    struct http_conn *c = of(p);
    if (c->x.url_n + n > LIMIT_URL_BYTES) {
        return reject(c, 414);
    }
    c->x.url_n += (uint32_t)n;
    return keep(c, at, n);
}

/* A name starts where the previous value ended; trailers, after the head, are dropped. */
static int on_field(llhttp_t *p, const char *at, size_t n)
{
    struct http_conn *c = of(p);
    struct http_exchange *x = &c->x;
    if (c->headers_over) {
        return 0;
    }
    if (x->field_count == LIMIT_HTTP_HEADERS) {
        return reject(c, 431);
    }
    struct http_field *f = &x->fields[x->field_count];
    if (f->name_n == 0) {
        f->name_at = (uint32_t)c->x.head.n;
    }
    if (keep(c, at, n) != 0) {
        return HPE_USER;
    }
    for (size_t i = c->x.head.n - n; i < c->x.head.n; i++) {
        char ch = c->x.head.p[i];
        c->x.head.p[i] = ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch;
    }
    f->name_n += (uint32_t)n;
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
    struct http_conn *c = of(p);
    if (c->headers_over) {
        return 0;
    }
    assert(c->x.field_count < LIMIT_HTTP_HEADERS);
    struct http_field *f = &c->x.fields[c->x.field_count];
    if (f->value_n == 0) {
        f->value_at = (uint32_t)c->x.head.n;
    }
    f->value_n += (uint32_t)n;
    return keep(c, at, n);
}

static int on_value_complete(llhttp_t *p)
{
    struct http_conn *c = of(p);
    if (c->headers_over) {
        return 0;
    }
    struct http_exchange *x = &c->x;
    assert(x->field_count < LIMIT_HTTP_HEADERS);
    struct http_field *f = &x->fields[x->field_count++];
    while (f->value_n && (c->x.head.p[f->value_at + f->value_n - 1] == ' ' ||
                          c->x.head.p[f->value_at + f->value_n - 1] == '\t')) {
        f->value_n--;
    }
    if (x->field_count < LIMIT_HTTP_HEADERS) {
        x->fields[x->field_count] = (struct http_field){0};
    }
    return 0;
}

static int on_headers(llhttp_t *p)
{
    struct http_conn *c = of(p);
    struct http_exchange *x = &c->x;
    c->headers_over = true;
    x->method = llhttp_method_name((llhttp_method_t)p->method);
    x->minor = p->http_minor;
    x->is_head = p->method == HTTP_HEAD;
    if (p->http_major != 1) {
        return reject(c, 505);
    }
    bool chunked = (p->flags & F_CHUNKED) != 0;
    if (!chunked && p->content_length > LIMIT_BODY_BYTES) {
        return reject(c, 413);
    }
    if (chunked || p->content_length > 0) {
        struct span expect = http_header(x, "expect");
        if (expect.n && !span_eq_nocase(expect, SPAN("100-continue"))) {
            return reject(c, 417);
        }
        if (expect.n && x->minor >= 1) {
            env_stream_write(c->stream, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
        }
    }
    conn_deadline(c, LIMIT_HTTP_READ_MS);
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
    struct http_conn *c = of(p);
    if (c->x.body.n + n > LIMIT_BODY_BYTES) {
        return reject(c, 413);
    }
    if (c->x.body.n == 0 && (p->flags & F_CHUNKED) == 0) {
        (void)strbuf_room(&c->x.body, n + (size_t)p->content_length); /* once, not by doubling */
    }
    strbuf_put(&c->x.body, span_of(at, n));
    return 0;
}

static int on_complete(llhttp_t *p)
{
    struct http_conn *c = of(p);
    c->x.keep_alive = llhttp_should_keep_alive(p) == 1;
    c->head_done = true;
    return HPE_PAUSED;
}

void http_parse_settings(llhttp_settings_t *settings)
{
    llhttp_settings_init(settings);
    settings->on_url = on_url;
    settings->on_header_field = on_field;
    settings->on_header_value = on_value;
    settings->on_header_value_complete = on_value_complete;
    settings->on_headers_complete = on_headers;
    settings->on_body = on_body;
    settings->on_message_complete = on_complete;
}

void http_parse_begin(struct http_conn *c)
{
    assert(c->server);
    struct http_exchange *x = &c->x;
    llhttp_init(&c->parser, HTTP_REQUEST, &c->server->settings);
    c->headers_over = c->head_done = c->in_head = false;
    c->error_status = 0;
    x->url_n = 0;
    x->field_count = 0;
    x->fields[0] = (struct http_field){0};
}

size_t http_parse(struct http_conn *c, struct span bytes, bool *ret_done)
{
    assert(c->error_status == 0);
    assert(!c->head_done);
    *ret_done = false;
    enum llhttp_errno e = llhttp_execute(&c->parser, bytes.p, bytes.n);
    if (e == HPE_OK) {
        return bytes.n;
    }
    const char *at = llhttp_get_error_pos(&c->parser);
    size_t used = at ? (size_t)(at - bytes.p) : bytes.n;
    assert(used <= bytes.n);
    if (c->head_done && (e == HPE_PAUSED || e == HPE_PAUSED_UPGRADE)) {
        *ret_done = true;
    } else if (e == HPE_PAUSED_H2_UPGRADE && !c->is_tls) {
        c->is_http2 = true;
    } else if (c->error_status == 0) {
        c->error_status = e == HPE_INVALID_VERSION || e == HPE_PAUSED_H2_UPGRADE ? 505 : 400;
    }
    return used;
}
