/* kinds/kind_policy.c: disruption budgets, limits, quotas and priorities. */
#include "codec/quantity.h"
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

/* ---- limits ---- */

/* What `from` has and `to` has not. */
static void fill(yyjson_mut_doc *doc, yyjson_mut_val *item, const char *to, const char *from)
{
    size_t i, n;
    yyjson_mut_val *key, *val, *source = json_mut_get(item, from);
    if (!yyjson_mut_is_obj(source) || yyjson_mut_obj_size(source) == 0) {
        return;
    }
    yyjson_mut_val *target = json_mut_obj(doc, item, to);
    yyjson_mut_obj_foreach(source, i, n, key, val)
    {
        struct span name = json_mut_str(key);
        if (!yyjson_mut_obj_getn(target, name.p, name.n)) {
            json_put_span(doc, target, name, yyjson_mut_val_mut_copy(doc, val));
        }
    }
}

static void limitrange_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    size_t i, n;
    yyjson_mut_val *item;
    yyjson_mut_arr_foreach(json_mut_get(json_mut_get(obj, "spec"), "limits"), i, n, item)
    {
        if (span_eq(json_mut_str(json_mut_get(item, "type")), SPAN("Container"))) {
            fill(doc, item, "default", "max");
            fill(doc, item, "defaultRequest", "default");
            fill(doc, item, "defaultRequest", "min");
        }
    }
}

static void check_order(struct check *c, const struct path *p, const yyjson_val *item,
                        const char *const low[2], const char *const high[2])
{
    JSON_EACH(it, json_get(item, low[0]))
    {
        struct quantity a, b;
        struct span key = json_str(it.key);
        const yyjson_val *other = yyjson_obj_getn(json_get(item, high[0]), key.p, key.n);
        if (other && !quantity_parse(json_str(it.val), &a) &&
            !quantity_parse(json_str(other), &b) && quantity_cmp(&a, &b) > 0) {
            cause_invalid(c, AT_KEY(AT_FIELD(p, low[0]), key), shown(c->a, it.val),
                          arena_printf(c->a, "%s value %.*s is greater than %s value %.*s", low[1],
                                       SPAN_ARG(json_str(it.val)), high[1],
                                       SPAN_ARG(json_str(other)))
                              .p);
        }
    }
}

static void limitrange_validate(struct check *c, const yyjson_val *obj)
{
    static const char *const min[] = {"min", "min"}, *const max[] = {"max", "max"};
    static const char *const limit[] = {"default", "default"};
    static const char *const request[] = {"defaultRequest", "default request"};
    const struct path *p = AT_FIELD(AT_FIELD(NULL, "spec"), "limits");
    const yyjson_val *limits = json_path(obj, "spec", "limits", NULL);
    size_t i = 0;
    JSON_EACH(it, limits)
    {
        const struct path *here = AT_INDEX(p, i);
        struct span type = json_get_str(it.val, "type");
        for (size_t k = 0; k < i; k++) {
            if (span_eq(type, json_get_str(yyjson_arr_get((yyjson_val *)limits, k), "type"))) {
                cause_duplicate(c, AT_FIELD(here, "type"), shown_text(c->a, type));
                break;
            }
        }
        check_order(c, here, it.val, min, max);
        check_order(c, here, it.val, min, request);
        check_order(c, here, it.val, request, max);
        check_order(c, here, it.val, request, limit);
        check_order(c, here, it.val, min, limit);
        check_order(c, here, it.val, limit, max);
        i++;
    }
}

const struct schema_hooks schema_hooks_limitrange = {
    .defaults = limitrange_defaults, .validate = limitrange_validate, .field = kind_field_metadata};

/* ---- quotas ---- */

static void check_hard(struct check *c, const struct path *p, const yyjson_val *map)
{
    check_quantities(c, p, map);
    JSON_EACH(it, map)
    {
        format_check(c, p, "qualified", it.key);
    }
}

static void quota_validate(struct check *c, const yyjson_val *obj)
{
    const struct path *p = AT_FIELD(NULL, "spec");
    const yyjson_val *spec = json_get(obj, "spec"), *scopes = json_get(spec, "scopes");
    check_hard(c, AT_FIELD(p, "hard"), json_get(spec, "hard"));
    if (c->old && !semantic_equal(scopes, json_path(c->old, "spec", "scopes", NULL))) {
        cause_invalid(c, AT_FIELD(p, "scopes"), shown(c->a, scopes), "field is immutable");
    }
}

static void quota_validate_status(struct check *c, const yyjson_val *obj)
{
    const struct path *p = AT_FIELD(NULL, "status");
    check_hard(c, AT_FIELD(p, "hard"), json_path(obj, "status", "hard", NULL));
    check_hard(c, AT_FIELD(p, "used"), json_path(obj, "status", "used", NULL));
}

const struct schema_hooks schema_hooks_quota = {.validate = quota_validate,
                                                .validate_status = quota_validate_status,
                                                .field = kind_field_metadata};

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
