/* test/unit/deployment_plan_test.c: every small world, walks to convergence, scaling in proportion,
 * history and conditions. */
#include "plan/deployment_plan.h"

#include "kit/kit.h"

enum { NOW_MS = 1000000 };

static struct deployment_set set_of(const char *name, int64_t created_ms, int32_t spec,
                                    int32_t available)
{
    return (struct deployment_set){.name = span_cstr(name),
                                   .spec = spec,
                                   .replicas = spec,
                                   .ready = available,
                                   .available = available,
                                   .desired = -1,
                                   .max = -1,
                                   .created_ms = created_ms,
                                   .observed = true};
}

static struct deployment_view view_of(const struct deployment_set *sets, size_t n, int32_t newest,
                                      int32_t replicas)
{
    return (struct deployment_view){.name = SPAN("web"),
                                    .now_ms = NOW_MS,
                                    .generation = 3,
                                    .replicas = replicas,
                                    .surge = {25, true},
                                    .unavailable = {25, true},
                                    .deadline_s = 600,
                                    .history_limit = 10,
                                    .sets = sets,
                                    .set_count = n,
                                    .new_set = newest,
                                    .new_name = SPAN("web-new")};
}

/* ---- small worlds ---- */

struct outcome {
    int64_t before, after;                     /* sum of sizes */
    int64_t available_before, available_after; /* sets lose what is not available first */
    int64_t old_after, new_after;
};

static struct outcome outcome_of(const struct deployment_view *v,
                                 const struct deployment_plan *plan)
{
    struct outcome o = {0};
    for (size_t i = 0; i < v->set_count; i++) {
        int32_t size = v->sets[i].spec;
        for (size_t k = 0; k < plan->scale_count; k++) {
            size = plan->scales[k].set == i ? plan->scales[k].replicas : size;
        }
        o.before += v->sets[i].spec;
        o.after += size;
        o.available_before += v->sets[i].available;
        o.available_after += v->sets[i].available < size ? v->sets[i].available : size;
        *((int32_t)i == v->new_set ? &o.new_after : &o.old_after) += size;
    }
    o.after += plan->create ? plan->create_replicas : 0;
    o.new_after += plan->create ? plan->create_replicas : 0;
    return o;
}

static void check_rolling(const struct deployment_view *v, const struct deployment_plan *plan)
{
    int32_t surge, unavailable;
    deployment_bounds(v, &surge, &unavailable);
    struct outcome o = outcome_of(v, plan);
    int64_t most = (int64_t)v->replicas + surge, least = v->replicas - unavailable;
    CHECK(o.after <= most || o.after <= o.before);
    CHECK(o.available_after >= (o.available_before < least ? o.available_before : least));
    CHECK(o.new_after <= v->replicas || v->recreate);
}

static void check_recreate(const struct deployment_view *v, const struct deployment_plan *plan)
{
    struct outcome o = outcome_of(v, plan);
    bool olds = false;
    for (size_t i = 0; i < v->set_count; i++) {
        olds |= (int32_t)i != v->new_set && v->sets[i].replicas > 0;
    }
    CHECK_EQ(o.old_after, 0);
    if (olds || v->old_pods_live) {
        int32_t had = v->new_set < 0 ? 0 : v->sets[v->new_set].spec;
        CHECK(!plan->create && o.new_after == had);
    } else {
        CHECK_EQ(o.new_after, v->replicas);
    }
}

static void check_world(struct arena *a, struct deployment_view *v)
{
    struct deployment_plan plan;
    deployment_plan(a, v, &plan);
    check_rolling(v, &plan);
    v->recreate = true;
    for (int live = 0; live < 2; live++) {
        v->old_pods_live = live;
        deployment_plan(a, v, &plan);
        check_recreate(v, &plan);
    }
    v->recreate = false;
    v->paused = true;
    deployment_plan(a, v, &plan);
    CHECK(!plan.create);
    v->paused = false;
    v->deleting = true;
    deployment_plan(a, v, &plan);
    CHECK(!plan.create && plan.scale_count == 0 && plan.delete_count == 0);
    v->deleting = false;
    arena_clear(a);
}

TEST(every_small_world_keeps_within_surge_and_unavailability)
{
    cleanup_arena struct arena *a = arena_new();
    static const int32_t shape[10][2] = {{0, 0}, {1, 0}, {1, 1}, {2, 0}, {2, 1},
                                         {2, 2}, {3, 0}, {3, 1}, {3, 2}, {3, 3}};
    for (int w = 0; w < 10 * 6 * 11 * 4 * 9; w++) {
        int left = w, old = left % 10, older = (left /= 10) % 6, newest = (left /= 6) % 11;
        int replicas = (left /= 11) % 4, bounds = left / 4;
        struct deployment_set sets[3] = {set_of("a", 1, shape[older][0], shape[older][1]),
                                         set_of("b", 2, shape[old][0], shape[old][1])};
        if (newest < 10) {
            sets[2] = set_of("c", 3, shape[newest][0], shape[newest][1]);
        }
        struct deployment_view v =
            view_of(sets, newest < 10 ? 3 : 2, newest < 10 ? 2 : DEPLOYMENT_NO_SET, replicas);
        v.surge = (struct plan_amount){bounds % 3, false};
        v.unavailable = (struct plan_amount){bounds / 3, false};
        check_world(a, &v);
    }
}

/* ---- walks ---- */

struct walk {
    struct deployment_set sets[8];
    struct deployment_view view;
};

static void carry_out(struct walk *w, const struct deployment_plan *plan)
{
    for (size_t i = 0; i < plan->scale_count; i++) {
        struct deployment_set *s = &w->sets[plan->scales[i].set];
        s->spec = plan->scales[i].replicas;
        s->desired = w->view.replicas;
        s->max = plan->max_replicas;
    }
    if (plan->create) {
        struct deployment_set *s = &w->sets[w->view.set_count];
        *s = set_of("n", NOW_MS, plan->create_replicas, 0);
        s->desired = w->view.replicas;
        s->max = plan->max_replicas;
        w->view.new_set = (int32_t)w->view.set_count++;
    }
    if (w->view.new_set >= 0) {
        w->sets[w->view.new_set].revision = plan->revision;
    }
    w->view.status = plan->status;
}

/* A set comes one step nearer to its size. */
static void move(struct walk *w)
{
    struct deployment_set *s = &w->sets[kit_random() % w->view.set_count];
    if (s->replicas != s->spec) {
        s->replicas += s->replicas < s->spec ? 1 : -1;
    }
    s->available = s->available > s->replicas ? s->replicas : s->available;
    if (s->available < s->replicas && kit_random() % 2) {
        s->available++;
    }
    s->ready = s->available;
    w->view.old_pods_live = false;
    for (size_t i = 0; i < w->view.set_count; i++) {
        w->view.old_pods_live |= (int32_t)i != w->view.new_set && w->sets[i].replicas > 0;
    }
}

static bool at_rest(const struct walk *w)
{
    for (size_t i = 0; i < w->view.set_count; i++) {
        const struct deployment_set *s = &w->sets[i];
        int32_t wanted = (int32_t)i == w->view.new_set ? w->view.replicas : 0;
        if (s->spec != wanted || s->replicas != wanted || s->available != wanted) {
            return false;
        }
    }
    return w->view.new_set >= 0;
}

TEST(from_everywhere_the_new_set_wins)
{
    cleanup_arena struct arena *a = arena_new();
    for (int round = 0; round < 3000; round++) {
        struct walk w = {0};
        for (int i = 0; i < 3; i++) {
            int32_t spec = (int32_t)(kit_random() % 6);
            w.sets[i] = set_of("o", i + 1, spec, (int32_t)(kit_random() % (uint64_t)(spec + 1)));
            w.sets[i].revision = i + 1;
        }
        w.view = view_of(w.sets, 3, DEPLOYMENT_NO_SET, (int32_t)(kit_random() % 7));
        w.view.recreate = kit_random() % 4 == 0;
        w.view.surge = (struct plan_amount){(int64_t)(kit_random() % 3), false};
        w.view.unavailable = (struct plan_amount){(int64_t)(kit_random() % 3), false};
        int steps = 0;
        for (; steps < 2000 && !at_rest(&w); steps++) {
            if (steps < 20 && kit_random() % 8 == 0) {
                w.view.replicas = (int32_t)(kit_random() % 7);
            }
            w.view.now_ms++;
            struct deployment_plan plan;
            deployment_plan(a, &w.view, &plan);
            carry_out(&w, &plan);
            move(&w);
            arena_clear(a); /* texts of the status are read no more: only compared by the reason */
            w.view.status.condition_count = 0;
        }
        CHECK(steps < 2000);
        CHECK(w.sets[w.view.new_set].revision == 4);
    }
}

/* The old set has just become smaller and still counts the pod that is about to go; a third
 * template comes. The simulator found that one more was taken. */
TEST(pods_that_are_about_to_go_are_not_spare)
{
    cleanup_arena struct arena *a = arena_new();
    struct deployment_set sets[3] = {set_of("old", 1, 3, 4), set_of("next", 2, 1, 0),
                                     set_of("new", 3, 0, 0)};
    struct deployment_view v = view_of(sets, 3, 2, 4);
    v.surge = (struct plan_amount){0, false};
    v.unavailable = (struct plan_amount){1, false};
    struct deployment_plan plan;
    deployment_plan(a, &v, &plan);
    struct outcome o = outcome_of(&v, &plan);
    CHECK_EQ(o.old_after, 3);
}

/* ---- scaling ---- */

TEST(a_rollout_under_way_scales_in_proportion)
{
    cleanup_arena struct arena *a = arena_new();
    struct deployment_set sets[2] = {set_of("old", 1, 8, 8), set_of("new", 2, 5, 0)};
    sets[0].desired = sets[1].desired = 10;
    sets[0].max = sets[1].max = 13;
    struct deployment_view v = view_of(sets, 2, 1, 15);
    v.surge = (struct plan_amount){3, false};
    v.unavailable = (struct plan_amount){2, false};
    struct deployment_plan plan;
    deployment_plan(a, &v, &plan);
    CHECK_EQ(plan.scale_count, 2);
    CHECK_EQ(plan.scales[0].replicas, 11);
    CHECK_EQ(plan.scales[1].replicas, 7);
    CHECK_EQ(plan.max_replicas, 18);
    v.replicas = 0;
    deployment_plan(a, &v, &plan);
    CHECK_EQ(outcome_of(&v, &plan).after, 0);
    v.replicas = INT32_MAX;
    v.surge = (struct plan_amount){100, true};
    deployment_plan(a, &v, &plan);
    CHECK_EQ(outcome_of(&v, &plan).after, INT32_MAX);
}

/* As in Kubernetes: of three sets the largest pays, though only its pods are available. */
TEST(a_rollout_that_is_scaled_down_asks_not_what_is_available)
{
    cleanup_arena struct arena *a = arena_new();
    struct deployment_set sets[3] = {set_of("old", 1, 3, 3), set_of("next", 2, 1, 0),
                                     set_of("new", 3, 1, 0)};
    for (size_t i = 0; i < 3; i++) {
        sets[i].desired = 4;
        sets[i].max = 5;
    }
    struct deployment_view v = view_of(sets, 3, 2, 2);
    v.surge = (struct plan_amount){1, false};
    v.unavailable = (struct plan_amount){0, false};
    struct deployment_plan plan;
    deployment_plan(a, &v, &plan);
    struct outcome o = outcome_of(&v, &plan);
    CHECK_EQ(o.after, 3);
    CHECK_EQ(o.new_after, 1);
    CHECK_EQ(o.available_after, 1);
}

TEST(bounds_round_as_kubernetes_rounds)
{
    int32_t surge, unavailable;
    struct deployment_view v = view_of(NULL, 0, DEPLOYMENT_NO_SET, 10);
    deployment_bounds(&v, &surge, &unavailable);
    CHECK(surge == 3 && unavailable == 2);
    v.surge = (struct plan_amount){0, false};
    v.unavailable = (struct plan_amount){1, true};
    deployment_bounds(&v, &surge, &unavailable);
    CHECK(surge == 0 && unavailable == 1); /* both would be nothing */
    v.unavailable = (struct plan_amount){50, false};
    deployment_bounds(&v, &surge, &unavailable);
    CHECK_EQ(unavailable, 10);
}

/* ---- history ---- */

TEST(history_beyond_the_limit_goes_oldest_first_when_a_rollout_is_complete)
{
    cleanup_arena struct arena *a = arena_new();
    struct deployment_set sets[5];
    for (int i = 0; i < 5; i++) {
        sets[i] = set_of("s", i + 1, i == 4 ? 2 : 0, i == 4 ? 2 : 0);
        sets[i].revision = i + 1;
    }
    sets[0].revision = 4; /* gone back to once: newer than its age says */
    sets[3].revision = 3;
    sets[2].revision = 2;
    sets[1].revision = 1;
    struct deployment_view v = view_of(sets, 5, 4, 2);
    v.history_limit = 2;
    v.status = (struct deployment_status){
        .observed_generation = 3, .replicas = 2, .updated = 2, .ready = 2, .available = 2};
    struct deployment_plan plan;
    deployment_plan(a, &v, &plan);
    CHECK_EQ(plan.delete_count, 2);
    CHECK(plan.deletes[0] == 1 && plan.deletes[1] == 2);
    CHECK_EQ(plan.revision, 5);
    sets[1].observed = false;
    deployment_plan(a, &v, &plan);
    CHECK_EQ(plan.delete_count, 1);
    v.status.available = 1;
    deployment_plan(a, &v, &plan);
    CHECK_EQ(plan.delete_count, 0);
}

/* ---- conditions ---- */

static const struct deployment_condition *condition(const struct deployment_plan *plan,
                                                    enum deployment_type type)
{
    for (size_t i = 0; i < plan->status.condition_count; i++) {
        if (plan->status.conditions[i].type == type) {
            return &plan->status.conditions[i];
        }
    }
    return NULL;
}

static void check_condition(const struct deployment_plan *plan, enum deployment_type type,
                            char status, const char *reason, const char *message)
{
    const struct deployment_condition *c = condition(plan, type);
    CHECK(c != NULL);
    CHECK_EQ(c->status, status);
    CHECK_SPAN(c->reason, reason);
    CHECK_SPAN(c->message, message);
}

/* Plans, and takes the plan's status as the stored one. */
static struct deployment_plan step(struct arena *a, struct deployment_view *v, int64_t after_ms)
{
    struct deployment_plan plan;
    v->now_ms += after_ms;
    deployment_plan(a, v, &plan);
    v->status = plan.status;
    return plan;
}

TEST(conditions_follow_a_rollout_from_creation_to_completion_and_to_the_deadline)
{
    cleanup_arena struct arena *a = arena_new();
    struct deployment_set sets[1] = {set_of("web-1", 1, 2, 0)};
    struct deployment_view v = view_of(sets, 0, DEPLOYMENT_NO_SET, 2);
    struct deployment_plan plan = step(a, &v, 0);
    CHECK(plan.create && plan.create_replicas == 2 && plan.revision == 1);
    check_condition(&plan, DEPLOYMENT_PROGRESSING, 'T', "NewReplicaSetCreated",
                    "Created new replica set \"web-new\"");
    check_condition(&plan, DEPLOYMENT_AVAILABLE, 'F', "MinimumReplicasUnavailable",
                    "Deployment does not have minimum availability.");
    v.set_count = 1;
    v.new_set = 0;
    plan = step(a, &v, 1000);
    check_condition(&plan, DEPLOYMENT_PROGRESSING, 'T', "ReplicaSetUpdated",
                    "ReplicaSet \"web-1\" is progressing.");
    CHECK_EQ(plan.requeue_at_ms, v.now_ms + 600001);
    CHECK_EQ(plan.status.unavailable, 2);
    plan = step(a, &v, 600000);
    check_condition(&plan, DEPLOYMENT_PROGRESSING, 'T', "ReplicaSetUpdated",
                    "ReplicaSet \"web-1\" is progressing.");
    plan = step(a, &v, 1);
    check_condition(&plan, DEPLOYMENT_PROGRESSING, 'F', "ProgressDeadlineExceeded",
                    "ReplicaSet \"web-1\" has timed out progressing.");
    CHECK_EQ(plan.requeue_at_ms, 0);
    sets[0].ready = sets[0].available = 2;
    plan = step(a, &v, 1000);
    check_condition(&plan, DEPLOYMENT_PROGRESSING, 'T', "NewReplicaSetAvailable",
                    "ReplicaSet \"web-1\" has successfully progressed.");
    check_condition(&plan, DEPLOYMENT_AVAILABLE, 'T', "MinimumReplicasAvailable",
                    "Deployment has minimum availability.");
    sets[0].ready = sets[0].available = 0; /* a complete one is never late again */
    plan = step(a, &v, 700000);
    check_condition(&plan, DEPLOYMENT_PROGRESSING, 'T', "NewReplicaSetAvailable",
                    "ReplicaSet \"web-1\" has successfully progressed.");
}

TEST(pause_and_resumption_are_told_and_no_deadline_means_no_progress)
{
    cleanup_arena struct arena *a = arena_new();
    struct deployment_set sets[1] = {set_of("web-1", 1, 2, 1)};
    struct deployment_view v = view_of(sets, 1, 0, 2);
    v.paused = true;
    struct deployment_plan plan = step(a, &v, 0);
    check_condition(&plan, DEPLOYMENT_PROGRESSING, 'U', "DeploymentPaused", "Deployment is paused");
    v.paused = false;
    plan = step(a, &v, 1000);
    check_condition(&plan, DEPLOYMENT_PROGRESSING, 'U', "DeploymentResumed",
                    "Deployment is resumed");
    v.deadline_s = -1;
    plan = step(a, &v, 1000);
    CHECK(condition(&plan, DEPLOYMENT_PROGRESSING) == NULL);
    v.deadline_s = 5;
    plan = step(a, &v, 1000);
    check_condition(&plan, DEPLOYMENT_PROGRESSING, 'T', "FoundNewReplicaSet",
                    "Found new replica set \"web-1\"");
    sets[0].failure_reason = SPAN("FailedCreate");
    sets[0].failure_message = SPAN("no");
    plan = step(a, &v, 1000);
    check_condition(&plan, DEPLOYMENT_FAILURE, 'T', "FailedCreate", "no");
    sets[0].failure_reason = SPAN_NULL;
    plan = step(a, &v, 1000);
    CHECK(condition(&plan, DEPLOYMENT_FAILURE) == NULL);
}
