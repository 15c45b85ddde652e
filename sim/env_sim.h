/* sim/env_sim.h: the simulated twin of env_uv: virtual time, one seed, one thread, no system call.
 *
 * A world holds the clock, the network and the delays; several environments may live in it, one for
 * each role (server, agent, client), so that a role can be crashed alone. The same seed and the
 * same calls give the same run. Time stands still while callbacks run and jumps to the next due
 * thing when all are idle. Work and lanes run on this thread: `run` after a seeded delay, `done`
 * after another. Streams connect environments of one world by address; delays, sizes of reads and
 * what "the kernel" takes at once are seeded. Spawning, directory watches, signals and descriptors
 * are refused with -ENOSYS: the simulator replaces the layers that need them. */
#ifndef SIM_ENV_SIM_H
#define SIM_ENV_SIM_H

#include "env/env.h"

/* A new world with one environment in it. */
struct env *env_sim_new(uint64_t seed);
/* Another environment in env's world. */
struct env *env_sim_join(struct env *env);
/* Asserts that all its streams, listeners, lanes, wakeups and work are gone, as env_uv_free does.
 * The world goes with its last environment. NULL is fine. */
void env_sim_free(struct env *env);
/* The role dies (crash what it holds first: store_crash): timers, tasks, hooks, work, lanes,
 * streams (the peers see -ECONNRESET) and listeners are dropped without a callback, and env is
 * released. Between steps only. What the role allocated itself is the caller's. */
void env_sim_crash(struct env *env);

/* One turn of every environment of the world, after jumping to the next due thing. False: nothing
 * was left to do. */
bool env_sim_step(struct env *env);
/* One turn, when something is due by mono_ms; else false, and the clock shows mono_ms. */
bool env_sim_step_until(struct env *env, int64_t mono_ms);
/* Steps until the monotonic clock shows mono_ms, which it then does. */
void env_sim_run_until(struct env *env, int64_t mono_ms);
/* The same, so many milliseconds from now. */
void env_sim_run_for(struct env *env, int64_t ms);
/* Steps until *stop is set or nothing is left; returns *stop. */
bool env_sim_run_while(struct env *env, const bool *stop);
/* Turns that the world has taken: each is all that is due at one moment. */
uint64_t env_sim_turns(struct env *env);
/* What has happened in them: timers of programs that ran out, deliveries and completed work. */
uint64_t env_sim_happened(struct env *env);
/* Moves the wall clock of the world, not the monotonic one. */
void env_sim_jump_wall(struct env *env, int64_t ms);

#endif
