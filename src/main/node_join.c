/* The two sides have the same shapes but must not see each other's headers; the handlers are passed
 * through as they are. */
#include "main/node_join.h"

#include "base/check.h"
#include "base/list.h"
#include "kubelet/kubelet_api.h"

static struct kubelet *kubelet_of(struct node_api *n)
{
    return CONTAINER_OF(n, struct node_join, api)->kubelet;
}

static struct kubelet_session *to_kubelet(struct node_session *s)
{
    return (struct kubelet_session *)s;
}

static struct kubelet_session_handler handler_of(const struct node_session_handler *h)
{
    return (struct kubelet_session_handler){
        .on_output = h->on_output, .on_end = h->on_end, .on_drain = h->on_drain};
}

static struct node_session *op_logs(struct node_api *n, const struct node_log_request *r,
                                    const struct node_session_handler *handler, void *data)
{
    const struct kubelet_log_request request = {.ns = r->ns,
                                                .pod = r->pod,
                                                .container = r->container,
                                                .follow = r->follow,
                                                .previous = r->previous,
                                                .timestamps = r->timestamps,
                                                .tail_lines = r->tail_lines,
                                                .limit_bytes = r->limit_bytes,
                                                .since_ms = r->since_ms};
    const struct kubelet_session_handler h = handler_of(handler);
    assert(kubelet_of(n)); /* requests are served once the kubelet is there */
    return (struct node_session *)kubelet_logs(kubelet_of(n), &request, &h, data);
}

static struct node_session *op_exec(struct node_api *n, const struct node_exec_request *r,
                                    const struct node_session_handler *handler, void *data)
{
    const struct kubelet_exec_request request = {.ns = r->ns,
                                                 .pod = r->pod,
                                                 .container = r->container,
                                                 .command = r->command,
                                                 .command_count = r->command_count,
                                                 .tty = r->tty,
                                                 .with_stdin = r->with_stdin,
                                                 .with_stdout = r->with_stdout,
                                                 .with_stderr = r->with_stderr};
    const struct kubelet_session_handler h = handler_of(handler);
    assert(kubelet_of(n));
    return (struct node_session *)kubelet_exec(kubelet_of(n), &request, &h, data);
}

static struct node_session *op_dial(struct node_api *n, const struct node_dial_request *r,
                                    const struct node_session_handler *handler, void *data)
{
    const struct kubelet_dial_request request = {.ns = r->ns, .pod = r->pod, .port = r->port};
    const struct kubelet_session_handler h = handler_of(handler);
    assert(kubelet_of(n));
    return (struct node_session *)kubelet_dial(kubelet_of(n), &request, &h, data);
}

static void op_write(struct node_session *s, struct span bytes)
{
    kubelet_session_write(to_kubelet(s), bytes);
}

static size_t op_queued(const struct node_session *s)
{
    return kubelet_session_queued((const struct kubelet_session *)s);
}

static void op_close_stdin(struct node_session *s)
{
    kubelet_session_close_stdin(to_kubelet(s));
}

static void op_resize(struct node_session *s, uint16_t width, uint16_t height)
{
    kubelet_session_resize(to_kubelet(s), width, height);
}

static void op_pause(struct node_session *s, bool paused)
{
    kubelet_session_pause(to_kubelet(s), paused);
}

static void op_abort(struct node_session *s)
{
    kubelet_session_abort(to_kubelet(s));
}

void node_join_init(struct node_join *j)
{
    static const struct node_api_ops ops = {
        .logs = op_logs,
        .exec = op_exec,
        .dial = op_dial,
        .write = op_write,
        .queued = op_queued,
        .close_stdin = op_close_stdin,
        .resize = op_resize,
        .pause = op_pause,
        .abort = op_abort,
    };
    *j = (struct node_join){.api = {&ops}};
}
