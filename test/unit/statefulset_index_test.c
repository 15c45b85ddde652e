/* test/unit/statefulset_index_test.c: what the index of a set's pods says at its edges; the rest is
 * proven by its plans. */
#include "plan/statefulset_index.h"

#include "kit/kit.h"

static struct statefulset_pod pending(int32_t ordinal)
{
    return (struct statefulset_pod){
        .ordinal = ordinal, .at_update = true, .identity_fits = true, .claims.owner_fits = 7};
}

TEST(an_ordinal_without_a_pod_has_none)
{
    struct statefulset_index ix = {0};
    CHECK(!statefulset_index_get(&ix, 0));
    struct statefulset_pod p = pending(1);
    statefulset_index_put(&ix, &p);
    CHECK(!statefulset_index_get(&ix, 0) && statefulset_index_get(&ix, 1));
    statefulset_index_remove(&ix, 0); /* nothing to do */
    CHECK_EQ(statefulset_index_count(&ix), 1);
    statefulset_index_done(&ix);
}

TEST(each_rule_that_changes_alone_is_heeded)
{
    struct statefulset_index ix = {0};
    struct statefulset_rules r = {.replicas = 4};
    int32_t holes[STATEFULSET_HOLES_MAX];
    statefulset_index_rules(&ix, &r);
    CHECK_EQ(statefulset_holes(&ix, holes), 1);
    r.window = 3;
    statefulset_index_rules(&ix, &r);
    CHECK_EQ(statefulset_holes(&ix, holes), 3);
    r.reserved_count = 1; /* reserved[0] is 0 */
    statefulset_index_rules(&ix, &r);
    CHECK_EQ(statefulset_holes(&ix, holes), 3);
    CHECK_EQ(holes[0], 1);
    r.reserved[0] = 2;
    statefulset_index_rules(&ix, &r);
    CHECK_EQ(statefulset_holes(&ix, holes), 3);
    CHECK_EQ(holes[2], 3);
    r.parallel = true;
    statefulset_index_rules(&ix, &r);
    CHECK_EQ(statefulset_holes(&ix, holes), 4);
    CHECK_EQ(holes[3], 4);
    statefulset_index_done(&ix);
}

TEST(a_pod_on_its_way_out_gets_no_claims)
{
    struct statefulset_index ix = {0};
    struct statefulset_rules r = {.replicas = 1, .parallel = true};
    statefulset_index_rules(&ix, &r);
    for (int terminating = 0; terminating < 2; terminating++) {
        struct statefulset_pod p = pending(0);
        p.claims.missing = true;
        p.terminating = terminating;
        statefulset_index_put(&ix, &p);
        CHECK_EQ(ordinal_tree_count(&ix.wanted, MARK_FIX), !terminating);
    }
    statefulset_index_done(&ix);
}
