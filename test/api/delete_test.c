/* delete: preconditions, grace, finalizers, propagation, collections, binding and eviction. */
#include "codec/time.h"
#include "test/kit/api_kit.h"

#define CM "/api/v1/namespaces/default/configmaps"
#define PODS "/api/v1/namespaces/default/pods"
#define MERGE "Content-Type: application/merge-patch+json\r\n"

static void make_pod(struct api_kit *k, const char *node)
{
    char body[256];
    (void)api_expect(k, 201, "POST", PODS, "",
                     "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
                     "\"image\":\"i\"}]}}");
    if (node) {
        (void)snprintf(
            body, sizeof body,
            "{\"metadata\":{\"name\":\"p\"},\"target\":{\"kind\":\"Node\",\"name\":\"%s\"}}", node);
        struct api_reply r = api_expect(k, 201, "POST", PODS "/p/binding", "", body);
        CHECK_SPAN(api_str(&r, "status"), "Success");
    }
}

TEST(binding_places_a_pod_once)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make_pod(&k, "edge");
    struct api_reply r = api_get(&k, PODS "/p");
    CHECK_SPAN(api_str(&r, "spec.nodeName"), "edge");
    CHECK_SPAN(api_str(&r, "status.conditions.0.type"), "PodScheduled");
    CHECK_SPAN(api_str(&r, "status.conditions.0.status"), "True");
    r = api_expect(&k, 409, "POST", PODS "/p/binding", "",
                   "{\"metadata\":{\"name\":\"p\"},\"target\":{\"name\":\"other\"}}");
    r = api_expect(&k, 200, "GET", PODS "?fieldSelector=spec.nodeName%3Dedge", "", NULL);
    CHECK_EQ(json_len(api_at(r.json, "items")), 1);
    api_kit_stop(&k);
}

/* The keeper of claims looks for pods on nodes before it lets a claim go. */
TEST(a_pod_does_not_come_to_a_node_with_a_claim_that_is_being_deleted)
{
    static const char claims[] = "/api/v1/namespaces/default/persistentvolumeclaims";
    static const char binding[] = "{\"metadata\":{\"name\":\"p\"},\"target\":{\"name\":\"edge\"}}";
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", claims, "",
                     "{\"metadata\":{\"name\":\"data\"},\"spec\":{\"accessModes\":["
                     "\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}");
    (void)api_expect(&k, 201, "POST", PODS, "",
                     "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
                     "\"image\":\"i\"}],\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{"
                     "\"claimName\":\"data\"}}]}}");
    (void)api_expect(&k, 200, "DELETE", "/api/v1/namespaces/default/persistentvolumeclaims/data",
                     "", NULL);
    struct api_reply r = api_expect(&k, 409, "POST", PODS "/p/binding", "", binding);
    CHECK_SPAN(
        api_str(&r, "message"),
        "Operation cannot be fulfilled on pods \"p\": persistentvolumeclaim \"data\" is being "
        "deleted");
    api_kit_stop(&k);
}

TEST(an_unscheduled_pod_goes_at_once_and_a_running_one_waits_for_its_node)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make_pod(&k, NULL);
    struct api_reply r = api_expect(&k, 200, "DELETE", PODS "/p", "", NULL);
    (void)api_expect(&k, 404, "GET", PODS "/p", "", NULL);
    make_pod(&k, "edge");
    r = api_expect(&k, 200, "DELETE", PODS "/p", "", NULL);
    CHECK_SPAN(api_str(&r, "kind"), "Pod");
    CHECK_EQ(json_int(api_at(r.json, "metadata.deletionGracePeriodSeconds"), 0), 30);
    struct span first = api_str(&r, "metadata.deletionTimestamp");
    struct span rev = api_str(&r, "metadata.resourceVersion");
    r = api_expect(&k, 200, "DELETE", PODS "/p", "", "{\"gracePeriodSeconds\":60}");
    CHECK(span_eq(api_str(&r, "metadata.resourceVersion"), rev)); /* it only ever shrinks */
    r = api_expect(&k, 200, "DELETE", PODS "/p", "", "{\"gracePeriodSeconds\":5}");
    CHECK_EQ(json_int(api_at(r.json, "metadata.deletionGracePeriodSeconds"), 0), 5);
    CHECK(span_cmp(api_str(&r, "metadata.deletionTimestamp"), first) < 0);
    r = api_expect(&k, 200, "DELETE", PODS "/p?gracePeriodSeconds=0", "", NULL);
    (void)api_expect(&k, 404, "GET", PODS "/p", "", NULL);
    api_kit_stop(&k);
}

TEST(patience_beyond_all_measure_is_a_time_that_can_be_written)
{
    struct api_kit k;
    int64_t at_ms = 0, sooner_ms = 0;
    api_kit_start(&k, NULL);
    make_pod(&k, "edge");
    struct api_reply r = api_expect(&k, 200, "DELETE", PODS "/p", "",
                                    "{\"gracePeriodSeconds\":9223372036854775807}");
    CHECK(time_parse(api_str(&r, "metadata.deletionTimestamp"), &at_ms));
    CHECK(at_ms > env_now_ms(k.env));
    r = api_expect(&k, 200, "DELETE", PODS "/p", "", "{\"gracePeriodSeconds\":5}");
    CHECK(time_parse(api_str(&r, "metadata.deletionTimestamp"), &sooner_ms));
    CHECK(sooner_ms <= env_now_ms(k.env) + 5000 && sooner_ms > env_now_ms(k.env) - 60000);
    api_kit_stop(&k);
}

TEST(eviction_deletes)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make_pod(&k, "edge");
    struct api_reply r =
        api_expect(&k, 201, "POST", PODS "/p/eviction", "",
                   "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":"
                   "\"p\"},\"deleteOptions\":{\"gracePeriodSeconds\":7}}");
    CHECK_SPAN(api_str(&r, "status"), "Success");
    r = api_get(&k, PODS "/p");
    CHECK_EQ(json_int(api_at(r.json, "metadata.deletionGracePeriodSeconds"), 0), 7);
    (void)api_expect(&k, 404, "POST", PODS "/none/eviction", "", "{}");
    api_kit_stop(&k);
}

TEST(preconditions_protect_another_object_of_the_name)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply a = api_expect(&k, 201, "POST", CM, "", "{\"metadata\":{\"name\":\"m\"}}");
    struct api_reply r =
        api_expect(&k, 409, "DELETE", CM "/m", "", "{\"preconditions\":{\"uid\":\"x\"}}");
    CHECK_SPAN(api_str(&r, "reason"), "Conflict");
    CHECK(span_starts(api_str(&r, "message"),
                      SPAN("Operation cannot be fulfilled on ConfigMap \"m\": the UID in the "
                           "precondition (x) does not match the UID in record (")));
    CHECK_SPAN(api_str(&r, "details.kind"), "ConfigMap");
    r = api_expect(&k, 409, "DELETE", CM "/m", "",
                   "{\"preconditions\":{\"resourceVersion\":\"1\"}}");
    char body[128];
    (void)snprintf(body, sizeof body, "{\"preconditions\":{\"uid\":\"%.*s\"}}",
                   SPAN_ARG(api_str(&a, "metadata.uid")));
    (void)api_expect(&k, 200, "DELETE", CM "/m?dryRun=All", "", body);
    (void)api_expect(&k, 200, "GET", CM "/m", "", NULL);
    (void)api_expect(&k, 200, "DELETE", CM "/m", "", body);
    (void)api_expect(&k, 404, "DELETE", CM "/m", "", NULL);
    api_kit_stop(&k);
}

TEST(finalizers_hold_an_object_until_the_last_one_goes)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", CM, "",
                     "{\"metadata\":{\"name\":\"m\",\"finalizers\":[\"a.b/c\",\"a.b/d\"]}}");
    struct api_watch *w = api_watch_open(&k, CM "?watch=1&resourceVersion=1", "");
    struct api_reply r = api_expect(&k, 200, "DELETE", CM "/m", "", NULL);
    CHECK(api_str(&r, "metadata.deletionTimestamp").n > 0);
    (void)api_expect(&k, 200, "PATCH", CM "/m", MERGE,
                     "{\"metadata\":{\"finalizers\":[\"a.b/d\"]}}");
    (void)api_expect(&k, 200, "GET", CM "/m", "", NULL);
    (void)api_expect(&k, 200, "PATCH", CM "/m", MERGE, "{\"metadata\":{\"finalizers\":null}}");
    (void)api_expect(&k, 404, "GET", CM "/m", "", NULL);
    const char *types[] = {"ADDED", "MODIFIED", "MODIFIED", "DELETED"};
    for (size_t i = 0; i < 4; i++) {
        const yyjson_val *e = api_watch_next(w);
        if (span_eq(json_str(api_at(e, "object.metadata.name")), SPAN("m"))) {
            CHECK_SPAN(json_get_str(e, "type"), types[i]);
        }
    }
    api_watch_close(w);
    api_kit_stop(&k);
}

TEST(propagation_sets_the_collectors_finalizers)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    const char *policies[] = {"Foreground", "Orphan"};
    const char *finalizers[] = {"foregroundDeletion", "orphan"};
    for (size_t i = 0; i < 2; i++) {
        char body[64];
        (void)api_expect(&k, 201, "POST", CM, "", "{\"metadata\":{\"name\":\"m\"}}");
        (void)snprintf(body, sizeof body, "{\"propagationPolicy\":\"%s\"}", policies[i]);
        struct api_reply r = api_expect(&k, 200, "DELETE", CM "/m", "", body);
        CHECK_SPAN(api_str(&r, "metadata.finalizers.0"), finalizers[i]);
        (void)api_expect(&k, 200, "DELETE", CM "/m", "", "{\"propagationPolicy\":\"Background\"}");
        (void)api_expect(&k, 404, "GET", CM "/m", "", NULL);
    }
    (void)api_expect(&k, 422, "DELETE", CM "/m", "", "{\"propagationPolicy\":\"Maybe\"}");
    api_kit_stop(&k);
}

TEST(a_namespace_goes_when_finalized)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces", "", "{\"metadata\":{\"name\":\"n\"}}");
    (void)api_expect(&k, 200, "DELETE", "/api/v1/namespaces/n", "", NULL);
    struct api_reply r = api_expect(&k, 200, "PUT", "/api/v1/namespaces/n", "",
                                    "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"finalizers\":[]}}");
    CHECK_SPAN(api_str(&r, "spec.finalizers.0"), "kubernetes");
    (void)api_expect(&k, 200, "PUT", "/api/v1/namespaces/n/finalize", "",
                     "{\"metadata\":{\"name\":\"n\"},\"spec\":{}}");
    (void)api_expect(&k, 404, "GET", "/api/v1/namespaces/n", "", NULL);
    r = api_expect(&k, 403, "DELETE", "/api/v1/namespaces/default", "", NULL);
    CHECK_SPAN(api_str(&r, "message"),
               "namespaces \"default\" is forbidden: this namespace may not be deleted");
    api_kit_stop(&k);
}

TEST(deletecollection_takes_what_the_selector_names)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (int i = 0; i < 6; i++) {
        char body[128];
        (void)snprintf(body, sizeof body,
                       "{\"metadata\":{\"name\":\"m%d\",\"labels\":{\"half\":\"%d\"}}}", i, i % 2);
        (void)api_expect(&k, 201, "POST", CM, "", body);
    }
    struct api_reply r = api_expect(&k, 200, "DELETE", CM "?labelSelector=half%3D1", "", NULL);
    CHECK_EQ(json_len(api_at(r.json, "items")), 3);
    r = api_get(&k, CM);
    CHECK_EQ(json_len(api_at(r.json, "items")), 3);
    r = api_expect(&k, 200, "DELETE", CM, "", NULL);
    r = api_get(&k, CM);
    CHECK_EQ(json_len(api_at(r.json, "items")), 0);
    (void)api_expect(&k, 405, "DELETE", "/api/v1/namespaces", "", NULL);
    api_kit_stop(&k);
}

TEST(options_that_cannot_be_read_delete_nothing)
{
    static const char *const bodies[] = {
        "{\"kind\":\"Foo\",\"apiVersion\":\"v1\"}", "{\"dryRun\":\"All\"}", "[]",
        "{\"gracePeriodSeconds\":\"x\"}", "{\"preconditions\":\"x\"}"};
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/configmaps", "",
                     "{\"metadata\":{\"name\":\"kept\"}}");
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        (void)api_expect(&k, 400, "DELETE", "/api/v1/namespaces/default/configmaps/kept", "",
                         bodies[i]);
        (void)api_expect(&k, 400, "DELETE", "/api/v1/namespaces/default/configmaps", "", bodies[i]);
    }
    (void)api_expect(&k, 422, "DELETE", "/api/v1/namespaces/default/configmaps/kept", "",
                     "{\"orphanDependents\":true,\"propagationPolicy\":\"Orphan\"}");
    (void)api_expect(&k, 400, "DELETE",
                     "/api/v1/namespaces/default/configmaps/kept?fieldValidation=Strict", "",
                     "{\"precondition\":{}}");
    (void)api_expect(&k, 200, "GET", "/api/v1/namespaces/default/configmaps/kept", "", NULL);
    struct api_reply r =
        api_expect(&k, 200, "DELETE", "/api/v1/namespaces/default/configmaps/kept", "",
                   "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"precondition\":{}}");
    CHECK_SPAN(api_header(&r, "warning"), "299 - \"unknown field \\\"precondition\\\"\"");
    api_kit_stop(&k);
}

TEST(a_dry_run_shows_what_would_be_left)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces", "", "{\"metadata\":{\"name\":\"n\"}}");
    struct api_reply r = api_expect(&k, 200, "DELETE", "/api/v1/namespaces/n?dryRun=All", "", NULL);
    CHECK_SPAN(api_str(&r, "kind"), "Namespace");
    CHECK_SPAN(api_str(&r, "status.phase"), "Terminating");
    CHECK(api_str(&r, "metadata.deletionTimestamp").n > 0);
    CHECK(api_str(&r, "metadata.resourceVersion").n > 0);
    r = api_get(&k, "/api/v1/namespaces/n");
    CHECK_SPAN(api_str(&r, "status.phase"), "Active");
    CHECK_EQ(api_str(&r, "metadata.deletionTimestamp").n, 0);
    api_kit_stop(&k);
}
