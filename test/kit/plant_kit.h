/* test/kit/plant_kit.h: bugs planted on the simulated platform: in the requests of a role, in what
 * a role is shown, in the watch or under the store. */
#ifndef TEST_KIT_PLANT_KIT_H
#define TEST_KIT_PLANT_KIT_H

#include "test/kit/sim_kit.h"

struct plant {
    struct platform_plant hooks;
    const struct schema_kind *kind;
    const char *from, *to; /* what is shown: this text replaced by that */
    bool off;              /* not yet */
    char volume[80];
};

/* A patch that begins a roll-out. */
#define PLANT_ROUND2 "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"round\":\"2\"}}}}}"

/* Members of a plant: a set is shown with this text replaced by that. */
#define PLANT_SHOWN(text, other)                                                                   \
    .hooks.on_event = plant_shown, .kind = SCHEMA_KIND(StatefulSet), .from = (text), .to = (other)

struct platform *plant_start(struct plant *p);
/* Nothing is broken so far. */
void plant_fine(struct platform *w);
/* A hook (on_event): shows another object than the server has. */
struct object *plant_shown(void *data, struct object *o);
/* A request about whole pods. */
bool plant_is_from(const struct client_request *rq, enum client_verb verb, const char *who);

#endif
