#include "apiserver/default_roles.h"

#include "access/access.h"
#include "base/check.h"
#include "schema/kinds.h"

#define LOOK "get,list,watch"
#define CHANGE "create,delete,deletecollection,patch,update"
#define EVERYTHING "create,delete,deletecollection,get,list,patch,update,watch"
#define AUTOUPDATE "rbac.authorization.kubernetes.io/autoupdate"
#define LABEL "rbac.authorization.k8s.io/aggregate-to-"
#define METRICS "system:aggregated-metrics-reader"
#define RBAC "rbac.authorization.k8s.io"

/* Lists are parted by commas; an empty group is the core. */
struct row {
    const char *groups, *resources; /* or, when groups is NULL, paths */
    const char *verbs;
};

static const struct row all[] = {{"*", "*", "*"}, {NULL, "*", "*"}};
static const struct row discovery[] = {
    {NULL,
     "/api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/",
     "get"}};
static const struct row public_info[] = {
    {NULL, "/healthz,/livez,/readyz,/version,/version/", "get"}};
static const struct row monitoring[] = {
    {NULL, "/healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*", "get"}};
static const struct row issuer[] = {
    {NULL,
     "/.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,"
     "/openid/v1/jwks/",
     "get"}};
static const struct row basic_user[] = {
    {"authorization.k8s.io", "selfsubjectaccessreviews,selfsubjectrulesreviews", "create"},
    {"authentication.k8s.io", "selfsubjectreviews", "create"}};
static const struct row delegator[] = {{"authentication.k8s.io", "tokenreviews", "create"},
                                       {"authorization.k8s.io", "subjectaccessreviews", "create"}};
static const struct row to_admin[] = {
    {"authorization.k8s.io", "localsubjectaccessreviews", "create"},
    {RBAC, "rolebindings,roles", EVERYTHING}};
static const struct row to_edit[] = {
    {"", "pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy", LOOK},
    {"", "serviceaccounts", "impersonate"},
    {"", "pods,pods/attach,pods/exec,pods/portforward,pods/proxy", CHANGE},
    {"", "pods/eviction", "create"},
    {"",
     "configmaps,events,persistentvolumeclaims,replicationcontrollers,"
     "replicationcontrollers/scale,secrets,serviceaccounts,services,services/proxy",
     CHANGE},
    {"", "serviceaccounts/token", "create"},
    {"apps",
     "daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,"
     "replicasets/scale,statefulsets,statefulsets/scale",
     CHANGE},
    {"autoscaling", "horizontalpodautoscalers", CHANGE},
    {"batch", "cronjobs,jobs", CHANGE},
    {"policy", "poddisruptionbudgets", CHANGE},
    {"networking.k8s.io", "ingresses,networkpolicies", CHANGE},
    {"coordination.k8s.io", "leases", EVERYTHING}};
static const struct row to_view[] = {
    {"",
     "configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,"
     "replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status",
     LOOK},
    {"",
     "bindings,events,limitranges,namespaces/status,pods/log,pods/status,"
     "replicationcontrollers/status,resourcequotas,resourcequotas/status",
     LOOK},
    {"", "namespaces", LOOK},
    {"discovery.k8s.io", "endpointslices", LOOK},
    {"apps",
     "controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,"
     "deployments/status,replicasets,replicasets/scale,replicasets/status,statefulsets,"
     "statefulsets/scale,statefulsets/status",
     LOOK},
    {"autoscaling", "horizontalpodautoscalers,horizontalpodautoscalers/status", LOOK},
    {"batch", "cronjobs,cronjobs/status,jobs,jobs/status", LOOK},
    {"policy", "poddisruptionbudgets,poddisruptionbudgets/status", LOOK},
    {"networking.k8s.io", "ingresses,ingresses/status,networkpolicies", LOOK}};

static const struct row metrics_reader[] = {{"metrics.k8s.io", "pods,nodes", LOOK}};

#define ROWS(r) r, sizeof(r) / sizeof *(r)

static const struct role {
    const char *name;
    const struct row *rows;
    size_t row_count;
    const char *part_of;  /* the collecting roles that it is part of, or NULL */
    const char *collects; /* roles by name: their rules one after the other, each once, as the
                           * controller of collecting roles puts them; NULL: none */
} roles[] = {
    {"cluster-admin", ROWS(all), NULL, NULL},
    {"system:discovery", ROWS(discovery), NULL, NULL},
    {"system:public-info-viewer", ROWS(public_info), NULL, NULL},
    {"system:monitoring", ROWS(monitoring), NULL, NULL},
    {"system:service-account-issuer-discovery", ROWS(issuer), NULL, NULL},
    {"system:basic-user", ROWS(basic_user), NULL, NULL},
    {"system:auth-delegator", ROWS(delegator), NULL, NULL},
    {"system:aggregate-to-admin", ROWS(to_admin), "admin", NULL},
    {"system:aggregate-to-edit", ROWS(to_edit), "edit", NULL},
    {"system:aggregate-to-view", ROWS(to_view), "view", NULL},
    {METRICS, ROWS(metrics_reader), "view,edit,admin", NULL},
    {"view", NULL, 0, "edit", "system:aggregate-to-view," METRICS},
    {"edit", NULL, 0, "admin", "system:aggregate-to-edit," METRICS ",view"},
    {"admin", NULL, 0, NULL, "edit,system:aggregate-to-admin," METRICS},
};
enum { ROLES = sizeof roles / sizeof *roles };

/* The role has the binding's name; those who have it are groups. */
static const struct {
    const char *name, *groups;
} bindings[] = {
    {"cluster-admin", "system:masters"},
    {"system:basic-user", "system:authenticated"},
    {"system:discovery", "system:authenticated"},
    {"system:monitoring", "system:monitoring"},
    {"system:public-info-viewer", "system:authenticated,system:unauthenticated"},
    {"system:service-account-issuer-discovery", "system:serviceaccounts"},
};
enum { BINDINGS = sizeof bindings / sizeof *bindings };

size_t default_roles_count(void)
{
    return ROLES + BINDINGS;
}

const struct schema_kind *default_role_kind(size_t i)
{
    assert(i < ROLES + BINDINGS);
    return i < ROLES ? SCHEMA_KIND(ClusterRole) : SCHEMA_KIND(ClusterRoleBinding);
}

const char *default_role_name(size_t i)
{
    assert(i < ROLES + BINDINGS);
    return i < ROLES ? roles[i].name : bindings[i - ROLES].name;
}

/* ---- as objects ---- */

static void put_list(yyjson_mut_doc *doc, yyjson_mut_val *rule, const char *key, const char *list)
{
    yyjson_mut_val *out = yyjson_mut_arr(doc);
    struct span rest = span_cstr(list);
    do { /* an empty text is one empty element */
        (void)yyjson_mut_arr_append(out, json_new_str(doc, span_cut(&rest, ',')));
    } while (rest.n);
    json_put(doc, rule, key, out);
}

static bool has_rule(yyjson_mut_val *rules, yyjson_mut_val *rule)
{
    size_t i, n;
    yyjson_mut_val *v;
    yyjson_mut_arr_foreach(rules, i, n, v)
    {
        if (yyjson_mut_equals(v, rule)) {
            return true;
        }
    }
    return false;
}

static void put_rules(yyjson_mut_doc *doc, yyjson_mut_val *rules, const struct role *role)
{
    for (size_t i = 0; i < role->row_count; i++) {
        const struct row *row = &role->rows[i];
        yyjson_mut_val *rule = yyjson_mut_obj(doc);
        put_list(doc, rule, "verbs", row->verbs);
        if (row->groups) {
            put_list(doc, rule, "apiGroups", row->groups);
        }
        put_list(doc, rule, row->groups ? "resources" : "nonResourceURLs", row->resources);
        if (!has_rule(rules, rule)) {
            (void)yyjson_mut_arr_append(rules, rule);
        }
    }
    struct span rest = span_cstr(role->collects);
    while (rest.n) {
        struct span part = span_cut(&rest, ',');
        for (size_t i = 0; i < ROLES; i++) {
            if (span_eq_cstr(part, roles[i].name)) {
                put_rules(doc, rules, &roles[i]); /* roles stand after what they collect */
            }
        }
    }
}

static yyjson_mut_val *new_object(yyjson_mut_doc *doc, struct arena *a, const char *name,
                                  const char *part_of)
{
    yyjson_mut_val *obj = yyjson_mut_obj(doc), *meta = json_mut_obj(doc, obj, "metadata");
    yyjson_mut_val *labels = json_mut_obj(doc, meta, "labels");
    json_put_str(doc, meta, "name", span_cstr(name));
    json_put_str(doc, labels, "kubernetes.io/bootstrapping", SPAN("rbac-defaults"));
    for (struct span rest = span_cstr(part_of); rest.n;) {
        struct span part = span_cut(&rest, ',');
        json_put_span(doc, labels, arena_printf(a, LABEL "%.*s", SPAN_ARG(part)),
                      yyjson_mut_str(doc, "true"));
    }
    json_put_str(doc, json_mut_obj(doc, meta, "annotations"), AUTOUPDATE, SPAN("true"));
    return obj;
}

static yyjson_mut_val *role_object(yyjson_mut_doc *doc, struct arena *a, const struct role *role)
{
    yyjson_mut_val *obj = new_object(doc, a, role->name, role->part_of),
                   *rules = yyjson_mut_arr(doc);
    put_rules(doc, rules, role);
    json_put(doc, obj, "rules", rules);
    if (role->collects) {
        yyjson_mut_val *list = yyjson_mut_arr(doc), *selector = yyjson_mut_obj(doc);
        json_put_span(doc, json_mut_obj(doc, selector, "matchLabels"),
                      arena_printf(a, LABEL "%s", role->name), yyjson_mut_str(doc, "true"));
        (void)yyjson_mut_arr_append(list, selector);
        json_put(doc, json_mut_obj(doc, obj, "aggregationRule"), "clusterRoleSelectors", list);
    }
    return obj;
}

static yyjson_mut_val *binding_object(yyjson_mut_doc *doc, struct arena *a, size_t i)
{
    yyjson_mut_val *obj = new_object(doc, a, bindings[i].name, NULL);
    yyjson_mut_val *ref = json_mut_obj(doc, obj, "roleRef"), *subjects = yyjson_mut_arr(doc);
    struct span rest = span_cstr(bindings[i].groups);
    json_put_str(doc, ref, "apiGroup", SPAN(RBAC));
    json_put_str(doc, ref, "kind", SPAN("ClusterRole"));
    json_put_str(doc, ref, "name", span_cstr(bindings[i].name));
    while (rest.n) {
        yyjson_mut_val *subject = yyjson_mut_obj(doc);
        json_put_str(doc, subject, "kind", SPAN("Group"));
        json_put_str(doc, subject, "apiGroup", SPAN(RBAC));
        json_put_str(doc, subject, "name", span_cut(&rest, ','));
        (void)yyjson_mut_arr_append(subjects, subject);
    }
    json_put(doc, obj, "subjects", subjects);
    return obj;
}

/* ---- what is missing of one that is there ---- */

static bool holds_rule(struct arena *a, const yyjson_val *rules, yyjson_val *rule)
{
    static const struct access_user nobody = {{"", 0}, {NULL, 0}};
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    struct span ignored;
    (void)yyjson_mut_arr_append(list, json_mut_copy(doc, rule));
    struct access_rules held = access_rules_read(a, rules);
    struct access_rules wanted = access_rules_read(a, json_freeze(a, list));
    return access_may_grant(a, &nobody, &held, SPAN(""), &wanted, &ignored);
}

static bool has_subject(const yyjson_val *subjects, const yyjson_val *subject)
{
    JSON_EACH(it, subjects)
    {
        if (span_eq(json_get_str(it.val, "kind"), json_get_str(subject, "kind")) &&
            span_eq(json_get_str(it.val, "name"), json_get_str(subject, "name"))) {
            return true;
        }
    }
    return false;
}

/* `current` with those elements of the list that it lacks; NULL when it lacks none. */
static const yyjson_val *completed(struct arena *a, const yyjson_val *current,
                                   const yyjson_val *wanted, const char *list)
{
    const yyjson_val *has = json_get(current, list);
    bool is_role = strcmp(list, "rules") == 0;
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *out = has ? json_mut_copy(doc, has) : yyjson_mut_arr(doc);
    size_t missing = 0;
    JSON_EACH(it, json_get(wanted, list))
    {
        if (!(is_role ? holds_rule(a, has, it.val) : has_subject(has, it.val))) {
            (void)yyjson_mut_arr_append(out, json_mut_copy(doc, it.val));
            missing++;
        }
    }
    if (missing == 0) {
        return NULL;
    }
    yyjson_mut_val *obj = json_mut_copy(doc, current);
    json_remove(json_mut_get(obj, "metadata"), "managedFields");
    json_put(doc, obj, list, out);
    return json_freeze(a, obj);
}

const yyjson_val *default_role_object(struct arena *a, size_t i, const yyjson_val *current)
{
    assert(a && i < ROLES + BINDINGS);
    const yyjson_val *kept = json_path(current, "metadata", "annotations", AUTOUPDATE, NULL);
    bool is_role = i < ROLES;
    if (current && (!span_eq(json_str(kept), SPAN("true")) || (is_role && roles[i].collects))) {
        return NULL; /* the user's own now, or the controller's */
    }
    yyjson_mut_doc *doc = json_mut_new(a);
    const yyjson_val *wanted = json_freeze(a, is_role ? role_object(doc, a, &roles[i])
                                                      : binding_object(doc, a, i - ROLES));
    return current ? completed(a, current, wanted, is_role ? "rules" : "subjects") : wanted;
}
