/* test/unit/host_port_test.c: plan/host_port. */
#include "plan/host_port.h"

#include "codec/json.h"
#include "kit/kit.h"

static yyjson_val *parse(struct arena *a, struct span text)
{
    yyjson_doc *doc = NULL;
    struct err err;
    CHECK_EQ(json_parse(a, text, &doc, &err), 0);
    return yyjson_doc_get_root(doc);
}

static struct host_port one(struct arena *a, const char *ip, const char *protocol, int port)
{
    const struct host_port *p = NULL;
    struct span text = arena_printf(a,
                                    "{\"containers\":[{\"ports\":[{\"containerPort\":1,"
                                    "\"hostPort\":%d,\"hostIP\":\"%s\",\"protocol\":\"%s\"}]}]}",
                                    port, ip, protocol);
    CHECK_EQ(host_ports(a, parse(a, text), &p), 1);
    return p[0];
}

TEST(host_ports_exclude_each_other_by_protocol_number_and_address)
{
    static const char *const ips[] = {"",         "0.0.0.0", "::",       "10.0.0.1",
                                      "10.0.0.2", "fd00::1", "fd00:0::1"};
    static const char *const protocols[] = {"", "TCP", "UDP", "SCTP"};
    /* Which are the same: of addresses 0 stands for all. */
    static const int ip_class[] = {0, 0, 0, 1, 2, 3, 3}, protocol_class[] = {0, 0, 1, 2};
    enum { IPS = 7, PROTOCOLS = 4, N = IPS * PROTOCOLS * 2 };
    struct arena *a = arena_new();
    struct host_port p[N];
    for (int i = 0; i < N; i++) {
        p[i] = one(a, ips[i % IPS], protocols[i / IPS % PROTOCOLS], 80 + i / IPS / PROTOCOLS);
    }
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < N; k++) {
            int x = ip_class[i % IPS], y = ip_class[k % IPS];
            bool same =
                protocol_class[i / IPS % PROTOCOLS] == protocol_class[k / IPS % PROTOCOLS] &&
                i / IPS / PROTOCOLS == k / IPS / PROTOCOLS && (x == y || x == 0 || y == 0);
            CHECK_EQ(host_port_excludes(&p[i], &p[k]), same);
        }
    }
    CHECK(!host_ports_clash(p, N, p, 0) && !host_ports_clash(p, 0, p, N));
    const struct host_port free[] = {one(a, "", "TCP", 90), one(a, "", "TCP", 91)};
    const struct host_port wanted[] = {one(a, "", "UDP", 91), one(a, "10.0.0.1", "TCP", 91)};
    CHECK(!host_ports_clash(free, 1, wanted, 2));
    CHECK(!host_ports_clash(free, 2, wanted, 1));
    CHECK(host_ports_clash(free, 2, wanted, 2));
    arena_free(a);
}

TEST(host_ports_of_containers_and_sidecars_count)
{
    struct arena *a = arena_new();
    const struct host_port *p = NULL;
    yyjson_val *spec = parse(
        a, SPAN("{\"containers\":[{\"ports\":[{\"containerPort\":1},{\"containerPort\":2,"
                "\"hostPort\":20,\"hostIP\":\"192.0.2.1\"},{\"containerPort\":3,\"hostPort\":0},"
                "{\"containerPort\":3,\"hostPort\":65536}]}],\"initContainers\":[{\"ports\":[{"
                "\"containerPort\":4,\"hostPort\":40}]},{\"restartPolicy\":\"Always\",\"ports\":[{"
                "\"containerPort\":5,\"hostPort\":50,\"protocol\":\"UDP\"}]}]}"));
    CHECK_EQ(host_ports(a, spec, &p), 2);
    uint32_t addr = 0;
    CHECK(host_port_ipv4(&p[0], &addr));
    CHECK_EQ(addr, 0xc0000201);
    CHECK_EQ(p[0].port, 20);
    CHECK_EQ(p[0].container_port, 2);
    CHECK_EQ(p[0].protocol, HOST_PORT_TCP);
    CHECK(host_port_ipv4(&p[1], &addr));
    CHECK_EQ(addr, 0);
    CHECK_EQ(p[1].port, 50);
    CHECK_EQ(p[1].protocol, HOST_PORT_UDP);
    CHECK(host_port_wanted(spec));
    CHECK(!host_port_wanted(parse(a, SPAN("{\"containers\":[{\"ports\":[{\"hostPort\":0}]}]}"))));
    struct host_port six = one(a, "fd00::1", "TCP", 80);
    CHECK(!host_port_ipv4(&six, &addr));
    arena_free(a);
}
