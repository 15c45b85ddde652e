/* codec/selector: label and field selectors. */
#include "kit/kit.h"

#include "base/limits.h"
#include "base/strbuf.h"
#include "codec/selector.h"

static yyjson_val *parse(struct arena *a, const char *text)
{
    (void)a;
    yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
    CHECK(doc);
    arena_on_clear(a, (void (*)(void *))yyjson_doc_free, doc);
    return yyjson_doc_get_root(doc);
}

static bool match(const char *selector, const char *labels)
{
    struct arena *a cleanup_arena = arena_new();
    struct selector s;
    struct err err = {0};
    if (selector_parse(a, span_cstr(selector), &s, &err) < 0) {
        kit_fail(__FILE__, __LINE__, "%s: %.*s", selector, SPAN_ARG(err.message));
    }
    return selector_matches(&s, labels ? parse(a, labels) : NULL);
}

TEST(label_selector_text_matches_as_kubernetes)
{
    const char *l = "{\"a\":\"b\",\"n\":\"5\",\"app.kubernetes.io/name\":\"redis\",\"e\":\"\"}";
    static const struct {
        const char *selector;
        bool with, without;
    } cases[] = {
        {"", true, true},
        {"a=b", true, false},
        {"a==b", true, false},
        {" a = b ", true, false},
        {"a=c", false, false},
        {"a!=b", false, true},
        {"a!=c", true, true},
        {"a", true, false},
        {"!a", false, true},
        {"! a", false, true},
        {"a in (b,c)", true, false},
        {"a in ( c , b )", true, false},
        {"a in (c)", false, false},
        {"a notin (b)", false, true},
        {"a notin (c)", true, true},
        {"a in (b),n,!x", true, false},
        {"n>4", true, false},
        {"n>5", false, false},
        {"n<6", true, false},
        {"a<6", false, false},
        {"e=", true, false},
        {"e", true, false},
        {"e in (,x)", true, false},
        {"app.kubernetes.io/name=redis,a!=x", true, false},
        {"in=x", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kit_note("%s", cases[i].selector);
        CHECK_EQ(match(cases[i].selector, l), cases[i].with);
        CHECK_EQ(match(cases[i].selector, NULL), cases[i].without);
    }
}

TEST(malformed_label_selectors_are_refused)
{
    static const char *const bad[] = {
        "=b",      "a=b,",  ",",     "a in", "a in b", "a in (b",   "a b",      "a!b",
        "!",       "!a=b",  "a=b c", "a>x",  "-a=b",   "a=-",       "a in ()x", "/a=b",
        "A.B/c=d", "a/b/c", "a=b=c", "(",    ")",      "a in (b)) "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct arena *a cleanup_arena = arena_new();
        struct selector s;
        struct err err = {0};
        kit_note("%s", bad[i]);
        CHECK(selector_parse(a, span_cstr(bad[i]), &s, &err) < 0);
        CHECK_EQ(err.reason, ERR_BAD_REQUEST);
        CHECK(err.message.n > 0);
    }
}

TEST(label_selector_terms_are_limited)
{
    for (int over = 0; over < 2; over++) {
        struct arena *a cleanup_arena = arena_new();
        struct strbuf b cleanup_strbuf = STRBUF_INIT;
        for (int i = 0; i < LIMIT_SELECTOR_TERMS + over; i++) {
            strbuf_puts(&b, i ? ",a" : "a");
        }
        struct selector s;
        struct err err = {0};
        CHECK_EQ(selector_parse(a, strbuf_span(&b), &s, &err), -over);
    }
}

static struct span text_of(struct arena *a, const char *object)
{
    struct selector s;
    struct err err = {0};
    if (selector_from_object(a, parse(a, object), &s, &err) < 0) {
        return err.message;
    }
    return selector_text(a, &s);
}

TEST(label_selector_object_prints_sorted_text)
{
    struct arena *a cleanup_arena = arena_new();
    CHECK_SPAN(text_of(a, "{\"matchLabels\":{\"b\":\"2\",\"a\":\"1\"}}"), "a=1,b=2");
    CHECK_SPAN(
        text_of(a,
                "{\"matchLabels\":{\"z\":\"1\"},\"matchExpressions\":[{\"key\":\"c\",\"operator\":"
                "\"In\","
                "\"values\":[\"e\",\"d\"]},{\"key\":\"a\",\"operator\":\"Exists\"},{\"key\":\"b\","
                "\"operator\":\"DoesNotExist\"},{\"key\":\"d\",\"operator\":\"NotIn\",\"values\":["
                "\"x\"]}]}"),
        "a,!b,c in (d,e),d notin (x),z=1");
    CHECK_SPAN(text_of(a, "{}"), "");
    CHECK_SPAN(text_of(a, "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Near\"}]}"),
               "\"Near\" is not a valid label selector operator");
    CHECK(text_of(a, "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\"}]}").n > 20);
    CHECK(text_of(
              a,
              "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\",\"values\":[\"x\"]}]}")
              .n > 20);
    CHECK(text_of(a, "{\"matchLabels\":{\"-\":\"x\"}}").n > 20);
}

TEST(absent_label_selector_matches_nothing_and_empty_matches_all)
{
    struct arena *a cleanup_arena = arena_new();
    struct selector s;
    CHECK_EQ(selector_from_object(a, NULL, &s, NULL), 0);
    CHECK(!selector_matches(&s, NULL));
    CHECK_EQ(selector_from_object(a, parse(a, "{}"), &s, NULL), 0);
    CHECK(selector_matches(&s, NULL));
    CHECK_EQ(selector_from_map(a, parse(a, "{}"), &s, NULL), 0);
    CHECK(!selector_matches(&s, NULL));
    CHECK_EQ(selector_from_map(a, parse(a, "{\"a\":\"b\"}"), &s, NULL), 0);
    CHECK(selector_matches(&s, parse(a, "{\"a\":\"b\",\"c\":\"d\"}")));
    CHECK(!selector_matches(&s, parse(a, "{\"a\":\"c\"}")));
}

TEST(field_selectors_parse_with_escapes)
{
    struct arena *a cleanup_arena = arena_new();
    struct field_selector f;
    struct span v;
    CHECK_EQ(field_selector_parse(a, SPAN("metadata.name=x,spec.nodeName!=y,,c==d\\,e\\=f\\\\,g="),
                                  &f, NULL),
             0);
    CHECK_EQ(f.n, 4);
    CHECK_SPAN(f.terms[0].key, "metadata.name");
    CHECK(f.terms[0].equal && !f.terms[1].equal);
    CHECK_SPAN(f.terms[1].value, "y");
    CHECK_SPAN(f.terms[2].value, "d,e=f\\");
    CHECK_SPAN(f.terms[3].value, "");
    CHECK(field_selector_exact(&f, SPAN("metadata.name"), &v));
    CHECK_SPAN(v, "x");
    CHECK(!field_selector_exact(&f, SPAN("spec.nodeName"), &v));
    CHECK_EQ(field_selector_parse(a, SPAN(""), &f, NULL), 0);
    CHECK_EQ(f.n, 0);
    static const char *const bad[] = {"metadata.name", "a=b,c", "a=\\x", "a=b\\", "a=b=c"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        kit_note("%s", bad[i]);
        CHECK(field_selector_parse(a, span_cstr(bad[i]), &f, &err) < 0);
        CHECK_EQ(err.reason, ERR_BAD_REQUEST);
    }
}

TEST(what_is_wrong_with_a_label_selector_is_said_as_kubernetes_says_it)
{
#define REQUIREMENT "unable to parse requirement: "
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"=b", "found '=', expected: !, identifier, or 'end of string'"},
        {"()", "found '(', expected: !, identifier, or 'end of string'"},
        {"a=b=c", "found '=', expected: ',' or 'end of string'"},
        {"a=b,", "found '', expected: identifier after ','"},
        {"a,=b", "found '=', expected: identifier after ','"},
        {"a b", REQUIREMENT "found 'b', expected: in, notin, =, ==, !=, gt, lt"},
        {"a!", REQUIREMENT "found '!', expected: in, notin, =, ==, !=, gt, lt"},
        {"!", REQUIREMENT "found '', expected: identifier"},
        {"a in b", REQUIREMENT "found 'b' expected: '('"},
        {"a in (b", REQUIREMENT "found '', expected: ',' or ')'"},
        {"a in (", REQUIREMENT "found '', expected: ',', ')' or identifier"},
        {"a in (b,=", REQUIREMENT "found '=', expected: ',', or identifier"},
        {"a=(", REQUIREMENT "found '(', expected: identifier"},
    };
    struct arena *a cleanup_arena = arena_new();
    struct selector s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        CHECK_EQ(selector_parse(a, span_cstr(cases[i].text), &s, &e), -1);
        CHECK_SPAN(e.message, cases[i].message);
    }
    struct err e = {0};
    CHECK_EQ(selector_parse(a, SPAN("x in (ok,-)"), &s, &e), -1);
    CHECK(span_starts(e.message,
                      SPAN(REQUIREMENT "values[1][x]: Invalid value: \"-\": a valid label")));
    CHECK_EQ(selector_parse(a, SPAN("a/b/c"), &s, &e), -1);
    CHECK(span_starts(e.message,
                      SPAN(REQUIREMENT "<nil>: Invalid value: \"a/b/c\": a qualified name")));
}
