#include "front/metrics.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

/* The last of each hundred stands for those that are not listed. */
static const int codes[METRIC_CODES] = {200, 201, 202, 204, 301, 400, 401, 403, 404, 405,
                                        406, 409, 410, 413, 415, 422, 429, 500, 503, 101};

#define MS(n) (n * UINT64_C(1000000))

/* Kube-apiserver's bounds: of how long a request took, how long an answer was, how long an event.
 */
static const struct histogram_bounds time_bounds = {
    .n = 23, .unit = 1e-9, .at = {MS(5),     MS(25),    MS(50),    MS(100),   MS(200),  MS(400),
                                  MS(600),   MS(800),   MS(1000),  MS(1250),  MS(1500), MS(2000),
                                  MS(3000),  MS(4000),  MS(5000),  MS(6000),  MS(8000), MS(10000),
                                  MS(15000), MS(20000), MS(30000), MS(45000), MS(60000)}};
static const struct histogram_bounds size_bounds = {
    .n = 7, .unit = 1, .at = {1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000}};
static const struct histogram_bounds event_bounds = {
    .n = 8, .unit = 1, .at = {1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072}};

struct metric_entry {
    uint64_t codes[METRIC_CODES];
    struct histogram times; /* nanoseconds */
    struct histogram sizes; /* of answers to reads, bytes */
    int64_t running;
    size_t key_n;
    char key[]; /* the labels, as they are printed */
};

struct metric_events {
    struct histogram sizes; /* bytes, one for each event */
    size_t key_n;
    char key[];
};

void metrics_done(struct metrics *m)
{
    assert(m);
    map_done_values(&m->entries, free);
    map_done_values(&m->events, free);
    strbuf_done(&m->key);
}

static void put_label(struct strbuf *b, const char *name, const char *value)
{
    strbuf_puts(b, name);
    strbuf_puts(b, "=\"");
    strbuf_puts(b, value); /* names of the API: letters, digits, dots, dashes and slashes */
    strbuf_puts(b, "\"");
}

static struct metric_entry *entry(struct metrics *m, const struct metric_request *r)
{
    struct strbuf *key = &m->key;
    strbuf_clear(key);
    put_label(key, "component", "apiserver");
    put_label(key, ",group", r->kind ? r->kind->group : "");
    put_label(key, ",resource", r->kind ? r->kind->resource : "");
    put_label(key, ",scope", r->scope);
    put_label(key, ",subresource", r->subresource);
    put_label(key, ",verb", r->verb);
    put_label(key, ",version", r->kind ? r->kind->version : "");
    struct metric_entry *e = map_get(&m->entries, strbuf_span(key));
    if (!e) {
        e = mem_new(sizeof *e + key->n + 1);
        e->key_n = key->n;
        memcpy(e->key, key->p, key->n);
        map_put(&m->entries, span_of(e->key, e->key_n), e);
    }
    return e;
}

static size_t code_index(int code)
{
    size_t near = 0;
    for (size_t i = 0; i < METRIC_CODES; i++) {
        if (codes[i] == code) {
            return i;
        }
        near = codes[i] / 100 == code / 100 ? i : near;
    }
    return near;
}

struct metric_entry *metrics_count(struct metrics *m, const struct metric_request *r,
                                   int64_t took_ns)
{
    assert(r->verb);
    assert(r->subresource);
    assert(r->scope);
    assert(r->code >= 100);
    struct metric_entry *e = entry(m, r);
    e->codes[code_index(r->code)]++;
    if (took_ns >= 0) {
        histogram_add(&e->times, &time_bounds, (uint64_t)took_ns);
    }
    return e;
}

void metrics_size(struct metric_entry *e, size_t bytes)
{
    assert(e);
    histogram_add(&e->sizes, &size_bounds, bytes);
}

struct metric_events *metrics_events(struct metrics *m, const struct schema_kind *kind)
{
    struct strbuf *key = &m->key;
    strbuf_clear(key);
    put_label(key, "group", kind->group);
    put_label(key, ",kind", kind->kind);
    put_label(key, ",resource", kind->plural);
    put_label(key, ",version", kind->version);
    struct metric_events *e = map_get(&m->events, strbuf_span(key));
    if (!e) {
        e = mem_new(sizeof *e + key->n + 1);
        e->key_n = key->n;
        memcpy(e->key, key->p, key->n);
        map_put(&m->events, span_of(e->key, e->key_n), e);
    }
    return e;
}

void metrics_event(struct metric_events *e, size_t bytes)
{
    assert(e);
    histogram_add(&e->sizes, &event_bounds, bytes);
}

void metrics_running(struct metrics *m, const struct metric_request *r, int change)
{
    struct metric_entry *e = entry(m, r);
    e->running += change;
    assert(e->running >= 0);
}

static int by_key(const void *a, const void *b)
{
    const struct metric_entry *x = *(const struct metric_entry *const *)a;
    const struct metric_entry *y = *(const struct metric_entry *const *)b;
    return span_cmp(span_of(x->key, x->key_n), span_of(y->key, y->key_n));
}

static int events_by_key(const void *a, const void *b)
{
    const struct metric_events *x = *(const struct metric_events *const *)a;
    const struct metric_events *y = *(const struct metric_events *const *)b;
    return span_cmp(span_of(x->key, x->key_n), span_of(y->key, y->key_n));
}

static void put_head(struct strbuf *out, const char *name, const char *help, const char *type)
{
    strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_totals(const struct metric_entry *e, struct strbuf *out)
{
    for (size_t i = 0; i < METRIC_CODES; i++) {
        if (e->codes[i]) {
            strbuf_printf(out,
                          "apiserver_request_total{code=\"%d\",dry_run=\"\",%.*s} %" PRIu64 "\n",
                          codes[i], (int)e->key_n, e->key, e->codes[i]);
        }
    }
}

/* Of requests that end: of the others nobody asks how long they took. */
static void put_times(const struct metric_entry *const *all, size_t n, const char *name,
                      const char *prefix, struct strbuf *out)
{
    put_head(out, name, "Time from the whole request to its reply, in seconds.", "histogram");
    for (size_t i = 0; i < n; i++) {
        if (all[i]->running == 0 && all[i]->times.sum) {
            struct strbuf labels cleanup_strbuf = STRBUF_INIT;
            strbuf_printf(&labels, "%s%.*s", prefix, (int)all[i]->key_n, all[i]->key);
            histogram_put(&all[i]->times, &time_bounds, name, strbuf_span(&labels), out);
        }
    }
}

static void put_sizes(const struct metric_entry *const *all, size_t n, struct strbuf *out)
{
    put_head(out, "apiserver_response_sizes", "Bytes of answers to GET and LIST.", "histogram");
    for (size_t i = 0; i < n; i++) {
        if (all[i]->sizes.sum) {
            histogram_put(&all[i]->sizes, &size_bounds, "apiserver_response_sizes",
                          span_of(all[i]->key, all[i]->key_n), out);
        }
    }
}

static void put_running(const struct metric_entry *const *all, size_t n, struct strbuf *out)
{
    put_head(out, "apiserver_longrunning_requests", "Watches and streams that are open.", "gauge");
    for (size_t i = 0; i < n; i++) {
        if (all[i]->running) {
            strbuf_printf(out, "apiserver_longrunning_requests{%.*s} %" PRId64 "\n",
                          (int)all[i]->key_n, all[i]->key, all[i]->running);
        }
    }
}

static void put_events(const struct metrics *m, struct strbuf *out)
{
    const struct metric_events **all = mem_new_array(m->events.n + 1, sizeof(void *));
    size_t n = 0, it = 0;
    for (struct metric_events *e; (e = map_next(&m->events, &it, NULL));) {
        all[n++] = e;
    }
    qsort(all, n, sizeof *all, events_by_key);
    put_head(out, "apiserver_watch_events_total", "Events that were sent to watchers.", "counter");
    for (size_t i = 0; i < n; i++) {
        uint64_t sent = 0;
        for (size_t j = 0; j <= event_bounds.n; j++) {
            sent += all[i]->sizes.counts[j];
        }
        strbuf_printf(out, "apiserver_watch_events_total{%.*s} %" PRIu64 "\n", (int)all[i]->key_n,
                      all[i]->key, sent);
    }
    put_head(out, "apiserver_watch_events_sizes", "Bytes of these events.", "histogram");
    for (size_t i = 0; i < n; i++) {
        histogram_put(&all[i]->sizes, &event_bounds, "apiserver_watch_events_sizes",
                      span_of(all[i]->key, all[i]->key_n), out);
    }
    free(all);
}

void metrics_put(const struct metrics *m, struct strbuf *out)
{
    assert(out);
    const struct metric_entry **all = mem_new_array(m->entries.n + 1, sizeof(void *));
    size_t n = 0, it = 0;
    for (struct metric_entry *e; (e = map_next(&m->entries, &it, NULL));) {
        all[n++] = e;
    }
    qsort(all, n, sizeof *all, by_key);
    put_head(out, "apiserver_request_total",
             "Requests, by verb, group, version, resource, scope and code.", "counter");
    for (size_t i = 0; i < n; i++) {
        put_totals(all[i], out);
    }
    put_times(all, n, "apiserver_request_duration_seconds", "dry_run=\"\",", out);
    /* Less the time in webhooks, of which there are none. */
    put_times(all, n, "apiserver_request_sli_duration_seconds", "", out);
    put_sizes(all, n, out);
    put_running(all, n, out);
    put_events(m, out);
    free(all);
}
