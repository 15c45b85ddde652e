/* test/unit/job_index_test.c: the numbers of indexed jobs against sets of bits. */
#include "plan/job_index.h"

#include "kit/kit.h"

enum { BITS = 6 };

/* One number after the other, as anybody would write it. */
static struct job_indexes set_of(struct arena *a, int bits)
{
    int32_t numbers[2 * BITS];
    size_t n = 0;
    for (int32_t i = BITS; i-- > 0;) {
        if (bits >> i & 1) {
            numbers[n++] = i;
        }
    }
    return job_indexes_of(a, numbers, n);
}

static int bits_of(struct job_indexes set)
{
    int bits = 0;
    for (int32_t i = 0; i < BITS; i++) {
        bits |= job_indexes_has(set, i) << i;
    }
    return bits;
}

TEST(sets_of_numbers_are_as_sets_of_bits)
{
    struct arena *a cleanup_arena = arena_new();
    for (int x = 0; x < 1 << BITS; x++) {
        struct job_indexes one = set_of(a, x);
        struct span text = job_indexes_text(a, one);
        CHECK_EQ(bits_of(one), x);
        CHECK_EQ(job_indexes_count(one), __builtin_popcount((unsigned)x));
        CHECK_EQ(bits_of(job_indexes_parse(a, text, BITS)), x);
        for (int32_t below = 0; below <= BITS; below++) {
            int32_t lacks[BITS];
            size_t n = job_indexes_free(one, below, 3, lacks), want = 0;
            CHECK_EQ(bits_of(job_indexes_parse(a, text, below)), x & ((1 << below) - 1));
            for (int32_t i = 0; i < below && want < 3; i++) {
                if (!(x >> i & 1)) {
                    CHECK_EQ(lacks[want], i);
                    want++;
                }
            }
            CHECK_EQ(n, want);
        }
        for (int y = 0; y < 1 << BITS; y++) {
            struct job_indexes other = set_of(a, y);
            CHECK_EQ(bits_of(job_indexes_union(a, one, other)), x | y);
            CHECK_EQ(job_indexes_common(one, other), __builtin_popcount((unsigned)(x & y)));
        }
        arena_clear(a);
    }
}

TEST(the_text_is_as_kubernetes_writes_it)
{
    struct arena *a cleanup_arena = arena_new();
    struct {
        const char *in, *out;
    } cases[] = {{"", ""},         {"0", "0"},       {"1,3-5,7", "1,3-5,7"},
                 {"1,2", "1,2"},   {"1,2,3", "1-3"}, {"0-1,3", "0,1,3"},
                 {"1-1,2", "2"},   {"5,3", "5"},     {"x,2,,4-,6", "2,6"},
                 {"8-200", "8,9"}, {"10,-3,+2", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct job_indexes set = job_indexes_parse(a, span_cstr(cases[i].in), 10);
        CHECK_SPAN(job_indexes_text(a, set), cases[i].out);
    }
    struct span part = SPAN_NULL;
    CHECK(job_indexes_check(SPAN("1,3-5"), 6, &part));
    CHECK(!job_indexes_check(SPAN("1,3-6"), 6, &part));
    CHECK_SPAN(part, "3-6");
    CHECK(!job_indexes_check(SPAN("1,,4"), 6, &part));
    CHECK_SPAN(part, "");
    CHECK(!job_indexes_check(SPAN("4,3"), 6, &part));
    CHECK_SPAN(part, "3");
}

TEST(numbers_at_the_end_of_the_range_do_not_run_over)
{
    struct arena *a cleanup_arena = arena_new();
    struct job_indexes all = job_indexes_parse(a, SPAN("0-2147483646"), INT32_MAX);
    int32_t lacks[2];
    CHECK_EQ(job_indexes_count(all), INT32_MAX);
    CHECK_EQ(job_indexes_free(all, INT32_MAX, 2, lacks), 0);
    CHECK_EQ(job_indexes_free(job_indexes_parse(a, SPAN("1-2147483646"), INT32_MAX), INT32_MAX, 2,
                              lacks),
             1);
    CHECK_EQ(job_indexes_parse(a, SPAN("2147483647,99999999999"), INT32_MAX).n, 0);
}
