/* test/unit/cron_test.c: schedules: what is read, what is refused and why, and the times. */
#include "codec/cron.h"

#include "codec/time.h"
#include "kit/kit.h"

static int64_t at(const char *text)
{
    int64_t ms = 0;
    CHECK(time_parse(span_cstr(text), &ms));
    return ms;
}

static struct cron cron_of(struct arena *a, const char *text)
{
    struct span fault;
    struct cron c;
    if (!cron_parse(a, span_cstr(text), &c, &fault)) {
        kit_fail(__FILE__, __LINE__, "%s: %.*s", text, SPAN_ARG(fault));
    }
    return c;
}

TEST(times_come_in_order)
{
    static const struct {
        const char *schedule, *after, *next;
    } rows[] = {
        {"* * * * *", "2026-11-20T23:59:59Z", "2026-11-21T00:00:00Z"},
        {"* * * * *", "2026-11-21T00:00:00Z", "2026-11-21T00:01:00Z"},
        {"*/15 * * * *", "2026-11-20T10:31:00Z", "2026-11-20T10:45:00Z"},
        {"5-59/20 * * * *", "2026-11-20T10:45:00Z", "2026-11-20T11:05:00Z"},
        {"50/5 * * * *", "2026-11-20T10:50:00Z", "2026-11-20T10:55:00Z"},
        {"0 22-23,2 * * *", "2026-11-20T23:00:00Z", "2026-11-21T02:00:00Z"},
        {"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
        {"0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"},
        {"30 6 * feb Sun", "2026-01-01T00:00:00Z", "2026-02-01T06:30:00Z"},
        {"0 12 13 * FRI", "2026-11-13T12:00:00Z", "2026-11-20T12:00:00Z"}, /* either is enough */
        {"0 12 13 * *", "2026-11-13T12:00:00Z", "2026-12-13T12:00:00Z"},
        {"0 12 */2 * 5", "2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z"},
        {"0 12 ? * 5", "2026-11-20T12:00:00Z", "2026-11-27T12:00:00Z"},
        {"@hourly", "2026-11-20T12:00:00Z", "2026-11-20T13:00:00Z"},
        {"@daily", "2026-12-31T00:00:01Z", "2027-01-01T00:00:00Z"},
        {"@midnight", "2026-12-31T00:00:01Z", "2027-01-01T00:00:00Z"},
        {"@weekly", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z"},
        {"@monthly", "2026-11-20T00:00:00Z", "2026-12-01T00:00:00Z"},
        {"@yearly", "2026-11-20T00:00:00Z", "2027-01-01T00:00:00Z"},
        {"@annually", "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"},
        {"@every 1h30m", "2026-11-20T00:00:07Z", "2026-11-20T01:30:07Z"},
        {"@every 1.5s", "2026-11-20T00:00:07Z", "2026-11-20T00:00:08Z"},
        {"@every 90000ms", "2026-11-20T00:00:00Z", "2026-11-20T00:01:30Z"},
        {"@every 0", "2026-11-20T00:00:00Z", "2026-11-20T00:00:01Z"},
        {"@every -5h", "2026-11-20T00:00:00Z", "2026-11-20T00:00:01Z"},
        {" 1  2\t3 4 * ", "2026-04-03T00:00:00Z", "2026-04-03T02:01:00Z"},
    };
    struct arena *a cleanup_arena = arena_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cron c = cron_of(a, rows[i].schedule);
        int64_t next = cron_next(&c, at(rows[i].after));
        CHECK_SPAN(time_format(a, next), rows[i].next);
        CHECK_EQ(cron_last(&c, at(rows[i].after), next), next);
        CHECK_EQ(cron_last(&c, at(rows[i].after), next - 1), 0);
    }
}

TEST(the_last_time_is_the_last_that_comes)
{
    static const char *const schedules[] = {"*/7 3-5 * * *", "0 0 1 */3 *", "13 13 13 * 1-3",
                                            "@every 13m"};
    struct arena *a cleanup_arena = arena_new();
    int64_t from = at("2026-02-20T10:10:10Z");
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++) {
        struct cron c = cron_of(a, schedules[i]);
        int64_t last = 0, next = cron_next(&c, from);
        for (int64_t now = from; now < from + (int64_t)200 * 86400 * 1000; now += 7919 * 1000) {
            while (next <= now) {
                last = next;
                next = cron_next(&c, next);
            }
            CHECK_EQ(cron_last(&c, from, now), last);
        }
    }
}

TEST(a_day_that_never_comes_is_not_looked_for_for_ever)
{
    struct arena *a cleanup_arena = arena_new();
    struct cron c = cron_of(a, "0 0 31 2 *"), none = cron_of(a, ", * * * *");
    CHECK_EQ(cron_next(&c, at("2026-01-01T00:00:00Z")), 0);
    CHECK_EQ(cron_last(&c, 0, at("2026-01-01T00:00:00Z")), 0);
    CHECK_EQ(cron_next(&none, at("2026-01-01T00:00:00Z")), 0);
}

TEST(what_is_wrong_is_said_as_kubernetes_says_it)
{
    static const struct {
        const char *schedule, *fault;
    } rows[] = {
        {"", "empty spec string"},
        {"* * * *", "expected exactly 5 fields, found 4: [* * * *]"},
        {" *  * * * * * ", "expected exactly 5 fields, found 6: [* * * * * *]"},
        {"60 * * * *", "end of range (60) above maximum (59): 60"},
        {"* 24 * * *", "end of range (24) above maximum (23): 24"},
        {"* * 0 * *", "beginning of range (0) below minimum (1): 0"},
        {"* * * * 7", "end of range (7) above maximum (6): 7"},
        {"5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"},
        {"*/0 * * * *", "step of range should be a positive number: */0"},
        {"1-2-3 * * * *", "too many hyphens: 1-2-3"},
        {"*/2/3 * * * *", "too many slashes: */2/3"},
        {"x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"},
        {"-1 * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"},
        {"* * * * MON-FOO",
         "failed to parse int from FOO: strconv.Atoi: parsing \"FOO\": invalid syntax"},
        {"99999999999999999999 * * * *",
         "failed to parse int from 99999999999999999999: strconv.Atoi: parsing "
         "\"99999999999999999999\": value out of range"},
        {"*/-5 * * * *", "negative number (-5) not allowed: -5"},
        {"@sometimes", "unrecognized descriptor: @sometimes"},
        {"@every", "unrecognized descriptor: @every"},
        {"@every x", "failed to parse duration @every x: time: invalid duration \"x\""},
        {"@every ", "failed to parse duration @every : time: invalid duration \"\""},
        {"@every -", "failed to parse duration @every -: time: invalid duration \"-\""},
        {"@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\""},
        {"@every 5y",
         "failed to parse duration @every 5y: time: unknown unit \"y\" in duration \"5y\""},
        {"@every 9999999999h",
         "failed to parse duration @every 9999999999h: time: invalid duration \"9999999999h\""},
    };
    struct arena *a cleanup_arena = arena_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span fault;
        struct cron c;
        CHECK(!cron_parse(a, span_cstr(rows[i].schedule), &c, &fault));
        CHECK_SPAN(fault, rows[i].fault);
    }
}
