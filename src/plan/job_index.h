/* plan/job_index.h: sets of the numbers of an indexed job's pods, as its status writes them:
 * "1,3-5,7". Pure.
 *
 * A set is a sorted list of ranges that neither meet nor touch, so that it costs what its text
 * does, however many numbers it holds. */
#ifndef PLAN_JOB_INDEX_H
#define PLAN_JOB_INDEX_H

#include "base/arena.h"

struct job_range {
    int32_t first, last; /* both belong to it */
};

/* A value; the ranges are an arena's. */
struct job_indexes {
    const struct job_range *at;
    size_t n;
};

/* What of a text makes sense: ascending parts below `completions`. A status can be written by
 * anybody, so what does not is left out. */
struct job_indexes job_indexes_parse(struct arena *a, struct span text, int32_t completions);
/* Is the text one that job_indexes_parse() takes whole? On false *ret_part is where it fails. */
bool job_indexes_check(struct span text, int32_t completions, struct span *ret_part);
struct span job_indexes_text(struct arena *a, struct job_indexes set);
bool job_indexes_has(struct job_indexes set, int32_t index);
int64_t job_indexes_count(struct job_indexes set);
struct job_indexes job_indexes_union(struct arena *a, struct job_indexes one,
                                     struct job_indexes other);
/* Of numbers in any order, also twice; sorts them. */
struct job_indexes job_indexes_of(struct arena *a, int32_t *numbers, size_t n);
/* How many are in both. */
int64_t job_indexes_common(struct job_indexes one, struct job_indexes other);
/* The lowest numbers below `completions` that are not in the set: at most max; returns how many. */
size_t job_indexes_free(struct job_indexes set, int32_t completions, size_t max, int32_t *ret);

#endif
