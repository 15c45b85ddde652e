/* The HTTP server over real loopback connections: a client thread speaks raw bytes, the loop
 * serves. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "env/env_uv.h"
#include "http/http.h"
#include "kit/kit.h"

struct world {
    struct env *env;
    struct http_server *server;
    uint16_t port;
    char path[108];
    void (*script)(struct world *w);
    struct env_wakeup *done;
    pthread_t thread;
    SSL_CTX *ctx;
    int requests, aborts;
    size_t queued_max;
    struct env_timer later, moment;
    struct http_exchange *waiting;
    struct env_stream *up;
    struct http_exchange *flood;
    int step;
};

static void on_up_read(void *data, struct span bytes)
{
    struct world *w = data;
    env_stream_write(w->up, bytes);
}

static void on_up_end(void *data, int code)
{
    struct world *w = data;
    (void)code;
    env_stream_close(w->up);
    w->up = NULL;
}

static const struct env_stream_handler up_handler = {on_up_read, on_up_end, NULL};

static void on_later(struct env_timer *t)
{
    struct world *w = CONTAINER_OF(t, struct world, later);
    if (w->waiting) {
        struct http_exchange *x = w->waiting;
        w->waiting = NULL;
        http_reply(x, 200, "text/plain", http_path(x));
    }
}

static void flood_more(void *data)
{
    struct world *w = data;
    static char block[10000];
    while (http_stream_queued(w->flood) < 65536) {
        http_stream_write(w->flood, span_of(block, sizeof block));
    }
    if (http_stream_queued(w->flood) > w->queued_max) {
        w->queued_max = http_stream_queued(w->flood);
    }
}

static void on_abort(void *data)
{
    struct world *w = data;
    __atomic_add_fetch(&w->aborts, 1, __ATOMIC_RELAXED);
    w->flood = NULL;
}

static const struct http_stream_handler flood_handler = {flood_more, on_abort};

static struct span big_body(struct arena *a)
{
    enum { N = 300000 };
    char *p = arena_alloc_raw(a, N);
    for (size_t i = 0; i < N; i++) {
        p[i] = (char)('a' + i % 7);
    }
    return span_of(p, N);
}

static void on_request(void *data, struct http_exchange *x)
{
    struct world *w = data;
    struct span path = http_path(x), v;
    w->requests++;
    if (span_eq_cstr(path, "/echo")) {
        http_reply(x, 200, "text/plain", http_body(x));
    } else if (span_eq_cstr(path, "/big")) {
        http_reply(x, 200, "text/plain", big_body(http_arena(x)));
    } else if (span_eq_cstr(path, "/q")) {
        http_query_get(x, "k", &v);
        http_reply(x, 200, "text/plain", v);
    } else if (span_eq_cstr(path, "/all")) {
        http_reply(x, 200, NULL, http_header_all(x, "x-many"));
    } else if (span_eq_cstr(path, "/empty")) {
        http_add_header(x, "X-Bad", SPAN("a\r\nb"));
        http_add_header(x, "X-Good", SPAN("ab"));
        http_reply(x, 204, "text/plain", SPAN("never"));
    } else if (span_eq_cstr(path, "/who")) {
        http_reply(x, 200, "text/plain",
                   arena_printf(http_arena(x), "%.*s|%.*s", SPAN_ARG(http_client_name(x)),
                                SPAN_ARG(http_client_orgs(x))));
    } else if (span_starts(path, SPAN("/later"))) {
        w->waiting = x;
        env_timer_start(w->env, &w->later, 20, on_later);
    } else if (span_eq_cstr(path, "/stream")) {
        http_stream_begin(x, 200, "text/plain", &flood_handler, w);
        http_stream_write(x, SPAN("one"));
        http_stream_write(x, SPAN("seventeen bytes.."));
        http_stream_end(x);
    } else if (span_eq_cstr(path, "/flood")) {
        w->flood = x;
        http_stream_begin(x, 200, "text/plain", &flood_handler, w);
        flood_more(w);
    } else if (span_eq_cstr(path, "/up")) {
        http_add_header(x, "Upgrade", SPAN("echo"));
        http_add_header(x, "Connection", SPAN("Upgrade"));
        w->up = http_upgrade(x);
        env_stream_set(w->up, &up_handler, w);
        env_stream_read(w->up, true);
    } else {
        http_reply(x, 404, "text/plain", SPAN("no\n"));
    }
}

static void on_done(void *data)
{
    struct world *w = data;
    env_uv_stop(w->env);
}

static void *thread_main(void *data)
{
    struct world *w = data;
    w->script(w);
    env_wakeup_send(w->done);
    return NULL;
}

static void world_run(struct world *w, void (*script)(struct world *w))
{
    w->script = script;
    w->done = env_wakeup_new(w->env, on_done, w);
    CHECK_EQ(pthread_create(&w->thread, NULL, thread_main, w), 0);
    env_uv_run(w->env);
    pthread_join(w->thread, NULL);
    env_wakeup_free(w->done);
}

static void world_init(struct world *w, struct tls_server *tls)
{
    static const struct http_handler handler = {on_request};
    *w = (struct world){.env = env_uv_new()};
    signal(SIGPIPE, SIG_IGN);
    w->server = http_server_new(w->env, &handler, w);
    CHECK_EQ(http_server_listen_tcp(w->server, "127.0.0.1", 0, tls, &w->port), 0);
    (void)snprintf(w->path, sizeof w->path, "%s/s", kit_tmpdir());
    CHECK_EQ(http_server_listen_unix(w->server, w->path, 0600), 0);
}

static void world_done(struct world *w)
{
    if (w->up) {
        env_stream_close(w->up);
    }
    env_timer_stop(w->env, &w->later);
    http_server_close(w->server);
    http_server_free(w->server);
    env_uv_free(w->env);
}

static void serve(void (*script)(struct world *w))
{
    struct world w;
    world_init(&w, NULL);
    world_run(&w, script);
    world_done(&w);
}

/* ---- the client's side ---- */

static void say_n(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t r = write(fd, p, n);
        if (r <= 0) {
            return; /* the server has had enough: the test looks at its reply */
        }
        p += r;
        n -= (size_t)r;
    }
}

static void say(int fd, const char *text)
{
    say_n(fd, text, strlen(text));
}

static void hear(int fd, const char *want)
{
    char got[8192] = {0};
    size_t n = strlen(want), at = 0;
    CHECK(n < sizeof got);
    while (at < n) {
        ssize_t r = read(fd, got + at, n - at);
        if (r <= 0) {
            break;
        }
        at += (size_t)r;
    }
    CHECK_SPAN(span_of(got, at), want);
}

/* Everything until the server ends the connection; true when it ended cleanly. */
static bool hear_all(int fd, struct strbuf *out)
{
    for (;;) {
        ssize_t r = read(fd, strbuf_room(out, 65536), 65536);
        if (r <= 0) {
            return r == 0;
        }
        strbuf_added(out, (size_t)r);
    }
}

static void hear_rest(int fd, const char *want_start)
{
    struct strbuf b = STRBUF_INIT;
    CHECK(hear_all(fd, &b));
    CHECK_SPAN(span_first(strbuf_span(&b), strlen(want_start)), want_start);
    strbuf_done(&b);
    close(fd);
}

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"

static void script_keep_alive(struct world *w)
{
    int fd = kit_dial(w->port);
    for (int i = 0; i < 3; i++) {
        say(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        hear(fd, OK_HELLO);
    }
    say(fd, "GET /q?a=1&k=a%20b%2Bc+d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    hear(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
             "Content-Length: 7\r\n\r\na b+c d");
    hear_rest(fd, "");
}
TEST(keep_alive_carries_several_requests_and_close_ends_it)
{
    serve(script_keep_alive);
}

static void script_pipelined(struct world *w)
{
    int fd = kit_dial(w->port);
    say(fd, "POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
            "GET /later/1 HTTP/1.1\r\n\r\nGET /later/2 HTTP/1.1\r\n\r\n"
            "POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
    hear(fd,
         OK_HELLO "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\n/later/1"
                  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
                  "8\r\n\r\n/later/2" OK_HELLO);
    close(fd);
}
TEST(pipelined_requests_are_answered_in_order)
{
    serve(script_pipelined);
}

static void script_bytewise(struct world *w)
{
    const char *text =
        "POST /echo HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Long: a b  \r\n"
        "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: u\r\n\r\n"
        "GET /all HTTP/1.1\r\nX-Many: v4\r\nx-many: v3 \r\n\r\n";
    int fd = kit_dial(w->port);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
    for (const char *p = text; *p; p++) {
        say_n(fd, p, 1);
        usleep(200);
    }
    hear(fd, OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nv4, v3");
    close(fd);
}
TEST(a_request_may_arrive_byte_by_byte_in_chunks)
{
    serve(script_bytewise);
}

static void script_continue(struct world *w)
{
    int fd = kit_dial(w->port);
    say(fd, "POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    hear(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "hello");
    hear(fd, OK_HELLO);
    say(fd, "POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
    hear_rest(fd, "HTTP/1.1 413 ");
}
TEST(expect_continue_is_answered_before_the_body)
{
    serve(script_continue);
}

static void send_body(int fd, size_t n)
{
    char head[100], *body = mem_new(n);
    (void)snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", n);
    memset(body, 'x', n);
    say(fd, head);
    say_n(fd, body, n);
    free(body);
}

static void script_limits(struct world *w)
{
    int fd = kit_dial(w->port);
    send_body(fd, LIMIT_BODY_BYTES);
    struct strbuf b = STRBUF_INIT;
    shutdown(fd, SHUT_WR);
    CHECK(hear_all(fd, &b));
    CHECK(b.n > LIMIT_BODY_BYTES && span_starts(strbuf_span(&b), SPAN("HTTP/1.1 200 ")));
    strbuf_done(&b);
    close(fd);
    fd = kit_dial(w->port);
    send_body(fd, LIMIT_BODY_BYTES + 1);
    hear_rest(fd, "HTTP/1.1 413 ");

    char *url = mem_new(LIMIT_URL_BYTES + 1);
    memset(url, '/', LIMIT_URL_BYTES);
    fd = kit_dial(w->port);
    say(fd, "GET ");
    say(fd, url);
    say(fd, " HTTP/1.1\r\nConnection: close\r\n\r\n");
    hear_rest(fd, "HTTP/1.1 404 ");
    fd = kit_dial(w->port);
    say(fd, "GET ");
    say(fd, url);
    say(fd, "/ HTTP/1.1\r\n\r\n");
    hear_rest(fd, "HTTP/1.1 414 ");
    free(url);

    for (int over = 0; over < 2; over++) {
        fd = kit_dial(w->port);
        say(fd, "GET / HTTP/1.1\r\nConnection: close\r\n");
        for (int i = 0; i < LIMIT_HTTP_HEADERS - 1 + over; i++) {
            say(fd, "A: b\r\n");
        }
        say(fd, "\r\n");
        hear_rest(fd, over ? "HTTP/1.1 431 " : "HTTP/1.1 404 ");
    }
    fd = kit_dial(w->port);
    say(fd, "GET / HTTP/1.1\r\nA: ");
    char *value = mem_new(LIMIT_HTTP_HEAD_BYTES + 1);
    memset(value, 'v', LIMIT_HTTP_HEAD_BYTES);
    say(fd, value);
    free(value);
    hear_rest(fd, "HTTP/1.1 431 ");
}
TEST(requests_over_a_limit_get_its_code_and_those_at_it_pass)
{
    serve(script_limits);
}

static void script_chunked_limit(struct world *w)
{
    int fd = kit_dial(w->port);
    say(fd, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    char *mega = mem_new(1024 * 1024 + 2);
    memset(mega, 'x', 1024 * 1024);
    mega[1024 * 1024] = '\r';
    mega[1024 * 1024 + 1] = '\n';
    for (int i = 0; i < 4; i++) {
        say(fd, "100000\r\n");
        say_n(fd, mega, 1024 * 1024 + 2);
    }
    free(mega);
    hear_rest(fd, "HTTP/1.1 413 ");
}
TEST(an_endless_chunked_body_is_cut_off_with_413)
{
    serve(script_chunked_limit);
}

static void script_garbage(struct world *w)
{
    static const char *const bad[] = {
        "\x16\x03\x01 hello",
        "GET / HTTX/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nab",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int fd = kit_dial(w->port);
        say(fd, bad[i]);
        hear_rest(fd, "HTTP/1.1 400 ");
    }
    int fd = kit_dial(w->port);
    say(fd, "GET / HTTP/2.0\r\n\r\n");
    hear_rest(fd, "HTTP/1.1 505 ");
    CHECK_EQ(w->requests, 0);
}
TEST(what_is_not_http_gets_400_and_reaches_no_handler)
{
    serve(script_garbage);
}

static void script_head(struct world *w)
{
    int fd = kit_dial(w->port);
    say(fd, "HEAD /big HTTP/1.1\r\n\r\nGET /empty HTTP/1.1\r\n\r\nGET /stream HTTP/1.1\r\n\r\n"
            "HEAD /stream HTTP/1.1\r\n\r\nGET /stream HTTP/1.0\r\n\r\n");
    hear(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 300000\r\n\r\n"
             "HTTP/1.1 204 No Content\r\nX-Good: ab\r\n\r\n"
             "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3\r\none\r\n11\r\nseventeen bytes..\r\n0\r\n\r\n"
             "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
             "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
             "oneseventeen bytes..");
    hear_rest(fd, "");
}
TEST(head_and_empty_replies_have_no_body_and_streams_are_chunked)
{
    serve(script_head);
}

static void script_gzip(struct world *w)
{
    int fd = kit_dial(w->port);
    say(fd, "GET /big HTTP/1.1\r\nConnection: close\r\n\r\n");
    struct strbuf b = STRBUF_INIT;
    CHECK(hear_all(fd, &b));
    CHECK(b.n > 300000);
    close(fd);
    fd = kit_dial(w->port);
    say(fd, "GET /big HTTP/1.1\r\nAccept-Encoding: br, gzip\r\nConnection: close\r\n\r\n");
    strbuf_clear(&b);
    CHECK(hear_all(fd, &b));
    CHECK(b.n < 20000);
    char *body = strstr(b.p, "\r\n\r\n") + 4;
    CHECK(strstr(b.p, "Content-Encoding: gzip\r\n"));
    static unsigned char out[300001];
    z_stream z = {.next_in = (Bytef *)body,
                  .avail_in = (uInt)(b.n - (size_t)(body - b.p)),
                  .next_out = out,
                  .avail_out = sizeof out};
    CHECK_EQ(inflateInit2(&z, 31), Z_OK);
    CHECK_EQ(inflate(&z, Z_FINISH), Z_STREAM_END);
    CHECK_EQ(z.total_out, 300000);
    inflateEnd(&z);
    strbuf_done(&b);
    close(fd);
}
TEST(large_replies_are_compressed_for_clients_that_accept_it)
{
    serve(script_gzip);
}

static void script_upgrade(struct world *w)
{
    int fd = kit_dial(w->port);
    say(fd, "POST /up HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: "
            "0\r\n\r\nearly");
    hear(fd,
         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nearly");
    say(fd, "more");
    hear(fd, "more");
    close(fd);
    fd = kit_dial(w->port);
    say(fd, "GET /up HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    hear(fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
    say(fd, "more");
    hear(fd, "more");
    close(fd);
    /* A handler that does not care about the wish goes on in HTTP. */
    fd = kit_dial(w->port);
    say(fd, "GET /q?k=hello HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
            "GET /q?k=hello HTTP/1.1\r\n\r\n");
    hear(fd, OK_HELLO OK_HELLO);
    close(fd);
}
TEST(an_upgraded_connection_is_a_byte_stream_with_early_bytes_first)
{
    serve(script_upgrade);
}

static void script_abort(struct world *w)
{
    int fd = kit_dial(w->port);
    say(fd, "GET /flood HTTP/1.1\r\n\r\n");
    hear(fd, "HTTP/1.1 200 OK\r\n");
    usleep(100000); /* the socket buffers fill: the producer must have stopped */
    close(fd);
    for (int i = 0; i < 200 && __atomic_load_n(&w->aborts, __ATOMIC_RELAXED) == 0; i++) {
        usleep(10000);
    }
    fd = kit_dial(w->port); /* gone before an answer that comes later */
    say(fd, "GET /later HTTP/1.1\r\n\r\n");
    usleep(5000);
    struct linger hard = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
}

static void on_moment(struct env_timer *t)
{
    env_uv_stop(CONTAINER_OF(t, struct world, moment)->env);
}

/* The server has had as many connections, and sees that all are gone. */
static void run_until_alone(struct world *w, uint64_t connections)
{
    struct http_server_stats stats;
    for (;;) {
        http_server_stats(w->server, &stats);
        if (stats.connections == connections && stats.connections_open == 0) {
            return;
        }
        env_timer_start(w->env, &w->moment, 2, on_moment);
        env_uv_run(w->env);
    }
}

TEST(a_client_that_goes_away_aborts_its_stream_and_queues_stay_bounded)
{
    struct world w;
    world_init(&w, NULL);
    world_run(&w, script_abort);
    run_until_alone(&w, 2);
    CHECK_EQ(w.aborts, 1);
    CHECK(w.queued_max < 65536 + 20000);
    CHECK(w.queued_max > 0);
    CHECK(w.waiting == NULL);
    world_done(&w);
}

static void script_half_close(struct world *w)
{
    int fd = kit_dial(w->port);
    say(fd, "GET /later HTTP/1.1\r\n\r\n");
    shutdown(fd, SHUT_WR);
    hear_rest(fd, "HTTP/1.1 200 OK\r\n");
}
TEST(a_client_that_only_stops_talking_still_gets_its_reply)
{
    serve(script_half_close);
}

static void script_preface(struct world *w)
{
    /* The preface and the client's settings, in two parts; then GET /who. */
    int fd = kit_dial(w->port);
    say(fd, "PRI * HTTP/2.0\r\n\r\nS");
    usleep(20000);
    say_n(fd, "M\r\n\r\n\0\0\0\x04\0\0\0\0\0", 14);
    say_n(fd,
          "\0\0\x0b\x01\x05\0\0\0\x01\x82\x86\x41\x01"
          "a\x04\x04/who",
          20);
    struct strbuf b = STRBUF_INIT;
    while (!span_ends(strbuf_span(&b), SPAN("|"))) { /* what /who answers a nobody */
        ssize_t n = read(fd, strbuf_room(&b, 4096), 4096);
        CHECK(n > 0);
        strbuf_added(&b, (size_t)n);
    }
    strbuf_done(&b);
    close(fd);
}
TEST(the_preface_of_http2_is_understood_without_tls)
{
    serve(script_preface);
}

static void script_unix(struct world *w)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", w->path);
    CHECK(connect(fd, (struct sockaddr *)&un, sizeof un) == 0);
    say(fd, "GET /who HTTP/1.0\r\n\r\n");
    hear_rest(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
                  "Content-Length: 12\r\n\r\nroot-socket|");
}
TEST(the_control_socket_names_its_client_root)
{
    serve(script_unix);
}

static void on_close_timer(struct env_timer *t)
{
    struct world *w = CONTAINER_OF(t, struct world, later);
    w->waiting = NULL;
    http_server_close(w->server);
}

static void script_close(struct world *w)
{
    int idle = kit_dial(w->port), stream = kit_dial(w->port);
    say(stream, "GET /flood HTTP/1.1\r\n\r\n");
    say(idle, "GET /q?k=hello HTTP/1.1\r\n\r\n");
    hear(idle, OK_HELLO);
    hear(stream, "HTTP/1.1 200");
    struct strbuf b = STRBUF_INIT;
    CHECK(hear_all(idle, &b));
    CHECK_EQ(b.n, 0);
    (void)hear_all(stream, &b);
    strbuf_done(&b);
    close(idle);
    close(stream);
}
TEST(all_but_0_and_false_is_true)
{
    CHECK(http_query_true(SPAN("true")) && http_query_true(SPAN("1")));
    CHECK(http_query_true(SPAN("")) && http_query_true(SPAN("no")));
    CHECK(!http_query_true(SPAN("false")) && !http_query_true(SPAN("0")));
    CHECK(!http_query_true(SPAN("False")) && !http_query_true(SPAN("FALSE"))); /* Python's */
}

TEST(close_ends_idle_connections_and_streams)
{
    struct world w;
    world_init(&w, NULL);
    env_timer_start(w.env, &w.later, 300, on_close_timer);
    world_run(&w, script_close);
    CHECK_EQ(w.aborts, 1);
    env_timer_stop(w.env, &w.later);
    http_server_free(w.server);
    env_uv_free(w.env);
}
