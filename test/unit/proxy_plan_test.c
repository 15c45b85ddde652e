/* test/unit/proxy_plan_test.c: plan/proxy_plan. */
#include "plan/proxy_plan.h"

#include "codec/json.h"
#include "kit/kit.h"

static yyjson_val *parse(struct arena *a, struct span text)
{
    yyjson_doc *doc;
    struct err err = {0};
    CHECK_EQ(json_parse(a, text, &doc, &err), 0);
    return yyjson_doc_get_root(doc);
}

/* One endpoint in one of its states: conditions 0 absent, 1 false, 2 true. */
static struct span endpoint(struct arena *a, int ip, int ready, int serving, int ending)
{
    static const char *const text[] = {"null", "false", "true"};
    return arena_printf(a,
                        "{\"addresses\":[\"10.42.0.%d\"],\"conditions\":{\"ready\":%s,"
                        "\"serving\":%s,\"terminating\":%s}}",
                        ip, text[ready], text[serving], text[ending]);
}

TEST(proxy_every_state_of_two_endpoints)
{
    for (int world = 0; world < 27 * 27; world++) {
        struct arena *a = arena_new();
        struct span text[2];
        bool ready[2], ending[2];
        for (int i = 0, w = world; i < 2; i++) {
            int r = w % 3, s = w / 3 % 3, t = w / 9 % 3;
            w /= 27;
            text[i] = endpoint(a, i + 2, r, s, t);
            ready[i] = r != 1;
            ending[i] = (s == 0 ? ready[i] : s == 2) && t == 2;
        }
        const yyjson_val *slice =
            parse(a, arena_printf(a,
                                  "{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"\",\"port\":"
                                  "8080,\"protocol\":\"TCP\"}],\"endpoints\":[%.*s,%.*s]}",
                                  SPAN_ARG(text[1]), SPAN_ARG(text[0])));
        const struct proxy_view v = {
            .service = parse(a, SPAN("{\"spec\":{\"type\":\"ClusterIP\",\"clusterIP\":"
                                     "\"10.43.0.7\",\"ports\":[{\"port\":80}]}}")),
            .slices = &slice,
            .slice_count = 1};
        struct proxy_plan plan;
        proxy_plan(a, &v, &plan);
        CHECK_EQ(plan.count, 1);
        CHECK_EQ(plan.ports[0].addr, 0x0a2b0007);
        CHECK_EQ(plan.ports[0].port, 80);
        CHECK_EQ(plan.ports[0].protocol, PROXY_TCP);
        const bool *in = ready[0] || ready[1] ? ready : ending;
        size_t n = 0;
        for (uint32_t i = 0; i < 2; i++) {
            if (in[i]) {
                CHECK(n < plan.ports[0].endpoint_count);
                CHECK_EQ(plan.ports[0].endpoints[n].addr, 0x0a2a0002 + i);
                CHECK_EQ(plan.ports[0].endpoints[n].port, 8080);
                n++;
            }
        }
        CHECK_EQ(plan.ports[0].endpoint_count, n);
        arena_free(a);
    }
}

static const char two_ports[] =
    "{\"spec\":{\"type\":\"ClusterIP\",\"clusterIP\":\"10.43.0.7\",\"ports\":["
    "{\"name\":\"dns\",\"port\":53,\"protocol\":\"UDP\"},{\"name\":\"dns-tcp\",\"port\":53,"
    "\"protocol\":\"TCP\"},{\"name\":\"far\",\"port\":9,\"protocol\":\"SCTP\"}]}}";

TEST(proxy_ports_meet_by_name_and_protocol_over_all_slices)
{
    struct arena *a = arena_new();
    const yyjson_val *slices[] = {
        parse(a, SPAN("{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"dns\",\"port\":5353,"
                      "\"protocol\":\"UDP\"},{\"name\":\"dns-tcp\",\"port\":5354,\"protocol\":"
                      "\"TCP\"}],\"endpoints\":[{\"addresses\":[\"10.42.0.9\"]},{\"addresses\":["
                      "\"10.42.0.3\"]}]}")),
        parse(a, SPAN("{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"dns\",\"port\":5353,"
                      "\"protocol\":\"UDP\"},{\"name\":\"dns-tcp\",\"port\":1,\"protocol\":"
                      "\"UDP\"},{\"name\":\"dns\",\"port\":null,\"protocol\":\"UDP\"}],"
                      "\"endpoints\":[{\"addresses\":[\"10.42.0.3\"]},{\"addresses\":[]},{"
                      "\"addresses\":[\"nonsense\"]},{\"addresses\":[\"10.42.0.4\"]}]}")),
        parse(a, SPAN("{\"addressType\":\"IPv6\",\"ports\":[{\"name\":\"dns\",\"port\":5353,"
                      "\"protocol\":\"UDP\"}],\"endpoints\":[{\"addresses\":[\"fd00::1\"]}]}")),
    };
    const struct proxy_view v = {
        .service = parse(a, span_cstr(two_ports)), .slices = slices, .slice_count = 3};
    struct proxy_plan plan;
    proxy_plan(a, &v, &plan);
    CHECK_EQ(plan.count, 2); /* SCTP is not carried */
    const struct proxy_port *tcp = &plan.ports[0], *udp = &plan.ports[1];
    CHECK_EQ(tcp->protocol, PROXY_TCP);
    CHECK_EQ(tcp->endpoint_count, 2);
    CHECK_EQ(tcp->endpoints[1].port, 5354);
    CHECK_EQ(udp->protocol, PROXY_UDP);
    CHECK_EQ(udp->endpoint_count, 3); /* ascending, the double one once */
    CHECK_EQ(udp->endpoints[0].addr, 0x0a2a0003);
    CHECK_EQ(udp->endpoints[1].addr, 0x0a2a0004);
    CHECK_EQ(udp->endpoints[2].addr, 0x0a2a0009);
    CHECK(!proxy_port_same(tcp, udp));
    arena_free(a);
}

TEST(proxy_services_without_a_cluster_address_or_of_another_proxy_have_no_ports)
{
    static const char *const services[] = {
        "{\"spec\":{\"clusterIP\":\"None\",\"ports\":[{\"port\":80}]}}",
        "{\"spec\":{\"type\":\"ExternalName\",\"clusterIP\":\"10.43.0.7\",\"ports\":[{\"port\":"
        "80}]}}",
        "{\"spec\":{\"clusterIP\":\"\",\"ports\":[{\"port\":80}]}}",
        "{\"spec\":{\"clusterIP\":\"fd00::7\",\"ports\":[{\"port\":80}]}}",
        "{\"spec\":{\"clusterIP\":\"10.43.0.7\"}}",
        "{\"metadata\":{\"labels\":{\"service.kubernetes.io/service-proxy-name\":\"x\"}},\"spec\":{"
        "\"clusterIP\":\"10.43.0.7\",\"ports\":[{\"port\":80}]}}",
        "{\"metadata\":{\"labels\":{\"service.kubernetes.io/headless\":\"\"}},\"spec\":{"
        "\"clusterIP\":\"10.43.0.7\",\"ports\":[{\"port\":80}]}}",
        "{\"spec\":{\"clusterIP\":\"10.43.0.7\",\"ports\":[{\"port\":0},{\"port\":65536}]}}",
    };
    struct arena *a = arena_new();
    struct proxy_plan plan;
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        const struct proxy_view v = {.service = parse(a, span_cstr(services[i]))};
        proxy_plan(a, &v, &plan);
        CHECK_EQ(plan.count, 0);
    }
    proxy_plan(a, &(struct proxy_view){0}, &plan);
    CHECK_EQ(plan.count, 0);
    arena_free(a);
}

static const struct proxy_port *port_at(const struct proxy_plan *plan, uint32_t addr, uint16_t port)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->ports[i].addr == addr && plan->ports[i].port == port) {
            return &plan->ports[i];
        }
    }
    return NULL;
}

/* Every way to reach a service, by every pair of policies, with endpoints here, elsewhere and
 * nowhere in particular. */
TEST(proxy_every_way_with_every_policy)
{
    enum { CLUSTER = 0x0a2b0007, EXTERNAL = 0xc0000201, BALANCED = 0xc0000202 };
    static const char *const policy[] = {"Cluster", "Local"};
    static const char *const where[] = {"", ",\"nodeName\":\"here\"", ",\"nodeName\":\"there\""};
    for (int world = 0; world < 2 * 2 * 2 * 2 * 2 * 9; world++) {
        struct arena *a = arena_new();
        int w = world;
        int node_port = w % 2, external = w / 2 % 2, balanced = w / 4 % 2, in = w / 8 % 2,
            out = w / 16 % 2, first = w / 32 % 3, second = w / 96 % 3;
        const yyjson_val *slice = parse(
            a, arena_printf(a,
                            "{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"\",\"port\":8080}],"
                            "\"endpoints\":[{\"addresses\":[\"10.42.0.2\"]%s},{\"addresses\":["
                            "\"10.42.0.3\"]%s}]}",
                            where[first], where[second]));
        const struct proxy_view v = {
            .service = parse(
                a,
                arena_printf(
                    a,
                    "{\"spec\":{\"clusterIP\":\"10.43.0.7\",\"internalTrafficPolicy\":\"%s\","
                    "\"externalTrafficPolicy\":\"%s\",\"sessionAffinity\":\"ClientIP\","
                    "\"ports\":[{\"port\":80%s}]%s},\"status\":{\"loadBalancer\":{\"ingress\":["
                    "{\"hostname\":\"x\"},{\"ip\":\"192.0.2.9\",\"ipMode\":\"Proxy\"}%s]}}}",
                    policy[in], policy[out], node_port ? ",\"nodePort\":30001" : "",
                    external ? ",\"externalIPs\":[\"192.0.2.1\",\"nonsense\",\"192.0.2.1\"]" : "",
                    balanced ? ",{\"ip\":\"192.0.2.2\"}" : "")),
            .slices = &slice,
            .slice_count = 1,
            .node = SPAN("here")};
        struct proxy_plan plan;
        proxy_plan(a, &v, &plan);
        CHECK_EQ(plan.count, 1 + node_port + external + balanced);
        size_t here = (size_t)((first == 1) + (second == 1));
        const struct proxy_port *p = port_at(&plan, CLUSTER, 80);
        CHECK(p && !p->outside && p->affinity_s == 10800);
        CHECK_EQ(p->endpoint_count, in ? here : 2);
        const struct proxy_port *ways[] = {port_at(&plan, 0, 30001), port_at(&plan, EXTERNAL, 80),
                                           port_at(&plan, BALANCED, 80)};
        const int wanted[] = {node_port, external, balanced};
        for (size_t i = 0; i < 3; i++) {
            CHECK_EQ(ways[i] != NULL, wanted[i]);
            if (ways[i]) {
                CHECK(ways[i]->outside && ways[i]->affinity_s == 10800);
                CHECK_EQ(ways[i]->endpoint_count, out ? here : 2);
                CHECK(proxy_port_hash(ways[i]) != proxy_port_hash(p));
            }
        }
        arena_free(a);
    }
}

TEST(proxy_fingerprints_tell_what_differs)
{
    const struct proxy_endpoint e[] = {{1, 80}, {2, 80}, {2, 81}};
    const struct proxy_port base = {.addr = 9, .port = 1, .endpoints = e, .endpoint_count = 2};
    struct proxy_port other = base;
    other.addr = 8; /* another address of the same service: the same */
    CHECK_EQ(proxy_port_hash(&base), proxy_port_hash(&other));
    const struct proxy_port differ[] = {
        {.endpoints = e, .endpoint_count = 1},
        {.endpoints = e + 1, .endpoint_count = 2},
        {.endpoints = e, .endpoint_count = 3},
        {.endpoints = e, .endpoint_count = 2, .affinity_s = 1},
        {.endpoints = e, .endpoint_count = 2, .affinity_s = 2},
        {.endpoints = e, .endpoint_count = 2, .outside = true},
        {.endpoints = e, .endpoint_count = 0},
    };
    enum { N = sizeof differ / sizeof *differ };
    for (size_t i = 0; i < N; i++) {
        CHECK(proxy_port_hash(&differ[i]) != proxy_port_hash(&base));
        for (size_t k = 0; k < i; k++) {
            CHECK(proxy_port_hash(&differ[i]) != proxy_port_hash(&differ[k]));
        }
    }
}

TEST(proxy_host_ports_lead_to_a_pod_that_lives_and_has_an_address)
{
    static const char *const phases[] = {"Pending", "Running", "Succeeded", "Failed"};
    static const char *const ips[] = {"", ",\"podIP\":\"10.42.0.9\"", ",\"podIP\":\"fd00::9\""};
    for (int world = 0; world < 4 * 3 * 2; world++) {
        struct arena *a = arena_new();
        bool host_network = world >= 12;
        struct span pod = arena_printf(
            a,
            "{\"spec\":{%s\"containers\":[{\"ports\":[{\"containerPort\":80,\"hostPort\":8080},{"
            "\"containerPort\":81,\"hostPort\":8081,\"hostIP\":\"192.0.2.1\",\"protocol\":\"UDP\"},"
            "{\"containerPort\":82,\"hostPort\":8080},"
            "{\"containerPort\":9,\"hostPort\":9,\"protocol\":\"SCTP\"},"
            "{\"containerPort\":9,\"hostPort\":9,\"hostIP\":\"fd00::1\"}]}]},"
            "\"status\":{\"phase\":\"%s\"%s}}",
            host_network ? "\"hostNetwork\":true," : "", phases[world % 4], ips[world / 4 % 3]);
        struct proxy_plan plan;
        proxy_plan_pod(a, parse(a, pod), &plan);
        bool any = world % 4 < 2 && world / 4 == 1;
        CHECK_EQ(plan.count, any ? 2 : 0);
        for (size_t i = 0; i < plan.count; i++) {
            const struct proxy_port *p = &plan.ports[i];
            bool tcp = p->protocol == PROXY_TCP;
            CHECK(p->host && !p->outside && p->affinity_s == 0);
            CHECK_EQ(p->addr, tcp ? 0 : 0xc0000201);
            CHECK_EQ(p->port, tcp ? 8080 : 8081);
            CHECK_EQ(p->endpoint_count, 1);
            CHECK_EQ(p->endpoints[0].addr, 0x0a2a0009);
            CHECK_EQ(p->endpoints[0].port, tcp ? 80 : 81);
        }
        proxy_plan_pod(a, NULL, &plan);
        CHECK_EQ(plan.count, 0);
        arena_free(a);
    }
}
