/* runtime/runtime_fake.c: see the header. All state is in memory; every answer comes in a later
 * turn. */
#include "runtime/runtime_fake.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"

struct knobs {
    int64_t start_ms, exit_after_ms, stop_ms, ready_ms, exec_ms, memory_used, cpu_milli;
    int32_t exit_code;
    bool ignore_term;
    struct span start_error;
};

struct sandbox {
    struct fake *f;
    struct arena *arena;
    struct span uid, ns, name, ip;
    struct knobs knobs;
    struct list containers; /* struct container */
    bool ready;
};

struct container {
    struct fake *f;
    struct sandbox *sandbox;
    struct list link; /* of the sandbox */
    struct arena *arena;
    struct runtime_status status;
    struct env_timer timer; /* the end, by itself or after the stop signal */
    bool stopping;
    int64_t started_ns; /* on the monotonic clock */
};

struct runtime_session {
    struct list link;
    struct fake *f;
    struct runtime_session_handler handler;
    void *data;
    struct env_task task;
    struct env_timer timer;     /* of a command that takes its time */
    struct container *attached; /* NULL: an exec */
    int exit_code;
};

struct fake {
    struct runtime base;
    struct map sandboxes, containers; /* by uid, by id */
    struct list calls, sessions;
    void (*exit_fn)(void *data, const struct runtime_status *status);
    void *exit_data;
    runtime_fake_pod_fn *start_fn;
    void *start_data;
    uint32_t next_ip;
    uint64_t starts;
    uint64_t past_cpu_ns; /* of containers that have ended */
    size_t most_alive;
    int last_signal;
    struct runtime_limits last_limits;
};

static struct fake *fake_of(const struct runtime *rt)
{
    return CONTAINER_OF((struct runtime *)rt, struct fake, base);
}

/* ---- answers ---- */

enum call_kind { CALL_DONE, CALL_SANDBOX, CALL_START, CALL_LIST, CALL_USAGE };

struct call {
    struct list link;
    struct fake *f;
    enum call_kind kind;
    struct env_timer timer;
    union {
        runtime_done_fn *done;
        runtime_sandbox_fn *sandbox;
        runtime_start_fn *start;
        void (*list)(void *data, const struct runtime_list_result *result);
        runtime_usage_fn *usage;
    } fn;
    void *data;
    int code;
    char *id;           /* of the sandbox or container meant */
    struct span detail; /* static, or of the sandbox */
};

static void call_free(struct call *c)
{
    env_timer_stop(c->f->base.env, &c->timer);
    list_remove(&c->link);
    free(c->id);
    free(c);
}

/* What a running container has used since its start. */
static uint64_t cpu_ns(const struct container *n, int64_t now_ns)
{
    assert(now_ns >= n->started_ns);
    return (uint64_t)(now_ns - n->started_ns) / 1000 * (uint64_t)n->sandbox->knobs.cpu_milli;
}

static void answer_list(struct fake *f, struct call *c)
{
    struct arena *a cleanup_arena = arena_new();
    struct runtime_list_result r = {0};
    struct runtime_sandbox_status *sandboxes =
        ARENA_ARRAY(a, struct runtime_sandbox_status, f->sandboxes.n + 1);
    struct runtime_status *containers = ARENA_ARRAY(a, struct runtime_status, f->containers.n + 1);
    struct sandbox *s = NULL;
    struct container *n = NULL;
    for (size_t it = 0; (s = map_next(&f->sandboxes, &it, NULL)) != NULL;) {
        sandboxes[r.sandbox_count++] = (struct runtime_sandbox_status){
            .uid = s->uid, .ns = s->ns, .name = s->name, .ip = s->ip, .ready = s->ready};
    }
    for (size_t it = 0; (n = map_next(&f->containers, &it, NULL)) != NULL;) {
        containers[r.container_count++] = n->status;
    }
    r.sandboxes = sandboxes;
    r.containers = containers;
    c->fn.list(c->data, &r);
}

static void answer_usage(struct fake *f, struct call *c)
{
    struct arena *a cleanup_arena = arena_new();
    struct runtime_usage *at = ARENA_ARRAY(a, struct runtime_usage, f->containers.n + 1);
    struct runtime_usage *machine = &at[f->containers.n];
    int64_t now_ns = env_mono_ns(f->base.env);
    const struct container *k;
    size_t n = 0;
    *machine = (struct runtime_usage){.at_ns = now_ns, .cpu_ns = f->past_cpu_ns};
    for (size_t it = 0; (k = map_next(&f->containers, &it, NULL)) != NULL;) {
        if (k->status.state != RUNTIME_RUNNING) {
            continue;
        }
        at[n] = (struct runtime_usage){.id = k->status.id,
                                       .sandbox_uid = k->status.sandbox_uid,
                                       .name = k->status.name,
                                       .at_ns = now_ns,
                                       .cpu_ns = cpu_ns(k, now_ns),
                                       .memory_bytes = k->sandbox->knobs.memory_used};
        machine->memory_bytes += at[n].memory_bytes;
        machine->cpu_ns += at[n].cpu_ns;
        n++;
    }
    at[n++] = *machine;
    c->fn.usage(c->data, at, n);
}

static void start_now(struct fake *f, struct call *c);

static void answer(struct env_timer *timer)
{
    struct call *c = CONTAINER_OF(timer, struct call, timer);
    struct fake *f = c->f;
    list_remove(&c->link); /* the callback may cut the runtime */
    struct sandbox *s = NULL;
    switch (c->kind) {
    case CALL_DONE:
        c->fn.done(c->data, c->code, SPAN_NULL);
        break;
    case CALL_SANDBOX:
        s = map_get(&f->sandboxes, span_cstr(c->id));
        c->fn.sandbox(c->data, s ? 0 : -ENOENT, s ? s->ip : SPAN_NULL, SPAN_NULL);
        break;
    case CALL_START:
        start_now(f, c);
        break;
    case CALL_LIST:
        answer_list(f, c);
        break;
    case CALL_USAGE:
        answer_usage(f, c);
        break;
    }
    call_free(c);
}

static struct call *call_new(struct fake *f, enum call_kind kind, struct span id, void *data,
                             int64_t delay_ms)
{
    struct call *c = MEM_NEW(struct call);
    c->f = f;
    c->kind = kind;
    c->data = data;
    c->id = mem_new(id.n + 1);
    memcpy(c->id, id.n ? id.p : "", id.n);
    list_push_back(&f->calls, &c->link);
    env_timer_start(f->base.env, &c->timer, delay_ms, answer);
    return c;
}

static void answer_done(struct fake *f, runtime_done_fn *done, void *data, int code)
{
    struct call *c = call_new(f, CALL_DONE, SPAN_NULL, data, 0);
    c->fn.done = done;
    c->code = code;
}

/* ---- containers ---- */

static void session_task(struct env_task *task)
{
    struct runtime_session *s = CONTAINER_OF(task, struct runtime_session, task);
    list_remove(&s->link);
    s->handler.on_end(s->data, s->exit_code, SPAN_NULL);
    free(s);
}

static void session_timer(struct env_timer *timer)
{
    struct runtime_session *s = CONTAINER_OF(timer, struct runtime_session, timer);
    session_task(&s->task);
}

static void ended(struct container *n, int32_t exit_code, int32_t sig)
{
    struct fake *f = n->f;
    assert(n->status.state == RUNTIME_RUNNING);
    f->past_cpu_ns += cpu_ns(n, env_mono_ns(f->base.env));
    env_timer_stop(f->base.env, &n->timer);
    n->status.state = RUNTIME_EXITED;
    n->status.exit_code = exit_code;
    n->status.signal = sig;
    n->status.finished_ms = env_now_ms(f->base.env);
    LIST_EACH(l, &f->sessions)
    {
        struct runtime_session *s = CONTAINER_OF(l, struct runtime_session, link);
        if (s->attached == n) {
            s->attached = NULL;
            s->exit_code = exit_code;
            env_post(f->base.env, &s->task, session_task);
        }
    }
    if (f->exit_fn) {
        f->exit_fn(f->exit_data, &n->status);
    }
}

static void on_end_timer(struct env_timer *timer)
{
    struct container *n = CONTAINER_OF(timer, struct container, timer);
    ended(n, n->stopping ? 143 : n->sandbox ? n->sandbox->knobs.exit_code : 0, 0);
}

static size_t alive(const struct sandbox *s, struct span name)
{
    size_t count = 0;
    LIST_EACH(it, (struct list *)&s->containers)
    {
        const struct container *n = CONTAINER_OF(it, struct container, link);
        count += n->status.state == RUNTIME_RUNNING && span_eq(n->status.name, name);
    }
    return count;
}

static void container_free(struct container *n)
{
    env_timer_stop(n->f->base.env, &n->timer);
    map_remove(&n->f->containers, n->status.id);
    list_remove(&n->link);
    arena_free(n->arena);
    free(n);
}

/* c->id: "UID\nNAME\nATTEMPT\nSIGNAL\nIMAGE" */
static void start_now(struct fake *f, struct call *c)
{
    struct span rest = span_cstr(c->id);
    struct span uid = span_cut(&rest, '\n'), name = span_cut(&rest, '\n');
    uint64_t attempt = 0, stop_signal = 0;
    bool ok = span_to_u64(span_cut(&rest, '\n'), &attempt) &&
              span_to_u64(span_cut(&rest, '\n'), &stop_signal);
    assert(ok);
    struct sandbox *s = map_get(&f->sandboxes, uid);
    if (!s) {
        c->fn.start(c->data, -ENOENT, NULL, SPAN("the sandbox is gone"));
        return;
    }
    if (s->knobs.start_error.n > 0) {
        c->fn.start(c->data, -ENOENT, NULL, s->knobs.start_error);
        return;
    }
    struct container *n = MEM_NEW(struct container);
    n->f = f;
    n->sandbox = s;
    n->started_ns = env_mono_ns(f->base.env);
    struct arena *a = n->arena = arena_new_small();
    n->status = (struct runtime_status){
        .id = arena_printf(a, "%.*s-%.*s-%u", SPAN_ARG(uid), SPAN_ARG(name), (unsigned)attempt),
        .sandbox_uid = arena_dup(a, uid),
        .name = arena_dup(a, name),
        .attempt = (uint32_t)attempt,
        .state = RUNTIME_RUNNING,
        .started_ms = env_now_ms(f->base.env),
        .pid = 1,
        .stop_signal = (int)stop_signal,
        .image = arena_dup(a, rest),
    };
    struct container *old = map_get(&f->containers, n->status.id);
    if (old) {
        container_free(old);
    }
    map_put(&f->containers, n->status.id, n);
    list_push_back(&s->containers, &n->link);
    f->starts++;
    size_t count = alive(s, name);
    f->most_alive = count > f->most_alive ? count : f->most_alive;
    if (f->start_fn) {
        f->start_fn(f->start_data, s->ns, s->name, s->uid);
    }
    if (s->knobs.exit_after_ms >= 0) {
        env_timer_start(f->base.env, &n->timer, s->knobs.exit_after_ms, on_end_timer);
    }
    c->fn.start(c->data, 0, &n->status, SPAN_NULL);
}

static void fake_start(struct runtime *rt, const struct runtime_container_spec *spec,
                       runtime_start_fn *done, void *data)
{
    struct fake *f = fake_of(rt);
    struct arena *a cleanup_arena = arena_new();
    struct sandbox *s = map_get(&f->sandboxes, spec->sandbox_uid);
    struct span id =
        arena_printf(a, "%.*s\n%.*s\n%u\n%d\n%.*s", SPAN_ARG(spec->sandbox_uid),
                     SPAN_ARG(spec->name), spec->attempt, spec->stop_signal, SPAN_ARG(spec->image));
    call_new(f, CALL_START, id, data, s ? s->knobs.start_ms : 0)->fn.start = done;
}

static void fake_kill(struct runtime *rt, struct span id, int number, runtime_done_fn *done,
                      void *data)
{
    struct fake *f = fake_of(rt);
    struct container *n = map_get(&f->containers, id);
    bool live = n && n->status.state == RUNTIME_RUNNING;
    answer_done(f, done, data, live ? 0 : -ESRCH);
    if (!live) {
        return;
    }
    f->last_signal = number;
    if (number == SIGKILL) {
        n->stopping = true;
        ended(n, 137, SIGKILL);
    } else if (!n->stopping && !n->sandbox->knobs.ignore_term) {
        n->stopping = true;
        env_timer_start(f->base.env, &n->timer, n->sandbox->knobs.stop_ms, on_end_timer);
    }
}

static void fake_resize(struct runtime *rt, struct span id, const struct runtime_limits *limits,
                        runtime_done_fn *done, void *data)
{
    struct fake *f = fake_of(rt);
    struct container *n = map_get(&f->containers, id);
    bool live = n && n->status.state == RUNTIME_RUNNING;
    int code =
        !live ? -ESRCH
        : limits->memory_limit_bytes && limits->memory_limit_bytes < n->sandbox->knobs.memory_used
            ? -EBUSY
            : 0;
    if (code == 0) {
        f->last_limits = *limits;
    }
    answer_done(f, done, data, code);
}

static void fake_usage(struct runtime *rt, runtime_usage_fn *done, void *data)
{
    call_new(fake_of(rt), CALL_USAGE, SPAN_NULL, data, 0)->fn.usage = done;
}

static void fake_remove(struct runtime *rt, struct span id, runtime_done_fn *done, void *data)
{
    struct fake *f = fake_of(rt);
    struct container *n = map_get(&f->containers, id);
    if (n && n->status.state == RUNTIME_RUNNING) {
        answer_done(f, done, data, -EBUSY);
        return;
    }
    if (n) {
        container_free(n);
    }
    answer_done(f, done, data, 0);
}

static void fake_log_reopen(struct runtime *rt, struct span id, runtime_done_fn *done, void *data)
{
    (void)id;
    answer_done(fake_of(rt), done, data, 0);
}

/* ---- sandboxes ---- */

static void read_knob(struct knobs *k, struct arena *a, struct span annotation)
{
    struct span value = annotation;
    struct span name = span_cut(&value, '=');
    int64_t number = 0;
    bool is_number = span_to_i64(value, &number) && number >= 0;
    if (span_eq_cstr(name, "berth.dev/fake-start-error")) {
        k->start_error = arena_dup(a, value);
    } else if (span_eq_cstr(name, "berth.dev/fake-ignore-term")) {
        k->ignore_term = span_eq_cstr(value, "true");
    } else if (span_eq_cstr(name, "berth.dev/fake-start-ms") && is_number) {
        k->start_ms = number;
    } else if (span_eq_cstr(name, "berth.dev/fake-exit-after-ms") && is_number) {
        k->exit_after_ms = number;
    } else if (span_eq_cstr(name, "berth.dev/fake-exit-code") && is_number) {
        k->exit_code = (int32_t)number;
    } else if (span_eq_cstr(name, "berth.dev/fake-stop-ms") && is_number) {
        k->stop_ms = number;
    } else if (span_eq_cstr(name, "berth.dev/fake-ready-ms") && is_number) {
        k->ready_ms = number;
    } else if (span_eq_cstr(name, "berth.dev/fake-exec-ms") && is_number) {
        k->exec_ms = number;
    } else if (span_eq_cstr(name, "berth.dev/fake-memory") && is_number) {
        k->memory_used = number;
    } else if (span_eq_cstr(name, "berth.dev/fake-cpu") && is_number) {
        k->cpu_milli = number;
    }
}

static void fake_sandbox_create(struct runtime *rt, const struct runtime_sandbox_spec *spec,
                                runtime_sandbox_fn *done, void *data)
{
    struct fake *f = fake_of(rt);
    struct sandbox *s = map_get(&f->sandboxes, spec->uid);
    if (!s) {
        s = MEM_NEW(struct sandbox);
        struct arena *a = s->arena = arena_new_small();
        s->f = f;
        list_init(&s->containers);
        s->uid = arena_dup(a, spec->uid);
        s->ns = arena_dup(a, spec->ns);
        s->name = arena_dup(a, spec->name);
        f->next_ip++;
        if (!spec->host_network) {
            s->ip = arena_printf(a, "10.42.%u.%u", f->next_ip / 250 % 250, f->next_ip % 250 + 2);
        }
        s->knobs.exit_after_ms = -1;
        for (size_t i = 0; i < spec->annotation_count; i++) {
            read_knob(&s->knobs, a, spec->annotations[i]);
        }
        map_put(&f->sandboxes, s->uid, s);
    }
    s->ready = true;
    call_new(f, CALL_SANDBOX, spec->uid, data, 0)->fn.sandbox = done;
}

static void sandbox_free(struct sandbox *s)
{
    map_remove(&s->f->sandboxes, s->uid);
    arena_free(s->arena);
    free(s);
}

static void fake_sandbox_remove(struct runtime *rt, struct span uid, runtime_done_fn *done,
                                void *data)
{
    struct fake *f = fake_of(rt);
    struct sandbox *s = map_get(&f->sandboxes, uid);
    if (s && !list_is_empty(&s->containers)) {
        answer_done(f, done, data, -EBUSY);
        return;
    }
    if (s) {
        sandbox_free(s);
    }
    answer_done(f, done, data, 0);
}

static void fake_on_exit(struct runtime *rt, void (*fn)(void *, const struct runtime_status *),
                         void *data)
{
    struct fake *f = fake_of(rt);
    f->exit_fn = fn;
    f->exit_data = data;
}

static void fake_list(struct runtime *rt, void (*fn)(void *, const struct runtime_list_result *),
                      void *data)
{
    call_new(fake_of(rt), CALL_LIST, SPAN_NULL, data, 0)->fn.list = fn;
}

/* ---- sessions ---- */

static struct runtime_session *fake_exec(struct runtime *rt, const struct runtime_exec_spec *spec,
                                         const struct runtime_session_handler *handler, void *data)
{
    struct fake *f = fake_of(rt);
    struct container *n = map_get(&f->containers, spec->container_id);
    struct runtime_session *s = MEM_NEW(struct runtime_session);
    s->f = f;
    s->handler = *handler;
    s->data = data;
    list_push_back(&f->sessions, &s->link);
    if (!n || n->status.state != RUNTIME_RUNNING) {
        s->exit_code = -ESRCH;
    } else if (spec->arg_count == 0) {
        s->attached = n;
        return s;
    } else {
        int64_t up_ms = (env_mono_ns(f->base.env) - n->started_ns) / 1000000;
        s->exit_code = up_ms >= n->sandbox->knobs.ready_ms ? 0 : 1;
        if (n->sandbox->knobs.exec_ms > 0) {
            env_timer_start(f->base.env, &s->timer, n->sandbox->knobs.exec_ms, session_timer);
            return s;
        }
    }
    env_post(f->base.env, &s->task, session_task);
    return s;
}

static void session_write(struct runtime_session *s, struct span bytes)
{
    (void)s, (void)bytes; /* nobody reads it */
}

static size_t session_queued(const struct runtime_session *s)
{
    (void)s;
    return 0;
}

static void session_close_stdin(struct runtime_session *s)
{
    (void)s;
}

static void session_resize(struct runtime_session *s, uint16_t width, uint16_t height)
{
    (void)s, (void)width, (void)height;
}

static void session_pause(struct runtime_session *s, bool paused)
{
    (void)s, (void)paused; /* there is no output */
}

static void session_abort(struct runtime_session *s)
{
    env_post_cancel(s->f->base.env, &s->task);
    env_timer_stop(s->f->base.env, &s->timer);
    list_remove(&s->link);
    free(s);
}

/* ---- life, and what tests do to it ---- */

void runtime_fake_cut(struct runtime *rt)
{
    struct fake *f = fake_of(rt);
    f->exit_fn = NULL;
    LIST_EACH(l, &f->calls)
    {
        call_free(CONTAINER_OF(l, struct call, link));
    }
    LIST_EACH(l, &f->sessions)
    {
        session_abort(CONTAINER_OF(l, struct runtime_session, link));
    }
}

void runtime_fake_reboot(struct runtime *rt, bool keep_sandboxes)
{
    struct fake *f = fake_of(rt);
    runtime_fake_cut(rt);
    void *v = NULL;
    for (size_t it = 0; (it = 0, v = map_next(&f->containers, &it, NULL)) != NULL;) {
        container_free(v);
    }
    for (size_t it = 0; keep_sandboxes && (v = map_next(&f->sandboxes, &it, NULL)) != NULL;) {
        ((struct sandbox *)v)->ready = false;
    }
    for (size_t it = 0;
         !keep_sandboxes && (it = 0, v = map_next(&f->sandboxes, &it, NULL)) != NULL;) {
        sandbox_free(v);
    }
}

bool runtime_fake_exit(struct runtime *rt, struct span id, int32_t exit_code)
{
    struct container *n = map_get(&fake_of(rt)->containers, id);
    assert(id.n > 0);
    if (!n || n->status.state != RUNTIME_RUNNING) {
        return false;
    }
    ended(n, exit_code, 0);
    return true;
}

bool runtime_fake_is_running(const struct runtime *rt, struct span id)
{
    struct container *n = map_get(&fake_of(rt)->containers, id);
    return n && n->status.state == RUNTIME_RUNNING;
}

size_t runtime_fake_running(const struct runtime *rt)
{
    struct fake *f = fake_of(rt);
    size_t count = 0;
    struct container *n = NULL;
    for (size_t it = 0; (n = map_next(&f->containers, &it, NULL)) != NULL;) {
        count += n->status.state == RUNTIME_RUNNING;
    }
    return count;
}

size_t runtime_fake_sandboxes(const struct runtime *rt)
{
    return fake_of(rt)->sandboxes.n;
}

uint64_t runtime_fake_starts(const struct runtime *rt)
{
    return fake_of(rt)->starts;
}

size_t runtime_fake_most_alive(const struct runtime *rt)
{
    return fake_of(rt)->most_alive;
}

struct runtime_limits runtime_fake_last_limits(const struct runtime *rt)
{
    return fake_of(rt)->last_limits;
}

int runtime_fake_last_signal(const struct runtime *rt)
{
    return fake_of(rt)->last_signal;
}

void runtime_fake_each(const struct runtime *rt, runtime_fake_pod_fn *fn, void *data)
{
    assert(fn);
    struct container *n = NULL;
    for (size_t it = 0; (n = map_next(&fake_of(rt)->containers, &it, NULL)) != NULL;) {
        if (n->status.state == RUNTIME_RUNNING) {
            fn(data, n->sandbox->ns, n->sandbox->name, n->sandbox->uid);
        }
    }
}

struct span runtime_fake_image(const struct runtime *rt, struct span uid)
{
    struct container *n = NULL;
    for (size_t it = 0; (n = map_next(&fake_of(rt)->containers, &it, NULL)) != NULL;) {
        if (n->status.state == RUNTIME_RUNNING && span_eq(n->sandbox->uid, uid)) {
            return n->status.image;
        }
    }
    return SPAN_NULL;
}

void runtime_fake_on_start(struct runtime *rt, runtime_fake_pod_fn *fn, void *data)
{
    struct fake *f = fake_of(rt);
    f->start_fn = fn;
    f->start_data = data;
}

static void fake_free(struct runtime *rt)
{
    struct fake *f = fake_of(rt);
    runtime_fake_reboot(rt, false);
    map_done(&f->containers);
    map_done(&f->sandboxes);
    free(f);
}

static int fake_net_path(struct runtime *rt, struct arena *a, struct span uid, const char **ret)
{
    (void)rt;
    (void)a;
    (void)uid;
    *ret = NULL;
    return -EOPNOTSUPP;
}

static const struct runtime_ops ops = {
    .on_exit = fake_on_exit,
    .list = fake_list,
    .sandbox_create = fake_sandbox_create,
    .sandbox_remove = fake_sandbox_remove,
    .container_start = fake_start,
    .container_kill = fake_kill,
    .container_resize = fake_resize,
    .usage = fake_usage,
    .container_remove = fake_remove,
    .log_reopen = fake_log_reopen,
    .exec = fake_exec,
    .session_write = session_write,
    .session_queued = session_queued,
    .session_close_stdin = session_close_stdin,
    .session_resize = session_resize,
    .session_pause = session_pause,
    .session_abort = session_abort,
    .net_path = fake_net_path,
    .free = fake_free,
};

struct runtime *runtime_fake_new(struct env *env)
{
    assert(env);
    struct fake *f = MEM_NEW(struct fake);
    f->base = (struct runtime){.ops = &ops, .env = env};
    list_init(&f->calls);
    list_init(&f->sessions);
    return &f->base;
}
