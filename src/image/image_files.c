/* Plain file work of the image store: everything is made beside and renamed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "image/image_priv.h"
#include "os/os_fs.h"

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
    assert(fmt);
    va_list ap;
    va_start(ap, fmt);
    struct span tail = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return arena_printf(a, "%s/%.*s", s->root, SPAN_ARG(tail)).p;
}

int image_tmp_new(const struct image_store *s, struct arena *a, struct image_tmp *ret)
{
    assert(s);
    assert(a);
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
        (void)os_fs_remove_tree_at(t->path);
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
            (void)os_fs_remove_tree_at(path);
        }
    }
    if (d) {
        (void)closedir(d);
    }
}

int sync_tree(const char *path)
{
    assert(path);
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || syncfs(fd) != 0 ? -errno : 0;
}
