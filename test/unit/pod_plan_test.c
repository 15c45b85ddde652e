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
    return s->init    ? &v->inits[s->container]
           : s->extra ? &v->extras[s->container]
                      : &v->mains[s->container];
}

static bool any_instance(const struct pod_view *v)
{
    bool any = false;
    for (size_t i = 0; i < v->init_count; i++) {
        any |= v->inits[i].instance != POD_INSTANCE_NONE;
    }
    for (size_t i = 0; i < v->extra_count; i++) {
        any |= v->extras[i].instance != POD_INSTANCE_NONE;
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
    if (s->extra) {
        CHECK(!c->has_attempt);
        return;
    }
    if (c->has_result && !s->init) {
        bool failed = c->result.exit_code != 0 || c->result.start_failed;
        CHECK(v->policy == POD_ALWAYS || (v->policy == POD_ON_FAILURE && failed));
        CHECK(c->result.finished_ms + pod_crash_backoff_ms(c) <= v->now_ms);
    }
    for (size_t i = 0; i < (s->init ? s->container : v->init_count); i++) {
        CHECK(v->inits[i].sidecar ? pod_init_passed(v, i) : pod_init_completed(&v->inits[i]));
    }
}

/* A sidecar of a pod that ends is told when everything after it has ended. */
static void check_order_of_end(const struct pod_view *v, const struct pod_step *s)
{
    const struct pod_container_view *c = target(v, s);
    if (!c->sidecar || !pod_is_ending(v)) {
        return;
    }
    for (size_t i = s->container + 1; i < v->init_count; i++) {
        CHECK(!pod_instance_live(v->inits[i].instance));
    }
    for (size_t i = 0; i < v->main_count; i++) {
        CHECK(!pod_instance_live(v->mains[i].instance));
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
            n.starts += !s->extra;
            check_start(v, s);
            break;
        case POD_STEP_TERM:
            CHECK_EQ(c->instance, POD_INSTANCE_RUNNING);
            check_order_of_end(v, s);
            CHECK(pod_is_ending(v) || c->unhealthy || v->sandbox_broken);
            break;
        case POD_STEP_KILL:
            n.kills++;
            CHECK_EQ(c->instance, POD_INSTANCE_STOPPING);
            CHECK(!c->kill_sent);
            CHECK((c->sidecar ? v->ending_ms : c->stop_ms) + v->grace_ms <= v->now_ms);
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
    bool all_ready = true;
    for (size_t i = 0; i < v->init_count; i++) {
        all_ready &= !v->inits[i].sidecar || p->status.inits[i].ready;
        if (v->inits[i].sidecar && pod_instance_live(v->inits[i].instance) && !v->acked_terminal) {
            CHECK(!span_eq_cstr(p->status.phase, "Succeeded"));
        }
    }
    for (size_t i = 0; i < v->main_count; i++) {
        const struct pod_container_status *s = &p->status.mains[i];
        CHECK(s->state.kind != POD_STATE_NONE);
        CHECK(!s->ready || (s->state.kind == POD_STATE_RUNNING && !pod_is_ending(v)));
        all_ready &= s->ready;
        CHECK(s->state.kind != POD_STATE_WAITING || s->state.reason.n > 0);
    }
    for (size_t i = 0; i < p->status.condition_count; i++) {
        if (span_eq_cstr(p->status.conditions[i].type, "Ready") &&
            span_eq_cstr(p->status.conditions[i].status, "True")) {
            CHECK_SPAN(p->status.phase, "Running");
            CHECK(all_ready);
        }
    }
}

/* A pod of a small world: one of three policies, one of four lives, one of five sandboxes. */
static struct pod_view pod_world(int policy, int life, int sandbox, bool broken, int n)
{
    return (struct pod_view){.now_ms = 100000,
                             .uid = SPAN("u"),
                             .name = SPAN("p"),
                             .ns = SPAN("n"),
                             .policy = (enum pod_policy)policy,
                             .exists = life != 2,
                             .deleting = life == 1 || life == 2,
                             .stop_only = life == 3,
                             .grace_ms = n % 2 ? 500 : 30000,
                             .inputs_ready = true,
                             .volumes.state = POD_PREP_DONE,
                             .sandbox.state = (enum pod_prep_state)sandbox,
                             .sandbox_broken = broken && sandbox == POD_PREP_DONE};
}

TEST_T(every_small_world_keeps_the_promises, 120)
{
    struct arena *a = arena_new();
    uint64_t worlds = 0;
    /* pod bits: policy 3, deleting/exists/stop 4, sandbox 5, volumes 5, broken 2, inits 4: none,
     * one, a sidecar, a sidecar and one */
    for (int w = 0; w < 3 * 4 * 5 * 5 * 2 * 4; w++) {
        int policy = w % 3, life = w / 3 % 4, sandbox = w / 12 % 5, volumes = w / 60 % 5;
        bool broken = w / 300 % 2;
        int kind = w / 600 % 4;
        for (int n = 0; n < CONTAINER_WORLDS; n++) {
            struct pod_container_view main[2] = {
                container_world(n, "a"), container_world((n * 7 + w) % CONTAINER_WORLDS, "b")};
            struct pod_container_view init[2] = {
                container_world((n * 11 + w) % CONTAINER_WORLDS, "i"),
                container_world((n * 13 + w) % CONTAINER_WORLDS, "j")};
            init[0].sidecar = kind >= 2;
            init[0].started = init[0].ready = n % 3 > 0;
            struct pod_view v = pod_world(policy, life, sandbox, broken, n);
            v.volumes.state = (enum pod_prep_state)volumes;
            v.ending_ms = life ? 99000 : 0;
            v.inits = init;
            v.init_count = kind == 3 ? 2 : kind > 0;
            v.mains = main;
            v.main_count = 2;
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

/* A pod without its extra, to compare with. */
static void check_extra_counts_for_nothing(const struct pod_view *v, const struct pod_plan *p,
                                           const struct pod_plan *without)
{
    CHECK(span_eq(p->status.phase, without->status.phase));
    CHECK_EQ(p->status.condition_count, without->status.condition_count);
    for (size_t i = 0; i < p->status.condition_count; i++) {
        CHECK(span_eq(p->status.conditions[i].status, without->status.conditions[i].status));
    }
    size_t of_others = 0, before = 0;
    bool is_gone = v->extras[0].instance == POD_INSTANCE_NONE;
    for (size_t i = 0; i < p->step_count; i++) {
        of_others += !p->steps[i].extra;
    }
    for (size_t i = 0; i < without->step_count; i++) {
        enum pod_step_type type = without->steps[i].type;
        /* What ends the pod waits for it. */
        before += is_gone || (type != POD_STEP_REMOVE_SANDBOX && type != POD_STEP_FORGET &&
                              type != POD_STEP_TEARDOWN_VOLUMES && type != POD_STEP_DELETE_OBJECT);
    }
    CHECK_EQ(of_others, before);
}

TEST_T(an_ephemeral_container_starts_once_counts_for_nothing_and_ends_with_the_pod, 120)
{
    struct arena *a = arena_new();
    uint64_t worlds = 0, starts = 0;
    for (int w = 0; w < 3 * 4 * 5 * 2 * CONTAINER_WORLDS; w++) {
        int policy = w % 3, life = w / 3 % 4, sandbox = w / 12 % 5, broken = w / 60 % 2;
        for (int n = 0; n < CONTAINER_WORLDS; n++) {
            struct pod_container_view main = container_world(w / 120, "a");
            struct pod_container_view extra = container_world(n, "x");
            struct pod_container_view init = container_world((n * 11 + w) % CONTAINER_WORLDS, "i");
            struct pod_view v = pod_world(policy, life, sandbox, broken, n);
            v.inits = &init;
            v.init_count = (size_t)n % 2;
            v.mains = &main;
            v.main_count = v.extra_count = 1;
            v.extras = &extra;
            struct pod_plan plan, without;
            pod_plan(a, &v, &plan);
            (void)check_plan(&v, &plan);
            v.extra_count = 0;
            pod_plan(a, &v, &without);
            v.extra_count = 1;
            if (!v.sandbox_broken) { /* a broken sandbox goes when everything in it has ended */
                check_extra_counts_for_nothing(&v, &plan, &without);
            }
            CHECK(!plan.status.extras[0].ready && plan.status.extras[0].restart_count == 0);
            bool due = extra.instance == POD_INSTANCE_NONE && !extra.has_attempt &&
                       extra.image_prep.state == POD_PREP_DONE && sandbox == POD_PREP_DONE &&
                       !v.sandbox_broken && !pod_is_ending(&v);
            size_t started = 0, ended = 0;
            for (size_t i = 0; i < plan.step_count; i++) {
                started += plan.steps[i].extra && plan.steps[i].type == POD_STEP_START;
                ended += plan.steps[i].extra && plan.steps[i].type == POD_STEP_TERM;
            }
            CHECK_EQ(started, due);
            CHECK_EQ(ended, extra.instance == POD_INSTANCE_RUNNING &&
                                (pod_is_ending(&v) || v.sandbox_broken));
            starts += started;
            arena_clear(a);
            worlds++;
        }
    }
    CHECK(starts > 0);
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
        struct pod_container_view inits[3] = {{.name = SPAN("s"), .sidecar = true},
                                              {.name = SPAN("i")},
                                              {.name = SPAN("t"), .sidecar = true}};
        struct pod_view v = {.now_ms = 1000000,
                             .uid = SPAN("u"),
                             .exists = true,
                             .inputs_ready = true,
                             .policy = (enum pod_policy)(walk % 3),
                             .grace_ms = 30000,
                             .mains = mains,
                             .main_count = 2,
                             .inits = inits,
                             .init_count = (size_t)(walk % 4)};
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
            for (size_t i = 0; i < v.init_count; i++) {
                container_moves(&inits[i], v.now_ms);
            }
            if (pod_is_ending(&v) && v.ending_ms == 0) {
                v.ending_ms = v.now_ms;
            }
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

/* One sidecar, one ordinary init container, one main container, all prepared. */
struct trio {
    struct arena *a;
    struct pod_container_view inits[2], main;
    struct pod_view v;
    struct pod_plan p;
};

static void trio_start(struct trio *t, enum pod_policy policy)
{
    *t = (struct trio){.a = arena_new()};
    struct pod_prep done = {.state = POD_PREP_DONE};
    t->inits[0] =
        (struct pod_container_view){.name = SPAN("side"), .sidecar = true, .image_prep = done};
    t->inits[1] = (struct pod_container_view){.name = SPAN("init"), .image_prep = done};
    t->main = (struct pod_container_view){.name = SPAN("main"), .image_prep = done};
    t->v = (struct pod_view){.now_ms = 1000,
                             .uid = SPAN("u"),
                             .exists = true,
                             .inputs_ready = true,
                             .policy = policy,
                             .grace_ms = 30000,
                             .volumes = done,
                             .sandbox = done,
                             .inits = t->inits,
                             .init_count = 2,
                             .mains = &t->main,
                             .main_count = 1};
}

static void trio_run(struct pod_container_view *c, bool started)
{
    c->instance = POD_INSTANCE_RUNNING;
    c->has_attempt = true;
    c->has_result = false;
    c->started = c->ready = started;
}

static void trio_end(struct pod_container_view *c, int32_t exit_code)
{
    c->instance = POD_INSTANCE_EXITED;
    c->has_result = true;
    c->started = c->ready = false;
    c->result = (struct pod_result){.exit_code = exit_code, .finished_ms = 1000};
}

/* "START side" or "" of the only step. */
static const char *trio_step(struct trio *t)
{
    static const char *const words[] = {[POD_STEP_START] = "START",
                                        [POD_STEP_TERM] = "TERM",
                                        [POD_STEP_KILL] = "KILL",
                                        [POD_STEP_REMOVE] = "REMOVE"};
    pod_plan(t->a, &t->v, &t->p);
    if (t->p.step_count == 0) {
        return "";
    }
    CHECK_EQ(t->p.step_count, 1);
    const struct pod_step *s = &t->p.steps[0];
    CHECK(s->type < sizeof words / sizeof *words && words[s->type]);
    return arena_printf(t->a, "%s %.*s", words[s->type], SPAN_ARG(target(&t->v, s)->name)).p;
}

static const struct pod_condition *trio_condition(const struct trio *t, const char *type)
{
    for (size_t i = 0; i < t->p.status.condition_count; i++) {
        if (span_eq_cstr(t->p.status.conditions[i].type, type)) {
            return &t->p.status.conditions[i];
        }
    }
    return NULL;
}

TEST(a_sidecar_lets_the_next_one_start_when_it_has_started_and_counts_towards_ready)
{
    struct trio t;
    trio_start(&t, POD_ALWAYS);
    CHECK_SPAN(span_cstr(trio_step(&t)), "START side");
    trio_run(&t.inits[0], false);
    CHECK_SPAN(span_cstr(trio_step(&t)), ""); /* its startup probe has not passed */
    CHECK_SPAN(trio_condition(&t, "Initialized")->message,
               "containers with incomplete status: [side init]");
    t.inits[0].started = true;
    CHECK_SPAN(span_cstr(trio_step(&t)), "START init");
    CHECK_SPAN(t.p.status.phase, "Pending");
    trio_run(&t.inits[1], true);
    trio_end(&t.inits[1], 0);
    CHECK_SPAN(span_cstr(trio_step(&t)), "START main");
    trio_run(&t.main, true);
    CHECK_SPAN(span_cstr(trio_step(&t)), "");
    CHECK_SPAN(t.p.status.phase, "Running");
    CHECK_SPAN(trio_condition(&t, "Initialized")->status, "True");
    CHECK_SPAN(trio_condition(&t, "Ready")->status, "False");
    CHECK_SPAN(trio_condition(&t, "Ready")->message, "containers with unready status: [side]");
    t.inits[0].ready = true;
    CHECK_SPAN(span_cstr(trio_step(&t)), "");
    CHECK_SPAN(trio_condition(&t, "Ready")->status, "True");
    arena_free(t.a);
}

TEST(a_sidecar_that_ends_is_started_again_whatever_the_policy_and_keeps_nobody_waiting)
{
    struct trio t;
    for (int policy = 0; policy < 3; policy++) {
        trio_start(&t, (enum pod_policy)policy);
        trio_run(&t.inits[1], true);
        trio_end(&t.inits[1], 0);
        trio_run(&t.main, true);
        trio_run(&t.inits[0], true);
        trio_end(&t.inits[0], policy % 2);
        CHECK_SPAN(span_cstr(trio_step(&t)), "REMOVE side");
        CHECK_SPAN(t.p.status.phase, "Running");
        CHECK_SPAN(trio_condition(&t, "Initialized")->status, "True");
        t.inits[0].instance = POD_INSTANCE_NONE;
        CHECK_SPAN(span_cstr(trio_step(&t)), "START side");
        /* The main one starts again beside a sidecar that waits in its back-off. */
        t.inits[0].restarts_in_a_row = 3;
        if (policy == POD_ALWAYS) {
            trio_end(&t.main, 1);
            CHECK_SPAN(span_cstr(trio_step(&t)), "REMOVE main");
        }
        arena_free(t.a);
    }
}

TEST(a_pod_completes_with_its_main_containers_and_its_sidecar_ends_after_them)
{
    struct trio t;
    trio_start(&t, POD_NEVER);
    trio_run(&t.inits[1], true);
    trio_end(&t.inits[1], 0);
    trio_run(&t.inits[0], true);
    trio_run(&t.main, true);
    trio_end(&t.main, 0);
    t.v.ending_ms = 1000;
    CHECK_SPAN(span_cstr(trio_step(&t)), "TERM side");
    CHECK_SPAN(t.p.status.phase, "Running");
    t.inits[0].instance = POD_INSTANCE_STOPPING;
    t.inits[0].stop_ms = 1000;
    CHECK_SPAN(span_cstr(trio_step(&t)), "");
    CHECK_EQ(t.p.wake_ms, 31000);
    trio_end(&t.inits[0], 143);
    CHECK_SPAN(span_cstr(trio_step(&t)), "");
    CHECK_SPAN(t.p.status.phase, "Succeeded");
    arena_free(t.a);
}

TEST(a_deleted_pods_sidecar_is_told_last_and_has_what_is_left_of_the_grace)
{
    struct trio t;
    trio_start(&t, POD_ALWAYS);
    trio_run(&t.inits[1], true);
    t.inits[1].instance = POD_INSTANCE_NONE;
    trio_run(&t.inits[0], true);
    trio_run(&t.main, true);
    t.v.deleting = true;
    t.v.ending_ms = 1000;
    CHECK_SPAN(span_cstr(trio_step(&t)), "TERM main");
    t.main.instance = POD_INSTANCE_STOPPING;
    t.main.stop_ms = 1000;
    CHECK_SPAN(span_cstr(trio_step(&t)), "");
    t.v.now_ms = 31000;
    CHECK_SPAN(span_cstr(trio_step(&t)), "KILL main");
    t.main.kill_sent = true;
    CHECK_SPAN(span_cstr(trio_step(&t)), "");
    t.main.instance = POD_INSTANCE_NONE;
    CHECK_SPAN(span_cstr(trio_step(&t)), "TERM side");
    t.inits[0].instance = POD_INSTANCE_STOPPING;
    t.inits[0].stop_ms = 31000;
    CHECK_SPAN(span_cstr(trio_step(&t)), "");
    CHECK_EQ(t.p.wake_ms, 33000); /* two seconds at least */
    t.v.now_ms = 33000;
    CHECK_SPAN(span_cstr(trio_step(&t)), "KILL side");
    arena_free(t.a);
}

TEST(a_probes_own_grace_counts_when_its_failure_ends_the_container)
{
    struct trio t;
    trio_start(&t, POD_ALWAYS);
    t.v.init_count = 0;
    trio_run(&t.main, true);
    t.main.instance = POD_INSTANCE_STOPPING;
    t.main.unhealthy = true;
    t.main.unhealthy_grace_ms = 5000;
    t.main.stop_ms = 1000;
    CHECK_SPAN(span_cstr(trio_step(&t)), "");
    CHECK_EQ(t.p.wake_ms, 6000);
    t.v.deleting = true; /* then the pod's own grace rules */
    CHECK_SPAN(span_cstr(trio_step(&t)), "");
    CHECK_EQ(t.p.wake_ms, 31000);
    arena_free(t.a);
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
