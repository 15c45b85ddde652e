/* test/kit/image_kit.h: makes small image archives for tests. */
#ifndef TEST_KIT_IMAGE_KIT_H
#define TEST_KIT_IMAGE_KIT_H

#include "base/arena.h"
#include "base/strbuf.h"

struct kit_entry {
    const char *name, *content; /* content NULL: directory */
    const char *symlink, *hardlink;
    unsigned mode;
    const char *xattr_name, *xattr_value;
};

/* A tar of the entries; gzip compresses it. */
void kit_tar(struct strbuf *out, const struct kit_entry *entries, size_t n, bool gzip);
/* "sha256:..." */
struct span kit_digest(struct arena *a, struct span bytes);
/* An OCI archive of one image with the layers given as tars (diff) and blobs (as stored); ref may
 * be NULL. Returns the manifest's digest. break_layer damages the first layer's bytes but not its
 * name. */
struct span kit_oci_archive(struct arena *a, struct strbuf *out, const char *ref,
                            const struct strbuf *tars, const struct strbuf *blobs, size_t layers,
                            bool break_layer);
/* A file with the content, opened for reading at its start. */
int kit_fd_of(struct span content);

#endif
