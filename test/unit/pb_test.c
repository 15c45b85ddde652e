/* codec/pb: the wire format. */
#include "kit/kit.h"

#include "codec/pb.h"

TEST(what_is_written_reads_back)
{
    static const uint64_t values[] = {0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX};
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        pb_put_varint(&b, (uint32_t)i + 1, values[i]);
    }
    size_t outer = pb_open(&b, 100), inner = pb_open(&b, 1);
    for (int i = 0; i < 100; i++) {
        pb_put_bytes(&b, 2, SPAN("ab"));
    }
    pb_close(&b, inner);
    pb_close(&b, outer);
    struct pb_reader r = pb_read(strbuf_span(&b));
    struct pb_field f;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        CHECK(pb_next(&r, &f));
        CHECK_EQ(f.number, i + 1);
        CHECK(f.value == values[i]);
    }
    CHECK(pb_next(&r, &f));
    CHECK_EQ(f.number, 100);
    struct pb_reader in = pb_read(f.bytes);
    CHECK(pb_next(&in, &f));
    CHECK_EQ(f.bytes.n, 400);
    CHECK(!pb_next(&r, &f) && !r.bad);
}

TEST(broken_bytes_end_the_reading)
{
    static const struct span bad[] = {
        SPAN("\x08"),                                         /* no value */
        SPAN("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), /* more than 64 bits */
        SPAN("\x0a\x05"
             "abc"), /* too short */
        SPAN("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
             "a"), /* longer than memory */
        SPAN("\x0b"),
        SPAN("\x0c"),
        SPAN("\x0e"),
        SPAN("\x0f"),     /* groups and no wire types */
        SPAN("\x00\x01"), /* number 0 */
        SPAN("\x09"
             "1234567"),
        SPAN("\x0d"
             "123"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pb_reader r = pb_read(bad[i]);
        struct pb_field f;
        kit_note("%zu", i);
        CHECK(!pb_next(&r, &f));
        CHECK(r.bad);
        CHECK(!pb_next(&r, &f));
    }
}
