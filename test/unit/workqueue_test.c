/* test/unit/workqueue_test.c: client/workqueue. */
#include "client/workqueue.h"

#include "kit/kit.h"
#include "sim/env_sim.h"

struct probe {
    struct env *env;
    struct workqueue *q;
    char log[512];
    bool hold, fail;
    int runs;
};

static void work(void *data, struct span key)
{
    struct probe *p = data;
    p->runs++;
    size_t n = strlen(p->log);
    snprintf(p->log + n, sizeof p->log - n, "%.*s ", SPAN_ARG(key));
    if (!p->hold) {
        workqueue_done(p->q, key, !p->fail);
    }
}

static void setup(struct probe *p, size_t parallel)
{
    *p = (struct probe){.env = env_sim_new(1)};
    p->q = workqueue_new(p->env, parallel, work, p);
}

static void done(struct probe *p)
{
    workqueue_free(p->q);
    env_sim_free(p->env);
}

TEST(workqueue_one_run_for_many_adds_in_order)
{
    struct probe p;
    setup(&p, 1);
    workqueue_add(p.q, SPAN("a"));
    workqueue_add(p.q, SPAN("b"));
    workqueue_add(p.q, SPAN("a"));
    CHECK_EQ(p.runs, 0);
    env_sim_run_for(p.env, 0);
    CHECK_SPAN(span_cstr(p.log), "a b ");
    done(&p);
}

TEST(workqueue_key_added_while_worked_on_runs_once_more_and_never_twice_at_once)
{
    struct probe p;
    setup(&p, 4);
    p.hold = true;
    workqueue_add(p.q, SPAN("a"));
    env_sim_run_for(p.env, 0);
    workqueue_add(p.q, SPAN("a"));
    workqueue_add(p.q, SPAN("a"));
    env_sim_run_for(p.env, 0);
    CHECK_EQ(p.runs, 1);
    workqueue_done(p.q, SPAN("a"), true);
    env_sim_run_for(p.env, 0);
    CHECK_EQ(p.runs, 2);
    workqueue_done(p.q, SPAN("a"), true);
    env_sim_run_for(p.env, 0);
    CHECK_EQ(p.runs, 2);
    done(&p);
}

TEST(workqueue_at_most_parallel_keys_are_worked_on)
{
    struct probe p;
    setup(&p, 2);
    p.hold = true;
    workqueue_add(p.q, SPAN("a"));
    workqueue_add(p.q, SPAN("b"));
    workqueue_add(p.q, SPAN("c"));
    env_sim_run_for(p.env, 0);
    CHECK_EQ(p.runs, 2);
    workqueue_done(p.q, SPAN("b"), true);
    env_sim_run_for(p.env, 0);
    CHECK_SPAN(span_cstr(p.log), "a b c ");
    done(&p);
}

TEST(workqueue_failures_back_off_doubling_and_success_resets)
{
    struct probe p;
    setup(&p, 1);
    p.fail = true;
    workqueue_add(p.q, SPAN("a"));
    env_sim_run_for(p.env, 0);
    CHECK_EQ(p.runs, 1);
    env_sim_run_for(p.env, 4);
    CHECK_EQ(p.runs, 1);
    env_sim_run_for(p.env, 3); /* 5 to 6 ms */
    CHECK_EQ(p.runs, 2);
    env_sim_run_for(p.env, 400); /* 10, 20, 40, 80, 160 and their jitter */
    CHECK(p.runs >= 6 && p.runs <= 8);
    p.fail = false;
    env_sim_run_for(p.env, 1000);
    int before = p.runs;
    p.fail = true;
    workqueue_add(p.q, SPAN("a"));
    env_sim_run_for(p.env, 7);
    CHECK_EQ(p.runs, before + 2);
    done(&p);
}

TEST(workqueue_earlier_delay_wins_and_plain_add_overtakes)
{
    struct probe p;
    setup(&p, 1);
    workqueue_add_after(p.q, SPAN("a"), 1000);
    workqueue_add_after(p.q, SPAN("a"), 50);
    workqueue_add_after(p.q, SPAN("a"), 5000);
    env_sim_run_for(p.env, 49);
    CHECK_EQ(p.runs, 0);
    env_sim_run_for(p.env, 2);
    CHECK_EQ(p.runs, 1);
    env_sim_run_for(p.env, 10000);
    CHECK_EQ(p.runs, 1);
    workqueue_add_after(p.q, SPAN("a"), 1000);
    workqueue_add(p.q, SPAN("a"));
    env_sim_run_for(p.env, 0);
    CHECK_EQ(p.runs, 2);
    env_sim_run_for(p.env, 2000);
    CHECK_EQ(p.runs, 2);
    done(&p);
}

TEST(workqueue_delay_asked_for_while_worked_on_is_kept)
{
    struct probe p;
    setup(&p, 1);
    p.hold = true;
    workqueue_add(p.q, SPAN("a"));
    env_sim_run_for(p.env, 0);
    workqueue_add_after(p.q, SPAN("a"), 10);
    workqueue_done(p.q, SPAN("a"), true);
    env_sim_run_for(p.env, 9);
    CHECK_EQ(p.runs, 1);
    env_sim_run_for(p.env, 2);
    CHECK_EQ(p.runs, 2);
    done(&p);
}

TEST(workqueue_key_added_during_a_run_that_fails_runs_within_a_second_and_does_not_spin)
{
    struct probe p;
    setup(&p, 1);
    p.fail = true;
    workqueue_add(p.q, SPAN("a"));
    env_sim_run_for(p.env, 1000 * 1000); /* the back-off is minutes long by now */
    p.hold = true;
    workqueue_add(p.q, SPAN("a"));
    env_sim_run_for(p.env, 0);
    int before = p.runs;
    workqueue_add(p.q, SPAN("a")); /* what the run has not seen */
    workqueue_done(p.q, SPAN("a"), false);
    env_sim_run_for(p.env, 999);
    CHECK_EQ(p.runs, before);
    env_sim_run_for(p.env, 2);
    CHECK_EQ(p.runs, before + 1);
    workqueue_done(p.q, SPAN("a"), false); /* nothing was asked for: the back-off goes on */
    env_sim_run_for(p.env, 60 * 1000);
    CHECK_EQ(p.runs, before + 1);
    done(&p);
}

TEST(workqueue_failures_before_the_back_off_is_over_do_not_double_it)
{
    struct probe p;
    setup(&p, 1);
    p.fail = true;
    for (int i = 0; i < 40; i++) { /* events, one every 4 ms: the back-off is never over */
        workqueue_add(p.q, SPAN("a"));
        env_sim_run_for(p.env, 4);
    }
    CHECK_EQ(p.runs, 40);
    env_sim_run_for(p.env, 3);
    CHECK_EQ(p.runs, 41);
    done(&p);
}

TEST(workqueue_tells_how_long_keys_waited_and_were_worked_on)
{
    struct probe p;
    struct workqueue_stats st;
    setup(&p, 1);
    p.hold = true;
    workqueue_add(p.q, SPAN("a"));
    env_sim_run_for(p.env, 0); /* works on a */
    workqueue_add(p.q, SPAN("b"));
    env_sim_run_for(p.env, 50);
    workqueue_stats(p.q, &st);
    CHECK_EQ(st.working_ns, 50 * INT64_C(1000000));
    CHECK_EQ(st.longest_ns, 50 * INT64_C(1000000));
    CHECK_EQ(st.works.sum, 0);
    workqueue_done(p.q, SPAN("a"), true);
    env_sim_run_for(p.env, 0); /* b */
    workqueue_done(p.q, SPAN("b"), true);
    workqueue_stats(p.q, &st);
    CHECK_EQ(st.working_ns, 0);
    CHECK_EQ(st.works.sum, 50 * INT64_C(1000000));
    CHECK_EQ(st.waits.sum, 50 * INT64_C(1000000));
    CHECK_EQ(st.works.counts[7], 1); /* up to 100 ms */
    done(&p);
}
