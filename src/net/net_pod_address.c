/* IPv4 text and ranges: pure. */
#include "base/check.h"
#include "net/net_pod.h"

bool net_ipv4_parse(struct span text, uint32_t *ret)
{
    assert(ret);
    uint32_t addr = 0;
    size_t dots = 0;
    for (size_t i = 0; i < text.n; i++) {
        dots += text.p[i] == '.';
    }
    if (dots != 3) {
        return false;
    }
    struct span rest = text;
    for (int part = 0; part < 4; part++) {
        struct span digits = span_cut(&rest, '.');
        uint64_t n = 0;
        if (digits.n == 0 || digits.n > 3 || (digits.n > 1 && digits.p[0] == '0')) {
            return false;
        }
        for (size_t i = 0; i < digits.n; i++) {
            if (digits.p[i] < '0' || digits.p[i] > '9') {
                return false;
            }
            n = n * 10 + (uint64_t)(digits.p[i] - '0');
        }
        if (n > 255) {
            return false;
        }
        addr = addr << 8 | (uint32_t)n;
    }
    *ret = addr;
    return true;
}

bool net_cidr_parse(struct span text, struct net_cidr *ret)
{
    assert(ret);
    struct span rest = text;
    struct span ip = span_cut(&rest, '/');
    uint32_t addr;
    uint64_t prefix;
    if (!net_ipv4_parse(ip, &addr) || rest.n == 0 || rest.n > 2 || rest.p[0] == '+' ||
        !span_to_u64(rest, &prefix) || prefix > 32) {
        return false;
    }
    uint32_t mask = prefix ? ~0u << (32 - prefix) : 0;
    *ret = (struct net_cidr){.addr = addr & mask, .prefix = (unsigned)prefix};
    return true;
}

struct span net_ipv4_text(struct arena *a, uint32_t addr)
{
    assert(a);
    return arena_printf(a, "%u.%u.%u.%u", addr >> 24, addr >> 16 & 255, addr >> 8 & 255,
                        addr & 255);
}
