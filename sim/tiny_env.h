/* sim/tiny_env.h: the smallest environment: virtual clocks, timers, tasks and a seeded generator;
 * no I/O, no work on threads (asking for those fails an assertion). For unit tests of code that
 * only reacts. */
#ifndef SIM_TINY_ENV_H
#define SIM_TINY_ENV_H

#include "env/env.h"

struct env *tiny_env_new(uint64_t seed);
void tiny_env_free(struct env *env);
/* Runs tasks and timers until `ms` of virtual time have passed. */
void tiny_env_run(struct env *env, int64_t ms);
/* Runs tasks and due timers until no task is left, without letting time pass. */
void tiny_env_settle(struct env *env);

#endif
