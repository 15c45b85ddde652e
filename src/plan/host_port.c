/* plan/host_port.c: see host_port.h. */
#include "plan/host_port.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/check.h"
#include "codec/json.h"

static const uint8_t every_address[16], mapped[12] = {[10] = 0xff, [11] = 0xff};

static void parse_ip(struct span text, uint8_t ret[16])
{
    assert(ret);
    char buf[INET6_ADDRSTRLEN + 1];
    uint8_t ip[16] = {0};
    memset(ret, 0, 16);
    if (text.n == 0 || text.n >= sizeof buf) {
        return;
    }
    memcpy(buf, text.p, text.n);
    buf[text.n] = '\0';
    if (inet_pton(AF_INET, buf, ip) == 1) {
        if (memcmp(ip, every_address, 4) != 0) {
            memcpy(ret, mapped, sizeof mapped);
            memcpy(ret + sizeof mapped, ip, 4);
        }
    } else if (inet_pton(AF_INET6, buf, ip) == 1) {
        memcpy(ret, ip, sizeof ip);
    }
}

static uint8_t parse_protocol(struct span text)
{
    return span_eq_cstr(text, "UDP")    ? HOST_PORT_UDP
           : span_eq_cstr(text, "SCTP") ? HOST_PORT_SCTP
                                        : HOST_PORT_TCP;
}

/* Ports of an init container are free again when the pod's work begins, except a sidecar's. */
static bool stays(const yyjson_val *container, bool init)
{
    return !init || span_eq_cstr(json_get_str(container, "restartPolicy"), "Always");
}

/* Counts, and with `out` writes. */
static size_t collect(const yyjson_val *pod_spec, struct host_port *out)
{
    static const char *const lists[] = {"containers", "initContainers"};
    size_t n = 0;
    for (size_t l = 0; l < 2; l++) {
        JSON_EACH(c, json_get(pod_spec, lists[l]))
        {
            const yyjson_val *ports = stays(c.val, l == 1) ? json_get(c.val, "ports") : NULL;
            JSON_EACH(p, ports)
            {
                int64_t port = json_get_int(p.val, "hostPort", 0);
                if (port <= 0 || port > 65535) {
                    continue;
                }
                if (out) {
                    out[n].port = (uint16_t)port;
                    out[n].container_port = (uint16_t)json_get_int(p.val, "containerPort", 0);
                    out[n].protocol = parse_protocol(json_get_str(p.val, "protocol"));
                    parse_ip(json_get_str(p.val, "hostIP"), out[n].ip);
                }
                n++;
            }
        }
    }
    return n;
}

size_t host_ports(struct arena *a, const yyjson_val *pod_spec, const struct host_port **ret)
{
    assert(a);
    assert(ret);
    size_t n = collect(pod_spec, NULL);
    if (n > 0) {
        struct host_port *out = ARENA_ARRAY(a, struct host_port, n);
        size_t written = collect(pod_spec, out);
        assert(written == n);
        *ret = out;
    }
    return n;
}

bool host_port_wanted(const yyjson_val *pod_spec)
{
    return collect(pod_spec, NULL) > 0;
}

bool host_port_excludes(const struct host_port *x, const struct host_port *y)
{
    assert(x->port > 0);
    assert(y->port > 0);
    return x->port == y->port && x->protocol == y->protocol &&
           (memcmp(x->ip, y->ip, sizeof x->ip) == 0 ||
            memcmp(x->ip, every_address, sizeof every_address) == 0 ||
            memcmp(y->ip, every_address, sizeof every_address) == 0);
}

bool host_ports_clash(const struct host_port *x, size_t x_count, const struct host_port *y,
                      size_t y_count)
{
    assert(x || x_count == 0);
    assert(y || y_count == 0);
    for (size_t i = 0; i < x_count; i++) {
        for (size_t k = 0; k < y_count; k++) {
            if (host_port_excludes(&x[i], &y[k])) {
                return true;
            }
        }
    }
    return false;
}

bool host_port_ipv4(const struct host_port *p, uint32_t *ret)
{
    assert(p->port > 0);
    assert(ret);
    uint32_t raw;
    bool every = memcmp(p->ip, every_address, sizeof every_address) == 0;
    memcpy(&raw, p->ip + sizeof mapped, sizeof raw);
    *ret = ntohl(raw);
    return every || memcmp(p->ip, mapped, sizeof mapped) == 0;
}
