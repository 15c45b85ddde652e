/* controller/cronjob_controller.c: starts Jobs at the times of CronJobs and keeps the newest of
 * them: observes, lets plan/cronjob_plan decide, acts. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "codec/time.h"
#include "controller/owned.h"
#include "plan/cronjob_plan.h"
#include "schema/kinds.h"

#define SCHEDULED_AT "batch.kubernetes.io/cronjob-scheduled-timestamp"

struct cronjob_controller {
    struct owners crons;
    struct owned_kind jobs;
};

/* One sync; arena memory. */
struct cron_sync {
    struct owned_sync own;
    struct cronjob_controller *c;
    struct owned_list jobs; /* in the order of the view */
    struct cronjob_view view;
    struct cronjob_plan plan;
    struct span fault;   /* why the schedule cannot be read */
    struct object *made; /* held; NULL: none */
    size_t waiting;      /* deletions before the start */
};

/* ---- observing ---- */

static int64_t time_of(const yyjson_val *obj, const char *key)
{
    return time_or(json_get_str(obj, key), 0);
}

static struct cronjob_job job_of(struct object *job)
{
    yyjson_val *status = client_status(job);
    return (struct cronjob_job){.name = object_name(job),
                                .uid = object_uid(job),
                                .complete = client_condition_true(job, "Complete"),
                                .failed = client_condition_true(job, "Failed"),
                                .deleting = object_is_deleting(job),
                                .start_ms = time_of(status, "startTime"),
                                .completion_ms = time_of(status, "completionTime")};
}

static int32_t limit_of(const yyjson_val *spec, const char *key)
{
    return json_get(spec, key) ? owned_int32(spec, key, 0) : -1;
}

static enum cronjob_policy policy_of(struct span policy)
{
    return span_eq(policy, SPAN("Forbid"))    ? CRONJOB_FORBID
           : span_eq(policy, SPAN("Replace")) ? CRONJOB_REPLACE
                                              : CRONJOB_ALLOW;
}

static void observe_active(struct cron_sync *x)
{
    yyjson_val *list = json_get(x->own.status, "active");
    struct cronjob_active *active =
        ARENA_ARRAY(x->own.a, struct cronjob_active, json_len(list) + 1);
    JSON_EACH(it, list)
    {
        active[x->view.active_count++] =
            (struct cronjob_active){json_get_str(it.val, "name"), json_get_str(it.val, "uid")};
    }
    x->view.active = active;
}

static void observe(struct cron_sync *x)
{
    struct owned_sync *own = &x->own;
    const yyjson_val *spec = own->spec;
    int64_t deadline = json_get_int(spec, "startingDeadlineSeconds", -1);
    struct cronjob_job *jobs = ARENA_ARRAY(own->a, struct cronjob_job, x->jobs.n + 1);
    for (size_t i = 0; i < x->jobs.n; i++) {
        jobs[i] = job_of(x->jobs.at[i]);
    }
    x->view =
        (struct cronjob_view){.now_ms = own->s->now_ms,
                              .name = own->name,
                              .deleting = object_is_deleting(own->owner),
                              .suspend = json_get_bool(spec, "suspend", false),
                              .policy = policy_of(json_get_str(spec, "concurrencyPolicy")),
                              .deadline_s = deadline < 0 ? -1 : deadline,
                              .keep_complete = limit_of(spec, "successfulJobsHistoryLimit"),
                              .keep_failed = limit_of(spec, "failedJobsHistoryLimit"),
                              .created_ms = time_of(client_meta(own->owner), "creationTimestamp"),
                              .last_schedule_ms = time_of(own->status, "lastScheduleTime"),
                              .last_success_ms = time_of(own->status, "lastSuccessfulTime"),
                              .jobs = jobs,
                              .job_count = x->jobs.n};
    x->view.schedule_ok =
        cron_parse(own->a, json_get_str(spec, "schedule"), &x->view.cron, &x->fault);
    observe_active(x);
}

/* ---- status ---- */

static void put_active(struct cron_sync *x, yyjson_mut_doc *doc, yyjson_mut_val *list,
                       struct object *job)
{
    yyjson_mut_val *ref = yyjson_mut_obj(doc);
    json_put_str(doc, ref, "kind", SPAN("Job"));
    json_put_str(doc, ref, "namespace", x->own.ns);
    json_put_str(doc, ref, "name", object_name(job));
    json_put_str(doc, ref, "uid", object_uid(job));
    json_put_str(doc, ref, "apiVersion", SPAN("batch/v1"));
    json_put_str(doc, ref, "resourceVersion",
                 arena_printf(x->own.a, "%lld", (long long)object_rev(job)));
    yyjson_mut_arr_append(list, ref);
}

static void put_time(struct cron_sync *x, const struct client_body *b, yyjson_mut_val *to,
                     const char *key, int64_t ms)
{
    if (ms) {
        json_put_str(b->doc, to, key, time_format(x->own.a, ms));
    }
}

static void write_status(struct cron_sync *x)
{
    const struct cronjob_plan *plan = &x->plan;
    if (!plan->changed && !x->made) {
        return;
    }
    struct client_body b = client_patch_new(x->own.a, x->own.owner);
    yyjson_mut_val *to = client_body_obj(&b, "status"), *list = yyjson_mut_arr(b.doc);
    size_t i = 0, kept = 0;
    JSON_EACH(it, json_get(x->own.status, "active"))
    {
        if (kept < plan->keep_count && plan->keep[kept] == i) {
            yyjson_mut_arr_append(list, json_mut_copy(b.doc, it.val));
            kept++;
        }
        i++;
    }
    assert(kept == plan->keep_count);
    for (size_t n = 0; n < plan->adopt_count; n++) {
        put_active(x, b.doc, list, x->jobs.at[plan->adopt[n]]);
    }
    if (x->made) {
        put_active(x, b.doc, list, x->made);
    }
    json_put(b.doc, to, "active", yyjson_mut_arr_size(list) ? list : yyjson_mut_null(b.doc));
    put_time(x, &b, to, "lastScheduleTime", x->made ? plan->start_ms : plan->last_schedule_ms);
    put_time(x, &b, to, "lastSuccessfulTime", plan->last_success_ms);
    sync_patch_status(x->own.s, x->c->crons.informer, x->own.owner, &b, NULL, NULL);
}

/* ---- starting ---- */

static struct json_shared *job_body(struct cron_sync *x)
{
    yyjson_val *from = json_get(x->own.spec, "jobTemplate"), *meta = json_get(from, "metadata");
    struct client_body b = client_body_new(x->own.a, x->c->jobs.kind, x->plan.job);
    json_put_str(b.doc, b.meta, "namespace", x->own.ns);
    if (json_len(json_get(meta, "labels"))) {
        owned_copy_members(b.doc, json_mut_obj(b.doc, b.meta, "labels"), json_get(meta, "labels"));
    }
    yyjson_mut_val *notes = json_mut_obj(b.doc, b.meta, "annotations");
    owned_copy_members(b.doc, notes, json_get(meta, "annotations"));
    json_put_str(b.doc, notes, SCHEDULED_AT, time_format(x->own.a, x->plan.start_ms));
    client_body_owner(&b, x->own.kind, x->own.owner);
    owned_copy_members(b.doc, client_body_obj(&b, "spec"), json_get(from, "spec"));
    return client_body_tree(&b);
}

static bool on_started(struct sync *s, void *data, const struct client_reply *reply)
{
    struct cron_sync *x = data;
    struct owned_sync *own = &x->own;
    bool exists = reply->err.reason == ERR_ALREADY_EXISTS; /* somebody else's: ours are in view */
    if (reply->err.reason == ERR_NONE && reply->object) {
        x->made = object_hold(own->a, reply->object);
        event_record(own->events, own->kind, own->owner, EVENT_NORMAL, "SuccessfulCreate",
                     "Created job %.*s", SPAN_ARG(x->plan.job));
    } else if (!exists) {
        event_record(own->events, own->kind, own->owner, EVENT_WARNING, "FailedCreate",
                     "Error creating job: %.*s", SPAN_ARG(reply->err.message));
        sync_fail(s);
    }
    write_status(x);
    return true;
}

static void start(struct cron_sync *x)
{
    assert(x->waiting == 0);
    if (x->plan.start_ms == 0) {
        write_status(x);
        return;
    }
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE, .kind = x->c->jobs.kind,
                                .ns = x->own.ns, .tree = job_body(x)};
    sync_do(x->own.s, &rq, x->c->jobs.informer, on_started, x);
}

/* ---- deleting ---- */

struct deletion {
    struct cron_sync *x;
    struct object *job;
};

static bool on_deleted(struct sync *s, void *data, const struct client_reply *reply)
{
    struct deletion *d = data;
    struct owned_sync *own = &d->x->own;
    struct span name = object_name(d->job);
    bool gone = reply->err.reason == ERR_NOT_FOUND || reply->err.reason == ERR_CONFLICT;
    if (reply->err.reason == ERR_NONE) {
        event_record(own->events, own->kind, own->owner, EVENT_NORMAL, "SuccessfulDelete",
                     "Deleted job %.*s", SPAN_ARG(name));
    } else if (!gone) {
        event_record(own->events, own->kind, own->owner, EVENT_WARNING, "FailedDelete",
                     "Deleted job: %.*s", SPAN_ARG(reply->err.message));
        d->x->plan.start_ms = 0; /* what was to be replaced is still there */
        sync_fail(s);
    }
    assert(d->x->waiting > 0);
    if (--d->x->waiting == 0) {
        start(d->x);
    }
    return true;
}

static void delete_jobs(struct cron_sync *x)
{
    x->waiting = x->plan.delete_count;
    for (size_t i = 0; i < x->plan.delete_count; i++) {
        struct deletion *d = ARENA_NEW(x->own.a, struct deletion);
        assert(x->plan.deletes[i] < x->jobs.n);
        *d = (struct deletion){x, x->jobs.at[x->plan.deletes[i]]};
        struct client_request rq = client_request_for(CLIENT_DELETE, x->c->jobs.kind, d->job);
        rq.precondition_uid = object_uid(d->job);
        rq.propagation = CLIENT_PROPAGATION_BACKGROUND;
        sync_do(x->own.s, &rq, x->c->jobs.informer, on_deleted, d);
    }
}

/* ---- events ---- */

static void tell(struct cron_sync *x, const struct cronjob_event *e)
{
    struct owned_sync *own = &x->own;
    switch (e->what) {
    case CRONJOB_SAW_COMPLETED:
        event_record(own->events, own->kind, own->owner, EVENT_NORMAL, "SawCompletedJob",
                     "Saw completed job: %.*s, condition: %s", SPAN_ARG(x->view.jobs[e->at].name),
                     x->view.jobs[e->at].complete ? "Complete" : "Failed");
        break;
    case CRONJOB_UNEXPECTED:
        event_record(own->events, own->kind, own->owner, EVENT_WARNING, "UnexpectedJob",
                     "Saw a job that the controller did not create or forgot: %.*s",
                     SPAN_ARG(x->view.jobs[e->at].name));
        break;
    case CRONJOB_MISSING:
        event_record(own->events, own->kind, own->owner, EVENT_NORMAL, "MissingJob",
                     "Active job went missing: %.*s", SPAN_ARG(x->view.active[e->at].name));
        break;
    case CRONJOB_MISSED_MANY:
        event_record(own->events, own->kind, own->owner, EVENT_WARNING, "TooManyMissedTimes",
                     "too many missed start times. Set or decrease .spec.startingDeadlineSeconds "
                     "or check clock skew");
        break;
    case CRONJOB_ALREADY_ACTIVE:
        event_record(own->events, own->kind, own->owner, EVENT_NORMAL, "JobAlreadyActive",
                     "Not starting job because prior execution is running and concurrency policy "
                     "is Forbid");
        break;
    }
}

/* ---- a sync ---- */

static void run(struct sync *s)
{
    struct cron_sync *x = ARENA_NEW(s->arena, struct cron_sync);
    x->c = s->controller;
    if (!owned_begin(&x->own, s, &x->c->crons)) {
        return;
    }
    x->jobs = owned_all(s->arena, &x->c->jobs, x->own.uid);
    observe(x);
    if (!x->view.schedule_ok) { /* stored by one who read it otherwise */
        event_record(x->own.events, x->own.kind, x->own.owner, EVENT_WARNING, "UnparseableSchedule",
                     "unparseable schedule: \"%.*s\" : %.*s",
                     SPAN_ARG(json_get_str(x->own.spec, "schedule")), SPAN_ARG(x->fault));
    }
    cronjob_plan(s->arena, &x->view, &x->plan);
    for (size_t i = 0; i < x->plan.event_count; i++) {
        tell(x, &x->plan.events[i]);
    }
    sync_at(s, x->plan.requeue_at_ms);
    if (x->plan.delete_count) {
        delete_jobs(x);
    } else {
        start(x);
    }
}

/* ---- life ---- */

static void *make(const struct controller_place *place)
{
    struct cronjob_controller *c = MEM_NEW(struct cronjob_controller);
    owners_init(&c->crons, place, SCHEMA_KIND(CronJob), "cronjob-controller", run, c);
    owned_kind_init(&c->jobs, place->informers, SCHEMA_KIND(Job));
    owners_follow(&c->crons, &c->jobs);
    return c;
}

static void end(void *controller)
{
    struct cronjob_controller *c = controller;
    owners_done(&c->crons);
    free(c);
}

const struct controller_type controller_cronjob = {make, end};
