/* The server itself on virtual time: Events that end, writes that fail, a second start, logs and
 * exec of a pod. */
#include <errno.h>

#include "apiserver/apiserver.h"
#include "apiserver/ip_alloc.h"
#include "apiserver/op.h"
#include "base/limits.h"
#include "codec/json.h"
#include "schema/kinds.h"
#include "sim/env_sim.h"
#include "test/kit/kit.h"

struct world {
    struct env *env;
    struct store *store;
    struct watch_hub *hub;
    struct apiserver *server;
    struct client *client;
    bool disk_full, replied;
    struct err err;
    char message[256];
    int64_t rev;
};

static int fail(void *data, uint64_t commit)
{
    (void)commit;
    return ((struct world *)data)->disk_full ? -ENOSPC : 0;
}

static void start(struct world *w, struct store_memory_disk *disk)
{
    w->env = env_sim_new(7);
    struct store_memory_options o = {.latency_ms = 1, .fail = fail, .data = w};
    w->store = disk ? store_memory_open(w->env, disk, &o) : store_memory_new(w->env, &o);
    w->hub = watch_hub_new(w->env, w->store);
    struct apiserver_options so = {.service_cidr = SPAN("10.43.0.0/24"),
                                   .cluster_dns = SPAN("10.43.0.10"),
                                   .server_address = SPAN("10.42.0.1:6443"),
                                   .git_version = SPAN("v1.34.0"),
                                   .public_url = SPAN("https://127.0.0.1:6443")};
    w->server = apiserver_new(w->env, w->store, w->hub, &so);
    w->client = apiserver_local_client(w->server);
}

static void stop(struct world *w)
{
    client_free(w->client);
    apiserver_free(w->server);
    watch_hub_free(w->hub);
    store_free(w->store);
    env_sim_free(w->env);
}

static void on_reply(void *data, const struct client_reply *reply)
{
    struct world *w = data;
    w->replied = true;
    w->err.reason = reply->err.reason;
    w->rev = reply->rev;
    (void)snprintf(w->message, sizeof w->message, "%.*s", SPAN_ARG(reply->err.message));
}

static enum err_reason call(struct world *w, enum client_verb verb, const struct schema_kind *kind,
                            const char *name, const char *body)
{
    struct client_request q = {CLIENT_REQUEST_INIT,
                               .verb = verb,
                               .kind = kind,
                               .ns = kind->namespaced ? SPAN("default") : SPAN_NULL,
                               .name = span_cstr(name),
                               .body = span_cstr(body)};
    w->replied = false;
    client_do(w->client, &q, on_reply, w);
    CHECK(!w->replied);
    env_sim_run_for(w->env, 10);
    CHECK(w->replied);
    return w->err.reason;
}

TEST(the_server_is_ready_only_when_the_first_objects_are_durable)
{
    struct world w = {0};
    start(&w, NULL);
    CHECK(!apiserver_is_ready(w.server));
    env_sim_run_for(w.env, 10);
    CHECK(apiserver_is_ready(w.server));
    stop(&w);
}

TEST(a_full_disk_delays_readiness_until_there_is_room)
{
    struct world w = {.disk_full = true};
    start(&w, NULL);
    env_sim_run_for(w.env, 3500);
    CHECK(!apiserver_is_ready(w.server));
    w.disk_full = false;
    env_sim_run_for(w.env, 1500);
    CHECK(apiserver_is_ready(w.server));
    CHECK_EQ(call(&w, CLIENT_GET, SCHEMA_KIND(StorageClass), "local", NULL), ERR_NONE);
    stop(&w);
}

TEST(a_failed_write_is_an_error_and_leaves_nothing)
{
    struct world w = {0};
    start(&w, NULL);
    env_sim_run_for(w.env, 10);
    w.disk_full = true;
    CHECK_EQ(
        call(&w, CLIENT_CREATE, SCHEMA_KIND(ConfigMap), NULL, "{\"metadata\":{\"name\":\"m\"}}"),
        ERR_INTERNAL);
    CHECK(strstr(w.message, "No space left") != NULL);
    w.disk_full = false;
    CHECK_EQ(call(&w, CLIENT_GET, SCHEMA_KIND(ConfigMap), "m", NULL), ERR_NOT_FOUND);
    CHECK_EQ(
        call(&w, CLIENT_CREATE, SCHEMA_KIND(ConfigMap), NULL, "{\"metadata\":{\"name\":\"m\"}}"),
        ERR_NONE);
    stop(&w);
}

TEST(addresses_of_failed_services_are_free_again)
{
    struct world w = {0};
    start(&w, NULL);
    env_sim_run_for(w.env, 10);
    const char *body = "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"clusterIP\":\"10.43.0.99\","
                       "\"ports\":[{\"port\":1}]}}";
    w.disk_full = true;
    CHECK_EQ(call(&w, CLIENT_CREATE, SCHEMA_KIND(Service), NULL, body), ERR_INTERNAL);
    w.disk_full = false;
    CHECK_EQ(call(&w, CLIENT_CREATE, SCHEMA_KIND(Service), NULL, body), ERR_NONE);
    stop(&w);
}

/* One that was made when claims could not grow. */
TEST(a_class_that_does_not_say_whether_its_claims_may_grow_lets_them_from_the_next_start_on)
{
    static const char *const says[] = {"", ",\"allowVolumeExpansion\":false"};
    for (size_t i = 0; i < 2; i++) {
        struct store_memory_disk *disk = store_memory_disk_new();
        struct world w = {0};
        char body[256];
        (void)snprintf(body, sizeof body,
                       "{\"metadata\":{\"name\":\"local\",\"labels\":{\"mine\":\"yes\"}},"
                       "\"provisioner\":\"berth.dev/local\"%s}",
                       says[i]);
        start(&w, disk);
        env_sim_run_for(w.env, 10);
        CHECK_EQ(call(&w, CLIENT_DELETE, SCHEMA_KIND(StorageClass), "local", NULL), ERR_NONE);
        CHECK_EQ(call(&w, CLIENT_CREATE, SCHEMA_KIND(StorageClass), NULL, body), ERR_NONE);
        stop(&w);
        struct world again = {0};
        start(&again, disk);
        env_sim_run_for(again.env, 10);
        struct arena *a = arena_new();
        struct object *class =
            api_peek(again.server, a, "storageclasses.storage.k8s.io", SPAN_NULL, SPAN("local"));
        CHECK(class);
        CHECK_EQ(json_get_bool(object_root(class), "allowVolumeExpansion", false), i == 0);
        CHECK_SPAN(json_str(json_path(object_root(class), "metadata", "labels", "mine", NULL)),
                   "yes");
        arena_free(a);
        stop(&again);
        store_memory_disk_free(disk);
    }
}

TEST(a_restart_finds_its_objects_and_creates_nothing_again)
{
    struct store_memory_disk *disk = store_memory_disk_new();
    struct world w = {0};
    start(&w, disk);
    env_sim_run_for(w.env, 10);
    CHECK_EQ(
        call(&w, CLIENT_CREATE, SCHEMA_KIND(Service), NULL,
             "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"clusterIP\":\"10.43.0.99\",\"ports\":[{"
             "\"port\":1}]}}"),
        ERR_NONE);
    CHECK_EQ(call(&w, CLIENT_DELETE, SCHEMA_KIND(StorageClass), "local", NULL), ERR_NONE);
    int64_t rev = watch_hub_rev(w.hub);
    stop(&w);
    struct world again = {0};
    start(&again, disk);
    env_sim_run_for(again.env, 10);
    CHECK(apiserver_is_ready(again.server));
    CHECK_EQ(watch_hub_rev(again.hub), rev);
    CHECK_EQ(call(&again, CLIENT_GET, SCHEMA_KIND(StorageClass), "local", NULL), ERR_NOT_FOUND);
    CHECK_EQ(
        call(&again, CLIENT_CREATE, SCHEMA_KIND(Service), NULL,
             "{\"metadata\":{\"name\":\"u\"},\"spec\":{\"clusterIP\":\"10.43.0.99\",\"ports\":[{"
             "\"port\":1}]}}"),
        ERR_INVALID);
    stop(&again);
    store_memory_disk_free(disk);
}

/* What a client may say of it. */
static struct span said(struct world *w, struct arena *a, const struct schema_kind *kind)
{
    struct object *o = api_peek(w->server, a, kind->resource, SPAN("default"), SPAN("kubernetes"));
    CHECK(o);
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = json_mut_copy(doc, object_root(o));
    static const char *const made[] = {"uid", "resourceVersion", "creationTimestamp", "generation",
                                       "managedFields"};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        json_remove(yyjson_mut_obj_get(root, "metadata"), made[i]);
    }
    return json_write_mut(a, root);
}

/* Where it stands as it should nothing is written; whatever somebody has changed is mended. */
TEST(the_endpoints_of_the_server_are_mended_at_a_start_and_else_left_alone)
{
    static const char *const changes[] = {
        NULL,
        "{\"metadata\":{\"labels\":{\"mine\":\"yes\"}}}",
        "{\"metadata\":{\"labels\":null}}",
        "{\"metadata\":{\"annotations\":{\"mine\":\"yes\"}}}",
        "{\"metadata\":{\"finalizers\":[\"a.b/c\"]}}",
        "{\"subsets\":null,\"ports\":null}",
        "{\"subsets\":[{\"addresses\":[{\"ip\":\"10.42.0.2\"}],\"ports\":[{\"name\":\"https\","
        "\"port\":6443}]}],\"endpoints\":[{\"addresses\":[\"10.42.0.2\"]}]}"};
    const struct schema_kind *const kinds[] = {SCHEMA_KIND(Endpoints), SCHEMA_KIND(EndpointSlice)};
    for (size_t i = 0; i < 2 * (sizeof changes / sizeof *changes); i++) {
        const struct schema_kind *kind = kinds[i % 2];
        struct arena *a = arena_new();
        struct store_memory_disk *disk = store_memory_disk_new();
        struct world w = {0}, again = {0};
        start(&w, disk);
        env_sim_run_for(w.env, 10);
        struct span before = said(&w, a, kind);
        int64_t rev = watch_hub_rev(w.hub);
        if (changes[i / 2]) {
            CHECK_EQ(call(&w, CLIENT_PATCH_MERGE, kind, "kubernetes", changes[i / 2]), ERR_NONE);
            CHECK(!span_eq(said(&w, a, kind), before));
            rev++;
        }
        CHECK_EQ(watch_hub_rev(w.hub), rev);
        stop(&w);
        start(&again, disk);
        env_sim_run_for(again.env, 10);
        CHECK(apiserver_is_ready(again.server));
        CHECK_SPAN(said(&again, a, kind), before.p);
        CHECK_EQ(watch_hub_rev(again.hub), changes[i / 2] ? rev + 1 : rev);
        stop(&again);
        store_memory_disk_free(disk);
        arena_free(a);
    }
}

static enum err_reason make_event(struct world *w, const char *name)
{
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"name\":\"%s\"},\"involvedObject\":{\"namespace\":\"default\"},"
                   "\"count\":1}",
                   name);
    return call(w, CLIENT_CREATE, SCHEMA_KIND(Event), NULL, body);
}

TEST(events_end_an_hour_after_their_last_write)
{
    struct world w = {0};
    start(&w, NULL);
    env_sim_run_for(w.env, 10);
    CHECK_EQ(make_event(&w, "a"), ERR_NONE);
    CHECK_EQ(make_event(&w, "b"), ERR_NONE);
    env_sim_run_for(w.env, (LIMIT_EVENT_TTL_S - 60) * 1000);
    CHECK_EQ(call(&w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Event), "b", "{\"count\":2}"), ERR_NONE);
    env_sim_run_for(w.env, 61 * 1000);
    CHECK_EQ(call(&w, CLIENT_GET, SCHEMA_KIND(Event), "a", NULL), ERR_NOT_FOUND);
    CHECK_EQ(call(&w, CLIENT_GET, SCHEMA_KIND(Event), "b", NULL), ERR_NONE);
    env_sim_run_for(w.env, (LIMIT_EVENT_TTL_S)*1000);
    CHECK_EQ(call(&w, CLIENT_GET, SCHEMA_KIND(Event), "b", NULL), ERR_NOT_FOUND);
    stop(&w);
}

TEST(freeing_the_server_with_writes_under_way_is_safe)
{
    struct world w = {0};
    start(&w, NULL);
    env_sim_run_for(w.env, 10);
    struct client_request q = {CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE,
                               .kind = SCHEMA_KIND(ConfigMap), .ns = SPAN("default"),
                               .body = SPAN("{\"metadata\":{\"name\":\"m\"}}")};
    client_do(w.client, &q, on_reply, &w);
    env_sim_run_for(w.env, 0);
    CHECK(!w.replied);
    client_do(w.client, &q, on_reply, &w); /* not begun */
    stop(&w);
    CHECK(!w.replied);
}

TEST(addresses_are_handed_out_once_and_in_turn)
{
    struct ip_alloc ips;
    uint32_t ip = 0, other = 0;
    CHECK(!ip_alloc_init(&ips, SPAN("10.0.0.0")));
    CHECK(!ip_alloc_init(&ips, SPAN("10.0.0.0/31")));
    CHECK(ip_alloc_init(&ips, SPAN("10.0.0.3/28")));
    CHECK(ip_parse(SPAN("10.0.0.0"), &ip) && !ip_alloc_claim(&ips, ip));
    CHECK(ip_parse(SPAN("10.0.0.15"), &ip) && !ip_alloc_claim(&ips, ip));
    CHECK(!ip_parse(SPAN("10.0.0"), &other) && !ip_parse(SPAN("10.0.0.256"), &other) &&
          !ip_parse(SPAN("10.0.0.01"), &other) && !ip_parse(SPAN("10.0.0.1.1"), &other));
    for (int i = 0; i < 14; i++) {
        other = ip_alloc_next(&ips);
        CHECK(other != 0 && ip_alloc_contains(&ips, other));
    }
    CHECK_EQ(ip_alloc_next(&ips), 0);
    ip_alloc_release(&ips, other);
    CHECK_EQ(ip_alloc_next(&ips), other);
    ip_alloc_done(&ips);
}
