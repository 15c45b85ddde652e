/* test/unit/schedule_plan_test.c: plan/schedule_plan. */
#include "plan/schedule_plan.h"

#include "codec/json.h"
#include "kit/kit.h"

static yyjson_val *parse(struct arena *a, const char *text)
{
    yyjson_doc *doc = NULL;
    struct err err;
    CHECK_EQ(json_parse(a, span_cstr(text), &doc, &err), 0);
    return yyjson_doc_get_root(doc);
}

static struct schedule_node good(const char *name)
{
    return (struct schedule_node){.name = span_cstr(name),
                                  .selector_fits = true,
                                  .volumes_reachable = true,
                                  .cpu_milli = 4000,
                                  .memory_bytes = 1000,
                                  .pods = 110};
}

TEST(schedule_every_refusal_alone_keeps_the_pod_out)
{
    struct arena *a = arena_new();
    for (int code = 0; code < 256; code++) {
        struct schedule_node n = good("a");
        n.unschedulable = code & 1;
        n.taint = code & 2 ? SPAN("k: v") : SPAN_NULL;
        n.selector_fits = !(code & 4);
        n.volumes_reachable = !(code & 8);
        n.used_pods = code & 16 ? 110 : 0;
        n.used_cpu_milli = code & 32 ? 3950 : 0;
        n.used_memory_bytes = code & 64 ? 999 : 0;
        n.ports_taken = code & 128;
        struct schedule_view v = {
            .cpu_milli = 100, .memory_bytes = 10, .nodes = &n, .node_count = 1};
        struct schedule_plan p = schedule_plan(a, &v);
        CHECK_EQ(p.fits, code == 0);
        CHECK_EQ(p.message.n > 0, code != 0);
    }
    arena_free(a);
}

TEST(schedule_message_counts_the_reasons_in_order)
{
    struct arena *a = arena_new();
    struct schedule_node n[4] = {good("a"), good("b"), good("c"), good("d")};
    n[0].unschedulable = n[1].unschedulable = true;
    n[2].used_cpu_milli = 4000;
    n[3].taint = SPAN("gpu: yes");
    struct schedule_view v = {.cpu_milli = 100, .nodes = n, .node_count = 4};
    CHECK_SPAN(
        schedule_plan(a, &v).message,
        "0/4 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {gpu: yes}, "
        "2 node(s) were unschedulable.");
    n[0] = good("a");
    n[0].ports_taken = true;
    v.node_count = 1;
    CHECK_SPAN(schedule_plan(a, &v).message, "0/1 nodes are available: 1 node(s) didn't have free "
                                             "ports for the requested pod ports.");
    v.node_count = 4;
    v.obstacle = SPAN("persistentvolumeclaim \"x\" not found");
    CHECK_SPAN(schedule_plan(a, &v).message,
               "0/4 nodes are available: persistentvolumeclaim \"x\" not found.");
    v.obstacle = SPAN_NULL;
    v.node_count = 0;
    CHECK_SPAN(schedule_plan(a, &v).message, "no nodes available to schedule pods");
    arena_free(a);
}

TEST(schedule_shuns_before_it_prefers_and_prefers_before_it_spreads)
{
    struct arena *a cleanup_arena = arena_new();
    for (int code = 0; code < 3 * 3 * 3; code++) {
        int shun = code % 3 - 1, like = code / 3 % 3 - 1, free = code / 9 - 1; /* of b against a */
        struct schedule_node n[2] = {good("a"), good("b")};
        n[0].shunned = n[0].preference = 1;
        n[1].shunned = 1 + shun;
        n[1].preference = 1 + like;
        n[0].used_cpu_milli = 1000;
        n[1].used_cpu_milli = 1000 - free * 500;
        struct schedule_view v = {.cpu_milli = 100, .nodes = n, .node_count = 2};
        bool second = shun != 0 ? shun < 0 : like != 0 ? like > 0 : free > 0;
        CHECK_EQ(schedule_plan(a, &v).node, second);
    }
    yyjson_val *taints = parse(a, "[{\"key\":\"k\",\"effect\":\"PreferNoSchedule\"},{\"key\":"
                                  "\"l\",\"effect\":\"PreferNoSchedule\"},{\"key\":\"m\","
                                  "\"effect\":\"NoSchedule\"}]");
    CHECK_EQ(schedule_shunned(NULL, NULL), 0);
    CHECK_EQ(schedule_shunned(taints, NULL), 2);
    CHECK_EQ(schedule_shunned(taints, parse(a, "[{\"key\":\"k\",\"operator\":\"Exists\"}]")), 1);
    CHECK_EQ(schedule_shunned(taints, parse(a, "[{\"operator\":\"Exists\",\"effect\":"
                                               "\"NoExecute\"}]")),
             2);
}

TEST(schedule_prefers_the_emptiest_node_and_the_first_between_equals)
{
    struct arena *a = arena_new();
    struct schedule_node n[3] = {good("a"), good("b"), good("c")};
    n[0].used_cpu_milli = 2000;
    struct schedule_view v = {.cpu_milli = 100, .nodes = n, .node_count = 3};
    CHECK_EQ(schedule_plan(a, &v).node, 1);
    n[1].used_pods = 1;
    CHECK_EQ(schedule_plan(a, &v).node, 2);
    n[0].preference = n[1].preference = 5; /* goes before emptiness, which decides between them */
    CHECK_EQ(schedule_plan(a, &v).node, 1);
    arena_free(a);
}

TEST(schedule_preferences_add_up)
{
    struct arena *a = arena_new();
    yyjson_val *labels = parse(a, "{\"disk\":\"ssd\"}");
    yyjson_val *liked = parse(
        a, "[{\"weight\":3,\"preference\":{\"matchExpressions\":[{\"key\":\"disk\",\"operator\":"
           "\"In\",\"values\":[\"ssd\"]}]}},"
           "{\"weight\":20,\"preference\":{\"matchExpressions\":[{\"key\":\"gpu\",\"operator\":"
           "\"Exists\"}]}},"
           "{\"weight\":4,\"preference\":{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":"
           "\"In\",\"values\":[\"edge\"]}]}},{\"weight\":9,\"preference\":{}}]");
    CHECK_EQ(schedule_preference(liked, labels, SPAN("edge")), 7);
    CHECK_EQ(schedule_preference(liked, labels, SPAN("core")), 3);
    CHECK_EQ(schedule_preference(NULL, labels, SPAN("edge")), 0);
    arena_free(a);
}

TEST(schedule_node_selector_terms)
{
    struct arena *a = arena_new();
    yyjson_val *labels = parse(a, "{\"zone\":\"a\",\"cpus\":\"8\"}");
    static const struct {
        const char *terms;
        bool match;
    } cases[] = {
        {"[]", false},
        {"[{}]", false},
        {"[{\"matchExpressions\":[{\"key\":\"zone\",\"operator\":\"In\",\"values\":[\"b\",\"a\"]}]}"
         "]",
         true},
        {"[{\"matchExpressions\":[{\"key\":\"zone\",\"operator\":\"NotIn\",\"values\":[\"a\"]}]}]",
         false},
        {"[{\"matchExpressions\":[{\"key\":\"zone\",\"operator\":\"In\",\"values\":[\"b\"]}]}]",
         false},
        {"[{\"matchExpressions\":[{\"key\":\"none\",\"operator\":\"NotIn\",\"values\":[\"a\"]}]}]",
         true},
        {"[{\"matchExpressions\":[{\"key\":\"none\",\"operator\":\"Exists\"}]}]", false},
        {"[{\"matchExpressions\":[{\"key\":\"none\",\"operator\":\"DoesNotExist\"}]}]", true},
        {"[{\"matchExpressions\":[{\"key\":\"cpus\",\"operator\":\"Gt\",\"values\":[\"4\"]}]}]",
         true},
        {"[{\"matchExpressions\":[{\"key\":\"cpus\",\"operator\":\"Lt\",\"values\":[\"4\"]}]}]",
         false},
        {"[{\"matchExpressions\":[{\"key\":\"zone\",\"operator\":\"Gt\",\"values\":[\"4\"]}]}]",
         false},
        {"[{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":\"In\",\"values\":[\"n1\"]}]}"
         "]",
         true},
        {"[{\"matchFields\":[{\"key\":\"metadata.uid\",\"operator\":\"In\",\"values\":[\"n1\"]}]}]",
         false},
        {"[{\"matchExpressions\":[{\"key\":\"none\",\"operator\":\"Exists\"}]},{"
         "\"matchExpressions\":[{"
         "\"key\":\"zone\",\"operator\":\"Exists\"}]}]",
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(schedule_terms_match(parse(a, cases[i].terms), labels, SPAN("n1")),
                 cases[i].match);
    }
    CHECK(schedule_selector_matches(NULL, labels));
    CHECK(schedule_selector_matches(parse(a, "{\"zone\":\"a\"}"), labels));
    CHECK(!schedule_selector_matches(parse(a, "{\"zone\":\"b\"}"), labels));
    CHECK(!schedule_selector_matches(parse(a, "{\"none\":\"\"}"), labels));
    arena_free(a);
}

TEST(schedule_taints_and_tolerations)
{
    struct arena *a = arena_new();
    yyjson_val *taints =
        parse(a, "[{\"key\":\"x\",\"effect\":\"PreferNoSchedule\"},{\"key\":\"gpu\",\"value\":"
                 "\"yes\",\"effect\":\"NoSchedule\"}]");
    CHECK_SPAN(schedule_untolerated(a, taints, NULL), "gpu: yes");
    static const struct {
        const char *tolerations;
        bool fits;
    } cases[] = {
        {"[{\"operator\":\"Exists\"}]", true},
        {"[{\"key\":\"gpu\",\"operator\":\"Exists\"}]", true},
        {"[{\"key\":\"gpu\",\"value\":\"yes\"}]", true},
        {"[{\"key\":\"gpu\",\"value\":\"no\"}]", false},
        {"[{\"key\":\"gpu\",\"operator\":\"Exists\",\"effect\":\"NoExecute\"}]", false},
        {"[{\"value\":\"yes\"}]", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(schedule_untolerated(a, taints, parse(a, cases[i].tolerations)).n == 0,
                 cases[i].fits);
    }
    arena_free(a);
}

TEST(schedule_a_pod_whose_resize_waits_holds_what_it_has)
{
    struct arena *a = arena_new();
    static const char pod[] =
        "{\"spec\":{\"containers\":[{\"name\":\"a\",\"resources\":{\"requests\":{\"cpu\":\"9\"}}},"
        "{\"name\":\"b\",\"resources\":{\"requests\":{\"cpu\":\"1\"}}}]},\"status\":{"
        "\"containerStatuses\":[{\"name\":\"a\",\"allocatedResources\":{\"cpu\":\"500m\"}}],"
        "\"conditions\":[{\"type\":\"%s\",\"status\":\"True\"}]}}";
    CHECK_EQ(schedule_holds(parse(a, arena_printf(a, pod, "PodResizePending").p)).cpu_milli, 1500);
    CHECK_EQ(schedule_holds(parse(a, arena_printf(a, pod, "Ready").p)).cpu_milli, 10000);
    arena_free(a);
}

TEST(requests_beyond_all_measure_are_refused_like_any_that_fit_nowhere)
{
    struct arena *a = arena_new();
    yyjson_val *spec = parse(a, "{\"containers\":[{\"resources\":{\"requests\":{\"memory\":\"7Ei\","
                                "\"cpu\":9223372036854775807}}},{\"resources\":{\"requests\":{"
                                "\"memory\":\"7Ei\",\"cpu\":9223372036854775807}}}]}");
    struct schedule_node node = {.name = SPAN("n"),
                                 .selector_fits = true,
                                 .volumes_reachable = true,
                                 .pods = 110,
                                 .cpu_milli = 1000,
                                 .memory_bytes = 1 << 30};
    struct schedule_view v = {.nodes = &node, .node_count = 1};
    v.cpu_milli = schedule_needs(spec).cpu_milli;
    CHECK_SPAN(schedule_plan(a, &v).message, "0/1 nodes are available: 1 Insufficient cpu.");
    v.cpu_milli = 0;
    v.memory_bytes = schedule_needs(spec).memory_bytes;
    CHECK_SPAN(schedule_plan(a, &v).message, "0/1 nodes are available: 1 Insufficient memory.");
    arena_free(a);
}

TEST(schedule_requests_are_the_sum_or_the_largest_init_container)
{
    struct arena *a = arena_new();
    yyjson_val *spec = parse(
        a, "{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"250m\",\"memory\":\"1Ki\"}}},"
           "{\"resources\":{\"requests\":{\"cpu\":1}}}],\"initContainers\":[{\"resources\":{"
           "\"requests\":{\"memory\":\"3Ki\"}}},{\"restartPolicy\":\"Always\",\"resources\":{"
           "\"requests\":{\"cpu\":\"50m\"}}}]}");
    CHECK_EQ(schedule_needs(spec).cpu_milli, 1300);
    CHECK_EQ(schedule_needs(spec).memory_bytes, 3072);
    CHECK_EQ(schedule_quantity(parse(a, "\"rubbish\""), true), 0);
    CHECK_EQ(schedule_quantity(parse(a, "7"), false), 7);
    arena_free(a);
}

TEST(schedule_counts_every_resource_by_its_name_and_names_all_that_is_short)
{
    struct arena *a cleanup_arena = arena_new();
    /* Of b and c each 0 to 2 asked for and 0 to 2 free, with or without enough of cpu and pods. */
    for (int code = 0; code < 3 * 3 * 3 * 3 * 4; code++) {
        int64_t asked[] = {code % 3, code / 3 % 3}, left[] = {code / 9 % 3, code / 27 % 3};
        bool cpu = code / 81 & 1, full = code / 81 & 2;
        struct schedule_amount more[] = {{SPAN("acme.com/b"), asked[0]},
                                         {SPAN("hugepages-2Mi"), asked[1]}};
        struct schedule_node n = good("a");
        n.more_free = left;
        n.used_cpu_milli = cpu ? n.cpu_milli : 0;
        n.used_pods = full ? n.pods : 0;
        struct schedule_view v = {
            .cpu_milli = 100, .more = more, .more_count = 2, .nodes = &n, .node_count = 1};
        struct schedule_plan p = schedule_plan(a, &v);
        bool b = asked[0] > left[0], c = asked[1] > left[1];
        CHECK_EQ(p.fits, !b && !c && !cpu && !full);
        struct span want = arena_printf(a, "%s%s%s%s", b ? ", 1 Insufficient acme.com/b" : "",
                                        cpu ? ", 1 Insufficient cpu" : "",
                                        c ? ", 1 Insufficient hugepages-2Mi" : "",
                                        full ? ", 1 Too many pods" : "");
        if (!p.fits) {
            CHECK_SPAN(
                p.message,
                arena_printf(a, "0/1 nodes are available:%.*s.", SPAN_ARG(span_from(want, 1))).p);
        }
    }
}

TEST(schedule_what_a_node_does_not_name_it_does_not_have)
{
    struct arena *a cleanup_arena = arena_new();
    struct schedule_amount more = {SPAN("nvidia.com/gpu"), 1};
    int64_t none = 0, one = 1;
    struct schedule_node n[] = {good("a"), good("b")};
    n[0].more_free = n[1].more_free = &none;
    struct schedule_view v = {.more = &more, .more_count = 1, .nodes = n, .node_count = 2};
    CHECK_SPAN(schedule_plan(a, &v).message,
               "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.");
    n[1].more_free = &one;
    CHECK_EQ(schedule_plan(a, &v).node, 1);
}

TEST(schedule_other_resources_are_summed_as_cpu_is)
{
    struct arena *a cleanup_arena = arena_new();
#define ASKS(name, amount) "{\"resources\":{\"requests\":{\"cpu\":1,\"" name "\":" amount "}}"
    yyjson_val *spec =
        parse(a, "{\"containers\":[" ASKS("x.io/a", "2") "}," ASKS("x.io/b", "\"1Ki\"") "}," ASKS(
                     "x.io/a", "1") "}],"
                                    "\"initContainers\":[" ASKS("x.io/b", "5000") "}," ASKS(
                                        "x.io/c", "4") ",\"restartPolicy\":\"Always\"}]}");
    const struct schedule_amount *more = NULL;
    CHECK(schedule_needs(spec).more);
    CHECK_EQ(schedule_needs(spec).cpu_milli, 4000);
    CHECK_EQ(schedule_more(a, spec, &more), 3);
    CHECK_SPAN(more[0].name, "x.io/a");
    CHECK_EQ(more[0].units, 3);
    CHECK_EQ(more[1].units, 5000);
    CHECK_SPAN(more[2].name, "x.io/c");
    CHECK_EQ(more[2].units, 4);
    spec =
        parse(a, "{\"containers\":[{\"resources\":{\"requests\":{\"memory\":1,\"cpu\":1}}},{}]}");
    CHECK(!schedule_needs(spec).more);
    CHECK_EQ(schedule_more(a, spec, &more), 0);
}

TEST(schedule_looks_again_when_a_node_changes_and_not_at_its_heartbeat)
{
    struct arena *a cleanup_arena = arena_new();
    static const char form[] =
        "{\"metadata\":{\"resourceVersion\":\"%s\",\"labels\":{%s}},\"spec\":{%s},\"status\":{"
        "\"capacity\":{\"cpu\":\"%s\"},\"allocatable\":{\"cpu\":\"%s\"},\"conditions\":[{\"type\":"
        "\"Ready\",\"status\":\"%s\",\"lastHeartbeatTime\":\"%s\"},{\"type\":\"DiskPressure\","
        "\"status\":\"%s\"}]}}";
    static const char *const is[8] = {"1", "\"a\":\"b\"", "", "4", "4", "True", "1", "False"};
    static const char *const can_be[][2] = {{"2", ""}, {"", "y"},   {"\"unschedulable\":true", "y"},
                                            {"8", ""}, {"8", "y"},  {"Unknown", "y"},
                                            {"2", ""}, {"True", ""}};
    for (int code = 0; code < 256; code++) {
        const char *v[8];
        bool differs = false;
        for (int i = 0; i < 8; i++) {
            v[i] = code >> i & 1 ? can_be[i][0] : is[i];
            differs |= (code >> i & 1) && *can_be[i][1];
        }
        yyjson_val *old = parse(
            a, arena_printf(a, form, is[0], is[1], is[2], is[3], is[4], is[5], is[6], is[7]).p);
        yyjson_val *now =
            parse(a, arena_printf(a, form, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]).p);
        CHECK_EQ(schedule_node_differs(old, now), differs);
        CHECK_EQ(schedule_node_differs(now, old), differs);
    }
}

TEST(schedule_nobody_can_give_way_where_the_node_itself_is_too_small_or_refuses)
{
    struct arena *a cleanup_arena = arena_new();
    struct schedule_node n[] = {good("a"), good("b"), good("c"), good("d")};
    n[0].used_cpu_milli = 4000;
    n[1].used_cpu_milli = 4000;
    n[1].too_small = true;
    n[2].unschedulable = true;
    n[3].ports_taken = true;
    struct schedule_view v = {.cpu_milli = 1, .nodes = n, .node_count = 4};
    const bool *only = schedule_plan(a, &v).only_pods;
    CHECK(only[0] && !only[1] && !only[2] && only[3]);
    v.obstacle = SPAN("persistentvolumeclaim \"x\" not found");
    only = schedule_plan(a, &v).only_pods;
    CHECK(!only[0] && !only[3]);
}
