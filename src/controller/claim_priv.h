/* controller/claim_priv.h: what the files of the claim controller share. Not for others. */
#ifndef CONTROLLER_CLAIM_PRIV_H
#define CONTROLLER_CLAIM_PRIV_H

#include "base/map.h"
#include "client/client_body.h"
#include "client/client_event.h"
#include "controller/controller.h"
#include "controller/reconciler.h"
#include "plan/claim_plan.h"

#define CLAIM_PROTECTION "kubernetes.io/pvc-protection"
#define VOLUME_PROTECTION "kubernetes.io/pv-protection"
#define LOCAL_PROVISIONER "berth.dev/local"

/* A disk that is being made, grown or removed, or has been: the outcome waits here for the next
 * sync. */
enum job_state {
    JOB_CREATING,
    JOB_CREATED,
    JOB_CREATE_FAILED,
    JOB_REMOVING,
    JOB_REMOVED,
    JOB_REMOVE_FAILED,
    JOB_GROWING,
    JOB_GROWN /* or not: code */
};

struct volume_job {
    struct claim_controller *controller;
    enum job_state state;
    char *text, *warning; /* path or error; may be NULL */
    int code;
    bool files;         /* the growth is that of its file system */
    int64_t size_bytes; /* that it grows to */
    struct span name;   /* in bytes, as are the claim's */
    struct span claim_ns, claim_name;
    char bytes[];
};

struct claim_controller {
    struct client *client;
    const struct schema_kind *claim_kind, *volume_kind, *pod_kind;
    struct informer *claims, *volumes, *classes, *pods;
    int volumes_by_claim, claims_pending, pods_by_claim;
    struct reconciler *claim_reconciler, *volume_reconciler;
    struct event_recorder *events, *resizer_events, *node_events;
    struct map jobs;
    char *node_name, *volume_dir;
    const struct volume_ops *ops;
};

/* claim_job.c */
struct volume_job *claim_job_get(struct claim_controller *c, struct span volume_name);
/* claim is NULL for a removal. */
void claim_job_create(struct claim_controller *c, struct span volume_name, int64_t bytes,
                      struct object *claim);
/* bytes 0: the file system, to all of its disk; used: by pods. */
void claim_job_grow(struct claim_controller *c, struct span volume_name, int64_t bytes, bool used,
                    struct object *claim);
void claim_job_remove(struct claim_controller *c, struct span volume_name);
void claim_job_forget(struct volume_job *job); /* NULL is fine */
/* A claim went before its new volume was written down: the disk goes too. keep: the volume name of
 * the claim that has the name now, or empty. */
void claim_job_abandon(struct claim_controller *c, struct span ns, struct span name,
                       struct span keep);
void claim_jobs_free(struct claim_controller *c);

/* claim_bind.c: one sync of a claim. */
void claim_run(struct sync *s);
/* claim_grow.c: the same, of a bound claim that may ask for more than it has. */
void claim_grow(struct sync *s, struct object *claim, struct object *volume);
/* It waits for its pods, to grow. */
bool claim_grow_waits(struct object *claim);
/* claim_volume.c: one sync of a volume. */
void claim_volume_run(struct sync *s);

/* Keys of the index of volumes. */
struct span claim_ref_key(struct arena *a, struct span ns, struct span name);
int64_t claim_bytes_of(const yyjson_val *amount);
#define CLAIM_FREE_KEY SPAN("free")
/* True when its node agent has finished with the pod, or a user said so by force, and only
 * finalizers keep the object: it uses its claims no longer. (A pod that waits for a claim of its
 * own to go, and the claim for the pod, would wait for ever.) */
bool claim_pod_is_shut_down(struct object *pod);

#endif
