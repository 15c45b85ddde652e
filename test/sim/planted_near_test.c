/* Bugs planted around rules about neighbours: the checkers of sim/near.c must see each. */
#include "client/client_body.h"
#include "test/kit/kit.h"
#include "test/kit/plant_kit.h"

#define OF_NODE                                                                                    \
    "\"topologyKey\":\"kubernetes.io/hostname\",\"labelSelector\":{\"matchLabels\":{\"app\":"      \
    "\"db\"}}"
#define APART                                                                                      \
    ",\"affinity\":{\"podAntiAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":["     \
    "{" OF_NODE "}]}}"
#define SPREAD                                                                                     \
    ",\"topologySpreadConstraints\":[{\"maxSkew\":1,\"whenUnsatisfiable\":"                        \
    "\"DoNotSchedule\"," OF_NODE "}]"

/* The scheduler is shown pods with this text replaced by that, and of two nodes one is cordoned:
 * a set whose pods have these rules. */
static void one_node_is_left(const char *rules, const char *from, const char *to,
                             const char *checker)
{
    struct plant p = {
        .hooks.on_event = plant_shown, .kind = SCHEMA_KIND(Pod), .from = from, .to = to};
    char set[1024];
    (void)snprintf(set, sizeof set,
                   "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":"
                   "\"db\"},\"spec\":{\"replicas\":2,\"serviceName\":\"db\",\"selector\":{"
                   "\"matchLabels\":{\"app\":\"db\"}},\"template\":{\"metadata\":{\"labels\":{"
                   "\"app\":\"db\"}},\"spec\":{\"containers\":[{\"name\":\"one\",\"image\":"
                   "\"one:1\"}]%s}}}}",
                   rules);
    struct platform *w = plant_start(&p);
    platform_run_for(w, 5000);
    sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Node), "far",
                "{\"spec\":{\"unschedulable\":true}}");
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(StatefulSet), "", set);
    platform_run_for(w, 20000);
    if (!checker) {
        sim_kit_ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Node), "far",
                    "{\"spec\":{\"unschedulable\":null}}");
        platform_settle(w);
    }
    sim_kit_end(w, checker);
}

TEST(pods_with_rules_wait_for_a_node)
{
    one_node_is_left(APART, "no such text", "", NULL);
    one_node_is_left(SPREAD, "no such text", "", NULL);
}

TEST(planted_rule_that_the_scheduler_does_not_see_breaks_apart)
{
    one_node_is_left(APART, "\"podAntiAffinity\":", "\"podAntiAffinite\":", "apart");
}

TEST(planted_constraint_that_is_taken_for_a_wish_breaks_spread)
{
    one_node_is_left(SPREAD, "\"whenUnsatisfiable\":\"DoNot", "\"whenUnsatisfiable\":\"Not",
                     "spread");
}
