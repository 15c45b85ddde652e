/* kubelet/kubelet_dns.h: what a pod finds in /etc/hosts and /etc/resolv.conf. PURE. */
#ifndef KUBELET_KUBELET_DNS_H
#define KUBELET_KUBELET_DNS_H

#include "codec/json.h"

struct span kubelet_dns_hostname(struct arena *a, const yyjson_val *pod, struct span zone);
/* "HOST.SUBDOMAIN.NS.svc.ZONE\tHOST" or "HOST". */
struct span kubelet_dns_hosts_names(struct arena *a, const yyjson_val *pod, struct span zone);
/* node_hosts: text of the node's hosts file, for pods in its network. */
struct span kubelet_dns_hosts(struct arena *a, const yyjson_val *pod, struct span node_hosts);
/* node_conf: text of the node's resolv.conf. *ret_missing_dns: fell back for want of a cluster DNS
 * address. */
struct span kubelet_dns_resolv(struct arena *a, const yyjson_val *pod, struct span cluster_dns,
                               struct span zone, struct span node_conf, bool *ret_missing_dns);

#endif
