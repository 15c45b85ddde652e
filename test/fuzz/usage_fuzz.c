/* The kernel's texts about usage: a number that is found stands in the text behind its key. */
#include "base/check.h"
#include "os/os_usage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    uint64_t n = 0, busy = 0;
    if (os_usage_number(text, SPAN("usage_usec"), &n)) {
        assert(memmem(data, size, "usage_usec", 10));
    }
    if (os_usage_busy(text, &busy)) {
        assert(span_starts(text, SPAN("cpu ")));
    }
    return 0;
}
