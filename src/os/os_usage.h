/* os/os_usage.h: what a control group, or the machine, uses: counters as the kernel keeps them.
 *
 * Memory is the working set: what cannot be taken away without harm. Of a group: all but the file
 * pages that nobody has looked at lately; of the machine: what is not available. Everything may
 * block: worker threads only, but for the functions that read texts. */
#ifndef OS_OS_USAGE_H
#define OS_OS_USAGE_H

#include "os/os_cgroup.h"

struct os_usage {
    int64_t at_ns;   /* of the counter, on the monotonic clock */
    uint64_t cpu_ns; /* since the group, or the machine, began */
    int64_t memory_bytes;
};

/* 0, or a negative errno: -ENOENT when there is no such group, or a controller is not there. */
int os_usage_group(const struct os_cgroup *cg, struct span path, struct os_usage *ret);
int os_usage_machine(struct os_usage *ret);

/* ---- the kernel's texts ---- */

/* The number behind the key in lines of "key number", or "key: number unit". False: there is none,
 * or it is no number. */
bool os_usage_number(struct span text, struct span key, uint64_t *ret);
/* /proc/stat: busy time of all processors together, in ticks. */
bool os_usage_busy(struct span text, uint64_t *ret);

#endif
