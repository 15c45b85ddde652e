/* net/dns_feed.h: keeps a DNS zone true to the API's Services, EndpointSlices and Namespaces. Loop
 * thread. */
#ifndef NET_DNS_FEED_H
#define NET_DNS_FEED_H

#include "client/client.h"
#include "net/dns_zone.h"

struct dns_feed;

/* The zone becomes ready when all three are known. */
struct dns_feed *dns_feed_new(struct client *client, struct dns_zone *zone, struct span domain);

#endif
