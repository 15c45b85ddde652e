/* controller/scheduler_usage.c: see scheduler_usage.h. */
#include "controller/scheduler_usage.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "client/client_body.h"
#include "codec/json.h"
#include "plan/schedule_request.h"

struct usage_book {
    struct map nodes;  /* struct usage by name */
    struct map placed; /* by uid */
};

/* What each node is said to have is what the pods there have. */
static void verify_usage(const struct usage_book *b)
{
    if (!verify_due(b->placed.n, b->placed.n + b->nodes.n)) {
        return;
    }
    int64_t pods = 0, cpu_milli = 0, memory_bytes = 0, more = 0;
    size_t it = 0;
    for (const struct usage *u; (u = map_next(&b->nodes, &it, NULL));) {
        pods += u->pods;
        cpu_milli += u->cpu_milli;
        memory_bytes += u->memory_bytes;
        for (size_t i = 0; i < u->more_count; i++) {
            more += u->more[i].units;
        }
    }
    it = 0;
    for (const struct placed *p; (p = map_next(&b->placed, &it, NULL));) {
        pods--;
        cpu_milli -= p->cpu_milli;
        memory_bytes -= p->memory_bytes;
        for (size_t i = 0; i < p->more_count; i++) {
            more -= p->more[i].units;
        }
        assert(map_get(&b->nodes, p->on->name) == p->on);
    }
    assert(pods == 0);
    assert(cpu_milli == 0);
    assert(memory_bytes == 0);
    assert(more == 0);
}

static struct usage *usage_made(struct usage_book *b, struct span node)
{
    struct usage *u = map_get(&b->nodes, node);
    if (!u) {
        u = mem_new(sizeof *u + node.n + 1);
        memcpy(u->text, node.n ? node.p : "", node.n);
        u->name = span_of(u->text, node.n);
        list_init(&u->with_ports);
        map_put(&b->nodes, u->name, u);
    }
    return u;
}

static void usage_free(void *value)
{
    struct usage *u = value;
    for (size_t i = 0; i < u->more_count; i++) {
        free(u->more[i].name);
    }
    free(u->more);
    free(u);
}

/* The node's place for that resource. */
static size_t more_at(struct usage *u, struct span resource)
{
    size_t at = u->more_count;
    for (size_t i = 0; i < u->more_count; i++) {
        const char *name = u->more[i].name;
        if (name && span_eq_cstr(resource, name)) {
            return i;
        }
        at = name ? at : i;
    }
    if (at == u->more_count) {
        u->more = mem_grow(u->more, ++u->more_count, sizeof *u->more);
    }
    u->more[at] = (struct usage_more){.name = mem_new(resource.n + 1)};
    memcpy(u->more[at].name, resource.p, resource.n);
    return at;
}

static void take_more(struct placed *p, const yyjson_val *spec)
{
    struct arena *a cleanup_arena = arena_new();
    const struct schedule_amount *list = NULL;
    p->more_count = schedule_more(a, spec, &list);
    p->more = mem_new((p->more_count + 1) * sizeof *p->more);
    for (size_t i = 0; i < p->more_count; i++) {
        size_t at = more_at(p->on, list[i].name);
        p->more[i] = (struct usage_share){at, list[i].units};
        p->on->more[at].units += list[i].units;
        p->on->more[at].pods++;
    }
}

static void leave_more(struct placed *p)
{
    for (size_t i = 0; i < p->more_count; i++) {
        struct usage_more *m = &p->on->more[p->more[i].at];
        assert(m->name);
        assert(m->pods > 0);
        m->units -= p->more[i].units;
        if (--m->pods == 0) {
            assert(m->units == 0);
            free(TAKE_PTR(m->name));
        }
    }
}

static void placed_free(void *value)
{
    struct placed *p = value;
    free(p->more);
    free(p->ports);
    free(p->who);
    free(p);
}

static void take_ports(struct placed *p, struct object *pod)
{
    const yyjson_val *spec = client_spec(pod);
    if (!host_port_wanted(spec)) {
        return;
    }
    struct arena *a cleanup_arena = arena_new();
    const struct host_port *ports = NULL;
    assert(!p->ports);
    assert(p->port_count == 0);
    p->port_count = host_ports(a, spec, &ports);
    p->ports = mem_new(p->port_count * sizeof *ports);
    memcpy(p->ports, ports, p->port_count * sizeof *ports);
    struct span who = object_place(pod);
    p->who = mem_new(who.n + 1);
    memcpy(p->who, who.p, who.n);
    list_push_back(&p->on->with_ports, &p->link);
}

void usage_put(struct usage_book *b, struct object *pod, struct span node)
{
    struct span uid = object_uid(pod);
    struct placed *p = mem_new(sizeof *p + uid.n + 1);
    p->on = usage_made(b, node);
    struct schedule_needs holds = schedule_holds(object_root(pod));
    p->cpu_milli = holds.cpu_milli;
    p->memory_bytes = holds.memory_bytes;
    p->uid_n = uid.n;
    memcpy(p->uid, uid.n ? uid.p : "", uid.n);
    p->on->cpu_milli += p->cpu_milli;
    p->on->memory_bytes += p->memory_bytes;
    p->on->pods++;
    if (holds.more) {
        take_more(p, client_spec(pod));
    }
    take_ports(p, pod);
    assert(p->on->pods > 0);
    assert(!map_get(&b->placed, uid));
    map_put(&b->placed, span_of(p->uid, p->uid_n), p);
    verify_usage(b);
}

bool usage_remove(struct usage_book *b, struct span uid)
{
    struct placed *p = map_remove(&b->placed, uid);
    if (!p) {
        return false;
    }
    p->on->cpu_milli -= p->cpu_milli;
    p->on->memory_bytes -= p->memory_bytes;
    p->on->pods--;
    assert(p->on->pods >= 0);
    leave_more(p);
    if (p->port_count) {
        list_remove(&p->link);
    }
    placed_free(p);
    return true;
}

const struct placed *usage_find(const struct usage_book *b, struct span uid)
{
    return map_get(&b->placed, uid);
}

const struct usage *usage_of(const struct usage_book *b, struct span node)
{
    assert(node.n > 0);
    return map_get(&b->nodes, node);
}

int64_t usage_units(const struct usage *u, struct span resource)
{
    assert(u);
    for (size_t i = 0; i < u->more_count; i++) {
        if (u->more[i].name && span_eq_cstr(resource, u->more[i].name)) {
            return u->more[i].units;
        }
    }
    return 0;
}

struct span usage_ports_taken(struct arena *a, const struct usage *u, const struct host_port *ports,
                              size_t count)
{
    assert(u);
    assert(ports || count == 0);
    if (count == 0) {
        return SPAN_NULL;
    }
    LIST_EACH(l, &u->with_ports)
    {
        const struct placed *p = CONTAINER_OF(l, struct placed, link);
        for (size_t i = 0; i < count; i++) {
            if (host_ports_clash(&ports[i], 1, p->ports, p->port_count)) {
                return arena_printf(a, "Pod %s has host port %u of node %.*s.", p->who,
                                    ports[i].port, SPAN_ARG(u->name));
            }
        }
    }
    return SPAN_NULL;
}

struct usage_book *usage_book_new(void)
{
    return MEM_NEW(struct usage_book);
}

void usage_book_free(struct usage_book *b)
{
    if (b) {
        map_done_values(&b->placed, placed_free);
        map_done_values(&b->nodes, usage_free);
        free(b);
    }
}
