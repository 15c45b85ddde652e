/* controller/statefulset_view.c: from objects to the planner's view. */
#include "base/check.h"
#include "codec/time.h"
#include "controller/statefulset_priv.h"

enum { ALL_OWNERS_FIT = 7 };

struct span statefulset_claim_name(struct set_sync *x, const yyjson_val *claim_template,
                                   int32_t ordinal)
{
    struct span template = json_str(json_path(claim_template, "metadata", "name", NULL));
    return arena_printf(x->a, "%.*s-%.*s-%d", SPAN_ARG(template), SPAN_ARG(x->name), (int)ordinal);
}

/* ---- claims ---- */

static bool is_ref_to(const yyjson_val *ref, const char *kind, struct span name)
{
    return span_eq_cstr(json_get_str(ref, "kind"), kind) &&
           span_eq(json_get_str(ref, "name"), name);
}

bool statefulset_claim_is_foreign(struct set_sync *x, struct object *claim, struct span pod_name,
                                  struct span pod_uid)
{
    JSON_EACH(it, client_owners(claim))
    {
        struct span uid = json_get_str(it.val, "uid");
        bool ours = span_eq(uid, x->uid) || (pod_uid.n && span_eq(uid, pod_uid));
        bool twin = is_ref_to(it.val, "StatefulSet", x->name) || is_ref_to(it.val, "Pod", pod_name);
        if (!ours && (twin || json_get_bool(it.val, "controller", false))) {
            return true;
        }
    }
    return false;
}

static uint8_t owner_fits(struct set_sync *x, struct object *claim, struct span pod_name,
                          struct span pod_uid)
{
    bool set_ref = false, pod_ref = false, weak = false;
    JSON_EACH(it, client_owners(claim))
    {
        struct span uid = json_get_str(it.val, "uid");
        bool to_set = span_eq(uid, x->uid), to_pod = pod_uid.n && span_eq(uid, pod_uid);
        set_ref |= to_set;
        pod_ref |= to_pod;
        weak |= (to_set || to_pod) && !json_get_bool(it.val, "controller", false);
    }
    if (statefulset_claim_is_foreign(x, claim, pod_name, pod_uid)) {
        return set_ref || pod_ref ? 0 : ALL_OWNERS_FIT;
    }
    if (weak || (set_ref && pod_ref)) {
        return 0;
    }
    return (uint8_t)(1u << (set_ref   ? STATEFULSET_OWNER_SET
                            : pod_ref ? STATEFULSET_OWNER_POD
                                      : STATEFULSET_OWNER_NONE));
}

static bool has_stale_owner(struct object *claim, struct span pod_name)
{
    JSON_EACH(it, client_owners(claim))
    {
        if (is_ref_to(it.val, "Pod", pod_name)) {
            return true;
        }
    }
    return false;
}

/* pod_uid is empty for a hole. */
static struct statefulset_claims claims_of(struct set_sync *x, int32_t ordinal, struct span pod_uid)
{
    struct statefulset_claims r = {.owner_fits = ALL_OWNERS_FIT};
    struct span pod_name = arena_printf(x->a, "%.*s-%d", SPAN_ARG(x->name), (int)ordinal);
    JSON_EACH(it, json_get(x->spec, "volumeClaimTemplates"))
    {
        struct object *claim =
            informer_get(x->c->claims, x->ns, statefulset_claim_name(x, it.val, ordinal));
        if (!claim) {
            r.missing = true;
            continue;
        }
        r.terminating |= object_is_deleting(claim);
        r.stale |= pod_uid.n == 0 && has_stale_owner(claim, pod_name);
        r.owner_fits &= owner_fits(x, claim, pod_name, pod_uid);
    }
    return r;
}

/* ---- pods ---- */

static uint8_t phase_of(struct object *pod)
{
    static const struct {
        const char *text;
        enum statefulset_phase phase;
    } phases[] = {{"Pending", STATEFULSET_PENDING},
                  {"Running", STATEFULSET_RUNNING},
                  {"Succeeded", STATEFULSET_SUCCEEDED},
                  {"Failed", STATEFULSET_FAILED}};
    struct span phase = json_str(json_path(object_root(pod), "status", "phase", NULL));
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        if (span_eq_cstr(phase, phases[i].text)) {
            return (uint8_t)phases[i].phase;
        }
    }
    return STATEFULSET_UNKNOWN;
}

static bool identity_fits(struct object *pod, struct span ordinal_text)
{
    yyjson_val *labels = json_path(object_root(pod), "metadata", "labels", NULL);
    return span_eq(json_get_str(labels, "statefulset.kubernetes.io/pod-name"), object_name(pod)) &&
           span_eq(json_get_str(labels, "apps.kubernetes.io/pod-index"), ordinal_text);
}

static struct statefulset_pod pod_of(struct set_sync *x, const struct set_pod *sp)
{
    struct object *pod = sp->object;
    struct span label = json_get_str(json_path(object_root(pod), "metadata", "labels", NULL),
                                     "controller-revision-hash");
    yyjson_val *ready = client_condition(pod, "Ready");
    return (struct statefulset_pod){
        .ordinal = sp->ordinal,
        .phase = phase_of(pod),
        .ready = span_eq_cstr(json_get_str(ready, "status"), "True"),
        .terminating = object_is_deleting(pod),
        .at_current = span_eq(label, x->current_name),
        .at_update = span_eq(label, x->update_name),
        .identity_fits = identity_fits(pod, arena_printf(x->a, "%d", (int)sp->ordinal)),
        .ready_since_ms = time_or(json_get_str(ready, "lastTransitionTime"), 0),
        .claims = claims_of(x, sp->ordinal, object_uid(pod))};
}

/* ---- rules ---- */

static int32_t int32_at(const yyjson_val *obj, const char *key, int32_t otherwise)
{
    int64_t v = json_get_int(obj, key, otherwise);
    return v < 0 ? 0 : v > INT32_MAX ? INT32_MAX : (int32_t)v;
}

static int32_t max_unavailable_of(const yyjson_val *rolling, int32_t replicas)
{
    yyjson_val *v = json_get(rolling, "maxUnavailable");
    struct span text = json_str(v);
    int64_t n = 0;
    if (text.n > 1 && text.p[text.n - 1] == '%' && span_to_i64(span_first(text, text.n - 1), &n)) {
        return statefulset_max_unavailable(n, true, replicas);
    }
    return yyjson_is_int(v) ? statefulset_max_unavailable(json_int(v, 1), false, replicas) : 0;
}

static void observe_rules(struct set_sync *x)
{
    struct statefulset_view *v = &x->view;
    yyjson_val *strategy = json_get(x->spec, "updateStrategy");
    yyjson_val *rolling = json_get(strategy, "rollingUpdate");
    yyjson_val *retention = json_get(x->spec, "persistentVolumeClaimRetentionPolicy");
    v->now_ms = x->s->now_ms;
    v->deleting = object_is_deleting(x->set);
    v->parallel = span_eq_cstr(json_get_str(x->spec, "podManagementPolicy"), "Parallel");
    struct span type = json_get_str(strategy, "type");
    /* Anything but RollingUpdate replaces no pod: validation refuses what we do not know. */
    v->on_delete = type.n && !span_eq_cstr(type, "RollingUpdate");
    v->has_rolling = rolling != NULL;
    v->delete_when_scaled = span_eq_cstr(json_get_str(retention, "whenScaled"), "Delete");
    v->delete_when_deleted = span_eq_cstr(json_get_str(retention, "whenDeleted"), "Delete");
    v->replicas = int32_at(x->spec, "replicas", 1);
    v->start = int32_at(json_get(x->spec, "ordinals"), "start", 0);
    v->partition = int32_at(rolling, "partition", 0);
    v->max_unavailable = max_unavailable_of(rolling, v->replicas);
    v->min_ready_s = int32_at(x->spec, "minReadySeconds", 0);
}

void statefulset_observe(struct set_sync *x)
{
    observe_rules(x);
    struct statefulset_view *v = &x->view;
    struct statefulset_pod *pods = ARENA_ARRAY(x->a, struct statefulset_pod, x->pod_count + 1);
    for (size_t i = 0; i < x->pod_count; i++) {
        pods[i] = pod_of(x, &x->pods[i]);
    }
    v->pods = pods;
    v->pod_count = x->pod_count;
    int32_t ordinals[STATEFULSET_HOLES_MAX];
    v->hole_count = statefulset_holes(v, ordinals);
    struct statefulset_hole *holes = ARENA_ARRAY(x->a, struct statefulset_hole, v->hole_count + 1);
    for (size_t i = 0; i < v->hole_count; i++) {
        holes[i] = (struct statefulset_hole){ordinals[i], claims_of(x, ordinals[i], SPAN_NULL)};
    }
    v->holes = holes;
}
