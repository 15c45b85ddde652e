/* os/os_cgroup.h: control groups of any layout: v2, v1, and v1 controllers with a cgroup2 mount
 * beside them.
 *
 * The first limits are set by the container runtime from the OCI configuration; here groups are
 * found, given other limits, emptied and removed. A path is relative to each hierarchy's root
 * ("/berth/pod1"). Everything may block: worker threads only. */
#ifndef OS_OS_CGROUP_H
#define OS_OS_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/span.h"

enum os_cgroup_mode { OS_CGROUP_NONE, OS_CGROUP_V1, OS_CGROUP_V2, OS_CGROUP_HYBRID };

struct os_cgroup {
    enum os_cgroup_mode mode;
    /* Mount points of all hierarchies, cgroup2 included. */
    const struct span *roots;
    size_t root_count;
    struct span v2_root;    /* empty when there is no cgroup2 mount */
    const char *self_procs; /* cgroup.procs of the group that this process is in, in some hierarchy;
                               NULL: not found */
    /* crun before 1.9 refuses to run while this is mounted beside v1 controllers and has
     * controllers of its own. */
    bool v2_in_the_way;
};

/* From this thread's mount table. */
int os_cgroup_detect(struct arena *a, struct os_cgroup *ret);
/* The first move of a process between groups after a while waits for a grace period of the kernel,
 * 10 to 20 ms; another one soon after does not. This moves our process to where it is, so that the
 * wait passes while a container is still being prepared. No effect otherwise, errors do not matter.
 */
void os_cgroup_warm(const struct os_cgroup *cg);
/* The file of the group in whichever hierarchy has it: a descriptor, or a negative errno. */
int os_cgroup_open(const struct os_cgroup *cg, struct span path, const char *file, int flags);
/* os_cgroup_limit.c: what the processes of one group may use from now on. */
struct os_cgroup_limits {
    int64_t memory_bytes;                /* 0: stays as it is */
    int64_t cpu_shares;                  /* as cgroup v1 counts them: 1024 a core */
    int64_t cpu_quota_us, cpu_period_us; /* 0: stays as it is */
};
/* -EBUSY: the group uses more memory than that now (*ret_used), and nothing was changed. -ENOENT:
 * there is no such group, or its controller is not there. */
int os_cgroup_limit(const struct os_cgroup *cg, struct span path,
                    const struct os_cgroup_limits *limits, int64_t *ret_used);
/* SIGKILL to every process in the groups at path and beneath, in every hierarchy, until none is
 * left or two seconds have passed (-ETIMEDOUT). Absent groups are empty. */
int os_cgroup_kill(const struct os_cgroup *cg, struct span path);
/* Removes the groups at path and beneath in every hierarchy. They must be empty: -EBUSY. */
int os_cgroup_remove(const struct os_cgroup *cg, struct span path);

#endif
