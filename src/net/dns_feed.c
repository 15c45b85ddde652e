#include "net/dns_feed.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "client/informer.h"
#include "codec/json.h"
#include "net/net_slice.h"
#include "plan/zone_plan.h"
#include "schema/kinds.h"

struct dns_feed {
    struct dns_zone *zone;
    char *domain;
    struct informer *services, *slices, *namespaces, *pods;
    int slices_by_service; /* index: "NS/SERVICE" */
    int waiting;           /* informers not synced yet */
};

/* Recomputes one service's records. */
static void refresh(struct dns_feed *f, struct span ns, struct span name)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *service = informer_get(f->services, ns, name);
    net_slice_list slices = {0};
    struct span key = ARENA_JOIN(a, ns, SPAN("/"), name);
    informer_index_each(f->slices, f->slices_by_service, key, net_slice_collect, &slices);
    struct zone_view view = {.service = service ? object_root(service) : NULL,
                             .slices = slices.at,
                             .slice_count = slices.n,
                             .domain = span_cstr(f->domain)};
    struct zone_plan plan;
    zone_plan(a, &view, &plan);
    dns_zone_set(f->zone, key, plan.records, plan.count);
    VEC_DONE(&slices);
}

static void on_service(void *data, struct object *old, struct object *now)
{
    struct object *o = now ? now : old;
    refresh(data, object_namespace(o), object_name(o));
}

static void on_slice(void *data, struct object *old, struct object *now)
{
    struct object *o = now ? now : old;
    if (old && now && !span_eq(net_slice_service(old), net_slice_service(now))) {
        refresh(data, object_namespace(old), net_slice_service(old));
    }
    if (net_slice_service(o).n) {
        refresh(data, object_namespace(o), net_slice_service(o));
    }
}

static void on_namespace(void *data, struct object *old, struct object *now)
{
    struct dns_feed *f = data;
    dns_zone_set_namespace(f->zone, object_name(now ? now : old), now != NULL);
}

static void on_pod(void *data, struct object *old, struct object *now)
{
    struct dns_feed *f = data;
    if (!old || !now) {
        dns_zone_set_pod(f->zone, object_uid(now ? now : old),
                         now ? object_namespace(now) : SPAN_NULL);
    }
    /* After a restart of the server the network of a running pod is not made again: the API has the
     * address. */
    struct span ip =
        now ? json_str(json_path(object_root(now), "status", "podIP", NULL)) : SPAN_NULL;
    if (ip.n && !old) {
        dns_zone_set_address(f->zone, ip, object_uid(now));
    }
}

static void on_synced(void *data)
{
    struct dns_feed *f = data;
    assert(f->waiting > 0);
    if (--f->waiting == 0) {
        dns_zone_ready(f->zone);
    }
}

static struct informer *watch(struct dns_feed *f, struct client *client,
                              const struct schema_kind *kind,
                              void (*on_change)(void *, struct object *, struct object *))
{
    struct client_request all = {.kind = kind, CLIENT_REQUEST_INIT};
    struct informer *i = informer_new(client, &all);
    const struct informer_handler handler = {on_change};
    if (kind == SCHEMA_KIND(EndpointSlice)) {
        f->slices_by_service = informer_add_index(i, net_slice_key);
    }
    informer_add_handler(i, &handler, f);
    informer_on_synced(i, on_synced, f);
    f->waiting++;
    return i;
}

struct dns_feed *dns_feed_new(struct client *client, struct dns_zone *zone, struct span domain)
{
    assert(client);
    assert(zone);
    assert(domain.n > 0);
    struct dns_feed *f = MEM_NEW(struct dns_feed);
    f->zone = zone;
    f->domain = strndup(domain.p, domain.n);
    f->services = watch(f, client, SCHEMA_KIND(Service), on_service);
    f->slices = watch(f, client, SCHEMA_KIND(EndpointSlice), on_slice);
    f->namespaces = watch(f, client, SCHEMA_KIND(Namespace), on_namespace);
    f->pods = watch(f, client, SCHEMA_KIND(Pod), on_pod);
    return f;
}
