/* Sessions: what commands in a container and attachments to its first process have in common. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "os/os_fs.h"
#include "runtime/runtime_crun_session.h"

enum {
    CHUNK_BYTES = 8192, /* of the attach socket: a packet must fit the monitor's buffer */
    DETACH_MS = 2000, /* for the process to say what it says to the end of an attachment's input */
    ATTACHED_MS = 20  /* for the monitor to accept the connection, and for the terminal's size */
};

/* ---- life ---- */

struct env *session_env(struct runtime_session *s)
{
    assert(s->r);
    return s->r->rt.env;
}

void session_ref(struct runtime_session *s)
{
    assert(s->refs > 0);
    s->refs++;
}

void session_unref(struct runtime_session *s)
{
    assert(s->refs > 0);
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

void session_close_stream(struct env_stream **stream, bool flush)
{
    assert(stream);
    if (*stream && flush) {
        env_stream_close_flush(*stream);
    } else if (*stream) {
        env_stream_close(*stream);
    }
    *stream = NULL;
}

const char *session_file(struct runtime_session *s, struct arena *a, const char *suffix)
{
    assert(s->serial);
    assert(suffix);
    return host_path(&s->r->host, a, "exec", arena_printf(a, "%s%s", s->serial, suffix), NULL);
}

/* Stops everything that could call back; the memory goes with the last reference. */
void session_release(struct runtime_session *s)
{
    assert(!s->over);
    s->over = true;
    env_timer_stop(session_env(s), &s->timer);
    env_post_cancel(session_env(s), &s->task);
    session_close_stream(&s->in, false);
    session_close_stream(&s->out, false);
    session_close_stream(&s->err, false);
    list_remove(&s->link);
    if (s->process) {
        env_process_detach(s->process);
        s->process = NULL;
    }
    if (s->serial) {
        static const char *const files[] = {".json", ".pid", ".sock"};
        cleanup_arena struct arena *a = arena_new();
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            (void)unlink(session_file(s, a, files[i]));
        }
    }
    session_unref(s);
}

void session_end(struct runtime_session *s, int code, struct span detail)
{
    assert(s->r);
    if (!s->aborted && !s->r->closed) {
        s->handler.on_end(s->data, code, detail);
    }
    session_release(s);
}

/* ---- output ---- */

void session_output(struct runtime_session *s, int fd, struct span bytes)
{
    if (!s->aborted && !s->r->closed && bytes.n && s->handler.on_output) {
        s->handler.on_output(s->data, fd, bytes);
    }
}

int session_open_stream(struct runtime_session *s, int fd, const struct env_stream_handler *handler,
                        bool read, struct env_stream **ret)
{
    assert(handler);
    assert(ret);
    if (fd < 0) {
        return 0;
    }
    int code = env_stream_open_fd(session_env(s), fd, ret);
    if (code) {
        (void)close(fd);
        return code;
    }
    env_stream_set(*ret, handler, s);
    if (read) {
        env_stream_read(*ret, !s->paused);
    }
    return 0;
}

/* ---- input ---- */

static void on_detached(struct env_timer *timer)
{
    session_end(CONTAINER_OF(timer, struct runtime_session, timer), 0, SPAN_NULL);
}

void session_pump(struct runtime_session *s)
{
    assert(s->r);
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
    if (s->attach && s->detaches) {
        s->with_stdin = s->close_stdin = false;
        env_timer_start(session_env(s), &s->timer, DETACH_MS, on_detached);
    } else if (s->attach) {
        env_stream_shutdown(to);
        s->close_stdin = false;
    } else if (s->in) {
        session_close_stream(&s->in, true);
    }
}

void session_on_drain(void *data)
{
    session_pump(data);
}

void op_session_write(struct runtime_session *s, struct span bytes)
{
    assert(!s->over);
    assert(!s->aborted);
    if (!s->with_stdin || s->close_stdin || s->exited) {
        return;
    }
    strbuf_put(&s->input, bytes);
    session_pump(s);
}

size_t op_session_queued(const struct runtime_session *s)
{
    assert(s->r);
    struct env_stream *to = s->attach || s->tty ? s->out : s->in;
    return s->input.n + (to ? env_stream_queued(to) : 0);
}

void op_session_close_stdin(struct runtime_session *s)
{
    assert(s->r);
    if (!s->close_stdin && s->with_stdin) {
        s->close_stdin = true;
        session_pump(s);
    }
}

void op_session_pause(struct runtime_session *s, bool paused)
{
    assert(s->r);
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
    assert(s->r);
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

void op_session_abort(struct runtime_session *s)
{
    assert(!s->aborted);
    assert(!s->over);
    s->aborted = true;
    if (s->process) {
        session_exec_abort(s);
    } else if (s->attach || s->exited || s->failed_early) {
        session_release(s);
    }
    /* Otherwise an exec is being prepared, and its worker's end releases it. */
}

/* ---- the call ---- */

static void on_refused(struct env_task *task)
{
    struct runtime_session *s = CONTAINER_OF(task, struct runtime_session, task);
    session_end(s, s->exit_code,
                span_cstr(s->exit_code == -ENOENT  ? "container not found"
                          : s->exit_code == -ESRCH ? "container is not running"
                                                   : code_text(s->exit_code)));
}

struct runtime_session *op_exec(struct runtime *rt, const struct runtime_exec_spec *spec,
                                const struct runtime_session_handler *handler, void *data)
{
    assert(handler);
    assert(spec->args || spec->arg_count == 0);
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
        .detaches = c && (!c->stdin_once || c->tty), /* as containerd has it */
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
        crun_let_go(c, 0);
        session_exec_start(s, spec);
        return s;
    }
    if (code == 0) {
        code = session_attach(s);
        crun_let_go(c, ATTACHED_MS);
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
