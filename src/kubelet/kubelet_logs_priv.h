/* kubelet/kubelet_logs_priv.h: logs on disk with their rotation, and the sessions (logs, exec,
 * attach, port-forward) that read them. */
#ifndef KUBELET_KUBELET_LOGS_PRIV_H
#define KUBELET_KUBELET_LOGS_PRIV_H

#include "kubelet/kubelet_priv.h"

/* ---- kubelet_logs.c ---- */

/* DATA/logs/NS_NAME_UID/CONTAINER/ATTEMPT.log */
struct span kubelet_log_path(struct arena *a, const struct kubelet_container *c, uint32_t attempt);
/* The text of a log's last lines, at most max bytes of their end. Blocking, small. */
struct span kubelet_log_end(struct arena *a, struct span path, int64_t lines, size_t max);
/* Removes the pod's logs, later, on a work thread. */
void kubelet_logs_remove(struct kubelet_pod *pod);
struct kubelet_rotation *kubelet_rotation_new(struct kubelet_container *c);
void kubelet_rotation_free(struct kubelet_rotation *r);

/* ---- kubelet_session.c ---- */

void kubelet_sessions_done(struct kubelet *k);
/* The container's instance ended or its pod goes: followers of its log read to the end. */
void kubelet_sessions_exited(struct kubelet *k, const struct kubelet_container *c);

#endif
