/* bench/scale_bench.c: what reads, writes and watches cost a running server that keeps many pods.
 *
 *     scale_bench DATA PORT PID create|update|status|get FIRST COUNT
 *     scale_bench DATA PORT PID list|table|label RUNS 0
 *     scale_bench DATA PORT PID watch WATCHERS EVENTS
 *
 * Pods of 3 KB over 64 connections: number n is bench-N in namespace bench-(N / 5000). Another
 * scheduler than ours is to bind them, so that nothing but the load writes. update: a PUT with
 * another annotation; status: a merge patch of a condition; list, table: the namespace bench-0,
 * whole; label: those of all namespaces with a label that none has; watch: all watch bench-0, and
 * an event is a status patch in it. Lines "name value": processor time is that of all threads of
 * PID in microseconds, each (of a list: in milliseconds), other times are milliseconds.
 * bench/scale.sh makes the table's rows of them. */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "bench/kit/bench_kit.h"

enum { LANES = 64, PODS_A_NAMESPACE = 5000, SETTINGS = 2, PATIENCE_MS = 120 * 1000 };
#define TABLE "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

enum what { CREATE, UPDATE, STATUS, GET, LIST, TABLE_LIST, LABEL, WATCH };
static const char *const names[] = {"create", "update", "status", "get",
                                    "list",   "table",  "label",  "watch"};

struct lane {
    struct https_conn *conn;
    int64_t start_ns;
};

static struct {
    const char *pid;
    enum what what;
    size_t first, next, total, done, ready, ready_all;
    int64_t *ns;
    struct lane lanes[LANES];
    struct strbuf text, path;
    size_t bytes;
    size_t watchers, lines_left;
} g; /* a bench is one program */
static struct bench b;

/* ---- requests ---- */

static void put_pod(struct strbuf *text, size_t i, const char *note)
{
    strbuf_printf(text,
                  "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"bench-%zu\","
                  "\"labels\":{\"app\":\"bench\",\"part\":\"%zu\"},\"annotations\":{\"note\":\"%s\""
                  "}},\"spec\":{\"schedulerName\":\"nobody\",\"containers\":[{\"name\":\"main\","
                  "\"image\":\"registry.example/bench/main:1.0\",\"args\":[\"serve\",\"--port=80\"]"
                  ",\"ports\":[{\"name\":\"http\",\"containerPort\":80}],\"resources\":{\"requests"
                  "\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"},\"limits\":{\"memory\":\"128Mi\"}},"
                  "\"volumeMounts\":[{\"name\":\"config\",\"mountPath\":\"/etc/main\"}],"
                  "\"readinessProbe\":{\"httpGet\":{\"path\":\"/ready\",\"port\":\"http\"}},"
                  "\"env\":[",
                  i, i % 10, note);
    for (int e = 0; e < SETTINGS; e++) {
        strbuf_printf(text, "%s{\"name\":\"SETTING_%d\",\"value\":\"value-%d-of-pod-%zu\"}",
                      e ? "," : "", e, e, i);
    }
    /* Those that admission would add: an update may not lack them. The volume for a token would get
     * a name that an update cannot know, so these pods want none; for one that does, add 450 bytes
     * and 2 us to its creation. */
    strbuf_puts(text, "]}],\"tolerations\":["
                      "{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\","
                      "\"effect\":\"NoExecute\",\"tolerationSeconds\":300},"
                      "{\"key\":\"node.kubernetes.io/unreachable\",\"operator\":\"Exists\","
                      "\"effect\":\"NoExecute\",\"tolerationSeconds\":300}],"
                      "\"serviceAccountName\":\"default\",\"serviceAccount\":\"default\","
                      "\"automountServiceAccountToken\":false,"
                      "\"volumes\":[{\"name\":\"config\",\"configMap\":{\"name\":\"main\"}}]}}");
}

static void lane_next(struct lane *x)
{
    if (g.next == g.total) {
        return;
    }
    size_t i = g.first + g.next++;
    const char *method = "GET", *type = NULL;
    strbuf_clear(&g.text);
    strbuf_clear(&g.path);
    strbuf_printf(&g.path, "/api/v1/namespaces/bench-%zu/pods", i / PODS_A_NAMESPACE);
    switch (g.what) {
    case CREATE:
        method = "POST";
        type = "application/json";
        put_pod(&g.text, i, "made");
        break;
    case UPDATE:
        method = "PUT";
        type = "application/json";
        strbuf_printf(&g.path, "/bench-%zu", i);
        put_pod(&g.text, i, "changed");
        break;
    case WATCH:
    case STATUS:
        method = "PATCH";
        type = "application/strategic-merge-patch+json";
        strbuf_printf(&g.path, "/bench-%zu/status", i);
        strbuf_printf(&g.text,
                      "{\"status\":{\"conditions\":[{\"type\":\"Measured\",\"status\":\"True\","
                      "\"lastTransitionTime\":\"2026-01-01T00:00:00Z\",\"message\":\"%" PRIx64
                      "\"}]}}",
                      env_random_u64(b.env));
        break;
    case GET:
        strbuf_printf(&g.path, "/bench-%zu", i);
        break;
    case LIST:
    case TABLE_LIST:
        strbuf_clear(&g.path);
        strbuf_puts(&g.path, "/api/v1/namespaces/bench-0/pods");
        break;
    case LABEL:
        strbuf_clear(&g.path);
        strbuf_puts(&g.path, "/api/v1/pods?labelSelector=app%3Dbench,part%3Dnone");
        break;
    }
    strbuf_putc(&g.path, '\0');
    x->start_ns = env_mono_ns(b.env);
    https_conn_send(x->conn, method, g.path.p, type, strbuf_span(&g.text));
}

static void on_ready(void *data)
{
    (void)data;
    if (++g.ready == g.ready_all) {
        bench_stop(&b);
    }
}

static void on_reply(void *data, int status, struct span body)
{
    struct lane *x = data;
    if (status != (g.what == CREATE ? 201 : 200)) {
        bench_die(names[g.what], body);
    }
    g.bytes = body.n;
    g.ns[g.done++] = env_mono_ns(b.env) - x->start_ns;
    if (g.done < g.total) {
        lane_next(x);
    } else if (g.lines_left == 0) {
        bench_stop(&b);
    }
}

static const struct https_handler lane_handler = {
    .on_ready = on_ready, .on_reply = on_reply, .on_fail = bench_on_fail};

static void connect_lanes(size_t n)
{
    g.ready = 0;
    g.ready_all = n;
    for (size_t i = 0; i < n; i++) {
        g.lanes[i].conn = https_conn_new(&b.kit, &lane_handler, &g.lanes[i]);
    }
    bench_run(&b);
}

static void run_lanes(size_t n)
{
    g.next = g.done = 0;
    for (size_t i = 0; i < n; i++) {
        lane_next(&g.lanes[i]);
    }
    bench_run(&b);
}

/* ---- the figures ---- */

static void namespaces(void)
{
    for (size_t n = g.first / PODS_A_NAMESPACE; n <= (g.first + g.total - 1) / PODS_A_NAMESPACE;
         n++) {
        if (n * PODS_A_NAMESPACE < g.first) {
            continue; /* there already */
        }
        (void)bench_call(&b, 201, "POST", "/api/v1/namespaces", NULL,
                         arena_printf(b.a, "{\"metadata\":{\"name\":\"bench-%zu\"}}", n));
    }
}

static void load(void)
{
    connect_lanes(LANES);
    if (g.what == CREATE) {
        namespaces();
    }
    g.ns = mem_new_array(g.total, sizeof *g.ns);
    int64_t start_ns = env_mono_ns(b.env);
    double cpu_us = bench_process_us(&b, g.pid);
    run_lanes(LANES);
    double s = (double)(env_mono_ns(b.env) - start_ns) / 1e9, n = (double)g.total;
    cpu_us = bench_process_us(&b, g.pid) - cpu_us;
    bench_figure(n / s, "%s_per_s", names[g.what]);
    bench_figure(cpu_us / n, "%s_cpu_us", names[g.what]);
    bench_figure(bench_quantile_ms(g.ns, g.total, 0.5), "%s_p50_ms", names[g.what]);
    bench_figure(bench_quantile_ms(g.ns, g.total, 0.99), "%s_p99_ms", names[g.what]);
    bench_figure((double)g.bytes, "%s_bytes", names[g.what]);
}

static void lists(void)
{
    connect_lanes(1);
    if (g.what == TABLE_LIST) {
        https_conn_accept(g.lanes[0].conn, TABLE);
    }
    g.ns = mem_new_array(g.total, sizeof *g.ns);
    double cpu_us = bench_process_us(&b, g.pid);
    run_lanes(1);
    cpu_us = bench_process_us(&b, g.pid) - cpu_us;
    bench_figure(bench_quantile_ms(g.ns, g.total, 0.5), "%s_ms", names[g.what]);
    bench_figure(cpu_us / 1e3 / (double)g.total, "%s_cpu_ms", names[g.what]);
    bench_figure((double)g.bytes, "%s_bytes", names[g.what]);
}

/* ---- watches ---- */

static void on_watch_ready(void *data)
{
    struct https_conn **c = data;
    https_conn_send(*c, "GET",
                    "/api/v1/namespaces/bench-0/pods?watch=true&resourceVersion=0"
                    "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
                    "&allowWatchBookmarks=true",
                    NULL, SPAN_NULL);
    on_ready(NULL);
}

static void on_line(void *data, struct span line)
{
    (void)data;
    assert(g.lines_left > 0);
    g.bytes = line.n;
    if (--g.lines_left == 0 && g.done == g.total) {
        bench_stop(&b);
    }
}

static const struct https_handler watch_handler = {on_watch_ready, bench_on_watch_end, on_line,
                                                   bench_on_fail};

static void watches(void)
{
    struct https_conn **c = mem_new_array(g.watchers, sizeof(struct https_conn *));
    for (size_t i = 0; i < g.watchers; i++) {
        g.ready = 0;
        g.ready_all = 1;
        c[i] = https_conn_new(&b.kit, &watch_handler, &c[i]);
        bench_run(&b);
    }
    connect_lanes(LANES);
    bench_sleep(&b, 500);
    /* What the patches cost with nobody watching them is not the watchers'. */
    g.ns = mem_new_array(g.total, sizeof *g.ns);
    double cpu_us = bench_process_us(&b, g.pid);
    g.first = PODS_A_NAMESPACE;
    run_lanes(LANES);
    double write_us = bench_process_us(&b, g.pid) - cpu_us;
    g.first = 0;
    g.lines_left = g.watchers * g.total;
    int64_t start_ns = env_mono_ns(b.env);
    cpu_us = bench_process_us(&b, g.pid);
    run_lanes(LANES);
    double s = (double)(env_mono_ns(b.env) - start_ns) / 1e9;
    double deliveries = (double)g.total * (double)g.watchers;
    cpu_us = bench_process_us(&b, g.pid) - cpu_us;
    bench_figure((cpu_us - write_us) / deliveries, "watch_cpu_us");
    bench_figure(write_us / (double)g.total, "watch_write_cpu_us");
    bench_figure(deliveries / s, "watch_per_s");
    bench_figure((double)g.bytes, "watch_bytes");
}

int main(int argc, char **argv)
{
    size_t what = 0;
    while (argc == 7 && what <= WATCH && strcmp(argv[4], names[what]) != 0) {
        what++;
    }
    if (argc != 7 || what > WATCH) {
        bench_die("usage", SPAN("scale_bench DATA PORT PID create|update|status|get FIRST COUNT, "
                                "list|table|label RUNS 0, watch WATCHERS EVENTS"));
    }
    bench_init(&b, argv[1], bench_port(argv[2]), PATIENCE_MS);
    g.pid = argv[3];
    g.what = (enum what)what;
    size_t first = bench_number(argv[5]), second = bench_number(argv[6]);
    if (g.what == WATCH) {
        g.watchers = first;
        g.total = second;
        watches();
    } else if (g.what >= LIST) {
        g.total = first;
        lists();
    } else {
        g.first = first;
        g.total = second;
        load();
    }
    return 0;
}
