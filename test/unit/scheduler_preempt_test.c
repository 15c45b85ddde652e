/* test/unit/scheduler_preempt_test.c: the scheduler on one full node: who gives way to whom, and
 * for whom room is kept. */
#include "client/client_body.h"
#include "controller/controller.h"
#include "controller/controllers.h"
#include "kit/controller_kit.h"
#include "kit/kit.h"
#include "sim/env_sim.h"
#include "sim/fake_client.h"
#include "sim/fake_node.h"

struct bed {
    struct env *env;
    struct fake_client *api;
    struct controllers *controllers;
    struct fake_node *kubelet;
};

static void start(struct bed *b)
{
    static const struct controller_type *const only[] = {&controller_scheduler, NULL};
    b->controllers = controllers_new(b->env, fake_client_base(b->api),
                                     &(struct controllers_options){.only = only});
    env_sim_run_for(b->env, 1);
}

static void bed_init(struct bed *b)
{
    *b = (struct bed){.env = env_sim_new(7)};
    b->api = fake_client_new(b->env);
    fake_client_create(
        b->api,
        "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"node-1\"},\"spec\":{},"
        "\"status\":{\"allocatable\":{\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"110\"},"
        "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}");
    b->kubelet = fake_node_new(fake_client_base(b->api),
                               &(struct fake_node_options){.start_ms = 10, .stop_ms = 10});
    start(b);
}

static void bed_done(struct bed *b)
{
    fake_node_free(b->kubelet);
    controllers_free(b->controllers);
    fake_client_free(b->api);
    env_sim_free(b->env);
}

static struct object *get(struct bed *b, const char *kind, const char *name)
{
    return fake_client_get(b->api, "", kind, "default", name);
}

static int64_t events(struct bed *b, const char *reason, const char *message)
{
    return controller_kit_events(b->api, reason, message);
}

static void pod(struct bed *b, const char *name, const char *extra)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\"},\"spec\":{"
             "\"containers\":[{\"name\":\"c\",\"image\":\"x\"%s}",
             name, extra);
    fake_client_create(b->api, text);
}

#define CPU(n) ",\"resources\":{\"requests\":{\"cpu\":\"" n "\"}}}],"

static struct span nominated(struct bed *b, const char *name)
{
    return json_str(
        json_path(object_root(get(b, "Pod", name)), "status", "nominatedNodeName", NULL));
}

static size_t node_of_pod(struct bed *b, const char *name)
{
    return json_str(json_path(object_root(get(b, "Pod", name)), "spec", "nodeName", NULL)).n;
}

static struct span why(struct bed *b, const char *name)
{
    return json_get_str(client_condition(get(b, "Pod", name), "PodScheduled"), "message");
}

TEST(scheduler_makes_room_for_the_more_important_and_keeps_it)
{
    struct bed b;
    bed_init(&b);
    pod(&b, "small", CPU("1") "\"priority\":5}");
    pod(&b, "low", CPU("3") "\"priority\":1}");
    env_sim_run_for(b.env, 50);
    CHECK(client_condition_true(get(&b, "Pod", "low"), "Ready"));
    pod(&b, "polite", CPU("3") "\"priority\":100,\"preemptionPolicy\":\"Never\"}");
    pod(&b, "equal", CPU("3") "\"priority\":1}");
    env_sim_run_for(b.env, 50);
    CHECK_EQ(events(&b, "Preempted", NULL), 0);
    CHECK_SPAN(why(&b, "polite"),
               "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible "
               "due to preemptionPolicy=Never.");
    CHECK_SPAN(why(&b, "equal"),
               "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are "
               "available: 1 No preemption victims found for incoming pod.");
    fake_client_delete(b.api, "", "Pod", "default", "polite", -1, CLIENT_PROPAGATION_DEFAULT);
    pod(&b, "high", CPU("2") "\"priority\":10}");
    env_sim_run_for(b.env, 5);
    struct object *low = get(&b, "Pod", "low");
    yyjson_val *why = client_condition(low, "DisruptionTarget");
    CHECK(object_is_deleting(low));
    CHECK_SPAN(json_get_str(why, "reason"), "PreemptionByScheduler");
    CHECK_SPAN(nominated(&b, "high"), "node-1");
    CHECK_EQ(node_of_pod(&b, "equal"), 0);
    pod(&b, "thief", CPU("2") "\"priority\":3}"); /* it may not take the room */
    env_sim_run_for(b.env, 100);
    CHECK(client_condition_true(get(&b, "Pod", "high"), "Ready"));
    CHECK(client_condition_true(get(&b, "Pod", "small"), "Ready"));
    CHECK(!get(&b, "Pod", "low"));
    CHECK_EQ(node_of_pod(&b, "thief"), 0);
    CHECK_EQ(node_of_pod(&b, "equal"), 0);
    CHECK_EQ(events(&b, "Preempted", NULL), 1);
    struct object *high = get(&b, "Pod", "high");
    char text[128];
    snprintf(text, sizeof text, "Preempted by pod %.*s on node node-1", SPAN_ARG(object_uid(high)));
    CHECK_EQ(events(&b, "Preempted", text), 1);
    bed_done(&b);
}

TEST(scheduler_keeps_the_room_over_a_restart_and_gives_it_up_when_it_is_of_no_use)
{
    struct bed b;
    bed_init(&b);
    fake_node_set(b.kubelet, &(struct fake_node_options){.start_ms = 10, .stop_ms = 5000});
    pod(&b, "low", CPU("3") "\"priority\":-1}");
    env_sim_run_for(b.env, 50);
    pod(&b, "high", CPU("3") "\"priority\":0}");
    env_sim_run_for(b.env, 50);
    CHECK_SPAN(nominated(&b, "high"), "node-1");
    controllers_free(b.controllers);
    pod(&b, "early", CPU("2") "\"priority\":0}");
    start(&b);
    env_sim_run_for(b.env, 1000);
    fake_client_patch(b.api, "", "Node", "", "node-1", "", "{\"spec\":{\"unschedulable\":true}}");
    env_sim_run_for(b.env, 6000);
    CHECK(!get(&b, "Pod", "low"));
    CHECK_EQ(events(&b, "Preempted", NULL), 1);
    CHECK_SPAN(nominated(&b, "high"), "");
    CHECK_EQ(node_of_pod(&b, "early"), 0);
    fake_client_patch(b.api, "", "Node", "", "node-1", "", "{\"spec\":{\"unschedulable\":false}}");
    env_sim_run_for(b.env, 100);
    CHECK_EQ((node_of_pod(&b, "early") > 0) + (node_of_pod(&b, "high") > 0), 1);
    bed_done(&b);
}

TEST(scheduler_gives_the_room_of_one_that_goes_to_the_others_and_asks_budgets)
{
    struct bed b;
    bed_init(&b);
    fake_node_set(b.kubelet, &(struct fake_node_options){.start_ms = 10, .stop_ms = 1000});
    fake_client_create(
        b.api,
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"guarded\",\"labels\":{"
        "\"app\":\"db\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{"
        "\"cpu\":\"2\"}}}]}}");
    fake_client_create(
        b.api,
        "{\"kind\":\"PodDisruptionBudget\",\"apiVersion\":\"policy/v1\",\"metadata\":{\"name\":"
        "\"b\"},\"spec\":{\"minAvailable\":1,\"selector\":{\"matchLabels\":{\"app\":\"db\"}}},"
        "\"status\":{"
        "\"disruptionsAllowed\":0}}");
    env_sim_run_for(b.env, 50);
    pod(&b, "older", CPU("2") "\"priority\":5}");
    env_sim_run_for(b.env, 50);
    pod(&b, "high", CPU("2") "\"priority\":10}");
    env_sim_run_for(b.env, 50);
    CHECK(!object_is_deleting(get(&b, "Pod", "guarded")));
    CHECK(object_is_deleting(get(&b, "Pod", "older"))); /* though it is more important */
    pod(&b, "next", CPU("2") "\"priority\":0}");
    env_sim_run_for(b.env, 2000);
    CHECK(client_condition_true(get(&b, "Pod", "high"), "Ready"));
    pod(&b, "higher", CPU("4") "\"priority\":20}");
    env_sim_run_for(b.env, 50);
    CHECK(object_is_deleting(get(&b, "Pod", "guarded"))); /* there is no other way */
    fake_client_delete(b.api, "", "Pod", "default", "higher", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.env, 2000);
    CHECK(client_condition_true(get(&b, "Pod", "next"), "Ready"));
    CHECK_EQ(events(&b, "Preempted", NULL), 3);
    bed_done(&b);
}

/* Found by the simulator: of two of the same priority it spared the one that was stopping. */
TEST(scheduler_sends_nobody_away_where_one_that_is_stopping_leaves_room)
{
    struct bed b;
    bed_init(&b);
    fake_node_set(b.kubelet, &(struct fake_node_options){.start_ms = 10, .stop_ms = 1000});
    pod(&b, "older", CPU("2") "\"priority\":1}");
    env_sim_run_for(b.env, 50);
    pod(&b, "other", CPU("2") "\"priority\":0}");
    env_sim_run_for(b.env, 50);
    fake_client_delete(b.api, "", "Pod", "default", "older", -1, CLIENT_PROPAGATION_DEFAULT);
    pod(&b, "high", CPU("2") "\"priority\":10}");
    env_sim_run_for(b.env, 50);
    CHECK_SPAN(nominated(&b, "high"), "node-1");
    CHECK(!object_is_deleting(get(&b, "Pod", "other")));
    env_sim_run_for(b.env, 1100);
    CHECK(client_condition_true(get(&b, "Pod", "high"), "Ready"));
    CHECK(client_condition_true(get(&b, "Pod", "other"), "Ready"));
    CHECK_EQ(events(&b, "Preempted", NULL), 0);
    bed_done(&b);
}

TEST(scheduler_makes_room_elsewhere_when_its_node_is_cordoned_while_victims_stop)
{
    struct bed b;
    bed_init(&b);
    fake_node_set(b.kubelet, &(struct fake_node_options){.start_ms = 10, .stop_ms = 60000});
    pod(&b, "low", CPU("3") "\"priority\":1}");
    env_sim_run_for(b.env, 50);
    fake_client_create(
        b.api,
        "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"node-2\"},\"spec\":{},"
        "\"status\":{\"allocatable\":{\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"110\"},"
        "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}");
    pod(&b, "middle", CPU("3") "\"priority\":2}");
    env_sim_run_for(b.env, 50);
    pod(&b, "high", CPU("3") "\"priority\":10}");
    env_sim_run_for(b.env, 50);
    CHECK_SPAN(nominated(&b, "high"), "node-1");
    fake_client_patch(b.api, "", "Node", "", "node-1", "", "{\"spec\":{\"unschedulable\":true}}");
    env_sim_run_for(b.env, 50);
    CHECK(object_is_deleting(get(&b, "Pod", "middle")));
    CHECK_SPAN(nominated(&b, "high"), "node-2");
    bed_done(&b);
}

static enum err_reason no_answer(void *data, const struct client_request *request)
{
    (void)data;
    bool binds = span_eq_cstr(request->subresource, "binding");
    return binds && span_eq_cstr(request->name, "one") ? ERR_UNAVAILABLE : ERR_NONE;
}

/* Nobody knows whether "one" has been bound; "two" wants the same room. */
static void bind_without_an_answer(struct bed *b)
{
    bed_init(b);
    fake_client_fault(b->api, no_answer, NULL);
    pod(b, "one", CPU("3") "\"priority\":10}");
    pod(b, "two", CPU("3") "\"priority\":0}");
    env_sim_run_for(b->env, 3);
    CHECK_EQ(node_of_pod(b, "two"), 0);
}

/* Found by the simulator (seed 17012330): the server had died with the answer. */
TEST(scheduler_a_binding_without_an_answer_keeps_its_room_until_it_is_known)
{
    struct bed b;
    bind_without_an_answer(&b);
    fake_client_patch(b.api, "", "Pod", "default", "one", "",
                      "{\"spec\":{\"nodeName\":\"node-1\"}}");
    env_sim_run_for(b.env, 1000);
    CHECK_EQ(node_of_pod(&b, "two"), 0);
    bed_done(&b);
}

TEST(scheduler_a_pod_that_is_kept_after_a_binding_without_an_answer_gives_its_room_back)
{
    struct bed b;
    bind_without_an_answer(&b);
    fake_client_patch(b.api, "", "Pod", "default", "one", "",
                      "{\"metadata\":{\"finalizers\":[\"example.com/keep\"]}}");
    fake_client_delete(b.api, "", "Pod", "default", "one", 0, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.env, 60000);
    CHECK(object_is_deleting(get(&b, "Pod", "one")));
    CHECK(node_of_pod(&b, "two") > 0);
    bed_done(&b);
}

static enum err_reason not_now(void *data, const struct client_request *request)
{
    bool binds = span_eq_cstr(request->subresource, "binding");
    return *(bool *)data && binds && span_eq_cstr(request->name, "high") ? ERR_TOO_MANY_REQUESTS
                                                                         : ERR_NONE;
}

/* Found by the simulator (seed 18916980): until the next try its room was anybody's. */
TEST(scheduler_a_binding_that_is_refused_leaves_the_room_that_was_made_for_it)
{
    struct bed b;
    bool refuses = true;
    bed_init(&b);
    fake_client_fault(b.api, not_now, &refuses);
    pod(&b, "low", CPU("3") "\"priority\":-1}");
    env_sim_run_for(b.env, 50);
    pod(&b, "high", CPU("3") "\"priority\":10}");
    env_sim_run_for(b.env, 5);
    pod(&b, "thief", CPU("3") "\"priority\":0}");
    env_sim_run_for(b.env, 1000);
    CHECK(!get(&b, "Pod", "low"));
    CHECK_SPAN(nominated(&b, "high"), "node-1");
    CHECK_EQ(node_of_pod(&b, "high") + node_of_pod(&b, "thief"), 0);
    refuses = false;
    env_sim_run_for(b.env, 60000);
    CHECK(client_condition_true(get(&b, "Pod", "high"), "Ready"));
    CHECK_EQ(node_of_pod(&b, "thief"), 0);
    bed_done(&b);
}

/* Found by the simulator (seed 14030893): it was not among the pods of the node yet, and nobody
 * looked again. */
TEST(scheduler_sends_away_who_was_being_bound_when_another_needed_the_room)
{
    struct bed b;
    bed_init(&b);
    pod(&b, "low", CPU("3") "\"priority\":-1}");
    pod(&b, "high", CPU("3") "\"priority\":0}");
    env_sim_run_for(b.env, 200);
    CHECK(!get(&b, "Pod", "low"));
    CHECK(client_condition_true(get(&b, "Pod", "high"), "Ready"));
    bed_done(&b);
}
