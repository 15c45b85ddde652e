/* net/net_pod.h: the pod network of one node: a bridge, one veth pair a pod, addresses, masquerade.
 *
 * The bridge has the first address of the node's pod range (the gateway) and, as a /32, the cluster
 * DNS address. The service range is routed to the bridge, so that a packet to an address that no
 * service has cannot leave the machine. A pod has its address as a /32 and sends everything to the
 * gateway: also traffic between two pods of the node passes the host's stack, where connection
 * tracking sees both directions of a service's connection. A pod's hardware address follows from
 * its IP address, so a reused address never meets a stale neighbour entry.
 *
 * Which address belongs to whom is kept in state_dir: a symbolic link named by the address,
 * pointing to the pod's uid. Making the link is atomic and fails when it exists: no address is ever
 * used twice, without locks, across restarts. Addresses of another boot are dropped by setup.
 *
 * Everything here blocks (up to a few milliseconds): worker threads only. A struct net_pod may be
 * used by several threads at once. It works in the network namespace of the calling thread. */
#ifndef NET_NET_POD_H
#define NET_NET_POD_H

#include "base/arena.h"
#include "base/span.h"

struct net_cidr {
    uint32_t addr; /* host byte order, host bits zero */
    unsigned prefix;
};

/* "10.42.0.0/24"; host bits may be set, they are dropped. False when malformed. */
bool net_cidr_parse(struct span text, struct net_cidr *ret);
/* "10.42.0.7", no leading zeros. */
bool net_ipv4_parse(struct span text, uint32_t *ret);
struct span net_ipv4_text(struct arena *a, uint32_t addr);

struct net_pod_config {
    struct span bridge;   /* link name, at most 15 bytes; also names the nft table "berth-BRIDGE" */
    struct span pod_cidr; /* of this node: "10.42.0.0/24", prefix 8 to 29 */
    struct span service_cidr; /* empty: none */
    struct span cluster_dns;  /* empty: none */
    struct span state_dir;    /* absolute, made here: DATA/net, which a restart keeps */
    unsigned mtu;             /* 0: that of the link of the default route */
};

struct net_pod;
struct os_nft_service_table;

/* Checks the configuration, touches nothing. -EINVAL with a sentence. */
int net_pod_new(const struct net_pod_config *config, struct arena *a, struct net_pod **ret,
                struct span *ret_detail);
void net_pod_free(struct net_pod *net);
/* Gateway address of the pods: where the API server listens for them. */
uint32_t net_pod_gateway(const struct net_pod *net);
/* The table of the masquerade; lives as long as net. */
const char *net_pod_table(const struct net_pod *net);

/* The table of the services' addresses (net/proxy), named "berth-BRIDGE-svc"; false when there is
 * no service range or the pod range is larger than such a table serves. net_pod_remove() removes
 * it. */
bool net_pod_service_table(const struct net_pod *net, struct os_nft_service_table *ret);

/* Makes or repairs the bridge, its addresses, the service route, forwarding and masquerade.
 * Idempotent. */
int net_pod_setup(struct net_pod *net, struct arena *a, struct span *ret_detail);
/* Puts the masquerade back when its table is not the one that was made last. Returns 1 when it has,
 * 0, or a negative errno. Not beside itself or net_pod_setup(). */
int net_pod_keep_masquerade(struct net_pod *net);
/* Gives the pod its address (the same one when asked again) and connects the namespace nsfd as
 * "eth0". Idempotent. */
int net_pod_attach(struct net_pod *net, struct span uid, int nsfd, struct arena *a,
                   struct span *ret_ip, struct span *ret_detail);
/* Removes the pod's link (its other end goes too) and gives its address back. Absent is success. */
int net_pod_detach(struct net_pod *net, struct span uid, struct arena *a);
/* Removes links of pods, bridge, nft tables and the state directory. Forwarding stays on: others
 * may rely on it. */
int net_pod_remove(struct net_pod *net, struct arena *a);

#endif
