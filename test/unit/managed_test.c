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
