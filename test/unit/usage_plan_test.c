/* test/unit/usage_plan_test.c: what is used, from samples: every way in which two can stand to each
 * other, and small nodes in all their states. */
#include "plan/usage_plan.h"

#include "base/arena.h"
#include "kit/kit.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)

static struct usage_sample sample(const char *pod, const char *id, int64_t at_ns, uint64_t cpu_ns)
{
    return (struct usage_sample){.pod = span_cstr(pod),
                                 .id = span_cstr(id),
                                 .name = span_cstr(id),
                                 .at_ns = at_ns,
                                 .cpu_ns = cpu_ns,
                                 .memory_bytes = 7};
}

TEST(usage_is_the_difference_over_the_time)
{
    static const struct {
        int64_t then_ns, now_ns;
        uint64_t then_cpu, now_cpu;
        int64_t nano; /* -1: nothing can be told */
    } rows[] = {
        {0, S, 0, S, 1000000000},                       /* one processor */
        {0, S, 5, 5, 0},                                /* none */
        {0, 2 * S, S, 6 * S, 2500000000},               /* two and a half */
        {10, 10 + 3 * S, 0, 1, 0},                      /* less than a billionth */
        {0, S, 6, 5, -1},                               /* the counter went back */
        {S, S, 0, 5, -1},                               /* no time passed */
        {S, 0, 0, 5, -1},                               /* the clock went back */
        {0, 1, 0, UINT64_MAX, INT64_MAX},               /* more than there is: no overflow */
        {0, INT64_MAX, 0, UINT64_MAX, 2000000000},      /* centuries */
        {0, S, UINT64_MAX - S, UINT64_MAX, 1000000000}, /* a counter near its end */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct usage_sample then = sample("p", "c", rows[i].then_ns, rows[i].then_cpu);
        struct usage_sample now = sample("p", "c", rows[i].now_ns, rows[i].now_cpu);
        struct usage_container got = {.cpu_nano = 77};
        now.memory_bytes = 9;
        CHECK_EQ(usage_between(&then, &now, &got), rows[i].nano >= 0);
        CHECK_EQ(got.cpu_nano, rows[i].nano >= 0 ? rows[i].nano : 77);
        CHECK_EQ(got.memory_bytes, rows[i].nano >= 0 ? 9 : 0); /* that of now */
    }
}

/* A pod with two containers, each in a state with respect to the question before and the beginning
 * of this one. */
enum state { ABSENT, GOOD, TOO_YOUNG, TOO_OLD, WENT_BACK, STATES };

static const int64_t ages_ms[] = {
    [GOOD] = 5000, [TOO_YOUNG] = 999, [TOO_OLD] = 60001, [WENT_BACK] = 5000};

static void put(struct usage_sample *set, size_t *n, enum state state, const char *id,
                int64_t now_ns)
{
    if (state != ABSENT) {
        set[(*n)++] = sample("p", id, now_ns - ages_ms[state] * MS, state == WENT_BACK ? 9 * S : S);
    }
}

static void check_pod(enum state a, enum state b, bool has_first, bool a_in_first, bool b_in_first)
{
    const int64_t now_ns = 1000 * S;
    struct usage_sample last[2], first[3],
        now[2] = {sample("p", "a", now_ns, 3 * S), sample("p", "b", now_ns, 2 * S)};
    size_t last_n = 0, first_n = 0;
    struct arena *arena = arena_new();
    struct usage_plan plan;
    put(last, &last_n, a, "a", now_ns);
    put(last, &last_n, b, "b", now_ns);
    if (a_in_first) {
        first[first_n++] = sample("p", "a", now_ns - S, 2 * S);
    }
    if (b_in_first) {
        first[first_n++] = sample("p", "b", now_ns - S, 2 * S);
    }
    if (has_first) {
        first[first_n++] = sample("q", "other", now_ns - S, 0);
    }
    usage_plan(arena, &(struct usage_view){{last, last_n}, {first, first_n}, {now, 2}}, &plan);
    bool of_last = a == GOOD && b == GOOD;
    CHECK_EQ(plan.wait, !of_last && first_n == 0);
    size_t want = of_last ? 2 : (size_t)a_in_first + b_in_first;
    CHECK_EQ(plan.n, want > 0);
    if (want) {
        const struct usage_pod *pod = &plan.pods[0];
        CHECK_SPAN(pod->uid, "p");
        CHECK_EQ(pod->n, want);
        CHECK_EQ(pod->window_ns, of_last ? 5 * S : S); /* one for all its containers */
        for (size_t i = 0; i < pod->n; i++) {
            bool is_a = span_eq(pod->containers[i].name, SPAN("a"));
            CHECK_EQ(pod->containers[i].cpu_nano, of_last ? (is_a ? 2 : 1) * S / 5 : is_a ? S : 0);
        }
    }
    arena_free(arena);
}

TEST(containers_of_a_pod_are_compared_with_the_same_earlier_samples)
{
    for (int bits = 0; bits < 8; bits++) {
        for (enum state a = ABSENT; a < STATES; a++) {
            for (enum state b = ABSENT; b < STATES; b++) {
                check_pod(a, b, bits & 1, bits & 2, bits & 4);
            }
        }
    }
}

TEST(a_container_that_was_started_anew_is_left_out_of_its_first_answer)
{
    struct arena *a = arena_new();
    struct usage_plan plan;
    struct usage_sample first[] = {sample("", "", 0, 0), sample("p", "c-0", 0, 0)};
    struct usage_sample now[] = {sample("p", "c-1", S, 5), sample("", "", S, S)};
    usage_sort(now, 2);
    CHECK_EQ(now[0].pod.n, 0); /* the node comes first */
    usage_plan(a, &(struct usage_view){{NULL, 0}, {first, 2}, {now, 2}}, &plan);
    CHECK(!plan.wait);
    CHECK_EQ(plan.n, 1);
    CHECK_EQ(plan.pods[0].uid.n, 0);
    CHECK_EQ(plan.pods[0].containers[0].cpu_nano, S);
    arena_free(a);
}

TEST(one_that_has_just_come_makes_all_wait_and_the_others_keep_their_longer_window)
{
    struct arena *a = arena_new();
    struct usage_plan plan;
    struct usage_sample last[] = {sample("old", "c", 0, 0)};
    struct usage_sample first[] = {sample("new", "c", 9 * S, 0), sample("old", "c", 9 * S, 0)};
    struct usage_sample now[] = {sample("new", "c", 10 * S, S), sample("old", "c", 10 * S, S)};
    usage_plan(a, &(struct usage_view){{last, 1}, {NULL, 0}, {now, 2}}, &plan);
    CHECK(plan.wait);
    usage_plan(a, &(struct usage_view){{last, 1}, {first, 2}, {now, 2}}, &plan);
    CHECK(!plan.wait);
    CHECK_EQ(plan.n, 2);
    CHECK_SPAN(plan.pods[0].uid, "new");
    CHECK_EQ(plan.pods[0].window_ns, S);
    CHECK_EQ(plan.pods[1].window_ns, 10 * S);
    CHECK_EQ(plan.pods[1].containers[0].cpu_nano, S / 10);
    arena_free(a);
}

TEST(a_node_with_nothing_on_it_has_no_answer_to_wait_for)
{
    struct arena *a = arena_new();
    struct usage_plan plan;
    usage_plan(a, &(struct usage_view){{NULL, 0}, {NULL, 0}, {NULL, 0}}, &plan);
    CHECK(!plan.wait);
    CHECK_EQ(plan.n, 0);
    arena_free(a);
}
