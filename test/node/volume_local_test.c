/* Enforced volumes and memory volumes on this machine: needs root and loop devices. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kubelet/kubelet_priv.h"
#include "kubelet/volume_local.h"
#include "kubelet/volume_write.h"
#include "test/kit/kit.h"

TEST(an_enforced_volume_holds_what_was_asked_and_no_more_and_survives_a_reboot)
{
    kit_own_world(CLONE_NEWNS);
    struct arena *a = arena_new();
    struct span dir = arena_dup(a, span_cstr(kit_tmpdir())), why = SPAN_NULL;
    struct volume_local_made made;
    CHECK_EQ(volume_local_create(dir, SPAN("pvc-x"), 16 << 20, true, a, &made, &why), 0);
    if (!made.enforced) {
        CHECK(made.warning.n > 0);
        kit_note("%.*s", SPAN_ARG(made.warning));
        SKIP("no loop devices here");
    }
    struct statvfs fs;
    CHECK_EQ(statvfs(made.path.p, &fs), 0);
    CHECK(fs.f_blocks * fs.f_frsize <= 16 << 20);
    struct span file = arena_printf(a, "%.*s/f", SPAN_ARG(made.path));
    int fd = open(file.p, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    CHECK_EQ(write(fd, "kept", 4), 4);
    CHECK_EQ(posix_fallocate(fd, 0, 32 << 20), ENOSPC);
    CHECK_EQ(ftruncate(fd, 4), 0);
    (void)close(fd);
    CHECK_EQ(umount2(made.path.p, 0), 0); /* as after a reboot */
    CHECK_EQ(access(file.p, F_OK), -1);
    CHECK_EQ(volume_local_attach(made.path, a, &why), 0);
    CHECK_EQ(volume_local_attach(made.path, a, &why), 0);
    struct span text = SPAN_NULL;
    CHECK_EQ(kubelet_read_file(a, file.p, 10, &text), 0);
    CHECK_SPAN(text, "kept");
    CHECK_EQ(volume_local_create(dir, SPAN("pvc-x"), 16 << 20, true, a, &made, &why), 0);
    CHECK(made.enforced);
    CHECK_EQ(volume_local_detach_all(dir, a, &why), 0);
    CHECK_EQ(volume_local_remove(dir, SPAN("pvc-x"), a, &why), 0);
    CHECK_EQ(access(made.path.p, F_OK), -1);
    CHECK_EQ(volume_local_remove(dir, SPAN("pvc-x"), a, &why), 0);
    CHECK_EQ(volume_local_remove(dir, SPAN("../x"), a, &why), -EINVAL);
    arena_free(a);
}

static uint64_t size_of(struct span path)
{
    struct statvfs fs;
    CHECK_EQ(statvfs(path.p, &fs), 0);
    return fs.f_blocks * fs.f_frsize;
}

static bool may_grow_mounted(void)
{
    return prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0) == 1;
}

/* Makes a volume of 16 MiB with a file f that says "kept"; returns that, open. */
static int kept_in(struct arena *a, struct span dir, struct volume_local_made *made)
{
    struct span why = SPAN_NULL;
    CHECK_EQ(volume_local_create(dir, SPAN("pvc-x"), 16 << 20, true, a, made, &why), 0);
    if (!made->enforced) {
        SKIP("no loop devices here");
    }
    struct span file = arena_printf(a, "%.*s/f", SPAN_ARG(made->path));
    int fd = open(file.p, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    CHECK_EQ(write(fd, "kept", 4), 4);
    return fd;
}

TEST(a_volume_grows_with_its_disk_and_keeps_what_is_in_it)
{
    kit_own_world(CLONE_NEWNS);
    struct arena *a = arena_new();
    struct span dir = arena_dup(a, span_cstr(kit_tmpdir())), why = SPAN_NULL, text = SPAN_NULL;
    struct volume_local_made made;
    int fd = kept_in(a, dir, &made);
    struct span file = arena_printf(a, "%.*s/f", SPAN_ARG(made.path));
    static const int64_t sizes[] = {16LL << 20, 17LL << 20, 64LL << 20, 1LL << 30, 20LL << 30};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK_EQ(volume_local_grow_disk(dir, SPAN("pvc-x"), sizes[i], a, &why), 0);
        CHECK_EQ(volume_local_grow_disk(dir, SPAN("pvc-x"), 1 << 20, a, &why), 0); /* no smaller */
        uint64_t before = size_of(made.path);
        int code = volume_local_grow_files(dir, SPAN("pvc-x"), true, a, &why);
        if (i > 0 && !may_grow_mounted()) {
            CHECK_EQ(code, -EBUSY);
            CHECK_EQ(size_of(made.path), before);
            CHECK_EQ(volume_local_grow_files(dir, SPAN("pvc-x"), false, a, &why), -EBUSY);
            CHECK_EQ(size_of(made.path), before);
            (void)close(fd);
            code = volume_local_grow_files(dir, SPAN("pvc-x"), false, a, &why);
            fd = open(file.p, O_RDWR | O_CLOEXEC);
        }
        CHECK_EQ(code, 0);
        CHECK(size_of(made.path) <= (uint64_t)sizes[i]);
        CHECK(size_of(made.path) >= (uint64_t)sizes[i] / 10 * (i < 2 ? 7 : 9));
        CHECK_EQ(volume_local_grow_files(dir, SPAN("pvc-x"), true, a, &why), 0); /* nothing left */
    }
    CHECK_EQ(lseek(fd, 0, SEEK_END), 4);
    (void)close(fd);
    CHECK_EQ(kubelet_read_file(a, file.p, 10, &text), 0);
    CHECK_SPAN(text, "kept");
    CHECK_EQ(volume_local_detach_all(dir, a, &why), 0);
    CHECK_EQ(volume_local_grow_files(dir, SPAN("pvc-x"), false, a, &why), 0);
    CHECK_EQ(volume_local_detach_all(dir, a, &why), 0);
    CHECK_EQ(volume_local_remove(dir, SPAN("pvc-x"), a, &why), 0);
    CHECK_EQ(volume_local_grow_disk(dir, SPAN("pvc-x"), 1 << 20, a, &why), -ENOENT);
    CHECK_EQ(volume_local_grow_files(dir, SPAN("pvc-x"), false, a, &why), -ENOENT);
    CHECK_EQ(volume_local_grow_disk(dir, SPAN("pvc-x"), 1LL << 60, a, &why), -ENOSPC);
    arena_free(a);
}

/* Killed between the two: the next look gives the file system its room. */
TEST(a_disk_that_has_grown_takes_its_file_system_along_when_it_is_mounted)
{
    kit_own_world(CLONE_NEWNS);
    struct arena *a = arena_new();
    struct span dir = arena_dup(a, span_cstr(kit_tmpdir())), why = SPAN_NULL, text = SPAN_NULL;
    struct volume_local_made made;
    int fd = kept_in(a, dir, &made);
    struct span file = arena_printf(a, "%.*s/f", SPAN_ARG(made.path));
    (void)close(fd);
    CHECK_EQ(umount2(made.path.p, 0), 0);
    CHECK_EQ(volume_local_grow_disk(dir, SPAN("pvc-x"), 64 << 20, a, &why), 0);
    CHECK_EQ(volume_local_attach(made.path, a, &why), 0);
    CHECK(size_of(made.path) > 48 << 20);
    CHECK_EQ(volume_local_grow_disk(dir, SPAN("pvc-x"), 128 << 20, a, &why), 0);
    CHECK_EQ(volume_local_attach(made.path, a, &why), 0); /* of a pod that starts */
    CHECK(size_of(made.path) > 96 << 20);
    CHECK_EQ(kubelet_read_file(a, file.p, 10, &text), 0);
    CHECK_SPAN(text, "kept");
    CHECK_EQ(volume_local_detach_all(dir, a, &why), 0);
    CHECK_EQ(volume_local_remove(dir, SPAN("pvc-x"), a, &why), 0);
    arena_free(a);
}

/* A container that has it mounted where we do not see it. */
TEST(a_file_system_that_others_have_mounted_is_not_taken_off)
{
    kit_own_world(CLONE_NEWNS);
    struct arena *a = arena_new();
    struct span dir = arena_dup(a, span_cstr(kit_tmpdir())), why = SPAN_NULL;
    struct volume_local_made made;
    CHECK_EQ(volume_local_create(dir, SPAN("pvc-x"), 16 << 20, true, a, &made, &why), 0);
    if (!made.enforced) {
        SKIP("no loop devices here");
    }
    int ready[2], end[2];
    CHECK_EQ(pipe(ready), 0);
    CHECK_EQ(pipe(end), 0);
    pid_t child = fork();
    if (child == 0) {
        char c =
            unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
        (void)!write(ready[1], &c, 1);
        (void)close(end[1]);
        (void)!read(end[0], &c, 1);
        _exit(0);
    }
    char c = 0;
    CHECK_EQ(read(ready[0], &c, 1), 1);
    CHECK_EQ(c, 1);
    CHECK_EQ(volume_local_grow_disk(dir, SPAN("pvc-x"), 64 << 20, a, &why), 0);
    int code = volume_local_grow_files(dir, SPAN("pvc-x"), false, a, &why);
    CHECK_EQ(code, may_grow_mounted() ? 0 : -EBUSY);
    /* Unmounted here only, as by a kill in between: the same device comes back, not a second. */
    CHECK_EQ(umount2(made.path.p, 0), 0);
    struct stat was, is;
    CHECK_EQ(volume_local_attach(made.path, a, &why), 0);
    CHECK_EQ(stat(made.path.p, &is), 0);
    CHECK_EQ(stat(arena_printf(a, "/proc/%d/root%s", (int)child, made.path.p).p, &was), 0);
    CHECK_EQ(is.st_dev, was.st_dev);
    (void)close(end[1]);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    CHECK_EQ(volume_local_grow_files(dir, SPAN("pvc-x"), false, a, &why), 0);
    CHECK(size_of(made.path) > 48 << 20);
    CHECK_EQ(volume_local_detach_all(dir, a, &why), 0);
    CHECK_EQ(volume_local_remove(dir, SPAN("pvc-x"), a, &why), 0);
    arena_free(a);
}

TEST(a_claim_that_the_whole_disk_could_not_hold_is_refused)
{
    struct arena *a = arena_new();
    struct span dir = arena_dup(a, span_cstr(kit_tmpdir())), why = SPAN_NULL;
    struct volume_local_made made;
    struct statvfs fs;
    CHECK_EQ(statvfs(dir.p, &fs), 0);
    int64_t total = (int64_t)(fs.f_blocks * fs.f_frsize);
    CHECK_EQ(volume_local_create(dir, SPAN("pvc-x"), total + 1, false, a, &made, &why), -ENOSPC);
    CHECK(span_ends(why, SPAN("move the data directory to a larger disk")));
    CHECK_EQ(access(made.path.p, F_OK), -1);
    CHECK_EQ(volume_local_create(dir, SPAN("pvc-x"), total, false, a, &made, &why), 0);
    arena_free(a);
}

TEST(a_memory_volume_is_shared_sized_and_taken_away)
{
    kit_own_world(CLONE_NEWNS);
    struct arena *a = arena_new();
    struct span pod = arena_printf(a, "%s/pod", kit_tmpdir()), why = SPAN_NULL, warning = SPAN_NULL;
    struct volume_desc v = {.kind = VOLUME_TMPFS,
                            .name = SPAN("m"),
                            .size_bytes = 1 << 20,
                            .fs_group = -1,
                            .path = arena_printf(a, "%.*s/volumes/m", SPAN_ARG(pod))};
    int code = volume_prepare(&v, a, &warning, &why);
    if (code == -EPERM) {
        SKIP("mounting is not allowed here");
    }
    CHECK_EQ(code, 0);
    CHECK_EQ(volume_prepare(&v, a, &warning, &why), 0); /* not mounted twice */
    struct statvfs fs;
    CHECK_EQ(statvfs(v.path.p, &fs), 0);
    CHECK_EQ(fs.f_blocks * fs.f_frsize, 1 << 20);
    CHECK_EQ(volume_teardown(pod.p, true, a, &why), 0);
    CHECK_EQ(access(pod.p, F_OK), -1);
    arena_free(a);
}

TEST(a_limited_volume_of_a_pod_has_its_room_and_little_more_and_goes_with_the_pod)
{
    static const uint64_t sizes[] = {1 << 20, 10 << 20, 100 << 20, 700 << 20};
    kit_own_world(CLONE_NEWNS);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct arena *a = arena_new();
        struct span data = arena_printf(a, "%s/data-%zu", kit_tmpdir(), i), why = SPAN_NULL,
                    warning = SPAN_NULL, text = SPAN_NULL;
        struct span pod = arena_printf(a, "%.*s/pods/uid", SPAN_ARG(data));
        const struct volume_desc v = {.kind = VOLUME_EMPTY,
                                      .name = SPAN("e"),
                                      .size_bytes = sizes[i],
                                      .fs_group = 4321,
                                      .path = arena_printf(a, "%.*s/volumes/e", SPAN_ARG(pod))};
        CHECK_EQ(volume_prepare(&v, a, &warning, &why), 0);
        if (warning.n) {
            kit_note("%.*s", SPAN_ARG(warning));
            SKIP("no loop devices here");
        }
        struct statvfs fs;
        struct stat st;
        CHECK_EQ(statvfs(v.path.p, &fs), 0);
        uint64_t room = fs.f_bavail * fs.f_frsize;
        CHECK(room >= sizes[i] && room <= sizes[i] + sizes[i] / 3 + (3 << 20));
        CHECK_EQ(stat(v.path.p, &st), 0);
        CHECK_EQ(st.st_mode & 07777, 02777);
        CHECK_EQ(st.st_gid, 4321);
        struct span file = arena_printf(a, "%.*s/f", SPAN_ARG(v.path));
        int fd = open(file.p, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        CHECK_EQ(write(fd, "kept", 4), 4);
        CHECK_EQ(posix_fallocate(fd, 0, (off_t)(2 * sizes[i] + (4 << 20))), ENOSPC);
        CHECK_EQ(ftruncate(fd, 4), 0);
        (void)close(fd);
        CHECK_EQ(volume_prepare(&v, a, &warning, &why), 0); /* as it is */
        CHECK_EQ(volume_local_detach_all(data, a, &why), 0);
        CHECK_EQ(access(file.p, F_OK), -1);
        CHECK_EQ(volume_prepare(&v, a, &warning, &why), 0);
        CHECK_EQ(kubelet_read_file(a, file.p, 10, &text), 0);
        CHECK_SPAN(text, "kept");
        CHECK_EQ(volume_teardown(pod.p, true, a, &why), 0);
        CHECK_EQ(access(pod.p, F_OK), -1);
        arena_free(a);
    }
}

TEST(a_limited_volume_that_has_files_already_stays_a_directory)
{
    kit_own_world(CLONE_NEWNS);
    struct arena *a = arena_new();
    struct span pod = arena_printf(a, "%s/pod", kit_tmpdir()), why = SPAN_NULL, warning = SPAN_NULL;
    struct volume_desc v = {.kind = VOLUME_EMPTY,
                            .name = SPAN("e"),
                            .fs_group = -1,
                            .path = arena_printf(a, "%.*s/volumes/e", SPAN_ARG(pod))};
    CHECK_EQ(volume_prepare(&v, a, &warning, &why), 0); /* by an agent that knew no limits */
    struct span file = arena_printf(a, "%.*s/f", SPAN_ARG(v.path));
    int fd = open(file.p, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    (void)close(fd);
    v.size_bytes = 1 << 20;
    CHECK_EQ(volume_prepare(&v, a, &warning, &why), 0);
    CHECK_EQ(access(file.p, F_OK), 0);
    v.size_bytes = (uint64_t)1 << 60; /* no disk is so large: nothing to keep it to */
    CHECK_EQ(volume_teardown(pod.p, true, a, &why), 0);
    CHECK_EQ(volume_prepare(&v, a, &warning, &why), 0);
    CHECK_EQ(warning.n, 0);
    CHECK_EQ(volume_teardown(pod.p, true, a, &why), 0);
    arena_free(a);
}
