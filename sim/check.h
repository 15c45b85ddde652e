/*
 * What the checkers are told and asked: each rule of the platform's promises has a file check_*.c,
 * and rules.c keeps what they know of the set. A promise that is broken is said with sim_fail();
 * nothing here changes the platform.
 */
#ifndef BERTH_SIM_CHECK_H
#define BERTH_SIM_CHECK_H

#include "sim/platform_priv.h"

/* rules.c */
void rules_on_change(struct platform *w, struct object *old, struct object *now);
/* A role's request is about to be done; the server refused it. */
void rules_on_request(struct platform *w, const struct client_request *rq);
void rules_on_refused(struct platform *w, const struct client_request *rq, const struct err *err);
/* True when the pod of this ordinal was taken for an update and has no available successor. */
bool rules_is_taken(const struct platform *w, int ordinal);
/* True when the set has a pod of this ordinal. */
bool rules_in_range(const struct sim_rules *r, int64_t ordinal);
/* True when the pod is the set's. */
bool rules_is_owned(const struct platform *w, const struct sim_seat *s);
/* True when the atom holds or did within WINDOW_MS. */
bool rules_lately(const struct platform *w, bool now, int64_t last_ms);
/* Somebody's request, about to be done; role: field manager. */
void check_order(struct platform *w, const struct client_request *rq);
/* True when the version of the rules held within the window. */
bool rules_held_lately(const struct platform *w, const struct sim_rules *r);
void check_claims(struct platform *w, struct object *old, struct object *now);
void check_orphans(struct platform *w, const struct client_request *rq);
/* check_status.c */
void check_status_change(struct platform *w, struct object *old, struct object *now);
void check_status_refused(struct platform *w, const struct client_request *rq);
void check_status_started(struct platform *w);
void check_status_write(struct platform *w, const struct client_request *rq);
void check_identity(struct platform *w, struct span ns, struct span name, struct span uid);
void check_acknowledged(struct platform *w);
void check_status(struct platform *w);
/* What of the set's status is not true to the pods; NULL: it is. */
const char *check_status_is_true(struct platform *w, struct object *set);
/* check_revisions.c: of a ControllerRevision. */
void check_revision_change(struct platform *w, struct object *old, struct object *now);
/* NULL: the set's revisions are all there, and no more than it is to keep; else what is not. */
const char *check_revisions_at_rest(struct platform *w, struct object *set);
/* check_rollback.c */
void check_rollback_change(struct platform *w, struct object *now);
void check_rollback_write(struct platform *w, const struct client_request *rq);
void check_rollback_late(struct platform *w);
/* NULL: at rest; else what is not. */
const char *check_rest(struct platform *w);

#endif
