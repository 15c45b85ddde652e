#include "base/format.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/span.h"

struct arguments {
    va_list ap;
};

struct out {
    char *to;
    size_t room, n; /* n: bytes of the text, which may be more than fit */
};

static inline void put(struct out *o, const char *p, size_t n)
{
    size_t left = o->n < o->room ? o->room - o->n : 0, fits = n < left ? n : left;
    span_copy_short(o->to + o->n, p, fits);
    o->n += n;
}

static void put_unsigned(struct out *o, uint64_t value)
{
    char digits[SPAN_NUMBER_BYTES];
    struct span s = span_u64(digits, value);
    put(o, s.p, s.n);
}

static void put_hex(struct out *o, uint64_t value)
{
    char text[2 * sizeof value], *at = text + sizeof text;
    do {
        *--at = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value > 0);
    assert(at >= text);
    put(o, at, (size_t)(text + sizeof text - at));
}

static void put_signed(struct out *o, int64_t value)
{
    char digits[SPAN_NUMBER_BYTES];
    struct span s = span_i64(digits, value);
    put(o, s.p, s.n);
}

/* What stands behind the percent sign. */
enum conversion { PERCENT, CHAR, TEXT, TEXT_N, INT, UNSIGNED, LONG, ULONG, ULONG_HEX, OTHER };

_Static_assert(sizeof(long) == sizeof(long long) && sizeof(long) == sizeof(size_t), "LP64");

/* n bytes belong to it. */
static enum conversion taken(const char **at, size_t n, enum conversion is)
{
    *at += n;
    return is;
}

static enum conversion conversion(const char **at)
{
    const char *p = *at;
    switch (p[0]) {
    case '.':
        return p[1] == '*' && p[2] == 's' ? taken(at, 3, TEXT_N) : OTHER;
    case 's':
        return taken(at, 1, TEXT);
    case 'd':
        return taken(at, 1, INT);
    case 'u':
        return taken(at, 1, UNSIGNED);
    case 'c':
        return taken(at, 1, CHAR);
    case '%':
        return taken(at, 1, PERCENT);
    case 'z':
        return p[1] == 'u' ? taken(at, 2, ULONG) : OTHER;
    case 'l':
        p += p[1] == 'l' ? 2 : 1;
        return p[0] == 'd'   ? taken(at, (size_t)(p - *at) + 1, LONG)
               : p[0] == 'u' ? taken(at, (size_t)(p - *at) + 1, ULONG)
               : p[0] == 'x' ? taken(at, (size_t)(p - *at) + 1, ULONG_HEX)
                             : OTHER;
    default:
        return OTHER;
    }
}

/* False: vsnprintf shall do it. */
static bool put_text(struct out *o, const char *text, int max)
{
    if (!text) {
        return max == 0;
    }
    put(o, text, max < 0 ? strlen(text) : strnlen(text, (size_t)max));
    return true;
}

/* False: vsnprintf shall do it. */
static bool put_next(struct out *o, const char **at, struct arguments *a)
{
    switch (conversion(at)) {
    case PERCENT:
        put(o, "%", 1);
        return true;
    case CHAR: {
        char c = (char)va_arg(a->ap, int);
        put(o, &c, 1);
        return true;
    }
    case TEXT:
        return put_text(o, va_arg(a->ap, const char *), -1);
    case TEXT_N: {
        int max = va_arg(a->ap, int);
        return put_text(o, va_arg(a->ap, const char *), max);
    }
    case INT:
        put_signed(o, va_arg(a->ap, int));
        return true;
    case UNSIGNED:
        put_unsigned(o, va_arg(a->ap, unsigned));
        return true;
    case LONG:
        put_signed(o, va_arg(a->ap, long));
        return true;
    case ULONG:
        put_unsigned(o, va_arg(a->ap, unsigned long));
        return true;
    case ULONG_HEX:
        put_hex(o, va_arg(a->ap, unsigned long));
        return true;
    case OTHER:
        break;
    }
    return false;
}

int format_text(char *to, size_t room, const char *fmt, va_list ap)
{
    struct out o = {to, room, 0};
    struct arguments a;
    va_copy(a.ap, ap);
    const char *at = fmt, *percent = NULL;
    bool known = true;
    for (; known && *at; at = percent) {
        /* Conversions mostly follow each other closely. */
        percent = at[0] == '%' ? at : at[1] == '%' ? at + 1 : strchrnul(at + 1, '%');
        if (percent > at) {
            put(&o, at, (size_t)(percent - at));
        }
        if (*percent) {
            percent++;
            known = put_next(&o, &percent, &a);
        }
    }
    va_end(a.ap);
    if (!known) {
        return vsnprintf(to, room, fmt, ap);
    }
    assert(o.n < INT_MAX);
    if (room) {
        to[o.n < room ? o.n : room - 1] = '\0';
    }
    return (int)o.n;
}
