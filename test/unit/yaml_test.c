/* YAML bodies as JSON trees. */
#include "base/limits.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "codec/yaml.h"
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
