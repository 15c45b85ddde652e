/* os/os_conntrack.h: forgets tracked connections whose destination was rewritten to somewhere that
 * does not count any more. A UDP client that never falls silent would else go on for ever to an
 * endpoint that has gone. Blocking: worker threads only; this thread's network namespace. */
#ifndef OS_OS_CONNTRACK_H
#define OS_OS_CONNTRACK_H

#include <stddef.h>

#include "os/os_nft_service.h"

/* What goes to key may be answered by these endpoints alone; with none, by nobody. */
struct os_conntrack_way {
    struct os_nft_service_key key;
    const struct os_nft_endpoint *to;
    size_t to_count;
};

/* Ends every tracked connection to one of the keys that somebody else answers; a key without
 * address stands for every address, but only for connections that were led elsewhere, and of a
 * host port for all to an address of this machine. Sorts the ways. Returns how many were ended, or
 * an error. */
int os_conntrack_forget(struct os_conntrack_way *ways, size_t count);

#endif
