/* Enforced volumes and memory volumes on this machine: needs root and loop devices. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "kubelet/kubelet_priv.h"
#include "kubelet/volume_local.h"
#include "kubelet/volume_write.h"
#include "test/kit/kit.h"

static void need_root(void)
{
    if (geteuid() != 0) {
        SKIP("not root");
    }
}

TEST(an_enforced_volume_holds_what_was_asked_and_no_more_and_survives_a_reboot)
{
    need_root();
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
    need_root();
    struct arena *a = arena_new();
    struct span pod = arena_printf(a, "%s/pod", kit_tmpdir()), why = SPAN_NULL;
    struct volume_desc v = {.kind = VOLUME_TMPFS,
                            .name = SPAN("m"),
                            .size_bytes = 1 << 20,
                            .fs_group = -1,
                            .path = arena_printf(a, "%.*s/volumes/m", SPAN_ARG(pod))};
    int code = volume_prepare(&v, a, &why);
    if (code == -EPERM) {
        SKIP("mounting is not allowed here");
    }
    CHECK_EQ(code, 0);
    CHECK_EQ(volume_prepare(&v, a, &why), 0); /* not mounted twice */
    struct statvfs fs;
    CHECK_EQ(statvfs(v.path.p, &fs), 0);
    CHECK_EQ(fs.f_blocks * fs.f_frsize, 1 << 20);
    CHECK_EQ(volume_teardown(pod.p, true, a, &why), 0);
    CHECK_EQ(access(pod.p, F_OK), -1);
    arena_free(a);
}
