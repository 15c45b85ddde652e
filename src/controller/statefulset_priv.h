/* controller/statefulset_priv.h: what the files of the StatefulSet controller share. Not for
 * others. */
#ifndef CONTROLLER_STATEFULSET_PRIV_H
#define CONTROLLER_STATEFULSET_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "client/informer_set.h"
#include "controller/owned.h"
#include "kinds/statefulset_notes.h"
#include "plan/deadline_plan.h"
#include "plan/rollout_plan.h"
#include "plan/statefulset_index.h"

struct statefulset_controller {
    struct env *env;
    struct client *client;
    struct owners sets;
    struct owned_kind pods, revisions;
    const struct schema_kind *claim_kind;
    struct informer *claims, *nodes;
    struct map states; /* struct set_state by uid */
};

/* What is remembered of a set between its syncs: its pods as the planner wants them, changed by pod
 * events, so that a sync costs what has changed. Losing it costs one look at all pods. */
struct set_state {
    struct span uid;
    struct statefulset_index index;
    VEC(int32_t) dirty; /* ordinals whose pod or claims have changed; may name one twice */
    bool look_at_all;   /* first sync, another revision, or too much has changed */
    bool misnamed;      /* a pod of ours may have a name that is not */
    bool orphans;       /* there may be pods or revisions to adopt */
    struct owned_revision_memo revision;
    /* Owned; the revisions that the index knows, and the pods that come last. */
    struct span current_name, update_name, order;
    uint64_t notes_told; /* a hash of the wrong annotations that events told of */
    /* Causes that events have told of this ordinal, bit by bit; forgotten when all is well. */
    uint32_t trouble_told;
    int32_t trouble_ordinal;
    /* The last answer of the server to the creation of a pod, when it was no. */
    int32_t refused_ordinal;
    struct span refused; /* owned; empty: none */
};

/* One sync's observations; arena memory. Objects are held by references that the arena drops. */
struct set_sync {
    struct owned_sync own;
    struct statefulset_controller *c;
    struct set_state *state; /* only inside the run: it goes with the set */
    struct owned_history history;
    struct span current_name, update_name;
    yyjson_val *current_template, *update_template;
    struct statefulset_notes notes;
    const struct statefulset_rules *rules;
    /* Of status.conditions those that are the controller's, as they stand; NULL: absent. */
    yyjson_val *clock, *standing[ROLLOUT_CONDITIONS];
    struct statefulset_view view;
    struct statefulset_plan *plan;
};

/* statefulset_adopt.c. Returns true when it wrote something: the sync ends. */
bool statefulset_adopt(struct set_sync *x);

/* statefulset_revision.c. Fills history, names and templates; true: the sync ends. */
bool statefulset_revisions(struct set_sync *x);
void statefulset_truncate(struct set_sync *x);

/* statefulset_view.c */
void statefulset_observe(struct set_sync *x);
/* The pod of an ordinal, if it is the set's; held until the sync ends. NULL: none. */
struct object *statefulset_pod_at(struct set_sync *x, int32_t ordinal);
struct span statefulset_pod_name(struct set_sync *x, int32_t ordinal);
struct span statefulset_claim_name(struct set_sync *x, const yyjson_val *claim_template,
                                   int32_t ordinal);
/* True when the claim's owner references must not be touched: somebody else manages it. */
bool statefulset_claim_is_foreign(struct set_sync *x, struct object *claim, struct span pod_name,
                                  struct span pod_uid);

/* statefulset_state.c */
/* NULL when the set has not been looked at yet: its first sync looks at all. */
struct set_state *statefulset_state_find(struct statefulset_controller *c, struct span uid);
void statefulset_state_dirty(struct set_state *state, int32_t ordinal);
/* Notes the revisions that pods are measured by. */
void statefulset_state_revisions(struct set_state *state, struct span current, struct span update);
/* Notes the selector of pods to be updated last. */
void statefulset_state_order(struct set_state *state, struct span order);
struct set_state *statefulset_state_get(struct statefulset_controller *c, struct span uid);
void statefulset_state_drop(struct statefulset_controller *c, struct span uid);
void statefulset_states_done(struct statefulset_controller *c);
/* Empty text: it was made. By uid, since replies outlive states. */
void statefulset_state_refused(struct statefulset_controller *c, struct span uid, int32_t ordinal,
                               struct span text);

/* statefulset_progress.c: the deadline of a roll-out; goes back to the last complete revision when
 * it is missed and that is asked for. */
void statefulset_deadline(struct set_sync *x, struct deadline_plan *ret);
/* Events about annotations that are ignored. */
void statefulset_tell_notes(struct set_sync *x);

/* statefulset_condition.c: finds the set's conditions as they stand, before all that asks of them.
 */
void statefulset_standing(struct set_sync *x);
/* What status.conditions should say; true when that differs from what
 * stands there. The patch that puts them must apply to this very version: others write into the
 * list as well. */
bool statefulset_conditions(struct set_sync *x, const struct deadline_plan *deadline,
                            struct rollout_condition ret[ROLLOUT_CONDITIONS]);
void statefulset_put_conditions(struct set_sync *x, struct client_body *b, yyjson_mut_val *status,
                                const struct deadline_plan *deadline,
                                const struct rollout_condition *ours);

/* statefulset_act.c */
void statefulset_act(struct set_sync *x);
/* statefulset_pod.c: bodies. */
struct json_shared *statefulset_pod_body(struct set_sync *x, int32_t ordinal, bool at_update);
struct json_shared *statefulset_claim_body(struct set_sync *x, const yyjson_val *claim_template,
                                           struct span name, bool owned_by_set);

#endif
