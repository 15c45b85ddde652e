/* test/sim/platform_test.c: the real API server on a memory store, all controllers through its
 * local client, and a node agent without containers, on virtual time. What only this proves: that
 * the server takes what the controllers write. */
#include <stdlib.h>

#include "apiserver/apiserver.h"
#include "client/client_body.h"
#include "client/informer_set.h"
#include "codec/time.h"
#include "controller/controllers.h"
#include "schema/schema.h"
#include "sim/env_sim.h"
#include "sim/fake_node.h"
#include "store/store.h"
#include "test/kit/api_kit.h"
#include "test/kit/kit.h"
#include "watch/watch.h"

enum { START_MS = 10, STOP_MS = 10, COMMIT_MS = 1 };

struct platform {
    struct env *env;
    struct store *store;
    struct watch_hub *hub;
    struct apiserver *server;
    struct client *client;
    struct controllers *controllers;
    struct fake_node *node;
    struct arena *arena;
    char log[4096];
    enum err_reason last_error;
    char last_message[512];
};

/* ---- requests ---- */

static void on_reply(void *data, const struct client_reply *reply)
{
    struct platform *p = data;
    p->last_error = reply->err.reason;
    snprintf(p->last_message, sizeof p->last_message, "%.*s", SPAN_ARG(reply->err.message));
}

static void send(struct platform *p, const struct client_request *rq)
{
    p->last_error = ERR_NONE;
    client_do(p->client, rq, on_reply, p);
    env_sim_run_for(p->env, 3 * COMMIT_MS);
    if (p->last_error != ERR_NONE) {
        kit_note("%s", p->last_message);
    }
    CHECK_EQ(p->last_error, ERR_NONE);
}

static struct client_request rq_of(enum client_verb verb, const char *group, const char *kind,
                                   const char *name)
{
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = verb, .name = span_cstr(name)};
    rq.kind = schema_kind_find(group, kind);
    CHECK(rq.kind);
    rq.ns = rq.kind->namespaced ? SPAN("default") : SPAN_NULL;
    return rq;
}

static void create(struct platform *p, const char *group, const char *kind, const char *json)
{
    struct client_request rq = rq_of(CLIENT_CREATE, group, kind, "");
    rq.body = span_cstr(json);
    send(p, &rq);
}

static void patch(struct platform *p, const char *group, const char *kind, const char *name,
                  const char *sub, const char *json)
{
    struct client_request rq = rq_of(CLIENT_PATCH_MERGE, group, kind, name);
    rq.subresource = span_cstr(sub);
    rq.body = span_cstr(json);
    send(p, &rq);
}

static void delete (struct platform *p, const char *group, const char *kind, const char *name,
                    enum client_propagation propagation)
{
    struct client_request rq = rq_of(CLIENT_DELETE, group, kind, name);
    rq.propagation = propagation;
    send(p, &rq);
}

static struct informer *view(struct platform *p, const char *group, const char *kind)
{
    return informer_set_find(controllers_informers(p->controllers), group, kind);
}

static struct object *get(struct platform *p, const char *group, const char *kind, const char *name)
{
    const struct schema_kind *k = schema_kind_find(group, kind);
    return informer_get(view(p, group, kind), k->namespaced ? SPAN("default") : SPAN_NULL,
                        span_cstr(name));
}

static size_t count(struct platform *p, const char *group, const char *kind)
{
    return informer_count(view(p, group, kind));
}

/* ---- the world ---- */

static void note(struct platform *p, char sign, struct object *pod)
{
    size_t n = strlen(p->log);
    snprintf(p->log + n, sizeof p->log - n, "%c%.*s ", sign, SPAN_ARG(object_name(pod)));
}

static void on_pod(void *data, struct object *old, struct object *now)
{
    struct platform *p = data;
    if (!old) {
        note(p, '+', now);
    } else if (!now) {
        note(p, '-', old);
    } else if (client_condition_true(now, "Ready") && !client_condition_true(old, "Ready")) {
        note(p, '!', now);
    }
}

static void check_log(struct platform *p, const char *want)
{
    CHECK_SPAN(span_cstr(p->log), want);
    p->log[0] = '\0';
}

static void platform_start(struct platform *p, uint64_t seed)
{
    *p = (struct platform){.env = env_sim_new(seed), .arena = arena_new()};
    struct store_memory_options so = {.latency_ms = COMMIT_MS};
    p->store = store_memory_new(p->env, &so);
    p->hub = watch_hub_new(p->env, p->store);
    p->server = apiserver_new(p->env, p->store, p->hub, &api_kit_options);
    p->client = apiserver_local_client(p->server);
    env_sim_run_for(p->env, 100);
    CHECK(apiserver_is_ready(p->server));
    struct controllers_options co = {.node_name = SPAN("node-1"),
                                     .volume_dir = SPAN("/data/volumes"),
                                     .root_ca = SPAN("the authority")};
    p->controllers = controllers_new(p->env, p->client, &co);
    static const struct informer_handler handler = {on_pod};
    informer_add_handler(view(p, "", "Pod"), &handler, p);
    p->node = fake_node_new(p->client,
                            &(struct fake_node_options){.start_ms = START_MS, .stop_ms = STOP_MS});
    create(p, "", "Node",
           "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"node-1\",\"labels\":{"
           "\"kubernetes.io/hostname\":\"node-1\"}}}");
    patch(p, "", "Node", "node-1", "status",
          "{\"status\":{\"allocatable\":{\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"110\"},"
          "\"conditions\":[{\"type\":"
          "\"Ready\",\"status\":\"True\",\"reason\":\"KubeletReady\",\"message\":\"ok\","
          "\"lastTransitionTime\":"
          "\"2026-01-01T00:00:00Z\"}]}}");
    env_sim_run_for(p->env, 100);
    CHECK(controllers_running(p->controllers));
}

static void platform_stop(struct platform *p)
{
    fake_node_free(p->node);
    controllers_free(p->controllers);
    client_free(p->client);
    env_sim_run_for(p->env, 100);
    apiserver_free(p->server);
    watch_hub_free(p->hub);
    store_free(p->store);
    env_sim_free(p->env);
    arena_free(p->arena);
}

#define SET(claims)                                                                                \
    "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"redis\"},"      \
    "\"spec\":{\"replicas\":3,\"serviceName\":\"redis\",\"selector\":{\"matchLabels\":{\"app\":"   \
    "\"redis\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"redis\"}},\"spec\":{"           \
    "\"containers\":[{\"name\":\"redis\",\"image\":\"redis:7\",\"ports\":[{\"containerPort\":"     \
    "6379}]}]}}" claims "}}"
#define CLAIMS                                                                                     \
    ",\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"data\"},\"spec\":{\"accessModes\":["     \
    "\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}]"
#define SERVICE                                                                                    \
    "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"redis\"},\"spec\":{"     \
    "\"clusterIP\":\"None\",\"selector\":{\"app\":\"redis\"},\"ports\":[{\"port\":6379}]}}"

static int64_t ready_after_ms(struct platform *p, int replicas)
{
    int64_t from = env_mono_ns(p->env);
    char last[32];
    snprintf(last, sizeof last, "redis-%d", replicas - 1);
    for (int ms = 0; ms < 10000; ms++) {
        struct object *pod = get(p, "", "Pod", last);
        if (pod && client_condition_true(pod, "Ready")) {
            return (env_mono_ns(p->env) - from) / 1000000;
        }
        env_sim_run_for(p->env, 1);
    }
    CHECK(false);
    return 0;
}

static const char up3[] = "+redis-0 !redis-0 +redis-1 !redis-1 +redis-2 !redis-2 ";

/* ---- the tests ---- */

TEST(platform_redis_comes_up_in_order_on_the_real_server)
{
    struct platform p;
    platform_start(&p, 1);
    create(&p, "", "Service", SERVICE);
    create(&p, "apps", "StatefulSet", SET(CLAIMS));
    int64_t took = ready_after_ms(&p, 3);
    kit_note("3 replicas with claims: %lld ms, %d ms of them the node's", (long long)took,
             3 * START_MS);
    env_sim_run_for(p.env, 200);
    check_log(&p, up3);
    yyjson_val *st = json_get(object_root(get(&p, "apps", "StatefulSet", "redis")), "status");
    CHECK_EQ(json_get_int(st, "readyReplicas", -1), 3);
    CHECK_EQ(json_get_int(st, "currentReplicas", -1), 3);
    CHECK(span_eq(json_get_str(st, "currentRevision"), json_get_str(st, "updateRevision")));
    CHECK_EQ(count(&p, "", "PersistentVolume"), 3);
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "data-redis-%d", i);
        yyjson_val *claim = object_root(get(&p, "", "PersistentVolumeClaim", name));
        CHECK_SPAN(json_str(json_path(claim, "status", "phase", NULL)), "Bound");
        CHECK_SPAN(json_str(json_path(claim, "status", "capacity", "storage", NULL)), "1Gi");
    }
    yyjson_val *endpoints = object_root(get(&p, "", "Endpoints", "redis"));
    yyjson_val *subset = yyjson_arr_get(json_get(endpoints, "subsets"), 0);
    CHECK_EQ(json_len(json_get(subset, "addresses")), 3);
    platform_stop(&p);
}

TEST(platform_settles_and_then_writes_nothing)
{
    struct platform p;
    platform_start(&p, 2);
    create(&p, "", "Service", SERVICE);
    create(&p, "apps", "StatefulSet", SET(CLAIMS));
    env_sim_run_for(p.env, 5000);
    int64_t rev = store_latest_rev(p.store);
    kit_note("%lld revisions for the set, claims, slices and events", (long long)rev);
    env_sim_run_for(p.env, 30000);
    CHECK_EQ(store_latest_rev(p.store), rev);
    platform_stop(&p);
}

TEST(platform_scales_rolls_and_keeps_claims)
{
    struct platform p;
    platform_start(&p, 3);
    create(&p, "apps", "StatefulSet", SET(CLAIMS));
    env_sim_run_for(p.env, 1000);
    check_log(&p, up3);
    patch(&p, "apps", "StatefulSet", "redis", "", "{\"spec\":{\"replicas\":5}}");
    env_sim_run_for(p.env, 1000);
    check_log(&p, "+redis-3 !redis-3 +redis-4 !redis-4 ");
    patch(&p, "apps", "StatefulSet", "redis", "", "{\"spec\":{\"replicas\":2}}");
    env_sim_run_for(p.env, 1000);
    check_log(&p, "-redis-4 -redis-3 -redis-2 ");
    CHECK_EQ(count(&p, "", "PersistentVolumeClaim"), 5);
    patch(&p, "apps", "StatefulSet", "redis", "",
          "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"redis\",\"image\":"
          "\"redis:8\"}]}}}}");
    env_sim_run_for(p.env, 1000);
    check_log(&p, "-redis-1 +redis-1 !redis-1 -redis-0 +redis-0 !redis-0 ");
    CHECK_EQ(count(&p, "apps", "ControllerRevision"), 2);
    yyjson_val *st = json_get(object_root(get(&p, "apps", "StatefulSet", "redis")), "status");
    CHECK(span_eq(json_get_str(st, "currentRevision"), json_get_str(st, "updateRevision")));
    CHECK_EQ(json_get_int(st, "observedGeneration", -1), 4);
    platform_stop(&p);
}

TEST(platform_cascade_modes)
{
    static const enum client_propagation modes[] = {
        CLIENT_PROPAGATION_BACKGROUND, CLIENT_PROPAGATION_FOREGROUND, CLIENT_PROPAGATION_ORPHAN};
    for (int i = 0; i < 3; i++) {
        struct platform p;
        platform_start(&p, (uint64_t)(4 + i));
        create(&p, "apps", "StatefulSet", SET(CLAIMS));
        env_sim_run_for(p.env, 1000);
        check_log(&p, up3);
        delete (&p, "apps", "StatefulSet", "redis", modes[i]);
        env_sim_run_for(p.env, 1000);
        bool orphan = modes[i] == CLIENT_PROPAGATION_ORPHAN;
        CHECK_EQ(count(&p, "apps", "StatefulSet"), 0);
        CHECK_EQ(count(&p, "", "Pod"), orphan ? 3 : 0);
        CHECK_EQ(count(&p, "apps", "ControllerRevision"), orphan ? 1 : 0);
        CHECK_EQ(count(&p, "", "PersistentVolumeClaim"), 3);
        p.log[0] = '\0';
        create(&p, "apps", "StatefulSet", SET(CLAIMS)); /* adopts what is there */
        env_sim_run_for(p.env, 1000);
        check_log(&p, orphan ? "" : up3);
        CHECK_EQ(count(&p, "", "PersistentVolumeClaim"), 3);
        struct object *pod = get(&p, "", "Pod", "redis-0");
        CHECK(span_eq(client_controller_uid(pod),
                      object_uid(get(&p, "apps", "StatefulSet", "redis"))));
        platform_stop(&p);
    }
}

TEST(platform_deleted_claims_wait_for_their_pods_and_take_their_volumes_along)
{
    struct platform p;
    platform_start(&p, 8);
    create(&p, "apps", "StatefulSet", SET(CLAIMS));
    env_sim_run_for(p.env, 1000);
    delete (&p, "", "PersistentVolumeClaim", "data-redis-1", CLIENT_PROPAGATION_BACKGROUND);
    env_sim_run_for(p.env, 500);
    CHECK(object_is_deleting(get(&p, "", "PersistentVolumeClaim", "data-redis-1")));
    p.log[0] = '\0';
    char old[80];
    snprintf(old, sizeof old, "%.*s",
             SPAN_ARG(object_uid(get(&p, "", "PersistentVolumeClaim", "data-redis-1"))));
    delete (&p, "", "Pod", "redis-1", CLIENT_PROPAGATION_BACKGROUND);
    env_sim_run_for(p.env, 1000);
    check_log(&p, "-redis-1 +redis-1 !redis-1 "); /* on a fresh claim */
    CHECK(!span_eq_cstr(object_uid(get(&p, "", "PersistentVolumeClaim", "data-redis-1")), old));
    CHECK_EQ(count(&p, "", "PersistentVolume"), 3);
    platform_stop(&p);
}

TEST(platform_retention_policy_deletes_claims_when_asked)
{
    struct platform p;
    platform_start(&p, 9);
    create(&p, "apps", "StatefulSet",
           SET(CLAIMS ",\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":"
                      "\"Delete\",\"whenScaled\":\"Delete\"}"));
    env_sim_run_for(p.env, 1000);
    check_log(&p, up3);
    patch(&p, "apps", "StatefulSet", "redis", "", "{\"spec\":{\"replicas\":1}}");
    env_sim_run_for(p.env, 1000);
    check_log(&p, "-redis-2 -redis-1 ");
    CHECK_EQ(count(&p, "", "PersistentVolumeClaim"), 1);
    CHECK_EQ(count(&p, "", "PersistentVolume"), 1);
    delete (&p, "apps", "StatefulSet", "redis", CLIENT_PROPAGATION_BACKGROUND);
    env_sim_run_for(p.env, 1000);
    CHECK_EQ(count(&p, "", "PersistentVolumeClaim"), 0);
    CHECK_EQ(count(&p, "", "PersistentVolume"), 0);
    platform_stop(&p);
}

TEST(platform_ten_ordered_replicas_cost_little_beside_their_start)
{
    struct platform p;
    platform_start(&p, 10);
    create(&p, "apps", "StatefulSet", SET(""));
    patch(&p, "apps", "StatefulSet", "redis", "", "{\"spec\":{\"replicas\":10}}");
    int64_t took = ready_after_ms(&p, 10);
    kit_note("10 replicas: %lld ms, %d ms of them the node's, at %d ms a commit", (long long)took,
             10 * START_MS, COMMIT_MS);
    CHECK(took < 10 * (START_MS + 10 * COMMIT_MS));
    platform_stop(&p);
}

TEST(platform_what_a_resize_gives_back_is_there_for_others)
{
    static const char pod[] =
        "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"containers\":[{\"name\":"
        "\"c\",\"image\":\"i\",\"resources\":{\"requests\":{\"cpu\":\"%s\"}}}]}}";
    struct platform p;
    char text[256];
    platform_start(&p, 10);
    (void)snprintf(text, sizeof text, pod, "big", "3");
    create(&p, "", "Pod", text);
    env_sim_run_for(p.env, 500);
    (void)snprintf(text, sizeof text, pod, "late", "2");
    create(&p, "", "Pod", text);
    env_sim_run_for(p.env, 500);
    struct object *late = get(&p, "", "Pod", "late");
    CHECK(json_str(json_path(object_root(late), "spec", "nodeName", NULL)).n == 0);
    patch(&p, "", "Pod", "big", "resize",
          "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{\"requests\":{"
          "\"cpu\":\"1\"}}}]}}");
    env_sim_run_for(p.env, 500);
    late = get(&p, "", "Pod", "late");
    CHECK_SPAN(json_str(json_path(object_root(late), "spec", "nodeName", NULL)), "node-1");
    platform_stop(&p);
}

TEST(platform_every_namespace_has_its_account_and_authority_for_good)
{
    struct platform p;
    platform_start(&p, 9);
    create(&p, "", "Namespace", "{\"metadata\":{\"name\":\"n\"}}");
    env_sim_run_for(p.env, 1000);
    struct informer *accounts = view(&p, "", "ServiceAccount"), *maps = view(&p, "", "ConfigMap");
    for (int i = 0; i < 2; i++) {
        struct object *map = informer_get(maps, SPAN("n"), SPAN("kube-root-ca.crt"));
        CHECK(informer_get(accounts, SPAN("n"), SPAN("default")) != NULL);
        CHECK(map != NULL);
        CHECK_SPAN(json_str(json_path(object_root(map), "data", "ca.crt", NULL)), "the authority");
        if (i == 0) {
            for (int k = 0; k < 2; k++) {
                send(&p,
                     &(struct client_request){
                         CLIENT_REQUEST_INIT, .verb = CLIENT_DELETE,
                         .kind = schema_kind_find("", k ? "ConfigMap" : "ServiceAccount"),
                         .ns = SPAN("n"), .name = k ? SPAN("kube-root-ca.crt") : SPAN("default")});
            }
            env_sim_run_for(p.env, 1000);
        }
    }
    int64_t rev = store_latest_rev(p.store);
    delete (&p, "", "Namespace", "n", CLIENT_PROPAGATION_BACKGROUND);
    env_sim_run_for(p.env, 2000);
    CHECK(informer_get(view(&p, "", "Namespace"), SPAN_NULL, SPAN("n")) == NULL);
    CHECK(informer_get(accounts, SPAN("n"), SPAN("default")) == NULL);
    CHECK(store_latest_rev(p.store) > rev);
    platform_stop(&p);
}

TEST(platform_namespace_goes_with_everything_in_it)
{
    struct platform p;
    platform_start(&p, 11);
    create(&p, "", "Namespace",
           "{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"shop\"}}");
    struct client_request rq = rq_of(CLIENT_CREATE, "apps", "StatefulSet", "");
    rq.ns = SPAN("shop");
    rq.body = SPAN(SET(CLAIMS));
    send(&p, &rq);
    env_sim_run_for(p.env, 1000);
    check_log(&p, up3);
    delete (&p, "", "Namespace", "shop", CLIENT_PROPAGATION_BACKGROUND);
    env_sim_run_for(p.env, 2000);
    CHECK(!get(&p, "", "Namespace", "shop"));
    CHECK_EQ(count(&p, "", "Pod"), 0);
    CHECK_EQ(count(&p, "", "PersistentVolumeClaim"), 0);
    CHECK_EQ(count(&p, "", "PersistentVolume"), 0);
    platform_stop(&p);
}

/* ---- restarts ---- */

static void restart_controllers(struct platform *p)
{
    controllers_free(p->controllers);
    struct controllers_options co = {.node_name = SPAN("node-1"),
                                     .volume_dir = SPAN("/data/volumes")};
    p->controllers = controllers_new(p->env, p->client, &co);
}

struct pod_list {
    bool ready[8], present[8];
};

static bool see_pod(void *data, struct object *pod)
{
    struct pod_list *l = data;
    struct span name = object_name(pod);
    int at = name.p[name.n - 1] - '0';
    CHECK(at >= 0 && at < 8 && !l->present[at]);
    l->present[at] = true;
    l->ready[at] = client_condition_true(pod, "Ready");
    return true;
}

TEST_T(platform_controllers_killed_at_any_moment_pick_up_and_keep_the_order, 60)
{
    for (int round = 0; round < 20; round++) {
        struct platform p;
        platform_start(&p, 100 + (uint64_t)round);
        create(&p, "apps", "StatefulSet", SET(CLAIMS));
        for (int kill = 0; kill < 8; kill++) {
            env_sim_run_for(p.env, (int64_t)(kit_random() % 12));
            restart_controllers(&p);
        }
        for (int ms = 0; ms < 300; ms++) {
            struct pod_list l = {{false}, {false}};
            informer_each(view(&p, "", "Pod"), see_pod, &l);
            for (int i = 1; i < 8; i++) {
                CHECK(!l.present[i] || (l.present[i - 1] && l.ready[i - 1]));
            }
            env_sim_run_for(p.env, 1);
        }
        CHECK_EQ(count(&p, "", "Pod"), 3);
        CHECK_EQ(count(&p, "", "PersistentVolumeClaim"), 3);
        CHECK_EQ(count(&p, "", "PersistentVolume"), 3);
        CHECK_EQ(count(&p, "apps", "ControllerRevision"), 1);
        yyjson_val *st = json_get(object_root(get(&p, "apps", "StatefulSet", "redis")), "status");
        CHECK_EQ(json_get_int(st, "readyReplicas", -1), 3);
        platform_stop(&p);
    }
}
