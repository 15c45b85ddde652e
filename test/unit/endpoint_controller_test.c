/* test/unit/endpoint_controller_test.c: EndpointSlices and Endpoints against a small API server. */
#include "kit/controller_kit.h"
#include "kit/kit.h"

struct bed {
    struct controller_kit k;
};

static void bed_init(struct bed *b)
{
    controller_kit_begin(&b->k, NULL);
    controller_kit_run(&b->k, CONTROLLERS(&controller_endpoint));
}

static void bed_done(struct bed *b)
{
    controller_kit_end(&b->k);
}

static void pod(struct bed *b, const char *name, const char *subdomain, const char *ip, bool ready)
{
    char json[1024];
    snprintf(
        json, sizeof json,
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"labels\":{\"app\":"
        "\"redis\"}},\"spec\":{\"hostname\":\"%s\",\"subdomain\":\"%s\",\"nodeName\":\"n1\","
        "\"containers\":["
        "{\"name\":\"c\",\"ports\":[{\"name\":\"redis\",\"containerPort\":6379}]}]}}",
        name, name, subdomain);
    fake_client_create(b->k.api, json);
    snprintf(
        json, sizeof json,
        "{\"status\":{\"phase\":\"Running\",\"podIP\":\"%s\",\"conditions\":[{\"type\":\"Ready\","
        "\"status\":\"%s\"}]}}",
        ip, ready ? "True" : "False");
    fake_client_patch(b->k.api, "", "Pod", "default", name, "status", json);
    env_sim_run_for(b->k.env, 0);
}

static void service(struct bed *b, const char *name)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"labels\":"
             "{\"team\":"
             "\"x\"}},\"spec\":{\"clusterIP\":\"None\",\"selector\":{\"app\":\"redis\"},\"ports\":["
             "{\"port\":6379,"
             "\"targetPort\":\"redis\",\"protocol\":\"TCP\"}]}}",
             name);
    fake_client_create(b->k.api, json);
    env_sim_run_for(b->k.env, 0);
}

static void keep_first(void *data, struct object *o)
{
    struct object **at = data;
    *at = *at ? *at : o;
}

static yyjson_val *slice(struct bed *b)
{
    struct object *o = NULL;
    CHECK_EQ(fake_client_each(b->k.api, "discovery.k8s.io", "EndpointSlice", keep_first, &o), 1);
    return object_root(o);
}

TEST(endpoint_slice_names_only_the_pods_of_its_subdomain)
{
    struct bed b;
    bed_init(&b);
    service(&b, "redis");
    CHECK_EQ(json_len(json_get(slice(&b), "endpoints")), 0);
    pod(&b, "redis-0", "redis", "10.42.0.2", true);
    pod(&b, "redis-1", "other", "10.42.0.3", false);
    yyjson_val *s = slice(&b);
    yyjson_val *labels = json_path(s, "metadata", "labels", NULL);
    CHECK_SPAN(json_get_str(labels, "kubernetes.io/service-name"), "redis");
    CHECK_SPAN(json_get_str(labels, "endpointslice.kubernetes.io/managed-by"),
               "endpointslice-controller.k8s.io");
    CHECK_SPAN(json_get_str(labels, "team"), "x");
    CHECK(json_get(labels, "service.kubernetes.io/headless"));
    CHECK_SPAN(json_get_str(s, "addressType"), "IPv4");
    yyjson_val *e = json_get(s, "endpoints");
    CHECK_EQ(json_len(e), 2);
    yyjson_val *e0 = yyjson_arr_get(e, 0), *e1 = yyjson_arr_get(e, 1);
    CHECK_SPAN(json_get_str(e0, "hostname"), "redis-0");
    CHECK(json_get_bool(json_get(e0, "conditions"), "ready", false));
    CHECK_SPAN(json_str(json_path(e0, "targetRef", "name", NULL)), "redis-0");
    CHECK(!json_get(e1, "hostname"));
    CHECK(!json_get_bool(json_get(e1, "conditions"), "ready", true));
    CHECK_EQ(json_get_int(yyjson_arr_get(json_get(s, "ports"), 0), "port", 0), 6379);
    yyjson_val *core = object_root(fake_client_get(b.k.api, "", "Endpoints", "default", "redis"));
    yyjson_val *subset = yyjson_arr_get(json_get(core, "subsets"), 0);
    CHECK_EQ(json_len(json_get(subset, "addresses")), 1);
    CHECK_EQ(json_len(json_get(subset, "notReadyAddresses")), 1);
    bed_done(&b);
}

TEST(endpoint_changes_follow_the_pods_and_nothing_is_written_twice)
{
    struct bed b;
    bed_init(&b);
    service(&b, "redis");
    pod(&b, "redis-0", "redis", "10.42.0.2", true);
    uint64_t writes = fake_client_writes(b.k.api);
    fake_client_patch(b.k.api, "", "Pod", "default", "redis-0", "",
                      "{\"metadata\":{\"annotations\":{\"a\":\"b\"}}}");
    env_sim_run_for(b.k.env, 0);
    CHECK_EQ(fake_client_writes(b.k.api), writes + 1);
    fake_client_delete(b.k.api, "", "Pod", "default", "redis-0", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.k.env, 0);
    yyjson_val *e = yyjson_arr_get(json_get(slice(&b), "endpoints"), 0);
    CHECK(!json_get_bool(json_get(e, "conditions"), "ready", true));
    CHECK(json_get_bool(json_get(e, "conditions"), "serving", false));
    CHECK(json_get_bool(json_get(e, "conditions"), "terminating", false));
    fake_client_delete(b.k.api, "", "Pod", "default", "redis-0", 0, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.k.env, 0);
    CHECK_EQ(json_len(json_get(slice(&b), "endpoints")), 0);
    bed_done(&b);
}

TEST(endpoint_objects_go_with_their_service_and_come_back_when_removed)
{
    struct bed b;
    bed_init(&b);
    service(&b, "redis");
    pod(&b, "redis-0", "redis", "10.42.0.2", true);
    struct span name = json_str(json_path(slice(&b), "metadata", "name", NULL));
    char text[128];
    snprintf(text, sizeof text, "%.*s", SPAN_ARG(name));
    fake_client_delete(b.k.api, "discovery.k8s.io", "EndpointSlice", "default", text, -1,
                       CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.k.env, 0);
    CHECK_EQ(json_len(json_get(slice(&b), "endpoints")), 1);
    fake_client_delete(b.k.api, "", "Service", "default", "redis", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.k.env, 0);
    CHECK_EQ(fake_client_each(b.k.api, "discovery.k8s.io", "EndpointSlice", NULL, NULL), 0);
    CHECK_EQ(fake_client_each(b.k.api, "", "Endpoints", NULL, NULL), 0);
    bed_done(&b);
}

/* sim seed 11062341: the controllers died when they had asked for the Endpoints of a service, which
 * were made after its deletion and stayed for ever. */
TEST(endpoints_that_come_after_the_end_of_their_service_go_and_those_kept_by_hand_stay)
{
    static const char late[] = "{\"kind\":\"Endpoints\",\"apiVersion\":\"v1\",\"metadata\":{"
                               "\"name\":\"%s\"%s}}",
                      ours[] = ",\"annotations\":{\"endpoints.kubernetes.io/"
                               "last-change-trigger-time\":\"2026-01-01T00:00:06Z\"}";
    struct bed b;
    char json[256];
    bed_init(&b);
    (void)snprintf(json, sizeof json, late, "front", ours);
    fake_client_create(b.k.api, json);
    (void)snprintf(json, sizeof json, late, "hand", "");
    fake_client_create(b.k.api, json);
    env_sim_run_for(b.k.env, 0);
    CHECK(!fake_client_get(b.k.api, "", "Endpoints", "default", "front"));
    CHECK(fake_client_get(b.k.api, "", "Endpoints", "default", "hand"));
    bed_done(&b);
}

static size_t mirrors(struct bed *b, yyjson_val **ret)
{
    struct object *o = NULL;
    env_sim_run_for(b->k.env, 0);
    size_t n = fake_client_each(b->k.api, "discovery.k8s.io", "EndpointSlice", keep_first, &o);
    *ret = o ? object_root(o) : NULL;
    return n;
}

TEST(endpoints_kept_by_hand_are_mirrored_into_slices)
{
    struct bed b;
    bed_init(&b);
    fake_client_create(b.k.api,
                       "{\"kind\":\"Endpoints\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
                       "\"db\",\"labels\":{\"team\":\"x\"}},\"subsets\":[{\"addresses\":[{\"ip\":"
                       "\"192.0.2.5\",\"hostname\":\"a\"}],\"notReadyAddresses\":[{\"ip\":"
                       "\"192.0.2.6\"},{\"ip\":\"fd00::1\"}],\"ports\":[{\"port\":5432}]}]}");
    yyjson_val *s;
    CHECK_EQ(mirrors(&b, &s), 0); /* no service of that name */
    fake_client_create(b.k.api,
                       "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
                       "\"db\"},\"spec\":{\"ports\":[{\"port\":5432}]}}");
    CHECK_EQ(mirrors(&b, &s), 1);
    const yyjson_val *labels = json_path(s, "metadata", "labels", NULL);
    CHECK_SPAN(json_get_str(labels, "endpointslice.kubernetes.io/managed-by"),
               "endpointslicemirroring-controller.k8s.io");
    CHECK_SPAN(json_get_str(labels, "kubernetes.io/service-name"), "db");
    CHECK_SPAN(json_get_str(labels, "team"), "x");
    yyjson_val *e = json_get(s, "endpoints");
    CHECK_EQ(json_len(e), 2);
    CHECK_SPAN(json_get_str(yyjson_arr_get(e, 0), "hostname"), "a");
    CHECK(json_get_bool(json_get(yyjson_arr_get(e, 0), "conditions"), "ready", false));
    CHECK(!json_get_bool(json_get(yyjson_arr_get(e, 1), "conditions"), "ready", true));
    CHECK_EQ(json_get_int(yyjson_arr_get(json_get(s, "ports"), 0), "port", 0), 5432);
    fake_client_patch(
        b.k.api, "", "Endpoints", "default", "db", "",
        "{\"subsets\":[{\"addresses\":[{\"ip\":\"192.0.2.7\"}],\"ports\":[{\"port\":1}]"
        "},{\"addresses\":[{\"ip\":\"192.0.2.8\"}],\"ports\":[{\"port\":2}]}]}");
    CHECK_EQ(mirrors(&b, &s), 2);
    /* Somebody says that he writes the slices himself. */
    fake_client_patch(b.k.api, "", "Endpoints", "default", "db", "",
                      "{\"metadata\":{\"labels\":{\"endpointslice.kubernetes.io/skip-mirror\":"
                      "\"true\"}}}");
    CHECK_EQ(mirrors(&b, &s), 0);
    fake_client_patch(
        b.k.api, "", "Endpoints", "default", "db", "",
        "{\"metadata\":{\"labels\":{\"endpointslice.kubernetes.io/skip-mirror\":null}}}");
    CHECK_EQ(mirrors(&b, &s), 2);
    fake_client_delete(b.k.api, "", "Endpoints", "default", "db", -1, CLIENT_PROPAGATION_DEFAULT);
    CHECK_EQ(mirrors(&b, &s), 0);
    bed_done(&b);
}
