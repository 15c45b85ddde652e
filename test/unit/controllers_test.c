/* test/unit/controllers_test.c: all controllers together against a small API server and a node
 * without containers. */
#include "controller/controllers.h"

#include "client/client_body.h"
#include <errno.h>

#include "kit/controller_kit.h"
#include "kit/kit.h"
#include "schema/schema.h"
#include "sim/env_sim.h"
#include "sim/fake_client.h"
#include "sim/fake_node.h"

#define CLAIM_SPEC(class)                                                                          \
    "\"spec\":{\"accessModes\":[\"ReadWriteOnce\"]," class "\"resources\":{\"requests\":{"         \
                                                           "\"storage\":\"1Gi\"}}}"
#define LOCAL "\"storageClassName\":\"local\","

#define REDIS                                                                                      \
    "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"redis\"},"      \
    "\"spec\":{\"replicas\":3,\"serviceName\":\"redis\",\"selector\":{\"matchLabels\":{\"app\":"   \
    "\"redis\"}},\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":" \
    "0}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"redis\"}},\"spec\":{\"containers\":[{"  \
    "\"name\":\"redis\",\"image\":\"redis:7\"}]}},\"volumeClaimTemplates\":[{\"metadata\":{"       \
    "\"name\":\"data\"}," CLAIM_SPEC(LOCAL) "}]}}"

/* Disks as names in a list, made after a delay. */
struct disk {
    struct env_timer timer;
    volume_done_fn *done;
    void *data;
    char name[80];
    bool busy, present, removing;
    struct disks *of;
};
struct disks {
    struct env *env;
    struct disk at[16];
    size_t n;
    int fail, code; /* code: of failures */
    int64_t grown_bytes;
    bool used;
};

static void disk_done(struct env_timer *timer)
{
    struct disk *d = CONTAINER_OF(timer, struct disk, timer);
    char path[128];
    snprintf(path, sizeof path, "/data/volumes/%s", d->name);
    d->busy = false;
    bool failed = d->of->fail > 0;
    d->of->fail -= failed;
    d->present = failed ? d->present : !d->removing;
    if (d->done) {
        d->done(d->data, failed ? d->of->code : 0, failed ? SPAN("disk on fire") : span_cstr(path),
                SPAN_NULL);
    }
}

static void disk_start(struct disks *k, struct span name, bool removing, volume_done_fn *done,
                       void *data)
{
    struct disk *d = NULL;
    for (size_t i = 0; i < k->n; i++) {
        d = span_eq_cstr(name, k->at[i].name) ? &k->at[i] : d;
    }
    if (!d) {
        d = &k->at[k->n++];
        snprintf(d->name, sizeof d->name, "%.*s", SPAN_ARG(name));
    }
    CHECK(!d->busy);
    d->of = k;
    d->busy = true;
    d->removing = removing;
    d->done = done;
    d->data = data;
    env_timer_start(k->env, &d->timer, 5, disk_done);
}

static void disk_grow(void *data, struct span name, int64_t bytes, volume_done_fn *done,
                      void *done_data)
{
    struct disks *k = data;
    disk_start(data, name, false, done, done_data);
    k->grown_bytes = bytes;
}

static void disk_grow_files(void *data, struct span name, bool used, volume_done_fn *done,
                            void *done_data)
{
    struct disks *k = data;
    disk_start(data, name, false, done, done_data);
    k->used = used;
}

static void disk_create(void *data, struct span name, int64_t bytes, volume_done_fn *done,
                        void *done_data)
{
    CHECK_EQ(bytes, 1 << 30);
    disk_start(data, name, false, done, done_data);
}

static void disk_remove(void *data, struct span name, volume_done_fn *done, void *done_data)
{
    disk_start(data, name, true, done, done_data);
}

static void disk_cancel(void *data, void *done_data)
{
    struct disks *k = data;
    for (size_t i = 0; i < k->n; i++) {
        if (k->at[i].data == done_data) {
            k->at[i].done = NULL;
        }
    }
}

static size_t disks_present(const struct disks *k)
{
    size_t n = 0;
    for (size_t i = 0; i < k->n; i++) {
        n += k->at[i].present;
    }
    return n;
}

#define NO_VICTIMS                                                                                 \
    " preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
#define NO_HELP " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."

struct bed {
    struct env *env;
    struct fake_client *api;
    struct controllers *controllers;
    struct fake_node *node;
    struct disks disks;
    struct volume_ops ops;
};

static void bed_init(struct bed *b)
{
    *b = (struct bed){.env = env_sim_new(11)};
    b->api = fake_client_new(b->env);
    b->disks.env = b->env;
    b->disks.code = -1;
    b->ops = (struct volume_ops){&b->disks,       disk_create, disk_grow,
                                 disk_grow_files, disk_remove, disk_cancel};
    fake_client_create(
        b->api, "{\"kind\":\"StorageClass\",\"apiVersion\":\"storage.k8s.io/v1\",\"metadata\":{"
                "\"name\":\"local\",\"annotations\":{\"storageclass.kubernetes.io/"
                "is-default-class\":\"true\"}},\"provisioner\":\"berth.dev/local\","
                "\"reclaimPolicy\":\"Delete\",\"volumeBindingMode\":\"Immediate\"}");
    fake_client_create(
        b->api,
        "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"node-1\",\"labels\":"
        "{\"kubernetes.io/hostname\":\"node-1\"}},\"spec\":{},\"status\":{\"allocatable\":{"
        "\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"110\"},\"conditions\":[{\"type\":"
        "\"Ready\",\"status\":\"True\"}]}}");
    struct controllers_options options = {
        .node_name = SPAN("node-1"), .volume_dir = SPAN("/data/volumes"), .volumes = &b->ops};
    b->controllers = controllers_new(b->env, fake_client_base(b->api), &options);
    b->node = fake_node_new(fake_client_base(b->api),
                            &(struct fake_node_options){.start_ms = 10, .stop_ms = 10});
    env_sim_run_for(b->env, 0);
    CHECK(controllers_running(b->controllers));
}

static void bed_done(struct bed *b)
{
    fake_node_free(b->node);
    controllers_free(b->controllers);
    for (size_t i = 0; i < b->disks.n; i++) {
        env_timer_stop(b->env, &b->disks.at[i].timer);
    }
    fake_client_free(b->api);
    env_sim_free(b->env);
}

static struct object *get(struct bed *b, const char *kind, const char *name)
{
    bool cluster =
        !strcmp(kind, "Node") || !strcmp(kind, "PersistentVolume") || !strcmp(kind, "Namespace");
    return fake_client_get(b->api, "", kind, cluster ? "" : "default", name);
}

static struct span phase(struct bed *b, const char *kind, const char *name)
{
    struct object *o = get(b, kind, name);
    CHECK(o);
    return json_str(json_path(object_root(o), "status", "phase", NULL));
}

static size_t count(struct bed *b, const char *group, const char *kind)
{
    return fake_client_each(b->api, group, kind, NULL, NULL);
}

static int64_t events(struct bed *b, const char *reason, const char *message)
{
    return controller_kit_events(b->api, reason, message);
}

static void claim(struct bed *b, const char *name, const char *json)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"kind\":\"PersistentVolumeClaim\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%"
             "s\"},%s}",
             name, json);
    fake_client_create(b->api, text);
}

static void pod(struct bed *b, const char *name, const char *extra)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\"},\"spec\":{"
             "\"containers\":[{"
             "\"name\":\"c\",\"image\":\"x\"%s}",
             name, extra);
    fake_client_create(b->api, text);
}

TEST(platform_brings_a_set_with_fresh_claims_up_without_waiting_for_anything_but_the_node)
{
    struct bed b;
    bed_init(&b);
    fake_client_create(b.api, REDIS);
    env_sim_run_for(b.env, 3 * (10 + 5) + 1); /* containers and disks are all that takes time */
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "redis-%d", i);
        CHECK(client_condition_true(get(&b, "Pod", name), "Ready"));
        snprintf(name, sizeof name, "data-redis-%d", i);
        CHECK_SPAN(phase(&b, "PersistentVolumeClaim", name), "Bound");
    }
    CHECK_EQ(disks_present(&b.disks), 3);
    CHECK_EQ(count(&b, "", "PersistentVolume"), 3);
    CHECK_EQ(events(&b, "Scheduled", "Successfully assigned default/redis-1 to node-1"), 1);
    CHECK_EQ(events(&b, "FailedScheduling", NULL), 0);
    CHECK_EQ(events(&b, "ProvisioningSucceeded", NULL), 3);
    bed_done(&b);
}

TEST(platform_delete_of_a_set_keeps_claims_and_deleting_those_removes_their_disks)
{
    struct bed b;
    bed_init(&b);
    fake_client_create(b.api, REDIS);
    env_sim_run_for(b.env, 200);
    fake_client_delete(b.api, "apps", "StatefulSet", "default", "redis", -1,
                       CLIENT_PROPAGATION_BACKGROUND);
    fake_client_delete(b.api, "", "PersistentVolumeClaim", "default", "data-redis-0", -1,
                       CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.env, 5);
    CHECK(get(&b, "PersistentVolumeClaim", "data-redis-0")); /* its pod is still stopping */
    env_sim_run_for(b.env, 500);
    CHECK_EQ(count(&b, "", "Pod"), 0);
    CHECK_EQ(count(&b, "apps", "ControllerRevision"), 0);
    CHECK_EQ(count(&b, "", "PersistentVolumeClaim"), 2);
    CHECK_EQ(count(&b, "", "PersistentVolume"), 2);
    CHECK_EQ(disks_present(&b.disks), 2);
    bed_done(&b);
}

TEST(claim_volume_has_the_form_that_nodes_and_users_expect)
{
    struct bed b;
    bed_init(&b);
    claim(&b, "c", CLAIM_SPEC(LOCAL));
    env_sim_run_for(b.env, 100);
    struct object *c = get(&b, "PersistentVolumeClaim", "c");
    yyjson_val *spec = json_get(object_root(c), "spec");
    char name[80], path[128];
    snprintf(name, sizeof name, "pvc-%.*s", SPAN_ARG(object_uid(c)));
    CHECK_SPAN(json_get_str(spec, "volumeName"), name);
    yyjson_val *pv = json_get(object_root(get(&b, "PersistentVolume", name)), "spec");
    snprintf(path, sizeof path, "/data/volumes/%s", name);
    CHECK_SPAN(json_str(json_path(pv, "local", "path", NULL)), path);
    CHECK_SPAN(json_get_str(pv, "persistentVolumeReclaimPolicy"), "Delete");
    CHECK_SPAN(json_get_str(pv, "storageClassName"), "local");
    CHECK_SPAN(json_str(json_path(pv, "capacity", "storage", NULL)), "1Gi");
    CHECK(span_eq(json_str(json_path(pv, "claimRef", "uid", NULL)), object_uid(c)));
    CHECK(json_path(pv, "nodeAffinity", "required", "nodeSelectorTerms", NULL));
    CHECK_SPAN(phase(&b, "PersistentVolume", name), "Bound");
    CHECK_SPAN(json_str(json_path(object_root(c), "status", "capacity", "storage", NULL)), "1Gi");
    bed_done(&b);
}

TEST(claim_without_a_class_gets_the_default_and_one_of_no_class_waits)
{
    struct bed b;
    bed_init(&b);
    claim(&b, "unset", CLAIM_SPEC(""));
    claim(&b, "none", CLAIM_SPEC("\"storageClassName\":\"\","));
    claim(&b, "typo", CLAIM_SPEC("\"storageClassName\":\"locl\","));
    env_sim_run_for(b.env, 100);
    CHECK_SPAN(phase(&b, "PersistentVolumeClaim", "unset"), "Bound");
    CHECK_SPAN(phase(&b, "PersistentVolumeClaim", "none"), "Pending");
    CHECK_SPAN(phase(&b, "PersistentVolumeClaim", "typo"), "Pending");
    pod(&b, "p",
        "}],\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"typo\"}}]}");
    env_sim_run_for(b.env, 2000);
    CHECK(span_ends(
        json_get_str(client_condition(get(&b, "Pod", "p"), "PodScheduled"), "message"),
        SPAN("PersistentVolumeClaims: typo: StorageClass \"locl\" does not exist." NO_HELP)));
    CHECK(events(&b, "FailedBinding",
                 "no persistent volumes available for this claim and no storage class is set") >=
          1);
    CHECK(events(&b, "ProvisioningFailed", "storageclass.storage.k8s.io \"locl\" not found") >= 1);
    bed_done(&b);
}

static void static_volume(struct bed *b, const char *name, const char *size, const char *policy)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"kind\":\"PersistentVolume\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\"},"
             "\"spec\":{\"capacity\":"
             "{\"storage\":\"%s\"},\"accessModes\":[\"ReadWriteOnce\"],\"hostPath\":{\"path\":\"/"
             "srv/%s\"},"
             "\"persistentVolumeReclaimPolicy\":\"%s\"}}",
             name, size, name, policy);
    fake_client_create(b->api, text);
}

TEST(claim_takes_the_smallest_static_volume_and_retain_keeps_it)
{
    struct bed b;
    bed_init(&b);
    claim(&b, "c", CLAIM_SPEC("\"storageClassName\":\"\","));
    env_sim_run_for(b.env, 10);
    static_volume(&b, "big", "9Gi", "Retain");
    static_volume(&b, "small", "512Mi", "Retain");
    env_sim_run_for(b.env, 10);
    CHECK_SPAN(json_str(json_path(object_root(get(&b, "PersistentVolumeClaim", "c")), "spec",
                                  "volumeName", NULL)),
               "big");
    CHECK_SPAN(phase(&b, "PersistentVolume", "big"), "Bound");
    CHECK_SPAN(phase(&b, "PersistentVolume", "small"), "Available");
    fake_client_delete(b.api, "", "PersistentVolumeClaim", "default", "c", -1,
                       CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.env, 50);
    CHECK_SPAN(phase(&b, "PersistentVolume", "big"), "Released");
    claim(&b, "c", CLAIM_SPEC("\"storageClassName\":\"\","));
    env_sim_run_for(b.env, 50);
    CHECK_SPAN(phase(&b, "PersistentVolumeClaim", "c"), "Pending"); /* not the old one's volume */
    bed_done(&b);
}

TEST(claim_disk_failures_are_told_and_retried)
{
    struct bed b;
    bed_init(&b);
    b.disks.fail = 2;
    claim(&b, "c", CLAIM_SPEC(LOCAL));
    env_sim_run_for(b.env, 1000);
    CHECK_SPAN(phase(&b, "PersistentVolumeClaim", "c"), "Bound");
    CHECK_EQ(events(&b, "ProvisioningFailed",
                    "failed to provision volume with StorageClass \"local\": disk on fire"),
             2);
    b.disks.fail = 2;
    fake_client_delete(b.api, "", "PersistentVolumeClaim", "default", "c", -1,
                       CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.env, 1000);
    CHECK_EQ(events(&b, "VolumeFailedDelete", "disk on fire"), 2);
    CHECK_EQ(count(&b, "", "PersistentVolume"), 0);
    CHECK_EQ(disks_present(&b.disks), 0);
    bed_done(&b);
}

TEST(claim_deleted_while_its_disk_is_made_leaves_no_disk)
{
    struct bed b;
    bed_init(&b);
    claim(&b, "c", CLAIM_SPEC(LOCAL));
    env_sim_run_for(b.env, 1);
    fake_client_delete(b.api, "", "PersistentVolumeClaim", "default", "c", -1,
                       CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.env, 500);
    CHECK_EQ(count(&b, "", "PersistentVolumeClaim"), 0);
    CHECK_EQ(count(&b, "", "PersistentVolume"), 0);
    CHECK_EQ(disks_present(&b.disks), 0);
    bed_done(&b);
}

/* ---- growth ---- */

static void ask(struct bed *b, const char *size)
{
    char text[128];
    snprintf(text, sizeof text, "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"%s\"}}}}",
             size);
    fake_client_patch(b->api, "", "PersistentVolumeClaim", "default", "c", "", text);
}

static struct span of_status(struct bed *b, const char *member)
{
    return json_str(json_path(object_root(get(b, "PersistentVolumeClaim", "c")), "status", member,
                              "storage", NULL));
}

static struct span of_volume(struct bed *b)
{
    char name[80];
    snprintf(name, sizeof name, "pvc-%.*s",
             SPAN_ARG(object_uid(get(b, "PersistentVolumeClaim", "c"))));
    return json_str(json_path(object_root(get(b, "PersistentVolume", name)), "spec", "capacity",
                              "storage", NULL));
}

static size_t condition_count(struct bed *b)
{
    return json_len(
        json_path(object_root(get(b, "PersistentVolumeClaim", "c")), "status", "conditions", NULL));
}

/* The binder's write of the claim, three times. */
static enum err_reason claim_is_refused(void *data, const struct client_request *rq)
{
    int *left = data;
    bool is_it = rq->verb == CLIENT_PATCH_MERGE && rq->subresource.n == 0 &&
                 strcmp(rq->kind->kind, "PersistentVolumeClaim") == 0;
    return is_it && (*left)-- > 0 ? ERR_UNAVAILABLE : ERR_NONE;
}

TEST(claim_that_says_bound_names_its_volume)
{
    struct bed b;
    bed_init(&b);
    int left = 3;
    fake_client_fault(b.api, claim_is_refused, &left);
    claim(&b, "c", CLAIM_SPEC(LOCAL));
    bool is_bound = false;
    for (int ms = 0; ms < 20000 && !is_bound; ms++) {
        env_sim_run_for(b.env, 1);
        const yyjson_val *root = object_root(get(&b, "PersistentVolumeClaim", "c"));
        is_bound = span_eq(json_str(json_path(root, "status", "phase", NULL)), SPAN("Bound"));
        CHECK(!is_bound || json_path(root, "spec", "volumeName", NULL));
    }
    CHECK(is_bound);
    CHECK(left < 0);
    bed_done(&b);
}

TEST(claim_grows_in_kubernetes_order_while_its_pod_runs)
{
    struct bed b;
    bed_init(&b);
    claim(&b, "c", CLAIM_SPEC(LOCAL));
    pod(&b, "p",
        "}],\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"c\"}}]}");
    env_sim_run_for(b.env, 100);
    ask(&b, "2Gi");
    env_sim_run_for(b.env, 2); /* the disk takes five */
    CHECK_SPAN(of_status(&b, "allocatedResources"), "2Gi");
    CHECK_SPAN(of_status(&b, "allocatedResourceStatuses"), "ControllerResizeInProgress");
    CHECK(client_condition_true(get(&b, "PersistentVolumeClaim", "c"), "Resizing"));
    CHECK_SPAN(of_volume(&b), "1Gi");
    env_sim_run_for(b.env, 5);
    CHECK_EQ(b.disks.grown_bytes, 2LL << 30);
    CHECK_SPAN(of_volume(&b), "2Gi"); /* first */
    CHECK_SPAN(of_status(&b, "capacity"), "1Gi");
    CHECK_SPAN(of_status(&b, "allocatedResourceStatuses"), "NodeResizePending");
    CHECK(client_condition_true(get(&b, "PersistentVolumeClaim", "c"), "FileSystemResizePending"));
    CHECK_EQ(condition_count(&b), 1);
    env_sim_run_for(b.env, 5);
    CHECK(b.disks.used);
    CHECK_SPAN(of_status(&b, "capacity"), "2Gi");
    CHECK_SPAN(of_status(&b, "allocatedResources"), "2Gi");
    CHECK_SPAN(of_status(&b, "allocatedResourceStatuses"), "");
    CHECK_EQ(condition_count(&b), 0);
    char text[160];
    snprintf(text, sizeof text,
             "MountVolume.NodeExpandVolume succeeded for volume \"pvc-%.*s\" node-1",
             SPAN_ARG(object_uid(get(&b, "PersistentVolumeClaim", "c"))));
    CHECK_EQ(events(&b, "FileSystemResizeSuccessful", text), 2); /* of the claim and of the pod */
    CHECK_EQ(events(&b, "Resizing", NULL), 1);
    CHECK_EQ(events(&b, "FileSystemResizeRequired", NULL), 1);
    bed_done(&b);
}

TEST(claim_that_cannot_grow_says_why_and_may_ask_for_less)
{
    struct bed b;
    bed_init(&b);
    claim(&b, "c", CLAIM_SPEC(LOCAL));
    env_sim_run_for(b.env, 100);
    b.disks.fail = 1000;
    b.disks.code = -ENOSPC;
    ask(&b, "9Gi");
    env_sim_run_for(b.env, 50);
    CHECK_SPAN(of_status(&b, "allocatedResourceStatuses"), "ControllerResizeInfeasible");
    CHECK_SPAN(json_get_str(
                   client_condition(get(&b, "PersistentVolumeClaim", "c"), "ControllerResizeError"),
                   "message"),
               "failed to expand pvc with disk on fire");
    CHECK_SPAN(of_volume(&b), "1Gi");
    CHECK(events(&b, "VolumeResizeFailed", NULL) >= 1);
    int64_t rev = object_rev(get(&b, "PersistentVolumeClaim", "c"));
    env_sim_run_for(b.env, 5000); /* tried again, and nothing new to say */
    CHECK_EQ(object_rev(get(&b, "PersistentVolumeClaim", "c")), rev);
    ask(&b, "3Gi");
    env_sim_run_for(b.env, 50);
    b.disks.fail = 0;
    env_sim_run_for(b.env, 60000); /* a back-off */
    CHECK_SPAN(of_status(&b, "capacity"), "3Gi");
    CHECK_SPAN(of_volume(&b), "3Gi");
    CHECK_EQ(b.disks.grown_bytes, 3LL << 30);
    CHECK_EQ(condition_count(&b), 0);
    bed_done(&b);
}

TEST(claim_whose_file_system_can_only_grow_unused_waits_for_its_pods)
{
    struct bed b;
    bed_init(&b);
    claim(&b, "c", CLAIM_SPEC(LOCAL));
    pod(&b, "p",
        "}],\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"c\"}}]}");
    env_sim_run_for(b.env, 100);
    ask(&b, "2Gi");
    env_sim_run_for(b.env, 8);
    b.disks.fail = 1000;
    b.disks.code = -EBUSY;
    env_sim_run_for(b.env, 1000);
    CHECK_SPAN(of_volume(&b), "2Gi");
    CHECK_SPAN(of_status(&b, "capacity"), "1Gi");
    CHECK_SPAN(of_status(&b, "allocatedResourceStatuses"), "NodeResizePending");
    CHECK(client_condition_true(get(&b, "PersistentVolumeClaim", "c"), "FileSystemResizePending"));
    CHECK_EQ(events(&b, "VolumeResizeFailed", NULL), 0);
    b.disks.fail = 0;
    fake_client_delete(b.api, "", "Pod", "default", "p", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.env, 100);
    CHECK_SPAN(of_status(&b, "capacity"), "2Gi");
    bed_done(&b);
}

TEST(claim_deleted_while_its_disk_grows_leaves_no_disk)
{
    for (int64_t wait = 0; wait < 15; wait++) {
        struct bed b;
        bed_init(&b);
        claim(&b, "c", CLAIM_SPEC(LOCAL));
        env_sim_run_for(b.env, 100);
        ask(&b, "2Gi");
        env_sim_run_for(b.env, wait);
        fake_client_delete(b.api, "", "PersistentVolumeClaim", "default", "c", -1,
                           CLIENT_PROPAGATION_DEFAULT);
        env_sim_run_for(b.env, 500);
        CHECK_EQ(count(&b, "", "PersistentVolumeClaim"), 0);
        CHECK_EQ(count(&b, "", "PersistentVolume"), 0);
        CHECK_EQ(disks_present(&b.disks), 0);
        bed_done(&b);
    }
}

/* Every stage is written down: the next controllers go on. */
TEST(claim_grows_on_when_the_controllers_are_new)
{
    for (int64_t wait = 0; wait < 15; wait++) {
        struct bed b;
        bed_init(&b);
        claim(&b, "c", CLAIM_SPEC(LOCAL));
        env_sim_run_for(b.env, 100);
        ask(&b, "2Gi");
        env_sim_run_for(b.env, wait);
        controllers_free(b.controllers);
        for (size_t i = 0; i < b.disks.n; i++) {
            env_timer_stop(b.env, &b.disks.at[i].timer);
            b.disks.at[i].busy = false;
        }
        struct controllers_options options = {
            .node_name = SPAN("node-1"), .volume_dir = SPAN("/data/volumes"), .volumes = &b.ops};
        b.controllers = controllers_new(b.env, fake_client_base(b.api), &options);
        env_sim_run_for(b.env, 100);
        CHECK_SPAN(of_volume(&b), "2Gi");
        CHECK_SPAN(of_status(&b, "capacity"), "2Gi");
        CHECK_EQ(condition_count(&b), 0);
        bed_done(&b);
    }
}

TEST(claim_of_somebody_elses_volume_waits_for_somebody_else)
{
    struct bed b;
    bed_init(&b);
    static_volume(&b, "v", "1Gi", "Retain");
    claim(&b, "c", CLAIM_SPEC("\"storageClassName\":\"\","));
    env_sim_run_for(b.env, 50);
    ask(&b, "2Gi");
    env_sim_run_for(b.env, 50);
    CHECK_SPAN(of_status(&b, "capacity"), "1Gi");
    CHECK_SPAN(of_status(&b, "allocatedResources"), "");
    CHECK_EQ(
        events(&b, "ExternalExpanding", "waiting for an external controller to expand this PVC"),
        1);
    bed_done(&b);
}

TEST(claim_of_a_class_that_waits_is_bound_where_its_pod_goes)
{
    struct bed b;
    bed_init(&b);
    fake_client_create(
        b.api,
        "{\"kind\":\"StorageClass\",\"apiVersion\":\"storage.k8s.io/v1\",\"metadata\":{\"name\":"
        "\"late\"},\"provisioner\":\"berth.dev/local\",\"volumeBindingMode\":"
        "\"WaitForFirstConsumer\"}");
    claim(&b, "c", CLAIM_SPEC("\"storageClassName\":\"late\","));
    env_sim_run_for(b.env, 100);
    CHECK_SPAN(phase(&b, "PersistentVolumeClaim", "c"), "Pending");
    CHECK(events(&b, "WaitForFirstConsumer",
                 "waiting for first consumer to be created before binding") >= 1);
    pod(&b, "p",
        "}],\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"c\"}}]}");
    env_sim_run_for(b.env, 100);
    CHECK_SPAN(phase(&b, "PersistentVolumeClaim", "c"), "Bound");
    CHECK(client_condition_true(get(&b, "Pod", "p"), "Ready"));
    bed_done(&b);
}

TEST(scheduler_says_why_and_binds_when_it_can)
{
    struct bed b;
    bed_init(&b);
    pod(&b, "big", ",\"resources\":{\"requests\":{\"cpu\":\"3\"}}}]}");
    env_sim_run_for(b.env, 20);
    pod(&b, "other", ",\"resources\":{\"requests\":{\"cpu\":\"2\"}}}]}");
    pod(&b, "lost",
        "}],\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"nope\"}}]}");
    pod(&b, "picky", "}],\"nodeSelector\":{\"disk\":\"ssd\"}}");
    env_sim_run_for(b.env, 20);
    CHECK_EQ(
        events(&b, "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu." NO_VICTIMS),
        1);
    CHECK_EQ(events(&b, "FailedScheduling",
                    "0/1 nodes are available: persistentvolumeclaim \"nope\" not found." NO_HELP),
             1);
    CHECK_EQ(events(&b, "FailedScheduling",
                    "0/1 nodes are available: 1 node(s) didn't match Pod's node "
                    "affinity/selector." NO_HELP),
             1);
    yyjson_val *condition = client_condition(get(&b, "Pod", "other"), "PodScheduled");
    CHECK_SPAN(json_get_str(condition, "reason"), "Unschedulable");
    fake_client_delete(b.api, "", "Pod", "default", "big", -1, CLIENT_PROPAGATION_DEFAULT);
    fake_client_patch(b.api, "", "Node", "", "node-1", "",
                      "{\"metadata\":{\"labels\":{\"disk\":\"ssd\"}}}");
    env_sim_run_for(b.env, 100);
    CHECK(client_condition_true(get(&b, "Pod", "other"), "Ready"));
    CHECK(client_condition_true(get(&b, "Pod", "picky"), "Ready"));
    fake_client_patch(b.api, "", "Node", "", "node-1", "", "{\"spec\":{\"unschedulable\":true}}");
    env_sim_run_for(b.env, 10);
    pod(&b, "late", "}]}");
    env_sim_run_for(b.env, 10);
    CHECK_EQ(events(&b, "FailedScheduling",
                    "0/1 nodes are available: 1 node(s) were unschedulable." NO_HELP),
             1);
    bed_done(&b);
}

TEST(scheduler_counts_by_name_what_a_node_advertises)
{
    struct bed b;
    bed_init(&b);
    const char *three = ",\"resources\":{\"requests\":{\"acme.com/dongle\":\"3\"}}}]}";
#define NO_DONGLE "0/1 nodes are available: 1 Insufficient acme.com/dongle."
    pod(&b, "a", three);
    env_sim_run_for(b.env, 100);
    CHECK_EQ(events(&b, "FailedScheduling", NO_DONGLE NO_HELP), 1);
    fake_client_patch(b.api, "", "Node", "", "node-1", "status",
                      "{\"status\":{\"allocatable\":{\"acme.com/dongle\":\"4\"}}}");
    env_sim_run_for(b.env, 100);
    CHECK(client_condition_true(get(&b, "Pod", "a"), "Ready"));
    pod(&b, "b", three);
    pod(&b, "c", "}]}");
    env_sim_run_for(b.env, 100);
    CHECK(client_condition_true(get(&b, "Pod", "c"), "Ready"));
    CHECK_EQ(events(&b, "FailedScheduling", NO_DONGLE NO_VICTIMS), 1);
    fake_client_delete(b.api, "", "Pod", "default", "a", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.env, 100);
    CHECK(client_condition_true(get(&b, "Pod", "b"), "Ready"));
    bed_done(&b);
}

TEST(scheduler_gives_a_host_port_to_one_pod_at_a_time)
{
    struct bed b;
    bed_init(&b);
    const char *why = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested "
                      "pod ports. Pod default/a has host port 80 of node node-1." NO_VICTIMS;
    pod(&b, "a", ",\"ports\":[{\"containerPort\":1,\"hostPort\":80}]}]}");
    pod(&b, "b", ",\"ports\":[{\"containerPort\":1,\"hostPort\":80}]}]}");
    pod(&b, "c", ",\"ports\":[{\"containerPort\":1,\"hostPort\":80,\"protocol\":\"UDP\"}]}]}");
    env_sim_run_for(b.env, 100);
    CHECK(client_condition_true(get(&b, "Pod", "a"), "Ready"));
    CHECK(client_condition_true(get(&b, "Pod", "c"), "Ready"));
    CHECK_EQ(events(&b, "FailedScheduling", why), 1);
    fake_client_delete(b.api, "", "Pod", "default", "a", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.env, 100);
    CHECK(client_condition_true(get(&b, "Pod", "b"), "Ready"));
    bed_done(&b);
}

TEST(node_object_deleted_frees_its_pods_after_the_quarantine)
{
    struct bed b;
    bed_init(&b);
    pod(&b, "p", "}]}");
    env_sim_run_for(b.env, 100);
    fake_client_delete(b.api, "", "Node", "", "node-1", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.env, 30000);
    CHECK(get(&b, "Pod", "p"));
    env_sim_run_for(b.env, 11000);
    CHECK(!get(&b, "Pod", "p"));
    bed_done(&b);
}
