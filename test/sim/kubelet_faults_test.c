/* The node agent under random deaths of itself, of the machine and of containers: no container ever
 * has two live instances, and when the faults stop, what runs is exactly what the API says. */
#include "test/kit/kubelet_kit.h"

enum { PODS = 5, STEPS = 60 };

static uint64_t roll(uint64_t n)
{
    return kit_random() % n;
}

static const char *pod_name(struct kubelet_kit *k, int i)
{
    return arena_printf(k->arena, "p%d", i).p;
}

static const char *knobs(struct kubelet_kit *k)
{
    return arena_printf(k->arena,
                        "\"berth.dev/fake-start-ms\":\"%d\",\"berth.dev/"
                        "fake-stop-ms\":\"%d\",\"berth.dev/fake-ignore-term\":\"%s\",\"berth.dev/"
                        "fake-exec-ms\":\"%d\"",
                        (int)roll(300), (int)roll(2000), roll(5) == 0 ? "true" : "false",
                        (int)roll(3) * 300)
        .p;
}

static void one_fault(struct kubelet_kit *k)
{
    int i = (int)roll(PODS);
    const char *name = pod_name(k, i);
    struct span uid = kk_pod(k, name, "metadata.uid");
    switch (roll(8)) {
    case 0:
    case 1:
        if (uid.n == 0) {
            kk_create(k, "Pod",
                      kk_pod_json(k, name, knobs(k),
                                  "\"readinessProbe\":{\"exec\":{\"command\":[\"x\"]}}",
                                  "\"terminationGracePeriodSeconds\":3"));
        }
        break;
    case 2:
        if (uid.n > 0) {
            kk_delete(k, "Pod", name, roll(3) == 0 ? 0 : -1);
        }
        break;
    case 3:
        kk_kill(k);
        kk_run(k, (int64_t)roll(2000));
        kk_kubelet(k);
        break;
    case 4:
        for (int attempt = 0; attempt < 20; attempt++) {
            (void)runtime_fake_exit(k->runtime,
                                    arena_printf(k->arena, "%.*s-c-%d", SPAN_ARG(uid), attempt),
                                    (int32_t)roll(3));
        }
        break;
    case 5:
        if (roll(4) == 0) {
            runtime_fake_reboot(k->runtime, roll(2));
            kubelet_free(k->kubelet);
            kk_kubelet(k);
        }
        break;
    default:
        break;
    }
    kk_run(k, (int64_t)roll(roll(10) == 0 ? 30000 : 300));
}

static void settle_and_check(struct kubelet_kit *k)
{
    kk_run(k, 400 * 1000); /* longer than the longest back-off */
    size_t want = 0;
    for (int i = 0; i < PODS; i++) {
        const char *name = pod_name(k, i);
        if (kk_get(k, "Pod", name) == NULL) {
            continue;
        }
        want++;
        CHECK_EQ(kk_pod(k, name, "metadata.deletionTimestamp").n, 0);
        CHECK_SPAN(kk_pod(k, name, "status.phase"), "Running");
        CHECK_SPAN(kk_condition(k, name, "Ready"), "True");
    }
    CHECK_EQ(runtime_fake_running(k->runtime), want);
    CHECK_EQ(runtime_fake_sandboxes(k->runtime), want);
    CHECK_EQ(kubelet_pod_count(k->kubelet), want);
    CHECK(runtime_fake_most_alive(k->runtime) <= 1);
}

TEST_T(after_random_faults_the_machine_runs_exactly_what_the_api_says, 120)
{
    for (int round = 0; round < 12; round++) {
        struct kubelet_kit k;
        kk_start(&k);
        for (int i = 0; i < STEPS; i++) {
            one_fault(&k);
            CHECK(runtime_fake_most_alive(k.runtime) <= 1);
        }
        settle_and_check(&k);
        kk_stop(&k);
    }
}
