/* The pod planner: every small world keeps the promises of pod_plan.h, and walks through them end.
 */
#include "base/check.h"
#include "plan/pod_plan.h"
#include "test/kit/kit.h"

TEST(the_instance_table_is_total_and_a_live_one_never_becomes_none)
{
    for (int s = 0; s < POD_INSTANCE_COUNT; s++) {
        for (int e = 0; e < POD_EVENT_COUNT; e++) {
            enum pod_instance next = pod_instance_next((enum pod_instance)s, (enum pod_event)e);
            CHECK(next < POD_INSTANCE_COUNT);
            if (pod_instance_live((enum pod_instance)s)) {
                CHECK(next != POD_INSTANCE_NONE && next != POD_INSTANCE_REMOVING);
            }
            if (next == POD_INSTANCE_STARTING && s != POD_INSTANCE_STARTING) {
                CHECK(s == POD_INSTANCE_NONE && e == POD_EVENT_START);
            }
        }
    }
}

TEST(back_off_doubles_from_ten_seconds_to_five_minutes)
{
    const int64_t want[] = {0, 10000, 20000, 40000, 80000, 160000, 300000, 300000};
    for (uint32_t i = 0; i < 8; i++) {
        CHECK_EQ(pod_backoff_ms(POD_CRASH_FIRST_MS, POD_CRASH_MAX_MS, i), want[i]);
    }
    CHECK_EQ(pod_backoff_ms(POD_CRASH_FIRST_MS, POD_CRASH_MAX_MS, UINT32_MAX), 300000);
}

TEST(ten_minutes_of_running_reset_the_back_off)
{
    struct pod_container_view c = {
        .has_attempt = true,
        .has_result = true,
        .restarts_in_a_row = 5,
        .result = {.started_ms = 1000, .finished_ms = 1000 + POD_CRASH_RESET_MS - 1}};
    CHECK_EQ(pod_crash_backoff_ms(&c), 160000);
    CHECK_EQ(pod_restarts_after(&c), 6);
    c.result.finished_ms++;
    CHECK_EQ(pod_crash_backoff_ms(&c), 0);
    CHECK_EQ(pod_restarts_after(&c), 1);
}

/* ---- all small worlds ---- */

enum { CONTAINER_WORLDS = 6 * 5 * 4 };

/* 6 instances x 5 histories x 4 image states */
static struct pod_container_view container_world(int n, const char *name)
{
    struct pod_container_view c = {.name = span_cstr(name), .image = SPAN("i")};
    int instance = n % 6, history = n / 6 % 5, image = n / 30 % 4;
    c.instance = (enum pod_instance)instance;
    bool live = pod_instance_live(c.instance);
    c.has_attempt = history > 0 || live;
    c.attempt = history > 0 ? 2 : 0;
    c.has_result = (history > 0 && !live) || c.instance == POD_INSTANCE_EXITED ||
                   c.instance == POD_INSTANCE_REMOVING;
    c.has_attempt |= c.has_result;
    c.result.exit_code = history == 2 ? 1 : 0;
    c.result.start_failed = history == 3;
    c.result.finished_ms = history == 4 ? 100000 : 1;
    c.restarts_in_a_row = history == 4 ? 2 : 0;
    c.stop_ms = 99000;
    c.image_prep.state = (enum pod_prep_state)image;
    c.image_prep.failures = image == POD_PREP_FAILED;
    c.image_prep.failed_ms = image == POD_PREP_FAILED ? 99900 : 0;
    c.image_prep.reason = image == POD_PREP_FAILED ? SPAN("ErrImagePull") : SPAN_NULL;
    return c;
}

struct counted {
    size_t starts, removes, kills, deletes, forgets, sandbox_removes, sandbox_creates, teardowns;
};

static const struct pod_container_view *target(const struct pod_view *v, const struct pod_step *s)
{
    return s->init ? &v->inits[s->container] : &v->mains[s->container];
}

static bool any_instance(const struct pod_view *v)
{
    bool any = false;
    for (size_t i = 0; i < v->init_count; i++) {
        any |= v->inits[i].instance != POD_INSTANCE_NONE;
    }
    for (size_t i = 0; i < v->main_count; i++) {
        any |= v->mains[i].instance != POD_INSTANCE_NONE;
    }
    return any;
}

static void check_start(const struct pod_view *v, const struct pod_step *s)
{
    const struct pod_container_view *c = target(v, s);
    CHECK_EQ(c->instance, POD_INSTANCE_NONE);
    CHECK(!pod_is_ending(v));
    CHECK_EQ(v->sandbox.state, POD_PREP_DONE);
    CHECK(!v->sandbox_broken);
    CHECK_EQ(v->volumes.state, POD_PREP_DONE);
    CHECK_EQ(c->image_prep.state, POD_PREP_DONE);
    CHECK(s->attempt == (c->has_attempt ? c->attempt + 1 : 0));
    if (c->has_result && !s->init) {
        bool failed = c->result.exit_code != 0 || c->result.start_failed;
        CHECK(v->policy == POD_ALWAYS || (v->policy == POD_ON_FAILURE && failed));
        CHECK(c->result.finished_ms + pod_crash_backoff_ms(c) <= v->now_ms);
    }
    for (size_t i = 0; s->init == false && i < v->init_count; i++) {
        CHECK(pod_init_completed(&v->inits[i]));
    }
    for (size_t i = 0; s->init && i < s->container; i++) {
        CHECK(pod_init_completed(&v->inits[i]));
    }
}

static struct counted check_plan(const struct pod_view *v, const struct pod_plan *p)
{
    struct counted n = {0};
    for (size_t i = 0; i < p->step_count; i++) {
        const struct pod_step *s = &p->steps[i];
        const struct pod_container_view *c = target(v, s);
        switch (s->type) {
        case POD_STEP_START:
            n.starts++;
            check_start(v, s);
            break;
        case POD_STEP_TERM:
            CHECK_EQ(c->instance, POD_INSTANCE_RUNNING);
            CHECK(pod_is_ending(v) || c->unhealthy || v->sandbox_broken);
            break;
        case POD_STEP_KILL:
            n.kills++;
            CHECK_EQ(c->instance, POD_INSTANCE_STOPPING);
            CHECK(c->stop_ms + v->grace_ms <= v->now_ms && !c->kill_sent);
            break;
        case POD_STEP_REMOVE:
            n.removes++;
            CHECK_EQ(c->instance, POD_INSTANCE_EXITED);
            break;
        case POD_STEP_PREPARE_IMAGE:
            CHECK(c->image_prep.state == POD_PREP_TODO || c->image_prep.state == POD_PREP_FAILED);
            CHECK(!pod_is_ending(v));
            break;
        case POD_STEP_PREPARE_VOLUMES:
            CHECK(v->volumes.state == POD_PREP_TODO || v->volumes.state == POD_PREP_FAILED);
            CHECK(!pod_is_ending(v));
            break;
        case POD_STEP_CREATE_SANDBOX:
            n.sandbox_creates++;
            CHECK(v->sandbox.state == POD_PREP_TODO || v->sandbox.state == POD_PREP_FAILED);
            CHECK(!pod_is_ending(v));
            break;
        case POD_STEP_REMOVE_SANDBOX:
            n.sandbox_removes++;
            CHECK(!any_instance(v));
            break;
        case POD_STEP_TEARDOWN_VOLUMES:
            n.teardowns++;
            CHECK(!any_instance(v));
            CHECK_EQ(v->sandbox.state, POD_PREP_TODO);
            break;
        case POD_STEP_DELETE_OBJECT:
            n.deletes++;
            CHECK(!any_instance(v) && v->deleting && v->exists && !v->object_deleted);
            CHECK(v->sandbox.state == POD_PREP_TODO && v->volumes.state == POD_PREP_TODO);
            break;
        case POD_STEP_FORGET:
            n.forgets++;
            CHECK(!any_instance(v));
            CHECK(v->sandbox.state == POD_PREP_TODO && v->volumes.state == POD_PREP_TODO);
            CHECK(!v->exists || v->stop_only);
            break;
        }
    }
    CHECK(n.starts <= 1);
    CHECK(p->wake_ms == 0 || p->wake_ms > v->now_ms);
    CHECK(p->status.phase.n > 0);
    CHECK(p->status.condition_count >= 5);
    return n;
}

/* Containers' promises that the status makes. */
static void check_status(const struct pod_view *v, const struct pod_plan *p)
{
    for (size_t i = 0; i < v->main_count; i++) {
        const struct pod_container_status *s = &p->status.mains[i];
        CHECK(s->state.kind != POD_STATE_NONE);
        CHECK(!s->ready || (s->state.kind == POD_STATE_RUNNING && !pod_is_ending(v)));
        CHECK(s->state.kind != POD_STATE_WAITING || s->state.reason.n > 0);
    }
    for (size_t i = 0; i < p->status.condition_count; i++) {
        if (span_eq_cstr(p->status.conditions[i].type, "Ready") &&
            span_eq_cstr(p->status.conditions[i].status, "True")) {
            CHECK_SPAN(p->status.phase, "Running");
        }
    }
}

TEST_T(every_small_world_keeps_the_promises, 120)
{
    struct arena *a = arena_new();
    uint64_t worlds = 0;
    /* pod bits: policy 3, deleting/exists/stop 4, sandbox 5, volumes 5, broken 2, with init 2 */
    for (int w = 0; w < 3 * 4 * 5 * 5 * 2 * 2; w++) {
        int policy = w % 3, life = w / 3 % 4, sandbox = w / 12 % 5, volumes = w / 60 % 5;
        bool broken = w / 300 % 2, with_init = w / 600 % 2;
        for (int n = 0; n < CONTAINER_WORLDS; n++) {
            struct pod_container_view main[2] = {
                container_world(n, "a"), container_world((n * 7 + w) % CONTAINER_WORLDS, "b")};
            struct pod_container_view init = container_world((n * 11 + w) % CONTAINER_WORLDS, "i");
            struct pod_view v = {
                .now_ms = 100000,
                .uid = SPAN("u"),
                .name = SPAN("p"),
                .ns = SPAN("n"),
                .policy = (enum pod_policy)policy,
                .exists = life != 2,
                .deleting = life == 1 || life == 2,
                .stop_only = life == 3,
                .grace_ms = n % 2 ? 500 : 30000,
                .inputs_ready = true,
                .volumes.state = (enum pod_prep_state)volumes,
                .sandbox.state = (enum pod_prep_state)sandbox,
                .sandbox_broken = broken && sandbox == POD_PREP_DONE,
                .inits = &init,
                .init_count = with_init,
                .mains = main,
                .main_count = 2,
            };
            struct pod_plan plan;
            pod_plan(a, &v, &plan);
            (void)check_plan(&v, &plan);
            check_status(&v, &plan);
            arena_clear(a);
            worlds++;
        }
    }
    kit_note("%llu worlds", (unsigned long long)worlds);
    arena_free(a);
}

/* ---- walks: a tiny runtime obeys the plan; things fail and end at random; then the pod is deleted
 * ---- */

static void obey_container(struct pod_view *v, struct pod_container_view *c,
                           const struct pod_step *s)
{
    switch (s->type) {
    case POD_STEP_PREPARE_IMAGE:
        c->image_prep.state = POD_PREP_BUSY;
        break;
    case POD_STEP_START:
        c->restarts_in_a_row = pod_restarts_after(c);
        c->last = c->result;
        c->has_last = c->has_result;
        c->has_result = false;
        c->has_attempt = true;
        c->attempt = s->attempt;
        c->instance = pod_instance_next(c->instance, POD_EVENT_START);
        c->stale = c->unhealthy = c->kill_sent = false;
        break;
    case POD_STEP_TERM:
        c->instance = pod_instance_next(c->instance, POD_EVENT_TERM);
        c->stop_ms = v->now_ms;
        break;
    case POD_STEP_KILL:
        c->kill_sent = true;
        break;
    default:
        CHECK_EQ(s->type, POD_STEP_REMOVE);
        c->instance = pod_instance_next(c->instance, POD_EVENT_REMOVE);
    }
}

static void obey(struct pod_view *v, const struct pod_step *s)
{
    switch (s->type) {
    case POD_STEP_PREPARE_VOLUMES:
        v->volumes.state = POD_PREP_BUSY;
        break;
    case POD_STEP_CREATE_SANDBOX:
        v->sandbox.state = POD_PREP_BUSY;
        break;
    case POD_STEP_REMOVE_SANDBOX:
        v->sandbox.state = POD_PREP_UNDOING;
        break;
    case POD_STEP_TEARDOWN_VOLUMES:
        v->volumes.state = POD_PREP_UNDOING;
        break;
    case POD_STEP_DELETE_OBJECT:
        v->object_deleted = true;
        break;
    case POD_STEP_FORGET:
        break;
    default:
        obey_container(v, s->init ? &v->inits[s->container] : &v->mains[s->container], s);
    }
}

static void prep_moves(struct pod_prep *p, int64_t now)
{
    if (p->state == POD_PREP_BUSY && kit_random() % 2) {
        bool ok = kit_random() % 4 != 0;
        p->state = ok ? POD_PREP_DONE : POD_PREP_FAILED;
        p->failures = ok ? 0 : p->failures + 1;
        p->failed_ms = now;
    } else if (p->state == POD_PREP_UNDOING && kit_random() % 2) {
        p->state = POD_PREP_TODO;
    }
}

static void container_moves(struct pod_container_view *c, int64_t now)
{
    uint64_t r = kit_random();
    prep_moves(&c->image_prep, now);
    enum pod_instance was = c->instance;
    if (c->instance == POD_INSTANCE_STARTING && r % 2) {
        c->instance =
            pod_instance_next(c->instance, r % 8 == 1 ? POD_EVENT_START_FAILED : POD_EVENT_STARTED);
        c->started_ms = now;
        c->started = c->ready = true;
    } else if (c->instance == POD_INSTANCE_RUNNING && r % 16 == 0) {
        c->instance = pod_instance_next(c->instance, POD_EVENT_EXITED);
    } else if (c->instance == POD_INSTANCE_STOPPING && (c->kill_sent || r % 16 == 0)) {
        c->instance = pod_instance_next(c->instance, POD_EVENT_EXITED);
    } else if (c->instance == POD_INSTANCE_REMOVING && r % 2) {
        c->instance = pod_instance_next(c->instance,
                                        r % 8 == 1 ? POD_EVENT_REMOVE_FAILED : POD_EVENT_REMOVED);
    }
    if (c->instance == POD_INSTANCE_EXITED && was != POD_INSTANCE_EXITED &&
        was != POD_INSTANCE_REMOVING) {
        c->has_result = true;
        c->result = (struct pod_result){.exit_code = (int32_t)(r >> 8 & 1),
                                        .start_failed = was == POD_INSTANCE_STARTING,
                                        .attempt = c->attempt,
                                        .started_ms = c->started_ms,
                                        .finished_ms = now};
        c->ready = c->started = c->unhealthy = c->kill_sent = false;
    }
}

TEST_T(random_walks_end_with_everything_gone_and_the_object_deleted_last, 120)
{
    for (int walk = 0; walk < 300; walk++) {
        struct arena *a = arena_new();
        struct pod_container_view mains[2] = {{.name = SPAN("a")}, {.name = SPAN("b")}};
        struct pod_container_view inits[1] = {{.name = SPAN("i")}};
        struct pod_view v = {.now_ms = 1000000,
                             .uid = SPAN("u"),
                             .exists = true,
                             .inputs_ready = true,
                             .policy = (enum pod_policy)(walk % 3),
                             .grace_ms = 30000,
                             .mains = mains,
                             .main_count = 2,
                             .inits = inits,
                             .init_count = walk % 2};
        uint32_t attempts[2] = {0, 0};
        bool forgotten = false;
        int delete_at = (int)(kit_random() % 200);
        for (int turn = 0; turn < 2000 && !forgotten; turn++) {
            v.deleting |= turn >= delete_at;
            struct pod_plan plan;
            pod_plan(a, &v, &plan);
            forgotten = check_plan(&v, &plan).forgets > 0;
            for (size_t i = 0; i < plan.step_count; i++) {
                obey(&v, &plan.steps[i]);
            }
            bool ended = span_eq_cstr(plan.status.phase, "Succeeded") ||
                         span_eq_cstr(plan.status.phase, "Failed");
            if (ended && !v.acked_terminal && kit_random() % 2) {
                v.acked_terminal = true;
                v.acked_phase =
                    span_eq_cstr(plan.status.phase, "Failed") ? SPAN("Failed") : SPAN("Succeeded");
            }
            prep_moves(&v.volumes, v.now_ms);
            prep_moves(&v.sandbox, v.now_ms);
            container_moves(&mains[0], v.now_ms);
            container_moves(&mains[1], v.now_ms);
            container_moves(&inits[0], v.now_ms);
            for (int i = 0; i < 2; i++) {
                CHECK(mains[i].attempt >= attempts[i]);
                attempts[i] = mains[i].attempt;
            }
            if (v.object_deleted && v.exists && kit_random() % 2) {
                v.exists = false;
            }
            /* Sometimes at once, sometimes at the planned time: nothing must depend on being asked
             * in between. */
            v.now_ms = kit_random() % 2 && plan.wake_ms ? plan.wake_ms : v.now_ms + 1;
            arena_clear(a);
        }
        CHECK(forgotten);
        CHECK(!v.exists && v.sandbox.state == POD_PREP_TODO && v.volumes.state == POD_PREP_TODO);
        arena_free(a);
    }
}

TEST(a_transition_time_is_kept_while_the_condition_stays)
{
    struct arena *a = arena_new();
    struct pod_container_view c = {.name = SPAN("c")};
    struct pod_condition before[] = {
        {.type = SPAN("Ready"), .status = SPAN("False"), .transition_ms = 5},
        {.type = SPAN("DisruptionTarget"), .status = SPAN("True"), .transition_ms = 7}};
    struct pod_view v = {.now_ms = 100,
                         .uid = SPAN("u"),
                         .exists = true,
                         .inputs_ready = true,
                         .mains = &c,
                         .main_count = 1,
                         .conditions = before,
                         .condition_count = 2};
    struct pod_status s;
    pod_plan_status(a, &v, &s);
    bool foreign = false;
    for (size_t i = 0; i < s.condition_count; i++) {
        if (span_eq_cstr(s.conditions[i].type, "Ready")) {
            CHECK_EQ(s.conditions[i].transition_ms, 5);
            CHECK_SPAN(s.conditions[i].message, "containers with unready status: [c]");
        }
        if (span_eq_cstr(s.conditions[i].type, "ContainersReady")) {
            CHECK_EQ(s.conditions[i].transition_ms, 100);
        }
        foreign |= span_eq_cstr(s.conditions[i].type, "DisruptionTarget");
    }
    CHECK(foreign);
    arena_free(a);
}

TEST(err_image_pull_turns_into_back_off_and_is_tried_again)
{
    struct arena *a = arena_new();
    struct pod_container_view c = {.name = SPAN("c"),
                                   .image = SPAN("nope"),
                                   .image_prep = {.state = POD_PREP_FAILED,
                                                  .failures = 2,
                                                  .failed_ms = 1000,
                                                  .reason = SPAN("ErrImagePull"),
                                                  .message = SPAN("why")}};
    struct pod_view v = {.now_ms = 1500,
                         .uid = SPAN("u"),
                         .exists = true,
                         .inputs_ready = true,
                         .mains = &c,
                         .main_count = 1,
                         .sandbox.state = POD_PREP_DONE,
                         .volumes.state = POD_PREP_DONE};
    struct pod_plan p;
    pod_plan(a, &v, &p);
    CHECK_EQ(p.step_count, 0);
    CHECK_EQ(p.wake_ms, 2000);
    CHECK_SPAN(p.status.mains[0].state.reason, "ErrImagePull");
    v.now_ms = 2000;
    pod_plan(a, &v, &p);
    CHECK_SPAN(p.status.mains[0].state.reason, "ImagePullBackOff");
    CHECK_EQ(p.wake_ms, 21000);
    v.now_ms = 21000;
    pod_plan(a, &v, &p);
    CHECK_EQ(p.step_count, 1);
    CHECK_EQ(p.steps[0].type, POD_STEP_PREPARE_IMAGE);
    arena_free(a);
}
