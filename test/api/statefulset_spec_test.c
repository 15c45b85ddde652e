/* The rules of the StatefulSet's API that no recorded transcript shows, a test for each. */
#include "test/kit/api_kit.h"

#define SETS "/apis/apps/v1/namespaces/default/statefulsets"
#define MERGE "Content-Type: application/merge-patch+json\r\n"
#define SET(more, status)                                                                          \
    "{\"metadata\":{\"name\":\"web\"" more "},\"spec\":{\"serviceName\":\"web\",\"selector\":{"    \
    "\"matchLabels\":{\"app\":\"web\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}"  \
    "},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}" status "}"

#define LIMIT(amount)                                                                              \
    "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\","          \
    "\"resources\":{"                                                                              \
    "\"limits\":{\"memory\":\"" amount "\"}}}]}}}}"

static int64_t generation(const struct api_reply *r)
{
    return json_int(api_at(r->json, "metadata.generation"), -1);
}

TEST(spec_1_4_generation_follows_the_spec_alone)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r =
        api_expect(&k, 201, "POST", SETS, "", SET("", ",\"status\":{\"replicas\":7}"));
    CHECK_EQ(generation(&r), 1);
    CHECK_EQ(json_int(api_at(r.json, "status.replicas"), -1), 0); /* cleared */
    static const struct {
        const char *path, *patch;
        int64_t generation;
    } rows[] = {
        {SETS "/web", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 1},
        {SETS "/web", "{\"metadata\":{\"annotations\":{\"a\":\"b\"}}}", 1},
        {SETS "/web", "{\"spec\":{\"replicas\":1}}", 1}, /* as it is */
        {SETS "/web", "{\"spec\":{\"replicas\":2}}", 2},
        {SETS "/web", "{\"status\":{\"replicas\":5}}", 2},
        {SETS "/web/status", "{\"status\":{\"replicas\":5}}", 2},
        {SETS "/web/status", "{\"spec\":{\"replicas\":9}}", 2},
        {SETS "/web/scale", "{\"spec\":{\"replicas\":3}}", 3},
        /* What Go would not write, and another word for the same amount. */
        {SETS "/web", "{\"spec\":{\"minReadySeconds\":0,\"volumeClaimTemplates\":[]}}", 3},
        {SETS "/web", "{\"spec\":{\"template\":{\"spec\":{\"hostPID\":false,\"volumes\":[]}}}}", 3},
        {SETS "/web", LIMIT("1Gi"), 4},
        {SETS "/web", LIMIT("1024Mi"), 4},
        {SETS "/web", LIMIT("1073741824"), 4},
        {SETS "/web", "{\"spec\":{\"minReadySeconds\":4}}", 5}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)api_expect(&k, 200, "PATCH", rows[i].path, MERGE, rows[i].patch);
        r = api_get(&k, SETS "/web");
        CHECK_EQ(generation(&r), rows[i].generation);
    }
    CHECK_EQ(json_int(api_at(r.json, "status.replicas"), -1), 5);
    CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), -1), 3);
    api_kit_stop(&k);
}

TEST(spec_1_4_and_1_5_refusals_have_the_words_that_clients_match)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", SETS, "", SET("", ""));
    (void)api_expect(&k, 200, "PATCH", SETS "/web/status", MERGE,
                     "{\"status\":{\"collisionCount\":2}}");
    static const struct {
        int code;
        const char *method, *path, *body, *reason, *message;
    } rows[] = {
        {409, "POST", SETS, SET("", ""), "AlreadyExists",
         "statefulsets.apps \"web\" already exists"},
        {404, "GET", SETS "/none", NULL, "NotFound", "statefulsets.apps \"none\" not found"},
        {409, "PUT", SETS "/web", SET(",\"resourceVersion\":\"1\"", ""), "Conflict",
         "Operation cannot be fulfilled on statefulsets.apps \"web\": the object has been "
         "modified; please apply your changes to the latest version and try again"},
        {422, "PATCH", SETS "/web", "{\"spec\":{\"serviceName\":\"other\"}}", "Invalid",
         "StatefulSet.apps \"web\" is invalid: spec: Forbidden: updates to statefulset spec for "
         "fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
         "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
         "are forbidden"},
        {422, "PATCH", SETS "/web/status", "{\"status\":{\"collisionCount\":1}}", "Invalid",
         "StatefulSet.apps \"web\" is invalid: status.collisionCount: Invalid value: 1: cannot be "
         "decremented"},
        {422, "PATCH", SETS "/web/scale", "{\"spec\":{\"replicas\":-1}}", "Invalid", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *type = strcmp(rows[i].method, "PATCH") == 0 ? MERGE : "";
        struct api_reply r =
            api_expect(&k, rows[i].code, rows[i].method, rows[i].path, type, rows[i].body);
        CHECK_SPAN(api_str(&r, "reason"), rows[i].reason);
        if (rows[i].message) {
            CHECK_SPAN(api_str(&r, "message"), rows[i].message);
        }
    }
    (void)api_expect(&k, 200, "PUT", SETS "/web", "", SET("", "")); /* without a version: it may */
    api_kit_stop(&k);
}

TEST(spec_1_8_scale_speaks_of_replicas_alone)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", SETS, "", SET(",\"labels\":{\"a\":\"b\"}", ""));
    (void)api_expect(&k, 200, "PATCH", SETS "/web/status", MERGE, "{\"status\":{\"replicas\":4}}");
    struct api_reply r = api_get(&k, SETS "/web/scale");
    CHECK_SPAN(api_str(&r, "kind"), "Scale");
    CHECK_SPAN(api_str(&r, "apiVersion"), "autoscaling/v1");
    CHECK_EQ(json_len(api_at(r.json, "metadata")), 5);
    CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), -1), 1);
    CHECK_EQ(json_int(api_at(r.json, "status.replicas"), -1), 4);
    CHECK_SPAN(api_str(&r, "status.selector"), "app=web");
    r = api_expect(&k, 409, "PUT", SETS "/web/scale", "",
                   "{\"metadata\":{\"name\":\"web\",\"resourceVersion\":\"1\"},\"spec\":{"
                   "\"replicas\":2}}");
    CHECK_SPAN(api_str(&r, "reason"), "Conflict");
    (void)api_expect(&k, 200, "PUT", SETS "/web/scale", "",
                     "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"replicas\":2}}");
    r = api_get(&k, SETS "/web");
    CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), -1), 2);
    CHECK_SPAN(api_str(&r, "metadata.labels.a"), "b");
    api_kit_stop(&k);
}

/* A claim template of the size. */
#define CLAIM(name, size)                                                                          \
    "{\"metadata\":{\"name\":\"" name                                                              \
    "\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{"                            \
    "\"requests\":{\"storage\":\"" size "\"}}}}"
#define CLAIMS(claims) "{\"spec\":{\"volumeClaimTemplates\":[" claims "]}}"

TEST(spec_1_7_claim_templates_are_compared_by_their_meaning)
{
    static const struct {
        int status;
        const char *patch;
    } rows[] = {
        {200, CLAIMS(CLAIM("d", "1024Mi"))},
        {200, CLAIMS(CLAIM("d", "1073741824"))},
        {200,
         "{\"spec\":{\"volumeClaimTemplates\":[{\"apiVersion\":\"v1\",\"kind\":"
         "\"PersistentVolumeClaim\",\"metadata\":{\"name\":\"d\",\"labels\":{}},\"spec\":{"
         "\"accessModes\":[\"ReadWriteOnce\"],\"volumeMode\":\"Filesystem\",\"volumeName\":\"\","
         "\"resources\":{\"limits\":{},\"requests\":{\"storage\":\"1Gi\"}}},\"status\":{\"phase\":"
         "\"Pending\"}}]}}"},
        {422, CLAIMS(CLAIM("d", "2Gi"))},
        {422, CLAIMS(CLAIM("e", "1Gi"))},
        {422, CLAIMS(CLAIM("d", "1Gi") "," CLAIM("e", "1Gi"))},
        {422, CLAIMS("")},
        /* A pointer to "" is not nothing. */
        {422, "{\"spec\":{\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"d\"},\"spec\":{"
              "\"storageClassName\":\"\",\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{"
              "\"requests\":"
              "{\"storage\":\"1Gi\"}}}}]}}"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", SETS, "", SET("", ""));
    (void)api_expect(&k, 200, "DELETE", SETS "/web", "", NULL);
    (void)api_expect(
        &k, 201, "POST", SETS, "",
        "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"selector\":{\"matchLabels\":{"
        "\"app\":\"web\"}},\"volumeClaimTemplates\":[" CLAIM(
            "d", "1Gi") "],\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\""
                        ":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_reply r = api_call(&k, "PATCH", SETS "/web?dryRun=All", MERGE, rows[i].patch);
        if (r.status != rows[i].status) {
            printf("# %s: %d\n", rows[i].patch, r.status);
        }
        CHECK_EQ(r.status, rows[i].status);
    }
    api_kit_stop(&k);
}

TEST(spec_1_5_every_kind_of_cause_is_told_in_the_order_of_kubernetes)
{
    static const char *const causes[][3] = {
        {"metadata.labels", "FieldValueInvalid", NULL},
        {"spec.podManagementPolicy", "FieldValueInvalid",
         "Invalid value: \"x\": must be 'OrderedReady' or 'Parallel'"},
        {"spec.updateStrategy", "FieldValueInvalid",
         "Invalid value: {\"type\":\"y\"}: must be 'RollingUpdate' or 'OnDelete'"},
        {"spec.persistentVolumeClaimRetentionPolicy.whenDeleted", "FieldValueNotSupported",
         "Unsupported value: \"z\": supported values: \"Retain\", \"Delete\""},
        {"spec.replicas", "FieldValueInvalid",
         "Invalid value: -1: must be greater than or equal to 0"},
        {"spec.minReadySeconds", "FieldValueInvalid",
         "Invalid value: -2: must be greater than or equal to 0"},
        {"spec.ordinals.start", "FieldValueInvalid",
         "Invalid value: -3: must be greater than or equal to 0"},
        {"spec.serviceName", "FieldValueInvalid", NULL},
        {"spec.selector", "FieldValueRequired", "Required value"},
        {"spec.template.metadata.labels", "FieldValueInvalid",
         "Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`"},
        {"spec.template.spec.containers[0].volumeMounts[0].name", "FieldValueNotFound",
         "Not found: \"v\""},
        {"spec.template.spec.containers[1].name", "FieldValueDuplicate", "Duplicate value: \"c\""},
        {"spec.template.spec.restartPolicy", "FieldValueNotSupported",
         "Unsupported value: \"Never\": supported values: \"Always\""},
        {"spec.template.spec.activeDeadlineSeconds", "FieldValueForbidden",
         "Forbidden: activeDeadlineSeconds in StatefulSet is not Supported"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(
        &k, 422, "POST", SETS, "",
        "{\"metadata\":{\"name\":\"web\",\"labels\":{\"-\":\"\"}},\"spec\":{\"replicas\":-1,"
        "\"minReadySeconds\":-2,\"ordinals\":{\"start\":-3},\"podManagementPolicy\":\"x\","
        "\"serviceName\":"
        "\"A\",\"updateStrategy\":{\"type\":\"y\"},\"persistentVolumeClaimRetentionPolicy\":{"
        "\"whenDeleted\":\"z\"},\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":"
        "{"
        "\"restartPolicy\":\"Never\",\"activeDeadlineSeconds\":1,\"containers\":[{\"name\":\"c\","
        "\"image\":"
        "\"i\",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/"
        "v\"}]},{\"name\":\"c\",\"image\":\"i\"}]}"
        "}}}");
    CHECK_SPAN(api_str(&r, "reason"), "Invalid");
    CHECK_SPAN(api_str(&r, "details.group"), "apps");
    CHECK_SPAN(api_str(&r, "details.kind"), "StatefulSet");
    CHECK_SPAN(api_str(&r, "details.name"), "web");
    CHECK(span_starts(api_str(&r, "message"),
                      SPAN("StatefulSet.apps \"web\" is invalid: [metadata.labels: ")));
    size_t i = 0;
    JSON_EACH(it, api_at(r.json, "details.causes"))
    {
        CHECK(i < sizeof causes / sizeof *causes);
        CHECK_SPAN(json_get_str(it.val, "field"), causes[i][0]);
        CHECK_SPAN(json_get_str(it.val, "reason"), causes[i][1]);
        if (causes[i][2]) {
            CHECK_SPAN(json_get_str(it.val, "message"), causes[i][2]);
        }
        i++;
    }
    CHECK_EQ(i, sizeof causes / sizeof *causes);
    api_kit_stop(&k);
}

#define STORAGE(name, uid)                                                                         \
    "Operation cannot be fulfilled on statefulsets.apps \"" name                                   \
    "\": StorageError: invalid object, Code: 4, Key: /registry/statefulsets/default/" name         \
    ", ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: u, UID "  \
    "in object meta: " uid
#define SCALE(meta) "{\"metadata\":{\"name\":\"web\"" meta "},\"spec\":{\"replicas\":2}}"

/* The message with the uid for its last word, when that is "UID". */
static const char *filled(const char *message, const char *uid)
{
    struct span m = span_cstr(message);
    return span_ends(m, SPAN(": UID"))
               ? api_text(arena_printf(api_arena(), "%.*s%s", (int)m.n - 3, message, uid))
               : message;
}

TEST(spec_1_4_and_1_8_who_means_another_object_is_told_so)
{
    static const struct {
        int code;
        const char *path, *body, *kind, *message;
    } rows[] = {
        {409, SETS "/gone", "{\"metadata\":{\"name\":\"gone\",\"uid\":\"u\"}}", "statefulsets",
         STORAGE("gone", "")},
        {409, SETS "/web", "{\"metadata\":{\"name\":\"web\",\"uid\":\"u\"}}", "statefulsets",
         STORAGE("web", "UID")},
        {404, SETS "/gone", "{\"metadata\":{\"name\":\"gone\",\"resourceVersion\":\"1\"}}",
         "statefulsets", "statefulsets.apps \"gone\" not found"},
        {409, SETS "/gone/scale", "{\"metadata\":{\"name\":\"gone\",\"uid\":\"u\"}}",
         "statefulsets", STORAGE("gone", "")},
        {409, SETS "/web/scale", SCALE(",\"uid\":\"u\""), "statefulsets", STORAGE("web", "UID")},
        {409, SETS "/web/scale", SCALE(",\"resourceVersion\":\"1\""), "statefulsets",
         "Operation cannot be fulfilled on statefulsets.apps \"web\": the object has been "
         "modified; "
         "please apply your changes to the latest version and try again"},
        {400, SETS "/web/scale", "{\"spec\":{\"replicas\":2}}", NULL,
         "the name of the object (web based on URL) was undeterminable: name must be provided"},
        {400, SETS "/web/scale", "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"replicas\":2}}", NULL,
         "the name of the object (x) does not match the name on the URL (web)"},
        {400, SETS "/web/scale",
         "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"web\"}}",
         NULL,
         "StatefulSet in version \"v1\" cannot be handled as a Scale: converting (v1.StatefulSet) "
         "to "
         "(autoscaling.Scale): unknown conversion"},
        {400, SETS "/web",
         "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"web\"}}", NULL,
         "Pod in version \"v1\" cannot be handled as a StatefulSet: converting (v1.Pod) to "
         "(apps.StatefulSet): unknown conversion"},
        {400, SETS "/web", "{\"metadata\":{}}", NULL,
         "the name of the object (web based on URL) was undeterminable: name must be provided"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 201, "POST", SETS, "", SET("", ""));
    const char *uid = api_text(api_str(&r, "metadata.uid"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        r = api_expect(&k, rows[i].code, "PUT", rows[i].path, "", rows[i].body);
        const char *want = filled(rows[i].message, uid);
        CHECK_SPAN(api_str(&r, "message"), want);
        CHECK_SPAN(api_str(&r, "details.kind"), rows[i].kind ? rows[i].kind : "");
    }
    r = api_expect(&k, 409, "PATCH", SETS "/web/scale", MERGE, "{\"metadata\":{\"uid\":\"u\"}}");
    CHECK_SPAN(
        api_str(&r, "message"),
        filled("Operation cannot be fulfilled on statefulsets/scale.apps \"web\": Precondition "
               "failed: UID in precondition: u, UID in object meta: UID",
               uid));
    CHECK_SPAN(api_str(&r, "details.kind"), "statefulsets/scale");
    r = api_get(&k, SETS "/web");
    CHECK_EQ(generation(&r), 1);
    api_kit_stop(&k);
}

TEST(spec_1_6_what_is_hardly_meant_is_a_warning)
{
    static const char set[] =
        "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"revisionHistoryLimit\":-1,\"selector\":{"
        "\"matchLabels\":{\"app\":\"web\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":"
        "\"web\"}},\"spec\":{\"imagePullSecrets\":[{\"name\":\"s\"},{\"name\":\"s\"}],"
        "\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"env\":[{\"name\":\"A\",\"value\":\"1\"},"
        "{"
        "\"name\":\"A\",\"value\":\"2\"},{\"name\":\"A\",\"value\":\"$(A) $(A)\"}],\"ports\":[{"
        "\"containerPort\":1},{\"containerPort\":1}],\"resources\":{\"limits\":{\"memory\":"
        "\"100m\"}}}]}}}}";
    static const char *const said[] = {
        "spec.template.spec.imagePullSecrets[1].name: duplicate name \\\"s\\\"",
        "spec.template.spec.containers[0].resources.limits[memory]: fractional byte value "
        "\\\"100m\\\" is invalid, must be an integer",
        "spec.template.spec.containers[0].env[1]: hides previous definition of \\\"A\\\", which "
        "may "
        "be dropped when using apply",
        "spec.template.spec.containers[0].ports[1]: duplicate port definition with "
        "spec.template.spec.containers[0].ports[0]",
        "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= "
        "0 is recommended"};
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 201, "POST", SETS, "", set);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        if (!memmem(r.head.p, r.head.n, said[i], strlen(said[i]))) {
            printf("# not said: %s\n# %.*s\n", said[i], SPAN_ARG(r.head));
        }
        CHECK(memmem(r.head.p, r.head.n, said[i], strlen(said[i])));
    }
    CHECK(!memmem(r.head.p, r.head.n, "env[2]", 6)); /* it is made of the one before */
    r = api_expect(&k, 200, "PATCH", SETS "/web", MERGE,
                   "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    CHECK_EQ(api_header(&r, "warning").n, 0);
    r = api_expect(&k, 200, "PATCH", SETS "/web", MERGE, "{\"spec\":{\"replicas\":2}}");
    CHECK(api_header(&r, "warning").n > 0);
    api_kit_stop(&k);
}
