/* kinds/kind_deployment.c: deployments, replica sets and daemon sets. */
#include "base/check.h"
#include "codec/selector.h"
#include "kinds/kind_workload.h"

static void template_defaults(yyjson_mut_doc *doc, yyjson_mut_val *spec)
{
    pod_spec_defaults(doc, json_mut_get(json_mut_get(spec, "template"), "spec"));
}

/* An absent type is RollingUpdate, whose details are then there. NULL when it is another one. */
static yyjson_mut_val *rolling_defaults(yyjson_mut_doc *doc, yyjson_mut_val *spec, const char *key)
{
    yyjson_mut_val *strategy = json_mut_obj(doc, spec, key);
    if (strategy && json_mut_str(json_mut_get(strategy, "type")).n == 0) {
        json_put_str(doc, strategy, "type", SPAN("RollingUpdate"));
    }
    bool rolls = span_eq(json_mut_str(json_mut_get(strategy, "type")), SPAN("RollingUpdate"));
    return rolls ? json_mut_obj(doc, strategy, "rollingUpdate") : NULL;
}

static void put_absent(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
                       yyjson_mut_val *value)
{
    if (obj && !json_mut_get(obj, key)) {
        json_put(doc, obj, key, value);
    }
}

/* What every one of the three has: selector, template, and a selector that never changes. */
static void check_common(struct check *c, const struct path *p, const yyjson_val *spec,
                         const yyjson_val *old, const char *kind, const char *empty_detail)
{
    check_workload_selector(c, p, spec, empty_detail);
    struct span deadline = arena_printf(c->a, "activeDeadlineSeconds in %s is not Supported", kind);
    check_workload_template(c, p, spec, NULL, deadline.p);
    const yyjson_val *selector = json_get(spec, "selector");
    if (old && !semantic_equal(selector, json_path(old, "spec", "selector", NULL))) {
        cause_invalid(c, AT_FIELD(p, "selector"), shown(c->a, selector), "field is immutable");
    }
}

/* ---- deployments ---- */

static void deployment_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec");
    yyjson_mut_val *rolling = rolling_defaults(doc, spec, "strategy");
    put_absent(doc, rolling, "maxUnavailable", json_new_str(doc, SPAN("25%")));
    put_absent(doc, rolling, "maxSurge", json_new_str(doc, SPAN("25%")));
    template_defaults(doc, spec);
}

static void check_surge(struct check *c, const struct path *p, const yyjson_val *rolling)
{
    const yyjson_val *missing = json_get(rolling, "maxUnavailable");
    const yyjson_val *surge = json_get(rolling, "maxSurge");
    const struct path *at_missing = AT_FIELD(p, "maxUnavailable");
    check_count_or_percent(c, at_missing, missing);
    check_count_or_percent(c, AT_FIELD(p, "maxSurge"), surge);
    if (count_or_percent_is_zero(missing) && count_or_percent_is_zero(surge)) {
        cause_invalid(c, at_missing, shown(c->a, missing), "may not be 0 when `maxSurge` is 0");
    }
    check_at_most_100_percent(c, at_missing, missing);
}

static void check_strategy(struct check *c, const struct path *p, const yyjson_val *strategy)
{
    struct span type = json_get_str(strategy, "type");
    const yyjson_val *rolling = json_get(strategy, "rollingUpdate");
    const struct path *in = AT_FIELD(p, "rollingUpdate");
    if (span_eq(type, SPAN("Recreate"))) {
        if (rolling) {
            cause_forbidden(c, in, "may not be specified when strategy `type` is 'Recreate'");
        }
    } else if (span_eq(type, SPAN("RollingUpdate"))) {
        check_surge(c, in, rolling);
    } else {
        cause_not_supported(c, p, shown(c->a, strategy), "Recreate|RollingUpdate");
    }
}

static void deployment_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    const struct path *p = AT_FIELD(NULL, "spec");
    check_common(c, p, spec, c->old, "ReplicaSet", "empty selector is invalid for deployment");
    check_strategy(c, AT_FIELD(p, "strategy"), json_get(spec, "strategy"));
    const yyjson_val *deadline = json_get(spec, "progressDeadlineSeconds");
    if (deadline && json_int(deadline, 0) <= json_get_int(spec, "minReadySeconds", 0)) {
        cause_invalid(c, AT_FIELD(p, "progressDeadlineSeconds"), shown(c->a, deadline),
                      "must be greater than minReadySeconds");
    }
}

static void deployment_validate_status(struct check *c, const yyjson_val *obj)
{
    static const char *const parts[] = {"updatedReplicas", "readyReplicas", "availableReplicas",
                                        NULL};
    static const char *const others[] = {"observedGeneration", "unavailableReplicas",
                                         "terminatingReplicas", NULL};
    check_counts(c, obj, others);
    check_replicas(c, obj, parts, "cannot be greater than readyReplicas");
    check_collisions(c, obj);
}

static void deployment_row(struct row *r)
{
    const yyjson_val *spec = json_get(r->obj, "spec"), *status = json_get(r->obj, "status");
    cell_name(r);
    cell(r, arena_printf(r->a, "%lld/%lld", (long long)json_get_int(status, "readyReplicas", 0),
                         (long long)json_get_int(spec, "replicas", 0)));
    cell_int(r, json_get_int(status, "updatedReplicas", 0));
    cell_int(r, json_get_int(status, "availableReplicas", 0));
    cell_age(r);
    cell_containers(r);
    cell_selector(r, json_get(spec, "selector"));
}

const struct schema_hooks schema_hooks_deployment = {.defaults = deployment_defaults,
                                                     .warn = kind_warn_template,
                                                     .validate = deployment_validate,
                                                     .validate_status = deployment_validate_status,
                                                     .row = deployment_row,
                                                     .field = kind_field_metadata};

/* ---- replica sets ---- */

static void replicaset_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    template_defaults(doc, json_mut_get(obj, "spec"));
}

static void replicaset_validate(struct check *c, const yyjson_val *obj)
{
    /* Kubernetes says "deployment" here as well. */
    check_common(c, AT_FIELD(NULL, "spec"), json_get(obj, "spec"), c->old, "ReplicaSet",
                 "empty selector is invalid for deployment");
}

static void replicaset_validate_status(struct check *c, const yyjson_val *obj)
{
    static const char *const parts[] = {"fullyLabeledReplicas", "readyReplicas",
                                        "availableReplicas", NULL};
    static const char *const others[] = {"observedGeneration", "terminatingReplicas", NULL};
    check_counts(c, obj, others);
    check_replicas(c, obj, parts, "cannot be greater than readyReplicas");
}

static void replicaset_row(struct row *r)
{
    const yyjson_val *spec = json_get(r->obj, "spec"), *status = json_get(r->obj, "status");
    cell_name(r);
    cell_int(r, json_get_int(spec, "replicas", 0));
    cell_int(r, json_get_int(status, "replicas", 0));
    cell_int(r, json_get_int(status, "readyReplicas", 0));
    cell_age(r);
    cell_containers(r);
    cell_selector(r, json_get(spec, "selector"));
}

static bool replicaset_field(struct arena *a, const yyjson_val *obj, struct span key,
                             struct span *ret)
{
    static const char *const keys[] = {"status.replicas", NULL};
    return kind_field(a, obj, key, keys, ret);
}

const struct schema_hooks schema_hooks_replicaset = {.defaults = replicaset_defaults,
                                                     .warn = kind_warn_template,
                                                     .validate = replicaset_validate,
                                                     .validate_status = replicaset_validate_status,
                                                     .row = replicaset_row,
                                                     .field = replicaset_field};

/* ---- daemon sets ---- */

static void daemonset_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec");
    yyjson_mut_val *rolling = rolling_defaults(doc, spec, "updateStrategy");
    put_absent(doc, rolling, "maxUnavailable", yyjson_mut_sint(doc, 1));
    put_absent(doc, rolling, "maxSurge", yyjson_mut_sint(doc, 0));
    template_defaults(doc, spec);
}

static void check_daemon_surge(struct check *c, const struct path *p, const yyjson_val *rolling)
{
    const yyjson_val *missing = json_get(rolling, "maxUnavailable");
    const yyjson_val *surge = json_get(rolling, "maxSurge");
    const struct path *at_missing = AT_FIELD(p, "maxUnavailable");
    const struct path *at_surge = AT_FIELD(p, "maxSurge");
    check_count_or_percent(c, at_missing, missing);
    check_count_or_percent(c, at_surge, surge);
    check_at_most_100_percent(c, at_missing, missing);
    check_at_most_100_percent(c, at_surge, surge);
    bool may_miss = !count_or_percent_is_zero(missing),
         may_surge = !count_or_percent_is_zero(surge);
    if (may_miss && may_surge) {
        cause_invalid(c, at_surge, shown(c->a, surge),
                      "may not be set when maxUnavailable is non-zero");
    } else if (!may_miss && !may_surge) {
        cause_required(c, at_missing, "cannot be 0 when maxSurge is 0");
    }
}

static void daemonset_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    const struct path *p = AT_FIELD(NULL, "spec");
    check_common(c, p, spec, c->old, "DaemonSet", "empty selector is invalid for daemonset");
    const yyjson_val *strategy = json_get(spec, "updateStrategy");
    const struct path *at = AT_FIELD(p, "updateStrategy");
    struct span type = json_get_str(strategy, "type");
    if (span_eq(type, SPAN("RollingUpdate"))) {
        check_daemon_surge(c, AT_FIELD(at, "rollingUpdate"), json_get(strategy, "rollingUpdate"));
    } else if (!span_eq(type, SPAN("OnDelete"))) {
        cause_not_supported(c, at, shown(c->a, strategy), "RollingUpdate|OnDelete");
    }
}

static void daemonset_validate_status(struct check *c, const yyjson_val *obj)
{
    static const char *const counts[] = {"observedGeneration",
                                         "currentNumberScheduled",
                                         "numberMisscheduled",
                                         "desiredNumberScheduled",
                                         "numberReady",
                                         "updatedNumberScheduled",
                                         "numberAvailable",
                                         "numberUnavailable",
                                         NULL};
    check_counts(c, obj, counts);
    check_collisions(c, obj);
}

static void daemonset_row(struct row *r)
{
    static const char *const counts[] = {"desiredNumberScheduled", "currentNumberScheduled",
                                         "numberReady", "updatedNumberScheduled",
                                         "numberAvailable"};
    const yyjson_val *spec = json_get(r->obj, "spec"), *status = json_get(r->obj, "status");
    cell_name(r);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        cell_int(r, json_get_int(status, counts[i], 0));
    }
    struct selector nodes = {.n = 0};
    struct err ignored;
    const yyjson_val *labels = json_path(spec, "template", "spec", "nodeSelector", NULL);
    bool asks = json_len(labels) && selector_from_map(r->a, labels, &nodes, &ignored) == 0;
    cell_or_none(r, asks ? selector_text(r->a, &nodes) : SPAN_NULL);
    cell_age(r);
    cell_containers(r);
    cell_selector(r, json_get(spec, "selector"));
}

const struct schema_hooks schema_hooks_daemonset = {.defaults = daemonset_defaults,
                                                    .warn = kind_warn_template,
                                                    .validate = daemonset_validate,
                                                    .validate_status = daemonset_validate_status,
                                                    .row = daemonset_row,
                                                    .field = kind_field_metadata};
