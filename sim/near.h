/* sim/near.h: rules about neighbours: the second set's pods may shun each other's node, or be
 * spread evenly over the nodes. Looked at when one is bound. Checkers: apart (two that shun each
 * other are on one node), spread (a node has more pods than its neighbour by more than the skew
 * that they allow). */
#ifndef SIM_NEAR_H
#define SIM_NEAR_H

#include "codec/object.h"

struct platform;
struct near;

struct near *near_new(void);
void near_free(struct near *n);
/* Members of a pod's spec, each after a comma; *ret_apart: its pods shun each other. */
struct span near_rules(struct platform *w, bool *ret_apart);
bool near_is_apart(const yyjson_val *pod_spec);
void near_on_change(struct platform *w, struct object *old, struct object *now);

#endif
