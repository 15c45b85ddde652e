/* kinds/kind_job_status.c: what the status of a job may say, and what it may no longer say. What a
 * write to the status leaves alone, the spec among it, is read from the stored object. */
#include "base/check.h"
#include "codec/time.h"
#include "kinds/kind_job.h"
#include "kinds/kind_workload.h"
#include "schema/status.h"

/* ---- conditions ---- */

struct marks {
    bool complete, failed, target, success;
};

static struct marks marks_of(const yyjson_val *obj)
{
    return (struct marks){status_condition_true(obj, "Complete"),
                          status_condition_true(obj, "Failed"),
                          status_condition_true(obj, "FailureTarget"),
                          status_condition_true(obj, "SuccessCriteriaMet")};
}

static void check_marks(struct check *c, const struct path *p, const yyjson_val *obj)
{
    struct marks m = marks_of(obj);
    const struct {
        bool wrong;
        const char *text;
    } rules[] = {
        {m.complete && m.failed, "cannot set Complete=True and Failed=true conditions"},
        {m.complete && m.target, "cannot set Complete=True and FailureTarget=true conditions"},
        {m.failed && !m.target,
         "cannot set Failed=True condition without the FailureTarget=true condition"},
        {m.complete && !m.success,
         "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"},
        {m.success && m.failed, "cannot set SuccessCriteriaMet=True and Failed=true conditions"},
        {m.success && m.target,
         "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].wrong) {
            cause_invalid(c, p, span_cstr(rules[i].text), NULL);
        }
    }
}

/* What a job has once come to, it stays. */
static void check_marks_stay(struct check *c, const struct path *p, const yyjson_val *obj)
{
    static const char *const ends[] = {"Failed", "Complete", "FailureTarget"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (status_condition_true(c->old, ends[i]) && !status_condition_true(obj, ends[i])) {
            cause_invalid(
                c, p, arena_printf(c->a, "cannot disable the terminal %s=True condition", ends[i]),
                NULL);
        }
    }
    if (status_condition_true(c->old, "SuccessCriteriaMet") &&
        !status_condition_true(obj, "SuccessCriteriaMet")) {
        cause_invalid(c, p, SPAN("cannot disable the SuccessCriteriaMet=True condition"), NULL);
    }
}

/* ---- times ---- */

static void check_times(struct check *c, const struct path *p, const yyjson_val *obj)
{
    const yyjson_val *st = json_get(obj, "status"), *was = json_get(c->old, "status");
    const yyjson_val *start = json_get(st, "startTime"), *end = json_get(st, "completionTime");
    const yyjson_val *old_start = json_get(was, "startTime");
    const yyjson_val *old_end = json_get(was, "completionTime");
    struct marks m = marks_of(obj);
    bool resumes =
        status_condition_true(c->old, "Suspended") && !status_condition_true(obj, "Suspended");
    if (end && !m.complete) {
        cause_invalid(c, AT_FIELD(p, "completionTime"), shown(c->a, end),
                      "cannot set completionTime when there is no Complete=True condition");
    } else if (!end && m.complete) {
        cause_required(c, AT_FIELD(p, "completionTime"),
                       "completionTime is required for Complete jobs");
    }
    if (start && end && time_or(json_str(end), 0) < time_or(json_str(start), 0)) {
        cause_invalid(c, AT_FIELD(p, "completionTime"), shown(c->a, end),
                      "completionTime cannot be set before startTime");
    }
    if (!start && (m.complete || m.failed)) {
        cause_required(c, AT_FIELD(p, "startTime"), "startTime is required for finished job");
    }
    if (end && old_end && !semantic_equal(end, old_end)) {
        cause_invalid(c, AT_FIELD(p, "completionTime"), shown(c->a, end),
                      "completionTime cannot be mutated");
    }
    if (old_start && !semantic_equal(start, old_start) && !resumes &&
        !json_get_bool(json_get(c->old, "spec"), "suspend", false)) {
        cause_required(c, AT_FIELD(p, "startTime"),
                       "startTime cannot be removed for unsuspended job");
    }
}

/* ---- counts ---- */

static bool is_before(const yyjson_val *list, size_t n, struct span uid)
{
    JSON_EACH(it, list)
    {
        if (n-- == 0) {
            return false;
        }
        if (span_eq(json_str(it.val), uid)) {
            return true;
        }
    }
    return false;
}

/* ahead: a list whose uids may not come again. */
static void check_uids(struct check *c, const struct path *p, const yyjson_val *list,
                       const yyjson_val *ahead)
{
    size_t n = 0;
    JSON_EACH(it, list)
    {
        struct span uid = json_str(it.val);
        if (uid.n == 0) {
            cause_invalid(c, AT_INDEX(p, n), SPAN("\"\""), "must not be empty");
        } else if (is_before(list, n, uid) || is_before(ahead, json_len(ahead), uid)) {
            cause_duplicate(c, AT_INDEX(p, n), shown_text(c->a, uid));
        }
        n++;
    }
}

static void check_uncounted(struct check *c, const struct path *p, const yyjson_val *st)
{
    const yyjson_val *uncounted = json_get(st, "uncountedTerminatedPods");
    const yyjson_val *good = json_get(uncounted, "succeeded"), *bad = json_get(uncounted, "failed");
    const struct path *at = AT_FIELD(p, "uncountedTerminatedPods");
    if (json_len(good) > LIST_MAX || json_len(bad) > LIST_MAX) { /* each is compared with each */
        cause_too_many(c, at, json_len(good) + json_len(bad), LIST_MAX);
        return;
    }
    check_uids(c, AT_FIELD(at, "succeeded"), good, NULL);
    check_uids(c, AT_FIELD(at, "failed"), bad, good);
}

static void check_sums(struct check *c, const struct path *p, const yyjson_val *obj)
{
    static const char *const counts[] = {"failed", "succeeded"};
    const yyjson_val *st = json_get(obj, "status"), *was = json_get(c->old, "status");
    struct marks m = marks_of(obj);
    int64_t active = json_get_int(st, "active", 0), ready = json_get_int(st, "ready", 0);
    bool finished = m.complete || m.failed;
    const yyjson_val *uncounted = json_get(st, "uncountedTerminatedPods");
    if (finished && active > 0) {
        cause_invalid(c, AT_FIELD(p, "active"), shown(c->a, json_get(st, "active")),
                      "active>0 is invalid for finished job");
    }
    if (finished &&
        json_len(json_get(uncounted, "succeeded")) + json_len(json_get(uncounted, "failed"))) {
        cause_invalid(c, AT_FIELD(p, "uncountedTerminatedPods"), shown(c->a, uncounted),
                      "uncountedTerminatedPods needs to be empty for finished job");
    }
    if (finished && json_get_int(st, "terminating", 0) > 0) {
        cause_invalid(c, AT_FIELD(p, "terminating"), shown(c->a, json_get(st, "terminating")),
                      "terminating>0 is invalid for finished job");
    }
    if (ready > active) {
        cause_invalid(c, AT_FIELD(p, "ready"), shown(c->a, json_get(st, "ready")),
                      "cannot set more ready pods than active");
    }
    bool elastic =
        span_eq(json_get_str(json_get(c->old, "spec"), "completionMode"), SPAN("Indexed"));
    for (size_t i = 0; i < 2; i++) {
        const yyjson_val *now = json_get(st, counts[i]);
        if (json_int(now, 0) < json_get_int(was, counts[i], 0) && !(elastic && i == 1)) {
            cause_invalid(c, AT_FIELD(p, counts[i]), now ? shown(c->a, now) : SPAN("0"),
                          arena_printf(c->a, "cannot decrease the %s counter", counts[i]).p);
        }
    }
}

/* ---- numbers ---- */

static void check_numbers(struct check *c, const struct path *p, const yyjson_val *spec,
                          const yyjson_val *numbers, const char *key)
{
    int64_t count;
    struct span fault = job_numbers_fault(c->a, json_str(numbers),
                                          json_get_int(spec, "completions", INT64_MAX), &count);
    if (fault.n) {
        cause_invalid(c, AT_FIELD(p, key), shown(c->a, numbers),
                      arena_printf(c->a, "error parsing %s: %.*s", key, SPAN_ARG(fault)).p);
    }
}

static void check_indexes(struct check *c, const struct path *p, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(c->old, "spec"), *st = json_get(obj, "status");
    const yyjson_val *done = json_get(st, "completedIndexes"),
                     *lost = json_get(st, "failedIndexes");
    bool indexed = span_eq(json_get_str(spec, "completionMode"), SPAN("Indexed"));
    if (json_str(done).n && !indexed) {
        cause_invalid(c, AT_FIELD(p, "completedIndexes"), shown(c->a, done),
                      "cannot set non-empty completedIndexes when non-indexed completion mode");
    }
    if (lost && !json_get(spec, "backoffLimitPerIndex")) {
        cause_invalid(c, AT_FIELD(p, "failedIndexes"), shown(c->a, lost),
                      "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
    }
    check_numbers(c, p, spec, done, "completedIndexes");
    check_numbers(c, p, spec, lost, "failedIndexes");
}

void check_job_status(struct check *c, const yyjson_val *obj)
{
    static const char *const counts[] = {"active", "succeeded",   "failed",
                                         "ready",  "terminating", NULL};
    const struct path *p = AT_FIELD(NULL, "status");
    assert(c->old);
    check_counts(c, obj, counts);
    check_uncounted(c, p, json_get(obj, "status"));
    check_marks(c, AT_FIELD(p, "conditions"), obj);
    check_times(c, p, obj);
    check_sums(c, p, obj);
    check_indexes(c, p, obj);
    check_marks_stay(c, AT_FIELD(p, "conditions"), obj);
}
