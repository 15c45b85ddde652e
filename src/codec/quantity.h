/* codec/quantity.h: resource quantities ("1Gi", "250m", "1e3") as Kubernetes reads and writes them.
 *
 * Exact to a billionth of a unit (finer digits round away from zero), at most 2^63 - 1 units;
 * larger values become that. The canonical text has no fraction, the largest suffix that allows it,
 * and keeps the family of the suffix (1024s, 1000s, exponent) it was written in. */
#ifndef CODEC_QUANTITY_H
#define CODEC_QUANTITY_H

#include "base/span.h"

enum quantity_family { QUANTITY_DECIMAL, QUANTITY_BINARY, QUANTITY_EXPONENT };

struct quantity {
    __int128 nano; /* billionths of a unit */
    enum quantity_family family;
};

enum { QUANTITY_TEXT_BYTES = 32 };

/* NULL and *ret set, or what is wrong with the text, worded as Kubernetes does. */
const char *quantity_parse(struct span text, struct quantity *ret);
/* Canonical text in buf; the span points into it. */
struct span quantity_format(const struct quantity *q, char buf[QUANTITY_TEXT_BYTES]);
/* <0, 0, >0; families do not matter. */
int quantity_cmp(const struct quantity *a, const struct quantity *b);
/* Two texts of one amount; what is no quantity is the same as nothing. */
bool quantity_same(struct span a, struct span b);
/* Whole units (bytes, cores), rounded away from zero, saturating. */
int64_t quantity_units(const struct quantity *q);
/* Thousandths (processor time), rounded away from zero, saturating. */
int64_t quantity_millis(const struct quantity *q);

#endif
