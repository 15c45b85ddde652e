#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* glibc's calloc passes by the cache that its malloc keeps of small blocks, and takes seven times
 * as long. (Apart, because gcc makes a calloc of a malloc and a memset.) */
enum { SMALL_BYTES = 1024 };

static void *__attribute__((noinline)) small_block(size_t size)
{
    assert(size <= SMALL_BYTES);
    return malloc(size);
}

void *mem_new(size_t size)
{
    bool small = size <= SMALL_BYTES;
    void *p = small ? small_block(size ? size : 1) : calloc(1, size);
    assert(p);
    return small ? memset(p, 0, size) : p;
}

void *mem_new_array(size_t count, size_t size)
{
    if (count > 0 && size > 0 && count <= SMALL_BYTES / size) {
        return mem_new(count * size);
    }
    void *p = calloc(count ? count : 1, size ? size : 1);
    assert(p);
    return p;
}

void *mem_grow(void *p, size_t count, size_t size)
{
    size_t total;
    assert(size > 0);
    assert(!__builtin_mul_overflow(count ? count : 1, size, &total));
    void *q = realloc(p, total);
    assert(q);
    return q;
}

char *mem_strdup(const char *s)
{
    assert(s);
    size_t n = strlen(s) + 1;
    return memcpy(mem_new(n), s, n);
}
