/* schema/patch: the three patch forms, mostly by the cases of data/patch.json, and their limits. */
#include "kit/json_kit.h"
#include "kit/kit.h"

#include "base/limits.h"
#include "base/strbuf.h"
#include "schema/patch.h"

static yyjson_mut_val *apply(struct arena *a, yyjson_mut_doc *doc, const yyjson_val *c,
                             struct err *err)
{
    yyjson_val *original = json_get(c, "original"), *patch = json_get(c, "patch");
    struct span form = json_get_str(c, "form");
    if (span_eq(form, SPAN("json"))) {
        return patch_json(a, doc, original, patch, err);
    }
    if (span_eq(form, SPAN("merge"))) {
        return patch_merge(a, doc, original, patch, err);
    }
    const struct schema_kind *kind = schema_kind_find(arena_cstr(a, json_get_str(c, "group")),
                                                      arena_cstr(a, json_get_str(c, "kind")));
    CHECK(kind);
    return patch_strategic(a, doc, kind->type, original, patch, err);
}

/* The quick way gives the same, or nothing. */
static void check_quick(struct arena *a, const yyjson_val *original, const yyjson_val *patch,
                        const yyjson_mut_val *got)
{
    const yyjson_val *quick = patch_merge_quick(a, original, patch, true);
    if (quick) {
        CHECK(got);
        CHECK_SPAN(json_write(a, quick), json_write_mut(a, got).p);
        size_t values = json_values(quick);
        yyjson_val *frozen = json_freeze(a, got);
        CHECK_EQ(values, json_values(frozen));
    }
}

static void check_case(const yyjson_val *c)
{
    struct arena *a cleanup_arena = arena_new();
    struct err err = {0};
    yyjson_val *want = json_get(c, "want");
    struct span before = json_write(a, json_get(c, "original")),
                message = json_get_str(c, "message");
    kit_note("%.*s", SPAN_ARG(json_get_str(c, "name")));
    yyjson_mut_val *got = apply(a, json_mut_new(a), c, &err);
    struct span after = json_write(a, json_get(c, "original"));
    if (span_eq(json_get_str(c, "form"), SPAN("merge")) && json_get(c, "original")) {
        check_quick(a, json_get(c, "original"), json_get(c, "patch"), got);
    }
    CHECK(span_eq(before, after));
    if (!want) {
        CHECK(!got);
        CHECK_SPAN(json_get_str(c, "code"), err_reason_text(err.reason));
        CHECK(message.n == 0 || span_eq(message, err.message));
        return;
    }
    if (!got) {
        kit_fail(__FILE__, __LINE__, "%.*s", SPAN_ARG(err.message));
    }
    struct span text = json_write_mut(a, got);
    if (!json_equal(json_kit_parse(a, text), want)) {
        kit_fail(__FILE__, __LINE__, "got %.*s", SPAN_ARG(text));
    }
}

TEST(patches_give_what_kubernetes_gives)
{
    struct arena *a cleanup_arena = arena_new();
    size_t n = 0;
    JSON_EACH(it, json_kit_parse(a, json_kit_read(a, "test/unit/data/patch.json")))
    {
        check_case(it.val);
        n++;
    }
    CHECK(n > 50);
}

/* A type of our own: what the engine needs from a row, and nothing of the built-in kinds. */
static const struct schema_field item_fields[] = {
    {.name = "id", .shape = SCHEMA_INT32},
    {.name = "v", .shape = SCHEMA_STRING},
};
static const uint16_t item_sorted[] = {0, 1};
static const struct schema_type item_type = {.name = "Item",
                                             .group = "x",
                                             .version = "v1",
                                             .fields = item_fields,
                                             .field_count = 2,
                                             .sorted = item_sorted};
static const struct schema_field thing_fields[] = {
    {.name = "items",
     .shape = SCHEMA_LIST,
     .elem_shape = SCHEMA_OBJECT,
     .type = &item_type,
     .flags = SCHEMA_MERGE,
     .merge_key = "id"},
    {.name = "plain", .shape = SCHEMA_LIST, .elem_shape = SCHEMA_STRING},
    {.name = "set", .shape = SCHEMA_LIST, .elem_shape = SCHEMA_STRING, .flags = SCHEMA_MERGE},
    {.name = "things", .shape = SCHEMA_MAP, .elem_shape = SCHEMA_OBJECT, .type = &item_type},
};
static const uint16_t thing_sorted[] = {0, 1, 2, 3};
static const struct schema_type thing_type = {.name = "Thing",
                                              .group = "x",
                                              .version = "v1",
                                              .fields = thing_fields,
                                              .field_count = 4,
                                              .sorted = thing_sorted};

static struct span strategic(struct arena *a, const char *original, const char *patch)
{
    struct err err = {0};
    yyjson_mut_val *v =
        patch_strategic(a, json_mut_new(a), &thing_type, json_kit_parse(a, span_cstr(original)),
                        json_kit_parse(a, span_cstr(patch)), &err);
    return v ? json_write_mut(a, v) : err.message;
}

TEST(strategic_merge_follows_rows_of_any_type)
{
    struct arena *a cleanup_arena = arena_new();
    CHECK_SPAN(strategic(a, "{\"items\":[{\"id\":1,\"v\":\"a\"},{\"id\":2}]}",
                         "{\"items\":[{\"id\":1,\"v\":\"b\"}]}"),
               "{\"items\":[{\"id\":1,\"v\":\"b\"},{\"id\":2}]}");
    CHECK_SPAN(
        strategic(a, "{\"plain\":[\"a\"],\"set\":[\"a\"]}", "{\"plain\":[\"b\"],\"set\":[\"b\"]}"),
        "{\"plain\":[\"b\"],\"set\":[\"b\",\"a\"]}");
    CHECK_SPAN(strategic(a, "{\"things\":{\"x\":{\"id\":1,\"v\":\"a\"}}}",
                         "{\"things\":{\"x\":{\"v\":null},\"y\":{\"id\":2}}}"),
               "{\"things\":{\"x\":{\"id\":1},\"y\":{\"id\":2}}}");
}

TEST(json_patch_operations_are_limited)
{
    for (int over = 0; over < 2; over++) {
        struct arena *a cleanup_arena = arena_new();
        struct strbuf b cleanup_strbuf = STRBUF_INIT;
        struct err err = {0};
        for (int i = 0; i < LIMIT_JSON_PATCH_OPS + over; i++) {
            strbuf_puts(&b, i ? ",{\"op\":\"add\",\"path\":\"/a\",\"value\":1}"
                              : "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1}");
        }
        strbuf_putc(&b, ']');
        yyjson_mut_val *v = patch_json(a, json_mut_new(a), json_kit_parse(a, SPAN("{}")),
                                       json_kit_parse(a, strbuf_span(&b)), &err);
        CHECK_EQ(v != NULL, !over);
        CHECK(!over || err.reason == ERR_TOO_LARGE);
    }
}

TEST(copies_of_copies_are_stopped)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    struct err err = {0};
    for (int i = 0; i < 64; i++) {
        strbuf_printf(&b, "%s{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/k%d\"}", i ? "," : "[",
                      i);
    }
    strbuf_putc(&b, ']');
    CHECK(!patch_json(a, json_mut_new(a), json_kit_parse(a, SPAN("{\"a\":{\"x\":1}}")),
                      json_kit_parse(a, strbuf_span(&b)), &err));
    CHECK_EQ(err.reason, ERR_INVALID);
}

TEST(a_patch_cannot_nest_deeper_than_the_limit)
{
    for (int over = 0; over < 2; over++) {
        struct arena *a cleanup_arena = arena_new();
        struct strbuf b cleanup_strbuf = STRBUF_INIT;
        struct err err = {0};
        strbuf_puts(&b, "[{\"op\":\"add\",\"path\":\"/a\",\"value\":{}}");
        for (int i = 2; i < LIMIT_JSON_DEPTH + over; i++) {
            strbuf_puts(&b, ",{\"op\":\"add\",\"path\":\"");
            for (int k = 0; k < i; k++) {
                strbuf_puts(&b, "/a");
            }
            strbuf_puts(&b, "\",\"value\":{}}");
        }
        strbuf_putc(&b, ']');
        CHECK_EQ(patch_json(a, json_mut_new(a), json_kit_parse(a, SPAN("{}")),
                            json_kit_parse(a, strbuf_span(&b)), &err) != NULL,
                 !over);
    }
}

TEST(a_quadratic_list_merge_runs_out_of_steps)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    struct err err = {0};
    for (int i = 0; i < 20000; i++) {
        strbuf_printf(&b, "%s{\"id\":%d}", i ? "," : "{\"items\":[", i);
    }
    strbuf_puts(&b, "]}");
    yyjson_val *big = json_kit_parse(a, strbuf_span(&b));
    CHECK(!patch_strategic(a, json_mut_new(a), &thing_type, big, big, &err));
    CHECK_EQ(err.reason, ERR_TOO_LARGE);
}

static uint32_t pick(uint32_t *state, uint32_t n)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % n;
}

/* Few names, so that the two trees meet; now and then a name twice. */
static yyjson_mut_val *any_tree(yyjson_mut_doc *doc, uint32_t *state, int depth)
{
    static const char *const names[] = {"a", "b", "metadata", "name", "status"};
    yyjson_mut_val *v;
    switch (depth == 0 ? 5 : pick(state, depth < 4 ? 8 : 4)) {
    case 0:
        return yyjson_mut_null(doc);
    case 1:
        return yyjson_mut_sint(doc, (int64_t)pick(state, 3));
    case 2:
        return yyjson_mut_bool(doc, pick(state, 2));
    case 3:
        return json_new_str(doc, SPAN("text"));
    case 4:
        v = yyjson_mut_arr(doc);
        for (uint32_t n = pick(state, 3); n; n--) {
            yyjson_mut_arr_append(v, any_tree(doc, state, depth + 1));
        }
        return v;
    default:
        v = yyjson_mut_obj(doc);
        for (uint32_t i = 0; i < 5; i++) {
            if (pick(state, 2)) {
                uint32_t name = pick(state, 40) ? i : pick(state, 5);
                yyjson_mut_obj_add(v, json_new_str(doc, span_cstr(names[name])),
                                   any_tree(doc, state, depth + 1));
            }
        }
        return v;
    }
}

static bool is_not_metadata(struct span key)
{
    return !span_eq(key, SPAN("metadata"));
}

/* Without metadata, all else is the same. False: the original has none, or not one alone. */
static bool check_without_metadata(struct arena *a, const yyjson_val *original,
                                   const yyjson_val *patch)
{
    const yyjson_val *whole = patch_merge_quick(a, original, patch, true);
    if (!whole || !yyjson_is_obj(json_get(original, "metadata")) ||
        json_len(json_only(a, original, is_not_metadata)) + 1 != json_len(original)) {
        return false;
    }
    const yyjson_val *rest = patch_merge_quick(a, original, patch, false);
    CHECK_SPAN(json_write(a, rest), json_write(a, json_only(a, whole, is_not_metadata)).p);
    return true;
}

TEST(the_quick_merge_ends_where_the_other_one_ends)
{
    size_t quick = 0, without = 0;
    for (uint32_t seed = 1; seed <= 20000; seed++) {
        struct arena *a cleanup_arena = arena_new();
        yyjson_mut_doc *doc = json_mut_new(a);
        uint32_t state = seed * 2654435761u;
        struct err err = {0};
        yyjson_val *original = json_freeze(a, any_tree(doc, &state, 0));
        yyjson_val *patch = json_freeze(a, any_tree(doc, &state, 0));
        check_quick(a, original, patch, patch_merge(a, doc, original, patch, &err));
        quick += patch_merge_quick(a, original, patch, true) != NULL;
        without += check_without_metadata(a, original, patch);
    }
    CHECK(without > 1000);
    CHECK(quick > 10000 && quick < 20000); /* both ways were taken */
}

TEST(the_quick_merge_leaves_raw_managed_fields_out)
{
    static const char *const patches[] = {"{}", "{\"metadata\":{\"name\":\"n\"}}",
                                          "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"};
    static const char *const want[] = {"{\"metadata\":{\"name\":\"m\"},\"spec\":1}",
                                       "{\"metadata\":{\"name\":\"n\"},\"spec\":1}",
                                       "{\"metadata\":{\"name\":\"m\",\"labels\":{\"a\":\"b\"}},"
                                       "\"spec\":1}"};
    struct arena *a cleanup_arena = arena_new();
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *v = yyjson_mut_obj(doc), *meta = json_mut_obj(doc, v, "metadata");
    json_put(doc, meta, "managedFields", json_new_raw(doc, SPAN("[]")));
    json_put_str(doc, meta, "name", SPAN("m"));
    json_put_int(doc, v, "spec", 1);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const yyjson_val *got =
            patch_merge_quick(a, json_freeze(a, v), json_kit_parse(a, span_cstr(patches[i])), true);
        CHECK_SPAN(json_write(a, got), want[i]);
    }
}
