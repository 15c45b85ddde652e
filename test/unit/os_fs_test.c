/* Files and trees. */
#include "os/os_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/err.h"
#include "kit/kit.h"

static const char *at(struct arena *a, const char *name)
{
    return arena_printf(a, "%s/%s", kit_tmpdir(), name).p;
}

TEST(an_atomic_write_replaces_and_leaves_nothing_beside)
{
    cleanup_arena struct arena *a = arena_new();
    struct span text, *names;
    size_t n;
    CHECK_EQ(os_fs_write_atomic(at(a, "f"), SPAN("one"), 0600, true), 0);
    CHECK_EQ(os_fs_write_atomic(at(a, "f"), SPAN("two"), 0644, false), 0);
    CHECK_EQ(os_fs_read(a, AT_FDCWD, at(a, "f"), 3, &text), 0);
    CHECK_SPAN(text, "two");
    CHECK_EQ(os_fs_read(a, AT_FDCWD, at(a, "f"), 2, &text), E_LIMIT);
    CHECK_EQ(os_fs_list(a, kit_tmpdir(), &names, &n), 0);
    CHECK_EQ(n, 1);
    struct stat st;
    CHECK_EQ(stat(at(a, "f"), &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0644);
    CHECK(os_fs_write_atomic(at(a, "no/f"), SPAN(""), 0600, false) < 0);
}

TEST(a_tree_goes_without_following_links_however_deep_it_is)
{
    cleanup_arena struct arena *a = arena_new();
    CHECK_EQ(os_fs_mkdirs(at(a, "keep/inside"), 0755), 0);
    CHECK_EQ(os_fs_mkdirs(at(a, "keep/inside"), 0755), 0);
    CHECK_EQ(os_fs_mkdirs(at(a, "tree/a/b/c"), 0755), 0);
    CHECK_EQ(os_fs_write(at(a, "tree/a/f"), SPAN("x"), 0600), 0);
    CHECK_EQ(symlink(at(a, "keep"), at(a, "tree/a/link")), 0);
    int fd = open(at(a, "tree"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(mkdirat(fd, "directory-with-a-long-name", 0755), 0);
        int next = openat(fd, "directory-with-a-long-name", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(next >= 0);
        close(fd);
        fd = next;
    }
    close(fd);
    CHECK_EQ(os_fs_remove_tree_at(at(a, "tree")), 0);
    CHECK_EQ(access(at(a, "tree"), F_OK), -1);
    CHECK_EQ(access(at(a, "keep/inside"), F_OK), 0);
    CHECK_EQ(os_fs_remove_tree_at(at(a, "tree")), 0);
    CHECK_EQ(os_fs_remove_tree_at(at(a, "none/tree")), 0);
    CHECK_EQ(symlink("keep", at(a, "link")), 0);
    CHECK_EQ(os_fs_remove_tree_at(at(a, "link")), 0);
    CHECK_EQ(access(at(a, "keep"), F_OK), 0);
}

TEST(paths_inside_a_root_stay_inside)
{
    cleanup_arena struct arena *a = arena_new();
    CHECK_EQ(os_fs_mkdirs(at(a, "root/etc"), 0755), 0);
    CHECK_EQ(os_fs_write(at(a, "outside"), SPAN("secret"), 0600), 0);
    CHECK_EQ(symlink("/../../outside", at(a, "root/etc/passwd")), 0);
    CHECK_EQ(symlink("../../..", at(a, "root/up")), 0);
    int root = open(at(a, "root"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK_EQ(os_fs_open_in_root(root, "/etc/passwd", O_RDONLY), -ENOENT);
    CHECK_EQ(os_fs_mkdirs_in_root(a, root, SPAN("/up/made//./here"), 0755), 0);
    CHECK_EQ(access(at(a, "root/made/here"), F_OK), 0);
    CHECK_EQ(os_fs_mkdirs_in_root(a, root, SPAN("/a/../b"), 0755), -EINVAL);
    close(root);
}

TEST(a_program_is_found_along_the_path)
{
    cleanup_arena struct arena *a = arena_new();
    const char *path;
    CHECK_EQ(os_fs_find_program(a, "sh", &path), 0);
    CHECK(path[0] == '/');
    CHECK_EQ(os_fs_find_program(a, "no-such-program", &path), -ENOENT);
}
