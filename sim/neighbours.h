/* sim/neighbours.h: what else lives on the platform beside the set: other workloads, a budget,
 * kinds of the users' own, Services, a second namespace and a lone pod. Each has users, checkers
 * and what it is at rest. */
#ifndef SIM_NEIGHBOURS_H
#define SIM_NEIGHBOURS_H

#include "client/client.h"

struct platform;

/* neighbours.c */
void neighbours_act(struct platform *w);
/* sim_request() about one of them, counted by its verb. */
void neighbours_ask(struct platform *w, const struct client_request *rq, const char *what);
/* Makes the budget of the set, or deletes it. */
void neighbours_budget(struct platform *w);
void neighbours_on_change(struct platform *w, struct object *old, struct object *now);
void neighbours_on_request(struct platform *w, const struct client_request *rq);
/* An eviction of this pod is about to be asked for; and it was granted. */
bool neighbours_budget_counts(struct platform *w, int ordinal);
void neighbours_on_eviction(struct platform *w, int ordinal, int64_t asked_ms);
/* NULL: at rest; else what is not. */
const char *neighbours_at_rest(struct platform *w);

/* neighbours_custom.c */
void custom_act(struct platform *w);
void custom_on_change(struct platform *w, struct object *old, struct object *now);
/* NULL: at rest; else what is not. */
const char *custom_at_rest(struct platform *w);

/* services.c */
void services_act(struct platform *w);
/* NULL: at rest; else what is not. */
const char *services_at_rest(struct platform *w);

/* spaces.c */
void spaces_act(struct platform *w);
/* A role's request is about to be done. */
void check_space(struct platform *w, const struct client_request *rq);
/* NULL: at rest; else what is not. */
const char *spaces_at_rest(struct platform *w);

/* lone.c */
void lone_act(struct platform *w);
/* Of a container that runs: another image, by kubectl set image. */
void sim_change_image(struct platform *w, struct span pod, struct span container);
/* "ports" of a container, after a comma, with this host port; in half of the cases empty. */
struct span sim_host_port(struct platform *w, struct arena *a, int port);
bool sim_has_host_port(struct object *pod);
void lone_on_change(struct platform *w, struct object *old, struct object *now);
/* A container of this pod has started. */
void check_host_ports(struct platform *w, struct span ns, struct span name, struct span uid);
/* NULL: at rest; else what is not. */
const char *lone_at_rest(struct platform *w);

#endif
