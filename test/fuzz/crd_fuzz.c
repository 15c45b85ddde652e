/* A definition of a custom kind and an object of it: [DEFINITION, OBJECT]. What is compiled must
 * decode, default, check, show and describe any object. */
#include "base/check.h"
#include "codec/json.h"
#include "schema/custom.h"
#include "schema/kinds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    const struct schema_kind *crd = SCHEMA_KIND(CustomResourceDefinition);
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_doc *in;
    struct err err = {0};
    if (json_parse(a, span_of(data, size), &in, &err)) {
        return 0;
    }
    const yyjson_val *root = yyjson_doc_get_root(in);
    yyjson_mut_val *d = schema_decode(a, crd, yyjson_arr_get((yyjson_val *)root, 0), doc,
                                      SCHEMA_IGNORE, NULL, &err);
    if (d) {
        schema_defaults(doc, crd, d);
    }
    const yyjson_val *obj = yyjson_arr_get((yyjson_val *)root, 1),
                     *def = d ? json_freeze(a, d) : NULL;
    if (!def || schema_validate(a, crd, def, NULL, &err)) {
        return 0;
    }
    struct custom_definition *c = custom_compile(def, &err, a);
    assert(c);
    yyjson_mut_val *o = schema_decode(a, c->storage, obj, doc, SCHEMA_IGNORE, NULL, &err);
    if (o) {
        schema_defaults(doc, c->storage, o);
        const yyjson_val *made = json_freeze(a, o);
        (void)schema_validate(a, c->storage, made, NULL, &err);
        schema_row(a, c->storage, doc, yyjson_mut_arr(doc), made, 0);
    }
    custom_unref(c);
    return 0;
}
