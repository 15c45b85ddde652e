/* controller/deployment_act.c: carries a plan out and records its events.
 *
 * The status goes out beside the other writes, but only after a new set was made: what it says of
 * that set must be true. */
#include "base/check.h"
#include "codec/time.h"
#include "controller/deployment_priv.h"
#include "schema/status.h"

static const char revision_key[] = "deployment.kubernetes.io/revision";
static const char history_key[] = "deployment.kubernetes.io/revision-history";
static const char desired_key[] = "deployment.kubernetes.io/desired-replicas";
static const char max_key[] = "deployment.kubernetes.io/max-replicas";

enum { HISTORY_BYTES_MAX = 2000 };

/* ---- annotations ---- */

/* What is about one object alone, and not for the other. */
static bool is_private(struct span key)
{
    static const char *const keys[] = {"kubectl.kubernetes.io/last-applied-configuration",
                                       revision_key,
                                       history_key,
                                       desired_key,
                                       max_key,
                                       "deprecated.deployment.rollback.to"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (span_eq_cstr(key, keys[i])) {
            return true;
        }
    }
    return false;
}

static yyjson_val *notes_of(struct object *o)
{
    return json_get(client_meta(o), "annotations");
}

static struct span number(struct deployment_sync *x, int64_t n)
{
    return arena_printf(x->own.a, "%lld", (long long)n);
}

static void put_sizes(struct deployment_sync *x, struct client_body *b)
{
    yyjson_mut_val *notes = json_mut_obj(b->doc, b->meta, "annotations");
    json_put_str(b->doc, notes, desired_key, number(x, x->view.replicas));
    json_put_str(b->doc, notes, max_key, number(x, x->plan.max_replicas));
}

/* The Deployment's annotations, where `has` differs. True when there were some. */
static bool put_notes(struct deployment_sync *x, struct client_body *b, const yyjson_val *has)
{
    bool put = false;
    JSON_EACH(it, notes_of(x->own.owner))
    {
        struct span key = json_str(it.key);
        yyjson_val *was = yyjson_obj_getn((yyjson_val *)has, key.p, key.n);
        if (!is_private(key) && !(was && json_equal(was, it.val))) {
            json_put_span(b->doc, json_mut_obj(b->doc, b->meta, "annotations"), key,
                          json_mut_copy(b->doc, it.val));
            put = true;
        }
    }
    return put;
}

static bool put_revision(struct deployment_sync *x, struct client_body *b, const yyjson_val *has)
{
    assert(x->plan.revision > 0);
    struct span was = json_get_str(has, revision_key), now = number(x, x->plan.revision);
    if (span_eq(was, now)) {
        return false;
    }
    yyjson_mut_val *notes = json_mut_obj(b->doc, b->meta, "annotations");
    json_put_str(b->doc, notes, revision_key, now);
    if (was.n) {
        struct span past = json_get_str(has, history_key);
        while (past.n + was.n + 1 > HISTORY_BYTES_MAX && past.n) {
            (void)span_cut(&past, ',');
        }
        json_put_str(b->doc, notes, history_key,
                     past.n ? arena_printf(x->own.a, "%.*s,%.*s", SPAN_ARG(past), SPAN_ARG(was))
                            : was);
    }
    return true;
}

/* ---- status ---- */

static struct span condition_status(char c)
{
    return c == 'T' ? SPAN("True") : c == 'F' ? SPAN("False") : SPAN("Unknown");
}

static bool same_condition(const struct deployment_condition *c, const yyjson_val *was)
{
    return span_eq_cstr(json_get_str(was, "type"),
                        deployment_condition_type((enum deployment_type)c->type)) &&
           span_eq(json_get_str(was, "status"), condition_status(c->status)) &&
           span_eq(json_get_str(was, "reason"), c->reason) &&
           span_eq(json_get_str(was, "message"), c->message) &&
           time_or(json_get_str(was, "lastUpdateTime"), 0) / 1000 == c->updated_ms / 1000;
}

static void put_conditions(struct deployment_sync *x, struct owned_status *st)
{
    const struct deployment_status *now = &x->plan.status;
    assert(now->condition_count <= sizeof now->conditions / sizeof *now->conditions);
    yyjson_mut_doc *doc = st->body.doc;
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    yyjson_val *was = json_get(x->own.status, "conditions");
    bool changed = json_len(was) != now->condition_count;
    for (size_t i = 0; i < now->condition_count; i++) {
        const struct deployment_condition *c = &now->conditions[i];
        changed = changed || !same_condition(c, yyjson_arr_get(was, i));
        struct status_condition said = {
            deployment_condition_type((enum deployment_type)c->type), condition_status(c->status),
            time_format(x->own.a, c->transition_ms), c->reason, c->message};
        yyjson_mut_val *o = status_condition_new(doc, &said);
        json_put_str(doc, o, "lastUpdateTime", time_format(x->own.a, c->updated_ms));
        yyjson_mut_arr_append(list, o);
    }
    if (changed) {
        json_put(doc, st->to, "conditions", list);
        st->changed = true;
    }
}

static void write_status(struct deployment_sync *x)
{
    const struct deployment_status *now = &x->plan.status;
    struct owned_status st = owned_status_new(&x->own);
    owned_status_count(&st, "replicas", now->replicas, false);
    owned_status_count(&st, "updatedReplicas", now->updated, false);
    owned_status_count(&st, "readyReplicas", now->ready, false);
    owned_status_count(&st, "availableReplicas", now->available, false);
    owned_status_count(&st, "unavailableReplicas", now->unavailable, false);
    owned_status_count(&st, "terminatingReplicas", now->terminating, false);
    put_conditions(x, &st);
    if (x->plan.revision) {
        /* With the status, as Kubernetes does: it is no change of what is wanted. */
        struct span revision = number(x, x->plan.revision);
        if (!span_eq(json_get_str(notes_of(x->own.owner), revision_key), revision)) {
            json_put_str(st.body.doc, json_mut_obj(st.body.doc, st.body.meta, "annotations"),
                         revision_key, revision);
            st.changed = true;
        }
    }
    owned_status_write(&st, x->c->deployments.informer);
}

/* ---- making a set ---- */

static void tell_scaled(struct deployment_sync *x, struct span set, int32_t from, int32_t to)
{
    event_record(x->own.events, x->own.kind, x->own.owner, EVENT_NORMAL, "ScalingReplicaSet",
                 "Scaled %s replica set %.*s from %d to %d", to > from ? "up" : "down",
                 SPAN_ARG(set), (int)from, (int)to);
}

/* The name is taken by a set with another template, or of another owner: the next count gives
 * another name. Our own set that the view does not show yet needs nothing but another look. */
static void on_collision(struct deployment_sync *x)
{
    struct object *other = informer_get(x->c->sets.informer, x->own.ns, x->view.new_name);
    bool ours = other && span_eq(client_controller_uid(other), x->own.uid) &&
                deployment_same_template(other, json_get(x->own.spec, "template"));
    if (other && !ours) {
        struct owned_status st = owned_status_new(&x->own);
        json_put_int(st.body.doc, st.to, "collisionCount", x->collisions + 1);
        st.changed = true;
        owned_status_write(&st, x->c->deployments.informer);
    }
    sync_again(x->own.s);
}

static bool on_created(struct sync *s, void *data, const struct client_reply *reply)
{
    struct deployment_sync *x = data;
    assert(x->plan.create);
    (void)s;
    if (reply->err.reason == ERR_ALREADY_EXISTS) {
        on_collision(x);
        return true;
    }
    if (reply->err.reason != ERR_NONE) {
        struct span text = arena_printf(x->own.a, "Failed to create new replica set \"%.*s\": %.*s",
                                        SPAN_ARG(x->view.new_name), SPAN_ARG(reply->err.message));
        event_record(x->own.events, x->own.kind, x->own.owner, EVENT_WARNING,
                     "ReplicaSetCreateError", "%.*s", SPAN_ARG(text));
        return false;
    }
    if (x->plan.create_replicas > 0) {
        tell_scaled(x, x->view.new_name, 0, x->plan.create_replicas);
    }
    write_status(x);
    return true;
}

static void put_hash_label(struct deployment_sync *x, struct client_body *b, yyjson_mut_val *to,
                           const char *key, const yyjson_val *from)
{
    yyjson_mut_val *labels = json_mut_obj(b->doc, to, key);
    owned_copy_members(b->doc, labels, from);
    json_put_str(b->doc, labels, "pod-template-hash", x->hash);
}

static void create_set(struct deployment_sync *x)
{
    assert(x->plan.create);
    assert(x->view.new_name.n > 0);
    struct owned_sync *own = &x->own;
    yyjson_val *template = json_get(own->spec, "template");
    yyjson_val *labels = json_path(template, "metadata", "labels", NULL);
    struct client_body b = client_body_new(own->a, x->c->sets.kind, x->view.new_name);
    json_put_str(b.doc, b.meta, "namespace", own->ns);
    put_hash_label(x, &b, b.meta, "labels", labels);
    put_notes(x, &b, NULL);
    put_revision(x, &b, NULL);
    put_sizes(x, &b);
    client_body_owner(&b, own->kind, own->owner);
    yyjson_mut_val *spec = json_mut_obj(b.doc, b.root, "spec");
    json_put_int(b.doc, spec, "replicas", x->plan.create_replicas);
    int32_t wait_s = owned_int32(own->spec, "minReadySeconds", 0);
    if (wait_s) {
        json_put_int(b.doc, spec, "minReadySeconds", wait_s);
    }
    yyjson_val *selector = json_get(own->spec, "selector");
    yyjson_mut_val *narrower = json_mut_copy(b.doc, selector);
    json_put(b.doc, spec, "selector", narrower);
    put_hash_label(x, &b, narrower, "matchLabels", NULL);
    yyjson_mut_val *copy = json_mut_copy(b.doc, template);
    json_put(b.doc, spec, "template", copy);
    put_hash_label(x, &b, json_mut_obj(b.doc, copy, "metadata"), "labels", NULL);
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE, .kind = x->c->sets.kind,
                                .ns = own->ns, .tree = client_body_tree(&b)};
    sync_do(own->s, &rq, x->c->sets.informer, on_created, x);
}

/* ---- changing sets ---- */

struct set_write {
    struct deployment_sync *x;
    const struct deployment_scale *scale; /* NULL: annotations only */
};

static bool on_set_written(struct sync *s, void *data, const struct client_reply *reply)
{
    struct set_write *w = data;
    (void)s;
    if (reply->err.reason == ERR_NONE && w->scale && w->scale->resize) {
        const struct deployment_set *set = &w->x->view.sets[w->scale->set];
        tell_scaled(w->x, set->name, set->spec, w->scale->replicas);
    }
    return false;
}

/* Size, revision, annotations and minReadySeconds of one set in one write, if anything differs. */
static void write_set(struct deployment_sync *x, size_t at, const struct deployment_scale *scale)
{
    assert(at < x->sets.n);
    assert(!scale || scale->replicas >= 0);
    struct object *set = x->sets.at[at];
    struct client_body b = client_patch_any(x->own.a, set);
    bool changed = scale != NULL;
    if (scale) {
        if (scale->resize) {
            json_put_int(b.doc, client_body_obj(&b, "spec"), "replicas", scale->replicas);
        }
        put_sizes(x, &b);
    }
    if ((int32_t)at == x->view.new_set && !x->view.deleting) {
        int32_t wait_s = owned_int32(x->own.spec, "minReadySeconds", 0);
        yyjson_val *spec = client_spec(set);
        if (owned_int32(spec, "minReadySeconds", 0) != wait_s) {
            json_put_int(b.doc, client_body_obj(&b, "spec"), "minReadySeconds", wait_s);
            changed = true;
        }
        changed |= put_notes(x, &b, notes_of(set));
        changed |= put_revision(x, &b, notes_of(set));
    }
    if (!changed) {
        return;
    }
    struct set_write *w = ARENA_NEW(x->own.a, struct set_write);
    *w = (struct set_write){x, scale};
    sync_patch(x->own.s, x->c->sets.informer, set, &b, on_set_written, w);
}

static void write_sets(struct deployment_sync *x)
{
    const struct deployment_scale **scale_of =
        ARENA_ARRAY(x->own.a, const struct deployment_scale *, x->sets.n + 1);
    for (size_t i = 0; i < x->plan.scale_count; i++) {
        assert(x->plan.scales[i].set < x->sets.n);
        scale_of[x->plan.scales[i].set] = &x->plan.scales[i];
    }
    for (size_t i = 0; i < x->sets.n; i++) {
        write_set(x, i, scale_of[i]);
    }
}

void deployment_act(struct deployment_sync *x)
{
    const struct deployment_plan *plan = &x->plan;
    assert(plan->delete_count <= x->sets.n);
    assert(plan->scale_count <= x->sets.n);
    write_sets(x);
    for (size_t i = 0; i < plan->delete_count; i++) {
        assert(plan->deletes[i] < x->sets.n);
        struct object *set = x->sets.at[plan->deletes[i]];
        sync_delete(x->own.s, x->c->sets.informer, set, NULL, NULL);
    }
    if (plan->create) {
        create_set(x);
    } else {
        write_status(x);
    }
    sync_at(x->own.s, plan->requeue_at_ms);
}
