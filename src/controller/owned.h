/* controller/owned.h: what every controller does that owns objects by a selector and controller
 * references: whose turn is it when one changes, adoption and release, pods from templates, and the
 * revisions of a template.
 *
 * An object with a controller reference belongs to that owner, whatever its labels; without one it
 * is an orphan, and the first owner whose selector matches takes it. */
#ifndef CONTROLLER_OWNED_H
#define CONTROLLER_OWNED_H

#include "client/client_body.h"
#include "client/client_event.h"
#include "client/informer_set.h"
#include "codec/selector.h"
#include "controller/reconciler.h"
#include "plan/pod_rank.h"
#include "plan/revision_plan.h"

struct informer_set;

/* Index keys: the controller's uid, or "orphan/NAMESPACE" for objects without a controller. */
informer_key_fn owned_by_controller;
struct span owned_orphan_key(struct arena *a, struct span ns);

/* ---- whose turn ---- */

/* The owners of one kind; by_ns: their index by namespace. */
struct owners {
    struct reconciler *reconciler;
    const struct schema_kind *kind;
    struct informer *informer;
    int by_ns;
    struct event_recorder *events;
    /* When not NULL: called for each owner that may adopt an orphan which has changed. */
    void (*on_orphan)(void *data, struct object *owner);
    void *data;
};
/* The kind of what is owned; by_controller: its index by owned_by_controller. */
struct owned_kind {
    const struct schema_kind *kind;
    struct informer *informer;
    int by_controller;
    const char *finalizer; /* what is adopted gets it, what is released loses it; NULL: none */
};
/* Each change of an owner has its turn in `run`; name: of the controller, static. */
void owners_init(struct owners *w, const struct controller_place *place,
                 const struct schema_kind *kind, const char *name, void (*run)(struct sync *s),
                 void *controller);
void owners_done(struct owners *w);
void owned_kind_init(struct owned_kind *k, struct informer_set *informers,
                     const struct schema_kind *kind);
/* A change of what is owned has its owner's turn, by owned_changed, until owners_done(). */
void owners_follow(struct owners *w, const struct owned_kind *k);
/* The name of o's controller when that is of this kind; empty otherwise. */
struct span owned_controller_name(const struct schema_kind *kind, struct object *o);
/* An object that may be owned has changed (old or now may be NULL): queues its owner, before and
 * after; for an orphan every owner whose selector matches. */
void owned_changed(struct owners *owners, struct object *old, struct object *now);

/* ---- one sync of an owner ---- */

struct owned_sync {
    struct sync *s;
    struct arena *a;
    const struct schema_kind *kind;
    struct informer *informer; /* of the owner's kind */
    struct object *owner;      /* held by the arena */
    yyjson_val *spec, *status;
    struct span name, ns, uid;
    struct selector selector;
    struct event_recorder *events;
};
/* Fills x for the object of this sync; false: there is none, or its selector is unusable. */
bool owned_begin(struct owned_sync *x, struct sync *s, const struct owners *owners);

struct owned_list {
    struct object **at; /* held by the arena */
    size_t n;
};
/* What the owner owns and selects. Owned ones that no longer match are released, matching orphans
 * adopted after the owner was read again from the server (one that is being deleted, or another of
 * the same name, must not take anything). True: something was written, the sync ends and runs
 * again.
 */
bool owned_claim(struct owned_sync *x, const struct owned_kind *k, struct owned_list *ret);
/* The two halves of it, for who finds the objects by itself. A release shows in the view before the
 * sync ends; an adoption makes it run again. */
void owned_release(struct owned_sync *x, const struct owned_kind *k, struct object *o);
void owned_adopt(struct owned_sync *x, const struct owned_kind *k, struct object **orphans,
                 size_t n);
/* What it owns, unchanged. */
struct owned_list owned_all(struct arena *a, const struct owned_kind *k, struct span owner_uid);

/* ---- pods ---- */

struct pod_rank owned_pod_rank(struct object *pod);
/* A pod NAME-xxxxx of a pod template, owned by x's object. Labels, annotations, finalizers and spec
 * are the template's; the caller may add more before client_body_tree(). */
struct client_body owned_pod_new(struct owned_sync *x, const struct schema_kind *pods,
                                 const yyjson_val *pod_template);
void owned_copy_members(yyjson_mut_doc *doc, yyjson_mut_val *to, const yyjson_val *from);

/* Makes and deletes pods: in growing batches, so that what fails for one is not asked for all, with
 * the events SuccessfulCreate, FailedCreate, SuccessfulDelete and FailedDelete. */
struct owned_pods {
    struct owned_sync *x;
    const struct owned_kind *pods;
    struct json_shared **bodies; /* of the pods to make */
    size_t body_count;
    struct object **deletes; /* held */
    size_t delete_count;
    /* Called once, when all has been answered. create_error, delete_error: the first, or empty. */
    void (*done)(struct owned_pods *p);
    void *data;
    struct span create_error, delete_error;
    /* private */
    size_t sent, waiting;
    int32_t batch;
    bool ended;
};
/* p lives as long as the sync. done may be called inside the call. */
void owned_pods_act(struct owned_pods *p);

/* ---- revisions ---- */

/* The ControllerRevisions of a template: a history to go back to. */
struct owned_history {
    struct revision_entry *entries; /* sorted */
    struct object **objects;        /* by revision_entry.from; held */
    size_t n;
    struct span hash; /* of the newest: what pods made from it are labelled with */
};
/* Of which version of the owner the newest revision, of that version, is known to be: zeroes at
 * first. While both stay, the template is not compared again. */
struct owned_revision_memo {
    int64_t generation, rev;
};
/* Makes or renumbers the one of spec.template, which then is the newest: entries[n - 1]. An owner
 * that is being deleted keeps what it has. list: its revisions; hash_label: their label (and that
 * of pods, for some kinds) that holds the hash. True: the sync ends; what was written, if anything,
 * makes it run again. */
bool owned_revisions(struct owned_sync *x, const struct owned_kind *revisions,
                     const char *hash_label, struct owned_list list,
                     struct owned_revision_memo *memo, struct owned_history *ret);
struct span owned_revision_hash(struct object *revision, const char *hash_label);
/* Deletes the oldest beyond spec.revisionHistoryLimit; entries[].live is set by the caller. */
void owned_truncate(struct owned_sync *x, const struct owned_kind *revisions,
                    const struct owned_history *history);

/* ---- status ---- */

/* A status as it should be: what differs from the stored one becomes one merge patch. */
struct owned_status {
    struct owned_sync *x;
    struct client_body body;
    yyjson_mut_val *to;
    bool changed;
};
/* Puts observedGeneration too. */
struct owned_status owned_status_new(struct owned_sync *x);
/* always: written even when 0. */
void owned_status_count(struct owned_status *st, const char *key, int64_t value, bool always);
/* Sends it when anything differs. */
void owned_status_write(struct owned_status *st, struct informer *seen_in);

int32_t owned_int32(const yyjson_val *obj, const char *key, int32_t otherwise);
/* A number or "N%"; absent counts as 0. */
struct plan_amount owned_amount(const yyjson_val *v);

#endif
