/* runtime/runtime_crun_session.h: what runtime_crun_session.c, _exec.c and _attach.c share, and
 * nobody else. */
#ifndef RUNTIME_RUNTIME_CRUN_SESSION_H
#define RUNTIME_RUNTIME_CRUN_SESSION_H

#include "runtime/runtime_crun_priv.h"

struct runtime_session {
    struct crun_runtime *r;
    struct runtime_session_handler handler;
    void *data;
    struct list link; /* attachment: container.attached */
    bool attach, tty, with_stdin, with_stdout, with_stderr;
    bool detaches; /* attachment: ends with its input, and the process goes on */
    bool paused, aborted, over, exited, ended_streams, close_stdin, failed_early, killed;
    int abort_tries;
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

struct env *session_env(struct runtime_session *s);
void session_ref(struct runtime_session *s);
void session_unref(struct runtime_session *s);
/* Stops everything that could call back; the memory goes with the last reference. */
void session_release(struct runtime_session *s);
/* on_end, then session_release. code < 0: could not run. */
void session_end(struct runtime_session *s, int code, struct span detail);
void session_output(struct runtime_session *s, int fd, struct span bytes);
/* Hands input on as far as the other side takes it. */
void session_pump(struct runtime_session *s);
void session_on_drain(void *data);
/* Consumes fd; -1 is fine. read: it has output for us, taken unless the session is paused. */
int session_open_stream(struct runtime_session *s, int fd, const struct env_stream_handler *handler,
                        bool read, struct env_stream **ret);
void session_close_stream(struct env_stream **stream, bool flush);
/* DATA/run/exec/SERIAL + suffix. */
const char *session_file(struct runtime_session *s, struct arena *a, const char *suffix);

/* exec */
void session_exec_start(struct runtime_session *s, const struct runtime_exec_spec *spec);
/* Kills the command, lets go of the streams and releases the session when crun has ended. */
void session_exec_abort(struct runtime_session *s);

/* attach */
int session_attach(struct runtime_session *s);

#endif
