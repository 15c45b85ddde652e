/* kubelet/kubelet_dial.h: a connection to a port on a pod's loopback. The socket is made inside the
 * pod's network namespace by a worker thread; from then on it is a stream of the loop. */
#ifndef KUBELET_KUBELET_DIAL_H
#define KUBELET_KUBELET_DIAL_H

#include "env/env.h"

struct kubelet_dial;
struct kubelet_dial_handler {
    void (*on_output)(void *data, struct span bytes);
    /* 0: the pod has ended its side, or the open connection broke; a negative errno: there was
     * none. Released after. */
    void (*on_end)(void *data, int code);
    /* Everything written has left. */
    void (*on_drain)(void *data);
};

/* netns: file at which the namespace is pinned, copied; NULL: this process's own. handler is
 * static. Never calls back inside itself. */
struct kubelet_dial *kubelet_dial_new(struct env *env, const char *netns, uint16_t port,
                                      const struct kubelet_dial_handler *handler, void *data);
/* Hangs up; no callback follows. NULL is fine. */
void kubelet_dial_free(struct kubelet_dial *d);
void kubelet_dial_write(struct kubelet_dial *d, struct span bytes);
/* Bytes that the pod has not taken. */
size_t kubelet_dial_queued(const struct kubelet_dial *d);
/* Ends our side when everything written has left. */
void kubelet_dial_shutdown(struct kubelet_dial *d);
void kubelet_dial_pause(struct kubelet_dial *d, bool paused);

#endif
