/* test/unit/time_test.c: codec/time. */
#include "codec/time.h"

#include "kit/kit.h"

TEST(time_text_of_known_instants)
{
    char buf[TIME_TEXT_BYTES];
    CHECK_SPAN(time_format_to(buf, 0), "1970-01-01T00:00:00Z");
    CHECK_SPAN(time_format_to(buf, 951782400000), "2000-02-29T00:00:00Z");
    CHECK_SPAN(time_format_to(buf, 1785000000999), "2026-07-25T17:20:00Z");
    CHECK_SPAN(time_format_to(buf, -1), "1969-12-31T23:59:59Z");
    struct arena *a = arena_new();
    CHECK_SPAN(time_format_micro(a, 1785000000000042), "2026-07-25T17:20:00.000042Z");
    arena_free(a);
}

TEST(time_every_day_of_eight_centuries_reads_back)
{
    char buf[TIME_TEXT_BYTES];
    for (int64_t day = -150000; day < 150000; day++) {
        int64_t ms = day * 86400000 + 12345000, back = 0;
        CHECK(time_parse(time_format_to(buf, ms), &back));
        CHECK_EQ(back, ms);
    }
}

TEST(time_reads_fractions_and_offsets)
{
    CHECK_EQ(time_or(SPAN("1970-01-01T00:00:01.5Z"), -1), 1500);
    CHECK_EQ(time_or(SPAN("1970-01-01T01:00:01.123456+01:00"), -1), 1123);
    CHECK_EQ(time_or(SPAN("1969-12-31T23:30:00-00:30"), -1), 0);
}

/* What was read last is remembered, and only that. */
TEST(time_is_read_again_and_among_others)
{
    static const char nothing[21] = "";
    static const char *const text[] = {"1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"};
    CHECK_EQ(time_or(span_of(nothing, 20), -1), -1);
    CHECK_EQ(time_or(SPAN_NULL, -1), -1);
    for (int i = 0; i < 20; i++) {
        int k = i / 3 % 2;
        CHECK_EQ(time_or(span_cstr(text[k]), -1), (k + 1) * 1000);
        CHECK_EQ(time_or(SPAN("1970-01-01T00:00:61Z"), -1), -1);
        CHECK_EQ(time_or(span_of(nothing, 20), -1), -1);
        CHECK_EQ(time_or(SPAN(""), -1), -1);
        CHECK_EQ(time_or(span_first(span_cstr(text[k]), 19), -1), -1);
    }
}

TEST(time_refuses_malformed_text)
{
    static const char *const bad[] = {"",
                                      "1970",
                                      "1970-01-01",
                                      "1970-13-01T00:00:00Z",
                                      "1970-02-29T00:00:00Z",
                                      "1970-01-01T24:00:00Z",
                                      "1970-01-01T00:00:00",
                                      "1970-01-01T00:00:00.Z",
                                      "1970-01-01T00:00:00Zx",
                                      "1970-01-01T00:00:00+1:00",
                                      "1970-01-00T00:00:00Z",
                                      "1970/01/01T00:00:00Z",
                                      "1970-01-01t00:00:00Z",
                                      "1970-01-01T00:00:00z",
                                      "9999-12-31T23:59:60Z",
                                      "9999-12-31T23:59:59-00:01",
                                      "0000-01-01T00:00:00+00:01"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = 77;
        CHECK(!time_parse(span_cstr(bad[i]), &ms));
        CHECK_EQ(ms, 77);
    }
}

TEST(lengths_of_time_are_written_and_read_as_go_does)
{
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {{0, "0s"},
                {1, "1ns"},
                {1500, "1.5µs"},
                {20000000, "20ms"},
                {1000000000, "1s"},
                {1500000999, "1.500000999s"},
                {60000000000, "1m0s"},
                {3723500000000, "1h2m3.5s"},
                {-1500000000, "-1.5s"},
                {INT64_MAX, "2562047h47m16.854775807s"}};
    static const char *const bad[] = {"", "-", "5", ".s", "s", "1x", "1s2", "9999999999h", "1 s"};
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t back = 7;
        CHECK_SPAN(time_duration(a, rows[i].ns), rows[i].text);
        CHECK(time_duration_parse(span_cstr(rows[i].text), &back));
        CHECK_EQ(back, rows[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t back = 7;
        CHECK(!time_duration_parse(span_cstr(bad[i]), &back));
        CHECK_EQ(back, 7);
    }
    int64_t ns = 0;
    CHECK(time_duration_parse(SPAN("0"), &ns) && ns == 0);
    CHECK(time_duration_parse(SPAN("+1.0000000009s"), &ns) && ns == 1000000000);
    CHECK(time_duration_parse(SPAN("1.5us"), &ns) && ns == 1500);
    arena_free(a);
}
