/* plan/pod_status_json.h: a pod status as the API writes it. PURE. */
#ifndef PLAN_POD_STATUS_JSON_H
#define PLAN_POD_STATUS_JSON_H

#include "codec/json.h"
#include "plan/pod_plan.h"

/* The value of `status`; strings are shared with s. */
yyjson_mut_val *pod_status_json(struct arena *a, yyjson_mut_doc *doc, const struct pod_status *s);
/* "Guaranteed", "Burstable" or "BestEffort" from spec's requests and limits. */
struct span pod_qos_class(const yyjson_val *spec);

#endif
