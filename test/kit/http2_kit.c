#include "test/kit/http2_kit.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/strbuf.h"

struct request {
    struct list link;
    struct http2_conn *c;
    void *tag;
    int status;
    struct strbuf body, send;
    size_t send_at;
};

struct http2_conn {
    const struct https_kit *kit;
    const struct http2_handler *handler;
    void *data;
    struct env_stream *stream;
    nghttp2_session *session;
    struct list requests;
    struct env_task task;
    struct strbuf out;
    bool receiving;
};

static void pump(struct http2_conn *c)
{
    const uint8_t *p;
    strbuf_clear(&c->out);
    for (ssize_t n; (n = nghttp2_session_mem_send(c->session, &p)) > 0;) {
        strbuf_put(&c->out, span_of((const char *)p, (size_t)n));
    }
    if (c->out.n && c->stream) {
        env_stream_write(c->stream, strbuf_span(&c->out));
    }
}

static void on_task(struct env_task *task)
{
    struct http2_conn *c = CONTAINER_OF(task, struct http2_conn, task);
    if (!c->receiving) {
        pump(c);
    }
}

static void request_free(struct request *r)
{
    list_remove(&r->link);
    strbuf_done(&r->body);
    strbuf_done(&r->send);
    free(r);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *data)
{
    (void)flags, (void)data;
    struct request *r = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    uint64_t status = 0;
    if (r && span_eq(span_of((const char *)name, name_n), SPAN(":status")) &&
        span_to_u64(span_of((const char *)value, value_n), &status)) {
        r->status = (int)status;
    }
    return 0;
}

static int on_part(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *data)
{
    struct http2_conn *c = data;
    (void)flags;
    struct request *r = nghttp2_session_get_stream_user_data(session, id);
    struct span part = span_of((const char *)p, n);
    if (r && c->handler->on_part) {
        c->handler->on_part(c->data, r->tag, part);
    } else if (r) {
        strbuf_put(&r->body, part);
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *data)
{
    struct http2_conn *c = data;
    struct request *r = nghttp2_session_get_stream_user_data(session, id);
    if (r) {
        c->handler->on_reply(c->data, r->tag, error ? 0 : r->status, strbuf_span(&r->body), error);
        request_free(r);
    }
    return 0;
}

static void on_read(void *data, struct span bytes)
{
    struct http2_conn *c = data;
    c->receiving = true;
    (void)nghttp2_session_mem_recv(c->session, (const uint8_t *)bytes.p, bytes.n);
    c->receiving = false;
    pump(c);
}

static void on_end(void *data, int code)
{
    struct http2_conn *c = data;
    env_stream_close(TAKE_PTR(c->stream));
    c->handler->on_fail(c->data, code);
}

static const struct env_stream_handler stream_handler = {on_read, on_end, NULL};

static void on_stream(void *data, int code, struct env_stream *stream)
{
    struct http2_conn *c = data;
    c->stream = stream;
    if (code < 0 || !tls_is_http2(stream)) {
        if (stream) {
            env_stream_close(TAKE_PTR(c->stream));
        }
        c->handler->on_fail(c->data, code < 0 ? code : -EPROTO);
        return;
    }
    env_stream_set(stream, &stream_handler, c);
    env_stream_read(stream, true);
    (void)nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
    c->handler->on_ready(c->data);
    pump(c);
}

static void on_connected(void *data, int code, struct env_stream *stream)
{
    struct http2_conn *c = data;
    if (code == 0) {
        (void)tls_connect(c->kit->tls, stream, "127.0.0.1", on_stream, c);
    } else {
        on_stream(c, code, stream);
    }
}

struct http2_conn *http2_conn_new(const struct https_kit *k, const struct http2_handler *handler,
                                  void *data)
{
    struct http2_conn *c = MEM_NEW(struct http2_conn);
    nghttp2_session_callbacks *callbacks;
    *c = (struct http2_conn){.kit = k, .handler = handler, .data = data};
    list_init(&c->requests);
    (void)nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_part);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    int code = nghttp2_session_client_new(&c->session, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    assert(code == 0);
    code = env_connect_tcp(k->env, "127.0.0.1", k->port, on_connected, c);
    assert(code == 0);
    return c;
}

void http2_conn_free(struct http2_conn *c)
{
    if (!c) {
        return;
    }
    assert(!c->receiving);
    if (c->stream) {
        env_stream_close(c->stream);
    }
    env_post_cancel(c->kit->env, &c->task);
    LIST_EACH(link, &c->requests)
    {
        request_free(CONTAINER_OF(link, struct request, link));
    }
    nghttp2_session_del(c->session);
    strbuf_done(&c->out);
    free(c);
}

static ssize_t on_source(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *data)
{
    struct request *r = source->ptr;
    (void)session, (void)id, (void)data;
    size_t left = r->send.n - r->send_at, n = left < room ? left : room;
    memcpy(buf, r->send.p + r->send_at, n);
    r->send_at += n;
    if (n == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)n;
}

static nghttp2_nv nv(struct span name, struct span value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.p,
                        .value = (uint8_t *)(uintptr_t)value.p,
                        .namelen = name.n,
                        .valuelen = value.n};
}

int32_t http2_conn_send(struct http2_conn *c, const char *method, const char *path,
                        const char *headers, const char *content_type, struct span body, void *tag)
{
    enum { MAX = 120 };
    struct request *r = MEM_NEW(struct request);
    nghttp2_nv nva[MAX + 5];
    size_t n = 0;
    r->c = c;
    r->tag = tag;
    list_push_back(&c->requests, &r->link);
    nva[n++] = nv(SPAN(":method"), span_cstr(method));
    nva[n++] = nv(SPAN(":scheme"), SPAN("https"));
    nva[n++] = nv(SPAN(":authority"), SPAN("127.0.0.1"));
    nva[n++] = nv(SPAN(":path"), span_cstr(path));
    if (content_type) {
        nva[n++] = nv(SPAN("content-type"), span_cstr(content_type));
        strbuf_put(&r->send, body);
    }
    for (struct span rest = span_cstr(headers); rest.n && n < MAX + 5;) {
        struct span line = span_cut(&rest, '\n');
        struct span value = span_cut(&line, '\r');
        struct span name = span_cut(&value, ':');
        nva[n++] = nv(name, value.n && value.p[0] == ' ' ? span_from(value, 1) : value);
    }
    nghttp2_data_provider source = {.source = {.ptr = r}, .read_callback = on_source};
    int32_t id = nghttp2_submit_request(c->session, NULL, nva, n, content_type ? &source : NULL, r);
    assert(id > 0);
    env_post(c->kit->env, &c->task, on_task);
    return id;
}

void http2_conn_cancel(struct http2_conn *c, int32_t stream)
{
    (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    env_post(c->kit->env, &c->task, on_task);
}

void http2_conn_raw(struct http2_conn *c, struct span bytes)
{
    assert(c->stream);
    pump(c);
    env_stream_write(c->stream, bytes);
}

void http2_conn_pause(struct http2_conn *c, bool paused)
{
    assert(c->stream);
    env_stream_read(c->stream, !paused);
}
