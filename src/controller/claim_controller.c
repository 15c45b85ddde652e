/* controller/claim_controller.c: binds claims to volumes, makes, grows and removes the volumes of
 * the local provisioner (berth.dev/local), and keeps claims and volumes that are in use from going
 * (pvc-protection, pv-protection).
 *
 * Data is removed only after a live read has said that the claim is gone, and only for reclaim
 * policy Delete. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "controller/claim_priv.h"
#include "schema/schema.h"

enum { PARALLEL = 64 };

/* ---- indexes ---- */

struct span claim_ref_key(struct arena *a, struct span ns, struct span name)
{
    assert(a);
    return ARENA_JOIN(a, ns, SPAN("/"), name);
}

static void volume_key(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx)
{
    yyjson_val *ref = json_get(client_spec(o), "claimRef");
    if (!ref) {
        emit(ctx, CLAIM_FREE_KEY);
        return;
    }
    cleanup_arena struct arena *a = arena_new();
    emit(ctx, claim_ref_key(a, json_get_str(ref, "namespace"), json_get_str(ref, "name")));
}

static void pending_key(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx)
{
    if (json_get_str(client_spec(o), "volumeName").n == 0) {
        emit(ctx, SPAN("pending"));
    }
}

/* Only pods with a node hold a claim. */
bool claim_pod_is_shut_down(struct object *pod)
{
    assert(pod);
    yyjson_val *meta = client_meta(pod);
    return object_is_deleting(pod) && json_get_int(meta, "deletionGracePeriodSeconds", -1) == 0;
}

static void pod_key(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx)
{
    assert(emit);
    yyjson_val *spec = client_spec(o);
    if (json_get_str(spec, "nodeName").n == 0 || claim_pod_is_shut_down(o)) {
        return;
    }
    cleanup_arena struct arena *a = arena_new();
    JSON_EACH(it, json_get(spec, "volumes"))
    {
        struct span name = json_str(json_path(it.val, "persistentVolumeClaim", "claimName", NULL));
        if (name.n) {
            emit(ctx, claim_ref_key(a, object_namespace(o), name));
        }
    }
}

/* ---- events ---- */

static bool add_volume(void *data, struct object *volume)
{
    struct claim_controller *c = data;
    reconciler_add_object(c->volume_reconciler, volume);
    return true;
}

static void on_claim(void *data, struct object *old, struct object *now)
{
    struct claim_controller *c = data;
    struct object *claim = now ? now : old;
    reconciler_add_object(c->claim_reconciler, claim);
    if (!now || !old) {
        cleanup_arena struct arena *a = arena_new();
        struct span key = claim_ref_key(a, object_namespace(claim), object_name(claim));
        informer_index_each(c->volumes, c->volumes_by_claim, key, add_volume, c);
    }
}

static bool add_claim(void *data, struct object *claim)
{
    struct claim_controller *c = data;
    reconciler_add_object(c->claim_reconciler, claim);
    return true;
}

static void wake_pending(struct claim_controller *c)
{
    informer_index_each(c->claims, c->claims_pending, SPAN("pending"), add_claim, c);
}

static void add_claim_of(struct claim_controller *c, struct object *volume)
{
    yyjson_val *ref = json_get(client_spec(volume), "claimRef");
    if (ref) {
        reconciler_add(c->claim_reconciler, json_get_str(ref, "namespace"),
                       json_get_str(ref, "name"));
    }
}

static void on_volume(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct claim_controller *c = data;
    struct object *volume = now ? now : old;
    reconciler_add_object(c->volume_reconciler, volume);
    if (old) {
        add_claim_of(c, old);
    }
    add_claim_of(c, volume);
    if (now && !json_get(client_spec(now), "claimRef")) {
        wake_pending(c);
    }
}

static void on_class(void *data, struct object *old, struct object *now)
{
    (void)old;
    if (now) {
        wake_pending(data);
    }
}

/* A pod that goes may be the last to use a claim that is being deleted; a claim may wait for its
 * pods to grow. */
static void on_pod(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct claim_controller *c = data;
    struct object *pod = now ? now : old;
    bool goes = !now || claim_pod_is_shut_down(now);
    JSON_EACH(it, json_get(client_spec(pod), "volumes"))
    {
        struct span name = json_str(json_path(it.val, "persistentVolumeClaim", "claimName", NULL));
        struct object *claim = name.n ? informer_get(c->claims, object_namespace(pod), name) : NULL;
        if (claim && ((goes && object_is_deleting(claim)) || claim_grow_waits(claim))) {
            reconciler_add_object(c->claim_reconciler, claim);
        }
    }
}

/* ---- life ---- */

static char *copy(struct span s)
{
    char *p = mem_new(s.n + 1);
    memcpy(p, s.n ? s.p : "", s.n);
    return p;
}

static void *make(const struct controller_place *place)
{
    struct claim_controller *c = MEM_NEW(struct claim_controller);
    c->client = place->client;
    c->node_name = copy(place->options->node_name);
    c->volume_dir = copy(place->options->volume_dir);
    c->ops = place->options->volumes;
    c->claim_kind = schema_kind_find("", "PersistentVolumeClaim");
    c->volume_kind = schema_kind_find("", "PersistentVolume");
    c->pod_kind = schema_kind_find("", "Pod");
    assert(c->claim_kind);
    assert(c->volume_kind);
    assert(c->pod_kind);
    c->claims = informer_set_get(place->informers, c->claim_kind);
    c->volumes = informer_set_get(place->informers, c->volume_kind);
    c->pods = informer_set_get(place->informers, c->pod_kind);
    c->classes = informer_set_find(place->informers, "storage.k8s.io", "StorageClass");
    c->volumes_by_claim = informer_add_index(c->volumes, volume_key);
    c->claims_pending = informer_add_index(c->claims, pending_key);
    c->pods_by_claim = informer_add_index(c->pods, pod_key);
    c->claim_reconciler = reconciler_new(place, "persistentvolume-binder", PARALLEL, claim_run, c);
    c->volume_reconciler =
        reconciler_new(place, "persistentvolume-controller", PARALLEL, claim_volume_run, c);
    c->events = event_recorder_new(place->client, "persistentvolume-controller", SPAN_NULL);
    c->resizer_events =
        event_recorder_new(place->client, "external-resizer " LOCAL_PROVISIONER, SPAN_NULL);
    c->node_events = event_recorder_new(place->client, "kubelet", span_cstr(c->node_name));
    static const struct informer_handler claims = {on_claim}, volumes = {on_volume},
                                         classes = {on_class}, pods = {on_pod};
    reconciler_follow(c->claim_reconciler, c->claims, &claims, c);
    reconciler_follow(c->claim_reconciler, c->volumes, &volumes, c);
    reconciler_follow(c->claim_reconciler, c->classes, &classes, c);
    reconciler_follow(c->claim_reconciler, c->pods, &pods, c);
    return c;
}

static void end(void *controller)
{
    struct claim_controller *c = controller;
    reconciler_free(c->claim_reconciler);
    reconciler_free(c->volume_reconciler);
    claim_jobs_free(c);
    event_recorder_free(c->events);
    event_recorder_free(c->resizer_events);
    event_recorder_free(c->node_events);
    free(c->node_name);
    free(c->volume_dir);
    free(c);
}

const struct controller_type controller_claim = {make, end};
