/* controller/claim_grow.c: one sync of a bound claim: it comes to the size that it asks for.
 *
 * The parts of Kubernetes' external resizer and of its node agent in one, in their words. A failure
 * is told in the claim's conditions and as an event, and tried again after a back-off. */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "codec/time.h"
#include "controller/claim_priv.h"
#include "plan/grow_plan.h"

struct grow_sync {
    struct claim_controller *c;
    struct sync *s;
    struct arena *a;
    struct object *claim, *volume;
    yyjson_val *status;
    struct volume_job *job; /* NULL: none */
    struct grow_view view;
    struct span size; /* of the plan, as whoever asked wrote it */
};

#define RESIZING "Resizing"
#define FILES_PENDING "FileSystemResizePending"
#define DISK_ERROR "ControllerResizeError"
#define FILES_ERROR "NodeResizeError"

static yyjson_val *storage(yyjson_val *obj, const char *member)
{
    return json_path(obj, member, "storage", NULL);
}

static enum grow_stage stage_of(struct span word)
{
    static const struct {
        const char *word;
        enum grow_stage stage;
    } all[] = {{"ControllerResizeInProgress", GROW_STAGE_DISK},
               {"ControllerResizeInfeasible", GROW_STAGE_DISK_INFEASIBLE},
               {"NodeResizePending", GROW_STAGE_FILES_PENDING},
               {"NodeResizeInProgress", GROW_STAGE_FILES},
               {"NodeResizeInfeasible", GROW_STAGE_FILES}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (span_eq_cstr(word, all[i].word)) {
            return all[i].stage;
        }
    }
    return GROW_STAGE_NONE;
}

bool claim_grow_waits(struct object *claim)
{
    yyjson_val *status = client_status(claim);
    return stage_of(json_str(storage(status, "allocatedResourceStatuses"))) ==
           GROW_STAGE_FILES_PENDING;
}

static enum grow_job job_of(const struct volume_job *job)
{
    if (job &&
        (job->state == JOB_GROWING || job->state == JOB_CREATING || job->state == JOB_REMOVING)) {
        return GROW_JOB_RUNNING;
    }
    if (!job || job->state != JOB_GROWN) {
        return GROW_JOB_NONE;
    }
    if (job->files) {
        return job->code == 0        ? GROW_JOB_FILES_DONE
               : job->code == -EBUSY ? GROW_JOB_FILES_BUSY
                                     : GROW_JOB_FILES_FAILED;
    }
    return job->code == 0         ? GROW_JOB_DISK_DONE
           : job->code == -ENOSPC ? GROW_JOB_DISK_INFEASIBLE
                                  : GROW_JOB_DISK_FAILED;
}

static void observe(struct grow_sync *x)
{
    yyjson_val *spec = client_spec(x->claim), *root = object_root(x->volume);
    struct span maker = json_str(
        json_path(root, "metadata", "annotations", "pv.kubernetes.io/provisioned-by", NULL));
    struct grow_view *v = &x->view;
    v->ours = span_eq_cstr(maker, LOCAL_PROVISIONER);
    v->asked = claim_bytes_of(json_path(spec, "resources", "requests", "storage", NULL));
    v->has = claim_bytes_of(storage(x->status, "capacity"));
    v->allocated = claim_bytes_of(storage(x->status, "allocatedResources"));
    v->volume = claim_bytes_of(json_path(root, "spec", "capacity", "storage", NULL));
    v->stage = stage_of(json_str(storage(x->status, "allocatedResourceStatuses")));
    v->job = job_of(x->job);
    v->job_bytes = x->job ? x->job->size_bytes : 0;
}

/* ---- writing ---- */

static bool is_about_growth(struct span type)
{
    return span_eq_cstr(type, RESIZING) || span_eq_cstr(type, FILES_PENDING) ||
           span_eq_cstr(type, DISK_ERROR) || span_eq_cstr(type, FILES_ERROR);
}

/* type NULL: none of ours is left. keep: those of ours that are there stay. */
static yyjson_mut_val *conditions(struct grow_sync *x, yyjson_mut_doc *doc, const char *type,
                                  bool keep, struct span message)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    JSON_EACH(it, json_get(x->status, "conditions"))
    {
        struct span is = json_get_str(it.val, "type");
        if (!is_about_growth(is) || (keep && !span_eq_cstr(is, type))) {
            yyjson_mut_arr_append(list, json_mut_copy(doc, it.val));
        }
    }
    if (type) {
        yyjson_val *was = client_condition(x->claim, type);
        yyjson_mut_val *one = yyjson_mut_obj(doc);
        json_put_str(doc, one, "type", span_cstr(type));
        json_put_str(doc, one, "status", SPAN("True"));
        json_put_str(doc, one, "lastTransitionTime",
                     was ? json_get_str(was, "lastTransitionTime")
                         : time_format(x->a, x->s->now_ms));
        if (message.n) {
            json_put_str(doc, one, "message", message);
        }
        yyjson_mut_arr_append(list, one);
    }
    return list;
}

/* stage: the word, or NULL when it is over. */
static void write_claim(struct grow_sync *x, const char *stage, const char *type, bool keep,
                        struct span message)
{
    struct client_body b = client_patch_new(x->a, x->claim); /* decided on this very version */
    yyjson_mut_val *status = client_body_obj(&b, "status");
    if (stage) {
        json_put_str(b.doc, json_mut_obj(b.doc, status, "allocatedResources"), "storage", x->size);
        json_put_str(b.doc, json_mut_obj(b.doc, status, "allocatedResourceStatuses"), "storage",
                     span_cstr(stage));
    } else {
        json_put_str(b.doc, json_mut_obj(b.doc, status, "capacity"), "storage", x->size);
        json_put(b.doc, status, "allocatedResourceStatuses", yyjson_mut_null(b.doc));
    }
    json_put(b.doc, status, "conditions", conditions(x, b.doc, type, keep, message));
    sync_patch_status(x->s, x->c->claims, x->claim, &b, sync_or_gone, NULL);
}

static void write_volume(struct grow_sync *x)
{
    struct client_body b = client_patch_new(x->a, x->volume);
    yyjson_mut_val *spec = client_body_obj(&b, "spec");
    json_put_str(b.doc, json_mut_obj(b.doc, spec, "capacity"), "storage", x->size);
    sync_patch(x->s, x->c->volumes, x->volume, &b, sync_or_gone, NULL);
}

/* ---- telling ---- */

static void tell(struct grow_sync *x, struct event_recorder *by, enum event_type type,
                 const char *reason, struct span message)
{
    event_record(by, x->c->claim_kind, x->claim, type, reason, "%.*s", SPAN_ARG(message));
}

struct audience {
    struct grow_sync *x;
    enum event_type type;
    const char *reason;
    struct span message;
    bool any, tell;
};

static bool see_pod(void *data, struct object *pod)
{
    struct audience *to = data;
    to->any = true;
    if (to->tell) {
        event_record(to->x->c->node_events, to->x->c->pod_kind, pod, to->type, to->reason, "%.*s",
                     SPAN_ARG(to->message));
    }
    return true;
}

static bool each_pod(struct grow_sync *x, struct audience *to)
{
    to->x = x;
    informer_index_each(x->c->pods, x->c->pods_by_claim, claim_ref_key(x->a, x->s->ns, x->s->name),
                        see_pod, to);
    return to->any;
}

/* As a node agent does: to the claim and to its pods. */
static void tell_all(struct grow_sync *x, enum event_type type, const char *reason,
                     struct span message)
{
    struct audience to = {.type = type, .reason = reason, .message = message, .tell = true};
    tell(x, x->c->node_events, type, reason, message);
    (void)each_pod(x, &to);
}

/* ---- steps ---- */

/* The condition and its stage are written when they change, the event is counted. */
static void fail(struct grow_sync *x, bool files)
{
    assert(x->job);
    const char *type = files ? FILES_ERROR : DISK_ERROR;
    const char *stage = files                     ? "NodeResizeInProgress"
                        : x->job->code == -ENOSPC ? "ControllerResizeInfeasible"
                                                  : "ControllerResizeInProgress";
    struct span why = arena_dup(x->a, span_cstr(x->job->text)), name = object_name(x->volume);
    if (files) {
        tell_all(x, EVENT_WARNING, "VolumeResizeFailed",
                 arena_printf(x->a,
                              "NodeExpandVolume.NodeExpandVolume failed for volume \"%.*s\" : %.*s",
                              SPAN_ARG(name), SPAN_ARG(why)));
    } else {
        tell(x, x->c->resizer_events, EVENT_WARNING, "VolumeResizeFailed",
             arena_printf(
                 x->a, "resize volume \"%.*s\" by resizer \"" LOCAL_PROVISIONER "\" failed: %.*s",
                 SPAN_ARG(name), SPAN_ARG(why)));
    }
    struct span message = arena_printf(x->a, "failed to expand pvc with %.*s", SPAN_ARG(why));
    if (!span_eq(json_get_str(client_condition(x->claim, type), "message"), message) ||
        stage_of(span_cstr(stage)) != x->view.stage) {
        write_claim(x, stage, type, true, message);
    }
    sync_fail(x->s);
}

static void begin(struct grow_sync *x)
{
    tell(x, x->c->resizer_events, EVENT_NORMAL, RESIZING,
         arena_printf(x->a, "External resizer is resizing volume %.*s",
                      SPAN_ARG(object_name(x->volume))));
    write_claim(x, "ControllerResizeInProgress", RESIZING, false, SPAN_NULL);
}

static void pending(struct grow_sync *x)
{
    if (x->view.stage != GROW_STAGE_FILES_PENDING) {
        tell(x, x->c->resizer_events, EVENT_NORMAL, "FileSystemResizeRequired",
             SPAN("Require file system resize of volume on node"));
        write_claim(x, "NodeResizePending", FILES_PENDING, false,
                    SPAN("Waiting for user to (re-)start a pod to finish file system resize of "
                         "volume on node."));
    }
}

static void finish(struct grow_sync *x)
{
    tell_all(x, EVENT_NORMAL, "FileSystemResizeSuccessful",
             arena_printf(x->a, "MountVolume.NodeExpandVolume succeeded for volume \"%.*s\" %s",
                          SPAN_ARG(object_name(x->volume)), x->c->node_name));
    write_claim(x, NULL, NULL, false, SPAN_NULL);
}

static void start(struct grow_sync *x, int64_t bytes)
{
    struct audience to = {0};
    claim_job_forget(x->job);
    x->job = NULL;
    claim_job_grow(x->c, object_name(x->volume), bytes, each_pod(x, &to), x->claim);
}

/* The outcome of the last deed is in the plan: what follows is written, or it is done again. */
static void act(struct grow_sync *x, const struct grow_plan *plan)
{
    switch (plan->step) {
    case GROW_NOTHING:
        break;
    case GROW_EXTERNAL:
        tell(x, x->c->events, EVENT_NORMAL, "ExternalExpanding",
             SPAN("waiting for an external controller to expand this PVC"));
        break;
    case GROW_BEGIN:
        begin(x);
        break;
    case GROW_DISK:
        start(x, plan->bytes);
        break;
    case GROW_FILES:
        start(x, 0);
        break;
    case GROW_DISK_FAIL:
    case GROW_FILES_FAIL:
        fail(x, plan->step == GROW_FILES_FAIL);
        break;
    case GROW_VOLUME:
        write_volume(x);
        break;
    case GROW_PENDING:
        pending(x);
        break;
    case GROW_WAIT_PODS:
        pending(x);
        if (!each_pod(x, &(struct audience){0})) { /* somebody else has it: no pod will tell */
            sync_fail(x->s);
        }
        break;
    case GROW_FINISH:
        finish(x);
        break;
    }
}

void claim_grow(struct sync *s, struct object *claim, struct object *volume)
{
    assert(claim);
    assert(volume);
    struct claim_controller *c = s->controller;
    struct grow_sync *x = ARENA_NEW(s->arena, struct grow_sync);
    *x = (struct grow_sync){.c = c, .s = s, .a = s->arena, .claim = claim, .volume = volume};
    x->status = client_status(claim);
    x->job = claim_job_get(c, object_name(volume));
    observe(x);
    struct grow_plan plan = grow_plan(&x->view);
    yyjson_val *asked = json_path(client_spec(claim), "resources", "requests", "storage", NULL);
    yyjson_val *allocated = storage(x->status, "allocatedResources");
    x->size = json_str(plan.bytes == x->view.asked ? asked : allocated);
    /* Kept until the volume shows that the disk is as large, lest it be asked twice. */
    bool spent = x->view.job > GROW_JOB_RUNNING && plan.step != GROW_VOLUME;
    act(x, &plan);
    if (spent) {
        claim_job_forget(x->job);
    }
}
