/* sim/users_priv.h: what the files of the users share. */
#ifndef SIM_USERS_PRIV_H
#define SIM_USERS_PRIV_H

#include "schema/kinds.h"
#include "sim/platform_priv.h"

/* Asks as a user, in "default" where the kind has namespaces, and counts it. */
bool users_ask(struct platform *w, enum sim_deed deed, const struct client_request *rq);
/* A patch of one object; subresource may be empty. */
bool users_patch(struct platform *w, enum sim_deed deed, const struct schema_kind *kind,
                 struct span name, struct span body);
bool users_patch_set(struct platform *w, enum sim_deed deed, struct span body);
/* Of the last request, in words. */
const char *users_outcome(const struct platform *w);

/* users.c: single deeds, said aloud. */
void users_put_set(struct platform *w);
void users_delete_set(struct platform *w, enum client_propagation how);
void users_scale(struct platform *w, int replicas);
/* waits: for its end. */
void users_roll_out(struct platform *w, bool waits);

/* users_pods.c */
void users_delete_pod(struct platform *w, struct span name, bool by_force);
void users_evict(struct platform *w, struct span name);
void users_promote(struct platform *w, struct span name);
void users_delete_claim(struct platform *w, struct span name);
void users_cordon(struct platform *w, size_t node, bool on);

/* users_schemes.c: several in quick succession. */
void users_scheme(struct platform *w);
/* Opens it, or saves what was opened before. */
void users_edit_set(struct platform *w);

/* users_pods.c: something done to a pod, a claim or a node. */
void users_touch_pod(struct platform *w);
void users_touch_claim(struct platform *w);
void users_touch_node(struct platform *w);

#endif
