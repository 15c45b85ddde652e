#include "codec/dns.h"

#include "base/check.h"
#include "base/err.h"
#include "base/limits.h"

enum { LABEL_BYTES_MAX = 63, OPT_BYTES = 11, QUERY_RECORDS_MAX = 8 };

/* ---- reading: a bounded cursor with a sticky error ---- */

struct reader {
    const uint8_t *p;
    size_t n, at;
    bool bad;
};

static uint16_t get16(struct reader *r)
{
    if (r->bad || r->n - r->at < 2) {
        r->bad = true;
        return 0;
    }
    uint16_t v = (uint16_t)(r->p[r->at] << 8 | r->p[r->at + 1]);
    r->at += 2;
    return v;
}

static void skip(struct reader *r, size_t n)
{
    if (r->bad || r->n - r->at < n) {
        r->bad = true;
    } else {
        r->at += n;
    }
}

/* A question's name: no compression, lower-cased text into out. */
static size_t get_name(struct reader *r, char out[DNS_NAME_BYTES_MAX + 1])
{
    size_t n = 0, start = r->at;
    while (!r->bad) {
        if (r->at == r->n) {
            break;
        }
        uint8_t len = r->p[r->at++];
        if (len == 0) {
            out[n] = '\0';
            return n;
        }
        if (len > LABEL_BYTES_MAX || r->n - r->at < len ||
            r->at + len - start >= DNS_NAME_BYTES_MAX) {
            break;
        }
        if (n) {
            out[n++] = '.';
        }
        for (size_t i = 0; i < len; i++) {
            uint8_t c = r->p[r->at++];
            if (c == '.' || c == '\0') {
                r->bad = true;
                return 0;
            }
            out[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
    }
    r->bad = true;
    return 0;
}

/* Skips a record's owner: labels or a compression pointer. */
static void skip_name(struct reader *r)
{
    while (!r->bad) {
        if (r->at == r->n) {
            r->bad = true;
            return;
        }
        uint8_t len = r->p[r->at++];
        if (len == 0) {
            return;
        }
        if ((len & 0xc0) == 0xc0) {
            skip(r, 1);
            return;
        }
        if (len > LABEL_BYTES_MAX) {
            r->bad = true;
        }
        skip(r, len);
    }
}

static void read_additional(struct reader *r, size_t count, struct dns_query *q)
{
    for (size_t i = 0; i < count && !r->bad; i++) {
        skip_name(r);
        uint16_t type = get16(r), size = get16(r);
        skip(r, 4);
        skip(r, get16(r));
        if (type == DNS_OPT && !r->bad) {
            q->edns = true;
            q->udp_bytes = size < 512                   ? 512
                           : size > LIMIT_DNS_UDP_BYTES ? LIMIT_DNS_UDP_BYTES
                                                        : size;
        }
    }
}

int dns_query_read(struct span message, struct dns_query *ret)
{
    struct reader r = {(const uint8_t *)message.p, message.n, 0, false};
    *ret = (struct dns_query){.udp_bytes = 512};
    ret->id = get16(&r);
    uint16_t flags = get16(&r);
    uint16_t questions = get16(&r), answers = get16(&r), authorities = get16(&r),
             additional = get16(&r);
    if (r.bad || (flags & 0x8000) || questions != 1 || answers || authorities ||
        additional > QUERY_RECORDS_MAX || message.n > LIMIT_DNS_TCP_BYTES) {
        return E_SYNTAX;
    }
    ret->recursion_desired = flags & 0x0100;
    size_t start = r.at;
    ret->name_bytes = get_name(&r, ret->name);
    assert(ret->name_bytes <= DNS_NAME_BYTES_MAX);
    ret->type = get16(&r);
    ret->class = get16(&r);
    if (r.bad) {
        return E_SYNTAX;
    }
    ret->question = span_of(message.p + start, r.at - start);
    read_additional(&r, additional, ret);
    return r.bad || (flags & 0x7800) ? E_SYNTAX : 0; /* other opcodes are not queries */
}

/* ---- replies ---- */

int dns_answers_begin(struct span message, struct dns_answers *ret)
{
    assert(ret);
    struct reader r = {(const uint8_t *)message.p, message.n, 0, false};
    (void)get16(&r);
    uint16_t flags = get16(&r), questions = get16(&r), answers = get16(&r);
    skip(&r, 4);
    if (r.bad || !(flags & 0x8000) || questions != 1) {
        return E_SYNTAX;
    }
    skip_name(&r);
    skip(&r, 4);
    *ret = (struct dns_answers){.message = message,
                                .at = r.at,
                                .left = answers,
                                .rcode = flags & 15,
                                .truncated = flags & 0x0200};
    return r.bad ? E_SYNTAX : 0;
}

bool dns_answers_next(struct dns_answers *a, uint16_t type, uint32_t *ret_ttl_s,
                      struct span *ret_rdata)
{
    assert(a->at <= a->message.n);
    assert(ret_ttl_s);
    assert(ret_rdata);
    struct reader r = {(const uint8_t *)a->message.p, a->message.n, a->at, false};
    while (a->left && !r.bad) {
        a->left--;
        skip_name(&r);
        uint16_t has = get16(&r), class = get16(&r), high = get16(&r), low = get16(&r),
                 n = get16(&r);
        size_t start = r.at;
        skip(&r, n);
        a->at = r.at;
        assert(a->at <= a->message.n);
        if (!r.bad && has == type && class == 1) {
            *ret_ttl_s = (uint32_t)high << 16 | low;
            *ret_rdata = span_of(a->message.p + start, n);
            return true;
        }
    }
    a->left = 0;
    return false;
}

/* ---- writing ---- */

static void put16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

void dns_reply_begin(struct dns_writer *w, void *buf, size_t max, const struct dns_query *q)
{
    assert(max >= 512);
    *w = (struct dns_writer){.at = buf, .cap = max, .edns = q->edns};
    w->reserved = q->edns ? OPT_BYTES : 0;
    memset(w->at, 0, DNS_HEADER_BYTES);
    w->n = DNS_HEADER_BYTES;
    assert(q->question.n <= DNS_NAME_BYTES_MAX + 4);
    if (q->question.n) {
        memcpy(w->at + w->n, q->question.p, q->question.n);
    }
    w->n += q->question.n;
    w->counts[0] = q->question.n ? 1 : 0;
}

size_t dns_name_write(uint8_t out[DNS_NAME_BYTES_MAX], struct span name)
{
    assert(out);
    size_t n = 0;
    struct span rest = name;
    while (rest.n) {
        struct span label = span_cut(&rest, '.');
        if (label.n == 0 || label.n > LABEL_BYTES_MAX || n + label.n + 2 > DNS_NAME_BYTES_MAX) {
            return 0;
        }
        out[n++] = (uint8_t)label.n;
        memcpy(out + n, label.p, label.n);
        n += label.n;
        assert(n < DNS_NAME_BYTES_MAX);
    }
    out[n++] = 0;
    return n;
}

void dns_put_record(struct dns_writer *w, enum dns_section section, const struct span *owner,
                    uint16_t type, uint32_t ttl_s, struct span rdata)
{
    uint8_t name[DNS_NAME_BYTES_MAX] = {0xc0, DNS_HEADER_BYTES};
    size_t name_n = owner ? dns_name_write(name, *owner) : 2;
    assert(rdata.n <= UINT16_MAX);
    if (name_n == 0) {
        return;
    }
    if (w->truncated || w->n + name_n + 10 + rdata.n + w->reserved > w->cap) {
        w->truncated |= section != DNS_ADDITIONAL; /* additional records are a courtesy */
        return;
    }
    uint8_t *at = w->at + w->n;
    memcpy(at, name, name_n);
    at += name_n;
    put16(at, type);
    put16(at + 2, 1);
    put16(at + 4, (uint16_t)(ttl_s >> 16));
    put16(at + 6, (uint16_t)ttl_s);
    put16(at + 8, (uint16_t)rdata.n);
    memcpy(at + 10, rdata.p, rdata.n);
    w->n += name_n + 10 + rdata.n;
    w->counts[section]++;
}

size_t dns_reply_end(struct dns_writer *w, const struct dns_query *q, enum dns_rcode rcode, bool aa,
                     bool ra)
{
    if (w->edns) {
        uint8_t *opt = w->at + w->n;
        memset(opt, 0, OPT_BYTES);
        put16(opt + 1, DNS_OPT);
        put16(opt + 3, LIMIT_DNS_UDP_BYTES);
        w->n += OPT_BYTES;
        w->counts[DNS_ADDITIONAL]++;
    }
    put16(w->at, q->id);
    put16(w->at + 2,
          (uint16_t)(0x8000 | (aa ? 0x0400 : 0) | (w->truncated ? 0x0200 : 0) |
                     (q->recursion_desired ? 0x0100 : 0) | (ra ? 0x0080 : 0) | (unsigned)rcode));
    for (size_t i = 0; i < 4; i++) {
        put16(w->at + 4 + 2 * i, w->counts[i]);
    }
    assert(w->n <= w->cap);
    return w->n;
}

size_t dns_query_write(uint8_t *out, uint16_t id, struct span name, uint16_t type)
{
    memset(out, 0, DNS_QUERY_BYTES_MAX);
    put16(out, id);
    put16(out + 2, 0x0100);
    put16(out + 4, 1);
    put16(out + 10, 1);
    size_t n = dns_name_write(out + DNS_HEADER_BYTES, name);
    if (n == 0) {
        return 0;
    }
    n += DNS_HEADER_BYTES;
    put16(out + n, type);
    put16(out + n + 2, 1);
    n += 4;
    put16(out + n + 1, DNS_OPT);
    put16(out + n + 3, LIMIT_DNS_UDP_BYTES);
    n += OPT_BYTES;
    assert(n <= DNS_QUERY_BYTES_MAX);
    return n;
}

bool dns_name_is_under(struct span name, struct span zone)
{
    assert(zone.n > 0);
    return span_ends(name, zone) && (name.n == zone.n || name.p[name.n - zone.n - 1] == '.');
}
