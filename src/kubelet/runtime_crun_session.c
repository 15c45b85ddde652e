/* Commands in a running container (`crun exec`, with pipes or a terminal) and attachments to its
 * first process (the monitor's socket).
 *
 * An exec: PREPARE (worker: process file, console socket) -> crun runs -> its exit and the end of
 * its output, in either order -> on_end. Output that is still held open by a background process is
 * waited for GRACE_MS only. An attachment: the socket ends and the container's exit is known, in
 * either order -> on_end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "codec/json.h"
#include "kubelet/runtime_crun_priv.h"
#include "os/os_fs.h"

enum {
    GRACE_MS = 250,
    ATTACH_LOST_MS = 5000,
    CONSOLE_WAIT_MS = 10000,
    CHUNK_BYTES = 8192, /* of the attach socket: a packet must fit the monitor's buffer */
    CONFIG_MAX = 4 * 1024 * 1024,
    PIPE_IN = 1, /* first byte of a packet from the monitor */
    PIPE_OUT = 2,
    PIPE_ERR = 3,
};

struct runtime_session {
    struct crun_runtime *r;
    struct runtime_session_handler handler;
    void *data;
    struct list link; /* attachment: container.attached */
    bool attach, tty, with_stdin, with_stdout, with_stderr;
    bool paused, aborted, over, exited, ended_streams, close_stdin, failed_early, killed;
    int exit_code;
    struct strbuf input; /* not yet handed to a stream */
    struct strbuf held;  /* stderr until it is known whether crun or the command speaks */
    bool started;        /* the command runs: stderr is its own */
    struct env_stream *in, *out, *err; /* attach and tty: only out, both ways */
    int pty;                           /* copy for the window size */
    uint16_t width, height;
    struct env_process *process;
    struct env_timer timer;
    struct env_task task;
    char *id, *serial, *arg0; /* container; name of our files in DATA/run/exec; command */
    int cancel;               /* eventfd: the console will not come */
    size_t refs;              /* jobs under way and the session itself */
};

/* ---- life ---- */

static struct env *env_of(struct runtime_session *s)
{
    return s->r->rt.env;
}

static void session_ref(struct runtime_session *s)
{
    s->refs++;
}

static void session_unref(struct runtime_session *s)
{
    if (--s->refs > 0) {
        return;
    }
    struct crun_runtime *r = s->r;
    strbuf_done(&s->input);
    strbuf_done(&s->held);
    cleanup_close_fn(&s->pty);
    cleanup_close_fn(&s->cancel);
    free(s->id);
    free(s->serial);
    free(s->arg0);
    free(s);
    crun_unref(r);
}

static void close_stream(struct env_stream **stream, bool flush)
{
    if (*stream && flush) {
        env_stream_close_flush(*stream);
    } else if (*stream) {
        env_stream_close(*stream);
    }
    *stream = NULL;
}

static const char *file_of(struct runtime_session *s, struct arena *a, const char *suffix)
{
    return host_path(&s->r->host, a, "exec", arena_printf(a, "%s%s", s->serial, suffix), NULL);
}

/* Stops everything that could call back; the memory goes with the last reference. */
static void release(struct runtime_session *s)
{
    assert(!s->over);
    s->over = true;
    env_timer_stop(env_of(s), &s->timer);
    env_post_cancel(env_of(s), &s->task);
    close_stream(&s->in, false);
    close_stream(&s->out, false);
    close_stream(&s->err, false);
    list_remove(&s->link);
    if (s->process) {
        env_process_detach(s->process);
        s->process = NULL;
    }
    if (s->serial) {
        static const char *const files[] = {".json", ".pid", ".sock"};
        cleanup_arena struct arena *a = arena_new();
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            (void)unlink(file_of(s, a, files[i]));
        }
    }
    session_unref(s);
}

static void end(struct runtime_session *s, int code, struct span detail)
{
    if (!s->aborted && !s->r->closed) {
        s->handler.on_end(s->data, code, detail);
    }
    release(s);
}

static void end_failed(struct runtime_session *s, int code, struct span detail)
{
    assert(code < 0);
    end(s, code, detail);
}

/* ---- output ---- */

static void output(struct runtime_session *s, int fd, struct span bytes)
{
    if (!s->aborted && !s->r->closed && bytes.n && s->handler.on_output) {
        s->handler.on_output(s->data, fd, bytes);
    }
}

/* crun writes the pid file once the command runs. */
static bool has_started(struct runtime_session *s)
{
    if (!s->started) {
        cleanup_arena struct arena *a = arena_new();
        s->started = access(file_of(s, a, ".pid"), F_OK) == 0;
    }
    return s->started;
}

static void exec_maybe_end(struct runtime_session *s)
{
    if (!s->exited || !s->ended_streams) {
        return;
    }
    if (!has_started(s) && s->exit_code != 0) {
        cleanup_arena struct arena *a = arena_new();
        struct span detail;
        int code = crun_error(a, strbuf_span(&s->held), span_cstr(s->arg0), &detail);
        end_failed(s, code, detail);
        return;
    }
    session_ref(s); /* the receiver may abort while it is called */
    output(s, 2, strbuf_span(&s->held));
    if (!s->over) {
        end(s, s->exit_code, SPAN_NULL);
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
    output(data, 1, bytes);
}

static void on_out_end(void *data, int code)
{
    struct runtime_session *s = data;
    (void)code;
    close_stream(&s->out, false);
    exec_stream_ended(s);
}

static void on_err(void *data, struct span bytes)
{
    struct runtime_session *s = data;
    if (!has_started(s) && s->held.n + bytes.n <= LIMIT_RUNTIME_MESSAGE_BYTES) {
        strbuf_put(&s->held, bytes);
        return;
    }
    session_ref(s); /* the receiver may abort while it is called */
    output(s, 2, strbuf_span(&s->held));
    strbuf_clear(&s->held);
    if (!s->over) {
        output(s, 2, bytes);
    }
    session_unref(s);
}

static void on_err_end(void *data, int code)
{
    struct runtime_session *s = data;
    (void)code;
    close_stream(&s->err, false);
    exec_stream_ended(s);
}

/* ---- input ---- */

static void pump(struct runtime_session *s)
{
    struct env_stream *to = s->attach || s->tty ? s->out : s->in;
    while (to && s->input.n && (!s->attach || env_stream_queued(to) == 0)) {
        struct span chunk =
            span_first(strbuf_span(&s->input), s->attach ? CHUNK_BYTES : s->input.n);
        env_stream_write(to, chunk);
        strbuf_consume(&s->input, chunk.n);
    }
    if (!to || !s->close_stdin || s->input.n) {
        return;
    }
    if (s->attach) {
        env_stream_shutdown(to);
        s->close_stdin = false;
    } else if (s->in) {
        close_stream(&s->in, true);
    }
}

static void on_in_read(void *data, struct span bytes)
{
    (void)data;
    (void)bytes;
}

static void on_in_end(void *data, int code)
{
    struct runtime_session *s = data;
    (void)code;
    close_stream(&s->in, false); /* the command closed its input: that is its business */
}

static void on_drain(void *data)
{
    pump(data);
}

void op_session_write(struct runtime_session *s, struct span bytes)
{
    assert(!s->over && !s->aborted);
    if (!s->with_stdin || s->close_stdin || s->exited) {
        return;
    }
    strbuf_put(&s->input, bytes);
    pump(s);
}

size_t op_session_queued(const struct runtime_session *s)
{
    struct env_stream *to = s->attach || s->tty ? s->out : s->in;
    return s->input.n + (to ? env_stream_queued(to) : 0);
}

void op_session_close_stdin(struct runtime_session *s)
{
    if (!s->close_stdin && s->with_stdin) {
        s->close_stdin = true;
        pump(s);
    }
}

void op_session_pause(struct runtime_session *s, bool paused)
{
    s->paused = paused;
    if (s->out) {
        env_stream_read(s->out, !paused);
    }
    if (s->err) {
        env_stream_read(s->err, !paused);
    }
}

/* ---- window size ---- */

void op_session_resize(struct runtime_session *s, uint16_t width, uint16_t height)
{
    s->width = width;
    s->height = height;
    if (!s->tty || width == 0 || height == 0) {
        return;
    }
    if (s->attach) {
        enum { SIDE_MAX = 1000 }; /* the monitor takes no more */
        char line[48];
        (void)snprintf(line, sizeof line, "1 %u %u\n", height > SIDE_MAX ? SIDE_MAX : height,
                       width > SIDE_MAX ? SIDE_MAX : width);
        (void)conmon_control(&s->r->host, span_cstr(s->id), line);
    } else if (s->pty >= 0) {
        struct winsize size = {.ws_row = height, .ws_col = width};
        (void)ioctl(s->pty, TIOCSWINSZ, &size);
    }
}

/* ---- exec: the command ends ---- */

static void on_grace(struct env_timer *timer)
{
    struct runtime_session *s = CONTAINER_OF(timer, struct runtime_session, timer);
    if (s->paused) {
        env_timer_start(env_of(s), &s->timer, GRACE_MS, on_grace);
        return;
    }
    close_stream(&s->out, false);
    close_stream(&s->err, false);
    s->ended_streams = true;
    exec_maybe_end(s);
}

/* SIGKILL to the command that crun started, if it did. */
static void kill_command(struct runtime_session *s)
{
    cleanup_arena struct arena *a = arena_new();
    struct span text;
    int64_t pid;
    if (os_fs_read(a, AT_FDCWD, file_of(s, a, ".pid"), 64, &text) == 0 &&
        span_to_i64(span_trim(text), &pid) && pid > 1) {
        (void)kill((pid_t)pid, SIGKILL);
    }
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
        if (!s->killed) {
            kill_command(s);
        }
        release(s);
        return;
    }
    close_stream(&s->in, false);
    if (!s->ended_streams) {
        env_timer_start(env_of(s), &s->timer, GRACE_MS, on_grace);
    }
    exec_maybe_end(s);
}

void op_session_abort(struct runtime_session *s)
{
    assert(!s->aborted && !s->over);
    s->aborted = true;
    if (s->attach || !s->process) {
        /* An exec still being prepared sees it when its worker is done. */
        if (s->attach || s->exited || s->failed_early) {
            release(s);
        }
        return;
    }
    /* The command is killed by its own pid, so crun sees it end; without a pid yet, crun goes
     * first. */
    s->killed = has_started(s);
    if (s->killed) {
        kill_command(s);
    } else {
        (void)env_process_kill(s->process, SIGKILL);
    }
    close_stream(&s->in, false);
    close_stream(&s->out, false);
    close_stream(&s->err, false);
}

/* ---- exec: the terminal ---- */

struct console {
    struct job job; /* first */
    struct runtime_session *s;
    int listener, cancel, pty;
};

static int receive_fd(int sock)
{
    char byte[64], control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {byte, sizeof byte};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n;
    do {
        n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    const struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
        c->cmsg_len < CMSG_LEN(sizeof(int))) {
        return n < 0 ? -errno : -EPROTO;
    }
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

static void console_run(struct env_work *work)
{
    struct console *op = CONTAINER_OF(work, struct console, job.work);
    struct pollfd p[2] = {{.fd = op->listener, .events = POLLIN},
                          {.fd = op->cancel, .events = POLLIN}};
    op->pty = -ETIMEDOUT;
    if (poll(p, 2, CONSOLE_WAIT_MS) > 0) {
        cleanup_close int sock =
            p[0].revents ? accept4(op->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
        op->pty = sock >= 0 ? receive_fd(sock) : -ECANCELED;
    }
    (void)close(op->listener);
}

static const struct env_stream_handler out_handler = {on_out, on_out_end, on_drain};
static const struct env_stream_handler err_handler = {on_err, on_err_end, NULL};
static const struct env_stream_handler in_handler = {on_in_read, on_in_end, on_drain};

static void console_done(struct env_work *work)
{
    struct console *op = CONTAINER_OF(work, struct console, job.work);
    struct runtime_session *s = op->s;
    int pty = op->pty;
    job_free(&op->job);
    if (pty >= 0 && !s->over && !s->aborted) {
        s->pty = fcntl(pty, F_DUPFD_CLOEXEC, 3);
        if (env_stream_open_fd(env_of(s), pty, &s->out) == 0) {
            pty = -1;
            env_stream_set(s->out, &out_handler, s);
            env_stream_read(s->out, !s->paused);
            op_session_resize(s, s->width, s->height);
            pump(s);
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

/* A bound path of any length: through the directory's descriptor. */
static int listen_at(const char *dir, const char *name)
{
    cleanup_close int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int n = snprintf(addr.sun_path, sizeof addr.sun_path, "/proc/self/fd/%d/%s", dirfd, name);
    if (dirfd < 0 || fd < 0 || n < 0 || (size_t)n >= sizeof addr.sun_path) {
        return dirfd < 0 || fd < 0 ? -errno : -ENAMETOOLONG;
    }
    if (bind(fd, (const struct sockaddr *)&addr, sizeof addr) != 0 || listen(fd, 1) != 0) {
        return -errno;
    }
    return TAKE_FD(fd);
}

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
    return os_fs_write(file_of(s, a, ".json"), json_write_mut(a, process), 0600);
}

static void exec_prepare_run(struct env_work *work)
{
    struct exec_op *op = CONTAINER_OF(work, struct exec_op, job.work);
    struct runtime_session *s = op->s;
    op->listener = -1;
    op->job.code = write_process(op);
    if (op->job.code == 0 && s->tty) {
        const char *dir = host_path(&s->r->host, op->job.a, "exec", SPAN_NULL, NULL);
        op->listener = listen_at(dir, arena_printf(op->job.a, "%s.sock", s->serial).p);
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

static int open_stream(struct runtime_session *s, int fd, const struct env_stream_handler *handler,
                       struct env_stream **ret)
{
    if (fd < 0) {
        return 0;
    }
    int code = env_stream_open_fd(env_of(s), fd, ret);
    if (code) {
        (void)close(fd);
        return code;
    }
    env_stream_set(*ret, handler, s);
    env_stream_read(*ret, handler != &in_handler && !s->paused);
    return 0;
}

static int spawn_exec(struct runtime_session *s, struct arena *a, const struct pipes *p)
{
    struct args args = {.n = 0};
    args_crun(&s->r->host, &args, a);
    args_add(&args, "exec");
    args_add(&args, "--process");
    args_add(&args, file_of(s, a, ".json"));
    args_add(&args, "--pid-file");
    args_add(&args, file_of(s, a, ".pid"));
    if (s->tty) {
        args_add(&args, "--tty");
        args_add(&args, "--console-socket");
        args_add(&args, file_of(s, a, ".sock"));
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
    return env_spawn(env_of(s), &spawn, &s->process);
}

static void wait_for_console(struct runtime_session *s, int listener)
{
    struct console *op = MEM_NEW(struct console);
    job_init(&op->job, s->r);
    op->s = s;
    op->listener = listener;
    op->cancel = s->cancel;
    session_ref(s);
    env_work_start(env_of(s), &op->job.work, console_run, console_done);
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
    code = open_stream(s, p.in[1], &in_handler, &s->in);
    int one = open_stream(s, p.out[0], &out_handler, &s->out);
    code = code ? code : one;
    one = open_stream(s, p.err[0], &err_handler, &s->err);
    code = code ? code : one;
    if (code) {
        (void)env_process_kill(s->process, SIGKILL);
    }
    pump(s);
    return code;
}

static void exec_prepared(struct env_work *work)
{
    struct exec_op *op = CONTAINER_OF(work, struct exec_op, job.work);
    struct runtime_session *s = op->s;
    int code = op->job.code;
    if (s->aborted) {
        release(s);
    } else {
        code = code ? code : exec_spawn(s, op);
        if (code) {
            cleanup_arena struct arena *a = arena_new();
            end_failed(s, code, arena_printf(a, "run crun exec: %s", code_text(code)));
        }
    }
    close_fd(op->listener);
    session_unref(s);
    job_free(&op->job);
}

static void exec_start(struct runtime_session *s, const struct runtime_exec_spec *spec)
{
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
    env_work_start(env_of(s), &op->job.work, exec_prepare_run, exec_prepared);
}

/* ---- attach ---- */

static void attach_maybe_end(struct runtime_session *s)
{
    if (s->ended_streams && s->exited) {
        end(s, s->exit_code, SPAN_NULL);
    }
}

static void on_attach_lost(struct env_timer *timer)
{
    struct runtime_session *s = CONTAINER_OF(timer, struct runtime_session, timer);
    end_failed(s, -EIO, SPAN("the container's monitor closed the connection"));
}

static void on_attach_read(void *data, struct span bytes)
{
    struct runtime_session *s = data;
    int pipe = bytes.n ? bytes.p[0] : 0;
    if (pipe == PIPE_ERR && s->with_stderr) {
        output(s, 2, span_from(bytes, 1));
    } else if (pipe == PIPE_OUT && s->with_stdout) {
        output(s, 1, span_from(bytes, 1));
    }
}

static void on_attach_end(void *data, int code)
{
    struct runtime_session *s = data;
    (void)code;
    close_stream(&s->out, false);
    s->ended_streams = true;
    env_timer_start(env_of(s), &s->timer, ATTACH_LOST_MS, on_attach_lost);
    attach_maybe_end(s);
}

void session_container_ended(struct list *attached, int exit_code)
{
    /* Those whose last output is still in the socket end when that has been read. */
    struct list *link;
    while ((link = list_pop_front(attached)) != NULL) {
        struct runtime_session *s = CONTAINER_OF(link, struct runtime_session, link);
        s->exited = true;
        s->exit_code = exit_code;
        attach_maybe_end(s);
    }
}

static int connect_monitor(struct runtime_session *s)
{
    cleanup_arena struct arena *a = arena_new();
    const char *dir = host_path(&s->r->host, a, "containers", span_cstr(s->id), NULL);
    cleanup_close int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "/proc/self/fd/%d/attach", dirfd);
    if (dirfd < 0 || fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof addr) != 0) {
        return -errno;
    }
    static const struct env_stream_handler handler = {on_attach_read, on_attach_end, on_drain};
    int stream_fd = TAKE_FD(fd);
    return open_stream(s, stream_fd, &handler, &s->out);
}

/* ---- the call ---- */

static void on_refused(struct env_task *task)
{
    struct runtime_session *s = CONTAINER_OF(task, struct runtime_session, task);
    end_failed(s, s->exit_code,
               span_cstr(s->exit_code == -ENOENT  ? "container not found"
                         : s->exit_code == -ESRCH ? "container is not running"
                                                  : code_text(s->exit_code)));
}

struct runtime_session *op_exec(struct runtime *rt, const struct runtime_exec_spec *spec,
                                const struct runtime_session_handler *handler, void *data)
{
    struct crun_runtime *r = crun_of(rt);
    struct container *c = crun_container(r, spec->container_id);
    struct runtime_session *s = MEM_NEW(struct runtime_session);
    *s = (struct runtime_session){
        .r = r,
        .handler = *handler,
        .data = data,
        .attach = spec->arg_count == 0,
        .tty = spec->arg_count == 0 && c ? c->tty : spec->tty,
        .with_stdin = spec->with_stdin && (spec->arg_count || (c && c->with_stdin)),
        .with_stdout = spec->with_stdout || spec->tty,
        .with_stderr = spec->with_stderr,
        .pty = -1,
        .cancel = -1,
        .refs = 1,
    };
    crun_ref(r);
    list_init(&s->link);
    char *id = mem_new(spec->container_id.n + 1);
    memcpy(id, spec->container_id.p, spec->container_id.n);
    s->id = id;
    int code = !c ? -ENOENT : c->state != RUNTIME_RUNNING ? -ESRCH : 0;
    if (code == 0 && !s->attach) {
        exec_start(s, spec);
        return s;
    }
    if (code == 0) {
        code = connect_monitor(s);
    }
    if (code) {
        s->exit_code = code;
        s->failed_early = true;
        env_post(rt->env, &s->task, on_refused);
        return s;
    }
    list_push_back(&c->attached, &s->link);
    return s;
}
