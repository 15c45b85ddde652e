/* runtime/runtime_crun_priv.h: shared by runtime_crun*.c, oci_*.c and sandbox.c only. */
#ifndef RUNTIME_RUNTIME_CRUN_PRIV_H
#define RUNTIME_RUNTIME_CRUN_PRIV_H

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/strbuf.h"
#include "os/os_cgroup.h"
#include "runtime/runtime_crun.h"

/* ---- the machine: immutable after host_init, used by worker threads ---- */

struct host {
    struct arena *arena; /* owns the strings */
    struct span run;     /* DATA/run */
    const char *crun, *conmon;
    const char *shim;   /* program put in front of crun; NULL: none needed */
    bool shim_is_self;  /* it is this program's subcommand */
    const char *hidden; /* the mount that the shim hides */
    struct os_cgroup cgroup;
    struct span cgroup_parent;
    struct runtime_network network;
    runtime_layers_fn *layers_of;
    void *layers_data;
};

/* need_programs: false for purge. */
int host_init(struct host *host, const struct runtime_crun_config *config, bool need_programs,
              struct arena *a, struct span *ret_detail);
void host_done(struct host *host);
/* Makes the directories, drops what another boot and killed predecessors left half made. */
int host_prepare(struct host *host, struct arena *a, struct span *ret_detail);
/* Returns code; when it is not 0, the detail is "what: its text". */
int host_fail(struct arena *a, struct span *detail, int code, const char *what);
/* "DATA/run/DIR/NAME" or "DATA/run/DIR/NAME/FILE" (file NULL: without). NUL terminated. */
const char *host_path(const struct host *host, struct arena *a, const char *dir, struct span name,
                      const char *file);
/* The control group of a container. */
struct span host_group(const struct host *host, struct arena *a, struct span uid, struct span id);
/* Names end up in paths and arguments: letters, digits, '-', '.', '_', not at the start a '.' or
 * '-'; at most max. */
bool host_name_ok(struct span name, size_t max);

/* ---- sandboxes [blocking] ---- */

int sandbox_create(const struct host *host, const struct runtime_sandbox_spec *spec,
                   struct arena *a, struct span *ret_ip, struct span *ret_detail);
int sandbox_remove(const struct host *host, struct span uid, struct arena *a,
                   struct span *ret_detail);
/* -ENOENT when there is none that was made completely. */
int sandbox_load(const struct host *host, struct span uid, struct arena *a,
                 struct runtime_sandbox_status *ret, bool *ret_host_network);

/* ---- containers on disk [blocking] ---- */

enum disk_state { DISK_NONE, DISK_HALF, DISK_RUNNING, DISK_EXITED };

struct disk_container {
    enum disk_state state;
    struct runtime_status status; /* memory of the arena */
    uint64_t start_ticks;
    bool tty, with_stdin, stdin_once;
};

/* What is there. A container whose monitor is gone is ended here, and counts as killed. */
int disk_load(const struct host *host, struct span id, struct arena *a, struct disk_container *ret);
/* Exit code, time and reason from the exit file: -ENOENT when there is none yet. */
int disk_load_exit(const struct host *host, struct span id, struct arena *a,
                   struct runtime_status *status);
/* Directory, root, config.json, state.json. */
int disk_prepare(const struct host *host, struct span id, const struct runtime_container_spec *spec,
                 struct arena *a, struct span *ret_detail);
/* Notes that the created container runs; disk_let_go then lets its process go. Should
 * the agent be killed in between, the next disk_load does that. */
int disk_start(const struct host *host, struct span id, pid_t pid, int64_t now_ms, struct arena *a,
               uint64_t *ret_ticks, struct span *ret_detail);
/* Two system calls and one byte: also on the loop. */
int disk_let_go(const struct host *host, struct span id, struct arena *a, struct span *ret_detail);
/* Ends what still lives of it and removes everything but its log. */
int disk_destroy(const struct host *host, struct span id, struct arena *a);
/* SIGKILL to every monitor and runtime program of the container (id empty: of all), found by their
 * command lines: for those that a kill of the agent left before their pid was on disk. */
int disk_kill_programs(const struct host *host, struct span id, struct arena *a);
/* Sends a signal to the first process unless it is no longer the recorded one (-ESRCH). */
int disk_kill(pid_t pid, uint64_t start_ticks, int signal);
/* crun's complaint as an error code and Kubernetes' words. */
int crun_error(struct arena *a, struct span message, struct span arg0, struct span *ret_detail);

/* ---- the runtime on the loop ---- */

struct container {
    char *id;              /* key in the map */
    struct span uid, name; /* within id */
    struct span image;     /* of runtime_container_spec; behind id */
    uint32_t attempt;
    enum runtime_state state;
    bool starting, exit_seen, reaping, reap_again, tty, with_stdin, stdin_once;
    pid_t pid;
    uint64_t start_ticks;
    int32_t exit_code;
    bool oom_killed;
    int64_t started_ms, finished_ms;
    int stop_signal;      /* of runtime_container_spec */
    struct list attached; /* runtime_session.link */
    /* Of one that waits for its first attachment; NULL: it does not. */
    struct crun_runtime *held_by;
    struct env_timer held;
};

/* A process whose input is for one client (stdin with stdinOnce: `kubectl run -it`) waits a little
 * for that client, who would else miss what it says first. `after_ms` from now it goes on; 0: at
 * once. Nothing happens to one that is not held. */
void crun_let_go(struct container *c, int64_t after_ms);

struct crun_runtime {
    struct runtime rt; /* first */
    struct host host;
    struct map containers;
    struct env_dir_watch *exits;
    void (*on_exit)(void *data, const struct runtime_status *status);
    void *on_exit_data;
    size_t refs; /* the owner's, and one for each thing under way */
    bool closed; /* by the owner: no callback any more */
    uint64_t exec_serial;
};

struct crun_runtime *crun_of(struct runtime *rt);
void crun_ref(struct crun_runtime *r);
void crun_unref(struct crun_runtime *r);
struct container *crun_container(struct crun_runtime *r, struct span id);
struct container *crun_container_add(struct crun_runtime *r, const struct runtime_status *status);
struct runtime_status crun_status(const struct container *c);
/* Reads the exit file in a worker, then tells on_exit and the attached sessions. */
void crun_reap(struct crun_runtime *r, struct container *c);

/* A call that is worked on: arena, what came out. Embedded first in each operation. */
struct job {
    struct env_work work;
    struct crun_runtime *r;
    struct arena *a;
    int code;
    struct span detail;
};
void job_init(struct job *job, struct crun_runtime *r);
/* Releases arena and reference and frees the memory job starts. */
void job_free(struct job *job);

/* os_cgroup_warm() on another thread. */
void crun_warm(struct crun_runtime *r);

/* Arguments that run crun, shim first where needed; the caller appends and ends with NULL. */
struct args {
    const char *at[64];
    size_t n;
};
void args_add(struct args *args, const char *arg);
void args_crun(const struct host *host, struct args *args, struct arena *a);

void op_container_start(struct runtime *rt, const struct runtime_container_spec *spec,
                        runtime_start_fn *done, void *data);
void op_container_usage(struct runtime *rt, runtime_usage_fn *done, void *data);
struct runtime_session *op_exec(struct runtime *rt, const struct runtime_exec_spec *spec,
                                const struct runtime_session_handler *handler, void *data);
void op_session_write(struct runtime_session *s, struct span bytes);
size_t op_session_queued(const struct runtime_session *s);
void op_session_close_stdin(struct runtime_session *s);
void op_session_resize(struct runtime_session *s, uint16_t width, uint16_t height);
void op_session_pause(struct runtime_session *s, bool paused);
void op_session_abort(struct runtime_session *s);
/* The container ended: its attached sessions follow. Empties the list. */
void session_container_ended(struct list *attached, int exit_code);
/* One line for conmon's control fifo. */
int conmon_control(const struct host *host, struct span id, const char *line);

#endif
