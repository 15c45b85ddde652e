/* plan/rollout_plan.c: see rollout_plan.h. */
#include "plan/rollout_plan.h"

#include "base/check.h"

/* "2 of 3 replicas are available" */
static struct span count_available(struct arena *a, const struct rollout_view *v)
{
    char has[SPAN_NUMBER_BYTES], wanted[SPAN_NUMBER_BYTES];
    return ARENA_JOIN(a, span_i64(has, v->available), SPAN(" of "), span_i64(wanted, v->replicas),
                      v->replicas == 1 ? SPAN(" replica is available")
                                       : SPAN(" replicas are available"));
}

/* "2 of 3 replicas are available; redis-1 is not Ready: ..." */
static struct span with_cause(struct arena *a, const struct rollout_view *v, struct span text)
{
    assert(text.n > 0);
    return v->blocking.reason ? ARENA_JOIN(a, text, SPAN("; "), v->blocking.text) : text;
}

static struct rollout_condition available(struct arena *a, const struct rollout_view *v)
{
    struct rollout_condition c = {.type = "Available", .status = "True"};
    c.reason = "AllReplicasAvailable";
    if (v->replicas == 0) {
        c.message = SPAN("no replicas are wanted");
    } else if (v->available == v->replicas) {
        char all[SPAN_NUMBER_BYTES];
        c.message = v->replicas == 1 ? SPAN("the replica is available")
                                     : ARENA_JOIN(a, SPAN("all "), span_i64(all, v->replicas),
                                                  SPAN(" replicas are available"));
    } else {
        c.status = "False";
        c.reason = v->blocking.reason ? v->blocking.reason : "ReplicasUnavailable";
        c.message = with_cause(a, v, count_available(a, v));
    }
    return c;
}

static struct span completed(struct arena *a, const struct rollout_view *v)
{
    if (v->partition > 0) {
        return arena_printf(a, "the pods from index %d on are at revision %.*s (partition)",
                            (int)v->partition, SPAN_ARG(v->revision));
    }
    return ARENA_JOIN(a, SPAN("every pod is at revision "), v->revision);
}

static struct span advancing(struct arena *a, const struct rollout_view *v)
{
    struct span text;
    if (v->behind > 0 && !v->on_delete) {
        char behind[SPAN_NUMBER_BYTES];
        text = ARENA_JOIN(a, span_i64(behind, v->behind),
                          v->behind == 1 ? SPAN(" pod has still to come to revision ")
                                         : SPAN(" pods have still to come to revision "),
                          v->revision);
    } else if (v->available < v->replicas) {
        text = count_available(a, v);
        if (v->surplus > 0) {
            text = arena_printf(a, "%.*s, %d pod%s to go", SPAN_ARG(text), (int)v->surplus,
                                v->surplus == 1 ? " has" : "s have");
        }
    } else if (v->surplus > 0) {
        text =
            arena_printf(a, "%d pod%s to go", (int)v->surplus, v->surplus == 1 ? " has" : "s have");
    } else {
        text = SPAN("a pod is stopping");
    }
    return with_cause(a, v, text);
}

/* With Recreate, in Kubernetes' own words. Returns false when the general ones apply. */
static bool recreating(const struct rollout_view *v, struct rollout_condition *c)
{
    assert(!c->reason);
    if (!v->recreate || !v->moving || v->deleting) {
        return false;
    }
    c->reason = "RecreateInProgress";
    c->message = v->recreating ? SPAN("Deleting old revision pods")
                               : SPAN("Waiting for new-revision pods to be created");
    return true;
}

static void set_progress(struct arena *a, const struct rollout_view *v, struct rollout_condition *c)
{
    assert(!c->reason);
    assert(v->behind >= 0);
    assert(v->available <= v->replicas);
    bool settled = v->available == v->replicas && v->surplus == 0 && !v->terminating;
    if (v->deleting) {
        c->reason = "SetDeleting";
        c->message = SPAN("the set is being deleted: its pods are not replaced any more");
        if (v->kept_by.n) {
            c->message = arena_printf(a, "%.*s, and its finalizer %.*s has to be taken away",
                                      SPAN_ARG(c->message), SPAN_ARG(v->kept_by));
        }
    } else if (settled && v->behind > 0 && v->paused) {
        c->status = "Unknown";
        c->reason = "Paused";
        c->message = arena_printf(a, "%d pod%s to be updated when berth.dev/paused is taken away",
                                  (int)v->behind, v->behind == 1 ? " is" : "s are");
    } else if (settled && v->behind > 0 && v->on_delete) {
        c->reason = "WaitingForDelete";
        c->message = arena_printf(a,
                                  "%d pod%s at an older revision until somebody deletes %s "
                                  "(updateStrategy OnDelete)",
                                  (int)v->behind, v->behind == 1 ? " stays" : "s stay",
                                  v->behind == 1 ? "it" : "them");
    } else if (settled && v->behind == 0) {
        c->reason = v->recreate ? "RecreateComplete" : "RolloutComplete";
        c->message = completed(a, v);
    } else {
        c->status = v->overdue ? "False" : "True";
        c->reason = v->overdue ? "ProgressDeadlineExceeded" : "RolloutInProgress";
        c->message = advancing(a, v);
    }
    assert(c->reason);
    assert(c->message.n > 0);
}

static struct rollout_condition progressing(struct arena *a, const struct rollout_view *v)
{
    struct rollout_condition c = {.type = "Progressing", .status = "True"};
    if (!recreating(v, &c)) {
        set_progress(a, v, &c);
    }
    if (v->left.n) {
        c.message =
            arena_printf(a, "%.*s; rolled back from revision %.*s, which missed its deadline",
                         SPAN_ARG(c.message), SPAN_ARG(v->left));
    }
    if (v->wrong.n) {
        c.message = ARENA_JOIN(a, c.message, SPAN("; "), v->wrong);
    }
    return c;
}

void rollout_plan(struct arena *a, const struct rollout_view *view,
                  struct rollout_condition ret[ROLLOUT_CONDITIONS])
{
    assert(a);
    assert(ret);
    assert(view->available >= 0);
    assert(view->available <= view->replicas);
    assert(view->behind >= 0);
    assert(view->surplus >= 0);
    ret[ROLLOUT_AVAILABLE] = available(a, view);
    ret[ROLLOUT_PROGRESSING] = progressing(a, view);
    for (int i = 0; i < ROLLOUT_CONDITIONS; i++) {
        assert(ret[i].type);
        assert(ret[i].status);
        assert(ret[i].reason);
        assert(ret[i].message.n > 0);
    }
}
