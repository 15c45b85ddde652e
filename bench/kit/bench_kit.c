/* bench/kit/bench_kit.c: see bench_kit.h. */
#include "bench/kit/bench_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "env/env_uv.h"
#include "os/os_fs.h"

static void init(struct bench *b, int64_t patience_ms)
{
    assert(patience_ms > 0);
    (void)signal(SIGPIPE, SIG_IGN);
    *b = (struct bench){.env = env_uv_new(), .a = arena_new(), .patience_ms = patience_ms};
}

void bench_init(struct bench *b, const char *data_dir, uint16_t port, int64_t patience_ms)
{
    init(b, patience_ms);
    https_kit_init(&b->kit, b->env, b->a, data_dir, port);
}

void bench_init_socket(struct bench *b, const char *data_dir, int64_t patience_ms)
{
    init(b, patience_ms);
    b->kit = (struct https_kit){.env = b->env,
                                .socket = arena_printf(b->a, "%s/berth.sock", data_dir).p};
}

_Noreturn void bench_die(const char *what, struct span why)
{
    fprintf(stderr, "%s: %s: %.*s\n", program_invocation_short_name, what, SPAN_ARG(why));
    exit(1);
}

size_t bench_number(const char *text)
{
    uint64_t n = 0;
    if (!span_to_u64(span_cstr(text), &n)) {
        bench_die(text, SPAN("not a number"));
    }
    return (size_t)n;
}

uint16_t bench_port(const char *text)
{
    size_t n = bench_number(text);
    if (n == 0 || n > UINT16_MAX) {
        bench_die(text, SPAN("not a port"));
    }
    return (uint16_t)n;
}

/* ---- figures ---- */

void bench_figure(double value, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    vprintf(name, args);
    va_end(args);
    printf(" %.3f\n", value);
    fflush(stdout);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

double bench_quantile_ms(int64_t *ns, size_t n, double q)
{
    assert(n > 0 && q >= 0 && q <= 1);
    qsort(ns, n, sizeof *ns, by_value);
    size_t at = (size_t)(q * (double)n);
    return (double)ns[at < n ? at : n - 1] / 1e6;
}

double bench_since_ms(const struct bench *b, int64_t start_ns)
{
    return (double)(env_mono_ns(b->env) - start_ns) / 1e6;
}

double bench_process_us(struct bench *b, const char *pid)
{
    struct span *tasks, text;
    size_t n;
    uint64_t ns, sum = 0;
    const char *dir = arena_printf(b->a, "/proc/%s/task", pid).p;
    if (os_fs_list(b->a, dir, &tasks, &n) < 0) {
        bench_die(dir, SPAN("cannot be read"));
    }
    for (size_t i = 0; i < n; i++) {
        const char *file = arena_printf(b->a, "%s/%.*s/schedstat", dir, SPAN_ARG(tasks[i])).p;
        if (os_fs_read(b->a, AT_FDCWD, file, 4096, &text) == 0 &&
            span_to_u64(span_cut(&text, ' '), &ns)) {
            sum += ns;
        }
    }
    return (double)sum / 1e3;
}

/* ---- the loop ---- */

static void out_of_patience(struct env_timer *t)
{
    (void)t;
    bench_die("no answer in time", SPAN("given up"));
}

void bench_run(struct bench *b)
{
    env_timer_start(b->env, &b->patience, b->patience_ms, out_of_patience);
    env_uv_run(b->env);
    env_timer_stop(b->env, &b->patience);
}

void bench_stop(struct bench *b)
{
    env_uv_stop(b->env);
}

static void on_pause(struct env_timer *t)
{
    bench_stop(CONTAINER_OF(t, struct bench, pause));
}

void bench_sleep(struct bench *b, int64_t ms)
{
    assert(ms < b->patience_ms);
    env_timer_start(b->env, &b->pause, ms, on_pause);
    bench_run(b);
}

/* ---- one call after the other ---- */

static void on_ready(void *data)
{
    struct bench *b = data;
    b->conn_ready = true;
    bench_stop(b);
}

static void on_reply(void *data, int status, struct span body)
{
    struct bench *b = data;
    b->status = status;
    strbuf_clear(&b->body);
    strbuf_put(&b->body, body);
    bench_stop(b);
}

static void on_fail(void *data, int code)
{
    struct bench *b = data;
    b->conn_ready = false;
    b->status = code ? code : -ECONNRESET;
    bench_stop(b);
}

int bench_try_call(struct bench *b, const char *method, const char *path, const char *content_type,
                   struct span body)
{
    static const struct https_handler handler = {
        .on_ready = on_ready, .on_reply = on_reply, .on_fail = on_fail};
    if (!b->conn_ready) {
        https_conn_free(b->conn);
        b->conn = https_conn_new(&b->kit, &handler, b);
        bench_run(b);
        if (!b->conn_ready) {
            return b->status;
        }
    }
    if (!content_type && body.n) {
        content_type = "application/json";
    }
    https_conn_send(b->conn, method, path, content_type, body);
    bench_run(b);
    return b->status;
}

struct span bench_call(struct bench *b, int status, const char *method, const char *path,
                       const char *content_type, struct span body)
{
    int got = bench_try_call(b, method, path, content_type, body);
    if (got != status) {
        bench_die(arena_printf(b->a, "%s %s: %d", method, path, got).p, strbuf_span(&b->body));
    }
    return strbuf_span(&b->body);
}

void bench_on_fail(void *data, int code)
{
    (void)data;
    bench_die("connection", code ? span_cstr(strerror(-code)) : SPAN("ended by the server"));
}

void bench_on_watch_end(void *data, int status, struct span body)
{
    (void)data;
    (void)status;
    bench_die("the watch ended", body);
}
