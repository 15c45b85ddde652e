/* Protobuf request bodies; what decodes can be decoded further as JSON of its kind. */
#include "base/check.h"
#include "codec/json.h"
#include "schema/protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *doc = NULL;
    struct err err = {0};
    int rc = protobuf_decode(a, span_of(data, size), &doc, &err);
    assert(rc == 0 || err.message.n > 0);
    assert(rc < 0 || json_get_str(yyjson_doc_get_root(doc), "kind").n > 0);
    return 0;
}
