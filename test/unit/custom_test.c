/* The compiler of custom kinds: what a schema means for values, what is refused, what is kept. */
#include "base/arena.h"
#include "codec/json.h"
#include "managed/typed.h"
#include "schema/custom.h"
#include "schema/kinds.h"
#include "test/kit/kit.h"

static struct arena *a;

static const yyjson_val *parse(struct span text)
{
    yyjson_doc *doc;
    struct err e = {0};
    if (json_parse(a, text, &doc, &e)) {
        kit_fail(__FILE__, __LINE__, "%.*s: %.*s", SPAN_ARG(text), SPAN_ARG(e.message));
    }
    return yyjson_doc_get_root(doc);
}

/* Decoded and defaulted as the server does it. */
static const yyjson_val *definition(const char *schema, const char *more)
{
    a = a ? a : arena_new();
    const struct schema_kind *crd = SCHEMA_KIND(CustomResourceDefinition);
    struct span text = arena_printf(
        a,
        "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","
        "\"metadata\":{\"name\":\"ws.example.com\"},\"spec\":{\"group\":\"example.com\",\"scope\":"
        "\"Cluster\",\"names\":{\"plural\":\"ws\",\"kind\":\"W\"},\"versions\":[{\"name\":\"v1\","
        "\"served\":true,\"storage\":true%s,\"schema\":{\"openAPIV3Schema\":%s}}]}}",
        more, schema);
    yyjson_mut_doc *doc = json_mut_new(a);
    struct err e = {0};
    yyjson_mut_val *d = schema_decode(a, crd, parse(text), doc, SCHEMA_STRICT, NULL, &e);
    if (!d) {
        kit_fail(__FILE__, __LINE__, "%.*s", SPAN_ARG(e.message));
    }
    schema_defaults(doc, crd, d);
    return json_freeze(a, d);
}

static struct span verdict(const char *schema, const char *more)
{
    struct err e = {0};
    int rc = schema_validate(a, SCHEMA_KIND(CustomResourceDefinition), definition(schema, more),
                             NULL, &e);
    return rc ? e.message : SPAN("");
}

#define SPEC(schema) "{\"type\":\"object\",\"properties\":{\"spec\":" schema "}}"

static struct custom_definition *compiled(const char *schema)
{
    struct err e = {0};
    CHECK_SPAN(verdict(schema, ""), "");
    struct custom_definition *d = custom_compile(definition(schema, ""), &e, a);
    CHECK(d != NULL);
    return d;
}

/* The spec after decoding and defaults, or what is wrong with it. */
static struct span after(const char *schema, const char *spec)
{
    struct custom_definition *d = compiled(schema);
    yyjson_mut_doc *doc = json_mut_new(a);
    struct err e = {0};
    struct span text = arena_printf(a, "{\"metadata\":{\"name\":\"w\"},\"spec\":%s}", spec), out;
    yyjson_mut_val *obj = schema_decode(a, d->storage, parse(text), doc, SCHEMA_IGNORE, NULL, &e);
    CHECK(obj != NULL);
    schema_defaults(doc, d->storage, obj);
    const yyjson_val *made = json_freeze(a, obj);
    if (schema_validate(a, d->storage, made, NULL, &e)) {
        out = span_from(e.message, sizeof "W.example.com \"w\" is invalid: " - 1);
    } else {
        out = arena_dup(a, json_write(a, json_get(made, "spec")));
    }
    custom_unref(d);
    return arena_dup(a, out);
}

TEST(values_are_pruned_and_defaulted_by_the_schema)
{
    static const struct {
        const char *schema, *spec, *want;
    } cases[] = {
        {SPEC("{\"type\":\"object\"}"), "{\"a\":1}", "{}"},
        {SPEC("{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true}"),
         "{\"a\":{\"b\":null}}", "{\"a\":{\"b\":null}}"},
        {SPEC("{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true,\"properties\":{"
              "\"a\":{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"string\"}}}}}"),
         "{\"a\":{\"b\":\"x\",\"c\":1},\"d\":2}", "{\"a\":{\"b\":\"x\"},\"d\":2}"},
        {SPEC("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"default\":{},"
              "\"properties\":{\"b\":{\"type\":\"integer\",\"default\":7}}}}}"),
         "{}", "{\"a\":{\"b\":7}}"},
        {SPEC("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"default\":\"x\"},"
              "\"b\":{\"type\":\"string\"},\"c\":{\"type\":\"string\",\"nullable\":true}}}"),
         "{\"a\":null,\"b\":null,\"c\":null}", "{\"c\":null,\"a\":\"x\"}"},
        {SPEC("{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
              "\"properties\":{\"a\":{\"type\":\"boolean\",\"default\":true}}}}}"),
         "[[{},{\"a\":false,\"z\":1}]]", "[[{\"a\":true},{\"a\":false}]]"},
        {SPEC("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\",\"properties\":{"
              "\"a\":{\"type\":\"number\",\"default\":1.5}}}}"),
         "{\"x\":{\"y\":1}}", "{\"x\":{\"a\":1.5}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_SPAN(after(cases[i].schema, cases[i].spec), cases[i].want);
    }
}

/* As generators of definitions write them. */
TEST(the_head_of_objects_may_have_a_schema_too)
{
    CHECK_SPAN(
        after("{\"type\":\"object\",\"properties\":{\"apiVersion\":{\"description\":\"x\","
              "\"type\":\"string\"},\"kind\":{\"type\":\"string\"},\"metadata\":{\"type\":"
              "\"object\"},\"spec\":{\"type\":\"object\",\"properties\":{\"q\":{\"anyOf\":[{"
              "\"type\":\"integer\"},{\"type\":\"string\"}],\"pattern\":\"^(\\\\+|-)?[0-9]+(Mi)?"
              "$\",\"x-kubernetes-int-or-string\":true}}}}}",
              "{\"q\":\"3Mi\"}"),
        "{\"q\":\"3Mi\"}");
}

TEST(alternatives_are_checked)
{
    static const char schema[] =
        SPEC("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":"
             "\"integer\"}},\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"not\":{"
             "\"properties\":{\"a\":{\"minimum\":5}},\"required\":[\"a\"]}}");
    CHECK_SPAN(after(schema, "{\"a\":1}"), "{\"a\":1}");
    CHECK_SPAN(after(schema, "{}"),
               "spec: Invalid value: {}: \"spec\" must validate one and only one schema (oneOf). "
               "Found none valid");
    CHECK_SPAN(after(schema, "{\"a\":6}"),
               "spec: Invalid value: {\"a\":6}: \"spec\" must not validate the schema (not)");
}

TEST(what_is_not_structural_is_refused)
{
    static const struct {
        const char *schema, *says;
    } cases[] = {
        {"{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "must be object at the root"},
        {"{}", "openAPIV3Schema.type: Required value: must not be empty at the root"},
        {SPEC("{\"type\":\"array\"}"), "items: Required value: must be specified"},
        {SPEC("{\"type\":\"tuple\"}"), "Unsupported value: \"tuple\""},
        {SPEC("{\"type\":\"string\",\"$ref\":\"#/x\"}"), "$ref: Forbidden"},
        {SPEC("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},"
              "\"additionalProperties\":{\"type\":\"string\"}}"),
         "additionalProperties and properties are mutual exclusive"},
        {SPEC("{\"type\":\"integer\",\"default\":\"x\"}"), "must be of type integer"},
        {SPEC("{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\",\"items\":{\"type\":"
              "\"object\"}}"),
         "must not be empty if x-kubernetes-list-type is map"},
        {SPEC("{\"type\":\"string\",\"anyOf\":[{\"default\":\"a\"}]}"),
         "must be empty to be structural"},
        {SPEC("{\"type\":\"string\",\"pattern\":\"(\"}"), "must be a valid regular expression"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span got = verdict(cases[i].schema, "");
        if (!memmem(got.p, got.n, cases[i].says, strlen(cases[i].says))) {
            kit_fail(__FILE__, __LINE__, "wanted %s, got %.*s", cases[i].says, SPAN_ARG(got));
        }
    }
}

TEST(a_schema_that_is_too_deep_or_too_large_is_refused)
{
    struct span schema = SPAN("{\"type\":\"string\"}");
    a = arena_new();
    for (int i = 0; i < 55; i++) {
        schema =
            arena_printf(a, "{\"type\":\"object\",\"properties\":{\"a\":%.*s}}", SPAN_ARG(schema));
    }
    struct span got = verdict(arena_cstr(a, schema), "");
    CHECK(memmem(got.p, got.n, "too large", 9) != NULL);
}

TEST(versions_sort_as_in_kubernetes)
{
    static const char *const order[] = {"v10",     "v2",        "v1",        "v11beta2", "v10beta3",
                                        "v3beta1", "v12alpha1", "v11alpha2", "foo1",     "foo10"};
    for (size_t i = 0; i + 1 < sizeof order / sizeof *order; i++) {
        CHECK(custom_version_cmp(span_cstr(order[i]), span_cstr(order[i + 1])) < 0);
        CHECK(custom_version_cmp(span_cstr(order[i + 1]), span_cstr(order[i])) > 0);
    }
}

TEST(tables_tell_apply_what_the_lists_are)
{
    struct custom_definition *d = compiled(
        SPEC("{\"type\":\"object\",\"properties\":{\"m\":{\"type\":\"array\","
             "\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-keys\":[\"k\"],\"items\":{"
             "\"type\":\"object\",\"required\":[\"k\"],\"properties\":{\"k\":{\"type\":\"string\"}}"
             "}},\"s\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"set\",\"items\":{\"type\":"
             "\"string\"}},\"o\":{\"type\":\"object\",\"x-kubernetes-map-type\":\"atomic\","
             "\"properties\":{\"x\":{\"type\":\"string\"}}},\"l\":{\"type\":\"array\",\"items\":{"
             "\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}}"));
    struct typed_ref spec = typed_member(typed_root(d->storage), SPAN("spec"));
    CHECK_EQ(typed_class(spec), TYPED_OBJECT);
    CHECK_EQ(typed_class(typed_member(spec, SPAN("m"))), TYPED_LIST);
    CHECK_EQ(typed_class(typed_member(spec, SPAN("s"))), TYPED_LIST);
    CHECK_EQ(typed_class(typed_member(spec, SPAN("o"))), TYPED_LEAF);
    CHECK_EQ(typed_class(typed_member(spec, SPAN("l"))), TYPED_LEAF);
    custom_unref(d);
}

TEST(what_is_kept_but_not_done_is_warned_about)
{
    struct schema_warnings w = {0};
    const yyjson_val *d = definition(
        SPEC("{\"type\":\"string\",\"format\":\"hostname\",\"x-kubernetes-validations\":[{"
             "\"rule\":\"true\"}]}"),
        ",\"selectableFields\":[{\"jsonPath\":\".spec\"}]");
    custom_warnings(a, d, &w);
    CHECK_EQ(w.n, 2);
    CHECK_SPAN(w.text[1],
               "spec.versions[0].schema.openAPIV3Schema.properties.spec.x-kubernetes-validations: "
               "CEL rules are stored, but not evaluated yet");
}
