/* test/unit/statefulset_history_test.c: revisions of a set that comes after another of its name,
 * and of one whose history an older server has written. */
#include <stdlib.h>

#include "kit/controller_kit.h"
#include "kit/kit.h"

#define TEMPLATE                                                                                   \
    "\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{"        \
    "\"name\":\"c\",\"image\":\"i:1\"%s}]%s}}"

struct bed {
    struct controller_kit k;
};

static struct bed *bed_new(void)
{
    struct bed *b = calloc(1, sizeof *b);
    controller_kit_begin(&b->k, NULL);
    controller_kit_run(&b->k, CONTROLLERS(&controller_statefulset));
    return b;
}

static void bed_free(struct bed *b)
{
    controller_kit_end(&b->k);
    free(b);
}

/* Members that defaults bring, in a container and in a pod. */
#define C_DEFAULTS                                                                                 \
    ",\"imagePullPolicy\":\"IfNotPresent\",\"resources\":{},\"terminationMessagePath\":"           \
    "\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\""
#define P_DEFAULTS                                                                                 \
    ",\"dnsPolicy\":\"ClusterFirst\",\"restartPolicy\":\"Always\",\"schedulerName\":"              \
    "\"default-scheduler\",\"securityContext\":{},\"terminationGracePeriodSeconds\":30"

static void put_set(struct bed *b)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":"
                   "\"web\"},\"spec\":{\"replicas\":1,\"serviceName\":\"web\",\"selector\":{"
                   "\"matchLabels\":{\"app\":\"web\"}}," TEMPLATE "}}",
                   C_DEFAULTS, P_DEFAULTS);
    fake_client_create(b->k.api, text);
}

static void make_set(struct bed *b)
{
    put_set(b);
    env_sim_run_for(b->k.env, 1000);
}

static yyjson_val *status(struct bed *b)
{
    return json_get(object_root(fake_client_get(b->k.api, "apps", "StatefulSet", "default", "web")),
                    "status");
}

struct copy {
    char name[64], data[1024];
};

static void see_revision(void *data, struct object *o)
{
    struct copy *c = data;
    cleanup_arena struct arena *a = arena_new();
    (void)snprintf(c->name, sizeof c->name, "%.*s", SPAN_ARG(object_name(o)));
    (void)snprintf(c->data, sizeof c->data, "%.*s",
                   SPAN_ARG(json_write(a, json_get(object_root(o), "data"))));
}

static struct copy only_revision(struct bed *b)
{
    struct copy c = {0};
    CHECK_EQ(fake_client_each(b->k.api, "apps", "ControllerRevision", see_revision, &c), 1);
    return c;
}

static void make_revision(struct bed *b, const struct copy *c, const char *owner_uid)
{
    char text[2048];
    (void)snprintf(text, sizeof text,
                   "{\"kind\":\"ControllerRevision\",\"apiVersion\":\"apps/v1\",\"metadata\":{"
                   "\"name\":\"%s\",\"labels\":{\"app\":\"web\"},\"ownerReferences\":[{"
                   "\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"name\":\"web\",\"uid\":"
                   "\"%s\",\"controller\":true}]},\"data\":%s,\"revision\":1}",
                   c->name, owner_uid, c->data);
    fake_client_create(b->k.api, text);
}

TEST(spec_2_4_a_new_set_waits_for_the_revision_that_its_namesake_left_and_has_the_same_name)
{
    struct bed *b = bed_new();
    make_set(b);
    struct copy first = only_revision(b);
    bed_free(b);
    b = bed_new();
    make_revision(b, &first, "of-a-set-that-is-gone");
    make_set(b);
    CHECK_EQ(json_get_str(status(b), "currentRevision").n, 0);
    fake_client_delete(b->k.api, "apps", "ControllerRevision", "default", first.name, -1,
                       CLIENT_PROPAGATION_BACKGROUND);
    env_sim_run_for(b->k.env, 5000);
    CHECK_SPAN(json_get_str(status(b), "currentRevision"), first.name);
    CHECK_EQ(json_get_int(status(b), "collisionCount", -1), 0);
    bed_free(b);
}

static struct span set_uid(struct bed *b)
{
    return object_uid(fake_client_get(b->k.api, "apps", "StatefulSet", "default", "web"));
}

/* The answer to its creation was lost with the server, and word of it comes late: found by the
 * simulator, which saw two revisions of one template. */
TEST(spec_2_4_a_revision_of_ours_that_is_not_seen_yet_is_no_collision)
{
    struct bed *b = bed_new();
    make_set(b);
    struct copy made = only_revision(b);
    bed_free(b);
    b = bed_new();
    put_set(b);
    fake_client_event_delay(b->k.api, 500);
    char uid[64];
    (void)snprintf(uid, sizeof uid, "%.*s", SPAN_ARG(set_uid(b)));
    make_revision(b, &made, uid);
    env_sim_run_for(b->k.env, 5000);
    struct copy kept = only_revision(b);
    CHECK_SPAN(span_cstr(kept.name), made.name);
    CHECK_SPAN(json_get_str(status(b), "currentRevision"), made.name);
    CHECK_EQ(json_get_int(status(b), "collisionCount", -1), 0);
    bed_free(b);
}

TEST(spec_2_4_a_template_that_only_lacks_todays_defaults_is_no_new_revision)
{
    struct bed *b = bed_new();
    struct copy older = {.name = "web-older"};
    (void)snprintf(older.data, sizeof older.data, "{\"spec\":{" TEMPLATE "}}", "",
                   ",\"dnsPolicy\":\"ClusterFirst\"");
    make_set(b);
    struct copy made = only_revision(b);
    char uid[64];
    (void)snprintf(uid, sizeof uid, "%.*s", SPAN_ARG(set_uid(b)));
    make_revision(b, &older, uid);
    fake_client_delete(b->k.api, "apps", "ControllerRevision", "default", made.name, -1,
                       CLIENT_PROPAGATION_BACKGROUND);
    env_sim_run_for(b->k.env, 1000);
    struct copy kept = only_revision(b);
    CHECK_SPAN(span_cstr(kept.name), "web-older");
    CHECK_SPAN(json_get_str(status(b), "updateRevision"), "web-older");
    fake_client_patch(b->k.api, "apps", "StatefulSet", "default", "web", "",
                      "{\"spec\":{\"template\":{\"spec\":{\"dnsPolicy\":\"Default\"}}}}");
    env_sim_run_for(b->k.env, 1000);
    CHECK_EQ(fake_client_each(b->k.api, "apps", "ControllerRevision", NULL, NULL), 2);
    bed_free(b);
}
