/* kubelet/kubelet_session.c: logs, exec, attach and connections to ports for the API
 * server. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/strbuf.h"
#include "client/client_body.h"
#include "kubelet/kubelet_cri.h"
#include "kubelet/kubelet_dial.h"
#include "kubelet/kubelet_logs_priv.h"
#include "kubelet/kubelet_priv.h"

enum { READ_BYTES = 64 * 1024, LINE_MAX_BYTES = 1024 * 1024 };

struct node_session {
    struct list link;
    struct kubelet *k;
    struct env *env;
    struct node_session_handler handler;
    void *data;
    struct arena *arena;
    struct env_task task;
    struct err err; /* told by the task when reason is set */
    bool paused, released;
    /* exec, attach */
    struct runtime_session *runtime;
    bool waits; /* on_end comes though the session is gone */
    /* a connection; `path` is what its errors begin with */
    struct kubelet_dial *dial;
    /* logs */
    bool is_log, follow, ended;  /* ended: no more will be written */
    struct kubelet_container *c; /* whose current instance is followed; NULL: nobody's any more */
    struct cri_filter filter;
    struct span path, dir;
    struct env_dir_watch *watch;
    int fd;
    int64_t at;
    struct strbuf in;
};

static void session_free(struct node_session *s)
{
    if (s->watch) {
        env_dir_watch_free(s->watch);
    }
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    env_post_cancel(s->env, &s->task);
    strbuf_done(&s->in);
    arena_free(s->arena);
    free(s);
}

/* Off the list, no callback from here on; freed unless the runtime still holds it. */
static void release(struct node_session *s)
{
    if (!s->released) {
        s->released = true;
        list_remove(&s->link);
    }
    if (s->runtime) {
        s->k->runtime->ops->session_abort(TAKE_PTR(s->runtime));
    }
    kubelet_dial_free(TAKE_PTR(s->dial));
    if (!s->waits) {
        session_free(s);
    }
}

static void end(struct node_session *s, int exit_code, const struct err *err)
{
    void (*fn)(void *, int, const struct err *) = s->handler.on_end;
    void *data = s->data;
    assert(!s->released);
    s->released = true;
    list_remove(&s->link);
    fn(data, exit_code, err);
    if (!s->waits) {
        session_free(s);
    }
}

static struct node_session *session_new(struct kubelet *k,
                                        const struct node_session_handler *handler, void *data)
{
    struct node_session *s = MEM_NEW(struct node_session);
    s->k = k;
    s->env = k->env;
    s->handler = *handler;
    s->data = data;
    s->arena = arena_new();
    s->fd = -1;
    list_push_back(&k->sessions, &s->link);
    return s;
}

static void tell_error(struct env_task *task)
{
    struct node_session *s = CONTAINER_OF(task, struct node_session, task);
    end(s, -1, &s->err);
}

static struct node_session *refuse(struct node_session *s)
{
    assert(s->err.reason != ERR_NONE);
    env_post(s->env, &s->task, tell_error);
    return s;
}

/* ---- whom it is about ---- */

static struct kubelet_pod *find_pod(struct kubelet *k, struct span ns, struct span name)
{
    struct kubelet_pod *pod = NULL, *best = NULL;
    size_t it = 0;
    while ((pod = map_next(&k->by_uid, &it, NULL)) != NULL) {
        if (span_eq(pod->ns, ns) && span_eq(pod->name, name) && pod->object &&
            (!best || pod->view.exists)) {
            best = pod;
        }
    }
    return best;
}

static struct kubelet_container *find_container(struct node_session *s, struct span ns,
                                                struct span name, struct span container)
{
    struct kubelet_pod *pod = find_pod(s->k, ns, name);
    if (!pod) {
        (void)err_set(s->arena, &s->err, ERR_NOT_FOUND, "pods \"%.*s\" not found", SPAN_ARG(name));
        return NULL;
    }
    if (container.n == 0) {
        container = json_str(json_path(client_meta(pod->object), "annotations",
                                       "kubectl.kubernetes.io/default-container", NULL));
    }
    if (container.n == 0 && pod->view.main_count == 1) {
        return pod->containers[pod->view.init_count];
    }
    struct kubelet_container *c = kubelet_pod_container(pod, container);
    if (!c && container.n == 0) {
        struct span list = SPAN_NULL;
        for (size_t i = 0; i < pod->view.main_count; i++) {
            list = arena_printf(s->arena, "%.*s%s%.*s", SPAN_ARG(list), i ? " " : "",
                                SPAN_ARG(pod->view.mains[i].name));
        }
        (void)err_set(s->arena, &s->err, ERR_BAD_REQUEST,
                      "a container name must be specified for pod %.*s, choose one of: [%.*s]",
                      SPAN_ARG(name), SPAN_ARG(list));
    } else if (!c) {
        (void)err_set(s->arena, &s->err, ERR_BAD_REQUEST,
                      "container %.*s is not valid for pod %.*s", SPAN_ARG(container),
                      SPAN_ARG(name));
    }
    return c;
}

/* ---- logs ---- */

static void log_pump(struct env_task *task);

static void log_more(struct node_session *s)
{
    if (!s->paused && !s->released) {
        env_post(s->env, &s->task, log_pump);
    }
}

static void on_log_write(void *data, const char *name)
{
    (void)name;
    log_more(data);
}

/* After a rotation the path is another file. True: it was opened. */
static bool log_reopened(struct node_session *s)
{
    struct stat here, there;
    if (s->fd >= 0 && (fstat(s->fd, &here) < 0 || stat(s->path.p, &there) < 0 ||
                       (here.st_ino == there.st_ino && here.st_dev == there.st_dev))) {
        return false;
    }
    int fd = open(s->path.p, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    s->fd = fd;
    s->at = 0;
    return true;
}

/* One bite of the file a turn: reads stay short, and a pause takes effect between them. */
static void log_pump(struct env_task *task)
{
    struct node_session *s = CONTAINER_OF(task, struct node_session, task);
    ssize_t n = 0;
    if (s->paused) {
        return;
    }
    if (s->fd >= 0) {
        char *room = strbuf_room(&s->in, READ_BYTES);
        n = pread(s->fd, room, READ_BYTES, s->at);
        if (n > 0) {
            s->at += n;
            strbuf_added(&s->in, (size_t)n);
        }
    }
    if (n > 0) {
        struct strbuf out cleanup_strbuf = STRBUF_INIT;
        size_t used = kubelet_cri_print(&s->filter, strbuf_span(&s->in), &out);
        if (used == 0 && s->in.n > LINE_MAX_BYTES) {
            strbuf_put(&out, strbuf_span(&s->in)); /* no line at all: passed on as it is */
            used = s->in.n;
        }
        strbuf_consume(&s->in, used);
        log_more(s);
        if (out.n > 0) {
            s->handler.on_output(s->data, 1,
                                 strbuf_span(&out)); /* may abort the session: nothing after */
        }
        return;
    }
    if (s->filter.left_bytes == 0) {
        end(s, 0, NULL);
        return;
    }
    if (s->follow && log_reopened(s)) {
        log_more(s);
        return;
    }
    if (!s->follow || s->ended) {
        end(s, 0, NULL);
    }
}

static int log_open(struct node_session *s, const struct node_log_request *r)
{
    s->fd = open(s->path.p, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) {
        return errno == ENOENT ? 0 : -errno; /* not written yet */
    }
    if (r->tail_lines >= 0) {
        int64_t at = kubelet_cri_tail(s->fd, r->tail_lines);
        s->at = at > 0 ? at : 0;
    }
    return 0;
}

struct node_session *kubelet_logs(struct kubelet *k, const struct node_log_request *r,
                                  const struct node_session_handler *handler, void *data)
{
    assert(r->pod.n > 0);
    struct node_session *s = session_new(k, handler, data);
    struct kubelet_container *c = find_container(s, r->ns, r->pod, r->container);
    if (!c) {
        return refuse(s);
    }
    const struct pod_container_view *v = c->v;
    if (r->previous && !v->has_last) {
        (void)err_set(s->arena, &s->err, ERR_BAD_REQUEST,
                      "previous terminated container \"%.*s\" in pod \"%.*s\" not found",
                      SPAN_ARG(v->name), SPAN_ARG(r->pod));
        return refuse(s);
    }
    if (!v->has_attempt || (v->instance == POD_INSTANCE_STARTING && !v->has_last)) {
        (void)err_set(
            s->arena, &s->err, ERR_BAD_REQUEST,
            "container \"%.*s\" in pod \"%.*s\" is waiting to start: %.*s", SPAN_ARG(v->name),
            SPAN_ARG(r->pod),
            SPAN_ARG(v->image_prep.reason.n ? v->image_prep.reason : SPAN("ContainerCreating")));
        return refuse(s);
    }
    s->is_log = true;
    s->filter = (struct cri_filter){
        .since_ms = r->since_ms, .timestamps = r->timestamps, .left_bytes = r->limit_bytes};
    s->follow = r->follow && !r->previous;
    s->ended = !pod_instance_live(v->instance) || v->instance == POD_INSTANCE_STARTING;
    s->c = s->follow ? c : NULL;
    if (k->options.no_files) {
        s->follow = false;
        env_post(s->env, &s->task, log_pump);
        return s;
    }
    /* Between two lives the last one has the word: the next has no log yet. */
    bool between = v->instance == POD_INSTANCE_STARTING;
    s->path = kubelet_log_path(s->arena, c, r->previous || between ? v->attempt - 1 : v->attempt);
    s->dir = arena_dup(s->arena, span_first(s->path, span_rfind(s->path, '/')));
    int code = log_open(s, r);
    if (code == 0 && s->follow && !s->ended) {
        code = env_dir_watch_new(s->env, s->dir.p, on_log_write, s, &s->watch);
    }
    if (code < 0) {
        (void)err_set(s->arena, &s->err, ERR_INTERNAL, "cannot read the log %.*s: %s",
                      SPAN_ARG(s->path), code_text(code));
        return refuse(s);
    }
    env_post(s->env, &s->task, log_pump);
    return s;
}

void kubelet_sessions_exited(struct kubelet *k, const struct kubelet_container *c)
{
    assert(c);
    LIST_EACH(l, &k->sessions)
    {
        struct node_session *s = CONTAINER_OF(l, struct node_session, link);
        if (s->is_log && s->c == c) {
            s->ended = true;
            s->c = NULL;
            log_more(s);
        }
    }
}

/* ---- exec, attach ---- */

static void exec_output(void *data, int fd, struct span bytes)
{
    struct node_session *s = data;
    if (!s->released) {
        s->handler.on_output(s->data, fd, bytes);
    }
}

static void exec_end(void *data, int exit_code, struct span detail)
{
    struct node_session *s = data;
    s->runtime = NULL;
    s->waits = false;
    if (s->released) {
        session_free(s);
        return;
    }
    if (exit_code < 0) {
        (void)err_set(s->arena, &s->err, ERR_INTERNAL, "%.*s",
                      SPAN_ARG(detail.n ? detail : SPAN("the command could not be run")));
        end(s, -1, &s->err);
        return;
    }
    end(s, exit_code, NULL);
}

struct node_session *kubelet_exec(struct kubelet *k, const struct node_exec_request *r,
                                  const struct node_session_handler *handler, void *data)
{
    assert(r->command || r->command_count == 0);
    static const struct runtime_session_handler runtime_handler = {.on_output = exec_output,
                                                                   .on_end = exec_end};
    struct node_session *s = session_new(k, handler, data);
    struct kubelet_container *c = find_container(s, r->ns, r->pod, r->container);
    if (!c) {
        return refuse(s);
    }
    if (c->v->instance != POD_INSTANCE_RUNNING && c->v->instance != POD_INSTANCE_STOPPING) {
        (void)err_set(s->arena, &s->err, ERR_NOT_FOUND,
                      "unable to upgrade connection: container not found (\"%.*s\")",
                      SPAN_ARG(c->v->name));
        return refuse(s);
    }
    struct span *args = ARENA_ARRAY(s->arena, struct span, r->command_count + 1);
    for (size_t i = 0; i < r->command_count; i++) {
        args[i] = arena_dup(s->arena, r->command[i]);
    }
    struct runtime_exec_spec spec = {
        .container_id = kubelet_container_id(s->arena, c, c->v->attempt),
        .args = args,
        .arg_count = r->command_count,
        .tty = r->tty,
        .with_stdin = r->with_stdin,
        .with_stdout = r->with_stdout,
        .with_stderr = r->with_stderr,
    };
    s->runtime = k->runtime->ops->exec(k->runtime, &spec, &runtime_handler, s);
    s->waits = s->runtime == NULL;
    return s;
}

/* ---- connections to a port ---- */

static void dial_output(void *data, struct span bytes)
{
    struct node_session *s = data;
    s->handler.on_output(s->data, 1, bytes);
}

static void dial_end(void *data, int code)
{
    struct node_session *s = data;
    s->dial = NULL;
    if (code == 0) {
        end(s, 0, NULL);
        return;
    }
    const char *why = code == -ECONNREFUSED ? "connect: connection refused"
                      : code == -ETIMEDOUT  ? "i/o timeout"
                                            : code_text(code);
    (void)err_set(s->arena, &s->err, ERR_INTERNAL, "%.*s: %s", SPAN_ARG(s->path), why);
    end(s, -1, &s->err);
}

static void dial_drain(void *data)
{
    struct node_session *s = data;
    if (s->handler.on_drain) {
        s->handler.on_drain(s->data);
    }
}

struct node_session *kubelet_dial(struct kubelet *k, const struct node_dial_request *r,
                                  const struct node_session_handler *handler, void *data)
{
    assert(r->pod.n > 0);
    static const struct kubelet_dial_handler dial_handler = {dial_output, dial_end, dial_drain};
    struct node_session *s = session_new(k, handler, data);
    struct kubelet_pod *pod = find_pod(k, r->ns, r->pod);
    const char *net = NULL;
    if (!pod) {
        (void)err_set(s->arena, &s->err, ERR_NOT_FOUND, "pods \"%.*s\" not found",
                      SPAN_ARG(r->pod));
        return refuse(s);
    }
    s->path = arena_printf(s->arena,
                           "error forwarding port %u to pod %.*s, uid %.*s: dial tcp4 "
                           "127.0.0.1:%u",
                           r->port, SPAN_ARG(r->pod), SPAN_ARG(pod->uid), r->port);
    int code = k->runtime->ops->net_path(k->runtime, s->arena, pod->uid, &net);
    if (code < 0) {
        (void)err_set(s->arena, &s->err, ERR_UNAVAILABLE, "%.*s: %s", SPAN_ARG(s->path),
                      code_text(code));
        return refuse(s);
    }
    s->dial =
        kubelet_dial_new(k->env, pod->view.host_network ? NULL : net, r->port, &dial_handler, s);
    return s;
}

/* ---- the caller's side ---- */

void kubelet_session_write(struct node_session *s, struct span bytes)
{
    assert(!s->runtime || !s->dial);
    if (s->runtime) {
        s->k->runtime->ops->session_write(s->runtime, bytes);
    } else if (s->dial) {
        kubelet_dial_write(s->dial, bytes);
    }
}

size_t kubelet_session_queued(const struct node_session *s)
{
    assert(!s->runtime || !s->dial);
    return s->runtime ? s->k->runtime->ops->session_queued(s->runtime)
           : s->dial  ? kubelet_dial_queued(s->dial)
                      : 0;
}

void kubelet_session_close_stdin(struct node_session *s)
{
    assert(!s->runtime || !s->dial);
    if (s->runtime) {
        s->k->runtime->ops->session_close_stdin(s->runtime);
    } else if (s->dial) {
        kubelet_dial_shutdown(s->dial);
    }
}

void kubelet_session_resize(struct node_session *s, uint16_t width, uint16_t height)
{
    assert(s->k);
    if (s->runtime) {
        s->k->runtime->ops->session_resize(s->runtime, width, height);
    }
}

void kubelet_session_pause(struct node_session *s, bool paused)
{
    assert(s->k);
    s->paused = paused;
    if (s->runtime) {
        s->k->runtime->ops->session_pause(s->runtime, paused);
    } else if (s->dial) {
        kubelet_dial_pause(s->dial, paused);
    } else if (s->is_log && !paused) {
        log_more(s);
    }
}

void kubelet_session_abort(struct node_session *s)
{
    assert(s);
    release(s);
}

void kubelet_sessions_done(struct kubelet *k)
{
    assert(k);
    LIST_EACH(l, &k->sessions)
    {
        struct node_session *s = CONTAINER_OF(l, struct node_session, link);
        assert(s->k == k);
        s->runtime = NULL; /* the runtime is gone already */
        s->waits = false;
        kubelet_dial_free(TAKE_PTR(s->dial));
        (void)err_set(s->arena, &s->err, ERR_UNAVAILABLE, "the node agent stops");
        end(s, -1, &s->err);
    }
}
