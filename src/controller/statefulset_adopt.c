/* controller/statefulset_adopt.c: which pods and revisions are the set's: what owned_claim() does,
 * but a look at what has changed, not at all that the set owns; and names count. */
#include "base/check.h"
#include "base/vec.h"
#include "controller/statefulset_priv.h"

struct candidates {
    struct set_sync *x;
    VEC(struct object *) adopt_pods, adopt_revisions, release;
};

static bool selects(struct set_sync *x, struct object *o)
{
    yyjson_val *labels = client_labels(o);
    return selector_matches(&x->own.selector, labels);
}

static bool see_owned_pod(void *data, struct object *pod)
{
    struct candidates *k = data;
    if (statefulset_ordinal(object_name(pod), k->x->own.name) < 0 || !selects(k->x, pod)) {
        VEC_PUSH(&k->release, pod);
    }
    return true;
}

/* Of the pods that have changed, those that are ours and should not be. */
static void see_changed_pods(struct candidates *k)
{
    struct set_sync *x = k->x;
    assert(!object_is_deleting(x->own.owner));
    for (size_t i = 0; i < x->state->dirty.n; i++) {
        struct span name = statefulset_pod_name(x, x->state->dirty.at[i]);
        struct object *pod = informer_get(x->c->pods.informer, x->own.ns, name);
        if (pod && span_eq(client_controller_uid(pod), x->own.uid) && !selects(x, pod)) {
            VEC_PUSH(&k->release, pod);
        }
    }
}

static bool see_orphan_pod(void *data, struct object *pod)
{
    struct candidates *k = data;
    if (statefulset_ordinal(object_name(pod), k->x->own.name) >= 0 && selects(k->x, pod) &&
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

bool statefulset_adopt(struct set_sync *x)
{
    struct candidates k = {.x = x};
    struct statefulset_controller *c = x->c;
    struct set_state *state = x->state;
    assert(x->state);
    if (object_is_deleting(x->own.owner)) {
        return false; /* keeps what it has, and takes nothing */
    }
    if (state->look_at_all || state->misnamed) {
        informer_index_each(c->pods.informer, c->pods.by_controller, x->own.uid, see_owned_pod, &k);
    } else {
        see_changed_pods(&k);
    }
    if (state->orphans) {
        struct span orphans = owned_orphan_key(x->own.a, x->own.ns);
        informer_index_each(c->pods.informer, c->pods.by_controller, orphans, see_orphan_pod, &k);
        informer_index_each(c->revisions.informer, c->revisions.by_controller, orphans,
                            see_orphan_revision, &k);
    }
    bool wrote = k.release.n > 0;
    for (size_t i = 0; i < k.release.n; i++) {
        owned_release(&x->own, &c->pods, k.release.at[i]);
    }
    if (wrote) {
        sync_again(x->own.s);
    } else {
        state->misnamed = false;
    }
    if (k.adopt_pods.n) {
        owned_adopt(&x->own, &c->pods, k.adopt_pods.at, k.adopt_pods.n);
    }
    if (k.adopt_revisions.n) {
        owned_adopt(&x->own, &c->revisions, k.adopt_revisions.at, k.adopt_revisions.n);
    }
    state->orphans = k.adopt_pods.n || k.adopt_revisions.n;
    wrote |= state->orphans;
    VEC_DONE(&k.adopt_pods);
    VEC_DONE(&k.adopt_revisions);
    VEC_DONE(&k.release);
    return wrote;
}
