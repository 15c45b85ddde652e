/* kubelet/image_cleaner.h: removes images that nobody uses when the disk fills.
 *
 * Looks at the disk when an image came, when a pull failed, and every five minutes as the kubelet
 * does (what else fills a disk tells nobody). Below the high threshold a look is one statvfs on a
 * work thread. Above it: gather (images on disk, containers that exist), decide (plan/image_plan),
 * remove one image after another until use is at the low threshold. Killed at any instruction it
 * leaves whole images (image/image.h). Loop thread only. */
#ifndef KUBELET_IMAGE_CLEANER_H
#define KUBELET_IMAGE_CLEANER_H

#include "client/client.h"
#include "kubelet/kubelet_images.h"
#include "plan/image_plan.h"

enum { IMAGE_CLEANER_MIN_AGE_MS = 2 * 60 * 1000 }; /* the kubelet's */

struct image_cleaner_options {
    struct image_store *store;
    struct kubelet_images *images;
    struct image_users users; /* called on work threads */
    struct image_thresholds thresholds;
    int64_t min_age_ms; /* an image used within it stays */
    struct client *client;
    struct span node_name; /* events are about it */
    /* The size of the disk, on a work thread; NULL: image_disk(). */
    int (*disk)(void *data, uint64_t *available, uint64_t *capacity);
    void *disk_data;
};

struct image_cleaner;
/* Borrows what the options name, node_name is copied. */
struct image_cleaner *image_cleaner_new(struct env *env,
                                        const struct image_cleaner_options *options);
/* Before the kubelet's images; NULL is fine. Work under way ends by itself. */
void image_cleaner_free(struct image_cleaner *c);

#endif
