/* controller/scheduler_preempt.c: pods that give way. A pod that fits nowhere, and would if pods of
 * lower priority were gone, has them deleted with their own grace; until they have ended, the room
 * is kept for it (status.nominatedNodeName) from all that are not more important.
 *
 * No decision is made twice: the sync that deletes ends when the deletions are seen, and while a
 * pod of lower priority is stopping there, the one that is nominated waits. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "client/client_body.h"
#include "codec/selector.h"
#include "codec/time.h"
#include "controller/pod_end.h"
#include "controller/scheduler_priv.h"
#include "plan/host_port.h"
#include "plan/preempt_plan.h"

struct budget {
    struct object *object;
    struct selector selector;
};

struct gather {
    struct pod_sync *x;
    struct preempt_view view;
    struct preempt_node *nodes;
    size_t *at;               /* by index of nodes: which of x->nodes */
    struct object ***there;   /* by index of nodes: its pods */
    struct preempt_pod *pods; /* of the node that is looked at */
    size_t pod_count, lower;
    struct budget *budgets;
    int64_t *allowed;
};

int32_t scheduler_priority(struct object *pod)
{
    return (int32_t)json_get_int(client_spec(pod), "priority", 0);
}

/* ---- those for whom room is being made ---- */

void scheduler_nominate(struct scheduler *c, struct waiting *w, struct span node)
{
    assert(c);
    if (w->nominated && span_eq_cstr(node, w->nominated)) {
        return;
    }
    if (w->nominated) {
        list_remove(&w->link);
        free(TAKE_PTR(w->nominated));
    }
    if (node.n > 0) {
        w->nominated = mem_new(node.n + 1);
        memcpy(w->nominated, node.p, node.n);
        list_push_back(&c->nominees, &w->link);
    }
}

static int64_t units_of(const struct schedule_amount *list, size_t n, struct span name)
{
    for (size_t i = 0; i < n; i++) {
        if (span_eq(list[i].name, name)) {
            return list[i].units;
        }
    }
    return 0;
}

static void count_nominee(const struct pod_sync *x, struct schedule_node *n, struct object *pod)
{
    const yyjson_val *spec = client_spec(pod);
    struct schedule_needs needs = schedule_needs(spec);
    const struct schedule_amount *more = NULL;
    const struct host_port *ports = NULL;
    size_t count = x->view.more_count && needs.more ? schedule_more(x->a, spec, &more) : 0;
    n->used_cpu_milli += needs.cpu_milli;
    n->used_memory_bytes += needs.memory_bytes;
    n->used_pods++;
    for (size_t i = 0; i < x->view.more_count; i++) {
        n->more_free[i] -= units_of(more, count, x->view.more[i].name);
    }
    size_t port_count = x->port_count ? host_ports(x->a, spec, &ports) : 0;
    n->ports_taken |= host_ports_clash(x->ports, x->port_count, ports, port_count);
}

/* The pod for whom room is being made, if that counts for this one; else NULL. */
static struct object *nominee(const struct pod_sync *x, const struct waiting *w)
{
    assert(w->nominated);
    bool me = span_eq(w->ns, x->s->ns) && span_eq(w->name, x->s->name);
    struct object *pod = me || w->priority < scheduler_priority(x->pod)
                             ? NULL
                             : informer_get(x->c->pods, w->ns, w->name);
    return pod && !usage_find(x->c->book, object_uid(pod)) ? pod : NULL;
}

void scheduler_count_nominees(struct pod_sync *x, struct schedule_node *n)
{
    assert(n->name.n > 0);
    LIST_EACH(l, &x->c->nominees)
    {
        const struct waiting *w = CONTAINER_OF(l, struct waiting, link);
        struct object *pod = span_eq_cstr(n->name, w->nominated) ? nominee(x, w) : NULL;
        if (pod) {
            count_nominee(x, n, pod);
        }
    }
}

static size_t node_at(const struct pod_sync *x, struct span name)
{
    size_t i = 0;
    while (i < x->view.node_count && !span_eq(x->nodes[i].name, name)) {
        i++;
    }
    return i;
}

const struct near_view *scheduler_near_nominees(struct pod_sync *x, const struct near_view *view)
{
    assert(x->c->near);
    size_t n = view ? view->pod_count : 0, had = n, room = n;
    LIST_EACH(l, &x->c->nominees)
    {
        room++;
    }
    if (room == n) {
        return view;
    }
    struct near_pod *pods = ARENA_ARRAY(x->a, struct near_pod, room);
    memcpy(pods, view && n ? view->pods : pods, n * sizeof *pods);
    LIST_EACH(l, &x->c->nominees)
    {
        const struct waiting *w = CONTAINER_OF(l, struct waiting, link);
        struct object *pod = nominee(x, w);
        size_t at = node_at(x, span_cstr(w->nominated));
        if (pod && at < x->view.node_count) {
            pods[n] = near_index_pod(x->c->near, object_hold(x->a, pod));
            pods[n++].node = at;
        }
    }
    struct near_view *all = ARENA_NEW(x->a, struct near_view);
    *all = view ? *view : (struct near_view){.pod = near_index_pod(x->c->near, x->pod)};
    all->pods = pods;
    all->pod_count = n;
    return n == had ? view : all;
}

/* ---- observing ---- */

static bool add_budget(void *data, struct object *o)
{
    struct gather *g = data;
    struct err err;
    struct budget *b = &g->budgets[g->view.budget_count];
    b->object = o;
    if (selector_from_object(g->x->a, json_get(client_spec(o), "selector"), &b->selector, &err) ==
        0) {
        g->allowed[g->view.budget_count++] =
            json_int(json_get(client_status(o), "disruptionsAllowed"), 0);
    }
    return true;
}

/* One whose eviction was allowed has been counted already. */
static bool protects(const struct budget *b, struct object *pod)
{
    const yyjson_val *gone = json_get(client_status(b->object), "disruptedPods");
    return span_eq(object_namespace(b->object), object_namespace(pod)) &&
           selector_matches(&b->selector, client_labels(pod)) &&
           !json_get_span(gone, object_name(pod));
}

static void fill_pod(struct gather *g, struct object *pod, const struct placed *placed)
{
    struct pod_sync *x = g->x;
    size_t *budgets = ARENA_ARRAY(x->a, size_t, g->view.budget_count + 1);
    int64_t *more = ARENA_ARRAY(x->a, int64_t, x->view.more_count + 1);
    struct span started = json_get_str(client_status(pod), "startTime");
    struct preempt_pod *p = &g->pods[g->pod_count];
    *p = (struct preempt_pod){
        .uid = object_uid(pod),
        .priority = scheduler_priority(pod),
        .start_ms = time_or(started, x->s->now_ms),
        .cpu_milli = placed->cpu_milli,
        .memory_bytes = placed->memory_bytes,
        .more = more,
        .budgets = budgets,
        .stopping = object_is_deleting(pod),
        .in_the_way = host_ports_clash(x->ports, x->port_count, placed->ports, placed->port_count)};
    for (size_t i = 0; i < g->view.budget_count; i++) {
        if (protects(&g->budgets[i], pod)) {
            budgets[p->budget_count++] = i;
        }
    }
    for (size_t i = 0; i < placed->more_count; i++) {
        const char *name = placed->on->more[placed->more[i].at].name;
        for (size_t k = 0; k < x->view.more_count; k++) {
            more[k] += span_eq_cstr(x->view.more[k].name, name) ? placed->more[i].units : 0;
        }
    }
    g->lower += p->priority < g->view.priority;
}

static bool add_pod(void *data, struct object *pod)
{
    struct gather *g = data;
    const struct placed *placed = usage_find(g->x->c->book, object_uid(pod));
    if (placed) { /* else it has ended */
        fill_pod(g, pod, placed);
        g->there[g->view.node_count][g->pod_count++] = pod;
    }
    return true;
}

static bool count_pod(void *data, struct object *pod)
{
    (void)pod;
    (*(size_t *)data)++;
    return true;
}

static void add_node(struct gather *g, size_t i)
{
    struct pod_sync *x = g->x;
    const struct schedule_node *n = &x->nodes[i];
    size_t at = g->view.node_count, room = 0;
    informer_index_each(x->c->pods, x->c->pods_by_node, n->name, count_pod, &room);
    g->pods = ARENA_ARRAY(x->a, struct preempt_pod, room + 1);
    g->there[at] = ARENA_ARRAY(x->a, struct object *, room + 1);
    g->pod_count = g->lower = 0;
    informer_index_each(x->c->pods, x->c->pods_by_node, n->name, add_pod, g);
    assert(g->pod_count <= room);
    if (g->lower == 0) {
        return;
    }
    g->at[at] = i;
    g->nodes[at] = (struct preempt_node){.at = i,
                                         .cpu_milli = n->cpu_milli - n->used_cpu_milli,
                                         .memory_bytes = n->memory_bytes - n->used_memory_bytes,
                                         .pods = n->pods - n->used_pods,
                                         .more = n->more_free,
                                         .ports_taken = n->ports_taken,
                                         .pods_there = g->pods,
                                         .pod_count = g->pod_count};
    g->view.node_count++;
}

static void gather(struct gather *g, const bool *only_pods)
{
    struct pod_sync *x = g->x;
    size_t nodes = x->view.node_count + 1, budgets = informer_count(x->c->budgets) + 1;
    g->nodes = ARENA_ARRAY(x->a, struct preempt_node, nodes);
    g->at = ARENA_ARRAY(x->a, size_t, nodes);
    g->there = ARENA_ARRAY(x->a, struct object **, nodes);
    g->budgets = ARENA_ARRAY(x->a, struct budget, budgets);
    g->allowed = ARENA_ARRAY(x->a, int64_t, budgets);
    g->view.nodes = g->nodes;
    g->view.allowed = g->allowed;
    informer_each(x->c->budgets, add_budget, g);
    for (size_t i = 0; i < x->view.node_count; i++) {
        if (only_pods[i]) {
            add_node(g, i);
        }
    }
}

/* ---- acting ---- */

struct stopping {
    int32_t below;
    bool found;
};

static bool is_stopping(void *data, struct object *pod)
{
    struct stopping *s = data;
    s->found = object_is_deleting(pod) && scheduler_priority(pod) < s->below;
    return !s->found;
}

static void send_away(struct pod_sync *x, struct object *victim, struct span node)
{
    static const struct pod_end how = {
        "PreemptionByScheduler",
        "default-scheduler: preempting to accommodate a higher priority pod", false, -1};
    if (object_is_deleting(victim)) {
        return;
    }
    event_record(x->c->events, x->c->pod_kind, victim, EVENT_NORMAL, "Preempted",
                 "Preempted by pod %.*s on node %.*s", SPAN_ARG(object_uid(x->pod)),
                 SPAN_ARG(node));
    pod_end(x->s, x->c->pods, victim, &how);
}

/* Pods of lower priority are stopping on the node that the pod is nominated for; it may not be of
 * use any more (cordoned, gone). */
static bool room_is_made(struct pod_sync *x, const bool *only_pods, struct span node)
{
    struct stopping stopping = {.below = scheduler_priority(x->pod)};
    size_t at = node_at(x, node);
    if (at < x->view.node_count && only_pods[at]) {
        informer_index_each(x->c->pods, x->c->pods_by_node, node, is_stopping, &stopping);
    }
    return stopping.found;
}

struct span scheduler_preempt(struct pod_sync *x, const struct waiting *w, const bool *only_pods,
                              struct span *ret_why)
{
    assert(w);
    assert(only_pods);
    *ret_why = SPAN_NULL;
    if (x->view.node_count == 0) {
        return SPAN_NULL;
    }
    if (span_eq_cstr(json_get_str(x->spec, "preemptionPolicy"), "Never")) {
        *ret_why = SPAN("not eligible due to preemptionPolicy=Never.");
        return SPAN_NULL;
    }
    if (w->nominated && room_is_made(x, only_pods, span_cstr(w->nominated))) {
        return arena_dup(x->a, span_cstr(w->nominated));
    }
    struct gather g = {.x = x,
                       .view = {.priority = scheduler_priority(x->pod), .placing = &x->view}};
    if (g.view.priority > x->c->lowest) {
        gather(&g, only_pods);
    }
    struct preempt_plan plan = preempt_plan(x->a, &g.view);
    if (!plan.found) {
        *ret_why = preempt_why(x->a, &g.view, only_pods);
        return SPAN_NULL;
    }
    struct span node = arena_dup(x->a, x->nodes[g.at[plan.node]].name);
    for (size_t i = 0; i < plan.victim_count; i++) {
        send_away(x, g.there[plan.node][plan.victims[i]], node);
    }
    return node;
}
