/* plan/job_plan_pods.c: which pods a job makes and deletes. See job_plan.h. */
#include <stdlib.h>

#include "base/check.h"
#include "plan/job_plan_priv.h"

struct ranked {
    const struct job_pod *pod;
    size_t at;
};

static int by_rank(const void *a, const void *b)
{
    return pod_rank_cmp(&((const struct ranked *)a)->pod->rank,
                        &((const struct ranked *)b)->pod->rank);
}

static int by_index(const void *a, const void *b)
{
    int32_t x = ((const struct ranked *)a)->pod->index, y = ((const struct ranked *)b)->pod->index;
    return x != y ? (x > y) - (x < y) : by_rank(a, b);
}

static int by_number(const void *a, const void *b)
{
    const struct job_delayed *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* ---- numbers that are tried again ---- */

static struct job_indexes indexes_of(struct job_work *w, bool (*wanted)(const struct job_pod *p))
{
    int32_t *numbers = ARENA_ARRAY(w->a, int32_t, w->v->pod_count + 1);
    size_t n = 0;
    for (size_t i = 0; i < w->v->pod_count; i++) {
        const struct job_pod *p = &w->v->pods[i];
        if (wanted(p) && job_pod_valid(w->v, p)) {
            numbers[n++] = p->index;
        }
    }
    assert(n <= w->v->pod_count);
    return job_indexes_of(w->a, numbers, n);
}

static bool comes_later(const struct job_pod *p, const struct job_pod *than)
{
    int64_t mine = (int64_t)p->failures + p->ignored;
    int64_t theirs = (int64_t)than->failures + than->ignored;
    return mine >= theirs && p->finished_ms >= than->finished_ms;
}

/* Of several of one number, keeps the latest. */
static void keep_latest(struct job_work *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->delayed_count; i++) {
        struct job_delayed *d = &w->delayed[i], *last = n ? &w->delayed[n - 1] : NULL;
        if (!last || last->index != d->index) {
            w->delayed[n++] = *d;
        } else if (comes_later(&w->v->pods[d->pod], &w->v->pods[last->pod])) {
            last->pod = d->pod;
        }
    }
    assert(n <= w->delayed_count);
    w->delayed_count = n;
}

void job_find_delayed(struct job_work *w)
{
    struct job_indexes active = indexes_of(w, job_pod_active);
    assert(w->v->indexed);
    assert(w->v->index_limit >= 0);
    w->delayed = ARENA_ARRAY(w->a, struct job_delayed, w->v->pod_count + 1);
    for (size_t i = 0; i < w->v->pod_count; i++) {
        const struct job_pod *p = &w->v->pods[i];
        bool again = p->tracked && job_pod_valid(w->v, p) && job_pod_failed(w->v, p) &&
                     !job_indexes_has(w->succeeded_set, p->index) &&
                     !job_indexes_has(w->failed_set, p->index) &&
                     !job_indexes_has(active, p->index);
        if (again) {
            w->delayed[w->delayed_count++] = (struct job_delayed){p->index, i};
        }
    }
    qsort(w->delayed, w->delayed_count, sizeof *w->delayed, by_number);
    keep_latest(w);
}

const struct job_delayed *job_delayed_find(const struct job_work *w, int32_t index)
{
    struct job_delayed key = {index, 0};
    assert(index >= JOB_NO_INDEX);
    return w->delayed_count ? bsearch(&key, w->delayed, w->delayed_count, sizeof key, by_number)
                            : NULL;
}

/* ---- deleting ---- */

void job_delete(struct job_work *w, const size_t *pods, size_t n)
{
    struct job_plan *ret = w->ret;
    assert(ret->delete_count == 0);
    assert(n <= w->v->pod_count);
    ret->deletes = ARENA_ARRAY(w->a, size_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct job_pod *p = &w->v->pods[pods[i]];
        assert(job_pod_active(p));
        ret->deletes[ret->delete_count++] = pods[i];
        w->active--;
        w->terminating++;
        w->ready -= p->rank.ready;
    }
    assert(w->active >= 0);
    assert(w->ready >= 0);
}

static size_t active_pods(struct job_work *w, struct ranked *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < w->v->pod_count; i++) {
        if (job_pod_active(&w->v->pods[i])) {
            ret[n++] = (struct ranked){&w->v->pods[i], i};
        }
    }
    assert((int64_t)n == w->active);
    return n;
}

/* Pods without a number of the job, and of each number all but the best: to *chosen. The others
 * stay in `pods`; returns how many. */
static size_t choose_surplus(struct job_work *w, struct ranked *pods, size_t n, size_t *chosen,
                             size_t *chosen_count)
{
    size_t left = 0;
    qsort(pods, n, sizeof *pods, by_index);
    for (size_t i = 0; i < n; i++) {
        bool again = i + 1 < n && pods[i + 1].pod->index == pods[i].pod->index;
        if (again || !job_pod_valid(w->v, pods[i].pod)) {
            chosen[(*chosen_count)++] = pods[i].at;
        } else {
            pods[left++] = pods[i];
        }
    }
    assert(left + *chosen_count == n);
    return left;
}

/* At least `excess` pods go. True: some do. */
static bool delete_surplus(struct job_work *w, int64_t excess)
{
    struct ranked *pods = ARENA_ARRAY(w->a, struct ranked, w->v->pod_count + 1);
    size_t *chosen = ARENA_ARRAY(w->a, size_t, w->v->pod_count + 1);
    size_t n = active_pods(w, pods), count = 0;
    assert(excess <= (int64_t)n);
    if (w->v->indexed) {
        n = choose_surplus(w, pods, n, chosen, &count);
    }
    if ((int64_t)count < excess) {
        qsort(pods, n, sizeof *pods, by_rank);
        for (size_t i = 0; (int64_t)count < excess; i++) {
            chosen[count++] = pods[i].at;
        }
    }
    job_delete(w, chosen, count > JOB_BURST_MAX ? JOB_BURST_MAX : count);
    return w->ret->delete_count > 0;
}

/* ---- making ---- */

/* When a pod may be made after so many failures in a row. */
static int64_t backoff_end(int64_t failures, int64_t last_ms)
{
    int64_t wait = JOB_BACKOFF_MS;
    for (int64_t i = 1; i < failures && wait < JOB_BACKOFF_MAX_MS; i++) {
        wait *= 2;
    }
    assert(failures >= 0);
    return failures == 0 ? 0 : last_ms + (wait < JOB_BACKOFF_MAX_MS ? wait : JOB_BACKOFF_MAX_MS);
}

static void add_create(struct job_work *w, int32_t index)
{
    struct job_create c = {.index = index};
    const struct job_delayed *d = index == JOB_NO_INDEX ? NULL : job_delayed_find(w, index);
    assert(w->ret->creates);
    assert(!w->v->indexed || index >= 0);
    if (d) {
        assert(d->pod < w->v->pod_count);
        const struct job_pod *p = &w->v->pods[d->pod];
        int64_t at = backoff_end((int64_t)p->failures + p->ignored + 1, p->finished_ms);
        if (at > w->v->now_ms) {
            job_requeue(w->ret, at);
            return;
        }
        bool ignored = p->failure == JOB_FAILURE_IGNORED;
        c.failures = p->failures + !ignored;
        c.ignored = p->ignored + ignored;
    }
    w->ret->creates[w->ret->create_count++] = c;
    w->active++;
}

static void create_indexed(struct job_work *w, size_t n)
{
    const struct job_view *v = w->v;
    struct job_indexes taken =
        job_indexes_union(w->a, w->succeeded_set, indexes_of(w, job_pod_active));
    int32_t *free = ARENA_ARRAY(w->a, int32_t, n);
    taken = job_indexes_union(w->a, taken, w->failed_set);
    if (v->only_failed) {
        taken = job_indexes_union(w->a, taken, indexes_of(w, job_pod_terminating));
    }
    size_t found = job_indexes_free(taken, v->completions, n, free);
    assert(found <= n);
    for (size_t i = 0; i < found; i++) {
        add_create(w, free[i]);
    }
}

static void create_missing(struct job_work *w, int64_t missing)
{
    const struct job_view *v = w->v;
    size_t n = missing > JOB_BURST_MAX ? JOB_BURST_MAX : (size_t)missing;
    assert(missing > 0);
    if (v->index_limit < 0) {
        int64_t at = backoff_end(w->ret->backoff.failures, w->ret->backoff.last_ms);
        if (at > v->now_ms) {
            job_requeue(w->ret, at);
            return;
        }
    }
    w->ret->creates = ARENA_ARRAY(w->a, struct job_create, n);
    if (v->indexed) {
        create_indexed(w, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        add_create(w, JOB_NO_INDEX);
    }
}

static int64_t wanted(const struct job_work *w)
{
    const struct job_view *v = w->v;
    if (v->completions < 0) {
        return w->succeeded ? w->active : v->parallelism; /* those that run may end */
    }
    assert(v->parallelism >= 0);
    int64_t missing = v->completions - w->succeeded;
    missing = missing < 0 ? 0 : missing;
    return missing < v->parallelism ? missing : v->parallelism;
}

void job_manage(struct job_work *w)
{
    assert(!w->end.type);
    assert(!w->v->deleting);
    int64_t want = w->v->suspend ? 0 : wanted(w), excess = w->active - want;
    w->ret->deletes_untracked = true;
    if (delete_surplus(w, excess < 0 ? 0 : excess) || w->v->suspend) {
        return;
    }
    int64_t missing = want - w->active - (w->v->only_failed ? w->terminating : 0);
    if (missing > 0) {
        create_missing(w, missing);
    }
    assert(w->active <= want || w->v->completions < 0);
}
