/* test/unit/claim_plan_test.c: small worlds of claims and volumes. */
#include "plan/claim_plan.h"

#include "kit/kit.h"

static struct claim_volume volume_of(int code)
{
    return (struct claim_volume){.bytes = code & 1 ? 10 : 5,
                                 .ref = (enum claim_ref)(code / 2 % 3),
                                 .deleting = code / 6 & 1,
                                 .available = !(code / 6 & 2),
                                 .class_fits = !(code / 6 & 4),
                                 .mode_fits = !(code / 6 & 8),
                                 .access_fits = !(code / 6 & 16),
                                 .selector_fits = !(code / 6 & 32)};
}

static bool usable(const struct claim_view *v, const struct claim_volume *pv)
{
    bool holds = !pv->deleting && pv->bytes >= v->bytes && pv->mode_fits && pv->access_fits;
    return holds && pv->ref != CLAIM_REF_OTHER &&
           (pv->ref == CLAIM_REF_THIS ||
            (pv->available && pv->class_fits && pv->selector_fits && !v->wait_for_consumer));
}

TEST(claim_binds_only_what_fits_and_the_prebound_first)
{
    struct claim_volume pvs[2];
    int binds = 0;
    for (int code = 0; code < 384 * 384; code++) {
        pvs[0] = volume_of(code % 384);
        pvs[1] = volume_of(code / 384);
        struct claim_view v = {
            .bytes = 7, .class = CLAIM_CLASS_LOCAL, .volumes = pvs, .volume_count = 2};
        v.wait_for_consumer = code % 7 == 0;
        struct claim_plan p = claim_plan(&v);
        bool any = usable(&v, &pvs[0]) || usable(&v, &pvs[1]);
        CHECK_EQ(p.step == CLAIM_BIND, any);
        if (any) {
            CHECK(usable(&v, &pvs[p.at]));
            size_t other = 1 - p.at;
            bool other_first = usable(&v, &pvs[other]) && pvs[other].ref == CLAIM_REF_THIS &&
                               pvs[p.at].ref != CLAIM_REF_THIS;
            CHECK(!other_first);
            binds++;
        } else {
            CHECK_EQ(p.step, v.wait_for_consumer ? CLAIM_WAIT_CONSUMER : CLAIM_PROVISION);
        }
    }
    CHECK(binds > 1000);
}

TEST(claim_smallest_volume_wins)
{
    struct claim_volume pvs[3];
    for (int i = 0; i < 3; i++) {
        pvs[i] = volume_of(1);
        pvs[i].ref = CLAIM_REF_NONE;
    }
    pvs[0].bytes = 30;
    pvs[1].bytes = 20;
    pvs[2].bytes = 25;
    struct claim_view v = {.bytes = 7, .volumes = pvs, .volume_count = 3};
    CHECK_EQ(claim_plan(&v).at, 1);
}

TEST(claim_named_volume_is_checked)
{
    struct claim_view v = {.named = true, .bytes = 7};
    CHECK_EQ(claim_plan(&v).step, CLAIM_WAIT_VOLUME);
    v.volume_known = true;
    for (int code = 0; code < 384; code++) {
        v.volume = volume_of(code);
        const struct claim_volume *pv = &v.volume;
        bool fits =
            !pv->deleting && pv->bytes >= 7 && pv->class_fits && pv->mode_fits && pv->access_fits;
        struct claim_plan p = claim_plan(&v);
        CHECK_EQ(p.step, pv->ref == CLAIM_REF_OTHER ? CLAIM_TAKEN
                         : fits                     ? CLAIM_BIND
                                                    : CLAIM_MISMATCH);
        CHECK_EQ(p.why != NULL, p.step == CLAIM_MISMATCH);
    }
}

TEST(claim_classes_lead_to_their_steps)
{
    static const struct {
        enum claim_class class;
        bool wait, selected, block;
        enum claim_step step;
    } cases[] = {
        {CLAIM_CLASS_NONE, 0, 0, 0, CLAIM_NO_VOLUME},
        {CLAIM_CLASS_UNSET, 0, 0, 0, CLAIM_NO_VOLUME},
        {CLAIM_CLASS_DEFAULTABLE, 0, 0, 0, CLAIM_ASSIGN_DEFAULT},
        {CLAIM_CLASS_MISSING, 0, 0, 0, CLAIM_NO_CLASS},
        {CLAIM_CLASS_MANUAL, 0, 0, 0, CLAIM_NO_VOLUME},
        {CLAIM_CLASS_MANUAL, 1, 0, 0, CLAIM_WAIT_CONSUMER},
        {CLAIM_CLASS_LOCAL, 0, 0, 0, CLAIM_PROVISION},
        {CLAIM_CLASS_LOCAL, 0, 0, 1, CLAIM_NO_BLOCK},
        {CLAIM_CLASS_LOCAL, 1, 0, 0, CLAIM_WAIT_CONSUMER},
        {CLAIM_CLASS_LOCAL, 1, 1, 0, CLAIM_PROVISION},
        {CLAIM_CLASS_EXTERNAL, 0, 0, 0, CLAIM_WAIT_EXTERNAL},
        {CLAIM_CLASS_EXTERNAL, 1, 0, 0, CLAIM_WAIT_CONSUMER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct claim_view v = {.class = cases[i].class,
                               .wait_for_consumer = cases[i].wait,
                               .node_selected = cases[i].selected,
                               .block = cases[i].block};
        CHECK_EQ(claim_plan(&v).step, cases[i].step);
        v.deleting = true;
        CHECK_EQ(claim_plan(&v).step, CLAIM_NOTHING);
    }
}

TEST(claim_bound_one_is_only_kept_right)
{
    struct claim_view v = {.bound = true, .named = true};
    CHECK_EQ(claim_plan(&v).step, CLAIM_ASK_VOLUME);
    v.volume_known = true;
    v.volume.ref = CLAIM_REF_OTHER;
    CHECK_EQ(claim_plan(&v).step, CLAIM_TAKEN);
    v.volume.ref = CLAIM_REF_NONE;
    CHECK_EQ(claim_plan(&v).step, CLAIM_BIND);
    v.volume.ref = CLAIM_REF_THIS;
    CHECK_EQ(claim_plan(&v).step, CLAIM_WRITE_STATUS);
    v.phase_right = true;
    CHECK_EQ(claim_plan(&v).step, CLAIM_NOTHING);
}

TEST(volume_data_is_removed_only_when_the_claim_is_surely_gone_and_the_policy_says_so)
{
    for (int code = 0; code < 2048; code++) {
        struct volume_view v = {.deleting = code & 1,
                                .protected = code & 2,
                                .has_ref = code & 4,
                                .ref_has_uid = code & 8,
                                .claim_known = code & 16,
                                .claim_names_it = code & 32,
                                .gone_certain = code & 64,
                                .delete_policy = code & 128,
                                .ours = code & 256,
                                .data_removed = code & 512,
                                .removal_failed = code & 1024};
        struct volume_plan p = volume_plan(&v);
        if (p.step == VOLUME_RECLAIM) {
            CHECK(v.gone_certain && !v.claim_known && v.has_ref && v.ref_has_uid &&
                  v.delete_policy && v.ours);
        }
        if (p.step == VOLUME_DELETE) {
            CHECK(v.data_removed && v.gone_certain && v.delete_policy && v.ours && !v.claim_known);
        }
        if (p.step == VOLUME_UNPROTECT) {
            CHECK(v.deleting && v.protected && !(v.has_ref && v.claim_known));
        }
        if (v.has_ref && v.claim_known) {
            CHECK_EQ(p.step, VOLUME_SET_PHASE);
        }
    }
}
