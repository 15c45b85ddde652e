/* kinds/kind_near.c: rules of a pod spec about where it goes with respect to nodes and other pods,
 * as Kubernetes words them. */
#include "base/check.h"
#include "kinds/kind.h"

static void check_name(struct check *c, const struct path *p, const char *format, struct span name)
{
    struct names_fault fault = format_name_fault(format, name);
    for (size_t i = 0; i < fault.n; i++) {
        cause_invalid(c, p, shown_text(c->a, name), fault.text[i]);
    }
}

static void check_weight(struct check *c, const struct path *p, const yyjson_val *term)
{
    int64_t weight = json_get_int(term, "weight", 0);
    if (weight <= 0 || weight > 100) {
        cause_invalid(c, AT_FIELD(p, "weight"), arena_printf(c->a, "%lld", (long long)weight),
                      "must be in the range 1-100");
    }
}

/* ---- keys of the pod's own labels ---- */

/* False: so many that they must not be compared. */
static bool check_keys(struct check *c, const struct path *p, const yyjson_val *keys,
                       const yyjson_val *selector)
{
    size_t i = 0;
    if (json_len(keys) > LIST_MAX) {
        cause_too_many(c, p, json_len(keys), LIST_MAX);
        return false;
    }
    if (json_len(keys) > 0 && !selector) {
        cause_forbidden(c, p, "must not be specified when labelSelector is not set");
        return true;
    }
    JSON_EACH(it, keys)
    {
        check_name(c, AT_INDEX(p, i++), "qualified", json_str(it.val));
    }
    return true;
}

static size_t times_in_selector(const yyjson_val *selector, struct span key)
{
    size_t n = json_get_span(json_get(selector, "matchLabels"), key) != NULL;
    JSON_EACH(it, json_get(selector, "matchExpressions"))
    {
        n += span_eq(json_get_str(it.val, "key"), key);
    }
    return n;
}

/* Those of a pod are in its selector once, put there when it was made. */
static void check_keys_once(struct check *c, const struct path *p, const yyjson_val *keys,
                            const yyjson_val *selector)
{
    size_t i = 0;
    JSON_EACH(it, keys)
    {
        for (size_t n = times_in_selector(selector, json_str(it.val)); n > 1; n--) {
            cause_invalid(c, AT_INDEX(p, i), shown(c->a, it.val),
                          "exists in both matchLabelKeys and labelSelector");
        }
        i++;
    }
}

static void check_keys_apart(struct check *c, const struct path *p, const yyjson_val *match,
                             const yyjson_val *mismatch)
{
    size_t i = 0;
    JSON_EACH(it, match)
    {
        bool both = false;
        JSON_EACH(other, mismatch)
        {
            both = both || span_eq(json_str(it.val), json_str(other.val));
        }
        if (both) {
            cause_invalid(c, AT_INDEX(p, i), shown(c->a, it.val),
                          "exists in both matchLabelKeys and mismatchLabelKeys");
        }
        i++;
    }
}

/* ---- affinity ---- */

static void check_term(struct check *c, const struct path *p, const yyjson_val *term)
{
    const yyjson_val *selector = json_get(term, "labelSelector");
    const yyjson_val *match = json_get(term, "matchLabelKeys");
    const yyjson_val *mismatch = json_get(term, "mismatchLabelKeys");
    struct span key = json_get_str(term, "topologyKey");
    check_label_selector(c, AT_FIELD(p, "labelSelector"), selector);
    check_label_selector(c, AT_FIELD(p, "namespaceSelector"), json_get(term, "namespaceSelector"));
    JSON_EACH(it, json_get(term, "namespaces"))
    {
        check_name(c, AT_FIELD(p, "namespace"), "dns-label", json_str(it.val));
    }
    bool few = check_keys(c, AT_FIELD(p, "matchLabelKeys"), match, selector);
    few = check_keys(c, AT_FIELD(p, "mismatchLabelKeys"), mismatch, selector) && few;
    if (few) {
        check_keys_once(c, p, match, selector); /* the path is that of Kubernetes */
        check_keys_apart(c, AT_FIELD(p, "matchLabelKeys"), match, mismatch);
    }
    if (key.n == 0) {
        cause_required(c, AT_FIELD(p, "topologyKey"), "can not be empty");
    }
    check_name(c, AT_FIELD(p, "topologyKey"), "qualified", key);
}

static void check_pod_terms(struct check *c, const struct path *p, const yyjson_val *affinity)
{
    static const char required[] = "requiredDuringSchedulingIgnoredDuringExecution";
    static const char preferred[] = "preferredDuringSchedulingIgnoredDuringExecution";
    size_t i = 0;
    JSON_EACH(it, json_get(affinity, required))
    {
        check_term(c, AT_INDEX(AT_FIELD(p, required), i++), it.val);
    }
    i = 0;
    JSON_EACH(it, json_get(affinity, preferred))
    {
        const struct path *here = AT_INDEX(AT_FIELD(p, preferred), i++);
        check_weight(c, here, it.val);
        check_term(c, AT_FIELD(here, "podAffinityTerm"), json_get(it.val, "podAffinityTerm"));
    }
}

void check_affinity(struct check *c, const struct path *p, const yyjson_val *affinity)
{
    static const char preferred[] = "preferredDuringSchedulingIgnoredDuringExecution";
    assert(c);
    size_t i = 0;
    if (!affinity) {
        return;
    }
    JSON_EACH(it, json_path(affinity, "nodeAffinity", preferred, NULL))
    {
        check_weight(c, AT_INDEX(AT_FIELD(AT_FIELD(p, "nodeAffinity"), preferred), i++), it.val);
    }
    check_pod_terms(c, AT_FIELD(p, "podAffinity"), json_get(affinity, "podAffinity"));
    check_pod_terms(c, AT_FIELD(p, "podAntiAffinity"), json_get(affinity, "podAntiAffinity"));
}

/* ---- spread ---- */

static void check_min_domains(struct check *c, const struct path *p, const yyjson_val *constraint)
{
    const yyjson_val *least = json_get(constraint, "minDomains");
    struct span action = json_get_str(constraint, "whenUnsatisfiable");
    if (!least) {
        return;
    }
    if (json_int(least, 0) <= 0) {
        cause_invalid(c, p, shown(c->a, least), "must be greater than zero");
    }
    if (!span_eq(action, SPAN("DoNotSchedule"))) {
        cause_invalid(c, p, shown(c->a, least),
                      arena_printf(c->a,
                                   "can only use minDomains if whenUnsatisfiable=DoNotSchedule, "
                                   "not %.*s",
                                   SPAN_ARG(action))
                          .p);
    }
}

/* later: stands at the constraint. */
static void check_not_repeated(struct check *c, const struct path *p, struct json_iter later)
{
    struct span key = json_get_str(later.val, "topologyKey");
    struct span action = json_get_str(later.val, "whenUnsatisfiable");
    bool again = false;
    for (json_iter_next(&later); later.val; json_iter_next(&later)) {
        again = again || (span_eq(key, json_get_str(later.val, "topologyKey")) &&
                          span_eq(action, json_get_str(later.val, "whenUnsatisfiable")));
    }
    if (again) {
        cause_duplicate(
            c, AT_FIELD(p, "{topologyKey, whenUnsatisfiable}"),
            shown_text(c->a, arena_printf(c->a, "{%.*s, %.*s}", SPAN_ARG(key), SPAN_ARG(action))));
    }
}

static void check_constraint(struct check *c, const struct path *p, struct json_iter at)
{
    const yyjson_val *selector = json_get(at.val, "labelSelector");
    const yyjson_val *keys = json_get(at.val, "matchLabelKeys");
    if (json_get_int(at.val, "maxSkew", 0) <= 0) {
        cause_invalid(c, AT_FIELD(p, "maxSkew"),
                      arena_printf(c->a, "%lld", (long long)json_get_int(at.val, "maxSkew", 0)),
                      "must be greater than zero");
    }
    if (json_get_str(at.val, "topologyKey").n == 0) {
        cause_required(c, AT_FIELD(p, "topologyKey"), "can not be empty");
    }
    if (json_get_str(at.val, "whenUnsatisfiable").n == 0) { /* others: by the row */
        cause_not_supported(c, AT_FIELD(p, "whenUnsatisfiable"), SPAN("\"\""),
                            "DoNotSchedule|ScheduleAnyway");
    }
    check_not_repeated(c, p, at);
    check_min_domains(c, AT_FIELD(p, "minDomains"), at.val);
    if (check_keys(c, AT_FIELD(p, "matchLabelKeys"), keys, selector)) {
        check_keys_once(c, AT_FIELD(p, "matchLabelKeys"), keys, selector);
    }
    check_label_selector(c, AT_FIELD(p, "labelSelector"), selector);
}

void check_spread(struct check *c, const struct path *p, const yyjson_val *constraints)
{
    assert(c);
    assert(p);
    size_t i = 0;
    JSON_EACH(it, constraints)
    {
        check_constraint(c, AT_INDEX(p, i++), it);
    }
}
