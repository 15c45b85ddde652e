/* Whatever a client sends, decoding, defaults and validation of any kind end without a fault. */
#include "base/arena.h"
#include "codec/json.h"
#include "schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    cleanup_arena struct arena *a = arena_new();
    const struct schema_kind *kind = schema_kind_at(data[0] % schema_kind_count());
    yyjson_doc *doc;
    struct err e;
    if (json_parse(a, span_of(data + 1, size - 1), &doc, &e) < 0) {
        return 0;
    }
    yyjson_mut_doc *out = json_mut_new(a);
    yyjson_mut_val *obj =
        schema_decode(a, kind, yyjson_doc_get_root(doc), out, SCHEMA_IGNORE, NULL, &e);
    if (obj) {
        schema_defaults(out, kind, obj);
        yyjson_mut_doc_set_root(out, obj);
        if (json_parse(a, json_write_mut(a, obj), &doc, &e) == 0) {
            (void)schema_validate(a, kind, yyjson_doc_get_root(doc), NULL, &e);
        }
    }
    return 0;
}
