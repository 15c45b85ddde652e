/* kinds/kind_cron.h: the syntax of cron schedules. */
#ifndef KINDS_KIND_CRON_H
#define KINDS_KIND_CRON_H

#include "base/arena.h"
#include "base/span.h"

/* What is wrong with a schedule ("5-59/10 2 * * MON-FRI", "@daily", "@every 1h30m"), as a text that
 * ends with a NUL byte; empty when nothing is. */
struct span cron_fault(struct arena *a, struct span schedule);

#endif
