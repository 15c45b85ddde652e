/* controller/daemonset_controller.c: keeps a pod of each DaemonSet on every node that may have one:
 * observes, lets plan/daemonset_plan decide, acts. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "controller/daemonset_priv.h"
#include "schema/kinds.h"

/* ---- a sync ---- */

static void write_status(struct owned_pods *act)
{
    struct daemon_sync *x = act->data;
    const struct daemonset_status *now = &x->plan.status;
    struct owned_status st = owned_status_new(&x->own);
    owned_status_count(&st, "desiredNumberScheduled", now->desired, true);
    owned_status_count(&st, "currentNumberScheduled", now->current, true);
    owned_status_count(&st, "numberMisscheduled", now->misscheduled, true);
    owned_status_count(&st, "numberReady", now->ready, true);
    owned_status_count(&st, "updatedNumberScheduled", now->updated, false);
    owned_status_count(&st, "numberAvailable", now->available, false);
    owned_status_count(&st, "numberUnavailable", now->unavailable, false);
    owned_status_write(&st, x->c->sets.informer);
}

static void tell_ended(struct daemon_sync *x, const struct daemonset_delete *d)
{
    struct owned_sync *own = &x->own;
    struct object *pod = x->pods.at[d->pod];
    assert(d->pod < x->pods.n);
    struct span node = x->node_names[x->view.pods[d->pod].node];
    if (d->why == DAEMONSET_WHY_FAILED) {
        event_record(own->events, own->kind, own->owner, EVENT_WARNING, "FailedDaemonPod",
                     "Found failed daemon pod %.*s/%.*s on node %.*s, will try to kill it",
                     SPAN_ARG(own->ns), SPAN_ARG(object_name(pod)), SPAN_ARG(node));
    } else if (d->why == DAEMONSET_WHY_SUCCEEDED) {
        event_record(own->events, own->kind, own->owner, EVENT_NORMAL, "SucceededDaemonPod",
                     "Found succeeded daemon pod %.*s/%.*s on node %.*s, will try to delete it",
                     SPAN_ARG(own->ns), SPAN_ARG(object_name(pod)), SPAN_ARG(node));
    }
}

static void act(struct daemon_sync *x)
{
    struct daemonset_plan *plan = &x->plan;
    struct owned_pods *p = &x->act;
    struct arena *a = x->own.a;
    *p = (struct owned_pods){.x = &x->own, .pods = &x->c->pods, .done = write_status, .data = x};
    p->bodies = ARENA_ARRAY(a, struct json_shared *, plan->create_count + 1);
    for (size_t i = 0; i < plan->create_count; i++) {
        p->bodies[p->body_count++] = daemonset_pod_body(x, x->node_names[plan->creates[i]]);
    }
    p->deletes = ARENA_ARRAY(a, struct object *, plan->delete_count + 1);
    for (size_t i = 0; i < plan->delete_count; i++) {
        assert(plan->deletes[i].pod < x->pods.n);
        tell_ended(x, &plan->deletes[i]);
        p->deletes[p->delete_count++] = x->pods.at[plan->deletes[i].pod];
    }
    owned_pods_act(p);
    if (plan->again) {
        sync_again(x->own.s);
    }
    sync_at(x->own.s, plan->requeue_at_ms);
}

static void run(struct sync *s)
{
    struct daemonset_controller *c = s->controller;
    struct daemon_sync *x = ARENA_NEW(s->arena, struct daemon_sync);
    x->c = c;
    struct owned_list revisions;
    struct owned_revision_memo memo = {0};
    if (!owned_begin(&x->own, s, &c->sets) || object_is_deleting(x->own.owner) ||
        owned_claim(&x->own, &c->pods, &x->pods) ||
        owned_claim(&x->own, &c->revisions, &revisions) ||
        owned_revisions(&x->own, &c->revisions, DAEMONSET_HASH_LABEL, revisions, &memo,
                        &x->history)) {
        return;
    }
    daemonset_mark_live(x);
    daemonset_observe(x);
    daemonset_plan(s->arena, &x->view, &x->plan);
    owned_truncate(&x->own, &c->revisions, &x->history);
    act(x);
}

/* ---- events ---- */

static bool add_set(void *data, struct object *set)
{
    struct daemonset_controller *c = data;
    reconciler_add_object(c->sets.reconciler, set);
    return true;
}

static bool same(struct object *a, struct object *b, const char *member, const char *of)
{
    yyjson_val *x = json_path(object_root(a), member, of, NULL);
    yyjson_val *y = json_path(object_root(b), member, of, NULL);
    return json_len(x) == json_len(y) && (json_len(x) == 0 || json_equal(x, y));
}

/* Only what decides whether a pod may be there: a node's heartbeat is nobody's concern. */
static void on_node(void *data, struct object *old, struct object *now)
{
    struct daemonset_controller *c = data;
    if (!old || !now || !same(old, now, "metadata", "labels") ||
        !same(old, now, "spec", "taints") || object_is_deleting(old) != object_is_deleting(now)) {
        informer_each(c->sets.informer, add_set, c);
    }
}

/* ---- life ---- */

static void *make(const struct controller_place *place)
{
    struct daemonset_controller *c = MEM_NEW(struct daemonset_controller);
    static const struct informer_handler nodes = {on_node};
    owners_init(&c->sets, place, SCHEMA_KIND(DaemonSet), "daemonset-controller", run, c);
    owned_kind_init(&c->pods, place->informers, SCHEMA_KIND(Pod));
    owned_kind_init(&c->revisions, place->informers, SCHEMA_KIND(ControllerRevision));
    owners_follow(&c->sets, &c->pods);
    owners_follow(&c->sets, &c->revisions);
    c->nodes = informer_set_get(place->informers, SCHEMA_KIND(Node));
    reconciler_follow(c->sets.reconciler, c->nodes, &nodes, c);
    return c;
}

static void end(void *controller)
{
    struct daemonset_controller *c = controller;
    owners_done(&c->sets);
    free(c);
}

const struct controller_type controller_daemonset = {make, end};
