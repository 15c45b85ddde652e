/* base/span.h: a borrowed, bounded run of bytes; never NUL terminated unless a function says so.
 *
 * Spans are values: copy them freely. The bytes belong to somebody else (an arena, a blob, a
 * literal) and must outlive the span. NUL termination happens only at the system-call edge
 * (arena_cstr). */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p;
    size_t n;
};

/* A span over a string literal, without its NUL. */
#define SPAN(literal) ((struct span){"" literal, sizeof(literal) - 1})
#define SPAN_NULL ((struct span){NULL, 0})
/* For printf: printf("%.*s", SPAN_ARG(s)). */
#define SPAN_ARG(s) ((int)(s).n), ((s).p ? (s).p : "")

static inline struct span span_of(const void *p, size_t n)
{
    return (struct span){p, n};
}

/* A span over a NUL terminated string; NULL gives the empty span. */
static inline struct span span_cstr(const char *s)
{
    return (struct span){s, s ? strlen(s) : 0};
}

/* memcmp() == 0 for what is mostly short: two words that may overlap instead of a call. Longer
 * names of one length mostly differ in their first word. */
static inline bool span_same_short(const char *a, const char *b, size_t n)
{
    uint64_t a8, b8, a8_last, b8_last;
    uint32_t a4, b4, a4_last, b4_last;
    if (n > 2 * sizeof a8) {
        memcpy(&a8, a, sizeof a8);
        memcpy(&b8, b, sizeof b8);
        return a8 == b8 && memcmp(a, b, n) == 0;
    }
    if (n >= sizeof a8) {
        memcpy(&a8, a, sizeof a8);
        memcpy(&b8, b, sizeof b8);
        memcpy(&a8_last, a + n - sizeof a8, sizeof a8);
        memcpy(&b8_last, b + n - sizeof b8, sizeof b8);
        return ((a8 ^ b8) | (a8_last ^ b8_last)) == 0;
    }
    if (n >= sizeof a4) {
        memcpy(&a4, a, sizeof a4);
        memcpy(&b4, b, sizeof b4);
        memcpy(&a4_last, a + n - sizeof a4, sizeof a4);
        memcpy(&b4_last, b + n - sizeof b4, sizeof b4);
        return ((a4 ^ b4) | (a4_last ^ b4_last)) == 0;
    }
    return n == 0 || (a[0] == b[0] && a[n - 1] == b[n - 1] && a[n / 2] == b[n / 2]);
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && span_same_short(a.p, b.p, b.n);
}

static inline bool span_eq_cstr(struct span a, const char *s)
{
    return span_eq(a, span_cstr(s));
}

/* memcpy for what is mostly short: a call takes longer than copying two words that may overlap. */
static inline void span_copy_short(char *to, const char *from, size_t n)
{
    struct {
        uint64_t low, high;
    } first16, last16;
    uint64_t first, last;
    uint32_t first4, last4;
    if (n > 2 * sizeof first16) {
        memcpy(to, from, n);
    } else if (n >= sizeof first16) {
        memcpy(&first16, from, sizeof first16);
        memcpy(&last16, from + n - sizeof last16, sizeof last16);
        memcpy(to, &first16, sizeof first16);
        memcpy(to + n - sizeof last16, &last16, sizeof last16);
    } else if (n >= sizeof first) {
        memcpy(&first, from, sizeof first);
        memcpy(&last, from + n - sizeof last, sizeof last);
        memcpy(to, &first, sizeof first);
        memcpy(to + n - sizeof last, &last, sizeof last);
    } else if (n >= sizeof first4) {
        memcpy(&first4, from, sizeof first4);
        memcpy(&last4, from + n - sizeof last4, sizeof last4);
        memcpy(to, &first4, sizeof first4);
        memcpy(to + n - sizeof last4, &last4, sizeof last4);
    } else {
        for (size_t i = 0; i < n; i++) {
            to[i] = from[i];
        }
    }
}

static inline bool span_is_empty(struct span s)
{
    return s.n == 0;
}

/* The tail from `from` on; from past the end gives the empty span at the end. */
static inline struct span span_from(struct span s, size_t from)
{
    if (from > s.n) {
        from = s.n;
    }
    return (struct span){s.p + from, s.n - from};
}

static inline struct span span_first(struct span s, size_t n)
{
    return (struct span){s.p, n < s.n ? n : s.n};
}

/* Bytewise order as strcmp would have it; <0, 0, >0. */
int span_cmp(struct span a, struct span b);
/* Is it one of these words? SPAN_IS_ONE_OF takes an array. */
bool span_is_one_of(struct span s, const char *const *words, size_t n);
#define SPAN_IS_ONE_OF(s, words) span_is_one_of(s, words, sizeof(words) / sizeof *(words))
static inline bool span_starts(struct span s, struct span prefix)
{
    return s.n >= prefix.n && span_eq(span_first(s, prefix.n), prefix);
}
bool span_ends(struct span s, struct span suffix);
bool span_eq_nocase(struct span a, struct span b);
/* Index of the first byte c, or s.n. */
size_t span_find(struct span s, char c);
/* Index of the last byte c, or s.n. */
size_t span_rfind(struct span s, char c);
/* Splits at the first c: the part before it is returned, *rest becomes what follows (empty, p NULL,
 * when c was absent). */
struct span span_cut(struct span *rest, char c);
/* Drops ASCII white space at both ends. */
struct span span_trim(struct span s);
/* Whole span as a decimal number, sign allowed, no space, no overflow. Returns false and leaves
 * *ret otherwise. */
bool span_to_i64(struct span s, int64_t *ret);
bool span_to_u64(struct span s, uint64_t *ret);
/* The other way, into bytes of the caller's: char digits[SPAN_NUMBER_BYTES]. */
enum { SPAN_NUMBER_BYTES = 24 };
struct span span_u64(char to[SPAN_NUMBER_BYTES], uint64_t n);
struct span span_i64(char to[SPAN_NUMBER_BYTES], int64_t n);

#endif
