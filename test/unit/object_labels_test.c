/* The sketch of an object's labels never denies a label that is there. */
#include "codec/json.h"
#include "codec/object.h"
#include "kit/kit.h"

static struct object *make(const char *labels)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"%s}}",
                   labels);
    return object_new(SPAN("pods/default/a"), 2, span_cstr(body));
}

static struct object *make_managed(const char *meta)
{
    char body[1024];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"managedFields\":"
                   "[{\"manager\":\"m\"}],\"name\":\"a\"%s}}",
                   meta);
    return object_new(SPAN("pods/default/a"), 2, span_cstr(body));
}

static struct span body_of(const struct object *o)
{
    static char text[1024];
    struct span parts[2];
    object_body_parts(o, parts);
    (void)snprintf(text, sizeof text, "%.*s%.*s", SPAN_ARG(parts[0]), SPAN_ARG(parts[1]));
    return span_cstr(text);
}

static bool may_have(struct object *o, const char *key, const char *value)
{
    struct span v = span_cstr(value ? value : "");
    return (object_label_bits(span_cstr(key), value ? &v : NULL) & ~object_labels_sketch(o)) == 0;
}

TEST(labels_that_are_there_are_never_denied_and_most_others_are)
{
    char labels[256], key[16], value[16];
    size_t wrong = 0, asked = 0;
    for (int i = 0; i < 500; i++) {
        (void)snprintf(labels, sizeof labels,
                       ",\"labels\":{\"k%d\":\"v%d\",\"app\":\"x%d\",\"empty\":\"\"}", i, i * 7, i);
        struct object *o = make(labels);
        CHECK(may_have(o, "nobody", "knows")); /* not looked at yet */
        (void)object_root(o);
        (void)snprintf(key, sizeof key, "k%d", i);
        (void)snprintf(value, sizeof value, "v%d", i * 7);
        CHECK(may_have(o, key, value));
        CHECK(may_have(o, key, NULL));
        CHECK(may_have(o, "empty", ""));
        CHECK(may_have(o, "app", NULL));
        object_forget_root(o);
        CHECK(may_have(o, key, value)); /* and is kept */
        wrong += may_have(o, key, "another");
        wrong += may_have(o, "another", NULL);
        asked += 2;
        object_unref(o);
    }
    CHECK(wrong * 4 < asked);
}

TEST(an_object_without_labels_has_none)
{
    struct object *o = make(",\"labels\":{}"), *p = make("");
    (void)object_root(o);
    (void)object_root(p);
    CHECK_EQ(object_labels_sketch(o), 0);
    CHECK_EQ(object_labels_sketch(p), 0);
    object_unref(o);
    object_unref(p);
}

TEST(owners_and_the_end_are_found_with_and_without_a_document)
{
    static const struct {
        const char *meta;
        bool owned, deleting;
    } cases[] = {
        {"", false, false},
        {",\"labels\":{\"ownerReferences\":\"a\",\"deletionTimestamp\":\"b\"}", false, false},
        {",\"annotations\":{\"a\":\"ownerReferences, \\\"deletionTimestamp\\\"\"}", false, false},
        {",\"managedFields\":[{\"f:ownerReferences\":{},\"f:deletionTimestamp\":{}}]", false,
         false},
        {",\"deletionTimestamp\":\"2024-01-01T00:00:00Z\"", false, true},
        {",\"ownerReferences\":[{\"uid\":\"u\",\"controller\":true}]", true, false},
        {",\"deletionTimestamp\":\"2024-01-01T00:00:00Z\",\"ownerReferences\":[{\"uid\":\"u\","
         "\"controller\":true}]",
         true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct object *text = make(cases[i].meta), *parsed = make(cases[i].meta);
        (void)object_root(parsed);
        for (int turn = 0; turn < 2; turn++) { /* the second time it is remembered */
            struct object *all[] = {text, parsed};
            for (size_t k = 0; k < 2; k++) {
                CHECK_EQ(object_owners(all[k]) != NULL, cases[i].owned);
                CHECK_EQ(object_controller(all[k]) != NULL, cases[i].owned);
                CHECK_EQ(object_is_deleting(all[k]), cases[i].deleting);
            }
        }
        object_unref(text);
        object_unref(parsed);
    }
}

static struct span part(struct object *o, enum object_owner_part which)
{
    return object_controller_part(o, which);
}

static const char owners[] =
    ",\"ownerReferences\":[{\"uid\":\"no\"},{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\","
    "\"name\":\"web\",\"uid\":\"u-1\",\"controller\":true}]";

TEST(what_is_said_of_the_controller_needs_no_document)
{
    static const char *const before[] = {"", ",\"labels\":{\"a\":\"\\u0001\"}"};
    char meta[400];
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(meta, sizeof meta, "%s%s", before[i % 2], owners);
        struct object *o = i < 2 ? make(meta) : make_managed(meta);
        for (int turn = 0; turn < 3; turn++) {
            CHECK_SPAN(part(o, OBJECT_OWNER_VERSION), "apps/v1");
            CHECK_SPAN(part(o, OBJECT_OWNER_KIND), "ReplicaSet");
            CHECK_SPAN(part(o, OBJECT_OWNER_NAME), "web");
            CHECK_SPAN(part(o, OBJECT_OWNER_UID), "u-1");
            CHECK(object_has_controller(o));
            CHECK_EQ(object_has_root(o), turn != 1);
            if (turn == 0) {
                object_forget_root(o);
            } else {
                (void)object_root(o);
            }
        }
        object_unref(o);
    }
}

TEST(what_is_said_in_escapes_or_not_at_all_is_read_from_the_document)
{
    struct object *o = make(",\"ownerReferences\":[{\"uid\":\"a\\tb\",\"kind\":7,\"name\":\"\","
                            "\"controller\":true}]");
    for (int turn = 0; turn < 2; turn++) {
        CHECK_SPAN(part(o, OBJECT_OWNER_UID), "a\tb");
        CHECK_EQ(part(o, OBJECT_OWNER_KIND).n, 0);
        CHECK_EQ(part(o, OBJECT_OWNER_NAME).n, 0);
        CHECK_EQ(part(o, OBJECT_OWNER_VERSION).n, 0);
        object_forget_root(o);
    }
    object_unref(o);
}

TEST(a_sketch_is_taken_from_the_same_body_only)
{
    char meta[400];
    (void)snprintf(meta, sizeof meta, ",\"labels\":{\"k\":\"v\"}%s", owners);
    struct object *known = make_managed(meta), *other = make(meta);
    struct object *again = object_new(object_store_key(known), 123456, body_of(known));
    object_take_sketch(again, known); /* nobody has looked at that yet */
    CHECK(may_have(again, "nobody", "knows"));
    (void)object_root(known);
    object_take_sketch(other, known);
    CHECK(may_have(other, "nobody", "knows"));
    object_take_sketch(again, known);
    CHECK_EQ(object_labels_sketch(again), object_labels_sketch(known));
    CHECK_SPAN(part(again, OBJECT_OWNER_UID), "u-1");
    CHECK_SPAN(part(again, OBJECT_OWNER_VERSION), "apps/v1");
    CHECK(!object_has_root(again));
    CHECK_SPAN(json_get_str(object_controller(again), "name"), "web");
    CHECK_EQ(json_len(object_owners(again)), 2);
    object_unref(known);
    object_unref(other);
    object_unref(again);
}
