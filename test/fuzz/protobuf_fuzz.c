/* Protobuf bodies; what decodes is written as protobuf again, and that decodes to the same. */
#include "base/check.h"
#include "codec/json.h"
#include "schema/protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf first cleanup_strbuf = STRBUF_INIT, second cleanup_strbuf = STRBUF_INIT;
    yyjson_doc *doc = NULL, *again = NULL;
    struct err err = {0};
    int rc = protobuf_decode(a, span_of(data, size), &doc, &err);
    assert(rc == 0 || err.message.n > 0);
    if (rc < 0 || !protobuf_put_object(&first, yyjson_doc_get_root(doc))) {
        return 0;
    }
    /* Lists of more than one field and empty values are merged once; then nothing changes. */
    rc = protobuf_decode(a, strbuf_span(&first), &again, &err);
    assert(rc == 0 || err.reason == ERR_TOO_LARGE);
    assert(rc < 0 || protobuf_put_object(&second, yyjson_doc_get_root(again)));
    assert(rc < 0 || span_eq(strbuf_span(&first), strbuf_span(&second)));
    return 0;
}
