/* test/kit/sim_kit.h: scenarios on the simulated platform: users' requests in one line each. */
#ifndef TEST_KIT_SIM_KIT_H
#define TEST_KIT_SIM_KIT_H

#include "schema/kinds.h"
#include "sim/platform.h"

/* A platform without chance faults, whose nodes are Ready. plant may be NULL. SIM_SHOW in the
 * environment prints the history. */
struct platform *sim_kit_start(uint64_t seed, const struct platform_plant *plant);
/* The same with another disk than rows in memory. */
struct platform *sim_kit_start_on(enum platform_disk disk, uint64_t seed,
                                  const struct platform_plant *plant);
/* One request of a user; it must succeed. name "" and body "": none. */
void sim_kit_ask(struct platform *w, enum client_verb verb, const struct schema_kind *kind,
                 const char *name, const char *body);
/* Set "redis"; its pods take one second to start and one and a half to stop. more: further members
 * of the spec, each after a comma. */
void sim_kit_create(struct platform *w, int replicas, const char *policy, const char *more);
/* A merge patch of the set. */
void sim_kit_patch(struct platform *w, const char *json);
/* Was the eviction granted? */
bool sim_kit_evict(struct platform *w, const char *pod);
/* The checker that failed is this one (NULL: none did); w is freed. */
void sim_kit_end(struct platform *w, const char *checker);

#define SIM_KIT_CLAIMS                                                                             \
    ",\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"data\"},\"spec\":{\"accessModes\":["     \
    "\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}]"
#define SIM_KIT_STRATEGY(partition, more)                                                          \
    ",\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{"                          \
    "\"partition\":" #partition more "}}"

#endif
