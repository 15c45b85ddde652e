/* test/unit/statefulset_spec_test.c: what a set's events and claims say when a step succeeds, is
 * refused or finds a stranger in its way: a row each, named by the rule. */
#include <stdlib.h>

#include "client/client_body.h"
#include "controller/statefulset_controller.h"
#include "kit/kit.h"
#include "schema/schema.h"
#include "sim/env_sim.h"
#include "sim/fake_client.h"
#include "sim/fake_node.h"

#define SET                                                                                        \
    "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"web\"},"        \
    "\"spec\":{\"replicas\":2,\"serviceName\":\"web\",\"selector\":{\"matchLabels\":{\"app\":"     \
    "\"web\"}},\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":0}" \
    "},\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{"      \
    "\"name\":\"c\",\"image\":\"i\"}]}},\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"d\","  \
    "\"labels\":{\"of\":\"template\"}},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"]}}]}}"

struct bed {
    struct env *env;
    struct fake_client *api;
    struct informer_set *informers;
    struct statefulset_controller *controller;
    struct fake_node *node;
    const struct schema_kind *kind; /* writes of this kind and verb are refused */
    enum client_verb verb;
};

static void start(void *data)
{
    statefulset_controller_start(((struct bed *)data)->controller);
}

static enum err_reason fault(void *data, const struct client_request *rq)
{
    struct bed *b = data;
    return rq->kind == b->kind && rq->verb == b->verb && !rq->subresource.n ? ERR_FORBIDDEN
                                                                            : ERR_NONE;
}

static struct bed *bed_new(void)
{
    struct bed *b = calloc(1, sizeof *b);
    struct client *client;
    b->env = env_sim_new(7);
    b->api = fake_client_new(b->env);
    fake_client_fault(b->api, fault, b);
    client = fake_client_base(b->api);
    b->informers = informer_set_new(client);
    b->controller = statefulset_controller_new(b->env, client, b->informers);
    b->node = fake_node_new(
        client, &(struct fake_node_options){.start_ms = 10, .stop_ms = 10, .bind = true});
    informer_set_on_synced(b->informers, start, b);
    env_sim_run_for(b->env, 0);
    return b;
}

static void bed_free(struct bed *b)
{
    fake_node_free(b->node);
    statefulset_controller_free(b->controller);
    informer_set_free(b->informers);
    fake_client_free(b->api);
    env_sim_free(b->env);
    free(b);
}

struct search {
    const char *type, *reason, *message;
    bool found;
};

static void see_event(void *data, struct object *o)
{
    struct search *x = data;
    yyjson_val *root = object_root(o);
    x->found |= span_eq_cstr(json_get_str(root, "type"), x->type) &&
                span_eq_cstr(json_get_str(root, "reason"), x->reason) &&
                span_eq_cstr(json_get_str(root, "message"), x->message);
}

static const struct row {
    const char *rule;
    /* A merge patch of an object after the set is up; kind NULL: none. */
    const char *kind, *name, *patch;
    const char *scale_or_policy; /* a patch of the set, then */
    const char *refused;         /* kind whose writes of `verb` are refused meanwhile */
    enum client_verb verb;
    const char *type, *reason, *message;
} rows[] = {
    {.rule = "2.2: a pod-name label that was changed is put right",
     .kind = "Pod",
     .name = "web-1",
     .patch = "{\"metadata\":{\"labels\":{\"statefulset.kubernetes.io/pod-name\":\"x\"}}}",
     .type = "Normal",
     .reason = "SuccessfulUpdate",
     .message = "update Pod web-1 in StatefulSet web successful"},
    {.rule = "2.10: a claim that is made is told",
     .type = "Normal",
     .reason = "SuccessfulCreate",
     .message = "create Claim d-web-1 Pod web-1 in StatefulSet web success"},
    {.rule = "2.10: a pod that is removed is told",
     .scale_or_policy = "{\"spec\":{\"replicas\":1}}",
     .type = "Normal",
     .reason = "SuccessfulDelete",
     .message = "delete Pod web-1 in StatefulSet web successful"},
    {.rule = "2.10: a removal that is refused is told",
     .scale_or_policy = "{\"spec\":{\"replicas\":1}}",
     .refused = "Pod",
     .verb = CLIENT_DELETE,
     .type = "Warning",
     .reason = "FailedDelete",
     .message = "delete Pod web-1 in StatefulSet web failed error: Forbidden"},
    {.rule = "2.10: a correction that is refused is told",
     .kind = "Pod",
     .name = "web-0",
     .patch = "{\"metadata\":{\"labels\":{\"statefulset.kubernetes.io/pod-name\":null}}}",
     .refused = "Pod",
     .verb = CLIENT_PATCH_MERGE,
     .type = "Warning",
     .reason = "FailedUpdate",
     .message = "update Pod web-0 in StatefulSet web failed error: Forbidden"},
    {.rule = "2.10: a claim that is refused is told",
     .scale_or_policy = "{\"spec\":{\"replicas\":3}}",
     .refused = "PersistentVolumeClaim",
     .verb = CLIENT_CREATE,
     .type = "Warning",
     .reason = "FailedCreate",
     .message = "create Claim d-web-2 for Pod web-2 in StatefulSet web failed error: Forbidden"},
    {.rule = "2.12: a claim that another controller manages is left alone",
     .kind = "PersistentVolumeClaim",
     .name = "d-web-0",
     .patch = "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\","
              "\"name\":\"x\",\"uid\":\"u\",\"controller\":true},{\"apiVersion\":\"apps/v1\","
              "\"kind\":\"StatefulSet\",\"name\":\"web\",\"uid\":\"SET-UID\"}]}}",
     .scale_or_policy =
         "{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":\"Delete\"}}}",
     .type = "Warning",
     .reason = "ConflictingController",
     .message = "PersistentVolumeClaim d-web-0 has a conflicting OwnerReference acting as managing "
                "controller, retention policy ignored"},
};

/* The patch with SET-UID replaced by the set's own. */
static const char *filled(struct bed *b, struct arena *a, const char *patch)
{
    const char *at = strstr(patch, "SET-UID");
    struct object *set = fake_client_get(b->api, "apps", "StatefulSet", "default", "web");
    return at ? arena_printf(a, "%.*s%.*s%s", (int)(at - patch), patch, SPAN_ARG(object_uid(set)),
                             at + strlen("SET-UID"))
                    .p
              : patch;
}

TEST(spec_2_each_step_is_told_in_the_words_of_kubernetes)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        cleanup_arena struct arena *a = arena_new();
        struct bed *b = bed_new();
        fake_client_create(b->api, SET);
        env_sim_run_for(b->env, 1000);
        if (r->kind) {
            fake_client_patch(b->api, "", r->kind, "default", r->name, "", filled(b, a, r->patch));
        }
        b->kind = r->refused ? schema_kind_find("", r->refused) : NULL;
        b->verb = r->verb;
        if (r->scale_or_policy) {
            fake_client_patch(b->api, "apps", "StatefulSet", "default", "web", "",
                              r->scale_or_policy);
        }
        env_sim_run_for(b->env, 2000);
        struct search x = {r->type, r->reason, r->message, false};
        fake_client_each(b->api, "", "Event", see_event, &x);
        if (!x.found) {
            printf("# not told: %s\n", r->rule);
        }
        CHECK(x.found);
        bed_free(b);
    }
}

TEST(spec_2_9_a_claim_has_the_labels_of_its_template_and_of_the_selector)
{
    struct bed *b = bed_new();
    fake_client_create(b->api, SET);
    env_sim_run_for(b->env, 1000);
    struct object *claim =
        fake_client_get(b->api, "", "PersistentVolumeClaim", "default", "d-web-1");
    yyjson_val *labels = json_path(object_root(claim), "metadata", "labels", NULL);
    CHECK_SPAN(json_get_str(labels, "of"), "template");
    CHECK_SPAN(json_get_str(labels, "app"), "web");
    CHECK_EQ(json_len(labels), 2);
    CHECK_EQ(json_len(client_owners(claim)), 0); /* Retain, Retain */
    bed_free(b);
}

/* Whoever holds the name: the back-off of an hour is not waited for. */
TEST(spec_2_3_a_set_makes_its_pod_as_soon_as_a_released_one_frees_the_name)
{
    struct bed *b = bed_new();
    fake_client_create(b->api, SET);
    env_sim_run_for(b->env, 1000);
    fake_client_patch(b->api, "", "Pod", "default", "web-1", "",
                      "{\"metadata\":{\"labels\":{\"app\":\"other\"}}}");
    env_sim_run_for(b->env, 3600 * 1000);
    CHECK(!client_controller_of(fake_client_get(b->api, "", "Pod", "default", "web-1")));
    struct object *set = fake_client_get(b->api, "apps", "StatefulSet", "default", "web");
    CHECK_SPAN(json_get_str(client_condition(set, "Available"), "message"),
               "1 of 2 replicas are available; web-1 cannot be made: there is a pod of this name "
               "that is not the set's");
    fake_client_delete(b->api, "", "Pod", "default", "web-1", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b->env, 50); /* 10 to stop, 10 to start */
    struct object *pod = fake_client_get(b->api, "", "Pod", "default", "web-1");
    CHECK(pod && client_controller_of(pod) && client_condition_true(pod, "Ready"));
    bed_free(b);
}
