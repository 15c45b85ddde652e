/* Control groups. */
#include "os/os_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/check.h"
#include "base/vec.h"
#include "os/os_fs.h"
#include "os/os_mount.h"

enum {
    DEPTH_MAX = 16,
    TEXT_MAX = 16 * 1024 * 1024,
    KILL_TRIES = 400,
    KILL_WAIT_NS = 5 * 1000 * 1000,
};

static bool lists_us(struct arena *a, const char *procs)
{
    struct span text = SPAN_NULL;
    if (os_fs_read(a, AT_FDCWD, procs, TEXT_MAX, &text) != 0) {
        return false;
    }
    while (text.n) {
        int64_t pid;
        if (span_to_i64(span_cut(&text, '\n'), &pid) && pid == getpid()) {
            return true;
        }
    }
    return false;
}

/* Which of our groups a mount shows is not written anywhere (mounts of subtrees, cgroup
 * namespaces): so try. */
static const char *find_self(struct arena *a, const struct os_cgroup *cg)
{
    struct span text = SPAN_NULL;
    (void)os_fs_read(a, AT_FDCWD, "/proc/self/cgroup", TEXT_MAX, &text);
    while (text.n) {
        struct span path = span_cut(&text, '\n');
        (void)span_cut(&path, ':');
        (void)span_cut(&path, ':');
        for (size_t i = 0; i < cg->root_count; i++) {
            struct span procs =
                arena_printf(a, "%.*s%.*s/cgroup.procs", SPAN_ARG(cg->roots[i]), SPAN_ARG(path));
            if (lists_us(a, procs.p)) {
                return procs.p;
            }
        }
    }
    return NULL;
}

void os_cgroup_warm(const struct os_cgroup *cg)
{
    cleanup_close int fd = cg->self_procs ? open(cg->self_procs, O_WRONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)!write(fd, "0", 1);
    }
}

int os_cgroup_detect(struct arena *a, struct os_cgroup *ret)
{
    assert(a);
    assert(ret);
    struct span text;
    int code = os_fs_read(a, AT_FDCWD, "/proc/thread-self/mountinfo", TEXT_MAX, &text);
    if (code) {
        return code;
    }
    *ret = (struct os_cgroup){.mode = OS_CGROUP_NONE};
    VEC(struct span) roots = {0};
    size_t v1 = 0;
    while (text.n) {
        struct span line = span_cut(&text, '\n'), point, type, options;
        if (!os_mountinfo_line(a, line, &point, &type, &options) ||
            !span_starts(point, SPAN("/sys/fs/cgroup"))) {
            continue;
        }
        if (span_eq_cstr(type, "cgroup2")) {
            ret->v2_root = point;
            VEC_PUSH(&roots, point);
        } else if (span_eq_cstr(type, "cgroup")) {
            v1++;
            VEC_PUSH(&roots, point);
        }
    }
    ret->mode = ret->v2_root.n && v1 ? OS_CGROUP_HYBRID
                : ret->v2_root.n     ? OS_CGROUP_V2
                : v1                 ? OS_CGROUP_V1
                                     : OS_CGROUP_NONE;
    if (ret->mode == OS_CGROUP_HYBRID) {
        struct span file = arena_printf(a, "%.*s/cgroup.controllers", SPAN_ARG(ret->v2_root));
        struct span controllers = SPAN_NULL;
        ret->v2_in_the_way = os_fs_read(a, AT_FDCWD, file.p, 4096, &controllers) == 0 &&
                             span_trim(controllers).n > 0;
    }
    ret->roots = ARENA_ARRAY(a, struct span, roots.n);
    if (roots.n) {
        memcpy((struct span *)(uintptr_t)ret->roots, roots.at, roots.n * sizeof *roots.at);
    }
    ret->root_count = roots.n;
    assert((ret->mode == OS_CGROUP_NONE) == (ret->root_count == 0));
    VEC_DONE(&roots);
    ret->self_procs = find_self(a, ret);
    return 0;
}

/* Sends SIGKILL to what cgroup.procs of the group lists; returns how many there were. */
static size_t kill_members(int dirfd)
{
    int fd = openat(dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    FILE *f = fdopen(fd, "re");
    if (!f) {
        (void)close(fd);
        return 0;
    }
    size_t n = 0;
    char line[32];
    while (fgets(line, sizeof line, f)) {
        int64_t pid;
        /* 0 names a process of another pid namespace: not ours to reach. */
        if (span_to_i64(span_trim(span_cstr(line)), &pid) && pid > 1) {
            n++;
            (void)kill((pid_t)pid, SIGKILL);
        }
    }
    (void)fclose(f);
    return n;
}

/* Visits the group and those beneath, children first. Consumes dirfd. Returns members found (kill)
 * or a code (remove). */
static long walk(int dirfd, bool do_remove, unsigned depth)
{
    long sum = 0;
    DIR *d = fdopendir(dirfd);
    if (!d) {
        (void)close(dirfd);
        return do_remove ? -ENOMEM : 0;
    }
    const struct dirent *e;
    while (depth < DEPTH_MAX && (e = readdir(d)) != NULL) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.') {
            continue;
        }
        int child = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0) {
            continue;
        }
        long got = walk(child, do_remove, depth + 1);
        if (!do_remove) {
            sum += got;
        } else if (unlinkat(dirfd, e->d_name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
            sum = -errno;
        }
    }
    if (!do_remove) {
        sum += (long)kill_members(dirfd);
    }
    (void)closedir(d);
    return sum;
}

static int open_group(struct span root, struct span path)
{
    char full[4096];
    int n = snprintf(full, sizeof full, "%.*s%.*s", SPAN_ARG(root), SPAN_ARG(path));
    if (n < 0 || (size_t)n >= sizeof full) {
        return -1;
    }
    return open(full, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int os_cgroup_kill(const struct os_cgroup *cg, struct span path)
{
    assert(path.n > 1);
    assert(path.p[0] == '/');
    for (int i = 0; i < KILL_TRIES; i++) {
        long members = 0;
        for (size_t r = 0; r < cg->root_count; r++) {
            int fd = open_group(cg->roots[r], path);
            members += fd < 0 ? 0 : walk(fd, false, 0);
        }
        if (members == 0) {
            return 0;
        }
        /* The kernel needs a moment to tear processes down; this is an ending's rare path. */
        (void)nanosleep(&(struct timespec){.tv_nsec = i < 5 ? 500000 : KILL_WAIT_NS}, NULL);
    }
    return -ETIMEDOUT;
}

int os_cgroup_remove(const struct os_cgroup *cg, struct span path)
{
    assert(path.n > 1);
    assert(path.p[0] == '/');
    int code = 0;
    for (size_t r = 0; r < cg->root_count; r++) {
        char full[4096];
        int n = snprintf(full, sizeof full, "%.*s%.*s", SPAN_ARG(cg->roots[r]), SPAN_ARG(path));
        if (n < 0 || (size_t)n >= sizeof full) {
            return -ENAMETOOLONG;
        }
        for (int i = 0;; i++) {
            if (rmdir(full) == 0 || errno == ENOENT || errno == ENOTDIR) {
                break;
            }
            int fd = open_group(cg->roots[r], path);
            if (fd >= 0) {
                (void)walk(fd, true, 0);
            }
            if (rmdir(full) == 0 || errno == ENOENT) {
                break;
            }
            /* A group stays busy for a moment after its last process has gone. */
            if (errno != EBUSY || i == 100) {
                code = -errno;
                break;
            }
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
    }
    return code;
}
