#include "base/span.h"

#include "base/check.h"

bool span_is_one_of(struct span s, const char *const *words, size_t n)
{
    assert(words);
    for (size_t i = 0; i < n; i++) {
        if (span_eq_cstr(s, words[i])) {
            return true;
        }
    }
    return false;
}

int span_cmp(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    if (n && a.p[0] != b.p[0]) { /* mostly */
        return (unsigned char)a.p[0] < (unsigned char)b.p[0] ? -1 : 1;
    }
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c) {
        return c;
    }
    return a.n < b.n ? -1 : a.n > b.n;
}

bool span_ends(struct span s, struct span suffix)
{
    return s.n >= suffix.n && span_eq(span_from(s, s.n - suffix.n), suffix);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool span_eq_nocase(struct span a, struct span b)
{
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

size_t span_find(struct span s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

size_t span_rfind(struct span s, char c)
{
    const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

struct span span_cut(struct span *rest, char c)
{
    assert(rest);
    size_t at = span_find(*rest, c);
    struct span head = span_first(*rest, at);
    *rest = at < rest->n ? span_from(*rest, at + 1) : SPAN_NULL;
    return head;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct span span_trim(struct span s)
{
    while (s.n && is_space(s.p[0])) {
        s = span_from(s, 1);
    }
    while (s.n && is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

bool span_to_u64(struct span s, uint64_t *ret)
{
    assert(ret);
    uint64_t v = 0;
    if (s.n == 0) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v)) {
            return false;
        }
    }
    *ret = v;
    return true;
}

bool span_to_i64(struct span s, int64_t *ret)
{
    assert(ret);
    bool negative = s.n && s.p[0] == '-';
    uint64_t v;
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        s = span_from(s, 1);
    }
    if (!span_to_u64(s, &v) || v > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

struct span span_u64(char to[SPAN_NUMBER_BYTES], uint64_t n)
{
    size_t at = SPAN_NUMBER_BYTES;
    do {
        to[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    assert(at > 0); /* room for a sign */
    return span_of(to + at, SPAN_NUMBER_BYTES - at);
}

struct span span_i64(char to[SPAN_NUMBER_BYTES], int64_t n)
{
    struct span s = span_u64(to, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
    if (n < 0) {
        s.p--;
        s.n++;
        to[SPAN_NUMBER_BYTES - s.n] = '-';
    }
    return s;
}
