/* test/api/quota_test.c: ResourceQuotas: what they refuse, that they count right while many writes
 * are under way, fail, or end, after a restart, and what their status says. */
#include <errno.h>

#include "schema/kinds.h"
#include "test/kit/api_kit.h"

#define NS "/api/v1/namespaces/default"
#define QUOTAS NS "/resourcequotas"
#define PODS NS "/pods"
#define MERGE "Content-Type: application/merge-patch+json\r\n"

static struct api_reply quota(struct api_kit *k, const char *name, const char *spec)
{
    char body[512];
    (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s}}", name, spec);
    struct api_reply r = api_expect(k, 201, "POST", QUOTAS, "", body);
    CHECK_EQ(api_header(&r, "Warning").n, 0);
    return r;
}

static struct api_reply pod(struct api_kit *k, int status, const char *name, const char *resources)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"containers\":[{\"name\":\"c\","
                   "\"image\":\"i\",\"resources\":{%s}}]}}",
                   name, resources);
    return api_expect(k, status, "POST", PODS, "", body);
}

/* The status of a quota says this soon. */
static void check_status(struct api_kit *k, const char *name, const char *want)
{
    char path[128];
    struct span got = SPAN_NULL;
    (void)snprintf(path, sizeof path, QUOTAS "/%s", name);
    for (int i = 0; i < 100; i++) {
        struct api_reply r = api_get(k, path);
        got = json_write(api_arena(), api_at(r.json, "status"));
        if (span_eq_cstr(got, want)) {
            return;
        }
        api_run_ms(k, 10);
    }
    CHECK_SPAN(got, want);
}

TEST(what_is_too_much_is_refused_in_the_words_of_kubernetes)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)pod(&k, 201, "before", "\"requests\":{\"cpu\":\"100m\"}");
    (void)quota(&k, "q", "\"hard\":{\"pods\":\"2\",\"requests.cpu\":\"250m\"}");
    check_status(&k, "q",
                 "{\"hard\":{\"pods\":\"2\",\"requests.cpu\":\"250m\"},\"used\":{\"pods\":\"1\","
                 "\"requests.cpu\":\"100m\"}}");
    struct api_reply r = pod(&k, 403, "x", "");
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"x\" is forbidden: failed quota: q: must specify requests.cpu for: c");
    r = pod(&k, 403, "x", "\"requests\":{\"cpu\":\"200m\"}");
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"x\" is forbidden: exceeded quota: q, requested: requests.cpu=200m, used: "
               "requests.cpu=100m, limited: requests.cpu=250m");
    CHECK_SPAN(api_str(&r, "reason"), "Forbidden");
    (void)pod(&k, 201, "x", "\"requests\":{\"cpu\":\"150m\"}");
    r = pod(&k, 403, "y", "\"requests\":{\"cpu\":\"10m\"}");
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"y\" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=10m, "
               "used: pods=2,requests.cpu=250m, limited: pods=2,requests.cpu=250m");
    (void)pod(&k, 409, "x", "\"requests\":{\"cpu\":\"150m\"}");
    (void)api_expect(&k, 403, "POST", PODS "?dryRun=All", "",
                     "{\"metadata\":{\"name\":\"y\"},\"spec\":{\"containers\":[{\"name\":\"c\","
                     "\"image\":\"i\",\"resources\":{\"requests\":{\"cpu\":\"1m\"}}}]}}");
    /* One that has ended counts no more, nor does one that is gone. */
    (void)api_expect(&k, 200, "PATCH", PODS "/x/status", MERGE,
                     "{\"status\":{\"phase\":\"Succeeded\"}}");
    (void)pod(&k, 201, "y", "\"requests\":{\"cpu\":\"150m\"}");
    (void)api_expect(&k, 200, "DELETE", PODS "/before", "", NULL);
    check_status(&k, "q",
                 "{\"hard\":{\"pods\":\"2\",\"requests.cpu\":\"250m\"},\"used\":{\"pods\":\"1\","
                 "\"requests.cpu\":\"150m\"}}");
    r = api_expect(&k, 403, "PATCH", PODS "/y/resize", MERGE,
                   "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{"
                   "\"requests\":{\"cpu\":\"300m\"}}}]}}");
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"y\" is forbidden: exceeded quota: q, requested: requests.cpu=150m, used: "
               "requests.cpu=150m, limited: requests.cpu=250m");
    (void)api_expect(&k, 200, "PATCH", PODS "/y/resize", MERGE,
                     "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{"
                     "\"requests\":{\"cpu\":\"250m\"}}}]}}");
    check_status(&k, "q",
                 "{\"hard\":{\"pods\":\"2\",\"requests.cpu\":\"250m\"},\"used\":{\"pods\":\"1\","
                 "\"requests.cpu\":\"250m\"}}");
    api_kit_stop(&k);
}

TEST(a_quota_follows_its_spec_and_nobody_else_keeps_its_status)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)quota(&k, "q", "\"hard\":{\"count/configmaps\":\"0\",\"resourcequotas\":\"2\"}");
    check_status(&k, "q",
                 "{\"hard\":{\"count/configmaps\":\"0\",\"resourcequotas\":\"2\"},\"used\":{"
                 "\"count/configmaps\":\"0\",\"resourcequotas\":\"1\"}}");
    (void)api_expect(&k, 403, "POST", NS "/configmaps", "", "{\"metadata\":{\"name\":\"a\"}}");
    (void)api_expect(&k, 200, "PATCH", QUOTAS "/q", MERGE,
                     "{\"spec\":{\"hard\":{\"count/configmaps\":\"1\"}}}");
    (void)api_expect(&k, 201, "POST", NS "/configmaps", "", "{\"metadata\":{\"name\":\"a\"}}");
    struct api_reply r =
        api_expect(&k, 403, "POST", NS "/configmaps", "", "{\"metadata\":{\"name\":\"b\"}}");
    CHECK_SPAN(api_str(&r, "message"),
               "configmaps \"b\" is forbidden: exceeded quota: q, requested: count/configmaps=1, "
               "used: count/configmaps=1, limited: count/configmaps=1");
    (void)api_expect(
        &k, 200, "PATCH", QUOTAS "/q/status", MERGE,
        "{\"status\":{\"hard\":{\"pods\":\"9\"},\"used\":{\"resourcequotas\":\"7\"}}}");
    check_status(&k, "q",
                 "{\"hard\":{\"count/configmaps\":\"1\",\"resourcequotas\":\"2\"},\"used\":{"
                 "\"count/configmaps\":\"1\",\"resourcequotas\":\"1\"}}");
    (void)quota(&k, "r", "\"hard\":{}");
    (void)api_expect(&k, 403, "POST", QUOTAS, "", "{\"metadata\":{\"name\":\"s\"},\"spec\":{}}");
    (void)api_expect(&k, 200, "DELETE", QUOTAS "/q", "", NULL);
    (void)api_expect(&k, 201, "POST", NS "/configmaps", "", "{\"metadata\":{\"name\":\"b\"}}");
    (void)api_expect(&k, 201, "POST", QUOTAS, "", "{\"metadata\":{\"name\":\"s\"},\"spec\":{}}");
    api_kit_stop(&k);
}

TEST(services_and_claims_count_by_what_they_are)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)quota(&k, "q",
                "\"hard\":{\"services.nodeports\":\"2\",\"services.loadbalancers\":\"0\","
                "\"requests.storage\":\"3Gi\","
                "\"gold.storageclass.storage.k8s.io/requests.storage\":\"2Gi\"}");
    static const char *const ports = "\"ports\":[{\"name\":\"a\",\"port\":1},{\"name\":\"b\","
                                     "\"port\":2}]";
    char body[256];
    (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"a\"},\"spec\":{%s}}", ports);
    (void)api_expect(&k, 201, "POST", NS "/services", "", body);
    struct api_reply r = api_expect(&k, 403, "PATCH", NS "/services/a", MERGE,
                                    "{\"spec\":{\"type\":\"LoadBalancer\"}}");
    CHECK_SPAN(api_str(&r, "message"),
               "services \"a\" is forbidden: exceeded quota: q, requested: "
               "services.loadbalancers=1, used: services.loadbalancers=0, limited: "
               "services.loadbalancers=0");
    (void)api_expect(&k, 200, "PATCH", NS "/services/a", MERGE,
                     "{\"spec\":{\"type\":\"NodePort\"}}");
    (void)api_expect(&k, 200, "PATCH", NS "/services/a", MERGE,
                     "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    (void)api_expect(&k, 403, "POST", NS "/services", "",
                     "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"type\":\"NodePort\",\"ports\":[{"
                     "\"port\":1}]}}");
    (void)api_expect(&k, 200, "PATCH", NS "/services/a", MERGE,
                     "{\"spec\":{\"type\":\"ClusterIP\"}}");
    (void)api_expect(&k, 201, "POST", NS "/services", "",
                     "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"type\":\"NodePort\",\"ports\":[{"
                     "\"port\":1}]}}");
    static const char claim[] =
        "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"storageClassName\":\"%s\",\"accessModes\":["
        "\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"%s\"}}}}";
    static const struct {
        const char *name, *class, *size;
        int status;
    } claims[] = {{"a", "gold", "1Gi", 201},
                  {"b", "gold", "1500Mi", 403},
                  {"b", "tin", "1500Mi", 201},
                  {"c", "tin", "1Gi", 403},
                  {"c", "gold", "512Mi", 201}};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        (void)snprintf(body, sizeof body, claim, claims[i].name, claims[i].class, claims[i].size);
        (void)api_expect(&k, claims[i].status, "POST", NS "/persistentvolumeclaims", "", body);
    }
    check_status(&k, "q",
                 "{\"hard\":{\"services.nodeports\":\"2\",\"services.loadbalancers\":\"0\","
                 "\"requests.storage\":\"3Gi\","
                 "\"gold.storageclass.storage.k8s.io/requests.storage\":\"2Gi\"},\"used\":{"
                 "\"gold.storageclass.storage.k8s.io/requests.storage\":\"1536Mi\","
                 "\"requests.storage\":\"3036Mi\",\"services.loadbalancers\":\"0\","
                 "\"services.nodeports\":\"1\"}}");
    api_kit_stop(&k);
}

/* ---- many at once ---- */

enum { BURST = 40 };

struct burst {
    int waiting, made, refused, failed;
    bool done;
};

static void on_made(void *data, const struct client_reply *r)
{
    struct burst *b = data;
    b->made += r->err.reason == ERR_NONE;
    b->refused += r->err.reason == ERR_FORBIDDEN;
    b->failed += r->err.reason != ERR_NONE && r->err.reason != ERR_FORBIDDEN;
    b->done = --b->waiting == 0;
}

static void burst(struct api_kit *k, struct burst *b, const char *prefix)
{
    *b = (struct burst){.waiting = BURST};
    for (int i = 0; i < BURST; i++) {
        char body[128];
        (void)snprintf(body, sizeof body,
                       "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
                       "\"%s-%d\"}}",
                       prefix, i);
        client_do(k->client,
                  &(struct client_request){CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE,
                                           .kind = SCHEMA_KIND(ConfigMap), .ns = SPAN("default"),
                                           .body = span_cstr(body)},
                  on_made, b);
    }
    api_run_until(k, &b->done);
}

TEST(writes_of_one_turn_share_no_room_and_failed_ones_give_it_back)
{
    struct api_kit k;
    struct burst b;
    api_kit_start(&k, NULL);
    (void)quota(&k, "q", "\"hard\":{\"configmaps\":\"7\"}");
    burst(&k, &b, "a");
    CHECK_EQ(b.made, 7);
    CHECK_EQ(b.refused, BURST - 7);
    (void)api_expect(&k, 200, "DELETE", NS "/configmaps/a-0", "", NULL);
    burst(&k, &b, "b");
    CHECK_EQ(b.made, 1);
    check_status(&k, "q", "{\"hard\":{\"configmaps\":\"7\"},\"used\":{\"configmaps\":\"7\"}}");
    api_kit_restart(&k);
    burst(&k, &b, "c");
    CHECK_EQ(b.made, 0);
    (void)api_expect(&k, 200, "DELETE", NS "/configmaps", "", NULL);
    burst(&k, &b, "d");
    CHECK_EQ(b.made, 7);
    api_kit_stop(&k);
}

static int fails_once(void *data, uint64_t number)
{
    bool *due = data, now = *due;
    (void)number;
    *due = false;
    return now ? -EIO : 0;
}

TEST(room_of_a_commit_that_fails_is_free_for_those_who_were_refused_for_it)
{
    bool due = false;
    struct store_memory_options store = {.latency_ms = 5, .fail = fails_once, .data = &due};
    struct api_kit k;
    struct burst b;
    api_kit_start_on(&k, &store);
    (void)quota(&k, "q", "\"hard\":{\"configmaps\":\"7\"}");
    check_status(&k, "q", "{\"hard\":{\"configmaps\":\"7\"},\"used\":{\"configmaps\":\"0\"}}");
    due = true;
    burst(&k, &b, "a");
    CHECK_EQ(b.failed, 7);
    CHECK_EQ(b.made, 7);
    CHECK_EQ(b.refused, BURST - 14);
    check_status(&k, "q", "{\"hard\":{\"configmaps\":\"7\"},\"used\":{\"configmaps\":\"7\"}}");
    (void)api_expect(&k, 200, "PATCH", QUOTAS "/q", MERGE,
                     "{\"spec\":{\"hard\":{\"configmaps\":\"9\"}}}");
    burst(&k, &b, "b");
    CHECK_EQ(b.made, 2);
    api_kit_stop(&k);
}

TEST(scopes_choose_the_pods_that_count)
{
    static const char critical[] =
        "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"priorityClassName\":"
        "\"system-node-critical\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}";
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)quota(&k, "best", "\"hard\":{\"pods\":\"1\"},\"scopes\":[\"BestEffort\"]");
    (void)quota(&k, "not-best",
                "\"hard\":{\"pods\":\"1\",\"cpu\":\"5\"},\"scopes\":[\"NotBestEffort\"]");
    (void)quota(&k, "class",
                "\"hard\":{\"pods\":\"0\"},\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":"
                "\"PriorityClass\",\"operator\":\"In\",\"values\":[\"system-node-critical\"]}]}");
    (void)pod(&k, 201, "a", "");
    struct api_reply r = pod(&k, 403, "b", "");
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"b\" is forbidden: exceeded quota: best, requested: pods=1, used: pods=1, "
               "limited: pods=1");
    r = pod(&k, 403, "b", "\"requests\":{\"memory\":\"1Mi\"}");
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"b\" is forbidden: failed quota: not-best: must specify cpu for: c");
    (void)pod(&k, 201, "b", "\"requests\":{\"cpu\":\"1\"}");
    r = api_expect(&k, 403, "POST", PODS, "", critical);
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"c\" is forbidden: exceeded quota: best, requested: pods=1, used: pods=1, "
               "limited: pods=1");
    (void)api_expect(&k, 200, "DELETE", QUOTAS "/best", "", NULL);
    r = api_expect(&k, 403, "POST", PODS, "", critical);
    CHECK_SPAN(api_str(&r, "message"),
               "pods \"c\" is forbidden: exceeded quota: class, requested: pods=1, used: pods=0, "
               "limited: pods=0");
    api_kit_stop(&k);
}

TEST(each_rule_of_a_quota_refuses_in_the_words_of_kubernetes)
{
    static const struct {
        const char *spec, *cause;
    } cases[] = {
        {"\"hard\":{\"whales\":\"1\"}",
         "[spec.hard[whales]: Invalid value: \"whales\": must be a standard resource type or fully "
         "qualified, spec.hard[whales]: Invalid value: \"whales\": must be a standard resource for "
         "quota]"},
        {"\"hard\":{\"storage\":\"1\"}",
         "spec.hard[storage]: Invalid value: \"storage\": must be a standard resource for quota"},
        {"\"hard\":{\"pods\":\"1500m\"}",
         "spec.hard[pods]: Invalid value: \"1500m\": must be an integer"},
        {"\"hard\":{\"cpu\":\"1\"},\"scopes\":[\"BestEffort\"]",
         "spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource"},
        {"\"hard\":{\"pods\":\"1\"},\"scopes\":[\"BestEffort\",\"NotBestEffort\"]",
         "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: conflicting scopes"},
        {"\"hard\":{\"pods\":\"1\"},\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":"
         "\"PriorityClass\",\"operator\":\"In\"}]}",
         "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value "
         "when `operator` is 'In' or 'NotIn' for scope selector"},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[512], want[512];
        (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"q\"},\"spec\":{%s}}",
                       cases[i].spec);
        (void)snprintf(want, sizeof want, "ResourceQuota \"q\" is invalid: %s", cases[i].cause);
        struct api_reply r = api_expect(&k, 422, "POST", QUOTAS, "", body);
        CHECK_SPAN(api_str(&r, "message"), want);
    }
    (void)quota(&k, "q", "\"hard\":{\"pods\":\"1\"}");
    struct api_reply r = api_expect(&k, 422, "PATCH", QUOTAS "/q", MERGE,
                                    "{\"spec\":{\"scopes\":[\"BestEffort\"]}}");
    CHECK_SPAN(
        api_str(&r, "message"),
        "ResourceQuota \"q\" is invalid: spec.scopes: Invalid value: [\"BestEffort\"]: field "
        "is immutable");
    api_kit_stop(&k);
}
