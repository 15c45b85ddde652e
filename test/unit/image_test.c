/* image/: references, import, unpacking of hostile layers, removal. */
#include "kit/image_kit.h"
#include "kit/kit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/err.h"
#include "image/image.h"

TEST(reference_defaults_are_dockers)
{
    static const char *const cases[][2] = {
        {"redis", "docker.io/library/redis:latest"},
        {"redis:7", "docker.io/library/redis:7"},
        {"bitnami/redis", "docker.io/bitnami/redis:latest"},
        {"docker.io/redis:7", "docker.io/library/redis:7"},
        {"localhost/x", "localhost/x:latest"},
        {"localhost:5000/a/b:1", "localhost:5000/a/b:1"},
        {"ghcr.io/o/p@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "ghcr.io/o/p@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    };
    struct arena *a cleanup_arena = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span out, why;
        CHECK(image_reference_normalise(a, span_cstr(cases[i][0]), &out, &why));
        CHECK_SPAN(out, cases[i][1]);
    }
    CHECK(image_reference_is_latest(SPAN("docker.io/library/redis:latest")));
    CHECK(!image_reference_is_latest(SPAN("docker.io/library/redis:7")));
}

TEST(malformed_references_are_refused_with_a_reason)
{
    static const char *const bad[] = {"",       "Redis",     "redis:",          "a//b",
                                      "/redis", "redis:a b", "redis@sha256:12", "x/../y:\x01"};
    struct arena *a cleanup_arena = arena_new();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct span out, why = SPAN_NULL;
        bool ok = image_reference_normalise(a, span_cstr(bad[i]), &out, &why);
        if (ok) {
            kit_fail(__FILE__, __LINE__, "accepted \"%s\"", bad[i]);
        }
        CHECK(why.n > 20);
    }
}

static struct image_store *store;
static struct arena *arena;
static int ref_count;
static char last_ref[256];

static void on_ref(void *data, struct span ref, struct span digest)
{
    (void)data;
    (void)digest;
    ref_count++;
    snprintf(last_ref, sizeof last_ref, "%.*s", SPAN_ARG(ref));
}

static void open_store(void)
{
    if (geteuid() != 0) {
        SKIP("unpacking layers needs root");
    }
    arena = arena_new();
    struct span why;
    CHECK_EQ(image_store_open(span_cstr(kit_tmpdir()), arena, &store, &why), 0);
}

static void close_store(void)
{
    image_store_free(store);
    arena_free(arena);
}

static int import(struct strbuf *archive, struct span *why)
{
    int fd = kit_fd_of(strbuf_span(archive));
    int code = image_import(store, fd, SPAN_NULL, arena, on_ref, NULL, why);
    close(fd);
    return code;
}

/* One image, one layer of these entries. */
static int import_layer(const struct kit_entry *entries, size_t n, struct span *why)
{
    struct strbuf tar cleanup_strbuf = STRBUF_INIT, out cleanup_strbuf = STRBUF_INIT;
    kit_tar(&tar, entries, n, false);
    (void)kit_oci_archive(arena, &out, "test:1", &tar, &tar, 1, false);
    *why = SPAN_NULL;
    return import(&out, why);
}

static size_t entries_in(const char *sub)
{
    DIR *d = opendir(arena_printf(arena, "%s/images/%s", kit_tmpdir(), sub).p);
    size_t n = 0;
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n - 2;
}

TEST(oci_archive_with_gzip_layers_is_found_again)
{
    open_store();
    const struct kit_entry lower[] = {{.name = "bin/"},
                                      {.name = "bin/e", .content = "#!", .mode = 0750},
                                      {.name = "etc/gone", .content = "x"},
                                      {.name = "opq/old", .content = "x"}};
    const struct kit_entry upper[] = {
        {.name = "etc/.wh.gone", .content = ""},
        {.name = "opq/.wh..wh..opq", .content = ""},
        {.name = "bin/l", .symlink = "e"},
        {.name = "bin/f", .content = "f"},
        {.name = "bin/h", .hardlink = "bin/f"},
        {.name = "cap", .content = "c", .xattr_name = "user.note", .xattr_value = "v"}};
    struct strbuf tars[2] = {STRBUF_INIT, STRBUF_INIT}, blobs[2] = {STRBUF_INIT, STRBUF_INIT};
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    kit_tar(&tars[0], lower, 4, false);
    kit_tar(&tars[1], upper, 6, false);
    kit_tar(&blobs[0], lower, 4, true);
    strbuf_put(&blobs[1], strbuf_span(&tars[1]));
    struct span digest = kit_oci_archive(arena, &out, "redis:7", tars, blobs, 2, false);
    struct span why = SPAN_NULL;
    CHECK_EQ(import(&out, &why), 0);
    CHECK_SPAN(span_cstr(last_ref), "docker.io/library/redis:7");
    struct image_config c;
    CHECK_EQ(image_find(store, SPAN("docker.io/library/redis:7"), arena, &c), 0);
    CHECK(span_eq(c.id, digest));
    CHECK_EQ(c.layer_count, 2);
    CHECK_SPAN(c.entrypoint[0], "/bin/e");
    CHECK_SPAN(c.cmd[0], "c");
    CHECK_SPAN(c.env[0], "A=b");
    CHECK_SPAN(c.user, "7:8");
    CHECK_SPAN(c.workdir, "/w");
    struct stat st, st2;
    CHECK_EQ(stat(arena_printf(arena, "%s/bin/e", c.layers[0].p).p, &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0750);
    CHECK_EQ(st.st_mtime, 1000000000);
    CHECK_EQ(lstat(arena_printf(arena, "%s/etc/gone", c.layers[1].p).p, &st), 0);
    CHECK(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
    char v[8];
    CHECK_EQ(getxattr(arena_printf(arena, "%s/opq", c.layers[1].p).p, "trusted.overlay.opaque", v,
                      sizeof v),
             1);
    CHECK_EQ(stat(arena_printf(arena, "%s/bin/f", c.layers[1].p).p, &st), 0);
    CHECK_EQ(stat(arena_printf(arena, "%s/bin/h", c.layers[1].p).p, &st2), 0);
    CHECK_EQ(st.st_ino, st2.st_ino);
    CHECK_EQ(getxattr(arena_printf(arena, "%s/cap", c.layers[1].p).p, "user.note", v, sizeof v), 1);
    CHECK_EQ(entries_in("tmp"), 0);
    for (int i = 0; i < 2; i++) {
        strbuf_done(&tars[i]);
        strbuf_done(&blobs[i]);
    }
    close_store();
}

TEST(layer_that_writes_outside_its_root_is_refused_and_leaves_nothing)
{
    open_store();
    struct span why;
    const struct kit_entry up[] = {{.name = "../../escape", .content = "x"}};
    CHECK_EQ(import_layer(up, 1, &why), -EXDEV);
    CHECK_SPAN(why, "layer entry \"../../escape\" points outside of its root");
    const struct kit_entry by_link[] = {{.name = "d", .symlink = "/tmp"},
                                        {.name = "d/escape", .content = "x"}};
    CHECK_EQ(import_layer(by_link, 2, &why), -EXDEV);
    CHECK_SPAN(why, "layer entry \"d/escape\" points outside of its root by a link");
    const struct kit_entry by_dots[] = {{.name = "d", .symlink = "../.."},
                                        {.name = "d/escape", .content = "x"}};
    CHECK_EQ(import_layer(by_dots, 2, &why), -EXDEV);
    const struct kit_entry hard[] = {{.name = "h", .hardlink = "../../../etc/passwd"}};
    CHECK_EQ(import_layer(hard, 1, &why), -EXDEV);
    CHECK(access("/tmp/escape", F_OK) != 0);
    CHECK_EQ(entries_in("tmp"), 0);
    CHECK_EQ(entries_in("layers"), 0);
    struct image_config c;
    CHECK_EQ(image_find(store, SPAN("docker.io/library/test:1"), arena, &c), -ENOENT);
    close_store();
}

TEST(layer_cannot_forge_overlay_attributes)
{
    open_store();
    struct span why;
    const struct kit_entry e[] = {
        {.name = "d/"}, {.name = "d", .xattr_name = "trusted.overlay.opaque", .xattr_value = "y"}};
    CHECK_EQ(import_layer(e, 2, &why), 0);
    struct image_config c;
    char v[8];
    CHECK_EQ(image_find(store, SPAN("docker.io/library/test:1"), arena, &c), 0);
    CHECK(getxattr(arena_printf(arena, "%s/d", c.layers[0].p).p, "trusted.overlay.opaque", v,
                   sizeof v) < 0);
    close_store();
}

TEST(wrong_digest_and_damaged_archives_are_refused)
{
    open_store();
    const struct kit_entry e[] = {
        {.name = "a", .content = "0123456789012345678901234567890123456789"}};
    struct strbuf tar cleanup_strbuf = STRBUF_INIT, out cleanup_strbuf = STRBUF_INIT;
    kit_tar(&tar, e, 1, false);
    (void)kit_oci_archive(arena, &out, "test:1", &tar, &tar, 1, true);
    struct span why = SPAN_NULL;
    CHECK_EQ(import(&out, &why), E_DIGEST);
    CHECK(span_find(why, ':') < why.n);
    struct strbuf other cleanup_strbuf = STRBUF_INIT, lie cleanup_strbuf = STRBUF_INIT;
    const struct kit_entry e2[] = {{.name = "a", .content = "different"}};
    kit_tar(&other, e2, 1, false);
    (void)kit_oci_archive(arena, &lie, "test:1", &other, &tar, 1, false);
    CHECK_EQ(import(&lie, &why), E_DIGEST); /* the diff_id lies */
    struct strbuf junk cleanup_strbuf = STRBUF_INIT;
    strbuf_puts(&junk, "this is no archive");
    CHECK_EQ(import(&junk, &why), E_SYNTAX);
    out.n /= 2;
    CHECK(import(&out, &why) < 0);
    CHECK_EQ(entries_in("layers"), 0);
    CHECK_EQ(entries_in("tmp"), 0);
    close_store();
}

TEST(docker_archive_is_imported_with_all_its_tags)
{
    open_store();
    const struct kit_entry e[] = {{.name = "hello", .content = "world"}};
    struct strbuf tar cleanup_strbuf = STRBUF_INIT, out cleanup_strbuf = STRBUF_INIT;
    kit_tar(&tar, e, 1, false);
    /* A layer tar has NULs, which kit_tar's C strings cannot carry: name an empty layer instead. */
    struct span empty_diff = kit_digest(arena, SPAN(""));
    struct span config = arena_printf(
        arena, "{\"config\":{\"Cmd\":[\"x\"]},\"rootfs\":{\"diff_ids\":[\"%s\"]}}", empty_diff.p);
    const struct kit_entry files[] = {{.name = "c.json", .content = config.p},
                                      {.name = "real/layer.tar", .content = ""},
                                      {.name = "l/layer.tar", .symlink = "../real/layer.tar"},
                                      {.name = "manifest.json",
                                       .content = "[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\","
                                                  "\"b:2\"],\"Layers\":[\"l/layer.tar\"]}]"}};
    kit_tar(&out, files, 4, true);
    struct span why = SPAN_NULL;
    int code = import(&out, &why);
    if (code != 0) {
        kit_fail(__FILE__, __LINE__, "%d: %.*s", code, SPAN_ARG(why));
    }
    CHECK_EQ(ref_count, 2);
    struct image_config *list;
    size_t n;
    CHECK_EQ(image_list(store, arena, &list, &n), 0);
    CHECK_EQ(n, 2);
    CHECK_SPAN(list[0].reference, "docker.io/library/a:1");
    CHECK(span_eq(list[0].id, list[1].id));
    close_store();
}

TEST(removal_keeps_what_other_references_need)
{
    open_store();
    const struct kit_entry shared[] = {{.name = "s", .content = "shared"}},
                           own[] = {{.name = "o", .content = "own"}};
    struct strbuf tars[2] = {STRBUF_INIT, STRBUF_INIT};
    struct strbuf one cleanup_strbuf = STRBUF_INIT, two cleanup_strbuf = STRBUF_INIT;
    struct span why;
    kit_tar(&tars[0], shared, 1, false);
    kit_tar(&tars[1], own, 1, false);
    (void)kit_oci_archive(arena, &one, "one:1", tars, tars, 1, false);
    (void)kit_oci_archive(arena, &two, "two:1", tars, tars, 2, false);
    CHECK_EQ(import(&one, &why), 0);
    CHECK_EQ(import(&two, &why), 0);
    CHECK_EQ(entries_in("layers"), 2);
    CHECK_EQ(image_remove(store, SPAN("docker.io/library/two:1"), NULL, arena, &why), 0);
    CHECK_EQ(entries_in("layers"), 1);
    CHECK_EQ(image_remove(store, SPAN("docker.io/library/two:1"), NULL, arena, &why), -ENOENT);
    struct image_config c;
    CHECK_EQ(image_find(store, SPAN("docker.io/library/one:1"), arena, &c), 0);
    CHECK_EQ(image_remove(store, SPAN("docker.io/library/one:1"), NULL, arena, &why), 0);
    CHECK_EQ(entries_in("layers"), 0);
    CHECK_EQ(entries_in("blobs/sha256"), 0);
    strbuf_done(&tars[0]);
    strbuf_done(&tars[1]);
    close_store();
}

struct used {
    struct span id[2]; /* of the first question and of those that follow */
    int asked;
};

static int one_user(void *data, struct arena *a, struct image_user **ret, size_t *n)
{
    struct used *u = data;
    *ret = ARENA_ARRAY(a, struct image_user, 1);
    (*ret)[0] = (struct image_user){u->id[u->asked++ > 1], SPAN("u-c-0")};
    *n = (*ret)[0].image_id.n > 0;
    return 0;
}

TEST(removing_an_image_spares_what_containers_that_exist_were_made_from)
{
    open_store();
    const struct kit_entry own[] = {{.name = "o", .content = "own"}},
                           next[] = {{.name = "n", .content = "next"}};
    struct strbuf tars[2] = {STRBUF_INIT, STRBUF_INIT};
    struct strbuf one cleanup_strbuf = STRBUF_INIT, two cleanup_strbuf = STRBUF_INIT;
    struct strbuf again cleanup_strbuf = STRBUF_INIT;
    struct span why;
    const struct span ref = SPAN("docker.io/library/one:1"),
                      other = SPAN("docker.io/library/two:1");
    kit_tar(&tars[0], own, 1, false);
    kit_tar(&tars[1], next, 1, false);
    (void)kit_oci_archive(arena, &one, "one:1", tars, tars, 1, false);
    (void)kit_oci_archive(arena, &two, "two:1", &tars[1], &tars[1], 1, false);
    (void)kit_oci_archive(arena, &again, "one:1", tars, tars, 2, false);
    CHECK_EQ(import(&one, &why), 0);
    CHECK_EQ(import(&two, &why), 0);
    struct image_config was, c;
    CHECK_EQ(image_find(store, ref, arena, &was), 0);
    struct used running = {.id = {was.id, was.id}};
    const struct image_users users = {one_user, &running};
    CHECK_EQ(image_remove(store, ref, &users, arena, &why), -EBUSY);
    CHECK(span_find(why, 'u') < why.n);
    CHECK_EQ(image_find(store, ref, arena, &c), 0);
    /* The reference has moved on, the container has not. */
    CHECK_EQ(import(&again, &why), 0);
    CHECK_EQ(image_remove(store, other, &users, arena, &why), 0);
    CHECK_EQ(image_find(store, was.id, arena, &c), 0);
    CHECK_EQ(image_remove(store, ref, &users, arena, &why), 0);
    CHECK_EQ(image_find(store, was.id, arena, &c), 0);
    CHECK_EQ(entries_in("layers"), 1);
    /* One that is made in the middle of a removal keeps its layers. */
    CHECK_EQ(import(&one, &why), 0);
    struct used late = {.id = {SPAN(""), was.id}};
    const struct image_users coming = {one_user, &late};
    CHECK_EQ(image_remove(store, ref, &coming, arena, &why), 0);
    CHECK(late.asked == 3);
    CHECK_EQ(image_find(store, was.id, arena, &c), 0);
    CHECK_EQ(entries_in("layers"), 1);
    strbuf_done(&tars[0]);
    strbuf_done(&tars[1]);
    close_store();
}

TEST(work_of_a_killed_process_is_cleaned)
{
    open_store();
    char path[256];
    snprintf(path, sizeof path, "%s/images/tmp/work-abcdef", kit_tmpdir());
    CHECK_EQ(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/images/tmp/work-abcdef/x", kit_tmpdir());
    CHECK_EQ(mkdir(path, 0700), 0);
    image_store_clean(store);
    CHECK_EQ(entries_in("tmp"), 0);
    close_store();
}
