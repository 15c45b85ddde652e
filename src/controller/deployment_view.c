/* controller/deployment_view.c: from objects to the planner's view. */
#include "base/check.h"
#include "codec/time.h"
#include "controller/deployment_priv.h"
#include "schema/kinds.h"

bool deployment_recreates(struct object *deployment)
{
    assert(deployment);
    yyjson_val *type = json_path(client_spec(deployment), "strategy", "type", NULL);
    return span_eq_cstr(json_str(type), "Recreate");
}

/* ---- sets ---- */

/* Labels are equal but for pod-template-hash, which only a has. */
static bool same_labels(const yyjson_val *a, const yyjson_val *b)
{
    size_t n = 0;
    JSON_EACH(it, a)
    {
        struct span key = json_str(it.key);
        yyjson_val *other = yyjson_obj_getn((yyjson_val *)b, key.p, key.n);
        if (span_eq_cstr(key, "pod-template-hash")) {
            n += other != NULL;
            continue;
        }
        if (!other || !span_eq(json_str(it.val), json_str(other))) {
            return false;
        }
        n++;
    }
    return n == json_len(b);
}

static const struct schema_type *type_of(const struct schema_type *type, const char *member)
{
    const struct schema_field *f = schema_field_find(type, span_cstr(member));
    assert(f);
    assert(f->type);
    return f->type;
}

/* Two words for one thing are one template: "1Gi" and "1024Mi", "tty: false" and nothing. */
bool deployment_same_template(struct object *set, const yyjson_val *pod_template)
{
    static const char *const metadata[] = {"metadata", NULL}, *const labels[] = {"labels", NULL};
    assert(set);
    const struct schema_type *type =
        type_of(type_of(SCHEMA_KIND(ReplicaSet)->type, "spec"), "template");
    yyjson_val *has = json_get(client_spec(set), "template");
    yyjson_val *meta = json_get(has, "metadata"), *wanted = json_get(pod_template, "metadata");
    return schema_same(type, has, pod_template, metadata) &&
           schema_same(type_of(type, "metadata"), meta, wanted, labels) &&
           same_labels(json_get(meta, "labels"), json_get(wanted, "labels"));
}

static int64_t number_of(const yyjson_val *annotations, const char *key, int64_t otherwise)
{
    int64_t n;
    return span_to_i64(json_get_str(annotations, key), &n) && n >= 0 ? n : otherwise;
}

static int32_t count_of(const yyjson_val *annotations, const char *key)
{
    int64_t n = number_of(annotations, key, -1);
    return n > INT32_MAX ? -1 : (int32_t)n;
}

static struct deployment_set set_of(struct object *o)
{
    yyjson_val *root = object_root(o), *meta = json_get(root, "metadata");
    yyjson_val *notes = json_get(meta, "annotations"), *status = json_get(root, "status");
    yyjson_val *failure = client_condition(o, "ReplicaFailure");
    return (struct deployment_set){
        .name = object_name(o),
        .spec = owned_int32(json_get(root, "spec"), "replicas", 1),
        .replicas = owned_int32(status, "replicas", 0),
        .ready = owned_int32(status, "readyReplicas", 0),
        .available = owned_int32(status, "availableReplicas", 0),
        .terminating = owned_int32(status, "terminatingReplicas", 0),
        .desired = count_of(notes, "deployment.kubernetes.io/desired-replicas"),
        .max = count_of(notes, "deployment.kubernetes.io/max-replicas"),
        .revision = number_of(notes, "deployment.kubernetes.io/revision", 0),
        .created_ms = time_or(json_get_str(meta, "creationTimestamp"), 0),
        .deleting = object_is_deleting(o),
        .observed =
            json_get_int(status, "observedGeneration", 0) >= json_get_int(meta, "generation", 0),
        .failure_reason = json_get_str(failure, "reason"),
        .failure_message = json_get_str(failure, "message")};
}

/* The oldest of those with the template, as Kubernetes chooses. */
static int32_t find_new(struct deployment_sync *x, const struct deployment_set *sets)
{
    yyjson_val *template = json_get(x->own.spec, "template");
    int32_t found = DEPLOYMENT_NO_SET;
    for (size_t i = 0; i < x->sets.n; i++) {
        bool better = found < 0 || sets[i].created_ms < sets[found].created_ms;
        if (better && deployment_same_template(x->sets.at[i], template)) {
            found = (int32_t)i;
        }
    }
    return found;
}

/* ---- pods ---- */

static bool find_live(void *data, struct object *pod)
{
    bool *live = data;
    *live |= owned_pod_rank(pod).phase != POD_RANK_ENDED;
    return !*live;
}

static bool old_pods_live(struct deployment_sync *x, int32_t newest)
{
    const struct owned_kind *pods = &x->c->pods;
    bool live = false;
    for (size_t i = 0; i < x->sets.n && !live; i++) {
        if ((int32_t)i != newest) {
            informer_index_each(pods->informer, pods->by_controller, object_uid(x->sets.at[i]),
                                find_live, &live);
        }
    }
    return live;
}

/* ---- status ---- */

static void read_condition(struct deployment_status *st, const yyjson_val *c)
{
    assert(st->condition_count <= sizeof st->conditions / sizeof *st->conditions);
    struct span type = json_get_str(c, "type"), status = json_get_str(c, "status");
    size_t room = sizeof st->conditions / sizeof *st->conditions;
    for (int t = DEPLOYMENT_PROGRESSING; t <= DEPLOYMENT_FAILURE; t++) {
        bool known = span_eq_cstr(type, deployment_condition_type((enum deployment_type)t));
        for (size_t i = 0; i < st->condition_count && known; i++) {
            known = st->conditions[i].type != t;
        }
        if (known && st->condition_count < room) {
            st->conditions[st->condition_count++] = (struct deployment_condition){
                .type = (uint8_t)t,
                .status = status.n ? status.p[0] : 'U',
                .reason = json_get_str(c, "reason"),
                .message = json_get_str(c, "message"),
                .updated_ms = time_or(json_get_str(c, "lastUpdateTime"), 0),
                .transition_ms = time_or(json_get_str(c, "lastTransitionTime"), 0)};
        }
    }
}

static struct deployment_status status_of(const yyjson_val *status)
{
    struct deployment_status st = {.observed_generation =
                                       json_get_int(status, "observedGeneration", 0),
                                   .replicas = owned_int32(status, "replicas", 0),
                                   .updated = owned_int32(status, "updatedReplicas", 0),
                                   .ready = owned_int32(status, "readyReplicas", 0),
                                   .available = owned_int32(status, "availableReplicas", 0)};
    JSON_EACH(it, json_get(status, "conditions"))
    {
        read_condition(&st, it.val);
    }
    return st;
}

/* ---- all of it ---- */

static void name_new(struct deployment_sync *x)
{
    struct owned_sync *own = &x->own;
    yyjson_mut_doc *doc = json_mut_new(own->a);
    struct span text = json_write_mut(own->a, revision_data(doc, json_get(own->spec, "template")));
    x->collisions = json_get_int(own->status, "collisionCount", 0);
    x->hash = revision_hash(own->a, text, x->collisions);
    x->view.new_name = revision_name(own->a, own->name, x->hash);
}

void deployment_observe(struct deployment_sync *x)
{
    struct owned_sync *own = &x->own;
    assert(x->own.owner);
    assert(x->own.s);
    struct deployment_view *v = &x->view;
    yyjson_val *rolling = json_path(own->spec, "strategy", "rollingUpdate", NULL);
    struct deployment_set *sets = ARENA_ARRAY(own->a, struct deployment_set, x->sets.n + 1);
    for (size_t i = 0; i < x->sets.n; i++) {
        sets[i] = set_of(x->sets.at[i]);
    }
    yyjson_val *generation = json_get(client_meta(own->owner), "generation");
    *v = (struct deployment_view){
        .name = own->name,
        .now_ms = own->s->now_ms,
        .generation = json_int(generation, 0),
        .deleting = object_is_deleting(own->owner),
        .paused = json_get_bool(own->spec, "paused", false),
        .recreate = deployment_recreates(own->owner),
        .replicas = owned_int32(own->spec, "replicas", 1),
        .surge = owned_amount(json_get(rolling, "maxSurge")),
        .unavailable = owned_amount(json_get(rolling, "maxUnavailable")),
        .deadline_s = json_get_int(own->spec, "progressDeadlineSeconds", -1),
        .history_limit = json_get_int(own->spec, "revisionHistoryLimit", -1),
        .sets = sets,
        .set_count = x->sets.n,
        .new_set = find_new(x, sets),
        .status = status_of(own->status)};
    if (v->history_limit >= INT32_MAX) {
        v->history_limit = -1;
    }
    v->old_pods_live = v->recreate && old_pods_live(x, v->new_set);
    assert(v->new_set < (int32_t)x->sets.n);
    name_new(x);
}
