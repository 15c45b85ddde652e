/* One request and its reply, whatever protocol carries them. */
#include "http/http_priv.h"

#include "base/check.h"
#include "base/mem.h"

enum { KEEP_BYTES = 16384 }; /* larger buffers are not kept between requests */

/* ---- the request ---- */

struct arena *http_arena(struct http_exchange *x)
{
    return x->arena;
}

struct arena *http_take_arena(struct http_exchange *x)
{
    return TAKE_PTR(x->arena);
}

struct span http_method(const struct http_exchange *x)
{
    return span_cstr(x->method);
}

static struct span url(const struct http_exchange *x)
{
    return span_of(x->head.p, x->url_n);
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
    return span_eq(span_of(x->head.p + f->name_at, f->name_n), name);
}

static struct span field_value(const struct http_exchange *x, size_t i)
{
    const struct http_field *f = &x->fields[i];
    return span_of(x->head.p + f->value_at, f->value_n);
}

struct span http_header(const struct http_exchange *x, const char *name)
{
    assert(name);
    struct span want = span_cstr(name);
    for (size_t i = 0; i < x->field_count; i++) {
        if (field_is(x, i, want)) {
            return field_value(x, i);
        }
    }
    return SPAN_NULL;
}

bool http_header_next(const struct http_exchange *x, size_t *at, struct span *ret_name,
                      struct span *ret_value)
{
    assert(ret_name);
    assert(ret_value);
    assert(x->field_count <= LIMIT_HTTP_HEADERS);
    if (*at >= x->field_count) {
        return false;
    }
    const struct http_field *f = &x->fields[*at];
    *ret_name = span_of(x->head.p + f->name_at, f->name_n);
    *ret_value = field_value(x, (*at)++);
    return true;
}

struct span http_header_all(struct http_exchange *x, const char *name)
{
    assert(name);
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
    return strbuf_span(&x->body);
}

struct span http_client_name(const struct http_exchange *x)
{
    assert(x->conn);
    const struct http_conn *c = x->conn;
    if (c->is_root) {
        return SPAN("root-socket");
    }
    return c->stream ? tls_peer_name(c->stream) : SPAN_NULL;
}

struct span http_client_fingerprint(const struct http_exchange *x)
{
    assert(x->conn);
    const struct http_conn *c = x->conn;
    return c->stream && !c->is_root ? tls_peer_fingerprint(c->stream) : SPAN_NULL;
}

struct span http_client_orgs(const struct http_exchange *x)
{
    assert(x->conn);
    const struct http_conn *c = x->conn;
    return c->stream ? tls_peer_orgs(c->stream) : SPAN_NULL;
}

const char *http_peer(const struct http_exchange *x)
{
    assert(x->conn);
    const struct http_conn *c = x->conn;
    return c->stream ? env_stream_peer(c->stream) : "";
}

/* ---- reply heads ---- */

const char *http_status_text(int status)
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
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Entity"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
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

void http_add_header(struct http_exchange *x, const char *name, struct span value)
{
    assert(x->ops->is_gone(x) || x->ops->is_waiting(x));
    assert(is_line_safe(span_cstr(name)));
    if (!is_line_safe(value)) {
        return; /* a line break would forge headers: such a value cannot be said in HTTP */
    }
    strbuf_put(&x->reply_head, span_cstr(name));
    strbuf_put(&x->reply_head, SPAN(": "));
    strbuf_put(&x->reply_head, value);
    strbuf_put(&x->reply_head, SPAN("\r\n"));
    if (span_eq_nocase(span_cstr(name), SPAN("Content-Encoding"))) {
        x->has_encoding = true;
    }
}

/* ---- whole replies ---- */

bool http_wants_gzip(struct http_exchange *x)
{
    assert(x);
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
    assert(status >= 200);
    assert(status < 600);
    if (x->ops->is_gone(x)) {
        x->ops->done(x);
        return;
    }
    assert(x->ops->is_waiting(x));
    struct strbuf packed cleanup_strbuf = STRBUF_INIT;
    if (body.n > LIMIT_HTTP_GZIP_MIN_BYTES && !x->has_encoding && http_wants_gzip(x) &&
        http_gzip(body, &packed)) {
        body = strbuf_span(&packed);
        http_add_header(x, "Content-Encoding", SPAN("gzip"));
        http_add_header(x, "Vary", SPAN("Accept-Encoding"));
    }
    x->ops->reply(x, status, content_type, body);
}

/* ---- streamed replies ---- */

void http_stream_begin(struct http_exchange *x, int status, const char *content_type,
                       const struct http_stream_handler *handler, void *data)
{
    assert(handler);
    assert(handler->on_abort);
    x->stream = *handler;
    x->stream_data = data;
    if (x->ops->is_gone(x)) {
        x->ops->abort_later(x);
        return;
    }
    assert(x->ops->is_waiting(x));
    x->ops->begin(x, status, content_type);
}

void http_stream_write(struct http_exchange *x, struct span bytes)
{
    assert(bytes.p || bytes.n == 0);
    if (bytes.n && !x->is_head && !x->ops->is_gone(x)) {
        x->ops->write(x, bytes);
    }
}

size_t http_stream_queued(const struct http_exchange *x)
{
    assert(x->ops);
    return x->ops->is_gone(x) ? 0 : x->ops->queued(x);
}

void http_stream_end(struct http_exchange *x)
{
    assert(x->ops);
    if (x->ops->is_gone(x)) {
        x->ops->done(x);
    } else {
        x->ops->end(x);
    }
}

void http_stream_abort(struct http_exchange *x)
{
    assert(x->ops);
    if (x->ops->is_gone(x)) {
        x->ops->done(x);
    } else {
        x->ops->abort(x);
    }
}

/* ---- life ---- */

static void shrink(struct strbuf *b)
{
    if (b->cap > KEEP_BYTES) {
        strbuf_done(b);
    } else {
        strbuf_clear(b);
    }
}

void http_exchange_reset(struct http_exchange *x)
{
    shrink(&x->head);
    shrink(&x->body);
    shrink(&x->reply_head);
    if (x->arena) {
        arena_clear(x->arena);
    }
    x->stream = (struct http_stream_handler){0};
    x->is_chunked = x->has_encoding = x->is_pulled = false;
}

void http_exchange_done(struct http_exchange *x)
{
    strbuf_done(&x->head);
    strbuf_done(&x->body);
    strbuf_done(&x->reply_head);
    arena_free(x->arena);
    x->arena = NULL;
}
