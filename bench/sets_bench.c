/* bench/sets_bench.c: StatefulSets of a running server with the fake runtime, from the first write
 * to the last pod Ready.
 *
 *     sets_bench DATA PORT PID SETS REPLICAS OrderedReady|Parallel
 *
 * Creates the sets over 16 connections and watches them. Lines "name value": pods_per_s and ready_s
 * from the first write; cpu_us a pod, of all threads of PID; rss_kb a pod, what the resident memory
 * grew by; edit_ms, from an edit of one set's template to its pods replaced and Ready, when it has
 * one replica: the middle one of several, and edit_cpu_us of each. bench/sets.sh makes the table's
 * rows of them. */
#include <fcntl.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "bench/kit/bench_kit.h"
#include "codec/json.h"
#include "os/os_fs.h"

#define SETS "/apis/apps/v1/namespaces/default/statefulsets"
enum { LANES = 16, EDITS = 9, PATIENCE_MS = 900 * 1000 };

struct lane {
    struct https_conn *conn;
    bool busy, lost; /* the server closes a connection that says nothing for long */
};

static struct {
    const char *pid, *policy;
    size_t sets, replicas, next, ready, opened, open_all;
    bool *is_ready;
    int64_t edits;
    struct lane lanes[LANES];
    struct https_conn *watch;
    struct strbuf text;
} g; /* a bench is one program */
static struct bench b;

/* Resident pages: the second number of statm. */
static double server_kb(void)
{
    struct span text;
    uint64_t pages = 0;
    if (os_fs_read(b.a, AT_FDCWD, arena_printf(b.a, "/proc/%s/statm", g.pid).p, 4096, &text) == 0) {
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
        bench_stop(&b);
    }
}

static void on_reply(void *data, int status, struct span body)
{
    ((struct lane *)data)->busy = false;
    if (status != (g.edits ? 200 : 201)) {
        bench_die("write", body);
    }
    lane_next(data);
}

static void on_fail(void *data, int code)
{
    struct lane *x = data;
    if (x->busy || !x->conn) {
        bench_on_fail(data, code);
    }
    x->lost = true;
}

static void lane_open(struct lane *x)
{
    static const struct https_handler lane = {
        .on_ready = on_open, .on_reply = on_reply, .on_fail = on_fail};
    x->conn = https_conn_new(&b.kit, &lane, x);
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
        is_whole(set) && !g.is_ready[i] && generation > g.edits) {
        g.is_ready[i] = true;
        if (++g.ready == g.sets) {
            bench_stop(&b);
        }
    }
    yyjson_doc_free(doc);
}

static int64_t edit_one(void)
{
    g.edits++;
    g.is_ready[0] = false;
    g.ready--;
    struct lane *x = &g.lanes[0];
    if (x->lost) {
        https_conn_free(x->conn);
        g.open_all++;
        lane_open(x);
        bench_run(&b);
    }
    x->busy = true;
    int64_t start_ns = env_mono_ns(b.env);
    strbuf_clear(&g.text);
    strbuf_printf(&g.text,
                  "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"edit\":\"%lld\"}}}}}",
                  (long long)g.edits);
    https_conn_send(x->conn, "PATCH", SETS "/bench-0", "application/merge-patch+json",
                    strbuf_span(&g.text));
    bench_run(&b);
    return env_mono_ns(b.env) - start_ns;
}

static void edit_some(void)
{
    int64_t took_ns[EDITS];
    double cpu_us = bench_process_us(&b, g.pid);
    for (size_t i = 0; i < EDITS; i++) {
        took_ns[i] = edit_one();
    }
    bench_figure(bench_quantile_ms(took_ns, EDITS, 0.5), "edit_ms");
    bench_figure((bench_process_us(&b, g.pid) - cpu_us) / EDITS, "edit_cpu_us");
}

static void run(void)
{
    static const struct https_handler watch = {on_watch_open, bench_on_watch_end, on_line,
                                               bench_on_fail};
    size_t lanes = g.sets < LANES ? g.sets : LANES;
    g.open_all = lanes + 1;
    g.watch = https_conn_new(&b.kit, &watch, NULL);
    for (size_t i = 0; i < lanes; i++) {
        lane_open(&g.lanes[i]);
    }
    bench_run(&b);
    g.is_ready = mem_new_array(g.sets, sizeof *g.is_ready);
    double cpu_us = bench_process_us(&b, g.pid), kb = server_kb(),
           pods = (double)(g.sets * g.replicas);
    int64_t start_ns = env_mono_ns(b.env);
    for (size_t i = 0; i < lanes; i++) {
        lane_next(&g.lanes[i]);
    }
    bench_run(&b);
    double s = (double)(env_mono_ns(b.env) - start_ns) / 1e9;
    bench_figure(s, "ready_s");
    bench_figure(pods / s, "pods_per_s");
    bench_figure((bench_process_us(&b, g.pid) - cpu_us) / pods, "cpu_us");
    bench_figure((server_kb() - kb) / pods, "rss_kb");
    if (g.replicas == 1) {
        edit_some();
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        bench_die("usage", SPAN("sets_bench DATA PORT PID SETS REPLICAS OrderedReady|Parallel"));
    }
    bench_init(&b, argv[1], bench_port(argv[2]), PATIENCE_MS);
    g.pid = argv[3];
    g.sets = bench_number(argv[4]);
    g.replicas = bench_number(argv[5]);
    g.policy = argv[6];
    if (g.sets == 0 || g.replicas == 0) {
        bench_die("SETS and REPLICAS", SPAN("are to be 1 at least"));
    }
    run();
    return 0;
}
