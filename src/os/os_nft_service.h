/* os/os_nft_service.h: the nftables table that carries Services' addresses to endpoints.
 *
 * For each number of endpoints up to OS_NFT_DIRECT_MAX there is one map, which leads from address,
 * protocol, port and a random number to the endpoint: a change is a few elements, and the kernel
 * has nothing else to look at. What needs more (more endpoints, affinity, an address for clients
 * outside) has a chain of its own, found by address, protocol and port, or by protocol and port on
 * any address of the node; the kernel checks all chains at each change of one. Connection tracking
 * keeps the choice of an endpoint for the connection's life. What is still bound for the
 * service range after that has no endpoint and is refused. A pod that reaches itself is
 * masqueraded, else it would answer itself directly; so is what comes from outside and leaves the
 * node again, and the node's own 127.0.0.1 on its way to a pod.
 *
 * A host port leads from one address of the node, or from all, to one pod of the node: an element
 * of a map of its own, asked before everything else that is the node's own. Of all addresses, those
 * of the service range (the cluster's DNS) and of loopback other than 127.0.0.1 (resolvers) do not
 * count; one port may be kept for the node itself.
 *
 * With affinity, a set remembers which client went to which endpoint, and forgets it after a time
 * without new connections; an endpoint that is not in the chain any more does not count. The kernel
 * does all of that, and the memory outlives changes of the chain.
 *
 * Each service port carries a fingerprint of what it was made from: a server that comes anew reads
 * what is there and changes only what differs.
 *
 * Batches are built on any thread; os_nft_commit() and os_nft_service_read() belong on a worker. */
#ifndef OS_OS_NFT_SERVICE_H
#define OS_OS_NFT_SERVICE_H

#include <stddef.h>

#include "os/os_nft.h"

enum { OS_NFT_ENDPOINTS_MAX = 1000, OS_NFT_DIRECT_MAX = 16, OS_NFT_PODS_PREFIX_MIN = 20 };

struct os_nft_service_table {
    char table[32];
    char bridge[16];         /* of the pods; the service range is routed to it */
    uint32_t pods, services; /* ranges, host byte order */
    unsigned pods_prefix,
        services_prefix; /* pods_prefix >= OS_NFT_PODS_PREFIX_MIN: each address has an element */
    uint16_t kept_port;  /* of TCP: no host port takes it; 0: none */
};

struct os_nft_service_key {
    uint32_t addr; /* host byte order, as everything here; 0: every address of the node */
    uint16_t port;
    uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
    bool host;        /* a host port, with one endpoint; addr 0: every address of the node */
};

struct os_nft_endpoint {
    uint32_t addr;
    uint16_t port;
};

/* One service port. */
struct os_nft_service {
    struct os_nft_service_key key;
    uint64_t hash;       /* of everything below and of the endpoints; the caller's */
    uint32_t affinity_s; /* 0: none */
    bool outside;        /* clients may be anywhere */
    uint8_t direct;      /* endpoints in the map for so many; 0: it has a chain */
};

/* The table without any service; what it held before goes in the same transaction. */
void os_nft_service_reset(struct os_nft_batch *b, const struct os_nft_service_table *t);
/* was: what is replaced (its key is the same), or NULL. 1 to OS_NFT_ENDPOINTS_MAX endpoints. Sets
 * now->direct. */
void os_nft_service_set(struct os_nft_batch *b, const char *table, struct os_nft_service *now,
                        const struct os_nft_service *was, const struct os_nft_endpoint *endpoints,
                        size_t count);
void os_nft_service_remove(struct os_nft_batch *b, const char *table,
                           const struct os_nft_service *was);

/* What the table holds: *ret is on the heap, affinity_s is 1 for any affinity. -ENOENT when there
 * is no such table or it was made for something else, by another version or for other ranges: then
 * reset. */
int os_nft_service_read(const struct os_nft_service_table *t, struct os_nft_service **ret,
                        size_t *ret_count);

#endif
