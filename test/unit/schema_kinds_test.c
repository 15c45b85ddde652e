/* The kinds: defaults, rules, field selectors and table rows, compared with what Kubernetes does.
 */
#include "base/arena.h"
#include "codec/json.h"
#include "schema/kinds.h"
#include "schema/schema.h"
#include "test/kit/kit.h"

static struct arena *a;

static yyjson_val *parse(struct span text)
{
    yyjson_doc *doc;
    struct err e;
    if (json_parse(a, text, &doc, &e) < 0) {
        kit_fail(__FILE__, __LINE__, "%.*s: %.*s", SPAN_ARG(text), SPAN_ARG(e.message));
    }
    return yyjson_doc_get_root(doc);
}

static yyjson_val *file(const char *name)
{
    a = arena_new();
    struct span path = arena_printf(a, "test/unit/data/schema/%s", name);
    FILE *f = fopen(path.p, "r");
    CHECK(f != NULL);
    char *text = arena_alloc(a, 1 << 20);
    size_t n = fread(text, 1, 1 << 20, f);
    (void)fclose(f);
    return parse(span_of(text, n));
}

static const struct schema_kind *kind_of(const yyjson_val *obj)
{
    struct span version = json_get_str(obj, "apiVersion");
    size_t slash = span_find(version, '/');
    const char *group = slash < version.n ? arena_cstr(a, span_first(version, slash)) : "";
    const struct schema_kind *k = schema_kind_find(group, arena_cstr(a, json_get_str(obj, "kind")));
    CHECK(k != NULL);
    return k;
}

/* Decoded and defaulted, as the server would hand it to validation. */
static yyjson_val *completed(const yyjson_val *given)
{
    const struct schema_kind *k = kind_of(given);
    yyjson_mut_doc *doc = json_mut_new(a);
    struct err e;
    yyjson_mut_val *obj = schema_decode(a, k, given, doc, SCHEMA_STRICT, NULL, &e);
    if (!obj) {
        kit_fail(__FILE__, __LINE__, "%.*s", SPAN_ARG(e.message));
    }
    schema_defaults(doc, k, obj);
    struct span once = json_write_mut(a, obj);
    schema_defaults(doc, k, obj);
    CHECK_SPAN(json_write_mut(a, obj), arena_cstr(a, once));
    return parse(once);
}

TEST(defaults_are_those_of_a_real_server)
{
    JSON_EACH(it, file("defaults.json"))
    {
        yyjson_val *got = completed(json_get(it.val, "given"));
        yyjson_val *want = json_get(it.val, "want");
        if (!json_equal(got, want)) {
            struct span name = json_get_str(it.val, "name"), g = json_write(a, got),
                        w = json_write(a, want);
            kit_fail(__FILE__, __LINE__, "%.*s:\n# got  %.*s\n# want %.*s", SPAN_ARG(name),
                     SPAN_ARG(g), SPAN_ARG(w));
        }
        struct err e = {0};
        if (schema_validate(a, kind_of(want), got, NULL, &e) < 0) {
            kit_fail(__FILE__, __LINE__, "%.*s", SPAN_ARG(e.message));
        }
    }
}

/* Keeps the first failures together: one run shows them all. */
static size_t failures;

static void expect(const yyjson_val *test, struct span got, struct span want)
{
    if (!span_eq(got, want)) {
        struct span name = json_get_str(test, "name");
        kit_note("%.*s:\n#   got    %.*s\n#   wanted %.*s", SPAN_ARG(name), SPAN_ARG(got),
                 SPAN_ARG(want));
        failures++;
    }
}

static struct span verdict(const yyjson_val *given, const yyjson_val *old)
{
    struct err e = {0};
    yyjson_val *obj = completed(given);
    return schema_validate(a, kind_of(obj), obj, old ? completed(old) : NULL, &e) < 0 ? e.message
                                                                                      : SPAN("");
}

TEST(what_kubernetes_refuses_is_refused_in_its_words)
{
    JSON_EACH(it, file("invalid.json"))
    {
        expect(it.val, verdict(json_get(it.val, "given"), NULL), json_get_str(it.val, "message"));
    }
    CHECK_EQ(failures, 0);
}

TEST(changes_are_allowed_or_refused_as_in_kubernetes)
{
    JSON_EACH(it, file("updates.json"))
    {
        expect(it.val, verdict(json_get(it.val, "given"), json_get(it.val, "old")),
               json_get_str(it.val, "message"));
    }
    CHECK_EQ(failures, 0);
}

TEST(table_rows_have_the_cells_of_kubectl)
{
    const int64_t now_ms = 1767225900000; /* five minutes after the objects were made */
    JSON_EACH(it, file("rows.json"))
    {
        yyjson_val *obj = completed(json_get(it.val, "given"));
        const struct schema_kind *k = kind_of(obj);
        yyjson_mut_doc *doc = json_mut_new(a);
        yyjson_mut_val *cells = yyjson_mut_arr(doc);
        schema_row(a, k, doc, cells, obj, now_ms);
        expect(json_get(obj, "metadata"), json_write_mut(a, cells),
               json_write(a, json_get(it.val, "cells")));
        CHECK_EQ(yyjson_mut_arr_size(cells), k->column_count);
    }
    CHECK_EQ(failures, 0);
}

static struct span status_verdict(const char *status, const char *old)
{
    yyjson_val *now =
        parse(arena_printf(a, "{\"metadata\":{\"name\":\"s\"},\"status\":%s}", status));
    yyjson_val *was = parse(arena_printf(a, "{\"status\":%s}", old));
    struct err e = {0};
    return schema_validate_status(a, SCHEMA_KIND(StatefulSet), now, was, &e) < 0 ? e.message
                                                                                 : SPAN("");
}

TEST(a_status_of_a_set_adds_up)
{
    a = arena_new();
    CHECK_SPAN(status_verdict("{\"replicas\":2,\"readyReplicas\":2,\"availableReplicas\":1}", "{}"),
               "");
    CHECK_SPAN(
        status_verdict("{\"replicas\":-1}", "{}"),
        "StatefulSet.apps \"s\" is invalid: [status.replicas: Invalid value: -1: must be greater "
        "than or equal to 0, "
        "status.readyReplicas: Invalid value: 0: cannot be greater than status.replicas, "
        "status.currentReplicas: Invalid value: 0: cannot be greater than status.replicas, "
        "status.updatedReplicas: Invalid value: 0: cannot be greater than status.replicas, "
        "status.availableReplicas: Invalid value: 0: cannot be greater than status.replicas]");
    CHECK_SPAN(status_verdict("{\"replicas\":3,\"readyReplicas\":1,\"availableReplicas\":2}", "{}"),
               "StatefulSet.apps \"s\" is invalid: status.availableReplicas: Invalid value: 2: "
               "cannot be greater than status.readyReplicas");
    CHECK_SPAN(status_verdict("{\"collisionCount\":1}", "{\"collisionCount\":2}"),
               "StatefulSet.apps \"s\" is invalid: status.collisionCount: Invalid value: 1: cannot "
               "be decremented");
}

TEST(field_selectors_know_their_keys)
{
    a = arena_new();
    yyjson_val *pod = parse(SPAN(
        "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},\"spec\":{\"nodeName\":\"edge\"}}"));
    const struct schema_hooks *h = SCHEMA_KIND(Pod)->hooks;
    struct span v;
    CHECK(h->field(a, pod, SPAN("spec.nodeName"), &v));
    CHECK_SPAN(v, "edge");
    CHECK(h->field(a, pod, SPAN("status.phase"), &v));
    CHECK_SPAN(v, "");
    CHECK(!h->field(a, pod, SPAN("spec.containers"), &v));
    for (size_t i = 0; i < schema_kind_count(); i++) {
        CHECK(schema_kind_at(i)->hooks->field != NULL);
        CHECK(schema_kind_at(i)->hooks->field(a, pod, SPAN("metadata.name"), &v));
        CHECK_SPAN(v, "p");
    }
    yyjson_val *event = parse(SPAN(
        "{\"involvedObject\":{\"uid\":\"7\"},\"type\":\"Warning\",\"reportingComponent\":\"x\"}"));
    h = SCHEMA_KIND(Event)->hooks;
    CHECK(h->field(a, event, SPAN("involvedObject.uid"), &v));
    CHECK_SPAN(v, "7");
    CHECK(h->field(a, event, SPAN("source"), &v));
    CHECK_SPAN(v, "x");
}

TEST(generated_names_are_checked_by_their_beginning)
{
    a = arena_new();
    struct err e = {0};
    yyjson_val *fine = parse(
        SPAN("{\"metadata\":{\"name\":\"s-x\",\"generateName\":\"s-\",\"namespace\":\"n\"}}"));
    CHECK_EQ(schema_validate(a, SCHEMA_KIND(ConfigMap), fine, NULL, &e), 0);
    yyjson_val *wrong = parse(
        SPAN("{\"metadata\":{\"name\":\"s-x\",\"generateName\":\"S-\",\"namespace\":\"n\"}}"));
    CHECK(schema_validate(a, SCHEMA_KIND(ConfigMap), wrong, NULL, &e) < 0);
    CHECK_SPAN(e.causes->field, "metadata.generateName");
    CHECK(e.causes->next == NULL);
}

#define SET(replicas, claims)                                                                      \
    "{\"metadata\":{\"name\":\"s\",\"namespace\":\"n\"},\"spec\":{\"replicas\":" replicas          \
    ",\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":" \
    "\"b\"}},\"spec\":{\"restartPolicy\":\"Always\",\"containers\":[{\"name\":\"c\",\"image\":"    \
    "\"i\",\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":\"Always\",\"volumeMounts\":" \
    "[{"                                                                                           \
    "\"name\":\"data\",\"mountPath\":\"/d\"}]}]}}" claims "}}"
#define CLAIMS ",\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"data\"}}]"

TEST(a_stored_template_passes_with_the_claims_that_it_mounts_alone)
{
    a = arena_new();
    const struct schema_kind *kind = SCHEMA_KIND(StatefulSet);
    const struct span mount = SPAN("spec.template.spec.containers[0].volumeMounts[0].name");
    const yyjson_val *was[] = {parse(SPAN(SET("1", CLAIMS))), parse(SPAN(SET("1", "")))};
    const yyjson_val *is[] = {parse(SPAN(SET("2", CLAIMS))), parse(SPAN(SET("2", "")))};
    for (size_t i = 0; i < 4; i++) {
        struct err e = {0};
        bool missed = false;
        (void)schema_validate(a, kind, is[i / 2], was[i % 2], &e);
        for (const struct err_cause *c = e.causes; c; c = c->next) {
            missed = missed || span_eq(c->field, mount);
        }
        CHECK_EQ(missed, i == 2); /* the claims are gone; what was wrong in store stays */
    }
}

TEST(a_pod_that_comes_to_a_node_is_checked_where_it_changes)
{
#define POD(image, rest)                                                                           \
    "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},\"spec\":{\"containers\":[{\"name\":"      \
    "\"c\","                                                                                       \
    "\"image\":\"" image                                                                           \
    "\",\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":\"Always\"}],"                   \
    "\"restartPolicy\":\"Always\",\"dnsPolicy\":\"ClusterFirst\"" rest "}}"
    static const struct {
        const char *was, *is;
        bool passes;
    } cases[] = {
        {POD("i", ""), POD("i", ",\"nodeName\":\"x\""), true},
        {POD("i", ",\"nodeName\":\"x\""), POD("i", ""), true},
        {POD("i", ""), POD(" i", ",\"nodeName\":\"x\""), false},
        {POD("i", ""), POD("i", ",\"nodeName\":\"x y\""), false},
        {POD(" i", ""), POD(" i", ",\"nodeName\":\"x\""), true}, /* it has passed once */
        {POD(" i", ""), POD(" i", ",\"hostname\":\"x\""), false},
        {POD(" i", ",\"hostname\":\"x\""), POD(" i", ""), false},
    };
#undef POD
    a = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        int rc = schema_validate_server(a, SCHEMA_KIND(Pod), parse(span_cstr(cases[i].is)),
                                        parse(span_cstr(cases[i].was)), &e);
        CHECK_EQ(rc == 0, cases[i].passes);
    }
}

TEST(a_scale_has_no_negative_size)
{
    a = arena_new();
    struct err e = {0};
    yyjson_val *scale = parse(
        SPAN("{\"metadata\":{\"name\":\"s\",\"namespace\":\"n\"},\"spec\":{\"replicas\":-1}}"));
    CHECK(schema_validate(a, SCHEMA_KIND(Scale), scale, NULL, &e) < 0);
    CHECK_SPAN(e.message, "Scale.autoscaling \"s\" is invalid: spec.replicas: Invalid value: -1: "
                          "must be greater than or equal to 0");
    CHECK_SPAN(e.kind, "Scale");
}

TEST(strings_of_a_secret_become_data_and_win)
{
    a = arena_new();
    yyjson_val *in = parse(SPAN("{\"metadata\":{},\"data\":{\"a\":\"b2xk\",\"c\":\"Yw==\"},"
                                "\"stringData\":{\"a\":\"new\",\"b\":\"\"}}"));
    yyjson_mut_doc *doc = json_mut_new(a);
    struct err e;
    yyjson_mut_val *obj = schema_decode(a, SCHEMA_KIND(Secret), in, doc, SCHEMA_STRICT, NULL, &e);
    schema_defaults(doc, SCHEMA_KIND(Secret), obj);
    CHECK_SPAN(json_write_mut(a, obj), "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{},"
                                       "\"data\":{\"a\":\"bmV3\",\"b\":\"\",\"c\":\"Yw==\"},"
                                       "\"type\":\"Opaque\"}");
}

TEST(a_namespace_is_labelled_with_its_name)
{
    a = arena_new();
    yyjson_mut_doc *doc = json_mut_new(a);
    struct err e;
    yyjson_mut_val *obj =
        schema_decode(a, SCHEMA_KIND(Namespace), parse(SPAN("{\"metadata\":{\"name\":\"x\"}}")),
                      doc, SCHEMA_STRICT, NULL, &e);
    schema_defaults(doc, SCHEMA_KIND(Namespace), obj);
    CHECK_SPAN(
        json_write_mut(a, obj),
        "{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\",\"labels\":"
        "{\"kubernetes.io/metadata.name\":\"x\"}},\"spec\":{},\"status\":{\"phase\":\"Active\"}}");
}

static struct span quality(const char *containers)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    struct err e;
    struct span text = arena_printf(a, "{\"spec\":{\"containers\":[%s]}}", containers);
    yyjson_mut_val *obj =
        schema_decode(a, SCHEMA_KIND(Pod), parse(text), doc, SCHEMA_STRICT, NULL, &e);
    schema_defaults(doc, SCHEMA_KIND(Pod), obj);
    return json_mut_str(json_mut_get(json_mut_get(obj, "status"), "qosClass"));
}

TEST(the_quality_of_a_pod_follows_from_its_resources)
{
    a = arena_new();
    CHECK_SPAN(quality("{}"), "BestEffort");
    CHECK_SPAN(quality("{\"resources\":{\"limits\":{\"cpu\":\"1\",\"memory\":\"1Gi\"}}}"),
               "Guaranteed");
    CHECK_SPAN(quality("{\"resources\":{\"limits\":{\"cpu\":\"1\",\"memory\":\"1Gi\"}}},{}"),
               "Burstable");
    CHECK_SPAN(quality("{\"resources\":{\"requests\":{\"cpu\":\"1\"}}}"), "Burstable");
}

static struct span policy(const char *image)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    struct err e;
    struct span text = arena_printf(a, "{\"spec\":{\"containers\":[{\"image\":\"%s\"}]}}", image);
    yyjson_mut_val *obj =
        schema_decode(a, SCHEMA_KIND(Pod), parse(text), doc, SCHEMA_STRICT, NULL, &e);
    schema_defaults(doc, SCHEMA_KIND(Pod), obj);
    yyjson_mut_val *list = json_mut_get(json_mut_get(obj, "spec"), "containers");
    return json_mut_str(json_mut_get(yyjson_mut_arr_get_first(list), "imagePullPolicy"));
}

TEST(the_tag_of_an_image_decides_when_it_is_pulled)
{
    a = arena_new();
    CHECK_SPAN(policy("busybox"), "Always");
    CHECK_SPAN(policy("busybox:latest"), "Always");
    CHECK_SPAN(policy("host:5000/busybox"), "Always");
    CHECK_SPAN(policy("host:5000/busybox:1"), "IfNotPresent");
    CHECK_SPAN(policy("busybox@sha256:0123"), "IfNotPresent");
    CHECK_SPAN(policy("busybox:latest@sha256:0123"), "Always");
}
