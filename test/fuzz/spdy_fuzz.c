/* test/fuzz/spdy_fuzz.c: any bytes decode to bounded events and end in at most one error. */
#include "base/check.h"
#include "base/limits.h"
#include "codec/spdy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spdy_decoder *d = spdy_decoder_new();
    struct spdy_event e;
    bool over = false;
    for (size_t at = 1; at < size; at += data[0] + 1u) {
        struct span in = span_first(span_of(data + at, size - at), data[0] + 1u);
        while (spdy_next(d, &in, &e)) {
            assert(!over);
            over = e.type == SPDY_ERROR;
            for (size_t i = 0; i < e.header_count; i++) {
                assert(e.headers[i].name.n + e.headers[i].value.n <= LIMIT_SPDY_CONTROL_BYTES);
            }
        }
        assert(in.n == 0);
    }
    spdy_decoder_free(d);
    return 0;
}
