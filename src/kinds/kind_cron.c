/* kinds/kind_cron.c: five fields of numbers, ranges, steps and names, or a word with @. */
#include "kinds/kind_cron.h"

#include "base/check.h"

static const struct {
    const char *name;
    uint64_t min, max;
    const char *words; /* from `min` on */
} fields[] = {{"minute", 0, 59, ""},
              {"hour", 0, 23, ""},
              {"day of month", 1, 31, ""},
              {"month", 1, 12, "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"},
              {"day of week", 0, 6, "SUN MON TUE WED THU FRI SAT"}};

enum { FIELDS = sizeof fields / sizeof *fields };

static bool number_of(size_t field, struct span text, uint64_t *ret)
{
    struct span rest = span_cstr(fields[field].words);
    for (uint64_t n = fields[field].min; rest.n; n++) {
        if (span_eq_nocase(text, span_cut(&rest, ' '))) {
            *ret = n;
            return true;
        }
    }
    return span_to_u64(text, ret);
}

/* One entry of a list: "*", "*" or N or N-M, each with "/STEP". */
static bool entry_ok(size_t field, struct span entry)
{
    struct span step = entry, range = span_cut(&step, '/');
    bool has_step = range.n < entry.n;
    uint64_t n, low, high;
    if (has_step && (!span_to_u64(step, &n) || n == 0)) {
        return false;
    }
    if (span_eq(range, SPAN("*")) || span_eq(range, SPAN("?"))) {
        return true;
    }
    struct span last = range, first = span_cut(&last, '-');
    bool is_range = first.n < range.n;
    if (!number_of(field, first, &low)) {
        return false;
    }
    high = low;
    if (is_range && !number_of(field, last, &high)) {
        return false;
    }
    return low >= fields[field].min && high <= fields[field].max && low <= high;
}

static struct span word_fault(struct arena *a, struct span s)
{
    static const char *const words[] = {"@yearly", "@annually", "@monthly", "@weekly",
                                        "@daily",  "@midnight", "@hourly"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (span_eq_cstr(s, words[i])) {
            return SPAN_NULL;
        }
    }
    if (span_starts(s, SPAN("@every ")) && s.n > 7) {
        bool digit = s.p[7] >= '0' && s.p[7] <= '9', letter = s.p[s.n - 1] >= 'a';
        return digit && letter ? SPAN_NULL
                               : arena_printf(a,
                                              "failed to parse duration %.*s: use a number and "
                                              "a unit, such as 1h30m",
                                              SPAN_ARG(s));
    }
    return arena_printf(a, "unrecognized descriptor: %.*s", SPAN_ARG(s));
}

struct span cron_fault(struct arena *a, struct span schedule)
{
    assert(a);
    struct span part[FIELDS], rest = span_trim(schedule);
    size_t n = 0;
    if (span_starts(rest, SPAN("TZ=")) || span_starts(rest, SPAN("CRON_TZ="))) {
        return SPAN("cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    }
    if (span_starts(rest, SPAN("@"))) {
        return word_fault(a, rest);
    }
    while (rest.n) {
        struct span word = span_cut(&rest, ' ');
        if (n < FIELDS) {
            part[n] = word;
        }
        n++;
        rest = span_trim(rest);
    }
    if (n != FIELDS) {
        return arena_printf(a, "expected exactly 5 fields, found %zu: [%.*s]", n,
                            SPAN_ARG(schedule));
    }
    for (size_t i = 0; i < FIELDS; i++) {
        struct span list = part[i];
        do {
            struct span entry = span_cut(&list, ',');
            if (!entry_ok(i, entry)) {
                return arena_printf(a,
                                    "the %s \"%.*s\" is not understood: use numbers from %llu "
                                    "to %llu, ranges, steps or *",
                                    fields[i].name, SPAN_ARG(part[i]),
                                    (unsigned long long)fields[i].min,
                                    (unsigned long long)fields[i].max);
            }
        } while (list.p);
    }
    return SPAN_NULL;
}
