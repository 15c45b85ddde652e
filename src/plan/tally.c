/* plan/tally.c: see tally.h. */
#include "plan/tally.h"

#include <stdlib.h>

#include "base/check.h"

void tally_add(struct tally *t, struct span text)
{
    assert(text.n > 0);
    for (size_t i = 0; i < t->n; i++) {
        if (span_eq(t->at[i].text, text)) {
            t->at[i].count++;
            return;
        }
    }
    assert(t->n <= TALLY_REASONS_MAX);
    if (t->n < TALLY_REASONS_MAX) {
        t->at[t->n++] = (struct tally_reason){text, 1};
    }
}

static int by_text(const void *a, const void *b)
{
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

struct span tally_text(struct arena *a, const struct tally *t, size_t nodes)
{
    assert(t->n <= TALLY_REASONS_MAX);
    char digits[SPAN_NUMBER_BYTES];
    struct span text =
        ARENA_JOIN(a, SPAN("0/"), span_u64(digits, nodes), SPAN(" nodes are available"));
    struct span *lines = ARENA_ARRAY(a, struct span, t->n + 1);
    for (size_t i = 0; i < t->n; i++) {
        lines[i] = ARENA_JOIN(a, span_u64(digits, t->at[i].count), SPAN(" "), t->at[i].text);
    }
    qsort(lines, t->n, sizeof *lines, by_text);
    for (size_t i = 0; i < t->n; i++) {
        text = ARENA_JOIN(a, text, i ? SPAN(", ") : SPAN(": "), lines[i]);
    }
    return ARENA_JOIN(a, text, SPAN("."));
}
