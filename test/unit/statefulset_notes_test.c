/* test/unit/statefulset_notes_test.c: the annotations of sets: every form, right and wrong. */
#include "kinds/statefulset_notes.h"

#include <stdio.h>

#include "kit/kit.h"

static struct arena *a;
static struct statefulset_notes n;

static void read_note(const char *key, const char *value)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *obj = yyjson_mut_obj(doc);
    struct span full = arena_printf(a, "berth.dev/%s", key);
    json_put_str(doc, obj, full.p, span_cstr(value));
    statefulset_notes(a, json_freeze(a, obj), &n);
}

static void check_wrong(const char *key, const char *value)
{
    read_note(key, value);
    CHECK_EQ(n.wrong_count, 1);
    struct span start = arena_printf(a, "annotation berth.dev/%s", key);
    CHECK(span_starts(n.wrong[0], start));
    CHECK(n.deadline_ms == 0 && n.window == 0 && n.reserved_count == 0 && !n.paused && !n.has_last);
}

TEST(notes_that_are_right)
{
    a = arena_new();
    static const struct {
        const char *text;
        int64_t ms;
    } times[] = {{"1s", 1000}, {"10m", 600000}, {"1h30m", 5400000}, {"168h", 604800000}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        read_note("progress-deadline", times[i].text);
        CHECK_EQ(n.deadline_ms, times[i].ms);
        CHECK_EQ(n.wrong_count, 0);
    }
    read_note("paused", "true");
    CHECK(n.paused);
    read_note("paused", "false");
    CHECK(!n.paused && n.wrong_count == 0);
    read_note("reserve-ordinals", "5, 2,5");
    CHECK_EQ(n.reserved_count, 2);
    CHECK(n.reserved[0] == 2 && n.reserved[1] == 5 && n.wrong_count == 0);
    read_note("start-parallelism", "3");
    CHECK_EQ(n.window, 3);
    read_note("update-order", "last: role=primary");
    CHECK(n.has_last && n.last.n == 1 && n.wrong_count == 0);
    read_note("rolled-back-from", "web-1");
    CHECK_EQ(n.wrong_count, 0); /* Berth's own */
    statefulset_notes(a, NULL, &n);
    CHECK_EQ(n.wrong_count, 0);
    arena_free(a);
}

TEST(notes_that_are_wrong_are_ignored_and_told)
{
    a = arena_new();
    static const char *const bad[][2] = {
        {"progress-deadline", "10"},
        {"progress-deadline", "0s"},
        {"progress-deadline", "169h"},
        {"progress-deadline", ""},
        {"progress-deadline", "1d"},
        {"progress-deadline", "m"},
        {"progress-deadline", "-1s"},
        {"progress-deadline", "99999999999999999999s"},
        {"auto-rollback", "yes"},
        {"auto-rollback", "true"}, /* without a deadline */
        {"paused", "True"},
        {"reserve-ordinals", ""},
        {"reserve-ordinals", "1,"},
        {"reserve-ordinals", "a"},
        {"reserve-ordinals", "1,-2"},
        {"reserve-ordinals", "2147483648"},
        {"start-parallelism", "0"},
        {"start-parallelism", "129"},
        {"start-parallelism", "2.5"},
        {"update-order", "role=primary"},
        {"update-order", "last:"},
        {"update-order", "last:=x"},
        {"Paused", "true"}, /* not known */
        {"pause", "true"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check_wrong(bad[i][0], bad[i][1]);
    }
    struct span many = SPAN("0");
    for (int i = 1; i <= STATEFULSET_NOTES_RESERVED_MAX; i++) {
        many = arena_printf(a, "%.*s,%d", SPAN_ARG(many), i);
    }
    check_wrong("reserve-ordinals", many.p);
    arena_free(a);
}

/* "| `key` | `value`, `value` | why |" */
static void check_row(struct span line)
{
    (void)span_cut(&line, '|');
    struct span key = span_trim(span_cut(&line, '|'));
    struct span values = span_cut(&line, '|'), why = span_trim(span_cut(&line, '|'));
    (void)span_cut(&key, '`');
    (void)span_cut(&values, '`');
    struct span name = span_cut(&key, '`');
    while (values.n > 0) {
        struct span value = span_cut(&values, '`');
        check_wrong(arena_cstr(a, name), arena_cstr(a, value));
        CHECK(span_ends(n.wrong[0], why));
        (void)span_cut(&values, '`');
    }
}

TEST(the_page_on_annotations_tells_what_is_wrong)
{
    static char page[32 * 1024];
    FILE *f = fopen("doc/annotations.md", "r");
    CHECK(f != NULL);
    struct span rest = span_of(page, fread(page, 1, sizeof page, f));
    (void)fclose(f);
    a = arena_new();
    size_t rows = 0;
    bool in_table = false;
    while (rest.n > 0) {
        struct span line = span_cut(&rest, '\n');
        in_table |= span_starts(line, SPAN("| annotation | wrong |"));
        if (in_table && span_starts(line, SPAN("| `"))) {
            check_row(line);
            rows++;
        }
    }
    CHECK_EQ(rows, STATEFULSET_NOTES_MAX);
    arena_free(a);
}
