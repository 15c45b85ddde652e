/* test/unit/revision_plan_test.c: plan/revision_plan. */
#include "plan/revision_plan.h"

#include <string.h>

#include "kit/kit.h"
#include "schema/schema.h"

static yyjson_val *parse(struct arena *a, const char *text)
{
    yyjson_doc *doc = NULL;
    struct err err;
    CHECK_EQ(json_parse(a, span_cstr(text), &doc, &err), 0);
    return yyjson_doc_get_root(doc);
}

TEST(revision_data_is_sorted_and_replaces)
{
    struct arena *a = arena_new();
    yyjson_val *t =
        parse(a, "{\"spec\":{\"z\":[{\"y\":1,\"b\":null}],\"a\":true},\"metadata\":{}}");
    CHECK_SPAN(
        json_write_mut(a, revision_data(json_mut_new(a), t)),
        "{\"spec\":{\"template\":{\"$patch\":\"replace\",\"metadata\":{},\"spec\":{\"a\":true,"
        "\"z\":[{\"b\":null,\"y\":1}]}}}}");
    arena_free(a);
}

TEST(a_revision_is_of_a_template_exactly_when_it_holds_its_data)
{
    static const char *const templates[] = {"{}",
                                            "{\"a\":1}",
                                            "{\"a\":2}",
                                            "{\"b\":1,\"a\":{\"d\":[1],\"c\":null}}",
                                            "{\"a\":{\"c\":null,\"d\":[1]},\"b\":1}",
                                            "{\"a\":{\"c\":null},\"b\":1}",
                                            "{\"a\":null}"};
    static const char *const others[] = {
        "{}",
        "{\"spec\":{}}",
        "{\"spec\":{\"template\":{}}}",
        "{\"spec\":{\"template\":{\"$patch\":\"merge\",\"a\":1}}}",
        "{\"spec\":{\"template\":{\"a\":1,\"c\":1}}}",
        "{\"spec\":{\"template\":{\"$patch\":\"replace\",\"a\":1},\"b\":1}}",
        "{\"spec\":{\"template\":{\"$patch\":\"replace\",\"a\":1}},\"c\":1}"};
    enum { TEMPLATES = sizeof templates / sizeof *templates };
    enum { ALL = TEMPLATES + sizeof others / sizeof *others };
    struct arena *a = arena_new();
    for (size_t t = 0; t < TEMPLATES; t++) {
        yyjson_val *template = parse(a, templates[t]);
        yyjson_val *data = json_freeze(a, revision_data(json_mut_new(a), template));
        for (size_t i = 0; i < ALL; i++) {
            struct revision_entry e = {
                .data = i < TEMPLATES
                            ? json_freeze(a, revision_data(json_mut_new(a), parse(a, templates[i])))
                            : parse(a, others[i - TEMPLATES])};
            CHECK_EQ(revision_is_of(&e, template), json_equal(e.data, data));
        }
    }
    arena_free(a);
}

TEST(revision_hash_is_fnv1_in_the_safe_alphabet)
{
    struct arena *a = arena_new();
    CHECK_SPAN(revision_hash(a, SPAN("foobar"), 0), "86f788ccfd");
    CHECK_SPAN(revision_hash(a, SPAN("foobar"), 1), "86f788ccff");
    CHECK_SPAN(revision_hash(a, SPAN(""), 0), "d8bfb7bc");
    char long_name[300];
    memset(long_name, 'a', sizeof long_name);
    CHECK_EQ(revision_name(a, span_of(long_name, 253), SPAN("5678")).n, 223 + 5);
    CHECK_SPAN(revision_name(a, SPAN("web"), SPAN("5678")), "web-5678");
    arena_free(a);
}

TEST(revision_choice_keeps_bumps_or_creates)
{
    struct arena *a = arena_new();
    struct revision_entry e[3] = {{SPAN("c"), 2, 5, parse(a, "{\"v\":3}")},
                                  {SPAN("b"), 1, 9, parse(a, "{\"v\":2}")},
                                  {SPAN("a"), 1, 9, parse(a, "{\"v\":1}")}};
    revision_sort(e, 3);
    CHECK_SPAN(e[0].name, "a");
    CHECK_SPAN(e[1].name, "b");
    CHECK_SPAN(e[2].name, "c");
    struct revision_choice c = revision_choose(e, 3, parse(a, "{\"v\":3}"));
    CHECK_EQ(c.step, REVISION_KEEP);
    CHECK_EQ(c.at, 2);
    c = revision_choose(e, 3, parse(a, "{\"v\":1}"));
    CHECK_EQ(c.step, REVISION_BUMP);
    CHECK_EQ(c.at, 0);
    CHECK_EQ(c.number, 3);
    c = revision_choose(e, 3, parse(a, "{\"v\":4}"));
    CHECK_EQ(c.step, REVISION_CREATE);
    CHECK_EQ(c.number, 3);
    c = revision_choose(e, 0, parse(a, "{}"));
    CHECK_EQ(c.step, REVISION_CREATE);
    CHECK_EQ(c.number, 1);
    arena_free(a);
}

TEST(revision_order_is_number_then_age_then_name)
{
    struct revision_entry e[4] = {
        {SPAN("d"), 1, 9}, {SPAN("c"), 1, 5}, {SPAN("b"), 1, 9}, {SPAN("a"), 2, 1}};
    revision_sort(e, 4);
    CHECK_SPAN(e[0].name, "c");
    CHECK_SPAN(e[1].name, "b");
    CHECK_SPAN(e[2].name, "d");
    CHECK_SPAN(e[3].name, "a");
    revision_sort(e, 0);
}

TEST(revision_excess_spares_the_live_and_the_limit)
{
    struct revision_entry e[4] = {
        {.live = false}, {.live = true}, {.live = false}, {.live = false}};
    CHECK_EQ(revision_excess(e, 4, 10), 0);
    CHECK_EQ(revision_excess(e, 4, 3), 0);
    CHECK_EQ(revision_excess(e, 4, 1), 2);
    CHECK_EQ(revision_excess(e, 4, 0), 3);
    CHECK_EQ(revision_excess(e, 4, -1), 0);
}

TEST(revision_name_cuts_a_long_set_name)
{
    cleanup_arena struct arena *a = arena_new();
    char set[300];
    memset(set, 'a', sizeof set);
    struct span name = revision_name(a, span_of(set, sizeof set), SPAN("bcd"));
    CHECK_EQ(name.n, 223 + 4);
    CHECK(span_ends(name, SPAN("a-bcd")));
    CHECK_SPAN(revision_name(a, SPAN("web"), SPAN("bcd")), "web-bcd");
}

/* A template that only lacks what is a default today means the same; what is no template means
 * nothing. */
TEST(revision_means_what_the_set_asks_for_or_not)
{
#define CONTAINER(more) "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"" more "}]}}"
    static const struct {
        const char *data;
        bool means;
    } rows[] = {{"{\"spec\":{\"template\":" CONTAINER("") "}}", true},
                {"{\"spec\":{\"template\":" CONTAINER(",\"tty\":true") "}}", false},
                {"{\"spec\":{\"template\":" CONTAINER(",\"tty\":false,\"env\":[]") "}}", true},
                {"{\"spec\":{\"template\":" CONTAINER(",\"tty\":7") "}}", false},
                {"{\"spec\":{\"template\":7}}", false},
                {"{}", false}};
    cleanup_arena struct arena *a = arena_new();
    const struct schema_kind *kind = schema_kind_find("apps", "StatefulSet");
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *set =
        json_mut_copy(doc, parse(a, "{\"spec\":{\"template\":" CONTAINER("") "}}"));
    schema_defaults(doc, kind, set);
    const yyjson_val *stored = json_freeze(a, set);
    const yyjson_val *wanted =
        json_freeze(a, revision_data(doc, json_path(stored, "spec", "template", NULL)));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct revision_entry e = {.data = parse(a, rows[i].data)};
        CHECK_EQ(revision_means(a, kind, stored, &e, wanted), rows[i].means);
    }
}
