/* test/unit/affinity_plan_test.c: plan/affinity_plan and plan/near_plan, by small worlds against a
 * second telling of the rules that counts nothing. */
#include "plan/affinity_plan.h"

#include "kit/kit.h"
#include "plan/schedule_plan.h"

#define HOST "kubernetes.io/hostname"
#define ZONE "topology.kubernetes.io/zone"
#define REQUIRED "\"requiredDuringSchedulingIgnoredDuringExecution\""
#define PREFERRED "\"preferredDuringSchedulingIgnoredDuringExecution\""
#define TERM(app, key)                                                                             \
    "{\"labelSelector\":{\"matchLabels\":{\"app\":\"" app "\"}},\"topologyKey\":\"" key "\"}"

static yyjson_val *parse(struct arena *a, const char *text)
{
    yyjson_doc *doc = NULL;
    struct err err;
    CHECK_EQ(json_parse(a, span_cstr(text), &doc, &err), 0);
    return yyjson_doc_get_root(doc);
}

static yyjson_val *pod(struct arena *a, const char *name, const char *app, const char *affinity)
{
    struct span text = arena_printf(a,
                                    "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"app\":\"%s\"}},"
                                    "\"spec\":{\"affinity\":{%s}}}",
                                    name, app, affinity);
    return parse(a, text.p);
}

/* ---- all small worlds ---- */

enum { NODES = 3, APPS = 2, SPACES = 2, RULES = 3, PODS = 2, WANTS = 5, SHUNS = 4 };
enum { KINDS = APPS * SPACES * RULES };

/* Another pod: which app it is, in which namespace, and by which key it shuns app x. */
struct other {
    int app, space, rule, node;
};

struct world {
    int zone[NODES]; /* 0: has no such label */
    struct other pods[PODS];
    int want, shun, app;
};

static const char *const apps[] = {"x", "y"}, *const spaces[] = {"one", "two"};
static const char *const rules[] = {"", "\"podAntiAffinity\":{" REQUIRED ":[" TERM("x", HOST) "]}",
                                    "\"podAntiAffinity\":{" REQUIRED
                                    ":[{\"labelSelector\":{\"matchLabels\":{\"app\":\"x\"}},"
                                    "\"topologyKey\":\"" ZONE "\",\"namespaceSelector\":{}}]}"};
static const char *const wants[WANTS] = {
    "", TERM("x", ZONE), TERM("y", HOST), TERM("x", HOST) "," TERM("y", ZONE),
    "{\"labelSelector\":{\"matchLabels\":{\"app\":\"x\"}},\"topologyKey\":\"" ZONE
    "\",\"namespaces\":[\"two\"]}"};
static const char *const shuns[SHUNS] = {
    "", TERM("x", HOST), TERM("y", ZONE),
    "{\"labelSelector\":{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"In\",\"values\":["
    "\"x\"]}]},\"topologyKey\":\"" HOST "\",\"namespaceSelector\":{\"matchLabels\":{\"team\":\"b\"}"
    "}}"};

/* The same rules once more, as predicates. The pod to be placed is in namespace one. */
static bool wanted_matches(int want, int app, int space)
{
    return want == 1   ? app == 0 && space == 0
           : want == 2 ? app == 1 && space == 0
           : want == 4 ? app == 0 && space == 1
                       : false; /* 3: nobody is both x and y */
}

static bool shunned_matches(int shun, int app, int space)
{
    return shun == 1   ? app == 0 && space == 0
           : shun == 2 ? app == 1 && space == 0
           : shun == 3 ? app == 0 && space == 1
                       : false;
}

static bool together(const struct world *w, int a, int b, bool by_zone)
{
    return by_zone ? w->zone[a] && w->zone[a] == w->zone[b] : a == b;
}

static enum affinity_refusal expected(const struct world *w, int node)
{
    bool by_zone = w->want == 1 || w->want == 4, found = false, anywhere = false;
    if (w->want) {
        if ((by_zone || w->want == 3) && !w->zone[node]) {
            return AFFINITY_MISSES;
        }
        for (int i = 0; i < PODS; i++) {
            const struct other *o = &w->pods[i];
            bool counts = wanted_matches(w->want, o->app, o->space);
            anywhere |= counts && (!by_zone || w->zone[o->node]);
            found |= counts && together(w, node, o->node, by_zone);
        }
        bool first = !anywhere && wanted_matches(w->want, w->app, 0);
        if (!found && !first) {
            return AFFINITY_MISSES;
        }
    }
    for (int i = 0; i < PODS; i++) {
        const struct other *o = &w->pods[i];
        if (shunned_matches(w->shun, o->app, o->space) &&
            together(w, node, o->node, w->shun == 2)) {
            return AFFINITY_AVOIDS;
        }
    }
    for (int i = 0; i < PODS; i++) {
        const struct other *o = &w->pods[i];
        bool covers = o->rule == 2 || (o->rule == 1 && o->space == 0);
        if (covers && w->app == 0 && together(w, node, o->node, o->rule == 2)) {
            return AFFINITY_AVOIDED;
        }
    }
    return AFFINITY_FITS;
}

/* Everything that worlds are made of, parsed once. */
struct pieces {
    yyjson_val *others[KINDS], *own[APPS][WANTS][SHUNS], *labels[NODES][3], *spaces[SPACES];
};

static void pieces_init(struct arena *a, struct pieces *p)
{
    for (int k = 0; k < KINDS; k++) {
        p->others[k] = pod(a, "o", apps[k % APPS], rules[k / (APPS * SPACES)]);
    }
    for (int i = 0; i < APPS * WANTS * SHUNS; i++) {
        int app = i % APPS, want = i / APPS % WANTS, shun = i / APPS / WANTS;
        struct span affinity = arena_printf(
            a, "\"podAffinity\":{" REQUIRED ":[%s]},\"podAntiAffinity\":{" REQUIRED ":[%s]}",
            wants[want], shuns[shun]);
        p->own[app][want][shun] = pod(a, "p", apps[app], affinity.p);
    }
    for (int n = 0; n < NODES; n++) {
        for (int z = 0; z < 3; z++) {
            struct span zone = z ? arena_printf(a, ",\"" ZONE "\":\"z%d\"", z) : SPAN("");
            p->labels[n][z] =
                parse(a, arena_printf(a, "{\"" HOST "\":\"n%d\"%.*s}", n, SPAN_ARG(zone)).p);
        }
    }
    p->spaces[0] = parse(a, "{\"team\":\"a\"}");
    p->spaces[1] = parse(a, "{\"team\":\"b\"}");
}

static void check_world(struct arena *a, const struct pieces *p, const struct world *w)
{
    struct near_pod pods[PODS];
    struct schedule_node nodes[NODES];
    static const char *const names[] = {"n0", "n1", "n2"};
    for (int i = 0; i < PODS; i++) {
        const struct other *o = &w->pods[i];
        pods[i] =
            (struct near_pod){p->others[o->app + APPS * (o->space + SPACES * o->rule)],
                              span_cstr(spaces[o->space]), p->spaces[o->space], (size_t)o->node};
    }
    struct near_view view = {
        .pod = {p->own[w->app][w->want][w->shun], SPAN("one"), p->spaces[0], 0},
        .pods = pods,
        .pod_count = PODS};
    bool any = false, fits[NODES];
    for (int n = 0; n < NODES; n++) {
        nodes[n] = (struct schedule_node){.name = span_cstr(names[n]),
                                          .labels = p->labels[n][w->zone[n]],
                                          .selector_fits = true,
                                          .volumes_reachable = true,
                                          .pods = 110};
        fits[n] = expected(w, n) == AFFINITY_FITS;
        any |= fits[n];
    }
    struct schedule_view all = {.nodes = nodes, .node_count = NODES, .near = &view};
    struct schedule_plan plan = schedule_plan(a, &all);
    CHECK_EQ(plan.fits, any);
    CHECK(!plan.fits || fits[plan.node]);
    CHECK_EQ(plan.near, !any);
    struct near_node flat[NODES];
    for (int n = 0; n < NODES; n++) {
        flat[n] = (struct near_node){nodes[n].name, nodes[n].labels, true, false};
    }
    view.nodes = flat;
    view.node_count = NODES;
    struct affinity_plan affinity = affinity_plan(a, &view);
    for (int n = 0; n < NODES; n++) {
        CHECK_EQ(affinity.refusals[n], expected(w, n));
    }
}

TEST(affinity_of_every_small_world_is_as_the_rules_say)
{
    struct arena *a = arena_new(), *turn = arena_new();
    struct pieces p;
    pieces_init(a, &p);
    size_t worlds = 0;
    static const int zones[][NODES] = {{0, 0, 0}, {1, 1, 2}, {1, 2, 0}, {0, 1, 1}};
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        for (int pair = 0; pair < KINDS * NODES * KINDS * NODES; pair++) {
            struct world w;
            memcpy(w.zone, zones[z], sizeof w.zone);
            for (int i = 0, rest = pair; i < PODS; i++) {
                int kind = rest % KINDS;
                rest /= KINDS;
                w.pods[i] = (struct other){kind % APPS, kind / APPS % SPACES,
                                           kind / (APPS * SPACES), rest % NODES};
                rest /= NODES;
            }
            /* Each pair of pods meets every rule of the pod, over the zones. */
            for (int own = pair % 4 + (int)z; own < APPS * WANTS * SHUNS; own += 4) {
                w.app = own % APPS;
                w.want = own / APPS % WANTS;
                w.shun = own / APPS / WANTS;
                check_world(turn, &p, &w);
                arena_clear(turn);
                worlds++;
            }
        }
    }
    CHECK(worlds > 40000);
    arena_free(turn);
    arena_free(a);
}

/* ---- terms ---- */

static bool matches(struct arena *a, const char *term, const char *ns, const char *ns_labels)
{
    struct near_pod of = {
        .root = pod(a, "p", "x", arena_printf(a, "\"podAffinity\":{" REQUIRED ":[%s]}", term).p),
        .ns = SPAN("one")};
    struct near_pod other = {.root = pod(a, "o", "x", ""),
                             .ns = span_cstr(ns),
                             .ns_labels = ns_labels ? parse(a, ns_labels) : NULL};
    const struct near_term *terms = NULL;
    CHECK_EQ(near_terms(a, &of, "podAffinity", true, &terms), 1);
    CHECK_EQ(terms[0].weight, 1);
    return near_term_matches(&terms[0], &other);
}

TEST(affinity_terms_choose_namespaces_and_labels)
{
    struct arena *a = arena_new();
    CHECK(matches(a, TERM("x", HOST), "one", NULL));
    CHECK(!matches(a, TERM("x", HOST), "two", NULL));
    CHECK(!matches(a, TERM("y", HOST), "one", NULL));
#define X "\"labelSelector\":{\"matchLabels\":{\"app\":\"x\"}}"
    CHECK(matches(a, "{" X ",\"namespaces\":[]}", "one", NULL));
    CHECK(matches(a, "{" X ",\"namespaces\":[\"two\",\"three\"]}", "three", NULL));
    CHECK(matches(a, "{" X ",\"namespaces\":[\"two\",\"three\"]}", "two", NULL));
    CHECK(!matches(a, "{" X ",\"namespaces\":[\"two\"]}", "one", NULL));
    CHECK(matches(a, "{" X ",\"namespaceSelector\":{}}", "two", NULL));
    CHECK(matches(a, "{" X ",\"namespaceSelector\":{}}", "one", NULL));
    CHECK(matches(a, "{" X ",\"namespaceSelector\":{\"matchLabels\":{\"t\":\"1\"}}}", "two",
                  "{\"t\":\"1\"}"));
    CHECK(!matches(a, "{" X ",\"namespaceSelector\":{\"matchLabels\":{\"t\":\"1\"}}}", "one",
                   "{\"t\":\"2\"}"));
    CHECK(matches(a,
                  "{" X ",\"namespaces\":[\"one\"],\"namespaceSelector\":{\"matchLabels\":{\"t\":"
                  "\"1\"}}}",
                  "one", NULL));
    CHECK(!matches(a, "{\"topologyKey\":\"k\"}", "one", NULL)); /* no selector: nobody */
    CHECK(matches(a, "{\"labelSelector\":{}}", "one", NULL));   /* an empty one: everybody */
    CHECK(!matches(a,
                   "{\"labelSelector\":{\"matchExpressions\":[{\"key\":\"a\",\"operator\":"
                   "\"Like\"}]}}",
                   "one", NULL));
    CHECK(!near_pod_has_terms(parse(a, "{\"affinity\":{\"nodeAffinity\":{}}}")));
    CHECK(!near_pod_has_terms(parse(a, "{}")));
    CHECK(near_pod_has_terms(parse(a, "{\"affinity\":{\"podAffinity\":{}}}")));
    CHECK(near_pod_has_spread(parse(a, "{\"topologySpreadConstraints\":[{}]}")));
    CHECK(!near_pod_has_spread(parse(a, "{}")));
    CHECK(near_pod_has_terms(parse(a, "{\"affinity\":{\"podAntiAffinity\":{}}}")));
    arena_free(a);
}

TEST(affinity_concerns_whoever_matches_a_required_rule)
{
    struct arena *a = arena_new();
    static const struct {
        const char *waiting, *other;
        bool concerned;
    } cases[] = {
        {"", "", false},
        {"\"podAffinity\":{" REQUIRED ":[" TERM("y", HOST) "]}", "", true},
        {"\"podAffinity\":{" REQUIRED ":[" TERM("z", HOST) "]}", "", false},
        {"\"podAffinity\":{" REQUIRED ":[" TERM("y", HOST) "," TERM("z", HOST) "]}", "", true},
        {"\"podAntiAffinity\":{" REQUIRED ":[" TERM("y", HOST) "]}", "", true},
        {"\"podAntiAffinity\":{" PREFERRED
         ":[{\"weight\":1,\"podAffinityTerm\":" TERM("y", HOST) "}]}",
         "", false},
        {"", "\"podAntiAffinity\":{" REQUIRED ":[" TERM("x", HOST) "]}", true},
        {"", "\"podAffinity\":{" REQUIRED ":[" TERM("x", HOST) "]}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct near_pod w = {.root = pod(a, "w", "x", cases[i].waiting), .ns = SPAN("one")};
        struct near_pod o = {.root = pod(a, "o", "y", cases[i].other), .ns = SPAN("one")};
        CHECK_EQ(near_concerns(a, &w, &o), cases[i].concerned);
    }
    struct near_pod o = {.root = pod(a, "o", "y", ""), .ns = SPAN("one")};
    static const char *const actions[] = {"DoNotSchedule", "ScheduleAnyway"};
    const struct near_term *terms = NULL;
    for (size_t i = 0; i < 2; i++) {
        struct span text =
            arena_printf(a,
                         "{\"spec\":{\"topologySpreadConstraints\":[{\"topologyKey\":\"k\","
                         "\"whenUnsatisfiable\":\"%s\",\"labelSelector\":{\"matchLabels\":{"
                         "\"app\":\"y\"}}}]}}",
                         actions[i]);
        struct near_pod w = {.root = parse(a, text.p), .ns = SPAN("one")};
        CHECK_EQ(near_concerns(a, &w, &o), i == 0);
        CHECK_EQ(near_spread(a, &w, NULL, &terms), 1);
        CHECK_SPAN(terms[0].key, "k");
    }
    arena_free(a);
}

/* ---- scores ---- */

static const int64_t *scores(struct arena *a, const char *own, const char *theirs)
{
    struct near_node *nodes = ARENA_ARRAY(a, struct near_node, 3);
    for (int i = 0; i < 3; i++) {
        struct span zone = i < 2 ? arena_printf(a, ",\"" ZONE "\":\"z%d\"", i) : SPAN("");
        struct span name = arena_printf(a, "n%d", i);
        nodes[i].name = name;
        nodes[i].labels =
            parse(a, arena_printf(a, "{\"" HOST "\":\"%s\"%.*s}", name.p, SPAN_ARG(zone)).p);
    }
    struct near_pod *pods = ARENA_ARRAY(a, struct near_pod, 3);
    for (size_t i = 0; i < 3; i++) { /* two on n0, one on n2 */
        pods[i] = (struct near_pod){pod(a, "o", "y", theirs), SPAN("one"), NULL, i == 2 ? 2 : 0};
    }
    struct near_view v = {.pod = {pod(a, "p", "x", own), SPAN("one"), NULL, 0},
                          .nodes = nodes,
                          .node_count = 3,
                          .pods = pods,
                          .pod_count = 3};
    struct affinity_plan plan = affinity_plan(a, &v);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(plan.refusals[i], AFFINITY_FITS);
    }
    CHECK_SPAN(affinity_note(a, &v, &plan, (bool[]){true, true, true}), "");
    return plan.scores;
}

TEST(affinity_scores_are_the_weights_of_both_sides)
{
    struct arena *a = arena_new();
#define LIKES(list, weight, app, key)                                                              \
    "\"" list "\":{" PREFERRED ":[{\"weight\":" weight ",\"podAffinityTerm\":" TERM(app, key) "}]" \
                                                                                              "}"
    static const struct {
        const char *own, *theirs;
        int64_t scores[3];
    } cases[] = {
        {LIKES("podAffinity", "10", "y", HOST), "", {20, 0, 10}},
        {LIKES("podAffinity", "10", "y", ZONE), "", {20, 0, 0}},
        {LIKES("podAntiAffinity", "7", "y", HOST), "", {-14, 0, -7}},
        {LIKES("podAffinity", "101", "y", HOST), "", {0, 0, 0}},
        {LIKES("podAffinity", "0", "y", HOST), "", {0, 0, 0}},
        {"", LIKES("podAffinity", "3", "x", HOST), {6, 0, 3}},
        {"", LIKES("podAntiAffinity", "3", "x", HOST), {-6, 0, -3}},
        {"", "\"podAffinity\":{" REQUIRED ":[" TERM("x", HOST) "]}", {2, 0, 1}},
        {LIKES("podAffinity", "5", "y", HOST), LIKES("podAntiAffinity", "3", "x", ZONE), {4, 0, 5}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t *got = scores(a, cases[i].own, cases[i].theirs);
        CHECK(got);
        for (int n = 0; n < 3; n++) {
            CHECK_EQ(got[n], cases[i].scores[n]);
        }
    }
    CHECK(!scores(a, "", ""));
    CHECK(!scores(a, LIKES("podAffinity", "5", "z", HOST), LIKES("podAffinity", "5", "z", HOST)));
    arena_free(a);
}

TEST(affinity_scores_are_stretched_from_0_to_100_over_the_nodes_that_fit)
{
    bool fits[4] = {true, true, false, true};
    int64_t s[4] = {-5, 5, 90, 0};
    affinity_normalize(s, fits, 4);
    CHECK_EQ(s[0], 0);
    CHECK_EQ(s[1], 100);
    CHECK_EQ(s[2], 0);
    CHECK_EQ(s[3], 50);
    int64_t same[2] = {7, 7};
    affinity_normalize(same, fits, 2);
    CHECK_EQ(same[0], 0);
    CHECK_EQ(same[1], 0);
    affinity_normalize(same, fits, 0);
}

TEST(affinity_and_spread_of_a_pod_count_together)
{
    struct arena *a = arena_new();
    struct schedule_node n[3];
    static const char *const names[] = {"n0", "n1", "n2"};
    for (size_t i = 0; i < 3; i++) {
        n[i] = (struct schedule_node){.name = span_cstr(names[i]),
                                      .selector_fits = true,
                                      .volumes_reachable = true,
                                      .pods = 110};
        n[i].labels = parse(a, arena_printf(a, "{\"" HOST "\":\"%s\",\"" ZONE "\":\"%s\"}",
                                            names[i], i == 2 ? "west" : "east")
                                   .p);
    }
    /* Two of app y on n0, one on n2: it wants away from y, and its own kind, x, spread. */
    struct near_pod pods[] = {{pod(a, "y0", "y", ""), SPAN("one"), NULL, 0},
                              {pod(a, "y1", "y", ""), SPAN("one"), NULL, 2},
                              {pod(a, "x0", "x", ""), SPAN("one"), NULL, 1}};
#define SPREAD(action)                                                                             \
    "\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"" ZONE                        \
    "\",\"whenUnsatisfiable\":\"" action                                                           \
    "\",\"labelSelector\":{\"matchLabels\":{\"app\":\"x\"}}}]"
#define POD_OF(affinity, spread)                                                                   \
    parse(a, "{\"metadata\":{\"name\":\"p\",\"labels\":{\"app\":\"x\"}},\"spec\":{\"affinity\":"   \
             "{" affinity "}," spread "}}")
    struct near_view near = {.pods = pods, .pod_count = 3};
    struct schedule_view v = {.nodes = n, .node_count = 3, .near = &near};
    near.pod = (struct near_pod){
        POD_OF(LIKES("podAntiAffinity", "1", "y", HOST), SPREAD("ScheduleAnyway")), SPAN("one"),
        NULL, 0};
    struct schedule_plan plan = schedule_plan(a, &v);
    CHECK(plan.fits);
    CHECK_EQ(plan.node, 1); /* 100 of affinity; n2 has 100 of spread: the first */
    near.pod.root =
        POD_OF("\"podAntiAffinity\":{" REQUIRED ":[" TERM("y", HOST) "]}", SPREAD("DoNotSchedule"));
    plan = schedule_plan(a, &v);
    CHECK(!plan.fits);
    CHECK_SPAN(plan.message,
               "0/3 nodes are available: 1 node(s) didn't match pod anti-affinity rules, 2 node(s) "
               "didn't match pod topology spread constraints. Pods that have the labels app=x are "
               "spread over each zone with maxSkew 1: east has 1, west has 0. It must not share a "
               "node with y0 on n0, y1 on n2.");
    /* Affinity is no reason of a node that counts under spread. */
    pods[1].node = 0;
    n[2].unschedulable = true;
    plan = schedule_plan(a, &v);
    CHECK_SPAN(plan.message,
               "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod "
               "topology spread constraints. Pods that have the labels app=x are spread over each "
               "zone with maxSkew 1: east has 1, west has 0.");
    v.obstacle = SPAN("no claim");
    CHECK_SPAN(schedule_plan(a, &v).message, "0/3 nodes are available: no claim.");
    arena_free(a);
}

/* ---- sentences ---- */

static struct span message(struct arena *a, const char *own, const char *theirs, size_t nodes,
                           size_t pods)
{
    struct schedule_node *n = ARENA_ARRAY(a, struct schedule_node, nodes + 1);
    struct near_pod *p = ARENA_ARRAY(a, struct near_pod, pods + 1);
    for (size_t i = 0; i < nodes; i++) {
        struct span name = arena_printf(a, "n%zu", i);
        n[i] = (struct schedule_node){
            .name = name, .selector_fits = true, .volumes_reachable = true, .pods = 110};
        n[i].labels = parse(a, arena_printf(a, "{\"" HOST "\":\"%s\"}", name.p).p);
    }
    for (size_t i = 0; i < pods; i++) {
        struct span name = arena_printf(a, "redis-%zu", i);
        p[i] = (struct near_pod){pod(a, name.p, "x", theirs), i == 3 ? SPAN("two") : SPAN("one"),
                                 NULL, (pods - 1 - i) % nodes};
    }
    struct near_view near = {
        .pod = {pod(a, "p", "x", own), SPAN("one"), NULL, 0}, .pods = p, .pod_count = pods};
    struct schedule_view v = {.nodes = n, .node_count = nodes, .near = &near};
    struct schedule_plan plan = schedule_plan(a, &v);
    CHECK(!plan.fits);
    CHECK(plan.near);
    return plan.message;
}

TEST(affinity_messages_name_the_pods_in_the_way)
{
    struct arena *a = arena_new();
#define APART(app, key) "\"podAntiAffinity\":{" REQUIRED ":[" TERM(app, key) "]}"
#define NEAR(app, key) "\"podAffinity\":{" REQUIRED ":[" TERM(app, key) "]}"
    CHECK_SPAN(message(a, APART("x", HOST), "", 2, 2),
               "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. It must "
               "not share a node with redis-1 on n0, redis-0 on n1.");
    CHECK_SPAN(message(a, "", APART("x", HOST), 2, 2),
               "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity "
               "rules. Pods that are there must not share a node with it: redis-1 on n0, redis-0 "
               "on n1.");
    CHECK_SPAN(message(a, NEAR("y", HOST), "", 2, 0),
               "0/2 nodes are available: 2 node(s) didn't match pod affinity rules. It must share "
               "a node with a pod that has the labels app=y.");
    CHECK_SPAN(message(a, NEAR("x", ZONE), "", 1, 0),
               "0/1 nodes are available: 1 node(s) didn't match pod affinity rules. It must share "
               "a zone with a pod that has the labels app=x.");
    CHECK_SPAN(
        message(a,
                "\"podAffinity\":{" REQUIRED ":[{\"topologyKey\":\"rack\"},{\"labelSelector\":{},"
                "\"topologyKey\":\"topology.kubernetes.io/region\"}]}",
                "", 1, 0),
        "0/1 nodes are available: 1 node(s) didn't match pod affinity rules. It must share a value "
        "of the node label rack with a pod that its labelSelector, which is not set, chooses and "
        "share a region with any pod.");
    struct span many =
        message(a,
                "\"podAntiAffinity\":{" REQUIRED ":[{\"labelSelector\":{},\"namespaceSelector\":{},"
                "\"topologyKey\":\"" HOST "\"}]}",
                "", 2, 6);
    CHECK_SPAN(many, "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. It "
                     "must not share a node with redis-1 on n0, two/redis-3 on n0, redis-5 on n0 "
                     "and 3 more.");
    arena_free(a);
}
