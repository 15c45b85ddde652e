/* schema/engine_format.c: checks of single values that rows and hooks name. */
#include <stdio.h>

#include "base/check.h"
#include "base/limits.h"
#include "codec/names.h"
#include "codec/quantity.h"
#include "schema/engine.h"

static void complain(struct check *c, const struct path *p, struct span value,
                     struct names_fault fault)
{
    for (size_t i = 0; i < fault.n; i++) {
        cause_invalid(c, p, shown_text(c->a, value), fault.text[i]);
    }
}

/* A name that can stand between slashes of a URL; roles may have colons in theirs. */
static struct names_fault path_segment(struct span s)
{
    struct names_fault fault = {.n = 0};
    if (span_eq(s, SPAN(".")) || span_eq(s, SPAN(".."))) {
        fault.text[fault.n++] = s.n == 1 ? "may not be '.'" : "may not be '..'";
    }
    if (span_find(s, '/') < s.n) {
        fault.text[fault.n++] = "may not contain '/'";
    }
    if (span_find(s, '%') < s.n) {
        fault.text[fault.n++] = "may not contain '%'";
    }
    return fault;
}

static struct names_fault address_name(struct span s)
{
    return (struct names_fault){.text = {"must be a canonical form IP address"},
                                .n = names_is_ip(s) ? 0 : 1};
}

static const struct {
    const char *format;
    struct names_fault (*check)(struct span);
} name_formats[] = {
    {"dns-label", names_dns_label},
    {"dns-label-1035", names_dns_label_1035},
    {"dns-subdomain", names_dns_subdomain},
    {"qualified", names_qualified},
    {"label-value", names_label_value},
    {"env-name", names_env},
    {"port-name", names_port},
    {"config-key", names_config_key},
    {"path-segment", path_segment},
    {"address-name", address_name},
};

void check_port_number(struct check *c, const struct path *p, int64_t port)
{
    assert(c);
    if (port < 1 || port > 65535) {
        cause_invalid(c, p, arena_printf(c->a, "%lld", (long long)port),
                      "must be between 1 and 65535, inclusive");
    }
}

static void port(struct check *c, const struct path *p, const yyjson_val *v)
{
    check_port_number(c, p, json_int(v, 0));
}

static void port_or_zero(struct check *c, const struct path *p, const yyjson_val *v)
{
    if (json_int(v, 0) != 0) {
        port(c, p, v);
    }
}

static void file_mode(struct check *c, const struct path *p, const yyjson_val *v)
{
    int64_t mode = json_int(v, 0);
    if (mode < 0 || mode > 0777) {
        cause_invalid(c, p, shown(c->a, v),
                      "must be a number between 0 and 0777 (octal), both inclusive");
    }
}

static void ip(struct check *c, const struct path *p, const yyjson_val *v)
{
    if (!names_is_ip(json_str(v))) {
        cause_invalid(c, p, shown(c->a, v),
                      "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    }
}

/* "10.0.0.0/8", "2001:db8::/64". */
static void cidr(struct check *c, const struct path *p, const yyjson_val *v)
{
    struct span bits = json_str(v), address = span_cut(&bits, '/');
    uint64_t n;
    bool v6 = span_find(address, ':') < address.n;
    if (!names_is_ip(address) || !span_to_u64(bits, &n) || n > (v6 ? 128 : 32)) {
        cause_invalid(c, p, shown(c->a, v),
                      "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    }
}

static void relative_path(struct check *c, const struct path *p, const yyjson_val *v)
{
    struct span rest = json_str(v);
    if (rest.n && rest.p[0] == '/') {
        cause_invalid(c, p, shown(c->a, v), "must be a relative path");
    }
    if (span_starts(rest, SPAN("..")) && (rest.n < 3 || rest.p[2] != '/')) {
        cause_invalid(c, p, shown(c->a, v), "must not start with '..'");
    }
    while (rest.n) {
        if (span_eq(span_cut(&rest, '/'), SPAN(".."))) {
            cause_invalid(c, p, shown(c->a, v), "must not contain '..'");
            return;
        }
    }
}

static const struct {
    const char *format;
    void (*check)(struct check *c, const struct path *p, const yyjson_val *v);
} value_formats[] = {
    {"port", port}, {"port-or-zero", port_or_zero}, {"file-mode", file_mode},
    {"ip", ip},     {"label-map", check_labels},    {"relative-path", relative_path},
    {"cidr", cidr},
};

bool format_known(const char *format)
{
    assert(format);
    for (size_t i = 0; i < sizeof name_formats / sizeof *name_formats; i++) {
        if (strcmp(format, name_formats[i].format) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof value_formats / sizeof *value_formats; i++) {
        if (strcmp(format, value_formats[i].format) == 0) {
            return true;
        }
    }
    return false;
}

struct names_fault format_name_fault(const char *format, struct span s)
{
    assert(format);
    for (size_t i = 0; i < sizeof name_formats / sizeof *name_formats; i++) {
        if (strcmp(format, name_formats[i].format) == 0) {
            return name_formats[i].check(s);
        }
    }
    return (struct names_fault){0};
}

void format_check(struct check *c, const struct path *p, const char *format, const yyjson_val *v)
{
    for (size_t i = 0; i < sizeof name_formats / sizeof *name_formats; i++) {
        if (strcmp(format, name_formats[i].format) == 0) {
            complain(c, p, json_str(v), name_formats[i].check(json_str(v)));
            return;
        }
    }
    for (size_t i = 0; i < sizeof value_formats / sizeof *value_formats; i++) {
        if (strcmp(format, value_formats[i].format) == 0) {
            value_formats[i].check(c, p, v);
            return;
        }
    }
    assert(!"a check that does not exist");
}

void check_port(struct check *c, const struct path *p, const yyjson_val *v)
{
    assert(c);
    if (yyjson_is_str((yyjson_val *)v)) {
        complain(c, p, json_str(v), names_port(json_str(v)));
    } else {
        check_port_number(c, p, json_int(v, 0));
    }
}

void check_not_negative(struct check *c, const struct path *p, const yyjson_val *number)
{
    assert(c);
    if (json_int(number, 0) < 0) {
        cause_invalid(c, p, shown(c->a, number), "must be greater than or equal to 0");
    }
}

void check_labels(struct check *c, const struct path *p, const yyjson_val *labels)
{
    assert(c);
    JSON_EACH(it, labels)
    {
        struct span key = json_str(it.key), value = json_str(it.val);
        complain(c, p, key, names_qualified(key));
        complain(c, p, value, names_label_value(value));
    }
}

static struct span lower(struct arena *a, struct span s)
{
    char *copy = arena_alloc_raw(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        copy[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i];
    }
    return span_of(copy, s.n);
}

void check_annotations(struct check *c, const struct path *p, const yyjson_val *annotations)
{
    assert(c);
    size_t total = 0;
    JSON_EACH(it, annotations)
    {
        struct span key = json_str(it.key);
        if (names_qualified(key).n) { /* Kubernetes allows capitals in the prefix */
            complain(c, p, key, names_qualified(lower(c->a, key)));
        }
        total += key.n + json_str(it.val).n;
    }
    if (total > LIMIT_ANNOTATIONS_BYTES) {
        cause_too_long(c, p, LIMIT_ANNOTATIONS_BYTES);
    }
}

static void check_expression(struct check *c, const struct path *p, const yyjson_val *e)
{
    struct span op = json_get_str(e, "operator"), key = json_get_str(e, "key");
    size_t n = json_len(json_get(e, "values"));
    bool wants_values = span_eq(op, SPAN("In")) || span_eq(op, SPAN("NotIn"));
    bool wants_none = span_eq(op, SPAN("Exists")) || span_eq(op, SPAN("DoesNotExist"));
    if (wants_values && n == 0) {
        cause_required(c, AT_FIELD(p, "values"),
                       "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (wants_none && n > 0) {
        cause_forbidden(c, AT_FIELD(p, "values"),
                        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else if (!wants_values && !wants_none) {
        cause_invalid(c, AT_FIELD(p, "operator"), shown_text(c->a, op),
                      "not a valid selector operator");
    }
    complain(c, AT_FIELD(p, "key"), key, names_qualified(key));
    size_t i = 0;
    JSON_EACH(it, json_get(e, "values"))
    {
        complain(c, AT_INDEX(AT_FIELD(p, "values"), i), json_str(it.val),
                 names_label_value(json_str(it.val)));
        i++;
    }
}

void check_label_selector(struct check *c, const struct path *p, const yyjson_val *selector)
{
    assert(c);
    size_t i = 0; /* matchLabels are checked by their row */
    JSON_EACH(it, json_get(selector, "matchExpressions"))
    {
        check_expression(c, AT_INDEX(AT_FIELD(p, "matchExpressions"), i), it.val);
        i++;
    }
}

void check_quantities(struct check *c, const struct path *p, const yyjson_val *map)
{
    assert(c);
    JSON_EACH(it, map)
    {
        struct quantity q;
        const struct path *here = AT_KEY(p, json_str(it.key));
        const char *fault = quantity_parse(json_str(it.val), &q);
        if (fault) {
            cause_invalid(c, here, shown(c->a, it.val), fault);
        } else if (q.nano < 0) {
            cause_invalid(c, here, shown(c->a, it.val), "must be greater than or equal to 0");
        }
    }
}
