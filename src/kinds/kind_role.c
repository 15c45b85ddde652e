/* kinds/kind_role.c: roles and who has them. */
#include "kinds/kind.h"

static void check_rule(struct check *c, const struct path *p, const yyjson_val *rule,
                       bool namespaced)
{
    const yyjson_val *urls = json_get(rule, "nonResourceURLs");
    if (json_len(json_get(rule, "verbs")) == 0) {
        cause_required(c, AT_FIELD(p, "verbs"), "verbs must contain at least one value");
    }
    if (json_len(urls) > 0) {
        if (namespaced) {
            cause_invalid(c, AT_FIELD(p, "nonResourceURLs"), shown(c->a, urls),
                          "namespaced rules cannot apply to non-resource URLs");
        }
        if (json_len(json_get(rule, "apiGroups")) + json_len(json_get(rule, "resources")) +
            json_len(json_get(rule, "resourceNames"))) {
            cause_invalid(c, AT_FIELD(p, "nonResourceURLs"), shown(c->a, urls),
                          "rules cannot apply to both regular resources and non-resource URLs");
        }
        return;
    }
    if (json_len(json_get(rule, "apiGroups")) == 0) {
        cause_required(c, AT_FIELD(p, "apiGroups"),
                       "resource rules must supply at least one api group");
    }
    if (json_len(json_get(rule, "resources")) == 0) {
        cause_required(c, AT_FIELD(p, "resources"),
                       "resource rules must supply at least one resource");
    }
}

static void role_validate(struct check *c, const yyjson_val *obj)
{
    bool namespaced = span_eq(json_get_str(obj, "kind"), SPAN("Role"));
    size_t i = 0;
    JSON_EACH(it, json_get(obj, "rules"))
    {
        check_rule(c, AT_INDEX(AT_FIELD(NULL, "rules"), i++), it.val, namespaced);
    }
    const yyjson_val *collected = json_path(obj, "aggregationRule", "clusterRoleSelectors", NULL);
    const struct path *p = AT_FIELD(AT_FIELD(NULL, "aggregationRule"), "clusterRoleSelectors");
    if (json_get(obj, "aggregationRule") && json_len(collected) == 0) {
        cause_required(c, p,
                       "at least one clusterRoleSelector required if aggregationRule is "
                       "non-nil");
    }
    i = 0;
    JSON_EACH(it, collected)
    {
        check_label_selector(c, AT_INDEX(p, i++), it.val);
    }
}

const struct schema_hooks schema_hooks_role = {.validate = role_validate,
                                               .field = kind_field_metadata};

/* ---- bindings ---- */

static void rolebinding_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    size_t i, n;
    yyjson_mut_val *subject;
    yyjson_mut_arr_foreach(json_mut_get(obj, "subjects"), i, n, subject)
    {
        struct span kind = json_mut_str(json_mut_get(subject, "kind"));
        bool person = span_eq(kind, SPAN("User")) || span_eq(kind, SPAN("Group"));
        if (person && json_mut_str(json_mut_get(subject, "apiGroup")).n == 0) {
            json_put_str(doc, subject, "apiGroup", SPAN("rbac.authorization.k8s.io"));
        }
    }
}

static void check_subject(struct check *c, const struct path *p, const yyjson_val *subject,
                          bool namespaced)
{
    struct span kind = json_get_str(subject, "kind"), group = json_get_str(subject, "apiGroup");
    bool account = span_eq(kind, SPAN("ServiceAccount")), user = span_eq(kind, SPAN("User"));
    bool has_name = json_get_str(subject, "name").n > 0;
    if (!has_name) {
        cause_required(c, AT_FIELD(p, "name"), NULL);
    }
    if (!account && !user && !span_eq(kind, SPAN("Group"))) {
        cause_not_supported(c, AT_FIELD(p, "kind"), shown_text(c->a, kind),
                            "Group|ServiceAccount|User");
        return;
    }
    if (account && has_name) {
        format_check(c, AT_FIELD(p, "name"), "dns-subdomain", json_get(subject, "name"));
    } else if (!account && !has_name) {
        cause_invalid(c, AT_FIELD(p, "name"), shown_text(c->a, SPAN("")),
                      user ? "user name cannot be empty" : "group name cannot be empty");
    }
    const char *want = account ? "" : "rbac.authorization.k8s.io";
    if (!span_eq_cstr(group, want)) {
        cause_not_supported(c, AT_FIELD(p, "apiGroup"), shown_text(c->a, group), want);
    }
    if (account && json_get_str(subject, "namespace").n == 0 && !namespaced) {
        cause_required(c, AT_FIELD(p, "namespace"), NULL);
    }
}

static void check_role_ref(struct check *c, const struct path *p, const yyjson_val *ref,
                           bool namespaced)
{
    struct span kind = json_get_str(ref, "kind"), group = json_get_str(ref, "apiGroup");
    if (!span_eq(group, SPAN("rbac.authorization.k8s.io"))) {
        cause_not_supported(c, AT_FIELD(p, "apiGroup"), shown_text(c->a, group),
                            "rbac.authorization.k8s.io");
    }
    if (!span_eq(kind, SPAN("ClusterRole")) && !(namespaced && span_eq(kind, SPAN("Role")))) {
        cause_not_supported(c, AT_FIELD(p, "kind"), shown_text(c->a, kind),
                            namespaced ? "ClusterRole|Role" : "ClusterRole");
    }
    if (json_get_str(ref, "name").n == 0) {
        cause_required(c, AT_FIELD(p, "name"), NULL);
    } else {
        format_check(c, AT_FIELD(p, "name"), "path-segment", json_get(ref, "name"));
    }
}

static void rolebinding_validate(struct check *c, const yyjson_val *obj)
{
    const struct path *p = AT_FIELD(NULL, "roleRef");
    const yyjson_val *ref = json_get(obj, "roleRef");
    bool namespaced = span_eq(json_get_str(obj, "kind"), SPAN("RoleBinding"));
    check_role_ref(c, p, ref, namespaced);
    size_t i = 0;
    JSON_EACH(it, json_get(obj, "subjects"))
    {
        check_subject(c, AT_INDEX(AT_FIELD(NULL, "subjects"), i++), it.val, namespaced);
    }
    if (c->old && !semantic_equal(ref, json_get(c->old, "roleRef"))) {
        cause_invalid(c, p, shown(c->a, ref), "cannot change roleRef");
    }
}

const struct schema_hooks schema_hooks_rolebinding = {.defaults = rolebinding_defaults,
                                                      .validate = rolebinding_validate,
                                                      .field = kind_field_metadata};
