/* controller/replicaset_controller.c: keeps the pods of ReplicaSets, and those of
 * ReplicationControllers, at their number: observes, lets plan/replicaset_plan decide, acts. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/time.h"
#include "controller/owned.h"
#include "plan/replicaset_plan.h"
#include "schema/kinds.h"
#include "schema/status.h"

/* What differs between the two kinds that keep pods at a number. */
struct row {
    const struct schema_kind *kind;
    const char *name;
    bool terminating; /* its status counts the pods that end */
};

struct replicaset_controller {
    const struct row *row;
    struct owners sets;
    struct owned_kind pods;
    int sets_by_controller;
};

/* One sync; arena memory. */
struct set_sync {
    struct owned_sync own;
    struct replicaset_controller *c;
    struct owned_list pods;
    struct replicaset_view view;
    struct replicaset_plan plan;
    struct owned_pods act;
};

/* ---- observing ---- */

static bool has_labels(struct object *pod, const yyjson_val *wanted)
{
    yyjson_val *labels = client_labels(pod);
    JSON_EACH(it, wanted)
    {
        struct span key = json_str(it.key);
        yyjson_val *have = yyjson_obj_getn(labels, key.p, key.n);
        if (!have || !span_eq(json_str(have), json_str(it.val))) {
            return false;
        }
    }
    return true;
}

static void observe(struct set_sync *x)
{
    struct owned_sync *own = &x->own;
    struct replicaset_pod *pods = ARENA_ARRAY(own->a, struct replicaset_pod, x->pods.n + 1);
    yyjson_val *labels = json_path(own->spec, "template", "metadata", "labels", NULL);
    for (size_t i = 0; i < x->pods.n; i++) {
        pods[i] = (struct replicaset_pod){owned_pod_rank(x->pods.at[i]),
                                          has_labels(x->pods.at[i], labels)};
    }
    x->view = (struct replicaset_view){.now_ms = own->s->now_ms,
                                       .deleting = object_is_deleting(own->owner),
                                       .replicas = owned_int32(own->spec, "replicas", 1),
                                       .min_ready_s = owned_int32(own->spec, "minReadySeconds", 0),
                                       .pods = pods,
                                       .pod_count = x->pods.n};
}

/* ---- neighbours: only asked when pods must go ---- */

struct neighbours {
    struct set_sync *x;
    struct map nodes; /* struct node_count by node name */
};

struct node_count {
    int32_t n;
};

static struct span node_of(struct object *pod)
{
    return json_get_str(client_spec(pod), "nodeName");
}

static bool count_pod(void *data, struct object *pod)
{
    struct neighbours *k = data;
    struct pod_rank rank = owned_pod_rank(pod);
    if (!pod_rank_active(&rank) || !rank.assigned) {
        return true;
    }
    struct node_count *node = map_get(&k->nodes, node_of(pod));
    if (!node) {
        node = ARENA_NEW(k->x->own.a, struct node_count);
        map_put(&k->nodes, arena_dup(k->x->own.a, node_of(pod)), node);
    }
    node->n++;
    return true;
}

static bool count_set(void *data, struct object *set)
{
    struct neighbours *k = data;
    struct owned_kind *pods = &k->x->c->pods;
    informer_index_each(pods->informer, pods->by_controller, object_uid(set), count_pod, k);
    return true;
}

/* Pods of all sets of the same controller count: a Deployment's next set shares its nodes. */
static void count_neighbours(struct set_sync *x, struct replicaset_pod *pods)
{
    struct neighbours k = {.x = x};
    struct replicaset_controller *c = x->c;
    struct span controller = client_controller_uid(x->own.owner);
    assert(x->plan.delete_count > 0);
    if (controller.n) {
        informer_index_each(c->sets.informer, c->sets_by_controller, controller, count_set, &k);
    } else {
        count_set(&k, x->own.owner);
    }
    for (size_t i = 0; i < x->pods.n; i++) {
        struct node_count *node = map_get(&k.nodes, node_of(x->pods.at[i]));
        pods[i].rank.neighbours = node ? node->n : 0;
    }
    map_done(&k.nodes);
}

/* ---- acting ---- */

static void put_failure(struct set_sync *x, struct owned_status *st)
{
    struct span error = x->act.create_error.n ? x->act.create_error : x->act.delete_error;
    yyjson_val *was = client_condition(x->own.owner, "ReplicaFailure");
    if ((error.n > 0) == (was != NULL)) {
        return;
    }
    yyjson_mut_doc *doc = st->body.doc;
    yyjson_mut_val *list = status_conditions_but(doc, object_root(x->own.owner), "ReplicaFailure");
    if (error.n) {
        struct status_condition c = {
            "ReplicaFailure", SPAN("True"), time_format(x->own.a, x->own.s->now_ms),
            x->act.create_error.n ? SPAN("FailedCreate") : SPAN("FailedDelete"), error};
        yyjson_mut_arr_append(list, status_condition_new(doc, &c));
    }
    json_put(doc, st->to, "conditions", yyjson_mut_arr_size(list) ? list : yyjson_mut_null(doc));
    st->changed = true;
}

static void write_status(struct owned_pods *act)
{
    struct set_sync *x = act->data;
    const struct replicaset_status *now = &x->plan.status;
    assert(act == &x->act);
    assert(now->ready <= now->replicas);
    assert(now->available <= now->ready);
    struct owned_status st = owned_status_new(&x->own);
    owned_status_count(&st, "replicas", now->replicas, true);
    owned_status_count(&st, "fullyLabeledReplicas", now->fully_labeled, false);
    owned_status_count(&st, "readyReplicas", now->ready, false);
    owned_status_count(&st, "availableReplicas", now->available, false);
    if (x->c->row->terminating) {
        owned_status_count(&st, "terminatingReplicas", now->terminating, false);
    }
    put_failure(x, &st);
    owned_status_write(&st, x->c->sets.informer);
}

static void act(struct set_sync *x)
{
    struct replicaset_plan *plan = &x->plan;
    assert(plan->create == 0 || plan->delete_count == 0);
    assert(plan->delete_count <= x->pods.n);
    struct owned_pods *p = &x->act;
    *p = (struct owned_pods){.x = &x->own, .pods = &x->c->pods, .done = write_status, .data = x};
    p->bodies = ARENA_ARRAY(x->own.a, struct json_shared *, (size_t)plan->create + 1);
    p->body_count = (size_t)plan->create;
    if (plan->create) {
        struct client_body b =
            owned_pod_new(&x->own, x->c->pods.kind, json_get(x->own.spec, "template"));
        struct json_shared *body = client_body_tree(&b);
        for (size_t i = 0; i < p->body_count; i++) {
            p->bodies[i] = body; /* names are the server's choice */
        }
    }
    p->deletes = ARENA_ARRAY(x->own.a, struct object *, plan->delete_count + 1);
    p->delete_count = plan->delete_count;
    for (size_t i = 0; i < plan->delete_count; i++) {
        assert(plan->deletes[i] < x->pods.n);
        p->deletes[i] = x->pods.at[plan->deletes[i]];
    }
    owned_pods_act(p);
    if (plan->again) {
        sync_again(x->own.s);
    }
    sync_at(x->own.s, plan->requeue_at_ms);
}

static void run(struct sync *s)
{
    struct replicaset_controller *c = s->controller;
    struct set_sync *x = ARENA_NEW(s->arena, struct set_sync);
    x->c = c;
    if (!owned_begin(&x->own, s, &c->sets) || owned_claim(&x->own, &c->pods, &x->pods)) {
        return;
    }
    observe(x);
    replicaset_plan(s->arena, &x->view, &x->plan);
    if (x->plan.delete_count) {
        struct replicaset_pod *pods = ARENA_ARRAY(s->arena, struct replicaset_pod, x->pods.n + 1);
        memcpy(pods, x->view.pods, x->pods.n * sizeof *pods);
        count_neighbours(x, pods);
        x->view.pods = pods;
        replicaset_plan(s->arena, &x->view, &x->plan);
    }
    act(x);
}

/* ---- life ---- */

static void *make(const struct controller_place *place, const struct row *row)
{
    struct replicaset_controller *c = MEM_NEW(struct replicaset_controller);
    c->row = row;
    owners_init(&c->sets, place, row->kind, row->name, run, c);
    c->sets_by_controller = informer_add_index(c->sets.informer, owned_by_controller);
    owned_kind_init(&c->pods, place->informers, SCHEMA_KIND(Pod));
    owners_follow(&c->sets, &c->pods);
    return c;
}

static void end(void *controller)
{
    struct replicaset_controller *c = controller;
    owners_done(&c->sets);
    free(c);
}

static void *make_replicaset(const struct controller_place *place)
{
    static const struct row row = {SCHEMA_KIND(ReplicaSet), "replicaset-controller", true};
    return make(place, &row);
}

static void *make_replication(const struct controller_place *place)
{
    static const struct row row = {SCHEMA_KIND(ReplicationController), "replication-controller",
                                   false};
    return make(place, &row);
}

const struct controller_type controller_replicaset = {make_replicaset, end};
const struct controller_type controller_replication = {make_replication, end};
