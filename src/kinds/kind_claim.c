/* kinds/kind_claim.c: claims on volumes. */
#include "base/check.h"
#include "codec/quantity.h"
#include "kinds/kind.h"

void check_claim_spec(struct check *c, const struct path *p, const yyjson_val *spec)
{
    assert(c);
    const yyjson_val *modes = json_get(spec, "accessModes");
    if (json_len(modes) == 0) {
        cause_required(c, AT_FIELD(p, "accessModes"), "at least 1 access mode is required");
    }
    JSON_EACH(it, modes)
    {
        if (json_len(modes) > 1 && span_eq(json_str(it.val), SPAN("ReadWriteOncePod"))) {
            cause_forbidden(c, AT_FIELD(p, "accessModes"),
                            "may not use ReadWriteOncePod with other access modes");
        }
    }
    const yyjson_val *storage = json_path(spec, "resources", "requests", "storage", NULL);
    const struct path *here = AT_KEY(AT_FIELD(p, "resources"), SPAN("storage"));
    struct quantity q;
    if (!storage) {
        cause_required(c, here, NULL);
    } else if (quantity_parse(json_str(storage), &q) || q.nano <= 0) {
        cause_invalid(c, here, shown(c->a, storage), "must be greater than zero");
    }
    if (json_get(spec, "selector")) {
        check_label_selector(c, AT_FIELD(p, "selector"), json_get(spec, "selector"));
    }
}

/* ---- changes ---- */

static const char update_text[] =
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
    "bound claims";

static bool resources_unchanged(const yyjson_val *now, const yyjson_val *was, bool bound)
{
    static const char *const requests[] = {"requests", NULL}, *const storage[] = {"storage", NULL};
    if (!bound) {
        return semantic_equal(now, was);
    }
    return equal_except(now, was, requests) &&
           equal_except(json_get(now, "requests"), json_get(was, "requests"), storage);
}

static void check_size(struct check *c, const struct path *p, const yyjson_val *obj,
                       const yyjson_val *old)
{
    const yyjson_val *now = json_path(obj, "spec", "resources", "requests", "storage", NULL);
    const yyjson_val *was = json_path(old, "spec", "resources", "requests", "storage", NULL);
    const yyjson_val *have = json_path(old, "status", "capacity", "storage", NULL);
    struct quantity wanted, before, capacity;
    if (quantity_parse(json_str(now), &wanted) || quantity_parse(json_str(was), &before) ||
        quantity_cmp(&wanted, &before) >= 0) {
        return;
    }
    const struct path *here = AT_FIELD(AT_FIELD(AT_FIELD(p, "resources"), "requests"), "storage");
    if (quantity_parse(json_str(have), &capacity)) {
        capacity = (struct quantity){0};
    }
    if (quantity_cmp(&wanted, &capacity) <= 0) {
        cause_forbidden(c, here, "field can not be less than status.capacity");
    }
}

static void check_update(struct check *c, const yyjson_val *obj, const yyjson_val *old)
{
    const struct path *p = AT_FIELD(NULL, "spec");
    const yyjson_val *now = json_get(obj, "spec"), *was = json_get(old, "spec");
    bool bound = span_eq(json_get_str(json_get(old, "status"), "phase"), SPAN("Bound"));
    /* The binder names the volume once; a class may be given once to a claim that named none. */
    const char *except[] = {"resources", NULL, NULL, NULL, NULL};
    size_t n = 1;
    if (json_get_str(was, "volumeName").n == 0) {
        except[n++] = "volumeName";
    }
    if (!json_get(was, "storageClassName")) {
        except[n++] = "storageClassName";
    }
    if (bound) {
        except[n++] = "volumeAttributesClassName";
    }
    if (!equal_except(now, was, except) ||
        !resources_unchanged(json_get(now, "resources"), json_get(was, "resources"), bound)) {
        cause_forbidden(c, p, update_text);
    } else {
        check_size(c, p, obj, old);
    }
}

static void validate(struct check *c, const yyjson_val *obj)
{
    check_claim_spec(c, AT_FIELD(NULL, "spec"), json_get(obj, "spec"));
    if (c->old) {
        check_update(c, obj, c->old);
    }
}

/* Of Kubernetes' own resources a claim has one. */
static void check_keys(struct check *c, const struct path *p, const yyjson_val *map)
{
    JSON_EACH(it, map)
    {
        struct span key = json_str(it.key);
        if (span_find(key, '/') == key.n && !span_eq_cstr(key, "storage")) {
            cause_not_supported(c, p, shown(c->a, it.key), "storage");
        }
    }
}

static void validate_status(struct check *c, const yyjson_val *obj)
{
    static const char stages[] = "ControllerResizeInProgress|ControllerResizeInfeasible|"
                                 "NodeResizeInProgress|NodeResizeInfeasible|NodeResizePending";
    const struct path *p = AT_FIELD(NULL, "status");
    const yyjson_val *status = json_get(obj, "status");
    check_quantities(c, AT_FIELD(p, "capacity"), json_get(status, "capacity"));
    check_quantities(c, AT_FIELD(p, "allocatedResources"), json_get(status, "allocatedResources"));
    check_keys(c, AT_FIELD(p, "allocatedResources"), json_get(status, "allocatedResources"));
    p = AT_FIELD(p, "allocatedResourceStatuses");
    check_keys(c, p, json_get(status, "allocatedResourceStatuses"));
    JSON_EACH(it, json_get(status, "allocatedResourceStatuses"))
    {
        struct span rest = span_cstr(stages);
        bool known = false;
        while (rest.n > 0) {
            known |= span_eq(span_cut(&rest, '|'), json_str(it.val));
        }
        if (!known) { /* Kubernetes names the key */
            cause_not_supported(c, p, shown(c->a, it.key), stages);
        }
    }
}

static void row(struct row *r)
{
    const yyjson_val *spec = json_get(r->obj, "spec"), *status = json_get(r->obj, "status");
    struct span volume = json_get_str(spec, "volumeName");
    struct span attributes = json_get_str(spec, "volumeAttributesClassName");
    struct span mode = json_get_str(spec, "volumeMode");
    bool deleting = json_get_str(json_get(r->obj, "metadata"), "deletionTimestamp").n > 0;
    cell_name(r);
    cell(r, deleting ? SPAN("Terminating") : json_get_str(status, "phase"));
    cell(r, volume);
    cell(r, volume.n ? json_get_str(json_get(status, "capacity"), "storage") : SPAN(""));
    cell(r, volume.n ? short_access_modes(r->a, json_get(status, "accessModes")) : SPAN(""));
    cell(r, json_get_str(spec, "storageClassName"));
    cell(r, attributes.n ? attributes : SPAN("<unset>"));
    cell_age(r);
    cell(r, mode.n ? mode : SPAN("<unset>"));
}

const struct schema_hooks schema_hooks_claim = {.validate = validate,
                                                .validate_status = validate_status,
                                                .row = row,
                                                .field = kind_field_metadata};
