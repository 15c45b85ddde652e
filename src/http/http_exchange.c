/* One request and its reply. Every reply leaves in one write where it can: head and body are put
 * together first. */
#include "http/http_priv.h"

#include "base/check.h"
#include "base/mem.h"
#include "http/http_upgrade.h"

enum { COALESCE_BYTES = 65536 }; /* larger bodies are written behind the head instead of copied */

/* ---- the request ---- */

struct arena *http_arena(struct http_exchange *x)
{
    return conn_of(x)->arena;
}

struct span http_method(const struct http_exchange *x)
{
    return span_cstr(llhttp_method_name((llhttp_method_t)x->method));
}

static struct span url(const struct http_exchange *x)
{
    return span_of(conn_of(x)->head.p, x->url_n);
}

struct span http_path(const struct http_exchange *x)
{
    return span_first(url(x), span_find(url(x), '?'));
}

struct span http_query(const struct http_exchange *x)
{
    return span_from(url(x), span_find(url(x), '?') + 1);
}

static bool field_is(const struct http_exchange *x, size_t i, struct span name)
{
    const struct http_field *f = &x->fields[i];
    return span_eq(span_of(conn_of(x)->head.p + f->name_at, f->name_n), name);
}

static struct span field_value(const struct http_exchange *x, size_t i)
{
    const struct http_field *f = &x->fields[i];
    return span_of(conn_of(x)->head.p + f->value_at, f->value_n);
}

struct span http_header(const struct http_exchange *x, const char *name)
{
    struct span want = span_cstr(name);
    for (size_t i = 0; i < x->field_count; i++) {
        if (field_is(x, i, want)) {
            return field_value(x, i);
        }
    }
    return SPAN_NULL;
}

struct span http_header_all(struct http_exchange *x, const char *name)
{
    struct span want = span_cstr(name), all = SPAN_NULL;
    for (size_t i = 0; i < x->field_count; i++) {
        if (field_is(x, i, want)) {
            struct span v = field_value(x, i);
            all = all.p ? arena_printf(http_arena(x), "%.*s, %.*s", SPAN_ARG(all), SPAN_ARG(v)) : v;
        }
    }
    return all;
}

struct span http_body(const struct http_exchange *x)
{
    return strbuf_span(&conn_of(x)->body);
}

struct span http_client_name(const struct http_exchange *x)
{
    const struct http_conn *c = conn_of(x);
    if (c->is_root) {
        return SPAN("root-socket");
    }
    return c->stream ? tls_peer_name(c->stream) : SPAN_NULL;
}

struct span http_client_orgs(const struct http_exchange *x)
{
    const struct http_conn *c = conn_of(x);
    return c->stream ? tls_peer_orgs(c->stream) : SPAN_NULL;
}

const char *http_peer(const struct http_exchange *x)
{
    const struct http_conn *c = conn_of(x);
    return c->stream ? env_stream_peer(c->stream) : "";
}

/* ---- reply heads ---- */

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {412, "Precondition Failed"},
        {413, "Request Entity Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Entity"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].status == status) {
            return texts[i].text;
        }
    }
    return "Status";
}

static bool is_line_safe(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch < ' ' && ch != '\t') {
            return false;
        }
    }
    return true;
}

static void put_header(struct strbuf *b, struct span name, struct span value)
{
    strbuf_put(b, name);
    strbuf_put(b, SPAN(": "));
    strbuf_put(b, value);
    strbuf_put(b, SPAN("\r\n"));
}

void http_add_header(struct http_exchange *x, const char *name, struct span value)
{
    struct http_conn *c = conn_of(x);
    assert(c->state == CONN_BUSY || c->state == CONN_ORPHAN);
    assert(is_line_safe(span_cstr(name)));
    if (!is_line_safe(value)) {
        return; /* a line break would forge headers: such a value cannot be said in HTTP */
    }
    put_header(&x->reply_head, span_cstr(name), value);
    if (span_eq_nocase(span_cstr(name), SPAN("Content-Encoding"))) {
        x->has_encoding = true;
    }
}

static struct strbuf *begin_head(struct http_exchange *x, int status, const char *content_type)
{
    struct http_conn *c = conn_of(x);
    struct strbuf *out = &c->server->scratch;
    strbuf_clear(out);
    if (status == 200) {
        strbuf_put(out, SPAN("HTTP/1.1 200 OK\r\n"));
    } else {
        strbuf_printf(out, "HTTP/1.1 %d %s\r\n", status, status_text(status));
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
    char digits[24], *p = digits + sizeof digits;
    do {
        *--p = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    strbuf_put(out, SPAN("Content-Length: "));
    strbuf_put(out, span_of(p, (size_t)(digits + sizeof digits - p)));
    strbuf_put(out, SPAN("\r\n"));
}

/* ---- whole replies ---- */

static bool wants_gzip(struct http_exchange *x)
{
    struct span rest = http_header_all(x, "accept-encoding");
    while (rest.n) {
        struct span params = span_trim(span_cut(&rest, ','));
        struct span coding = span_trim(span_cut(&params, ';'));
        if (span_eq_nocase(coding, SPAN("gzip"))) {
            struct span q = span_trim(params);
            return !span_eq(q, SPAN("q=0")) && !span_starts(q, SPAN("q=0.0"));
        }
    }
    return false;
}

void http_reply(struct http_exchange *x, int status, const char *content_type, struct span body)
{
    struct http_conn *c = conn_of(x);
    assert(c->state == CONN_BUSY || c->state == CONN_ORPHAN);
    assert(status >= 200 && status < 600);
    if (c->state == CONN_ORPHAN) {
        conn_exchange_done(c);
        return;
    }
    struct strbuf packed = STRBUF_INIT;
    if (body.n > LIMIT_HTTP_GZIP_MIN_BYTES && !x->has_encoding && wants_gzip(x) &&
        http_gzip(body, &packed)) {
        body = strbuf_span(&packed);
        http_add_header(x, "Content-Encoding", SPAN("gzip"));
        http_add_header(x, "Vary", SPAN("Accept-Encoding"));
    }
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
    strbuf_done(&packed);
    conn_exchange_done(c);
}

/* ---- streamed replies ---- */

void http_stream_begin(struct http_exchange *x, int status, const char *content_type,
                       const struct http_stream_handler *handler, void *data)
{
    struct http_conn *c = conn_of(x);
    assert(c->state == CONN_BUSY || c->state == CONN_ORPHAN);
    assert(handler && handler->on_abort);
    x->stream = *handler;
    x->stream_data = data;
    if (c->state == CONN_ORPHAN) {
        conn_abort_later(c);
        return;
    }
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
    if (c->peer_ended || c->server->is_closing) {
        conn_abort_later(c);
    }
}

void http_stream_write(struct http_exchange *x, struct span bytes)
{
    struct http_conn *c = conn_of(x);
    assert(c->state == CONN_STREAM || c->state == CONN_ORPHAN);
    if (bytes.n == 0 || c->state == CONN_ORPHAN || x->is_head) {
        return;
    }
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

size_t http_stream_queued(const struct http_exchange *x)
{
    const struct http_conn *c = conn_of(x);
    return c->stream ? env_stream_queued(c->stream) : 0;
}

void http_stream_end(struct http_exchange *x)
{
    struct http_conn *c = conn_of(x);
    assert(c->state == CONN_STREAM || c->state == CONN_ORPHAN);
    if (c->state == CONN_STREAM && x->is_chunked && !x->is_head) {
        env_stream_write(c->stream, SPAN("0\r\n\r\n"));
    }
    conn_exchange_done(c);
}

/* ---- upgrade ---- */

struct env_stream *http_upgrade(struct http_exchange *x)
{
    struct http_conn *c = conn_of(x);
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
    conn_reset(c);
    conn_close(c, false);
    return stream;
}
