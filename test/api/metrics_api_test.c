/* What /metrics says of requests, under kube-apiserver's names, and what a server does that has too
 * many of them. */

#include "base/limits.h"
#include "front/front_priv.h"
#include "kit/api_kit.h"

#define CM "/api/v1/namespaces/default/configmaps"

static bool has_line(struct span text, const char *line)
{
    while (text.n) {
        if (span_eq(span_cut(&text, '\n'), span_cstr(line))) {
            return true;
        }
    }
    return false;
}

static struct span page(struct api_kit *k)
{
    return api_expect(k, 200, "GET", "/metrics", "", NULL).body;
}

#define LABELS(sub, scope, verb)                                                                   \
    "component=\"apiserver\",group=\"\",resource=\"configmaps\",scope=\"" scope                    \
    "\",subresource=\"" sub "\",verb=\"" verb "\",version=\"v1\""

TEST(requests_are_counted_by_verb_resource_scope_and_code)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", CM, "", "{\"metadata\":{\"name\":\"a\"}}");
    (void)api_expect(&k, 409, "POST", CM, "", "{\"metadata\":{\"name\":\"a\"}}");
    (void)api_expect(&k, 200, "GET", CM "/a", "", NULL);
    (void)api_expect(&k, 404, "GET", CM "/b", "", NULL);
    (void)api_expect(&k, 200, "GET", CM, "", NULL);
    (void)api_expect(&k, 200, "GET", "/api/v1/configmaps", "", NULL);
    (void)api_expect(&k, 404, "GET", "/nowhere", "", NULL);
    struct span text = page(&k);
    CHECK(has_line(text, "apiserver_request_total{code=\"201\",dry_run=\"\"," LABELS(
                             "", "resource", "POST") "} 1"));
    CHECK(has_line(text, "apiserver_request_total{code=\"409\",dry_run=\"\"," LABELS(
                             "", "resource", "POST") "} 1"));
    CHECK(has_line(text, "apiserver_request_total{code=\"404\",dry_run=\"\"," LABELS("", "resource",
                                                                                     "GET") "} 1"));
    CHECK(has_line(text, "apiserver_request_total{code=\"200\",dry_run=\"\"," LABELS(
                             "", "namespace", "LIST") "} 1"));
    CHECK(has_line(text, "apiserver_request_total{code=\"200\",dry_run=\"\"," LABELS(
                             "", "cluster", "LIST") "} 1"));
    CHECK(has_line(text, "apiserver_request_duration_seconds_count{dry_run=\"\"," LABELS(
                             "", "resource", "GET") "} 2"));
    CHECK(has_line(text, "apiserver_request_duration_seconds_bucket{dry_run=\"\"," LABELS(
                             "", "resource", "GET") ",le=\"+Inf\"} 2"));
    CHECK(memmem(text.p, text.n, "nowhere", 7) == NULL);
    api_kit_stop(&k);
}

TEST(objects_are_counted_by_resource)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", CM, "", "{\"metadata\":{\"name\":\"a\"}}");
    struct span text = page(&k);
    CHECK(has_line(text, "apiserver_storage_objects{resource=\"configmaps\"} 1"));
    CHECK(has_line(text, "apiserver_storage_objects{resource=\"statefulsets.apps\"} 0"));
    api_kit_stop(&k);
}

TEST(an_open_watch_is_seen_while_it_lasts)
{
    const char *open = "apiserver_longrunning_requests{" LABELS("", "namespace", "WATCH") "} 1";
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_watch *w = api_watch_open(&k, CM "?watch=1", "");
    (void)api_expect(&k, 201, "POST", CM, "", "{\"metadata\":{\"name\":\"a\"}}");
    CHECK(api_watch_next(w));
    CHECK(has_line(page(&k), open));
    api_watch_close(w);
    api_run_ms(&k, 50);
    CHECK(!has_line(page(&k), open));
    CHECK(has_line(page(&k), "apiserver_request_total{code=\"200\",dry_run=\"\"," LABELS(
                                 "", "namespace", "WATCH") "} 1"));
    api_kit_stop(&k);
}

TEST(too_many_writes_at_a_time_are_asked_to_come_back)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    k.front->requests_open = LIMIT_WRITES_INFLIGHT;
    struct api_reply r = api_expect(&k, 429, "POST", CM, "", "{\"metadata\":{\"name\":\"a\"}}");
    CHECK_SPAN(api_header(&r, "retry-after"), "1");
    CHECK_SPAN(api_str(&r, "reason"), "TooManyRequests");
    (void)api_expect(&k, 200, "GET", CM, "", NULL); /* who only looks is let in */
    k.front->requests_open = 0;
    (void)api_expect(&k, 201, "POST", CM, "", "{\"metadata\":{\"name\":\"a\"}}");
    CHECK_EQ(k.front->requests_open, 0);
    CHECK(has_line(page(&k), "apiserver_request_terminations_total 1"));
    api_kit_stop(&k);
}

TEST(too_many_lists_at_a_time_are_asked_to_come_back)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    k.front->lists_open = LIMIT_LISTS_INFLIGHT;
    struct api_reply r = api_expect(&k, 429, "GET", CM, "", NULL);
    CHECK_SPAN(api_header(&r, "retry-after"), "1");
    (void)api_expect(&k, 404, "GET", CM "/a", "", NULL);
    (void)api_expect(&k, 201, "POST", CM, "", "{\"metadata\":{\"name\":\"a\"}}");
    k.front->lists_open = 0;
    (void)api_expect(&k, 200, "GET", CM, "", NULL);
    CHECK_EQ(k.front->lists_open, 0);
    api_kit_stop(&k);
}

TEST(answers_and_events_are_measured)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_watch *w = api_watch_open(&k, CM "?watch=1", "");
    (void)api_expect(&k, 201, "POST", CM, "", "{\"metadata\":{\"name\":\"a\"}}");
    struct api_reply r = api_expect(&k, 200, "GET", CM "/a", "", NULL);
    CHECK(api_watch_next(w));
    (void)api_expect(&k, 200, "DELETE", CM "/a", "", NULL);
    CHECK(api_watch_next(w));
    struct span text = page(&k);
    CHECK(has_line(
        text, "apiserver_response_sizes_bucket{" LABELS("", "resource", "GET") ",le=\"1000\"} 1"));
    char line[256];
    (void)snprintf(line, sizeof line,
                   "apiserver_response_sizes_sum{" LABELS("", "resource", "GET") "} %zu", r.body.n);
    CHECK(has_line(text, line));
    CHECK(has_line(text, "apiserver_watch_events_total{group=\"\",kind=\"ConfigMap\",resource="
                         "\"configmaps\",version=\"v1\"} 2"));
    CHECK(has_line(
        text, "apiserver_request_sli_duration_seconds_count{" LABELS("", "resource", "GET") "} 1"));
    CHECK(has_line(text, "# TYPE etcd_request_duration_seconds histogram"));
    CHECK(memmem(text.p, text.n, "kubernetes_build_info{git_version=\"", 35) != NULL);
    api_watch_close(w);
    api_kit_stop(&k);
}

/* Every line is a comment or a sample, every sample's name has been announced with HELP and TYPE,
 * once, and the samples of a name stand together. */
TEST(the_page_is_as_prometheus_wants_it)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", CM, "", "{\"metadata\":{\"name\":\"a\"}}");
    struct span text = page(&k), now = SPAN_NULL;
    CHECK(text.n && text.p[text.n - 1] == '\n');
    for (struct span rest = text; rest.n;) {
        struct span line = span_cut(&rest, '\n');
        if (span_starts(line, SPAN("# HELP "))) {
            struct span name = span_from(line, 7);
            now = span_cut(&name, ' ');
            CHECK(name.n);
            char type[128];
            (void)snprintf(type, sizeof type, "# TYPE %.*s ", SPAN_ARG(now));
            CHECK(span_starts(rest, span_cstr(type)));
            (void)snprintf(type, sizeof type, "# HELP %.*s ", SPAN_ARG(now));
            CHECK(memmem(rest.p, rest.n, type, strlen(type)) == NULL);
        } else if (!span_starts(line, SPAN("# TYPE "))) {
            CHECK(now.n && span_starts(line, now));
        }
    }
    api_kit_stop(&k);
}
