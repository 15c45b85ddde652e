/* HTTP/2 (RFC 9113) by nghttp2: one session for each connection, one exchange for each stream.
 *
 * A stream's life: READ (its request arrives) -> WAIT (the handler has it) -> SENT (the whole reply
 * is ours to deliver) or STREAM -> SENT; nghttp2 says when it is closed. A stream that closes early
 * while the handler has it is `is_gone`: the handler answers into the void and releases it.
 *
 * Nothing of nghttp2 is asked to send while it is receiving: replies made meanwhile are put in its
 * queue, and `pump` moves the queue to the connection afterwards, or at the end of the turn, so
 * that the replies of one turn share their TLS records.
 *
 * Bounds: LIMIT_HTTP2_STREAMS at a time; heads and bodies as in HTTP/1.1; all bodies together by
 * the connection's window, which is given back only when a request is done with; control frames by
 * nghttp2. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "http/http2_priv.h"

enum {
    PUMP_BYTES = 65536,     /* moved at once, and left queued on the connection */
    REPLY_HEADERS_MAX = 64, /* of one reply */
    SPARE_STREAMS = 16,     /* kept for the next requests of the connection */
    BLOCKED_BYTES = 32768,  /* a producer that has so much queued is told of the drain */
};

static const struct http_reply_ops http2_ops;

static struct http2_stream *of(const struct http_exchange *x)
{
    return (struct http2_stream *)(uintptr_t)x;
}

static struct env *env_of(const struct http2 *h)
{
    return h->conn->server->env;
}

static struct http2_stream *link_stream(struct list *link)
{
    return CONTAINER_OF(link, struct http2_stream, link);
}

/* ---- deadlines ---- */

static void arm(struct http2 *h, int64_t due_ns)
{
    struct http_conn *c = h->conn;
    if (due_ns < c->deadline_ns && c->stream) {
        int64_t left_ms = (due_ns - env_mono_ns(env_of(h))) / 1000000 + 1;
        conn_deadline(c, left_ms > 0 ? left_ms : 0);
    }
}

void http2_due_in(struct http2_stream *s, int64_t ms)
{
    assert(ms > 0);
    s->due_ns = env_mono_ns(env_of(s->h)) + ms * 1000000;
    arm(s->h, s->due_ns);
}

/* ---- life of a stream ---- */

struct http2_stream *http2_stream_new(struct http2 *h, int32_t id)
{
    struct list *link = list_pop_front(&h->spare);
    struct http2_stream *s;
    assert(id > 0);
    assert(!link == (h->spare_count == 0));
    if (link) {
        s = link_stream(link);
        h->spare_count--;
    } else {
        s = MEM_NEW(struct http2_stream);
        s->x.ops = &http2_ops;
        s->x.conn = h->conn;
        s->x.arena = arena_new();
        s->h = h;
    }
    assert(s->out.n == 0);
    assert(s->x.head.n == 0);
    assert(s->held == 0);
    s->id = id;
    s->state = S_READ;
    s->is_gone = s->is_aborting = s->abort_due = false;
    s->drain_due = s->was_blocked = s->is_late = s->is_cut = false;
    s->x.method = NULL;
    s->x.url_n = 0;
    s->x.field_count = 0;
    s->x.is_head = false;
    s->x.minor = 1;
    list_push_back(&h->streams, &s->link);
    http2_due_in(s, LIMIT_HTTP_READ_MS);
    return s;
}

/* The request is over: its memory, and its part of the connection's window. */
static void request_done(struct http2_stream *s)
{
    http_exchange_reset(&s->x);
    if (s->held) {
        (void)nghttp2_session_consume_connection(s->h->session, s->held);
        s->held = 0;
    }
}

static void stream_free(struct http2_stream *s)
{
    struct http2 *h = s->h;
    request_done(s);
    list_remove(&s->link);
    s->out_at = 0;
    if (s->out.cap > PUMP_BYTES) {
        strbuf_done(&s->out);
    }
    strbuf_clear(&s->out);
    if (h->spare_count < SPARE_STREAMS) {
        h->spare_count++;
        list_push_back(&h->spare, &s->link);
    } else {
        strbuf_done(&s->out);
        http_exchange_done(&s->x);
        free(s);
    }
    if (list_is_empty(&h->streams)) {
        h->idle_due_ns = env_mono_ns(env_of(h)) + LIMIT_HTTP_IDLE_MS * INT64_C(1000000);
        arm(h, h->idle_due_ns);
    }
}

/* ---- end of the turn ---- */

static void on_task(struct env_task *task);

static void soon(struct http2 *h)
{
    env_post(env_of(h), &h->task, on_task);
}

/* The session is over on our side: nothing more can be said or heard. */
static void give_up(struct http2 *h)
{
    struct env_stream *stream = TAKE_PTR(h->conn->stream);
    if (stream) {
        env_stream_close_flush(stream);
    }
    http2_end(h);
}

static void pump(struct http2 *h)
{
    struct http_conn *c = h->conn;
    struct strbuf *out = &c->server->scratch;
    ssize_t n = 0;
    assert(!h->is_receiving);
    while (c->stream && env_stream_queued(c->stream) < PUMP_BYTES) {
        const uint8_t *p;
        strbuf_clear(out);
        while (out->n < PUMP_BYTES && (n = nghttp2_session_mem_send(h->session, &p)) > 0) {
            strbuf_put(out, span_of((const char *)p, (size_t)n));
        }
        if (out->n == 0) {
            break;
        }
        env_stream_write(c->stream, strbuf_span(out));
    }
    bool is_over =
        !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
    if (c->stream && (n < 0 || is_over || (c->server->is_closing && list_is_empty(&h->streams)))) {
        give_up(h);
    }
}

static void abort_one(struct http2_stream *s)
{
    struct http_stream_handler handler = s->x.stream;
    assert(s->abort_due);
    assert(!s->is_aborting);
    assert(handler.on_abort);
    nghttp2_session *session = s->h->session;
    if (nghttp2_session_get_stream_user_data(session, s->id) == s) {
        (void)nghttp2_session_set_stream_user_data(session, s->id, NULL);
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    } /* which goes out before any data: `out` is not asked for again */
    s->abort_due = false;
    s->is_gone = s->is_aborting = true; /* what the callback may still write goes nowhere */
    handler.on_abort(s->x.stream_data);
    stream_free(s);
}

/* One at a time from the start: a callback may end other streams. */
static void abort_due(struct http2 *h)
{
    bool again = h->any_abort;
    h->any_abort = false;
    while (again) {
        again = false;
        LIST_EACH(link, &h->streams)
        {
            if (link_stream(link)->abort_due) {
                abort_one(link_stream(link));
                again = true;
                break;
            }
        }
    }
}

static void tell_drained(struct http2 *h)
{
    bool again = h->any_drain;
    h->any_drain = false;
    while (again) {
        again = false;
        LIST_EACH(link, &h->streams)
        {
            struct http2_stream *s = link_stream(link);
            if (s->drain_due) {
                s->drain_due = false;
                if (s->state == S_STREAM && !s->is_gone && s->x.stream.on_drain) {
                    s->x.stream.on_drain(s->x.stream_data);
                    again = true;
                    break;
                }
            }
        }
    }
}

/* Between callbacks: a stream is the connection's, and what is spare has nothing of a request. */
static void http2_verify(struct http2 *h)
{
    size_t spare = 0;
    LIST_EACH(link, &h->streams)
    {
        const struct http2_stream *s = link_stream(link);
        assert(s->h == h);
        assert(s->x.conn == h->conn);
        assert(s->id > 0);
        assert(s->out_at <= s->out.n);
        assert(!s->is_aborting);
        assert(!s->abort_due || h->any_abort);
        assert(!s->drain_due || h->any_drain);
    }
    LIST_EACH(link, &h->spare)
    {
        const struct http2_stream *s = link_stream(link);
        assert(s->out.n == 0);
        assert(s->held == 0);
        assert(s->x.head.n == 0);
        spare++;
    }
    assert(spare == h->spare_count);
    assert(spare <= SPARE_STREAMS);
}

static void on_task(struct env_task *task)
{
    struct http2 *h = CONTAINER_OF(task, struct http2, task);
    struct http_conn *c = h->conn;
    if (VERIFYING) {
        http2_verify(h);
    }
    conn_enter(c);
    abort_due(h);
    pump(h);
    if (c->stream) {
        tell_drained(h);
    } else if (list_is_empty(&h->streams) && c->state != CONN_CLOSED) {
        conn_close(c, false);
    }
    conn_leave(c);
}

/* ---- replies ---- */

static bool h2_is_waiting(const struct http_exchange *x)
{
    return of(x)->state == S_WAIT;
}

static bool h2_is_gone(const struct http_exchange *x)
{
    return of(x)->is_gone;
}

/* Headers of HTTP/1.1's connections, which HTTP/2 forbids (RFC 9113, 8.2.2). */
static bool is_of_connection(struct span name)
{
    return span_eq_nocase(name, SPAN("connection")) || span_eq_nocase(name, SPAN("upgrade")) ||
           span_eq_nocase(name, SPAN("keep-alive")) ||
           span_eq_nocase(name, SPAN("transfer-encoding"));
}

/* Lines of the reply's head as name and value, names in lower case. */
static size_t put_lines(struct strbuf *head, nghttp2_nv *nva, size_t n)
{
    struct span rest = strbuf_span(head);
    while (rest.n && n < REPLY_HEADERS_MAX) {
        struct span line = span_cut(&rest, '\n');
        size_t colon = span_find(line, ':');
        assert(line.n > colon + 2);
        assert(line.p[line.n - 1] == '\r');
        char *name = head->p + (line.p - head->p);
        for (size_t i = 0; i < colon; i++) {
            name[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
        }
        if (!is_of_connection(span_first(line, colon))) {
            nva[n++] =
                http2_nv(span_first(line, colon), span_of(line.p + colon + 2, line.n - colon - 3));
        }
    }
    return n;
}

static ssize_t on_source(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *data)
{
    struct http2_stream *s = source->ptr;
    (void)session, (void)id, (void)data;
    assert(s->out_at <= s->out.n);
    assert(s->id == id);
    size_t left = s->out.n - s->out_at, n = left < room ? left : room;
    memcpy(buf, s->out.p + s->out_at, n);
    s->out_at += n;
    if (n == left) {
        strbuf_clear(&s->out);
        s->out_at = 0;
        if (s->was_blocked) {
            s->was_blocked = false;
            s->drain_due = s->h->any_drain = true;
        }
        if (s->state == S_SENT && s->is_cut) {
            return n ? (ssize_t)n : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
        }
        if (s->state == S_SENT) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
        } else if (n == 0) {
            s->is_late = true;
            return NGHTTP2_ERR_DEFERRED;
        }
    }
    return (ssize_t)n;
}

static void submit(struct http2_stream *s, int status, const char *content_type,
                   const size_t *length, bool has_body)
{
    nghttp2_nv nva[REPLY_HEADERS_MAX + 3];
    char code[16], digits[24];
    nghttp2_data_provider source = {.read_callback = on_source};
    size_t n = 0;
    source.source.ptr = s;
    nva[n++] =
        http2_nv(SPAN(":status"), span_of(code, (size_t)snprintf(code, sizeof code, "%d", status)));
    if (content_type) {
        nva[n++] = http2_nv(SPAN("content-type"), span_cstr(content_type));
    }
    if (length) {
        int digits_n = snprintf(digits, sizeof digits, "%zu", *length);
        nva[n++] = http2_nv(SPAN("content-length"), span_of(digits, (size_t)digits_n));
    }
    n = put_lines(&s->x.reply_head, nva, n);
    if (nghttp2_submit_response(s->h->session, s->id, nva, n, has_body ? &source : NULL) != 0) {
        (void)nghttp2_submit_rst_stream(s->h->session, NGHTTP2_FLAG_NONE, s->id,
                                        NGHTTP2_INTERNAL_ERROR);
    }
    soon(s->h);
}

void http2_reply(struct http_exchange *x, int status, const char *content_type, struct span body)
{
    struct http2_stream *s = of(x);
    assert(status >= 200);
    assert(status < 600);
    assert(s->state == S_READ || s->state == S_WAIT);
    bool bodyless = status == 204 || status == 304;
    bool has_body = !bodyless && !x->is_head && body.n;
    s->state = S_SENT;
    http2_due_in(s, LIMIT_HTTP_WRITE_MS);
    if (has_body) {
        strbuf_put(&s->out, body);
    }
    submit(s, status, bodyless ? NULL : content_type, bodyless ? NULL : &body.n, has_body);
    request_done(s);
}

static void h2_abort_later(struct http_exchange *x)
{
    struct http2_stream *s = of(x);
    s->state = S_STREAM;
    s->abort_due = s->h->any_abort = true;
    soon(s->h);
}

static void h2_begin(struct http_exchange *x, int status, const char *content_type)
{
    struct http2_stream *s = of(x);
    assert(s->state == S_WAIT);
    assert(status >= 200);
    s->state = S_STREAM;
    submit(s, status, content_type, NULL, !x->is_head);
    if (x->conn->server->is_closing && !x->is_pulled) {
        s->abort_due = s->h->any_abort = true;
    }
}

static void go_on(struct http2_stream *s)
{
    if (s->is_late) {
        s->is_late = false;
        (void)nghttp2_session_resume_data(s->h->session, s->id);
    }
    soon(s->h);
}

static void h2_write(struct http_exchange *x, struct span bytes)
{
    struct http2_stream *s = of(x);
    assert(s->state == S_STREAM);
    strbuf_put(&s->out, bytes);
    s->was_blocked = s->was_blocked || s->out.n - s->out_at > BLOCKED_BYTES;
    go_on(s);
}

static size_t h2_queued(const struct http_exchange *x)
{
    return of(x)->out.n - of(x)->out_at;
}

static void h2_end(struct http_exchange *x)
{
    struct http2_stream *s = of(x);
    assert(s->state == S_STREAM);
    s->state = S_SENT;
    http2_due_in(s, LIMIT_HTTP_WRITE_MS);
    request_done(s);
    go_on(s);
}

static void h2_abort(struct http_exchange *x)
{
    struct http2_stream *s = of(x);
    assert(!s->is_cut);
    s->is_cut = !x->is_head;
    h2_end(x);
}

static struct strbuf *h2_part(struct http_exchange *x)
{
    return &of(x)->out;
}

static void h2_part_done(struct http_exchange *x)
{
    struct http2_stream *s = of(x);
    s->was_blocked = s->was_blocked || s->out.n > s->out_at;
    go_on(s);
}

static void h2_due(struct http_exchange *x)
{
    http2_due_in(of(x), LIMIT_HTTP_WRITE_MS);
}

static void h2_done(struct http_exchange *x)
{
    struct http2_stream *s = of(x);
    struct http2 *h = s->h;
    if (!s->is_aborting) {
        stream_free(s);
        if (!h->conn->stream) {
            soon(h); /* the last one closes the connection */
        }
    }
}

static const struct http_reply_ops http2_ops = {
    .is_waiting = h2_is_waiting,
    .is_gone = h2_is_gone,
    .reply = http2_reply,
    .begin = h2_begin,
    .write = h2_write,
    .queued = h2_queued,
    .end = h2_end,
    .abort = h2_abort,
    .part = h2_part,
    .part_done = h2_part_done,
    .due = h2_due,
    .abort_later = h2_abort_later,
    .done = h2_done,
};

/* ---- the session ---- */

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *data)
{
    struct http2 *h = data;
    (void)error;
    struct http2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (!s) {
        return 0;
    }
    (void)nghttp2_session_set_stream_user_data(session, id, NULL);
    if (s->state == S_WAIT) {
        s->is_gone = true;
    } else if (s->state == S_STREAM) {
        s->is_gone = s->abort_due = s->h->any_abort = true;
        soon(h);
    } else {
        stream_free(s);
    }
    return 0;
}

struct http2 *http2_new(struct http_conn *c, struct span preface)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, LIMIT_HTTP2_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, LIMIT_HTTP2_STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, LIMIT_HTTP_HEAD_BYTES},
    };
    struct http2 *h = MEM_NEW(struct http2);
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    h->conn = c;
    list_init(&h->streams);
    list_init(&h->spare);
    h->idle_due_ns = env_mono_ns(env_of(h)) + LIMIT_HTTP_READ_MS * INT64_C(1000000);
    int r = nghttp2_session_callbacks_new(&callbacks);
    r = r ? r : nghttp2_option_new(&option);
    assert(r == 0); /* memory: the policy of mem_new */
    http2_request_callbacks(callbacks);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    /* Spaces around a value are taken off instead of refusing the request for them. */
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
    r = nghttp2_session_server_new2(&h->session, callbacks, h, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    assert(r == 0);
    (void)nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                                  sizeof settings / sizeof *settings);
    (void)nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                LIMIT_HTTP2_WINDOW_BYTES);
    ssize_t n = nghttp2_session_mem_recv(h->session, (const uint8_t *)preface.p, preface.n);
    assert(n == (ssize_t)preface.n); /* it is the caller's constant */
    soon(h);
    return h;
}

void http2_free(struct http2 *h)
{
    if (!h) {
        return;
    }
    assert(list_is_empty(&h->streams));
    env_post_cancel(env_of(h), &h->task);
    LIST_EACH(link, &h->spare)
    {
        struct http2_stream *s = link_stream(link);
        strbuf_done(&s->out);
        http_exchange_done(&s->x);
        free(s);
    }
    nghttp2_session_del(h->session);
    free(h);
}

void http2_read(struct http2 *h, struct span bytes)
{
    assert(h->conn->depth > 0);
    h->is_receiving = true;
    ssize_t n = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes.p, bytes.n);
    h->is_receiving = false;
    if (n < 0) {
        h->conn->server->stats.rejected++;
        (void)nghttp2_session_terminate_session(h->session, NGHTTP2_PROTOCOL_ERROR);
    }
    abort_due(h);
    pump(h);
    if (n < 0 && h->conn->stream) {
        give_up(h);
    }
    if (h->conn->server->is_closing && h->conn->stream) {
        http2_stop(h); /* a handler has closed the server meanwhile */
    }
    tell_drained(h);
}

void http2_drain(struct http2 *h)
{
    assert(h->conn);
    pump(h);
    tell_drained(h);
}

void http2_end(struct http2 *h)
{
    struct http_conn *c = h->conn;
    assert(!c->stream);
    conn_enter(c);
    conn_no_deadline(c);
    LIST_EACH(link, &h->streams)
    {
        struct http2_stream *s = link_stream(link);
        (void)nghttp2_session_set_stream_user_data(h->session, s->id, NULL);
        s->is_gone = true;
        if (s->state == S_STREAM) {
            s->abort_due = s->h->any_abort = true;
        } else if (s->state != S_WAIT) {
            stream_free(s);
        }
    }
    abort_due(h);
    if (list_is_empty(&h->streams) && c->state != CONN_CLOSED) {
        conn_close(c, false);
    }
    conn_leave(c);
}

void http2_timer(struct http2 *h)
{
    assert(h->conn);
    struct http_conn *c = h->conn;
    int64_t now = env_mono_ns(env_of(h));
    int64_t next = list_is_empty(&h->streams) ? h->idle_due_ns : INT64_MAX;
    if (!c->stream) {
        return;
    }
    if (next <= now) {
        (void)nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
        pump(h);
        if (c->stream) {
            give_up(h);
        }
        return;
    }
    conn_no_deadline(c);
    LIST_EACH(link, &h->streams)
    {
        struct http2_stream *s = link_stream(link);
        if (s->due_ns <= now) {
            s->due_ns = INT64_MAX;
            (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
        }
        next = s->due_ns < next ? s->due_ns : next;
    }
    arm(h, next);
    pump(h);
}

void http2_stop(struct http2 *h)
{
    struct http_conn *c = h->conn;
    assert(c->depth > 0);
    assert(c->server->is_closing);
    LIST_EACH(link, &h->streams)
    {
        struct http2_stream *s = link_stream(link);
        if (s->state == S_STREAM && !s->x.is_pulled) {
            s->abort_due = s->h->any_abort = true;
        }
    }
    (void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(h->session),
                                NGHTTP2_NO_ERROR, NULL, 0);
    abort_due(h);
    pump(h);
}
