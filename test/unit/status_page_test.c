/* test/unit/status_page_test.c: the page of `berth status`: each cause once, within the width. */
#include "main/status_page.h"

#include "codec/json.h"
#include "kit/kit.h"

static struct arena *a;

static yyjson_val *parse(const char *json)
{
    yyjson_doc *doc;
    struct err err;
    CHECK_EQ(json_parse(a, span_cstr(json), &doc, &err), 0);
    return yyjson_doc_get_root(doc);
}

#define READY ",\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}"
#define OWNER "\"ownerReferences\":[{\"uid\":\"u1\"}]"
#define POD(name, more)                                                                            \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"default\"," OWNER "},\"spec\":{"         \
    "\"nodeName\":\"n1\"}" more "}"
#define CRASHED                                                                                    \
    ",\"status\":{\"phase\":\"Running\",\"startTime\":\"x\",\"containerStatuses\":[{\"name\":"     \
    "\"c\",\"state\":{\"terminated\":{\"exitCode\":1}}}]}"
#define CLAIM(name)                                                                                \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"default\"},\"status\":{\"phase\":"       \
    "\"Pending\"}}"

static struct status_world world(void)
{
    struct status_world w = {
        .nodes = parse("[{\"metadata\":{\"name\":\"n1\"}" READY "},{\"metadata\":{\"name\":\"n2\"},"
                       "\"spec\":{\"unschedulable\":true}}]"),
        .sets = parse("[{\"metadata\":{\"name\":\"web\",\"namespace\":\"default\",\"uid\":\"u1\"},"
                      "\"spec\":{\"replicas\":4},\"status\":{\"readyReplicas\":2,\"conditions\":[{"
                      "\"type\":\"Available\",\"status\":\"False\",\"message\":\"2 of 4 replicas "
                      "are available; web-2 is not Ready: container c exited with code 1\"}]}},"
                      "{\"metadata\":{\"name\":\"calm\",\"namespace\":\"other\",\"uid\":\"u2\"},"
                      "\"spec\":{\"replicas\":0},\"status\":{\"conditions\":[{\"type\":"
                      "\"Available\",\"status\":\"True\"},{\"type\":\"Progressing\",\"reason\":"
                      "\"RolloutComplete\"}]}}]"),
        .pods = parse("[" POD("web-10", READY) "," POD("web-0", READY) "," POD(
            "web-1", READY) "," POD("web-2", CRASHED) "," POD("web-3", CRASHED) "]"),
        .claims = parse("[" CLAIM("data-web-3") "," CLAIM("stray") "]"),
        .events = parse("[]")};
    return w;
}

TEST(status_page_tells_each_cause_once)
{
    a = arena_new();
    struct status_world w = world();
    struct status_view v = {0};
    CHECK_SPAN(status_page(a, &w, &v),
               "node n1: Ready, 5 pods\n"
               "node n2: NotReady, takes no new pods (cordoned), 0 pods: it has never said that it "
               "is ready\n"
               "set default/web: 2/4 ready (0-1 ready, 2-3 not ready, 10 ready)\n"
               "set other/calm: 0/0 ready\n"
               "\nwaiting:\n"
               "set default/web: 2 of 4 replicas are available; web-2 is not Ready: container c "
               "exited with code 1\n"
               "pod default/web-3 is not Ready: container c exited with code 1\n"
               "claim default/data-web-3 is Pending: its volume is being made\n"
               "claim default/stray is Pending: its volume is being made\n");
    arena_free(a);
}

TEST(status_page_of_one_set)
{
    a = arena_new();
    struct status_world w = world();
    struct status_view v = {.ns = SPAN("default"), .set = SPAN("web"), .width = 40};
    CHECK(status_has_set(&w, &v));
    CHECK_SPAN(status_page(a, &w, &v), "set default/web: 2/4 ready (0-1 ready,\n"
                                       "    2-3 not ready, 10 ready)\n"
                                       "\nwaiting:\n"
                                       "set default/web: 2 of 4 replicas are\n"
                                       "    available; web-2 is not Ready:\n"
                                       "    container c exited with code 1\n"
                                       "pod default/web-3 is not Ready:\n"
                                       "    container c exited with code 1\n"
                                       "claim default/data-web-3 is Pending: its\n"
                                       "    volume is being made\n");
    v = (struct status_view){.ns = SPAN("other"), .set = SPAN("calm")};
    CHECK_SPAN(status_page(a, &w, &v), "set other/calm: 0/0 ready\n\nnothing waits\n");
    v.ns = SPAN("default");
    CHECK(!status_has_set(&w, &v));
    arena_free(a);
}
