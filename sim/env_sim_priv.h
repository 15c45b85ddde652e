/* sim/env_sim_priv.h: the simulated environment's own structs, shared by its files. */
#ifndef SIM_ENV_SIM_PRIV_H
#define SIM_ENV_SIM_PRIV_H

#include "env/env_priv.h"

/* Something of the world that happens at a time. */
struct sim_event {
    struct heap_node node;
    void (*fn)(struct sim_event *event);
};

struct sim_world {
    int64_t now_ns;
    int64_t wall_us; /* wall clock at monotonic 0 */
    uint64_t random; /* for delays and choices; each environment has its own for env_random */
    struct heap events;
    struct list envs;
    struct list listeners;
    uint16_t next_port;
    uint64_t turns, happened; /* so far */
};

struct sim_env {
    struct env env; /* first */
    struct sim_world *world;
    struct list link; /* world->envs */
    uint64_t random;
    struct list jobs, lanes, wakeups, streams, connects;
};

static inline struct sim_env *sim_env_of(struct env *env)
{
    return CONTAINER_OF(env, struct sim_env, env);
}

/* From 0 to n - 1. */
uint64_t sim_choose(struct sim_world *world, uint64_t n);
/* Schedules event between min_us and max_us from now, on a grid of 10 us so that things coincide.
 */
void sim_schedule(struct sim_world *world, struct sim_event *event, int64_t min_us, int64_t max_us,
                  void (*fn)(struct sim_event *event));
void sim_cancel(struct sim_world *world, struct sim_event *event);

int sim_listen_tcp(struct env *env, const char *addr, uint16_t port,
                   const struct env_listener_handler *handler, void *data,
                   struct env_listener **ret);
int sim_listen_unix(struct env *env, const char *path, mode_t mode,
                    const struct env_listener_handler *handler, void *data,
                    struct env_listener **ret);
int sim_connect_tcp(struct env *env, const char *addr, uint16_t port, env_connect_fn *on_done,
                    void *data);
int sim_connect_unix(struct env *env, const char *path, env_connect_fn *on_done, void *data);
/* Listeners of env that are open. */
size_t sim_listener_count(const struct sim_env *env);
/* Drops streams, connection attempts and listeners of a dying environment. */
void sim_net_crash(struct sim_env *env);

#endif
