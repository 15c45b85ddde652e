/* controller/statefulset_adopt.c: which pods and revisions are the set's: adoption of orphans,
 * release of what no longer matches. Adoption first reads the set again from the server: a set that
 * is being deleted, or another one of the same name, must not take anything. */
#include "base/check.h"
#include "base/vec.h"
#include "controller/owned.h"
#include "controller/statefulset_priv.h"

struct candidates {
    struct set_sync *x;
    VEC(struct object *) adopt_pods, adopt_revisions, release;
};

static bool selects(struct set_sync *x, struct object *o)
{
    return selector_matches(&x->selector, json_path(object_root(o), "metadata", "labels", NULL));
}

static bool see_owned_pod(void *data, struct object *pod)
{
    struct candidates *k = data;
    if (statefulset_ordinal(object_name(pod), k->x->name) < 0 || !selects(k->x, pod)) {
        VEC_PUSH(&k->release, pod);
    }
    return true;
}

/* Of the pods that have changed, those that are ours and should not be. */
static void see_changed_pods(struct candidates *k)
{
    struct set_sync *x = k->x;
    for (size_t i = 0; i < x->state->dirty.n; i++) {
        struct span name =
            arena_printf(x->a, "%.*s-%d", SPAN_ARG(x->name), (int)x->state->dirty.at[i]);
        struct object *pod = informer_get(x->c->pods, x->ns, name);
        if (pod && span_eq(client_controller_uid(pod), x->uid) && !selects(x, pod)) {
            VEC_PUSH(&k->release, pod);
        }
    }
}

static bool see_orphan_pod(void *data, struct object *pod)
{
    struct candidates *k = data;
    if (statefulset_ordinal(object_name(pod), k->x->name) >= 0 && selects(k->x, pod) &&
        !object_is_deleting(pod)) {
        VEC_PUSH(&k->adopt_pods, pod);
    }
    return true;
}

static bool see_orphan_revision(void *data, struct object *revision)
{
    struct candidates *k = data;
    if (selects(k->x, revision) && !object_is_deleting(revision)) {
        VEC_PUSH(&k->adopt_revisions, revision);
    }
    return true;
}

/* The other owners stay beside ours; ours is left out, and added when asked for. */
static void patch_owners(struct set_sync *x, const struct schema_kind *kind, struct object *o,
                         struct informer *seen_in, bool add)
{
    struct client_body b = client_patch_new(x->a, o);
    yyjson_mut_val *list = yyjson_mut_arr(b.doc);
    JSON_EACH(it, client_owners(o))
    {
        if (!span_eq(json_get_str(it.val, "uid"), x->uid)) {
            yyjson_mut_arr_append(list, json_mut_copy(b.doc, it.val));
        }
    }
    if (add) {
        yyjson_mut_arr_append(list, client_owner_new(b.doc, x->c->set_kind, x->name, x->uid, true));
    }
    client_body_owners(&b, list);
    struct client_request rq = client_request_for(CLIENT_PATCH_MERGE, kind, o);
    rq.body = client_body_text(&b);
    sync_do(x->s, &rq, seen_in, NULL, NULL);
}

struct adoption {
    struct set_sync *x;
    struct object **pods, **revisions;
    size_t pod_count, revision_count;
};

static bool on_set_read(struct sync *s, void *data, const struct client_reply *reply)
{
    struct adoption *ad = data;
    struct set_sync *x = ad->x;
    if (reply->err.reason == ERR_NOT_FOUND) {
        return true;
    }
    if (reply->err.reason != ERR_NONE || !reply->object ||
        !span_eq(object_uid(reply->object), x->uid) || object_is_deleting(reply->object)) {
        return false; /* the view will say so too, and that event brings us back */
    }
    for (size_t i = 0; i < ad->pod_count; i++) {
        patch_owners(x, x->c->pod_kind, ad->pods[i], x->c->pods, true);
    }
    for (size_t i = 0; i < ad->revision_count; i++) {
        patch_owners(x, x->c->revision_kind, ad->revisions[i], x->c->revisions, true);
    }
    sync_again(s);
    return true;
}

static void unref_object(void *data)
{
    object_unref(data);
}

static struct object **hold(struct arena *a, struct object **objects, size_t n)
{
    struct object **copy = ARENA_ARRAY(a, struct object *, n + 1);
    for (size_t i = 0; i < n; i++) {
        copy[i] = object_ref(objects[i]);
        arena_on_clear(a, unref_object, copy[i]);
    }
    return copy;
}

static void adopt(struct candidates *k)
{
    struct set_sync *x = k->x;
    struct adoption *ad = ARENA_NEW(x->a, struct adoption);
    *ad = (struct adoption){.x = x,
                            .pods = hold(x->a, k->adopt_pods.at, k->adopt_pods.n),
                            .pod_count = k->adopt_pods.n,
                            .revisions = hold(x->a, k->adopt_revisions.at, k->adopt_revisions.n),
                            .revision_count = k->adopt_revisions.n};
    struct client_request rq = client_request_for(CLIENT_GET, x->c->set_kind, x->set);
    sync_do(x->s, &rq, NULL, on_set_read, ad);
}

bool statefulset_adopt(struct set_sync *x)
{
    struct candidates k = {.x = x};
    struct statefulset_controller *c = x->c;
    struct set_state *state = x->state;
    if (object_is_deleting(x->set)) {
        return false; /* keeps what it has, and takes nothing */
    }
    if (state->look_at_all || state->misnamed) {
        informer_index_each(c->pods, c->pods_by_controller, x->uid, see_owned_pod, &k);
    } else {
        see_changed_pods(&k);
    }
    if (state->orphans) {
        struct span orphans = owned_orphan_key(x->a, x->ns);
        informer_index_each(c->pods, c->pods_by_controller, orphans, see_orphan_pod, &k);
        informer_index_each(c->revisions, c->revisions_by_controller, orphans, see_orphan_revision,
                            &k);
    }
    bool wrote = k.release.n > 0;
    for (size_t i = 0; i < k.release.n; i++) {
        patch_owners(x, c->pod_kind, k.release.at[i], c->pods, false);
    }
    if (wrote) {
        sync_again(x->s);
    } else {
        state->misnamed = false;
    }
    if (k.adopt_pods.n || k.adopt_revisions.n) {
        adopt(&k); /* asks to run again when it has adopted */
        wrote = true;
    } else {
        state->orphans = false;
    }
    VEC_DONE(&k.adopt_pods);
    VEC_DONE(&k.adopt_revisions);
    VEC_DONE(&k.release);
    return wrote;
}
