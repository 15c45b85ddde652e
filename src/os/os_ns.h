/* os/os_ns.h: namespaces pinned by bind mounts, and work inside a network namespace. Blocking:
 * worker threads only. */
#ifndef OS_OS_NS_H
#define OS_OS_NS_H

#include <stddef.h>

#include "base/span.h"

struct os_ns_pin {
    const char *net, *ipc,
        *uts; /* files to pin at (created here); NULL: that namespace is not made anew */
    struct span hostname; /* set in the new UTS namespace when not empty */
    const struct span
        *sysctls; /* "net.core.somaxconn=1024", written inside; '/' may stand for '.' too */
    size_t sysctl_count;
    struct span
        failed; /* on failure: what failed: "unshare", "hostname", a sysctl or a file (borrowed) */
};

/* Makes the namespaces in a short-lived thread and pins them; the loopback link of the network
 * namespace is up. 0 or a negative errno; on failure whatever was pinned is left for os_umount. */
int os_ns_pin(struct os_ns_pin *pin);

/* Opens the namespace pinned at path; -EINVAL when the file is there but nothing is pinned on it.
 */
int os_ns_open(const char *path);

/* Runs fn with this thread inside the network namespace; returns what fn returned, or a negative
 * errno. The thread is back in its own namespace afterwards (asserted). */
int os_ns_run_in_net(int nsfd, int (*fn)(void *data), void *data);

/* Writes /proc/sys/NAME of this thread's namespaces; name with dots. Refuses names that leave
 * /proc/sys. */
int os_sysctl_write(struct span name, struct span value);

#endif
