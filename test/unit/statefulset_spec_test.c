/* test/unit/statefulset_spec_test.c: what a set's events and claims say when a step succeeds, is
 * refused or finds a stranger in its way: a row each, named by the rule. */
#include "schema/schema.h"
#include "test/kit/set_kit.h"

#define SET                                                                                        \
    "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"web\"},"        \
    "\"spec\":{\"replicas\":2,\"serviceName\":\"web\",\"selector\":{\"matchLabels\":{\"app\":"     \
    "\"web\"}},\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":0}" \
    "},\"template\":{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{"      \
    "\"name\":\"c\",\"image\":\"i\"}]}},\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"d\","  \
    "\"labels\":{\"of\":\"template\"}},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"]}}]}}"

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
     .message = "PersistentVolumeClaim d-web-0 has a conflicting OwnerReference that acts as a "
                "manging controller, the retention policy is ignored for this claim"},
    {.rule = "2.10: a pod whose claim is refused is told, too",
     .scale_or_policy = "{\"spec\":{\"replicas\":3}}",
     .refused = "PersistentVolumeClaim",
     .verb = CLIENT_CREATE,
     .type = "Warning",
     .reason = "FailedCreate",
     .message = "create Pod web-2 in StatefulSet web failed error: failed to create PVC d-web-2: "
                "Forbidden"},
    {.rule = "2.10: a pod that is refused is told",
     .scale_or_policy = "{\"spec\":{\"replicas\":3}}",
     .refused = "Pod",
     .verb = CLIENT_CREATE,
     .type = "Warning",
     .reason = "FailedCreate",
     .message = "create Pod web-2 in StatefulSet web failed error: Forbidden"},
    {.rule = "2.10: a pod that is made is told",
     .type = "Normal",
     .reason = "SuccessfulCreate",
     .message = "create Pod web-1 in StatefulSet web successful"},
    {.rule = "2.2: other owners of a pod's claims are an update of it",
     .scale_or_policy =
         "{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":\"Delete\"}}}",
     .type = "Normal",
     .reason = "SuccessfulUpdate",
     .message = "update Pod web-1 in StatefulSet web successful"},
    {.rule = "2.2: ... and told when refused",
     .scale_or_policy =
         "{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":\"Delete\"}}}",
     .refused = "PersistentVolumeClaim",
     .verb = CLIENT_PATCH_MERGE,
     .type = "Warning",
     .reason = "FailedUpdate",
     .message = "update Pod web-0 in StatefulSet web failed error: could not update claim d-web-0 "
                "for delete policy ownerRefs: Forbidden"},
};

/* The patch with SET-UID replaced by the set's own. */
static const char *filled(struct set_kit *k, struct arena *a, const char *patch)
{
    const char *at = strstr(patch, "SET-UID");
    struct object *set = set_kit_set(k, "web");
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
        struct set_kit *k = set_kit_new();
        fake_client_create(k->base.api, SET);
        set_kit_run(k, 1000);
        if (r->kind) {
            set_kit_patch(k, r->kind, r->name, filled(k, a, r->patch));
        }
        k->refused_kind = r->refused ? schema_kind_find("", r->refused) : NULL;
        k->refused_verb = r->verb;
        if (r->scale_or_policy) {
            set_kit_patch_set(k, "web", r->scale_or_policy);
        }
        set_kit_run(k, 2000);
        bool told = set_kit_events(k, r->type, r->reason, r->message) > 0;
        if (!told) {
            printf("# not told: %s\n", r->rule);
        }
        CHECK(told);
        set_kit_free(k);
    }
}

TEST(spec_2_9_a_claim_has_the_labels_of_its_template_and_of_the_selector)
{
    struct set_kit *k = set_kit_new();
    fake_client_create(k->base.api, SET);
    set_kit_run(k, 1000);
    struct object *claim = set_kit_get(k, "PersistentVolumeClaim", "d-web-1");
    yyjson_val *labels = json_path(object_root(claim), "metadata", "labels", NULL);
    CHECK_SPAN(json_get_str(labels, "of"), "template");
    CHECK_SPAN(json_get_str(labels, "app"), "web");
    CHECK_EQ(json_len(labels), 2);
    CHECK_EQ(json_len(client_owners(claim)), 0); /* Retain, Retain */
    set_kit_free(k);
}

/* Whoever holds the name: the back-off of an hour is not waited for. */
TEST(spec_2_3_a_set_makes_its_pod_as_soon_as_a_released_one_frees_the_name)
{
    struct set_kit *k = set_kit_new();
    fake_client_create(k->base.api, SET);
    set_kit_run(k, 1000);
    set_kit_patch(k, "Pod", "web-1", "{\"metadata\":{\"labels\":{\"app\":\"other\"}}}");
    set_kit_run(k, 3600 * 1000);
    CHECK(!client_controller_of(set_kit_get(k, "Pod", "web-1")));
    struct object *set = set_kit_set(k, "web");
    CHECK_SPAN(json_get_str(client_condition(set, "Available"), "message"),
               "1 of 2 replicas are available; web-1 cannot be made: there is a pod of this name "
               "that is not the set's (its labels do not match the selector); it has to go first");
    set_kit_delete(k, "Pod", "web-1");
    set_kit_run(k, 50); /* 10 to stop, 10 to start */
    struct object *pod = set_kit_get(k, "Pod", "web-1");
    CHECK(pod && client_controller_of(pod) && client_condition_true(pod, "Ready"));
    set_kit_free(k);
}

/* Somebody else changes the claim before the refusal arrives: its former version is gone by then.
 */
static enum err_reason refuse_and_change(void *data, const struct client_request *rq)
{
    struct set_kit *k = data;
    bool of_claim =
        span_eq_cstr(rq->kind ? span_cstr(rq->kind->kind) : SPAN_NULL, "PersistentVolumeClaim") &&
        rq->verb == CLIENT_PATCH_MERGE;
    if (!of_claim || k->refused_kind) {
        return ERR_NONE;
    }
    k->refused_kind = rq->kind; /* once */
    cleanup_arena struct arena *a = arena_new();
    set_kit_patch(k, "PersistentVolumeClaim", arena_cstr(a, rq->name),
                  "{\"metadata\":{\"labels\":{\"is\":\"another\"}}}");
    return ERR_FORBIDDEN;
}

TEST(spec_2_2_a_claim_that_changes_while_its_owners_are_refused_is_told_by_its_name)
{
    struct set_kit *k = set_kit_new();
    fake_client_create(k->base.api, SET);
    set_kit_run(k, 1000);
    fake_client_fault(k->base.api, refuse_and_change, k);
    set_kit_patch_set(
        k, "web",
        "{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":\"Delete\"}}}");
    set_kit_run(k, 2000);
    CHECK(set_kit_events(k, "Warning", "FailedUpdate",
                         "update Pod web-0 in StatefulSet web failed error: could not update claim "
                         "d-web-0 for delete policy ownerRefs: Forbidden") > 0);
    set_kit_free(k);
}
