/* net/net_guard.h: the kernel's tables come back when somebody takes them away, as a firewall does
 * that loads its rules ("flush ruleset").
 *
 * The kernel tells after each transaction that the rules are new; a worker then looks whether the
 * tables are still those that were made. Loop thread. */
#ifndef NET_NET_GUARD_H
#define NET_NET_GUARD_H

#include "env/env.h"
#include "net/net_pod.h"
#include "net/proxy.h"

struct net_guard;

/* net, and proxy, which may be NULL, outlive it. Where the kernel cannot tell, that is logged, and
 * the tables are not guarded. */
struct net_guard *net_guard_new(struct env *env, struct net_pod *net, struct proxy *proxy);
/* Nothing is put back once this has returned. For the way to the end of the process. */
void net_guard_stop(struct net_guard *g);

#endif
