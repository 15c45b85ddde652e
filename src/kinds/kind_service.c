/* kinds/kind_service.c: services. */
#include "base/strbuf.h"
#include "codec/names.h"
#include "kinds/kind.h"

/* ---- defaults ---- */

static void port_defaults(yyjson_mut_doc *doc, yyjson_mut_val *ports)
{
    size_t i, n;
    yyjson_mut_val *port;
    yyjson_mut_arr_foreach(ports, i, n, port)
    {
        yyjson_mut_val *target = json_mut_get(port, "targetPort");
        bool unset = !target || (yyjson_mut_is_int(target) && yyjson_mut_get_int(target) == 0) ||
                     (yyjson_mut_is_str(target) && yyjson_mut_get_len(target) == 0);
        if (unset) {
            json_put_int(doc, port, "targetPort", yyjson_mut_get_sint(json_mut_get(port, "port")));
        }
    }
}

static void put_list_of_one(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
                            struct span text)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    yyjson_mut_arr_append(list, yyjson_mut_strncpy(doc, text.p, text.n));
    json_put(doc, obj, key, list);
}

/* clusterIP and the first of clusterIPs say the same. */
static void address_defaults(yyjson_mut_doc *doc, yyjson_mut_val *spec)
{
    struct span ip = json_mut_str(json_mut_get(spec, "clusterIP"));
    yyjson_mut_val *ips = json_mut_get(spec, "clusterIPs");
    struct span first = json_mut_str(yyjson_mut_arr_get_first(ips));
    if (ip.n && first.n == 0) {
        put_list_of_one(doc, spec, "clusterIPs", ip);
    } else if (ip.n == 0 && first.n) {
        json_put(doc, spec, "clusterIP", yyjson_mut_strncpy(doc, first.p, first.n));
    }
    if (yyjson_mut_arr_size(json_mut_get(spec, "ipFamilies")) == 0) {
        put_list_of_one(doc, spec, "ipFamilies", SPAN("IPv4"));
    }
    if (json_mut_str(json_mut_get(spec, "ipFamilyPolicy")).n == 0) {
        json_put_str(doc, spec, "ipFamilyPolicy", SPAN("SingleStack"));
    }
}

static bool is_reached_from_outside(yyjson_mut_val *spec, struct span type)
{
    return span_eq(type, SPAN("LoadBalancer")) || span_eq(type, SPAN("NodePort")) ||
           (!span_eq(type, SPAN("ExternalName")) &&
            yyjson_mut_arr_size(json_mut_get(spec, "externalIPs")));
}

static void defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec");
    struct span type = json_mut_str(json_mut_get(spec, "type"));
    bool external = span_eq(type, SPAN("ExternalName"));
    bool balanced = span_eq(type, SPAN("LoadBalancer"));
    port_defaults(doc, json_mut_get(spec, "ports"));
    if (span_eq(json_mut_str(json_mut_get(spec, "sessionAffinity")), SPAN("ClientIP"))) {
        yyjson_mut_val *config = json_mut_obj(doc, spec, "sessionAffinityConfig");
        yyjson_mut_val *client = json_mut_obj(doc, config, "clientIP");
        if (!json_mut_get(client, "timeoutSeconds")) {
            json_put_int(doc, client, "timeoutSeconds", 10800);
        }
    } else {
        json_remove(spec, "sessionAffinityConfig");
    }
    if (is_reached_from_outside(spec, type) &&
        json_mut_str(json_mut_get(spec, "externalTrafficPolicy")).n == 0) {
        json_put_str(doc, spec, "externalTrafficPolicy", SPAN("Cluster"));
    }
    if (!external && json_mut_str(json_mut_get(spec, "internalTrafficPolicy")).n == 0) {
        json_put_str(doc, spec, "internalTrafficPolicy", SPAN("Cluster"));
    }
    if (balanced && !json_mut_get(spec, "allocateLoadBalancerNodePorts")) {
        json_put_bool(doc, spec, "allocateLoadBalancerNodePorts", true);
    }
    if (!external) {
        address_defaults(doc, spec);
    }
}

/* ---- validation ---- */

/* Earlier port with the same member, if set, and the same protocol, unless it is the name. */
static bool repeats(const yyjson_val *ports, size_t i, const char *key)
{
    const yyjson_val *mine = yyjson_arr_get((yyjson_val *)ports, i);
    size_t k = 0;
    JSON_EACH(it, ports)
    {
        if (k++ == i) {
            return false;
        }
        const yyjson_val *a = json_get(mine, key), *b = json_get(it.val, key);
        if (yyjson_is_str((yyjson_val *)(uintptr_t)a)
                ? json_str(a).n && span_eq(json_str(a), json_str(b))
                : json_int(a, 0) && json_int(a, 0) == json_int(b, 0) &&
                      span_eq(json_get_str(mine, "protocol"), json_get_str(it.val, "protocol"))) {
            return true;
        }
    }
    return false;
}

static void check_ports(struct check *c, const struct path *p, const yyjson_val *ports,
                        struct span type, bool headless)
{
    size_t i = 0, n = json_len(ports);
    bool on_nodes = span_eq(type, SPAN("NodePort")) || span_eq(type, SPAN("LoadBalancer"));
    JSON_EACH(it, ports)
    {
        const struct path *here = AT_INDEX(p, i);
        if (n > 1 && json_get_str(it.val, "name").n == 0) {
            cause_required(c, AT_FIELD(here, "name"), NULL);
        } else if (repeats(ports, i, "name")) {
            cause_duplicate(c, AT_FIELD(here, "name"), shown(c->a, json_get(it.val, "name")));
        }
        const yyjson_val *target = json_get(it.val, "targetPort");
        if (target && !headless) {
            check_port(c, AT_FIELD(here, "targetPort"), target);
        }
        if (json_get_int(it.val, "nodePort", 0) && !on_nodes) {
            cause_forbidden(
                c, AT_FIELD(here, "nodePort"),
                arena_printf(c->a, "may not be used when `type` is '%.*s'", SPAN_ARG(type)).p);
        }
        i++;
    }
    for (i = 0; i < n; i++) {
        yyjson_val *port = yyjson_arr_get((yyjson_val *)(uintptr_t)ports, i);
        if (repeats(ports, i, "port")) {
            cause_duplicate(c, AT_INDEX(p, i), shown(c->a, port));
        }
        if (repeats(ports, i, "nodePort")) {
            cause_duplicate(c, AT_FIELD(AT_INDEX(p, i), "nodePort"),
                            shown(c->a, json_get(port, "nodePort")));
        }
    }
}

static void check_address(struct check *c, const struct path *p, const yyjson_val *spec,
                          struct span type)
{
    struct span ip = json_get_str(spec, "clusterIP");
    const struct path *here = AT_INDEX(AT_FIELD(p, "clusterIPs"), 0);
    bool none = span_eq(ip, SPAN("None"));
    if (span_eq(type, SPAN("ExternalName"))) {
        if (ip.n || json_len(json_get(spec, "clusterIPs"))) {
            cause_forbidden(c, AT_FIELD(p, "clusterIPs"),
                            "may not be set for ExternalName services");
        }
    } else if (none && !span_eq(type, SPAN("ClusterIP"))) {
        cause_invalid(
            c, here, SPAN("\"None\""),
            arena_printf(c->a, "may not be set to 'None' for %.*s services", SPAN_ARG(type)).p);
    } else if (ip.n && !none && !names_is_ip(ip)) {
        cause_invalid(c, here, shown_text(c->a, ip),
                      "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    }
}

static void check_external_name(struct check *c, const struct path *p, const yyjson_val *spec)
{
    const yyjson_val *name = json_get(spec, "externalName");
    struct span s = json_str(name);
    if (s.n == 0) {
        cause_required(c, AT_FIELD(p, "externalName"), NULL);
        return;
    }
    struct span plain = span_ends(s, SPAN(".")) ? span_first(s, s.n - 1) : s;
    struct names_fault fault = names_dns_subdomain(plain);
    for (size_t i = 0; i < fault.n; i++) {
        cause_invalid(c, AT_FIELD(p, "externalName"), shown(c->a, name), fault.text[i]);
    }
}

static void check_update(struct check *c, const struct path *p, const yyjson_val *spec,
                         const yyjson_val *old)
{
    struct span now = json_get_str(spec, "clusterIP"), was = json_get_str(old, "clusterIP");
    bool external = span_eq(json_get_str(spec, "type"), SPAN("ExternalName")) ||
                    span_eq(json_get_str(old, "type"), SPAN("ExternalName"));
    if (!external && was.n && !span_eq(now, was)) {
        const yyjson_val *list = json_get(spec, "clusterIPs");
        cause_invalid(c, AT_INDEX(AT_FIELD(p, "clusterIPs"), 0),
                      list ? shown(c->a, list) : shown_text(c->a, now), "may not change once set");
    }
}

static void check_external_ips(struct check *c, const struct path *p, const yyjson_val *list)
{
    size_t i = 0;
    JSON_EACH(it, list)
    {
        const struct path *here = AT_INDEX(p, i++);
        format_check(c, here, "ip", it.val);
        check_ordinary_ip(c, here, it.val);
    }
}

static void check_policies(struct check *c, const struct path *p, const yyjson_val *spec,
                           struct span type)
{
    bool outside = span_eq(type, SPAN("NodePort")) || span_eq(type, SPAN("LoadBalancer")) ||
                   (span_eq(type, SPAN("ClusterIP")) && json_len(json_get(spec, "externalIPs")));
    struct span external = json_get_str(spec, "externalTrafficPolicy");
    if (external.n && !outside) {
        cause_invalid(c, AT_FIELD(p, "externalTrafficPolicy"), shown_text(c->a, external),
                      "may only be set for externally-accessible services");
    }
    const yyjson_val *health = json_get(spec, "healthCheckNodePort");
    if (json_int(health, 0) &&
        !(span_eq(type, SPAN("LoadBalancer")) && span_eq(external, SPAN("Local")))) {
        cause_invalid(c, AT_FIELD(p, "healthCheckNodePort"), shown(c->a, health),
                      "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` "
                      "is 'Local'");
    }
    if (json_get(spec, "allocateLoadBalancerNodePorts") && !span_eq(type, SPAN("LoadBalancer"))) {
        cause_forbidden(c, AT_FIELD(p, "allocateLoadBalancerNodePorts"),
                        "may only be used when `type` is 'LoadBalancer'");
    }
    if (json_get(spec, "loadBalancerClass") && !span_eq(type, SPAN("LoadBalancer"))) {
        cause_forbidden(c, AT_FIELD(p, "loadBalancerClass"),
                        "may only be used when `type` is 'LoadBalancer'");
    }
}

static void validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    const struct path *p = AT_FIELD(NULL, "spec");
    struct span type = json_get_str(spec, "type");
    bool external = span_eq(type, SPAN("ExternalName"));
    bool headless = span_eq(json_get_str(spec, "clusterIP"), SPAN("None"));
    if (json_len(json_get(spec, "ports")) == 0 && !headless && !external) {
        cause_required(c, AT_FIELD(p, "ports"), NULL);
    }
    check_ports(c, AT_FIELD(p, "ports"), json_get(spec, "ports"), type, headless);
    check_labels(c, AT_FIELD(p, "selector"), json_get(spec, "selector"));
    check_address(c, p, spec, type);
    check_external_ips(c, AT_FIELD(p, "externalIPs"), json_get(spec, "externalIPs"));
    check_policies(c, p, spec, type);
    if (external) {
        check_external_name(c, p, spec);
    }
    if (c->old) {
        check_update(c, p, spec, json_get(c->old, "spec"));
    }
}

/* ---- table ---- */

static struct span external_text(struct arena *a, const yyjson_val *obj, struct span type)
{
    const yyjson_val *spec = json_get(obj, "spec");
    struct span ips = joined(a, json_get(spec, "externalIPs"), NULL);
    if (span_eq(type, SPAN("ExternalName"))) {
        return json_get_str(spec, "externalName");
    }
    if (!span_eq(type, SPAN("LoadBalancer"))) {
        return ips;
    }
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    JSON_EACH(it, json_path(obj, "status", "loadBalancer", "ingress", NULL))
    {
        struct span one = json_get_str(it.val, "ip");
        strbuf_puts(&b, b.n ? "," : "");
        strbuf_put(&b, one.n ? one : json_get_str(it.val, "hostname"));
    }
    if (ips.n) {
        strbuf_puts(&b, b.n ? "," : "");
        strbuf_put(&b, ips);
    }
    return b.n ? arena_dup(a, strbuf_span(&b)) : SPAN("<pending>");
}

static struct span ports_text(struct arena *a, const yyjson_val *ports)
{
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    JSON_EACH(it, ports)
    {
        int64_t node = json_get_int(it.val, "nodePort", 0);
        struct span protocol = json_get_str(it.val, "protocol");
        strbuf_printf(&b, "%s%lld", b.n ? "," : "", (long long)json_get_int(it.val, "port", 0));
        if (node) {
            strbuf_printf(&b, ":%lld", (long long)node);
        }
        strbuf_printf(&b, "/%.*s", SPAN_ARG(protocol));
    }
    return arena_dup(a, strbuf_span(&b));
}

static int by_key(const void *x, const void *y)
{
    const struct json_iter *a = x, *b = y;
    return span_cmp(json_str(a->key), json_str(b->key));
}

/* "a=b,c=d" in order of the keys. */
static struct span labels_text(struct arena *a, const yyjson_val *labels)
{
    size_t n = 0;
    struct json_iter *sorted = ARENA_ARRAY(a, struct json_iter, json_len(labels) + 1);
    JSON_EACH(it, labels)
    {
        sorted[n++] = it;
    }
    qsort(sorted, n, sizeof *sorted, by_key);
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; i < n; i++) {
        struct span key = json_str(sorted[i].key), value = json_str(sorted[i].val);
        strbuf_printf(&b, "%s%.*s=%.*s", i ? "," : "", SPAN_ARG(key), SPAN_ARG(value));
    }
    return arena_dup(a, strbuf_span(&b));
}

static void row(struct row *r)
{
    const yyjson_val *spec = json_get(r->obj, "spec");
    struct span type = json_get_str(spec, "type");
    cell_name(r);
    cell(r, type);
    cell_or_none(r, json_get_str(spec, "clusterIP"));
    cell_or_none(r, external_text(r->a, r->obj, type));
    cell_or_none(r, ports_text(r->a, json_get(spec, "ports")));
    cell_age(r);
    cell_or_none(r, labels_text(r->a, json_get(spec, "selector")));
}

static bool field(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret)
{
    static const char *const keys[] = {"spec.clusterIP", "spec.type", NULL};
    return kind_field(a, obj, key, keys, ret);
}

const struct schema_hooks schema_hooks_service = {
    .defaults = defaults, .validate = validate, .row = row, .field = field};
