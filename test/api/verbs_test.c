/* The verbs over HTTP: what is stored, what is answered, what is refused. */
#include "apiserver/server.h"
#include "base/limits.h"
#include "base/mem.h"
#include "test/kit/api_kit.h"

#define CM "/api/v1/namespaces/default/configmaps"

TEST(create_get_list_delete_round_trip)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 201, "POST", CM, "",
                                    "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{"
                                    "\"name\":\"m\"},\"data\":{\"a\":\"1\"}}");
    CHECK_SPAN(api_str(&r, "kind"), "ConfigMap");
    CHECK_SPAN(api_str(&r, "metadata.namespace"), "default");
    CHECK_EQ(api_str(&r, "metadata.uid").n, 36);
    CHECK_EQ(api_str(&r, "metadata.creationTimestamp").n, 20);
    CHECK(api_str(&r, "metadata.resourceVersion").n > 0);
    CHECK(!api_at(r.json, "metadata.generation"));
    struct api_reply g = api_expect(&k, 200, "GET", CM "/m", "", NULL);
    CHECK(span_eq(r.body, g.body));
    struct api_reply l = api_expect(&k, 200, "GET", CM, "", NULL);
    CHECK_SPAN(api_str(&l, "kind"), "ConfigMapList");
    CHECK_SPAN(api_str(&l, "items.0.metadata.name"), "m");
    CHECK(!api_at(l.json, "items.0.kind"));
    struct api_reply d = api_expect(&k, 200, "DELETE", CM "/m", "", "{}");
    CHECK_SPAN(api_str(&d, "status"), "Success");
    CHECK(span_eq(api_str(&d, "details.uid"), api_str(&r, "metadata.uid")));
    CHECK_SPAN(api_str(&d, "details.kind"), "configmaps");
    g = api_expect(&k, 404, "GET", CM "/m", "", NULL);
    CHECK_SPAN(api_str(&g, "message"), "configmaps \"m\" not found");
    CHECK_SPAN(api_str(&g, "reason"), "NotFound");
    api_kit_stop(&k);
}

TEST(bootstrap_makes_what_a_fresh_cluster_has)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    const char *paths[] = {"/api/v1/namespaces/default",
                           "/api/v1/namespaces/kube-system",
                           "/api/v1/namespaces/kube-node-lease",
                           "/api/v1/namespaces/kube-public/serviceaccounts/default",
                           "/api/v1/namespaces/default/services/kubernetes",
                           "/api/v1/namespaces/default/endpoints/kubernetes",
                           "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes",
                           "/apis/storage.k8s.io/v1/storageclasses/local"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        (void)api_expect(&k, 200, "GET", paths[i], "", NULL);
    }
    struct api_reply r = api_get(&k, "/api/v1/namespaces/default");
    CHECK_SPAN(api_str(&r, "status.phase"), "Active");
    CHECK_SPAN(api_str(&r, "spec.finalizers.0"), "kubernetes");
    r = api_get(&k, "/api/v1/namespaces/default/services/kubernetes");
    CHECK_SPAN(api_str(&r, "spec.clusterIP"), "10.43.0.1");
    (void)api_expect(&k, 200, "GET", "/readyz", "", NULL);
    CHECK_SPAN(api_expect(&k, 200, "GET", "/readyz?verbose", "", NULL).body,
               "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]bootstrap ok\nreadyz check passed\n");
    api_kit_stop(&k);
}

TEST(the_list_of_custom_definitions_is_there_so_that_kubectl_names_an_unknown_kind)
{
    static const char path[] = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 200, "GET", path, "", NULL);
    CHECK_SPAN(api_str(&r, "kind"), "CustomResourceDefinitionList");
    CHECK(api_at(r.json, "items") && !api_at(r.json, "items.0"));
    (void)api_expect(&k, 422, "POST", path, "", "{}");
    (void)api_expect(&k, 404, "GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/a",
                     "", NULL);
    api_kit_stop(&k);
}

TEST(a_body_over_the_limit_is_refused_with_a_status_that_clients_can_show)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    char *body = mem_new(LIMIT_BODY_BYTES + 2);
    memset(body, ' ', LIMIT_BODY_BYTES + 1);
    struct api_reply r = api_expect(&k, 413, "POST", CM, "", body);
    CHECK_SPAN(api_str(&r, "reason"), "RequestEntityTooLarge");
    CHECK_SPAN(api_str(&r, "message"), "Request entity too large: limit is 3145728");
    free(body);
    api_kit_stop(&k);
}

TEST(who_may_do_everything_may_ask_as_somebody_else)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r =
        api_expect(&k, 201, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                   "Impersonate-User: jane\r\nImpersonate-Group: ops\r\n"
                   "Impersonate-Group: dev\r\n",
                   "{\"apiVersion\":\"authentication.k8s.io/v1\","
                   "\"kind\":\"SelfSubjectReview\"}");
    CHECK_SPAN(api_str(&r, "status.userInfo.username"), "jane");
    CHECK_SPAN(api_str(&r, "status.userInfo.groups.0"), "ops");
    CHECK_SPAN(api_str(&r, "status.userInfo.groups.1"), "dev");
    r = api_expect(&k, 403, "GET", CM, "Impersonate-User: jane\r\n", NULL);
    CHECK_SPAN(api_str(&r, "message"),
               "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API "
               "group \"\" in the namespace \"default\"");
    (void)api_expect(&k, 200, "GET", CM,
                     "Impersonate-User: jane\r\nImpersonate-Group: dev\r\n"
                     "Impersonate-Group: system:masters\r\n",
                     NULL);
    r = api_expect(&k, 400, "GET", CM, "Impersonate-Group: ops\r\n", NULL);
    CHECK_SPAN(api_str(&r, "reason"), "BadRequest");
    r = api_expect(&k, 201, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                   "Impersonate-User: system:serviceaccount:shop:till\r\nImpersonate-Uid: 7\r\n"
                   "Impersonate-Extra-Acme.com%2FProject: a\r\nImpersonate-Extra-scopes: x, y\r\n"
                   "Impersonate-Extra-acme.com%2fproject: b\r\n",
                   "{\"apiVersion\":\"authentication.k8s.io/v1\","
                   "\"kind\":\"SelfSubjectReview\"}");
    CHECK_SPAN(api_str(&r, "status.userInfo.uid"), "7");
    CHECK_SPAN(api_str(&r, "status.userInfo.groups.1"), "system:serviceaccounts:shop");
    CHECK_SPAN(api_str(&r, "status.userInfo.groups.2"), "system:authenticated");
    CHECK_SPAN(api_str(&r, "status.userInfo.extra.scopes.0"), "x, y");
    const yyjson_val *project =
        json_get(api_at(r.json, "status.userInfo.extra"), "acme.com/project");
    CHECK_EQ(json_len(project), 2);
    (void)api_expect(&k, 400, "GET", CM, "Impersonate-Uid: 7\r\n", NULL);
    (void)api_expect(&k, 400, "GET", CM, "Impersonate-User: a\r\nImpersonate-Extra-: 7\r\n", NULL);
    (void)api_expect(&k, 400, "GET", CM, "Impersonate-User: a\r\nImpersonate-Usr: b\r\n", NULL);
    api_kit_stop(&k);
}

TEST(what_serves_nothing_is_listed_and_tokens_are_refused_in_words)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 200, "GET", "/api/v1/componentstatuses", "", NULL);
    CHECK_EQ(json_len(api_at(r.json, "items")), 3);
    CHECK_SPAN(api_str(&r, "items.1.metadata.name"), "etcd-0");
    CHECK_SPAN(api_str(&r, "items.1.conditions.0.status"), "True");
    CHECK_SPAN(api_header(&r, "warning"), "299 - \"v1 ComponentStatus is deprecated in v1.19+\"");
    (void)api_expect(&k, 405, "POST", "/api/v1/componentstatuses", "",
                     "{\"metadata\":{\"name\":\"x\"}}");
    (void)api_expect(&k, 405, "DELETE", "/api/v1/componentstatuses/etcd-0", "", NULL);
    r = api_expect(&k, 200, "GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1.", "", NULL);
    CHECK_SPAN(api_str(&r, "status.conditions.0.reason"), "Local");
    r = api_expect(&k, 201, "POST", "/apis/apiregistration.k8s.io/v1/apiservices", "",
                   "{\"metadata\":{\"name\":\"v1beta1.custom.metrics.k8s.io\"},\"spec\":{\"group\":"
                   "\"custom.metrics.k8s.io\",\"version\":\"v1beta1\",\"groupPriorityMinimum\":100,"
                   "\"versionPriority\":100,\"service\":{\"namespace\":\"a\",\"name\":\"b\"}}}");
    CHECK_SPAN(api_str(&r, "status.conditions.0.status"), "False");
    CHECK(span_find(api_header(&r, "warning"), 'B') < api_header(&r, "warning").n);
    r = api_expect(&k, 422, "POST", "/apis/apiregistration.k8s.io/v1/apiservices", "",
                   "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"group\":\"g\",\"version\":\"v1\","
                   "\"groupPriorityMinimum\":100,\"versionPriority\":100}}");
    CHECK_SPAN(api_str(&r, "message"),
               "APIService.apiregistration.k8s.io \"a\" is invalid: metadata.name: Invalid value: "
               "\"a\": must be `spec.version+\".\"+spec.group`: v1.g");
    /* The older door to pods/binding. */
    (void)api_expect(&k, 422, "POST", "/api/v1/namespaces/default/bindings", "", "{}");
    r = api_expect(&k, 404, "POST", "/api/v1/namespaces/default/bindings", "",
                   "{\"metadata\":{\"name\":\"p\"},\"target\":{\"name\":\"n\"}}");
    CHECK_SPAN(api_str(&r, "message"), "pods \"p\" not found");
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/pods", "",
                     "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
                     "\"image\":\"i\"}]}}");
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/bindings", "",
                     "{\"metadata\":{\"name\":\"p\"},\"target\":{\"name\":\"n\"}}");
    r = api_expect(&k, 200, "GET", "/api/v1/namespaces/default/pods/p", "", NULL);
    CHECK_SPAN(api_str(&r, "spec.nodeName"), "n");
    r = api_expect(&k, 405, "POST", "/api/v1/namespaces/default/serviceaccounts/default/token", "",
                   "{\"spec\":{}}");
    CHECK_SPAN(api_str(&r, "message"), "this server was started without a key to sign tokens with");
    api_kit_stop(&k);
}

TEST(the_form_of_an_answer_is_the_one_that_a_client_likes_best)
{
    static const struct {
        const char *accept, *type;
    } cases[] = {
        {"application/json;q=0.5, application/vnd.kubernetes.protobuf",
         "application/vnd.kubernetes.protobuf"},
        {"application/vnd.kubernetes.protobuf;q=0.9,application/json;q=0.91", "application/json"},
        {"application/cbor, */*;q=0.1", "application/json"},
        {"application/yaml", "application/yaml"},
        {"application/json;q=0", NULL},
        {"application/cbor", NULL}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[256];
        (void)snprintf(header, sizeof header, "Accept: %s\r\n", cases[i].accept);
        for (int one = 0; one < 2; one++) {
            struct api_reply r =
                api_call(&k, "GET", one ? "/api/v1/namespaces/default" : CM, header, NULL);
            CHECK_EQ(r.status, cases[i].type ? 200 : 406);
            if (cases[i].type) {
                CHECK_SPAN(api_header(&r, "content-type"), cases[i].type);
            }
        }
    }
    (void)api_expect(&k, 406, "GET", CM "?watch=1", "Accept: application/yaml\r\n", NULL);
    api_kit_stop(&k);
}

TEST(who_asks_for_yaml_gets_it_errors_too)
{
    static const char yaml[] = "Accept: application/yaml\r\n";
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(
        &k, 201, "POST", CM, yaml,
        "{\"metadata\":{\"name\":\"y\"},\"data\":{\"b\":\"true\",\"a\":\"1\\n2\\n\"}}");
    struct api_reply r = api_expect(&k, 200, "GET", CM "/y", yaml, NULL);
    CHECK(span_starts(r.body, SPAN("apiVersion: v1\ndata:\n  a: |\n    1\n    2\n  b: \"true\"\n"
                                   "kind: ConfigMap\nmetadata:\n  creationTimestamp: \"2")));
    r = api_expect(&k, 200, "GET", CM "?labelSelector=a%3Db", yaml, NULL);
    CHECK(span_starts(r.body, SPAN("apiVersion: v1\nitems: []\nkind: ConfigMapList\nmetadata:\n")));
    r = api_expect(&k, 200, "GET", CM, "Accept: application/yaml;as=Table;v=v1;g=meta.k8s.io\r\n",
                   NULL);
    CHECK(span_starts(r.body, SPAN("apiVersion: meta.k8s.io/v1\ncolumnDefinitions:\n- ")));
    r = api_expect(&k, 404, "GET", CM "/none", yaml, NULL);
    CHECK_SPAN(api_header(&r, "content-type"), "application/yaml");
    CHECK_SPAN(r.body,
               "apiVersion: v1\ncode: 404\ndetails:\n  kind: configmaps\n  name: none\nkind: "
               "Status\nmessage: configmaps \"none\" not found\nmetadata: {}\nreason: "
               "NotFound\nstatus: Failure\n");
    r = api_expect(&k, 200, "GET", "/api", yaml, NULL);
    CHECK_SPAN(api_header(&r, "content-type"), "application/yaml");
    CHECK(span_starts(r.body, SPAN("kind: APIVersions\n")));
    r = api_expect(&k, 200, "GET", "/apis/apps/v1", yaml, NULL);
    CHECK(span_starts(r.body,
                      SPAN("apiVersion: v1\ngroupVersion: apps/v1\nkind: APIResourceList\n")));
    api_kit_stop(&k);
}

static void expect_text(struct api_kit *k, int status, const char *path, const char *want)
{
    CHECK_SPAN(api_expect(k, status, "GET", path, "", NULL).body, want);
}

TEST(health_is_told_check_by_check)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    expect_text(&k, 200, "/healthz", "ok");
    expect_text(&k, 200, "/livez?verbose=0",
                "[+]ping ok\n[+]log ok\n[+]etcd ok\nlivez check passed\n");
    expect_text(&k, 200, "/healthz?verbose&exclude=etcd&exclude=nothing",
                "[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\n[+]bootstrap ok\nwarn: some health "
                "checks cannot be excluded: no matches for \"nothing\"\nhealthz check passed\n");
    expect_text(&k, 200, "/readyz/bootstrap", "ok");
    expect_text(&k, 200, "/healthz/etcd?verbose", "ok");
    expect_text(&k, 404, "/livez/bootstrap", "404 page not found\n");
    expect_text(&k, 404, "/readyz/nothing", "404 page not found\n");
    api_kit_stop(&k);
}

/* As a server tells it whose first objects are not there yet. */
TEST(a_check_that_fails_is_named)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    k.server->is_ready = false;
    expect_text(&k, 200, "/livez", "ok");
    expect_text(&k, 500, "/readyz",
                "[+]ping ok\n[+]log ok\n[+]etcd ok\n[-]bootstrap failed: the first objects are "
                "still being created\nreadyz check failed\n");
    expect_text(&k, 200, "/readyz?exclude=bootstrap", "ok");
    (void)api_expect(&k, 500, "GET", "/readyz/bootstrap", "", NULL);
    api_kit_stop(&k);
}

TEST(methods_and_bodies_that_are_not_taken_have_no_details)
{
    static const struct {
        int status;
        const char *method, *path, *headers, *message;
    } cases[] = {
        {405, "DELETE", "/api/v1/namespaces", "",
         "the server does not allow this method on the requested resource"},
        {405, "POST", "/api/v1/namespaces/default/status", "",
         "the server does not allow this method on the requested resource"},
        {415, "POST", "/api/v1/namespaces", "Content-Type: text/plain\r\n",
         "the body of the request was in an unknown format - accepted media types include: "
         "application/json, application/yaml, application/vnd.kubernetes.protobuf"},
        {415, "PATCH", "/api/v1/namespaces/default", "Content-Type: application/json\r\n",
         "the body of the request was in an unknown format - accepted media types include: "
         "application/json-patch+json, application/merge-patch+json, "
         "application/strategic-merge-patch+json, application/apply-patch+yaml"},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_reply r =
            api_expect(&k, cases[i].status, cases[i].method, cases[i].path, cases[i].headers, "{}");
        CHECK_SPAN(api_str(&r, "message"), cases[i].message);
        CHECK_EQ(json_len(api_at(r.json, "details")), 0);
    }
    api_kit_stop(&k);
}

TEST(bodies_of_subresources_are_looked_at_as_closely_as_others)
{
    static const struct {
        int status;
        const char *method, *path, *body, *message;
    } cases[] = {
        {400, "POST", "pods/p/eviction", "{\"kind\":\"Evict\",\"apiVersion\":\"policy/v1\"}",
         "Evict in version \"v1\" cannot be handled as a Eviction: no kind \"Evict\" is registered "
         "for version \"policy/v1\""},
        {400, "POST", "pods/p/eviction?fieldValidation=Strict", "{\"deleteOption\":{}}",
         "Eviction in version \"v1\" cannot be handled as a Eviction: strict decoding error: "
         "unknown field \"deleteOption\""},
        {400, "POST", "pods/p/eviction", "{\"deleteOptions\":{\"gracePeriodSeconds\":\"1\"}}",
         NULL},
        {422, "POST", "pods/p/binding", "{\"target\":{\"kind\":\"Pod\"}}",
         "Binding \"p\" is invalid: [target.kind: Unsupported value: \"Pod\": supported values: "
         "\"Node\", \"<empty>\", target.name: Required value]"},
        {400, "POST", "pods/p/binding",
         "{\"metadata\":{\"name\":\"q\"},\"target\":{\"name\":\"n\"}}",
         "name in URL does not match name in Binding object"},
        {409, "POST", "pods/p/binding", "{\"target\":{\"name\":\"n\"}}",
         "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node "
         "\"m\""},
        {400, "PUT", "replicationcontrollers/r/scale", "{\"spec\":{\"replicas\":1}}",
         "the name of the object (r based on URL) was undeterminable: name must be provided"},
        {422, "PUT", "finalize",
         "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"finalizers\":[\"kubernetes\",\"a/b\","
         "\"z\"]}}",
         "Namespace \"default\" is invalid: spec.finalizers[2]: Invalid value: \"z\": name is "
         "neither a standard finalizer name nor is it fully qualified"},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/pods", "",
                     "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"nodeName\":\"m\",\"containers\":[{"
                     "\"name\":\"c\",\"image\":\"i\"}]}}");
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/replicationcontrollers", "",
                     "{\"metadata\":{\"name\":\"r\"},\"spec\":{\"selector\":{\"a\":\"b\"},"
                     "\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{"
                     "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "/api/v1/namespaces/default/%s", cases[i].path);
        struct api_reply r =
            api_expect(&k, cases[i].status, cases[i].method, path, "", cases[i].body);
        if (cases[i].message) {
            CHECK_SPAN(api_str(&r, "message"), cases[i].message);
        }
    }
    (void)api_expect(&k, 200, "GET", "/api/v1/namespaces/default/pods/p", "", NULL);
    api_kit_stop(&k);
}

TEST(a_duplicate_key_of_a_map_is_named_like_a_field)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r =
        api_expect(&k, 400, "POST", "/api/v1/namespaces/default/configmaps?fieldValidation=Strict",
                   "", "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"1\",\"k\":\"2\"}}");
    CHECK_SPAN(api_str(&r, "message"),
               "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding "
               "error: duplicate field \"data.k\"");
    api_kit_stop(&k);
}

TEST(questions_that_cannot_be_answered_are_refused_in_kubernetes_words)
{
#define AUTHZ "/apis/authorization.k8s.io/v1/"
#define REVIEW "SubjectAccessReview.authorization.k8s.io \"\" is invalid: "
    static const struct {
        int status;
        const char *path, *body, *message, *field;
    } cases[] = {
        {422, AUTHZ "subjectaccessreviews", "{\"spec\":{\"user\":\"u\"}}",
         REVIEW "spec.resourceAttributes: Invalid value: null: exactly one of "
                "nonResourceAttributes or resourceAttributes must be specified",
         "spec.resourceAttributes"},
        {422, AUTHZ "subjectaccessreviews",
         "{\"spec\":{\"user\":\"u\",\"resourceAttributes\":{},\"nonResourceAttributes\":{\"path\":"
         "\"/x\"}}}",
         REVIEW "spec.nonResourceAttributes: Invalid value: {\"path\":\"/x\"}: cannot be "
                "specified in combination with resourceAttributes",
         "spec.nonResourceAttributes"},
        {422, AUTHZ "subjectaccessreviews", "{\"spec\":{\"resourceAttributes\":{}}}",
         REVIEW "spec.user: Invalid value: \"\": at least one of user or group must be specified",
         "spec.user"},
        {422, AUTHZ "namespaces/default/localsubjectaccessreviews",
         "{\"spec\":{\"user\":\"u\",\"resourceAttributes\":{\"namespace\":\"x\"}}}",
         "Local" REVIEW "spec.resourceAttributes.namespace: Invalid value: \"x\": must match "
         "metadata.namespace",
         "spec.resourceAttributes.namespace"},
        {400, "/apis/authentication.k8s.io/v1/tokenreviews", "{}",
         "token is required for TokenReview in authentication", ""},
        {400, AUTHZ "selfsubjectrulesreviews", "{}", "no namespace on request", ""},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_reply r =
            api_expect(&k, cases[i].status, "POST", cases[i].path, "", cases[i].body);
        CHECK_SPAN(api_str(&r, "message"), cases[i].message);
        CHECK_SPAN(api_str(&r, "details.causes.0.field"), cases[i].field);
    }
    api_kit_stop(&k);
}
