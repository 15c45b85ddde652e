/* os/os_nft_service.h: the nftables table that carries Services' cluster addresses to endpoints.
 *
 * A map leads from address, protocol and port to a chain, which picks one endpoint at random and
 * rewrites the destination; connection tracking keeps the choice for the connection's life. What is
 * still bound for the service range after that has no endpoint and is refused. A pod that reaches
 * itself is masqueraded, else it would answer itself directly.
 *
 * Batches are built on any thread; os_nft_commit() belongs on a worker. */
#ifndef OS_OS_NFT_SERVICE_H
#define OS_OS_NFT_SERVICE_H

#include <stddef.h>

#include "os/os_nft.h"

enum { OS_NFT_ENDPOINTS_MAX = 1000, OS_NFT_PODS_PREFIX_MIN = 20 };

struct os_nft_service_table {
    char table[32];
    char bridge[16];         /* of the pods; the service range is routed to it */
    uint32_t pods, services; /* ranges, host byte order */
    unsigned pods_prefix,
        services_prefix; /* pods_prefix >= OS_NFT_PODS_PREFIX_MIN: each address has an element */
};

struct os_nft_service_key {
    uint32_t addr; /* host byte order, as everything here */
    uint16_t port;
    uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
};

struct os_nft_endpoint {
    uint32_t addr;
    uint16_t port;
};

/* The table without any service; what it held before goes in the same transaction. */
void os_nft_service_reset(struct os_nft_batch *b, const struct os_nft_service_table *t);
/* New, or replaced when `exists`. 1 to OS_NFT_ENDPOINTS_MAX endpoints. */
void os_nft_service_set(struct os_nft_batch *b, const char *table, struct os_nft_service_key key,
                        bool exists, const struct os_nft_endpoint *endpoints, size_t count);
void os_nft_service_remove(struct os_nft_batch *b, const char *table,
                           struct os_nft_service_key key);

#endif
