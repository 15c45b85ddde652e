/* codec/dns, plan/zone_plan, net/dns_zone: from a Service and its slices to the bytes of an answer.
 */
#include "kit/dns_kit.h"
#include "kit/kit.h"

#include "base/err.h"
#include "base/limits.h"
#include "codec/dns.h"
#include "codec/json.h"
#include "net/dns_zone.h"
#include "plan/zone_plan.h"

static struct dns_zone *zone;
static struct arena *arena;

static yyjson_val *parse(const char *text)
{
    yyjson_doc *doc;
    struct err e = {0};
    if (json_parse(arena, span_cstr(text), &doc, &e) != 0) {
        kit_fail(__FILE__, __LINE__, "%.*s", SPAN_ARG(e.message));
    }
    return yyjson_doc_get_root(doc);
}

static void set_service(const char *service, const char *slice)
{
    const yyjson_val *slices[] = {slice ? parse(slice) : NULL};
    struct zone_view v = {.service = parse(service),
                          .slices = slices,
                          .slice_count = slice ? 1 : 0,
                          .domain = SPAN("cluster.local")};
    struct zone_plan plan;
    zone_plan(arena, &v, &plan);
    dns_zone_set(zone, span_cstr(service), plan.records, plan.count);
}

static const char redis[] = "{\"metadata\":{\"name\":\"redis\",\"namespace\":\"default\"},\"spec\":"
                            "{\"clusterIP\":\"None\",\"ports\":[{\"port\":6379}]}}";
static const char redis_slice[] =
    "{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"client\",\"protocol\":\"TCP\",\"port\":6379}]"
    ",\"endpoints\":["
    "{\"addresses\":[\"10.42.0.2\"],\"hostname\":\"redis-0\",\"conditions\":{\"ready\":true}},"
    "{\"addresses\":[\"10.42.0.3\"],\"hostname\":\"redis-1\"},"
    "{\"addresses\":[\"10.42.0.4\"],\"hostname\":\"redis-2\",\"conditions\":{\"ready\":false}},"
    "{\"addresses\":[\"10.42.0.9\"],\"conditions\":{\"ready\":true}}]}";
static const char web[] =
    "{\"metadata\":{\"name\":\"web\",\"namespace\":\"default\"},\"spec\":{\"clusterIP\":\"10.43.0."
    "7\",\"ports\":[{\"name\":\"http\",\"port\":80,\"protocol\":\"TCP\"}]}}";
static const char ext[] = "{\"metadata\":{\"name\":\"ext\",\"namespace\":\"default\"},\"spec\":{"
                          "\"type\":\"ExternalName\",\"externalName\":\"db.Example.com.\"}}";

static void setup(void)
{
    arena = arena_new();
    zone = dns_zone_new(SPAN("cluster.local"));
    dns_zone_set_namespace(zone, SPAN("default"), true);
    set_service(redis, redis_slice);
    set_service(web, NULL);
    set_service(ext, NULL);
    dns_zone_ready(zone);
}

static void teardown(void)
{
    dns_zone_free(zone);
    arena_free(arena);
}

static struct kit_dns_reply ask(const char *name, uint16_t type)
{
    uint8_t q[600], out[LIMIT_DNS_TCP_BYTES];
    size_t n = 0;
    struct kit_dns_reply r = {.rcode = -1};
    if (dns_zone_answer(zone, kit_dns_query(q, 77, name, type), NULL, false, out, &n) ==
        DNS_ANSWERED) {
        kit_dns_parse(span_of(out, n), &r);
        CHECK_EQ(r.id, 77);
    }
    return r;
}

static void expect(const char *name, uint16_t type, int rcode, const char *text)
{
    struct kit_dns_reply r = ask(name, type);
    if (r.rcode != rcode || strcmp(r.text, text) != 0) {
        kit_fail(__FILE__, __LINE__, "%s type %d: code %d \"%s\", wanted %d \"%s\"", name, type,
                 r.rcode, r.text, rcode, text);
    }
    if (rcode >= 0 && rcode != DNS_REFUSED && !text[0]) {
        CHECK_EQ(r.authorities, 1); /* the SOA that bounds negative caching */
    }
}

TEST(headless_service_answers_ready_pods_and_each_host)
{
    setup();
    expect("redis.default.svc.cluster.local", DNS_A, 0, "A 10.42.0.2;A 10.42.0.3;A 10.42.0.9;");
    expect("REDIS-0.Redis.default.svc.cluster.local", DNS_A, 0, "A 10.42.0.2;");
    expect("redis-2.redis.default.svc.cluster.local", DNS_A, DNS_NXDOMAIN, "");
    expect("10-42-0-9.redis.default.svc.cluster.local", DNS_A, 0, "A 10.42.0.9;");
    expect("_client._tcp.redis.default.svc.cluster.local", DNS_SRV, 0,
           "SRV 6379 10-42-0-9.redis.default.svc.cluster.local;SRV 6379 "
           "redis-0.redis.default.svc.cluster.local;SRV 6379 "
           "redis-1.redis.default.svc.cluster.local;");
    expect("3.0.42.10.in-addr.arpa", DNS_PTR, 0, "PTR redis-1.redis.default.svc.cluster.local;");
    teardown();
}

TEST(cluster_ip_service_answers_its_address_also_without_endpoints)
{
    setup();
    expect("web.default.svc.cluster.local", DNS_A, 0, "A 10.43.0.7;");
    expect("_http._tcp.web.default.svc.cluster.local", DNS_SRV, 0,
           "SRV 80 web.default.svc.cluster.local;");
    expect("7.0.43.10.in-addr.arpa", DNS_PTR, 0, "PTR web.default.svc.cluster.local;");
    expect("ext.default.svc.cluster.local", DNS_CNAME, 0, "CNAME db.example.com;");
    teardown();
}

TEST(external_names_come_with_the_addresses_of_their_target)
{
    setup();
    set_service("{\"metadata\":{\"name\":\"in\",\"namespace\":\"default\"},\"spec\":{\"type\":"
                "\"ExternalName\",\"externalName\":\"web.default.svc.cluster.local\"}}",
                NULL);
    set_service("{\"metadata\":{\"name\":\"in2\",\"namespace\":\"default\"},\"spec\":{\"type\":"
                "\"ExternalName\",\"externalName\":\"in.default.svc.cluster.local\"}}",
                NULL);
    set_service("{\"metadata\":{\"name\":\"round\",\"namespace\":\"default\"},\"spec\":{\"type\":"
                "\"ExternalName\",\"externalName\":\"round.default.svc.cluster.local\"}}",
                NULL);
    expect("in.default.svc.cluster.local", DNS_A, 0,
           "A 10.43.0.7;CNAME web.default.svc.cluster.local;");
    expect("in2.default.svc.cluster.local", DNS_A, 0,
           "A 10.43.0.7;CNAME web.default.svc.cluster.local;");
    expect("in.default.svc.cluster.local", DNS_AAAA, 0, "CNAME web.default.svc.cluster.local;");
    expect("round.default.svc.cluster.local", DNS_A, 0, "CNAME round.default.svc.cluster.local;");
    expect("ext.default.svc.cluster.local", DNS_SRV, 0, "");
    expect("sub.ext.default.svc.cluster.local", DNS_A, DNS_NXDOMAIN, "");
    /* Elsewhere: a query for the target, and a reply made of what comes back. */
    uint8_t q[600], out[LIMIT_DNS_TCP_BYTES], made[LIMIT_DNS_TCP_BYTES];
    size_t n, bytes;
    struct span query = kit_dns_query(q, 5, "ext.default.svc.cluster.local", DNS_A);
    CHECK_EQ(dns_zone_answer(zone, query, NULL, false, out, &n), DNS_ALIAS);
    struct dns_query asked;
    CHECK_EQ(dns_query_read(span_of(out, n), &asked), 0);
    CHECK_SPAN(span_cstr(asked.name), "db.example.com");
    CHECK_EQ(asked.type, DNS_A);
    uint8_t theirs[LIMIT_DNS_TCP_BYTES];
    struct dns_writer w;
    struct span other = SPAN("real.example.com");
    dns_reply_begin(&w, theirs, sizeof theirs, &asked);
    dns_put_record(&w, DNS_ANSWER, NULL, DNS_CNAME, 9, SPAN("\1x\0"));
    dns_put_record(&w, DNS_ANSWER, &other, DNS_A, 9, SPAN("\300\0\2\11"));
    bytes = dns_reply_end(&w, &asked, DNS_NOERROR, false, true);
    struct kit_dns_reply r;
    n = dns_zone_alias(query, span_cstr(asked.name), span_of(theirs, bytes), false, made);
    kit_dns_parse(span_of(made, n), &r);
    CHECK_SPAN(span_cstr(r.text), "A 192.0.2.9;CNAME db.example.com;");
    for (size_t cut = 0; cut < bytes; cut++) { /* whatever comes back, a reply goes out */
        n = dns_zone_alias(query, span_cstr(asked.name), span_of(theirs, cut), false, made);
        CHECK(n > DNS_HEADER_BYTES);
    }
    theirs[3] = (uint8_t)(theirs[3] | DNS_NXDOMAIN);
    n = dns_zone_alias(query, span_cstr(asked.name), span_of(theirs, bytes), false, made);
    CHECK_EQ(made[3] & 15, DNS_NXDOMAIN);
    teardown();
}

TEST(absent_names_are_nxdomain_and_other_types_nodata)
{
    setup();
    expect("nosuch.default.svc.cluster.local", DNS_A, DNS_NXDOMAIN, "");
    expect("redis.nosuch.svc.cluster.local", DNS_A, DNS_NXDOMAIN, "");
    expect("redis-0.redis.default.svc.cluster.local.default.svc.cluster.local", DNS_A, DNS_NXDOMAIN,
           "");
    expect("a.redis-0.redis.default.svc.cluster.local", DNS_A, DNS_NXDOMAIN, "");
    expect("redis.default.svc.cluster.local", DNS_AAAA, 0, "");
    expect("cluster.local", DNS_A, 0, "");
    expect("svc.cluster.local", DNS_A, 0, "");
    expect("default.svc.cluster.local", DNS_A, 0, "");
    expect("nosuch.svc.cluster.local", DNS_A, DNS_NXDOMAIN, "");
    expect("1-2-3-4.default.pod.cluster.local", DNS_A, 0, "A 1.2.3.4;");
    expect("1-2-3-4.nosuch.pod.cluster.local", DNS_A, DNS_NXDOMAIN, "");
    expect("web.default.svc.cluster.local", DNS_TXT, 0, "");
    expect("WEB.Default.svc.CLUSTER.local", DNS_A, 0, "A 10.43.0.7;");
    expect("pod.cluster.local", DNS_A, 0, "");
    expect("1-2-3-4.default.pod.cluster.local", DNS_AAAA, 0, "");
    expect("1-2-3.default.pod.cluster.local", DNS_A, DNS_NXDOMAIN, "");
    expect("cluster.local", DNS_NS, 0, "type2;");
    expect("cluster.local", DNS_SOA, 0, "type6;");
    expect("dns-version.cluster.local", DNS_TXT, 0, "type16;");
    expect("redis.default.svc.cluster.local", DNS_AXFR, DNS_REFUSED, "");
    expect("example.com", DNS_A, -1, "");
    expect("local", DNS_A, -1, "");
    expect("xcluster.local", DNS_A, -1, "");
    teardown();
}

TEST(headless_without_ready_pods_is_nxdomain_unless_it_publishes_them)
{
    static const char unready[] =
        "{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"client\",\"port\":6379}],\"endpoints\":[{"
        "\"addresses\":[\"10.42.0.2\"],\"hostname\":\"redis-0\",\"conditions\":{\"ready\":false}}]"
        "}";
    static const char published[] =
        "{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"client\",\"port\":6379}],\"endpoints\":[{"
        "\"addresses\":[\"10.42.0.2\"],\"hostname\":\"redis-0\",\"conditions\":{\"ready\":true,"
        "\"serving\":false}}]}";
    setup();
    set_service(redis, unready);
    expect("redis.default.svc.cluster.local", DNS_A, DNS_NXDOMAIN, "");
    expect("redis-0.redis.default.svc.cluster.local", DNS_A, DNS_NXDOMAIN, "");
    expect("_client._tcp.redis.default.svc.cluster.local", DNS_SRV, DNS_NXDOMAIN, "");
    set_service(redis, published);
    expect("redis.default.svc.cluster.local", DNS_A, 0, "A 10.42.0.2;");
    expect("_CLIENT._tcp.redis.default.svc.cluster.local", DNS_SRV, 0,
           "SRV 6379 redis-0.redis.default.svc.cluster.local;");
    expect("_client._udp.redis.default.svc.cluster.local", DNS_SRV, DNS_NXDOMAIN, "");
    expect("redis.default.svc.cluster.local", DNS_SRV, 0,
           "SRV 6379 redis-0.redis.default.svc.cluster.local;");
    teardown();
}

TEST(removal_of_an_owner_removes_its_names_only)
{
    setup();
    dns_zone_set(zone, span_cstr(redis), NULL, 0);
    expect("redis.default.svc.cluster.local", DNS_A, DNS_NXDOMAIN, "");
    expect("web.default.svc.cluster.local", DNS_A, 0, "A 10.43.0.7;");
    dns_zone_set_namespace(zone, SPAN("default"), false);
    expect("default.svc.cluster.local", DNS_A, DNS_NXDOMAIN, "");
    teardown();
}

TEST(before_the_first_sync_our_names_are_servfail)
{
    arena = arena_new();
    zone = dns_zone_new(SPAN("cluster.local"));
    CHECK_EQ(ask("redis.default.svc.cluster.local", DNS_A).rcode, DNS_SERVFAIL);
    teardown();
}

TEST(udp_answer_that_does_not_fit_is_truncated_and_tcp_has_it_whole)
{
    setup();
    struct zone_record many[200];
    for (int i = 0; i < 200; i++) {
        many[i] = (struct zone_record){.name = SPAN("big.default.svc.cluster.local"),
                                       .type = DNS_A,
                                       .ip = {10, 0, 1, (uint8_t)i}};
    }
    dns_zone_set(zone, SPAN("big"), many, 200);
    uint8_t q[600], out[LIMIT_DNS_TCP_BYTES];
    size_t n;
    struct span query = kit_dns_query(q, 1, "big.default.svc.cluster.local", DNS_A);
    struct kit_dns_reply r;
    CHECK_EQ(dns_zone_answer(zone, query, NULL, false, out, &n), DNS_ANSWERED);
    CHECK(n <= 512 && (out[2] & 2));
    CHECK_EQ(dns_zone_answer(zone, query, NULL, true, out, &n), DNS_ANSWERED);
    kit_dns_parse(span_of(out, n), &r);
    CHECK_EQ(r.answers, 200);
    CHECK(!(out[2] & 2));
    teardown();
}

TEST(malformed_queries_are_refused_or_dropped)
{
    setup();
    uint8_t q[600], out[LIMIT_DNS_TCP_BYTES];
    size_t n;
    struct span good = kit_dns_query(q, 9, "redis.default.svc.cluster.local", DNS_A);
    for (size_t cut = 0; cut < good.n; cut++) {
        enum dns_verdict v = dns_zone_answer(zone, span_first(good, cut), NULL, false, out, &n);
        CHECK_EQ(v, cut < 12 ? DNS_IGNORE : DNS_ANSWERED);
        CHECK(cut < 12 || (out[3] & 15) == DNS_FORMERR);
    }
    q[2] |= 0x80; /* a reply is never answered */
    CHECK_EQ(dns_zone_answer(zone, good, NULL, false, out, &n), DNS_IGNORE);
    q[2] = 1;
    q[12] = 0xc0; /* a pointer in a question */
    CHECK_EQ(dns_zone_answer(zone, good, NULL, false, out, &n), DNS_ANSWERED);
    CHECK_EQ(out[3] & 15, DNS_FORMERR);
    teardown();
}

TEST(short_names_of_a_pod_are_answered_as_its_search_list_would)
{
    setup();
    const uint8_t pod[4] = {10, 42, 0, 99}, stranger[4] = {10, 42, 0, 98};
    uint8_t q[600], out[LIMIT_DNS_TCP_BYTES];
    size_t n;
    struct kit_dns_reply r;
    dns_zone_set_pod(zone, SPAN("uid-1"), SPAN("default"));
    dns_zone_set_address(zone, SPAN("10.42.0.99"), SPAN("uid-0"));
    dns_zone_set_address(zone, SPAN("10.42.0.99"), SPAN("uid-1"));
    struct span query = kit_dns_query(q, 5, "redis-0.redis", DNS_A);
    CHECK_EQ(dns_zone_answer(zone, query, pod, false, out, &n), DNS_ANSWERED);
    kit_dns_parse(span_of(out, n), &r);
    CHECK_SPAN(span_cstr(r.text), "A 10.42.0.2;CNAME redis-0.redis.default.svc.cluster.local;");
    CHECK_EQ(dns_zone_answer(zone, query, stranger, false, out, &n), DNS_FORWARD);
    CHECK_EQ(dns_zone_answer(zone, kit_dns_query(q, 5, "web.default", DNS_A), pod, false, out, &n),
             DNS_ANSWERED);
    CHECK_EQ(dns_zone_answer(zone, kit_dns_query(q, 5, "example.com", DNS_A), pod, false, out, &n),
             DNS_FORWARD);
    dns_zone_set_pod(zone, SPAN("uid-1"), SPAN_NULL);
    CHECK_EQ(
        dns_zone_answer(zone, kit_dns_query(q, 5, "redis-0.redis", DNS_A), pod, false, out, &n),
        DNS_FORWARD);
    teardown();
}

TEST(names_are_written_within_their_bounds)
{
    uint8_t wire[DNS_NAME_BYTES_MAX];
    char label64[65];
    memset(label64, 'a', 64);
    label64[64] = '\0';
    CHECK_EQ(dns_name_write(wire, span_of(label64, 63)), 65);
    CHECK_EQ(dns_name_write(wire, span_of(label64, 64)), 0);
    CHECK_EQ(dns_name_write(wire, SPAN("a..b")), 0);
    CHECK_EQ(dns_name_write(wire, SPAN("")), 1);
    char longest[400] = "";
    for (int i = 0; i < 127; i++) {
        strncat(longest, i ? ".a" : "a", 3);
    }
    CHECK_EQ(dns_name_write(wire, span_cstr(longest)), 255);
    strncat(longest, ".a", 3);
    CHECK_EQ(dns_name_write(wire, span_cstr(longest)), 0);
}
