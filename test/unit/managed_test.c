/* managed/managed, typed and fieldset: applied configurations by the cases of data/managed.json,
 * the algebra of sets, and limits. */
#include "kit/json_kit.h"
#include "kit/kit.h"

#include "base/limits.h"
#include "managed/fieldset_text.h"
#include "managed/managed.h"
#include "schema/kinds.h"

static const yyjson_val *entry_of(const yyjson_val *list, struct span manager)
{
    JSON_EACH(it, list)
    {
        if (span_eq(json_get_str(it.val, "manager"), manager)) {
            return json_get(it.val, "fieldsV1");
        }
    }
    return NULL;
}

static void check_text(const char *what, struct span name, struct span got, struct span want)
{
    if (!span_eq(got, want)) {
        kit_fail(__FILE__, __LINE__, "%.*s: %s: got\n%.*s\nwanted\n%.*s", SPAN_ARG(name), what,
                 SPAN_ARG(got), SPAN_ARG(want));
    }
}

static void run_case(struct arena *a, const yyjson_val *c)
{
    struct managed_write w = {.kind = SCHEMA_KIND(Pod), .manager = SPAN("me"), .now_ms = 1000};
    struct managed_applied out = {0};
    struct err err = {0};
    struct span name = json_get_str(c, "name"), conflict = json_get_str(c, "conflict");
    yyjson_mut_doc *doc = json_mut_new(a);
    int rc = managed_apply(a, doc, &w, json_get_bool(c, "force", false), json_get(c, "live"),
                           json_get(c, "config"), &out, &err);
    check_text("conflict", name, rc ? err.message : SPAN(""), conflict);
    if (rc) {
        return;
    }
    const yyjson_val *object = json_freeze(a, out.object), *owns = json_get(c, "owns");
    if (!json_equal(object, json_get(c, "want"))) {
        check_text("object", name, json_write(a, object), json_write(a, json_get(c, "want")));
    }
    const yyjson_val *mine = entry_of(json_whole(a, json_freeze(a, out.managed)), w.manager);
    if (owns) {
        check_text("owns", name, json_write(a, mine), json_write(a, owns));
    }
    /* Applied again, it changes nothing. */
    json_put(doc, json_mut_get(out.object, "metadata"), "managedFields", out.managed);
    const yyjson_val *live = json_freeze(a, out.object);
    struct managed_applied again = {0};
    w.now_ms = 5000;
    CHECK_EQ(managed_apply(a, doc, &w, false, live, json_get(c, "config"), &again, &err), 0);
    CHECK(json_equal(object, json_freeze(a, again.object)));
    CHECK(json_mut_equal(out.managed, again.managed));
}

TEST(configurations_are_applied_as_structured_merge_diff_applies_them)
{
    struct arena *a cleanup_arena = arena_new();
    size_t n = 0;
    JSON_EACH(it, json_kit_parse(a, json_kit_read(a, "test/unit/data/managed.json")))
    {
        run_case(a, it.val);
        n++;
    }
    CHECK(n >= 14);
}

static const struct fieldset *set_of(struct arena *a, const char *text)
{
    const struct fieldset *s = NULL;
    struct err err = {0};
    CHECK_EQ(fieldset_parse(a, json_kit_parse(a, span_cstr(text)), &s, &err), 0);
    return s;
}

static struct span text_of(struct arena *a, const struct fieldset *s)
{
    struct fieldset_text t = {.a = a};
    fieldset_put(&t, s);
    return span_of(t.p, t.n);
}

TEST(sets_combine_and_are_written_in_one_order)
{
    struct arena *a cleanup_arena = arena_new();
    const struct fieldset *x =
        set_of(a, "{\"v:2\":{},\"f:b\":{\".\":{},\"f:c\":{}},\"i:1\":{},\"f:a\":{},\"z:new\":{},"
                  "\"k:{\\\"n\\\":10}\":{},\"k:{\\\"n\\\":9}\":{}}");
    const struct fieldset *y = set_of(a, "{\"f:b\":{\"f:c\":{},\"f:d\":{}},\"f:a\":{}}");
    CHECK_SPAN(text_of(a, x), "{\"f:a\":{},\"f:b\":{\".\":{},\"f:c\":{}},\"k:{\\\"n\\\":9}\":{},"
                              "\"k:{\\\"n\\\":10}\":{},\"v:2\":{},\"i:1\":{}}");
    CHECK_SPAN(text_of(a, fieldset_intersection(a, x, y)), "{\"f:a\":{},\"f:b\":{\"f:c\":{}}}");
    CHECK_SPAN(text_of(a, fieldset_difference(a, y, x)), "{\"f:b\":{\"f:d\":{}}}");
    CHECK_SPAN(text_of(a, fieldset_difference(a, set_of(a, "{\"f:b\":{\"f:c\":{}}}"),
                                              set_of(a, "{\"f:b\":{}}"))),
               "{\"f:b\":{\"f:c\":{}}}");
    CHECK(fieldset_equal(fieldset_union(a, x, y), fieldset_union(a, y, x)));
    CHECK(fieldset_is_empty(fieldset_difference(a, x, x)));
}

static uint64_t pick(uint64_t *state, uint64_t n)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*state >> 33) % n;
}

static const yyjson_val *some_value(struct arena *a, uint64_t *r, bool odd)
{
    static const char *const plain[] = {"1", "80", "443", "\"a\"", "\"b,}\"", "\"\"", "\"tcp\""},
                             *const strange[] = {
                                 "-7",  "1.5",        "true", "18446744073709551615",
                                 "1e3", "\"x\\\"y\"", "null"};
    return json_kit_parse(
        a, span_cstr(odd && pick(r, 4) == 0 ? strange[pick(r, 7)] : plain[pick(r, 7)]));
}

static struct fieldset_elem some_elem(struct arena *a, uint64_t *r, bool odd)
{
    static const char *const names[] = {"a", "ab", "b.c/d", "c", "{}", "", "x\"y", "\\"};
    struct span name = span_cstr(names[pick(r, odd ? 8 : 6)]);
    struct fieldset_part *parts = ARENA_ARRAY(a, struct fieldset_part, 2);
    switch (pick(r, odd ? 5 : 4)) {
    case 0:
        return (struct fieldset_elem){.what = FIELDSET_VALUE, .value = some_value(a, r, odd)};
    case 1:
        parts[0] = (struct fieldset_part){SPAN("name"), some_value(a, r, odd)};
        parts[1] = (struct fieldset_part){SPAN("port"), some_value(a, r, odd)};
        return (struct fieldset_elem){
            .what = FIELDSET_KEY, .parts = parts, .part_n = 1 + (uint32_t)pick(r, 2)};
    case 4:
        return (struct fieldset_elem){.what = FIELDSET_INDEX, .index = (int64_t)pick(r, 3)};
    default:
        return fieldset_field(name);
    }
}

static const struct fieldset *some_set(struct arena *a, uint64_t *r, int depth, bool odd)
{
    struct fieldset *s = ARENA_NEW(a, struct fieldset);
    for (size_t n = depth ? pick(r, 5) : 0; n > 0; n--) {
        fieldset_add(a, s, some_elem(a, r, odd), pick(r, 2), some_set(a, r, depth - 1, odd));
    }
    return fieldset_seal(a, s);
}

TEST(a_set_that_is_text_is_changed_as_one_that_is_taken_apart)
{
    struct arena *a cleanup_arena = arena_new();
    uint64_t r = kit_random();
    size_t done[3] = {0};
    for (int i = 0; i < 20000; i++, arena_clear(a)) {
        bool odd = i % 2;
        const struct fieldset *was = some_set(a, &r, 4, odd);
        const struct fieldset *less = pick(&r, 4) ? some_set(a, &r, 4, odd) : was;
        const struct fieldset *more = pick(&r, 2) ? some_set(a, &r, 4, odd) : NULL;
        const struct fieldset *now = fieldset_union(a, fieldset_difference(a, was, less), more);
        struct span text = text_of(a, was), from = text;
        enum fieldset_edit edit = fieldset_text_edit(a, &text, less, more);
        done[edit]++;
        if (edit == FIELDSET_OTHER) {
            check_text("edited", from, text.n ? text : SPAN("{}"), text_of(a, now));
        } else {
            CHECK(span_eq(text, from));
            CHECK(edit == FIELDSET_IN_DOUBT || fieldset_equal(was, now));
            CHECK(edit == FIELDSET_SAME || odd || !was);
        }
    }
    CHECK(done[FIELDSET_SAME] > 500 && done[FIELDSET_OTHER] > 5000 &&
          done[FIELDSET_IN_DOUBT] > 100);
}

TEST(malformed_sets_are_changed_in_no_way)
{
    struct arena *a cleanup_arena = arena_new();
    static const char whole[] = "{\"f:a\":{\".\":{},\"k:{\\\"n\\\":9}\":{}},\"f:b\":{}}";
    const struct fieldset *s = set_of(a, "{\"f:a\":{\"f:x\":{},\"k:{\\\"n\\\":9}\":{}}}");
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct span text = arena_dup(a, span_of(whole, n));
        (void)fieldset_text_edit(a, &text, s, s); /* reads no further than there is */
        (void)fieldset_text_edit(a, &text, s, NULL);
    }
}

TEST(malformed_sets_are_refused)
{
    struct arena *a cleanup_arena = arena_new();
    static const char *const bad[] = {"[]",
                                      "{\"f\":{}}",
                                      "{\"\":{}}",
                                      "{\"i:x\":{}}",
                                      "{\"k:[]\":{}}",
                                      "{\"k:{\\\"a\\\":{}}\":{}}",
                                      "{\"v:{}\":{}}",
                                      "{\"v:\":{}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct fieldset *s;
        struct err err = {0};
        CHECK_EQ(fieldset_parse(a, json_kit_parse(a, span_cstr(bad[i])), &s, &err), -1);
        CHECK(err.message.n);
    }
}

TEST(a_client_without_a_manager_is_named_by_its_agent)
{
    struct arena *a cleanup_arena = arena_new();
    CHECK_SPAN(managed_agent(a, SPAN("kubectl/v1.32 (linux)")), "kubectl");
    CHECK_SPAN(managed_agent(a, SPAN("a\tb")), "ab");
    CHECK_EQ(managed_agent(a, SPAN("")).n, 0);
}
