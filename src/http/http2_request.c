/* Requests in HTTP/2: heads and bodies as nghttp2 brings them, bounded as in HTTP/1.1. */
#include "http/http2_priv.h"

#include "base/check.h"

/* Answers before the request is complete; what follows of it is thrown away. */
static void reject(struct http2_stream *s, int status)
{
    struct http_server *server = s->h->conn->server;
    const char *json = server->handler.too_large;
    bool is_json = status == 413 && json;
    char text[64];
    (void)snprintf(text, sizeof text, "%d %s", status, http_status_text(status));
    assert(s->state == S_READ);
    server->stats.rejected++;
    http2_reply(&s->x, status, is_json ? "application/json" : "text/plain; charset=utf-8",
                span_cstr(is_json ? json : text));
}

static const char *known_method(struct span name)
{
    static const char *const methods[] = {"GET",   "HEAD",   "POST",    "PUT",
                                          "PATCH", "DELETE", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (span_eq(name, span_cstr(methods[i]))) {
            return methods[i];
        }
    }
    return NULL;
}

static void add_field(struct http2_stream *s, struct span name, struct span value)
{
    struct http_exchange *x = &s->x;
    if (x->field_count == LIMIT_HTTP_HEADERS ||
        x->head.n + name.n + value.n > LIMIT_HTTP_HEAD_BYTES) {
        reject(s, 431);
        return;
    }
    struct http_field *f = &x->fields[x->field_count++];
    f->name_at = (uint32_t)x->head.n;
    f->name_n = (uint32_t)name.n;
    strbuf_put(&x->head, name);
    f->value_at = (uint32_t)x->head.n;
    f->value_n = (uint32_t)value.n;
    strbuf_put(&x->head, value);
}

/* nghttp2 brings the pseudo headers first and each at most once. The URL is the start of the head,
 * so :path moves what came before it (:authority may). */
static void put_path(struct http2_stream *s, struct span path)
{
    struct http_exchange *x = &s->x;
    if (path.n > LIMIT_URL_BYTES) {
        reject(s, 414);
        return;
    }
    struct span old = arena_dup(x->arena, strbuf_span(&x->head));
    strbuf_clear(&x->head);
    strbuf_put(&x->head, path);
    strbuf_put(&x->head, old);
    x->url_n = (uint32_t)path.n;
    for (size_t i = 0; i < x->field_count; i++) {
        x->fields[i].name_at += x->url_n;
        x->fields[i].value_at += x->url_n;
    }
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name_p,
                     size_t name_n, const uint8_t *value_p, size_t value_n, uint8_t flags,
                     void *data)
{
    (void)flags, (void)data;
    struct http2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    struct span name = span_of((const char *)name_p, name_n);
    struct span value = span_of((const char *)value_p, value_n);
    if (!s || s->state != S_READ || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0; /* rejected, or a trailer */
    }
    if (name.n == 0 || name.p[0] != ':') {
        add_field(s, name, span_trim(value));
    } else if (span_eq(name, SPAN(":method"))) {
        s->x.method = known_method(value);
        s->x.is_head = span_eq(value, SPAN("HEAD"));
    } else if (span_eq(name, SPAN(":path"))) {
        put_path(s, value);
    } else if (span_eq(name, SPAN(":authority"))) {
        add_field(s, SPAN("host"), value);
    }
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
    struct http2 *h = data;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        struct http2_stream *s = http2_stream_new(h, frame->hd.stream_id);
        (void)nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *data)
{
    (void)flags, (void)data;
    struct http2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)nghttp2_session_consume_stream(session, id, n);
    if (s && s->state == S_READ && s->x.body.n + n > LIMIT_BODY_BYTES) {
        reject(s, 413);
    }
    if (!s || s->state != S_READ) {
        (void)nghttp2_session_consume_connection(session, n);
        return 0;
    }
    strbuf_put(&s->x.body, span_of((const char *)p, n));
    s->held += n;
    return 0;
}

static void head_done(struct http2_stream *s)
{
    struct span expect = http_header(&s->x, "expect");
    if (!s->x.method || s->x.url_n == 0) {
        reject(s, 400);
    } else if (expect.n && !span_eq_nocase(expect, SPAN("100-continue"))) {
        reject(s, 417);
    } else {
        if (expect.n) {
            nghttp2_nv go = http2_nv(SPAN(":status"), SPAN("100"));
            (void)nghttp2_submit_headers(s->h->session, NGHTTP2_FLAG_NONE, s->id, NULL, &go, 1,
                                         NULL);
        }
        http2_due_in(s, LIMIT_HTTP_READ_MS);
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
    struct http2 *h = data;
    struct http_server *server = h->conn->server;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    struct http2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s || s->state != S_READ) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        head_done(s);
    }
    if (s->state == S_READ && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        s->state = S_WAIT;
        s->due_ns = INT64_MAX;
        server->stats.requests++;
        server->handler.on_request(server->data, &s->x);
    }
    return 0;
}

void http2_request_callbacks(nghttp2_session_callbacks *callbacks)
{
    assert(callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
}
