/* get and list: pages, revisions, selectors, forms of an answer; who may ask at all. */
#include "http/http.h"
#include "test/kit/api_kit.h"

#define CM "/api/v1/namespaces/default/configmaps"
#define TABLE "Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json\r\n"

static void make(struct api_kit *k, int from, int to)
{
    for (int i = from; i < to; i++) {
        char body[128];
        (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"m%02d\"}}", i);
        (void)api_expect(k, 201, "POST", CM, "", body);
    }
}

TEST(pages_show_one_moment)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, 0, 5);
    struct api_reply a = api_expect(&k, 200, "GET", CM "?limit=2", "", NULL);
    CHECK_EQ(json_len(api_at(a.json, "items")), 2);
    CHECK_EQ(json_int(api_at(a.json, "metadata.remainingItemCount"), 0), 3);
    (void)api_expect(&k, 200, "DELETE", CM "/m03", "", NULL);
    make(&k, 5, 7);
    char path[160];
    (void)snprintf(path, sizeof path, CM "?limit=2&continue=%.*s",
                   SPAN_ARG(api_str(&a, "metadata.continue")));
    struct api_reply b = api_expect(&k, 200, "GET", path, "", NULL);
    CHECK_SPAN(api_str(&b, "items.1.metadata.name"), "m03");
    CHECK(
        span_eq(api_str(&a, "metadata.resourceVersion"), api_str(&b, "metadata.resourceVersion")));
    (void)snprintf(path, sizeof path, CM "?limit=2&continue=%.*s",
                   SPAN_ARG(api_str(&b, "metadata.continue")));
    b = api_expect(&k, 200, "GET", path, "", NULL);
    CHECK_EQ(json_len(api_at(b.json, "items")), 1);
    CHECK_EQ(api_str(&b, "metadata.continue").n, 0);
    b = api_expect(&k, 200, "GET", path, "", NULL); /* a page may be asked for again */
    CHECK_SPAN(api_str(&b, "items.0.metadata.name"), "m04");
    api_kit_stop(&k);
}

TEST(a_token_of_another_query_is_of_no_use)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, 0, 3);
    struct api_reply a = api_get(&k, CM "?limit=1");
    char path[160];
    (void)snprintf(path, sizeof path, "/api/v1/namespaces/default/secrets?continue=%.*s",
                   SPAN_ARG(api_str(&a, "metadata.continue")));
    (void)api_expect(&k, 410, "GET", path, "", NULL);
    api_kit_stop(&k);
}

TEST(revisions_of_reads_are_checked)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 200, "GET", CM "?resourceVersion=0", "", NULL);
    (void)api_expect(&k, 200, "GET", CM "?resourceVersion=1&resourceVersionMatch=NotOlderThan", "",
                     NULL);
    (void)api_expect(&k, 422, "GET", CM "?resourceVersionMatch=Exact", "", NULL);
    (void)api_expect(&k, 504, "GET", CM "?resourceVersion=99999", "", NULL);
    (void)api_expect(&k, 422, "GET", CM "?resourceVersion=0&resourceVersionMatch=Exact", "", NULL);
    (void)api_expect(&k, 422, "GET", CM "?resourceVersion=1&resourceVersionMatch=Any", "", NULL);
    (void)api_expect(&k, 422, "GET",
                     CM "?resourceVersion=1&resourceVersionMatch=Exact&continue=2.1.0.0.x", "",
                     NULL);
    (void)api_expect(&k, 400, "GET", CM "?resourceVersion=1&continue=2.1.0.0.x", "", NULL);
    (void)api_expect(&k, 400, "GET", CM "?continue=nonsense", "", NULL);
    (void)api_expect(&k, 400, "GET", CM "?continue=fffffff.1.0.0.x", "", NULL); /* the future */
    (void)api_expect(&k, 400, "GET", CM "?limit=many", "", NULL);
    api_kit_stop(&k);
}

TEST(a_list_over_all_namespaces_and_of_one)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, 0, 1);
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/kube-system/configmaps", "",
                     "{\"metadata\":{\"name\":\"x\"}}");
    struct api_reply r = api_get(&k, "/api/v1/configmaps");
    CHECK_EQ(json_len(api_at(r.json, "items")), 2);
    r = api_get(&k, "/api/v1/configmaps?fieldSelector=metadata.namespace%3Dkube-system");
    CHECK_EQ(json_len(api_at(r.json, "items")), 1);
    r = api_get(&k, CM);
    CHECK_EQ(json_len(api_at(r.json, "items")), 1);
    api_kit_stop(&k);
}

TEST(forms_are_negotiated)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    make(&k, 0, 1);
    struct api_reply r = api_expect(&k, 200, "GET", CM "/m00", TABLE, NULL);
    CHECK_SPAN(api_str(&r, "kind"), "Table");
    CHECK_SPAN(api_str(&r, "rows.0.cells.0"), "m00");
    CHECK_SPAN(api_str(&r, "rows.0.object.metadata.name"), "m00");
    r = api_expect(&k, 200, "GET", CM "?includeObject=None", TABLE, NULL);
    CHECK(!api_at(r.json, "rows.0.object"));
    r = api_expect(&k, 200, "GET", CM "?includeObject=Object", TABLE, NULL);
    CHECK_SPAN(api_str(&r, "rows.0.object.kind"), "ConfigMap");
    r = api_expect(&k, 200, "GET", CM,
                   "Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io\r\n",
                   NULL);
    CHECK_SPAN(api_str(&r, "kind"), "PartialObjectMetadataList");
    CHECK_SPAN(api_str(&r, "items.0.metadata.name"), "m00");
    r = api_expect(&k, 200, "GET", CM,
                   "Accept: application/vnd.kubernetes.protobuf,application/json\r\n", NULL);
    CHECK_SPAN(api_header(&r, "content-type"), "application/vnd.kubernetes.protobuf");
    (void)api_expect(&k, 406, "GET", CM, "Accept: application/cbor\r\n", NULL);
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/events", "",
                     "{\"metadata\":{\"name\":\"e\",\"namespace\":\"default\"},\"involvedObject\":{"
                     "\"kind\":\"Pod\",\"namespace\":\"default\"},\"reason\":\"R\","
                     "\"reportingComponent\":\"me\",\"type\":\"Normal\"}");
#define EVENTS "/apis/events.k8s.io/v1/namespaces/default/events?fieldSelector="
    static const char *const events[] = {EVENTS "reportingController%3Dme",
                                         EVENTS "regarding.kind%3DPod",
                                         EVENTS "reason%3DR,regarding.name!%3Dx"};
    for (size_t i = 0; i < 3; i++) {
        r = api_expect(&k, 200, "GET", events[i], "", NULL);
        CHECK_SPAN(api_str(&r, "items.0.metadata.name"), "e");
    }
    static const char review[] = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                      question[] = "{\"spec\":{\"nonResourceAttributes\":{\"path\":\"/\","
                                   "\"verb\":\"get\"}}}";
    (void)api_expect(&k, 406, "POST", review,
                     "Accept: application/json;as=Table;g=meta.k8s.io;v=v1\r\n", question);
    (void)api_expect(&k, 201, "POST", review,
                     "Accept: application/json;as=Table;g=meta.k8s.io;v=v1,application/json\r\n",
                     question);
    r = api_expect(&k, 404, "GET", CM "/none", TABLE, NULL); /* errors are always a Status */
    CHECK_SPAN(api_str(&r, "kind"), "Status");
    api_kit_stop(&k);
}

TEST(discovery_in_both_forms_with_etags)
{
    struct api_kit k;
    const char *v2 = "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
                     "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
                     "application/json\r\n";
    const char *beta =
        "Accept: application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
        "application/json\r\n";
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 200, "GET", "/apis", v2, NULL);
    CHECK_SPAN(api_header(&r, "content-type"),
               "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    CHECK_SPAN(api_str(&r, "apiVersion"), "apidiscovery.k8s.io/v2");
    CHECK_SPAN(api_str(&r, "items.0.metadata.name"), "apps");
    char headers[512];
    (void)snprintf(headers, sizeof headers, "%sIf-None-Match: %.*s\r\n", v2,
                   SPAN_ARG(api_header(&r, "etag")));
    r = api_expect(&k, 304, "GET", "/apis", headers, NULL);
    r = api_expect(&k, 200, "GET", "/api", beta, NULL);
    CHECK_SPAN(api_str(&r, "apiVersion"), "apidiscovery.k8s.io/v2beta1");
    CHECK_SPAN(api_str(&r, "items.0.versions.0.version"), "v1");
    r = api_expect(&k, 200, "GET", "/apis/apps/v1", "", NULL);
    CHECK_SPAN(api_str(&r, "groupVersion"), "apps/v1");
    r = api_expect(&k, 200, "GET", "/openapi/v3", "", NULL);
    struct span url =
        json_str(json_path(r.json, "paths", "apis/apps/v1", "serverRelativeURL", NULL));
    char path[256];
    (void)snprintf(path, sizeof path, "%.*s", SPAN_ARG(url));
    r = api_expect(&k, 200, "GET", path, "", NULL);
    CHECK_SPAN(api_header(&r, "cache-control"), "public, immutable");
    CHECK_SPAN(api_str(&r, "openapi"), "3.0.0");
    r = api_expect(&k, 200, "GET", "/openapi/v2",
                   "Accept: application/com.github.proto-openapi.spec.v2@v1.0+protobuf\r\n", NULL);
    CHECK_SPAN(api_header(&r, "content-type"),
               "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    CHECK_SPAN(span_first(r.body, 5), "\n\x03"
                                      "2.0");
    r = api_expect(&k, 200, "GET", "/openapi/v2", "", NULL);
    CHECK_SPAN(api_str(&r, "swagger"), "2.0");
    (void)api_expect(&k, 404, "GET", "/openapi/v3/apis/none/v1", "", NULL);
    api_kit_stop(&k);
}

TEST(unknown_paths_get_a_status_below_a_group_and_plain_text_elsewhere)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    const char *unknown[] = {"/api/v2",        "/apis/apps/v9", "/apis/apps/v1/nopes",
                             "/api/v1/nopes",  CM "/m/scale",   "/api/v1/namespaces/default/nodes",
                             "/api/v1/pods/p", "/api/v1//pods", "/api/v1/%zz"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        struct api_reply r = api_expect(&k, 404, "GET", unknown[i], "", NULL);
        CHECK_SPAN(api_str(&r, "kind"), "Status");
    }
    const char *elsewhere[] = {"/nope", "/apix", "/apis/none", "/apis/none/v1", "/apis/none/v1/x"};
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        struct api_reply r = api_expect(&k, 404, "GET", elsewhere[i], "", NULL);
        CHECK_SPAN(r.body, "404 page not found\n");
        CHECK_SPAN(api_header(&r, "content-type"), "text/plain; charset=utf-8");
    }
    (void)api_expect(&k, 405, "PUT", CM, "", "{}");
    (void)api_expect(&k, 405, "POST", "/version", "", "{}");
    struct api_reply r = api_expect(&k, 200, "GET", "/version", "", NULL);
    CHECK_SPAN(api_str(&r, "minor"), "34");
    r = api_expect(&k, 200, "GET", "/metrics", "", NULL);
    CHECK(memmem(r.body.p, r.body.n, "berth_store_objects", 19) != NULL);
    api_kit_stop(&k);
}

/* ---- who asks: plain TCP brings no certificate ---- */

struct talk {
    struct api_kit *k;
    struct env_stream *stream;
    char in[4096];
    size_t n;
    bool done;
};

static void on_read(void *data, struct span bytes)
{
    struct talk *t = data;
    size_t n = bytes.n < sizeof t->in - 1 - t->n ? bytes.n : sizeof t->in - 1 - t->n;
    memcpy(t->in + t->n, bytes.p, n);
    t->n += n;
}

static void on_end(void *data, int code)
{
    (void)code;
    ((struct talk *)data)->done = true;
}

static void on_connect(void *data, int code, struct env_stream *stream)
{
    static const struct env_stream_handler handler = {.on_read = on_read, .on_end = on_end};
    struct talk *t = data;
    CHECK_EQ(code, 0);
    t->stream = stream;
    env_stream_set(stream, &handler, t);
    env_stream_read(stream, true);
}

static int ask(struct api_kit *k, uint16_t port, const char *path)
{
    struct talk t = {.k = k};
    char out[256];
    CHECK_EQ(env_connect_tcp(k->env, "127.0.0.1", port, on_connect, &t), 0);
    while (!t.stream) {
        api_run_ms(k, 5);
    }
    (void)snprintf(out, sizeof out, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                   path);
    env_stream_write(t.stream, span_cstr(out));
    api_run_until(k, &t.done);
    env_stream_close(t.stream);
    return t.n > 12 ? (t.in[9] - '0') * 100 + (t.in[10] - '0') * 10 + t.in[11] - '0' : 0;
}

TEST(without_a_certificate_only_health_and_version_answer)
{
    struct api_kit k;
    uint16_t port = 0;
    api_kit_start(&k, NULL);
    CHECK_EQ(http_server_listen_tcp(k.http, "127.0.0.1", 0, NULL, &port), 0);
    CHECK_EQ(ask(&k, port, "/livez"), 200);
    CHECK_EQ(ask(&k, port, "/readyz"), 200);
    CHECK_EQ(ask(&k, port, "/version"), 200);
    CHECK_EQ(ask(&k, port, CM), 403);
    CHECK_EQ(ask(&k, port, "/api"), 403);
    CHECK_EQ(ask(&k, port, "/nope"), 403);
    CHECK_EQ(ask(&k, port, "/metrics"), 403);
    api_kit_stop(&k);
}

static void check_laid_out(const struct api_reply *r, bool laid_out)
{
    CHECK(r->json != NULL);
    CHECK_EQ(span_starts(r->body, SPAN("{\n  \"")), laid_out);
    CHECK_EQ(memchr(r->body.p, '\n', r->body.n) != NULL, laid_out);
}

TEST(answers_are_laid_out_for_people_and_compact_for_programs)
{
    static const struct {
        const char *path, *headers;
        bool laid_out;
    } cases[] = {
        {"/api/v1/namespaces/default", "", false},
        {"/api/v1/namespaces/default?pretty=true", "", true},
        {"/api/v1/namespaces/default?pretty=1", "", true},
        {"/api/v1/namespaces/default", "User-Agent: curl/8.5.0\r\n", true},
        {"/api/v1/namespaces/default", "User-Agent: Wget/1.21\r\n", true},
        {"/api/v1/namespaces/default", "User-Agent: Mozilla/5.0 (X11)\r\n", true},
        {"/api/v1/namespaces/default?pretty=false", "User-Agent: curl/8.5.0\r\n", false},
        {"/api/v1/namespaces/default?pretty=yes", "User-Agent: curl/8.5.0\r\n", false},
        {"/api/v1/namespaces/default?pretty=", "User-Agent: curl/8.5.0\r\n", true},
        {"/api/v1/namespaces", "", false},
        {"/api/v1/namespaces?pretty=true", "", true},
        {"/api/v1/namespaces?pretty=true",
         "Accept: application/json;as=Table;g=meta.k8s.io;v=v1\r\n", true},
        {"/api/v1/namespaces/none", "", false},
        {"/api/v1/namespaces/none?pretty=true", "", true},
        {"/apis", "", false},
        {"/apis?pretty=true", "", true},
        {"/version", "", true},
        {"/", "", true},
        {"/openapi/v3?pretty=true", "", false},
    };
    struct api_kit k;
    api_kit_start(&k, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_reply r = api_call(&k, "GET", cases[i].path, cases[i].headers, NULL);
        check_laid_out(&r, cases[i].laid_out);
    }
    api_kit_stop(&k);
}

TEST(a_definition_by_an_old_hash_is_found_under_the_new_one)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 301, "GET", "/openapi/v3/apis/apps/v1?hash=OLD", "", NULL);
    struct span now = api_header(&r, "location");
    CHECK(span_starts(now, SPAN("/openapi/v3/apis/apps/v1?hash=")));
    CHECK_EQ(api_header(&r, "cache-control").n, 0);
    r = api_expect(&k, 200, "GET", api_text(now), "", NULL);
    CHECK_SPAN(api_header(&r, "cache-control"), "public, immutable");
    (void)api_expect(&k, 404, "GET", "/openapi/v3/apis/none/v1?hash=OLD", "", NULL);
    api_kit_stop(&k);
}
