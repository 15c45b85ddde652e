/* codec/time.h: RFC 3339 timestamps as the API writes them (metav1.Time in seconds,
 * metav1.MicroTime). UTC only on output; offsets and fractions are read. No locale, no libc time
 * zone. */
#ifndef CODEC_TIME_H
#define CODEC_TIME_H

#include "base/arena.h"
#include "base/span.h"

/* "2006-01-02T15:04:05Z"; buf gets a NUL too. */
#define TIME_TEXT_BYTES 32
struct span time_format_to(char buf[TIME_TEXT_BYTES], int64_t ms);
struct span time_format(struct arena *a, int64_t ms);
/* "2006-01-02T15:04:05.000000Z" from microseconds since 1970. */
struct span time_format_micro(struct arena *a, int64_t us);
/* Milliseconds since 1970; false (and *ret untouched) when malformed. */
bool time_parse(struct span text, int64_t *ret_ms);
/* The same in microseconds; further decimals are dropped. */
bool time_parse_us(struct span text, int64_t *ret_us);
/* The parsed time, or `otherwise` when absent or malformed. */
int64_t time_or(struct span text, int64_t otherwise);
/* The date of a day, counted from 1970-01-01. */
struct time_date {
    int64_t year;
    int month, day; /* from 1 */
};
struct time_date time_date_of(int64_t days);
/* A length of time as Go writes it: "1h2m3.5s", "20ms". */
struct span time_duration(struct arena *a, int64_t ns);
/* The length of such a text; digits behind the ninth decimal are dropped. False (and *ret
 * untouched) when malformed or too long. */
bool time_duration_parse(struct span text, int64_t *ret_ns);
/* An age as kubectl shows it: "30s", "4m30s", "3h5m", "2d", "1y30d"; "<invalid>" for the future. */
struct span time_age(struct arena *a, int64_t age_ms);
/* Age at now_ms of a time in an object; "<unknown>" when the text is empty or no time. */
struct span time_age_since(struct arena *a, struct span text, int64_t now_ms);

#endif
