/* YAML bodies as JSON trees. */
#include "base/limits.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "codec/yaml.h"
#include "codec/yaml_write.h"
#include "test/kit/kit.h"

static void check(const char *yaml, const char *json)
{
    struct arena *a cleanup_arena = arena_new();
    struct err e = {0};
    yyjson_val *v = yaml_parse(a, span_cstr(yaml), &e);
    if (!v) {
        kit_fail(__FILE__, __LINE__, "%s: %.*s", yaml, SPAN_ARG(e.message));
    }
    CHECK_SPAN(json_write(a, v), json);
}

static void check_refused(struct span yaml, const char *part)
{
    struct arena *a cleanup_arena = arena_new();
    struct err e = {0};
    CHECK(yaml_parse(a, yaml, &e) == NULL);
    CHECK(e.reason != ERR_NONE);
    if (!memmem(e.message.p, e.message.n, part, strlen(part))) {
        kit_fail(__FILE__, __LINE__, "\"%.*s\" does not say \"%s\"", SPAN_ARG(e.message), part);
    }
}

TEST(scalars_become_the_json_types_that_kubernetes_gives_them)
{
    check("a: 1\nb: 1.5\nc: x\nd: '1'\ne: \"2\"",
          "{\"a\":1,\"b\":1.5,\"c\":\"x\",\"d\":\"1\",\"e\":\"2\"}");
    check("[yes, No, on, true, ~, null, '', '~']", "[true,false,true,true,null,null,\"\",\"~\"]");
    check("a:", "{\"a\":null}");
    check("m: 0644\nx: 0x1F\nn: -7\ne: 1e3\np: .5\nq: 5.",
          "{\"m\":420,\"x\":31,\"n\":-7,\"e\":1000.0,\"p\":0.5,\"q\":5.0}");
    check("v: 1.2.3\nd: 2026-01-01\nt: 10:30\nu: 1_000\nz: e5",
          "{\"v\":\"1.2.3\",\"d\":\"2026-01-01\",\"t\":\"10:30\",\"u\":\"1_000\",\"z\":\"e5\"}");
}

TEST(structure_blocks_and_aliases)
{
    check("a: &x {k: [1]}\nb: *x", "{\"a\":{\"k\":[1]},\"b\":{\"k\":[1]}}");
    check("t: |\n  one\n  two\nf: >-\n  one\n  two\n",
          "{\"t\":\"one\\ntwo\\n\",\"f\":\"one two\"}");
    check("", "null");
    check("---\na: 1\n", "{\"a\":1}");
    check("{\"kind\": \"Pod\"}", "{\"kind\":\"Pod\"}");
}

TEST(a_duplicate_key_stays_for_the_decoder_to_report)
{
    check("a: 1\na: 2", "{\"a\":1,\"a\":2}");
}

TEST(bad_yaml_is_refused_with_its_place)
{
    check_refused(SPAN("a: [1"), "line");
    check_refused(SPAN("a: b: c"), "line 1");
    check_refused(SPAN("a: 1\n---\nb: 2\n"), "several documents");
    check_refused(SPAN("[1]: x"), "a key must be a plain value");
    check_refused(SPAN("a: &a [*a]"), "nested too deeply");
}

TEST(depth_size_and_multiplication_are_bounded)
{
    struct strbuf b = STRBUF_INIT;
    for (int i = 0; i <= LIMIT_JSON_DEPTH; i++) {
        strbuf_putc(&b, '[');
    }
    check_refused(strbuf_span(&b), "nested deeper");
    strbuf_clear(&b);
    strbuf_puts(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 8; i++) {
        strbuf_printf(&b, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++) {
            strbuf_printf(&b, "*a%d,", i - 1);
        }
        strbuf_puts(&b, "]\n");
    }
    check_refused(strbuf_span(&b), "too many values");
    strbuf_done(&b);
}

static void check_written(const char *json, const char *yaml)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    struct err e = {0};
    yyjson_doc *doc = json_parse_heap(span_cstr(json));
    CHECK(doc);
    yaml_write(&out, yyjson_doc_get_root(doc));
    if (yaml) {
        CHECK_SPAN(strbuf_span(&out), yaml);
    }
    yyjson_val *back = yaml_parse(a, strbuf_span(&out), &e);
    if (!back || !yyjson_equals(back, yyjson_doc_get_root(doc))) {
        kit_fail(__FILE__, __LINE__, "%s reads back otherwise:\n%.*s", json,
                 SPAN_ARG(strbuf_span(&out)));
    }
    yyjson_doc_free(doc);
}

TEST(what_is_written_looks_as_kubectl_writes_it)
{
    check_written(
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"spec\":{\"containers\":[{\"name\":\"c\","
        "\"args\":[\"a\",\"true\"],\"ports\":[]}],\"nodeSelector\":{}},\"metadata\":{"
        "\"creationTimestamp\":null,\"generation\":1}}",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  creationTimestamp: null\n  generation: "
        "1\nspec:\n  containers:\n  - args:\n    - a\n    - \"true\"\n    name: c\n    "
        "ports: []\n  nodeSelector: {}\n");
    check_written(
        "{\"a\":\"2026-11-21T00:00:00Z\",\"b\":\"{\\\"x\\\": 1}\",\"c\":\"one\\ntwo\\n\","
        "\"d\":\"\",\"e\":\"10.0.0.1\",\"f\":\"y\",\"g\":\"08\",\"h\":\"22:30\",\"i\":\"it's\"}",
        "a: \"2026-11-21T00:00:00Z\"\nb: '{\"x\": 1}'\nc: |\n  one\n  two\nd: \"\"\ne: "
        "10.0.0.1\nf: \"y\"\ng: \"08\"\nh: \"22:30\"\ni: it's\n");
}

TEST(what_some_reader_takes_for_a_number_is_quoted)
{
    check_written("[\"1_000\",\"-.INF\",\".nan\",\"_1\",\"1.2.3\"]",
                  "- \"1_000\"\n- \"-.INF\"\n- \".nan\"\n- _1\n- 1.2.3\n");
}

/* A qsort alone promises no order of what is equal. */
TEST(name_that_is_there_twice_keeps_the_order_of_its_values)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    yyjson_doc *doc = json_parse_heap(SPAN("{\"b\":0,\"a\":{\"x\":1},\"a\":2,\"a\":3}"));
    yaml_write(&out, yyjson_doc_get_root(doc));
    CHECK_SPAN(strbuf_span(&out), "a:\n  x: 1\na: 2\na: 3\nb: 0\n");
    yyjson_doc_free(doc);
}

TEST(long_lines_are_folded_at_eighty_columns)
{
    check_written("{\"message\":\"Failed to pull image, since the registry that it is to come from "
                  "could not be reached\"}",
                  "message: Failed to pull image, since the registry that it is to come from could "
                  "not\n  be reached\n");
}

TEST(members_are_written_letters_last_and_numbers_by_value)
{
    check_written("{\"z9\":0,\"z10\":0,\"z09\":0,\"_x\":0,\"7\":0}",
                  "_x: 0\n\"7\": 0\nz9: 0\nz09: 0\nz10: 0\n");
    check_written("{\"b\":0,\"a10\":0,\"a9\":0,\"a.b\":0,\"Z\":0,\"1\":0}",
                  "\"1\": 0\nZ: 0\na.b: 0\na9: 0\na10: 0\nb: 0\n");
}

TEST(every_text_reads_back_as_it_was)
{
    static const char *const pieces[] = {"",   " ", "\\n", "a",       "-",       ":",
                                         "#",  "0", "\\t", "~",       "\"",      "'",
                                         "\\", "|", "\\r", "\\u00e9", "\\u0085", "?"};
    enum { N = sizeof pieces / sizeof *pieces };
    char json[128];
    for (int i = 0; i < N * N * N * N; i++) {
        (void)snprintf(json, sizeof json, "[\"%s%s%s%s\"]", pieces[i % N], pieces[i / N % N],
                       pieces[i / N / N % N], pieces[i / N / N / N % N]);
        if (!strstr(json, "\\\\\"") && !strchr(json, '\'')) {
            yyjson_doc *doc = json_parse_heap(span_cstr(json));
            if (doc) {
                check_written(json, NULL);
            }
            yyjson_doc_free(doc);
        }
    }
}
