/* Port forwarding over SPDY and over a WebSocket on virtual time: pairs of streams, errors, resets,
 * limits, back-pressure, and clients that go. The node is made up: it echoes. */
#include <stdlib.h>

#include "apiserver/remote.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "codec/spdy.h"
#include "codec/websocket.h"
#include "http/http.h"
#include "kit/kit.h"
#include "sim/env_sim.h"

enum { MAX_STREAM = 2000, REFUSED_PORT = 99, FLOOD_PORT = 7, FLOOD_BYTES = 5000000 };

struct world;
struct node_session {
    struct world *w;
    const struct node_session_handler *h;
    void *data;
    uint16_t port;
    struct strbuf in;
    size_t left;
    bool in_ended, paused;
    struct env_timer timer;
};

struct stream {
    struct strbuf got;
    bool replied, fin, reset;
};

struct world {
    struct env *env;
    struct http_server *http;
    struct remote_hub *hub;
    struct node_api node;
    int dials, live, aborts;
    bool deaf; /* the node takes nothing */
    struct node_session *last;
    size_t queued_max;
    struct env_stream *s;
    struct strbuf raw;
    bool upgraded, ended, is_ws, closed;
    struct ws_decoder ws;
    struct spdy_decoder *decoder;
    struct spdy_encoder *encoder;
    struct strbuf out;
    struct stream streams[MAX_STREAM];
};

/* ---- the node ---- */

static void session_free(struct node_session *s)
{
    env_timer_stop(s->w->env, &s->timer);
    strbuf_done(&s->in);
    s->w->live--;
    free(s);
}

static void session_end(struct node_session *s, const struct err *err)
{
    s->h->on_end(s->data, err ? -1 : 0, err);
    session_free(s);
}

static void session_tick(struct env_timer *t)
{
    struct node_session *s = CONTAINER_OF(t, struct node_session, timer);
    static char block[20000];
    if (s->port == REFUSED_PORT) {
        struct err err = {.reason = ERR_INTERNAL, .message = SPAN("connect: connection refused")};
        session_end(s, &err);
    } else if (s->left) {
        size_t n = s->left < sizeof block ? s->left : sizeof block;
        s->left -= n;
        s->h->on_output(s->data, 1, span_of(block, n));
        if (!s->paused) {
            env_timer_start(s->w->env, &s->timer, 1, session_tick);
        }
    } else if (!s->w->deaf) {
        if (s->in.n) {
            s->h->on_output(s->data, 1, strbuf_span(&s->in));
            strbuf_clear(&s->in);
            s->h->on_drain(s->data);
        }
        if (s->in_ended || s->port == FLOOD_PORT) {
            session_end(s, NULL);
        }
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
    s->left = q->port == FLOOD_PORT ? FLOOD_BYTES : 0;
    w->dials++;
    w->live++;
    w->last = s;
    env_timer_start(w->env, &s->timer, 1, session_tick);
    return s;
}

static void node_write(struct node_session *s, struct span bytes)
{
    strbuf_put(&s->in, bytes);
    if (s->in.n > s->w->queued_max) {
        s->w->queued_max = s->in.n;
    }
    env_timer_start(s->w->env, &s->timer, 1, session_tick);
}

static size_t node_queued(const struct node_session *s)
{
    return s->in.n;
}

static void node_close_stdin(struct node_session *s)
{
    s->in_ended = true;
    env_timer_start(s->w->env, &s->timer, 1, session_tick);
}

static void node_pause(struct node_session *s, bool paused)
{
    s->paused = paused;
    if (!paused) {
        env_timer_start(s->w->env, &s->timer, 1, session_tick);
    }
}

static void node_abort(struct node_session *s)
{
    s->w->aborts++;
    session_free(s);
}

static const struct node_api_ops node_ops = {.dial = node_dial,
                                             .write = node_write,
                                             .queued = node_queued,
                                             .close_stdin = node_close_stdin,
                                             .pause = node_pause,
                                             .abort = node_abort};

/* ---- the client ---- */

static void on_request(void *data, struct http_exchange *x)
{
    struct world *w = data;
    remote_forward(w->hub, x, SPAN("default"), SPAN("p"));
}

static void take_spdy(struct world *w, struct span bytes)
{
    struct spdy_event e;
    while (spdy_next(w->decoder, &bytes, &e)) {
        CHECK(e.type != SPDY_ERROR && e.stream < MAX_STREAM);
        struct stream *s = &w->streams[e.stream];
        s->replied = s->replied || e.type == SPDY_SYN_REPLY;
        s->reset = s->reset || e.type == SPDY_RST_STREAM;
        if (e.type == SPDY_DATA) {
            strbuf_put(&s->got, e.bytes);
            CHECK(!s->fin);
            s->fin = e.fin;
        }
    }
}

static void take(struct world *w, struct span bytes)
{
    struct ws_event e;
    if (!w->is_ws) {
        take_spdy(w, bytes);
        return;
    }
    while (ws_next(&w->ws, &bytes, &e)) {
        CHECK(e.type == WS_DATA || e.type == WS_CLOSE || e.type == WS_PONG);
        w->closed = w->closed || e.type == WS_CLOSE;
        if (e.type == WS_DATA) {
            take_spdy(w, e.bytes);
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

static const char spdy_head[] = "POST / HTTP/1.1\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n"
                                "X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n";
static const char ws_head[] =
    "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n";

static struct world *world_new(uint64_t seed, bool ws)
{
    static const struct http_handler handler = {on_request};
    struct world *w = MEM_NEW(struct world);
    w->env = env_sim_new(seed);
    w->node.ops = &node_ops;
    w->is_ws = ws;
    w->http = http_server_new(w->env, &handler, w);
    w->hub = remote_hub_new(w->env, &w->node);
    w->decoder = spdy_decoder_new();
    w->encoder = spdy_encoder_new();
    CHECK_EQ(http_server_listen_tcp(w->http, "127.0.0.1", 80, NULL, NULL), 0);
    CHECK_EQ(env_connect_tcp(w->env, "127.0.0.1", 80, cl_connected, w), 0);
    env_sim_run_for(w->env, 500);
    env_stream_write(w->s, span_cstr(ws ? ws_head : spdy_head));
    env_sim_run_for(w->env, 500);
    CHECK(w->upgraded);
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
    spdy_decoder_free(w->decoder);
    spdy_encoder_free(w->encoder);
    ws_decoder_done(&w->ws);
    env_sim_free(w->env);
    strbuf_done(&w->raw);
    strbuf_done(&w->out);
    for (int i = 0; i < MAX_STREAM; i++) {
        strbuf_done(&w->streams[i].got);
    }
    free(w);
}

static void send_now(struct world *w)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    if (w->is_ws) {
        struct strbuf frame = STRBUF_INIT;
        ws_put_frame(&frame, WS_OP_BINARY, true, mask, strbuf_span(&w->out));
        env_stream_write(w->s, strbuf_span(&frame));
        strbuf_done(&frame);
    } else {
        env_stream_write(w->s, strbuf_span(&w->out));
    }
    strbuf_clear(&w->out);
}

static void open_stream(struct world *w, uint32_t id, const char *type, const char *port,
                        const char *request)
{
    const struct spdy_header headers[] = {{SPAN("streamtype"), span_cstr(type)},
                                          {SPAN("port"), span_cstr(port)},
                                          {SPAN("requestid"), span_cstr(request)}};
    spdy_put_headers(w->encoder, &w->out, SPDY_SYN_STREAM, id, false, headers, request[0] ? 3 : 2);
}

/* As kubectl does it: the error stream is ended at once. Uses id and id + 2. */
static void open_pair(struct world *w, uint32_t id, const char *port, const char *request)
{
    open_stream(w, id, "error", port, request);
    spdy_put_data(&w->out, id, true, SPAN_NULL);
    open_stream(w, id + 2, "data", port, request);
}

static void run(struct world *w, int64_t ms)
{
    send_now(w);
    env_sim_run_for(w->env, ms);
}

TEST(pairs_carry_bytes_both_ways_and_end_both_streams_over_both_transports)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct world *w = world_new(seed, seed % 2);
        open_pair(w, 1, "80", "0");
        open_pair(w, 5, "81", seed % 4 < 2 ? "1" : ""); /* old clients have no requestID */
        spdy_put_data(&w->out, 3, false, SPAN("one"));
        spdy_put_data(&w->out, 7, true, SPAN("two"));
        run(w, 500);
        CHECK_EQ(w->dials, 2);
        CHECK_SPAN(strbuf_span(&w->streams[3].got), "one");
        CHECK_SPAN(strbuf_span(&w->streams[7].got), "two");
        CHECK(w->streams[1].replied && w->streams[3].replied && !w->streams[3].fin);
        CHECK(w->streams[5].fin && w->streams[5].got.n == 0 && w->streams[7].fin);
        CHECK_EQ(w->live, 1);
        spdy_put_data(&w->out, 7, true, SPAN_NULL); /* late: ignored */
        spdy_put_data(&w->out, 3, true, SPAN(", three"));
        run(w, 500);
        CHECK_SPAN(strbuf_span(&w->streams[3].got), "one, three");
        CHECK(w->streams[1].fin && w->streams[3].fin && !w->streams[7].reset);
        CHECK_EQ(w->live, 0);
        world_free(w);
    }
}

TEST(a_refused_connection_is_told_on_the_error_stream_and_the_others_go_on)
{
    struct world *w = world_new(1, true);
    open_pair(w, 1, "99", "0");
    open_pair(w, 5, "80", "1");
    run(w, 500);
    CHECK_SPAN(strbuf_span(&w->streams[1].got), "connect: connection refused");
    CHECK(w->streams[1].fin && w->streams[3].fin && w->streams[3].got.n == 0);
    spdy_put_data(&w->out, 7, false, SPAN("still"));
    run(w, 500);
    CHECK_SPAN(strbuf_span(&w->streams[7].got), "still");
    world_free(w);
}

TEST(what_makes_no_pair_is_refused_or_ended)
{
    struct world *w = world_new(2, false);
    open_stream(w, 1, "error", "0", "a");
    open_stream(w, 3, "error", "65536", "b");
    open_stream(w, 5, "stdin", "80", "c");
    open_stream(w, 7, "error", "80", "d");
    open_stream(w, 9, "error", "80", "d"); /* twice */
    open_stream(w, 11, "data", "81", "d"); /* another port */
    open_stream(w, 13, "error", "80", "a-request-id-that-is-longer-than-any-client-has");
    run(w, 500);
    CHECK(w->streams[1].reset && w->streams[3].reset && w->streams[5].reset);
    CHECK(!w->streams[7].reset && w->streams[9].reset && w->streams[11].reset);
    CHECK(w->streams[13].reset);
    CHECK_EQ(w->dials, 0);
    env_sim_run_for(w->env, LIMIT_REMOTE_SETUP_MS + 1000); /* nobody comes for the other half */
    CHECK(w->streams[7].fin && w->streams[7].got.n > 0);
    open_pair(w, 15, "80", "e");
    spdy_put_rst(&w->out, 17, SPDY_RST_CANCEL);
    run(w, 500);
    CHECK_EQ(w->dials, 1);
    CHECK_EQ(w->aborts, 1);
    CHECK(w->streams[15].fin);
    open_stream(w, 15, "error", "80", "f"); /* numbers must grow: the end */
    run(w, 500);
    CHECK(w->ended);
    world_free(w);
}

TEST(connections_are_limited_and_a_place_is_free_again_after_an_end)
{
    struct world *w = world_new(3, true);
    char id[16];
    uint32_t at = 1;
    for (int i = 0; i <= LIMIT_FORWARD_CONNECTIONS; i++, at += 4) {
        (void)snprintf(id, sizeof id, "%d", i);
        open_pair(w, at, "80", id);
    }
    run(w, 2000);
    CHECK_EQ(w->live, LIMIT_FORWARD_CONNECTIONS);
    CHECK(w->streams[at - 4].reset && w->streams[at - 2].reset && !w->streams[at - 6].reset);
    spdy_put_data(&w->out, 3, true, SPAN_NULL);
    run(w, 500);
    open_pair(w, at, "80", "again");
    run(w, 500);
    CHECK_EQ(w->live, LIMIT_FORWARD_CONNECTIONS);
    CHECK(w->streams[at + 2].replied);
    world_free(w);
}

TEST(a_pod_that_takes_nothing_holds_the_client_back_and_goes_on_later)
{
    static char block[10000];
    struct world *w = world_new(4, false);
    open_pair(w, 1, "80", "0");
    run(w, 100);
    w->deaf = true;
    for (int i = 0; i < 300; i++) {
        spdy_put_data(&w->out, 3, i == 299, span_of(block, sizeof block));
        send_now(w);
    }
    env_sim_run_for(w->env, 5000);
    CHECK(w->queued_max > LIMIT_REMOTE_QUEUE_BYTES);
    CHECK(w->queued_max < 4 * LIMIT_REMOTE_QUEUE_BYTES);
    w->deaf = false;
    env_timer_start(w->env, &w->last->timer, 1, session_tick);
    env_sim_run_for(w->env, 20000);
    CHECK_EQ(w->streams[3].got.n, 300 * sizeof block);
    CHECK(w->streams[3].fin);
    world_free(w);
}

TEST(a_client_that_does_not_read_holds_the_pod_back)
{
    struct world *w = world_new(5, true);
    open_pair(w, 1, "7", "0");
    env_stream_read(w->s, false);
    run(w, 5000);
    CHECK_EQ(w->live, 1); /* 5 MB have not gone into memory */
    env_stream_read(w->s, true);
    env_sim_run_for(w->env, 20000);
    CHECK_EQ(w->streams[3].got.n, FLOOD_BYTES);
    CHECK(w->streams[1].fin && w->streams[3].fin);
    world_free(w);
}

TEST(garbage_ends_the_client_and_its_connections)
{
    for (int ws = 0; ws < 2; ws++) {
        struct world *w = world_new(6, ws);
        open_pair(w, 1, "80", "0");
        run(w, 200);
        CHECK_EQ(w->live, 1);
        strbuf_put(&w->out, SPAN("\x80\x03\x00\x01\xff\xff\xff\xff garbage"));
        run(w, 500);
        CHECK(w->ended && w->live == 0 && w->closed == ws);
        world_free(w);
    }
}

TEST(a_client_that_keeps_windows_gets_no_more_than_they_allow_and_all_in_the_end)
{
    struct world *w = world_new(7, false);
    spdy_put_window(&w->out, 0, 1);
    open_pair(w, 1, "7", "0");
    open_pair(w, 5, "99", "1");
    run(w, 5000);
    CHECK_EQ(w->streams[3].got.n + w->streams[5].got.n, SPDY_WINDOW_BYTES + 1); /* the whole */
    CHECK(!w->streams[3].fin && w->live == 1);
    for (int i = 0; i < 200 && !w->streams[3].fin; i++) {
        spdy_put_window(&w->out, 0, SPDY_WINDOW_BYTES);
        spdy_put_window(&w->out, 3, SPDY_WINDOW_BYTES);
        run(w, 100);
    }
    CHECK_EQ(w->streams[3].got.n, FLOOD_BYTES);
    CHECK(w->streams[1].fin && w->streams[3].fin && w->live == 0);
    CHECK_SPAN(strbuf_span(&w->streams[5].got), "connect: connection refused");
    world_free(w);
}
