/* kubelet/volume_loop.c: see the header.
 *
 * A file is never given two loop devices: their two mounts would write over each other. So the lock
 * on the file, and a look at the devices that there are, come before a new one. */
#include "kubelet/volume_loop.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "os/os_mount.h"

extern char **environ;

/* Of an older linux/ext4.h: the wanted number of blocks. */
#define EXT4_RESIZE _IOW('f', 16, uint64_t)

enum { NAME_BYTES = 300 };

/* What only e2fsprogs does: makes, checks and grows ext4. most: the highest exit code that is a
 * success. A success may also be a program of which nobody knows how it ended, because the loop's
 * child handler reaped it: the caller looks at what it made. */
static int run(const char *const *argv, int most)
{
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
            return errno == ECHILD ? 0 : -errno;
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) <= most ? 0 : -EIO;
}

int volume_loop_make(const char *image, int64_t size_bytes)
{
    cleanup_close int fd = open(image, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, size_bytes) < 0) {
        return -errno;
    }
    const char *const argv[] = {"mkfs.ext4",
                                "-q",
                                "-F",
                                "-m",
                                "0",
                                "-E",
                                "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
                                image,
                                NULL};
    return run(argv, 0);
}

/* ---- devices ---- */

static int new_loop(int image_fd, const char *image, char name[NAME_BYTES])
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
        (void)snprintf(name, NAME_BYTES, "/dev/loop%d", n);
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

static bool is_of(int loop, const struct stat *image)
{
    struct loop_info64 info = {0};
    return ioctl(loop, LOOP_GET_STATUS64, &info) == 0 && info.lo_device == image->st_dev &&
           info.lo_inode == image->st_ino;
}

/* The device that has the file already: of a mount, maybe one that only a container sees. -ENOENT:
 * none. */
static int find_loop(const struct stat *image, char name[NAME_BYTES])
{
    DIR *all = opendir("/sys/block");
    int found = -ENOENT;
    for (struct dirent *e; found < 0 && all && (e = readdir(all)) != NULL;) {
        char sign[NAME_BYTES];
        (void)snprintf(sign, sizeof sign, "/sys/block/%.200s/loop", e->d_name);
        if (strncmp(e->d_name, "loop", 4) != 0 || access(sign, F_OK) < 0) {
            continue;
        }
        (void)snprintf(name, NAME_BYTES, "/dev/%.200s", e->d_name);
        cleanup_close int fd = open(name, O_RDONLY | O_CLOEXEC); /* to write would wake udev */
        if (fd >= 0 && is_of(fd, image)) {
            found = TAKE_FD(fd);
        }
    }
    if (all) {
        (void)closedir(all);
    }
    return found;
}

/* The file's one device; it goes away with its last user. Sees the file's size of now. */
static int loop_of(int image_fd, const char *image, char name[NAME_BYTES])
{
    struct stat st;
    if (fstat(image_fd, &st) < 0) {
        return -errno;
    }
    int loop = find_loop(&st, name);
    if (loop == -ENOENT) {
        return new_loop(image_fd, image, name);
    }
    if (loop >= 0 && ioctl(loop, LOOP_SET_CAPACITY) < 0) {
        int code = -errno;
        (void)close(loop);
        return code;
    }
    return loop;
}

/* ---- file systems ---- */

/* What of the superblock (ext4's layout on disk) says how large it is, and how large it can be. */
struct extent {
    uint64_t block_bytes, blocks, wanted;
};

static uint32_t le32_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

static uint16_t le16_at(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return le16toh(v);
}

/* A last group that could hold little more than what describes it stays unused, as in resize2fs. */
static int measure(int loop, struct extent *ret)
{
    enum { SUPER_AT = 1024, SUPER_BYTES = 1024, SPARE_BLOCKS = 50, WIDE = 0x80 };
    uint8_t s[SUPER_BYTES];
    uint64_t device = 0;
    if (pread(loop, s, sizeof s, SUPER_AT) != sizeof s || ioctl(loop, BLKGETSIZE64, &device) < 0) {
        return errno ? -errno : -EIO;
    }
    uint64_t per_group = le32_at(s + 0x20), first = le32_at(s + 0x14);
    if (le16_at(s + 0x38) != 0xef53 || le32_at(s + 0x18) > 6 || per_group == 0) {
        return -EUCLEAN;
    }
    bool wide = (le32_at(s + 0x60) & WIDE) != 0;
    *ret = (struct extent){.block_bytes = 1024ULL << le32_at(s + 0x18)};
    ret->blocks = le32_at(s + 4) | (wide ? (uint64_t)le32_at(s + 0x150) << 32 : 0);
    ret->wanted = device / ret->block_bytes;
    uint64_t rest = ret->wanted > first ? (ret->wanted - first) % per_group : 0;
    uint64_t groups = ret->wanted / per_group + 1;
    uint64_t spent = 3 + SPARE_BLOCKS + le16_at(s + 0xce) +
                     (uint64_t)le32_at(s + 0x28) * le16_at(s + 0x58) / ret->block_bytes +
                     groups * (wide ? le16_at(s + 0xfe) : 32) / ret->block_bytes;
    if (rest > 0 && rest < spent) {
        ret->wanted -= rest;
    }
    return 0;
}

static int mount_at(const char *loop, const char *path)
{
    return mount(loop, path, "ext4", MS_NOATIME, "errors=remount-ro") < 0 ? -errno : 0;
}

static int grow_mounted(const char *path, uint64_t blocks)
{
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || ioctl(fd, EXT4_RESIZE, &blocks) < 0 ? -errno : 0;
}

/* Nobody has it mounted; loop keeps the device. */
static int grow_apart(const char *loop)
{
    const char *const check[] = {"e2fsck", "-f", "-p", loop, NULL}, *const grow[] = {"resize2fs",
                                                                                     loop, NULL};
    int code = run(check, 1); /* 1: mended */
    return code < 0 ? code : run(grow, 0);
}

static bool file_names(const char *path, const char *word)
{
    FILE *f = fopen(path, "re");
    char line[4096];
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        found = strstr(line, word) != NULL;
    }
    if (f) {
        (void)fclose(f);
    }
    return found;
}

/* Some process of other mounts than ours has it mounted: a container. */
static bool is_mounted_elsewhere(int loop)
{
    char word[48], path[NAME_BYTES];
    struct stat st, ours, theirs;
    DIR *all = opendir("/proc");
    bool found = !all || fstat(loop, &st) < 0 || stat("/proc/self/ns/mnt", &ours) < 0;
    if (!found) {
        (void)snprintf(word, sizeof word, " %u:%u ", major(st.st_rdev), minor(st.st_rdev));
    }
    for (struct dirent *e; !found && (e = readdir(all)) != NULL;) {
        (void)snprintf(path, sizeof path, "/proc/%.200s/ns/mnt", e->d_name);
        if (e->d_name[0] < '1' || e->d_name[0] > '9' || stat(path, &theirs) < 0 ||
            theirs.st_ino == ours.st_ino) {
            continue;
        }
        (void)snprintf(path, sizeof path, "/proc/%.200s/mountinfo", e->d_name);
        found = file_names(path, word);
    }
    if (all) {
        (void)closedir(all);
    }
    return found;
}

/* Not while others have it: they would look at the place where it was. Should one come in between,
 * the device cannot be had alone. */
static int grow_taken_off(int device, const char *loop, const char *path)
{
    if (is_mounted_elsewhere(device)) {
        return -EBUSY;
    }
    if (umount2(path, 0) < 0) {
        return -errno;
    }
    int alone = open(loop, O_RDONLY | O_EXCL | O_CLOEXEC);
    int code = alone < 0 ? -errno : close(alone);
    if (code == 0) {
        code = grow_apart(loop);
    }
    int back = mount_at(loop, path);
    return back < 0 ? back : code;
}

static int fit(int loop, const char *name, const char *path, bool used)
{
    struct extent e = {0};
    int code = measure(loop, &e);
    if (code < 0 || e.blocks >= e.wanted) {
        return code;
    }
    code = grow_mounted(path, e.wanted);
    if (code != -EPERM) {
        return code;
    }
    code = used ? -EBUSY : grow_taken_off(loop, name, path);
    if (code == 0) {
        code = measure(loop, &e);
    }
    return code == 0 && e.blocks < e.wanted ? -EIO : code;
}

/* The lock is of a descriptor of its own: a loop device keeps the one that it is given. */
static int lock(const char *image)
{
    int fd = open(image, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX) < 0) {
        int code = -errno;
        (void)close(fd);
        return code;
    }
    return fd < 0 ? -errno : fd;
}

/* What both begin with: the device, and a mount at path. */
static int bring(const char *image, const char *path, char name[NAME_BYTES])
{
    cleanup_close int fd = open(image, O_RDWR | O_CLOEXEC);
    cleanup_close int loop = fd < 0 ? -errno : loop_of(fd, image, name);
    if (loop >= 0 && !os_is_mount_point(path)) {
        int code = mount_at(name, path);
        return code < 0 ? code : TAKE_FD(loop);
    }
    return loop < 0 ? loop : TAKE_FD(loop);
}

int volume_loop_mount(const char *image, const char *path)
{
    assert(image);
    assert(path);
    char name[NAME_BYTES];
    cleanup_close int locked = lock(image);
    cleanup_close int loop = locked < 0 ? locked : bring(image, path, name);
    if (loop >= 0) {
        (void)fit(loop, name, path,
                  false); /* the claim waits for it, and says so; a pod need not */
    }
    return loop < 0 ? loop : 0;
}

int volume_loop_grow(const char *image, const char *path, bool used)
{
    assert(image);
    assert(path);
    char name[NAME_BYTES];
    cleanup_close int locked = lock(image);
    cleanup_close int loop = locked < 0 ? locked : bring(image, path, name);
    return loop < 0 ? loop : fit(loop, name, path, used);
}
