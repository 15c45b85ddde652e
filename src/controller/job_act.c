/* controller/job_act.c: carries out a plan for a job: pods, then the status, then the finalizers of
 * the pods that the status now knows. */
#include "base/check.h"
#include "codec/time.h"
#include "controller/job_priv.h"
#include "schema/kinds.h"
#include "schema/status.h"

/* ---- bodies of pods ---- */

/* JOB_COMPLETION_INDEX, unless the container has one of its own. */
static void put_index_env(yyjson_mut_doc *doc, yyjson_mut_val *containers)
{
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(containers);
    for (yyjson_mut_val *c; (c = yyjson_mut_arr_iter_next(&it));) {
        yyjson_mut_val *env = json_mut_get(c, "env"), *one;
        yyjson_mut_arr_iter at = yyjson_mut_arr_iter_with(env);
        bool has = false;
        while ((one = yyjson_mut_arr_iter_next(&at))) {
            has |= span_eq(json_mut_str(json_mut_get(one, "name")), SPAN("JOB_COMPLETION_INDEX"));
        }
        if (has) {
            continue;
        }
        if (!env) {
            env = yyjson_mut_arr(doc);
            json_put(doc, c, "env", env);
        }
        one = yyjson_mut_obj(doc);
        json_put_str(doc, one, "name", SPAN("JOB_COMPLETION_INDEX"));
        json_put_str(doc, json_mut_obj(doc, json_mut_obj(doc, one, "valueFrom"), "fieldRef"),
                     "fieldPath", SPAN("metadata.labels['" JOB_INDEX "']"));
        yyjson_mut_arr_append(env, one);
    }
}

enum { GENERATED_MAX = 58 }; /* of a generated name, before its five letters */

static void put_index(struct job_sync *x, struct client_body *b, const struct job_create *c)
{
    struct arena *a = x->own.a;
    struct span index = arena_printf(a, "%d", c->index);
    struct span tail = arena_printf(a, "-%d-", c->index);
    yyjson_mut_val *notes = json_mut_obj(b->doc, b->meta, "annotations");
    yyjson_mut_val *spec = client_body_obj(b, "spec");
    assert(c->index >= 0);
    assert(tail.n < GENERATED_MAX);
    json_put_str(b->doc, notes, JOB_INDEX, index);
    json_put_str(b->doc, json_mut_obj(b->doc, b->meta, "labels"), JOB_INDEX, index);
    if (x->view.index_limit >= 0) {
        json_put_str(b->doc, notes, JOB_INDEX_FAILURES, arena_printf(a, "%d", c->failures));
        if (c->ignored) {
            json_put_str(b->doc, notes, JOB_INDEX_IGNORED, arena_printf(a, "%d", c->ignored));
        }
    }
    json_put_str(b->doc, b->meta, "generateName",
                 arena_printf(a, "%.*s%.*s",
                              SPAN_ARG(span_first(x->own.name, GENERATED_MAX - tail.n)),
                              SPAN_ARG(tail)));
    json_put_str(b->doc, spec, "hostname",
                 arena_printf(a, "%.*s-%d", SPAN_ARG(x->own.name), c->index));
    put_index_env(b->doc, json_mut_get(spec, "containers"));
    put_index_env(b->doc, json_mut_get(spec, "initContainers"));
}

struct json_shared *job_pod_body(struct job_sync *x, const struct job_create *c)
{
    struct client_body b =
        owned_pod_new(&x->own, x->c->pods.kind, json_get(x->own.spec, "template"));
    yyjson_mut_val *finalizers = json_mut_get(b.meta, "finalizers");
    if (!finalizers) {
        finalizers = yyjson_mut_arr(b.doc);
        json_put(b.doc, b.meta, "finalizers", finalizers);
    }
    yyjson_mut_arr_append(finalizers, json_new_str(b.doc, SPAN(JOB_FINALIZER)));
    if (c->index != JOB_NO_INDEX) {
        put_index(x, &b, c);
    }
    return client_body_tree(&b);
}

/* ---- finalizers ---- */

void job_untrack(struct sync *s, const struct owned_kind *pods, struct object *pod,
                 sync_reply_fn *fn, void *data)
{
    struct client_body b = client_patch_any(s->arena, pod);
    yyjson_mut_val *list = yyjson_mut_arr(b.doc);
    yyjson_mut_arr_append(list, json_new_str(b.doc, SPAN(JOB_FINALIZER)));
    json_put(b.doc, b.meta, "$deleteFromPrimitiveList/finalizers", list);
    struct client_request rq = client_request_for(CLIENT_PATCH_STRATEGIC, pods->kind, pod);
    rq.tree = client_body_tree(&b);
    sync_do(s, &rq, pods->informer, fn, data);
}

static void untrack_counted(struct job_sync *x)
{
    for (size_t i = 0; i < x->plan.untrack_count; i++) {
        assert(x->plan.untracks[i] < x->pods.n);
        job_untrack(x->own.s, &x->c->pods, x->pods.at[x->plan.untracks[i]], sync_or_gone, NULL);
    }
}

/* ---- status ---- */

static void put_count(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, int64_t n,
                      bool always)
{
    assert(n >= 0);
    if (n || always) {
        json_put_int(doc, to, key, n < INT32_MAX ? n : INT32_MAX);
    } else {
        json_put(doc, to, key, yyjson_mut_null(doc));
    }
}

static void put_text(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, struct span text,
                     bool has)
{
    if (has) {
        json_put_str(doc, to, key, text);
    } else {
        json_put(doc, to, key, yyjson_mut_null(doc));
    }
}

static void put_uids(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, struct job_uids uids)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    for (size_t i = 0; i < uids.n; i++) {
        yyjson_mut_arr_append(list, json_new_str(doc, uids.at[i]));
    }
    json_put(doc, to, key, uids.n ? list : yyjson_mut_null(doc));
}

static yyjson_mut_val *new_condition(struct job_sync *x, yyjson_mut_doc *doc,
                                     const struct job_condition *c)
{
    assert(c->type);
    struct span now = time_format(x->own.a, x->own.s->now_ms);
    struct status_condition said = {c->type, c->is_true ? SPAN("True") : SPAN("False"), now,
                                    c->reason, c->message};
    yyjson_mut_val *v = status_condition_new(doc, &said);
    json_put_str(doc, v, "lastProbeTime", now);
    return v;
}

static void put_conditions(struct job_sync *x, yyjson_mut_doc *doc, yyjson_mut_val *to)
{
    assert(x->plan.condition_count <= JOB_CONDITIONS_MAX);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    bool done[JOB_CONDITIONS_MAX] = {false};
    JSON_EACH(it, json_get(x->own.status, "conditions"))
    {
        yyjson_mut_val *v = json_mut_copy(doc, it.val);
        for (size_t i = 0; i < x->plan.condition_count; i++) {
            const struct job_condition *c = &x->plan.conditions[i];
            if (span_eq_cstr(json_get_str(it.val, "type"), c->type)) {
                v = new_condition(x, doc, c);
                done[i] = true;
            }
        }
        yyjson_mut_arr_append(list, v);
    }
    for (size_t i = 0; i < x->plan.condition_count; i++) {
        if (!done[i]) {
            yyjson_mut_arr_append(list, new_condition(x, doc, &x->plan.conditions[i]));
        }
    }
    json_put(doc, to, "conditions", list);
}

static void put_time(struct job_sync *x, yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key,
                     int64_t ms)
{
    if (ms) {
        json_put_str(doc, to, key, time_format(x->own.a, ms));
    }
}

/* A patch that only fits the version that the plan was made from: a count must not be lost. */
static struct client_body status_body(struct job_sync *x, bool failed)
{
    const struct job_plan *plan = &x->plan;
    const struct job_status *st = &plan->status;
    struct client_body b = client_patch_new(x->own.a, x->own.owner);
    yyjson_mut_val *to = client_body_obj(&b, "status");
    put_time(x, b.doc, to, "startTime", st->start_ms);
    put_time(x, b.doc, to, "completionTime", st->completion_ms);
    put_count(b.doc, to, "active", failed ? plan->before_active : st->active, false);
    put_count(b.doc, to, "ready", failed ? plan->before_ready : st->ready, true);
    put_count(b.doc, to, "terminating", failed ? plan->before_terminating : st->terminating, true);
    put_count(b.doc, to, "succeeded", st->succeeded, false);
    put_count(b.doc, to, "failed", st->failed, false);
    put_text(b.doc, to, "completedIndexes", st->completed_indexes, st->completed_indexes.n > 0);
    put_text(b.doc, to, "failedIndexes", st->failed_indexes, st->has_failed_indexes);
    yyjson_mut_val *uncounted = json_mut_obj(b.doc, to, "uncountedTerminatedPods");
    put_uids(b.doc, uncounted, "succeeded", st->uncounted_succeeded);
    put_uids(b.doc, uncounted, "failed", st->uncounted_failed);
    if (plan->condition_count) {
        put_conditions(x, b.doc, to);
    }
    return b;
}

static void tell(struct job_sync *x)
{
    struct owned_sync *own = &x->own;
    const struct job_plan *plan = &x->plan;
    assert(plan->condition_count <= JOB_CONDITIONS_MAX);
    for (size_t i = 0; i < plan->condition_count; i++) {
        const struct job_condition *c = &plan->conditions[i];
        if (strcmp(c->type, "Suspended") == 0) {
            event_record(own->events, own->kind, own->owner, EVENT_NORMAL,
                         c->is_true ? "Suspended" : "Resumed", "%.*s", SPAN_ARG(c->message));
        }
    }
    if (plan->too_many) {
        event_record(own->events, own->kind, own->owner, EVENT_WARNING, "TooManySucceededPods",
                     "Too many succeeded pods running after completion count reached");
    }
    if (plan->end.type && strcmp(plan->end.type, "Complete") == 0) {
        event_record(own->events, own->kind, own->owner, EVENT_NORMAL, "Completed",
                     "Job completed");
    } else if (plan->end.type) {
        event_record(own->events, own->kind, own->owner, EVENT_WARNING,
                     arena_cstr(own->a, plan->end.reason), "%.*s", SPAN_ARG(plan->end.message));
    }
}

static void after_status(struct job_sync *x)
{
    job_remember(x->c, x->own.uid, x->plan.backoff);
    untrack_counted(x);
}

static bool on_status(struct sync *s, void *data, const struct client_reply *reply)
{
    (void)s;
    struct job_sync *x = data;
    if (reply->err.reason == ERR_NONE) {
        tell(x);
        after_status(x);
    }
    return false;
}

static void write_status(struct owned_pods *act)
{
    struct job_sync *x = act->data;
    bool failed = act->create_error.n || act->delete_error.n;
    if (!x->plan.changed) {
        after_status(x);
        return;
    }
    struct client_body b = status_body(x, failed);
    sync_patch_status(x->own.s, x->c->jobs.informer, x->own.owner, &b, on_status, x);
}

/* ---- pods ---- */

static void act_on_pods(struct job_sync *x)
{
    assert(x->waiting == 0);
    owned_pods_act(&x->act);
}

static bool on_let_go(struct sync *s, void *data, const struct client_reply *reply)
{
    (void)s;
    struct job_sync *x = data;
    assert(x->waiting > 0);
    if (--x->waiting == 0) {
        act_on_pods(x);
    }
    return reply->err.reason == ERR_NOT_FOUND;
}

/* Pods that are no longer wanted have not failed: the finalizer goes before they do. */
static void let_go(struct job_sync *x)
{
    const struct job_plan *plan = &x->plan;
    for (size_t i = 0; i < plan->delete_count; i++) {
        x->waiting += x->view.pods[plan->deletes[i]].tracked;
    }
    for (size_t i = 0, left = x->waiting; i < plan->delete_count && left; i++) {
        if (x->view.pods[plan->deletes[i]].tracked) {
            job_untrack(x->own.s, &x->c->pods, x->pods.at[plan->deletes[i]], on_let_go, x);
        }
    }
}

static void delete_job(struct job_sync *x)
{
    struct client_request rq = client_request_for(CLIENT_DELETE, x->own.kind, x->own.owner);
    rq.precondition_uid = x->own.uid;
    rq.propagation = CLIENT_PROPAGATION_FOREGROUND;
    sync_do(x->own.s, &rq, x->c->jobs.informer, sync_or_gone, NULL);
}

void job_act(struct job_sync *x)
{
    const struct job_plan *plan = &x->plan;
    struct owned_pods *p = &x->act;
    struct arena *a = x->own.a;
    sync_at(x->own.s, plan->requeue_at_ms);
    if (x->view.finished_ms) {
        if (plan->delete_job) {
            delete_job(x);
        }
        return;
    }
    *p = (struct owned_pods){.x = &x->own, .pods = &x->c->pods, .done = write_status, .data = x};
    p->bodies = ARENA_ARRAY(a, struct json_shared *, plan->create_count + 1);
    for (; p->body_count < plan->create_count; p->body_count++) {
        p->bodies[p->body_count] = job_pod_body(x, &plan->creates[p->body_count]);
    }
    p->deletes = ARENA_ARRAY(a, struct object *, plan->delete_count + 1);
    for (; p->delete_count < plan->delete_count; p->delete_count++) {
        assert(plan->deletes[p->delete_count] < x->pods.n);
        p->deletes[p->delete_count] = x->pods.at[plan->deletes[p->delete_count]];
    }
    if (plan->deletes_untracked) {
        let_go(x);
    }
    if (x->waiting == 0) {
        act_on_pods(x);
    }
}
