/* plan/host_port.h: the ports of its node that a pod asks for (ports[].hostPort), and which of them
 * exclude each other. PURE.
 *
 * Two pods of one node get in each other's way when a protocol and a number are the same and so is
 * the address, or when one of them wants every address (no hostIP, 0.0.0.0 or ::). Pods in the
 * node's own network count: the API gives their ports the same number as host port. */
#ifndef PLAN_HOST_PORT_H
#define PLAN_HOST_PORT_H

#include <yyjson.h>

#include "base/arena.h"

enum host_port_protocol { HOST_PORT_TCP = 6, HOST_PORT_UDP = 17, HOST_PORT_SCTP = 132 };

struct host_port {
    uint8_t ip[16]; /* IPv6, or IPv4 mapped into it; zeros: every address of the node */
    uint16_t port, container_port;
    uint8_t protocol; /* as in the IP header */
};

/* The host ports of its containers and sidecars, in the order of the spec; *ret is the arena's,
 * untouched when there are none. Returns how many. */
size_t host_ports(struct arena *a, const yyjson_val *pod_spec, const struct host_port **ret);
bool host_port_wanted(const yyjson_val *pod_spec);
bool host_port_excludes(const struct host_port *x, const struct host_port *y);
/* Any of these and any of those. */
bool host_ports_clash(const struct host_port *x, size_t x_count, const struct host_port *y,
                      size_t y_count);
/* The IPv4 address in host byte order, 0 for every address; false for one of IPv6. */
bool host_port_ipv4(const struct host_port *p, uint32_t *ret);

#endif
