/* kubelet/kubelet_images.c: image_find and image_pull on work threads behind the kubelet's seam;
 * and the fake. */
#include "kubelet/kubelet_images.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "kubelet/kubelet_priv.h"

struct images {
    struct kubelet_images base;
    struct image_store *store;
    struct arena *arena; /* of mirrors */
    struct span *mirrors;
    size_t mirror_count;
    struct list jobs;
    bool dying; /* freed when the last job is back */
};

struct job {
    struct list link;
    struct env_work work;
    struct images *im;
    struct arena *arena;
    struct kubelet_image_request request;
    struct kubelet_images_handler handler;
    void *data;
    struct span ref;
    struct image_config config, local; /* local: what was here before the pull */
    bool has_local;
    int code;
    struct span detail;
    int64_t began_ns, pull_ns;
    struct span username, password;
};

static void images_release(struct images *im)
{
    if (im->dying && list_is_empty(&im->jobs)) {
        arena_free(im->arena);
        free(im);
    }
}

static void job_end(struct job *j, const struct kubelet_image_result *result)
{
    struct images *im = j->im;
    list_remove(&j->link);
    if (im->base.on_used && !im->dying) {
        im->base.on_used(im->base.on_used_data, result->config ? result->config->id : SPAN_NULL,
                         result->code < 0 || result->pull_ns > 0);
    }
    j->handler.on_done(j->data, result);
    arena_free(j->arena);
    free(j);
    images_release(im);
}

static void job_failed(struct job *j, const char *reason, struct span message)
{
    job_end(j, &(struct kubelet_image_result){.code = j->code ? j->code : -EINVAL,
                                              .reason = span_cstr(reason),
                                              .message = message});
}

/* ---- credentials: {"auths":{"registry.example:5000":{"auth":"BASE64"}}} ---- */

static void credentials(struct job *j)
{
    struct span registry = span_first(j->ref, span_find(j->ref, '/'));
    for (size_t i = 0; i < j->request.docker_config_count; i++) {
        yyjson_doc *doc = NULL;
        if (json_parse(j->arena, j->request.docker_configs[i], &doc, NULL) != 0) {
            continue;
        }
        JSON_EACH(it, json_get(yyjson_doc_get_root(doc), "auths"))
        {
            struct span host = json_str(it.key), text = SPAN_NULL;
            size_t scheme = span_starts(host, SPAN("https://"))  ? 8
                            : span_starts(host, SPAN("http://")) ? 7
                                                                 : 0;
            host = span_from(host, scheme);
            host = span_first(host, span_find(host, '/'));
            bool hub = span_eq_cstr(host, "index.docker.io") && span_eq_cstr(registry, "docker.io");
            if (!hub && !span_eq(host, registry)) {
                continue;
            }
            j->username = json_get_str(it.val, "username");
            j->password = json_get_str(it.val, "password");
            if (j->username.n == 0 &&
                base64_decode(j->arena, json_get_str(it.val, "auth"), &text)) {
                j->username = span_cut(&text, ':');
                j->password = text;
            }
            return;
        }
    }
}

/* ---- pull ---- */

static void pull_run(struct env_work *work)
{
    struct job *j = CONTAINER_OF(work, struct job, work);
    struct image_pull_options options = {.mirrors = j->im->mirrors,
                                         .mirror_count = j->im->mirror_count,
                                         .username = j->username,
                                         .password = j->password};
    j->code = image_pull(j->im->store, j->ref, &options, j->arena, &j->config, &j->detail);
}

static void pull_done(struct env_work *work)
{
    struct job *j = CONTAINER_OF(work, struct job, work);
    if (j->code == -EHOSTUNREACH && j->has_local) {
        /* Not an answer, but no way to one: doc/decisions/pull-always-offline.md. */
        job_end(j, &(struct kubelet_image_result){.config = &j->local, .warning = j->detail});
        return;
    }
    if (j->code < 0) {
        struct span message = j->detail.n ? j->detail : span_cstr(code_text(j->code));
        job_failed(j, "ErrImagePull", message);
        return;
    }
    int64_t took = env_mono_ns(j->im->base.env) - j->began_ns;
    job_end(j,
            &(struct kubelet_image_result){.config = &j->config, .pull_ns = took > 0 ? took : 1});
}

/* ---- look first ---- */

static void find_run(struct env_work *work)
{
    struct job *j = CONTAINER_OF(work, struct job, work);
    j->code = image_find(j->im->store, j->ref, j->arena, &j->config);
}

static void find_done(struct env_work *work)
{
    struct job *j = CONTAINER_OF(work, struct job, work);
    if (j->code == 0 && j->request.policy != KUBELET_PULL_ALWAYS) {
        job_end(j, &(struct kubelet_image_result){.config = &j->config});
        return;
    }
    if (j->request.policy == KUBELET_PULL_NEVER) {
        j->code = -ENOENT;
        job_failed(j, "ErrImageNeverPull",
                   arena_printf(j->arena,
                                "Container image \"%.*s\" is not present with pull policy of Never",
                                SPAN_ARG(j->request.reference)));
        return;
    }
    if (j->im->dying) {
        job_failed(j, "ErrImagePull", SPAN_NULL);
        return;
    }
    j->has_local = j->code == 0;
    j->local = j->config;
    credentials(j);
    j->handler.on_pulling(j->data);
    j->began_ns = env_mono_ns(j->im->base.env);
    env_work_start(j->im->base.env, &j->work, pull_run, pull_done);
}

static void bad_run(struct env_work *work)
{
    (void)work;
}

static void bad_done(struct env_work *work)
{
    struct job *j = CONTAINER_OF(work, struct job, work);
    job_failed(
        j, "InvalidImageName",
        arena_printf(j->arena,
                     "Failed to apply default image tag \"%.*s\": couldn't parse image name: %.*s",
                     SPAN_ARG(j->request.reference), SPAN_ARG(j->detail)));
}

static void real_prepare(struct kubelet_images *base, const struct kubelet_image_request *request,
                         const struct kubelet_images_handler *handler, void *data)
{
    struct images *im = CONTAINER_OF(base, struct images, base);
    struct job *j = MEM_NEW(struct job);
    assert(!im->dying);
    j->im = im;
    j->arena = arena_new();
    j->handler = *handler;
    j->data = data;
    j->request = *request;
    j->request.reference = arena_dup(j->arena, request->reference);
    struct span *configs = ARENA_ARRAY(j->arena, struct span, request->docker_config_count + 1);
    for (size_t i = 0; i < request->docker_config_count; i++) {
        configs[i] = arena_dup(j->arena, request->docker_configs[i]);
    }
    j->request.docker_configs = configs;
    list_push_back(&im->jobs, &j->link);
    if (!image_reference_normalise(j->arena, j->request.reference, &j->ref, &j->detail)) {
        env_work_start(im->base.env, &j->work, bad_run, bad_done);
        return;
    }
    if (j->request.policy == KUBELET_PULL_DEFAULT) {
        j->request.policy =
            image_reference_is_latest(j->ref) ? KUBELET_PULL_ALWAYS : KUBELET_PULL_IF_ABSENT;
    }
    env_work_start(im->base.env, &j->work, find_run, find_done);
}

static void real_free(struct kubelet_images *base)
{
    struct images *im = CONTAINER_OF(base, struct images, base);
    im->dying = true;
    images_release(im);
}

struct kubelet_images *kubelet_images_new(struct env *env, struct image_store *store,
                                          const struct span *mirrors, size_t mirror_count)
{
    assert(env);
    assert(store);
    assert(mirrors || mirror_count == 0);
    static const struct kubelet_images_ops ops = {.prepare = real_prepare, .free = real_free};
    struct images *im = MEM_NEW(struct images);
    im->base = (struct kubelet_images){.ops = &ops, .env = env};
    im->store = store;
    im->arena = arena_new();
    im->mirrors = ARENA_ARRAY(im->arena, struct span, mirror_count + 1);
    im->mirror_count = mirror_count;
    for (size_t i = 0; i < mirror_count; i++) {
        im->mirrors[i] = arena_dup(im->arena, mirrors[i]);
    }
    list_init(&im->jobs);
    return &im->base;
}

void kubelet_images_free(struct kubelet_images *im)
{
    if (im) {
        im->ops->free(im);
    }
}

/* ---- the fake ---- */

struct fake_job {
    struct list link;
    struct env_task task;
    struct images *im;
    struct kubelet_images_handler handler;
    void *data;
    struct arena *arena;
    struct span ref;
};

static void fake_done(struct env_task *task)
{
    struct fake_job *j = CONTAINER_OF(task, struct fake_job, task);
    struct span command = SPAN("/fake");
    struct image_config config = {
        .id = SPAN("sha256:0000000000000000000000000000000000000000000000000000000000000000"),
        .reference = j->ref,
        .entrypoint = &command,
        .entrypoint_count = 1};
    list_remove(&j->link);
    j->handler.on_done(j->data, &(struct kubelet_image_result){.config = &config});
    arena_free(j->arena);
    free(j);
}

static void fake_prepare(struct kubelet_images *base, const struct kubelet_image_request *request,
                         const struct kubelet_images_handler *handler, void *data)
{
    struct images *im = CONTAINER_OF(base, struct images, base);
    struct fake_job *j = MEM_NEW(struct fake_job);
    j->im = im;
    j->handler = *handler;
    j->data = data;
    j->arena = arena_new();
    j->ref = arena_dup(j->arena, request->reference);
    list_push_back(&im->jobs, &j->link);
    env_post(base->env, &j->task, fake_done);
}

static void fake_free(struct kubelet_images *base)
{
    struct images *im = CONTAINER_OF(base, struct images, base);
    LIST_EACH(l, &im->jobs)
    {
        struct fake_job *j = CONTAINER_OF(l, struct fake_job, link);
        env_post_cancel(base->env, &j->task);
        fake_done(&j->task);
    }
    arena_free(im->arena);
    free(im);
}

struct kubelet_images *kubelet_images_fake_new(struct env *env)
{
    assert(env);
    static const struct kubelet_images_ops ops = {.prepare = fake_prepare, .free = fake_free};
    struct images *im = MEM_NEW(struct images);
    im->base = (struct kubelet_images){.ops = &ops, .env = env};
    im->arena = arena_new();
    list_init(&im->jobs);
    return &im->base;
}
