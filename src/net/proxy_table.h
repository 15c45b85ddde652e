/* net/proxy_table.h: what the kernel's table of services holds, what it should hold, and the
 * transaction between the two.
 *
 * Each address, protocol and port is one slot with one owner (a Service). An external address that
 * two Services want is the first one's; the other gets it when the first lets go. At the start, and
 * after a failure, the kernel's table is read and only what differs is changed: open connections
 * and the memory of affinity stay.
 *
 * release, claim, put: loop thread, while no work is under way. read, commit: a work thread, alone.
 */
#ifndef NET_PROXY_TABLE_H
#define NET_PROXY_TABLE_H

#include "os/os_nft_service.h"
#include "plan/proxy_plan.h"

struct proxy_table;

struct proxy_table *proxy_table_new(const struct os_nft_service_table *table);
const char *proxy_table_name(const struct proxy_table *t);

/* The owner lets go of the ports of `was` that are not in `now`. True when somebody else wants one
 * of them. */
bool proxy_table_release(struct proxy_table *t, const void *owner, const struct proxy_plan *was,
                         const struct proxy_plan *now);
/* The owner wants what the plan says; the plan stays until proxy_table_put(). */
void proxy_table_claim(struct proxy_table *t, const void *owner, const struct proxy_plan *plan);
/* Builds the transaction of all releases and claims since the last one; false: nothing to do. */
bool proxy_table_put(struct proxy_table *t);

/* Reads the kernel's table; what was believed of it before is forgotten. All owners claim again. */
int proxy_table_read(struct proxy_table *t);
/* Sends the transaction; then ends the UDP connections that it has taken the endpoint from. */
int proxy_table_commit(struct proxy_table *t);
/* How the second part went. */
int proxy_table_stale_code(const struct proxy_table *t);

#endif
