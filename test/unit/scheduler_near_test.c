/* test/unit/scheduler_near_test.c: the scheduler among several nodes, with pods that have rules
 * about their neighbours. */
#include "client/client_body.h"
#include "codec/json.h"
#include "controller/controller.h"
#include "controller/controllers.h"
#include "kit/kit.h"
#include "sim/env_sim.h"
#include "sim/fake_client.h"
#include "sim/fake_node.h"

#define HOST "kubernetes.io/hostname"
#define ZONE "topology.kubernetes.io/zone"
#define TERM(app, key)                                                                             \
    "{\"labelSelector\":{\"matchLabels\":{\"app\":\"" app "\"}},\"topologyKey\":\"" key "\"}"
#define APART(app, key)                                                                            \
    "\"affinity\":{\"podAntiAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":"       \
    "[" TERM(app, key) "]}}"
#define NEAR(app, key)                                                                             \
    "\"affinity\":{\"podAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[" TERM(    \
        app, key) "]}}"

struct bed {
    struct env *env;
    struct fake_client *api;
    struct controllers *controllers;
    struct fake_node *kubelet;
};

static void node(struct bed *b, const char *name, const char *zone)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"labels\":{"
             "\"" HOST "\":\"%s\",\"" ZONE "\":\"%s\"}},\"spec\":{},\"status\":{\"allocatable\":{"
             "\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"110\"},\"conditions\":[{\"type\":"
             "\"Ready\",\"status\":\"True\"}]}}",
             name, name, zone);
    fake_client_create(b->api, text);
}

static void start(struct bed *b)
{
    static const struct controller_type *const only[] = {&controller_scheduler, NULL};
    b->controllers = controllers_new(b->env, fake_client_base(b->api),
                                     &(struct controllers_options){.only = only});
    env_sim_run_for(b->env, 1);
}

static void bed_init(struct bed *b, size_t nodes)
{
    static const char *const names[] = {"a", "b", "c"};
    *b = (struct bed){.env = env_sim_new(7)};
    b->api = fake_client_new(b->env);
    for (size_t i = 0; i < nodes; i++) {
        node(b, names[i], i < 2 ? "east" : "west");
    }
    b->kubelet = fake_node_new(fake_client_base(b->api),
                               &(struct fake_node_options){.start_ms = 1, .stop_ms = 50});
    start(b);
}

static void bed_done(struct bed *b)
{
    fake_node_free(b->kubelet);
    controllers_free(b->controllers);
    fake_client_free(b->api);
    env_sim_free(b->env);
}

static void pod_in(struct bed *b, const char *ns, const char *name, const char *app,
                   const char *spec)
{
    char text[2048];
    snprintf(text, sizeof text,
             "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
             "\"%s\",\"labels\":{\"app\":\"%s\"}},\"spec\":{\"containers\":[{\"name\":\"c\","
             "\"image\":\"x\"}]%s%s}}",
             name, ns, app, spec[0] ? "," : "", spec);
    fake_client_create(b->api, text);
}

static void pod(struct bed *b, const char *name, const char *app, const char *spec)
{
    pod_in(b, "default", name, app, spec);
    env_sim_run_for(b->env, 20);
}

static struct span node_in(struct bed *b, const char *ns, const char *name)
{
    struct object *o = fake_client_get(b->api, "", "Pod", ns, name);
    CHECK(o);
    return json_str(json_path(object_root(o), "spec", "nodeName", NULL));
}

static struct span node_of(struct bed *b, const char *name)
{
    return node_in(b, "default", name);
}

static struct span why(struct bed *b, const char *name)
{
    struct object *o = fake_client_get(b->api, "", "Pod", "default", name);
    CHECK(o);
    return json_get_str(client_condition(o, "PodScheduled"), "message");
}

static void relabel(struct bed *b, const char *name, const char *app)
{
    char text[128];
    snprintf(text, sizeof text, "{\"metadata\":{\"labels\":{\"app\":\"%s\"}}}", app);
    fake_client_patch(b->api, "", "Pod", "default", name, "", text);
    env_sim_run_for(b->env, 20);
}

static void delete (struct bed *b, const char *name)
{
    fake_client_delete(b->api, "", "Pod", "default", name, -1, CLIENT_PROPAGATION_DEFAULT);
}

static void check_apart(struct bed *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            char one[32], other[32];
            snprintf(one, sizeof one, "redis-%zu", i);
            snprintf(other, sizeof other, "redis-%zu", k);
            CHECK(node_of(b, one).n > 0);
            CHECK(!span_eq(node_of(b, one), node_of(b, other)));
        }
    }
}

TEST(scheduler_three_that_shun_each_other_land_on_three_nodes_even_all_at_once)
{
    struct bed b;
    bed_init(&b, 3);
    pod_in(&b, "default", "redis-0", "redis", APART("redis", HOST));
    pod_in(&b, "default", "redis-1", "redis", APART("redis", HOST));
    pod_in(&b, "default", "redis-2", "redis", APART("redis", HOST));
    env_sim_run_for(b.env, 50);
    check_apart(&b, 3);
    bed_done(&b);
}

TEST(scheduler_the_third_of_two_nodes_waits_by_name_until_a_third_joins)
{
    struct bed b;
    bed_init(&b, 2);
    pod(&b, "redis-0", "redis", APART("redis", HOST));
    pod(&b, "redis-1", "redis", APART("redis", HOST));
    pod(&b, "redis-2", "redis", APART("redis", HOST));
    CHECK_SPAN(why(&b, "redis-2"),
               "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. It must "
               "not share a node with redis-0 on a, redis-1 on b. preemption: 0/2 nodes are "
               "available: 2 No preemption victims found for incoming pod.");
    uint64_t before = fake_client_writes(b.api);
    env_sim_run_for(b.env, 600000);
    CHECK_EQ(fake_client_writes(b.api), before); /* it waits in silence */
    node(&b, "c", "west");
    env_sim_run_for(b.env, 20);
    check_apart(&b, 3);
    bed_done(&b);
}

TEST(scheduler_who_waits_for_room_is_told_by_a_deletion_or_another_label)
{
    struct bed b;
    bed_init(&b, 2);
    pod(&b, "redis-0", "redis", APART("redis", HOST));
    pod(&b, "redis-1", "redis", APART("redis", HOST));
    pod(&b, "redis-2", "redis", APART("redis", HOST));
    /* One that has the rule still shuns pods of that label when its own is another. */
    relabel(&b, "redis-0", "old");
    CHECK_EQ(node_of(&b, "redis-2").n, 0);
    delete (&b, "redis-0");
    env_sim_run_for(b.env, 100);
    CHECK_SPAN(node_of(&b, "redis-2"), "a");
    pod(&b, "redis-3", "redis", ""); /* the others shun it */
    CHECK_EQ(node_of(&b, "redis-3").n, 0);
    relabel(&b, "redis-3", "free");
    CHECK(node_of(&b, "redis-3").n > 0);
    bed_done(&b);
}

TEST(scheduler_a_relabelled_neighbour_lets_in_who_shunned_it)
{
    struct bed b;
    bed_init(&b, 1);
    pod(&b, "noisy", "noisy", "");
    pod(&b, "p", "quiet", APART("noisy", HOST));
    CHECK_EQ(node_of(&b, "p").n, 0);
    relabel(&b, "noisy", "tame");
    CHECK_SPAN(node_of(&b, "p"), "a");
    pod(&b, "q", "noisy", ""); /* p is there and shuns it: symmetry */
    CHECK_SPAN(why(&b, "q"), "0/1 nodes are available: 1 node(s) didn't satisfy existing pods "
                             "anti-affinity rules. Pods that are there must not share a node with "
                             "it: p on a. preemption: 0/1 nodes are available: 1 No preemption "
                             "victims found for incoming pod.");
    bed_done(&b);
}

TEST(scheduler_who_wants_company_waits_for_it_and_then_follows_it)
{
    struct bed b;
    bed_init(&b, 3);
    pod(&b, "web", "web", NEAR("cache", HOST));
    CHECK_EQ(node_of(&b, "web").n, 0);
    pod(&b, "other", "other", "");
    CHECK_EQ(node_of(&b, "web").n, 0);
    pod(&b, "cache", "cache", "");
    CHECK(node_of(&b, "cache").n > 0);
    CHECK(span_eq(node_of(&b, "web"), node_of(&b, "cache")));
    pod(&b, "first", "pack", NEAR("pack", HOST)); /* the first of its kind goes anywhere */
    pod(&b, "second", "pack", NEAR("pack", HOST));
    CHECK(node_of(&b, "first").n > 0);
    CHECK(span_eq(node_of(&b, "first"), node_of(&b, "second")));
    bed_done(&b);
}

TEST(scheduler_preferred_rules_move_pods_and_hold_nobody_back)
{
    struct bed b;
    bed_init(&b, 2);
    const char *apart =
        "\"affinity\":{\"podAntiAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[{"
        "\"weight\":100,\"podAffinityTerm\":" TERM("redis", HOST) "}]}}";
    pod(&b, "filler-0", "filler", "\"nodeName\":\"b\"");
    pod(&b, "filler-1", "filler", "\"nodeName\":\"b\"");
    pod(&b, "redis-0", "redis", apart);
    pod(&b, "redis-1", "redis", apart);
    CHECK_SPAN(node_of(&b, "redis-0"), "a");
    CHECK_SPAN(node_of(&b, "redis-1"), "b");
    pod(&b, "redis-2", "redis", apart);
    CHECK(node_of(&b, "redis-2").n > 0);
    bed_done(&b);
}

TEST(scheduler_spreads_over_zones_and_counts_none_that_stops)
{
    struct bed b;
    bed_init(&b, 3); /* a and b in the east, c in the west */
    const char *spread =
        "\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"" ZONE
        "\",\"whenUnsatisfiable\":\"DoNotSchedule\",\"labelSelector\":{\"matchLabels\":{\"app\":"
        "\"redis\"}}}]";
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "redis-%d", i);
        pod(&b, name, "redis", spread);
    }
    size_t west = 0;
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "redis-%d", i);
        west += span_eq_cstr(node_of(&b, name), "c");
    }
    CHECK_EQ(west, 2);
    fake_client_patch(b.api, "", "Node", "", "c", "", "{\"spec\":{\"unschedulable\":true}}");
    pod(&b, "redis-4", "redis", spread);
    pod(&b, "redis-5", "redis", spread);
    size_t wait = (node_of(&b, "redis-4").n == 0) + (node_of(&b, "redis-5").n == 0);
    CHECK_EQ(wait, 1); /* three in the east, two in the west */
    const char *late = node_of(&b, "redis-4").n ? "redis-5" : "redis-4";
    CHECK_SPAN(
        why(&b, late),
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod "
        "topology spread constraints. Pods that have the labels app=redis are spread over "
        "each zone with maxSkew 1: east has 3, west has 2. preemption: 0/3 nodes are "
        "available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found "
        "for incoming pod.");
    fake_node_set(b.kubelet, &(struct fake_node_options){.start_ms = 1, .stop_ms = 100000});
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "redis-%d", i);
        if (!span_eq_cstr(node_of(&b, name), "c")) {
            delete (&b, name); /* begins to stop, and stays for long */
            break;
        }
    }
    env_sim_run_for(b.env, 20);
    CHECK(node_of(&b, late).n > 0);
    bed_done(&b);
}

TEST(scheduler_rules_reach_into_namespaces_by_name_and_by_label)
{
    struct bed b;
    bed_init(&b, 2);
    fake_client_create(b.api,
                       "{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
                       "\"lab\",\"labels\":{\"team\":\"x\"}}}");
    pod_in(&b, "lab", "noisy", "noisy", "\"nodeName\":\"a\"");
    pod_in(&b, "lab", "loud", "loud", "\"nodeName\":\"b\"");
    env_sim_run_for(b.env, 20);
#define FAR(app, spaces)                                                                           \
    "\"affinity\":{\"podAntiAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[{"     \
    "\"labelSelector\":{\"matchLabels\":{\"app\":\"" app "\"}},\"topologyKey\":\"" HOST            \
    "\"," spaces "}]}}"
    pod(&b, "p", "p", FAR("noisy", "\"namespaces\":[\"lab\"]"));
    CHECK_SPAN(node_of(&b, "p"), "b");
    pod(&b, "q", "q", FAR("loud", "\"namespaceSelector\":{}"));
    CHECK_SPAN(node_of(&b, "q"), "a");
    const char *both =
        "\"affinity\":{\"podAntiAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[{"
        "\"labelSelector\":{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]},"
        "\"topologyKey\":\"" HOST "\",\"namespaceSelector\":{\"matchLabels\":{\"team\":\"x\"}}}]}}";
    pod(&b, "r", "r", both);
    CHECK_EQ(node_of(&b, "r").n, 0);
    fake_client_patch(b.api, "", "Namespace", "", "lab", "",
                      "{\"metadata\":{\"labels\":{\"team\":\"y\"}}}");
    env_sim_run_for(b.env, 20);
    CHECK(node_of(&b, "r").n > 0);
    /* And back: r is there and shuns whoever comes of such a namespace. */
    fake_client_patch(b.api, "", "Namespace", "", "lab", "",
                      "{\"metadata\":{\"labels\":{\"team\":\"x\"}}}");
    env_sim_run_for(b.env, 20);
    pod_in(&b, "lab", "late", "late", "");
    env_sim_run_for(b.env, 20);
    CHECK(node_in(&b, "lab", "late").n > 0);
    CHECK(!span_eq(node_in(&b, "lab", "late"), node_of(&b, "r")));
    bed_done(&b);
}

TEST(scheduler_a_new_one_knows_who_is_there)
{
    struct bed b;
    bed_init(&b, 2);
    pod(&b, "redis-0", "redis", APART("redis", HOST));
    pod(&b, "redis-1", "redis", APART("redis", HOST));
    controllers_free(b.controllers);
    start(&b);
    pod(&b, "redis-2", "redis", ""); /* no rule of its own */
    CHECK_EQ(node_of(&b, "redis-2").n, 0);
    CHECK(why(&b, "redis-2").n > 0);
    bed_done(&b);
}

static enum err_reason no_bindings(void *data, const struct client_request *request)
{
    bool *broken = data;
    bool binds = span_eq_cstr(request->subresource, "binding");
    return *broken && binds ? ERR_INTERNAL : ERR_NONE;
}

TEST(scheduler_a_pod_deleted_while_it_is_bound_keeps_nobody_out)
{
    struct bed b;
    bed_init(&b, 1);
    bool broken = true;
    fake_client_fault(b.api, no_bindings, &broken);
    pod_in(&b, "default", "one", "redis", APART("redis", HOST));
    pod_in(&b, "default", "two", "redis", APART("redis", HOST));
    env_sim_run_for(b.env, 1);
    delete (&b, "one");
    broken = false;
    env_sim_run_for(b.env, 60000);
    CHECK(node_of(&b, "two").n > 0);
    bed_done(&b);
}

static struct object *bound_elsewhere(struct bed *b)
{
    fake_client_patch(b->api, "", "Pod", "default", "one", "", "{\"spec\":{\"nodeName\":\"a\"}}");
    return fake_client_get(b->api, "", "Pod", "default", "one");
}

static enum err_reason bound_and_told_of_an_error(void *data, const struct client_request *request)
{
    bool binds = span_eq_cstr(request->subresource, "binding");
    return binds && span_eq_cstr(request->name, "one") && bound_elsewhere(data) ? ERR_INTERNAL
                                                                                : ERR_NONE;
}

TEST(scheduler_a_binding_whose_answer_is_lost_still_counts)
{
    struct bed b;
    bed_init(&b, 1);
    fake_node_set(b.kubelet, &(struct fake_node_options){.start_ms = 600000});
    fake_client_fault(b.api, bound_and_told_of_an_error, &b);
    pod(&b, "one", "redis", APART("redis", HOST));
    CHECK_SPAN(node_of(&b, "one"), "a");
    pod(&b, "two", "redis", APART("redis", HOST));
    env_sim_run_for(b.env, 60000);
    CHECK_EQ(node_of(&b, "two").n, 0);
    bed_done(&b);
}

/* ---- preemption ---- */

static struct object *get_pod(struct bed *b, const char *name)
{
    return fake_client_get(b->api, "", "Pod", "default", name);
}

static void ranked(struct bed *b, const char *name, const char *app, int priority, int cpu,
                   const char *rules)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"labels\":{"
             "\"app\":\"%s\"}},\"spec\":{\"priority\":%d,%s%s\"containers\":[{\"name\":\"c\","
             "\"resources\":{\"requests\":{\"cpu\":\"%d\"}}}]}}",
             name, app, priority, rules, rules[0] ? "," : "", cpu);
    fake_client_create(b->api, text);
    env_sim_run_for(b->env, 10);
}

static bool is_there(struct bed *b, const char *name)
{
    struct object *pod = get_pod(b, name);
    return pod && client_condition_true(pod, "Ready") && !object_is_deleting(pod);
}

TEST(scheduler_sends_a_neighbour_away_that_a_more_important_pod_must_not_have_and_keeps_its_place)
{
    struct bed b;
    bed_init(&b, 1);
    ranked(&b, "x", "x", 0, 1, "");
    ranked(&b, "y", "y", 0, 1, "");
    ranked(&b, "high", "h", 10, 1, APART("x", HOST));
    CHECK(object_is_deleting(get_pod(&b, "x")));
    CHECK(is_there(&b, "y"));
    ranked(&b, "again", "x", 0, 1, ""); /* whoever made the first one makes a new one */
    env_sim_run_for(b.env, 200);
    CHECK(is_there(&b, "high"));
    CHECK(is_there(&b, "y"));
    CHECK(!is_there(&b, "again"));
    bed_done(&b);
}

TEST(scheduler_sends_nobody_away_for_a_pod_that_needs_a_neighbour_of_those)
{
    struct bed b;
    bed_init(&b, 1);
    ranked(&b, "y", "y", 0, 2, "");
    ranked(&b, "x", "x", 0, 2, "");
    ranked(&b, "high", "h", 10, 2, NEAR("x", HOST));
    env_sim_run_for(b.env, 200);
    CHECK(is_there(&b, "x")); /* without it the other would wait for ever */
    CHECK(is_there(&b, "y")); /* as in Kubernetes */
    CHECK_SPAN(why(&b, "high"),
               "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are "
               "available: 1 node(s) didn't match pod affinity rules.");
    ranked(&b, "more", "x", 20, 0, "");
    fake_client_patch(b.api, "", "Node", "", "a", "", "{\"metadata\":{\"labels\":{\"l\":\"1\"}}}");
    env_sim_run_for(b.env, 200);
    CHECK(is_there(&b, "high")); /* there is one that stays */
    CHECK(is_there(&b, "x") != is_there(&b, "y"));
    bed_done(&b);
}
