/* plan/node_plan.h: which taints a node bears because of its conditions. Pure.
 *
 * The effect NoSchedule follows the conditions and `kubectl cordon`. NoExecute, which ends pods, is
 * careful, since nodes that nobody hears are more often cut off than dead: where no node at all is
 * Ready nobody is tainted, in a small cluster nobody more while most of a zone is lost, and else
 * one node of a zone after the other. */
#ifndef PLAN_NODE_PLAN_H
#define PLAN_NODE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NODE_PACE_MS = 10 * 1000,       /* between two nodes of a zone that get NoExecute */
    NODE_SLOW_PACE_MS = 100 * 1000, /* while most of the zone is lost */
    NODE_MANY = 50,                 /* in a cluster of no more, the pace is then nought */
};

/* The node controller's own taints, in the order in which they are put. */
enum node_taint {
    NODE_TAINT_MEMORY,
    NODE_TAINT_DISK,
    NODE_TAINT_PID,
    NODE_TAINT_NETWORK,
    NODE_TAINT_NOT_READY,
    NODE_TAINT_UNREACHABLE,
    NODE_TAINT_UNSCHEDULABLE,
    NODE_TAINT_NOT_READY_EXEC,
    NODE_TAINT_UNREACHABLE_EXEC,
    NODE_TAINTS
};
const char *node_taint_key(enum node_taint taint);
const char *node_taint_effect(enum node_taint taint);

enum node_zone { NODE_ZONE_NORMAL, NODE_ZONE_PARTIAL, NODE_ZONE_FULL };
/* How much of a zone is lost: PARTIAL is more than two nodes and at least 55 of 100, FULL all. */
enum node_zone node_zone(size_t ready, size_t nodes);

struct node_view {
    char ready;                      /* the condition: 'T', 'F', 'U'(nknown); 0: there is none */
    bool memory, disk, pid, network; /* these conditions are True: pressure, no network */
    bool unschedulable;              /* spec.unschedulable */
    bool all_lost;                   /* no node of the cluster is Ready */
    bool turn;                       /* the zone's pace lets one more node get NoExecute */
    uint32_t has;                    /* bits of enum node_taint: those it bears */
};

struct node_plan {
    uint32_t want;  /* those it should bear */
    bool took_turn; /* NoExecute comes anew */
    bool waits;     /* for its turn */
};

struct node_plan node_plan(const struct node_view *view);

#endif
