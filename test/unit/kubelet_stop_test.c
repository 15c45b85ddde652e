/* `berth stop`: the node agent ends all pods, in order, against a fake runtime in virtual time. */
#include "schema/schema.h"
#include "test/kit/kubelet_kit.h"

static void on_stopped(void *data)
{
    *(bool *)data = true;
}

TEST(stopping_ends_pods_and_leaves_the_api_objects_so_that_they_start_again)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod", kk_pod_json(&k, "p", "\"berth.dev/fake-stop-ms\":\"100\"", "", ""));
    kk_run(&k, 200);
    bool stopped = false;
    kubelet_stop_pods(k.kubelet, on_stopped, &stopped);
    kk_run(&k, 50);
    CHECK(!stopped);
    kk_run(&k, 200);
    CHECK(stopped);
    CHECK_EQ(runtime_fake_running(k.runtime), 0);
    CHECK_EQ(runtime_fake_sandboxes(k.runtime), 0);
    CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
    kk_kill(&k);
    kk_kubelet(&k);
    kk_run(&k, 300);
    CHECK_EQ(runtime_fake_running(k.runtime), 1);
    kk_stop(&k);
}

static const char *set_pod(struct kubelet_kit *k, int ordinal)
{
    return arena_printf(k->arena,
                        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"db-%d\","
                        "\"annotations\":{\"berth.dev/fake-stop-ms\":\"100\"},"
                        "\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\","
                        "\"name\":\"db\",\"uid\":\"u-db\",\"controller\":true}]},"
                        "\"spec\":{\"nodeName\":\"edge\",\"containers\":[{\"name\":\"c\","
                        "\"image\":\"redis:7\"}]}}",
                        ordinal)
        .p;
}

TEST(stopping_ends_a_set_from_its_last_ordinal_and_other_pods_after_it)
{
    struct kubelet_kit k;
    kk_start(&k);
    for (int i = 0; i < 3; i++) {
        kk_create(&k, "Pod", set_pod(&k, i));
    }
    kk_create(&k, "Pod", kk_pod_json(&k, "web", "\"berth.dev/fake-stop-ms\":\"100\"", "", ""));
    kk_run(&k, 300);
    CHECK_EQ(runtime_fake_running(k.runtime), 4);
    bool stopped = false;
    kubelet_stop_pods(k.kubelet, on_stopped, &stopped);
    const char *const order[] = {"db-2", "db-1", "db-0", "web"};
    struct span uids[4];
    for (int i = 0; i < 4; i++) {
        uids[i] = kk_pod(&k, order[i], "metadata.uid");
    }
    for (int i = 0; i < 4; i++) {
        kk_run(&k, 50);
        for (int j = 0; j < 4; j++) {
            struct span id = arena_printf(k.arena, "%.*s-c-0", SPAN_ARG(uids[j]));
            CHECK_EQ(runtime_fake_is_running(k.runtime, id), j >= i);
        }
        kk_run(&k, 53);
    }
    CHECK(stopped);
    kk_stop(&k);
}

/* A higher ordinal has its turn at once, a lower one after those before it; none is started. */
TEST(pods_that_come_while_others_stop_have_their_turn)
{
    struct kubelet_kit k;
    kk_start(&k);
    kk_create(&k, "Pod", set_pod(&k, 1));
    kk_create(&k, "Pod", set_pod(&k, 2));
    kk_create(&k, "Pod", kk_pod_json(&k, "web", "\"berth.dev/fake-stop-ms\":\"100\"", "", ""));
    kk_run(&k, 300);
    struct span db_1 =
                    arena_printf(k.arena, "%.*s-c-0", SPAN_ARG(kk_pod(&k, "db-1", "metadata.uid"))),
                web =
                    arena_printf(k.arena, "%.*s-c-0", SPAN_ARG(kk_pod(&k, "web", "metadata.uid")));
    bool stopped = false;
    kubelet_stop_pods(k.kubelet, on_stopped, &stopped);
    kk_create(&k, "Pod", set_pod(&k, 0));
    kk_create(&k, "Pod", set_pod(&k, 7));
    kk_create(&k, "Pod", kk_pod_json(&k, "web-2", "", "", ""));
    kk_run(&k, 50);
    CHECK(!stopped);
    CHECK_EQ(runtime_fake_running(k.runtime), 3);
    kk_run(&k, 103);
    CHECK(runtime_fake_is_running(k.runtime, web));
    CHECK_EQ(runtime_fake_running(k.runtime), 2);
    kk_run(&k, 103);
    CHECK(!runtime_fake_is_running(k.runtime, db_1));
    CHECK_EQ(runtime_fake_running(k.runtime), 1);
    kk_run(&k, 200);
    CHECK(stopped);
    CHECK_EQ(runtime_fake_sandboxes(k.runtime), 0);
    kk_stop(&k);
}

TEST(stopping_says_what_it_waits_for_and_can_be_hurried)
{
    struct kubelet_kit k;
    struct kubelet_stop_left left;
    kk_start(&k);
    for (int i = 0; i < 2; i++) {
        kk_create(&k, "Pod", set_pod(&k, i)); /* 30 s each */
    }
    kk_create(&k, "Pod",
              kk_pod_json(&k, "web", "\"berth.dev/fake-ignore-term\":\"true\"", "",
                          "\"terminationGracePeriodSeconds\":600"));
    kk_run(&k, 300);
    kubelet_stop_left(k.kubelet, k.arena, &left);
    CHECK_EQ(left.count, 3);
    CHECK_EQ(left.at_most_ms, (30 + 30 + 600) * 1000);
    bool stopped = false;
    kubelet_stop_pods(k.kubelet, on_stopped, &stopped);
    kk_run(&k, 1000); /* the set's two have ended by then */
    kubelet_stop_left(k.kubelet, k.arena, &left);
    CHECK_EQ(left.count, 1);
    CHECK_SPAN(left.pods[0].name, "default/web");
    CHECK(!left.pods[0].waits);
    CHECK(left.at_most_ms > 598 * 1000 && left.at_most_ms < 600 * 1000);
    kubelet_stop_hurry(k.kubelet, 5000);
    kk_run(&k, 3000);
    CHECK(!stopped);
    kk_run(&k, 2000);
    CHECK(stopped);
    kubelet_stop_left(k.kubelet, k.arena, &left);
    CHECK_EQ(left.count, 0);
    CHECK_EQ(left.at_most_ms, 0);
    kk_stop(&k);
}
