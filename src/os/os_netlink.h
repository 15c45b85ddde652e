/* os/os_netlink.h: links, addresses and routes of one network namespace (rtnetlink over libmnl; no
 * caches, one message each). Blocking, microseconds to a millisecond: worker threads only. One
 * handle, one thread at a time.
 *
 * Addresses are IPv4 in host byte order. "ensure" and "delete" calls are idempotent. */
#ifndef OS_OS_NETLINK_H
#define OS_OS_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct os_netlink;

/* Opens a socket in the namespace nsfd (-1: this thread's own); the handle may then be used from
 * anywhere. */
int os_netlink_open(int nsfd, struct os_netlink **ret);
void os_netlink_free(struct os_netlink *nl);

/* Index of the link, or -ENODEV. */
int os_netlink_index(struct os_netlink *nl, const char *name);
/* MTU of the link that the default route leaves by, 1500 when there is none. */
unsigned os_netlink_uplink_mtu(struct os_netlink *nl);
/* A bridge with this hardware address and MTU, up. */
int os_netlink_bridge_ensure(struct os_netlink *nl, const char *name, const uint8_t mac[6],
                             unsigned mtu);
/* A veth pair: `name` here, up and a port of the bridge; `peer` in namespace peer_nsfd with
 * hardware address mac. -EEXIST when `name` exists. */
int os_netlink_veth_create(struct os_netlink *nl, const char *name, int bridge_index,
                           const char *peer, int peer_nsfd, const uint8_t mac[6], unsigned mtu);
/* A port of a bridge may also get back what came in by it: where br_netfilter is loaded, a packet
 * of a pod to itself through a service does not pass the host's routing. */
int os_netlink_hairpin(struct os_netlink *nl, int index);
int os_netlink_up(struct os_netlink *nl, int index);
int os_netlink_link_delete(struct os_netlink *nl, const char *name);
int os_netlink_address_ensure(struct os_netlink *nl, int index, uint32_t addr, unsigned prefix);
/* gateway 0: on the link itself. dst 0/0: the default route. src 0: the kernel's choice. */
int os_netlink_route_ensure(struct os_netlink *nl, int index, uint32_t dst, unsigned prefix,
                            uint32_t gateway, uint32_t src);

#endif
