/* test/kit/statefulset_world.c: see statefulset_world.h. */
#include "kit/statefulset_world.h"

#include "kit/kit.h"

enum { N = WORLD_N };

bool world_ended(enum state state)
{
    return state == FAILED || state == SUCCEEDED || state == FAILED_STOPPING;
}

bool world_stopping(enum state state)
{
    return state >= STOPPING && state < WORLD_STATES;
}

static bool is_ready(enum state state)
{
    return state == READY || state == UNAVAILABLE || state == STOPPING;
}

static bool was_ready(enum state state)
{
    return state != PENDING && state != PENDING_STOPPING;
}

struct statefulset_pod world_pod(int32_t ordinal, enum state state, enum revision revision)
{
    struct statefulset_pod p = {.ordinal = ordinal,
                                .at_current = revision == OLD,
                                .at_update = revision == NEW,
                                .identity_fits = true,
                                .claims.owner_fits = WORLD_FIT};
    p.phase = !was_ready(state)                             ? STATEFULSET_PENDING
              : state == FAILED || state == FAILED_STOPPING ? STATEFULSET_FAILED
              : state == SUCCEEDED                          ? STATEFULSET_SUCCEEDED
              : state == LOST                               ? STATEFULSET_UNKNOWN
                                                            : STATEFULSET_RUNNING;
    p.ready = is_ready(state);
    p.was_ready = was_ready(state);
    p.terminating = world_stopping(state);
    p.ready_since_ms = state == UNAVAILABLE ? 95000 : p.ready ? 1000 : 0;
    return p;
}

void world_fill(struct world *w)
{
    struct ref_view *v = &w->view;
    uint8_t fits = w->fits ? w->fits : WORLD_FIT;
    v->pods = w->pods;
    v->pod_count = 0;
    for (int i = 0; i < N; i++) {
        if (w->state[i] != ABSENT) {
            struct statefulset_pod *p = &w->pods[v->pod_count++];
            *p = world_pod(i, w->state[i], w->revision[i]);
            p->at_current |= w->one_revision && p->at_update;
            p->claims.owner_fits = fits;
        }
    }
    ref_show_holes(v, w->holes, fits);
    for (size_t i = 0; i < v->hole_count; i++) {
        w->holes[i].claims.stale = w->stale;
    }
}

bool world_well(const struct world *w, int i)
{
    return w->state[i] == READY || (w->state[i] == UNAVAILABLE && w->view.r.min_ready_s == 0);
}

bool world_wants(const struct world *w, int i)
{
    return i >= w->view.r.start && i < w->view.r.start + w->view.r.replicas;
}

int world_deletes(const struct statefulset_plan *plan, enum statefulset_why why)
{
    int n = 0;
    for (size_t i = 0; i < plan->action_count; i++) {
        n += plan->actions[i].kind == STATEFULSET_DELETE_POD && plan->actions[i].why == why;
    }
    return n;
}

int world_creates(const struct statefulset_plan *plan)
{
    int n = 0;
    for (size_t i = 0; i < plan->action_count; i++) {
        n += plan->actions[i].kind == STATEFULSET_CREATE_POD;
    }
    return n;
}

/* ---- invariants of one plan ---- */

/* By the table of the retention policies. */
static enum statefulset_owner claim_owner(const struct statefulset_rules *v, bool wanted)
{
    static const enum statefulset_owner table[2][2][2] = {
        /* [scaled Delete][deleted Delete][condemned] */
        {{STATEFULSET_OWNER_NONE, STATEFULSET_OWNER_NONE},
         {STATEFULSET_OWNER_SET, STATEFULSET_OWNER_SET}},
        {{STATEFULSET_OWNER_NONE, STATEFULSET_OWNER_POD},
         {STATEFULSET_OWNER_SET, STATEFULSET_OWNER_POD}}};
    return table[v->delete_when_scaled][v->delete_when_deleted][!wanted];
}

static void check_create(const struct world *w, const struct statefulset_action *a)
{
    const struct statefulset_rules *v = &w->view.r;
    int at = a->ordinal;
    CHECK(world_wants(w, at) && w->state[at] == ABSENT);
    CHECK(!w->stale || !v->delete_when_scaled); /* a former pod's claim goes first */
    CHECK_EQ(a->owner, claim_owner(v, true));
    for (int i = v->start; i < at && !v->parallel; i++) {
        CHECK(world_well(w, i)); /* never before a predecessor is well */
    }
    for (int i = 0; i < N && v->recreate; i++) {
        CHECK(w->state[i] == ABSENT || w->revision[i] == NEW); /* the old ones go first */
    }
    CHECK(a->at_update || (!v->on_delete && !v->recreate));
    if (!v->on_delete && !v->recreate && v->has_rolling) {
        CHECK_EQ(a->at_update, at >= v->start + v->partition);
    }
}

static void check_update(const struct world *w, int at)
{
    const struct statefulset_rules *v = &w->view.r;
    CHECK(world_wants(w, at) && w->revision[at] != NEW && !v->on_delete && !v->recreate);
    CHECK(at - v->start >= v->partition);
}

static void check_delete(const struct world *w, const struct statefulset_action *a)
{
    const struct statefulset_rules *v = &w->view.r;
    int at = a->ordinal;
    CHECK(!world_stopping(w->state[at]));
    if (a->why == STATEFULSET_WHY_UPDATE) {
        check_update(w, at);
        for (int i = at + 1; i < v->start + v->replicas && v->max_unavailable == 0; i++) {
            CHECK(world_well(w, i) && w->revision[i] == NEW); /* from the top, one by one */
        }
    } else if (a->why == STATEFULSET_WHY_STUCK) {
        check_update(w, at);
        CHECK_EQ(w->state[at], PENDING); /* never one that was ready */
    } else if (a->why == STATEFULSET_WHY_RECREATE) {
        CHECK(v->recreate && w->revision[at] != NEW);
    } else if (a->why == STATEFULSET_WHY_SCALE_DOWN) {
        CHECK(!world_wants(w, at));
        CHECK((w->fits ? w->fits : WORLD_FIT) >> claim_owner(v, false) & 1); /* claims first */
        for (int i = 0; i < N && !v->parallel; i++) {
            CHECK(!world_wants(w, i) || world_well(w, i)); /* scale-down waits for health */
            CHECK(world_wants(w, i) || i <= at || w->state[i] == ABSENT); /* highest first */
        }
    } else {
        CHECK_EQ(a->why, STATEFULSET_WHY_TERMINAL);
        CHECK(world_wants(w, at) && world_ended(w->state[at]));
    }
}

static void check_action(const struct world *w, const struct statefulset_action *a)
{
    CHECK(a->ordinal >= 0 && a->ordinal < N);
    if (a->kind == STATEFULSET_CREATE_POD) {
        check_create(w, a);
        return;
    }
    CHECK(w->state[a->ordinal] != ABSENT);
    if (a->kind == STATEFULSET_FIX_CLAIMS) {
        CHECK_EQ(a->owner, claim_owner(&w->view.r, world_wants(w, a->ordinal)));
        CHECK(w->fits && !(w->fits >> a->owner & 1)); /* nothing is missing in these worlds */
    } else {
        CHECK_EQ(a->kind, STATEFULSET_DELETE_POD);
        check_delete(w, a);
    }
}

static void check_budget(const struct world *w, const struct statefulset_plan *plan)
{
    const struct statefulset_rules *v = &w->view.r;
    int updates = world_deletes(plan, STATEFULSET_WHY_UPDATE);
    if (v->max_unavailable == 0) {
        CHECK(updates <= 1);
        return;
    }
    int unwell = 0, healthy_updates = 0;
    for (int i = v->start; i < v->start + v->replicas; i++) {
        unwell += !world_well(w, i);
    }
    for (size_t i = 0; i < plan->action_count; i++) {
        const struct statefulset_action *a = &plan->actions[i];
        healthy_updates += a->why == STATEFULSET_WHY_UPDATE && world_well(w, a->ordinal);
    }
    CHECK(healthy_updates == 0 || unwell + healthy_updates <= v->max_unavailable);
    CHECK(v->parallel || healthy_updates == updates);
}

static bool is_at_current(const struct world *w, int i)
{
    return w->state[i] != ABSENT && w->revision[i] == (w->one_revision ? NEW : OLD);
}

static void check_status(const struct world *w, const struct statefulset_plan *plan)
{
    const struct statefulset_status *st = &plan->status;
    int replicas = 0, ready = 0, updated = 0, current = 0;
    for (int i = 0; i < N; i++) {
        bool lives = w->state[i] != ABSENT && !world_stopping(w->state[i]);
        replicas += w->state[i] != ABSENT;
        ready += is_ready(w->state[i]);
        updated += lives && w->revision[i] == NEW;
        current += lives && is_at_current(w, i);
    }
    for (size_t i = 0; i < plan->action_count; i++) { /* those that this pass updates */
        const struct statefulset_action *a = &plan->actions[i];
        current -= (a->why == STATEFULSET_WHY_UPDATE || a->why == STATEFULSET_WHY_STUCK) &&
                   is_at_current(w, a->ordinal);
    }
    CHECK_EQ(st->replicas, replicas);
    CHECK_EQ(st->ready, ready);
    CHECK_EQ(st->updated, updated);
    CHECK_EQ(st->current, st->complete ? updated : current);
    CHECK(st->available <= st->ready);
    CHECK_EQ(st->complete, updated == ready && ready == replicas && replicas == w->view.r.replicas);
}

/* Nothing to do and nothing to wait for means done. */
static void check_done(const struct world *w)
{
    const struct statefulset_rules *v = &w->view.r;
    for (int i = 0; i < N; i++) {
        CHECK_EQ(w->state[i] != ABSENT, world_wants(w, i));
        bool reached = v->on_delete || i - v->start < v->partition;
        CHECK(!world_wants(w, i) || world_well(w, i));
        CHECK(!world_wants(w, i) || reached || w->revision[i] == NEW);
    }
}

void world_check(const struct world *w, const struct statefulset_plan *plan)
{
    const struct statefulset_rules *v = &w->view.r;
    check_status(w, plan);
    if (v->deleting) {
        CHECK_EQ(plan->action_count, 0);
        return;
    }
    size_t fixes = 0;
    for (size_t i = 0; i < plan->action_count; i++) {
        check_action(w, &plan->actions[i]);
        fixes += plan->actions[i].kind == STATEFULSET_FIX_CLAIMS;
        for (size_t k = 0; k < i; k++) { /* no pod twice, but for its claims */
            CHECK(plan->actions[k].ordinal != plan->actions[i].ordinal ||
                  plan->actions[k].kind == STATEFULSET_FIX_CLAIMS);
        }
    }
    check_budget(w, plan);
    if (!v->parallel) {
        bool budgeted = v->max_unavailable > 1 || v->recreate;
        int stuck = world_deletes(plan, STATEFULSET_WHY_STUCK);
        CHECK((int)(plan->action_count - fixes) <= 1 + stuck || budgeted);
    }
    if (plan->action_count == 0 && plan->waiting == STATEFULSET_WHY_NONE && !plan->again) {
        check_done(w);
    }
}
