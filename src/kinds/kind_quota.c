/* kinds/kind_quota.c: limits and quotas of a namespace. */
#include "base/limits.h"
#include "codec/names.h"
#include "codec/quantity.h"
#include "kinds/kind.h"

static const struct quantity unit = {.nano = 1000000000};

static bool has_slash(struct span name)
{
    return span_find(name, '/') < name.n;
}

static bool is_huge_page(struct span name)
{
    return span_starts(name, SPAN("hugepages-"));
}

static const struct quantity *amount(const yyjson_val *map, struct span name, struct quantity *ret)
{
    const yyjson_val *v = json_get_span(map, name);
    return v && !quantity_parse(json_str(v), ret) ? ret : NULL;
}

/* Names of resources and scopes are held against each other and every pod's: not too many. */
static void check_count(struct check *c, const struct path *p, const yyjson_val *list)
{
    if (json_len(list) > LIMIT_QUOTA_NAMES) {
        cause_too_many(c, p, json_len(list), LIMIT_QUOTA_NAMES);
    }
}

/* ---- limits ---- */

/* What `from` has and `to` has not. */
static void fill(yyjson_mut_doc *doc, yyjson_mut_val *item, const char *to, const char *from)
{
    size_t i, n;
    yyjson_mut_val *key, *val, *source = json_mut_get(item, from);
    if (!yyjson_mut_is_obj(source) || yyjson_mut_obj_size(source) == 0) {
        return;
    }
    yyjson_mut_val *target = json_mut_obj(doc, item, to);
    yyjson_mut_obj_foreach(source, i, n, key, val)
    {
        struct span name = json_mut_str(key);
        if (!yyjson_mut_obj_getn(target, name.p, name.n)) {
            json_put_span(doc, target, name, yyjson_mut_val_mut_copy(doc, val));
        }
    }
}

static void limitrange_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    size_t i, n;
    yyjson_mut_val *item;
    yyjson_mut_arr_foreach(json_mut_get(json_mut_get(obj, "spec"), "limits"), i, n, item)
    {
        if (span_eq(json_mut_str(json_mut_get(item, "type")), SPAN("Container"))) {
            fill(doc, item, "default", "max");
            fill(doc, item, "defaultRequest", "default");
            fill(doc, item, "defaultRequest", "min");
        }
    }
}

/* A pod or a container is bounded in what a container may ask for. */
static void check_limit_name(struct check *c, const struct path *p, struct span type,
                             const yyjson_val *key)
{
    struct span name = json_str(key);
    if (!span_eq_cstr(type, "PersistentVolumeClaim")) {
        check_resource_name(c, p, name);
        return;
    }
    format_check(c, p, "qualified", key);
    if (!has_slash(name) && !span_eq_cstr(name, "storage")) {
        cause_invalid(c, p, shown_text(c->a, name),
                      "must be a standard resource type or fully qualified");
    }
}

/* One resource within a limit, by the names of its members. */
enum { MIN, MAX, DEFAULT, REQUEST, RATIO, MEMBERS };
static const char *const members[MEMBERS] = {"min", "max", "default", "defaultRequest",
                                             "maxLimitRequestRatio"};

struct limit {
    const yyjson_val *item;
    struct span name;
    const struct quantity *has[MEMBERS]; /* NULL: not given */
};

static struct span text_of(const struct limit *l, int member)
{
    return json_str(json_get_span(json_get(l->item, members[member]), l->name));
}

static void check_order(struct check *c, const struct path *p, const struct limit *l)
{
    static const struct {
        int low, high, field, value; /* of which member the refusal is */
        const char *low_text, *high_text;
    } rules[] = {
        {MIN, MAX, MIN, MIN, "min", "max"},
        {MIN, REQUEST, REQUEST, REQUEST, "min", "default request"},
        {REQUEST, MAX, REQUEST, REQUEST, "default request", "max"},
        {REQUEST, DEFAULT, REQUEST, REQUEST, "default request", "default limit"},
        {MIN, DEFAULT, DEFAULT, MIN, "min", "default"},
        {DEFAULT, MAX, DEFAULT, MAX, "default", "max"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct quantity *low = l->has[rules[i].low], *high = l->has[rules[i].high];
        if (low && high && quantity_cmp(low, high) > 0) {
            cause_invalid(c, AT_KEY(AT_FIELD(p, members[rules[i].field]), l->name),
                          shown_text(c->a, text_of(l, rules[i].value)),
                          arena_printf(c->a, "%s value %.*s is greater than %s value %.*s",
                                       rules[i].low_text, SPAN_ARG(text_of(l, rules[i].low)),
                                       rules[i].high_text, SPAN_ARG(text_of(l, rules[i].high)))
                              .p);
        }
    }
}

static void check_ratio(struct check *c, const struct path *p, const struct limit *l)
{
    const struct path *here = AT_KEY(AT_FIELD(p, members[RATIO]), l->name);
    const struct quantity *ratio = l->has[RATIO];
    struct span text = text_of(l, RATIO), value = shown_text(c->a, text);
    if (!ratio) {
        return;
    }
    if (quantity_cmp(ratio, &unit) < 0) {
        cause_invalid(c, here, value,
                      arena_printf(c->a, "ratio %.*s is less than 1", SPAN_ARG(text)).p);
    }
    if (!l->has[MIN] || !l->has[MAX] || l->has[MIN]->nano == 0) {
        return;
    }
    double most = (double)l->has[MAX]->nano / (double)l->has[MIN]->nano;
    if ((double)ratio->nano / 1e9 > most) {
        cause_invalid(
            c, here, value,
            arena_printf(c->a, "ratio %.*s is greater than max/min = %f", SPAN_ARG(text), most).p);
    }
}

/* What is not shared out: what one may have is what it asks for. */
static void check_fixed(struct check *c, const struct path *p, const struct limit *l)
{
    const struct quantity *limit = l->has[DEFAULT], *request = l->has[REQUEST];
    if (limit && request && quantity_cmp(limit, request) != 0 &&
        (!names_native_resource(l->name) || is_huge_page(l->name))) {
        cause_invalid(
            c, AT_KEY(AT_FIELD(p, members[REQUEST]), l->name),
            shown_text(c->a, text_of(l, REQUEST)),
            arena_printf(c->a, "default value %.*s must equal to defaultRequest value %.*s in %.*s",
                         SPAN_ARG(text_of(l, DEFAULT)), SPAN_ARG(text_of(l, REQUEST)),
                         SPAN_ARG(l->name))
                .p);
    }
}

/* Every name once, in the member where it is first. */
static void check_amounts(struct check *c, const struct path *p, const yyjson_val *item)
{
    for (int m = 0; m < MEMBERS; m++) {
        JSON_EACH(it, json_get(item, members[m]))
        {
            struct limit l = {.item = item, .name = json_str(it.key)};
            struct quantity q[MEMBERS];
            bool seen = false;
            for (int k = 0; k < MEMBERS; k++) {
                l.has[k] = amount(json_get(item, members[k]), l.name, &q[k]);
                seen |= k < m && l.has[k];
            }
            if (!seen) {
                check_order(c, p, &l);
                check_ratio(c, p, &l);
                check_fixed(c, p, &l);
            }
        }
    }
}

static void check_limit(struct check *c, const struct path *p, const yyjson_val *item)
{
    struct span type = json_get_str(item, "type");
    bool is_pod = span_eq_cstr(type, "Pod");
    bool is_claim = span_eq_cstr(type, "PersistentVolumeClaim");
    bool few = true;
    for (int m = 0; m < MEMBERS; m++) {
        const struct path *here = AT_FIELD(p, members[m]);
        const yyjson_val *map = json_get(item, members[m]);
        check_count(c, here, map);
        few &= json_len(map) <= LIMIT_QUOTA_NAMES;
        if (is_pod && (m == DEFAULT || m == REQUEST) && json_len(map) > 0) {
            cause_forbidden(c, here, "may not be specified when `type` is 'Pod'");
            continue;
        }
        JSON_EACH(it, map)
        {
            check_limit_name(c, AT_KEY(here, json_str(it.key)), type, it.key);
        }
    }
    if (!span_eq_cstr(type, "Container") && !is_pod && !is_claim && !has_slash(type)) {
        cause_invalid(c, AT_FIELD(p, "type"), shown_text(c->a, type),
                      "must be a standard limit type or fully qualified");
    }
    if (is_claim && !json_path(item, "min", "storage", NULL) &&
        !json_path(item, "max", "storage", NULL)) {
        cause_required(c, AT_FIELD(p, "limits"),
                       "either minimum or maximum storage value is required, but neither was "
                       "provided");
    }
    if (few) {
        check_amounts(c, p, item);
    }
}

static void limitrange_validate(struct check *c, const yyjson_val *obj)
{
    const struct path *p = AT_FIELD(AT_FIELD(NULL, "spec"), "limits");
    const yyjson_val *limits = json_path(obj, "spec", "limits", NULL);
    size_t i = 0;
    JSON_EACH(it, limits)
    {
        const struct path *here = AT_INDEX(p, i);
        struct span type = json_get_str(it.val, "type");
        for (size_t k = 0; k < i && !c->too_many; k++) {
            if (span_eq(type, json_get_str(yyjson_arr_get((yyjson_val *)limits, k), "type"))) {
                cause_duplicate(c, AT_FIELD(here, "type"), shown_text(c->a, type));
                break;
            }
        }
        check_limit(c, here, it.val);
        i++;
    }
}

const struct schema_hooks schema_hooks_limitrange = {
    .defaults = limitrange_defaults, .validate = limitrange_validate, .field = kind_field_metadata};

/* ---- quotas ---- */

static const char *const computed[] = {"cpu",        "memory",        "requests.cpu",
                                       "limits.cpu", "limits.memory", "requests.memory"};
static const char *const counted[] = {"pods",
                                      "resourcequotas",
                                      "services",
                                      "replicationcontrollers",
                                      "secrets",
                                      "configmaps",
                                      "persistentvolumeclaims",
                                      "services.nodeports",
                                      "services.loadbalancers"};
static const char *const stored[] = {"ephemeral-storage", "requests.ephemeral-storage",
                                     "limits.ephemeral-storage", "requests.storage"};

static bool is_quota_name(struct span name)
{
    return SPAN_IS_ONE_OF(name, computed) || SPAN_IS_ONE_OF(name, counted) ||
           SPAN_IS_ONE_OF(name, stored) || is_huge_page(name) ||
           span_starts(name, SPAN("requests.hugepages-"));
}

static void check_hard(struct check *c, const struct path *p, const yyjson_val *map)
{
    check_count(c, p, map);
    check_quantities(c, p, map);
    JSON_EACH(it, map)
    {
        struct span name = json_str(it.key), text = shown_text(c->a, name);
        const struct path *here = AT_KEY(p, name);
        struct quantity q;
        format_check(c, here, "qualified", it.key);
        if (!has_slash(name) && !is_quota_name(name)) {
            if (!span_eq_cstr(name, "storage")) {
                cause_invalid(c, here, text, "must be a standard resource type or fully qualified");
            }
            cause_invalid(c, here, text, "must be a standard resource for quota");
        }
        bool whole = SPAN_IS_ONE_OF(name, counted) ||
                     (!names_native_resource(name) && !span_starts(name, SPAN("requests.")));
        if (whole && amount(map, name, &q) && q.nano % unit.nano != 0) {
            cause_invalid(c, here, shown(c->a, it.val), "must be an integer");
        }
    }
}

/* May a quota of this resource be limited to what is in the scope? */
static bool fits_scope(struct span scope, struct span name)
{
    if (!is_quota_name(name)) {
        return true;
    }
    if (span_eq_cstr(scope, "VolumeAttributesClass")) {
        return span_eq_cstr(name, "persistentvolumeclaims") ||
               span_eq_cstr(name, "requests.storage");
    }
    return span_eq_cstr(name, "pods") ||
           (!span_eq_cstr(scope, "BestEffort") && SPAN_IS_ONE_OF(name, computed));
}

static bool fits_all(struct span scope, const yyjson_val *hard)
{
    JSON_EACH(it, hard)
    {
        if (!fits_scope(scope, json_str(it.key))) {
            return false;
        }
    }
    return true;
}

static void check_conflicts(struct check *c, const struct path *p, const yyjson_val *shown_value,
                            const yyjson_val *list, const char *member)
{
    static const char *const pairs[2][2] = {{"BestEffort", "NotBestEffort"},
                                            {"Terminating", "NotTerminating"}};
    for (size_t i = 0; i < 2; i++) {
        bool has[2] = {false, false};
        JSON_EACH(it, list)
        {
            struct span scope = json_str(member ? json_get(it.val, member) : it.val);
            has[0] |= span_eq_cstr(scope, pairs[i][0]);
            has[1] |= span_eq_cstr(scope, pairs[i][1]);
        }
        if (has[0] && has[1]) {
            cause_invalid(c, p, shown(c->a, shown_value), "conflicting scopes");
        }
    }
}

static void check_scope_values(struct check *c, const struct path *p, const yyjson_val *one)
{
    struct span scope = json_get_str(one, "scopeName"), op = json_get_str(one, "operator");
    const yyjson_val *values = json_get(one, "values");
    bool of_values = span_eq_cstr(op, "In") || span_eq_cstr(op, "NotIn");
    if (!span_eq_cstr(scope, "PriorityClass") && !span_eq_cstr(scope, "VolumeAttributesClass") &&
        !span_eq_cstr(op, "Exists")) {
        cause_invalid(c, AT_FIELD(p, "operator"), shown_text(c->a, op),
                      "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
                      "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
                      "ResourceQuotaScopeNotBestEffort or "
                      "ResourceQuotaScopeCrossNamespacePodAffinity");
    }
    if (of_values && json_len(values) == 0) {
        cause_required(
            c, AT_FIELD(p, "values"),
            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
    } else if (!of_values && json_len(values) > 0) {
        cause_invalid(
            c, AT_FIELD(p, "values"), shown(c->a, values),
            "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
    }
}

static void quota_validate(struct check *c, const yyjson_val *obj)
{
    static const char misplaced[] = "unsupported scope applied to resource";
    const struct path *p = AT_FIELD(NULL, "spec"), *at = AT_FIELD(p, "scopes");
    const yyjson_val *spec = json_get(obj, "spec"), *scopes = json_get(spec, "scopes");
    const yyjson_val *hard = json_get(spec, "hard"), *selector = json_get(spec, "scopeSelector");
    check_hard(c, AT_FIELD(p, "hard"), hard);
    check_count(c, at, scopes);
    JSON_EACH(it, scopes)
    {
        if (!fits_all(json_str(it.val), hard)) {
            cause_invalid(c, at, shown(c->a, scopes), misplaced);
        }
    }
    check_conflicts(c, at, scopes, scopes, NULL);
    const struct path *chosen = AT_FIELD(AT_FIELD(p, "scopeSelector"), "matchExpressions");
    check_count(c, chosen, json_get(selector, "matchExpressions"));
    JSON_EACH(it, json_get(selector, "matchExpressions"))
    {
        if (!fits_all(json_get_str(it.val, "scopeName"), hard)) {
            cause_invalid(c, chosen, shown(c->a, selector), misplaced);
        }
        check_scope_values(c, chosen, it.val);
    }
    check_conflicts(c, chosen, scopes, json_get(selector, "matchExpressions"), "scopeName");
    if (c->old && !semantic_equal(scopes, json_path(c->old, "spec", "scopes", NULL))) {
        cause_invalid(c, at, shown(c->a, scopes), "field is immutable");
    }
}

static void quota_validate_status(struct check *c, const yyjson_val *obj)
{
    const struct path *p = AT_FIELD(NULL, "status");
    check_hard(c, AT_FIELD(p, "hard"), json_path(obj, "status", "hard", NULL));
    check_hard(c, AT_FIELD(p, "used"), json_path(obj, "status", "used", NULL));
}

const struct schema_hooks schema_hooks_quota = {.validate = quota_validate,
                                                .validate_status = quota_validate_status,
                                                .field = kind_field_metadata};
