/* kubelet/kubelet_refs.c: objects that pods refer to, one watch each, shared by the pods that use
 * it. The node agent so sees only what its own pods need. */
#include <stdlib.h>

#include "base/check.h"
#include "kubelet/kubelet_priv.h"
#include "kubelet/kubelet_volumes_priv.h"

struct kubelet_ref {
    struct kubelet *k;
    char *key; /* "ConfigMap/ns/name" */
    struct client_watch *watch;
    struct object *object;
    bool synced;
    VEC(struct kubelet_pod *) users;
};

static void tell_users(struct kubelet_ref *ref)
{
    for (size_t i = 0; i < ref->users.n; i++) {
        struct kubelet_pod *pod = ref->users.at[i];
        pod->volumes_stale = pod->volumes_stale || ref->synced;
        kubelet_pod_poke(pod);
    }
}

static void on_event(void *data, enum client_event_type type, struct object *object)
{
    struct kubelet_ref *ref = data;
    object_unref(ref->object);
    ref->object = type == CLIENT_DELETED ? NULL : object_ref(object);
    if (ref->synced) {
        tell_users(ref);
    }
}

static void on_synced(void *data)
{
    struct kubelet_ref *ref = data;
    bool first = !ref->synced;
    if (first) {
        for (size_t i = 0; i < ref->users.n; i++) {
            kubelet_pod_poke(ref->users.at[i]);
        }
    }
    ref->synced = true;
}

static void ref_free(struct kubelet_ref *ref)
{
    assert(ref->users.n == 0);
    map_remove(&ref->k->refs, span_cstr(ref->key));
    client_watch_free(ref->watch);
    object_unref(ref->object);
    VEC_DONE(&ref->users);
    free(ref->key);
    free(ref);
}

static struct kubelet_ref *ref_new(struct kubelet *k, struct span key, const char *kind,
                                   struct span ns, struct span name)
{
    static const struct client_watch_handler handler = {.on_event = on_event,
                                                        .on_synced = on_synced};
    struct kubelet_ref *ref = MEM_NEW(struct kubelet_ref);
    ref->k = k;
    ref->key = mem_strdup(key.p);
    map_put(&k->refs, span_cstr(ref->key), ref);
    struct arena *a cleanup_arena = arena_new();
    struct client_request one = {
        CLIENT_REQUEST_INIT,
        .verb = CLIENT_LIST,
        .kind = kubelet_kind("", kind),
        .ns = ns,
        .field_selector = ARENA_JOIN(a, SPAN("metadata.name="), name),
    };
    ref->watch = client_watch_new(k->client, &one, &handler, ref);
    return ref;
}

struct object *kubelet_ref(struct kubelet_pod *pod, const char *kind, struct span ns,
                           struct span name)
{
    struct kubelet *k = pod->k;
    assert(kind);
    assert(pod->k);
    struct arena *a cleanup_arena = arena_new();
    struct span key = ARENA_JOIN(a, span_cstr(kind), SPAN("/"), ns, SPAN("/"), name);
    struct kubelet_ref *ref = map_get(&k->refs, key);
    if (!ref) {
        ref = ref_new(k, key, kind, ns, name);
    }
    bool known = false;
    for (size_t i = 0; i < pod->refs.n && !known; i++) {
        known = pod->refs.at[i] == ref;
    }
    if (!known) {
        VEC_PUSH(&pod->refs, ref);
        VEC_PUSH(&ref->users, pod);
    }
    pod->refs_pending |= !ref->synced;
    return ref->synced ? ref->object : NULL;
}

void kubelet_refs_drop(struct kubelet_pod *pod)
{
    for (size_t i = 0; i < pod->refs.n; i++) {
        struct kubelet_ref *ref = pod->refs.at[i];
        assert(ref->users.n > 0);
        for (size_t u = 0; u < ref->users.n; u++) {
            if (ref->users.at[u] == pod) {
                VEC_REMOVE(&ref->users, u);
                break;
            }
        }
        if (ref->users.n == 0) {
            ref_free(ref);
        }
    }
    VEC_DONE(&pod->refs);
}
