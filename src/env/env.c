#include "env/env.h"

#include "base/check.h"
#include "env/env_priv.h"

void env_init(struct env *env, const struct env_ops *ops)
{
    assert(env);
    assert(ops);
    *env = (struct env){.ops = ops};
    list_init(&env->tasks);
    list_init(&env->hooks);
}

void env_done(struct env *env)
{
    assert(list_is_empty(&env->hooks));
    assert(!env->in_timers);
    heap_done(&env->timers);
}

int64_t env_now_ms(struct env *env)
{
    return env->ops->now_us(env) / 1000;
}

int64_t env_now_us(struct env *env)
{
    return env->ops->now_us(env);
}

int64_t env_mono_ns(struct env *env)
{
    return env->ops->mono_ns(env);
}

void env_random(struct env *env, void *buf, size_t n)
{
    assert(buf || n == 0);
    env->ops->random(env, buf, n);
}

uint64_t env_random_u64(struct env *env)
{
    uint64_t v;
    env->ops->random(env, &v, sizeof v);
    return v;
}

/* ---- timers ---- */

static void tell_change(struct env *env, int64_t before)
{
    int64_t due = env_next_due_ns(env);
    if (!env->in_timers && due != before) {
        env->ops->timer_changed(env, due);
    }
}

void env_timer_start(struct env *env, struct env_timer *timer, int64_t delay_ms,
                     void (*fn)(struct env_timer *))
{
    assert(timer);
    assert(fn);
    assert(delay_ms >= 0);
    int64_t before = env_next_due_ns(env);
    heap_remove(&env->timers, &timer->node);
    timer->fn = fn;
    int64_t delay_ns;
    if (__builtin_mul_overflow(delay_ms, (int64_t)1000000, &delay_ns)) {
        delay_ns = INT64_MAX / 2;
    }
    heap_insert(&env->timers, &timer->node, env_mono_ns(env) + delay_ns);
    assert(env_timer_armed(timer));
    tell_change(env, before);
}

void env_timer_stop(struct env *env, struct env_timer *timer)
{
    assert(timer);
    if (env_timer_armed(timer)) {
        int64_t before = env_next_due_ns(env);
        heap_remove(&env->timers, &timer->node);
        tell_change(env, before);
    }
}

size_t env_run_due(struct env *env, int64_t now_ns)
{
    assert(!env->in_timers);
    size_t count = 0;
    uint64_t seq_end = env->timers.seq; /* a timer armed in a callback waits for the next turn */
    env->in_timers = true;
    for (;;) {
        struct heap_node *node = heap_min(&env->timers);
        if (!node || node->key > now_ns || node->seq >= seq_end) {
            break;
        }
        heap_remove(&env->timers, node);
        struct env_timer *timer = CONTAINER_OF(node, struct env_timer, node);
        assert(timer->fn);
        assert(!env_timer_armed(timer));
        timer->fn(timer);
        count++;
    }
    env->in_timers = false;
    env->ops->timer_changed(env, env_next_due_ns(env));
    return count;
}

/* ---- tasks and hooks ---- */

void env_post(struct env *env, struct env_task *task, void (*fn)(struct env_task *))
{
    assert(task);
    assert(fn);
    task->fn = fn;
    if (!task->link.next) {
        list_init(&task->link);
    }
    if (list_is_empty(&task->link)) {
        list_push_back(&env->tasks, &task->link);
    }
}

void env_post_cancel(struct env *env, struct env_task *task)
{
    (void)env;
    if (task->link.next) {
        list_remove(&task->link);
    }
}

void env_turn_end_add(struct env *env, struct env_hook *hook, void (*fn)(struct env_hook *))
{
    assert(fn);
    hook->fn = fn;
    list_push_back(&env->hooks, &hook->link);
}

void env_turn_end_remove(struct env *env, struct env_hook *hook)
{
    (void)env;
    list_remove(&hook->link);
}

static void drain_tasks(struct env *env)
{
    struct list *link;
    while ((link = list_pop_front(&env->tasks)) != NULL) {
        struct env_task *task = CONTAINER_OF(link, struct env_task, link);
        task->fn(task);
    }
}

void env_run_tasks(struct env *env)
{
    assert(env);
    do {
        drain_tasks(env);
        LIST_EACH(link, &env->hooks)
        {
            struct env_hook *hook = CONTAINER_OF(link, struct env_hook, link);
            hook->fn(hook);
        }
    } while (!list_is_empty(&env->tasks));
}

/* ---- dispatch ---- */

void env_work_start(struct env *env, struct env_work *work, void (*run)(struct env_work *),
                    void (*done)(struct env_work *))
{
    assert(run);
    assert(done);
    work->run = run;
    work->done = done;
    env->ops->work_start(env, work);
}

struct env_lane *env_lane_new(struct env *env, const char *name)
{
    assert(name);
    return env->ops->lane_new(env, name);
}

void env_lane_start(struct env_lane *lane, struct env_work *work, void (*run)(struct env_work *),
                    void (*done)(struct env_work *))
{
    assert(run);
    assert(done);
    work->run = run;
    work->done = done;
    lane->env->ops->lane_start(lane, work);
}

void env_lane_free(struct env_lane *lane)
{
    if (lane) {
        lane->env->ops->lane_free(lane);
    }
}

struct env_wakeup *env_wakeup_new(struct env *env, void (*fn)(void *), void *data)
{
    assert(fn);
    return env->ops->wakeup_new(env, fn, data);
}

void env_wakeup_send(struct env_wakeup *w)
{
    w->env->ops->wakeup_send(w);
}

void env_wakeup_free(struct env_wakeup *w)
{
    if (w) {
        w->env->ops->wakeup_free(w);
    }
}

void env_stream_set(struct env_stream *s, const struct env_stream_handler *handler, void *data)
{
    assert(handler);
    assert(handler->on_read);
    assert(handler->on_end);
    s->handler = *handler;
    s->data = data;
}

void env_stream_read(struct env_stream *s, bool on)
{
    assert(s->ops);
    s->ops->read(s, on);
}

void env_stream_write(struct env_stream *s, struct span bytes)
{
    assert(bytes.p || bytes.n == 0);
    if (bytes.n) {
        s->ops->write(s, bytes);
    }
}

size_t env_stream_queued(const struct env_stream *s)
{
    return s->ops->queued(s);
}

void env_stream_shutdown(struct env_stream *s)
{
    assert(s->ops);
    s->ops->shutdown(s);
}

void env_stream_close(struct env_stream *s)
{
    if (s) {
        s->ops->close(s, false);
    }
}

void env_stream_close_flush(struct env_stream *s)
{
    if (s) {
        s->ops->close(s, true);
    }
}

const char *env_stream_peer(const struct env_stream *s)
{
    return s->ops->peer(s);
}

int env_listen_tcp(struct env *env, const char *addr, uint16_t port,
                   const struct env_listener_handler *handler, void *data,
                   struct env_listener **ret)
{
    assert(addr);
    assert(handler);
    assert(ret);
    return env->ops->listen_tcp(env, addr, port, handler, data, ret);
}

int env_listen_unix(struct env *env, const char *path, mode_t mode,
                    const struct env_listener_handler *handler, void *data,
                    struct env_listener **ret)
{
    assert(path);
    assert(handler);
    assert(ret);
    return env->ops->listen_unix(env, path, mode, handler, data, ret);
}

uint16_t env_listener_port(const struct env_listener *l)
{
    assert(l);
    return l->port;
}

void env_listener_close(struct env_listener *l)
{
    if (l) {
        l->close(l);
    }
}

int env_connect_tcp(struct env *env, const char *addr, uint16_t port, env_connect_fn *on_done,
                    void *data)
{
    assert(addr);
    assert(on_done);
    return env->ops->connect_tcp(env, addr, port, on_done, data);
}

int env_connect_unix(struct env *env, const char *path, env_connect_fn *on_done, void *data)
{
    assert(path);
    assert(on_done);
    return env->ops->connect_unix(env, path, on_done, data);
}

int env_stream_open_fd(struct env *env, int fd, struct env_stream **ret)
{
    return env->ops->open_fd(env, fd, ret);
}

int env_spawn(struct env *env, const struct env_spawn *spec, struct env_process **ret)
{
    assert(spec->fd_count >= 3);
    assert(spec->argv);
    assert(spec->argv[0]);
    return env->ops->spawn(env, spec, ret);
}

int env_process_kill(struct env_process *p, int signal)
{
    assert(signal > 0);
    return p->kill(p, signal);
}

void env_process_detach(struct env_process *p)
{
    if (p) {
        p->detach(p);
    }
}

int env_dir_watch_new(struct env *env, const char *path, void (*fn)(void *, const char *),
                      void *data, struct env_dir_watch **ret)
{
    assert(path);
    return env->ops->dir_watch_new(env, path, fn, data, ret);
}

void env_dir_watch_free(struct env_dir_watch *w)
{
    if (w) {
        w->free(w);
    }
}

int env_signal_new(struct env *env, int signum, void (*fn)(void *, int), void *data,
                   struct env_signal **ret)
{
    return env->ops->signal_new(env, signum, fn, data, ret);
}
