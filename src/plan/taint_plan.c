/* plan/taint_plan.c: see taint_plan.h. */
#include "plan/taint_plan.h"

#include "base/check.h"
#include "base/limits.h"
#include "codec/json.h"
#include "plan/schedule_plan.h"

struct taint_plan taint_plan(const struct taint_view *view)
{
    assert(view);
    assert(view->taints || view->taint_count == 0);
    const struct taint_plan evict = {.verdict = TAINT_EVICT};
    struct taint_plan plan = {.verdict = TAINT_STAY};
    for (size_t i = 0; i < view->taint_count; i++) {
        const struct taint *t = &view->taints[i];
        const yyjson_val *toleration =
            schedule_toleration(view->tolerations, t->key, t->value, SPAN("NoExecute"));
        const yyjson_val *seconds = json_get(toleration, "tolerationSeconds");
        int64_t s = json_int(seconds, 0);
        if (!toleration || (seconds && s <= 0)) {
            return evict;
        }
        if (!seconds) {
            continue;
        }
        int64_t from_ms = t->since_ms > view->placed_ms ? t->since_ms : view->placed_ms;
        int64_t at_ms = from_ms + (s < LIMIT_GRACE_S ? s : LIMIT_GRACE_S) * 1000;
        if (plan.verdict == TAINT_STAY || at_ms < plan.at_ms) {
            plan = (struct taint_plan){TAINT_WAIT, at_ms};
        }
    }
    if (plan.verdict == TAINT_WAIT && plan.at_ms <= view->now_ms) {
        return evict;
    }
    assert(plan.verdict == TAINT_STAY || plan.at_ms > view->now_ms);
    return plan;
}
