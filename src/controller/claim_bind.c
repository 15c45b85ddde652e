/* controller/claim_bind.c: one sync of a claim: protection, binding, provisioning. */
#include "base/check.h"
#include "base/vec.h"
#include "codec/quantity.h"
#include "codec/selector.h"
#include "codec/time.h"
#include "controller/claim_priv.h"
#include "plan/why_plan.h"
#include "schema/status.h"

struct claim_sync {
    struct claim_controller *c;
    struct sync *s;
    struct arena *a;
    struct object *claim;
    yyjson_val *spec, *notes; /* notes: annotations */
    struct object *class, *default_class, *named;
    struct object **candidates; /* held */
    struct claim_volume *facts;
    struct claim_view view;
    /* Of the binding being written. */
    struct span volume_name, capacity;
    yyjson_val *modes;
};

static void tell(struct claim_sync *x, enum event_type type, const char *reason,
                 struct span message)
{
    event_record(x->c->events, x->c->claim_kind, x->claim, type, reason, "%.*s", SPAN_ARG(message));
}

/* ---- observing ---- */

int64_t claim_bytes_of(const yyjson_val *amount)
{
    struct quantity q;
    return quantity_parse(json_str(amount), &q) == NULL ? quantity_units(&q) : 0;
}

static bool is_default(struct object *class)
{
    yyjson_val *notes = json_get(client_meta(class), "annotations");
    return span_eq_cstr(json_get_str(notes, "storageclass.kubernetes.io/is-default-class"),
                        "true") ||
           span_eq_cstr(json_get_str(notes, "storageclass.beta.kubernetes.io/is-default-class"),
                        "true");
}

static int64_t created_ms(struct object *o)
{
    return time_or(json_get_str(client_meta(o), "creationTimestamp"), 0);
}

/* Several defaults: the newest, then the first by name. */
static bool see_class(void *data, struct object *class)
{
    struct claim_sync *x = data;
    struct object *best = x->default_class;
    if (is_default(class) && (!best || created_ms(class) > created_ms(best) ||
                              (created_ms(class) == created_ms(best) &&
                               span_cmp(object_name(class), object_name(best)) < 0))) {
        x->default_class = class;
    }
    return true;
}

static enum claim_class observe_class(struct claim_sync *x)
{
    yyjson_val *name = json_get(x->spec, "storageClassName");
    if (!name) {
        informer_each(x->c->classes, see_class, x);
        return x->default_class ? CLAIM_CLASS_DEFAULTABLE : CLAIM_CLASS_UNSET;
    }
    if (json_str(name).n == 0) {
        return CLAIM_CLASS_NONE;
    }
    x->class = informer_get(x->c->classes, SPAN_NULL, json_str(name));
    if (!x->class) {
        return CLAIM_CLASS_MISSING;
    }
    yyjson_val *root = object_root(x->class);
    x->view.wait_for_consumer =
        span_eq_cstr(json_get_str(root, "volumeBindingMode"), "WaitForFirstConsumer");
    struct span provisioner = json_get_str(root, "provisioner");
    return span_eq_cstr(provisioner, LOCAL_PROVISIONER)                ? CLAIM_CLASS_LOCAL
           : span_eq_cstr(provisioner, "kubernetes.io/no-provisioner") ? CLAIM_CLASS_MANUAL
                                                                       : CLAIM_CLASS_EXTERNAL;
}

static bool modes_within(const yyjson_val *wanted, const yyjson_val *offered)
{
    JSON_EACH(w, wanted)
    {
        bool found = false;
        JSON_EACH(o, offered)
        {
            found |= span_eq(json_str(w.val), json_str(o.val));
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static struct span mode_of(const yyjson_val *spec)
{
    struct span mode = json_get_str(spec, "volumeMode");
    return mode.n ? mode : SPAN("Filesystem");
}

static bool selector_fits(struct claim_sync *x, struct object *volume)
{
    yyjson_val *selector = json_get(x->spec, "selector");
    struct selector parsed;
    struct err err;
    return !selector || (selector_from_object(x->a, selector, &parsed, &err) == 0 &&
                         selector_matches(&parsed, client_labels(volume)));
}

static struct claim_volume facts_of(struct claim_sync *x, struct object *volume)
{
    yyjson_val *spec = client_spec(volume), *ref = json_get(spec, "claimRef");
    struct span phase = status_phase(object_root(volume));
    struct span uid = json_get_str(ref, "uid");
    bool ours = ref && span_eq(json_get_str(ref, "namespace"), x->s->ns) &&
                span_eq(json_get_str(ref, "name"), x->s->name) &&
                (uid.n == 0 || span_eq(uid, object_uid(x->claim)));
    return (struct claim_volume){
        .bytes = claim_bytes_of(json_path(spec, "capacity", "storage", NULL)),
        .ref = !ref   ? CLAIM_REF_NONE
               : ours ? CLAIM_REF_THIS
                      : CLAIM_REF_OTHER,
        .deleting = object_is_deleting(volume),
        .available =
            phase.n == 0 || span_eq_cstr(phase, "Available") || span_eq_cstr(phase, "Pending"),
        .class_fits = span_eq(json_get_str(spec, "storageClassName"),
                              json_get_str(x->spec, "storageClassName")),
        .mode_fits = span_eq(mode_of(spec), mode_of(x->spec)),
        .access_fits =
            modes_within(json_get(x->spec, "accessModes"), json_get(spec, "accessModes")),
        .selector_fits = selector_fits(x, volume)};
}

struct gathered {
    VEC(struct object *) volumes;
};

static bool see_volume(void *data, struct object *volume)
{
    VEC_PUSH(&((struct gathered *)data)->volumes, volume);
    return true;
}

static void observe_candidates(struct claim_sync *x)
{
    struct gathered g = {0};
    struct claim_controller *c = x->c;
    informer_index_each(c->volumes, c->volumes_by_claim, claim_ref_key(x->a, x->s->ns, x->s->name),
                        see_volume, &g);
    informer_index_each(c->volumes, c->volumes_by_claim, CLAIM_FREE_KEY, see_volume, &g);
    x->candidates = ARENA_ARRAY(x->a, struct object *, g.volumes.n + 1);
    x->facts = ARENA_ARRAY(x->a, struct claim_volume, g.volumes.n + 1);
    for (size_t i = 0; i < g.volumes.n; i++) {
        x->candidates[i] = object_hold(x->a, g.volumes.at[i]);
        x->facts[i] = facts_of(x, g.volumes.at[i]);
    }
    x->view.volumes = x->facts;
    x->view.volume_count = g.volumes.n;
    assert(!x->view.named);
    VEC_DONE(&g.volumes);
}

/* A capacity that differs from the volume's is not wrong: the file system may have to grow yet. */
static bool status_is_right(struct claim_sync *x, struct object *volume)
{
    yyjson_val *status = client_status(x->claim);
    yyjson_val *spec = client_spec(volume);
    return span_eq_cstr(json_get_str(status, "phase"), "Bound") &&
           json_equal(json_get(status, "accessModes"), json_get(spec, "accessModes")) &&
           json_path(status, "capacity", "storage", NULL) != NULL;
}

static void observe(struct claim_sync *x)
{
    struct claim_view *v = &x->view;
    struct span volume = json_get_str(x->spec, "volumeName");
    v->deleting = object_is_deleting(x->claim);
    v->named = volume.n > 0;
    v->bound = v->named && json_get(x->notes, "pv.kubernetes.io/bind-completed");
    v->bytes = claim_bytes_of(json_path(x->spec, "resources", "requests", "storage", NULL));
    v->block = span_eq_cstr(mode_of(x->spec), "Block");
    v->node_selected = json_get(x->notes, "volume.kubernetes.io/selected-node") != NULL;
    v->class = observe_class(x);
    if (!v->named) {
        observe_candidates(x);
        return;
    }
    x->named = informer_get(x->c->volumes, SPAN_NULL, volume);
    if (x->named) {
        object_hold(x->a, x->named);
        v->volume_known = true;
        v->volume = facts_of(x, x->named);
        v->phase_right = status_is_right(x, x->named);
    }
}

/* ---- writing a binding: volume first, then the claim ---- */

/* Says in the claim itself what hinders it, for everybody who waits for it. Written when it
 * changes. */
static void write_blocked(struct claim_sync *x, const char *reason, struct span message)
{
    assert(reason);
    assert(message.n > 0);
    yyjson_val *was = client_condition(x->claim, WHY_CLAIM_CONDITION);
    if (span_eq(json_get_str(was, "message"), message)) {
        return;
    }
    struct client_body b = client_patch_any(x->a, x->claim);
    struct status_condition c = {WHY_CLAIM_CONDITION, SPAN("True"),
                                 was ? json_get_str(was, "lastTransitionTime")
                                     : time_format(x->a, x->s->now_ms),
                                 span_cstr(reason), message};
    (void)status_condition_put(b.doc, object_root(x->claim), client_body_obj(&b, "status"), &c);
    sync_patch_status(x->s, x->c->claims, x->claim, &b, sync_or_gone, NULL);
}

static void write_claim_status(struct claim_sync *x, struct span phase)
{
    assert(phase.n > 0);
    struct client_body b = client_patch_any(x->a, x->claim);
    yyjson_mut_val *status = client_body_obj(&b, "status");
    json_put_str(b.doc, status, "phase", phase);
    if (x->modes) {
        json_put(b.doc, status, "accessModes", json_mut_copy(b.doc, x->modes));
        json_put_str(b.doc, json_mut_obj(b.doc, status, "capacity"), "storage", x->capacity);
    }
    if (client_condition(x->claim, WHY_CLAIM_CONDITION)) {
        json_put(b.doc, status, "conditions",
                 status_conditions_but(b.doc, object_root(x->claim), WHY_CLAIM_CONDITION));
    }
    sync_patch_status(x->s, x->c->claims, x->claim, &b, sync_or_gone, NULL);
}

/* Only now may the status say Bound: who reads that may rely on the volume's name, and may ask for
 * a larger size, which an unbound claim would look for elsewhere. */
static bool on_claim_named(struct sync *s, void *data, const struct client_reply *reply)
{
    struct claim_sync *x = data;
    if (reply->err.reason != ERR_NONE) {
        return sync_or_gone(s, data, reply);
    }
    write_claim_status(x, SPAN("Bound"));
    return true;
}

static void write_claim(struct claim_sync *x)
{
    struct client_body b = client_patch_any(x->a, x->claim);
    yyjson_mut_val *notes = json_mut_obj(b.doc, b.meta, "annotations");
    json_put_str(b.doc, notes, "pv.kubernetes.io/bind-completed", SPAN("yes"));
    if (!x->view.named) {
        json_put_str(b.doc, notes, "pv.kubernetes.io/bound-by-controller", SPAN("yes"));
    }
    if (x->view.class == CLAIM_CLASS_LOCAL) {
        json_put_str(b.doc, notes, "volume.kubernetes.io/storage-provisioner",
                     SPAN(LOCAL_PROVISIONER));
        json_put_str(b.doc, notes, "volume.beta.kubernetes.io/storage-provisioner",
                     SPAN(LOCAL_PROVISIONER));
    }
    json_put_str(b.doc, client_body_obj(&b, "spec"), "volumeName", x->volume_name);
    sync_patch(x->s, x->c->claims, x->claim, &b, on_claim_named, x);
}

/* The volume is ours now. */
static void finish_binding(struct claim_sync *x, struct object *volume)
{
    assert(volume);
    yyjson_val *spec = json_get(object_root(object_hold(x->a, volume)), "spec");
    x->volume_name = object_name(volume);
    x->capacity = json_str(json_path(spec, "capacity", "storage", NULL));
    x->modes = json_get(spec, "accessModes");
    struct client_body b = client_patch_any(x->a, volume);
    yyjson_mut_val *status = client_body_obj(&b, "status");
    json_put_str(b.doc, status, "phase", SPAN("Bound"));
    json_put_str(b.doc, status, "lastPhaseTransitionTime", time_format(x->a, x->s->now_ms));
    sync_patch_status(x->s, x->c->volumes, volume, &b, sync_or_gone, NULL);
    write_claim(x);
}

static void put_claim_ref(struct claim_sync *x, struct client_body *b)
{
    yyjson_mut_val *ref = json_mut_obj(b->doc, client_body_obj(b, "spec"), "claimRef");
    json_put_str(b->doc, ref, "kind", SPAN("PersistentVolumeClaim"));
    json_put_str(b->doc, ref, "namespace", x->s->ns);
    json_put_str(b->doc, ref, "name", x->s->name);
    json_put_str(b->doc, ref, "uid", object_uid(x->claim));
    json_put_str(b->doc, ref, "apiVersion", SPAN("v1"));
    json_put_str(b->doc, ref, "resourceVersion",
                 arena_printf(x->a, "%lld", (long long)object_rev(x->claim)));
}

static bool on_volume_taken(struct sync *s, void *data, const struct client_reply *reply)
{
    (void)s;
    if (reply->err.reason == ERR_NONE && reply->object) {
        finish_binding(data, reply->object);
    }
    return false;
}

static void bind_to(struct claim_sync *x, struct object *volume)
{
    assert(volume);
    assert(!object_is_deleting(x->claim));
    yyjson_val *ref = json_get(client_spec(volume), "claimRef");
    if (span_eq(json_get_str(ref, "uid"), object_uid(x->claim))) {
        finish_binding(x, volume);
        return;
    }
    struct client_body b =
        client_patch_new(x->a, volume); /* this very version: nobody else may have it */
    put_claim_ref(x, &b);
    if (!ref) {
        json_put_str(b.doc, json_mut_obj(b.doc, b.meta, "annotations"),
                     "pv.kubernetes.io/bound-by-controller", SPAN("yes"));
    }
    sync_patch(x->s, x->c->volumes, volume, &b, on_volume_taken, x);
}

/* ---- provisioning ---- */

static void put_affinity(struct claim_sync *x, struct client_body *b, yyjson_mut_val *spec)
{
    struct span node = json_get_str(x->notes, "volume.kubernetes.io/selected-node");
    yyjson_mut_val *values = yyjson_mut_arr(b->doc), *requirement = yyjson_mut_obj(b->doc);
    yyjson_mut_val *requirements = yyjson_mut_arr(b->doc), *term = yyjson_mut_obj(b->doc);
    yyjson_mut_val *terms = yyjson_mut_arr(b->doc);
    yyjson_mut_arr_append(values, json_new_str(b->doc, node.n ? node : span_cstr(x->c->node_name)));
    json_put_str(b->doc, requirement, "key", SPAN("kubernetes.io/hostname"));
    json_put_str(b->doc, requirement, "operator", SPAN("In"));
    json_put(b->doc, requirement, "values", values);
    yyjson_mut_arr_append(requirements, requirement);
    json_put(b->doc, term, "matchExpressions", requirements);
    yyjson_mut_arr_append(terms, term);
    json_put(b->doc, json_mut_obj(b->doc, json_mut_obj(b->doc, spec, "nodeAffinity"), "required"),
             "nodeSelectorTerms", terms);
}

static struct json_shared *volume_body(struct claim_sync *x, struct volume_job *job)
{
    struct client_body b = client_body_new(x->a, x->c->volume_kind, job->name);
    yyjson_val *class = object_root(x->class);
    json_put_str(b.doc, json_mut_obj(b.doc, b.meta, "annotations"),
                 "pv.kubernetes.io/provisioned-by", SPAN(LOCAL_PROVISIONER));
    yyjson_mut_val *spec = client_body_obj(&b, "spec");
    json_put_str(b.doc, json_mut_obj(b.doc, spec, "capacity"), "storage",
                 json_str(json_path(x->spec, "resources", "requests", "storage", NULL)));
    json_put_str(b.doc, json_mut_obj(b.doc, spec, "local"), "path", span_cstr(job->text));
    json_put(b.doc, spec, "accessModes", json_mut_copy(b.doc, json_get(x->spec, "accessModes")));
    put_claim_ref(x, &b);
    struct span policy = json_get_str(class, "reclaimPolicy");
    json_put_str(b.doc, spec, "persistentVolumeReclaimPolicy", policy.n ? policy : SPAN("Delete"));
    json_put_str(b.doc, spec, "storageClassName", object_name(x->class));
    json_put_str(b.doc, spec, "volumeMode", SPAN("Filesystem"));
    if (json_len(json_get(class, "mountOptions"))) {
        json_put(b.doc, spec, "mountOptions",
                 json_mut_copy(b.doc, json_get(class, "mountOptions")));
    }
    put_affinity(x, &b, spec);
    return client_body_tree(&b);
}

static bool on_volume_created(struct sync *s, void *data, const struct client_reply *reply)
{
    struct claim_sync *x = data;
    assert(x->claim);
    (void)s;
    if (reply->err.reason != ERR_NONE) {
        return false;
    }
    struct span name = object_name(reply->object);
    tell(x, EVENT_NORMAL, "ProvisioningSucceeded",
         arena_printf(x->a, "Successfully provisioned volume %.*s", SPAN_ARG(name)));
    struct volume_job *job = claim_job_get(x->c, name);
    if (job && job->warning) {
        tell(x, EVENT_WARNING, "SizeNotEnforced", span_cstr(job->warning));
    }
    claim_job_forget(job);
    finish_binding(x, reply->object);
    return false;
}

static void provision(struct claim_sync *x)
{
    assert(!x->view.named);
    assert(!x->view.bound);
    struct span name = arena_printf(x->a, "pvc-%.*s", SPAN_ARG(object_uid(x->claim)));
    struct volume_job *job = claim_job_get(x->c, name);
    if (!job) {
        claim_job_create(x->c, name, x->view.bytes, x->claim);
        return; /* its end brings us back */
    }
    if (job->state == JOB_CREATE_FAILED) {
        tell(x, EVENT_WARNING, "ProvisioningFailed",
             arena_printf(x->a, "failed to provision volume with StorageClass \"%.*s\": %s",
                          SPAN_ARG(object_name(x->class)), job->text));
        write_blocked(x, "ProvisioningFailed",
                      arena_printf(x->a, "its volume cannot be made: %s", job->text));
        claim_job_forget(job);
        sync_fail(x->s);
    } else if (job->state == JOB_CREATED) {
        struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE,
                                    .kind = x->c->volume_kind, .tree = volume_body(x, job)};
        sync_do(x->s, &rq, x->c->volumes, on_volume_created, x);
    }
}

/* ---- the other steps ---- */

static void assign_default(struct claim_sync *x)
{
    struct client_body b = client_patch_new(x->a, x->claim);
    json_put_str(b.doc, client_body_obj(&b, "spec"), "storageClassName",
                 object_name(x->default_class));
    sync_patch(x->s, x->c->claims, x->claim, &b, NULL, NULL);
}

static void wait_external(struct claim_sync *x)
{
    assert(x->class);
    static const char *const keys[] = {"volume.kubernetes.io/storage-provisioner",
                                       "volume.beta.kubernetes.io/storage-provisioner"};
    struct span provisioner = json_get_str(object_root(x->class), "provisioner");
    tell(x, EVENT_NORMAL, "ExternalProvisioning",
         arena_printf(
             x->a,
             "Waiting for a volume to be created either by the external provisioner '%.*s' "
             "or manually by the system administrator. If volume creation is delayed, please "
             "verify that the provisioner is running and correctly registered.",
             SPAN_ARG(provisioner)));
    if (span_eq(json_get_str(x->notes, keys[0]), provisioner)) {
        return;
    }
    struct client_body b = client_patch_new(x->a, x->claim);
    yyjson_mut_val *notes = json_mut_obj(b.doc, b.meta, "annotations");
    json_put_str(b.doc, notes, keys[0], provisioner);
    json_put_str(b.doc, notes, keys[1], provisioner);
    sync_patch(x->s, x->c->claims, x->claim, &b, NULL, NULL);
}

static bool on_volume_read(struct sync *s, void *data, const struct client_reply *reply)
{
    struct claim_sync *x = data;
    (void)s;
    struct span phase = status_phase(object_root(x->claim));
    if (reply->err.reason == ERR_NOT_FOUND && !span_eq_cstr(phase, "Lost")) {
        write_claim_status(x, SPAN("Lost"));
        tell(x, EVENT_WARNING, "ClaimLost",
             SPAN("Bound claim has lost its PersistentVolume. Data on the volume is lost!"));
    }
    return reply->err.reason == ERR_NOT_FOUND;
}

static void ask_volume(struct claim_sync *x)
{
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_GET, .kind = x->c->volume_kind,
                                .name = json_get_str(x->spec, "volumeName")};
    sync_do(x->s, &rq, NULL, on_volume_read, x);
}

/* Nothing that is there fits, and nobody makes one. */
static struct span no_volume(struct claim_sync *x)
{
    struct span size = json_str(json_path(x->spec, "resources", "requests", "storage", NULL));
    struct span class = json_get_str(x->spec, "storageClassName");
    struct span fits =
        arena_printf(x->a, "no free volume fits (%.*s, %.*s)", SPAN_ARG(size),
                     SPAN_ARG(json_str(yyjson_arr_get_first(json_get(x->spec, "accessModes")))));
    if (class.n) {
        return arena_printf(
            x->a, "%.*s, and provisioner %.*s of StorageClass \"%.*s\" makes none", SPAN_ARG(fits),
            SPAN_ARG(json_get_str(object_root(x->class), "provisioner")), SPAN_ARG(class));
    }
    return json_get(x->spec, "storageClassName")
               ? arena_printf(x->a, "%.*s, and storageClassName \"\" says that none is to be made",
                              SPAN_ARG(fits))
               : arena_printf(x->a,
                              "%.*s, it names no StorageClass that could make one, and none is the "
                              "default",
                              SPAN_ARG(fits));
}

/* Tells it as an event in Kubernetes' words, and as a condition in plain ones. */
static void blocked(struct claim_sync *x, enum event_type type, const char *reason,
                    struct span message, struct span plain)
{
    tell(x, type, reason, message);
    write_blocked(x, reason, plain.n ? plain : message);
}

static void explain(struct claim_sync *x, const struct claim_plan *plan)
{
    struct span volume = json_get_str(x->spec, "volumeName");
    struct span class = json_get_str(x->spec, "storageClassName");
    switch (plan->step) {
    case CLAIM_WAIT_CONSUMER:
        tell(x, EVENT_NORMAL, "WaitForFirstConsumer",
             SPAN("waiting for first consumer to be created before binding"));
        break;
    case CLAIM_NO_VOLUME:
        blocked(x, EVENT_NORMAL, "FailedBinding",
                SPAN("no persistent volumes available for this claim and no storage class is set"),
                no_volume(x));
        break;
    case CLAIM_NO_CLASS:
        blocked(
            x, EVENT_WARNING, "ProvisioningFailed",
            arena_printf(x->a, "storageclass.storage.k8s.io \"%.*s\" not found", SPAN_ARG(class)),
            arena_printf(x->a, "StorageClass \"%.*s\" does not exist", SPAN_ARG(class)));
        break;
    case CLAIM_NO_BLOCK:
        blocked(
            x, EVENT_WARNING, "ProvisioningFailed",
            SPAN(LOCAL_PROVISIONER " makes file systems only: volumeMode Block is not supported"),
            SPAN_NULL);
        break;
    case CLAIM_MISMATCH:
        blocked(
            x, EVENT_WARNING, "VolumeMismatch",
            arena_printf(x->a, "Cannot bind to requested volume \"%.*s\": %s", SPAN_ARG(volume),
                         plan->why),
            arena_printf(
                x->a, "volume \"%.*s\" (%.*s), which it names, does not fit its %.*s: %s",
                SPAN_ARG(volume),
                SPAN_ARG(json_str(json_path(client_spec(x->named), "capacity", "storage", NULL))),
                SPAN_ARG(json_str(json_path(x->spec, "resources", "requests", "storage", NULL))),
                plan->why));
        break;
    case CLAIM_TAKEN:
        blocked(x, EVENT_WARNING, "FailedBinding",
                arena_printf(x->a, "volume \"%.*s\" already bound to a different claim.",
                             SPAN_ARG(volume)),
                arena_printf(x->a, "volume \"%.*s\", which it names, belongs to another claim",
                             SPAN_ARG(volume)));
        break;
    case CLAIM_WAIT_VOLUME:
        blocked(x, EVENT_WARNING, "FailedBinding",
                arena_printf(x->a, "volume \"%.*s\" not found", SPAN_ARG(volume)),
                arena_printf(x->a, "volume \"%.*s\", which it names, does not exist",
                             SPAN_ARG(volume)));
        break;
    default:
        assert(false);
    }
}

static void act(struct claim_sync *x, const struct claim_plan *plan)
{
    switch (plan->step) {
    case CLAIM_NOTHING:
        if (x->view.bound) {
            claim_grow(x->s, x->claim, x->named);
        }
        break;
    case CLAIM_ASK_VOLUME:
        ask_volume(x);
        break;
    case CLAIM_WRITE_STATUS: {
        yyjson_val *spec = client_spec(x->named);
        x->capacity = json_str(json_path(spec, "capacity", "storage", NULL));
        x->modes = json_get(spec, "accessModes");
        write_claim_status(x, SPAN("Bound"));
        break;
    }
    case CLAIM_BIND:
        bind_to(x, x->view.named ? x->named : x->candidates[plan->at]);
        break;
    case CLAIM_PROVISION:
        provision(x);
        break;
    case CLAIM_ASSIGN_DEFAULT:
        assign_default(x);
        break;
    case CLAIM_WAIT_EXTERNAL:
        wait_external(x);
        break;
    default:
        explain(x, plan);
        break;
    }
}

/* ---- protection ---- */

static bool uses_claim(struct object *pod, struct span claim)
{
    assert(claim.n > 0);
    yyjson_val *spec = client_spec(pod);
    JSON_EACH(it, claim_pod_is_shut_down(pod) ? NULL : json_get(spec, "volumes"))
    {
        if (span_eq(json_str(json_path(it.val, "persistentVolumeClaim", "claimName", NULL)),
                    claim)) {
            return json_get_str(spec, "nodeName").n > 0;
        }
    }
    return false;
}

static bool on_pods_listed(struct sync *s, void *data, const struct client_reply *reply)
{
    struct claim_sync *x = data;
    (void)s;
    if (reply->err.reason != ERR_NONE) {
        return false;
    }
    for (size_t i = 0; i < reply->item_count; i++) {
        if (uses_claim(reply->items[i], x->s->name)) {
            return true; /* its end brings us back */
        }
    }
    struct client_body b = client_patch_new(x->a, x->claim);
    yyjson_val *list = json_get(client_meta(x->claim), "finalizers");
    json_put(b.doc, b.meta, "finalizers", client_without(b.doc, list, CLAIM_PROTECTION));
    sync_patch(x->s, x->c->claims, x->claim, &b, sync_or_gone, NULL);
    return true;
}

static bool see_user(void *data, struct object *pod)
{
    (void)pod;
    *(bool *)data = true;
    return false;
}

/* The view first; then, once, the server itself: the view may lack a pod that was bound just now.
 */
static void unprotect(struct claim_sync *x)
{
    assert(object_is_deleting(x->claim));
    bool used = false;
    struct claim_controller *c = x->c;
    informer_index_each(c->pods, c->pods_by_claim, claim_ref_key(x->a, x->s->ns, x->s->name),
                        see_user, &used);
    if (!used) {
        struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_LIST, .kind = c->pod_kind,
                                    .ns = x->s->ns};
        sync_do(x->s, &rq, NULL, on_pods_listed, x);
    }
}

void claim_run(struct sync *s)
{
    struct claim_controller *c = s->controller;
    struct object *claim = informer_get(c->claims, s->ns, s->name);
    if (!claim) {
        claim_job_abandon(c, s->ns, s->name, SPAN_NULL);
        return;
    }
    claim_job_abandon(c, s->ns, s->name,
                      arena_printf(s->arena, "pvc-%.*s", SPAN_ARG(object_uid(claim))));
    struct claim_sync *x = ARENA_NEW(s->arena, struct claim_sync);
    *x = (struct claim_sync){.c = c, .s = s, .a = s->arena, .claim = claim};
    object_hold(x->a, claim);
    x->spec = client_spec(claim);
    x->notes = json_get(client_meta(claim), "annotations");
    if (object_is_deleting(claim) && client_has_finalizer(claim, CLAIM_PROTECTION)) {
        unprotect(x);
    }
    observe(x);
    struct claim_plan plan = claim_plan(&x->view);
    act(x, &plan);
}
