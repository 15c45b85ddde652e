/* The rules of the StatefulSet's API that no recorded transcript shows, a test for each. */
#include "test/kit/api_kit.h"

#define SETS "/apis/apps/v1/namespaces/default/statefulsets"
#define MERGE "Content-Type: application/merge-patch+json\r\n"
#define SET(more, status)                                                                          \
    "{\"metadata\":{\"name\":\"web\"" more "},\"spec\":{\"serviceName\":\"web\",\"selector\":{"    \
    "\"matchLabels\":{\"app\":\"web\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}"  \
    "},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}" status "}"

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
    } rows[] = {{SETS "/web", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 1},
                {SETS "/web", "{\"metadata\":{\"annotations\":{\"a\":\"b\"}}}", 1},
                {SETS "/web", "{\"spec\":{\"replicas\":1}}", 1}, /* as it is */
                {SETS "/web", "{\"spec\":{\"replicas\":2}}", 2},
                {SETS "/web", "{\"status\":{\"replicas\":5}}", 2},
                {SETS "/web/status", "{\"status\":{\"replicas\":5}}", 2},
                {SETS "/web/status", "{\"spec\":{\"replicas\":9}}", 2},
                {SETS "/web/scale", "{\"spec\":{\"replicas\":3}}", 3},
                {SETS "/web", "{\"spec\":{\"minReadySeconds\":4}}", 4}};
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
