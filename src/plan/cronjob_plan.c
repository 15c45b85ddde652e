/* plan/cronjob_plan.c: see cronjob_plan.h. */
#include "plan/cronjob_plan.h"

#include <stdlib.h>

#include "base/check.h"

static void tell(struct cronjob_plan *ret, enum cronjob_news what, size_t at)
{
    ret->events[ret->event_count++] = (struct cronjob_event){what, at};
}

static bool is_finished(const struct cronjob_job *j)
{
    return j->complete || j->failed;
}

/* ---- what has become of the jobs ---- */

/* job_count or active_count when there is none. */
static size_t find_job(const struct cronjob_view *v, struct span uid)
{
    size_t i = 0;
    while (i < v->job_count && !span_eq(v->jobs[i].uid, uid)) {
        i++;
    }
    return i;
}

static size_t find_active(const struct cronjob_view *v, struct span uid)
{
    size_t i = 0;
    while (i < v->active_count && !span_eq(v->active[i].uid, uid)) {
        i++;
    }
    return i;
}

static void see_jobs(const struct cronjob_view *v, struct span due, struct cronjob_plan *ret)
{
    for (size_t i = 0; i < v->job_count; i++) {
        const struct cronjob_job *j = &v->jobs[i];
        bool known = find_active(v, j->uid) < v->active_count;
        if (known && is_finished(j)) {
            tell(ret, CRONJOB_SAW_COMPLETED, i);
        } else if (!known && !is_finished(j) && !span_eq(j->name, due)) {
            tell(ret, CRONJOB_UNEXPECTED, i);
        }
        if (j->complete && j->completion_ms > ret->last_success_ms) {
            ret->last_success_ms = j->completion_ms;
        }
    }
    assert(ret->event_count <= v->job_count);
    assert(ret->last_success_ms >= v->last_success_ms);
}

static void see_active(const struct cronjob_view *v, struct cronjob_plan *ret)
{
    for (size_t i = 0; i < v->active_count; i++) {
        size_t at = find_job(v, v->active[i].uid);
        if (at == v->job_count) {
            tell(ret, CRONJOB_MISSING, i);
        } else if (!is_finished(&v->jobs[at])) {
            ret->keep[ret->keep_count++] = i;
        }
    }
    assert(ret->keep_count <= v->active_count);
    assert(ret->event_count <= v->job_count + v->active_count);
}

/* ---- which time is due ---- */

struct span cronjob_job_name(struct arena *a, struct span name, int64_t at_ms)
{
    assert(name.n > 0);
    return arena_printf(a, "%.*s-%lld", SPAN_ARG(name), (long long)(at_ms / 60000));
}

/* After this time nothing has been started yet. */
static int64_t since(const struct cronjob_view *v)
{
    return v->last_schedule_ms ? v->last_schedule_ms : v->created_ms;
}

/* What was due at this time or before is given up. */
static int64_t too_late(const struct cronjob_view *v)
{
    bool has = v->deadline_s >= 0 && v->deadline_s < INT32_MAX;
    return has ? v->now_ms - v->deadline_s * 1000 : INT64_MIN;
}

static bool missed_many(const struct cronjob_view *v)
{
    int64_t from = since(v) > too_late(v) ? since(v) : too_late(v);
    int64_t at = cron_next(&v->cron, from);
    int n = 0;
    for (; at && at <= v->now_ms && n <= CRONJOB_MISSED_MAX; n++) {
        at = cron_next(&v->cron, at);
    }
    return n > CRONJOB_MISSED_MAX;
}

/* The time after what was last due; 0: never. */
static int64_t next_time(const struct cronjob_view *v, int64_t last)
{
    assert(!last || last <= v->now_ms);
    int64_t at = cron_next(&v->cron, last ? last : since(v));
    at = at && at <= v->now_ms ? cron_next(&v->cron, v->now_ms) : at;
    assert(at == 0 || at > v->now_ms);
    return at;
}

/* ---- starting ---- */

static void replace_active(const struct cronjob_view *v, struct cronjob_plan *ret)
{
    assert(v->policy == CRONJOB_REPLACE);
    assert(ret->start_ms == 0);
    for (size_t i = 0; i < ret->keep_count; i++) {
        size_t at = find_job(v, v->active[ret->keep[i]].uid);
        assert(at < v->job_count);
        if (!v->jobs[at].deleting) {
            ret->deletes[ret->delete_count++] = at;
        }
    }
    ret->keep_count = 0;
}

static void start(const struct cronjob_view *v, int64_t due, struct span name,
                  struct cronjob_plan *ret)
{
    assert(due <= v->now_ms);
    assert(due > since(v));
    for (size_t i = 0; i < v->job_count; i++) {
        if (span_eq(v->jobs[i].name, name)) { /* the last life made it and died */
            if (!is_finished(&v->jobs[i]) && find_active(v, v->jobs[i].uid) == v->active_count) {
                ret->adopt[ret->adopt_count++] = i;
            }
            ret->last_schedule_ms = due;
            return;
        }
    }
    if (v->policy == CRONJOB_FORBID && ret->keep_count) {
        tell(ret, CRONJOB_ALREADY_ACTIVE, 0);
        return;
    }
    if (v->policy == CRONJOB_REPLACE) {
        replace_active(v, ret);
    }
    ret->start_ms = due;
    ret->job = name;
}

/* ---- history ---- */

struct ended {
    const struct cronjob_job *job;
    size_t at;
};

static int by_start(const void *a, const void *b)
{
    const struct cronjob_job *x = ((const struct ended *)a)->job;
    const struct cronjob_job *y = ((const struct ended *)b)->job;
    return x->start_ms != y->start_ms ? (x->start_ms > y->start_ms) - (x->start_ms < y->start_ms)
                                      : span_cmp(x->name, y->name);
}

static void drop_oldest(struct arena *a, const struct cronjob_view *v, bool complete, int32_t keep,
                        struct cronjob_plan *ret)
{
    struct ended *ended = ARENA_ARRAY(a, struct ended, v->job_count + 1);
    size_t n = 0;
    for (size_t i = 0; i < v->job_count && keep >= 0; i++) {
        const struct cronjob_job *j = &v->jobs[i];
        bool ended_so = complete ? j->complete : j->failed && !j->complete;
        if (ended_so && !j->deleting) {
            ended[n++] = (struct ended){j, i};
        }
    }
    assert(n <= v->job_count);
    qsort(ended, n, sizeof *ended, by_start);
    for (size_t i = 0; i + (size_t)(keep < 0 ? 0 : keep) < n; i++) {
        ret->deletes[ret->delete_count++] = ended[i].at;
    }
}

/* ---- all of it ---- */

void cronjob_plan(struct arena *a, const struct cronjob_view *v, struct cronjob_plan *ret)
{
    assert(v->name.n);
    assert(v->jobs || v->job_count == 0);
    assert(v->active || v->active_count == 0);
    *ret = (struct cronjob_plan){.last_schedule_ms = v->last_schedule_ms,
                                 .last_success_ms = v->last_success_ms};
    ret->keep = ARENA_ARRAY(a, size_t, v->active_count + 1);
    ret->adopt = ARENA_ARRAY(a, size_t, v->job_count + 1);
    ret->deletes = ARENA_ARRAY(a, size_t, v->job_count + 1);
    ret->events = ARENA_ARRAY(a, struct cronjob_event, v->active_count + v->job_count + 2);
    bool counts = v->schedule_ok && !v->suspend && !v->deleting;
    int64_t last = counts ? cron_last(&v->cron, since(v), v->now_ms) : 0;
    int64_t due = last > too_late(v) ? last : 0;
    struct span name = due ? cronjob_job_name(a, v->name, due) : SPAN_NULL;
    see_jobs(v, name, ret);
    see_active(v, ret);
    drop_oldest(a, v, true, v->keep_complete, ret);
    drop_oldest(a, v, false, v->keep_failed, ret);
    if (due) {
        if (missed_many(v)) {
            tell(ret, CRONJOB_MISSED_MANY, 0);
        }
        start(v, due, name, ret);
    }
    if (counts) {
        ret->requeue_at_ms = next_time(v, last);
    }
    ret->changed = ret->keep_count != v->active_count || ret->adopt_count ||
                   ret->last_schedule_ms != v->last_schedule_ms ||
                   ret->last_success_ms != v->last_success_ms;
    assert(ret->delete_count <= v->job_count);
    assert(ret->adopt_count <= 1);
    assert(ret->start_ms == 0 || ret->job.n > 0);
    assert(ret->start_ms == 0 || v->policy != CRONJOB_FORBID || ret->keep_count == 0);
}
