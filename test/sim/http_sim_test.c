/* The HTTP server, and exec over WebSocket and SPDY, on virtual time: deadlines, slow and stuck
 * clients, and every way that a connection can be cut into pieces, by seed. */
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "codec/spdy.h"
#include "codec/websocket.h"
#include "front/reply.h"
#include "http/http.h"
#include "kit/kit.h"
#include "remote/remote.h"
#include "sim/env_sim.h"

struct world;
struct node_session {
    struct world *w;
    const struct node_session_handler *h;
    void *data;
    struct strbuf in;
    size_t left;
    bool paused, in_ended;
    struct env_timer timer;
};

struct world {
    struct env *env;
    struct http_server *http;
    struct remote_hub *hub;
    struct node_api node;
    struct node_session *session;
    struct env_stream *s;
    struct strbuf got;
    bool ended, stuck, node_deaf, node_silent;
    int end_code, requests, aborts, sessions, parts_left, sources_done;
    struct http_exchange *x;
    uint16_t width, height;
};

/* ---- a node: "echo" until stdin ends, then exit 7; "bytes": a lot ---- */

static void session_free(struct node_session *s)
{
    env_timer_stop(s->w->env, &s->timer);
    strbuf_done(&s->in);
    s->w->session = NULL;
    free(s);
}

static void session_tick(struct env_timer *t)
{
    struct node_session *s = CONTAINER_OF(t, struct node_session, timer);
    static char block[20000];
    if (s->left) {
        size_t n = s->left < sizeof block ? s->left : sizeof block;
        s->left -= n;
        s->h->on_output(s->data, 1, span_of(block, n));
        if (!s->paused) {
            env_timer_start(s->w->env, &s->timer, 1, session_tick);
        }
        return;
    }
    if (s->w->node_deaf) {
        return;
    }
    if (s->in.n) {
        struct strbuf in = s->in;
        s->in = STRBUF_INIT;
        s->h->on_output(s->data, 1, strbuf_span(&in));
        strbuf_done(&in);
        if (!s->w->node_silent) {
            s->h->on_drain(s->data);
        }
    }
    if (s->in_ended) {
        s->h->on_end(s->data, 7, NULL);
        session_free(s);
    }
}

static struct node_session *node_exec(struct node_api *n, const struct node_exec_request *q,
                                      const struct node_session_handler *h, void *data)
{
    struct world *w = CONTAINER_OF(n, struct world, node);
    struct node_session *s = MEM_NEW(struct node_session);
    *s = (struct node_session){.w = w, .h = h, .data = data};
    w->session = s;
    w->sessions++;
    if (span_eq_cstr(q->command[0], "bytes")) {
        s->left = 1000000;
        env_timer_start(w->env, &s->timer, 1, session_tick);
    }
    return s;
}

static void node_write(struct node_session *s, struct span bytes)
{
    strbuf_put(&s->in, bytes);
    env_timer_start(s->w->env, &s->timer, 5, session_tick);
}

static size_t node_queued(const struct node_session *s)
{
    return s->in.n;
}

static void node_close_stdin(struct node_session *s)
{
    s->in_ended = true;
    env_timer_start(s->w->env, &s->timer, 5, session_tick);
}

static void node_resize(struct node_session *s, uint16_t width, uint16_t height)
{
    s->w->width = width;
    s->w->height = height;
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

static const struct node_api_ops node_ops = {NULL,        node_exec,        node_write,
                                             node_queued, node_close_stdin, node_resize,
                                             node_pause,  node_abort};

/* ---- the server ---- */

static void on_abort(void *data)
{
    struct world *w = data;
    w->aborts++;
    w->x = NULL;
}
static const struct http_stream_handler stream_handler = {NULL, on_abort};

static bool source_next(void *data, struct strbuf *out)
{
    struct world *w = data;
    (void)memset(strbuf_room(out, 20000), 'x', 20000);
    strbuf_added(out, 20000);
    return --w->parts_left > 0;
}

static void source_done(void *data)
{
    ((struct world *)data)->sources_done++;
}

static const struct http_source source = {source_next, source_done};

static void on_request(void *data, struct http_exchange *x)
{
    struct world *w = data;
    struct span path = http_path(x);
    w->requests++;
    if (span_eq_cstr(path, "/exec")) {
        struct node_exec_request q;
        struct err err;
        CHECK_EQ(remote_exec_parse(x, true, &q, &err), 0);
        remote_exec(w->hub, x, &q);
    } else if (span_eq_cstr(path, "/stream")) {
        w->x = x;
        http_stream_begin(x, 200, NULL, &stream_handler, w);
    } else if (span_eq_cstr(path, "/big")) {
        char *p = arena_alloc(http_arena(x), 2000000);
        http_reply(x, 200, NULL, span_of(p, 2000000));
    } else if (span_eq_cstr(path, "/long")) {
        w->parts_left = 100;
        http_reply_source(x, 200, NULL, &source, w);
    } else {
        http_reply(x, 200, NULL, http_body(x));
    }
}

static void cl_read(void *data, struct span bytes)
{
    strbuf_put(&((struct world *)data)->got, bytes);
}

static void cl_end(void *data, int code)
{
    struct world *w = data;
    w->ended = true;
    w->end_code = code;
    env_stream_close(w->s);
    w->s = NULL;
}

static void cl_connected(void *data, int code, struct env_stream *stream)
{
    static const struct env_stream_handler handler = {cl_read, cl_end, NULL};
    struct world *w = data;
    CHECK_EQ(code, 0);
    w->s = stream;
    env_stream_set(stream, &handler, w);
    env_stream_read(stream, !w->stuck);
}

static void dial(struct world *w)
{
    w->ended = false;
    strbuf_clear(&w->got);
    CHECK_EQ(env_connect_tcp(w->env, "127.0.0.1", 80, cl_connected, w), 0);
    env_sim_run_for(w->env, 500);
    CHECK(w->s != NULL);
}

static void say(struct world *w, struct span text)
{
    env_stream_write(w->s, text);
    env_sim_run_for(w->env, 200);
}

static void world_init(struct world *w, uint64_t seed)
{
    static const struct http_handler handler = {on_request};
    *w = (struct world){.env = env_sim_new(seed), .node = {&node_ops}};
    w->http = http_server_new(w->env, &handler, w);
    w->hub = remote_hub_new(w->env, &w->node, reply_err);
    CHECK_EQ(http_server_listen_tcp(w->http, "127.0.0.1", 80, NULL, NULL), 0);
}

static size_t open_connections(struct world *w)
{
    struct http_server_stats stats;
    http_server_stats(w->http, &stats);
    return stats.connections_open;
}

static void world_done(struct world *w)
{
    if (w->s) {
        env_stream_close(w->s);
    }
    remote_hub_free(w->hub);
    http_server_close(w->http);
    env_sim_run_for(w->env, 20000);
    CHECK_EQ(open_connections(w), 0);
    http_server_free(w->http);
    env_sim_free(w->env);
    strbuf_done(&w->got);
}

static bool got(struct world *w, const char *text)
{
    return w->got.n && memmem(w->got.p, w->got.n, text, strlen(text)) != NULL;
}

TEST(a_slow_loris_is_answered_408_after_the_read_limit_however_busy_it_is)
{
    struct world w;
    world_init(&w, 1);
    dial(&w);
    say(&w, SPAN("GET / HTTP/1.1\r\nA: "));
    int64_t start = env_mono_ns(w.env);
    for (int i = 0; i < 1000 && w.s; i++) {
        say(&w, SPAN("x"));
    }
    int64_t took_ms = (env_mono_ns(w.env) - start) / 1000000;
    CHECK(w.ended && got(&w, "HTTP/1.1 408 "));
    CHECK(took_ms > LIMIT_HTTP_READ_MS - 2000 && took_ms < LIMIT_HTTP_READ_MS + 2000);
    dial(&w); /* the same in a body */
    say(&w, SPAN("POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n"));
    start = env_mono_ns(w.env);
    for (int i = 0; i < 1000 && w.s; i++) {
        say(&w, SPAN("x"));
    }
    took_ms = (env_mono_ns(w.env) - start) / 1000000;
    CHECK(w.ended && got(&w, "HTTP/1.1 408 "));
    CHECK(took_ms < LIMIT_HTTP_READ_MS + 2000);
    CHECK_EQ(w.requests, 0);
    world_done(&w);
}

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"
/* POST / of nobody, whose head or body is to come. */
#define FIELDS "\x83\x86\x84\x41\x01"

TEST(a_slow_loris_of_http2_has_its_stream_reset_after_the_read_limit)
{
    static const struct span heads[] = {
        SPAN(PREFACE "\0\0\x06\x01\0\0\0\0\x01" FIELDS "a"),   /* the head does not end */
        SPAN(PREFACE "\0\0\x06\x01\x04\0\0\0\x01" FIELDS "a"), /* the body does not */
    };
    static const char reset[] = "\0\0\x04\x03\0\0\0\0\x01";
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_init(&w, 5 + i);
        dial(&w);
        say(&w, heads[i]);
        int64_t start = env_mono_ns(w.env), took_ms = 0;
        while (w.s && took_ms < 4 * LIMIT_HTTP_READ_MS &&
               !(w.got.n && memmem(w.got.p, w.got.n, reset, sizeof reset - 1))) {
            if (i == 1) {
                say(&w, SPAN("\0\0\x01\0\0\0\0\0\x01x")); /* one byte of it */
            } else {
                env_sim_run_for(w.env, 200);
            }
            took_ms = (env_mono_ns(w.env) - start) / 1000000;
        }
        CHECK(took_ms > LIMIT_HTTP_READ_MS - 2000 && took_ms < LIMIT_HTTP_READ_MS + 2000);
        env_sim_run_for(w.env, LIMIT_HTTP_IDLE_MS + 2000);
        CHECK(w.ended);
        CHECK_EQ(w.requests, 0);
        world_done(&w);
    }
}

TEST(a_client_that_does_not_take_a_long_reply_is_dropped_and_its_source_released)
{
    struct world w;
    world_init(&w, 4);
    w.stuck = true;
    dial(&w);
    say(&w, SPAN("GET /long HTTP/1.1\r\n\r\n"));
    env_sim_run_for(w.env, LIMIT_HTTP_WRITE_MS - 5000);
    CHECK_EQ(open_connections(&w), 1);
    CHECK(w.parts_left > 50 && w.sources_done == 0);
    env_sim_run_for(w.env, 10000);
    CHECK_EQ(open_connections(&w), 0);
    CHECK(w.parts_left > 50 && w.sources_done == 1);
    world_done(&w);
}

TEST(idle_connections_end_and_busy_ones_do_not)
{
    struct world w;
    world_init(&w, 2);
    dial(&w); /* never says a word */
    env_sim_run_for(w.env, LIMIT_HTTP_READ_MS + 1000);
    CHECK(w.ended && w.got.n == 0);
    dial(&w);
    say(&w, SPAN("GET / HTTP/1.1\r\n\r\n"));
    env_sim_run_for(w.env, LIMIT_HTTP_IDLE_MS - 5000);
    CHECK(!w.ended);
    say(&w, SPAN("GET / HTTP/1.1\r\n\r\n"));
    env_sim_run_for(w.env, LIMIT_HTTP_IDLE_MS - 5000);
    CHECK(!w.ended);
    env_sim_run_for(w.env, 6000);
    CHECK(w.ended);
    dial(&w); /* a quiet watch lives as long as it likes */
    say(&w, SPAN("GET /stream HTTP/1.1\r\n\r\n"));
    env_sim_run_for(w.env, 3600 * 1000);
    CHECK(!w.ended && w.x);
    http_stream_write(w.x, SPAN("late"));
    http_stream_end(w.x);
    env_sim_run_for(w.env, 1000);
    CHECK(got(&w, "4\r\nlate\r\n0\r\n\r\n"));
    world_done(&w);
}

TEST(a_client_that_does_not_take_its_reply_is_dropped)
{
    struct world w;
    world_init(&w, 3);
    w.stuck = true;
    dial(&w);
    say(&w, SPAN("GET /big HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"));
    CHECK_EQ(w.requests, 1); /* nothing more is begun for it */
    env_sim_run_for(w.env, LIMIT_HTTP_WRITE_MS - 5000);
    CHECK_EQ(open_connections(&w), 1);
    env_sim_run_for(w.env, 6000);
    CHECK_EQ(open_connections(&w), 0);
    world_done(&w);
    world_init(&w, 4); /* a slow one is not */
    w.stuck = true;
    dial(&w);
    say(&w, SPAN("GET /big HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nend"));
    env_sim_run_for(w.env, 60000);
    env_stream_read(w.s, true);
    env_sim_run_for(w.env, 60000);
    CHECK(span_ends(strbuf_span(&w.got), SPAN("\r\n\r\nend")));
    world_done(&w);
}

TEST(a_client_that_pipelines_without_end_is_held_back)
{
    struct world w;
    world_init(&w, 5);
    dial(&w);
    say(&w, SPAN("GET /stream HTTP/1.1\r\n\r\n"));
    for (int i = 0; i < 20000; i++) {
        env_stream_write(w.s, SPAN("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nend"));
    }
    env_sim_run_for(w.env, 5000);
    CHECK(env_stream_queued(w.s) > 20000 * 41 - 8 * LIMIT_HTTP_PIPELINE_BYTES);
    http_stream_end(w.x);
    env_sim_run_for(w.env, 25000);
    CHECK_EQ(w.requests, 20001);
    world_done(&w);
}

/* ---- exec over WebSocket ---- */

#define WS_HEAD(path, protocol)                                                                    \
    SPAN("GET " path " HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"      \
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"            \
         "Sec-WebSocket-Protocol: " protocol "\r\n\r\n")

static const uint8_t mask[4] = {1, 2, 3, 4};

static void ws_say(struct world *w, enum ws_op op, bool fin, struct span bytes)
{
    struct strbuf b = STRBUF_INIT;
    ws_put_frame(&b, op, fin, mask, bytes);
    say(w, strbuf_span(&b));
    strbuf_done(&b);
}

static void ws_dial(struct world *w, struct span head)
{
    dial(w);
    say(w, head);
    CHECK(span_starts(strbuf_span(&w->got), SPAN("HTTP/1.1 101 ")));
    CHECK(got(w, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    strbuf_clear(&w->got);
}

static void exec_v5(uint64_t seed)
{
    struct world w;
    world_init(&w, seed);
    ws_dial(&w, WS_HEAD("/exec?command=echo&stdin=true&stdout=true&tty=1",
                        "v4.channel.k8s.io, v5.channel.k8s.io"));
    ws_say(&w, WS_OP_BINARY, true, SPAN("\4{\"Width\":80,\"Height\":24}\n"));
    CHECK(w.width == 80 && w.height == 24);
    ws_say(&w, WS_OP_BINARY, false, SPAN("\4{\"Width\":8"));
    ws_say(&w, WS_OP_PING, true, SPAN("are you there"));
    CHECK(got(&w, "\x8a\x0d"
                  "are you there"));
    ws_say(&w, WS_OP_CONT, true, SPAN("1,\"Height\":25}"));
    CHECK(w.width == 81 && w.height == 25);
    strbuf_clear(&w.got);
    ws_say(&w, WS_OP_BINARY, true, SPAN("\0hello"));
    CHECK(span_eq(strbuf_span(&w.got), SPAN("\x82\x06\1hello")));
    strbuf_clear(&w.got);
    ws_say(&w, WS_OP_BINARY, true, SPAN("\xff\0"));
    env_sim_run_for(w.env, 1000);
    CHECK(got(&w, "\"status\":\"Failure\""));
    CHECK(got(&w, "{\"reason\":\"ExitCode\",\"message\":\"7\"}"));
    CHECK_EQ(w.got.p[2 + 2], 3);
    CHECK(span_ends(strbuf_span(&w.got), SPAN("\x88\x02\x03\xe8")));
    CHECK(!w.ended);
    ws_say(&w, WS_OP_CLOSE, true, SPAN("\x03\xe8"));
    env_sim_run_for(w.env, 1000);
    CHECK(w.ended);
    CHECK_EQ(remote_hub_open(w.hub), 0);
    world_done(&w);
}

TEST(websocket_v5_carries_input_sizes_pings_and_the_exit_code)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        exec_v5(seed);
    }
}

/* The first protocol: a failure is text, a success nothing at all. */
TEST(websocket_v1_tells_the_end_as_text)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct world w;
        world_init(&w, i);
        ws_dial(&w, WS_HEAD("/exec?command=echo&stdout=1", "channel.k8s.io"));
        w.session->h->on_end(w.session->data, i ? 7 : 0, NULL);
        session_free(w.session);
        env_sim_run_for(w.env, 1000);
        CHECK_EQ(got(&w, "\3command terminated with non-zero exit code: exit status 7"), i);
        CHECK(!got(&w, "Status") && span_ends(strbuf_span(&w.got), SPAN("\x88\x02\x03\xe8")));
        CHECK(i || w.got.n == 4);
        world_done(&w);
    }
}

TEST(websocket_requests_without_a_common_protocol_get_a_status)
{
    static const struct {
        struct span head;
        const char *want;
    } cases[] = {
        {WS_HEAD("/exec?command=echo&stdout=1", "base64.channel.k8s.io"), "no common WebSocket"},
        {WS_HEAD("/exec?command=echo&stdout=1", "v3.channel.k8s.io"), "no common WebSocket"},
        {SPAN("GET /exec?command=a&stdout=1 HTTP/1.1\r\nUpgrade: websocket\r\n"
              "Connection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: short\r\n\r\n"),
         "malformed WebSocket request"},
        {SPAN("GET /exec?command=a&stdout=1 HTTP/1.1\r\n\r\n"), "Upgrade request required"},
        {SPAN("POST /exec?command=a&stdout=1 HTTP/1.1\r\nUpgrade: SPDY/3.1\r\n"
              "Connection: upgrade\r\nX-Stream-Protocol-Version: v9.channel.k8s.io\r\n\r\n"),
         "unable to negotiate protocol"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        world_init(&w, i);
        dial(&w);
        say(&w, cases[i].head);
        CHECK(got(&w, "\"kind\":\"Status\""));
        CHECK(got(&w, cases[i].want));
        CHECK_EQ(w.sessions, 0);
        CHECK_EQ(remote_hub_open(w.hub), 0);
        world_done(&w);
    }
}

TEST(clients_that_break_the_protocol_or_vanish_abort_the_command)
{
    for (int i = 0; i < 5; i++) {
        struct world w;
        world_init(&w, (uint64_t)i);
        ws_dial(&w, WS_HEAD("/exec?command=echo&stdin=1&stdout=1&tty=1", "v4.channel.k8s.io"));
        CHECK(w.session != NULL);
        if (i == 0) {
            say(&w, SPAN("\x82\x01\x01"));
        } else if (i == 1) {
            ws_say(&w, WS_OP_BINARY, true, SPAN("\1not for clients"));
        } else if (i == 2) {
            ws_say(&w, WS_OP_BINARY, true, SPAN("\xff\0")); /* v4 has no such message */
        } else if (i == 3) {
            static char long_size[LIMIT_REMOTE_RESIZE_BYTES + 2];
            memset(long_size, ' ', sizeof long_size);
            long_size[0] = 4;
            ws_say(&w, WS_OP_BINARY, true, span_of(long_size, sizeof long_size));
        } else {
            env_stream_close(w.s);
            w.s = NULL;
        }
        env_sim_run_for(w.env, 1000);
        CHECK_EQ(w.aborts, 1);
        CHECK_EQ(remote_hub_open(w.hub), 0);
        world_done(&w);
    }
}

static void input_waits(bool silent)
{
    struct world w;
    static char block[10001];
    world_init(&w, 11);
    w.node_deaf = true;
    w.node_silent = silent;
    ws_dial(&w, WS_HEAD("/exec?command=echo&stdin=1&stdout=1", "v5.channel.k8s.io"));
    struct strbuf b = STRBUF_INIT;
    for (int i = 0; i < 100; i++) {
        ws_put_frame(&b, WS_OP_BINARY, true, mask, span_of(block, sizeof block));
    }
    say(&w, strbuf_span(&b));
    env_sim_run_for(w.env, 5000);
    CHECK(w.session->in.n > LIMIT_REMOTE_QUEUE_BYTES);
    CHECK(w.session->in.n < LIMIT_REMOTE_QUEUE_BYTES + 80000);
    w.node_deaf = false;
    env_timer_start(w.env, &w.session->timer, 1, session_tick);
    env_sim_run_for(w.env, 30000);
    CHECK(w.got.n > 1000000);
    strbuf_done(&b);
    world_done(&w);
}

TEST(input_waits_for_a_slow_command_and_output_for_a_slow_client)
{
    struct world w;
    input_waits(false);
    input_waits(true); /* a node that does not tell is asked */
    world_init(&w, 12);
    w.stuck = true;
    dial(&w);
    say(&w, WS_HEAD("/exec?command=bytes&stdout=1&stdin=1", "v5.channel.k8s.io"));
    env_sim_run_for(w.env, 5000);
    CHECK(w.session && w.session->paused);
    CHECK(w.session->left > 1000000 - 6 * LIMIT_REMOTE_QUEUE_BYTES);
    env_stream_read(w.s, true);
    env_sim_run_for(w.env, 30000);
    CHECK(w.session->left == 0 && w.got.n > 1000000);
    world_done(&w);
}

/* ---- exec over SPDY ---- */

static void spdy_open(struct spdy_encoder *e, struct strbuf *b, uint32_t id, const char *type)
{
    const struct spdy_header h = {SPAN("streamtype"), span_cstr(type)};
    spdy_put_headers(e, b, SPDY_SYN_STREAM, id, false, &h, 1);
}

static void show(struct world *w, struct strbuf *out)
{
    struct spdy_decoder *d = spdy_decoder_new();
    struct spdy_event e;
    struct span in = strbuf_span(&w->got);
    while (spdy_next(d, &in, &e)) {
        strbuf_printf(out, "%d:%u:%u%s[%.*s] ", (int)e.type, e.stream, e.value, e.fin ? "!" : "",
                      SPAN_ARG(e.bytes));
    }
    spdy_decoder_free(d);
}

TEST(spdy_starts_when_all_streams_are_open_and_old_versions_get_text)
{
    static const struct {
        struct span protocol;
        const char *want;
    } cases[] = {
        {SPAN("X-Stream-Protocol-Version: v4.channel.k8s.io\r\n"
              "X-Stream-Protocol-Version: channel.k8s.io\r\n"),
         "0:1:0![{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
         "\"message\":\"command terminated with non-zero exit code: exit status 7\","
         "\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\","
         "\"message\":\"7\"}]}}] "},
        {SPAN("X-Stream-Protocol-Version: v2.channel.k8s.io\r\n"),
         "0:1:0![command terminated with non-zero exit code: exit status 7] "},
        {SPAN(""), "0:1:0![command terminated with non-zero exit code: exit status 7] "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        struct strbuf b = STRBUF_INIT;
        world_init(&w, i);
        dial(&w);
        strbuf_puts(&b, "POST /exec?command=echo&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\n"
                        "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n");
        strbuf_put(&b, cases[i].protocol);
        strbuf_puts(&b, "\r\n");
        say(&w, strbuf_span(&b));
        CHECK(span_starts(strbuf_span(&w.got), SPAN("HTTP/1.1 101 ")));
        CHECK_EQ(got(&w, "X-Stream-Protocol-Version: "), cases[i].protocol.n > 0);
        strbuf_clear(&w.got);
        strbuf_clear(&b);
        struct spdy_encoder *e = spdy_encoder_new();
        spdy_open(e, &b, 1, "error");
        spdy_open(e, &b, 3, "stdin");
        spdy_put_data(&b, 3, false, SPAN("early "));
        spdy_open(e, &b, 5, "stdout");
        spdy_open(e, &b, 7, "stdout");
        spdy_open(e, &b, 9, "resize");
        spdy_put_ping(&b, 5);
        spdy_put_ping(&b, 6);
        say(&w, strbuf_span(&b));
        CHECK_EQ(w.sessions, 0);
        strbuf_clear(&b);
        spdy_open(e, &b, 11, "stderr");
        spdy_put_data(&b, 3, true, SPAN("late"));
        spdy_put_data(&b, 99, false, SPAN("?"));
        say(&w, strbuf_span(&b));
        env_sim_run_for(w.env, 1000);
        CHECK_EQ(w.sessions, 1);
        strbuf_clear(&b);
        show(&w, &b);
        char want[1000];
        (void)snprintf(want, sizeof want,
                       "2:1:0[] 2:3:0[] 2:5:0[] 3:7:3[] 3:9:3[] 6:0:5[] 2:11:0[] 3:99:2[] "
                       "0:5:0[early late] 0:5:0![] 0:11:0![] %s",
                       cases[i].want);
        CHECK_SPAN(strbuf_span(&b), want);
        CHECK(!w.ended);
        env_sim_run_for(w.env, LIMIT_REMOTE_LINGER_MS + 1000); /* it does not hang up: we do */
        CHECK(w.ended);
        spdy_encoder_free(e);
        strbuf_done(&b);
        world_done(&w);
    }
}

TEST(a_spdy_client_that_never_opens_its_streams_is_dropped)
{
    struct world w;
    world_init(&w, 1);
    dial(&w);
    say(&w, SPAN("POST /exec?command=echo&stdin=1&stdout=1 HTTP/1.1\r\nConnection: Upgrade\r\n"
                 "Upgrade: SPDY/3.1\r\n\r\n"));
    env_sim_run_for(w.env, LIMIT_REMOTE_SETUP_MS + 1000);
    CHECK(w.ended);
    CHECK_EQ(w.sessions, 0);
    CHECK_EQ(remote_hub_open(w.hub), 0);
    world_done(&w);
}

TEST(a_spdy_client_that_keeps_windows_is_never_sent_more_than_they_allow)
{
    struct world w;
    struct strbuf b = STRBUF_INIT;
    world_init(&w, 9);
    dial(&w);
    say(&w, SPAN("POST /exec?command=bytes&stdout=1 HTTP/1.1\r\nConnection: Upgrade\r\n"
                 "Upgrade: SPDY/3.1\r\n\r\n"));
    strbuf_clear(&w.got);
    struct spdy_encoder *e = spdy_encoder_new();
    struct spdy_decoder *d = spdy_decoder_new();
    spdy_open(e, &b, 1, "error");
    spdy_put_window(&b, 1, 1);
    spdy_open(e, &b, 3, "stdout");
    say(&w, strbuf_span(&b));
    int64_t window = SPDY_WINDOW_BYTES, all = SPDY_WINDOW_BYTES, total = 0;
    bool fin = false;
    for (int i = 0; i < 100 && !fin; i++) {
        env_sim_run_for(w.env, 500);
        struct span in = strbuf_span(&w.got);
        struct spdy_event ev;
        while (spdy_next(d, &in, &ev)) {
            fin = fin || (ev.stream == 3 && ev.fin);
            if (ev.type == SPDY_DATA && ev.stream == 3) {
                window -= (int64_t)ev.bytes.n;
                all -= (int64_t)ev.bytes.n;
                total += (int64_t)ev.bytes.n;
            }
        }
        CHECK(window >= 0 && all >= 0);
        CHECK(!w.session || w.session->left == 0 || w.session->paused);
        strbuf_clear(&w.got);
        strbuf_clear(&b);
        spdy_put_window(&b, 3, 30000);
        spdy_put_window(&b, 0, 20000);
        window += 30000;
        all += 20000;
        say(&w, strbuf_span(&b));
    }
    CHECK(!fin); /* the command goes on until its stdin ends, so only the bytes are over */
    CHECK_EQ(total, 1000000);
    spdy_encoder_free(e);
    spdy_decoder_free(d);
    strbuf_done(&b);
    world_done(&w);
}

TEST(a_client_whose_input_waits_is_told_that_we_live_and_missed_when_it_is_gone)
{
    struct world w;
    static char block[10001];
    world_init(&w, 11);
    w.node_deaf = true;
    ws_dial(&w, WS_HEAD("/exec?command=echo&stdin=1&stdout=1", "v5.channel.k8s.io"));
    struct strbuf b = STRBUF_INIT;
    for (int i = 0; i < 20; i++) {
        ws_put_frame(&b, WS_OP_BINARY, true, mask, span_of(block, sizeof block));
    }
    say(&w, strbuf_span(&b));
    env_sim_run_for(w.env, 35000);
    CHECK(span_eq(strbuf_span(&w.got), SPAN("\x8a\0\x8a\0\x8a\0")));
    env_stream_close(w.s);
    w.s = NULL;
    env_sim_run_for(w.env, 35000);
    CHECK_EQ(w.aborts, 1);
    CHECK_EQ(remote_hub_open(w.hub), 0);
    strbuf_done(&b);
    world_done(&w);
}

TEST(the_last_reply_of_a_connection_reaches_a_slow_client_whole)
{
    struct world w;
    world_init(&w, 21);
    w.stuck = true;
    dial(&w);
    say(&w, SPAN("GET /big HTTP/1.1\r\nConnection: close\r\n\r\n"));
    env_sim_run_for(w.env, LIMIT_HTTP_WRITE_MS - 10000);
    env_stream_read(w.s, true);
    env_sim_run_for(w.env, 60000);
    CHECK(w.ended && w.end_code == 0);
    CHECK(w.got.n > 2000000);
    world_done(&w);
}
