/* test/fuzz/websocket_fuzz.c: any bytes decode to bounded events and end in at most one error. */
#include "base/check.h"
#include "codec/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ws_decoder d = {.expect_mask = size > 0 && (data[0] & 1)};
    struct ws_event e;
    size_t out = 0;
    bool over = false;
    for (size_t at = 1; at < size; at += data[0] + 1u) {
        struct span in = span_first(span_of(data + at, size - at), data[0] + 1u);
        while (ws_next(&d, &in, &e)) {
            assert(!over);
            over = e.type == WS_ERROR || e.type == WS_CLOSE;
            out += e.type == WS_ERROR ? 0 : e.bytes.n;
        }
        assert(in.n == 0 && out <= size);
    }
    ws_decoder_done(&d);
    return 0;
}
