/* plan/pod_status_json.h: a pod status as the API writes it. PURE. */
#ifndef PLAN_POD_STATUS_JSON_H
#define PLAN_POD_STATUS_JSON_H

#include "codec/json_build.h"
#include "plan/pod_plan.h"

/* The member `key`; the status's texts are shared. */
void pod_status_json(struct json_build *b, struct span key, const struct pod_status *s);
/* "Guaranteed", "Burstable" or "BestEffort" from spec's requests and limits. */
struct span pod_qos_class(const yyjson_val *spec);

#endif
