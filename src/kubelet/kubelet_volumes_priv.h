/* kubelet/kubelet_volumes_priv.h: what a pod refers to, and the volumes that are made of it. */
#ifndef KUBELET_KUBELET_VOLUMES_PRIV_H
#define KUBELET_KUBELET_VOLUMES_PRIV_H

#include "kubelet/kubelet_priv.h"

/* ---- kubelet_refs.c ---- */

/* The object that a pod refers to, watched from now on: NULL when absent, or not looked up yet
 * (then refs_pending). */
struct object *kubelet_ref(struct kubelet_pod *pod, const char *kind, struct span ns,
                           struct span name);
void kubelet_refs_drop(struct kubelet_pod *pod);

/* ---- kubelet_token.c ---- */

/* A token of the pod's account for this audience (empty: the API server), renewed from now on.
 * Empty: not yet (then refs_pending), or not at all; *ret_why says why. */
struct span kubelet_token(struct kubelet_pod *pod, struct span audience, int64_t seconds,
                          struct span *ret_why);
void kubelet_tokens_drop(struct kubelet_pod *pod);
int64_t kubelet_pod_user(const struct kubelet_pod *pod);

/* ---- kubelet_volumes.c ---- */

/* Empty *ret_message: everything that the volumes refer to is there. */
void kubelet_volumes_missing(struct kubelet_pod *pod, struct arena *a, struct span *ret_reason,
                             struct span *ret_message);
/* done in a later turn. undo: unmount and remove the pod's directory. */
void kubelet_volumes_prepare(struct kubelet_pod *pod,
                             void (*done)(struct kubelet_op *op, int code, struct span detail));
void kubelet_volumes_teardown(struct kubelet_pod *pod,
                              void (*done)(struct kubelet_op *op, int code, struct span detail));
/* Writes config maps and secrets again after a change. */
void kubelet_volumes_refresh(struct kubelet_pod *pod);
/* Mounts of one container. Returns 0 or -1 with a sentence. */
int kubelet_volumes_mounts(struct kubelet_pod *pod, const yyjson_val *container, struct arena *a,
                           struct runtime_mount **ret, size_t *ret_count, struct span *ret_detail);
/* DATA/pods/UID */
struct span kubelet_pod_dir(struct arena *a, const struct kubelet_pod *pod);

#endif
