/* Which images go when the disk fills: every small world of them, and the thresholds' edges. */
#include "plan/image_plan.h"

#include "test/kit/kit.h"

static uint64_t wanted(unsigned high, unsigned low, uint64_t available, uint64_t capacity)
{
    const struct image_thresholds t = {high, low};
    return image_plan_wanted(&t, available, capacity);
}

TEST(nothing_is_wanted_below_the_high_threshold)
{
    CHECK_EQ(wanted(85, 80, 160, 1000), 0);
    CHECK_EQ(wanted(85, 80, 159, 1000), 41); /* 15.9 per cent are free: 85 in use */
    CHECK_EQ(wanted(85, 80, 150, 1000), 50);
    CHECK_EQ(wanted(85, 80, 0, 1000), 200);
    CHECK_EQ(wanted(85, 85, 150, 1000), 0);
    CHECK_EQ(wanted(85, 85, 140, 1000), 10);
    CHECK_EQ(wanted(0, 0, 1000, 1000), 0);
    CHECK_EQ(wanted(0, 0, 999, 1000), 1);
}

TEST(a_hundred_per_cent_is_never_and_an_unknown_disk_is_left_alone)
{
    CHECK_EQ(wanted(100, 80, 0, 1000), 0);
    CHECK_EQ(wanted(85, 80, 0, 0), 0);
    CHECK_EQ(wanted(85, 80, 5, 1), 0);
}

TEST(wanted_does_not_overflow_on_the_largest_disk)
{
    CHECK(wanted(85, 80, 1, UINT64_MAX) > UINT64_MAX / 100 * 19);
}

/* Every world of three images, each used or not, imported or not, of two sizes, last used at one of
 * three times. */
TEST(those_that_may_go_are_ordered_and_no_others)
{
    enum { WAYS = 2 * 2 * 2 * 3 };
    for (int world = 0; world < WAYS * WAYS * WAYS; world++) {
        struct image_plan_image im[3];
        int w = world;
        for (int i = 0; i < 3; i++, w /= WAYS) {
            im[i] = (struct image_plan_image){.is_used = w & 1,
                                              .is_imported = w & 2,
                                              .bytes = w & 4 ? 10 : 20,
                                              .last_used_ms = w % WAYS / 8 * 50};
        }
        const struct image_plan_view view = {.now_ms = 100, .min_age_ms = 50, .images = im, .n = 3};
        size_t order[3];
        size_t n = image_plan_order(&view, order), may = 0;
        for (int i = 0; i < 3; i++) {
            may += !im[i].is_used && !im[i].is_imported && im[i].last_used_ms <= 50;
        }
        CHECK_EQ(n, may);
        for (size_t i = 0; i < n; i++) {
            const struct image_plan_image *a = &im[order[i]],
                                          *b = i + 1 < n ? &im[order[i + 1]] : a;
            CHECK(!a->is_used && !a->is_imported && a->last_used_ms <= 50);
            CHECK(a->last_used_ms <= b->last_used_ms);
            CHECK(a->last_used_ms < b->last_used_ms || a->bytes >= b->bytes);
            for (size_t j = 0; j < i; j++) {
                CHECK(order[j] != order[i]);
            }
        }
    }
}
