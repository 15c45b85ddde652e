/* kubelet/kubelet_images.h: the seam to container images: asynchronous, so that a fake or another
 * image service fits. */
#ifndef KUBELET_KUBELET_IMAGES_H
#define KUBELET_KUBELET_IMAGES_H

#include "env/env.h"
#include "image/image.h"

enum kubelet_pull_policy {
    KUBELET_PULL_DEFAULT,
    KUBELET_PULL_ALWAYS,
    KUBELET_PULL_IF_ABSENT,
    KUBELET_PULL_NEVER
};

struct kubelet_image_request {
    struct span reference; /* as in the pod */
    enum kubelet_pull_policy policy;
    const struct span *docker_configs; /* JSON of the .dockerconfigjson secrets; none: anonymous */
    size_t docker_config_count;
};

struct kubelet_image_result {
    int code;                          /* 0, or negative */
    const struct image_config *config; /* code 0; valid for the call */
    struct span reason,
        message; /* else: ErrImagePull, ErrImageNeverPull, InvalidImageName, and a sentence */
    struct span warning; /* code 0, not empty: why the registry was not asked in the end; the local
                            image is used */
    int64_t pull_ns;     /* pulled in this time; 0: it was here */
};

struct kubelet_images_handler {
    /* A pull over the network begins (event Pulling); never called for a local image. */
    void (*on_pulling)(void *data);
    void (*on_done)(void *data, const struct kubelet_image_result *result);
};

struct kubelet_images;
struct kubelet_images_ops {
    /* The request is copied. The callbacks come later, on_done exactly once (at the latest while
     * freeing, or after it when a work thread still runs). */
    void (*prepare)(struct kubelet_images *im, const struct kubelet_image_request *request,
                    const struct kubelet_images_handler *handler, void *data);
    void (*free)(struct kubelet_images *im);
};
struct kubelet_images {
    const struct kubelet_images_ops *ops;
    struct env *env;
    /* Told of each image that somebody asked for (id empty: in vain). fuller: the disk may be,
     * since a pull ended. */
    void (*on_used)(void *data, struct span id, bool fuller);
    void *on_used_data;
};

/* The real one, on image/image.h with work threads. mirrors as in image_pull_options, copied; store
 * is borrowed. */
struct kubelet_images *kubelet_images_new(struct env *env, struct image_store *store,
                                          const struct span *mirrors, size_t mirror_count);
/* Every image exists at once and is empty. */
struct kubelet_images *kubelet_images_fake_new(struct env *env);
void kubelet_images_free(
    struct kubelet_images *im); /* NULL is fine; does not wait for work threads */

#endif
