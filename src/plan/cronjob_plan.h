/* plan/cronjob_plan.h: when a CronJob starts a job, which jobs it deletes, and its status. Pure.
 *
 * Invariants (checked over small worlds and a year of virtual time in cronjob_plan_test):
 * - No time is started twice, not even when the status was lost after the job was made.
 * - With Forbid nothing starts while a job is active, with Replace every active job goes first.
 * - Of finished jobs the newest stay, as many as the limits say; of others none is deleted. */
#ifndef PLAN_CRONJOB_PLAN_H
#define PLAN_CRONJOB_PLAN_H

#include "codec/cron.h"

enum cronjob_policy { CRONJOB_ALLOW, CRONJOB_FORBID, CRONJOB_REPLACE };

enum { CRONJOB_MISSED_MAX = 100 }; /* times that may pass unnoticed before an event tells */

/* A job that it owns. */
struct cronjob_job {
    struct span name, uid;
    bool complete, failed; /* neither: it runs */
    bool deleting;
    int64_t start_ms, completion_ms; /* 0: none */
};

struct cronjob_active {
    struct span name, uid;
};

struct cronjob_view {
    int64_t now_ms;
    struct span name;
    bool deleting, suspend;
    enum cronjob_policy policy;
    int64_t deadline_s;                 /* -1: none */
    int32_t keep_complete, keep_failed; /* -1: all */
    int64_t created_ms;
    int64_t last_schedule_ms, last_success_ms; /* 0: never */
    struct cron cron;
    bool schedule_ok; /* false: the schedule or its time zone cannot be read */
    const struct cronjob_job *jobs;
    size_t job_count;
    const struct cronjob_active *active;
    size_t active_count;
};

enum cronjob_news {
    CRONJOB_SAW_COMPLETED, /* of a job in the view, the next as well */
    CRONJOB_UNEXPECTED,
    CRONJOB_MISSING, /* of an entry of the active ones */
    CRONJOB_MISSED_MANY,
    CRONJOB_ALREADY_ACTIVE,
};

struct cronjob_event {
    enum cronjob_news what;
    size_t at;
};

struct cronjob_plan {
    size_t *keep; /* entries of view.active that stay */
    size_t keep_count;
    size_t *adopt; /* jobs that become active: made before, but the status does not know */
    size_t adopt_count;
    size_t *deletes; /* jobs: too old, or to be replaced */
    size_t delete_count;
    int64_t start_ms; /* the time whose job is to be made; 0: none */
    struct span job;  /* its name */
    int64_t last_schedule_ms, last_success_ms;
    struct cronjob_event *events;
    size_t event_count;
    bool changed; /* of the status, a job to be made apart */
    int64_t requeue_at_ms;
};

/* Memory of the plan is the arena's. */
void cronjob_plan(struct arena *a, const struct cronjob_view *view, struct cronjob_plan *ret);
/* NAME-MINUTES since 1970. */
struct span cronjob_job_name(struct arena *a, struct span name, int64_t at_ms);

#endif
