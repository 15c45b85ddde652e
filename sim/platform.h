/* sim/platform.h: the whole platform on virtual time in one process: API server on a store whose
 * disk survives, all controllers, the node agent, and containers that are only said to run. One
 * seed gives one history.
 *
 * Two environments share the world: the machine's (the fake runtime: containers go on when the
 * program dies) and the program's (everything else), which is killed and started again as `kill -9`
 * does. Checkers look after every step; the first that fails ends the process with the seed and the
 * history. */
#ifndef SIM_PLATFORM_H
#define SIM_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

struct platform;

/* show: print every step as it happens. */
struct platform *platform_new(uint64_t seed, bool show);
void platform_free(struct platform *w);
/* One step: a user's request or a fault, then a little time, then the checkers. */
void platform_step(struct platform *w);
/* No more faults: the platform must come to rest as the users left it within ten minutes of virtual
 * time. */
void platform_settle(struct platform *w);
/* Events of the histories so far, for the figures. */
struct platform_figures {
    uint64_t steps, crashes, reboots, exits, requests, refused, starts;
};
struct platform_figures platform_figures(const struct platform *w);

#endif
