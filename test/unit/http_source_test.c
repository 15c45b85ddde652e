/* Replies made while they are sent, and replies cut short, over HTTP/1.1: a client thread speaks
 * raw bytes, the loop serves. (HTTP/2: http2_test.c) */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "env/env_uv.h"
#include "http/http.h"
#include "kit/kit.h"

enum { BLOCK = 10000, MANY = 700 };

struct world {
    struct env *env;
    struct http_server *server;
    uint16_t port;
    void (*script)(struct world *w);
    struct env_wakeup *finished;
    struct env_timer tick;
    pthread_t thread;
    int parts, parts_left, done, others;
    bool closes, is_lazy, idle;
};

static bool source_next(void *data, struct strbuf *out)
{
    struct world *w = data;
    CHECK(w->parts_left > 0);
    if (w->is_lazy && (w->idle = !w->idle)) {
        return true; /* nothing yet */
    }
    char *p = strbuf_room(out, BLOCK);
    for (int i = 0; i < BLOCK; i++) {
        p[i] = (char)('a' + (i * 7 + w->parts_left) % 26);
    }
    strbuf_added(out, BLOCK);
    __atomic_add_fetch(&w->parts, 1, __ATOMIC_RELAXED);
    return --w->parts_left > 0;
}

static void source_done(void *data)
{
    struct world *w = data;
    __atomic_add_fetch(&w->done, 1, __ATOMIC_RELAXED);
}

static void no_abort(void *data)
{
    (void)data;
}

static const struct http_source source = {source_next, source_done};
static const struct http_stream_handler quiet = {NULL, no_abort};

static void on_request(void *data, struct http_exchange *x)
{
    struct world *w = data;
    struct span path = http_path(x);
    if (span_eq_cstr(path, "/long") || span_eq_cstr(path, "/short")) {
        w->parts_left = span_eq_cstr(path, "/long") ? MANY : 3;
        http_reply_source(x, 200, "text/plain", &source, w);
        if (w->closes) {
            http_server_close(w->server);
        }
    } else if (span_eq_cstr(path, "/cut")) {
        http_stream_begin(x, 200, "text/plain", &quiet, w);
        http_stream_write(x, SPAN("half of it"));
        http_stream_abort(x);
    } else {
        w->others++;
        http_reply(x, 200, "text/plain", SPAN("ok"));
    }
}

static void on_finished(void *data)
{
    struct world *w = data;
    env_uv_stop(w->env);
}

static void *thread_main(void *data)
{
    struct world *w = data;
    w->script(w);
    env_wakeup_send(w->finished);
    return NULL;
}

static void world_init(struct world *w)
{
    static const struct http_handler handler = {.on_request = on_request};
    *w = (struct world){.env = env_uv_new()};
    (void)signal(SIGPIPE, SIG_IGN);
    w->server = http_server_new(w->env, &handler, w);
    CHECK_EQ(http_server_listen_tcp(w->server, "127.0.0.1", 0, NULL, &w->port), 0);
}

static void world_run(struct world *w, void (*script)(struct world *w))
{
    w->script = script;
    w->finished = env_wakeup_new(w->env, on_finished, w);
    CHECK_EQ(pthread_create(&w->thread, NULL, thread_main, w), 0);
    env_uv_run(w->env);
    (void)pthread_join(w->thread, NULL);
    env_wakeup_free(w->finished);
    http_server_free(w->server);
    env_uv_free(w->env);
}

/* ---- the client's side ---- */

static int dial(struct world *w)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(w->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof in) == 0);
    struct timeval tv = {.tv_sec = 20};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    return fd;
}

static int ask(struct world *w, const char *request)
{
    int fd = dial(w);
    CHECK_EQ(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    return fd;
}

/* Everything until the server ends the connection. */
static void hear(int fd, struct strbuf *out)
{
    ssize_t n;
    while ((n = read(fd, strbuf_room(out, 65536), 65536)) > 0) {
        strbuf_added(out, (size_t)n);
    }
    CHECK_EQ(n, 0);
    (void)close(fd);
}

static struct span body_of(struct strbuf *reply)
{
    char *end = strstr(reply->p, "\r\n\r\n");
    CHECK(end);
    return span_from(strbuf_span(reply), (size_t)(end + 4 - reply->p));
}

/* The bytes of a chunked body; false: it is not complete. */
static bool unchunk(struct span in, struct strbuf *out)
{
    while (in.n) {
        struct span line = span_cut(&in, '\n');
        size_t n = 0;
        for (size_t i = 0; i + 1 < line.n; i++) {
            n = n * 16 + (size_t)(line.p[i] <= '9' ? line.p[i] - '0' : line.p[i] - 'a' + 10);
        }
        if (in.n < n + 2) {
            return false;
        }
        strbuf_put(out, span_first(in, n));
        CHECK_SPAN(span_first(span_from(in, n), 2), "\r\n");
        in = span_from(in, n + 2);
        if (n == 0) {
            CHECK_EQ(in.n, 0);
            return true;
        }
    }
    return false;
}

static void script_whole(struct world *w)
{
    struct strbuf got = STRBUF_INIT, body = STRBUF_INIT;
    hear(ask(w, "GET /short HTTP/1.1\r\nConnection: close\r\n\r\n"), &got);
    CHECK(strstr(got.p, "Content-Length: 30000\r\n"));
    CHECK_EQ(body_of(&got).n, 30000);
    strbuf_clear(&got);
    hear(ask(w, "GET /long HTTP/1.1\r\n\r\nGET /other HTTP/1.1\r\nConnection: close\r\n\r\n"),
         &got);
    CHECK(strstr(got.p, "Transfer-Encoding: chunked\r\n"));
    const char next[] = "0\r\n\r\nHTTP/1.1 200 OK\r\n";
    const char *second = memmem(got.p, got.n, next, sizeof next - 1);
    CHECK(second);
    struct span first = body_of(&got);
    first.n = (size_t)(second + 5 - first.p);
    CHECK(unchunk(first, &body));
    CHECK_EQ(body.n, (size_t)MANY * BLOCK);
    CHECK_EQ(body.p[0], 'a' + MANY % 26);
    CHECK_EQ(body.p[body.n - BLOCK], 'a' + 1);
    strbuf_clear(&got); /* HTTP/1.0 has no chunks: the end is the end of the connection */
    hear(ask(w, "GET /long HTTP/1.0\r\n\r\n"), &got);
    CHECK(!strstr(got.p, "chunked"));
    CHECK_EQ(body_of(&got).n, (size_t)MANY * BLOCK);
    strbuf_clear(&got);
    hear(ask(w, "HEAD /long HTTP/1.1\r\nConnection: close\r\n\r\n"), &got);
    CHECK_EQ(body_of(&got).n, 0);
    strbuf_done(&got);
    strbuf_done(&body);
}
TEST(a_long_reply_comes_in_chunks_and_a_short_one_whole)
{
    struct world w;
    world_init(&w);
    world_run(&w, script_whole);
    CHECK_EQ(w.done, 4);
    CHECK_EQ(w.others, 1);
}

static void script_gzip(struct world *w)
{
    struct strbuf got = STRBUF_INIT, packed = STRBUF_INIT, body = STRBUF_INIT;
    hear(ask(w, "GET /long HTTP/1.1\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"), &got);
    CHECK(strstr(got.p, "Content-Encoding: gzip\r\n"));
    CHECK(unchunk(body_of(&got), &packed));
    z_stream z = {.next_in = (Bytef *)packed.p,
                  .avail_in = (uInt)packed.n,
                  .next_out = (Bytef *)strbuf_room(&body, (size_t)MANY * BLOCK + 1),
                  .avail_out = MANY * BLOCK + 1};
    CHECK_EQ(inflateInit2(&z, 31), Z_OK);
    CHECK_EQ(inflate(&z, Z_FINISH), Z_STREAM_END);
    CHECK_EQ(z.total_out, (uLong)MANY * BLOCK);
    CHECK_EQ(body.p[0], 'a' + MANY % 26);
    (void)inflateEnd(&z);
    strbuf_done(&got);
    strbuf_done(&packed);
    strbuf_done(&body);
}
TEST(a_long_reply_is_compressed_as_it_is_made)
{
    struct world w;
    world_init(&w);
    world_run(&w, script_gzip);
    CHECK_EQ(w.done, 1);
}

static void script_slow(struct world *w)
{
    int slow = ask(w, "GET /long HTTP/1.1\r\nConnection: close\r\n\r\n");
    struct strbuf got = STRBUF_INIT;
    usleep(200 * 1000);
    /* Far from all is made: what the socket's buffers take. Meanwhile others are served. */
    CHECK(__atomic_load_n(&w->parts, __ATOMIC_RELAXED) < MANY);
    hear(ask(w, "GET /other HTTP/1.1\r\nConnection: close\r\n\r\n"), &got);
    (void)close(slow);
    for (int i = 0; i < 500 && __atomic_load_n(&w->done, __ATOMIC_RELAXED) == 0; i++) {
        usleep(10000);
    }
    strbuf_done(&got);
}
TEST(a_client_that_does_not_read_costs_parts_and_one_that_goes_ends_them)
{
    struct world w;
    world_init(&w);
    world_run(&w, script_slow);
    CHECK_EQ(w.done, 1);
    CHECK(w.parts < MANY);
    CHECK_EQ(w.others, 1);
}

static void script_half_close(struct world *w)
{
    struct strbuf got = STRBUF_INIT, body = STRBUF_INIT;
    int fd = ask(w, "GET /long HTTP/1.1\r\n\r\n");
    (void)shutdown(fd, SHUT_WR);
    hear(fd, &got);
    CHECK(unchunk(body_of(&got), &body));
    CHECK_EQ(body.n, (size_t)MANY * BLOCK);
    strbuf_done(&got);
    strbuf_done(&body);
}
TEST(a_client_that_only_stops_talking_gets_all_of_it)
{
    struct world w;
    world_init(&w);
    world_run(&w, script_half_close);
    CHECK_EQ(w.done, 1);
}

TEST(a_long_reply_outlives_the_close_of_the_server)
{
    struct world w;
    world_init(&w);
    w.closes = true;
    world_run(&w, script_half_close);
    CHECK_EQ(w.done, 1);
}

TEST(a_source_that_has_nothing_yet_is_asked_again)
{
    static const struct {
        void (*script)(struct world *w);
        int done;
    } with[] = {{script_gzip, 1}, {script_half_close, 1}};
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_init(&w);
        w.is_lazy = true;
        world_run(&w, with[i].script);
        CHECK_EQ(w.done, with[i].done);
    }
}

static void script_cut(struct world *w)
{
    struct strbuf got = STRBUF_INIT, body = STRBUF_INIT;
    hear(ask(w, "GET /cut HTTP/1.1\r\n\r\n"), &got);
    CHECK(!unchunk(body_of(&got), &body));
    CHECK_SPAN(strbuf_span(&body), "half of it");
    strbuf_done(&got);
    strbuf_done(&body);
}
TEST(a_reply_that_is_cut_short_lacks_its_last_chunk)
{
    struct world w;
    world_init(&w);
    world_run(&w, script_cut);
}
