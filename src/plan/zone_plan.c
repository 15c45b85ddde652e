#include "plan/zone_plan.h"

#include <arpa/inet.h>

#include "base/check.h"
#include "base/vec.h"
#include "codec/dns.h"
#include "codec/json.h"

struct zone {
    struct arena *a;
    VEC(struct zone_record) out;
    struct span base; /* svc.ns.svc.DOMAIN */
};

static struct span lower(struct arena *a, struct span s)
{
    struct span copy = arena_dup(a, s);
    assert(copy.n == s.n);
    char *p = (char *)(uintptr_t)copy.p;
    for (size_t i = 0; i < copy.n; i++) {
        p[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + 32) : p[i];
    }
    return copy;
}

static bool parse_ip(struct span text, uint8_t ip[4])
{
    char buf[16];
    if (text.n >= sizeof buf) {
        return false;
    }
    memcpy(buf, text.p, text.n);
    buf[text.n] = '\0';
    return inet_pton(AF_INET, buf, ip) == 1;
}

static bool has(const struct zone *z, const struct zone_record *r)
{
    for (size_t i = 0; i < z->out.n; i++) {
        const struct zone_record *o = &z->out.at[i];
        if (o->type == r->type && o->port == r->port && memcmp(o->ip, r->ip, 4) == 0 &&
            span_eq(o->name, r->name) && span_eq(o->target, r->target)) {
            return true;
        }
    }
    return false;
}

static void put(struct zone *z, struct zone_record r)
{
    assert(r.name.n > 0);
    if (!has(z, &r)) {
        VEC_PUSH(&z->out, r);
    }
}

static void put_a(struct zone *z, struct span name, const uint8_t ip[4])
{
    assert(name.n > 0);
    struct zone_record r = {.name = name, .type = DNS_A};
    memcpy(r.ip, ip, 4);
    put(z, r);
}

static void put_ptr(struct zone *z, const uint8_t ip[4], struct span target)
{
    assert(target.n > 0);
    struct span name = arena_printf(z->a, "%u.%u.%u.%u.in-addr.arpa", ip[3], ip[2], ip[1], ip[0]);
    put(z, (struct zone_record){.name = name, .type = DNS_PTR, .target = target});
}

/* SRV under _port._proto, when the port has a name, and under the service's own name. */
static void put_srv(struct zone *z, const yyjson_val *port, int64_t number, struct span target)
{
    struct span name = json_get_str(port, "name"), proto = json_get_str(port, "protocol");
    if (number <= 0 || number > 65535) {
        return;
    }
    assert(target.n > 0);
    assert(z->base.n > 0);
    struct zone_record r = {.type = DNS_SRV, .port = (uint16_t)number, .target = target};
    if (name.n) {
        r.name =
            arena_printf(z->a, "_%.*s._%.*s.%.*s", SPAN_ARG(lower(z->a, name)),
                         SPAN_ARG(lower(z->a, proto.n ? proto : SPAN("TCP"))), SPAN_ARG(z->base));
        put(z, r);
    }
    r.name = z->base;
    put(z, r);
}

static void plan_cluster_ip(struct zone *z, const yyjson_val *spec, const uint8_t ip[4])
{
    assert(z->base.n > 0);
    put_a(z, z->base, ip);
    put_ptr(z, ip, z->base);
    JSON_EACH(port, json_get(spec, "ports"))
    {
        put_srv(z, port.val, json_get_int(port.val, "port", 0), z->base);
    }
}

static void plan_endpoint(struct zone *z, const yyjson_val *endpoint, const yyjson_val *ports)
{
    assert(z->base.n > 0);
    struct span host = json_get_str(endpoint, "hostname");
    JSON_EACH(address, json_get(endpoint, "addresses"))
    {
        uint8_t ip[4];
        if (!parse_ip(json_str(address.val), ip)) {
            continue;
        }
        struct span label = host.n ? lower(z->a, host)
                                   : arena_printf(z->a, "%u-%u-%u-%u", ip[0], ip[1], ip[2], ip[3]);
        struct span name = arena_printf(z->a, "%.*s.%.*s", SPAN_ARG(label), SPAN_ARG(z->base));
        put_a(z, z->base, ip);
        put_a(z, name, ip);
        put_ptr(z, ip, name);
        JSON_EACH(port, ports)
        {
            put_srv(z, port.val, json_get_int(port.val, "port", 0), name);
        }
    }
}

static void plan_headless(struct zone *z, const struct zone_view *view)
{
    assert(z->base.n > 0);
    for (size_t i = 0; i < view->slice_count; i++) {
        const yyjson_val *slice = view->slices[i];
        if (!span_eq(json_get_str(slice, "addressType"), SPAN("IPv4"))) {
            continue;
        }
        JSON_EACH(endpoint, json_get(slice, "endpoints"))
        {
            yyjson_val *conditions = json_get(endpoint.val, "conditions");
            if (json_get_bool(conditions, "ready", true)) {
                plan_endpoint(z, endpoint.val, json_get(slice, "ports"));
            }
        }
    }
}

void zone_plan(struct arena *a, const struct zone_view *view, struct zone_plan *ret)
{
    assert(a);
    assert(ret);
    assert(view->domain.n > 0);
    assert(view->slices || view->slice_count == 0);
    struct zone z = {.a = a};
    *ret = (struct zone_plan){0};
    if (!view->service) {
        return;
    }
    yyjson_val *meta = json_get(view->service, "metadata"), *spec = json_get(view->service, "spec");
    z.base = arena_printf(a, "%.*s.%.*s.svc.%.*s", SPAN_ARG(json_get_str(meta, "name")),
                          SPAN_ARG(json_get_str(meta, "namespace")), SPAN_ARG(view->domain));
    struct span cluster_ip = json_get_str(spec, "clusterIP");
    uint8_t ip[4];
    if (span_eq(json_get_str(spec, "type"), SPAN("ExternalName"))) {
        struct span target = lower(a, json_get_str(spec, "externalName"));
        if (span_ends(target, SPAN("."))) {
            target.n--;
        }
        put(&z, (struct zone_record){.name = z.base, .type = DNS_CNAME, .target = target});
    } else if (span_eq(cluster_ip, SPAN("None"))) {
        plan_headless(&z, view);
    } else if (parse_ip(cluster_ip, ip)) {
        plan_cluster_ip(&z, spec, ip);
    }
    ret->records = ARENA_ARRAY(a, struct zone_record, z.out.n + 1);
    ret->count = z.out.n;
    if (z.out.n) {
        memcpy(ret->records, z.out.at, z.out.n * sizeof *z.out.at);
    }
    VEC_DONE(&z.out);
}
