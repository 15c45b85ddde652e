/* kinds/kind_extension.c: autoscalers, webhooks, storage drivers and requests for certificates. */
#include "kinds/kind.h"

/* ---- autoscalers ---- */

/* CPU at 80 percent of what the pods request, when nothing is named. */
static void hpa_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec");
    if (!spec || yyjson_mut_arr_size(json_mut_get(spec, "metrics")) > 0) {
        return;
    }
    yyjson_mut_val *metrics = yyjson_mut_arr(doc), *metric = yyjson_mut_obj(doc);
    json_put_str(doc, metric, "type", SPAN("Resource"));
    yyjson_mut_val *resource = json_mut_obj(doc, metric, "resource");
    json_put_str(doc, resource, "name", SPAN("cpu"));
    yyjson_mut_val *target = json_mut_obj(doc, resource, "target");
    json_put_str(doc, target, "type", SPAN("Utilization"));
    json_put_int(doc, target, "averageUtilization", 80);
    (void)yyjson_mut_arr_append(metrics, metric);
    json_put(doc, spec, "metrics", metrics);
}

static void hpa_validate(struct check *c, const yyjson_val *obj)
{
    static const char *const sources[][2] = {{"Object", "object"},
                                             {"Pods", "pods"},
                                             {"Resource", "resource"},
                                             {"ContainerResource", "containerResource"},
                                             {"External", "external"}};
    const yyjson_val *spec = json_get(obj, "spec"), *least = json_get(spec, "minReplicas");
    const struct path *p = AT_FIELD(NULL, "spec");
    int64_t most = json_get_int(spec, "maxReplicas", 0);
    if (least && json_int(least, 0) < 1) {
        cause_invalid(c, AT_FIELD(p, "minReplicas"), shown(c->a, least),
                      "must be greater than or equal to 1");
    }
    if (most < 1) {
        cause_invalid(c, AT_FIELD(p, "maxReplicas"), shown(c->a, json_get(spec, "maxReplicas")),
                      "must be greater than 0");
    } else if (most < json_int(least, 0)) {
        cause_invalid(c, AT_FIELD(p, "maxReplicas"), shown(c->a, json_get(spec, "maxReplicas")),
                      "must be greater than or equal to `minReplicas`");
    }
    size_t i = 0;
    JSON_EACH(it, json_get(spec, "metrics"))
    {
        const struct path *here = AT_INDEX(AT_FIELD(p, "metrics"), i++);
        for (size_t k = 0; k < 5; k++) {
            if (span_eq_cstr(json_get_str(it.val, "type"), sources[k][0]) &&
                !json_get(it.val, sources[k][1])) {
                cause_required(c, AT_FIELD(here, sources[k][1]),
                               "must populate information for the given metric source");
            }
        }
    }
}

const struct schema_hooks schema_hooks_hpa = {
    .defaults = hpa_defaults, .validate = hpa_validate, .field = kind_field_metadata};

/* ---- webhooks ---- */

static size_t dots(struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        n += s.p[i] == '.';
    }
    return n;
}

static void check_webhook(struct check *c, const struct path *p, const yyjson_val *hook)
{
    const yyjson_val *name = json_get(hook, "name"), *client = json_get(hook, "clientConfig");
    const yyjson_val *effects = json_get(hook, "sideEffects");
    const yyjson_val *versions = json_get(hook, "admissionReviewVersions");
    if (json_str(name).n && dots(json_str(name)) < 2) {
        cause_invalid(c, AT_FIELD(p, "name"), shown(c->a, name),
                      "should be a domain with at least three segments separated by dots");
    } else if (json_str(name).n) {
        format_check(c, AT_FIELD(p, "name"), "dns-subdomain", name);
    }
    if (!json_get(client, "url") == !json_get(client, "service")) {
        cause_required(c, AT_FIELD(p, "clientConfig"), "exactly one of url or service is required");
    }
    if (effects && !span_eq(json_str(effects), SPAN("None")) &&
        !span_eq(json_str(effects), SPAN("NoneOnDryRun"))) {
        cause_not_supported(c, AT_FIELD(p, "sideEffects"), shown(c->a, effects),
                            "None|NoneOnDryRun");
    }
    bool known = false;
    JSON_EACH(it, versions)
    {
        known |=
            span_eq(json_str(it.val), SPAN("v1")) || span_eq(json_str(it.val), SPAN("v1beta1"));
    }
    if (json_len(versions) && !known) {
        cause_invalid(c, AT_FIELD(p, "admissionReviewVersions"), shown(c->a, versions),
                      "must include at least one of v1, v1beta1");
    }
}

static void webhooks_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *hooks = json_get(obj, "webhooks");
    const struct path *p = AT_FIELD(NULL, "webhooks");
    size_t i = 0;
    JSON_EACH(it, hooks)
    {
        struct span name = json_get_str(it.val, "name");
        check_webhook(c, AT_INDEX(p, i), it.val);
        for (size_t k = 0; k < i; k++) {
            if (span_eq(name, json_get_str(yyjson_arr_get((yyjson_val *)hooks, k), "name"))) {
                cause_duplicate(c, AT_FIELD(AT_INDEX(p, i), "name"), shown_text(c->a, name));
                break;
            }
        }
        i++;
    }
}

const struct schema_hooks schema_hooks_webhooks = {.validate = webhooks_validate,
                                                   .field = kind_field_metadata};

/* ---- storage drivers ---- */

static void csidriver_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec");
    if (spec && yyjson_mut_arr_size(json_mut_get(spec, "volumeLifecycleModes")) == 0) {
        yyjson_mut_val *modes = yyjson_mut_arr(doc);
        (void)yyjson_mut_arr_append(modes, yyjson_mut_str(doc, "Persistent"));
        json_put(doc, spec, "volumeLifecycleModes", modes);
    }
}

const struct schema_hooks schema_hooks_csidriver = {.defaults = csidriver_defaults,
                                                    .field = kind_field_metadata};

/* ---- requests for certificates ---- */

static void csr_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec"), *signer = json_get(spec, "signerName");
    const struct path *p = AT_FIELD(NULL, "spec");
    /* base64 of "-----BEGIN CERTIFICATE REQUEST-----", and of its older form with NEW. */
    static const char *const heads[] = {"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS",
                                        "LS0tLS1CRUdJTiBORVcgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0t"};
    struct span request = json_get_str(spec, "request");
    if (!span_starts(request, span_cstr(heads[0])) && !span_starts(request, span_cstr(heads[1]))) {
        cause_invalid(c, AT_FIELD(p, "request"), shown(c->a, json_get(spec, "request")),
                      "PEM block type must be CERTIFICATE REQUEST");
    }
    if (json_len(json_get(spec, "usages")) == 0) {
        cause_required(c, AT_FIELD(p, "usages"), NULL);
    }
    struct span name = json_str(signer), domain = span_cut(&name, '/');
    if (json_str(signer).n && (name.n == 0 || dots(domain) == 0)) {
        cause_invalid(c, AT_FIELD(p, "signerName"), shown(c->a, signer),
                      "must be a fully qualified domain and path of the form "
                      "'example.com/signer-name'");
    }
}

static bool csr_field(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret)
{
    static const char *const keys[] = {"spec.signerName", NULL};
    return kind_field(a, obj, key, keys, ret);
}

const struct schema_hooks schema_hooks_csr = {.validate = csr_validate, .field = csr_field};
