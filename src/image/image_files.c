/* Plain file work of the image store: everything is made beside and renamed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "image/image_priv.h"

int fail(struct arena *a, struct span *detail, int code, const char *fmt, ...)
{
    assert(code < 0);
    if (detail) {
        va_list ap;
        va_start(ap, fmt);
        *detail = arena_vprintf(a, fmt, ap);
        va_end(ap);
    }
    return code;
}

const char *image_path(const struct image_store *s, struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct span tail = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return arena_printf(a, "%s/%.*s", s->root, SPAN_ARG(tail)).p;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path) != 0 && errno != ENOENT ? -1 : 0;
}

int remove_tree(const char *path)
{
    /* Physical walk, same file system: links are removed, never followed. */
    if (nftw(path, remove_entry, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 && errno != ENOENT) {
        return -errno;
    }
    return 0;
}

int image_tmp_new(const struct image_store *s, struct arena *a, struct image_tmp *ret)
{
    char *path = (char *)(uintptr_t)image_path(s, a, "tmp/work-XXXXXX");
    *ret = (struct image_tmp){.path = NULL, .lock_fd = -1};
    if (!mkdtemp(path)) {
        return -errno;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    (void)flock(fd, LOCK_EX);
    *ret = (struct image_tmp){.path = path, .lock_fd = fd};
    return 0;
}

void image_tmp_done(struct image_tmp *t)
{
    if (t->path) {
        (void)remove_tree(t->path);
        (void)close(t->lock_fd);
        *t = (struct image_tmp){.path = NULL, .lock_fd = -1};
    }
}

void image_store_clean(struct image_store *s)
{
    struct arena *a cleanup_arena = arena_new();
    DIR *d = opendir(image_path(s, a, "tmp"));
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        if (!span_starts(span_cstr(e->d_name), SPAN("work-"))) {
            continue;
        }
        const char *path = image_path(s, a, "tmp/%s", e->d_name);
        int fd cleanup_close = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
            (void)remove_tree(path);
        }
    }
    if (d) {
        (void)closedir(d);
    }
}

int read_file(struct arena *a, const char *path, size_t max, struct span *ret)
{
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode) || (size_t)st.st_size > max) {
        return E_LIMIT;
    }
    char *p = arena_alloc_raw(a, (size_t)st.st_size + 1);
    size_t n = 0;
    while (n < (size_t)st.st_size) {
        ssize_t got = read(fd, p + n, (size_t)st.st_size - n);
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        n += (size_t)got;
    }
    p[n] = '\0';
    *ret = span_of(p, n);
    return 0;
}

int write_file_atomic(const char *path, struct span content)
{
    struct arena *a cleanup_arena = arena_new();
    char *tmp = (char *)(uintptr_t)arena_printf(a, "%s.XXXXXX", path).p;
    int fd cleanup_close = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int code = 0;
    for (size_t n = 0; n < content.n && code == 0;) {
        ssize_t put = write(fd, content.p + n, content.n - n);
        if (put < 0) {
            code = -errno;
        } else {
            n += (size_t)put;
        }
    }
    if (code == 0 && (fchmod(fd, 0644) != 0 || fsync(fd) != 0 || rename(tmp, path) != 0)) {
        code = -errno;
    }
    if (code < 0) {
        (void)unlink(tmp);
    }
    return code;
}

int sync_tree(const char *path)
{
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || syncfs(fd) != 0 ? -errno : 0;
}
