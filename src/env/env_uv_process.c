/* Children, directory watches and signals on libuv. */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "env/env_uv_priv.h"

enum { SPAWN_FDS_MAX = 16 };

struct process_uv {
    struct env_process p; /* first */
    uv_process_t handle;
    struct list link; /* in env_uv.processes */
    void (*on_exit)(void *data, int exit_code, int signal);
    void *data;
};

static struct process_uv *of(struct env_process *p)
{
    return CONTAINER_OF(p, struct process_uv, p);
}

static void on_process_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_exited(uv_process_t *handle, int64_t status, int signal)
{
    struct process_uv *p = handle->data;
    list_remove(&p->link);
    if (p->on_exit) {
        p->on_exit(p->data, (int)status, signal);
    }
    uv_close((uv_handle_t *)handle, on_process_closed);
}

static pid_t op_pid(const struct env_process *p)
{
    return uv_process_get_pid(&of((struct env_process *)(uintptr_t)p)->handle);
}

static int op_kill(struct env_process *p, int signal)
{
    return uv_process_kill(&of(p)->handle, signal);
}

static void op_detach(struct env_process *p)
{
    of(p)->on_exit = NULL;
}

int env_uv_spawn(struct env *env, const struct env_spawn *spec, struct env_process **ret)
{
    assert(spec->fd_count <= SPAWN_FDS_MAX);
    struct env_uv *u = env_uv_of(env);
    struct process_uv *p = MEM_NEW(struct process_uv);
    *p = (struct process_uv){
        .p = {op_pid, op_kill, op_detach}, .on_exit = spec->on_exit, .data = spec->data};
    p->handle.data = p;
    uv_stdio_container_t stdio[SPAWN_FDS_MAX];
    for (size_t i = 0; i < spec->fd_count; i++) {
        stdio[i].flags = spec->fds[i] >= 0 ? UV_INHERIT_FD : UV_IGNORE;
        stdio[i].data.fd = spec->fds[i];
    }
    uv_process_options_t options = {
        .exit_cb = on_exited,
        .file = spec->argv[0],
        .args = (char **)(uintptr_t)spec->argv,
        .env = (char **)(uintptr_t)spec->envp,
        .cwd = spec->cwd,
        .flags = spec->new_session ? UV_PROCESS_DETACHED : 0,
        .stdio_count = (int)spec->fd_count,
        .stdio = stdio,
    };
    int code = uv_spawn(&u->loop, &p->handle, &options);
    if (code < 0) {
        uv_close((uv_handle_t *)&p->handle, on_process_closed);
        return code;
    }
    list_push_back(&u->processes, &p->link);
    if (ret) {
        *ret = &p->p;
    }
    return 0;
}

void env_uv_processes_forget(struct env_uv *u)
{
    struct list *link;
    while ((link = list_pop_front(&u->processes)) != NULL) {
        struct process_uv *p = CONTAINER_OF(link, struct process_uv, link);
        uv_close((uv_handle_t *)&p->handle, on_process_closed);
    }
}

/* ---- directories ---- */

struct dir_watch_uv {
    struct env_dir_watch w; /* first */
    uv_fs_event_t handle;
    void (*fn)(void *data, const char *name);
    void *data;
};

static void on_dir_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    struct dir_watch_uv *w = handle->data;
    (void)events;
    if (status == 0 && name) {
        w->fn(w->data, name);
    }
}

static void on_dir_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void dir_watch_free(struct env_dir_watch *watch)
{
    struct dir_watch_uv *w = CONTAINER_OF(watch, struct dir_watch_uv, w);
    uv_close((uv_handle_t *)&w->handle, on_dir_closed);
}

int env_uv_dir_watch_new(struct env *env, const char *path, void (*fn)(void *, const char *),
                         void *data, struct env_dir_watch **ret)
{
    struct dir_watch_uv *w = MEM_NEW(struct dir_watch_uv);
    *w = (struct dir_watch_uv){.w.free = dir_watch_free, .fn = fn, .data = data};
    int code = uv_fs_event_init(&env_uv_of(env)->loop, &w->handle);
    assert(code == 0);
    w->handle.data = w;
    code = uv_fs_event_start(&w->handle, on_dir_event, path, 0);
    if (code < 0) {
        dir_watch_free(&w->w);
        return code;
    }
    *ret = &w->w;
    return 0;
}

/* ---- signals ---- */

struct signal_uv {
    struct env_signal s; /* first */
    uv_signal_t handle;
    void (*fn)(void *data, int signum);
    void *data;
};

static void on_signal(uv_signal_t *handle, int signum)
{
    struct signal_uv *s = handle->data;
    s->fn(s->data, signum);
}

static void on_signal_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void signal_free(struct env_signal *sig)
{
    struct signal_uv *s = CONTAINER_OF(sig, struct signal_uv, s);
    uv_close((uv_handle_t *)&s->handle, on_signal_closed);
}

int env_uv_signal_new(struct env *env, int signum, void (*fn)(void *, int), void *data,
                      struct env_signal **ret)
{
    struct signal_uv *s = MEM_NEW(struct signal_uv);
    *s = (struct signal_uv){.s.free = signal_free, .fn = fn, .data = data};
    (void)uv_signal_init(&env_uv_of(env)->loop, &s->handle);
    s->handle.data = s;
    int code = uv_signal_start(&s->handle, on_signal, signum);
    if (code < 0) {
        signal_free(&s->s);
        return code;
    }
    *ret = &s->s;
    return 0;
}
