/* controller/endpoint_mirror.c: EndpointSlices for Endpoints that are kept by hand: one for each
 * subset, owned by the Endpoints. IPv4, as everything that reads them here. */
#include "base/check.h"
#include "codec/names.h"
#include "controller/endpoint_priv.h"

static bool is_ipv4(struct span ip)
{
    return names_is_ip(ip) && span_find(ip, ':') == ip.n;
}

static void put_addresses(yyjson_mut_doc *doc, yyjson_mut_val *endpoints, const yyjson_val *list,
                          bool ready)
{
    static const char *const same[] = {"hostname", "nodeName", "targetRef"};
    JSON_EACH(it, list)
    {
        struct span ip = json_get_str(it.val, "ip");
        if (!is_ipv4(ip)) {
            continue;
        }
        yyjson_mut_val *e = yyjson_mut_obj(doc), *addresses = yyjson_mut_arr(doc);
        yyjson_mut_arr_append(addresses, json_new_str(doc, ip));
        json_put(doc, e, "addresses", addresses);
        json_put_bool(doc, json_mut_obj(doc, e, "conditions"), "ready", ready);
        for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
            const yyjson_val *v = json_get(it.val, same[i]);
            if (v) {
                json_put(doc, e, same[i], json_mut_copy(doc, v));
            }
        }
        yyjson_mut_arr_append(endpoints, e);
    }
}

static yyjson_mut_val *ports_of(yyjson_mut_doc *doc, const yyjson_val *subset)
{
    yyjson_mut_val *ports = yyjson_mut_arr(doc);
    JSON_EACH(it, json_get(subset, "ports"))
    {
        yyjson_mut_val *p = json_mut_copy(doc, it.val);
        if (!json_mut_get(p, "name")) {
            json_put_str(doc, p, "name", SPAN(""));
        }
        yyjson_mut_arr_append(ports, p);
    }
    return ports;
}

static void put_labels(struct endpoint_sync *x, struct client_body *b, struct object *core)
{
    yyjson_mut_val *labels = json_mut_obj(b->doc, b->meta, "labels");
    JSON_EACH(it, client_labels(core))
    {
        json_put_span(b->doc, labels, json_str(it.key), json_mut_copy(b->doc, it.val));
    }
    json_put_str(b->doc, labels, "kubernetes.io/service-name", x->s->name);
    json_put_str(b->doc, labels, "endpointslice.kubernetes.io/managed-by", SPAN(ENDPOINT_MIRROR));
}

/* One subset as the slice `old`, or as a new one. */
static void write_mirror(struct endpoint_sync *x, struct object *core, const yyjson_val *subset,
                         struct object *old)
{
    struct client_body b =
        old ? client_patch_new(x->a, old) : client_body_new(x->a, x->c->slice_kind, SPAN_NULL);
    yyjson_mut_val *endpoints = yyjson_mut_arr(b.doc), *ports = ports_of(b.doc, subset);
    put_addresses(b.doc, endpoints, json_get(subset, "addresses"), true);
    put_addresses(b.doc, endpoints, json_get(subset, "notReadyAddresses"), false);
    put_labels(x, &b, core);
    endpoint_put_slice(x, &b, old, endpoints, ports, x->c->endpoints_kind, core);
}

void endpoint_mirror(struct endpoint_sync *x)
{
    assert(x->s);
    struct object *core = informer_get(x->c->endpoints, x->s->ns, x->s->name);
    const yyjson_val *labels = core ? client_labels(core) : NULL;
    size_t n = 0;
    bool asked = core && !span_eq(json_get_str(labels, "endpointslice.kubernetes.io/skip-mirror"),
                                  SPAN("true"));
    /* Endpoints that were ours before the selector went have their slices still. */
    if (asked && x->slice_count == 0) {
        JSON_EACH(it, json_get(object_root(core), "subsets"))
        {
            write_mirror(x, core, it.val, n < x->mirror_count ? x->mirrors[n] : NULL);
            n++;
        }
    }
    endpoint_remove_mirrors(x, n);
}
