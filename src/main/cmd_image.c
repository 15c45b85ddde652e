/* berth image: works on the store in the data directory itself, so it does not need the server. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "env/env_uv.h"
#include "image/image.h"
#include "main/main.h"
#include "main/options.h"
#include "runtime/runtime_crun.h"

static void print_ref(void *data, struct span ref, struct span digest)
{
    (void)data;
    (void)printf("%.*s %.*s\n", SPAN_ARG(ref), SPAN_ARG(digest));
}

static int complain(const char *what, struct span detail)
{
    (void)fprintf(stderr, "berth image: %s: %.*s\n", what, SPAN_ARG(detail));
    return 1;
}

static int import_one(struct image_store *s, struct arena *a, const char *path, struct span as)
{
    bool standard_input = strcmp(path, "-") == 0;
    int opened cleanup_close = standard_input ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (!standard_input && opened < 0) {
        return complain(path, span_cstr(strerror(errno)));
    }
    struct span why = SPAN_NULL;
    struct stat st;
    if (fstat(standard_input ? 0 : opened, &st) == 0 && S_ISDIR(st.st_mode)) {
        return complain(path, SPAN("is a directory; name an archive, made by `docker save`, "
                                   "`podman save` or `skopeo copy`"));
    }
    int code = image_import(s, standard_input ? 0 : opened, as, a, print_ref, NULL, &why);
    return code < 0 ? complain(path, why.n ? why : span_cstr(code_text(code))) : 0;
}

static int do_import(struct image_store *s, struct arena *a, const struct options *o)
{
    if (o->arg_count < 2) {
        (void)fprintf(stderr, "berth image import: name an archive, or - for standard input\n");
        return 2;
    }
    int failed = 0;
    for (size_t i = 1; i < o->arg_count; i++) {
        failed |= import_one(s, a, o->args[i], o->as);
    }
    return failed;
}

static bool reference_of(struct arena *a, const struct options *o, struct span *ret)
{
    struct span why;
    if (o->arg_count != 2) {
        (void)fprintf(stderr, "berth image %s: name one image\n", o->args[0]);
        return false;
    }
    if (!image_reference_normalise(a, span_cstr(o->args[1]), ret, &why)) {
        (void)fprintf(stderr, "berth image: %.*s\n", SPAN_ARG(why));
        return false;
    }
    return true;
}

enum { PROGRESS_NS = 2 * 1000 * 1000 * 1000LL };

struct progress {
    struct env *env;
    int64_t told_ns;
};

/* To those who wait; what was pulled is the only thing on standard output. */
static void on_progress(void *data, struct span blob, uint64_t done_bytes, uint64_t total_bytes)
{
    struct progress *p = data;
    int64_t now_ns = env_mono_ns(p->env);
    if (now_ns - p->told_ns >= PROGRESS_NS) {
        p->told_ns = now_ns;
        (void)fprintf(stderr, "  %.*s %.1f of %.1f MB\n", SPAN_ARG(span_first(blob, 19)),
                      (double)done_bytes / 1e6, (double)total_bytes / 1e6);
    }
}

static int do_pull(struct image_store *s, struct arena *a, const struct options *o)
{
    struct span ref, why = SPAN_NULL;
    struct image_config config;
    struct progress progress = {.env = env_uv_new()};
    struct image_pull_options pull = {.mirrors = o->registry_mirrors,
                                      .mirror_count = o->registry_mirror_count,
                                      .on_progress = on_progress,
                                      .data = &progress};
    if (!reference_of(a, o, &ref)) {
        env_uv_free(progress.env);
        return 2;
    }
    (void)fprintf(stderr, "pulling %.*s\n", SPAN_ARG(ref));
    progress.told_ns = env_mono_ns(progress.env);
    int code = image_pull(s, ref, &pull, a, &config, &why);
    env_uv_free(progress.env);
    if (code < 0) {
        (void)fprintf(stderr, "berth image: %.*s\n", SPAN_ARG(why));
        return 1;
    }
    print_ref(NULL, config.reference, config.id);
    return 0;
}

static int do_list(struct image_store *s, struct arena *a, const struct options *o)
{
    struct image_config *list;
    size_t n;
    if (o->arg_count > 1) {
        (void)fprintf(stderr, "berth image ls: \"%s\" is too much: it lists all images\n",
                      o->args[1]);
        return 2;
    }
    int code = image_list(s, a, &list, &n);
    if (code < 0) {
        return complain("the references cannot be read", span_cstr(code_text(code)));
    }
    (void)printf("%-50s %-20s %s\n", "IMAGE", "ID", "SIZE");
    for (size_t i = 0; i < n; i++) {
        (void)printf("%-50.*s %-20.*s %.1f MB\n", SPAN_ARG(list[i].reference),
                     SPAN_ARG(span_first(list[i].id, 19)), (double)list[i].size_bytes / 1e6);
    }
    return 0;
}

int image_users_of(void *data, struct arena *a, struct image_user **ret, size_t *ret_count)
{
    const struct span *data_dir = data;
    struct runtime_image_use *uses = NULL;
    int code = runtime_crun_images(*data_dir, a, &uses, ret_count);
    *ret = ARENA_ARRAY(a, struct image_user, *ret_count + 1);
    for (size_t i = 0; i < *ret_count; i++) {
        (*ret)[i] = (struct image_user){uses[i].image_id, uses[i].container_id};
    }
    return code;
}

static int do_remove(struct image_store *s, struct arena *a, const struct options *o)
{
    struct span ref;
    if (!reference_of(a, o, &ref)) {
        return 2;
    }
    struct span why = SPAN_NULL;
    const struct image_users users = {image_users_of, (void *)(uintptr_t)&o->data_dir};
    int code = image_remove(s, ref, &users, a, &why);
    return code < 0 ? complain(ref.p, why) : 0;
}

static const struct {
    const char *name;
    int (*run)(struct image_store *s, struct arena *a, const struct options *o);
    bool makes; /* the data directory, when there is none yet */
} actions[] = {{"import", do_import, true},
               {"pull", do_pull, true},
               {"ls", do_list, false},
               {"rm", do_remove, false}};

static bool have_data_dir(struct arena *a, const struct options *o, bool make)
{
    const char *dir = arena_cstr(a, o->data_dir);
    if (make && mkdir(dir, 0700) != 0 && errno != EEXIST) {
        (void)complain(dir, span_cstr(strerror(errno)));
        return false;
    }
    if (access(dir, R_OK | W_OK | X_OK) == 0) {
        return true;
    }
    (void)complain(dir, errno == ENOENT
                            ? SPAN("there is no such data directory: name the server's with "
                                   "--data-dir")
                            : arena_printf(a, "%s%s", strerror(errno),
                                           errno == EACCES ? "; run this as root" : ""));
    return false;
}

int cmd_image(int argc, char **argv)
{
    struct arena *a cleanup_arena = arena_new();
    struct options o;
    int code = options_parse(a, OPTIONS_COMMON | OPTIONS_IMAGE, "image", argc, argv, &o);
    if (code != 0) {
        return code < 0 ? 2 : 0;
    }
    for (size_t i = 0; o.arg_count && i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(o.args[0], actions[i].name) == 0) {
            struct image_store *s = NULL;
            struct span why;
            if (!have_data_dir(a, &o, actions[i].makes)) {
                return 1;
            }
            if (image_store_open(o.data_dir, a, &s, &why) < 0) {
                (void)fprintf(stderr, "berth image: %.*s\n", SPAN_ARG(why));
                return 1;
            }
            code = actions[i].run(s, a, &o);
            image_store_free(s);
            return code;
        }
    }
    if (o.arg_count) {
        (void)fprintf(stderr, "berth image: there is no \"%s\"\n", o.args[0]);
    }
    (void)fprintf(stderr, "usage: berth image import FILE... | pull REF | ls | rm REF\n");
    return 2;
}
