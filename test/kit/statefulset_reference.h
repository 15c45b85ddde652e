/* test/kit/statefulset_reference.h: the planner of StatefulSets once more, simple and slow, over a
 * plain array: what statefulset_plan must decide. Every plan of the tests is compared with it. */
#ifndef TEST_KIT_STATEFULSET_REFERENCE_H
#define TEST_KIT_STATEFULSET_REFERENCE_H

#include "plan/statefulset_index.h"

struct ref_view {
    int64_t now_ms;
    struct statefulset_rules r;
    const struct statefulset_pod *pods; /* ascending */
    size_t pod_count;
    const struct statefulset_hole *holes;
    size_t hole_count;
};

/* Ordinals that want a pod and have none. */
size_t ref_holes(const struct ref_view *v, int32_t holes[STATEFULSET_HOLES_MAX]);
/* The view shows them, kept in `holes`; their claims have these owner_fits. */
void ref_show_holes(struct ref_view *v, struct statefulset_hole holes[STATEFULSET_HOLES_MAX],
                    uint8_t owner_fits);
/* Plans with an index that shows the view, and as the reference does; they must agree. */
void plan_indexed(struct statefulset_index *ix, const struct ref_view *v,
                  struct statefulset_plan *plan);
/* The same with an index made for the occasion. */
void plan_both(const struct ref_view *v, struct statefulset_plan *plan);

#endif
