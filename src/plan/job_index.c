/* plan/job_index.c: see job_index.h. */
#include "plan/job_index.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/strbuf.h"

/* ---- text ---- */

/* The next part of the text, which must lie above `above` and below `completions`. */
static bool take_part(struct span part, int64_t above, int32_t completions, struct job_range *ret)
{
    struct span last = part, first = span_cut(&last, '-');
    uint64_t low, high;
    assert(above >= -1);
    assert(completions >= 0);
    if (!span_to_u64(first, &low)) {
        return false;
    }
    high = low;
    if (first.n < part.n && (!span_to_u64(last, &high) || high <= low)) {
        return false;
    }
    if (high >= (uint64_t)completions || (int64_t)low <= above) {
        return false;
    }
    *ret = (struct job_range){(int32_t)low, (int32_t)high};
    return true;
}

/* As take_part(), but of a range that only begins below `completions` what lies there. */
static bool take_some(struct span part, int64_t above, int32_t completions, struct job_range *ret)
{
    if (!take_part(part, above, INT32_MAX, ret) || ret->first >= completions) {
        return false;
    }
    ret->last = ret->last < completions ? ret->last : completions - 1;
    return true;
}

bool job_indexes_check(struct span text, int32_t completions, struct span *ret_part)
{
    int64_t above = -1;
    do {
        struct job_range r;
        struct span part = span_cut(&text, ',');
        if (!take_part(part, above, completions, &r)) {
            *ret_part = part;
            return false;
        }
        above = r.last;
    } while (text.p);
    return true;
}

/* Puts a range that begins after all there are at the end: one with the last if they touch. */
static void put(struct job_range *at, size_t *n, struct job_range r)
{
    assert(r.first <= r.last);
    if (*n && (int64_t)r.first <= (int64_t)at[*n - 1].last + 1) {
        assert(r.first >= at[*n - 1].first);
        at[*n - 1].last = r.last > at[*n - 1].last ? r.last : at[*n - 1].last;
    } else {
        at[(*n)++] = r;
    }
}

struct job_indexes job_indexes_parse(struct arena *a, struct span text, int32_t completions)
{
    size_t parts = 1, n = 0;
    for (size_t i = 0; i < text.n; i++) {
        parts += text.p[i] == ',';
    }
    struct job_range *at = ARENA_ARRAY(a, struct job_range, parts);
    do {
        struct job_range r;
        if (take_some(span_cut(&text, ','), n ? at[n - 1].last : -1, completions, &r)) {
            put(at, &n, r);
        }
    } while (text.p);
    assert(n <= parts);
    return (struct job_indexes){at, n};
}

struct span job_indexes_text(struct arena *a, struct job_indexes set)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    for (size_t i = 0; i < set.n; i++) {
        const struct job_range *r = &set.at[i];
        assert(i == 0 || r->first > r[-1].last + 1);
        strbuf_printf(&out, "%s%d", i ? "," : "", r->first);
        if (r->last > r->first) { /* two are a pair, three and more a range */
            strbuf_printf(&out, "%c%d", r->last == r->first + 1 ? ',' : '-', r->last);
        }
    }
    return arena_dup(a, strbuf_span(&out));
}

/* ---- sets ---- */

bool job_indexes_has(struct job_indexes set, int32_t index)
{
    size_t low = 0, high = set.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (set.at[mid].last < index) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    assert(low == set.n || set.at[low].last >= index);
    return low < set.n && set.at[low].first <= index;
}

int64_t job_indexes_count(struct job_indexes set)
{
    int64_t n = 0;
    for (size_t i = 0; i < set.n; i++) {
        n += (int64_t)set.at[i].last - set.at[i].first + 1;
    }
    assert(n >= (int64_t)set.n);
    return n;
}

struct job_indexes job_indexes_union(struct arena *a, struct job_indexes one,
                                     struct job_indexes other)
{
    struct job_range *at = ARENA_ARRAY(a, struct job_range, one.n + other.n + 1);
    size_t n = 0, i = 0, k = 0;
    while (i < one.n || k < other.n) {
        bool first = k == other.n || (i < one.n && one.at[i].first <= other.at[k].first);
        put(at, &n, first ? one.at[i++] : other.at[k++]);
    }
    assert(n <= one.n + other.n);
    return (struct job_indexes){at, n};
}

static int by_number(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

struct job_indexes job_indexes_of(struct arena *a, int32_t *numbers, size_t n)
{
    struct job_range *at = ARENA_ARRAY(a, struct job_range, n + 1);
    size_t ranges = 0;
    qsort(numbers, n, sizeof *numbers, by_number);
    for (size_t i = 0; i < n; i++) {
        assert(numbers[i] >= 0);
        put(at, &ranges, (struct job_range){numbers[i], numbers[i]});
    }
    assert(ranges <= n);
    return (struct job_indexes){at, ranges};
}

int64_t job_indexes_common(struct job_indexes one, struct job_indexes other)
{
    int64_t n = 0;
    for (size_t i = 0, k = 0; i < one.n && k < other.n;) {
        const struct job_range *x = &one.at[i], *y = &other.at[k];
        int32_t low = x->first > y->first ? x->first : y->first;
        int32_t high = x->last < y->last ? x->last : y->last;
        n += low <= high ? (int64_t)high - low + 1 : 0;
        if (x->last < y->last) {
            i++;
        } else {
            k++;
        }
    }
    assert(n <= job_indexes_count(one));
    assert(n <= job_indexes_count(other));
    return n;
}

size_t job_indexes_free(struct job_indexes set, int32_t completions, size_t max, int32_t *ret)
{
    size_t n = 0;
    int32_t next = 0;
    for (size_t i = 0; i <= set.n && n < max; i++) {
        int32_t end = i < set.n && set.at[i].first < completions ? set.at[i].first : completions;
        for (; next < end && n < max; next++) {
            ret[n++] = next;
        }
        next = i < set.n ? set.at[i].last + 1 : next;
    }
    assert(n <= max);
    return n;
}
