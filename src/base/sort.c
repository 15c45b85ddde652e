#include "base/sort.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { FEW = 12, ITEM_BYTES = 128 };

void sort_few(void *items, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
    char *at = items, item[ITEM_BYTES];
    assert(size > 0);
    assert(n == 0 || items);
    if (n > FEW || size > ITEM_BYTES) {
        qsort(items, n, size, cmp);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        size_t to = i;
        while (to > 0 && cmp(at + (to - 1) * size, at + i * size) > 0) {
            to--;
        }
        if (to < i) {
            memcpy(item, at + i * size, size);
            memmove(at + (to + 1) * size, at + to * size, (i - to) * size);
            memcpy(at + to * size, item, size);
        }
    }
}
