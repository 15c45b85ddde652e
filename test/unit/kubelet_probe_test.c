/* What the node agent asks containers for, and what it says of the answers. */
#include "client/client.h"
#include "schema/schema.h"
#include "test/kit/kubelet_kit.h"
#include <signal.h>
#include <string.h>

TEST(readiness_is_asked_at_once_and_again_quickly_until_it_succeeds)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod",
              kk_pod_json(&k, "p", "\"berth.dev/fake-ready-ms\":\"300\"",
                          "\"readinessProbe\":{\"exec\":{\"command\":[\"ping\"]}}", ""));
    kk_run(&k, 250);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    CHECK_SPAN(kk_condition(&k, "p", "Ready"), "False");
    kk_run(&k, 300);
    CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True");
    CHECK_EQ(kk_event_count(&k, "p", "Unhealthy"), 0);
    kk_stop(&k);
}

static struct span ready_message(struct kubelet_kit *k, const char *pod)
{
    return json_get_str(json_find(json_path(kk_get(k, "Pod", pod), "status", "conditions", NULL),
                                  "type", SPAN("Ready")),
                        "message");
}

TEST(an_unready_pod_says_which_probe_failed_and_how_often_at_doubling_counts_only)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod",
              kk_pod_json(&k, "p", "\"berth.dev/fake-ready-ms\":\"100000\"",
                          "\"readinessProbe\":{\"exec\":{\"command\":[\"redis-cli\",\"ping\"]},"
                          "\"periodSeconds\":1}",
                          ""));
    kk_run(&k, 500);
    CHECK_SPAN(ready_message(&k, "p"), "containers with unready status: [c]; c: readiness probe "
                                       "`redis-cli ping` has not passed yet");
    kk_run(&k, 2000);
    CHECK_SPAN(ready_message(&k, "p"), "containers with unready status: [c]; c: readiness probe "
                                       "`redis-cli ping` has not passed yet");
    kk_run(&k, 1500);
    CHECK(span_starts(ready_message(&k, "p"),
                      SPAN("containers with unready status: [c]; c: readiness probe `redis-cli "
                           "ping` failed 3 times, without output")));
    struct span before = kk_pod(&k, "p", "metadata.resourceVersion");
    kk_run(&k, 2000); /* 4 and 5 */
    CHECK(span_eq(kk_pod(&k, "p", "metadata.resourceVersion"), before));
    kk_run(&k, 1500);
    CHECK(kk_says(ready_message(&k, "p"), "failed at least 6 times"));
    kk_run(&k, 100000);
    CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True");
    CHECK_EQ(ready_message(&k, "p").n, 0);
    kk_stop(&k);
}

TEST(a_startup_probe_that_still_fails_is_the_cause)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod",
              kk_pod_json(&k, "p", "\"berth.dev/fake-ready-ms\":\"100000\"",
                          "\"startupProbe\":{\"exec\":{\"command\":[\"up\"]},"
                          "\"periodSeconds\":1,\"failureThreshold\":60}",
                          ""));
    kk_run(&k, 500);
    CHECK_SPAN(ready_message(&k, "p"),
               "containers with unready status: [c]; c: startup probe `up` has not passed yet");
    kk_run(&k, 4000);
    CHECK(kk_says(ready_message(&k, "p"), "startup probe `up` failed 3 times"));
    kk_stop(&k);
}

TEST(a_liveness_probe_that_fails_for_good_restarts_the_container)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod",
              kk_pod_json(
                  &k, "p", "\"berth.dev/fake-ready-ms\":\"1000000\"",
                  "\"livenessProbe\":{\"exec\":{\"command\":[\"ping\"]},\"periodSeconds\":2}", ""));
    kk_run(&k, 3000);
    CHECK_EQ(runtime_fake_starts(k.runtime), 1);
    CHECK(kk_event(&k, "p", "Unhealthy").n > 0);
    kk_run(&k, 2500);
    CHECK_EQ(runtime_fake_starts(k.runtime), 2);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.restartCount"), "1");
    CHECK(kk_event_count(&k, "p", "Killing") > 0);
    kk_stop(&k);
}

TEST(a_container_that_was_killed_says_by_which_probe)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(
        &k, "Pod",
        kk_pod_json(&k, "p",
                    "\"berth.dev/fake-ready-ms\":\"1000000\","
                    "\"berth.dev/fake-ignore-term\":\"true\"",
                    "\"livenessProbe\":{\"exec\":{\"command\":[\"ping\"]},\"periodSeconds\":1,"
                    "\"failureThreshold\":2}",
                    "\"terminationGracePeriodSeconds\":2"));
    kk_run(&k, 2000);
    CHECK_SPAN(ready_message(&k, "p"),
               "containers with unready status: [c]; c: killed after its liveness probe `ping` "
               "failed 2 times, without output");
    kk_run(&k, 1600);
    CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True"); /* what was before it is over */
    CHECK_EQ(ready_message(&k, "p").n, 0);
    kk_stop(&k);
}

TEST(a_pod_is_not_ready_before_its_post_start_hook_has_ended)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod",
              kk_pod_json(&k, "p", "\"berth.dev/fake-exec-ms\":\"3000\"",
                          "\"lifecycle\":{\"postStart\":{\"exec\":{\"command\":[\"x\"]}}}", ""));
    kk_run(&k, 1500);
    CHECK_SPAN(ready_message(&k, "p"),
               "containers with unready status: [c]; c: its postStart hook has not ended yet");
    CHECK_SPAN(kk_condition(&k, "p", "Ready"), "False");
    kk_run(&k, 2500);
    CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True");
    kk_stop(&k);
}

TEST(a_probe_that_takes_too_long_fails_and_the_agent_may_die_meanwhile)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(
        &k, "Pod",
        kk_pod_json(
            &k, "p", "\"berth.dev/fake-exec-ms\":\"5000\"",
            "\"readinessProbe\":{\"exec\":{\"command\":[\"slow\",\"one\"]},\"periodSeconds\":1}",
            ""));
    kk_run(&k, 500);
    kk_kill(&k);
    kk_kubelet(&k);
    kk_run(&k, 4000);
    CHECK_SPAN(kk_condition(&k, "p", "Ready"), "False");
    CHECK_SPAN(kk_event(&k, "p", "Unhealthy"),
               "Readiness probe failed: command timed out: \"slow one\" timed out after 1s");
    kk_delete(&k, "Pod", "p", -1);
    kk_run(&k, 100);
    CHECK(kk_get(&k, "Pod", "p") == NULL);
    kk_stop(&k);
}
