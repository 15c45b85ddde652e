/* apiserver/meta: what an update keeps of metadata, and which objects are the same. */
#include "kit/kit.h"

#include "apiserver/meta.h"
#include "codec/json.h"

static const char *const kept[] = {"name",
                                   "namespace",
                                   "uid",
                                   "creationTimestamp",
                                   "generation",
                                   "generateName",
                                   "deletionTimestamp",
                                   "deletionGracePeriodSeconds"};
static const char *const dropped[] = {"resourceVersion", "managedFields", "selfLink"};
static const char *const free_ones[] = {"labels", "annotations", "names"};

static const char *any_name(void)
{
    uint64_t i = kit_random() % 14;
    return i < 8 ? kept[i] : i < 11 ? dropped[i - 8] : free_ones[i - 11];
}

/* With some members of metadata, in any order. */
static yyjson_mut_val *some_object(yyjson_mut_doc *doc, const char *value)
{
    yyjson_mut_val *obj = yyjson_mut_obj(doc), *meta = json_mut_obj(doc, obj, "metadata");
    for (uint64_t n = kit_random() % 12; n; n--) {
        json_put_span(doc, meta, span_cstr(any_name()), json_new_str(doc, span_cstr(value)));
    }
    return obj;
}

/* The same, member by member. */
static void update_slowly(yyjson_mut_doc *doc, yyjson_mut_val *obj, const yyjson_val *old)
{
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        const yyjson_val *v = json_path(old, "metadata", kept[i], NULL);
        if (v) {
            json_put_span(doc, meta, span_cstr(kept[i]), json_mut_copy(doc, v));
        } else {
            json_remove(meta, kept[i]);
        }
    }
    meta_drop_versions(meta);
}

TEST(an_update_keeps_what_clients_cannot_change_in_its_place)
{
    for (int i = 0; i < 3000; i++) {
        struct arena *a cleanup_arena = arena_new();
        yyjson_mut_doc *doc = json_mut_new(a);
        const yyjson_val *old = json_freeze(a, some_object(doc, "old"));
        yyjson_mut_val *now = some_object(doc, "new"), *same = yyjson_mut_val_mut_copy(doc, now);
        meta_update(doc, now, old);
        update_slowly(doc, same, old);
        CHECK(span_eq(json_write_mut(a, now), json_write_mut(a, same)));
    }
}

static bool are_equal(struct arena *a, const char *one, const char *other)
{
    yyjson_doc *x = NULL, *y = NULL;
    CHECK_EQ(json_parse(a, span_cstr(one), &x, NULL), 0);
    CHECK_EQ(json_parse(a, span_cstr(other), &y, NULL), 0);
    return meta_equal(yyjson_doc_get_root(x), yyjson_doc_get_root(y));
}

TEST(objects_are_equal_in_any_order_but_for_their_versions)
{
    struct arena *a cleanup_arena = arena_new();
    static const char object[] = "{\"kind\":\"A\",\"metadata\":{\"resourceVersion\":\"1\",\"name\":"
                                 "\"n\"},\"spec\":1,\"status\":2}";
    static const char *const same[] = {
        "{\"kind\":\"A\",\"metadata\":{\"name\":\"n\"},\"spec\":1,\"status\":2}",
        "{\"status\":2,\"spec\":1,\"kind\":\"A\",\"metadata\":{\"name\":\"n\",\"managedFields\":[]}"
        "}",
        "{\"spec\":1,\"metadata\":{\"name\":\"n\"},\"status\":2,\"kind\":\"A\"}"};
    static const char *const others[] = {
        "{\"kind\":\"A\",\"metadata\":{\"name\":\"m\"},\"spec\":1,\"status\":2}",
        "{\"kind\":\"A\",\"metadata\":{},\"spec\":1,\"status\":2}",
        "{\"kind\":\"A\",\"metadata\":{\"name\":\"n\"},\"spec\":1}",
        "{\"metadata\":{\"name\":\"n\"},\"spec\":1,\"status\":2}",
        "{\"kind\":\"A\",\"metadata\":{\"name\":\"n\"},\"spec\":1,\"status\":3}",
        "{\"kind\":\"A\",\"metadata\":{\"name\":\"n\"},\"spec\":1,\"status\":2,\"more\":1}"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        CHECK(are_equal(a, object, same[i]));
        CHECK(are_equal(a, same[i], object));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        CHECK(!are_equal(a, object, others[i]));
        CHECK(!are_equal(a, others[i], object));
    }
}
