/* plan/schedule_request.h: what a pod asks of its node, and what it holds there. Pure.
 *
 * Every pod is looked at for cpu and memory; the other resources (ephemeral-storage, hugepages-*,
 * those with a domain such as nvidia.com/gpu) cost only those who ask for them. */
#ifndef PLAN_SCHEDULE_REQUEST_H
#define PLAN_SCHEDULE_REQUEST_H

#include <yyjson.h>

#include "base/arena.h"

struct schedule_amount {
    struct span name; /* of the resource */
    int64_t units;
};

struct schedule_needs {
    int64_t cpu_milli, memory_bytes;
    bool more; /* it names other resources as well */
};

/* A pod's requests: containers together, or the largest init container if that is more. */
struct schedule_needs schedule_needs(const yyjson_val *pod_spec);
/* What a pod on a node takes of it: its requests or, while a resize waits, what it has. */
struct schedule_needs schedule_holds(const yyjson_val *pod);
/* Its requests of all other resources, each once, in the order of the spec. Returns how many;
 * *ret lives as long as the arena and the spec. */
size_t schedule_more(struct arena *a, const yyjson_val *pod_spec,
                     const struct schedule_amount **ret);
/* An amount as the API has it, in thousandths or in units; 0: none. Within LIMIT_SCHEDULE_AMOUNT.
 */
int64_t schedule_quantity(const yyjson_val *amount, bool millis);

#endif
