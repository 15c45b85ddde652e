/* Files and directories. */
#include "os/os_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "base/check.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "base/vec.h"

enum {
    TREE_DEPTH = 48, /* open directories while a tree is removed; deeper ones are moved up first */
};

static int write_all(int fd, struct span s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        s = span_from(s, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

static int sync_parent(const char *path)
{
    struct span s = span_cstr(path);
    size_t slash = span_rfind(s, '/');
    char dir[4096] = ".";
    if (slash < s.n && s.n < sizeof dir) {
        memcpy(dir, s.p, slash + 1);
        dir[slash + 1] = '\0';
    }
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) != 0 ? -errno : 0;
}

int os_fs_write_atomic(const char *path, struct span bytes, mode_t mode, bool durable)
{
    assert(path);
    assert(bytes.p || bytes.n == 0);
    static atomic_uint serial;
    char tmp[4096];
    int n = snprintf(tmp, sizeof tmp, "%s.tmp-%d-%u", path, (int)getpid(),
                     atomic_fetch_add(&serial, 1));
    if (n < 0 || (size_t)n >= sizeof tmp) {
        return -ENAMETOOLONG;
    }
    cleanup_close int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        return -errno;
    }
    int code = write_all(fd, bytes);
    if (code == 0 && fchmod(fd, mode) != 0) {
        code = -errno;
    }
    if (code == 0 && durable && fsync(fd) != 0) {
        code = -errno;
    }
    if (code == 0 && rename(tmp, path) != 0) {
        code = -errno;
    }
    if (code != 0) {
        (void)unlink(tmp);
        return code;
    }
    return durable ? sync_parent(path) : 0;
}

int os_fs_write(const char *path, struct span bytes, mode_t mode)
{
    assert(path);
    assert(bytes.p || bytes.n == 0);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    return fd < 0 ? -errno : write_all(fd, bytes);
}

int os_fs_read(struct arena *a, int dirfd, const char *path, size_t max, struct span *ret)
{
    assert(path);
    assert(max > 0);
    assert(ret);
    cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    struct strbuf b = STRBUF_INIT;
    int code = 0;
    for (;;) {
        char *room = strbuf_room(&b, 4096);
        ssize_t n = read(fd, room, 4096);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            code = n < 0 ? -errno : 0;
            break;
        }
        strbuf_added(&b, (size_t)n);
        if (b.n > max) {
            code = E_LIMIT;
            break;
        }
    }
    if (code == 0) {
        *ret = arena_dup(a, strbuf_span(&b));
    }
    strbuf_done(&b);
    return code;
}

int os_fs_mkdirs(const char *path, mode_t mode)
{
    assert(path);
    char buf[4096];
    int n = snprintf(buf, sizeof buf, "%s", path);
    if (n < 0 || (size_t)n >= sizeof buf) {
        return -ENAMETOOLONG;
    }
    if (mkdir(buf, mode) == 0 || errno == EEXIST) {
        return 0;
    }
    for (char *p = buf + 1; *p; p++) {
        if (*p == '/') {
            *p = '\0';
            if (mkdir(buf, mode) != 0 && errno != EEXIST) {
                return -errno;
            }
            *p = '/';
        }
    }
    return mkdir(buf, mode) == 0 || errno == EEXIST ? 0 : -errno;
}

/* ---- removing trees ---- */

struct removal {
    int top;         /* directory that holds the tree: too deep directories are moved here */
    unsigned serial; /* names of moved directories */
    bool again;
};

static int open_beneath(int dirfd, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };
    long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

static int remove_children(struct removal *r, int fd, unsigned depth);

static int remove_entry(struct removal *r, int dirfd, const char *name, unsigned depth)
{
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return -errno;
    }
    if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != ENOTEMPTY && errno != EEXIST) {
        return -errno;
    }
    if (depth >= TREE_DEPTH) {
        char moved[64];
        (void)snprintf(moved, sizeof moved, ".deep-%d-%u", (int)getpid(), r->serial++);
        r->again = true;
        return renameat(dirfd, name, r->top, moved) == 0 ? 0 : -errno;
    }
    int fd = open_beneath(dirfd, name);
    if (fd < 0) {
        return fd;
    }
    int code = remove_children(r, fd, depth + 1);
    if (code == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
        code = -errno;
    }
    return code;
}

/* Consumes fd. */
static int remove_children(struct removal *r, int fd, unsigned depth)
{
    DIR *d = fdopendir(fd);
    if (!d) {
        int code = -errno;
        (void)close(fd);
        return code;
    }
    int code = 0;
    const struct dirent *e;
    while (code == 0 && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            code = remove_entry(r, dirfd(d), e->d_name, depth);
        }
    }
    (void)closedir(d);
    return code;
}

/* Removes name beneath dirfd. */
static int remove_tree(int dirfd, const char *name)
{
    assert(name[0]);
    assert(strcmp(name, ".") != 0);
    assert(strcmp(name, "..") != 0);
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return -errno;
    }
    int code = 0;
    struct removal r = {.top = -1};
    do {
        int fd = open_beneath(dirfd, name);
        if (fd < 0) {
            return fd == -ENOENT ? 0 : fd;
        }
        cleanup_close int top = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        r.top = top;
        r.again = false;
        code = top < 0 ? -errno : 0;
        if (code) {
            (void)close(fd);
        } else {
            code = remove_children(&r, fd, 0);
        }
    } while (code == 0 && r.again);
    if (code == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
        code = -errno;
    }
    return code;
}

int os_fs_remove_tree_at(const char *path)
{
    assert(path);
    char dir[4096];
    struct span s = span_cstr(path);
    size_t slash = span_rfind(s, '/');
    if (s.n >= sizeof dir || slash >= s.n || slash + 1 == s.n) {
        return -EINVAL;
    }
    memcpy(dir, s.p, slash + 1); /* with its slash */
    dir[slash + 1] = '\0';
    cleanup_close int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    return remove_tree(fd, path + slash + 1);
}

/* ---- inside a root ---- */

int os_fs_open_in_root(int rootfd, const char *path, int flags)
{
    assert(rootfd >= 0);
    assert(path);
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, rootfd, path, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

int os_fs_mkdirs_in_root(struct arena *a, int rootfd, struct span path, mode_t mode)
{
    assert(rootfd >= 0);
    struct span rest = path;
    struct span done = SPAN("/");
    while (rest.n) {
        struct span name = span_cut(&rest, '/');
        if (name.n == 0 || span_eq_cstr(name, ".")) {
            continue;
        }
        if (span_eq_cstr(name, "..")) {
            return -EINVAL;
        }
        int parent = os_fs_open_in_root(rootfd, arena_cstr(a, done), O_PATH | O_DIRECTORY);
        if (parent < 0) {
            return parent;
        }
        int code = mkdirat(parent, arena_cstr(a, name), mode) == 0 || errno == EEXIST ? 0 : -errno;
        (void)close(parent);
        if (code) {
            return code;
        }
        done = arena_printf(a, "%.*s%.*s/", SPAN_ARG(done), SPAN_ARG(name));
    }
    return 0;
}

int os_fs_find_program(struct arena *a, const char *name, const char **ret)
{
    assert(name);
    assert(ret);
    if (strchr(name, '/')) {
        *ret = name;
        return access(name, X_OK) == 0 ? 0 : -errno;
    }
    const char *env = getenv("PATH");
    struct span dirs = arena_printf(
        a, "%s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", env ? env : "");
    while (dirs.n) {
        struct span dir = span_cut(&dirs, ':');
        struct span path = arena_printf(a, "%.*s/%s", SPAN_ARG(dir), name);
        struct stat st;
        if (dir.n && access(path.p, X_OK) == 0 && stat(path.p, &st) == 0 && S_ISREG(st.st_mode)) {
            *ret = path.p;
            return 0;
        }
    }
    return -ENOENT;
}

int os_fs_list(struct arena *a, const char *path, struct span **ret, size_t *ret_count)
{
    assert(path);
    assert(ret);
    assert(ret_count);
    DIR *d = opendir(path);
    if (!d) {
        return -errno;
    }
    VEC(struct span) names = {0};
    const struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            VEC_PUSH(&names, arena_dup(a, span_cstr(e->d_name)));
        }
    }
    (void)closedir(d);
    *ret = ARENA_ARRAY(a, struct span, names.n);
    if (names.n) {
        memcpy(*ret, names.at, names.n * sizeof *names.at);
    }
    *ret_count = names.n;
    VEC_DONE(&names);
    return 0;
}

int os_fs_space(const char *path, struct os_fs_space *ret)
{
    struct statvfs fs;
    assert(path);
    assert(ret);
    if (statvfs(path, &fs) < 0) {
        return -errno;
    }
    *ret = (struct os_fs_space){.total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize,
                                .free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize};
    return 0;
}
