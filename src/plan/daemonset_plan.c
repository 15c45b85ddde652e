/* plan/daemonset_plan.c: see daemonset_plan.h. */
#include "plan/daemonset_plan.h"

#include "base/check.h"

/* The pods of one node. */
struct here {
    const struct daemonset_node *node;
    size_t at, first, end; /* index of the node; its pods */
};

struct placing {
    const struct daemonset_view *v;
    struct daemonset_plan *ret;
    struct here *nodes;
    int32_t surge, unavailable; /* resolved */
};

/* ---- actions ---- */

static void make_pod(struct placing *d, size_t node)
{
    if (d->ret->create_count == DAEMONSET_BURST_MAX) {
        d->ret->again = true;
        return;
    }
    assert(node < d->v->node_count);
    d->ret->creates[d->ret->create_count++] = node;
}

static void end_pod(struct placing *d, size_t pod, enum daemonset_why why)
{
    if (d->ret->delete_count == DAEMONSET_BURST_MAX) {
        d->ret->again = true;
        return;
    }
    assert(pod < d->v->pod_count);
    assert(!d->v->pods[pod].rank.terminating);
    d->ret->deletes[d->ret->delete_count++] = (struct daemonset_delete){pod, why};
}

static void look_again_at(struct placing *d, int64_t at_ms)
{
    assert(at_ms > d->v->now_ms);
    if (d->ret->requeue_at_ms == 0 || at_ms < d->ret->requeue_at_ms) {
        d->ret->requeue_at_ms = at_ms;
    }
}

static bool is_available(struct placing *d, const struct daemonset_pod *p)
{
    assert(p);
    return pod_rank_available(&p->rank, d->v->min_ready_s, d->v->now_ms, &d->ret->requeue_at_ms);
}

/* ---- which pod of several ---- */

/* Bound ones before others, then older before younger. */
static bool precedes(const struct daemonset_pod *a, const struct daemonset_pod *b)
{
    if (a->rank.assigned != b->rank.assigned) {
        return a->rank.assigned;
    }
    if (a->rank.created_ms != b->rank.created_ms) {
        return a->rank.created_ms < b->rank.created_ms;
    }
    return span_cmp(a->rank.name, b->rank.name) < 0;
}

/* An ended pod that is being deleted is as good as gone. */
static bool counts(const struct daemonset_pod *p)
{
    return !(p->rank.terminating && p->rank.phase == POD_RANK_ENDED);
}

enum which { ANY, OLD, NEW };

/* Of the node's pods that are neither ended nor terminating the first ready one, or else the first;
 * NULL when there is none. */
static const struct daemonset_pod *first_of(const struct placing *d, const struct here *h,
                                            enum which which)
{
    assert(h->first <= h->end);
    assert(h->end <= d->v->pod_count);
    assert(which <= NEW);
    const struct daemonset_pod *best = NULL;
    for (size_t i = h->first; i < h->end; i++) {
        const struct daemonset_pod *p = &d->v->pods[i];
        bool fits = which == ANY || p->updated == (which == NEW);
        if (!fits || !pod_rank_active(&p->rank)) {
            continue;
        }
        if (!best || (p->rank.ready != best->rank.ready ? p->rank.ready : precedes(p, best))) {
            best = p;
        }
    }
    return best;
}

/* ---- the right number on every node ---- */

static void end_ended(struct placing *d, const struct here *h)
{
    assert(h->node->should_continue);
    for (size_t i = h->first; i < h->end; i++) {
        const struct daemonset_pod *p = &d->v->pods[i];
        if (p->rank.terminating || p->rank.phase != POD_RANK_ENDED) {
            continue;
        }
        int64_t at_ms = p->rank.created_ms + DAEMONSET_RETRY_MS;
        if (p->failed && at_ms > d->v->now_ms) {
            look_again_at(d, at_ms);
        } else {
            end_pod(d, i, p->failed ? DAEMONSET_WHY_FAILED : DAEMONSET_WHY_SUCCEEDED);
        }
    }
}

/* With surge the first old and the first new pod may be there together, until the old one is not
 * ready or the new one available. */
static void end_extra(struct placing *d, const struct here *h)
{
    assert(h->node->should_continue);
    const struct daemonset_pod *keep = first_of(d, h, ANY), *also = NULL;
    assert(!keep || pod_rank_active(&keep->rank));
    if (d->surge > 0) {
        const struct daemonset_pod *old = first_of(d, h, OLD), *new = first_of(d, h, NEW);
        keep = new ? new : old;
        also = new &&old && old->rank.ready && !is_available(d, new) ? old : NULL;
    }
    for (size_t i = h->first; i < h->end; i++) {
        const struct daemonset_pod *p = &d->v->pods[i];
        if (pod_rank_active(&p->rank) && p != keep && p != also) {
            end_pod(d, i, DAEMONSET_WHY_EXTRA);
        }
    }
}

static void manage_node(struct placing *d, const struct here *h)
{
    assert(h->node);
    assert(h->at < d->v->node_count);
    bool any = false;
    for (size_t i = h->first; i < h->end; i++) {
        any |= counts(&d->v->pods[i]);
    }
    if (h->node->should_run && !any) {
        make_pod(d, h->at);
    } else if (h->node->should_continue) {
        end_ended(d, h);
        end_extra(d, h);
    } else {
        for (size_t i = h->first; i < h->end; i++) {
            if (!d->v->pods[i].rank.terminating) {
                end_pod(d, i, DAEMONSET_WHY_EXTRA);
            }
        }
    }
}

static void manage(struct placing *d)
{
    const struct daemonset_view *v = d->v;
    assert(!d->v->deleting);
    for (size_t i = 0; i < v->pod_count && v->pods[i].node == DAEMONSET_NO_NODE; i++) {
        if (!v->pods[i].rank.terminating) {
            end_pod(d, i, DAEMONSET_WHY_EXTRA);
        }
    }
    for (size_t i = 0; i < v->node_count; i++) {
        manage_node(d, &d->nodes[i]);
    }
}

/* ---- rolling update ---- */

void daemonset_bounds(const struct daemonset_view *v, int32_t desired, int32_t *ret_surge,
                      int32_t *ret_unavailable)
{
    assert(desired >= 0);
    assert(ret_surge);
    assert(ret_unavailable);
    *ret_surge = *ret_unavailable = 0;
    if (v->on_delete) {
        return;
    }
    *ret_surge = plan_amount_of(v->surge, desired, true);
    *ret_unavailable = plan_amount_of(v->unavailable, desired, true);
    if (*ret_surge == 0 && *ret_unavailable == 0) {
        *ret_unavailable = 1;
    }
    assert(*ret_surge >= 0);
    assert(*ret_unavailable >= 0);
}

static size_t index_of(const struct placing *d, const struct daemonset_pod *p)
{
    assert(p >= d->v->pods);
    assert(p < d->v->pods + d->v->pod_count);
    return (size_t)(p - d->v->pods);
}

/* The node's only pod, when it is an old one; NULL otherwise. */
static const struct daemonset_pod *outdated(const struct placing *d, const struct here *h)
{
    assert(h->node);
    const struct daemonset_pod *p = first_of(d, h, ANY);
    assert(h->first == h->end || d->v->pods);
    for (size_t i = h->first; i < h->end && p; i++) {
        if (counts(&d->v->pods[i]) && &d->v->pods[i] != p) {
            p = NULL;
        }
    }
    return p && !p->updated && h->node->should_continue ? p : NULL;
}

/* Broken old pods are replaced at once: that makes nothing worse. */
static void replace(struct placing *d)
{
    const struct daemonset_view *v = d->v;
    assert(!d->v->on_delete);
    int32_t lacking = 0;
    assert(d->surge == 0);
    assert(d->unavailable > 0);
    for (size_t i = 0; i < v->node_count; i++) {
        const struct daemonset_pod *p = first_of(d, &d->nodes[i], ANY);
        lacking += d->nodes[i].node->should_run && !(p && is_available(d, p));
    }
    for (size_t i = 0; i < v->node_count; i++) {
        const struct daemonset_pod *p = outdated(d, &d->nodes[i]);
        if (!p) {
            continue;
        }
        bool available = is_available(d, p);
        if (!available || lacking < d->unavailable) {
            end_pod(d, index_of(d, p), DAEMONSET_WHY_UPDATE);
            lacking += available;
        }
    }
}

static void add_beside(struct placing *d)
{
    const struct daemonset_view *v = d->v;
    assert(!d->v->on_delete);
    int32_t doubled = 0;
    assert(d->surge > 0);
    for (size_t i = 0; i < v->node_count; i++) {
        const struct here *h = &d->nodes[i];
        size_t n = 0;
        for (size_t k = h->first; k < h->end; k++) {
            n += counts(&v->pods[k]);
        }
        doubled += n > 1;
    }
    for (size_t i = 0; i < v->node_count; i++) {
        const struct daemonset_pod *p = outdated(d, &d->nodes[i]);
        if (!p || !d->nodes[i].node->should_run) {
            continue;
        }
        bool available = is_available(d, p);
        if (!available || doubled < d->surge) {
            make_pod(d, i);
            doubled += available;
        }
    }
}

/* ---- status ---- */

static void count(struct placing *d)
{
    struct daemonset_status *st = &d->ret->status;
    for (size_t i = 0; i < d->v->node_count; i++) {
        const struct here *h = &d->nodes[i];
        const struct daemonset_pod *first = NULL;
        for (size_t k = h->first; k < h->end; k++) {
            const struct daemonset_pod *p = &d->v->pods[k];
            if (counts(p) && (!first || precedes(p, first))) {
                first = p;
            }
        }
        if (!h->node->should_run) {
            st->misscheduled += first != NULL;
            continue;
        }
        st->desired++;
        if (first) {
            st->current++;
            st->ready += first->rank.ready;
            st->available += is_available(d, first);
            st->updated += first->updated;
        }
    }
    st->unavailable = st->desired - st->available;
    assert(st->available <= st->ready);
    assert(st->ready <= st->current);
    assert(st->updated <= st->current);
    assert(st->current <= st->desired);
    assert((size_t)st->desired + (size_t)st->misscheduled <= d->v->node_count);
}

/* ---- all of it ---- */

static void group(struct placing *d)
{
    const struct daemonset_view *v = d->v;
    size_t at = 0;
    while (at < v->pod_count && v->pods[at].node == DAEMONSET_NO_NODE) {
        at++;
    }
    for (size_t i = 0; i < v->node_count; i++) {
        size_t first = at;
        while (at < v->pod_count && v->pods[at].node == (int32_t)i) {
            at++;
        }
        d->nodes[i] = (struct here){&v->nodes[i], i, first, at};
    }
    assert(at == v->pod_count);
}

void daemonset_plan(struct arena *a, const struct daemonset_view *view, struct daemonset_plan *ret)
{
    assert(a);
    assert(ret);
    assert(view->nodes || view->node_count == 0);
    assert(view->pods || view->pod_count == 0);
    *ret = (struct daemonset_plan){.again = false};
    struct placing d = {.v = view, .ret = ret};
    d.nodes = ARENA_ARRAY(a, struct here, view->node_count + 1);
    ret->creates = ARENA_ARRAY(a, size_t, DAEMONSET_BURST_MAX);
    ret->deletes = ARENA_ARRAY(a, struct daemonset_delete, DAEMONSET_BURST_MAX);
    group(&d);
    count(&d);
    if (view->deleting) {
        assert(ret->create_count == 0);
        assert(ret->delete_count == 0);
        return;
    }
    daemonset_bounds(view, ret->status.desired, &d.surge, &d.unavailable);
    manage(&d);
    if (ret->create_count == 0 && ret->delete_count == 0 && !view->on_delete) {
        (d.surge > 0 ? add_beside : replace)(&d);
    }
    assert(ret->create_count <= DAEMONSET_BURST_MAX);
    assert(ret->delete_count <= DAEMONSET_BURST_MAX);
}
