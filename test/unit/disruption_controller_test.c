/* test/unit/disruption_controller_test.c: the status of budgets follows pods and owners, against a
 * small API server in memory. */
#include <stdlib.h>

#include "codec/time.h"
#include "kit/controller_kit.h"
#include "kit/kit.h"
#include "schema/kinds.h"

struct bed {
    struct controller_kit k;
};

static struct bed *bed_new(void)
{
    struct bed *b = calloc(1, sizeof *b);
    controller_kit_begin(&b->k, NULL);
    controller_kit_run(&b->k, CONTROLLERS(&controller_disruption));
    return b;
}

static void bed_free(struct bed *b)
{
    controller_kit_end(&b->k);
    free(b);
}

static void owner(struct bed *b, const char *kind, const char *name, int replicas,
                  const char *above, char uid[64])
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"kind\":\"%s\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"%s\"%s},"
                   "\"spec\":{\"replicas\":%d}}",
                   kind, name, above, replicas);
    struct object *o = fake_client_create(b->k.api, text);
    (void)snprintf(uid, 64, "%.*s", SPAN_ARG(object_uid(o)));
}

static void reference(char text[256], const char *kind, const char *name, const char *uid)
{
    (void)snprintf(text, 256,
                   ",\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"%s\",\"name\":"
                   "\"%s\",\"uid\":\"%s\",\"controller\":true}]",
                   kind, name, uid);
}

static void pod(struct bed *b, const char *name, const char *owners, bool ready)
{
    char text[768];
    (void)snprintf(text, sizeof text,
                   "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
                   "\"labels\":{\"app\":\"web\"}%s},\"spec\":{\"nodeName\":\"n\",\"containers\":[{"
                   "\"name\":\"c\"}]},\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":"
                   "\"Ready\",\"status\":\"%s\"}]}}",
                   name, owners, ready ? "True" : "False");
    fake_client_create(b->k.api, text);
}

static void budget(struct bed *b, const char *spec)
{
    char text[512];
    (void)snprintf(
        text, sizeof text,
        "{\"kind\":\"PodDisruptionBudget\",\"apiVersion\":\"policy/v1\",\"metadata\":{"
        "\"name\":\"b\"},\"spec\":{%s,\"selector\":{\"matchLabels\":{\"app\":\"web\"}}}}",
        spec);
    fake_client_create(b->k.api, text);
    env_sim_run_for(b->k.env, 100);
}

static struct object *stored(struct bed *b)
{
    return fake_client_get(b->k.api, "policy", "PodDisruptionBudget", "default", "b");
}

/* "expected healthy desired allowed reason" */
static const char *status(struct bed *b)
{
    static char text[128];
    env_sim_run_for(b->k.env, 100);
    yyjson_val *st = json_get(object_root(stored(b)), "status");
    struct span reason = json_get_str(client_condition(stored(b), "DisruptionAllowed"), "reason");
    (void)snprintf(text, sizeof text, "%d %d %d %d %.*s", (int)json_get_int(st, "expectedPods", -1),
                   (int)json_get_int(st, "currentHealthy", -1),
                   (int)json_get_int(st, "desiredHealthy", -1),
                   (int)json_get_int(st, "disruptionsAllowed", -1), SPAN_ARG(reason));
    return text;
}

TEST(expected_pods_are_the_replicas_of_the_set_and_follow_it)
{
    struct bed *b = bed_new();
    char uid[64], refs[256];
    owner(b, "StatefulSet", "web", 3, "", uid);
    reference(refs, "StatefulSet", "web", uid);
    budget(b, "\"minAvailable\":\"50%\"");
    CHECK_SPAN(span_cstr(status(b)), "0 0 0 0 InsufficientPods");
    pod(b, "web-0", refs, true);
    pod(b, "web-1", refs, true);
    pod(b, "web-2", refs, false);
    CHECK_SPAN(span_cstr(status(b)), "3 2 2 0 InsufficientPods");
    fake_client_patch(b->k.api, "", "Pod", "default", "web-2", "status",
                      "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}");
    CHECK_SPAN(span_cstr(status(b)), "3 3 2 1 SufficientPods");
    fake_client_patch(b->k.api, "apps", "StatefulSet", "default", "web", "",
                      "{\"spec\":{\"replicas\":5}}");
    CHECK_SPAN(span_cstr(status(b)), "5 3 3 0 InsufficientPods");
    uint64_t writes = fake_client_writes(b->k.api);
    fake_client_patch(b->k.api, "", "Pod", "default", "web-2", "status",
                      "{\"status\":{\"podIP\":\"1.2.3.4\"}}");
    env_sim_run_for(b->k.env, 60000);
    CHECK_EQ(fake_client_writes(b->k.api), writes + 1); /* nothing that counts has changed */
    bed_free(b);
}

TEST(sets_of_one_deployment_share_its_replicas)
{
    struct bed *b = bed_new();
    char dep[64], uid[2][64], above[256], refs[256];
    owner(b, "Deployment", "web", 3, "", dep);
    reference(above, "Deployment", "web", dep);
    owner(b, "ReplicaSet", "web-1", 1, above, uid[0]);
    owner(b, "ReplicaSet", "web-2", 3, above, uid[1]);
    reference(refs, "ReplicaSet", "web-1", uid[0]);
    pod(b, "web-1-a", refs, true);
    reference(refs, "ReplicaSet", "web-2", uid[1]);
    pod(b, "web-2-a", refs, true);
    pod(b, "web-2-b", refs, true);
    budget(b, "\"maxUnavailable\":1");
    CHECK_SPAN(span_cstr(status(b)), "3 3 2 1 SufficientPods");
    bed_free(b);
}

TEST(pods_whose_number_nobody_tells_allow_no_eviction)
{
    struct bed *b = bed_new();
    char refs[256];
    reference(refs, "DaemonSet", "web", "u");
    pod(b, "web-a", refs, true);
    budget(b, "\"maxUnavailable\":1");
    CHECK_SPAN(span_cstr(status(b)), "0 0 0 0 SyncFailed");
    CHECK_SPAN(json_get_str(client_condition(stored(b), "DisruptionAllowed"), "message"),
               "DaemonSet \"web\" of pod \"web-a\" has no scale");
    fake_client_patch(b->k.api, "policy", "PodDisruptionBudget", "default", "b", "",
                      "{\"spec\":{\"maxUnavailable\":null,\"minAvailable\":0}}");
    CHECK_SPAN(span_cstr(status(b)), "1 1 0 1 SufficientPods");
    bed_free(b);
}

TEST(an_allowed_eviction_is_waited_for_and_forgotten_after_two_minutes)
{
    struct bed *b = bed_new();
    pod(b, "a", "", true);
    pod(b, "b", "", true);
    budget(b, "\"minAvailable\":1");
    CHECK_SPAN(span_cstr(status(b)), "2 2 1 1 SufficientPods");
    char text[256];
    cleanup_arena struct arena *a = arena_new();
    (void)snprintf(
        text, sizeof text,
        "{\"status\":{\"disruptionsAllowed\":0,\"disruptedPods\":{\"b\":\"%.*s\",\"gone\":"
        "\"%.*s\"}}}",
        SPAN_ARG(time_format(a, env_now_ms(b->k.env))),
        SPAN_ARG(time_format(a, env_now_ms(b->k.env))));
    fake_client_patch(b->k.api, "policy", "PodDisruptionBudget", "default", "b", "status", text);
    CHECK_SPAN(span_cstr(status(b)), "2 1 1 0 InsufficientPods");
    CHECK_EQ(json_len(json_path(object_root(stored(b)), "status", "disruptedPods", NULL)), 1);
    env_sim_run_for(b->k.env, 121 * 1000);
    CHECK_SPAN(span_cstr(status(b)), "2 2 1 1 SufficientPods");
    CHECK_EQ(json_len(json_path(object_root(stored(b)), "status", "disruptedPods", NULL)), 0);
    bed_free(b);
}
