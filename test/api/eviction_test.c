/* pods/eviction: disruption budgets are counted down, refuse with what they need, and are passed by
 * where they protect nothing. */
#include "test/kit/api_kit.h"

#define PODS "/api/v1/namespaces/default/pods"
#define BUDGETS "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
#define MERGE "Content-Type: application/merge-patch+json\r\n"
#define EVICT(name) "POST", PODS "/" name "/eviction", ""

static void pod(struct api_kit *k, const char *name, const char *phase, bool ready)
{
    char path[96], body[256];
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"app\":\"a\"}},\"spec\":{"
                   "\"nodeName\":\"edge\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}",
                   name);
    (void)api_expect(k, 201, "POST", PODS, "", body);
    (void)snprintf(path, sizeof path, PODS "/%s/status", name);
    (void)snprintf(body, sizeof body,
                   "{\"status\":{\"phase\":\"%s\",\"conditions\":[{\"type\":\"Ready\",\"status\":"
                   "\"%s\"}]}}",
                   phase, ready ? "True" : "False");
    (void)api_expect(k, 200, "PATCH", path, MERGE, body);
}

static void budget(struct api_kit *k, const char *name, const char *more)
{
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"minAvailable\":1,\"selector\":{"
                   "\"matchLabels\":{\"app\":\"a\"}}%s}}",
                   name, more);
    struct api_reply r = api_expect(k, 201, "POST", BUDGETS, "", body);
    CHECK_EQ(api_header(&r, "Warning").n, 0);
}

static void status(struct api_kit *k, int allowed, int healthy, int desired)
{
    char body[320];
    (void)snprintf(body, sizeof body,
                   "{\"status\":{\"observedGeneration\":1,\"disruptionsAllowed\":%d,"
                   "\"currentHealthy\":%d,\"desiredHealthy\":%d,\"expectedPods\":2,\"conditions\":"
                   "[{\"type\":\"DisruptionAllowed\",\"status\":\"%s\",\"reason\":\"%s\","
                   "\"message\":\"\",\"lastTransitionTime\":\"2024-01-01T00:00:00Z\"}]}}",
                   allowed, healthy, desired, allowed ? "True" : "False",
                   allowed ? "SufficientPods" : "InsufficientPods");
    (void)api_expect(k, 200, "PATCH", BUDGETS "/b/status", MERGE, body);
}

static bool is_leaving(struct api_kit *k, const char *path)
{
    struct api_reply r = api_get(k, path);
    return api_str(&r, "metadata.deletionTimestamp").n > 0;
}

TEST(an_eviction_is_counted_down_and_the_next_is_refused_with_what_is_needed)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    pod(&k, "p", "Running", true);
    pod(&k, "q", "Running", true);
    budget(&k, "b", "");
    struct api_reply r = api_expect(&k, 429, EVICT("p"), "{}");
    CHECK_SPAN(api_str(&r, "details.causes.0.message"),
               "The disruption budget b is still being processed by the server.");
    CHECK_SPAN(api_header(&r, "Retry-After"), "10");
    status(&k, 1, 2, 1);
    (void)api_expect(&k, 201, "POST", PODS "/p/eviction?dryRun=All", "", "{}");
    (void)api_expect(&k, 201, EVICT("p"), "{\"deleteOptions\":{\"dryRun\":[\"All\"]}}");
    r = api_get(&k, BUDGETS "/b");
    CHECK_EQ(json_int(api_at(r.json, "status.disruptionsAllowed"), -1), 1);
    CHECK(!is_leaving(&k, PODS "/p"));
    (void)api_expect(&k, 201, EVICT("p"), "{}");
    r = api_get(&k, PODS "/p");
    CHECK(api_str(&r, "metadata.deletionTimestamp").n > 0);
    CHECK_SPAN(api_str(&r, "status.conditions.1.type"), "DisruptionTarget");
    CHECK_SPAN(api_str(&r, "status.conditions.1.reason"), "EvictionByEvictionAPI");
    r = api_get(&k, BUDGETS "/b");
    CHECK_EQ(json_int(api_at(r.json, "status.disruptionsAllowed"), -1), 0);
    CHECK(api_str(&r, "status.disruptedPods.p").n > 0);
    CHECK_SPAN(api_str(&r, "status.conditions.0.reason"), "InsufficientPods");
    status(&k, 0, 1, 1);
    r = api_expect(&k, 429, EVICT("q"), "{}");
    CHECK_SPAN(api_str(&r, "reason"), "TooManyRequests");
    CHECK_SPAN(api_str(&r, "message"),
               "Cannot evict pod as it would violate the pod's disruption budget.");
    CHECK_SPAN(api_str(&r, "details.causes.0.reason"), "DisruptionBudget");
    CHECK_SPAN(api_str(&r, "details.causes.0.message"),
               "The disruption budget b needs 1 healthy pods and has 1 currently");
    CHECK(!is_leaving(&k, PODS "/q"));
    (void)api_expect(&k, 201, EVICT("p"), "{}"); /* leaving already: no question */
    api_kit_stop(&k);
}

TEST(two_evictions_at_once_take_two_disruptions)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    pod(&k, "p", "Running", true);
    pod(&k, "q", "Running", true);
    budget(&k, "b", "");
    status(&k, 2, 3, 1);
    (void)api_expect(&k, 201, EVICT("p"), "{}");
    (void)api_expect(&k, 201, EVICT("q"), "{}");
    struct api_reply r = api_get(&k, BUDGETS "/b");
    CHECK_EQ(json_len(api_at(r.json, "status.disruptedPods")), 2);
    CHECK_EQ(json_int(api_at(r.json, "status.disruptionsAllowed"), -1), 0);
    api_kit_stop(&k);
}

TEST(pods_that_serve_nobody_go_without_a_question)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    pod(&k, "pending", "Pending", false);
    pod(&k, "done", "Succeeded", false);
    pod(&k, "failed", "Failed", false);
    budget(&k, "b", "");
    status(&k, 0, 0, 1);
    (void)api_expect(&k, 201, EVICT("pending"), "{}");
    CHECK(is_leaving(&k, PODS "/pending"));
    (void)api_expect(&k, 201, EVICT("done"), "{}");
    (void)api_expect(&k, 201, EVICT("failed"), "{}");
    (void)api_expect(&k, 404, "GET", PODS "/done", "", NULL);
    api_kit_stop(&k);
}

TEST(an_unready_pod_goes_when_enough_others_are_healthy_or_always_by_policy)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    pod(&k, "p", "Running", false);
    pod(&k, "q", "Running", false);
    budget(&k, "b", "");
    status(&k, 0, 0, 1);
    (void)api_expect(&k, 429, EVICT("p"), "{}");
    status(&k, 0, 1, 1);
    (void)api_expect(&k, 201, EVICT("p"), "{}");
    CHECK(is_leaving(&k, PODS "/p"));
    status(&k, 0, 0, 1);
    (void)api_expect(&k, 429, EVICT("q"), "{}");
    (void)api_expect(&k, 200, "PATCH", BUDGETS "/b", MERGE,
                     "{\"spec\":{\"unhealthyPodEvictionPolicy\":\"AlwaysAllow\"}}");
    (void)api_expect(&k, 201, EVICT("q"), "{}");
    api_kit_stop(&k);
}

TEST(two_budgets_for_one_pod_are_an_error_and_another_pods_budget_is_none)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    pod(&k, "p", "Running", true);
    budget(&k, "b", "");
    budget(&k, "c", "");
    struct api_reply r = api_expect(&k, 500, EVICT("p"), "{}");
    CHECK_SPAN(
        api_str(&r, "message"),
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does "
        "not support.");
    (void)api_expect(&k, 200, "DELETE", BUDGETS "/c", "", NULL);
    (void)api_expect(&k, 200, "PATCH", BUDGETS "/b", MERGE,
                     "{\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"other\"}}}}");
    (void)api_expect(&k, 409, EVICT("p"),
                     "{\"deleteOptions\":{\"preconditions\":{\"uid\":\"x\"}}}");
    (void)api_expect(&k, 201, EVICT("p"), "{\"deleteOptions\":{\"gracePeriodSeconds\":7}}");
    r = api_get(&k, PODS "/p");
    CHECK_EQ(json_int(api_at(r.json, "metadata.deletionGracePeriodSeconds"), 0), 7);
    api_kit_stop(&k);
}

TEST(a_budget_has_one_bound_and_no_negative_count)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 422, "POST", BUDGETS, "",
                                    "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"minAvailable\":1,"
                                    "\"maxUnavailable\":1}}");
    CHECK(strstr(api_text(api_str(&r, "message")),
                 "minAvailable and maxUnavailable cannot be both set"));
    budget(&k, "b", "");
    r = api_expect(&k, 422, "PATCH", BUDGETS "/b/status", MERGE,
                   "{\"status\":{\"disruptionsAllowed\":-1}}");
    CHECK_SPAN(api_str(&r, "details.causes.0.field"), "status.disruptionsAllowed");
    (void)api_expect(&k, 200, "PATCH", BUDGETS "/b", MERGE,
                     "{\"spec\":{\"minAvailable\":null,\"maxUnavailable\":\"25%\"}}");
    api_kit_stop(&k);
}
