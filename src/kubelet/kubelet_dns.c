/* kubelet/kubelet_dns.c: the texts of a pod's resolv.conf and /etc/hosts. Pure. */
#include "kubelet/kubelet_dns.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "kubelet/kubelet_priv.h"

enum { NAMESERVERS_MAX = 3, SEARCHES_MAX = 32, SEARCH_BYTES_MAX = 2048, OPTIONS_MAX = 32 };

struct span kubelet_dns_hostname(struct arena *a, const yyjson_val *pod, struct span zone)
{
    assert(a);
    assert(pod);
    const yyjson_val *spec = json_get(pod, "spec");
    struct span name = json_get_str(spec, "hostname");
    if (name.n == 0) {
        name = json_str(json_path(pod, "metadata", "name", NULL));
    }
    name = span_first(name, LIMIT_DNS_LABEL_BYTES);
    while (name.n > 0 && (name.p[name.n - 1] == '-' || name.p[name.n - 1] == '.')) {
        name.n--;
    }
    struct span sub = json_get_str(spec, "subdomain");
    if (json_get_bool(spec, "setHostnameAsFQDN", false) && sub.n > 0) {
        struct span ns = json_str(json_path(pod, "metadata", "namespace", NULL));
        return arena_printf(a, "%.*s.%.*s.%.*s.svc.%.*s", SPAN_ARG(name), SPAN_ARG(sub),
                            SPAN_ARG(ns), SPAN_ARG(zone));
    }
    return arena_dup(a, name);
}

static struct span short_hostname(const yyjson_val *pod)
{
    struct span name = json_str(json_path(pod, "spec", "hostname", NULL));
    if (name.n == 0) {
        name = json_str(json_path(pod, "metadata", "name", NULL));
    }
    return span_first(name, LIMIT_DNS_LABEL_BYTES);
}

struct span kubelet_dns_hosts_names(struct arena *a, const yyjson_val *pod, struct span zone)
{
    assert(a);
    assert(pod);
    struct span name = short_hostname(pod);
    struct span sub = json_str(json_path(pod, "spec", "subdomain", NULL));
    struct span ns = json_str(json_path(pod, "metadata", "namespace", NULL));
    if (sub.n == 0) {
        return arena_dup(a, name);
    }
    return arena_printf(a, "%.*s.%.*s.%.*s.svc.%.*s\t%.*s", SPAN_ARG(name), SPAN_ARG(sub),
                        SPAN_ARG(ns), SPAN_ARG(zone), SPAN_ARG(name));
}

struct span kubelet_dns_hosts(struct arena *a, const yyjson_val *pod, struct span node_hosts)
{
    assert(a);
    assert(pod);
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    if (json_get_bool(json_get(pod, "spec"), "hostNetwork", false)) {
        strbuf_puts(&b, "# Kubernetes-managed hosts file (host network).\n");
        strbuf_put(&b, node_hosts);
    } else {
        strbuf_puts(&b, "# Kubernetes-managed hosts file.\n"
                        "127.0.0.1\tlocalhost\n"
                        "::1\tlocalhost ip6-localhost ip6-loopback\n"
                        "fe00::0\tip6-localnet\n"
                        "fe00::0\tip6-mcastprefix\n"
                        "fe00::1\tip6-allnodes\n"
                        "fe00::2\tip6-allrouters\n");
    }
    const yyjson_val *aliases = json_path(pod, "spec", "hostAliases", NULL);
    if (json_len(aliases) > 0) {
        strbuf_puts(&b, "\n# Entries added by HostAliases.\n");
    }
    JSON_EACH(it, aliases)
    {
        strbuf_put(&b, json_get_str(it.val, "ip"));
        JSON_EACH(name, json_get(it.val, "hostnames"))
        {
            strbuf_putc(&b, '\t');
            strbuf_put(&b, json_str(name.val));
        }
        strbuf_putc(&b, '\n');
    }
    return arena_dup(a, strbuf_span(&b));
}

/* ---- resolv.conf ---- */

struct resolv {
    struct span servers[NAMESERVERS_MAX], searches[SEARCHES_MAX], options[OPTIONS_MAX];
    size_t server_count, search_count, option_count, search_bytes;
};

static void add_server(struct resolv *r, struct span s)
{
    for (size_t i = 0; i < r->server_count; i++) {
        if (span_eq(r->servers[i], s)) {
            return;
        }
    }
    if (s.n > 0 && r->server_count < NAMESERVERS_MAX) {
        r->servers[r->server_count++] = s;
    }
}

static void add_search(struct resolv *r, struct span s)
{
    if (s.n > 1 && s.p[s.n - 1] == '.') {
        s.n--;
    }
    for (size_t i = 0; i < r->search_count; i++) {
        if (span_eq(r->searches[i], s)) {
            return;
        }
    }
    if (s.n > 0 && r->search_count < SEARCHES_MAX &&
        r->search_bytes + s.n + 1 <= SEARCH_BYTES_MAX) {
        r->searches[r->search_count++] = s;
        r->search_bytes += s.n + 1;
    }
}

/* "name" or "name:value"; a later one of the same name wins. */
static void add_option(struct resolv *r, struct span s)
{
    struct span name = span_first(s, span_find(s, ':'));
    for (size_t i = 0; i < r->option_count; i++) {
        if (span_eq(span_first(r->options[i], span_find(r->options[i], ':')), name)) {
            r->options[i] = s;
            return;
        }
    }
    if (s.n > 0 && r->option_count < OPTIONS_MAX) {
        r->options[r->option_count++] = s;
    }
}

static struct span next_word(struct span *line)
{
    size_t from = 0, to = 0;
    while (from < line->n && (line->p[from] == ' ' || line->p[from] == '\t')) {
        from++;
    }
    to = from;
    while (to < line->n && line->p[to] != ' ' && line->p[to] != '\t' && line->p[to] != '\r') {
        to++;
    }
    struct span word = span_of(line->p + from, to - from);
    *line = span_from(*line, to);
    return word;
}

/* The node's file; of several search lines the last counts, as in resolv.conf(5). */
static void parse_node(struct resolv *r, struct span text, bool servers, bool options)
{
    struct span last_search = SPAN_NULL;
    while (text.n > 0) {
        struct span line = span_cut(&text, '\n');
        struct span key = next_word(&line);
        if (span_eq_cstr(key, "nameserver") && servers) {
            add_server(r, next_word(&line));
        } else if (span_eq_cstr(key, "search") || span_eq_cstr(key, "domain")) {
            last_search = line;
        } else if (span_eq_cstr(key, "options") && options) {
            for (struct span w = next_word(&line); w.n > 0; w = next_word(&line)) {
                add_option(r, w);
            }
        }
    }
    for (struct span w = next_word(&last_search); w.n > 0; w = next_word(&last_search)) {
        add_search(r, w);
    }
}

static struct span write_resolv(struct arena *a, const struct resolv *r)
{
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    for (size_t i = 0; i < r->search_count; i++) {
        strbuf_printf(&b, "%s%.*s", i ? " " : "search ", SPAN_ARG(r->searches[i]));
    }
    if (r->search_count > 0) {
        strbuf_putc(&b, '\n');
    }
    for (size_t i = 0; i < r->server_count; i++) {
        strbuf_printf(&b, "nameserver %.*s\n", SPAN_ARG(r->servers[i]));
    }
    for (size_t i = 0; i < r->option_count; i++) {
        strbuf_printf(&b, "%s%.*s", i ? " " : "options ", SPAN_ARG(r->options[i]));
    }
    if (r->option_count > 0) {
        strbuf_putc(&b, '\n');
    }
    return arena_dup(a, strbuf_span(&b));
}

struct span kubelet_dns_resolv(struct arena *a, const yyjson_val *pod, struct span cluster_dns,
                               struct span zone, struct span node_conf, bool *ret_missing_dns)
{
    assert(ret_missing_dns);
    struct resolv r = {.server_count = 0};
    const yyjson_val *spec = json_get(pod, "spec");
    struct span policy = json_get_str(spec, "dnsPolicy");
    struct span ns = json_str(json_path(pod, "metadata", "namespace", NULL));
    bool host_network = json_get_bool(spec, "hostNetwork", false);
    bool cluster = span_eq_cstr(policy, "ClusterFirstWithHostNet") ||
                   (!host_network && (policy.n == 0 || span_eq_cstr(policy, "ClusterFirst")));
    bool none = span_eq_cstr(policy, "None");
    *ret_missing_dns = cluster && cluster_dns.n == 0;
    if (cluster && cluster_dns.n > 0) {
        add_server(&r, cluster_dns);
        add_search(&r, arena_printf(a, "%.*s.svc.%.*s", SPAN_ARG(ns), SPAN_ARG(zone)));
        add_search(&r, arena_printf(a, "svc.%.*s", SPAN_ARG(zone)));
        add_search(&r, zone);
        parse_node(&r, node_conf, false, false);
        add_option(&r, SPAN("ndots:5"));
    } else if (!none) {
        parse_node(&r, node_conf, true, true);
    }
    const yyjson_val *config = json_get(spec, "dnsConfig");
    JSON_EACH(it, json_get(config, "nameservers"))
    {
        add_server(&r, json_str(it.val));
    }
    JSON_EACH(it, json_get(config, "searches"))
    {
        add_search(&r, json_str(it.val));
    }
    JSON_EACH(it, json_get(config, "options"))
    {
        struct span name = json_get_str(it.val, "name"), value = json_get_str(it.val, "value");
        add_option(&r,
                   value.n ? arena_printf(a, "%.*s:%.*s", SPAN_ARG(name), SPAN_ARG(value)) : name);
    }
    return write_resolv(a, &r);
}
