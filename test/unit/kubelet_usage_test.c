/* What the node agent answers about usage: a rate over the time since the question before, or over
 * a second; nothing is kept longer than it is good for. */
#include "client/node_api.h"
#include "kit/kubelet_kit.h"
#include "kubelet/kubelet_api.h"

struct answer {
    struct kubelet_kit *k;
    int count;
    bool is_lost;
    int64_t node_nano, node_bytes, nano, bytes, window_ms, pods;
};

static void on_usage(void *data, const struct node_usage *usage)
{
    struct answer *a = data;
    a->count++;
    a->is_lost = !usage;
    a->pods = 0;
    for (size_t i = 0; usage && i < usage->n; i++) {
        const struct node_usage_pod *p = &usage->pods[i];
        CHECK_EQ(p->n, 1);
        if (p->uid.n == 0) {
            a->node_nano = (int64_t)p->containers[0].cpu_nano;
            a->node_bytes = p->containers[0].memory_bytes;
            CHECK_SPAN(usage->node, "edge");
            continue;
        }
        a->pods++;
        CHECK_SPAN(p->containers[0].name, "c");
        a->nano = (int64_t)p->containers[0].cpu_nano;
        a->bytes = p->containers[0].memory_bytes;
        a->window_ms = p->window_ns / 1000000;
    }
}

static void ask(struct kubelet_kit *k, struct answer *a)
{
    *a = (struct answer){.k = k};
    kubelet_usage(k->kubelet, on_usage, a);
    CHECK_EQ(a->count, 0); /* never inside the call */
}

static void start(struct kubelet_kit *k)
{
    kk_start(k);
    kk_create(k, "Pod",
              kk_pod_json(k, "p",
                          "\"berth.dev/fake-cpu\":\"250\",\"berth.dev/fake-memory\":\"52428800\"",
                          "", ""));
    kk_run(k, 1000);
    CHECK_SPAN(kk_pod(k, "p", "status.phase"), "Running");
}

TEST(the_first_answer_takes_a_second_and_the_next_one_looks_back)
{
    struct kubelet_kit k;
    struct answer a;
    start(&k);
    ask(&k, &a);
    kk_run(&k, 900);
    CHECK_EQ(a.count, 0);
    kk_run(&k, 200);
    CHECK_EQ(a.count, 1);
    CHECK_EQ(a.pods, 1);
    CHECK_EQ(a.nano, 250000000);
    CHECK_EQ(a.bytes, 52428800);
    CHECK_EQ(a.window_ms, 1000);
    CHECK_EQ(a.node_nano, 250000000);
    CHECK_EQ(a.node_bytes, 52428800);
    kk_run(&k, 19900);
    ask(&k, &a);
    kk_run(&k, 10);
    CHECK_EQ(a.count, 1);
    CHECK_EQ(a.nano, 250000000);
    CHECK(a.window_ms >= 19900 && a.window_ms <= 20100);
    kk_run(&k, 61000); /* nothing is known any more */
    ask(&k, &a);
    kk_run(&k, 900);
    CHECK_EQ(a.count, 0);
    kk_run(&k, 200);
    CHECK_EQ(a.window_ms, 1000);
    kk_stop(&k);
}

TEST(all_who_ask_meanwhile_share_one_measurement)
{
    struct kubelet_kit k;
    struct answer a, b;
    start(&k);
    ask(&k, &a);
    kk_run(&k, 900);
    ask(&k, &b);
    kk_run(&k, 200);
    CHECK_EQ(a.count, 1);
    CHECK_EQ(b.count, 1);
    CHECK_EQ(b.nano, 250000000);
    CHECK_EQ(b.window_ms, 1000);
    kk_stop(&k);
}

TEST(a_container_that_is_started_anew_in_between_is_left_out_once)
{
    struct kubelet_kit k;
    struct answer a;
    start(&k);
    ask(&k, &a);
    kk_run(&k, 500);
    struct span id = arena_printf(k.arena, "%.*s-c-0", SPAN_ARG(kk_pod(&k, "p", "metadata.uid")));
    CHECK(runtime_fake_exit(k.runtime, id, 1));
    kk_run(&k, 600);
    CHECK_EQ(a.count, 1);
    CHECK_EQ(a.pods, 0);
    kk_run(&k, 15000);
    ask(&k, &a);
    kk_run(&k, 1200);
    CHECK_EQ(a.pods, 1);
    CHECK_EQ(a.nano, 250000000);
    kk_stop(&k);
}

TEST(who_waits_when_the_agent_ends_is_told)
{
    struct kubelet_kit k;
    struct answer a;
    start(&k);
    ask(&k, &a);
    kk_run(&k, 500);
    kk_kill(&k);
    CHECK_EQ(a.count, 1);
    CHECK(a.is_lost);
    kk_stop(&k);
}
