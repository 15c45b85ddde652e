/* Hooks of apiregistration.k8s.io: what names no service is served by this server itself, and so it
 * is available. */
#include "kinds/kind.h"

static void defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec");
    struct span born =
        json_mut_str(json_mut_get(json_mut_get(obj, "metadata"), "creationTimestamp"));
    bool local = spec && !json_mut_get(spec, "service");
    if (json_mut_get(json_mut_get(obj, "status"), "conditions") || born.n == 0) {
        return;
    }
    yyjson_mut_val *list = yyjson_mut_arr(doc), *c = yyjson_mut_arr_add_obj(doc, list);
    json_put_str(doc, c, "type", SPAN("Available"));
    json_put_str(doc, c, "status", local ? SPAN("True") : SPAN("False"));
    json_put_str(doc, c, "lastTransitionTime", born);
    json_put_str(doc, c, "reason", local ? SPAN("Local") : SPAN("NotServed"));
    json_put_str(doc, c, "message",
                 local ? SPAN("Local APIServices are always available")
                       : SPAN("this server passes no requests on to other servers"));
    json_put(doc, json_mut_obj(doc, obj, "status"), "conditions", list);
}

static void validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    struct span name = json_str(json_path(obj, "metadata", "name", NULL));
    struct span version = json_get_str(spec, "version"), group = json_get_str(spec, "group");
    struct span want = arena_printf(c->a, "%.*s.%.*s", SPAN_ARG(version), SPAN_ARG(group));
    const struct path *p = AT_FIELD(NULL, "spec");
    if (version.n == 0) {
        cause_required(c, AT_FIELD(p, "version"), NULL);
    } else if (!span_eq(name, want)) {
        cause_invalid(
            c, AT_FIELD(AT_FIELD(NULL, "metadata"), "name"), shown_text(c->a, name),
            arena_printf(c->a, "must be `spec.version+\".\"+spec.group`: %.*s", SPAN_ARG(want)).p);
    }
    static const char *const numbers[] = {"groupPriorityMinimum", "versionPriority"};
    static const int64_t most[] = {20000, 1000};
    for (size_t i = 0; i < 2; i++) {
        int64_t n = json_get_int(spec, numbers[i], 0);
        if (n <= 0 || n > most[i]) {
            cause_invalid(
                c, AT_FIELD(p, numbers[i]), arena_printf(c->a, "%lld", (long long)n),
                arena_printf(c->a, "must be positive and less than %lld", (long long)most[i]).p);
        }
    }
    if (json_get(spec, "service") && json_get_bool(spec, "insecureSkipTLSVerify", false) &&
        json_get_str(spec, "caBundle").n) {
        cause_invalid(c, AT_FIELD(p, "insecureSkipTLSVerify"), SPAN("true"),
                      "may not be true if caBundle is present");
    }
}

static bool field(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret)
{
    return kind_field_metadata(a, obj, key, ret);
}

const struct schema_hooks schema_hooks_apiservice = {
    .defaults = defaults, .validate = validate, .field = field};
