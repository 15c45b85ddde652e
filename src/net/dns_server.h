/* net/dns_server.h: the DNS server: a thread of its own, so that answers never wait behind the
 * control plane.
 *
 * UDP and TCP on one address. Names of the zone are answered from it; all others go to the
 * machine's resolvers (resolv.conf, read again when it changes; addresses of our own are left out,
 * so that no loop can arise). Bounded: LIMIT_ constants in dns_server.c; over a bound the query is
 * answered SERVFAIL. No timer runs while nothing is under way. */
#ifndef NET_DNS_SERVER_H
#define NET_DNS_SERVER_H

#include <stdint.h>

#include "net/dns_zone.h"

struct dns_server;

struct dns_server_options {
    const char *address;     /* IPv4, must be an address of this machine */
    uint16_t port;           /* 53; 0 picks one (tests) */
    const char *resolv_conf; /* "/etc/resolv.conf" */
};

/* Binds and starts the thread. 0 or a negative errno (-EADDRINUSE, -EADDRNOTAVAIL). The zone must
 * outlive the server. */
int dns_server_start(struct dns_zone *zone, const struct dns_server_options *options,
                     struct dns_server **ret);
/* Ends the thread. NULL is fine. */
void dns_server_stop(struct dns_server *s);

#endif
