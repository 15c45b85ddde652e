/* test/unit/spread_plan_test.c: plan/spread_plan, by small worlds against a second telling of the
 * rules. */
#include "plan/spread_plan.h"

#include "kit/kit.h"
#include "plan/schedule_plan.h"

#define HOST "kubernetes.io/hostname"
#define ZONE "topology.kubernetes.io/zone"
#define APP "\"labelSelector\":{\"matchLabels\":{\"app\":\"x\"}}"

static yyjson_val *parse(struct arena *a, const char *text)
{
    yyjson_doc *doc = NULL;
    struct err err;
    CHECK_EQ(json_parse(a, span_cstr(text), &doc, &err), 0);
    return yyjson_doc_get_root(doc);
}

static yyjson_val *pod(struct arena *a, const char *app, const char *constraints)
{
    struct span text = arena_printf(a,
                                    "{\"metadata\":{\"name\":\"p\",\"labels\":{\"app\":\"%s\"}},"
                                    "\"spec\":{\"topologySpreadConstraints\":[%s]}}",
                                    app, constraints);
    return parse(a, text.p);
}

/* ---- all small worlds ---- */

enum { NODES = 3, PODS = 2, KINDS = 4, SKEWS = 2, MINIMA = 3, POLICIES = 3, SELVES = 2 };
enum { ALIKE, OTHER, STOPPING, FOREIGN };

struct world {
    int zone[NODES]; /* 0: has no such label */
    bool selected[NODES], tainted[NODES];
    int kind[PODS], node[PODS];
    int skew, minimum, policy, self; /* self: the pod counts itself */
};

static bool counts(const struct world *w, int node)
{
    return w->zone[node] && (w->policy == 1 || w->selected[node]) &&
           (w->policy != 2 || !w->tainted[node]);
}

static enum spread_refusal expected(const struct world *w, int node)
{
    int of[3] = {0}, domains = 0, min = 99;
    bool is[3] = {false};
    for (int n = 0; n < NODES; n++) {
        is[w->zone[n]] |= counts(w, n);
    }
    for (int i = 0; i < PODS; i++) {
        of[w->zone[w->node[i]]] += w->kind[i] == ALIKE && counts(w, w->node[i]);
    }
    for (int z = 1; z < 3; z++) {
        domains += is[z];
        min = is[z] && of[z] < min ? of[z] : min;
    }
    min = domains < (w->minimum ? w->minimum : 1) ? 0 : min;
    if (!w->zone[node]) {
        return SPREAD_NO_LABEL;
    }
    return of[w->zone[node]] + w->self - min > w->skew ? SPREAD_UNEVEN : SPREAD_FITS;
}

struct pieces {
    yyjson_val *own[SKEWS][MINIMA][POLICIES][SELVES], *kinds[KINDS], *labels[NODES][3];
};

static const int minima[MINIMA] = {0, 2, 3};

static void pieces_init(struct arena *a, struct pieces *p)
{
    static const char *const policies[] = {
        "", ",\"nodeAffinityPolicy\":\"Ignore\"",
        ",\"nodeAffinityPolicy\":\"Honor\",\"nodeTaintsPolicy\":\"Honor\""};
    for (int i = 0; i < SKEWS * MINIMA * POLICIES * SELVES; i++) {
        int skew = i % SKEWS, min = i / SKEWS % MINIMA, policy = i / SKEWS / MINIMA % POLICIES;
        int self = i / SKEWS / MINIMA / POLICIES;
        struct span m = min ? arena_printf(a, ",\"minDomains\":%d", minima[min]) : SPAN("");
        p->own[skew][min][policy][self] =
            pod(a, self ? "x" : "y",
                arena_printf(a,
                             "{\"maxSkew\":%d,\"topologyKey\":\"" ZONE
                             "\",\"whenUnsatisfiable\":\"DoNotSchedule\"," APP "%.*s%s}",
                             skew + 1, SPAN_ARG(m), policies[policy])
                    .p);
    }
    p->kinds[ALIKE] = p->kinds[FOREIGN] = pod(a, "x", "");
    p->kinds[OTHER] = pod(a, "y", "");
    p->kinds[STOPPING] = parse(a, "{\"metadata\":{\"labels\":{\"app\":\"x\"},"
                                  "\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"}}");
    for (int i = 0; i < NODES * 3; i++) {
        struct span zone =
            i / NODES ? arena_printf(a, "\"" ZONE "\":\"z%d\"", i / NODES) : SPAN("");
        p->labels[i % NODES][i / NODES] = parse(a, arena_printf(a, "{%.*s}", SPAN_ARG(zone)).p);
    }
}

static void check_world(struct arena *a, const struct pieces *p, const struct world *w)
{
    struct schedule_node nodes[NODES] = {0};
    struct near_pod pods[PODS];
    int min = w->minimum == 0 ? 0 : w->minimum - 1;
    for (int i = 0; i < PODS; i++) {
        pods[i] = (struct near_pod){p->kinds[w->kind[i]],
                                    w->kind[i] == FOREIGN ? SPAN("two") : SPAN("one"), NULL,
                                    (size_t)w->node[i]};
    }
    struct near_view near = {
        .pod = {p->own[w->skew - 1][min][w->policy][w->self], SPAN("one"), NULL, 0},
        .pods = pods,
        .pod_count = PODS};
    struct near_node flat[NODES];
    bool any = false;
    for (int n = 0; n < NODES; n++) {
        nodes[n] = (struct schedule_node){.name = SPAN("n"),
                                          .labels = p->labels[n][w->zone[n]],
                                          .selector_fits = w->selected[n],
                                          .taint = w->tainted[n] ? SPAN("k: v") : SPAN_NULL,
                                          .volumes_reachable = true,
                                          .pods = 110};
        flat[n] = (struct near_node){nodes[n].name, nodes[n].labels, w->selected[n], w->tainted[n]};
        any |= w->selected[n] && !w->tainted[n] && expected(w, n) == SPREAD_FITS;
    }
    struct schedule_view view = {.nodes = nodes, .node_count = NODES, .near = &near};
    struct schedule_plan plan = schedule_plan(a, &view);
    CHECK_EQ(plan.fits, any);
    CHECK(!plan.fits || expected(w, (int)plan.node) == SPREAD_FITS);
    near.nodes = flat;
    near.node_count = NODES;
    const enum spread_refusal *got = spread_filter(a, &near);
    bool refused = false;
    for (int n = 0; n < NODES; n++) {
        CHECK_EQ(got[n], expected(w, n));
        refused |= got[n] != SPREAD_FITS;
    }
    CHECK_EQ(spread_note(a, &near).n > 0, refused);
}

TEST(spread_of_every_small_world_is_as_the_rules_say)
{
    struct arena *a = arena_new(), *turn = arena_new();
    struct pieces p;
    pieces_init(a, &p);
    size_t worlds = 0;
    for (int i = 0; i < 27 * 144 * 36; i++) {
        int zones = i % 27, others = i / 27 % 144, own = i / 27 / 144;
        struct world w = {.skew = own % 2 + 1,
                          .minimum = minima[own / 2 % 3],
                          .policy = own / 6 % 3,
                          .self = own / 18};
        for (int n = 0, z = zones; n < NODES; n++, z /= 3) {
            w.zone[n] = z % 3;
            w.selected[n] = (i + n) % 5 != 0;
            w.tainted[n] = (i + n) % 7 == 0;
        }
        for (int k = 0, o = others; k < PODS; k++, o /= 12) {
            w.kind[k] = o % 4;
            w.node[k] = o / 4 % 3;
        }
        check_world(turn, &p, &w);
        arena_clear(turn);
        worlds++;
    }
    CHECK_EQ(worlds, 27 * 144 * 36);
    arena_free(turn);
    arena_free(a);
}

/* ---- several constraints, selectors ---- */

struct small {
    struct near_view view;
    struct near_node nodes[4];
    struct near_pod pods[8];
};

/* Node i has the labels, pods stand where `at` says ("001": two on node 0, one on node 1). */
static const struct near_view *small(struct arena *a, struct small *s, const char *constraints,
                                     const char *const *labels, const char *at)
{
    *s = (struct small){.view = {.pod = {pod(a, "x", constraints), SPAN("one"), NULL, 0}}};
    for (; labels[s->view.node_count]; s->view.node_count++) {
        size_t i = s->view.node_count;
        s->nodes[i] =
            (struct near_node){arena_printf(a, "n%zu", i), parse(a, labels[i]), true, false};
    }
    for (; *at; at++) {
        s->pods[s->view.pod_count++] =
            (struct near_pod){pod(a, "x", ""), SPAN("one"), NULL, (size_t)(*at - '0')};
    }
    s->view.nodes = s->nodes;
    s->view.pods = s->pods;
    return &s->view;
}

#define HARD(key)                                                                                  \
    "{\"maxSkew\":1,\"topologyKey\":\"" key "\",\"whenUnsatisfiable\":\"DoNotSchedule\"," APP "}"
#define SOFT(key)                                                                                  \
    "{\"maxSkew\":1,\"topologyKey\":\"" key "\",\"whenUnsatisfiable\":\"ScheduleAnyway\"," APP "}"

static const char *const zoned[] = {"{\"" HOST "\":\"n0\",\"" ZONE "\":\"a\"}",
                                    "{\"" HOST "\":\"n1\",\"" ZONE "\":\"a\"}",
                                    "{\"" HOST "\":\"n2\",\"" ZONE "\":\"b\"}", NULL};

TEST(spread_a_node_must_satisfy_every_constraint)
{
    struct arena *a = arena_new();
    struct small s;
    const enum spread_refusal *r =
        spread_filter(a, small(a, &s, HARD(ZONE) "," HARD(HOST), zoned, "02"));
    CHECK_EQ(r[0], SPREAD_UNEVEN); /* by node */
    CHECK_EQ(r[1], SPREAD_FITS);
    CHECK_EQ(r[2], SPREAD_UNEVEN);
    r = spread_filter(a, small(a, &s, HARD(ZONE), zoned, "0"));
    CHECK_EQ(r[0], SPREAD_UNEVEN);
    CHECK_EQ(r[1], SPREAD_UNEVEN);
    CHECK_EQ(r[2], SPREAD_FITS);
    CHECK_SPAN(spread_note(a, &s.view), "Pods that have the labels app=x are spread over each zone "
                                        "with maxSkew 1: a has 1, b has 0.");
    CHECK(!spread_filter(a, small(a, &s, SOFT(ZONE), zoned, "0")));
    CHECK_SPAN(spread_note(a, &s.view), "");
    r = spread_filter(a, small(a, &s, HARD("rack") "," HARD(ZONE), zoned, "0"));
    CHECK_EQ(r[0], SPREAD_NO_LABEL);
    CHECK_SPAN(spread_note(a, &s.view),
               "Pods that have the labels app=x are spread over each value of the node label rack "
               "with maxSkew 1, minDomains 1: no node has its label.");
    arena_free(a);
}

TEST(spread_empty_and_absent_selectors_count_nobody)
{
    struct arena *a = arena_new();
    struct small s;
    static const char *const selectors[] = {"", ",\"labelSelector\":{}"};
    for (size_t i = 0; i < 2; i++) {
        struct span c = arena_printf(a,
                                     "{\"maxSkew\":1,\"topologyKey\":\"" ZONE
                                     "\",\"whenUnsatisfiable\":\"DoNotSchedule\"%s}",
                                     selectors[i]);
        const enum spread_refusal *r = spread_filter(a, small(a, &s, c.p, zoned, "000"));
        CHECK_EQ(r[0], SPREAD_FITS);
        CHECK_EQ(r[2], SPREAD_FITS);
    }
    arena_free(a);
}

TEST(spread_notes_name_at_most_four_places)
{
    struct arena *a = arena_new();
    struct near_node nodes[6];
    for (size_t i = 0; i < 6; i++) {
        struct span name = arena_printf(a, "n%zu", i);
        nodes[i] = (struct near_node){
            name, parse(a, arena_printf(a, "{\"" HOST "\":\"%s\"}", name.p).p), true, false};
    }
    struct near_pod other = {pod(a, "x", ""), SPAN("one"), NULL, 0};
    struct near_view v = {.pod = {pod(a, "x", HARD(HOST)), SPAN("one"), NULL, 0},
                          .nodes = nodes,
                          .node_count = 6,
                          .pods = &other,
                          .pod_count = 1};
    CHECK_SPAN(
        spread_note(a, &v),
        "Pods that have the labels app=x are spread over each node with maxSkew 1: n0 has 1, "
        "n1 has 0, n2 has 0, n3 has 0 and 2 more.");
    arena_free(a);
}

/* ---- scores ---- */

TEST(spread_scores_fall_with_the_pods_of_a_place)
{
    struct arena *a = arena_new();
    struct small s;
    bool all[3] = {true, true, true}, some[3] = {true, true, false};
    /* By node: sums are count * ln 5, rounded: 3, 2, 0 of most 3 and least 0. */
    const int64_t *got = spread_scores(a, small(a, &s, SOFT(HOST), zoned, "001"), all);
    CHECK_EQ(got[0], 0);
    CHECK_EQ(got[1], 33);
    CHECK_EQ(got[2], 100);
    /* By zone: counts 3 and 0. */
    got = spread_scores(a, small(a, &s, SOFT(ZONE), zoned, "001"), all);
    CHECK_EQ(got[0], 0);
    CHECK_EQ(got[1], 0);
    CHECK_EQ(got[2], 100);
    /* Only nodes that fit are compared: those of one zone are equal. */
    got = spread_scores(a, small(a, &s, SOFT(ZONE), zoned, "001"), some);
    CHECK_EQ(got[0], 100);
    CHECK_EQ(got[1], 100);
    CHECK_EQ(got[2], 0);
    got = spread_scores(a, small(a, &s, SOFT(ZONE), zoned, ""), all);
    CHECK_EQ(got[0], 100); /* nobody is anywhere: all the same */
    CHECK(!spread_scores(a, small(a, &s, HARD(ZONE), zoned, ""), all));
    arena_free(a);
}

TEST(spread_scores_of_nodes_without_a_label_are_the_least)
{
    struct arena *a = arena_new();
    struct small s;
    bool all[3] = {true, true, true};
    static const char *const labels[] = {"{\"" HOST "\":\"n0\"}",
                                         "{\"" HOST "\":\"n1\",\"" ZONE "\":\"a\"}",
                                         "{\"" HOST "\":\"n2\",\"" ZONE "\":\"b\"}", NULL};
    const int64_t *got =
        spread_scores(a, small(a, &s, SOFT(ZONE) "," SOFT(HOST), labels, "0001"), all);
    CHECK_EQ(got[0], 0);
    CHECK_EQ(got[1], 0);
    CHECK_EQ(got[2], 100);
    got = spread_scores(a, small(a, &s, SOFT(HOST) "," SOFT("rack"), labels, "0"), all);
    CHECK_EQ(got[0], 0);
    CHECK_EQ(got[1], 0);
    /* A pod on a node without a name, and one of another kind, are nowhere. */
    static const char *const one[] = {"{}", "{\"" HOST "\":\"n1\"}", NULL};
    const struct near_view *v = small(a, &s, SOFT(HOST), one, "01");
    s.pods[1].root = pod(a, "y", "");
    got = spread_scores(a, v, all);
    CHECK_EQ(got[0], 0);
    CHECK_EQ(got[1], 100);
    arena_free(a);
}
