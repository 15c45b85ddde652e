/* Sessions of exec and attach: the part that both protocols share. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "codec/json.h"
#include "codec/status.h"
#include "remote/remote_priv.h"

/* ---- life of a session ---- */

void remote_free(struct remote *r)
{
    assert(r->depth == 0);
    assert(!r->stream);
    assert(!r->session);
    assert(r->hub->open > 0);
    env_timer_stop(r->hub->env, &r->timer);
    list_remove(&r->link);
    r->hub->open--;
    if (r->proto) {
        r->proto->free(r);
    }
    strbuf_done(&r->out);
    strbuf_done(&r->early);
    arena_free(r->arena);
    free(r);
}

static void enter(struct remote *r)
{
    r->depth++;
}

static void leave(struct remote *r)
{
    assert(r->depth > 0);
    if (--r->depth == 0 && r->state == REMOTE_DEAD) {
        remote_free(r);
    }
}

static void flush(struct remote *r)
{
    if (r->out.n && r->stream) {
        env_stream_write(r->stream, strbuf_span(&r->out));
    }
    strbuf_clear(&r->out);
    if (r->out.cap > LIMIT_REMOTE_QUEUE_BYTES * 4) {
        strbuf_done(&r->out);
    }
}

static void close_client(struct remote *r)
{
    flush(r);
    if (r->stream) {
        env_stream_close_flush(TAKE_PTR(r->stream));
    }
}

static void end_now(struct remote *r)
{
    if (r->state == REMOTE_DEAD) {
        return;
    }
    enter(r);
    close_client(r);
    r->state = REMOTE_DEAD;
    if (r->session) {
        struct node_session *s = TAKE_PTR(r->session);
        r->hub->node->ops->abort(s);
    }
    leave(r);
}

static void on_timer(struct env_timer *timer)
{
    end_now(CONTAINER_OF(timer, struct remote, timer));
}

/* A command that reads, and not from a terminal, gets what its client sent before it went, and the
 * end of it: clients write a file into a pod and hang up. */
static void let_finish(struct remote *r)
{
    const struct node_api_ops *ops = r->hub->node->ops;
    assert(r->session);
    assert(r->request.with_stdin);
    enter(r);
    r->state = REMOTE_LEFT;
    close_client(r);
    env_timer_start(r->hub->env, &r->timer, LIMIT_REMOTE_LEFT_MS, on_timer);
    if (!r->stdin_ended) {
        r->stdin_ended = true;
        ops->close_stdin(r->session);
    }
    if (r->node_paused && r->session) {
        r->node_paused = false;
        ops->pause(r->session, false);
    }
    leave(r);
}

void remote_drop(struct remote *r)
{
    assert(r->hub);
    assert(r->state <= REMOTE_DEAD);
    bool reads = r->request.command_count && r->request.with_stdin && !r->request.tty;
    if (r->state == REMOTE_RUNNING && r->session && reads) {
        let_finish(r);
    } else if (r->state != REMOTE_LEFT) {
        end_now(r);
    }
}

/* ---- from the node ---- */

static size_t queued(const struct remote *r)
{
    return env_stream_queued(r->stream) + (r->proto->held ? r->proto->held(r) : 0);
}

static void on_output(void *data, int fd, struct span bytes)
{
    struct remote *r = data;
    if (r->state == REMOTE_LEFT) {
        return;
    }
    assert(r->state == REMOTE_RUNNING);
    bool wanted = fd == 2 ? r->request.with_stderr && !r->request.tty : r->request.with_stdout;
    if (!wanted || bytes.n == 0) {
        return;
    }
    r->proto->output(r, fd == 2 ? REMOTE_STDERR : REMOTE_STDOUT, bytes);
    flush(r);
    if (!r->node_paused && queued(r) > LIMIT_REMOTE_QUEUE_BYTES) {
        r->node_paused = true;
        r->hub->node->ops->pause(r->session, true);
    }
}

static void on_wait(struct env_timer *timer);

/* Reading stops while the command does not take its input. */
static void pause_client(struct remote *r, bool paused)
{
    struct env *env = r->hub->env;
    if (r->client_paused == paused || !r->stream) {
        return;
    }
    r->client_paused = paused;
    env_stream_read(r->stream, !paused);
    if (paused) {
        r->ask_ms = REMOTE_ASK_MIN_MS;
        r->alive_ns = env_mono_ns(env) + REMOTE_KEEP_ALIVE_MS * INT64_C(1000000);
        env_timer_start(env, &r->timer, r->ask_ms, on_wait);
    } else {
        env_timer_stop(env, &r->timer);
    }
}

static void on_wait(struct env_timer *timer)
{
    struct remote *r = CONTAINER_OF(timer, struct remote, timer);
    struct env *env = r->hub->env;
    assert(r->state == REMOTE_RUNNING);
    assert(r->client_paused);
    assert(r->session);
    if (r->hub->node->ops->queued(r->session) == 0) {
        pause_client(r, false);
        return;
    }
    if (env_mono_ns(env) >= r->alive_ns) {
        r->alive_ns += REMOTE_KEEP_ALIVE_MS * INT64_C(1000000);
        r->proto->keep_alive(r);
        flush(r);
    }
    r->ask_ms = r->ask_ms * 2 < REMOTE_ASK_MAX_MS ? r->ask_ms * 2 : REMOTE_ASK_MAX_MS;
    env_timer_start(env, &r->timer, r->ask_ms, on_wait);
}

static void finish(struct remote *r, int exit_code, const struct err *err)
{
    struct remote_result result = {0};
    if (err) {
        result.status = status_json(r->arena, err);
        result.text = err->message;
    } else {
        result.status = status_exit_json(r->arena, exit_code);
        if (exit_code != 0) {
            result.text = arena_printf(
                r->arena, "command terminated with non-zero exit code: exit status %d", exit_code);
        }
    }
    pause_client(r, false); /* to see the client hang up */
    r->state = REMOTE_LINGER;
    r->proto->finish(r, &result);
    flush(r);
    env_timer_start(r->hub->env, &r->timer, LIMIT_REMOTE_LINGER_MS, on_timer);
}

static void on_session_end(void *data, int exit_code, const struct err *err)
{
    struct remote *r = data;
    r->session = NULL;
    if (r->state == REMOTE_LEFT) {
        end_now(r);
        return;
    }
    assert(r->state == REMOTE_RUNNING);
    finish(r, exit_code, err);
}

static void on_session_drain(void *data)
{
    pause_client(data, false);
}

static const struct node_session_handler session_handler = {on_output, on_session_end,
                                                            on_session_drain};

static void pass_size(struct remote *r)
{
    if (r->session && r->request.tty && r->width) {
        r->hub->node->ops->resize(r->session, r->width, r->height);
    }
}

void remote_start(struct remote *r)
{
    assert(r->state == REMOTE_SETUP);
    assert(!r->session);
    struct node_api *n = r->hub->node;
    env_timer_stop(r->hub->env, &r->timer);
    r->state = REMOTE_RUNNING;
    r->session = n->ops->exec(n, &r->request, &session_handler, r);
    assert(r->session);
    pass_size(r);
    if (r->early.n) {
        n->ops->write(r->session, strbuf_span(&r->early));
        strbuf_done(&r->early);
    }
    if (r->stdin_ended) {
        n->ops->close_stdin(r->session);
    }
}

/* ---- from the client ---- */

void remote_stdin(struct remote *r, struct span bytes)
{
    assert(bytes.p || bytes.n == 0);
    if (!r->request.with_stdin || r->stdin_ended || bytes.n == 0) {
        return;
    }
    if (r->state == REMOTE_SETUP) {
        strbuf_put(&r->early, bytes);
        if (r->early.n > LIMIT_REMOTE_QUEUE_BYTES) {
            remote_drop(r);
        }
        return;
    }
    if (!r->session) {
        return; /* the command is over: nobody reads this any more */
    }
    const struct node_api_ops *ops = r->hub->node->ops;
    ops->write(r->session, bytes);
    if (ops->queued(r->session) > LIMIT_REMOTE_QUEUE_BYTES) {
        pause_client(r, true);
    }
}

void remote_stdin_end(struct remote *r)
{
    assert(r->hub);
    if (!r->request.with_stdin || r->stdin_ended) {
        return;
    }
    r->stdin_ended = true;
    if (r->session) {
        r->hub->node->ops->close_stdin(r->session);
    }
}

static void resize_line(struct remote *r)
{
    yyjson_doc *doc = json_parse_heap(span_of(r->resize, r->resize_n));
    const yyjson_val *root = yyjson_doc_get_root(doc);
    int64_t width = json_get_int(root, "Width", 0), height = json_get_int(root, "Height", 0);
    r->resize_n = 0;
    yyjson_doc_free(doc);
    if (width > 0 && width <= UINT16_MAX && height > 0 && height <= UINT16_MAX) {
        r->width = (uint16_t)width;
        r->height = (uint16_t)height;
        pass_size(r);
    }
}

void remote_resize(struct remote *r, struct span bytes)
{
    assert(r->resize_n <= sizeof r->resize);
    for (size_t i = 0; i < bytes.n && r->state != REMOTE_DEAD; i++) {
        if (r->resize_n == sizeof r->resize) {
            remote_drop(r); /* no size is that long */
            return;
        }
        r->resize[r->resize_n++] = bytes.p[i];
        if (bytes.p[i] == '}') {
            resize_line(r);
        } else if (bytes.p[i] == '\n') {
            r->resize_n = 0;
        }
    }
}

static void on_read(void *data, struct span bytes)
{
    struct remote *r = data;
    enter(r);
    r->proto->input(r, bytes);
    if (r->stream) {
        flush(r);
        if (env_stream_queued(r->stream) > REMOTE_STUCK_BYTES) {
            remote_drop(r);
        }
    }
    leave(r);
}

static void on_end(void *data, int code)
{
    (void)code;
    remote_drop(data);
}

void remote_room(struct remote *r)
{
    assert(!r->session || r->hub->node);
    if (r->node_paused && r->session && queued(r) <= LIMIT_REMOTE_QUEUE_BYTES) {
        r->node_paused = false;
        r->hub->node->ops->pause(r->session, false);
    }
}

static void on_drain(void *data)
{
    remote_room(data);
}

static const struct env_stream_handler stream_handler = {on_read, on_end, on_drain};

/* ---- begin ---- */

static void copy_request(struct remote *r, const struct node_exec_request *in)
{
    r->request = *in;
    r->request.ns = arena_dup(r->arena, in->ns);
    r->request.pod = arena_dup(r->arena, in->pod);
    r->request.container = arena_dup(r->arena, in->container);
    struct span *command = ARENA_ARRAY(r->arena, struct span, in->command_count + 1);
    for (size_t i = 0; i < in->command_count; i++) {
        command[i] = arena_dup(r->arena, in->command[i]);
    }
    r->request.command = command;
}

struct remote *remote_new(struct remote_hub *h, const struct node_exec_request *request)
{
    assert(h->node);
    struct remote *r = MEM_NEW(struct remote);
    r->hub = h;
    h->open++;
    list_push_back(&h->sessions, &r->link);
    r->arena = arena_new();
    copy_request(r, request);
    return r;
}

void remote_attach(struct remote *r, struct env_stream *stream)
{
    assert(r->proto);
    assert(!r->stream);
    assert(r->state == REMOTE_SETUP);
    r->stream = stream;
    env_stream_set(stream, &stream_handler, r);
    env_stream_read(stream, true);
    env_timer_start(r->hub->env, &r->timer, LIMIT_REMOTE_SETUP_MS, on_timer);
}

void remote_sessions_end_all(struct remote_hub *h)
{
    assert(h);
    LIST_EACH(link, &h->sessions)
    {
        end_now(CONTAINER_OF(link, struct remote, link));
    }
}
