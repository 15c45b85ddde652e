/* bench/sets_bench.c: StatefulSets of a running server with the fake runtime, from the first write
 * to the last pod Ready.
 *
 *     sets_bench DATA PORT PID SETS REPLICAS OrderedReady|Parallel
 *
 * Creates the sets over 16 connections and watches them. Lines "name value": pods_per_s and ready_s
 * from the first write; cpu_us a pod, of all threads of PID; rss_kb a pod, what the resident memory
 * grew by; edit_ms, from an edit of one set's template to its pods replaced and Ready, when it has
 * one replica. bench/sets.sh makes the table's rows of them. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "env/env_uv.h"
#include "os/os_fs.h"
#include "test/kit/https_kit.h"

#define SETS "/apis/apps/v1/namespaces/default/statefulsets"
enum { LANES = 16, PATIENCE_MS = 900 * 1000 };

struct lane {
    struct https_conn *conn;
    bool busy, lost; /* the server closes a connection that says nothing for long */
};

static struct {
    struct env *env;
    struct arena *a;
    struct https_kit kit;
    struct env_timer patience;
    const char *pid, *policy;
    size_t sets, replicas, next, ready, opened, open_all;
    bool *is_ready;
    bool editing;
    struct lane lanes[LANES];
    struct https_conn *watch;
    struct strbuf text;
} g; /* a bench is one program */

static _Noreturn void die(const char *what, struct span why)
{
    fprintf(stderr, "sets_bench: %s: %.*s\n", what, SPAN_ARG(why));
    exit(1);
}

static void out_of_patience(struct env_timer *t)
{
    (void)t;
    die("not all Ready in time", SPAN("given up"));
}

static void run_loop(void)
{
    env_timer_start(g.env, &g.patience, PATIENCE_MS, out_of_patience);
    env_uv_run(g.env);
    env_timer_stop(g.env, &g.patience);
}

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

/* Resident pages: the second number of statm. */
static double server_kb(void)
{
    struct span text;
    uint64_t pages = 0;
    if (os_fs_read(g.a, AT_FDCWD, arena_printf(g.a, "/proc/%s/statm", g.pid).p, 4096, &text) == 0) {
        (void)span_cut(&text, ' ');
        (void)span_to_u64(span_cut(&text, ' '), &pages);
    }
    return (double)pages * 4;
}

/* ---- requests ---- */

static void lane_next(struct lane *x)
{
    if (g.next == g.sets) {
        return;
    }
    size_t i = g.next++;
    x->busy = true;
    strbuf_clear(&g.text);
    strbuf_printf(&g.text,
                  "{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"metadata\":{\"name\":"
                  "\"bench-%zu\"},\"spec\":{\"replicas\":%zu,\"serviceName\":\"bench\","
                  "\"podManagementPolicy\":\"%s\",\"selector\":{\"matchLabels\":{\"app\":\"%zu\"}},"
                  "\"template\":{\"metadata\":{\"labels\":{\"app\":\"%zu\"}},\"spec\":{"
                  "\"containers\":[{\"name\":\"main\",\"image\":\"bench\"}]}}}}",
                  i, g.replicas, g.policy, i, i);
    https_conn_send(x->conn, "POST", SETS, "application/json", strbuf_span(&g.text));
}

static void on_open(void *data)
{
    (void)data;
    if (++g.opened == g.open_all) {
        env_uv_stop(g.env);
    }
}

static void on_reply(void *data, int status, struct span body)
{
    ((struct lane *)data)->busy = false;
    if (status != (g.editing ? 200 : 201)) {
        die("write", body);
    }
    lane_next(data);
}

static void on_fail(void *data, int code)
{
    struct lane *x = data;
    if (!x || x->busy || !x->conn) {
        die("connection", code ? span_cstr(strerror(-code)) : SPAN("ended"));
    }
    x->lost = true;
}

static void lane_open(struct lane *x)
{
    static const struct https_handler lane = {
        .on_ready = on_open, .on_reply = on_reply, .on_fail = on_fail};
    x->conn = https_conn_new(&g.kit, &lane, x);
    x->lost = false;
}

/* ---- the watch ---- */

static void on_watch_open(void *data)
{
    (void)data;
    https_conn_send(g.watch, "GET", SETS "?watch=true", NULL, SPAN_NULL);
    on_open(NULL);
}

static bool is_whole(const yyjson_val *set)
{
    const yyjson_val *st = json_get(set, "status");
    int64_t n = (int64_t)g.replicas;
    return json_get_int(st, "readyReplicas", 0) == n &&
           json_get_int(st, "updatedReplicas", 0) == n &&
           json_get_int(st, "observedGeneration", 0) ==
               json_int(json_path(set, "metadata", "generation", NULL), 1) &&
           span_eq(json_get_str(st, "currentRevision"), json_get_str(st, "updateRevision"));
}

static void on_line(void *data, struct span line)
{
    (void)data;
    yyjson_doc *doc = json_parse_heap(line);
    const yyjson_val *set = json_get(yyjson_doc_get_root(doc), "object");
    struct span name = json_str(json_path(set, "metadata", "name", NULL));
    uint64_t i = 0;
    int64_t generation = json_int(json_path(set, "metadata", "generation", NULL), 1);
    if (span_starts(name, SPAN("bench-")) && span_to_u64(span_from(name, 6), &i) && i < g.sets &&
        is_whole(set) && !g.is_ready[i] && (!g.editing || generation > 1)) {
        g.is_ready[i] = true;
        if (++g.ready == g.sets) {
            env_uv_stop(g.env);
        }
    }
    yyjson_doc_free(doc);
}

static void on_watch_end(void *data, int status, struct span body)
{
    (void)data;
    (void)status;
    die("the watch ended", body);
}

static void figure(const char *name, double value)
{
    printf("%s %.3f\n", name, value);
    fflush(stdout);
}

static void edit_one(void)
{
    g.editing = true;
    g.is_ready[0] = false;
    g.ready--;
    struct lane *x = &g.lanes[0];
    if (x->lost) {
        https_conn_free(x->conn);
        g.open_all++;
        lane_open(x);
        run_loop();
    }
    x->busy = true;
    int64_t start_ns = env_mono_ns(g.env);
    https_conn_send(
        x->conn, "PATCH", SETS "/bench-0", "application/merge-patch+json",
        SPAN("{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"a\":\"b\"}}}}}"));
    run_loop();
    figure("edit_ms", (double)(env_mono_ns(g.env) - start_ns) / 1e6);
}

static void run(void)
{
    static const struct https_handler watch = {on_watch_open, on_watch_end, on_line, on_fail};
    size_t lanes = g.sets < LANES ? g.sets : LANES;
    g.open_all = lanes + 1;
    g.watch = https_conn_new(&g.kit, &watch, NULL);
    for (size_t i = 0; i < lanes; i++) {
        lane_open(&g.lanes[i]);
    }
    run_loop();
    g.is_ready = mem_new_array(g.sets, sizeof *g.is_ready);
    double cpu_us = server_us(), kb = server_kb(), pods = (double)(g.sets * g.replicas);
    int64_t start_ns = env_mono_ns(g.env);
    for (size_t i = 0; i < lanes; i++) {
        lane_next(&g.lanes[i]);
    }
    run_loop();
    double s = (double)(env_mono_ns(g.env) - start_ns) / 1e9;
    figure("ready_s", s);
    figure("pods_per_s", pods / s);
    figure("cpu_us", (server_us() - cpu_us) / pods);
    figure("rss_kb", (server_kb() - kb) / pods);
    if (g.replicas == 1) {
        edit_one();
    }
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    uint64_t port = 0, sets = 0, replicas = 0;
    if (argc != 7 || !span_to_u64(span_cstr(argv[2]), &port) ||
        !span_to_u64(span_cstr(argv[4]), &sets) || !span_to_u64(span_cstr(argv[5]), &replicas) ||
        sets == 0 || replicas == 0 || port == 0 || port > UINT16_MAX) {
        die("usage", SPAN("sets_bench DATA PORT PID SETS REPLICAS OrderedReady|Parallel"));
    }
    g.env = env_uv_new();
    g.a = arena_new();
    g.pid = argv[3];
    g.sets = sets;
    g.replicas = replicas;
    g.policy = argv[6];
    https_kit_init(&g.kit, g.env, g.a, argv[1], (uint16_t)port);
    run();
    return 0;
}
