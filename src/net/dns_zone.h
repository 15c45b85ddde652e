/* net/dns_zone.h: all records by name, and the answer to a query.
 *
 * The loop thread changes one owner's records at a time (an owner is a Service or a Namespace); the
 * DNS thread reads. A mutex held for one look-up or one change is the only meeting point: the cost
 * of a change follows that change, where a snapshot of the whole zone would follow its size. */
#ifndef NET_DNS_ZONE_H
#define NET_DNS_ZONE_H

#include "base/span.h"
#include "plan/zone_plan.h"

struct dns_zone;

/* domain: "cluster.local". Until dns_zone_ready() every name of ours answers SERVFAIL. */
struct dns_zone *dns_zone_new(struct span domain);
void dns_zone_free(struct dns_zone *z);
void dns_zone_ready(struct dns_zone *z);
/* Replaces everything that owner ("service/default/redis") has put before. Copies. */
void dns_zone_set(struct dns_zone *z, struct span owner, const struct zone_record *records,
                  size_t count);
/* A namespace's name answers NODATA instead of NXDOMAIN while it exists. */
void dns_zone_set_namespace(struct dns_zone *z, struct span name, bool exists);

/* Whose short names are answered as if the pod's search list had been applied: resolvers such as
 * busybox' nslookup skip the list for names with a dot. Resolvers that do apply it get the same
 * answers as before. A pod is known by its uid as soon as the API has it (ns empty: it is gone),
 * its address as soon as its network is made, which is before its first process can ask; both calls
 * from any thread. */
void dns_zone_set_pod(struct dns_zone *z, struct span uid, struct span ns);
void dns_zone_set_address(struct dns_zone *z, struct span ip, struct span uid);

enum dns_verdict {
    DNS_ANSWERED, /* the reply is in out */
    DNS_FORWARD,  /* not ours: ask the machine's resolvers */
    DNS_ALIAS,    /* ours, but an alias of a name that is not: out has a query for that one, to ask
                     the machine's resolvers; then dns_zone_alias() makes the reply */
    DNS_IGNORE    /* not even a header: drop */
};
/* Any thread. from: the asker's IPv4 address in network byte order, NULL when not known. out has
 * room for LIMIT_DNS_TCP_BYTES when tcp, else LIMIT_DNS_UDP_BYTES. */
enum dns_verdict dns_zone_answer(struct dns_zone *z, struct span message, const uint8_t *from,
                                 bool tcp, uint8_t *out, size_t *ret_bytes);
/* The reply to the message, whose name is an alias of target: with the addresses in somebody's
 * answer for the target, or without any (answer empty). */
size_t dns_zone_alias(struct span message, struct span target, struct span answer, bool tcp,
                      uint8_t *out);
/* A reply of that code to the message (for failed forwarding); 0 when it is no query. */
size_t dns_zone_error(struct span message, int rcode, uint8_t *out);

#endif
