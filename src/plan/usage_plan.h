/* plan/usage_plan.h: what containers and their node use: from samples of counters to amounts.
 *
 * Memory is a figure of the moment. Processor time is a counter, so that usage is the difference of
 * two samples of one instance. The earlier one is of an earlier question when that is not too
 * recent and not too old, else of the beginning of this one, whose second sample comes a little
 * later. All containers of a pod are compared with the same earlier samples, so that they have one
 * window; a container that has none there (it was started since) is left out. */
#ifndef PLAN_USAGE_PLAN_H
#define PLAN_USAGE_PLAN_H

#include "base/arena.h"
#include "base/span.h"

enum { USAGE_WINDOW_MIN_MS = 1000, USAGE_WINDOW_MAX_MS = 60 * 1000 };

/* One look at a container, or at the node. */
struct usage_sample {
    struct span pod;  /* its uid; empty: the node */
    struct span id;   /* of the instance: another one counts from 0 */
    struct span name; /* of the container */
    int64_t at_ns;    /* monotonic */
    uint64_t cpu_ns;  /* processor time since the instance began */
    int64_t memory_bytes;
};

/* Sorted by usage_sort; n 0: there is none. */
struct usage_set {
    const struct usage_sample *at;
    size_t n;
};

struct usage_view {
    struct usage_set last;  /* of the question before */
    struct usage_set first; /* of the beginning of this one; none: it begins now */
    struct usage_set now;
};

struct usage_container {
    struct span name;
    uint64_t cpu_nano; /* billionths of a processor, on average */
    int64_t memory_bytes;
};

struct usage_pod {
    struct span uid; /* empty: the node, as one container */
    int64_t window_ns;
    const struct usage_container *containers; /* at least one */
    size_t n;
};

struct usage_plan {
    bool wait; /* something has no earlier sample: look again in a second, with these as `first` */
    struct usage_pod *pods; /* by uid */
    size_t n;
};

/* By pod, then by id. */
void usage_sort(struct usage_sample *samples, size_t n);
/* False: there is nothing to compare: no time passed, or the counter went back. */
bool usage_between(const struct usage_sample *then, const struct usage_sample *now,
                   struct usage_container *ret);
void usage_plan(struct arena *a, const struct usage_view *view, struct usage_plan *ret);

#endif
