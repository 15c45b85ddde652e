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

/* users_pods.c: something done to a pod, a claim or a node. */
void users_touch_pod(struct platform *w);
void users_touch_claim(struct platform *w);
void users_touch_node(struct platform *w);

#endif
