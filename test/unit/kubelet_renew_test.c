/* A container's image is changed in place: whatever its pod's policy, and whoever dies meanwhile,
 * the next instance has the new one. */
#include "base/mem.h"
#include "test/kit/kubelet_kit.h"

#define TO(image)                                                                                  \
    "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"" image                                \
    "\"},{\"name\":\"d\",\"image\":\"redis:7\"}]}}"

static const char *const policies[] = {"Always", "OnFailure", "Never"};
enum { POLICIES = 3 };

/* Beside it a container that nobody touches. */
static void start_two(struct kubelet_kit *k, const char *policy, int start_ms)
{
    char text[1024];
    kk_start(k);
    (void)snprintf(text, sizeof text,
                   "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\","
                   "\"annotations\":{\"berth.dev/fake-stop-ms\":\"10\",\"berth.dev/"
                   "fake-start-ms\":\"%d\"}},\"spec\":{\"nodeName\":"
                   "\"edge\",\"restartPolicy\":\"%s\",\"containers\":[{\"name\":\"c\",\"image\":"
                   "\"redis:7\"},{\"name\":\"d\",\"image\":\"redis:7\"}]}}",
                   start_ms, policy);
    kk_create(k, "Pod", text);
    kk_run(k, 2000);
    CHECK_SPAN(kk_pod(k, "p", "status.phase"), "Running");
    CHECK_EQ(runtime_fake_starts(k->runtime), 2);
}

static bool exits(struct kubelet_kit *k, const char *instance, int code)
{
    char id[128];
    (void)snprintf(id, sizeof id, "%.*s-%s", SPAN_ARG(kk_pod(k, "p", "metadata.uid")), instance);
    return runtime_fake_exit(k->runtime, span_cstr(id), code);
}

/* Both run, the one with this image after so many restarts. */
static void check_runs(struct kubelet_kit *k, const char *image, const char *restarts)
{
    CHECK_SPAN(kk_pod(k, "p", "status.phase"), "Running");
    CHECK_SPAN(kk_condition(k, "p", "Ready"), "True");
    CHECK_SPAN(kk_pod(k, "p", "status.containerStatuses.0.image"), image);
    CHECK_SPAN(kk_pod(k, "p", "status.containerStatuses.0.restartCount"), restarts);
    CHECK_SPAN(kk_pod(k, "p", "status.containerStatuses.1.restartCount"), "0");
}

TEST(an_image_that_is_changed_in_place_is_started_under_every_policy)
{
    for (size_t i = 0; i < POLICIES; i++) {
        struct kubelet_kit k;
        start_two(&k, policies[i], 0);
        kk_patch(&k, "Pod", "p", TO("redis:8"));
        kk_run(&k, 5);
        CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.image"), "redis:7"); /* it runs */
        kk_run(&k, 2000);
        check_runs(&k, "redis:8", "1");
        kk_stop(&k);
    }
}

/* At any moment; and what it has told to stop ends with code 0 while nobody looks. */
TEST(an_agent_killed_in_a_restart_for_another_image_finishes_it)
{
    int stopped = 0;
    for (int ms = 0; ms < 30 * POLICIES; ms++) {
        struct kubelet_kit k;
        start_two(&k, policies[ms % POLICIES], 0);
        kk_patch(&k, "Pod", "p", TO("redis:8"));
        kk_run(&k, ms / POLICIES);
        kk_kill(&k);
        stopped += exits(&k, "c-0", 0);
        kk_run(&k, 1000);
        kk_kubelet(&k);
        kk_run(&k, 3000);
        check_runs(&k, "redis:8", "1");
        kk_stop(&k);
    }
    kit_note("%d of 90 ended while the agent was away", stopped);
    CHECK(stopped > 20);
}

/* Twice: what the first has told may be all that the third one finds (sim seed 11911). */
TEST(agents_killed_in_a_long_restart_for_another_image_finish_it)
{
    for (int i = 0; i < 10 * POLICIES; i++) {
        struct kubelet_kit k;
        start_two(&k, policies[i % POLICIES], 500);
        kk_patch(&k, "Pod", "p", TO("redis:8"));
        for (int kills = 0; kills < 2; kills++) {
            kk_run(&k, 50 * (i / POLICIES));
            kk_kill(&k);
            kk_kubelet(&k);
        }
        kk_run(&k, 60000);
        CHECK_SPAN(kk_pod(&k, "p", "status.phase"), "Running");
        CHECK_SPAN(kk_condition(&k, "p", "Ready"), "True");
        CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.image"), "redis:8");
        kk_stop(&k);
    }
}

/* It was killed before it, and what runs goes on. */
TEST(an_agent_that_was_away_starts_the_image_that_was_changed_meanwhile)
{
    for (size_t i = 0; i < POLICIES; i++) {
        struct kubelet_kit k;
        start_two(&k, policies[i], 0);
        kk_kill(&k);
        kk_patch(&k, "Pod", "p", TO("redis:8"));
        kk_run(&k, 1000);
        kk_kubelet(&k);
        kk_run(&k, 3000);
        check_runs(&k, "redis:8", "1");
        CHECK_SPAN(kk_event(&k, "p", "Killing"),
                   "Container c definition changed, will be restarted");
        kk_stop(&k);
    }
}

/* What has ended by itself, and is said to have, is not run again for another image. */
TEST(a_container_that_had_ended_by_itself_is_not_run_again_with_another_image)
{
    struct kubelet_kit k;
    start_two(&k, "Never", 0);
    CHECK(exits(&k, "c-0", 0));
    kk_run(&k, 1000);
    kk_kill(&k);
    kk_patch(&k, "Pod", "p", TO("redis:8"));
    kk_kubelet(&k);
    kk_run(&k, 3000);
    CHECK_EQ(runtime_fake_starts(k.runtime), 2);
    CHECK_SPAN(kk_pod(&k, "p", "status.containerStatuses.0.state.terminated.reason"), "Completed");
    kk_stop(&k);
}

/* ---- an image that is made ready for long ---- */

struct slow_images {
    struct kubelet_images base;
    struct kubelet_images *real;
    bool held;
    struct kubelet_image_request request;
    char reference[64];
    const struct kubelet_images_handler *handler;
    void *data;
};

static void slow_prepare(struct kubelet_images *im, const struct kubelet_image_request *request,
                         const struct kubelet_images_handler *handler, void *data)
{
    struct slow_images *s = CONTAINER_OF(im, struct slow_images, base);
    if (span_eq_cstr(request->reference, "slow:1")) {
        s->held = true;
        (void)snprintf(s->reference, sizeof s->reference, "%.*s", SPAN_ARG(request->reference));
        s->request = (struct kubelet_image_request){.reference = span_cstr(s->reference)};
        s->handler = handler;
        s->data = data;
        return;
    }
    s->real->ops->prepare(s->real, request, handler, data);
}

static void slow_free(struct kubelet_images *im)
{
    (void)im; /* of the test */
}

/* Its name was mistaken, and mended before it was there: the mended one is what runs. */
TEST(an_image_that_is_changed_while_it_is_fetched_is_not_started)
{
    static const struct kubelet_images_ops ops = {slow_prepare, slow_free};
    struct kubelet_kit k;
    kk_start(&k);
    struct slow_images slow = {.base = {&ops, k.env}, .real = k.images};
    kk_kill(&k);
    k.images = &slow.base;
    kk_kubelet(&k);
    kk_create(&k, "Pod",
              "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\"},\"spec\":{"
              "\"nodeName\":\"edge\",\"containers\":[{\"name\":\"c\",\"image\":\"slow:1\"},"
              "{\"name\":\"d\",\"image\":\"redis:7\"}]}}");
    kk_run(&k, 1000);
    CHECK(slow.held);
    kk_patch(&k, "Pod", "p", TO("redis:8"));
    kk_run(&k, 1000);
    CHECK_EQ(runtime_fake_starts(k.runtime), 1);
    slow.real->ops->prepare(slow.real, &slow.request, slow.handler, slow.data);
    kk_run(&k, 2000);
    check_runs(&k, "redis:8", "0");
    CHECK(!kk_says(kk_pod(&k, "p", "status.containerStatuses.0.imageID"), "slow"));
    k.images = slow.real;
    kk_stop(&k);
}
