/* kubelet/volume_local.c: see the header. */
#include "kubelet/volume_local.h"
#include "os/os_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "kubelet/kubelet_priv.h"
#include "kubelet/volume_loop.h"
#include "kubelet/volume_write.h"

/* The image is made under another name, so that a kill leaves no half file system behind. */
static int create_enforced(struct span path, int64_t size_bytes, struct arena *a)
{
    struct span image = arena_printf(a, "%.*s.img", SPAN_ARG(path));
    struct span tmp = arena_printf(a, "%.*s.img.tmp", SPAN_ARG(path));
    if (os_is_mount_point(path.p)) {
        (void)umount2(path.p,
                      MNT_DETACH); /* killed between the mount and the rename, here, before */
    }
    (void)unlink(tmp.p);
    int code = volume_loop_make(tmp.p, size_bytes);
    if (code == 0) {
        code = volume_loop_mount(tmp.p, path.p);
    }
    if (code == 0) {
        (void)rmdir(arena_printf(a, "%.*s/lost+found", SPAN_ARG(path)).p);
        (void)chmod(path.p, 0777);
        if (rename(tmp.p, image.p) < 0) {
            code = -errno;
            (void)umount2(path.p, MNT_DETACH);
        }
    }
    if (code < 0) {
        (void)unlink(tmp.p);
    }
    return code;
}

enum { SMALLEST_BYTES = 4 * 1024 * 1024 }; /* ext4 with a journal needs about this */

/* Sizes are promises that may together exceed the disk, files being sparse; one that alone exceeds
 * it can never be kept. */
static int check_size(struct span dir, int64_t size_bytes, struct arena *a, struct span *ret_detail)
{
    struct statvfs fs;
    if (statvfs(arena_cstr(a, dir), &fs) < 0) {
        return volume_fail(a, ret_detail, -errno, "cannot look at", dir);
    }
    uint64_t total = (uint64_t)fs.f_blocks * fs.f_frsize;
    if (size_bytes <= 0 || (uint64_t)size_bytes <= total) {
        return 0;
    }
    *ret_detail = arena_printf(
        a,
        "%llu MiB are asked for, and the whole disk under the data directory has %llu: "
        "ask for less, or move the data directory to a larger disk",
        (unsigned long long)size_bytes >> 20, (unsigned long long)total >> 20);
    return -ENOSPC;
}

static bool is_name(struct span name, struct span *ret_detail)
{
    *ret_detail = SPAN("a volume's name is one path component");
    return name.n > 0 && span_find(name, '/') == name.n && name.p[0] != '.';
}

int volume_local_create(struct span data_dir, struct span name, int64_t size_bytes, bool enforce,
                        struct arena *a, struct volume_local_made *ret, struct span *ret_detail)
{
    assert(ret);
    assert(ret_detail);
    assert(data_dir.n > 0);
    if (!is_name(name, ret_detail)) {
        return -EINVAL;
    }
    struct span path = arena_printf(a, "%.*s/volumes/%.*s", SPAN_ARG(data_dir), SPAN_ARG(name));
    struct span image = arena_printf(a, "%.*s.img", SPAN_ARG(path));
    struct stat st;
    *ret = (struct volume_local_made){.path = path};
    bool mounted = os_is_mount_point(path.p) && stat(image.p, &st) < 0;
    /* An empty directory is what a killed creation leaves: it is made anew. */
    bool existed = !mounted && stat(path.p, &st) == 0 && rmdir(path.p) < 0;
    int code = kubelet_mkdirs(path.p, 0755);
    if (code < 0) {
        return volume_fail(a, ret_detail, code, "cannot make", path);
    }
    if (!existed && !mounted && stat(image.p, &st) < 0) {
        code = check_size(path, size_bytes, a, ret_detail);
        if (code < 0) {
            (void)rmdir(path.p);
            return code;
        }
    }
    if (stat(image.p, &st) == 0) {
        ret->enforced = true;
        return volume_local_attach(path, a, ret_detail);
    }
    if (!existed) {
        (void)chmod(path.p, 0777); /* the pod's process may have any uid */
    }
    if (!enforce || existed) {
        return 0;
    }
    code = create_enforced(path, size_bytes < SMALLEST_BYTES ? SMALLEST_BYTES : size_bytes, a);
    if (code == 0) {
        ret->enforced = true;
        return 0;
    }
    ret->warning = arena_printf(a,
                                "the size of volume %.*s is not enforced, it is a plain directory: "
                                "cannot make a loop-mounted ext4 file system: %s",
                                SPAN_ARG(name), code_text(code));
    return 0;
}

int volume_local_attach(struct span path, struct arena *a, struct span *ret_detail)
{
    assert(ret_detail);
    struct stat st;
    struct span image = arena_printf(a, "%.*s.img", SPAN_ARG(path));
    struct span dir = arena_dup(a, path);
    if (stat(dir.p, &st) < 0) {
        *ret_detail = arena_printf(a, "path \"%.*s\" does not exist", SPAN_ARG(path));
        return -errno;
    }
    if (stat(image.p, &st) < 0) {
        return 0;
    }
    int code = volume_loop_mount(image.p, dir.p);
    return code < 0 ? volume_fail(a, ret_detail, code, "cannot mount", image) : 0;
}

/* So large a file that as many bytes are left for files: the journal and the inodes of a small file
 * system take up to a quarter of it. */
static uint64_t image_bytes(uint64_t size_bytes)
{
    enum { SMALL_BYTES = 512 << 20, LEAST_BYTES = 2 << 20, BLOCK_BYTES = 4096 };
    uint64_t more = size_bytes < SMALL_BYTES ? size_bytes / 16 * 5 : size_bytes / 8;
    return (size_bytes + more + LEAST_BYTES) / BLOCK_BYTES * BLOCK_BYTES;
}

int volume_local_limit(struct span path, uint64_t size_bytes, struct arena *a,
                       struct span *ret_warning, struct span *ret_detail)
{
    assert(path.n > 0);
    assert(ret_warning);
    assert(ret_detail);
    struct stat st;
    struct statvfs fs;
    const char *image = arena_printf(a, "%.*s.img", SPAN_ARG(path)).p;
    if (stat(image, &st) == 0) {
        return volume_local_attach(path, a, ret_detail);
    }
    if (statvfs(path.p, &fs) == 0 && size_bytes >= (uint64_t)fs.f_blocks * fs.f_frsize) {
        return 0; /* the disk itself is the limit */
    }
    bool mounted = os_is_mount_point(path.p); /* by a creation that was killed */
    if (!mounted && (rmdir(path.p) < 0 || mkdir(path.p, 0755) < 0)) {
        return errno == ENOTEMPTY || errno == EEXIST
                   ? 0
                   : volume_fail(a, ret_detail, -errno, "cannot make", path);
    }
    int code = create_enforced(path, (int64_t)image_bytes(size_bytes), a);
    if (code < 0) {
        *ret_warning = arena_printf(
            a, "is not kept to its sizeLimit: cannot make a loop-mounted ext4 file system: %s",
            code_text(code));
    }
    return 0;
}

int volume_local_grow_disk(struct span data_dir, struct span name, int64_t size_bytes,
                           struct arena *a, struct span *ret_detail)
{
    assert(data_dir.n > 0);
    assert(ret_detail);
    if (!is_name(name, ret_detail)) {
        return -EINVAL;
    }
    struct span path = arena_printf(a, "%.*s/volumes/%.*s", SPAN_ARG(data_dir), SPAN_ARG(name));
    struct span image = arena_printf(a, "%.*s.img", SPAN_ARG(path));
    int code =
        check_size(arena_printf(a, "%.*s/volumes", SPAN_ARG(data_dir)), size_bytes, a, ret_detail);
    if (code < 0) {
        return code;
    }
    struct stat st;
    if (stat(image.p, &st) < 0) {
        return stat(path.p, &st) == 0 ? 0 : volume_fail(a, ret_detail, -errno, "cannot grow", path);
    }
    int64_t wanted = size_bytes < SMALLEST_BYTES ? SMALLEST_BYTES : size_bytes;
    return st.st_size >= wanted || truncate(image.p, wanted) == 0
               ? 0
               : volume_fail(a, ret_detail, -errno, "cannot grow", image);
}

int volume_local_grow_files(struct span data_dir, struct span name, bool used, struct arena *a,
                            struct span *ret_detail)
{
    assert(data_dir.n > 0);
    assert(ret_detail);
    if (!is_name(name, ret_detail)) {
        return -EINVAL;
    }
    struct span path = arena_printf(a, "%.*s/volumes/%.*s", SPAN_ARG(data_dir), SPAN_ARG(name));
    struct span image = arena_printf(a, "%.*s.img", SPAN_ARG(path));
    struct stat st;
    if (stat(image.p, &st) < 0) { /* a plain directory has the whole disk */
        return stat(path.p, &st) == 0 ? 0 : volume_fail(a, ret_detail, -errno, "cannot grow", path);
    }
    int code = volume_loop_grow(image.p, path.p, used);
    return code < 0 ? volume_fail(a, ret_detail, code, "cannot grow the file system in", image) : 0;
}

int volume_local_remove(struct span data_dir, struct span name, struct arena *a,
                        struct span *ret_detail)
{
    assert(data_dir.n > 0);
    assert(ret_detail);
    if (!is_name(name, ret_detail)) {
        return -EINVAL;
    }
    struct span path = arena_printf(a, "%.*s/volumes/%.*s", SPAN_ARG(data_dir), SPAN_ARG(name));
    struct span image = arena_printf(a, "%.*s.img", SPAN_ARG(path));
    if (os_is_mount_point(path.p) && umount2(path.p, 0) < 0) {
        return volume_fail(a, ret_detail, -errno, "cannot unmount", path);
    }
    if (unlink(image.p) < 0 && errno != ENOENT) {
        return volume_fail(a, ret_detail, -errno, "cannot remove", image);
    }
    int code = kubelet_remove_tree(path.p);
    return code < 0 ? volume_fail(a, ret_detail, code, "cannot remove", path) : 0;
}

int volume_local_detach_all(struct span data_dir, struct arena *a, struct span *ret_detail)
{
    assert(data_dir.n > 0);
    static const char *const dirs[] = {"volumes", "pods"};
    int code = 0;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs && code == 0; i++) {
        const char *dir = arena_printf(a, "%.*s/%s", SPAN_ARG(data_dir), dirs[i]).p;
        code = volume_teardown(dir, false, a, ret_detail);
    }
    return code;
}
