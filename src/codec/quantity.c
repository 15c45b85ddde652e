#include "codec/quantity.h"

#include <stdio.h>

#include "base/check.h"

#define NANO ((__int128)1000000000)
/* Digits beyond this cannot matter: the cap is reached by 19, and nine are kept after the point. */
enum { DIGITS_MAX = 30 };

static const char syntax_text[] = "quantities must match the regular expression "
                                  "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
static const char suffix_text[] = "unable to parse quantity's suffix";

static __int128 cap(void)
{
    return (__int128)INT64_MAX * NANO;
}

struct suffix {
    struct span text;
    int power; /* of ten, or of 1024 */
};

static const struct suffix decimal_suffixes[] = {
    {SPAN("n"), -9}, {SPAN("u"), -6}, {SPAN("m"), -3}, {SPAN(""), 0},   {SPAN("k"), 3},
    {SPAN("M"), 6},  {SPAN("G"), 9},  {SPAN("T"), 12}, {SPAN("P"), 15}, {SPAN("E"), 18}};
static const struct suffix binary_suffixes[] = {{SPAN("Ki"), 1}, {SPAN("Mi"), 2}, {SPAN("Gi"), 3},
                                                {SPAN("Ti"), 4}, {SPAN("Pi"), 5}, {SPAN("Ei"), 6}};

/* Family and power of a suffix; false when there is no such suffix. */
static bool read_suffix(struct span s, enum quantity_family *family, int *power)
{
    for (size_t i = 0; i < sizeof decimal_suffixes / sizeof *decimal_suffixes; i++) {
        if (span_eq(s, decimal_suffixes[i].text)) {
            *family = QUANTITY_DECIMAL;
            *power = decimal_suffixes[i].power;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof binary_suffixes / sizeof *binary_suffixes; i++) {
        if (span_eq(s, binary_suffixes[i].text)) {
            *family = QUANTITY_BINARY;
            *power = binary_suffixes[i].power;
            return true;
        }
    }
    int64_t exponent;
    if (s.n >= 2 && (s.p[0] == 'e' || s.p[0] == 'E') && s.n <= 5) {
        struct span number = span_from(s, 1);
        if (span_to_i64(number, &exponent)) {
            *family = QUANTITY_EXPONENT;
            *power = (int)exponent;
            return true;
        }
    }
    return false;
}

/* value * 10^power in billionths, rounded away from zero; anything too large becomes the cap. */
static __int128 scale_ten(__int128 mantissa, int power)
{
    static const int64_t thousands[] = {1, 1000, 1000000, 1000000000};
    power += 9;
    if (mantissa <= INT64_MAX && power > 0 && power <= 9) { /* nearly all */
        mantissa *= thousands[power / 3];
        power %= 3;
    }
    for (; power > 0 && mantissa <= cap(); power--) {
        mantissa *= 10;
    }
    bool rest = false;
    for (; power < 0 && mantissa > 0; power++) {
        rest |= mantissa % 10 != 0;
        mantissa /= 10;
    }
    mantissa += rest;
    return mantissa > cap() ? cap() : mantissa;
}

/* mantissa * 10^-decimals * 1024^power in billionths. */
static __int128 scale_binary(__int128 mantissa, int decimals, int power)
{
    for (; power > 0 && mantissa <= cap(); power--) {
        mantissa *= 1024;
    }
    return scale_ten(mantissa > cap() ? cap() : mantissa, -decimals);
}

const char *quantity_parse(struct span text, struct quantity *ret)
{
    assert(ret);
    size_t i = 0;
    bool negative = text.n && text.p[0] == '-';
    i += text.n && (text.p[0] == '-' || text.p[0] == '+');
    __int128 mantissa = 0;
    int digits = 0, kept = 0, decimals = 0, points = 0;
    for (; i < text.n && ((text.p[i] >= '0' && text.p[i] <= '9') || text.p[i] == '.'); i++) {
        if (text.p[i] == '.') {
            points++;
            continue;
        }
        digits++;
        if (kept < DIGITS_MAX) {
            mantissa = mantissa * 10 + (text.p[i] - '0');
            kept += mantissa != 0;
            decimals += points > 0;
        } else if (points == 0) {
            mantissa = cap();
        }
    }
    if (digits == 0 || points > 1) {
        return syntax_text;
    }
    enum quantity_family family;
    int power;
    if (!read_suffix(span_from(text, i), &family, &power)) {
        struct span s = span_from(text, i);
        for (size_t k = 0; k < s.n; k++) {
            if (!strchr("eEinumkKMGTP+-0123456789", s.p[k])) {
                return syntax_text;
            }
        }
        return suffix_text;
    }
    __int128 nano = family == QUANTITY_BINARY ? scale_binary(mantissa, decimals, power)
                                              : scale_ten(mantissa, power - decimals);
    *ret = (struct quantity){.nano = negative ? -nano : nano, .family = family};
    return NULL;
}

static __int128 rounded(__int128 nano, __int128 unit)
{
    __int128 q = nano / unit;
    return nano % unit ? q + (nano < 0 ? -1 : 1) : q;
}

static struct span format_binary(__int128 units, char buf[QUANTITY_TEXT_BYTES])
{
    size_t power = 0;
    while (units % 1024 == 0 && power < 6) {
        units /= 1024;
        power++;
    }
    int n = snprintf(buf, QUANTITY_TEXT_BYTES, "%lld%s", (long long)units,
                     power ? binary_suffixes[power - 1].text.p : "");
    return span_of(buf, (size_t)n);
}

struct span quantity_format(const struct quantity *q, char buf[QUANTITY_TEXT_BYTES])
{
    assert(q);
    assert(q->nano <= cap());
    assert(q->nano >= -cap());
    __int128 v = q->nano;
    if (v == 0) {
        buf[0] = '0';
        buf[1] = '\0';
        return span_of(buf, 1);
    }
    if (q->family == QUANTITY_BINARY && (v >= 1024 * NANO || v <= -1024 * NANO)) {
        return format_binary(rounded(v, NANO), buf);
    }
    size_t i = 0; /* decimal_suffixes[0] is billionths */
    while (v % 1000 == 0 && i + 1 < sizeof decimal_suffixes / sizeof *decimal_suffixes) {
        v /= 1000;
        i++;
    }
    int n;
    if (q->family == QUANTITY_EXPONENT && decimal_suffixes[i].power != 0) {
        n = snprintf(buf, QUANTITY_TEXT_BYTES, "%llde%d", (long long)v, decimal_suffixes[i].power);
    } else {
        n = snprintf(buf, QUANTITY_TEXT_BYTES, "%lld%s", (long long)v, decimal_suffixes[i].text.p);
    }
    assert(n > 0);
    assert(n < QUANTITY_TEXT_BYTES);
    return span_of(buf, (size_t)n);
}

int quantity_cmp(const struct quantity *a, const struct quantity *b)
{
    assert(a);
    assert(b);
    return a->nano < b->nano ? -1 : a->nano > b->nano;
}

bool quantity_same(struct span a, struct span b)
{
    struct quantity x, y;
    return !quantity_parse(a, &x) && !quantity_parse(b, &y) && quantity_cmp(&x, &y) == 0;
}

static int64_t saturated(__int128 v)
{
    return v > INT64_MAX ? INT64_MAX : v < -INT64_MAX ? -INT64_MAX : (int64_t)v;
}

int64_t quantity_units(const struct quantity *q)
{
    assert(q);
    return saturated(rounded(q->nano, NANO));
}

int64_t quantity_millis(const struct quantity *q)
{
    assert(q);
    return saturated(rounded(q->nano, 1000000));
}
