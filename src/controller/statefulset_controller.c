/* controller/statefulset_controller.c: events to keys, and the stages of a sync. */
#include "controller/statefulset_controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/owned.h"
#include "controller/statefulset_priv.h"
#include "plan/why_plan.h"
#include "schema/schema.h"

enum { PARALLEL_SETS = 16 };

/* ---- events ---- */

static void add_owner(struct statefulset_controller *c, struct object *o, bool is_pod)
{
    yyjson_val *owner = client_controller_of(o);
    if (!span_eq_cstr(json_get_str(owner, "kind"), "StatefulSet") ||
        !span_starts(json_get_str(owner, "apiVersion"), SPAN("apps/"))) {
        return;
    }
    struct set_state *state = statefulset_state_find(c, json_get_str(owner, "uid"));
    if (state && is_pod) {
        int32_t ordinal = statefulset_ordinal(object_name(o), json_get_str(owner, "name"));
        if (ordinal >= 0) {
            statefulset_state_dirty(state, ordinal);
        } else {
            state->misnamed = true;
        }
    }
    reconciler_add(c->reconciler, object_namespace(o), json_get_str(owner, "name"));
}

struct orphan_search {
    struct statefulset_controller *c;
    struct object *orphan;
};

static bool add_if_selects(void *data, struct object *set)
{
    struct orphan_search *x = data;
    cleanup_arena struct arena *a = arena_new();
    struct selector selector;
    struct err err;
    yyjson_val *labels = json_path(object_root(x->orphan), "metadata", "labels", NULL);
    if (selector_from_object(a, json_path(object_root(set), "spec", "selector", NULL), &selector,
                             &err) == 0 &&
        selector_matches(&selector, labels)) {
        struct set_state *state = statefulset_state_find(x->c, object_uid(set));
        if (state) {
            state->orphans = true;
        }
        reconciler_add_object(x->c->reconciler, set);
    }
    return true;
}

static void on_dependent(struct statefulset_controller *c, struct object *old, struct object *now,
                         bool is_pod)
{
    if (old) {
        add_owner(c, old, is_pod);
    }
    if (now) {
        add_owner(c, now, is_pod);
        if (!client_controller_of(now)) {
            struct orphan_search x = {c, now};
            informer_index_each(c->sets, c->sets_by_ns, object_namespace(now), add_if_selects, &x);
        }
    }
}

/* A pod that was not the set's may have held a name that the set wants: released, or somebody's. */
static void wake_namesake(struct statefulset_controller *c, struct object *gone)
{
    struct span name = object_name(gone);
    size_t dash = span_rfind(name, '-');
    struct span stem = span_first(name, dash < name.n ? dash : 0);
    struct object *set = stem.n ? informer_get(c->sets, object_namespace(gone), stem) : NULL;
    if (set && statefulset_ordinal(name, stem) >= 0) {
        reconciler_add_object(c->reconciler, set);
    }
}

static void on_pod(void *data, struct object *old, struct object *now)
{
    on_dependent(data, old, now, true);
    if (!now) {
        wake_namesake(data, old);
    }
}

static void on_revision(void *data, struct object *old, struct object *now)
{
    on_dependent(data, old, now, false);
}

static void on_set(void *data, struct object *old, struct object *now)
{
    struct statefulset_controller *c = data;
    if (old && (!now || !span_eq(object_uid(old), object_uid(now)))) {
        statefulset_state_drop(c, object_uid(old));
    }
    reconciler_add_object(c->reconciler, now ? now : old);
}

/* Claims are named TEMPLATE-SET-ORDINAL, and templates and sets may have dashes in their names:
 * each dash is tried. */
static void mark_named_by(struct statefulset_controller *c, struct object *claim, bool wake)
{
    struct span name = object_name(claim);
    struct span stem = span_first(name, span_rfind(name, '-'));
    int32_t ordinal = statefulset_ordinal(name, stem);
    for (size_t i = 0; i + 1 < stem.n && ordinal >= 0; i++) {
        struct span template = span_first(stem, i);
        if (stem.p[i] != '-') {
            continue;
        }
        struct object *set = informer_get(c->sets, object_namespace(claim), span_from(stem, i + 1));
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
                reconciler_add_object(c->reconciler, set);
            }
        }
    }
}

static struct span blocked_by(struct object *claim)
{
    return json_get_str(client_condition(claim, WHY_CLAIM_CONDITION), "message");
}

/* A claim that went away may be what a pod's creation waits for; one that says anew what hinders
 * it, or that it is bound, changes what the set says; one whose owners somebody has changed gets
 * them back. Other changes of claims trigger nothing. */
static void on_claim(void *data, struct object *old, struct object *now)
{
    struct statefulset_controller *c = data;
    bool wake = !now || (old && (!span_eq(blocked_by(old), blocked_by(now)) ||
                                 !json_equal(client_owners(old), client_owners(now))));
    mark_named_by(c, now ? now : old, wake);
}

/* ---- a sync ---- */

static void unref_object(void *data)
{
    object_unref(data);
}

static void run(struct sync *s)
{
    struct statefulset_controller *c = s->controller;
    struct object *set = informer_get(c->sets, s->ns, s->name);
    if (!set) {
        return;
    }
    struct set_sync *x = ARENA_NEW(s->arena, struct set_sync);
    arena_on_clear(s->arena, unref_object, object_ref(set));
    *x = (struct set_sync){.c = c, .s = s, .a = s->arena, .set = set};
    x->spec = json_get(object_root(set), "spec");
    x->status = json_get(object_root(set), "status");
    x->name = object_name(set);
    x->ns = object_namespace(set);
    x->uid = object_uid(set);
    x->state = statefulset_state_get(c, x->uid);
    struct err err;
    if (selector_from_object(x->a, json_get(x->spec, "selector"), &x->selector, &err) < 0) {
        log_event(LOG_WARN, "statefulset_bad_selector", LOG_S("set", x->name),
                  LOG_S("error", err.message));
        return;
    }
    if (statefulset_adopt(x) || statefulset_revisions(x)) {
        return;
    }
    statefulset_observe(x);
    x->plan = ARENA_NEW(x->a, struct statefulset_plan);
    statefulset_plan(&x->view, x->plan);
    statefulset_act(x);
    statefulset_truncate(x);
}

/* ---- life ---- */

struct statefulset_controller *statefulset_controller_new(struct env *env, struct client *client,
                                                          struct informer_set *informers)
{
    struct statefulset_controller *c = MEM_NEW(struct statefulset_controller);
    c->env = env;
    c->client = client;
    c->set_kind = schema_kind_find("apps", "StatefulSet");
    c->pod_kind = schema_kind_find("", "Pod");
    c->claim_kind = schema_kind_find("", "PersistentVolumeClaim");
    c->states = MAP_INIT;
    c->revision_kind = schema_kind_find("apps", "ControllerRevision");
    c->sets = informer_set_get(informers, c->set_kind);
    c->pods = informer_set_get(informers, c->pod_kind);
    c->claims = informer_set_get(informers, c->claim_kind);
    c->revisions = informer_set_get(informers, c->revision_kind);
    c->sets_by_ns = informer_add_index(c->sets, informer_by_namespace);
    c->pods_by_controller = informer_add_index(c->pods, owned_by_controller);
    c->revisions_by_controller = informer_add_index(c->revisions, owned_by_controller);
    c->reconciler = reconciler_new(client, "statefulset-controller", PARALLEL_SETS, run, c);
    c->events = event_recorder_new(client, "statefulset-controller", SPAN_NULL);
    static const struct informer_handler sets = {on_set}, pods = {on_pod},
                                         revisions = {on_revision}, claims = {on_claim};
    informer_add_handler(c->sets, &sets, c);
    informer_add_handler(c->pods, &pods, c);
    informer_add_handler(c->revisions, &revisions, c);
    informer_add_handler(c->claims, &claims, c);
    return c;
}

void statefulset_controller_start(struct statefulset_controller *c)
{
    reconciler_start(c->reconciler);
}

void statefulset_controller_free(struct statefulset_controller *c)
{
    if (!c) {
        return;
    }
    informer_remove_handler(c->sets, c);
    informer_remove_handler(c->pods, c);
    informer_remove_handler(c->revisions, c);
    informer_remove_handler(c->claims, c);
    reconciler_free(c->reconciler);
    statefulset_states_done(c);
    event_recorder_free(c->events);
    free(c);
}
