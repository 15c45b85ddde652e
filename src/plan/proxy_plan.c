#include "plan/proxy_plan.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/vec.h"
#include "codec/json.h"

typedef VEC(struct proxy_endpoint) endpoint_list;

/* Which endpoints are asked for. */
enum wanted { READY, SERVING_WHILE_ENDING };

static bool parse_ip(struct span text, uint32_t *ret)
{
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

static void collect_slice(endpoint_list *out, const yyjson_val *slice, uint16_t port,
                          enum wanted wanted)
{
    assert(port > 0);
    JSON_EACH(endpoint, json_get(slice, "endpoints"))
    {
        /* The addresses of one endpoint are interchangeable: the first stands for it. */
        struct proxy_endpoint e = {.port = port};
        struct span address = json_str(json_iter_begin(json_get(endpoint.val, "addresses")).val);
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
    list->n = n < PROXY_ENDPOINTS_MAX ? n : PROXY_ENDPOINTS_MAX;
    return list->n;
}

static void collect(endpoint_list *out, const struct proxy_view *view, struct span name,
                    uint8_t protocol, enum wanted wanted)
{
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
                collect_slice(out, slice, number, wanted);
            }
        }
    }
}

static int by_port(const void *a, const void *b)
{
    const struct proxy_port *x = a, *y = b;
    int protocol = (x->protocol > y->protocol) - (x->protocol < y->protocol);
    return protocol ? protocol : (x->port > y->port) - (x->port < y->port);
}

bool proxy_port_same(const struct proxy_port *a, const struct proxy_port *b)
{
    return a->addr == b->addr && a->port == b->port && a->protocol == b->protocol;
}

bool proxy_endpoints_same(const struct proxy_port *a, const struct proxy_port *b)
{
    if (a->endpoint_count != b->endpoint_count) {
        return false;
    }
    for (size_t i = 0; i < a->endpoint_count; i++) {
        if (by_address(&a->endpoints[i], &b->endpoints[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool has_port(const struct proxy_plan *plan, const struct proxy_port *port)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (proxy_port_same(&plan->ports[i], port)) {
            return true;
        }
    }
    return false;
}

void proxy_plan(struct arena *a, const struct proxy_view *view, struct proxy_plan *ret)
{
    *ret = (struct proxy_plan){0};
    const yyjson_val *spec = json_get(view->service, "spec");
    const yyjson_val *ports = json_get(spec, "ports");
    struct proxy_port p = {0};
    if (span_eq(json_get_str(spec, "type"), SPAN("ExternalName")) ||
        !parse_ip(json_get_str(spec, "clusterIP"), &p.addr)) {
        return;
    }
    ret->ports = ARENA_ARRAY(a, struct proxy_port, json_len(ports) + 1);
    JSON_EACH(port, ports)
    {
        p.protocol = parse_protocol(json_get_str(port.val, "protocol"));
        if (p.protocol == 0 || !parse_port(json_get_int(port.val, "port", 0), &p.port) ||
            has_port(ret, &p)) {
            continue;
        }
        endpoint_list list = {0};
        struct span name = json_get_str(port.val, "name");
        collect(&list, view, name, p.protocol, READY);
        if (list.n == 0) {
            collect(&list, view, name, p.protocol, SERVING_WHILE_ENDING);
        }
        p.endpoint_count = sort_unique(&list);
        struct proxy_endpoint *copy = ARENA_ARRAY(a, struct proxy_endpoint, p.endpoint_count + 1);
        if (p.endpoint_count) {
            memcpy(copy, list.at, p.endpoint_count * sizeof *copy);
        }
        p.endpoints = copy;
        VEC_DONE(&list);
        assert(ret->count < json_len(ports));
        ret->ports[ret->count++] = p;
    }
    if (ret->count) {
        qsort(ret->ports, ret->count, sizeof *ret->ports, by_port);
    }
}
