/* Watches over HTTP and through the local client: every start, order, and end. */
#include "schema/kinds.h"
#include "test/kit/api_kit.h"

#define CM "/api/v1/namespaces/default/configmaps"

static void make(struct api_kit *k, const char *name, const char *label)
{
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"l\":\"%s\"}},\"data\":{}}", name,
                   label);
    (void)api_expect(k, 201, "POST", CM, "", body);
}

static void expect(struct api_watch *w, const char *type, const char *name)
{
    const yyjson_val *e = api_watch_next(w);
    CHECK(e != NULL);
    CHECK_SPAN(json_get_str(e, "type"), type);
    CHECK_SPAN(json_str(api_at(e, "object.metadata.name")), name);
}

TEST(watch_without_revision_starts_with_what_exists_and_goes_on_live)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, "a", "x");
    struct api_watch *w = api_watch_open(&k, CM "?watch=true", "");
    CHECK_EQ(api_watch_status(w), 200);
    expect(w, "ADDED", "a");
    CHECK(api_watch_quiet(w, 30));
    make(&k, "b", "x");
    expect(w, "ADDED", "b");
    (void)api_expect(&k, 200, "PATCH", CM "/b", "Content-Type: application/merge-patch+json\r\n",
                     "{\"data\":{\"k\":\"v\"}}");
    expect(w, "MODIFIED", "b");
    (void)api_expect(&k, 200, "DELETE", CM "/b", "", NULL);
    expect(w, "DELETED", "b");
    api_watch_close(w);
    api_kit_stop(&k);
}

TEST(watch_from_a_revision_misses_nothing_and_repeats_nothing)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, "a", "x");
    struct api_reply l = api_get(&k, CM);
    make(&k, "b", "x");
    char path[128];
    (void)snprintf(path, sizeof path, CM "?watch=1&resourceVersion=%.*s",
                   SPAN_ARG(api_str(&l, "metadata.resourceVersion")));
    struct api_watch *w = api_watch_open(&k, path, "");
    expect(w, "ADDED", "b");
    CHECK(api_watch_quiet(w, 30));
    api_watch_close(w);
    api_kit_stop(&k);
}

TEST(watch_list_ends_the_initial_events_with_an_annotated_bookmark)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, "a", "x");
    struct api_watch *w =
        api_watch_open(&k,
                       CM "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
                          "allowWatchBookmarks=true",
                       "");
    expect(w, "ADDED", "a");
    const yyjson_val *e = api_watch_next(w);
    CHECK_SPAN(json_get_str(e, "type"), "BOOKMARK");
    CHECK_SPAN(json_str(json_path(e, "object", "metadata", "annotations",
                                  "k8s.io/initial-events-end", NULL)),
               "true");
    CHECK_SPAN(json_str(api_at(e, "object.kind")), "ConfigMap");
    make(&k, "b", "x");
    expect(w, "ADDED", "b");
    api_watch_close(w);
    struct api_reply r = api_expect(&k, 422, "GET", CM "?watch=1&sendInitialEvents=true", "", NULL);
    CHECK_SPAN(api_str(&r, "reason"), "Invalid");
    api_kit_stop(&k);
}

TEST(watch_ends_at_its_timeout_with_a_bookmark)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_watch *w =
        api_watch_open(&k, CM "?watch=1&timeoutSeconds=1&allowWatchBookmarks=true", "");
    const yyjson_val *e = api_watch_next(w);
    CHECK_SPAN(json_get_str(e, "type"), "BOOKMARK");
    CHECK(api_watch_next(w) == NULL);
    api_watch_close(w);
    api_kit_stop(&k);
}

TEST(watch_with_a_selector_tells_coming_and_leaving)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, "a", "x");
    make(&k, "b", "y");
    struct api_watch *w = api_watch_open(&k, CM "?watch=1&labelSelector=l%3Dx", "");
    expect(w, "ADDED", "a");
    (void)api_expect(&k, 200, "PATCH", CM "/b", "Content-Type: application/merge-patch+json\r\n",
                     "{\"metadata\":{\"labels\":{\"l\":\"x\"}}}");
    expect(w, "ADDED", "b");
    (void)api_expect(&k, 200, "PATCH", CM "/a", "Content-Type: application/merge-patch+json\r\n",
                     "{\"metadata\":{\"labels\":{\"l\":\"z\"}}}");
    expect(w, "DELETED", "a");
    api_watch_close(w);
    api_kit_stop(&k);
}

TEST(table_watch_sends_tables_with_one_row)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, "a", "x");
    struct api_watch *w = api_watch_open(
        &k, CM "?watch=1", "Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n");
    const yyjson_val *e = api_watch_next(w);
    CHECK_SPAN(json_str(api_at(e, "object.kind")), "Table");
    CHECK_SPAN(json_str(api_at(e, "object.rows.0.cells.0")), "a");
    CHECK_SPAN(json_str(api_at(e, "object.rows.0.object.kind")), "PartialObjectMetadata");
    api_watch_close(w);
    api_kit_stop(&k);
}

TEST(watch_from_a_malformed_revision_is_refused)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_watch *w = api_watch_open(&k, CM "?watch=1&resourceVersion=x", "");
    CHECK_EQ(api_watch_status(w), 400);
    api_watch_close(w);
    api_kit_stop(&k);
}

/* ---- the local client ---- */

struct seen {
    int added, modified, deleted, synced;
    bool done, replied;
    struct span name;
    enum err_reason reason;
    int64_t rev;
};

static void on_event(void *data, enum client_event_type type, struct object *object)
{
    struct seen *s = data;
    s->added += type == CLIENT_ADDED;
    s->modified += type == CLIENT_MODIFIED;
    s->deleted += type == CLIENT_DELETED;
    CHECK(object_name(object).n > 0);
    s->done = s->deleted > 0;
}

static void on_synced(void *data)
{
    ((struct seen *)data)->synced++;
}

static void on_reply(void *data, const struct client_reply *reply)
{
    struct seen *s = data;
    s->replied = true;
    s->reason = reply->err.reason;
    s->rev = reply->rev;
}

TEST(local_client_watches_and_writes)
{
    static const struct client_watch_handler handler = {on_event, on_synced};
    struct api_kit k;
    struct seen s = {0};
    api_kit_start(&k, NULL);
    make(&k, "a", "x");
    struct client_request q = {CLIENT_REQUEST_INIT, .kind = SCHEMA_KIND(ConfigMap),
                               .ns = SPAN("default")};
    struct client_watch *w = client_watch_new(k.client, &q, &handler, &s);
    CHECK_EQ(s.added, 0); /* never inside the call */
    q.verb = CLIENT_CREATE;
    q.body = SPAN("{\"metadata\":{\"name\":\"b\"}}");
    client_do(k.client, &q, on_reply, &s);
    CHECK(!s.replied);
    api_run_until(&k, &s.replied);
    CHECK_EQ(s.reason, ERR_NONE);
    CHECK(s.rev > 0);
    s.replied = false;
    client_do(k.client, &q, on_reply, &s);
    api_run_until(&k, &s.replied);
    CHECK_EQ(s.reason, ERR_ALREADY_EXISTS);
    q.verb = CLIENT_DELETE;
    q.name = SPAN("b");
    q.body = SPAN_NULL;
    client_do(k.client, &q, NULL, NULL);
    api_run_until(&k, &s.done);
    CHECK_EQ(s.added, 2);
    CHECK_EQ(s.synced, 1);
    s.replied = false;
    client_do(k.client, &q, on_reply, &s);
    client_cancel(k.client, &s);
    api_run_ms(&k, 20);
    CHECK(!s.replied);
    client_watch_free(w);
    api_kit_stop(&k);
}

TEST(older_watch_paths_are_the_same_as_the_parameter)
{
    static const char *const paths[] = {
        "/api/v1/watch/namespaces/default/configmaps?labelSelector=l%3Dx",
        "/api/v1/watch/configmaps?watch=false&labelSelector=l%3Dx",
        "/api/v1/watch/namespaces/default/configmaps/a",
        "/api/v1/watch/namespaces/default/configmaps/a?fieldSelector=metadata.name%3Da"};
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, "a", "x");
    make(&k, "b", "y");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct api_watch *w = api_watch_open(&k, paths[i], "");
        CHECK_EQ(api_watch_status(w), 200);
        expect(w, "ADDED", "a");
        CHECK(api_watch_quiet(w, 30));
        api_watch_close(w);
    }
    struct api_watch *w = api_watch_open(&k, "/api/v1/watch/namespaces/default", "");
    expect(w, "ADDED", "default");
    api_watch_close(w);
    w = api_watch_open(&k, "/apis/apps/v1/watch/statefulsets?timeoutSeconds=1", "");
    CHECK_EQ(api_watch_status(w), 200);
    CHECK(api_watch_next(w) == NULL);
    api_watch_close(w);
    api_kit_stop(&k);
}

TEST(older_watch_paths_are_for_looking_at_what_is_there)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 405, "DELETE", "/api/v1/watch/namespaces/default/configmaps/a", "", NULL);
    (void)api_expect(&k, 405, "POST", "/api/v1/watch/namespaces/default/configmaps", "", "{}");
    (void)api_expect(&k, 404, "GET", "/api/v1/watch/namespaces/default/pods/p/log", "", NULL);
    (void)api_expect(&k, 404, "GET", "/api/v1/watch/configmaps/a", "", NULL);
    (void)api_expect(&k, 404, "GET", "/api/v1/watch/nothing", "", NULL);
    (void)api_expect(&k, 404, "GET", "/api/v1/watch", "", NULL);
    struct api_reply r = api_expect(
        &k, 400, "GET",
        "/api/v1/watch/namespaces/default/configmaps/a?fieldSelector=metadata.name%3Db", "", NULL);
    CHECK_SPAN(api_str(&r, "message"), "fieldSelector metadata.name doesn't match requested name");
    api_kit_stop(&k);
}

TEST(one_object_by_name_is_got_and_not_watched)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, "a", "x");
    struct api_reply r = api_get(&k, CM "/a?watch=true");
    CHECK_EQ(r.status, 200);
    CHECK_SPAN(api_str(&r, "kind"), "ConfigMap");
    api_kit_stop(&k);
}
