/* controller/statefulset_controller.c: runs StatefulSets: observes a set with its pods, claims and
 * revisions, asks plan/statefulset_plan what to do, and does it.
 *
 * A sync has stages, each of which ends the sync when it wrote something and starts afresh on the
 * new view: adopt and release, revisions, then the pass with its actions, its status and the
 * truncation of history. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "controller/statefulset_priv.h"
#include "plan/why_plan.h"
#include "schema/kinds.h"

/* ---- events ---- */

/* Notes which pod of its set has changed, for the next sync to look at. */
static void note_pod(struct statefulset_controller *c, struct object *pod)
{
    assert(pod);
    struct span uid = client_controller_uid(pod);
    struct set_state *state = uid.n ? statefulset_state_find(c, uid) : NULL;
    if (state) {
        int32_t ordinal =
            statefulset_ordinal(object_name(pod), object_controller_part(pod, OBJECT_OWNER_NAME));
        if (ordinal >= 0) {
            statefulset_state_dirty(state, ordinal);
        } else {
            state->misnamed = true;
        }
    }
}

static void on_orphan(void *data, struct object *set)
{
    struct set_state *state = statefulset_state_find(data, object_uid(set));
    if (state) {
        state->orphans = true;
    }
}

/* A pod that was not the set's may have held a name that the set wants: released, or somebody's. */
static void wake_namesake(struct statefulset_controller *c, struct object *gone)
{
    struct span name = object_name(gone);
    size_t dash = span_rfind(name, '-');
    struct span stem = span_first(name, dash < name.n ? dash : 0);
    struct object *set =
        stem.n ? informer_get(c->sets.informer, object_namespace(gone), stem) : NULL;
    if (set && statefulset_ordinal(name, stem) >= 0) {
        reconciler_add_object(c->sets.reconciler, set);
    }
}

static void on_pod(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct statefulset_controller *c = data;
    if (old) {
        note_pod(c, old);
    }
    if (now) {
        note_pod(c, now);
    } else {
        wake_namesake(c, old);
    }
}

static void on_set(void *data, struct object *old, struct object *now)
{
    struct statefulset_controller *c = data;
    if (old && (!now || !span_eq(object_uid(old), object_uid(now)))) {
        statefulset_state_drop(c, object_uid(old));
    }
}

/* Claims are named TEMPLATE-SET-ORDINAL, and templates and sets may have dashes in their names:
 * each dash is tried. */
static void mark_named_by(struct statefulset_controller *c, struct object *claim, bool wake)
{
    assert(claim);
    struct span name = object_name(claim);
    struct span stem = span_first(name, span_rfind(name, '-'));
    int32_t ordinal = statefulset_ordinal(name, stem);
    for (size_t i = 0; i + 1 < stem.n && ordinal >= 0; i++) {
        struct span template = span_first(stem, i);
        if (stem.p[i] != '-') {
            continue;
        }
        struct object *set =
            informer_get(c->sets.informer, object_namespace(claim), span_from(stem, i + 1));
        yyjson_val *root = set ? object_root(set) : NULL;
        JSON_EACH(it, json_path(root, "spec", "volumeClaimTemplates", NULL))
        {
            if (!span_eq(json_str(json_path(it.val, "metadata", "name", NULL)), template)) {
                continue;
            }
            struct set_state *state = statefulset_state_find(c, object_uid(set));
            if (state) {
                statefulset_state_dirty(state, ordinal);
            }
            if (wake) {
                reconciler_add_object(c->sets.reconciler, set);
            }
        }
    }
}

static bool same_obstacle(struct object *x, struct object *y)
{
    static const char maker[] = "volume.kubernetes.io/storage-provisioner";
    struct span blocked[2], by[2];
    struct object *const both[2] = {x, y};
    for (size_t i = 0; i < 2; i++) {
        yyjson_val *root = object_root(both[i]);
        blocked[i] = json_get_str(client_condition(both[i], WHY_CLAIM_CONDITION), "message");
        by[i] = json_str(json_path(root, "metadata", "annotations", maker, NULL));
    }
    return span_eq(blocked[0], blocked[1]) && span_eq(by[0], by[1]) &&
           object_is_deleting(x) == object_is_deleting(y);
}

/* A claim that went away may be what a pod's creation waits for; one that says anew what hinders
 * it, or that it is bound, changes what the set says; one whose owners somebody has changed gets
 * them back. Other changes of claims trigger nothing. */
static void on_claim(void *data, struct object *old, struct object *now)
{
    struct statefulset_controller *c = data;
    bool wake =
        !now ||
        (old && (!same_obstacle(old, now) || !json_equal(client_owners(old), client_owners(now))));
    mark_named_by(c, now ? now : old, wake);
}

static bool wake_refused(void *data, struct object *set)
{
    struct statefulset_controller *c = data;
    const struct set_state *state = statefulset_state_find(c, object_uid(set));
    if (state && state->refused.n) {
        reconciler_add_object(c->sets.reconciler, set);
    }
    return true;
}

/* A new account may be what the server misses in the pods that it refuses. */
static void on_account(void *data, struct object *old, struct object *now)
{
    struct statefulset_controller *c = data;
    if (!old && now) {
        informer_index_each(c->sets.informer, c->sets.by_ns, object_namespace(now), wake_refused,
                            c);
    }
}

/* ---- a sync ---- */

static void run(struct sync *s)
{
    struct statefulset_controller *c = s->controller;
    struct set_sync *x = ARENA_NEW(s->arena, struct set_sync);
    x->c = c;
    if (!owned_begin(&x->own, s, &c->sets)) {
        return;
    }
    x->state = statefulset_state_get(c, x->own.uid);
    if (statefulset_adopt(x) || statefulset_revisions(x)) {
        return;
    }
    statefulset_observe(x);
    x->plan = arena_alloc_raw(x->own.a, sizeof *x->plan); /* large, and filled in by the planner */
    statefulset_plan(&x->view, x->plan);
    statefulset_act(x);
    statefulset_truncate(x);
}

/* ---- life ---- */

static void *make(const struct controller_place *place)
{
    struct statefulset_controller *c = MEM_NEW(struct statefulset_controller);
    c->env = place->env;
    c->client = place->client;
    c->states = MAP_INIT;
    c->claim_kind = SCHEMA_KIND(PersistentVolumeClaim);
    c->claims = informer_set_get(place->informers, c->claim_kind);
    c->nodes = informer_set_get(place->informers, SCHEMA_KIND(Node));
    owners_init(&c->sets, place, SCHEMA_KIND(StatefulSet), "statefulset-controller", run, c);
    c->sets.on_orphan = on_orphan;
    c->sets.data = c;
    owned_kind_init(&c->pods, place->informers, SCHEMA_KIND(Pod));
    owned_kind_init(&c->revisions, place->informers, SCHEMA_KIND(ControllerRevision));
    owners_follow(&c->sets, &c->pods);
    owners_follow(&c->sets, &c->revisions);
    static const struct informer_handler sets = {on_set}, pods = {on_pod}, claims = {on_claim},
                                         accounts = {on_account};
    reconciler_follow(c->sets.reconciler, c->sets.informer, &sets, c);
    reconciler_follow(c->sets.reconciler, c->pods.informer, &pods, c);
    reconciler_follow(c->sets.reconciler, c->claims, &claims, c);
    reconciler_follow(c->sets.reconciler,
                      informer_set_get(place->informers, SCHEMA_KIND(ServiceAccount)), &accounts,
                      c);
    return c;
}

static void end(void *controller)
{
    struct statefulset_controller *c = controller;
    owners_done(&c->sets);
    statefulset_states_done(c);
    free(c);
}

const struct controller_type controller_statefulset = {make, end};
