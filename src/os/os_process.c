#include "os/os_process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/span.h"

/* Fields of /proc/self/stat after the name in parentheses, from 3 on (proc(5)). */
enum { STAT_START_TIME = 22, STAT_VSIZE = 23, STAT_RSS = 24 };

static int64_t stat_field(struct span line, int wanted)
{
    uint64_t n = 0;
    size_t close = line.n;
    while (close > 0 && line.p[close - 1] != ')') {
        close--;
    }
    struct span rest = span_trim(span_from(line, close));
    for (int field = 3; rest.n; field++) {
        struct span word = span_cut(&rest, ' ');
        if (field == wanted) {
            return span_to_u64(span_trim(word), &n) ? (int64_t)n : 0;
        }
    }
    return 0;
}

static int64_t count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int64_t n = 0;
    if (!d) {
        return 0;
    }
    while (readdir(d)) {
        n++;
    }
    (void)closedir(d);
    return n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

void os_process_stats(struct os_process_stats *ret)
{
    char line[1024];
    struct rusage used;
    struct rlimit files;
    struct timespec boot, wall;
    assert(ret);
    *ret = (struct os_process_stats){.open_fds = count_fds()};
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        ret->cpu_s = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                     (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        ret->max_fds = (int64_t)files.rlim_cur;
    }
    FILE *f = fopen("/proc/self/stat", "re");
    size_t n = f ? fread(line, 1, sizeof line, f) : 0;
    if (f) {
        (void)fclose(f);
    }
    struct span text = span_of(line, n);
    ret->virtual_bytes = stat_field(text, STAT_VSIZE);
    ret->resident_bytes = stat_field(text, STAT_RSS) * sysconf(_SC_PAGESIZE);
    if (clock_gettime(CLOCK_BOOTTIME, &boot) == 0 && clock_gettime(CLOCK_REALTIME, &wall) == 0) {
        double up_s = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9;
        ret->start_s = (double)wall.tv_sec + (double)wall.tv_nsec / 1e9 - up_s +
                       (double)stat_field(text, STAT_START_TIME) / (double)sysconf(_SC_CLK_TCK);
    }
}
