#include "base/histogram.h"

#include <inttypes.h>

#include "base/check.h"

void histogram_add(struct histogram *h, const struct histogram_bounds *b, uint64_t value)
{
    size_t i = 0;
    assert(b->n > 0);
    assert(b->n <= HISTOGRAM_BOUNDS_MAX);
    while (i < b->n && value > b->at[i]) {
        i++;
    }
    h->counts[i]++;
    h->sum += value;
}

void histogram_put(const struct histogram *h, const struct histogram_bounds *b, const char *name,
                   struct span labels, struct strbuf *out)
{
    uint64_t sum = 0;
    const char *comma = labels.n ? "," : "";
    assert(b->n > 0);
    assert(b->n <= HISTOGRAM_BOUNDS_MAX);
    for (size_t i = 0; i < b->n; i++) {
        sum += h->counts[i];
        strbuf_printf(out, "%s_bucket{%.*s%sle=\"%g\"} %" PRIu64 "\n", name, SPAN_ARG(labels),
                      comma, (double)b->at[i] * b->unit, sum);
    }
    sum += h->counts[b->n];
    strbuf_printf(out, "%s_bucket{%.*s%sle=\"+Inf\"} %" PRIu64 "\n", name, SPAN_ARG(labels), comma,
                  sum);
    const char *open = labels.n ? "{" : "", *close = labels.n ? "}" : "";
    strbuf_printf(out, "%s_sum%s%.*s%s %.9g\n", name, open, SPAN_ARG(labels), close,
                  (double)h->sum * b->unit);
    strbuf_printf(out, "%s_count%s%.*s%s %" PRIu64 "\n", name, open, SPAN_ARG(labels), close, sum);
}
