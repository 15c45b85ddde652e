#include "apiserver/service_alloc.h"

#include "base/check.h"
#include "codec/json.h"

static bool in_range(uint32_t port)
{
    return port >= NODE_PORT_FIRST && port <= NODE_PORT_LAST;
}

bool port_alloc_claim(struct port_alloc *ports, uint32_t port)
{
    assert(in_range(port));
    uint32_t at = port - NODE_PORT_FIRST;
    if (ports->bits[at / 64] >> (at % 64) & 1) {
        return false;
    }
    ports->bits[at / 64] |= 1ull << (at % 64);
    return true;
}

uint32_t port_alloc_next(struct port_alloc *ports)
{
    enum { CHOSEN = NODE_PORT_COUNT - NODE_PORT_SPARED };
    for (uint32_t i = 0; i < NODE_PORT_COUNT; i++) {
        /* First once around those that are not spared, then the spared ones. */
        uint32_t at =
            i < CHOSEN ? NODE_PORT_SPARED + (ports->cursor + i) % CHOSEN : (uint32_t)(i - CHOSEN);
        if (port_alloc_claim(ports, NODE_PORT_FIRST + at)) {
            assert(at < NODE_PORT_COUNT);
            ports->cursor = i < CHOSEN ? (ports->cursor + i + 1) % CHOSEN : ports->cursor;
            return NODE_PORT_FIRST + at;
        }
    }
    return 0; /* all are taken */
}

/* Of a port outside the range: nothing. */
static void port_alloc_release(struct port_alloc *ports, uint32_t port)
{
    if (in_range(port)) {
        uint32_t at = port - NODE_PORT_FIRST;
        ports->bits[at / 64] &= ~(1ull << (at % 64));
    }
}

void service_claims_add_port(struct arena *a, struct service_claims *c, uint32_t port)
{
    assert(in_range(port));
    uint16_t *more = ARENA_ARRAY(a, uint16_t, c->port_count + 1);
    if (c->port_count) {
        memcpy(more, c->ports, c->port_count * sizeof *more);
    }
    more[c->port_count++] = (uint16_t)port;
    c->ports = more;
}

void service_claims_release(struct service_stock *stock, struct service_claims *c)
{
    ip_alloc_release(&stock->ips, c->ip);
    for (size_t i = 0; i < c->port_count; i++) {
        port_alloc_release(&stock->ports, c->ports[i]);
    }
    *c = (struct service_claims){0};
}

static uint32_t address_of(const yyjson_val *service)
{
    uint32_t ip = 0;
    return ip_parse(json_str(json_path(service, "spec", "clusterIP", NULL)), &ip) ? ip : 0;
}

static uint32_t node_port_of(const yyjson_val *port)
{
    int64_t n = json_get_int(port, "nodePort", 0);
    return n >= NODE_PORT_FIRST && n <= NODE_PORT_LAST ? (uint32_t)n : 0;
}

void service_stock_take(struct service_stock *stock, const yyjson_val *service)
{
    assert(service);
    (void)ip_alloc_claim(&stock->ips, address_of(service));
    JSON_EACH(port, json_path(service, "spec", "ports", NULL))
    {
        if (node_port_of(port.val)) {
            (void)port_alloc_claim(&stock->ports, node_port_of(port.val));
        }
    }
}

void service_stock_give_back(struct service_stock *stock, const yyjson_val *service)
{
    assert(service);
    ip_alloc_release(&stock->ips, address_of(service));
    JSON_EACH(port, json_path(service, "spec", "ports", NULL))
    {
        port_alloc_release(&stock->ports, node_port_of(port.val));
    }
}
