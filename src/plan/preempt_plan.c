/* plan/preempt_plan.c: see preempt_plan.h. */
#include "plan/preempt_plan.h"

#include <stdlib.h>

#include "base/check.h"

/* A node as it becomes while its pods go and come back. */
struct room {
    int64_t cpu_milli, memory_bytes, pods;
    int64_t *more;
    int64_t in_the_way; /* pods there with a port that is asked for */
    const struct preempt_node *node;
    struct arena *arena;
    bool *gone; /* by index of the node's pods */
};

/* A pod of lower priority. */
struct choice {
    const struct preempt_pod *pod;
    size_t at;
    bool guarded; /* a budget protects it */
};

struct outcome {
    size_t *victims, count, violations;
    int64_t sum, start_ms; /* of priorities; the earliest of the most important */
    int32_t highest;
};

static void put(const struct preempt_view *v, struct room *r, const struct preempt_pod *p, int sign)
{
    assert(sign == 1 || sign == -1);
    assert(v->placing->more_count == 0 || p->more);
    r->cpu_milli -= sign * p->cpu_milli;
    r->memory_bytes -= sign * p->memory_bytes;
    r->pods -= sign;
    for (size_t i = 0; i < v->placing->more_count; i++) {
        r->more[i] -= sign * p->more[i];
    }
    r->in_the_way += p->in_the_way ? sign : 0;
    r->gone[p - r->node->pods_there] = sign < 0;
}

static struct span neighbours_refusal(const struct preempt_view *v, const struct room *r)
{
    size_t n = 0;
    struct span *gone = ARENA_ARRAY(r->arena, struct span, r->node->pod_count + 1);
    for (size_t i = 0; i < r->node->pod_count; i++) {
        if (r->gone[i]) {
            gone[n++] = r->node->pods_there[i].uid;
        }
    }
    return schedule_near_refusal(r->arena, v->placing, r->node->at, gone, n);
}

static bool fits(const struct preempt_view *v, const struct room *r)
{
    assert(r->in_the_way >= 0);
    bool enough = r->pods > 0 && r->in_the_way == 0 &&
                  (v->placing->cpu_milli == 0 || v->placing->cpu_milli <= r->cpu_milli) &&
                  (v->placing->memory_bytes == 0 || v->placing->memory_bytes <= r->memory_bytes);
    for (size_t i = 0; i < v->placing->more_count; i++) {
        enough =
            enough && (v->placing->more[i].units == 0 || v->placing->more[i].units <= r->more[i]);
    }
    return enough && (!v->placing->near || neighbours_refusal(v, r).n == 0);
}

/* The most important first: of higher priority, or older. Those that are stopping come last. */
static int by_importance(const void *x, const void *y)
{
    const struct choice *a = x, *b = y;
    if (a->pod->stopping != b->pod->stopping) {
        return a->pod->stopping - b->pod->stopping;
    }
    if (a->pod->priority != b->pod->priority) {
        return a->pod->priority > b->pod->priority ? -1 : 1;
    }
    if (a->pod->start_ms != b->pod->start_ms) {
        return a->pod->start_ms < b->pod->start_ms ? -1 : 1;
    }
    return a->at < b->at ? -1 : a->at > b->at;
}

/* In order of importance each takes from its budgets; who finds one empty is protected. */
static void guard(struct arena *a, const struct preempt_view *v, struct choice *list, size_t n)
{
    int64_t *left = ARENA_ARRAY(a, int64_t, v->budget_count + 1);
    for (size_t i = 0; i < v->budget_count; i++) {
        left[i] = v->allowed[i];
    }
    for (size_t i = 0; i < n && !list[i].pod->stopping; i++) {
        for (size_t k = 0; k < list[i].pod->budget_count; k++) {
            size_t at = list[i].pod->budgets[k];
            assert(at < v->budget_count);
            list[i].guarded |= --left[at] < 0;
        }
    }
}

static size_t lower_pods(struct arena *a, const struct preempt_view *v,
                         const struct preempt_node *node, struct choice **ret)
{
    struct choice *list = ARENA_ARRAY(a, struct choice, node->pod_count + 1);
    size_t n = 0;
    for (size_t i = 0; i < node->pod_count; i++) {
        if (node->pods_there[i].priority < v->priority) {
            list[n++] = (struct choice){.pod = &node->pods_there[i], .at = i};
        }
    }
    assert(n <= node->pod_count);
    qsort(list, n, sizeof *list, by_importance);
    guard(a, v, list, n);
    *ret = list;
    return n;
}

static struct room room_of(struct arena *a, const struct preempt_view *v,
                           const struct preempt_node *node)
{
    assert(v->placing->more_count == 0 || node->more);
    assert(node->pods_there || node->pod_count == 0);
    struct room r = {node->cpu_milli,
                     node->memory_bytes,
                     node->pods,
                     ARENA_ARRAY(a, int64_t, v->placing->more_count + 1),
                     0,
                     node,
                     a,
                     ARENA_ARRAY(a, bool, node->pod_count + 1)};
    for (size_t i = 0; i < v->placing->more_count; i++) {
        r.more[i] = node->more[i];
    }
    for (size_t i = 0; i < node->pod_count; i++) {
        r.in_the_way += node->pods_there[i].in_the_way;
    }
    if (node->ports_taken && r.in_the_way == 0) {
        r.in_the_way = 1; /* by one that cannot be sent away */
    }
    return r;
}

static struct room room_without(struct arena *a, const struct preempt_view *v,
                                const struct preempt_node *node, const struct choice *gone,
                                size_t count)
{
    struct room r = room_of(a, v, node);
    for (size_t i = 0; i < count; i++) {
        put(v, &r, gone[i].pod, -1);
    }
    return r;
}

/* False: not even without all pods of lower priority. */
static bool victims_on(struct arena *a, const struct preempt_view *v,
                       const struct preempt_node *node, struct outcome *ret)
{
    struct choice *list = NULL;
    size_t n = lower_pods(a, v, node, &list);
    struct room room = room_without(a, v, node, list, n);
    *ret = (struct outcome){.victims = ARENA_ARRAY(a, size_t, n + 1)};
    if (n == 0 || !fits(v, &room)) {
        return false;
    }
    bool *stays = ARENA_ARRAY(a, bool, n), all_stay = true;
    for (size_t pass = 0; pass < 2; pass++) { /* who is protected comes back first */
        for (size_t i = 0; i < n; i++) {
            /* And last who is stopping. */
            if (list[i].pod->stopping ? pass == 1 : list[i].guarded == (pass == 0)) {
                put(v, &room, list[i].pod, 1);
                stays[i] = fits(v, &room);
                all_stay &= stays[i];
                if (!stays[i]) {
                    put(v, &room, list[i].pod, -1);
                }
            }
        }
    }
    ret->highest = INT32_MIN;
    for (size_t i = 0; i < n; i++) {
        const struct preempt_pod *p = list[i].pod;
        if (stays[i] || p->stopping) {
            continue;
        }
        if (ret->count == 0) { /* the oldest of the most important */
            ret->highest = p->priority;
            ret->start_ms = p->start_ms;
        }
        ret->victims[ret->count++] = list[i].at;
        ret->violations += list[i].guarded;
        ret->sum += (int64_t)p->priority + INT32_MAX + 1;
    }
    return !all_stay; /* else it fits as things are: it is bound, not pushed in */
}

static bool is_better(const struct outcome *a, const struct outcome *b)
{
    assert(a->violations <= a->count);
    assert(b->violations <= b->count);
    if (a->violations != b->violations) {
        return a->violations < b->violations;
    }
    if (a->highest != b->highest) {
        return a->highest < b->highest;
    }
    if (a->sum != b->sum) {
        return a->sum < b->sum;
    }
    if (a->count != b->count) {
        return a->count < b->count;
    }
    return a->start_ms > b->start_ms;
}

struct preempt_plan preempt_plan(struct arena *a, const struct preempt_view *view)
{
    assert(a);
    assert(view);
    assert(view->nodes || view->node_count == 0);
    assert(view->placing);
    struct preempt_plan plan = {.found = false};
    struct outcome best = {0}, one;
    for (size_t i = 0; i < view->node_count; i++) {
        if (victims_on(a, view, &view->nodes[i], &one) && (!plan.found || is_better(&one, &best))) {
            best = one;
            plan.found = true;
            plan.node = i;
        }
    }
    plan.victims = best.victims;
    plan.victim_count = best.count;
    plan.violations = best.violations;
    assert(plan.found || plan.victim_count == 0);
    return plan;
}

/* ---- why nobody does ---- */

/* What the node has against the pod even without all pods of lower priority. */
static bool refuses_still(struct arena *a, const struct preempt_view *v,
                          const struct preempt_node *node, struct tally *tally)
{
    struct choice *lower = NULL;
    size_t count = lower_pods(a, v, node, &lower);
    struct room room = room_without(a, v, node, lower, count);
    struct schedule_node n = v->placing->nodes[node->at];
    n.used_cpu_milli = n.cpu_milli - room.cpu_milli;
    n.used_memory_bytes = n.memory_bytes - room.memory_bytes;
    n.used_pods = n.pods - room.pods;
    n.more_free = room.more;
    n.ports_taken = room.in_the_way > 0;
    if (schedule_refuses(a, v->placing, &n, tally)) {
        return true;
    }
    struct span why = v->placing->near ? neighbours_refusal(v, &room) : SPAN_NULL;
    if (why.n) {
        tally_add(tally, why);
    }
    return why.n > 0;
}

struct span preempt_why(struct arena *a, const struct preempt_view *view, const bool *only_pods)
{
    struct tally tally = {.n = 0};
    size_t k = 0;
    assert(view->placing);
    assert(only_pods);
    for (size_t i = 0; i < view->placing->node_count; i++) {
        bool has_lower = k < view->node_count && view->nodes[k].at == i;
        const struct preempt_node *node = has_lower ? &view->nodes[k++] : NULL;
        assert(!node || only_pods[i]);
        if (!only_pods[i]) {
            tally_add(&tally, SPAN("Preemption is not helpful for scheduling"));
        } else if (!node || !refuses_still(a, view, node, &tally)) {
            tally_add(&tally, SPAN("No preemption victims found for incoming pod"));
        }
    }
    assert(k == view->node_count);
    return tally_text(a, &tally, view->placing->node_count);
}
