/* codec/dns.h: DNS messages (RFC 1035, EDNS RFC 6891): a bounded reader of queries, a bounded
 * writer of replies. */
#ifndef CODEC_DNS_H
#define CODEC_DNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_OPT = 41,
    DNS_AXFR = 252,
    DNS_ANY = 255
};
enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5
};

enum { DNS_NAME_BYTES_MAX = 255, DNS_HEADER_BYTES = 12 };

struct dns_query {
    uint16_t id;
    bool recursion_desired;
    char name[DNS_NAME_BYTES_MAX + 1]; /* text, lower case, without the last dot; "" is the root */
    size_t name_bytes;
    struct span question; /* the wire bytes of the question section, in the query's own case */
    uint16_t type, class;
    uint16_t udp_bytes; /* what the asker takes over UDP: 512, or the EDNS size clipped to
                           LIMIT_DNS_UDP_BYTES */
    bool edns;
};

/* Reads a query. 0; E_SYNTAX when it is no query with one question; then ret->id is set if there
 * was a header, and a FORMERR may be answered. Names with a dot or NUL inside a label are E_SYNTAX.
 */
int dns_query_read(struct span message, struct dns_query *ret);

/* A reply under construction in the caller's buffer. Records that do not fit set TC and are left
 * out, and so is all that follows. */
struct dns_writer {
    uint8_t *at;
    size_t cap, n;
    size_t reserved; /* for the OPT record at the end */
    bool truncated;
    uint16_t counts[4];
    bool edns;
};

/* max: bytes the reply may have (at least 512). */
void dns_reply_begin(struct dns_writer *w, void *buf, size_t max, const struct dns_query *q);
enum dns_section { DNS_ANSWER = 1, DNS_AUTHORITY = 2, DNS_ADDITIONAL = 3 };
/* owner NULL: the question's name (compressed). rdata is wire form. */
void dns_put_record(struct dns_writer *w, enum dns_section section, const struct span *owner,
                    uint16_t type, uint32_t ttl_s, struct span rdata);
/* Sets header and counts; returns the reply's length. aa: authoritative. */
size_t dns_reply_end(struct dns_writer *w, const struct dns_query *q, enum dns_rcode rcode, bool aa,
                     bool ra);

/* A query for name with EDNS and recursion desired, in out (DNS_QUERY_BYTES_MAX); its bytes, 0 when
 * the name is malformed. */
enum { DNS_QUERY_BYTES_MAX = DNS_HEADER_BYTES + DNS_NAME_BYTES_MAX + 4 + 11 };
size_t dns_query_write(uint8_t *out, uint16_t id, struct span name, uint16_t type);

/* The answers of one type in somebody's reply: whose names they are is the replier's word. */
struct dns_answers {
    struct span message;
    size_t at, left;
    uint8_t rcode;
    bool truncated;
};
/* 0; E_SYNTAX when it is no reply with one question. */
int dns_answers_begin(struct span message, struct dns_answers *ret);
/* The next record of the type; false at the end, and at the first malformed byte. */
bool dns_answers_next(struct dns_answers *r, uint16_t type, uint32_t *ret_ttl_s,
                      struct span *ret_rdata);

/* Wire form of a name given as text without last dot; returns its bytes (at most 255), 0 when it is
 * malformed. */
size_t dns_name_write(uint8_t out[DNS_NAME_BYTES_MAX], struct span name);

/* True when name is zone or ends in ".zone" (both lower case). */
bool dns_name_is_under(struct span name, struct span zone);

#endif
