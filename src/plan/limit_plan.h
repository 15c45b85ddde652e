/* plan/limit_plan.h: what the LimitRanges of a namespace make of a new pod or a claim: resources
 * for containers that name none, and a refusal of what is out of bounds. Pure.
 *
 * The texts are Kubernetes' own. Of several LimitRanges each adds what is still missing, in the
 * order of their names, and the first that refuses is the one that is told. */
#ifndef PLAN_LIMIT_PLAN_H
#define PLAN_LIMIT_PLAN_H

#include <yyjson.h>

#include "base/arena.h"

/* Gives the containers of the pod what the range's defaults say, and the pod the annotation that
 * tells so. */
void limit_defaults(struct arena *a, yyjson_mut_doc *doc, yyjson_mut_val *pod,
                    const yyjson_val *range);
/* Why the range refuses a pod or a claim; empty: it does not. */
struct span limit_refuses_pod(struct arena *a, const yyjson_val *range, const yyjson_val *pod);
struct span limit_refuses_claim(struct arena *a, const yyjson_val *range, const yyjson_val *claim);

#endif
