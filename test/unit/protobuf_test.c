/* schema/protobuf: bodies as kubectl 1.32 sends them, and messages made by hand for every shape. */
#include "kit/kit.h"
#include "kit/sample.h"

#include "base/limits.h"
#include "codec/json.h"
#include "codec/pb.h"
#include "schema/protobuf.h"

static struct span decode(struct arena *a, struct span body)
{
    yyjson_doc *doc = NULL;
    struct err err = {0};
    if (protobuf_decode(a, body, &doc, &err) < 0) {
        CHECK(err.reason == ERR_BAD_REQUEST || err.reason == ERR_TOO_LARGE);
        return err.message;
    }
    return json_write(a, yyjson_doc_get_root(doc));
}

static struct span from_hex(struct arena *a, const char *hex)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = strlen(hex) / 2;
    char *out = arena_alloc(a, n);
    for (size_t i = 0; i < n; i++) {
        out[i] = (char)((strchr(digits, hex[2 * i]) - digits) << 4 |
                        (strchr(digits, hex[2 * i + 1]) - digits));
    }
    return span_of(out, n);
}

TEST(what_kubectl_sends_decodes_to_the_json_it_means)
{
    struct arena *a cleanup_arena = arena_new();
    CHECK_SPAN(
        decode(a,
               from_hex(
                   a,
                   "6b3873000a0f0a0276311209436f6e6669674d6170121c0a120a02633112001a0022002a003200"
                   "3800420012060a01781201791a002200")),
        "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"c1\"},\"data\":{"
        "\"x\":\"y\"}}");
    CHECK_SPAN(
        decode(a,
               from_hex(
                   a,
                   "6b3873000a0c0a0276311206536563726574121e0a120a02733112001a0022002a003200380042"
                   "0012060a01611201621a001a002200")),
        "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"s1\"},\"data\":{\"a\":"
        "\"Yg==\"}}");
    static const char service[] =
        "6b3873000a0d0a027631120753657276696365128b010a1f0a0377656212001a0022002a00320038"
        "0042005a0a0a03617070120377656212640a1e0a0738302d6874747012035443501850220a080110"
        "001a046874747028000a1d0a083434332d38343433120354435018bb032207080010fb411a002800"
        "120a0a0361707012037765621a002209436c757374657249503a00420052005a00600068001a020a"
        "001a002200";
    CHECK_SPAN(decode(a, from_hex(a, service)),
               "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"web\","
               "\"labels\":{\"app\":\"web\"}},"
               "\"spec\":{\"ports\":[{\"name\":\"80-http\",\"protocol\":\"TCP\",\"port\":80,"
               "\"targetPort\":\"http\"},{"
               "\"name\":\"443-8443\",\"protocol\":\"TCP\",\"port\":443,\"targetPort\":8443}],"
               "\"selector\":{\"app\":\"web\"},"
               "\"type\":\"ClusterIP\"},\"status\":{\"loadBalancer\":{}}}");
}

/* The body of an object whose message the caller has written into b. */
static struct span body_of(struct arena *a, const char *api_version, const char *kind,
                           const struct strbuf *b)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    strbuf_put(&out, span_of("k8s\0", 4));
    size_t meta = pb_open(&out, 1);
    pb_put_bytes(&out, 1, span_cstr(api_version));
    pb_put_bytes(&out, 2, span_cstr(kind));
    pb_close(&out, meta);
    pb_put_bytes(&out, 2, strbuf_span(b));
    return arena_dup(a, strbuf_span(&out));
}

static void put_small(struct strbuf *b, uint32_t number, uint32_t inner, struct span text)
{
    size_t mark = pb_open(b, number);
    pb_put_bytes(b, inner, text);
    pb_close(b, mark);
}

static void put_time(struct strbuf *b, uint32_t number, int64_t seconds, int64_t nanos)
{
    size_t mark = pb_open(b, number);
    pb_put_varint(b, 1, (uint64_t)seconds);
    pb_put_varint(b, 2, (uint64_t)nanos);
    pb_close(b, mark);
}

TEST(numbers_of_every_kind_decode)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    /* StatefulSet: spec=2 {replicas=1, revisionHistoryLimit=8, minReadySeconds=9} */
    size_t spec = pb_open(&b, 2);
    pb_put_varint(&b, 1, 0);
    pb_put_varint(&b, 8, (uint64_t)-3);
    pb_put_varint(&b, 9, 0);
    pb_put_varint(&b, 300, 7); /* no such field */
    pb_close(&b, spec);
    CHECK_SPAN(decode(a, body_of(a, "apps/v1", "StatefulSet", &b)),
               "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/"
               "v1\",\"spec\":{\"replicas\":0,\"revisionHistoryLimit\":-3}}");
}

TEST(nested_messages_that_json_inlines_decode)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    /* Pod: spec=2 {volumes=1 {name=1, volumeSource=2 {configMap=19 {localObjectReference=1
     * {name=1}, defaultMode=3}}}} */
    size_t spec = pb_open(&b, 2), volume = pb_open(&b, 1);
    pb_put_bytes(&b, 1, SPAN("v"));
    size_t source = pb_open(&b, 2), map = pb_open(&b, 19);
    put_small(&b, 1, 1, SPAN("m"));
    pb_put_varint(&b, 3, 420);
    pb_close(&b, map);
    pb_close(&b, source);
    pb_close(&b, volume);
    pb_close(&b, spec);
    CHECK_SPAN(decode(a, body_of(a, "v1", "Pod", &b)),
               "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"spec\":{\"volumes\":[{\"name\":\"v\","
               "\"configMap\":{\"name\":\"m\","
               "\"defaultMode\":420}}]}}");
}

TEST(quantities_and_int_or_strings_decode)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    /* Pod: spec=2 {containers=2 {name=1, resources=8 {limits=1 {key=1, value=2 {string=1}}},
     * livenessProbe=10 {handler=1 {tcpSocket=3 {port=1 {type=1, intVal=2, strVal=3}}}}}} */
    size_t spec = pb_open(&b, 2), container = pb_open(&b, 2);
    pb_put_bytes(&b, 1, SPAN("c"));
    size_t resources = pb_open(&b, 8), entry = pb_open(&b, 1);
    pb_put_bytes(&b, 1, SPAN("cpu"));
    put_small(&b, 2, 1, SPAN("250m"));
    pb_close(&b, entry);
    pb_close(&b, resources);
    for (int text = 0; text < 2; text++) {
        size_t probe = pb_open(&b, text ? 11 : 10), handler = pb_open(&b, 1), tcp = pb_open(&b, 3),
               port = pb_open(&b, 1);
        pb_put_varint(&b, 1, (uint64_t)text);
        pb_put_varint(&b, 2, 6379);
        pb_put_bytes(&b, 3, SPAN("redis"));
        pb_close(&b, port);
        pb_close(&b, tcp);
        pb_close(&b, handler);
        pb_close(&b, probe);
    }
    pb_close(&b, container);
    pb_close(&b, spec);
    CHECK_SPAN(decode(a, body_of(a, "v1", "Pod", &b)),
               "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"spec\":{\"containers\":[{\"name\":\"c\","
               "\"resources\":{\"limits\":{"
               "\"cpu\":\"250m\"}},\"livenessProbe\":{\"tcpSocket\":{\"port\":6379}},"
               "\"readinessProbe\":{\"tcpSocket\":{"
               "\"port\":\"redis\"}}}]}}");
}

TEST(times_bytes_and_raw_json_decode)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    size_t meta = pb_open(&b, 1);
    put_time(&b, 8, 1700000000, 0);
    put_time(&b, 9, -62135596800, 0); /* Go's zero time */
    pb_close(&b, meta);
    size_t spec = pb_open(&b, 2);
    put_time(&b, 3, 1700000000, 123456789); /* LeaseSpec.acquireTime, a MicroTime */
    pb_close(&b, spec);
    CHECK_SPAN(
        decode(a, body_of(a, "coordination.k8s.io/v1", "Lease", &b)),
        "{\"kind\":\"Lease\",\"apiVersion\":\"coordination.k8s.io/"
        "v1\",\"metadata\":{\"creationTimestamp\":"
        "\"2023-11-14T22:13:20Z\"},\"spec\":{\"acquireTime\":\"2023-11-14T22:13:20.123456Z\"}}");
    strbuf_clear(&b);
    put_small(&b, 2, 1, SPAN("{\"spec\":[1,null]}"));
    pb_put_varint(&b, 3, 4);
    CHECK_SPAN(decode(a, body_of(a, "apps/v1", "ControllerRevision", &b)),
               "{\"kind\":\"ControllerRevision\",\"apiVersion\":\"apps/"
               "v1\",\"data\":{\"spec\":[1,null]},\"revision\":4}");
    strbuf_clear(&b);
    for (int n = 1; n <= 3; n++) {
        size_t entry = pb_open(&b, 3); /* ConfigMap.binaryData */
        pb_put_bytes(&b, 1, span_of(&"abc"[n - 1], 1));
        pb_put_bytes(&b, 2, span_of("\xff\xfe\xfd", (size_t)n));
        pb_close(&b, entry);
    }
    CHECK_SPAN(decode(a, body_of(a, "v1", "ConfigMap", &b)),
               "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"binaryData\":{\"a\":\"/"
               "w==\",\"b\":\"//4=\",\"c\":\"//79\"}}");
}

TEST(packed_and_single_numbers_make_the_same_list)
{
    struct arena *a cleanup_arena = arena_new();
    /* PodSecurityContext.supplementalGroups = 4, in Pod.spec=2 .securityContext=14 */
    for (int packed = 0; packed < 2; packed++) {
        struct strbuf b cleanup_strbuf = STRBUF_INIT;
        size_t spec = pb_open(&b, 2), context = pb_open(&b, 14);
        if (packed) {
            pb_put_bytes(&b, 4, SPAN("\x01\xac\x02"));
        } else {
            pb_put_varint(&b, 4, 1);
            pb_put_varint(&b, 4, 300);
        }
        pb_close(&b, context);
        pb_close(&b, spec);
        CHECK_SPAN(decode(a, body_of(a, "v1", "Pod", &b)),
                   "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"spec\":{"
                   "\"securityContext\":{\"supplementalGroups\":[1,300]}}}");
    }
}

TEST(options_come_under_any_api_version)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    pb_put_varint(&b, 1, 0);
    pb_put_bytes(&b, 4, SPAN("Background"));
    CHECK_SPAN(decode(a, body_of(a, "apps/v1", "DeleteOptions", &b)),
               "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"apps/"
               "v1\",\"gracePeriodSeconds\":0,\"propagationPolicy\":"
               "\"Background\"}");
}

TEST(broken_bodies_are_refused)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    yyjson_doc *doc;
    struct err err = {0};
    CHECK(
        span_starts(decode(a, SPAN("{\"kind\":\"Pod\"}")), SPAN("provided data does not appear")));
    CHECK(span_starts(decode(a, span_of("k8s\0\x0a\x7f", 6)),
                      SPAN("the protobuf body is malformed")));
    CHECK_SPAN(decode(a, body_of(a, "v1", "Nothing", &b)),
               "no kind \"Nothing\" is registered for version \"v1\"");
    put_small(&b, 1, 1, SPAN("\xc3\x28"));
    CHECK_SPAN(decode(a, body_of(a, "v1", "Pod", &b)),
               "the protobuf body is malformed: a string is not valid UTF-8");
    strbuf_clear(&b);
    pb_put_varint(&b, 1, 5);
    CHECK_SPAN(decode(a, body_of(a, "v1", "Pod", &b)),
               "the protobuf body is malformed: wrong wireType for a message");
    strbuf_clear(&b);
    put_small(&b, 2, 1, SPAN("{broken"));
    CHECK_SPAN(decode(a, body_of(a, "apps/v1", "ControllerRevision", &b)),
               "the protobuf body is malformed: a field for any object does not hold JSON");
    char *big = arena_alloc(a, LIMIT_BODY_BYTES + 1);
    memcpy(big, "k8s", 3);
    CHECK(protobuf_decode(a, span_of(big, LIMIT_BODY_BYTES + 1), &doc, &err) < 0);
    CHECK_EQ(err.reason, ERR_TOO_LARGE);
}

TEST(every_prefix_of_a_body_is_handled)
{
    struct arena *a cleanup_arena = arena_new();
    struct span whole = from_hex(a, "6b3873000a0c0a0276311206536563726574121e0a120a02733112001a0022"
                                    "002a0032003800420012060a016112"
                                    "01621a001a002200");
    for (size_t n = 0; n <= whole.n; n++) {
        struct span part = arena_dup(a, span_first(whole, n));
        CHECK(decode(a, part).n > 0);
    }
}

/* ---- answers ---- */

static struct span encoded(struct arena *a, const yyjson_val *obj)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    CHECK(protobuf_put_object(&out, obj));
    return arena_dup(a, strbuf_span(&out));
}

/* Only the outermost object says in protobuf what it is. */
static void drop_inner_heads(yyjson_mut_val *obj, const struct schema_type *t, int depth)
{
    for (size_t i = 0; obj && i < t->field_count; i++) {
        const struct schema_field *f = &t->fields[i];
        yyjson_mut_val *v = json_mut_get(obj, f->name), *key, *one;
        size_t k, n;
        if (depth > 0 && !f->pb) {
            json_remove(obj, f->name);
        } else if (f->shape == SCHEMA_OBJECT && f->type) {
            drop_inner_heads(v, f->type, depth + 1);
        } else if (f->shape == SCHEMA_LIST && f->elem_shape == SCHEMA_OBJECT) {
            yyjson_mut_arr_foreach(v, k, n, one)
            {
                drop_inner_heads(one, f->type, depth + 1);
            }
        } else if (f->shape == SCHEMA_MAP && f->elem_shape == SCHEMA_OBJECT) {
            yyjson_mut_obj_foreach(v, k, n, key, one)
            {
                drop_inner_heads(one, f->type, depth + 1);
            }
        }
    }
}

TEST(every_field_of_every_kind_survives_protobuf)
{
    for (size_t i = 0; i < schema_kind_count(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        struct arena *a cleanup_arena = arena_new();
        yyjson_mut_doc *doc = json_mut_new(a);
        yyjson_mut_val *full = sample_object(doc, k->type);
        json_put_str(doc, full, "kind", span_cstr(k->kind));
        json_put_str(doc, full, "apiVersion", span_cstr(k->api_version));
        drop_inner_heads(full, k->type, 0);
        const yyjson_val *sent = json_freeze(a, full);
        yyjson_doc *back = NULL;
        struct err err = {0};
        if (protobuf_decode(a, encoded(a, sent), &back, &err) < 0) {
            kit_fail(__FILE__, __LINE__, "%s: %.*s", k->kind, SPAN_ARG(err.message));
        }
        if (!json_equal(sent, yyjson_doc_get_root(back))) {
            struct span s = json_write(a, sent), b = json_write(a, yyjson_doc_get_root(back));
            kit_fail(__FILE__, __LINE__, "%s:\n# %.*s\n# %.*s", k->kind, SPAN_ARG(s), SPAN_ARG(b));
        }
    }
}

TEST(what_is_encoded_is_what_go_would_read)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *doc = NULL;
    struct err err;
    CHECK_EQ(json_parse(a,
                        SPAN("{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
                             "\"c1\",\"creationTimestamp\":null},\"data\":{\"x\":\"y\"}}"),
                        &doc, &err),
             0);
    struct span want = from_hex(a, "6b3873000a0f0a0276311209436f6e6669674d6170120e0a040a026331"
                                   "12060a01781201791a002200");
    CHECK(span_eq(encoded(a, yyjson_doc_get_root(doc)), want));
    CHECK_EQ(json_parse(a, SPAN("{\"kind\":\"Widget\",\"apiVersion\":\"x.io/v1\"}"), &doc, &err),
             0);
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    CHECK(!protobuf_put_object(&out, yyjson_doc_get_root(doc)));
    CHECK_EQ(out.n, 0);
}
