/* What groups and the machine use: the kernel's texts, and groups of either version, made of files.
 */
#include "os/os_usage.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "kit/kit.h"
#include "os/os_fs.h"

#define CPU_STAT "usage_usec 2500\nuser_usec 2000\nsystem_usec 500\nnr_periods 0\n"
#define MEMINFO                                                                                    \
    "MemTotal:       16307892 kB\nMemFree:          226520 kB\nMemAvailable:   12000000 kB\n"

TEST(numbers_are_found_by_their_whole_key)
{
    static const struct {
        const char *text, *key;
        int64_t want; /* -1: none */
    } rows[] = {
        {CPU_STAT, "usage_usec", 2500},
        {CPU_STAT, "system_usec", 500},
        {CPU_STAT, "usec", -1},
        {MEMINFO, "MemTotal", 16307892},
        {MEMINFO, "MemAvailable", 12000000},
        {MEMINFO, "Mem", -1},
        {"inactive_file 7\ntotal_inactive_file 9\n", "total_inactive_file", 9},
        {"inactive_file 7", "inactive_file", 7},
        {"inactive_file\n", "inactive_file", -1},
        {"inactive_file x\n", "inactive_file", -1},
        {"inactive_file -1\n", "inactive_file", -1},
        {"inactive_file 99999999999999999999\n", "inactive_file", -1},
        {"", "inactive_file", -1},
        {"\n\n:\n", "inactive_file", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t got = 0;
        bool found = os_usage_number(span_cstr(rows[i].text), span_cstr(rows[i].key), &got);
        CHECK_EQ(found ? (int64_t)got : -1, rows[i].want);
    }
}

TEST(busy_time_is_all_but_idle_waiting_and_stolen_time)
{
    static const struct {
        const char *text;
        int64_t want;
    } rows[] = {
        {"cpu  1 2 4 100 200 8 16 400 800 900\ncpu0 1 2 4 100 200 8 16 400 800 900\n", 31},
        {"cpu  1 2 4 100 200 8 16\n", 31},
        {"cpu  1 2 4 100 200 8\n", -1},
        {"cpu0 1 2 4 100 200 8 16\n", -1},
        {"cpu  18446744073709551615 2 4 1 2 8 16\n", -1},
        {"cpu  1 2 x 1 2 8 16\n", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t got = 0;
        bool ok = os_usage_busy(span_cstr(rows[i].text), &got);
        CHECK_EQ(ok ? (int64_t)got : -1, rows[i].want);
    }
}

static void put(struct arena *a, const char *dir, const char *file, const char *text)
{
    const char *path = arena_printf(a, "%s/%s", dir, file).p;
    CHECK_EQ(os_fs_write(path, span_cstr(text), 0644), 0);
}

TEST(a_group_of_the_second_version)
{
    struct arena *a = arena_new();
    const char *root = kit_tmpdir(), *dir = arena_printf(a, "%s/g", root).p;
    struct span roots[] = {span_cstr(root)};
    struct os_cgroup cg = {.mode = OS_CGROUP_V2, .roots = roots, .root_count = 1};
    struct os_usage u = {0};
    CHECK_EQ(os_usage_group(&cg, SPAN("/g"), &u), -ENOENT);
    CHECK_EQ(mkdir(dir, 0755), 0);
    put(a, dir, "cpu.stat", CPU_STAT);
    CHECK_EQ(os_usage_group(&cg, SPAN("/g"), &u), -ENOENT); /* no controller of memory */
    put(a, dir, "memory.current", "10485760\n");
    put(a, dir, "memory.stat", "anon 1\nfile 5\ninactive_file 485760\n");
    CHECK_EQ(os_usage_group(&cg, SPAN("/g"), &u), 0);
    CHECK_EQ(u.cpu_ns, 2500000);
    CHECK_EQ(u.memory_bytes, 10000000);
    CHECK(u.at_ns > 0);
    put(a, dir, "memory.current", "4096\n"); /* read a moment before the other */
    CHECK_EQ(os_usage_group(&cg, SPAN("/g"), &u), 0);
    CHECK_EQ(u.memory_bytes, 0);
    put(a, dir, "memory.current", "much\n");
    CHECK_EQ(os_usage_group(&cg, SPAN("/g"), &u), -EIO);
    arena_free(a);
}

TEST(a_group_of_the_first_version_has_a_hierarchy_for_each_controller)
{
    struct arena *a = arena_new();
    const char *top = kit_tmpdir();
    const char *names[] = {"cpu", "cpuacct", "memory", "unified"};
    struct span roots[4];
    const char *dirs[4];
    for (size_t i = 0; i < 4; i++) {
        roots[i] = arena_printf(a, "%s/%s", top, names[i]);
        dirs[i] = arena_printf(a, "%.*s/g", SPAN_ARG(roots[i])).p;
        CHECK_EQ(os_fs_mkdirs(dirs[i], 0755), 0);
    }
    struct os_cgroup cg = {.mode = OS_CGROUP_HYBRID, .roots = roots, .root_count = 4};
    struct os_usage u = {0};
    put(a, dirs[0], "cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n");
    put(a, dirs[1], "cpuacct.usage", "123456789\n");
    put(a, dirs[2], "memory.usage_in_bytes", "8192\n");
    put(a, dirs[2], "memory.stat", "inactive_file 1\ntotal_inactive_file 4096\n");
    put(a, dirs[3], "cpu.stat", CPU_STAT);
    CHECK_EQ(os_usage_group(&cg, SPAN("/g"), &u), 0);
    CHECK_EQ(u.cpu_ns, 123456789);
    CHECK_EQ(u.memory_bytes, 4096);
    arena_free(a);
}

TEST(this_machine_is_measured)
{
    struct os_usage u = {0}, later = {0};
    CHECK_EQ(os_usage_machine(&u), 0);
    CHECK_EQ(os_usage_machine(&later), 0);
    CHECK(u.cpu_ns > 0 && u.memory_bytes > 0);
    CHECK(later.at_ns >= u.at_ns && later.cpu_ns >= u.cpu_ns);
}
