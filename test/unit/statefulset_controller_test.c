/* test/unit/statefulset_controller_test.c: sets against a small API server in memory. */
#include <stdlib.h>

#include "client/client_body.h"
#include "kit/controller_kit.h"
#include "kit/kit.h"
#include "schema/schema.h"

#define REDIS                                                                                      \
    "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"redis\"},"      \
    "\"spec\":{\"replicas\":3,\"serviceName\":\"redis\",\"selector\":{\"matchLabels\":{\"app\":"   \
    "\"redis\"}},\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":" \
    "0}},\"podManagementPolicy\":\"OrderedReady\",\"template\":{\"metadata\":{\"labels\":{"        \
    "\"app\":\"redis\"}},\"spec\":{\"containers\":[{\"name\":\"redis\",\"image\":\"redis:7\"}],"   \
    "\"volumes\":[{\"name\":\"data\",\"emptyDir\":{}},{\"name\":\"tmp\",\"emptyDir\":{}}]}},"      \
    "\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"data\"},\"spec\":{\"accessModes\":["      \
    "\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}]}}"

struct bed {
    struct controller_kit k;
    char log[4096]; /* pod moves in order: +redis-0 !redis-0 (ready) ~redis-0 (terminating) -redis-0
                     */
    struct informer *pods;
};

static void note(struct bed *b, char sign, struct object *pod)
{
    size_t n = strlen(b->log);
    snprintf(b->log + n, sizeof b->log - n, "%c%.*s ", sign, SPAN_ARG(object_name(pod)));
}

static void on_pod(void *data, struct object *old, struct object *now)
{
    struct bed *b = data;
    if (!old) {
        note(b, '+', now);
    } else if (!now) {
        note(b, '-', old);
    } else if (object_is_deleting(now) && !object_is_deleting(old)) {
        note(b, '~', now);
    } else if (client_condition_true(now, "Ready") && !client_condition_true(old, "Ready")) {
        note(b, '!', now);
    }
}

static struct bed *bed_new(int64_t event_delay_ms)
{
    struct bed *b = calloc(1, sizeof *b);
    controller_kit_begin(&b->k, &controller_kit_node);
    fake_client_event_delay(b->k.api, event_delay_ms);
    controller_kit_run(&b->k, CONTROLLERS(&controller_statefulset));
    b->pods = informer_set_find(b->k.informers, "", "Pod");
    static const struct informer_handler handler = {on_pod};
    informer_add_handler(b->pods, &handler, b);
    return b;
}

static void bed_free(struct bed *b)
{
    controller_kit_end(&b->k);
    free(b);
}

/* With a set whose three pods are Ready; its log is empty. */
static struct bed *bed_running(void)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    b->log[0] = '\0';
    return b;
}

static void check_log(struct bed *b, const char *want)
{
    CHECK_SPAN(span_cstr(b->log), want);
    b->log[0] = '\0';
}

static yyjson_val *set_status(struct bed *b)
{
    return json_get(
        object_root(fake_client_get(b->k.api, "apps", "StatefulSet", "default", "redis")),
        "status");
}

static struct object *pod(struct bed *b, const char *name)
{
    return fake_client_get(b->k.api, "", "Pod", "default", name);
}

static void patch_set(struct bed *b, const char *json)
{
    fake_client_patch(b->k.api, "apps", "StatefulSet", "default", "redis", "", json);
}

static int64_t events(struct bed *b, const char *reason, const char *message)
{
    return controller_kit_events(b->k.api, reason, message);
}

static const char up3[] = "+redis-0 !redis-0 +redis-1 !redis-1 +redis-2 !redis-2 ";

TEST(set_comes_up_in_order_with_claims_status_and_events)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    check_log(b, up3);
    yyjson_val *st = set_status(b);
    CHECK_EQ(json_get_int(st, "replicas", -1), 3);
    CHECK_EQ(json_get_int(st, "readyReplicas", -1), 3);
    CHECK_EQ(json_get_int(st, "availableReplicas", -1), 3);
    CHECK_EQ(json_get_int(st, "currentReplicas", -1), 3);
    CHECK_EQ(json_get_int(st, "updatedReplicas", -1), 3);
    CHECK_EQ(json_get_int(st, "observedGeneration", -1), 1);
    CHECK(span_eq(json_get_str(st, "currentRevision"), json_get_str(st, "updateRevision")));
    CHECK_EQ(fake_client_each(b->k.api, "", "PersistentVolumeClaim", NULL, NULL), 3);
    CHECK_EQ(fake_client_each(b->k.api, "apps", "ControllerRevision", NULL, NULL), 1);
    CHECK_EQ(events(b, "SuccessfulCreate", "create Pod redis-1 in StatefulSet redis successful"),
             1);
    CHECK_EQ(events(b, "SuccessfulCreate",
                    "create Claim data-redis-2 Pod redis-2 in StatefulSet redis success"),
             1);
    CHECK_EQ(fake_client_each(b->k.api, "", "Event", NULL, NULL), 6);
    bed_free(b);
}

TEST(set_pod_has_the_identity_of_the_specification)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    yyjson_val *p = object_root(pod(b, "redis-1"));
    yyjson_val *labels = json_path(p, "metadata", "labels", NULL);
    CHECK_SPAN(json_get_str(labels, "app"), "redis");
    CHECK_SPAN(json_get_str(labels, "statefulset.kubernetes.io/pod-name"), "redis-1");
    CHECK_SPAN(json_get_str(labels, "apps.kubernetes.io/pod-index"), "1");
    CHECK(span_eq(json_get_str(labels, "controller-revision-hash"),
                  json_get_str(set_status(b), "currentRevision")));
    CHECK_SPAN(json_str(json_path(p, "metadata", "generateName", NULL)), "redis-");
    CHECK_SPAN(json_str(json_path(p, "spec", "hostname", NULL)), "redis-1");
    CHECK_SPAN(json_str(json_path(p, "spec", "subdomain", NULL)), "redis");
    yyjson_val *volumes = json_path(p, "spec", "volumes", NULL);
    CHECK_EQ(json_len(volumes), 2); /* the template's "data" gave way to the claim */
    yyjson_val *first = yyjson_arr_get(volumes, 0);
    CHECK_SPAN(json_str(json_path(first, "persistentVolumeClaim", "claimName", NULL)),
               "data-redis-1");
    yyjson_val *owner = client_controller_of(pod(b, "redis-1"));
    CHECK_SPAN(json_get_str(owner, "kind"), "StatefulSet");
    CHECK_SPAN(json_get_str(owner, "apiVersion"), "apps/v1");
    CHECK(json_get_bool(owner, "blockOwnerDeletion", false));
    struct object *claim =
        fake_client_get(b->k.api, "", "PersistentVolumeClaim", "default", "data-redis-1");
    CHECK_SPAN(json_str(json_path(object_root(claim), "metadata", "labels", "app", NULL)), "redis");
    CHECK(!client_owners(claim));
    bed_free(b);
}

TEST(set_scales_up_and_down_in_order_and_keeps_its_claims)
{
    struct bed *b = bed_running();
    patch_set(b, "{\"spec\":{\"replicas\":5}}");
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "+redis-3 !redis-3 +redis-4 !redis-4 ");
    patch_set(b, "{\"spec\":{\"replicas\":2}}");
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "~redis-4 -redis-4 ~redis-3 -redis-3 ~redis-2 -redis-2 ");
    CHECK_EQ(fake_client_each(b->k.api, "", "PersistentVolumeClaim", NULL, NULL), 5);
    CHECK_EQ(json_get_int(set_status(b), "replicas", -1), 2);
    CHECK_EQ(events(b, "SuccessfulDelete", "delete Pod redis-4 in StatefulSet redis successful"),
             1);
    bed_free(b);
}

TEST(set_rolls_in_reverse_and_completes)
{
    struct bed *b = bed_running();
    patch_set(b, "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"redis\",\"image\":"
                 "\"redis:8\"}]}}}}");
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "~redis-2 -redis-2 +redis-2 !redis-2 ~redis-1 -redis-1 +redis-1 !redis-1 "
                 "~redis-0 -redis-0 +redis-0 !redis-0 ");
    yyjson_val *st = set_status(b);
    CHECK(span_eq(json_get_str(st, "currentRevision"), json_get_str(st, "updateRevision")));
    CHECK_EQ(json_get_int(st, "currentReplicas", -1), 3);
    CHECK_EQ(fake_client_each(b->k.api, "apps", "ControllerRevision", NULL, NULL), 2);
    /* Back to the first template: the old revision returns under a new number, nothing is made. */
    patch_set(b, "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"redis\",\"image\":"
                 "\"redis:7\"}]}}}}");
    env_sim_run_for(b->k.env, 1000);
    CHECK_EQ(fake_client_each(b->k.api, "apps", "ControllerRevision", NULL, NULL), 2);
    CHECK(span_starts(span_cstr(b->log), SPAN("~redis-2 -redis-2 +redis-2")));
    bed_free(b);
}

TEST(set_partition_holds_the_lower_pods_back_and_restores_them_as_they_were)
{
    struct bed *b = bed_running();
    patch_set(b,
              "{\"spec\":{\"updateStrategy\":{\"rollingUpdate\":{\"partition\":2}},\"template\":{"
              "\"spec\":{\"containers\":[{\"name\":\"redis\",\"image\":\"redis:8\"}]}}}}");
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "~redis-2 -redis-2 +redis-2 !redis-2 ");
    fake_client_delete(b->k.api, "", "Pod", "default", "redis-0", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "~redis-0 -redis-0 +redis-0 !redis-0 ");
    yyjson_val *c = json_path(object_root(pod(b, "redis-0")), "spec", "containers", NULL);
    CHECK_SPAN(json_get_str(yyjson_arr_get(c, 0), "image"), "redis:7");
    c = json_path(object_root(pod(b, "redis-2")), "spec", "containers", NULL);
    CHECK_SPAN(json_get_str(yyjson_arr_get(c, 0), "image"), "redis:8");
    CHECK(!span_eq(json_get_str(set_status(b), "currentRevision"),
                   json_get_str(set_status(b), "updateRevision")));
    bed_free(b);
}

TEST(set_with_a_late_view_makes_nothing_twice)
{
    struct bed *b = bed_new(40);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 3000);
    check_log(b, up3);
    patch_set(b, "{\"spec\":{\"replicas\":1}}");
    env_sim_run_for(b->k.env, 3000);
    check_log(b, "~redis-2 -redis-2 ~redis-1 -redis-1 ");
    CHECK_EQ(fake_client_each(b->k.api, "", "Event", NULL, NULL), 8);
    bed_free(b);
}

TEST(set_status_of_a_late_view_takes_nothing_back)
{
    struct bed *b = bed_running();
    fake_client_event_delay(b->k.api, 1000);
    patch_set(b, "{\"spec\":{\"revisionHistoryLimit\":5}}");
    env_sim_run_for(b->k.env, 500);
    patch_set(b, "{\"spec\":{\"revisionHistoryLimit\":6}}");
    /* Somebody who has taken the controller's place has seen both. */
    fake_client_patch(b->k.api, "apps", "StatefulSet", "default", "redis", "status",
                      "{\"status\":{\"observedGeneration\":3}}");
    for (int i = 0; i < 40; i++) {
        env_sim_run_for(b->k.env, 100);
        CHECK_EQ(json_get_int(set_status(b), "observedGeneration", 0), 3);
    }
    bed_free(b);
}

TEST(set_deleted_pod_comes_back_with_its_claim)
{
    struct bed *b = bed_running();
    struct span before = object_uid(pod(b, "redis-1"));
    char uid[64];
    snprintf(uid, sizeof uid, "%.*s", SPAN_ARG(before));
    fake_client_delete(b->k.api, "", "Pod", "default", "redis-1", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "~redis-1 -redis-1 +redis-1 !redis-1 ");
    CHECK(!span_eq_cstr(object_uid(pod(b, "redis-1")), uid));
    CHECK_EQ(fake_client_each(b->k.api, "", "PersistentVolumeClaim", NULL, NULL), 3);
    bed_free(b);
}

TEST(set_failed_pod_is_replaced)
{
    struct bed *b = bed_running();
    fake_client_patch(b->k.api, "", "Pod", "default", "redis-0", "status",
                      "{\"status\":{\"phase\":\"Failed\",\"conditions\":null}}");
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "~redis-0 -redis-0 +redis-0 !redis-0 ");
    bed_free(b);
}

TEST(set_adopts_orphans_and_releases_what_no_longer_matches)
{
    struct bed *b = bed_running();
    fake_client_patch(b->k.api, "", "Pod", "default", "redis-1", "",
                      "{\"metadata\":{\"ownerReferences\":null}}");
    CHECK(!client_controller_of(pod(b, "redis-1")));
    env_sim_run_for(b->k.env, 1000);
    CHECK(client_controller_of(pod(b, "redis-1")));
    check_log(b, "");
    fake_client_patch(b->k.api, "", "Pod", "default", "redis-2", "",
                      "{\"metadata\":{\"labels\":{\"app\":\"other\"}}}");
    env_sim_run_for(b->k.env, 1000);
    CHECK(!client_controller_of(pod(b, "redis-2")));
    CHECK_EQ(json_get_int(set_status(b), "replicas", -1), 2); /* and its name is taken */
    fake_client_patch(b->k.api, "", "Pod", "default", "redis-2", "",
                      "{\"metadata\":{\"labels\":{\"app\":\"redis\"}}}");
    env_sim_run_for(b->k.env, 1000);
    CHECK(client_controller_of(pod(b, "redis-2")));
    CHECK_EQ(json_get_int(set_status(b), "replicas", -1), 3);
    bed_free(b);
}

TEST(set_being_deleted_adopts_nothing_even_on_a_late_view)
{
    struct bed *b = bed_new(50);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 3000);
    fake_client_patch(b->k.api, "", "Pod", "default", "redis-1", "",
                      "{\"metadata\":{\"ownerReferences\":null}}");
    fake_client_delete(b->k.api, "apps", "StatefulSet", "default", "redis", -1,
                       CLIENT_PROPAGATION_ORPHAN);
    env_sim_run_for(b->k.env, 3000);
    CHECK(!client_controller_of(pod(b, "redis-1")));
    bed_free(b);
}

TEST(set_being_deleted_makes_and_removes_nothing)
{
    struct bed *b = bed_running();
    fake_client_delete(b->k.api, "apps", "StatefulSet", "default", "redis", -1,
                       CLIENT_PROPAGATION_FOREGROUND);
    fake_client_delete(b->k.api, "", "Pod", "default", "redis-1", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "~redis-1 -redis-1 ");
    bed_free(b);
}

TEST(set_terminating_claim_holds_the_pod_back_and_says_so)
{
    struct bed *b = bed_running();
    fake_client_delete(b->k.api, "", "PersistentVolumeClaim", "default", "data-redis-2", -1,
                       CLIENT_PROPAGATION_DEFAULT);
    fake_client_delete(b->k.api, "", "Pod", "default", "redis-2", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "~redis-2 -redis-2 ");
    CHECK(events(b, "FailedCreate",
                 "create Pod redis-2 in StatefulSet redis failed error: pvc data-redis-2 is being "
                 "deleted") >= 1);
    fake_client_patch(b->k.api, "", "PersistentVolumeClaim", "default", "data-redis-2", "",
                      "{\"metadata\":{\"finalizers\":null}}");
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "+redis-2 !redis-2 ");
    CHECK(fake_client_get(b->k.api, "", "PersistentVolumeClaim", "default", "data-redis-2"));
    bed_free(b);
}

TEST(set_retention_policy_owns_the_claims)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    patch_set(b, "{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":\"Delete\","
                 "\"whenScaled\":\"Delete\"}}}");
    env_sim_run_for(b->k.env, 1000);
    struct object *claim =
        fake_client_get(b->k.api, "", "PersistentVolumeClaim", "default", "data-redis-2");
    CHECK_SPAN(json_get_str(client_controller_of(claim), "kind"), "StatefulSet");
    patch_set(b, "{\"spec\":{\"replicas\":2}}");
    env_sim_run_for(b->k.env, 5);
    claim = fake_client_get(b->k.api, "", "PersistentVolumeClaim", "default", "data-redis-2");
    CHECK_SPAN(json_get_str(client_controller_of(claim), "kind"), "Pod");
    CHECK_EQ(json_len(client_owners(claim)), 1);
    env_sim_run_for(b->k.env, 1000);
    /* Scaled up again before the collector took the claim: the set waits for it to go. */
    b->log[0] = '\0';
    patch_set(b, "{\"spec\":{\"replicas\":3}}");
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "");
    bed_free(b);
}

TEST(set_truncates_its_history)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    patch_set(b, "{\"spec\":{\"revisionHistoryLimit\":1,\"replicas\":1}}");
    env_sim_run_for(b->k.env, 1000);
    for (int i = 0; i < 4; i++) {
        char json[256];
        snprintf(json, sizeof json,
                 "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"round\":\"%d\"}}}}}",
                 i);
        patch_set(b, json);
        env_sim_run_for(b->k.env, 1000);
    }
    CHECK_EQ(fake_client_each(b->k.api, "apps", "ControllerRevision", NULL, NULL), 2);
    bed_free(b);
}

static enum err_reason fail_pods(void *data, const struct client_request *rq)
{
    int *left = data;
    if (rq->verb == CLIENT_CREATE && rq->subresource.n == 0 && strcmp(rq->kind->kind, "Pod") == 0 &&
        *left > 0) {
        (*left)--;
        return ERR_FORBIDDEN;
    }
    return ERR_NONE;
}

TEST(set_failed_creation_is_told_counted_and_retried)
{
    struct bed *b = bed_new(0);
    int left = 3;
    fake_client_fault(b->k.api, fail_pods, &left);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 3000);
    check_log(b, up3);
    CHECK_EQ(events(b, "FailedCreate",
                    "create Pod redis-0 in StatefulSet redis failed error: Forbidden"),
             3);
    bed_free(b);
}

TEST(set_settles_with_few_writes)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    uint64_t writes = fake_client_writes(b->k.api);
    kit_note("%llu writes for three pods with claims, node and events included",
             (unsigned long long)writes);
    CHECK(writes <= 33);
    env_sim_run_for(b->k.env, 600000);
    CHECK_EQ(fake_client_writes(b->k.api), writes);
    bed_free(b);
}

static yyjson_val *set_condition(struct bed *b, const char *type)
{
    struct object *set = fake_client_get(b->k.api, "apps", "StatefulSet", "default", "redis");
    return client_condition(set, type);
}

TEST(set_says_where_it_stands_and_why_it_waits)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    CHECK_SPAN(json_get_str(set_condition(b, "Available"), "status"), "True");
    CHECK_SPAN(json_get_str(set_condition(b, "Progressing"), "reason"), "RolloutComplete");
    struct arena *a = arena_new();
    struct span since =
        arena_dup(a, json_get_str(set_condition(b, "Progressing"), "lastTransitionTime"));
    env_sim_run_for(b->k.env, 60000);
    /* A condition of somebody else beside ours. */
    fake_client_patch(b->k.api, "apps", "StatefulSet", "default", "redis", "status",
                      "{\"status\":{\"conditions\":[{\"type\":\"Mine\",\"status\":\"True\"}]}}");
    fake_client_patch(b->k.api, "", "Pod", "default", "redis-1", "status",
                      "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\","
                      "\"message\":\"containers with unready status: [redis]; redis: readiness "
                      "probe `redis-cli ping` failed 4 times, last output: \\\"no\\\"\"}]}}");
    env_sim_run_for(b->k.env, 1000);
    yyjson_val *available = set_condition(b, "Available");
    CHECK_SPAN(json_get_str(available, "status"), "False");
    CHECK_SPAN(json_get_str(available, "reason"), "PodNotReady");
    CHECK_SPAN(json_get_str(available, "message"),
               "2 of 3 replicas are available; redis-1 is not Ready: readiness probe `redis-cli "
               "ping` failed 4 times, last output: \"no\"");
    CHECK_SPAN(json_get_str(set_condition(b, "Mine"), "status"), "True");
    CHECK(!span_eq(json_get_str(available, "lastTransitionTime"), since));
    uint64_t writes = fake_client_writes(b->k.api);
    env_sim_run_for(b->k.env, 600000);
    CHECK_EQ(fake_client_writes(b->k.api), writes); /* nothing changes, nothing is written */
    arena_free(a);
    bed_free(b);
}

TEST(set_says_that_the_server_refuses_its_pod)
{
    struct bed *b = bed_new(0);
    int left = 4;
    fake_client_fault(b->k.api, fail_pods, &left);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 20);
    CHECK_SPAN(json_get_str(set_condition(b, "Available"), "message"),
               "0 of 3 replicas are available; redis-0 cannot be made: Forbidden");
    env_sim_run_for(b->k.env, 3000);
    CHECK_SPAN(json_get_str(set_condition(b, "Available"), "message"),
               "all 3 replicas are available");
    bed_free(b);
}

static void set_image(struct bed *b, const char *image)
{
    char json[256];
    snprintf(json, sizeof json,
             "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"redis\",\"image\":"
             "\"%s\"}]}}}}",
             image);
    patch_set(b, json);
    env_sim_run_for(b->k.env, 1000);
}

TEST(set_replaces_a_pod_that_was_never_ready_once_its_template_is_superseded)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    struct fake_node_options broken = {.start_ms = 10, .stop_ms = 10, .bind = true};
    broken.never_ready = true;
    fake_node_set(b->k.node, &broken);
    b->log[0] = '\0';
    set_image(b, "redis:bad");
    check_log(b, "~redis-2 -redis-2 +redis-2 ");
    broken.never_ready = false;
    fake_node_set(b->k.node, &broken);
    set_image(b, "redis:7"); /* undone: Kubernetes waits for ever here */
    check_log(b, "~redis-2 -redis-2 +redis-2 !redis-2 ");
    struct arena *a = arena_new();
    struct span revision = json_get_str(set_status(b), "updateRevision");
    struct span text = arena_printf(a,
                                    "Pod redis-2 was never Ready and its revision is superseded: "
                                    "it is replaced at revision %.*s",
                                    SPAN_ARG(revision));
    CHECK_EQ(events(b, "ReplacedStuckPod", arena_cstr(a, text)), 1);
    CHECK_SPAN(json_get_str(set_condition(b, "Progressing"), "reason"), "RolloutComplete");
    arena_free(a);
    bed_free(b);
}

TEST(set_never_touches_a_pod_that_was_ready_once)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 5000);
    b->log[0] = '\0';
    fake_client_patch(b->k.api, "", "Pod", "default", "redis-1", "status",
                      "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\","
                      "\"lastTransitionTime\":\"2026-01-01T00:00:05Z\"}]}}");
    env_sim_run_for(b->k.env, 1000);
    set_image(b, "redis:8");
    check_log(b, ""); /* it waits for redis-1, as Kubernetes does */
    /* And after a restart of the controller, which then knows what the objects say. */
    controller_kit_run(&b->k, CONTROLLERS(&controller_statefulset));
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "");
    bed_free(b);
}

TEST(set_partition_keeps_a_pod_that_was_never_ready)
{
    struct bed *b = bed_new(0);
    fake_node_set(b->k.node, &(struct fake_node_options){
                                 .start_ms = 10, .stop_ms = 10, .bind = true, .never_ready = true});
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    patch_set(b, "{\"spec\":{\"updateStrategy\":{\"rollingUpdate\":{\"partition\":1}}}}");
    b->log[0] = '\0';
    set_image(b, "redis:8");
    check_log(b, "");
    bed_free(b);
}

static void annotate(struct bed *b, const char *key, const char *value)
{
    char json[256];
    snprintf(json, sizeof json, "{\"metadata\":{\"annotations\":{\"berth.dev/%s\":\"%s\"}}}", key,
             value);
    patch_set(b, json);
    env_sim_run_for(b->k.env, 1000);
}

TEST(set_recreates_all_pods_at_once)
{
    struct bed *b = bed_running();
    patch_set(b, "{\"spec\":{\"updateStrategy\":{\"type\":\"Recreate\",\"rollingUpdate\":null}}}");
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "");
    set_image(b, "redis:8");
    check_log(b, "~redis-2 ~redis-1 ~redis-0 -redis-2 -redis-1 -redis-0 +redis-0 !redis-0 +redis-1 "
                 "!redis-1 +redis-2 !redis-2 ");
    CHECK_SPAN(json_get_str(set_condition(b, "Progressing"), "reason"), "RecreateComplete");
    CHECK(span_eq(json_get_str(set_status(b), "currentRevision"),
                  json_get_str(set_status(b), "updateRevision")));
    bed_free(b);
}

TEST(set_paused_updates_nothing_and_goes_on_afterwards)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    annotate(b, "paused", "true");
    b->log[0] = '\0';
    set_image(b, "redis:8");
    check_log(b, "");
    CHECK_SPAN(json_get_str(set_condition(b, "Progressing"), "reason"), "Paused");
    annotate(b, "paused", "maybe"); /* ignored, and told */
    check_log(b, "~redis-2 -redis-2 +redis-2 !redis-2 ~redis-1 -redis-1 +redis-1 !redis-1 "
                 "~redis-0 -redis-0 +redis-0 !redis-0 ");
    CHECK_EQ(events(b, "InvalidAnnotation",
                    "annotation berth.dev/paused: \"maybe\" is ignored: it must be \"true\" or "
                    "\"false\""),
             1);
    CHECK_SPAN(json_get_str(set_condition(b, "Progressing"), "reason"), "RolloutComplete");
    bed_free(b);
}

TEST(set_leaves_reserved_ordinals_out)
{
    struct bed *b = bed_running();
    annotate(b, "reserve-ordinals", "1");
    check_log(b, "+redis-3 !redis-3 ~redis-1 -redis-1 ");
    CHECK_EQ(json_get_int(set_status(b), "readyReplicas", -1), 3);
    annotate(b, "reserve-ordinals", "");
    bed_free(b);
}

TEST(set_starts_several_pods_at_a_time_when_told_to)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    patch_set(b, "{\"metadata\":{\"annotations\":{\"berth.dev/start-parallelism\":\"2\"}}}");
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "+redis-0 +redis-1 !redis-0 !redis-1 +redis-2 !redis-2 ");
    bed_free(b);
}

TEST(set_updates_the_pods_with_a_label_last)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    fake_client_patch(b->k.api, "", "Pod", "default", "redis-2", "",
                      "{\"metadata\":{\"labels\":{\"role\":\"primary\"}}}");
    annotate(b, "update-order", "last:role=primary");
    b->log[0] = '\0';
    set_image(b, "redis:8");
    check_log(b, "~redis-1 -redis-1 +redis-1 !redis-1 ~redis-0 -redis-0 +redis-0 !redis-0 "
                 "~redis-2 -redis-2 +redis-2 !redis-2 ");
    bed_free(b);
}

TEST(set_that_misses_its_deadline_goes_back_when_told_to)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    annotate(b, "progress-deadline", "10s");
    struct fake_node_options broken = {.start_ms = 10, .stop_ms = 10, .bind = true};
    broken.never_ready = true;
    fake_node_set(b->k.node, &broken);
    set_image(b, "redis:bad");
    CHECK_SPAN(json_get_str(set_condition(b, "Progressing"), "status"), "True");
    env_sim_run_for(b->k.env, 12000);
    CHECK_SPAN(json_get_str(set_condition(b, "Progressing"), "status"), "False");
    CHECK_SPAN(json_get_str(set_condition(b, "Progressing"), "reason"), "ProgressDeadlineExceeded");
    struct arena *a = arena_new();
    struct span bad = arena_dup(a, json_get_str(set_status(b), "updateRevision"));
    broken.never_ready = false;
    fake_node_set(b->k.node, &broken);
    b->log[0] = '\0';
    annotate(b, "auto-rollback", "true");
    check_log(b, "~redis-2 -redis-2 +redis-2 !redis-2 ");
    CHECK(!span_eq(json_get_str(set_status(b), "updateRevision"), bad));
    yyjson_val *progressing = set_condition(b, "Progressing");
    CHECK_SPAN(json_get_str(progressing, "reason"), "RolloutComplete");
    CHECK(span_ends(json_get_str(progressing, "message"),
                    arena_printf(a, "; rolled back from revision %.*s, which missed its deadline",
                                 SPAN_ARG(bad))));
    /* And stays there. */
    b->log[0] = '\0';
    env_sim_run_for(b->k.env, 60000);
    check_log(b, "");
    arena_free(a);
    bed_free(b);
}

TEST(spec_2_4_a_taken_revision_name_raises_the_collision_count)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    struct arena *a = arena_new();
    struct span name = arena_dup(a, json_get_str(set_status(b), "currentRevision"));
    bed_free(b);
    b = bed_new(0);
    struct span taken = arena_printf(a,
                                     "{\"kind\":\"ControllerRevision\",\"apiVersion\":\"apps/v1\","
                                     "\"metadata\":{\"name\":\"%.*s\"},\"data\":{},\"revision\":1}",
                                     SPAN_ARG(name));
    fake_client_create(b->k.api, taken.p);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    CHECK_EQ(json_get_int(set_status(b), "collisionCount", -1), 1);
    CHECK(!span_eq(json_get_str(set_status(b), "currentRevision"), name));
    arena_free(a);
    bed_free(b);
}

TEST(spec_2_6_without_rolling_update_pods_come_back_by_the_count_of_current_ones)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    patch_set(b, "{\"spec\":{\"updateStrategy\":{\"rollingUpdate\":null}}}");
    env_sim_run_for(b->k.env, 1000);
    struct fake_node_options slow = {.start_ms = 5000, .stop_ms = 10, .bind = true};
    fake_node_set(b->k.node, &slow);
    set_image(b, "redis:8"); /* redis-2 is being replaced: two current ones are left */
    fake_client_delete(b->k.api, "", "Pod", "default", "redis-0", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b->k.env, 1000);
    yyjson_val *c = json_path(object_root(pod(b, "redis-0")), "spec", "containers", NULL);
    CHECK_SPAN(json_get_str(yyjson_arr_get(c, 0), "image"), "redis:7");
    c = json_path(object_root(pod(b, "redis-2")), "spec", "containers", NULL);
    CHECK_SPAN(json_get_str(yyjson_arr_get(c, 0), "image"), "redis:8");
    bed_free(b);
}

TEST(spec_2_12_foreign_owners_of_a_claim_are_respected_and_weak_ones_of_ours_made_strong)
{
    struct bed *b = bed_new(0);
    fake_client_create(b->k.api, REDIS);
    env_sim_run_for(b->k.env, 1000);
    struct arena *a = arena_new();
    fake_client_patch(b->k.api, "", "PersistentVolumeClaim", "default", "data-redis-0", "",
                      "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":"
                      "\"ConfigMap\",\"name\":\"x\",\"uid\":\"u-x\",\"controller\":true}]}}");
    struct span uid = arena_dup(
        a, object_uid(fake_client_get(b->k.api, "apps", "StatefulSet", "default", "redis")));
    struct span weak = arena_printf(a,
                                    "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"apps/"
                                    "v1\",\"kind\":\"StatefulSet\",\"name\":\"redis\",\"uid\":"
                                    "\"%.*s\"}]}}",
                                    SPAN_ARG(uid));
    fake_client_patch(b->k.api, "", "PersistentVolumeClaim", "default", "data-redis-1", "", weak.p);
    patch_set(b, "{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":\"Delete\"}}"
                 "}");
    env_sim_run_for(b->k.env, 1000);
    struct object *claim =
        fake_client_get(b->k.api, "", "PersistentVolumeClaim", "default", "data-redis-0");
    CHECK_EQ(json_len(client_owners(claim)), 1);
    CHECK_SPAN(client_controller_uid(claim), "u-x");
    claim = fake_client_get(b->k.api, "", "PersistentVolumeClaim", "default", "data-redis-1");
    CHECK(span_eq(client_controller_uid(claim), uid));
    CHECK_EQ(json_len(client_owners(claim)), 1);
    arena_free(a);
    bed_free(b);
}

TEST(spec_2_14_a_pod_that_stays_terminating_is_not_replaced)
{
    struct bed *b = bed_running();
    /* Its node is lost: nobody confirms the stop. */
    struct fake_node_options lost = {.start_ms = 10, .stop_ms = 3600000, .bind = true};
    fake_node_set(b->k.node, &lost);
    fake_client_delete(b->k.api, "", "Pod", "default", "redis-1", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b->k.env, 600000);
    check_log(b, "~redis-1 ");
    CHECK_SPAN(json_get_str(set_condition(b, "Available"), "reason"), "PodTerminating");
    /* A person asserts that it is dead. */
    fake_client_delete(b->k.api, "", "Pod", "default", "redis-1", 0, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b->k.env, 1000);
    check_log(b, "-redis-1 +redis-1 !redis-1 ");
    bed_free(b);
}
