/* plan/taint_plan.h: whether a pod may stay on a node whose taints end pods, and how long. Pure.
 *
 * Of several tolerations the first that matches a taint counts, and of several taints the one that
 * is borne for the shortest. The time runs since the taint is there or, if that is later, since
 * the pod is on the node: a pod that comes late has all of its time. */
#ifndef PLAN_TAINT_PLAN_H
#define PLAN_TAINT_PLAN_H

#include <yyjson.h>

#include "base/span.h"

struct taint {
    struct span key, value;
    int64_t since_ms;
};

struct taint_view {
    const struct taint *taints; /* of effect NoExecute */
    size_t taint_count;
    const yyjson_val *tolerations; /* the pod's; NULL: none */
    int64_t placed_ms;             /* since when it is on the node */
    int64_t now_ms;
};

enum taint_verdict { TAINT_STAY, TAINT_WAIT, TAINT_EVICT };

struct taint_plan {
    enum taint_verdict verdict;
    int64_t at_ms; /* TAINT_WAIT: when it has to go, later than now */
};

struct taint_plan taint_plan(const struct taint_view *view);

#endif
