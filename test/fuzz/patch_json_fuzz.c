/* The JSON patch: see patch_case.h. */
#include "test/fuzz/patch_case.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    patch_case(data, size, patch_json);
    return 0;
}
