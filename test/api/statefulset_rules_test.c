/* What a StatefulSet, its status, its scale and its revisions are checked by and filled with, a row
 * each: the texts that clients match, byte for byte. */
#include "schema/patch.h"
#include "test/kit/api_kit.h"

#define SETS "/apis/apps/v1/namespaces/default/statefulsets"
#define MERGE "Content-Type: application/merge-patch+json\r\n"
#define SET                                                                                        \
    "{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"metadata\":{\"name\":\"web\"},"        \
    "\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"template\":{\"metadata\":{"      \
    "\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}" \
    "}"

#define LABEL_TEXT                                                                                 \
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "   \
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "     \
    "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define KEY_TEXT                                                                                   \
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "  \
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for " \
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define VALUE_TEXT                                                                                 \
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "    \
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value', " \
    " or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
#define NAME_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define MOUNT                                                                                      \
    "\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"volumeMounts\":[{"  \
    "\"name\":\"d\",\"mountPath\":\"/d\"}]}]}}"
#define TERM(rest) "{\"spec\":{\"selector\":{\"matchExpressions\":[{" rest "}]}}}"
#define UNUSABLE(terms)                                                                            \
    ", spec.selector: Invalid value: "                                                             \
    "{\"matchLabels\":{\"app\":\"web\"},\"matchExpressions\":[{" terms "}]}]"

/* JSON of the base with a merge patch applied. */
static const char *with(struct arena *a, const char *base, const char *patch)
{
    struct err err;
    yyjson_doc *x, *y;
    CHECK(json_parse(a, span_cstr(base), &x, &err) == 0);
    CHECK(json_parse(a, span_cstr(patch), &y, &err) == 0);
    yyjson_mut_val *merged =
        patch_merge(a, json_mut_new(a), yyjson_doc_get_root(x), yyjson_doc_get_root(y), &err);
    CHECK(merged);
    return arena_cstr(a, json_write_mut(a, merged));
}

static void check_message(const char *rule, const struct api_reply *r, const char *want)
{
    if (!span_eq_cstr(api_str(r, "message"), want)) {
        printf("# %s\n#   %d %.*s\n", rule, r->status, SPAN_ARG(api_str(r, "message")));
    }
    CHECK_SPAN(api_str(r, "message"), want);
}

TEST(spec_1_6_what_is_wrong_with_a_set_is_said_in_the_words_of_kubernetes)
{
    static const struct {
        const char *patch, *said; /* behind "StatefulSet.apps "web" is invalid: " */
    } rows[] = {
        {TERM("\"key\":\"app\",\"operator\":\"Near\",\"values\":[\"web\"]"),
         "[spec.selector.matchExpressions[0].operator: Invalid value: \"Near\": not a valid "
         "selector operator" UNUSABLE(
             "\"key\":\"app\",\"operator\":\"Near\",\"values\":[\"web\"]")},
        {TERM("\"key\":\"app\",\"operator\":\"In\""),
         "[spec.selector.matchExpressions[0].values: Required value: must be specified when "
         "`operator` is 'In' or 'NotIn'" UNUSABLE("\"key\":\"app\",\"operator\":\"In\"")},
        {TERM("\"key\":\"app\",\"operator\":\"Exists\",\"values\":[\"web\"]"),
         "[spec.selector.matchExpressions[0].values: Forbidden: may not be specified when "
         "`operator` is 'Exists' or 'DoesNotExist'" UNUSABLE(
             "\"key\":\"app\",\"operator\":\"Exists\",\"values\":[\"web\"]")},
        {TERM("\"key\":\"-\",\"operator\":\"DoesNotExist\""),
         "[spec.selector.matchExpressions[0].key: Invalid value: \"-\": " KEY_TEXT UNUSABLE(
             "\"key\":\"-\",\"operator\":\"DoesNotExist\"")},
        {"{\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"-\"}}}}",
         "[spec.selector.matchLabels: Invalid value: \"-\": " VALUE_TEXT
         ", spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"-\"}}]"},
        {"{\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"-\":\"x\"}}}}}",
         "spec.template.labels: Invalid value: \"-\": " KEY_TEXT},
        {"{\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"b\":\"-\"}}}}}",
         "spec.template.labels: Invalid value: \"-\": " VALUE_TEXT},
        {"{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"-\":\"x\"}}}}}",
         "spec.template.annotations: Invalid value: \"-\": " KEY_TEXT},
        {"{\"spec\":{" MOUNT "}}",
         "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"d\""},
        {"{\"spec\":{\"updateStrategy\":{\"rollingUpdate\":{\"maxUnavailable\":\"0%\"}}}}",
         "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": cannot be 0"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_reply r = api_call(&k, "POST", SETS, "", with(a, SET, rows[i].patch));
        const char *want =
            arena_printf(a, "StatefulSet.apps \"web\" is invalid: %s", rows[i].said).p;
        check_message(rows[i].patch, &r, want);
        CHECK_EQ(r.status, 422);
        CHECK_SPAN(api_str(&r, "reason"), "Invalid");
        /* Each fault is listed once, without its path. */
        struct span field = api_str(&r, "details.causes.0.field");
        CHECK(span_find(api_str(&r, "details.causes.0.message"), ':') < SIZE_MAX && field.n > 0);
        CHECK_EQ(json_len(api_at(r.json, "details.causes")), rows[i].said[0] == '[' ? 2 : 1);
    }
    api_kit_stop(&k);
}

TEST(spec_1_6_the_name_of_a_set_is_a_label)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    struct api_reply r =
        api_expect(&k, 422, "POST", SETS, "", with(a, SET, "{\"metadata\":{\"name\":\"a.b\"}}"));
    check_message(
        "a dot", &r,
        "StatefulSet.apps \"a.b\" is invalid: metadata.name: Invalid value: \"a.b\": " LABEL_TEXT);
    r = api_expect(&k, 422, "POST", SETS, "",
                   with(a, SET, "{\"metadata\":{\"name\":\"" NAME_64 "\"}}"));
    check_message("length", &r,
                  "StatefulSet.apps \"" NAME_64
                  "\" is invalid: metadata.name: Invalid value: \"" NAME_64
                  "\": must be no more than 63 bytes");
    (void)api_expect(&k, 404, "PUT", SETS "/web", "", SET); /* 1.4: no creation by update */
    api_kit_stop(&k);
}

static const struct {
    const char *patch, *path, *value; /* NULL: absent */
} defaults[] = {
    {"{}", "spec.updateStrategy",
     "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":0}}"},
    {"{}", "spec.ordinals", NULL},
    {"{}", "spec.serviceName", "\"\""},
    {"{}", "spec.minReadySeconds", NULL},
    {"{}", "spec.replicas", "1"},
    {"{}", "spec.revisionHistoryLimit", "10"},
    {"{}", "status", "{\"replicas\":0,\"availableReplicas\":0}"},
    {"{\"spec\":{\"podManagementPolicy\":\"\"}}", "spec.podManagementPolicy", "\"OrderedReady\""},
    {"{\"spec\":{\"updateStrategy\":{\"type\":\"RollingUpdate\"}}}", "spec.updateStrategy",
     "{\"type\":\"RollingUpdate\"}"},
    {"{\"spec\":{\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{"
     "\"maxUnavailable\":2}}}}",
     "spec.updateStrategy.rollingUpdate", "{\"partition\":0,\"maxUnavailable\":2}"},
    {"{\"spec\":{\"updateStrategy\":{\"rollingUpdate\":{\"maxUnavailable\":\"20%\"}}}}",
     "spec.updateStrategy",
     "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":0,\"maxUnavailable\":\"20%"
     "\"}}"},
    {"{\"spec\":{\"updateStrategy\":{\"type\":\"Recreate\"}}}", "spec.updateStrategy",
     "{\"type\":\"Recreate\"}"},
    {"{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":\"Delete\"}}}",
     "spec.persistentVolumeClaimRetentionPolicy",
     "{\"whenDeleted\":\"Delete\",\"whenScaled\":\"Retain\"}"},
    {"{\"spec\":{\"ordinals\":{\"start\":3}}}", "spec.ordinals", "{\"start\":3}"},
    {"{\"spec\":{" MOUNT ",\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"d\"},\"spec\":{"
     "\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}]"
     "}}",
     "spec.volumeClaimTemplates.0",
     "{\"kind\":\"PersistentVolumeClaim\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"d\"},"
     "\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":"
     "\"1Gi\"}},\"volumeMode\":\"Filesystem\"},\"status\":{\"phase\":\"Pending\"}}"},
    {"{\"spec\":{\"template\":{\"spec\":{\"restartPolicy\":null}}}}",
     "spec.template.spec.restartPolicy", "\"Always\""},
    {"{}", "spec.persistentVolumeClaimRetentionPolicy",
     "{\"whenDeleted\":\"Retain\",\"whenScaled\":\"Retain\"}"},
    {"{}", "spec.podManagementPolicy", "\"OrderedReady\""},
    {"{}", "spec.template.spec.containers.0.imagePullPolicy", "\"Always\""},
    /* The pod's own defaults, all of them. */
    {"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"a/"
     "b:1\",\"ports\":[{\"containerPort\":80}],\"env\":[{\"name\":\"N\",\"valueFrom\":{"
     "\"fieldRef\":{\"fieldPath\":\"metadata.name\"}}}],\"livenessProbe\":{\"httpGet\":{"
     "\"port\":80}},\"readinessProbe\":{\"exec\":{\"command\":[\"a\"]}}}],\"volumes\":[{"
     "\"name\":\"m\",\"configMap\":{\"name\":\"m\"}},{\"name\":\"s\",\"secret\":{"
     "\"secretName\":\"s\"}}]}}}}",
     "spec.template.spec",
     "{\"containers\":[{\"name\":\"c\",\"image\":\"a/"
     "b:1\",\"ports\":[{\"containerPort\":80,\"protocol\":\"TCP\"}],\"env\":[{\"name\":\"N\","
     "\"valueFrom\":{\"fieldRef\":{\"apiVersion\":\"v1\",\"fieldPath\":\"metadata.name\"}}}],"
     "\"resources\":{},\"livenessProbe\":{\"httpGet\":{\"path\":\"/"
     "\",\"port\":80,\"scheme\":\"HTTP\"},\"timeoutSeconds\":1,\"periodSeconds\":10,"
     "\"successThreshold\":1,\"failureThreshold\":3},\"readinessProbe\":{\"exec\":{\"command\":"
     "[\"a\"]},\"timeoutSeconds\":1,\"periodSeconds\":10,\"successThreshold\":1,"
     "\"failureThreshold\":3},\"terminationMessagePath\":\"/dev/"
     "termination-log\",\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":"
     "\"IfNotPresent\"}],\"volumes\":[{\"name\":\"m\",\"configMap\":{\"name\":\"m\","
     "\"defaultMode\":420}},{\"name\":\"s\",\"secret\":{\"secretName\":\"s\",\"defaultMode\":"
     "420}}],\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":"
     "\"ClusterFirst\",\"securityContext\":{},\"schedulerName\":\"default-scheduler\"}"}};

TEST(spec_1_2_a_set_is_stored_with_its_defaults)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        struct api_reply r =
            api_expect(&k, 201, "POST", SETS "?dryRun=All", "", with(a, SET, defaults[i].patch));
        const yyjson_val *is = api_at(r.json, defaults[i].path);
        yyjson_doc *want = NULL;
        struct err err;
        if (defaults[i].value) {
            CHECK(json_parse(a, span_cstr(defaults[i].value), &want, &err) == 0);
        }
        bool same = want ? is && json_equal(is, yyjson_doc_get_root(want)) : !is;
        if (!same) {
            printf("# %s %s: %.*s\n", defaults[i].patch, defaults[i].path,
                   SPAN_ARG(is ? json_write(a, is) : SPAN("absent")));
        }
        CHECK(same);
    }
    api_kit_stop(&k);
}

TEST(spec_1_7_what_may_change_may_and_the_rest_may_not)
{
    static const struct {
        const char *patch;
        bool may;
    } rows[] = {
        {"{\"spec\":{\"replicas\":7}}", true},
        {"{\"spec\":{\"ordinals\":{\"start\":1}}}", true},
        {"{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"a\":\"b\"}}}}}", true},
        {"{\"spec\":{\"updateStrategy\":{\"type\":\"OnDelete\",\"rollingUpdate\":null}}}", true},
        {"{\"spec\":{\"revisionHistoryLimit\":3}}", true},
        {"{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenScaled\":\"Delete\"}}}", true},
        {"{\"spec\":{\"minReadySeconds\":3}}", true},
        {"{\"spec\":{\"serviceName\":\"x\"}}", false},
        {"{\"spec\":{\"podManagementPolicy\":\"Parallel\"}}", false},
        {"{\"spec\":{\"selector\":{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]"
         "}}}",
         false},
        {"{\"spec\":{\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"d\"},\"spec\":{"
         "\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}]"
         "}}",
         false},
        {"{\"spec\":{\"volumeClaimTemplates\":[]}}", true}}; /* nothing and empty are equal */
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", SETS, "", SET);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_reply r = api_expect(&k, rows[i].may ? 200 : 422, "PATCH",
                                        SETS "/web?dryRun=All", MERGE, rows[i].patch);
        if (!rows[i].may) {
            check_message(rows[i].patch, &r,
                          "StatefulSet.apps \"web\" is invalid: spec: Forbidden: updates to "
                          "statefulset spec for fields other than 'replicas', 'ordinals', "
                          "'template', 'updateStrategy', 'revisionHistoryLimit', "
                          "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are "
                          "forbidden");
        }
    }
    api_kit_stop(&k);
}

TEST(spec_1_7_the_counts_of_a_status_agree)
{
    static const struct {
        const char *status, *said;
    } rows[] = {
        {"\"replicas\":-1,\"readyReplicas\":-1,\"currentReplicas\":-1,\"updatedReplicas\":-1,"
         "\"availableReplicas\":-1",
         "[status.replicas: Invalid value: -1: must be greater than or equal to 0, "
         "status.readyReplicas: Invalid value: -1: must be greater than or equal to 0, "
         "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0, "
         "status.updatedReplicas: Invalid value: -1: must be greater than or equal to 0, "
         "status.availableReplicas: Invalid value: -1: must be greater than or equal to 0]"},
        {"\"currentReplicas\":-1",
         "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0"},
        {"\"updatedReplicas\":-1",
         "status.updatedReplicas: Invalid value: -1: must be greater than or equal to 0"},
        {"\"availableReplicas\":-1",
         "status.availableReplicas: Invalid value: -1: must be greater than or equal to 0"},
        {"\"observedGeneration\":-1",
         "status.observedGeneration: Invalid value: -1: must be greater than or equal to 0"},
        {"\"replicas\":1,\"readyReplicas\":2",
         "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"},
        {"\"replicas\":1,\"currentReplicas\":2",
         "status.currentReplicas: Invalid value: 2: cannot be greater than status.replicas"},
        {"\"replicas\":1,\"updatedReplicas\":2",
         "status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas"},
        {"\"replicas\":1,\"readyReplicas\":1,\"availableReplicas\":2",
         "[status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas, "
         "status.availableReplicas: Invalid value: 2: cannot be greater than "
         "status.readyReplicas]"},
        {"\"replicas\":3,\"readyReplicas\":1,\"availableReplicas\":2",
         "status.availableReplicas: Invalid value: 2: cannot be greater than "
         "status.readyReplicas"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    (void)api_expect(&k, 201, "POST", SETS, "", SET);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *body = arena_printf(a, "{\"status\":{%s}}", rows[i].status).p;
        struct api_reply r = api_expect(&k, 422, "PATCH", SETS "/web/status", MERGE, body);
        check_message(rows[i].status, &r,
                      arena_printf(a, "StatefulSet.apps \"web\" is invalid: %s", rows[i].said).p);
    }
    api_kit_stop(&k);
}

TEST(spec_1_7_the_data_of_a_revision_stays_and_its_number_may_change)
{
#define REVISIONS "/apis/apps/v1/namespaces/default/controllerrevisions"
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", REVISIONS, "",
                     "{\"metadata\":{\"name\":\"r\"},\"data\":{\"a\":1},\"revision\":1}");
    (void)api_expect(&k, 200, "PATCH", REVISIONS "/r", MERGE, "{\"revision\":2}");
    struct api_reply r =
        api_expect(&k, 422, "PATCH", REVISIONS "/r", MERGE, "{\"data\":{\"a\":2}}");
    check_message("data", &r,
                  "ControllerRevision.apps \"r\" is invalid: data: Invalid value: {\"a\":2}: field "
                  "is immutable");
    api_kit_stop(&k);
}

TEST(spec_1_8_scale_is_written_by_every_kind_of_write_and_checked)
{
    static const struct {
        int status;
        const char *method, *type, *body;
        int64_t replicas;
    } rows[] = {
        {200, "PATCH", MERGE, "{\"spec\":{\"replicas\":2}}", 2},
        {200, "PATCH", "Content-Type: application/strategic-merge-patch+json\r\n",
         "{\"spec\":{\"replicas\":3}}", 3},
        {200, "PATCH", "Content-Type: application/json-patch+json\r\n",
         "[{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":4}]", 4},
        {200, "PUT", "", "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"replicas\":5}}", 5},
        {200, "PATCH", "Content-Type: application/apply-patch+yaml\r\n",
         "{\"apiVersion\":\"autoscaling/v1\",\"kind\":\"Scale\",\"metadata\":{\"name\":\"web\"},"
         "\"spec\":{\"replicas\":5}}",
         5},
        {422, "PUT", "", "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"replicas\":-1}}", 5}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    (void)api_expect(&k, 201, "POST", SETS, "",
                     with(a, SET,
                          "{\"spec\":{\"selector\":{\"matchExpressions\":[{\"key\":\"app\","
                          "\"operator\":\"In\",\"values\":[\"x\",\"web\"]}]}}}"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_reply r =
            api_expect(&k, rows[i].status, rows[i].method, SETS "/web/scale?fieldManager=m",
                       rows[i].type, rows[i].body);
        if (rows[i].status == 422) {
            check_message("negative", &r,
                          "Scale.autoscaling \"web\" is invalid: spec.replicas: Invalid value: -1: "
                          "must be greater than or equal to 0");
        }
        r = api_get(&k, SETS "/web");
        CHECK_EQ(json_int(api_at(r.json, "spec.replicas"), -1), rows[i].replicas);
    }
    struct api_reply r = api_get(&k, SETS "/web/scale");
    CHECK_SPAN(api_str(&r, "status.selector"), "app=web,app in (web,x)");
    api_kit_stop(&k);
}

/* The entry of a resource in an APIResourceList; NULL: none. */
static const yyjson_val *resource(const struct api_reply *r, const char *name)
{
    return json_find(api_at(r->json, "resources"), "name", span_cstr(name));
}

TEST(spec_1_1_sets_are_found_where_clients_look)
{
    static const struct {
        const char *name, *entry;
    } rows[] = {
        {"statefulsets",
         "{\"name\":\"statefulsets\",\"singularName\":\"statefulset\",\"namespaced\":true,\"kind\":"
         "\"StatefulSet\",\"verbs\":[\"create\",\"delete\",\"deletecollection\",\"get\",\"list\","
         "\"patch\",\"update\",\"watch\"],\"shortNames\":[\"sts\"],\"categories\":[\"all\"]}"},
        {"statefulsets/status",
         "{\"name\":\"statefulsets/status\",\"singularName\":\"\",\"namespaced\":true,\"kind\":"
         "\"StatefulSet\",\"verbs\":[\"get\",\"patch\",\"update\"]}"},
        {"statefulsets/scale",
         "{\"name\":\"statefulsets/scale\",\"singularName\":\"\",\"namespaced\":true,\"group\":"
         "\"autoscaling\",\"version\":\"v1\",\"kind\":\"Scale\",\"verbs\":[\"get\",\"patch\","
         "\"update\"]}"},
        {"controllerrevisions",
         "{\"name\":\"controllerrevisions\",\"singularName\":\"controllerrevision\",\"namespaced\":"
         "true,\"kind\":\"ControllerRevision\",\"verbs\":[\"create\",\"delete\","
         "\"deletecollection\",\"get\",\"list\",\"patch\",\"update\",\"watch\"]}"},
        {"controllerrevisions/status", NULL}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    struct api_reply r = api_get(&k, "/apis/apps/v1");
    CHECK_SPAN(json_get_str(resource(&r, "statefulsets"), "storageVersionHash"), "H+vl74LkKdo=");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const yyjson_val *is = resource(&r, rows[i].name);
        CHECK_EQ(is != NULL, rows[i].entry != NULL);
        if (is) {
            const char *shown = with(a, arena_cstr(a, json_write(a, is)),
                                     "{\"storageVersionHash\":null,\"responseKind\":null}");
            yyjson_doc *x, *y;
            struct err err;
            CHECK(json_parse(a, span_cstr(shown), &x, &err) == 0);
            CHECK(json_parse(a, span_cstr(rows[i].entry), &y, &err) == 0);
            if (!json_equal(yyjson_doc_get_root(x), yyjson_doc_get_root(y))) {
                printf("# %s\n", shown);
            }
            CHECK(json_equal(yyjson_doc_get_root(x), yyjson_doc_get_root(y)));
        }
    }
    (void)api_expect(&k, 404, "GET", "/apis/apps/v1beta1/statefulsets", "", NULL);
    (void)api_expect(&k, 404, "GET", "/apis/apps/v1beta2/statefulsets", "", NULL);
    api_kit_stop(&k);
}

/* "Name, Age, IP p1": the columns of a table, with the priority of those that -o wide shows. */
static struct span columns(struct arena *a, const struct api_reply *r)
{
    struct span all = SPAN("");
    JSON_EACH(it, api_at(r->json, "columnDefinitions"))
    {
        struct span name = json_get_str(it.val, "name");
        int64_t priority = json_get_int(it.val, "priority", -1);
        CHECK(priority == 0 || priority == 1);
        all = arena_printf(a, "%.*s%s%.*s%s", SPAN_ARG(all), all.n ? ", " : "", SPAN_ARG(name),
                           priority ? " p1" : "");
    }
    return all;
}

#define TABLE "Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json\r\n"

TEST(spec_1_9_tables_have_every_column_wide_or_not)
{
    static const struct {
        const char *path, *columns;
    } rows[] = {
        {"/apis/apps/v1/statefulsets", "Name, Ready, Age, Containers p1, Images p1, Waiting p1"},
        {SETS "/web/scale", "Name, Desired, Available, Age"},
        {"/api/v1/pods", "Name, Ready, Status, Restarts, Age, IP p1, Node p1, Nominated Node p1, "
                         "Readiness Gates p1"},
        {"/api/v1/services", "Name, Type, Cluster-IP, External-IP, Port(s), Age, Selector p1"},
        {"/api/v1/persistentvolumeclaims",
         "Name, Status, Volume, Capacity, Access Modes, StorageClass, VolumeAttributesClass, Age, "
         "VolumeMode p1"},
        {"/api/v1/persistentvolumes",
         "Name, Capacity, Access Modes, Reclaim Policy, Status, Claim, StorageClass, "
         "VolumeAttributesClass, Reason, Age, VolumeMode p1"},
        {"/apis/storage.k8s.io/v1/storageclasses",
         "Name, Provisioner, ReclaimPolicy, VolumeBindingMode, AllowVolumeExpansion, Age"},
        {"/apis/apps/v1/controllerrevisions", "Name, Controller, Revision, Age"},
        {"/api/v1/endpoints", "Name, Endpoints, Age"},
        {"/api/v1/events", "Last Seen, Type, Reason, Object, Subobject p1, Source p1, Message, "
                           "First Seen p1, Count p1, Name p1"},
        {"/api/v1/namespaces", "Name, Status, Age"},
        {"/api/v1/secrets", "Name, Type, Data, Age"},
        {"/api/v1/configmaps", "Name, Data, Age"},
        {"/api/v1/nodes", "Name, Status, Roles, Age, Version, Internal-IP p1, External-IP p1, "
                          "OS-Image p1, Kernel-Version p1, Container-Runtime p1"},
        {"/apis/policy/v1/poddisruptionbudgets",
         "Name, Min Available, Max Unavailable, Allowed Disruptions, Age"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    (void)api_expect(&k, 201, "POST", SETS, "", SET);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_reply r = api_expect(&k, 200, "GET", rows[i].path, TABLE, NULL);
        CHECK_SPAN(api_str(&r, "kind"), "Table");
        CHECK_SPAN(columns(a, &r), rows[i].columns);
    }
    api_kit_stop(&k);
}

TEST(spec_1_9_a_row_brings_as_much_of_its_object_as_is_asked_for)
{
    static const struct {
        const char *query, *kind;
        int status;
        bool spec;
    } rows[] = {{"", "PartialObjectMetadata", 200, false},
                {"?includeObject=Metadata", "PartialObjectMetadata", 200, false},
                {"?includeObject=Object", "StatefulSet", 200, true},
                {"?includeObject=None", NULL, 200, false},
                {"?includeObject=Some", NULL, 400, false}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    (void)api_expect(&k, 201, "POST", SETS, "", SET);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_reply r = api_expect(&k, rows[i].status, "GET",
                                        arena_printf(a, SETS "%s", rows[i].query).p, TABLE, NULL);
        CHECK_SPAN(api_str(&r, "rows.0.object.kind"), rows[i].kind ? rows[i].kind : "");
        CHECK_EQ(api_at(r.json, "rows.0.object.spec") != NULL, rows[i].spec);
    }
    api_kit_stop(&k);
}
