/* plan/endpoint_plan.h: from a Service's pods to the slices that describe them. Pure.
 *
 * Pods are grouped by the ports that their named target ports come to, and cut into slices of at
 * most 100. */
#ifndef PLAN_ENDPOINT_PLAN_H
#define PLAN_ENDPOINT_PLAN_H

#include "base/arena.h"

enum { ENDPOINT_SLICE_MAX = 100, ENDPOINT_ADDRESSES_MAX = 1000 };

struct endpoint_pod {
    struct span ip;
    bool ready, terminating, ended; /* ended: phase Failed or Succeeded */
    const int32_t *ports; /* one for each Service port; 0: the pod has no port of that name */
};

struct endpoint_view {
    bool publish_not_ready;
    size_t port_count;
    const struct endpoint_pod *pods; /* in a stable order */
    size_t pod_count;
};

struct endpoint_slice {
    const int32_t *ports;
    const size_t *pods; /* indexes in view.pods */
    size_t pod_count;
};

struct endpoint_plan {
    struct endpoint_slice *slices; /* of one port set after another */
    size_t slice_count;
};

struct endpoint_conditions {
    bool ready, serving, terminating;
};

/* No pod with an address gives one empty slice. */
struct endpoint_plan endpoint_plan(struct arena *a, const struct endpoint_view *view);
struct endpoint_conditions endpoint_conditions(const struct endpoint_view *view, size_t pod);
/* Where a pod stands in core Endpoints. */
enum endpoint_place { ENDPOINT_LEFT_OUT, ENDPOINT_READY, ENDPOINT_NOT_READY };
enum endpoint_place endpoint_place(const struct endpoint_view *view, size_t pod);

#endif
