/* plan/why_priv.h: inside the sentences of why_plan.h. */
#ifndef PLAN_WHY_PRIV_H
#define PLAN_WHY_PRIV_H

#include "plan/why_plan.h"

/* What a program or another part said, as it is quoted. */
struct span why_words(struct arena *a, struct span text);
/* The sentence, cut where it is too long. */
struct why why_of(struct arena *a, const char *reason, struct span text);

#endif
