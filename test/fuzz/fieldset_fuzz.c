/* A FieldsV1 text: what is read is written in one form, which reads as the same set. */
#include "base/check.h"
#include "codec/json.h"
#include "managed/fieldset_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *in = NULL;
    const struct fieldset *s, *again;
    if (json_parse(a, span_of(data, size), &in, NULL) ||
        fieldset_parse(a, yyjson_doc_get_root(in), &s, NULL)) {
        return 0;
    }
    struct fieldset_text text = {.a = a};
    fieldset_put(&text, s);
    struct span out = span_of(text.p, text.n);
    assert(json_parse(a, out, &in, NULL) == 0 && fieldset_text_end(out, 0) == out.n);
    assert(fieldset_parse(a, yyjson_doc_get_root(in), &again, NULL) == 0);
    assert(fieldset_equal(s, again));
    struct span none = out, same = out;
    assert(fieldset_text_edit(a, &none, s, NULL) != FIELDSET_OTHER || none.n == 0);
    assert(fieldset_text_edit(a, &same, NULL, s) != FIELDSET_OTHER);
    assert(fieldset_text_edit(a, &same, s, s) != FIELDSET_OTHER);
    assert(fieldset_is_empty(fieldset_difference(a, s, again)));
    assert(fieldset_equal(fieldset_union(a, s, again), s));
    assert(fieldset_equal(fieldset_intersection(a, s, again), s));
    return 0;
}
