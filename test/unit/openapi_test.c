/* schema/openapi: the documents are whole (every reference leads somewhere), say what clients look
 * for, and the protobuf form says the same as the JSON one. */
#include "kit/json_kit.h"
#include "kit/kit.h"

#include "codec/pb.h"
#include "schema/openapi.h"

static yyjson_val *v2(struct arena *a)
{
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    openapi_v2_json(NULL, &b);
    return json_kit_parse(a, strbuf_span(&b));
}

static yyjson_val *v3(struct arena *a, const char *group, const char *version)
{
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    CHECK(openapi_v3_group(NULL, span_cstr(group), span_cstr(version), &b));
    return json_kit_parse(a, strbuf_span(&b));
}

static size_t check_refs(const yyjson_val *v, const yyjson_val *definitions, struct span prefix)
{
    size_t n = 0;
    struct span ref = yyjson_is_obj((yyjson_val *)v) ? json_get_str(v, "$ref") : SPAN_NULL;
    if (ref.n > 0) {
        CHECK(span_starts(ref, prefix));
        struct span name = span_from(ref, prefix.n);
        if (!yyjson_obj_getn((yyjson_val *)definitions, name.p, name.n)) {
            kit_fail(__FILE__, __LINE__, "%.*s is not defined", SPAN_ARG(ref));
        }
        n++;
    }
    if (yyjson_is_ctn((yyjson_val *)v)) {
        JSON_EACH(it, v)
        {
            n += check_refs(it.val, definitions, prefix);
        }
    }
    return n;
}

TEST(every_reference_of_v2_is_defined)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_val *doc = v2(a);
    CHECK_SPAN(json_get_str(doc, "swagger"), "2.0");
    CHECK(check_refs(doc, json_get(doc, "definitions"), SPAN("#/definitions/")) > 500);
}

TEST(every_reference_of_v3_is_defined)
{
    for (size_t i = 0; i < schema_kind_count(); i++) {
        struct arena *a cleanup_arena = arena_new();
        const struct schema_kind *k = schema_kind_at(i);
        yyjson_val *doc = v3(a, k->group, k->version);
        CHECK(check_refs(doc, json_path(doc, "components", "schemas", NULL),
                         SPAN("#/components/schemas/")) > 5);
    }
}

static bool has_param(const yyjson_val *op, const char *name)
{
    return json_find(json_get(op, "parameters"), "name", span_cstr(name)) != NULL;
}

static void check_paths(const yyjson_val *doc, const struct schema_kind *k)
{
    struct arena *a cleanup_arena = arena_new();
    const char *ns = k->namespaced ? "/namespaces/{namespace}" : "";
    struct span all = k->group[0]
                          ? arena_printf(a, "/apis/%s/%s%s/%s", k->group, k->version, ns, k->plural)
                          : arena_printf(a, "/api/%s%s/%s", k->version, ns, k->plural);
    struct span one = arena_printf(a, "%.*s/{name}", SPAN_ARG(all));
    kit_note("%.*s", SPAN_ARG(all));
    yyjson_val *patch = json_path(doc, "paths", one.p, "patch", NULL),
               *get = json_path(doc, "paths", all.p, "get", NULL);
    CHECK_EQ(patch != NULL, (k->verbs & SCHEMA_VERB_PATCH) != 0);
    if (patch) {
        CHECK(has_param(patch, "fieldValidation") && has_param(patch, "dryRun") &&
              has_param(patch, "fieldManager"));
        yyjson_val *gvk = json_get(patch, "x-kubernetes-group-version-kind");
        CHECK_SPAN(json_get_str(gvk, "group"), k->group);
        CHECK_SPAN(json_get_str(gvk, "version"), k->version);
        CHECK_SPAN(json_get_str(gvk, "kind"), k->kind);
    }
    CHECK_EQ(get != NULL, (k->verbs & SCHEMA_VERB_LIST) != 0);
    CHECK(!get || (has_param(get, "labelSelector") && has_param(get, "watch")));
    for (size_t i = 0; i < k->subresource_count; i++) {
        struct span sub = arena_printf(a, "%.*s/%s", SPAN_ARG(one), k->subresources[i].name);
        CHECK(json_path(doc, "paths", sub.p, NULL));
    }
}

TEST(every_served_verb_has_an_operation_with_its_parameters)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_val *doc = v2(a);
    for (size_t i = 0; i < schema_kind_count(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        check_paths(doc, k);
        check_paths(v3(a, k->group, k->version), k);
    }
}

TEST(definitions_are_named_and_marked_as_in_kubernetes)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_val *d = json_get(v2(a), "definitions");
    static const char *const names[] = {"io.k8s.api.apps.v1.StatefulSet",
                                        "io.k8s.api.apps.v1.StatefulSetList",
                                        "io.k8s.api.core.v1.Pod",
                                        "io.k8s.api.storage.v1.StorageClass",
                                        "io.k8s.api.discovery.v1.EndpointSlice",
                                        "io.k8s.api.autoscaling.v1.Scale",
                                        "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
                                        "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
                                        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
                                        "io.k8s.apimachinery.pkg.api.resource.Quantity"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        kit_note("%s", names[i]);
        CHECK(json_get(d, names[i]));
    }
    yyjson_val *set = json_get(d, names[0]);
    CHECK_SPAN(json_write(a, json_get(set, "x-kubernetes-group-version-kind")),
               "[{\"group\":\"apps\",\"kind\":\"StatefulSet\",\"version\":\"v1\"}]");
    CHECK_SPAN(json_write(a, json_path(d, names[1], "x-kubernetes-group-version-kind", NULL)),
               "[{\"group\":\"apps\",\"kind\":\"StatefulSetList\",\"version\":\"v1\"}]");
    yyjson_val *containers =
        json_path(d, "io.k8s.api.core.v1.PodSpec", "properties", "containers", NULL);
    CHECK_SPAN(json_get_str(containers, "x-kubernetes-patch-merge-key"), "name");
    CHECK_SPAN(json_get_str(containers, "x-kubernetes-patch-strategy"), "merge");
    CHECK_SPAN(json_get_str(containers, "x-kubernetes-list-type"), "map");
    CHECK_SPAN(json_write(a, json_get(containers, "x-kubernetes-list-map-keys")), "[\"name\"]");
    CHECK_SPAN(
        json_get_str(json_path(d, "io.k8s.api.core.v1.PodSpec", "properties", "volumes", NULL),
                     "x-kubernetes-patch-strategy"),
        "merge,retainKeys");
    CHECK_SPAN(
        json_get_str(json_get(d, "io.k8s.apimachinery.pkg.util.intstr.IntOrString"), "format"),
        "int-or-string");
}

/* As kubectl explain shows it, and kubectl before 1.25 demands it. */
TEST(what_is_always_written_is_required_unless_its_row_says_otherwise)
{
    static const struct {
        const char *type, *list;
    } lists[] = {{"core.v1.ServicePort", "[\"port\"]"},
                 {"core.v1.PodCondition", "[\"type\",\"status\"]"},
                 {"core.v1.HTTPHeader", "[\"name\",\"value\"]"},
                 {"core.v1.SleepAction", "[\"seconds\"]"},
                 {"core.v1.Container", "[\"name\"]"},
                 {"core.v1.Event", "[\"metadata\",\"involvedObject\"]"},
                 {"apps.v1.StatefulSetSpec", "[\"selector\",\"template\"]"},
                 {"apps.v1.StatefulSetStatus", "[\"replicas\"]"},
                 {"discovery.v1.EndpointSlice", "[\"addressType\"]"}};
    struct arena *a cleanup_arena = arena_new();
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    openapi_v2_json(NULL, &b);
    yyjson_val *definitions = json_get(json_kit_parse(a, strbuf_span(&b)), "definitions");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const char *name = arena_printf(a, "io.k8s.api.%s", lists[i].type).p;
        const yyjson_val *required = json_path(definitions, name, "required", NULL);
        CHECK_SPAN(json_write(a, required), lists[i].list);
    }
}

TEST(v3_references_are_wrapped_with_defaults)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_val *schemas = json_path(v3(a, "apps", "v1"), "components", "schemas", NULL);
    yyjson_val *meta =
        json_path(schemas, "io.k8s.api.apps.v1.StatefulSet", "properties", "metadata", NULL);
    CHECK_SPAN(
        json_write(a, json_get(meta, "allOf")),
        "[{\"$ref\":\"#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta\"}]");
    CHECK_SPAN(json_write(a, json_get(meta, "default")), "{}");
    CHECK(!json_get(schemas, "io.k8s.api.storage.v1.StorageClass"));
}

TEST(the_v3_index_names_every_group_version_and_its_content)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf b cleanup_strbuf = STRBUF_INIT, again cleanup_strbuf = STRBUF_INIT;
    openapi_v3_index(NULL, &b);
    openapi_v3_index(NULL, &again);
    CHECK(span_eq(strbuf_span(&b), strbuf_span(&again)));
    yyjson_val *paths = json_get(json_kit_parse(a, strbuf_span(&b)), "paths");
    struct span core = json_get_str(json_get(paths, "api/v1"), "serverRelativeURL");
    CHECK(span_starts(core, SPAN("/openapi/v3/api/v1?hash=")));
    CHECK(json_get(paths, "apis/apps/v1"));
    CHECK(!openapi_v3_group(NULL, SPAN("nothing"), SPAN("v1"), &b));
}

/* The names in a message {NamedX = number {name=1}}, compared with an object's keys in order. */
static void check_names(struct span message, uint32_t number, const yyjson_val *object)
{
    struct pb_reader r = pb_read(message);
    struct pb_field entry, name;
    JSON_EACH(it, object)
    {
        CHECK(pb_next(&r, &entry));
        CHECK_EQ(entry.number, number);
        struct pb_reader inner = pb_read(entry.bytes);
        CHECK(pb_next(&inner, &name));
        CHECK_EQ(name.number, 1);
        CHECK(span_eq(name.bytes, json_str(it.key)));
    }
    CHECK(!pb_next(&r, &entry));
    CHECK(!r.bad);
}

TEST(the_protobuf_form_has_the_same_paths_and_definitions)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    yyjson_val *doc = v2(a);
    struct pb_field f;
    size_t seen = 0;
    openapi_v2_protobuf(NULL, &b);
    struct pb_reader r = pb_read(strbuf_span(&b));
    while (pb_next(&r, &f)) {
        seen++;
        if (f.number == 1) {
            CHECK_SPAN(f.bytes, "2.0");
        } else if (f.number == 8) {
            check_names(f.bytes, 2, json_get(doc, "paths"));
        } else if (f.number == 9) {
            check_names(f.bytes, 1, json_get(doc, "definitions"));
        }
    }
    CHECK(!r.bad);
    CHECK_EQ(seen, 4);
}
