/* apiserver/ip_alloc.h: which addresses of the service range are taken: one bit each. IPv4, at most
 * 2^20 addresses. Addresses are host-order numbers; 0 means none. */
#ifndef APISERVER_IP_ALLOC_H
#define APISERVER_IP_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

struct ip_alloc {
    uint32_t first, count; /* the network's first address, and how many */
    uint64_t *bits;
    uint32_t cursor; /* the next search starts here, so that addresses are not reused at once */
};

/* "10.43.0.0/16" (/12 to /28). False when malformed: then nothing can be allocated. */
bool ip_alloc_init(struct ip_alloc *ips, struct span cidr);
void ip_alloc_done(struct ip_alloc *ips);
/* Marks; false when it is taken or outside (network and broadcast address count as outside). */
bool ip_alloc_claim(struct ip_alloc *ips, uint32_t ip);
/* 0 when the range is full. */
uint32_t ip_alloc_next(struct ip_alloc *ips);
void ip_alloc_release(struct ip_alloc *ips, uint32_t ip); /* 0 and outside: no-op */
bool ip_alloc_contains(const struct ip_alloc *ips, uint32_t ip);
/* Strict dotted quad; false otherwise. */
bool ip_parse(struct span text, uint32_t *ret);
struct span ip_text(struct arena *a, uint32_t ip);

#endif
