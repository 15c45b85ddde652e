/* plan/quota_plan.h: the accounts of ResourceQuotas: what an object uses of a namespace, which
 * quotas it counts for, and the refusal of what would be too much. Pure.
 *
 * The shell keeps an account for each quota: a line for each resource that it limits, with what is
 * used by what is stored and what is pledged to writes under way. Every name belongs to one
 * resource of the API ("pods", "deployments.apps"), whose objects alone its line counts; a name
 * that belongs to none is limited to nothing. The texts are Kubernetes' own. */
#ifndef PLAN_QUOTA_PLAN_H
#define PLAN_QUOTA_PLAN_H

#include <yyjson.h>

#include "plan/amounts.h"

struct quota_line {
    struct span name;     /* in spec.hard */
    struct span resource; /* whose objects it counts; empty: of none */
    struct quantity hard, used, pledged;
};

struct quota_account {
    struct span name; /* of the quota */
    const yyjson_val *spec;
    struct quota_line *lines; /* by name */
    size_t n;
};

/* Of a ResourceQuota, which lives as long as the account; nothing is used or pledged. */
struct quota_account quota_account(struct arena *a, const yyjson_val *quota);
/* The resource of the API that a name in spec.hard counts: "pods" of "requests.cpu",
 * "deployments.apps" of "count/deployments.apps"; empty: none. Points into name or lives for ever.
 */
struct span quota_resource(struct span name);

/* An object of a resource: how much of what it uses. What has ended uses but its own count. */
struct quota_object {
    struct span resource;
    const yyjson_val *object; /* NULL: there is none */
    struct amounts uses;
};
struct quota_object quota_object(struct arena *a, struct span resource, const yyjson_val *object);
/* Does it count for the account at all, by its resource and the scopes? */
bool quota_covers(const struct quota_account *q, const struct quota_object *o);

/* What is used when `before` (which may be no object) has become `now` (likewise). True: a line
 * has changed. */
bool quota_count(struct quota_account *q, const struct quota_object *before,
                 const struct quota_object *now);
/* What the change would use more is pledged (sign 1), or that is taken back (-1). */
void quota_pledge(struct quota_account *q, const struct quota_object *before,
                  const struct quota_object *now, int sign);
/* Why the quotas do not let the change happen, as it follows `is forbidden: `; empty: they do. */
struct span quota_refusal(struct arena *a, const struct quota_account *quotas, size_t n,
                          const struct quota_object *before, const struct quota_object *now);

/* Is this message such a refusal for lack of room? */
bool quota_refused(struct span message);
/* May something fit now that did not before? Of a ResourceQuota before and after a change; NULL:
 * there is none. What has come may have had room before anybody looked. */
bool quota_gives_room(const yyjson_val *before, const yyjson_val *now);

#endif
