/* Any bytes as a resolver's answer for the target of an alias. */
#include "base/check.h"
#include "base/limits.h"
#include "codec/dns.h"
#include "net/dns_zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t out[LIMIT_DNS_TCP_BYTES];
    uint8_t query[DNS_QUERY_BYTES_MAX];
    size_t bytes =
        dns_query_write(query, 7, SPAN("a.b.svc.cluster.local"), n % 2 ? DNS_A : DNS_AAAA);
    size_t reply = dns_zone_alias(span_of(query, bytes), SPAN("db.example.com"), span_of(data, n),
                                  n % 3 == 0, out);
    assert(reply > DNS_HEADER_BYTES);
    return 0;
}
