/* plan/pod_status_json.h: a pod status as the API writes it. PURE. */
#ifndef PLAN_POD_STATUS_JSON_H
#define PLAN_POD_STATUS_JSON_H

#include "base/strbuf.h"
#include "codec/json.h"
#include "plan/pod_plan.h"

/* The text of the value of `status`, into an empty buffer; a is for scratch. */
void pod_status_json(struct arena *a, const struct pod_status *s, struct strbuf *to);
/* "Guaranteed", "Burstable" or "BestEffort" from spec's requests and limits. */
struct span pod_qos_class(const yyjson_val *spec);

#endif
