/* plan/node_plan.c: see node_plan.h. */
#include "plan/node_plan.h"

#include "base/check.h"

enum {
    EXEC_BITS = 1u << NODE_TAINT_NOT_READY_EXEC | 1u << NODE_TAINT_UNREACHABLE_EXEC,
};

struct named {
    const char *key, *effect;
};

static const struct named names[NODE_TAINTS] = {
    [NODE_TAINT_MEMORY] = {"node.kubernetes.io/memory-pressure", "NoSchedule"},
    [NODE_TAINT_DISK] = {"node.kubernetes.io/disk-pressure", "NoSchedule"},
    [NODE_TAINT_PID] = {"node.kubernetes.io/pid-pressure", "NoSchedule"},
    [NODE_TAINT_NETWORK] = {"node.kubernetes.io/network-unavailable", "NoSchedule"},
    [NODE_TAINT_NOT_READY] = {"node.kubernetes.io/not-ready", "NoSchedule"},
    [NODE_TAINT_UNREACHABLE] = {"node.kubernetes.io/unreachable", "NoSchedule"},
    [NODE_TAINT_UNSCHEDULABLE] = {"node.kubernetes.io/unschedulable", "NoSchedule"},
    [NODE_TAINT_NOT_READY_EXEC] = {"node.kubernetes.io/not-ready", "NoExecute"},
    [NODE_TAINT_UNREACHABLE_EXEC] = {"node.kubernetes.io/unreachable", "NoExecute"},
};

const char *node_taint_key(enum node_taint taint)
{
    assert(taint < NODE_TAINTS);
    return names[taint].key;
}

const char *node_taint_effect(enum node_taint taint)
{
    assert(taint < NODE_TAINTS);
    return names[taint].effect;
}

enum node_zone node_zone(size_t ready, size_t nodes)
{
    assert(ready <= nodes);
    size_t lost = nodes - ready;
    if (ready == 0 && lost > 0) {
        return NODE_ZONE_FULL;
    }
    return lost > 2 && lost * 100 >= nodes * 55 ? NODE_ZONE_PARTIAL : NODE_ZONE_NORMAL;
}

/* The taint that ends pods; 0: none. */
static uint32_t exec_of(const struct node_view *v, struct node_plan *plan)
{
    uint32_t has = v->has & EXEC_BITS;
    if (v->all_lost) {
        return 0;
    }
    if (v->ready != 'F' && v->ready != 'U') {
        return v->ready ? 0 : has; /* the agent has not said anything yet: nothing changes */
    }
    if (has == 0 && !v->turn) {
        plan->waits = true;
        return 0;
    }
    plan->took_turn = has == 0;
    return v->ready == 'F' ? 1u << NODE_TAINT_NOT_READY_EXEC : 1u << NODE_TAINT_UNREACHABLE_EXEC;
}

static uint32_t bit(bool on, enum node_taint taint)
{
    return on ? 1u << taint : 0;
}

struct node_plan node_plan(const struct node_view *view)
{
    assert(view);
    assert(view->ready == 'T' || view->ready == 'F' || view->ready == 'U' || view->ready == 0);
    assert(view->has < 1u << NODE_TAINTS);
    struct node_plan plan = {.waits = false};
    /* Until its first report a node keeps the taint that it was admitted with. */
    bool fresh = view->ready == 0 && (view->has & 1u << NODE_TAINT_NOT_READY);
    plan.want = bit(view->memory, NODE_TAINT_MEMORY) | bit(view->disk, NODE_TAINT_DISK) |
                bit(view->pid, NODE_TAINT_PID) | bit(view->network, NODE_TAINT_NETWORK) |
                bit(view->ready == 'F' || fresh, NODE_TAINT_NOT_READY) |
                bit(view->ready == 'U', NODE_TAINT_UNREACHABLE) |
                bit(view->unschedulable, NODE_TAINT_UNSCHEDULABLE) | exec_of(view, &plan);
    assert(!plan.waits || (plan.want & EXEC_BITS) == 0);
    assert(!plan.took_turn || (plan.want & EXEC_BITS) != 0);
    return plan;
}
