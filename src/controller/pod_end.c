/* controller/pod_end.c: see pod_end.h. */
#include "controller/pod_end.h"

#include "base/check.h"
#include "client/client_body.h"
#include "codec/time.h"
#include "schema/kinds.h"
#include "schema/status.h"

struct ending {
    struct informer *pods;
    struct object *pod;
    int64_t grace_s;
};

struct span pod_end_node(struct object *pod)
{
    return json_get_str(client_spec(pod), "nodeName");
}

void pod_end_by_node(struct object *pod, void (*emit)(void *ctx, struct span key), void *ctx)
{
    struct span node = pod_end_node(pod);
    if (node.n) {
        emit(ctx, node);
    }
}

static void delete_pod(struct sync *s, const struct ending *e)
{
    struct client_request rq = client_request_for(CLIENT_DELETE, SCHEMA_KIND(Pod), e->pod);
    rq.precondition_uid = object_uid(e->pod);
    rq.grace_s = e->grace_s;
    assert(rq.precondition_uid.n > 0);
    sync_do(s, &rq, e->pods, sync_or_gone, NULL);
}

static bool on_said(struct sync *s, void *data, const struct client_reply *reply)
{
    const struct ending *e = data;
    if (reply->err.reason == ERR_NONE) {
        delete_pod(s, e);
    }
    return reply->err.reason == ERR_NOT_FOUND;
}

static bool is_said(const yyjson_val *condition, const struct pod_end *how)
{
    return span_eq_cstr(json_get_str(condition, "status"), "True") &&
           span_eq_cstr(json_get_str(condition, "reason"), how->reason) &&
           span_eq_cstr(json_get_str(condition, "message"), how->message);
}

static void say(struct sync *s, struct ending *e, const struct pod_end *how)
{
    assert(how->reason);
    assert(how->message);
    struct client_body b = client_patch_new(s->arena, e->pod);
    yyjson_mut_val *status = client_body_obj(&b, "status");
    struct status_condition c = {"DisruptionTarget", SPAN("True"), time_format(s->arena, s->now_ms),
                                 span_cstr(how->reason), span_cstr(how->message)};
    json_put(b.doc, status_condition_put(b.doc, object_root(e->pod), status, &c), "lastProbeTime",
             yyjson_mut_null(b.doc));
    if (how->failed) {
        json_put_str(b.doc, status, "phase", SPAN("Failed"));
    }
    sync_patch_status(s, e->pods, e->pod, &b, on_said, e);
}

void pod_end(struct sync *s, struct informer *pods, struct object *pod, const struct pod_end *how)
{
    assert(s);
    assert(pods);
    assert(pod);
    struct ending *e = ARENA_NEW(s->arena, struct ending);
    *e = (struct ending){pods, object_hold(s->arena, pod), how->grace_s};
    if (!how->reason || is_said(client_condition(pod, "DisruptionTarget"), how)) {
        delete_pod(s, e);
    } else {
        say(s, e, how);
    }
}

void pod_end_unplaced(struct sync *s, struct informer *pods, struct object *pod)
{
    assert(object_is_deleting(pod));
    assert(pod_end_node(pod).n == 0);
    if (!status_pod_ended(object_root(pod))) {
        struct client_body b = client_patch_new(s->arena, pod);
        json_put_str(b.doc, client_body_obj(&b, "status"), "phase", SPAN("Failed"));
        sync_patch_status(s, pods, pod, &b, sync_or_gone, NULL);
    }
}

void pod_end_by_force(struct sync *s, struct informer *pods, struct object *pod,
                      const char *message)
{
    assert(message);
    const yyjson_val *meta = client_meta(pod);
    bool ended = status_pod_ended(object_root(pod));
    bool kept = json_len(json_get(meta, "finalizers")) > 0;
    bool marked =
        object_is_deleting(pod) && json_get_int(meta, "deletionGracePeriodSeconds", 0) == 0;
    struct pod_end how = {.grace_s = 0};
    if (kept && !ended) {
        how = (struct pod_end){"DeletionByPodGC", message, true, 0};
    }
    if (!kept || !ended || !marked) {
        pod_end(s, pods, pod, &how);
    }
}
