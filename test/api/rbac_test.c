/* Roles over HTTP: what is allowed and refused to whom, in Kubernetes' words. Everybody here speaks
 * through the administrator's connection, in the name of somebody else. */
#include "test/kit/api_kit.h"

#define CORE "/api/v1/namespaces/default/"
#define RBAC "/apis/rbac.authorization.k8s.io/v1/"
#define RBAC_NS RBAC "namespaces/default/"
#define JANE "Impersonate-User: jane\r\n"
#define DEV JANE "Impersonate-Group: dev\r\n"

static void role(struct api_kit *k, const char *name, const char *rules)
{
    char body[1024];
    (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\"},\"rules\":[%s]}", name,
                   rules);
    (void)api_expect(k, 201, "POST", RBAC_NS "roles", "", body);
}

static void cluster_role(struct api_kit *k, const char *name, const char *rules)
{
    char body[1024];
    (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\"},\"rules\":[%s]}", name,
                   rules);
    (void)api_expect(k, 201, "POST", RBAC "clusterroles", "", body);
}

static const char *binding(const char *name, const char *role_kind, const char *role_name,
                           const char *subject)
{
    static char body[1024];
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"name\":\"%s\"},\"subjects\":[%s],\"roleRef\":{\"apiGroup\":"
                   "\"rbac.authorization.k8s.io\",\"kind\":\"%s\",\"name\":\"%s\"}}",
                   name, subject, role_kind, role_name);
    return body;
}

#define USER(name) "{\"kind\":\"User\",\"name\":\"" name "\"}"
#define GROUP(name) "{\"kind\":\"Group\",\"name\":\"" name "\"}"

static void bind_role(struct api_kit *k, const char *name, const char *role_kind,
                      const char *role_name, const char *subject)
{
    (void)api_expect(k, 201, "POST", RBAC_NS "rolebindings", "",
                     binding(name, role_kind, role_name, subject));
}

static void refused(struct api_kit *k, const char *method, const char *path, const char *who,
                    const char *body, const char *message)
{
    struct api_reply r = api_expect(k, 403, method, path, who, body);
    CHECK_SPAN(api_str(&r, "message"), message);
    CHECK_SPAN(api_str(&r, "reason"), "Forbidden");
}

TEST(a_role_allows_its_verbs_on_its_resources_from_the_reply_on)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    refused(
        &k, "GET", CORE "pods", JANE, NULL,
        "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the "
        "namespace \"default\"");
    role(&k, "r",
         "{\"apiGroups\":[\"\"],\"resources\":[\"pods\",\"pods/"
         "log\",\"configmaps\"],\"verbs\":[\"get\",\"list\","
         "\"create\"]}");
    bind_role(&k, "b", "Role", "r", USER("jane"));
    (void)api_expect(&k, 200, "GET", CORE "pods", JANE, NULL);
    (void)api_expect(&k, 404, "GET", CORE "pods/x", JANE, NULL);
    (void)api_expect(&k, 201, "POST", CORE "configmaps", JANE, "{\"metadata\":{\"name\":\"a\"}}");
    struct api_reply r = api_expect(&k, 403, "GET", CORE "pods?watch=1", JANE, NULL);
    CHECK_SPAN(
        api_str(&r, "message"),
        "pods is forbidden: User \"jane\" cannot watch resource \"pods\" in API group \"\" in "
        "the namespace \"default\"");
    CHECK_SPAN(api_str(&r, "details.kind"), "pods");
    refused(
        &k, "GET", "/api/v1/watch/namespaces/default/pods", JANE, NULL,
        "pods is forbidden: User \"jane\" cannot watch resource \"pods\" in API group \"\" in the "
        "namespace \"default\"");
    refused(
        &k, "GET", "/api/v1/pods", JANE, NULL,
        "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" at the "
        "cluster scope");
    refused(
        &k, "GET", "/api/v1/namespaces/kube-system/pods/x", JANE, NULL,
        "pods \"x\" is forbidden: User \"jane\" cannot get resource \"pods\" in API group \"\" in "
        "the namespace \"kube-system\"");
    refused(&k, "PATCH", "/apis/apps/v1/namespaces/default/statefulsets/x/scale", JANE, "{}",
            "statefulsets.apps \"x\" is forbidden: User \"jane\" cannot patch resource "
            "\"statefulsets/scale\" in API group \"apps\" in the namespace \"default\"");
    refused(
        &k, "DELETE", CORE "pods", JANE, NULL,
        "pods is forbidden: User \"jane\" cannot deletecollection resource \"pods\" in API group "
        "\"\" in the namespace \"default\"");
    refused(
        &k, "GET", "/api/v1/namespaces/default", JANE, NULL,
        "namespaces \"default\" is forbidden: User \"jane\" cannot get resource \"namespaces\" in "
        "API group \"\" in the namespace \"default\"");
    (void)api_expect(&k, 200, "DELETE", RBAC_NS "rolebindings/b", "", NULL);
    (void)api_expect(&k, 403, "GET", CORE "pods", JANE, NULL);
    api_kit_stop(&k);
}

TEST(names_limit_a_rule_to_single_objects_also_in_lists_of_one)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    role(&k, "r",
         "{\"apiGroups\":[\"\"],\"resources\":[\"configmaps\"],\"resourceNames\":[\"a\"],"
         "\"verbs\":[\"*\"]}");
    bind_role(&k, "b", "Role", "r", GROUP("dev"));
    (void)api_expect(&k, 404, "GET", CORE "configmaps/a", DEV, NULL);
    (void)api_expect(&k, 403, "GET", CORE "configmaps/a", JANE, NULL);
    (void)api_expect(&k, 403, "GET", CORE "configmaps/b", DEV, NULL);
    (void)api_expect(&k, 403, "GET", CORE "configmaps", DEV, NULL);
    (void)api_expect(&k, 200, "GET", CORE "configmaps?fieldSelector=metadata.name%3Da", DEV, NULL);
    (void)api_expect(&k, 403, "GET", CORE "configmaps?fieldSelector=metadata.name%3Db", DEV, NULL);
    (void)api_expect(&k, 403, "GET", CORE "configmaps?fieldSelector=metadata.name%21%3Da", DEV,
                     NULL);
    (void)api_expect(&k, 201, "POST", CORE "configmaps", "", "{\"metadata\":{\"name\":\"b\"}}");
    /* said twice: what is decided about is what is done */
    struct api_reply r = api_call(
        &k, "GET", CORE "configmaps?fieldSelector=metadata.name%3Da&fieldSelector=", DEV, NULL);
    CHECK(r.status == 403 || (r.status == 200 && json_len(api_at(r.json, "items")) == 0));
    r = api_call(&k, "GET", CORE "configmaps?fieldSelector=&fieldSelector=metadata.name%3Da", DEV,
                 NULL);
    CHECK(r.status == 403 || (r.status == 200 && json_len(api_at(r.json, "items")) == 0));
    (void)api_expect(&k, 403, "POST", CORE "configmaps", DEV, "{\"metadata\":{\"name\":\"a\"}}");
    api_kit_stop(&k);
}

TEST(an_apply_that_creates_needs_the_verb_create)
{
    static const char cm[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}";
    static const char apply[] = JANE "Content-Type: application/apply-patch+yaml\r\n";
    struct api_kit k;
    api_kit_start(&k, NULL);
    role(&k, "r", "{\"apiGroups\":[\"\"],\"resources\":[\"configmaps\"],\"verbs\":[\"patch\"]}");
    bind_role(&k, "b", "Role", "r", USER("jane"));
    refused(&k, "PATCH", CORE "configmaps/a?fieldManager=m", apply, cm,
            "configmaps \"a\" is forbidden: User \"jane\" cannot create resource \"configmaps\" in "
            "API group \"\" in the namespace \"default\"");
    (void)api_expect(&k, 201, "POST", CORE "configmaps", "", cm);
    (void)api_expect(&k, 200, "PATCH", CORE "configmaps/a?fieldManager=m", apply, cm);
    api_kit_stop(&k);
}

TEST(paths_that_are_no_resources_and_those_that_are_not_there)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 200, "GET", "/apis", JANE, NULL);
    (void)api_expect(&k, 200, "GET", "/openapi/v2", JANE, NULL);
    (void)api_expect(&k, 200, "GET", "/version", "Impersonate-User: system:anonymous\r\n", NULL);
    refused(&k, "GET", "/metrics", JANE, NULL,
            "forbidden: User \"jane\" cannot get path \"/metrics\"");
    refused(&k, "GET", "/x", "Impersonate-User: system:anonymous\r\n", NULL,
            "forbidden: User \"system:anonymous\" cannot get path \"/x\"");
    refused(&k, "GET", "/api", "Impersonate-User: system:anonymous\r\n", NULL,
            "forbidden: User \"system:anonymous\" cannot get path \"/api\"");
    /* Whether a kind is there is nobody's business who may not ask for it. */
    refused(&k, "GET", "/apis/acme.com/v1/namespaces/default/tills/x", JANE, NULL,
            "tills.acme.com \"x\" is forbidden: User \"jane\" cannot get resource \"tills\" in API "
            "group \"acme.com\" in the namespace \"default\"");
    role(&k, "r", "{\"apiGroups\":[\"acme.com\"],\"resources\":[\"*\"],\"verbs\":[\"*\"]}");
    cluster_role(&k, "m", "{\"nonResourceURLs\":[\"/metr*\"],\"verbs\":[\"get\"]}");
    bind_role(&k, "b", "Role", "r", USER("jane"));
    (void)api_expect(&k, 201, "POST", RBAC "clusterrolebindings", "",
                     binding("m", "ClusterRole", "m", USER("jane")));
    (void)api_expect(&k, 404, "GET", "/apis/acme.com/v1/namespaces/default/tills/x", JANE, NULL);
    (void)api_expect(&k, 200, "GET", "/metrics", JANE, NULL);
    api_kit_stop(&k);
}

TEST(a_role_that_is_missing_is_named_in_the_refusal)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    bind_role(&k, "b", "Role", "x", USER("jane"));
    refused(
        &k, "GET", CORE "pods", JANE, NULL,
        "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the "
        "namespace \"default\": RBAC: role.rbac.authorization.k8s.io \"x\" not found");
    api_kit_stop(&k);
}

TEST(to_speak_for_others_needs_the_verb_for_each_part_of_them)
{
    static const char view[] =
        "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SubjectAccessReview\",\"spec\":{"
        "\"user\":\"jane\",\"resourceAttributes\":{\"verb\":\"impersonate\",\"resource\":\"%s\","
        "\"name\":\"%s\",\"group\":\"%s\",\"subresource\":\"%s\"}}}";
    static const char *const asked[][5] = {
        {"users", "bob", "", "", "t"},
        {"users", "eve", "", "", "f"},
        {"groups", "dev", "", "", "t"},
        {"uids", "7", "authentication.k8s.io", "", "t"},
        {"userextras", "a", "authentication.k8s.io", "scopes", "t"},
        {"userextras", "a", "authentication.k8s.io", "x", "f"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    cluster_role(&k, "i",
                 "{\"apiGroups\":[\"\"],\"resources\":[\"users\"],\"resourceNames\":[\"bob\"],"
                 "\"verbs\":[\"impersonate\"]},{\"apiGroups\":[\"\"],\"resources\":[\"groups\"],"
                 "\"verbs\":[\"impersonate\"]},{\"apiGroups\":[\"authentication.k8s.io\"],"
                 "\"resources\":[\"uids\",\"userextras/scopes\"],\"verbs\":[\"impersonate\"]}");
    (void)api_expect(&k, 201, "POST", RBAC "clusterrolebindings", "",
                     binding("i", "ClusterRole", "i", USER("jane")));
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        char body[512];
        (void)snprintf(body, sizeof body, view, asked[i][0], asked[i][1], asked[i][2], asked[i][3]);
        struct api_reply r = api_expect(
            &k, 201, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", "", body);
        CHECK_EQ(json_get_bool(api_at(r.json, "status"), "allowed", false), asked[i][4][0] == 't');
    }
    api_kit_stop(&k);
}

#define ATTEMPT                                                                                    \
    " is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to grant "     \
    "RBAC "                                                                                        \
    "permissions not currently held:\n"
#define PODS "{\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"verbs\":[\"get\"]}"
#define SECRETS "{\"apiGroups\":[\"\"],\"resources\":[\"secrets\"],\"verbs\":[\"get\"]}"

static void jane_writes_roles(struct api_kit *k, const char *more_verbs)
{
    char rules[512];
    (void)snprintf(rules, sizeof rules,
                   "{\"apiGroups\":[\"rbac.authorization.k8s.io\"],\"resources\":[\"*\"],"
                   "\"verbs\":[\"create\",\"update\",\"patch\"%s]}," PODS,
                   more_verbs);
    role(k, "writer", rules);
    bind_role(k, "writer", "Role", "writer", USER("jane"));
    role(k, "reader", PODS);
    role(k, "spy", SECRETS);
}

TEST(nobody_gives_what_they_do_not_have)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    jane_writes_roles(&k, "");
    (void)api_expect(&k, 201, "POST", RBAC_NS "roles", JANE,
                     "{\"metadata\":{\"name\":\"a\"},\"rules\":[" PODS "]}");
    refused(&k, "POST", RBAC_NS "roles", JANE,
            "{\"metadata\":{\"name\":\"b\"},\"rules\":[" PODS "," SECRETS "]}",
            "roles.rbac.authorization.k8s.io \"b\"" ATTEMPT
            "{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}");
    refused(&k, "PUT", RBAC_NS "roles/a", JANE,
            "{\"metadata\":{\"name\":\"a\"},\"rules\":[" SECRETS "]}",
            "roles.rbac.authorization.k8s.io \"a\"" ATTEMPT
            "{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}");
    refused(&k, "PATCH", RBAC_NS "roles/a", JANE "Content-Type: application/json-patch+json\r\n",
            "[{\"op\":\"add\",\"path\":\"/rules/0/verbs/-\",\"value\":\"delete\"}]",
            "roles.rbac.authorization.k8s.io \"a\"" ATTEMPT
            "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}");
    /* what collects takes it out of nobody's hands */
    (void)api_expect(&k, 200, "PATCH", RBAC_NS "roles/spy",
                     JANE "Content-Type: application/merge-patch+json\r\n",
                     "{\"metadata\":{\"finalizers\":[\"acme.com/x\"]}}");
    (void)api_expect(&k, 201, "POST", RBAC_NS "rolebindings", JANE,
                     binding("a", "Role", "reader", USER("bob")));
    refused(&k, "POST", RBAC_NS "rolebindings", JANE, binding("b", "Role", "spy", USER("jane")),
            "rolebindings.rbac.authorization.k8s.io \"b\"" ATTEMPT
            "{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}");
    refused(&k, "POST", RBAC_NS "rolebindings", JANE,
            binding("b", "ClusterRole", "cluster-admin", USER("jane")),
            "rolebindings.rbac.authorization.k8s.io \"b\"" ATTEMPT
            "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n"
            "{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}");
    struct api_reply r = api_expect(&k, 404, "POST", RBAC_NS "rolebindings", JANE,
                                    binding("c", "Role", "none", USER("bob")));
    CHECK_SPAN(api_str(&r, "message"), "role.rbac.authorization.k8s.io \"none\" not found");
    api_kit_stop(&k);
}

TEST(escalate_and_bind_are_leave_to_give_more_and_to_collect_needs_everything)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    jane_writes_roles(&k, ",\"escalate\",\"bind\"");
    (void)api_expect(&k, 201, "POST", RBAC_NS "roles", JANE,
                     "{\"metadata\":{\"name\":\"b\"},\"rules\":[" SECRETS "]}");
    (void)api_expect(&k, 201, "POST", RBAC_NS "rolebindings", JANE,
                     binding("b", "ClusterRole", "cluster-admin", USER("bob")));
    cluster_role(&k, "c",
                 "{\"apiGroups\":[\"rbac.authorization.k8s.io\"],\"resources\":[\"*\"],"
                 "\"verbs\":[\"create\"]}");
    (void)api_expect(&k, 201, "POST", RBAC "clusterrolebindings", "",
                     binding("c", "ClusterRole", "c", USER("jane")));
    refused(&k, "POST", RBAC "clusterroles", JANE,
            "{\"metadata\":{\"name\":\"all\"},\"aggregationRule\":{\"clusterRoleSelectors\":[{}]},"
            "\"rules\":[]}",
            "clusterroles.rbac.authorization.k8s.io \"all\" is forbidden: must have cluster-admin "
            "privileges to use an aggregationRule");
    api_kit_stop(&k);
}

static struct api_reply review(struct api_kit *k, const char *kind, const char *path,
                               const char *who, const char *spec)
{
    char body[1024];
    (void)snprintf(body, sizeof body,
                   "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"%s\",\"spec\":%s}", kind,
                   spec);
    return api_expect(k, 201, "POST", path, who, body);
}

TEST(reviews_answer_what_a_request_would_be_answered_and_why)
{
    static const char self[] = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    static const char other[] = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    static const char local[] =
        "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews";
    static const char rules[] = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    static const char pods[] =
        "{\"resourceAttributes\":{\"namespace\":\"default\",\"verb\":\"get\","
        "\"resource\":\"pods\"}}";
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = review(&k, "SelfSubjectAccessReview", self, JANE, pods);
    CHECK(!json_get_bool(api_at(r.json, "status"), "allowed", true));
    CHECK(!api_at(r.json, "status.reason"));
    role(&k, "y", PODS);
    bind_role(&k, "x", "Role", "y", USER("jane"));
    bind_role(&k, "g", "ClusterRole", "gone", GROUP("ops"));
    r = review(&k, "SelfSubjectAccessReview", self, JANE, pods);
    CHECK(json_get_bool(api_at(r.json, "status"), "allowed", false));
    CHECK_SPAN(api_str(&r, "status.reason"),
               "RBAC: allowed by RoleBinding \"x/default\" of Role \"y\" to User \"jane\"");
    r = review(&k, "SubjectAccessReview", other, "",
               "{\"user\":\"eve\",\"groups\":[\"ops\"],\"resourceAttributes\":{\"namespace\":"
               "\"default\",\"verb\":\"get\",\"resource\":\"pods\"}}");
    CHECK(!json_get_bool(api_at(r.json, "status"), "allowed", true));
    CHECK_SPAN(api_str(&r, "status.reason"),
               "RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found");
    r = review(&k, "SubjectAccessReview", other, "",
               "{\"groups\":[\"system:masters\"],\"nonResourceAttributes\":{\"path\":\"\",\"verb\":"
               "\"get\"}}");
    CHECK(json_get_bool(api_at(r.json, "status"), "allowed", false));
    r = review(&k, "SubjectAccessReview", other, "",
               "{\"groups\":[\"a\\nsystem:masters\"],\"nonResourceAttributes\":{\"path\":\"\","
               "\"verb\":\"\"}}");
    CHECK(!json_get_bool(api_at(r.json, "status"), "allowed", true));
    r = review(
        &k, "LocalSubjectAccessReview", local, "",
        "{\"user\":\"jane\",\"resourceAttributes\":{\"namespace\":\"default\",\"verb\":\"get\","
        "\"resource\":\"pods\",\"name\":\"p\"}}");
    CHECK(json_get_bool(api_at(r.json, "status"), "allowed", false));
    refused(
        &k, "POST", other, JANE, "{}",
        "subjectaccessreviews.authorization.k8s.io is forbidden: User \"jane\" cannot create "
        "resource \"subjectaccessreviews\" in API group \"authorization.k8s.io\" at the cluster "
        "scope");
    r = review(&k, "SelfSubjectRulesReview", rules, JANE, "{\"namespace\":\"default\"}");
    CHECK_EQ(json_len(api_at(r.json, "status.resourceRules")), 3);
    CHECK_EQ(json_len(api_at(r.json, "status.nonResourceRules")), 2);
    CHECK_SPAN(api_str(&r, "status.resourceRules.2.resources.0"), "pods");
    r = review(&k, "SelfSubjectRulesReview", rules, "", "{\"namespace\":\"default\"}");
    CHECK_SPAN(api_str(&r, "status.resourceRules.0.resources.0"), "*");
    api_kit_stop(&k);
}

TEST(default_roles_are_there_and_completed_at_the_next_start)
{
    static const char merge[] = "Content-Type: application/merge-patch+json\r\n";
    static const char basic[] = RBAC "clusterroles/system:basic-user";
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_get(&k, RBAC "clusterroles");
    CHECK_EQ(json_len(api_at(r.json, "items")), 14);
    r = api_get(&k, RBAC "clusterroles/edit");
    CHECK_EQ(json_len(api_at(r.json, "rules")), 22);
    r = api_get(&k, basic);
    const char *rev = api_text(api_str(&r, "metadata.resourceVersion"));
    api_kit_restart(&k);
    r = api_get(&k, basic);
    CHECK_SPAN(api_str(&r, "metadata.resourceVersion"), rev);
    (void)api_expect(&k, 200, "PATCH", basic, merge, "{\"rules\":[" PODS "]}");
    (void)api_expect(
        &k, 200, "PATCH", RBAC "clusterroles/system:monitoring", merge,
        "{\"metadata\":{\"annotations\":{\"rbac.authorization.kubernetes.io/autoupdate\":"
        "\"false\"}},\"rules\":[]}");
    (void)api_expect(&k, 200, "PATCH", RBAC "clusterrolebindings/system:basic-user", merge,
                     "{\"subjects\":[" USER("jane") "]}");
    (void)api_expect(&k, 200, "DELETE", RBAC "clusterroles/view", "", NULL);
    api_kit_restart(&k);
    r = api_get(&k, basic);
    CHECK_EQ(json_len(api_at(r.json, "rules")), 3);
    CHECK_SPAN(api_str(&r, "rules.0.resources.0"), "pods");
    r = api_get(&k, RBAC "clusterroles/system:monitoring");
    CHECK_EQ(json_len(api_at(r.json, "rules")), 0);
    r = api_get(&k, RBAC "clusterrolebindings/system:basic-user");
    CHECK_EQ(json_len(api_at(r.json, "subjects")), 2);
    (void)api_expect(&k, 200, "GET", RBAC "clusterroles/view", "", NULL);
    api_kit_stop(&k);
}

TEST(what_is_wrong_with_a_role_or_binding_is_told_in_kubernetes_words_and_order)
{
    static const char *const asked[][3] = {
        {RBAC_NS "roles", "{\"metadata\":{\"name\":\"a\"},\"rules\":[{}]}",
         "Role.rbac.authorization.k8s.io \"a\" is invalid: [rules[0].verbs: Required value: verbs "
         "must "
         "contain at least one value, rules[0].apiGroups: Required value: resource rules must "
         "supply "
         "at least one api group, rules[0].resources: Required value: resource rules must supply "
         "at "
         "least one resource]"},
        {RBAC_NS "rolebindings", "{\"metadata\":{\"name\":\"a\"}}",
         "RoleBinding.rbac.authorization.k8s.io \"a\" is invalid: [roleRef.kind: Unsupported "
         "value: "
         "\"\": supported values: \"ClusterRole\", \"Role\", roleRef.name: Required value]"},
        {RBAC "clusterrolebindings",
         "{\"metadata\":{\"name\":\"a\"},\"roleRef\":{\"kind\":\"ClusterRole\",\"name\":\"a/b\"},"
         "\"subjects\":[{\"kind\":\"User\"},{\"kind\":\"ServiceAccount\",\"name\":\"s\"}]}",
         "ClusterRoleBinding.rbac.authorization.k8s.io \"a\" is invalid: [roleRef.name: Invalid "
         "value: "
         "\"a/b\": may not contain '/', subjects[0].name: Required value, subjects[0].name: "
         "Invalid "
         "value: \"\": user name cannot be empty, subjects[1].namespace: Required value]"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct api_reply r = api_expect(&k, 422, "POST", asked[i][0], "", asked[i][1]);
        CHECK_SPAN(api_str(&r, "message"), asked[i][2]);
    }
    bind_role(&k, "b", "Role", "r", USER("jane"));
    struct api_reply r = api_expect(&k, 422, "PUT", RBAC_NS "rolebindings/b", "",
                                    binding("b", "ClusterRole", "r", USER("jane")));
    CHECK_SPAN(api_str(&r, "details.causes.0.field"), "roleRef");
    CHECK(span_ends(api_str(&r, "message"), SPAN(": cannot change roleRef")));
    api_kit_stop(&k);
}

TEST(only_who_may_speak_for_its_signer_approves_and_signs_a_certificate_request)
{
    static const char csr[] = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    static const char request[] =
        "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"request\":"
        "\"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRV"
        "NULS0tLS0KTUE9PQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K\",\"signerName\":"
        "\"example.com/till\",\"usages\":[\"client auth\"]}}";
    static const char approved[] = "{\"status\":{\"conditions\":[{\"type\":\"Approved\",\"status\":"
                                   "\"True\",\"reason\":\"r\"}]}}";
    static const char merge[] = JANE "Content-Type: application/merge-patch+json\r\n";
    char path[128];
    struct api_kit k;
    api_kit_start(&k, NULL);
    cluster_role(&k, "c",
                 "{\"apiGroups\":[\"certificates.k8s.io\"],\"resources\":["
                 "\"certificatesigningrequests/*\",\"certificatesigningrequests/approval\","
                 "\"certificatesigningrequests/status\"],\"verbs\":[\"*\"]}");
    (void)api_expect(&k, 201, "POST", RBAC "clusterrolebindings", "",
                     binding("c", "ClusterRole", "c", USER("jane")));
    (void)api_expect(&k, 201, "POST", csr, "", request);
    (void)snprintf(path, sizeof path, "%s/c/approval", csr);
    refused(
        &k, "PATCH", path, merge, approved,
        "certificatesigningrequests.certificates.k8s.io \"c\" is forbidden: user not permitted to "
        "approve requests with signerName \"example.com/till\"");
    (void)snprintf(path, sizeof path, "%s/c/status", csr);
    refused(
        &k, "PATCH", path, merge, "{\"status\":{\"certificate\":\"YQ==\"}}",
        "certificatesigningrequests.certificates.k8s.io \"c\" is forbidden: user not permitted to "
        "sign requests with signerName \"example.com/till\"");
    (void)api_expect(&k, 200, "PATCH", path, merge, "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    cluster_role(&k, "s",
                 "{\"apiGroups\":[\"certificates.k8s.io\"],\"resources\":[\"signers\"],"
                 "\"resourceNames\":[\"example.com/*\"],\"verbs\":[\"approve\"]}");
    (void)api_expect(&k, 201, "POST", RBAC "clusterrolebindings", "",
                     binding("s", "ClusterRole", "s", USER("jane")));
    (void)snprintf(path, sizeof path, "%s/c/approval", csr);
    (void)api_expect(&k, 200, "PATCH", path, merge, approved);
    api_kit_stop(&k);
}
