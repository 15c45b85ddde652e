/* kinds/kind_workload.c: see kind_workload.h. */
#include "kinds/kind_workload.h"

#include "base/check.h"
#include "codec/selector.h"

/* ---- rules ---- */

void check_workload_selector(struct check *c, const struct path *p, const yyjson_val *spec,
                             const char *empty_detail)
{
    assert(c);
    assert(p);
    assert(empty_detail);
    const yyjson_val *selector = json_get(spec, "selector");
    size_t terms = json_len(json_get(selector, "matchLabels")) +
                   json_len(json_get(selector, "matchExpressions"));
    const struct path *here = AT_FIELD(p, "selector");
    if (!selector) {
        cause_required(c, here, NULL);
    } else {
        check_label_selector(c, here, selector);
        if (terms == 0) {
            cause_invalid(c, here, shown(c->a, selector), empty_detail);
            return;
        }
    }
    struct selector s;
    struct err ignored;
    const yyjson_val *labels = json_path(spec, "template", "metadata", "labels", NULL);
    bool usable = !selector || selector_from_object(c->a, selector, &s, &ignored) == 0;
    if (usable && (!selector || !selector_matches(&s, labels))) {
        cause_invalid(c, AT_FIELD(AT_FIELD(AT_FIELD(p, "template"), "metadata"), "labels"),
                      shown(c->a, labels), "`selector` does not match template `labels`");
    }
}

/* Is the template, with the claims that it can mount, as it is stored? That has passed. */
static bool is_stored_template(const struct check *c, const yyjson_val *template,
                               const yyjson_val *claims)
{
    const yyjson_val *was = json_get(c->old, "spec");
    return template && was && json_same(template, json_get(was, "template")) &&
           json_same(claims, json_get(was, "volumeClaimTemplates"));
}

void check_workload_template(struct check *c, const struct path *p, const yyjson_val *spec,
                             const yyjson_val *claims, const char *deadline_detail)
{
    assert(c);
    assert(p);
    assert(deadline_detail);
    const yyjson_val *t = json_get(spec, "template"), *meta = json_get(t, "metadata");
    const yyjson_val *pod = json_get(t, "spec");
    const struct path *here = AT_FIELD(p, "template"), *in = AT_FIELD(here, "spec");
    if (is_stored_template(c, t, claims)) {
        return;
    }
    check_labels(c, AT_FIELD(here, "labels"), json_get(meta, "labels"));
    check_annotations(c, AT_FIELD(here, "annotations"), json_get(meta, "annotations"));
    const yyjson_val *policy = json_get(pod, "restartPolicy");
    if (!span_eq(json_str(policy), SPAN("Always"))) {
        cause_not_supported(c, AT_FIELD(in, "restartPolicy"), shown(c->a, policy), "Always");
    }
    if (json_get(pod, "activeDeadlineSeconds")) {
        cause_forbidden(c, AT_FIELD(in, "activeDeadlineSeconds"), deadline_detail);
    }
    check_template_spec(c, in, pod, claims);
}

/* A percentage, or -1. */
static int64_t percent_of(struct span s)
{
    uint64_t n;
    if (!span_ends(s, SPAN("%")) || !span_to_u64(span_first(s, s.n - 1), &n) || n > INT32_MAX) {
        return -1;
    }
    return (int64_t)n;
}

bool check_count_or_percent(struct check *c, const struct path *p, const yyjson_val *v)
{
    assert(c);
    if (yyjson_is_str((yyjson_val *)v) && percent_of(json_str(v)) < 0) {
        cause_invalid(c, p, shown(c->a, v),
                      "a valid percent string must be a numeric string followed by an ending '%' "
                      "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')");
        return false;
    }
    if (json_int(v, 0) < 0) {
        cause_invalid(c, p, shown(c->a, v), "must be greater than or equal to 0");
        return false;
    }
    return true;
}

bool count_or_percent_is_zero(const yyjson_val *v)
{
    return yyjson_is_str((yyjson_val *)v) ? percent_of(json_str(v)) == 0 : json_int(v, 0) == 0;
}

void check_at_most_100_percent(struct check *c, const struct path *p, const yyjson_val *v)
{
    assert(c);
    if (yyjson_is_str((yyjson_val *)v) && percent_of(json_str(v)) > 100) {
        cause_invalid(c, p, shown(c->a, v), "must not be greater than 100%");
    }
}

static void check_at_most(struct check *c, const yyjson_val *status, const char *counted,
                          const char *of, const char *detail)
{
    int64_t n = json_get_int(status, counted, 0);
    if (n > json_get_int(status, of, 0)) {
        cause_invalid(c, AT_FIELD(AT_FIELD(NULL, "status"), counted),
                      arena_printf(c->a, "%lld", (long long)n), detail);
    }
}

static void check_count(struct check *c, const yyjson_val *obj, const char *name)
{
    check_not_negative(c, AT_FIELD(AT_FIELD(NULL, "status"), name),
                       json_get(json_get(obj, "status"), name));
}

void check_counts(struct check *c, const yyjson_val *obj, const char *const *names)
{
    assert(c);
    assert(names);
    for (; *names; names++) {
        check_count(c, obj, *names);
    }
}

void check_replicas(struct check *c, const yyjson_val *obj, const char *const *parts,
                    const char *beyond_ready)
{
    assert(c);
    assert(parts);
    assert(beyond_ready);
    check_count(c, obj, "replicas");
    check_counts(c, obj, parts);
    check_parts(c, obj, parts, beyond_ready);
}

void check_parts(struct check *c, const yyjson_val *obj, const char *const *parts,
                 const char *beyond_ready)
{
    const yyjson_val *status = json_get(obj, "status");
    for (; *parts; parts++) {
        check_at_most(c, status, *parts, "replicas", "cannot be greater than status.replicas");
    }
    check_at_most(c, status, "availableReplicas", "readyReplicas", beyond_ready);
}

void check_collisions(struct check *c, const yyjson_val *obj)
{
    check_count(c, obj, "collisionCount");
    check_collisions_grow(c, obj);
}

void check_collisions_grow(struct check *c, const yyjson_val *obj)
{
    const struct path *p = AT_FIELD(NULL, "status");
    const yyjson_val *now = json_path(obj, "status", "collisionCount", NULL);
    const yyjson_val *was = json_path(c->old, "status", "collisionCount", NULL);
    if (was && (!now || json_int(now, 0) < json_int(was, 0))) { /* to forget it is to decrement */
        cause_invalid(c, AT_FIELD(p, "collisionCount"), now ? shown(c->a, now) : SPAN("0"),
                      "cannot be decremented");
    }
}

/* ---- cells ---- */

void cell_containers(struct row *r)
{
    assert(r->obj);
    const yyjson_val *list = json_path(r->obj, "spec", "template", "spec", "containers", NULL);
    cell(r, joined(r->a, list, "name"));
    cell(r, joined(r->a, list, "image"));
}
