/* The checksum of the log is zlib's CRC-32, whatever the processor does to get it. */
#include <zlib.h>

#include "kit/kit.h"
#include "store/store_priv.h"

TEST(the_sum_is_that_of_zlib_for_every_length_and_alignment)
{
    static char text[4096 + 16];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof text; i++) {
        x = x * 1664525 + 1013904223;
        text[i] = (char)(x >> 24);
    }
    for (size_t n = 0; n <= 1100; n++) {
        for (size_t at = 0; at < 16; at += 5) {
            CHECK_EQ(store_sum(0, span_of(text + at, n)), crc32(0, (Bytef *)text + at, (uInt)n));
        }
    }
    CHECK_EQ(store_sum(0, span_of(text, 4096)), crc32(0, (Bytef *)text, 4096));
    CHECK_EQ(store_sum(0, SPAN("123456789")), 0xcbf43926);
}

TEST(the_sum_goes_on_from_any_cut)
{
    static char text[1000];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)(i * 7 % 251);
    }
    uint32_t whole = store_sum(0, span_of(text, sizeof text));
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        uint32_t first = store_sum(0, span_of(text, cut));
        CHECK_EQ(store_sum(first, span_of(text + cut, sizeof text - cut)), whole);
    }
}
