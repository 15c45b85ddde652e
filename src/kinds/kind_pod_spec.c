/* kinds/kind_pod_spec.c: rules of a pod spec that span several fields. Containers are in
 * kind_container.c. */
#include "base/check.h"
#include "kinds/kind.h"

void check_one_source(struct check *c, const struct path *p, const yyjson_val *obj,
                      const char *const *sources, size_t n, const char *what)
{
    assert(sources);
    assert(what);
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        if (!json_get(obj, sources[i])) {
            continue;
        }
        if (found++) {
            cause_forbidden(c, AT_FIELD(p, sources[i]),
                            arena_printf(c->a, "may not specify more than 1 %s type", what).p);
        }
    }
    if (found == 0) {
        cause_required(c, p, arena_printf(c->a, "must specify a %s type", what).p);
    }
}

static void check_token(struct check *c, const struct path *p, const yyjson_val *token)
{
    int64_t seconds = json_get_int(token, "expirationSeconds", 3600);
    struct span shown = arena_printf(c->a, "%lld", (long long)seconds);
    if (seconds < 600) {
        cause_invalid(c, AT_FIELD(p, "expirationSeconds"), shown,
                      "may not specify a duration less than 10 minutes");
    }
    if (seconds > (int64_t)1 << 32) {
        cause_invalid(c, AT_FIELD(p, "expirationSeconds"), shown,
                      "may not specify a duration larger than 2^32 seconds");
    }
}

static void check_projection(struct check *c, const struct path *p, const yyjson_val *source)
{
    const yyjson_val *token = json_get(source, "serviceAccountToken");
    static const char *const named[] = {"secret", "configMap"};
    size_t found = 0;
    JSON_EACH(it, source)
    {
        if (found++) {
            cause_forbidden(c, AT_SPAN(p, json_str(it.key)),
                            "may not specify more than 1 volume type per source");
        }
    }
    if (found == 0) {
        cause_required(c, p, "must specify a volume type");
    }
    for (size_t i = 0; i < 2; i++) {
        const yyjson_val *one = json_get(source, named[i]);
        if (one && json_get_str(one, "name").n == 0) {
            cause_required(c, AT_FIELD(AT_FIELD(p, named[i]), "name"), NULL);
        }
    }
    if (token) {
        check_token(c, AT_FIELD(p, "serviceAccountToken"), token);
    }
}

static void check_volume(struct check *c, const struct path *p, const yyjson_val *volume)
{
    static const char *const named[][2] = {{"secret", "secretName"}, {"configMap", "name"}};
    size_t found = 0;
    JSON_EACH(it, volume)
    {
        struct span key = json_str(it.key);
        if (span_eq(key, SPAN("name"))) {
            continue;
        }
        if (found++) {
            cause_forbidden(c, AT_SPAN(p, key), "may not specify more than 1 volume type");
        }
    }
    if (found == 0) {
        cause_required(c, p, "must specify a volume type");
    }
    for (size_t i = 0; i < 2; i++) {
        const yyjson_val *one = json_get(volume, named[i][0]);
        if (one && json_get_str(one, named[i][1]).n == 0) {
            cause_required(c, AT_FIELD(AT_FIELD(p, named[i][0]), named[i][1]), NULL);
        }
    }
    const struct path *sources = AT_FIELD(AT_FIELD(p, "projected"), "sources");
    size_t i = 0;
    JSON_EACH(it, json_get(json_get(volume, "projected"), "sources"))
    {
        check_projection(c, AT_INDEX(sources, i), it.val);
        i++;
    }
}

static void check_volumes(struct check *c, const struct path *p, const yyjson_val *volumes)
{
    size_t i = 0;
    JSON_EACH(it, volumes)
    {
        struct span name = json_get_str(it.val, "name");
        check_volume(c, AT_INDEX(p, i), it.val);
        size_t k = 0;
        JSON_EACH(before, volumes)
        {
            if (k++ == i) {
                break;
            }
            if (name.n && span_eq(name, json_get_str(before.val, "name"))) {
                cause_duplicate(c, AT_FIELD(AT_INDEX(p, i), "name"), shown_text(c->a, name));
                break;
            }
        }
        i++;
    }
}

static void check_toleration(struct check *c, const struct path *p, const yyjson_val *t)
{
    struct span key = json_get_str(t, "key"), op = json_get_str(t, "operator");
    struct span value = json_get_str(t, "value");
    bool exists = span_eq(op, SPAN("Exists"));
    if (key.n) {
        format_check(c, AT_FIELD(p, "key"), "qualified", json_get(t, "key"));
    } else if (!exists) {
        cause_invalid(c, AT_FIELD(p, "operator"), shown_text(c->a, op),
                      "operator must be Exists when `key` is empty, which means \"match all values "
                      "and all keys\"");
    }
    if (json_get(t, "tolerationSeconds") &&
        !span_eq(json_get_str(t, "effect"), SPAN("NoExecute"))) {
        cause_invalid(c, AT_FIELD(p, "effect"), shown_text(c->a, json_get_str(t, "effect")),
                      "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    if (exists && value.n) {
        cause_invalid(c, AT_FIELD(p, "operator"), shown(c->a, t),
                      "value must be empty when `operator` is 'Exists'");
    } else if (!exists) {
        format_check(c, AT_FIELD(p, "operator"), "label-value", json_get(t, "value"));
    }
}

static void check_dns(struct check *c, const struct path *p, const yyjson_val *spec)
{
    if (!span_eq(json_get_str(spec, "dnsPolicy"), SPAN("None"))) {
        return;
    }
    const yyjson_val *config = json_get(spec, "dnsConfig");
    if (!config) {
        cause_required(c, AT_FIELD(p, "dnsConfig"),
                       "must provide `dnsConfig` when `dnsPolicy` is None");
    } else if (json_len(json_get(config, "nameservers")) == 0) {
        cause_required(c, AT_FIELD(AT_FIELD(p, "dnsConfig"), "nameservers"),
                       "must provide at least one DNS nameserver when `dnsPolicy` is None");
    }
}

static bool is_small_or_digit(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
}

/* Words between dots or slashes, with hyphens and underscores inside them. */
static bool is_sysctl_name(struct span s)
{
    char before = '.';
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        bool ends = (ch == '.' || ch == '/') && is_small_or_digit(before);
        bool inside = (ch == '-' || ch == '_') && before != '.' && before != '/';
        if (!is_small_or_digit(ch) && !ends && !inside) {
            return false;
        }
        before = ch;
    }
    return s.n <= 253 && is_small_or_digit(before);
}

static void check_sysctls(struct check *c, const struct path *p, const yyjson_val *spec)
{
    const yyjson_val *list = json_path(spec, "securityContext", "sysctls", NULL);
    p = AT_FIELD(AT_FIELD(p, "securityContext"), "sysctls");
    struct span *seen = ARENA_ARRAY(c->a, struct span, json_len(list) + 1);
    size_t n = 0;
    JSON_EACH(it, list)
    {
        struct span name = json_get_str(it.val, "name");
        const struct path *here = AT_FIELD(AT_INDEX(p, n), "name");
        bool again = false;
        for (size_t k = 0; k < n; k++) {
            again = again || span_eq(seen[k], name);
        }
        if (name.n && !is_sysctl_name(name)) {
            cause_invalid(
                c, here, shown_text(c->a, name),
                "must have at most 253 characters and match regex "
                "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
        } else if (name.n && again) {
            cause_duplicate(c, here, shown_text(c->a, name));
        } else if (span_starts(name, SPAN("net.")) && json_get_bool(spec, "hostNetwork", false)) {
            cause_invalid(c, here, shown_text(c->a, name),
                          "may not be specified when 'hostNetwork' is true");
        }
        seen[n++] = name;
    }
}

struct host_port {
    int64_t number;
    struct span protocol, ip;
};

static bool same_port(const struct host_port *a, const struct host_port *b)
{
    return a->number == b->number && span_eq(a->protocol, b->protocol) && span_eq(a->ip, b->ip);
}

/* A port of the node can be given to one container only. */
static void check_host_ports(struct check *c, const struct path *p, const yyjson_val *containers)
{
    struct host_port *taken = NULL;
    size_t n = 0, room = 0, i = 0;
    JSON_EACH(it, containers)
    {
        room += json_len(json_get(it.val, "ports"));
    }
    taken = ARENA_ARRAY(c->a, struct host_port, room + 1);
    JSON_EACH(it, containers)
    {
        size_t k = 0;
        JSON_EACH(port, json_get(it.val, "ports"))
        {
            struct host_port mine = {json_get_int(port.val, "hostPort", 0),
                                     json_get_str(port.val, "protocol"),
                                     json_get_str(port.val, "hostIP")};
            bool again = false;
            for (size_t x = 0; x < n && mine.number; x++) {
                again = again || same_port(&mine, &taken[x]);
            }
            if (again) {
                cause_duplicate(
                    c, AT_FIELD(AT_INDEX(AT_FIELD(AT_INDEX(p, i), "ports"), k), "hostPort"),
                    shown(c->a, json_get(port.val, "hostPort")));
            } else if (mine.number && n < LIST_MAX) {
                taken[n++] = mine;
            }
            k++;
        }
        i++;
    }
}

void check_pod_spec(struct check *c, const struct path *p, const yyjson_val *spec,
                    const yyjson_val *extra_volumes)
{
    assert(c);
    check_volumes(c, AT_FIELD(p, "volumes"), json_get(spec, "volumes"));
    check_containers(c, p, spec, extra_volumes);
    check_host_ports(c, AT_FIELD(p, "containers"), json_get(spec, "containers"));
    check_dns(c, p, spec);
    check_sysctls(c, p, spec);
    size_t i = 0;
    JSON_EACH(it, json_get(spec, "tolerations"))
    {
        check_toleration(c, AT_INDEX(AT_FIELD(p, "tolerations"), i), it.val);
        i++;
    }
    check_affinity(c, AT_FIELD(p, "affinity"), json_get(spec, "affinity"));
    check_spread(c, AT_FIELD(p, "topologySpreadConstraints"),
                 json_get(spec, "topologySpreadConstraints"));
}

void check_template_spec(struct check *c, const struct path *p, const yyjson_val *spec,
                         const yyjson_val *extra_volumes)
{
    assert(c);
    if (json_len(json_get(spec, "ephemeralContainers")) > 0) {
        cause_forbidden(c, AT_FIELD(p, "ephemeralContainers"),
                        "ephemeral containers not allowed in pod template");
    }
    check_pod_spec(c, p, spec, extra_volumes);
}
