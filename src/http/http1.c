/* Replies in HTTP/1.1 (RFC 9112). Every reply leaves in one write where it can: head and body are
 * put together first. */
#include "http/http_priv.h"

#include "base/check.h"
#include "http/http_upgrade.h"

enum { COALESCE_BYTES = 65536 }; /* larger bodies are written behind the head instead of copied */

static void put_header(struct strbuf *b, struct span name, struct span value)
{
    strbuf_put(b, name);
    strbuf_put(b, SPAN(": "));
    strbuf_put(b, value);
    strbuf_put(b, SPAN("\r\n"));
}

static struct strbuf *begin_head(struct http_exchange *x, int status, const char *content_type)
{
    struct http_conn *c = x->conn;
    struct strbuf *out = &c->server->scratch;
    strbuf_clear(out);
    if (status == 200) {
        strbuf_put(out, SPAN("HTTP/1.1 200 OK\r\n"));
    } else {
        strbuf_printf(out, "HTTP/1.1 %d %s\r\n", status, http_status_text(status));
    }
    if (content_type) {
        put_header(out, SPAN("Content-Type"), span_cstr(content_type));
    }
    strbuf_put(out, strbuf_span(&x->reply_head));
    if (status == 101) {
        return out;
    }
    if (c->server->is_closing || c->peer_ended) {
        x->keep_alive = false;
    }
    if (!x->keep_alive) {
        strbuf_put(out, SPAN("Connection: close\r\n"));
    } else if (x->minor == 0) {
        strbuf_put(out, SPAN("Connection: keep-alive\r\n"));
    }
    return out;
}

static void put_length(struct strbuf *out, size_t n)
{
    char digits[SPAN_NUMBER_BYTES];
    strbuf_put(out, SPAN("Content-Length: "));
    strbuf_put(out, span_u64(digits, n));
    strbuf_put(out, SPAN("\r\n"));
}

static bool h1_is_waiting(const struct http_exchange *x)
{
    return x->conn->state == CONN_BUSY;
}

static bool h1_is_gone(const struct http_exchange *x)
{
    return x->conn->state == CONN_ORPHAN;
}

static void h1_reply(struct http_exchange *x, int status, const char *content_type,
                     struct span body)
{
    struct http_conn *c = x->conn;
    bool bodyless = status == 204 || status == 304;
    struct strbuf *out = begin_head(x, status, bodyless ? NULL : content_type);
    if (!bodyless) {
        put_length(out, body.n);
    }
    strbuf_put(out, SPAN("\r\n"));
    if (bodyless || x->is_head) {
        body = SPAN_NULL;
    }
    bool together = body.n <= COALESCE_BYTES;
    if (together) {
        strbuf_put(out, body);
    }
    env_stream_write(c->stream, strbuf_span(out));
    if (!together) {
        env_stream_write(c->stream, body);
    }
    conn_exchange_done(c);
}

static void h1_abort_later(struct http_exchange *x)
{
    conn_abort_later(x->conn);
}

static void h1_begin(struct http_exchange *x, int status, const char *content_type)
{
    struct http_conn *c = x->conn;
    x->is_chunked = x->minor >= 1;
    if (!x->is_chunked) {
        x->keep_alive = false;
    }
    struct strbuf *out = begin_head(x, status, content_type);
    if (x->is_chunked) {
        strbuf_put(out, SPAN("Transfer-Encoding: chunked\r\n"));
    }
    strbuf_put(out, SPAN("\r\n"));
    c->state = CONN_STREAM;
    env_stream_write(c->stream, strbuf_span(out));
    if ((c->peer_ended || c->server->is_closing) && !x->is_pulled) {
        conn_abort_later(c);
    }
}

static void h1_write(struct http_exchange *x, struct span bytes)
{
    struct http_conn *c = x->conn;
    assert(c->state == CONN_STREAM);
    if (!x->is_chunked) {
        env_stream_write(c->stream, bytes);
        return;
    }
    struct strbuf *out = &c->server->scratch;
    strbuf_clear(out);
    strbuf_printf(out, "%zx\r\n", bytes.n);
    if (bytes.n <= COALESCE_BYTES) {
        strbuf_put(out, bytes);
        strbuf_put(out, SPAN("\r\n"));
        env_stream_write(c->stream, strbuf_span(out));
    } else {
        env_stream_write(c->stream, strbuf_span(out));
        env_stream_write(c->stream, bytes);
        env_stream_write(c->stream, SPAN("\r\n"));
    }
}

static size_t h1_queued(const struct http_exchange *x)
{
    return x->conn->stream ? env_stream_queued(x->conn->stream) : 0;
}

static void h1_end(struct http_exchange *x)
{
    assert(x->conn->state == CONN_STREAM);
    if (x->is_chunked && !x->is_head) {
        env_stream_write(x->conn->stream, SPAN("0\r\n\r\n"));
    }
    conn_exchange_done(x->conn);
}

/* Bytes that are already ours to deliver still leave. A reply whose length nobody knows but by the
 * end of the connection must not end cleanly. */
static void h1_abort(struct http_exchange *x)
{
    struct http_conn *c = x->conn;
    assert(c->state == CONN_STREAM);
    bool is_told = x->is_chunked && !x->is_head;
    http_exchange_reset(x);
    conn_close(c, is_told);
}

/* A chunk's length has always this form, so that the part can follow it before it is known. */
enum { CHUNK_DIGITS = 8 };

static struct strbuf *h1_part(struct http_exchange *x)
{
    struct strbuf *out = &x->conn->server->scratch;
    strbuf_clear(out);
    if (x->is_chunked) {
        strbuf_put(out, SPAN("00000000\r\n"));
    }
    return out;
}

static void h1_part_done(struct http_exchange *x)
{
    struct http_conn *c = x->conn;
    struct strbuf *out = &c->server->scratch;
    size_t head = x->is_chunked ? CHUNK_DIGITS + 2 : 0;
    assert(c->state == CONN_STREAM);
    assert(out->n >= head);
    size_t n = out->n - head;
    if (n == 0) {
        return;
    }
    assert(n <= UINT32_MAX);
    for (size_t i = 0; x->is_chunked && i < CHUNK_DIGITS; i++) {
        out->p[CHUNK_DIGITS - 1 - i] = "0123456789abcdef"[n >> (4 * i) & 15];
    }
    if (x->is_chunked) {
        strbuf_put(out, SPAN("\r\n"));
    }
    env_stream_write(c->stream, strbuf_span(out));
}

static void h1_due(struct http_exchange *x)
{
    if (x->conn->state == CONN_STREAM) {
        conn_deadline(x->conn, LIMIT_HTTP_WRITE_MS);
    }
}

static void h1_done(struct http_exchange *x)
{
    conn_exchange_done(x->conn);
}

const struct http_reply_ops http1_ops = {
    .is_waiting = h1_is_waiting,
    .is_gone = h1_is_gone,
    .reply = h1_reply,
    .begin = h1_begin,
    .write = h1_write,
    .queued = h1_queued,
    .end = h1_end,
    .abort = h1_abort,
    .part = h1_part,
    .part_done = h1_part_done,
    .due = h1_due,
    .abort_later = h1_abort_later,
    .done = h1_done,
};

/* ---- upgrade ---- */

struct env_stream *http_upgrade(struct http_exchange *x)
{
    struct http_conn *c = x->conn;
    assert(x->ops == &http1_ops); /* HTTP/2 has no upgrades: such a request does not get here */
    assert(c->state == CONN_BUSY || c->state == CONN_ORPHAN);
    if (c->state == CONN_ORPHAN) {
        struct env_stream *dead = http_upgraded_dead(c->server->env);
        conn_exchange_done(c);
        return dead;
    }
    struct strbuf *out = begin_head(x, 101, NULL);
    strbuf_put(out, SPAN("\r\n"));
    env_stream_write(c->stream, strbuf_span(out));
    struct env_stream *stream = TAKE_PTR(c->stream);
    struct span rest = conn_rest(c);
    if (rest.n || c->peer_ended) {
        stream = http_upgraded_new(stream, rest, c->peer_ended);
    }
    env_stream_read(stream, false);
    http_exchange_reset(x);
    conn_close(c, false);
    return stream;
}
