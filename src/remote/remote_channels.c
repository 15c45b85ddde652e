/* Port forwarding over a WebSocket of channels (v4.channel.k8s.io), as the Python and JavaScript
 * clients have it: the query names the ports, one connection each. Port number i has channel 2i for
 * its bytes, both ways, and 2i+1 for what went wrong; each channel begins with the port, two bytes,
 * the low one first. The whole ends when each connection has ended, or with the client, whose
 * connections are then aborted: a channel cannot be ended alone. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "codec/websocket.h"
#include "remote/remote_link_priv.h"

struct channel_port {
    struct channels *c;
    struct node_session *session; /* NULL: over */
    uint16_t port;
    bool paused; /* the node is to wait */
};

struct channels {
    struct remote_link l;
    struct ws_decoder ws;
    int channel; /* of the message in progress */
    size_t count, live;
    struct channel_port ports[LIMIT_FORWARD_PORTS];
};

static struct channels *channels_of(struct remote_link *l)
{
    return CONTAINER_OF(l, struct channels, l);
}

static const struct node_api_ops *node_ops(const struct channels *c)
{
    return c->l.hub->node->ops;
}

static void close_with(struct channels *c, uint16_t code, struct span reason)
{
    assert(c->l.stream);
    ws_put_close(&c->l.out, code, reason);
    remote_link_drop(&c->l);
}

static void put(const struct channel_port *p, bool is_error, struct span bytes)
{
    size_t at = (size_t)(p - p->c->ports);
    assert(at < p->c->count);
    const char first = (char)(at * 2 + is_error);
    ws_put(&p->c->l.out, WS_OP_BINARY, span_of(&first, 1), bytes);
}

/* ---- what the link asks ---- */

static bool is_stuck(const struct remote_link *l)
{
    const struct channels *c = (const struct channels *)(const void *)l;
    for (size_t i = 0; i < c->count; i++) {
        const struct node_session *s = c->ports[i].session;
        if (s && node_ops(c)->queued(s) > LIMIT_REMOTE_QUEUE_BYTES) {
            return true;
        }
    }
    return false;
}

static void room(struct remote_link *l)
{
    struct channels *c = channels_of(l);
    for (size_t i = 0; i < c->count; i++) {
        struct channel_port *p = &c->ports[i];
        if (p->paused && p->session) {
            p->paused = false;
            node_ops(c)->pause(p->session, false);
        }
    }
}

static void end(struct remote_link *l)
{
    struct channels *c = channels_of(l);
    for (size_t i = 0; i < c->count; i++) {
        if (c->ports[i].session) {
            node_ops(c)->abort(TAKE_PTR(c->ports[i].session));
            c->live--;
        }
    }
    assert(c->live == 0);
}

static void channels_free(struct remote_link *l)
{
    struct channels *c = channels_of(l);
    assert(c->live == 0);
    ws_decoder_done(&c->ws);
    free(c);
}

/* ---- from the node ---- */

static void on_output(void *data, int fd, struct span bytes)
{
    struct channel_port *p = data;
    struct channels *c = p->c;
    assert(fd == 1);
    assert(p->session);
    assert(c->l.stream);
    put(p, false, bytes);
    remote_link_flush(&c->l);
    if (!p->paused && env_stream_queued(c->l.stream) > LIMIT_REMOTE_QUEUE_BYTES) {
        p->paused = true;
        node_ops(c)->pause(p->session, true);
    }
}

static void on_session_end(void *data, int exit_code, const struct err *err)
{
    struct channel_port *p = data;
    struct channels *c = p->c;
    (void)exit_code;
    assert(p->session);
    assert(c->live > 0);
    p->session = NULL;
    c->live--;
    if (err) {
        put(p, true, err->message);
    }
    if (c->live == 0) {
        close_with(c, WS_NORMAL, SPAN_NULL);
        return;
    }
    remote_link_flush(&c->l);
    remote_link_look(&c->l);
}

static void on_session_drain(void *data)
{
    struct channel_port *p = data;
    if (p->c->l.client_paused) {
        remote_link_look(&p->c->l);
    }
}

static const struct node_session_handler session_handler = {on_output, on_session_end,
                                                            on_session_drain};

/* ---- from the client ---- */

static void on_message(struct channels *c, const struct ws_event *e)
{
    struct span bytes;
    if (!remote_ws_channel(&c->channel, e, &bytes)) {
        return;
    }
    size_t at = (size_t)c->channel / 2;
    if (c->channel % 2 || at >= c->count) {
        close_with(c, WS_PROTOCOL_ERROR, SPAN("not a channel that clients write"));
    } else if (c->ports[at].session) { /* else it has ended here: too late */
        node_ops(c)->write(c->ports[at].session, bytes);
    }
}

static void input(struct remote_link *l, struct span bytes)
{
    struct channels *c = channels_of(l);
    struct ws_event e;
    while (l->stream && remote_ws_next(&c->ws, &bytes, &l->out, &e)) {
        if (e.type == WS_DATA) {
            on_message(c, &e);
        } else {
            bool is_close = e.type == WS_CLOSE;
            close_with(c, is_close ? WS_NORMAL : e.code, is_close ? SPAN_NULL : e.bytes);
        }
    }
}

static const struct remote_link_ops link_ops = {
    .input = input, .is_stuck = is_stuck, .room = room, .end = end, .free = channels_free};

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
    struct node_api *n = c->l.hub->node;
    for (size_t i = 0; i < c->count; i++) {
        struct channel_port *p = &c->ports[i];
        const char port[2] = {(char)(p->port & 0xff), (char)(p->port >> 8)};
        const struct node_dial_request request = {.ns = c->l.ns, .pod = c->l.pod, .port = p->port};
        put(p, false, span_of(port, sizeof port));
        put(p, true, span_of(port, sizeof port));
        p->session = n->ops->dial(n, &request, &session_handler, p);
        assert(p->session);
        c->live++;
    }
    remote_link_flush(&c->l);
    remote_link_start(&c->l);
}

void remote_channels(struct remote_hub *h, struct http_exchange *x, struct span ns, struct span pod)
{
    assert(h->node);
    assert(pod.n > 0);
    struct err err = {0};
    uint16_t ports[LIMIT_FORWARD_PORTS];
    size_t count;
    if (ports_parse(x, ports, &count, &err) ||
        remote_ws_accept(x, REMOTE_CHANNELS_PROTOCOL, &err)) {
        h->refuse(x, &err);
        return;
    }
    struct channels *c = MEM_NEW(struct channels);
    c->ws.expect_mask = true;
    c->channel = REMOTE_CHANNEL_NONE;
    c->count = count;
    assert(count > 0);
    assert(count <= LIMIT_FORWARD_PORTS);
    for (size_t i = 0; i < count; i++) {
        c->ports[i] = (struct channel_port){.c = c, .port = ports[i]};
    }
    remote_link_init(&c->l, &link_ops, h, x, ns, pod);
    start(c);
}
