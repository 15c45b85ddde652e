/* test/unit/statefulset_rules_test.c: the rules of Kubernetes' StatefulSet controller that no other
 * test proves, each named by it. */
#include "schema/schema.h"
#include "test/kit/set_kit.h"

#define SET(replicas, spec)                                                                        \
    "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"web\","         \
    "\"annotations\":{\"kubernetes.io/"                                                            \
    "change-cause\":\"first\"}},\"spec\":{\"replicas\":" #replicas                                 \
    ",\"serviceName\":\"web\",\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"template\":{"     \
    "\"metadata\":{\"labels\":{\"app\":\"web\",\"tier\":\"x\"}},\"spec\":{\"containers\":[{"       \
    "\"name\":\"c\",\"image\":\"i:1\"}]}}" spec "}}"
#define CLAIMS                                                                                     \
    ",\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"d\",\"annotations\":{\"a\":\"b\"}},"     \
    "\"spec\":{\"accessModes\":[\"ReadWriteOnce\"]}}]"
#define IMAGE(tag)                                                                                 \
    "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i:" tag "\"}]" \
    "}}}}"
#define ROLLING(params)                                                                            \
    ",\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{" params "}}"

static struct set_kit *set_up(const char *set)
{
    struct set_kit *k = set_kit_new();
    fake_client_create(k->base.api, set);
    set_kit_run(k, 1000);
    return k;
}

static int64_t count(struct set_kit *k, const char *key)
{
    return json_get_int(set_kit_status(k, "web"), key, -1);
}

static struct span label(struct object *o, const char *name)
{
    return json_get_str(json_path(object_root(o), "metadata", "labels", NULL), name);
}

static struct span uid_of(struct set_kit *k, struct arena *a, const char *kind, const char *name)
{
    struct object *o = set_kit_get(k, kind, name);
    return o ? arena_dup(a, object_uid(o)) : SPAN_NULL;
}

static struct span image_of(struct set_kit *k, const char *pod)
{
    yyjson_val *containers =
        json_path(object_root(set_kit_get(k, "Pod", pod)), "spec", "containers", NULL);
    return json_get_str(yyjson_arr_get(containers, 0), "image");
}

/* ---- 2.1: what triggers ---- */

TEST(spec_2_1_time_alone_makes_pods_available)
{
    struct set_kit *k = set_up(SET(2, ",\"minReadySeconds\":5"));
    CHECK_EQ(count(k, "readyReplicas"), 1);
    CHECK_EQ(count(k, "availableReplicas"), 0);
    CHECK(!set_kit_get(k, "Pod", "web-1")); /* waits for web-0 to be available */
    set_kit_run(k, 6000);
    CHECK(set_kit_get(k, "Pod", "web-1"));
    CHECK_EQ(count(k, "availableReplicas"), 1);
    set_kit_run(k, 6000);
    CHECK_EQ(count(k, "availableReplicas"), 2);
    set_kit_free(k);
}

/* ---- 2.2: identity ---- */

TEST(spec_2_2_ordinals_begin_where_the_set_says)
{
    struct set_kit *k = set_up(SET(2, ",\"ordinals\":{\"start\":3}" CLAIMS));
    CHECK(!set_kit_get(k, "Pod", "web-0"));
    struct object *pod = set_kit_get(k, "Pod", "web-4");
    CHECK(set_kit_get(k, "Pod", "web-3") && pod && !set_kit_get(k, "Pod", "web-5"));
    CHECK_SPAN(label(pod, "apps.kubernetes.io/pod-index"), "4");
    CHECK_SPAN(label(pod, "statefulset.kubernetes.io/pod-name"), "web-4");
    CHECK(set_kit_get(k, "PersistentVolumeClaim", "d-web-4"));
    set_kit_patch_set(k, "web", "{\"spec\":{\"ordinals\":{\"start\":2}}}");
    set_kit_run(k, 1000);
    CHECK(set_kit_get(k, "Pod", "web-2") && set_kit_get(k, "Pod", "web-3"));
    CHECK(!set_kit_get(k, "Pod", "web-4"));
    set_kit_free(k);
}

TEST(spec_2_2_a_pod_has_the_notes_and_finalizers_of_its_template)
{
    struct set_kit *k = set_kit_new();
    fake_client_create(
        k->base.api,
        "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"web\","
        "\"labels\":{\"of\":\"set\"}},\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{"
        "\"app\":\"web\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"},"
        "\"annotations\":{\"a\":\"b\"},\"finalizers\":[\"x/y\"]},\"spec\":{\"containers\":[{"
        "\"name\":\"c\",\"image\":\"i\"}]}}}}");
    set_kit_run(k, 1000);
    yyjson_val *pod = object_root(set_kit_get(k, "Pod", "web-0"));
    yyjson_val *meta = json_get(pod, "metadata");
    CHECK_EQ(json_len(json_get(meta, "labels")), 4); /* the template's and three of its own */
    CHECK_EQ(json_len(json_get(meta, "annotations")), 1);
    CHECK_SPAN(json_get_str(json_get(meta, "annotations"), "a"), "b");
    CHECK_SPAN(json_str(yyjson_arr_get(json_get(meta, "finalizers"), 0)), "x/y");
    CHECK(!json_get(json_get(pod, "spec"), "subdomain")); /* the set names no service */
    set_kit_free(k);
}

/* ---- 2.3: adoption and release ---- */

static void make_pod(struct set_kit *k, const char *name, const char *more)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
                   "\"labels\":{\"app\":\"web\"}%s},\"spec\":{\"nodeName\":\"n\"},\"status\":{"
                   "\"phase\":\"Running\"}}",
                   name, more);
    fake_client_create(k->base.api, text);
}

TEST(spec_2_3_only_an_orphan_with_the_sets_name_and_labels_is_adopted)
{
    static const struct {
        const char *name, *more;
        bool taken;
    } rows[] = {{"web-1", "", true},
                {"web-7", "", true}, /* beyond the range: adopted, and then scaled away */
                {"other-1", "", false},
                {"web-x", "", false},
                {"web-01", "", false},
                {"web-1",
                 ",\"finalizers\":[\"a/b\"],\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"", false},
                {"web-1",
                 ",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":"
                 "\"m\",\"uid\":\"u\",\"controller\":true}]",
                 false},
                {"web-1",
                 ",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":"
                 "\"m\",\"uid\":\"u\"}]",
                 true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup_arena struct arena *a = arena_new();
        struct set_kit *k = set_up(SET(1, ""));
        make_pod(k, rows[i].name, rows[i].more);
        struct span was = uid_of(k, a, "Pod", rows[i].name);
        struct span set = arena_dup(a, object_uid(set_kit_set(k, "web")));
        set_kit_run(k, 5);
        struct object *pod = set_kit_get(k, "Pod", rows[i].name);
        CHECK(pod && span_eq(object_uid(pod), was));
        CHECK_EQ(span_eq(client_controller_uid(pod), set), rows[i].taken);
        if (rows[i].taken && rows[i].more[0]) {
            CHECK_EQ(json_len(client_owners(pod)), 2); /* the other owner stays */
        }
        set_kit_free(k);
    }
}

TEST(spec_2_3_a_pod_of_the_set_whose_name_is_not_the_sets_is_released)
{
    struct set_kit *k = set_up(SET(1, ""));
    char refs[512];
    (void)snprintf(refs, sizeof refs,
                   ",\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\","
                   "\"name\":\"web\",\"uid\":\"%.*s\",\"controller\":true},{\"apiVersion\":\"v1\","
                   "\"kind\":\"ConfigMap\",\"name\":\"m\",\"uid\":\"u\"}]",
                   SPAN_ARG(object_uid(set_kit_set(k, "web"))));
    make_pod(k, "stranger", refs);
    set_kit_run(k, 1000);
    struct object *pod = set_kit_get(k, "Pod", "stranger");
    CHECK(pod && !client_controller_of(pod));
    CHECK_EQ(json_len(client_owners(pod)), 1);
    CHECK_EQ(count(k, "replicas"), 1);
    set_kit_free(k);
}

TEST(spec_2_3_a_set_being_deleted_releases_nothing)
{
    struct set_kit *k = set_up(SET(1, ""));
    set_kit_patch_set(k, "web", "{\"metadata\":{\"finalizers\":[\"a/b\"]}}");
    fake_client_delete(k->base.api, "apps", "StatefulSet", "default", "web", -1,
                       CLIENT_PROPAGATION_BACKGROUND);
    set_kit_patch(k, "Pod", "web-0", "{\"metadata\":{\"labels\":{\"app\":\"other\"}}}");
    set_kit_run(k, 1000);
    CHECK(object_is_deleting(set_kit_set(k, "web")));
    CHECK(client_controller_of(set_kit_get(k, "Pod", "web-0")));
    set_kit_free(k);
}

/* The way to change what is immutable: the set goes, its pods stay, another set takes them. */
TEST(spec_2_13_a_new_set_takes_over_what_an_orphaned_one_left)
{
    cleanup_arena struct arena *a = arena_new();
    struct set_kit *k = set_up(SET(2, ""));
    struct span pod = uid_of(k, a, "Pod", "web-1");
    struct span revision = arena_dup(a, json_get_str(set_kit_status(k, "web"), "updateRevision"));
    const char *name = arena_cstr(a, revision);
    fake_client_patch(k->base.api, "apps", "ControllerRevision", "default", name, "",
                      "{\"metadata\":{\"ownerReferences\":null}}");
    fake_client_delete(k->base.api, "apps", "StatefulSet", "default", "web", 0,
                       CLIENT_PROPAGATION_BACKGROUND);
    set_kit_patch(k, "Pod", "web-0", "{\"metadata\":{\"ownerReferences\":null}}");
    set_kit_patch(k, "Pod", "web-1", "{\"metadata\":{\"ownerReferences\":null}}");
    set_kit_run(k, 1000);
    CHECK(!set_kit_set(k, "web"));
    fake_client_create(k->base.api, SET(2, ",\"podManagementPolicy\":\"Parallel\""));
    set_kit_run(k, 1000);
    CHECK(span_eq(uid_of(k, a, "Pod", "web-1"), pod)); /* the very same */
    struct span set = object_uid(set_kit_set(k, "web"));
    CHECK(span_eq(client_controller_uid(set_kit_get(k, "Pod", "web-0")), set));
    CHECK(span_eq(client_controller_uid(set_kit_get(k, "Pod", "web-1")), set));
    CHECK_EQ(fake_client_each(k->base.api, "apps", "ControllerRevision", NULL, NULL), 1);
    CHECK(span_eq(json_get_str(set_kit_status(k, "web"), "updateRevision"), revision));
    set_kit_free(k);
}

/* ---- 2.4: revisions ---- */

static struct object *revision(struct set_kit *k, const char *which)
{
    cleanup_arena struct arena *a = arena_new();
    const char *name = arena_cstr(a, json_get_str(set_kit_status(k, "web"), which));
    return fake_client_get(k->base.api, "apps", "ControllerRevision", "default", name);
}

TEST(spec_2_4_a_revision_has_the_labels_notes_owner_and_name_of_kubernetes)
{
    cleanup_arena struct arena *a = arena_new();
    struct set_kit *k = set_up(SET(1, ""));
    struct object *o = revision(k, "updateRevision");
    yyjson_val *root = object_root(o);
    struct span hash = label(o, "controller.kubernetes.io/hash");
    CHECK(hash.n > 0);
    CHECK(span_eq(object_name(o), arena_printf(a, "web-%.*s", SPAN_ARG(hash))));
    CHECK_SPAN(label(o, "app"), "web");
    CHECK_SPAN(label(o, "tier"), "x");
    CHECK_EQ(json_len(json_path(root, "metadata", "labels", NULL)), 3);
    CHECK_SPAN(json_get_str(json_path(root, "metadata", "annotations", NULL),
                            "kubernetes.io/change-cause"),
               "first");
    yyjson_val *owner = client_controller_of(o);
    CHECK(span_eq(json_get_str(owner, "uid"), object_uid(set_kit_set(k, "web"))));
    CHECK(json_get_bool(owner, "blockOwnerDeletion", false));
    CHECK_EQ(json_get_int(root, "revision", 0), 1);
    /* The pod's label holds the whole name, not the hash alone. */
    CHECK(
        span_eq(label(set_kit_get(k, "Pod", "web-0"), "controller-revision-hash"), object_name(o)));
    CHECK_SPAN(json_write(a, json_get(root, "data")),
               "{\"spec\":{\"template\":{\"$patch\":\"replace\",\"metadata\":{\"labels\":{\"app\":"
               "\"web\",\"tier\":\"x\"}},\"spec\":{\"containers\":[{\"image\":\"i:1\",\"name\":"
               "\"c\"}]}}}}");
    set_kit_free(k);
}

TEST(spec_2_4_going_back_gives_the_old_revision_the_next_number)
{
    cleanup_arena struct arena *a = arena_new();
    struct set_kit *k = set_up(SET(1, ROLLING("\"partition\":0")));
    struct span first = arena_dup(a, object_name(revision(k, "updateRevision")));
    set_kit_patch_set(k, "web", IMAGE("2"));
    set_kit_run(k, 1000);
    CHECK(!span_eq(object_name(revision(k, "updateRevision")), first));
    CHECK_EQ(json_get_int(object_root(revision(k, "updateRevision")), "revision", 0), 2);
    set_kit_patch_set(k, "web", IMAGE("1"));
    set_kit_run(k, 1000);
    CHECK(span_eq(object_name(revision(k, "updateRevision")), first));
    CHECK_EQ(json_get_int(object_root(revision(k, "updateRevision")), "revision", 0), 3);
    CHECK_EQ(fake_client_each(k->base.api, "apps", "ControllerRevision", NULL, NULL), 2);
    CHECK_SPAN(image_of(k, "web-0"), "i:1");
    set_kit_free(k);
}

TEST(spec_2_4_history_keeps_what_pods_are_at_and_the_limit)
{
    static const struct {
        const char *limit, *rolling;
        size_t kept;
    } rows[] = {{"0", "\"partition\":0", 1},
                {"1", "\"partition\":0", 2},
                {"-1", "\"partition\":0", 4},
                {"0", "\"partition\":9", 2}}; /* the pods stay at the first: current and update */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[256];
        struct set_kit *k = set_up(SET(1, ""));
        (void)snprintf(text, sizeof text,
                       "{\"spec\":{\"revisionHistoryLimit\":%s,\"updateStrategy\":{\"type\":"
                       "\"RollingUpdate\",\"rollingUpdate\":{%s}}}}",
                       rows[i].limit, rows[i].rolling);
        set_kit_patch_set(k, "web", text);
        static const char *const images[] = {IMAGE("2"), IMAGE("3"), IMAGE("4")};
        for (size_t n = 0; n < 3; n++) {
            set_kit_patch_set(k, "web", images[n]);
            set_kit_run(k, 1000);
        }
        CHECK_EQ(fake_client_each(k->base.api, "apps", "ControllerRevision", NULL, NULL),
                 rows[i].kept);
        set_kit_free(k);
    }
}

/* ---- 2.6, 2.11: which revision, and when a roll-out is done ---- */

TEST(spec_2_6_pods_that_are_deleted_come_back_by_strategy_and_partition)
{
    static const struct {
        const char *strategy, *image_0, *image_1;
        bool complete;
    } rows[] = {
        {"{\"type\":\"OnDelete\",\"rollingUpdate\":null}", "i:2", "i:2", true},
        {"{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":1}}", "i:1", "i:2", false},
        {"{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":9}}", "i:1", "i:1", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[256];
        struct set_kit *k = set_up(SET(2, ""));
        (void)snprintf(text, sizeof text, "{\"spec\":{\"updateStrategy\":%s}}", rows[i].strategy);
        set_kit_patch_set(k, "web", text);
        set_kit_patch_set(k, "web", IMAGE("2"));
        set_kit_run(k, 1000);
        set_kit_delete(k, "Pod", "web-0");
        set_kit_delete(k, "Pod", "web-1");
        set_kit_run(k, 1000);
        CHECK(span_eq_cstr(image_of(k, "web-0"), rows[i].image_0));
        CHECK(span_eq_cstr(image_of(k, "web-1"), rows[i].image_1));
        yyjson_val *st = set_kit_status(k, "web");
        bool same =
            span_eq(json_get_str(st, "currentRevision"), json_get_str(st, "updateRevision"));
        CHECK_EQ(same, rows[i].complete);
        set_kit_free(k);
    }
}

TEST(spec_2_11_a_status_has_every_count_that_kubernetes_writes)
{
    struct set_kit *k = set_up(SET(0, ""));
    yyjson_val *st = set_kit_status(k, "web");
    CHECK_EQ(json_get_int(st, "replicas", -1), 0);
    CHECK_EQ(json_get_int(st, "availableReplicas", -1), 0);
    CHECK_EQ(json_get_int(st, "collisionCount", -1), 0);
    CHECK_EQ(json_get_int(st, "observedGeneration", -1), 1);
    CHECK(!json_get(st, "readyReplicas") && !json_get(st, "currentReplicas") &&
          !json_get(st, "updatedReplicas"));
    CHECK(span_eq(json_get_str(st, "currentRevision"), json_get_str(st, "updateRevision")));
    set_kit_patch_set(k, "web", "{\"spec\":{\"replicas\":2}}");
    set_kit_run(k, 1000);
    static const char *const counts[] = {"replicas", "availableReplicas", "readyReplicas",
                                         "currentReplicas", "updatedReplicas"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        CHECK_EQ(count(k, counts[i]), 2);
    }
    /* One that is on its way out is a replica, and of no revision any more. */
    set_kit_patch(k, "Pod", "web-1", "{\"metadata\":{\"finalizers\":[\"a/b\"]}}");
    set_kit_delete(k, "Pod", "web-1");
    set_kit_run(k, 1000);
    CHECK_EQ(count(k, "replicas"), 2);
    CHECK_EQ(count(k, "currentReplicas"), 1);
    CHECK_EQ(count(k, "updatedReplicas"), 1);
    set_kit_free(k);
}

/* ---- 2.7, 2.8, 2.9: the pass ---- */

TEST(spec_2_7_a_pod_that_has_ended_well_is_replaced_too)
{
    cleanup_arena struct arena *a = arena_new();
    struct set_kit *k = set_up(SET(1, ""));
    struct span was = uid_of(k, a, "Pod", "web-0");
    fake_client_patch(k->base.api, "", "Pod", "default", "web-0", "status",
                      "{\"status\":{\"phase\":\"Succeeded\",\"conditions\":null}}");
    set_kit_run(k, 1000);
    struct object *pod = set_kit_get(k, "Pod", "web-0");
    CHECK(pod && !span_eq(object_uid(pod), was) && client_condition_true(pod, "Ready"));
    CHECK_EQ(set_kit_events(k, "Normal", "SuccessfulDelete",
                            "delete Pod web-0 in StatefulSet web successful"),
             1);
    set_kit_free(k);
}

TEST(spec_2_7_a_claim_of_a_former_pod_is_waited_for)
{
    struct set_kit *k =
        set_up(SET(1, ",\"persistentVolumeClaimRetentionPolicy\":{\"whenScaled\":\"Delete\","
                      "\"whenDeleted\":\"Retain\"}" CLAIMS));
    set_kit_patch(k, "PersistentVolumeClaim", "d-web-0",
                  "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\","
                  "\"name\":\"web-0\",\"uid\":\"former\",\"controller\":true}]}}");
    set_kit_delete(k, "Pod", "web-0");
    set_kit_run(k, 5000);
    CHECK(!set_kit_get(k, "Pod", "web-0"));
    CHECK_SPAN(json_get_str(client_condition(set_kit_set(k, "web"), "Available"), "reason"),
               "ClaimStale");
    /* As the garbage collector and the protection of claims in use do. */
    set_kit_patch(k, "PersistentVolumeClaim", "d-web-0", "{\"metadata\":{\"finalizers\":null}}");
    set_kit_delete(k, "PersistentVolumeClaim", "d-web-0");
    set_kit_run(k, 50);
    CHECK(set_kit_get(k, "Pod", "web-0") && set_kit_get(k, "PersistentVolumeClaim", "d-web-0"));
    set_kit_free(k);
}

TEST(spec_2_7_a_pending_pod_gets_a_claim_that_is_missing)
{
    struct set_kit *k = set_kit_new();
    fake_node_set(k->base.node, &(struct fake_node_options){.start_ms = 10, .stop_ms = 10});
    fake_client_create(k->base.api, SET(1, CLAIMS)); /* nobody binds its pod */
    set_kit_run(k, 1000);
    CHECK(set_kit_get(k, "Pod", "web-0"));
    set_kit_delete(k, "PersistentVolumeClaim", "d-web-0");
    set_kit_run(k, 1000);
    CHECK(set_kit_get(k, "PersistentVolumeClaim", "d-web-0"));
    set_kit_free(k);
}

TEST(spec_2_8_max_unavailable_is_a_number_or_a_share_rounded_down)
{
    static const struct {
        const char *max;
        int64_t down;
    } rows[] = {{"1", 1}, {"2", 2}, {"\"50%\"", 2}, {"\"30%\"", 1}, {"\"10%\"", 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[256];
        struct set_kit *k = set_up(SET(5, ",\"podManagementPolicy\":\"Parallel\""));
        (void)snprintf(text, sizeof text,
                       "{\"spec\":{\"updateStrategy\":{\"type\":\"RollingUpdate\","
                       "\"rollingUpdate\":{\"maxUnavailable\":%s}}}}",
                       rows[i].max);
        set_kit_patch_set(k, "web", text);
        fake_node_set(k->base.node,
                      &(struct fake_node_options){.start_ms = 10, .stop_ms = 1000, .bind = true});
        set_kit_patch_set(k, "web", IMAGE("2"));
        set_kit_run(k, 500);
        int64_t down = 0;
        for (int pod = 0; pod < 5; pod++) {
            char name[16];
            (void)snprintf(name, sizeof name, "web-%d", pod);
            down += object_is_deleting(set_kit_get(k, "Pod", name));
        }
        CHECK_EQ(down, rows[i].down);
        CHECK(object_is_deleting(set_kit_get(k, "Pod", "web-4"))); /* the highest first */
        set_kit_run(k, 20000);
        CHECK_SPAN(image_of(k, "web-0"), "i:2");
        set_kit_free(k);
    }
}

TEST(spec_2_9_a_claim_that_is_there_is_used_as_it_is)
{
    cleanup_arena struct arena *a = arena_new();
    struct set_kit *k = set_kit_new();
    fake_client_create(k->base.api, "{\"kind\":\"PersistentVolumeClaim\",\"apiVersion\":\"v1\","
                                    "\"metadata\":{\"name\":\"d-web-0\"},\"spec\":{\"resources\":{"
                                    "\"requests\":{\"storage\":\"7Gi\"}}}}");
    struct span was = uid_of(k, a, "PersistentVolumeClaim", "d-web-0");
    fake_client_create(k->base.api, SET(2, CLAIMS));
    set_kit_run(k, 1000);
    CHECK(set_kit_get(k, "Pod", "web-1"));
    CHECK(span_eq(uid_of(k, a, "PersistentVolumeClaim", "d-web-0"), was));
    struct object *made = set_kit_get(k, "PersistentVolumeClaim", "d-web-1");
    CHECK_SPAN(json_get_str(json_path(object_root(made), "metadata", "annotations", NULL), "a"),
               "b");
    CHECK_EQ(set_kit_events(k, "Normal", "SuccessfulCreate",
                            "create Claim d-web-0 Pod web-0 in StatefulSet web success"),
             0);
    set_kit_free(k);
}

TEST(spec_2_9_no_pod_without_its_claims)
{
    struct set_kit *k = set_kit_new();
    k->refused_kind = schema_kind_find("", "PersistentVolumeClaim");
    k->refused_verb = CLIENT_CREATE;
    fake_client_create(k->base.api, SET(1, CLAIMS));
    set_kit_run(k, 60000);
    CHECK(!set_kit_get(k, "Pod", "web-0"));
    CHECK(set_kit_events(k, "Warning", "FailedCreate",
                         "create Claim d-web-0 for Pod web-0 in StatefulSet web failed error: "
                         "Forbidden") > 1);
    k->refused_kind = NULL;
    set_kit_run(k, 600000); /* the back-off */
    CHECK(set_kit_get(k, "Pod", "web-0"));
    set_kit_free(k);
}

TEST(spec_2_9_a_name_that_is_taken_is_no_event)
{
    struct set_kit *k = set_kit_new();
    make_pod(k, "web-0",
             ",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\","
             "\"name\":\"m\",\"uid\":\"u\",\"controller\":true}]");
    fake_client_create(k->base.api, SET(1, ""));
    set_kit_run(k, 60000);
    CHECK_EQ(fake_client_each(k->base.api, "", "Event", NULL, NULL), 0);
    set_kit_delete(k, "Pod", "web-0");
    set_kit_run(k, 1000);
    CHECK(client_controller_of(set_kit_get(k, "Pod", "web-0")));
    CHECK_EQ(set_kit_events(k, "Normal", "SuccessfulCreate",
                            "create Pod web-0 in StatefulSet web successful"),
             1);
    set_kit_free(k);
}

/* ---- 2.12: owners of claims ---- */

TEST(spec_2_12_each_retention_policy_gives_claims_their_owners)
{
    static const struct {
        const char *scaled, *deleted;
        const char *of_kept, *of_condemned; /* kinds; NULL: none */
    } rows[] = {{"Retain", "Retain", NULL, NULL},
                {"Retain", "Delete", "StatefulSet", "StatefulSet"},
                {"Delete", "Retain", NULL, "Pod"},
                {"Delete", "Delete", "StatefulSet", "Pod"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[256];
        struct set_kit *k = set_up(SET(2, CLAIMS));
        (void)snprintf(text, sizeof text,
                       "{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenScaled\":"
                       "\"%s\",\"whenDeleted\":\"%s\"}}}",
                       rows[i].scaled, rows[i].deleted);
        set_kit_patch_set(k, "web", text); /* claims of pods that are there follow */
        set_kit_run(k, 1000);
        set_kit_patch(k, "Pod", "web-1", "{\"metadata\":{\"finalizers\":[\"a/b\"]}}");
        set_kit_patch_set(k, "web", "{\"spec\":{\"replicas\":1}}");
        set_kit_run(k, 1000);
        static const char *const claims[] = {"d-web-0", "d-web-1"};
        const char *const kinds[] = {rows[i].of_kept, rows[i].of_condemned};
        for (size_t n = 0; n < 2; n++) {
            struct object *claim = set_kit_get(k, "PersistentVolumeClaim", claims[n]);
            CHECK_EQ(json_len(client_owners(claim)), kinds[n] != NULL);
            yyjson_val *owner = client_controller_of(claim);
            if (kinds[n]) {
                CHECK(span_eq_cstr(json_get_str(owner, "kind"), kinds[n]));
                CHECK(json_get_bool(owner, "blockOwnerDeletion", false));
            }
        }
        set_kit_free(k);
    }
}

/* The same name with another uid: a former set's claim is nobody's to take over. */
TEST(spec_2_12_a_claim_of_a_namesake_is_left_alone)
{
    struct set_kit *k = set_up(SET(1, CLAIMS));
    set_kit_patch(k, "PersistentVolumeClaim", "d-web-0",
                  "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":"
                  "\"StatefulSet\",\"name\":\"web\",\"uid\":\"former\"}]}}");
    set_kit_patch_set(k, "web",
                      "{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{"
                      "\"whenDeleted\":\"Delete\"}}}");
    set_kit_run(k, 1000);
    struct object *claim = set_kit_get(k, "PersistentVolumeClaim", "d-web-0");
    CHECK_EQ(json_len(client_owners(claim)), 1);
    CHECK(!client_controller_of(claim));
    set_kit_free(k);
}
