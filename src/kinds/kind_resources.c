/* kinds/kind_resources.c: what a container may ask for, and how much of it.
 *
 * cpu, memory and ephemeral-storage may be asked for with a limit that is more or absent; pages of
 * a size (hugepages-2Mi) and extended resources (a name with a domain that is not kubernetes.io's,
 * counted in whole things) are had or not: request and limit are one. */
#include "base/check.h"
#include "base/limits.h"
#include "codec/names.h"
#include "codec/quantity.h"
#include "kinds/kind.h"

static bool is_common(struct span name)
{
    return span_eq(name, SPAN("cpu")) || span_eq(name, SPAN("memory")) ||
           span_eq(name, SPAN("ephemeral-storage"));
}

static bool is_pages(struct span name)
{
    return span_starts(name, SPAN("hugepages-"));
}

static bool has_domain(struct span name)
{
    return span_find(name, '/') < name.n;
}

void check_resource_name(struct check *c, const struct path *p, struct span name)
{
    if (is_common(name)) {
        return;
    }
    struct span text = shown_text(c->a, name), quota = SPAN("requests.");
    struct names_fault fault = names_qualified(name);
    for (size_t i = 0; i < fault.n; i++) {
        cause_invalid(c, p, text, fault.text[i]);
    }
    if (fault.n > 0) {
        return;
    }
    if (!has_domain(name) && !is_pages(name)) {
        cause_invalid(c, p, text, "must be a standard resource type or fully qualified");
        cause_invalid(c, p, text, "must be a standard resource for containers");
    } else if (!names_native_resource(name) &&
               (span_starts(name, quota) ||
                span_find(name, '/') + quota.n > LIMIT_DNS_SUBDOMAIN_BYTES)) {
        cause_invalid(c, p, text, "doesn't follow extended resource name standard");
    }
}

/* A multiple of the page size that is its name. */
static bool is_whole_pages(struct span name, const struct quantity *q)
{
    struct quantity page;
    const __int128 one = 1000000000;
    return !quantity_parse(span_from(name, SPAN("hugepages-").n), &page) && page.nano > 0 &&
           page.nano % one == 0 && quantity_units(q) % quantity_units(&page) == 0;
}

/* Of a resource that is not common. */
static void check_amount(struct check *c, const struct path *p, struct span name,
                         const yyjson_val *amount)
{
    struct quantity q;
    if (quantity_parse(json_str(amount), &q)) {
        return; /* said elsewhere */
    }
    if (!names_native_resource(name) && q.nano % 1000000000 != 0) {
        cause_invalid(c, p, shown(c->a, amount), "must be an integer");
    }
    if (is_pages(name) && !is_whole_pages(name, &q)) {
        cause_invalid(c, p, shown(c->a, amount),
                      arena_printf(c->a, "%.*s is not positive integer multiple of %.*s",
                                   SPAN_ARG(json_str(amount)), SPAN_ARG(name))
                          .p);
    }
}

static void check_list(struct check *c, const struct path *p, const yyjson_val *list, bool *common,
                       bool *pages)
{
    check_quantities(c, p, list);
    JSON_EACH(it, list)
    {
        struct span name = json_str(it.key);
        if (is_common(name)) {
            *common |= name.n < SPAN("ephemeral-storage").n;
            continue;
        }
        *pages |= is_pages(name);
        check_resource_name(c, AT_KEY(p, name), name);
        check_amount(c, AT_KEY(p, name), name, it.val);
    }
}

static void check_against_limit(struct check *c, const struct path *p, struct span name,
                                const yyjson_val *request, const yyjson_val *limit)
{
    struct quantity wanted, most;
    bool equal = !names_native_resource(name) || is_pages(name);
    if (!limit && equal) {
        cause_required(c, AT_FIELD(p, "limits"),
                       "Limit must be set for non overcommitable resources");
    }
    if (!limit || quantity_parse(json_str(request), &wanted) ||
        quantity_parse(json_str(limit), &most)) {
        return;
    }
    int order = quantity_cmp(&wanted, &most);
    if (equal ? order != 0 : order > 0) {
        cause_invalid(c, AT_FIELD(p, "requests"), shown(c->a, request),
                      arena_printf(c->a, "must be %sequal to %.*s limit of %.*s",
                                   equal ? "" : "less than or ", SPAN_ARG(name),
                                   SPAN_ARG(json_str(limit)))
                          .p);
    }
}

void check_resources(struct check *c, const struct path *p, const yyjson_val *resources)
{
    assert(c);
    const yyjson_val *limits = json_get(resources, "limits");
    const yyjson_val *requests = json_get(resources, "requests");
    bool common = false, pages = false;
    check_list(c, AT_FIELD(p, "limits"), limits, &common, &pages);
    check_list(c, AT_FIELD(p, "requests"), requests, &common, &pages);
    JSON_EACH(it, requests)
    {
        struct span name = json_str(it.key);
        check_against_limit(c, p, name, it.val, json_get_span(limits, name));
    }
    if (pages && !common) {
        cause_forbidden(c, p, "HugePages require cpu or memory");
    }
}

void check_resource_count(struct check *c, const struct path *p, const yyjson_val *pod_spec)
{
    assert(c);
    static const char *const lists[] = {"containers", "initContainers"};
    size_t n = 0;
    for (size_t l = 0; l < 2; l++) {
        JSON_EACH(it, json_get(pod_spec, lists[l]))
        {
            n += json_len(json_path(it.val, "resources", "requests", NULL));
        }
    }
    if (n > LIMIT_POD_REQUESTS) {
        cause_forbidden(c, AT_FIELD(p, "containers"),
                        arena_printf(c->a, "its resources.requests are %zu; at most %d are served",
                                     n, LIMIT_POD_REQUESTS)
                            .p);
    }
}
