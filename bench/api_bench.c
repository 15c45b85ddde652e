/* bench/api_bench.c: what a user of a running server waits for, measured from outside over its API.
 *
 *     api_bench DATA PORT creates CONNECTIONS TOTAL   acknowledged creates of 1 KB ConfigMaps
 *     api_bench DATA PORT gets CONNECTIONS TOTAL      reads of a 3 KB pod
 *     api_bench DATA PORT http2 CONNECTIONS STREAMS TOTAL   the same reads over HTTP/2
 *     api_bench DATA PORT pods COUNT                  one pod: create to Running, delete to gone
 *     api_bench DATA PORT set FILE REPLICAS RUNS [noclaim]    manifest sent to all replicas Ready
 *     api_bench DATA PORT start OUTPUT PROGRAM ARGUMENT...    program start to API and node Ready
 *
 * Each figure is a line "name value"; latencies are in milliseconds. bench/run makes the table. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "bench/kit/bench_kit.h"
#include "codec/json.h"
#include "codec/yaml.h"
#include "os/os_fs.h"
#include "test/kit/http2_kit.h"

#define PODS "/api/v1/namespaces/default/pods"
enum { PATIENCE_MS = 60 * 1000, NAMES_MAX = 64, SETTLE_MS = 50 };
/* Until a server that has just been started minds SIGTERM: before, its shell as first process
 * would not, and the pod would use up its grace period. */
enum { SERVERS_UP_MS = 500 };

struct seen {
    char name[64];
    bool running, ready, gone;
};

static struct {
    /* The watch of pods. */
    struct https_conn *watch;
    struct seen seen[NAMES_MAX];
    size_t seen_n;
    bool (*until)(size_t n);
    size_t until_n;
} g; /* a bench is one program */
static struct bench b;

/* ---- the watch of pods ---- */

static struct seen *seen(struct span name)
{
    for (size_t i = 0; i < g.seen_n; i++) {
        if (span_eq_cstr(name, g.seen[i].name)) {
            return &g.seen[i];
        }
    }
    assert(g.seen_n < NAMES_MAX && name.n < sizeof g.seen[0].name);
    struct seen *s = &g.seen[g.seen_n++];
    *s = (struct seen){0};
    memcpy(s->name, name.p, name.n);
    return s;
}

/* The condition Ready of a pod or node. */
static bool has_ready(const yyjson_val *object)
{
    JSON_EACH(it, json_path(object, "status", "conditions", NULL))
    {
        if (span_eq(json_get_str(it.val, "type"), SPAN("Ready"))) {
            return span_eq(json_get_str(it.val, "status"), SPAN("True"));
        }
    }
    return false;
}

static void on_line(void *data, struct span line)
{
    (void)data;
    yyjson_doc *doc = json_parse_heap(line);
    if (!doc) {
        bench_die("watch", line);
    }
    const yyjson_val *root = yyjson_doc_get_root(doc), *object = json_get(root, "object");
    struct seen *s = seen(json_str(json_path(object, "metadata", "name", NULL)));
    s->gone = span_eq(json_get_str(root, "type"), SPAN("DELETED"));
    s->running = span_eq(json_str(json_path(object, "status", "phase", NULL)), SPAN("Running"));
    s->ready = has_ready(object);
    yyjson_doc_free(doc);
    if (g.until && g.until(g.until_n)) {
        bench_stop(&b);
    }
}

static void on_watch_ready(void *data)
{
    (void)data;
    https_conn_send(g.watch, "GET", PODS "?watch=true", NULL, SPAN_NULL);
    bench_stop(&b);
}

static const struct https_handler watch_handler = {on_watch_ready, bench_on_watch_end, on_line,
                                                   bench_on_fail};

static void watch_pods(void)
{
    g.watch = https_conn_new(&b.kit, &watch_handler, NULL);
    bench_run(&b);
    bench_sleep(&b, SETTLE_MS);
}

static void wait_for(bool (*until)(size_t n), size_t n)
{
    g.until = until;
    g.until_n = n;
    if (!until(n)) {
        bench_run(&b);
    }
    g.until = NULL;
}

static bool all_running(size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < g.seen_n; i++) {
        count += g.seen[i].running && !g.seen[i].gone;
    }
    return count == n;
}

static bool all_ready(size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < g.seen_n; i++) {
        count += g.seen[i].ready && !g.seen[i].gone;
    }
    return count == n;
}

static bool all_gone(size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < g.seen_n; i++) {
        count += g.seen[i].gone;
    }
    return count == n;
}

/* ---- load: many connections ---- */

struct load {
    struct https_conn *conn;
    struct http2_conn *http2; /* or this one */
    int64_t start_ns;
};

static struct {
    bool creates;
    size_t next, total, done, ready, connections;
    int64_t *ns;
    struct load *loads;
    struct strbuf text;
    uint64_t tag;
} l;

static void load_next(struct load *x)
{
    if (l.next == l.total) {
        return;
    }
    size_t i = l.next++;
    x->start_ns = env_mono_ns(b.env);
    if (!l.creates) {
        https_conn_send(x->conn, "GET", PODS "/bench-read", NULL, SPAN_NULL);
        return;
    }
    strbuf_clear(&l.text);
    strbuf_printf(&l.text,
                  "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":"
                  "\"bench-%" PRIx64 "-%zu\"},\"data\":{\"text\":\"",
                  l.tag, i);
    while (l.text.n < 1021) {
        strbuf_putc(&l.text, 'x');
    }
    strbuf_puts(&l.text, "\"}}");
    https_conn_send(x->conn, "POST", "/api/v1/namespaces/default/configmaps", "application/json",
                    strbuf_span(&l.text));
}

static void on_load_ready(void *data)
{
    (void)data;
    if (++l.ready == l.connections) {
        bench_stop(&b);
    }
}

static void on_load_reply(void *data, int status, struct span body)
{
    struct load *x = data;
    if (status != (l.creates ? 201 : 200)) {
        bench_die("load", body);
    }
    l.ns[l.done++] = env_mono_ns(b.env) - x->start_ns;
    if (l.done == l.total) {
        bench_stop(&b);
    } else {
        load_next(x);
    }
}

static const struct https_handler load_handler = {
    .on_ready = on_load_ready, .on_reply = on_load_reply, .on_fail = bench_on_fail};

static void make_read_pod(void)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_puts(&text, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":"
                       "\"bench-read\",\"annotations\":{\"text\":\"");
    while (text.n < 2000) {
        strbuf_putc(&text, 'x');
    }
    strbuf_puts(&text, "\"}},\"spec\":{\"nodeSelector\":{\"no\":\"where\"},\"containers\":[{"
                       "\"name\":\"main\",\"image\":\"busybox\"}]}}");
    (void)bench_try_call(&b, "POST", PODS, NULL, strbuf_span(&text));
    strbuf_done(&text);
    bench_figure((double)bench_call(&b, 200, "GET", PODS "/bench-read", NULL, SPAN_NULL).n,
                 "get_bytes");
}

static void load(bool creates, size_t connections, size_t total)
{
    l.creates = creates;
    l.connections = connections;
    l.total = total;
    l.tag = env_random_u64(b.env);
    l.ns = mem_new_array(total, sizeof *l.ns);
    l.loads = mem_new_array(connections, sizeof *l.loads);
    if (!creates) {
        make_read_pod();
    }
    for (size_t i = 0; i < connections; i++) {
        l.loads[i].conn = https_conn_new(&b.kit, &load_handler, &l.loads[i]);
    }
    bench_run(&b);
    int64_t start_ns = env_mono_ns(b.env);
    for (size_t i = 0; i < connections; i++) {
        load_next(&l.loads[i]);
    }
    bench_run(&b);
    double s = (double)(env_mono_ns(b.env) - start_ns) / 1e9;
    const char *name = creates ? "creates" : "gets";
    bench_figure((double)total / s, "%s_per_s", name);
    bench_figure(bench_quantile_ms(l.ns, total, 0.5), "%s_p50_ms", name);
    bench_figure(bench_quantile_ms(l.ns, total, 0.99), "%s_p99_ms", name);
    if (!creates) {
        (void)bench_call(&b, 200, "DELETE", PODS "/bench-read?gracePeriodSeconds=0", NULL,
                         SPAN_NULL);
    }
}

/* ---- load over HTTP/2: few connections, many requests at a time on each ---- */

static void http2_next(struct load *x)
{
    if (l.next < l.total) {
        int64_t *start_ns = &l.ns[l.next++];
        *start_ns = env_mono_ns(b.env);
        (void)http2_conn_send(x->http2, "GET", PODS "/bench-read", "", NULL, SPAN_NULL, start_ns);
    }
}

static void on_http2_reply(void *data, void *tag, int status, struct span body, uint32_t error)
{
    int64_t *ns = tag;
    if (status != 200 || error) {
        bench_die("load", body);
    }
    *ns = env_mono_ns(b.env) - *ns;
    if (++l.done == l.total) {
        bench_stop(&b);
    } else {
        http2_next(data);
    }
}

static const struct http2_handler http2_load_handler = {
    .on_ready = on_load_ready, .on_reply = on_http2_reply, .on_fail = bench_on_fail};

static void load_http2(size_t connections, size_t streams, size_t total)
{
    l.connections = connections;
    l.total = total;
    l.ns = mem_new_array(total, sizeof *l.ns);
    l.loads = mem_new_array(connections, sizeof *l.loads);
    make_read_pod();
    tls_client_offer_http2(b.kit.tls);
    for (size_t i = 0; i < connections; i++) {
        l.loads[i].http2 = http2_conn_new(&b.kit, &http2_load_handler, &l.loads[i]);
    }
    bench_run(&b);
    int64_t start_ns = env_mono_ns(b.env);
    for (size_t i = 0; i < connections * streams; i++) {
        http2_next(&l.loads[i % connections]);
    }
    bench_run(&b);
    double s = (double)(env_mono_ns(b.env) - start_ns) / 1e9;
    bench_figure((double)total / s, "http2_gets_per_s");
    bench_figure(bench_quantile_ms(l.ns, total, 0.5), "http2_gets_p50_ms");
    bench_figure(bench_quantile_ms(l.ns, total, 0.99), "http2_gets_p99_ms");
}

/* ---- pods ---- */

static void pods(size_t count)
{
    int64_t *up_ns = mem_new_array(count, sizeof *up_ns);
    int64_t *down_ns = mem_new_array(count, sizeof *down_ns);
    watch_pods();
    for (size_t i = 0; i < count; i++) {
        struct span path = arena_printf(b.a, PODS "/bench-%zu", i);
        struct span body = arena_printf(
            b.a,
            "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"bench-%zu\"},"
            "\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":\"busybox\","
            "\"imagePullPolicy\":"
            "\"IfNotPresent\",\"command\":[\"sh\",\"-c\",\"trap 'exit 0' TERM; sleep 1000 & "
            "wait\"]}]}}",
            i);
        g.seen_n = 0;
        int64_t start_ns = env_mono_ns(b.env);
        (void)bench_call(&b, 201, "POST", PODS, NULL, body);
        wait_for(all_running, 1);
        up_ns[i] = env_mono_ns(b.env) - start_ns;
        bench_sleep(&b, SETTLE_MS); /* the process sets its trap */
        start_ns = env_mono_ns(b.env);
        (void)bench_call(&b, 200, "DELETE", path.p, NULL, SPAN_NULL);
        wait_for(all_gone, 1);
        down_ns[i] = env_mono_ns(b.env) - start_ns;
        bench_sleep(&b, SETTLE_MS); /* its network and disk are still being taken away */
    }
    bench_figure(bench_quantile_ms(up_ns, count, 0.5), "pod_up_median_ms");
    bench_figure(bench_quantile_ms(up_ns, count, 0.99), "pod_up_p99_ms");
    bench_figure(bench_quantile_ms(down_ns, count, 0.5), "pod_down_median_ms");
    bench_figure(bench_quantile_ms(down_ns, count, 0.99), "pod_down_p99_ms");
}

/* ---- stateful sets ---- */

static const char *collection_of(const yyjson_mut_val *object)
{
    struct span kind = json_mut_str(json_mut_get(object, "kind"));
    return span_eq(kind, SPAN("Service")) ? "/api/v1/namespaces/default/services"
                                          : "/apis/apps/v1/namespaces/default/statefulsets";
}

/* The manifest's documents, replicas and claims as wished. */
static size_t read_manifest(const char *file, size_t replicas, bool claims, struct span *bodies,
                            const char **paths, size_t max)
{
    struct span text;
    struct err err;
    size_t n = 0;
    if (os_fs_read(b.a, AT_FDCWD, file, 65536, &text) < 0) {
        bench_die(file, SPAN("cannot be read"));
    }
    while (text.n) {
        const char *mark = memmem(text.p, text.n, "\n---\n", 5);
        struct span part = mark ? span_of(text.p, (size_t)(mark + 1 - text.p)) : text;
        text = span_from(text, part.n + (mark ? 4 : 0));
        yyjson_val *v = yaml_parse(b.a, part, &err);
        if (!v || n == max) {
            bench_die(file, v ? SPAN("too many documents") : err.message);
        }
        yyjson_mut_doc *doc = json_mut_new(b.a);
        yyjson_mut_val *object = json_mut_copy(doc, v);
        yyjson_mut_val *spec = json_mut_get(object, "spec");
        if (json_mut_get(spec, "replicas")) {
            json_put_int(doc, spec, "replicas", (int64_t)replicas);
        }
        if (!claims) {
            json_remove(spec, "volumeClaimTemplates");
        }
        paths[n] = collection_of(object);
        bodies[n++] = json_write_mut(b.a, object);
    }
    return n;
}

static bool empty(const char *path)
{
    struct span list = bench_call(&b, 200, "GET", path, NULL, SPAN_NULL);
    return memmem(list.p, list.n, "\"items\":[]", 10) != NULL;
}

static void set_remove(size_t replicas)
{
    (void)bench_call(&b, 200, "DELETE", "/apis/apps/v1/namespaces/default/statefulsets/redis", NULL,
                     SPAN("{\"propagationPolicy\":\"Background\"}"));
    wait_for(all_gone, replicas);
    (void)bench_call(&b, 200, "DELETE", "/api/v1/namespaces/default/services/redis", NULL,
                     SPAN_NULL);
    (void)bench_call(&b, 200, "DELETE", "/api/v1/namespaces/default/persistentvolumeclaims", NULL,
                     SPAN_NULL);
    while (!empty("/api/v1/persistentvolumes") || !empty(PODS)) {
        bench_sleep(&b, 20);
    }
    bench_sleep(&b, 4 * SETTLE_MS);
}

/* runs 0: brings it up once and leaves it. */
static void set(const char *file, size_t replicas, size_t runs, bool claims)
{
    struct span bodies[4];
    const char *paths[4];
    size_t n = read_manifest(file, replicas, claims, bodies, paths, 4);
    int64_t *ns = mem_new_array(runs + 1, sizeof *ns);
    watch_pods();
    for (size_t run = 0; run < (runs ? runs : 1); run++) {
        g.seen_n = 0;
        int64_t start_ns = env_mono_ns(b.env);
        for (size_t i = 0; i < n; i++) {
            (void)bench_call(&b, 201, "POST", paths[i], NULL, bodies[i]);
        }
        wait_for(all_ready, replicas);
        ns[run] = env_mono_ns(b.env) - start_ns;
        if (runs) {
            bench_sleep(&b, SERVERS_UP_MS);
            set_remove(replicas);
        }
    }
    bench_figure(bench_quantile_ms(ns, runs ? runs : 1, 0.5), "set_ready_ms");
}

/* ---- start ---- */

static bool node_ready(void)
{
    if (bench_try_call(&b, "GET", "/api/v1/nodes", NULL, SPAN_NULL) != 200) {
        return false;
    }
    yyjson_doc *doc = json_parse_heap(strbuf_span(&b.body));
    bool ready = false;
    JSON_EACH(node, json_get(yyjson_doc_get_root(doc), "items"))
    {
        ready |= has_ready(node.val);
    }
    yyjson_doc_free(doc);
    return ready;
}

static void start(char **argv)
{
    int64_t start_ns = env_mono_ns(b.env);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(argv[0], O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (fd < 0 || dup3(fd, 1, 0) < 0 || dup3(fd, 2, 0) < 0) {
            _exit(126);
        }
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    while (bench_try_call(&b, "GET", "/readyz", NULL, SPAN_NULL) != 200) {
        if (waitpid(pid, NULL, WNOHANG) == pid) {
            bench_die(argv[1], SPAN("has ended"));
        }
        bench_sleep(&b, 1);
    }
    int64_t api_ns = env_mono_ns(b.env);
    while (!node_ready()) {
        bench_sleep(&b, 1);
    }
    int64_t node_ns = env_mono_ns(b.env);
    bench_figure((double)(api_ns - start_ns) / 1e6, "start_api_ms");
    bench_figure((double)(node_ns - start_ns) / 1e6, "start_node_ms");
    printf("pid %d\n", (int)pid);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        bench_die("usage",
                  SPAN("api_bench DATA PORT creates|gets|http2|pods|set|start ARGUMENT..."));
    }
    struct span what = span_cstr(argv[3]);
    if (span_eq(what, SPAN("start"))) {
        bench_init_socket(&b, argv[1], PATIENCE_MS);
        start(argv + 4);
        return 0;
    }
    bench_init(&b, argv[1], bench_port(argv[2]), PATIENCE_MS);
    if (span_eq(what, SPAN("pods"))) {
        pods(bench_number(argv[4]));
    } else if (span_eq(what, SPAN("set")) && argc >= 7) {
        set(argv[4], bench_number(argv[5]), bench_number(argv[6]), argc == 7);
    } else if (span_eq(what, SPAN("http2")) && argc >= 7) {
        load_http2(bench_number(argv[4]), bench_number(argv[5]), bench_number(argv[6]));
    } else if (argc >= 6) {
        load(span_eq(what, SPAN("creates")), bench_number(argv[4]), bench_number(argv[5]));
    }
    return 0;
}
