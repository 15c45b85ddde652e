/* kinds/kind_network.c: network policies and ingresses. */
#include "kinds/kind.h"

static void netpol_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec");
    if (!spec || yyjson_mut_arr_size(json_mut_get(spec, "policyTypes")) > 0) {
        return;
    }
    yyjson_mut_val *types = yyjson_mut_arr(doc);
    (void)yyjson_mut_arr_append(types, yyjson_mut_str(doc, "Ingress"));
    if (yyjson_mut_arr_size(json_mut_get(spec, "egress")) > 0) {
        (void)yyjson_mut_arr_append(types, yyjson_mut_str(doc, "Egress"));
    }
    json_put(doc, spec, "policyTypes", types);
}

static void check_policy_port(struct check *c, const struct path *p, const yyjson_val *v)
{
    const yyjson_val *port = json_get(v, "port"), *end = json_get(v, "endPort");
    if (port) {
        check_port(c, AT_FIELD(p, "port"), port);
    }
    if (!end) {
        return;
    }
    if (!port) {
        cause_invalid(c, AT_FIELD(p, "endPort"), shown(c->a, end),
                      "may not be specified when `port` is not specified");
    } else if (yyjson_is_str((yyjson_val *)port)) {
        cause_invalid(c, AT_FIELD(p, "endPort"), shown(c->a, end),
                      "may not be specified when `port` is non-numeric");
    } else if (json_int(end, 0) < json_int(port, 0)) {
        cause_invalid(c, AT_FIELD(p, "endPort"), shown(c->a, end),
                      "must be greater than or equal to `port`");
    } else {
        check_port_number(c, AT_FIELD(p, "endPort"), json_int(end, 0));
    }
}

static void check_peer(struct check *c, const struct path *p, const yyjson_val *peer)
{
    static const char *const selectors[] = {"podSelector", "namespaceSelector"};
    const yyjson_val *block = json_get(peer, "ipBlock");
    size_t n = block != NULL;
    for (size_t i = 0; i < 2; i++) {
        const yyjson_val *s = json_get(peer, selectors[i]);
        n += s != NULL;
        if (s) {
            check_label_selector(c, AT_FIELD(p, selectors[i]), s);
        }
    }
    if (n == 0) {
        cause_required(c, p, "must specify a peer");
    } else if (block && n > 1) {
        cause_forbidden(c, p, "may not specify both ipBlock and another peer");
    }
    size_t i = 0;
    JSON_EACH(it, json_get(block, "except"))
    {
        format_check(c, AT_INDEX(AT_FIELD(AT_FIELD(p, "ipBlock"), "except"), i++), "cidr", it.val);
    }
}

static void check_policy_rules(struct check *c, const struct path *p, const yyjson_val *rules,
                               const char *peers)
{
    size_t i = 0;
    JSON_EACH(rule, rules)
    {
        const struct path *here = AT_INDEX(p, i++);
        size_t k = 0;
        JSON_EACH(it, json_get(rule.val, "ports"))
        {
            check_policy_port(c, AT_INDEX(AT_FIELD(here, "ports"), k++), it.val);
        }
        k = 0;
        JSON_EACH(it, json_get(rule.val, peers))
        {
            check_peer(c, AT_INDEX(AT_FIELD(here, peers), k++), it.val);
        }
    }
}

static void netpol_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    const struct path *p = AT_FIELD(NULL, "spec");
    check_label_selector(c, AT_FIELD(p, "podSelector"), json_get(spec, "podSelector"));
    check_policy_rules(c, AT_FIELD(p, "ingress"), json_get(spec, "ingress"), "from");
    check_policy_rules(c, AT_FIELD(p, "egress"), json_get(spec, "egress"), "to");
}

const struct schema_hooks schema_hooks_netpol = {
    .defaults = netpol_defaults, .validate = netpol_validate, .field = kind_field_metadata};

/* ---- ingresses ---- */

static void check_backend(struct check *c, const struct path *p, const yyjson_val *backend)
{
    const yyjson_val *service = json_get(backend, "service"), *port = json_get(service, "port");
    const struct path *at = AT_FIELD(AT_FIELD(p, "service"), "port");
    if (service && json_get(backend, "resource")) {
        cause_invalid(c, p, SPAN("\"\""), "cannot set both resource and service backends");
    } else if (!service && !json_get(backend, "resource")) {
        cause_required(c, p, "must specify a service or a resource");
    } else if (service) {
        struct span name = json_get_str(port, "name");
        int64_t number = json_get_int(port, "number", 0);
        if (name.n && number) {
            cause_invalid(c, at, SPAN("\"\""), "cannot set both port name & port number");
        } else if (!name.n && !number) {
            cause_required(c, at, "port name or number is required");
        }
    }
}

static void check_host(struct check *c, const struct path *p, const yyjson_val *v)
{
    struct span host = json_str(v);
    if (host.n == 0) {
        return;
    }
    if (names_is_ip(host)) {
        cause_invalid(c, p, shown(c->a, v), "must be a DNS name, not an IP address");
        return;
    }
    struct span name = span_starts(host, SPAN("*.")) ? span_from(host, 2) : host;
    struct names_fault fault = names_dns_subdomain(name);
    for (size_t i = 0; i < fault.n; i++) {
        cause_invalid(c, p, shown(c->a, v), fault.text[i]);
    }
}

static void check_ingress_path(struct check *c, const struct path *p, const yyjson_val *v)
{
    struct span type = json_get_str(v, "pathType"), path = json_get_str(v, "path");
    bool exact = span_eq(type, SPAN("Exact")) || span_eq(type, SPAN("Prefix"));
    if ((exact || path.n) && !span_starts(path, SPAN("/"))) {
        cause_invalid(c, AT_FIELD(p, "path"), shown_text(c->a, path), "must be an absolute path");
    }
    check_backend(c, AT_FIELD(p, "backend"), json_get(v, "backend"));
}

static void ingress_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec"), *rules = json_get(spec, "rules");
    const struct path *p = AT_FIELD(NULL, "spec");
    const yyjson_val *backend = json_get(spec, "defaultBackend");
    if (!backend && json_len(rules) == 0) {
        cause_invalid(c, p, shown(c->a, rules),
                      "either `defaultBackend` or `rules` must be specified");
    }
    if (backend) {
        check_backend(c, AT_FIELD(p, "defaultBackend"), backend);
    }
    size_t i = 0;
    JSON_EACH(it, rules)
    {
        const struct path *here = AT_INDEX(AT_FIELD(p, "rules"), i++);
        const struct path *paths = AT_FIELD(AT_FIELD(here, "http"), "paths");
        size_t k = 0;
        check_host(c, AT_FIELD(here, "host"), json_get(it.val, "host"));
        JSON_EACH(path, json_get(json_get(it.val, "http"), "paths"))
        {
            check_ingress_path(c, AT_INDEX(paths, k++), path.val);
        }
    }
    i = 0;
    JSON_EACH(it, json_get(spec, "tls"))
    {
        const struct path *hosts = AT_FIELD(AT_INDEX(AT_FIELD(p, "tls"), i++), "hosts");
        size_t k = 0;
        JSON_EACH(host, json_get(it.val, "hosts"))
        {
            check_host(c, AT_INDEX(hosts, k++), host.val);
        }
    }
}

const struct schema_hooks schema_hooks_ingress = {.validate = ingress_validate,
                                                  .field = kind_field_metadata};
