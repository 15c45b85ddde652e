/* controller/pod_end.c: see pod_end.h. */
#include "controller/pod_end.h"

#include "base/check.h"
#include "client/client_body.h"
#include "codec/time.h"
#include "schema/kinds.h"

struct ending {
    struct informer *pods;
    struct object *pod;
    int64_t grace_s;
};

struct span pod_end_node(struct object *pod)
{
    return json_str(json_path(object_root(pod), "spec", "nodeName", NULL));
}

void pod_end_by_node(struct object *pod, void (*emit)(void *ctx, struct span key), void *ctx)
{
    struct span node = pod_end_node(pod);
    if (node.n) {
        emit(ctx, node);
    }
}

static bool on_raced(struct sync *s, void *data, const struct client_reply *reply)
{
    (void)s;
    (void)data;
    return reply->err.reason == ERR_NOT_FOUND;
}

static void delete_pod(struct sync *s, const struct ending *e)
{
    struct client_request rq = client_request_for(CLIENT_DELETE, SCHEMA_KIND(Pod), e->pod);
    rq.precondition_uid = object_uid(e->pod);
    rq.grace_s = e->grace_s;
    assert(rq.precondition_uid.n > 0);
    sync_do(s, &rq, e->pods, on_raced, NULL);
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
    yyjson_mut_val *list = yyjson_mut_arr(b.doc), *c = yyjson_mut_obj(b.doc);
    JSON_EACH(it, json_path(object_root(e->pod), "status", "conditions", NULL))
    {
        if (!span_eq_cstr(json_get_str(it.val, "type"), "DisruptionTarget")) {
            yyjson_mut_arr_append(list, json_mut_copy(b.doc, it.val));
        }
    }
    json_put_str(b.doc, c, "type", SPAN("DisruptionTarget"));
    json_put_str(b.doc, c, "status", SPAN("True"));
    json_put(b.doc, c, "lastProbeTime", yyjson_mut_null(b.doc));
    json_put_str(b.doc, c, "lastTransitionTime", time_format(s->arena, s->now_ms));
    json_put_str(b.doc, c, "reason", span_cstr(how->reason));
    json_put_str(b.doc, c, "message", span_cstr(how->message));
    yyjson_mut_arr_append(list, c);
    json_put(b.doc, client_body_obj(&b, "status"), "conditions", list);
    if (how->failed) {
        json_put_str(b.doc, client_body_obj(&b, "status"), "phase", SPAN("Failed"));
    }
    struct client_request rq = client_request_for(CLIENT_PATCH_MERGE, SCHEMA_KIND(Pod), e->pod);
    rq.subresource = SPAN("status");
    rq.body = client_body_text(&b);
    sync_do(s, &rq, e->pods, on_said, e);
}

static void unref_object(void *data)
{
    object_unref(data);
}

void pod_end(struct sync *s, struct informer *pods, struct object *pod, const struct pod_end *how)
{
    assert(s);
    assert(pods);
    assert(pod);
    struct ending *e = ARENA_NEW(s->arena, struct ending);
    *e = (struct ending){pods, object_ref(pod), how->grace_s};
    arena_on_clear(s->arena, unref_object, e->pod);
    if (!how->reason || is_said(client_condition(pod, "DisruptionTarget"), how)) {
        delete_pod(s, e);
    } else {
        say(s, e, how);
    }
}
