/* Clean-up of images, on a real image store, a disk whose size the test says, and a real API server
 * for the events. */
#include "kubelet/image_cleaner.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "os/os_fs.h"
#include "test/kit/api_kit.h"
#include "test/kit/image_kit.h"

enum { IMAGES = 3 };

static const char *const names[IMAGES] = {"docker.io/library/a:1", "docker.io/library/b:1",
                                          "docker.io/library/c:1"};

struct world {
    struct api_kit k;
    struct image_store *store;
    struct kubelet_images *images;
    struct image_cleaner *cleaner;
    struct span ids[IMAGES];
    size_t used; /* this many of ids are containers' */
    bool is_full;
};

static int users_of(void *data, struct arena *a, struct image_user **ret, size_t *ret_count)
{
    const struct world *w = data;
    *ret = ARENA_ARRAY(a, struct image_user, w->used + 1);
    for (size_t i = 0; i < w->used; i++) {
        (*ret)[i] = (struct image_user){w->ids[i], SPAN("c")};
    }
    *ret_count = w->used;
    return 0;
}

/* Each image takes a quarter of it. */
static int disk_of(void *data, uint64_t *available, uint64_t *capacity)
{
    struct world *w = data;
    struct arena *a cleanup_arena = arena_new();
    struct image_config *list;
    size_t n = 0;
    int code = image_list(w->store, a, &list, &n);
    *capacity = 1000;
    *available = w->is_full ? 200 + 250 * (IMAGES - n) : 1000;
    return code;
}

static void on_ref(void *data, struct span ref, struct span digest)
{
    (void)data, (void)ref, (void)digest;
}

static void add_image(struct world *w, int i)
{
    struct arena *a = api_arena();
    struct strbuf tar = STRBUF_INIT, archive = STRBUF_INIT;
    const struct kit_entry entry = {.name = "hello", .content = names[i], .mode = 0644};
    struct span why = SPAN_NULL;
    kit_tar(&tar, &entry, 1, false);
    w->ids[i] = kit_oci_archive(a, &archive, names[i], &tar, &tar, 1, false);
    int fd = kit_fd_of(strbuf_span(&archive));
    CHECK_EQ(image_import(w->store, fd, SPAN_NULL, a, on_ref, NULL, &why), 0);
    (void)close(fd);
    strbuf_done(&tar);
    strbuf_done(&archive);
}

/* As if they had been pulled: there is no registry here. */
static void mark_pulled(struct world *w)
{
    struct strbuf text cleanup_strbuf = STRBUF_INIT;
    strbuf_puts(&text, "{\"refs\":{");
    for (int i = 0; i < IMAGES; i++) {
        strbuf_printf(&text, "%s\"%s\":\"%.*s\"", i ? "," : "", names[i], SPAN_ARG(w->ids[i]));
    }
    strbuf_puts(&text, "},\"pulled\":{");
    for (int i = 0; i < IMAGES; i++) {
        strbuf_printf(&text, "%s\"%s\":true", i ? "," : "", names[i]);
    }
    strbuf_puts(&text, "}}");
    const char *path = arena_printf(api_arena(), "%s/images/refs.json", kit_tmpdir()).p;
    CHECK_EQ(os_fs_write_atomic(path, strbuf_span(&text), 0644, false), 0);
}

static void on_pulling(void *data)
{
    (void)data;
}

static void on_done(void *data, const struct kubelet_image_result *result)
{
    (void)result;
    *(bool *)data = true;
}

static void ask(struct world *w, const char *ref)
{
    static const struct kubelet_images_handler handler = {on_pulling, on_done};
    bool done = false;
    const struct kubelet_image_request rq = {.reference = span_cstr(ref),
                                             .policy = KUBELET_PULL_NEVER};
    w->images->ops->prepare(w->images, &rq, &handler, &done);
    api_run_until(&w->k, &done);
    api_run_ms(&w->k, 5);
}

static void begin(struct world *w, int64_t min_age_ms, unsigned low_percent)
{
    *w = (struct world){.used = 0};
    struct span why = SPAN_NULL;
    api_kit_start(&w->k, NULL);
    CHECK_EQ(image_store_open(span_cstr(kit_tmpdir()), api_arena(), &w->store, &why), 0);
    for (int i = 0; i < IMAGES; i++) {
        add_image(w, i);
    }
    w->images = kubelet_images_new(w->k.env, w->store, NULL, 0);
    const struct image_cleaner_options options = {.store = w->store,
                                                  .images = w->images,
                                                  .users = {users_of, w},
                                                  .thresholds = {75, low_percent},
                                                  .min_age_ms = min_age_ms,
                                                  .client = w->k.client,
                                                  .node_name = SPAN("edge"),
                                                  .disk = disk_of,
                                                  .disk_data = w};
    w->cleaner = image_cleaner_new(w->k.env, &options);
    api_run_ms(&w->k, 20);
}

/* A pull that fails makes the cleaner look. */
static void fill(struct world *w)
{
    w->is_full = true;
    ask(w, "absent:1");
    api_run_ms(&w->k, 200);
}

/* "ac": which images are left. */
static const char *left(struct world *w)
{
    struct image_config *list;
    size_t n;
    CHECK_EQ(image_list(w->store, api_arena(), &list, &n), 0);
    struct strbuf text cleanup_strbuf = STRBUF_INIT;
    for (size_t i = 0; i < n; i++) {
        strbuf_putc(&text, list[i].reference.p[sizeof "docker.io/library/" - 1]);
    }
    return api_text(strbuf_span(&text));
}

static struct span short_of(struct world *w)
{
    struct api_reply r = api_get(&w->k, "/api/v1/namespaces/default/events");
    JSON_EACH(it, api_at(r.json, "items"))
    {
        if (span_eq(json_get_str(it.val, "reason"), SPAN("FreeDiskSpaceFailed"))) {
            CHECK_SPAN(json_str(json_path(it.val, "involvedObject", "name", NULL)), "edge");
            return json_get_str(it.val, "message");
        }
    }
    return SPAN("");
}

static void end(struct world *w)
{
    image_cleaner_free(w->cleaner);
    kubelet_images_free(w->images);
    api_run_ms(&w->k, 20);
    image_store_free(w->store);
    api_kit_stop(&w->k);
}

TEST(the_least_recently_used_go_until_the_disk_is_at_the_low_threshold)
{
    struct world w;
    begin(&w, 0, 50);
    mark_pulled(&w);
    ask(&w, "b:1");
    ask(&w, "a:1");
    ask(&w, "c:1");
    CHECK_SPAN(span_cstr(left(&w)), "abc"); /* the disk is empty */
    fill(&w);
    CHECK_SPAN(span_cstr(left(&w)), "c");
    CHECK_SPAN(short_of(&w), "");
    end(&w);
}

TEST(what_containers_use_and_what_was_imported_stays_and_the_node_says_so)
{
    struct world w;
    begin(&w, 0, 10);
    fill(&w);
    CHECK_SPAN(span_cstr(left(&w)), "abc");
    CHECK_SPAN(short_of(&w),
               "Failed to garbage collect required amount of images. Attempted to free 700 bytes, "
               "but only found 0 bytes eligible to free. 3 unused images came in archives and "
               "stay: `berth image rm` removes them.");
    w.used = 1;
    mark_pulled(&w);
    fill(&w);
    CHECK_SPAN(span_cstr(left(&w)), "a");
    end(&w);
}

TEST(what_was_used_a_moment_ago_stays)
{
    struct world w;
    begin(&w, 60000, 50);
    mark_pulled(&w);
    fill(&w);
    CHECK_SPAN(span_cstr(left(&w)), "abc");
    CHECK(span_starts(short_of(&w), SPAN("Failed to garbage collect")));
    end(&w);
}

TEST(a_look_under_way_ends_by_itself_when_the_cleaner_goes)
{
    struct world w;
    begin(&w, 0, 50);
    mark_pulled(&w);
    w.is_full = true;
    ask(&w, "absent:1");
    image_cleaner_free(w.cleaner);
    w.cleaner = NULL;
    api_run_ms(&w.k, 100);
    for (const char *name = left(&w); *name; name++) { /* what is listed is whole */
        struct image_config c;
        CHECK_EQ(image_find(w.store, span_cstr(names[*name - 'a']), api_arena(), &c), 0);
        CHECK_EQ(access(api_text(c.layers[0]), F_OK), 0);
    }
    end(&w);
}
