/* test/fuzz/time_fuzz.c: what parses also formats and parses to the same second. */
#include "base/check.h"
#include "codec/time.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t ms = 0, back = 0;
    char buf[TIME_TEXT_BYTES];
    if (time_parse(span_of(data, size), &ms) && ms >= 0) {
        assert(time_parse(time_format_to(buf, ms), &back));
        assert(back / 1000 == ms / 1000);
    }
    return 0;
}
