/* plan/proxy_plan.h: where the cluster address of one Service leads, decided from it and its
 * EndpointSlices. PURE.
 *
 * Each port of the Service leads to the ready endpoints of the slice ports of the same name and
 * protocol; when none is ready, to those that still serve while they end; when there are none at
 * all, nowhere: the connection is refused. IPv4, TCP and UDP. */
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
    uint32_t addr; /* the cluster address, host byte order */
    uint16_t port;
    uint8_t protocol;
    const struct proxy_endpoint *endpoints; /* ascending, each once */
    size_t endpoint_count;
};

struct proxy_view {
    const yyjson_val *service;       /* the object, or NULL: no ports */
    const yyjson_val *const *slices; /* EndpointSlices of the service */
    size_t slice_count;
};

struct proxy_plan {
    struct proxy_port *ports; /* ascending by protocol and port, each once */
    size_t count;
};

void proxy_plan(struct arena *a, const struct proxy_view *view, struct proxy_plan *ret);
/* Same address, port and protocol. */
bool proxy_port_same(const struct proxy_port *a, const struct proxy_port *b);
/* Same endpoints. */
bool proxy_endpoints_same(const struct proxy_port *a, const struct proxy_port *b);

#endif
