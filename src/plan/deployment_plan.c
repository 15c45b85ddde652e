/* plan/deployment_plan.c: see deployment_plan.h. */
#include "plan/deployment_plan.h"

#include <stdlib.h>

#include "base/check.h"
#include "plan/deployment_plan_priv.h"

/* ---- arithmetic ---- */

void deployment_bounds(const struct deployment_view *v, int32_t *ret_surge,
                       int32_t *ret_unavailable)
{
    assert(ret_surge);
    assert(ret_unavailable);
    *ret_surge = *ret_unavailable = 0;
    if (v->recreate) {
        return;
    }
    *ret_surge = plan_amount_of(v->surge, v->replicas, true);
    int32_t missing = plan_amount_of(v->unavailable, v->replicas, false);
    if (*ret_surge == 0 && missing == 0) {
        missing = 1;
    }
    *ret_unavailable = missing < v->replicas ? missing : v->replicas;
    assert(*ret_surge >= 0);
    assert(*ret_unavailable >= 0);
    assert(*ret_surge > 0 || *ret_unavailable > 0 || v->replicas == 0); /* a roll-out can move */
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t spec_sum(const struct deploying *d, bool with_new)
{
    assert(d->size);
    int64_t sum = 0;
    for (size_t i = 0; i < d->v->set_count; i++) {
        sum += with_new || (int32_t)i != d->v->new_set ? d->size[i] : 0;
    }
    return sum;
}

static bool is_old(const struct deploying *d, size_t i)
{
    assert(i < d->v->set_count);
    return (int32_t)i != d->v->new_set;
}

/* ---- scaling ---- */

/* Sizes are collected first; what differs becomes a scale. */
static void resize(struct deploying *d, size_t set, int64_t to)
{
    assert(set < d->v->set_count);
    assert(to >= 0);
    assert(to <= INT32_MAX);
    d->size[set] = (int32_t)to;
    d->touched[set] = true;
}

static void emit_scales(struct deploying *d)
{
    assert(d->ret->scale_count == 0);
    const struct deployment_view *v = d->v;
    for (size_t i = 0; i < v->set_count; i++) {
        const struct deployment_set *s = &v->sets[i];
        bool resized = d->size[i] != s->spec;
        bool marked = s->desired == v->replicas && s->max == d->ret->max_replicas;
        assert(d->size[i] >= 0);
        assert(d->touched[i] || !resized);
        if (d->touched[i] && !s->deleting && (resized || !marked)) {
            d->ret->scales[d->ret->scale_count++] =
                (struct deployment_scale){i, d->size[i], resized};
        }
    }
}

/* How many pods the new set should have now; `have` of them it has. */
static int32_t new_size(const struct deploying *d, int32_t have)
{
    const struct deployment_view *v = d->v;
    if (v->recreate) {
        return v->replicas;
    }
    int64_t most = d->ret->max_replicas, now = spec_sum(d, true);
    if (now >= most) {
        return have;
    }
    assert(have <= v->replicas);
    return (int32_t)(have + min64(most - now, (int64_t)v->replicas - have));
}

/* True when its size changes. */
static bool grow_new(struct deploying *d)
{
    const struct deployment_view *v = d->v;
    assert(v->new_set >= 0);
    size_t at = (size_t)v->new_set;
    int32_t have = v->sets[at].spec;
    if (have == v->replicas) {
        return false;
    }
    resize(d, at, have > v->replicas ? v->replicas : new_size(d, have));
    return d->size[at] != have;
}

/* Pods of old sets that are not available go first: they cost nothing. */
static void shrink_broken(struct deploying *d, int64_t most)
{
    assert(most > 0);
    for (size_t k = 0; k < d->v->set_count && most > 0; k++) {
        size_t i = d->by_age[k];
        int64_t broken = d->size[i] - d->v->sets[i].available;
        assert(i < d->v->set_count);
        if (is_old(d, i) && d->size[i] > 0 && broken > 0) {
            int64_t n = min64(broken, most);
            resize(d, i, d->size[i] - n);
            most -= n;
        }
    }
}

static void shrink_old(struct deploying *d)
{
    const struct deployment_view *v = d->v;
    assert(v->new_set >= 0);
    assert(d->unavailable <= v->replicas);
    const struct deployment_set *newest = &v->sets[v->new_set];
    int64_t least = (int64_t)v->replicas - d->unavailable;
    int64_t most = spec_sum(d, true) - least - ((int64_t)newest->spec - newest->available);
    if (spec_sum(d, false) == 0 || most <= 0) {
        return;
    }
    shrink_broken(d, most);
    int64_t available = 0;
    for (size_t i = 0; i < v->set_count; i++) {
        /* A set that has just become smaller still counts the pods that are about to go. */
        available += min64(v->sets[i].available, d->size[i]);
    }
    int64_t spare = available - least;
    for (size_t k = 0; k < v->set_count && spare > 0; k++) {
        size_t i = d->by_age[k];
        if (is_old(d, i) && d->size[i] > 0) {
            int64_t n = min64(d->size[i], spare);
            resize(d, i, d->size[i] - n);
            spare -= n;
        }
    }
}

/* ---- scaling in proportion ---- */

static size_t active_sets(const struct deploying *d, size_t *ret_last)
{
    assert(ret_last);
    size_t n = 0;
    for (size_t k = 0; k < d->v->set_count; k++) {
        if (d->v->sets[d->by_age[k]].spec > 0) {
            *ret_last = d->by_age[k];
            n++;
        }
    }
    return n;
}

/* All of it can be put upon one set: the only active one, or with none the newest. */
static bool scale_single(struct deploying *d)
{
    const struct deployment_view *v = d->v;
    size_t at = 0;
    size_t active = active_sets(d, &at);
    assert(active <= v->set_count);
    if (v->set_count == 0) {
        return true;
    }
    if (active > 1) {
        return false;
    }
    if (active == 0) {
        at = v->new_set >= 0 ? (size_t)v->new_set : d->by_age[v->set_count - 1];
    }
    if (v->sets[at].spec != v->replicas) {
        resize(d, at, v->replicas);
    } else {
        d->touched[at] = true;
    }
    return true;
}

static bool is_saturated(const struct deployment_view *v)
{
    assert(v->new_set < (int32_t)v->set_count);
    if (v->new_set < 0) {
        return false;
    }
    const struct deployment_set *s = &v->sets[v->new_set];
    return s->spec == v->replicas && s->desired == v->replicas && s->available == v->replicas;
}

/* By how much a set changes to keep its share; half away from zero. */
static int64_t share_of(const struct deploying *d, const struct deployment_set *s)
{
    assert(s->spec >= 0);
    const struct deployment_view *v = d->v;
    if (v->replicas == 0) {
        return -(int64_t)s->spec;
    }
    int64_t whole = s->max > 0 ? s->max : v->status.replicas;
    if (whole <= 0) {
        return 0;
    }
    int64_t target = d->ret->max_replicas;
    return (2 * s->spec * target + whole) / (2 * whole) - s->spec;
}

struct by_size {
    const struct deployment_set *set;
    size_t at, age;
    bool newer_first;
};

static int larger_first(const void *va, const void *vb)
{
    const struct by_size *a = va, *b = vb;
    assert(a->set);
    assert(b->set);
    if (a->set->spec != b->set->spec) {
        return a->set->spec > b->set->spec ? -1 : 1;
    }
    int older = a->age < b->age ? -1 : 1;
    return a->newer_first ? -older : older;
}

static void scale_in_proportion(struct deploying *d)
{
    const struct deployment_view *v = d->v;
    assert(!v->recreate);
    int64_t allowed = v->replicas > 0 ? d->ret->max_replicas : 0;
    int64_t to_add = allowed - spec_sum(d, true), added = 0;
    struct by_size *order = ARENA_ARRAY(d->a, struct by_size, v->set_count + 1);
    size_t n = 0;
    for (size_t k = 0; k < v->set_count; k++) {
        size_t i = d->by_age[k];
        if (v->sets[i].spec > 0) {
            order[n++] = (struct by_size){&v->sets[i], i, k, to_add > 0};
        }
    }
    assert(n > 1); /* one alone takes all: scale_single */
    qsort(order, n, sizeof *order, larger_first);
    for (size_t k = 0; k < n; k++) {
        int64_t left = to_add - added, part = left ? share_of(d, order[k].set) : 0;
        if (to_add > 0) {
            part = part > left ? left : part;
        } else {
            part = part < left ? left : part;
        }
        int64_t size = order[k].set->spec + part;
        resize(d, order[k].at, size < 0 ? 0 : size);
        added += part;
    }
    if (to_add != added) {
        int64_t first = d->size[order[0].at] + to_add - added;
        resize(d, order[0].at, first < 0 ? 0 : first);
    }
}

static void scale_all(struct deploying *d)
{
    const struct deployment_view *v = d->v;
    if (scale_single(d)) {
        return;
    }
    if (is_saturated(v)) {
        for (size_t i = 0; i < v->set_count; i++) {
            if (is_old(d, i) && v->sets[i].spec > 0) {
                resize(d, i, 0);
            }
        }
        return;
    }
    if (!v->recreate) {
        scale_in_proportion(d);
    }
}

/* replicas has changed since a set was last scaled. */
static bool is_scaling(const struct deployment_view *v)
{
    for (size_t i = 0; i < v->set_count; i++) {
        const struct deployment_set *s = &v->sets[i];
        if (s->spec > 0 && s->desired >= 0 && s->desired != v->replicas) {
            return true;
        }
    }
    return false;
}

/* ---- rollouts ---- */

static void create_new(struct deploying *d)
{
    assert(!d->ret->create);
    assert(!d->v->paused);
    d->ret->create = true;
    d->ret->create_replicas = new_size(d, 0);
    assert(d->ret->create_replicas >= 0);
    assert(d->ret->create_replicas <= d->v->replicas);
}

static bool is_complete(const struct deployment_view *v, const struct deployment_status *st)
{
    return st->updated == v->replicas && st->replicas == v->replicas &&
           st->available == v->replicas && st->observed_generation >= v->generation;
}

static int by_revision(const void *va, const void *vb)
{
    const struct deployment_set *a = ((const struct by_size *)va)->set,
                                *b = ((const struct by_size *)vb)->set;
    if (a->revision != b->revision) {
        return a->revision < b->revision ? -1 : 1;
    }
    return (a->created_ms > b->created_ms) - (a->created_ms < b->created_ms);
}

static void clean_up(struct deploying *d)
{
    const struct deployment_view *v = d->v;
    assert(v->new_set < (int32_t)v->set_count);
    if (v->history_limit < 0) {
        return;
    }
    struct by_size *old = ARENA_ARRAY(d->a, struct by_size, v->set_count + 1);
    size_t n = 0;
    for (size_t i = 0; i < v->set_count; i++) {
        if (is_old(d, i) && !v->sets[i].deleting) {
            old[n++] = (struct by_size){.set = &v->sets[i], .at = i};
        }
    }
    assert(d->ret->delete_count == 0);
    qsort(old, n, sizeof *old, by_revision);
    for (size_t k = 0; k + (size_t)v->history_limit < n; k++) {
        const struct deployment_set *s = old[k].set;
        if (s->replicas == 0 && s->spec == 0 && s->observed) {
            d->ret->deletes[d->ret->delete_count++] = old[k].at;
        }
    }
}

static void roll(struct deploying *d)
{
    assert(!d->v->recreate);
    assert(!d->v->paused);
    if (d->v->new_set < 0) {
        create_new(d);
    } else if (!grow_new(d)) {
        shrink_old(d);
    }
}

static void recreate(struct deploying *d)
{
    const struct deployment_view *v = d->v;
    assert(v->recreate);
    assert(!v->paused);
    bool shrinks = false;
    for (size_t i = 0; i < v->set_count; i++) {
        if (is_old(d, i) && v->sets[i].spec > 0) {
            resize(d, i, 0);
            shrinks = true;
        }
    }
    int64_t left = 0;
    for (size_t i = 0; i < v->set_count; i++) {
        left += is_old(d, i) ? v->sets[i].replicas : 0;
    }
    if (shrinks || left > 0 || v->old_pods_live) {
        return;
    }
    if (v->new_set < 0) {
        create_new(d);
    } else {
        grow_new(d);
    }
}

/* ---- all of it ---- */

static int by_age(const void *va, const void *vb)
{
    const struct by_size *a = va, *b = vb;
    if (a->set->created_ms != b->set->created_ms) {
        return a->set->created_ms < b->set->created_ms ? -1 : 1;
    }
    return span_cmp(a->set->name, b->set->name);
}

static void prepare(struct deploying *d)
{
    assert(d->ret->scale_count == 0);
    const struct deployment_view *v = d->v;
    struct by_size *order = ARENA_ARRAY(d->a, struct by_size, v->set_count + 1);
    d->size = ARENA_ARRAY(d->a, int32_t, v->set_count + 1);
    d->touched = ARENA_ARRAY(d->a, bool, v->set_count + 1);
    d->by_age = ARENA_ARRAY(d->a, size_t, v->set_count + 1);
    d->ret->scales = ARENA_ARRAY(d->a, struct deployment_scale, v->set_count + 1);
    d->ret->deletes = ARENA_ARRAY(d->a, size_t, v->set_count + 1);
    int64_t revision = 0;
    for (size_t i = 0; i < v->set_count; i++) {
        order[i] = (struct by_size){.set = &v->sets[i], .at = i};
        d->size[i] = v->sets[i].spec;
        if (is_old(d, i) && v->sets[i].revision > revision) {
            revision = v->sets[i].revision;
        }
    }
    qsort(order, v->set_count, sizeof *order, by_age);
    for (size_t k = 0; k < v->set_count; k++) {
        d->by_age[k] = order[k].at;
    }
    deployment_bounds(v, &d->surge, &d->unavailable);
    int64_t most = (int64_t)v->replicas + d->surge;
    d->ret->max_replicas = (int32_t)min64(most, INT32_MAX);
    /* The new set's number is above all others'; that it already is means it stays. */
    d->ret->revision = revision < INT64_MAX ? revision + 1 : revision;
    if (v->new_set >= 0 && v->sets[v->new_set].revision > revision) {
        d->ret->revision = v->sets[v->new_set].revision;
    }
    assert(d->ret->max_replicas >= v->replicas);
    assert(d->ret->revision > 0);
}

void deployment_plan(struct arena *a, const struct deployment_view *view,
                     struct deployment_plan *ret)
{
    assert(a);
    assert(ret);
    assert(view->replicas >= 0);
    assert(view->new_set < (int32_t)view->set_count);
    assert(view->new_set >= DEPLOYMENT_NO_SET);
    assert(view->sets || view->set_count == 0);
    *ret = (struct deployment_plan){.create = false};
    struct deploying d = {.a = a, .v = view, .ret = ret};
    prepare(&d);
    bool rollout = false;
    if (!view->deleting) {
        if (view->paused || is_scaling(view)) {
            scale_all(&d);
        } else {
            rollout = true;
            (view->recreate ? recreate : roll)(&d);
        }
        emit_scales(&d);
        bool still = ret->scale_count == 0 && !ret->create;
        if (view->paused || (still && rollout && is_complete(view, &view->status))) {
            clean_up(&d);
        }
    }
    if (view->new_set < 0 && !ret->create) {
        ret->revision = 0;
    }
    deployment_judge(&d, rollout);
    assert(ret->scale_count <= view->set_count);
    assert(ret->delete_count <= view->set_count);
    assert(!ret->create || (view->new_set == DEPLOYMENT_NO_SET && ret->revision > 0));
    assert(!view->deleting || (ret->scale_count == 0 && ret->delete_count == 0 && !ret->create));
}
