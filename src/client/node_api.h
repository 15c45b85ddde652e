/* client/node_api.h: what is asked of the node that a pod is on: logs, exec, attach, and
 * connections to a pod's ports. The API server asks, the agent answers; in one process main/ joins
 * them, with agents on other machines it will be a connection. Calls never call back inside
 * themselves. */
#ifndef CLIENT_NODE_API_H
#define CLIENT_NODE_API_H

#include "base/err.h"
#include "base/span.h"

struct node_api;
struct node_session;

struct node_log_request {
    struct span ns, pod, container;
    bool follow, previous, timestamps;
    int64_t tail_lines;  /* -1: all */
    int64_t limit_bytes; /* -1: none */
    int64_t since_ms;    /* wall clock; 0: all */
};

struct node_exec_request {
    struct span ns, pod, container;
    const struct span *command; /* count 0: attach */
    size_t command_count;
    bool tty, with_stdin, with_stdout, with_stderr;
};

struct node_dial_request {
    struct span ns, pod;
    uint16_t port; /* on the pod's loopback; not 0 */
};

struct node_session_handler {
    /* fd 1 or 2; log bytes come as fd 1. */
    void (*on_output)(void *data, int fd, struct span bytes);
    /* exit_code of the command; err NULL, or why it could not run (reason and message for a
     * Status). Session released after. */
    void (*on_end)(void *data, int exit_code, const struct err *err);
    /* Everything written to stdin has left: input that was held back goes on at once. A node that
     * never calls it is asked by queued(), which is slower. NULL for logs. */
    void (*on_drain)(void *data);
};

/* What the node and its containers use: averages over a window that has just ended. */
struct node_usage_container {
    struct span name;
    uint64_t cpu_nano;    /* billionths of a processor */
    int64_t memory_bytes; /* the working set */
};
struct node_usage_pod {
    struct span uid; /* empty: the node itself, as one container */
    int64_t window_ns;
    const struct node_usage_container *containers; /* at least one */
    size_t n;
};
struct node_usage {
    struct span node; /* its name */
    int64_t at_ms;    /* when the window ended */
    const struct node_usage_pod *pods;
    size_t n;
};
/* Valid for the call; NULL: the node's agent has ended. */
typedef void node_usage_fn(void *data, const struct node_usage *usage);

struct node_api_ops {
    struct node_session *(*logs)(struct node_api *n, const struct node_log_request *request,
                                 const struct node_session_handler *handler, void *data);
    struct node_session *(*exec)(struct node_api *n, const struct node_exec_request *request,
                                 const struct node_session_handler *handler, void *data);
    void (*write)(struct node_session *s, struct span bytes);
    size_t (*queued)(const struct node_session *s);
    void (*close_stdin)(struct node_session *s);
    void (*resize)(struct node_session *s, uint16_t width, uint16_t height);
    void (*pause)(struct node_session *s, bool paused);
    /* The client is gone. No callback follows. */
    void (*abort)(struct node_session *s);
    /* A connection: what the pod writes is fd 1, close_stdin ends our side alone, on_end comes when
     * the pod has ended its side (exit code 0) or with err, also when nobody listens. */
    struct node_session *(*dial)(struct node_api *n, const struct node_dial_request *request,
                                 const struct node_session_handler *handler, void *data);
    /* done once, in a later turn, about a second from now. False: there is no agent to ask, and
     * nothing will come. */
    bool (*usage)(struct node_api *n, node_usage_fn *done, void *data);
};

struct node_api {
    const struct node_api_ops *ops;
};

#endif
