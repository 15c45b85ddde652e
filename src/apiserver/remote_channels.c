/* Port forwarding over a WebSocket of channels (v4.channel.k8s.io), as the Python and JavaScript
 * clients have it: the query names the ports, one connection each. Port number i has channel 2i for
 * its bytes, both ways, and 2i+1 for what went wrong; each channel begins with the port, two bytes,
 * the low one first. The whole ends when each connection has ended, or with the client, whose
 * connections are then aborted: a channel cannot be ended alone. */
#include <stdlib.h>

#include "apiserver/remote_priv.h"
#include "apiserver/status.h"
#include "base/check.h"
#include "base/mem.h"
#include "codec/websocket.h"

enum { CHANNEL_NONE = -1 };

struct channel_port {
    struct channels *c;
    struct node_session *session; /* NULL: over */
    uint16_t port;
    bool paused; /* the node is to wait */
};

struct channels {
    struct list link;
    struct remote_hub *hub;
    struct env_stream *stream; /* NULL: dead */
    struct arena *arena;
    struct span ns, pod;
    int depth; /* our frames on the stack; the last one frees a dead one */
    struct ws_decoder ws;
    struct strbuf out;
    int channel; /* of the message in progress; CHANNEL_NONE before its first byte */
    bool close_sent, client_paused;
    int64_t ask_ms;
    struct env_timer timer; /* while client_paused */
    size_t count, live;
    struct channel_port ports[LIMIT_FORWARD_PORTS];
};

static void leave(struct channels *c)
{
    assert(c->depth > 0);
    if (--c->depth > 0 || c->stream) {
        return;
    }
    assert(c->live == 0);
    env_timer_stop(c->hub->env, &c->timer);
    list_remove(&c->link);
    c->hub->open--;
    ws_decoder_done(&c->ws);
    strbuf_done(&c->out);
    arena_free(c->arena);
    free(c);
}

static void write_out(struct channels *c)
{
    if (c->stream && c->out.n) {
        env_stream_write(c->stream, strbuf_span(&c->out));
    }
    strbuf_clear(&c->out);
}

/* The client is gone, has broken the protocol or has been told everything. */
static void drop(struct channels *c)
{
    c->depth++;
    if (c->stream) {
        write_out(c);
        for (size_t i = 0; i < c->count; i++) {
            if (c->ports[i].session) {
                c->hub->node->ops->abort(TAKE_PTR(c->ports[i].session));
                c->live--;
            }
        }
        env_stream_close_flush(TAKE_PTR(c->stream));
    }
    leave(c);
}

static void close_with(struct channels *c, uint16_t code, struct span reason)
{
    if (!c->close_sent) {
        c->close_sent = true;
        ws_put_close(&c->out, code, reason);
    }
    drop(c);
}

void remote_channels_end_all(struct remote_hub *h)
{
    LIST_EACH(link, &h->channels)
    {
        drop(CONTAINER_OF(link, struct channels, link));
    }
}

static void put(const struct channel_port *p, bool is_error, struct span bytes)
{
    const char first = (char)((p - p->c->ports) * 2 + is_error);
    ws_put(&p->c->out, WS_OP_BINARY, span_of(&first, 1), bytes);
}

/* ---- back-pressure ---- */

static bool is_stuck(const struct channels *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct node_session *s = c->ports[i].session;
        if (s && c->hub->node->ops->queued(s) > LIMIT_REMOTE_QUEUE_BYTES) {
            return true;
        }
    }
    return false;
}

static void on_ask(struct env_timer *timer);

/* Reading stops while a pod does not take its input, and goes on when each has. */
static void look(struct channels *c)
{
    bool stuck = is_stuck(c);
    if (!c->stream || stuck == c->client_paused) {
        return;
    }
    c->client_paused = stuck;
    env_stream_read(c->stream, !stuck);
    if (stuck) {
        c->ask_ms = REMOTE_ASK_MIN_MS;
        env_timer_start(c->hub->env, &c->timer, c->ask_ms, on_ask);
    } else {
        env_timer_stop(c->hub->env, &c->timer);
    }
}

static void on_ask(struct env_timer *timer)
{
    struct channels *c = CONTAINER_OF(timer, struct channels, timer);
    look(c);
    if (c->client_paused) {
        c->ask_ms = c->ask_ms * 2 < REMOTE_ASK_MAX_MS ? c->ask_ms * 2 : REMOTE_ASK_MAX_MS;
        env_timer_start(c->hub->env, &c->timer, c->ask_ms, on_ask);
    }
}

static void on_drain(void *data)
{
    struct channels *c = data;
    for (size_t i = 0; i < c->count; i++) {
        struct channel_port *p = &c->ports[i];
        if (p->paused && p->session) {
            p->paused = false;
            c->hub->node->ops->pause(p->session, false);
        }
    }
}

/* ---- from the node ---- */

static void on_output(void *data, int fd, struct span bytes)
{
    struct channel_port *p = data;
    struct channels *c = p->c;
    assert(fd == 1 && p->session && c->stream);
    put(p, false, bytes);
    write_out(c);
    if (!p->paused && env_stream_queued(c->stream) > LIMIT_REMOTE_QUEUE_BYTES) {
        p->paused = true;
        c->hub->node->ops->pause(p->session, true);
    }
}

static void on_session_end(void *data, int exit_code, const struct err *err)
{
    struct channel_port *p = data;
    struct channels *c = p->c;
    (void)exit_code;
    p->session = NULL;
    c->live--;
    if (err) {
        put(p, true, err->message);
    }
    if (c->live == 0) {
        close_with(c, WS_NORMAL, SPAN_NULL);
        return;
    }
    write_out(c);
    look(c);
}

static void on_session_drain(void *data)
{
    struct channel_port *p = data;
    if (p->c->client_paused) {
        look(p->c);
    }
}

/* ---- from the client ---- */

static void on_message(struct channels *c, const struct ws_event *e)
{
    struct span bytes = e->bytes;
    if (e->is_start) {
        c->channel = CHANNEL_NONE;
    }
    if (c->channel == CHANNEL_NONE && bytes.n) {
        c->channel = (uint8_t)bytes.p[0];
        bytes = span_from(bytes, 1);
    }
    if (c->channel == CHANNEL_NONE || bytes.n == 0) {
        return;
    }
    size_t at = (size_t)c->channel / 2;
    if (c->channel % 2 || at >= c->count) {
        close_with(c, WS_PROTOCOL_ERROR, SPAN("not a channel that clients write"));
    } else if (c->ports[at].session) { /* else it has ended here: too late */
        c->hub->node->ops->write(c->ports[at].session, bytes);
    }
}

static void on_read(void *data, struct span bytes)
{
    struct channels *c = data;
    struct ws_event e;
    c->depth++;
    while (c->stream && ws_next(&c->ws, &bytes, &e)) {
        switch (e.type) {
        case WS_DATA:
            on_message(c, &e);
            break;
        case WS_PING:
            ws_put(&c->out, WS_OP_PONG, e.bytes, SPAN_NULL);
            break;
        case WS_PONG:
            break;
        case WS_CLOSE:
            close_with(c, WS_NORMAL, SPAN_NULL);
            break;
        case WS_ERROR:
            close_with(c, e.code, e.bytes);
            break;
        }
    }
    write_out(c);
    if (c->stream && env_stream_queued(c->stream) > REMOTE_STUCK_BYTES) {
        drop(c);
    }
    look(c);
    leave(c);
}

static void on_end(void *data, int code)
{
    (void)code;
    drop(data);
}

static const struct env_stream_handler stream_handler = {on_read, on_end, on_drain};
static const struct node_session_handler session_handler = {on_output, on_session_end,
                                                            on_session_drain};

/* ---- begin ---- */

/* "ports" may come several times, and each may be a list. */
static int ports_parse(struct http_exchange *x, uint16_t ports[LIMIT_FORWARD_PORTS], size_t *count,
                       struct err *reterr)
{
    struct span key, value;
    *count = 0;
    for (size_t at = 0; http_query_next(x, &at, &key, &value);) {
        while (span_eq_cstr(key, "ports") && value.n) {
            struct span text = span_cut(&value, ',');
            uint64_t port;
            if (!span_to_u64(text, &port) || port == 0 || port > UINT16_MAX) {
                return err_set(http_arena(x), reterr, ERR_BAD_REQUEST,
                               "unable to parse \"%.*s\" as a port: 1 to 65535",
                               SPAN_ARG(span_first(text, 64)));
            }
            if (*count == LIMIT_FORWARD_PORTS) {
                return err_set(http_arena(x), reterr, ERR_BAD_REQUEST,
                               "too many ports: at most %d for one WebSocket", LIMIT_FORWARD_PORTS);
            }
            ports[(*count)++] = (uint16_t)port;
        }
    }
    return *count ? 0
                  : err_set(http_arena(x), reterr, ERR_BAD_REQUEST,
                            "query parameter \"ports\" is required with " REMOTE_CHANNELS_PROTOCOL);
}

static void start(struct channels *c)
{
    struct node_api *n = c->hub->node;
    for (size_t i = 0; i < c->count; i++) {
        struct channel_port *p = &c->ports[i];
        const char port[2] = {(char)(p->port & 0xff), (char)(p->port >> 8)};
        const struct node_dial_request request = {.ns = c->ns, .pod = c->pod, .port = p->port};
        put(p, false, span_of(port, sizeof port));
        put(p, true, span_of(port, sizeof port));
        p->session = n->ops->dial(n, &request, &session_handler, p);
        assert(p->session);
        c->live++;
    }
    write_out(c);
    env_stream_read(c->stream, true);
}

void remote_channels(struct remote_hub *h, struct http_exchange *x, struct span ns, struct span pod)
{
    struct err err = {0};
    uint16_t ports[LIMIT_FORWARD_PORTS];
    size_t count;
    assert(h->node);
    if (ports_parse(x, ports, &count, &err) ||
        remote_ws_accept(x, REMOTE_CHANNELS_PROTOCOL, &err)) {
        status_reply(x, &err);
        return;
    }
    struct channels *c = MEM_NEW(struct channels);
    c->hub = h;
    h->open++;
    list_push_back(&h->channels, &c->link);
    c->arena = arena_new();
    c->ns = arena_dup(c->arena, ns);
    c->pod = arena_dup(c->arena, pod);
    c->ws.expect_mask = true;
    c->channel = CHANNEL_NONE;
    c->count = count;
    for (size_t i = 0; i < count; i++) {
        c->ports[i] = (struct channel_port){.c = c, .port = ports[i]};
    }
    c->stream = http_upgrade(x);
    env_stream_set(c->stream, &stream_handler, c);
    start(c);
}
