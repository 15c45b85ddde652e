/* plan/why_plan.h: what a pod or a claim waits for, as one sentence for a newcomer. Pure.
 *
 * The sentence says what stands in the objects and nothing that only time changes ("starting",
 * never "starting for 5 s"): it changes when a fact does. It is one line, valid UTF-8 as far as the
 * facts are, and at most WHY_TEXT_MAX bytes. */
#ifndef PLAN_WHY_PLAN_H
#define PLAN_WHY_PLAN_H

#include "base/arena.h"
#include "codec/json.h"

enum {
    WHY_TEXT_MAX = 900,  /* of a whole sentence; conditions are read on a terminal */
    WHY_WORDS_MAX = 400, /* of what a program or another part said, quoted in it */
};

/* A condition of claims that wait: status True, message: the cause. Removed when the claim is
 * bound. */
#define WHY_CLAIM_CONDITION "berth.dev/Blocked"

struct why {
    const char *reason; /* a fixed CamelCase word; NULL: nothing to wait for */
    struct span text;   /* "redis-1 is not Ready: ..." */
};

struct why_claim {
    struct span name;
    const yyjson_val *claim; /* NULL: does not exist */
};

/* Why a claim cannot be used yet, without its name ("it is being deleted"); empty: it is bound.
 * claim NULL: it does not exist. */
struct span why_claim(struct arena *a, const yyjson_val *claim);
/* Why a bound claim has less than it asks for; empty: it has enough. */
struct span why_growth(struct arena *a, const yyjson_val *claim);
/* Why a pod is not available. claims: those that it uses, as far as known. min_ready_s: a pod that
 * is Ready is told to wait for that long. */
struct why why_pod(struct arena *a, const yyjson_val *pod, const struct why_claim *claims,
                   size_t claim_count, int32_t min_ready_s);
/* What keeps a bound pod that no agent has taken up yet: its node (NULL: does not exist) is not
 * Ready. reason NULL: nothing. */
struct why why_on_node(struct arena *a, const yyjson_val *pod, const yyjson_val *node);
/* "POD cannot be made: CAUSE", of the API server's answer to its creation. */
struct span why_refused(struct arena *a, struct span pod, struct span answer);
/* "POD waits for claim NAME: CAUSE" of the first claim that has one; reason NULL when all are
 * bound. */
struct why why_claims(struct arena *a, struct span pod, const struct why_claim *claims,
                      size_t claim_count);
/* Control characters become spaces; cut at a character boundary to `max` bytes with "..." at the
 * end. */
struct span why_line(struct arena *a, struct span text, size_t max);

#endif
