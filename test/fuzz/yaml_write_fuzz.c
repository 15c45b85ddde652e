/* What is written as YAML reads back as the same tree. A name that an object has twice means two
 * values to it, and no comparison of trees says which: such documents are left out. */
#include "base/check.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "codec/yaml.h"
#include "codec/yaml_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_unique_names(const yyjson_val *v)
{
    JSON_EACH(it, v)
    {
        if ((it.key && json_get_span(v, json_str(it.key)) != it.val) || !has_unique_names(it.val)) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    yyjson_doc *doc = json_parse_heap(span_of((const char *)data, size));
    if (doc) {
        struct err e = {0};
        yaml_write(&out, yyjson_doc_get_root(doc));
        yyjson_val *back = yaml_parse(a, strbuf_span(&out), &e);
        assert(back);
        assert(!has_unique_names(yyjson_doc_get_root(doc)) ||
               yyjson_equals(back, yyjson_doc_get_root(doc)));
    }
    yyjson_doc_free(doc);
    return 0;
}
