#include "plan/quota_plan.h"

#include "base/check.h"
#include "base/sort.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "codec/names.h"
#include "schema/status.h"

#define CLASS_SUFFIX ".storageclass.storage.k8s.io/"

static const struct quantity one = {.nano = 1000000000};

/* ---- names ---- */

/* Resources that have a name of their own beside count/NAME. */
static const char *const by_themselves[] = {
    "pods",           "services", "persistentvolumeclaims", "configmaps",
    "resourcequotas", "secrets",  "replicationcontrollers"};
static const char *const of_pods[] = {
    "cpu",          "memory",          "ephemeral-storage",
    "requests.cpu", "requests.memory", "requests.ephemeral-storage",
    "limits.cpu",   "limits.memory",   "limits.ephemeral-storage"};

static bool is_of_class(struct span name)
{
    return span_ends(name, SPAN(CLASS_SUFFIX "persistentvolumeclaims")) ||
           span_ends(name, SPAN(CLASS_SUFFIX "requests.storage"));
}

struct span quota_resource(struct span name)
{
    if (span_starts(name, SPAN("count/"))) {
        struct span resource = span_from(name, sizeof "count/" - 1);
        /* Events come and go by themselves. */
        return span_eq_cstr(resource, "events") || span_eq_cstr(resource, "events.events.k8s.io")
                   ? SPAN("")
                   : resource;
    }
    if (SPAN_IS_ONE_OF(name, by_themselves)) {
        return name;
    }
    if (span_starts(name, SPAN("services."))) {
        return SPAN("services");
    }
    if (span_eq_cstr(name, "requests.storage") || is_of_class(name)) {
        return SPAN("persistentvolumeclaims");
    }
    bool requested = span_starts(name, SPAN("requests."));
    if (SPAN_IS_ONE_OF(name, of_pods) || span_starts(name, SPAN("hugepages-")) ||
        span_starts(name, SPAN("requests.hugepages-")) ||
        (requested && !names_native_resource(name))) {
        return SPAN("pods");
    }
    return SPAN("");
}

static int by_name(const void *x, const void *y)
{
    return span_cmp(((const struct quota_line *)x)->name, ((const struct quota_line *)y)->name);
}

struct quota_account quota_account(struct arena *a, const yyjson_val *quota)
{
    assert(a);
    const yyjson_val *spec = json_get(quota, "spec");
    struct amounts hard = amounts_of(a, json_get(spec, "hard"));
    struct quota_account q = {.name = json_str(json_path(quota, "metadata", "name", NULL)),
                              .spec = spec,
                              .lines = ARENA_ARRAY(a, struct quota_line, hard.n + 1),
                              .n = hard.n};
    for (size_t i = 0; i < hard.n; i++) {
        q.lines[i] = (struct quota_line){.name = hard.at[i].name,
                                         .resource = quota_resource(hard.at[i].name),
                                         .hard = hard.at[i].value};
    }
    sort_few(q.lines, q.n, sizeof *q.lines, by_name);
    return q;
}

/* ---- what an object uses ---- */

/* As the quota names what a pod has: those without a prefix are requests as well. */
static void add_requests(struct arena *a, struct amounts *to, const yyjson_val *pod)
{
    assert(to->n > 0);
    static const char *const plain[] = {"cpu", "memory", "ephemeral-storage"};
    struct amounts list = amounts_of_pod(a, pod, "requests", true);
    for (size_t i = 0; i < list.n; i++) {
        struct span name = list.at[i].name;
        bool bare = SPAN_IS_ONE_OF(name, plain) || span_starts(name, SPAN("hugepages-"));
        if (bare) {
            amounts_add(a, to, name, &list.at[i].value);
        }
        if (bare || !names_native_resource(name)) {
            amounts_add(a, to, ARENA_JOIN(a, SPAN("requests."), name), &list.at[i].value);
        }
    }
    list = amounts_of_pod(a, pod, "limits", true);
    for (size_t i = 0; i < list.n; i++) {
        if (SPAN_IS_ONE_OF(list.at[i].name, plain)) {
            amounts_add(a, to, ARENA_JOIN(a, SPAN("limits."), list.at[i].name), &list.at[i].value);
        }
    }
}

static void use_pod(struct arena *a, struct amounts *to, const yyjson_val *pod)
{
    assert(to->n > 0);
    if (!status_pod_ended(pod)) {
        amounts_add(a, to, SPAN("pods"), &one);
        add_requests(a, to, pod);
    }
}

static void use_service(struct arena *a, struct amounts *to, const yyjson_val *service)
{
    assert(to->n > 0);
    const yyjson_val *spec = json_get(service, "spec");
    struct span type = json_get_str(spec, "type");
    bool balanced = span_eq_cstr(type, "LoadBalancer");
    bool all = span_eq_cstr(type, "NodePort") ||
               (balanced && json_get_bool(spec, "allocateLoadBalancerNodePorts", true));
    amounts_add(a, to, SPAN("services"), &one);
    if (balanced) {
        amounts_add(a, to, SPAN("services.loadbalancers"), &one);
    }
    JSON_EACH(port, json_get(spec, "ports"))
    {
        if (all || (balanced && json_get_int(port.val, "nodePort", 0) != 0)) {
            amounts_add(a, to, SPAN("services.nodeports"), &one);
        }
    }
}

static void use_storage(struct arena *a, struct amounts *to, struct span class, const char *name,
                        const struct quantity *v)
{
    assert(to->n > 0);
    assert(name[0]);
    amounts_add(a, to, span_cstr(name), v);
    if (class.n) {
        amounts_add(a, to, arena_printf(a, "%.*s%s%s", SPAN_ARG(class), CLASS_SUFFIX, name), v);
    }
}

/* What it asks for or, while it shrinks or grows, has been given if that is more, in whole bytes.
 */
static void use_claim(struct arena *a, struct amounts *to, const yyjson_val *claim)
{
    assert(to->n > 0);
    const yyjson_val *spec = json_get(claim, "spec");
    struct span class = json_str(json_path(claim, "metadata", "annotations",
                                           "volume.beta.kubernetes.io/storage-class", NULL));
    class = class.n ? class : json_get_str(spec, "storageClassName");
    struct quantity asked, given;
    use_storage(a, to, class, "persistentvolumeclaims", &one);
    if (quantity_parse(json_str(json_path(spec, "resources", "requests", "storage", NULL)),
                       &asked)) {
        return;
    }
    if (!quantity_parse(json_str(json_path(claim, "status", "allocatedResources", "storage", NULL)),
                        &given) &&
        quantity_cmp(&given, &asked) > 0) {
        asked = given;
    }
    asked.nano = quantity_units(&asked) * one.nano;
    use_storage(a, to, class, "requests.storage", &asked);
}

struct quota_object quota_object(struct arena *a, struct span resource, const yyjson_val *object)
{
    static const struct {
        const char *resource;
        void (*use)(struct arena *a, struct amounts *to, const yyjson_val *object);
    } rows[] = {
        {"pods", use_pod}, {"services", use_service}, {"persistentvolumeclaims", use_claim}};
    struct quota_object o = {.resource = resource, .object = object};
    assert(resource.n > 0);
    if (!object) {
        return o;
    }
    amounts_add(a, &o.uses, ARENA_JOIN(a, SPAN("count/"), resource), &one);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (span_eq_cstr(resource, rows[i].resource)) {
            rows[i].use(a, &o.uses, object);
            return o;
        }
    }
    if (SPAN_IS_ONE_OF(resource, by_themselves)) {
        amounts_add(a, &o.uses, resource, &one);
    }
    return o;
}

/* ---- scopes ---- */

static bool term_crosses(const yyjson_val *term)
{
    return json_len(json_get(term, "namespaces")) > 0 || json_get(term, "namespaceSelector");
}

static bool affinity_crosses(const yyjson_val *affinity)
{
    JSON_EACH(it, json_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution"))
    {
        if (term_crosses(it.val)) {
            return true;
        }
    }
    JSON_EACH(it, json_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution"))
    {
        if (term_crosses(json_get(it.val, "podAffinityTerm"))) {
            return true;
        }
    }
    return false;
}

/* Is a value, of the names that the object has for the class, as the operator wants it? */
static bool class_fits(const yyjson_val *scope, const struct span *names, size_t n)
{
    assert(n > 0);
    struct span op = json_get_str(scope, "operator");
    bool any = false, among = false, other = false;
    for (size_t i = 0; i < n; i++) {
        bool listed = false;
        JSON_EACH(it, json_get(scope, "values"))
        {
            listed |= span_eq(json_str(it.val), names[i]);
        }
        any |= names[i].n > 0;
        among |= names[i].n > 0 && listed;
        other |= names[i].n > 0 && !listed;
    }
    return span_eq_cstr(op, "In")             ? among
           : span_eq_cstr(op, "NotIn")        ? other || !any
           : span_eq_cstr(op, "DoesNotExist") ? !any
                                              : any;
}

static bool pod_in_scope(struct span scope, const yyjson_val *selector, const yyjson_val *pod)
{
    const yyjson_val *spec = json_get(pod, "spec"), *affinity = json_get(spec, "affinity");
    bool ends_itself = json_int(json_get(spec, "activeDeadlineSeconds"), -1) >= 0;
    bool best_effort =
        span_eq_cstr(json_str(json_path(pod, "status", "qosClass", NULL)), "BestEffort");
    struct span class = json_get_str(spec, "priorityClassName");
    if (span_eq_cstr(scope, "PriorityClass")) {
        return class_fits(selector, &class, 1);
    }
    return span_eq_cstr(scope, "Terminating")      ? ends_itself
           : span_eq_cstr(scope, "NotTerminating") ? !ends_itself
           : span_eq_cstr(scope, "BestEffort")     ? best_effort
           : span_eq_cstr(scope, "NotBestEffort")  ? !best_effort
           : span_eq_cstr(scope, "CrossNamespacePodAffinity")
               ? affinity_crosses(json_get(affinity, "podAffinity")) ||
                     affinity_crosses(json_get(affinity, "podAntiAffinity"))
               : false;
}

static bool claim_in_scope(struct span scope, const yyjson_val *selector, const yyjson_val *claim)
{
    const yyjson_val *status = json_get(claim, "status");
    const struct span names[] = {
        json_str(json_path(claim, "spec", "volumeAttributesClassName", NULL)),
        json_get_str(status, "currentVolumeAttributesClassName"),
        json_str(json_path(status, "modifyVolumeStatus", "targetVolumeAttributesClassName", NULL))};
    return span_eq_cstr(scope, "VolumeAttributesClass") && class_fits(selector, names, 3);
}

/* selector: NULL, the scope is only named. */
static bool in_scope(struct span scope, const yyjson_val *selector, const struct quota_object *o)
{
    assert(o->object);
    return span_eq_cstr(o->resource, "pods") ? pod_in_scope(scope, selector, o->object)
           : span_eq_cstr(o->resource, "persistentvolumeclaims")
               ? claim_in_scope(scope, selector, o->object)
               : false;
}

bool quota_covers(const struct quota_account *q, const struct quota_object *o)
{
    assert(q);
    assert(o);
    bool concerns = false;
    for (size_t i = 0; i < q->n && !concerns; i++) {
        concerns = span_eq(q->lines[i].resource, o->resource);
    }
    if (!o->object || !concerns) {
        return false;
    }
    JSON_EACH(it, json_get(q->spec, "scopes"))
    {
        if (!in_scope(json_str(it.val), NULL, o)) {
            return false;
        }
    }
    JSON_EACH(it, json_path(q->spec, "scopeSelector", "matchExpressions", NULL))
    {
        if (!in_scope(json_get_str(it.val, "scopeName"), it.val, o)) {
            return false;
        }
    }
    return true;
}

/* ---- accounts ---- */

/* How much of the line's resource the object uses; covered: of the account at all. */
static struct quantity use_of(const struct quota_line *line, const struct quota_object *o,
                              bool covered)
{
    assert(!covered || o->object);
    const struct quantity *v =
        covered && span_eq(line->resource, o->resource) ? amounts_get(&o->uses, line->name) : NULL;
    return v ? *v : (struct quantity){0};
}

bool quota_count(struct quota_account *q, const struct quota_object *before,
                 const struct quota_object *now)
{
    assert(q);
    assert(span_eq(before->resource, now->resource));
    bool was = quota_covers(q, before), is = quota_covers(q, now), changed = false;
    for (size_t i = 0; i < q->n && (was || is); i++) {
        struct quota_line *line = &q->lines[i];
        struct quantity less = use_of(line, before, was), more = use_of(line, now, is);
        if (quantity_cmp(&less, &more) != 0) {
            amount_sub(&line->used, &less);
            amount_add(&line->used, &more);
            changed = true;
        }
    }
    return changed;
}

/* What the change uses more of the line; never less than nothing. */
static struct quantity growth(const struct quota_line *line, const struct quota_object *before,
                              const struct quota_object *now, bool was)
{
    assert(span_eq(before->resource, now->resource));
    struct quantity less = use_of(line, before, was), more = use_of(line, now, true);
    amount_sub(&more, &less);
    return more.nano > 0 ? more : (struct quantity){0};
}

void quota_pledge(struct quota_account *q, const struct quota_object *before,
                  const struct quota_object *now, int sign)
{
    assert(sign == 1 || sign == -1);
    if (!quota_covers(q, now)) {
        return;
    }
    bool was = quota_covers(q, before);
    for (size_t i = 0; i < q->n; i++) {
        struct quantity more = growth(&q->lines[i], before, now, was);
        (sign > 0 ? amount_add : amount_sub)(&q->lines[i].pledged, &more);
        assert(q->lines[i].pledged.nano >= 0);
    }
}

/* ---- refusals ---- */

/* A quota of these wants every container to say what it needs. */
static const char *const demanded[] = {"cpu",    "limits.cpu",   "limits.memory",
                                       "memory", "requests.cpu", "requests.memory"};

static bool names_it(const yyjson_val *container, struct span name)
{
    bool limit = span_starts(name, SPAN("limits."));
    size_t dot = span_find(name, '.');
    struct span resource = dot < name.n ? span_from(name, dot + 1) : name;
    return json_get_span(json_path(container, "resources", limit ? "limits" : "requests", NULL),
                         resource);
}

static int by_text(const void *x, const void *y)
{
    return span_cmp(*(const struct span *)x, *(const struct span *)y);
}

/* "limits.cpu for: a,b" of the containers that do not name it. */
static void put_missing(struct arena *a, struct strbuf *out, struct span name,
                        const yyjson_val *spec)
{
    static const char *const lists[] = {"containers", "initContainers"};
    struct span *missing =
        ARENA_ARRAY(a, struct span,
                    json_len(json_get(spec, lists[0])) + json_len(json_get(spec, lists[1])) + 1);
    size_t n = 0;
    for (size_t l = 0; l < 2; l++) {
        JSON_EACH(it, json_get(spec, lists[l]))
        {
            if (!names_it(it.val, name)) {
                missing[n++] = json_get_str(it.val, "name");
            }
        }
    }
    sort_few(missing, n, sizeof *missing, by_text);
    for (size_t i = 0; i < n; i++) {
        if (i == 0) {
            strbuf_printf(out, "%s%.*s for: ", out->n ? "; " : "", SPAN_ARG(name));
        }
        strbuf_printf(out, "%s%.*s", i ? "," : "", SPAN_ARG(missing[i]));
    }
}

/* Of a pod that says for itself as a whole what it needs, the containers need not. */
static bool speaks_as_a_whole(const yyjson_val *spec)
{
    const yyjson_val *resources = json_get(spec, "resources");
    return json_len(json_get(resources, "requests")) > 0 ||
           json_len(json_get(resources, "limits")) > 0;
}

static struct span lacks(struct arena *a, const struct quota_account *q,
                         const struct quota_object *o)
{
    assert(o->object);
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    const yyjson_val *spec = json_get(o->object, "spec");
    if (!span_eq_cstr(o->resource, "pods") || speaks_as_a_whole(spec)) {
        return SPAN_NULL;
    }
    for (size_t i = 0; i < q->n; i++) {
        if (SPAN_IS_ONE_OF(q->lines[i].name, demanded)) {
            put_missing(a, &out, q->lines[i].name, spec);
        }
    }
    return out.n ? arena_printf(a, "failed quota: %.*s: must specify %.*s", SPAN_ARG(q->name),
                                SPAN_ARG(strbuf_span(&out)))
                 : SPAN_NULL;
}

static void put_amount(struct strbuf *b, struct span name, const struct quantity *v)
{
    char buf[QUANTITY_TEXT_BYTES];
    strbuf_printf(b, "%s%.*s=%.*s", b->n ? "," : "", SPAN_ARG(name), SPAN_ARG(amount_text(v, buf)));
}

static struct span exceeds(struct arena *a, const struct quota_account *q,
                           const struct quota_object *before, const struct quota_object *now)
{
    assert(quota_covers(q, now));
    struct strbuf requested cleanup_strbuf = STRBUF_INIT, used cleanup_strbuf = STRBUF_INIT,
                            limited cleanup_strbuf = STRBUF_INIT;
    bool was = quota_covers(q, before);
    for (size_t i = 0; i < q->n; i++) {
        const struct quota_line *line = &q->lines[i];
        struct quantity more = growth(line, before, now, was), has = line->used, all;
        amount_add(&has, &line->pledged);
        all = has;
        amount_add(&all, &more);
        if (more.nano > 0 && quantity_cmp(&all, &line->hard) > 0) {
            put_amount(&requested, line->name, &more);
            put_amount(&used, line->name, &has);
            put_amount(&limited, line->name, &line->hard);
        }
    }
    return requested.n
               ? arena_printf(a, "exceeded quota: %.*s, requested: %.*s, used: %.*s, limited: %.*s",
                              SPAN_ARG(q->name), SPAN_ARG(strbuf_span(&requested)),
                              SPAN_ARG(strbuf_span(&used)), SPAN_ARG(strbuf_span(&limited)))
               : SPAN_NULL;
}

struct span quota_refusal(struct arena *a, const struct quota_account *quotas, size_t n,
                          const struct quota_object *before, const struct quota_object *now)
{
    assert(a);
    assert(now->object);
    struct span why = SPAN_NULL;
    for (size_t i = 0; i < n && why.n == 0; i++) {
        why = quota_covers(&quotas[i], now) ? lacks(a, &quotas[i], now) : SPAN_NULL;
    }
    for (size_t i = 0; i < n && why.n == 0; i++) {
        why = quota_covers(&quotas[i], now) ? exceeds(a, &quotas[i], before, now) : SPAN_NULL;
    }
    return why;
}

/* ---- room ---- */

bool quota_refused(struct span message)
{
    const struct span mark = SPAN(" is forbidden: exceeded quota: ");
    return message.n && memmem(message.p, message.n, mark.p, mark.n);
}

/* Is an amount of the first map more than that in the second, or not there? */
static bool any_more(const yyjson_val *map, const yyjson_val *than)
{
    JSON_EACH(it, map)
    {
        struct quantity a, b;
        const yyjson_val *other = json_get_span(than, json_str(it.key));
        if (!other || (!quantity_parse(json_str(it.val), &a) &&
                       !quantity_parse(json_str(other), &b) && quantity_cmp(&a, &b) > 0)) {
            return true;
        }
    }
    return false;
}

bool quota_gives_room(const yyjson_val *before, const yyjson_val *now)
{
    const yyjson_val *was = json_get(before, "spec"), *is = json_get(now, "spec");
    return !before || !now || any_more(json_get(was, "hard"), json_get(is, "hard")) ||
           any_more(json_get(is, "hard"), json_get(was, "hard")) ||
           !json_equal(json_get(was, "scopeSelector"), json_get(is, "scopeSelector")) ||
           any_more(json_path(before, "status", "used", NULL),
                    json_path(now, "status", "used", NULL));
}
