/* schema/status.h: what the status of any object says, and of a pod's: the same for all who ask. */
#ifndef SCHEMA_STATUS_H
#define SCHEMA_STATUS_H

#include "codec/json.h"

/* The condition of a type in status.conditions; NULL when absent. */
yyjson_val *status_condition(const yyjson_val *obj, const char *type);
bool status_condition_true(const yyjson_val *obj, const char *type);
/* A copy of status.conditions, to write them again, without the one of that type. */
yyjson_mut_val *status_conditions_but(yyjson_mut_doc *doc, const yyjson_val *obj, const char *type);

/* A condition to write. */
struct status_condition {
    const char *type;
    struct span status, since, reason, message;
};
yyjson_mut_val *status_condition_new(yyjson_mut_doc *doc, const struct status_condition *c);
/* The conditions of the object with this one last, in place of its like. Returns the condition, for
 * members that only some have. */
yyjson_mut_val *status_condition_put(yyjson_mut_doc *doc, const yyjson_val *obj,
                                     yyjson_mut_val *status, const struct status_condition *c);

struct span status_phase(const yyjson_val *obj);
/* A pod of this phase, or this pod, has ended for good: Succeeded or Failed. */
bool status_phase_ended(struct span phase);
bool status_pod_ended(const yyjson_val *pod);

#endif
