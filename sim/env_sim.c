#include "sim/env_sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "sim/chance.h"
#include "sim/env_sim_priv.h"

enum { GRID_NS = 10000 };

/* ---- chance ---- */

uint64_t sim_choose(struct sim_world *world, uint64_t n)
{
    return chance_below(&world->random, n);
}

static void op_random(struct env *env, void *buf, size_t n)
{
    char *at = buf;
    while (n) {
        uint64_t v = chance_next(&sim_env_of(env)->random);
        size_t part = n < sizeof v ? n : sizeof v;
        memcpy(at, &v, part);
        at += part;
        n -= part;
    }
}

/* ---- time ---- */

static int64_t op_now_us(struct env *env)
{
    const struct sim_world *w = sim_env_of(env)->world;
    return w->wall_us + w->now_ns / 1000;
}

static int64_t op_mono_ns(struct env *env)
{
    return sim_env_of(env)->world->now_ns;
}

static void op_timer_changed(struct env *env, int64_t due_ns)
{
    (void)env; /* step asks for the earliest timer itself */
    (void)due_ns;
}

void sim_schedule(struct sim_world *world, struct sim_event *event, int64_t min_us, int64_t max_us,
                  void (*fn)(struct sim_event *))
{
    assert(!heap_has(&event->node) && min_us > 0 && max_us >= min_us);
    uint64_t span = (uint64_t)(max_us - min_us + 1);
    int64_t due = world->now_ns + (min_us + (int64_t)sim_choose(world, span)) * 1000;
    event->fn = fn;
    heap_insert(&world->events, &event->node, (due + GRID_NS - 1) / GRID_NS * GRID_NS);
}

void sim_cancel(struct sim_world *world, struct sim_event *event)
{
    heap_remove(&world->events, &event->node);
}

/* ---- pool work ---- */

struct sim_job {
    struct sim_event event;
    struct sim_env *env;
    struct env_work *work;
    struct list link; /* env->jobs */
};

static void job_done(struct sim_event *event)
{
    struct sim_job *job = CONTAINER_OF(event, struct sim_job, event);
    struct env_work *work = job->work;
    list_remove(&job->link);
    free(job);
    work->done(work);
}

static void job_run(struct sim_event *event)
{
    struct sim_job *job = CONTAINER_OF(event, struct sim_job, event);
    job->work->run(job->work);
    sim_schedule(job->env->world, event, 10, 200, job_done);
}

static void op_work_start(struct env *env, struct env_work *work)
{
    struct sim_job *job = MEM_NEW(struct sim_job);
    job->env = sim_env_of(env);
    job->work = work;
    list_push_back(&job->env->jobs, &job->link);
    sim_schedule(job->env->world, &job->event, 20, 5000, job_run);
}

/* ---- lanes ---- */

struct sim_lane {
    struct env_lane lane; /* first */
    struct sim_event event;
    struct list queue;
    struct env_work *current;
    bool has_run, ending;
    struct list link; /* env->lanes */
};

static void lane_turn(struct sim_event *event);

static struct sim_world *world_of(const struct sim_lane *l)
{
    return sim_env_of(l->lane.env)->world;
}

static void lane_next(struct sim_lane *l)
{
    struct list *link = l->current ? NULL : list_pop_front(&l->queue);
    if (link) {
        l->current = CONTAINER_OF(link, struct env_work, link);
        l->has_run = false;
        sim_schedule(world_of(l), &l->event, 50, 2000, lane_turn);
    }
}

static void lane_turn(struct sim_event *event)
{
    struct sim_lane *l = CONTAINER_OF(event, struct sim_lane, event);
    struct env_work *work = l->current;
    if (!l->has_run) {
        work->run(work);
        l->has_run = true;
        sim_schedule(world_of(l), event, 10, 100, lane_turn);
        return;
    }
    l->current = NULL;
    lane_next(l);
    work->done(work); /* the lane may be gone now */
}

static struct env_lane *op_lane_new(struct env *env, const char *name)
{
    (void)name;
    struct sim_lane *l = MEM_NEW(struct sim_lane);
    l->lane.env = env;
    list_init(&l->queue);
    list_push_back(&sim_env_of(env)->lanes, &l->link);
    return &l->lane;
}

static void op_lane_start(struct env_lane *lane, struct env_work *work)
{
    struct sim_lane *l = CONTAINER_OF(lane, struct sim_lane, lane);
    assert(!l->ending);
    list_push_back(&l->queue, &work->link);
    lane_next(l);
}

static void op_lane_free(struct env_lane *lane)
{
    struct sim_lane *l = CONTAINER_OF(lane, struct sim_lane, lane);
    l->ending = true;
    while (l->current) {
        struct env_work *work = l->current;
        sim_cancel(world_of(l), &l->event);
        if (!l->has_run) {
            work->run(work);
        }
        l->current = NULL;
        lane_next(l);
        work->done(work);
    }
    list_remove(&l->link);
    free(l);
}

/* ---- wakeups ---- */

struct sim_wakeup {
    struct env_wakeup wakeup; /* first */
    struct sim_event event;
    void (*fn)(void *);
    void *data;
    struct list link; /* env->wakeups */
};

static void wakeup_due(struct sim_event *event)
{
    struct sim_wakeup *w = CONTAINER_OF(event, struct sim_wakeup, event);
    w->fn(w->data);
}

static struct env_wakeup *op_wakeup_new(struct env *env, void (*fn)(void *), void *data)
{
    struct sim_wakeup *w = MEM_NEW(struct sim_wakeup);
    *w = (struct sim_wakeup){.wakeup.env = env, .fn = fn, .data = data};
    list_push_back(&sim_env_of(env)->wakeups, &w->link);
    return &w->wakeup;
}

static void op_wakeup_send(struct env_wakeup *wakeup)
{
    struct sim_wakeup *w = CONTAINER_OF(wakeup, struct sim_wakeup, wakeup);
    if (!heap_has(&w->event.node)) {
        sim_schedule(sim_env_of(wakeup->env)->world, &w->event, 10, 200, wakeup_due);
    }
}

static void op_wakeup_free(struct env_wakeup *wakeup)
{
    struct sim_wakeup *w = CONTAINER_OF(wakeup, struct sim_wakeup, wakeup);
    sim_cancel(sim_env_of(wakeup->env)->world, &w->event);
    list_remove(&w->link);
    free(w);
}

/* ---- refused ---- */

static int op_open_fd(struct env *env, int fd, struct env_stream **ret)
{
    (void)env;
    (void)fd;
    (void)ret;
    return -ENOSYS;
}

static int op_spawn(struct env *env, const struct env_spawn *spec, struct env_process **ret)
{
    (void)env;
    (void)spec;
    (void)ret;
    return -ENOSYS;
}

static int op_dir_watch_new(struct env *env, const char *path, void (*fn)(void *, const char *),
                            void *data, struct env_dir_watch **ret)
{
    (void)env;
    (void)path;
    (void)fn;
    (void)data;
    (void)ret;
    return -ENOSYS;
}

static int op_signal_new(struct env *env, int signum, void (*fn)(void *, int), void *data,
                         struct env_signal **ret)
{
    (void)env;
    (void)signum;
    (void)fn;
    (void)data;
    (void)ret;
    return -ENOSYS;
}

/* ---- life ---- */

static const struct env_ops sim_ops = {
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
    .listen_tcp = sim_listen_tcp,
    .listen_unix = sim_listen_unix,
    .connect_tcp = sim_connect_tcp,
    .connect_unix = sim_connect_unix,
    .open_fd = op_open_fd,
    .spawn = op_spawn,
    .dir_watch_new = op_dir_watch_new,
    .signal_new = op_signal_new,
};

static struct env *env_in(struct sim_world *world)
{
    struct sim_env *e = MEM_NEW(struct sim_env);
    env_init(&e->env, &sim_ops);
    e->world = world;
    e->random = chance_next(&world->random);
    struct list *const lists[] = {&e->jobs, &e->lanes, &e->wakeups, &e->streams, &e->connects};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        list_init(lists[i]);
    }
    list_push_back(&world->envs, &e->link);
    return &e->env;
}

struct env *env_sim_new(uint64_t seed)
{
    struct sim_world *world = MEM_NEW(struct sim_world);
    world->random = seed;
    world->now_ns = 1000000000;                     /* never 0: a zeroed time stamp is long ago */
    world->wall_us = INT64_C(1767225600) * 1000000; /* 2026-01-01 */
    world->next_port = 20000;
    list_init(&world->envs);
    list_init(&world->listeners);
    return env_in(world);
}

struct env *env_sim_join(struct env *env)
{
    return env_in(sim_env_of(env)->world);
}

static void env_release(struct sim_env *e)
{
    struct sim_world *world = e->world;
    list_remove(&e->link);
    env_done(&e->env);
    free(e);
    if (list_is_empty(&world->envs)) {
        assert(list_is_empty(&world->listeners));
        heap_done(&world->events);
        free(world);
    }
}

void env_sim_free(struct env *env)
{
    if (!env) {
        return;
    }
    struct sim_env *e = sim_env_of(env);
    assert(list_is_empty(&e->jobs) && list_is_empty(&e->lanes) && list_is_empty(&e->wakeups));
    assert(list_is_empty(&e->streams) && list_is_empty(&e->connects) && sim_listener_count(e) == 0);
    env_release(e);
}

void env_sim_crash(struct env *env)
{
    struct sim_env *e = sim_env_of(env);
    sim_net_crash(e);
    LIST_EACH(link, &e->jobs)
    {
        struct sim_job *job = CONTAINER_OF(link, struct sim_job, link);
        sim_cancel(e->world, &job->event);
        free(job);
    }
    LIST_EACH(link, &e->lanes)
    {
        struct sim_lane *lane = CONTAINER_OF(link, struct sim_lane, link);
        sim_cancel(e->world, &lane->event);
        free(lane);
    }
    LIST_EACH(link, &e->wakeups)
    {
        struct sim_wakeup *w = CONTAINER_OF(link, struct sim_wakeup, link);
        sim_cancel(e->world, &w->event);
        free(w);
    }
    list_init(&env->hooks); /* their owners are gone */
    env_release(e);
}

/* ---- running ---- */

/* Of the five programs of a platform one has something to do in most turns, and four have not. */
static void run_tasks(struct sim_world *world)
{
    LIST_EACH(link, &world->envs)
    {
        struct env *env = &CONTAINER_OF(link, struct sim_env, link)->env;
        if (!list_is_empty(&env->tasks) || !list_is_empty(&env->hooks)) {
            env_run_tasks(env);
        }
    }
}

static int64_t next_ns(const struct sim_world *world)
{
    const struct heap_node *min = heap_min(&world->events);
    int64_t next = min ? min->key : INT64_MAX;
    LIST_EACH(link, &world->envs)
    {
        int64_t due = env_next_due_ns(&CONTAINER_OF(link, struct sim_env, link)->env);
        next = due < next ? due : next;
    }
    return next;
}

static void turn(struct sim_world *world, int64_t at_ns)
{
    world->now_ns = at_ns > world->now_ns ? at_ns : world->now_ns;
    world->turns++;
    uint64_t seq_end = world->events.seq; /* what comes up meanwhile waits for the next turn */
    struct heap_node *node;
    while ((node = heap_min(&world->events)) != NULL && node->key <= world->now_ns &&
           node->seq < seq_end) {
        heap_remove(&world->events, node);
        struct sim_event *event = CONTAINER_OF(node, struct sim_event, node);
        event->fn(event);
        world->happened++;
    }
    LIST_EACH(link, &world->envs)
    {
        struct env *env = &CONTAINER_OF(link, struct sim_env, link)->env;
        if (env_next_due_ns(env) <= world->now_ns) {
            world->happened += env_run_due(env, world->now_ns);
        }
    }
    run_tasks(world);
}

bool env_sim_step(struct env *env)
{
    struct sim_world *world = sim_env_of(env)->world;
    run_tasks(world); /* what was posted from outside */
    int64_t next = next_ns(world);
    if (next == INT64_MAX) {
        return false;
    }
    turn(world, next);
    return true;
}

static bool step_until_ns(struct sim_world *world, int64_t end_ns)
{
    run_tasks(world);
    int64_t next = next_ns(world);
    if (next > end_ns) {
        world->now_ns = end_ns > world->now_ns ? end_ns : world->now_ns;
        return false;
    }
    turn(world, next);
    return true;
}

bool env_sim_step_until(struct env *env, int64_t mono_ms)
{
    return step_until_ns(sim_env_of(env)->world, mono_ms * 1000000);
}

static void run_until_ns(struct sim_world *world, int64_t end_ns)
{
    assert(end_ns >= world->now_ns);
    while (step_until_ns(world, end_ns)) {
    }
}

void env_sim_run_until(struct env *env, int64_t mono_ms)
{
    run_until_ns(sim_env_of(env)->world, mono_ms * 1000000);
}

void env_sim_run_for(struct env *env, int64_t ms)
{
    struct sim_world *world = sim_env_of(env)->world;
    run_until_ns(world, world->now_ns + ms * 1000000);
}

bool env_sim_run_while(struct env *env, const bool *stop)
{
    while (!*stop && env_sim_step(env)) {
    }
    return *stop;
}

uint64_t env_sim_turns(struct env *env)
{
    return sim_env_of(env)->world->turns;
}

uint64_t env_sim_happened(struct env *env)
{
    return sim_env_of(env)->world->happened;
}

void env_sim_jump_wall(struct env *env, int64_t ms)
{
    sim_env_of(env)->world->wall_us += ms * 1000;
}
