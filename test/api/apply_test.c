/* managedFields at every write, and server-side apply, over HTTP. What a real server answered to
 * the first of these is in transcripts/apply.json. */
#include "test/kit/api_kit.h"

#define CM "/api/v1/namespaces/default/configmaps"
#define STS "/apis/apps/v1/namespaces/default/statefulsets"
#define MERGE "Content-Type: application/merge-patch+json\r\n"
#define JSON_PATCH "Content-Type: application/json-patch+json\r\n"
#define APPLY "Content-Type: application/apply-patch+yaml\r\n"

static const char set_yaml[] =
    "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: s\n  labels:\n    x: \"1\"\nspec:\n"
    "  serviceName: s\n  replicas: 2\n  selector:\n    matchLabels: {a: b}\n  template:\n"
    "    metadata:\n      labels: {a: b}\n    spec:\n      containers:\n      - name: c\n"
    "        image: i\n        ports:\n        - containerPort: 80\n";

/* The fields of an entry as text; fails when there is no such entry. */
static struct span fields(const yyjson_val *obj, const char *manager, const char *operation,
                          const char *sub)
{
    static struct arena *a; /* lives as long as the process */
    a = a ? a : arena_new();
    JSON_EACH(it, json_path(obj, "metadata", "managedFields", NULL))
    {
        if (span_eq_cstr(json_get_str(it.val, "manager"), manager) &&
            span_eq_cstr(json_get_str(it.val, "operation"), operation) &&
            span_eq_cstr(json_get_str(it.val, "subresource"), sub)) {
            return json_write(a, json_get(it.val, "fieldsV1"));
        }
    }
    kit_fail(__FILE__, __LINE__, "no entry of %s", manager);
    return SPAN_NULL;
}

static size_t entries(const yyjson_val *obj)
{
    return json_len(json_path(obj, "metadata", "managedFields", NULL));
}

TEST(who_creates_owns_what_it_gave_and_what_defaults_followed)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(
        &k, 201, "POST", STS, "User-Agent: my-tool/v1 (linux)\r\n",
        "{\"metadata\":{\"name\":\"s\",\"labels\":{\"x\":\"1\"}},\"spec\":{\"serviceName\":\"s\","
        "\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{"
        "\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"env\":[{"
        "\"name\":\"E\",\"value\":\"1\"}]}]}}}}");
    CHECK_SPAN(
        fields(r.json, "my-tool", "Update", ""),
        "{\"f:metadata\":{\"f:labels\":{\".\":{},\"f:x\":{}}},\"f:spec\":{"
        "\"f:persistentVolumeClaimRetentionPolicy\":{\".\":{},\"f:whenDeleted\":{},"
        "\"f:whenScaled\":{}},\"f:podManagementPolicy\":{},\"f:replicas\":{},"
        "\"f:revisionHistoryLimit\":{},\"f:selector\":{},\"f:serviceName\":{},\"f:template\":{"
        "\"f:metadata\":{\"f:labels\":{\".\":{},\"f:a\":{}}},\"f:spec\":{\"f:containers\":{"
        "\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{},\"f:env\":{\".\":{},\"k:{\\\"name\\\":\\\"E\\\"}"
        "\":{\".\":{},\"f:name\":{},\"f:value\":{}}},\"f:image\":{},\"f:imagePullPolicy\":{},"
        "\"f:name\":{},\"f:resources\":{},\"f:terminationMessagePath\":{},"
        "\"f:terminationMessagePolicy\":{}}},\"f:dnsPolicy\":{},\"f:restartPolicy\":{},"
        "\"f:schedulerName\":{},\"f:securityContext\":{},\"f:terminationGracePeriodSeconds\":{}}},"
        "\"f:updateStrategy\":{\"f:rollingUpdate\":{\".\":{},\"f:partition\":{}},\"f:type\":{}}}}");
    api_kit_stop(&k);
}

TEST(a_field_that_changes_hands_leaves_its_owner_and_a_no_op_changes_nothing)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", CM "?fieldManager=one", "",
                     "{\"metadata\":{\"name\":\"m\"},\"data\":{\"a\":\"1\",\"b\":\"2\"}}");
    struct api_reply r = api_expect(&k, 200, "PATCH", CM "/m?fieldManager=two", MERGE,
                                    "{\"data\":{\"b\":\"3\",\"c\":\"4\"}}");
    CHECK_SPAN(fields(r.json, "one", "Update", ""), "{\"f:data\":{\".\":{},\"f:a\":{}}}");
    CHECK_SPAN(fields(r.json, "two", "Update", ""), "{\"f:data\":{\"f:b\":{},\"f:c\":{}}}");
    struct api_reply again =
        api_expect(&k, 200, "PATCH", CM "/m?fieldManager=three", MERGE, "{\"data\":{\"b\":\"3\"}}");
    CHECK(span_eq(r.body, again.body));
    r = api_expect(&k, 200, "PATCH", CM "/m?fieldManager=three", MERGE, "{\"data\":null}");
    CHECK_EQ(entries(r.json), 0);
    r = api_expect(&k, 200, "PATCH", CM "/m?fieldManager=three", MERGE, "{\"data\":{\"z\":\"1\"}}");
    CHECK_EQ(entries(r.json), 0); /* not tracked before somebody applies */
    api_kit_stop(&k);
}

TEST(the_status_and_the_scale_have_owners_of_their_own)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "PATCH", STS "/s?fieldManager=me", APPLY, set_yaml);
    struct api_reply r = api_expect(&k, 200, "PATCH", STS "/s/status?fieldManager=ctl", MERGE,
                                    "{\"spec\":{\"replicas\":9},\"status\":{\"replicas\":1,"
                                    "\"conditions\":[{\"type\":\"T\",\"status\":\"True\"}]}}");
    CHECK_SPAN(fields(r.json, "ctl", "Update", "status"),
               "{\"f:status\":{\"f:conditions\":{\".\":{},\"k:{\\\"type\\\":\\\"T\\\"}\":{\".\":{},"
               "\"f:lastTransitionTime\":{},"
               "\"f:status\":{},\"f:type\":{}}},\"f:replicas\":{}}}");
    (void)api_expect(&k, 200, "PATCH", STS "/s/scale?fieldManager=hpa", MERGE,
                     "{\"spec\":{\"replicas\":5}}");
    r = api_get(&k, STS "/s");
    CHECK_SPAN(fields(r.json, "hpa", "Update", "scale"), "{\"f:spec\":{\"f:replicas\":{}}}");
    r = api_expect(&k, 409, "PATCH", STS "/s?fieldManager=me", APPLY, set_yaml);
    CHECK_SPAN(api_str(&r, "message"), "Apply failed with 1 conflict: conflict with \"hpa\" with "
                                       "subresource \"scale\" using apps/v1: .spec.replicas");
    r = api_expect(&k, 409, "PATCH", STS "/s/scale?fieldManager=other", APPLY,
                   "{apiVersion: autoscaling/v1, kind: Scale, spec: {replicas: 4}}");
    CHECK_SPAN(
        api_str(&r, "message"),
        "Apply failed with 1 conflict: conflict with \"hpa\" with subresource \"scale\" using "
        "autoscaling/v1: .spec.replicas");
    r = api_expect(&k, 500, "PATCH", STS "/s/scale?fieldManager=other", APPLY,
                   "{apiVersion: autoscaling/v1, kind: Scale, spec: {size: 4}}");
    CHECK_SPAN(api_str(&r, "message"), "failed to create typed patch object (/; autoscaling/v1, "
                                       "Kind=Scale): .spec.size: field not declared in schema");
    r = api_expect(&k, 200, "PATCH", STS "/s/scale?fieldManager=other&force=true", APPLY,
                   "{apiVersion: autoscaling/v1, kind: Scale, spec: {replicas: 4}}");
    CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), 0), 4);
    r = api_get(&k, STS "/s");
    CHECK_SPAN(fields(r.json, "other", "Apply", "scale"), "{\"f:spec\":{\"f:replicas\":{}}}");
    api_kit_stop(&k);
}

TEST(conflicts_name_every_field_and_force_takes_them)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", CM "?fieldManager=one", "",
                     "{\"metadata\":{\"name\":\"m\"},\"data\":{\"a\":\"1\",\"b\":\"2\"}}");
    const char *config =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: v, b: w}\n";
    struct api_reply r = api_expect(&k, 409, "PATCH", CM "/m?fieldManager=two", APPLY, config);
    CHECK_SPAN(api_str(&r, "message"),
               "Apply failed with 2 conflicts: conflicts with \"one\" using v1:\n- .data.a\n- "
               ".data.b");
    CHECK_SPAN(api_str(&r, "details.causes.1.field"), ".data.b");
    CHECK_SPAN(api_str(&r, "details.causes.1.reason"), "FieldManagerConflict");
    CHECK_SPAN(api_str(&r, "details.causes.1.message"), "conflict with \"one\" using v1");
    r = api_expect(&k, 200, "PATCH", CM "/m?fieldManager=two&force=true&dryRun=All", APPLY, config);
    CHECK_SPAN(fields(r.json, "two", "Apply", ""), "{\"f:data\":{\"f:a\":{},\"f:b\":{}}}");
    r = api_get(&k, CM "/m");
    CHECK_EQ(entries(r.json), 1);
    r = api_expect(&k, 200, "PATCH", CM "/m?fieldManager=two&force=true", APPLY, config);
    CHECK_SPAN(fields(r.json, "one", "Update", ""), "{\"f:data\":{}}");
    struct api_reply again = api_expect(&k, 200, "PATCH", CM "/m?fieldManager=two", APPLY, config);
    CHECK(span_eq(r.body, again.body));
    r = api_expect(&k, 200, "PATCH", CM "/m?fieldManager=two", APPLY,
                   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: v}\n");
    CHECK(api_at(r.json, "data.b") == NULL);
    api_kit_stop(&k);
}

TEST(kubectl_goes_over_from_client_side_apply_without_conflicts)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(
        &k, 201, "POST", CM "?fieldManager=kubectl-client-side-apply", "",
        "{\"metadata\":{\"name\":\"m\",\"annotations\":{\"kubectl.kubernetes.io/"
        "last-applied-configuration\":\"{\\\"apiVersion\\\":\\\"v1\\\",\\\"data\\\":{\\\"a\\\":"
        "\\\"1\\\"},\\\"kind\\\":\\\"ConfigMap\\\",\\\"metadata\\\":{\\\"name\\\":\\\"m\\\"}}\"}},"
        "\"data\":{\"a\":\"1\"}}");
    const char *config = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":"
                         "\"m\"},\"data\":{\"a\":\"2\"}}";
    (void)api_expect(&k, 409, "PATCH", CM "/m?fieldManager=else", APPLY, config);
    struct api_reply r = api_expect(&k, 200, "PATCH", CM "/m?fieldManager=kubectl", APPLY, config);
    const yyjson_val *notes = api_at(r.json, "metadata.annotations");
    CHECK_SPAN(json_get_str(notes, "kubectl.kubernetes.io/last-applied-configuration"),
               "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"2\"},\"kind\":\"ConfigMap\",\"metadata\":{"
               "\"name\":\"m\"}}\n");
    CHECK_SPAN(fields(r.json, "kubectl", "Apply", ""), "{\"f:data\":{\"f:a\":{}}}");
    api_kit_stop(&k);
}

TEST(a_client_may_replace_or_clear_the_entries)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", CM "?fieldManager=one", "",
                     "{\"metadata\":{\"name\":\"m\"},\"data\":{\"a\":\"1\"}}");
    struct api_reply r = api_expect(
        &k, 200, "PATCH", CM "/m", JSON_PATCH,
        "[{\"op\":\"replace\",\"path\":\"/metadata/managedFields\",\"value\":[{\"manager\":\"two\","
        "\"operation\":\"Apply\",\"apiVersion\":\"v1\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{"
        "\"f:data\":{\"f:z\":{},\"f:a\":{}}}}]}]");
    CHECK_EQ(entries(r.json), 1);
    CHECK_SPAN(fields(r.json, "two", "Apply", ""), "{\"f:data\":{\"f:a\":{},\"f:z\":{}}}");
    r = api_expect(
        &k, 200, "PATCH", CM "/m", MERGE,
        "{\"metadata\":{\"managedFields\":[{\"manager\":\"x\",\"operation\":\"Fly\"}]}}");
    CHECK_EQ(entries(r.json), 1); /* malformed: as before */
    r = api_expect(&k, 200, "PATCH", CM "/m", MERGE, "{\"metadata\":{\"managedFields\":null}}");
    CHECK_EQ(entries(r.json), 1);
    r = api_expect(&k, 200, "PATCH", CM "/m", MERGE, "{\"metadata\":{\"managedFields\":[{}]}}");
    CHECK_EQ(entries(r.json), 0);
    (void)api_expect(&k, 201, "POST", CM, "", "{\"metadata\":{\"name\":\"n\"},\"data\":{}}");
    r = api_expect(&k, 200, "PATCH", CM "/n", MERGE, "{\"metadata\":{\"managedFields\":[]}}");
    CHECK_EQ(entries(r.json), 0);
    r = api_expect(&k, 200, "PATCH", CM "/m?fieldManager=me", APPLY,
                   "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {b: \"1\"}}");
    CHECK_SPAN(fields(r.json, "before-first-apply", "Update", ""),
               "{\"f:data\":{\".\":{},\"f:a\":{}}}");
    api_kit_stop(&k);
}

TEST(what_entries_of_a_new_object_hold_beyond_it_stays_theirs)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(
        &k, 201, "POST", CM "?fieldManager=me", "",
        "{\"metadata\":{\"name\":\"m\",\"managedFields\":[{\"manager\":\"two\",\"operation\":"
        "\"Apply\",\"apiVersion\":\"v1\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:data\":{"
        "\"f:a\":{},\"f:z\":{}}}}]},\"data\":{\"a\":\"1\"}}");
    CHECK_EQ(entries(r.json), 2);
    CHECK_SPAN(fields(r.json, "two", "Apply", ""), "{\"f:data\":{\"f:z\":{}}}");
    CHECK_SPAN(fields(r.json, "me", "Update", ""), "{\"f:data\":{\".\":{},\"f:a\":{}}}");
    r = api_expect(&k, 201, "POST", CM "?fieldManager=me", "",
                   "{\"metadata\":{\"name\":\"n\",\"managedFields\":[{}]},\"data\":{\"a\":\"1\"}}");
    CHECK_SPAN(fields(r.json, "me", "Update", ""), "{\"f:data\":{\".\":{},\"f:a\":{}}}");
    api_kit_stop(&k);
}

TEST(names_in_the_entries_of_a_client_are_no_longer_than_its_own_may_be)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    char name[130] = {0};
    for (size_t n = 128; n <= 129; n++) {
        memset(name, 'x', n);
        const char *body =
            arena_printf(
                a,
                "{\"metadata\":{\"name\":\"m%zu\",\"managedFields\":[{\"manager\":\"%s\","
                "\"operation\":\"Update\",\"apiVersion\":\"v1\",\"fieldsType\":\"FieldsV1\","
                "\"fieldsV1\":{\"f:data\":{\"f:z\":{}}}}]},\"data\":{\"a\":\"b\"}}",
                n, name)
                .p;
        struct api_reply r = api_expect(&k, n == 128 ? 201 : 422, "POST",
                                        "/api/v1/namespaces/default/configmaps", "", body);
        if (n > 128) {
            CHECK_SPAN(
                api_str(&r, "message"),
                "ConfigMap \"m129\" is invalid: metadata.managedFields[0].manager: Too long: "
                "may not be more than 128 bytes");
        }
    }
    api_kit_stop(&k);
}

TEST(the_eleventh_updater_joins_the_ancient_changes)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 201, "POST", CM "?fieldManager=m00", "",
                                    "{\"metadata\":{\"name\":\"m\"},\"data\":{\"k00\":\"1\"}}");
    for (int i = 1; i <= 10; i++) {
        char path[64], body[64];
        (void)snprintf(path, sizeof path, CM "/m?fieldManager=m%02d", i);
        (void)snprintf(body, sizeof body, "{\"data\":{\"k%02d\":\"1\"}}", i);
        r = api_expect(&k, 200, "PATCH", path, MERGE, body);
    }
    CHECK_EQ(entries(r.json), 10);
    CHECK_SPAN(fields(r.json, "ancient-changes", "Update", ""),
               "{\"f:data\":{\".\":{},\"f:k00\":{},\"f:k01\":{}}}");
    api_kit_stop(&k);
}

TEST(bad_configurations_are_refused_with_the_reason)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    static const struct {
        const char *path, *body;
        int status;
        const char *text;
    } cases[] = {
        {CM "/m", "{}", 422, "fieldManager: Required value: is required for apply patch"},
        {CM "/m?fieldManager=x", "{kind: ConfigMap}", 400,
         "invalid object type: /, Kind=ConfigMap"},
        {CM "/m?fieldManager=x", "{apiVersion: v1, kind: Pod}", 400,
         "invalid object type: /v1, Kind=Pod"},
        {CM "/m?fieldManager=x", "{apiVersion: v1, kind: ConfigMap, metadata: {managedFields: []}}",
         400, "metadata.managedFields must be nil"},
        {CM "/m?fieldManager=x", "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, foo: 1}",
         500, ".foo: field not declared in schema"},
        {CM "/m?fieldManager=x", "{apiVersion: v1, kind: ConfigMap, metadata: {name: o}}", 400,
         "does not match the name on the URL"},
        {CM "/m?fieldManager=x", "{apiVersion: v1, kind: ConfigMap, data: {a: 1}}", 500,
         ".data.a: expected string, got &value.valueUnstructured{Value:1}"},
        {CM "/m?fieldManager=x", "a: [", 400, "line"},
        {CM "/m?fieldManager=x&fieldValidation=Strict",
         "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {a: b}, data: {a: c}}", 400,
         "duplicate field \"data\""},
        {STS "/s?fieldManager=x",
         "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}, spec: {template: {spec: "
         "{containers: [{name: a}, {name: a}]}}}}",
         500, ".spec.template.spec.containers: duplicate entries for key [name=\"a\"]"},
        {STS "/s?fieldManager=x",
         "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}, spec: {template: {spec: "
         "{containers: [{image: a}]}}}}",
         422, "spec.template.spec.containers[0].name: Required value"},
        {STS "/s/status?fieldManager=x", set_yaml, 404, "not found"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_reply r =
            api_expect(&k, cases[i].status, "PATCH", cases[i].path, APPLY, cases[i].body);
        const char *message = api_text(api_str(&r, "message"));
        if (!strstr(message, cases[i].text)) {
            kit_fail(__FILE__, __LINE__, "case %zu: %s", i, message);
        }
    }
    (void)api_expect(&k, 422, "PATCH", CM "/m?force=true", MERGE, "{}");
    api_kit_stop(&k);
}

#define HPA(version) "/apis/autoscaling/" version "/namespaces/default/horizontalpodautoscalers/h"

TEST(each_version_of_an_autoscaler_can_be_applied_and_has_its_own_fields)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    const char *one =
        "{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: "
        "h}, spec: {maxReplicas: 5, targetCPUUtilizationPercentage: 50, "
        "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}}";
    struct api_reply r = api_expect(&k, 201, "PATCH", HPA("v1") "?fieldManager=a", APPLY, one);
    CHECK_SPAN(fields(r.json, "a", "Apply", ""),
               "{\"f:spec\":{\"f:maxReplicas\":{},\"f:scaleTargetRef\":{},"
               "\"f:targetCPUUtilizationPercentage\":{}}}");
    const char *two =
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: "
        "h}, spec: {maxReplicas: 5, metrics: [{type: Resource, resource: {name: cpu, "
        "target: {type: Utilization, averageUtilization: 60}}}], "
        "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}}";
    r = api_expect(&k, 409, "PATCH", HPA("v2") "?fieldManager=b", APPLY, two);
    const yyjson_val *causes = api_at(r.json, "details.causes");
    CHECK_EQ(json_len(causes), 1);
    CHECK_SPAN(json_get_str(json_iter_begin(causes).val, "field"),
               ".spec.targetCPUUtilizationPercentage");
    r = api_expect(&k, 200, "PATCH", HPA("v2") "?fieldManager=b&force=true", APPLY, two);
    CHECK_SPAN(fields(r.json, "a", "Apply", ""),
               "{\"f:spec\":{\"f:maxReplicas\":{},\"f:scaleTargetRef\":{}}}");
    CHECK_SPAN(fields(r.json, "b", "Apply", ""),
               "{\"f:spec\":{\"f:maxReplicas\":{},\"f:metrics\":{},\"f:scaleTargetRef\":{"
               "\"f:apiVersion\":{},\"f:kind\":{},\"f:name\":{}}}}");
    r = api_expect(&k, 200, "PATCH", HPA("v1") "?fieldManager=u", MERGE,
                   "{\"spec\":{\"targetCPUUtilizationPercentage\":70}}");
    CHECK_SPAN(fields(r.json, "u", "Update", ""),
               "{\"f:spec\":{\"f:targetCPUUtilizationPercentage\":{}}}");
    CHECK_SPAN(fields(r.json, "b", "Apply", ""),
               "{\"f:spec\":{\"f:maxReplicas\":{},\"f:scaleTargetRef\":{"
               "\"f:apiVersion\":{},\"f:kind\":{},\"f:name\":{}}}}");
    api_kit_stop(&k);
}

TEST(an_event_of_the_newer_group_can_be_applied)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(
        &k, 201, "PATCH", "/apis/events.k8s.io/v1/namespaces/default/events/e?fieldManager=a",
        APPLY,
        "{apiVersion: events.k8s.io/v1, kind: Event, metadata: {name: e}, note: some, type: "
        "Normal, "
        "reason: r, action: a, reportingController: c, reportingInstance: i, "
        "eventTime: \"2020-01-01T00:00:00.000000Z\", regarding: {kind: Pod, name: p, namespace: "
        "default}}");
    CHECK_SPAN(fields(r.json, "a", "Apply", ""),
               "{\"f:action\":{},\"f:eventTime\":{},\"f:note\":{},\"f:reason\":{},"
               "\"f:regarding\":{},\"f:reportingController\":{},\"f:reportingInstance\":{},"
               "\"f:type\":{}}");
    r = api_expect(&k, 200, "PATCH", "/api/v1/namespaces/default/events/e?fieldManager=u", MERGE,
                   "{\"message\":\"other\"}");
    CHECK_SPAN(fields(r.json, "u", "Update", ""), "{\"f:message\":{}}");
    CHECK_SPAN(fields(r.json, "a", "Apply", ""),
               "{\"f:action\":{},\"f:eventTime\":{},\"f:reason\":{},\"f:regarding\":{},"
               "\"f:reportingController\":{},\"f:reportingInstance\":{},\"f:type\":{}}");
    api_kit_stop(&k);
}
