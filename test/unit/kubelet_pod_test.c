/* The node agent against a real API server and a fake runtime, in virtual time: pod lifecycle. */
#include <signal.h>
#include <string.h>

#include "client/client.h"
#include "schema/schema.h"
#include "sim/fake_client.h"
#include "test/kit/kubelet_kit.h"

static bool kubelet_has_pods(struct kubelet_kit *k)
{
    return kubelet_pod_count(k->kubelet) > 0;
}

TEST(a_node_registers_itself_ready_with_its_lease)
{
    struct kubelet_kit k;
    kk_start(&k);
    CHECK(k.ready);
    yyjson_val *node = kk_get(&k, "Node", "edge");
    CHECK(node != NULL);
    CHECK_SPAN(json_str(json_path(node, "metadata", "labels", "kubernetes.io/hostname", NULL)),
               "edge");
    CHECK_SPAN(json_str(json_path(node, "status", "nodeInfo", "kubeletVersion", NULL)),
               "v1.34.0+berth");
    kk_run(&k, 11000);
    yyjson_val *lease = kk_get(&k, "Lease", "edge");
    yyjson_val *owner = yyjson_arr_get_first(json_path(lease, "metadata", "ownerReferences", NULL));
    CHECK_SPAN(json_get_str(owner, "kind"), "Node");
    CHECK(span_eq(json_get_str(owner, "uid"), json_str(json_path(node, "metadata", "uid", NULL))));
    kk_stop(&k);
}

TEST(a_pod_runs_and_is_ready_with_few_status_writes)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "", "", ""));
    kk_run(&k, 100);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True");
    CHECK_SPAN(kk_condition(&k, "p", "ContainersReady"), "True");
    CHECK_SPAN(kk_condition(&k, "p", "Initialized"), "True");
    CHECK_SPAN(kk_condition(&k, "p", "PodScheduled"), "True");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.ready"), "true");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.started"), "true");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.restartCount"), "0");
    CHECK_SPAN(kk_pod(&k, "p", "status.hostIP"), "192.0.2.1");
    CHECK(kk_pod(&k, "p", "status.podIP").n > 0);
    CHECK_SPAN(kk_pod(&k, "p", "status.qosClass"), "BestEffort");
    CHECK_SPAN(kk_event(&k, "p", "Started"), "Started container c");
    CHECK_SPAN(kk_event(&k, "p", "Pulled"),
               "Container image \"redis:7\" already present on machine");
    kk_stop(&k);
}

TEST(a_deleted_pod_ends_in_order_and_leaves_nothing)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "", "", ""));
    kk_run(&k, 100);
    kk_delete(&k, "Pod", "p", -1);
    kk_run(&k, 50);
    CHECK(kk_get(&k, "Pod", "p") == NULL);
    CHECK_EQ(runtime_fake_running(k.runtime), 0);
    CHECK_EQ(runtime_fake_sandboxes(k.runtime), 0);
    CHECK(!kubelet_has_pods(&k));
    CHECK_SPAN(kk_event(&k, "p", "Killing"), "Stopping container c");
    kk_stop(&k);
}

TEST(a_pod_that_ignores_the_stop_signal_is_killed_after_its_grace_and_is_unready_meanwhile)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod",
              kk_pod_json(&k, "p", "\"berth.dev/fake-ignore-term\":\"true\"", "",
                          "\"terminationGracePeriodSeconds\":5"));
    kk_run(&k, 100);
    kk_delete(&k, "Pod", "p", -1);
    kk_run(&k, 4800);
    CHECK_SPAN(kk_condition(&k, "p", "Ready"), "False");
    CHECK_EQ(runtime_fake_running(k.runtime), 1);
    kk_run(&k, 400);
    CHECK(kk_get(&k, "Pod", "p") == NULL);
    CHECK_EQ(runtime_fake_running(k.runtime), 0);
    kk_stop(&k);
}

TEST(a_shorter_grace_given_later_wins)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "\"berth.dev/fake-ignore-term\":\"true\"", "", ""));
    kk_run(&k, 100);
    kk_delete(&k, "Pod", "p", -1);
    kk_run(&k, 3000);
    kk_delete(&k, "Pod", "p", 4);
    kk_run(&k, 1500);
    CHECK(kk_get(&k, "Pod", "p") == NULL);
    kk_stop(&k);
}

/* The agent is away while a pod is given up and made anew, once or twice: what it finds running
 * goes first (sim seed 9700028). */
TEST(a_pod_waits_for_what_the_agent_finds_running_of_its_name)
{
    for (int times = 1; times <= 2; times++) {
        struct kubelet_kit k;
        kk_start(&k);
        const char *slow = "\"berth.dev/fake-stop-ms\":\"700\"";
        kk_create(&k, "Pod", kk_pod_json(&k, "p", slow, "", ""));
        kk_run(&k, 1000);
        CHECK_EQ(runtime_fake_running(k.runtime), 1);
        for (int i = 0; i < times; i++) {
            if (i == 0) {
                kk_kill(&k);
            }
            kk_delete(&k, "Pod", "p", 0);
            kk_create(&k, "Pod", kk_pod_json(&k, "p", slow, "", ""));
            if (i == 0) {
                kk_kubelet(&k);
                kk_run(&k, 100);
            }
        }
        for (int i = 0; i < 300; i++) {
            kk_run(&k, 10);
            CHECK(runtime_fake_running(k.runtime) <= 1);
        }
        CHECK_EQ(runtime_fake_running(k.runtime), 1);
        CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True");
        CHECK_EQ(runtime_fake_starts(k.runtime), 2);
        kk_stop(&k);
    }
}

TEST(a_forced_deletion_still_ends_the_containers)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "\"berth.dev/fake-ignore-term\":\"true\"", "", ""));
    kk_run(&k, 100);
    kk_delete(&k, "Pod", "p", 0);
    kk_run(&k, 20);
    CHECK(kk_get(&k, "Pod", "p") == NULL);
    kk_run(&k, 1200);
    CHECK_EQ(runtime_fake_running(k.runtime), 0);
    CHECK_EQ(runtime_fake_sandboxes(k.runtime), 0);
    CHECK(!kubelet_has_pods(&k));
    kk_stop(&k);
}

TEST(a_successor_of_the_same_name_waits_until_its_predecessor_is_gone)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "\"berth.dev/fake-stop-ms\":\"500\"", "", ""));
    kk_run(&k, 100);
    kk_delete(&k, "Pod", "p", 0);
    kk_run(&k, 10);
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "", "", ""));
    kk_run(&k, 300);
    CHECK_EQ(runtime_fake_starts(k.runtime), 1);
    kk_run(&k, 400);
    CHECK_EQ(runtime_fake_starts(k.runtime), 2);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    kk_stop(&k);
}

TEST(a_crashing_container_backs_off_ten_seconds_doubling)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(
        &k, "Pod",
        kk_pod_json(&k, "p",
                    "\"berth.dev/fake-exit-after-ms\":\"100\",\"berth.dev/fake-exit-code\":\"3\"",
                    "", ""));
    kk_run(&k, 400);
    CHECK_EQ(runtime_fake_starts(k.runtime), 2); /* the first restart is immediate */
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.reason"),
               "CrashLoopBackOff");
    struct span message = kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.message");
    CHECK(span_starts(message, SPAN("back-off 10s restarting failed container=c pod=p_default(")));
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.lastState.terminated.exitCode"), "3");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.lastState.terminated.reason"), "Error");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.restartCount"), "1");
    CHECK_SPAN(kk_condition(&k, "p", "Ready"), "False");
    CHECK(kk_event(&k, "p", "BackOff").n > 0);
    kk_run(&k, 9000);
    CHECK_EQ(runtime_fake_starts(k.runtime), 2);
    kk_run(&k, 1500);
    CHECK_EQ(runtime_fake_starts(k.runtime), 3);
    kk_run(&k, 19000);
    CHECK_EQ(runtime_fake_starts(k.runtime), 3);
    kk_run(&k, 1500);
    CHECK_EQ(runtime_fake_starts(k.runtime), 4);
    CHECK_EQ(runtime_fake_most_alive(k.runtime), 1);
    kk_stop(&k);
}

TEST(another_image_does_not_wait_for_the_back_off_of_the_one_that_crashed)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(
        &k, "Pod",
        kk_pod_json(&k, "p",
                    "\"berth.dev/fake-exit-after-ms\":\"100\",\"berth.dev/fake-exit-code\":\"3\"",
                    "", ""));
    kk_run(&k, 32000); /* the fifth start would be in 40 seconds */
    CHECK_EQ(runtime_fake_starts(k.runtime), 4);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.reason"),
               "CrashLoopBackOff");
    kk_patch(&k, "Pod", "p",
             "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"redis:8\"}]}}");
    kk_run(&k, 200);
    CHECK_EQ(runtime_fake_starts(k.runtime), 5);
    CHECK(kk_pod(&k, "p", "status.containerStatuses.0.state.running.startedAt").n > 0 ||
          span_starts(kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.message"),
                      SPAN("back-off 10s ")));
    kk_run(&k, 9000);
    CHECK_EQ(runtime_fake_starts(k.runtime), 5);
    kk_run(&k, 1500);
    CHECK_EQ(runtime_fake_starts(k.runtime), 6);
    kk_stop(&k);
}

TEST(policies_never_and_on_failure_end_a_pod)
{
    struct kubelet_kit k;
    kk_start(&k);
    const char *ok = "\"berth.dev/fake-exit-after-ms\":\"50\"";
    const char *bad = "\"berth.dev/fake-exit-after-ms\":\"50\",\"berth.dev/fake-exit-code\":\"1\"";
    kk_create(&k, "Pod", kk_pod_json(&k, "never-ok", ok, "", "\"restartPolicy\":\"Never\""));
    kk_create(&k, "Pod", kk_pod_json(&k, "never-bad", bad, "", "\"restartPolicy\":\"Never\""));
    kk_create(&k, "Pod", kk_pod_json(&k, "fail-ok", ok, "", "\"restartPolicy\":\"OnFailure\""));
    kk_create(&k, "Pod", kk_pod_json(&k, "fail-bad", bad, "", "\"restartPolicy\":\"OnFailure\""));
    kk_run(&k, 500);
    CHECK_SPAN(kk_pod(&k, "never-ok", "status.phase"), "Succeeded");
    CHECK_SPAN(kk_pod(&k, "never-ok", "status.containerStatuses.0.state.terminated.reason"),
               "Completed");
    CHECK_SPAN(kk_pod(&k, "never-bad", "status.phase"), "Failed");
    CHECK_SPAN(kk_pod(&k, "fail-ok", "status.phase"), "Succeeded");
    CHECK_SPAN(kk_pod(&k, "fail-bad", "status.phase"), "Running");
    CHECK_EQ(runtime_fake_starts(k.runtime), 5);
    CHECK_EQ(runtime_fake_sandboxes(k.runtime), 1); /* finished pods give their sandbox back */
    kk_delete(&k, "Pod", "never-ok", -1);
    kk_run(&k, 50);
    CHECK(kk_get(&k, "Pod", "never-ok") == NULL);
    kk_stop(&k);
}

TEST(a_command_that_does_not_exist_says_so_and_backs_off)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(
        &k, "Pod",
        kk_pod_json(&k, "p", "\"berth.dev/fake-start-error\":\"exec: no such file\"", "", ""));
    kk_run(&k, 300);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.reason"),
               "CrashLoopBackOff");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.lastState.terminated.reason"),
               "ContainerCannotRun");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.lastState.terminated.exitCode"), "127");
    CHECK_SPAN(kk_event(&k, "p", "Failed"), "Error: exec: no such file");
    kk_stop(&k);
}

TEST(init_containers_run_one_by_one_before_the_others)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod",
              kk_pod_json(&k, "p", "\"berth.dev/fake-exit-after-ms\":\"300\"", "",
                          "\"initContainers\":[{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\","
                          "\"image\":\"x\"}]"));
    kk_run(&k, 250);
    CHECK_EQ(runtime_fake_starts(k.runtime), 1);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Pending");
    CHECK_SPAN(kk_condition(&k, "p", "Initialized"), "False");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.reason"),
               "PodInitializing");
    kk_run(&k, 300);
    CHECK_EQ(runtime_fake_starts(k.runtime), 2);
    kk_run(&k, 300);
    CHECK_EQ(runtime_fake_starts(k.runtime), 3);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    CHECK_SPAN(kk_pod(&k, "p", "status.initContainerStatuses.0.state.terminated.reason"),
               "Completed");
    CHECK_SPAN(kk_condition(&k, "p", "Initialized"), "True");
    kk_stop(&k);
}

TEST(a_killed_agent_adopts_what_runs_and_restarts_nothing)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "", "", ""));
    kk_create(&k, "Pod", kk_pod_json(&k, "q", "", "", ""));
    kk_run(&k, 200);
    struct span version = kk_pod(&k, "p", "metadata.resourceVersion");
    kk_kill(&k);
    kk_delete(&k, "Pod", "q", 0); /* gone while nobody looks */
    kk_run(&k, 5000);
    kk_kubelet(&k);
    kk_run(&k, 1500);
    CHECK_EQ(runtime_fake_starts(k.runtime), 2);
    CHECK_EQ(runtime_fake_running(k.runtime), 1);
    CHECK_EQ(runtime_fake_sandboxes(k.runtime), 1);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.restartCount"), "0");
    CHECK_SPAN(kk_pod(&k, "p", "metadata.resourceVersion"), arena_cstr(k.arena, version));
    CHECK_EQ(kubelet_pod_count(k.kubelet), 1);
    kk_stop(&k);
}

TEST(an_adopted_container_is_stopped_by_the_signal_it_was_started_with)
{
    struct kubelet_kit k;
    kk_start(&k);
    const char *hook = "\"lifecycle\":{\"stopSignal\":\"SIGINT\"}",
               *linux_os = "\"os\":{\"name\":\"linux\"}";
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "", hook, linux_os));
    kk_run(&k, 200);
    kk_kill(&k);
    kk_delete(&k, "Pod", "p", 0); /* with it goes what says how to stop */
    kk_kubelet(&k);
    kk_run(&k, 1500);
    CHECK_EQ(runtime_fake_running(k.runtime), 0);
    CHECK_EQ(runtime_fake_last_signal(k.runtime), SIGINT);
    kk_stop(&k);
}

TEST(an_exit_while_the_agent_was_away_is_seen_and_restarted)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "", "", ""));
    kk_run(&k, 200);
    struct span uid = kk_pod(&k, "p", "metadata.uid");
    kk_kill(&k);
    CHECK(runtime_fake_exit(k.runtime, arena_printf(k.arena, "%.*s-c-0", SPAN_ARG(uid)), 7));
    kk_kubelet(&k);
    kk_run(&k, 300);
    CHECK_EQ(runtime_fake_starts(k.runtime), 2);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.restartCount"), "1");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.lastState.terminated.exitCode"), "7");
    kk_stop(&k);
}

TEST(after_a_reboot_pods_start_again)
{
    for (int keep = 0; keep < 2; keep++) {
        struct kubelet_kit k;
        kk_start(&k);
        kk_create(&k, "Pod", kk_pod_json(&k, "p", "", "", ""));
        kk_run(&k, 200);
        runtime_fake_reboot(k.runtime, keep);
        kubelet_free(k.kubelet);
        kk_kubelet(&k);
        kk_run(&k, 500);
        CHECK_EQ(runtime_fake_starts(k.runtime), 2);
        CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
        CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True");
        CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.restartCount"), "1");
        kk_stop(&k);
    }
}

/* Its status was refused meanwhile, and the pod stayed Ready: an ended container does not run
 * again. */
TEST(an_init_container_runs_again_after_a_reboot_though_it_had_ended_well)
{
    static const char *const policies[] = {"OnFailure", "Always"};
    for (int i = 0; i < 2; i++) {
        struct kubelet_kit k;
        kk_start(&k);
        kk_create(&k, "Pod",
                  kk_pod_json(&k, "p", "\"berth.dev/fake-exit-after-ms\":\"1000\"", "",
                              arena_printf(k.arena,
                                           "\"restartPolicy\":\"%s\",\"initContainers\":[{"
                                           "\"name\":\"first\",\"image\":\"redis:7\"}]",
                                           policies[i])
                                  .p));
        kk_run(&k, 1300);
        CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True");
        runtime_fake_reboot(k.runtime, 0);
        kubelet_free(k.kubelet);
        kk_kubelet(&k);
        kk_run(&k, 500);
        CHECK_EQ(runtime_fake_starts(k.runtime), 3);
        CHECK_SPAN(kk_condition(&k, "p", "Initialized"), "False");
        CHECK_SPAN(kk_condition(&k, "p", "Ready"), "False");
        CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.reason"),
                   "PodInitializing");
        CHECK_EQ(kk_pod(&k, "p", "status.initContainerStatuses.0.state.terminated.reason").n > 0,
                 i == 0);
        if (i == 0) { /* another agent in the middle of it */
            kk_kill(&k);
            kk_kubelet(&k);
        }
        kk_run(&k, 1000);
        CHECK_EQ(runtime_fake_starts(k.runtime), 4);
        CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
        CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True");
        CHECK_SPAN(kk_pod(&k, "p", "status.initContainerStatuses.0.restartCount"), "1");
        kk_stop(&k);
    }
}

TEST(a_pod_that_is_forced_away_while_it_stops_has_a_second)
{
    struct kubelet_kit k;
    kk_start(&k);
    const char *pod = kk_pod_json(&k, "p", "\"berth.dev/fake-ignore-term\":\"true\"", "",
                                  "\"terminationGracePeriodSeconds\":600");
    kk_create(&k, "Pod", pod);
    kk_run(&k, 100);
    kk_delete(&k, "Pod", "p", -1);
    kk_run(&k, 5000);
    CHECK_EQ(runtime_fake_running(k.runtime), 1);
    kk_delete(&k, "Pod", "p", 0);
    kk_create(&k, "Pod", pod);
    kk_run(&k, 2000);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    CHECK_EQ(runtime_fake_running(k.runtime), 1);
    kk_stop(&k);
}

TEST(a_missing_config_map_volume_holds_the_pod_until_it_appears)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod",
              kk_pod_json(&k, "p", "", "",
                          "\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":\"cm\"}}]"));
    kk_run(&k, 500);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.reason"),
               "ContainerCreating");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.message"),
               "MountVolume.SetUp failed for volume \"v\" : configmap \"cm\" not found");
    CHECK_SPAN(kk_event(&k, "p", "FailedMount"),
               "MountVolume.SetUp failed for volume \"v\" : configmap \"cm\" not found");
    kk_create(&k, "ConfigMap",
              "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"cm\"},"
              "\"data\":{\"a\":\"b\"}}");
    kk_run(&k, 100);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    kk_stop(&k);
}

/* A path of variables that leads out of its volume: the pod waits, though it is never restarted,
 * and starts when an annotation makes the path a good one. */
TEST(a_sub_path_of_variables_stays_in_its_volume)
{
    static const char *const bad[][2] = {{"$(A)/x", "subPath \"/x\" must not be an absolute path"},
                                         {"$(A)..", "subPath \"..\" must not contain \"..\""},
                                         {"$(NO)", "missing value for \"NO\""}};
    for (int i = 0; i < 3; i++) {
        struct kubelet_kit k;
        kk_start(&k);
        char container[600];
        snprintf(container, sizeof container,
                 "\"env\":[{\"name\":\"A\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":"
                 "\"metadata.annotations['a']\"}}}],\"volumeMounts\":[{\"name\":\"v\","
                 "\"mountPath\":\"/v\",\"subPathExpr\":\"%s\"}]",
                 bad[i][0]);
        kk_create(&k, "Pod",
                  kk_pod_json(&k, "p", "", container,
                              "\"restartPolicy\":\"Never\",\"volumes\":[{\"name\":\"v\","
                              "\"emptyDir\":{}}]"));
        kk_run(&k, 500);
        CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Pending");
        CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.reason"),
                   "CreateContainerConfigError");
        struct span why = kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.message");
        CHECK(span_ends(why, span_cstr(bad[i][1])));
        kk_patch(&k, "Pod", "p", "{\"metadata\":{\"annotations\":{\"a\":\"dir\"}}}");
        kk_run(&k, 500);
        CHECK_SPAN(kk_pod(&k, "p", "status.phase"), i == 2 ? "Pending" : "Running");
        kk_stop(&k);
    }
}

TEST(a_missing_secret_key_is_a_config_error_until_it_appears)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod",
              kk_pod_json(&k, "p", "",
                          "\"env\":[{\"name\":\"A\",\"valueFrom\":{\"secretKeyRef\":{\"name\":"
                          "\"s\",\"key\":\"k\"}}}]",
                          ""));
    kk_run(&k, 500);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.reason"),
               "CreateContainerConfigError");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.message"),
               "secret \"s\" not found");
    CHECK_SPAN(kk_event(&k, "p", "Failed"), "Error: secret \"s\" not found");
    kk_create(&k, "Secret",
              "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"s\"},\"data\":{"
              "\"k\":\"dg==\"}}");
    kk_run(&k, 100);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    kk_stop(&k);
}

TEST(what_is_not_supported_is_refused_in_words)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "", "", "\"shareProcessNamespace\":true"));
    kk_run(&k, 300);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Pending");
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.state.waiting.message"),
               "shareProcessNamespace is not supported by Berth yet: leave it out, or use hostPID");
    CHECK(kk_says(kk_event(&k, "p", "Failed"), "Error: shareProcessNamespace is not supported"));
    kk_delete(&k, "Pod", "p", -1);
    kk_run(&k, 50);
    CHECK(kk_get(&k, "Pod", "p") == NULL);
    kk_stop(&k);
}

TEST(a_pod_whose_host_port_is_taken_fails_until_the_first_has_ended)
{
    struct kubelet_kit k;
    const char *port = "\"ports\":[{\"containerPort\":80,\"hostPort\":8080}]";
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "first", "", port, ""));
    kk_run(&k, 300);
    kk_create(&k, "Pod", kk_pod_json(&k, "second", "", port, ""));
    kk_run(&k, 300);
    CHECK_SPAN(kk_pod(&k, "first", "status.phase"), "Running");
    CHECK_SPAN(kk_pod(&k, "second", "status.phase"), "Failed");
    CHECK_SPAN(kk_pod(&k, "second", "status.reason"), "NodePorts");
    CHECK_SPAN(kk_pod(&k, "second", "status.message"),
               "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for "
               "the requested pod ports");
    CHECK(kk_event(&k, "second", "NodePorts").n > 0);
    CHECK_EQ(runtime_fake_running(k.runtime), 1);
    kk_kill(&k);
    kk_kubelet(&k);
    kk_run(&k, 300);
    CHECK_SPAN(kk_pod(&k, "first", "status.phase"), "Running");
    kk_delete(&k, "Pod", "second", -1);
    kk_delete(&k, "Pod", "first", -1);
    kk_run(&k, 500);
    CHECK(kk_get(&k, "Pod", "first") == NULL && kk_get(&k, "Pod", "second") == NULL);
    kk_create(&k, "Pod", kk_pod_json(&k, "third", "", port, ""));
    kk_run(&k, 300);
    CHECK_SPAN(kk_pod(&k, "third", "status.phase"), "Running");
    kk_stop(&k);
}

TEST(a_pod_of_a_controller_waits_a_while_for_its_host_port)
{
    struct kubelet_kit k;
    const char *port = "\"ports\":[{\"containerPort\":80,\"hostPort\":8080}]";
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "first", "", port, ""));
    kk_run(&k, 300);
    kk_create(&k, "Pod",
              "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"set-0\","
              "\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"name\":"
              "\"set\",\"uid\":\"u\",\"controller\":true}]},\"spec\":{\"nodeName\":\"edge\","
              "\"containers\":[{\"name\":\"c\",\"image\":\"redis:7\",\"ports\":[{"
              "\"containerPort\":80,\"hostPort\":8080}]}]}}");
    kk_run(&k, 9000);
    CHECK_SPAN(kk_pod(&k, "set-0", "status.phase"), "Pending");
    CHECK_SPAN(kk_pod(&k, "set-0", "status.conditions.0.message"),
               "pod default/first on the same node has host port 8080, which it asks for as well");
    kk_run(&k, 2000);
    CHECK_SPAN(kk_pod(&k, "set-0", "status.reason"), "NodePorts");
    kk_delete(&k, "Pod", "set-0", -1);
    kk_run(&k, 300);
    kk_create(&k, "Pod",
              "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"set-0\","
              "\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"name\":"
              "\"set\",\"uid\":\"u\",\"controller\":true}]},\"spec\":{\"nodeName\":\"edge\","
              "\"containers\":[{\"name\":\"c\",\"image\":\"redis:7\",\"ports\":[{"
              "\"containerPort\":80,\"hostPort\":8080}]}]}}");
    kk_run(&k, 1000);
    CHECK_EQ(runtime_fake_running(k.runtime), 1);
    kk_delete(&k, "Pod", "first", -1);
    kk_run(&k, 1000);
    CHECK_SPAN(kk_pod(&k, "set-0", "status.phase"), "Running"); /* without a try in between */
    kk_stop(&k);
}

static struct span offered(struct kubelet_kit *k, const char *list)
{
    return json_str(json_path(kk_get(k, "Node", "edge"), "status", list, "acme.com/dongle", NULL));
}

TEST(what_somebody_says_the_node_has_stays_and_is_given_once)
{
    struct kubelet_kit k;
    const char *two = "\"resources\":{\"limits\":{\"acme.com/dongle\":\"2\"}}";
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "early", "", two, "")); /* nobody counts them yet */
    kk_run(&k, 300);
    CHECK_SPAN(kk_pod(&k, "early", "status.phase"), "Running");
    kk_patch(&k, "Node", "edge/status", "{\"status\":{\"capacity\":{\"acme.com/dongle\":\"4\"}}}");
    kk_run(&k, 2000);
    CHECK_SPAN(offered(&k, "allocatable"), "4");
    kk_kill(&k);
    kk_kubelet(&k); /* writes the node's status when it starts */
    kk_run(&k, 300);
    CHECK_SPAN(offered(&k, "capacity"), "4");
    CHECK_SPAN(offered(&k, "allocatable"), "4");
    kk_create(&k, "Pod", kk_pod_json(&k, "second", "", two, ""));
    kk_create(&k, "Pod", kk_pod_json(&k, "third", "", two, ""));
    kk_run(&k, 9000);
    CHECK_SPAN(kk_pod(&k, "second", "status.phase"), "Running");
    CHECK_SPAN(kk_pod(&k, "third", "status.phase"), "Pending");
    kk_run(&k, 2000);
    CHECK_SPAN(kk_pod(&k, "third", "status.phase"), "Failed");
    CHECK_SPAN(kk_pod(&k, "third", "status.reason"), "OutOfacme.com/dongle");
    CHECK_SPAN(kk_pod(&k, "third", "status.message"),
               "Pod was rejected: Node didn't have enough resource: acme.com/dongle, requested: 2, "
               "used: 4, capacity: 4");
    kk_create(&k, "Pod", kk_pod_json(&k, "fourth", "", two, ""));
    kk_run(&k, 300);
    kk_patch(&k, "Node", "edge/status", "{\"status\":{\"capacity\":{\"acme.com/dongle\":\"6\"}}}");
    kk_run(&k, 1500);
    CHECK_SPAN(kk_pod(&k, "fourth", "status.phase"), "Running");
    kk_stop(&k);
}

TEST(an_active_deadline_fails_the_pod)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "", "", "\"activeDeadlineSeconds\":2"));
    kk_run(&k, 1500);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    kk_run(&k, 1500);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Failed");
    CHECK_SPAN(kk_pod(&k, "p", "status.reason"), "DeadlineExceeded");
    CHECK_EQ(runtime_fake_running(k.runtime), 0);
    kk_stop(&k);
}

/* ---- counting what the agent writes ---- */

struct versions {
    size_t n;
};

static void count_event(void *data, enum client_event_type type, struct object *object)
{
    (void)object;
    ((struct versions *)data)->n += type != CLIENT_DELETED;
}

TEST(a_start_costs_one_status_write)
{
    static const struct client_watch_handler handler = {.on_event = count_event};
    struct kubelet_kit k;
    struct versions seen = {0};
    kk_start(&k);
    struct client_watch *w =
        client_watch_new(k.client,
                         &(struct client_request){CLIENT_REQUEST_INIT, .verb = CLIENT_LIST,
                                                  .kind = schema_kind_find("", "Pod")},
                         &handler, &seen);
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "\"berth.dev/fake-start-ms\":\"40\"", "", ""));
    kk_run(&k, 1000);
    CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True");
    CHECK_EQ(seen.n, 2); /* created; Running and Ready */
    client_watch_free(w);
    kk_stop(&k);
}

TEST(a_node_that_somebody_calls_unready_says_that_it_is_ready)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_patch(&k, "Node", "edge/status",
             "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"Unknown\",\"reason\":"
             "\"x\"}]}}");
    kk_run(&k, 100);
    yyjson_val *node = kk_get(&k, "Node", "edge");
    bool ready = false;
    JSON_EACH(it, json_path(node, "status", "conditions", NULL))
    {
        ready |= span_eq_cstr(json_get_str(it.val, "type"), "Ready") &&
                 span_eq_cstr(json_get_str(it.val, "status"), "True");
    }
    CHECK(ready);
    kk_delete(&k, "Node", "edge", -1);
    kk_run(&k, 100);
    CHECK(kk_get(&k, "Node", "edge") != NULL);
    kk_stop(&k);
}

static enum err_reason is_there_once(void *data, const struct client_request *request)
{
    int *count = data;
    bool makes_node = request->verb == CLIENT_CREATE && strcmp(request->kind->kind, "Node") == 0;
    return makes_node && (*count)++ == 0 ? ERR_ALREADY_EXISTS : ERR_NONE;
}

/* Found by the simulator (seed 17076382): its deletion was told before the reply that it was there.
 */
TEST(a_node_that_is_deleted_while_it_registers_registers_again)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_kill(&k);
    struct client *server = k.client;
    struct fake_client *api = fake_client_new(k.env);
    int count = 0;
    fake_client_fault(api, is_there_once, &count);
    k.client = fake_client_base(api);
    kk_kubelet(&k);
    kk_run(&k, 5000);
    CHECK_EQ(count, 2);
    CHECK(fake_client_get(api, "", "Node", "", "edge") != NULL);
    kk_kill(&k);
    fake_client_free(api);
    k.client = server;
    kk_stop(&k);
}
