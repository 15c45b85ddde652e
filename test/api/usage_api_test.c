/* metrics.k8s.io over HTTP: what is measured when somebody asks. The node is made up: each pod
 * whose name does not begin with "x" has two containers that run. */
#include "client/node_api.h"
#include "codec/object.h"
#include "test/kit/api_kit.h"
#include "watch/watch.h"

#define GROUP "/apis/metrics.k8s.io/v1beta1"
#define JANE "Impersonate-User: jane\r\n"
#define TABLE "Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n"

enum { PODS_MAX = 8 };

struct fake_node {
    struct node_api api;
    struct api_kit k;
    struct env_timer timer;
    node_usage_fn *done;
    void *data;
    int asked;
    bool is_absent, dies;
    struct node_usage_pod pods[PODS_MAX];
    size_t n;
};

static const struct node_usage_container both[] = {{SPAN("a"), 1234567, 1536},
                                                   {SPAN("b"), 250000000, 52428800}};
static const struct node_usage_container whole = {SPAN_NULL, 1500000000, 1073741824};

static bool see_pod(void *data, struct object *o)
{
    struct fake_node *n = data;
    if (object_name(o).p[0] != 'x') {
        CHECK(n->n < PODS_MAX);
        n->pods[n->n++] = (struct node_usage_pod){object_uid(o), 1500000999, both, 2};
    }
    return true;
}

static void on_timer(struct env_timer *timer)
{
    struct fake_node *n = CONTAINER_OF(timer, struct fake_node, timer);
    if (n->dies) {
        n->done(n->data, NULL);
        return;
    }
    n->n = 1;
    n->pods[0] = (struct node_usage_pod){SPAN_NULL, 1000000000, &whole, 1};
    (void)watch_hub_list(n->k.hub, &(struct watch_filter){.resource = SPAN("pods")}, SPAN_NULL,
                         see_pod, n);
    n->done(n->data, &(struct node_usage){SPAN("edge"), 1785000000999, n->pods, n->n});
}

static bool node_usage(struct node_api *api, node_usage_fn *done, void *data)
{
    struct fake_node *n = CONTAINER_OF(api, struct fake_node, api);
    if (n->is_absent) {
        return false;
    }
    n->asked++;
    n->done = done;
    n->data = data;
    env_timer_start(n->k.env, &n->timer, 5, on_timer);
    return true;
}

static const struct node_api_ops node_ops = {.usage = node_usage};

static void make_pod(struct api_kit *k, const char *ns, const char *name, const char *app)
{
    char body[512], path[128];
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"app\":\"%s\"}},\"spec\":{"
                   "\"containers\":[{\"name\":\"a\",\"image\":\"i\"},{\"name\":\"b\",\"image\":"
                   "\"i\"}]}}",
                   name, app);
    (void)snprintf(path, sizeof path, "/api/v1/namespaces/%s/pods", ns);
    (void)api_expect(k, 201, "POST", path, "", body);
}

static void start(struct fake_node *n)
{
    *n = (struct fake_node){.api = {&node_ops}};
    api_kit_start(&n->k, &n->api);
    make_pod(&n->k, "default", "p1", "web");
    make_pod(&n->k, "default", "p2", "db");
    make_pod(&n->k, "default", "x1", "web");
    make_pod(&n->k, "kube-system", "p3", "web");
    (void)api_expect(&n->k, 201, "POST", "/api/v1/nodes", "",
                     "{\"metadata\":{\"name\":\"edge\",\"labels\":{\"zone\":\"a\"}}}");
    (void)api_expect(&n->k, 201, "POST", "/api/v1/nodes", "", "{\"metadata\":{\"name\":\"away\"}}");
}

TEST(a_pod_shows_what_each_container_uses)
{
    struct fake_node n;
    start(&n);
    struct api_reply r =
        api_expect(&n.k, 200, "GET", GROUP "/namespaces/default/pods/p1", "", NULL);
    CHECK_SPAN(r.body,
               "{\"kind\":\"PodMetrics\",\"apiVersion\":\"metrics.k8s.io/v1beta1\",\"metadata\":{"
               "\"name\":\"p1\",\"namespace\":\"default\",\"creationTimestamp\":"
               "\"2026-07-25T17:20:00Z\",\"labels\":{\"app\":\"web\"}},\"timestamp\":"
               "\"2026-07-25T17:20:00Z\",\"window\":\"1.5s\",\"containers\":[{\"name\":\"a\","
               "\"usage\":{\"cpu\":\"1234567n\",\"memory\":\"1536\"}},{\"name\":\"b\",\"usage\":{"
               "\"cpu\":\"250m\",\"memory\":\"50Mi\"}}]}");
    CHECK_EQ(n.asked, 1);
    api_kit_stop(&n.k);
}

TEST(a_node_shows_what_it_uses_as_a_whole)
{
    struct fake_node n;
    start(&n);
    struct api_reply r = api_expect(&n.k, 200, "GET", GROUP "/nodes/edge", "", NULL);
    CHECK_SPAN(r.body,
               "{\"kind\":\"NodeMetrics\",\"apiVersion\":\"metrics.k8s.io/v1beta1\",\"metadata\":{"
               "\"name\":\"edge\",\"creationTimestamp\":\"2026-07-25T17:20:00Z\",\"labels\":{"
               "\"zone\":\"a\"}},\"timestamp\":\"2026-07-25T17:20:00Z\",\"window\":\"1s\",\"usage\""
               ":{\"cpu\":\"1500m\",\"memory\":\"1Gi\"}}");
    r = api_expect(&n.k, 200, "GET", GROUP "/nodes", "", NULL);
    CHECK_EQ(json_len(api_at(r.json, "items")), 1); /* nobody has measured the other */
    r = api_expect(&n.k, 404, "GET", GROUP "/nodes/away", "", NULL);
    CHECK_SPAN(api_str(&r, "message"), "nodemetrics.metrics.k8s.io \"away\" not found");
    r = api_expect(&n.k, 404, "GET", GROUP "/nodes/none", "", NULL);
    CHECK_SPAN(api_str(&r, "message"), "nodes \"none\" not found");
    api_kit_stop(&n.k);
}

static void listed(struct api_kit *k, const char *path, const char *names)
{
    struct api_reply r = api_expect(k, 200, "GET", path, "", NULL);
    struct span got = SPAN_NULL;
    CHECK_SPAN(api_str(&r, "kind"), "PodMetricsList");
    CHECK_EQ(json_len(api_at(r.json, "metadata")), 0);
    JSON_EACH(it, api_at(r.json, "items"))
    {
        CHECK(!json_get(it.val, "kind"));
        got = arena_printf(api_arena(), "%.*s%s%.*s", SPAN_ARG(got), got.n ? " " : "",
                           SPAN_ARG(json_str(json_path(it.val, "metadata", "name", NULL))));
    }
    CHECK_SPAN(got, names);
}

TEST(lists_heed_namespaces_and_selectors_and_leave_out_what_does_not_run)
{
    struct fake_node n;
    start(&n);
    listed(&n.k, GROUP "/pods", "p1 p2 p3");
    listed(&n.k, GROUP "/namespaces/default/pods", "p1 p2");
    listed(&n.k, GROUP "/namespaces/none/pods", "");
    listed(&n.k, GROUP "/pods?labelSelector=app%3Dweb", "p1 p3");
    listed(&n.k, GROUP "/pods?labelSelector=app%21%3Dweb", "p2");
    listed(&n.k, GROUP "/pods?fieldSelector=metadata.name%3Dp2", "p2");
    listed(&n.k, GROUP "/pods?fieldSelector=metadata.namespace%3Dkube-system", "p3");
    listed(&n.k, GROUP "/pods?limit=1", "p1 p2 p3");
    listed(&n.k, GROUP "/pods?resourceVersion=0", "p1 p2 p3");
    struct api_reply r =
        api_expect(&n.k, 400, "GET", GROUP "/pods?fieldSelector=spec.nodeName%3Dedge", "", NULL);
    CHECK(span_starts(api_str(&r, "message"),
                      SPAN("\"spec.nodeName\" is not a known field selector")));
    (void)api_expect(&n.k, 400, "GET", GROUP "/pods?labelSelector=%21%21", "", NULL);
    api_kit_stop(&n.k);
}

TEST(what_is_not_measured_is_not_found)
{
    struct fake_node n;
    start(&n);
    struct api_reply r =
        api_expect(&n.k, 404, "GET", GROUP "/namespaces/default/pods/x1", "", NULL);
    CHECK_SPAN(api_str(&r, "message"), "podmetrics.metrics.k8s.io \"default/x1\" not found");
    CHECK_SPAN(api_str(&r, "details.group"), "metrics.k8s.io");
    CHECK_SPAN(api_str(&r, "details.kind"), "podmetrics");
    CHECK_SPAN(api_str(&r, "details.name"), "default/x1");
    r = api_expect(&n.k, 404, "GET", GROUP "/namespaces/default/pods/none", "", NULL);
    CHECK_SPAN(api_str(&r, "message"), "pods \"none\" not found");
    n.dies = true;
    r = api_expect(&n.k, 503, "GET", GROUP "/namespaces/default/pods/p1", "", NULL);
    n.is_absent = true;
    r = api_expect(&n.k, 503, "GET", GROUP "/pods", "", NULL);
    CHECK(span_starts(api_str(&r, "message"), SPAN("the agent of the node does not run")));
    listed(&n.k, GROUP "/namespaces/none/pods", ""); /* nothing needs to be measured */
    api_kit_stop(&n.k);
}

TEST(it_can_only_be_looked_at)
{
    static const char pod[] = "{\"metadata\":{\"name\":\"p9\"}}";
    struct fake_node n;
    start(&n);
    (void)api_expect(&n.k, 405, "POST", GROUP "/namespaces/default/pods", "", pod);
    (void)api_expect(&n.k, 405, "PUT", GROUP "/namespaces/default/pods/p1", "", pod);
    (void)api_expect(&n.k, 405, "DELETE", GROUP "/namespaces/default/pods/p1", "", NULL);
    (void)api_expect(&n.k, 405, "DELETE", GROUP "/namespaces/default/pods", "", NULL);
    (void)api_expect(&n.k, 405, "GET", GROUP "/pods?watch=true", "", NULL);
    (void)api_expect(&n.k, 405, "GET", GROUP "/nodes?watch=true", "", NULL);
    CHECK_EQ(n.asked, 0);
    api_kit_stop(&n.k);
}

TEST(tables_add_up_the_containers_and_protobuf_says_the_same)
{
    struct fake_node n;
    start(&n);
    struct api_reply r =
        api_expect(&n.k, 200, "GET", GROUP "/namespaces/default/pods", TABLE, NULL);
    CHECK_SPAN(api_str(&r, "columnDefinitions.1.name"), "cpu");
    CHECK_SPAN(api_str(&r, "rows.0.cells.0"), "p1");
    CHECK_SPAN(api_str(&r, "rows.0.cells.1"), "251234567n");
    CHECK_SPAN(api_str(&r, "rows.0.cells.2"), "52430336");
    CHECK_SPAN(api_str(&r, "rows.0.cells.3"), "1.5s");
    r = api_expect(&n.k, 200, "GET", GROUP "/nodes/edge", TABLE, NULL);
    CHECK_SPAN(api_str(&r, "rows.0.cells.1"), "1500m");
    r = api_expect(&n.k, 200, "GET", GROUP "/nodes/edge",
                   "Accept: application/vnd.kubernetes.protobuf\r\n", NULL);
    /* window: field 3, a message whose field 1 is 1000000000 */
    CHECK(memmem(r.body.p, r.body.n, "\x1a\x06\x08\x80\x94\xeb\xdc\x03", 8));
    /* usage: field 4, from "memory" to a message whose field 1 is "1Gi" */
    CHECK(memmem(r.body.p, r.body.n,
                 "\x22\x0f\x0a\x06memory\x12\x05\x0a\x03"
                 "1Gi",
                 17));
    r = api_expect(&n.k, 200, "GET", GROUP "/pods", "Accept: application/yaml\r\n", NULL);
    CHECK(memmem(r.body.p, r.body.n, "cpu: 250m", 9));
    api_kit_stop(&n.k);
}

TEST(discovery_lists_the_group)
{
    struct fake_node n;
    start(&n);
    struct api_reply r = api_expect(&n.k, 200, "GET", GROUP, "", NULL);
    CHECK_SPAN(
        r.body,
        "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":"
        "\"metrics.k8s.io/v1beta1\",\"resources\":[{\"name\":\"nodes\",\"singularName\":\"\","
        "\"namespaced\":false,\"kind\":\"NodeMetrics\",\"verbs\":[\"get\",\"list\"]},{"
        "\"name\":\"pods\",\"singularName\":\"\",\"namespaced\":true,\"kind\":\"PodMetrics\","
        "\"verbs\":[\"get\",\"list\"]}]}");
    (void)api_expect(&n.k, 200, "GET", "/apis/metrics.k8s.io", "", NULL);
    (void)api_expect(&n.k, 200, "GET",
                     "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io", "",
                     NULL);
    r = api_expect(&n.k, 200, "GET", "/openapi/v3" GROUP, "", NULL);
    CHECK(memmem(r.body.p, r.body.n, "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics", 50));
    api_kit_stop(&n.k);
}

TEST(who_may_view_a_namespace_may_see_what_its_pods_use)
{
    struct fake_node n;
    start(&n);
    struct api_reply r = api_expect(&n.k, 403, "GET", GROUP "/namespaces/default/pods", JANE, NULL);
    CHECK_SPAN(api_str(&r, "message"),
               "pods.metrics.k8s.io is forbidden: User \"jane\" cannot list resource \"pods\" in "
               "API group \"metrics.k8s.io\" in the namespace \"default\"");
    (void)api_expect(&n.k, 201, "POST",
                     "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", "",
                     "{\"metadata\":{\"name\":\"look\"},\"roleRef\":{\"apiGroup\":"
                     "\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"view\"},"
                     "\"subjects\":[{\"kind\":\"User\",\"name\":\"jane\"}]}");
    (void)api_expect(&n.k, 200, "GET", GROUP "/namespaces/default/pods", JANE, NULL);
    (void)api_expect(&n.k, 403, "GET", GROUP "/pods", JANE, NULL);
    (void)api_expect(&n.k, 403, "GET", GROUP "/nodes", JANE, NULL);
    static const char *const collecting[] = {"view", "edit", "admin"};
    for (size_t i = 0; i < 3; i++) {
        const char *path = api_text(arena_printf(
            api_arena(), "/apis/rbac.authorization.k8s.io/v1/clusterroles/%s", collecting[i]));
        size_t times = 0;
        r = api_expect(&n.k, 200, "GET", path, "", NULL);
        JSON_EACH(it, api_at(r.json, "rules"))
        {
            times += span_eq_cstr(json_str(api_at(it.val, "apiGroups.0")), "metrics.k8s.io");
        }
        CHECK_EQ(times, 1);
    }
    api_kit_stop(&n.k);
}
