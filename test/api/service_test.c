/* test/api/service_test.c: what a Service takes, keeps and gives back: node ports, types, policies.
 */
#include "schema/kinds.h"
#include "test/kit/api_kit.h"

#define SVC "/api/v1/namespaces/default/services"
#define MERGE "Content-Type: application/merge-patch+json\r\n"

static struct api_reply post(struct api_kit *k, int status, const char *name, const char *spec)
{
    char body[1024];
    (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s}}", name, spec);
    return api_expect(k, status, "POST", SVC, "", body);
}

static struct api_reply patch(struct api_kit *k, int status, const char *path, const char *spec)
{
    char body[1024];
    (void)snprintf(body, sizeof body, "{\"spec\":{%s}}", spec);
    return api_expect(k, status, "PATCH", path, MERGE, body);
}

static int64_t node_port(const struct api_reply *r, const char *path)
{
    return json_int(api_at(r->json, path), 0);
}

TEST(what_a_service_keeps_without_effect_is_a_warning)
{
    static const struct {
        const char *spec;
        bool warns;
    } specs[] = {
        {"\"type\":\"LoadBalancer\",\"ports\":[{\"port\":80}]", true},
        {"\"ports\":[{\"port\":80,\"protocol\":\"SCTP\"}]", true},
        {"\"clusterIP\":\"None\",\"sessionAffinity\":\"ClientIP\"", true},
        {"\"clusterIP\":\"None\",\"externalIPs\":[\"192.0.2.1\"]", true},
        {"\"type\":\"NodePort\",\"ports\":[{\"port\":80}]", false},
        {"\"sessionAffinity\":\"ClientIP\",\"ports\":[{\"port\":80}]", false},
        {"\"externalIPs\":[\"192.0.2.1\"],\"ports\":[{\"port\":80}]", false},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "s%zu", i);
        struct api_reply r = post(&k, 201, name, specs[i].spec);
        CHECK_EQ(api_header(&r, "warning").n > 0, specs[i].warns);
    }
    api_kit_stop(&k);
}

TEST(node_ports_are_chosen_asked_for_refused_and_given_back)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r =
        post(&k, 201, "a", "\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":30080}]");
    CHECK_EQ(node_port(&r, "spec.ports.0.nodePort"), 30080);
    CHECK_SPAN(api_str(&r, "spec.externalTrafficPolicy"), "Cluster");
    r = post(&k, 422, "b", "\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":30080}]");
    CHECK_SPAN(api_str(&r, "message"),
               "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided "
               "port is already allocated");
    r = post(&k, 422, "b", "\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":8080}]");
    CHECK_SPAN(api_str(&r, "message"),
               "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 8080: provided "
               "port is not in the valid range. The range of valid ports is 30000-32767");
    r = post(&k, 201, "b", "\"type\":\"NodePort\",\"ports\":[{\"port\":80}]");
    int64_t chosen = node_port(&r, "spec.ports.0.nodePort");
    CHECK(chosen >= 30086 && chosen <= 32767);
    (void)api_expect(&k, 200, "DELETE", SVC "/a", "", NULL);
    r = post(&k, 201, "c", "\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":30080}]");
    /* A refused or tried write holds nothing. */
    r = post(&k, 422, "Bad_Name",
             "\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":30081}]");
    (void)api_expect(&k, 201, "POST", SVC "?dryRun=All", "",
                     "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"type\":\"NodePort\",\"ports\":[{"
                     "\"port\":80,\"nodePort\":30081}]}}");
    r = post(&k, 201, "d", "\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":30081}]");
    api_kit_stop(&k);
}

TEST(ports_of_one_number_share_a_node_port)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = post(&k, 201, "dns",
                              "\"type\":\"NodePort\",\"ports\":[{\"name\":\"u\",\"port\":53,"
                              "\"protocol\":\"UDP\"},{\"name\":\"t\",\"port\":53},{\"name\":\"m\","
                              "\"port\":9153}]");
    CHECK_EQ(node_port(&r, "spec.ports.0.nodePort"), node_port(&r, "spec.ports.1.nodePort"));
    CHECK(node_port(&r, "spec.ports.0.nodePort") != node_port(&r, "spec.ports.2.nodePort"));
    r = post(&k, 422, "twice",
             "\"type\":\"NodePort\",\"ports\":[{\"name\":\"a\",\"port\":1,\"nodePort\":30001},{"
             "\"name\":\"b\",\"port\":2,\"nodePort\":30001}]");
    CHECK_SPAN(api_str(&r, "details.causes.0.reason"), "FieldValueDuplicate");
    CHECK_SPAN(api_str(&r, "details.causes.0.field"), "spec.ports[1].nodePort");
    r = post(&k, 201, "once", "\"type\":\"NodePort\",\"ports\":[{\"port\":2,\"nodePort\":30001}]");
    api_kit_stop(&k);
}

TEST(node_ports_stay_over_updates_and_go_with_the_type)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = post(&k, 201, "v",
                              "\"type\":\"NodePort\",\"ports\":[{\"name\":\"a\",\"port\":80,"
                              "\"nodePort\":30500},{\"name\":\"b\",\"port\":81}]");
    int64_t b = node_port(&r, "spec.ports.1.nodePort");
    r = api_expect(&k, 200, "PUT", SVC "/v", "",
                   "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"type\":\"NodePort\",\"ports\":[{"
                   "\"name\":\"b\",\"port\":82},{\"name\":\"a\",\"port\":80}]}}");
    CHECK_EQ(node_port(&r, "spec.ports.0.nodePort"), b);
    CHECK_EQ(node_port(&r, "spec.ports.1.nodePort"), 30500);
    /* One port goes: its number is free for others. */
    r = patch(&k, 200, SVC "/v", "\"ports\":[{\"name\":\"b\",\"port\":82}]");
    CHECK_EQ(node_port(&r, "spec.ports.0.nodePort"), b);
    r = post(&k, 201, "w", "\"type\":\"NodePort\",\"ports\":[{\"port\":1,\"nodePort\":30500}]");
    /* A type without node ports refuses a new one, drops the old ones, and gives them back. */
    r = patch(&k, 422, SVC "/v",
              "\"type\":\"ClusterIP\",\"ports\":[{\"name\":\"b\",\"port\":82,\"nodePort\":30501}]");
    CHECK_SPAN(api_str(&r, "details.causes.0.message"),
               "Forbidden: may not be used when `type` is 'ClusterIP'");
    r = patch(&k, 200, SVC "/v", "\"type\":\"ClusterIP\"");
    CHECK(!api_at(r.json, "spec.ports.0.nodePort"));
    CHECK(!api_at(r.json, "spec.externalTrafficPolicy"));
    char spec[128];
    (void)snprintf(spec, sizeof spec,
                   "\"type\":\"NodePort\",\"ports\":[{\"port\":1,\"nodePort\":%lld}]",
                   (long long)b);
    r = post(&k, 201, "x", spec);
    r = patch(&k, 200, SVC "/v", "\"type\":\"NodePort\"");
    CHECK(node_port(&r, "spec.ports.0.nodePort") >= 30000);
    CHECK(node_port(&r, "spec.ports.0.nodePort") != b);
    api_kit_stop(&k);
}

TEST(types_change_as_far_as_they_may)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = post(&k, 201, "v", "\"ports\":[{\"port\":80}]");
    char was[32];
    (void)snprintf(was, sizeof was, "%.*s", SPAN_ARG(api_str(&r, "spec.clusterIP")));
    r = patch(&k, 422, SVC "/v", "\"clusterIP\":\"None\"");
    CHECK_SPAN(api_str(&r, "details.causes.0.field"), "spec.clusterIPs[0]");
    CHECK(span_ends(api_str(&r, "details.causes.0.message"), SPAN("may not change once set")));
    r = patch(&k, 422, SVC "/v", "\"type\":\"ExternalName\"");
    CHECK_SPAN(api_str(&r, "details.causes.0.field"), "spec.externalName");
    r = patch(&k, 200, SVC "/v", "\"type\":\"ExternalName\",\"externalName\":\"example.com\"");
    CHECK(!api_at(r.json, "spec.clusterIP") && !api_at(r.json, "spec.clusterIPs"));
    CHECK(!api_at(r.json, "spec.ipFamilies"));
    r = patch(&k, 422, SVC "/v", "\"clusterIP\":\"10.43.5.5\"");
    CHECK_SPAN(api_str(&r, "details.causes.0.field"), "spec.clusterIPs");
    /* Its address is free at once. */
    char spec[128];
    (void)snprintf(spec, sizeof spec, "\"clusterIP\":\"%s\",\"ports\":[{\"port\":80}]", was);
    r = post(&k, 201, "w", spec);
    r = patch(&k, 200, SVC "/v", "\"type\":\"NodePort\",\"externalName\":null");
    CHECK(span_starts(api_str(&r, "spec.clusterIP"), SPAN("10.43.")));
    CHECK(node_port(&r, "spec.ports.0.nodePort") >= 30000);
    r = post(&k, 201, "h", "\"clusterIP\":\"None\",\"ports\":[{\"port\":80}]");
    r = patch(&k, 422, SVC "/h", "\"type\":\"NodePort\"");
    CHECK_SPAN(api_str(&r, "message"),
               "Service \"h\" is invalid: spec.clusterIPs[0]: Invalid value: \"None\": may not be "
               "set to 'None' for NodePort services");
    r = patch(&k, 200, SVC "/h", "\"type\":\"ExternalName\",\"externalName\":\"a.example\"");
    api_kit_stop(&k);
}

TEST(what_only_some_services_may_say_is_refused_to_the_others)
{
    static const struct {
        const char *spec, *field;
    } bad[] = {
        {"\"externalTrafficPolicy\":\"Local\"", "spec.externalTrafficPolicy"},
        {"\"healthCheckNodePort\":30000", "spec.healthCheckNodePort"},
        {"\"allocateLoadBalancerNodePorts\":true", "spec.allocateLoadBalancerNodePorts"},
        {"\"loadBalancerClass\":\"x.example/y\"", "spec.loadBalancerClass"},
        {"\"externalIPs\":[\"127.0.0.1\"]", "spec.externalIPs[0]"},
        {"\"externalIPs\":[\"192.0.2.1\",\"no\"]", "spec.externalIPs[1]"},
        {"\"externalIPs\":[\"0.0.0.0\"]", "spec.externalIPs[0]"},
        {"\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":{\"clientIP\":{"
         "\"timeoutSeconds\":86401}}",
         "spec.sessionAffinityConfig.clientIP.timeoutSeconds"},
        {"\"ipFamilies\":[\"IPv6\"]", "spec.ipFamilies[0]"},
        {"\"ipFamilyPolicy\":\"RequireDualStack\"", "spec.ipFamilyPolicy"},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char spec[256];
        (void)snprintf(spec, sizeof spec, "%s,\"ports\":[{\"port\":80}]", bad[i].spec);
        struct api_reply r = post(&k, 422, "v", spec);
        CHECK_SPAN(api_str(&r, "details.causes.0.field"), bad[i].field);
    }
    struct api_reply r =
        post(&k, 201, "v", "\"sessionAffinity\":\"ClientIP\",\"ports\":[{\"port\":80}]");
    CHECK_EQ(node_port(&r, "spec.sessionAffinityConfig.clientIP.timeoutSeconds"), 10800);
    r = patch(&k, 200, SVC "/v", "\"sessionAffinity\":\"None\"");
    CHECK(!api_at(r.json, "spec.sessionAffinityConfig"));
    api_kit_stop(&k);
}

static void on_reply(void *data, const struct client_reply *reply)
{
    CHECK_EQ(reply->err.reason, ERR_NONE);
    *(bool *)data = true;
}

/* A machine without a network has no other address. */
TEST(the_loopback_is_an_endpoint_for_the_servers_own_parts_alone)
{
#define LOOPBACK                                                                                   \
    "{\"metadata\":{\"name\":\"e\"},\"subsets\":[{\"addresses\":[{\"ip\":\"127.0.0.1\"}],"         \
    "\"ports\":[{\"port\":1}]}]}"
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r =
        api_expect(&k, 422, "POST", "/api/v1/namespaces/default/endpoints", "", LOOPBACK);
    CHECK_SPAN(api_str(&r, "message"),
               "Endpoints \"e\" is invalid: subsets[0].addresses[0].ip: Invalid value: "
               "\"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)");
    struct client_request q = {CLIENT_REQUEST_INIT, .kind = SCHEMA_KIND(Endpoints),
                               .ns = SPAN("default"), .verb = CLIENT_CREATE,
                               .body = SPAN(LOOPBACK)};
    bool made = false;
    client_do(k.client, &q, on_reply, &made);
    api_run_until(&k, &made);
    api_kit_stop(&k);
}
