/* test/unit/statefulset_annotated_test.c: every small world of sets with annotations: an ordered
 * window wider than one, ordinals that are left out, pods that are updated last, a pause. Each plan
 * is the reference's and keeps the promises of the annotations; from each world the plans lead to a
 * set that is whole. */
#include "kit/kit.h"
#include "kit/statefulset_reference.h"

enum { N = 3, ALL_FIT = 7 };

enum state { ABSENT, PENDING, STARTED, READY, STOPPING, FAILED, STATES };

struct world {
    struct ref_view view;
    enum state state[N];
    bool updated[N], last[N], paused;
    struct statefulset_pod pods[N];
    struct statefulset_hole holes[STATEFULSET_HOLES_MAX];
};

static void show(struct world *w)
{
    struct ref_view *v = &w->view;
    v->pods = w->pods;
    v->pod_count = 0;
    for (int32_t i = 0; i < N; i++) {
        enum state state = w->state[i];
        if (state != ABSENT) {
            w->pods[v->pod_count++] =
                (struct statefulset_pod){.ordinal = i,
                                         .phase = state == PENDING  ? STATEFULSET_PENDING
                                                  : state == FAILED ? STATEFULSET_FAILED
                                                                    : STATEFULSET_RUNNING,
                                         .ready = state == READY || state == STOPPING,
                                         .was_ready = state != PENDING,
                                         .terminating = state == STOPPING,
                                         .at_current = !w->updated[i],
                                         .at_update = w->updated[i],
                                         .identity_fits = true,
                                         .last = w->last[i],
                                         .ready_since_ms = state == READY ? 1000 : 0,
                                         .claims.owner_fits = ALL_FIT};
        }
    }
    ref_show_holes(v, w->holes, ALL_FIT);
}

static bool left_out(const struct world *w, int i)
{
    bool out = false;
    for (size_t k = 0; k < w->view.r.reserved_count; k++) {
        out |= w->view.r.reserved[k] == i;
    }
    return out;
}

static bool wanted(const struct world *w, int i)
{
    int before = 0; /* wanted ordinals below */
    for (int k = w->view.r.start; k < i; k++) {
        before += !left_out(w, k);
    }
    return i >= w->view.r.start && !left_out(w, i) && before < w->view.r.replicas;
}

static bool updatable(const struct world *w, int i)
{
    return wanted(w, i) && w->state[i] != ABSENT && !w->updated[i] &&
           i >= (int64_t)w->view.r.start + w->view.r.partition;
}

static void check_create(const struct world *w, const struct statefulset_action *a)
{
    int unwell = 0, window = w->view.r.window > 1 ? w->view.r.window : 1;
    CHECK(wanted(w, a->ordinal) && w->state[a->ordinal] == ABSENT);
    for (int i = 0; i < a->ordinal; i++) {
        unwell += wanted(w, i) && w->state[i] != READY;
    }
    CHECK(w->view.r.parallel || unwell < window);
    if (w->paused) {
        CHECK(!a->at_update);
    }
}

static void check_update(const struct world *w, const struct statefulset_action *a)
{
    CHECK(updatable(w, a->ordinal) && !w->paused);
    bool well = w->state[a->ordinal] == READY;
    for (int i = 0; i < N && well && w->last[a->ordinal]; i++) {
        CHECK(!wanted(w, i) || w->state[i] == READY); /* all are well, */
        CHECK(!updatable(w, i) || w->last[i]);        /* and all others done */
    }
}

static void check_plan(const struct world *w, const struct statefulset_plan *plan)
{
    for (size_t i = 0; i < plan->action_count; i++) {
        const struct statefulset_action *a = &plan->actions[i];
        if (a->kind == STATEFULSET_CREATE_POD) {
            check_create(w, a);
        } else if (a->kind == STATEFULSET_DELETE_POD && a->why == STATEFULSET_WHY_UPDATE) {
            check_update(w, a);
        } else if (a->kind == STATEFULSET_DELETE_POD && a->why == STATEFULSET_WHY_STUCK) {
            CHECK(updatable(w, a->ordinal) && w->state[a->ordinal] == PENDING && !w->paused);
        } else if (a->kind == STATEFULSET_DELETE_POD && a->why == STATEFULSET_WHY_SCALE_DOWN) {
            CHECK(!wanted(w, a->ordinal));
        }
    }
    int replicas = 0;
    for (int i = 0; i < N; i++) {
        replicas += wanted(w, i) && w->state[i] == READY;
    }
    CHECK_EQ(plan->status.well, replicas);
}

/* Acts on the plan, and lets every pod that is on its way arrive. */
static void advance(struct world *w, const struct statefulset_plan *plan)
{
    for (int i = 0; i < N; i++) {
        w->state[i] = w->state[i] == PENDING    ? STARTED
                      : w->state[i] == STARTED  ? READY
                      : w->state[i] == STOPPING ? ABSENT
                                                : w->state[i];
    }
    for (size_t i = 0; i < plan->action_count; i++) {
        const struct statefulset_action *a = &plan->actions[i];
        if (a->kind == STATEFULSET_CREATE_POD) {
            w->state[a->ordinal] = PENDING;
            w->updated[a->ordinal] = a->at_update;
        } else if (a->kind == STATEFULSET_DELETE_POD) {
            w->state[a->ordinal] = STOPPING;
        }
    }
}

static uint64_t plans;

static void check_world(const struct world *start)
{
    static struct statefulset_plan plan;
    static struct world w;
    w = *start;
    int steps = 0;
    do {
        CHECK(++steps < 40);
        show(&w);
        plan_both(&w.view, &plan);
        check_plan(&w, &plan);
        advance(&w, &plan);
        plans++;
    } while (plan.action_count || plan.waiting != STATEFULSET_WHY_NONE);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(w.state[i] != ABSENT, wanted(&w, i));
        CHECK(!wanted(&w, i) || w.state[i] == READY);
        CHECK(!updatable(&w, i));
    }
}

/* Strategies: one by one, with a budget of 1 or 2, paused; OnDelete and Recreate heed no order. */
static void set_rules(struct statefulset_rules *r, int strategy)
{
    r->has_rolling = true;
    r->max_unavailable = strategy == 1 ? 1 : strategy == 2 ? 2 : 0;
    r->partition = strategy == 3 ? INT32_MAX : strategy == 4 ? 1 : 0;
}

static void each_rule(struct world *w)
{
    static const struct {
        size_t n;
        int32_t at[2];
    } reserved[] = {{0, {0}}, {1, {0}}, {1, {1}}, {2, {0, 1}}};
    struct statefulset_rules *r = &w->view.r;
    for (size_t out = 0; out < sizeof reserved / sizeof *reserved; out++) {
        *r = (struct statefulset_rules){.reserved_count = reserved[out].n};
        for (size_t i = 0; i < reserved[out].n; i++) {
            r->reserved[i] = reserved[out].at[i];
        }
        for (int rule = 0; rule < 2 * 2 * 5 * 2; rule++) {
            r->parallel = rule % 2;
            r->window = rule / 2 % 2 ? 2 : 0;
            set_rules(r, rule / 4 % 5);
            w->paused = rule / 4 % 5 == 3;
            r->replicas = (int32_t)(N - reserved[out].n) - rule / 20;
            if ((r->parallel && r->window) || r->replicas < 0) {
                continue;
            }
            check_world(w);
        }
    }
}

TEST_T(plan_every_small_world_with_annotations_keeps_their_promises_and_comes_to_rest, 60)
{
    static struct world w = {.view = {.now_ms = 100000}};
    enum { KINDS = 1 + (STATES - 1) * 2 };
    for (int code = 0; code < KINDS * KINDS * KINDS; code++) {
        int c = code;
        for (int i = 0; i < N; i++, c /= KINDS) {
            int one = c % KINDS;
            w.state[i] = one == 0 ? ABSENT : (enum state)(1 + (one - 1) / 2);
            w.updated[i] = one != 0 && (one - 1) % 2;
        }
        static const bool last[][N] = {{false}, {false, false, true}, {true, false, true}};
        size_t order = (size_t)code % 3; /* each order meets every state of every pod */
        for (int i = 0; i < N; i++) {
            w.last[i] = last[order][i];
        }
        each_rule(&w);
    }
    kit_note("%llu plans", (unsigned long long)plans);
    CHECK(plans > 400000);
}
