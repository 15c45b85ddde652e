/* plan/tally.h: how many nodes refuse a pod for which reason, in Kubernetes' words. Pure. */
#ifndef PLAN_TALLY_H
#define PLAN_TALLY_H

#include "base/arena.h"
#include "base/span.h"

enum { TALLY_REASONS_MAX = 32 };

struct tally {
    struct tally_reason {
        struct span text;
        size_t count;
    } at[TALLY_REASONS_MAX];
    size_t n;
};

/* One node more with that reason; what is beyond TALLY_REASONS_MAX is left out. */
void tally_add(struct tally *t, struct span text);
/* "0/3 nodes are available: 1 REASON, 2 REASON.": sorted as texts with their numbers in front, as
 * Kubernetes does. */
struct span tally_text(struct arena *a, const struct tally *t, size_t nodes);

#endif
