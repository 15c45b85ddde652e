/* plan/near_plan.c: see near_plan.h. */
#include "plan/near_plan.h"

#include "base/check.h"
#include "base/map.h"

void near_selector(struct arena *a, const yyjson_val *object, struct selector *ret)
{
    struct err err = {0};
    if (!object || selector_from_object(a, object, ret, &err) < 0) {
        *ret = (struct selector){.nothing = true};
    }
}

static void read_term(struct arena *a, const yyjson_val *term, struct span ns,
                      struct near_term *ret)
{
    const yyjson_val *named = json_get(term, "namespaces");
    const yyjson_val *by_label = json_get(term, "namespaceSelector");
    near_selector(a, json_get(term, "labelSelector"), &ret->pods);
    near_selector(a, by_label, &ret->namespaces);
    ret->named = named;
    ret->own = json_len(named) == 0 && !by_label ? ns : SPAN_NULL;
    ret->key = json_get_str(term, "topologyKey");
    ret->weight = 1;
}

size_t near_terms(struct arena *a, const struct near_pod *pod, const char *list, bool required,
                  const struct near_term **ret)
{
    assert(pod);
    assert(list);
    const yyjson_val *all = json_get(json_path(pod->root, "spec", "affinity", list, NULL),
                                     required ? "requiredDuringSchedulingIgnoredDuringExecution"
                                              : "preferredDuringSchedulingIgnoredDuringExecution");
    size_t n = 0;
    struct near_term *terms =
        json_len(all) ? ARENA_ARRAY(a, struct near_term, json_len(all)) : NULL;
    JSON_EACH(it, all)
    {
        read_term(a, required ? it.val : json_get(it.val, "podAffinityTerm"), pod->ns, &terms[n]);
        if (!required) {
            int64_t weight = json_get_int(it.val, "weight", 0);
            terms[n].weight = weight > 0 && weight <= 100 ? weight : 0;
        }
        n++;
    }
    assert(n == json_len(all));
    *ret = terms;
    return n;
}

size_t near_spread(struct arena *a, const struct near_pod *pod, const char *action,
                   const struct near_term **ret)
{
    const yyjson_val *all = json_path(pod->root, "spec", "topologySpreadConstraints", NULL);
    struct near_term *terms =
        json_len(all) ? ARENA_ARRAY(a, struct near_term, json_len(all)) : NULL;
    size_t n = 0;
    JSON_EACH(it, all)
    {
        if (!action || span_eq_cstr(json_get_str(it.val, "whenUnsatisfiable"), action)) {
            near_selector(a, json_get(it.val, "labelSelector"), &terms[n].pods);
            terms[n].namespaces.nothing = true;
            terms[n].own = pod->ns;
            terms[n].key = json_get_str(it.val, "topologyKey");
            n++;
        }
    }
    assert(n <= json_len(all));
    *ret = terms;
    return n;
}

bool near_term_covers(const struct near_term *term, struct span ns, const yyjson_val *ns_labels)
{
    assert(term);
    assert(ns.n > 0);
    bool named = term->own.n && span_eq(term->own, ns);
    JSON_EACH(it, term->named)
    {
        named = named || span_eq(json_str(it.val), ns);
    }
    return named || selector_matches(&term->namespaces, ns_labels);
}

bool near_term_matches(const struct near_term *term, const struct near_pod *pod)
{
    return near_term_covers(term, pod->ns, pod->ns_labels) &&
           selector_matches(&term->pods, near_labels(pod->root));
}

bool near_pod_has_terms(const yyjson_val *pod_spec)
{
    const yyjson_val *affinity = json_get(pod_spec, "affinity");
    return affinity && (json_get(affinity, "podAffinity") || json_get(affinity, "podAntiAffinity"));
}

bool near_pod_has_spread(const yyjson_val *pod_spec)
{
    return json_len(json_get(pod_spec, "topologySpreadConstraints")) > 0;
}

static bool any_matches(const struct near_term *terms, size_t n, const struct near_pod *pod)
{
    bool any = false;
    for (size_t i = 0; i < n && !any; i++) {
        any = near_term_matches(&terms[i], pod);
    }
    return any;
}

bool near_concerns(struct arena *a, const struct near_pod *waiting, const struct near_pod *other)
{
    assert(waiting);
    assert(other);
    const struct near_term *terms = NULL;
    size_t n = near_terms(a, waiting, "podAffinity", true, &terms);
    if (any_matches(terms, n, other)) {
        return true;
    }
    n = near_terms(a, waiting, "podAntiAffinity", true, &terms);
    if (any_matches(terms, n, other)) {
        return true;
    }
    n = near_spread(a, waiting, "DoNotSchedule", &terms);
    if (any_matches(terms, n, other)) {
        return true;
    }
    n = near_terms(a, other, "podAntiAffinity", true, &terms);
    return any_matches(terms, n, waiting);
}

const yyjson_val *near_labels(const yyjson_val *root)
{
    return json_path(root, "metadata", "labels", NULL);
}

struct span near_name(const yyjson_val *root)
{
    return json_str(json_path(root, "metadata", "name", NULL));
}

struct near_domains *near_domains(struct arena *a, const struct near_view *view,
                                  struct near_domains **known, struct span key)
{
    assert(view->nodes || view->node_count == 0);
    for (struct near_domains *d = *known; d; d = d->next) {
        if (span_eq(d->key, key)) {
            return d;
        }
    }
    struct near_domains *made = ARENA_NEW(a, struct near_domains);
    int *domain = ARENA_ARRAY(a, int, view->node_count + 1);
    struct span *values = ARENA_ARRAY(a, struct span, view->node_count + 1);
    struct map seen = MAP_INIT; /* value of the label to its span in `values` */
    for (size_t i = 0; i < view->node_count; i++) {
        const yyjson_val *label = json_get_span(view->nodes[i].labels, key);
        domain[i] = NEAR_NOWHERE;
        if (!label) {
            continue;
        }
        struct span *value = map_get(&seen, json_str(label));
        if (!value) {
            value = &values[made->count++];
            *value = json_str(label);
            map_put(&seen, *value, value);
        }
        domain[i] = (int)(value - values);
    }
    map_done(&seen);
    assert(made->count <= view->node_count);
    assert(!*known || (*known)->domain);
    made->key = key;
    made->domain = domain;
    made->values = values;
    made->next = *known;
    *known = made;
    return made;
}

struct span near_place(struct arena *a, struct span key)
{
    if (span_eq_cstr(key, "kubernetes.io/hostname")) {
        return SPAN("node");
    }
    if (span_eq_cstr(key, "topology.kubernetes.io/zone")) {
        return SPAN("zone");
    }
    if (span_eq_cstr(key, "topology.kubernetes.io/region")) {
        return SPAN("region");
    }
    return arena_printf(a, "value of the node label %.*s", SPAN_ARG(key));
}
