/* Port forwarding over a WebSocket of channels on virtual time: the ports in the query, bytes both
 * ways, errors, ends, back-pressure, and clients that go or break the rules. The node is made up:
 * it echoes, and a connection ends when it is sent "end". */
#include <stdlib.h>

#include "apiserver/remote.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "codec/websocket.h"
#include "http/http.h"
#include "kit/kit.h"
#include "sim/env_sim.h"

enum { CHANNELS = 8, REFUSED_PORT = 99, BLOCK = 20000 };

struct world;
struct node_session {
    struct world *w;
    const struct node_session_handler *h;
    void *data;
    uint16_t port;
    struct strbuf in;
    bool paused;
    struct env_timer timer;
};

struct world {
    struct env *env;
    struct http_server *http;
    struct remote_hub *hub;
    struct node_api node;
    int dials, live, aborts, pauses;
    bool deaf; /* the node takes nothing */
    struct node_session *last;
    size_t queued_max;
    struct env_stream *s;
    struct strbuf raw, got[CHANNELS];
    bool upgraded, ended, closed;
    uint16_t close_code;
    struct ws_decoder ws;
    int channel;
};

static void session_free(struct node_session *s)
{
    env_timer_stop(s->w->env, &s->timer);
    strbuf_done(&s->in);
    s->w->live--;
    free(s);
}

static void session_tick(struct env_timer *t)
{
    struct node_session *s = CONTAINER_OF(t, struct node_session, timer);
    struct err refused = {.reason = ERR_INTERNAL, .message = SPAN("connection refused")};
    if (s->port == REFUSED_PORT) {
        s->h->on_end(s->data, -1, &refused);
        session_free(s);
    } else if (span_eq(strbuf_span(&s->in), SPAN("end"))) {
        s->h->on_end(s->data, 0, NULL);
        session_free(s);
    } else if (s->in.n && !s->w->deaf && !s->paused) {
        struct span some = span_first(strbuf_span(&s->in), BLOCK);
        s->h->on_output(s->data, 1, some);
        strbuf_consume(&s->in, some.n);
        s->h->on_drain(s->data);
        env_timer_start(s->w->env, &s->timer, 1, session_tick);
    }
}

static struct node_session *node_dial(struct node_api *n, const struct node_dial_request *q,
                                      const struct node_session_handler *h, void *data)
{
    struct world *w = CONTAINER_OF(n, struct world, node);
    struct node_session *s = MEM_NEW(struct node_session);
    CHECK_SPAN(q->ns, "default");
    CHECK_SPAN(q->pod, "p");
    *s = (struct node_session){.w = w, .h = h, .data = data, .port = q->port};
    w->dials++;
    w->live++;
    w->last = s;
    env_timer_start(w->env, &s->timer, 1, session_tick);
    return s;
}

static void node_write(struct node_session *s, struct span bytes)
{
    strbuf_put(&s->in, bytes);
    s->w->queued_max = s->in.n > s->w->queued_max ? s->in.n : s->w->queued_max;
    env_timer_start(s->w->env, &s->timer, 1, session_tick);
}

static size_t node_queued(const struct node_session *s)
{
    return s->in.n;
}

static void node_pause(struct node_session *s, bool paused)
{
    s->paused = paused;
    s->w->pauses += paused;
    env_timer_start(s->w->env, &s->timer, 1, session_tick);
}

static void node_abort(struct node_session *s)
{
    s->w->aborts++;
    session_free(s);
}

static const struct node_api_ops node_ops = {.dial = node_dial,
                                             .write = node_write,
                                             .queued = node_queued,
                                             .pause = node_pause,
                                             .abort = node_abort};

static void on_request(void *data, struct http_exchange *x)
{
    struct world *w = data;
    remote_forward(w->hub, x, SPAN("default"), SPAN("p"));
}

static void take(struct world *w, struct span bytes)
{
    struct ws_event e;
    while (ws_next(&w->ws, &bytes, &e)) {
        CHECK(e.type == WS_DATA || e.type == WS_CLOSE || e.type == WS_PONG);
        if (e.type == WS_CLOSE) {
            w->closed = true;
            w->close_code = e.code;
        } else if (e.type == WS_DATA) {
            if (e.is_start) {
                w->channel = (uint8_t)e.bytes.p[0];
                CHECK(w->channel < CHANNELS);
            }
            strbuf_put(&w->got[w->channel], span_from(e.bytes, e.is_start));
        }
    }
}

static void cl_read(void *data, struct span bytes)
{
    struct world *w = data;
    if (w->upgraded) {
        take(w, bytes);
        return;
    }
    strbuf_put(&w->raw, bytes);
    char *end = memmem(w->raw.p, w->raw.n, "\r\n\r\n", 4);
    if (end && memmem(w->raw.p, w->raw.n, " 101 ", 5)) {
        w->upgraded = true;
        take(w, span_from(strbuf_span(&w->raw), (size_t)(end + 4 - w->raw.p)));
    }
}

static void cl_end(void *data, int code)
{
    struct world *w = data;
    (void)code;
    w->ended = true;
    env_stream_close(TAKE_PTR(w->s));
}

static void cl_connected(void *data, int code, struct env_stream *stream)
{
    static const struct env_stream_handler stream_handler = {cl_read, cl_end, NULL};
    struct world *w = data;
    CHECK_EQ(code, 0);
    w->s = stream;
    env_stream_set(stream, &stream_handler, w);
    env_stream_read(stream, true);
}

static struct world *world_new(uint64_t seed, const char *query)
{
    static const struct http_handler handler = {on_request};
    struct world *w = MEM_NEW(struct world);
    char head[512];
    w->env = env_sim_new(seed);
    w->node.ops = &node_ops;
    w->http = http_server_new(w->env, &handler, w);
    w->hub = remote_hub_new(w->env, &w->node);
    CHECK_EQ(http_server_listen_tcp(w->http, "127.0.0.1", 80, NULL, NULL), 0);
    CHECK_EQ(env_connect_tcp(w->env, "127.0.0.1", 80, cl_connected, w), 0);
    env_sim_run_for(w->env, 500);
    int n = snprintf(head, sizeof head,
                     "GET /%s HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\n\r\n",
                     query);
    env_stream_write(w->s, span_of(head, (size_t)n));
    env_sim_run_for(w->env, 500);
    return w;
}

static void world_free(struct world *w)
{
    if (w->s) {
        env_stream_close(w->s);
    }
    env_sim_run_for(w->env, 1000);
    CHECK_EQ(w->live, 0); /* a client that goes leaves nothing */
    CHECK_EQ(remote_hub_open(w->hub), 0);
    remote_hub_free(w->hub);
    http_server_close(w->http);
    env_sim_run_for(w->env, 20000);
    http_server_free(w->http);
    ws_decoder_done(&w->ws);
    env_sim_free(w->env);
    strbuf_done(&w->raw);
    for (int i = 0; i < CHANNELS; i++) {
        strbuf_done(&w->got[i]);
    }
    free(w);
}

static void say(struct world *w, int channel, struct span bytes)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    struct strbuf message = STRBUF_INIT, frame = STRBUF_INIT;
    const char first = (char)channel;
    strbuf_put(&message, span_of(&first, 1));
    strbuf_put(&message, bytes);
    ws_put_frame(&frame, WS_OP_BINARY, true, mask, strbuf_span(&message));
    env_stream_write(w->s, strbuf_span(&frame));
    strbuf_done(&message);
    strbuf_done(&frame);
}

TEST(each_port_has_two_channels_that_begin_with_its_number_and_carries_bytes_both_ways)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct world *w = world_new(seed, seed % 2 ? "?ports=80&ports=8080" : "?ports=80,8080");
        CHECK(w->upgraded);
        CHECK(memmem(w->raw.p, w->raw.n, "v4.channel.k8s.io", 17) != NULL);
        say(w, 0, SPAN("one"));
        say(w, 2, SPAN("two"));
        env_sim_run_for(w->env, 500);
        CHECK_EQ(w->dials, 2);
        CHECK(span_eq(strbuf_span(&w->got[0]), span_of("\x50\x00one", 5)));
        CHECK(span_eq(strbuf_span(&w->got[1]), span_of("\x50\x00", 2)));
        CHECK(span_eq(strbuf_span(&w->got[2]), span_of("\x90\x1ftwo", 5)));
        CHECK(span_eq(strbuf_span(&w->got[3]), span_of("\x90\x1f", 2)));
        say(w, 0, SPAN("end"));
        env_sim_run_for(w->env, 500);
        CHECK(!w->closed);
        say(w, 0, SPAN("too late"));
        say(w, 2, SPAN("end"));
        env_sim_run_for(w->env, 500);
        CHECK(w->closed && w->ended);
        CHECK_EQ(w->close_code, WS_NORMAL);
        CHECK_EQ(w->aborts, 0);
        world_free(w);
    }
}

TEST(a_port_where_nobody_listens_says_so_on_its_error_channel)
{
    struct world *w = world_new(1, "?ports=80&ports=99");
    env_sim_run_for(w->env, 500);
    CHECK(span_eq(span_from(strbuf_span(&w->got[3]), 2), SPAN("connection refused")));
    say(w, 0, SPAN("still there"));
    env_sim_run_for(w->env, 500);
    CHECK(span_eq(span_from(strbuf_span(&w->got[0]), 2), SPAN("still there")));
    world_free(w);
    w = world_new(1, "?ports=99");
    env_sim_run_for(w->env, 500);
    CHECK(w->closed && w->ended && w->live == 0);
    world_free(w);
}

TEST(ports_that_make_no_sense_are_refused_with_a_status)
{
    static const char *const queries[] = {
        "", "?ports=", "?ports=0", "?ports=65536", "?ports=http", "?ports=80,,81"};
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct world *w = world_new(i, queries[i]);
        CHECK(!w->upgraded);
        CHECK(memmem(w->raw.p, w->raw.n, " 400 ", 5) != NULL);
        CHECK(memmem(w->raw.p, w->raw.n, "port", 4) != NULL);
        world_free(w);
    }
    char many[8 + 3 * (LIMIT_FORWARD_PORTS + 1)] = "?ports=80";
    for (int i = 0; i < LIMIT_FORWARD_PORTS; i++) {
        memcpy(many + 9 + (size_t)i * 3, ",80", 3);
    }
    struct world *w = world_new(9, many);
    CHECK(memmem(w->raw.p, w->raw.n, "too many ports", 14) != NULL);
    CHECK_EQ(w->dials, 0);
    world_free(w);
}

TEST(a_channel_that_is_not_the_clients_ends_all)
{
    static const int channels[] = {1, 2, 255};
    for (size_t i = 0; i < 3; i++) {
        struct world *w = world_new(i, "?ports=80");
        say(w, channels[i], SPAN("x"));
        env_sim_run_for(w->env, 500);
        CHECK(w->closed && w->ended);
        CHECK_EQ(w->close_code, WS_PROTOCOL_ERROR);
        CHECK_EQ(w->aborts, 1);
        world_free(w);
    }
}

TEST(a_pod_that_takes_nothing_holds_its_client_back)
{
    struct world *w = world_new(3, "?ports=80");
    static char block[BLOCK];
    w->deaf = true;
    for (int i = 0; i < 200; i++) {
        say(w, 0, span_of(block, sizeof block));
    }
    env_sim_run_for(w->env, 5000);
    CHECK(w->queued_max < 8 * LIMIT_REMOTE_QUEUE_BYTES);
    w->deaf = false;
    env_timer_start(w->env, &w->last->timer, 1, session_tick);
    say(w, 0, SPAN("last"));
    for (int i = 0; i < 200 && w->got[0].n < 2 + 200 * BLOCK + 4; i++) {
        env_sim_run_for(w->env, 1000);
    }
    CHECK_EQ(w->got[0].n, 2 + 200 * BLOCK + 4);
    world_free(w);
}

TEST(a_client_that_goes_at_any_time_leaves_nothing)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct world *w = world_new(seed, "?ports=80&ports=81");
        say(w, 0, SPAN("one"));
        env_sim_run_for(w->env, (int64_t)seed % 7);
        env_stream_close(TAKE_PTR(w->s));
        env_sim_run_for(w->env, 500);
        CHECK_EQ(w->live, 0);
        world_free(w);
    }
}
