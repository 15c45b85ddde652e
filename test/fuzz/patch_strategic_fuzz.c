/* The strategic patch: see patch_case.h. */
#include "test/fuzz/patch_case.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static yyjson_mut_val *of_a_pod(struct arena *a, yyjson_mut_doc *doc, const yyjson_val *original,
                                const yyjson_val *patch, struct err *reterr)
{
    return patch_strategic(a, doc, schema_kind_find("", "Pod")->type, original, patch, reterr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    patch_case(data, size, of_a_pod);
    return 0;
}
