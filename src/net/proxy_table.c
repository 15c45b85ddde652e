#include "net/proxy_table.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "os/os_conntrack.h"
#include "os/os_ns.h"

struct slot {
    struct os_nft_service_key key; /* the map's key: no padding inside, see slot_key() */
    char text[8];
    struct os_nft_service in;       /* what the table has; hash 0: nothing */
    const void *owner;              /* NULL: nobody */
    const struct proxy_port *wants; /* the owner's, between claim and put */
    bool contested, touched;
};

struct proxy_table {
    struct os_nft_service_table kernel;
    struct map slots;
    VEC(struct slot *) touched;
    bool fresh; /* the next transaction makes the table anew */
    struct os_nft_batch *batch;
    /* UDP: what may be answered by whom after the transaction; endpoints by their place in the list
     * until it is complete. */
    VEC(struct os_conntrack_way) ways;
    VEC(struct os_nft_endpoint) way_endpoints;
    bool opens_loopback;
    int stale_code;
};

struct proxy_table *proxy_table_new(const struct os_nft_service_table *table)
{
    assert(table->bridge);
    struct proxy_table *t = MEM_NEW(struct proxy_table);
    t->kernel = *table;
    t->batch = os_nft_batch_new();
    return t;
}

const char *proxy_table_name(const struct proxy_table *t)
{
    assert(t);
    return t->kernel.table;
}

int proxy_table_stale_code(const struct proxy_table *t)
{
    assert(t);
    return t->stale_code;
}

/* ---- slots ---- */

static struct span key_text(struct os_nft_service_key k, char text[8])
{
    memcpy(text, &k.addr, 4);
    memcpy(text + 4, &k.port, 2);
    text[6] = (char)k.protocol;
    text[7] = (char)k.host;
    return span_of(text, 8);
}

static struct slot *slot_of(struct proxy_table *t, struct os_nft_service_key key, bool make)
{
    char text[8];
    struct slot *s = map_get(&t->slots, key_text(key, text));
    if (!s && make) {
        s = MEM_NEW(struct slot);
        s->key = key;
        (void)map_put(&t->slots, key_text(key, s->text), s);
    }
    return s;
}

static void touch(struct proxy_table *t, struct slot *s)
{
    if (!s->touched) {
        s->touched = true;
        VEC_PUSH(&t->touched, s);
    }
}

static struct os_nft_service_key key_of(const struct proxy_port *port)
{
    return (struct os_nft_service_key){port->addr, port->port, port->protocol, port->host};
}

/* A port without endpoints needs no chain: what is bound for the service range is refused without
 * one, and a node port is the node's own. An external address may be anybody's, so its chain leads
 * to the first address of the service range, which no Service has: there it is refused. */
static bool has_chain(const struct proxy_port *port)
{
    return port->endpoint_count > 0 || (port->outside && port->addr);
}

/* The port is in the plan and has a chain. */
static bool leads(const struct proxy_plan *plan, const struct proxy_port *port)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (proxy_port_same(&plan->ports[i], port)) {
            return has_chain(&plan->ports[i]);
        }
    }
    return false;
}

bool proxy_table_release(struct proxy_table *t, const void *owner, const struct proxy_plan *was,
                         const struct proxy_plan *now)
{
    assert(owner);
    assert(was);
    bool wanted = false;
    for (size_t i = 0; i < was->count; i++) {
        struct slot *s = slot_of(t, key_of(&was->ports[i]), false);
        if (s && s->owner == owner && !leads(now, &was->ports[i])) {
            s->owner = NULL;
            wanted |= s->contested;
            s->contested = false;
            touch(t, s);
        }
    }
    return wanted;
}

void proxy_table_claim(struct proxy_table *t, const void *owner, const struct proxy_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct proxy_port *port = &plan->ports[i];
        if (!has_chain(port)) {
            continue;
        }
        struct slot *s = slot_of(t, key_of(port), true);
        if (s->owner && s->owner != owner) {
            s->contested = true;
            continue;
        }
        assert(!s->wants || s->owner == owner);
        s->owner = owner;
        s->wants = port;
        touch(t, s);
    }
}

/* ---- one transaction ---- */

static void note_way(struct proxy_table *t, const struct slot *s)
{
    if (s->key.protocol != PROXY_UDP) {
        return;
    }
    struct os_conntrack_way way = {.key = s->key};
    for (size_t i = 0; s->wants && i < s->wants->endpoint_count; i++) {
        const struct proxy_endpoint *e = &s->wants->endpoints[i];
        const struct os_nft_endpoint to = {e->addr, e->port};
        VEC_PUSH(&t->way_endpoints, to);
        way.to_count++;
    }
    VEC_PUSH(&t->ways, way);
}

static void point_ways(struct proxy_table *t)
{
    const struct os_nft_endpoint *at = t->way_endpoints.at;
    for (size_t i = 0; i < t->ways.n; i++) {
        t->ways.at[i].to = at;
        at += t->ways.at[i].to_count;
    }
    assert(at == t->way_endpoints.at + t->way_endpoints.n);
}

static void put_slot(struct proxy_table *t, struct slot *s)
{
    const struct proxy_port *port = s->wants;
    struct os_nft_endpoint to[PROXY_ENDPOINTS_MAX];
    _Static_assert((int)PROXY_ENDPOINTS_MAX <= (int)OS_NFT_ENDPOINTS_MAX, "the table takes them");
    assert(has_chain(port));
    assert(port->endpoint_count <= PROXY_ENDPOINTS_MAX);
    to[0] = (struct os_nft_endpoint){t->kernel.services, port->port};
    for (size_t k = 0; k < port->endpoint_count; k++) {
        to[k] = (struct os_nft_endpoint){port->endpoints[k].addr, port->endpoints[k].port};
    }
    assert(s->owner);
    assert(s->touched);
    struct os_nft_service now = {.key = s->key,
                                 .hash = proxy_port_hash(port),
                                 .affinity_s = port->affinity_s,
                                 .outside = port->outside};
    os_nft_service_set(t->batch, t->kernel.table, &now, s->in.hash ? &s->in : NULL, to,
                       port->endpoint_count ? port->endpoint_count : 1);
    s->in = now;
}

static void slot_settle(struct proxy_table *t, struct slot *s)
{
    s->touched = false;
    s->wants = NULL;
    if (!s->owner) {
        assert(s->in.hash == 0);
        (void)map_remove(&t->slots, span_of(s->text, sizeof s->text));
        free(s);
    }
}

bool proxy_table_put(struct proxy_table *t)
{
    size_t n = 0;
    t->ways.n = t->way_endpoints.n = 0;
    t->opens_loopback = t->fresh;
    if (t->fresh) {
        os_nft_service_reset(t->batch, &t->kernel);
        t->fresh = false;
        n++;
    }
    for (size_t i = 0; i < t->touched.n; i++) {
        struct slot *s = t->touched.at[i];
        if (!s->owner && s->in.hash) {
            os_nft_service_remove(t->batch, t->kernel.table, &s->in);
            s->in = (struct os_nft_service){0};
            note_way(t, s);
            n++;
        }
    }
    for (size_t i = 0; i < t->touched.n; i++) {
        struct slot *s = t->touched.at[i];
        if (s->wants && s->in.hash != proxy_port_hash(s->wants)) {
            put_slot(t, s);
            note_way(t, s);
            n++;
        }
    }
    for (size_t i = 0; i < t->touched.n; i++) {
        slot_settle(t, t->touched.at[i]);
    }
    t->touched.n = 0;
    point_ways(t);
    return n > 0;
}

/* ---- the kernel ---- */

static void forget(struct proxy_table *t)
{
    size_t it = 0;
    struct slot *s;
    while ((s = map_next(&t->slots, &it, NULL))) {
        s->in = (struct os_nft_service){0};
        touch(t, s);
    }
}

int proxy_table_read(struct proxy_table *t)
{
    struct os_nft_service *found = NULL;
    size_t n = 0;
    int code = os_nft_service_read(&t->kernel, &found, &n);
    if (code < 0 && code != -ENOENT) {
        return code;
    }
    t->fresh = code == -ENOENT;
    forget(t);
    for (size_t i = 0; i < n; i++) {
        struct slot *s = slot_of(t, found[i].key, true);
        s->in = found[i];
        touch(t, s);
    }
    free(found);
    return 0;
}

int proxy_table_commit(struct proxy_table *t)
{
    int code = os_nft_commit(t->batch);
    if (code == 0 && t->opens_loopback) {
        /* Node ports answer on 127.0.0.1 too: its packets may go to the bridge. The table keeps
         * pods from going the other way. */
        char name[64];
        int n = snprintf(name, sizeof name, "net/ipv4/conf/%s/route_localnet", t->kernel.bridge);
        (void)os_sysctl_write(span_of(name, (size_t)n), SPAN("1"));
    }
    t->stale_code = code < 0 ? 0 : os_conntrack_forget(t->ways.at, t->ways.n);
    return code;
}
