/* kubelet/kubelet_check_priv.h: probes, hooks, and the checks that both are made of. */
#ifndef KUBELET_KUBELET_CHECK_PRIV_H
#define KUBELET_KUBELET_CHECK_PRIV_H

#include "kubelet/kubelet_priv.h"

/* ---- kubelet_check.c: one probe or hook ---- */

enum kubelet_check_result { KUBELET_CHECK_OK, KUBELET_CHECK_FAILED, KUBELET_CHECK_ERROR };
typedef void kubelet_check_fn(void *data, enum kubelet_check_result result, struct span output);
/* handler: JSON with exec, httpGet or tcpSocket. done comes once, later, unless cancelled before.
 */
struct kubelet_check *kubelet_check_new(struct kubelet_container *c, const yyjson_val *handler,
                                        int64_t timeout_ms, kubelet_check_fn *done, void *data);
/* What a check asks, for people: "redis-cli ping", "http://10.1.0.4:80/", "tcp 10.1.0.4:6379". */
struct span kubelet_check_question(struct arena *a, const struct kubelet_container *c,
                                   const yyjson_val *handler);
void kubelet_check_cancel(struct kubelet_check *check); /* NULL is fine */

/* ---- kubelet_cause.c: why a container is not ready, for the pod's condition ---- */

struct kubelet_probe_cause {
    const char *word;       /* "readiness", "startup", "liveness" */
    const yyjson_val *spec; /* the probe's */
    int64_t failures;       /* in a row */
    bool grown;             /* there may be more of them by the time that somebody reads it */
    struct span output;     /* of the last one */
};
void kubelet_cause_unready(struct kubelet_container *c, const struct kubelet_probe_cause *p);
/* The container is being killed because of it. */
void kubelet_cause_killed(struct kubelet_container *c, const struct kubelet_probe_cause *p);
void kubelet_cause_hook(struct kubelet_container *c, struct span output);
/* The container has ended: its last words, unless it was killed, or left a message. Blocking,
 * small. */
void kubelet_cause_exit(struct kubelet_container *c);
/* The same for answers that differ in digits only. */
uint64_t kubelet_cause_hash(struct span output);

/* ---- kubelet_probe.c ---- */

void kubelet_probes_start(struct kubelet_container *c);
void kubelet_probes_stop(struct kubelet_container *c);

#endif
