#include "base/arena.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/format.h"
#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_SEPARATE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_SEPARATE 1
#endif
#endif
#ifndef ARENA_SEPARATE
#define ARENA_SEPARATE 0
#endif

enum {
    CHUNK_BYTES = 4096,      /* the first chunk: most requests fit */
    CHUNK_BYTES_SMALL = 256, /* that of a small arena */
    CHUNK_BYTES_MAX = 262144 /* later chunks grow up to this */
};

struct chunk {
    struct chunk *next;
    size_t size, used;
    _Alignas(max_align_t) char bytes[];
};

struct hook {
    struct hook *next;
    void (*fn)(void *);
    void *data;
};

struct arena {
    struct chunk *head; /* the chunk being filled */
    struct hook *hooks; /* latest first; live in the arena itself */
    bool small;
};

/* Most arenas live for less than a millisecond and want chunks of the same few sizes: malloc would
 * split and merge blocks for each. A thread keeps a few, and none under AddressSanitizer. */
enum {
    SPARE_SIZES = 9, /* from that of a small arena on, each twice the one before */
    SPARE_MAX = 6,
    SPARE_FIRST_MAX = 24, /* of first chunks */
    SPARE_SMALL_MAX = 64,
    SPARE_ARENAS = 64
};

struct spare {
    struct {
        struct chunk *first;
        size_t n;
    } chunks[SPARE_SIZES];
    struct arena *ready[SPARE_FIRST_MAX]; /* each with its first chunk */
    struct arena *bare[SPARE_ARENAS];
    size_t ready_n, bare_n;
};

static _Thread_local struct spare spare;

/* CHUNK_BYTES_SMALL << i gives i; SPARE_SIZES: a size that is not kept. */
static inline size_t spare_at(size_t size)
{
    bool doubled = size >= CHUNK_BYTES_SMALL && (size & (size - 1)) == 0;
    size_t i = doubled ? (size_t)__builtin_ctzll(size / CHUNK_BYTES_SMALL) : SPARE_SIZES;
    return ARENA_SEPARATE || i > SPARE_SIZES ? SPARE_SIZES : i;
}

static size_t spare_max(size_t size)
{
    return size == CHUNK_BYTES             ? SPARE_FIRST_MAX
           : size <= 2 * CHUNK_BYTES_SMALL ? SPARE_SMALL_MAX
                                           : SPARE_MAX;
}

static struct chunk *chunk_new(size_t size)
{
    size_t at = spare_at(size);
    struct chunk *c = at < SPARE_SIZES ? spare.chunks[at].first : NULL;
    if (c) {
        spare.chunks[at].first = c->next;
        spare.chunks[at].n--;
    } else {
        c = malloc(sizeof *c + size);
        assert(c);
    }
    *c = (struct chunk){.size = size};
    return c;
}

static void chunk_free(struct chunk *c)
{
    size_t at = c ? spare_at(c->size) : SPARE_SIZES;
    if (at == SPARE_SIZES || spare.chunks[at].n == spare_max(c->size)) {
        free(c);
        return;
    }
    c->next = spare.chunks[at].first;
    spare.chunks[at].first = c;
    spare.chunks[at].n++;
}

static struct arena *bare_arena(void)
{
    assert(spare.bare_n <= SPARE_ARENAS);
    struct arena *a = spare.bare_n > 0 ? spare.bare[--spare.bare_n] : MEM_NEW(struct arena);
    assert(!a->head);
    return a;
}

struct arena *arena_new(void)
{
    assert(spare.ready_n <= SPARE_FIRST_MAX);
    struct arena *a = spare.ready_n > 0 ? spare.ready[--spare.ready_n] : bare_arena();
    assert(!a->head || a->head->used == 0);
    return a;
}

struct arena *arena_new_small(void)
{
    struct arena *a = bare_arena();
    a->small = true;
    return a;
}

static void run_hooks(struct arena *a)
{
    while (a->hooks) {
        struct hook *h = a->hooks;
        a->hooks = h->next;
        h->fn(h->data);
    }
}

void arena_clear(struct arena *a)
{
    assert(a);
    run_hooks(a);
    while (a->head && (a->head->next || ARENA_SEPARATE || a->head->size > CHUNK_BYTES)) {
        struct chunk *c = a->head;
        a->head = c->next;
        chunk_free(c);
    }
    if (a->head) {
        a->head->used = 0;
    }
}

void arena_free(struct arena *a)
{
    if (!a) {
        return;
    }
    arena_clear(a);
    a->small = false;
    if (!ARENA_SEPARATE && a->head && a->head->size == CHUNK_BYTES &&
        spare.ready_n < SPARE_FIRST_MAX) {
        spare.ready[spare.ready_n++] = a;
        return;
    }
    chunk_free(TAKE_PTR(a->head));
    if (ARENA_SEPARATE || spare.bare_n == SPARE_ARENAS) {
        free(a);
    } else {
        spare.bare[spare.bare_n++] = a;
    }
}

/* The size of the next chunk: of few sizes, so that freed ones fit again, and each larger than the
 * one before, so that few are needed. */
static size_t next_size(const struct arena *a, size_t size)
{
    if (ARENA_SEPARATE) {
        return size;
    }
    size_t first = a->small ? CHUNK_BYTES_SMALL : CHUNK_BYTES;
    size_t want = !a->head ? first : a->head->size * (a->small ? 2 : 4);
    while (want < size && want < CHUNK_BYTES_MAX) {
        want *= 2;
    }
    if (want > CHUNK_BYTES_MAX) {
        want = CHUNK_BYTES_MAX;
    }
    return want < size ? size : want;
}

static seldom void *alloc_in_new_chunk(struct arena *a, size_t size)
{
    struct chunk *c = chunk_new(next_size(a, size));
    c->next = a->head;
    c->used = size;
    a->head = c;
    return c->bytes;
}

void *arena_alloc_raw(struct arena *a, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    assert(a);
    assert(size < SIZE_MAX / 2);
    struct chunk *c = a->head;
    size = (size + !size + align - 1) & ~(align - 1);
    if (ARENA_SEPARATE || !c || c->size - c->used < size) {
        return alloc_in_new_chunk(a, size); /* apart: nothing to save around a call here */
    }
    void *p = c->bytes + c->used;
    c->used += size;
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    return memset(arena_alloc_raw(a, size), 0, size);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t total;
    assert(!__builtin_mul_overflow(count, size, &total));
    return arena_alloc(a, total);
}

char *arena_regrow(struct arena *a, const char *p, size_t used, size_t more, size_t first,
                   size_t *cap)
{
    assert(used <= *cap);
    assert(first > 0);
    size_t now = *cap ? *cap * 2 : first;
    while (now - used < more) {
        now *= 2;
    }
    char *to = arena_alloc_raw(a, now);
    if (used) {
        memcpy(to, p, used);
    }
    *cap = now;
    return to;
}

struct span arena_dup(struct arena *a, struct span s)
{
    if (s.n == 0) {
        return SPAN("");
    }
    assert(s.p);
    char *p = arena_alloc_raw(a, s.n + 1);
    span_copy_short(p, s.p, s.n);
    p[s.n] = '\0';
    return span_of(p, s.n);
}

const char *arena_cstr(struct arena *a, struct span s)
{
    return arena_dup(a, s).p;
}

struct span arena_join(struct arena *a, const struct span *parts, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += parts[i].n;
    }
    char *p = arena_alloc_raw(a, n + 1), *at = p;
    for (size_t i = 0; i < count; i++) {
        span_copy_short(at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    assert(at == p + n);
    *at = '\0';
    return span_of(p, n);
}

/* Most texts fit in what is left of the chunk and are formatted once. */
struct span arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    assert(fmt);
    size_t room = a->head && !ARENA_SEPARATE ? a->head->size - a->head->used : 0;
    va_list again;
    va_copy(again, ap);
    char *p = room ? a->head->bytes + a->head->used : NULL;
    int n = format_text(p, room, fmt, again);
    va_end(again);
    assert(n >= 0);
    bool fits = (size_t)n < room;
    char *at = arena_alloc_raw(a, (size_t)n + 1);
    if (!fits) {
        (void)format_text(at, (size_t)n + 1, fmt, ap);
    }
    assert(!fits || at == p);
    return span_of(at, (size_t)n);
}

struct span arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct span s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

void arena_on_clear(struct arena *a, void (*fn)(void *), void *data)
{
    assert(a);
    assert(fn);
    struct hook *h = ARENA_NEW(a, struct hook);
    *h = (struct hook){.next = a->hooks, .fn = fn, .data = data};
    a->hooks = h;
}
