/* kinds/kind_statefulset.c: stateful sets and their revisions. */
#include "base/check.h"
#include "codec/selector.h"
#include "kinds/kind_workload.h"
#include "schema/kinds.h"

static void claim_template_defaults(yyjson_mut_doc *doc, yyjson_mut_val *templates)
{
    size_t i, n;
    yyjson_mut_val *t;
    yyjson_mut_arr_foreach(templates, i, n, t)
    {
        json_put_str(doc, t, "apiVersion", SPAN("v1"));
        json_put_str(doc, t, "kind", SPAN("PersistentVolumeClaim"));
    }
}

static void defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec");
    yyjson_mut_val *strategy = json_mut_obj(doc, spec, "updateStrategy");
    if (strategy && json_mut_str(json_mut_get(strategy, "type")).n == 0) {
        json_put_str(doc, strategy, "type", SPAN("RollingUpdate"));
        yyjson_mut_val *rolling = json_mut_obj(doc, strategy, "rollingUpdate");
        if (rolling && !json_mut_get(rolling, "partition")) {
            json_put_int(doc, rolling, "partition", 0);
        }
    }
    pod_spec_defaults(doc, json_mut_get(json_mut_get(spec, "template"), "spec"));
    claim_template_defaults(doc, json_mut_get(spec, "volumeClaimTemplates"));
}

/* ---- validation ---- */

static void check_max_unavailable(struct check *c, const struct path *p, const yyjson_val *v)
{
    if (!v || !check_count_or_percent(c, p, v)) {
        return;
    }
    if (count_or_percent_is_zero(v)) {
        cause_invalid(c, p, shown(c->a, v), "cannot be 0");
    }
    check_at_most_100_percent(c, p, v);
}

static void check_strategy(struct check *c, const struct path *p, const yyjson_val *strategy)
{
    struct span type = json_get_str(strategy, "type");
    const yyjson_val *rolling = json_get(strategy, "rollingUpdate");
    if (type.n == 0) {
        cause_required(c, p, NULL);
    } else if (span_eq(type, SPAN("OnDelete")) || span_eq(type, SPAN("Recreate"))) {
        if (rolling) {
            cause_invalid(c, AT_FIELD(p, "rollingUpdate"), shown(c->a, rolling),
                          "only allowed for updateStrategy 'RollingUpdate'");
        }
    } else if (span_eq(type, SPAN("RollingUpdate"))) {
        check_max_unavailable(c, AT_FIELD(AT_FIELD(p, "rollingUpdate"), "maxUnavailable"),
                              json_get(rolling, "maxUnavailable"));
    } else {
        cause_invalid(c, p, shown(c->a, strategy), "must be 'RollingUpdate' or 'OnDelete'");
    }
}

static void check_claim_templates(struct check *c, const struct path *p,
                                  const yyjson_val *templates)
{
    size_t i = 0;
    JSON_EACH(it, templates)
    {
        const struct path *here = AT_INDEX(p, i), *meta = AT_FIELD(here, "metadata");
        const yyjson_val *name = json_get(json_get(it.val, "metadata"), "name");
        if (json_str(name).n == 0) {
            cause_required(c, AT_FIELD(meta, "name"), NULL);
        } else {
            format_check(c, AT_FIELD(meta, "name"), "dns-subdomain", name);
        }
        check_labels(c, AT_FIELD(meta, "labels"), json_get(json_get(it.val, "metadata"), "labels"));
        check_claim_spec(c, AT_FIELD(here, "spec"), json_get(it.val, "spec"));
        i++;
    }
}

/* Beside what is wrong in it, the selector as a whole. */
static void check_selector_usable(struct check *c, const struct path *p, const yyjson_val *selector)
{
    struct selector s;
    struct err ignored;
    if (selector && selector_from_object(c->a, selector, &s, &ignored) < 0) {
        cause_invalid(c, p, shown(c->a, selector), NULL);
    }
}

static const char update_text[] =
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
    "'minReadySeconds' are forbidden";

static void validate(struct check *c, const yyjson_val *obj)
{
    static const char *const mutable[] = {"replicas",
                                          "ordinals",
                                          "template",
                                          "updateStrategy",
                                          "revisionHistoryLimit",
                                          "persistentVolumeClaimRetentionPolicy",
                                          "minReadySeconds",
                                          NULL};
    static const char *const order[] = {"metadata",
                                        "spec.podManagementPolicy",
                                        "spec.updateStrategy",
                                        "spec.persistentVolumeClaimRetentionPolicy",
                                        "spec.replicas",
                                        "spec.minReadySeconds",
                                        "spec.ordinals",
                                        "spec.serviceName",
                                        "spec.selector",
                                        "spec.template.metadata",
                                        "spec.template",
                                        "spec.template.spec.restartPolicy",
                                        "spec.template.spec.activeDeadlineSeconds",
                                        "spec.volumeClaimTemplates",
                                        "spec",
                                        NULL};
    const yyjson_val *spec = json_get(obj, "spec");
    const struct path *p = AT_FIELD(NULL, "spec");
    const yyjson_val *policy = json_get(spec, "podManagementPolicy");
    if (json_str(policy).n == 0) {
        cause_required(c, AT_FIELD(p, "podManagementPolicy"), NULL);
    } else if (!span_eq(json_str(policy), SPAN("OrderedReady")) &&
               !span_eq(json_str(policy), SPAN("Parallel"))) {
        cause_invalid(c, AT_FIELD(p, "podManagementPolicy"), shown(c->a, policy),
                      "must be 'OrderedReady' or 'Parallel'");
    }
    check_strategy(c, AT_FIELD(p, "updateStrategy"), json_get(spec, "updateStrategy"));
    if (!c->old && json_get_str(spec, "serviceName").n) {
        format_check(c, AT_FIELD(p, "serviceName"), "dns-label", json_get(spec, "serviceName"));
    }
    check_workload_selector(c, p, spec, "empty selector is invalid for statefulset");
    check_selector_usable(c, AT_FIELD(p, "selector"), json_get(spec, "selector"));
    check_workload_template(c, p, spec, json_get(spec, "volumeClaimTemplates"),
                            "activeDeadlineSeconds in StatefulSet is not Supported");
    check_claim_templates(c, AT_FIELD(p, "volumeClaimTemplates"),
                          json_get(spec, "volumeClaimTemplates"));
    const struct schema_field *row =
        schema_field_find(SCHEMA_KIND(StatefulSet)->type, SPAN("spec"));
    if (c->old && !schema_same(row->type, spec, json_get(c->old, "spec"), mutable)) {
        cause_forbidden(c, p, update_text);
    }
    causes_in_order(c, order);
}

static void validate_status(struct check *c, const yyjson_val *obj)
{
    static const char *const parts[] = {"readyReplicas", "currentReplicas", "updatedReplicas",
                                        "availableReplicas", NULL};
    static const char *const counts[] = {
        "replicas",          "readyReplicas",      "currentReplicas", "updatedReplicas",
        "availableReplicas", "observedGeneration", "collisionCount",  NULL};
    check_counts(c, obj, counts);
    check_parts(c, obj, parts, "cannot be greater than status.readyReplicas");
    check_collisions_grow(c, obj);
}

/* The sentence of the condition that is not well, the more urgent one first. */
static struct span waiting_for(const yyjson_val *obj)
{
    struct span why = SPAN("<none>");
    JSON_EACH(it, json_path(obj, "status", "conditions", NULL))
    {
        bool available = span_eq_cstr(json_get_str(it.val, "type"), "Available");
        bool well = span_eq_cstr(json_get_str(it.val, "status"), "True");
        bool advancing = span_eq_cstr(json_get_str(it.val, "type"), "Progressing") &&
                         !span_ends(json_get_str(it.val, "reason"), SPAN("Complete"));
        if (available && !well) {
            return json_get_str(it.val, "message");
        }
        if (advancing) {
            why = json_get_str(it.val, "message");
        }
    }
    return why;
}

static void row(struct row *r)
{
    cell_name(r);
    cell(r, arena_printf(r->a, "%lld/%lld",
                         (long long)json_get_int(json_get(r->obj, "status"), "readyReplicas", 0),
                         (long long)json_get_int(json_get(r->obj, "spec"), "replicas", 0)));
    cell_age(r);
    cell_containers(r);
    cell(r, waiting_for(r->obj));
}

const struct schema_hooks schema_hooks_statefulset = {.defaults = defaults,
                                                      .warn = kind_warn_statefulset,
                                                      .validate = validate,
                                                      .validate_status = validate_status,
                                                      .row = row,
                                                      .field = kind_field_metadata};

/* ---- revisions ---- */

static void revision_validate(struct check *c, const yyjson_val *obj)
{
    static const char *const order[] = {"metadata", "data", "revision", NULL};
    if (!json_get(obj, "data")) {
        cause_required(c, AT_FIELD(NULL, "data"), "data is mandatory");
    }
    causes_in_order(c, order);
}

/* "statefulset.apps/web". */
static struct span controller_of(struct arena *a, const yyjson_val *obj)
{
    JSON_EACH(it, json_get(json_get(obj, "metadata"), "ownerReferences"))
    {
        if (!json_get_bool(it.val, "controller", false)) {
            continue;
        }
        struct span kind = arena_dup(a, json_get_str(it.val, "kind"));
        for (size_t i = 0; i < kind.n; i++) {
            char *p = (char *)&kind.p[i];
            *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
        }
        struct span version = json_get_str(it.val, "apiVersion"),
                    name = json_get_str(it.val, "name");
        size_t slash = span_find(version, '/');
        struct span group = slash < version.n ? span_first(version, slash) : SPAN("");
        return arena_printf(a, "%.*s%s%.*s/%.*s", SPAN_ARG(kind), group.n ? "." : "",
                            SPAN_ARG(group), SPAN_ARG(name));
    }
    return SPAN("<none>");
}

static void revision_row(struct row *r)
{
    cell_name(r);
    cell(r, controller_of(r->a, r->obj));
    cell_int(r, json_get_int(r->obj, "revision", 0));
    cell_age(r);
}

const struct schema_hooks schema_hooks_revision = {
    .validate = revision_validate, .row = revision_row, .field = kind_field_metadata};
