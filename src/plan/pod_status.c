/* plan/pod_status.c: the status half of pod_plan: phase, conditions and container statuses as
 * Kubernetes words them. */
#include "base/check.h"
#include "plan/pod_plan.h"

static struct span instance_id(struct arena *a, const struct pod_view *v,
                               const struct pod_container_view *c, uint32_t attempt)
{
    assert(v->uid.n > 0);
    char digits[SPAN_NUMBER_BYTES];
    return ARENA_JOIN(a, v->container_scheme, SPAN("://"), v->uid, SPAN("-"), c->name, SPAN("-"),
                      span_u64(digits, attempt));
}

static struct pod_state terminated(struct arena *a, const struct pod_view *v,
                                   const struct pod_container_view *c, const struct pod_result *r)
{
    assert(r);
    struct span reason = r->lost           ? SPAN("ContainerStatusUnknown")
                         : r->start_failed ? SPAN("ContainerCannotRun")
                         : r->oom_killed   ? SPAN("OOMKilled")
                         : r->exit_code    ? SPAN("Error")
                                           : SPAN("Completed");
    return (struct pod_state){
        .kind = POD_STATE_TERMINATED,
        .reason = reason,
        .message = r->message,
        .exit_code = r->exit_code,
        .signal = r->signal,
        .started_ms = r->started_ms,
        .finished_ms = r->finished_ms,
        .container_id = instance_id(a, v, c, r->attempt),
    };
}

static struct pod_state waiting(struct span reason, struct span message)
{
    return (struct pod_state){.kind = POD_STATE_WAITING, .reason = reason, .message = message};
}

/* "10s", "1m20s", "5m0s": Go's duration text. */
static struct span duration_text(struct arena *a, int64_t ms)
{
    assert(ms >= 0);
    int64_t s = ms / 1000;
    if (s < 60) {
        return arena_printf(a, "%llds", (long long)s);
    }
    return arena_printf(a, "%lldm%llds", (long long)(s / 60), (long long)(s % 60));
}

static struct pod_state image_waiting(struct arena *a, const struct pod_view *v,
                                      const struct pod_container_view *c)
{
    const struct pod_prep *p = &c->image_prep;
    if (span_eq_cstr(p->reason, "ErrImagePull") && p->state == POD_PREP_FAILED &&
        v->now_ms < p->failed_ms + POD_IMAGE_ERR_SHOWN_MS) {
        return waiting(p->reason, p->message);
    }
    if (span_eq_cstr(p->reason, "ErrImagePull")) {
        return waiting(SPAN("ImagePullBackOff"),
                       arena_printf(a, "Back-off pulling image \"%.*s\": ErrImagePull: %.*s",
                                    SPAN_ARG(c->image), SPAN_ARG(p->message)));
    }
    return waiting(p->reason, p->message);
}

/* What keeps the whole pod from its first container: missing objects, what did not work when it was
 * tried last (also while it is tried again), or the node. */
static struct span pod_obstacle(struct arena *a, const struct pod_view *v)
{
    if (v->volumes_message.n > 0) {
        return v->volumes_message;
    }
    if (v->volumes.failures > 0) {
        return v->volumes.message;
    }
    if (v->sandbox.failures > 0 && v->sandbox.message.n > 0) {
        return arena_printf(a, "Failed to create pod sandbox: %.*s", SPAN_ARG(v->sandbox.message));
    }
    return v->held;
}

/* Why a container that is not there is not there. */
static struct pod_state why_waiting(struct arena *a, const struct pod_view *v,
                                    const struct pod_container_view *c, bool init)
{
    if (v->refused.n > 0) {
        return waiting(SPAN("CreateContainerConfigError"), v->refused);
    }
    size_t current = pod_init_current(v);
    bool turn = !init ? current == v->init_count
                      : (current < v->init_count && c == &v->inits[current]) ||
                            (c->sidecar && c < v->inits + current);
    if (!turn) {
        return waiting(SPAN("PodInitializing"), SPAN_NULL);
    }
    int64_t backoff = pod_crash_backoff_ms(c);
    if (c->has_result && !c->stale && c->result.finished_ms + backoff > v->now_ms) {
        if (c->result.start_failed && c->result.attempt == 0) {
            return waiting(SPAN("RunContainerError"), c->result.message);
        }
        return waiting(
            SPAN("CrashLoopBackOff"),
            arena_printf(a, "back-off %.*s restarting failed container=%.*s pod=%.*s_%.*s(%.*s)",
                         SPAN_ARG(duration_text(a, backoff)), SPAN_ARG(c->name), SPAN_ARG(v->name),
                         SPAN_ARG(v->ns), SPAN_ARG(v->uid)));
    }
    if (c->image_prep.reason.n > 0 && c->image_prep.state != POD_PREP_DONE) {
        return image_waiting(a, v, c);
    }
    if (c->config_reason.n > 0 && v->volumes_reason.n == 0) {
        return waiting(c->config_reason, c->config_message);
    }
    if (c->instance == POD_INSTANCE_NONE && c->has_result && c->result.start_failed) {
        return waiting(SPAN("RunContainerError"), c->result.message);
    }
    struct span obstacle = pod_obstacle(a, v);
    if (c->pulling && obstacle.n == 0) {
        obstacle = arena_printf(a, "image \"%.*s\" is being fetched", SPAN_ARG(c->image));
    }
    return waiting(v->init_count > 0 ? SPAN("PodInitializing") : SPAN("ContainerCreating"),
                   obstacle);
}

static struct pod_container_status container_status(struct arena *a, const struct pod_view *v,
                                                    const struct pod_container_view *c, bool init)
{
    struct pod_container_status s = {
        .name = c->name, .image = c->image, .restart_count = c->has_attempt ? c->attempt : 0};
    s.resources = c->resources;
    if (c->has_last) {
        s.last = terminated(a, v, c, &c->last);
    }
    bool ending = pod_is_ending(v);
    if (c->instance == POD_INSTANCE_RUNNING || c->instance == POD_INSTANCE_STOPPING) {
        s.state = (struct pod_state){.kind = POD_STATE_RUNNING, .started_ms = c->started_ms};
        s.started = c->started;
        s.ready = (!init || c->sidecar) && c->ready && c->started &&
                  c->instance == POD_INSTANCE_RUNNING && !ending;
    } else if (c->instance == POD_INSTANCE_STARTING) {
        s.state = why_waiting(a, v, c, init);
    } else if (c->has_result && (ending || (!c->sidecar && pod_init_completed(c)) ||
                                 !pod_wants_restart(v, c, init))) {
        s.state = terminated(a, v, c, &c->result);
        s.ready = init && !c->sidecar && pod_init_completed(c);
    } else {
        s.state = why_waiting(a, v, c, init);
        if (c->has_result) {
            s.last = terminated(a, v, c, &c->result);
        }
    }
    if (c->has_attempt) {
        s.container_id = instance_id(a, v, c, c->attempt);
        s.image_id = c->image_id;
    }
    if (s.state.kind != POD_STATE_WAITING && c->ran_image.n > 0) {
        s.image = c->ran_image; /* the spec may name another one by now */
    }
    return s;
}

/* Under another policy than Always the API refuses that a container that has ended well is told to
 * run. An init container does run again, in a new sandbox: until it has ended, what is told of it
 * is the last time. */
static void tell_last_end(const struct pod_view *v, const struct pod_container_view *c,
                          struct pod_container_status *s)
{
    if (v->policy != POD_ALWAYS && !c->sidecar && s->state.kind != POD_STATE_TERMINATED &&
        s->last.kind == POD_STATE_TERMINATED && s->last.exit_code == 0) {
        s->state = s->last;
        s->started = false;
    }
}

/* A container put in later: it starts once, and is never ready for anything. */
static struct pod_container_status extra_status(struct arena *a, const struct pod_view *v,
                                                const struct pod_container_view *c)
{
    struct pod_container_status s = {.name = c->name, .image = c->image};
    if (c->instance == POD_INSTANCE_RUNNING || c->instance == POD_INSTANCE_STOPPING) {
        s.state = (struct pod_state){.kind = POD_STATE_RUNNING, .started_ms = c->started_ms};
    } else if (c->has_result) {
        s.state = terminated(a, v, c, &c->result);
    } else if (c->image_prep.reason.n > 0 && c->image_prep.state != POD_PREP_DONE) {
        s.state = image_waiting(a, v, c);
    } else if (c->config_reason.n > 0) {
        s.state = waiting(c->config_reason, c->config_message);
    } else {
        s.state = waiting(SPAN("ContainerCreating"), v->volumes_message);
    }
    if (c->has_attempt) {
        s.container_id = instance_id(a, v, c, c->attempt);
        s.image_id = c->image_id;
    }
    return s;
}

static bool sidecar_lives(const struct pod_view *v)
{
    for (size_t i = 0; i < v->init_count; i++) {
        if (v->inits[i].sidecar && pod_instance_live(v->inits[i].instance)) {
            return true;
        }
    }
    return false;
}

static struct span phase_of(const struct pod_view *v, const struct pod_status *s)
{
    assert(s->main_count <= v->main_count);
    struct span final = pod_final_phase(v);
    if (final.n > 0 && !v->acked_terminal && sidecar_lives(v)) {
        /* The end is told when the last of them has ended. */
        return pod_init_current(v) < v->init_count ? SPAN("Pending") : SPAN("Running");
    }
    if (final.n > 0) {
        return final;
    }
    if (pod_is_overdue(v)) {
        return SPAN("Failed");
    }
    if (pod_init_current(v) < v->init_count) {
        return SPAN("Pending");
    }
    size_t running = 0, fresh = 0, ended = 0;
    for (size_t i = 0; i < s->main_count; i++) {
        const struct pod_container_status *c = &s->mains[i];
        running += c->state.kind == POD_STATE_RUNNING;
        ended += c->state.kind == POD_STATE_TERMINATED;
        if (c->state.kind == POD_STATE_WAITING) {
            ended += c->last.kind == POD_STATE_TERMINATED;
            fresh += c->last.kind != POD_STATE_TERMINATED;
        }
    }
    return fresh == 0 && running + ended > 0 ? SPAN("Running") : SPAN("Pending");
}

static void set_condition(const struct pod_view *v, struct pod_status *s, struct span type,
                          bool yes, struct span reason, struct span message)
{
    assert(type.n > 0);
    assert(s->conditions);
    struct pod_condition c = {.type = type,
                              .status = yes ? SPAN("True") : SPAN("False"),
                              .reason = reason,
                              .message = message,
                              .transition_ms = v->now_ms};
    for (size_t i = 0; i < v->condition_count; i++) {
        const struct pod_condition *old = &v->conditions[i];
        if (span_eq(old->type, c.type) && span_eq(old->status, c.status) && old->transition_ms) {
            c.transition_ms = old->transition_ms;
        }
    }
    s->conditions[s->condition_count++] = c;
}

static const struct span own_conditions[] = {
    SPAN("PodReadyToStartContainers"), SPAN("Initialized"),  SPAN("Ready"),
    SPAN("ContainersReady"),           SPAN("PodScheduled"), SPAN("PodResizePending"),
    SPAN("PodResizeInProgress")};

bool pod_condition_is_own(struct span type)
{
    for (size_t i = 0; i < sizeof own_conditions / sizeof own_conditions[0]; i++) {
        if (span_eq(type, own_conditions[i])) {
            return true;
        }
    }
    return false;
}

static struct span add_name(struct arena *a, struct span list, struct span name)
{
    return list.n ? ARENA_JOIN(a, list, SPAN(" "), name) : name;
}

/* "[a b]" of the containers that keep the pod from being ready; empty when none does. */
static struct span unready_list(struct arena *a, const struct pod_view *v,
                                const struct pod_status *s)
{
    assert(s->init_count <= v->init_count);
    struct span list = SPAN_NULL;
    for (size_t i = 0; i < s->init_count; i++) {
        list =
            v->inits[i].sidecar && !s->inits[i].ready ? add_name(a, list, s->inits[i].name) : list;
    }
    for (size_t i = 0; i < s->main_count; i++) {
        list = s->mains[i].ready ? list : add_name(a, list, s->mains[i].name);
    }
    return list.n ? ARENA_JOIN(a, SPAN("["), list, SPAN("]")) : SPAN_NULL;
}

static struct span incomplete_list(struct arena *a, const struct pod_view *v)
{
    struct span list = SPAN_NULL;
    for (size_t i = 0; i < v->init_count; i++) {
        list = pod_init_passed(v, i) ? list : add_name(a, list, v->inits[i].name);
    }
    return list.n ? ARENA_JOIN(a, SPAN("["), list, SPAN("]")) : SPAN_NULL;
}

/* Kubernetes' own sentence, then what people ask next: what each running one was asked and what it
 * answered. */
static struct span unready_message(struct arena *a, const struct pod_view *v,
                                   const struct pod_status *s, struct span list)
{
    struct span text = ARENA_JOIN(a, SPAN("containers with unready status: "), list);
    size_t total = pod_is_ending(v) ? 0 : v->init_count + v->main_count;
    for (size_t n = 0; n < total; n++) {
        bool init = n < v->init_count;
        size_t i = init ? n : n - v->init_count;
        const struct pod_container_view *c = init ? &v->inits[i] : &v->mains[i];
        bool ready = init ? s->inits[i].ready : s->mains[i].ready;
        bool running = c->instance == POD_INSTANCE_RUNNING;
        struct span cause = running ? c->unready_cause : c->end_cause;
        if (ready || cause.n == 0) {
            continue;
        }
        text = ARENA_JOIN(a, text, SPAN("; "), c->name, SPAN(": "), cause);
        if (running && c->end_cause.n > 0 && span_ends(c->unready_cause, SPAN("yet"))) {
            text =
                arena_printf(a, "%.*s (before that: %.*s)", SPAN_ARG(text), SPAN_ARG(c->end_cause));
        }
    }
    return text;
}

static bool gates_pass(struct arena *a, const struct pod_view *v, struct span *ret_message)
{
    assert(ret_message);
    for (size_t g = 0; g < v->gate_count; g++) {
        struct span status = SPAN_NULL;
        for (size_t i = 0; i < v->condition_count; i++) {
            if (span_eq(v->conditions[i].type, v->gates[g])) {
                status = v->conditions[i].status;
            }
        }
        if (!span_eq_cstr(status, "True")) {
            *ret_message =
                status.n
                    ? arena_printf(
                          a, "the status of pod readiness gate \"%.*s\" is not \"True\", but %.*s",
                          SPAN_ARG(v->gates[g]), SPAN_ARG(status))
                    : arena_printf(
                          a,
                          "corresponding condition of pod readiness gate \"%.*s\" does not exist.",
                          SPAN_ARG(v->gates[g]));
            return false;
        }
    }
    return true;
}

static void conditions(struct arena *a, const struct pod_view *v, struct pod_status *s)
{
    assert(s->phase.n > 0);
    size_t max = v->condition_count + sizeof own_conditions / sizeof own_conditions[0];
    s->conditions = ARENA_ARRAY(a, struct pod_condition, max);
    bool succeeded = span_eq_cstr(s->phase, "Succeeded"), failed = span_eq_cstr(s->phase, "Failed");
    struct span none = SPAN_NULL;
    struct span done = succeeded ? SPAN("PodCompleted") : SPAN("PodFailed");

    set_condition(v, s, own_conditions[0], v->sandbox.state == POD_PREP_DONE && !v->sandbox_broken,
                  none, none);
    struct span inits = incomplete_list(a, v);
    if (inits.n && !succeeded) {
        set_condition(v, s, own_conditions[1], false, SPAN("ContainersNotInitialized"),
                      arena_printf(a, "containers with incomplete status: %.*s", SPAN_ARG(inits)));
    } else {
        set_condition(v, s, own_conditions[1], true, succeeded ? done : none, none);
    }
    struct span mains = unready_list(a, v, s);
    struct span gate_message = SPAN_NULL;
    struct span why = mains.n ? unready_message(a, v, s, mains) : none;
    if (succeeded || failed) {
        set_condition(v, s, own_conditions[2], false, done, none);
        set_condition(v, s, own_conditions[3], false, done, none);
    } else if (mains.n) {
        set_condition(v, s, own_conditions[2], false, SPAN("ContainersNotReady"), why);
        set_condition(v, s, own_conditions[3], false, SPAN("ContainersNotReady"), why);
    } else {
        bool pass = gates_pass(a, v, &gate_message);
        set_condition(v, s, own_conditions[2], pass, pass ? none : SPAN("ReadinessGatesNotReady"),
                      gate_message);
        set_condition(v, s, own_conditions[3], true, none, none);
    }
    set_condition(v, s, own_conditions[4], true, none, none);
    if (v->resize_pending.n) {
        set_condition(v, s, own_conditions[5], true, v->resize_pending, v->resize_message);
    } else if (v->resizing) {
        set_condition(v, s, own_conditions[6], true, v->resize_message.n ? SPAN("Error") : none,
                      v->resize_message);
    }
    for (size_t i = 0; i < v->condition_count; i++) {
        if (!pod_condition_is_own(v->conditions[i].type)) {
            s->conditions[s->condition_count++] = v->conditions[i];
        }
    }
    assert(s->condition_count <= max);
}

/* To be filled. */
static struct pod_container_status *room_for(struct arena *a, size_t n)
{
    return n ? arena_alloc_raw(a, n * sizeof(struct pod_container_status)) : NULL;
}

void pod_plan_status(struct arena *a, const struct pod_view *v, struct pod_status *ret)
{
    assert(a);
    assert(ret);
    *ret = (struct pod_status){
        .host_ip = v->host_ip,
        .qos_class = v->qos_class,
        .start_ms = v->start_ms ? v->start_ms : v->now_ms,
        .inits = room_for(a, v->init_count),
        .mains = room_for(a, v->main_count),
        .extras = room_for(a, v->extra_count),
        .init_count = v->init_count,
        .main_count = v->main_count,
        .extra_count = v->extra_count,
    };
    ret->pod_ip = v->host_network ? v->host_ip : v->pod_ip;
    for (size_t i = 0; i < v->init_count; i++) {
        ret->inits[i] = container_status(a, v, &v->inits[i], true);
        tell_last_end(v, &v->inits[i], &ret->inits[i]);
    }
    for (size_t i = 0; i < v->main_count; i++) {
        ret->mains[i] = container_status(a, v, &v->mains[i], false);
    }
    for (size_t i = 0; i < v->extra_count; i++) {
        ret->extras[i] = extra_status(a, v, &v->extras[i]);
    }
    ret->phase = phase_of(v, ret);
    assert(ret->phase.n > 0);
    if (pod_is_overdue(v) && span_eq_cstr(ret->phase, "Failed")) {
        ret->reason = SPAN("DeadlineExceeded");
        ret->message = SPAN("Pod was active on the node longer than the specified deadline");
    }
    if (v->rejected.n > 0) { /* no container was ever thought of */
        ret->reason = v->rejected;
        ret->message = arena_printf(a, "Pod was rejected: %.*s", SPAN_ARG(v->rejected_message));
        ret->init_count = ret->main_count = ret->extra_count = 0;
    }
    conditions(a, v, ret);
}
