/* pods/resize on the node: a running container gets other limits, or the pod says why not. */
#include "kit/kubelet_kit.h"

#define FROM                                                                                       \
    "\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"},"                          \
    "\"limits\":{\"memory\":\"128Mi\"}}"
#define TO(cpu, request, limit)                                                                    \
    "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"redis:7\",\"resources\":{"             \
    "\"requests\":{\"cpu\":\"" cpu "\",\"memory\":\"" request                                      \
    "\"},\"limits\":{\"memory\":\"" limit "\"}}}]}}"

static void start(struct kubelet_kit *k, const char *annotations)
{
    kk_start(k);
    kk_create(k, "Pod", kk_pod_json(k, "p", annotations, FROM, ""));
    kk_run(k, 1000);
    CHECK_SPAN(kk_pod(k, "p", "status.phase"), "Running");
    CHECK_SPAN(kk_pod(k, "p", "status.containerStatuses.0.resources.limits.memory"), "128Mi");
    CHECK_SPAN(kk_pod(k, "p", "status.containerStatuses.0.allocatedResources.cpu"), "100m");
}

TEST(a_running_container_gets_other_limits_without_a_restart)
{
    struct kubelet_kit k;
    start(&k, "");
    kk_patch(&k, "Pod", "p/resize", TO("200m", "96Mi", "192Mi"));
    kk_run(&k, 1000);
    struct runtime_limits l = runtime_fake_last_limits(k.runtime);
    CHECK_EQ(l.cpu_milli_request, 200);
    CHECK_EQ(l.cpu_milli_limit, 0);
    CHECK_EQ(l.memory_limit_bytes, 192 << 20);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.resources.limits.memory"), "192Mi");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.allocatedResources.cpu"), "200m");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.restartCount"), "0");
    CHECK_SPAN(kk_condition(&k, "p", "PodResizeInProgress"), "");
    CHECK_EQ(kk_event_count(&k, "p", "ResizeCompleted"), 1);
    CHECK_EQ(runtime_fake_starts(k.runtime), 1);
    kk_stop(&k);
}

TEST(less_memory_than_is_in_use_is_not_forced_upon_it_and_tried_again)
{
    struct kubelet_kit k;
    start(&k, "\"berth.dev/fake-memory\":\"100000000\"");
    kk_patch(&k, "Pod", "p/resize", TO("100m", "32Mi", "64Mi"));
    kk_run(&k, 1000);
    CHECK_SPAN(kk_condition(&k, "p", "PodResizeInProgress"), "True");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.resources.limits.memory"), "128Mi");
    CHECK_EQ(kk_event_count(&k, "p", "ResizeError"), 1);
    kk_run(&k, 40000);
    CHECK_EQ(kk_event_count(&k, "p", "ResizeError"), 1);
    kk_patch(&k, "Pod", "p/resize", TO("100m", "64Mi", "110Mi")); /* at once, not after a wait */
    kk_run(&k, 500);
    CHECK_SPAN(kk_condition(&k, "p", "PodResizeInProgress"), "");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.resources.limits.memory"), "110Mi");
    kk_stop(&k);
}

TEST(what_the_node_has_not_got_is_infeasible_and_a_restart_keeps_what_there_was)
{
    struct kubelet_kit k;
    start(&k, "");
    kk_patch(&k, "Pod", "p/resize", TO("9000", "64Mi", "128Mi"));
    kk_run(&k, 1000);
    CHECK_SPAN(kk_condition(&k, "p", "PodResizePending"), "True");
    CHECK(span_starts(kk_event(&k, "p", "ResizeInfeasible"),
                      SPAN("Pod resize infeasible: Node didn't have enough capacity: cpu, "
                           "requested: 9000000, capacity: ")));
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.allocatedResources.cpu"), "100m");
    CHECK_EQ(runtime_fake_last_limits(k.runtime).cpu_milli_request, 0); /* never asked */
    struct span id = arena_printf(k.arena, "%.*s-c-0", SPAN_ARG(kk_pod(&k, "p", "metadata.uid")));
    CHECK(runtime_fake_exit(k.runtime, id, 1));
    kk_run(&k, 15000);
    CHECK_EQ(runtime_fake_starts(k.runtime), 2);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.allocatedResources.cpu"), "100m");
    kk_patch(&k, "Pod", "p/resize", TO("300m", "64Mi", "128Mi"));
    kk_run(&k, 1000);
    CHECK_SPAN(kk_condition(&k, "p", "PodResizePending"), "");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.allocatedResources.cpu"), "300m");
    kk_stop(&k);
}

TEST(what_others_have_is_deferred_until_they_leave)
{
    struct kubelet_kit k;
    start(&k, "");
    const yyjson_val *node = kk_get(&k, "Node", "edge");
    struct span cpus = json_str(json_path(node, "status", "capacity", "cpu", NULL));
    char other[256], all[512];
    (void)snprintf(other, sizeof other, "\"resources\":{\"requests\":{\"cpu\":\"%.*s\"}}",
                   SPAN_ARG(cpus));
    (void)snprintf(all, sizeof all,
                   "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"redis:7\",\"resources\":"
                   "{\"requests\":{\"cpu\":\"%.*s\",\"memory\":\"64Mi\"},\"limits\":{\"memory\":"
                   "\"128Mi\"}}}]}}",
                   SPAN_ARG(cpus));
    kk_create(&k, "Pod", kk_pod_json(&k, "q", "", other, ""));
    kk_run(&k, 1000);
    kk_patch(&k, "Pod", "p/resize", all);
    kk_run(&k, 1000);
    CHECK_SPAN(kk_condition(&k, "p", "PodResizePending"), "True");
    CHECK_EQ(kk_event_count(&k, "p", "ResizeDeferred"), 1);
    kk_delete(&k, "Pod", "q", -1);
    kk_run(&k, 30000);
    CHECK_SPAN(kk_condition(&k, "p", "PodResizePending"), "");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.allocatedResources.cpu"),
               arena_cstr(k.arena, cpus));
    kk_stop(&k);
}

TEST(an_agent_that_was_away_does_what_was_asked_for_meanwhile)
{
    struct kubelet_kit k;
    start(&k, "");
    kk_kill(&k);
    kk_patch(&k, "Pod", "p/resize", TO("400m", "64Mi", "128Mi"));
    kk_kubelet(&k);
    kk_run(&k, 2000);
    CHECK_EQ(runtime_fake_last_limits(k.runtime).cpu_milli_request, 400);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.allocatedResources.cpu"), "400m");
    CHECK_EQ(runtime_fake_starts(k.runtime), 1);
    kk_stop(&k);
}

#define POLICY                                                                                     \
    FROM ",\"resizePolicy\":[{\"resourceName\":\"memory\",\"restartPolicy\":\"RestartContainer\"}" \
         "]"

/* Beside it a container that nobody resizes. */
static void start_two(struct kubelet_kit *k, const char *policy)
{
    char text[1024];
    kk_start(k);
    (void)snprintf(
        text, sizeof text,
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\",\"annotations\":{"
        "\"berth.dev/fake-stop-ms\":\"10\"}},\"spec\":"
        "{\"nodeName\":\"edge\",\"restartPolicy\":\"%s\",\"containers\":[{\"name\":\"c\","
        "\"image\":\"redis:7\"," POLICY "},{\"name\":\"d\",\"image\":\"redis:7\"}]}}",
        policy);
    kk_create(k, "Pod", text);
    kk_run(k, 1000);
    CHECK_SPAN(kk_pod(k, "p", "status.phase"), "Running");
    CHECK_EQ(runtime_fake_starts(k->runtime), 2);
}

#define BOTH(cpu, request, limit)                                                                  \
    "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"redis:7\"," POLICY_ONLY                \
    ",\"resources\":{"                                                                             \
    "\"requests\":{\"cpu\":\"" cpu "\",\"memory\":\"" request                                      \
    "\"},\"limits\":{\"memory\":\"" limit "\"}}},{\"name\":\"d\",\"image\":\"redis:7\"}]}}"
#define POLICY_ONLY                                                                                \
    "\"resizePolicy\":[{\"resourceName\":\"memory\",\"restartPolicy\":\"RestartContainer\"}]"

TEST(a_container_whose_policy_asks_for_it_is_restarted_with_its_new_limits)
{
    static const char *const policies[] = {"Always", "OnFailure"}; /* it ends with code 0 */
    for (size_t i = 0; i < 2; i++) {
        struct kubelet_kit k;
        start_two(&k, policies[i]);
        kk_patch(&k, "Pod", "p/resize", BOTH("200m", "64Mi", "128Mi")); /* not its memory */
        kk_run(&k, 1000);
        CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.allocatedResources.cpu"), "200m");
        CHECK_EQ(runtime_fake_starts(k.runtime), 2);
        kk_patch(&k, "Pod", "p/resize", BOTH("0.2", "65536Ki", "128Mi")); /* the same amounts */
        kk_run(&k, 1000);
        CHECK_EQ(runtime_fake_starts(k.runtime), 2);
        for (int round = 1; round <= 3; round++) { /* no back-off */
            kk_patch(&k, "Pod", "p/resize",
                     round % 2 ? BOTH("200m", "64Mi", "192Mi") : BOTH("200m", "64Mi", "256Mi"));
            kk_run(&k, 2000);
            CHECK_EQ(runtime_fake_starts(k.runtime), 2 + round);
        }
        CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
        CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.restartCount"), "3");
        CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.1.restartCount"), "0");
        CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.resources.limits.memory"), "192Mi");
        CHECK_SPAN(kk_condition(&k, "p", "PodResizeInProgress"), "");
        CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True");
        CHECK_SPAN(kk_event(&k, "p", "Killing"), "Container c resize requires restart");
        CHECK_EQ(kk_event_count(&k, "p", "ResizeCompleted"), 3);
        kk_stop(&k);
    }
}

/* At any moment; told to stop it ends with code 0 while nobody looks, and starts again all the
 * same; one that had not been told yet is done, if that is enough for its pod. */
TEST(an_agent_killed_in_a_restart_for_a_resize_finishes_it)
{
    static const char *const policies[] = {"Always", "OnFailure"};
    int stopped = 0;
    for (int ms = 0; ms < 20; ms++) {
        struct kubelet_kit k;
        start_two(&k, policies[ms % 2]);
        char id[128];
        (void)snprintf(id, sizeof id, "%.*s-c-0", SPAN_ARG(kk_pod(&k, "p", "metadata.uid")));
        kk_patch(&k, "Pod", "p/resize", BOTH("100m", "64Mi", "192Mi"));
        kk_run(&k, ms / 2);
        kk_kill(&k);
        bool told = runtime_fake_last_signal(k.runtime) != 0;
        (void)runtime_fake_exit(k.runtime, span_cstr(id), 0);
        kk_run(&k, 1000);
        kk_kubelet(&k);
        kk_run(&k, 3000);
        bool again = told || ms % 2 == 0 || runtime_fake_starts(k.runtime) > 2;
        CHECK_EQ(runtime_fake_starts(k.runtime), again ? 3 : 2);
        CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
        CHECK_SPAN(kk_condition(&k, "p", "Ready"), again ? "True" : "False");
        if (again) {
            CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.resources.limits.memory"),
                       "192Mi");
            CHECK_SPAN(kk_condition(&k, "p", "PodResizeInProgress"), "");
        }
        stopped += told;
        kk_stop(&k);
    }
    kit_note("%d of 20 had been told", stopped);
    CHECK(stopped > 4);
}

/* A late request of the agent that was killed, or anybody's (sim seed 3083938). */
TEST(an_agent_corrects_what_others_say_of_its_containers)
{
    static const char lie[] =
        "{\"status\":{\"conditions\":[{\"type\":\"PodResizeInProgress\",\"status\":\"True\"},{"
        "\"type\":\"Ready\",\"status\":\"True\"}],"
        "\"containerStatuses\":[{\"name\":\"c\",\"ready\":true,\"restartCount\":0,\"image\":"
        "\"redis:7\",\"imageID\":\"\",\"resources\":{\"requests\":{\"cpu\":\"7m\"}}}]}}";
    struct kubelet_kit k;
    start_two(&k, "Always");
    kk_patch(&k, "Pod", "p/status", lie);
    kk_run(&k, 1000);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.resources.limits.memory"), "128Mi");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.1.name"), "d");
    CHECK_SPAN(kk_condition(&k, "p", "PodResizeInProgress"), "");
    CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True");
    struct span rev = kk_pod(&k, "p", "metadata.resourceVersion");
    kk_run(&k, 60000);
    CHECK(span_eq(rev, kk_pod(&k, "p", "metadata.resourceVersion")));
    kk_stop(&k);
}

TEST(a_restart_for_a_resize_waits_until_the_node_has_room)
{
    struct kubelet_kit k;
    start_two(&k, "Always");
    kk_patch(&k, "Pod", "p/resize", BOTH("9000", "64Mi", "192Mi"));
    kk_run(&k, 5000);
    CHECK_SPAN(kk_condition(&k, "p", "PodResizePending"), "True");
    CHECK_EQ(runtime_fake_starts(k.runtime), 2);
    kk_kill(&k);
    kk_kubelet(&k);
    kk_patch(&k, "Pod", "p/resize", BOTH("100m", "64Mi", "192Mi"));
    kk_run(&k, 2000);
    CHECK_SPAN(kk_condition(&k, "p", "PodResizePending"), "");
    CHECK_EQ(runtime_fake_starts(k.runtime), 3);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.resources.limits.memory"), "192Mi");
    kk_stop(&k);
}
