/* bench/http_bench.c: a trivial handler over TLS and keep-alive: requests a second, and the
 * server's processor time for one (which does not depend on what else the machine does).
 *
 *     http_bench [SECONDS] [CONNECTIONS] [REPLY_BYTES] [plain]     http_bench serve PORT     for
 * other load programs
 *
 * The server is a child process with one thread, the load comes from this one. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "env/env.h"
#include "env/env_uv.h"
#include "http/http.h"
#include "test/kit/https_kit.h"

static struct {
    struct env *env;
    struct tls_server *tls;
    struct tls_client *client;
    struct span body;
    uint16_t port;
    bool plain;
    uint64_t done;
    struct env_timer timer;
} g; /* a bench is one program */

static void on_request(void *data, struct http_exchange *x)
{
    (void)data;
    http_reply(x, 200, "application/json", g.body);
}

static const struct http_handler handler = {on_request};

static void make_tls(struct arena *a)
{
    struct https_pki p;
    struct span detail;
    https_pki_make(&p, a, env_now_ms(g.env));
    int bad =
        tls_server_new(p.server.cert_pem, p.server.key_pem, p.ca.cert_pem, a, &g.tls, &detail) |
        tls_client_new(p.ca.cert_pem, p.client.cert_pem, p.client.key_pem, a, &g.client, &detail);
    assert(!bad);
}

static _Noreturn void serve(uint16_t port, int ready_fd)
{
    struct http_server *s = http_server_new(g.env, &handler, NULL);
    int code = http_server_listen_tcp(s, "127.0.0.1", port, g.plain ? NULL : g.tls, &g.port);
    assert(code == 0);
    if (ready_fd >= 0) {
        (void)!write(ready_fd, &g.port, sizeof g.port);
    }
    env_uv_run(g.env);
    exit(0);
}

/* ---- load ---- */

struct conn {
    struct env_stream *s;
    size_t left; /* bytes of the reply still to come; 0: its head is awaited */
};

static void ask(struct conn *c)
{
    env_stream_write(c->s, SPAN("GET /api/v1/namespaces/default/configmaps/a HTTP/1.1\r\n"
                                "Host: 127.0.0.1:6443\r\nUser-Agent: kubectl/v1.32.4\r\n"
                                "Accept: application/json\r\nAccept-Encoding: gzip\r\n\r\n"));
}

static void on_read(void *data, struct span bytes)
{
    struct conn *c = data;
    if (c->left == 0) {
        const char *end = memmem(bytes.p, bytes.n, "\r\n\r\n", 4);
        assert(end);
        c->left = g.body.n + (size_t)(end + 4 - bytes.p);
    }
    assert(bytes.n <= c->left);
    c->left -= bytes.n;
    if (c->left == 0) {
        g.done++;
        ask(c);
    }
}

static void on_end(void *data, int code)
{
    (void)data;
    fprintf(stderr, "connection ended: %d\n", code);
    exit(1);
}

static const struct env_stream_handler conn_handler = {on_read, on_end, NULL};

static void on_ready(void *data, int code, struct env_stream *stream)
{
    struct conn *c = data;
    assert(code == 0);
    c->s = stream;
    env_stream_set(stream, &conn_handler, c);
    env_stream_read(stream, true);
    ask(c);
}

static void on_connected(void *data, int code, struct env_stream *stream)
{
    assert(code == 0);
    if (g.plain) {
        on_ready(data, 0, stream);
    } else {
        (void)tls_connect(g.client, stream, "127.0.0.1", on_ready, data);
    }
}

static void on_stop(struct env_timer *t)
{
    (void)t;
    env_uv_stop(g.env);
}

static void run(int64_t ms)
{
    env_timer_start(g.env, &g.timer, ms, on_stop);
    env_uv_run(g.env);
}

int main(int argc, char **argv)
{
    int64_t seconds = 3, connections = 64, bytes = 1024;
    struct arena *a = arena_new();
    signal(SIGPIPE, SIG_IGN);
    bool serving = argc > 2 && span_eq_cstr(span_cstr(argv[1]), "serve");
    (void)(argc > 1 && span_to_i64(span_cstr(argv[1]), &seconds));
    (void)(argc > 2 && span_to_i64(span_cstr(argv[2]), serving ? &connections : &connections));
    (void)(argc > 3 && span_to_i64(span_cstr(argv[3]), &bytes));
    g.plain = argc > 4;
    g.body = span_of(arena_alloc(a, (size_t)bytes), (size_t)bytes);
    g.env = env_uv_new();
    make_tls(a);
    if (serving) {
        serve((uint16_t)connections, -1);
    }
    env_uv_free(g.env); /* no loop is shared over the fork */
    int ready[2];
    assert(pipe(ready) == 0);
    pid_t pid = fork();
    g.env = env_uv_new();
    if (pid == 0) {
        serve(0, ready[1]);
    }
    assert(read(ready[0], &g.port, sizeof g.port) == sizeof g.port);
    struct conn *conns = mem_new_array((size_t)connections, sizeof *conns);
    for (int64_t i = 0; i < connections; i++) {
        assert(env_connect_tcp(g.env, "127.0.0.1", g.port, on_connected, &conns[i]) == 0);
    }
    run(300);
    uint64_t before = g.done;
    int64_t start_ns = env_mono_ns(g.env);
    run(seconds * 1000);
    uint64_t requests = g.done - before;
    double wall_s = (double)(env_mono_ns(g.env) - start_ns) / 1e9;
    uint64_t all = g.done;
    struct rusage use;
    kill(pid, SIGKILL);
    int status;
    (void)wait4(pid, &status, 0, &use);
    double cpu_s = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                   (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
    printf("%s, %lld connections, %lld byte replies: %.0f requests/s, server %.1f us of processor "
           "each (%.0f/s on one core), %ld KB resident\n",
           g.plain ? "plain" : "TLS", (long long)connections, (long long)bytes,
           (double)requests / wall_s, cpu_s * 1e6 / (double)all, (double)all / cpu_s,
           use.ru_maxrss);
    return 0;
}
