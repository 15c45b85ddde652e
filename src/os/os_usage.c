/* What is used, by the kernel's files. */
#include "os/os_usage.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "os/os_fs.h"

enum { NS_PER_S = 1000 * 1000 * 1000, NS_PER_US = 1000, TEXT_MAX = 16 * 1024 };

/* ---- texts ---- */

bool os_usage_number(struct span text, struct span key, uint64_t *ret)
{
    assert(key.n > 0);
    while (text.n) {
        struct span line = span_cut(&text, '\n');
        struct span word = span_cut(&line, ' ');
        if (word.n && word.p[word.n - 1] == ':') {
            word.n--;
        }
        if (span_eq(word, key)) {
            line = span_trim(line);
            return span_to_u64(span_first(line, span_find(line, ' ')), ret);
        }
    }
    return false;
}

bool os_usage_busy(struct span text, uint64_t *ret)
{
    /* user (guests are in it), nice, system, idle, iowait, irq, softirq */
    static const bool is_busy[] = {true, true, true, false, false, true, true};
    struct span line = span_cut(&text, '\n');
    uint64_t sum = 0;
    if (!span_eq(span_cut(&line, ' '), SPAN("cpu"))) {
        return false;
    }
    for (size_t i = 0; i < sizeof is_busy / sizeof *is_busy; i++) {
        uint64_t n;
        line = span_trim(line);
        if (!span_to_u64(span_cut(&line, ' '), &n) ||
            (is_busy[i] && __builtin_add_overflow(sum, n, &sum))) {
            return false;
        }
    }
    *ret = sum;
    return true;
}

/* ---- files ---- */

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* The beginning of the file of a group: what is asked for stands there. */
static int read_group(const struct os_cgroup *cg, struct span path, const char *file, char *buf,
                      struct span *ret)
{
    cleanup_close int fd = os_cgroup_open(cg, path, file, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, TEXT_MAX);
    if (n < 0) {
        return fd < 0 ? fd : -errno;
    }
    *ret = span_of(buf, (size_t)n);
    return 0;
}

static int group_number(const struct os_cgroup *cg, struct span path, const char *file,
                        uint64_t *ret)
{
    char buf[TEXT_MAX];
    struct span text = SPAN_NULL;
    int code = read_group(cg, path, file, buf, &text);
    return code ? code : span_to_u64(span_trim(text), ret) ? 0 : -EIO;
}

static int group_stat(const struct os_cgroup *cg, struct span path, const char *file,
                      struct span key, uint64_t *ret)
{
    char buf[TEXT_MAX];
    struct span text = SPAN_NULL;
    int code = read_group(cg, path, file, buf, &text);
    return code ? code : os_usage_number(text, key, ret) ? 0 : -ENOENT;
}

static int group_cpu(const struct os_cgroup *cg, struct span path, struct os_usage *ret)
{
    uint64_t us;
    int code = group_number(cg, path, "cpuacct.usage", &ret->cpu_ns);
    if (code == -ENOENT) {
        code = group_stat(cg, path, "cpu.stat", SPAN("usage_usec"), &us);
        if (code == 0 && __builtin_mul_overflow(us, (uint64_t)NS_PER_US, &ret->cpu_ns)) {
            code = -EOVERFLOW;
        }
    }
    ret->at_ns = now_ns();
    return code;
}

static int group_memory(const struct os_cgroup *cg, struct span path, struct os_usage *ret)
{
    uint64_t used, idle = 0;
    int code = group_number(cg, path, "memory.current", &used);
    bool is_v2 = code == 0;
    if (code == -ENOENT) {
        code = group_number(cg, path, "memory.usage_in_bytes", &used);
    }
    if (code == 0) {
        struct span key = is_v2 ? SPAN("inactive_file") : SPAN("total_inactive_file");
        code = group_stat(cg, path, "memory.stat", key, &idle);
    }
    if (code == 0) { /* the two are not of one moment */
        uint64_t bytes = used > idle ? used - idle : 0;
        ret->memory_bytes = bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
    }
    return code;
}

int os_usage_group(const struct os_cgroup *cg, struct span path, struct os_usage *ret)
{
    assert(path.n > 1);
    assert(path.p[0] == '/');
    int code = group_cpu(cg, path, ret);
    return code ? code : group_memory(cg, path, ret);
}

int os_usage_machine(struct os_usage *ret)
{
    cleanup_arena struct arena *a = arena_new();
    struct span stat, info;
    uint64_t ticks, total, available;
    long per_s = sysconf(_SC_CLK_TCK);
    enum { STAT_MAX = 4 * 1024 * 1024 }; /* a line for each processor, and one of all interrupts */
    int code = os_fs_read(a, AT_FDCWD, "/proc/stat", STAT_MAX, &stat);
    ret->at_ns = now_ns();
    code = code ? code : os_fs_read(a, AT_FDCWD, "/proc/meminfo", TEXT_MAX, &info);
    if (code) {
        return code;
    }
    if (per_s <= 0 || !os_usage_busy(stat, &ticks) ||
        !os_usage_number(info, SPAN("MemTotal"), &total) ||
        !os_usage_number(info, SPAN("MemAvailable"), &available) || available > total ||
        __builtin_mul_overflow(ticks, (uint64_t)(NS_PER_S / per_s), &ret->cpu_ns) ||
        __builtin_mul_overflow(total - available, (uint64_t)1024, &ret->memory_bytes)) {
        return -EIO;
    }
    return 0;
}
