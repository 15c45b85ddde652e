/* image/image.h: container images on this node: an OCI layout, content addressed, shared by every
 * container.
 *
 *   DATA/images/blobs/sha256/HEX      blobs: manifests, configs, layers as they came (verified)
 *   DATA/images/refs.json             reference -> manifest digest, and which references were
 *                                     pulled; atomically replaced
 *   DATA/images/layers/DIFFID/        unpacked layers, read-only by convention, complete when the
 * directory exists DATA/images/tmp/                  work in progress; emptied by image_store_clean
 * Everything is written to tmp/ first and renamed, so a kill at any instruction leaves either
 * nothing or a whole. Functions marked [blocking] run on a work thread and touch no loop state;
 * several may run at once, also in two processes (`berth image import` beside a running server):
 * renames are the only synchronisation. */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/arena.h"
#include "base/span.h"

struct image_store; /* immutable after opening: safe from any thread */

/* Creates the directories. Returns 0 or a negative errno with a sentence. */
int image_store_open(struct span data_dir, struct arena *a, struct image_store **ret,
                     struct span *ret_detail);
void image_store_free(struct image_store *s);
/* [blocking] Removes work that a killed process left in tmp/; work under way elsewhere is locked
 * and stays. */
void image_store_clean(struct image_store *s);

/* "redis:7" -> "docker.io/library/redis:7"; digests and ports are understood. False when malformed
 * (with a sentence). */
bool image_reference_normalise(struct arena *a, struct span in, struct span *ret,
                               struct span *ret_detail);
/* Default policy: Always for ":latest" or no tag, else IfNotPresent. `ref` normalised. */
bool image_reference_is_latest(struct span ref);

/* This machine's architecture as images name it: "amd64", "arm64", ... */
struct span image_host_arch(void);

struct image_config {
    struct span id;                            /* manifest digest "sha256:..." */
    struct span reference;                     /* normalised */
    const struct span *entrypoint, *cmd, *env; /* as the image has them */
    size_t entrypoint_count, cmd_count, env_count;
    struct span user, workdir, stop_signal;
    const struct span *layers; /* absolute directories, lowest first */
    size_t layer_count;
    uint64_t size_bytes;
    bool is_imported; /* image_list only: it came in an archive, so no registry may have it */
};

/* [blocking] Looks a normalised reference (or digest) up locally; -ENOENT when absent. */
int image_find(struct image_store *s, struct span ref, struct arena *a, struct image_config *ret);

/* [blocking] Imports an OCI or Docker archive (tar, optionally compressed) from fd (read to its
 * end; a pipe is fine). Every blob's digest is verified, layers are unpacked, references set. Calls
 * on_ref for each image. `as` (may be empty) names images that carry no reference. Errors:
 * E_SYNTAX, E_DIGEST, -ENOSPC, ... with a sentence naming the entry. */
int image_import(struct image_store *s, int fd, struct span as, struct arena *a,
                 void (*on_ref)(void *data, struct span ref, struct span digest), void *data,
                 struct span *ret_detail);

struct image_pull_options {
    const struct span *mirrors; /* "HOST=URL" entries of --registry-mirror */
    size_t mirror_count;
    struct span platform_arch;      /* "amd64"; empty: this machine's */
    struct span username, password; /* from imagePullSecrets; empty: anonymous */
    void (*on_progress)(void *data, struct span blob, uint64_t done_bytes, uint64_t total_bytes);
    void *data;
};
/* [blocking] Pulls by HTTPS (or the mirror's URL), resuming partial blobs. Errors: -ENOENT
 * (manifest unknown), E_UNAUTHORIZED, E_DIGEST, -EHOSTUNREACH ... with a sentence naming the
 * reference and the reason. */
int image_pull(struct image_store *s, struct span ref, const struct image_pull_options *options,
               struct arena *a, struct image_config *ret, struct span *ret_detail);

/* [blocking] All references, sorted. */
int image_list(struct image_store *s, struct arena *a, struct image_config **ret,
               size_t *ret_count);
/* A container that exists, and the image that it was made from (which may have no reference any
 * more). */
struct image_user {
    struct span image_id, container;
};
/* Who uses images now; asked again before anything is lost. NULL list: nobody. */
struct image_users {
    int (*list)(void *data, struct arena *a, struct image_user **ret, size_t *ret_count);
    void *data;
};
/* [blocking] Removes the reference, and blobs and layers that neither a reference nor a container
 * needs. -ENOENT when unknown; -EBUSY when it is the last reference to an image that a container
 * uses; each with a sentence. */
int image_remove(struct image_store *s, struct span ref, const struct image_users *users,
                 struct arena *a, struct span *ret_detail);
/* [blocking] The same for all references to the image with this id, of which none is left
 * afterwards; also for an id that has none, which removes what nothing needs any more. -EBUSY when
 * a container uses it. */
int image_remove_id(struct image_store *s, struct span id, const struct image_users *users,
                    struct arena *a, struct span *ret_detail);

/* [blocking] The file system that holds the images: bytes that are left to users, and all. */
int image_disk(const struct image_store *s, uint64_t *ret_available, uint64_t *ret_capacity);

#endif
