/* The kinds: defaults, rules, field selectors and table rows, compared with what Kubernetes does.
 */
#include "base/arena.h"
#include "codec/json.h"
#include "schema/kinds.h"
#include "schema/schema.h"
#include "test/kit/kit.h"

static struct arena *a;

static yyjson_val *parse(struct span text)
{
    yyjson_doc *doc;
    struct err e;
    if (json_parse(a, text, &doc, &e) < 0) {
        kit_fail(__FILE__, __LINE__, "%.*s: %.*s", SPAN_ARG(text), SPAN_ARG(e.message));
    }
    return yyjson_doc_get_root(doc);
}

static yyjson_val *file(const char *name)
{
    a = arena_new();
    struct span path = arena_printf(a, "test/unit/data/schema/%s", name);
    FILE *f = fopen(path.p, "r");
    CHECK(f != NULL);
    char *text = arena_alloc(a, 1 << 20);
    size_t n = fread(text, 1, 1 << 20, f);
    (void)fclose(f);
    return parse(span_of(text, n));
}

static const struct schema_kind *kind_of(const yyjson_val *obj)
{
    struct span version = json_get_str(obj, "apiVersion");
    size_t slash = span_find(version, '/');
    const char *group = slash < version.n ? arena_cstr(a, span_first(version, slash)) : "";
    const struct schema_kind *k = schema_kind_find(group, arena_cstr(a, json_get_str(obj, "kind")));
    CHECK(k != NULL);
    return k;
}

/* Decoded and defaulted, as the server would hand it to validation. */
static yyjson_val *completed(const yyjson_val *given)
{
    const struct schema_kind *k = kind_of(given);
    yyjson_mut_doc *doc = json_mut_new(a);
    struct err e;
    yyjson_mut_val *obj = schema_decode(a, k, given, doc, SCHEMA_STRICT, NULL, &e);
    if (!obj) {
        kit_fail(__FILE__, __LINE__, "%.*s", SPAN_ARG(e.message));
    }
    schema_defaults(doc, k, obj);
    struct span once = json_write_mut(a, obj);
    schema_defaults(doc, k, obj);
    CHECK_SPAN(json_write_mut(a, obj), arena_cstr(a, once));
    return parse(once);
}

TEST(defaults_are_those_of_a_real_server)
{
    JSON_EACH(it, file("defaults.json"))
    {
        yyjson_val *got = completed(json_get(it.val, "given"));
        yyjson_val *want = json_get(it.val, "want");
        if (!json_equal(got, want)) {
            struct span name = json_get_str(it.val, "name"), g = json_write(a, got),
                        w = json_write(a, want);
            kit_fail(__FILE__, __LINE__, "%.*s:\n# got  %.*s\n# want %.*s", SPAN_ARG(name),
                     SPAN_ARG(g), SPAN_ARG(w));
        }
        struct err e = {0};
        if (schema_validate(a, kind_of(want), got, NULL, &e) < 0) {
            kit_fail(__FILE__, __LINE__, "%.*s", SPAN_ARG(e.message));
        }
    }
}
