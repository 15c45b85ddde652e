/* kinds/kind_workload.h: rules that every kind with a pod template has in common.
 */
#ifndef KINDS_KIND_WORKLOAD_H
#define KINDS_KIND_WORKLOAD_H

#include "kinds/kind.h"

/* spec.selector: present, well formed, not empty ("empty selector is invalid for ..." is
 * empty_detail) and matching the labels of spec.template. p: the path of spec. */
void check_workload_selector(struct check *c, const struct path *p, const yyjson_val *spec,
                             const char *empty_detail);
/* spec.template of pods that are always started again. claims: claim templates whose volumes may be
 * mounted, or NULL; deadline_detail: why activeDeadlineSeconds is forbidden. */
void check_workload_template(struct check *c, const struct path *p, const yyjson_val *spec,
                             const yyjson_val *claims, const char *deadline_detail);
/* A count or percentage: well formed and not negative. True when it is. */
bool check_count_or_percent(struct check *c, const struct path *p, const yyjson_val *v);
/* Of a well formed one; absent counts as zero. */
bool count_or_percent_is_zero(const yyjson_val *v);
void check_at_most_100_percent(struct check *c, const struct path *p, const yyjson_val *v);
/* None of these members of the status is negative. names: NULL ends them. */
void check_counts(struct check *c, const yyjson_val *obj, const char *const *names);
/* replicas and its parts (availableReplicas among them; NULL ends them) are not negative, no part
 * is more than the whole, and no more are available than ready: beyond_ready says so. */
void check_replicas(struct check *c, const yyjson_val *obj, const char *const *parts,
                    const char *beyond_ready);
/* The last two of these alone. */
void check_parts(struct check *c, const yyjson_val *obj, const char *const *parts,
                 const char *beyond_ready);
/* status.collisionCount is not negative and only grows; the latter alone. */
void check_collisions(struct check *c, const yyjson_val *obj);
void check_collisions_grow(struct check *c, const yyjson_val *obj);
/* The names, then the images, of the containers of spec.template. */
void cell_containers(struct row *r);

#endif
