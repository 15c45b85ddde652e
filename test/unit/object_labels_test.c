/* The sketch of an object's labels never denies a label that is there. */
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
