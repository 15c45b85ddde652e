/* plan/schedule_plan.h: which node a pod goes to, or the sentence that says why none does. Pure.
 *
 * The shell has reduced each node to facts about this pod; the planner filters in a fixed order, so
 * that each node counts under one reason (or under everything that it has too little of), and picks
 * the node of the best score. A score is what Kubernetes' plugins make of it with their weights:
 * taints that it shuns 3, node affinity, spread and pod affinity 2 each, free room 1. */
#ifndef PLAN_SCHEDULE_PLAN_H
#define PLAN_SCHEDULE_PLAN_H

#include <yyjson.h>

#include "base/arena.h"
#include "plan/near_plan.h"
#include "plan/schedule_request.h"
#include "plan/tally.h"

struct schedule_node {
    struct span name;
    const yyjson_val *labels; /* read when there is a view.near */
    bool unschedulable;       /* spec.unschedulable, not tolerated */
    struct span
        taint; /* "key: value" of the first taint that the pod does not tolerate; empty: none */
    bool selector_fits;     /* nodeSelector and required node affinity */
    bool ports_taken;       /* another pod has one of its host ports */
    bool volumes_reachable; /* node affinity of the pod's bound volumes */
    int64_t shunned;    /* its taints of effect PreferNoSchedule that the pod does not tolerate */
    int64_t preference; /* weights of preferred node affinity */
    int64_t cpu_milli, memory_bytes, pods;                /* allocatable */
    int64_t used_cpu_milli, used_memory_bytes, used_pods; /* by the pods there */
    int64_t *more_free; /* by index of view.more: what the pods there leave of it */
    bool too_small;     /* the pod asks for more than it has when nobody is there */
};

struct schedule_view {
    int64_t cpu_milli, memory_bytes;    /* the pod's requests */
    const struct schedule_amount *more; /* those of other resources */
    size_t more_count;
    struct span obstacle; /* what keeps the pod from every node ("pod has unbound immediate ...");
                             empty: nothing */
    const struct schedule_node *nodes;
    size_t node_count;
    /* The pod and its neighbours by index of node; its nodes are not set. NULL: no rule about
     * neighbours concerns the pod. */
    const struct near_view *near;
};

struct schedule_plan {
    bool fits;
    size_t node;         /* index, when it fits */
    struct span message; /* when not: "0/3 nodes are available: ..." */
    bool near;           /* when not: neighbours keep it from one of them */
    /* When not, by index of node: nothing keeps it from there but pods that are there: what they
     * use, room or host ports, or a rule about neighbours. */
    const bool *only_pods;
};

struct schedule_plan schedule_plan(struct arena *a, const struct schedule_view *view);
/* Adds what the node itself, of the view or like one of it, has against the pod: all but rules
 * about neighbours. False: nothing. */
bool schedule_refuses(struct arena *a, const struct schedule_view *view,
                      const struct schedule_node *node, struct tally *tally);
/* What the rules about neighbours, which there are, would have against it there if the pods with
 * these uids were gone; empty: nothing. */
struct span schedule_near_refusal(struct arena *a, const struct schedule_view *view, size_t node,
                                  const struct span *gone, size_t gone_count);

/* Parts that read the API's forms; labels of the node, or NULL. */

/* Do two versions of a node differ in something that decides about pods? A heartbeat does not. */
bool schedule_node_differs(const yyjson_val *old, const yyjson_val *now);

/* nodeSelectorTerms: any term holds; a term is all its matchExpressions and matchFields
 * (metadata.name). */
bool schedule_terms_match(const yyjson_val *terms, const yyjson_val *labels, struct span node_name);
/* The sum of the weights of the preferred terms that hold. */
int64_t schedule_preference(const yyjson_val *preferred, const yyjson_val *labels,
                            struct span node_name);
bool schedule_selector_matches(const yyjson_val *node_selector, const yyjson_val *labels);
/* The first toleration that matches the taint; NULL: none. */
const yyjson_val *schedule_toleration(const yyjson_val *tolerations, struct span key,
                                      struct span value, struct span effect);
bool schedule_tolerates(const yyjson_val *tolerations, struct span key, struct span value,
                        struct span effect);
/* The first taint of effect NoSchedule or NoExecute that is not tolerated, as "key: value"; empty:
 * none. */
struct span schedule_untolerated(struct arena *a, const yyjson_val *taints,
                                 const yyjson_val *tolerations);
/* How many taints of effect PreferNoSchedule are not tolerated. */
int64_t schedule_shunned(const yyjson_val *taints, const yyjson_val *tolerations);

#endif
