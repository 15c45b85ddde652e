/* kinds/kind_node.c: machines and their leases. */
#include "base/strbuf.h"
#include "kinds/kind.h"

static struct span status_text(struct arena *a, const yyjson_val *obj)
{
    struct span text = SPAN("Unknown");
    JSON_EACH(it, json_get(json_get(obj, "status"), "conditions"))
    {
        if (span_eq(json_get_str(it.val, "type"), SPAN("Ready"))) {
            text = span_eq(json_get_str(it.val, "status"), SPAN("True")) ? SPAN("Ready")
                                                                         : SPAN("NotReady");
        }
    }
    if (json_get_bool(json_get(obj, "spec"), "unschedulable", false)) {
        return arena_printf(a, "%.*s,SchedulingDisabled", SPAN_ARG(text));
    }
    return text;
}

static int by_text(const void *x, const void *y)
{
    return span_cmp(*(const struct span *)x, *(const struct span *)y);
}

static struct span roles(struct arena *a, const yyjson_val *labels)
{
    struct span *found = ARENA_ARRAY(a, struct span, json_len(labels) + 1);
    size_t n = 0;
    const struct span prefix = SPAN("node-role.kubernetes.io/");
    JSON_EACH(it, labels)
    {
        struct span key = json_str(it.key);
        if (span_starts(key, prefix) && key.n > prefix.n) {
            found[n++] = span_from(key, prefix.n);
        } else if (span_eq(key, SPAN("kubernetes.io/role")) && json_str(it.val).n) {
            found[n++] = json_str(it.val);
        }
    }
    qsort(found, n, sizeof *found, by_text);
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; i < n; i++) {
        strbuf_puts(&b, i ? "," : "");
        strbuf_put(&b, found[i]);
    }
    return arena_dup(a, strbuf_span(&b));
}

static struct span address(const yyjson_val *obj, const char *type)
{
    return json_get_str(
        json_find(json_get(json_get(obj, "status"), "addresses"), "type", span_cstr(type)),
        "address");
}

static void node_row(struct row *r)
{
    static const char *const facts[] = {"osImage", "kernelVersion", "containerRuntimeVersion"};
    const yyjson_val *info = json_get(json_get(r->obj, "status"), "nodeInfo");
    cell_name(r);
    cell(r, status_text(r->a, r->obj));
    cell_or_none(r, roles(r->a, json_get(json_get(r->obj, "metadata"), "labels")));
    cell_age(r);
    cell(r, json_get_str(info, "kubeletVersion"));
    cell_or_none(r, address(r->obj, "InternalIP"));
    cell_or_none(r, address(r->obj, "ExternalIP"));
    for (size_t i = 0; i < 3; i++) {
        struct span text = json_get_str(info, facts[i]);
        cell(r, text.n ? text : SPAN("<unknown>"));
    }
}

static bool node_field(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret)
{
    static const char *const keys[] = {"spec.unschedulable", NULL};
    bool known = kind_field(a, obj, key, keys, ret);
    if (known && ret->n == 0 && span_eq(key, SPAN("spec.unschedulable"))) {
        *ret = SPAN("false");
    }
    return known;
}

static void check_taints(struct check *c, const struct path *p, const yyjson_val *taints)
{
    size_t i = 0;
    JSON_EACH(it, taints)
    {
        const struct path *here = AT_INDEX(p, i);
        if (json_get_str(it.val, "key").n) {
            format_check(c, AT_FIELD(here, "key"), "qualified", json_get(it.val, "key"));
        }
        format_check(c, AT_FIELD(here, "value"), "label-value", json_get(it.val, "value"));
        size_t k = 0;
        JSON_EACH(before, taints)
        {
            if (k++ == i) {
                break;
            }
            if (span_eq(json_get_str(before.val, "key"), json_get_str(it.val, "key")) &&
                span_eq(json_get_str(before.val, "effect"), json_get_str(it.val, "effect"))) {
                cause_duplicate_of(c, here, shown(c->a, it.val),
                                   "taints must be unique by key and effect pair");
                break;
            }
        }
        i++;
    }
}

/* Addresses of pods: given once. */
static void check_ranges(struct check *c, const yyjson_val *now, const yyjson_val *was)
{
    static const char *const members[] = {"podCIDR", "podCIDRs"};
    for (size_t i = 0; i < 2; i++) {
        const yyjson_val *before = json_get(was, members[i]);
        bool given = json_str(before).n || json_len(before);
        if (given && !semantic_equal(json_get(now, members[i]), before)) {
            cause_forbidden(c, AT_FIELD(AT_FIELD(NULL, "spec"), "podCIDRs"),
                            "node updates may not change podCIDR except from \"\" to valid");
            return;
        }
    }
}

static void node_validate(struct check *c, const yyjson_val *obj)
{
    check_taints(c, AT_FIELD(AT_FIELD(NULL, "spec"), "taints"),
                 json_get(json_get(obj, "spec"), "taints"));
    const yyjson_val *now = json_get(json_get(obj, "spec"), "providerID");
    const yyjson_val *was = json_get(json_get(c->old, "spec"), "providerID");
    if (json_str(was).n && !semantic_equal(now, was)) {
        cause_forbidden(c, AT_FIELD(AT_FIELD(NULL, "spec"), "providerID"),
                        "node updates may not change providerID except from \"\" to valid");
    }
    check_ranges(c, json_get(obj, "spec"), json_get(c->old, "spec"));
}

static void node_validate_status(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *status = json_get(obj, "status");
    const struct path *p = AT_FIELD(NULL, "status");
    check_quantities(c, AT_FIELD(p, "capacity"), json_get(status, "capacity"));
    check_quantities(c, AT_FIELD(p, "allocatable"), json_get(status, "allocatable"));
}

const struct schema_hooks schema_hooks_node = {.validate = node_validate,
                                               .validate_status = node_validate_status,
                                               .row = node_row,
                                               .field = node_field};

/* ---- leases ---- */

static void lease_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    const struct path *p = AT_FIELD(NULL, "spec");
    const yyjson_val *seconds = json_get(spec, "leaseDurationSeconds");
    if (seconds && json_int(seconds, 0) <= 0) {
        cause_invalid(c, AT_FIELD(p, "leaseDurationSeconds"), shown(c->a, seconds),
                      "must be greater than 0");
    }
    check_not_negative(c, AT_FIELD(p, "leaseTransitions"), json_get(spec, "leaseTransitions"));
}

static void lease_row(struct row *r)
{
    cell_name(r);
    cell(r, json_get_str(json_get(r->obj, "spec"), "holderIdentity"));
    cell_age(r);
}

const struct schema_hooks schema_hooks_lease = {
    .validate = lease_validate, .row = lease_row, .field = kind_field_metadata};
