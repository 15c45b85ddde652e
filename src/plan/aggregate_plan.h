/* plan/aggregate_plan.h: the rules of a role that collects those of others. Pure.
 *
 * Selector by selector, the roles that it selects in the order of their names, each rule once; the
 * role itself is never among them. */
#ifndef PLAN_AGGREGATE_PLAN_H
#define PLAN_AGGREGATE_PLAN_H

#include "codec/json.h"

struct aggregate_role {
    struct span name;
    const yyjson_val *labels, *rules; /* NULL: none */
};

struct aggregate_view {
    const yyjson_val *selectors; /* aggregationRule.clusterRoleSelectors */
    struct aggregate_role self;
    const struct aggregate_role *roles; /* all there are, in any order; self may be among them */
    size_t role_count;
};

/* The rules that the role should have, in the arena; NULL: it has them. */
yyjson_mut_val *aggregate_plan(struct arena *a, yyjson_mut_doc *doc,
                               const struct aggregate_view *view);
/* Does one of the selectors want a role with these labels? */
bool aggregate_selects(struct arena *a, const yyjson_val *selectors, const yyjson_val *labels);

#endif
