/* bench/scale_bench.c: what reads, writes and watches cost a running server that keeps many pods.
 *
 *     scale_bench DATA PORT PID create|update|status|get FIRST COUNT
 *     scale_bench DATA PORT PID list|table RUNS 0
 *     scale_bench DATA PORT PID watch WATCHERS EVENTS
 *
 * Pods of 3 KB over 64 connections: number n is bench-N in namespace bench-(N / 5000). Another
 * scheduler than ours is to bind them, so that nothing but the load writes. update: a PUT with
 * another annotation; status: a merge patch of a condition; list, table: the namespace bench-0,
 * whole; watch: all watch bench-0, and an event is a status patch in it. Lines "name value":
 * processor time is that of all threads of PID in microseconds, each (of a list: in milliseconds),
 * other times are milliseconds. bench/scale.sh makes the table's rows of them. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "env/env_uv.h"
#include "os/os_fs.h"
#include "test/kit/https_kit.h"

enum { LANES = 64, PODS_A_NAMESPACE = 5000, SETTINGS = 2, PATIENCE_MS = 120 * 1000 };
#define TABLE "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

enum what { CREATE, UPDATE, STATUS, GET, LIST, TABLE_LIST, WATCH };
static const char *const names[] = {"create", "update", "status", "get", "list", "table", "watch"};

struct lane {
    struct https_conn *conn;
    int64_t start_ns;
};

static struct {
    struct env *env;
    struct arena *a;
    struct https_kit kit;
    const char *pid;
    struct env_timer patience;
    enum what what;
    size_t first, next, total, done, ready, ready_all;
    int64_t *ns;
    struct lane lanes[LANES];
    struct strbuf text, path;
    size_t bytes;
    size_t watchers, lines_left;
} g; /* a bench is one program */

static _Noreturn void die(const char *what, struct span why)
{
    fprintf(stderr, "scale_bench: %s: %.*s\n", what, SPAN_ARG(why));
    exit(1);
}

static void figure(const char *what, const char *name, double value)
{
    printf("%s_%s %.3f\n", what, name, value);
    fflush(stdout);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* In milliseconds, of sorted times. */
static double quantile(const int64_t *ns, size_t n, double q)
{
    size_t at = (size_t)(q * (double)n);
    return (double)ns[at < n ? at : n - 1] / 1e6;
}

static void out_of_patience(struct env_timer *t)
{
    (void)t;
    die("no answer in time", SPAN("given up"));
}

static void run_loop(void)
{
    env_timer_start(g.env, &g.patience, PATIENCE_MS, out_of_patience);
    env_uv_run(g.env);
    env_timer_stop(g.env, &g.patience);
}

/* Processor time of all threads of the server. */
static double server_us(void)
{
    struct span *tasks, text;
    size_t n;
    uint64_t ns, sum = 0;
    const char *dir = arena_printf(g.a, "/proc/%s/task", g.pid).p;
    if (os_fs_list(g.a, dir, &tasks, &n) < 0) {
        die(dir, SPAN("cannot be read"));
    }
    for (size_t i = 0; i < n; i++) {
        const char *file = arena_printf(g.a, "%s/%.*s/schedstat", dir, SPAN_ARG(tasks[i])).p;
        if (os_fs_read(g.a, AT_FDCWD, file, 4096, &text) == 0 &&
            span_to_u64(span_cut(&text, ' '), &ns)) {
            sum += ns;
        }
    }
    return (double)sum / 1e3;
}

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
    /* Those that admission would add: an update may not lack them. */
    strbuf_puts(text, "]}],\"tolerations\":["
                      "{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\","
                      "\"effect\":\"NoExecute\",\"tolerationSeconds\":300},"
                      "{\"key\":\"node.kubernetes.io/unreachable\",\"operator\":\"Exists\","
                      "\"effect\":\"NoExecute\",\"tolerationSeconds\":300}],"
                      "\"serviceAccountName\":\"default\",\"serviceAccount\":\"default\","
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
                      env_random_u64(g.env));
        break;
    case GET:
        strbuf_printf(&g.path, "/bench-%zu", i);
        break;
    case LIST:
    case TABLE_LIST:
        strbuf_clear(&g.path);
        strbuf_puts(&g.path, "/api/v1/namespaces/bench-0/pods");
        break;
    }
    strbuf_putc(&g.path, '\0');
    x->start_ns = env_mono_ns(g.env);
    https_conn_send(x->conn, method, g.path.p, type, strbuf_span(&g.text));
}

static void on_ready(void *data)
{
    (void)data;
    if (++g.ready == g.ready_all) {
        env_uv_stop(g.env);
    }
}

static void on_reply(void *data, int status, struct span body)
{
    struct lane *x = data;
    if (status != (g.what == CREATE ? 201 : 200)) {
        die(names[g.what], body);
    }
    g.bytes = body.n;
    g.ns[g.done++] = env_mono_ns(g.env) - x->start_ns;
    if (g.done < g.total) {
        lane_next(x);
    } else if (g.lines_left == 0) {
        env_uv_stop(g.env);
    }
}

static void on_fail(void *data, int code)
{
    (void)data;
    die(names[g.what], code ? span_cstr(strerror(-code)) : SPAN("connection ended"));
}

static const struct https_handler lane_handler = {
    .on_ready = on_ready, .on_reply = on_reply, .on_fail = on_fail};

static void connect_lanes(size_t n)
{
    g.ready = 0;
    g.ready_all = n;
    for (size_t i = 0; i < n; i++) {
        g.lanes[i].conn = https_conn_new(&g.kit, &lane_handler, &g.lanes[i]);
    }
    run_loop();
}

static void run_lanes(size_t n)
{
    g.next = g.done = 0;
    for (size_t i = 0; i < n; i++) {
        lane_next(&g.lanes[i]);
    }
    run_loop();
}

/* ---- the figures ---- */

static void namespaces(void)
{
    struct lane *x = &g.lanes[0];
    int64_t one;
    g.ns = &one;
    for (size_t n = g.first / PODS_A_NAMESPACE; n <= (g.first + g.total - 1) / PODS_A_NAMESPACE;
         n++) {
        if (n * PODS_A_NAMESPACE < g.first) {
            continue; /* there already */
        }
        size_t total = g.total;
        g.total = 1;
        g.done = 0;
        struct span body = arena_printf(g.a,
                                        "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\","
                                        "\"metadata\":{\"name\":\"bench-%zu\"}}",
                                        n);
        https_conn_send(x->conn, "POST", "/api/v1/namespaces", "application/json", body);
        run_loop();
        g.total = total;
    }
}

static void load(void)
{
    connect_lanes(LANES);
    if (g.what == CREATE) {
        namespaces();
    }
    g.ns = mem_new_array(g.total, sizeof *g.ns);
    int64_t start_ns = env_mono_ns(g.env);
    double cpu_us = server_us();
    run_lanes(LANES);
    double s = (double)(env_mono_ns(g.env) - start_ns) / 1e9, n = (double)g.total;
    cpu_us = server_us() - cpu_us;
    qsort(g.ns, g.total, sizeof *g.ns, by_value);
    figure(names[g.what], "per_s", n / s);
    figure(names[g.what], "cpu_us", cpu_us / n);
    figure(names[g.what], "p50_ms", quantile(g.ns, g.total, 0.5));
    figure(names[g.what], "p99_ms", quantile(g.ns, g.total, 0.99));
    figure(names[g.what], "bytes", (double)g.bytes);
}

static void lists(void)
{
    connect_lanes(1);
    if (g.what == TABLE_LIST) {
        https_conn_accept(g.lanes[0].conn, TABLE);
    }
    g.ns = mem_new_array(g.total, sizeof *g.ns);
    double cpu_us = server_us();
    run_lanes(1);
    cpu_us = server_us() - cpu_us;
    qsort(g.ns, g.total, sizeof *g.ns, by_value);
    figure(names[g.what], "ms", quantile(g.ns, g.total, 0.5));
    figure(names[g.what], "cpu_ms", cpu_us / 1e3 / (double)g.total);
    figure(names[g.what], "bytes", (double)g.bytes);
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
        env_uv_stop(g.env);
    }
}

static void on_watch_end(void *data, int status, struct span body)
{
    (void)data;
    (void)status;
    die("the watch ended", body);
}

static const struct https_handler watch_handler = {on_watch_ready, on_watch_end, on_line, on_fail};

static void stop_loop(struct env_timer *t)
{
    (void)t;
    env_uv_stop(g.env);
}

static void watches(void)
{
    struct https_conn **c = mem_new_array(g.watchers, sizeof(struct https_conn *));
    for (size_t i = 0; i < g.watchers; i++) {
        g.ready = 0;
        g.ready_all = 1;
        c[i] = https_conn_new(&g.kit, &watch_handler, &c[i]);
        run_loop();
    }
    connect_lanes(LANES);
    struct env_timer pause = {0};
    env_timer_start(g.env, &pause, 500, stop_loop);
    run_loop();
    /* What the patches cost with nobody watching them is not the watchers'. */
    g.ns = mem_new_array(g.total, sizeof *g.ns);
    double cpu_us = server_us();
    g.first = PODS_A_NAMESPACE;
    run_lanes(LANES);
    double write_us = server_us() - cpu_us;
    g.first = 0;
    g.lines_left = g.watchers * g.total;
    int64_t start_ns = env_mono_ns(g.env);
    cpu_us = server_us();
    run_lanes(LANES);
    double s = (double)(env_mono_ns(g.env) - start_ns) / 1e9;
    double deliveries = (double)g.total * (double)g.watchers;
    cpu_us = server_us() - cpu_us;
    figure("watch", "cpu_us", (cpu_us - write_us) / deliveries);
    figure("watch", "write_cpu_us", write_us / (double)g.total);
    figure("watch", "per_s", deliveries / s);
    figure("watch", "bytes", (double)g.bytes);
}

static size_t number(const char *text)
{
    uint64_t n = 0;
    if (!span_to_u64(span_cstr(text), &n)) {
        die(text, SPAN("not a number"));
    }
    return (size_t)n;
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    size_t what = 0;
    while (argc == 7 && what <= WATCH && strcmp(argv[4], names[what]) != 0) {
        what++;
    }
    if (argc != 7 || what > WATCH) {
        die("usage", SPAN("scale_bench DATA PORT PID create|update|status|get FIRST COUNT, "
                          "list|table RUNS 0, watch WATCHERS EVENTS"));
    }
    g.env = env_uv_new();
    g.a = arena_new();
    g.pid = argv[3];
    g.what = (enum what)what;
    https_kit_init(&g.kit, g.env, g.a, argv[1], (uint16_t)number(argv[2]));
    size_t first = number(argv[5]), second = number(argv[6]);
    if (g.what == WATCH) {
        g.watchers = first;
        g.total = second;
        watches();
    } else if (g.what == LIST || g.what == TABLE_LIST) {
        g.total = first;
        lists();
    } else {
        g.first = first;
        g.total = second;
        load();
    }
    return 0;
}
