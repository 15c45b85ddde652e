/* update and patch: conflicts, what may change, generations, no-ops, /status. */
#include "test/kit/api_kit.h"

#define CM "/api/v1/namespaces/default/configmaps"
#define STS "/apis/apps/v1/namespaces/default/statefulsets"
#define MERGE "Content-Type: application/merge-patch+json\r\n"
#define JSON_PATCH "Content-Type: application/json-patch+json\r\n"
#define STRATEGIC "Content-Type: application/strategic-merge-patch+json\r\n"

static struct api_reply make_set(struct api_kit *k)
{
    return api_expect(
        k, 201, "POST", STS, "",
        "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"serviceName\":\"s\",\"replicas\":1,"
        "\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{"
        "\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}");
}

static int64_t generation(struct api_reply r)
{
    return json_int(api_at(r.json, "metadata.generation"), 0);
}

TEST(a_change_that_changes_nothing_makes_no_revision)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply a = make_set(&k);
    struct api_reply b =
        api_expect(&k, 200, "PATCH", STS "/s", MERGE, "{\"spec\":{\"replicas\":1}}");
    CHECK(
        span_eq(api_str(&a, "metadata.resourceVersion"), api_str(&b, "metadata.resourceVersion")));
    b = api_expect(&k, 200, "PUT", STS "/s", "", api_text(a.body));
    CHECK(
        span_eq(api_str(&a, "metadata.resourceVersion"), api_str(&b, "metadata.resourceVersion")));
    b = api_expect(&k, 200, "PATCH", STS "/s", STRATEGIC, "{}");
    CHECK(span_eq(a.body, b.body));
    api_kit_stop(&k);
}

TEST(generation_counts_changes_of_spec_only)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)make_set(&k);
    CHECK_EQ(generation(api_expect(&k, 200, "PATCH", STS "/s", MERGE,
                                   "{\"metadata\":{\"labels\":{\"x\":\"y\"}}}")),
             1);
    CHECK_EQ(generation(api_expect(&k, 200, "PATCH", STS "/s/status", MERGE,
                                   "{\"status\":{\"replicas\":1}}")),
             1);
    CHECK_EQ(
        generation(api_expect(&k, 200, "PATCH", STS "/s", MERGE, "{\"spec\":{\"replicas\":2}}")),
        2);
    api_kit_stop(&k);
}

TEST(the_generation_of_a_priority_class_stays)
{
#define CLASS "/apis/scheduling.k8s.io/v1/priorityclasses"
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r =
        api_expect(&k, 201, "POST", CLASS, "", "{\"metadata\":{\"name\":\"high\"},\"value\":5}");
    CHECK_EQ(json_int(api_at(r.json, "metadata.generation"), -1), 1);
    r = api_expect(&k, 200, "PATCH", CLASS "/high", MERGE,
                   "{\"description\":\"first\",\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    CHECK_SPAN(api_str(&r, "description"), "first");
    CHECK_EQ(json_int(api_at(r.json, "metadata.generation"), -1), 1);
    api_kit_stop(&k);
#undef CLASS
}

TEST(status_and_spec_have_their_own_doors)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)make_set(&k);
    struct api_reply r = api_expect(&k, 200, "PATCH", STS "/s", MERGE,
                                    "{\"status\":{\"replicas\":5},\"spec\":{\"replicas\":3}}");
    CHECK_EQ(json_int(api_at(r.json, "status.replicas"), -1), 0);
    r = api_expect(&k, 200, "PATCH", STS "/s/status", MERGE,
                   "{\"status\":{\"replicas\":2},\"spec\":{\"replicas\":9}}");
    CHECK_EQ(json_int(api_at(r.json, "status.replicas"), -1), 2);
    CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), -1), 3);
    r = api_expect(&k, 200, "GET", STS "/s/status", "", NULL);
    CHECK_EQ(json_int(api_at(r.json, "status.replicas"), -1), 2);
    api_kit_stop(&k);
}

TEST(a_stale_revision_conflicts_and_none_does_not)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply a = api_expect(&k, 201, "POST", CM, "",
                                    "{\"metadata\":{\"name\":\"m\"},\"data\":{\"a\":\"1\"}}");
    (void)api_expect(&k, 200, "PUT", CM "/m", "",
                     "{\"metadata\":{\"name\":\"m\"},\"data\":{\"a\":\"2\"}}");
    struct api_reply r = api_expect(&k, 409, "PUT", CM "/m", "", api_text(a.body));
    CHECK_SPAN(api_str(&r, "reason"), "Conflict");
    r = api_expect(&k, 409, "PATCH", CM "/m", MERGE,
                   "{\"metadata\":{\"resourceVersion\":\"1\"},\"data\":{\"a\":\"3\"}}");
    r = api_expect(&k, 409, "PUT", CM "/m", "",
                   "{\"metadata\":{\"name\":\"m\",\"uid\":\"other\"},\"data\":{}}");
    r = api_get(&k, CM "/m");
    CHECK_SPAN(api_str(&r, "data.a"), "2");
    CHECK(span_eq(api_str(&r, "metadata.uid"), api_str(&a, "metadata.uid")));
    CHECK(span_eq(api_str(&r, "metadata.creationTimestamp"),
                  api_str(&a, "metadata.creationTimestamp")));
    api_kit_stop(&k);
}

TEST(the_three_patches_work_and_other_types_are_refused)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)make_set(&k);
    struct api_reply r =
        api_expect(&k, 200, "PATCH", STS "/s", JSON_PATCH,
                   "[{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":4}]");
    CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), 0), 4);
    r = api_expect(&k, 200, "PATCH", STS "/s", STRATEGIC,
                   "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"d\",\"image\":"
                   "\"j\"}]}}}}");
    CHECK_EQ(json_len(api_at(r.json, "spec.template.spec.containers")), 2);
    r = api_expect(&k, 200, "PATCH", STS "/s", MERGE,
                   "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"e\",\"image\":"
                   "\"j\"}]}}}}");
    CHECK_EQ(json_len(api_at(r.json, "spec.template.spec.containers")), 1);
    r = api_expect(&k, 415, "PATCH", STS "/s", "Content-Type: application/apply-patch+cbor\r\n",
                   "{}");
    CHECK(memmem(r.body.p, r.body.n, "apply-patch+yaml", 16) != NULL);
    (void)api_expect(&k, 415, "PATCH", STS "/s", "Content-Type: application/json\r\n", "{}");
    (void)api_expect(&k, 404, "PATCH", STS "/none", MERGE, "{}");
    (void)api_expect(&k, 400, "PATCH", STS "/s", MERGE, "{");
    api_kit_stop(&k);
}

TEST(dry_run_of_a_patch_shows_and_does_not_do)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply a = make_set(&k);
    struct api_reply r =
        api_expect(&k, 200, "PATCH", STS "/s?dryRun=All", MERGE, "{\"spec\":{\"replicas\":8}}");
    CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), 0), 8);
    CHECK(
        span_eq(api_str(&a, "metadata.resourceVersion"), api_str(&r, "metadata.resourceVersion")));
    r = api_get(&k, STS "/s");
    CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), 0), 1);
    api_kit_stop(&k);
}

TEST(scale_changes_replicas_and_nothing_else)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)make_set(&k);
    struct api_reply r =
        api_expect(&k, 200, "PATCH", STS "/s/scale", MERGE, "{\"spec\":{\"replicas\":5}}");
    CHECK_SPAN(api_str(&r, "kind"), "Scale");
    CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), 0), 5);
    CHECK_SPAN(api_str(&r, "status.selector"), "a=b");
    r = api_get(&k, STS "/s");
    CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), 0), 5);
    CHECK_EQ(json_int(api_at(r.json, "metadata.generation"), 0), 2);
    r = api_expect(
        &k, 409, "PUT", STS "/s/scale", "",
        "{\"metadata\":{\"name\":\"s\",\"resourceVersion\":\"1\"},\"spec\":{\"replicas\":"
        "1}}");
    (void)api_expect(&k, 422, "PATCH", STS "/s/scale", MERGE, "{\"spec\":{\"replicas\":-1}}");
    api_kit_stop(&k);
}

TEST(service_keeps_its_address_over_an_update_without_it)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply a =
        api_expect(&k, 201, "POST", "/api/v1/namespaces/default/services", "",
                   "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"ports\":[{\"port\":80}]}}");
    struct api_reply b =
        api_expect(&k, 200, "PUT", "/api/v1/namespaces/default/services/v", "",
                   "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"ports\":[{\"port\":81}]}}");
    CHECK(span_eq(api_str(&a, "spec.clusterIP"), api_str(&b, "spec.clusterIP")));
    CHECK_EQ(json_int(api_at(b.json, "spec.ports.0.port"), 0), 81);
    api_kit_stop(&k);
}

TEST(what_is_given_once_stays)
{
    static const struct {
        int status;
        const char *path, *body, *patch, *message;
    } cases[] = {
        {422, "/api/v1/nodes",
         "{\"metadata\":{\"name\":\"i\"},\"spec\":{\"podCIDR\":\"10.0.0.0/24\",\"podCIDRs\":["
         "\"10.0.0.0/24\"]}}",
         "{\"spec\":{\"podCIDRs\":[\"10.1.0.0/24\"]}}",
         "Node \"i\" is invalid: spec.podCIDRs: Forbidden: node updates may not change podCIDR "
         "except from \"\" to valid"},
        {422, "/apis/storage.k8s.io/v1/csidrivers",
         "{\"metadata\":{\"name\":\"i\"},\"spec\":{\"attachRequired\":true}}",
         "{\"spec\":{\"attachRequired\":false}}",
         "CSIDriver.storage.k8s.io \"i\" is invalid: spec.attachRequired: Invalid value: false: "
         "field is immutable"},
        {422, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
         "{\"metadata\":{\"name\":\"i\"},\"addressType\":\"IPv4\",\"endpoints\":[]}",
         "{\"ports\":[{\"name\":\"a\",\"port\":1},{\"name\":\"a\",\"port\":2}]}",
         "EndpointSlice.discovery.k8s.io \"i\" is invalid: ports[1].name: Duplicate value: \"a\""},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/i", cases[i].path);
        (void)api_expect(&k, 201, "POST", cases[i].path, "", cases[i].body);
        struct api_reply r =
            api_expect(&k, cases[i].status, "PATCH", path,
                       "Content-Type: application/merge-patch+json\r\n", cases[i].patch);
        CHECK_SPAN(api_str(&r, "message"), cases[i].message);
    }
    struct api_reply r =
        api_expect(&k, 422, "POST", cases[2].path, "",
                   "{\"metadata\":{\"name\":\"j\"},\"addressType\":\"X\",\"endpoints\":[]}");
    CHECK_SPAN(api_str(&r, "message"),
               "EndpointSlice.discovery.k8s.io \"j\" is invalid: addressType: Unsupported value: "
               "\"X\": supported values: \"FQDN\", \"IPv4\", \"IPv6\"");
    api_kit_stop(&k);
}

TEST(a_bound_claim_grows_where_its_class_allows_it_and_shrinks_nowhere)
{
#define CLAIM "/api/v1/namespaces/default/persistentvolumeclaims"
#define CLASS "/apis/storage.k8s.io/v1/storageclasses/local"
#define PATCH_TYPE "Content-Type: application/merge-patch+json\r\n"
#define ASK(size) "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"" size "\"}}}}"
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 200, "GET", CLASS, "", NULL);
    CHECK(json_get_bool(r.json, "allowVolumeExpansion", false));
    (void)api_expect(&k, 201, "POST", CLAIM, "",
                     "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"storageClassName\":\"local\","
                     "\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{"
                     "\"storage\":\"1Gi\"}}}}");
    (void)api_expect(&k, 422, "PATCH", CLAIM "/c", PATCH_TYPE, ASK("2Gi")); /* not bound */
    (void)api_expect(&k, 200, "PATCH", CLAIM "/c/status", PATCH_TYPE,
                     "{\"status\":{\"phase\":\"Bound\",\"capacity\":{\"storage\":\"1Gi\"}}}");
    (void)api_expect(&k, 200, "PATCH", CLASS, PATCH_TYPE, "{\"allowVolumeExpansion\":false}");
    r = api_expect(&k, 403, "PATCH", CLAIM "/c", PATCH_TYPE, ASK("2Gi"));
    CHECK_SPAN(api_str(&r, "message"),
               "persistentvolumeclaims \"c\" is forbidden: only dynamically provisioned pvc can be "
               "resized and the storageclass that provisions the pvc must support resize");
    (void)api_expect(&k, 200, "PATCH", CLASS, PATCH_TYPE, "{\"allowVolumeExpansion\":true}");
    (void)api_expect(&k, 200, "PATCH", CLAIM "/c", PATCH_TYPE, ASK("4Gi"));
    (void)api_expect(&k, 200, "PATCH", CLAIM "/c", PATCH_TYPE, ASK("2Gi")); /* not reached yet */
    r = api_expect(&k, 422, "PATCH", CLAIM "/c", PATCH_TYPE, ASK("1Gi"));
    CHECK_SPAN(
        api_str(&r, "message"),
        "PersistentVolumeClaim \"c\" is invalid: spec.resources.requests.storage: Forbidden: "
        "field can not be less than status.capacity");
    (void)api_expect(&k, 200, "PATCH", CLAIM "/c", PATCH_TYPE,
                     "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    api_kit_stop(&k);
}

TEST(how_far_a_growth_has_come_is_one_of_five_words_about_storage)
{
    static const struct {
        const char *patch, *message;
    } cases[] = {
        {"{\"status\":{\"allocatedResourceStatuses\":{\"storage\":\"Half\"}}}",
         "PersistentVolumeClaim \"c\" is invalid: status.allocatedResourceStatuses: Unsupported "
         "value: \"storage\": supported values: \"ControllerResizeInProgress\", "
         "\"ControllerResizeInfeasible\", \"NodeResizeInProgress\", \"NodeResizeInfeasible\", "
         "\"NodeResizePending\""},
        {"{\"status\":{\"allocatedResources\":{\"cpu\":\"1\"}}}",
         "PersistentVolumeClaim \"c\" is invalid: status.allocatedResources: Unsupported value: "
         "\"cpu\": supported values: \"storage\""},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", CLAIM, "",
                     "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"accessModes\":["
                     "\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_reply r =
            api_expect(&k, 422, "PATCH", CLAIM "/c/status", PATCH_TYPE, cases[i].patch);
        CHECK_SPAN(api_str(&r, "message"), cases[i].message);
    }
    (void)api_expect(&k, 200, "PATCH", CLAIM "/c/status", PATCH_TYPE,
                     "{\"status\":{\"allocatedResources\":{\"storage\":\"2Gi\"},"
                     "\"allocatedResourceStatuses\":{\"storage\":\"NodeResizePending\"}}}");
    api_kit_stop(&k);
}

/* ---- claims and their owners ---- */

static const char *owned_by(struct span uid)
{
    static char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":"
                   "\"StatefulSet\",\"name\":\"s\",\"uid\":\"%.*s\"}]}}",
                   SPAN_ARG(uid));
    return text;
}

#define OWNER_MERGE "Content-Type: application/merge-patch+json\r\n"
#define OWNED "/api/v1/namespaces/default/persistentvolumeclaims/data-s-0"
#define SETS "/apis/apps/v1/namespaces/default/statefulsets"

/* A controller that is a moment behind would give it away with its data (sim seed 2705319). */
TEST(a_claim_is_not_given_to_a_set_that_leaves_what_it_owns)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/persistentvolumeclaims", "",
                     "{\"metadata\":{\"name\":\"data-s-0\"},\"spec\":{\"accessModes\":["
                     "\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}");
    (void)api_expect(&k, 409, "PATCH", OWNED, OWNER_MERGE,
                     owned_by(SPAN("00000000-0000-4000-8000-000000000001")));
    struct api_reply set = api_expect(
        &k, 201, "POST", SETS, "",
        "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"serviceName\":\"s\",\"selector\":{"
        "\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},"
        "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"c\"}]}}}}");
    struct span uid = api_str(&set, "metadata.uid");
    (void)api_expect(&k, 200, "PATCH", OWNED, OWNER_MERGE, owned_by(uid));
    (void)api_expect(&k, 200, "PATCH", OWNED, OWNER_MERGE,
                     "{\"metadata\":{\"ownerReferences\":null}}");
    (void)api_expect(&k, 200, "DELETE", SETS "/s?propagationPolicy=Orphan", "", NULL);
    (void)api_expect(&k, 409, "PATCH", OWNED, OWNER_MERGE, owned_by(uid));
    (void)api_expect(&k, 200, "PATCH", OWNED, OWNER_MERGE,
                     "{\"metadata\":{\"labels\":{\"still\":\"writable\"}}}");
    api_kit_stop(&k);
}

/* The garbage collector, a moment behind, does not know of the claim that it is to let go of (sim
 * seed 3027956). */
TEST(a_set_that_leaves_what_it_owns_does_not_end_while_a_claim_names_it)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/persistentvolumeclaims", "",
                     "{\"metadata\":{\"name\":\"data-s-0\"},\"spec\":{\"accessModes\":["
                     "\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}");
    struct api_reply set = make_set(&k);
    (void)api_expect(&k, 200, "PATCH", OWNED, OWNER_MERGE, owned_by(api_str(&set, "metadata.uid")));
    (void)api_expect(&k, 200, "DELETE", SETS "/s?propagationPolicy=Orphan", "", NULL);
    (void)api_expect(&k, 200, "PATCH", SETS "/s", MERGE,
                     "{\"metadata\":{\"annotations\":{\"still\":\"writable\"}}}");
    (void)api_expect(&k, 409, "PATCH", SETS "/s", MERGE, "{\"metadata\":{\"finalizers\":null}}");
    (void)api_expect(&k, 200, "PATCH", OWNED, OWNER_MERGE,
                     "{\"metadata\":{\"ownerReferences\":null}}");
    (void)api_expect(&k, 200, "PATCH", SETS "/s", MERGE, "{\"metadata\":{\"finalizers\":null}}");
    (void)api_expect(&k, 404, "GET", SETS "/s", "", NULL);
    api_kit_stop(&k);
}
