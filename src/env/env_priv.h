/* env/env_priv.h: what an implementation of env supplies. Included by env/ and sim/ only.
 *
 * Timers, tasks and turn-end hooks are shared code (env.c), so both implementations order them
 * alike: an implementation calls env_run_due() with its monotonic clock and env_run_tasks() at the
 * end of each turn. */
#ifndef ENV_ENV_PRIV_H
#define ENV_ENV_PRIV_H

#include "env/env.h"
#include "env/stream_impl.h"

struct env_ops {
    int64_t (*now_us)(struct env *env);
    int64_t (*mono_ns)(struct env *env);
    void (*random)(struct env *env, void *buf, size_t n);
    /* The earliest timer changed (INT64_MAX: none): the implementation re-arms its one real timer.
     */
    void (*timer_changed)(struct env *env, int64_t due_ns);
    void (*work_start)(struct env *env, struct env_work *work);
    struct env_lane *(*lane_new)(struct env *env, const char *name);
    void (*lane_start)(struct env_lane *lane, struct env_work *work);
    void (*lane_free)(struct env_lane *lane);
    struct env_wakeup *(*wakeup_new)(struct env *env, void (*fn)(void *), void *data);
    void (*wakeup_send)(struct env_wakeup *w);
    void (*wakeup_free)(struct env_wakeup *w);
    int (*listen_tcp)(struct env *env, const char *addr, uint16_t port,
                      const struct env_listener_handler *handler, void *data,
                      struct env_listener **ret);
    int (*listen_unix)(struct env *env, const char *path, mode_t mode,
                       const struct env_listener_handler *handler, void *data,
                       struct env_listener **ret);
    int (*connect_tcp)(struct env *env, const char *addr, uint16_t port, env_connect_fn *on_done,
                       void *data);
    int (*connect_unix)(struct env *env, const char *path, env_connect_fn *on_done, void *data);
    int (*open_fd)(struct env *env, int fd, struct env_stream **ret);
    int (*spawn)(struct env *env, const struct env_spawn *spec, struct env_process **ret);
    int (*dir_watch_new)(struct env *env, const char *path, void (*fn)(void *, const char *),
                         void *data, struct env_dir_watch **ret);
    int (*signal_new)(struct env *env, int signum, void (*fn)(void *, int), void *data,
                      struct env_signal **ret);
};

/* Objects of an implementation start with the structs below, so that env.c can dispatch on them. */

struct env_listener {
    void (*close)(struct env_listener *l);
    uint16_t port;
    struct env_listener_handler handler;
    void *data;
};

struct env_process {
    pid_t (*pid)(const struct env_process *p);
    int (*kill)(struct env_process *p, int signal);
    void (*detach)(struct env_process *p);
};

struct env_lane {
    struct env *env;
};
struct env_wakeup {
    struct env *env;
};
struct env_dir_watch {
    void (*free)(struct env_dir_watch *w);
};
struct env_signal {
    void (*free)(struct env_signal *s);
};

struct env {
    const struct env_ops *ops;
    struct heap timers; /* env_timer by due time in monotonic nanoseconds */
    struct list tasks;
    struct list hooks;
    bool in_timers; /* env_run_due is on the stack: timer_changed is told once at its end */
};

void env_init(struct env *env, const struct env_ops *ops);
void env_done(struct env *env);
/* Runs the timers due at now_ns and returns how many; those armed meanwhile wait for the next turn.
 */
size_t env_run_due(struct env *env, int64_t now_ns);
/* Runs tasks until none is left, then each hook once, until neither leaves a task behind. */
void env_run_tasks(struct env *env);
/* Due time of the earliest timer, INT64_MAX when there is none. */
static inline int64_t env_next_due_ns(const struct env *env)
{
    const struct heap_node *min = heap_min(&env->timers);
    return min ? min->key : INT64_MAX;
}

#endif
