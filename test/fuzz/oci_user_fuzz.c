/* /etc/passwd and /etc/group of an image: "USER\n" then the file, used for both. */
#include "runtime/oci_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena *a = arena_new();
    struct span rest = span_of(data, size);
    struct span user = span_cut(&rest, '\n');
    struct oci_user u;
    struct span detail;
    const uint32_t extra[] = {1};
    (void)oci_user_find(a, user, rest, rest, extra, 1, &u, &detail);
    return 0;
}
