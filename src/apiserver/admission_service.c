/* apiserver/admission_service.c: what a Service takes from the common stock, what it keeps over
 * updates that do not speak of it, what it lets go when its type changes; and Warnings for what is
 * stored without being acted upon. */
#include "apiserver/admission.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "schema/kinds.h"
#include "watch/watch.h"

static struct span member(yyjson_mut_val *obj, const char *key)
{
    return json_mut_str(json_mut_get(obj, key));
}

static int64_t number(yyjson_mut_val *obj, const char *key)
{
    yyjson_mut_val *v = json_mut_get(obj, key);
    return yyjson_mut_is_int(v) ? yyjson_mut_get_sint(v) : 0;
}

static bool has_cluster_ip(struct span type)
{
    return !span_eq(type, SPAN("ExternalName"));
}

static bool has_node_ports(struct span type)
{
    return span_eq(type, SPAN("NodePort")) || span_eq(type, SPAN("LoadBalancer"));
}

static int refused(struct api_op *op, struct span field, struct span value, const char *why)
{
    schema_invalid(op->arena, &op->err, field, value, why);
    return schema_invalid_finish(op->arena, op->kind, op->name, &op->err);
}

/* ---- cluster addresses ---- */

static int ip_refused(struct api_op *op, struct span ip, const char *why)
{
    return refused(op, SPAN("spec.clusterIPs"), arena_printf(op->arena, "[\"%.*s\"]", SPAN_ARG(ip)),
                   arena_printf(op->arena, "failed to allocate IP %.*s: %s", SPAN_ARG(ip), why).p);
}

static int claim_ip(struct api_op *op, struct span text, struct span *ret)
{
    struct ip_alloc *ips = &op->server->services.ips;
    uint32_t ip = 0;
    assert(op->claimed.ip == 0);
    *ret = text;
    if (text.n == 0) {
        op->claimed.ip = ip_alloc_next(ips);
        if (!op->claimed.ip) {
            return api_op_err(op, ERR_INTERNAL,
                              "Internal error occurred: failed to allocate a serviceIP: range is "
                              "full");
        }
        *ret = ip_text(op->arena, op->claimed.ip);
        return 0;
    }
    if (!ip_parse(text, &ip)) {
        return 0; /* validation says what is wrong with it */
    }
    if (!ip_alloc_contains(ips, ip)) {
        return ip_refused(
            op, text,
            arena_printf(op->arena,
                         "the provided IP (%.*s) is not in the valid range. The range of valid IPs "
                         "is %.*s",
                         SPAN_ARG(text), SPAN_ARG(op->server->options.service_cidr))
                .p);
    }
    if (!ip_alloc_claim(ips, ip)) {
        return ip_refused(op, text, "provided IP is already allocated");
    }
    op->claimed.ip = ip;
    return 0;
}

static void set_strings(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, struct span only)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    yyjson_mut_arr_append(list, json_new_str(doc, only));
    json_put(doc, obj, key, list);
}

static int give_cluster_ip(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *spec)
{
    struct span ip = member(spec, "clusterIP");
    if (ip.n == 0) {
        ip = json_mut_str(yyjson_mut_arr_get_first(json_mut_get(spec, "clusterIPs")));
    }
    if (!span_eq(ip, SPAN("None")) && claim_ip(op, ip, &ip)) {
        return -1;
    }
    json_put_str(doc, spec, "clusterIP", ip);
    if (!json_mut_get(spec, "clusterIPs")) {
        set_strings(doc, spec, "clusterIPs", ip);
    }
    return 0;
}

/* One family is all there is. */
static int check_families(struct api_op *op, yyjson_mut_val *spec)
{
    size_t i, n;
    yyjson_mut_val *family;
    yyjson_mut_arr_foreach(json_mut_get(spec, "ipFamilies"), i, n, family)
    {
        if (span_eq(json_mut_str(family), SPAN("IPv6"))) {
            return refused(op, arena_printf(op->arena, "spec.ipFamilies[%zu]", i), SPAN("\"IPv6\""),
                           "not configured on this cluster");
        }
    }
    if (span_eq(member(spec, "ipFamilyPolicy"), SPAN("RequireDualStack"))) {
        return refused(op, SPAN("spec.ipFamilyPolicy"), SPAN("\"RequireDualStack\""),
                       "this cluster is not configured for dual-stack services");
    }
    return 0;
}

/* ---- node ports ---- */

static struct span port_field(struct api_op *op, size_t i)
{
    return arena_printf(op->arena, "spec.ports[%zu].nodePort", i);
}

static int claim_node_port(struct api_op *op, size_t i, int64_t port)
{
    const char *why = NULL;
    if (port < NODE_PORT_FIRST || port > NODE_PORT_LAST) {
        why = arena_printf(op->arena,
                           "provided port is not in the valid range. The range of valid ports is "
                           "%d-%d",
                           NODE_PORT_FIRST, NODE_PORT_LAST)
                  .p;
    } else if (!port_alloc_claim(&op->server->services.ports, (uint32_t)port)) {
        why = "provided port is already allocated";
    }
    if (why) {
        return refused(op, port_field(op, i), arena_printf(op->arena, "%lld", (long long)port),
                       why);
    }
    service_claims_add_port(op->arena, &op->claimed, (uint32_t)port);
    return 0;
}

static bool is_claimed(const struct api_op *op, int64_t port)
{
    for (size_t i = 0; i < op->claimed.port_count; i++) {
        if (op->claimed.ports[i] == port) {
            return true;
        }
    }
    return false;
}

static bool old_has(const yyjson_val *old, int64_t port)
{
    JSON_EACH(it, json_path(old, "spec", "ports", NULL))
    {
        if (json_get_int(it.val, "nodePort", 0) == port) {
            return true;
        }
    }
    return false;
}

static bool new_has(yyjson_mut_val *ports, int64_t port)
{
    size_t i, n;
    yyjson_mut_val *p;
    yyjson_mut_arr_foreach(ports, i, n, p)
    {
        if (number(p, "nodePort") == port) {
            return true;
        }
    }
    return false;
}

/* A port of the same number and another protocol may share the node port: the one that a sibling
 * has or asks for; 0: none. */
static int64_t sibling(yyjson_mut_val *ports, yyjson_mut_val *mine)
{
    size_t i, n;
    yyjson_mut_val *p;
    yyjson_mut_arr_foreach(ports, i, n, p)
    {
        if (p != mine && number(p, "port") == number(mine, "port") && number(p, "nodePort") &&
            !span_eq(member(p, "protocol"), member(mine, "protocol"))) {
            return number(p, "nodePort");
        }
    }
    return 0;
}

/* Every port gets its number: asked for, shared with a sibling, or the next free one. What the old
 * object (or NULL) has is its own already. */
static int give_node_ports(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *spec,
                           const yyjson_val *old)
{
    yyjson_mut_val *ports = json_mut_get(spec, "ports"), *port,
                   *wish = json_mut_get(spec, "allocateLoadBalancerNodePorts");
    bool choose = !yyjson_mut_is_false(wish) || span_eq(member(spec, "type"), SPAN("NodePort"));
    size_t i, n;
    yyjson_mut_arr_foreach(ports, i, n, port)
    {
        int64_t wanted = number(port, "nodePort");
        if (wanted && !is_claimed(op, wanted) && !(old && old_has(old, wanted)) &&
            claim_node_port(op, i, wanted)) {
            return -1;
        }
    }
    yyjson_mut_arr_foreach(ports, i, n, port)
    {
        if (!choose || number(port, "nodePort")) {
            continue;
        }
        int64_t given = sibling(ports, port);
        if (!given) {
            given = port_alloc_next(&op->server->services.ports);
            if (!given) {
                return api_op_err(op, ERR_INTERNAL,
                                  "Internal error occurred: failed to allocate a nodePort: range "
                                  "is full");
            }
            service_claims_add_port(op->arena, &op->claimed, (uint32_t)given);
        }
        json_put_int(doc, port, "nodePort", given);
    }
    return 0;
}

/* ---- over an update ---- */

/* The client may leave out what the server has chosen: by name, a port keeps its node port, unless
 * another port has it now. */
static void keep_node_ports(yyjson_mut_doc *doc, yyjson_mut_val *ports, const yyjson_val *old)
{
    size_t i, n;
    yyjson_mut_val *port;
    yyjson_mut_arr_foreach(ports, i, n, port)
    {
        JSON_EACH(it, json_path(old, "spec", "ports", NULL))
        {
            int64_t was = json_get_int(it.val, "nodePort", 0);
            if (number(port, "nodePort") == 0 && was && !new_has(ports, was) &&
                span_eq(json_get_str(it.val, "name"), member(port, "name"))) {
                json_put_int(doc, port, "nodePort", was);
            }
        }
    }
}

/* A type without node ports drops them, unless the client asks for one that is new: validation has
 * a word for that. */
static void drop_node_ports(yyjson_mut_val *ports, const yyjson_val *old)
{
    size_t i, n;
    yyjson_mut_val *port;
    yyjson_mut_arr_foreach(ports, i, n, port)
    {
        if (number(port, "nodePort") && !old_has(old, number(port, "nodePort"))) {
            return;
        }
    }
    yyjson_mut_arr_foreach(ports, i, n, port)
    {
        json_remove(port, "nodePort");
    }
}

/* The member goes when the client has not changed it. */
static void drop_unchanged(yyjson_mut_doc *doc, yyjson_mut_val *spec, const yyjson_val *old,
                           const char *key)
{
    const yyjson_val *was = json_path(old, "spec", key, NULL);
    if (was && json_mut_equal(json_mut_copy(doc, was), json_mut_get(spec, key))) {
        json_remove(spec, key);
    }
}

/* What belongs to the type that the Service had. */
static void drop_of_type(yyjson_mut_doc *doc, yyjson_mut_val *spec, const yyjson_val *old,
                         struct span was, struct span now)
{
    if (has_node_ports(was) && !has_node_ports(now)) {
        drop_node_ports(json_mut_get(spec, "ports"), old);
        if (!yyjson_mut_arr_size(json_mut_get(spec, "externalIPs"))) {
            drop_unchanged(doc, spec, old, "externalTrafficPolicy");
        }
    }
    if (span_eq(was, SPAN("LoadBalancer")) && !span_eq(now, SPAN("LoadBalancer"))) {
        drop_unchanged(doc, spec, old, "allocateLoadBalancerNodePorts");
        drop_unchanged(doc, spec, old, "loadBalancerClass");
        drop_unchanged(doc, spec, old, "healthCheckNodePort");
    }
    if (has_cluster_ip(was) && !has_cluster_ip(now)) {
        static const char *const keys[] = {"clusterIP", "clusterIPs", "ipFamilies",
                                           "ipFamilyPolicy"};
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            drop_unchanged(doc, spec, old, keys[i]);
        }
    }
}

static int keep_cluster_ip(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *spec,
                           const yyjson_val *old, struct span was)
{
    struct span ip = member(spec, "clusterIP");
    if (ip.n && !span_eq(ip, was)) {
        return refused(op, SPAN("spec.clusterIPs[0]"),
                       arena_printf(op->arena, "[\"%.*s\"]", SPAN_ARG(ip)),
                       "may not change once set");
    }
    json_put_str(doc, spec, "clusterIP", was);
    static const char *const kept[] = {"clusterIPs", "ipFamilies", "ipFamilyPolicy"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        const yyjson_val *v = json_path(old, "spec", kept[i], NULL);
        if (v && !json_mut_get(spec, kept[i])) {
            json_put(doc, spec, kept[i], json_mut_copy(doc, v));
        }
    }
    return 0;
}

/* What the new object no longer has goes back when it is stored. */
static void note_released(struct api_op *op, yyjson_mut_val *spec, const yyjson_val *old)
{
    uint32_t ip = 0;
    if (!json_mut_get(spec, "clusterIP") &&
        ip_parse(json_str(json_path(old, "spec", "clusterIP", NULL)), &ip)) {
        op->released.ip = ip;
    }
    JSON_EACH(it, json_path(old, "spec", "ports", NULL))
    {
        int64_t port = json_get_int(it.val, "nodePort", 0);
        if (port >= NODE_PORT_FIRST && port <= NODE_PORT_LAST &&
            !new_has(json_mut_get(spec, "ports"), port)) {
            service_claims_add_port(op->arena, &op->released, (uint32_t)port);
        }
    }
}

/* ---- warnings ---- */

static void warn_not_carried(struct api_op *op, yyjson_mut_val *spec)
{
    struct span type = member(spec, "type");
    bool headless = span_eq(member(spec, "clusterIP"), SPAN("None"));
    if (span_eq(type, SPAN("LoadBalancer"))) {
        api_op_warn(op,
                    SPAN("spec.type: LoadBalancer: this server has no load balancer of its own: "
                         "the service is reached by its node ports, and its external address "
                         "stays pending until somebody writes status.loadBalancer"));
    }
    if (headless && span_eq(member(spec, "sessionAffinity"), SPAN("ClientIP"))) {
        api_op_warn(op, SPAN("spec.sessionAffinity: a headless service leads nowhere by itself: "
                             "its clients choose a pod"));
    }
    if (headless && yyjson_mut_arr_size(json_mut_get(spec, "externalIPs"))) {
        api_op_warn(op, SPAN("spec.externalIPs is ignored when spec.clusterIP is \"None\""));
    }
    if (yyjson_mut_arr_size(json_mut_get(spec, "loadBalancerSourceRanges"))) {
        api_op_warn(op, SPAN("spec.loadBalancerSourceRanges: this server lets every source in"));
    }
    if (number(spec, "healthCheckNodePort")) {
        api_op_warn(op, SPAN("spec.healthCheckNodePort: this server does not answer there"));
    }
    size_t i, n;
    yyjson_mut_val *port;
    yyjson_mut_arr_foreach(json_mut_get(spec, "ports"), i, n, port)
    {
        if (span_eq(member(port, "protocol"), SPAN("SCTP"))) {
            api_op_warn(op, SPAN("spec.ports: this server does not carry SCTP"));
            break;
        }
    }
}

/* ---- admission ---- */

static int give(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *spec, const yyjson_val *old,
                struct span was_ip)
{
    struct span type = member(spec, "type");
    if (has_cluster_ip(type)) {
        if (check_families(op, spec) || (was_ip.n ? keep_cluster_ip(op, doc, spec, old, was_ip)
                                                  : give_cluster_ip(op, doc, spec))) {
            return -1;
        }
    }
    if (has_node_ports(type) && !span_eq(member(spec, "clusterIP"), SPAN("None")) &&
        give_node_ports(op, doc, spec, old)) {
        return -1;
    }
    warn_not_carried(op, spec);
    return 0;
}

int admission_service_create(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    assert(doc);
    assert(obj);
    assert(op->kind == SCHEMA_KIND(Service));
    service_claims_release(&op->server->services, &op->claimed); /* of an attempt before */
    yyjson_mut_val *spec = json_mut_obj(doc, obj, "spec");
    return spec ? give(op, doc, spec, NULL, SPAN_NULL) : 0;
}

int admission_service_update(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                             const yyjson_val *old)
{
    assert(doc);
    assert(old);
    assert(op->kind == SCHEMA_KIND(Service));
    service_claims_release(&op->server->services, &op->claimed);
    op->released = (struct service_claims){0};
    yyjson_mut_val *spec = json_mut_obj(doc, obj, "spec");
    if (!spec) {
        return 0;
    }
    struct span was = json_str(json_path(old, "spec", "type", NULL)), now = member(spec, "type");
    drop_of_type(doc, spec, old, was, now);
    if (has_node_ports(was) && has_node_ports(now)) {
        keep_node_ports(doc, json_mut_get(spec, "ports"), old);
    }
    if (give(op, doc, spec, old, json_str(json_path(old, "spec", "clusterIP", NULL)))) {
        return -1;
    }
    note_released(op, spec, old);
    return 0;
}

static bool claim_one(void *data, struct object *o)
{
    service_stock_take(data, object_root(o));
    return true;
}

void admission_claim_existing(struct apiserver *s)
{
    assert(s->hub);
    struct watch_filter services = {.resource = SPAN("services")};
    (void)watch_hub_list(s->hub, &services, SPAN_NULL, claim_one, &s->services);
}
