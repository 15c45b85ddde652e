/* kubelet/kubelet_adopt.c: what an agent that starts makes of a pod that was there before: of what
 * the API says of it, and of what the runtime has. */
#include "base/check.h"
#include "base/log.h"
#include "client/client_body.h"
#include "codec/time.h"
#include "kubelet/kubelet_priv.h"
#include "kubelet/kubelet_resize.h"
#include "schema/status.h"

static void result_from(struct pod_result *r, const yyjson_val *terminated, uint32_t attempt)
{
    *r = (struct pod_result){
        .exit_code = (int32_t)json_get_int(terminated, "exitCode", 255),
        .signal = (int32_t)json_get_int(terminated, "signal", 0),
        .oom_killed = span_eq_cstr(json_get_str(terminated, "reason"), "OOMKilled"),
        .start_failed = span_eq_cstr(json_get_str(terminated, "reason"), "ContainerCannotRun"),
        .started_ms = time_or(json_get_str(terminated, "startedAt"), 0),
        .finished_ms = time_or(json_get_str(terminated, "finishedAt"), 0),
        .attempt = attempt,
    };
    struct span message = json_get_str(terminated, "message");
    r->message = SPAN_NULL;
    kubelet_keep(&r->message, message);
}

/* What the API says of a container; NULL: nothing. */
static const yyjson_val *told_of(const struct kubelet_container *c)
{
    const char *list = c->init    ? "initContainerStatuses"
                       : c->extra ? "ephemeralContainerStatuses"
                                  : "containerStatuses";
    return json_find(json_get(client_status(c->pod->object), list), "name", c->v->name);
}

/* That this instance has ended. */
static bool end_is_told(const struct kubelet_container *c, struct span id)
{
    static const char *const states[] = {"state", "lastState"};
    const yyjson_val *status = told_of(c);
    bool told = false;
    for (size_t i = 0; i < 2; i++) {
        struct span of = json_str(json_path(status, states[i], "terminated", "containerID", NULL));
        told |= span_ends(of, id);
    }
    return told;
}

/* What is said to wait for its next start, and would not by its policy, was ended by us for the
 * sake of another spec; or, of an init container, in an earlier sandbox. So was what is said to run
 * another image than the spec names, and is gone. */
static void adopt_renewal(struct kubelet_container *c, const yyjson_val *status)
{
    struct pod_container_view *v = c->v;
    struct span image = json_get_str(status, "image");
    const yyjson_val *state = json_get(status, "state");
    if (!v->has_result || c->extra) {
        return;
    }
    if (json_get(state, "waiting") && c->init && pod_init_completed(v)) {
        v->stale = true;
    } else if (json_get(state, "waiting")) {
        const struct pod_view pod = {.policy = kubelet_view_policy(kubelet_pod_spec(c->pod))};
        v->renewed = !pod_wants_restart(&pod, v, c->init);
    } else if (json_get(state, "running")) {
        v->renewed = image.n > 0 && !span_eq(image, v->image);
    }
}

/* What the API remembers of a container. */
static void adopt_status(struct kubelet_container *c, bool has_sandbox)
{
    const yyjson_val *mine = told_of(c);
    uint32_t restarts = (uint32_t)json_get_int(mine, "restartCount", 0);
    const yyjson_val *state = json_get(mine, "state");
    const yyjson_val *ended = json_get(state, "terminated");
    const yyjson_val *running = json_get(state, "running");
    const yyjson_val *last = json_path(mine, "lastState", "terminated", NULL);
    if (last && (ended || running)) {
        result_from(&c->v->last, last, restarts ? restarts - 1 : 0);
        c->v->has_last = true;
    }
    kubelet_keep(&c->v->image_id, json_get_str(mine, "imageID"));
    c->v->stale = !has_sandbox;
    c->v->attempt = restarts;
    if (ended || (last && !running)) {
        result_from(&c->v->result, ended ? ended : last, restarts);
        c->v->has_attempt = c->v->has_result = true;
    } else if (running) {
        c->v->has_attempt = c->v->has_result = true;
        c->v->result = (struct pod_result){
            .exit_code = 137,
            .lost = true,
            .started_ms = time_or(json_get_str(running, "startedAt"), 0),
            .finished_ms = env_now_ms(c->pod->k->env),
            .attempt = restarts,
        };
        kubelet_keep(&c->v->result.message,
                     SPAN("The container could not be located when the node agent started"));
    }
    if (!c->v->stale) {
        c->v->restarts_in_a_row = restarts;
    }
    adopt_renewal(c, mine);
    c->v->ready = json_get_bool(mine, "ready", false);
    c->v->started = json_get_bool(mine, "started", true);
}

static void drop_done(void *data, int code, struct span detail)
{
    (void)code, (void)detail; /* listed again at the next start */
    struct kubelet_pod *pod = kubelet_op_end(data);
    if (pod) {
        kubelet_pod_poke(pod);
    }
}

/* What the runtime has of a container. */
static void adopt_found(struct kubelet_container *c, const struct runtime_status *s)
{
    struct kubelet_pod *pod = c->pod;
    struct pod_container_view *v = c->v;
    if (s->state == RUNTIME_CREATED) {
        /* Killed between create and start: the same attempt is started again. */
        if (!v->has_attempt || v->attempt >= s->attempt) {
            v->has_attempt = v->has_result = s->attempt > 0;
            v->attempt = s->attempt ? s->attempt - 1 : 0;
        }
        return;
    }
    bool other_image = pod->object && !c->extra && s->image.n > 0 && !span_eq(s->image, v->image);
    kubelet_keep(&v->result.message, SPAN_NULL);
    v->attempt = s->attempt;
    v->has_attempt = true;
    v->stale = pod->view.sandbox.state != POD_PREP_DONE || pod->view.sandbox_broken;
    v->started_ms = s->started_ms;
    c->stop_signal = s->stop_signal;
    kubelet_keep(&v->ran_image, s->image.n > 0 ? s->image : v->image);
    if (s->state == RUNTIME_RUNNING) {
        v->instance = POD_INSTANCE_RUNNING;
        v->has_result = v->renewed = false;
        v->result = (struct pod_result){0};
        kubelet_resize_adopt(c);
        if (other_image) {
            kubelet_container_renew(c);
        }
        return;
    }
    if (!pod->object || !end_is_told(c, s->id)) {
        v->renewed = other_image; /* whether it ended by itself or by us */
    }
    v->instance = POD_INSTANCE_EXITED;
    v->has_result = true;
    v->ready = false;
    v->result = (struct pod_result){
        .exit_code = s->exit_code,
        .signal = s->signal,
        .oom_killed = s->oom_killed,
        .started_ms = s->started_ms,
        .finished_ms = s->finished_ms ? s->finished_ms : env_now_ms(pod->k->env),
        .attempt = s->attempt,
    };
    kubelet_container_read_message(c);
    kubelet_resize_adopt(c);
}

/* An orphan has no spec: its containers are those that the runtime knows. */
static void orphan_containers(struct kubelet_pod *pod, const struct kubelet_found *found)
{
    pod->view.mains =
        ARENA_ARRAY(pod->arena, struct pod_container_view, found->container_count + 1);
    pod->containers =
        ARENA_ARRAY(pod->arena, struct kubelet_container *, found->container_count + 1);
    for (size_t i = 0; i < found->container_count; i++) {
        const struct runtime_status *s = &found->containers[i];
        if (!span_eq(s->sandbox_uid, pod->uid) || kubelet_pod_container(pod, s->name)) {
            continue;
        }
        struct kubelet_container *c = ARENA_NEW(pod->arena, struct kubelet_container);
        pod->containers[pod->container_count] = c;
        c->pod = pod;
        c->v = &pod->view.mains[pod->container_count];
        c->v->name = arena_dup(pod->arena, s->name);
        pod->view.main_count = ++pod->container_count;
    }
}

static const struct runtime_status *newest(const struct kubelet_found *found, struct span uid,
                                           struct span name)
{
    const struct runtime_status *best = NULL;
    for (size_t i = 0; i < found->container_count; i++) {
        const struct runtime_status *s = &found->containers[i];
        if (span_eq(s->sandbox_uid, uid) && span_eq(s->name, name) &&
            (!best || s->attempt > best->attempt)) {
            best = s;
        }
    }
    return best;
}

/* Instances that are not the newest of a known container are taken away at once. */
static void drop_others(struct kubelet_pod *pod, const struct kubelet_found *found)
{
    for (size_t i = 0; i < found->container_count; i++) {
        const struct runtime_status *s = &found->containers[i];
        if (!span_eq(s->sandbox_uid, pod->uid) ||
            (kubelet_pod_container(pod, s->name) && newest(found, pod->uid, s->name) == s)) {
            continue;
        }
        struct runtime *rt = pod->k->runtime;
        if (s->state == RUNTIME_RUNNING) {
            struct kubelet_op *kill_op = kubelet_op_new(pod, NULL);
            rt->ops->container_kill(rt, arena_dup(kill_op->arena, s->id), 9, drop_done, kill_op);
        } else {
            struct kubelet_op *op = kubelet_op_new(pod, NULL);
            rt->ops->container_remove(rt, arena_dup(op->arena, s->id), drop_done, op);
        }
        log_event(LOG_WARN, "kubelet_stray_container", LOG_S("id", s->id));
    }
}

void kubelet_pod_adopt(struct kubelet_pod *pod, const struct kubelet_found *found)
{
    struct pod_view *v = &pod->view;
    bool has_sandbox = false;
    assert(list_is_empty(&pod->ops));
    assert(v->sandbox.state == POD_PREP_TODO);
    for (size_t i = 0; i < found->sandbox_count; i++) {
        const struct runtime_sandbox_status *s = &found->sandboxes[i];
        if (span_eq(s->uid, pod->uid)) {
            v->sandbox.state = POD_PREP_DONE;
            v->sandbox_broken = !s->ready;
            has_sandbox = s->ready;
            kubelet_keep(&v->pod_ip, s->ip);
        }
    }
    if (!pod->object) {
        orphan_containers(pod, found);
    }
    for (size_t i = 0; i < pod->container_count; i++) {
        struct kubelet_container *c = pod->containers[i];
        if (pod->object) {
            adopt_status(c, has_sandbox);
        }
        const struct runtime_status *s = newest(found, pod->uid, c->v->name);
        if (s) {
            adopt_found(c, s);
        }
        if (c->v->instance == POD_INSTANCE_RUNNING) {
            kubelet_started(c);
        } else {
            c->v->started = c->v->ready = false;
        }
    }
    drop_others(pod, found);
    /* Mounts of a pod that ran, or that goes, may be there: written again, or taken away. */
    if (has_sandbox || !pod->object || object_is_deleting(pod->object) ||
        status_pod_ended(object_root(pod->object))) {
        v->volumes.state = POD_PREP_DONE;
        pod->volumes_stale = true;
    }
}
