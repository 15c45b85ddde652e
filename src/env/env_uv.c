/* The loop: one real timer for all env timers, tasks and hooks before each wait, one async handle
 * for all other threads. Streams are in env_uv_stream.c, children and directory watches in
 * env_uv_process.c. */
#include "env/env_uv.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "env/env_uv_priv.h"

/* ---- clocks ---- */

static int64_t clock_ns(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t op_now_us(struct env *env)
{
    (void)env;
    return clock_ns(CLOCK_REALTIME) / 1000;
}

static int64_t op_mono_ns(struct env *env)
{
    (void)env;
    return clock_ns(CLOCK_MONOTONIC);
}

static void ask_kernel(char *at, size_t n)
{
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
}

/* Each byte is given out once, and forgotten; a system call for every object's uid would be felt.
 */
static void op_random(struct env *env, void *buf, size_t n)
{
    struct env_uv *u = env_uv_of(env);
    if (n > sizeof u->random) {
        ask_kernel(buf, n);
        return;
    }
    if (n > u->random_n) {
        ask_kernel(u->random, sizeof u->random);
        u->random_n = sizeof u->random;
    }
    u->random_n -= n;
    memcpy(buf, u->random + u->random_n, n);
    explicit_bzero(u->random + u->random_n, n);
}

/* ---- timer, tasks ---- */

static void on_timer(uv_timer_t *t)
{
    struct env_uv *u = t->data;
    (void)env_run_due(&u->env, op_mono_ns(&u->env));
}

static void op_timer_changed(struct env *env, int64_t due_ns)
{
    (void)due_ns;
    env_uv_of(env)->timer_changed = true;
}

/* At the end of a turn, not at once: libuv runs a timer that a timer callback arms with 0 in the
 * same round, before tasks, hooks and input had their turn. */
static void arm_timer(struct env_uv *u)
{
    if (!u->timer_changed) {
        return;
    }
    u->timer_changed = false;
    int64_t due_ns = env_next_due_ns(&u->env);
    if (due_ns == INT64_MAX) {
        (void)uv_timer_stop(&u->timer);
        return;
    }
    int64_t delay_ns = due_ns - op_mono_ns(&u->env);
    /* Rounded up: firing early would only re-arm. */
    uint64_t delay_ms = delay_ns > 0 ? (uint64_t)(delay_ns + 999999) / 1000000 : 0;
    uv_update_time(&u->loop);
    (void)uv_timer_start(&u->timer, on_timer, delay_ms, 0);
}

static void end_turn(struct env_uv *u)
{
    env_run_tasks(&u->env);
    arm_timer(u);
}

static void on_prepare(uv_prepare_t *p)
{
    end_turn(p->data);
}

static void on_check(uv_check_t *c)
{
    end_turn(c->data);
}

/* ---- pool work ---- */

struct pool_request {
    uv_work_t req;
    struct env_work *work;
};

static void pool_run(uv_work_t *req)
{
    struct env_work *work = CONTAINER_OF(req, struct pool_request, req)->work;
    work->run(work);
}

static void pool_done(uv_work_t *req, int status)
{
    (void)status;
    struct pool_request *p = CONTAINER_OF(req, struct pool_request, req);
    struct env_work *work = p->work;
    free(p);
    work->done(work);
}

static void op_work_start(struct env *env, struct env_work *work)
{
    struct pool_request *p = MEM_NEW(struct pool_request);
    p->work = work;
    int code = uv_queue_work(&env_uv_of(env)->loop, &p->req, pool_run, pool_done);
    assert(code == 0);
}

/* ---- lanes ---- */

struct lane_uv {
    struct env_lane lane; /* first */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct list queue;
    bool ending;
};

static void *lane_main(void *arg)
{
    struct lane_uv *l = arg;
    struct env_uv *u = env_uv_of(l->lane.env);
    for (;;) {
        (void)pthread_mutex_lock(&l->lock);
        while (list_is_empty(&l->queue) && !l->ending) {
            (void)pthread_cond_wait(&l->more, &l->lock);
        }
        struct list *link = list_pop_front(&l->queue);
        (void)pthread_mutex_unlock(&l->lock);
        if (!link) {
            return NULL;
        }
        struct env_work *work = CONTAINER_OF(link, struct env_work, link);
        work->run(work);
        (void)pthread_mutex_lock(&u->lock);
        list_push_back(&u->finished, &work->link);
        (void)pthread_mutex_unlock(&u->lock);
        (void)uv_async_send(&u->async);
    }
}

static struct env_lane *op_lane_new(struct env *env, const char *name)
{
    struct lane_uv *l = MEM_NEW(struct lane_uv);
    l->lane.env = env;
    list_init(&l->queue);
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_cond_init(&l->more, NULL);
    int code = pthread_create(&l->thread, NULL, lane_main, l);
    assert(code == 0);
    (void)pthread_setname_np(l->thread, name);
    return &l->lane;
}

static void op_lane_start(struct env_lane *lane, struct env_work *work)
{
    struct lane_uv *l = CONTAINER_OF(lane, struct lane_uv, lane);
    (void)pthread_mutex_lock(&l->lock);
    assert(!l->ending);
    list_push_back(&l->queue, &work->link);
    (void)pthread_cond_signal(&l->more);
    (void)pthread_mutex_unlock(&l->lock);
}

/* Of a list that other threads put into; NULL: it is empty. */
static struct list *take_first(struct env_uv *u, struct list *list)
{
    (void)pthread_mutex_lock(&u->lock);
    struct list *link = list_pop_front(list);
    (void)pthread_mutex_unlock(&u->lock);
    return link;
}

/* Runs what other threads left for the loop. */
static void drain_finished(struct env_uv *u)
{
    struct list *link;
    while ((link = take_first(u, &u->finished))) {
        struct env_work *work = CONTAINER_OF(link, struct env_work, link);
        work->done(work);
    }
}

static void op_lane_free(struct env_lane *lane)
{
    struct lane_uv *l = CONTAINER_OF(lane, struct lane_uv, lane);
    (void)pthread_mutex_lock(&l->lock);
    l->ending = true;
    (void)pthread_cond_signal(&l->more);
    (void)pthread_mutex_unlock(&l->lock);
    (void)pthread_join(l->thread, NULL);
    drain_finished(env_uv_of(lane->env));
    (void)pthread_mutex_destroy(&l->lock);
    (void)pthread_cond_destroy(&l->more);
    free(l);
}

/* ---- wakeups ---- */

struct wakeup_uv {
    struct env_wakeup wakeup; /* first */
    void (*fn)(void *);
    void *data;
    struct list link; /* in woken while a send is pending */
};

static struct env_wakeup *op_wakeup_new(struct env *env, void (*fn)(void *), void *data)
{
    struct wakeup_uv *w = MEM_NEW(struct wakeup_uv);
    *w = (struct wakeup_uv){.wakeup.env = env, .fn = fn, .data = data};
    list_init(&w->link);
    return &w->wakeup;
}

static void op_wakeup_send(struct env_wakeup *wakeup)
{
    struct wakeup_uv *w = CONTAINER_OF(wakeup, struct wakeup_uv, wakeup);
    struct env_uv *u = env_uv_of(wakeup->env);
    (void)pthread_mutex_lock(&u->lock);
    if (list_is_empty(&w->link)) {
        list_push_back(&u->woken, &w->link);
    }
    (void)pthread_mutex_unlock(&u->lock);
    (void)uv_async_send(&u->async);
}

static void op_wakeup_free(struct env_wakeup *wakeup)
{
    struct wakeup_uv *w = CONTAINER_OF(wakeup, struct wakeup_uv, wakeup);
    struct env_uv *u = env_uv_of(wakeup->env);
    (void)pthread_mutex_lock(&u->lock);
    list_remove(&w->link);
    (void)pthread_mutex_unlock(&u->lock);
    free(w);
}

static void drain_woken(struct env_uv *u)
{
    struct list *link;
    while ((link = take_first(u, &u->woken))) {
        struct wakeup_uv *w = CONTAINER_OF(link, struct wakeup_uv, link);
        w->fn(w->data);
    }
}

static void on_async(uv_async_t *async)
{
    struct env_uv *u = async->data;
    drain_finished(u);
    drain_woken(u);
}

/* ---- life ---- */

static const struct env_ops uv_ops = {
    .now_us = op_now_us,
    .mono_ns = op_mono_ns,
    .random = op_random,
    .timer_changed = op_timer_changed,
    .work_start = op_work_start,
    .lane_new = op_lane_new,
    .lane_start = op_lane_start,
    .lane_free = op_lane_free,
    .wakeup_new = op_wakeup_new,
    .wakeup_send = op_wakeup_send,
    .wakeup_free = op_wakeup_free,
    .listen_tcp = env_uv_listen_tcp,
    .listen_unix = env_uv_listen_unix,
    .connect_tcp = env_uv_connect_tcp,
    .connect_unix = env_uv_connect_unix,
    .open_fd = env_uv_open_fd,
    .spawn = env_uv_spawn,
    .dir_watch_new = env_uv_dir_watch_new,
    .signal_new = env_uv_signal_new,
};

struct env *env_uv_new(void)
{
    /* Image pulls block pool threads for long; the default of four would make pods wait behind
     * them. */
    (void)setenv("UV_THREADPOOL_SIZE", "12", 0);
    /* Writing to a peer that is gone is an error of that stream. Children get the default back. */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    struct env_uv *u = MEM_NEW(struct env_uv);
    env_init(&u->env, &uv_ops);
    list_init(&u->finished);
    list_init(&u->woken);
    list_init(&u->processes);
    (void)pthread_mutex_init(&u->lock, NULL);
    int code = uv_loop_init(&u->loop);
    assert(code == 0);
    (void)uv_timer_init(&u->loop, &u->timer);
    (void)uv_prepare_init(&u->loop, &u->prepare);
    (void)uv_check_init(&u->loop, &u->check);
    code = uv_async_init(&u->loop, &u->async, on_async);
    assert(code == 0);
    u->timer.data = u->prepare.data = u->check.data = u->async.data = u;
    (void)uv_prepare_start(&u->prepare, on_prepare);
    (void)uv_check_start(&u->check, on_check);
    return &u->env;
}

void env_uv_run(struct env *env)
{
    (void)uv_run(&env_uv_of(env)->loop, UV_RUN_DEFAULT);
}

void env_uv_stop(struct env *env)
{
    uv_stop(&env_uv_of(env)->loop);
}

static void count_open(uv_handle_t *handle, void *arg)
{
    if (!uv_is_closing(handle)) {
        ++*(int *)arg;
    }
}

void env_uv_free(struct env *env)
{
    if (!env) {
        return;
    }
    struct env_uv *u = env_uv_of(env);
    env_uv_processes_forget(u);
    uv_close((uv_handle_t *)&u->timer, NULL);
    uv_close((uv_handle_t *)&u->prepare, NULL);
    uv_close((uv_handle_t *)&u->check, NULL);
    uv_close((uv_handle_t *)&u->async, NULL);
    int open = 0;
    uv_walk(&u->loop, count_open, &open);
    assert(open ==
           0); /* a handle left open belongs to somebody who will be called back after free */
    while (uv_run(&u->loop, UV_RUN_DEFAULT) != 0) {
    }
    int code = uv_loop_close(&u->loop);
    assert(code == 0);
    env_done(&u->env);
    (void)pthread_mutex_destroy(&u->lock);
    free(u);
}
