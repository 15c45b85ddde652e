/* Mounts. */
#include "os/os_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "os/os_fs.h"

enum {
    OPTIONS_MAX = 4096 - 1, /* mount(2) passes one page */
    MOUNTINFO_MAX = 16 * 1024 * 1024,
    LOWER_MAX = 500, /* the kernel's own limit */
};

static bool path_is_plain(struct span path)
{
    for (size_t i = 0; i < path.n; i++) {
        if (strchr(":,\\\"", path.p[i])) {
            return false;
        }
    }
    return true;
}

/* Options with full paths, which read best in mountinfo. False when they do not fit. */
static bool options_plain(struct strbuf *b, const struct span *lower, size_t n, const char *upper,
                          const char *work)
{
    bool plain = path_is_plain(span_cstr(upper)) && path_is_plain(span_cstr(work));
    strbuf_puts(b, "lowerdir=");
    for (size_t i = n; i > 0; i--) {
        plain = plain && path_is_plain(lower[i - 1]);
        strbuf_put(b, lower[i - 1]);
        strbuf_puts(b, i > 1 ? ":" : "");
    }
    strbuf_printf(b, ",upperdir=%s,workdir=%s", upper, work);
    return plain && b->n + sizeof ",volatile" <= OPTIONS_MAX;
}

struct fds {
    VEC(int) v;
};

static void fds_close(struct fds *fds)
{
    for (size_t i = 0; i < fds->v.n; i++) {
        (void)close(fds->v.at[i]);
    }
    VEC_DONE(&fds->v);
}

static int put_fd_path(struct strbuf *b, struct fds *fds, const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    VEC_PUSH(&fds->v, fd);
    strbuf_printf(b, "/proc/self/fd/%d", fd);
    return 0;
}

/* Options where each directory is named by a descriptor: about 17 bytes each, no special
 * characters. */
static int options_by_fd(struct strbuf *b, struct fds *fds, const struct span *lower, size_t n,
                         const char *upper, const char *work)
{
    int code = 0;
    strbuf_clear(b);
    strbuf_puts(b, "lowerdir=");
    for (size_t i = n; i > 0 && code == 0; i--) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%.*s", SPAN_ARG(lower[i - 1]));
        code = put_fd_path(b, fds, path);
        strbuf_puts(b, i > 1 ? ":" : "");
    }
    strbuf_puts(b, ",upperdir=");
    code = code ? code : put_fd_path(b, fds, upper);
    strbuf_puts(b, ",workdir=");
    code = code ? code : put_fd_path(b, fds, work);
    if (code == 0 && b->n + sizeof ",volatile" > OPTIONS_MAX) {
        code = -E2BIG;
    }
    return code;
}

int os_mount_overlay(const char *target, const struct span *lower, size_t lower_count,
                     const char *upper, const char *work)
{
    assert(lower_count > 0);
    if (lower_count > LOWER_MAX) {
        return -E2BIG;
    }
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    struct fds fds = {0};
    int code = 0;
    if (!options_plain(&b, lower, lower_count, upper, work)) {
        code = options_by_fd(&b, &fds, lower, lower_count, upper, work);
    }
    if (code == 0) {
        size_t plain = b.n;
        strbuf_puts(&b, ",volatile");
        if (mount("overlay", target, "overlay", MS_NODEV, b.p) != 0) {
            b.p[plain] = '\0';
            code = errno == EINVAL && mount("overlay", target, "overlay", MS_NODEV, b.p) == 0
                       ? 0
                       : -errno;
        }
    }
    fds_close(&fds);
    return code;
}

int os_mount_tmpfs(const char *target, uint64_t size_bytes, unsigned mode)
{
    assert(target);
    char options[64];
    int n = snprintf(options, sizeof options, "mode=%04o", mode);
    assert(n > 0);
    assert((size_t)n < sizeof options);
    if (size_bytes) {
        (void)snprintf(options + n, sizeof options - (size_t)n, ",size=%llu",
                       (unsigned long long)size_bytes);
    }
    return mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0 ? 0 : -errno;
}

int os_umount(const char *target)
{
    assert(target);
    if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT) {
        return 0;
    }
    return -errno;
}

bool os_is_mount_point(const char *path)
{
    assert(path);
    struct stat here, above;
    int fd cleanup_close = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fstat(fd, &here) == 0 && fstatat(fd, "..", &above, 0) == 0 &&
           here.st_dev != above.st_dev;
}

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static struct span unescape(struct arena *a, struct span s)
{
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 3 < s.n) {
            out[n++] =
                (char)((s.p[i + 1] - '0') * 64 + (s.p[i + 2] - '0') * 8 + (s.p[i + 3] - '0'));
            i += 3;
        } else {
            out[n++] = s.p[i];
        }
    }
    return span_of(out, n);
}

bool os_mountinfo_line(struct arena *a, struct span line, struct span *ret_point,
                       struct span *ret_type, struct span *ret_options)
{
    assert(a);
    struct span rest = line, field[5];
    for (size_t i = 0; i < 5; i++) {
        field[i] = span_cut(&rest, ' ');
    }
    while (rest.n && !span_starts(rest, SPAN("- "))) {
        (void)span_cut(&rest, ' ');
    }
    (void)span_cut(&rest, ' ');
    *ret_type = span_cut(&rest, ' ');
    (void)span_cut(&rest, ' ');
    *ret_options = rest;
    *ret_point = unescape(a, field[4]);
    return ret_point->n > 0 && ret_point->p[0] == '/' && ret_type->n > 0;
}

int os_mounts_beneath(struct arena *a, struct span dir, struct span **ret, size_t *ret_count)
{
    assert(dir.n > 0);
    assert(ret);
    assert(ret_count);
    struct span text;
    int code = os_fs_read(a, AT_FDCWD, "/proc/thread-self/mountinfo", MOUNTINFO_MAX, &text);
    if (code) {
        return code;
    }
    VEC(struct span) points = {0};
    while (text.n) {
        struct span line = span_cut(&text, '\n'), point, type, options;
        if (os_mountinfo_line(a, line, &point, &type, &options) && span_starts(point, dir) &&
            (point.n == dir.n || point.p[dir.n] == '/')) {
            VEC_PUSH(&points, point);
        }
    }
    *ret = ARENA_ARRAY(a, struct span, points.n);
    for (size_t i = 0; i < points.n; i++) {
        (*ret)[i] = points.at[points.n - 1 - i];
    }
    *ret_count = points.n;
    VEC_DONE(&points);
    return 0;
}

int os_umount_beneath(struct arena *a, struct span dir)
{
    struct span *points;
    size_t n;
    assert(dir.n > 0);
    int code = os_mounts_beneath(a, dir, &points, &n);
    for (size_t i = 0; code == 0 && i < n; i++) {
        code = os_umount(arena_cstr(a, points[i]));
    }
    return code;
}
