/* controller/endpoint_controller.c: keeps EndpointSlices and core Endpoints of every Service with a
 * selector. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "codec/selector.h"
#include "controller/endpoint_priv.h"
#include "schema/schema.h"
#include "schema/status.h"

static bool is_managed_by(struct object *slice, const char *manager)
{
    return span_eq_cstr(json_str(json_path(client_meta(slice), "labels",
                                           "endpointslice.kubernetes.io/managed-by", NULL)),
                        manager);
}

/* "NAMESPACE/SERVICE" of the slices that are ours. */
static void slice_key(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx)
{
    yyjson_val *labels = client_labels(o);
    if (!is_managed_by(o, ENDPOINT_MANAGER) && !is_managed_by(o, ENDPOINT_MIRROR)) {
        return;
    }
    cleanup_arena struct arena *a = arena_new();
    emit(ctx, ARENA_JOIN(a, object_namespace(o), SPAN("/"),
                         json_get_str(labels, "kubernetes.io/service-name")));
}

/* ---- events ---- */

struct pod_change {
    struct endpoint_controller *c;
    yyjson_val *old_labels, *new_labels;
};

static bool selects(const yyjson_val *service, const yyjson_val *labels)
{
    yyjson_val *selector = json_path(service, "spec", "selector", NULL);
    JSON_EACH(it, selector)
    {
        if (!span_eq(json_str(it.val), json_get_str(labels, yyjson_get_str(it.key)))) {
            return false;
        }
    }
    return json_len(selector) > 0;
}

static bool add_if_selects(void *data, struct object *service)
{
    struct pod_change *x = data;
    if ((x->old_labels && selects(object_root(service), x->old_labels)) ||
        (x->new_labels && selects(object_root(service), x->new_labels))) {
        reconciler_add_object(x->c->reconciler, service);
    }
    return true;
}

static struct span pair_key(struct arena *a, struct span ns, struct json_iter pair)
{
    return ARENA_JOIN(a, ns, SPAN("/"), json_str(pair.key), SPAN("="), json_str(pair.val));
}

/* A service is found by the first label that it selects: a pod's change costs what its labels find,
 * however many services there are. */
static void selector_key(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx)
{
    cleanup_arena struct arena *a = arena_new();
    struct json_iter first = json_iter_begin(json_get(client_spec(o), "selector"));
    if (first.val) {
        emit(ctx, pair_key(a, object_namespace(o), first));
    }
}

static void on_pod(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct endpoint_controller *c = data;
    struct pod_change x = {.c = c};
    if (informer_count(c->services) == 0) {
        return;
    }
    x.old_labels = old ? client_labels(old) : NULL;
    x.new_labels = now ? client_labels(now) : NULL;
    cleanup_arena struct arena *a = arena_new();
    const yyjson_val *both[] = {x.old_labels, x.new_labels};
    for (size_t i = json_equal(both[0], both[1]) ? 1 : 0; i < 2; i++) {
        JSON_EACH(label, both[i])
        {
            informer_index_each(c->services, c->services_by_label,
                                pair_key(a, object_namespace(now ? now : old), label),
                                add_if_selects, &x);
        }
    }
}

static void on_service(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct endpoint_controller *c = data;
    reconciler_add_object(c->reconciler, now ? now : old);
}

/* Somebody removed what we made. */
static void on_slice(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct endpoint_controller *c = data;
    if (!now) {
        yyjson_val *labels = client_labels(old);
        reconciler_add(c->reconciler, object_namespace(old),
                       json_get_str(labels, "kubernetes.io/service-name"));
    }
}

/* Somebody removed what we made, or changed what is kept by hand; or what a predecessor made has
 * come after the end of its service, which no owner reference joins it to. */
static void on_endpoints(void *data, struct object *old, struct object *now)
{
    assert(old || now);
    struct endpoint_controller *c = data;
    struct object *o = now ? now : old;
    struct object *service = informer_get(c->services, object_namespace(o), object_name(o));
    bool matters =
        service ? !now || json_len(json_get(client_spec(service), "selector")) == 0
                : !old && json_path(client_meta(now), "annotations", ENDPOINT_TRIGGER_TIME, NULL);
    if (matters) {
        reconciler_add_object(c->reconciler, o);
    }
}

/* ---- observing ---- */

struct gathered {
    struct endpoint_sync *x;
    const char *manager; /* of slices */
    VEC(struct object *) objects;
};

static bool see_pod(void *data, struct object *pod)
{
    struct gathered *g = data;
    assert(g->x->service);
    if (selects(object_root(g->x->service), client_labels(pod))) {
        VEC_PUSH(&g->objects, pod);
    }
    return true;
}

static bool see_slice(void *data, struct object *slice)
{
    struct gathered *g = data;
    assert(g->manager);
    if (is_managed_by(slice, g->manager)) {
        VEC_PUSH(&g->objects, slice);
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return span_cmp(object_name(*(struct object *const *)a),
                    object_name(*(struct object *const *)b));
}

/* Takes the gathered objects into the arena, held, in order of name. */
static struct object **take(struct gathered *g)
{
    struct arena *a = g->x->a;
    size_t n = g->objects.n;
    struct object **held = ARENA_ARRAY(a, struct object *, n + 1);
    for (size_t i = 0; i < n; i++) {
        held[i] = object_hold(a, g->objects.at[i]);
    }
    VEC_DONE(&g->objects);
    qsort(held, n, sizeof(struct object *), by_name);
    return held;
}

static int32_t port_named(struct object *pod, struct span name)
{
    JSON_EACH(c, json_get(client_spec(pod), "containers"))
    {
        JSON_EACH(p, json_get(c.val, "ports"))
        {
            if (span_eq(json_get_str(p.val, "name"), name)) {
                return (int32_t)json_get_int(p.val, "containerPort", 0);
            }
        }
    }
    return 0;
}

static int32_t resolve_port(const yyjson_val *service_port, struct object *pod)
{
    yyjson_val *target = json_get(service_port, "targetPort");
    if (yyjson_is_str(target)) {
        return port_named(pod, json_str(target));
    }
    int64_t port = json_int(target, 0);
    return (int32_t)(port ? port : json_get_int(service_port, "port", 0));
}

static struct endpoint_pod observe_pod(struct endpoint_sync *x, struct object *pod)
{
    yyjson_val *status = client_status(pod);
    struct span phase = json_get_str(status, "phase");
    yyjson_val *ports = json_get(x->spec, "ports");
    int32_t *resolved = ARENA_ARRAY(x->a, int32_t, json_len(ports) + 1);
    size_t i = 0;
    JSON_EACH(it, ports)
    {
        resolved[i++] = resolve_port(it.val, pod);
    }
    assert(i == json_len(ports));
    return (struct endpoint_pod){.ip = json_get_str(status, "podIP"),
                                 .ready = client_condition_true(pod, "Ready"),
                                 .terminating = object_is_deleting(pod),
                                 .ended = status_phase_ended(phase),
                                 .ports = resolved};
}

static void observe(struct endpoint_sync *x)
{
    struct gathered g = {.x = x};
    assert(x->service);
    informer_index_each(x->c->pods, x->c->pods_by_ns, x->s->ns, see_pod, &g);
    size_t n = g.objects.n;
    x->pods = take(&g);
    struct endpoint_pod *pods = ARENA_ARRAY(x->a, struct endpoint_pod, n + 1);
    for (size_t i = 0; i < n; i++) {
        pods[i] = observe_pod(x, x->pods[i]);
    }
    x->view = (struct endpoint_view){.publish_not_ready =
                                         json_get_bool(x->spec, "publishNotReadyAddresses", false),
                                     .port_count = json_len(json_get(x->spec, "ports")),
                                     .pods = pods,
                                     .pod_count = n};
}

static struct object **observe_slices(struct endpoint_sync *x, const char *manager, size_t *ret_n)
{
    struct gathered g = {.x = x, .manager = manager};
    struct span key = ARENA_JOIN(x->a, x->s->ns, SPAN("/"), x->s->name);
    informer_index_each(x->c->slices, x->c->slices_by_service, key, see_slice, &g);
    *ret_n = g.objects.n;
    return take(&g);
}

static void run(struct sync *s)
{
    assert(s->name.n > 0);
    struct endpoint_controller *c = s->controller;
    struct endpoint_sync *x = ARENA_NEW(s->arena, struct endpoint_sync);
    *x = (struct endpoint_sync){.c = c, .s = s, .a = s->arena};
    x->service = informer_get(c->services, s->ns, s->name);
    x->slices = observe_slices(x, ENDPOINT_MANAGER, &x->slice_count);
    x->mirrors = observe_slices(x, ENDPOINT_MIRROR, &x->mirror_count);
    if (!x->service) {
        endpoint_remove_all(x);
        return;
    }
    object_hold(s->arena, x->service);
    x->spec = client_spec(x->service);
    x->headless = span_eq_cstr(json_get_str(x->spec, "clusterIP"), "None");
    if (json_len(json_get(x->spec, "selector")) == 0 ||
        span_eq_cstr(json_get_str(x->spec, "type"), "ExternalName")) {
        endpoint_mirror(x); /* its endpoints, if any, are kept by hand */
        return;
    }
    endpoint_remove_mirrors(x, 0);
    observe(x);
    x->plan = endpoint_plan(x->a, &x->view);
    endpoint_write_slices(x);
    endpoint_write_core(x);
}

/* ---- life ---- */

static void *make(const struct controller_place *place)
{
    struct endpoint_controller *c = MEM_NEW(struct endpoint_controller);
    c->client = place->client;
    c->service_kind = schema_kind_find("", "Service");
    c->slice_kind = schema_kind_find("discovery.k8s.io", "EndpointSlice");
    c->endpoints_kind = schema_kind_find("", "Endpoints");
    assert(c->service_kind);
    assert(c->slice_kind);
    assert(c->endpoints_kind);
    c->services = informer_set_get(place->informers, c->service_kind);
    c->slices = informer_set_get(place->informers, c->slice_kind);
    c->endpoints = informer_set_get(place->informers, c->endpoints_kind);
    c->pods = informer_set_find(place->informers, "", "Pod");
    c->nodes = informer_set_find(place->informers, "", "Node");
    c->services_by_label = informer_add_index(c->services, selector_key);
    c->pods_by_ns = informer_add_index(c->pods, informer_by_namespace);
    c->slices_by_service = informer_add_index(c->slices, slice_key);
    c->reconciler = reconciler_new(place, "endpointslice-controller", 16, run, c);
    static const struct informer_handler services = {on_service}, pods = {on_pod},
                                         slices = {on_slice}, endpoints = {on_endpoints};
    reconciler_follow(c->reconciler, c->services, &services, c);
    reconciler_follow(c->reconciler, c->pods, &pods, c);
    reconciler_follow(c->reconciler, c->slices, &slices, c);
    reconciler_follow(c->reconciler, c->endpoints, &endpoints, c);
    return c;
}

static void end(void *controller)
{
    struct endpoint_controller *c = controller;
    reconciler_free(c->reconciler);
    free(c);
}

const struct controller_type controller_endpoint = {make, end};
