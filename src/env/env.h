/* env/env.h: the environment as a parameter: clocks, timers, random, tasks, work, streams,
 * processes.
 *
 * Everything above takes a struct env. Two implementations: env_uv (libuv, production) and
 * sim/env_sim (virtual time, seeded, deterministic). tools/tidy forbids time(), rand(), uv_now(),
 * sockets and fork outside env/ and os/.
 *
 * Threading: one loop thread; every callback runs on it. The two exceptions are env_work.run (a
 * worker thread) and env_wakeup_send (any thread). A turn: drain input callbacks -> posted tasks
 * until none is left -> turn-end hooks (they may post again) -> wait. Callbacks only change state
 * and enqueue; the store commits the whole turn's writes in its turn-end hook. */
#ifndef ENV_ENV_H
#define ENV_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/span.h"

struct env;

/* ---- clocks and random ---- */

/* Wall clock, milliseconds since 1970; may jump. For what users see (timestamps). */
int64_t env_now_ms(struct env *env);
/* Wall clock in microseconds since 1970 (MicroTime). */
int64_t env_now_us(struct env *env);
/* Monotonic, nanoseconds; for intervals, deadlines and measuring. Read afresh at each call. */
int64_t env_mono_ns(struct env *env);
void env_random(struct env *env, void *buf, size_t n);
uint64_t env_random_u64(struct env *env);

/* ---- timers: embedded, no handle life cycle ---- */

struct env_timer {
    void (*fn)(struct env_timer *timer); /* CONTAINER_OF gives the owner */
    struct heap_node node;               /* private */
};

/* Arms (re-arms when armed). fn runs once, delay_ms from now (0: in the next turn, never inside
 * this call). */
void env_timer_start(struct env *env, struct env_timer *timer, int64_t delay_ms,
                     void (*fn)(struct env_timer *timer));
/* Safe on a zeroed or stopped timer. Call before freeing the owner. */
void env_timer_stop(struct env *env, struct env_timer *timer);
static inline bool env_timer_armed(const struct env_timer *timer)
{
    return heap_has(&timer->node);
}

/* ---- tasks: run later in this turn ---- */

struct env_task {
    void (*fn)(struct env_task *task);
    struct list link; /* private; zeroed means not queued */
};

/* Queues task behind those already queued; posting a queued task again is a no-op. */
void env_post(struct env *env, struct env_task *task, void (*fn)(struct env_task *task));
void env_post_cancel(struct env *env, struct env_task *task);

/* A hook called when no task is left, before waiting for input, once a turn. Returns nothing; may
 * post. */
struct env_hook {
    void (*fn)(struct env_hook *hook);
    struct list link;
};
void env_turn_end_add(struct env *env, struct env_hook *hook, void (*fn)(struct env_hook *hook));
void env_turn_end_remove(struct env *env, struct env_hook *hook);

/* ---- work on other threads ---- */

struct env_work {
    void (*run)(struct env_work *work);  /* worker thread: may block; must not touch loop state */
    void (*done)(struct env_work *work); /* loop thread; the owner may free work in it */
    struct env_lane *lane;               /* private */
    struct list link;                    /* private */
};

/* The shared pool (unpacking, hashing, mounts, network set-up). Not cancellable: run always
 * precedes done. */
void env_work_start(struct env *env, struct env_work *work, void (*run)(struct env_work *work),
                    void (*done)(struct env_work *work));

/* A lane is one dedicated thread that runs its work strictly in order (the store's commits). */
struct env_lane;
struct env_lane *env_lane_new(struct env *env, const char *name);
void env_lane_start(struct env_lane *lane, struct env_work *work,
                    void (*run)(struct env_work *work), void (*done)(struct env_work *work));
/* Waits for what is queued (its done callbacks run), then ends the thread. */
void env_lane_free(struct env_lane *lane);

/* fn runs on the loop soon after any thread called env_wakeup_send (several sends may give one
 * call). */
struct env_wakeup;
struct env_wakeup *env_wakeup_new(struct env *env, void (*fn)(void *data), void *data);
void env_wakeup_send(struct env_wakeup *w);
void env_wakeup_free(struct env_wakeup *w);

/* ---- byte streams: TCP, Unix sockets, pipes ---- */

struct env_stream;
struct env_listener;

/* A callback's `code` is 0 or a negative errno (-ECONNRESET, ...). */
struct env_stream_handler {
    /* Bytes arrived; they belong to the stream and are gone after the call. */
    void (*on_read)(void *data, struct span bytes);
    /* The peer ended its side (code 0) or the stream failed; no more on_read. The owner then
     * closes. */
    void (*on_end)(void *data, int code);
    /* Everything written so far has left for the kernel; pull-style producers continue here. May be
     * NULL. */
    void (*on_drain)(void *data);
};

/* Sets or replaces the handler; reading starts with env_stream_read. */
void env_stream_set(struct env_stream *s, const struct env_stream_handler *handler, void *data);
void env_stream_read(struct env_stream *s, bool on);
/* Copies what the kernel does not take at once. Order is kept. Errors arrive at on_end. */
void env_stream_write(struct env_stream *s, struct span bytes);
/* Bytes copied and not yet taken by the kernel: producers stop above their bound and go on in
 * on_drain. */
size_t env_stream_queued(const struct env_stream *s);
/* Half-close: ends our side once everything written has left. */
void env_stream_shutdown(struct env_stream *s);
/* Discards what is still queued and releases the stream; no callback follows. */
void env_stream_close(struct env_stream *s);
/* Like close, but lets queued bytes leave first (at most a few seconds). No callback follows. */
void env_stream_close_flush(struct env_stream *s);
/* Text of the peer's address ("127.0.0.1:4711", "unix"); valid while the stream lives. */
const char *env_stream_peer(const struct env_stream *s);

struct env_listener_handler {
    /* The new stream belongs to the callee: it sets a handler or closes it. */
    void (*on_accept)(void *data, struct env_stream *stream);
};

/* Returns 0 and *ret, or a negative errno (-EADDRINUSE). addr is a numeric IPv4 or IPv6 address;
 * port 0 picks one. */
int env_listen_tcp(struct env *env, const char *addr, uint16_t port,
                   const struct env_listener_handler *handler, void *data,
                   struct env_listener **ret);
/* The path's socket file is created with the given mode; a stale file is the caller's to remove. */
int env_listen_unix(struct env *env, const char *path, mode_t mode,
                    const struct env_listener_handler *handler, void *data,
                    struct env_listener **ret);
uint16_t env_listener_port(const struct env_listener *l);
void env_listener_close(struct env_listener *l);

/* on_done(data, 0, stream) or on_done(data, -errno, NULL), once, never inside this call. */
typedef void env_connect_fn(void *data, int code, struct env_stream *stream);
int env_connect_tcp(struct env *env, const char *addr, uint16_t port, env_connect_fn *on_done,
                    void *data);
/* For clients in tests and benches: the server only listens there. */
int env_connect_unix(struct env *env, const char *path, env_connect_fn *on_done, void *data);
/* Wraps a pipe, pty or socket descriptor, which the stream then owns. Not for sim. */
int env_stream_open_fd(struct env *env, int fd, struct env_stream **ret);

/* ---- processes and directories (node agent; the simulator replaces the runtime above these) ----
 */

struct env_process;

struct env_spawn {
    const char *const
        *argv; /* argv[0] is searched in PATH unless it has a slash; NULL terminated */
    const char *const *envp; /* NULL: inherit */
    const char *cwd;         /* NULL: inherit */
    /* Descriptors of the child, index = number there: entry -1 means /dev/null. At least 0, 1, 2.
     * They stay the caller's, who closes them after the call. */
    const int *fds;
    size_t fd_count;
    bool new_session; /* setsid */
    /* Runs once when the child has ended: exit code 0..255, or signal > 0. */
    void (*on_exit)(void *data, int exit_code, int signal);
    void *data;
};

/* Returns 0 and *ret (NULL allowed when the caller never signals it), or a negative errno. Released
 * after on_exit. */
int env_spawn(struct env *env, const struct env_spawn *spec, struct env_process **ret);
int env_process_kill(struct env_process *p, int signal);
/* Forgets the callbacks; the child is still reaped. */
void env_process_detach(struct env_process *p);

/* fn(data, name) for every entry that is created, written, moved or removed in the directory: look
 * what it was. */
struct env_dir_watch;
int env_dir_watch_new(struct env *env, const char *path, void (*fn)(void *data, const char *name),
                      void *data, struct env_dir_watch **ret);
void env_dir_watch_free(struct env_dir_watch *w);

/* fn(data, signal) on the loop; production only. */
struct env_signal;
int env_signal_new(struct env *env, int signum, void (*fn)(void *data, int signum), void *data,
                   struct env_signal **ret);

#endif
