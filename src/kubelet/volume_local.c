/* kubelet/volume_local.c: see the header. */
#include "kubelet/volume_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "kubelet/kubelet_priv.h"
#include "kubelet/volume_loop.h"
#include "kubelet/volume_write.h"
#include "os/os_fs.h"
#include "os/os_mount.h"

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
    struct os_fs_space space;
    int code = os_fs_space(arena_cstr(a, dir), &space);
    if (code < 0) {
        return volume_fail(a, ret_detail, code, "cannot look at", dir);
    }
    if (size_bytes <= 0 || (uint64_t)size_bytes <= space.total_bytes) {
        return 0;
    }
    *ret_detail = arena_printf(
        a,
        "%llu MiB are asked for, and the whole disk under the data directory has %llu: "
        "ask for less, or move the data directory to a larger disk",
        (unsigned long long)size_bytes >> 20, (unsigned long long)space.total_bytes >> 20);
    return -ENOSPC;
}

/* Where a volume is: a directory, and beside it the image of its disk, if it has one. */
struct place {
    struct span path, image;
};

static int place_of(struct span data_dir, struct span name, struct arena *a, struct place *ret,
                    struct span *ret_detail)
{
    if (name.n == 0 || name.p[0] == '.' || span_find(name, '/') < name.n) {
        *ret_detail = SPAN("a volume's name is one path component");
        return -EINVAL;
    }
    ret->path = arena_printf(a, "%.*s/volumes/%.*s", SPAN_ARG(data_dir), SPAN_ARG(name));
    ret->image = arena_printf(a, "%.*s.img", SPAN_ARG(ret->path));
    return 0;
}

int volume_local_create(struct span data_dir, struct span name, int64_t size_bytes, bool enforce,
                        struct arena *a, struct volume_local_made *ret, struct span *ret_detail)
{
    assert(ret);
    assert(data_dir.n > 0);
    assert(ret_detail);
    struct place at;
    int code = place_of(data_dir, name, a, &at, ret_detail);
    if (code < 0) {
        return code;
    }
    struct stat st;
    *ret = (struct volume_local_made){.path = at.path};
    bool mounted = os_is_mount_point(at.path.p) && stat(at.image.p, &st) < 0;
    /* An empty directory is what a killed creation leaves: it is made anew. */
    bool existed = !mounted && stat(at.path.p, &st) == 0 && rmdir(at.path.p) < 0;
    code = kubelet_mkdirs(at.path.p, 0755);
    if (code < 0) {
        return volume_fail(a, ret_detail, code, "cannot make", at.path);
    }
    if (!existed && !mounted && stat(at.image.p, &st) < 0) {
        code = check_size(at.path, size_bytes, a, ret_detail);
        if (code < 0) {
            (void)rmdir(at.path.p);
            return code;
        }
    }
    if (stat(at.image.p, &st) == 0) {
        ret->enforced = true;
        return volume_local_attach(at.path, a, ret_detail);
    }
    if (!existed) {
        (void)chmod(at.path.p, 0777); /* the pod's process may have any uid */
    }
    if (!enforce || existed) {
        return 0;
    }
    code = create_enforced(at.path, size_bytes < SMALLEST_BYTES ? SMALLEST_BYTES : size_bytes, a);
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
    struct os_fs_space space;
    const char *image = arena_printf(a, "%.*s.img", SPAN_ARG(path)).p;
    if (stat(image, &st) == 0) {
        return volume_local_attach(path, a, ret_detail);
    }
    if (os_fs_space(path.p, &space) == 0 && size_bytes >= space.total_bytes) {
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
    struct place at;
    int code = place_of(data_dir, name, a, &at, ret_detail);
    if (code < 0) {
        return code;
    }
    code =
        check_size(arena_printf(a, "%.*s/volumes", SPAN_ARG(data_dir)), size_bytes, a, ret_detail);
    if (code < 0) {
        return code;
    }
    struct stat st;
    if (stat(at.image.p, &st) < 0) {
        return stat(at.path.p, &st) == 0
                   ? 0
                   : volume_fail(a, ret_detail, -errno, "cannot grow", at.path);
    }
    int64_t wanted = size_bytes < SMALLEST_BYTES ? SMALLEST_BYTES : size_bytes;
    return st.st_size >= wanted || truncate(at.image.p, wanted) == 0
               ? 0
               : volume_fail(a, ret_detail, -errno, "cannot grow", at.image);
}

int volume_local_grow_files(struct span data_dir, struct span name, bool used, struct arena *a,
                            struct span *ret_detail)
{
    assert(data_dir.n > 0);
    assert(ret_detail);
    struct place at;
    int code = place_of(data_dir, name, a, &at, ret_detail);
    if (code < 0) {
        return code;
    }
    struct stat st;
    if (stat(at.image.p, &st) < 0) { /* a plain directory has the whole disk */
        return stat(at.path.p, &st) == 0
                   ? 0
                   : volume_fail(a, ret_detail, -errno, "cannot grow", at.path);
    }
    code = volume_loop_grow(at.image.p, at.path.p, used);
    return code < 0 ? volume_fail(a, ret_detail, code, "cannot grow the file system in", at.image)
                    : 0;
}

int volume_local_remove(struct span data_dir, struct span name, struct arena *a,
                        struct span *ret_detail)
{
    assert(data_dir.n > 0);
    assert(ret_detail);
    struct place at;
    int code = place_of(data_dir, name, a, &at, ret_detail);
    if (code < 0) {
        return code;
    }
    if (os_is_mount_point(at.path.p) && umount2(at.path.p, 0) < 0) {
        return volume_fail(a, ret_detail, -errno, "cannot unmount", at.path);
    }
    if (unlink(at.image.p) < 0 && errno != ENOENT) {
        return volume_fail(a, ret_detail, -errno, "cannot remove", at.image);
    }
    code = kubelet_remove_tree(at.path.p);
    return code < 0 ? volume_fail(a, ret_detail, code, "cannot remove", at.path) : 0;
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
