/* base/histogram.h: how often a figure fell between which bounds, as Prometheus' text format tells
 * it. The bounds are a table of the caller's, ascending, in the figure's own unit. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/strbuf.h"

enum { HISTOGRAM_BOUNDS_MAX = 24 };

struct histogram_bounds {
    size_t n;    /* at most HISTOGRAM_BOUNDS_MAX */
    double unit; /* what one is when it is told: 1e-9 of nanoseconds told in seconds */
    uint64_t at[HISTOGRAM_BOUNDS_MAX];
};

/* Zero at the start. */
struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1]; /* not cumulative; the last has no bound */
    uint64_t sum;
};

void histogram_add(struct histogram *h, const struct histogram_bounds *b, uint64_t value);
/* NAME_bucket, _sum and _count; labels as they are printed between the braces, or empty. */
void histogram_put(const struct histogram *h, const struct histogram_bounds *b, const char *name,
                   struct span labels, struct strbuf *out);

#endif
