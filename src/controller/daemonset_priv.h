/* controller/daemonset_priv.h: what the files of the DaemonSet controller share. Not for others. */
#ifndef CONTROLLER_DAEMONSET_PRIV_H
#define CONTROLLER_DAEMONSET_PRIV_H

#include "controller/owned.h"
#include "plan/daemonset_plan.h"

#define DAEMONSET_HASH_LABEL "controller-revision-hash"

struct daemonset_controller {
    struct owners sets;
    struct owned_kind pods, revisions;
    struct informer *nodes;
};

/* One sync; arena memory. */
struct daemon_sync {
    struct owned_sync own;
    struct daemonset_controller *c;
    struct owned_list pods; /* in the order of the view */
    struct owned_history history;
    struct span *node_names; /* by index of the view */
    yyjson_val *tolerations; /* of a pod: the template's and those every daemon has */
    struct daemonset_view view;
    struct daemonset_plan plan;
    struct owned_pods act;
};

/* daemonset_view.c. Both need pods, and the second history. */
void daemonset_observe(struct daemon_sync *x);
void daemonset_mark_live(struct daemon_sync *x);
/* daemonset_pod.c: the body of a pod pinned to that node. */
struct json_shared *daemonset_pod_body(struct daemon_sync *x, struct span node);
yyjson_val *daemonset_tolerations(struct arena *a, const yyjson_val *pod_spec);
/* The node that a pod is bound to or pinned to by its affinity; empty: none. */
struct span daemonset_node_of(struct object *pod);

#endif
