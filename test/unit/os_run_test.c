/* os/os_run: output, exit codes, limits on both sides. */
#include "kit/kit.h"

#include <errno.h>

#include "base/err.h"
#include "os/os_run.h"

static int run(const char *script, size_t max, struct span *out, struct arena *a)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    return os_run_output(a, argv, max, out);
}

TEST(output_of_a_program_is_collected_up_to_the_limit)
{
    struct arena *a cleanup_arena = arena_new();
    struct span out;
    CHECK_EQ(run("echo yes; echo no >&2; cat", 64, &out, a), 0);
    CHECK_SPAN(out, "yes\n");
    CHECK_EQ(run("printf 12345678", 8, &out, a), 0);
    CHECK_EQ(out.n, 8);
    CHECK_EQ(run("printf 123456789", 8, &out, a), E_LIMIT);
}

TEST(failure_and_absence_are_told_apart)
{
    struct arena *a cleanup_arena = arena_new();
    struct span out;
    CHECK_EQ(run("exit 3", 8, &out, a), -EIO);
    CHECK_EQ(run("kill -9 $$", 8, &out, a), -EIO);
    const char *argv[] = {"/nonexistent/program", NULL};
    CHECK_EQ(os_run_output(a, argv, 8, &out), -ENOENT);
}
