/* HTTP/2 on the server, over TLS on loopback, spoken to by nghttp2's client on the same loop. */
#include <signal.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "env/env_uv.h"
#include "http/http.h"
#include "kit/http2_kit.h"
#include "kit/kit.h"

enum { MB = 1024 * 1024 };

struct world {
    struct env *env;
    struct arena *a;
    struct tls_server *tls;
    struct http_server *server;
    struct https_kit kit;
    struct http2_conn *conn;
    struct env_timer patience, later;
    /* the server's side */
    struct http_exchange *waiting, *stream;
    int requests, aborts, sources_done;
    size_t queued_max, flooded;
    /* the client's side */
    int replies, wanted, failed, ready;
    int status;
    uint32_t error;
    struct strbuf body;
    size_t parts;
    bool stop_on_part;
};

/* ---- the server's side ---- */

static void flood_more(void *data)
{
    static char block[10000];
    struct world *w = data;
    while (w->flooded < 4 * (size_t)MB && http_stream_queued(w->stream) < 65536) {
        http_stream_write(w->stream, span_of(block, sizeof block));
        w->flooded += sizeof block;
        size_t queued = http_stream_queued(w->stream);
        w->queued_max = queued > w->queued_max ? queued : w->queued_max;
    }
    if (w->flooded >= 4 * (size_t)MB) {
        http_stream_end(w->stream);
        w->stream = NULL;
    }
}

static void on_abort(void *data)
{
    struct world *w = data;
    w->aborts++;
    w->stream = NULL;
    env_uv_stop(w->env);
}

static const struct http_stream_handler flood_handler = {flood_more, on_abort};
static const struct http_stream_handler quiet_handler = {NULL, on_abort};

static bool source_next(void *data, struct strbuf *out)
{
    static char block[10000];
    struct world *w = data;
    strbuf_put(out, span_of(block, sizeof block));
    w->flooded += sizeof block;
    return w->flooded < 4 * (size_t)MB;
}

static void source_done(void *data)
{
    struct world *w = data;
    w->sources_done++;
}

static const struct http_source source = {source_next, source_done};

static void on_later(struct env_timer *t)
{
    struct world *w = CONTAINER_OF(t, struct world, later);
    struct http_exchange *x = w->waiting;
    w->waiting = NULL;
    if (x) {
        http_reply(x, 200, "text/plain", http_path(x));
    }
}

static void on_request(void *data, struct http_exchange *x)
{
    struct world *w = data;
    struct span path = http_path(x);
    w->requests++;
    if (span_eq_cstr(path, "/echo")) {
        http_add_header(x, "X-Method", http_method(x));
        http_add_header(x, "Connection", SPAN("close"));
        http_reply(x, 200, "text/plain", http_body(x));
    } else if (span_eq_cstr(path, "/who")) {
        http_reply(x, 200, "text/plain",
                   arena_printf(http_arena(x), "%.*s %.*s %.*s", SPAN_ARG(http_client_name(x)),
                                SPAN_ARG(http_header(x, "host")), SPAN_ARG(http_query(x))));
    } else if (span_eq_cstr(path, "/agent")) {
        http_reply(x, 200, "text/plain",
                   arena_printf(http_arena(x), "[%.*s]", SPAN_ARG(http_header(x, "user-agent"))));
    } else if (span_eq_cstr(path, "/none")) {
        http_reply(x, 204, "text/plain", SPAN("never"));
    } else if (span_eq_cstr(path, "/later")) {
        w->waiting = x;
        env_timer_start(w->env, &w->later, 20, on_later);
    } else if (span_eq_cstr(path, "/flood")) {
        w->stream = x;
        http_stream_begin(x, 200, "text/plain", &flood_handler, w);
        flood_more(w);
    } else if (span_eq_cstr(path, "/long")) {
        http_reply_source(x, 200, "text/plain", &source, w);
    } else if (span_eq_cstr(path, "/cut")) {
        http_stream_begin(x, 200, "text/plain", &quiet_handler, w);
        http_stream_write(x, SPAN("half of it"));
        http_stream_abort(x);
    } else if (span_eq_cstr(path, "/quiet")) {
        w->stream = x;
        http_stream_begin(x, 200, "text/plain", &quiet_handler, w);
        http_stream_write(x, SPAN("word"));
    } else {
        http_reply(x, 404, "text/plain", SPAN("no\n"));
    }
}

/* ---- the client's side ---- */

static void on_ready(void *data)
{
    struct world *w = data;
    w->ready++;
    env_uv_stop(w->env);
}

static void on_reply(void *data, void *tag, int status, struct span body, uint32_t error)
{
    struct world *w = data;
    (void)tag;
    w->status = status;
    w->error = error;
    strbuf_clear(&w->body);
    strbuf_put(&w->body, body);
    if (++w->replies == w->wanted) {
        env_uv_stop(w->env);
    }
}

static void on_part(void *data, void *tag, struct span part)
{
    struct world *w = data;
    (void)tag;
    w->parts += part.n;
    if (w->stop_on_part) {
        env_uv_stop(w->env);
    }
}

static void on_fail(void *data, int code)
{
    struct world *w = data;
    (void)code;
    w->failed++;
    env_uv_stop(w->env);
}

static const struct http2_handler collect = {
    .on_ready = on_ready, .on_reply = on_reply, .on_fail = on_fail};
static const struct http2_handler parts = {
    .on_ready = on_ready, .on_reply = on_reply, .on_part = on_part, .on_fail = on_fail};

static void on_patience(struct env_timer *t)
{
    (void)t;
    CHECK(!"the loop waited for nothing");
}

static void run(struct world *w)
{
    env_timer_start(w->env, &w->patience, 20000, on_patience);
    env_uv_run(w->env);
    env_timer_stop(w->env, &w->patience);
}

static void world_init(struct world *w, const struct http2_handler *client)
{
    static const struct http_handler handler = {.on_request = on_request,
                                                .too_large = "{\"code\":413}"};
    static const struct span ip[] = {{"127.0.0.1", 9}};
    const struct tls_leaf leaf = {
        .common_name = SPAN("berth"), .ips = ip, .ip_count = 1, .is_server = true, .valid_days = 1};
    const struct tls_leaf user = {.common_name = SPAN("admin"), .valid_days = 1};
    struct tls_pair ca, server, admin;
    struct span detail;
    *w = (struct world){.env = env_uv_new(), .a = arena_new()};
    (void)signal(SIGPIPE, SIG_IGN);
    int64_t now_ms = env_now_ms(w->env);
    CHECK_EQ(tls_make_ca(w->a, SPAN("ca"), now_ms, &ca), 0);
    CHECK_EQ(tls_make_leaf(w->a, &ca, &leaf, now_ms, &server), 0);
    CHECK_EQ(tls_make_leaf(w->a, &ca, &user, now_ms, &admin), 0);
    CHECK_EQ(tls_server_new(server.cert_pem, server.key_pem, ca.cert_pem, w->a, &w->tls, &detail),
             0);
    CHECK_EQ(tls_client_new(ca.cert_pem, admin.cert_pem, admin.key_pem, w->a, &w->kit.tls, &detail),
             0);
    tls_client_offer_http2(w->kit.tls);
    w->kit.env = w->env;
    w->server = http_server_new(w->env, &handler, w);
    CHECK_EQ(http_server_listen_tcp(w->server, "127.0.0.1", 0, w->tls, &w->kit.port), 0);
    w->conn = http2_conn_new(&w->kit, client, w);
    run(w);
    CHECK_EQ(w->ready, 1);
}

static void world_done(struct world *w)
{
    http2_conn_free(w->conn);
    env_timer_stop(w->env, &w->later);
    http_server_free(w->server); /* closes it, unless the test did */
    tls_server_free(w->tls);
    tls_client_free(w->kit.tls);
    strbuf_done(&w->body);
    arena_free(w->a);
    env_uv_free(w->env);
}

static void get(struct world *w, const char *path)
{
    w->wanted = w->replies + 1;
    http2_conn_send(w->conn, "GET", path, "", NULL, SPAN_NULL, NULL);
    run(w);
}

TEST(a_request_is_answered_and_its_client_known)
{
    struct world w;
    world_init(&w, &collect);
    get(&w, "/who?a=b");
    CHECK_EQ(w.status, 200);
    CHECK_SPAN(strbuf_span(&w.body), "admin 127.0.0.1 a=b");
    get(&w, "/none");
    CHECK_EQ(w.status, 204);
    CHECK_EQ(w.body.n, 0);
    get(&w, "/nowhere");
    CHECK_EQ(w.status, 404);
    w.wanted++;
    http2_conn_send(w.conn, "HEAD", "/who", "", NULL, SPAN_NULL, NULL);
    run(&w);
    CHECK_EQ(w.status, 200);
    CHECK_EQ(w.body.n, 0);
    world_done(&w);
}

/* As in HTTP/1.1, and in Go's server. */
TEST(spaces_around_a_value_are_left_out_and_refuse_no_request)
{
    struct world w;
    world_init(&w, &collect);
    w.wanted = 1;
    http2_conn_send(w.conn, "GET", "/agent", "user-agent:   a test's name \t\r\n", NULL, SPAN_NULL,
                    NULL);
    run(&w);
    CHECK_EQ(w.error, 0);
    CHECK_EQ(w.status, 200);
    CHECK_SPAN(strbuf_span(&w.body), "[a test's name]");
    world_done(&w);
}

TEST(hundreds_of_requests_share_the_connection)
{
    enum { N = 600 };
    struct world w;
    world_init(&w, &collect);
    w.wanted = N;
    for (int i = 0; i < N; i++) {
        http2_conn_send(w.conn, "POST", "/echo", "", "text/plain", SPAN("hello"), NULL);
    }
    run(&w);
    CHECK_EQ(w.replies, N);
    CHECK_EQ(w.requests, N);
    CHECK_EQ(w.status, 200);
    CHECK_SPAN(strbuf_span(&w.body), "hello");
    struct http_server_stats stats;
    http_server_stats(w.server, &stats);
    CHECK_EQ(stats.connections, 1);
    world_done(&w);
}

TEST(a_late_reply_does_not_hold_up_the_others)
{
    struct world w;
    world_init(&w, &collect);
    w.wanted = 2;
    http2_conn_send(w.conn, "GET", "/later", "", NULL, SPAN_NULL, NULL);
    http2_conn_send(w.conn, "GET", "/who", "", NULL, SPAN_NULL, NULL);
    run(&w);
    CHECK_SPAN(strbuf_span(&w.body), "/later");
    world_done(&w);
}

TEST(bodies_larger_than_the_window_pass_and_larger_than_the_limit_do_not)
{
    struct world w;
    world_init(&w, &collect);
    size_t n = LIMIT_BODY_BYTES;
    char *big = mem_new_array(n + 1, 1);
    memset(big, 'x', n + 1);
    for (int i = 0; i < 8; i++) { /* more than the connection's window in sum */
        w.wanted++;
        http2_conn_send(w.conn, "POST", "/echo", "", "text/plain", span_of(big, n), NULL);
        run(&w);
        CHECK_EQ(w.status, 200);
        CHECK_EQ(w.body.n, n);
    }
    w.wanted++;
    http2_conn_send(w.conn, "POST", "/echo", "", "text/plain", span_of(big, n + 1), NULL);
    run(&w);
    CHECK_EQ(w.status, 413);
    CHECK_SPAN(strbuf_span(&w.body), "{\"code\":413}");
    CHECK_EQ(w.requests, 8);
    get(&w, "/who");
    CHECK_EQ(w.status, 200);
    free(big);
    world_done(&w);
}

TEST(heads_and_paths_beyond_their_limits_are_refused_by_status)
{
    struct world w;
    world_init(&w, &collect);
    char *path = mem_new_array(LIMIT_URL_BYTES + 2, 1);
    memset(path, 'p', LIMIT_URL_BYTES + 1);
    path[0] = '/';
    get(&w, path);
    CHECK_EQ(w.status, 414);
    struct strbuf many = STRBUF_INIT;
    for (int i = 0; i <= LIMIT_HTTP_HEADERS; i++) {
        strbuf_printf(&many, "x-%d: y\n", i);
    }
    strbuf_putc(&many, '\0');
    w.wanted++;
    http2_conn_send(w.conn, "GET", "/who", many.p, NULL, SPAN_NULL, NULL);
    run(&w);
    CHECK_EQ(w.status, 431);
    w.wanted++;
    http2_conn_send(w.conn, "BREW", "/who", "", NULL, SPAN_NULL, NULL);
    run(&w);
    CHECK_EQ(w.status, 400);
    w.wanted++;
    http2_conn_send(w.conn, "POST", "/echo", "expect: 100-continue\n", "text/plain", SPAN("now"),
                    NULL);
    run(&w);
    CHECK_EQ(w.status, 200);
    CHECK_EQ(w.requests, 1);
    strbuf_done(&many);
    free(path);
    world_done(&w);
}

TEST(a_producer_is_held_back_by_a_client_that_does_not_read)
{
    struct world w;
    world_init(&w, &parts);
    w.wanted = 1;
    http2_conn_send(w.conn, "GET", "/flood", "", NULL, SPAN_NULL, NULL);
    run(&w);
    CHECK_EQ(w.parts, w.flooded);
    CHECK(w.flooded >= 4 * (size_t)MB);
    CHECK(w.queued_max <= 65536 + 10000);
    CHECK_EQ(w.aborts, 0);
    world_done(&w);
}

TEST(a_stream_that_the_client_cancels_is_aborted_and_the_connection_lives)
{
    struct world w;
    world_init(&w, &parts);
    w.stop_on_part = true;
    int32_t id = http2_conn_send(w.conn, "GET", "/quiet", "", NULL, SPAN_NULL, NULL);
    run(&w);
    CHECK_EQ(w.parts, 4);
    http2_conn_cancel(w.conn, id);
    run(&w);
    CHECK_EQ(w.aborts, 1);
    get(&w, "/none");
    CHECK_EQ(w.status, 204);
    world_done(&w);
}

TEST(a_long_reply_is_made_as_the_client_takes_it)
{
    struct world w;
    world_init(&w, &collect);
    get(&w, "/long");
    CHECK_EQ(w.status, 200);
    CHECK_EQ(w.body.n, w.flooded);
    CHECK(w.flooded >= 4 * (size_t)MB);
    CHECK_EQ(w.sources_done, 1);
    w.flooded = 0;
    w.wanted++;
    http2_conn_send(w.conn, "HEAD", "/long", "", NULL, SPAN_NULL, NULL);
    run(&w);
    CHECK_EQ(w.status, 200);
    CHECK_EQ(w.body.n, 0);
    CHECK_EQ(w.sources_done, 2);
    /* Compressed, the 4 MB of zeroes are next to nothing. */
    w.flooded = 0;
    w.wanted++;
    http2_conn_send(w.conn, "GET", "/long", "accept-encoding: gzip\r\n", NULL, SPAN_NULL, NULL);
    run(&w);
    CHECK(w.body.n > 100 && w.body.n < 100000);
    CHECK_EQ(w.sources_done, 3);
    world_done(&w);
}

TEST(a_long_reply_ends_when_its_client_cancels)
{
    struct world w;
    world_init(&w, &parts);
    w.stop_on_part = true;
    int32_t id = http2_conn_send(w.conn, "GET", "/long", "", NULL, SPAN_NULL, NULL);
    run(&w);
    http2_conn_cancel(w.conn, id);
    w.stop_on_part = false;
    get(&w, "/none");
    CHECK_EQ(w.sources_done, 1);
    CHECK(w.flooded < 4 * (size_t)MB);
    world_done(&w);
}

TEST(a_reply_that_is_cut_short_ends_in_a_reset)
{
    struct world w;
    world_init(&w, &parts);
    get(&w, "/cut");
    CHECK_EQ(w.parts, 10);
    CHECK_EQ(w.error, 2); /* INTERNAL_ERROR */
    get(&w, "/none");
    CHECK_EQ(w.status, 204);
    world_done(&w);
}

TEST(a_connection_that_breaks_aborts_its_streams_and_handlers_answer_into_the_void)
{
    struct world w;
    world_init(&w, &parts);
    w.stop_on_part = true;
    http2_conn_send(w.conn, "GET", "/later", "", NULL, SPAN_NULL, NULL);
    http2_conn_send(w.conn, "GET", "/quiet", "", NULL, SPAN_NULL, NULL);
    run(&w);
    http2_conn_free(w.conn);
    w.conn = NULL;
    run(&w);
    CHECK_EQ(w.aborts, 1);
    on_later(&w.later); /* the reply of a request whose client is gone */
    CHECK(!w.waiting);
    w.conn = http2_conn_new(&w.kit, &collect, &w);
    run(&w); /* a turn of the loop later the connection is gone */
    struct http_server_stats stats;
    http_server_stats(w.server, &stats);
    CHECK_EQ(stats.connections_open, 1);
    world_done(&w);
}

TEST(nonsense_ends_the_connection_only)
{
    struct world w;
    world_init(&w, &collect);
    http2_conn_raw(w.conn, SPAN("\0\0\4\x01\x04\0\0\0\x01garbage and more of it"));
    run(&w);
    CHECK_EQ(w.failed, 1);
    http2_conn_free(w.conn);
    w.conn = http2_conn_new(&w.kit, &collect, &w);
    run(&w);
    get(&w, "/none");
    CHECK_EQ(w.status, 204);
    world_done(&w);
}

TEST(closing_the_server_ends_streams_and_idle_connections)
{
    struct world w;
    world_init(&w, &parts);
    w.stop_on_part = true;
    http2_conn_send(w.conn, "GET", "/quiet", "", NULL, SPAN_NULL, NULL);
    run(&w);
    http_server_close(w.server);
    run(&w);
    CHECK_EQ(w.aborts, 1);
    while (!w.failed) {
        run(&w);
    }
    CHECK_EQ(w.failed, 1);
    world_done(&w);
}
