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
