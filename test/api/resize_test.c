/* pods/resize: what may change, what is refused and in which words. */
#include "test/kit/api_kit.h"

#define PODS "/api/v1/namespaces/default/pods"
#define RESIZE PODS "/p/resize"
#define STRATEGIC "Content-Type: application/strategic-merge-patch+json\r\n"
#define PATCH(resources)                                                                           \
    "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{" resources "}}]}}"

static void make(struct api_kit *k, const char *resources, const char *more)
{
    char body[1024];
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
                   "\"image\":\"i\",\"resources\":{%s}%s}]}}",
                   resources, more);
    (void)api_expect(k, 201, "POST", PODS, "", body);
}

static struct span refused(struct api_kit *k, const char *patch)
{
    struct api_reply r = api_expect(k, 422, "PATCH", RESIZE, STRATEGIC, patch);
    return api_str(&r, "message");
}

TEST(resources_change_by_their_own_door_only)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, "\"requests\":{\"cpu\":\"100m\"},\"limits\":{\"cpu\":\"1\"}", "");
    struct api_reply r = api_expect(&k, 200, "GET", RESIZE, "", NULL);
    CHECK_SPAN(api_str(&r, "kind"), "Pod");
    (void)api_expect(&k, 422, "PATCH", PODS "/p", STRATEGIC,
                     PATCH("\"requests\":{\"cpu\":\"200m\"}"));
    r = api_expect(&k, 200, "PATCH", RESIZE "?dryRun=All", STRATEGIC,
                   PATCH("\"requests\":{\"cpu\":\"200m\"}"));
    CHECK_SPAN(api_str(&r, "spec.containers.0.resources.requests.cpu"), "200m");
    r = api_expect(&k, 200, "PATCH", RESIZE, STRATEGIC,
                   "{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":"
                   "\"c\",\"image\":\"other\",\"resources\":{\"requests\":{\"cpu\":\"300m\"}}}]}}");
    CHECK_SPAN(api_str(&r, "spec.containers.0.resources.requests.cpu"), "300m");
    CHECK_SPAN(api_str(&r, "spec.containers.0.resources.limits.cpu"), "1");
    CHECK_SPAN(api_str(&r, "spec.containers.0.image"), "i"); /* nothing else changes here */
    CHECK(!api_at(r.json, "metadata.labels"));
    CHECK_EQ(json_int(api_at(r.json, "metadata.generation"), 0), 2);
    (void)api_expect(&k, 409, "PATCH", RESIZE, STRATEGIC,
                     "{\"metadata\":{\"resourceVersion\":\"1\"}}");
    (void)api_expect(&k, 404, "PATCH", PODS "/q/resize", STRATEGIC, "{}");
    api_kit_stop(&k);
}

TEST(what_a_resize_may_not_do_is_told_in_kubernetes_words)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k,
         "\"requests\":{\"cpu\":\"100m\",\"memory\":\"1Mi\"},"
         "\"limits\":{\"cpu\":\"1\",\"memory\":\"2Mi\"}",
         ",\"resizePolicy\":[{\"resourceName\":\"memory\",\"restartPolicy\":\"RestartContainer\"}"
         "]");
    CHECK_SPAN(refused(&k, PATCH("\"requests\":{\"cpu\":\"1\",\"memory\":\"2Mi\"}")),
               "Pod \"p\" is invalid: spec: Invalid value: \"Guaranteed\": Pod QOS Class may not "
               "change as a result of resizing");
    CHECK_SPAN(refused(&k, PATCH("\"limits\":{\"cpu\":null}")),
               "Pod \"p\" is invalid: spec.containers[0].resources.limits: Forbidden: resource "
               "limits cannot be removed");
    CHECK_SPAN(
        refused(&k, PATCH("\"requests\":{\"ephemeral-storage\":\"1Gi\"}")),
        "Pod \"p\" is invalid: spec.containers[0].resources.requests: Forbidden: only cpu and "
        "memory resources are mutable");
    CHECK_SPAN(refused(&k, PATCH("\"requests\":{\"cpu\":\"3\"}")),
               "Pod \"p\" is invalid: spec.containers[0].resources.requests: Invalid value: \"3\": "
               "must be less than or equal to cpu limit of 1");
    api_kit_stop(&k);
}

TEST(a_resize_by_server_side_apply_is_refused_in_words)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, "\"requests\":{\"cpu\":\"100m\"}", "");
    struct api_reply r =
        api_expect(&k, 400, "PATCH", RESIZE "?fieldManager=m",
                   "Content-Type: application/apply-patch+yaml\r\n",
                   "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"}}");
    CHECK_SPAN(api_str(&r, "message"),
               "pods/resize cannot be applied on this server: use a strategic merge patch or an "
               "update");
    api_kit_stop(&k);
}

static void ask(struct api_kit *k, const char *resources, const char *fault)
{
    struct arena *a cleanup_arena = arena_new();
    struct span body =
        arena_printf(a,
                     "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"asks\"},"
                     "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{%s}}"
                     "]}}",
                     resources);
    struct api_reply r = api_expect(k, *fault ? 422 : 201, "POST",
                                    "/api/v1/namespaces/default/pods?dryRun=All", "", body.p);
    if (*fault) {
        CHECK_SPAN(api_str(&r, "message"), arena_printf(a, "Pod \"asks\" is invalid: %s", fault).p);
    }
}

TEST(resources_have_names_and_amounts_that_can_be_had)
{
#define C "spec.containers[0].resources"
    struct api_kit k;
    api_kit_start(&k, NULL);
    ask(&k, "\"limits\":{\"nvidia.com/gpu\":2,\"cpu\":\"1\"}", "");
    ask(&k, "\"limits\":{\"nvidia.com/gpu\":\"2k\"},\"requests\":{\"nvidia.com/gpu\":2000}", "");
    ask(&k, "\"requests\":{\"ephemeral-storage\":\"1Gi\"}", "");
    ask(&k, "\"limits\":{\"hugepages-2Mi\":\"4Mi\",\"memory\":\"1Gi\"}", "");
    ask(&k, "\"requests\":{\"acme.kubernetes.io/x\":\"1500m\"}", "");
    ask(&k, "\"requests\":{\"nvidia.com/gpu\":\"1\"}",
        C ".limits: Required value: Limit must be set for non overcommitable resources");
    ask(&k, "\"limits\":{\"nvidia.com/gpu\":\"2\"},\"requests\":{\"nvidia.com/gpu\":\"1\"}",
        C ".requests: Invalid value: \"1\": must be equal to nvidia.com/gpu limit of 2");
    ask(&k, "\"limits\":{\"a.b/c\":\"1500m\"}",
        "[" C ".limits[a.b/c]: Invalid value: \"1500m\": must be an integer, " C
        ".requests[a.b/c]: Invalid value: \"1500m\": must be an integer]");
    ask(&k, "\"requests\":{\"gpu\":\"1\"}",
        "[" C ".requests[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully "
        "qualified, " C ".requests[gpu]: Invalid value: \"gpu\": must be a standard resource for "
        "containers]");
    ask(&k, "\"limits\":{\"requests.a.b/c\":1},\"requests\":{\"requests.a.b/c\":1}",
        "[" C ".limits[requests.a.b/c]: Invalid value: \"requests.a.b/c\": doesn't follow extended "
        "resource name standard, " C ".requests[requests.a.b/c]: Invalid value: "
        "\"requests.a.b/c\": doesn't follow extended resource name standard]");
    ask(&k,
        "\"limits\":{\"hugepages-2Mi\":\"3Mi\",\"cpu\":1},\"requests\":{\"hugepages-2Mi\":"
        "\"3Mi\"}",
        "[" C
        ".limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple "
        "of hugepages-2Mi, " C ".requests[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not "
        "positive integer multiple of hugepages-2Mi]");
    ask(&k, "\"limits\":{\"hugepages-2Mi\":\"4Mi\"}",
        C ": Forbidden: HugePages require cpu or memory");
    api_kit_stop(&k);
#undef C
}
