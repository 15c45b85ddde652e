#include "kit/dns_kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/dns.h"
#include "kit/kit.h"

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

struct span kit_dns_query(uint8_t buf[600], uint16_t id, const char *name, uint16_t type)
{
    memset(buf, 0, DNS_HEADER_BYTES);
    put16(buf, id);
    buf[2] = 1;
    buf[5] = 1;
    size_t n = DNS_HEADER_BYTES + dns_name_write(buf + DNS_HEADER_BYTES, span_cstr(name));
    put16(buf + n, type);
    put16(buf + n + 2, 1);
    return span_of(buf, n + 4);
}

static size_t read_name(const uint8_t *p, size_t n, size_t at, char *out)
{
    size_t end = 0, o = 0;
    for (int hops = 0; hops < 20; hops++) {
        CHECK(at < n);
        if ((p[at] & 0xc0) == 0xc0) {
            end = end ? end : at + 2;
            at = (size_t)(p[at] & 0x3f) << 8 | p[at + 1];
            continue;
        }
        if (p[at] == 0) {
            break;
        }
        if (o) {
            out[o++] = '.';
        }
        memcpy(out + o, p + at + 1, p[at]);
        o += p[at];
        at += 1u + p[at];
    }
    out[o] = '\0';
    return end ? end : at + 1;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void kit_dns_parse(struct span m, struct kit_dns_reply *r)
{
    const uint8_t *p = (const uint8_t *)m.p;
    char name[300], lines[32][300], *sorted[32];
    CHECK(m.n >= 12);
    *r = (struct kit_dns_reply){.id = (uint16_t)(p[0] << 8 | p[1]),
                                .flags = (uint16_t)(p[2] << 8 | p[3])};
    r->rcode = r->flags & 15;
    r->answers = (uint16_t)(p[6] << 8 | p[7]);
    r->authorities = (uint16_t)(p[8] << 8 | p[9]);
    r->additional = (uint16_t)(p[10] << 8 | p[11]);
    size_t at = 12;
    if (p[5]) {
        at = read_name(p, m.n, at, name) + 4;
    }
    int n = 0;
    for (; n < r->answers && n < 32; n++) {
        at = read_name(p, m.n, at, name);
        unsigned type = (unsigned)(p[at] << 8 | p[at + 1]),
                 size = (unsigned)(p[at + 8] << 8 | p[at + 9]);
        const uint8_t *d = p + at + 10;
        char target[300] = "";
        sorted[n] = lines[n];
        if (type == DNS_A) {
            snprintf(lines[n], 300, "A %u.%u.%u.%u;", d[0], d[1], d[2], d[3]);
        } else if (type == DNS_SRV) {
            read_name(p, m.n, at + 16, target);
            snprintf(lines[n], 300, "SRV %u %.200s;", (unsigned)(d[4] << 8 | d[5]), target);
        } else if (type == DNS_CNAME || type == DNS_PTR) {
            read_name(p, m.n, at + 10, target);
            snprintf(lines[n], 300, "%s %.200s;", type == DNS_PTR ? "PTR" : "CNAME", target);
        } else {
            snprintf(lines[n], 300, "type%u;", type);
        }
        at += 10 + size;
    }
    qsort(sorted, (size_t)n, sizeof *sorted, by_text);
    size_t o = 0;
    for (int i = 0; i < n; i++) {
        o += (size_t)snprintf(r->text + o, sizeof r->text - o, "%s", sorted[i]);
    }
}
