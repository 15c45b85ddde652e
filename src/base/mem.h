/* base/mem.h: heap allocation that cannot fail.
 *
 * Everything sized by the outside passes a limit (base/limits.h) first, so running out of memory
 * here is the machine's end, not a request's: the process aborts and is started again (crash-only
 * design). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Zeroed memory; free with free(). */
void *mem_new(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_new_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* realloc for count elements; new bytes are not zeroed. */
void *mem_grow(void *p, size_t count, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));

#define MEM_NEW(type) ((type *)mem_new(sizeof(type)))

#endif
