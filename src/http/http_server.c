/* Listeners and connections: who reads when, deadlines, keep-alive, and the end of everything. */
#include "http/http_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

enum { KEEP_BYTES = 16384 }; /* larger buffers are not kept between requests */

static void conn_run(struct http_conn *c, struct span bytes);
static void conn_go_on(struct http_conn *c);
static void abort_stream(struct http_conn *c);

/* ---- life ---- */

static void server_release(struct http_server *s)
{
    if (s->is_freed && list_is_empty(&s->conns)) {
        strbuf_done(&s->scratch);
        free(s);
    }
}

static void conn_free(struct http_conn *c)
{
    struct http_server *s = c->server;
    assert(c->depth == 0);
    assert(!c->stream);
    assert(c->state == CONN_CLOSED);
    env_timer_stop(s->env, &c->timer);
    env_post_cancel(s->env, &c->task);
    list_remove(&c->link);
    strbuf_done(&c->in);
    http_exchange_done(&c->x);
    http2_free(c->http2);
    free(c);
    s->stats.connections_open--;
    server_release(s);
}

void conn_enter(struct http_conn *c)
{
    assert(c->depth >= 0);
    c->depth++;
}

void conn_leave(struct http_conn *c)
{
    assert(c->depth > 0);
    if (--c->depth == 0 && c->state == CONN_CLOSED) {
        conn_free(c);
    }
}

void conn_close(struct http_conn *c, bool flush)
{
    assert(c->state != CONN_CLOSED);
    struct env_stream *stream = TAKE_PTR(c->stream);
    if (stream && flush) {
        env_stream_close_flush(stream);
    } else if (stream) {
        env_stream_close(stream);
    }
    c->state = CONN_CLOSED;
    if (c->depth == 0) {
        conn_free(c);
    }
}

/* The timer is armed rarely: a deadline that moves later only changes a number. */
static void on_timer(struct env_timer *timer);

void conn_deadline(struct http_conn *c, int64_t delay_ms)
{
    assert(delay_ms >= 0);
    struct env *env = c->server->env;
    int64_t due = env_mono_ns(env) + delay_ms * 1000000;
    c->deadline_ns = due;
    if (due < c->armed_ns || !env_timer_armed(&c->timer)) {
        c->armed_ns = due;
        env_timer_start(env, &c->timer, delay_ms, on_timer);
    }
}

void conn_no_deadline(struct http_conn *c)
{
    c->deadline_ns = INT64_MAX;
}

static void conn_read_input(struct http_conn *c, bool on)
{
    if (c->is_reading != on && c->stream) {
        c->is_reading = on;
        env_stream_read(c->stream, on);
    }
}

/* ---- errors of the HTTP level ---- */

/* Answers, then throws input away for a while: closing with unread input would reset the connection
 * under the reply. */
static void conn_reject(struct http_conn *c, int status)
{
    struct strbuf *out = &c->server->scratch;
    const char *json = c->server->handler.too_large;
    bool is_json = status == 413 && json;
    char text[64];
    (void)snprintf(text, sizeof text, "%d %s", status, http_status_text(status));
    const char *body = is_json ? json : text;
    c->server->stats.rejected++;
    strbuf_clear(out);
    strbuf_printf(out,
                  "HTTP/1.1 %s\r\nContent-Type: %s\r\n"
                  "Connection: close\r\nContent-Length: %zu\r\n\r\n%s\n",
                  text, is_json ? "application/json" : "text/plain; charset=utf-8",
                  strlen(body) + 1, body);
    env_stream_write(c->stream, strbuf_span(out));
    env_stream_shutdown(c->stream);
    c->state = CONN_LINGER;
    conn_deadline(c, LIMIT_HTTP_LINGER_MS);
    strbuf_done(&c->in);
    c->in_at = 0;
    conn_read_input(c, true);
}

static void on_timer(struct env_timer *timer)
{
    struct http_conn *c = CONTAINER_OF(timer, struct http_conn, timer);
    struct env *env = c->server->env;
    if (c->deadline_ns == INT64_MAX) {
        return;
    }
    int64_t left_ns = c->deadline_ns - env_mono_ns(env);
    if (left_ns > 0) {
        c->armed_ns = c->deadline_ns;
        env_timer_start(env, &c->timer, left_ns / 1000000 + 1, on_timer);
    } else if (c->state == CONN_HTTP2) {
        conn_enter(c);
        http2_timer(c->http2);
        conn_leave(c);
    } else if (c->state == CONN_READ && c->in_head) {
        conn_enter(c);
        conn_reject(c, 408);
        conn_leave(c);
    } else if (c->state == CONN_STREAM) {
        abort_stream(c);
    } else {
        conn_close(c, false);
    }
}

/* ---- requests ---- */

static void shrink(struct strbuf *b)
{
    if (b->cap > KEEP_BYTES) {
        strbuf_done(b);
    } else {
        strbuf_clear(b);
    }
}

static void begin_read(struct http_conn *c)
{
    c->state = CONN_READ;
    http_parse_begin(c);
    conn_deadline(c, LIMIT_HTTP_IDLE_MS);
}

static void on_task(struct env_task *task)
{
    struct http_conn *c = CONTAINER_OF(task, struct http_conn, task);
    if (c->abort_due && (c->state == CONN_STREAM || c->state == CONN_ORPHAN)) {
        abort_stream(c);
    } else {
        conn_go_on(c);
    }
}

void conn_abort_later(struct http_conn *c)
{
    assert(c->state == CONN_STREAM || c->state == CONN_ORPHAN);
    c->abort_due = true;
    env_post(c->server->env, &c->task, on_task);
}

struct span conn_rest(const struct http_conn *c)
{
    assert(c->is_feeding || c->in_at <= c->in.n);
    return c->is_feeding ? c->rest : span_from(strbuf_span(&c->in), c->in_at);
}

static bool is_last(const struct http_conn *c)
{
    return !c->x.keep_alive || c->peer_ended || c->server->is_closing;
}

void conn_exchange_done(struct http_conn *c)
{
    http_exchange_reset(&c->x);
    if (c->server->scratch.cap > LIMIT_HTTP_GZIP_MIN_BYTES * 2) {
        strbuf_done(&c->server->scratch);
    }
    if (c->state == CONN_ORPHAN || !c->stream) {
        conn_close(c, false);
        return;
    }
    if (env_stream_queued(c->stream) > 0) {
        c->state = CONN_DRAIN; /* closing with a flush would give a slow client only seconds */
        conn_deadline(c, LIMIT_HTTP_WRITE_MS);
        return;
    }
    if (is_last(c)) {
        conn_close(c, true);
        return;
    }
    begin_read(c);
    if (c->is_feeding) {
        return; /* the loop in feed() goes on */
    }
    if (c->in.n > c->in_at) {
        env_post(c->server->env, &c->task, on_task);
    } else {
        conn_read_input(c, true);
    }
}

static void dispatch(struct http_conn *c)
{
    c->state = CONN_BUSY;
    conn_no_deadline(c);
    c->server->stats.requests++;
    if (!c->x.arena) {
        c->x.arena = arena_new();
    }
    c->server->handler.on_request(c->server->data, &c->x);
}

static void begin_http2(struct http_conn *c, struct span preface)
{
    c->state = CONN_HTTP2;
    conn_deadline(c, LIMIT_HTTP_READ_MS);
    c->http2 = http2_new(c, preface);
    conn_read_input(c, true);
}

/* Parses and dispatches until the bytes are used or the connection is busy; returns the bytes used.
 */
static size_t feed(struct http_conn *c, struct span bytes)
{
    size_t at = 0;
    assert(!c->is_feeding);
    c->is_feeding = true;
    while (at < bytes.n && c->state == CONN_READ) {
        if (!c->in_head) {
            c->in_head = true; /* from the first byte on the clock runs */
            conn_deadline(c, LIMIT_HTTP_READ_MS);
        }
        bool done = false;
        at += http_parse(c, span_from(bytes, at), &done);
        if (c->is_http2) {
            begin_http2(c, SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
            http2_read(c->http2, span_from(bytes, at));
            at = bytes.n;
        } else if (c->error_status) {
            conn_reject(c, c->error_status);
        } else if (done) {
            c->rest = span_from(bytes, at);
            dispatch(c);
        }
    }
    c->is_feeding = false;
    return at;
}

static void conn_run(struct http_conn *c, struct span bytes)
{
    conn_enter(c);
    size_t at = feed(c, bytes);
    if (c->state != CONN_CLOSED && c->state != CONN_LINGER && at < bytes.n) {
        strbuf_put(&c->in, span_from(bytes, at));
    }
    conn_leave(c);
}

/* Goes on with input that waited. */
static void conn_go_on(struct http_conn *c)
{
    conn_enter(c);
    struct span bytes = span_from(strbuf_span(&c->in), c->in_at);
    c->in_at += feed(c, bytes);
    if (c->in_at >= c->in.n) {
        shrink(&c->in);
        c->in_at = 0;
    }
    if (c->state == CONN_READ && c->in.n == 0) {
        conn_read_input(c, true);
    }
    conn_leave(c);
}

/* ---- events of the stream ---- */

static void on_read(void *data, struct span bytes)
{
    struct http_conn *c = data;
    if (c->state == CONN_LINGER) {
        return;
    }
    if (c->state == CONN_HTTP2) {
        conn_enter(c);
        http2_read(c->http2, bytes);
        conn_leave(c);
        return;
    }
    if (c->state == CONN_READ && c->in.n == 0) {
        conn_run(c, bytes);
        return;
    }
    if (c->in_at) {
        strbuf_consume(&c->in, c->in_at);
        c->in_at = 0;
    }
    strbuf_put(&c->in, bytes);
    if (c->state == CONN_READ) {
        conn_go_on(c);
    } else if (c->in.n - c->in_at > LIMIT_HTTP_PIPELINE_BYTES) {
        conn_read_input(c, false);
    }
}

static void abort_stream(struct http_conn *c)
{
    conn_enter(c);
    struct http_stream_handler h = c->x.stream;
    c->state = CONN_ORPHAN; /* what the callback may still write goes nowhere */
    h.on_abort(c->x.stream_data);
    if (c->state != CONN_CLOSED) {
        http_exchange_reset(&c->x);
        conn_close(c, false);
    }
    conn_leave(c);
}

static void on_end(void *data, int code)
{
    struct http_conn *c = data;
    c->peer_ended = true;
    switch (c->state) {
    case CONN_HTTP2:
        conn_enter(c);
        env_stream_close(TAKE_PTR(c->stream));
        http2_end(c->http2);
        conn_leave(c);
        break;
    case CONN_STREAM:
        if (code < 0 || !c->x.is_pulled) {
            abort_stream(c);
        }
        break;
    case CONN_BUSY:
        if (code < 0) {
            c->state = CONN_ORPHAN;
            env_stream_close(TAKE_PTR(c->stream));
        } /* else a half-close: the reply may still arrive */
        break;
    case CONN_DRAIN:
        if (code < 0) {
            conn_close(c, false);
        } /* else a half-close: the rest of the reply still leaves */
        break;
    default:
        conn_close(c, false);
    }
}

static void on_drain(void *data)
{
    struct http_conn *c = data;
    if (c->state == CONN_HTTP2) {
        conn_enter(c);
        http2_drain(c->http2);
        conn_leave(c);
    } else if (c->state == CONN_STREAM && c->x.stream.on_drain) {
        conn_enter(c);
        c->x.stream.on_drain(c->x.stream_data);
        conn_leave(c);
    } else if (c->state == CONN_DRAIN && is_last(c)) {
        conn_close(c, true);
    } else if (c->state == CONN_DRAIN) {
        begin_read(c);
        if (c->in.n > c->in_at) {
            conn_go_on(c);
        } else {
            conn_read_input(c, true);
        }
    }
}

static const struct env_stream_handler conn_handler = {on_read, on_end, on_drain};

static void conn_start(struct http_conn *c, struct env_stream *stream)
{
    c->stream = stream;
    env_stream_set(stream, &conn_handler, c);
    if (tls_is_http2(stream)) {
        begin_http2(c, SPAN_NULL);
        return;
    }
    begin_read(c);
    conn_deadline(c, LIMIT_HTTP_READ_MS); /* the first request of a connection is due soon */
    conn_read_input(c, true);
}

static void on_tls_ready(void *data, int code, struct env_stream *stream)
{
    struct http_conn *c = data;
    if (code < 0) {
        c->stream = NULL;
        c->server->stats.rejected++;
        conn_close(c, false);
        return;
    }
    conn_start(c, stream);
}

static void on_accept(void *data, struct env_stream *stream)
{
    struct http_listener *l = data;
    struct http_server *s = l->server;
    s->stats.connections++;
    if (s->stats.connections_open >= LIMIT_CONNECTIONS) {
        s->stats.rejected++;
        env_stream_close(stream);
        return;
    }
    struct http_conn *c = MEM_NEW(struct http_conn);
    c->server = s;
    c->x.ops = &http1_ops;
    c->x.conn = c;
    c->is_root = l->is_root;
    c->deadline_ns = INT64_MAX;
    list_push_back(&s->conns, &c->link);
    s->stats.connections_open++;
    c->is_tls = l->tls != NULL;
    if (l->tls) {
        c->state = CONN_HANDSHAKE;
        c->stream = tls_accept(l->tls, stream, on_tls_ready, c);
    } else {
        conn_start(c, stream);
    }
}

/* ---- server ---- */

struct http_server *http_server_new(struct env *env, const struct http_handler *handler, void *data)
{
    assert(env);
    assert(handler);
    assert(handler->on_request);
    struct http_server *s = MEM_NEW(struct http_server);
    s->env = env;
    s->handler = *handler;
    s->data = data;
    list_init(&s->conns);
    http_parse_settings(&s->settings);
    return s;
}

static struct http_listener *listener_new(struct http_server *s)
{
    assert(!s->is_closing);
    struct http_listener *l = MEM_NEW(struct http_listener);
    l->server = s;
    return l;
}

static int listener_keep(struct http_server *s, struct http_listener *l, int code)
{
    if (code < 0) {
        free(l);
        return code;
    }
    VEC_PUSH(&s->listeners, l);
    return 0;
}

static const struct env_listener_handler listener_handler = {on_accept};

int http_server_listen_tcp(struct http_server *s, const char *addr, uint16_t port,
                           struct tls_server *tls, uint16_t *ret_port)
{
    assert(addr);
    struct http_listener *l = listener_new(s);
    l->tls = tls;
    int code = env_listen_tcp(s->env, addr, port, &listener_handler, l, &l->listener);
    if (code == 0 && ret_port) {
        *ret_port = env_listener_port(l->listener);
    }
    return listener_keep(s, l, code);
}

int http_server_listen_unix(struct http_server *s, const char *path, mode_t mode)
{
    assert(path);
    struct http_listener *l = listener_new(s);
    l->is_root = true;
    return listener_keep(s, l,
                         env_listen_unix(s->env, path, mode, &listener_handler, l, &l->listener));
}

void http_server_close(struct http_server *s)
{
    assert(s);
    s->is_closing = true;
    for (size_t i = 0; i < s->listeners.n; i++) {
        env_listener_close(s->listeners.at[i]->listener);
        free(s->listeners.at[i]);
    }
    VEC_DONE(&s->listeners);
    LIST_EACH(link, &s->conns)
    {
        struct http_conn *c = CONTAINER_OF(link, struct http_conn, link);
        if (c->depth > 0) {
            continue; /* on the stack: it sees is_closing when its exchange ends */
        }
        if (c->state == CONN_HTTP2) {
            conn_enter(c);
            http2_stop(c->http2);
            conn_leave(c);
        } else if (c->state == CONN_STREAM && !c->x.is_pulled) {
            abort_stream(c);
        } else if (c->state != CONN_BUSY && c->state != CONN_ORPHAN && c->state != CONN_STREAM) {
            conn_close(c, true);
        }
    }
}

void http_server_free(struct http_server *s)
{
    if (!s) {
        return;
    }
    if (!s->is_closing) {
        http_server_close(s);
    }
    LIST_EACH(link, &s->conns)
    {
        struct http_conn *c = CONTAINER_OF(link, struct http_conn, link);
        if (c->state == CONN_BUSY && c->stream) {
            c->state = CONN_ORPHAN; /* the handler may still answer */
            env_stream_close(TAKE_PTR(c->stream));
        } else if (c->state == CONN_STREAM) {
            abort_stream(c);
        } else if (c->state == CONN_HTTP2 && c->stream) {
            conn_enter(c);
            env_stream_close(TAKE_PTR(c->stream));
            http2_end(c->http2);
            conn_leave(c);
        }
    }
    s->is_freed = true;
    server_release(s);
}

void http_server_stats(const struct http_server *s, struct http_server_stats *ret)
{
    assert(ret);
    *ret = s->stats;
}
