/* test/unit/endpoint_plan_test.c: plan/endpoint_plan. */
#include "plan/endpoint_plan.h"

#include "kit/kit.h"

TEST(endpoint_every_pod_state_has_its_conditions_and_place)
{
    for (int code = 0; code < 32; code++) {
        struct endpoint_pod p = {.ip = code & 1 ? SPAN("10.0.0.1") : SPAN_NULL,
                                 .ready = code & 2,
                                 .terminating = code & 4,
                                 .ended = code & 8};
        struct endpoint_view v = {.publish_not_ready = code & 16, .pods = &p, .pod_count = 1};
        struct endpoint_conditions is = endpoint_conditions(&v, 0);
        CHECK_EQ(is.ready, v.publish_not_ready || (p.ready && !p.terminating));
        CHECK_EQ(is.serving, p.ready);
        CHECK_EQ(is.terminating, p.terminating);
        enum endpoint_place place = endpoint_place(&v, 0);
        bool out = p.ip.n == 0 || p.ended || (p.terminating && !v.publish_not_ready);
        CHECK_EQ(place == ENDPOINT_LEFT_OUT, out);
        CHECK(out || (place == ENDPOINT_READY) == (p.ready || v.publish_not_ready));
        struct arena *a = arena_new();
        struct endpoint_plan plan = endpoint_plan(a, &v);
        CHECK_EQ(plan.slice_count, 1);
        CHECK_EQ(plan.slices[0].pod_count, p.ip.n > 0 && !p.ended);
        arena_free(a);
    }
}

TEST(endpoint_slices_hold_a_hundred_and_one_port_set)
{
    static struct endpoint_pod pods[250];
    static const int32_t ports[2][1] = {{80}, {8080}};
    for (int i = 0; i < 250; i++) {
        pods[i] = (struct endpoint_pod){
            .ip = SPAN("10.0.0.1"), .ready = true, .ports = ports[i % 5 == 0]};
    }
    struct endpoint_view v = {.port_count = 1, .pods = pods, .pod_count = 250};
    struct arena *a = arena_new();
    struct endpoint_plan plan = endpoint_plan(a, &v);
    CHECK_EQ(plan.slice_count, 3); /* 50 of one set, 200 of the other */
    size_t total = 0;
    bool seen[250] = {false};
    for (size_t i = 0; i < plan.slice_count; i++) {
        CHECK(plan.slices[i].pod_count <= ENDPOINT_SLICE_MAX);
        for (size_t k = 0; k < plan.slices[i].pod_count; k++, total++) {
            size_t pod = plan.slices[i].pods[k];
            CHECK(!seen[pod] && pods[pod].ports[0] == plan.slices[i].ports[0]);
            seen[pod] = true;
        }
    }
    CHECK_EQ(total, 250);
    arena_free(a);
}
