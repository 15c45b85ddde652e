/* What an event, a watcher and a list cost in the watch cache, on a store in memory and virtual
 * time. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "sim/env_sim.h"
#include "watch/watch.h"

enum { EVENTS = 100000, BATCH = 64, OBJECTS = 10000, NAMESPACES = 100 };

struct put {
    struct store_write w;
    struct bench *bench;
    char key[64];
};

struct bench {
    struct env *env;
    struct store *store;
    struct watch_hub *hub;
    struct put puts[BATCH];
    bool done;
    int outstanding;
    uint64_t taken; /* events that watchers took */
    struct reader *readers;
    struct reader **ready; /* told that there is more */
    int ready_n;
};

struct reader {
    struct bench *bench;
    struct watcher *watcher;
};

static double now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void on_done(struct store_write *w, int code, struct object *object)
{
    struct bench *b = CONTAINER_OF(w, struct put, w)->bench;
    (void)object;
    assert(code == 0);
    b->done = --b->outstanding == 0;
}

static const struct span body = SPAN("{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{"
                                     "\"name\":\"object\"},\"data\":{}}");

static void write_batch(struct bench *b, int first)
{
    b->done = false;
    for (int i = 0; i < BATCH; i++) {
        struct put *p = &b->puts[i];
        int number = (first + i) % OBJECTS;
        int n = snprintf(p->key, sizeof p->key, "configmaps/ns-%d/object-%d", number % NAMESPACES,
                         number);
        p->bench = b;
        p->w = (struct store_write){.key = span_of(p->key, (size_t)n),
                                    .expect_rev = STORE_ANY,
                                    .body = body,
                                    .done = on_done};
        b->outstanding++;
        store_submit(b->store, &p->w);
    }
    bool ok = env_sim_run_while(b->env, &b->done);
    assert(ok);
}

static void on_more(void *data)
{
    struct reader *r = data;
    r->bench->ready[r->bench->ready_n++] = r;
}

static void take(struct reader *r)
{
    struct watch_event e;
    while (watcher_next(r->watcher, &e) == 1) {
        r->bench->taken++;
    }
}

static void take_all(struct bench *b)
{
    for (int i = 0; i < b->ready_n; i++) {
        take(b->ready[i]);
    }
    b->ready_n = 0;
}

/* Watcher i watches the namespace "PREFIX-i"; NULL: all of them. */
static void run(struct bench *b, const char *what, int readers, const char *ns_prefix)
{
    b->readers = mem_new_array((size_t)readers + 1, sizeof *b->readers);
    b->ready = mem_new_array((size_t)readers + 1, sizeof(struct reader *));
    b->ready_n = 0;
    b->taken = 0;
    for (int i = 0; i < readers; i++) {
        char ns[32] = "";
        if (ns_prefix) {
            snprintf(ns, sizeof ns, "%s-%d", ns_prefix, i);
        }
        struct watch_filter f = {.resource = SPAN("configmaps"), .ns = span_cstr(ns)};
        struct reader *r = &b->readers[i];
        r->bench = b;
        r->watcher = watcher_new(b->hub, &f, watch_hub_rev(b->hub), on_more, r);
        take(r);
    }
    double start = now_s();
    for (int i = 0; i < EVENTS; i += BATCH) {
        write_batch(b, i);
        take_all(b);
    }
    double s = now_s() - start;
    printf("%-52s %8.0f ns an event, %9.0f deliveries/s\n", what, s * 1e9 / EVENTS,
           (double)b->taken / s);
    for (int i = 0; i < readers; i++) {
        watcher_free(b->readers[i].watcher);
    }
    free(b->readers);
    free(b->ready);
}

static bool on_list(void *data, struct object *o)
{
    *(uint64_t *)data += object_json(o).n;
    return true;
}

static void list(struct bench *b, const char *what, const char *ns)
{
    struct watch_filter f = {.resource = SPAN("configmaps"), .ns = span_cstr(ns)};
    uint64_t bytes = 0;
    size_t n = 0;
    double start = now_s();
    for (int i = 0; i < 100; i++) {
        n = watch_hub_list(b->hub, &f, SPAN_NULL, on_list, &bytes);
    }
    printf("%-52s %8.1f us for %zu objects\n", what, (now_s() - start) * 1e6 / 100, n);
}

int main(void)
{
    struct bench *b = MEM_NEW(struct bench);
    b->env = env_sim_new(1);
    b->store = store_memory_new(b->env, NULL);
    b->hub = watch_hub_new(b->env, b->store);
    for (int i = 0; i < OBJECTS; i += BATCH) {
        write_batch(b, i);
    }
    run(b, "write and cache, no watcher", 0, NULL);
    run(b, "1 watcher of everything", 1, NULL);
    run(b, "100 watchers of everything", 100, NULL);
    run(b, "100 watchers, one a namespace", 100, "ns");
    run(b, "10000 sleeping watchers of other namespaces", 10000, "other");
    list(b, "list of all namespaces", "");
    list(b, "list of one namespace of 100", "ns-7");
    watch_hub_free(b->hub);
    store_free(b->store);
    env_sim_free(b->env);
    free(b);
    return 0;
}
