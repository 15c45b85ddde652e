/* env/env_uv_priv.h: the libuv environment's own struct, shared by its files. */
#ifndef ENV_ENV_UV_PRIV_H
#define ENV_ENV_UV_PRIV_H

#include <uv.h>

#include "env/env_priv.h"

enum { ENV_UV_READ_BYTES = 65536 };

struct env_uv {
    struct env env; /* first */
    uv_loop_t loop;
    uv_timer_t timer;
    bool timer_changed; /* to be armed at the end of the turn */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_async_t async;
    pthread_mutex_t lock;  /* guards finished and woken, which other threads append to */
    struct list finished;  /* env_work done on a lane */
    struct list woken;     /* env_uv_wakeup sent */
    struct list processes; /* running children */
    size_t random_n;       /* bytes of random that nobody has had */
    char random[512];
    char read_buf[ENV_UV_READ_BYTES]; /* shared: each on_read is over before the next read */
};

static inline struct env_uv *env_uv_of(struct env *env)
{
    return CONTAINER_OF(env, struct env_uv, env);
}

extern const struct env_stream_ops env_uv_stream_ops;

int env_uv_listen_tcp(struct env *env, const char *addr, uint16_t port,
                      const struct env_listener_handler *handler, void *data,
                      struct env_listener **ret);
int env_uv_listen_unix(struct env *env, const char *path, mode_t mode,
                       const struct env_listener_handler *handler, void *data,
                       struct env_listener **ret);
int env_uv_connect_tcp(struct env *env, const char *addr, uint16_t port, env_connect_fn *on_done,
                       void *data);
int env_uv_connect_unix(struct env *env, const char *path, env_connect_fn *on_done, void *data);
int env_uv_open_fd(struct env *env, int fd, struct env_stream **ret);
int env_uv_spawn(struct env *env, const struct env_spawn *spec, struct env_process **ret);
int env_uv_dir_watch_new(struct env *env, const char *path, void (*fn)(void *, const char *),
                         void *data, struct env_dir_watch **ret);
int env_uv_signal_new(struct env *env, int signum, void (*fn)(void *, int), void *data,
                      struct env_signal **ret);
/* Stops watching children that still run (at the end of the process's life). */
void env_uv_processes_forget(struct env_uv *u);

#endif
