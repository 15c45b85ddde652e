/* crun before 1.9 refuses to run where a cgroup2 mount with controllers stands beside v1
 * controllers. This runs it in a mount namespace of its own where that mount is gone; the machine's
 * other mounts and the monitor are not touched. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "os/os_cgroup.h"
#include "os/os_mount.h"
#include "runtime/runtime_crun.h"

enum { EXIT_SHIM = 127 };

int runtime_shim_main(int argc, char **argv)
{
    int at = 1;
    while (at < argc && strcmp(argv[at], "runtime-shim") != 0) {
        at++;
    }
    if (at + 1 >= argc) {
        (void)fprintf(stderr, "runtime-shim: a program is needed\n");
        return EXIT_SHIM;
    }
    cleanup_arena struct arena *a = arena_new();
    struct os_cgroup cg;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) {
        (void)fprintf(stderr, "runtime-shim: private mount namespace: %s\n", strerror(errno));
        return EXIT_SHIM;
    }
    int code = os_cgroup_detect(a, &cg);
    if (code == 0 && cg.mode == OS_CGROUP_HYBRID) {
        code = os_umount(arena_cstr(a, cg.v2_root));
    }
    if (code) {
        (void)fprintf(stderr, "runtime-shim: hide the cgroup2 mount: %s\n", strerror(-code));
        return EXIT_SHIM;
    }
    (void)execv(argv[at + 1], argv + at + 1);
    (void)fprintf(stderr, "runtime-shim: %s: %s\n", argv[at + 1], strerror(errno));
    return EXIT_SHIM;
}
