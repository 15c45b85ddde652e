/* kinds/kind_template.c: pod templates and replication controllers. */
#include "codec/selector.h"
#include "kinds/kind_workload.h"

static void podtemplate_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    pod_spec_defaults(doc, json_mut_get(json_mut_get(obj, "template"), "spec"));
}

static void podtemplate_validate(struct check *c, const yyjson_val *obj)
{
    const struct path *p = AT_FIELD(NULL, "template");
    const yyjson_val *template = json_get(obj, "template");
    check_labels(c, AT_FIELD(p, "labels"), json_get(json_get(template, "metadata"), "labels"));
    check_template_spec(c, AT_FIELD(p, "spec"), json_get(template, "spec"), NULL);
}

const struct schema_hooks schema_hooks_podtemplate = {.defaults = podtemplate_defaults,
                                                      .validate = podtemplate_validate,
                                                      .field = kind_field_metadata};

/* ---- replication controllers ---- */

/* The labels of the pods are the selector and the labels of the controller, unless it has its own.
 */
static void rc_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec"), *template = json_mut_get(spec, "template");
    yyjson_mut_val *labels = json_mut_get(json_mut_get(template, "metadata"), "labels");
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    pod_spec_defaults(doc, json_mut_get(template, "spec"));
    if (yyjson_mut_obj_size(labels) == 0) {
        return;
    }
    if (yyjson_mut_obj_size(json_mut_get(spec, "selector")) == 0) {
        json_put(doc, spec, "selector", yyjson_mut_val_mut_copy(doc, labels));
    }
    if (yyjson_mut_obj_size(json_mut_get(meta, "labels")) == 0) {
        json_put(doc, meta, "labels", yyjson_mut_val_mut_copy(doc, labels));
    }
}

static void rc_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec"), *map = json_get(spec, "selector");
    const struct path *p = AT_FIELD(NULL, "spec");
    const yyjson_val *labels = json_path(spec, "template", "metadata", "labels", NULL);
    struct selector s;
    if (json_len(map) == 0) {
        cause_required(c, AT_FIELD(p, "selector"), NULL);
    } else if (!json_get(spec, "template")) {
        cause_required(c, AT_FIELD(p, "template"), NULL);
    } else {
        if (selector_from_map(c->a, map, &s, NULL) == 0 && !selector_matches(&s, labels)) {
            cause_invalid(c, AT_FIELD(AT_FIELD(AT_FIELD(p, "template"), "metadata"), "labels"),
                          shown(c->a, labels), "`selector` does not match template `labels`");
        }
        check_workload_template(c, p, spec, NULL,
                                "activeDeadlineSeconds in ReplicationController is not Supported");
    }
}

static void rc_validate_status(struct check *c, const yyjson_val *obj)
{
    static const char *const parts[] = {"fullyLabeledReplicas", "readyReplicas",
                                        "availableReplicas", NULL};
    check_replicas(c, obj, parts, "cannot be greater than readyReplicas");
}

static bool rc_field(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret)
{
    if (span_eq(key, SPAN("status.replicas"))) {
        *ret = arena_printf(a, "%lld",
                            (long long)json_get_int(json_get(obj, "status"), "replicas", 0));
        return true;
    }
    return kind_field_metadata(a, obj, key, ret);
}

const struct schema_hooks schema_hooks_rc = {.defaults = rc_defaults,
                                             .validate = rc_validate,
                                             .validate_status = rc_validate_status,
                                             .field = rc_field};
