/* main/node_join.c: see node_join.h. */
#include "main/node_join.h"

#include "base/check.h"
#include "base/list.h"
#include "kubelet/kubelet_api.h"

static struct kubelet *kubelet_of(struct node_api *n)
{
    return CONTAINER_OF(n, struct node_join, api)->kubelet;
}

static struct node_session *op_logs(struct node_api *n, const struct node_log_request *r,
                                    const struct node_session_handler *handler, void *data)
{
    assert(kubelet_of(n)); /* requests are served once the kubelet is there */
    return kubelet_logs(kubelet_of(n), r, handler, data);
}

static struct node_session *op_exec(struct node_api *n, const struct node_exec_request *r,
                                    const struct node_session_handler *handler, void *data)
{
    assert(kubelet_of(n));
    return kubelet_exec(kubelet_of(n), r, handler, data);
}

static struct node_session *op_dial(struct node_api *n, const struct node_dial_request *r,
                                    const struct node_session_handler *handler, void *data)
{
    assert(kubelet_of(n));
    return kubelet_dial(kubelet_of(n), r, handler, data);
}

static bool op_usage(struct node_api *n, node_usage_fn *done, void *data)
{
    struct kubelet *k = kubelet_of(n);
    if (k) {
        kubelet_usage(k, done, data);
    }
    return k != NULL;
}

void node_join_init(struct node_join *j)
{
    static const struct node_api_ops ops = {
        .logs = op_logs,
        .exec = op_exec,
        .dial = op_dial,
        .usage = op_usage,
        .write = kubelet_session_write,
        .queued = kubelet_session_queued,
        .close_stdin = kubelet_session_close_stdin,
        .resize = kubelet_session_resize,
        .pause = kubelet_session_pause,
        .abort = kubelet_session_abort,
    };
    *j = (struct node_join){.api = {&ops}};
}
