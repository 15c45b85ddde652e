/* bench/service_bench.c: how long a change of a Service takes to be seen, from outside, over the
 * API, DNS and the network of a running server.
 *
 *     service_bench DATA PORT GATEWAY DNS RUNS SERVICES
 *
 * A pod of no node stands for the endpoint (its address is GATEWAY, where this program listens),
 * so that its readiness changes when we write it. From the moment that the API has answered the
 * write: until DNS has the address, until a connection through the service is accepted. With
 * SERVICES other services present, the latter again for an endpoint in a slice kept by hand. Each
 * figure is a line "name value" in milliseconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "bench/kit/bench_kit.h"
#include "codec/dns.h"
#include "codec/json.h"

#define NS "/api/v1/namespaces/default"
#define SLICES "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
#define HEADLESS "peers.default.svc.cluster.local"
enum { LISTEN_PORT = 9000, PATIENCE_MS = 60 * 1000, QUIET_MS = 20, ASK_MS = 200, FIRST_WAIT = 500 };
enum { SOURCE_PORT_FIRST = 10000, SOURCE_PORT_END = 65000, BETWEEN_US = 100 };

static struct {
    struct sockaddr_in gateway, dns, service;
    int listener;
    uint16_t source_port;
} g; /* a bench is one program */
static struct bench b;

static void call(int status, const char *method, const char *path, const char *body)
{
    const char *type =
        strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : "application/json";
    (void)bench_call(&b, status, method, path, type, span_cstr(body));
}

/* ---- what a client sees ---- */

static bool resolves(void)
{
    uint8_t out[DNS_QUERY_BYTES_MAX], in[1500];
    struct dns_answers answers;
    struct span rdata;
    uint32_t ttl_s;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_usec = ASK_MS * 1000};
    size_t n = dns_query_write(out, 7, SPAN(HEADLESS), DNS_A);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)!sendto(fd, out, n, 0, (const struct sockaddr *)&g.dns, sizeof g.dns);
    ssize_t got = recv(fd, in, sizeof in, 0);
    (void)close(fd);
    return got > 0 && dns_answers_begin(span_of(in, (size_t)got), &answers) == 0 &&
           dns_answers_next(&answers, DNS_A, &ttl_s, &rdata) &&
           memcmp(rdata.p, &g.gateway.sin_addr, 4) == 0;
}

/* Each try has a source port of its own: connection tracking would lead one that it remembers to
 * where it went before, whatever the service says now. */
static bool connects(void)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(g.source_port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (++g.source_port == SOURCE_PORT_END) {
        bench_die("no source port is left", SPAN("fewer runs, please"));
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    (void)bind(fd, (const struct sockaddr *)&from, sizeof from);
    struct linger hard = {1, 0}; /* so that thousands of tries leave no TIME_WAIT */
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    bool ok = connect(fd, (const struct sockaddr *)&g.service, sizeof g.service) == 0;
    (void)close(fd);
    int other;
    while (ok && (other = accept4(g.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        (void)close(other);
    }
    return ok;
}

static void set_ready(bool ready)
{
    char body[512];
    (void)snprintf(
        body, sizeof body,
        "{\"status\":{\"phase\":\"Running\",\"podIP\":\"%s\",\"podIPs\":[{\"ip\":\"%s\"}],"
        "\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}]}}",
        inet_ntoa(g.gateway.sin_addr), inet_ntoa(g.gateway.sin_addr), ready ? "True" : "False");
    call(200, "PATCH", NS "/pods/bench/status", body);
}

/* The same of an endpoint in a slice that is kept by hand: without the controller's write. */
static void set_slice_ready(bool ready)
{
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"endpoints\":[{\"addresses\":[\"%s\"],\"conditions\":{\"ready\":%s}}]}",
                   inet_ntoa(g.gateway.sin_addr), ready ? "true" : "false");
    call(200, "PATCH", SLICES "/direct", body);
}

static void until(bool (*seen)(void), bool wanted)
{
    int64_t end_ns = env_mono_ns(b.env) + PATIENCE_MS * 1000000ll;
    while (seen() != wanted) {
        if (env_mono_ns(b.env) > end_ns) {
            bench_die("not seen in time", SPAN("given up"));
        }
        (void)usleep(wanted ? BETWEEN_US : 10 * BETWEEN_US);
    }
}

static void measure(const char *name, void (*write)(bool ready), bool (*seen)(void), size_t runs)
{
    int64_t *ns = mem_new_array(runs, sizeof *ns);
    for (size_t i = 0; i < runs; i++) {
        write(false);
        until(seen, false);
        bench_sleep(&b, QUIET_MS);
        write(true);
        int64_t start_ns = env_mono_ns(b.env);
        until(seen, true);
        ns[i] = env_mono_ns(b.env) - start_ns;
    }
    bench_figure(bench_quantile_ms(ns, runs, 0.5), "%s_median_ms", name);
    bench_figure(bench_quantile_ms(ns, runs, 1), "%s_max_ms", name);
    free(ns);
}

/* ---- the stage ---- */

/* g.service: the address of the service that the API has just answered with. */
static void take_address(void)
{
    yyjson_doc *doc = NULL;
    struct err err;
    if (json_parse(b.a, strbuf_span(&b.body), &doc, &err) < 0) {
        bench_die("the service", err.message);
    }
    struct span ip = json_str(json_path(yyjson_doc_get_root(doc), "spec", "clusterIP", NULL));
    g.service = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(80)};
    (void)inet_pton(AF_INET, arena_cstr(b.a, ip), &g.service.sin_addr);
}

static void make_service(void)
{
    call(201, "POST", NS "/pods",
         "{\"metadata\":{\"name\":\"bench\",\"labels\":{\"app\":\"bench\"}},\"spec\":{\"nodeName\":"
         "\"nowhere\",\"containers\":[{\"name\":\"c\",\"image\":\"busybox\"}]}}");
    call(
        201, "POST", NS "/services",
        "{\"metadata\":{\"name\":\"peers\"},\"spec\":{\"clusterIP\":\"None\",\"selector\":{\"app\":"
        "\"bench\"},\"ports\":[{\"port\":9000}]}}");
    call(
        201, "POST", NS "/services",
        "{\"metadata\":{\"name\":\"bench\"},\"spec\":{\"selector\":{\"app\":\"bench\"},\"ports\":[{"
        "\"port\":80,\"targetPort\":9000}]}}");
    take_address();
}

/* Services with two endpoints each, by hand. */
static void make_others(size_t count)
{
    char body[512];
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(
            body, sizeof body,
            "{\"metadata\":{\"name\":\"other-%zu\"},\"spec\":{\"ports\":[{\"port\":80}]}}", i);
        call(201, "POST", NS "/services", body);
        (void)snprintf(
            body, sizeof body,
            "{\"metadata\":{\"name\":\"other-%zu\",\"labels\":{\"kubernetes.io/"
            "service-name\":\"other-%zu\"}},\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"\","
            "\"port\":80}],\"endpoints\":[{\"addresses\":[\"10.42.0.250\"]},{\"addresses\":["
            "\"10.42.0.251\"]}]}",
            i, i);
        call(201, "POST", SLICES, body);
    }
    call(201, "POST", NS "/services",
         "{\"metadata\":{\"name\":\"direct\"},\"spec\":{\"ports\":[{\"port\":80}]}}");
    take_address();
    call(201, "POST", SLICES,
         "{\"metadata\":{\"name\":\"direct\",\"labels\":{\"kubernetes.io/"
         "service-name\":\"direct\"}},"
         "\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"\",\"port\":9000}],\"endpoints\":[]}");
    set_slice_ready(true);
    until(connects, true); /* what was made before is in the table now */
    bench_sleep(&b, FIRST_WAIT);
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        bench_die("usage", SPAN("service_bench DATA PORT GATEWAY DNS RUNS SERVICES"));
    }
    bench_init(&b, argv[1], bench_port(argv[2]), PATIENCE_MS);
    g.gateway = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(LISTEN_PORT)};
    g.dns = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(53)};
    g.source_port = SOURCE_PORT_FIRST;
    size_t runs = bench_number(argv[5]);
    g.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (inet_pton(AF_INET, argv[3], &g.gateway.sin_addr) != 1 ||
        inet_pton(AF_INET, argv[4], &g.dns.sin_addr) != 1 ||
        bind(g.listener, (const struct sockaddr *)&g.gateway, sizeof g.gateway) != 0 ||
        listen(g.listener, SOMAXCONN) != 0) {
        bench_die("listen", span_cstr(strerror(errno)));
    }
    make_service();
    measure("ready_to_dns", set_ready, resolves, runs);
    measure("ready_to_packet", set_ready, connects, runs);
    make_others(bench_number(argv[6]));
    measure("service_change", set_slice_ready, connects, runs);
    return 0;
}
