/* Any bytes as a DNS query: read, answered or refused, never worse. */
#include "base/limits.h"
#include "codec/dns.h"
#include "net/dns_zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct dns_zone *zone;
    static uint8_t out[LIMIT_DNS_TCP_BYTES];
    static const uint8_t from[4] = {10, 42, 0, 99};
    size_t bytes;
    if (!zone) {
        const struct zone_record records[] = {
            {.name = SPAN("a.b.svc.cluster.local"), .type = DNS_A, .ip = {1, 2, 3, 4}},
            {.name = SPAN("a.b.svc.cluster.local"),
             .type = DNS_SRV,
             .port = 5,
             .target = SPAN("a.b.svc.cluster.local")}};
        zone = dns_zone_new(SPAN("cluster.local"));
        dns_zone_set_namespace(zone, SPAN("b"), true);
        dns_zone_set(zone, SPAN("b/a"), records, 2);
        dns_zone_set_pod(zone, SPAN("u"), SPAN("b"));
        dns_zone_set_address(zone, SPAN("10.42.0.99"), SPAN("u"));
        dns_zone_ready(zone);
    }
    (void)dns_zone_answer(zone, span_of(data, n), from, n % 2, out, &bytes);
    return 0;
}
