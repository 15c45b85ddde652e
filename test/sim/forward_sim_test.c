/* Port forwarding over SPDY and over a WebSocket on virtual time: pairs of streams, errors, resets,
 * limits, back-pressure, and clients that go. The node is made up: it echoes. */
#include <stdlib.h>

#include "base/mem.h"
#include "codec/spdy.h"
#include "codec/websocket.h"
#include "kit/forward_kit.h"
#include "kit/kit.h"

enum { MAX_STREAM = 2000, FLOOD_PORT = 7, FLOOD_BYTES = 5000000 };

struct stream {
    struct strbuf got;
    bool replied, fin, reset;
};

struct world {
    struct forward_kit k;
    bool is_ws, closed;
    struct ws_decoder ws;
    struct spdy_decoder *decoder;
    struct spdy_encoder *encoder;
    struct strbuf out;
    struct stream streams[MAX_STREAM];
};

static void node_tick(struct node_session *s)
{
    static char block[20000];
    if (s->port == FLOOD_PORT && s->sent < FLOOD_BYTES) {
        size_t left = FLOOD_BYTES - s->sent, n = left < sizeof block ? left : sizeof block;
        s->sent += n;
        s->h->on_output(s->data, 1, span_of(block, n));
        if (!s->paused) {
            forward_kit_poke(s);
        }
    } else if (!s->k->deaf) {
        if (s->in.n) {
            s->h->on_output(s->data, 1, strbuf_span(&s->in));
            strbuf_clear(&s->in);
            s->h->on_drain(s->data);
        }
        if (s->in_ended || s->port == FLOOD_PORT) {
            forward_kit_session_end(s, NULL);
        }
    }
}

/* ---- the client ---- */

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

static void take(struct forward_kit *k, struct span bytes)
{
    struct world *w = CONTAINER_OF(k, struct world, k);
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

static const char spdy_head[] = "POST / HTTP/1.1\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n"
                                "X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n";
static const char ws_head[] =
    "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n";

static struct world *world_new(uint64_t seed, bool ws)
{
    struct world *w = MEM_NEW(struct world);
    w->is_ws = ws;
    w->decoder = spdy_decoder_new();
    w->encoder = spdy_encoder_new();
    w->k.tick = node_tick;
    w->k.take = take;
    forward_kit_start(&w->k, seed, span_cstr(ws ? ws_head : spdy_head));
    CHECK(w->k.upgraded);
    return w;
}

static void world_free(struct world *w)
{
    forward_kit_end(&w->k);
    spdy_decoder_free(w->decoder);
    spdy_encoder_free(w->encoder);
    ws_decoder_done(&w->ws);
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
        env_stream_write(w->k.s, strbuf_span(&frame));
        strbuf_done(&frame);
    } else {
        env_stream_write(w->k.s, strbuf_span(&w->out));
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
    env_sim_run_for(w->k.env, ms);
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
        CHECK_EQ(w->k.dials, 2);
        CHECK_SPAN(strbuf_span(&w->streams[3].got), "one");
        CHECK_SPAN(strbuf_span(&w->streams[7].got), "two");
        CHECK(w->streams[1].replied && w->streams[3].replied && !w->streams[3].fin);
        CHECK(w->streams[5].fin && w->streams[5].got.n == 0 && w->streams[7].fin);
        CHECK_EQ(w->k.live, 1);
        spdy_put_data(&w->out, 7, true, SPAN_NULL); /* late: ignored */
        spdy_put_data(&w->out, 3, true, SPAN(", three"));
        run(w, 500);
        CHECK_SPAN(strbuf_span(&w->streams[3].got), "one, three");
        CHECK(w->streams[1].fin && w->streams[3].fin && !w->streams[7].reset);
        CHECK_EQ(w->k.live, 0);
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
    CHECK_EQ(w->k.dials, 0);
    env_sim_run_for(w->k.env, LIMIT_REMOTE_SETUP_MS + 1000); /* nobody comes for the other half */
    CHECK(w->streams[7].fin && w->streams[7].got.n > 0);
    open_pair(w, 15, "80", "e");
    spdy_put_rst(&w->out, 17, SPDY_RST_CANCEL);
    run(w, 500);
    CHECK_EQ(w->k.dials, 1);
    CHECK_EQ(w->k.aborts, 1);
    CHECK(w->streams[15].fin);
    open_stream(w, 15, "error", "80", "f"); /* numbers must grow: the end */
    run(w, 500);
    CHECK(w->k.ended);
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
    CHECK_EQ(w->k.live, LIMIT_FORWARD_CONNECTIONS);
    CHECK(w->streams[at - 4].reset && w->streams[at - 2].reset && !w->streams[at - 6].reset);
    spdy_put_data(&w->out, 3, true, SPAN_NULL);
    run(w, 500);
    open_pair(w, at, "80", "again");
    run(w, 500);
    CHECK_EQ(w->k.live, LIMIT_FORWARD_CONNECTIONS);
    CHECK(w->streams[at + 2].replied);
    world_free(w);
}

TEST(a_pod_that_takes_nothing_holds_the_client_back_and_goes_on_later)
{
    static char block[10000];
    struct world *w = world_new(4, false);
    open_pair(w, 1, "80", "0");
    run(w, 100);
    w->k.deaf = true;
    for (int i = 0; i < 300; i++) {
        spdy_put_data(&w->out, 3, i == 299, span_of(block, sizeof block));
        send_now(w);
    }
    env_sim_run_for(w->k.env, 5000);
    CHECK(w->k.queued_max > LIMIT_REMOTE_QUEUE_BYTES);
    CHECK(w->k.queued_max < 4 * LIMIT_REMOTE_QUEUE_BYTES);
    w->k.deaf = false;
    forward_kit_poke(w->k.last);
    env_sim_run_for(w->k.env, 20000);
    CHECK_EQ(w->streams[3].got.n, 300 * sizeof block);
    CHECK(w->streams[3].fin);
    world_free(w);
}

TEST(a_client_that_does_not_read_holds_the_pod_back)
{
    struct world *w = world_new(5, true);
    open_pair(w, 1, "7", "0");
    env_stream_read(w->k.s, false);
    run(w, 5000);
    CHECK_EQ(w->k.live, 1); /* 5 MB have not gone into memory */
    env_stream_read(w->k.s, true);
    env_sim_run_for(w->k.env, 20000);
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
        CHECK_EQ(w->k.live, 1);
        strbuf_put(&w->out, SPAN("\x80\x03\x00\x01\xff\xff\xff\xff garbage"));
        run(w, 500);
        CHECK(w->k.ended && w->k.live == 0 && w->closed == ws);
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
    CHECK(!w->streams[3].fin && w->k.live == 1);
    for (int i = 0; i < 200 && !w->streams[3].fin; i++) {
        spdy_put_window(&w->out, 0, SPDY_WINDOW_BYTES);
        spdy_put_window(&w->out, 3, SPDY_WINDOW_BYTES);
        run(w, 100);
    }
    CHECK_EQ(w->streams[3].got.n, FLOOD_BYTES);
    CHECK(w->streams[1].fin && w->streams[3].fin && w->k.live == 0);
    CHECK_SPAN(strbuf_span(&w->streams[5].got), "connect: connection refused");
    world_free(w);
}
