/* IPv4 text and ranges. */
#include "kit/kit.h"
#include "net/net_pod.h"

TEST(an_address_is_four_decimal_numbers_without_leading_zeros)
{
    uint32_t addr;
    CHECK(net_ipv4_parse(SPAN("10.42.0.7"), &addr));
    CHECK_EQ(addr, 0x0a2a0007);
    CHECK(net_ipv4_parse(SPAN("255.255.255.255"), &addr));
    CHECK_EQ(addr, 0xffffffff);
    static const char *bad[] = {"",         "1.2.3",     "1.2.3.4.",  "1.2.3.4.5",
                                "01.2.3.4", "256.1.1.1", "1..2.3",    "1.2.3.4 ",
                                "-1.2.3.4", "1.2.3.0x1", "1.2.3.1000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kit_note("%s", bad[i]);
        CHECK(!net_ipv4_parse(span_cstr(bad[i]), &addr));
    }
}

TEST(a_range_drops_its_host_bits)
{
    struct net_cidr c;
    CHECK(net_cidr_parse(SPAN("10.42.3.9/16"), &c));
    CHECK_EQ(c.addr, 0x0a2a0000);
    CHECK_EQ(c.prefix, 16);
    CHECK(net_cidr_parse(SPAN("0.0.0.0/0"), &c));
    CHECK(net_cidr_parse(SPAN("1.2.3.4/32"), &c));
    CHECK_EQ(c.addr, 0x01020304);
    static const char *bad[] = {"10.42.0.0",    "10.42.0.0/", "10.42.0.0/33", "10.42.0.0/-1",
                                "10.42.0.0/+8", "/8",         "10.42/8",      "10.42.0.0/8/8"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kit_note("%s", bad[i]);
        CHECK(!net_cidr_parse(span_cstr(bad[i]), &c));
    }
}

TEST(text_and_number_are_inverse)
{
    cleanup_arena struct arena *a = arena_new();
    for (int i = 0; i < 1000; i++) {
        uint32_t addr = (uint32_t)kit_random(), back;
        CHECK(net_ipv4_parse(net_ipv4_text(a, addr), &back));
        CHECK_EQ(back, addr);
    }
}

TEST(a_configuration_that_cannot_work_is_refused_with_a_sentence)
{
    cleanup_arena struct arena *a = arena_new();
    struct net_pod *net;
    struct span detail = SPAN_NULL;
    struct net_pod_config good = {
        .bridge = SPAN("berth0"), .pod_cidr = SPAN("10.42.0.0/24"), .state_dir = SPAN("/nowhere")};
    CHECK_EQ(net_pod_new(&good, a, &net, &detail), 0);
    CHECK_EQ(net_pod_gateway(net), 0x0a2a0001);
    net_pod_free(net);
    struct net_pod_config bad = good;
    bad.pod_cidr = SPAN("10.42.0.0/30");
    CHECK(net_pod_new(&bad, a, &net, &detail) < 0);
    CHECK_SPAN(detail, "pod range \"10.42.0.0/30\" is not an IPv4 range of /8 to /29");
    bad = good;
    bad.bridge = SPAN("a-name-too-long-for-linux");
    CHECK(net_pod_new(&bad, a, &net, &detail) < 0);
    bad = good;
    bad.cluster_dns = SPAN("10.43.0");
    CHECK(net_pod_new(&bad, a, &net, &detail) < 0);
}
