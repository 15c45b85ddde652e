/* controller/pod_end.h: how controllers end pods because of their nodes. */
#ifndef CONTROLLER_POD_END_H
#define CONTROLLER_POD_END_H

#include "client/informer.h"
#include "controller/reconciler.h"

struct pod_end {
    const char *reason, *message; /* of the condition DisruptionTarget; NULL: none is written */
    bool failed;                  /* nobody else will say how it ended: its phase becomes Failed */
    int64_t grace_s;              /* -1: the pod's own */
};

/* Deletes the pod, once the condition stands in its status: whoever made the pod reads there why it
 * went. The condition goes to the very version that was looked at; when that is not the latest any
 * more, the sync fails and its key runs again. */
void pod_end(struct sync *s, struct informer *pods, struct object *pod, const struct pod_end *how);

/* Ends a pod whose agent will not: whatever ran there has ended. One that a finalizer keeps says
 * that it has failed, and with which message: a job may wait for that. Nothing is written when it
 * only waits for its finalizers. */
void pod_end_by_force(struct sync *s, struct informer *pods, struct object *pod,
                      const char *message);

/* A deleted pod that no node was found for says that it has failed: nobody else will say how it
 * ended, and who keeps it by a finalizer may wait for that. One that has ended stays as it is. */
void pod_end_unplaced(struct sync *s, struct informer *pods, struct object *pod);

/* Pods by the node that they are bound to, for informer_add_index(). */
void pod_end_by_node(struct object *pod, void (*emit)(void *ctx, struct span key), void *ctx);
struct span pod_end_node(struct object *pod); /* empty: none yet */

#endif
