/* kubelet/kubelet_start_priv.h: building the runtime's view of one container and its start
 * (kubelet_start.c). */
#ifndef KUBELET_KUBELET_START_PRIV_H
#define KUBELET_KUBELET_START_PRIV_H

#include "kubelet/kubelet_priv.h"

void kubelet_step_start(struct kubelet_container *c, uint32_t attempt);

#endif
