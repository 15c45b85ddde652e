/* Limits of a group that is there already, by the names that its hierarchy has for them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "os/os_cgroup.h"

int os_cgroup_open(const struct os_cgroup *cg, struct span path, const char *file, int flags)
{
    for (size_t i = 0; i < cg->root_count; i++) {
        char full[4096];
        int n = snprintf(full, sizeof full, "%.*s%.*s/%s", SPAN_ARG(cg->roots[i]), SPAN_ARG(path),
                         file);
        if (n < 0 || (size_t)n >= sizeof full) {
            return -ENAMETOOLONG;
        }
        int fd = open(full, flags | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0) {
            return fd;
        }
        if (errno != ENOENT) {
            return -errno;
        }
    }
    return -ENOENT;
}

static int put(const struct os_cgroup *cg, struct span path, const char *file, const char *text)
{
    cleanup_close int fd = os_cgroup_open(cg, path, file, O_WRONLY);
    if (fd < 0) {
        return fd;
    }
    size_t n = strlen(text);
    return write(fd, text, n) == (ssize_t)n ? 0 : errno ? -errno : -EIO;
}

static int put_number(const struct os_cgroup *cg, struct span path, const char *file, int64_t n)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)n);
    return put(cg, path, file, text);
}

static int get_number(const struct os_cgroup *cg, struct span path, const char *file, int64_t *ret)
{
    cleanup_close int fd = os_cgroup_open(cg, path, file, O_RDONLY);
    char text[64];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (n < 0) {
        return fd < 0 ? fd : -errno;
    }
    return span_to_i64(span_trim(span_of(text, (size_t)n)), ret) ? 0 : -EIO;
}

static int limit_memory(const struct os_cgroup *cg, struct span path, int64_t bytes,
                        int64_t *ret_used)
{
    bool is_v2 = get_number(cg, path, "memory.current", ret_used) == 0;
    int code = is_v2 ? 0 : get_number(cg, path, "memory.usage_in_bytes", ret_used);
    if (code) {
        return code;
    }
    if (*ret_used > bytes) {
        return -EBUSY; /* the kernel would kill somebody for it */
    }
    if (!is_v2) {
        return put_number(cg, path, "memory.limit_in_bytes", bytes);
    }
    (void)put(cg, path, "memory.swap.max", "0"); /* as at the start; not every machine has it */
    return put_number(cg, path, "memory.max", bytes);
}

static int limit_cpu(const struct os_cgroup *cg, struct span path,
                     const struct os_cgroup_limits *limits)
{
    int code = put_number(cg, path, "cpu.shares", limits->cpu_shares);
    bool is_v2 = code == -ENOENT;
    if (is_v2) { /* 2 to 262144 shares are a weight of 1 to 10000 */
        code = put_number(cg, path, "cpu.weight", 1 + (limits->cpu_shares - 2) * 9999 / 262142);
    }
    if (code || limits->cpu_quota_us == 0) {
        return code;
    }
    if (!is_v2) {
        code = put_number(cg, path, "cpu.cfs_period_us", limits->cpu_period_us);
        return code ? code : put_number(cg, path, "cpu.cfs_quota_us", limits->cpu_quota_us);
    }
    char text[64];
    (void)snprintf(text, sizeof text, "%lld %lld", (long long)limits->cpu_quota_us,
                   (long long)limits->cpu_period_us);
    return put(cg, path, "cpu.max", text);
}

int os_cgroup_limit(const struct os_cgroup *cg, struct span path,
                    const struct os_cgroup_limits *limits, int64_t *ret_used)
{
    assert(path.n > 1);
    assert(path.p[0] == '/');
    assert(limits->cpu_shares >= 2);
    *ret_used = 0;
    int code = limits->memory_bytes ? limit_memory(cg, path, limits->memory_bytes, ret_used) : 0;
    return code ? code : limit_cpu(cg, path, limits);
}
