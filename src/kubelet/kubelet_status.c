/* kubelet/kubelet_status.c: writes a pod's status when it changed, one write at a time, newest
 * state wins. While steps are moving quickly (a start takes some 40 ms) a write waits up to
 * HOLD_MS, so that one write says Running and Ready. */
#include "base/check.h"
#include "base/log.h"
#include "client/client_body.h"
#include "codec/time.h"
#include "kubelet/kubelet_priv.h"
#include "plan/pod_status_json.h"
#include "schema/status.h"

enum { HOLD_MS = 200 };

/* The newest state, after the steps of this tick were started. */
static bool moving(const struct kubelet_pod *pod)
{
    const struct pod_view *v = &pod->view;
    bool is =
        pod->refs_pending || v->sandbox.state == POD_PREP_BUSY || v->volumes.state == POD_PREP_BUSY;
    for (size_t i = 0; i < v->main_count; i++) {
        const struct pod_container_view *c = &v->mains[i];
        is |= c->instance == POD_INSTANCE_STARTING || c->image_prep.state == POD_PREP_BUSY ||
              c->instance == POD_INSTANCE_REMOVING;
    }
    return is;
}

static void on_written(void *data, const struct client_reply *reply)
{
    struct kubelet_pod *pod = data;
    assert(pod->status_busy);
    pod->status_busy = false;
    if (reply->err.reason == ERR_NONE) {
        kubelet_write_ended(pod, true);
        pod->sent_rev = reply->object ? object_rev(reply->object) : 0;
        /* What others wrote upon ours was passed over when the watch was faster than the reply. */
        if (pod->object && reply->object && object_rev(pod->object) > object_rev(reply->object)) {
            kubelet_status_seen(pod);
        }
        if (pod->status_dirty || pod->sent.phase.n == 0) {
            kubelet_pod_poke(pod);
        }
        return;
    }
    kubelet_status_forget(pod);
    if (reply->err.reason == ERR_NOT_FOUND) {
        /* The watch tells; or not, when the deletion's commit failed in the end. */
        kubelet_write_ended(pod, false);
        return;
    }
    log_event(LOG_WARN, "kubelet_status_write_failed", LOG_S("pod", pod->name),
              LOG_S("error", reply->err.message));
    kubelet_write_ended(pod, false);
}

/* The tree has the uid: it is for this pod and none that has taken its name. */
static void patch_status(struct kubelet_pod *pod, struct json_shared *tree, client_reply_fn *fn)
{
    client_do(pod->k->client,
              &(struct client_request){CLIENT_REQUEST_INIT, .verb = CLIENT_PATCH_MERGE,
                                       .kind = kubelet_kind("", "Pod"), .ns = pod->ns,
                                       .name = pod->name, .subresource = SPAN("status"),
                                       .tree = tree, .field_manager = SPAN("kubelet")},
              fn, pod);
}

static void on_held(void *data, const struct client_reply *reply)
{
    const struct kubelet_pod *pod = data;
    if (reply->err.reason != ERR_NONE) { /* an event says it as well */
        log_event(LOG_WARN, "kubelet_held_write_failed", LOG_S("pod", pod->name),
                  LOG_S("error", reply->err.message));
    }
}

void kubelet_status_held(struct kubelet_pod *pod, const char *reason, struct span why)
{
    struct arena *a cleanup_arena = arena_new();
    assert(pod->object);
    assert(pod->sent.phase.n == 0);
    assert(why.n > 0);
    struct status_condition held = {"PodReadyToStartContainers", SPAN("False"),
                                    time_format(a, env_now_ms(pod->k->env)), span_cstr(reason),
                                    why};
    struct client_body b = client_patch_any(a, pod->object);
    (void)status_condition_put(b.doc, object_root(pod->object), client_body_obj(&b, "status"),
                               &held);
    patch_status(pod, client_body_tree(&b), on_held);
}

static struct span condition_in(const yyjson_val *status, struct span type)
{
    return json_get_str(json_find(json_get(status, "conditions"), "type", type), "status");
}

/* Every condition of ours that one of them has stands in the other as well. */
static bool says_what(const yyjson_val *one, const yyjson_val *other)
{
    JSON_EACH(it, json_get(other, "conditions"))
    {
        struct span type = json_get_str(it.val, "type");
        if (pod_condition_is_own(type) &&
            !span_eq(condition_in(one, type), json_get_str(it.val, "status"))) {
            return false;
        }
    }
    return true;
}

/* The API server says something else than we told last: another writer, or a late request of the
 * agent that was here before us. Tell again. */
void kubelet_status_seen(struct kubelet_pod *pod)
{
    if (pod->sent.phase.n == 0 || pod->status_busy || object_rev(pod->object) <= pod->sent_rev) {
        return;
    }
    struct arena *a cleanup_arena = arena_new();
    struct json_build b = json_build_new(a);
    pod_status_json(&b, SPAN("status"), &pod->sent);
    yyjson_val *told = json_get(json_build_done(&b), "status"), *has = client_status(pod->object);
    bool same = span_eq(pod->sent.phase, json_get_str(has, "phase")) && says_what(told, has) &&
                says_what(has, told) &&
                json_equal(json_get(told, "containerStatuses"), json_get(has, "containerStatuses"));
    if (!same) {
        kubelet_status_forget(pod);
    }
}

void kubelet_status_forget(struct kubelet_pod *pod)
{
    pod->sent = (struct pod_status){0};
    arena_free(TAKE_PTR(pod->sent_arena));
}

static void free_sent(void *arena)
{
    arena_free(arena);
}

/* The view of this turn, and with it the new status, may point to what the last one kept: that goes
 * with the turn's arena. */
static void remember(struct kubelet_pod *pod, const struct pod_status *status, struct arena *turn)
{
    struct arena *last = TAKE_PTR(pod->sent_arena);
    pod->sent_arena = arena_new_small();
    pod->sent = pod_status_copy(pod->sent_arena, status);
    assert(pod_status_same(status, &pod->sent));
    if (last) {
        arena_on_clear(turn, free_sent, last);
    }
}

void kubelet_status_sync(struct kubelet_pod *pod, const struct pod_view *view,
                         const struct pod_status *status, struct arena *a)
{
    struct kubelet *k = pod->k;
    if (!view->exists || view->stop_only || view->acked_terminal || !pod->object ||
        view->object_deleted || k->stopping) {
        return;
    }
    int64_t now = env_mono_ns(k->env);
    bool holds = !pod_is_ending(view) && moving(pod);
    if (holds && !pod->status_busy && now < pod->status_due_ns) {
        kubelet_pod_poke_after(pod, (pod->status_due_ns - now) / 1000000 + 1);
        return; /* whatever it is by now */
    }
    assert(status->phase.n > 0);
    pod->status_dirty = false;
    if (pod_status_same(status, &pod->sent)) {
        pod->status_due_ns = 0;
        return;
    }
    if (pod->status_busy) {
        pod->status_dirty = true;
        return;
    }
    if (holds) {
        if (pod->status_due_ns == 0) {
            pod->status_due_ns = now + HOLD_MS * 1000000LL;
        }
        if (now < pod->status_due_ns) {
            kubelet_pod_poke_after(pod, (pod->status_due_ns - now) / 1000000 + 1);
            return;
        }
    }
    if (!kubelet_may_write(pod)) {
        return;
    }
    pod->status_due_ns = 0;
    struct json_build b = json_build_new(a);
    pod_status_json(&b, SPAN("status"), status);
    json_build_object(&b, SPAN("metadata"));
    json_build_str(&b, SPAN("uid"), pod->uid);
    json_build_close(&b);
    remember(pod, status, a);
    pod->status_busy = true;
    patch_status(pod, json_share(a, json_build_done(&b)), on_written);
}
