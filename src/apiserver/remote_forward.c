/* Port forwarding: one client connection, many connections to ports of one pod. Each is a pair of
 * SPDY streams with the same requestID: `error` (we write what went wrong) and `data` (both ways).
 *
 *   one stream open -> both: dial -> node's on_end -> last bytes sent -> freed
 *
 * The client may reset a stream or go at any time. The SPDY bytes travel bare or as the binary
 * messages of a WebSocket. A pod that does not take its bytes stops the reading of the whole client
 * connection, since kubectl keeps no windows. */
#include <stdlib.h>

#include "apiserver/remote_priv.h"
#include "apiserver/status.h"
#include "base/check.h"
#include "base/mem.h"
#include "codec/spdy.h"
#include "codec/websocket.h"

#define PROTOCOL "portforward.k8s.io"
#define TUNNEL "SPDY/3.1+" PROTOCOL

enum forward_kind { FORWARD_ERROR, FORWARD_DATA, FORWARD_KINDS };

/* One stream of a pair. */
struct forward_stream {
    uint32_t id;        /* 0: not open yet */
    bool is_reset;      /* the client wants no more of it */
    bool fin, fin_sent; /* our side is to be ended, is */
    uint32_t taken;     /* bytes since our last window update */
    int64_t window;     /* what may still be sent, when the client keeps windows */
    struct strbuf held; /* what may not */
};

struct forward_conn {
    struct list link;
    struct forward *f;
    struct forward_stream s[FORWARD_KINDS];
    char request_id[LIMIT_FORWARD_ID_BYTES];
    size_t request_id_n;
    uint16_t port;
    struct node_session *session;
    struct strbuf early;    /* data that came before the pair was complete */
    bool in_ended;          /* the client has ended its side */
    bool is_over;           /* nothing more comes from the pod */
    bool paused;            /* the node is to wait */
    struct env_timer timer; /* the other stream is awaited */
};

struct forward {
    struct list link;
    struct remote_hub *hub;
    struct env_stream *stream; /* NULL: dead */
    struct arena *arena;
    struct span ns, pod;
    int depth; /* our frames on the stack; the last one frees a dead one */
    struct list conns;
    size_t conn_count;
    struct spdy_decoder *decoder;
    struct spdy_encoder *encoder;
    struct strbuf out; /* SPDY frames of the call in progress */
    struct strbuf wrapped;
    bool is_ws, close_sent;
    struct ws_decoder ws;
    uint32_t last_stream, taken_all;
    bool has_windows;
    int64_t window_all;
    bool client_paused;
    int64_t ask_ms;
    struct env_timer timer; /* while client_paused */
};

/* ---- to the client ---- */

static void write_out(struct forward *f)
{
    if (f->stream && f->is_ws) {
        if (f->out.n) {
            ws_put(&f->wrapped, WS_OP_BINARY, strbuf_span(&f->out), SPAN_NULL);
        }
        if (f->wrapped.n) {
            env_stream_write(f->stream, strbuf_span(&f->wrapped));
        }
    } else if (f->stream && f->out.n) {
        env_stream_write(f->stream, strbuf_span(&f->out));
    }
    strbuf_clear(&f->out);
    strbuf_clear(&f->wrapped);
}

static void send_some(struct forward *f, struct forward_stream *s, bool fin, struct span bytes)
{
    spdy_put_data(&f->out, s->id, fin, bytes);
    s->window -= (int64_t)bytes.n;
    f->window_all -= (int64_t)bytes.n;
    s->fin_sent = s->fin_sent || fin;
}

/* Sends of what is held as much as the windows allow. */
static void pump(struct forward *f, struct forward_stream *s)
{
    int64_t room = s->window < f->window_all ? s->window : f->window_all;
    size_t most = !f->has_windows ? s->held.n : room > 0 ? (size_t)room : 0;
    struct span bytes = span_first(strbuf_span(&s->held), most);
    bool fin = s->fin && !s->fin_sent && bytes.n == s->held.n;
    if (s->id && !s->is_reset && (bytes.n || fin)) {
        send_some(f, s, fin, bytes);
        strbuf_consume(&s->held, bytes.n);
    }
}

static void put(struct forward *f, struct forward_stream *s, bool fin, struct span bytes)
{
    assert(!s->fin);
    if (s->is_reset || s->id == 0) {
        return;
    }
    s->fin = fin;
    if (!f->has_windows) {
        assert(s->held.n == 0);
        send_some(f, s, fin, bytes);
        return;
    }
    strbuf_put(&s->held, bytes);
    pump(f, s);
}

/* ---- life of a connection ---- */

static void conn_free(struct forward_conn *c)
{
    struct forward *f = c->f;
    assert(f->conn_count > 0);
    env_timer_stop(f->hub->env, &c->timer);
    if (c->session) {
        f->hub->node->ops->abort(TAKE_PTR(c->session));
    }
    list_remove(&c->link);
    f->conn_count--;
    strbuf_done(&c->early);
    for (int i = 0; i < FORWARD_KINDS; i++) {
        strbuf_done(&c->s[i].held);
    }
    free(c);
}

static bool stream_done(const struct forward_stream *s)
{
    return s->id == 0 || s->is_reset || s->fin_sent;
}

/* Freed when the pod has ended it and the client has been told. */
static void conn_settle(struct forward_conn *c)
{
    if (c->is_over && stream_done(&c->s[FORWARD_ERROR]) && stream_done(&c->s[FORWARD_DATA])) {
        conn_free(c);
    }
}

/* Both streams end, the error stream with this message. Nothing may use c afterwards. */
static void conn_end(struct forward_conn *c, struct span message)
{
    struct forward *f = c->f;
    assert(!c->is_over);
    c->is_over = true;
    env_timer_stop(f->hub->env, &c->timer);
    strbuf_done(&c->early);
    put(f, &c->s[FORWARD_ERROR], true, message);
    put(f, &c->s[FORWARD_DATA], true, SPAN_NULL);
    conn_settle(c);
}

static void forward_free(struct forward *f)
{
    assert(f->depth == 0 && !f->stream && list_is_empty(&f->conns));
    env_timer_stop(f->hub->env, &f->timer);
    list_remove(&f->link);
    f->hub->open--;
    spdy_decoder_free(f->decoder);
    spdy_encoder_free(f->encoder);
    ws_decoder_done(&f->ws);
    strbuf_done(&f->out);
    strbuf_done(&f->wrapped);
    arena_free(f->arena);
    free(f);
}

static void enter(struct forward *f)
{
    f->depth++;
}

static void leave(struct forward *f)
{
    assert(f->depth > 0);
    if (--f->depth == 0 && !f->stream) {
        forward_free(f);
    }
}

/* The client is gone or has broken the protocol; what is in f->out still leaves. */
static void drop(struct forward *f)
{
    if (!f->stream) {
        return;
    }
    enter(f);
    write_out(f);
    LIST_EACH(link, &f->conns)
    {
        conn_free(CONTAINER_OF(link, struct forward_conn, link));
    }
    env_stream_close_flush(TAKE_PTR(f->stream));
    leave(f);
}

static void break_off(struct forward *f, uint16_t code, struct span reason)
{
    if (f->is_ws && !f->close_sent) {
        f->close_sent = true;
        write_out(f);
        ws_put_close(&f->wrapped, code, reason);
    } else if (!f->is_ws && code != WS_NORMAL) {
        spdy_put_goaway(&f->out, f->last_stream, SPDY_RST_PROTOCOL_ERROR);
    }
    drop(f);
}

void remote_forwards_end_all(struct remote_hub *h)
{
    LIST_EACH(link, &h->forwards)
    {
        drop(CONTAINER_OF(link, struct forward, link));
    }
}

/* ---- back-pressure ---- */

static size_t waiting(const struct forward_conn *c)
{
    return env_stream_queued(c->f->stream) + c->s[FORWARD_DATA].held.n;
}

static void resume_conn(struct forward_conn *c)
{
    if (c->paused && c->session && waiting(c) <= LIMIT_REMOTE_QUEUE_BYTES) {
        c->paused = false;
        c->f->hub->node->ops->pause(c->session, false);
    }
}

static bool is_stuck(const struct forward *f)
{
    LIST_EACH(link, (struct list *)(uintptr_t)&f->conns)
    {
        const struct forward_conn *c = CONTAINER_OF(link, struct forward_conn, link);
        if (c->session && f->hub->node->ops->queued(c->session) > LIMIT_REMOTE_QUEUE_BYTES) {
            return true;
        }
    }
    return false;
}

static void on_ask(struct env_timer *timer);

/* Reading stops while a pod does not take its input, and goes on when each has. */
static void look(struct forward *f)
{
    struct env *env = f->hub->env;
    bool stuck = is_stuck(f);
    if (stuck == f->client_paused) {
        return;
    }
    f->client_paused = stuck;
    env_stream_read(f->stream, !stuck);
    if (stuck) {
        f->ask_ms = REMOTE_ASK_MIN_MS;
        env_timer_start(env, &f->timer, f->ask_ms, on_ask);
    } else {
        env_timer_stop(env, &f->timer);
    }
}

static void on_ask(struct env_timer *timer)
{
    struct forward *f = CONTAINER_OF(timer, struct forward, timer);
    look(f);
    if (f->client_paused) {
        f->ask_ms = f->ask_ms * 2 < REMOTE_ASK_MAX_MS ? f->ask_ms * 2 : REMOTE_ASK_MAX_MS;
        env_timer_start(f->hub->env, &f->timer, f->ask_ms, on_ask);
    }
}

/* ---- from the node ---- */

static void on_output(void *data, int fd, struct span bytes)
{
    struct forward_conn *c = data;
    struct forward *f = c->f;
    assert(fd == 1 && !c->is_over);
    put(f, &c->s[FORWARD_DATA], false, bytes);
    write_out(f);
    if (!c->paused && waiting(c) > LIMIT_REMOTE_QUEUE_BYTES) {
        c->paused = true;
        f->hub->node->ops->pause(c->session, true);
    }
}

static void on_session_end(void *data, int exit_code, const struct err *err)
{
    struct forward_conn *c = data;
    struct forward *f = c->f;
    (void)exit_code;
    c->session = NULL;
    conn_end(c, err ? err->message : SPAN_NULL);
    write_out(f);
    look(f);
}

static void on_session_drain(void *data)
{
    struct forward_conn *c = data;
    if (c->f->client_paused) {
        look(c->f);
    }
}

static const struct node_session_handler session_handler = {on_output, on_session_end,
                                                            on_session_drain};

/* ---- streams of the client ---- */

static void on_lonely(struct env_timer *timer)
{
    struct forward_conn *c = CONTAINER_OF(timer, struct forward_conn, timer);
    struct forward *f = c->f;
    conn_end(c, SPAN("the other stream of this connection was not opened"));
    write_out(f);
}

static struct forward_conn *conn_get(struct forward *f, struct span request_id)
{
    LIST_EACH(link, &f->conns)
    {
        struct forward_conn *c = CONTAINER_OF(link, struct forward_conn, link);
        if (!c->is_over && span_eq(span_of(c->request_id, c->request_id_n), request_id)) {
            return c;
        }
    }
    if (f->conn_count == LIMIT_FORWARD_CONNECTIONS) {
        return NULL;
    }
    struct forward_conn *c = MEM_NEW(struct forward_conn);
    c->f = f;
    memcpy(c->request_id, request_id.p, request_id.n);
    c->request_id_n = request_id.n;
    for (int i = 0; i < FORWARD_KINDS; i++) {
        c->s[i].window = SPDY_WINDOW_BYTES;
    }
    list_push_back(&f->conns, &c->link);
    f->conn_count++;
    env_timer_start(f->hub->env, &c->timer, LIMIT_REMOTE_SETUP_MS, on_lonely);
    return c;
}

static void conn_dial(struct forward_conn *c)
{
    struct forward *f = c->f;
    struct node_api *n = f->hub->node;
    const struct node_dial_request request = {.ns = f->ns, .pod = f->pod, .port = c->port};
    assert(!c->session && c->port > 0);
    env_timer_stop(f->hub->env, &c->timer);
    c->session = n->ops->dial(n, &request, &session_handler, c);
    assert(c->session);
    if (c->early.n) {
        n->ops->write(c->session, strbuf_span(&c->early));
        strbuf_done(&c->early);
    }
    if (c->in_ended) {
        n->ops->close_stdin(c->session);
    }
}

/* True when the stream makes sense. */
static bool syn_parse(const struct spdy_event *e, enum forward_kind *kind, uint16_t *port,
                      char id[LIMIT_FORWARD_ID_BYTES], struct span *request_id)
{
    struct span type = spdy_header_get(e, "streamtype");
    uint64_t n;
    if (!span_to_u64(spdy_header_get(e, "port"), &n) || n == 0 || n > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)n;
    *kind = span_eq_cstr(type, "error") ? FORWARD_ERROR : FORWARD_DATA;
    if (*kind == FORWARD_DATA && !span_eq_cstr(type, "data")) {
        return false;
    }
    *request_id = spdy_header_get(e, "requestid");
    if (request_id->n == 0) { /* old clients: the error stream's number, data comes right after */
        uint32_t first = *kind == FORWARD_ERROR ? e->stream : e->stream - 2;
        int len = snprintf(id, LIMIT_FORWARD_ID_BYTES, "#%u", first);
        *request_id = span_of(id, (size_t)len);
    }
    return request_id->n <= LIMIT_FORWARD_ID_BYTES;
}

static void in_end(struct forward_conn *c)
{
    if (!c->in_ended && !c->is_over) {
        c->in_ended = true;
        if (c->session) {
            c->f->hub->node->ops->close_stdin(c->session);
        }
    }
}

static void on_syn(struct forward *f, const struct spdy_event *e)
{
    enum forward_kind kind;
    uint16_t port;
    char id[LIMIT_FORWARD_ID_BYTES];
    struct span request_id;
    if (e->stream <= f->last_stream || e->stream % 2 == 0) {
        break_off(f, WS_PROTOCOL_ERROR, SPAN("stream numbers must be odd and grow"));
        return;
    }
    f->last_stream = e->stream;
    bool ok = syn_parse(e, &kind, &port, id, &request_id);
    struct forward_conn *c = ok ? conn_get(f, request_id) : NULL;
    if (!c || c->s[kind].id || (c->port && c->port != port)) {
        spdy_put_rst(&f->out, e->stream, SPDY_RST_REFUSED);
        return;
    }
    c->port = port;
    c->s[kind].id = e->stream;
    spdy_put_headers(f->encoder, &f->out, SPDY_SYN_REPLY, e->stream, false, NULL, 0);
    if (e->fin && kind == FORWARD_DATA) {
        in_end(c);
    }
    if (c->s[FORWARD_ERROR].id && c->s[FORWARD_DATA].id) {
        conn_dial(c);
    }
}

static struct forward_conn *conn_of(struct forward *f, uint32_t id, enum forward_kind *kind)
{
    LIST_EACH(link, &f->conns)
    {
        struct forward_conn *c = CONTAINER_OF(link, struct forward_conn, link);
        for (int i = 0; i < FORWARD_KINDS; i++) {
            if (id && c->s[i].id == id) {
                *kind = (enum forward_kind)i;
                return c;
            }
        }
    }
    return NULL;
}

static void open_window(struct forward *f, uint32_t id, uint32_t *taken, size_t n)
{
    *taken += (uint32_t)n;
    if (*taken >= SPDY_WINDOW_BYTES / 2) {
        spdy_put_window(&f->out, id, *taken);
        *taken = 0;
    }
}

static void take(struct forward_conn *c, struct span bytes)
{
    struct forward *f = c->f;
    if (c->in_ended || c->is_over || bytes.n == 0) {
        return;
    }
    if (c->session) {
        f->hub->node->ops->write(c->session, bytes);
        return;
    }
    strbuf_put(&c->early, bytes);
    if (c->early.n > LIMIT_REMOTE_QUEUE_BYTES) {
        conn_end(c, SPAN("too much data before the error stream was opened"));
    }
}

static void on_data(struct forward *f, const struct spdy_event *e)
{
    enum forward_kind kind;
    struct forward_conn *c = conn_of(f, e->stream, &kind);
    open_window(f, 0, &f->taken_all, e->bytes.n);
    if (!c) { /* it has ended here: what the client still sends or ends is too late */
        if (e->bytes.n || e->stream > f->last_stream) {
            spdy_put_rst(&f->out, e->stream, SPDY_RST_INVALID_STREAM);
        }
        return;
    }
    open_window(f, e->stream, &c->s[kind].taken, e->bytes.n);
    if (kind == FORWARD_DATA) { /* on the other the client only says that it will not write */
        if (e->fin) {
            bool had_room = c->session || c->early.n + e->bytes.n <= LIMIT_REMOTE_QUEUE_BYTES;
            take(c, e->bytes);
            if (had_room) {
                in_end(c);
            }
        } else {
            take(c, e->bytes);
        }
    }
}

static void on_reset(struct forward *f, const struct spdy_event *e)
{
    enum forward_kind kind;
    struct forward_conn *c = conn_of(f, e->stream, &kind);
    if (!c) {
        return;
    }
    c->s[kind].is_reset = true;
    strbuf_done(&c->s[kind].held);
    if (kind == FORWARD_DATA && !c->is_over) {
        if (c->session) {
            f->hub->node->ops->abort(TAKE_PTR(c->session));
        }
        conn_end(c, SPAN_NULL);
        return;
    }
    conn_settle(c);
}

static void on_window(struct forward *f, const struct spdy_event *e)
{
    enum forward_kind kind;
    struct forward_conn *c = conn_of(f, e->stream, &kind);
    int64_t delta = e->value & 0x7fffffff;
    f->has_windows = true;
    if (e->stream == 0) {
        f->window_all += delta;
    } else if (c) {
        c->s[kind].window += delta;
    }
    LIST_EACH(link, &f->conns)
    {
        struct forward_conn *each = CONTAINER_OF(link, struct forward_conn, link);
        pump(f, &each->s[FORWARD_ERROR]);
        pump(f, &each->s[FORWARD_DATA]);
        resume_conn(each);
        conn_settle(each);
    }
}

static void spdy_input(struct forward *f, struct span bytes)
{
    struct spdy_event e;
    while (f->stream && spdy_next(f->decoder, &bytes, &e)) {
        switch (e.type) {
        case SPDY_SYN_STREAM:
            on_syn(f, &e);
            break;
        case SPDY_DATA:
            on_data(f, &e);
            break;
        case SPDY_RST_STREAM:
            on_reset(f, &e);
            break;
        case SPDY_WINDOW_UPDATE:
            on_window(f, &e);
            break;
        case SPDY_PING:
            if (e.value % 2 == 1) { /* we send none, so even ones answer nothing */
                spdy_put_ping(&f->out, e.value);
            }
            break;
        case SPDY_ERROR:
            break_off(f, WS_PROTOCOL_ERROR, e.bytes);
            break;
        default: /* settings, late headers, a goaway that the end follows: nothing to do */
            break;
        }
    }
}

static void ws_input(struct forward *f, struct span bytes)
{
    struct ws_event e;
    while (f->stream && ws_next(&f->ws, &bytes, &e)) {
        switch (e.type) {
        case WS_DATA:
            spdy_input(f, e.bytes);
            break;
        case WS_PING:
            ws_put(&f->wrapped, WS_OP_PONG, e.bytes, SPAN_NULL);
            break;
        case WS_PONG:
            break;
        case WS_CLOSE:
            break_off(f, WS_NORMAL, SPAN_NULL);
            break;
        case WS_ERROR:
            break_off(f, e.code, e.bytes);
            break;
        }
    }
}

/* ---- the client's connection ---- */

static void on_read(void *data, struct span bytes)
{
    struct forward *f = data;
    enter(f);
    (f->is_ws ? ws_input : spdy_input)(f, bytes);
    if (f->stream) {
        write_out(f);
        if (env_stream_queued(f->stream) > REMOTE_STUCK_BYTES) {
            drop(f);
        } else {
            look(f);
        }
    }
    leave(f);
}

static void on_end(void *data, int code)
{
    (void)code;
    drop(data);
}

static void on_drain(void *data)
{
    struct forward *f = data;
    LIST_EACH(link, &f->conns)
    {
        resume_conn(CONTAINER_OF(link, struct forward_conn, link));
    }
}

static const struct env_stream_handler stream_handler = {on_read, on_end, on_drain};

/* ---- begin ---- */

static int begin_ws(struct http_exchange *x, struct err *reterr)
{
    struct span offered = http_header_all(x, "sec-websocket-protocol");
    bool known = remote_has_token(offered, TUNNEL);
    if (remote_ws_accept(x, known ? TUNNEL : NULL, reterr)) {
        return -1;
    }
    return known
               ? 0
               : err_set(http_arena(x), reterr, ERR_BAD_REQUEST,
                         "no common WebSocket protocol: client offers \"%.*s\", server has " TUNNEL
                         " and " REMOTE_CHANNELS_PROTOCOL,
                         SPAN_ARG(offered));
}

static int begin_spdy(struct http_exchange *x, struct err *reterr)
{
    struct span offered = http_header_all(x, "x-stream-protocol-version");
    if (!remote_has_token(offered, PROTOCOL)) {
        return err_set(http_arena(x), reterr, ERR_FORBIDDEN,
                       "unable to upgrade: unable to negotiate protocol: client supports \"%.*s\", "
                       "server accepts " PROTOCOL,
                       SPAN_ARG(offered));
    }
    http_add_header(x, "Connection", SPAN("Upgrade"));
    http_add_header(x, "Upgrade", SPAN("SPDY/3.1"));
    http_add_header(x, "X-Stream-Protocol-Version", SPAN(PROTOCOL));
    return 0;
}

void remote_forward(struct remote_hub *h, struct http_exchange *x, struct span ns, struct span pod)
{
    struct err err = {0};
    struct arena *a = http_arena(x);
    bool ws = remote_ws_wanted(x);
    int code;
    struct span offered = http_header_all(x, "sec-websocket-protocol");
    if (h->node && ws && !remote_has_token(offered, TUNNEL) &&
        remote_has_token(offered, REMOTE_CHANNELS_PROTOCOL)) {
        remote_channels(h, x, ns, pod);
        return;
    }
    if (!h->node) {
        code = err_set(a, &err, ERR_UNAVAILABLE, "this server has no node agent");
    } else if (!ws && !remote_spdy_wanted(x)) {
        code = err_set(a, &err, ERR_BAD_REQUEST, "Upgrade request required: WebSocket or SPDY/3.1");
    } else {
        code = (ws ? begin_ws : begin_spdy)(x, &err);
    }
    if (code < 0) {
        status_reply(x, &err);
        return;
    }
    struct forward *f = MEM_NEW(struct forward);
    f->hub = h;
    h->open++;
    list_push_back(&h->forwards, &f->link);
    list_init(&f->conns);
    f->arena = arena_new();
    f->ns = arena_dup(f->arena, ns);
    f->pod = arena_dup(f->arena, pod);
    f->decoder = spdy_decoder_new();
    f->encoder = spdy_encoder_new();
    f->is_ws = ws;
    f->ws.expect_mask = true;
    f->window_all = SPDY_WINDOW_BYTES;
    f->stream = http_upgrade(x);
    env_stream_set(f->stream, &stream_handler, f);
    env_stream_read(f->stream, true);
}
