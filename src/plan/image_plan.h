/* plan/image_plan.h: which images a node that runs out of disk removes, in which order. The rules
 * are the kubelet's image garbage collection: nothing below the high threshold; above it the
 * images that nobody uses, least recently used first, until use is at the low threshold. Beyond
 * it: what was imported from an archive stays, since no registry is known to have it. */
#ifndef PLAN_IMAGE_PLAN_H
#define PLAN_IMAGE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_thresholds {
    unsigned high_percent; /* of the disk in use; 100: nothing is ever removed */
    unsigned low_percent;  /* not above high_percent */
};

/* Bytes to free: 0 below the high threshold, else what is missing to be at the low one. */
uint64_t image_plan_wanted(const struct image_thresholds *t, uint64_t available, uint64_t capacity);

struct image_plan_image {
    int64_t last_used_ms; /* a container of it was there, or it came */
    uint64_t bytes;
    bool is_used;     /* by a container that exists */
    bool is_imported; /* any name of it */
};

struct image_plan_view {
    int64_t now_ms, min_age_ms; /* one that was used within min_age_ms stays */
    const struct image_plan_image *images;
    size_t n;
};

/* Puts the indices of the images that may go into order[n], those to go first first; returns how
 * many. */
size_t image_plan_order(const struct image_plan_view *view, size_t *order);

#endif
