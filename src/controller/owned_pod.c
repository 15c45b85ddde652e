/* controller/owned_pod.c: pods from templates, and making and deleting them. */
#include "base/check.h"
#include "codec/time.h"
#include "controller/owned.h"

/* ---- reading ---- */

static uint8_t phase_of(yyjson_val *status)
{
    static const char *const names[] = {"Pending", "Unknown", "Running"};
    struct span phase = json_get_str(status, "phase");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (span_eq_cstr(phase, names[i])) {
            return (uint8_t)i;
        }
    }
    return phase.n ? POD_RANK_ENDED : POD_RANK_PENDING;
}

static int32_t restarts_of(yyjson_val *status)
{
    int32_t most = 0;
    JSON_EACH(it, json_get(status, "containerStatuses"))
    {
        int32_t n = owned_int32(it.val, "restartCount", 0);
        most = n > most ? n : most;
    }
    return most;
}

struct pod_rank owned_pod_rank(struct object *pod)
{
    assert(pod);
    yyjson_val *root = object_root(pod), *status = json_get(root, "status");
    yyjson_val *meta = json_get(root, "metadata"), *ready = client_condition(pod, "Ready");
    int64_t cost = 0;
    struct span text =
        json_get_str(json_get(meta, "annotations"), "controller.kubernetes.io/pod-deletion-cost");
    if (!span_to_i64(text, &cost) || cost > INT32_MAX || cost < INT32_MIN) {
        cost = 0;
    }
    return (struct pod_rank){.name = object_name(pod),
                             .phase = phase_of(status),
                             .assigned = json_get_str(json_get(root, "spec"), "nodeName").n > 0,
                             .ready = span_eq_cstr(json_get_str(ready, "status"), "True"),
                             .terminating = object_is_deleting(pod),
                             .deletion_cost = (int32_t)cost,
                             .restarts = restarts_of(status),
                             .ready_since_ms =
                                 time_or(json_get_str(ready, "lastTransitionTime"), 0),
                             .created_ms = time_or(json_get_str(meta, "creationTimestamp"), 0)};
}

/* ---- bodies ---- */

void owned_copy_members(yyjson_mut_doc *doc, yyjson_mut_val *to, const yyjson_val *from)
{
    assert(doc);
    assert(to);
    bool fresh = yyjson_mut_obj_size(to) == 0; /* nothing there that a member could replace */
    JSON_EACH(it, from)
    {
        yyjson_mut_val *copy = json_mut_copy(doc, it.val);
        if (fresh) {
            yyjson_mut_obj_add(to, json_mut_copy(doc, it.key), copy);
        } else {
            json_put_span(doc, to, json_str(it.key), copy);
        }
    }
}

struct client_body owned_pod_new(struct owned_sync *x, const struct schema_kind *pods,
                                 const yyjson_val *pod_template)
{
    yyjson_val *from = json_get(pod_template, "metadata");
    struct client_body b = client_body_new(x->a, pods, SPAN_NULL);
    assert(x->ns.n > 0);
    assert(x->name.n > 0);
    json_put_str(b.doc, b.meta, "generateName", arena_printf(x->a, "%.*s-", SPAN_ARG(x->name)));
    json_put_str(b.doc, b.meta, "namespace", x->ns);
    owned_copy_members(b.doc, json_mut_obj(b.doc, b.meta, "labels"), json_get(from, "labels"));
    if (json_len(json_get(from, "annotations"))) {
        owned_copy_members(b.doc, json_mut_obj(b.doc, b.meta, "annotations"),
                           json_get(from, "annotations"));
    }
    if (json_len(json_get(from, "finalizers"))) {
        json_put(b.doc, b.meta, "finalizers", json_mut_copy(b.doc, json_get(from, "finalizers")));
    }
    client_body_owner(&b, x->kind, x->owner);
    owned_copy_members(b.doc, json_mut_obj(b.doc, b.root, "spec"), json_get(pod_template, "spec"));
    return b;
}

/* ---- making and deleting ---- */

static void next(struct owned_pods *p);

static void answered(struct owned_pods *p)
{
    assert(p->waiting > 0);
    if (--p->waiting == 0) {
        next(p);
    }
}

static bool on_created(struct sync *s, void *data, const struct client_reply *reply)
{
    struct owned_pods *p = data;
    struct owned_sync *x = p->x;
    if (reply->err.reason == ERR_NONE) {
        event_record(x->events, x->kind, x->owner, EVENT_NORMAL, "SuccessfulCreate",
                     "Created pod: %.*s",
                     SPAN_ARG(reply->object ? object_name(reply->object) : SPAN_NULL));
    } else {
        event_record(x->events, x->kind, x->owner, EVENT_WARNING, "FailedCreate",
                     "Error creating: %.*s", SPAN_ARG(reply->err.message));
        if (p->create_error.n == 0) {
            p->create_error = arena_dup(s->arena, reply->err.message);
        }
        sync_fail(s);
    }
    answered(p);
    return true;
}

struct deletion {
    struct owned_pods *p;
    struct object *pod;
};

static bool on_deleted(struct sync *s, void *data, const struct client_reply *reply)
{
    struct deletion *d = data;
    struct owned_sync *x = d->p->x;
    struct span name = object_name(d->pod);
    bool gone = reply->err.reason == ERR_NOT_FOUND || reply->err.reason == ERR_CONFLICT;
    if (reply->err.reason == ERR_NONE) {
        event_record(x->events, x->kind, x->owner, EVENT_NORMAL, "SuccessfulDelete",
                     "Deleted pod: %.*s", SPAN_ARG(name));
    } else if (!gone) {
        event_record(x->events, x->kind, x->owner, EVENT_WARNING, "FailedDelete",
                     "Error deleting: %.*s", SPAN_ARG(reply->err.message));
        if (d->p->delete_error.n == 0) {
            d->p->delete_error = arena_dup(s->arena, reply->err.message);
        }
        sync_fail(s);
    }
    answered(d->p);
    return true;
}

static void send_deletes(struct owned_pods *p)
{
    assert(!p->ended);
    assert(p->waiting == 0);
    p->waiting += p->delete_count;
    for (size_t i = 0; i < p->delete_count; i++) {
        struct deletion *d = ARENA_NEW(p->x->a, struct deletion);
        *d = (struct deletion){p, p->deletes[i]};
        sync_delete(p->x->s, p->pods->informer, d->pod, on_deleted, d);
    }
    p->delete_count = 0;
}

static void send_batch(struct owned_pods *p)
{
    assert(p->sent <= p->body_count);
    p->batch = plan_next_batch(p->batch, (int32_t)(p->body_count - p->sent));
    assert(p->batch > 0);
    assert(p->sent + (size_t)p->batch <= p->body_count);
    p->waiting += (size_t)p->batch;
    for (int32_t i = 0; i < p->batch; i++) {
        struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE,
                                    .kind = p->pods->kind, .ns = p->x->ns,
                                    .tree = p->bodies[p->sent++]};
        sync_do(p->x->s, &rq, p->pods->informer, on_created, p);
    }
}

static void next(struct owned_pods *p)
{
    assert(p->waiting == 0);
    if (p->sent < p->body_count && p->create_error.n == 0) {
        send_batch(p);
    } else if (!p->ended) {
        p->ended = true;
        p->done(p);
    }
}

void owned_pods_act(struct owned_pods *p)
{
    assert(p->body_count <= INT32_MAX);
    assert(p->done);
    send_deletes(p);
    if (p->sent < p->body_count) {
        send_batch(p);
    } else if (p->waiting == 0) {
        next(p);
    }
}
