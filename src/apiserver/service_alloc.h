/* apiserver/service_alloc.h: what Services take from the server's common stock: a cluster address
 * (ip_alloc) and node ports.
 *
 * A port number is taken once, whatever its protocols; a Service may use one number for several of
 * its ports, the protocols differing. An operation notes what it claimed, to give it back when its
 * write fails, and what it lets go, to give back when its write has succeeded. */
#ifndef APISERVER_SERVICE_ALLOC_H
#define APISERVER_SERVICE_ALLOC_H

#include <yyjson.h>

#include "apiserver/ip_alloc.h"

enum {
    NODE_PORT_FIRST = 30000,
    NODE_PORT_LAST = 32767,
    NODE_PORT_COUNT = NODE_PORT_LAST - NODE_PORT_FIRST + 1,
    /* Chosen by the server only when all others are taken, so that a person's choice there meets
     * none of the server's. */
    NODE_PORT_SPARED = 86,
};

struct port_alloc {
    uint64_t bits[(NODE_PORT_COUNT + 63) / 64];
    uint32_t cursor; /* the next search starts here, so that ports are not reused at once */
};

struct service_stock {
    struct ip_alloc ips;
    struct port_alloc ports;
};

struct service_claims {
    uint32_t ip; /* 0: none */
    uint16_t *ports;
    size_t port_count;
};

/* Marks; false when it is taken. The port is of the range. */
bool port_alloc_claim(struct port_alloc *ports, uint32_t port);
/* 0 when all are taken. */
uint32_t port_alloc_next(struct port_alloc *ports);

void service_claims_add_port(struct arena *a, struct service_claims *c, uint32_t port);
/* Gives back what is claimed, and empties the claims. */
void service_claims_release(struct service_stock *stock, struct service_claims *c);
/* What a stored Service has is taken, or, of a deleted one, free again. */
void service_stock_take(struct service_stock *stock, const yyjson_val *service);
void service_stock_give_back(struct service_stock *stock, const yyjson_val *service);

#endif
