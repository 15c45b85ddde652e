/* controller/endpoint_write.c: the bodies of EndpointSlices and Endpoints, and what of them must be
 * written. */
#include "base/check.h"
#include "codec/time.h"
#include "controller/endpoint_priv.h"

/* ---- parts ---- */

static void put_target(struct endpoint_sync *x, yyjson_mut_doc *doc, yyjson_mut_val *to,
                       struct object *pod)
{
    yyjson_mut_val *ref = json_mut_obj(doc, to, "targetRef");
    json_put_str(doc, ref, "kind", SPAN("Pod"));
    json_put_str(doc, ref, "namespace", x->s->ns);
    json_put_str(doc, ref, "name", object_name(pod));
    json_put_str(doc, ref, "uid", object_uid(pod));
}

/* A pod is known by its own name only to the Service that its subdomain names. */
static struct span hostname_of(struct endpoint_sync *x, struct object *pod)
{
    yyjson_val *spec = client_spec(pod);
    return span_eq(json_get_str(spec, "subdomain"), x->s->name) ? json_get_str(spec, "hostname")
                                                                : SPAN_NULL;
}

static yyjson_mut_val *endpoint_json(struct endpoint_sync *x, yyjson_mut_doc *doc, size_t at)
{
    assert(x->pods[at]);
    struct object *pod = x->pods[at];
    struct endpoint_conditions is = endpoint_conditions(&x->view, at);
    yyjson_mut_val *e = yyjson_mut_obj(doc), *addresses = yyjson_mut_arr(doc);
    yyjson_mut_arr_append(addresses, json_new_str(doc, x->view.pods[at].ip));
    json_put(doc, e, "addresses", addresses);
    yyjson_mut_val *conditions = json_mut_obj(doc, e, "conditions");
    json_put_bool(doc, conditions, "ready", is.ready);
    json_put_bool(doc, conditions, "serving", is.serving);
    json_put_bool(doc, conditions, "terminating", is.terminating);
    struct span hostname = hostname_of(x, pod);
    if (hostname.n) {
        json_put_str(doc, e, "hostname", hostname);
    }
    put_target(x, doc, e, pod);
    struct span node_name = json_get_str(client_spec(pod), "nodeName");
    if (node_name.n) {
        json_put_str(doc, e, "nodeName", node_name);
        struct object *node = informer_get(x->c->nodes, SPAN_NULL, node_name);
        yyjson_val *labels = node ? client_labels(node) : NULL;
        struct span zone = json_get_str(labels, "topology.kubernetes.io/zone");
        if (zone.n) {
            json_put_str(doc, e, "zone", zone);
        }
    }
    return e;
}

/* always_named: EndpointSlices write the empty name too. */
static yyjson_mut_val *ports_json(struct endpoint_sync *x, yyjson_mut_doc *doc,
                                  const int32_t *ports, bool always_named)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    size_t i = 0;
    JSON_EACH(it, json_get(x->spec, "ports"))
    {
        int32_t port = ports ? ports[i] : 0;
        i++;
        if (port == 0) {
            continue;
        }
        yyjson_mut_val *p = yyjson_mut_obj(doc);
        struct span name = json_get_str(it.val, "name"),
                    protocol = json_get_str(it.val, "protocol");
        struct span app = json_get_str(it.val, "appProtocol");
        if (name.n || always_named) {
            json_put_str(doc, p, "name", name.n ? name : SPAN(""));
        }
        json_put_int(doc, p, "port", port);
        json_put_str(doc, p, "protocol", protocol.n ? protocol : SPAN("TCP"));
        if (app.n) {
            json_put_str(doc, p, "appProtocol", app);
        }
        yyjson_mut_arr_append(list, p);
    }
    return list;
}

static void put_labels(struct endpoint_sync *x, yyjson_mut_doc *doc, yyjson_mut_val *meta,
                       bool slice)
{
    assert(x->service);
    yyjson_mut_val *labels = json_mut_obj(doc, meta, "labels");
    JSON_EACH(it, client_labels(x->service))
    {
        json_put_span(doc, labels, json_str(it.key), json_mut_copy(doc, it.val));
    }
    if (x->headless) {
        json_put_str(doc, labels, "service.kubernetes.io/headless", SPAN(""));
    }
    if (slice) {
        json_put_str(doc, labels, "kubernetes.io/service-name", x->s->name);
        json_put_str(doc, labels, "endpointslice.kubernetes.io/managed-by", SPAN(ENDPOINT_MANAGER));
    }
}

/* True when the object has the member as wanted. */
static bool has_member(struct endpoint_sync *x, const yyjson_val *object, const char *key,
                       yyjson_mut_val *wanted)
{
    yyjson_val *is = json_get(object, key), *want = json_freeze_shared(x->a, wanted);
    return json_equal(is, want) || (json_len(is) == 0 && json_len(want) == 0);
}

/* ---- slices ---- */

void endpoint_put_slice(struct endpoint_sync *x, struct client_body *b, struct object *old,
                        yyjson_mut_val *endpoints, yyjson_mut_val *ports,
                        const struct schema_kind *owner_kind, struct object *owner)
{
    assert(endpoints);
    assert(ports);
    assert(owner);
    json_put(b->doc, b->root, "endpoints", endpoints);
    json_put(b->doc, b->root, "ports", ports);
    if (old) {
        const yyjson_val *root = object_root(old);
        yyjson_mut_val *labels = json_mut_get(b->meta, "labels");
        if (!has_member(x, root, "endpoints", endpoints) || !has_member(x, root, "ports", ports) ||
            !has_member(x, json_get(root, "metadata"), "labels", labels)) {
            sync_patch(x->s, x->c->slices, old, b, NULL, NULL);
        }
        return;
    }
    json_put_str(b->doc, b->meta, "generateName",
                 arena_printf(x->a, "%.*s-", SPAN_ARG(x->s->name)));
    json_put_str(b->doc, b->meta, "namespace", x->s->ns);
    client_body_owner(b, owner_kind, owner);
    json_put_str(b->doc, b->root, "addressType", SPAN("IPv4"));
    const struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE,
                                      .kind = x->c->slice_kind, .ns = x->s->ns,
                                      .tree = client_body_tree(b)};
    sync_do(x->s, &rq, x->c->slices, NULL, NULL);
}

static void write_slice(struct endpoint_sync *x, const struct endpoint_slice *slice,
                        struct object *old)
{
    assert(slice->pod_count <= ENDPOINT_SLICE_MAX);
    assert(slice->pods || slice->pod_count == 0);
    struct client_body b =
        old ? client_patch_new(x->a, old) : client_body_new(x->a, x->c->slice_kind, SPAN_NULL);
    yyjson_mut_val *endpoints = yyjson_mut_arr(b.doc);
    for (size_t i = 0; i < slice->pod_count; i++) {
        yyjson_mut_arr_append(endpoints, endpoint_json(x, b.doc, slice->pods[i]));
    }
    yyjson_mut_val *ports = ports_json(x, b.doc, slice->ports, true);
    put_labels(x, b.doc, b.meta, true);
    endpoint_put_slice(x, &b, old, endpoints, ports, x->c->service_kind, x->service);
}

void endpoint_write_slices(struct endpoint_sync *x)
{
    assert(x->slices || x->slice_count == 0);
    for (size_t i = 0; i < x->plan.slice_count; i++) {
        write_slice(x, &x->plan.slices[i], i < x->slice_count ? x->slices[i] : NULL);
    }
    for (size_t i = x->plan.slice_count; i < x->slice_count; i++) {
        sync_delete(x->s, x->c->slices, x->slices[i], sync_or_changed, NULL);
    }
}

void endpoint_remove_mirrors(struct endpoint_sync *x, size_t keep)
{
    assert(x->mirrors || x->mirror_count == 0);
    for (size_t i = keep; i < x->mirror_count; i++) {
        sync_delete(x->s, x->c->slices, x->mirrors[i], sync_or_changed, NULL);
    }
}

void endpoint_remove_all(struct endpoint_sync *x)
{
    assert(x->s);
    endpoint_remove_mirrors(x, 0);
    for (size_t i = 0; i < x->slice_count; i++) {
        sync_delete(x->s, x->c->slices, x->slices[i], sync_or_changed, NULL);
    }
    struct object *core = informer_get(x->c->endpoints, x->s->ns, x->s->name);
    if (core) {
        sync_delete(x->s, x->c->endpoints, core, sync_or_changed, NULL);
    }
}

/* ---- core Endpoints ---- */

static yyjson_mut_val *address_json(struct endpoint_sync *x, yyjson_mut_doc *doc, size_t at)
{
    assert(x->pods[at]);
    struct object *pod = x->pods[at];
    yyjson_mut_val *e = yyjson_mut_obj(doc);
    json_put_str(doc, e, "ip", x->view.pods[at].ip);
    struct span hostname = hostname_of(x, pod);
    if (hostname.n) {
        json_put_str(doc, e, "hostname", hostname);
    }
    struct span node_name = json_get_str(client_spec(pod), "nodeName");
    if (node_name.n) {
        json_put_str(doc, e, "nodeName", node_name);
    }
    put_target(x, doc, e, pod);
    return e;
}

/* One subset for each port set; slices of one set follow each other. */
static yyjson_mut_val *subsets_json(struct endpoint_sync *x, yyjson_mut_doc *doc, bool *truncated)
{
    yyjson_mut_val *subsets = yyjson_mut_arr(doc), *lists[2] = {NULL, NULL};
    size_t total = 0;
    const int32_t *ports = NULL;
    for (size_t i = 0; i < x->plan.slice_count; i++) {
        const struct endpoint_slice *slice = &x->plan.slices[i];
        if (slice->ports != ports || i == 0) {
            lists[0] = lists[1] = NULL;
            ports = slice->ports;
        }
        for (size_t k = 0; k < slice->pod_count; k++) {
            enum endpoint_place place = endpoint_place(&x->view, slice->pods[k]);
            if (place == ENDPOINT_LEFT_OUT) {
                continue;
            }
            if (++total > ENDPOINT_ADDRESSES_MAX) {
                *truncated = true;
                return subsets;
            }
            if (!lists[0]) {
                yyjson_mut_val *subset = yyjson_mut_obj(doc);
                lists[0] = yyjson_mut_arr(doc);
                lists[1] = yyjson_mut_arr(doc);
                json_put(doc, subset, "addresses", lists[0]);
                json_put(doc, subset, "notReadyAddresses", lists[1]);
                json_put(doc, subset, "ports", ports_json(x, doc, ports, false));
                yyjson_mut_arr_append(subsets, subset);
            }
            yyjson_mut_arr_append(lists[place == ENDPOINT_NOT_READY],
                                  address_json(x, doc, slice->pods[k]));
        }
    }
    return subsets;
}

static void drop_empty_lists(yyjson_mut_val *subsets)
{
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(subsets);
    yyjson_mut_val *subset;
    while ((subset = yyjson_mut_arr_iter_next(&it))) {
        static const char *const keys[] = {"addresses", "notReadyAddresses", "ports"};
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            if (yyjson_mut_arr_size(json_mut_get(subset, keys[i])) == 0) {
                json_remove(subset, keys[i]);
            }
        }
    }
}

void endpoint_write_core(struct endpoint_sync *x)
{
    assert(x->s);
    struct object *old = informer_get(x->c->endpoints, x->s->ns, x->s->name);
    struct client_body b =
        old ? client_patch_new(x->a, old) : client_body_new(x->a, x->c->endpoints_kind, x->s->name);
    bool truncated = false;
    yyjson_mut_val *subsets = subsets_json(x, b.doc, &truncated);
    drop_empty_lists(subsets);
    put_labels(x, b.doc, b.meta, false);
    json_put(b.doc, b.root, "subsets", subsets);
    yyjson_val *root = old ? object_root(old) : NULL;
    if (old && has_member(x, root, "subsets", subsets) &&
        has_member(x, json_get(root, "metadata"), "labels", json_mut_get(b.meta, "labels"))) {
        return;
    }
    yyjson_mut_val *notes = json_mut_obj(b.doc, b.meta, "annotations");
    json_put_str(b.doc, notes, ENDPOINT_TRIGGER_TIME, time_format(x->a, x->s->now_ms));
    if (truncated) {
        json_put_str(b.doc, notes, "endpoints.kubernetes.io/over-capacity", SPAN("truncated"));
    } else if (old) {
        json_put(b.doc, notes, "endpoints.kubernetes.io/over-capacity", yyjson_mut_null(b.doc));
    }
    if (!old) {
        json_put_str(b.doc, b.meta, "namespace", x->s->ns);
    }
    const struct client_request rq = {CLIENT_REQUEST_INIT,
                                      .verb = old ? CLIENT_PATCH_MERGE : CLIENT_CREATE,
                                      .kind = x->c->endpoints_kind,
                                      .ns = x->s->ns,
                                      .name = old ? x->s->name : SPAN_NULL,
                                      .tree = client_body_tree(&b)};
    sync_do(x->s, &rq, x->c->endpoints, NULL, NULL);
}
