/* controller/scheduler_priv.h: what the scheduler's own files share. */
#ifndef CONTROLLER_SCHEDULER_PRIV_H
#define CONTROLLER_SCHEDULER_PRIV_H

#include "base/list.h"
#include "base/map.h"
#include "client/client_event.h"
#include "client/informer.h"
#include "controller/reconciler.h"
#include "controller/scheduler_near.h"
#include "controller/scheduler_usage.h"
#include "plan/schedule_plan.h"

struct waiting {
    struct span ns, name;
    int64_t since_ms;
    bool near; /* neighbours keep it out */
    int32_t priority;
    char *nominated;  /* owned: the node where room is being made for it; NULL: none */
    struct list link; /* with one: in nominees */
    size_t key_n;
    char key[]; /* NAMESPACE/NAME */
};

struct scheduler {
    struct client *client;
    const struct schema_kind *pod_kind, *claim_kind;
    struct informer *pods, *nodes, *claims, *volumes, *classes, *namespaces, *budgets;
    int pods_by_node;
    struct reconciler *reconciler;
    struct event_recorder *events;
    struct usage_book *book;
    struct map waiting;
    struct near_index *near; /* NULL until a pod has rules about its neighbours */
    size_t near_waiting;     /* of waiting: those with `near` */
    struct list nominees;    /* struct waiting for whom room is being made */
    int32_t lowest;          /* priority of a pod that was ever placed */
    bool ranked;             /* a pod that waited had another priority than 0 */
};

struct pod_sync {
    struct scheduler *c;
    struct sync *s;
    struct arena *a;
    struct object *pod;
    yyjson_val *spec;
    /* Of spec what each node is held against; NULL: absent. */
    const yyjson_val *tolerations, *selector, *required, *preferred;
    struct schedule_view view;
    struct schedule_node *nodes;
    bool unbound_only; /* the obstacle is only a claim that is still being bound */
    struct object
        *wait_claim; /* of a class that waits for its first consumer: needs a node named */
    const struct host_port *ports; /* that the pod asks for */
    size_t port_count;
    struct span port_note; /* who has one of them, of the first node where that is so */
    yyjson_val **volume_terms;
    size_t volume_count;
    struct span target; /* the chosen node */
};

/* ---- scheduler_preempt.c ---- */

int32_t scheduler_priority(struct object *pod);
/* Room is being made for it on that node (empty: nowhere any more). */
void scheduler_nominate(struct scheduler *c, struct waiting *w, struct span node);
/* Counts pods for whom room is being made there, unless this one is more important. */
void scheduler_count_nominees(struct pod_sync *x, struct schedule_node *n);
/* The same for rules about neighbours: those pods are as good as there. view: of the pods that are,
 * or NULL; after the nodes are known. */
const struct near_view *scheduler_near_nominees(struct pod_sync *x, const struct near_view *view);
/* The pod fits nowhere: pods of lower priority are told to go where that helps. only_pods: of the
 * plan that says so. Returns the node where room is being made; empty: nowhere, and *ret_why says
 * why (empty when there is no node). */
struct span scheduler_preempt(struct pod_sync *x, const struct waiting *w, const bool *only_pods,
                              struct span *ret_why);

#endif
