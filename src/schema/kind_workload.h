/* schema/kind_workload.h: rules that every kind with a pod template has in common. Internal to
 * schema/. */
#ifndef SCHEMA_KIND_WORKLOAD_H
#define SCHEMA_KIND_WORKLOAD_H

#include "schema/kind.h"

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
/* status: member `counted` is at most the one called `of`, both 0 when absent. */
void check_at_most(struct check *c, const struct path *p, const yyjson_val *status,
                   const char *counted, const char *of, const char *detail);
/* status.collisionCount only grows. */
void check_collisions(struct check *c, const struct path *p, const yyjson_val *status,
                      const yyjson_val *old);
/* A LabelSelector as the last column of a table shows it. */
void cell_selector(struct row *r, const yyjson_val *selector);
/* The names, then the images, of the containers of spec.template. */
void cell_containers(struct row *r);

#endif
