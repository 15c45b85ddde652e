/* kubelet/volume_local.c: see the header. */
#include "kubelet/volume_local.h"
#include "os/os_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "kubelet/kubelet_priv.h"
#include "kubelet/volume_write.h"

extern char **environ;

/* A file system in the file: the program, because nothing else writes ext4. A work thread may wait
 * for it. */
static int run_mkfs(const char *image)
{
    const char *const argv[] = {"mkfs.ext4",
                                "-q",
                                "-F",
                                "-m",
                                "0",
                                "-E",
                                "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
                                image,
                                NULL};
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd < 3; fd++) {
        (void)posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    }
    pid_t pid = -1;
    int code = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (code != 0) {
        return -code;
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return errno == ECHILD
                       ? 0
                       : -errno; /* reaped by the loop's child handler: the mount decides */
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* A loop device for the image that goes away with its last user. */
static int open_loop(int image_fd, const char *image, char *name, size_t name_bytes)
{
    cleanup_close int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0) {
        return -errno;
    }
    for (int tries = 0; tries < 16; tries++) {
        int n = ioctl(control, LOOP_CTL_GET_FREE);
        if (n < 0) {
            return -errno;
        }
        (void)snprintf(name, name_bytes, "/dev/loop%d", n);
        cleanup_close int fd = open(name, O_RDWR | O_CLOEXEC);
        if (fd < 0) {
            return -errno;
        }
        struct loop_config config = {.fd = (uint32_t)image_fd,
                                     .info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO};
        (void)snprintf((char *)config.info.lo_file_name, sizeof config.info.lo_file_name, "%s",
                       image);
        if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
            return TAKE_FD(fd);
        }
        config.info.lo_flags = LO_FLAGS_AUTOCLEAR; /* no direct I/O below this file */
        if (errno == EINVAL && ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
            return TAKE_FD(fd);
        }
        if (errno != EBUSY) {
            return -errno;
        }
    }
    return -EBUSY;
}

static int mount_image(const char *image, const char *path)
{
    char name[32];
    cleanup_close int image_fd = open(image, O_RDWR | O_CLOEXEC);
    if (image_fd < 0) {
        return -errno;
    }
    cleanup_close int loop = open_loop(image_fd, image, name, sizeof name);
    if (loop < 0) {
        return loop;
    }
    return mount(name, path, "ext4", MS_NOATIME, "errors=remount-ro") < 0 ? -errno : 0;
}

static int make_image(const char *image, int64_t size_bytes)
{
    cleanup_close int fd = open(image, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    if (ftruncate(fd, size_bytes) < 0) {
        return -errno;
    }
    return run_mkfs(image);
}

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
    int code = make_image(tmp.p, size_bytes);
    if (code == 0) {
        code = mount_image(tmp.p, path.p);
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

int volume_local_create(struct span data_dir, struct span name, int64_t size_bytes, bool enforce,
                        struct arena *a, struct volume_local_made *ret, struct span *ret_detail)
{
    assert(ret);
    assert(ret_detail);
    assert(data_dir.n > 0);
    enum { SMALLEST_BYTES = 4 * 1024 * 1024 }; /* ext4 with a journal needs about this */
    if (name.n == 0 || span_find(name, '/') < name.n || name.p[0] == '.') {
        *ret_detail = SPAN("a volume's name is one path component");
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
    if (stat(image.p, &st) < 0 || os_is_mount_point(dir.p)) {
        return 0;
    }
    int code = mount_image(image.p, dir.p);
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

int volume_local_remove(struct span data_dir, struct span name, struct arena *a,
                        struct span *ret_detail)
{
    assert(data_dir.n > 0);
    assert(ret_detail);
    if (name.n == 0 || span_find(name, '/') < name.n || name.p[0] == '.') {
        *ret_detail = SPAN("a volume's name is one path component");
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
