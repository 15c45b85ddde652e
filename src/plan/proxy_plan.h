/* plan/proxy_plan.h: where the addresses of one Service lead, decided from it and its
 * EndpointSlices; and the host ports of one pod. PURE.
 *
 * A Service is reached by its cluster address, by its node ports on every address of the node, and
 * by its external addresses (spec.externalIPs, and what a load balancer wrote into the status).
 * Each port leads to the ready endpoints of the slice ports of the same name and protocol; when
 * none is ready, to those that still serve while they end; when there are none at all, nowhere: the
 * connection is refused. A traffic policy "Local" leaves only endpoints of this node. IPv4, TCP and
 * UDP.
 *
 * A host port leads to the pod on this node as long as the pod has an address of its own and has
 * not ended. */
#ifndef PLAN_PROXY_PLAN_H
#define PLAN_PROXY_PLAN_H

#include <yyjson.h>

#include "base/arena.h"

enum {
    PROXY_TCP = 6, /* as in the IP header */
    PROXY_UDP = 17,
    PROXY_ENDPOINTS_MAX = 1000, /* of one port, as many as core Endpoints show; the rest is idle */
};

struct proxy_endpoint {
    uint32_t addr; /* host byte order */
    uint16_t port;
};

struct proxy_port {
    uint32_t addr; /* host byte order; 0: every address of the node */
    uint16_t port;
    uint8_t protocol;
    bool host;           /* a pod's host port: addr is one of the node's, or 0 */
    bool outside;        /* not by the cluster address: clients may be anywhere */
    uint32_t affinity_s; /* a client comes to the same endpoint for so long; 0: to any */
    const struct proxy_endpoint *endpoints; /* ascending, each once */
    size_t endpoint_count;
};

struct proxy_view {
    const yyjson_val *service;       /* the object, or NULL: no ports */
    const yyjson_val *const *slices; /* EndpointSlices of the service */
    size_t slice_count;
    struct span node; /* this node's name */
};

struct proxy_plan {
    struct proxy_port *ports; /* ascending by protocol, port and address, each once */
    size_t count;
};

void proxy_plan(struct arena *a, const struct proxy_view *view, struct proxy_plan *ret);
/* The host ports of a pod of this node; pod NULL, or in the node's own network: none. */
void proxy_plan_pod(struct arena *a, const yyjson_val *pod, struct proxy_plan *ret);
/* Same address, port and protocol. */
bool proxy_port_same(const struct proxy_port *a, const struct proxy_port *b);
/* A fingerprint of where the port leads and how: equal for equal endpoints, affinity and kind of
 * address, whatever the Service. Never 0. */
uint64_t proxy_port_hash(const struct proxy_port *port);

#endif
