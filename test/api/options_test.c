/* What is refused about the options of a request, word for word as Kubernetes refuses it. */
#include "test/kit/api_kit.h"

#define CM "/api/v1/namespaces/default/configmaps"
#define LIST "ListOptions.meta.k8s.io \"\" is invalid: "
#define DELETE_OPTIONS "DeleteOptions.meta.k8s.io \"\" is invalid: "
#define MATCH "resourceVersionMatch: "

TEST(options_that_contradict_are_refused_in_kubernetes_words)
{
    static const struct {
        const char *method, *path, *body, *kind, *message;
    } cases[] = {
        {"GET", CM "?resourceVersionMatch=Exact", NULL, "ListOptions",
         LIST MATCH "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is "
                    "provided"},
        {"GET", CM "?resourceVersion=1&resourceVersionMatch=Any", NULL, "ListOptions",
         LIST MATCH "Unsupported value: \"Any\": supported values: \"Exact\", \"NotOlderThan\", "
                    "\"\""},
        {"GET", CM "?resourceVersion=0&resourceVersionMatch=Exact", NULL, "ListOptions",
         LIST MATCH "Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion "
                    "\"0\""},
        {"GET", CM "?resourceVersion=1&resourceVersionMatch=Exact&continue=x", NULL, "ListOptions",
         LIST MATCH "Forbidden: resourceVersionMatch is forbidden when continue is provided"},
        {"GET", CM "?sendInitialEvents=false", NULL, "ListOptions",
         LIST "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"},
        {"GET", CM "?watch=1&sendInitialEvents=true", NULL, "ListOptions",
         LIST MATCH "Forbidden: sendInitialEvents requires setting resourceVersionMatch to "
                    "NotOlderThan"},
        {"GET", CM "?watch=1&resourceVersionMatch=NotOlderThan", NULL, "ListOptions",
         LIST MATCH "Forbidden: resourceVersionMatch is forbidden for watch unless "
                    "sendInitialEvents is provided"},
        {"GET", CM "?watch=1&sendInitialEvents=true&resourceVersionMatch=Exact", NULL,
         "ListOptions",
         LIST "[" MATCH "Forbidden: sendInitialEvents requires setting resourceVersionMatch to "
              "NotOlderThan, " MATCH
              "Unsupported value: \"Exact\": supported values: \"NotOlderThan\"]"},
        {"DELETE", CM "?resourceVersionMatch=Exact", NULL, "ListOptions",
         LIST MATCH "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is "
                    "provided"},
        {"DELETE", CM "/a?propagationPolicy=Now", NULL, "DeleteOptions",
         DELETE_OPTIONS "propagationPolicy: Unsupported value: \"Now\": supported values: "
                        "\"Foreground\", \"Background\", \"Orphan\", \"nil\""},
        {"DELETE", CM "/a?propagationPolicy=Orphan&orphanDependents=true", NULL, "DeleteOptions",
         DELETE_OPTIONS "propagationPolicy: Invalid value: \"Orphan\": orphanDependents and "
                        "deletionPropagation cannot be both set"},
        {"DELETE", CM "/a", "{\"propagationPolicy\":\"Orphan\",\"orphanDependents\":false}",
         "DeleteOptions",
         DELETE_OPTIONS "propagationPolicy: Invalid value: \"Orphan\": orphanDependents and "
                        "deletionPropagation cannot be both set"},
        {"DELETE", CM "/a", "{\"dryRun\":[\"Some\"]}", "DeleteOptions",
         DELETE_OPTIONS "dryRun: Unsupported value: [\"Some\"]: supported values: \"All\""},
        {"POST", CM "?dryRun=Some", "{}", "CreateOptions",
         "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: "
         "supported values: \"All\""},
        {"PUT", CM "/a?fieldValidation=strict", "{}", "UpdateOptions",
         "UpdateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: "
         "\"strict\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""},
        {"POST", CM "?fieldManager=a%09b", "{}", "CreateOptions",
         "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"a\\tb\": "
         "invalid character U+0009 (at position 1)"},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_reply r = api_expect(&k, 422, cases[i].method, cases[i].path, "", cases[i].body);
        CHECK_SPAN(api_str(&r, "message"), cases[i].message);
        CHECK_SPAN(api_str(&r, "reason"), "Invalid");
        CHECK_SPAN(api_str(&r, "details.group"), "meta.k8s.io");
        CHECK_SPAN(api_str(&r, "details.kind"), cases[i].kind);
        CHECK(api_at(r.json, "details.name") == NULL);
        CHECK(json_len(api_at(r.json, "details.causes")) > 0);
    }
    api_kit_stop(&k);
}

TEST(options_that_are_no_numbers_are_bad_requests)
{
    static const struct {
        const char *method, *path, *message;
    } cases[] = {
        {"GET", CM "?limit=many", "strconv.ParseInt: parsing \"many\": invalid syntax"},
        {"GET", CM "?timeoutSeconds=1s", "strconv.ParseInt: parsing \"1s\": invalid syntax"},
        {"DELETE", CM "/a?gracePeriodSeconds=", "strconv.ParseInt: parsing \"\": invalid syntax"},
        {"GET", CM "?resourceVersion=x",
         "invalid resource version: resourceVersion: Invalid value: \"x\": strconv.ParseUint: "
         "parsing \"x\": invalid syntax"},
        {"GET", CM "/a?resourceVersion=99999999999999999999",
         "invalid resource version: resourceVersion: Invalid value: \"99999999999999999999\": "
         "strconv.ParseUint: parsing \"99999999999999999999\": value out of range"},
        {"GET", CM "?watch=1&resourceVersion=x",
         "resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid "
         "syntax"},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_reply r = api_expect(&k, 400, cases[i].method, cases[i].path, "", NULL);
        CHECK_SPAN(api_str(&r, "message"), cases[i].message);
        CHECK_SPAN(api_str(&r, "reason"), "BadRequest");
        CHECK(api_at(r.json, "details") == NULL);
    }
    api_kit_stop(&k);
}

TEST(options_of_another_verb_are_passed_over)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 200, "GET", CM "?fieldValidation=no&dryRun=no&propagationPolicy=no", "",
                     NULL);
    (void)api_expect(&k, 201, "POST", CM "?propagationPolicy=no&sendInitialEvents=true", "",
                     "{\"metadata\":{\"name\":\"a\"}}");
    (void)api_expect(&k, 200, "DELETE", CM "/a?fieldValidation=no&resourceVersionMatch=no", "",
                     NULL);
    api_kit_stop(&k);
}

TEST(initial_events_without_bookmarks_have_no_mark_at_their_end)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_watch *w = api_watch_open(
        &k,
        "/api/v1/namespaces?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
        "fieldSelector=metadata.name%3Ddefault",
        "");
    CHECK_SPAN(json_get_str(api_watch_next(w), "type"), "ADDED");
    CHECK(api_watch_quiet(w, 50));
    api_watch_close(w);
    api_kit_stop(&k);
}

TEST(initial_events_are_not_older_than_what_the_client_has_seen)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(
        &k, 504, "GET",
        CM "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=9999",
        "", NULL);
    CHECK_SPAN(api_str(&r, "reason"), "Timeout");
    CHECK_SPAN(api_str(&r, "details.causes.0.reason"), "ResourceVersionTooLarge");
    api_kit_stop(&k);
}

TEST(forms_that_do_not_go_with_the_request_are_refused)
{
    static const struct {
        int status;
        const char *path, *as, *message;
    } cases[] = {
        {400, CM "?includeObject=All", "Table",
         "Unable to convert to Table as requested: includeObject: Invalid value: \"All\": must be "
         "'Metadata', 'Object', 'None', or empty"},
        {406, CM, "PartialObjectMetadata",
         "you requested PartialObjectMetadata, but the requested object is a list "
         "(*core.ConfigMapList)"},
        {406, "/apis/rbac.authorization.k8s.io/v1/clusterroles", "PartialObjectMetadata",
         "you requested PartialObjectMetadata, but the requested object is a list "
         "(*rbac.ClusterRoleList)"},
        {406, CM "/a", "PartialObjectMetadataList",
         "you requested PartialObjectMetadataList, but the requested object is not a list type"},
        {200, CM "?includeObject=None", "Table", ""},
        {200, CM "?includeObject=All", "PartialObjectMetadataList", ""},
        {404, CM "/a", "PartialObjectMetadata", "configmaps \"a\" not found"},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char accept[128];
        (void)snprintf(accept, sizeof accept,
                       "Accept: application/json;as=%s;g=meta.k8s.io;v=v1\r\n", cases[i].as);
        struct api_reply r = api_expect(&k, cases[i].status, "GET", cases[i].path, accept, NULL);
        CHECK_SPAN(api_str(&r, "message"), cases[i].message);
    }
    api_kit_stop(&k);
}

TEST(of_a_parameter_that_is_given_twice_the_first_counts)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/configmaps", "",
                     "{\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":\"1\"}}}");
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/configmaps", "",
                     "{\"metadata\":{\"name\":\"b\"}}");
    static const struct {
        const char *query;
        size_t found;
    } rows[] = {{"labelSelector=x%3D1&labelSelector=x%3D2", 1},
                {"labelSelector=x%3D2&labelSelector=x%3D1", 0},
                {"fieldSelector=metadata.name%3Da&limit=5&fieldSelector=metadata.name%3Db", 1},
                {"labelSelector=&labelSelector=x%3D2", 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup_arena struct arena *a = arena_new();
        struct api_reply r = api_get(
            &k, arena_printf(a, "/api/v1/namespaces/default/configmaps?%s", rows[i].query).p);
        CHECK_EQ(json_len(api_at(r.json, "items")), rows[i].found);
    }
    (void)api_expect(&k, 400, "GET", "/api/v1/namespaces/default/configmaps?limit=x&limit=1", "",
                     NULL);
    (void)api_expect(&k, 200, "GET", "/api/v1/namespaces/default/configmaps?limit=1&limit=x", "",
                     NULL);
    api_kit_stop(&k);
}
