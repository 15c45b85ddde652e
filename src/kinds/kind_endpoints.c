/* kinds/kind_endpoints.c: endpoints and endpoint slices. */
#include "base/strbuf.h"
#include "kinds/kind.h"

/* Cells name this many addresses and count the rest. */
enum { SHOWN_MAX = 3 };

struct some {
    struct strbuf text;
    size_t n;
};

static void add(struct some *s, struct span one)
{
    if (s->n++ < SHOWN_MAX) {
        strbuf_puts(&s->text, s->text.n ? "," : "");
        strbuf_put(&s->text, one);
    }
}

static struct span finish(struct arena *a, struct some *s, const char *none)
{
    if (s->n > SHOWN_MAX) {
        strbuf_printf(&s->text, " + %zu more...", s->n - SHOWN_MAX);
    }
    struct span text = s->n ? arena_dup(a, strbuf_span(&s->text)) : span_cstr(none);
    strbuf_done(&s->text);
    return text;
}

void check_ordinary_ip(struct check *c, const struct path *p, const yyjson_val *v)
{
    struct span ip = json_str(v);
    unsigned char b[16]; /* an IPv4 address in IPv6 is one */
    if (c->own || !names_ip_bytes(ip, b)) {
        return;
    }
    static const unsigned char v4[12] = {[10] = 0xff, [11] = 0xff}, zero[16] = {0},
                               one[16] = {[15] = 1};
    bool is_v4 = memcmp(b, v4, sizeof v4) == 0;
    if (memcmp(b, zero, 16) == 0 || (is_v4 && memcmp(b + 12, zero, 4) == 0)) {
        cause_invalid(c, p, shown(c->a, v),
                      arena_printf(c->a, "may not be unspecified (%.*s)", SPAN_ARG(ip)).p);
    }
    if (memcmp(b, one, 16) == 0 || (is_v4 && b[12] == 127)) {
        cause_invalid(c, p, shown(c->a, v),
                      "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    if ((b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || (is_v4 && b[12] == 169 && b[13] == 254)) {
        cause_invalid(c, p, shown(c->a, v),
                      "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if ((b[0] == 0xff && (b[1] & 0x0f) == 2) ||
        (is_v4 && b[12] == 224 && b[13] == 0 && b[14] == 0)) {
        cause_invalid(c, p, shown(c->a, v),
                      "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

static void check_addresses(struct check *c, const struct path *p, const yyjson_val *list)
{
    size_t i = 0;
    JSON_EACH(it, list)
    {
        const struct path *here = AT_INDEX(p, i++);
        const yyjson_val *host = json_get(it.val, "hostname");
        if (json_str(host).n) {
            format_check(c, AT_FIELD(here, "hostname"), "dns-label", host);
        }
        check_ordinary_ip(c, AT_FIELD(here, "ip"), json_get(it.val, "ip"));
    }
}

static void endpoints_validate(struct check *c, const yyjson_val *obj)
{
    size_t i = 0;
    JSON_EACH(it, json_get(obj, "subsets"))
    {
        const struct path *p = AT_INDEX(AT_FIELD(NULL, "subsets"), i);
        size_t n = json_len(json_get(it.val, "addresses")) +
                   json_len(json_get(it.val, "notReadyAddresses"));
        if (n == 0) {
            cause_required(c, p, "must specify `addresses` or `notReadyAddresses`");
        }
        check_addresses(c, AT_FIELD(p, "addresses"), json_get(it.val, "addresses"));
        check_addresses(c, AT_FIELD(p, "notReadyAddresses"), json_get(it.val, "notReadyAddresses"));
        size_t k = 0;
        JSON_EACH(port, json_get(it.val, "ports"))
        {
            if (json_len(json_get(it.val, "ports")) > 1 && json_get_str(port.val, "name").n == 0) {
                cause_required(c, AT_FIELD(AT_INDEX(AT_FIELD(p, "ports"), k), "name"), NULL);
            }
            k++;
        }
        i++;
    }
}

static void endpoints_row(struct row *r)
{
    struct some s = {0};
    JSON_EACH(subset, json_get(r->obj, "subsets"))
    {
        const yyjson_val *addresses = json_get(subset.val, "addresses");
        JSON_EACH(port, json_get(subset.val, "ports"))
        {
            JSON_EACH(it, addresses)
            {
                struct span ip = json_get_str(it.val, "ip");
                add(&s, arena_printf(r->a, "%.*s:%lld", SPAN_ARG(ip),
                                     (long long)json_get_int(port.val, "port", 0)));
            }
        }
        JSON_EACH(it, addresses)
        {
            if (json_len(json_get(subset.val, "ports")) == 0) {
                add(&s, json_get_str(it.val, "ip"));
            }
        }
    }
    cell_name(r);
    cell(r, finish(r->a, &s, "<none>"));
    cell_age(r);
}

const struct schema_hooks schema_hooks_endpoints = {
    .validate = endpoints_validate, .row = endpoints_row, .field = kind_field_metadata};

/* ---- slices ---- */

/* Ports have names of their own; one may have none. */
static void check_slice_ports(struct check *c, const yyjson_val *ports)
{
    size_t i = 0;
    JSON_EACH(it, ports)
    {
        const struct path *p = AT_FIELD(AT_INDEX(AT_FIELD(NULL, "ports"), i), "name");
        struct span name = json_get_str(it.val, "name");
        size_t k = 0;
        if (name.n) {
            format_check(c, p, "dns-label", json_get(it.val, "name"));
        }
        JSON_EACH(before, ports)
        {
            if (k++ == i) {
                break;
            }
            if (span_eq(json_get_str(before.val, "name"), name)) {
                cause_duplicate(c, p, shown_text(c->a, name));
                break;
            }
        }
        i++;
    }
}

static void check_slice_address(struct check *c, const struct path *p, struct span type,
                                const yyjson_val *address)
{
    struct span text = json_str(address);
    bool v6 = span_find(text, ':') < text.n;
    if (span_eq(type, SPAN("FQDN"))) {
        format_check(c, p, "dns-subdomain", address);
    } else if (names_is_ip(text) && v6 == span_eq(type, SPAN("IPv6"))) {
        check_ordinary_ip(c, p, address);
    } else {
        cause_invalid(c, p, shown(c->a, address),
                      span_eq(type, SPAN("IPv6")) ? "must be a valid IPv6 address"
                                                  : "must be a valid IPv4 address");
    }
}

static void slice_validate(struct check *c, const yyjson_val *obj)
{
    check_slice_ports(c, json_get(obj, "ports"));
    size_t i = 0;
    JSON_EACH(it, json_get(obj, "endpoints"))
    {
        const struct path *p = AT_FIELD(AT_INDEX(AT_FIELD(NULL, "endpoints"), i), "addresses");
        size_t k = 0;
        JSON_EACH(address, json_get(it.val, "addresses"))
        {
            check_slice_address(c, AT_INDEX(p, k++), json_get_str(obj, "addressType"), address.val);
        }
        const yyjson_val *host = json_get(it.val, "hostname");
        if (host) {
            format_check(c, AT_FIELD(AT_INDEX(AT_FIELD(NULL, "endpoints"), i), "hostname"),
                         "dns-label", host);
        }
        i++;
    }
}

static void slice_row(struct row *r)
{
    struct some ports = {0}, addresses = {0};
    JSON_EACH(it, json_get(r->obj, "ports"))
    {
        const yyjson_val *port = json_get(it.val, "port");
        add(&ports, port ? json_write(r->a, port) : SPAN("*"));
    }
    JSON_EACH(it, json_get(r->obj, "endpoints"))
    {
        JSON_EACH(address, json_get(it.val, "addresses"))
        {
            add(&addresses, json_str(address.val));
        }
    }
    cell_name(r);
    cell(r, json_get_str(r->obj, "addressType"));
    cell(r, finish(r->a, &ports, "<unset>"));
    cell(r, finish(r->a, &addresses, "<unset>"));
    cell_age(r);
}

const struct schema_hooks schema_hooks_endpointslice = {
    .validate = slice_validate, .row = slice_row, .field = kind_field_metadata};
