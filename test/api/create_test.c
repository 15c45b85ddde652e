/* create: names, namespaces, bodies in every form, strictness, what the server adds. */
#include <stdlib.h>

#include "base/limits.h"
#include "base/strbuf.h"
#include "test/kit/api_kit.h"

#define CM "/api/v1/namespaces/default/configmaps"

TEST(a_namespace_must_exist_and_not_be_ending)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 404, "POST", "/api/v1/namespaces/nowhere/configmaps", "",
                                    "{\"metadata\":{\"name\":\"m\"}}");
    CHECK_SPAN(api_str(&r, "message"), "namespaces \"nowhere\" not found");
    CHECK_SPAN(api_str(&r, "details.kind"), "namespaces");
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces", "", "{\"metadata\":{\"name\":\"ns\"}}");
    r = api_expect(&k, 200, "DELETE", "/api/v1/namespaces/ns", "", NULL);
    CHECK_SPAN(api_str(&r, "status.phase"), "Terminating");
    r = api_expect(&k, 403, "POST", "/api/v1/namespaces/ns/configmaps", "",
                   "{\"metadata\":{\"name\":\"m\"}}");
    CHECK_SPAN(api_str(&r, "details.causes.0.reason"), "NamespaceTerminating");
    api_kit_stop(&k);
}

TEST(names_are_checked_and_generated)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 422, "POST", CM, "", "{\"metadata\":{}}");
    CHECK_SPAN(api_str(&r, "details.causes.0.field"), "metadata.name");
    (void)api_expect(&k, 422, "POST", CM, "", "{\"metadata\":{\"name\":\"Not_a_name\"}}");
    r = api_expect(&k, 400, "POST", CM, "", "{\"metadata\":{\"name\":\"m\",\"namespace\":\"x\"}}");
    CHECK_SPAN(api_str(&r, "message"), "the namespace of the provided object does not match the "
                                       "namespace sent on the request");
    r = api_expect(&k, 201, "POST", CM, "", "{\"metadata\":{\"generateName\":\"m-\"}}");
    CHECK_EQ(api_str(&r, "metadata.name").n, 7);
    CHECK(span_starts(api_str(&r, "metadata.name"), SPAN("m-")));
    r = api_expect(&k, 400, "POST", CM, "",
                   "{\"metadata\":{\"name\":\"m\",\"resourceVersion\":\"5\"}}");
    (void)api_expect(&k, 405, "POST", "/api/v1/pods", "", "{}");
    api_kit_stop(&k);
}

TEST(what_the_server_owns_cannot_be_given)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r =
        api_expect(&k, 201, "POST", "/apis/apps/v1/namespaces/default/statefulsets", "",
                   "{\"metadata\":{\"name\":\"s\",\"uid\":\"mine\",\"generation\":9,"
                   "\"creationTimestamp\":\"2001-01-01T00:00:00Z\",\"deletionTimestamp\":"
                   "\"2001-01-01T00:00:00Z\"},\"spec\":{\"serviceName\":\"s\",\"selector\":{"
                   "\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":"
                   "\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}},"
                   "\"status\":{\"replicas\":7}}");
    CHECK_EQ(api_str(&r, "metadata.uid").n, 36);
    CHECK_EQ(json_int(api_at(r.json, "metadata.generation"), 0), 1);
    CHECK_EQ(json_int(api_at(r.json, "status.replicas"), -1), 0);
    CHECK(!api_at(r.json, "metadata.deletionTimestamp"));
    CHECK(!span_starts(api_str(&r, "metadata.creationTimestamp"), SPAN("2001")));
    api_kit_stop(&k);
}

TEST(unknown_fields_follow_field_validation)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    const char *body = "{\"metadata\":{\"name\":\"m\"},\"dta\":{}}";
    struct api_reply r = api_expect(&k, 400, "POST", CM "?fieldValidation=Strict", "", body);
    CHECK_SPAN(api_str(&r, "message"),
               "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding "
               "error: unknown field \"dta\"");
    r = api_expect(&k, 201, "POST", CM "?dryRun=All", "", body);
    CHECK_SPAN(api_header(&r, "warning"), "299 - \"unknown field \\\"dta\\\"\"");
    CHECK(!api_at(r.json, "dta"));
    r = api_expect(&k, 201, "POST", CM "?fieldValidation=Ignore", "", body);
    CHECK_EQ(api_header(&r, "warning").n, 0);
    (void)api_expect(&k, 422, "POST", CM "?fieldValidation=Maybe", "", body);
    api_kit_stop(&k);
}

TEST(dry_run_stores_nothing)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r =
        api_expect(&k, 201, "POST", CM "?dryRun=All", "", "{\"metadata\":{\"name\":\"m\"}}");
    CHECK_EQ(api_str(&r, "metadata.uid").n, 36);
    (void)api_expect(&k, 404, "GET", CM "/m", "", NULL);
    (void)api_expect(&k, 422, "POST", CM "?dryRun=Some", "", "{\"metadata\":{\"name\":\"m\"}}");
    api_kit_stop(&k);
}

TEST(bodies_come_as_json_yaml_or_without_a_type)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", CM, "Content-Type: application/yaml\r\n",
                     "kind: ConfigMap\napiVersion: v1\nmetadata: {name: ym}\ndata:\n  a: \"1\"\n");
    struct api_reply r = api_get(&k, CM "/ym");
    CHECK_SPAN(api_str(&r, "data.a"), "1");
    (void)api_expect(&k, 400, "POST", CM, "Content-Type: application/yaml\r\n", "a: [");
    (void)api_expect(&k, 415, "POST", CM, "Content-Type: text/plain\r\n", "x");
    r = api_expect(&k, 400, "POST", CM, "", "{\"metadata\":");
    CHECK_SPAN(api_str(&r, "reason"), "BadRequest");
    (void)api_expect(&k, 400, "POST", CM, "", "[1]");
    r = api_expect(&k, 400, "POST", CM, "", "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"m\"}}");
    r = api_expect(&k, 400, "POST", CM, "",
                   "{\"apiVersion\":\"v2\",\"metadata\":{\"name\":\"m\"}}");
    CHECK_SPAN(api_str(&r, "message"),
               "the API version in the data (v2) does not match the expected API version (v1)");
    api_kit_stop(&k);
}

TEST(bodies_that_are_no_json_are_refused_in_the_words_of_kubernetes)
{
#define NEITHER                                                                                    \
    "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; " \
    "json parse error: "
    static const char *const rows[][4] = {
        {"POST", "", "{", NEITHER "unexpected end of JSON input ({)"},
        {"POST", "", "{\"metadata\":{\"name\":\"abcdefgh\"}}}",
         NEITHER
         "invalid character '}' after top-level value ({\"metadata\":{\"name\":\"abcdefgh\" ...)"},
        {"POST", "", "x", NEITHER "invalid character 'x' looking for beginning of value (78)"},
        {"POST", "", "[]",
         NEITHER "json: cannot unmarshal array into Go value of type struct { APIVersion string "
                 "\"json:\\\"apiVersion,omitempty\\\"\"; Kind string "
                 "\"json:\\\"kind,omitempty\\\"\" } (5b5d)"},
        {"PATCH", "Content-Type: application/merge-patch+json\r\n", "{",
         "error decoding patch: unexpected end of JSON input"},
        {"PATCH", "Content-Type: application/json-patch+json\r\n", "[{]",
         "invalid character ']' looking for beginning of object key string"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool patch = strcmp(rows[i][0], "PATCH") == 0;
        const char *path = patch ? "/api/v1/namespaces/default/configmaps/m"
                                 : "/api/v1/namespaces/default/configmaps";
        struct api_reply r = api_expect(&k, 400, rows[i][0], path, rows[i][1], rows[i][2]);
        CHECK_SPAN(api_str(&r, "message"), rows[i][3]);
        CHECK_SPAN(api_str(&r, "reason"), "BadRequest");
    }
    api_kit_stop(&k);
}

TEST(deep_and_large_bodies_are_refused)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct strbuf b = STRBUF_INIT;
    strbuf_puts(&b, "{\"metadata\":");
    for (int i = 0; i < 10000; i++) {
        strbuf_puts(&b, "[");
    }
    (void)api_expect(&k, 400, "POST", CM, "", b.p);
    strbuf_clear(&b);
    strbuf_puts(&b, "{\"metadata\":{\"name\":\"big\"},\"data\":{\"a\":\"");
    for (int i = 0; i < LIMIT_OBJECT_BYTES / 16; i++) {
        strbuf_puts(&b, "0123456789abcdef");
    }
    strbuf_puts(&b, "\"}}");
    struct api_reply r = api_call(&k, "POST", CM, "", b.p);
    CHECK(r.status == 413 || r.status == 422);
    strbuf_done(&b);
    api_kit_stop(&k);
}

TEST(pods_get_their_defaults_at_admission)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r =
        api_expect(&k, 201, "POST", "/api/v1/namespaces/default/pods", "",
                   "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
                   "\"image\":\"i\",\"resources\":{\"limits\":{\"cpu\":\"1\",\"memory\":"
                   "\"1Gi\"}}}],\"tolerations\":[{\"key\":\"node.kubernetes.io/not-ready\","
                   "\"operator\":\"Exists\",\"effect\":\"NoExecute\"}]}}");
    CHECK_SPAN(api_str(&r, "spec.serviceAccountName"), "default");
    CHECK_SPAN(api_str(&r, "status.phase"), "Pending");
    CHECK_SPAN(api_str(&r, "status.qosClass"), "Guaranteed");
    CHECK_EQ(json_len(api_at(r.json, "spec.tolerations")), 2);
    CHECK_SPAN(api_str(&r, "spec.tolerations.1.key"), "node.kubernetes.io/unreachable");
    CHECK_EQ(json_int(api_at(r.json, "spec.tolerations.1.tolerationSeconds"), 0), 300);
    api_kit_stop(&k);
}

TEST(pods_bear_lost_nodes_for_five_minutes_unless_they_say_something_about_them)
{
    static const struct {
        const char *given, *added; /* n: not-ready, u: unreachable */
    } cases[] = {
        {"", "nu"},
        {"{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\"}", "u"},
        {"{\"key\":\"node.kubernetes.io/unreachable\",\"value\":\"x\",\"effect\":\"NoExecute\"}",
         "n"},
        {"{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":"
         "\"NoSchedule\"}",
         "nu"},
        {"{\"operator\":\"Exists\"}", ""},
        {"{\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":1}", ""},
        {"{\"operator\":\"Exists\",\"effect\":\"PreferNoSchedule\"}", "nu"},
        {"{\"key\":\"gone\",\"operator\":\"Exists\",\"effect\":\"NoExecute\"}", "nu"},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[512], added[8] = "";
        snprintf(body, sizeof body,
                 "{\"metadata\":{\"name\":\"p%zu\"},\"spec\":{\"containers\":[{\"name\":\"c\","
                 "\"image\":\"i\"}],\"tolerations\":[%s]}}",
                 i, cases[i].given);
        struct api_reply r =
            api_expect(&k, 201, "POST", "/api/v1/namespaces/default/pods", "", body);
        size_t at = 0, n = 0;
        JSON_EACH(it, api_at(r.json, "spec.tolerations"))
        {
            if (at++ < (cases[i].given[0] != 0)) {
                continue;
            }
            CHECK_EQ(json_get_int(it.val, "tolerationSeconds", 0), 300);
            CHECK_SPAN(json_get_str(it.val, "operator"), "Exists");
            CHECK_SPAN(json_get_str(it.val, "effect"), "NoExecute");
            added[n++] = json_get_str(it.val, "key").p[strlen("node.kubernetes.io/")];
        }
        CHECK_SPAN(span_cstr(added), cases[i].added);
    }
    struct api_reply r = /* as it once was written: they stay */
        api_expect(&k, 200, "PATCH", "/api/v1/namespaces/default/pods/p0",
                   "Content-Type: application/merge-patch+json\r\n",
                   "{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"tolerations\":null}}");
    CHECK_EQ(json_len(api_at(r.json, "spec.tolerations")), 2);
    api_kit_stop(&k);
}

/* Their priority comes from admission, so what was written has none. */
TEST(a_pod_that_is_replaced_by_what_was_once_written_keeps_its_priority)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
#define WRITTEN(label)                                                                             \
    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\",\"labels\":{\"a\":"      \
    "\"" label                                                                                     \
    "\"}},\"spec\":{\"automountServiceAccountToken\":false,\"serviceAccountName\":\"default\","    \
    "\"serviceAccount\":\"default\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}"
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/pods", "", WRITTEN("b"));
    struct api_reply r =
        api_expect(&k, 200, "PUT", "/api/v1/namespaces/default/pods/p", "", WRITTEN("c"));
    CHECK_SPAN(api_str(&r, "metadata.labels.a"), "c");
    CHECK_EQ(json_int(api_at(r.json, "spec.priority"), -1), 0);
    CHECK_SPAN(api_str(&r, "spec.preemptionPolicy"), "PreemptLowerPriority");
    r = api_expect(&k, 422, "PATCH", "/api/v1/namespaces/default/pods/p",
                   "Content-Type: application/merge-patch+json\r\n", "{\"spec\":{\"priority\":7}}");
    api_kit_stop(&k);
}

TEST(a_new_node_takes_no_pods_before_it_was_seen_ready)
{
    static const char *const given[] = {
        "{}", "{\"taints\":[{\"key\":\"a\",\"effect\":\"NoExecute\"}]}",
        "{\"taints\":[{\"key\":\"node.kubernetes.io/not-ready\",\"effect\":\"NoSchedule\"}]}"};
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        char body[256];
        snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"n%zu\"},\"spec\":%s}", i, given[i]);
        struct api_reply r = api_expect(&k, 201, "POST", "/api/v1/nodes", "", body);
        CHECK_EQ(json_len(api_at(r.json, "spec.taints")), i == 1 ? 2 : 1);
        const char *at = i == 1 ? "spec.taints.1.key" : "spec.taints.0.key";
        CHECK_SPAN(api_str(&r, at), "node.kubernetes.io/not-ready");
    }
    api_kit_stop(&k);
}

TEST(label_keys_of_a_pod_become_part_of_its_selectors)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
#define SELECTED "\"labelSelector\":{\"matchLabels\":{\"app\":\"x\"}}"
    struct api_reply r = api_expect(
        &k, 201, "POST", "/api/v1/namespaces/default/pods", "",
        "{\"metadata\":{\"name\":\"p\",\"labels\":{\"app\":\"x\",\"v\":\"1\"}},\"spec\":{"
        "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}],\"affinity\":{\"podAffinity\":{"
        "\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"weight\":1,\"podAffinityTerm\":{"
        "\"topologyKey\":\"k\"," SELECTED ",\"matchLabelKeys\":[\"none\",\"v\"]}}]},"
        "\"podAntiAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[{"
        "\"topologyKey\":\"k\"," SELECTED ",\"mismatchLabelKeys\":[\"v\"]}]}},"
        "\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"k\","
        "\"whenUnsatisfiable\":\"DoNotSchedule\"," SELECTED ",\"matchLabelKeys\":[\"v\"]}]}}");
    static const char *const at[][2] = {
        {"spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution.0."
         "podAffinityTerm.labelSelector.matchExpressions",
         "[{\"key\":\"v\",\"operator\":\"In\",\"values\":[\"1\"]}]"},
        {"spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution.0."
         "labelSelector.matchExpressions",
         "[{\"key\":\"v\",\"operator\":\"NotIn\",\"values\":[\"1\"]}]"},
        {"spec.topologySpreadConstraints.0.labelSelector.matchExpressions",
         "[{\"key\":\"v\",\"operator\":\"In\",\"values\":[\"1\"]}]"}};
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        struct span got = json_write(a, api_at(r.json, at[i][0]));
        CHECK(span_eq_cstr(got, at[i][1]));
    }
    arena_free(a);
    api_kit_stop(&k);
}

TEST(the_account_of_a_pod_must_exist_and_lends_it_its_image_secrets)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    const char *pods = "/api/v1/namespaces/default/pods";
    struct api_reply r = api_expect(&k, 403, "POST", pods, "",
                                    "{\"metadata\":{\"name\":\"p\"},\"spec\":{"
                                    "\"serviceAccountName\":\"nobody\",\"containers\":[{\"name\":"
                                    "\"c\",\"image\":\"i\"}]}}");
    CHECK_SPAN(api_str(&r, "reason"), "Forbidden");
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"p\" is forbidden: error looking up service account default/nobody: "
               "serviceaccount \"nobody\" not found");
    r = api_expect(
        &k, 403, "POST", pods, "",
        "{\"metadata\":{\"generateName\":\"p-\"},\"spec\":{\"serviceAccount\":\"nobody\","
        "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}");
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"p-\" is forbidden: error looking up service account default/nobody: "
               "serviceaccount \"nobody\" not found");
    api_expect(&k, 201, "POST", "/api/v1/namespaces/default/serviceaccounts", "",
               "{\"metadata\":{\"name\":\"nobody\"},\"imagePullSecrets\":[{\"name\":\"a\"},{"
               "\"name\":\"b\"}]}");
    r = api_expect(&k, 201, "POST", pods, "",
                   "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"serviceAccount\":\"nobody\","
                   "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}");
    CHECK_SPAN(api_str(&r, "spec.serviceAccountName"), "nobody");
    CHECK_SPAN(api_str(&r, "spec.imagePullSecrets.1.name"), "b");
    r = api_expect(&k, 201, "POST", pods, "",
                   "{\"metadata\":{\"name\":\"q\"},\"spec\":{\"serviceAccountName\":\"nobody\","
                   "\"imagePullSecrets\":[{\"name\":\"own\"}],"
                   "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}");
    CHECK_SPAN(api_str(&r, "spec.serviceAccount"), "nobody");
    CHECK_EQ(json_len(api_at(r.json, "spec.imagePullSecrets")), 1);
    /* The account default comes with its namespace, if a moment later. */
    api_expect(&k, 201, "POST", "/api/v1/namespaces", "", "{\"metadata\":{\"name\":\"fresh\"}}");
    api_expect(&k, 404, "GET", "/api/v1/namespaces/fresh/serviceaccounts/default", "", "");
    r = api_expect(&k, 201, "POST", "/api/v1/namespaces/fresh/pods", "",
                   "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
                   "\"image\":\"i\"}]}}");
    CHECK_SPAN(api_str(&r, "spec.serviceAccountName"), "default");
    api_kit_stop(&k);
}

TEST(claims_get_the_default_class_and_a_finalizer)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    const char *path = "/api/v1/namespaces/default/persistentvolumeclaims";
    struct api_reply r =
        api_expect(&k, 201, "POST", path, "",
                   "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],"
                   "\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}");
    CHECK_SPAN(api_str(&r, "spec.storageClassName"), "local");
    CHECK_SPAN(api_str(&r, "metadata.finalizers.0"), "kubernetes.io/pvc-protection");
    CHECK_SPAN(api_str(&r, "status.phase"), "Pending");
    r = api_expect(&k, 201, "POST", path, "",
                   "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"storageClassName\":\"\","
                   "\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":"
                   "\"1Gi\"}}}}");
    CHECK_SPAN(api_str(&r, "spec.storageClassName"), "");
    r = api_expect(&k, 200, "DELETE", path, "", NULL); /* the whole collection: marked only */
    r = api_expect(&k, 200, "GET", "/api/v1/namespaces/default/persistentvolumeclaims/c", "", NULL);
    CHECK(api_str(&r, "metadata.deletionTimestamp").n > 0);
    api_kit_stop(&k);
}

TEST(services_get_distinct_addresses_and_give_them_back)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    const char *path = "/api/v1/namespaces/default/services";
#define PLAIN "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s\"ports\":[{\"port\":80}]}}"
    char body[256];
    (void)snprintf(body, sizeof body, PLAIN, "a", "");
    struct api_reply a = api_expect(&k, 201, "POST", path, "", body);
    CHECK_EQ(api_header(&a, "warning").n, 0);
    struct span ip = api_str(&a, "spec.clusterIP");
    CHECK(span_starts(ip, SPAN("10.43.")));
    CHECK(span_eq(api_str(&a, "spec.clusterIPs.0"), ip));
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"clusterIP\":\"%.*s\",\"ports\":[{"
                   "\"port\":80}]}}",
                   SPAN_ARG(ip));
    struct api_reply r = api_expect(&k, 422, "POST", path, "", body);
    CHECK_SPAN(api_str(&r, "details.causes.0.field"), "spec.clusterIPs");
    (void)api_expect(&k, 200, "DELETE", "/api/v1/namespaces/default/services/a", "", NULL);
    (void)api_expect(&k, 201, "POST", path, "", body);
    (void)snprintf(body, sizeof body, PLAIN, "c", "\"clusterIP\":\"192.0.2.1\",");
    (void)api_expect(&k, 422, "POST", path, "", body);
    (void)snprintf(body, sizeof body, PLAIN, "h", "\"clusterIP\":\"None\",");
    r = api_expect(&k, 201, "POST", path, "", body);
    CHECK_EQ(api_header(&r, "warning").n, 0);
    r = api_expect(&k, 422, "PATCH", "/api/v1/namespaces/default/services/h",
                   "Content-Type: application/merge-patch+json\r\n",
                   "{\"spec\":{\"clusterIP\":\"10.43.7.7\"}}");
    (void)snprintf(body, sizeof body, PLAIN, "e",
                   "\"type\":\"ExternalName\",\"externalName\":\"example.com\",");
    r = api_expect(&k, 201, "POST", path, "", body);
    CHECK(!api_at(r.json, "spec.clusterIP"));
    api_kit_stop(&k);
}

TEST(a_pod_of_a_runtime_class_that_is_not_there_is_refused)
{
    static const char pod[] =
        "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"runtimeClassName\":\"small\","
        "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}";
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 403, "POST", "/api/v1/namespaces/default/pods", "", pod);
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"a\" is forbidden: pod rejected: RuntimeClass \"small\" not found");
    (void)api_expect(&k, 201, "POST", "/apis/node.k8s.io/v1/runtimeclasses", "",
                     "{\"metadata\":{\"name\":\"small\"},\"handler\":\"vm\"}");
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/pods", "", pod);
    api_kit_stop(&k);
}

TEST(a_pod_gets_the_number_of_its_priority_class)
{
    static const char body[] = "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s\"containers\":[{"
                               "\"name\":\"c\",\"image\":\"i\"}]}}";
    struct api_kit k;
    char text[512];
    api_kit_start(&k, NULL);
    (void)snprintf(text, sizeof text, body, "a", "\"priorityClassName\":\"none\",");
    struct api_reply r = api_expect(&k, 403, "POST", "/api/v1/namespaces/default/pods", "", text);
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"a\" is forbidden: no PriorityClass with name none was found");
    (void)snprintf(text, sizeof text, body, "a", "\"priorityClassName\":\"system-node-critical\",");
    r = api_expect(&k, 201, "POST", "/api/v1/namespaces/default/pods", "", text);
    CHECK_EQ(json_int(api_at(r.json, "spec.priority"), 0), 2000001000);
    CHECK_SPAN(api_str(&r, "spec.preemptionPolicy"), "PreemptLowerPriority");
    (void)snprintf(text, sizeof text, body, "b", "");
    r = api_expect(&k, 201, "POST", "/api/v1/namespaces/default/pods", "", text);
    CHECK_EQ(json_int(api_at(r.json, "spec.priority"), 7), 0);
    CHECK_SPAN(api_str(&r, "spec.preemptionPolicy"), "PreemptLowerPriority");
    (void)snprintf(text, sizeof text, body, "x", "\"priority\":1000000,");
    r = api_expect(&k, 403, "POST", "/api/v1/namespaces/default/pods", "", text);
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"x\" is forbidden: the integer value of priority (1000000) must not be "
               "provided in pod spec; priority admission controller computed 0 from the given "
               "PriorityClass name");
    (void)snprintf(text, sizeof text, body, "x", "\"preemptionPolicy\":\"Never\",");
    r = api_expect(&k, 403, "POST", "/api/v1/namespaces/default/pods", "", text);
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"x\" is forbidden: the string value of PreemptionPolicy (Never) must not be "
               "provided in pod spec; priority admission controller computed PreemptLowerPriority "
               "from the given PriorityClass name");
    (void)api_expect(&k, 201, "POST", "/apis/scheduling.k8s.io/v1/priorityclasses", "",
                     "{\"metadata\":{\"name\":\"all\"},\"value\":7,\"globalDefault\":true,"
                     "\"preemptionPolicy\":\"Never\"}");
    (void)snprintf(text, sizeof text, body, "c", "");
    r = api_expect(&k, 201, "POST", "/api/v1/namespaces/default/pods", "", text);
    CHECK_SPAN(api_str(&r, "spec.priorityClassName"), "all");
    CHECK_SPAN(api_str(&r, "spec.preemptionPolicy"), "Never");
    (void)snprintf(text, sizeof text, body, "d", "\"priority\":8,");
    (void)api_expect(&k, 403, "POST", "/api/v1/namespaces/default/pods", "", text);
    api_kit_stop(&k);
}

TEST(kernel_settings_of_a_pod_have_names_that_can_be_one_and_no_name_twice)
{
    static const struct {
        const char *name, *host, *why;
    } cases[] = {
        {"net.ipv4.ip_local_port_range", "false", NULL},
        {"net/ipv4/conf/eth0-1.mtu_x", "false", NULL},
        {"kernel.shmmax", "true", NULL},
        {"foo-", "false", "must have at most 253 characters and match regex"},
        {"bar..", "false", "must have at most 253 characters and match regex"},
        {"a..b", "false", "must have at most 253 characters and match regex"},
        {"a.-b", "false", "must have at most 253 characters and match regex"},
        {"a-.b", "false", "must have at most 253 characters and match regex"},
        {".a", "false", "must have at most 253 characters and match regex"},
        {"Net.a", "false", "must have at most 253 characters and match regex"},
        {"net.twice", "false", "Duplicate value: \"net.twice\""},
        {"net.a", "true", "may not be specified when 'hostNetwork' is true"},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool twice = strcmp(cases[i].name, "net.twice") == 0;
        const char *body =
            arena_printf(api_arena(),
                         "{\"metadata\":{\"generateName\":\"p-\"},\"spec\":{\"hostNetwork\":%s,"
                         "\"securityContext\":{\"sysctls\":[{\"name\":\"%s\",\"value\":\"1\"}%s]},"
                         "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}",
                         cases[i].host, cases[i].name,
                         twice ? ",{\"name\":\"net.twice\",\"value\":\"2\"}" : "")
                .p;
        struct api_reply r = api_expect(&k, cases[i].why ? 422 : 201, "POST",
                                        "/api/v1/namespaces/default/pods", "", body);
        if (cases[i].why) {
            CHECK_SPAN(api_str(&r, "details.causes.0.field"),
                       twice ? "spec.securityContext.sysctls[1].name"
                             : "spec.securityContext.sysctls[0].name");
            CHECK(strstr(api_str(&r, "details.causes.0.message").p, cases[i].why));
        }
    }
    api_kit_stop(&k);
}
