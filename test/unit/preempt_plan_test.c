/* test/unit/preempt_plan_test.c: plan/preempt_plan, over all small worlds. */
#include "plan/preempt_plan.h"

#include "base/check.h"
#include "kit/kit.h"

enum { PODS = 3, NODES = 2, ME = 2 };

static bool node_fits(const struct preempt_view *v, const struct preempt_node *n, unsigned gone)
{
    int64_t cpu = n->cpu_milli, memory = n->memory_bytes, pods = n->pods, more = n->more[0];
    bool clash = false;
    for (size_t i = 0; i < n->pod_count; i++) {
        const struct preempt_pod *p = &n->pods_there[i];
        if (gone >> i & 1) {
            cpu += p->cpu_milli;
            memory += p->memory_bytes;
            more += p->more[0];
            pods++;
        } else {
            clash |= p->in_the_way;
        }
    }
    const struct schedule_view *asks = v->placing;
    return cpu >= asks->cpu_milli && memory >= asks->memory_bytes && more >= asks->more[0].units &&
           pods > 0 && !clash;
}

static bool all_lower(const struct preempt_view *v, const struct preempt_node *n, unsigned set)
{
    for (size_t i = 0; i < n->pod_count; i++) {
        if ((set >> i & 1) && n->pods_there[i].priority >= v->priority) {
            return false;
        }
    }
    return true;
}

/* Is there any set of pods of lower priority without which the pod fits? */
static bool can_fit(const struct preempt_view *v, const struct preempt_node *n)
{
    for (unsigned set = 1; set < 1U << n->pod_count; set++) {
        if (all_lower(v, n, set) && node_fits(v, n, set)) {
            return true;
        }
    }
    return false;
}

static unsigned stopping(const struct preempt_view *v, const struct preempt_node *n)
{
    unsigned set = 0;
    for (size_t i = 0; i < n->pod_count; i++) {
        bool goes = n->pods_there[i].stopping && n->pods_there[i].priority < v->priority;
        set |= goes ? 1U << i : 0;
    }
    return set;
}

static unsigned set_of(const struct preempt_plan *p)
{
    unsigned set = 0;
    for (size_t i = 0; i < p->victim_count; i++) {
        set |= 1U << p->victims[i];
    }
    return set;
}

/* The victims of one node are right in themselves. */
static void check_victims(const struct preempt_view *v, const struct preempt_plan *p)
{
    const struct preempt_node *n = &v->nodes[p->node];
    unsigned set = set_of(p), leave = stopping(v, n);
    CHECK((set | leave) != 0);
    CHECK_EQ(set & leave, 0);
    CHECK(all_lower(v, n, set));
    CHECK(node_fits(v, n, set | leave));
    for (size_t i = 0; i < n->pod_count; i++) {
        if (set >> i & 1) {
            CHECK(!node_fits(v, n, (set | leave) & ~(1U << i)));
        }
    }
    for (size_t i = 1; i < p->victim_count; i++) { /* the most important first */
        CHECK(n->pods_there[p->victims[i - 1]].priority >= n->pods_there[p->victims[i]].priority);
    }
}

static struct preempt_plan alone(struct arena *a, const struct preempt_view *v, size_t node)
{
    struct preempt_view one = *v;
    one.nodes = &v->nodes[node];
    one.node_count = 1;
    return preempt_plan(a, &one);
}

/* How the choice ranks: each figure before the next. */
static void figures(const struct preempt_view *v, size_t node, const struct preempt_plan *p,
                    int64_t ret[5])
{
    const struct preempt_pod *pods = v->nodes[node].pods_there;
    int64_t sum = 0, first = 0;
    for (size_t i = 0; i < p->victim_count; i++) {
        sum += pods[p->victims[i]].priority + (int64_t)INT32_MAX + 1;
    }
    first = p->victim_count ? pods[p->victims[0]].start_ms : 0;
    int64_t highest = p->victim_count ? pods[p->victims[0]].priority : INT32_MIN;
    int64_t all[5] = {(int64_t)p->violations, highest, sum, (int64_t)p->victim_count, -first};
    memcpy(ret, all, sizeof all);
}

static void check_world(struct arena *a, const struct preempt_view *v)
{
    struct preempt_plan p = preempt_plan(a, v);
    bool possible = false;
    for (size_t i = 0; i < v->node_count; i++) {
        possible |= can_fit(v, &v->nodes[i]);
    }
    CHECK_EQ(p.found, possible);
    if (!p.found) {
        return;
    }
    check_victims(v, &p);
    int64_t mine[5], other[5];
    figures(v, p.node, &p, mine);
    for (size_t i = 0; i < v->node_count; i++) {
        struct preempt_plan q = alone(a, v, i);
        CHECK_EQ(q.found, can_fit(v, &v->nodes[i]));
        if (!q.found) {
            continue;
        }
        figures(v, i, &q, other);
        int order = 0;
        for (size_t k = 0; k < 5 && order == 0; k++) {
            order = mine[k] < other[k] ? -1 : mine[k] > other[k];
        }
        CHECK(order < 0 || (order == 0 && p.node <= i));
    }
}

TEST(preemption_in_all_small_worlds)
{
    static const size_t guarded[] = {0};
    const struct schedule_amount ask = {SPAN("x.io/y"), 1};
    struct arena *a = arena_new();
    /* Of each of the three pods of the first node: priority, size, whether the budget protects it.
     * Of the second: one pod of each kind. Of the budget: what it allows. */
    for (unsigned code = 0; code < 12 * 12 * 12 * 12 * 2; code++) {
        struct preempt_pod pods[NODES][PODS] = {0};
        int64_t more[NODES][PODS] = {0}, left[NODES] = {0, 0}, allowed = code % 2;
        unsigned rest = code / 2;
        int64_t used[NODES] = {0};
        for (size_t i = 0; i < PODS + 1; i++, rest /= 12) {
            size_t node = i / PODS, at = i % PODS;
            struct preempt_pod *p = &pods[node][at];
            p->priority = (int32_t)(rest % 3);
            p->cpu_milli = 1 + (int64_t)(rest / 3 % 2);
            p->budgets = guarded;
            p->budget_count = rest / 6 % 2;
            p->start_ms = (int64_t)(code + 7 * i) % 3;
            more[node][at] = (code + i) % 2;
            p->more = &more[node][at];
            p->in_the_way = i == 2 && code % 5 == 0;
            p->stopping = (code / 3 + i) % 7 == 0;
            used[node] += p->cpu_milli;
        }
        left[1] = more[1][0] ? 0 : 1;
        struct preempt_node nodes[NODES] = {
            {.cpu_milli = 5 - used[0],
             .pods = 1,
             .more = &left[0],
             .pods_there = pods[0],
             .pod_count = PODS},
            {.cpu_milli = 2 - used[1],
             .pods = 0,
             .more = &left[1],
             .pods_there = pods[1],
             .pod_count = 1},
        };
        nodes[0].ports_taken = pods[0][2].in_the_way;
        struct schedule_view asks = {.cpu_milli = 2, .more_count = code % 3 == 0};
        struct preempt_view v = {.priority = ME,
                                 .placing = &asks,
                                 .nodes = nodes,
                                 .node_count = 1 + code / 2 % 2,
                                 .allowed = &allowed,
                                 .budget_count = 1};
        struct schedule_amount none = {SPAN("x.io/y"), 0};
        asks.more = asks.more_count ? &ask : &none;
        if (node_fits(&v, &nodes[0], 0) || node_fits(&v, &nodes[1], 0)) {
            continue; /* it is bound */
        }
        check_world(a, &v);
        if (code % 4096 == 0) {
            arena_clear(a);
        }
    }
    arena_free(a);
}

TEST(preemption_spares_whom_a_budget_protects_and_the_more_important)
{
    static const size_t guarded[] = {0};
    struct arena *a cleanup_arena = arena_new();
    int64_t allowed = 0;
    struct preempt_pod pods[3] = {
        {.priority = 1, .cpu_milli = 2, .start_ms = 1},
        {.priority = 0, .cpu_milli = 2, .start_ms = 2, .budgets = guarded, .budget_count = 1},
        {.priority = 0, .cpu_milli = 2, .start_ms = 3},
    };
    struct preempt_node node = {.cpu_milli = 0, .pods = 9, .pods_there = pods, .pod_count = 3};
    struct schedule_view asks = {.cpu_milli = 2};
    struct preempt_view v = {.priority = 5,
                             .placing = &asks,
                             .nodes = &node,
                             .node_count = 1,
                             .allowed = &allowed,
                             .budget_count = 1};
    struct preempt_plan p = preempt_plan(a, &v);
    CHECK_EQ(p.victim_count, 1);
    CHECK_EQ(p.victims[0], 2);
    CHECK_EQ(p.violations, 0);
    asks.cpu_milli = 4; /* then the protected one stays longer than the more important one */
    p = preempt_plan(a, &v);
    CHECK_EQ(p.victim_count, 2);
    CHECK_EQ(p.victims[0], 0);
    CHECK_EQ(p.victims[1], 2);
    asks.cpu_milli = 6;
    p = preempt_plan(a, &v);
    CHECK_EQ(p.victim_count, 3);
    CHECK_EQ(p.violations, 1);
    asks.cpu_milli = 7;
    CHECK(!preempt_plan(a, &v).found);
    asks.cpu_milli = 2;
    v.priority = 0;
    CHECK(!preempt_plan(a, &v).found);
}

TEST(preemption_does_not_help_against_a_port_that_somebody_else_has)
{
    struct arena *a cleanup_arena = arena_new();
    struct preempt_pod pod = {.priority = 0, .cpu_milli = 2};
    struct preempt_node node = {.pods = 9, .pods_there = &pod, .pod_count = 1, .ports_taken = true};
    struct schedule_view asks = {.cpu_milli = 2};
    struct preempt_view v = {.priority = 5, .placing = &asks, .nodes = &node, .node_count = 1};
    CHECK(!preempt_plan(a, &v).found);
    pod.in_the_way = true;
    CHECK(preempt_plan(a, &v).found);
}

TEST(preemption_takes_the_room_of_those_that_are_stopping_before_it_sends_anybody_away)
{
    struct arena *a cleanup_arena = arena_new();
    struct preempt_pod pods[2] = {{.priority = 1, .cpu_milli = 2, .start_ms = 1, .stopping = true},
                                  {.priority = 0, .cpu_milli = 2, .start_ms = 2}};
    struct preempt_node node = {.pods = 9, .pods_there = pods, .pod_count = 2};
    struct schedule_view asks = {.cpu_milli = 2};
    struct preempt_view v = {.priority = 5, .placing = &asks, .nodes = &node, .node_count = 1};
    struct preempt_plan p = preempt_plan(a, &v);
    CHECK(p.found);
    CHECK_EQ(p.victim_count, 0);
    asks.cpu_milli = 3;
    p = preempt_plan(a, &v);
    CHECK_EQ(p.victim_count, 1);
    CHECK_EQ(p.victims[0], 1);
}

TEST(preemption_says_of_each_node_why_nobody_gives_way)
{
    struct arena *a cleanup_arena = arena_new();
    struct preempt_pod low = {.priority = 0, .cpu_milli = 1, .memory_bytes = 1},
                       port = {.priority = 9, .in_the_way = true},
                       goes = {.priority = 0, .cpu_milli = 3, .stopping = true};
    const struct preempt_pod both[] = {low, port};
    const bool only_pods[] = {false, true, true, true, true};
    struct schedule_node all[5];
    for (size_t i = 0; i < 5; i++) {
        all[i] = (struct schedule_node){.selector_fits = true,
                                        .volumes_reachable = true,
                                        .cpu_milli = 4,
                                        .memory_bytes = 4,
                                        .pods = 9,
                                        .used_cpu_milli = 3,
                                        .used_memory_bytes = 3,
                                        .used_pods = 2};
    }
    all[3].used_cpu_milli = all[3].used_memory_bytes = 1;
    all[4].used_memory_bytes = 0;
    const struct preempt_node nodes[] = {
        {.at = 2, .cpu_milli = 1, .memory_bytes = 1, .pods = 7, .pods_there = &low, .pod_count = 1},
        {.at = 3, .cpu_milli = 3, .memory_bytes = 3, .pods = 7, .pods_there = both, .pod_count = 2},
        {.at = 4,
         .cpu_milli = 1,
         .memory_bytes = 4,
         .pods = 7,
         .pods_there = &goes,
         .pod_count = 1},
    };
    struct schedule_view placing = {
        .cpu_milli = 3, .memory_bytes = 3, .nodes = all, .node_count = 5};
    struct preempt_view v = {.priority = 5, .placing = &placing, .nodes = nodes, .node_count = 3};
    CHECK_SPAN(
        preempt_why(a, &v, only_pods),
        "0/5 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 Preemption is "
        "not helpful for scheduling, 1 node(s) didn't have free ports for the requested pod "
        "ports, 2 No preemption victims found for incoming pod.");
}
