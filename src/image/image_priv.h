/* image/image_priv.h: shared by the files of image/. */
#ifndef IMAGE_IMAGE_PRIV_H
#define IMAGE_IMAGE_PRIV_H

#include <openssl/evp.h>
#include <yyjson.h>

#include "base/err.h"
#include "image/image.h"

struct image_store {
    char *root; /* DATA/images, absolute */
};

/* ---- digests (image_digest.c) ---- */

enum { DIGEST_HEX_BYTES = 64 };

/* "sha256:" and 64 lower-case hexadecimal digits. */
bool digest_ok(struct span digest);
/* The hexadecimal part of a good digest. */
struct span digest_hex(struct span digest);
struct digest_ctx {
    EVP_MD_CTX *md;
};
void digest_begin(struct digest_ctx *d);
void digest_add(struct digest_ctx *d, const void *p, size_t n);
/* Ends the computation: "sha256:HEX" in the arena; releases the context. */
struct span digest_end(struct digest_ctx *d, struct arena *a);
void digest_abandon(struct digest_ctx *d); /* after digest_end: no-op */
struct span digest_of(struct arena *a, struct span bytes);
/* Of a file's content; empty span when it cannot be read. */
struct span digest_of_file(struct arena *a, const char *path);

/* ---- files (image_files.c) ---- */

const char *image_path(const struct image_store *s, struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A new private work directory below tmp/, locked against the cleaner until released. */
struct image_tmp {
    const char *path;
    int lock_fd;
};
int image_tmp_new(const struct image_store *s, struct arena *a, struct image_tmp *ret);
void image_tmp_done(struct image_tmp *t); /* removes the tree; zeroed is fine */
int sync_tree(const char *path);          /* syncfs of the file system that holds path */

/* ---- blobs, references (image_store.c) ---- */

struct image_manifest {
    struct span config_digest;
    struct span *layer_digests;
    struct span *diff_ids; /* from the config, as many as layers */
    size_t layer_count;
};
bool blob_exists(const struct image_store *s, struct span digest);
/* Moves a finished file in; its digest has been verified. */
int blob_adopt(const struct image_store *s, const char *path, struct span digest);
int blob_write(const struct image_store *s, struct arena *a, struct span content,
               struct span digest);

/* ---- unpacking (image_unpack.c) ---- */

/* Unpacks a layer blob (tar, any compression) into the new directory `into`; the uncompressed bytes
 * must have diff_id. Whiteouts become overlayfs', nothing is written outside. */
int layer_unpack(struct arena *a, const char *blob_path, const char *into, struct span diff_id,
                 struct span *detail);
/* After all blobs of a manifest are there: unpacks what is missing, syncs, publishes the layers,
 * sets the references. */
int image_publish(struct image_store *s, struct arena *a, struct span manifest_digest,
                  const struct span *refs, size_t ref_count, bool pulled, struct span *detail);
/* LOCK_SH, from before the first blob is stored or found until the references are set: nothing is
 * swept meanwhile. LOCK_EX | LOCK_NB: whoever sweeps. A descriptor to be closed, or a negative
 * errno. */
int image_busy(const struct image_store *s, struct arena *a, int mode);

/* Formats *detail and returns code, so that callers write: return fail(a, detail, -EINVAL, ...). */
int fail(struct arena *a, struct span *detail, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
