/* The runtime object: construction, what is there, exits, signals, removal. */
#include "runtime/runtime_crun.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "os/os_fs.h"
#include "os/os_mount.h"
#include "runtime/oci_config.h"
#include "runtime/runtime_crun_priv.h"

enum { NAME_MAX_BYTES = 160 };

struct crun_runtime *crun_of(struct runtime *rt)
{
    assert(rt);
    return CONTAINER_OF(rt, struct crun_runtime, rt);
}

/* ---- references and jobs ---- */

static void container_free(struct container *c)
{
    assert(list_is_empty(&c->attached));
    if (c->held_by) {
        env_timer_stop(c->held_by->rt.env, &c->held);
    }
    free(c->id);
    free(c);
}

void crun_ref(struct crun_runtime *r)
{
    assert(r->refs > 0);
    r->refs++;
}

void crun_unref(struct crun_runtime *r)
{
    assert(r->refs > 0);
    if (--r->refs > 0) {
        return;
    }
    size_t it = 0;
    struct container *c;
    while ((c = map_next(&r->containers, &it, NULL)) != NULL) {
        container_free(c);
    }
    map_done(&r->containers);
    host_done(&r->host);
    free(r);
}

void job_init(struct job *job, struct crun_runtime *r)
{
    assert(r);
    assert(!job->a);
    job->r = r;
    job->a = arena_new();
    crun_ref(r);
}

void job_free(struct job *job)
{
    assert(job->a);
    struct crun_runtime *r = job->r;
    arena_free(job->a);
    free(job);
    crun_unref(r);
}

static void warm_run(struct env_work *work)
{
    os_cgroup_warm(&CONTAINER_OF(work, struct job, work)->r->host.cgroup);
}

static void warm_done(struct env_work *work)
{
    job_free(CONTAINER_OF(work, struct job, work));
}

void crun_warm(struct crun_runtime *r)
{
    assert(r);
    struct job *job = MEM_NEW(struct job);
    job_init(job, r);
    env_work_start(r->rt.env, &job->work, warm_run, warm_done);
}

void args_add(struct args *args, const char *arg)
{
    assert(args->n < sizeof args->at / sizeof *args->at);
    args->at[args->n++] = arg;
}

void args_crun(const struct host *host, struct args *args, struct arena *a)
{
    assert(args);
    assert(host->crun);
    if (host->shim) {
        args_add(args, host->shim);
        args_add(args, host->shim_is_self ? "runtime-shim" : host->hidden);
    }
    args_add(args, host->crun);
    args_add(args, arena_printf(a, "--root=%s", host_path(host, a, "crun", SPAN_NULL, NULL)).p);
}

/* ---- containers in memory ---- */

struct container *crun_container(struct crun_runtime *r, struct span id)
{
    assert(r);
    return map_get(&r->containers, id);
}

struct container *crun_container_add(struct crun_runtime *r, const struct runtime_status *status)
{
    assert(!crun_container(r, status->id));
    struct container *c = MEM_NEW(struct container);
    char *id = mem_new(status->id.n + 1 + status->image.n + 1);
    memcpy(id, status->id.p, status->id.n);
    if (status->image.n > 0) {
        memcpy(id + status->id.n + 1, status->image.p, status->image.n);
    }
    *c = (struct container){
        .id = id,
        .uid = span_of(id, status->sandbox_uid.n),
        .name = span_of(id + status->sandbox_uid.n + 1, status->name.n),
        .image = span_of(id + status->id.n + 1, status->image.n),
        .attempt = status->attempt,
        .state = status->state,
        .pid = status->pid,
        .exit_code = status->exit_code,
        .oom_killed = status->oom_killed,
        .started_ms = status->started_ms,
        .finished_ms = status->finished_ms,
        .stop_signal = status->stop_signal,
    };
    list_init(&c->attached);
    map_put(&r->containers, span_of(id, status->id.n), c);
    return c;
}

struct runtime_status crun_status(const struct container *c)
{
    assert(c);
    return (struct runtime_status){
        .id = span_cstr(c->id),
        .sandbox_uid = c->uid,
        .name = c->name,
        .attempt = c->attempt,
        .state = c->state,
        .exit_code = c->exit_code,
        .oom_killed = c->oom_killed,
        .started_ms = c->started_ms,
        .finished_ms = c->finished_ms,
        .pid = c->pid,
        .stop_signal = c->stop_signal,
        .image = c->image,
    };
}

/* ---- exits ---- */

struct reap {
    struct job job; /* first */
    struct span id;
    struct runtime_status status;
};

static void reap_run(struct env_work *work)
{
    struct reap *op = CONTAINER_OF(work, struct reap, job.work);
    op->job.code = disk_load_exit(&op->job.r->host, op->id, op->job.a, &op->status);
}

static void tell_exit(struct crun_runtime *r, struct container *c)
{
    struct runtime_status status = crun_status(c);
    if (r->on_exit && !r->closed) {
        r->on_exit(r->on_exit_data, &status);
    }
}

static void reap_done(struct env_work *work)
{
    struct reap *op = CONTAINER_OF(work, struct reap, job.work);
    struct crun_runtime *r = op->job.r;
    struct container *c = crun_container(r, op->id);
    if (c && c->state == RUNTIME_RUNNING && c->reaping) {
        c->reaping = false;
        if (op->job.code == 0) {
            c->state = RUNTIME_EXITED;
            c->exit_code = op->status.exit_code;
            c->oom_killed = op->status.oom_killed;
            /* File times come from a clock that lags by some milliseconds. */
            c->finished_ms =
                op->status.finished_ms > c->started_ms ? op->status.finished_ms : c->started_ms;
            session_container_ended(&c->attached, c->exit_code);
            tell_exit(r, c);
        } else if (c->reap_again) {
            crun_reap(r, c);
        }
    }
    job_free(&op->job);
}

void crun_reap(struct crun_runtime *r, struct container *c)
{
    assert(r);
    if (c->starting || c->reaping || c->state == RUNTIME_EXITED) {
        c->exit_seen = true;
        c->reap_again = true;
        return;
    }
    c->reaping = true;
    c->reap_again = false;
    struct reap *op = MEM_NEW(struct reap);
    job_init(&op->job, r);
    op->id = arena_dup(op->job.a, span_cstr(c->id));
    env_work_start(r->rt.env, &op->job.work, reap_run, reap_done);
}

static void on_exit_file(void *data, const char *name)
{
    struct crun_runtime *r = data;
    struct container *c = crun_container(r, span_cstr(name));
    if (c) {
        crun_reap(r, c);
    }
}

static void op_on_exit(struct runtime *rt, void (*fn)(void *, const struct runtime_status *),
                       void *data)
{
    struct crun_runtime *r = crun_of(rt);
    r->on_exit = fn;
    r->on_exit_data = data;
}

/* ---- what is there ---- */

struct list_op {
    struct job job; /* first */
    void (*fn)(void *data, const struct runtime_list_result *result);
    void *data;
    VEC(struct runtime_sandbox_status) sandboxes;
    VEC(struct disk_container) containers;
};

static void list_sandboxes(struct list_op *op, const struct host *host, struct arena *a)
{
    struct span *names;
    size_t n;
    if (os_fs_list(a, host_path(host, a, "sandboxes", SPAN_NULL, NULL), &names, &n) != 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct runtime_sandbox_status s;
        bool host_network;
        if (sandbox_load(host, names[i], a, &s, &host_network) != 0) {
            s = (struct runtime_sandbox_status){.uid = names[i]};
        }
        VEC_PUSH(&op->sandboxes, s);
    }
}

static void list_run(struct env_work *work)
{
    struct list_op *op = CONTAINER_OF(work, struct list_op, job.work);
    const struct host *host = &op->job.r->host;
    struct arena *a = op->job.a;
    struct span *names;
    size_t n;
    list_sandboxes(op, host, a);
    op->job.code = os_fs_list(a, host_path(host, a, "containers", SPAN_NULL, NULL), &names, &n);
    for (size_t i = 0; op->job.code == 0 && i < n; i++) {
        struct disk_container c;
        int code = disk_load(host, names[i], a, &c);
        if (code == 0 && (c.state == DISK_RUNNING || c.state == DISK_EXITED)) {
            VEC_PUSH(&op->containers, c);
        }
    }
}

/* Containers that this process is making look half made on disk; the others of that kind are
 * remains. */
static void list_adopt(struct list_op *op, struct runtime_status *statuses)
{
    struct crun_runtime *r = op->job.r;
    for (size_t i = 0; i < op->containers.n; i++) {
        const struct disk_container *d = &op->containers.at[i];
        struct container *c = crun_container(r, d->status.id);
        if (!c) {
            c = crun_container_add(r, &d->status);
            c->start_ticks = d->start_ticks;
            c->tty = d->tty;
            c->with_stdin = d->with_stdin;
            c->stdin_once = d->stdin_once;
            /* One that ends from here on is told by the watch; one that ended since it was looked
             * at, by this. */
            crun_reap(r, c);
        }
        statuses[i] = crun_status(c);
    }
}

static void list_done(struct env_work *work)
{
    struct list_op *op = CONTAINER_OF(work, struct list_op, job.work);
    struct crun_runtime *r = op->job.r;
    struct runtime_status *statuses =
        ARENA_ARRAY(op->job.a, struct runtime_status, op->containers.n);
    bool *fresh = ARENA_ARRAY(op->job.a, bool, op->containers.n);
    for (size_t i = 0; i < op->containers.n; i++) {
        fresh[i] = !crun_container(r, op->containers.at[i].status.id);
    }
    list_adopt(op, statuses);
    struct runtime_list_result result = {op->sandboxes.at, statuses, op->sandboxes.n,
                                         op->containers.n};
    if (!r->closed) {
        op->fn(op->data, &result);
    }
    for (size_t i = 0; i < op->containers.n; i++) {
        struct container *c = fresh[i] ? crun_container(r, op->containers.at[i].status.id) : NULL;
        if (c && c->state == RUNTIME_EXITED) {
            tell_exit(r, c);
        }
    }
    VEC_DONE(&op->sandboxes);
    VEC_DONE(&op->containers);
    job_free(&op->job);
}

static void op_list(struct runtime *rt,
                    void (*fn)(void *data, const struct runtime_list_result *result), void *data)
{
    struct list_op *op = MEM_NEW(struct list_op);
    job_init(&op->job, crun_of(rt));
    op->fn = fn;
    op->data = data;
    env_work_start(rt->env, &op->job.work, list_run, list_done);
}

/* ---- sandboxes ---- */

struct sandbox_op {
    struct job job; /* first */
    struct runtime_sandbox_spec spec;
    struct span ip;
    runtime_sandbox_fn *created;
    runtime_done_fn *removed;
    void *data;
};

static void sandbox_create_run(struct env_work *work)
{
    struct sandbox_op *op = CONTAINER_OF(work, struct sandbox_op, job.work);
    op->job.code = sandbox_create(&op->job.r->host, &op->spec, op->job.a, &op->ip, &op->job.detail);
}

static void sandbox_remove_run(struct env_work *work)
{
    struct sandbox_op *op = CONTAINER_OF(work, struct sandbox_op, job.work);
    op->job.code = sandbox_remove(&op->job.r->host, op->spec.uid, op->job.a, &op->job.detail);
}

static void sandbox_done(struct env_work *work)
{
    struct sandbox_op *op = CONTAINER_OF(work, struct sandbox_op, job.work);
    if (!op->job.r->closed && op->created) {
        op->created(op->data, op->job.code, op->job.code ? SPAN_NULL : op->ip, op->job.detail);
    } else if (!op->job.r->closed && op->removed) {
        op->removed(op->data, op->job.code, op->job.detail);
    }
    job_free(&op->job);
}

static void op_sandbox_create(struct runtime *rt, const struct runtime_sandbox_spec *spec,
                              runtime_sandbox_fn *done, void *data)
{
    struct sandbox_op *op = MEM_NEW(struct sandbox_op);
    job_init(&op->job, crun_of(rt));
    struct arena *a = op->job.a;
    struct span *sysctls = ARENA_ARRAY(a, struct span, spec->sysctl_count);
    for (size_t i = 0; i < spec->sysctl_count; i++) {
        sysctls[i] = arena_dup(a, spec->sysctls[i]);
    }
    op->spec = (struct runtime_sandbox_spec){
        .uid = arena_dup(a, spec->uid),
        .ns = arena_dup(a, spec->ns),
        .name = arena_dup(a, spec->name),
        .hostname = arena_dup(a, spec->hostname),
        .host_network = spec->host_network,
        .resolv_conf = arena_dup(a, spec->resolv_conf),
        .hosts = arena_dup(a, spec->hosts),
        .hosts_names = arena_dup(a, spec->hosts_names),
        .sysctls = sysctls,
        .sysctl_count = spec->sysctl_count,
    };
    op->created = done;
    op->data = data;
    crun_warm(op->job.r);
    env_work_start(rt->env, &op->job.work, sandbox_create_run, sandbox_done);
}

/* Containers of the pod that are gone with the sandbox are forgotten here. */
static void forget(struct crun_runtime *r, struct container *c)
{
    session_container_ended(&c->attached,
                            c->state == RUNTIME_EXITED ? c->exit_code : 128 + SIGKILL);
    (void)map_remove(&r->containers, span_cstr(c->id));
    container_free(c);
}

static void forget_pod(struct crun_runtime *r, struct span uid)
{
    size_t it = 0;
    struct container *c;
    while ((c = map_next(&r->containers, &it, NULL)) != NULL) {
        if (span_eq(c->uid, uid) && !c->starting) {
            forget(r, c);
            it = 0; /* the map changed */
        }
    }
}

static void sandbox_removed(struct env_work *work)
{
    struct sandbox_op *op = CONTAINER_OF(work, struct sandbox_op, job.work);
    if (op->job.code == 0) {
        forget_pod(op->job.r, op->spec.uid);
    }
    sandbox_done(work);
}

static void op_sandbox_remove(struct runtime *rt, struct span uid, runtime_done_fn *done,
                              void *data)
{
    struct sandbox_op *op = MEM_NEW(struct sandbox_op);
    job_init(&op->job, crun_of(rt));
    op->spec.uid = arena_dup(op->job.a, uid);
    op->removed = done;
    op->data = data;
    env_work_start(rt->env, &op->job.work, sandbox_remove_run, sandbox_removed);
}

/* ---- single steps on a container ---- */

struct step {
    struct job job; /* first */
    struct span id;
    pid_t pid;
    uint64_t start_ticks;
    int signal;
    struct span uid; /* of the pod */
    struct runtime_limits limits;
    runtime_done_fn *done;
    void *data;
};

static void step_done(struct env_work *work)
{
    struct step *op = CONTAINER_OF(work, struct step, job.work);
    if (op->job.code && op->job.detail.n == 0) {
        op->job.detail = span_cstr(code_text(op->job.code));
    }
    if (op->done && !op->job.r->closed) {
        op->done(op->data, op->job.code, op->job.detail);
    }
    job_free(&op->job);
}

static struct step *step_new(struct runtime *rt, struct span id, runtime_done_fn *done, void *data)
{
    struct step *op = MEM_NEW(struct step);
    job_init(&op->job, crun_of(rt));
    op->id = arena_dup(op->job.a, id);
    op->done = done;
    op->data = data;
    return op;
}

static void kill_run(struct env_work *work)
{
    struct step *op = CONTAINER_OF(work, struct step, job.work);
    if (op->job.code == 0) {
        op->job.code = disk_kill(op->pid, op->start_ticks, op->signal);
        /* It has just ended by itself: what was asked for. */
        op->job.code = op->job.code == -ESRCH ? 0 : op->job.code;
    }
}

static void op_container_kill(struct runtime *rt, struct span id, int signal, runtime_done_fn *done,
                              void *data)
{
    struct step *op = step_new(rt, id, done, data);
    struct container *c = crun_container(op->job.r, id);
    op->signal = signal;
    if (!c) {
        op->job.code = -ENOENT;
        op->job.detail = SPAN("no such container");
    } else if (c->state == RUNTIME_RUNNING) {
        crun_let_go(c, 0); /* one that waits would not hear the signal */
        op->pid = c->pid;
        op->start_ticks = c->start_ticks;
    }
    env_work_start(rt->env, &op->job.work, kill_run, step_done);
}

static void resize_run(struct env_work *work)
{
    struct step *op = CONTAINER_OF(work, struct step, job.work);
    const struct host *host = &op->job.r->host;
    const struct runtime_limits *l = &op->limits;
    struct os_cgroup_limits set = {
        .memory_bytes = l->memory_limit_bytes,
        .cpu_shares = oci_cpu_shares(l->cpu_milli_request),
        .cpu_quota_us = l->cpu_milli_limit ? oci_cpu_quota_us(l->cpu_milli_limit) : 0,
        .cpu_period_us = OCI_CPU_PERIOD_US};
    int64_t used = 0;
    if (op->job.code) {
        return;
    }
    op->job.code =
        os_cgroup_limit(&host->cgroup, host_group(host, op->job.a, op->uid, op->id), &set, &used);
    if (op->job.code == -EBUSY) {
        op->job.detail = arena_printf(op->job.a,
                                      "the container uses %lld bytes of memory now, more than the "
                                      "new limit of %lld",
                                      (long long)used, (long long)l->memory_limit_bytes);
    }
}

static void op_container_resize(struct runtime *rt, struct span id,
                                const struct runtime_limits *limits, runtime_done_fn *done,
                                void *data)
{
    struct step *op = step_new(rt, id, done, data);
    const struct container *c = crun_container(op->job.r, id);
    op->limits = *limits;
    if (!c || c->state != RUNTIME_RUNNING || c->starting) {
        op->job.code = -ESRCH;
        op->job.detail = SPAN("the container does not run");
    } else {
        op->uid = arena_dup(op->job.a, c->uid);
    }
    env_work_start(rt->env, &op->job.work, resize_run, step_done);
}

static void remove_run(struct env_work *work)
{
    struct step *op = CONTAINER_OF(work, struct step, job.work);
    op->job.code = host_name_ok(op->id, NAME_MAX_BYTES)
                       ? disk_destroy(&op->job.r->host, op->id, op->job.a)
                       : -EINVAL;
}

static void remove_done(struct env_work *work)
{
    struct step *op = CONTAINER_OF(work, struct step, job.work);
    struct container *c = crun_container(op->job.r, op->id);
    if (c && op->job.code == 0 && !c->starting) {
        forget(op->job.r, c);
    }
    step_done(work);
}

static void op_container_remove(struct runtime *rt, struct span id, runtime_done_fn *done,
                                void *data)
{
    struct step *op = step_new(rt, id, done, data);
    env_work_start(rt->env, &op->job.work, remove_run, remove_done);
}

int conmon_control(const struct host *host, struct span id, const char *line)
{
    assert(id.n > 0);
    assert(line);
    cleanup_arena struct arena *a = arena_new();
    const char *path = host_path(host, a, "containers", id, "ctl");
    cleanup_close int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENXIO ? -ESRCH : -errno;
    }
    size_t n = strlen(line);
    return write(fd, line, n) == (ssize_t)n ? 0 : -EIO;
}

static void reopen_run(struct env_work *work)
{
    struct step *op = CONTAINER_OF(work, struct step, job.work);
    op->job.code = host_name_ok(op->id, NAME_MAX_BYTES)
                       ? conmon_control(&op->job.r->host, op->id, "2 0 0\n")
                       : -EINVAL;
}

static void op_log_reopen(struct runtime *rt, struct span id, runtime_done_fn *done, void *data)
{
    struct step *op = step_new(rt, id, done, data);
    env_work_start(rt->env, &op->job.work, reopen_run, step_done);
}

static int op_net_path(struct runtime *rt, struct arena *a, struct span uid, const char **ret)
{
    *ret = host_path(&crun_of(rt)->host, a, "sandboxes", uid, "net");
    return 0;
}

/* ---- construction ---- */

static void op_free(struct runtime *rt)
{
    struct crun_runtime *r = crun_of(rt);
    assert(!r->closed);
    r->closed = true;
    env_dir_watch_free(r->exits);
    crun_unref(r);
}

static const struct runtime_ops crun_ops = {
    .on_exit = op_on_exit,
    .list = op_list,
    .sandbox_create = op_sandbox_create,
    .sandbox_remove = op_sandbox_remove,
    .container_start = op_container_start,
    .container_kill = op_container_kill,
    .container_resize = op_container_resize,
    .usage = op_container_usage,
    .container_remove = op_container_remove,
    .log_reopen = op_log_reopen,
    .exec = op_exec,
    .session_write = op_session_write,
    .session_queued = op_session_queued,
    .session_close_stdin = op_session_close_stdin,
    .session_resize = op_session_resize,
    .session_pause = op_session_pause,
    .session_abort = op_session_abort,
    .net_path = op_net_path,
    .free = op_free,
};

int runtime_crun_new(struct env *env, const struct runtime_crun_config *config, struct arena *a,
                     struct runtime **ret, struct span *ret_detail)
{
    assert(config->layers_of);
    struct crun_runtime *r = MEM_NEW(struct crun_runtime);
    r->rt = (struct runtime){.ops = &crun_ops, .env = env};
    r->refs = 1;
    int code = host_init(&r->host, config, true, a, ret_detail);
    code = code ? code : host_prepare(&r->host, a, ret_detail);
    if (code == 0) {
        const char *exits = host_path(&r->host, a, "exits", SPAN_NULL, NULL);
        code = env_dir_watch_new(env, exits, on_exit_file, r, &r->exits);
        if (code) {
            *ret_detail = arena_printf(a, "watch %s: %s", exits, code_text(code));
        }
    }
    if (code) {
        crun_unref(r);
        return code;
    }
    *ret = &r->rt;
    return 0;
}
