/* test/api/limits_test.c: LimitRanges: what their rules refuse, what pods get from them, what pods
 * and claims are refused for. */
#include "test/kit/api_kit.h"

#define RANGES "/api/v1/namespaces/default/limitranges"
#define PODS "/api/v1/namespaces/default/pods"
#define CLAIMS "/api/v1/namespaces/default/persistentvolumeclaims"
#define MERGE "Content-Type: application/merge-patch+json\r\n"

static void range(struct api_kit *k, const char *name, const char *item)
{
    char body[512];
    (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"limits\":[%s]}}",
                   name, item);
    struct api_reply r = api_expect(k, 201, "POST", RANGES, "", body);
    CHECK_EQ(api_header(&r, "Warning").n, 0);
}

static struct api_reply pod(struct api_kit *k, int status, const char *meta, const char *resources)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{%s},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\","
                   "\"resources\":{%s}}]}}",
                   meta, resources);
    return api_expect(k, status, "POST", PODS, "", body);
}

TEST(a_pod_gets_the_defaults_and_says_so)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)pod(&k, 201, "\"name\":\"before\"", "");
    range(&k, "l",
          "{\"type\":\"Container\",\"default\":{\"cpu\":\"500m\",\"memory\":\"1Gi\"},"
          "\"defaultRequest\":{\"cpu\":\"100m\"}}");
    struct api_reply r = pod(&k, 201, "\"name\":\"p\"", "");
    CHECK_SPAN(api_str(&r, "status.qosClass"), "Burstable");
    CHECK_SPAN(json_str(json_path(api_at(r.json, "metadata.annotations"),
                                  "kubernetes.io/limit-ranger", NULL)),
               "LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for "
               "container c");
    CHECK_SPAN(json_write(api_arena(), api_at(r.json, "spec.containers.0.resources")),
               "{\"requests\":{\"cpu\":\"100m\",\"memory\":\"1Gi\"},\"limits\":{\"cpu\":\"500m\","
               "\"memory\":\"1Gi\"}}");
    r = pod(&k, 201, "\"name\":\"q\"", "\"limits\":{\"cpu\":\"1\",\"memory\":\"2Gi\"}");
    CHECK_SPAN(api_str(&r, "status.qosClass"), "Guaranteed");
    CHECK(!json_path(r.json, "metadata", "annotations", NULL));
    r = api_get(&k, PODS "/before");
    CHECK(!api_at(r.json, "spec.containers.0.resources.limits"));
    (void)api_expect(&k, 200, "PATCH", PODS "/before", MERGE,
                     "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    r = api_get(&k, PODS "/before");
    CHECK(!api_at(r.json, "spec.containers.0.resources.limits"));
    api_kit_stop(&k);
}

TEST(a_pod_out_of_bounds_is_refused_in_the_words_of_kubernetes)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    range(&k, "l", "{\"type\":\"Container\",\"min\":{\"cpu\":\"100m\"},\"max\":{\"cpu\":\"1\"}}");
    struct api_reply r = pod(&k, 403, "\"name\":\"x\"", "\"requests\":{\"cpu\":\"50m\"}");
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"x\" is forbidden: minimum cpu usage per Container is 100m, but request is "
               "50m");
    CHECK_SPAN(api_str(&r, "reason"), "Forbidden");
    r = pod(&k, 403, "\"generateName\":\"x-\"", "\"limits\":{\"cpu\":\"1500m\"}");
    CHECK_SPAN(
        api_str(&r, "message"),
        "pods \"x-\" is forbidden: maximum cpu usage per Container is 1, but limit is 1500m");
    (void)pod(&k, 201, "\"name\":\"x\"", "\"requests\":{\"cpu\":\"100m\"}");
    (void)pod(&k, 409, "\"name\":\"x\"", "\"requests\":{\"cpu\":\"50m\"}");
    r = api_expect(&k, 403, "PATCH", PODS "/x/resize", MERGE,
                   "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{"
                   "\"requests\":{\"cpu\":\"10m\"},\"limits\":{\"cpu\":\"1\"}}}]}}");
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"x\" is forbidden: minimum cpu usage per Container is 100m, but request is "
               "10m");
    (void)api_expect(&k, 200, "DELETE", RANGES "/l", "", NULL);
    (void)pod(&k, 201, "\"name\":\"y\"", "\"requests\":{\"cpu\":\"50m\"}");
    api_kit_stop(&k);
}

static struct api_reply claim(struct api_kit *k, int status, const char *name, const char *size)
{
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],"
                   "\"resources\":{\"requests\":{\"storage\":\"%s\"}}}}",
                   name, size);
    return api_expect(k, status, "POST", CLAIMS, "", body);
}

TEST(a_claim_out_of_bounds_is_refused_and_one_that_was_there_before_goes_on)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)claim(&k, 201, "small", "1Mi");
    range(&k, "l",
          "{\"type\":\"PersistentVolumeClaim\",\"min\":{\"storage\":\"1Gi\"},\"max\":{\"storage\":"
          "\"2Gi\"}}");
    struct api_reply r = claim(&k, 403, "c", "5Gi");
    CHECK_SPAN(api_str(&r, "message"),
               "persistentvolumeclaims \"c\" is forbidden: maximum storage usage per "
               "PersistentVolumeClaim is 2Gi, but request is 5Gi");
    (void)claim(&k, 201, "c", "2Gi");
    (void)api_expect(&k, 200, "PATCH", CLAIMS "/small", MERGE,
                     "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    (void)api_expect(&k, 200, "PATCH", CLAIMS "/c/status", MERGE,
                     "{\"status\":{\"phase\":\"Bound\",\"capacity\":{\"storage\":\"2Gi\"}}}");
    r = api_expect(&k, 403, "PATCH", CLAIMS "/c", MERGE,
                   "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"3Gi\"}}}}");
    CHECK_SPAN(api_str(&r, "message"),
               "persistentvolumeclaims \"c\" is forbidden: maximum storage usage per "
               "PersistentVolumeClaim is 2Gi, but request is 3Gi");
    api_kit_stop(&k);
}

TEST(each_rule_of_a_limit_range_refuses_in_the_words_of_kubernetes)
{
    static const struct {
        const char *item, *cause;
    } cases[] = {
        {"{\"type\":\"Container\",\"min\":{\"cpu\":\"2\"},\"max\":{\"cpu\":\"1\"}}",
         "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1"},
        {"{\"type\":\"Container\",\"min\":{\"cpu\":\"2\"},\"defaultRequest\":{\"cpu\":\"1\"}}",
         "spec.limits[0].defaultRequest[cpu]: Invalid value: \"1\": min value 2 is greater than "
         "default request value 1"},
        {"{\"type\":\"Container\",\"max\":{\"cpu\":\"1\"},\"default\":{\"cpu\":\"2\"},"
         "\"defaultRequest\":{\"cpu\":\"1\"}}",
         "spec.limits[0].default[cpu]: Invalid value: \"1\": default value 2 is greater than max "
         "value 1"},
        {"{\"type\":\"Container\",\"default\":{\"cpu\":\"1\"},\"defaultRequest\":{\"cpu\":\"2\"}}",
         "spec.limits[0].defaultRequest[cpu]: Invalid value: \"2\": default request value 2 is "
         "greater than default limit value 1"},
        {"{\"type\":\"Pod\",\"default\":{\"cpu\":\"1\"}}",
         "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"},
        {"{\"type\":\"Pod\",\"maxLimitRequestRatio\":{\"cpu\":\"800m\"}}",
         "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"800m\": ratio 800m is less "
         "than 1"},
        {"{\"type\":\"Pod\",\"min\":{\"cpu\":\"1\"},\"max\":{\"cpu\":\"2\"},"
         "\"maxLimitRequestRatio\":{\"cpu\":\"3\"}}",
         "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than "
         "max/min = 2.000000"},
        {"{\"type\":\"Container\",\"default\":{\"example.com/gpu\":\"2\"},\"defaultRequest\":{"
         "\"example.com/gpu\":\"1\"}}",
         "spec.limits[0].defaultRequest[example.com/gpu]: Invalid value: \"1\": default value 2 "
         "must equal to defaultRequest value 1 in example.com/gpu"},
        {"{\"type\":\"PersistentVolumeClaim\"}",
         "spec.limits[0].limits: Required value: either minimum or maximum storage value is "
         "required, but neither was provided"},
        {"{\"type\":\"Pod\",\"max\":{\"storage\":\"1\"}}",
         "spec.limits[0].max[storage]: Invalid value: \"storage\": must be a standard resource for "
         "containers"},
        {"{\"type\":\"Whale\"}",
         "spec.limits[0].type: Invalid value: \"Whale\": must be a standard limit type or fully "
         "qualified"},
        {"{\"type\":\"Pod\"},{\"type\":\"Pod\"}", "spec.limits[1].type: Duplicate value: \"Pod\""},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[512];
        (void)snprintf(body, sizeof body,
                       "{\"metadata\":{\"name\":\"l\"},\"spec\":{\"limits\":[%s]}}", cases[i].item);
        struct api_reply r = api_expect(&k, 422, "POST", RANGES, "", body);
        if (!strstr(api_text(api_str(&r, "message")), cases[i].cause)) {
            CHECK_SPAN(api_str(&r, "message"), cases[i].cause);
        }
    }
    api_kit_stop(&k);
}
