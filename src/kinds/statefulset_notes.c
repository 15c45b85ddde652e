/* kinds/statefulset_notes.c: see statefulset_notes.h. */
#include "kinds/statefulset_notes.h"

#include "base/check.h"

/* Longer waits are mistakes of a unit. */
enum { DEADLINE_MAX_S = 7 * 24 * 3600, WINDOW_MAX = 128 };

struct reading {
    struct arena *a;
    struct statefulset_notes *to;
    const char *key;
    struct span value;
};

static void wrong(struct reading *r, const char *want)
{
    struct statefulset_notes *n = r->to;
    assert(n->wrong_count < STATEFULSET_NOTES_MAX);
    struct span shown = r->value.n > 80 ? span_first(r->value, 80) : r->value;
    n->wrong[n->wrong_count++] =
        arena_printf(r->a, "annotation %s: \"%.*s\" is ignored: %s", r->key, SPAN_ARG(shown), want);
}

static bool read_bool(struct reading *r)
{
    if (!span_eq_cstr(r->value, "true") && !span_eq_cstr(r->value, "false")) {
        wrong(r, "it must be \"true\" or \"false\"");
    }
    return span_eq_cstr(r->value, "true");
}

/* "90s", "10m", "1h30m"; -1: not a duration. */
static int64_t seconds_of(struct span s)
{
    int64_t sum = 0;
    size_t at = 0;
    while (at < s.n && sum <= DEADLINE_MAX_S) {
        size_t from = at;
        while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9') {
            at++;
        }
        uint64_t n;
        if (at == from || at == s.n ||
            !span_to_u64(span_first(span_from(s, from), at - from), &n) || n > DEADLINE_MAX_S) {
            return -1;
        }
        char unit = s.p[at++];
        int64_t each = unit == 'h' ? 3600 : unit == 'm' ? 60 : unit == 's' ? 1 : 0;
        if (each == 0) {
            return -1;
        }
        sum += (int64_t)n * each;
    }
    return sum;
}

static void read_deadline(struct reading *r)
{
    int64_t s = seconds_of(r->value);
    if (s < 1 || s > DEADLINE_MAX_S) {
        wrong(r, "it must be a time from \"1s\" to \"168h\", as in \"10m\" or \"1h30m\"");
        return;
    }
    r->to->deadline_ms = s * 1000;
}

static void read_auto_rollback(struct reading *r)
{
    r->to->auto_rollback = read_bool(r);
}

static void read_paused(struct reading *r)
{
    r->to->paused = read_bool(r);
}

/* Returns false when it is there already or does not fit. */
static bool reserve(struct statefulset_notes *n, int32_t ordinal)
{
    size_t at = n->reserved_count;
    for (; at > 0 && n->reserved[at - 1] >= ordinal; at--) {
        if (n->reserved[at - 1] == ordinal) {
            return true;
        }
    }
    if (n->reserved_count == STATEFULSET_NOTES_RESERVED_MAX) {
        return false;
    }
    for (size_t i = n->reserved_count++; i > at; i--) {
        n->reserved[i] = n->reserved[i - 1];
    }
    n->reserved[at] = ordinal;
    return true;
}

static void read_reserved(struct reading *r)
{
    struct span rest = r->value;
    bool more = true;
    while (more) {
        more = span_find(rest, ',') < rest.n;
        struct span one = span_trim(span_cut(&rest, ','));
        uint64_t ordinal;
        if (!span_to_u64(one, &ordinal) || ordinal > INT32_MAX ||
            !reserve(r->to, (int32_t)ordinal)) {
            r->to->reserved_count = 0;
            wrong(r, "it must be at most 64 ordinals with commas between them, as in \"2,5\"");
            return;
        }
    }
}

static void read_window(struct reading *r)
{
    uint64_t n;
    if (!span_to_u64(r->value, &n) || n < 1 || n > WINDOW_MAX) {
        wrong(r, "it must be a number from 1 to 128");
        return;
    }
    r->to->window = (int32_t)n;
}

static void read_order(struct reading *r)
{
    struct err err;
    struct span last = r->value;
    if (!span_starts(last, SPAN("last:")) || span_trim(span_from(last, 5)).n == 0 ||
        selector_parse(r->a, span_trim(span_from(last, 5)), &r->to->last, &err) < 0) {
        wrong(r, "it must be \"last:\" and a label selector, as in \"last:role=primary\"");
        return;
    }
    r->to->has_last = true;
}

/* A typo would be ignored in silence otherwise. */
static void tell_unknown(struct arena *a, const yyjson_val *annotations, const struct span *known,
                         size_t n, struct statefulset_notes *ret)
{
    JSON_EACH(it, annotations)
    {
        struct span key = json_str(it.key);
        bool is_ours = span_starts(key, SPAN("berth.dev/"));
        for (size_t i = 0; i < n; i++) {
            is_ours &= !span_eq(key, known[i]);
        }
        if (is_ours && !span_eq_cstr(key, STATEFULSET_NOTE_ROLLED_BACK) &&
            ret->wrong_count < STATEFULSET_NOTES_MAX) {
            ret->wrong[ret->wrong_count++] = arena_printf(
                a,
                "annotation %.*s is ignored: a StatefulSet may have progress-deadline, "
                "auto-rollback, paused, reserve-ordinals, start-parallelism and update-order",
                SPAN_ARG(key));
            return;
        }
    }
}

void statefulset_notes(struct arena *a, const yyjson_val *annotations,
                       struct statefulset_notes *ret)
{
    static const struct {
        const char *key;
        void (*read)(struct reading *r);
    } known[] = {{"berth.dev/progress-deadline", read_deadline},
                 {"berth.dev/auto-rollback", read_auto_rollback},
                 {"berth.dev/paused", read_paused},
                 {"berth.dev/reserve-ordinals", read_reserved},
                 {"berth.dev/start-parallelism", read_window},
                 {"berth.dev/update-order", read_order}};
    struct span keys[STATEFULSET_NOTES_MAX];
    enum { KNOWN = sizeof known / sizeof *known };
    _Static_assert(KNOWN + 1 == STATEFULSET_NOTES_MAX, "one sentence for each");
    *ret = (struct statefulset_notes){0};
    bool any = false;
    JSON_EACH(it, annotations)
    {
        any |= span_starts(json_str(it.key), SPAN("berth.dev/"));
    }
    if (!any) { /* nearly always */
        return;
    }
    for (size_t i = 0; i < KNOWN; i++) {
        const yyjson_val *v = json_get(annotations, known[i].key);
        if (v) {
            struct reading r = {a, ret, known[i].key, span_trim(json_str(v))};
            known[i].read(&r);
        }
    }
    if (ret->auto_rollback && ret->deadline_ms == 0 && ret->wrong_count < STATEFULSET_NOTES_MAX) {
        ret->auto_rollback = false;
        ret->wrong[ret->wrong_count++] = SPAN(
            "annotation berth.dev/auto-rollback has no effect without berth.dev/progress-deadline");
    }
    for (size_t i = 0; i < KNOWN; i++) {
        keys[i] = span_cstr(known[i].key);
    }
    tell_unknown(a, annotations, keys, KNOWN, ret);
}
