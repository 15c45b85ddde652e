/* test/unit/client_body_test.c: what is looked for where it mostly stands is found elsewhere, too.
 */
#include "client/client_body.h"

#include "codec/json.h"
#include "kit/kit.h"
#include "schema/status.h"

static struct object *object_of(const char *body)
{
    return object_new(SPAN("pods/default/a"), 7, span_cstr(body));
}

static bool same_text(struct span a, struct span b)
{
    return span_eq(a, b);
}

/* All ways to ask one object are compared with a look at its keys. */
static void check(const char *body)
{
    static const char *const types[] = {"Ready", "Available", "None"};
    struct object *o cleanup_object = object_of(body);
    yyjson_val *root = object_root(o);
    CHECK(client_meta(o) == json_get(root, "metadata"));
    CHECK(client_spec(o) == json_get(root, "spec"));
    CHECK(client_status(o) == json_get(root, "status"));
    CHECK(client_labels(o) == json_path(root, "metadata", "labels", NULL));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        CHECK(client_condition(o, types[i]) == status_condition(root, types[i]));
        CHECK_EQ(client_condition_true(o, types[i]), status_condition_true(root, types[i]));
    }
    yyjson_val *owner = client_controller_of(o);
    CHECK(same_text(client_controller_uid(o), json_get_str(owner, "uid")));
    CHECK(same_text(client_controller_kind(o), json_get_str(owner, "kind")));
}

#define BEGIN "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{"

TEST(client_parts_usual)
{
    check(BEGIN "\"name\":\"a\",\"labels\":{\"x\":\"y\"}},\"spec\":{\"a\":[1,{\"b\":2}]},"
                "\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"},"
                "{\"type\":\"Available\",\"status\":\"False\"}]}}");
    check(BEGIN "\"name\":\"a\",\"ownerReferences\":[{\"apiVersion\":\"apps/v1\","
                "\"kind\":\"StatefulSet\",\"name\":\"s\",\"uid\":\"u\",\"controller\":true}]},"
                "\"spec\":{},\"status\":{}}");
}

TEST(client_parts_elsewhere)
{
    check(BEGIN "\"name\":\"a\"}}");
    check(BEGIN "\"name\":\"a\"},\"status\":{\"x\":1}}");
    check(BEGIN "\"name\":\"a\"},\"data\":{\"spec\":\"no\"},\"type\":\"t\",\"more\":[],"
                "\"spec\":{\"a\":1},\"status\":{\"b\":2}}");
    check(BEGIN "\"name\":\"a\"},\"status\":{\"x\":1},\"spec\":{\"a\":1}}");
    check(BEGIN "\"name\":\"a\"},\"spec\":\"text\",\"status\":7}");
    check(BEGIN "\"name\":\"a\"},\"spec\":{},\"status\":{\"conditions\":"
                "[{\"status\":\"True\",\"type\":\"Ready\"},{},7,[\"type\",\"None\"],"
                "{\"typed\":\"Available\"},{\"status\":\"True\",\"type\":\"Available\"}]}}");
    check(BEGIN "\"name\":\"a\",\"ownerReferences\":[{\"uid\":\"v\",\"name\":\"t\"},"
                "{\"controller\":true,\"uid\":\"u\",\"name\":\"s\",\"kind\":\"ReplicaSet\"}]}}");
    check(BEGIN "\"name\":\"a\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Node\","
                "\"controller\":true,\"uid\":\"u\"}]}}");
}

TEST(client_rev_text_is_the_version)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *o cleanup_object = object_of(BEGIN "\"name\":\"a\"}}");
    CHECK(same_text(client_rev_text(a, o), SPAN("7")));
}
