/* os/os_process.h: what this process costs, as the kernel tells. */
#ifndef OS_OS_PROCESS_H
#define OS_OS_PROCESS_H

#include <stdint.h>

struct os_process_stats {
    double cpu_s; /* user and system time of all threads */
    int64_t resident_bytes, virtual_bytes;
    int64_t open_fds, max_fds;
    double start_s; /* since the epoch */
};
/* What cannot be learned stays 0. */
void os_process_stats(struct os_process_stats *ret);

#endif
