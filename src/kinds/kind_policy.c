/* kinds/kind_policy.c: disruption budgets and priorities. */
#include "kinds/kind_workload.h"

static void pdb_validate(struct check *c, const yyjson_val *obj)
{
    static const char *const members[] = {"minAvailable", "maxUnavailable"};
    const yyjson_val *spec = json_get(obj, "spec");
    const struct path *p = AT_FIELD(NULL, "spec");
    if (json_get(spec, members[0]) && json_get(spec, members[1])) {
        cause_invalid(c, p, shown(c->a, spec),
                      "minAvailable and maxUnavailable cannot be both set");
    }
    for (size_t i = 0; i < 2; i++) {
        const yyjson_val *v = json_get(spec, members[i]);
        if (v && check_count_or_percent(c, AT_FIELD(p, members[i]), v)) {
            check_at_most_100_percent(c, AT_FIELD(p, members[i]), v);
        }
    }
    if (json_get(spec, "selector")) {
        check_label_selector(c, AT_FIELD(p, "selector"), json_get(spec, "selector"));
    }
}

static void pdb_validate_status(struct check *c, const yyjson_val *obj)
{
    static const char *const counts[] = {"disruptionsAllowed", "currentHealthy", "desiredHealthy",
                                         "expectedPods"};
    const yyjson_val *status = json_get(obj, "status");
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const yyjson_val *v = json_get(status, counts[i]);
        if (json_int(v, 0) < 0) {
            cause_invalid(c, AT_FIELD(AT_FIELD(NULL, "status"), counts[i]), shown(c->a, v),
                          "must be greater than or equal to 0");
        }
    }
}

const struct schema_hooks schema_hooks_pdb = {
    .validate = pdb_validate, .validate_status = pdb_validate_status, .field = kind_field_metadata};

/* ---- priorities ---- */

enum { PRIORITY_MAX = 1000000000 }; /* above it are those that the system keeps for itself */

static void priority_validate(struct check *c, const yyjson_val *obj)
{
    struct span name = json_get_str(json_get(obj, "metadata"), "name");
    bool system = span_eq(name, SPAN("system-node-critical")) ||
                  span_eq(name, SPAN("system-cluster-critical"));
    int64_t value = json_get_int(obj, "value", 0);
    if (!system && span_starts(name, SPAN("system-"))) {
        cause_forbidden(c, AT_FIELD(AT_FIELD(NULL, "metadata"), "name"),
                        "priority class names with 'system-' prefix are reserved for system use "
                        "only");
    }
    if (!system && value > PRIORITY_MAX) {
        cause_forbidden(c, AT_FIELD(NULL, "value"),
                        "maximum allowed value of a user defined priority is 1000000000");
    }
    if (c->old && value != json_get_int(c->old, "value", 0)) {
        cause_forbidden(c, AT_FIELD(NULL, "value"), "may not be changed in an update.");
    }
}

const struct schema_hooks schema_hooks_priority = {.validate = priority_validate,
                                                   .field = kind_field_metadata};
