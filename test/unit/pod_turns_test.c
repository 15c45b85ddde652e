/* test/unit/pod_turns_test.c: plan/pod_plan where the node decides by itself: a pod that it does
 * not take, and a container that it ends to start it from another spec. */
#include "kit/kit.h"
#include "plan/pod_plan.h"

struct world {
    struct arena *a;
    struct pod_container_view main;
    struct pod_view v;
    struct pod_plan p;
};

static void begin(struct world *w)
{
    const struct pod_prep done = {.state = POD_PREP_DONE};
    *w = (struct world){.a = arena_new()};
    w->main = (struct pod_container_view){.name = SPAN("c"), .image_prep = done};
    w->v = (struct pod_view){.now_ms = 1000,
                             .uid = SPAN("u"),
                             .exists = true,
                             .inputs_ready = true,
                             .grace_ms = 30000,
                             .volumes = done,
                             .sandbox = done,
                             .mains = &w->main,
                             .main_count = 1};
}

TEST(a_rejected_pod_fails_with_the_reason_and_nothing_is_started)
{
    struct world w;
    begin(&w);
    w.v.volumes.state = w.v.sandbox.state = POD_PREP_TODO;
    w.v.rejected = SPAN("NodePorts");
    w.v.rejected_message = SPAN("Predicate NodePorts failed: x");
    for (int acked = 0; acked < 2; acked++) {
        w.v.acked_terminal = acked;
        w.v.acked_phase = acked ? SPAN("Failed") : SPAN_NULL;
        pod_plan(w.a, &w.v, &w.p);
        CHECK_EQ(w.p.step_count, 0);
        CHECK_SPAN(w.p.status.phase, "Failed");
        CHECK_SPAN(w.p.status.reason, "NodePorts");
        CHECK_SPAN(w.p.status.message, "Pod was rejected: Predicate NodePorts failed: x");
        CHECK_EQ(w.p.status.main_count, 0);
    }
    w.v.deleting = true;
    pod_plan(w.a, &w.v, &w.p);
    CHECK_EQ(w.p.step_count, 1);
    CHECK_EQ(w.p.steps[0].type, POD_STEP_DELETE_OBJECT);
    arena_free(w.a);
}

TEST(a_pod_that_ended_and_is_deleted_says_how_it_ended_before_it_goes)
{
    for (int n = 0; n < 2 * 2 * 2; n++) {
        struct world w;
        begin(&w);
        bool acked = n & 1, keeps = n & 2;
        w.v.policy = n & 4 ? POD_ALWAYS : POD_NEVER;
        w.v.deleting = true;
        w.v.volumes.state = w.v.sandbox.state = POD_PREP_TODO;
        w.main.has_result = keeps; /* an agent that was killed does not know it any more */
        w.v.acked_terminal = acked;
        w.v.acked_phase = acked ? SPAN("Failed") : SPAN_NULL;
        pod_plan(w.a, &w.v, &w.p);
        bool told = acked || w.v.policy == POD_ALWAYS;
        CHECK_EQ(w.p.step_count, told);
        if (told) {
            CHECK_EQ(w.p.steps[0].type, POD_STEP_DELETE_OBJECT);
        } else {
            CHECK_SPAN(w.p.status.phase, keeps ? "Succeeded" : "Failed");
        }
        arena_free(w.a);
    }
}

TEST(a_renewed_container_starts_again_at_once_whatever_the_policy_and_its_past)
{
    static const enum pod_policy policies[] = {POD_ALWAYS, POD_ON_FAILURE, POD_NEVER};
    for (int n = 0; n < 3 * 2 * 2; n++) {
        struct world w;
        begin(&w);
        bool renewed = n / 6;
        int code = n / 3 % 2;
        w.v.policy = policies[n % 3];
        w.main.instance = POD_INSTANCE_EXITED;
        w.main.has_attempt = w.main.has_result = true;
        w.main.restarts_in_a_row = 4; /* a back-off of 80 s */
        w.main.result = (struct pod_result){.exit_code = code, .finished_ms = 900};
        w.main.renewed = renewed;
        pod_plan(w.a, &w.v, &w.p);
        bool ends = w.v.policy == POD_NEVER || (w.v.policy == POD_ON_FAILURE && code == 0);
        if (renewed) {
            CHECK_EQ(w.p.step_count, 1);
            CHECK_EQ(w.p.steps[0].type, POD_STEP_REMOVE);
            CHECK(!pod_is_ending(&w.v));
            w.main.instance = POD_INSTANCE_NONE;
            pod_plan(w.a, &w.v, &w.p);
            CHECK_EQ(w.p.step_count, 1);
            CHECK_EQ(w.p.steps[0].type, POD_STEP_START);
            CHECK_EQ(w.p.steps[0].attempt, 1);
            CHECK_EQ(pod_restarts_after(&w.main), 4);
        } else {
            CHECK_EQ(w.p.step_count, 0);
            CHECK_EQ(pod_is_ending(&w.v), ends);
            CHECK_EQ(pod_restarts_after(&w.main), 5);
        }
        arena_free(w.a);
    }
}
