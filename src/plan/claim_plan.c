/* plan/claim_plan.c: see claim_plan.h. */
#include "plan/claim_plan.h"

#include "base/check.h"

/* Why the named volume does not fit; NULL: it does. */
static const char *mismatch(const struct claim_view *v)
{
    assert(v->volume_known);
    const struct claim_volume *pv = &v->volume;
    return pv->deleting           ? "the volume is marked for deletion"
           : pv->bytes < v->bytes ? "requested PV is too small"
           : !pv->class_fits      ? "storageClassName does not match"
           : !pv->mode_fits       ? "incompatible volumeMode"
           : !pv->access_fits     ? "incompatible accessMode"
                                  : NULL;
}

static struct claim_plan plan_named(const struct claim_view *v)
{
    assert(v->named);
    assert(!v->bound);
    if (!v->volume_known) {
        return (struct claim_plan){.step = CLAIM_WAIT_VOLUME};
    }
    if (v->volume.ref == CLAIM_REF_OTHER) {
        return (struct claim_plan){.step = CLAIM_TAKEN};
    }
    const char *why = mismatch(v);
    return why ? (struct claim_plan){.step = CLAIM_MISMATCH, .why = why}
               : (struct claim_plan){.step = CLAIM_BIND};
}

/* A volume that names the claim, else the smallest free one that fits; volume_count: none. */
static size_t best_volume(const struct claim_view *v)
{
    size_t best = v->volume_count;
    assert(v->volumes || v->volume_count == 0);
    for (size_t i = 0; i < v->volume_count; i++) {
        const struct claim_volume *pv = &v->volumes[i];
        bool holds = !pv->deleting && pv->bytes >= v->bytes && pv->mode_fits && pv->access_fits;
        if (!holds || pv->ref == CLAIM_REF_OTHER) {
            continue;
        }
        if (pv->ref == CLAIM_REF_THIS) {
            return i;
        }
        if (!v->wait_for_consumer && pv->available && pv->class_fits && pv->selector_fits &&
            (best == v->volume_count || pv->bytes < v->volumes[best].bytes)) {
            best = i;
        }
    }
    return best;
}

static enum claim_step plan_new_volume(const struct claim_view *v)
{
    assert(!v->named);
    assert(!v->bound);
    assert(!v->deleting);
    switch (v->class) {
    case CLAIM_CLASS_DEFAULTABLE:
        return CLAIM_ASSIGN_DEFAULT;
    case CLAIM_CLASS_MISSING:
        return CLAIM_NO_CLASS;
    case CLAIM_CLASS_LOCAL:
        if (v->wait_for_consumer && !v->node_selected) {
            return CLAIM_WAIT_CONSUMER;
        }
        return v->block ? CLAIM_NO_BLOCK : CLAIM_PROVISION;
    case CLAIM_CLASS_EXTERNAL:
        return v->wait_for_consumer && !v->node_selected ? CLAIM_WAIT_CONSUMER
                                                         : CLAIM_WAIT_EXTERNAL;
    case CLAIM_CLASS_MANUAL:
        return v->wait_for_consumer && !v->node_selected ? CLAIM_WAIT_CONSUMER : CLAIM_NO_VOLUME;
    case CLAIM_CLASS_NONE:
    case CLAIM_CLASS_UNSET:
        break;
    }
    return CLAIM_NO_VOLUME;
}

struct claim_plan claim_plan(const struct claim_view *view)
{
    assert(view->volumes || view->volume_count == 0);
    assert(!view->bound || view->named);
    if (view->bound) {
        enum claim_step step = !view->volume_known                   ? CLAIM_ASK_VOLUME
                               : view->volume.ref == CLAIM_REF_OTHER ? CLAIM_TAKEN
                               : view->volume.ref == CLAIM_REF_NONE  ? CLAIM_BIND
                               : view->phase_right                   ? CLAIM_NOTHING
                                                                     : CLAIM_WRITE_STATUS;
        return (struct claim_plan){.step = step};
    }
    if (view->deleting) {
        return (struct claim_plan){.step = CLAIM_NOTHING};
    }
    if (view->named) {
        return plan_named(view);
    }
    size_t at = best_volume(view);
    assert(at <= view->volume_count);
    if (at < view->volume_count) {
        return (struct claim_plan){.step = CLAIM_BIND, .at = at};
    }
    return (struct claim_plan){.step = plan_new_volume(view)};
}

struct volume_plan volume_plan(const struct volume_view *v)
{
    assert(v);
    if (!v->has_ref || (!v->ref_has_uid && !v->claim_known)) {
        return v->deleting && v->protected
                   ? (struct volume_plan){.step = VOLUME_UNPROTECT}
                   : (struct volume_plan){.step = VOLUME_SET_PHASE, .phase = VOLUME_AVAILABLE};
    }
    assert(v->has_ref); /* from here on it is, or was, somebody's */
    if (v->claim_known) {
        return (struct volume_plan){
            .step = VOLUME_SET_PHASE,
            .phase = v->claim_names_it || v->ref_has_uid ? VOLUME_BOUND : VOLUME_AVAILABLE};
    }
    assert(v->ref_has_uid);
    if (!v->gone_certain) {
        return (struct volume_plan){.step = VOLUME_ASK_CLAIM};
    }
    if (v->delete_policy && v->ours && !v->data_removed) {
        return (struct volume_plan){.step = VOLUME_RECLAIM,
                                    .phase = v->removal_failed ? VOLUME_FAILED : VOLUME_RELEASED};
    }
    if (v->deleting) {
        return (struct volume_plan){.step = v->protected ? VOLUME_UNPROTECT : VOLUME_NOTHING};
    }
    if (v->delete_policy && v->ours) {
        return (struct volume_plan){.step = VOLUME_DELETE};
    }
    return (struct volume_plan){.step = VOLUME_SET_PHASE, .phase = VOLUME_RELEASED};
}
