/* Attachments to a container's first process: the monitor's socket. Each packet starts with a byte
 * that names the stream; what is written goes to the process's input. The socket ends and the
 * container's exit is known, in either order -> on_end. */
#include <errno.h>

#include "base/check.h"
#include "os/os_socket.h"
#include "runtime/runtime_crun_session.h"

enum {
    ATTACH_LOST_MS = 5000,
    PIPE_OUT = 2, /* first byte of a packet */
    PIPE_ERR = 3,
};

/* ---- attach ---- */

static void attach_maybe_end(struct runtime_session *s)
{
    if (s->ended_streams && s->exited) {
        session_end(s, s->exit_code, SPAN_NULL);
    }
}

static void on_attach_lost(struct env_timer *timer)
{
    struct runtime_session *s = CONTAINER_OF(timer, struct runtime_session, timer);
    session_end(s, -EIO, SPAN("the container's monitor closed the connection"));
}

static void on_attach_read(void *data, struct span bytes)
{
    struct runtime_session *s = data;
    int pipe = bytes.n ? bytes.p[0] : 0;
    if (pipe == PIPE_ERR && s->with_stderr) {
        session_output(s, 2, span_from(bytes, 1));
    } else if (pipe == PIPE_OUT && s->with_stdout) {
        session_output(s, 1, span_from(bytes, 1));
    }
}

static void on_attach_end(void *data, int code)
{
    struct runtime_session *s = data;
    (void)code;
    session_close_stream(&s->out, false);
    s->ended_streams = true;
    env_timer_start(session_env(s), &s->timer, ATTACH_LOST_MS, on_attach_lost);
    attach_maybe_end(s);
}

void session_container_ended(struct list *attached, int exit_code)
{
    assert(attached);
    /* Those whose last output is still in the socket end when that has been read. */
    struct list *link;
    while ((link = list_pop_front(attached)) != NULL) {
        struct runtime_session *s = CONTAINER_OF(link, struct runtime_session, link);
        s->exited = true;
        s->exit_code = exit_code;
        attach_maybe_end(s);
    }
}

int session_attach(struct runtime_session *s)
{
    assert(s->attach);
    cleanup_arena struct arena *a = arena_new();
    const char *dir = host_path(&s->r->host, a, "containers", span_cstr(s->id), NULL);
    int fd = os_socket_connect_packets(dir, "attach");
    if (fd < 0) {
        return fd;
    }
    static const struct env_stream_handler handler = {on_attach_read, on_attach_end,
                                                      session_on_drain};
    return session_open_stream(s, fd, &handler, true, &s->out);
}
