/* sim/allowance.c: see allowance.h. */
#include "sim/allowance.h"

#include "client/client_body.h"
#include "codec/quantity.h"
#include "schema/kinds.h"
#include "schema/status.h"
#include "sim/check.h"
#include "sim/platform_priv.h"

enum {
    SOON_MS = 2000,
    ENOUGH = 9000, /* for all that any history asks for */
    /* A write that was let in before the quota is stored after it at most so much later. */
    IN_FORCE_MS = 1500,
};

#define QUOTA_KEY SPAN("resourcequotas/default/room")

/* ---- users ---- */

static void ask(struct platform *w, enum client_verb verb, struct span body)
{
    const struct client_request rq =
        sim_user_request(verb, SCHEMA_KIND(ResourceQuota), SPAN("room"), body);
    sim_request(w, SIM_DEED_QUOTA, &rq, "the quota");
}

static struct object *quota_now(const struct platform *w)
{
    return w->env ? watch_hub_get(w->hub, QUOTA_KEY) : NULL;
}

/* Of everything that it limits: n, in units that are small or large enough. */
static struct span hard_of(struct arena *a, struct object *quota, int n)
{
    struct span text = SPAN("");
    JSON_EACH(it, json_path(object_root(quota), "spec", "hard", NULL))
    {
        struct span name = json_str(it.key);
        text = arena_printf(a, "%.*s%s\"%.*s\":\"%d%s\"", SPAN_ARG(text), text.n ? "," : "",
                            SPAN_ARG(name), span_eq_cstr(name, "requests.cpu") ? 10 * n : n,
                            span_eq_cstr(name, "requests.cpu")       ? "m"
                            : span_eq_cstr(name, "requests.storage") ? "Gi"
                                                                     : "");
    }
    return arena_printf(a, "{\"spec\":{\"hard\":{%.*s}}}", SPAN_ARG(text));
}

static void make(struct platform *w)
{
    /* With %d: so many of what sets have. */
    static const char *const specs[] = {
        "\"hard\":{\"pods\":\"%d\"}",
        "\"hard\":{\"count/pods\":\"%d\",\"persistentvolumeclaims\":\"3\"}",
        "\"hard\":{\"requests.cpu\":\"%d0m\",\"pods\":\"4\"},\"scopes\":[\"NotBestEffort\"]",
        "\"hard\":{\"pods\":\"%d\"},\"scopes\":[\"BestEffort\"]",
        "\"hard\":{\"requests.storage\":\"%dGi\",\"count/statefulsets.apps\":\"2\"}",
        "\"hard\":{\"pods\":\"%d\"},\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":"
        "\"PriorityClass\",\"operator\":\"In\",\"values\":[\"high\",\"least\"]}]}"};
    struct arena *a cleanup_arena = arena_new();
    struct span spec = span_cstr(specs[sim_roll(w, sizeof specs / sizeof *specs)]);
    size_t at = span_find(spec, '%');
    ask(w, CLIENT_CREATE,
        arena_printf(a,
                     "{\"kind\":\"ResourceQuota\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
                     "\"room\"},\"spec\":{%.*s%d%.*s}}",
                     SPAN_ARG(span_first(spec, at)), 1 + (int)sim_roll(w, 5),
                     SPAN_ARG(span_from(spec, at + 2))));
}

void allowance_act(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *quota = quota_now(w);
    if (!quota) {
        make(w);
    } else if (sim_roll(w, 3) == 0) {
        ask(w, CLIENT_DELETE, SPAN_NULL);
    } else {
        ask(w, CLIENT_PATCH_MERGE, hard_of(a, quota, 1 + (int)sim_roll(w, 5)));
    }
}

void allowance_asked(struct platform *w, const struct client_request *rq, bool done)
{
    if (rq->kind == SCHEMA_KIND(ResourceQuota)) {
        w->allowance.asked_ms = sim_now_ms(w);
        if (done && rq->verb == CLIENT_DELETE) {
            w->allowance.room_ms = sim_now_ms(w);
        }
    }
}

void allowance_tidy_up(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *quota = quota_now(w);
    if (quota) {
        ask(w, CLIENT_PATCH_MERGE, hard_of(a, quota, ENOUGH));
        w->allowance.room_ms =
            w->answered && w->answer == ERR_NONE ? w->allowance.asked_ms : w->allowance.room_ms;
    }
}

/* ---- what is used ---- */

struct sum {
    const yyjson_val *spec; /* of the quota */
    struct span name;       /* of its hard */
    __int128 nano;
};

static bool is_best_effort(const yyjson_val *pod_spec)
{
    JSON_EACH(it, json_get(pod_spec, "containers"))
    {
        const yyjson_val *resources = json_get(it.val, "resources");
        if (json_len(json_get(resources, "requests")) + json_len(json_get(resources, "limits"))) {
            return false;
        }
    }
    return true;
}

static bool in_scope(const yyjson_val *quota_spec, const yyjson_val *pod_spec)
{
    struct span scope = json_str(yyjson_arr_get_first(json_get(quota_spec, "scopes"))),
                class = json_get_str(pod_spec, "priorityClassName");
    bool by_class = json_get(quota_spec, "scopeSelector");
    return (scope.n == 0 || span_eq_cstr(scope, "BestEffort") == is_best_effort(pod_spec)) &&
           (!by_class || span_eq_cstr(class, "high") || span_eq_cstr(class, "least"));
}

static __int128 nano_of(const yyjson_val *amount)
{
    struct quantity q;
    return quantity_parse(json_str(amount), &q) ? 0 : q.nano;
}

enum { ONE = 1000000000 };

static __int128 pod_uses(const struct sum *s, struct object *pod)
{
    const yyjson_val *spec = json_get(object_root(pod), "spec");
    bool over = status_pod_ended(object_root(pod));
    __int128 cpu = 0;
    if (!in_scope(s->spec, spec)) {
        return 0;
    }
    JSON_EACH(it, json_get(spec, "containers"))
    {
        cpu += nano_of(json_path(it.val, "resources", "requests", "cpu", NULL));
    }
    return span_eq_cstr(s->name, "count/pods") ? ONE
           : over                              ? 0
           : span_eq_cstr(s->name, "pods")     ? ONE
                                               : cpu;
}

/* The resource of the API that a name is about. */
static const char *resource_of(struct span name)
{
    return span_eq_cstr(name, "count/statefulsets.apps") ? "statefulsets.apps"
           : span_eq_cstr(name, "requests.storage") || span_eq_cstr(name, "persistentvolumeclaims")
               ? "persistentvolumeclaims"
               : "pods";
}

/* What it asks for, or what it has been given already, when that is more. */
static __int128 claim_uses(struct object *claim)
{
    const yyjson_val *root = object_root(claim);
    __int128 asked = nano_of(json_path(root, "spec", "resources", "requests", "storage", NULL));
    const yyjson_val *given = json_path(root, "status", "allocatedResources", "storage", NULL);
    return given && nano_of(given) > asked ? nano_of(given) : asked;
}

static __int128 use_of(const struct sum *s, struct object *o)
{
    struct span rest = object_store_key(o), resource = span_cut(&rest, '/');
    return !span_eq_cstr(resource, resource_of(s->name)) ||
                   !span_eq_cstr(object_namespace(o), "default")
               ? 0
           : span_eq_cstr(resource, "pods")            ? pod_uses(s, o)
           : span_eq_cstr(s->name, "requests.storage") ? claim_uses(o)
                                                       : ONE;
}

static void add_use(void *data, struct object *o)
{
    struct sum *s = data;
    s->nano += use_of(s, o);
}

static __int128 used_now(struct platform *w, struct object *quota, struct span name)
{
    struct sum s = {json_get(object_root(quota), "spec"), name, 0};
    record_each(w->record, span_cstr(resource_of(name)), add_use, &s);
    return s.nano;
}

/* Lists tell in no order; what is told after a restart may be older than the quota. */
void allowance_on_change(struct platform *w, struct object *old, struct object *now)
{
    if (old || !now || w->allowance.asked_ms == 0) {
        return;
    }
    struct object *quota = quota_now(w);
    const yyjson_val *spec = quota ? json_get(object_root(quota), "spec") : NULL;
    if (!quota || w->is_catching_up || w->forgotten_ms == sim_now_ms(w) ||
        w->allowance.asked_ms >= sim_now_ms(w) - IN_FORCE_MS) {
        return;
    }
    JSON_EACH(it, json_get(spec, "hard"))
    {
        struct sum s = {spec, json_str(it.key), 0};
        if (use_of(&s, now) == 0) {
            continue;
        }
        sim_saw(w, SIM_DEED_SAW_QUOTA);
        __int128 used = used_now(w, quota, s.name);
        if (used > nano_of(it.val)) {
            sim_fail(w, "overrun", "%.*s is made: of %.*s %lld thousandths are used then of %.*s",
                     SPAN_ARG(object_store_key(now)), SPAN_ARG(s.name),
                     (long long)(used / (ONE / 1000)), SPAN_ARG(json_str(it.val)));
        }
    }
}

/* ---- who waits ---- */

/* It was refused, and then there was room. */
static bool is_waiting(const struct platform *w)
{
    return w->allowance.refused_ms > 0 && w->allowance.room_ms >= w->allowance.refused_ms;
}

/* Of what a set has: pods and claims. */
static bool is_of_sets(const struct client_request *rq)
{
    return rq->verb == CLIENT_CREATE && rq->subresource.n == 0 &&
           (rq->kind == SCHEMA_KIND(Pod) || rq->kind == SCHEMA_KIND(PersistentVolumeClaim)) &&
           span_eq_cstr(rq->field_manager, "statefulset-controller");
}

void allowance_on_request(struct platform *w, const struct client_request *rq)
{
    if (is_waiting(w) && is_of_sets(rq)) {
        sim_saw(w, SIM_DEED_SAW_QUOTA_WAIT);
        w->allowance.refused_ms = 0;
    }
}

void allowance_on_refused(struct platform *w, const struct client_request *rq,
                          const struct err *err)
{
    static const char mark[] = "exceeded quota";
    struct arena *a cleanup_arena = arena_new_small();
    if (w->allowance.asked_ms && is_of_sets(rq) && strstr(arena_cstr(a, err->message), mark) &&
        strstr(arena_cstr(a, err->message), "redis-")) {
        w->allowance.refused_ms = sim_now_ms(w);
    }
}

/* A pod that the set wants is not there, and none before it is waited for: else it need not try. */
static bool lacks_one(const struct platform *w, const struct sim_rules *r)
{
    struct arena *a cleanup_arena = arena_new_small();
    for (int64_t i = 0; i < ORDINALS; i++) {
        struct span key = arena_printf(a, "pods/default/redis-%lld", (long long)i);
        const struct sim_seat *seat = &w->seats[i];
        if (rules_in_range(r, i) && !record_get(w->record, key)) {
            return true;
        }
        if (rules_in_range(r, i) && !r->parallel && (seat->deleting || !seat->ready)) {
            return false;
        }
    }
    return false;
}

/* Nothing but the quota has changed since the set was refused, and nobody holds back for another
 * reason. */
void allowance_look(struct platform *w)
{
    const struct sim_allowance *q = &w->allowance;
    const struct sim_rules *r = &w->rules.at[w->rules.n - 1];
    if (!is_waiting(w) || sim_now_ms(w) < q->room_ms + SOON_MS + 4 * w->weather.late_ms) {
        return;
    }
    if (q->asked_ms == q->room_ms && r->exists && !r->deleting && w->changed_ms < q->refused_ms &&
        w->trouble_ms < q->refused_ms && w->controllers_ms < q->refused_ms &&
        w->listed_ms < q->refused_ms && lacks_one(w, r)) {
        sim_fail(w, "quota-wait", "the set was refused, and does not try again");
    }
    w->allowance.refused_ms = 0;
}

/* ---- at rest ---- */

const char *allowance_at_rest(struct platform *w)
{
    struct object *quota = quota_now(w);
    const yyjson_val *spec = quota ? json_get(object_root(quota), "spec") : NULL,
                     *status = quota ? json_get(object_root(quota), "status") : NULL;
    if (!quota) {
        return NULL;
    }
    if (!json_equal(json_get(spec, "hard"), json_get(status, "hard"))) {
        return "a quota's status allows something else";
    }
    JSON_EACH(it, json_get(spec, "hard"))
    {
        if (nano_of(json_get_span(json_get(status, "used"), json_str(it.key))) !=
            used_now(w, quota, json_str(it.key))) {
            return "a quota's status says that something else is used";
        }
    }
    return NULL;
}
