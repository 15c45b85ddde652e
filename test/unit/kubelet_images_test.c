/* The node agent's seam to images, on a real image store and a registry that does not answer. */
#include "kubelet/kubelet_images.h"

#include "base/strbuf.h"
#include "env/env_uv.h"
#include "test/kit/image_kit.h"
#include "test/kit/kit.h"

struct got {
    struct env *env;
    struct arena *a;
    bool done;
    int pulling, code;
    struct span reason, message, id, reference, warning;
};

static void on_pulling(void *data)
{
    ((struct got *)data)->pulling++;
}

static void on_done(void *data, const struct kubelet_image_result *r)
{
    struct got *g = data;
    g->done = true;
    g->code = r->code;
    g->reason = arena_dup(g->a, r->reason);
    g->message = arena_dup(g->a, r->message);
    g->warning = arena_dup(g->a, r->warning);
    if (r->config) {
        g->id = arena_dup(g->a, r->config->id);
        g->reference = arena_dup(g->a, r->config->reference);
    }
    env_uv_stop(g->env);
}

static const struct kubelet_images_handler handler = {.on_pulling = on_pulling, .on_done = on_done};

static struct got ask(struct kubelet_images *im, struct arena *a, const char *ref,
                      enum kubelet_pull_policy policy)
{
    struct got g = {.env = im->env, .a = a};
    im->ops->prepare(im,
                     &(struct kubelet_image_request){.reference = span_cstr(ref), .policy = policy},
                     &handler, &g);
    CHECK(!g.done);
    while (!g.done) {
        env_uv_run(im->env);
    }
    return g;
}

static void on_ref(void *data, struct span ref, struct span digest)
{
    (void)data, (void)ref, (void)digest;
}

TEST(policies_decide_between_the_store_and_the_registry)
{
    struct arena *a = arena_new();
    struct env *env = env_uv_new();
    struct image_store *store = NULL;
    struct span why = SPAN_NULL;
    CHECK_EQ(image_store_open(span_cstr(kit_tmpdir()), a, &store, &why), 0);
    struct strbuf tar = STRBUF_INIT, archive = STRBUF_INIT;
    const struct kit_entry entry = {.name = "hello", .content = "x", .mode = 0644};
    kit_tar(&tar, &entry, 1, false);
    struct span digest =
        kit_oci_archive(a, &archive, "docker.io/library/redis:7", &tar, &tar, 1, false);
    int fd = kit_fd_of(strbuf_span(&archive));
    CHECK_EQ(image_import(store, fd, SPAN_NULL, a, on_ref, NULL, &why), 0);
    (void)close(fd);
    /* Nobody listens on port 1: a pull fails at once, and no packet leaves this machine. */
    struct span mirrors[] = {SPAN("docker.io=http://127.0.0.1:1"),
                             SPAN("example.test=http://127.0.0.1:1")};
    struct kubelet_images *im = kubelet_images_new(env, store, mirrors, 2);

    struct got g = ask(im, a, "redis:7", KUBELET_PULL_DEFAULT);
    CHECK_EQ(g.code, 0);
    CHECK_EQ(g.pulling, 0);
    CHECK(span_eq(g.id, digest));
    CHECK_SPAN(g.reference, "docker.io/library/redis:7");
    g = ask(im, a, "redis:7", KUBELET_PULL_NEVER);
    CHECK_EQ(g.code, 0);
    g = ask(im, a, "absent:1", KUBELET_PULL_NEVER);
    CHECK_SPAN(g.reason, "ErrImageNeverPull");
    CHECK_EQ(g.pulling, 0);
    g = ask(im, a, "absent:1", KUBELET_PULL_DEFAULT);
    CHECK_SPAN(g.reason, "ErrImagePull");
    CHECK_EQ(g.pulling, 1);
    CHECK(g.message.n > 0);
    /* No way to the registry, but the image is here: it is used, and the reason is told. */
    g = ask(im, a, "redis:7", KUBELET_PULL_ALWAYS);
    CHECK_EQ(g.code, 0);
    CHECK_EQ(g.pulling, 1);
    CHECK(g.warning.n > 0);
    CHECK(span_eq(g.id, digest));
    g = ask(im, a, "absent:1", KUBELET_PULL_ALWAYS);
    CHECK_SPAN(g.reason, "ErrImagePull");
    g = ask(im, a, "Not A Reference", KUBELET_PULL_DEFAULT);
    CHECK_SPAN(g.reason, "InvalidImageName");

    /* Freed with a question under way: it is answered, later. */
    struct got late = {.env = env, .a = a};
    im->ops->prepare(im, &(struct kubelet_image_request){.reference = SPAN("redis:7")}, &handler,
                     &late);
    kubelet_images_free(im);
    while (!late.done) {
        env_uv_run(env);
    }
    image_store_free(store);
    env_uv_free(env);
    strbuf_done(&tar);
    strbuf_done(&archive);
    arena_free(a);
}
