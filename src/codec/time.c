/* codec/time.c: civil dates by the day count of a 400-year era that begins on the first of March.
 * Read as kube-apiserver reads them: no leap seconds, and a capital T and Z. */
#include "codec/time.h"

#include <stdio.h>

#include "base/check.h"

enum { DAYS_PER_ERA = 146097, ERA_TO_1970_DAYS = 719468, DAY_S = 24 * 60 * 60 };

struct time_date time_date_of(int64_t days)
{
    days += ERA_TO_1970_DAYS;
    int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    uint32_t doe = (uint32_t)(days - era * DAYS_PER_ERA); /* small numbers divide quickly */
    uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    uint32_t mp = (5 * doy + 2) / 153;
    int month = (int)(mp < 10 ? mp + 3 : mp - 9);
    assert(doe < DAYS_PER_ERA);
    assert(month >= 1 && month <= 12);
    return (struct time_date){(int64_t)yoe + era * 400 + (month <= 2), month,
                              (int)(doy - (153 * mp + 2) / 5 + 1)};
}

static int64_t days_of_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    uint32_t yoe = (uint32_t)(year - era * 400), mp = (uint32_t)(month > 2 ? month - 3 : month + 9);
    uint32_t doe = yoe * 365 + yoe / 4 - yoe / 100 + (153 * mp + 2) / 5 + (uint32_t)day - 1;
    return era * DAYS_PER_ERA + doe - ERA_TO_1970_DAYS;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* printf takes ten times as long, and every object has a few times in it. */
static inline char *put_two(char *at, unsigned value)
{
    assert(value < 100);
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
    return at + 2;
}

static inline char *put_part(char *at, char before, unsigned value)
{
    *at = before;
    return put_two(at + 1, value);
}

static int format_seconds(char *buf, size_t cap, int64_t s)
{
    int64_t days = floor_div(s, DAY_S);
    unsigned in_day = (unsigned)(s - days * DAY_S);
    struct time_date c = time_date_of(days);
    char *at = buf;
    assert(cap >= sizeof "-9223372036-01-01T00:00:00");
    if (c.year >= 0 && c.year <= 9999) {
        at = put_two(put_two(at, (unsigned)c.year / 100), (unsigned)c.year % 100);
    } else {
        at += snprintf(at, cap, "%04lld", (long long)c.year);
    }
    at = put_part(put_part(at, '-', (unsigned)c.month), '-', (unsigned)c.day);
    at = put_part(at, 'T', in_day / 3600);
    at = put_part(put_part(at, ':', in_day / 60 % 60), ':', in_day % 60);
    *at = '\0';
    assert((size_t)(at - buf) < cap);
    return (int)(at - buf);
}

/* The second that was asked for last: mostly it is the one that is. n 0: none was. */
static _Thread_local struct {
    int64_t s;
    size_t n;
    char text[TIME_TEXT_BYTES];
} last;

struct span time_format_to(char buf[TIME_TEXT_BYTES], int64_t ms)
{
    int64_t s = floor_div(ms, 1000);
    if (last.n == 0 || last.s != s) {
        int n = format_seconds(last.text, TIME_TEXT_BYTES - 1, s);
        assert(n > 0 && n < TIME_TEXT_BYTES - 2);
        last.text[n] = 'Z';
        last.text[n + 1] = '\0';
        last.n = (size_t)n + 1;
        last.s = s;
    }
    memcpy(buf, last.text, TIME_TEXT_BYTES);
    return span_of(buf, last.n);
}

struct span time_format(struct arena *a, int64_t ms)
{
    assert(a);
    return time_format_to(arena_alloc_raw(a, TIME_TEXT_BYTES), ms);
}

struct span time_format_micro(struct arena *a, int64_t us)
{
    char buf[TIME_TEXT_BYTES];
    int64_t s = floor_div(us, 1000000);
    int n = format_seconds(buf, sizeof buf, s);
    assert(n > 0);
    assert((size_t)n < sizeof buf);
    return arena_printf(a, "%s.%06dZ", buf, (int)(us - s * 1000000));
}

/* A bounded reader with a sticky error. */
struct reader {
    struct span rest;
    bool bad;
};

static int digits(struct reader *r, size_t count)
{
    int value = 0;
    if (r->rest.n < count) {
        r->bad = true;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        char c = r->rest.p[i];
        r->bad |= c < '0' || c > '9';
        value = value * 10 + (c - '0');
    }
    r->rest = span_from(r->rest, count);
    return r->bad ? 0 : value;
}

static char byte(struct reader *r)
{
    if (r->rest.n == 0) {
        r->bad = true;
        return 0;
    }
    char c = r->rest.p[0];
    r->rest = span_from(r->rest, 1);
    return c;
}

static int64_t fraction_us(struct reader *r)
{
    int64_t us = 0, weight = 100000;
    size_t n = 0;
    while (r->rest.n > 0 && r->rest.p[0] >= '0' && r->rest.p[0] <= '9') {
        us += (r->rest.p[0] - '0') * weight;
        weight /= 10;
        n++;
        r->rest = span_from(r->rest, 1);
    }
    r->bad |= n == 0;
    return us;
}

static int64_t offset_s(struct reader *r)
{
    char sign = byte(r);
    if (sign == 'Z') {
        return 0;
    }
    int hours = digits(r, 2);
    r->bad |= byte(r) != ':';
    int minutes = digits(r, 2);
    r->bad |= (sign != '+' && sign != '-') || hours > 23 || minutes > 59;
    int64_t s = (int64_t)hours * 3600 + minutes * 60;
    return sign == '-' ? -s : s;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Two digits as a number; negative: they are none. */
static int pair(const char *p)
{
    unsigned tens = (unsigned)p[0] - '0', ones = (unsigned)p[1] - '0';
    return tens > 9 || ones > 9 ? -1 : (int)(tens * 10 + ones);
}

enum { USUAL_BYTES = sizeof "2006-01-02T15:04:05Z" - 1 };

/* What was read last: the times of an object are mostly the same. n 0: nothing was. */
static _Thread_local struct {
    int64_t us;
    size_t n;
    char text[USUAL_BYTES];
} last_read;

/* "2006-01-02T15:04:05Z" as nearly all are written. False: not of that form, or not in order. */
static bool parse_usual(struct span text, int64_t *ret_us)
{
    const char *p = text.p;
    if (text.n != USUAL_BYTES) {
        return false;
    }
    if (last_read.n == USUAL_BYTES && memcmp(p, last_read.text, USUAL_BYTES) == 0) {
        *ret_us = last_read.us;
        return true;
    }
    if (p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' || p[16] != ':' ||
        p[19] != 'Z') {
        return false;
    }
    int century = pair(p), year = pair(p + 2), month = pair(p + 5), day = pair(p + 8);
    int hour = pair(p + 11), minute = pair(p + 14), second = pair(p + 17);
    if ((century | year | month | day | hour | minute | second) < 0 || hour > 23 || minute > 59 ||
        second > 59 || month < 1 || month > 12 || day < 1) {
        return false;
    }
    year += century * 100;
    if (day > 28 && day > days_in_month(year, month)) {
        return false;
    }
    int64_t s = days_of_civil(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    *ret_us = last_read.us = s * 1000000;
    last_read.n = USUAL_BYTES;
    memcpy(last_read.text, p, USUAL_BYTES);
    return true;
}

bool time_parse_us(struct span text, int64_t *ret_us)
{
    assert(ret_us);
    if (parse_usual(text, ret_us)) {
        return true;
    }
    struct reader r = {text, false};
    int year = digits(&r, 4);
    r.bad |= byte(&r) != '-';
    int month = digits(&r, 2);
    r.bad |= byte(&r) != '-';
    int day = digits(&r, 2);
    r.bad |= byte(&r) != 'T';
    int hour = digits(&r, 2);
    r.bad |= byte(&r) != ':';
    int minute = digits(&r, 2);
    r.bad |= byte(&r) != ':';
    int second = digits(&r, 2);
    int64_t us = 0;
    if (!r.bad && r.rest.n > 0 && r.rest.p[0] == '.') {
        r.rest = span_from(r.rest, 1);
        us = fraction_us(&r);
    }
    int64_t offset = offset_s(&r);
    if (r.bad || r.rest.n > 0 || month < 1 || month > 12 || hour > 23 || minute > 59 ||
        second > 59 || day < 1 || day > days_in_month(year, month)) {
        return false;
    }
    int64_t s =
        days_of_civil(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset;
    int64_t utc_year = offset ? time_date_of(floor_div(s, DAY_S)).year : year;
    if (utc_year < 0 || utc_year > 9999) {
        return false; /* an offset led out of the years that can be written */
    }
    *ret_us = s * 1000000 + us;
    return true;
}

bool time_parse(struct span text, int64_t *ret_ms)
{
    assert(ret_ms);
    int64_t us;
    if (!time_parse_us(text, &us)) {
        return false;
    }
    *ret_ms = floor_div(us, 1000);
    return true;
}

int64_t time_or(struct span text, int64_t otherwise)
{
    int64_t ms = otherwise;
    (void)time_parse(text, &ms);
    return ms;
}

/* "5m", or "5m30s" when the smaller part is not zero. */
static struct span two_parts(struct arena *a, int64_t big, char unit, int64_t small,
                             char small_unit)
{
    if (small == 0) {
        return arena_printf(a, "%lld%c", (long long)big, unit);
    }
    return arena_printf(a, "%lld%c%lld%c", (long long)big, unit, (long long)small, small_unit);
}

struct span time_age(struct arena *a, int64_t age_ms)
{
    assert(a);
    int64_t seconds = age_ms / 1000, minutes = seconds / 60, hours = minutes / 60,
            days = hours / 24;
    if (seconds < -1) {
        return SPAN("<invalid>");
    }
    if (seconds < 0) {
        return SPAN("0s");
    }
    if (seconds < 120) {
        return two_parts(a, seconds, 's', 0, 0);
    }
    if (minutes < 10) {
        return two_parts(a, minutes, 'm', seconds % 60, 's');
    }
    if (minutes < 180) {
        return two_parts(a, minutes, 'm', 0, 0);
    }
    if (hours < 8) {
        return two_parts(a, hours, 'h', minutes % 60, 'm');
    }
    if (hours < 48) {
        return two_parts(a, hours, 'h', 0, 0);
    }
    if (hours < 192) {
        return two_parts(a, days, 'd', hours % 24, 'h');
    }
    if (days < 365 * 2) {
        return two_parts(a, days, 'd', 0, 0);
    }
    if (days < 365 * 8) {
        return two_parts(a, days / 365, 'y', days % 365, 'd');
    }
    return two_parts(a, days / 365, 'y', 0, 0);
}

struct span time_age_since(struct arena *a, struct span text, int64_t now_ms)
{
    int64_t ms;
    if (!time_parse(text, &ms)) {
        return SPAN("<unknown>");
    }
    return time_age(a, now_ms - ms);
}

struct span time_duration(struct arena *a, int64_t ns)
{
    assert(a);
    const char *sign = ns < 0 ? "-" : "";
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, second = 1000000000;
    uint64_t unit = u >= second ? second : u >= 1000000 ? 1000000 : u >= 1000 ? 1000 : 1;
    const char *name = unit == second ? "s" : unit == 1000000 ? "ms" : unit == 1000 ? "µs" : "ns";
    uint64_t minutes = u / second / 60, whole = u >= second ? u / second % 60 : u / unit;
    struct span head = minutes >= 60
                           ? arena_printf(a, "%lluh%llum", (unsigned long long)minutes / 60,
                                          (unsigned long long)minutes % 60)
                       : minutes > 0 ? arena_printf(a, "%llum", (unsigned long long)minutes)
                                     : SPAN_NULL;
    if (u == 0) {
        return SPAN("0s");
    }
    struct span fraction = SPAN_NULL;
    int digits = unit == second ? 9 : unit == 1000000 ? 6 : unit == 1000 ? 3 : 0;
    if (u % unit > 0) {
        fraction = arena_printf(a, ".%0*llu", digits, (unsigned long long)(u % unit));
        while (fraction.p[fraction.n - 1] == '0') {
            fraction.n--;
        }
    }
    return arena_printf(a, "%s%.*s%llu%.*s%s", sign, SPAN_ARG(head), (unsigned long long)whole,
                        SPAN_ARG(fraction), name);
}

/* Nanoseconds of a unit's name; 0: there is none of that name. */
static int64_t unit_ns(struct span name)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"h", 3600 * INT64_C(1000000000)},
                 {"m", 60 * INT64_C(1000000000)},
                 {"s", 1000000000},
                 {"ms", 1000000},
                 {"us", 1000},
                 {"µs", 1000},
                 {"ns", 1}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (span_eq_cstr(name, units[i].name)) {
            return units[i].ns;
        }
    }
    return 0;
}

static size_t digits_in(struct span text)
{
    size_t n = 0;
    while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9') {
        n++;
    }
    return n;
}

/* Cuts "1.5h" off the text. */
static bool cut_part(struct span *text, int64_t *ret_ns)
{
    enum { DECIMALS = 9 };
    struct span whole = span_first(*text, digits_in(*text)), decimals = SPAN_NULL;
    *text = span_from(*text, whole.n);
    if (text->n && text->p[0] == '.') {
        *text = span_from(*text, 1);
        decimals = span_first(*text, digits_in(*text));
        *text = span_from(*text, decimals.n);
    }
    size_t n = 0;
    while (n < text->n && text->p[n] != '.' && !(text->p[n] >= '0' && text->p[n] <= '9')) {
        n++;
    }
    int64_t unit = unit_ns(span_first(*text, n)), units = 0, ns;
    *text = span_from(*text, n);
    if (unit == 0 || whole.n + decimals.n == 0 || (whole.n && !span_to_i64(whole, &units)) ||
        __builtin_mul_overflow(units, unit, &ns)) {
        return false;
    }
    for (size_t i = 0; i < decimals.n && i < DECIMALS; i++) {
        unit /= 10; /* of hours and minutes exact as far as anybody writes them */
        if (__builtin_add_overflow(ns, unit * (decimals.p[i] - '0'), &ns)) {
            return false;
        }
    }
    *ret_ns = ns;
    return true;
}

bool time_duration_parse(struct span text, int64_t *ret_ns)
{
    assert(ret_ns);
    bool minus = text.n && text.p[0] == '-';
    int64_t sum = 0, part;
    text = minus || (text.n && text.p[0] == '+') ? span_from(text, 1) : text;
    if (span_eq(text, SPAN("0"))) {
        *ret_ns = 0;
        return true;
    }
    if (text.n == 0) {
        return false;
    }
    while (text.n) {
        if (!cut_part(&text, &part) || __builtin_add_overflow(sum, part, &sum)) {
            return false;
        }
    }
    *ret_ns = minus ? -sum : sum;
    return true;
}
