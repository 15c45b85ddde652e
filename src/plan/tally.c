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
    struct span text = arena_printf(a, "0/%zu nodes are available", nodes);
    struct span *lines = ARENA_ARRAY(a, struct span, t->n + 1);
    for (size_t i = 0; i < t->n; i++) {
        lines[i] = arena_printf(a, "%zu %.*s", t->at[i].count, SPAN_ARG(t->at[i].text));
    }
    qsort(lines, t->n, sizeof *lines, by_text);
    for (size_t i = 0; i < t->n; i++) {
        text = arena_printf(a, "%.*s%s %.*s", SPAN_ARG(text), i ? "," : ":", SPAN_ARG(lines[i]));
    }
    return arena_printf(a, "%.*s.", SPAN_ARG(text));
}
