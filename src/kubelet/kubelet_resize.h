/* kubelet/kubelet_resize.h: other limits for running containers. For the files of the node agent.
 */
#ifndef KUBELET_KUBELET_RESIZE_H
#define KUBELET_KUBELET_RESIZE_H

#include "kubelet/kubelet_priv.h"

/* What an instance that starts now gets: the spec's resources unless the node has not got them. */
const yyjson_val *kubelet_resize_start(struct kubelet_container *c, struct arena *a);
/* An instance runs: tells the end of a resize that it was restarted for. */
void kubelet_resize_started(struct kubelet_container *c);
/* An instance was found: it has what the status says, else what the spec says. One that has ended
 * while its pod was said to be resized did so to be started again. */
void kubelet_resize_adopt(struct kubelet_container *c);
/* Completes the view: whether the spec asks for something else than the instances have. */
void kubelet_resize_gather(struct kubelet_pod *pod, struct arena *a, struct pod_view *v);
/* Starts what can be done, tells what cannot. */
void kubelet_resize_run(struct kubelet_pod *pod, const struct pod_view *v);
/* The numbers of a resources object; a request that is not given is the limit. */
void kubelet_limits(const yyjson_val *resources, struct runtime_limits *ret,
                    int64_t *ret_memory_request);

#endif
