#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void *mem_new(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    assert(p);
    return p;
}

void *mem_new_array(size_t count, size_t size)
{
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
