/* image/image_registry.h: the registry side of a pull: HTTP with token authentication, on a worker
 * thread. */
#ifndef IMAGE_IMAGE_REGISTRY_H
#define IMAGE_IMAGE_REGISTRY_H

#include "base/err.h"
#include "image/image.h"

struct registry;

/* ref is normalised. The mirror of its host is taken from options, else https://HOST (registry-1
 * for docker.io). */
struct registry *registry_new(struct arena *a, struct span ref,
                              const struct image_pull_options *options);
void registry_free(struct registry *r);
struct span registry_version(const struct registry *r);

/* A manifest or small document, whole. -ENOENT, E_UNAUTHORIZED, -EHOSTUNREACH, E_LIMIT ..., with a
 * sentence. */
int registry_get_manifest(struct registry *r, struct span version, struct span *ret,
                          struct span *detail);
/* Appends a blob's bytes to fd from its current size on (Range), `size` being the whole. 0 when
 * complete. */
int registry_get_blob(struct registry *r, struct span digest, int fd, uint64_t size,
                      struct span *detail);

#endif
