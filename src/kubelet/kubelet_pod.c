/* kubelet/kubelet_pod.c: one pod: its state, what changes it, and the tick that plans and starts
 * the steps. */
#include <stdlib.h>

#include "base/check.h"
#include "client/client_body.h"
#include "codec/time.h"
#include "kubelet/kubelet_check_priv.h"
#include "kubelet/kubelet_logs_priv.h"
#include "kubelet/kubelet_priv.h"
#include "kubelet/kubelet_resize.h"
#include "kubelet/kubelet_volumes_priv.h"

enum { WRITE_RETRY_MS = 500, WRITE_RETRY_MAX_MS = 10000 };

/* ---- containers ---- */

struct span kubelet_container_id(struct arena *a, const struct kubelet_container *c,
                                 uint32_t attempt)
{
    assert(c->pod->uid.n > 0);
    char digits[SPAN_NUMBER_BYTES];
    return ARENA_JOIN(a, c->pod->uid, SPAN("-"), c->v->name, SPAN("-"), span_u64(digits, attempt));
}

struct kubelet_container *kubelet_pod_container(struct kubelet_pod *pod, struct span name)
{
    assert(pod->containers || pod->container_count == 0);
    for (size_t i = 0; i < pod->container_count; i++) {
        if (span_eq(pod->containers[i]->v->name, name)) {
            return pod->containers[i];
        }
    }
    return NULL;
}

const char *kubelet_container_list(const struct kubelet_container *c)
{
    assert(!c->init || !c->extra);
    return c->init ? "initContainers" : c->extra ? "ephemeralContainers" : "containers";
}

/* Its part of a view that was made from pod->view. */
static const struct pod_container_view *kubelet_container_in(const struct kubelet_container *c,
                                                             const struct pod_view *view)
{
    const struct pod_view *own = &c->pod->view;
    assert(view->init_count == own->init_count);
    assert(view->main_count == own->main_count);
    assert(view->extra_count == own->extra_count);
    return c->init    ? &view->inits[c->v - own->inits]
           : c->extra ? &view->extras[c->v - own->extras]
                      : &view->mains[c->v - own->mains];
}

void kubelet_container_event(struct kubelet_container *c, enum pod_event event)
{
    assert(c->v->instance < POD_INSTANCE_COUNT);
    c->v->instance = pod_instance_next(c->v->instance, event);
}

void kubelet_container_quiet(struct kubelet_container *c)
{
    kubelet_probes_stop(c);
    kubelet_check_cancel(c->hook);
    c->hook = NULL;
    kubelet_rotation_free(c->rotation);
    c->rotation = NULL;
}

static void drop_message(struct pod_result *r)
{
    kubelet_keep(&r->message, SPAN_NULL);
}

static void container_done(struct kubelet_container *c)
{
    kubelet_container_quiet(c);
    drop_message(&c->v->result);
    drop_message(&c->v->last);
    kubelet_keep(&c->v->image_prep.reason, SPAN_NULL);
    kubelet_keep(&c->v->image_prep.message, SPAN_NULL);
    kubelet_keep(&c->v->image_id, SPAN_NULL);
    kubelet_keep(&c->v->unready_cause, SPAN_NULL);
    kubelet_keep(&c->v->end_cause, SPAN_NULL);
    kubelet_keep(&c->v->image, SPAN_NULL);
    kubelet_keep(&c->v->ran_image, SPAN_NULL);
    kubelet_keep(&c->told, SPAN_NULL);
    kubelet_keep(&c->v->resources, SPAN_NULL);
    kubelet_keep(&c->resize_error, SPAN_NULL);
    kubelet_keep(&c->resize_tried, SPAN_NULL);
    arena_free(c->image_arena);
}

/* ---- life ---- */

static void add_container(struct kubelet_pod *pod, const yyjson_val *spec,
                          struct pod_container_view *v, bool init, bool extra)
{
    struct kubelet_container *c = ARENA_NEW(pod->arena, struct kubelet_container);
    assert(!(init && extra));
    pod->containers[pod->container_count++] = c;
    c->pod = pod;
    c->init = init;
    c->extra = extra;
    c->v = v;
    c->v->name = arena_dup(pod->arena, json_get_str(spec, "name"));
    c->v->sidecar = init && span_eq_cstr(json_get_str(spec, "restartPolicy"), "Always");
    kubelet_keep(&c->v->image, json_get_str(spec, "image"));
}

static void add_containers(struct kubelet_pod *pod, const yyjson_val *list, bool init)
{
    struct pod_container_view *v = init ? pod->view.inits : pod->view.mains;
    JSON_EACH(it, list)
    {
        add_container(pod, it.val, v++, init, false);
    }
}

/* Room for one more: the views move, the containers, to which others point, do not. */
static void grow_extras(struct kubelet_pod *pod)
{
    struct pod_view *v = &pod->view;
    if (v->extra_count < pod->extra_room) {
        return;
    }
    size_t room = pod->extra_room ? 2 * pod->extra_room : 1, base = v->init_count + v->main_count;
    struct pod_container_view *extras = ARENA_ARRAY(pod->arena, struct pod_container_view, room);
    struct kubelet_container **list =
        ARENA_ARRAY(pod->arena, struct kubelet_container *, base + room);
    for (size_t i = 0; i < pod->container_count; i++) {
        list[i] = pod->containers[i];
    }
    for (size_t i = 0; i < v->extra_count; i++) {
        extras[i] = v->extras[i];
        list[base + i]->v = &extras[i];
    }
    assert(v->extra_count < room);
    v->extras = extras;
    pod->containers = list;
    pod->extra_room = room;
}

/* Ephemeral containers only ever come. */
static void add_extras(struct kubelet_pod *pod)
{
    JSON_EACH(it, json_get(kubelet_pod_spec(pod), "ephemeralContainers"))
    {
        if (!kubelet_pod_container(pod, json_get_str(it.val, "name"))) {
            grow_extras(pod);
            add_container(pod, it.val, &pod->view.extras[pod->view.extra_count], false, true);
            pod->view.extra_count++;
        }
    }
    assert(pod->container_count ==
           pod->view.init_count + pod->view.main_count + pod->view.extra_count);
}

static void note_set(struct kubelet_pod *pod)
{
    JSON_EACH(it, json_get(client_meta(pod->object), "ownerReferences"))
    {
        size_t dash = span_rfind(pod->name, '-');
        if (json_get_bool(it.val, "controller", false) && dash < pod->name.n &&
            span_eq_cstr(json_get_str(it.val, "kind"), "StatefulSet") &&
            span_to_i64(span_from(pod->name, dash + 1), &pod->set_ordinal)) {
            pod->set_uid = arena_dup(pod->arena, json_get_str(it.val, "uid"));
        }
    }
}

struct kubelet_pod *kubelet_pod_new(struct kubelet *k, struct object *object, struct span uid,
                                    struct span ns, struct span name)
{
    assert(uid.n > 0);
    struct kubelet_pod *pod = MEM_NEW(struct kubelet_pod);
    pod->k = k;
    pod->arena = arena_new_small();
    pod->object = object ? object_ref(object) : NULL;
    pod->uid = pod->view.uid = arena_dup(pod->arena, uid);
    pod->ns = pod->view.ns = arena_dup(pod->arena, ns);
    pod->name = pod->view.name = arena_dup(pod->arena, name);
    list_init(&pod->ops);
    pod->view.exists = object != NULL;
    pod->view.host_ip = k->options.node_ip;
    pod->view.container_scheme = k->options.runtime_scheme;
    if (object) {
        note_set(pod);
        const yyjson_val *spec = kubelet_pod_spec(pod);
        const yyjson_val *inits = json_get(spec, "initContainers");
        const yyjson_val *mains = json_get(spec, "containers");
        pod->view.init_count = json_len(inits);
        pod->view.main_count = json_len(mains);
        pod->view.inits = ARENA_ARRAY(pod->arena, struct pod_container_view, json_len(inits) + 1);
        pod->view.mains = ARENA_ARRAY(pod->arena, struct pod_container_view, json_len(mains) + 1);
        pod->containers = ARENA_ARRAY(pod->arena, struct kubelet_container *,
                                      json_len(inits) + json_len(mains) + 1);
        add_containers(pod, inits, true);
        add_containers(pod, mains, false);
        add_extras(pod);
        kubelet_view_note(pod);
        pod->view.host_network = json_get_bool(spec, "hostNetwork", false);
        pod->view.refused = kubelet_view_refusal(pod->arena, spec);
        pod->view.start_ms = time_or(json_get_str(client_status(object), "startTime"), 0);
    }
    return pod;
}

void kubelet_pod_free(struct kubelet_pod *pod)
{
    struct kubelet *k = pod->k;
    assert(kubelet_pod_find(k, pod->uid) == pod);
    kubelet_pod_leave(k, pod);
    LIST_EACH(l, &pod->ops)
    {
        struct kubelet_op *op = CONTAINER_OF(l, struct kubelet_op, link);
        list_remove(&op->link);
        op->pod = NULL;
        op->c = NULL;
        if (k->closing && !op->outlives) {
            (void)kubelet_op_end(op);
        }
    }
    for (size_t i = 0; i < pod->container_count; i++) {
        kubelet_sessions_exited(k, pod->containers[i]);
        container_done(pod->containers[i]);
    }
    kubelet_refs_drop(pod);
    kubelet_tokens_drop(pod);
    env_timer_stop(k->env, &pod->wake);
    env_timer_stop(k->env, &pod->later);
    env_post_cancel(k->env, &pod->tick);
    client_cancel(k->client, pod);
    kubelet_keep(&pod->view.volumes.message, SPAN_NULL);
    kubelet_keep(&pod->view.sandbox.message, SPAN_NULL);
    kubelet_keep(&pod->view.pod_ip, SPAN_NULL);
    kubelet_status_forget(pod);
    kubelet_keep(&pod->told, SPAN_NULL);
    kubelet_keep(&pod->resize_told, SPAN_NULL);
    object_unref(pod->object);
    struct arena *arena = pod->arena;
    struct span ns = pod->ns, name = pod->name;
    free(pod);
    kubelet_pod_gone(k, ns, name);
    arena_free(arena);
}

/* ---- the tick ---- */

/* What waits for a person is told once, when it starts to wait or its words change. */
static void tell_waiting(struct kubelet_pod *pod, const struct pod_view *view)
{
    struct span text = SPAN_NULL;
    if (view->refused.n > 0) {
        text = view->refused;
    } else if (view->volumes_message.n > 0) {
        text = view->volumes_message;
    }
    if (!span_eq(text, pod->told)) {
        kubelet_keep(&pod->told, text);
        if (text.n > 0) {
            kubelet_event(pod, NULL, EVENT_WARNING, view->refused.n ? "Failed" : "FailedMount",
                          view->refused.n ? "Error: %.*s" : "%.*s", SPAN_ARG(text));
        }
    }
    for (size_t i = 0; i < pod->container_count; i++) {
        struct kubelet_container *c = pod->containers[i];
        const struct pod_container_view *v = kubelet_container_in(c, view);
        bool due = v->config_reason.n > 0 && view->volumes_message.n == 0 &&
                   (c->init || c->extra || pod_init_current(view) == view->init_count);
        if (due && !span_eq(c->told, v->config_message)) {
            kubelet_keep(&c->told, v->config_message);
            kubelet_event(pod, c, EVENT_WARNING, "Failed", "Error: %.*s",
                          SPAN_ARG(v->config_message));
        }
    }
}

static void tell_backoff(struct kubelet_pod *pod, const struct pod_status *status)
{
    for (size_t i = 0; i < pod->container_count; i++) {
        struct kubelet_container *c = pod->containers[i];
        const struct pod_container_status *s = c->init    ? &status->inits[c->v - pod->view.inits]
                                               : c->extra ? &status->extras[c->v - pod->view.extras]
                                                          : &status->mains[c->v - pod->view.mains];
        struct span reason = s->state.kind == POD_STATE_WAITING ? s->state.reason : SPAN_NULL;
        bool crash = span_eq_cstr(reason, "CrashLoopBackOff");
        bool image = span_eq_cstr(reason, "ImagePullBackOff");
        if ((!crash && !image) || span_eq(c->told, s->state.message)) {
            continue;
        }
        kubelet_keep(&c->told, s->state.message);
        if (crash) {
            kubelet_event(pod, c, EVENT_WARNING, "BackOff",
                          "Back-off restarting failed container %.*s in pod %.*s_%.*s(%.*s)",
                          SPAN_ARG(c->v->name), SPAN_ARG(pod->name), SPAN_ARG(pod->ns),
                          SPAN_ARG(pod->uid));
        } else {
            kubelet_event(pod, c, EVENT_NORMAL, "BackOff", "Back-off pulling image \"%.*s\"",
                          SPAN_ARG(c->v->image));
            kubelet_event(pod, c, EVENT_WARNING, "Failed", "Error: ImagePullBackOff");
        }
    }
}

static void on_wake(struct env_timer *timer)
{
    kubelet_pod_poke(CONTAINER_OF(timer, struct kubelet_pod, wake));
}

static void on_tick(struct env_task *task)
{
    struct kubelet_pod *pod = CONTAINER_OF(task, struct kubelet_pod, tick);
    struct kubelet *k = pod->k;
    struct arena *a cleanup_arena = arena_new();
    struct pod_view view;
    struct pod_plan plan;
    if (!kubelet_admit(pod)) {
        return;
    }
    kubelet_view_gather(pod, a, &view);
    if (view.ending_ms == 0 && pod_is_ending(&view)) {
        view.ending_ms = pod->view.ending_ms = view.now_ms;
    }
    assert(!pod->dead);
    pod_plan(a, &view, &plan);
    for (size_t i = 0; i < plan.step_count && !pod->dead; i++) {
        kubelet_step_run(pod, &view, &plan.steps[i]);
    }
    if (pod->dead) {
        kubelet_pod_free(pod);
        return;
    }
    if (!pod_is_ending(&view)) {
        if (view.start_ms == 0) {
            pod->view.start_ms = view.now_ms;
        }
        tell_waiting(pod, &view);
        tell_backoff(pod, &plan.status);
        kubelet_resize_run(pod, &view);
        kubelet_volumes_refresh(pod);
    }
    kubelet_status_sync(pod, &view, &plan.status, a);
    env_timer_stop(k->env, &pod->wake);
    if (plan.wake_ms != 0) {
        int64_t delay = plan.wake_ms - env_now_ms(k->env);
        env_timer_start(k->env, &pod->wake, delay > 0 ? delay : 0, on_wake);
    }
}

void kubelet_pod_poke(struct kubelet_pod *pod)
{
    assert(pod->k);
    env_post(pod->k->env, &pod->tick, on_tick);
}

static void on_later(struct env_timer *timer)
{
    kubelet_pod_poke(CONTAINER_OF(timer, struct kubelet_pod, later));
}

void kubelet_pod_poke_after(struct kubelet_pod *pod, int64_t ms)
{
    int64_t at = env_mono_ns(pod->k->env) + ms * 1000000;
    if (!env_timer_armed(&pod->later) || at < pod->later_ns) {
        pod->later_ns = at;
        env_timer_start(pod->k->env, &pod->later, ms, on_later);
    }
}

/* ---- writes that fail ---- */

void kubelet_write_ended(struct kubelet_pod *pod, bool ok)
{
    int64_t ms = WRITE_RETRY_MS << (pod->write_failures < 5 ? pod->write_failures : 5);
    ms = ms < WRITE_RETRY_MAX_MS ? ms : WRITE_RETRY_MAX_MS;
    assert(ms > 0);
    assert(ms <= WRITE_RETRY_MAX_MS);
    pod->write_failures = ok ? 0 : pod->write_failures + 1;
    pod->write_due_ns = ok ? 0 : env_mono_ns(pod->k->env) + ms * 1000000;
    if (!ok) {
        kubelet_pod_poke_after(pod, ms);
    }
}

bool kubelet_may_write(struct kubelet_pod *pod)
{
    int64_t left_ns = pod->write_due_ns - env_mono_ns(pod->k->env);
    if (pod->write_due_ns > 0 && left_ns > 0) {
        kubelet_pod_poke_after(pod, (left_ns + 999999) / 1000000);
        return false;
    }
    return true;
}

/* ---- what happens to a pod ---- */

void kubelet_container_renew(struct kubelet_container *c)
{
    c->v->unhealthy = c->v->renewed = true;
    kubelet_event(c->pod, c, EVENT_NORMAL, "Killing",
                  "Container %.*s definition changed, will be restarted", SPAN_ARG(c->v->name));
}

/* A container's image may be changed in place. */
static void image_changed(struct kubelet_pod *pod)
{
    for (size_t i = 0; i < pod->container_count; i++) {
        struct kubelet_container *c = pod->containers[i];
        struct span image = json_get_str(kubelet_container_spec(c), "image");
        if (span_eq(image, c->v->image)) {
            continue;
        }
        kubelet_keep(&c->v->image, image);
        c->v->restarts_in_a_row = 0; /* those were the other image's */
        if (c->v->image_prep.state != POD_PREP_BUSY) {
            c->v->image_prep.state = POD_PREP_TODO;
            c->v->image_prep.failures = 0;
        }
        if (pod_instance_live(c->v->instance)) {
            kubelet_container_renew(c);
        }
    }
}

void kubelet_pod_update(struct kubelet_pod *pod, struct object *object)
{
    if (!object) {
        pod->view.exists = false;
    } else {
        assert(span_eq(object_uid(object), pod->uid));
        const yyjson_val *old = client_meta(pod->object);
        const yyjson_val *now = client_meta(object);
        pod->volumes_stale |=
            !json_equal(json_get(old, "labels"), json_get(now, "labels")) ||
            !json_equal(json_get(old, "annotations"), json_get(now, "annotations"));
        (void)object_ref(object);
        object_unref(pod->object);
        pod->object = object;
        add_extras(pod);
        kubelet_view_note(pod);
        image_changed(pod);
        kubelet_status_seen(pod);
    }
    kubelet_admit_again(pod->k);
    kubelet_pod_poke(pod);
}

void kubelet_container_read_message(struct kubelet_container *c)
{
    if (c->pod->k->options.no_files || !c->pod->object) {
        return;
    }
    struct arena *a cleanup_arena = arena_new();
    struct span text = SPAN_NULL;
    struct span path =
        arena_printf(a, "%.*s/termination/%.*s-%u", SPAN_ARG(kubelet_pod_dir(a, c->pod)),
                     SPAN_ARG(c->v->name), c->v->attempt);
    int code = kubelet_read_file(a, path.p, 4096, &text);
    if (code == 0 && text.n > 0) {
        kubelet_keep(&c->v->result.message, json_clean_text(a, text, 4096));
        return;
    }
    struct span policy = json_get_str(kubelet_container_spec(c), "terminationMessagePolicy");
    if (span_eq_cstr(policy, "FallbackToLogsOnError") && c->v->result.exit_code != 0) {
        text = kubelet_log_end(a, kubelet_log_path(a, c, c->v->attempt), 80, 2048);
        kubelet_keep(&c->v->result.message, json_clean_text(a, text, 2048));
    }
}

void kubelet_pod_exited(struct kubelet_pod *pod, const struct runtime_status *status)
{
    struct kubelet_container *c = kubelet_pod_container(pod, status->name);
    if (!c || status->attempt != c->v->attempt || !pod_instance_live(c->v->instance)) {
        return; /* known already, or of an instance that was given up */
    }
    int64_t started = status->started_ms ? status->started_ms : c->v->started_ms;
    kubelet_container_event(c, POD_EVENT_EXITED);
    assert(c->v->instance == POD_INSTANCE_EXITED);
    kubelet_container_quiet(c);
    c->v->has_attempt = c->v->has_result = true;
    c->v->result = (struct pod_result){
        .exit_code = status->exit_code,
        .signal = status->signal,
        .oom_killed = status->oom_killed,
        .started_ms = started,
        .finished_ms = status->finished_ms ? status->finished_ms : env_now_ms(pod->k->env),
        .attempt = c->v->attempt,
    };
    kubelet_container_read_message(c);
    kubelet_cause_exit(c);
    c->v->unhealthy = c->v->ready = c->v->started = c->v->kill_sent = false;
    kubelet_sessions_exited(pod->k, c);
    kubelet_pod_poke(pod);
}
