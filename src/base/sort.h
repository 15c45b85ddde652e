/* base/sort.h: qsort() for what is mostly short and mostly in order already: glibc's copies all to
 * another place and back. Stable. */
#ifndef BASE_SORT_H
#define BASE_SORT_H

#include <stddef.h>

void sort_few(void *items, size_t n, size_t size, int (*cmp)(const void *, const void *));

#endif
