/* sort_few against qsort: every short order, repeats in their order, and more than a few. */
#include "base/sort.h"

#include "kit/kit.h"

struct item {
    int key, place;
};

static int by_key(const void *x, const void *y)
{
    const struct item *a = x, *b = y;
    return (a->key > b->key) - (a->key < b->key);
}

static void check(struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        items[i].place = (int)i;
    }
    sort_few(items, n, sizeof *items, by_key);
    for (size_t i = 1; i < n; i++) {
        CHECK(items[i - 1].key < items[i].key ||
              (items[i - 1].key == items[i].key && items[i - 1].place < items[i].place));
    }
}

TEST(every_order_of_up_to_five_is_sorted_and_equals_keep_their_order)
{
    struct item items[5];
    for (size_t n = 0, all = 1; n <= 5; n++, all *= 5) {
        for (size_t code = 0; code < all; code++) {
            size_t rest = code;
            for (size_t i = 0; i < n; i++, rest /= 5) {
                items[i].key = (int)(rest % 5);
            }
            check(items, n);
        }
    }
}

TEST(many_are_sorted_too)
{
    struct item items[64];
    for (size_t n = 10; n <= 64; n++) {
        for (size_t i = 0; i < n; i++) {
            items[i].key = (int)(i * 37 % 11);
        }
        check(items, n);
    }
}
