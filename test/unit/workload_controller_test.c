/* test/unit/workload_controller_test.c: Deployments, ReplicaSets and DaemonSets
 * against a small API server in memory. */
#include <stdlib.h>

#include "controller/deployment_priv.h"
#include "kit/controller_kit.h"
#include "kit/kit.h"
#include "schema/kinds.h"

#define TEMPLATE(image)                                                                            \
    "\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":{"                         \
    "\"containers\":[{"                                                                            \
    "\"name\":\"c\",\"image\":\"" image "\"}]}}"
#define SPEC(replicas, image)                                                                      \
    "\"spec\":{\"replicas\":" replicas                                                             \
    ",\"progressDeadlineSeconds\":600,\"revisionHistoryLimit\":10,\"strategy\":"                   \
    "{\"type\":"                                                                                   \
    "\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":1,\"maxUnavailable\":0}}"                   \
    ","                                                                                            \
    "\"selector\":{\"matchLabels\":{\"app\":\"web\"}}," TEMPLATE(image) "}"
#define OBJECT(kind, spec)                                                                         \
    "{\"kind\":\"" kind "\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"web\"}," spec "}"
#define POD(name, labels)                                                                          \
    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name                       \
    "\",\"labels\":{" labels "}},\"spec\":{\"containers\":[{\"name\":\"c\"}]}}"

struct bed {
    struct controller_kit k;
    int refuse_pods; /* creations of pods that still fail */
    int asked;       /* creations of pods that were asked for */
};

static enum err_reason fault(void *data, const struct client_request *rq)
{
    struct bed *b = data;
    if (rq->verb != CLIENT_CREATE || rq->kind != SCHEMA_KIND(Pod) || rq->subresource.n) {
        return ERR_NONE;
    }
    b->asked++;
    return b->refuse_pods > 0 && b->refuse_pods-- ? ERR_FORBIDDEN : ERR_NONE;
}

static struct bed *bed_new(void)
{
    struct bed *b = calloc(1, sizeof *b);
    controller_kit_begin(&b->k, &controller_kit_node);
    fake_client_fault(b->k.api, fault, b);
    controller_kit_run(&b->k, CONTROLLERS(&controller_replicaset, &controller_replication,
                                          &controller_deployment, &controller_daemonset));
    return b;
}

static void bed_free(struct bed *b)
{
    controller_kit_end(&b->k);
    free(b);
}

static struct object *get(struct bed *b, const char *kind, const char *name)
{
    return fake_client_get(b->k.api, kind[0] == 'P' ? "" : "apps", kind, "default", name);
}

static int64_t status(struct bed *b, const char *kind, const char *key)
{
    return json_get_int(json_get(object_root(get(b, kind, "web")), "status"), key, 0);
}

static size_t pods(struct bed *b)
{
    return fake_client_each(b->k.api, "", "Pod", NULL, NULL);
}

/* ---- replica sets ---- */

TEST(a_set_makes_its_pods_in_growing_batches_and_stops_at_the_first_failure)
{
    struct bed *b = bed_new();
    b->refuse_pods = 1;
    fake_client_create(b->k.api, OBJECT("ReplicaSet", SPEC("7", "i:1")));
    env_sim_run_for(b->k.env, 3);
    CHECK_EQ(b->asked, 1); /* not seven */
    struct object *set = get(b, "ReplicaSet", "web");
    CHECK_SPAN(json_get_str(client_condition(set, "ReplicaFailure"), "reason"), "FailedCreate");
    env_sim_run_for(b->k.env, 5000);
    CHECK_EQ(pods(b), 7);
    CHECK_EQ(b->asked, 8);
    CHECK_EQ(status(b, "ReplicaSet", "readyReplicas"), 7);
    CHECK(client_condition(get(b, "ReplicaSet", "web"), "ReplicaFailure") == NULL);
    uint64_t writes = fake_client_writes(b->k.api);
    env_sim_run_for(b->k.env, 60000);
    CHECK_EQ(fake_client_writes(b->k.api), writes); /* at rest nothing is written */
    bed_free(b);
}

static void count_owned(void *data, struct object *pod)
{
    *(size_t *)data += client_controller_of(pod) != NULL;
}

TEST(a_set_takes_orphans_in_and_lets_go_of_strangers)
{
    struct bed *b = bed_new();
    fake_client_create(b->k.api, POD("lone", "\"app\":\"web\""));
    fake_client_create(b->k.api, POD("other", "\"app\":\"x\""));
    fake_client_create(b->k.api, OBJECT("ReplicaSet", SPEC("2", "i:1")));
    env_sim_run_for(b->k.env, 1000);
    CHECK_EQ(pods(b), 3);
    CHECK(client_controller_of(get(b, "Pod", "lone")) != NULL);
    CHECK(client_controller_of(get(b, "Pod", "other")) == NULL);
    fake_client_patch(b->k.api, "", "Pod", "default", "lone", "",
                      "{\"metadata\":{\"labels\":{\"app\":\"y\"}}}");
    env_sim_run_for(b->k.env, 1000);
    CHECK(json_path(object_root(get(b, "Pod", "lone")), "metadata", "ownerReferences", NULL) ==
          NULL);
    size_t owned = 0;
    CHECK_EQ(fake_client_each(b->k.api, "", "Pod", count_owned, &owned), 4);
    CHECK_EQ(owned, 2);
    bed_free(b);
}

TEST(a_replication_controller_keeps_its_pods_by_a_map_of_labels)
{
    struct bed *b = bed_new();
    fake_client_create(b->k.api, POD("lone", "\"app\":\"web\""));
    fake_client_create(b->k.api, POD("other", "\"app\":\"x\""));
    fake_client_create(
        b->k.api,
        "{\"kind\":\"ReplicationController\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
        "\"old\"},\"spec\":{\"replicas\":3,\"selector\":{\"app\":\"web\"}," TEMPLATE("i:1") "}}");
    env_sim_run_for(b->k.env, 5000);
    size_t owned = 0;
    CHECK_EQ(fake_client_each(b->k.api, "", "Pod", count_owned, &owned), 4);
    CHECK_EQ(owned, 3);
    yyjson_val *owner = client_controller_of(get(b, "Pod", "lone"));
    CHECK_SPAN(json_get_str(owner, "apiVersion"), "v1");
    CHECK_SPAN(json_get_str(owner, "kind"), "ReplicationController");
    struct object *rc = fake_client_get(b->k.api, "", "ReplicationController", "default", "old");
    yyjson_val *status = json_get(object_root(rc), "status");
    CHECK_EQ(json_get_int(status, "replicas", 0), 3);
    CHECK_EQ(json_get_int(status, "fullyLabeledReplicas", 0), 3);
    CHECK_EQ(json_get_int(status, "observedGeneration", 0), 1);
    /* One that goes is the turn of its controller, and no other field is written. */
    fake_client_delete(b->k.api, "", "Pod", "default", "lone", 0, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b->k.env, 5000);
    CHECK_EQ(fake_client_each(b->k.api, "", "Pod", NULL, NULL), 4);
    rc = fake_client_get(b->k.api, "", "ReplicationController", "default", "old");
    CHECK(json_path(object_root(rc), "status", "terminatingReplicas", NULL) == NULL);
    bed_free(b);
}

/* ---- deployments ---- */

struct found {
    struct object *active, *idle;
    size_t n;
};

static void sort_set(void *data, struct object *set)
{
    struct found *f = data;
    bool active = json_int(json_path(object_root(set), "spec", "replicas", NULL), 0) > 0;
    *(active ? &f->active : &f->idle) = set;
    f->n++;
}

static struct found sets(struct bed *b)
{
    struct found f = {NULL};
    fake_client_each(b->k.api, "apps", "ReplicaSet", sort_set, &f);
    return f;
}

static struct span note(struct object *o, const char *key)
{
    return json_get_str(json_path(object_root(o), "metadata", "annotations", NULL), key);
}

TEST(a_rollout_ends_at_the_new_set_and_going_back_uses_the_old_one)
{
    struct bed *b = bed_new();
    fake_client_create(b->k.api, OBJECT("Deployment", SPEC("3", "i:1")));
    env_sim_run_for(b->k.env, 1000);
    CHECK_EQ(status(b, "Deployment", "availableReplicas"), 3);
    cleanup_object struct object *first = object_ref(sets(b).active);
    CHECK_SPAN(note(first, "deployment.kubernetes.io/revision"), "1");
    fake_client_patch(b->k.api, "apps", "Deployment", "default", "web", "",
                      "{" SPEC("3", "i:2") "}");
    env_sim_run_for(b->k.env, 1000);
    struct found f = sets(b);
    CHECK_EQ(f.n, 2);
    CHECK(span_eq(object_uid(f.idle), object_uid(first)));
    CHECK_EQ(status(b, "Deployment", "updatedReplicas"), 3);
    CHECK_EQ(pods(b), 3);
    fake_client_patch(b->k.api, "apps", "Deployment", "default", "web", "",
                      "{" SPEC("3", "i:1") "}");
    env_sim_run_for(b->k.env, 1000);
    f = sets(b);
    CHECK_EQ(f.n, 2);
    CHECK(span_eq(object_uid(f.active), object_uid(first)));
    CHECK_SPAN(note(f.active, "deployment.kubernetes.io/revision"), "3");
    CHECK_SPAN(note(f.active, "deployment.kubernetes.io/revision-history"), "1");
    CHECK_SPAN(note(get(b, "Deployment", "web"), "deployment.kubernetes.io/revision"), "3");
    uint64_t writes = fake_client_writes(b->k.api);
    env_sim_run_for(b->k.env, 700000);
    CHECK_EQ(fake_client_writes(b->k.api), writes);
    bed_free(b);
}

#define OTHER                                                                                      \
    "{\"kind\":\"ReplicaSet\",\"apiVersion\":\"apps/"                                              \
    "v1\",\"metadata\":{\"name\":\"%.*s\"},\"spec\":{"                                             \
    "\"replicas\":0,\"selector\":{\"matchLabels\":{\"app\":\"other\"}}}}"

TEST(a_name_that_is_taken_leads_to_another)
{
    cleanup_arena struct arena *a = arena_new();
    struct bed *b = bed_new();
    fake_client_create(b->k.api, OBJECT("Deployment", SPEC("1", "i:1")));
    env_sim_run_for(b->k.env, 1000);
    struct span name = arena_dup(a, object_name(sets(b).active));
    bed_free(b);
    b = bed_new();
    fake_client_create(b->k.api, arena_printf(a, OTHER, SPAN_ARG(name)).p);
    fake_client_create(b->k.api, OBJECT("Deployment", SPEC("1", "i:1")));
    env_sim_run_for(b->k.env, 5000);
    CHECK_EQ(status(b, "Deployment", "collisionCount"), 1);
    CHECK_EQ(status(b, "Deployment", "availableReplicas"), 1);
    CHECK_EQ(sets(b).n, 2);
    bed_free(b);
}

/* ---- daemon sets ---- */

#define NODE(name)                                                                                 \
    "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name                      \
    "\",\"labels\":{}},\"spec\":{}}"

TEST(a_daemon_comes_to_every_node_and_keeps_a_history)
{
    struct bed *b = bed_new();
    fake_node_set(b->k.node,
                  &(struct fake_node_options){.stop_ms = 10}); /* binds nothing elsewhere */
    fake_client_create(b->k.api, NODE("n1"));
    fake_client_create(b->k.api, NODE("n2"));
    fake_client_create(b->k.api, OBJECT("DaemonSet", "\"spec\":{\"revisionHistoryLimit\":10,"
                                                     "\"updateStrategy\":{\"type\":\"OnDelete\"},"
                                                     "\"selector\":{\"matchLabels\":{\"app\":"
                                                     "\"web\"}}," TEMPLATE("i:1") "}"));
    env_sim_run_for(b->k.env, 1000);
    CHECK_EQ(pods(b), 2);
    CHECK_EQ(status(b, "DaemonSet", "desiredNumberScheduled"), 2);
    fake_client_patch(b->k.api, "", "Node", "", "n2", "",
                      "{\"spec\":{\"taints\":[{\"key\":\"k\",\"effect\":\"NoExecute\"}]}}");
    env_sim_run_for(b->k.env, 1000);
    CHECK_EQ(status(b, "DaemonSet", "desiredNumberScheduled"), 1);
    fake_client_create(b->k.api, NODE("n3"));
    env_sim_run_for(b->k.env, 1000);
    CHECK_EQ(status(b, "DaemonSet", "desiredNumberScheduled"), 2);
    CHECK_EQ(fake_client_each(b->k.api, "apps", "ControllerRevision", NULL, NULL), 1);
    fake_client_patch(b->k.api, "apps", "DaemonSet", "default", "web", "",
                      "{\"spec\":{" TEMPLATE("i:2") "}}");
    env_sim_run_for(b->k.env, 1000);
    CHECK_EQ(fake_client_each(b->k.api, "apps", "ControllerRevision", NULL, NULL), 2);
    uint64_t writes = fake_client_writes(b->k.api);
    fake_client_patch(b->k.api, "", "Node", "", "n3", "status", "{\"status\":{\"phase\":\"x\"}}");
    env_sim_run_for(b->k.env, 60000);
    CHECK_EQ(fake_client_writes(b->k.api), writes + 1); /* a heartbeat is nobody's concern */
    bed_free(b);
}

TEST(deployment_knows_its_template_again_in_other_words)
{
#define CONTAINER(more)                                                                            \
    "{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{\"name\":\"c\"" more  \
    "}]}}"
    static const struct {
        const char *wanted;
        bool same;
    } rows[] = {{CONTAINER(",\"resources\":{\"limits\":{\"memory\":\"1073741824\"}}"), true},
                {CONTAINER(",\"tty\":false,\"resources\":{\"limits\":{\"memory\":\"1Gi\"}}"), true},
                {CONTAINER(",\"tty\":true,\"resources\":{\"limits\":{\"memory\":\"1Gi\"}}"), false},
                {CONTAINER(",\"resources\":{\"limits\":{\"memory\":\"2Gi\"}}"), false},
                {CONTAINER(""), false}};
    struct object *set cleanup_object = object_new(
        SPAN("replicasets.apps/d/n"), 7,
        SPAN("{\"kind\":\"ReplicaSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"n\","
             "\"namespace\":\"d\"},\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"app\":"
             "\"web\","
             "\"pod-template-hash\":\"h\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"env\":[],"
             "\"resources\":{\"limits\":{\"memory\":\"1024Mi\"}}}]}}}}"));
    cleanup_arena struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        yyjson_doc *doc;
        struct err err;
        CHECK(json_parse(a, span_cstr(rows[i].wanted), &doc, &err) == 0);
        CHECK_EQ(deployment_same_template(set, yyjson_doc_get_root(doc)), rows[i].same);
    }
}
