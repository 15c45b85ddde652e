/* Starting a container:
 *
 *   PREPARE (worker: root, config.json) -> CREATE (conmon runs `crun create`; its sync pipe tells
 * pid or complaint)
 *     -> RELEASE (worker: `started`, then the byte that lets the process go) -> done
 *   or, when its input is for one client, the byte at the first attachment or after HOLD_MS
 *   a failure anywhere -> UNDO (worker: everything removed) -> done */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/json.h"
#include "os/os_fs.h"
#include "runtime/runtime_crun_priv.h"

enum {
    UID_MAX = 64,
    NAME_MAX_BYTES = 64,
    SYNC_FD = 3,
    CREATE_TIMEOUT_MS = 60 * 1000,
    HOLD_MS = 2000 /* a client sees the pod Running and attaches well within */
};

struct start {
    struct job job; /* first */
    struct runtime_container_spec spec;
    struct span id;
    runtime_start_fn *done;
    void *data;
    struct disk_container existing;
    int sync_fd[2], log_fd;
    struct env_stream *sync;
    struct env_timer timer; /* a monitor that says nothing */
    struct strbuf said;
    pid_t pid;
    uint64_t ticks;
    int64_t now_ms;
};

static struct start *of(struct env_work *work)
{
    return CONTAINER_OF(work, struct start, job.work);
}

static struct env *env_of(struct start *op)
{
    return op->job.r->rt.env;
}

static void finish(struct start *op, const struct runtime_status *status)
{
    if (!op->job.r->closed) {
        op->done(op->data, op->job.code, status, op->job.detail);
    }
    strbuf_done(&op->said);
    job_free(&op->job);
}

/* ---- undo ---- */

static void undo_run(struct env_work *work)
{
    struct start *op = of(work);
    (void)disk_destroy(&op->job.r->host, op->id, op->job.a);
}

static void undo_done(struct env_work *work)
{
    struct start *op = of(work);
    struct container *c = crun_container(op->job.r, op->id);
    if (c) {
        c->starting = false;
        (void)map_remove(&op->job.r->containers, op->id);
        assert(list_is_empty(&c->attached)); /* it never ran */
        free(c->id);
        free(c);
    }
    finish(op, NULL);
}

static void undo(struct start *op)
{
    assert(op->job.code < 0);
    env_work_start(env_of(op), &op->job.work, undo_run, undo_done);
}

/* ---- release ---- */

/* Only the first life: a client that attaches to a later one has been late anyway. */
static bool waits_for_client(const struct start *op)
{
    return op->spec.with_stdin && op->spec.stdin_once && op->spec.attempt == 0;
}

static void release_run(struct env_work *work)
{
    struct start *op = of(work);
    const struct host *host = &op->job.r->host;
    struct arena *a = op->job.a;
    op->job.code = disk_start(host, op->id, op->pid, op->now_ms, a, &op->ticks, &op->job.detail);
    if (op->job.code == 0 && !waits_for_client(op)) {
        op->job.code = disk_let_go(host, op->id, a, &op->job.detail);
    }
}

static void on_held(struct env_timer *timer)
{
    struct container *c = CONTAINER_OF(timer, struct container, held);
    crun_let_go(c, 0);
}

void crun_let_go(struct container *c, int64_t after_ms)
{
    assert(after_ms >= 0);
    struct crun_runtime *r = c->held_by;
    if (!r) {
        return;
    }
    if (after_ms > 0) {
        env_timer_start(r->rt.env, &c->held, after_ms, on_held);
        return;
    }
    cleanup_arena struct arena *a = arena_new();
    struct span detail;
    env_timer_stop(r->rt.env, &c->held);
    c->held_by = NULL;
    /* Fails only when the process has been killed meanwhile: its exit tells. */
    (void)disk_let_go(&r->host, span_cstr(c->id), a, &detail);
}

static void release_done(struct env_work *work)
{
    struct start *op = of(work);
    struct crun_runtime *r = op->job.r;
    if (op->job.code) {
        undo(op);
        return;
    }
    struct container *c = crun_container(r, op->id);
    assert(c);
    assert(c->starting);
    c->starting = false;
    c->state = RUNTIME_RUNNING;
    c->pid = op->pid;
    c->start_ticks = op->ticks;
    c->started_ms = op->now_ms;
    if (waits_for_client(op)) {
        c->held_by = r;
        crun_let_go(c, HOLD_MS);
    }
    struct runtime_status status = crun_status(c);
    if (c->exit_seen) {
        crun_reap(r, c);
    }
    finish(op, &status);
}

/* ---- create ---- */

/* {"data": PID} or {"data": -1, "message": "..."}; older monitors say "pid" for "data". */
static void create_ended(struct start *op)
{
    yyjson_doc *doc;
    struct err err;
    env_stream_close(op->sync);
    op->sync = NULL;
    env_timer_stop(env_of(op), &op->timer);
    struct span message = SPAN("conmon ended without a word");
    int64_t pid = -1;
    if (op->said.n && json_parse(op->job.a, strbuf_span(&op->said), &doc, &err) == 0) {
        const yyjson_val *root = yyjson_doc_get_root(doc);
        pid = json_get_int(root, "data", json_get_int(root, "pid", -1));
        message = json_get_str(root, "message");
    }
    if (pid > 1) {
        op->pid = (pid_t)pid;
        op->now_ms = env_now_ms(env_of(op));
        env_work_start(env_of(op), &op->job.work, release_run, release_done);
        return;
    }
    if (op->said.n == 0) {
        const char *log =
            host_path(&op->job.r->host, op->job.a, "containers", op->id, "conmon.log");
        struct span text;
        if (os_fs_read(op->job.a, AT_FDCWD, log, LIMIT_RUNTIME_MESSAGE_BYTES, &text) == 0 &&
            text.n) {
            message = text;
        }
    }
    struct span arg0 = op->spec.arg_count ? op->spec.args[0] : SPAN("");
    op->job.code = crun_error(op->job.a, message, arg0, &op->job.detail);
    undo(op);
}

static void on_sync_read(void *data, struct span bytes)
{
    struct start *op = data;
    strbuf_put(&op->said, bytes);
    if (op->said.n > LIMIT_RUNTIME_MESSAGE_BYTES) {
        strbuf_clear(&op->said);
        create_ended(op);
    } else if (span_find(strbuf_span(&op->said), '\n') < op->said.n) {
        create_ended(op);
    }
}

static void on_sync_end(void *data, int code)
{
    (void)code;
    create_ended(data);
}

static void on_create_late(struct env_timer *timer)
{
    struct start *op = CONTAINER_OF(timer, struct start, timer);
    strbuf_clear(&op->said);
    strbuf_puts(&op->said, "{\"data\":-1,\"message\":\"conmon did not answer in a minute\"}");
    create_ended(op);
}

static void conmon_args(struct start *op, struct args *args)
{
    const struct host *host = &op->job.r->host;
    struct arena *a = op->job.a;
    const char *bundle = host_path(host, a, "containers", op->id, NULL);
    struct args runtime = {.n = 0};
    args_crun(host, &runtime, a);
    const char *const fixed[] = {
        host->conmon, "--api-version", "1",      "--cid",     op->id.p,      "--cuuid",
        op->id.p,     "--name",        op->id.p, "--runtime", runtime.at[0],
    };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        args_add(args, fixed[i]);
    }
    for (size_t i = 1; i < runtime.n; i++) {
        args_add(args, "--runtime-arg");
        args_add(args, runtime.at[i]);
    }
    const char *const rest[] = {
        "--bundle",
        bundle,
        "--persist-dir",
        bundle,
        "--full-attach",
        "--no-sync-log",
        "--container-pidfile",
        host_path(host, a, "containers", op->id, "pid"),
        "--conmon-pidfile",
        host_path(host, a, "containers", op->id, "conmon.pid"),
        "--exit-dir",
        host_path(host, a, "exits", SPAN_NULL, NULL),
        "--log-path",
        arena_printf(a, "k8s-file:%.*s", SPAN_ARG(op->spec.log_path)).p,
    };
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        args_add(args, rest[i]);
    }
    if (op->spec.tty) {
        args_add(args, "--terminal");
    }
    if (op->spec.with_stdin) {
        args_add(args, "--stdin");
    }
    if (op->spec.with_stdin && (!op->spec.stdin_once || op->spec.tty)) {
        args_add(args, "--leave-stdin-open");
    }
    args_add(args, NULL);
}

static int spawn_conmon(struct start *op)
{
    struct args args = {.n = 0};
    conmon_args(op, &args);
    const char *const envp[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "_OCI_SYNCPIPE=3",
        NULL,
    };
    const int fds[] = {-1, -1, op->log_fd, op->sync_fd[1]};
    _Static_assert(sizeof fds / sizeof *fds == SYNC_FD + 1, "the number in _OCI_SYNCPIPE");
    const struct env_spawn spawn = {
        .argv = args.at,
        .envp = envp,
        /* It leaves a file "oom" where it is. */
        .cwd = host_path(&op->job.r->host, op->job.a, "containers", op->id, NULL),
        .fds = fds,
        .fd_count = sizeof fds / sizeof *fds,
        .new_session = true,
    };
    return env_spawn(env_of(op), &spawn, NULL);
}

static void create(struct start *op)
{
    int code = spawn_conmon(op);
    (void)close(op->sync_fd[1]);
    (void)close(op->log_fd);
    if (code == 0) {
        code = env_stream_open_fd(env_of(op), op->sync_fd[0], &op->sync);
    }
    if (code) {
        (void)close(op->sync_fd[0]);
        op->job.code = code;
        op->job.detail = arena_printf(op->job.a, "run conmon: %s", code_text(code));
        undo(op);
        return;
    }
    static const struct env_stream_handler handler = {on_sync_read, on_sync_end, NULL};
    env_stream_set(op->sync, &handler, op);
    env_stream_read(op->sync, true);
    env_timer_start(env_of(op), &op->timer, CREATE_TIMEOUT_MS, on_create_late);
}

/* ---- prepare ---- */

static int open_pipes(struct start *op)
{
    const char *log = host_path(&op->job.r->host, op->job.a, "containers", op->id, "conmon.log");
    op->log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (op->log_fd < 0) {
        return -errno;
    }
    if (pipe2(op->sync_fd, O_CLOEXEC) != 0) {
        int code = -errno;
        (void)close(op->log_fd);
        return code;
    }
    return 0;
}

static void prepare_run(struct env_work *work)
{
    struct start *op = of(work);
    const struct host *host = &op->job.r->host;
    struct arena *a = op->job.a;
    int code = disk_load(host, op->id, a, &op->existing);
    if (code == 0 && op->existing.state == DISK_HALF) {
        (void)disk_kill_programs(host, op->id, a);
        code = disk_destroy(host, op->id, a);
        op->existing.state = DISK_NONE;
    }
    if (code == 0 && op->existing.state == DISK_NONE) {
        code = disk_prepare(host, op->id, &op->spec, a, &op->job.detail);
        code = code ? code : open_pipes(op);
    }
    op->job.code = code;
}

/* It is there already: an earlier call got that far before the agent was killed. */
static void adopt(struct start *op)
{
    struct crun_runtime *r = op->job.r;
    struct container *c = crun_container(r, op->id);
    if (c->starting) {
        const struct runtime_status *s = &op->existing.status;
        c->starting = false;
        c->state = s->state;
        c->pid = s->pid;
        c->start_ticks = op->existing.start_ticks;
        c->started_ms = s->started_ms;
        c->finished_ms = s->finished_ms;
        c->exit_code = s->exit_code;
        c->oom_killed = s->oom_killed;
        crun_reap(r, c);
    }
    struct runtime_status status = crun_status(c);
    finish(op, &status);
}

static void prepare_done(struct env_work *work)
{
    struct start *op = of(work);
    if (op->job.code) {
        if (op->job.detail.n == 0) {
            op->job.detail = span_cstr(code_text(op->job.code));
        }
        undo(op);
    } else if (op->existing.state != DISK_NONE) {
        adopt(op);
    } else {
        create(op);
    }
}

/* ---- the call ---- */

static const struct span *dup_spans(struct arena *a, const struct span *from, size_t n)
{
    struct span *to = ARENA_ARRAY(a, struct span, n);
    for (size_t i = 0; i < n; i++) {
        to[i] = arena_dup(a, from[i]);
    }
    return to;
}

static void dup_spec(struct arena *a, struct runtime_container_spec *to,
                     const struct runtime_container_spec *from)
{
    *to = *from;
    struct span *const texts[] = {
        &to->sandbox_uid,
        &to->name,
        &to->rootfs_image,
        &to->cwd,
        &to->user,
        &to->log_path,
        &to->termination_log,
        &to->termination_log_target,
        &to->seccomp_profile,
        &to->pid_of,
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = arena_dup(a, *texts[i]);
    }
    to->args = dup_spans(a, from->args, from->arg_count);
    to->env = dup_spans(a, from->env, from->env_count);
    to->add_capabilities = dup_spans(a, from->add_capabilities, from->add_capability_count);
    to->drop_capabilities = dup_spans(a, from->drop_capabilities, from->drop_capability_count);
    uint32_t *groups = ARENA_ARRAY(a, uint32_t, from->group_count);
    for (size_t i = 0; i < from->group_count; i++) {
        groups[i] = from->groups[i];
    }
    to->groups = groups;
    struct runtime_mount *mounts = ARENA_ARRAY(a, struct runtime_mount, from->mount_count);
    for (size_t i = 0; i < from->mount_count; i++) {
        mounts[i] = from->mounts[i];
        mounts[i].source = arena_dup(a, from->mounts[i].source);
        mounts[i].target = arena_dup(a, from->mounts[i].target);
    }
    to->mounts = mounts;
}

static void refuse(struct env_work *work)
{
    finish(of(work), NULL);
}

static void nothing(struct env_work *work)
{
    (void)work;
}

void op_container_start(struct runtime *rt, const struct runtime_container_spec *spec,
                        runtime_start_fn *done, void *data)
{
    assert(done);
    struct crun_runtime *r = crun_of(rt);
    struct start *op = MEM_NEW(struct start);
    job_init(&op->job, r);
    dup_spec(op->job.a, &op->spec, spec);
    op->done = done;
    op->data = data;
    op->id = arena_printf(op->job.a, "%.*s-%.*s-%u", SPAN_ARG(spec->sandbox_uid),
                          SPAN_ARG(spec->name), spec->attempt);
    struct container *c = crun_container(r, op->id);
    if (!host_name_ok(spec->sandbox_uid, UID_MAX) || !host_name_ok(spec->name, NAME_MAX_BYTES)) {
        op->job.code = -EINVAL;
        op->job.detail = SPAN("the pod's uid or the container's name cannot name a container");
    } else if (spec->arg_count == 0) {
        op->job.code = -EINVAL;
        op->job.detail = SPAN("no command specified");
    } else if (c && c->starting) {
        op->job.code = -EBUSY;
        op->job.detail = SPAN("the container is being started");
    }
    if (op->job.code) {
        env_work_start(rt->env, &op->job.work, nothing, refuse);
        return;
    }
    if (!c) {
        c = crun_container_add(r, &(struct runtime_status){.id = op->id,
                                                           .sandbox_uid = op->spec.sandbox_uid,
                                                           .name = op->spec.name,
                                                           .attempt = op->spec.attempt,
                                                           .state = RUNTIME_CREATED,
                                                           .stop_signal = spec->stop_signal,
                                                           .image = spec->image});
        c->starting = true;
        c->tty = spec->tty;
        c->with_stdin = spec->with_stdin;
        c->stdin_once = spec->stdin_once;
    }
    env_work_start(rt->env, &op->job.work, prepare_run, prepare_done);
    crun_warm(r);
}
