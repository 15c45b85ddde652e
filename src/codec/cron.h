/* codec/cron.h: schedules of cron jobs: "5-59/10 2 * * MON-FRI", "@daily", "@every 1h30m". Times
 * are UTC.
 *
 * As in Kubernetes, a day fits when both its day of the month and its day of the week do; when
 * neither of the two is a star, one is enough. */
#ifndef CODEC_CRON_H
#define CODEC_CRON_H

#include "base/arena.h"

struct cron {
    uint64_t minute, hour, day, month, weekday; /* bits by number */
    bool any_day, any_weekday;                  /* a star */
    int64_t every_s;                            /* of "@every", then all else is 0; otherwise 0 */
};

/* False: *ret_fault says what is wrong, in the words of Kubernetes, NUL terminated. */
bool cron_parse(struct arena *a, struct span text, struct cron *ret, struct span *ret_fault);
/* The first time after after_ms; 0: none within five years. */
int64_t cron_next(const struct cron *c, int64_t after_ms);
/* The last time after after_ms that is not after until_ms; 0: none in the five years before. */
int64_t cron_last(const struct cron *c, int64_t after_ms, int64_t until_ms);

#endif
