/* Port forwarding over a WebSocket of channels on virtual time: the ports in the query, bytes both
 * ways, errors, ends, back-pressure, and clients that go or break the rules. The node is made up:
 * it echoes, and a connection ends when it is sent "end". */
#include <stdlib.h>

#include "base/mem.h"
#include "codec/websocket.h"
#include "kit/forward_kit.h"
#include "kit/kit.h"

enum { CHANNELS = 8, BLOCK = 20000 };

struct world {
    struct forward_kit k;
    struct strbuf got[CHANNELS];
    bool closed;
    uint16_t close_code;
    struct ws_decoder ws;
    int channel;
};

static void node_tick(struct node_session *s)
{
    if (span_eq(strbuf_span(&s->in), SPAN("end"))) {
        forward_kit_session_end(s, NULL);
    } else if (s->in.n && !s->k->deaf && !s->paused) {
        struct span some = span_first(strbuf_span(&s->in), BLOCK);
        s->h->on_output(s->data, 1, some);
        strbuf_consume(&s->in, some.n);
        s->h->on_drain(s->data);
        forward_kit_poke(s);
    }
}

static void take(struct forward_kit *k, struct span bytes)
{
    struct world *w = CONTAINER_OF(k, struct world, k);
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

static struct world *world_new(uint64_t seed, const char *query)
{
    struct world *w = MEM_NEW(struct world);
    char head[512];
    int n = snprintf(head, sizeof head,
                     "GET /%s HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\n\r\n",
                     query);
    w->k.tick = node_tick;
    w->k.take = take;
    forward_kit_start(&w->k, seed, span_of(head, (size_t)n));
    return w;
}

static void world_free(struct world *w)
{
    forward_kit_end(&w->k);
    ws_decoder_done(&w->ws);
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
    env_stream_write(w->k.s, strbuf_span(&frame));
    strbuf_done(&message);
    strbuf_done(&frame);
}

TEST(each_port_has_two_channels_that_begin_with_its_number_and_carries_bytes_both_ways)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct world *w = world_new(seed, seed % 2 ? "?ports=80&ports=8080" : "?ports=80,8080");
        CHECK(w->k.upgraded);
        CHECK(memmem(w->k.raw.p, w->k.raw.n, "v4.channel.k8s.io", 17) != NULL);
        say(w, 0, SPAN("one"));
        say(w, 2, SPAN("two"));
        env_sim_run_for(w->k.env, 500);
        CHECK_EQ(w->k.dials, 2);
        CHECK(span_eq(strbuf_span(&w->got[0]), span_of("\x50\x00one", 5)));
        CHECK(span_eq(strbuf_span(&w->got[1]), span_of("\x50\x00", 2)));
        CHECK(span_eq(strbuf_span(&w->got[2]), span_of("\x90\x1ftwo", 5)));
        CHECK(span_eq(strbuf_span(&w->got[3]), span_of("\x90\x1f", 2)));
        say(w, 0, SPAN("end"));
        env_sim_run_for(w->k.env, 500);
        CHECK(!w->closed);
        say(w, 0, SPAN("too late"));
        say(w, 2, SPAN("end"));
        env_sim_run_for(w->k.env, 500);
        CHECK(w->closed && w->k.ended);
        CHECK_EQ(w->close_code, WS_NORMAL);
        CHECK_EQ(w->k.aborts, 0);
        world_free(w);
    }
}

TEST(a_port_where_nobody_listens_says_so_on_its_error_channel)
{
    struct world *w = world_new(1, "?ports=80&ports=99");
    env_sim_run_for(w->k.env, 500);
    CHECK(span_eq(span_from(strbuf_span(&w->got[3]), 2), SPAN("connect: connection refused")));
    say(w, 0, SPAN("still there"));
    env_sim_run_for(w->k.env, 500);
    CHECK(span_eq(span_from(strbuf_span(&w->got[0]), 2), SPAN("still there")));
    world_free(w);
    w = world_new(1, "?ports=99");
    env_sim_run_for(w->k.env, 500);
    CHECK(w->closed && w->k.ended && w->k.live == 0);
    world_free(w);
}

TEST(ports_that_make_no_sense_are_refused_with_a_status)
{
    static const char *const queries[] = {
        "", "?ports=", "?ports=0", "?ports=65536", "?ports=http", "?ports=80,,81"};
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct world *w = world_new(i, queries[i]);
        CHECK(!w->k.upgraded);
        CHECK(memmem(w->k.raw.p, w->k.raw.n, " 400 ", 5) != NULL);
        CHECK(memmem(w->k.raw.p, w->k.raw.n, "port", 4) != NULL);
        world_free(w);
    }
    char many[8 + 3 * (LIMIT_FORWARD_PORTS + 1)] = "?ports=80";
    for (int i = 0; i < LIMIT_FORWARD_PORTS; i++) {
        memcpy(many + 9 + (size_t)i * 3, ",80", 3);
    }
    struct world *w = world_new(9, many);
    CHECK(memmem(w->k.raw.p, w->k.raw.n, "too many ports", 14) != NULL);
    CHECK_EQ(w->k.dials, 0);
    world_free(w);
}

TEST(a_channel_that_is_not_the_clients_ends_all)
{
    static const int channels[] = {1, 2, 255};
    for (size_t i = 0; i < 3; i++) {
        struct world *w = world_new(i, "?ports=80");
        say(w, channels[i], SPAN("x"));
        env_sim_run_for(w->k.env, 500);
        CHECK(w->closed && w->k.ended);
        CHECK_EQ(w->close_code, WS_PROTOCOL_ERROR);
        CHECK_EQ(w->k.aborts, 1);
        world_free(w);
    }
}

TEST(a_pod_that_takes_nothing_holds_its_client_back)
{
    struct world *w = world_new(3, "?ports=80");
    static char block[BLOCK];
    w->k.deaf = true;
    for (int i = 0; i < 200; i++) {
        say(w, 0, span_of(block, sizeof block));
    }
    env_sim_run_for(w->k.env, 5000);
    CHECK(w->k.queued_max < 8 * LIMIT_REMOTE_QUEUE_BYTES);
    w->k.deaf = false;
    forward_kit_poke(w->k.last);
    say(w, 0, SPAN("last"));
    for (int i = 0; i < 200 && w->got[0].n < 2 + 200 * BLOCK + 4; i++) {
        env_sim_run_for(w->k.env, 1000);
    }
    CHECK_EQ(w->got[0].n, 2 + 200 * BLOCK + 4);
    world_free(w);
}

TEST(a_client_that_goes_at_any_time_leaves_nothing)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct world *w = world_new(seed, "?ports=80&ports=81");
        say(w, 0, SPAN("one"));
        env_sim_run_for(w->k.env, (int64_t)seed % 7);
        env_stream_close(TAKE_PTR(w->k.s));
        env_sim_run_for(w->k.env, 500);
        CHECK_EQ(w->k.live, 0);
        world_free(w);
    }
}
