#include "plan/proxy_plan.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/vec.h"
#include "codec/json.h"
#include "plan/host_port.h"
#include "schema/status.h"

typedef VEC(struct proxy_endpoint) endpoint_list;

enum { AFFINITY_S = 10800 };

/* Which endpoints are asked for. */
enum wanted { READY, SERVING_WHILE_ENDING };

static bool parse_ip(struct span text, uint32_t *ret)
{
    assert(ret);
    char buf[16];
    struct in_addr in;
    if (text.n == 0 || text.n >= sizeof buf) {
        return false;
    }
    memcpy(buf, text.p, text.n);
    buf[text.n] = '\0';
    if (inet_pton(AF_INET, buf, &in) != 1) {
        return false;
    }
    *ret = ntohl(in.s_addr);
    return true;
}

static bool parse_port(int64_t number, uint16_t *ret)
{
    assert(ret);
    *ret = (uint16_t)number;
    return number > 0 && number <= 65535;
}

/* 0: one that is not carried. */
static uint8_t parse_protocol(struct span text)
{
    if (text.n == 0 || span_eq(text, SPAN("TCP"))) {
        return PROXY_TCP;
    }
    return span_eq(text, SPAN("UDP")) ? PROXY_UDP : 0;
}

static bool is_wanted(const yyjson_val *endpoint, enum wanted wanted)
{
    const yyjson_val *conditions = json_get(endpoint, "conditions");
    bool ready = json_get_bool(conditions, "ready", true);
    if (wanted == READY) {
        return ready;
    }
    return json_get_bool(conditions, "serving", ready) &&
           json_get_bool(conditions, "terminating", false);
}

/* node: only its endpoints; empty: all. */
static void collect_slice(endpoint_list *out, const yyjson_val *slice, uint16_t port,
                          struct span node, enum wanted wanted)
{
    assert(port > 0);
    JSON_EACH(endpoint, json_get(slice, "endpoints"))
    {
        /* The addresses of one endpoint are interchangeable: the first stands for it. */
        struct proxy_endpoint e = {.port = port};
        struct span address = json_str(json_iter_begin(json_get(endpoint.val, "addresses")).val);
        if (node.n && !span_eq(json_get_str(endpoint.val, "nodeName"), node)) {
            continue;
        }
        if (is_wanted(endpoint.val, wanted) && parse_ip(address, &e.addr)) {
            VEC_PUSH(out, e);
        }
    }
}

static int by_address(const void *a, const void *b)
{
    const struct proxy_endpoint *x = a, *y = b;
    int addr = (x->addr > y->addr) - (x->addr < y->addr);
    return addr ? addr : (x->port > y->port) - (x->port < y->port);
}

static size_t sort_unique(endpoint_list *list)
{
    size_t n = 0;
    if (list->n) {
        qsort(list->at, list->n, sizeof *list->at, by_address);
    }
    for (size_t i = 0; i < list->n; i++) {
        if (n == 0 || by_address(&list->at[n - 1], &list->at[i]) != 0) {
            list->at[n++] = list->at[i];
        }
    }
    assert(n <= list->n);
    assert((n > 0) == (list->n > 0));
    list->n = n < PROXY_ENDPOINTS_MAX ? n : PROXY_ENDPOINTS_MAX;
    assert(list->n <= PROXY_ENDPOINTS_MAX);
    return list->n;
}

static void collect(endpoint_list *out, const struct proxy_view *view, struct span name,
                    uint8_t protocol, struct span node, enum wanted wanted)
{
    assert(view->slices || view->slice_count == 0);
    assert(protocol != 0);
    for (size_t i = 0; i < view->slice_count; i++) {
        const yyjson_val *slice = view->slices[i];
        if (!span_eq(json_get_str(slice, "addressType"), SPAN("IPv4"))) {
            continue;
        }
        JSON_EACH(port, json_get(slice, "ports"))
        {
            uint16_t number;
            if (span_eq(json_get_str(port.val, "name"), name) &&
                parse_protocol(json_get_str(port.val, "protocol")) == protocol &&
                parse_port(json_get_int(port.val, "port", 0), &number)) {
                collect_slice(out, slice, number, node, wanted);
            }
        }
    }
}

static int by_port(const void *a, const void *b)
{
    const struct proxy_port *x = a, *y = b;
    int protocol = (x->protocol > y->protocol) - (x->protocol < y->protocol);
    int port = (x->port > y->port) - (x->port < y->port);
    int addr = (x->addr > y->addr) - (x->addr < y->addr);
    return protocol ? protocol : port ? port : addr ? addr : (int)x->host - (int)y->host;
}

bool proxy_port_same(const struct proxy_port *a, const struct proxy_port *b)
{
    assert(a->port > 0);
    assert(b->port > 0);
    return by_port(a, b) == 0;
}

static uint64_t mix(uint64_t h, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        h = (h ^ (value >> (8 * i) & 255)) * 1099511628211u;
    }
    return h;
}

uint64_t proxy_port_hash(const struct proxy_port *port)
{
    assert(port->endpoints || port->endpoint_count == 0);
    uint64_t h = mix(14695981039346656037u, port->affinity_s);
    h = mix(h, port->outside);
    for (size_t i = 0; i < port->endpoint_count; i++) {
        h = mix(h, (uint64_t)port->endpoints[i].addr << 16 | port->endpoints[i].port);
    }
    return h ? h : 1;
}

static bool has_port(const struct proxy_plan *plan, const struct proxy_port *port)
{
    assert(port->port > 0);
    for (size_t i = 0; i < plan->count; i++) {
        if (proxy_port_same(&plan->ports[i], port)) {
            return true;
        }
    }
    return false;
}

struct planner {
    struct arena *a;
    const struct proxy_view *view;
    struct proxy_plan *plan;
    size_t room;
};

/* The port p with the endpoints that the Service's port of that name leads to. */
static void add(struct planner *x, struct proxy_port p, struct span name, bool local)
{
    assert(x->plan->count <= x->room);
    struct span node = local ? x->view->node : SPAN_NULL;
    assert(p.port > 0);
    assert(p.protocol != 0);
    if (has_port(x->plan, &p)) {
        return;
    }
    endpoint_list list = {0};
    collect(&list, x->view, name, p.protocol, node, READY);
    if (list.n == 0) {
        collect(&list, x->view, name, p.protocol, node, SERVING_WHILE_ENDING);
    }
    p.endpoint_count = sort_unique(&list);
    struct proxy_endpoint *copy = ARENA_ARRAY(x->a, struct proxy_endpoint, p.endpoint_count + 1);
    if (p.endpoint_count) {
        memcpy(copy, list.at, p.endpoint_count * sizeof *copy);
    }
    p.endpoints = copy;
    VEC_DONE(&list);
    assert(x->plan->count < x->room);
    x->plan->ports[x->plan->count++] = p;
}

/* One port of the Service by each of its external addresses. */
static void add_external(struct planner *x, struct proxy_port p, struct span name, bool local)
{
    assert(!p.outside);
    p.outside = true;
    JSON_EACH(ip, json_path(x->view->service, "spec", "externalIPs", NULL))
    {
        if (parse_ip(json_str(ip.val), &p.addr) && p.addr) {
            add(x, p, name, local);
        }
    }
    JSON_EACH(in, json_path(x->view->service, "status", "loadBalancer", "ingress", NULL))
    {
        bool proxied = span_eq(json_get_str(in.val, "ipMode"), SPAN("Proxy"));
        if (!proxied && parse_ip(json_get_str(in.val, "ip"), &p.addr) && p.addr) {
            add(x, p, name, local);
        }
    }
}

static uint32_t affinity_of(const yyjson_val *spec)
{
    if (!span_eq(json_get_str(spec, "sessionAffinity"), SPAN("ClientIP"))) {
        return 0;
    }
    int64_t s = json_int(
        json_path(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds", NULL), AFFINITY_S);
    return s > 0 && s <= 86400 ? (uint32_t)s : AFFINITY_S;
}

/* Whoever labels a Service so sees to it that it is reached, or wants its endpoints only. */
static bool is_left_to_others(const yyjson_val *service)
{
    const yyjson_val *labels = json_path(service, "metadata", "labels", NULL);
    return json_get(labels, "service.kubernetes.io/service-proxy-name") ||
           json_get(labels, "service.kubernetes.io/headless");
}

void proxy_plan(struct arena *a, const struct proxy_view *view, struct proxy_plan *ret)
{
    assert(a);
    assert(view);
    assert(ret);
    *ret = (struct proxy_plan){0};
    const yyjson_val *spec = json_get(view->service, "spec"), *ports = json_get(spec, "ports");
    uint32_t cluster;
    if (span_eq(json_get_str(spec, "type"), SPAN("ExternalName")) ||
        is_left_to_others(view->service) || !parse_ip(json_get_str(spec, "clusterIP"), &cluster)) {
        return;
    }
    bool inside = span_eq(json_get_str(spec, "internalTrafficPolicy"), SPAN("Local"));
    bool outside = span_eq(json_get_str(spec, "externalTrafficPolicy"), SPAN("Local"));
    size_t ways = 2 + json_len(json_get(spec, "externalIPs")) +
                  json_len(json_path(view->service, "status", "loadBalancer", "ingress", NULL));
    struct planner x = {a, view, ret, json_len(ports) * ways};
    ret->ports = ARENA_ARRAY(a, struct proxy_port, x.room + 1);
    JSON_EACH(port, ports)
    {
        struct span name = json_get_str(port.val, "name");
        struct proxy_port p = {.protocol = parse_protocol(json_get_str(port.val, "protocol")),
                               .affinity_s = affinity_of(spec)};
        if (p.protocol == 0 || !parse_port(json_get_int(port.val, "port", 0), &p.port)) {
            continue;
        }
        p.addr = cluster;
        add(&x, p, name, inside);
        add_external(&x, p, name, outside);
        p.addr = 0;
        p.outside = true;
        if (parse_port(json_get_int(port.val, "nodePort", 0), &p.port)) {
            add(&x, p, name, outside);
        }
    }
    assert(ret->count <= x.room);
    if (ret->count) {
        qsort(ret->ports, ret->count, sizeof *ret->ports, by_port);
    }
}

/* ---- host ports ---- */

static bool has_ended(const yyjson_val *pod)
{
    return status_pod_ended(pod);
}

void proxy_plan_pod(struct arena *a, const yyjson_val *pod, struct proxy_plan *ret)
{
    assert(a);
    assert(ret);
    *ret = (struct proxy_plan){0};
    const yyjson_val *spec = json_get(pod, "spec");
    const struct host_port *ports = NULL;
    uint32_t pod_ip;
    if (json_get_bool(spec, "hostNetwork", false) || has_ended(pod) ||
        !parse_ip(json_get_str(json_get(pod, "status"), "podIP"), &pod_ip)) {
        return;
    }
    size_t count = host_ports(a, spec, &ports);
    ret->ports = ARENA_ARRAY(a, struct proxy_port, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct proxy_port p = {.port = ports[i].port, .protocol = ports[i].protocol, .host = true};
        if (!host_port_ipv4(&ports[i], &p.addr) || ports[i].protocol == HOST_PORT_SCTP ||
            has_port(ret, &p)) {
            continue;
        }
        struct proxy_endpoint *to = ARENA_NEW(a, struct proxy_endpoint);
        *to = (struct proxy_endpoint){pod_ip, ports[i].container_port};
        p.endpoints = to;
        p.endpoint_count = 1;
        ret->ports[ret->count++] = p;
    }
    assert(ret->count <= count);
    if (ret->count) {
        qsort(ret->ports, ret->count, sizeof *ret->ports, by_port);
    }
}
