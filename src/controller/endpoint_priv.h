/* controller/endpoint_priv.h: what the files of the endpoint controller share. Not for others. */
#ifndef CONTROLLER_ENDPOINT_PRIV_H
#define CONTROLLER_ENDPOINT_PRIV_H

#include "client/client_body.h"
#include "controller/reconciler.h"
#include "plan/endpoint_plan.h"

struct endpoint_controller {
    struct client *client;
    const struct schema_kind *service_kind, *slice_kind, *endpoints_kind;
    struct informer *services, *pods, *slices, *endpoints, *nodes;
    int services_by_label, pods_by_ns, slices_by_service;
    struct reconciler *reconciler;
};

/* One sync's observations; arena memory. */
struct endpoint_sync {
    struct endpoint_controller *c;
    struct sync *s;
    struct arena *a;
    struct object *service; /* NULL: gone */
    yyjson_val *spec;
    bool headless;
    struct object **pods; /* by name; held */
    struct endpoint_view view;
    struct endpoint_plan plan;
    struct object **slices; /* ours, in order of name */
    size_t slice_count;
    struct object **mirrors; /* those of endpoint_mirror.c */
    size_t mirror_count;
};

#define ENDPOINT_MANAGER "endpointslice-controller.k8s.io"
/* Which only Endpoints of ours have. */
#define ENDPOINT_TRIGGER_TIME "endpoints.kubernetes.io/last-change-trigger-time"
#define ENDPOINT_MIRROR "endpointslicemirroring-controller.k8s.io"

/* endpoint_write.c: brings the objects to the plan; with no selector or no service, away. */
void endpoint_write_slices(struct endpoint_sync *x);
void endpoint_write_core(struct endpoint_sync *x);
void endpoint_remove_all(struct endpoint_sync *x);
/* Removes the mirrors but the first `keep`. */
void endpoint_remove_mirrors(struct endpoint_sync *x, size_t keep);
/* The slice `old` with these members, unless it has them, or a new one (old NULL). b: a patch of
 * old, or a new body, with its labels. */
void endpoint_put_slice(struct endpoint_sync *x, struct client_body *b, struct object *old,
                        yyjson_mut_val *endpoints, yyjson_mut_val *ports,
                        const struct schema_kind *owner_kind, struct object *owner);

/* endpoint_mirror.c: a Service without a selector whose Endpoints somebody keeps by hand gets
 * EndpointSlices that say the same; everything that follows Services reads slices. */
void endpoint_mirror(struct endpoint_sync *x);

#endif
