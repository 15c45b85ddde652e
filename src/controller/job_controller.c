/* controller/job_controller.c: runs the pods of Jobs to their end: observes, lets plan/job_plan
 * decide, acts. Also lets pods go whose job has ended or is gone, and deletes jobs whose time after
 * their end is over. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "controller/job_priv.h"
#include "schema/kinds.h"

enum { PARALLEL_STRAYS = 16 };

/* ---- failures in a row ---- */

struct backoff_memo {
    struct job_backoff backoff;
    size_t uid_n;
    char uid[];
};

static void forget(struct job_controller *c, struct span uid)
{
    free(map_remove(&c->backoffs, uid));
}

void job_remember(struct job_controller *c, struct span uid, struct job_backoff backoff)
{
    struct backoff_memo *memo = map_get(&c->backoffs, uid);
    assert(uid.n > 0);
    if (!memo) {
        memo = mem_new(sizeof *memo + uid.n);
        memcpy(memo->uid, uid.p, uid.n);
        memo->uid_n = uid.n;
        map_put(&c->backoffs, span_of(memo->uid, memo->uid_n), memo);
    }
    memo->backoff = backoff;
}

const struct job_backoff *job_remembered(const struct job_controller *c, struct span uid)
{
    const struct backoff_memo *memo = map_get(&c->backoffs, uid);
    return memo ? &memo->backoff : NULL;
}

/* ---- jobs ---- */

static void run(struct sync *s)
{
    struct job_controller *c = s->controller;
    struct job_sync *x = ARENA_NEW(s->arena, struct job_sync);
    x->c = c;
    if (!owned_begin(&x->own, s, &c->jobs)) {
        return;
    }
    bool finished = job_finished_ms(x->own.owner);
    if (job_is_foreign(x->own.owner) && !finished) {
        return;
    }
    if (finished) {
        forget(c, x->own.uid);
    } else if (owned_claim(&x->own, &c->pods, &x->pods)) {
        return;
    }
    job_observe(x);
    job_plan(s->arena, &x->view, &x->plan);
    job_act(x);
}

/* ---- pods whose count nobody waits for ---- */

/* The job that its finalizer is for; NULL: none, or one that is over. */
static struct object *keeper(struct job_controller *c, struct object *pod)
{
    struct span name = owned_controller_name(c->jobs.kind, pod);
    struct object *job =
        name.n ? informer_get(c->jobs.informer, object_namespace(pod), name) : NULL;
    bool its = job && span_eq(object_uid(job), client_controller_uid(pod));
    return its && (job_is_foreign(job) || !job_finished_ms(job)) ? job : NULL;
}

static bool is_stray(struct job_controller *c, struct object *pod)
{
    return client_has_finalizer(pod, JOB_FINALIZER) && !keeper(c, pod) &&
           (!object_has_controller(pod) || owned_controller_name(c->jobs.kind, pod).n > 0);
}

static void run_stray(struct sync *s)
{
    struct job_controller *c = s->controller;
    struct object *pod = informer_get(c->pods.informer, s->ns, s->name);
    if (pod && is_stray(c, pod)) {
        job_untrack(s, &c->pods, pod, sync_or_gone, NULL);
    }
}

/* ---- events ---- */

static void on_pod(void *data, struct object *old, struct object *now)
{
    struct job_controller *c = data;
    (void)old;
    if (now && is_stray(c, now)) {
        reconciler_add_object(c->strays, now);
    }
}

static bool add_stray(void *data, struct object *pod)
{
    on_pod(data, NULL, pod);
    return true;
}

static void on_job(void *data, struct object *old, struct object *now)
{
    struct job_controller *c = data;
    struct span uid = object_uid(now ? now : old);
    if (!now) {
        forget(c, uid);
    }
    if (!now || job_finished_ms(now)) {
        informer_index_each(c->pods.informer, c->pods.by_controller, uid, add_stray, c);
    }
}

/* ---- life ---- */

static void *make(const struct controller_place *place)
{
    static const struct informer_handler jobs = {on_job}, pods = {on_pod};
    struct job_controller *c = MEM_NEW(struct job_controller);
    owners_init(&c->jobs, place, SCHEMA_KIND(Job), "job-controller", run, c);
    owned_kind_init(&c->pods, place->informers, SCHEMA_KIND(Pod));
    c->pods.finalizer = JOB_FINALIZER;
    c->strays = reconciler_new(place, "job-pods", PARALLEL_STRAYS, run_stray, c);
    owners_follow(&c->jobs, &c->pods);
    reconciler_follow(c->strays, c->jobs.informer, &jobs, c);
    reconciler_follow(c->strays, c->pods.informer, &pods, c);
    return c;
}

static void end(void *controller)
{
    struct job_controller *c = controller;
    reconciler_free(c->strays);
    owners_done(&c->jobs);
    map_done_values(&c->backoffs, free);
    free(c);
}

const struct controller_type controller_job = {make, end};
