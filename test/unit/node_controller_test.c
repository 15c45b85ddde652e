/* test/unit/node_controller_test.c: nodes that are lost, cordoned and tainted, and what becomes of
 * the pods there. */
#include "client/client_body.h"
#include "codec/time.h"
#include "controller/controller.h"
#include "kit/controller_kit.h"
#include "kit/kit.h"
#include "schema/status.h"
#include "sim/env_sim.h"
#include "sim/fake_client.h"
#include "sim/fake_node.h"

#define TOLERATES(key, more)                                                                       \
    "{\"key\":\"" key "\",\"operator\":\"Exists\",\"effect\":\"NoExecute\"" more "}"
#define FIVE_MINUTES TOLERATES("node.kubernetes.io/unreachable", ",\"tolerationSeconds\":300")
#define READY "[{\"type\":\"Ready\",\"status\":\"True\"}]"

enum { BEAT_MS = 20 * 1000 };

struct bed {
    struct env *env;
    struct fake_client *api;
    struct controllers *controllers;
    struct fake_node *agent; /* of all nodes */
    int beats;
    const char *beating[4]; /* nodes whose agents are there */
};

static struct object *get(struct bed *b, const char *kind, const char *name)
{
    return fake_client_get(b->api, "", kind, !strcmp(kind, "Node") ? "" : "default", name);
}

static void node(struct bed *b, const char *name, const char *zone, const char *conditions)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"labels\":{"
             "\"topology.kubernetes.io/zone\":\"%s\"}},\"spec\":{},\"status\":{\"conditions\":%s}}",
             name, zone, conditions);
    fake_client_create(b->api, text);
    snprintf(text, sizeof text,
             "{\"kind\":\"Lease\",\"apiVersion\":\"coordination.k8s.io/v1\",\"metadata\":{"
             "\"name\":\"%s\",\"namespace\":\"kube-node-lease\"},\"spec\":{}}",
             name);
    fake_client_create(b->api, text);
    for (size_t i = 0; i < 4; i++) {
        if (!b->beating[i]) {
            b->beating[i] = name;
            return;
        }
    }
}

static void fall_silent(struct bed *b, const char *name)
{
    for (size_t i = 0; i < 4; i++) {
        if (b->beating[i] && !strcmp(b->beating[i], name)) {
            b->beating[i] = NULL;
        }
    }
}

static void run_for(struct bed *b, int64_t ms)
{
    while (ms > 0) {
        for (size_t i = 0; i < 4; i++) {
            char text[64];
            snprintf(text, sizeof text, "{\"spec\":{\"renewTime\":\"%d\"}}", b->beats++);
            if (b->beating[i]) {
                fake_client_patch(b->api, "coordination.k8s.io", "Lease", "kube-node-lease",
                                  b->beating[i], "", text);
            }
        }
        env_sim_run_for(b->env, ms < BEAT_MS ? ms : BEAT_MS);
        ms -= BEAT_MS;
    }
}

static void bed_init(struct bed *b)
{
    static const struct controller_type *const only[] = {&controller_node, &controller_taint, NULL};
    *b = (struct bed){.env = env_sim_new(11)};
    b->api = fake_client_new(b->env);
    node(b, "one", "", READY);
    node(b, "two", "", READY);
    b->controllers = controllers_new(b->env, fake_client_base(b->api),
                                     &(struct controllers_options){.only = only});
    b->agent = fake_node_new(fake_client_base(b->api),
                             &(struct fake_node_options){.start_ms = 10, .stop_ms = 10});
    env_sim_run_for(b->env, 0);
    CHECK(controllers_running(b->controllers));
}

/* From now on no pod's end is confirmed. */
static void lose_agents(struct bed *b)
{
    fake_node_set(b->agent,
                  &(struct fake_node_options){.start_ms = 10, .stop_ms = 1000 * 1000 * 1000});
}

static void bed_done(struct bed *b)
{
    fake_node_free(b->agent);
    controllers_free(b->controllers);
    fake_client_free(b->api);
    env_sim_free(b->env);
}

static void pod(struct bed *b, const char *name, const char *on, const char *tolerations)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\"},\"spec\":{"
             "\"nodeName\":\"%s\",\"containers\":[{\"name\":\"c\",\"image\":\"x\"}],"
             "\"tolerations\":[%s]}}",
             name, on, tolerations);
    fake_client_create(b->api, text);
    env_sim_run_for(b->env, 100);
    CHECK(client_condition_true(get(b, "Pod", name), "Ready"));
}

static void taint(struct bed *b, const char *name, const char *taints)
{
    char text[512];
    snprintf(text, sizeof text, "{\"spec\":{\"taints\":%s}}", taints);
    fake_client_patch(b->api, "", "Node", "", name, "", text);
    env_sim_run_for(b->env, 100);
}

static void say(struct bed *b, const char *name, const char *conditions)
{
    char text[512];
    snprintf(text, sizeof text, "{\"status\":{\"conditions\":%s}}", conditions);
    fake_client_patch(b->api, "", "Node", "", name, "status", text);
    env_sim_run_for(b->env, 100);
}

/* Keys (without what is before the slash) and effects: "not-ready:NoSchedule gone:NoExecute". */
static const char *taints(struct bed *b, const char *name)
{
    static char text[512];
    size_t n = 0;
    text[0] = 0;
    JSON_EACH(it, json_path(object_root(get(b, "Node", name)), "spec", "taints", NULL))
    {
        struct span key = json_get_str(it.val, "key");
        size_t slash = span_rfind(key, '/');
        key = slash < key.n ? span_from(key, slash + 1) : key;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s:%.*s", n ? " " : "", SPAN_ARG(key),
                              SPAN_ARG(json_get_str(it.val, "effect")));
    }
    return text;
}
#define CHECK_TAINTS(b, name, text) CHECK_SPAN(span_cstr(taints(b, name)), text)

static int64_t events(struct bed *b, const char *reason, const char *message)
{
    return controller_kit_events(b->api, reason, message);
}

static bool is_going(struct bed *b, const char *name)
{
    struct object *o = get(b, "Pod", name);
    return !o || object_is_deleting(o);
}

/* ---- lost nodes ---- */

TEST(node_that_falls_silent_is_tainted_and_its_pods_stay_terminating)
{
    struct bed b;
    bed_init(&b);
    pod(&b, "p", "one", FIVE_MINUTES);
    run_for(&b, 80000);
    CHECK(client_condition_true(get(&b, "Node", "one"), "Ready"));
    lose_agents(&b);
    fall_silent(&b, "one");
    run_for(&b, 60000);
    struct object *one = get(&b, "Node", "one");
    CHECK_SPAN(json_get_str(client_condition(one, "Ready"), "status"), "Unknown");
    CHECK_SPAN(json_get_str(client_condition(one, "Ready"), "reason"), "NodeStatusUnknown");
    CHECK_SPAN(json_get_str(client_condition(one, "PIDPressure"), "reason"),
               "NodeStatusNeverUpdated");
    CHECK_TAINTS(&b, "one", "unreachable:NoSchedule unreachable:NoExecute");
    CHECK_EQ(events(&b, "NodeNotReady", "Node one status is now: NodeNotReady"), 1);
    CHECK_EQ(events(&b, "NodeNotReady", "Node is not ready"), 1);
    CHECK(!client_condition_true(get(&b, "Pod", "p"), "Ready"));
    run_for(&b, 270000);
    CHECK(!is_going(&b, "p"));
    run_for(&b, 40000);
    CHECK(get(&b, "Pod", "p")); /* nobody has confirmed its end */
    CHECK(is_going(&b, "p"));
    CHECK_SPAN(json_get_str(client_condition(get(&b, "Pod", "p"), "DisruptionTarget"), "reason"),
               "DeletionByTaintManager");
    CHECK_EQ(events(&b, "TaintManagerEviction", "Marking for deletion Pod default/p"), 1);
    say(&b, "one", READY);
    CHECK_TAINTS(&b, "one", "");
    bed_done(&b);
}

TEST(node_that_is_back_in_time_keeps_its_pods)
{
    struct bed b;
    bed_init(&b);
    pod(&b, "p", "one", FIVE_MINUTES);
    lose_agents(&b);
    fall_silent(&b, "one");
    run_for(&b, 200000);
    CHECK_TAINTS(&b, "one", "unreachable:NoSchedule unreachable:NoExecute");
    say(&b, "one", "[{\"type\":\"Ready\",\"status\":\"False\"}]");
    CHECK_TAINTS(&b, "one", "not-ready:NoSchedule not-ready:NoExecute");
    CHECK(is_going(&b, "p")); /* that one it does not tolerate */
    CHECK_EQ(events(&b, "TaintManagerEviction", "Cancelling deletion of Pod default/p"), 1);
    pod(&b, "q", "two", FIVE_MINUTES);
    fall_silent(&b, "two");
    say(&b, "one", READY);
    b.beating[0] = "one";
    run_for(&b, 200000);
    CHECK_TAINTS(&b, "two", "unreachable:NoSchedule unreachable:NoExecute");
    say(&b, "two", READY);
    CHECK_EQ(events(&b, "TaintManagerEviction", "Cancelling deletion of Pod default/q"), 1);
    run_for(&b, 10000);
    CHECK(!is_going(&b, "q"));
    bed_done(&b);
}

TEST(where_no_node_is_ready_no_pod_is_ended)
{
    struct bed b;
    bed_init(&b);
    pod(&b, "p", "one", FIVE_MINUTES);
    pod(&b, "q", "two", "");
    lose_agents(&b);
    fall_silent(&b, "one");
    run_for(&b, 100000);
    CHECK_TAINTS(&b, "one", "unreachable:NoSchedule unreachable:NoExecute");
    fall_silent(&b, "two");
    run_for(&b, 400000);
    CHECK_TAINTS(&b, "one", "unreachable:NoSchedule");
    CHECK_TAINTS(&b, "two", "unreachable:NoSchedule");
    CHECK(!is_going(&b, "p"));
    CHECK(!is_going(&b, "q"));
    say(&b, "two", READY);
    CHECK_TAINTS(&b, "one", "unreachable:NoSchedule unreachable:NoExecute");
    CHECK_TAINTS(&b, "two", "");
    CHECK(!is_going(&b, "p")); /* it has its five minutes again */
    bed_done(&b);
}

TEST(while_most_of_a_zone_is_lost_no_more_pods_are_ended)
{
    struct bed b;
    bed_init(&b);
    node(&b, "three", "", READY);
    node(&b, "four", "", READY);
    run_for(&b, 10);
    fall_silent(&b, "one");
    fall_silent(&b, "two");
    fall_silent(&b, "three");
    run_for(&b, 49000); /* all of them in the same moment */
    CHECK_TAINTS(&b, "one", "");
    run_for(&b, 200000);
    CHECK_TAINTS(&b, "one", "unreachable:NoSchedule");
    CHECK_TAINTS(&b, "two", "unreachable:NoSchedule");
    CHECK_TAINTS(&b, "three", "unreachable:NoSchedule");
    b.beating[0] = "two";
    say(&b, "two", READY); /* two of four: one now, and the other after it */
    CHECK(!strstr(taints(&b, "one"), "NoExecute") != !strstr(taints(&b, "three"), "NoExecute"));
    run_for(&b, 11000);
    CHECK_TAINTS(&b, "one", "unreachable:NoSchedule unreachable:NoExecute");
    CHECK_TAINTS(&b, "three", "unreachable:NoSchedule unreachable:NoExecute");
    bed_done(&b);
}

TEST(nodes_of_a_zone_get_taints_that_end_pods_one_after_the_other)
{
    struct bed b;
    bed_init(&b);
    node(&b, "three", "away", READY);
    node(&b, "four", "", READY);
    static const char *const not_ready = "[{\"type\":\"Ready\",\"status\":\"False\"}]";
    say(&b, "one", not_ready);
    say(&b, "two", not_ready);
    say(&b, "three", not_ready);
    CHECK_TAINTS(&b, "one", "not-ready:NoSchedule not-ready:NoExecute");
    CHECK_TAINTS(&b, "two", "not-ready:NoSchedule");
    CHECK_TAINTS(&b, "three", "not-ready:NoSchedule not-ready:NoExecute");
    run_for(&b, 9000);
    CHECK_TAINTS(&b, "two", "not-ready:NoSchedule");
    run_for(&b, 2000);
    CHECK_TAINTS(&b, "two", "not-ready:NoSchedule not-ready:NoExecute");
    bed_done(&b);
}

TEST(node_whose_agent_never_came_is_unreachable_after_a_minute)
{
    struct bed b;
    bed_init(&b);
    fake_client_create(b.api, "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
                              "\"new\"},\"spec\":{\"taints\":[{\"key\":"
                              "\"node.kubernetes.io/not-ready\",\"effect\":\"NoSchedule\"}]}}");
    run_for(&b, 59000);
    CHECK_TAINTS(&b, "new", "not-ready:NoSchedule");
    run_for(&b, 2000);
    CHECK_TAINTS(&b, "new", "unreachable:NoSchedule unreachable:NoExecute");
    CHECK_SPAN(json_get_str(client_condition(get(&b, "Node", "new"), "Ready"), "message"),
               "Kubelet never posted node status.");
    bed_done(&b);
}

TEST(node_that_is_lost_and_said_to_be_off_frees_its_pods_at_once)
{
    struct bed b;
    bed_init(&b);
    pod(&b, "p", "one", TOLERATES("node.kubernetes.io/unreachable", ""));
    pod(&b, "q", "two", "");
    lose_agents(&b);
    fall_silent(&b, "one");
    run_for(&b, 500000);
    CHECK(!is_going(&b, "p")); /* it bears the taint for ever */
    static const char *const off = "[{\"key\":\"node.kubernetes.io/out-of-service\",\"effect\":"
                                   "\"NoExecute\"}]";
    taint(&b, "one", off);
    env_sim_run_for(b.env, 1000);
    CHECK(!get(&b, "Pod", "p"));
    taint(&b, "two", off); /* which answers */
    env_sim_run_for(b.env, 1000);
    CHECK(get(&b, "Pod", "q"));
    CHECK(is_going(&b, "q"));
    bed_done(&b);
}

/* Found by the simulator (seed 17005471): a job whose pods are replaced once they have failed
 * waited for ever. */
TEST(node_that_was_never_found_makes_a_deleted_pod_that_is_kept_a_failed_one)
{
    struct bed b;
    bed_init(&b);
    fake_client_create(b.api,
                       "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\","
                       "\"finalizers\":[\"example.com/keep\"]},\"spec\":{\"schedulerName\":"
                       "\"nobody\",\"containers\":[]}}");
    run_for(&b, 100);
    CHECK(!status_pod_ended(object_root(get(&b, "Pod", "p"))));
    fake_client_delete(b.api, "", "Pod", "default", "p", 0, CLIENT_PROPAGATION_DEFAULT);
    run_for(&b, 100);
    yyjson_val *status = json_get(object_root(get(&b, "Pod", "p")), "status");
    CHECK_SPAN(json_get_str(status, "phase"), "Failed");
    uint64_t writes = fake_client_writes(b.api);
    fake_client_patch(b.api, "", "Pod", "default", "p", "",
                      "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    env_sim_run_for(b.env, 100);
    CHECK_EQ(fake_client_writes(b.api), writes + 1); /* said once */
    bed_done(&b);
}

/* ---- cordoned, under pressure ---- */

TEST(node_gets_the_taints_of_its_conditions_and_loses_them)
{
    struct bed b;
    bed_init(&b);
    taint(&b, "one", "[{\"key\":\"mine\",\"effect\":\"NoSchedule\"}]");
    fake_client_patch(b.api, "", "Node", "", "one", "", "{\"spec\":{\"unschedulable\":true}}");
    say(&b, "one",
        "[{\"type\":\"MemoryPressure\",\"status\":\"True\"},{\"type\":\"DiskPressure\","
        "\"status\":\"True\"},{\"type\":\"PIDPressure\",\"status\":\"True\"},{\"type\":"
        "\"NetworkUnavailable\",\"status\":\"True\"},{\"type\":\"Ready\",\"status\":\"True\"}]");
    static const char *const all[] = {"mine:",          "unschedulable:", "memory-pressure:",
                                      "disk-pressure:", "pid-pressure:",  "network-unavailable:"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        CHECK(strstr(taints(&b, "one"), all[i]));
    }
    fake_client_patch(b.api, "", "Node", "", "one", "", "{\"spec\":{\"unschedulable\":null}}");
    say(&b, "one", READY);
    CHECK_TAINTS(&b, "one", "mine:NoSchedule");
    bed_done(&b);
}

/* ---- taints of users ---- */

TEST(pods_that_do_not_tolerate_a_taint_are_deleted_and_others_when_their_time_is_over)
{
    struct bed b;
    bed_init(&b);
    pod(&b, "never", "one", "");
    pod(&b, "ever", "one", TOLERATES("gone", ""));
    pod(&b, "while", "one", TOLERATES("gone", ",\"tolerationSeconds\":30"));
    pod(&b, "elsewhere", "two", "");
    taint(&b, "one", "[{\"key\":\"gone\",\"value\":\"1\",\"effect\":\"NoSchedule\"}]");
    CHECK(!is_going(&b, "never"));
    taint(&b, "one", "[{\"key\":\"gone\",\"value\":\"1\",\"effect\":\"NoExecute\"}]");
    CHECK(!get(&b, "Pod", "never"));
    run_for(&b, 29000);
    CHECK(!is_going(&b, "while"));
    pod(&b, "late", "one", TOLERATES("gone", ",\"tolerationSeconds\":30"));
    run_for(&b, 2000);
    CHECK(!get(&b, "Pod", "while"));
    run_for(&b, 25000);
    CHECK(!is_going(&b, "late")); /* its time began when it came */
    run_for(&b, 5000);
    CHECK(!get(&b, "Pod", "late"));
    CHECK(!is_going(&b, "ever"));
    CHECK(!is_going(&b, "elsewhere"));
    pod(&b, "third", "one", TOLERATES("gone", ",\"tolerationSeconds\":30"));
    taint(&b, "one", "null");
    CHECK_EQ(events(&b, "TaintManagerEviction", "Cancelling deletion of Pod default/third"), 1);
    run_for(&b, 60000);
    CHECK(!is_going(&b, "third"));
    bed_done(&b);
}

TEST(time_of_a_taint_counts_from_when_it_was_put)
{
    struct bed b;
    bed_init(&b);
    pod(&b, "p", "one", TOLERATES("gone", ",\"tolerationSeconds\":100"));
    run_for(&b, 80000);
    char text[256], when[32];
    cleanup_arena struct arena *a = arena_new();
    struct span before = time_format(a, env_now_ms(b.env) - 60000);
    snprintf(when, sizeof when, "%.*s", SPAN_ARG(before));
    snprintf(text, sizeof text,
             "[{\"key\":\"gone\",\"effect\":\"NoExecute\",\"timeAdded\":\"%s\"}]", when);
    taint(&b, "one", text);
    run_for(&b, 38000);
    CHECK(!is_going(&b, "p"));
    run_for(&b, 3000);
    CHECK(is_going(&b, "p"));
    bed_done(&b);
}

TEST(pod_goes_earlier_or_stays_when_its_tolerations_change)
{
    struct bed b;
    bed_init(&b);
    pod(&b, "p", "one", TOLERATES("gone", ",\"tolerationSeconds\":300"));
    pod(&b, "q", "one", TOLERATES("gone", ",\"tolerationSeconds\":300"));
    taint(&b, "one", "[{\"key\":\"gone\",\"effect\":\"NoExecute\"}]");
    run_for(&b, 50000);
    fake_client_patch(
        b.api, "", "Pod", "default", "p", "",
        "{\"spec\":{\"tolerations\":[" TOLERATES("gone", ",\"tolerationSeconds\":60") "]}}");
    fake_client_patch(b.api, "", "Pod", "default", "q", "",
                      "{\"spec\":{\"tolerations\":[" TOLERATES("gone", "") "]}}");
    run_for(&b, 12000);
    CHECK(!get(&b, "Pod", "p"));
    run_for(&b, 400000);
    CHECK(!is_going(&b, "q"));
    bed_done(&b);
}
