/* codec/cron.c: see cron.h. */
#include "codec/cron.h"

#include "base/check.h"
#include "codec/time.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, MINUTE_MS = 60 * 1000, DAYS_MAX = 5 * 366, FIELDS = 5 };

/* A parse and what is wrong with it: the first fault stays. */
struct reader {
    struct arena *a;
    struct span fault;
};

#define FAULT(r, ...) ((r)->fault = (r)->fault.n ? (r)->fault : arena_printf((r)->a, __VA_ARGS__))

/* ---- fields ---- */

static const struct bounds {
    uint64_t min, max;
    const char *words; /* from `min` on */
} fields[FIELDS] = {{0, 59, ""},
                    {0, 23, ""},
                    {1, 31, ""},
                    {1, 12, "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"},
                    {0, 6, "SUN MON TUE WED THU FRI SAT"}};

static uint64_t number_of(struct reader *r, struct span text)
{
    int64_t n = 0;
    bool digits = text.n > 0;
    for (size_t i = 0; i < text.n; i++) {
        bool sign = i == 0 && text.n > 1 && (text.p[0] == '-' || text.p[0] == '+');
        digits = digits && (sign || (text.p[i] >= '0' && text.p[i] <= '9'));
    }
    if (!digits || !span_to_i64(text, &n)) {
        FAULT(r, "failed to parse int from %.*s: strconv.Atoi: parsing \"%.*s\": %s",
              SPAN_ARG(text), SPAN_ARG(text), digits ? "value out of range" : "invalid syntax");
    } else if (n < 0) {
        FAULT(r, "negative number (%lld) not allowed: %.*s", (long long)n, SPAN_ARG(text));
    }
    return n < 0 ? 0 : (uint64_t)n;
}

static uint64_t word_or_number(struct reader *r, const struct bounds *b, struct span text)
{
    struct span rest = span_cstr(b->words);
    for (uint64_t n = b->min; rest.n; n++) {
        if (span_eq_nocase(text, span_cut(&rest, ' '))) {
            return n;
        }
    }
    return number_of(r, text);
}

static size_t count_of(struct span s, char c)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        n += s.p[i] == c;
    }
    return n;
}

struct range {
    uint64_t first, last, step;
    bool star;
};

static void check_range(struct reader *r, const struct bounds *b, struct span entry,
                        const struct range *x)
{
    if (x->first < b->min) {
        FAULT(r, "beginning of range (%llu) below minimum (%llu): %.*s",
              (unsigned long long)x->first, (unsigned long long)b->min, SPAN_ARG(entry));
    } else if (x->last > b->max) {
        FAULT(r, "end of range (%llu) above maximum (%llu): %.*s", (unsigned long long)x->last,
              (unsigned long long)b->max, SPAN_ARG(entry));
    } else if (x->first > x->last) {
        FAULT(r, "beginning of range (%llu) beyond end of range (%llu): %.*s",
              (unsigned long long)x->first, (unsigned long long)x->last, SPAN_ARG(entry));
    } else if (x->step == 0) {
        FAULT(r, "step of range should be a positive number: %.*s", SPAN_ARG(entry));
    }
}

/* "*", N or N-M, each with "/STEP"; N/STEP goes on to the end. */
static uint64_t entry_bits(struct reader *r, const struct bounds *b, struct span entry, bool *star)
{
    struct span step = entry, both = span_cut(&step, '/'), last = both;
    struct span first = span_cut(&last, '-');
    struct range x = {b->min, b->max, 1, false};
    bool any = span_eq(first, SPAN("*")) || span_eq(first, SPAN("?"));
    if (!any) {
        x.first = x.last = word_or_number(r, b, first);
        if (count_of(both, '-') == 1) {
            x.last = word_or_number(r, b, last);
        } else if (count_of(both, '-') > 1) {
            FAULT(r, "too many hyphens: %.*s", SPAN_ARG(entry));
        }
    }
    if (count_of(entry, '/') == 1) {
        x.step = number_of(r, step);
        x.last = first.n == both.n ? b->max : x.last;
    } else if (count_of(entry, '/') > 1) {
        FAULT(r, "too many slashes: %.*s", SPAN_ARG(entry));
    }
    if (!r->fault.n) {
        check_range(r, b, entry, &x);
    }
    uint64_t bits = 0;
    for (uint64_t n = x.first; !r->fault.n && n <= x.last; n += x.step) {
        bits |= (uint64_t)1 << n;
        if (x.step > b->max) {
            break;
        }
    }
    *star |= any && x.step == 1;
    return bits;
}

static uint64_t field_bits(struct reader *r, size_t field, struct span list, bool *star)
{
    uint64_t bits = 0;
    assert(field < FIELDS);
    while (list.n && !r->fault.n) {
        struct span entry = span_cut(&list, ',');
        bits |= entry.n ? entry_bits(r, &fields[field], entry, star) : 0;
    }
    return bits;
}

/* ---- words ---- */

static bool unit_ns(struct span unit, int64_t *ret)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"ns", 1},
                 {"us", 1000},
                 {"\xc2\xb5s", 1000},
                 {"\xce\xbcs", 1000},
                 {"ms", 1000000},
                 {"s", 1000000000},
                 {"m", 60 * (int64_t)1000000000},
                 {"h", 3600 * (int64_t)1000000000}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (span_eq_cstr(unit, units[i].name)) {
            *ret = units[i].ns;
            return true;
        }
    }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits with at most one point among them; false: none, or too many before it. */
static bool take_decimal(struct span *rest, int64_t *ret_whole, int64_t *ret_part,
                         int64_t *ret_scale)
{
    size_t i = 0, digits = 0;
    bool point = false;
    *ret_whole = *ret_part = 0;
    *ret_scale = 1;
    for (; i < rest->n && (is_digit(rest->p[i]) || (rest->p[i] == '.' && !point)); i++) {
        int64_t digit = rest->p[i] - '0';
        if (rest->p[i] == '.') {
            point = true;
            continue;
        }
        digits++;
        if (point && *ret_scale < 1000000000) {
            *ret_scale *= 10;
            *ret_part = *ret_part * 10 + digit;
        } else if (!point && *ret_whole > INT64_MAX / 10 - 1) {
            return false;
        } else if (!point) {
            *ret_whole = *ret_whole * 10 + digit;
        }
    }
    *rest = span_from(*rest, i);
    return digits > 0;
}

static struct span take_unit(struct span *rest)
{
    size_t end = 0;
    while (end < rest->n && !is_digit(rest->p[end]) && rest->p[end] != '.') {
        end++;
    }
    struct span unit = span_first(*rest, end);
    *rest = span_from(*rest, end);
    return unit;
}

/* "1h30m", "1.5h" behind "@every ": whole seconds, at least one. */
static int64_t duration_s(struct reader *r, struct span word, struct span text)
{
    struct span rest = span_from(text, text.n && (text.p[0] == '-' || text.p[0] == '+'));
    int64_t total = 0, whole, part, scale, ns;
    bool ok = rest.n > 0;
    rest = span_eq(rest, SPAN("0")) ? SPAN_NULL : rest;
    while (ok && rest.n) {
        ok = take_decimal(&rest, &whole, &part, &scale);
        struct span unit = ok ? take_unit(&rest) : SPAN_NULL;
        if (ok && unit.n == 0) {
            FAULT(r, "failed to parse duration %.*s: time: missing unit in duration \"%.*s\"",
                  SPAN_ARG(word), SPAN_ARG(text));
            return 1;
        }
        if (ok && !unit_ns(unit, &ns)) {
            FAULT(r,
                  "failed to parse duration %.*s: time: unknown unit \"%.*s\" in duration "
                  "\"%.*s\"",
                  SPAN_ARG(word), SPAN_ARG(unit), SPAN_ARG(text));
            return 1;
        }
        ok = ok && whole < (INT64_MAX - total) / ns - 1;
        total += ok ? whole * ns + part * (ns / scale) : 0;
    }
    if (!ok) {
        FAULT(r, "failed to parse duration %.*s: time: invalid duration \"%.*s\"", SPAN_ARG(word),
              SPAN_ARG(text));
    }
    int64_t s = text.n && text.p[0] == '-' ? 0 : total / 1000000000;
    return s < 1 ? 1 : s;
}

/* A word that begins with @ as the five fields it stands for; empty: none of them. */
static struct span fields_of_word(struct span word)
{
    static const struct {
        const char *word, *fields;
    } words[] = {{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
                 {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
                 {"@hourly", "0 * * * *"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (span_eq_cstr(word, words[i].word)) {
            return span_cstr(words[i].fields);
        }
    }
    return SPAN_NULL;
}

/* ---- all of it ---- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span next_word(struct span *rest)
{
    size_t from = 0, to;
    while (from < rest->n && is_blank(rest->p[from])) {
        from++;
    }
    for (to = from; to < rest->n && !is_blank(rest->p[to]);) {
        to++;
    }
    struct span word = span_first(span_from(*rest, from), to - from);
    *rest = span_from(*rest, to);
    return word;
}

static void parse_fields(struct reader *r, struct span text, struct cron *ret)
{
    struct span part[FIELDS], rest = text, shown = SPAN_NULL;
    uint64_t *bits[FIELDS] = {&ret->minute, &ret->hour, &ret->day, &ret->month, &ret->weekday};
    bool star[FIELDS] = {false};
    size_t n = 0;
    for (struct span word; (word = next_word(&rest)).n; n++) {
        if (n < FIELDS) {
            part[n] = word;
        }
        shown = n ? arena_printf(r->a, "%.*s %.*s", SPAN_ARG(shown), SPAN_ARG(word)) : word;
        if (n > FIELDS * 2) {
            shown = text; /* not for ever */
            while (next_word(&rest).n) {
                n++;
            }
        }
    }
    if (n != FIELDS) {
        FAULT(r, "expected exactly 5 fields, found %zu: [%.*s]", n, SPAN_ARG(shown));
        return;
    }
    for (size_t i = 0; i < FIELDS; i++) {
        *bits[i] = field_bits(r, i, part[i], &star[i]);
    }
    ret->any_day = star[2];
    ret->any_weekday = star[4];
}

bool cron_parse(struct arena *a, struct span text, struct cron *ret, struct span *ret_fault)
{
    static const char every[] = "@every ";
    struct reader r = {.a = a};
    assert(a);
    assert(ret);
    assert(ret_fault);
    *ret = (struct cron){0};
    if (text.n == 0) {
        FAULT(&r, "empty spec string");
    } else if (text.p[0] != '@') {
        parse_fields(&r, text, ret);
    } else if (fields_of_word(text).n) {
        parse_fields(&r, fields_of_word(text), ret);
    } else if (span_starts(text, span_cstr(every))) {
        ret->every_s = duration_s(&r, text, span_from(text, sizeof every - 1));
    } else {
        FAULT(&r, "unrecognized descriptor: %.*s", SPAN_ARG(text));
    }
    *ret_fault = r.fault;
    return r.fault.n == 0;
}

/* ---- times ---- */

static bool day_fits(const struct cron *c, int64_t day)
{
    struct time_date d = time_date_of(day);
    int64_t weekday = ((day + 4) % 7 + 7) % 7; /* 1970 began on a Thursday */
    bool of_month = c->day >> d.day & 1, of_week = c->weekday >> weekday & 1;
    bool either = !c->any_day && !c->any_weekday;
    return (c->month >> d.month & 1) && (either ? of_month || of_week : of_month && of_week);
}

static bool minute_fits(const struct cron *c, int64_t minute)
{
    assert(minute >= 0);
    assert(minute < DAY_MS / MINUTE_MS);
    return (c->hour >> (minute / 60) & 1) && (c->minute >> (minute % 60) & 1);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t cron_next(const struct cron *c, int64_t after_ms)
{
    if (c->every_s) {
        return (floor_div(after_ms, 1000) + c->every_s) * 1000;
    }
    int64_t from = floor_div(after_ms, MINUTE_MS) + 1, day = floor_div(from, 24 * 60);
    int64_t minute = from - day * 24 * 60;
    for (int days = 0; days < DAYS_MAX; days++, day++, minute = 0) {
        minute = day_fits(c, day) ? minute : 24 * 60;
        for (; minute < 24 * 60; minute++) {
            if (minute_fits(c, minute)) {
                return (day * 24 * 60 + minute) * MINUTE_MS;
            }
        }
    }
    return 0;
}

int64_t cron_last(const struct cron *c, int64_t after_ms, int64_t until_ms)
{
    if (c->every_s) {
        int64_t from = floor_div(after_ms, 1000) * 1000, step = c->every_s * 1000;
        return until_ms - from >= step ? until_ms - (until_ms - from) % step : 0;
    }
    int64_t to = floor_div(until_ms, MINUTE_MS), day = floor_div(to, 24 * 60);
    int64_t minute = to - day * 24 * 60;
    for (int days = 0; days < DAYS_MAX; days++, day--, minute = 24 * 60 - 1) {
        minute = day_fits(c, day) ? minute : -1;
        for (; minute >= 0; minute--) {
            int64_t at = (day * 24 * 60 + minute) * MINUTE_MS;
            if (minute_fits(c, minute)) {
                return at > after_ms ? at : 0;
            }
        }
        if (day * DAY_MS <= after_ms) {
            return 0;
        }
    }
    return 0;
}
