/* plan/pod_plan.c: the steps of a pod. See pod_plan.h for the states and the promises. */
#include "plan/pod_plan.h"

#include "base/check.h"

#define N POD_INSTANCE_NONE
#define S POD_INSTANCE_STARTING
#define R POD_INSTANCE_RUNNING
#define T POD_INSTANCE_STOPPING
#define X POD_INSTANCE_EXITED
#define D POD_INSTANCE_REMOVING
static const uint8_t next_instance[POD_INSTANCE_COUNT][POD_EVENT_COUNT] = {
    /*          START STARTED START_FAILED TERM EXITED REMOVE REMOVED REMOVE_FAILED */
    [N] = {S, N, N, N, N, N, N, N}, [S] = {S, R, X, S, X, S, S, S}, [R] = {R, R, R, T, X, R, R, R},
    [T] = {T, T, T, T, X, T, T, T}, [X] = {X, X, X, X, X, D, X, X}, [D] = {D, D, D, D, D, D, N, X},
};
#undef N
#undef S
#undef R
#undef T
#undef X
#undef D

enum pod_instance pod_instance_next(enum pod_instance now, enum pod_event event)
{
    assert(now < POD_INSTANCE_COUNT);
    assert(event < POD_EVENT_COUNT);
    return next_instance[now][event];
}

int64_t pod_backoff_ms(int64_t first_ms, int64_t max_ms, uint32_t failures)
{
    assert(first_ms > 0);
    assert(first_ms <= max_ms);
    if (failures == 0) {
        return 0;
    }
    int64_t ms = first_ms;
    for (uint32_t i = 1; i < failures && ms < max_ms; i++) {
        ms *= 2;
    }
    assert(ms >= first_ms);
    return ms < max_ms ? ms : max_ms;
}

static bool ran_long(const struct pod_container_view *c)
{
    return c->has_result && c->result.finished_ms - c->result.started_ms >= POD_CRASH_RESET_MS;
}

int64_t pod_crash_backoff_ms(const struct pod_container_view *c)
{
    assert(c);
    if (ran_long(c) || c->stale || c->renewed) {
        return 0;
    }
    return pod_backoff_ms(POD_CRASH_FIRST_MS, POD_CRASH_MAX_MS, c->restarts_in_a_row);
}

uint32_t pod_restarts_after(const struct pod_container_view *c)
{
    assert(c);
    if (!c->has_attempt || c->stale) {
        return 0;
    }
    if (c->renewed) {
        return c->restarts_in_a_row;
    }
    return ran_long(c) ? 1 : c->restarts_in_a_row + 1;
}

bool pod_init_completed(const struct pod_container_view *c)
{
    assert(c->instance < POD_INSTANCE_COUNT);
    return !pod_instance_live(c->instance) && c->has_result && !c->stale && !c->renewed &&
           c->result.exit_code == 0 && !c->result.start_failed && !c->result.lost;
}

static bool ran_here(const struct pod_container_view *c)
{
    assert(c->instance < POD_INSTANCE_COUNT);
    return pod_instance_live(c->instance) || (c->has_attempt && !c->stale);
}

bool pod_init_passed(const struct pod_view *v, size_t i)
{
    assert(i < v->init_count);
    const struct pod_container_view *c = &v->inits[i];
    if (!c->sidecar) {
        return pod_init_completed(c);
    }
    if (c->instance == POD_INSTANCE_RUNNING && c->started) {
        return true;
    }
    for (size_t k = i + 1; k < v->init_count; k++) {
        if (ran_here(&v->inits[k])) {
            return true;
        }
    }
    for (size_t k = 0; k < v->main_count; k++) {
        if (ran_here(&v->mains[k])) {
            return true;
        }
    }
    return false;
}

size_t pod_init_current(const struct pod_view *v)
{
    assert(v->inits || v->init_count == 0);
    for (size_t i = 0; i < v->init_count; i++) {
        if (!pod_init_passed(v, i)) {
            return i;
        }
    }
    return v->init_count;
}

bool pod_wants_restart(const struct pod_view *v, const struct pod_container_view *c, bool init)
{
    assert(!pod_instance_live(c->instance));
    if (!c->has_result || c->sidecar || c->renewed) {
        return true; /* never started, or kept running as long as the pod goes on */
    }
    if (init) {
        if (c->stale) {
            return true; /* a new sandbox runs them again */
        }
        bool ok = pod_init_completed(c);
        return !ok && v->policy != POD_NEVER;
    }
    if (v->policy == POD_ALWAYS) {
        return true;
    }
    bool failed = c->result.exit_code != 0 || c->result.start_failed || c->result.lost;
    return v->policy == POD_ON_FAILURE && failed;
}

/* What is deleted is not started any more. A pod that ends by itself says how it has ended, since a
 * job may keep it until it does. */
static bool is_given_up(const struct pod_view *v)
{
    return v->deleting && v->policy != POD_ALWAYS;
}

struct span pod_final_phase(const struct pod_view *v)
{
    assert(!v->acked_terminal || v->acked_phase.n > 0);
    if (v->acked_terminal) {
        return v->acked_phase;
    }
    if (v->rejected.n > 0) {
        return SPAN("Failed");
    }
    for (size_t i = 0; i < v->init_count; i++) {
        const struct pod_container_view *c = &v->inits[i];
        if (!pod_instance_live(c->instance) && c->has_result && !pod_init_completed(c) &&
            !pod_wants_restart(v, c, true)) {
            return SPAN("Failed");
        }
    }
    bool failed = false;
    for (size_t i = 0; i < v->main_count; i++) {
        const struct pod_container_view *c = &v->mains[i];
        bool ended = c->has_result && !pod_wants_restart(v, c, false);
        if (pod_instance_live(c->instance) || !(ended || is_given_up(v))) {
            return SPAN_NULL;
        }
        failed |= !ended || c->result.exit_code != 0 || c->result.start_failed || c->result.lost;
    }
    if (v->main_count == 0) {
        return SPAN_NULL;
    }
    return failed ? SPAN("Failed") : SPAN("Succeeded");
}

bool pod_is_overdue(const struct pod_view *v)
{
    assert(v->deadline_ms >= 0);
    return v->deadline_ms != 0 && v->now_ms >= v->deadline_ms;
}

bool pod_is_ending(const struct pod_view *v)
{
    assert(v);
    return v->deleting || v->stop_only || pod_is_overdue(v) || pod_final_phase(v).n > 0;
}

/* ---- the planner's own working state ---- */

struct work {
    struct arena *a;
    const struct pod_view *v;
    struct pod_plan *plan;
};

/* A container and where it stands. */
struct place {
    const struct pod_container_view *c;
    bool init, extra;
    size_t i;
};

static size_t place_count(const struct pod_view *v)
{
    return v->init_count + v->main_count + v->extra_count;
}

/* The n-th of all: inits, mains, extras. */
static struct place place_at(const struct pod_view *v, size_t n)
{
    assert(n < place_count(v));
    if (n < v->init_count) {
        return (struct place){.c = &v->inits[n], .init = true, .i = n};
    }
    n -= v->init_count;
    if (n < v->main_count) {
        return (struct place){.c = &v->mains[n], .i = n};
    }
    n -= v->main_count;
    return (struct place){.c = &v->extras[n], .extra = true, .i = n};
}

static void add_step(struct work *w, struct pod_step s)
{
    struct pod_plan *p = w->plan;
    assert(p->step_count < 4 + 2 * place_count(w->v));
    p->steps[p->step_count++] = s;
}

static void step(struct work *w, enum pod_step_type type)
{
    add_step(w, (struct pod_step){.type = type});
}

static void step_at(struct work *w, enum pod_step_type type, const struct place *at,
                    uint32_t attempt)
{
    assert(at->i < (at->extra  ? w->v->extra_count
                    : at->init ? w->v->init_count
                               : w->v->main_count));
    assert(type == POD_STEP_START || attempt <= at->c->attempt);
    add_step(w, (struct pod_step){.type = type,
                                  .init = at->init,
                                  .extra = at->extra,
                                  .container = at->i,
                                  .attempt = attempt});
}

static void wake_at(struct work *w, int64_t ms)
{
    if (ms > w->v->now_ms && (w->plan->wake_ms == 0 || ms < w->plan->wake_ms)) {
        w->plan->wake_ms = ms;
    }
}

/* True when the thing may be tried (now), else arranges the wake-up. */
static bool may_try(struct work *w, const struct pod_prep *p, int64_t first_ms, int64_t max_ms)
{
    assert(first_ms <= max_ms);
    if (p->state == POD_PREP_TODO) {
        return true;
    }
    if (p->state != POD_PREP_FAILED) {
        return false;
    }
    int64_t at = p->failed_ms + pod_backoff_ms(first_ms, max_ms, p->failures);
    wake_at(w, at);
    return at <= w->v->now_ms;
}

/* When a container that was told to end is killed. A sidecar is told late: what is left of the
 * pod's grace is its own, but two seconds at least. */
static int64_t kill_at(const struct pod_view *v, const struct pod_container_view *c)
{
    assert(c->instance == POD_INSTANCE_STOPPING);
    bool ending = pod_is_ending(v);
    int64_t grace_ms = c->unhealthy_grace_ms && !ending ? c->unhealthy_grace_ms : v->grace_ms;
    if (!c->sidecar || !ending || v->ending_ms == 0) {
        return c->stop_ms + grace_ms;
    }
    int64_t least = grace_ms < POD_SIDECAR_GRACE_MIN_MS ? grace_ms : POD_SIDECAR_GRACE_MIN_MS;
    int64_t at = v->ending_ms + grace_ms, earliest = c->stop_ms + least;
    return at > earliest ? at : earliest;
}

static void plan_stop(struct work *w, const struct place *at, bool end)
{
    const struct pod_view *v = w->v;
    assert(!at->init || at->i < w->v->init_count);
    const struct pod_container_view *c = at->c;
    if (c->instance == POD_INSTANCE_RUNNING && end) {
        step_at(w, POD_STEP_TERM, at, c->attempt);
    }
    if (c->instance == POD_INSTANCE_STOPPING && !c->kill_sent) {
        int64_t due_ms = kill_at(v, c);
        if (due_ms <= v->now_ms) {
            step_at(w, POD_STEP_KILL, at, c->attempt);
        }
        wake_at(w, due_ms);
    }
}

/* A sidecar serves the others until they have ended: those that came after it end first. */
static bool may_end(const struct pod_view *v, const struct pod_container_view *c, size_t init_at)
{
    assert(!c->sidecar || init_at < v->init_count);
    if (!c->sidecar) {
        return true;
    }
    for (size_t i = init_at + 1; i < v->init_count; i++) {
        if (pod_instance_live(v->inits[i].instance)) {
            return false;
        }
    }
    for (size_t i = 0; i < v->main_count; i++) {
        if (pod_instance_live(v->mains[i].instance)) {
            return false;
        }
    }
    return true;
}

/* Ends everything, then takes everything away, then the API object. */
static void plan_ending(struct work *w)
{
    const struct pod_view *v = w->v;
    bool gone = v->deleting || v->stop_only;
    /* A finished pod keeps its ended containers until the API server knows how they ended. */
    bool may_remove = gone || v->acked_terminal;
    size_t left = 0;
    for (size_t n = 0; n < place_count(v); n++) {
        struct place at = place_at(v, n);
        left += at.c->instance != POD_INSTANCE_NONE;
        plan_stop(w, &at, may_end(v, at.c, at.i));
        if (at.c->instance == POD_INSTANCE_EXITED && may_remove) {
            step_at(w, POD_STEP_REMOVE, &at, at.c->attempt);
        }
    }
    assert(left <= place_count(v));
    if (left > 0 || !may_remove) {
        return;
    }
    if (v->sandbox.state == POD_PREP_DONE || v->sandbox.state == POD_PREP_FAILED) {
        step(w, POD_STEP_REMOVE_SANDBOX);
        return;
    }
    if (v->sandbox.state != POD_PREP_TODO) {
        return; /* busy either way */
    }
    if (v->volumes.state == POD_PREP_DONE || v->volumes.state == POD_PREP_FAILED) {
        step(w, POD_STEP_TEARDOWN_VOLUMES);
        return;
    }
    if (v->volumes.state != POD_PREP_TODO) {
        return;
    }
    if (v->deleting && v->exists && !v->stop_only) {
        /* A finalizer may keep the object, and its owner waits to read there how it ended. */
        bool told = v->acked_terminal || pod_final_phase(v).n == 0;
        if (told && !v->object_deleted) {
            step(w, POD_STEP_DELETE_OBJECT);
        }
        return;
    }
    if (gone) {
        step(w, POD_STEP_FORGET);
    }
}

/* A container whose turn it is. Returns true when a start is under way, so that the next one waits.
 */
static bool plan_container(struct work *w, const struct place *at)
{
    const struct pod_view *v = w->v;
    const struct pod_container_view *c = at->c;
    assert(at->c);
    assert(at->i < place_count(w->v));
    plan_stop(w, at, c->unhealthy);
    if (c->instance == POD_INSTANCE_STARTING) {
        return true;
    }
    if (pod_instance_live(c->instance) || c->instance == POD_INSTANCE_REMOVING ||
        !(at->extra ? !c->has_attempt : pod_wants_restart(v, c, at->init))) {
        return false;
    }
    if (c->has_result && c->has_attempt) {
        int64_t due_ms = c->result.finished_ms + pod_crash_backoff_ms(c);
        wake_at(w, due_ms);
        if (due_ms > v->now_ms) {
            return false;
        }
    }
    if (c->instance == POD_INSTANCE_EXITED) {
        step_at(w, POD_STEP_REMOVE, at, c->attempt);
        return false;
    }
    if (may_try(w, &c->image_prep, POD_IMAGE_FIRST_MS, POD_IMAGE_MAX_MS)) {
        step_at(w, POD_STEP_PREPARE_IMAGE, at, 0);
        return false;
    }
    if (c->image_prep.state == POD_PREP_FAILED) {
        wake_at(w, c->image_prep.failed_ms + POD_IMAGE_ERR_SHOWN_MS);
    }
    bool ready = c->image_prep.state == POD_PREP_DONE && v->volumes.state == POD_PREP_DONE &&
                 v->sandbox.state == POD_PREP_DONE && !v->sandbox_broken;
    if (!ready || c->config_reason.n > 0) {
        return false;
    }
    assert(c->instance == POD_INSTANCE_NONE);
    assert(!pod_is_ending(v));
    step_at(w, POD_STEP_START, at, c->has_attempt ? c->attempt + 1 : 0);
    return true;
}

/* A sandbox whose namespaces died takes its containers with it: all of them end, then it is
 * removed. */
static void plan_broken_sandbox(struct work *w)
{
    const struct pod_view *v = w->v;
    assert(v->sandbox_broken);
    size_t left = 0;
    for (size_t n = 0; n < place_count(v); n++) {
        struct place at = place_at(v, n);
        left += at.c->instance != POD_INSTANCE_NONE;
        plan_stop(w, &at, true);
        if (at.c->instance == POD_INSTANCE_EXITED) {
            step_at(w, POD_STEP_REMOVE, &at, at.c->attempt);
        }
    }
    if (left == 0 && v->sandbox.state == POD_PREP_DONE) {
        step(w, POD_STEP_REMOVE_SANDBOX);
    }
}

/* Those whose turn it is: sidecars that have their turn behind them, then the init container whose
 * turn it is, or else the main ones. One start at a time, in the spec's order. */
static void plan_containers(struct work *w, bool mountable)
{
    const struct pod_view *v = w->v;
    size_t current = pod_init_current(v), total = v->init_count + v->main_count;
    bool starting = false;
    assert(current <= v->init_count);
    assert(!v->sandbox_broken);
    for (size_t n = 0; n < total; n++) {
        starting |= place_at(v, n).c->instance == POD_INSTANCE_STARTING;
    }
    for (size_t n = 0; n < total; n++) {
        struct place at = place_at(v, n);
        bool turn = at.init ? at.i == current || (at.i < current && at.c->sidecar)
                            : current == v->init_count;
        bool idle = !pod_instance_live(at.c->instance);
        if (!turn || (idle && !mountable)) {
            continue;
        }
        size_t before = w->plan->step_count;
        if (plan_container(w, &at)) {
            if (idle && starting) {
                w->plan->step_count = before;
            }
            starting = true;
        }
    }
}

/* Whoever wants to look around waits for nobody but the sandbox. */
static void plan_extras(struct work *w)
{
    const struct pod_view *v = w->v;
    for (size_t n = v->init_count + v->main_count; n < place_count(v); n++) {
        struct place at = place_at(v, n);
        (void)plan_container(w, &at);
    }
}

static void plan_running(struct work *w)
{
    const struct pod_view *v = w->v;
    assert(!v->deleting);
    assert(!v->stop_only);
    wake_at(w, v->deadline_ms);
    if (v->refused.n > 0 || !v->inputs_ready) {
        return;
    }
    if (v->sandbox_broken) {
        plan_broken_sandbox(w);
        return;
    }
    bool mountable = v->volumes_reason.n == 0;
    if (mountable && may_try(w, &v->volumes, POD_VOLUME_FIRST_MS, POD_VOLUME_MAX_MS)) {
        step(w, POD_STEP_PREPARE_VOLUMES);
    }
    if (mountable && v->volumes.state != POD_PREP_FAILED &&
        may_try(w, &v->sandbox, POD_SANDBOX_FIRST_MS, POD_SANDBOX_MAX_MS)) {
        step(w, POD_STEP_CREATE_SANDBOX);
    }
    plan_containers(w, mountable);
    plan_extras(w);
}

void pod_plan(struct arena *a, const struct pod_view *view, struct pod_plan *ret)
{
    assert(a);
    assert(ret);
    assert(view->mains || view->main_count == 0);
    assert(view->uid.n > 0);
    assert(!view->acked_terminal || view->acked_phase.n > 0);
    size_t max = 4 + 2 * place_count(view);
    *ret = (struct pod_plan){.steps = ARENA_ARRAY(a, struct pod_step, max)};
    struct work w = {a, view, ret};
    if (pod_is_ending(view)) {
        plan_ending(&w);
    } else {
        plan_running(&w);
    }
    assert(ret->step_count <= max);
    assert(ret->wake_ms == 0 || ret->wake_ms > view->now_ms);
    pod_plan_status(a, view, &ret->status);
    assert(ret->status.phase.n > 0);
}
