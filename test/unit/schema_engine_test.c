/* The engine: decoding, defaults and validation by the rows. */
#include "base/arena.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "codec/names.h"
#include "codec/quantity.h"
#include "schema/engine.h"
#include "schema/kinds.h"
#include "test/kit/kit.h"
#include "test/kit/sample.h"

static struct arena *a;

static yyjson_val *parse(const char *text)
{
    a = a ? a : arena_new();
    yyjson_doc *doc;
    struct err e;
    if (json_parse(a, span_cstr(text), &doc, &e) < 0) {
        kit_fail(__FILE__, __LINE__, "%s: %.*s", text, SPAN_ARG(e.message));
    }
    return yyjson_doc_get_root(doc);
}

static struct span decoded(const struct schema_kind *kind, const char *text)
{
    struct err e;
    yyjson_mut_val *v =
        schema_decode(a, kind, parse(text), json_mut_new(a), SCHEMA_STRICT, NULL, &e);
    return v ? json_write_mut(a, v) : e.message;
}

/* ' stands for ", so that the cases can be read. */
static const char *quoted(const char *s)
{
    a = a ? a : arena_new();
    char *copy = (char *)arena_cstr(a, span_cstr(s));
    for (char *p = copy; *p; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    return copy;
}

#define DECODES(kind, in, out) CHECK_SPAN(decoded(SCHEMA_KIND(kind), quoted(in)), quoted(out))
#define REFUSES(kind, in, message) CHECK_SPAN(decoded(SCHEMA_KIND(kind), quoted(in)), message)

TEST(kind_and_version_and_metadata_come_first)
{
    DECODES(ConfigMap, "{'data':{'a':'b'},'metadata':{'name':'x'},'kind':'ConfigMap'}",
            "{'kind':'ConfigMap','apiVersion':'v1','metadata':{'name':'x'},'data':{'a':'b'}}");
    DECODES(ConfigMap, "{}", "{'kind':'ConfigMap','apiVersion':'v1','metadata':{}}");
}

TEST(null_members_are_dropped_but_not_inside_free_form_data)
{
    DECODES(ConfigMap, "{'metadata':{'creationTimestamp':null},'data':null}",
            "{'kind':'ConfigMap','apiVersion':'v1','metadata':{}}");
    DECODES(ControllerRevision, "{'data':{'a':null},'revision':1}",
            "{'kind':'ControllerRevision','apiVersion':'apps/"
            "v1','metadata':{},'data':{'a':null},'revision':1}");
}

TEST(what_go_would_not_write_is_not_kept)
{
#define POD(rest) "{'kind':'Pod','apiVersion':'v1'," rest "}"
    DECODES(Pod,
            "{'metadata':{'labels':{},'finalizers':[],'generation':0},'spec':{'hostPID':false,"
            "'nodeName':'','volumes':[],'nodeSelector':{},'containers':[{'name':'','tty':false,"
            "'command':[],'ports':[{'containerPort':0,'hostPort':0}]}]}}",
            POD("'metadata':{},'spec':{'containers':[{'name':'','ports':[{'containerPort':0}]}]}"));
    /* A pointer to zero is not nothing; what is in maps and lists is the client's. */
    static const char kept[] =
        POD("'metadata':{'labels':{'a':''}},'spec':{'enableServiceLinks':false,'securityContext':{"
            "'runAsUser':0},'containers':[{'name':'c','args':[''],'env':[{'name':'A'}]}]}");
    DECODES(Pod, kept, kept);
    static const char *const twice[][2] = {{"true,'hostPID':false", "{}"},
                                           {"false,'hostPID':true", "{'hostPID':true}"}};
    for (size_t i = 0; i < 2; i++) { /* the last one counts */
        struct span in = arena_printf(a, "{'spec':{'hostPID':%s}}", twice[i][0]);
        struct err e;
        yyjson_mut_val *got = schema_decode(a, SCHEMA_KIND(Pod), parse(quoted(in.p)),
                                            json_mut_new(a), SCHEMA_IGNORE, NULL, &e);
        CHECK_SPAN(json_write_mut(a, json_mut_get(got, "spec")), quoted(twice[i][1]));
    }
#undef POD
}

TEST(quantities_times_and_base64_become_canonical)
{
    DECODES(PersistentVolume, "{'spec':{'capacity':{'storage':'1024Mi','n':2000}}}",
            "{'kind':'PersistentVolume','apiVersion':'v1','metadata':{},'spec':{'capacity':{'"
            "storage':'1Gi','n':'2k'}}}");
    DECODES(Secret, "{'data':{'k':'aGVs\\nbG8='}}",
            "{'kind':'Secret','apiVersion':'v1','metadata':{},'data':{'k':'aGVsbG8='}}");
    DECODES(Lease,
            "{'metadata':{'creationTimestamp':'2024-01-01T02:00:00+02:00'},'spec':{'renewTime':'"
            "2024-01-01T00:00:00Z'}}",
            "{'kind':'Lease','apiVersion':'coordination.k8s.io/"
            "v1','metadata':{'creationTimestamp':'2024-01-01T00:00:00Z'},"
            "'spec':{'renewTime':'2024-01-01T00:00:00.000000Z'}}");
}

TEST(wrong_types_name_struct_path_and_type)
{
    REFUSES(StatefulSet, "{'spec':{'replicas':'three'}}",
            "json: cannot unmarshal string into Go struct field StatefulSetSpec.spec.replicas of "
            "type int32");
    REFUSES(Pod, "{'spec':'x'}",
            "json: cannot unmarshal string into Go struct field Pod.spec of type v1.PodSpec");
    REFUSES(Pod, "{'spec':{'containers':[{'env':[{'name':'A','value':1}]}]}}",
            "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value "
            "of type string");
    REFUSES(Pod, "{'spec':{'containers':{}}}",
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type "
            "[]v1.Container");
    REFUSES(Pod, "{'metadata':{'labels':{'a':true}}}",
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type "
            "string");
    REFUSES(StatefulSet, "{'spec':{'replicas':1.5}}",
            "json: cannot unmarshal number 1.5 into Go struct field StatefulSetSpec.spec.replicas "
            "of type int32");
    REFUSES(StatefulSet, "{'spec':{'replicas':3000000000}}",
            "json: cannot unmarshal number 3000000000 into Go struct field "
            "StatefulSetSpec.spec.replicas of type int32");
    REFUSES(Secret, "{'data':{'k':'a!'}}", "illegal base64 data at input byte 1 (at data[k])");
    REFUSES(ConfigMap, "[]", "json: cannot unmarshal array into Go value of type v1.ConfigMap");
    REFUSES(Pod, "{'kind':'ConfigMap','apiVersion':'v1'}",
            "ConfigMap in version \"v1\" cannot be handled as a Pod");
}

TEST(unknown_and_repeated_fields_follow_the_strictness)
{
    const char *text = quoted("{'spec':{'foo':1,'replicas':1,'replicas':2,'template':{'spec':{'"
                              "containers':[{'bar':1}]}}}}");
    REFUSES(StatefulSet, text,
            "strict decoding error: unknown field \"spec.foo\", duplicate field \"spec.replicas\", "
            "unknown field \"spec.template.spec.containers[0].bar\"");
    struct schema_warnings w = {0};
    struct err e;
    yyjson_mut_val *v = schema_decode(a, SCHEMA_KIND(StatefulSet), parse(text), json_mut_new(a),
                                      SCHEMA_WARN, &w, &e);
    CHECK(v != NULL);
    CHECK_EQ(w.n, 3);
    CHECK_SPAN(w.text[0], "unknown field \"spec.foo\"");
    CHECK_SPAN(
        json_write_mut(a, v),
        quoted("{'kind':'StatefulSet','apiVersion':'apps/"
               "v1','metadata':{},'spec':{'replicas':2,'template':{'spec':{'containers':[{}]}}}}"));
    w.n = 0;
    CHECK(schema_decode(a, SCHEMA_KIND(StatefulSet), parse(text), json_mut_new(a), SCHEMA_IGNORE,
                        &w, &e) != NULL);
    CHECK_EQ(w.n, 0);
}

TEST(bodies_come_under_several_names)
{
    DECODES(Eviction, "{'kind':'Eviction','apiVersion':'policy/v1beta1','metadata':{'name':'p'}}",
            "{'kind':'Eviction','apiVersion':'policy/v1','metadata':{'name':'p'}}");
    DECODES(DeleteOptions, "{'propagationPolicy':'Background'}",
            "{'kind':'DeleteOptions','apiVersion':'v1','propagationPolicy':'Background'}");
}

static struct span validated(const struct schema_kind *kind, const char *text, const char *old)
{
    struct err e = {0};
    if (schema_validate(a, kind, parse(text), old ? parse(old) : NULL, &e) == 0) {
        return SPAN("fine");
    }
    CHECK_EQ(e.reason, ERR_INVALID);
    CHECK(e.causes != NULL);
    return e.message;
}
#define INVALID(kind, in, message)                                                                 \
    CHECK_SPAN(validated(SCHEMA_KIND(kind), quoted(in), NULL), message)

TEST(names_of_labels_and_annotations_have_their_rules)
{
    static const char fine[] =
        "{'metadata':{'name':'a.b-1','namespace':'d','labels':{'ex.am/A_.b':'','b':'X-1'},"
        "'annotations':{'Ex.Am/b':'any text'}}}";
    struct err e = {0};
    CHECK_EQ(schema_validate(a, SCHEMA_KIND(ConfigMap), parse(quoted(fine)), NULL, &e), 0);
    static const char *const wrong[] = {"'labels':{'Ex.am/b':''}",   "'labels':{'b':'-x'}",
                                        "'labels':{'ex.am/':''}",    "'labels':{'b':'x y'}",
                                        "'annotations':{'.b/c':''}", "'annotations':{'b/c/d':''}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct span text =
            arena_printf(a, "{'metadata':{'namespace':'d','name':'m',%s}}", wrong[i]);
        CHECK(schema_validate(a, SCHEMA_KIND(ConfigMap), parse(quoted(text.p)), NULL, &e) != 0);
        CHECK_SPAN(span_first(e.causes->field, sizeof "metadata." - 1), "metadata.");
    }
}

TEST(metadata_is_checked)
{
    INVALID(
        ConfigMap,
        "{'metadata':{'name':'m','namespace':'d','ownerReferences':[{'kind':'Pod','name':'x'}]}}",
        "ConfigMap \"m\" is invalid: [metadata.ownerReferences.apiVersion: Invalid value: \"\": "
        "version must not be empty, "
        "metadata.ownerReferences.uid: Invalid value: \"\": uid must not be empty]");
    INVALID(ConfigMap, "{'metadata':{'namespace':'d'}}",
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is "
            "required");
    INVALID(Node, "{'metadata':{'name':'n','namespace':'d'}}",
            "Node \"n\" is invalid: metadata.namespace: Forbidden: not allowed on this type");
    INVALID(ConfigMap,
            "{'metadata':{'name':'m','generateName':'m-','namespace':'d','finalizers':['x']}}",
            "ConfigMap \"m\" is invalid: metadata.finalizers: Invalid value: \"x\": "
            "name is neither a standard finalizer name nor is it fully qualified");
    INVALID(ConfigMap, "{'metadata':{'name':'m','namespace':'d','annotations':{'a~/b':''}}}",
            "ConfigMap \"m\" is invalid: metadata.annotations: Invalid value: \"a~/b\": prefix "
            "part a lowercase RFC 1123 subdomain "
            "must consist of lower case alphanumeric characters, '-' or '.', and must start and "
            "end with an alphanumeric character "
            "(e.g. 'example.com', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
}

TEST(a_million_mistakes_give_a_hundred_causes)
{
    a = arena_new();
    struct err e = {0};
    struct check c = {.a = a, .err = &e};
    for (size_t i = 0; i < 100000; i++) {
        cause_required(&c, AT_INDEX(AT_FIELD(NULL, "x"), i), NULL);
    }
    size_t n = 0;
    for (const struct err_cause *x = e.causes; x; x = x->next) {
        n++;
    }
    CHECK_EQ(n, CAUSES_MAX + 1);
}

TEST(nothing_and_empty_are_the_same_when_changes_are_looked_for)
{
    CHECK(semantic_equal(parse(quoted("{'a':[],'b':{'c':''}}")), parse("{}")));
    CHECK(semantic_equal(NULL, parse("{}")));
    CHECK(!semantic_equal(parse(quoted("{'a':0}")), parse("{}")));
    CHECK(!semantic_equal(parse("[1,2]"), parse("[2,1]")));
    CHECK(semantic_equal(parse(quoted("{'a':1,'b':2}")), parse(quoted("{'b':2,'a':1}"))));
}

TEST(formats_of_all_rows_exist)
{
    for (size_t i = 0; i < schema_type_count(); i++) {
        const struct schema_type *t = schema_type_at(i);
        for (size_t j = 0; j < t->field_count; j++) {
            CHECK(!t->fields[j].format || format_known(t->fields[j].format));
        }
    }
    for (size_t i = 0; i < schema_kind_count(); i++) {
        CHECK(format_known(schema_kind_at(i)->name_format));
    }
}

TEST(nothing_of_a_full_object_of_any_kind_is_lost)
{
    for (size_t i = 0; i < schema_kind_count(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        a = arena_new();
        yyjson_mut_doc *doc = json_mut_new(a);
        yyjson_mut_val *full = sample_object(doc, k->type);
        json_put_str(doc, full, "kind", span_cstr(k->kind));
        json_put_str(doc, full, "apiVersion", span_cstr(k->api_version));
        struct err e;
        yyjson_val *in = parse(arena_cstr(a, json_write_mut(a, full)));
        yyjson_mut_val *got = schema_decode(a, k, in, doc, SCHEMA_STRICT, NULL, &e);
        if (!got) {
            kit_fail(__FILE__, __LINE__, "%s: %.*s", k->kind, SPAN_ARG(e.message));
        }
        CHECK(json_mut_equal(got, full));
        /* Defaults change nothing that is there: only the hooks' own members may come on top. */
        default_rows(doc, k->type, got);
        CHECK(json_mut_equal(got, full));
        yyjson_val *checked = parse(arena_cstr(a, json_write_mut(a, got)));
        (void)schema_validate(a, k, checked, checked, &e);
        arena_free(a);
        a = NULL;
    }
}

/* The tree with some of its members left out, null or empty. */
static yyjson_mut_val *thinned(yyjson_mut_doc *doc, const yyjson_val *v, uint32_t *rng)
{
    *rng = *rng * 1664525 + 1013904223;
    unsigned what = *rng >> 24 & 15;
    if (what == 0) {
        return yyjson_mut_null(doc);
    }
    if (yyjson_is_obj((yyjson_val *)v)) {
        yyjson_mut_val *out = yyjson_mut_obj(doc);
        JSON_EACH(it, v)
        {
            yyjson_mut_val *one = thinned(doc, it.val, rng);
            if (what > 1 && *rng >> 30) {
                yyjson_mut_obj_add(out, json_new_str(doc, json_str(it.key)), one);
            }
        }
        return out;
    }
    if (yyjson_is_arr((yyjson_val *)v)) {
        yyjson_mut_val *out = yyjson_mut_arr(doc);
        JSON_EACH(it, v)
        {
            yyjson_mut_arr_append(out, thinned(doc, it.val, rng));
        }
        return out;
    }
    if (what == 1 && yyjson_is_str((yyjson_val *)v)) {
        return yyjson_mut_str(doc, "");
    }
    return what == 1 && yyjson_is_int((yyjson_val *)v) ? yyjson_mut_int(doc, 0)
                                                       : json_mut_copy(doc, v);
}

/* What is known of an object as it is stored changes nothing about what is decoded. */
static void check_over(const struct schema_kind *k, const yyjson_val *in,
                       const yyjson_mut_val *decoded)
{
    if (!decoded) {
        return;
    }
    yyjson_mut_doc *doc = json_mut_new(a);
    const yyjson_val *stored = json_freeze(a, decoded), *from[] = {in, stored};
    for (size_t i = 0; i < 2; i++) {
        struct err e = {0};
        yyjson_mut_val *over = schema_decode_defaults(a, k, from[i], stored, doc, SCHEMA_IGNORE,
                                                      SCHEMA_DEFAULTS_SPEC, NULL, &e);
        CHECK(over != NULL);
        CHECK_SPAN(json_write_mut(a, over), json_write_mut(a, decoded).p);
    }
}

TEST(defaults_come_out_the_same_whether_decoding_gives_them_or_not)
{
    size_t compared = 0;
    uint32_t rng = 1;
    for (size_t i = 0; i < 40 * schema_kind_count(); i++) {
        const struct schema_kind *k = schema_kind_at(i / 40);
        a = arena_new();
        yyjson_mut_doc *doc = json_mut_new(a);
        yyjson_val *full = json_freeze(a, sample_object(doc, k->type));
        yyjson_mut_val *thin = yyjson_mut_obj(doc);
        JSON_EACH(it, full)
        {
            if (!span_eq(json_str(it.key), SPAN("kind")) &&
                !span_eq(json_str(it.key), SPAN("apiVersion"))) {
                json_put_span(doc, thin, json_str(it.key), thinned(doc, it.val, &rng));
            }
        }
        struct err e = {0}, f = {0};
        yyjson_val *in = json_freeze(a, thin);
        yyjson_mut_val *later = schema_decode(a, k, in, doc, SCHEMA_IGNORE, NULL, &e);
        yyjson_mut_val *at_once = schema_decode_defaults(a, k, in, NULL, doc, SCHEMA_IGNORE,
                                                         SCHEMA_DEFAULTS_SPEC, NULL, &f);
        CHECK_EQ(later == NULL, at_once == NULL);
        CHECK_SPAN(f.message, arena_cstr(a, e.message));
        check_over(k, in, at_once);
        if (later && yyjson_mut_is_obj(json_mut_obj(doc, later, "metadata"))) {
            schema_defaults(doc, k, later);
            schema_defaults_rest(doc, k, at_once);
            CHECK_SPAN(json_write_mut(a, at_once), json_write_mut(a, later).p);
            compared++;
        }
        arena_free(a);
        a = NULL;
    }
    CHECK(compared > 20 * schema_kind_count());
}

TEST(short_quantities_become_what_long_ones_become)
{
    static const char *const suffixes[] = {"",  "m", "k",  "M",  "G",  "K",  "T",  "n",
                                           "u", "i", "Ki", "Mi", "Gi", "Ti", "mi", "e1"};
    for (size_t i = 0; i < 2200 * sizeof suffixes / sizeof *suffixes; i++) {
        a = arena_new();

        char text[32], want[QUANTITY_TEXT_BYTES];
        (void)snprintf(text, sizeof text, "%0*zu%s", i % 2200 < 1100 ? 1 : 3, i % 1100,
                       suffixes[i / 2200]);
        struct quantity q;
        struct span in = arena_printf(a, "{'spec':{'capacity':{'n':'%s'}}}", text);
        struct err e = {0};
        yyjson_mut_val *got = schema_decode(a, SCHEMA_KIND(PersistentVolume), parse(quoted(in.p)),
                                            json_mut_new(a), SCHEMA_IGNORE, NULL, &e);
        bool bad = quantity_parse(span_cstr(text), &q) != NULL;
        CHECK_EQ(bad, got == NULL);
        if (!bad) {
            struct span n = json_mut_str(
                json_mut_get(json_mut_get(json_mut_get(got, "spec"), "capacity"), "n"));
            CHECK(span_eq(n, quantity_format(&q, want)));
        }
        arena_free(a);
        a = NULL;
    }
}

/* Of members with the same key the last value counts, in the place of the first. */
TEST(repeated_members_become_one)
{
    static const char *const in_out[][3] = {
        {"ConfigMap", "{'data':{'a':'1','b':'2','a':'3'}}",
         "'metadata':{},'data':{'a':'3','b':'2'}"},
        {"ConfigMap",
         "{'metadata':{'name':'x'},'data':{'a':'1'},'metadata':{'name':'y'},'data':{}}",
         "'metadata':{'name':'y'}"},
        {"ConfigMap", "{'data':{'a':'1'},'immutable':true,'data':{},'data':{'b':'2'}}",
         "'metadata':{},'immutable':true,'data':{'b':'2'}"},
        {"Secret", "{'type':'a','type':'','type':null}", "'metadata':{},'type':''"},
        {"Namespace", "{'spec':{'finalizers':['a']},'spec':{'finalizers':['b','c']},'kind':null}",
         "'metadata':{},'spec':{'finalizers':['b','c']}"},
    };
    for (size_t i = 0; i < sizeof in_out / sizeof *in_out; i++) {
        a = arena_new();
        const struct schema_kind *k = schema_kind_find("", in_out[i][0]);
        const char *text = quoted(in_out[i][1]), *want = quoted(in_out[i][2]);
        struct err e = {0};
        struct schema_warnings w = {0};
        yyjson_mut_val *v = schema_decode(a, k, parse(text), json_mut_new(a), SCHEMA_WARN, &w, &e);
        struct span all =
            arena_printf(a, "{\"kind\":\"%s\",\"apiVersion\":\"v1\",%s}", k->kind, want);
        CHECK_SPAN(json_write_mut(a, v), all.p);
        CHECK(w.n > 0);
        arena_free(a);
        a = NULL;
    }
}

TEST(what_is_deep_or_huge_ends_in_time)
{
    a = arena_new();
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    strbuf_puts(&b,
                "{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},\"spec\":{\"containers\":[{}");
    for (size_t i = 0; i < 100000; i++) {
        strbuf_puts(&b, ",{\"name\":\"c\"}");
    }
    strbuf_puts(&b, "]}}");
    struct err e = {0};
    yyjson_val *pod = parse(b.p);
    CHECK(schema_validate(a, SCHEMA_KIND(Pod), pod, NULL, &e) < 0);
    CHECK_SPAN(
        e.message,
        "Pod \"p\" is invalid: spec.containers: Too many: 100001: must have at most 8192 items");
    strbuf_clear(&b);
    strbuf_puts(&b, "{\"metadata\":{\"name\":\"m\",\"namespace\":\"n\"},\"data\":{\"k\":\"v\"");
    for (size_t i = 0; i < 100000; i++) {
        strbuf_printf(&b, ",\"k%zu\":\"v\"", i % 50000);
    }
    strbuf_puts(&b, "}}");
    struct schema_warnings w = {0};
    CHECK(
        schema_decode(a, SCHEMA_KIND(ConfigMap), parse(b.p), json_mut_new(a), SCHEMA_WARN, &w, &e));
    CHECK_EQ(w.n, 32);
}
