/* controller/job_priv.h: what the files of the Job controller share. Not for others. */
#ifndef CONTROLLER_JOB_PRIV_H
#define CONTROLLER_JOB_PRIV_H

#include "base/map.h"
#include "controller/owned.h"
#include "plan/job_plan.h"

#define JOB_FINALIZER "batch.kubernetes.io/job-tracking"
#define JOB_INDEX "batch.kubernetes.io/job-completion-index"
#define JOB_INDEX_FAILURES "batch.kubernetes.io/job-index-failure-count"
#define JOB_INDEX_IGNORED "batch.kubernetes.io/job-index-ignored-failure-count"

struct job_controller {
    struct owners jobs;
    struct owned_kind pods;
    struct reconciler *strays; /* pods whose finalizer nobody needs any more */
    struct map backoffs;       /* struct backoff_memo by uid of the job */
};

/* One sync; arena memory. */
struct job_sync {
    struct owned_sync own;
    struct job_controller *c;
    struct owned_list pods; /* in the order of the view */
    struct job_view view;
    struct job_plan plan;
    struct owned_pods act;
    size_t waiting; /* finalizers that go before their pods do */
};

/* ---- job_view.c ---- */

void job_observe(struct job_sync *x);
/* When it became Complete or Failed; 0: it has not. */
int64_t job_finished_ms(struct object *job);
/* Somebody else's by spec.managedBy. */
bool job_is_foreign(struct object *job);

/* ---- job_act.c ---- */

struct json_shared *job_pod_body(struct job_sync *x, const struct job_create *c);
void job_act(struct job_sync *x);
/* Takes the finalizer away; fn as for sync_do(). */
void job_untrack(struct sync *s, const struct owned_kind *pods, struct object *pod,
                 sync_reply_fn *fn, void *data);

/* ---- job_controller.c ---- */

/* The job's failures in a row, for the next sync. */
void job_remember(struct job_controller *c, struct span uid, struct job_backoff backoff);
const struct job_backoff *job_remembered(const struct job_controller *c, struct span uid);

#endif
