/* plan/job_plan.c: when a job ends, and what it has counted. See job_plan.h. */
#include "base/check.h"
#include "base/map.h"
#include "plan/job_plan_priv.h"

bool job_pod_active(const struct job_pod *p)
{
    return pod_rank_active(&p->rank);
}

bool job_pod_terminating(const struct job_pod *p)
{
    return p->rank.terminating && p->rank.phase != POD_RANK_ENDED;
}

/* One that is going may never get to say how it ended. */
bool job_pod_failed(const struct job_view *v, const struct job_pod *p)
{
    return p->failed || (!v->only_failed && p->rank.terminating && !p->succeeded);
}

bool job_pod_valid(const struct job_view *v, const struct job_pod *p)
{
    return !v->indexed || (p->index >= 0 && p->index < v->completions);
}

void job_requeue(struct job_plan *ret, int64_t at_ms)
{
    assert(at_ms > 0);
    if (ret->requeue_at_ms == 0 || at_ms < ret->requeue_at_ms) {
        ret->requeue_at_ms = at_ms;
    }
}

/* ---- what there is ---- */

struct uncounted {
    bool failed, tracked;
};

static void note_uids(struct job_work *w, struct map *map, struct job_uids uids, bool failed)
{
    for (size_t i = 0; i < uids.n; i++) {
        struct uncounted *u = ARENA_NEW(w->a, struct uncounted);
        u->failed = failed;
        map_put(map, uids.at[i], u);
    }
}

/* Of the uids in the status those stay whose pods are still tracked; the others are counted. */
static struct job_uids count_uids(struct job_work *w, const struct map *map, struct job_uids uids,
                                  int64_t *counter)
{
    struct span *at = ARENA_ARRAY(w->a, struct span, uids.n + w->v->pod_count + 1);
    size_t n = 0;
    for (size_t i = 0; i < uids.n; i++) {
        const struct uncounted *u = map_get(map, uids.at[i]);
        assert(u);
        if (u->tracked) {
            at[n++] = uids.at[i];
        } else {
            *counter += 1;
        }
    }
    assert(n <= uids.n);
    return (struct job_uids){at, n};
}

static void see_uncounted(struct job_work *w)
{
    const struct job_view *v = w->v;
    struct job_status *st = &w->ret->status;
    struct map map = {0};
    w->known = ARENA_ARRAY(w->a, enum job_known, v->pod_count + 1);
    note_uids(w, &map, v->was.uncounted_succeeded, false);
    note_uids(w, &map, v->was.uncounted_failed, true);
    for (size_t i = 0; i < v->pod_count; i++) {
        struct uncounted *u = map_get(&map, v->pods[i].uid);
        if (u) {
            u->tracked = v->pods[i].tracked;
            w->known[i] = u->failed ? JOB_KNOWN_FAILED : JOB_KNOWN_SUCCEEDED;
        }
    }
    st->uncounted_succeeded = count_uids(w, &map, v->was.uncounted_succeeded, &st->succeeded);
    st->uncounted_failed = count_uids(w, &map, v->was.uncounted_failed, &st->failed);
    map_done(&map);
}

/* Ended, and neither counted nor about to be. */
static bool is_new(const struct job_work *w, size_t i)
{
    assert(w->known);
    assert(i < w->v->pod_count);
    const struct job_pod *p = &w->v->pods[i];
    return p->tracked && w->known[i] == JOB_UNKNOWN && job_pod_valid(w->v, p);
}

static void see_pods(struct job_work *w)
{
    const struct job_view *v = w->v;
    const struct job_status *st = &w->ret->status;
    w->succeeded = st->succeeded + (int64_t)st->uncounted_succeeded.n;
    w->failed = st->failed + (int64_t)st->uncounted_failed.n;
    for (size_t i = 0; i < v->pod_count; i++) {
        const struct job_pod *p = &v->pods[i];
        assert(!(p->succeeded && p->failed));
        w->active += job_pod_active(p);
        w->ready += job_pod_active(p) && p->rank.ready;
        w->terminating += job_pod_terminating(p);
        w->succeeded += is_new(w, i) && p->succeeded;
        w->failed += is_new(w, i) && job_pod_failed(v, p) && p->failure != JOB_FAILURE_IGNORED;
    }
    assert(w->active + w->terminating <= (int64_t)v->pod_count);
    assert(w->ready <= w->active);
}

static void see_backoff(struct job_work *w)
{
    const struct job_view *v = w->v;
    struct job_backoff *b = &w->ret->backoff;
    int64_t success_ms = 0;
    bool success = false;
    *b = v->knows_backoff ? v->backoff : (struct job_backoff){0};
    for (size_t i = 0; i < v->pod_count; i++) {
        const struct job_pod *p = &v->pods[i];
        if (p->succeeded && (is_new(w, i) || !v->knows_backoff)) {
            success = true;
            success_ms = p->finished_ms > success_ms ? p->finished_ms : success_ms;
        }
    }
    if (success) {
        *b = (struct job_backoff){0};
    }
    if (b->last_ms > v->now_ms) {
        b->last_ms =
            v->now_ms; /* the clock was set back: it does not wait until that comes again */
    }
    for (size_t i = 0; i < v->pod_count; i++) {
        const struct job_pod *p = &v->pods[i];
        bool counts = job_pod_failed(v, p) && (is_new(w, i) || !v->knows_backoff);
        if (counts && !(success && p->finished_ms <= success_ms)) {
            b->failures += b->failures < INT32_MAX;
            int64_t at =
                p->finished_ms < v->now_ms ? p->finished_ms : v->now_ms; /* clocks differ */
            b->last_ms = at > b->last_ms ? at : b->last_ms;
        }
    }
}

/* ---- does it end? ---- */

static void end_failed(struct job_work *w, const char *reason, struct span message)
{
    assert(reason);
    assert(!w->end.type);
    w->end = (struct job_condition){"FailureTarget", true, span_cstr(reason), message};
}

static bool restarted_too_often(const struct job_view *v)
{
    int64_t restarts = 0;
    for (size_t i = 0; i < v->pod_count && v->on_failure; i++) {
        restarts += v->pods[i].rank.phase != POD_RANK_ENDED ? v->pods[i].restarts : 0;
    }
    return v->on_failure && restarts > 0 && restarts >= v->backoff_limit;
}

static void end_by_policy(struct job_work *w)
{
    for (size_t i = 0; i < w->v->pod_count && !w->end.type; i++) {
        const struct job_pod *p = &w->v->pods[i];
        if (job_pod_failed(w->v, p) && p->failure == JOB_FAILURE_OF_JOB) {
            end_failed(w, "PodFailurePolicy", p->failure_text);
        }
    }
}

static void decide_end(struct job_work *w)
{
    assert(!w->end.type);
    const struct job_view *v = w->v;
    int64_t start = w->ret->status.start_ms;
    bool has_deadline = v->deadline_s >= 0 && start && !v->suspend;
    int64_t deadline = has_deadline && v->deadline_s < INT32_MAX ? start + v->deadline_s * 1000 : 0;
    w->end = v->success.type ? v->success : v->failure;
    if (!w->end.type) {
        end_by_policy(w);
    }
    if (w->end.type) {
        return;
    }
    if (w->failed > v->backoff_limit || restarted_too_often(v)) {
        end_failed(w, "BackoffLimitExceeded", SPAN("Job has reached the specified backoff limit"));
    } else if (deadline && v->now_ms >= deadline) {
        end_failed(w, "DeadlineExceeded", SPAN("Job was active longer than specified deadline"));
    } else if (deadline) {
        job_requeue(w->ret, deadline);
    }
}

/* Is this the failure after which its number is given up? */
static bool index_fails(const struct job_view *v, const struct job_pod *p)
{
    return job_pod_failed(v, p) &&
           (p->failure == JOB_FAILURE_OF_INDEX ||
            (p->failure != JOB_FAILURE_IGNORED && p->failures >= v->index_limit));
}

static void see_indexes(struct job_work *w)
{
    const struct job_view *v = w->v;
    assert(v->indexed);
    struct job_status *st = &w->ret->status;
    int32_t *done = ARENA_ARRAY(w->a, int32_t, v->pod_count + 1);
    int32_t *lost = ARENA_ARRAY(w->a, int32_t, v->pod_count + 1);
    size_t done_count = 0, lost_count = 0;
    for (size_t i = 0; i < v->pod_count; i++) {
        const struct job_pod *p = &v->pods[i];
        if (p->tracked && job_pod_valid(v, p) && p->succeeded) {
            if (w->known[i] != JOB_KNOWN_FAILED) { /* it ended well after it was given up */
                done[done_count++] = p->index;
            }
        } else if (p->tracked && job_pod_valid(v, p) && v->index_limit >= 0 && index_fails(v, p)) {
            lost[lost_count++] = p->index;
        }
    }
    assert(done_count + lost_count <= v->pod_count);
    w->succeeded_set =
        job_indexes_union(w->a, job_indexes_parse(w->a, v->was.completed_indexes, v->completions),
                          job_indexes_of(w->a, done, done_count));
    w->succeeded = st->succeeded = job_indexes_count(w->succeeded_set);
    st->completed_indexes = job_indexes_text(w->a, w->succeeded_set);
    assert(w->succeeded <= v->completions);
    if (v->index_limit >= 0) {
        w->failed_set =
            job_indexes_union(w->a, job_indexes_parse(w->a, v->was.failed_indexes, v->completions),
                              job_indexes_of(w->a, lost, lost_count));
        st->failed_indexes = job_indexes_text(w->a, w->failed_set);
        st->has_failed_indexes = true;
        job_find_delayed(w);
    }
}

static void end_by_indexes(struct job_work *w)
{
    const struct job_view *v = w->v;
    int64_t failed = job_indexes_count(w->failed_set);
    struct span message;
    assert(!w->end.type);
    assert(failed <= v->completions);
    if (v->failed_indexes_max >= 0 && failed > v->failed_indexes_max) {
        end_failed(w, "MaxFailedIndexesExceeded",
                   SPAN("Job has exceeded the specified maximal number of failed indexes"));
    } else if (failed > 0 && failed + w->succeeded >= v->completions) {
        end_failed(w, "FailedIndexes", SPAN("Job has failed indexes"));
    } else if (job_policy_success(w->a, v->success_policy, v->completions, w->succeeded_set,
                                  &message)) {
        w->end = (struct job_condition){"SuccessCriteriaMet", true, SPAN("SuccessPolicy"), message};
    }
}

/* ---- conditions ---- */

static void put_condition(struct job_plan *ret, struct job_condition c)
{
    assert(c.type);
    assert(ret->condition_count < JOB_CONDITIONS_MAX);
    ret->conditions[ret->condition_count++] = c;
}

static void say_suspended(struct job_work *w)
{
    if (w->v->suspend && !w->v->was_suspended) {
        put_condition(w->ret, (struct job_condition){"Suspended", true, SPAN("JobSuspended"),
                                                     SPAN("Job suspended")});
    } else if (!w->v->suspend && w->v->was_suspended) {
        put_condition(w->ret, (struct job_condition){"Suspended", false, SPAN("JobResumed"),
                                                     SPAN("Job resumed")});
    }
}

static void work_or_wait(struct job_work *w)
{
    const struct job_view *v = w->v;
    assert(!w->end.type);
    if (!v->deleting) {
        job_manage(w);
    }
    bool done = v->completions < 0 ? w->succeeded > 0 : w->succeeded >= v->completions;
    if (done && w->active == 0) {
        w->end = (struct job_condition){"SuccessCriteriaMet", true, SPAN("CompletionsReached"),
                                        SPAN("Reached expected number of succeeded pods")};
    } else if (!v->deleting) {
        say_suspended(w);
    }
}

/* The pods that still run are deleted and stay tracked, so that they are counted. */
static void end_pods(struct job_work *w)
{
    size_t *pods = ARENA_ARRAY(w->a, size_t, w->v->pod_count + 1);
    size_t n = 0;
    assert(w->end.type);
    assert(w->ret->delete_count == 0);
    for (size_t i = 0; i < w->v->pod_count; i++) {
        if (job_pod_active(&w->v->pods[i])) {
            pods[n++] = i;
        }
    }
    job_delete(w, pods, n);
}

/* ---- counting ---- */

static bool may_untrack(const struct job_work *w, size_t i)
{
    assert(i < w->v->pod_count);
    const struct job_pod *p = &w->v->pods[i];
    if (w->v->deleting || w->end.type || p->succeeded) {
        return true;
    }
    const struct job_delayed *d = w->delayed_count ? job_delayed_find(w, p->index) : NULL;
    return job_pod_failed(w->v, p) && !(d && d->pod == i);
}

static bool ends_failed(const struct job_condition *end)
{
    return end->type && strcmp(end->type, "FailureTarget") == 0;
}

static void add_uid(struct job_uids *uids, struct span uid)
{
    assert(uids->at);
    ((struct span *)uids->at)[uids->n++] = uid; /* count_uids() made room */
}

/* Deleted in a way that is no failure: the finalizer goes with it. */
static bool *mark_going(const struct job_work *w)
{
    bool *going = ARENA_ARRAY(w->a, bool, w->v->pod_count + 1);
    for (size_t i = 0; i < w->ret->delete_count && w->ret->deletes_untracked; i++) {
        assert(w->ret->deletes[i] < w->v->pod_count);
        going[w->ret->deletes[i]] = true;
    }
    return going;
}

/* True when there is no room for more. */
static bool track(struct job_work *w)
{
    const struct job_view *v = w->v;
    struct job_plan *ret = w->ret;
    struct job_uids *ok = &ret->status.uncounted_succeeded, *bad = &ret->status.uncounted_failed;
    const bool *going = mark_going(w);
    size_t indexes = 0;
    assert(ret->untrack_count == 0);
    ret->untracks = ARENA_ARRAY(w->a, size_t, v->pod_count + 1);
    for (size_t i = 0; i < v->pod_count; i++) {
        const struct job_pod *p = &v->pods[i];
        if (!p->tracked || going[i] || !may_untrack(w, i)) {
            continue;
        }
        ret->untracks[ret->untrack_count++] = i;
        if (p->succeeded && w->known[i] != JOB_KNOWN_FAILED) {
            if (v->indexed) {
                indexes++; /* its number is in the status */
            } else if (w->known[i] == JOB_UNKNOWN) {
                add_uid(ok, p->uid);
            }
        } else if ((job_pod_failed(v, p) || ends_failed(&w->end)) && is_new(w, i) &&
                   p->failure != JOB_FAILURE_IGNORED) {
            add_uid(bad, p->uid);
        }
        if (indexes + ok->n + bad->n >= JOB_UNCOUNTED_MAX) {
            return true;
        }
    }
    return false;
}

static void finish(struct job_work *w, bool no_room)
{
    const struct job_view *v = w->v;
    struct job_plan *ret = w->ret;
    struct job_status *st = &ret->status;
    bool failed = ends_failed(&w->end);
    assert(w->end.type);
    if (!(failed ? v->failure.type : v->success.type)) {
        put_condition(ret, w->end);
    }
    if (no_room || ret->untrack_count || st->uncounted_succeeded.n || st->uncounted_failed.n ||
        w->terminating) {
        return;
    }
    assert(w->active == 0);
    ret->end =
        (struct job_condition){failed ? "Failed" : "Complete", true, w->end.reason, w->end.message};
    ret->too_many = !failed && v->completions >= 0 && st->succeeded > v->completions;
    st->start_ms = st->start_ms ? st->start_ms : v->now_ms; /* nothing was to do while it waited */
    /* A clock that was set back does not make it end before it began: that is refused. */
    int64_t end_ms = v->now_ms > st->start_ms ? v->now_ms : st->start_ms;
    st->completion_ms = failed ? 0 : end_ms;
    put_condition(ret, ret->end);
}

/* ---- all of it ---- */

static bool uids_differ(struct job_uids a, struct job_uids b)
{
    bool differ = a.n != b.n;
    for (size_t i = 0; i < a.n && !differ; i++) {
        differ = !span_eq(a.at[i], b.at[i]);
    }
    return differ;
}

static bool status_differs(const struct job_status *a, const struct job_status *b)
{
    return a->start_ms != b->start_ms || a->completion_ms != b->completion_ms ||
           a->active != b->active || a->ready != b->ready || a->terminating != b->terminating ||
           a->succeeded != b->succeeded || a->failed != b->failed ||
           !span_eq(a->completed_indexes, b->completed_indexes) ||
           !span_eq(a->failed_indexes, b->failed_indexes) ||
           a->has_failed_indexes != b->has_failed_indexes ||
           uids_differ(a->uncounted_succeeded, b->uncounted_succeeded) ||
           uids_differ(a->uncounted_failed, b->uncounted_failed);
}

static void plan_finished(const struct job_view *v, struct job_plan *ret)
{
    int64_t at = v->finished_ms + v->ttl_s * 1000;
    assert(v->finished_ms != 0);
    if (v->ttl_s < 0 || v->deleting) {
        return;
    }
    if (v->now_ms >= at) {
        ret->delete_job = true;
    } else {
        job_requeue(ret, at);
    }
}

void job_plan(struct arena *a, const struct job_view *v, struct job_plan *ret)
{
    assert(v->parallelism >= 0);
    assert(v->backoff_limit >= 0);
    assert(!v->indexed || v->completions >= 0);
    *ret = (struct job_plan){.status = v->was, .backoff = v->backoff};
    if (v->finished_ms) {
        plan_finished(v, ret);
        return;
    }
    struct job_work w = {.a = a, .v = v, .ret = ret};
    if (!v->suspend && (ret->status.start_ms == 0 || v->was_suspended)) {
        ret->status.start_ms = v->now_ms; /* the time that it waited is not its own */
    }
    see_uncounted(&w);
    see_pods(&w);
    see_backoff(&w);
    ret->before_active = w.active;
    ret->before_ready = w.ready;
    ret->before_terminating = w.terminating;
    decide_end(&w);
    if (v->indexed) {
        see_indexes(&w);
        if (!w.end.type) {
            end_by_indexes(&w);
        }
    }
    if (w.end.type) {
        end_pods(&w);
    } else {
        work_or_wait(&w);
    }
    bool no_room = track(&w);
    if (w.end.type) {
        finish(&w, no_room);
    }
    ret->status.active = w.active;
    ret->status.ready = w.ready;
    ret->status.terminating = w.terminating;
    ret->changed = ret->condition_count || status_differs(&ret->status, &v->was);
    assert(ret->create_count == 0 || ret->delete_count == 0);
    assert(ret->untrack_count <= v->pod_count);
    assert(!ret->end.type || w.active == 0);
}
