#include "base/format.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

struct arguments {
    va_list ap;
};

struct out {
    char *to;
    size_t room, n; /* n: bytes of the text, which may be more than fit */
};

static void put(struct out *o, const char *p, size_t n)
{
    size_t left = o->n < o->room ? o->room - o->n : 0, fits = n < left ? n : left;
    if (fits > 0) {
        memcpy(o->to + o->n, p, fits);
    }
    o->n += n;
}

static void put_number(struct out *o, uint64_t value, bool negative)
{
    char text[24], *at = text + sizeof text;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (negative) {
        *--at = '-';
    }
    assert(at > text);
    put(o, at, (size_t)(text + sizeof text - at));
}

static void put_signed(struct out *o, int64_t value)
{
    put_number(o, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

/* What stands behind the percent sign. */
enum conversion { PERCENT, CHAR, TEXT, TEXT_N, INT, UNSIGNED, LONG, ULONG, OTHER };

_Static_assert(sizeof(long) == sizeof(long long) && sizeof(long) == sizeof(size_t), "LP64");

static enum conversion conversion(const char **at)
{
    static const struct {
        char text[5];
        enum conversion is;
    } all[] = {{"s", TEXT},    {".*s", TEXT_N}, {"d", INT},      {"lld", LONG},
               {"zu", ULONG},  {"c", CHAR},     {"u", UNSIGNED}, {"%", PERCENT},
               {"llu", ULONG}, {"ld", LONG},    {"lu", ULONG}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        size_t n = 0;
        while (all[i].text[n] && all[i].text[n] == (*at)[n]) {
            n++;
        }
        if (!all[i].text[n]) {
            *at += n;
            return all[i].is;
        }
    }
    return OTHER;
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
        put_number(o, va_arg(a->ap, unsigned), false);
        return true;
    case LONG:
        put_signed(o, va_arg(a->ap, long));
        return true;
    case ULONG:
        put_number(o, va_arg(a->ap, unsigned long), false);
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
        percent = strchrnul(at, '%');
        put(&o, at, (size_t)(percent - at));
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
