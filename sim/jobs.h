/* sim/jobs.h: the Job among the neighbours of the set. See jobs.c. */
#ifndef SIM_JOBS_H
#define SIM_JOBS_H

#include <stdint.h>

struct object;
struct platform;

/* The latest Job "batch", and how many pods it has had. */
struct sim_job {
    char uid[64];
    int64_t pods;
};

/* A user makes, suspends, scales or deletes it. */
void jobs_act(struct platform *w);
void jobs_on_change(struct platform *w, struct object *old, struct object *now);
/* NULL: at rest; else what is not. */
const char *jobs_at_rest(struct platform *w);

#endif
