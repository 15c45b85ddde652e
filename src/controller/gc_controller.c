/* controller/gc_controller.c: the garbage collector: deletes what no owner keeps alive, and carries
 * out the propagation policies (background, foreground, orphan). It watches every kind that can be
 * listed, watched and deleted, Events excepted; work follows what changes.
 *
 * Keys are RESOURCE/NAMESPACE/NAME. Dependents are found by an index of owner uids on every
 * informer. That an owner is gone is known from its deletion event (a ring of recent uids) or from
 * a live read. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "client/client_body.h"
#include "controller/all_kinds.h"
#include "controller/reconciler.h"
#include "plan/gc_plan.h"
#include "schema/schema.h"

enum { PARALLEL = 32, GONE_MAX = 4096, SOON_MS = 20 };

struct gc_kind {
    struct gc_controller *controller;
    const struct schema_kind *kind;
    struct informer *informer;
    int by_owner;
};

struct gone {
    size_t n;
    char uid[64];
};

struct gc_controller {
    struct client *client;
    struct reconciler *reconciler;
    struct arena *arena; /* of the kinds: */
    VEC(struct gc_kind *) kinds;
    struct all_kinds *all;
    struct map gone;         /* uid to struct gone, in the ring */
    VEC(struct gone *) ring; /* grows up to GONE_MAX */
    size_t ring_at;
};

/* ---- owners known to be gone ---- */

static void remember_gone(struct gc_controller *c, struct span uid)
{
    assert(c->ring_at < GONE_MAX);
    if (uid.n == 0 || uid.n > sizeof((struct gone *)0)->uid || map_get(&c->gone, uid)) {
        return;
    }
    if (c->ring.n < GONE_MAX) {
        VEC_PUSH(&c->ring, MEM_NEW(struct gone));
    }
    struct gone *g = c->ring.at[c->ring_at];
    if (g->n) {
        map_remove(&c->gone, span_of(g->uid, g->n));
    }
    memcpy(g->uid, uid.p, uid.n);
    g->n = uid.n;
    map_put(&c->gone, span_of(g->uid, g->n), g);
    c->ring_at = (c->ring_at + 1) % GONE_MAX;
}

/* ---- events ---- */

static void add(struct gc_controller *c, const struct schema_kind *kind, struct span ns,
                struct span name)
{
    cleanup_arena struct arena *a = arena_new();
    reconciler_add(c->reconciler, ARENA_JOIN(a, span_cstr(kind->resource), SPAN("/"), ns), name);
}

static struct gc_kind *kind_of_ref(struct gc_controller *c, const yyjson_val *ref)
{
    struct span version = json_get_str(ref, "apiVersion"), kind = json_get_str(ref, "kind");
    size_t slash = span_find(version, '/');
    struct span group = slash < version.n ? span_first(version, slash) : SPAN_NULL;
    for (size_t i = 0; i < c->kinds.n; i++) {
        const struct schema_kind *k = c->kinds.at[i]->kind;
        if (kind.n && *k->kind == *kind.p && span_eq_cstr(kind, k->kind) &&
            span_eq_cstr(group, k->group)) { /* most begin otherwise */
            return c->kinds.at[i];
        }
    }
    return NULL;
}

struct visit {
    struct gc_controller *c;
    struct gc_kind *kind;
    bool (*fn)(struct visit *v, struct object *dependent);
    void *data;
    struct span uid;
    size_t n, blocking, waiting;
};

static bool waits_for_dependents(struct object *o)
{
    return object_is_deleting(o) && client_has_finalizer(o, "foregroundDeletion");
}

static bool visit_one(void *data, struct object *o)
{
    struct visit *v = data;
    v->n++;
    v->waiting += waits_for_dependents(o);
    JSON_EACH(it, client_owners(o))
    {
        v->blocking += span_eq(json_get_str(it.val, "uid"), v->uid) &&
                       json_get_bool(it.val, "blockOwnerDeletion", false);
    }
    return v->fn ? v->fn(v, o) : true;
}

static struct visit each_dependent(struct gc_controller *c, struct span uid,
                                   bool (*fn)(struct visit *v, struct object *dependent),
                                   void *data)
{
    struct visit v = {.c = c, .fn = fn, .data = data, .uid = uid};
    for (size_t i = 0; i < c->kinds.n; i++) {
        v.kind = c->kinds.at[i];
        informer_index_each(v.kind->informer, v.kind->by_owner, uid, visit_one, &v);
    }
    return v;
}

static bool enqueue_dependent(struct visit *v, struct object *o)
{
    if (!object_is_deleting(o) || waits_for_dependents(o)) {
        add(v->c, v->kind->kind, object_namespace(o), object_name(o));
    }
    return true;
}

/* What is being deleted comes back by itself: in a circle each would wake the next for ever. */
static bool enqueue_living(struct visit *v, struct object *o)
{
    return object_is_deleting(o) || enqueue_dependent(v, o);
}

static void enqueue_waiting_owners(struct gc_controller *c, struct object *o)
{
    assert(o);
    JSON_EACH(it, client_owners(o))
    {
        struct gc_kind *k = kind_of_ref(c, it.val);
        if (k) {
            struct span ns = k->kind->namespaced ? object_namespace(o) : SPAN_NULL;
            struct object *owner = informer_get(k->informer, ns, json_get_str(it.val, "name"));
            if (owner && object_is_deleting(owner)) {
                add(c, k->kind, ns, object_name(owner));
            }
        }
    }
}

static void on_change(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct gc_kind *k = data;
    struct gc_controller *c = k->controller;
    if (!now) {
        remember_gone(c, object_uid(old));
        each_dependent(c, object_uid(old), enqueue_dependent, NULL);
        enqueue_waiting_owners(c, old);
        return;
    }
    bool owned = json_len(client_owners(now)) > 0;
    bool refs_changed = !old || !json_equal(client_owners(old), client_owners(now));
    if (refs_changed && old) {
        enqueue_waiting_owners(c, old);
    }
    if ((owned && refs_changed) || object_is_deleting(now)) {
        add(c, k->kind, object_namespace(now), object_name(now));
    }
}

/* ---- a sync ---- */

struct gc_sync {
    struct gc_controller *c;
    struct sync *s;
    struct gc_kind *kind;
    struct object *object;
    enum gc_owner *owners;
    struct gc_view view;
};

static struct span owner_namespace(struct gc_sync *x, const struct gc_kind *k)
{
    return k->kind->namespaced ? object_namespace(x->object) : SPAN_NULL;
}

static enum gc_owner owner_state(struct gc_sync *x, const yyjson_val *ref)
{
    assert(x->object);
    struct gc_kind *k = kind_of_ref(x->c, ref);
    struct span uid = json_get_str(ref, "uid");
    if (!k || (k->kind->namespaced && object_namespace(x->object).n == 0)) {
        return GC_OWNER_FOREIGN;
    }
    struct object *owner =
        informer_get(k->informer, owner_namespace(x, k), json_get_str(ref, "name"));
    if (owner && span_eq(object_uid(owner), uid)) {
        return waits_for_dependents(owner) ? GC_OWNER_WAITING : GC_OWNER_PRESENT;
    }
    return map_get(&x->c->gone, uid) ? GC_OWNER_ABSENT : GC_OWNER_UNSEEN;
}

static void observe(struct gc_sync *x)
{
    yyjson_val *refs = client_owners(x->object);
    struct gc_view *v = &x->view;
    v->deleting = object_is_deleting(x->object);
    v->foreground = client_has_finalizer(x->object, "foregroundDeletion");
    v->orphan = client_has_finalizer(x->object, "orphan");
    x->owners = ARENA_ARRAY(x->s->arena, enum gc_owner, json_len(refs) + 1);
    bool blocks = false;
    JSON_EACH(it, refs)
    {
        x->owners[v->owner_count++] = owner_state(x, it.val);
        blocks |= json_get_bool(it.val, "blockOwnerDeletion", false);
    }
    assert(v->owner_count == json_len(refs));
    v->owners = x->owners;
    if (!gc_asks_dependents(v)) {
        return; /* nearly always: a look at every kind is spared */
    }
    struct visit all = each_dependent(x->c, object_uid(x->object), NULL, NULL);
    v->dependents = all.n;
    v->blocking = all.blocking < all.n ? all.blocking : all.n;
    v->circle = blocks && all.waiting > 0;
}

struct ask {
    struct gc_sync *x;
    struct span uid;
};

static bool on_owner_read(struct sync *s, void *data, const struct client_reply *reply)
{
    struct ask *ask = data;
    bool gone = reply->err.reason == ERR_NOT_FOUND ||
                (reply->object && !span_eq(object_uid(reply->object), ask->uid));
    if (gone) {
        remember_gone(ask->x->c, ask->uid);
        sync_again(s);
    }
    return gone; /* present: the view will show it, and its deletion brings us back */
}

static void ask_owners(struct gc_sync *x)
{
    size_t i = 0;
    JSON_EACH(it, client_owners(x->object))
    {
        if (x->owners[i++] != GC_OWNER_UNSEEN) {
            continue;
        }
        struct gc_kind *k = kind_of_ref(x->c, it.val);
        assert(k); /* else it would be foreign */
        struct ask *ask = ARENA_NEW(x->s->arena, struct ask);
        *ask = (struct ask){x, json_get_str(it.val, "uid")};
        struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_GET, .kind = k->kind,
                                    .ns = owner_namespace(x, k),
                                    .name = json_get_str(it.val, "name")};
        sync_do(x->s, &rq, NULL, on_owner_read, ask);
    }
}

/* data: NULL unless it may be a dependent that has changed, which the view shows some time later.
 */
static bool on_raced(struct sync *s, void *data, const struct client_reply *reply)
{
    if (reply->err.reason == ERR_CONFLICT) {
        sync_after(s, data ? SOON_MS : 1); /* changed meanwhile: look again at what it is now */
    }
    return sync_or_changed(s, data, reply);
}

static void delete_object(struct gc_sync *x, enum client_propagation propagation)
{
    struct client_request rq = client_request_for(CLIENT_DELETE, x->kind->kind, x->object);
    rq.precondition_uid = object_uid(x->object);
    rq.precondition_rev = client_rev_text(x->s->arena, x->object);
    rq.propagation = propagation;
    sync_do(x->s, &rq, x->kind->informer, on_raced, NULL);
}

static void write_patch(struct gc_sync *x, const struct gc_kind *kind, struct object *o,
                        const struct client_body *b)
{
    sync_patch(x->s, kind->informer, o, b, on_raced, o == x->object ? x : NULL);
}

static void drop_owners(struct gc_sync *x)
{
    assert(x->owners);
    struct client_body b = client_patch_new(x->s->arena, x->object);
    yyjson_mut_val *keep = yyjson_mut_arr(b.doc);
    size_t i = 0;
    JSON_EACH(it, client_owners(x->object))
    {
        enum gc_owner state = x->owners[i++];
        if (state == GC_OWNER_PRESENT || state == GC_OWNER_FOREIGN) {
            yyjson_mut_arr_append(keep, json_mut_copy(b.doc, it.val));
        }
    }
    client_body_owners(&b, keep);
    write_patch(x, x->kind, x->object, &b);
}

static void unblock_owners(struct gc_sync *x)
{
    struct client_body b = client_patch_new(x->s->arena, x->object);
    yyjson_mut_val *refs = yyjson_mut_arr(b.doc);
    JSON_EACH(it, client_owners(x->object))
    {
        yyjson_mut_val *ref = json_mut_copy(b.doc, it.val);
        json_remove(ref, "blockOwnerDeletion");
        json_put(b.doc, ref, "blockOwnerDeletion", yyjson_mut_bool(b.doc, false));
        yyjson_mut_arr_append(refs, ref);
    }
    client_body_owners(&b, refs);
    write_patch(x, x->kind, x->object, &b);
    sync_again(x->s);
}

static bool release(struct visit *v, struct object *dependent)
{
    struct gc_sync *x = v->data;
    assert(x->object);
    struct client_body b = client_patch_new(x->s->arena, dependent);
    yyjson_mut_val *keep = yyjson_mut_arr(b.doc);
    JSON_EACH(it, client_owners(dependent))
    {
        if (!span_eq(json_get_str(it.val, "uid"), v->uid)) {
            yyjson_mut_arr_append(keep, json_mut_copy(b.doc, it.val));
        }
    }
    client_body_owners(&b, keep);
    write_patch(x, v->kind, dependent, &b);
    return true;
}

static void remove_finalizer(struct gc_sync *x, const char *name)
{
    struct client_body b = client_patch_new(x->s->arena, x->object);
    yyjson_val *list = json_get(client_meta(x->object), "finalizers");
    json_put(b.doc, b.meta, "finalizers", client_without(b.doc, list, name));
    write_patch(x, x->kind, x->object, &b);
}

static void act(struct gc_sync *x, enum gc_action action)
{
    switch (action) {
    case GC_NOTHING:
        break;
    case GC_ASK_OWNERS:
        ask_owners(x);
        break;
    case GC_DROP_OWNERS:
        drop_owners(x);
        break;
    case GC_DELETE:
        delete_object(x, x->view.orphan       ? CLIENT_PROPAGATION_ORPHAN
                         : x->view.foreground ? CLIENT_PROPAGATION_FOREGROUND
                                              : CLIENT_PROPAGATION_BACKGROUND);
        break;
    case GC_UNBLOCK_OWNERS:
        unblock_owners(x);
        break;
    case GC_DELETE_FOREGROUND:
        delete_object(x, CLIENT_PROPAGATION_FOREGROUND);
        break;
    case GC_RELEASE_DEPENDENTS:
        each_dependent(x->c, object_uid(x->object), release, x);
        sync_again(x->s);
        break;
    case GC_FINISH_ORPHAN:
        remove_finalizer(x, "orphan");
        break;
    case GC_DELETE_DEPENDENTS:
        each_dependent(x->c, object_uid(x->object), enqueue_living, NULL);
        break;
    case GC_FINISH_FOREGROUND:
        remove_finalizer(x, "foregroundDeletion");
        break;
    }
}

static void run(struct sync *s)
{
    struct gc_controller *c = s->controller;
    size_t slash = span_find(s->ns, '/');
    struct span resource = span_first(s->ns, slash), ns = span_from(s->ns, slash + 1);
    struct gc_kind *kind = NULL;
    assert(resource.n > 0);
    for (size_t i = 0; i < c->kinds.n && !kind; i++) {
        const char *name = c->kinds.at[i]->kind->resource;
        kind = *name == *resource.p && span_eq_cstr(resource, name) ? c->kinds.at[i] : NULL;
    }
    assert(kind);
    if (!all_kinds_synced(c->all)) { /* a kind has just come: its dependents are not seen yet */
        sync_after(s, SOON_MS);
        return;
    }
    struct object *o = informer_get(kind->informer, ns, s->name);
    if (!o) {
        return;
    }
    object_hold(s->arena, o);
    struct gc_sync *x = ARENA_NEW(s->arena, struct gc_sync);
    *x = (struct gc_sync){.c = c, .s = s, .kind = kind, .object = o};
    observe(x);
    act(x, gc_plan(&x->view));
}

/* ---- life ---- */

/* Objects that refer to owners of one kind. */
struct review {
    struct gc_controller *controller;
    const struct schema_kind *kind; /* of the objects */
    struct gc_kind *owners;
};

static bool review_dependent(void *data, struct object *o)
{
    struct review *r = data;
    JSON_EACH(it, client_owners(o))
    {
        if (kind_of_ref(r->controller, it.val) == r->owners) {
            add(r->controller, r->kind, object_namespace(o), object_name(o));
            break;
        }
    }
    return true;
}

/* Owners of this kind could not be judged before: what refers to them is looked at once more. */
static void on_custom_synced(void *data)
{
    struct gc_kind *k = data;
    struct gc_controller *c = k->controller;
    for (size_t i = 0; i < c->kinds.n; i++) {
        struct review r = {c, c->kinds.at[i]->kind, k};
        informer_each(c->kinds.at[i]->informer, review_dependent, &r);
    }
}

static void on_kind(void *data, const struct schema_kind *kind, struct informer *informer,
                    bool custom)
{
    assert(kind);
    assert(informer);
    static const struct informer_handler handler = {on_change};
    struct gc_controller *c = data;
    struct gc_kind *k = ARENA_NEW(c->arena, struct gc_kind);
    *k = (struct gc_kind){.controller = c, .kind = kind, .informer = informer};
    k->by_owner = informer_add_index(informer, informer_by_owner);
    reconciler_follow(c->reconciler, informer, &handler, k);
    VEC_PUSH(&c->kinds, k);
    if (custom) {
        informer_on_synced(informer, on_custom_synced, k);
    }
}

static void *make(const struct controller_place *place)
{
    static const struct all_kinds_handler kinds = {on_kind};
    struct gc_controller *c = MEM_NEW(struct gc_controller);
    c->client = place->client;
    c->arena = arena_new();
    c->reconciler = reconciler_new(place, "garbage-collector", PARALLEL, run, c);
    c->all = all_kinds_new(place->client, place->informers, &kinds, c);
    return c;
}

static void end(void *controller)
{
    struct gc_controller *c = controller;
    reconciler_free(c->reconciler);
    all_kinds_free(c->all);
    VEC_DONE(&c->kinds);
    arena_free(c->arena);
    for (size_t i = 0; i < c->ring.n; i++) {
        free(c->ring.at[i]);
    }
    VEC_DONE(&c->ring);
    map_done(&c->gone);
    free(c);
}

const struct controller_type controller_gc = {make, end};
