/* controller/statefulset_act.c: carries a plan out and records its events. */
#include "base/check.h"
#include "base/log.h"
#include "controller/statefulset_priv.h"

/* ---- events ---- */

static void tell(struct set_sync *x, const char *verb, const char *reason_ok,
                 const char *reason_failed, struct span pod, const struct err *err)
{
    assert(verb);
    assert(reason_ok);
    assert(reason_failed);
    assert(err);
    if (err->reason == ERR_NONE) {
        event_record(x->own.events, x->own.kind, x->own.owner, EVENT_NORMAL, reason_ok,
                     "%s Pod %.*s in StatefulSet %.*s successful", verb, SPAN_ARG(pod),
                     SPAN_ARG(x->own.name));
    } else {
        event_record(x->own.events, x->own.kind, x->own.owner, EVENT_WARNING, reason_failed,
                     "%s Pod %.*s in StatefulSet %.*s failed error: %.*s", verb, SPAN_ARG(pod),
                     SPAN_ARG(x->own.name), SPAN_ARG(err->message));
    }
}

static void tell_claim(struct set_sync *x, struct span claim, struct span pod,
                       const struct err *err)
{
    assert(claim.n > 0);
    assert(err);
    if (err->reason == ERR_NONE) {
        event_record(x->own.events, x->own.kind, x->own.owner, EVENT_NORMAL, "SuccessfulCreate",
                     "create Claim %.*s Pod %.*s in StatefulSet %.*s success", SPAN_ARG(claim),
                     SPAN_ARG(pod), SPAN_ARG(x->own.name));
    } else {
        event_record(x->own.events, x->own.kind, x->own.owner, EVENT_WARNING, "FailedCreate",
                     "create Claim %.*s for Pod %.*s in StatefulSet %.*s failed error: %.*s",
                     SPAN_ARG(claim), SPAN_ARG(pod), SPAN_ARG(x->own.name), SPAN_ARG(err->message));
    }
}

/* ---- creating a pod: its claims, then itself ---- */

struct creation {
    struct set_sync *x;
    const struct statefulset_action *action;
    struct span pod;
    size_t claims_left, failed;
    struct span failures; /* what went wrong, separated by commas */
    bool make_pod;
};

struct claim_creation {
    struct creation *of;
    struct span name;
};

/* What the conditions say of a pod that the server refuses. */
static void remember(const struct creation *k, const struct err *err)
{
    statefulset_state_refused(k->x->c, k->x->own.uid, k->action->ordinal,
                              err->reason == ERR_NONE ? SPAN_NULL : err->message);
}

static bool on_pod_created(struct sync *s, void *data, const struct client_reply *reply)
{
    struct creation *k = data;
    (void)s;
    if (reply->err.reason == ERR_ALREADY_EXISTS) {
        return false; /* somebody else's pod has the name: no event, try again later */
    }
    remember(k, &reply->err);
    tell(k->x, "create", "SuccessfulCreate", "FailedCreate", k->pod, &reply->err);
    return false;
}

static void create_pod(struct creation *k)
{
    struct set_sync *x = k->x;
    struct client_request rq = {
        CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE, .kind = x->c->pods.kind, .ns = x->own.ns,
        .tree = statefulset_pod_body(x, k->action->ordinal, k->action->at_update)};
    sync_do(x->own.s, &rq, x->c->pods.informer, on_pod_created, k);
}

static void tell_pod_without_claims(struct creation *k)
{
    bool several = k->failed > 1;
    struct err err = {.reason = ERR_UNKNOWN};
    err.message = arena_printf(k->x->own.a, "%s%.*s%s", several ? "[" : "", SPAN_ARG(k->failures),
                               several ? "]" : "");
    tell(k->x, "create", "SuccessfulCreate", "FailedCreate", k->pod, &err);
}

static bool on_claim_created(struct sync *s, void *data, const struct client_reply *reply)
{
    struct claim_creation *cc = data;
    struct creation *k = cc->of;
    (void)s;
    assert(k->claims_left > 0);
    bool exists = reply->err.reason == ERR_ALREADY_EXISTS;
    if (!exists) {
        tell_claim(k->x, cc->name, k->pod, &reply->err);
        if (reply->err.reason != ERR_NONE) {
            remember(k, &reply->err);
            k->failures = arena_printf(k->x->own.a, "%.*s%sfailed to create PVC %.*s: %.*s",
                                       SPAN_ARG(k->failures), k->failed++ ? ", " : "",
                                       SPAN_ARG(cc->name), SPAN_ARG(reply->err.message));
        }
    }
    if (--k->claims_left == 0 && k->make_pod) {
        if (k->failed) {
            tell_pod_without_claims(k);
        } else {
            create_pod(k);
        }
    }
    return exists;
}

static void create_claims(struct set_sync *x, const struct statefulset_action *action,
                          bool make_pod)
{
    assert(action->ordinal >= 0);
    assert(action->kind == STATEFULSET_CREATE_POD || action->kind == STATEFULSET_FIX_CLAIMS);
    struct creation *k = ARENA_NEW(x->own.a, struct creation);
    *k = (struct creation){.x = x, .action = action, .make_pod = make_pod};
    k->pod = statefulset_pod_name(x, action->ordinal);
    yyjson_val *templates = json_get(x->own.spec, "volumeClaimTemplates");
    JSON_EACH(it, templates)
    {
        struct span name = statefulset_claim_name(x, it.val, action->ordinal);
        if (informer_get(x->c->claims, x->own.ns, name)) {
            continue;
        }
        struct claim_creation *cc = ARENA_NEW(x->own.a, struct claim_creation);
        *cc = (struct claim_creation){k, name};
        k->claims_left++;
        bool owned = action->owner == STATEFULSET_OWNER_SET;
        struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE,
                                    .kind = x->c->claim_kind, .ns = x->own.ns,
                                    .tree = statefulset_claim_body(x, it.val, name, owned)};
        sync_do(x->own.s, &rq, x->c->claims, on_claim_created, cc);
    }
    if (k->claims_left == 0 && make_pod) {
        create_pod(k);
    }
}

static void refuse_create(struct set_sync *x, const struct statefulset_action *action)
{
    assert(action->kind == STATEFULSET_REFUSE_CREATE);
    struct span pod = statefulset_pod_name(x, action->ordinal);
    JSON_EACH(it, json_get(x->own.spec, "volumeClaimTemplates"))
    {
        struct span name = statefulset_claim_name(x, it.val, action->ordinal);
        struct object *claim = informer_get(x->c->claims, x->own.ns, name);
        if (claim && object_is_deleting(claim)) {
            struct err err = {.reason = ERR_CONFLICT};
            err.message = arena_printf(x->own.a, "pvc %.*s is being deleted", SPAN_ARG(name));
            tell(x, "create", "SuccessfulCreate", "FailedCreate", pod, &err);
            return;
        }
    }
}

/* ---- deleting and fixing ---- */

struct pod_write {
    struct set_sync *x;
    struct object *pod; /* held by the sync */
    const struct statefulset_action *action;
};

static bool on_pod_deleted(struct sync *s, void *data, const struct client_reply *reply)
{
    struct pod_write *w = data;
    assert(w->action->kind == STATEFULSET_DELETE_POD);
    bool gone = reply->err.reason == ERR_NOT_FOUND || reply->err.reason == ERR_CONFLICT;
    bool stuck = w->action->why == STATEFULSET_WHY_STUCK;
    if (gone && stuck) {
        sync_again(s); /* it has changed meanwhile: it may be Ready now */
    } else if (stuck && reply->err.reason == ERR_NONE) {
        event_record(w->x->own.events, w->x->own.kind, w->x->own.owner, EVENT_NORMAL,
                     "ReplacedStuckPod",
                     "Pod %.*s was never Ready and its revision is superseded: it is replaced at "
                     "revision %.*s",
                     SPAN_ARG(object_name(w->pod)), SPAN_ARG(w->x->update_name));
    }
    if (!gone) {
        tell(w->x, "delete", "SuccessfulDelete", "FailedDelete", object_name(w->pod), &reply->err);
    }
    return gone;
}

static bool on_pod_fixed(struct sync *s, void *data, const struct client_reply *reply)
{
    struct pod_write *w = data;
    (void)s;
    if (reply->err.reason != ERR_CONFLICT) {
        tell(w->x, "update", "SuccessfulUpdate", "FailedUpdate", object_name(w->pod), &reply->err);
    }
    return false;
}

static struct pod_write *pod_write_new(struct set_sync *x, const struct statefulset_action *action)
{
    struct pod_write *w = ARENA_NEW(x->own.a, struct pod_write);
    *w = (struct pod_write){x, statefulset_pod_at(x, action->ordinal), action};
    assert(w->pod); /* the index was brought up to the view in this turn */
    return w;
}

static void delete_pod(struct set_sync *x, const struct statefulset_action *action)
{
    struct pod_write *w = pod_write_new(x, action);
    struct client_request rq = client_request_for(CLIENT_DELETE, x->c->pods.kind, w->pod);
    rq.precondition_uid = object_uid(w->pod);
    if (action->why == STATEFULSET_WHY_STUCK) {
        rq.precondition_rev = client_rev_text(x->own.a, w->pod);
    }
    sync_do(x->own.s, &rq, x->c->pods.informer, on_pod_deleted, w);
}

static void fix_pod(struct set_sync *x, const struct statefulset_action *action)
{
    assert(action->kind == STATEFULSET_FIX_POD);
    struct pod_write *w = pod_write_new(x, action);
    struct client_body b = client_patch_any(x->own.a, w->pod);
    yyjson_mut_val *labels = json_mut_obj(b.doc, b.meta, "labels");
    json_put_str(b.doc, labels, "statefulset.kubernetes.io/pod-name", object_name(w->pod));
    json_put_str(b.doc, labels, "apps.kubernetes.io/pod-index",
                 arena_printf(x->own.a, "%d", (int)action->ordinal));
    sync_patch(x->own.s, x->c->pods.informer, w->pod, &b, on_pod_fixed, w);
}

/* A pod whose claims get other owners. */
struct claims_fix {
    struct set_sync *x;
    const struct statefulset_action *action;
    struct object *pod; /* held by the sync */
    size_t left;
    bool is_update; /* it stays: then this is an update of it, which is told */
    struct err err; /* the first one */
};

struct claim_fix {
    struct claims_fix *of;
    struct span claim; /* its name: another version may take its place before the answer comes */
};

static bool on_claim_fixed(struct sync *s, void *data, const struct client_reply *reply)
{
    const struct claim_fix *c = data;
    struct claims_fix *f = c->of;
    bool gone = reply->err.reason == ERR_NOT_FOUND || reply->err.reason == ERR_CONFLICT;
    (void)s;
    assert(f->left > 0);
    f->is_update &= !gone; /* it will be tried again */
    if (reply->err.reason != ERR_NONE && f->err.reason == ERR_NONE) {
        f->err.reason = reply->err.reason;
        f->err.message = arena_printf(
            f->x->own.a, "could not update claim %.*s for delete policy ownerRefs: %.*s",
            SPAN_ARG(c->claim), SPAN_ARG(reply->err.message));
    }
    if (--f->left == 0 && f->is_update) {
        tell(f->x, "update", "SuccessfulUpdate", "FailedUpdate", object_name(f->pod), &f->err);
    }
    return false;
}

/* Writes a claim's owner references: foreign ones stay, ours become what the policy asks for. */
static void fix_claim_owner(struct claims_fix *f, struct object *claim)
{
    struct set_sync *x = f->x;
    struct object *pod = f->pod;
    enum statefulset_owner owner = f->action->owner;
    if (statefulset_claim_is_foreign(x, claim, object_name(pod), object_uid(pod))) {
        event_record(x->own.events, x->own.kind, x->own.owner, EVENT_WARNING,
                     "ConflictingController",
                     "PersistentVolumeClaim %.*s has a conflicting OwnerReference that acts as a "
                     "manging controller, the retention policy is ignored for this claim",
                     SPAN_ARG(object_name(claim)));
        owner = STATEFULSET_OWNER_NONE;
    }
    struct client_body b = client_patch_new(x->own.a, claim);
    yyjson_mut_val *list = yyjson_mut_arr(b.doc);
    JSON_EACH(it, client_owners(claim))
    {
        struct span uid = json_get_str(it.val, "uid");
        if (!span_eq(uid, x->own.uid) && !span_eq(uid, object_uid(pod))) {
            yyjson_mut_arr_append(list, json_mut_copy(b.doc, it.val));
        }
    }
    if (owner == STATEFULSET_OWNER_SET) {
        yyjson_mut_arr_append(list,
                              client_owner_new(b.doc, x->own.kind, x->own.name, x->own.uid, true));
    } else if (owner == STATEFULSET_OWNER_POD) {
        yyjson_mut_arr_append(list, client_owner_new(b.doc, x->c->pods.kind, object_name(pod),
                                                     object_uid(pod), true));
    }
    client_body_owners(&b, list);
    struct claim_fix *c = ARENA_NEW(x->own.a, struct claim_fix);
    *c = (struct claim_fix){f, arena_dup(x->own.a, object_name(claim))};
    f->left++;
    sync_patch(x->own.s, x->c->claims, claim, &b, on_claim_fixed, c);
}

static void fix_claims(struct set_sync *x, const struct statefulset_action *action)
{
    const struct statefulset_claims *claims =
        &statefulset_index_get(x->view.index, action->ordinal)->claims;
    struct object *pod = statefulset_pod_at(x, action->ordinal);
    assert(pod);
    if (claims->missing) {
        create_claims(x, action, false);
    }
    if (claims->owner_fits & (1u << action->owner)) {
        return;
    }
    struct claims_fix *f = ARENA_NEW(x->own.a, struct claims_fix);
    *f = (struct claims_fix){.x = x, .action = action, .pod = pod};
    f->is_update = statefulset_is_wanted(&x->view.index->rules, action->ordinal) &&
                   client_condition_true(pod, "Ready");
    JSON_EACH(it, json_get(x->own.spec, "volumeClaimTemplates"))
    {
        struct object *claim = informer_get(x->c->claims, x->own.ns,
                                            statefulset_claim_name(x, it.val, action->ordinal));
        if (claim) {
            fix_claim_owner(f, claim);
        }
    }
}

/* ---- status ---- */

struct status_count {
    const char *key;
    int32_t value;
    bool always; /* also when it is 0 */
};

enum { STATUS_COUNTS = 5 };

/* True when one is not what stands there. */
static bool counts_differ(const struct set_sync *x, const struct status_count *counts)
{
    bool differ = false;
    for (size_t i = 0; i < STATUS_COUNTS; i++) {
        int64_t was = json_get_int(x->own.status, counts[i].key, counts[i].always ? -1 : 0);
        differ |= was != counts[i].value;
    }
    return differ;
}

static void put_counts(struct client_body *b, yyjson_mut_val *to, const struct status_count *counts)
{
    for (size_t i = 0; i < STATUS_COUNTS; i++) {
        if (counts[i].value || counts[i].always) {
            json_put_int(b->doc, to, counts[i].key, counts[i].value);
        } else {
            json_put(b->doc, to, counts[i].key, yyjson_mut_null(b->doc));
        }
    }
}

/* Somebody else has written the set meanwhile: look again. */
static bool on_status_written(struct sync *s, void *data, const struct client_reply *reply)
{
    (void)data;
    bool race = reply->err.reason == ERR_CONFLICT || reply->err.reason == ERR_NOT_FOUND;
    if (race) {
        sync_again(s);
    }
    return race;
}

/* Nothing is made of it while it says what stands there already. */
static void write_status(struct set_sync *x, const struct deadline_plan *deadline)
{
    const struct statefulset_status *st = &x->plan->status;
    assert(deadline);
    assert(st->replicas >= 0);
    const struct status_count counts[STATUS_COUNTS] = {{"replicas", st->replicas, true},
                                                       {"availableReplicas", st->available, true},
                                                       {"readyReplicas", st->ready, false},
                                                       {"currentReplicas", st->current, false},
                                                       {"updatedReplicas", st->updated, false}};
    struct span current = st->complete ? x->update_name : x->current_name;
    int64_t generation = json_int(json_get(client_meta(x->own.owner), "generation"), 0);
    bool newer = json_get_int(x->own.status, "observedGeneration", 0) < generation;
    struct rollout_condition conditions[ROLLOUT_CONDITIONS];
    bool says = statefulset_conditions(x, deadline, conditions);
    if (!newer && !says && !counts_differ(x, counts) &&
        span_eq(json_get_str(x->own.status, "currentRevision"), current) &&
        span_eq(json_get_str(x->own.status, "updateRevision"), x->update_name)) {
        return;
    }
    struct client_body b = client_patch_any(x->own.a, x->own.owner);
    yyjson_mut_val *to = client_body_obj(&b, "status");
    if (newer) {
        json_put_int(b.doc, to, "observedGeneration", generation);
    }
    put_counts(&b, to, counts);
    json_put_str(b.doc, to, "currentRevision", current);
    json_put_str(b.doc, to, "updateRevision", x->update_name);
    json_put_int(b.doc, to, "collisionCount", json_get_int(x->own.status, "collisionCount", 0));
    if (says) {
        statefulset_put_conditions(x, &b, to, deadline, conditions);
    }
    if (newer || says) {
        /* Not over what somebody has written since: a controller that was replaced meanwhile would
         * take back what its successor has seen. */
        json_put_str(b.doc, b.meta, "resourceVersion", client_rev_text(x->own.a, x->own.owner));
    }
    sync_patch_status(x->own.s, x->c->sets.informer, x->own.owner, &b, on_status_written, NULL);
}

/* ---- all of it ---- */

static void act_one(struct set_sync *x, const struct statefulset_action *action)
{
    switch (action->kind) {
    case STATEFULSET_CREATE_POD:
        create_claims(x, action, true);
        break;
    case STATEFULSET_REFUSE_CREATE:
        refuse_create(x, action);
        break;
    case STATEFULSET_DELETE_POD:
        delete_pod(x, action);
        break;
    case STATEFULSET_FIX_POD:
        fix_pod(x, action);
        break;
    case STATEFULSET_FIX_CLAIMS:
        fix_claims(x, action);
        break;
    }
}

void statefulset_act(struct set_sync *x)
{
    const struct statefulset_plan *plan = x->plan;
    assert(plan->action_count <= STATEFULSET_ACTIONS_MAX);
    for (size_t i = 0; i < plan->action_count; i++) {
        act_one(x, &plan->actions[i]);
    }
    statefulset_tell_notes(x);
    statefulset_standing(x);
    struct deadline_plan deadline;
    statefulset_deadline(x, &deadline);
    write_status(x, &deadline);
    if (plan->again) {
        sync_again(x->own.s);
    }
    sync_at(x->own.s, plan->requeue_at_ms);
    if (plan->waiting != STATEFULSET_WHY_NONE) {
        log_event(LOG_DEBUG, "statefulset_waits", LOG_S("set", x->own.name),
                  LOG_I("ordinal", plan->waiting_ordinal),
                  LOG_C("why", statefulset_why_text(plan->waiting)));
    }
}
