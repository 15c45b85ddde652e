/* plan/pod_rank.h: what a controller of like pods has to know of a pod: is it ready, available, and
 * which of two is the lesser loss. Pure. */
#ifndef PLAN_POD_RANK_H
#define PLAN_POD_RANK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum pod_rank_phase { POD_RANK_PENDING, POD_RANK_UNKNOWN, POD_RANK_RUNNING, POD_RANK_ENDED };

struct pod_rank {
    struct span name;      /* decides between equals */
    uint8_t phase;         /* enum pod_rank_phase; ENDED: Succeeded or Failed */
    bool assigned;         /* to a node */
    bool ready;            /* condition Ready is True */
    bool terminating;      /* deletionTimestamp set */
    int32_t deletion_cost; /* annotation controller.kubernetes.io/pod-deletion-cost */
    int32_t neighbours;    /* pods of the same controller or its siblings on the same node */
    int32_t restarts;      /* most of any container */
    int64_t ready_since_ms, created_ms; /* 0: unknown */
};

/* Neither ended nor about to end. */
bool pod_rank_active(const struct pod_rank *p);
/* Ready for min_ready_s. When it is ready and will become available only by the passing of time,
 * *at_ms (if not NULL) is lowered to that moment; 0 there means never. */
bool pod_rank_available(const struct pod_rank *p, int32_t min_ready_s, int64_t now_ms,
                        int64_t *at_ms);
/* <0: a goes first. Kubernetes' order: unassigned, Pending, not ready, cheaper, more neighbours,
 * ready for less time, more restarts, younger. */
int pod_rank_cmp(const struct pod_rank *a, const struct pod_rank *b);

/* "N%" of total, or a number. */
struct plan_amount {
    int64_t value;
    bool percent;
};
/* Never negative, at most INT32_MAX. */
int32_t plan_amount_of(struct plan_amount amount, int32_t total, bool round_up);

/* Slow start: how many to create at once after `last` succeeded together (0: at the beginning). */
int32_t plan_next_batch(int32_t last, int32_t left);

#endif
