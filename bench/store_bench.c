/* Durable writes a second of the SQLite store without API server, and how long it takes to open.
 * store_bench [DIRECTORY]: the database is made there (default: the working directory) and removed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "env/env_uv.h"
#include "store/store.h"

struct bench;
struct writer {
    struct store_write w;
    struct bench *bench;
    int64_t start_ns;
    char key[64];
};

struct bench {
    struct env *env;
    struct store *store;
    struct strbuf body;
    int keys; /* 0: each write creates; else updates of so many keys */
    int next, total, done;
    int64_t *latency_ns;
};

static void submit(struct writer *x);

static void on_done(struct store_write *w, int code, struct object *object)
{
    (void)object;
    struct writer *x = CONTAINER_OF(w, struct writer, w);
    struct bench *b = x->bench;
    assert(code == 0);
    b->latency_ns[b->done++] = env_mono_ns(b->env) - x->start_ns;
    if (b->next < b->total) {
        submit(x);
    } else if (b->done == b->total) {
        env_uv_stop(b->env);
    }
}

static void submit(struct writer *x)
{
    struct bench *b = x->bench;
    int number = b->keys ? b->next % b->keys : b->next;
    b->next++;
    int n = snprintf(x->key, sizeof x->key, "configmaps/bench/object-%d", number);
    x->w = (struct store_write){.key = span_of(x->key, (size_t)n),
                                .expect_rev = STORE_ANY,
                                .body = strbuf_span(&b->body),
                                .done = on_done};
    x->start_ns = env_mono_ns(b->env);
    store_submit(b->store, &x->w);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void run(struct bench *b, const char *what, int in_flight, int total, int keys,
                double budget)
{
    struct writer *writers = mem_new_array((size_t)in_flight, sizeof *writers);
    b->latency_ns = mem_new_array((size_t)total, sizeof *b->latency_ns);
    b->next = b->done = 0;
    b->total = total;
    b->keys = keys;
    int64_t start_ns = env_mono_ns(b->env);
    for (int i = 0; i < in_flight; i++) {
        writers[i].bench = b;
        submit(&writers[i]);
    }
    env_uv_run(b->env);
    double s = (double)(env_mono_ns(b->env) - start_ns) / 1e9;
    qsort(b->latency_ns, (size_t)total, sizeof *b->latency_ns, by_value);
    struct store_stats stats;
    store_stats(b->store, &stats);
    char text[32] = "-";
    if (budget > 0) {
        snprintf(text, sizeof text, "%.0f", budget);
    }
    printf("%-44s %9.0f %9s   p50 %.2f ms, p99 %.2f ms, max %.1f ms\n", what, total / s, text,
           (double)b->latency_ns[total / 2] / 1e6,
           (double)b->latency_ns[total - 1 - total / 100] / 1e6,
           (double)b->latency_ns[total - 1] / 1e6);
    free(b->latency_ns);
    free(writers);
}

static void open_store(struct bench *b, const char *path, struct arena *a)
{
    struct span detail;
    if (store_sqlite_open(b->env, path, &b->store, a, &detail) < 0) {
        fprintf(stderr, "%.*s\n", SPAN_ARG(detail));
        exit(1);
    }
    store_load(b->store, NULL, NULL);
}

int main(int argc, char **argv)
{
    struct bench b = {.env = env_uv_new()};
    struct arena *a = arena_new();
    const char *dir = argc > 1 ? argv[1] : ".";
    const char *path = arena_printf(a, "%s/store_bench.%d.db", dir, (int)getpid()).p;
    strbuf_puts(&b.body,
                "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"object\"},"
                "\"data\":{\"text\":\"");
    while (b.body.n < 1020) {
        strbuf_putc(&b.body, 'x');
    }
    strbuf_puts(&b.body, "\"}}");

    int64_t start_ns = env_mono_ns(b.env);
    open_store(&b, path, a);
    printf("%-44s %9s %9s\n", "figure", "is", "budget");
    printf("%-44s %9.1f %9s\n", "first open, ms", (double)(env_mono_ns(b.env) - start_ns) / 1e6,
           "20");
    run(&b, "durable 1 KB creates/s, 64 in flight", 64, 100000, 0, 50000);
    run(&b, "durable 1 KB updates/s, 64 in flight", 64, 100000, 1000, 0);
    run(&b, "durable 1 KB updates/s, 512 in flight", 512, 100000, 1000, 0);
    run(&b, "durable 1 KB updates/s, 1 in flight", 1, 2000, 1000, 0);
    start_ns = env_mono_ns(b.env);
    store_free(b.store);
    printf("%-44s %9.1f %9s\n", "close, ms", (double)(env_mono_ns(b.env) - start_ns) / 1e6, "-");
    start_ns = env_mono_ns(b.env);
    open_store(&b, path, a);
    double ms = (double)(env_mono_ns(b.env) - start_ns) / 1e6;
    struct store_stats stats;
    store_stats(b.store, &stats);
    printf("%-44s %9.0f %9s   (%" PRIu64 " live keys)\n", "open with history, ms", ms, "1000",
           stats.live_keys);
    store_free(b.store);
    (void)unlink(path);
    strbuf_done(&b.body);
    arena_free(a);
    env_uv_free(b.env);
    return 0;
}
