/* plan/usage_plan.c: see usage_plan.h. */
#include "plan/usage_plan.h"

#include <stdlib.h>

#include "base/check.h"

enum { NS_PER_MS = 1000 * 1000, NS_PER_S = 1000 * 1000 * 1000 };

static int compare(const void *x, const void *y)
{
    const struct usage_sample *a = x, *b = y;
    int c = span_cmp(a->pod, b->pod);
    return c ? c : span_cmp(a->id, b->id);
}

void usage_sort(struct usage_sample *samples, size_t n)
{
    assert(samples || n == 0);
    if (n) {
        qsort(samples, n, sizeof *samples, compare);
    }
}

static const struct usage_sample *find(const struct usage_set *set, const struct usage_sample *s)
{
    assert(set->at || set->n == 0);
    return set->n ? bsearch(s, set->at, set->n, sizeof *s, compare) : NULL;
}

bool usage_between(const struct usage_sample *then, const struct usage_sample *now,
                   struct usage_container *ret)
{
    assert(span_eq(then->pod, now->pod) && span_eq(then->id, now->id));
    if (now->at_ns <= then->at_ns || now->cpu_ns < then->cpu_ns) {
        return false;
    }
    unsigned __int128 used = now->cpu_ns - then->cpu_ns;
    unsigned __int128 nano = used * NS_PER_S / (uint64_t)(now->at_ns - then->at_ns);
    *ret = (struct usage_container){.name = now->name,
                                    .cpu_nano = nano > INT64_MAX ? INT64_MAX : (uint64_t)nano,
                                    .memory_bytes = now->memory_bytes};
    return true;
}

/* Can the usage since then be told? */
static bool serves(const struct usage_sample *then, const struct usage_sample *now)
{
    struct usage_container ignored;
    if (!then || !usage_between(then, now, &ignored)) {
        return false;
    }
    int64_t ms = (now->at_ns - then->at_ns) / NS_PER_MS;
    return ms >= USAGE_WINDOW_MIN_MS && ms <= USAGE_WINDOW_MAX_MS;
}

static bool serves_all(const struct usage_set *last, const struct usage_sample *now, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!serves(find(last, &now[i]), &now[i])) {
            return false;
        }
    }
    return true;
}

/* The containers at now[0..n) are of one pod. */
static void add_pod(struct arena *a, const struct usage_set *then, const struct usage_sample *now,
                    size_t n, struct usage_plan *ret)
{
    struct usage_container *containers = ARENA_ARRAY(a, struct usage_container, n);
    struct usage_pod pod = {.uid = now[0].pod, .containers = containers};
    for (size_t i = 0; i < n; i++) {
        const struct usage_sample *before = find(then, &now[i]);
        if (before && usage_between(before, &now[i], &containers[pod.n])) {
            int64_t window_ns = now[i].at_ns - before->at_ns;
            pod.window_ns = window_ns > pod.window_ns ? window_ns : pod.window_ns;
            pod.n++;
        }
    }
    if (pod.n) {
        ret->pods[ret->n++] = pod;
    }
}

void usage_plan(struct arena *a, const struct usage_view *view, struct usage_plan *ret)
{
    const struct usage_set *now = &view->now;
    assert(now->at || now->n == 0);
    *ret = (struct usage_plan){.pods = ARENA_ARRAY(a, struct usage_pod, now->n + 1)};
    for (size_t i = 0, n; i < now->n; i += n) {
        const struct usage_sample *pod = &now->at[i];
        for (n = 1; i + n < now->n && span_eq(pod[n].pod, pod->pod);) {
            n++;
        }
        bool of_last = serves_all(&view->last, pod, n);
        ret->wait |= !of_last && view->first.n == 0;
        add_pod(a, of_last ? &view->last : &view->first, pod, n, ret);
    }
    assert(ret->n <= now->n);
}
