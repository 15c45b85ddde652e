/* Commands in a running container by `crun exec`, with pipes or a terminal:
 * PREPARE (worker: process file, console socket) -> crun runs -> its exit and the end of its
 * output, in either order -> on_end. Output that is still held open by a background process is
 * waited for GRACE_MS only. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/json.h"
#include "os/os_fs.h"
#include "os/os_socket.h"
#include "runtime/runtime_crun_session.h"

enum {
    GRACE_MS = 250,
    CONSOLE_WAIT_MS = 10000,
    ABORT_AGAIN_MS = 10,
    ABORT_TRIES = 300,
    CONFIG_MAX = 4 * 1024 * 1024,
};

/* crun writes the pid file once the command runs. */
static bool session_has_started(struct runtime_session *s)
{
    if (!s->started) {
        cleanup_arena struct arena *a = arena_new();
        s->started = access(session_file(s, a, ".pid"), F_OK) == 0;
    }
    return s->started;
}

static void exec_maybe_end(struct runtime_session *s)
{
    if (!s->exited || !s->ended_streams) {
        return;
    }
    if (!session_has_started(s) && s->exit_code != 0) {
        cleanup_arena struct arena *a = arena_new();
        struct span detail;
        int code = crun_error(a, strbuf_span(&s->held), span_cstr(s->arg0), &detail);
        session_end(s, code, detail);
        return;
    }
    session_ref(s); /* the receiver may abort while it is called */
    session_output(s, 2, strbuf_span(&s->held));
    if (!s->over) {
        session_end(s, s->exit_code, SPAN_NULL);
    }
    session_unref(s);
}

static void exec_stream_ended(struct runtime_session *s)
{
    s->ended_streams = !s->out && !s->err;
    exec_maybe_end(s);
}

static void on_out(void *data, struct span bytes)
{
    session_output(data, 1, bytes);
}

static void on_out_end(void *data, int code)
{
    struct runtime_session *s = data;
    (void)code;
    session_close_stream(&s->out, false);
    exec_stream_ended(s);
}

static void on_err(void *data, struct span bytes)
{
    struct runtime_session *s = data;
    if (!session_has_started(s) && s->held.n + bytes.n <= LIMIT_RUNTIME_MESSAGE_BYTES) {
        strbuf_put(&s->held, bytes);
        return;
    }
    session_ref(s); /* the receiver may abort while it is called */
    session_output(s, 2, strbuf_span(&s->held));
    strbuf_clear(&s->held);
    if (!s->over) {
        session_output(s, 2, bytes);
    }
    session_unref(s);
}

static void on_err_end(void *data, int code)
{
    struct runtime_session *s = data;
    (void)code;
    session_close_stream(&s->err, false);
    exec_stream_ended(s);
}

/* The command's input is only written to. */
static void on_in_read(void *data, struct span bytes)
{
    (void)data;
    (void)bytes;
}

static void on_in_end(void *data, int code)
{
    struct runtime_session *s = data;
    (void)code;
    session_close_stream(&s->in, false); /* the command closed its input: that is its business */
}

/* ---- exec: the command ends ---- */

static void on_grace(struct env_timer *timer)
{
    struct runtime_session *s = CONTAINER_OF(timer, struct runtime_session, timer);
    if (s->paused) {
        env_timer_start(session_env(s), &s->timer, GRACE_MS, on_grace);
        return;
    }
    session_close_stream(&s->out, false);
    session_close_stream(&s->err, false);
    s->ended_streams = true;
    exec_maybe_end(s);
}

/* SIGKILL to the command that crun started. */
static void kill_command(struct runtime_session *s)
{
    cleanup_arena struct arena *a = arena_new();
    struct span text;
    int64_t pid;
    if (!s->killed && os_fs_read(a, AT_FDCWD, session_file(s, a, ".pid"), 64, &text) == 0 &&
        span_to_i64(span_trim(text), &pid) && pid > 1) {
        s->killed = true;
        (void)kill((pid_t)pid, SIGKILL);
    }
}

/* crun starts the command before it writes the pid file, and would leave it behind if it were
 * killed in between. So an abort in its first milliseconds looks again a few times. */
static void on_abort_again(struct env_timer *timer)
{
    struct runtime_session *s = CONTAINER_OF(timer, struct runtime_session, timer);
    kill_command(s);
    if (s->killed) {
        return;
    }
    if (++s->abort_tries < ABORT_TRIES) {
        env_timer_start(session_env(s), &s->timer, ABORT_AGAIN_MS, on_abort_again);
    } else {
        (void)env_process_kill(s->process, SIGKILL);
    }
}

void session_exec_abort(struct runtime_session *s)
{
    assert(s->process);
    session_close_stream(&s->in, false);
    session_close_stream(&s->out, false);
    session_close_stream(&s->err, false);
    on_abort_again(&s->timer);
}

static void on_exec_exit(void *data, int exit_code, int signal)
{
    struct runtime_session *s = data;
    s->process = NULL;
    s->exited = true;
    s->exit_code = signal ? 128 + signal : exit_code;
    if (s->cancel >= 0) {
        (void)!write(s->cancel, &(uint64_t){1}, sizeof(uint64_t));
    }
    if (s->aborted) {
        kill_command(s);
        session_release(s);
        return;
    }
    session_close_stream(&s->in, false);
    if (!s->ended_streams) {
        env_timer_start(session_env(s), &s->timer, GRACE_MS, on_grace);
    }
    exec_maybe_end(s);
}

/* ---- exec: the terminal ---- */

struct console {
    struct job job; /* first */
    struct runtime_session *s;
    int listener, cancel, pty;
};

static void console_run(struct env_work *work)
{
    struct console *op = CONTAINER_OF(work, struct console, job.work);
    op->pty = os_socket_receive_fd(op->listener, op->cancel, CONSOLE_WAIT_MS);
    (void)close(op->listener);
}

static const struct env_stream_handler out_handler = {on_out, on_out_end, session_on_drain};
static const struct env_stream_handler err_handler = {on_err, on_err_end, NULL};
static const struct env_stream_handler in_handler = {on_in_read, on_in_end, session_on_drain};

static void console_done(struct env_work *work)
{
    struct console *op = CONTAINER_OF(work, struct console, job.work);
    struct runtime_session *s = op->s;
    int pty = op->pty;
    job_free(&op->job);
    if (pty >= 0 && !s->over && !s->aborted) {
        s->pty = fcntl(pty, F_DUPFD_CLOEXEC, 3);
        if (env_stream_open_fd(session_env(s), pty, &s->out) == 0) {
            pty = -1;
            env_stream_set(s->out, &out_handler, s);
            env_stream_read(s->out, !s->paused);
            op_session_resize(s, s->width, s->height);
            session_pump(s);
        }
    }
    if (pty >= 0) {
        (void)close(pty);
    }
    if (!s->over && !s->aborted) {
        exec_stream_ended(s);
    }
    session_unref(s);
}

/* ---- exec: start ---- */

struct exec_op {
    struct job job; /* first */
    struct runtime_session *s;
    const struct span *args;
    size_t arg_count;
    int listener;
};

/* The container's own process description with other arguments. */
static int write_process(struct exec_op *op)
{
    struct runtime_session *s = op->s;
    struct arena *a = op->job.a;
    struct span text;
    yyjson_doc *doc;
    struct err err;
    const char *config = host_path(&s->r->host, a, "containers", span_cstr(s->id), "config.json");
    int code = os_fs_read(a, AT_FDCWD, config, CONFIG_MAX, &text);
    if (code) {
        return code;
    }
    if (json_parse(a, text, &doc, &err) != 0) {
        return E_CORRUPT;
    }
    yyjson_mut_doc *out = json_mut_new(a);
    yyjson_mut_val *process = json_mut_copy(out, json_get(yyjson_doc_get_root(doc), "process"));
    if (!process) {
        return E_CORRUPT;
    }
    yyjson_mut_val *args = yyjson_mut_arr(out);
    for (size_t i = 0; i < op->arg_count; i++) {
        (void)yyjson_mut_arr_add_strn(out, args, op->args[i].p, op->args[i].n);
    }
    json_put(out, process, "args", args);
    json_put_bool(out, process, "terminal", s->tty);
    return os_fs_write(session_file(s, a, ".json"), json_write_mut(a, process), 0600);
}

static void exec_prepare_run(struct env_work *work)
{
    struct exec_op *op = CONTAINER_OF(work, struct exec_op, job.work);
    struct runtime_session *s = op->s;
    op->listener = -1;
    op->job.code = write_process(op);
    if (op->job.code == 0 && s->tty) {
        const char *dir = host_path(&s->r->host, op->job.a, "exec", SPAN_NULL, NULL);
        op->listener = os_socket_listen_at(dir, arena_printf(op->job.a, "%s.sock", s->serial).p);
        op->job.code = op->listener < 0 ? op->listener : 0;
    }
}

struct pipes {
    int in[2], out[2], err[2];
};

static int open_pipes(const struct runtime_session *s, struct pipes *p)
{
    *p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    if (s->tty) {
        return 0;
    }
    /* stderr always: crun's own complaint comes there. */
    bool ok = (!s->with_stdin || pipe2(p->in, O_CLOEXEC) == 0) &&
              (!s->with_stdout || pipe2(p->out, O_CLOEXEC) == 0) && pipe2(p->err, O_CLOEXEC) == 0;
    return ok ? 0 : -errno;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

static int spawn_exec(struct runtime_session *s, struct arena *a, const struct pipes *p)
{
    struct args args = {.n = 0};
    args_crun(&s->r->host, &args, a);
    args_add(&args, "exec");
    args_add(&args, "--process");
    args_add(&args, session_file(s, a, ".json"));
    args_add(&args, "--pid-file");
    args_add(&args, session_file(s, a, ".pid"));
    if (s->tty) {
        args_add(&args, "--tty");
        args_add(&args, "--console-socket");
        args_add(&args, session_file(s, a, ".sock"));
    }
    args_add(&args, s->id);
    args_add(&args, NULL);
    const char *const envp[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                NULL};
    const int fds[] = {p->in[0], p->out[1], p->err[1]};
    const struct env_spawn spawn = {
        .argv = args.at,
        .envp = envp,
        .fds = fds,
        .fd_count = sizeof fds / sizeof *fds,
        .new_session = true,
        .on_exit = on_exec_exit,
        .data = s,
    };
    return env_spawn(session_env(s), &spawn, &s->process);
}

static void wait_for_console(struct runtime_session *s, int listener)
{
    struct console *op = MEM_NEW(struct console);
    job_init(&op->job, s->r);
    op->s = s;
    op->listener = listener;
    op->cancel = s->cancel;
    session_ref(s);
    env_work_start(session_env(s), &op->job.work, console_run, console_done);
}

static int exec_spawn(struct runtime_session *s, struct exec_op *op)
{
    struct pipes p;
    int code = open_pipes(s, &p);
    code = code ? code : spawn_exec(s, op->job.a, &p);
    close_fd(p.in[0]);
    close_fd(p.out[1]);
    close_fd(p.err[1]);
    if (code) {
        close_fd(p.in[1]);
        close_fd(p.out[0]);
        close_fd(p.err[0]);
        return code;
    }
    if (s->tty) {
        wait_for_console(s, TAKE_FD(op->listener));
        return 0;
    }
    code = session_open_stream(s, p.in[1], &in_handler, false, &s->in);
    int one = session_open_stream(s, p.out[0], &out_handler, true, &s->out);
    code = code ? code : one;
    one = session_open_stream(s, p.err[0], &err_handler, true, &s->err);
    code = code ? code : one;
    if (code) {
        (void)env_process_kill(s->process, SIGKILL);
    }
    session_pump(s);
    return code;
}

static void exec_prepared(struct env_work *work)
{
    struct exec_op *op = CONTAINER_OF(work, struct exec_op, job.work);
    struct runtime_session *s = op->s;
    int code = op->job.code;
    if (s->aborted) {
        session_release(s);
    } else {
        code = code ? code : exec_spawn(s, op);
        if (code) {
            cleanup_arena struct arena *a = arena_new();
            session_end(s, code, arena_printf(a, "run crun exec: %s", code_text(code)));
        }
    }
    close_fd(op->listener);
    session_unref(s);
    job_free(&op->job);
}

void session_exec_start(struct runtime_session *s, const struct runtime_exec_spec *spec)
{
    assert(spec->arg_count > 0);
    assert(!s->attach);
    struct exec_op *op = MEM_NEW(struct exec_op);
    job_init(&op->job, s->r);
    op->s = s;
    session_ref(s);
    struct span *args = ARENA_ARRAY(op->job.a, struct span, spec->arg_count);
    for (size_t i = 0; i < spec->arg_count; i++) {
        args[i] = arena_dup(op->job.a, spec->args[i]);
    }
    op->args = args;
    op->arg_count = spec->arg_count;
    char serial[48];
    (void)snprintf(serial, sizeof serial, "%d-%llu", (int)getpid(),
                   (unsigned long long)++s->r->exec_serial);
    s->serial = mem_strdup(serial);
    s->arg0 = mem_strdup(args[0].p);
    s->cancel = s->tty ? eventfd(0, EFD_CLOEXEC) : -1;
    env_work_start(session_env(s), &op->job.work, exec_prepare_run, exec_prepared);
    crun_warm(s->r);
}
