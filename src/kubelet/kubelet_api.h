/* kubelet/kubelet_api.h: logs, exec, attach, and connections to the ports of this node's pods, as
 * client/node_api.h says; main/ joins the two. */
#ifndef KUBELET_KUBELET_API_H
#define KUBELET_KUBELET_API_H

#include "client/node_api.h"
#include "kubelet/kubelet.h"

/* The operations of a node. Never NULL: errors arrive at on_end. An empty container: the only one,
 * or the default-container annotation's. on_drain is called for connections alone. */
struct node_session *kubelet_logs(struct kubelet *k, const struct node_log_request *request,
                                  const struct node_session_handler *handler, void *data);
struct node_session *kubelet_exec(struct kubelet *k, const struct node_exec_request *request,
                                  const struct node_session_handler *handler, void *data);
struct node_session *kubelet_dial(struct kubelet *k, const struct node_dial_request *request,
                                  const struct node_session_handler *handler, void *data);
void kubelet_usage(struct kubelet *k, node_usage_fn *done, void *data);
void kubelet_session_write(struct node_session *s, struct span bytes);
size_t kubelet_session_queued(const struct node_session *s);
void kubelet_session_close_stdin(struct node_session *s);
void kubelet_session_resize(struct node_session *s, uint16_t width, uint16_t height);
void kubelet_session_pause(struct node_session *s, bool paused);
void kubelet_session_abort(struct node_session *s);

#endif
