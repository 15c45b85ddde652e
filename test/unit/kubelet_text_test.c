/* The node agent's texts: environment, arguments, hosts, resolv.conf, CRI logs, probe answers. */
#include <fcntl.h>
#include <unistd.h>

#include "codec/base64.h"
#include "kubelet/kubelet_check.h"
#include "kubelet/kubelet_cri.h"
#include "kubelet/kubelet_dns.h"
#include "kubelet/kubelet_env_priv.h"
#include "kubelet/kubelet_priv.h"
#include "test/kit/kit.h"

static yyjson_val *parse(struct arena *a, const char *json)
{
    yyjson_doc *doc = NULL;
    CHECK_EQ(json_parse(a, span_cstr(json), &doc, NULL), 0);
    return yyjson_doc_get_root(doc);
}

TEST(variables_expand_as_kubernetes_does_it)
{
    struct arena *a = arena_new();
    const struct span env[] = {SPAN("A=1"), SPAN("B=x=y"), SPAN("E=")};
    const char *const cases[][2] = {
        {"$(A)", "1"},     {"a$(A)b$(B)", "a1bx=y"},
        {"$$(A)", "$(A)"}, {"$(NO)", "$(NO)"},
        {"$(E)", ""},      {"$", "$"},
        {"$(", "$("},      {"$(A", "$(A"},
        {"$$", "$"},       {"$A", "$A"},
        {"$()", "$()"},    {"$$$(A)", "$1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_SPAN(kubelet_env_expand(a, span_cstr(cases[i][0]), env, 3, NULL), cases[i][1]);
    }
    struct span missing = SPAN("x");
    (void)kubelet_env_expand(a, SPAN("$(A)/$(E)$$(NO)"), env, 3, &missing);
    CHECK_SPAN(missing, "");
    (void)kubelet_env_expand(a, SPAN("$(A)/$(NO)"), env, 3, &missing);
    CHECK_SPAN(missing, "NO");
    arena_free(a);
}

TEST(hosts_and_names_of_a_stateful_pod)
{
    struct arena *a = arena_new();
    yyjson_val *pod =
        parse(a, "{\"metadata\":{\"name\":\"redis-0\",\"namespace\":\"default\"},\"spec\":"
                 "{\"hostname\":\"redis-0\",\"subdomain\":\"redis\",\"hostAliases\":"
                 "[{\"ip\":\"1.2.3.4\",\"hostnames\":[\"a\",\"b\"]}]}}");
    CHECK_SPAN(kubelet_dns_hosts_names(a, pod, SPAN("cluster.local")),
               "redis-0.redis.default.svc.cluster.local\tredis-0");
    CHECK_SPAN(kubelet_dns_hostname(a, pod, SPAN("cluster.local")), "redis-0");
    CHECK_SPAN(kubelet_dns_hosts(a, pod, SPAN("not the node's")),
               "# Kubernetes-managed hosts file.\n"
               "127.0.0.1\tlocalhost\n"
               "::1\tlocalhost ip6-localhost ip6-loopback\n"
               "fe00::0\tip6-localnet\n"
               "fe00::0\tip6-mcastprefix\n"
               "fe00::1\tip6-allnodes\n"
               "fe00::2\tip6-allrouters\n"
               "\n# Entries added by HostAliases.\n"
               "1.2.3.4\ta\tb\n");
    pod = parse(a, "{\"spec\":{\"hostNetwork\":true}}");
    CHECK_SPAN(kubelet_dns_hosts(a, pod, SPAN("127.0.0.1\tlocalhost\n")),
               "# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost\n");
    arena_free(a);
}

static struct span resolv(struct arena *a, const char *spec, const char *dns)
{
    bool missing = false;
    struct span json =
        arena_printf(a, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\"},\"spec\":{%s}}", spec);
    return kubelet_dns_resolv(
        a, parse(a, json.p), span_cstr(dns), SPAN("cluster.local"),
        SPAN("# mine\nnameserver 9.9.9.9\nsearch lan home.lan\noptions rotate\n"), &missing);
}

TEST(resolv_conf_follows_the_policy)
{
    struct arena *a = arena_new();
    CHECK_SPAN(resolv(a, "", "10.43.0.10"),
               "search ns.svc.cluster.local svc.cluster.local cluster.local lan home.lan\n"
               "nameserver 10.43.0.10\noptions ndots:5\n");
    const char *node = "search lan home.lan\nnameserver 9.9.9.9\noptions rotate\n";
    CHECK_SPAN(resolv(a, "\"dnsPolicy\":\"Default\"", "10.43.0.10"), node);
    CHECK_SPAN(resolv(a, "\"hostNetwork\":true,\"dnsPolicy\":\"ClusterFirst\"", "10.43.0.10"),
               node);
    CHECK_SPAN(resolv(a, "", ""), node);
    CHECK_SPAN(
        resolv(a,
               "\"dnsPolicy\":\"None\",\"dnsConfig\":{\"nameservers\":[\"1.1.1.1\",\"1.1.1.1\"],"
               "\"searches\":[\"x.\"],\"options\":[{\"name\":\"ndots\",\"value\":\"2\"}]}",
               "10.43.0.10"),
        "search x\nnameserver 1.1.1.1\noptions ndots:2\n");
    CHECK_SPAN(resolv(a,
                      "\"dnsConfig\":{\"options\":[{\"name\":\"ndots\",\"value\":\"1\"},{\"name\":"
                      "\"edns0\"}]}",
                      "10.43.0.10"),
               "search ns.svc.cluster.local svc.cluster.local cluster.local lan home.lan\n"
               "nameserver 10.43.0.10\noptions ndots:1 edns0\n");
    arena_free(a);
}

#define T1 "2026-01-02T03:04:05.000000001Z"
#define T2 "2026-01-02T03:04:07.000000001Z"

TEST(log_entries_are_parsed_and_malformed_ones_are_not)
{
    struct cri_line l;
    CHECK(kubelet_cri_parse(SPAN(T1 " stdout F hello world"), &l));
    CHECK_SPAN(l.text, "hello world");
    CHECK(!l.partial);
    CHECK(kubelet_cri_parse(SPAN(T1 " stderr P x"), &l));
    CHECK(l.partial);
    CHECK(kubelet_cri_parse(SPAN(T1 " stdout F "), &l));
    CHECK_EQ(l.text.n, 0);
    CHECK(kubelet_cri_parse(SPAN(T1 " stdout F"), &l));
    CHECK_EQ(l.text.n, 0);
    CHECK(!kubelet_cri_parse(SPAN("hello"), &l));
    CHECK(!kubelet_cri_parse(SPAN(T1 " stdin F x"), &l));
    CHECK(!kubelet_cri_parse(SPAN(T1 " stdout Q x"), &l));
    CHECK(!kubelet_cri_parse(SPAN(""), &l));
}

TEST(printing_joins_partial_entries_and_keeps_limits)
{
    const char *log =
        T1 " stdout P ab\n" T1 " stdout F cd\n" T2 " stdout F ef\n" T2 " stdout F unfinish";
    struct strbuf out = STRBUF_INIT;
    struct cri_filter f = {.left_bytes = -1};
    size_t used = kubelet_cri_print(&f, span_cstr(log), &out);
    CHECK_SPAN(strbuf_span(&out), "abcd\nef\n");
    CHECK_EQ(used, strrchr(log, '\n') + 1 - log);
    strbuf_clear(&out);
    f = (struct cri_filter){.left_bytes = 3};
    (void)kubelet_cri_print(&f, span_cstr(log), &out);
    CHECK_SPAN(strbuf_span(&out), "abc");
    CHECK_EQ(f.left_bytes, 0);
    strbuf_clear(&out);
    f = (struct cri_filter){.left_bytes = -1, .since_ms = 1767323046000, .timestamps = true};
    (void)kubelet_cri_print(&f, span_cstr(log), &out);
    CHECK_SPAN(strbuf_span(&out), T2 " ef\n");
    strbuf_done(&out);
}

TEST(times_of_utc_are_printed_as_a_kubelet_does)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    struct cri_filter f = {.left_bytes = -1, .timestamps = true};
    (void)kubelet_cri_print(&f,
                            SPAN("2026-01-02T03:04:05.000000001+00:00 stdout F a\n"
                                 "2026-01-02T05:04:05.000000001+02:00 stdout F b\n"),
                            &out);
    CHECK_SPAN(strbuf_span(&out), "2026-01-02T03:04:05.000000001Z a\n"
                                  "2026-01-02T05:04:05.000000001+02:00 b\n");
}

TEST(the_tail_is_found_from_the_end_for_every_count)
{
    struct arena *a = arena_new();
    struct strbuf b = STRBUF_INIT;
    struct span path = arena_printf(a, "%s/log", kit_tmpdir());
    size_t starts[3001];
    for (int i = 0; i < 3000; i++) {
        starts[i] = b.n;
        strbuf_printf(&b, "%s stdout F line %d %.*s\n", T1, i, i % 50,
                      "--------------------------------------------------");
    }
    starts[3000] = b.n;
    int fd = open(path.p, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    CHECK_EQ(write(fd, b.p, b.n), b.n);
    for (int n = 0; n <= 3000; n += n < 10 ? 1 : 331) {
        CHECK_EQ(kubelet_cri_tail(fd, n), starts[3000 - n]);
    }
    CHECK_EQ(kubelet_cri_tail(fd, 5000), 0);
    CHECK_EQ(ftruncate(fd, 0), 0);
    CHECK_EQ(kubelet_cri_tail(fd, 3), 0);
    (void)close(fd);
    strbuf_done(&b);
    arena_free(a);
}

TEST(the_tail_counts_printed_lines_though_the_writer_cut_some_in_pieces)
{
    struct arena *a = arena_new();
    struct strbuf b = STRBUF_INIT;
    struct span path = arena_printf(a, "%s/log", kit_tmpdir());
    size_t starts[2001];
    for (int i = 0; i < 2000; i++) { /* lines of one to four entries */
        starts[i] = b.n;
        for (int piece = i % 4; piece > 0; piece--) {
            strbuf_printf(&b, "%s stdout P piece %d of line %d\n", T1, piece, i);
        }
        strbuf_printf(&b, "%s stdout F end of line %d\n", T1, i);
    }
    starts[2000] = b.n;
    int fd = open(path.p, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    CHECK_EQ(write(fd, b.p, b.n), b.n);
    for (int n = 0; n <= 2000; n += n < 1000 ? 1 : 100) {
        CHECK_EQ(kubelet_cri_tail(fd, n), starts[2000 - n]);
    }
    CHECK_EQ(kubelet_cri_tail(fd, 2001), 0);
    (void)close(fd);
    strbuf_done(&b);
    arena_free(a);
}

TEST(http_status_lines)
{
    CHECK_EQ(kubelet_check_http_status(SPAN("HTTP/1.1 200 OK\r\n")), 200);
    CHECK_EQ(kubelet_check_http_status(SPAN("HTTP/1.0 503\r\n")), 503);
    CHECK_EQ(kubelet_check_http_status(SPAN("HTTP/1.1 20\r\n")), -1);
    CHECK_EQ(kubelet_check_http_status(SPAN("HTTP/1.1 2000 OK\r\n")), -1);
    CHECK_EQ(kubelet_check_http_status(SPAN("SSH-2.0-x\r\n")), -1);
    CHECK_EQ(kubelet_check_http_status(SPAN("")), -1);
}

TEST(signals_base64_and_durations)
{
    struct arena *a = arena_new();
    struct span out = SPAN_NULL;
    CHECK_EQ(kubelet_signal(SPAN("SIGQUIT"), 15), 3);
    CHECK_EQ(kubelet_signal(SPAN("9"), 15), 9);
    CHECK_EQ(kubelet_signal(SPAN("RTMIN+3"), 15), 37);
    CHECK_EQ(kubelet_signal(SPAN("nonsense"), 15), 15);
    CHECK_EQ(kubelet_signal(SPAN(""), 15), 15);
    CHECK(base64_decode(a, SPAN("aGVsbG8="), &out));
    CHECK_SPAN(out, "hello");
    CHECK(!base64_decode(a, SPAN("a*"), &out));
    CHECK_SPAN(kubelet_duration(a, 203000000), "203ms");
    CHECK_SPAN(kubelet_duration(a, 1500000000), "1.500s");
    CHECK_SPAN(kubelet_duration(a, 62000000000), "1m2s");
    arena_free(a);
}

TEST(what_the_agent_does_not_act_on_is_named)
{
    static const char *const cases[][2] = {
        {"{\"containers\":[{\"name\":\"c\"}]}", ""},
        {"{\"hostUsers\":false,\"containers\":[{}]}", "spec.hostUsers"},
        {"{\"containers\":[{\"ports\":[{\"containerPort\":1,\"hostPort\":80}]}]}", ""},
        {"{\"containers\":[{\"ports\":[{\"hostPort\":6443}]}]}",
         "ports.hostPort that is the API server's own"},
        {"{\"containers\":[{\"ports\":[{\"hostPort\":6443,\"protocol\":\"UDP\"}]}]}", ""},
        {"{\"containers\":[{\"ports\":[{\"hostPort\":80,\"protocol\":\"SCTP\"}]}]}",
         "ports.hostPort of SCTP or IPv6"},
        {"{\"containers\":[{\"ports\":[{\"hostPort\":80,\"hostIP\":\"fd00::1\"}]}]}",
         "ports.hostPort of SCTP or IPv6"},
        {"{\"hostNetwork\":true,\"containers\":[{\"ports\":[{\"hostPort\":80}]}]}", ""},
        {"{\"containers\":[{}],\"volumes\":[{\"emptyDir\":{\"sizeLimit\":\"1Gi\"}}]}", ""},
        {"{\"containers\":[{}],\"volumes\":[{\"emptyDir\":{\"sizeLimit\":\"1Gi\",\"medium\":"
         "\"Memory\"}}]}",
         ""},
        {"{\"containers\":[{\"livenessProbe\":{\"terminationGracePeriodSeconds\":3}}]}", ""},
        {"{\"securityContext\":{\"procMount\":\"Default\"},\"containers\":[{\"resources\":{"
         "\"limits\":{"
         "\"ephemeral-storage\":\"1Gi\"}}}]}",
         "securityContext.procMount, resources.limits other than cpu and memory"},
        {"{\"containers\":[{\"resources\":{\"limits\":{\"nvidia.com/gpu\":1}}}]}", ""},
    };
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_SPAN(kubelet_view_ignored(a, parse(a, cases[i][0]), true, 6443), cases[i][1]);
    }
    const char *port = "{\"containers\":[{\"ports\":[{\"containerPort\":1,\"hostPort\":80}]}]}";
    CHECK_SPAN(kubelet_view_ignored(a, parse(a, port), false, 0), "ports.hostPort");
    arena_free(a);
}
