/* Custom kinds: defined, served, changed, deleted. */
#include <errno.h>

#include "test/kit/api_kit.h"

#define CRDS "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
#define WIDGETS "/apis/example.com/v1/namespaces/default/widgets"
#define OLD "/apis/example.com/v1beta1/namespaces/default/widgets"
#define MERGE "Content-Type: application/merge-patch+json\r\n"
#define APPLY "Content-Type: application/apply-patch+yaml\r\n"
#define TABLE "Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n"

/* Reachable to the end, so that nothing counts as lost. */
static struct arena *scratch(void)
{
    static struct arena *a;
    a = a ? a : arena_new();
    return a;
}

static const char schema[] =
    "{\"type\":\"object\",\"required\":[\"spec\"],\"properties\":{"
    "\"spec\":{\"type\":\"object\",\"required\":[\"size\"],\"properties\":{"
    "\"size\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":10},"
    "\"color\":{\"type\":\"string\",\"enum\":[\"red\",\"blue\"],\"default\":\"red\"},"
    "\"name\":{\"type\":\"string\",\"pattern\":\"^[a-z]\\\\w{1,7}$\",\"maxLength\":6},"
    "\"port\":{\"x-kubernetes-int-or-string\":true},"
    "\"thing\":{\"type\":\"object\",\"x-kubernetes-embedded-resource\":true,\"properties\":{"
    "\"spec\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true}}},"
    "\"free\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true},"
    "\"replicas\":{\"type\":\"integer\"},"
    "\"parts\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\","
    "\"x-kubernetes-list-map-keys\":[\"name\"],\"items\":{\"type\":\"object\","
    "\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":\"string\"},"
    "\"weight\":{\"type\":\"integer\",\"default\":1}}}},"
    "\"labels\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}}},"
    "\"status\":{\"type\":\"object\",\"properties\":{\"replicas\":{\"type\":\"integer\"},"
    "\"selector\":{\"type\":\"string\"},\"phase\":{\"type\":\"string\"}}}}}";

static const char *definition(void)
{
    struct arena *a = scratch();
    return arena_printf(
               a,
               "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","
               "\"metadata\":{\"name\":\"widgets.example.com\"},\"spec\":{\"group\":"
               "\"example.com\",\"scope\":\"Namespaced\",\"names\":{\"plural\":\"widgets\","
               "\"kind\":\"Widget\",\"shortNames\":[\"wd\"],\"categories\":[\"all\"]},"
               "\"versions\":[{\"name\":\"v1beta1\",\"served\":true,\"storage\":false,"
               "\"deprecated\":true,\"schema\":{\"openAPIV3Schema\":%s}},"
               "{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{"
               "\"openAPIV3Schema\":%s},\"subresources\":{\"status\":{},\"scale\":{"
               "\"specReplicasPath\":\".spec.replicas\",\"statusReplicasPath\":"
               "\".status.replicas\",\"labelSelectorPath\":\".status.selector\"}},"
               "\"additionalPrinterColumns\":[{\"name\":\"Size\",\"type\":\"integer\","
               "\"jsonPath\":\".spec.size\"},{\"name\":\"Phase\",\"type\":\"string\","
               "\"jsonPath\":\".status.phase\"},{\"name\":\"Heavy\",\"type\":\"integer\","
               "\"jsonPath\":\".spec.parts[?(@.name==\\\"b\\\")].weight\"}]}]}}",
               schema, schema)
        .p;
}

static struct span condition(const struct api_reply *r, const char *type)
{
    return json_get_str(json_find(api_at(r->json, "status.conditions"), "type", span_cstr(type)),
                        "status");
}

static void define(struct api_kit *k)
{
    (void)api_expect(k, 201, "POST", CRDS, "", definition());
    for (int i = 0; i < 200; i++) {
        struct api_reply r = api_get(k, CRDS "/widgets.example.com");
        if (span_eq(condition(&r, "Established"), SPAN("True"))) {
            CHECK_SPAN(condition(&r, "NamesAccepted"), "True");
            CHECK_SPAN(api_str(&r, "status.acceptedNames.singular"), "widget");
            CHECK_SPAN(api_str(&r, "status.acceptedNames.listKind"), "WidgetList");
            CHECK_SPAN(api_str(&r, "status.storedVersions.0"), "v1");
            return;
        }
        api_run_ms(k, 10);
    }
    kit_fail(__FILE__, __LINE__, "not established");
}

static struct api_reply make(struct api_kit *k, const char *spec)
{
    struct arena *a = scratch();
    return api_post(k, WIDGETS,
                    arena_printf(a,
                                 "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\","
                                 "\"metadata\":{\"name\":\"w\"},\"spec\":%s}",
                                 spec)
                        .p);
}

TEST(a_definition_is_established_and_its_kind_served)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 404, "GET", WIDGETS, "", NULL);
    define(&k);
    struct api_reply r = api_expect(&k, 200, "GET", WIDGETS, "", NULL);
    CHECK_SPAN(api_str(&r, "kind"), "WidgetList");
    r = api_get(&k, "/apis/example.com");
    CHECK_SPAN(api_str(&r, "preferredVersion.version"), "v1");
    CHECK_SPAN(api_str(&r, "versions.1.version"), "v1beta1");
    r = api_get(&k, "/apis/example.com/v1");
    CHECK_SPAN(api_str(&r, "resources.0.name"), "widgets");
    CHECK_SPAN(api_str(&r, "resources.0.shortNames.0"), "wd");
    CHECK_SPAN(api_str(&r, "resources.0.storageVersionHash"), "gIwvi5rymmg=");
    CHECK_SPAN(api_str(&r, "resources.1.name"), "widgets/status");
    CHECK_SPAN(api_str(&r, "resources.2.kind"), "Scale");
    r = api_get(&k, "/openapi/v3/apis/example.com/v1");
    CHECK_EQ(r.status, 200);
    CHECK(memmem(r.body.p, r.body.n, "\"com.example.v1.Widget\"", 23) != NULL);
    CHECK(memmem(r.body.p, r.body.n, "additionalProperties", 20) != NULL);
    r = api_get(&k, "/openapi/v2");
    CHECK(memmem(r.body.p, r.body.n, "\"com.example.v1.WidgetList\"", 27) != NULL);
    api_kit_stop(&k);
}

TEST(objects_are_defaulted_pruned_and_kept)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    struct api_reply r =
        make(&k, "{\"size\":3,\"junk\":1,\"port\":\"http\",\"free\":{\"a\":[1,{\"b\":null}]},"
                 "\"parts\":[{\"name\":\"b\",\"odd\":2}],\"labels\":{\"x\":\"y\"}}");
    CHECK_EQ(r.status, 201);
    CHECK_SPAN(json_write(scratch(), api_at(r.json, "spec")),
               "{\"size\":3,\"port\":\"http\",\"free\":{\"a\":[1,{\"b\":null}]},\"parts\":[{"
               "\"name\":\"b\",\"weight\":1}],\"labels\":{\"x\":\"y\"},\"color\":\"red\"}");
    CHECK_EQ(json_int(api_at(r.json, "metadata.generation"), 0), 1);
    r = api_call(&k, "PUT", WIDGETS "/w?fieldValidation=Strict", "",
                 "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{\"name\":"
                 "\"w\"},\"spec\":{\"size\":3,\"junk\":1}}");
    CHECK_EQ(r.status, 400);
    CHECK_SPAN(api_str(&r, "message"),
               "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: "
               "unknown field \"spec.junk\"");
    r = api_expect(&k, 200, "GET", WIDGETS, TABLE, NULL);
    CHECK_SPAN(api_str(&r, "columnDefinitions.1.name"), "Size");
    CHECK_SPAN(json_write(scratch(), api_at(r.json, "rows.0.cells")), "[\"w\",3,null,1]");
    api_kit_stop(&k);
}

static void refused(struct api_kit *k, const char *spec, const char *why)
{
    struct arena *a = scratch();
    struct api_reply r = make(k, spec);
    CHECK_EQ(r.status, 422);
    CHECK_SPAN(api_str(&r, "message"),
               arena_printf(a, "Widget.example.com \"w\" is invalid: %s", why).p);
}

TEST(what_the_schema_forbids_is_refused_in_kubernetes_words)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    refused(&k, "{}", "spec.size: Required value");
    refused(&k, "{\"size\":\"x\"}",
            "spec.size: Invalid value: \"string\": spec.size in body must be of type integer: "
            "\"string\"");
    refused(&k, "{\"size\":11}",
            "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10");
    refused(&k, "{\"size\":1,\"color\":\"green\"}",
            "spec.color: Unsupported value: \"green\": supported values: \"red\", \"blue\"");
    refused(&k, "{\"size\":1,\"name\":\"9\"}",
            "spec.name: Invalid value: \"9\": spec.name in body should match '^[a-z]\\w{1,7}$'");
    refused(&k, "{\"size\":1,\"name\":\"abcdefg\"}",
            "spec.name: Too long: may not be more than 6 bytes");
    refused(&k, "{\"size\":1,\"parts\":[{\"name\":\"a\"},{\"name\":\"a\"}]}",
            "spec.parts[1]: Duplicate value: {\"name\":\"a\"}");
    refused(&k, "{\"size\":1,\"port\":true}",
            "spec.port: Invalid value: \"boolean\": spec.port in body must be of type "
            "integer,string: \"boolean\"");
    api_kit_stop(&k);
}

TEST(status_and_scale_have_their_own_doors)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    CHECK_EQ(make(&k, "{\"size\":1,\"replicas\":2}").status, 201);
    struct api_reply r = api_expect(&k, 200, "PATCH", WIDGETS "/w/status", MERGE,
                                    "{\"status\":{\"phase\":\"Up\",\"replicas\":1,\"selector\":"
                                    "\"a=b\"},\"spec\":{\"size\":9}}");
    CHECK_EQ(json_int(api_at(r.json, "spec.size"), 0), 1);
    CHECK_EQ(json_int(api_at(r.json, "metadata.generation"), 0), 1);
    r = api_expect(&k, 200, "PATCH", WIDGETS "/w", MERGE, "{\"status\":{\"phase\":\"Down\"}}");
    CHECK_SPAN(api_str(&r, "status.phase"), "Up");
    r = api_expect(&k, 200, "GET", WIDGETS "/w/scale", "", NULL);
    CHECK_SPAN(api_str(&r, "kind"), "Scale");
    CHECK_SPAN(api_str(&r, "status.selector"), "a=b");
    CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), 0), 2);
    (void)api_expect(&k, 200, "PATCH", WIDGETS "/w/scale", MERGE, "{\"spec\":{\"replicas\":5}}");
    r = api_get(&k, WIDGETS "/w");
    CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), 0), 5);
    CHECK_EQ(json_int(api_at(r.json, "metadata.generation"), 0), 2);
    r = api_call(&k, "PATCH", WIDGETS "/w",
                 "Content-Type: application/strategic-merge-patch+json\r\n", "{}");
    CHECK_EQ(r.status, 415);
    api_kit_stop(&k);
}

/* Clients look for one path of the kind that takes it, in any order: kubectl apply. */
TEST(no_path_of_a_custom_kind_says_that_it_takes_strategic_merges)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    struct api_reply r = api_get(&k, "/openapi/v3/apis/example.com/v1");
    CHECK(memmem(r.body.p, r.body.n, "/{name}/status\"", 15) != NULL);
    CHECK(memmem(r.body.p, r.body.n, "merge-patch+json", 16) != NULL);
    CHECK(memmem(r.body.p, r.body.n, "strategic", 9) == NULL);
    api_kit_stop(&k);
}

TEST(an_object_can_be_read_and_written_in_each_version)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    CHECK_EQ(make(&k, "{\"size\":1}").status, 201);
    struct api_reply r = api_expect(&k, 200, "GET", OLD "/w", "", NULL);
    CHECK_SPAN(api_str(&r, "apiVersion"), "example.com/v1beta1");
    CHECK_SPAN(api_header(&r, "Warning"), "299 - \"example.com/v1beta1 Widget is deprecated\"");
    r = api_expect(&k, 200, "PATCH", OLD "/w", MERGE, "{\"spec\":{\"size\":2}}");
    CHECK_SPAN(api_str(&r, "apiVersion"), "example.com/v1beta1");
    r = api_get(&k, WIDGETS);
    CHECK_SPAN(api_str(&r, "items.0.apiVersion"), "example.com/v1");
    CHECK_EQ(json_int(api_at(r.json, "items.0.spec.size"), 0), 2);
    struct api_watch *w = api_watch_open(&k, OLD "?watch=1&resourceVersion=0", "");
    const yyjson_val *e = api_watch_next(w);
    CHECK_SPAN(json_str(api_at(e, "object.apiVersion")), "example.com/v1beta1");
    (void)api_expect(&k, 200, "PATCH", WIDGETS "/w", MERGE, "{\"spec\":{\"size\":3}}");
    e = api_watch_next(w);
    CHECK_SPAN(json_str(api_at(e, "type")), "MODIFIED");
    CHECK_SPAN(json_str(api_at(e, "object.apiVersion")), "example.com/v1beta1");
    api_watch_close(w);
    api_kit_stop(&k);
}

static const char *part(struct arena *a, const char *name)
{
    return arena_printf(a,
                        "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{"
                        "\"name\":\"w\"},\"spec\":{\"size\":1,\"parts\":[{\"name\":\"%s\","
                        "\"weight\":2}]}}",
                        name)
        .p;
}

TEST(server_side_apply_merges_by_the_list_types_of_the_schema)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    struct arena *a = scratch();
    const char *first = part(a, "a"), *second = part(a, "b");
    (void)api_expect(&k, 201, "PATCH", WIDGETS "/w?fieldManager=one", APPLY, first);
    struct api_reply r = api_expect(&k, 200, "PATCH", WIDGETS "/w?fieldManager=two", APPLY, second);
    CHECK_EQ(json_len(api_at(r.json, "spec.parts")), 2);
    r = api_expect(&k, 409, "PATCH", WIDGETS "/w?fieldManager=two", APPLY,
                   "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{"
                   "\"name\":\"w\"},\"spec\":{\"size\":2,\"free\":{\"x\":1}}}");
    CHECK_SPAN(api_str(&r, "reason"), "Conflict");
    r = api_expect(&k, 200, "PATCH", WIDGETS "/w?fieldManager=two&force=true", APPLY,
                   "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{"
                   "\"name\":\"w\"},\"spec\":{\"size\":2,\"free\":{\"x\":1}}}");
    CHECK_EQ(json_len(api_at(r.json, "spec.parts")), 1);
    api_kit_stop(&k);
}

TEST(a_resource_within_a_value_is_read_and_checked_like_one)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    struct api_reply r = make(
        &k, "{\"size\":1,\"thing\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":"
            "\"p\",\"odd\":1,\"creationTimestamp\":null},\"spec\":{\"x\":1},\"odd\":1}}");
    CHECK_EQ(r.status, 201);
    CHECK_SPAN(json_write(scratch(), api_at(r.json, "spec.thing.metadata")), "{\"name\":\"p\"}");
    CHECK(api_at(r.json, "spec.thing.spec.x") && !api_at(r.json, "spec.thing.odd"));
    static const struct {
        int status;
        const char *thing, *text;
    } cases[] = {
        {422, "{}", "spec.thing.apiVersion: Required value: must not be empty"},
        {422, "{\"apiVersion\":\"a/b/c\",\"kind\":\"K\"}",
         "spec.thing.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c"},
        {422, "{\"apiVersion\":\"v1\",\"kind\":\"\"}",
         "spec.thing.kind: Invalid value: \"\": must not be empty"},
        {422, "{\"apiVersion\":\"v1\",\"kind\":\"a_b\"}",
         "spec.thing.kind: Invalid value: \"a_b\": may have mixed case, but should otherwise "
         "match: a "
         "DNS-1035 label must consist of"},
        {422, "{\"apiVersion\":\"v1\",\"kind\":\"K\",\"metadata\":{\"labels\":{\"a\":\"b c\"}}}",
         "spec.thing.metadata.labels: Invalid value: \"b c\""},
        {400, "{\"apiVersion\":1,\"kind\":\"K\"}",
         "spec.thing.apiVersion: Invalid value: 1: must be a string"},
        {400, "{\"apiVersion\":\"v1\",\"kind\":\"K\",\"metadata\":{\"name\":1}}",
         "spec.thing.metadata: Invalid value: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        r = make(&k, arena_printf(scratch(), "{\"size\":1,\"thing\":%s}", cases[i].thing).p);
        const char *message = api_text(api_str(&r, "message"));
        if (r.status != cases[i].status || !strstr(message, cases[i].text)) {
            kit_fail(__FILE__, __LINE__, "case %zu: %d %s", i, r.status, message);
        }
    }
    r = api_expect(&k, 400, "PUT", WIDGETS "/w?fieldValidation=Strict", "",
                   "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{\"name\":"
                   "\"w\"},\"spec\":{\"size\":1,\"thing\":{\"apiVersion\":\"v1\",\"kind\":\"K\","
                   "\"metadata\":{\"odd\":1}}}}");
    CHECK(strstr(api_text(api_str(&r, "message")), "unknown field \"spec.thing.metadata.odd\""));
    api_kit_stop(&k);
}

TEST(both_versions_of_a_custom_kind_can_be_applied)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    (void)api_expect(&k, 201, "PATCH", WIDGETS "/w?fieldManager=one", APPLY,
                     "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, spec: {size: "
                     "2, parts: [{name: a, weight: 3}], free: {x: {y: 1}}}}");
    struct api_reply r = api_expect(&k, 409, "PATCH", OLD "/w?fieldManager=two", APPLY,
                                    "{apiVersion: example.com/v1beta1, kind: Widget, metadata: "
                                    "{name: w}, spec: {size: 4, parts:"
                                    " [{name: a, weight: 5}], free: {x: {y: 2, z: 1}}}}");
    CHECK_EQ(json_len(api_at(r.json, "details.causes")), 3);
    CHECK_SPAN(api_str(&r, "details.causes.0.field"), ".spec.size");
    CHECK_SPAN(api_str(&r, "details.causes.1.field"), ".spec.free.x.y");
    CHECK_SPAN(api_str(&r, "details.causes.2.field"), ".spec.parts[name=\"a\"].weight");
    r = api_expect(&k, 200, "PATCH", OLD "/w?fieldManager=two", APPLY,
                   "{apiVersion: example.com/v1beta1, kind: Widget, metadata: {name: w}, spec: "
                   "{size: 2, free: {x: {z: 1}}}}");
    CHECK_SPAN(api_str(&r, "apiVersion"), "example.com/v1beta1");
    CHECK_SPAN(api_str(&r, "metadata.managedFields.1.apiVersion"), "example.com/v1beta1");
    /* What was applied in one version is let go in the other. */
    r = api_expect(&k, 200, "PATCH", WIDGETS "/w?fieldManager=two", APPLY,
                   "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, spec: {size: "
                   "2}}");
    CHECK(api_at(r.json, "spec.free.x.y") && !api_at(r.json, "spec.free.x.z"));
    api_kit_stop(&k);
}

TEST(deleting_a_definition_deletes_its_objects_and_ends_watches)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    CHECK_EQ(make(&k, "{\"size\":1}").status, 201);
    struct api_reply r = api_expect(&k, 200, "DELETE", CRDS "/widgets.example.com", "", NULL);
    for (int i = 0; i < 200 && r.status != 404; i++) {
        api_run_ms(&k, 10);
        r = api_get(&k, CRDS "/widgets.example.com");
    }
    CHECK_EQ(r.status, 404);
    (void)api_expect(&k, 404, "GET", WIDGETS, "", NULL);
    define(&k); /* and nothing of it comes back */
    r = api_get(&k, WIDGETS);
    CHECK_EQ(json_len(api_at(r.json, "items")), 0);
    api_kit_stop(&k);
}

TEST(a_changed_definition_counts_at_once_and_ends_watches)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    CHECK_EQ(make(&k, "{\"size\":1}").status, 201);
    struct api_watch *w = api_watch_open(&k, WIDGETS "?watch=1&resourceVersion=0", "");
    CHECK(api_watch_next(w) != NULL);
    (void)api_expect(&k, 200, "PATCH", CRDS "/widgets.example.com",
                     "Content-Type: application/json-patch+json\r\n",
                     "[{\"op\":\"add\",\"path\":\"/spec/versions/1/schema/openAPIV3Schema/"
                     "properties/spec/properties/more\",\"value\":{\"type\":\"string\","
                     "\"default\":\"new\"}}]");
    CHECK(api_watch_next(w) == NULL);
    api_watch_close(w);
    struct api_reply r = api_get(&k, WIDGETS "/w"); /* was stored before */
    CHECK_SPAN(api_str(&r, "spec.more"), "new");
    r = api_expect(&k, 200, "PATCH", WIDGETS "/w", MERGE, "{\"spec\":{\"more\":\"x\"}}");
    CHECK_SPAN(api_str(&r, "spec.more"), "x");
    r = api_get(&k, WIDGETS "/w");
    CHECK(api_at(r.json, "metadata.managedFields.0.fieldsV1") != NULL);
    r = api_call(&k, "PATCH", CRDS "/widgets.example.com", MERGE,
                 "{\"spec\":{\"scope\":\"Cluster\"}}");
    CHECK_EQ(r.status, 422);
    api_kit_stop(&k);
}

TEST(objects_with_finalizers_hold_their_definition)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    struct api_reply r = api_expect(
        &k, 201, "POST", WIDGETS, "",
        "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{\"name\":\"w\","
        "\"finalizers\":[\"example.com/x\"]},\"spec\":{\"size\":1}}");
    (void)api_expect(&k, 200, "DELETE", CRDS "/widgets.example.com", "", NULL);
    api_run_ms(&k, 50);
    r = api_get(&k, CRDS "/widgets.example.com");
    CHECK_SPAN(condition(&r, "Terminating"), "True");
    r = make(&k, "{\"size\":1}");
    CHECK_EQ(r.status, 405);
    CHECK_SPAN(api_str(&r, "message"),
               "create not allowed while custom resource definition is terminating");
    (void)api_expect(&k, 200, "PATCH", WIDGETS "/w", MERGE, "{\"metadata\":{\"finalizers\":null}}");
    for (int i = 0; i < 200 && r.status != 404; i++) {
        api_run_ms(&k, 10);
        r = api_get(&k, CRDS "/widgets.example.com");
    }
    CHECK_EQ(r.status, 404);
    api_kit_stop(&k);
}

static void not_accepted(struct api_kit *k, const char *from, const char *to, const char *why)
{
    struct arena *a = scratch();
    const char *text = definition(), *at = strstr(text, from);
    CHECK(at != NULL);
    struct span body = arena_printf(a, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    struct api_reply r = api_post(k, CRDS, body.p);
    CHECK_EQ(r.status, 422);
    if (!memmem(r.body.p, r.body.n, why, strlen(why))) {
        kit_fail(__FILE__, __LINE__, "wanted %s in %.*s", why, SPAN_ARG(r.body));
    }
}

TEST(mistakes_of_definitions_are_named)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    not_accepted(&k, "\"name\":\"widgets.example.com\"", "\"name\":\"x.example.com\"",
                 "must be spec.names.plural+\\\".\\\"+spec.group");
    not_accepted(&k, "\"storage\":false", "\"storage\":true",
                 "must have exactly one version marked as storage version");
    not_accepted(&k, "\"size\":{\"type\":\"integer\",", "\"size\":{",
                 "spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[size].type: "
                 "Required value: must not be empty for specified object fields");
    not_accepted(&k, "^[a-z]", "^(?=a)[a-z]", "must be a valid regular expression");
    not_accepted(&k, "\"default\":\"red\"", "\"default\":\"green\"", "Unsupported value");
    not_accepted(&k, "\"jsonPath\":\".spec.size\"", "\"jsonPath\":\"spec.size\"",
                 "must be a simple json path starting with .");
    api_kit_stop(&k);
}

TEST(names_that_another_definition_has_are_not_accepted)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    struct api_reply r = api_post(
        &k, CRDS,
        "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","
        "\"metadata\":{\"name\":\"others.example.com\"},\"spec\":{\"group\":\"example.com\","
        "\"scope\":\"Cluster\",\"names\":{\"plural\":\"others\",\"kind\":\"Other\",\"shortNames\":["
        "\"wd\"]},\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{"
        "\"openAPIV3Schema\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true,"
        "\"x-kubernetes-validations\":[{\"rule\":\"true\"}]}}}]}}");
    CHECK_EQ(r.status, 201);
    CHECK(memmem(api_header(&r, "Warning").p, api_header(&r, "Warning").n, "CEL", 3) != NULL);
    api_run_ms(&k, 50);
    r = api_get(&k, CRDS "/others.example.com");
    CHECK_SPAN(condition(&r, "NamesAccepted"), "False");
    CHECK_SPAN(condition(&r, "Established"), "False");
    (void)api_expect(&k, 200, "DELETE", CRDS "/widgets.example.com", "", NULL);
    api_run_ms(&k, 100);
    r = api_get(&k, CRDS "/others.example.com");
    CHECK_SPAN(condition(&r, "Established"), "True");
    r = api_post(&k, "/apis/example.com/v1/others",
                 "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Other\",\"metadata\":{\"name\":"
                 "\"o\"},\"anything\":{\"a\":1}}");
    CHECK_EQ(r.status, 201);
    CHECK_EQ(json_int(api_at(r.json, "anything.a"), 0), 1);
    api_kit_stop(&k);
}

TEST(field_selectors_know_the_fields_that_a_definition_lists)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    (void)api_expect(&k, 400, "GET", WIDGETS "?fieldSelector=spec.color%3Dblue", "", NULL);
    (void)api_expect(&k, 200, "PATCH", CRDS "/widgets.example.com",
                     "Content-Type: application/json-patch+json\r\n",
                     "[{\"op\":\"add\",\"path\":\"/spec/versions/1/selectableFields\",\"value\":[{"
                     "\"jsonPath\":\".spec.color\"},{\"jsonPath\":\".spec.size\"}]}]");
    api_run_ms(&k, 50);
    for (int i = 0; i < 4; i++) {
        char body[256];
        (void)snprintf(body, sizeof body,
                       "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{"
                       "\"name\":\"w%d\"},\"spec\":{\"size\":%d,\"color\":\"%s\"}}",
                       i, i + 1, i % 2 ? "red" : "blue");
        (void)api_expect(&k, 201, "POST", WIDGETS, "", body);
    }
    struct api_reply r =
        api_expect(&k, 200, "GET", WIDGETS "?fieldSelector=spec.color%3Dblue", "", NULL);
    CHECK_EQ(json_len(api_at(r.json, "items")), 2);
    r = api_expect(&k, 200, "GET", WIDGETS "?fieldSelector=spec.color%3Dblue,spec.size!%3D1", "",
                   NULL);
    CHECK_SPAN(api_str(&r, "items.0.metadata.name"), "w2");
    r = api_expect(&k, 400, "GET", WIDGETS "?fieldSelector=spec.name%3Da", "", NULL);
    CHECK(span_find(api_str(&r, "message"), 'f') < api_str(&r, "message").n);
    (void)api_expect(&k, 400, "GET", OLD "?fieldSelector=spec.color%3Dblue", "", NULL);
    r = api_expect(&k, 422, "PATCH", CRDS "/widgets.example.com",
                   "Content-Type: application/json-patch+json\r\n",
                   "[{\"op\":\"add\",\"path\":\"/spec/versions/1/selectableFields\",\"value\":[{"
                   "\"jsonPath\":\".spec.parts\"}]}]");
    CHECK_SPAN(api_str(&r, "message"),
               "CustomResourceDefinition.apiextensions.k8s.io \"widgets.example.com\" is invalid: "
               "spec.versions[1].selectableFields[0].jsonPath: Invalid value: \".spec.parts\": is "
               "an invalid path: must point to a field of type string, boolean or integer");
    api_kit_stop(&k);
}

/* Clients that check by OpenAPI v2 refuse members that are not among the properties, if there are
 * any. */
TEST(a_root_that_keeps_unknown_members_has_no_properties_in_v2)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(
        &k, 201, "POST", CRDS, "",
        "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","
        "\"metadata\":{\"name\":\"others.example.com\"},\"spec\":{\"group\":\"example.com\","
        "\"scope\":\"Cluster\",\"names\":{\"plural\":\"others\",\"kind\":\"Other\"},"
        "\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{"
        "\"openAPIV3Schema\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true,"
        "\"properties\":{\"spec\":{\"type\":\"object\"}}}}}]}}");
    api_run_ms(&k, 100);
    struct api_reply r = api_get(&k, "/openapi/v2");
    const yyjson_val *def = json_get(json_get(r.json, "definitions"), "com.example.v1.Other");
    CHECK_SPAN(json_get_str(def, "type"), "object");
    CHECK(json_get(def, "x-kubernetes-group-version-kind") && !json_get(def, "properties"));
    api_kit_stop(&k);
}

/* Kubernetes demands no member of a condition there. */
TEST(a_condition_of_a_status_may_lack_its_type)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    define(&k);
    struct api_reply r = api_expect(
        &k, 200, "PATCH", CRDS "/widgets.example.com/status",
        "Content-Type: application/json-patch+json\r\n",
        "[{\"op\":\"add\",\"path\":\"/status/conditions/-\",\"value\":{\"message\":\"mine\"}}]");
    CHECK(memmem(r.body.p, r.body.n, "\"message\":\"mine\"", 16) != NULL);
    api_kit_stop(&k);
}

/* The APIServices of example.com: "v1 v1beta1". */
static const char *services(struct api_kit *k)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    struct api_reply r = api_get(k, "/apis/apiregistration.k8s.io/v1/apiservices?labelSelector="
                                    "kube-aggregator.kubernetes.io/automanaged%3Dtrue");
    JSON_EACH(it, api_at(r.json, "items"))
    {
        CHECK_SPAN(json_str(api_at(it.val, "spec.group")), "example.com");
        CHECK_SPAN(json_str(api_at(it.val, "status.conditions.0.reason")), "Local");
        strbuf_printf(&out, "%s%.*s", out.n ? " " : "",
                      SPAN_ARG(json_str(api_at(it.val, "spec.version"))));
    }
    return api_text(strbuf_span(&out));
}

static void expect_services(struct api_kit *k, const char *want)
{
    for (int i = 0; i < 300 && strcmp(services(k), want) != 0; i++) {
        api_run_ms(k, 10);
    }
    CHECK_SPAN(span_cstr(services(k)), want);
}

TEST(versions_of_custom_groups_have_their_api_services)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    CHECK_SPAN(span_cstr(services(&k)), "");
    define(&k);
    expect_services(&k, "v1 v1beta1");
    /* Deleted by somebody, it comes back. */
    (void)api_expect(&k, 200, "DELETE",
                     "/apis/apiregistration.k8s.io/v1/apiservices/v1.example.com", "", NULL);
    expect_services(&k, "v1 v1beta1");
    (void)api_expect(&k, 200, "PATCH", CRDS "/widgets.example.com",
                     "Content-Type: application/json-patch+json\r\n",
                     "[{\"op\":\"replace\",\"path\":\"/spec/versions/0/served\",\"value\":false}]");
    expect_services(&k, "v1");
    api_kit_restart(&k);
    expect_services(&k, "v1");
    (void)api_expect(&k, 200, "DELETE", CRDS "/widgets.example.com", "", NULL);
    expect_services(&k, "");
    /* What somebody else has made is nobody's business. */
    (void)api_expect(&k, 201, "POST", "/apis/apiregistration.k8s.io/v1/apiservices", "",
                     "{\"metadata\":{\"name\":\"v1.example.com\"},\"spec\":{\"group\":"
                     "\"example.com\",\"version\":\"v1\",\"groupPriorityMinimum\":7,"
                     "\"versionPriority\":7}}");
    define(&k);
    expect_services(&k, "v1beta1");
    (void)api_expect(&k, 200, "DELETE", CRDS "/widgets.example.com", "", NULL);
    expect_services(&k, "");
    (void)api_expect(&k, 200, "GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1.example.com",
                     "", NULL);
    api_kit_stop(&k);
}

/* ---- a bad disk ---- */

struct bad_disk {
    bool is_on;
    int good; /* commits that succeed still */
};

static int bad_commit(void *data, uint64_t number)
{
    struct bad_disk *d = data;
    (void)number;
    return d->is_on && d->good-- <= 0 ? -EIO : 0;
}

static bool is_established(struct api_kit *k)
{
    struct api_reply r = api_expect(k, 200, "GET", CRDS "/widgets.example.com", "", NULL);
    return memmem(r.body.p, r.body.n, "InitialNamesAccepted", 20) != NULL;
}

/* The definition is stored, and then nothing is for a while (sim seed 9600266). */
TEST(a_definition_is_served_when_its_disk_is_well_again)
{
    struct api_kit k;
    struct bad_disk disk = {.good = 1};
    const struct store_memory_options store = {.fail = bad_commit, .data = &disk};
    api_kit_start_on(&k, &store);
    disk.is_on = true;
    (void)api_expect(&k, 201, "POST", CRDS, "", definition());
    api_run_ms(&k, 300);
    CHECK(!is_established(&k));
    disk.is_on = false;
    for (int i = 0; i < 500 && !is_established(&k); i++) {
        api_run_ms(&k, 10);
    }
    CHECK(is_established(&k));
    expect_services(&k, "v1 v1beta1");
    disk = (struct bad_disk){.is_on = true, .good = 1};
    (void)api_call(&k, "DELETE", CRDS "/widgets.example.com", "", NULL);
    api_run_ms(&k, 300);
    disk.is_on = false;
    /* Nothing is put into what is about to go (sim seed 2513088). */
    (void)api_expect(&k, 405, "POST", WIDGETS, "",
                     "{\"metadata\":{\"name\":\"late\"},\"spec\":{\"size\":1}}");
    expect_services(&k, "");
    api_kit_stop(&k);
}
