/* test/kit/set_kit.h: the StatefulSet controller alone against a small API server in memory, with a
 * node agent that runs nothing, on virtual time. Objects are in the namespace default. */
#ifndef TEST_KIT_SET_KIT_H
#define TEST_KIT_SET_KIT_H

#include "client/client_body.h"
#include "kit/controller_kit.h"
#include "kit/kit.h"

struct set_kit {
    struct controller_kit base;             /* with controller_kit_node */
    const struct schema_kind *refused_kind; /* writes of this kind and verb are refused */
    enum client_verb refused_verb;
};

struct set_kit *set_kit_new(void);
void set_kit_free(struct set_kit *k);
/* Lets time pass. */
void set_kit_run(struct set_kit *k, int64_t ms);

/* Of kinds of the core group; NULL when absent. */
struct object *set_kit_get(struct set_kit *k, const char *kind, const char *name);
void set_kit_patch(struct set_kit *k, const char *kind, const char *name, const char *patch);
void set_kit_delete(struct set_kit *k, const char *kind, const char *name);
struct object *set_kit_set(struct set_kit *k, const char *name);
yyjson_val *set_kit_status(struct set_kit *k, const char *name);
void set_kit_patch_set(struct set_kit *k, const char *name, const char *patch);
/* Occurrences of an event. */
int64_t set_kit_events(struct set_kit *k, const char *type, const char *reason,
                       const char *message);

#endif
