/* net/proxy.h: carries Services' addresses to their endpoints, and host ports to this node's pods,
 * with nftables.
 *
 * What leads where is decided by plan/proxy_plan; a change becomes one atomic transaction with the
 * differences of the services and pods concerned (net/proxy_table), on a work thread, one after the
 * other. The first one, and the one after a failure, finds out what the kernel has and changes only
 * what differs. Loop thread. */
#ifndef NET_PROXY_H
#define NET_PROXY_H

#include "client/client.h"
#include "os/os_nft_service.h"

struct proxy;

/* node: this node's name, for traffic policies and its pods. */
struct proxy *proxy_new(struct env *env, struct client *client,
                        const struct os_nft_service_table *table, struct span node);
/* The kernel's table may be another one than was made: it is read again, and what differs is put
 * back. */
void proxy_read_again(struct proxy *p);
/* No transaction begins after this; the table stays until net_pod_remove(). For the way to the
 * end of the process. */
void proxy_stop(struct proxy *p);

#endif
