/* Lines of mountinfo. */
#include "kit/kit.h"
#include "os/os_mount.h"

TEST(a_mountinfo_line_gives_point_type_and_options)
{
    cleanup_arena struct arena *a = arena_new();
    struct span point, type, options;
    CHECK(os_mountinfo_line(a,
                            SPAN("41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 "
                                 "master:1 - cgroup2 cgroup2 rw,nsdelegate"),
                            &point, &type, &options));
    CHECK_SPAN(point, "/sys/fs/cgroup/unified");
    CHECK_SPAN(type, "cgroup2");
    CHECK_SPAN(options, "rw,nsdelegate");
    CHECK(os_mountinfo_line(a, SPAN("1 2 0:1 / /a\\040b\\134c rw - tmpfs none rw"), &point, &type,
                            &options));
    CHECK_SPAN(point, "/a b\\c");
    static const char *bad[] = {"", "1 2 3", "1 2 0:1 / relative rw - tmpfs none rw",
                                "1 2 0:1 / /a rw", "1 2 0:1 / /a\\0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kit_note("%s", bad[i]);
        CHECK(!os_mountinfo_line(a, span_cstr(bad[i]), &point, &type, &options));
    }
}
