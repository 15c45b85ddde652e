#include "apiserver/ip_alloc.h"

#include "base/check.h"
#include "base/mem.h"

bool ip_parse(struct span text, uint32_t *ret)
{
    assert(ret);
    uint32_t ip = 0;
    struct span rest = text;
    for (int i = 0; i < 4; i++) {
        struct span part = i < 3 ? span_cut(&rest, '.') : rest;
        uint64_t n = 0;
        if (part.n == 0 || part.n > 3 || (part.n > 1 && part.p[0] == '0') ||
            !span_to_u64(part, &n) || n > 255) {
            return false;
        }
        ip = ip << 8 | (uint32_t)n;
    }
    *ret = ip;
    return true;
}

struct span ip_text(struct arena *a, uint32_t ip)
{
    assert(a);
    return arena_printf(a, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

bool ip_alloc_init(struct ip_alloc *ips, struct span cidr)
{
    *ips = (struct ip_alloc){0};
    struct span bits = cidr, base = span_cut(&bits, '/');
    uint64_t n = 0;
    uint32_t ip = 0;
    if (!ip_parse(base, &ip) || !span_to_u64(bits, &n) || n < 12 || n > 28) {
        return false;
    }
    ips->count = 1u << (32 - n);
    ips->first = ip & ~(ips->count - 1);
    ips->bits = mem_new_array((ips->count + 63) / 64, sizeof *ips->bits);
    ips->cursor = 1;
    assert((ips->first & (ips->count - 1)) == 0);
    return true;
}

void ip_alloc_done(struct ip_alloc *ips)
{
    assert(ips->bits || ips->count == 0);
    free(ips->bits);
    *ips = (struct ip_alloc){0};
}

bool ip_alloc_contains(const struct ip_alloc *ips, uint32_t ip)
{
    assert(ips);
    return ips->count && ip > ips->first && ip - ips->first < ips->count - 1;
}

static bool is_taken(const struct ip_alloc *ips, uint32_t at)
{
    assert(at < ips->count);
    return ips->bits[at / 64] >> (at % 64) & 1;
}

bool ip_alloc_claim(struct ip_alloc *ips, uint32_t ip)
{
    if (!ip_alloc_contains(ips, ip) || is_taken(ips, ip - ips->first)) {
        return false;
    }
    uint32_t at = ip - ips->first;
    assert(at > 0);
    assert(at < ips->count - 1);
    ips->bits[at / 64] |= 1ull << (at % 64);
    return true;
}

uint32_t ip_alloc_next(struct ip_alloc *ips)
{
    assert((ips->count & (ips->count - 1)) == 0);
    for (uint32_t i = 0; i < ips->count; i++) {
        uint32_t at = (ips->cursor + i) & (ips->count - 1);
        if (ip_alloc_claim(ips, ips->first + at)) {
            ips->cursor = at + 1;
            return ips->first + at;
        }
    }
    return 0;
}

void ip_alloc_release(struct ip_alloc *ips, uint32_t ip)
{
    if (ip_alloc_contains(ips, ip)) {
        uint32_t at = ip - ips->first;
        assert(at < ips->count);
        ips->bits[at / 64] &= ~(1ull << (at % 64));
    }
}
