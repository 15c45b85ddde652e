/* controller/claim_volume.c: one sync of a volume: its phase, its release, and the end of its data.
 */
#include "base/check.h"
#include "codec/time.h"
#include "controller/claim_priv.h"
#include "schema/status.h"

struct volume_sync {
    struct claim_controller *c;
    struct sync *s;
    struct object *volume;
    yyjson_val *spec, *ref;
    struct volume_view view;
};

static void set_phase(struct volume_sync *x, enum volume_phase phase)
{
    static const char *const names[] = {[VOLUME_AVAILABLE] = "Available",
                                        [VOLUME_BOUND] = "Bound",
                                        [VOLUME_RELEASED] = "Released",
                                        [VOLUME_FAILED] = "Failed"};
    assert(phase < sizeof names / sizeof *names);
    assert(names[phase]);
    struct span is = status_phase(object_root(x->volume));
    if (span_eq_cstr(is, names[phase])) {
        return;
    }
    struct client_body b = client_patch_any(x->s->arena, x->volume);
    yyjson_mut_val *status = client_body_obj(&b, "status");
    json_put_str(b.doc, status, "phase", span_cstr(names[phase]));
    json_put_str(b.doc, status, "lastPhaseTransitionTime", time_format(x->s->arena, x->s->now_ms));
    sync_patch_status(x->s, x->c->volumes, x->volume, &b, sync_or_gone, NULL);
}

static void unprotect(struct volume_sync *x)
{
    struct client_body b = client_patch_new(x->s->arena, x->volume);
    yyjson_val *list = json_get(client_meta(x->volume), "finalizers");
    json_put(b.doc, b.meta, "finalizers", client_without(b.doc, list, VOLUME_PROTECTION));
    sync_patch(x->s, x->c->volumes, x->volume, &b, sync_or_gone, NULL);
}

static void delete_object(struct volume_sync *x)
{
    sync_delete(x->s, x->c->volumes, x->volume, sync_or_gone, NULL);
}

static void reclaim(struct volume_sync *x, enum volume_phase phase)
{
    struct volume_job *job = claim_job_get(x->c, x->s->name);
    set_phase(x, phase);
    if (job &&
        (job->state == JOB_CREATING || job->state == JOB_REMOVING || job->state == JOB_GROWING)) {
        return;
    }
    if (job && job->state == JOB_REMOVE_FAILED) {
        event_record(x->c->events, x->c->volume_kind, x->volume, EVENT_WARNING,
                     "VolumeFailedDelete", "%s", job->text ? job->text : "");
        claim_job_forget(job);
        sync_fail(x->s); /* again, after a back-off */
        return;
    }
    claim_job_remove(x->c, x->s->name);
}

static void go_on(struct volume_sync *x);

static bool on_claim_read(struct sync *s, void *data, const struct client_reply *reply)
{
    struct volume_sync *x = data;
    (void)s;
    struct span uid = json_get_str(x->ref, "uid");
    if (reply->err.reason == ERR_NOT_FOUND ||
        (reply->object && !span_eq(object_uid(reply->object), uid))) {
        x->view.gone_certain = true;
        go_on(x);
        return true;
    }
    return false; /* it is there: the view will show it */
}

static void ask_claim(struct volume_sync *x)
{
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_GET, .kind = x->c->claim_kind,
                                .ns = json_get_str(x->ref, "namespace"),
                                .name = json_get_str(x->ref, "name")};
    sync_do(x->s, &rq, NULL, on_claim_read, x);
}

static void go_on(struct volume_sync *x)
{
    struct volume_plan plan = volume_plan(&x->view);
    switch (plan.step) {
    case VOLUME_NOTHING:
        break;
    case VOLUME_SET_PHASE:
        set_phase(x, plan.phase);
        break;
    case VOLUME_ASK_CLAIM:
        ask_claim(x);
        break;
    case VOLUME_RECLAIM:
        reclaim(x, plan.phase);
        break;
    case VOLUME_DELETE:
        delete_object(x);
        break;
    case VOLUME_UNPROTECT:
        unprotect(x);
        break;
    }
}

static void observe(struct volume_sync *x)
{
    struct volume_view *v = &x->view;
    yyjson_val *meta = client_meta(x->volume);
    struct volume_job *job = claim_job_get(x->c, x->s->name);
    v->deleting = object_is_deleting(x->volume);
    v->protected = client_has_finalizer(x->volume, VOLUME_PROTECTION);
    v->delete_policy =
        span_eq_cstr(json_get_str(x->spec, "persistentVolumeReclaimPolicy"), "Delete");
    v->ours =
        span_eq_cstr(json_get_str(json_get(meta, "annotations"), "pv.kubernetes.io/provisioned-by"),
                     LOCAL_PROVISIONER);
    v->data_removed = job && job->state == JOB_REMOVED;
    v->removal_failed = job && job->state == JOB_REMOVE_FAILED;
    x->ref = json_get(x->spec, "claimRef");
    if (!x->ref) {
        return;
    }
    struct span uid = json_get_str(x->ref, "uid");
    struct object *claim =
        informer_get(x->c->claims, json_get_str(x->ref, "namespace"), json_get_str(x->ref, "name"));
    v->has_ref = true;
    v->ref_has_uid = uid.n > 0;
    v->claim_known = claim && (uid.n == 0 || span_eq(uid, object_uid(claim)));
    v->claim_names_it =
        v->claim_known && span_eq(json_get_str(client_spec(claim), "volumeName"), x->s->name);
}

void claim_volume_run(struct sync *s)
{
    assert(s->name.n > 0);
    struct claim_controller *c = s->controller;
    struct object *volume = informer_get(c->volumes, SPAN_NULL, s->name);
    struct volume_job *job = claim_job_get(c, s->name);
    if (!volume) {
        if (job && (job->state == JOB_REMOVED || job->state == JOB_REMOVE_FAILED ||
                    job->state == JOB_GROWN)) {
            claim_job_forget(job);
        }
        return;
    }
    object_hold(s->arena, volume);
    struct volume_sync *x = ARENA_NEW(s->arena, struct volume_sync);
    *x = (struct volume_sync){.c = c, .s = s, .volume = volume};
    x->spec = client_spec(volume);
    observe(x);
    go_on(x);
}
