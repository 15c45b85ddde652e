/* kubelet/kubelet_api.h: what an API server asks of this node: logs, exec, attach, and
 * connections to a pod's ports. The same shapes
 * as apiserver/node_api.h, which this layer must not see; main/ joins the two. Calls never call
 * back inside themselves. */
#ifndef KUBELET_KUBELET_API_H
#define KUBELET_KUBELET_API_H

#include "base/err.h"
#include "kubelet/kubelet.h"

struct kubelet_session;

struct kubelet_log_request {
    struct span ns, pod,
        container; /* container empty: the only one, or the default-container annotation's */
    bool follow, previous, timestamps;
    int64_t tail_lines;  /* -1: all */
    int64_t limit_bytes; /* -1: none */
    int64_t since_ms;    /* wall clock; 0: all */
};

struct kubelet_exec_request {
    struct span ns, pod, container;
    const struct span *command; /* count 0: attach */
    size_t command_count;
    bool tty, with_stdin, with_stdout, with_stderr;
};

struct kubelet_dial_request {
    struct span ns, pod;
    uint16_t port; /* on the pod's loopback; not 0 */
};

struct kubelet_session_handler {
    /* fd 1 or 2; log bytes come as fd 1. */
    void (*on_output)(void *data, int fd, struct span bytes);
    /* exit_code of the command; err NULL, or why it could not run. The session is released after.
     */
    void (*on_end)(void *data, int exit_code, const struct err *err);
    /* Of a connection to a port: everything written has left. May be NULL; the others never call
     * it. */
    void (*on_drain)(void *data);
};

/* Never NULL: errors arrive at on_end. */
struct kubelet_session *kubelet_logs(struct kubelet *k, const struct kubelet_log_request *request,
                                     const struct kubelet_session_handler *handler, void *data);
struct kubelet_session *kubelet_exec(struct kubelet *k, const struct kubelet_exec_request *request,
                                     const struct kubelet_session_handler *handler, void *data);
/* A connection from inside the pod's network: what the pod writes is fd 1, close_stdin ends our
 * side alone, on_end comes when the pod has ended its side. */
struct kubelet_session *kubelet_dial(struct kubelet *k, const struct kubelet_dial_request *request,
                                     const struct kubelet_session_handler *handler, void *data);
void kubelet_session_write(struct kubelet_session *s, struct span bytes);
size_t kubelet_session_queued(const struct kubelet_session *s);
void kubelet_session_close_stdin(struct kubelet_session *s);
void kubelet_session_resize(struct kubelet_session *s, uint16_t width, uint16_t height);
void kubelet_session_pause(struct kubelet_session *s, bool paused);
/* The client is gone. No callback follows. */
void kubelet_session_abort(struct kubelet_session *s);

#endif
