/* One document {"original": ..., "patch": ...} through the json patch; what comes out can be
 * written and read again, unless copies made it larger than any body may be. */
#include "base/check.h"
#include "base/limits.h"
#include "codec/json.h"
#include "schema/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *in, *again;
    struct err err = {0};
    if (json_parse(a, span_of(data, size), &in, &err) < 0) {
        return 0;
    }
    yyjson_val *root = yyjson_doc_get_root(in);
    if (!json_get(root, "original") || !json_get(root, "patch")) {
        return 0;
    }
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *out =
        patch_json(a, doc, json_get(root, "original"), json_get(root, "patch"), &err);
    assert(out || err.message.n > 0);
    assert(!out || json_parse(a, json_write_mut(a, out), &again, &err) == 0 ||
           err.reason == ERR_TOO_LARGE);
    return 0;
}
