/* plan/why_claim.c: the part of why_plan.h that is about claims. */
#include "base/check.h"
#include "codec/quantity.h"
#include "plan/why_priv.h"
#include "schema/status.h"

static bool is_deleting(const yyjson_val *o)
{
    return json_path(o, "metadata", "deletionTimestamp", NULL) != NULL;
}

static struct span provisioner_of(const yyjson_val *claim)
{
    return json_str(json_path(claim, "metadata", "annotations",
                              "volume.kubernetes.io/storage-provisioner", NULL));
}

struct span why_claim(struct arena *a, const yyjson_val *claim)
{
    assert(a);
    if (!claim) {
        return SPAN("it does not exist");
    }
    if (is_deleting(claim)) {
        return SPAN("it is being deleted");
    }
    if (span_eq_cstr(status_phase(claim), "Bound")) {
        return SPAN_NULL;
    }
    struct span volume = json_str(json_path(claim, "spec", "volumeName", NULL));
    if (span_eq_cstr(status_phase(claim), "Lost")) {
        return arena_printf(a, "its volume %.*s is gone, and the data with it", SPAN_ARG(volume));
    }
    struct span blocked = json_get_str(status_condition(claim, WHY_CLAIM_CONDITION), "message");
    if (status_condition_true(claim, WHY_CLAIM_CONDITION) && blocked.n) {
        return why_words(a, blocked);
    }
    struct span maker = provisioner_of(claim);
    if (maker.n && !span_eq_cstr(maker, "berth.dev/local")) {
        return arena_printf(a,
                            "provisioner %.*s, which is no part of Berth, has to make its volume",
                            SPAN_ARG(maker));
    }
    return SPAN("its volume is being made");
}

/* What keeps it from the size; the message of a failure without what Kubernetes puts before it. */
static struct span why_not_larger(struct arena *a, const yyjson_val *claim)
{
    static const char *const failures[] = {"ControllerResizeError", "NodeResizeError"};
    yyjson_val *stage = json_path(claim, "status", "allocatedResourceStatuses", "storage", NULL);
    struct span prefix = SPAN("failed to expand pvc with "), maker = provisioner_of(claim);
    for (size_t i = 0; i < 2; i++) {
        struct span said = json_get_str(status_condition(claim, failures[i]), "message");
        if (said.n) {
            return why_words(a, span_starts(said, prefix) ? span_from(said, prefix.n) : said);
        }
    }
    if (span_eq_cstr(json_str(stage), "NodeResizePending")) {
        return SPAN("its disk has grown, its file system is next (with the next start of its pod, "
                    "where the server runs without CAP_SYS_RESOURCE)");
    }
    if (stage || span_eq_cstr(maker, "berth.dev/local")) {
        return SPAN("its disk is growing");
    }
    return maker.n ? arena_printf(a, "provisioner %.*s, which is no part of Berth, has to do that",
                                  SPAN_ARG(maker))
                   : SPAN("its volume was not made by Berth, which grows its own only");
}

struct span why_growth(struct arena *a, const yyjson_val *claim)
{
    assert(a);
    yyjson_val *asked = json_path(claim, "spec", "resources", "requests", "storage", NULL);
    yyjson_val *has = json_path(claim, "status", "capacity", "storage", NULL);
    struct quantity wanted, there;
    if (!span_eq_cstr(status_phase(claim), "Bound") || is_deleting(claim) ||
        quantity_parse(json_str(asked), &wanted) || quantity_parse(json_str(has), &there) ||
        quantity_cmp(&wanted, &there) <= 0) {
        return SPAN_NULL;
    }
    return arena_printf(a, "waits to grow from %.*s to %.*s: %.*s", SPAN_ARG(json_str(has)),
                        SPAN_ARG(json_str(asked)), SPAN_ARG(why_not_larger(a, claim)));
}

struct why why_claims(struct arena *a, struct span pod, const struct why_claim *claims, size_t n)
{
    assert(claims || n == 0);
    for (size_t i = 0; i < n; i++) {
        struct span cause = why_claim(a, claims[i].claim);
        if (cause.n) {
            return why_of(a, "ClaimNotBound",
                          arena_printf(a, "%.*s waits for claim %.*s: %.*s", SPAN_ARG(pod),
                                       SPAN_ARG(claims[i].name), SPAN_ARG(cause)));
        }
    }
    return (struct why){0};
}
