/* base/arena.h: memory with one lifetime: a request, a reconcile, a DNS query.
 *
 * Allocation cannot fail. Nothing is freed singly; arena_clear() runs the attached cleanups (last
 * first) and keeps the first chunk for reuse, arena_free() gives everything back. Not thread safe:
 * an arena has one owner at a time. Under AddressSanitizer each allocation is separate and nothing
 * is recycled, so that a use after clear is seen. libuv handles never live in an arena. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/span.h"

struct arena;

struct arena *arena_new(void);
/* For a few small things that live long, one of many such arenas: starts with a small chunk. */
struct arena *arena_new_small(void);
void arena_free(struct arena *a); /* NULL is fine */
void arena_clear(struct arena *a);

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));
/* Not zeroed. */
void *arena_alloc_raw(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));
void *arena_array(struct arena *a, size_t count, size_t size) __attribute__((returns_nonnull));
#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
/* A larger block for a text that grows: with the first `used` bytes of p and room for more, twice
 * *cap or, when that is 0, first bytes. Sets *cap; the old block stays until the arena goes. */
char *arena_regrow(struct arena *a, const char *p, size_t used, size_t more, size_t first,
                   size_t *cap);
#define ARENA_ARRAY(a, type, count) ((type *)arena_array((a), (count), sizeof(type)))

/* Copies; the copy is also NUL terminated (the NUL is not counted), so .p serves as a C string. */
struct span arena_dup(struct arena *a, struct span s);
const char *arena_cstr(struct arena *a, struct span s);
/* The parts one behind the other: keys and names, for which arena_printf() takes four times as
 * long. ARENA_JOIN(a, ns, SPAN("/"), name) */
struct span arena_join(struct arena *a, const struct span *parts, size_t count);
#define ARENA_JOIN(a, ...)                                                                         \
    arena_join((a), (const struct span[]){__VA_ARGS__},                                            \
               sizeof((const struct span[]){__VA_ARGS__}) / sizeof(struct span))
struct span arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
struct span arena_vprintf(struct arena *a, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* fn(data) runs at clear or free, latest first. */
void arena_on_clear(struct arena *a, void (*fn)(void *data), void *data);

CLEANUP_DEFINE(struct arena *, arena_free)
#define cleanup_arena CLEANUP(cleanup_arena_free_fn)

#endif
