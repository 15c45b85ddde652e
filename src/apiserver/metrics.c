#include "apiserver/metrics.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

/* The last of each hundred stands for those that are not listed. */
static const int codes[METRIC_CODES] = {200, 201, 202, 204, 301, 400, 401, 403, 404, 405,
                                        406, 409, 410, 413, 415, 422, 429, 500, 503, 101};

/* Upper bounds of kube-apiserver's histogram, in milliseconds. */
static const int bounds_ms[METRIC_BUCKETS] = {5,    25,    50,    100,   200,   400,   600,  800,
                                              1000, 1250,  1500,  2000,  3000,  4000,  5000, 6000,
                                              8000, 10000, 15000, 20000, 30000, 45000, 60000};

struct metric_entry {
    uint64_t codes[METRIC_CODES];
    uint64_t buckets[METRIC_BUCKETS + 1]; /* not cumulative; the last has no bound */
    uint64_t sum_ns;
    int64_t running;
    size_t key_n;
    char key[]; /* the labels, as they are printed */
};

void metrics_done(struct metrics *m)
{
    size_t it = 0;
    for (struct metric_entry *e; (e = map_next(&m->entries, &it, NULL));) {
        free(e);
    }
    map_done(&m->entries);
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

void metrics_count(struct metrics *m, const struct metric_request *r, int64_t took_ns)
{
    assert(r->verb && r->subresource && r->scope && r->code >= 100);
    struct metric_entry *e = entry(m, r);
    size_t i = 0;
    e->codes[code_index(r->code)]++;
    if (took_ns < 0) {
        return;
    }
    while (i < METRIC_BUCKETS && took_ns > bounds_ms[i] * INT64_C(1000000)) {
        i++;
    }
    e->buckets[i]++;
    e->sum_ns += (uint64_t)took_ns;
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

static void put_durations(const struct metric_entry *e, struct strbuf *out)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        sum += e->buckets[i];
        strbuf_printf(
            out,
            "apiserver_request_duration_seconds_bucket{dry_run=\"\",%.*s,le=\"%g\"} %" PRIu64 "\n",
            (int)e->key_n, e->key, bounds_ms[i] / 1000.0, sum);
    }
    sum += e->buckets[METRIC_BUCKETS];
    strbuf_printf(
        out,
        "apiserver_request_duration_seconds_bucket{dry_run=\"\",%.*s,le=\"+Inf\"} %" PRIu64 "\n",
        (int)e->key_n, e->key, sum);
    strbuf_printf(out, "apiserver_request_duration_seconds_sum{dry_run=\"\",%.*s} %.9g\n",
                  (int)e->key_n, e->key, (double)e->sum_ns / 1e9);
    strbuf_printf(out, "apiserver_request_duration_seconds_count{dry_run=\"\",%.*s} %" PRIu64 "\n",
                  (int)e->key_n, e->key, sum);
}

void metrics_put(const struct metrics *m, struct strbuf *out)
{
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
    put_head(out, "apiserver_request_duration_seconds",
             "Time from the whole request to its reply, in seconds.", "histogram");
    for (size_t i = 0; i < n; i++) {
        if (all[i]->running == 0 && all[i]->sum_ns) {
            put_durations(all[i], out);
        }
    }
    put_head(out, "apiserver_longrunning_requests", "Watches and streams that are open.", "gauge");
    for (size_t i = 0; i < n; i++) {
        if (all[i]->running) {
            strbuf_printf(out, "apiserver_longrunning_requests{%.*s} %" PRId64 "\n",
                          (int)all[i]->key_n, all[i]->key, all[i]->running);
        }
    }
    free(all);
}
